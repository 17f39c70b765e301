//! Room on the disk.

use std::path::Path;
use std::process::Command;

/// Bytes free on the disk that holds a folder; `None` where it cannot be learned. The standard library cannot tell; `df`
/// can on every Unix.
pub fn free_disk(folder: &Path) -> Option<u64> {
    let output = Command::new("df").arg("-Pk").arg(folder).output().ok()?;
    free_kilobytes(&String::from_utf8_lossy(&output.stdout)).map(|kilobytes| kilobytes * 1024)
}

/// The fourth column of the second line: POSIX fixes the format of `df -P`.
fn free_kilobytes(df: &str) -> Option<u64> {
    df.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_df_is_read() {
        let df = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/x 100 60 40 60% /\n";
        assert_eq!(free_kilobytes(df), Some(40));
        assert_eq!(free_kilobytes("df: no such file"), None);
    }
}
