//! Counts the bytes that are allocated, and refuses what goes beyond the limit.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What no bad input may need.
pub const LIMIT: usize = 1 << 30;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
/// What was held when the present input began.
static BASE: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator behind a count. Without memory Rust ends the process, which the parent reports.
pub struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Whether so many bytes more stay within the limit; then they count.
fn count(bytes: usize) -> bool {
    let held = HELD.fetch_add(bytes, Relaxed) + bytes;
    if held > BASE.load(Relaxed) + LIMIT {
        HELD.fetch_sub(bytes, Relaxed);
        return false;
    }
    PEAK.fetch_max(held, Relaxed);
    true
}

// SAFETY: every call is handed on to the system's allocator, which keeps the contract; a null pointer is within it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !count(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !count(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !count(size) {
            return std::ptr::null_mut();
        }
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// An input begins: its peak is counted from what is held now.
pub fn begin() {
    let held = held();
    BASE.store(held, Relaxed);
    PEAK.store(held, Relaxed);
}

/// The most bytes that the present input held at once.
pub fn peak() -> usize {
    PEAK.load(Relaxed) - BASE.load(Relaxed)
}

pub fn held() -> usize {
    HELD.load(Relaxed)
}
