//! `[hub]`: the hub that issues tokens and keeps what agents are granted.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use super::vault::{Secret, address, check_private, secret};
use super::{ConfigError, Span};
use crate::hub::{Glance, Place};

/// Where a hub is, unless something else is said.
const ORIGIN: &str = "http://127.0.0.1:1939";
/// Says where the hub is to every program of its host; the configuration comes first.
const ORIGIN_VARIABLE: &str = "PARACHUTE_HUB_ORIGIN";
/// Further names of that hub, by commas.
const ISSUERS_VARIABLE: &str = "PARACHUTE_HUB_ORIGINS";
/// Where the hub of this machine keeps its files.
const HOME_VARIABLE: &str = "PARACHUTE_HOME";

/// A hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hub {
    /// Its address, without a slash at the end.
    pub(crate) origin: String,
    /// What the operator of the hub shows there. Without it the hub is asked nothing.
    pub(crate) token: Option<Secret>,
    /// Whether those are let in to whom it has given a token for us.
    pub(crate) auth: bool,
    /// Whether it is told that we are here.
    pub(crate) register: bool,
    /// Its names, and where it is asked.
    pub(crate) place: Place,
    /// How long what it says counts.
    pub(crate) times: Times,
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            origin: ORIGIN.into(),
            token: None,
            auth: false,
            register: false,
            place: Place::default(),
            times: Times::default(),
        }
    }
}

/// How long what the hub says counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    /// Its keys, before it is asked again.
    pub(crate) keys: Duration,
    /// Its list of revoked tokens, before it is asked again.
    pub(crate) revoked: Duration,
    /// Either, while it does not answer.
    pub(crate) outage: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            keys: Duration::from_secs(5 * 60),
            revoked: Duration::from_secs(60),
            outage: Duration::from_secs(15 * 60),
        }
    }
}

/// Yes, no, or as it is under a hub.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Wish {
    /// Yes for a daemon that the hub has started, else no.
    #[default]
    Auto,
    Said(bool),
}

impl Wish {
    fn is_yes(self, supervised: bool) -> bool {
        match self {
            Self::Auto => supervised,
            Self::Said(said) => said,
        }
    }
}

impl<'de> Deserialize<'de> for Wish {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Said(bool),
            Word(String),
        }
        match Written::deserialize(deserializer) {
            Ok(Written::Said(said)) => Ok(Self::Said(said)),
            Ok(Written::Word(word)) if word == "auto" => Ok(Self::Auto),
            _ => Err(de::Error::custom(
                "write true, false or \"auto\" (as the hub has started this daemon or not)",
            )),
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
    auth: Wish,
    register: Wish,
    /// Further names under which it issues tokens.
    issuers: Vec<String>,
    /// Where its keys and its list of revoked tokens are fetched.
    keys_origin: Option<String>,
    keys_ttl: Option<Span>,
    revoked_ttl: Option<Span>,
    outage: Option<Span>,
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
        let said = |name: &str| environment.get(name).filter(|text| !text.trim().is_empty());
        let around = said(ORIGIN_VARIABLE);
        let (key, origin) = match (&self.origin, around) {
            (Some(origin), _) => ("origin", Some(origin.as_str())),
            (None, Some(origin)) => (ORIGIN_VARIABLE, Some(origin.as_str())),
            (None, None) => ("origin", None),
        };
        let named = origin.map(|origin| address(key, origin)).transpose().map_err(wrong)?;
        let listed = said(ISSUERS_VARIABLE).map_or("", String::as_str).split(',');
        let issuers = listed.map(str::trim).filter(|text| !text.is_empty());
        let issuers = issuers.map(|text| address(ISSUERS_VARIABLE, text));
        let issuers = self.issuers.iter().map(|text| address("issuers", text)).chain(issuers);
        // The hub gives both to those whom it starts.
        let supervised = around.is_some() && said("PORT").is_some();
        let home = said(HOME_VARIABLE).map(PathBuf::from);
        let default = Times::default();
        let span = |span: Option<Span>, default| span.map_or(default, |span| span.0);
        Ok(Hub {
            origin: named.clone().unwrap_or_else(|| ORIGIN.into()),
            token: secret("token", self.token, self.token_file, environment).map_err(wrong)?,
            auth: self.auth.is_yes(supervised),
            register: self.register.is_yes(supervised),
            place: Place {
                is_here: self.origin.is_none(),
                named,
                home: home.or_else(|| Some(Path::new(said("HOME")?).join(".parachute"))),
                issuers: issuers.collect::<Result<_, _>>().map_err(wrong)?,
                keys_origin: self
                    .keys_origin
                    .map(|text| address("keys_origin", &text))
                    .transpose()
                    .map_err(wrong)?,
                glance: Glance::default(),
            },
            times: Times {
                keys: span(self.keys_ttl, default.keys),
                revoked: span(self.revoked_ttl, default.revoked),
                outage: span(self.outage, default.outage),
            },
        })
    }
}
