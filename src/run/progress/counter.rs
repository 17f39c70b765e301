//! How far a command is that works through many things of one kind.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use super::bars::style;

/// Without a terminal a line is written this often.
const QUIET: Duration = Duration::from_secs(60);

/// Counts on standard error: a bar on a terminal, a line now and then elsewhere.
pub struct Counter {
    bar: ProgressBar,
    spoke: Instant,
}

impl Counter {
    /// Says once what will be done, such as `looking at 20 images`.
    pub fn new(what: &str, total: usize) -> Self {
        let bar =
            ProgressBar::new(total as u64).with_style(style("{msg} {wide_bar} {pos}/{len}, {eta} left"));
        bar.set_message(what.to_owned());
        if bar.is_hidden() {
            tell(what);
        }
        Self { bar, spoke: Instant::now() }
    }

    pub fn add(&mut self, count: usize) {
        self.bar.inc(count as u64);
        if self.bar.is_hidden() && self.spoke.elapsed() >= QUIET {
            tell(&format!("{} of {}", self.bar.position(), self.bar.length().unwrap_or_default()));
            self.spoke = Instant::now();
        }
    }
}

/// Nobody needs to be there to read it.
fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
