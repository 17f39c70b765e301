//! What the machine has: cores, memory, disk. Each is `None` where it cannot be learned, and then nothing is limited.

use std::fs;

pub use crate::record::disk::free_disk;

/// Cores this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Bytes of memory that can be used without pushing anything out, within the limit of the control group.
pub fn available_memory() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| memory_available(&text));
    let limit = read_number("/sys/fs/cgroup/memory.max");
    let used = read_number("/sys/fs/cgroup/memory.current");
    let group = limit.zip(used).map(|(limit, used)| limit.saturating_sub(used));
    machine.into_iter().chain(group).min()
}

/// Processes that the operating system has killed for want of memory, of all time. Only a rise says something.
pub fn oom_kills() -> Option<u64> {
    let files = ["/proc/vmstat", "/sys/fs/cgroup/memory.events"];
    let counts = files.iter().filter_map(|file| field(&fs::read_to_string(file).ok()?, "oom_kill"));
    counts.reduce(|first, second| first + second)
}

fn memory_available(meminfo: &str) -> Option<u64> {
    field(meminfo, "MemAvailable:").map(|kilobytes| kilobytes * 1024)
}

/// The number behind a name at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let of_line = |line: &str| {
        let mut words = line.split_whitespace();
        (words.next() == Some(name)).then(|| words.next()?.parse().ok()).flatten()
    };
    text.lines().find_map(of_line)
}

/// The number in a file; `None` for `max`.
fn read_number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_kernel_are_read() {
        assert_eq!(memory_available("MemTotal: 9 kB\nMemAvailable:   2 kB\n"), Some(2048));
        assert_eq!(field("oom 3\noom_kill 2\n", "oom_kill"), Some(2));
        assert_eq!(field("oom_kill many", "oom_kill"), None);
    }
}
