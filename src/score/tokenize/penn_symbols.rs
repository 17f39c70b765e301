//! The part of the Penn scanner that reads what does not begin with a letter or digit.

use super::penn::{Token, is_apostrophe, is_letter, run};

/// The token at the start of the text: quotes, brackets, currency, runs of punctuation, markup, symbols.
/// Its text is empty for a character that the evaluation deletes.
pub(super) fn symbol(rest: &[char]) -> Token {
    let Some(&first) = rest.first() else { return Token::replacing(0, "") };
    let second = rest.get(1).copied().unwrap_or(' ');
    match first {
        c if is_apostrophe(c) => apostrophe(rest),
        ':' | ';' | '=' => emoticon(rest),
        '.' => Token::replacing(run(rest, 0, |c| c == '.'), "."),
        '-' => hyphens(rest),
        '?' | '!' => Token::plain(rest, run(rest, 0, |c| matches!(c, '?' | '!'))),
        '*' | '_' => Token::plain(rest, run(rest, 0, |c| c == first)),
        '#' if is_letter(second) => Token::plain(rest, 1 + run(rest, 1, is_letter)),
        '@' if second.is_ascii_alphabetic() || second == '_' => {
            Token::plain(rest, 1 + run(rest, 1, |c| c.is_ascii_alphanumeric() || c == '_'))
        }
        '#' | '@' => Token::plain(rest, run(rest, 0, |c| c == first)),
        '<' => markup(rest).unwrap_or_else(|| doubled(rest, first)),
        '>' => doubled(rest, first),
        '&' => entity(rest),
        _ => replacement(first).map_or_else(|| Token::plain(rest, 1), |text| Token::replacing(1, text)),
    }
}

/// What a single character is written as, where it is not written as itself.
fn replacement(c: char) -> Option<&'static str> {
    Some(match c {
        '(' => "-lrb-",
        ')' => "-rrb-",
        '[' => "-lsb-",
        ']' => "-rsb-",
        '{' => "-lcb-",
        '}' => "-rcb-",
        '"' | '\u{201d}' | '\u{94}' | '\u{bb}' => "''",
        '\u{201c}' | '\u{93}' | '\u{ab}' => "``",
        '\u{2018}' | '\u{201b}' | '\u{2039}' | '\u{91}' => "`",
        '\u{203a}' => "'",
        '\u{2013}'..='\u{2015}' | '\u{96}' | '\u{97}' => "--",
        '\u{2026}' => "...",
        '\u{a2}' => "cents",
        '\u{a3}' => "#",
        '\u{20ac}' | '\u{a4}' => "$",
        '\u{bc}' => "1/4",
        '\u{bd}' => "1/2",
        '\u{be}' => "3/4",
        '\u{2153}' => "1/3",
        // Characters outside the basic plane, such as emoji, are deleted.
        c if c > '\u{ffff}' => "",
        _ => return None,
    })
}

/// An apostrophe with what belongs to it: `'s`, `'til`, `'90s`, `'n'`; alone it is a quotation mark.
fn apostrophe(rest: &[char]) -> Token {
    let letters = run(rest, 1, is_letter);
    let word: String = rest.iter().skip(1).take(letters).collect();
    match word.as_str() {
        // The endings of contractions are written with a straight apostrophe, the rest as they are.
        "s" | "m" | "d" | "re" | "ve" | "ll" => {
            return Token { text: format!("'{word}"), length: 1 + letters };
        }
        "em" | "til" | "till" | "cause" => return Token::plain(rest, 1 + letters),
        "tis" | "twas" => return Token::plain(rest, 2),
        "n" => {
            let closed = rest.get(2).is_some_and(|&c| is_apostrophe(c));
            return Token::plain(rest, if closed { 3 } else { 2 });
        }
        _ => {}
    }
    let digits = run(rest, 1, |c| c.is_ascii_digit());
    let after = rest.get(1 + digits).copied();
    if digits == 2 && after == Some('s') && rest.get(2) == Some(&'0') {
        return Token::plain(rest, 4);
    }
    if digits == 2 && after.is_none_or(char::is_whitespace) {
        return Token::plain(rest, 3);
    }
    Token::replacing(1, "'")
}

/// `:)`, `;-(` and their like; else the first character alone.
fn emoticon(rest: &[char]) -> Token {
    let nose = usize::from(rest.get(1) == Some(&'-'));
    let mouth = match rest.get(1 + nose) {
        Some('(') => "-lrb-",
        Some(')') => "-rrb-",
        _ => return Token::plain(rest, 1),
    };
    let eyes: String = rest.iter().take(1 + nose).collect();
    Token { text: eyes + mouth, length: 2 + nose }
}

/// A dash, or the sign of a number.
fn hyphens(rest: &[char]) -> Token {
    let length = run(rest, 0, |c| c == '-');
    match length {
        3 | 4 => Token::replacing(length, "--"),
        _ => Token::plain(rest, length),
    }
}

/// A tag such as `<b>`, whose spaces become no-break spaces.
fn markup(rest: &[char]) -> Option<Token> {
    let slash = usize::from(rest.get(1) == Some(&'/'));
    let name = rest.get(1 + slash)?;
    if !name.is_ascii_alphabetic() && !matches!(name, '!' | '?') {
        return None;
    }
    let inside = run(rest, 0, |c| !matches!(c, '>' | '\n' | '\r'));
    rest.get(inside).filter(|&&c| c == '>')?;
    let no_break = |&c: &char| if c == ' ' { '\u{a0}' } else { c };
    let text = rest.iter().take(inside + 1).map(no_break).collect();
    Some(Token { text, length: inside + 1 })
}

/// `<<` and `>>` are one token, `<` and `>` another.
fn doubled(rest: &[char], c: char) -> Token {
    Token::plain(rest, run(rest, 0, |other| other == c).min(2))
}

/// The character that an HTML entity stands for, or the ampersand itself.
fn entity(rest: &[char]) -> Token {
    const ENTITIES: [(&str, &str); 6] =
        [("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "''"), ("&apos;", "'"), ("&nbsp;", "")];
    for (name, text) in ENTITIES {
        if name.chars().eq(rest.iter().copied().take(name.len())) {
            return Token::replacing(name.len(), text);
        }
    }
    Token::plain(rest, 1)
}
