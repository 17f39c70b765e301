//! Rows of captions put together by image.

use std::collections::HashMap;

use crate::data::captions::{CaptionsFile, Entry, MAX_CAPTIONS, check_length};

/// Images in the order in which they first occur, each with all its captions.
#[derive(Default)]
pub struct Gathered {
    entries: Vec<Entry>,
    places: HashMap<String, usize>,
    count: usize,
}

impl Gathered {
    /// Adds what a row says of an image; refuses captions that are too long or too many to be read.
    pub fn add(&mut self, image: String, captions: Vec<String>) -> Result<(), String> {
        captions.iter().try_for_each(|caption| check_length(caption))?;
        // An image without captions takes room as well.
        self.count += captions.len().max(1);
        if self.count > MAX_CAPTIONS {
            return Err(format!("more than {MAX_CAPTIONS} captions; at most that many are read"));
        }
        let place = *self.places.entry(image.clone()).or_insert(self.entries.len());
        match self.entries.get_mut(place) {
            Some(entry) => entry.captions.extend(captions),
            None => self.entries.push(Entry { image, captions }),
        }
        Ok(())
    }

    pub fn into_file(self) -> CaptionsFile {
        CaptionsFile { entries: self.entries, duplicates: Vec::new() }
    }
}
