//! WebP chunk by chunk: lossy, lossless, extended, animated.

use image::ExtendedColorType;
use image::codecs::webp::WebPEncoder;
use sweep::random::Random;

use super::super::bytes::{damage, edge, noise, one_in, overwrite};

type Chunk = ([u8; 4], Vec<u8>);

pub fn make(random: &mut Random) -> Vec<u8> {
    let mut chunks = parsed(&source(random));
    if one_in(random, 3) {
        extend(&mut chunks, random);
    }
    for _ in 0..random.below(3) {
        change(&mut chunks, random);
    }
    let mut body = b"WEBP".to_vec();
    for (kind, content) in &chunks {
        body.extend(kind);
        let lies = one_in(random, 150);
        body.extend((if lies { edge(random) as u32 } else { content.len() as u32 }).to_le_bytes());
        body.extend(content);
        body.extend(vec![0; content.len() % 2]);
    }
    let length = if one_in(random, 100) { edge(random) as u32 } else { body.len() as u32 };
    [&b"RIFF"[..], &length.to_le_bytes(), &body].concat()
}

fn source(random: &mut Random) -> Vec<u8> {
    match random.below(4) {
        0 => include_bytes!("../../../../tests/fixtures/processor/exact_webp.webp").to_vec(),
        1 | 2 => include_bytes!("../../../../tests/fixtures/processor/lossy_webp.webp").to_vec(),
        _ => {
            let (width, height) = (1 + random.below(30), 1 + random.below(30));
            let (colour, samples) = *random.pick(&[
                (ExtendedColorType::L8, 1),
                (ExtendedColorType::Rgb8, 3),
                (ExtendedColorType::Rgba8, 4),
            ]);
            let shades = 1 + random.below(255) as u8;
            let pixels: Vec<u8> =
                noise(random, width * height * samples).into_iter().map(|sample| sample % shades).collect();
            let mut out = Vec::new();
            WebPEncoder::new_lossless(&mut out)
                .encode(&pixels, width as u32, height as u32, colour)
                .expect("a sound picture");
            out
        }
    }
}

fn parsed(file: &[u8]) -> Vec<Chunk> {
    let mut rest = &file[12..];
    let mut chunks = Vec::new();
    while rest.len() >= 8 {
        let length = u32::from_le_bytes(rest[4..8].try_into().expect("four bytes")) as usize;
        let kind: [u8; 4] = rest[..4].try_into().expect("four letters");
        chunks.push((kind, rest[8..8 + length].to_vec()));
        rest = rest.get(8 + length + length % 2..).unwrap_or_default();
    }
    chunks
}

/// Puts the extended header in front, with alpha, animation and metadata that may not be there.
fn extend(chunks: &mut Vec<Chunk>, random: &mut Random) {
    let flags = *random.pick(&[0u8, 0x02, 0x10, 0x08, 0x20, 0x3e]);
    let side = |random: &mut Random| if one_in(random, 8) { edge(random) } else { random.below(60) as u64 };
    let (width, height) = (side(random).to_le_bytes(), side(random).to_le_bytes());
    let header = [&[flags, 0, 0, 0], &width[..3], &height[..3]].concat();
    let image = chunks.pop();
    chunks.insert(0, (*b"VP8X", header));
    if flags & 0x10 != 0 {
        chunks.push((*b"ALPH", [vec![random.below(16) as u8], noise(random, 40)].concat()));
    }
    match image {
        Some((kind, content)) if flags & 0x02 != 0 => {
            chunks.push((*b"ANIM", noise(random, 6)));
            for _ in 0..1 + random.below(3) {
                let mut frame = vec![0; 16];
                overwrite(&mut frame, *random.pick(&[0, 3, 6, 9]), 2, random);
                frame.extend(kind);
                frame.extend((content.len() as u32).to_le_bytes());
                frame.extend(&content);
                chunks.push((*b"ANMF", frame));
            }
        }
        Some(image) => chunks.push(image),
        None => {}
    }
}

fn change(chunks: &mut Vec<Chunk>, random: &mut Random) {
    if chunks.is_empty() {
        return;
    }
    let (place, other) = (random.below(chunks.len()), random.below(chunks.len()));
    match random.below(8) {
        0 => drop(chunks.remove(place)),
        1 => chunks.insert(place, chunks[other].clone()),
        2 => {
            chunks[place].0 =
                *random.pick(&[*b"VP8 ", *b"VP8L", *b"VP8X", *b"ALPH", *b"ANMF", *b"EXIF", *b"ICCP"])
        }
        3 => overwrite(&mut chunks[place].1, random.below(12), 2, random),
        4 => {
            let length = random.below(60);
            chunks.insert(
                place,
                (*random.pick(&[*b"EXIF", *b"ICCP", *b"XMP ", *b"zzzz"]), noise(random, length)),
            );
        }
        _ => {
            // What lies behind the picture's own header.
            let content = &mut chunks[place].1;
            let mut tail = content.split_off(content.len().min(10));
            damage(&mut tail, random);
            content.extend(tail);
        }
    }
}
