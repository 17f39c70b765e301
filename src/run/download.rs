//! Downloads the models of the hub that a sweep, or a command, needs and this machine has not.

use std::path::{Path, PathBuf};

use super::progress::Progress;
use super::resolve::{ResolveError, model_folder};
use crate::hub::{Hub, HubError, HubId};

/// The folder of the model that the user names, which is downloaded first where it is one of the hub that is not here.
pub fn fetched_model(name: &str, runs: &Path, progress: &mut dyn Progress) -> anyhow::Result<PathBuf> {
    match model_folder(name, runs) {
        Err(ResolveError::NotFetched { id }) => {
            fetch_models(&[id], progress, &|| false)?;
            Ok(model_folder(name, runs)?)
        }
        found => Ok(found?),
    }
}

/// Downloads `models` one after the other, until `stops` says so ([`HubError::Stopped`]).
pub fn fetch_models(
    models: &[HubId],
    progress: &mut dyn Progress,
    stops: &dyn Fn() -> bool,
) -> Result<(), HubError> {
    for id in models {
        let hub = Hub::from_env()?;
        let mut has_begun = false;
        hub.fetch(id, &mut |heard| {
            if let Some(download) = heard {
                if !std::mem::replace(&mut has_begun, true) {
                    let cache = hub.cache.display();
                    progress.note(&format!("downloading {id} from {} to {cache}", hub.endpoint));
                }
                progress.downloading(&download);
            }
            !stops()
        })?;
    }
    Ok(())
}
