//! Runs code of other crates on files that may have been made to break it.
//!
//! Decoders and tokenizers were written for files that are what they say. Where one of them panics on a file that is
//! not, that is a fault of the file, and the user reads of it as of any other: without the panic's own words, which
//! speak of source lines.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    /// Whether this thread runs code whose panic is caught and said in other words.
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// What `run` returns; `None` where it panics. What it leaves half done must not be looked at again.
pub fn contained<T>(run: impl FnOnce() -> T) -> Option<T> {
    silence_contained_panics();
    let before = CONTAINED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(run));
    CONTAINED.set(before);
    result.ok()
}

/// Lets the hook of panics, which prints them, pass over contained ones.
fn silence_contained_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !CONTAINED.get() {
                print(info);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_contained_and_later_ones_are_not() {
        assert_eq!(contained(|| 1), Some(1));
        assert_eq!(contained(|| -> i32 { panic!("as a decoder might") }), None);
        assert!(!CONTAINED.get());
        // Contained code within contained code.
        assert_eq!(
            contained(|| (contained(|| -> i32 { panic!("inside") }), CONTAINED.get())),
            Some((None, true))
        );
    }
}
