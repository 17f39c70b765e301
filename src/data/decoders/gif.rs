//! The first frame of a GIF, laid on the picture as Pillow does it.
//!
//! Around a frame that is smaller than the picture Pillow paints the transparent colour, or else the first
//! of the palette (most programs leave that transparent). A frame that reaches beyond the picture enlarges
//! it.

use image::RgbImage;

use super::super::image_file::{MAX_PIXELS, MAX_SIDE};
use super::{colours, is_ramp, u16_at};

/// Most codes that the table of the compression holds.
const MAX_CODES: usize = 1 << 12;

/// See [`super::decode`].
pub fn decode(bytes: &[u8]) -> Option<RgbImage> {
    if !bytes.starts_with(b"GIF87a") && !bytes.starts_with(b"GIF89a") {
        return None;
    }
    let (width, height) = (u16_at(bytes, 6)?, u16_at(bytes, 8)?);
    let (global, rest) = palette(*bytes.get(10)?, bytes.get(13..)?)?;
    let (transparent, rest) = skip_extensions(rest)?;
    let [left, top, across, down] = [0, 2, 4, 6].map(|at| u16_at(rest, at));
    let (left, top, across, down) = (left?, top?, across?, down?);
    let flags = *rest.get(8)?;
    let (local, rest) = palette(flags, rest.get(9..)?)?;
    let (&code_bits, rest) = rest.split_first()?;
    let (width, height) = (width.max(left + across), height.max(top + down));
    if width.max(height) > MAX_SIDE as usize || (width * height) as u64 > MAX_PIXELS {
        return None;
    }
    let indices = decompress(&sub_blocks(rest)?, u32::from(code_bits), across * down)?;

    // A local palette in which every index is its own shade of grey Pillow takes for none at all, and uses
    // the other one, if there is one.
    let palette = if is_ramp(&local) && !global.is_empty() { global } else { local };
    let colours = colours(&palette);
    let around = colours[usize::from(transparent.unwrap_or(0))];
    let mut picture = RgbImage::from_pixel(u32::try_from(width).ok()?, u32::try_from(height).ok()?, around);
    let is_interlaced = flags & 0x40 != 0;
    for (y, row) in row_order(down, is_interlaced).zip(indices.chunks_exact(across.max(1))) {
        for (x, &index) in row.iter().enumerate() {
            picture.put_pixel((left + x) as u32, (top + y) as u32, colours[usize::from(index)]);
        }
    }
    Some(picture)
}

/// The palette that flags announce, and what follows it; empty where there is none.
fn palette(flags: u8, bytes: &[u8]) -> Option<(Vec<[u8; 3]>, &[u8])> {
    if flags & 0x80 == 0 {
        return Some((Vec::new(), bytes));
    }
    let length = 3 << ((flags & 7) + 1);
    let entries = bytes.get(..length)?.chunks_exact(3).map(|entry| [entry[0], entry[1], entry[2]]);
    Some((entries.collect(), &bytes[length..]))
}

/// The transparent index, if an extension names one, and what follows the mark of the first image.
fn skip_extensions(mut bytes: &[u8]) -> Option<(Option<u8>, &[u8])> {
    const CONTROL: u8 = 0xf9;
    let mut transparent = None;
    loop {
        match bytes {
            [b',', rest @ ..] => return Some((transparent, rest)),
            [b'!', kind, rest @ ..] => {
                if let (&CONTROL, [_, flags, _, _, index, ..]) = (kind, rest)
                    && flags & 1 != 0
                {
                    transparent = Some(*index);
                }
                bytes = rest;
                loop {
                    let (&length, after) = bytes.split_first()?;
                    bytes = after.get(usize::from(length)..)?;
                    if length == 0 {
                        break;
                    }
                }
            }
            _ => return None,
        }
    }
}

/// The blocks that hold an image's codes, in one piece.
fn sub_blocks(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let (&length, after) = bytes.split_first()?;
        if length == 0 {
            return Some(whole);
        }
        whole.extend(after.get(..usize::from(length))?);
        bytes = &after[usize::from(length)..];
    }
}

/// `count` indices out of LZW codes; `None` where the codes make no sense or there are too few.
fn decompress(bytes: &[u8], code_bits: u32, count: usize) -> Option<Vec<u8>> {
    if !(2..=8).contains(&code_bits) {
        return None;
    }
    let clear = 1usize << code_bits;
    // Of each code beyond the end code: the code it goes on from, its last index, and its first one.
    let mut table: Vec<(usize, u8, u8)> = Vec::with_capacity(MAX_CODES);
    let (mut bits, mut previous) = (code_bits + 1, None::<usize>);
    let (mut held, mut held_bits, mut bytes) = (0u32, 0, bytes.iter());
    let mut indices = Vec::with_capacity(count);
    while indices.len() < count {
        while held_bits < bits {
            held |= u32::from(*bytes.next()?) << held_bits;
            held_bits += 8;
        }
        let code = (held & ((1 << bits) - 1)) as usize;
        (held, held_bits) = (held >> bits, held_bits - bits);
        if code == clear {
            table.clear();
            (bits, previous) = (code_bits + 1, None);
            continue;
        }
        if code == clear + 1 {
            return None;
        }
        let first_of = |table: &[(usize, u8, u8)], code: usize| {
            if code < clear { Some(code as u8) } else { table.get(code.checked_sub(clear + 2)?).map(|e| e.2) }
        };
        if let Some(previous) = previous
            && table.len() + clear + 2 < MAX_CODES
        {
            let first = first_of(&table, previous)?;
            // The code that is being made may already be the one that was read.
            let last = if code == table.len() + clear + 2 { first } else { first_of(&table, code)? };
            table.push((previous, last, first));
            if table.len() + clear + 2 == 1 << bits && bits < 12 {
                bits += 1;
            }
        }
        let start = indices.len();
        let mut at = code;
        while at >= clear {
            let &(before, last, _) = table.get(at.checked_sub(clear + 2)?)?;
            indices.push(last);
            at = before;
        }
        indices.push(at as u8);
        indices[start..].reverse();
        previous = Some(code);
    }
    indices.truncate(count);
    Some(indices)
}

/// The places of rows in the order in which they are stored.
fn row_order(rows: usize, is_interlaced: bool) -> Box<dyn Iterator<Item = usize>> {
    if !is_interlaced {
        return Box::new(0..rows);
    }
    let passes = [(0, 8), (4, 8), (2, 4), (1, 2)];
    Box::new(passes.into_iter().flat_map(move |(start, step)| (start..rows).step_by(step)))
}
