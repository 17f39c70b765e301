//! What one person exported from a rating page.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use super::sheet::VERSION;
use crate::record::bounded;

/// Larger files are no ratings: a page of a thousand pictures gives less than one megabyte.
const MAX_BYTES: u64 = 16 << 20;
/// What a rating may be.
const SCALE: std::ops::RangeInclusive<u64> = 1..=5;

#[derive(Debug, Error)]
pub enum RatingFileError {
    #[error("{}: cannot be read: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: has more than 16 MiB; no file of ratings is that large", path.display())]
    TooLarge { path: PathBuf },
    #[error(
        "{}: {source}\nhint: expected what `Export` on the page of `sweep report --rating` saves: \
         {{\"v\": 1, \"sweep\": \"...\", \"page\": \"...\", \"rater\": \"...\", \"ratings\": [...], \"preferences\": [...]}}",
        path.display()
    )]
    Form { path: PathBuf, source: serde_json::Error },
    #[error("{}: {place}: {what}", path.display())]
    Value { path: PathBuf, place: String, what: String },
    #[error("{}: rates captions of the sweep `{sweep}`, which is not reported here\nhint: there is {known}", path.display())]
    OtherSweep { path: PathBuf, sweep: String, known: String },
}

/// The ratings of one person.
#[derive(Debug, Clone, PartialEq)]
pub struct RatingFile {
    pub path: PathBuf,
    pub sweep: String,
    pub rater: String,
    /// Whose captions were on the page.
    pub systems: Vec<String>,
    pub ratings: Vec<Rating>,
    pub preferences: Vec<Preference>,
}

/// What was said of one caption; absent where it was left open.
#[derive(Debug, Clone, PartialEq)]
pub struct Rating {
    pub image: String,
    pub system: String,
    pub accuracy: Option<u8>,
    pub fluency: Option<u8>,
    /// The caption that was shown.
    pub caption: Option<String>,
}

/// Which caption of an image is preferred; none where neither is.
#[derive(Debug, Clone, PartialEq)]
pub struct Preference {
    pub image: String,
    pub preferred: Option<String>,
}

#[derive(Deserialize)]
struct Versioned {
    v: Value,
}

#[derive(Deserialize)]
struct Form {
    sweep: String,
    #[serde(rename = "page")]
    _page: String,
    rater: String,
    #[serde(default)]
    systems: Vec<String>,
    ratings: Vec<RatingForm>,
    preferences: Vec<PreferenceForm>,
}

#[derive(Deserialize)]
struct RatingForm {
    image: String,
    system: String,
    accuracy: Value,
    fluency: Value,
    caption: Option<String>,
}

#[derive(Deserialize)]
struct PreferenceForm {
    image: String,
    preferred: Value,
}

/// Where something is wrong, and what.
type Wrong = (String, String);

impl RatingFile {
    /// Reads and checks a file; whether its images and systems are known shows later.
    pub fn read(path: &Path) -> Result<Self, RatingFileError> {
        let unreadable = |source| RatingFileError::Read { path: path.to_owned(), source };
        bounded::check_regular(path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(unreadable)?;
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(RatingFileError::TooLarge { path: path.to_owned() });
        }
        let form = |source| RatingFileError::Form { path: path.to_owned(), source };
        let wrong = |(place, what)| RatingFileError::Value { path: path.to_owned(), place, what };
        let Versioned { v } = serde_json::from_slice(&bytes).map_err(form)?;
        if v != VERSION {
            let what = format!("{v} is no version that this program reads; {VERSION} is");
            return Err(wrong(("v".to_owned(), what)));
        }
        let content: Form = serde_json::from_slice(&bytes).map_err(form)?;
        content.check(path).map_err(wrong)
    }
}

impl Form {
    fn check(self, path: &Path) -> Result<RatingFile, Wrong> {
        let rater = self.rater.trim().to_owned();
        if rater.is_empty() {
            return Err((
                "rater".to_owned(),
                "is empty; the name of whoever rated is needed to tell raters apart".to_owned(),
            ));
        }
        let ratings = self.ratings.into_iter().enumerate().map(|(place, form)| {
            let at = |name: &str| format!("ratings[{place}].{name}");
            Ok(Rating {
                accuracy: rating(&form.accuracy, at("accuracy"))?,
                fluency: rating(&form.fluency, at("fluency"))?,
                image: form.image,
                system: form.system,
                caption: form.caption,
            })
        });
        let preferences = self.preferences.into_iter().enumerate().map(|(place, form)| {
            let preferred = match form.preferred {
                Value::Null => None,
                Value::String(system) => Some(system),
                other => {
                    let what = format!("{other} is no preference; the name of a system is, or null for none");
                    return Err((format!("preferences[{place}].preferred"), what));
                }
            };
            Ok(Preference { image: form.image, preferred })
        });
        Ok(RatingFile {
            path: path.to_owned(),
            sweep: self.sweep,
            rater,
            systems: self.systems,
            ratings: ratings.collect::<Result<_, Wrong>>()?,
            preferences: preferences.collect::<Result<_, Wrong>>()?,
        })
    }
}

fn rating(value: &Value, place: String) -> Result<Option<u8>, Wrong> {
    if value.is_null() {
        return Ok(None);
    }
    let number = value.as_u64().filter(|number| SCALE.contains(number));
    let number = number.and_then(|number| u8::try_from(number).ok());
    number
        .map(Some)
        .ok_or_else(|| (place, format!("{value} is no rating; a whole number from 1 to 5 is, or null")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<RatingFile, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.json");
        std::fs::write(&path, text).unwrap();
        RatingFile::read(&path).map_err(|error| {
            error
                .to_string()
                .replace(&folder.path().display().to_string(), "")
                .lines()
                .next()
                .unwrap()
                .to_owned()
        })
    }

    fn file(ratings: &str, preferences: &str) -> String {
        format!(
            r#"{{"v":1,"sweep":"s","page":"p","rater":" Ann ","ratings":[{ratings}],"preferences":[{preferences}]}}"#
        )
    }

    #[test]
    fn what_the_page_exports_is_read() {
        let rating = r#"{"image":"1","system":"a","accuracy":5,"fluency":null,"caption":"x","more":1}"#;
        let found =
            read(&file(rating, r#"{"image":"1","preferred":null},{"image":"2","preferred":"a"}"#)).unwrap();
        assert_eq!((found.rater.as_str(), found.sweep.as_str()), ("Ann", "s"));
        assert_eq!((found.ratings[0].accuracy, found.ratings[0].fluency), (Some(5), None));
        assert_eq!(found.preferences[1].preferred.as_deref(), Some("a"));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let rating = |accuracy: &str| {
            file(&format!(r#"{{"image":"1","system":"a","accuracy":{accuracy},"fluency":1}}"#), "")
        };
        for (text, message) in [
            (
                rating("6"),
                "/r.json: ratings[0].accuracy: 6 is no rating; a whole number from 1 to 5 is, or null",
            ),
            (
                rating("0"),
                "/r.json: ratings[0].accuracy: 0 is no rating; a whole number from 1 to 5 is, or null",
            ),
            (
                rating("2.5"),
                "/r.json: ratings[0].accuracy: 2.5 is no rating; a whole number from 1 to 5 is, or null",
            ),
            (
                rating("\"4\""),
                "/r.json: ratings[0].accuracy: \"4\" is no rating; a whole number from 1 to 5 is, or null",
            ),
            (
                file("", r#"{"image":"1","preferred":3}"#),
                "/r.json: preferences[0].preferred: 3 is no preference; the name of a system is, or null for none",
            ),
            (
                file("", "").replace(" Ann ", " "),
                "/r.json: rater: is empty; the name of whoever rated is needed to tell raters apart",
            ),
            (
                r#"{"v":2,"else":true}"#.to_owned(),
                "/r.json: v: 2 is no version that this program reads; 1 is",
            ),
            (file("", r#"{"image":"1"}"#), "/r.json: missing field `preferred` at line 1 column 87"),
            (String::new(), "/r.json: EOF while parsing a value at line 1 column 0"),
            ("[1]".to_owned(), "/r.json: invalid type: integer `1`, expected a string"),
        ] {
            let found = read(&text).unwrap_err();
            assert!(found.starts_with(message), "{found}");
        }
    }

    #[test]
    fn a_file_that_is_missing_or_too_large_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.json");
        assert!(RatingFile::read(&path).unwrap_err().to_string().contains("r.json: cannot be read: "));
        File::create(&path).unwrap().set_len(MAX_BYTES + 1).unwrap();
        assert!(RatingFile::read(&path).unwrap_err().to_string().contains("more than 16 MiB"));
    }
}
