//! Several devices on one machine: each run has one to itself for as long as it works.

use std::sync::{Arc, Mutex, PoisonError};

/// Devices that runs take and give back. One that is named several times is shared by as many runs.
#[derive(Debug, Clone)]
pub struct Devices {
    names: Vec<String>,
    /// Those that nobody has, by their place in `names`; the next is the last.
    free: Arc<Mutex<Vec<usize>>>,
}

/// A device at work; given back when dropped.
#[derive(Debug)]
pub struct Held {
    pub name: String,
    place: usize,
    free: Arc<Mutex<Vec<usize>>>,
}

impl Devices {
    pub fn new(names: &[String]) -> Self {
        let free = (0..names.len()).rev().collect();
        Self { names: names.to_vec(), free: Arc::new(Mutex::new(free)) }
    }

    /// Each name once, in their order.
    pub fn distinct(&self) -> Vec<String> {
        let mut seen = Vec::new();
        for name in &self.names {
            if !seen.contains(name) {
                seen.push(name.clone());
            }
        }
        seen
    }

    /// The first device that is free; `None` where all are at work.
    pub fn take(&self) -> Option<Held> {
        let place = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        Some(Held { name: self.names[place].clone(), place, free: Arc::clone(&self.free) })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.push(self.place);
        // The first comes first again, whoever was faster.
        free.sort_unstable_by(|one, other| other.cmp(one));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_one_run_at_a_time_and_is_free_when_that_ends() {
        let devices = Devices::new(&["cuda:0", "cuda:1", "cuda:0"].map(str::to_owned));
        assert_eq!(devices.distinct(), ["cuda:0", "cuda:1"]);
        let held: Vec<Held> = std::iter::from_fn(|| devices.take()).collect();
        let names: Vec<&str> = held.iter().map(|held| held.name.as_str()).collect();
        assert_eq!(names, ["cuda:0", "cuda:1", "cuda:0"]);
        assert!(devices.take().is_none());
        let mut held = held.into_iter();
        held.next();
        let (second, third) = (held.next(), held.next());
        drop((third, second));
        assert_eq!([(); 3].map(|()| devices.take().map(|held| held.place)), [Some(0); 3]);
    }
}
