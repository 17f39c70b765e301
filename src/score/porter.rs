//! The Porter stemmer as NLTK has it by default (`PorterStemmer.NLTK_EXTENSIONS`).
//!
//! Porter, "An algorithm for suffix stripping" (1980), with the irregular words and the changed rules of
//! NLTK. Words are sequences of characters; every character that is no vowel counts as a consonant.

/// A suffix, what takes its place, and what must hold of the word before it.
struct Rule(&'static str, &'static str, fn(&[char]) -> bool);

/// The stem of a word, in lower case.
pub fn stem(word: &str) -> String {
    let lower = word.to_lowercase();
    if let Some(stem) = irregular(&lower) {
        return stem.to_owned();
    }
    if word.chars().count() <= 2 {
        return lower;
    }
    let steps =
        [plural, past_or_gerund, final_y, double_suffix, single_suffix, bare_suffix, final_e, double_l];
    let stem = steps.iter().fold(lower.chars().collect(), |word: Vec<char>, step| step(word));
    stem.into_iter().collect()
}

/// The stem that `rouge_score` takes: words of up to three characters are left alone.
pub fn rouge_stem(word: &str) -> String {
    if word.chars().count() > 3 { stem(word) } else { word.to_owned() }
}

fn irregular(word: &str) -> Option<&'static str> {
    Some(match word {
        "sky" | "skies" => "sky",
        "dying" => "die",
        "lying" => "lie",
        "tying" => "tie",
        "news" => "news",
        "innings" | "inning" => "inning",
        "outings" | "outing" => "outing",
        "cannings" | "canning" => "canning",
        "howe" => "howe",
        "proceed" => "proceed",
        "exceed" => "exceed",
        "succeed" => "succeed",
        _ => return None,
    })
}

/// Which characters are consonants; a `y` is one where none precedes it.
fn consonants(word: &[char]) -> Vec<bool> {
    let mut flags: Vec<bool> = Vec::with_capacity(word.len());
    for letter in word {
        flags.push(match letter {
            'a' | 'e' | 'i' | 'o' | 'u' => false,
            'y' => !flags.last().copied().unwrap_or(false),
            _ => true,
        });
    }
    flags
}

/// How often a vowel is followed by a consonant: the `m` of the paper.
fn measure(stem: &[char]) -> usize {
    consonants(stem).windows(2).filter(|pair| **pair == [false, true]).count()
}

fn always(_: &[char]) -> bool {
    true
}

fn positive(stem: &[char]) -> bool {
    measure(stem) > 0
}

fn above_one(stem: &[char]) -> bool {
    measure(stem) > 1
}

fn has_vowel(stem: &[char]) -> bool {
    consonants(stem).contains(&false)
}

fn ends_in_double_consonant(word: &[char]) -> bool {
    matches!(word, [.., a, b] if a == b) && consonants(word).last() == Some(&true)
}

/// Consonant, vowel, consonant other than w, x or y; or a two-letter word of vowel and consonant.
fn ends_short(word: &[char]) -> bool {
    match consonants(word).as_slice() {
        [.., true, false, true] => !matches!(word, [.., 'w' | 'x' | 'y']),
        [first, last] => !first && *last,
        _ => false,
    }
}

/// The word without a suffix that it ends in.
fn without<'a>(word: &'a [char], suffix: &str) -> Option<&'a [char]> {
    let (stem, end) = word.split_at_checked(word.len().checked_sub(suffix.len())?)?;
    suffix.chars().eq(end.iter().copied()).then_some(stem)
}

fn joined(stem: &[char], suffix: &str) -> Vec<char> {
    stem.iter().copied().chain(suffix.chars()).collect()
}

/// Applies the first rule whose suffix fits; if its condition fails the word stays as it is.
fn apply(word: Vec<char>, rules: &[Rule]) -> Vec<char> {
    for Rule(suffix, replacement, condition) in rules {
        if let Some(stem) = without(&word, suffix) {
            return if condition(stem) { joined(stem, replacement) } else { word };
        }
    }
    word
}

/// Step 1a.
fn plural(word: Vec<char>) -> Vec<char> {
    match without(&word, "ies") {
        Some(stem) if stem.len() == 1 => joined(stem, "ie"),
        _ => apply(
            word,
            &[
                Rule("sses", "ss", always),
                Rule("ies", "i", always),
                Rule("ss", "ss", always),
                Rule("s", "", always),
            ],
        ),
    }
}

/// Step 1b.
fn past_or_gerund(word: Vec<char>) -> Vec<char> {
    if let Some(stem) = without(&word, "ied") {
        return joined(stem, if stem.len() == 1 { "ie" } else { "i" });
    }
    if let Some(stem) = without(&word, "eed") {
        return if positive(stem) { joined(stem, "ee") } else { word };
    }
    let stems = ["ed", "ing"].into_iter().filter_map(|suffix| without(&word, suffix));
    let Some(stem) = stems.filter(|stem| has_vowel(stem)).map(<[char]>::to_vec).next() else { return word };
    for (suffix, replacement) in [("at", "ate"), ("bl", "ble"), ("iz", "ize")] {
        if let Some(short) = without(&stem, suffix) {
            return joined(short, replacement);
        }
    }
    match stem.as_slice() {
        [shorter @ .., last] if ends_in_double_consonant(&stem) => {
            if matches!(last, 'l' | 's' | 'z') {
                stem
            } else {
                shorter.to_vec()
            }
        }
        _ if measure(&stem) == 1 && ends_short(&stem) => joined(&stem, "e"),
        _ => stem,
    }
}

/// Step 1c, as NLTK changed it: after a consonant that is not the first letter.
fn final_y(word: Vec<char>) -> Vec<char> {
    let after_consonant = |stem: &[char]| stem.len() > 1 && consonants(stem).last() == Some(&true);
    match without(&word, "y") {
        Some(stem) if after_consonant(stem) => joined(stem, "i"),
        _ => word,
    }
}

/// Step 2.
fn double_suffix(word: Vec<char>) -> Vec<char> {
    const RULES: [Rule; 22] = [
        Rule("ational", "ate", positive),
        Rule("tional", "tion", positive),
        Rule("enci", "ence", positive),
        Rule("anci", "ance", positive),
        Rule("izer", "ize", positive),
        Rule("bli", "ble", positive),
        Rule("alli", "al", positive),
        Rule("entli", "ent", positive),
        Rule("eli", "e", positive),
        Rule("ousli", "ous", positive),
        Rule("ization", "ize", positive),
        Rule("ation", "ate", positive),
        Rule("ator", "ate", positive),
        Rule("alism", "al", positive),
        Rule("iveness", "ive", positive),
        Rule("fulness", "ful", positive),
        Rule("ousness", "ous", positive),
        Rule("aliti", "al", positive),
        Rule("iviti", "ive", positive),
        Rule("biliti", "ble", positive),
        Rule("fulli", "ful", positive),
        // The l counts as part of the stem, so that `geologi` is treated as `archaeologi`.
        Rule("logi", "log", |stem| positive(&joined(stem, "l"))),
    ];
    match without(&word, "alli") {
        Some(stem) if positive(stem) => double_suffix(joined(stem, "al")),
        _ => apply(word, &RULES),
    }
}

/// Step 3.
fn single_suffix(word: Vec<char>) -> Vec<char> {
    const RULES: [Rule; 7] = [
        Rule("icate", "ic", positive),
        Rule("ative", "", positive),
        Rule("alize", "al", positive),
        Rule("iciti", "ic", positive),
        Rule("ical", "ic", positive),
        Rule("ful", "", positive),
        Rule("ness", "", positive),
    ];
    apply(word, &RULES)
}

/// Step 4.
fn bare_suffix(word: Vec<char>) -> Vec<char> {
    const RULES: [Rule; 19] = [
        Rule("al", "", above_one),
        Rule("ance", "", above_one),
        Rule("ence", "", above_one),
        Rule("er", "", above_one),
        Rule("ic", "", above_one),
        Rule("able", "", above_one),
        Rule("ible", "", above_one),
        Rule("ant", "", above_one),
        Rule("ement", "", above_one),
        Rule("ment", "", above_one),
        Rule("ent", "", above_one),
        Rule("ion", "", |stem| above_one(stem) && matches!(stem, [.., 's' | 't'])),
        Rule("ou", "", above_one),
        Rule("ism", "", above_one),
        Rule("ate", "", above_one),
        Rule("iti", "", above_one),
        Rule("ous", "", above_one),
        Rule("ive", "", above_one),
        Rule("ize", "", above_one),
    ];
    apply(word, &RULES)
}

/// Step 5a.
fn final_e(word: Vec<char>) -> Vec<char> {
    match without(&word, "e") {
        Some(stem) if measure(stem) > 1 || measure(stem) == 1 && !ends_short(stem) => stem.to_vec(),
        _ => word,
    }
}

/// Step 5b. The condition is on the word without its last letter, as in NLTK.
fn double_l(word: Vec<char>) -> Vec<char> {
    match word.as_slice() {
        [shorter @ .., 'l'] if shorter.last() == Some(&'l') && above_one(shorter) => shorter.to_vec(),
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_with_their_own_rule_in_nltk_get_its_stem() {
        let expected = [
            ("dies", "die"),
            ("flies", "fli"),
            ("died", "die"),
            ("spied", "spi"),
            ("enjoy", "enjoy"),
            ("Happy", "happi"),
            ("by", "by"),
            ("skies", "sky"),
            ("geology", "geolog"),
            ("generally", "gener"),
            ("controlling", "control"),
            ("owed", "owe"),
            ("a\u{e9}\u{e9}ed", "a\u{e9}"),
        ];
        for (word, stemmed) in expected {
            assert_eq!(stem(word), stemmed, "{word}");
        }
    }

    #[test]
    fn rouge_leaves_short_words_alone() {
        assert_eq!((stem("its").as_str(), rouge_stem("its").as_str()), ("it", "its"));
        assert_eq!(rouge_stem("hats"), "hat");
    }
}
