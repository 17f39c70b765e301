//! Lines and columns for a YAML tree, which `serde_yaml` does not give.
//!
//! [`tokens`] cuts the text into scalars with their places, by the surface of YAML's grammar alone.
//! [`Cursor::assign`] then walks the parsed tree in the order of the text and takes for every key and scalar
//! the next token that says the same. Where the two do not meet (a scalar over several lines, an escape) a
//! node has the place of the node around it: a place may be coarse, not wrong.

use super::problem::{Place, Problem};
use super::yaml::{Content, Node};

/// Deeper nesting than this is refused: sweep files need four levels, and the YAML parser's time grows with
/// the square of the depth.
const MAX_DEPTH: usize = 64;

/// So many tokens are passed over in search of the one that a node was written as.
const LOOK_AHEAD: usize = 16;

/// A scalar in the text, an alias (`*name`) or the bracket that opens a list or mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    form: Form,
    text: String,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    Plain,
    Quoted,
    Block,
    Alias,
    Bracket,
}

/// The tokens of a text, in order.
pub fn tokens(text: &str) -> Result<Vec<Token>, Problem> {
    let mut scanner = Scanner { rest: text, line: 1, column: 1, depth: 0, tokens: vec![] };
    scanner.scan()?;
    Ok(scanner.tokens)
}

struct Scanner<'a> {
    rest: &'a str,
    line: usize,
    column: usize,
    /// Open brackets and braces.
    depth: usize,
    tokens: Vec<Token>,
}

impl Scanner<'_> {
    fn scan(&mut self) -> Result<(), Problem> {
        // Indicators such as `- - - x` nest within a line; deeper lines are bounded by the parser itself.
        let mut indicators_in_line = 0;
        let mut indent = 0;
        while let Some(first) = self.rest.chars().next() {
            let place = self.place();
            match first {
                '\n' => {
                    indicators_in_line = 0;
                    self.advance(1);
                    indent = self.rest.len() - self.rest.trim_start_matches(' ').len();
                }
                '#' => self.advance(self.rest.find('\n').unwrap_or(self.rest.len())),
                '[' | '{' => {
                    self.depth += 1;
                    self.push(Form::Bracket, 1, first.to_string());
                }
                ']' | '}' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.advance(1);
                }
                ',' => self.advance(1),
                ':' | '-' | '?' if self.is_indicator() => {
                    indicators_in_line += usize::from(first != ':');
                    self.advance(1);
                }
                '"' | '\'' => self.quoted(first),
                '|' | '>' if self.depth == 0 => self.block(indent),
                '*' => {
                    let length = self.name_length();
                    self.push(Form::Alias, length, String::new());
                }
                // The parser passes over some of them, as if they were not there.
                '!' => return Err(Problem::new(&place, "tags such as `!name` mean nothing here")),
                '&' => self.advance(self.name_length()),
                _ if first.is_whitespace() => self.advance(first.len_utf8()),
                _ => self.plain(),
            }
            if self.depth > MAX_DEPTH || indicators_in_line > MAX_DEPTH {
                return Err(Problem::new(&place, format!("nested more than {MAX_DEPTH} levels deep")));
            }
        }
        Ok(())
    }

    fn place(&self) -> Place {
        Place::File { line: self.line, column: self.column }
    }

    /// Goes on by so many bytes, which must end at a character's border.
    fn advance(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        for character in passed.chars() {
            self.column += 1;
            if character == '\n' {
                self.line += 1;
                self.column = 1;
            }
        }
        self.rest = rest;
    }

    fn push(&mut self, form: Form, bytes: usize, text: String) {
        self.tokens.push(Token { form, text, place: self.place() });
        self.advance(bytes);
    }

    /// `:`, `-` and `?` mean something only before white space, or a colon in brackets before their signs.
    fn is_indicator(&self) -> bool {
        match self.rest.chars().nth(1) {
            None => true,
            Some(next) if next.is_whitespace() => true,
            Some(next) => {
                self.rest.starts_with(':') && self.depth > 0 && matches!(next, ',' | '[' | ']' | '{' | '}')
            }
        }
    }

    /// The length of an anchor, alias or tag.
    fn name_length(&self) -> usize {
        let ends =
            |c: char| c.is_whitespace() || (self.depth > 0 && matches!(c, ',' | '[' | ']' | '{' | '}'));
        self.rest.find(ends).unwrap_or(self.rest.len()).max(1)
    }

    fn quoted(&mut self, quote: char) {
        let mut characters = self.rest.char_indices().skip(1).peekable();
        let mut end = self.rest.len();
        while let Some((index, character)) = characters.next() {
            if character == '\\' && quote == '"' {
                characters.next();
            } else if character == quote {
                if quote == '\'' && characters.peek().is_some_and(|&(_, next)| next == quote) {
                    characters.next();
                    continue;
                }
                end = index + 1;
                break;
            }
        }
        let inside = self.rest.get(1..end.saturating_sub(1)).unwrap_or_default();
        self.push(Form::Quoted, end, inside.replace("''", "'"));
    }

    /// `|` or `>` and the deeper lines below it.
    fn block(&mut self, indent: usize) {
        let mut end = 0;
        for (index, line) in self.rest.split_inclusive('\n').enumerate() {
            let depth = line.len() - line.trim_start_matches(' ').len();
            if index > 0 && depth <= indent && !line.trim().is_empty() {
                break;
            }
            end += line.len();
        }
        // The newline before the next line is left for the scanner, which measures that line's indent.
        let end = if self.rest.get(..end).is_some_and(|block| block.ends_with('\n')) { end - 1 } else { end };
        self.push(Form::Block, end.max(1), String::new());
    }

    fn plain(&mut self) {
        let mut end = self.rest.len();
        let mut previous = ' ';
        let mut characters = self.rest.char_indices().peekable();
        while let Some((index, character)) = characters.next() {
            let next = characters.peek().map_or('\n', |&(_, next)| next);
            let in_brackets = self.depth > 0 && matches!(character, ',' | '[' | ']' | '{' | '}');
            let ends_key = character == ':'
                && (next.is_whitespace() || (self.depth > 0 && matches!(next, ',' | '[' | ']' | '{' | '}')));
            let begins_comment = character == '#' && previous.is_whitespace();
            if character == '\n' || in_brackets || ends_key || begins_comment {
                end = index;
                break;
            }
            previous = character;
        }
        let text = self.rest.get(..end).unwrap_or_default().trim_end().to_owned();
        self.push(Form::Plain, end.max(1), text);
    }
}

/// Hands out the tokens of a text to the nodes of its tree.
pub struct Cursor {
    tokens: Vec<Token>,
    next: usize,
}

impl Cursor {
    pub fn new(tokens: Vec<Token>) -> Self {
        Self { tokens, next: 0 }
    }

    /// Gives every node of the tree its place.
    pub fn assign(&mut self, root: &mut Node) {
        self.assign_within(root, &Place::File { line: 1, column: 1 });
    }

    fn assign_within(&mut self, node: &mut Node, around: &Place) {
        node.place = around.clone();
        if let Some(alias) = self.take_if(|token| token.form == Form::Alias) {
            // All of what an alias stands for was written where the anchor is; the alias is what matters here.
            place_all(node, &alias);
            return;
        }
        match &mut node.content {
            Content::Null => {
                if let Some(place) =
                    self.take_if(|token| matches!(token.text.as_str(), "~" | "null" | "Null" | "NULL"))
                {
                    node.place = place;
                }
            }
            Content::List(items) => {
                if let Some(place) = self.take_if(|token| token.text == "[" && token.form == Form::Bracket) {
                    node.place = place;
                }
                let around = node.place.clone();
                items.iter_mut().for_each(|item| self.assign_within(item, &around));
            }
            Content::Map(entries) => {
                if let Some(place) = self.take_if(|token| token.text == "{" && token.form == Form::Bracket) {
                    node.place = place;
                }
                let around = node.place.clone();
                for entry in entries {
                    let key = self.find(|token| token.text == entry.key);
                    entry.key_place = key.unwrap_or_else(|| around.clone());
                    self.assign_within(&mut entry.value, &entry.key_place);
                }
            }
            content => {
                if let Some(place) = self.find(|token| says(token, content)) {
                    node.place = place;
                }
            }
        }
    }

    /// The place of the very next token, taken if it fits.
    fn take_if(&mut self, fits: impl Fn(&Token) -> bool) -> Option<Place> {
        let token = self.tokens.get(self.next).filter(|token| fits(token))?;
        self.next += 1;
        Some(token.place.clone())
    }

    /// The place of the next token that fits, a few that do not passed over.
    fn find(&mut self, fits: impl Fn(&Token) -> bool) -> Option<Place> {
        let found = self.tokens.iter().skip(self.next).take(LOOK_AHEAD).position(fits)?;
        self.next += found + 1;
        self.tokens.get(self.next - 1).map(|token| token.place.clone())
    }
}

/// Gives a node and all it contains one place.
pub fn place_all(node: &mut Node, place: &Place) {
    map_places(node, &|_| place.clone());
}

/// Changes the places of a node and of all it contains.
pub fn map_places(node: &mut Node, change: &impl Fn(&Place) -> Place) {
    node.place = change(&node.place);
    match &mut node.content {
        Content::List(items) => items.iter_mut().for_each(|item| map_places(item, change)),
        Content::Map(entries) => {
            for entry in entries {
                entry.key_place = change(&entry.key_place);
                map_places(&mut entry.value, change);
            }
        }
        _ => {}
    }
}

/// Whether a token can be what a scalar was written as.
fn says(token: &Token, content: &Content) -> bool {
    match (content, token.form) {
        (Content::Text(_), Form::Block) => true,
        (Content::Text(text), Form::Quoted) => token.text == *text || token.text.contains(['\\', '\n']),
        (Content::Text(text), Form::Plain) => token.text == *text,
        (Content::Flag(flag), Form::Plain) => token.text.eq_ignore_ascii_case(&flag.to_string()),
        (Content::Whole(_) | Content::Number(_), Form::Plain) => {
            token.text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-' | '.'))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::yaml;
    use super::*;

    /// Every key and scalar of a text as `line:column`, in order.
    fn places(text: &str) -> Vec<String> {
        fn collect(node: &Node, out: &mut Vec<String>) {
            let show = |what: &str, place: &Place| match place {
                Place::File { line, column } => format!("{what}@{line}:{column}"),
                Place::Base { .. } | Place::Override(_) => "?".to_owned(),
            };
            match &node.content {
                Content::List(items) => items.iter().for_each(|item| collect(item, out)),
                Content::Map(entries) => {
                    for entry in entries {
                        out.push(show(&entry.key, &entry.key_place));
                        collect(&entry.value, out);
                    }
                }
                Content::Text(text) => out.push(show(text.trim_end(), &node.place)),
                _ => out.push(show(&node.shown(), &node.place)),
            }
        }
        let mut out = Vec::new();
        collect(&yaml::parse(text).unwrap(), &mut out);
        out
    }

    #[test]
    fn block_and_flow_style_are_placed_to_the_character() {
        let text = "# comment: [1\na: 1   # b: 2\nb:\n  - x\n  -  {c: 'it''s', \"d\": [1e-5,-2]}\n  - - 3\né: é: not a key\n";
        let text = text.replace("é: é: not a key", "é: ü:x");
        assert_eq!(
            places(&text),
            [
                "a@2:1",
                "1@2:4",
                "b@3:1",
                "x@4:5",
                "c@5:7",
                "it's@5:10",
                "d@5:19",
                "1e-5@5:25",
                "-2@5:30",
                "3@6:7",
                "é@7:1",
                "ü:x@7:4"
            ]
        );
    }

    #[test]
    fn carriage_returns_tabs_byte_order_marks_and_document_markers_do_not_shift_places() {
        assert_eq!(places("\u{feff}--- \r\na: 1\r\nb: \t2\r\n...\r\n"), ["a@2:1", "1@2:4", "b@3:1", "2@3:5"]);
    }

    #[test]
    fn scalars_over_several_lines_do_not_shift_the_places_behind_them() {
        let text =
            "a: |\n  b: 1\n  c: 2\n\nb: >-\n    x: 1\nc: \"one\n  d: two\"\nd: plain\n  e: words\ne: 1\n";
        let text = text.replace("e: words", "more words");
        let places = places(&text);
        for expected in ["a@1:1", "b@5:1", "c@7:1", "d@9:1", "e@11:1", "1@11:4"] {
            assert!(places.contains(&expected.to_owned()), "{expected} is not in {places:?}");
        }
    }

    #[test]
    fn empty_values_have_the_place_of_their_key() {
        assert_eq!(
            places("a:\nb: ~\nc: {d: , e}\n"),
            [
                "a@1:1",
                "empty@1:1",
                "b@2:1",
                "empty@2:4",
                "c@3:1",
                "d@3:5",
                "empty@3:5",
                "e@3:10",
                "empty@3:10"
            ]
        );
    }

    #[test]
    fn anchors_tags_and_aliases_are_not_mistaken_for_values() {
        assert_eq!(
            places("a: &x [1, 2]\nb: *x\nc: &y 3\n"),
            ["a@1:1", "1@1:8", "2@1:11", "b@2:1", "1@2:4", "2@2:4", "c@3:1", "3@3:7"]
        );
    }
}
