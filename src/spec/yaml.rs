//! YAML text to a tree of [`Node`]s that know their places. The only file that knows `serde_yaml`.
//!
//! Numbers follow YAML 1.2: `1e-5` is a number, `"1e-5"` and `no` are strings. Nothing in a text makes this
//! panic or take long: size, nesting and the number of nodes (which aliases multiply) are bounded.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, Visitor};

use super::position::{self, Cursor};
use super::problem::{Place, Problem, quoted};

/// The largest sweep file that is read.
pub const MAX_BYTES: usize = 1 << 20;

/// More values than a file of the largest size needs, and few enough to hold in memory.
const MAX_NODES: usize = 200_000;

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub content: Content,
    pub place: Place,
}

/// What a node says.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    Null,
    Flag(bool),
    Whole(i128),
    Number(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and its value. Keys that are not strings are taken as they are spelt; a key may occur twice.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub key: String,
    pub key_place: Place,
    pub value: Node,
}

impl Node {
    /// The value in an error message.
    pub fn shown(&self) -> String {
        match &self.content {
            Content::Null => "empty".to_owned(),
            Content::Flag(flag) => format!("`{flag}`"),
            Content::Whole(number) => number.to_string(),
            Content::Number(number) => shortest(*number),
            Content::Text(text) => format!("the text {}", quoted(text)),
            Content::List(_) => "a list".to_owned(),
            Content::Map(_) => "a mapping".to_owned(),
        }
    }
}

/// A number as people write it: `0.05`, `1e-5`.
pub fn shortest(number: f64) -> String {
    let (plain, scientific) = (number.to_string(), format!("{number:e}"));
    if plain.len() <= scientific.len() + 1 { plain } else { scientific }
}

/// The tree of one YAML document.
pub fn parse(text: &str) -> Result<Node, Problem> {
    if text.len() > MAX_BYTES {
        let message = format!("the file has more than {MAX_BYTES} bytes");
        return Err(Problem::new(&Place::FILE, message));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // The parser behind `serde_yaml` takes quadratic time over deep nesting, so it never sees any.
    let tokens = position::tokens(text)?;
    let mut node = parse_unplaced(text)?;
    Cursor::new(tokens).assign(&mut node);
    Ok(node)
}

/// One value or several of an override, read as the items of a YAML list in brackets.
pub fn parse_items(text: &str) -> Result<Vec<Node>, String> {
    match parse(&format!("[{text}]")) {
        Ok(Node { content: Content::List(items), .. }) => Ok(items),
        Ok(_) => Err("is more than a list of values".to_owned()),
        Err(problem) => Err(problem.message),
    }
}

fn parse_unplaced(text: &str) -> Result<Node, Problem> {
    let budget = Cell::new(MAX_NODES);
    match NodeSeed(&budget).deserialize(serde_yaml::Deserializer::from_str(text)) {
        Ok(node) => Ok(node),
        Err(error) => {
            let place = match error.location() {
                Some(location) => Place::File { line: location.line(), column: location.column() },
                None => Place::FILE,
            };
            // The location is said once, in front.
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or_default().trim_end_matches('.');
            Err(Problem::new(&place, in_plain_words(message, text, &place)))
        }
    }
}

/// What the parser says, in words that tell what would be right.
fn in_plain_words(message: &str, text: &str, place: &Place) -> String {
    let line = match place {
        Place::File { line, .. } => text.lines().nth(line.saturating_sub(1)).unwrap_or_default(),
        _ => "",
    };
    let indentation = &line[..line.len() - line.trim_start().len()];
    match message {
        _ if indentation.contains('\t') => "the line is indented by a tab; YAML takes spaces".to_owned(),
        "repetition limit exceeded" => "aliases (`*name`) stand for more values than are read".to_owned(),
        "recursion limit exceeded" => "an alias (`*name`) stands for a value that it is part of".to_owned(),
        _ if message.contains("more than one document") => {
            "the file holds more than one document; a sweep is one, without lines of `---` in between"
                .to_owned()
        }
        _ => message.to_owned(),
    }
}

/// Reads a node while nodes are left in the budget.
struct NodeSeed<'a>(&'a Cell<usize>);

impl<'de> DeserializeSeed<'de> for NodeSeed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        match self.0.get().checked_sub(1) {
            Some(left) => self.0.set(left),
            None => return Err(serde::de::Error::custom(format!("more than {MAX_NODES} values"))),
        }
        let content = deserializer.deserialize_any(ContentVisitor(self.0))?;
        Ok(Node { content, place: Place::FILE })
    }
}

struct ContentVisitor<'a>(&'a Cell<usize>);

impl<'de> Visitor<'de> for ContentVisitor<'_> {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_none<E>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Content, E> {
        Ok(Content::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Content, E> {
        Ok(Content::Whole(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Content, E> {
        Ok(Content::Whole(number.into()))
    }

    fn visit_i128<E>(self, number: i128) -> Result<Content, E> {
        Ok(Content::Whole(number))
    }

    fn visit_u128<E>(self, number: u128) -> Result<Content, E> {
        Ok(i128::try_from(number).map_or(Content::Number(number as f64), Content::Whole))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Content, E> {
        Ok(Content::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Content, E> {
        Ok(Content::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Content, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(NodeSeed(self.0))? {
            list.push(item);
        }
        Ok(Content::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Content, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key_seed(NodeSeed(self.0))? {
            let key = match key.content {
                Content::Text(text) => text,
                Content::List(_) | Content::Map(_) => {
                    return Err(serde::de::Error::custom("a key is a list or a mapping; keys are names"));
                }
                _ => key.shown().replace('`', ""),
            };
            let value = entries.next_value_seed(NodeSeed(self.0))?;
            map.push(Entry { key, key_place: Place::FILE, value });
        }
        Ok(Content::Map(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _tagged: A) -> Result<Content, A::Error> {
        Err(serde::de::Error::custom("tags such as `!name` mean nothing here"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn content(text: &str) -> Content {
        parse(text).unwrap().content
    }

    #[test]
    fn numbers_follow_yaml_1_2() {
        for text in ["1e-5", "0.00001", "1.0e-05", "1E-5", "+1e-5"] {
            assert_eq!(content(text), Content::Number(1e-5), "{text}");
        }
        assert_eq!(content("1000000000000000000000"), Content::Whole(10_i128.pow(21)));
        assert_eq!(content("0x10"), Content::Whole(16));
        assert_eq!(content("-3"), Content::Whole(-3));
        assert_eq!(content(".inf"), Content::Number(f64::INFINITY));
        for text in ["\"1e-5\"", "no", "1_000", "1e400", "012", "1e-5x"] {
            assert!(matches!(content(text), Content::Text(_)), "{text}");
        }
    }

    #[test]
    fn numbers_are_shown_as_people_write_them() {
        let shown: Vec<_> = [0.05, 1e-5, 3e-5, 0.1, 1.0, -0.0, 1e20, 123.456, 5e-4].map(shortest).into();
        assert_eq!(shown, ["0.05", "1e-5", "3e-5", "0.1", "1", "-0", "1e20", "123.456", "5e-4"]);
    }

    #[test]
    fn duplicate_keys_are_kept_for_the_reader_to_refuse() {
        let Content::Map(entries) = content("a: 1\na: 2\n1: 3\ntrue: 4") else { panic!("not a mapping") };
        assert_eq!(
            entries.iter().map(|entry| entry.key.as_str()).collect::<Vec<_>>(),
            ["a", "a", "1", "true"]
        );
    }

    #[test]
    fn what_is_not_one_plain_document_is_refused() {
        let refused = |text: &str| parse(text).unwrap_err();
        assert!(refused("a: 1\n---\nb: 2").message.contains("more than one document"));
        assert!(refused("!python/object:os.system x").message.starts_with("tags such as"));
        assert!(refused("{[1]: 2}").message.contains("keys are names"));
        assert!(refused("a: b: c").message.contains("mapping values are not allowed"));
        assert_eq!(refused("x: [1,\ny: 2").place, Place::File { line: 3, column: 1 });
        assert!(refused(&" ".repeat(MAX_BYTES + 1)).message.contains("more than 1048576 bytes"));
    }

    #[test]
    fn bombs_are_refused_quickly() {
        let mut aliases = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..10 {
            let items = vec![format!("*a{}", level - 1); 10].join(", ");
            aliases += &format!("a{level}: &a{level} [{items}]\n");
        }
        let nested_lists = "[".repeat(MAX_BYTES);
        let nested_maps = "{a: ".repeat(MAX_BYTES / 4);
        let nested_items = "- ".repeat(MAX_BYTES / 2);
        let question_marks = "? ".repeat(MAX_BYTES / 2);
        let indented: String = (0..1000).map(|depth| " ".repeat(depth) + "a:\n").collect();
        let many = "- 1\n".repeat(MAX_BYTES / 4);
        for text in [aliases, nested_lists, nested_maps, nested_items, question_marks, indented, many] {
            let start = std::time::Instant::now();
            parse(&text).unwrap_err();
            assert!(start.elapsed().as_secs() < 2, "{} took {:?}", &text[..20], start.elapsed());
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[a-c0-9 \\n\\t:,#'\"&*!|>\\[\\]{}?%@`\\\\.~-]{0,60}") {
            let _ = parse(&text);
        }
    }
}
