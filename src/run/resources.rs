//! What the machine has: cores, memory, disk. Each is `None` where it cannot be learned, and then nothing is limited.

use std::fs;

pub use crate::record::disk::free_disk;
pub use crate::record::memory::available_memory;
use crate::record::memory::field;

/// Cores this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Processes that the operating system has killed for want of memory, of all time. Only a rise says something.
pub fn oom_kills() -> Option<u64> {
    let files = ["/proc/vmstat", "/sys/fs/cgroup/memory.events"];
    let counts = files.iter().filter_map(|file| field(&fs::read_to_string(file).ok()?, "oom_kill"));
    counts.reduce(|first, second| first + second)
}
