//! Ctrl-C, termination and hang-up, turned into messages and flags; and what a scheduler says by signals.

use std::io::{self, Write};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

use anyhow::Context;

use super::inbox::Inbox;
use super::launcher::Message;

/// 128 and the number of SIGINT, as shells have it.
const INTERRUPTED: i32 = 130;
/// The first signal asks, the second kills what runs. Who sends a third does not want to wait for that either.
const AT_ONCE: usize = 3;

/// An inbox that hears of every Ctrl-C, SIGTERM and SIGHUP. Once per process.
pub fn inbox() -> anyhow::Result<Inbox> {
    let inbox = Inbox::new();
    let (sender, nothing_to_lose) = (inbox.sender.clone(), inbox.nothing_to_lose());
    let signals = AtomicUsize::new(0);
    let on_signal = move || {
        let count = signals.fetch_add(1, Ordering::SeqCst) + 1;
        let is_nothing_lost = nothing_to_lose.load(Ordering::SeqCst);
        if is_nothing_lost {
            let _ = writeln!(io::stderr(), "interrupted before any run began");
        }
        if is_nothing_lost || count >= AT_ONCE {
            process::exit(INTERRUPTED);
        }
        // Nobody listens any more once the dispatcher is done.
        drop(sender.send(Message::Interrupted));
    };
    ctrlc::set_handler(on_signal).context("cannot listen for Ctrl-C")?;
    Ok(inbox)
}

/// A flag that the first signal raises. The second one ends the process at once, unless a parent watches over it:
/// schedulers signal every process of a task, and some do so twice. Once per process.
pub fn stop_flag(is_supervised: bool) -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&stop);
    let on_signal = move || {
        if raised.swap(true, Ordering::SeqCst) && !is_supervised {
            process::exit(INTERRUPTED);
        }
    };
    ctrlc::set_handler(on_signal).context("cannot listen for Ctrl-C")?;
    #[cfg(unix)]
    signal_hook::flag::register(signal_hook::consts::SIGUSR2, Arc::clone(&stop))
        .context("cannot listen for SIGUSR2")?;
    Ok(stop)
}

/// What a scheduler has said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    Nothing,
    /// The task's time is nearly up (SIGUSR2): save a checkpoint, and go back into the queue.
    TimeIsUp,
    /// The task is to end (SIGTERM): whoever says so decides what becomes of it.
    End,
}

/// What a scheduler has said so far. Of several words the strongest counts.
#[derive(Debug, Clone, Default)]
pub struct Heard(Arc<AtomicU8>);

impl Heard {
    pub fn get(&self) -> Told {
        match self.0.load(Ordering::SeqCst) {
            0 => Told::Nothing,
            1 => Told::TimeIsUp,
            _ => Told::End,
        }
    }

    #[cfg_attr(not(unix), allow(dead_code))]
    fn hear(&self, told: Told) {
        let strength = match told {
            Told::Nothing => 0,
            Told::TimeIsUp => 1,
            Told::End => 2,
        };
        self.0.fetch_max(strength, Ordering::SeqCst);
    }
}

/// An inbox that hears what a scheduler says. However often it says so, what runs saves its checkpoint: a scheduler that
/// does not want to wait kills. Once per process.
#[cfg(unix)]
pub fn inbox_of_scheduler() -> anyhow::Result<(Inbox, Heard)> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR2};
    let inbox = Inbox::new();
    let heard = Heard::default();
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP, SIGUSR2])
        .context("cannot listen for signals")?;
    let (sender, hearing) = (inbox.sender.clone(), heard.clone());
    std::thread::spawn(move || {
        for signal in signals.forever() {
            let is_first = hearing.get() == Told::Nothing;
            hearing.hear(if signal == SIGUSR2 { Told::TimeIsUp } else { Told::End });
            if is_first {
                // Nobody listens any more once the dispatcher is done.
                drop(sender.send(Message::Interrupted));
            }
        }
    });
    Ok((inbox, heard))
}

/// Where there are no such signals, Ctrl-C has to do.
#[cfg(not(unix))]
pub fn inbox_of_scheduler() -> anyhow::Result<(Inbox, Heard)> {
    Ok((inbox()?, Heard::default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_word_of_a_scheduler_counts() {
        let heard = Heard::default();
        assert_eq!(heard.get(), Told::Nothing);
        for (word, counts) in
            [(Told::TimeIsUp, Told::TimeIsUp), (Told::End, Told::End), (Told::TimeIsUp, Told::End)]
        {
            heard.hear(word);
            assert_eq!(heard.get(), counts);
        }
    }
}
