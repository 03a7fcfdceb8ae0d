//! `[hub]`: the hub that issues tokens and keeps what agents are granted.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::ConfigError;
use super::vault::{Secret, address, check_private, secret};

/// Where a hub is, unless something else is said.
const ORIGIN: &str = "http://127.0.0.1:1939";
/// Says where the hub is to every program of its host; the configuration comes first.
const ORIGIN_VARIABLE: &str = "PARACHUTE_HUB_ORIGIN";

/// A hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hub {
    /// Its address, without a slash at the end.
    pub(crate) origin: String,
    /// What the operator of the hub shows there. Without it the hub is asked nothing.
    pub(crate) token: Option<Secret>,
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            origin: ORIGIN.into(),
            token: None,
        }
    }
}

/// The table as it is written.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Written {
    origin: Option<String>,
    token: Option<String>,
    token_file: Option<PathBuf>,
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It may hold a secret.
        f.debug_struct("Hub")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

impl Written {
    /// A token that stands in the file itself is refused when others may read that file.
    ///
    /// # Errors
    /// Names the key and the mend; holds no secret.
    pub(super) fn check_private(&self, file: &Path) -> Result<(), ConfigError> {
        check_private("hub", [("token", &self.token)], file)
    }

    /// The hub that is meant.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn resolve(self, environment: &BTreeMap<String, String>) -> Result<Hub, ConfigError> {
        let wrong = |message: String| ConfigError::Wrong {
            origin: "[hub]".into(),
            message,
        };
        let around = environment.get(ORIGIN_VARIABLE).filter(|text| !text.trim().is_empty());
        let (key, origin) = match (&self.origin, around) {
            (Some(origin), _) => ("origin", origin.as_str()),
            (None, Some(origin)) => (ORIGIN_VARIABLE, origin.as_str()),
            (None, None) => ("origin", ORIGIN),
        };
        Ok(Hub {
            origin: address(key, origin).map_err(wrong)?,
            token: secret("token", self.token, self.token_file, environment).map_err(wrong)?,
        })
    }
}
