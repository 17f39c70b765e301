//! The segments of a file: tables, frame, scans.

use super::bits::Huffman;
use super::scan::{self, Scan};
use super::{BLOCK, COEFFICIENTS, ColourSpace, Component, Frame};

const START_OF_IMAGE: u8 = 0xd8;
const END_OF_IMAGE: u8 = 0xd9;
const START_OF_SCAN: u8 = 0xda;
const QUANTISATION: u8 = 0xdb;
const HUFFMAN: u8 = 0xc4;
const RESTART_INTERVAL: u8 = 0xdd;
const BASELINE: u8 = 0xc0;
const EXTENDED: u8 = 0xc1;
const PROGRESSIVE: u8 = 0xc2;
const APP0: u8 = 0xe0;
const APP14: u8 = 0xee;
/// Files have ten scans or so, and each may go through all blocks in a few bytes: with more than this, a small file
/// could take hours. Another decoder then judges, which has a limit of its own.
const MAX_SCANS: usize = 100;
/// Longest side that the header can hold and libjpeg takes.
const MAX_SIDE: usize = 65_500;

/// The order in which a block's coefficients are stored: the natural place of each.
#[rustfmt::skip]
pub const ZIGZAG: [usize; COEFFICIENTS] = [
     0,  1,  8, 16,  9,  2,  3, 10, 17, 24, 32, 25, 18, 11,  4,  5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,  6,  7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// What the segments before a scan have set.
#[derive(Default)]
pub struct Tables {
    pub quantisation: [Option<[u16; COEFFICIENTS]>; 4],
    pub dc: [Option<Huffman>; 4],
    pub ac: [Option<Huffman>; 4],
    pub restart_interval: usize,
}

/// Markers of applications that say how colours are meant.
#[derive(Default)]
struct Hints {
    has_jfif: bool,
    adobe_transform: Option<u8>,
}

/// Reads all scans of a file. `most_bytes` bounds the memory for coefficients.
pub fn read(bytes: &[u8], most_bytes: u64) -> Option<(Frame, ColourSpace)> {
    let mut rest = bytes.strip_prefix(&[0xff, START_OF_IMAGE])?;
    let mut tables = Tables::default();
    let mut hints = Hints::default();
    let mut frame: Option<Frame> = None;
    let mut scans = 0;
    loop {
        let (marker, after) = next_marker(rest)?;
        if marker == END_OF_IMAGE {
            let frame = frame?;
            let space = colour_space(&frame, &hints)?;
            return Some((frame, space));
        }
        let length = usize::from(u16::from_be_bytes([*after.first()?, *after.get(1)?]));
        let content = after.get(2..length)?;
        rest = after.get(length..)?;
        match marker {
            QUANTISATION => read_quantisation(content, &mut tables)?,
            HUFFMAN => read_huffman(content, &mut tables)?,
            RESTART_INTERVAL => {
                tables.restart_interval = usize::from(u16::from_be_bytes(content.try_into().ok()?));
            }
            BASELINE | EXTENDED | PROGRESSIVE if frame.is_none() => {
                frame = Some(read_frame(content, marker == PROGRESSIVE, most_bytes)?);
            }
            START_OF_SCAN => {
                scans += 1;
                let frame = frame.as_mut().filter(|_| scans <= MAX_SCANS)?;
                let scan = read_scan(content, frame, &tables)?;
                rest = &rest[scan::read(&scan, frame, &tables, rest)?..];
            }
            APP0 => hints.has_jfif |= content.len() >= 14 && content.starts_with(b"JFIF\0"),
            APP14 if content.len() >= 12 && content.starts_with(b"Adobe") => {
                hints.adobe_transform = Some(content[11]);
            }
            // Comments and other applications' segments; every other code changes what follows.
            0xe1..=0xef | 0xfe => {}
            _ => return None,
        }
    }
}

/// The next marker's code and what follows it; fill bytes before it are skipped.
fn next_marker(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let [0xff, rest @ ..] = bytes else { return None };
    let fill = rest.iter().position(|&byte| byte != 0xff)?;
    Some((rest[fill], &rest[fill + 1..]))
}

fn read_quantisation(mut content: &[u8], tables: &mut Tables) -> Option<()> {
    while let Some((&head, after)) = content.split_first() {
        let size = if head >> 4 == 0 { 1 } else { 2 };
        let values = after.get(..size * COEFFICIENTS)?;
        let mut table = [0; COEFFICIENTS];
        for (&place, value) in ZIGZAG.iter().zip(values.chunks_exact(size)) {
            table[place] = value.iter().fold(0, |number, &byte| number << 8 | u16::from(byte));
        }
        *tables.quantisation.get_mut(usize::from(head & 15))? = Some(table);
        content = &after[size * COEFFICIENTS..];
    }
    Some(())
}

fn read_huffman(mut content: &[u8], tables: &mut Tables) -> Option<()> {
    while let Some((&head, after)) = content.split_first() {
        let counts: &[u8; 16] = after.get(..16)?.try_into().ok()?;
        let codes: usize = counts.iter().map(|&count| usize::from(count)).sum();
        let symbols = after.get(16..16 + codes)?;
        let table = Huffman::new(counts, symbols)?;
        let kind = match head >> 4 {
            0 if symbols.iter().all(|&symbol| symbol <= 15) => &mut tables.dc,
            1 => &mut tables.ac,
            _ => return None,
        };
        *kind.get_mut(usize::from(head & 15))? = Some(table);
        content = &after[16 + codes..];
    }
    Some(())
}

fn read_frame(content: &[u8], is_progressive: bool, most_bytes: u64) -> Option<Frame> {
    let &[8, h1, h0, w1, w0, count, ref rest @ ..] = content else { return None };
    let height = usize::from(u16::from_be_bytes([h1, h0]));
    let width = usize::from(u16::from_be_bytes([w1, w0]));
    let sides_fit = (1..=MAX_SIDE).contains(&width) && (1..=MAX_SIDE).contains(&height);
    if !sides_fit || ![1, 3, 4].contains(&count) || rest.len() != 3 * usize::from(count) {
        return None;
    }
    let factors = |byte: u8| (usize::from(byte >> 4), usize::from(byte & 15));
    let max_h = rest.chunks_exact(3).map(|entry| factors(entry[1]).0).max()?;
    let max_v = rest.chunks_exact(3).map(|entry| factors(entry[1]).1).max()?;
    let (units_across, units_down) =
        (width.div_ceil(BLOCK * max_h.max(1)), height.div_ceil(BLOCK * max_v.max(1)));
    let mut components = Vec::new();
    let mut bytes = 0;
    for entry in rest.chunks_exact(3) {
        let (h, v) = factors(entry[1]);
        // Sizes that are no whole multiples libjpeg refuses as well.
        if !(1..=4).contains(&h) || !(1..=4).contains(&v) || max_h % h != 0 || max_v % v != 0 {
            return None;
        }
        let (blocks_across, blocks_down) = (units_across * h, units_down * v);
        bytes += (blocks_across * blocks_down * COEFFICIENTS * size_of::<i16>()) as u64;
        if bytes > most_bytes {
            return None;
        }
        components.push(Component {
            id: entry[0],
            h,
            v,
            table: usize::from(entry[2]),
            quantisation: None,
            width: (width * h).div_ceil(max_h),
            height: (height * v).div_ceil(max_v),
            blocks_across,
            coefficients: vec![0; blocks_across * blocks_down * COEFFICIENTS],
            missing_bits: [-1; COEFFICIENTS],
            samples: Vec::new(),
        });
    }
    Some(Frame { width, height, is_progressive, components, max_h, max_v })
}

fn read_scan(content: &[u8], frame: &mut Frame, tables: &Tables) -> Option<Scan> {
    let (&count, rest) = content.split_first()?;
    let entries = rest.get(..2 * usize::from(count))?;
    let &[first, last, precision] = &rest[entries.len()..] else { return None };
    let mut components = Vec::new();
    for entry in entries.chunks_exact(2) {
        let index = frame.components.iter().position(|component| component.id == entry[0])?;
        let component = &mut frame.components[index];
        if component.quantisation.is_none() {
            component.quantisation = *tables.quantisation.get(component.table)?;
        }
        components.push((index, usize::from(entry[1] >> 4), usize::from(entry[1] & 15)));
    }
    let scan = Scan {
        components,
        first: usize::from(first),
        last: usize::from(last),
        high: precision >> 4,
        low: precision & 15,
    };
    scan.is_valid(frame.is_progressive).then_some(scan)
}

/// By libjpeg's rules, from the markers and the components' names.
fn colour_space(frame: &Frame, hints: &Hints) -> Option<ColourSpace> {
    let ids: Vec<u8> = frame.components.iter().map(|component| component.id).collect();
    Some(match (ids.len(), hints.adobe_transform) {
        (1, _) => ColourSpace::Grey,
        (3, _) if hints.has_jfif => ColourSpace::YCbCr,
        (3, Some(0)) => ColourSpace::Rgb,
        (3, None) if ids == *b"RGB" => ColourSpace::Rgb,
        (3, _) => ColourSpace::YCbCr,
        (4, None | Some(0)) => ColourSpace::Cmyk,
        (4, Some(_)) => ColourSpace::Ycck,
        _ => return None,
    })
}
