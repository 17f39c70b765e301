//! PNG chunk by chunk, with checksums that fit.

use std::io::Write;
use std::sync::LazyLock;

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use sweep::random::Random;

use super::super::bytes::{damage, edge, noise, one_in, overwrite};

type Chunk = ([u8; 4], Vec<u8>);

pub fn make(random: &mut Random) -> Vec<u8> {
    let mut chunks = if one_in(random, 6) { fixture(random) } else { picture(random) };
    for _ in 0..random.below(3) {
        change(&mut chunks, random);
    }
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, content) in &chunks {
        let lies = one_in(random, 100);
        let length = if lies { edge(random) as u32 } else { content.len() as u32 };
        file.extend(length.to_be_bytes());
        let mut crc = Crc::new();
        crc.update(kind);
        crc.update(content);
        file.extend(kind);
        file.extend(content);
        let checksum = if one_in(random, 200) { crc.sum() ^ 1 } else { crc.sum() };
        file.extend(checksum.to_be_bytes());
    }
    file
}

/// A picture of any kind that the standard has, whose rows have the length that its header says.
fn picture(random: &mut Random) -> Vec<Chunk> {
    const KINDS: [(u8, usize, &[u8]); 5] = [
        (0, 1, &[1, 2, 4, 8, 16]),
        (2, 3, &[8, 16]),
        (3, 1, &[1, 2, 4, 8]),
        (4, 2, &[8, 16]),
        (6, 4, &[8, 16]),
    ];
    let (kind, samples, depths) = *random.pick(&KINDS);
    let depth = *random.pick(depths);
    let (width, height) = (1 + random.below(20), 1 + random.below(20));
    let is_interlaced = one_in(random, 3);
    let bits = samples * usize::from(depth);
    let row = |width: usize| (width * bits).div_ceil(8);
    // Passes of Adam7, each by its first pixel and its steps.
    const PASSES: [[usize; 4]; 7] =
        [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];
    let sizes: Vec<(usize, usize)> = if is_interlaced {
        let sizes = PASSES.map(|[x, y, across, down]| {
            (width.saturating_sub(x).div_ceil(across), height.saturating_sub(y).div_ceil(down))
        });
        sizes.into_iter().filter(|(width, height)| width * height > 0).collect()
    } else {
        vec![(width, height)]
    };
    let mut rows = Vec::new();
    for (width, height) in sizes {
        for _ in 0..height {
            let filters = if one_in(random, 60) { 8 } else { 5 };
            rows.push(random.below(filters) as u8);
            rows.extend(noise(random, row(width)));
        }
    }
    let mut header = Vec::new();
    header.extend((width as u32).to_be_bytes());
    header.extend((height as u32).to_be_bytes());
    header.extend([depth, kind, 0, 0, u8::from(is_interlaced)]);
    let mut chunks = vec![(*b"IHDR", header)];
    if kind == 3 || one_in(random, 10) {
        let colours = if one_in(random, 3) { random.below(257) } else { 256 };
        chunks.push((*b"PLTE", noise(random, 3 * colours)));
    }
    if one_in(random, 3) {
        let length = *random.pick(&[0, 1, 2, 6, 100, 256]);
        chunks.push((*b"tRNS", noise(random, length)));
    }
    chunks.push((*b"IDAT", zlib(&rows)));
    chunks.push((*b"IEND", Vec::new()));
    chunks
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

/// A chunk of a thousandth of the size it unpacks to.
static BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| zlib(&vec![0; 64 << 20]));

fn change(chunks: &mut Vec<Chunk>, random: &mut Random) {
    let (place, other) = (random.below(chunks.len()), random.below(chunks.len()));
    match random.below(11) {
        0 => drop(chunks.remove(place)),
        1 => chunks.insert(place, chunks[other].clone()),
        2 => chunks.swap(place, other),
        3 | 4 => damage(&mut chunks[place].1, random),
        5 => {
            let at = *random.pick(&[0, 0, 4, 4, 8, 9, 10, 11, 12]);
            overwrite(&mut chunks[0].1, at, if at < 8 { 4 } else { 1 }, random);
        }
        6 => {
            // Sides just within and beyond what is read; few, since pictures of this size take time.
            let sides: [u32; 8] = [20_000, 20_001, 60_000, 4_473, 9_459, 8_947, 13_377, 1];
            for at in [0, 4] {
                if one_in(random, 6)
                    && let Some(side) = chunks[0].1.get_mut(at..at + 4)
                {
                    side.copy_from_slice(&random.pick(&sides).to_be_bytes());
                }
            }
        }
        7 => {
            let (kind, content) = extra(random);
            chunks.insert(place, (kind, content));
        }
        8 => {
            let cut = random.below(chunks[place].1.len() + 1);
            let rest = chunks[place].1.split_off(cut);
            let kind = chunks[place].0;
            chunks.insert(place + 1, (kind, rest));
        }
        9 => {
            chunks[place].0 =
                *random.pick(&[*b"IHDR", *b"IDAT", *b"PLTE", *b"tRNS", *b"fdAT", *b"zzzz", *b"ZZZZ"])
        }
        _ => {
            let animation =
                [(*b"acTL", vec![0, 0, 0, random.bits() as u8, 0, 0, 0, 0]), (*b"fcTL", noise(random, 26))];
            chunks.splice(1.min(chunks.len())..1.min(chunks.len()), animation);
        }
    }
    if chunks.is_empty() {
        chunks.push((*b"IEND", Vec::new()));
    }
}

fn extra(random: &mut Random) -> Chunk {
    let kinds =
        [*b"gAMA", *b"cHRM", *b"sRGB", *b"bKGD", *b"pHYs", *b"sBIT", *b"tIME", *b"cICP", *b"eXIf", *b"tEXt"];
    let packed = [b"iCCPx\0\0", b"zTXtx\0\0"];
    if one_in(random, 3) {
        let start = random.pick(&packed);
        let bomb: &[u8] = if one_in(random, 20) { &BOMB } else { b"x\x9c" };
        let kind: [u8; 4] = start[..4].try_into().expect("four letters");
        return (kind, [&start[4..], bomb].concat());
    }
    let length = random.below(40);
    (*random.pick(&kinds), noise(random, length))
}

fn fixture(random: &mut Random) -> Vec<Chunk> {
    const FILES: [&[u8]; 6] = [
        include_bytes!("../../../../tests/fixtures/processor/exact_alpha_16.png"),
        include_bytes!("../../../../tests/fixtures/processor/exact_grey_16_transparent.png"),
        include_bytes!("../../../../tests/fixtures/processor/exact_palette_4_bit.png"),
        include_bytes!("../../../../tests/fixtures/processor/exact_palette_alpha.png"),
        include_bytes!("../../../../tests/fixtures/processor/exact_transparent_colour.png"),
        include_bytes!("../../../../tests/fixtures/processor/exact_black_and_white.png"),
    ];
    let mut rest = &random.pick(&FILES)[8..];
    let mut chunks = Vec::new();
    while let [a, b, c, d, after @ ..] = rest {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let kind: [u8; 4] = after[..4].try_into().expect("four letters");
        chunks.push((kind, after[4..4 + length].to_vec()));
        rest = &after[8 + length..];
    }
    chunks
}
