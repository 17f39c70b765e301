//! A JSON tree that can also say what JSON's own trees cannot: keys that occur twice, numbers of any size, bare bytes.

use serde_json::Value;
use sweep::random::Random;

use super::bytes::{damage, edge, one_in};

#[derive(Debug, Clone)]
pub enum Json {
    /// Written as it is.
    Raw(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl From<&Value> for Json {
    fn from(value: &Value) -> Self {
        match value {
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Object(entries) => {
                Self::Object(entries.iter().map(|(key, value)| (key.clone(), value.into())).collect())
            }
            scalar => Self::Raw(scalar.to_string()),
        }
    }
}

impl From<Value> for Json {
    fn from(value: Value) -> Self {
        Self::from(&value)
    }
}

impl Json {
    pub fn parsed(text: &str) -> Self {
        serde_json::from_str::<Value>(text).expect("the corpus is JSON").into()
    }

    pub fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Raw(text) => out.push_str(text),
            Self::Text(text) => out.push_str(&Value::from(text.as_str()).to_string()),
            Self::List(items) => {
                out.push('[');
                for (place, item) in items.iter().enumerate() {
                    out.push_str(if place > 0 { ", " } else { "" });
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(entries) => {
                out.push('{');
                for (place, (key, value)) in entries.iter().enumerate() {
                    out.push_str(if place > 0 { ", " } else { "" });
                    out.push_str(&Value::from(key.as_str()).to_string());
                    out.push_str(": ");
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// Values in the tree, this one included.
    fn size(&self) -> usize {
        1 + match self {
            Self::Raw(_) | Self::Text(_) => 0,
            Self::List(items) => items.iter().map(Self::size).sum(),
            Self::Object(entries) => entries.iter().map(|(_, value)| value.size()).sum(),
        }
    }

    /// The value of this number, counted from the root.
    fn at(&mut self, number: usize) -> &mut Self {
        let mut left = number;
        let mut node = self;
        'down: while left > 0 {
            left -= 1;
            let children: Vec<&mut Self> = match node {
                Self::Raw(_) | Self::Text(_) => unreachable!("a number below the tree's size"),
                Self::List(items) => items.iter_mut().collect(),
                Self::Object(entries) => entries.iter_mut().map(|(_, value)| value).collect(),
            };
            for child in children {
                let size = child.size();
                if left < size {
                    node = child;
                    continue 'down;
                }
                left -= size;
            }
            unreachable!("a number below the tree's size");
        }
        node
    }

    /// A value somewhere in the tree.
    pub fn anywhere(&mut self, random: &mut Random) -> &mut Self {
        let number = random.below(self.size());
        self.at(number)
    }

    /// The value of a key, where this is an object that has it.
    pub fn get(&mut self, wanted: &str) -> Option<&mut Self> {
        let Self::Object(entries) = self else { return None };
        entries.iter_mut().find(|(key, _)| key == wanted).map(|(_, value)| value)
    }

    /// Puts another value in the place of some, and changes keys and the order of things.
    pub fn mutate(&mut self, random: &mut Random) {
        for _ in 0..=random.below(3) {
            self.mutate_once(random);
        }
    }

    fn mutate_once(&mut self, random: &mut Random) {
        let other = self.anywhere(random).clone();
        let key = self.any_key(random);
        let node = self.anywhere(random);
        match (random.below(10), node) {
            (0 | 1, node) => *node = hostile(random),
            (2, node) => *node = other,
            (3, node) => *node = Self::List(vec![node.clone()]),
            (4, node) => *node = Self::Object(vec![(key, node.clone())]),
            (5.., Self::List(items)) if !items.is_empty() => {
                let place = random.below(items.len());
                match random.below(4) {
                    0 => drop(items.remove(place)),
                    1 => items.push(other),
                    2 => random.shuffle(items),
                    _ => {
                        let times = *random.pick(&[1, 2, 50, 300]);
                        let item = items[place].clone();
                        if item.size() < 50 {
                            items.extend(std::iter::repeat_n(item, times));
                        }
                    }
                }
            }
            (5.., Self::Object(entries)) if !entries.is_empty() => {
                let place = random.below(entries.len());
                match random.below(5) {
                    0 => drop(entries.remove(place)),
                    1 => entries[place].0 = key,
                    2 => entries.push((key, other)),
                    3 => random.shuffle(entries),
                    _ => entries.push((entries[place].0.clone(), hostile(random))),
                }
            }
            (_, Self::Text(text)) => mangle(text, random),
            (_, node) => *node = hostile(random),
        }
    }

    fn any_key(&mut self, random: &mut Random) -> String {
        for _ in 0..4 {
            if let Self::Object(entries) = self.anywhere(random)
                && !entries.is_empty()
            {
                return random.pick(entries).0.clone();
            }
        }
        hostile_text(random)
    }

    /// The bytes of the tree, at times damaged.
    pub fn bytes(&self, random: &mut Random) -> Vec<u8> {
        let mut bytes = self.text().into_bytes();
        if one_in(random, 8) {
            damage(&mut bytes, random);
        }
        if one_in(random, 50) {
            bytes.splice(0..0, *b"\xef\xbb\xbf");
        }
        bytes
    }
}

/// A value that a loader may trip over.
pub fn hostile(random: &mut Random) -> Json {
    const NUMBERS: [&str; 20] = [
        "0",
        "-1",
        "1",
        "-0",
        "-0.0",
        "0.5",
        "1e-400",
        "1e308",
        "-1e308",
        "1e19",
        "3.0",
        "4294967295",
        "4294967296",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "123456789012345678901234567890123456789012",
        "0.1e1",
    ];
    match random.below(16) {
        0..=4 => Json::Raw((*random.pick(&NUMBERS)).to_owned()),
        5 => Json::Raw(edge(random).to_string()),
        6 => Json::Raw((*random.pick(&["null", "true", "false"])).to_owned()),
        7..=10 => Json::Text(hostile_text(random)),
        11 => Json::List(Vec::new()),
        12 => Json::Object(Vec::new()),
        13 => {
            Json::List((0..random.below(6)).map(|_| Json::Raw((*random.pick(&NUMBERS)).to_owned())).collect())
        }
        14 => nested(random),
        // What JSON does not have.
        _ => Json::Raw(
            (*random.pick(&["NaN", "1e999", "-Infinity", "\"\\ud800\"", "'a'", "01", "+1"])).to_owned(),
        ),
    }
}

/// Brackets in brackets, closed or not.
fn nested(random: &mut Random) -> Json {
    let depth = *random.pick(&[2, 10, 60, 120, 127, 128, 129, 1000, 10_000]);
    let (open, close) = *random.pick(&[("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")]);
    let inner = if open == "[" { "" } else { "1" };
    Json::Raw(open.repeat(depth) + inner + &close.repeat(depth))
}

pub fn hostile_text(random: &mut Random) -> String {
    const TEXTS: [&str; 24] = [
        "",
        " ",
        "\0",
        "\n",
        "a\tb",
        "../../etc/passwd",
        "/dev/null",
        "..",
        "a/b",
        "\\",
        "\u{feff}",
        "\u{202e}abc",
        "e\u{301}\u{301}\u{301}",
        "\u{1f468}\u{200d}\u{1f469}",
        "\u{10ffff}",
        "\u{130}\u{df}\u{fb03}",
        "中文字",
        "{{ x }}",
        "%s%n",
        "NaN",
        "1e5",
        "no",
        "~",
        "##",
    ];
    match random.below(20) {
        0 => "x".repeat(*random.pick(&[63, 64, 65, 255, 256, 4096])),
        1 => "a b ".repeat(1 + random.below(300)),
        2 if one_in(random, 40) => "long ".repeat(250_000),
        3 => (0..random.below(12)).filter_map(|_| char::from_u32(random.bits() as u32 % 0x11_0000)).collect(),
        _ => (*random.pick(&TEXTS)).to_owned(),
    }
}

/// Changes a text a little.
fn mangle(text: &mut String, random: &mut Random) {
    match random.below(5) {
        0 => text.push_str(&hostile_text(random)),
        1 => *text = hostile_text(random) + text,
        2 => *text = text.chars().take(random.below(text.len() + 1)).collect(),
        3 => *text = text.to_uppercase(),
        _ => *text = text.chars().rev().collect(),
    }
}
