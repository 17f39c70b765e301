//! BMP field by field: every size of header, depth and compression, run lengths included.

use sweep::random::Random;

use super::super::bytes::{damage, edge, noise, one_in, overwrite};

pub fn make(random: &mut Random) -> Vec<u8> {
    let size = *random.pick(&[40u32, 40, 40, 40, 12, 52, 56, 64, 108, 124]);
    let (bits, compression): (u16, u32) = *random.pick(&[
        (1, 0),
        (4, 0),
        (4, 2),
        (8, 0),
        (8, 1),
        (8, 1),
        (16, 0),
        (16, 3),
        (24, 0),
        (32, 0),
        (32, 3),
    ]);
    let (width, height) = (1 + random.below(20) as u32, 1 + random.below(20) as u32);
    let colours = if bits <= 8 { *random.pick(&[0, 2, 1 << bits]) } else { 0 };
    let stored = if colours == 0 && bits <= 8 { 1u32 << bits } else { colours };
    let mut header = size.to_le_bytes().to_vec();
    if size == 12 {
        for field in [width as u16, height as u16, 1, bits] {
            header.extend(field.to_le_bytes());
        }
    } else {
        let tall = if one_in(random, 4) { height.wrapping_neg() } else { height };
        for field in [width, tall, 1 | u32::from(bits) << 16, compression, 0, 2835, 2835, colours, 0] {
            header.extend(field.to_le_bytes());
        }
        let masks: [u32; 4] = *random.pick(&[
            [0x7c00, 0x3e0, 0x1f, 0],
            [0xf800, 0x7e0, 0x1f, 0],
            [0xff_0000, 0xff00, 0xff, 0xff00_0000],
            [0, u32::MAX, 5, 1],
        ]);
        header.extend(masks.iter().flat_map(|mask| mask.to_le_bytes()));
        header.resize(if compression == 3 { size.max(52) as usize } else { size as usize }, 0);
    }
    let palette = match random.below(3) {
        0 => [[0; 4], [255, 255, 255, 0]].concat(),
        _ => Vec::new(),
    };
    let mut palette = [palette, noise(random, 4 * stored as usize)].concat();
    palette.truncate(4 * stored as usize);
    let row = (width as usize * usize::from(bits)).div_ceil(32) * 4;
    let pixels = if compression == 1 || compression == 2 {
        runs(random)
    } else {
        noise(random, row * height as usize)
    };
    let start = 14 + header.len() + palette.len();
    let mut file = b"BM".to_vec();
    for field in [(start + pixels.len()) as u32, 0, start as u32] {
        file.extend(field.to_le_bytes());
    }
    file.extend([header, palette, pixels].concat());
    if one_in(random, 2) {
        change(&mut file, random);
    }
    file
}

/// Pixels as run lengths, which may reach beyond the picture.
fn runs(random: &mut Random) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..random.below(60) {
        match random.below(6) {
            0 => out.extend([0, 0]),
            1 => out.extend([0, 2, random.below(9) as u8, random.below(4) as u8]),
            2 => {
                let length = 3 + random.below(20);
                out.extend([0, length as u8]);
                out.extend(noise(random, length + length % 2));
            }
            _ => out.extend([1 + random.below(30) as u8, random.bits() as u8]),
        }
    }
    if !one_in(random, 4) {
        out.extend([0, 1]);
    }
    out
}

fn change(file: &mut Vec<u8>, random: &mut Random) {
    match random.below(4) {
        0 => damage(file, random),
        1 => overwrite(file, *random.pick(&[10, 14, 18, 22, 30, 46, 54, 58]), 4, random),
        2 => overwrite(file, *random.pick(&[26, 28]), 2, random),
        _ => {
            // Large, with few bytes behind it; what is just within the limits takes time and is rare.
            let large = *random.pick(&[[20_000, 4_473], [9_459, 9_459], [20_000, 8_947]]);
            let sides = if one_in(random, 20) { large } else { [edge(random) as u32, 3] };
            for (at, side) in [18, 22].into_iter().zip(sides) {
                if let Some(field) = file.get_mut(at..at + 4) {
                    field.copy_from_slice(&side.to_le_bytes());
                }
            }
        }
    }
}
