//! How captions become words, one file per set of rules.

mod alphanumeric;
mod penn;
mod penn_symbols;
mod penn_words;
mod whitespace;

pub use alphanumeric::alphanumeric_words;
pub use penn::penn_tokens;
pub use whitespace::whitespace_words;
