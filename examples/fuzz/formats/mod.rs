//! The files that the program reads and strangers write, and how to make hostile ones.
//!
//! A [`Format`] makes an [`Input`] from random numbers, by a generator that knows the format's grammar and mutators that
//! act on its structure, and feeds it to the product's own loader. Most inputs keep a valid header, so that what lies
//! behind it is reached. Everything is a function of the random numbers: an input can be made again from its number.

mod bytes;
mod captions;
mod event_log;
mod images;
mod json;
mod model_folder;
mod pickle;
mod safetensors;
mod store;
mod sweep_yaml;
mod tokenizer;
mod zip;

use std::fs;
use std::path::Path;

use sweep::random::Random;

/// How far a loader came with an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reached {
    /// Refused by its header: what makes a file one of this format at all.
    Header,
    /// Refused by what lies behind the header.
    Body,
    Accepted,
}

/// Files, by their names in one folder.
#[derive(Debug, Default)]
pub struct Input {
    pub files: Vec<(&'static str, Vec<u8>)>,
    /// Chooses among what can be done with the files.
    pub choice: u64,
}

impl Input {
    pub fn write(&self, folder: &Path) {
        for (name, bytes) in &self.files {
            fs::write(folder.join(name), bytes).expect("the scratch folder can be written");
        }
    }

    pub fn remove(&self, folder: &Path) {
        for (name, _) in &self.files {
            let _ = fs::remove_file(folder.join(name));
        }
    }

    fn one(name: &'static str, bytes: Vec<u8>, random: &mut Random) -> Self {
        Self { files: vec![(name, bytes)], choice: random.bits() }
    }
}

/// A format of files that the program reads.
pub struct Format {
    pub name: &'static str,
    /// Its share of all inputs, in percent: formats that are read fast get more.
    pub percent: u64,
    make: fn(&mut Random) -> Input,
    /// Reads the files, which lie in the folder.
    pub feed: fn(&Path, &Input) -> Reached,
}

/// The six formats that the issue names; PyTorch's weights, configurations and the store's other files besides.
pub static FORMATS: [Format; 9] = [
    Format { name: "yaml", percent: 20, make: sweep_yaml::make, feed: sweep_yaml::feed },
    Format { name: "captions", percent: 14, make: captions::make, feed: captions::feed },
    Format { name: "images", percent: 20, make: images::make, feed: images::feed },
    Format { name: "safetensors", percent: 10, make: safetensors::make, feed: safetensors::feed },
    Format { name: "pickle", percent: 10, make: pickle::make, feed: pickle::feed },
    Format { name: "tokenizer", percent: 10, make: tokenizer::make, feed: tokenizer::feed },
    Format { name: "events", percent: 10, make: event_log::make, feed: event_log::feed },
    Format { name: "store", percent: 3, make: store::make, feed: store::feed },
    Format { name: "configs", percent: 3, make: model_folder::make, feed: model_folder::feed },
];

impl Format {
    pub fn named(name: &str) -> Option<&'static Self> {
        FORMATS.iter().find(|format| format.name == name)
    }

    /// The input of this number.
    pub fn input(&self, seed: u64, index: u64) -> Input {
        (self.make)(&mut Random::new(seed, self.name, &[index]))
    }
}
