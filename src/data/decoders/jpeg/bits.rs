//! Bits of a scan and the Huffman codes in them.

/// Codes up to this length are looked up at once.
const QUICK: u32 = 9;

/// A table of Huffman codes.
pub struct Huffman {
    /// For each beginning of [`QUICK`] bits the code's length (0: longer) and symbol.
    quick: Vec<(u8, u8)>,
    /// For each length the first code beyond those of that length, shifted to 16 bits.
    ends: [u32; 17],
    /// For each length, what to add to a code to get its symbol's place.
    offsets: [i32; 17],
    symbols: Vec<u8>,
}

impl Huffman {
    /// `counts` says how many codes there are of each length from 1 to 16; `None` where they do not fit.
    pub fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        if symbols.len() > 256 {
            return None;
        }
        let mut quick = vec![(0, 0); 1 << QUICK];
        let (mut ends, mut offsets) = ([0; 17], [0; 17]);
        let (mut code, mut place) = (0u32, 0usize);
        for length in 1..=16u32 {
            let count = usize::from(counts[length as usize - 1]);
            offsets[length as usize] = place as i32 - code as i32;
            if code + count as u32 > 1 << length {
                return None;
            }
            for &symbol in &symbols[place..place + count] {
                if length <= QUICK {
                    let start = (code << (QUICK - length)) as usize;
                    quick[start..start + (1 << (QUICK - length))].fill((length as u8, symbol));
                }
                code += 1;
            }
            place += count;
            ends[length as usize] = code << (16 - length);
            code <<= 1;
        }
        Some(Self { quick, ends, offsets, symbols: symbols.to_vec() })
    }
}

/// Reads a scan bit by bit. Behind its end come zeros.
pub struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    held: u64,
    count: u32,
    /// How many of the bits that came in are zeros from behind the end.
    made_up: u32,
}

impl<'a> Bits<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, held: 0, count: 0, made_up: 0 }
    }

    fn fill(&mut self) {
        while self.count <= 56 {
            let byte = match self.bytes.get(self.at) {
                Some(0xff) if self.bytes.get(self.at + 1) == Some(&0) => {
                    self.at += 2;
                    0xff
                }
                // A marker, or the end of the file: it stays where it is.
                Some(0xff) | None => {
                    self.made_up += 8;
                    0
                }
                Some(&byte) => {
                    self.at += 1;
                    byte
                }
            };
            self.held |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    fn skip(&mut self, count: u32) {
        self.held <<= count;
        self.count -= count;
    }

    /// The next `count` bits, at most 16.
    pub fn take(&mut self, count: u32) -> i32 {
        if count == 0 {
            return 0;
        }
        if self.count < count {
            self.fill();
        }
        let value = (self.held >> (64 - count)) as i32;
        self.skip(count);
        value
    }

    /// The next symbol; `None` where no code begins like this.
    pub fn symbol(&mut self, table: &Huffman) -> Option<u8> {
        if self.count < 16 {
            self.fill();
        }
        let (length, symbol) = table.quick[(self.held >> (64 - QUICK)) as usize];
        if length > 0 {
            self.skip(u32::from(length));
            return Some(symbol);
        }
        let ahead = (self.held >> 48) as u32;
        let length = (QUICK as usize + 1..=16).find(|&length| ahead < table.ends[length])?;
        self.skip(length as u32);
        let place = (ahead >> (16 - length)) as i32 + table.offsets[length];
        table.symbols.get(usize::try_from(place).ok()?).copied()
    }

    /// A number of `size` bits in the form in which differences and coefficients are stored.
    pub fn signed(&mut self, size: u32) -> i32 {
        let value = self.take(size);
        if size > 0 && value < 1 << (size - 1) { value - (1 << size) + 1 } else { value }
    }

    /// True where more bits were taken than there are.
    pub fn are_exhausted(&self) -> bool {
        self.made_up > self.count
    }

    /// Goes behind the next restart marker, which must come now and be number `expected` of eight.
    pub fn restart(&mut self, expected: u8) -> Option<()> {
        let marker = self.end()?;
        let code = marker + self.bytes[marker..].iter().position(|&byte| byte != 0xff)?;
        if self.bytes[code] != 0xd0 + expected {
            return None;
        }
        *self = Self { at: code + 1, ..Self::new(self.bytes) };
        Some(())
    }

    /// Where the marker lies that ends these bits. `None` where there is none, or where more bits were
    /// asked for than there were: what a damaged file looks like is for another decoder to say.
    pub fn end(&self) -> Option<usize> {
        if self.are_exhausted() {
            return None;
        }
        let rest = self.bytes.get(self.at..)?;
        let marker = rest.windows(2).position(|pair| pair[0] == 0xff && pair[1] != 0)?;
        Some(self.at + marker)
    }
}
