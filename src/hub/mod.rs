//! Models of the Hugging Face hub: from an id to a folder on this machine.
//!
//! [`HubId`] names a repository at a revision. [`Hub`] is how this machine reaches the hub, as the environment
//! variables of all Hugging Face programs say it: they share one cache, so that what transformers has
//! downloaded is not downloaded again. [`Hub::cached`] looks there, without network; [`Hub::fetch`] downloads
//! what is missing, resumes what was interrupted, and checks every file against the hub's checksum.
//!
//! A revision that is complete in the cache is used as it is, even where the hub has moved on: a sweep should
//! not change its model between two runs.

mod checksum;
mod environment;
mod fetch;
mod id;
mod snapshot;

use std::path::PathBuf;

pub use environment::Hub;
pub use id::HubId;

/// What a download tells while it is at work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Download {
    /// A file begins; what an earlier attempt left of it counts as downloaded.
    File { name: String, bytes: u64 },
    /// So many more bytes are there.
    Bytes(u64),
    /// Another process is downloading the same file.
    Waiting,
    /// The last attempt failed for this reason; another follows.
    Retrying(String),
}

/// Hears of a download; false stops it.
pub type Watch<'a> = dyn FnMut(Option<Download>) -> bool + 'a;

/// Why a model cannot be had from the hub.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    #[error(
        "`{id}` is no folder here and not in the cache {}, and HF_HUB_OFFLINE forbids looking for it on the hub",
        cache.display()
    )]
    Offline { id: HubId, cache: PathBuf },
    #[error(
        "`{id}` is no folder here and was not downloaded before, and {endpoint} cannot be reached: {reason}\nhint: without \
         network, put the model's files into a folder and name that instead"
    )]
    Unreachable { id: HubId, endpoint: String, reason: String },
    #[error("`{id}` is no folder here, and {endpoint} has no such model, or none at this revision")]
    NoSuchModel { id: HubId, endpoint: String },
    #[error(
        "{endpoint} does not give out `{id}`: status {status}\nhint: the model may be private, gated or misspelt; a \
         token of someone who may read it goes into the environment variable HF_TOKEN"
    )]
    Refused { id: HubId, endpoint: String, status: u16 },
    #[error("`{id}` is no BLIP model that can be used: it has no {missing}")]
    Incomplete { id: HubId, missing: &'static str },
    #[error("`{id}`: {file} arrived damaged, twice: its checksum is {checksums}")]
    Damaged { id: HubId, file: String, checksums: String },
    #[error(
        "`{id}`: no data of {file} for {seconds} s\nhint: run the same command again; the download goes on where it stopped"
    )]
    Stalled { id: HubId, file: String, seconds: u64 },
    #[error(
        "`{id}`: {file}: {reason}\nhint: run the same command again; the download goes on where it stopped"
    )]
    Failed { id: HubId, file: String, reason: String },
    #[error("the download was stopped")]
    Stopped,
    #[error("{}: {reason}", path.display())]
    Disk { path: PathBuf, reason: String },
    #[error("there is no folder for downloaded models: neither HF_HOME nor HOME is set")]
    NoCache,
}

impl HubError {
    /// Whether another name or another setting would help, rather than another try.
    pub fn is_about_input(&self) -> bool {
        matches!(
            self,
            Self::Offline { .. }
                | Self::Unreachable { .. }
                | Self::NoSuchModel { .. }
                | Self::Refused { .. }
                | Self::Incomplete { .. }
                | Self::NoCache
        )
    }
}
