//! Ctrl-C, termination and hang-up, turned into messages and flags.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

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
        if count >= AT_ONCE || nothing_to_lose.load(Ordering::SeqCst) {
            process::exit(INTERRUPTED);
        }
        // Nobody listens any more once the dispatcher is done.
        drop(sender.send(Message::Interrupted));
    };
    ctrlc::set_handler(on_signal).context("cannot listen for Ctrl-C")?;
    Ok(inbox)
}

/// A flag that the first signal raises. The second one ends the process at once. Once per process.
pub fn stop_flag() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&stop);
    let on_signal = move || {
        if raised.swap(true, Ordering::SeqCst) {
            process::exit(INTERRUPTED);
        }
    };
    ctrlc::set_handler(on_signal).context("cannot listen for Ctrl-C")?;
    Ok(stop)
}
