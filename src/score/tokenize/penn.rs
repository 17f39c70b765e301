//! Words in the manner of the Penn Treebank, as the COCO evaluation prepares captions.
//!
//! The COCO evaluation writes all captions into a file, one a line, runs Stanford's `PTBTokenizer` (3.4.1,
//! `-preserveLines -lowerCase`) on it and drops punctuation. This is an independent scanner, made after that
//! program's output. It reads UTF-16 units as Java does: a character beyond them is two that no rule knows. Quirks
//! are kept since they move scores: brackets become `-lrb-` and `-rrb-`, which in lower case are not dropped;
//! neither are `?!` and `!!`; `5 7/8` is one token that holds a no-break space; emoji vanish.
//!
//! Two things are not copied, for a caption's words must not depend on its neighbours in a file. Stanford's program
//! reads on beyond a caption's end: `no.` there keeps its full stop if the next caption begins with a digit, so does a single letter before `The` or `A`, a tag
//! that is left open swallows lines, and a smiley at the end of the last line is taken apart. And characters other
//! than a line feed that end a line there (carriage return, U+000B, U+000C, U+0085, U+2028, U+2029) shift all later
//! captions to a wrong image; here they are white space. A third is too rare to matter: a Greek capital sigma behind
//! a digit at the end of a word.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::LazyLock;

use super::automaton::{Network, Scanner, split};
use super::pattern::{self, Pattern};
use super::penn_characters;
use super::penn_names::NAMES;
use super::penn_rules::{Form, RULES};
use super::whitespace::is_space;

/// The tokens that the COCO evaluation drops. The upper-case brackets of its list never occur, for the
/// text is lower case by then.
const DROPPED: [&str; 13] = ["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"];

/// What stands behind a caption in the file: the end of its line and another caption.
const NEXT_CAPTION: &str = "\nx";

static GRAMMAR: LazyLock<Grammar> = LazyLock::new(|| Grammar::new().expect("the rules are well formed"));

thread_local! {
    static SCANNER: RefCell<Scanner<'static>> = RefCell::new(Scanner::new(&GRAMMAR.network));
}

/// The tokens of one caption in lower case, without punctuation. A token may hold a no-break space.
pub fn penn_tokens(text: &str) -> Vec<String> {
    let units: Vec<u16> = text.encode_utf16().collect();
    let mut tokens = SCANNER.with_borrow_mut(|scanner| scan(scanner, units));
    trim_end(&mut tokens);
    tokens.retain(|token| !DROPPED.contains(&token.as_str()));
    tokens
}

fn scan(scanner: &mut Scanner, mut units: Vec<u16>) -> Vec<String> {
    let end = units.len();
    units.extend(NEXT_CAPTION.encode_utf16());
    scanner.begin();
    let mut tokens = Vec::new();
    let mut position = 0;
    while position < end {
        let Some((number, matched)) = scanner.longest(&units, position) else {
            position += 1;
            continue;
        };
        let matched = units.get(position..position + matched).unwrap_or_default();
        let length = GRAMMAR.token_length(number, matched).max(1);
        let form = RULES.get(number).map_or(Form::Nothing, |rule| rule.form);
        let text = String::from_utf16_lossy(matched.get(..length).unwrap_or_default());
        tokens.extend(write(form, text).map(lower));
        position += length;
    }
    tokens
}

/// In lower case, without a copy where that can be had.
fn lower(mut token: String) -> String {
    if !token.is_ascii() {
        return token.to_lowercase();
    }
    token.make_ascii_lowercase();
    token
}

/// The evaluation strips lines of white space at their end, which addresses may hold.
fn trim_end(tokens: &mut Vec<String>) {
    while let Some(last) = tokens.pop() {
        let trimmed = last.trim_end_matches(is_space);
        if !trimmed.is_empty() {
            tokens.push(trimmed.to_owned());
            return;
        }
    }
}

/// The rules, ready to match.
struct Grammar {
    network: Network,
    /// Where the token of each rule ends in what the rule matched.
    ends: Vec<End>,
}

/// How a token is told from what has to follow it.
enum End {
    /// So many units before the end of the match.
    Before(usize),
    /// Where the first network has matched as much as it can so that the second matches the rest.
    Between(Network, Network),
}

impl Grammar {
    fn new() -> Option<Self> {
        let mut names = HashMap::new();
        for (name, list) in [
            ("letter", penn_characters::LETTERS),
            ("mark", penn_characters::MARKS),
            ("digit", penn_characters::DIGITS),
            ("symbol", penn_characters::SYMBOLS),
        ] {
            names.insert(name, Pattern::One(penn_characters::units(list)));
        }
        for (name, text) in NAMES {
            let pattern = pattern::parse(text, &names)?;
            names.insert(name, pattern);
        }
        let mut wholes = Vec::new();
        let mut ends = Vec::new();
        for rule in RULES {
            let (token, before) = (pattern::parse(rule.token, &names)?, pattern::parse(rule.before, &names)?);
            ends.push(match (before.length(), rule.form) {
                (Some(length), _) => End::Before(length),
                // The form says how long the token is.
                (None, Form::First(_)) => End::Before(0),
                (None, _) => End::Between(Network::new(&[&token]), Network::new(&[&before])),
            });
            wholes.push(Pattern::Sequence(vec![token, before]));
        }
        Some(Self { network: Network::new(&wholes.iter().collect::<Vec<_>>()), ends })
    }

    /// How long the token is of what a rule has matched.
    fn token_length(&self, rule: usize, matched: &[u16]) -> usize {
        match (RULES.get(rule).map(|rule| rule.form), self.ends.get(rule)) {
            (Some(Form::First(length)), _) => length,
            (_, Some(End::Before(length))) => matched.len() - length,
            (_, Some(End::Between(token, before))) => split(matched, token, before).unwrap_or(matched.len()),
            (_, None) => matched.len(),
        }
    }
}

/// The text of a token as its form wants it; none if it is not written.
fn write(form: Form, text: String) -> Option<String> {
    Some(match form {
        Form::Nothing => return None,
        Form::Plain | Form::First(_) => text,
        Form::As(text) => text.to_owned(),
        Form::NoSoftHyphens if !text.contains('\u{ad}') => text,
        Form::NoSoftHyphens => {
            let text = text.replace('\u{ad}', "");
            if text.is_empty() { "-".to_owned() } else { text }
        }
        Form::OneWord => text.replace(' ', "\u{a0}"),
        Form::Phone => brackets(&text.replace(' ', "\u{a0}")),
        Form::Face => brackets(&text),
        Form::Quotes => text.replace("&apos;", "'").replace("&quot;", "\"").chars().map(quote).collect(),
        Form::Ampersand => text.to_lowercase().replace("&amp;", "&"),
    })
}

fn brackets(text: &str) -> String {
    text.replace('(', "-lrb-").replace(')', "-rrb-")
}

fn quote(c: char) -> String {
    match c {
        '\u{91}' | '\u{2018}' | '\u{201b}' | '\u{2039}' => "`".to_owned(),
        '\u{92}' | '\u{2019}' | '\u{203a}' => "'".to_owned(),
        '\u{93}' | '\u{201c}' | '\u{ab}' => "``".to_owned(),
        '"' | '\u{94}' | '\u{201d}' | '\u{bb}' => "''".to_owned(),
        c => c.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> String {
        penn_tokens(text).join("|")
    }

    #[test]
    fn punctuation_goes_and_compounds_stay() {
        assert_eq!(tokens("A T-shirt, v-neck; 3/4 sleeves."), "a|t-shirt|v-neck|3/4|sleeves");
        assert_eq!(tokens("short - sleeve - - top"), "short|sleeve|top");
    }

    #[test]
    fn contractions_are_split() {
        assert_eq!(tokens("She's, isn\u{2019}t, cannot"), "she|'s|is|n't|can|not");
        assert_eq!(tokens("CANNOT's cannot-do"), "cannot|'s|cannot-do");
    }

    #[test]
    fn abbreviations_keep_their_full_stop_and_sentences_lose_it() {
        assert_eq!(tokens("Mr. X. e.g. this. No. 5 or no."), "mr.|x.|e.g.|this|no.|5|or|no");
        assert_eq!(tokens("a shirt., t5.; v-neck. it"), "a|shirt.|t5.|v-neck|it");
        assert_eq!(tokens("size L. The lady. size l. the lady"), "size|l|the|lady|size|l.|the|lady");
        assert_eq!(tokens("Mass. mass."), "mass.|mass");
    }

    #[test]
    fn brackets_in_lower_case_are_not_dropped() {
        assert_eq!(tokens("(a) [b] what?!"), "-lrb-|a|-rrb-|-lsb-|b|-rsb-|what|?!");
    }

    #[test]
    fn characters_beyond_the_first_plane_vanish_and_a_line_break_is_a_space() {
        assert_eq!(tokens("a\u{1f389}b \u{20000}\nc\rd\u{2028}e"), "a|b|c|d|e");
    }

    #[test]
    fn every_text_ends_and_no_token_is_empty_or_dropped_punctuation() {
        const NASTY: &str =
            "ans5 '\u{2019}.,-_/:;&<>()!?@#$*\u{ad}\u{1f389}\u{bd}\u{130}\u{a0}\0tLm\"`\u{300}";
        let alphabet: Vec<char> = NASTY.chars().collect();
        let mut random = crate::random::Random::new(1, "penn", &[]);
        for _ in 0..3000 {
            let text: String = (0..random.below(12)).map(|_| *random.pick(&alphabet)).collect();
            for token in penn_tokens(&text) {
                assert!(!token.is_empty() && !DROPPED.contains(&token.as_str()), "{text:?}");
            }
        }
    }

    #[test]
    fn a_megabyte_that_might_be_the_start_of_an_address_takes_no_longer_than_its_length() {
        // From each of the letters an address could begin, and only the end tells that none does.
        let text = "a;".repeat(1 << 19);
        assert_eq!(penn_tokens(&text).len(), 1 << 19);
    }
}
