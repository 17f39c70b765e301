//! The part of the Penn scanner that reads words, compounds, abbreviations, numbers and addresses.

use super::penn::{Token, is_apostrophe, is_letter, run};

/// Abbreviations that keep their full stop.
const ABBREVIATIONS: &str = " adj adm adv al ala alex apr ariz assn assoc asst atty aug ave bhd bldg blvd brig \
    bros calif capt cf cie co col colo conn corp cos cpl ct dak dec dept det dr drs elec ens esq est etc ext feb \
    fla fri ft ga gen gov govs hon inc ind insp intl invt jan jos jr jul jun kan kans ky lt ltd maj mar md mfg \
    mich minn mme mo mon mont mr mrs ms mt mtg neb nev nov oct okla penn pfc ph plc pres prof profs pte ptes pty \
    ptys pvt rd rep reps rev rt sen sens sep sept seq sfc sgt spc sq sr st ste sys tel tenn thu thurs treas tue \
    tues univ va vs vt wed wis wisc wm wyo ";

/// Abbreviations that keep their full stop only where a number follows.
const NUMBER_ABBREVIATIONS: &str = " art ca fig figs no nos op pp prop ";

/// Words that are two tokens, with the length of the first.
const SPLIT: [(&str, usize); 6] =
    [("cannot", 3), ("gonna", 3), ("gotta", 3), ("wanna", 3), ("gimme", 3), ("lemme", 3)];

/// Adds a token, or two where the Treebank splits the word: `can not`, `gon na`.
pub(super) fn push_split(tokens: &mut Vec<String>, token: String) {
    match SPLIT.iter().find(|(word, _)| *word == token) {
        Some(&(word, length)) => {
            let (first, second) = word.split_at(length);
            tokens.extend([first.to_owned(), second.to_owned()]);
        }
        None => tokens.push(token),
    }
}

/// The longest word, compound, abbreviation, number or address at the start of the text.
pub(super) fn word(rest: &[char]) -> Option<Token> {
    if let Some(length) = negation(rest) {
        return Some(Token { text: rest.iter().take(length).map(straight).collect(), length });
    }
    let lengths = [
        plain_word(rest),
        dotted_word(rest),
        compound(rest),
        hyphenated(rest),
        slashed(rest),
        elision(rest),
        listed(rest),
        abbreviation(rest),
        number(rest),
        fraction(rest),
        address(rest),
    ];
    let length = lengths.into_iter().max().filter(|&length| length > 0)?;
    let length = stop_before_comma(rest, length);
    let no_break = |&c: &char| if c == ' ' { '\u{a0}' } else { c };
    let text = rest.iter().take(length).map(no_break).collect();
    Some(Token { text, length })
}

/// The Treebank writes `n't` with a straight apostrophe.
fn straight(&c: &char) -> char {
    if is_apostrophe(c) { '\'' } else { c }
}

fn at(rest: &[char], index: usize) -> char {
    rest.get(index).copied().unwrap_or('\0')
}

fn is_alphanumeric(c: char) -> bool {
    is_letter(c) || c.is_ascii_digit()
}

fn is_ascii(c: char) -> bool {
    c.is_ascii_alphanumeric()
}

/// Letters up to `n't`, or `n't` itself.
fn negation(rest: &[char]) -> Option<usize> {
    let is_not = |i: usize| at(rest, i) == 'n' && is_apostrophe(at(rest, i + 1)) && at(rest, i + 2) == 't';
    let letters = run(rest, 0, |c| c.is_ascii_alphabetic());
    let stem = letters.checked_sub(1)?;
    if !is_not(stem) || is_letter(at(rest, stem + 3)) {
        return None;
    }
    match stem {
        0 => Some(3),
        _ if at(rest, stem - 1) == 'n' => None,
        _ => Some(stem),
    }
}

fn plain_word(rest: &[char]) -> usize {
    run(rest, 0, is_letter)
}

/// `left.today`, `u.s`: words that a full stop, `!` or `?` joins without a space.
fn dotted_word(rest: &[char]) -> usize {
    let mut end = 0;
    loop {
        let start = if end == 0 { 0 } else { end + 1 };
        if !at(rest, start).is_alphabetic() {
            return end;
        }
        end = start + run(rest, start, is_alphanumeric);
        if !matches!(at(rest, end), '.' | '!' | '?') {
            return end;
        }
    }
}

/// Letters and digits joined by single hyphens or underscores, in any alphabet: `how-d'ye-do`.
fn compound(rest: &[char]) -> usize {
    let part = |start: usize| {
        let elided = matches!(at(rest, start), 'd' | 'l' | 'o') && is_apostrophe(at(rest, start + 1));
        let prefix = if elided && is_alphanumeric(at(rest, start + 2)) { 2 } else { 0 };
        prefix + run(rest, start + prefix, is_alphanumeric)
    };
    let mut end = part(0);
    while end > 0 && matches!(at(rest, end), '-' | '_' | '\u{2010}' | '\u{2011}') && part(end + 1) > 0 {
        end += 1 + part(end + 1);
    }
    end
}

/// Forms that no rule covers.
fn listed(rest: &[char]) -> usize {
    const FORMS: [&str; 5] = ["c++", "ph.d.", "c'mon", "pro-", "anti-"];
    let begins = |form: &&&str| form.chars().eq(rest.iter().copied().take(form.chars().count()));
    FORMS.iter().find(begins).map_or(0, |form| form.len())
}

/// A hyphenated word whose first part may hold stops and commas: `3.5-inch`, `u.s.-made`, `non-u.s.`.
fn hyphenated(rest: &[char]) -> usize {
    if !is_ascii(at(rest, 0)) {
        return 0;
    }
    let mut end = run(rest, 0, |c| is_ascii(c) || matches!(c, '.' | ','));
    let mut hyphens = 0;
    while at(rest, end) == '-' {
        let acronym = acronym(rest, end + 1);
        let part = run(rest, end + 1, is_ascii).max(if acronym > 2 { acronym } else { 0 });
        if part == 0 {
            break;
        }
        end += 1 + part;
        hyphens += 1;
    }
    if hyphens > 0 { end } else { 0 }
}

/// `black/white`, `t-shirt/jeans`, `w/o`: up to three parts.
fn slashed(rest: &[char]) -> usize {
    let part = |start: usize| {
        let mut end = start + run(rest, start, is_ascii);
        for _ in 0..2 {
            let more = run(rest, end + 1, |c| c.is_ascii_alphabetic());
            if end == start || at(rest, end) != '-' || more == 0 {
                break;
            }
            end += 1 + more;
        }
        end
    };
    let mut end = part(0);
    let mut slashes = 0;
    while end > 0 && slashes < 2 && at(rest, end) == '/' && part(end + 1) > end + 1 {
        end = part(end + 1);
        slashes += 1;
    }
    if slashes > 0 { end } else { 0 }
}

/// Words that an apostrophe ends, `l'` or `y'` of `y'all`, and words with vowels on both sides of one.
fn elision(rest: &[char]) -> usize {
    let letters = run(rest, 0, is_letter);
    if letters == 0 || !is_apostrophe(at(rest, letters)) {
        return 0;
    }
    let before = at(rest, letters - 1);
    let after = run(rest, letters + 1, is_letter);
    let end = letters + 1 + after;
    let is_vowel = |c: char| matches!(c, 'a' | 'e' | 'i' | 'o' | 'u');
    let rejoined: String = rest.iter().skip(letters + 1).take(after).collect();
    let is_contraction = matches!(rejoined.as_str(), "s" | "m" | "d" | "re" | "ve" | "ll");
    let between_vowels =
        letters > 1 && (is_vowel(before) || before == 'y') && is_vowel(at(rest, letters + 1));
    let french = letters == 1 && matches!(before, 'd' | 'l' | 'j');
    let you = letters == 1 && before == 'y' && after > 0;
    match () {
        () if is_contraction => 0,
        () if between_vowels => end,
        () if french || you => 2,
        () => 0,
    }
}

/// Single letters with a full stop after each, `u.s.`; 0 where there are none.
fn acronym(rest: &[char], start: usize) -> usize {
    let mut length = 0;
    while at(rest, start + length).is_ascii_alphabetic() && at(rest, start + length + 1) == '.' {
        length += 2;
    }
    length
}

/// An abbreviation with its full stop.
fn abbreviation(rest: &[char]) -> usize {
    let acronym = acronym(rest, 0);
    let letters = run(rest, 0, |c| c.is_ascii_alphabetic());
    if letters < 2 || at(rest, letters) != '.' {
        return acronym;
    }
    let name: String = rest.iter().take(letters).collect();
    let name = format!(" {name} ");
    let spaces = run(rest, letters + 1, |c| c == ' ');
    let number_follows = at(rest, letters + 1 + spaces).is_ascii_digit();
    let listed = ABBREVIATIONS.contains(&name) || number_follows && NUMBER_ABBREVIATIONS.contains(&name);
    if listed { letters + 1 } else { acronym }
}

/// A number with an optional sign and groups after `.`, `:` or `,`.
fn number(rest: &[char]) -> usize {
    let digits = |start: usize| run(rest, start, |c| c.is_ascii_digit());
    let sign = usize::from(matches!(at(rest, 0), '+' | '-'));
    let mut end = sign + digits(sign);
    while matches!(at(rest, end), '.' | ':' | ',') && digits(end + 1) > 0 {
        end += 1 + digits(end + 1);
    }
    if end > sign { end } else { 0 }
}

/// `3/4`, `1 3/4`, `1-3/4` and dates such as `12/25/2019`.
fn fraction(rest: &[char]) -> usize {
    let digits = |start: usize, most: usize| {
        let length = run(rest, start, |c| c.is_ascii_digit());
        if length <= most { length } else { 0 }
    };
    let simple = |start: usize| {
        let upper = digits(start, 4);
        let lower = digits(start + upper + 1, 4);
        let bar = matches!(at(rest, start + upper), '/' | '\u{2044}');
        if upper > 0 && lower > 0 && bar { upper + 1 + lower } else { 0 }
    };
    let whole = digits(0, 4);
    if whole > 0 && matches!(at(rest, whole), ' ' | '-' | '\u{a0}') && simple(whole + 1) > 0 {
        return whole + 1 + simple(whole + 1);
    }
    simple(0)
}

/// Web and mail addresses, without the punctuation that ends a sentence; Stanford's rule for mail takes only
/// the full stop away.
fn address(rest: &[char]) -> usize {
    if !at(rest, 0).is_ascii_alphanumeric() {
        return 0;
    }
    let length = run(rest, 0, |c| !c.is_whitespace() && !matches!(c, '"' | '<' | '>' | '|' | '(' | ')'));
    let without_end = |closing: &str| {
        let ending = rest.iter().take(length).rev().take_while(|&&c| closing.contains(c));
        length - ending.count()
    };
    let text = |length: usize| rest.iter().take(length).collect::<String>();
    let (mail, site) = (without_end("."), without_end(".,!?;:'{}-"));
    if text(mail).split_once('@').is_some_and(|(_, host)| !host.is_empty()) {
        return mail;
    }
    let text = text(site);
    let host = text.split('/').next().unwrap_or_default();
    let is_host =
        [".com", ".net", ".org", ".edu"].iter().any(|end| host.len() > end.len() && host.ends_with(end));
    let is_web = ["http://", "https://", "www."].iter().any(|start| text.starts_with(start));
    if is_host || is_web { site } else { 0 }
}

/// A word keeps a full stop that `,`, `;` or `:` follows, as in `etc.,`: it reads as an abbreviation.
fn stop_before_comma(rest: &[char], length: usize) -> usize {
    let is_word = is_alphanumeric(at(rest, length - 1));
    let stopped = at(rest, length) == '.' && matches!(at(rest, length + 1), ',' | ';' | ':');
    if is_word && stopped { length + 1 } else { length }
}
