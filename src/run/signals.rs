//! Ctrl-C, termination and hang-up, turned into messages and flags.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;

use super::dispatch::Inbox;
use super::launcher::Message;

/// An inbox that hears of every Ctrl-C, SIGTERM and SIGHUP. Once per process.
pub fn inbox() -> anyhow::Result<Inbox> {
    let inbox = Inbox::new();
    let sender = inbox.sender.clone();
    // Nobody listens any more once the dispatcher is done.
    ctrlc::set_handler(move || drop(sender.send(Message::Interrupted)))
        .context("cannot listen for Ctrl-C")?;
    Ok(inbox)
}

/// A flag that the first signal raises. The second one ends the process at once. Once per process.
pub fn stop_flag() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&stop);
    let on_signal = move || {
        if raised.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    };
    ctrlc::set_handler(on_signal).context("cannot listen for Ctrl-C")?;
    Ok(stop)
}
