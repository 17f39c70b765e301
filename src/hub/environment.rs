//! How this machine reaches the hub, by the environment variables that `huggingface_hub` documents.

use std::path::PathBuf;
use std::time::Duration;

use super::HubError;

const DEFAULT_ENDPOINT: &str = "https://huggingface.co";
/// Seconds without any data after which a download counts as stalled.
const DEFAULT_TIMEOUT_SECONDS: u64 = 60;

/// The hub as this machine sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hub {
    /// `HF_HUB_CACHE`, else `HF_HOME/hub`, else `XDG_CACHE_HOME/huggingface/hub`, else below the home folder.
    pub cache: PathBuf,
    /// `HF_ENDPOINT`, without a slash at its end.
    pub endpoint: String,
    /// `HF_TOKEN`, else what `hf auth login` has saved in `HF_TOKEN_PATH` or `HF_HOME/token`.
    pub token: Option<String>,
    /// `HF_HUB_OFFLINE`: the cache is all there is.
    pub offline: bool,
    /// `HF_HUB_DOWNLOAD_TIMEOUT`, in seconds.
    pub timeout: Duration,
}

impl Hub {
    /// Reads the environment.
    ///
    /// # Errors
    /// Where neither a cache nor a home folder is named.
    pub fn from_env() -> Result<Self, HubError> {
        Self::from_variables(&|name| std::env::var(name).ok())
    }

    fn from_variables(read: &dyn Fn(&str) -> Option<String>) -> Result<Self, HubError> {
        let get =
            |name: &str| read(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let user = get("HOME").or_else(|| get("USERPROFILE")).map(PathBuf::from);
        let path = |name: &str| {
            let value = get(name)?;
            match (value.strip_prefix("~/"), &user) {
                (Some(rest), Some(user)) => Some(user.join(rest)),
                _ => Some(PathBuf::from(value)),
            }
        };
        let home = path("HF_HOME")
            .or_else(|| Some(path("XDG_CACHE_HOME")?.join("huggingface")))
            .or_else(|| Some(user.as_ref()?.join(".cache/huggingface")));
        let cache = path("HF_HUB_CACHE")
            .or_else(|| path("HUGGINGFACE_HUB_CACHE"))
            .or_else(|| Some(home.as_ref()?.join("hub")))
            .ok_or(HubError::NoCache)?;
        // The links inside the cache are relative to an absolute place.
        let cache = std::path::absolute(&cache).unwrap_or(cache);
        let saved_token = || {
            let file = path("HF_TOKEN_PATH").or_else(|| Some(home.as_ref()?.join("token")))?;
            let token = std::fs::read_to_string(file).ok()?;
            Some(token.trim().to_owned()).filter(|token| !token.is_empty())
        };
        let is_on = |name| {
            get(name).is_some_and(|value| ["1", "ON", "YES", "TRUE"].contains(&value.to_uppercase().as_str()))
        };
        let endpoint = get("HF_ENDPOINT").unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned());
        let seconds = get("HF_HUB_DOWNLOAD_TIMEOUT").and_then(|value| value.parse().ok());
        Ok(Self {
            cache,
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token: get("HF_TOKEN").or_else(|| get("HUGGING_FACE_HUB_TOKEN")).or_else(saved_token),
            offline: is_on("HF_HUB_OFFLINE") || is_on("TRANSFORMERS_OFFLINE"),
            timeout: Duration::from_secs(seconds.unwrap_or(DEFAULT_TIMEOUT_SECONDS).max(1)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(variables: &[(&str, &str)]) -> Result<Hub, HubError> {
        let read =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Hub::from_variables(&read)
    }

    #[test]
    fn the_cache_is_where_huggingface_hub_keeps_it() {
        let cache = |variables: &[(&str, &str)]| hub(variables).unwrap().cache.to_string_lossy().into_owned();
        let home = ("HOME", "/home/x");
        assert_eq!(cache(&[home]), "/home/x/.cache/huggingface/hub");
        assert_eq!(cache(&[home, ("XDG_CACHE_HOME", "/c")]), "/c/huggingface/hub");
        assert_eq!(cache(&[home, ("HF_HOME", "/h"), ("XDG_CACHE_HOME", "/c")]), "/h/hub");
        assert_eq!(cache(&[home, ("HF_HOME", "~/h")]), "/home/x/h/hub");
        assert_eq!(cache(&[("HF_HUB_CACHE", "/cache"), ("HF_HOME", "/h")]), "/cache");
        assert_eq!(cache(&[home, ("HF_HOME", "")]), "/home/x/.cache/huggingface/hub");
        assert!(matches!(hub(&[]), Err(HubError::NoCache)));
    }

    #[test]
    fn endpoint_token_and_being_offline_come_from_the_environment() {
        let plain = hub(&[("HOME", "/nowhere")]).unwrap();
        assert_eq!((plain.endpoint.as_str(), plain.token, plain.offline), (DEFAULT_ENDPOINT, None, false));
        let set = hub(&[
            ("HOME", "/nowhere"),
            ("HF_ENDPOINT", "http://mirror:8080/"),
            ("HF_TOKEN", "secret\n"),
            ("HF_HUB_OFFLINE", "True"),
            ("HF_HUB_DOWNLOAD_TIMEOUT", "7"),
        ])
        .unwrap();
        assert_eq!((set.endpoint.as_str(), set.token.as_deref()), ("http://mirror:8080", Some("secret")));
        assert_eq!((set.offline, set.timeout), (true, Duration::from_secs(7)));
        assert!(!hub(&[("HOME", "/nowhere"), ("HF_HUB_OFFLINE", "0")]).unwrap().offline);
    }

    #[test]
    fn a_saved_token_is_used_where_no_variable_holds_one() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("token"), "saved\n").unwrap();
        let folder = home.path().to_string_lossy().into_owned();
        assert_eq!(hub(&[("HF_HOME", &folder)]).unwrap().token.as_deref(), Some("saved"));
        let both = hub(&[("HF_HOME", &folder), ("HF_TOKEN", "given")]).unwrap();
        assert_eq!(both.token.as_deref(), Some("given"));
    }
}
