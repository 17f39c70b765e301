//! How captions become words, one file per set of rules.

mod alphanumeric;
mod automaton;
mod pattern;
mod penn;
mod penn_characters;
mod penn_names;
mod penn_rules;
mod whitespace;

pub use alphanumeric::alphanumeric_words;
pub use penn::penn_tokens;
pub use whitespace::whitespace_words;
