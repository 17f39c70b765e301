//! Attributes that captions name and references do too, by kind: what n-gram metrics do not see.
//!
//! A caption full of stock phrases scores well although it names the wrong colour. Here each value of a lexicon counts
//! once a caption: precision is the share of named values that a reference names, recall the share of the references'
//! values that are named, F1 their harmonic mean, over all images together (micro-average).

use std::collections::BTreeSet;
use std::iter::Sum;

use rayon::prelude::*;

use super::lexicon::{Lexicon, plain};

/// How well values of a kind were named.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tally {
    /// Named in a caption and in a reference of the same image.
    pub hits: usize,
    /// Named in the caption alone.
    pub wrong: usize,
    /// Named in a reference alone.
    pub missed: usize,
}

impl Tally {
    /// `None` where nothing was named.
    pub fn precision(&self) -> Option<f64> {
        ratio(self.hits, self.hits + self.wrong)
    }

    /// `None` where no reference names anything.
    pub fn recall(&self) -> Option<f64> {
        ratio(self.hits, self.hits + self.missed)
    }

    pub fn f1(&self) -> Option<f64> {
        ratio(2 * self.hits, 2 * self.hits + self.wrong + self.missed)
    }

    fn of(said: &BTreeSet<&str>, meant: &BTreeSet<&str>) -> Self {
        Self {
            hits: said.intersection(meant).count(),
            wrong: said.difference(meant).count(),
            missed: meant.difference(said).count(),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            hits: self.hits + other.hits,
            wrong: self.wrong + other.wrong,
            missed: self.missed + other.missed,
        }
    }
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(tallies: I) -> Self {
        tallies.fold(Self::default(), Self::plus)
    }
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// A kind with its tally.
#[derive(Debug, Clone, PartialEq)]
pub struct KindTally {
    pub kind: String,
    pub visible: bool,
    pub tally: Tally,
}

/// A value that a text names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attribute {
    pub kind: String,
    pub value: String,
    /// A picture shows it.
    pub visible: bool,
}

/// The attributes of a caption and its references, each once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Named {
    pub hits: Vec<Attribute>,
    /// In the caption alone.
    pub wrong: Vec<Attribute>,
    /// In the references alone.
    pub missed: Vec<Attribute>,
}

impl Lexicon {
    /// What a caption names beside what its references name.
    pub fn compare(&self, caption: &str, references: &[String]) -> Named {
        let caption = plain(caption);
        let references: Vec<String> = references.iter().map(|reference| plain(reference)).collect();
        let mut named = Named::default();
        for kind in self.kinds() {
            let said = kind.named(&caption);
            let meant: BTreeSet<&str> =
                references.iter().flat_map(|reference| kind.named(reference)).collect();
            let attribute = |value: &&str| Attribute {
                kind: kind.name.clone(),
                value: (*value).to_owned(),
                visible: kind.visible,
            };
            named.hits.extend(said.intersection(&meant).map(attribute));
            named.wrong.extend(said.difference(&meant).map(attribute));
            named.missed.extend(meant.difference(&said).map(attribute));
        }
        named
    }

    /// Tallies of captions against the references of their images, by kind; kinds that neither names are left out.
    pub fn tally(&self, captions: &[(&str, &[String])]) -> Vec<KindTally> {
        let of_one = |(caption, references): &(&str, &[String])| -> Vec<Tally> {
            let caption = plain(caption);
            let references: Vec<String> = references.iter().map(|reference| plain(reference)).collect();
            let tally = |kind: &super::lexicon::Kind| {
                let meant = references.iter().flat_map(|reference| kind.named(reference)).collect();
                Tally::of(&kind.named(&caption), &meant)
            };
            self.kinds().iter().map(tally).collect()
        };
        let none = || vec![Tally::default(); self.kinds().len()];
        let plus = |a: Vec<Tally>, b: Vec<Tally>| a.into_iter().zip(b).map(|(a, b)| a.plus(b)).collect();
        let tallies = captions.par_iter().map(of_one).reduce(none, plus);
        let kinds = self.kinds().iter().zip(tallies).filter(|(_, tally)| *tally != Tally::default());
        kinds
            .map(|(kind, tally)| KindTally { kind: kind.name.clone(), visible: kind.visible, tally })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_count_once_a_caption_and_whole_words_alone() {
        let lexicon = Lexicon::clothing().unwrap();
        let references = ["A red T-shirt, red pants. Three-point length.".to_owned()];
        let said = "the reddish t - shirt is red and blue, of three - point length";
        let tallies = lexicon.tally(&[(said, references.as_slice())]);
        let of = |kind: &str| tallies.iter().find(|tally| tally.kind == kind).unwrap().tally;
        assert_eq!(of("color"), Tally { hits: 1, wrong: 1, missed: 0 });
        assert_eq!(of("length"), Tally { hits: 1, wrong: 0, missed: 0 });
        assert_eq!(of("garment"), Tally { hits: 1, wrong: 0, missed: 1 }, "a T-shirt is no shirt; pants");
        assert_eq!((of("color").precision(), of("color").recall()), (Some(0.5), Some(1.0)));
        assert!((of("color").f1().unwrap() - 2.0 / 3.0).abs() < 1e-12);
        assert!(!tallies.iter().any(|tally| tally.kind == "material"), "nothing names any");
    }

    #[test]
    fn words_for_the_same_are_one_value_by_its_first_name() {
        let lexicon = Lexicon::clothing().unwrap();
        let named = lexicon.compare("gray trousers, pure color", &["grey pants of a solid color".to_owned()]);
        let values: Vec<&str> = named.hits.iter().map(|attribute| attribute.value.as_str()).collect();
        assert_eq!(values, ["grey", "pants", "solid"]);
        assert_eq!((named.wrong, named.missed), (vec![], vec![]));
    }

    #[test]
    fn what_is_right_wrong_and_left_out_is_told_by_name() {
        let references = ["a red cotton shirt".to_owned()];
        let named = Lexicon::clothing().unwrap().compare("a blue shirt", &references);
        let values = |attributes: &[Attribute]| -> Vec<String> {
            attributes.iter().map(|attribute| format!("{} {}", attribute.value, attribute.visible)).collect()
        };
        assert_eq!(values(&named.hits), ["shirt true"]);
        assert_eq!(values(&named.wrong), ["blue true"]);
        assert_eq!(values(&named.missed), ["red true", "cotton false"]);
    }
}
