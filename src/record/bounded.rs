//! Reads files that come from outside: regular ones alone, and no more of them than is believed.
//!
//! A pipe that nobody writes to would be waited for for ever, a device has no end, and a file may be as long as the
//! disk. Whoever reads a file of the user's says how long it can be at most.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// The bytes of a regular file of at most `most` bytes.
pub fn read_bytes(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    check_regular(path)?;
    let mut bytes = Vec::new();
    // One byte more than is allowed shows that there are more, also where the file grows meanwhile.
    File::open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(too_long(path, most)) } else { Ok(bytes) }
}

/// The text of a regular file of at most `most` bytes.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    String::from_utf8(read_bytes(path, most)?).map_err(|error| {
        io::Error::other(format!("it is not UTF-8 (byte {})", error.utf8_error().valid_up_to()))
    })
}

/// Refuses what is there but is no regular file: opening a pipe would wait for someone to write into it.
pub fn check_regular(path: &Path) -> io::Result<()> {
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        Err(io::Error::other("it is a folder, not a file"))
    } else if !metadata.is_file() {
        Err(io::Error::other("it is a pipe or a device, not a regular file"))
    } else {
        Ok(())
    }
}

fn too_long(path: &Path, most: u64) -> io::Error {
    let length = fs::metadata(path).map_or(0, |metadata| metadata.len());
    io::Error::other(format!("it has {length} bytes; at most {most} are read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_up_to_their_bound_and_not_a_byte_beyond() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "12345").unwrap();
        assert_eq!(read_text(&path, 5).unwrap(), "12345");
        assert_eq!(read_text(&path, 4).unwrap_err().to_string(), "it has 5 bytes; at most 4 are read");
        fs::write(&path, b"ab\xff").unwrap();
        assert_eq!(read_text(&path, 5).unwrap_err().to_string(), "it is not UTF-8 (byte 2)");
    }

    #[test]
    fn folders_and_devices_are_no_files_and_what_is_missing_is_said_so() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |path: &Path| read_bytes(path, 10).unwrap_err().to_string();
        assert_eq!(refused(folder.path()), "it is a folder, not a file");
        #[cfg(unix)]
        assert_eq!(refused(Path::new("/dev/zero")), "it is a pipe or a device, not a regular file");
        let missing = read_bytes(&folder.path().join("no"), 10).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
