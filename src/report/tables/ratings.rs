//! The `ratings` table: a row a caption and rater.

use polars::prelude::{DataFrame, PolarsResult};

use super::columns::{counts, flags, texts};
use crate::report::rating::{Ratings, System};

/// The table, ordered by image, system and rater.
pub fn ratings_table(ratings: &Ratings, systems: &[System]) -> PolarsResult<DataFrame> {
    let rows: Vec<_> = ratings.opinions.iter().collect();
    let system = |place: usize| systems.get(place);
    let columns = vec![
        texts("image", &rows, |(key, _)| Some(key.image.clone())),
        texts("system", &rows, |(key, _)| Some(system(key.system)?.name.clone())),
        texts("rater", &rows, |(key, _)| Some(key.rater.clone())),
        texts("caption", &rows, |(key, _)| {
            let caption = system(key.system)?.captions.get(key.image.as_str())?;
            Some((*caption).to_owned())
        }),
        counts("accuracy", &rows, |(_, opinion)| opinion.accuracy.map(usize::from)),
        counts("fluency", &rows, |(_, opinion)| opinion.fluency.map(usize::from)),
        flags("preferred", &rows, |(_, opinion)| opinion.preferred),
    ];
    DataFrame::new(rows.len(), columns)
}
