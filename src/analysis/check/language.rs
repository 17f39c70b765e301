//! Which language a caption is in, by its letters and by the small words that every sentence has.
//!
//! A caption counts as another language only where that is plain: most of its letters are of another script, or at least
//! two of its words are small words of one other language and hardly any of the usual one. Names, brands and single
//! foreign words do not make it one.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

/// A language, or a script where letters tell no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tongue(&'static str);

impl fmt::Display for Tongue {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Small words of languages in Latin letters, the commonest ones that few others share.
const SMALL_WORDS: [(Tongue, &str); 7] = [
    (
        Tongue("English"),
        "the a an of and with is are in on at to this that there his her their it its has from by for wearing",
    ),
    (
        Tongue("German"),
        "der die das den dem ein eine einen einem einer und mit ist sind im auf von zu nicht trägt auch für",
    ),
    (
        Tongue("French"),
        "le la les un une des du et avec est sont dans sur de en au aux qui elle il porte pour",
    ),
    (Tongue("Spanish"), "el la los las un una unos y con es son en de del al que su lleva para por sobre"),
    (Tongue("Italian"), "il lo la gli le un uno una e con è sono di del della nel su che per indossa dei"),
    (Tongue("Portuguese"), "o a os as um uma e com é são de do da no na em que para por veste dos das"),
    (Tongue("Dutch"), "de het een en met is zijn in op van te dat niet aan voor draagt ook bij"),
];

/// Scripts by ranges of letters; Han and the Japanese syllabaries count as one, since Japanese mixes them.
const SCRIPTS: [(Tongue, &[(char, char)]); 9] = [
    (Tongue("Latin letters"), &[('A', 'Z'), ('a', 'z'), ('\u{c0}', '\u{24f}'), ('\u{1e00}', '\u{1eff}')]),
    (Tongue("Greek"), &[('\u{370}', '\u{3ff}')]),
    (Tongue("Cyrillic letters"), &[('\u{400}', '\u{52f}')]),
    (Tongue("Hebrew"), &[('\u{590}', '\u{5ff}')]),
    (Tongue("Arabic letters"), &[('\u{600}', '\u{6ff}'), ('\u{750}', '\u{77f}')]),
    (Tongue("Indic letters"), &[('\u{900}', '\u{dff}')]),
    (Tongue("Thai"), &[('\u{e00}', '\u{e7f}')]),
    (
        Tongue("Chinese or Japanese"),
        &[('\u{3040}', '\u{30ff}'), ('\u{3400}', '\u{9fff}'), ('\u{f900}', '\u{faff}')],
    ),
    (Tongue("Korean"), &[('\u{1100}', '\u{11ff}'), ('\u{ac00}', '\u{d7af}')]),
];

/// Fewest small words of another language that make a caption one of it.
const ENOUGH: usize = 2;

/// The language of most captions of a set.
pub struct Languages {
    script: Tongue,
    language: Option<Tongue>,
}

impl Languages {
    pub fn of<'a>(captions: impl Iterator<Item = &'a str>) -> Self {
        let (mut scripts, mut languages) = (BTreeMap::new(), BTreeMap::new());
        for caption in captions {
            if let Some(script) = script_of(caption) {
                *scripts.entry(script).or_insert(0usize) += 1;
            }
            for (language, count) in small_words_of(caption) {
                *languages.entry(language).or_insert(0usize) += count;
            }
        }
        let commonest = |counts: BTreeMap<Tongue, usize>| {
            counts.into_iter().max_by_key(|(_, count)| *count).map(|(tongue, _)| tongue)
        };
        Self { script: commonest(scripts).unwrap_or(SCRIPTS[0].0), language: commonest(languages) }
    }

    pub fn usual(&self) -> Tongue {
        self.language.filter(|_| self.script == SCRIPTS[0].0).unwrap_or(self.script)
    }

    /// The language of a caption that is plainly another one than usual.
    pub fn other_than_usual(&self, caption: &str) -> Option<Tongue> {
        let script = script_of(caption)?;
        if script != self.script {
            return Some(script);
        }
        if script != SCRIPTS[0].0 {
            return None;
        }
        let counts = small_words_of(caption);
        let usual = self.language.and_then(|usual| counts.get(&usual)).copied().unwrap_or(0);
        let (language, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        (Some(language) != self.language && count >= ENOUGH && 2 * usual <= count).then_some(language)
    }
}

/// The script of most letters; nothing where there are no letters, or of no known script.
fn script_of(caption: &str) -> Option<Tongue> {
    let mut counts = [0usize; SCRIPTS.len()];
    for letter in caption.chars() {
        let is_in = |ranges: &[(char, char)]| ranges.iter().any(|(from, to)| (*from..=*to).contains(&letter));
        if let Some(place) = SCRIPTS.iter().position(|(_, ranges)| is_in(ranges)) {
            counts[place] += 1;
        }
    }
    let (place, count) =
        counts.iter().enumerate().max_by_key(|(place, count)| (**count, usize::MAX - place))?;
    (*count > 0).then(|| SCRIPTS[place].0)
}

/// How many different small words of each language a caption has.
fn small_words_of(caption: &str) -> BTreeMap<Tongue, usize> {
    let lower = caption.to_lowercase();
    let words: HashSet<&str> = lower.split(|letter: char| !letter.is_alphabetic()).collect();
    let count = |list: &str| list.split(' ').filter(|word| words.contains(word)).count();
    SMALL_WORDS
        .iter()
        .map(|(language, list)| (*language, count(list)))
        .filter(|(_, count)| *count > 0)
        .collect()
}
