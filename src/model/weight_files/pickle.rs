//! Reads a Python pickle as plain data. Nothing is imported and nothing is called: what a pickle wants called is
//! kept as a [`Value::Call`] for the reader to judge.
//!
//! Only what `torch.save` writes for a dictionary of tensors is known (protocol 2, the opcodes of Python's
//! `pickletools`). candle's own reader copies a value whenever the pickle refers back to it, so that a
//! few hundred bytes can ask for all memory; here values lie in one list and are referred to by number.

use std::collections::HashMap;

/// A value, by its place in [`Pickle::values`].
pub type Id = usize;

/// A value of a pickle.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// A class or function by its full name, such as `torch.FloatStorage`.
    Global(String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    /// A `dict` or an `OrderedDict`.
    Dict(Vec<(Id, Id)>),
    /// An object outside the pickle, by what names it.
    Persistent(Id),
    /// What would be called, and with what.
    Call {
        function: Id,
        arguments: Id,
    },
}

/// All values of a pickle.
#[derive(Debug)]
pub struct Pickle {
    pub values: Vec<Value>,
    /// The value that the pickle stands for.
    pub root: Id,
}

/// Reads a pickle from its bytes; the error says what is wrong with it.
pub fn read(bytes: &[u8]) -> Result<Pickle, String> {
    let mut reader = Reader {
        rest: bytes,
        values: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    while !reader.step()? {}
    let root = reader.pop()?;
    Ok(Pickle { values: reader.values, root })
}

struct Reader<'a> {
    rest: &'a [u8],
    values: Vec<Value>,
    stack: Vec<Id>,
    /// Heights of the stack at which a group begins.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl Reader<'_> {
    /// Follows one opcode; true at the end.
    fn step(&mut self) -> Result<bool, String> {
        match self.byte()? {
            b'.' => return Ok(true),
            0x80 => drop(self.byte()?),
            b'(' => self.marks.push(self.stack.len()),
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'K' => self.number(1)?,
            b'M' => self.number(2)?,
            b'J' => {
                let number = i32::from_le_bytes(self.array()?);
                self.push(Value::Int(number.into()));
            }
            0x8a => self.long()?,
            b'G' => {
                let number = f64::from_be_bytes(self.array()?);
                self.push(Value::Float(number));
            }
            b'X' => {
                let length = u32::from_le_bytes(self.array()?);
                let text = text(self.take(length as usize)?)?;
                self.push(Value::Text(text));
            }
            b'c' => {
                let name = format!("{}.{}", self.line()?, self.line()?);
                self.push(Value::Global(name));
            }
            b')' => self.push(Value::Tuple(Vec::new())),
            b']' => self.push(Value::List(Vec::new())),
            b'}' => self.push(Value::Dict(Vec::new())),
            count @ 0x85..=0x87 => {
                let from = self.stack.len().checked_sub(usize::from(count - 0x84)).ok_or_else(too_few)?;
                let items = self.stack.split_off(from);
                self.push(Value::Tuple(items));
            }
            b't' => {
                let items = self.group()?;
                self.push(Value::Tuple(items));
            }
            b'a' => {
                let item = self.pop()?;
                self.extend(&[item])?;
            }
            b'e' => {
                let items = self.group()?;
                self.extend(&items)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.extend(&[key, value])?;
            }
            b'u' => {
                let items = self.group()?;
                self.extend(&items)?;
            }
            b'R' | 0x81 => self.call()?,
            // The state of an object, such as the version notes that a module leaves on its dictionary.
            b'b' => drop(self.pop()?),
            b'Q' => {
                let name = self.pop()?;
                self.push(Value::Persistent(name));
            }
            b'q' => {
                let key = self.byte()?;
                self.remember(key.into())?;
            }
            b'r' => {
                let key = u32::from_le_bytes(self.array()?);
                self.remember(key)?;
            }
            b'h' => {
                let key = self.byte()?;
                self.recall(key.into())?;
            }
            b'j' => {
                let key = u32::from_le_bytes(self.array()?);
                self.recall(key)?;
            }
            other => {
                return Err(format!("opcode {other:#04x} is not one that a dictionary of tensors needs"));
            }
        }
        Ok(false)
    }

    fn take(&mut self, count: usize) -> Result<&[u8], String> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or("it ends too early")?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.take(N)?.try_into().map_err(|_| "it ends too early".to_owned())
    }

    fn byte(&mut self) -> Result<u8, String> {
        self.array().map(|[byte]| byte)
    }

    fn line(&mut self) -> Result<String, String> {
        let end = self.rest.iter().position(|byte| *byte == b'\n').ok_or("it ends too early")?;
        let line = text(self.take(end)?)?;
        self.byte()?;
        Ok(line)
    }

    /// A whole number of 1 or 2 bytes.
    fn number(&mut self, bytes: usize) -> Result<(), String> {
        let number = self.take(bytes)?.iter().rev().fold(0, |number, byte| number << 8 | i64::from(*byte));
        self.push(Value::Int(number));
        Ok(())
    }

    /// A whole number of as many bytes as the first one says, in two's complement.
    fn long(&mut self) -> Result<(), String> {
        let length = usize::from(self.byte()?);
        let bytes = self.take(length)?;
        if length > 8 {
            return Err("it holds a number of more than 64 bits".to_owned());
        }
        let sign = if bytes.last().is_some_and(|byte| byte & 0x80 != 0) { -1 } else { 0 };
        let number = bytes.iter().rev().fold(sign, |number: i64, byte| number << 8 | i64::from(*byte));
        self.push(Value::Int(number));
        Ok(())
    }

    fn push(&mut self, value: Value) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    fn pop(&mut self) -> Result<Id, String> {
        self.stack.pop().ok_or_else(too_few)
    }

    /// What was pushed since the last mark.
    fn group(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().filter(|mark| *mark <= self.stack.len()).ok_or_else(too_few)?;
        Ok(self.stack.split_off(mark))
    }

    /// Adds items to the list, or keys and values to the dictionary, on top of the stack.
    fn extend(&mut self, items: &[Id]) -> Result<(), String> {
        let top = *self.stack.last().ok_or_else(too_few)?;
        match &mut self.values[top] {
            Value::List(list) => list.extend_from_slice(items),
            Value::Dict(entries) if items.len().is_multiple_of(2) => {
                entries.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1])));
            }
            _ => return Err("it adds items to what is no collection".to_owned()),
        }
        Ok(())
    }

    fn call(&mut self) -> Result<(), String> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let is_dict =
            matches!(&self.values[function], Value::Global(name) if name == "collections.OrderedDict");
        self.push(if is_dict { Value::Dict(Vec::new()) } else { Value::Call { function, arguments } });
        Ok(())
    }

    fn remember(&mut self, key: u32) -> Result<(), String> {
        let top = *self.stack.last().ok_or_else(too_few)?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<(), String> {
        let id = *self.memo.get(&key).ok_or("it refers to a value that is not there")?;
        self.stack.push(id);
        Ok(())
    }
}

fn too_few() -> String {
    "it takes more values than it has".to_owned()
}

fn text(bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| "it holds text that is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(bytes: &[u8]) -> Result<Value, String> {
        read(bytes).map(|pickle| pickle.values[pickle.root].clone())
    }

    #[test]
    fn numbers_are_read_as_python_writes_them() {
        // pickle.dumps(x, 2) for x in (0, 255, 256, 65535, -1, 2**31, -2**31 - 1, 1.5)
        let cases: [(&[u8], Value); 8] = [
            (b"\x80\x02K\x00.", Value::Int(0)),
            (b"\x80\x02K\xff.", Value::Int(255)),
            (b"\x80\x02M\x00\x01.", Value::Int(256)),
            (b"\x80\x02M\xff\xff.", Value::Int(65535)),
            (b"\x80\x02J\xff\xff\xff\xff.", Value::Int(-1)),
            (b"\x80\x02\x8a\x05\x00\x00\x00\x80\x00.", Value::Int(1 << 31)),
            (b"\x80\x02\x8a\x05\xff\xff\xff\x7f\xff.", Value::Int(-(1 << 31) - 1)),
            (b"\x80\x02G?\xf8\x00\x00\x00\x00\x00\x00.", Value::Float(1.5)),
        ];
        for (bytes, value) in cases {
            assert_eq!(root(bytes), Ok(value));
        }
    }

    #[test]
    fn a_call_is_kept_and_not_made() {
        // class Evil: __reduce__ = lambda self: (os.system, ("true",))
        let pickle =
            read(b"\x80\x02cposix\nsystem\nq\x00X\x04\x00\x00\x00trueq\x01\x85q\x02Rq\x03.").unwrap();
        let Value::Call { function, .. } = pickle.values[pickle.root] else { panic!("{pickle:?}") };
        assert_eq!(pickle.values[function], Value::Global("posix.system".to_owned()));
    }

    #[test]
    fn values_that_refer_to_each_other_a_billion_times_take_no_room() {
        let mut bytes = b"\x80\x02X\x03\x00\x00\x00lolq\x00".to_vec();
        for key in 0..200u8 {
            bytes.extend([b'h', key, b'h', key, 0x86, b'q', key + 1]);
        }
        bytes.push(b'.');
        assert_eq!(read(&bytes).unwrap().values.len(), 201);
    }

    #[test]
    fn values_nested_without_end_are_read_and_dropped_without_recursion() {
        let mut bytes = b"\x80\x02N".to_vec();
        bytes.extend(std::iter::repeat_n(0x85, 1_000_000));
        bytes.push(b'.');
        assert_eq!(read(&bytes).unwrap().values.len(), 1_000_001);
    }

    #[test]
    fn damaged_pickles_give_an_error_and_no_panic() {
        let whole = b"\x80\x02}q\x00(X\x01\x00\x00\x00aK\x01X\x01\x00\x00\x00b(K\x02K\x03tq\x01u.";
        assert!(matches!(root(whole), Ok(Value::Dict(entries)) if entries.len() == 2));
        for position in 0..whole.len() {
            assert!(read(&whole[..position]).is_err());
            for flip in 1..=255 {
                let mut damaged = whole.to_vec();
                damaged[position] ^= flip;
                let _ = read(&damaged);
            }
        }
    }
}
