//! A writer of zip files that lies where it is told to.

use flate2::Crc;
use sweep::random::Random;

use super::bytes::{edge, one_in};

/// A zip of stored entries. With lies, some fields of its headers are wrong.
pub fn archive(entries: &[(String, Vec<u8>)], lies: bool, random: &mut Random) -> Vec<u8> {
    let mut file = Vec::new();
    let mut directory = Vec::new();
    for (name, content) in entries {
        let mut crc = Crc::new();
        crc.update(content);
        let start = file.len() as u32;
        let mut numbers = [crc.sum(), content.len() as u32, content.len() as u32];
        let mut method = 0;
        let mut told_start = start;
        if lies && one_in(random, 2) {
            match random.below(5) {
                0 => method = *random.pick(&[1, 8, 9, 12, 14, 93, 99, 65_535]),
                1 => told_start = edge(random) as u32,
                2 => (numbers[1], numbers[2]) = (edge(random) as u32, edge(random) as u32),
                3 => numbers[0] ^= 1,
                _ => numbers[random.below(3)] = edge(random) as u32,
            }
        }
        let fixed = |out: &mut Vec<u8>| {
            for field in [20u16, 0, method, 0, 0] {
                out.extend(field.to_le_bytes());
            }
            for number in numbers {
                out.extend(number.to_le_bytes());
            }
            out.extend((name.len() as u16).to_le_bytes());
            out.extend(0u16.to_le_bytes());
        };
        file.extend(b"PK\x03\x04");
        fixed(&mut file);
        file.extend(name.as_bytes());
        file.extend(content);
        directory.extend(b"PK\x01\x02\x14\0");
        fixed(&mut directory);
        directory.extend([0; 10]);
        directory.extend(told_start.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let mut end = [entries.len() as u64, directory.len() as u64, file.len() as u64];
    if lies && one_in(random, 4) {
        end[random.below(3)] = edge(random);
    }
    file.extend(directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend((end[0] as u16).to_le_bytes());
    file.extend((end[0] as u16).to_le_bytes());
    file.extend((end[1] as u32).to_le_bytes());
    file.extend((end[2] as u32).to_le_bytes());
    file.extend([0, 0]);
    file
}
