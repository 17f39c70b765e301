//! What becomes of a sweep when its runs fail: two keys of its file that change no run.

use super::draft::Draft;
use super::yaml::{Content, Node};

/// What becomes of the other runs when one fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// They are done all the same.
    Continue,
    /// None of them starts any more.
    Stop,
}

impl OnFailure {
    /// The words for them.
    pub const WORDS: [&'static str; 2] = ["continue", "stop"];

    pub fn named(word: &str) -> Option<Self> {
        match word {
            "continue" => Some(Self::Continue),
            "stop" => Some(Self::Stop),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::Stop => "stop",
        }
    }
}

impl Draft {
    pub fn read_on_failure(&mut self, node: &Node) {
        self.on_failure = match &node.content {
            Content::Text(word) => OnFailure::named(word),
            _ => None,
        };
        if self.on_failure.is_none() {
            self.refuse_word("on_failure", node, &OnFailure::WORDS);
        }
    }

    pub fn read_max_consecutive_failures(&mut self, node: &Node) {
        self.max_consecutive_failures = match node.content {
            Content::Whole(count) => usize::try_from(count).ok(),
            _ => None,
        };
        if self.max_consecutive_failures.is_none() {
            let message = format!(
                "`max_consecutive_failures` is {}; it must be a whole number, and 0 is never",
                node.shown()
            );
            self.refuse(&node.place, message);
        }
    }
}
