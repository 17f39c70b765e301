//! The hub's checksums: a file's entity tag is its SHA-256 where it is a large one, and otherwise the hash that
//! git has for it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// Bytes read at once.
const CHUNK: usize = 1 << 20;

/// What is wrong with a file under this tag: the checksum it has instead. `None` where it is sound, and where
/// the tag is no checksum (mirrors have others).
pub fn mismatch(path: &Path, tag: &str) -> io::Result<Option<String>> {
    let is_hexadecimal = tag.bytes().all(|byte| byte.is_ascii_hexdigit());
    let found = match tag.len() {
        64 if is_hexadecimal => digest(path, Sha256::new())?,
        40 if is_hexadecimal => {
            // git hashes a blob behind a header with its length.
            let length = std::fs::metadata(path)?.len();
            digest(path, Sha1::new_with_prefix(format!("blob {length}\0")))?
        }
        _ => return Ok(None),
    };
    Ok((!found.eq_ignore_ascii_case(tag)).then_some(found))
}

fn digest(path: &Path, mut hash: impl Digest) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            length => hash.update(&chunk[..length]),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_tags_are_checked_and_others_let_through() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hello\n").unwrap();
        // printf 'hello\n' | git hash-object --stdin; printf 'hello\n' | sha256sum
        let git = "ce013625030ba8dba906f756967f9e9ca394464a";
        let sha = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        for tag in [git, sha, "W123", ""] {
            assert_eq!(mismatch(file.path(), tag).unwrap(), None, "{tag}");
        }
        std::fs::write(file.path(), "hellO\n").unwrap();
        for tag in [git, sha] {
            assert!(mismatch(file.path(), tag).unwrap().is_some_and(|found| found.len() == tag.len()));
        }
    }
}
