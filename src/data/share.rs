//! Shares out memory among the threads that decode pictures, so that a folder of huge ones does not fill it.
//!
//! A picture within the limits may take most of a gigabyte while it is decoded, and as many are decoded at a time as
//! there are cores. Small ones, which is nearly all, go through at once; large ones wait for their turn.

use std::sync::{Condvar, Mutex, PoisonError};

/// Bytes that pictures may take together; one that needs more is decoded alone.
const TOTAL: u64 = 640 << 20;
/// What takes less is not waited for.
pub const SMALL: u64 = 16 << 20;

static FREE: Mutex<u64> = Mutex::new(TOTAL);
static RETURNED: Condvar = Condvar::new();

/// Memory that its holder may use; given back when dropped.
#[derive(Debug)]
pub struct Share(u64);

impl Share {
    /// Waits until there is room. A thread that holds a share must not ask for another one.
    pub fn take(bytes: u64) -> Self {
        if bytes < SMALL {
            return Self(0);
        }
        let bytes = bytes.min(TOTAL);
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free =
            RETURNED.wait_while(free, |free| *free < bytes).unwrap_or_else(PoisonError::into_inner);
        *free -= bytes;
        Self(bytes)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.0 > 0 {
            *FREE.lock().unwrap_or_else(PoisonError::into_inner) += self.0;
            RETURNED.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn shares_together_never_exceed_what_there_is() {
        let (held, most) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for number in 0..8 {
                let (held, most) = (&held, &most);
                scope.spawn(move || {
                    for _ in 0..50 {
                        // The largest wish is cut to all there is, so that it is met at all.
                        let wish = [200 << 20, 500 << 20, 9 << 30][number % 3];
                        let share = Share::take(wish);
                        let now = held.fetch_add(share.0, Ordering::SeqCst) + share.0;
                        most.fetch_max(now, Ordering::SeqCst);
                        thread::yield_now();
                        held.fetch_sub(share.0, Ordering::SeqCst);
                    }
                });
            }
        });
        let most = most.into_inner();
        assert!((500 << 20..=TOTAL).contains(&most), "{most}");
    }
}
