//! The coefficients of a scan.

use super::bits::{Bits, Huffman};
use super::segments::{Tables, ZIGZAG};
use super::{BLOCK, COEFFICIENTS, Frame};

/// A scan's header.
pub struct Scan {
    /// Of each component its place in the frame and the numbers of its tables.
    pub components: Vec<(usize, usize, usize)>,
    /// The coefficients that it brings, in the order of storage.
    pub first: usize,
    pub last: usize,
    /// Which bits of them: those above `low`, of which those above `high` are known already.
    pub high: u8,
    pub low: u8,
}

impl Scan {
    pub fn is_valid(&self, is_progressive: bool) -> bool {
        let span = (self.first, self.last, self.high, self.low);
        let is_single = self.components.len() == 1;
        let refines = self.high == 0 || self.high == self.low + 1;
        (1..=4).contains(&self.components.len())
            && match span {
                (0, 63, 0, 0) if !is_progressive => true,
                (0, 0, _, 0..=13) => is_progressive && refines,
                (1.., ..=63, _, 0..=13) => is_progressive && refines && is_single && self.first <= self.last,
                _ => false,
            }
    }
}

/// What decoding a block needs to remember.
struct State<'a> {
    bits: Bits<'a>,
    predictions: [i32; 4],
    /// Blocks still to come that bring nothing.
    empty_run: u32,
}

/// Reads a scan's coefficients into the frame; the answer is where its bits end.
pub fn read(scan: &Scan, frame: &mut Frame, tables: &Tables, bytes: &[u8]) -> Option<usize> {
    let mut state = State { bits: Bits::new(bytes), predictions: [0; 4], empty_run: 0 };
    let mut unit = 0;
    let mut next_unit = |state: &mut State| {
        if state.bits.are_exhausted() {
            return None;
        }
        if tables.restart_interval > 0 && unit > 0 && unit % tables.restart_interval == 0 {
            state.bits.restart(((unit / tables.restart_interval - 1) % 8) as u8)?;
            (state.predictions, state.empty_run) = ([0; 4], 0);
        }
        unit += 1;
        Some(())
    };
    let kind = Kind::of(scan, frame.is_progressive);
    if let &[(index, dc, ac)] = scan.components.as_slice() {
        // A scan of one component leaves out the blocks that only fill up units.
        let component = &mut frame.components[index];
        let (dc, ac) = (tables.dc.get(dc)?.as_ref(), tables.ac.get(ac)?.as_ref());
        let (across, down) = (component.width.div_ceil(BLOCK), component.height.div_ceil(BLOCK));
        for y in 0..down {
            for x in 0..across {
                next_unit(&mut state)?;
                let block = block(&mut component.coefficients, y * component.blocks_across + x);
                kind.read(&mut state, 0, block, scan, dc, ac)?;
            }
        }
    } else {
        let across = frame.width.div_ceil(BLOCK * frame.max_h);
        let down = frame.height.div_ceil(BLOCK * frame.max_v);
        for (unit_y, unit_x) in (0..down).flat_map(|y| (0..across).map(move |x| (y, x))) {
            next_unit(&mut state)?;
            for (place, &(index, dc, ac)) in scan.components.iter().enumerate() {
                let component = &mut frame.components[index];
                let (dc, ac) = (tables.dc.get(dc)?.as_ref(), tables.ac.get(ac)?.as_ref());
                for y in unit_y * component.v..(unit_y + 1) * component.v {
                    for x in unit_x * component.h..(unit_x + 1) * component.h {
                        let block = block(&mut component.coefficients, y * component.blocks_across + x);
                        kind.read(&mut state, place, block, scan, dc, ac)?;
                    }
                }
            }
        }
    }
    for &(index, _, _) in &scan.components {
        frame.components[index].missing_bits[scan.first..=scan.last].fill(scan.low as i8);
    }
    state.bits.end()
}

fn block(coefficients: &mut [i16], number: usize) -> &mut [i16] {
    &mut coefficients[number * COEFFICIENTS..][..COEFFICIENTS]
}

/// Which of a block's coefficients and bits a scan brings.
#[derive(Clone, Copy)]
enum Kind {
    Everything,
    FirstDc,
    NextDc,
    FirstAc,
    NextAc,
}

impl Kind {
    fn of(scan: &Scan, is_progressive: bool) -> Self {
        match (is_progressive, scan.first, scan.high) {
            (false, ..) => Self::Everything,
            (true, 0, 0) => Self::FirstDc,
            (true, 0, _) => Self::NextDc,
            (true, _, 0) => Self::FirstAc,
            (true, ..) => Self::NextAc,
        }
    }

    fn read(
        self,
        state: &mut State,
        place: usize,
        block: &mut [i16],
        scan: &Scan,
        dc: Option<&Huffman>,
        ac: Option<&Huffman>,
    ) -> Option<()> {
        match self {
            Self::Everything => {
                first_dc(state, place, block, 0, dc?)?;
                everything_else(state, block, ac?)
            }
            Self::FirstDc => first_dc(state, place, block, scan.low, dc?),
            Self::NextDc => {
                block[0] |= (state.bits.take(1) << scan.low) as i16;
                Some(())
            }
            Self::FirstAc => first_ac(state, block, scan, ac?),
            Self::NextAc => next_ac(state, block, scan, ac?),
        }
    }
}

fn first_dc(state: &mut State, place: usize, block: &mut [i16], low: u8, table: &Huffman) -> Option<()> {
    let size = state.bits.symbol(table)?;
    let prediction = &mut state.predictions[place];
    *prediction = prediction.wrapping_add(state.bits.signed(u32::from(size)));
    block[0] = (*prediction << low) as i16;
    Some(())
}

fn everything_else(state: &mut State, block: &mut [i16], table: &Huffman) -> Option<()> {
    let mut k = 1;
    while k < COEFFICIENTS {
        let symbol = state.bits.symbol(table)?;
        let (run, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        if size > 0 {
            k += run;
            *block.get_mut(*ZIGZAG.get(k)?)? = state.bits.signed(size) as i16;
            k += 1;
        } else if run == 15 {
            k += 16;
        } else {
            break;
        }
    }
    Some(())
}

fn first_ac(state: &mut State, block: &mut [i16], scan: &Scan, table: &Huffman) -> Option<()> {
    if state.empty_run > 0 {
        state.empty_run -= 1;
        return Some(());
    }
    let mut k = scan.first;
    while k <= scan.last {
        let symbol = state.bits.symbol(table)?;
        let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        if size > 0 {
            k += run as usize;
            block[*ZIGZAG.get(k)?] = (state.bits.signed(size) << scan.low) as i16;
            k += 1;
        } else if run == 15 {
            k += 16;
        } else {
            state.empty_run = (1 << run) + state.bits.take(run) as u32 - 1;
            break;
        }
    }
    Some(())
}

/// The next bit of coefficients that are known, and new ones of one bit between them.
fn next_ac(state: &mut State, block: &mut [i16], scan: &Scan, table: &Huffman) -> Option<()> {
    let bit = 1i16 << scan.low;
    let mut k = scan.first;
    if state.empty_run == 0 {
        while k <= scan.last {
            let symbol = state.bits.symbol(table)?;
            let (mut run, size) = (u32::from(symbol >> 4), symbol & 15);
            let mut new = 0;
            if size > 0 {
                new = if state.bits.take(1) == 1 { bit } else { -bit };
            } else if run < 15 {
                state.empty_run = (1 << run) + state.bits.take(run) as u32;
                break;
            }
            // Known coefficients on the way do not count for the run, and each brings its own bit.
            while k <= scan.last {
                let coefficient = &mut block[ZIGZAG[k]];
                if *coefficient != 0 {
                    refine(&mut state.bits, coefficient, bit);
                } else if run == 0 {
                    break;
                } else {
                    run -= 1;
                }
                k += 1;
            }
            if new != 0 {
                *block.get_mut(*ZIGZAG.get(k)?)? = new;
            }
            k += 1;
        }
    }
    if state.empty_run > 0 {
        for &place in ZIGZAG.get(k..=scan.last).unwrap_or_default() {
            if block[place] != 0 {
                refine(&mut state.bits, &mut block[place], bit);
            }
        }
        state.empty_run -= 1;
    }
    Some(())
}

fn refine(bits: &mut Bits, coefficient: &mut i16, bit: i16) {
    if bits.take(1) == 1 && *coefficient & bit == 0 {
        *coefficient += if *coefficient >= 0 { bit } else { -bit };
    }
}
