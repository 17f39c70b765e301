//! Where the executor hears from runs and from the user.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};

use super::launcher::Message;

/// A queue of messages.
pub struct Inbox {
    pub sender: Sender<Message>,
    pub receiver: Receiver<Message>,
    nothing_to_lose: Arc<AtomicBool>,
}

impl Inbox {
    pub fn new() -> Self {
        let (sender, receiver) = mpsc::channel();
        Self { sender, receiver, nothing_to_lose: Arc::new(AtomicBool::new(false)) }
    }

    /// Whether the user has asked to stop, outside of the dispatcher. Forgets what else was there.
    pub fn was_interrupted(&self) -> bool {
        self.receiver.try_iter().any(|message| matches!(message, Message::Interrupted))
    }

    /// Does what may take long and leaves nothing half done: a wish to stop ends the program at once meanwhile.
    pub fn with_nothing_to_lose<T>(&self, work: impl FnOnce() -> T) -> T {
        self.nothing_to_lose.store(true, Ordering::SeqCst);
        let result = work();
        self.nothing_to_lose.store(false, Ordering::SeqCst);
        result
    }

    /// Whether there is [`Self::with_nothing_to_lose`], for who hears the user.
    pub(super) fn nothing_to_lose(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.nothing_to_lose)
    }
}

impl Default for Inbox {
    fn default() -> Self {
        Self::new()
    }
}
