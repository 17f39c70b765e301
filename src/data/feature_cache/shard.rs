//! A shard: the states of some images in one file, which is written once and never changed.
//!
//! ```text
//! "sweepFC1"                                   the form
//! key (32 bytes)                               what the states are of, beside the image
//! images, values of a state (u32 each)
//! for each image: SHA-256 of the file (32 bytes), XXH3 of its state (u64)
//! XXH3 of all above (u64)
//! for each image: its state, as f32
//! ```
//!
//! All numbers are little-endian. Nothing of a shard is believed before its length, its key and its checksums were
//! found right: whatever the file holds, reading it is an error or gives what was written.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64;

use super::{ImageDigest, Key, MOST_VALUES};
use crate::record::bounded::check_regular;

/// The first bytes of every shard. Another form has another name.
const MAGIC: &[u8; 8] = b"sweepFC1";
/// Magic, key and the two counts.
const FIXED_BYTES: usize = 8 + 32 + 4 + 4;
const ROW_BYTES: usize = 32 + 8;
const CHECKSUM_BYTES: usize = 8;
/// Images of a shard at most; whoever says there are more did not write it.
pub const MOST_IMAGES: usize = 4096;

/// Why a shard, or a state of it, is of no use.
#[derive(Debug, Error)]
pub enum ShardError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("{0}")]
    Damaged(&'static str),
}

/// What a shard holds, without the states themselves.
#[derive(Debug, PartialEq, Eq)]
pub struct Header {
    /// Each image with the checksum of its state, in the order of the states.
    pub rows: Vec<(ImageDigest, u64)>,
    values: usize,
}

/// The whole file, and what it holds. Each state has the same number of values, at least one.
pub fn packed(key: &Key, states: &[(ImageDigest, Vec<f32>)]) -> (Vec<u8>, Header) {
    let values = states.first().map_or(0, |(_, state)| state.len());
    let mut rows = Vec::with_capacity(states.len());
    let header_bytes = Header::bytes_of(states.len());
    let mut bytes = vec![0; header_bytes];
    bytes.reserve_exact(states.len() * values * size_of::<f32>());
    let mut header = Vec::with_capacity(header_bytes);
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(key);
    header.extend_from_slice(&(states.len() as u32).to_le_bytes());
    header.extend_from_slice(&(values as u32).to_le_bytes());
    for (image, state) in states {
        let start = bytes.len();
        bytes.extend(state.iter().flat_map(|value| value.to_le_bytes()));
        let checksum = xxh3_64(&bytes[start..]);
        header.extend_from_slice(image);
        header.extend_from_slice(&checksum.to_le_bytes());
        rows.push((*image, checksum));
    }
    let checksum = xxh3_64(&header);
    header.extend_from_slice(&checksum.to_le_bytes());
    bytes[..header_bytes].copy_from_slice(&header);
    (bytes, Header { rows, values })
}

impl Header {
    fn bytes_of(images: usize) -> usize {
        FIXED_BYTES + images * ROW_BYTES + CHECKSUM_BYTES
    }

    /// Reads the header of a shard of states of `values` values under `key`.
    pub fn read(path: &Path, key: &Key, values: usize) -> Result<Self, ShardError> {
        check_regular(path)?;
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut bytes = vec![0; FIXED_BYTES];
        read_exact(&mut file, &mut bytes)?;
        let images = number(&bytes[FIXED_BYTES - 8..]) as usize;
        if &bytes[..8] != MAGIC || bytes[8..40] != *key {
            return Err(ShardError::Damaged("it is of another version, or of other states"));
        }
        if number(&bytes[FIXED_BYTES - 4..]) as usize != values || !(1..=MOST_IMAGES).contains(&images) {
            return Err(ShardError::Damaged("its header is damaged"));
        }
        bytes.resize(Self::bytes_of(images), 0);
        read_exact(&mut file, &mut bytes[FIXED_BYTES..])?;
        let (table, checksum) = bytes.split_at(bytes.len() - CHECKSUM_BYTES);
        if xxh3_64(table) != long_number(checksum) {
            return Err(ShardError::Damaged("its header is damaged"));
        }
        let row = |row: &[u8]| (image_of(row), long_number(&row[32..]));
        let rows = table[FIXED_BYTES..].chunks_exact(ROW_BYTES).map(row).collect();
        let header = Self { rows, values };
        if header.offset(images) != length {
            return Err(ShardError::Damaged("it is not as long as its header says"));
        }
        Ok(header)
    }

    /// The state of the image at `row`.
    pub fn state(&self, file: &mut File, row: usize) -> Result<Vec<f32>, ShardError> {
        let (_, checksum) = self.rows.get(row).ok_or(ShardError::Damaged("it has no such state"))?;
        debug_assert!(self.values <= MOST_VALUES);
        let mut bytes = vec![0; self.values * size_of::<f32>()];
        file.seek(SeekFrom::Start(self.offset(row)))?;
        read_exact(file, &mut bytes)?;
        if xxh3_64(&bytes) != *checksum {
            return Err(ShardError::Damaged("a state in it is not what was written"));
        }
        Ok(bytes.chunks_exact(4).map(|four| f32::from_bits(number(four))).collect())
    }

    /// Where the state at `row` begins.
    fn offset(&self, row: usize) -> u64 {
        (Self::bytes_of(self.rows.len()) + row * self.values * size_of::<f32>()) as u64
    }
}

fn read_exact(file: &mut File, bytes: &mut [u8]) -> Result<(), ShardError> {
    file.read_exact(bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => ShardError::Damaged("it is cut off"),
        _ => ShardError::Io(error),
    })
}

/// The number that the first four bytes are.
fn number(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// The number that the first eight bytes are.
fn long_number(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

fn image_of(row: &[u8]) -> ImageDigest {
    row.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    const KEY: Key = [7; 32];

    fn states() -> Vec<(ImageDigest, Vec<f32>)> {
        let nan = f32::from_bits(0x7fc0_1234);
        vec![([1; 32], vec![1.0, -0.0, nan]), ([2; 32], vec![f32::INFINITY, 2.5e-40, 3.0])]
    }

    /// All states of a file with these bytes, as bits.
    fn read(bytes: &[u8]) -> Result<Vec<(ImageDigest, Vec<u32>)>, ShardError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::write(&path, bytes).unwrap();
        let header = Header::read(&path, &KEY, 3)?;
        let mut file = File::open(&path)?;
        let images = header.rows.iter().enumerate();
        let bits = |state: Vec<f32>| state.into_iter().map(f32::to_bits).collect();
        images.map(|(row, (image, _))| Ok((*image, bits(header.state(&mut file, row)?)))).collect()
    }

    fn written() -> Vec<(ImageDigest, Vec<u32>)> {
        let bits = |state: Vec<f32>| state.into_iter().map(f32::to_bits).collect();
        states().into_iter().map(|(image, state)| (image, bits(state))).collect()
    }

    #[test]
    fn states_are_read_back_bit_by_bit() {
        let (bytes, header) = packed(&KEY, &states());
        assert_eq!(read(&bytes).unwrap(), written());
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x"), &bytes).unwrap();
        assert_eq!(Header::read(&folder.path().join("x"), &KEY, 3).unwrap(), header);
    }

    #[test]
    fn a_flipped_bit_a_cut_and_a_tail_are_noticed_wherever_they_are() {
        let (bytes, _) = packed(&KEY, &states());
        for position in 0..bytes.len() {
            for bit in [1, 0x80] {
                let mut damaged = bytes.clone();
                damaged[position] ^= bit;
                assert!(matches!(read(&damaged), Err(ShardError::Damaged(_))), "byte {position}");
            }
            assert!(matches!(read(&bytes[..position]), Err(ShardError::Damaged(_))), "cut to {position}");
        }
        assert!(read(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn states_of_another_key_or_size_are_not_taken_for_these() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::write(&path, packed(&KEY, &states()).0).unwrap();
        assert!(Header::read(&path, &[8; 32], 3).is_err());
        assert!(Header::read(&path, &KEY, 4).is_err());
        assert!(Header::read(folder.path(), &KEY, 3).is_err(), "a folder is no shard");
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_error_or_what_was_written(
            noise in prop::collection::vec(any::<u8>(), 0..300),
            keeps_beginning in any::<bool>(),
            place in 0usize..200,
        ) {
            let (bytes, _) = packed(&KEY, &states());
            let damaged = if keeps_beginning {
                [&bytes[..place.min(bytes.len())], &noise].concat()
            } else {
                noise
            };
            if let Ok(found) = read(&damaged) {
                prop_assert_eq!(found, written());
            }
        }
    }
}
