//! The secrets of what is signed, in the configuration: of `[[hook]]` and `[[webhook]]` alike.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use reveille_transports::sign;

use crate::config::{ConfigError, Secret, private_secret, secret};

/// The four keys of a table: the present secret and the one before it, while a peer changes, each as a text or in a file.
#[derive(Debug, Clone, Default)]
pub(super) struct Written {
    pub(super) secret: Option<String>,
    pub(super) secret_file: Option<PathBuf>,
    pub(super) old_secret: Option<String>,
    pub(super) old_secret_file: Option<PathBuf>,
}

impl Written {
    /// A secret that stands in the file itself is refused when others may read that file.
    ///
    /// # Errors
    /// Names the key and the mend.
    pub(super) fn check_private(&self, table: &str, file: &Path) -> Result<(), ConfigError> {
        private_secret(table, "secret", &self.secret, file)?;
        private_secret(table, "old_secret", &self.old_secret, file)
    }

    /// Where they are, the present one first. `without`: what comes of it when there is none.
    ///
    /// # Errors
    /// What is wrong with them, for a person.
    pub(super) fn resolve(self, without: &str, environment: &BTreeMap<String, String>) -> Result<Vec<Secret>, String> {
        let new = secret("secret", self.secret, self.secret_file, environment)?;
        let old = secret("old_secret", self.old_secret, self.old_secret_file, environment)?;
        let new = new.ok_or_else(|| format!("it needs `secret` or `secret_file`; {without}"))?;
        Ok(std::iter::once(new).chain(old).collect())
    }
}

/// The secrets themselves.
///
/// # Errors
/// Which file cannot be read, and why.
pub(super) fn reveal(secrets: &[Secret]) -> Result<Vec<sign::Secret>, String> {
    let revealed = secrets.iter().map(|secret| secret.reveal().map(sign::Secret::new));
    revealed.collect()
}
