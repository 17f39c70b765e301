//! Where the executor hears from runs and from the user.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Instant;

use super::launcher::Message;
use super::policy::Halt;

/// A queue of messages.
pub struct Inbox {
    pub sender: Sender<Message>,
    pub receiver: Receiver<Message>,
    /// When the sweep's time is spent.
    pub deadline: Option<Instant>,
    nothing_to_lose: Arc<AtomicBool>,
}

impl Inbox {
    pub fn new() -> Self {
        let (sender, receiver) = mpsc::channel();
        Self { sender, receiver, deadline: None, nothing_to_lose: Arc::new(AtomicBool::new(false)) }
    }

    /// The same with an end of its time.
    pub fn until(self, deadline: Option<Instant>) -> Self {
        Self { deadline, ..self }
    }

    /// Whether the user has asked to stop, or the time is spent, outside of the dispatcher. Forgets what else was there.
    pub fn was_interrupted(&self) -> bool {
        self.is_time_spent()
            || self.receiver.try_iter().any(|message| matches!(message, Message::Interrupted))
    }

    /// Why, once [`Self::was_interrupted`] said so.
    pub fn halt(&self) -> Halt {
        if self.is_time_spent() { Halt::BudgetSpent } else { Halt::Interrupted }
    }

    fn is_time_spent(&self) -> bool {
        self.deadline.is_some_and(|at| at <= Instant::now())
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_wish_to_stop_and_the_end_of_the_time_are_told_apart() {
        let inbox = Inbox::new();
        assert!(!inbox.was_interrupted());
        inbox.sender.send(Message::Interrupted).unwrap();
        assert!(inbox.was_interrupted() && inbox.halt() == Halt::Interrupted);
        let later = Instant::now() + Duration::from_secs(3600);
        assert!(!Inbox::new().until(Some(later)).was_interrupted());
        let spent = Inbox::new().until(Some(Instant::now()));
        assert!(spent.was_interrupted() && spent.halt() == Halt::BudgetSpent);
    }

    #[test]
    fn there_is_nothing_to_lose_during_such_work_alone() {
        let inbox = Inbox::new();
        let seen = inbox.nothing_to_lose();
        let is_so = || seen.load(Ordering::SeqCst);
        assert!(!is_so() && inbox.with_nothing_to_lose(is_so) && !is_so());
    }
}
