//! Downloads the models of the hub that a sweep, or a command, needs and this machine has not.

use super::progress::Progress;
use crate::hub::{Hub, HubError, HubId};

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
