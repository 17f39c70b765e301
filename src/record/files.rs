//! Files as the store needs them: written whole or not at all, rows read as far as they can be read.
//!
//! [`write_atomic`] replaces a file in one step. [`Rows`] goes through a file of JSON lines in bounded
//! memory; a row counts once its newline is on disk, so a file whose writer was killed, or is at work,
//! reads as if the unfinished row were not there.

use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// No regular row comes near this length; longer ones are passed over, so that a damaged file cannot fill
/// the memory of its reader.
pub const MAX_ROW_BYTES: usize = 1 << 20;

/// No file that holds one value comes near this length.
const MAX_VALUE_BYTES: u64 = 64 << 20;

/// A file with more damaged rows than this says how many there are, not what is wrong with each.
pub(super) const MAX_PROBLEMS: usize = 20;

/// A file of the store that cannot be read or written, or does not say what it should.
#[derive(Debug, Error)]
pub enum StoreError {
    #[error("{}: cannot {action}: {cause}", path.display())]
    Io {
        path: PathBuf,
        /// What was tried: `read`, `write`, ...
        action: &'static str,
        /// Named in the message, and so no `source`: a chain of causes would say it twice.
        cause: io::Error,
    },
    #[error("{}: {problem}", path.display())]
    Broken { path: PathBuf, problem: String },
    #[error("{}: no such folder\nhint: `sweep run SPEC` creates it; `--runs DIR` names another", path.display())]
    NoFolder { path: PathBuf },
}

impl StoreError {
    pub(super) fn io(path: &Path, action: &'static str, cause: io::Error) -> Self {
        Self::Io { path: path.to_owned(), action, cause }
    }

    pub(super) fn broken(path: &Path, problem: impl Display) -> Self {
        Self::Broken { path: path.to_owned(), problem: problem.to_string() }
    }
}

/// Puts `bytes` at `path`, replacing what was there, so that a reader or a crash at any time meets the old
/// file or the new one and nothing between. Creates the folder where there is none.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let folder = folder_of(path);
    create_folder(folder).map_err(|source| StoreError::io(path, "write", source))?;
    replace(path, bytes, File::sync_all)?;
    sync_folder(folder).map_err(|source| StoreError::io(path, "write", source))
}

/// As [`write_atomic`] for readers, but a power cut may leave nothing of it until [`make_last`] has returned: for what is
/// written anew before anybody needs it.
pub fn write_visible(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    fs::create_dir_all(folder_of(path)).map_err(|source| StoreError::io(path, "write", source))?;
    replace(path, bytes, |_| Ok(()))
}

/// Makes a file that is there last through a power cut, with its folder.
pub fn make_last(path: &Path) -> Result<(), StoreError> {
    let folder = folder_of(path);
    File::open(path)
        .and_then(|file| file.sync_all())
        .and_then(|()| sync_folder(folder))
        .and_then(|()| sync_folder(folder_of(folder)))
        .map_err(|source| StoreError::io(path, "write", source))
}

/// Puts `bytes` in the place of what is at `path`, when `keep` is done with their file.
fn replace(path: &Path, bytes: &[u8], keep: impl Fn(&File) -> io::Result<()>) -> Result<(), StoreError> {
    let temporary = temporary_beside(path);
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
        file.write_all(bytes)?;
        keep(&file)?;
        fs::rename(&temporary, path)
    };
    write().map_err(|source| {
        let _ = fs::remove_file(&temporary);
        StoreError::io(path, "write", source)
    })
}

/// A new file with these bytes, on the disk when this returns. For folders that are not in their place yet; elsewhere
/// [`write_atomic`] is what keeps readers from half a file.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    write_new_with(path, |out| out.write_all(bytes))
}

/// As [`write_new`] with what `fill` writes, so that a large file need not be in memory as a whole.
pub fn write_new_with(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), StoreError> {
    let write = || -> io::Result<()> {
        let mut out = BufWriter::new(OpenOptions::new().write(true).create_new(true).open(path)?);
        fill(&mut out)?;
        out.flush()?;
        out.get_ref().sync_all()
    };
    write().map_err(|source| StoreError::io(path, "write", source))
}

/// Removes what killed writers left of files that [`write_atomic`] was to put into `folder`. Only for who has the folder
/// to himself.
pub(super) fn remove_temporary_files(folder: &Path) -> Result<(), StoreError> {
    let failure = |source| StoreError::io(folder, "tidy", source);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failure)?,
    };
    for entry in entries {
        let path = entry.map_err(failure)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') && name.ends_with(".tmp") && path.is_file() {
            remove_file(&path)?;
        }
    }
    Ok(())
}

/// Removes a file; one that is not there is no error.
pub fn remove_file(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::io(path, "remove", source))
        }
        _ => Ok(()),
    }
}

/// Makes the rows that were added to a file last through a power cut, whoever wrote them.
pub(super) fn sync_rows(path: &Path) -> Result<(), StoreError> {
    let synced = match OpenOptions::new().append(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        file => file.and_then(|file| file.sync_data()),
    };
    synced.map_err(|source| StoreError::io(path, "write", source))
}

/// A hidden name in the same folder (a rename is atomic only within a file system) that no other process
/// and no other thread uses.
fn temporary_beside(path: &Path) -> PathBuf {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!(".{name}.{}.{count}.tmp", std::process::id()))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Creates a folder and those above it where there are none, to last through a power cut.
fn create_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder_of(folder);
    create_folder(above)?;
    match fs::create_dir(folder) {
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if folder.is_dir() {
                Ok(())
            } else {
                Err(io::ErrorKind::NotADirectory.into())
            }
        }
        Err(error) => Err(error),
        Ok(()) => sync_folder(above),
    }
}

/// Makes the names in a folder last through a power cut. Elsewhere than on Unix folders cannot be opened, nor need be.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// The text of a file, refused where it is longer than `max_bytes` or not UTF-8.
pub(super) fn read_text(path: &Path, max_bytes: u64) -> Result<String, StoreError> {
    let file = File::open(path).map_err(|source| StoreError::io(path, "read", source))?;
    let mut text = String::new();
    file.take(max_bytes + 1)
        .read_to_string(&mut text)
        .map_err(|source| StoreError::io(path, "read", source))?;
    if text.len() as u64 > max_bytes {
        return Err(StoreError::broken(path, format!("longer than {max_bytes} bytes")));
    }
    Ok(text)
}

/// Replaces a file by these rows, one JSON object a line.
pub(super) fn write_rows<T: Serialize>(path: &Path, rows: &[T]) -> Result<(), StoreError> {
    write_atomic(path, rows_as_text(path, rows)?.as_bytes())
}

/// Replaces a file by a value, as JSON on lines of its own.
pub(super) fn write_value(path: &Path, value: &impl Serialize) -> Result<(), StoreError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| StoreError::broken(path, error))?;
    write_atomic(path, format!("{text}\n").as_bytes())
}

/// A value from a JSON file of at most [`MAX_VALUE_BYTES`]; nothing where there is no file.
pub(super) fn read_value<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StoreError> {
    if !path.exists() {
        return Ok(None);
    }
    let text = read_text(path, MAX_VALUE_BYTES)?;
    serde_json::from_str(&text).map(Some).map_err(|error| StoreError::broken(path, error))
}

/// Adds rows to a file, creating it where there is none.
pub(super) fn append_rows<T: Serialize>(path: &Path, rows: &[T]) -> Result<(), StoreError> {
    let text = rows_as_text(path, rows)?;
    let mut file = open_for_appending(path)?;
    file.write_all(text.as_bytes()).map_err(|source| StoreError::io(path, "write", source))
}

fn rows_as_text<T: Serialize>(path: &Path, rows: &[T]) -> Result<String, StoreError> {
    let mut text = String::new();
    for row in rows {
        text.push_str(&serde_json::to_string(row).map_err(|error| StoreError::broken(path, error))?);
        text.push('\n');
    }
    Ok(text)
}

/// The rows of a file and what was wrong with those left out. No file means no rows.
pub(super) fn read_rows<T: DeserializeOwned>(path: &Path) -> (Vec<T>, Vec<String>) {
    let parse = |text: &str| serde_json::from_str(text).map_err(|error| error.to_string());
    read_rows_with(path, parse).unwrap_or_else(|error| (Vec::new(), vec![error.to_string()]))
}

/// As [`read_rows`], with rows of any form.
pub(super) fn read_rows_with<T>(
    path: &Path,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<(Vec<T>, Vec<String>), StoreError> {
    let failure = |source| StoreError::io(path, "read", source);
    let mut rows = Vec::new();
    let mut problems = Problems::default();
    let mut source = Rows::open(path).map_err(failure)?;
    while let Some((offset, text)) = source.next().map_err(failure)? {
        match text.and_then(|text| parse(&text)) {
            Ok(row) => rows.push(row),
            Err(problem) => problems.add(offset, &problem),
        }
    }
    Ok((rows, problems.into_messages()))
}

/// Opens a file of rows to add to it. What a killed writer left of its last row is cut off first, so that
/// the next one is not glued to it. Where there is no file, one is there to stay when this returns.
pub(super) fn open_for_appending(path: &Path) -> Result<File, StoreError> {
    let open = || -> io::Result<File> {
        match OpenOptions::new().read(true).append(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
                sync_folder(folder_of(path))?;
                Ok(file)
            }
            opened => opened,
        }
    };
    let mut file = open().map_err(|source| StoreError::io(path, "open", source))?;
    cut_torn_row(&mut file).map_err(|source| StoreError::io(path, "repair", source))?;
    Ok(file)
}

/// Shortens a file of rows to the end of its last complete one.
fn cut_torn_row(file: &mut File) -> io::Result<()> {
    const BLOCK: u64 = 64 * 1024;
    let length = file.seek(SeekFrom::End(0))?;
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        let mut block = Vec::new();
        file.seek(SeekFrom::Start(start))?;
        (&*file).take(end - start).read_to_end(&mut block)?;
        if let Some(newline) = block.iter().rposition(|&byte| byte == b'\n') {
            end = start + newline as u64 + 1;
            break;
        }
        end = start;
    }
    if end < length { file.set_len(end) } else { Ok(()) }
}

/// Whether a file of rows ends with a complete one, as one that was written whole does.
pub(super) fn is_whole(path: &Path) -> Result<bool, StoreError> {
    let read = || -> io::Result<bool> {
        let mut file = File::open(path)?;
        if file.seek(SeekFrom::End(0))? == 0 {
            return Ok(true);
        }
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        Ok(last == *b"\n")
    };
    read().map_err(|source| StoreError::io(path, "read", source))
}

/// The last complete row of a file, from its end alone. `None` where there is no such file, no complete row or
/// none within the end that is read: the last line of a run is far shorter.
pub(super) fn read_last_row(path: &Path) -> Result<Option<String>, StoreError> {
    const END: u64 = 64 * 1024;
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let start = file.seek(SeekFrom::End(0))?.saturating_sub(END);
        let mut tail = Vec::new();
        file.seek(SeekFrom::Start(start))?;
        file.take(END).read_to_end(&mut tail)?;
        Ok(tail)
    };
    let tail = match read() {
        Ok(tail) => tail,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(StoreError::io(path, "read", source)),
    };
    let mut rows = tail.split(|&byte| byte == b'\n').rev();
    // What follows the last newline is no complete row.
    rows.next();
    Ok(rows.next().and_then(|row| String::from_utf8(row.to_vec()).ok()))
}

/// The complete rows of a file, each with its byte offset.
struct Rows {
    reader: Option<BufReader<File>>,
    offset: u64,
}

impl Rows {
    fn open(path: &Path) -> io::Result<Self> {
        let reader = match File::open(path) {
            Ok(file) => Some(BufReader::with_capacity(64 * 1024, file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self { reader, offset: 0 })
    }

    /// The next complete row that is not blank: its offset, and its text or what is wrong with it.
    fn next(&mut self) -> io::Result<Option<(u64, Result<String, String>)>> {
        let Some(reader) = &mut self.reader else {
            return Ok(None);
        };
        loop {
            let offset = self.offset;
            let mut bytes = Vec::new();
            let longest = MAX_ROW_BYTES as u64 + 1;
            self.offset += reader.by_ref().take(longest).read_until(b'\n', &mut bytes)? as u64;
            if bytes.last() == Some(&b'\n') {
                bytes.pop();
                if bytes.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                let text = String::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned());
                return Ok(Some((offset, text)));
            }
            if bytes.len() <= MAX_ROW_BYTES {
                return Ok(None);
            }
            self.offset += reader.skip_until(b'\n')? as u64;
            return Ok(Some((offset, Err(format!("longer than {MAX_ROW_BYTES} bytes")))));
        }
    }
}

/// What was wrong with a file's rows; bounded, since a damaged file may be wrong in every row.
#[derive(Default)]
struct Problems {
    messages: Vec<String>,
    left_out: usize,
}

impl Problems {
    fn add(&mut self, offset: u64, problem: &str) {
        if self.messages.len() < MAX_PROBLEMS {
            self.messages.push(format!("line at byte {offset}: {problem}"));
        } else {
            self.left_out += 1;
        }
    }

    fn into_messages(mut self) -> Vec<String> {
        if self.left_out > 0 {
            self.messages.push(format!("{} more lines could not be read", self.left_out));
        }
        self.messages
    }
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
