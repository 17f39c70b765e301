//! Names of models on the hub.

use std::fmt;

/// The branch that is meant where none is named.
const DEFAULT_REVISION: &str = "main";

/// `owner/name`, perhaps with `@revision`: a branch, a tag, a commit or `refs/pr/N`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HubId {
    /// `owner/name`.
    pub repository: String,
    pub revision: String,
}

impl HubId {
    /// The id in a name, unless the name can only be a path.
    pub fn parse(name: &str) -> Option<Self> {
        let (repository, revision) = name.split_once('@').unwrap_or((name, DEFAULT_REVISION));
        let parts: Vec<&str> = repository.split('/').collect();
        let is_repository = parts.len() == 2 && parts.iter().all(|part| is_plain(part));
        let is_revision = revision.split('/').all(is_plain);
        (is_repository && is_revision)
            .then(|| Self { repository: repository.to_owned(), revision: revision.to_owned() })
    }

    /// Whether the revision names a commit, which never changes.
    pub fn is_commit(&self) -> bool {
        self.revision.len() == 40 && self.revision.bytes().all(|byte| byte.is_ascii_hexdigit())
    }
}

/// Letters, digits, `-`, `_` and dots, not beginning with a dot: no part leads out of the cache's folder.
fn is_plain(part: &str) -> bool {
    part.starts_with(|first: char| first.is_ascii_alphanumeric())
        && !part.contains("..")
        && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

impl fmt::Display for HubId {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.repository)?;
        if self.revision == DEFAULT_REVISION { Ok(()) } else { write!(f, "@{}", self.revision) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_an_owner_a_name_and_perhaps_a_revision() {
        let parsed = |name| HubId::parse(name).map(|id| (id.repository, id.revision));
        let pair = |repository: &str, revision: &str| Some((repository.to_owned(), revision.to_owned()));
        assert_eq!(parsed("Salesforce/blip-x"), pair("Salesforce/blip-x", "main"));
        assert_eq!(parsed("a/b@refs/pr/18"), pair("a/b", "refs/pr/18"));
        assert_eq!(parsed("a/b.c_d@v1.0"), pair("a/b.c_d", "v1.0"));
        for shown in ["a/b", "a/b@v1"] {
            assert_eq!(HubId::parse(shown).unwrap().to_string(), shown);
        }
        assert!(HubId::parse(&format!("a/b@{}", "0a".repeat(20))).unwrap().is_commit());
        assert!(!HubId::parse("a/b").unwrap().is_commit());
    }

    #[test]
    fn paths_are_no_ids() {
        let paths = [
            "", "blip", "./a/b", "../b", "a/../b", "/a/b", "a/b/c", "a/", "/b", "a b/c", "a/b@", "a/b@../x",
            "a/b@x//y", "a\\b", "a/.b", "~/b", "a/b@/etc",
        ];
        for path in paths {
            assert_eq!(HubId::parse(path), None, "{path}");
        }
    }
}
