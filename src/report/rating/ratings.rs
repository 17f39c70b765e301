//! All files of ratings, joined and held against the captions that they rate.

use std::collections::{BTreeMap, BTreeSet};

use super::file::{Preference, Rating};
use super::{RatingFile, System};
use crate::report::format::{list, plural};

/// Names in a message; the rest is counted.
const SHOWN: usize = 3;

/// A caption as one person met it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub image: String,
    /// Place of the system.
    pub system: usize,
    pub rater: String,
}

/// What that person thinks of it; absent where it was left open.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Opinion {
    pub accuracy: Option<u8>,
    pub fluency: Option<u8>,
    /// It was preferred to the image's other captions; false as well where none was.
    pub preferred: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ratings {
    pub opinions: BTreeMap<Key, Opinion>,
    /// What was left out and why, a sentence each.
    pub left_out: Vec<String>,
}

/// What of one file cannot be used.
#[derive(Default)]
struct Unusable<'a> {
    systems: BTreeSet<&'a str>,
    images: BTreeSet<&'a str>,
    /// Captions that are others now.
    changed: usize,
    /// Values that take the place of another one of the same rater.
    replaced: usize,
}

impl Ratings {
    /// Joins the files. Of two values that one rater gave the same caption, the last counts.
    pub fn join(files: &[&RatingFile], systems: &[System]) -> Self {
        let mut joined = Self::default();
        for file in files {
            let mut unusable = Unusable::default();
            for rating in &file.ratings {
                joined.add_rating(file, rating, systems, &mut unusable);
            }
            for preference in &file.preferences {
                joined.add_preference(file, preference, systems, &mut unusable);
            }
            let sentences = unusable.in_words();
            joined
                .left_out
                .extend(sentences.into_iter().map(|what| format!("{}: {what}", file.path.display())));
        }
        joined.opinions.retain(|_, opinion| *opinion != Opinion::default());
        joined
    }

    fn add_rating<'a>(
        &mut self,
        file: &RatingFile,
        rating: &'a Rating,
        systems: &[System],
        unusable: &mut Unusable<'a>,
    ) {
        let Some((system, caption)) = unusable.find(systems, &rating.system, &rating.image) else { return };
        if rating.caption.as_deref().is_some_and(|rated| rated != caption) {
            unusable.changed += 1;
            return;
        }
        let opinion = self.opinion(file, &rating.image, system);
        unusable.replaced += replace(&mut opinion.accuracy, rating.accuracy);
        unusable.replaced += replace(&mut opinion.fluency, rating.fluency);
    }

    /// A preference is an opinion of every caption that was on the page.
    fn add_preference<'a>(
        &mut self,
        file: &'a RatingFile,
        preference: &'a Preference,
        systems: &[System],
        unusable: &mut Unusable<'a>,
    ) {
        let image = preference.image.as_str();
        let preferred = match &preference.preferred {
            None => None,
            Some(name) => match unusable.find(systems, name, image) {
                Some((system, _)) => Some(system),
                None => return,
            },
        };
        let of_ratings = file.ratings.iter().map(|rating| rating.system.as_str());
        let shown: BTreeSet<&str> = file
            .systems
            .iter()
            .map(String::as_str)
            .chain(of_ratings)
            .chain(preference.preferred.as_deref())
            .collect();
        for name in shown {
            let Some((system, _)) = unusable.find(systems, name, image) else { continue };
            let opinion = self.opinion(file, image, system);
            unusable.replaced += replace(&mut opinion.preferred, Some(preferred == Some(system)));
        }
    }

    fn opinion(&mut self, file: &RatingFile, image: &str, system: usize) -> &mut Opinion {
        let key = Key { rater: file.rater.clone(), image: image.to_owned(), system };
        self.opinions.entry(key).or_default()
    }

    pub fn raters(&self) -> BTreeSet<&str> {
        self.opinions.keys().map(|key| key.rater.as_str()).collect()
    }

    pub fn images(&self) -> BTreeSet<&str> {
        self.opinions.keys().map(|key| key.image.as_str()).collect()
    }
}

/// Whether another value was there before, as a number.
fn replace<T: PartialEq + Copy>(place: &mut Option<T>, value: Option<T>) -> usize {
    let Some(value) = value else { return 0 };
    let before = place.replace(value);
    usize::from(before.is_some_and(|before| before != value))
}

impl<'a> Unusable<'a> {
    /// The system's place and what it says of the image; notes what is not known.
    fn find<'s>(
        &mut self,
        systems: &[System<'s>],
        name: &'a str,
        image: &'a str,
    ) -> Option<(usize, &'s str)> {
        let Some(place) = systems.iter().position(|system| system.name == name) else {
            self.systems.insert(name);
            return None;
        };
        let caption = systems.get(place).and_then(|system| system.captions.get(image));
        if caption.is_none() {
            self.images.insert(image);
        }
        caption.map(|caption| (place, *caption))
    }

    fn in_words(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        if !self.systems.is_empty() {
            let names = named(&self.systems);
            sentences.push(format!(
                "what is rated of {names} is left out: no run of this sweep with captions has this id."
            ));
        }
        if !self.images.is_empty() {
            let names = named(&self.images);
            sentences
                .push(format!("what is rated on {names} is left out: the runs did not caption this image."));
        }
        if self.changed > 0 {
            let count = plural(self.changed, "rating");
            sentences.push(format!(
                "{count} left out: the run has another caption now than the one that was rated."
            ));
        }
        if self.replaced > 0 {
            let count = plural(self.replaced, "value");
            sentences.push(format!(
                "{count} replaced: a rater of this name gave another one before; the last counts."
            ));
        }
        sentences
    }
}

fn named(names: &BTreeSet<&str>) -> String {
    let mut shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    if names.len() > SHOWN {
        shown.push(format!("{} more", names.len() - SHOWN));
    }
    list(&shown)
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::report::rating::sheet::tests::system;

    /// A file of ratings `(image, system, accuracy, fluency)` and preferences `(image, system or "")`.
    pub(in crate::report::rating) fn file(
        rater: &str,
        ratings: &[(&str, &str, u8, u8)],
        preferences: &[(&str, &str)],
    ) -> RatingFile {
        let rating = |&(image, system, accuracy, fluency): &(&str, &str, u8, u8)| Rating {
            image: image.to_owned(),
            system: system.to_owned(),
            accuracy: Some(accuracy),
            fluency: Some(fluency),
            caption: None,
        };
        let preference = |&(image, preferred): &(&str, &str)| Preference {
            image: image.to_owned(),
            preferred: Some(preferred.to_owned()).filter(|name| !name.is_empty()),
        };
        RatingFile {
            path: PathBuf::from(format!("{rater}.json")),
            sweep: "s".to_owned(),
            rater: rater.to_owned(),
            systems: vec!["a".to_owned(), "b".to_owned()],
            ratings: ratings.iter().map(rating).collect(),
            preferences: preferences.iter().map(preference).collect(),
        }
    }

    fn systems() -> [System<'static>; 2] {
        [system("a", &[("1", "x"), ("2", "x")]), system("b", &[("1", "y"), ("2", "y")])]
    }

    fn key(rater: &str, image: &str, system: usize) -> Key {
        Key { rater: rater.to_owned(), image: image.to_owned(), system }
    }

    #[test]
    fn a_preference_is_an_opinion_of_every_caption_shown() {
        let ann = file("Ann", &[("1", "a", 5, 4)], &[("1", "b"), ("2", "")]);
        let joined = Ratings::join(&[&ann], &systems());
        let opinion = |image, system| joined.opinions[&key("Ann", image, system)];
        assert_eq!(opinion("1", 0), Opinion { accuracy: Some(5), fluency: Some(4), preferred: Some(false) });
        assert_eq!(opinion("1", 1), Opinion { preferred: Some(true), ..Opinion::default() });
        assert_eq!([0, 1].map(|system| opinion("2", system).preferred), [Some(false); 2]);
        assert_eq!(joined.left_out, [""; 0]);
    }

    #[test]
    fn what_is_not_known_is_left_out_and_said() {
        let mut ann =
            file("Ann", &[("1", "zz", 5, 4), ("9", "a", 1, 1), ("2", "a", 3, 3)], &[("1", "zz"), ("9", "")]);
        ann.ratings[2].caption = Some("what it said before".to_owned());
        let joined = Ratings::join(&[&ann], &systems());
        assert_eq!(joined.opinions.len(), 0);
        assert_eq!(
            joined.left_out,
            [
                "Ann.json: what is rated of `zz` is left out: no run of this sweep with captions has this id.",
                "Ann.json: what is rated on `9` is left out: the runs did not caption this image.",
                "Ann.json: 1 rating left out: the run has another caption now than the one that was rated.",
            ]
        );
    }

    #[test]
    fn a_rater_who_exports_again_is_one_rater_and_the_last_value_counts() {
        let first = file("Ann", &[("1", "a", 5, 4)], &[("1", "a")]);
        let again = file("Ann", &[("1", "a", 5, 2), ("2", "a", 1, 1)], &[("1", "a")]);
        let joined = Ratings::join(&[&first, &again, &file("Bob", &[("1", "a", 1, 1)], &[])], &systems());
        assert_eq!((joined.raters().len(), joined.opinions.len()), (2, 4));
        assert_eq!(joined.opinions[&key("Ann", "1", 0)].fluency, Some(2));
        assert_eq!(
            joined.left_out,
            ["Ann.json: 1 value replaced: a rater of this name gave another one before; the last counts."]
        );
    }
}
