//! GIF block by block: screen, palettes, frames within and beyond it, animation.

use std::borrow::Cow;

use gif::{Encoder, Frame};
use sweep::random::Random;

use super::super::bytes::{damage, noise, one_in, overwrite};

pub fn make(random: &mut Random) -> Vec<u8> {
    if one_in(random, 4) {
        return changed(fixture(random).to_vec(), random);
    }
    let (width, height) = (1 + random.below(24) as u16, 1 + random.below(24) as u16);
    let global = if one_in(random, 4) { Vec::new() } else { palette(random) };
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, width, height, &global).expect("memory takes all");
    for _ in 0..random.below(3) + usize::from(!one_in(random, 20)) {
        let (across, down) = (1 + random.below(24) as u16, 1 + random.below(24) as u16);
        let local = (global.is_empty() || one_in(random, 3)).then(|| palette(random));
        let frame = Frame {
            width: across,
            height: down,
            left: random.below(8) as u16 * u16::from(one_in(random, 2)),
            top: random.below(8) as u16,
            interlaced: one_in(random, 3),
            transparent: one_in(random, 3).then(|| random.bits() as u8),
            palette: local,
            buffer: Cow::Owned(noise(random, usize::from(across) * usize::from(down))),
            ..Frame::default()
        };
        encoder.write_frame(&frame).expect("memory takes all");
    }
    drop(encoder);
    if one_in(random, 2) { changed(out, random) } else { out }
}

fn palette(random: &mut Random) -> Vec<u8> {
    let colours = 1 << (1 + random.below(8));
    if one_in(random, 3) {
        (0..colours).flat_map(|shade| [shade as u8; 3]).collect()
    } else {
        noise(random, 3 * colours)
    }
}

/// Some that are sound, and some that end too early.
const EXTENSIONS: [&[u8]; 4] = [b"!\xf9\x04\xff\0\0\xff\0", b"!\xfe\xffabc", b"!\x01\x0c", b"!\xf9\0"];

fn changed(mut file: Vec<u8>, random: &mut Random) -> Vec<u8> {
    let frame = file.iter().position(|byte| *byte == b',').unwrap_or(13);
    match random.below(6) {
        0 => overwrite(&mut file, *random.pick(&[6, 8]), 2, random),
        1 => overwrite(&mut file, 10 + random.below(3), 1, random),
        2 => overwrite(&mut file, frame + *random.pick(&[1, 3, 5, 7]), 2, random),
        3 => overwrite(&mut file, frame + 9 + random.below(3), 1, random),
        4 => {
            // Another way of leaving a frame, or an extension that never ends.
            let extension: &[u8] = EXTENSIONS[random.below(EXTENSIONS.len())];
            let at = frame.min(file.len());
            file.splice(at..at, extension.iter().copied());
        }
        _ => {
            let mut tail = file.split_off(frame.min(file.len()));
            damage(&mut tail, random);
            file.extend(tail);
        }
    }
    file
}

fn fixture(random: &mut Random) -> &'static [u8] {
    const FILES: [&[u8]; 2] = [
        include_bytes!("../../../../tests/fixtures/processor/exact_animation.gif"),
        include_bytes!("../../../../tests/fixtures/processor/exact_gif.gif"),
    ];
    FILES[random.below(FILES.len())]
}
