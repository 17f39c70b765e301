//! JPEG segment by segment: frames, tables, scans, restart markers, EXIF.

use image::{ExtendedColorType, codecs::jpeg::JpegEncoder};
use sweep::random::Random;

use super::super::bytes::{damage, edge, noise, one_in, overwrite};

/// A marker, what its segment holds, and the entropy-coded bytes behind it.
#[derive(Clone)]
struct Segment {
    marker: u8,
    content: Vec<u8>,
    scan: Vec<u8>,
}

const FRAMES: [u8; 3] = [0xc0, 0xc1, 0xc2];
const SCAN: u8 = 0xda;

pub fn make(random: &mut Random) -> Vec<u8> {
    let file = if one_in(random, 2) { fixture(random).to_vec() } else { encoded(random) };
    let mut segments = parsed(&file);
    for _ in 0..random.below(4) {
        change(&mut segments, random);
    }
    let mut out = vec![0xff, 0xd8];
    for Segment { marker, content, scan } in &segments {
        if one_in(random, 60) {
            out.extend(vec![0xff; 1 + random.below(4)]);
        }
        out.extend([0xff, *marker]);
        let lies = one_in(random, 200);
        let length = if lies { edge(random) as u16 } else { content.len() as u16 + 2 };
        out.extend(length.to_be_bytes());
        out.extend(content);
        out.extend(scan);
    }
    if !one_in(random, 50) {
        out.extend([0xff, 0xd9]);
    }
    out
}

fn fixture(random: &mut Random) -> &'static [u8] {
    const FILES: [&[u8]; 5] = [
        include_bytes!("../../../../tests/fixtures/processor/lossy_420.jpg"),
        include_bytes!("../../../../tests/fixtures/processor/lossy_444.jpg"),
        include_bytes!("../../../../tests/fixtures/processor/lossy_cmyk.jpg"),
        include_bytes!("../../../../tests/fixtures/processor/lossy_grey.jpg"),
        include_bytes!("../../../../tests/fixtures/processor/lossy_progressive.jpg"),
    ];
    // The progressive one has the most to go wrong.
    FILES[(random.below(FILES.len() + 2)).min(FILES.len() - 1)]
}

fn encoded(random: &mut Random) -> Vec<u8> {
    let (width, height) = (1 + random.below(40), 1 + random.below(40));
    let (colour, samples) =
        if one_in(random, 3) { (ExtendedColorType::L8, 1) } else { (ExtendedColorType::Rgb8, 3) };
    let pixels = noise(random, width * height * samples);
    let mut out = Vec::new();
    JpegEncoder::new_with_quality(&mut out, 1 + random.below(100) as u8)
        .encode(&pixels, width as u32, height as u32, colour)
        .expect("a sound picture");
    out
}

fn parsed(file: &[u8]) -> Vec<Segment> {
    let mut rest = &file[2..];
    let mut segments = Vec::new();
    while let [0xff, marker, high, low, ..] = *rest {
        if marker == 0xd9 {
            break;
        }
        let length = usize::from(u16::from_be_bytes([high, low]));
        let content = rest[4..2 + length].to_vec();
        rest = &rest[2 + length..];
        let is_end = |pair: &[u8]| pair[0] == 0xff && pair[1] != 0 && !(0xd0..=0xd7).contains(&pair[1]);
        let end = if marker == SCAN { rest.windows(2).position(is_end).unwrap_or(rest.len()) } else { 0 };
        segments.push(Segment { marker, content, scan: rest[..end].to_vec() });
        rest = &rest[end..];
    }
    segments
}

fn change(segments: &mut Vec<Segment>, random: &mut Random) {
    let (place, other) = (random.below(segments.len()), random.below(segments.len()));
    let frame = segments.iter().position(|segment| FRAMES.contains(&segment.marker));
    let scan = segments.iter().rposition(|segment| segment.marker == SCAN).unwrap_or(place);
    match random.below(14) {
        0 if segments.len() > 1 => drop(segments.remove(place)),
        1 => segments.insert(place, segments[other].clone()),
        2 => segments.swap(place, other),
        3 => damage(&mut segments[place].content, random),
        4 | 5 => damage(&mut segments[scan].scan, random),
        6 => overwrite(&mut segments[scan].content, random.below(10), 1, random),
        7 | 8 => {
            // Sampling factors, tables, components, precision.
            if let Some(frame) = frame {
                let content = &mut segments[frame].content;
                let at = *random.pick(&[0, 5, 6, 7, 8, 10, 11, 13, 14, 16]);
                if let Some(byte) = content.get_mut(at) {
                    *byte = *random.pick(&[0, 1, 2, 3, 0x11, 0x12, 0x21, 0x22, 0x41, 0x44, 0x14, 0x31, 0xff]);
                }
            }
        }
        9 => {
            if let Some(frame) = frame
                && segments[frame].content.len() > 4
            {
                let sides: [u16; 8] = [0, 1, 7, 8, 9, 64, 65_535, 3000];
                let small = one_in(random, 8);
                let pick = |random: &mut Random| {
                    if small { *random.pick(&sides) } else { 1 + random.below(80) as u16 }
                };
                let (height, width) = (pick(random), pick(random));
                segments[frame].content[1..3].copy_from_slice(&height.to_be_bytes());
                segments[frame].content[3..5].copy_from_slice(&width.to_be_bytes());
            }
        }
        10 => {
            let interval = *random.pick(&[0u16, 1, 2, 3, 65_535]);
            segments.insert(
                place,
                Segment { marker: 0xdd, content: interval.to_be_bytes().into(), scan: Vec::new() },
            );
            if one_in(random, 2) && segments[scan].scan.len() > 3 {
                let at = random.below(segments[scan].scan.len());
                let marker = [0xff, 0xd0 + random.below(8) as u8];
                segments[scan].scan.splice(at..at, marker);
            }
        }
        11 => segments.insert(0, application(random)),
        12 => {
            // The same scan again and again, of a picture that may be large.
            let times = *random.pick(&[1, 2, 10, 120]);
            let copies = vec![segments[scan].clone(); times];
            segments.splice(scan..scan, copies);
        }
        _ => {
            segments[place].marker =
                *random.pick(&[0xc0, 0xc1, 0xc2, 0xc3, 0xc9, 0xca, 0xc4, 0xdb, 0xfe, 0xdc, 0x01])
        }
    }
    if let Some(segment) = segments.iter_mut().find(|segment| segment.content.len() > 65_000) {
        segment.content.truncate(65_000);
    }
}

fn application(random: &mut Random) -> Segment {
    let (marker, content) = match random.below(4) {
        0 => (0xee, [&b"Adobe\0\x64\0\0\0\0"[..], &[random.below(4) as u8]].concat()),
        1 => (0xe0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0".to_vec()),
        2 => {
            // EXIF whose directories point at each other and beyond.
            let mut exif = b"Exif\0\0II*\0\x08\0\0\0".to_vec();
            exif.extend((random.below(4) as u16).to_le_bytes());
            for _ in 0..3 {
                exif.extend([0x12, 0x01, 3, 0]);
                exif.extend((edge(random) as u32).to_le_bytes());
                exif.extend((edge(random) as u32).to_le_bytes());
            }
            exif.extend([8, 0, 0, 0]);
            (0xe1, exif)
        }
        _ => (0xe2, [&b"ICC_PROFILE\0\x01\x02"[..], &noise(random, 40)].concat()),
    };
    Segment { marker, content, scan: Vec::new() }
}
