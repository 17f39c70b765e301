//! Regular expressions over UTF-16 units, in a small notation.
//!
//! `ab` a sequence, `a|b` a choice, `(...)` a group, `?` `*` `+` `{2}` `{2,4}` repetitions, `[a-z]` and `[^a-z]` a set of
//! units, `{name}` an expression that was named before, `\u{2019}` a unit by its number, `\` before a character that would
//! mean something. Letters match in either case, but in brackets as they are: so they do where the rules come from.

use std::collections::HashMap;

/// Inclusive ranges of units.
pub type Units = Vec<(u16, u16)>;

/// A parsed expression.
#[derive(Clone)]
pub enum Pattern {
    One(Units),
    Sequence(Vec<Pattern>),
    Choice(Vec<Pattern>),
    Repeat(Box<Pattern>, usize, Option<usize>),
}

impl Pattern {
    /// How many units every match has; none where that differs.
    pub fn length(&self) -> Option<usize> {
        match self {
            Self::One(_) => Some(1),
            Self::Sequence(items) => items.iter().map(Self::length).sum(),
            Self::Choice(items) => {
                let mut lengths = items.iter().map(Self::length);
                let first = lengths.next()??;
                lengths.all(|length| length == Some(first)).then_some(first)
            }
            Self::Repeat(item, least, most) => {
                if *most == Some(*least) {
                    Some(item.length()? * least)
                } else {
                    None
                }
            }
        }
    }
}

/// Parses an expression; none where it is malformed or names what is not there.
pub fn parse(text: &str, names: &HashMap<&str, Pattern>) -> Option<Pattern> {
    let mut parser = Parser { rest: text.chars().collect(), next: 0, names };
    let pattern = parser.choice()?;
    (parser.next == parser.rest.len()).then_some(pattern)
}

/// All units that are in none of the ranges.
pub fn complement(units: &Units) -> Units {
    let mut sorted = units.clone();
    sorted.sort_unstable();
    let mut start: u32 = 0;
    let mut gaps = Vec::new();
    for (low, high) in sorted {
        if u32::from(low) > start {
            gaps.push((start as u16, low - 1));
        }
        start = start.max(u32::from(high) + 1);
    }
    if start <= u32::from(u16::MAX) {
        gaps.push((start as u16, u16::MAX));
    }
    gaps
}

struct Parser<'a> {
    rest: Vec<char>,
    next: usize,
    names: &'a HashMap<&'a str, Pattern>,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.get(self.next).copied()
    }

    fn take(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.next += 1;
        Some(next)
    }

    fn accept(&mut self, expected: char) -> bool {
        let found = self.peek() == Some(expected);
        self.next += usize::from(found);
        found
    }

    fn choice(&mut self) -> Option<Pattern> {
        let mut choices = vec![self.sequence()?];
        while self.accept('|') {
            choices.push(self.sequence()?);
        }
        Some(if choices.len() == 1 { choices.pop()? } else { Pattern::Choice(choices) })
    }

    fn sequence(&mut self) -> Option<Pattern> {
        let mut items = Vec::new();
        while self.peek().is_some_and(|c| !matches!(c, '|' | ')')) {
            let item = self.item()?;
            items.push(self.repeated(item)?);
        }
        Some(Pattern::Sequence(items))
    }

    fn repeated(&mut self, item: Pattern) -> Option<Pattern> {
        let counted =
            self.peek() == Some('{') && self.rest.get(self.next + 1).is_some_and(char::is_ascii_digit);
        let (least, most) = match self.peek() {
            Some('?') => (0, Some(1)),
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('{') if counted => {
                self.next += 1;
                let counts: String = std::iter::from_fn(|| self.take().filter(|&c| c != '}')).collect();
                let (least, most) = counts.split_once(',').unwrap_or((&counts, &counts));
                return Some(Pattern::Repeat(Box::new(item), least.parse().ok()?, Some(most.parse().ok()?)));
            }
            _ => return Some(item),
        };
        self.next += 1;
        Some(Pattern::Repeat(Box::new(item), least, most))
    }

    fn item(&mut self) -> Option<Pattern> {
        match self.take()? {
            '(' => {
                let inner = self.choice()?;
                self.accept(')').then_some(inner)
            }
            '[' => self.set(),
            '{' => {
                let name: String = std::iter::from_fn(|| self.take().filter(|&c| c != '}')).collect();
                self.names.get(name.as_str()).cloned()
            }
            '\\' => {
                let unit = self.escaped()?;
                Some(Pattern::One(vec![(unit, unit)]))
            }
            ')' | ']' | '}' | '?' | '*' | '+' => None,
            c => Some(Pattern::One(either_case(c))),
        }
    }

    fn set(&mut self) -> Option<Pattern> {
        let negated = self.accept('^');
        let mut units = Units::new();
        while !self.accept(']') {
            let low = self.member()?;
            let is_range = self.peek() == Some('-') && self.rest.get(self.next + 1) != Some(&']');
            let high = if is_range {
                self.next += 1;
                self.member()?
            } else {
                low
            };
            units.push((low, high));
        }
        Some(Pattern::One(if negated { complement(&units) } else { units }))
    }

    fn member(&mut self) -> Option<u16> {
        match self.take()? {
            '\\' => self.escaped(),
            c => u16::try_from(u32::from(c)).ok(),
        }
    }

    /// What stands behind a backslash.
    fn escaped(&mut self) -> Option<u16> {
        let c = match self.take()? {
            't' => '\t',
            'n' => '\n',
            'r' => '\r',
            'f' => '\u{c}',
            'u' => {
                self.accept('{').then_some(())?;
                let digits: String = std::iter::from_fn(|| self.take().filter(|&c| c != '}')).collect();
                return u16::from_str_radix(&digits, 16).ok();
            }
            c => c,
        };
        u16::try_from(u32::from(c)).ok()
    }
}

/// A letter in both cases. As in the scanner generator that Stanford used, the signs that have s, k or i for their
/// other case are among them.
fn either_case(c: char) -> Units {
    let others = match c.to_ascii_lowercase() {
        's' => "sS\u{17f}",
        'k' => "kK\u{212a}",
        'i' => "iI\u{130}\u{131}",
        _ => "",
    };
    let cases = [c.to_ascii_lowercase(), c.to_ascii_uppercase()];
    let all = others.chars().chain(cases).filter_map(|c| u16::try_from(u32::from(c)).ok());
    all.map(|unit| (unit, unit)).collect()
}
