//! How many of the training images are trained on: a count of them, or a share.

use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

/// In files a whole number is a count, and one with a decimal point is a share: `1` is one image, and `1.0` all of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Amount {
    /// So many; 0 is all of them.
    Count(usize),
    /// So large a part of them: above 0, and at most 1.
    Share(#[serde(deserialize_with = "share")] f64),
}

impl Amount {
    pub const ALL: Self = Self::Count(0);

    /// How many that is of `all`: of a share what is next to it, and at least one.
    pub fn of(self, all: usize) -> usize {
        match self {
            Self::Count(0) => all,
            Self::Count(count) => count.min(all),
            Self::Share(share) => ((all as f64 * share).round() as usize).max(1).min(all),
        }
    }

    pub(super) fn is_all(&self) -> bool {
        *self == Self::ALL
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            // With a decimal point.
            Self::Share(share) => write!(f, "{share:?}"),
        }
    }
}

impl Default for Amount {
    fn default() -> Self {
        Self::ALL
    }
}

fn share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let share = f64::deserialize(deserializer)?;
    if share > 0.0 && share <= 1.0 { Ok(share) } else { Err(D::Error::custom("no share of the whole")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_the_number_of_images_next_to_it_and_a_count_no_more_than_there_are() {
        let of = |share, all| Amount::Share(share).of(all);
        assert_eq!((of(0.25, 320), of(0.25, 10), of(0.3, 10), of(0.001, 10)), (80, 3, 3, 1));
        assert_eq!((of(1.0, 7), of(0.5, 0), of(0.5, 1)), (7, 0, 1));
        let of = |count, all| Amount::Count(count).of(all);
        assert_eq!((of(0, 9), of(1, 9), of(9, 9), of(10, 9)), (9, 1, 9, 9));
    }

    #[test]
    fn in_files_a_decimal_point_tells_a_share_from_a_count() {
        let read = |text: &str| serde_json::from_str::<Amount>(text).ok();
        assert_eq!((read("1"), read("1.0")), (Some(Amount::Count(1)), Some(Amount::Share(1.0))));
        assert_eq!((read("0"), read("0.25")), (Some(Amount::ALL), Some(Amount::Share(0.25))));
        assert_eq!(["0.0", "-0.5", "1.5", "-1", "2.0", "\"1\""].map(read), [None; 6]);
        for amount in [Amount::Count(1), Amount::Share(1.0), Amount::Share(0.1)] {
            assert_eq!(read(&serde_json::to_string(&amount).unwrap()), Some(amount));
            let yaml = serde_yaml::to_string(&amount).unwrap();
            assert_eq!(serde_yaml::from_str::<Amount>(&yaml).unwrap(), amount, "{yaml}");
        }
    }
}
