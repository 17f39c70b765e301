//! Room in memory.

use std::fs;

/// Bytes of memory that can be used without pushing anything out, within the limit of the control group.
pub fn available_memory() -> Option<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo").ok();
    let machine = meminfo.and_then(|text| kilobytes(&text, "MemAvailable:"));
    machine.into_iter().chain(free_in_group()).min()
}

/// Bytes that this process can get at all, swap included, within the limits set to it (`ulimit`).
pub fn allocatable_memory() -> Option<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo").ok();
    let machine = meminfo.and_then(|text| {
        Some(kilobytes(&text, "MemAvailable:")? + kilobytes(&text, "SwapFree:").unwrap_or_default())
    });
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let within = |limit, used| free_within(&limits, limit, &status, used);
    let own = [within("Max data size", "VmData:"), within("Max address space", "VmSize:")];
    machine.into_iter().chain(free_in_group()).chain(own.into_iter().flatten()).min()
}

/// What the control group has left.
fn free_in_group() -> Option<u64> {
    let limit = read_number("/sys/fs/cgroup/memory.max");
    let used = read_number("/sys/fs/cgroup/memory.current");
    limit.zip(used).map(|(limit, used)| limit.saturating_sub(used))
}

/// What is left of a limit in `/proc/self/limits`; `None` for `unlimited`.
fn free_within(limits: &str, limit: &str, status: &str, used: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix(limit))?;
    let limit: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(limit.saturating_sub(kilobytes(status, used).unwrap_or_default()))
}

/// The number behind a name at the beginning of a line, as bytes.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    field(text, name).map(|kilobytes| kilobytes * 1024)
}

/// The number behind a name at the beginning of a line.
pub fn field(text: &str, name: &str) -> Option<u64> {
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
        assert_eq!(kilobytes("MemTotal: 9 kB\nMemAvailable:   2 kB\n", "MemAvailable:"), Some(2048));
        assert_eq!(field("oom 3\noom_kill 2\n", "oom_kill"), Some(2));
        assert_eq!(field("oom_kill many", "oom_kill"), None);
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax data size   8192  unlimited  bytes\n\
                      Max address space  unlimited  unlimited  bytes\n";
        assert_eq!(free_within(limits, "Max data size", "VmData:\t  3 kB\n", "VmData:"), Some(5120));
        assert_eq!(free_within(limits, "Max data size", "VmData:\t  9 kB\n", "VmData:"), Some(0));
        assert_eq!(free_within(limits, "Max address space", "", "VmSize:"), None);
    }
}
