//! Downloads a model's files into the cache, in a thread of its own that is watched.
//!
//! The hf-hub crate transfers the files. What it lacks is added here: attempts that go on where the last one
//! stopped, checksums, an end to waiting for a server that has fallen silent, and errors that say what to do.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo, Metadata};
use hf_hub::{Cache, Repo, RepoType};

use super::snapshot::check;
use super::{Download, Hub, HubError, HubId, Watch, checksum};
use crate::model::{COMPANIONS, weight_files};

/// Attempts at a file before giving up, once the hub has answered at all.
const ATTEMPTS: u32 = 5;
/// How often whoever watches is asked whether to go on.
const TICK: Duration = Duration::from_millis(100);
/// Between looks at a file that another process is downloading.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the thread says.
enum Note {
    Heard(Download),
    Done(Result<PathBuf, HubError>),
}

impl Hub {
    /// The folder of a model, downloaded as far as it is not in the cache.
    pub fn fetch(&self, id: &HubId, watch: &mut Watch) -> Result<PathBuf, HubError> {
        if let Some(folder) = self.cached(id) {
            return Ok(folder);
        }
        if self.offline {
            return Err(HubError::Offline { id: id.clone(), cache: self.cache.clone() });
        }
        let (sender, receiver) = mpsc::channel();
        let (hub, wanted) = (self.clone(), id.clone());
        thread::spawn(move || {
            let fetched = Job::new(&hub, &wanted, &sender).and_then(|mut job| job.run());
            // Whoever watched may have given up.
            let _ = sender.send(Note::Done(fetched));
        });
        self.supervise(id, &receiver, watch)
    }

    /// Passes on what the thread says until it is done, told to stop, or silent for too long. A thread that is
    /// left behind ends with the process; what it has written so far is resumed from.
    fn supervise(&self, id: &HubId, notes: &Receiver<Note>, watch: &mut Watch) -> Result<PathBuf, HubError> {
        let mut file = "its files".to_owned();
        let mut last = Instant::now();
        loop {
            let heard = match notes.recv_timeout(TICK) {
                Ok(Note::Done(fetched)) => return fetched,
                Ok(Note::Heard(download)) => Some(download),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => {
                    let reason = "the answer of the hub was not understood".to_owned();
                    return Err(HubError::Failed { id: id.clone(), file, reason });
                }
            };
            if let Some(download) = &heard {
                last = Instant::now();
                if let Download::File { name, .. } = download {
                    file.clone_from(name);
                }
            }
            if !watch(heard) {
                return Err(HubError::Stopped);
            }
            if last.elapsed() > self.timeout {
                return Err(HubError::Stalled { id: id.clone(), file, seconds: self.timeout.as_secs() });
            }
        }
    }
}

/// One model's download.
struct Job<'a> {
    hub: &'a Hub,
    id: &'a HubId,
    notes: &'a Sender<Note>,
    api: Api,
    repository: ApiRepo,
    /// Where the crate and this program agree that files lie.
    cache: hf_hub::CacheRepo,
    /// The hub has answered before.
    reached: bool,
}

/// How an attempt at a file failed.
enum Failure {
    Final(HubError),
    /// Another process has the file.
    Busy,
    /// With the checksum it has and the one it should have.
    Damaged(String),
    /// It may go better the next time.
    Passing(String),
}

impl<'a> Job<'a> {
    fn new(hub: &'a Hub, id: &'a HubId, notes: &'a Sender<Note>) -> Result<Self, HubError> {
        let cache = Cache::new(hub.cache.clone());
        let api = ApiBuilder::from_cache(cache.clone())
            .with_endpoint(hub.endpoint.clone())
            .with_token(hub.token.clone())
            .with_progress(false)
            .with_user_agent("sweep", env!("CARGO_PKG_VERSION"))
            .build()
            .map_err(|error| unreachable(hub, id, error.to_string()))?;
        let repo = Repo::with_revision(id.repository.clone(), RepoType::Model, id.revision.clone());
        let (repository, cache) = (api.repo(repo.clone()), cache.repo(repo));
        Ok(Self { hub, id, notes, api, repository, cache, reached: false })
    }

    fn run(&mut self) -> Result<PathBuf, HubError> {
        // Weights come last: where they are complete, the others have been asked for.
        for name in COMPANIONS.into_iter().chain(["generation_config.json"]) {
            if !self.bring(name)? && name == "config.json" {
                let (id, endpoint) = (self.id.clone(), self.hub.endpoint.clone());
                return Err(HubError::NoSuchModel { id, endpoint });
            }
        }
        for name in weight_files::ENTRY_POINTS {
            if self.bring(name)? {
                self.bring_parts(name)?;
                break;
            }
        }
        let folder = self.folder()?;
        check(self.id, &folder)?;
        Ok(folder)
    }

    /// The files that an index of weights names.
    fn bring_parts(&mut self, entry_point: &str) -> Result<(), HubError> {
        if !entry_point.ends_with(".json") {
            return Ok(());
        }
        let parts = weight_files::parts(&self.folder()?.join(entry_point));
        for part in parts.map_err(|error| self.failed(entry_point, error.to_string()))? {
            self.bring(&part)?;
        }
        Ok(())
    }

    fn folder(&self) -> Result<PathBuf, HubError> {
        let missing = || self.failed("config.json", "it is gone from the cache".to_owned());
        self.hub.snapshot(self.id).ok_or_else(missing)
    }

    /// Makes sure that a file is in the cache, in as many attempts as it takes; false where the hub has none.
    fn bring(&mut self, name: &str) -> Result<bool, HubError> {
        if self.hub.snapshot(self.id).is_some_and(|folder| folder.join(name).is_file()) {
            return Ok(true);
        }
        let (mut failures, mut was_damaged) = (0, false);
        loop {
            match self.attempt(name) {
                Ok(found) => {
                    self.reached = true;
                    return Ok(found);
                }
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Busy) => {
                    self.tell(Download::Waiting);
                    thread::sleep(PATIENCE);
                }
                Err(Failure::Damaged(checksums)) if was_damaged => {
                    let (id, file) = (self.id.clone(), name.to_owned());
                    return Err(HubError::Damaged { id, file, checksums });
                }
                Err(Failure::Damaged(_)) => {
                    was_damaged = true;
                    self.tell(Download::Retrying(format!("{name} arrived damaged")));
                }
                Err(Failure::Passing(reason)) => {
                    failures += 1;
                    if failures >= if self.reached { ATTEMPTS } else { 2 } {
                        return Err(if self.reached {
                            self.failed(name, reason)
                        } else {
                            unreachable(self.hub, self.id, reason)
                        });
                    }
                    self.tell(Download::Retrying(format!("{name}: {reason}")));
                    thread::sleep(PATIENCE * (1 << failures.min(3)) / 2);
                }
            }
        }
    }

    /// Downloads a file or the rest of it, and checks it.
    fn attempt(&self, name: &str) -> Result<bool, Failure> {
        let metadata = match self.api.metadata(&self.repository.url(name)) {
            Ok(metadata) => metadata,
            Err(error) if status(&error) == Some(404) => return Ok(false),
            Err(error) => return Err(self.failure(name, error)),
        };
        let tag = metadata.etag();
        if !is_plain(tag) || !is_plain(metadata.commit_hash()) {
            let reason = format!("the hub names it {tag:?}, which is no name for a file");
            return Err(Failure::Final(self.failed(name, reason)));
        }
        let blob = self.cache.blob_path(tag);
        let part = blob.with_extension("part");
        let pointer = self.cache.pointer_path(metadata.commit_hash()).join(name);
        // Killed between the last byte and its new name.
        if fs::metadata(&part).is_ok_and(|part| part.len() == metadata.size() as u64) {
            fs::rename(&part, &blob).map_err(|error| disk(&blob, &error))?;
        }
        if blob.is_file() {
            // Another revision has the same file.
            self.link(&metadata, &blob, &pointer).map_err(|error| disk(&pointer, &error))?;
        } else {
            let listener = Listener { notes: self.notes.clone() };
            if let Err(error) = self.repository.download_with_progress(name, listener) {
                if matches!(error, ApiError::InvalidResume) || status(&error) == Some(416) {
                    // The rest of another file; an error shows up when it is written again.
                    let _ = fs::remove_file(&part);
                }
                return Err(self.failure(name, error));
            }
        }
        match checksum::mismatch(&blob, tag).map_err(|error| disk(&blob, &error))? {
            None => Ok(true),
            Some(found) => {
                for file in [&pointer, &blob] {
                    fs::remove_file(file).map_err(|error| disk(file, &error))?;
                }
                Err(Failure::Damaged(format!("{found}, not the hub's {tag}")))
            }
        }
    }

    /// Lets a snapshot have a file that is in the cache already.
    fn link(&self, metadata: &Metadata, blob: &Path, pointer: &Path) -> io::Result<()> {
        if let Some(folder) = pointer.parent() {
            fs::create_dir_all(folder)?;
        }
        if !pointer.exists()
            && let Err(error) = place(blob, pointer)
            // Another process may have placed it between.
            && !pointer.exists()
        {
            return Err(error);
        }
        self.cache.create_ref(metadata.commit_hash())
    }

    fn failure(&self, name: &str, error: ApiError) -> Failure {
        match (status(&error), &error) {
            (Some(status @ (401 | 403)), _) => {
                let (id, endpoint) = (self.id.clone(), self.hub.endpoint.clone());
                Failure::Final(HubError::Refused { id, endpoint, status })
            }
            (Some(status @ 400..=499), _) if ![408, 416, 429].contains(&status) => Failure::Final(
                self.failed(name, format!("{} answers with status {status}", self.hub.endpoint)),
            ),
            (_, ApiError::LockAcquisition(_)) => Failure::Busy,
            (_, ApiError::IoError(cause)) if is_of_the_disk(cause) => disk(&self.hub.cache, cause),
            (_, ApiError::RequestError(cause)) => Failure::Passing(cause.to_string()),
            _ => Failure::Passing(error.to_string()),
        }
    }

    fn failed(&self, name: &str, reason: String) -> HubError {
        HubError::Failed { id: self.id.clone(), file: name.to_owned(), reason }
    }

    fn tell(&self, download: Download) {
        // Whoever watched may have given up.
        let _ = self.notes.send(Note::Heard(download));
    }
}

/// Puts a file of the cache into a snapshot: by a link, where the system has links for everybody.
fn place(blob: &Path, pointer: &Path) -> io::Result<()> {
    #[cfg(unix)]
    let placed = {
        let name = blob.file_name().unwrap_or_default();
        std::os::unix::fs::symlink(Path::new("../../blobs").join(name), pointer)
    };
    #[cfg(not(unix))]
    let placed = fs::copy(blob, pointer).map(drop);
    placed
}

fn unreachable(hub: &Hub, id: &HubId, reason: String) -> HubError {
    HubError::Unreachable { id: id.clone(), endpoint: hub.endpoint.clone(), reason }
}

fn disk(path: &Path, error: &io::Error) -> Failure {
    Failure::Final(HubError::Disk { path: path.to_owned(), reason: error.to_string() })
}

/// The status of an answer that is an error.
fn status(error: &ApiError) -> Option<u16> {
    match error {
        ApiError::RequestError(cause) => match **cause {
            ureq::Error::StatusCode(status) => Some(status),
            _ => None,
        },
        _ => None,
    }
}

/// Errors of files rather than of the connection, which the crate reports alike.
fn is_of_the_disk(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull
            | ErrorKind::QuotaExceeded
            | ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::NotFound
            | ErrorKind::NotADirectory
    )
}

/// A name that leads to no other folder.
fn is_plain(name: &str) -> bool {
    (1..=128).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Passes on how far a transfer is.
struct Listener {
    notes: Sender<Note>,
}

impl hf_hub::api::Progress for Listener {
    fn init(&mut self, size: usize, filename: &str) {
        let file = Download::File { name: filename.to_owned(), bytes: size as u64 };
        let _ = self.notes.send(Note::Heard(file));
    }

    fn update(&mut self, size: usize) {
        let _ = self.notes.send(Note::Heard(Download::Bytes(size as u64)));
    }

    fn finish(&mut self) {}
}
