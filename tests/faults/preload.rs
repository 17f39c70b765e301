//! A layer between the program and the C library that lets one call on a file fail. `tests/it/faults.rs` builds it with
//! `rustc` and has the dynamic linker put it in front (`LD_PRELOAD`); Linux only. The product knows nothing of it.
//!
//! It counts the calls on files below `FAULT_FOLDER` that the fault in `FAULT_KIND` could meet, in all processes
//! together: the counter lies in the file `FAULT_COUNTER`, which they map. The call with the number `FAULT_AT` meets the
//! fault; the counter's file then says which call that was.

use std::ffi::{CStr, c_char, c_int, c_long, c_uint, c_void};
use std::mem::transmute;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

const EINTR: c_int = 4;
const EIO: c_int = 5;
const ENOSPC: c_int = 28;
const ENOLCK: c_int = 37;
const O_WRONLY: c_int = 1;
const O_RDWR: c_int = 2;
const O_CREAT: c_int = 0o100;
const O_CLOEXEC: c_int = 0o2_000_000;
const SIGKILL: c_int = 9;

unsafe extern "C" {
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    fn getenv(name: *const c_char) -> *const c_char;
    fn getcwd(buffer: *mut c_char, size: usize) -> *mut c_char;
    fn readlink(path: *const c_char, buffer: *mut c_char, size: usize) -> isize;
    fn mmap(at: *mut c_void, size: usize, prot: c_int, flags: c_int, fd: c_int, offset: i64) -> *mut c_void;
    fn __errno_location() -> *mut c_int;
    fn getpid() -> c_int;
    fn kill(process: c_int, signal: c_int) -> c_int;
}

/// What the mapped file holds.
#[repr(C)]
struct Counter {
    calls: AtomicU64,
    /// 1 once the fault has been met.
    is_met: AtomicU64,
    /// Which call met it: its name and the path.
    what: [u8; 2048],
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Count,
    /// The call fails with this error.
    Error(c_int),
    /// This call and every later one that needs room fail for want of it.
    Full,
    /// A read or a write does half of what it was asked for.
    Short,
    /// The file system knows no locks. Not counted: every lock fails.
    NoLocks,
    /// The process is killed: in the middle of a write, or right after any other call.
    Kill,
}

struct Settings {
    folder: &'static [u8],
    at: u64,
    kind: Kind,
    counter: *mut Counter,
}

// The counter is shared with other processes in any case; its numbers are atomic.
unsafe impl Send for Settings {}
unsafe impl Sync for Settings {}

/// What a call is about to do.
#[derive(Clone, Copy, PartialEq)]
enum Call {
    Open { creates: bool, writes: bool },
    Read,
    Write,
    Sync,
    Rename,
    Remove,
    MakeFolder,
    Truncate,
}

#[derive(PartialEq)]
enum Verdict {
    Go,
    Fail(c_int),
    Half,
    Kill,
}

impl Kind {
    fn parse(text: &[u8]) -> Self {
        match text {
            b"EIO" => Self::Error(EIO),
            b"ENOSPC" => Self::Error(ENOSPC),
            b"EINTR" => Self::Error(EINTR),
            b"full" => Self::Full,
            b"short" => Self::Short,
            b"kill" => Self::Kill,
            b"no locks" => Self::NoLocks,
            _ => Self::Count,
        }
    }

    /// Whether the operating system could let this call meet the fault.
    fn applies_to(self, call: Call) -> bool {
        let needs_room = matches!(
            call,
            Call::Open { creates: true, .. } | Call::Write | Call::Sync | Call::Rename | Call::MakeFolder
        );
        match self {
            Self::Error(ENOSPC) | Self::Full => needs_room,
            Self::Error(EINTR) => {
                matches!(call, Call::Open { .. } | Call::Read | Call::Write | Call::Sync | Call::Truncate)
            }
            Self::Short => matches!(call, Call::Read | Call::Write),
            // What only looks leaves nothing behind.
            Self::Kill => !matches!(call, Call::Read | Call::Open { creates: false, writes: false }),
            Self::NoLocks => false,
            Self::Error(_) | Self::Count => true,
        }
    }
}

fn variable(name: &CStr) -> Option<&'static [u8]> {
    // The environment is not changed while the program runs.
    let value = unsafe { getenv(name.as_ptr()) };
    (!value.is_null()).then(|| unsafe { CStr::from_ptr(value) }.to_bytes())
}

fn settings() -> Option<&'static Settings> {
    static SETTINGS: OnceLock<Option<Settings>> = OnceLock::new();
    let read = || {
        let file = unsafe { CStr::from_ptr(getenv(c"FAULT_COUNTER".as_ptr()).as_ref()?) };
        let at = std::str::from_utf8(variable(c"FAULT_AT")?).ok()?.parse().ok()?;
        let fd = unsafe { real_open()(file.as_ptr(), O_RDWR | O_CLOEXEC, 0) };
        // Readable and writable, and shared.
        let counter = unsafe { mmap(std::ptr::null_mut(), 4096, 1 | 2, 1, fd, 0) }.cast::<Counter>();
        let is_mapped = fd >= 0 && counter as isize != -1;
        let kind = Kind::parse(variable(c"FAULT_KIND")?);
        is_mapped.then_some(Settings { folder: variable(c"FAULT_FOLDER")?, at, kind, counter })
    };
    SETTINGS
        .get_or_init(|| unsafe { getenv(c"FAULT_COUNTER".as_ptr()).as_ref() }.and_then(|_| read()))
        .as_ref()
}

fn is_below(path: &[u8], folder: &[u8]) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b'/'))
}

/// The path that an open file has, and false where it has none.
fn path_of_file(fd: c_int, path: &mut [u8; 1024]) -> &[u8] {
    let mut link = *b"/proc/self/fd/\0\0\0\0\0\0\0\0\0\0\0\0";
    let (mut digits, mut rest, mut count) = ([0; 10], fd.max(0), 0);
    loop {
        digits[count] = b'0' + (rest % 10) as u8;
        rest /= 10;
        count += 1;
        if rest == 0 {
            break;
        }
    }
    for (place, digit) in digits[..count].iter().rev().enumerate() {
        link[14 + place] = *digit;
    }
    let length = unsafe { readlink(link.as_ptr().cast(), path.as_mut_ptr().cast(), path.len()) };
    &path[..length.max(0) as usize]
}

/// The path as the program names it, made absolute.
fn absolute<'a>(name: *const c_char, path: &'a mut [u8; 1024]) -> &'a [u8] {
    let name = unsafe { CStr::from_ptr(name) }.to_bytes();
    let mut length = 0;
    if name.first() != Some(&b'/') && !unsafe { getcwd(path.as_mut_ptr().cast(), path.len()) }.is_null() {
        length = path.iter().position(|byte| *byte == 0).unwrap_or(0);
        path[length] = b'/';
        length += 1;
    }
    let copied = name.len().min(path.len() - length);
    path[length..length + copied].copy_from_slice(&name[..copied]);
    &path[..length + copied]
}

/// Counts a call on a path and says whether it meets the fault.
fn judge(name: &str, call: Call, path: impl for<'a> FnOnce(&'a mut [u8; 1024]) -> &'a [u8]) -> Verdict {
    let Some(settings) = settings() else { return Verdict::Go };
    if !settings.kind.applies_to(call) {
        return Verdict::Go;
    }
    let mut space = [0; 1024];
    let path = path(&mut space);
    if !is_below(path, settings.folder) {
        return Verdict::Go;
    }
    let counter = unsafe { &*settings.counter };
    let number = counter.calls.fetch_add(1, SeqCst) + 1;
    let is_met = number == settings.at || (settings.kind == Kind::Full && number > settings.at);
    if !is_met {
        return Verdict::Go;
    }
    if counter.is_met.swap(1, SeqCst) == 0 {
        let what = unsafe { std::ptr::addr_of_mut!((*settings.counter).what) }.cast::<u8>();
        for (place, byte) in name.bytes().chain(*b" ").chain(path.iter().copied()).enumerate() {
            unsafe { what.add(place).write(byte) };
        }
    }
    match settings.kind {
        Kind::Count | Kind::NoLocks => Verdict::Go,
        Kind::Error(error) => Verdict::Fail(error),
        Kind::Full => Verdict::Fail(ENOSPC),
        Kind::Short => Verdict::Half,
        Kind::Kill => Verdict::Kill,
    }
}

fn die() -> ! {
    loop {
        unsafe { kill(getpid(), SIGKILL) };
    }
}

fn fail(error: c_int) -> isize {
    unsafe { *__errno_location() = error };
    -1
}

/// The function of the C library that stands behind one of ours.
fn next(name: &CStr) -> *mut c_void {
    // RTLD_NEXT
    unsafe { dlsym(-1isize as *mut c_void, name.as_ptr()) }
}

type Open = unsafe extern "C" fn(*const c_char, c_int, c_uint) -> c_int;

fn real_open() -> Open {
    unsafe { transmute(next(c"open64")) }
}

/// Does a call unless it meets a fault.
fn through(
    name: &str,
    call: Call,
    path: impl for<'a> FnOnce(&'a mut [u8; 1024]) -> &'a [u8],
    real: impl FnOnce() -> isize,
) -> isize {
    match judge(name, call, path) {
        Verdict::Fail(error) => fail(error),
        Verdict::Kill => {
            real();
            die()
        }
        Verdict::Go | Verdict::Half => real(),
    }
}

/// Half of what a call was asked for, if it shall do only half.
fn size(verdict: &Verdict, size: usize) -> usize {
    if *verdict == Verdict::Half && size > 1 { size / 2 } else { size }
}

fn how_opened(flags: c_int) -> Call {
    Call::Open { creates: flags & O_CREAT != 0, writes: flags & (O_WRONLY | O_RDWR) != 0 }
}

macro_rules! open_functions {
    ($($name:ident)*) => {$(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
            through("open", how_opened(flags), |space| absolute(path, space), || {
                unsafe { real_open()(path, flags, mode) as isize }
            }) as c_int
        }
    )*};
}
open_functions!(open open64);

macro_rules! file_functions {
    ($($name:ident $call:expr;)*) => {$(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(fd: c_int) -> c_int {
            through(stringify!($name), $call, |space| path_of_file(fd, space), || unsafe {
                let name = CStr::from_bytes_with_nul_unchecked(concat!(stringify!($name), "\0").as_bytes());
                transmute::<*mut c_void, unsafe extern "C" fn(c_int) -> c_int>(next(name))(fd) as isize
            }) as c_int
        }
    )*};
}
file_functions!(fsync Call::Sync; fdatasync Call::Sync;);

macro_rules! truncate_functions {
    ($($name:ident)*) => {$(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(fd: c_int, length: i64) -> c_int {
            through("ftruncate", Call::Truncate, |space| path_of_file(fd, space), || unsafe {
                let real = next(c"ftruncate64");
                transmute::<*mut c_void, unsafe extern "C" fn(c_int, i64) -> c_int>(real)(fd, length) as isize
            }) as c_int
        }
    )*};
}
truncate_functions!(ftruncate ftruncate64);

#[unsafe(no_mangle)]
pub unsafe extern "C" fn read(fd: c_int, buffer: *mut c_void, count: usize) -> isize {
    let real: unsafe extern "C" fn(c_int, *mut c_void, usize) -> isize = unsafe { transmute(next(c"read")) };
    let verdict = judge("read", Call::Read, |space| path_of_file(fd, space));
    match verdict {
        Verdict::Fail(error) => fail(error),
        _ => unsafe { real(fd, buffer, size(&verdict, count)) },
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn write(fd: c_int, buffer: *const c_void, count: usize) -> isize {
    let real: unsafe extern "C" fn(c_int, *const c_void, usize) -> isize =
        unsafe { transmute(next(c"write")) };
    let verdict = judge("write", Call::Write, |space| path_of_file(fd, space));
    match verdict {
        // A disk that becomes full takes the beginning first; the error comes with the next write.
        Verdict::Fail(ENOSPC) if count > 1 => unsafe {
            real(fd, buffer, count / 2);
            fail(ENOSPC)
        },
        Verdict::Fail(error) => fail(error),
        // Killed in the middle of a write.
        Verdict::Kill => unsafe {
            real(fd, buffer, count.div_ceil(2));
            die()
        },
        _ => unsafe { real(fd, buffer, size(&verdict, count)) },
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    type Rename = unsafe extern "C" fn(*const c_char, *const c_char) -> c_int;
    through(
        "rename",
        Call::Rename,
        |space| absolute(to, space),
        || unsafe { transmute::<*mut c_void, Rename>(next(c"rename"))(from, to) as isize },
    ) as c_int
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn flock(fd: c_int, operation: c_int) -> c_int {
    let is_below = |settings: &Settings| is_below(path_of_file(fd, &mut [0; 1024]), settings.folder);
    match settings() {
        Some(settings) if settings.kind == Kind::NoLocks && is_below(settings) => fail(ENOLCK) as c_int,
        _ => unsafe {
            transmute::<*mut c_void, unsafe extern "C" fn(c_int, c_int) -> c_int>(next(c"flock"))(fd, operation)
        },
    }
}

macro_rules! path_functions {
    ($($name:ident $call:expr;)*) => {$(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(path: *const c_char, mode: c_long) -> c_int {
            through(stringify!($name), $call, |space| absolute(path, space), || unsafe {
                let name = CStr::from_bytes_with_nul_unchecked(concat!(stringify!($name), "\0").as_bytes());
                transmute::<*mut c_void, unsafe extern "C" fn(*const c_char, c_long) -> c_int>(next(name))(path, mode)
                    as isize
            }) as c_int
        }
    )*};
}
path_functions!(mkdir Call::MakeFolder; unlink Call::Remove; rmdir Call::Remove;);

/// Removing a whole folder goes through this, one entry at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unlinkat(fd: c_int, name: *const c_char, flags: c_int) -> c_int {
    type UnlinkAt = unsafe extern "C" fn(c_int, *const c_char, c_int) -> c_int;
    // The folder's own path tells as much as the entry's.
    through(
        "unlinkat",
        Call::Remove,
        |space| if fd >= 0 { path_of_file(fd, space) } else { absolute(name, space) },
        || unsafe { transmute::<*mut c_void, UnlinkAt>(next(c"unlinkat"))(fd, name, flags) as isize },
    ) as c_int
}
