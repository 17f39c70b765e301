//! When a beam search ends: the values of `generation.early_stopping`.

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// When the search for an image's caption ends although beams could go on, once `num_beams` captions are
/// finished. In files `true`, `false` or `never`, as in `transformers.GenerationConfig`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BeamStopping {
    /// `true`: at once.
    Yes,
    /// `false`: when the best open beam, divided by its present length, is no better than the worst of them.
    No,
    /// `never`: when no open beam can become better than the worst of them, however long it gets.
    Never,
}

impl BeamStopping {
    /// What is written in files and on the command line.
    pub const WORDS: [&'static str; 3] = ["true", "false", "never"];

    /// The value that a word means.
    pub fn named(word: &str) -> Option<Self> {
        match word {
            "true" => Some(Self::Yes),
            "false" => Some(Self::No),
            "never" => Some(Self::Never),
            _ => None,
        }
    }
}

impl Serialize for BeamStopping {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Yes => serializer.serialize_bool(true),
            Self::No => serializer.serialize_bool(false),
            Self::Never => serializer.serialize_str("never"),
        }
    }
}

impl<'de> Deserialize<'de> for BeamStopping {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FlagOrNever;
        impl Visitor<'_> for FlagOrNever {
            type Value = BeamStopping;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("`true`, `false` or `never`")
            }
            fn visit_bool<E>(self, flag: bool) -> Result<BeamStopping, E> {
                Ok(if flag { BeamStopping::Yes } else { BeamStopping::No })
            }
            fn visit_str<E: Error>(self, word: &str) -> Result<BeamStopping, E> {
                match word {
                    "never" => Ok(BeamStopping::Never),
                    _ => Err(E::invalid_value(Unexpected::Str(word), &self)),
                }
            }
        }
        deserializer.deserialize_any(FlagOrNever)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_hold_a_flag_or_the_word_never_as_in_transformers() {
        for (stopping, json) in
            [(BeamStopping::Yes, "true"), (BeamStopping::No, "false"), (BeamStopping::Never, "\"never\"")]
        {
            assert_eq!(serde_json::to_string(&stopping).unwrap(), json);
            assert_eq!(serde_json::from_str::<BeamStopping>(json).unwrap(), stopping);
            let yaml = serde_yaml::to_string(&stopping).unwrap();
            assert_eq!(serde_yaml::from_str::<BeamStopping>(&yaml).unwrap(), stopping);
            assert_eq!(BeamStopping::named(json.trim_matches('"')), Some(stopping));
        }
        assert!(BeamStopping::WORDS.iter().all(|word| BeamStopping::named(word).is_some()));
        assert_eq!(BeamStopping::named("True"), None);
    }

    #[test]
    fn anything_else_is_refused_with_what_is_valid() {
        for json in ["\"always\"", "1", "null", "\"true\""] {
            let error = serde_json::from_str::<BeamStopping>(json).unwrap_err().to_string();
            assert!(error.contains("expected `true`, `false` or `never`"), "{error}");
        }
    }
}
