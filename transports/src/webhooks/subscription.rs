//! Who wants to be told what, and where it is kept.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::event::Kind;
use crate::hooks::is_name;
use crate::net_guard::{self, Allow};
use crate::outbox::OutboxError;
use crate::sign::Secret;

/// Version of the file.
const VERSION: u32 = 1;
/// Most subscriptions: each event is written once for every one that wants it.
const MOST: usize = 100;
/// Secrets that sign at the same time.
const SECRETS: usize = 3;

/// How calls are signed and shaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Standard Webhooks 1.0.
    #[default]
    Standard,
    /// The reports of a supervisor. Events of turns alone.
    Supervisor,
}

/// A subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscription {
    /// `[a-z0-9][a-z0-9_-]{0,62}`.
    pub name: String,
    /// Where calls go.
    pub url: String,
    /// The first is the present one. Standard Webhooks signs with all of them, so that a receiver can change at leisure; the
    /// supervisor profile with the first.
    pub secrets: Vec<Secret>,
    /// What; empty: everything that the profile has.
    #[serde(default)]
    pub events: Vec<Kind>,
    /// Of which agents; empty: of all.
    #[serde(default)]
    pub agents: Vec<String>,
    /// How.
    #[serde(default)]
    pub profile: Profile,
    /// Where else than to public addresses.
    #[serde(default)]
    pub allow: Allow,
    /// Seconds between heartbeats of a running turn, 1 to 300; 0: none. Unless said, 15 for the supervisor profile.
    #[serde(default)]
    pub heartbeat: Option<u32>,
    /// Nothing is sent; what is to be told waits.
    #[serde(default)]
    pub paused: bool,
}

impl Subscription {
    /// Looks whether it holds together.
    ///
    /// # Errors
    /// What is wrong with it, for a person, without its secrets.
    pub fn check(&self) -> Result<(), String> {
        if !is_name(&self.name) {
            return Err(format!(
                "the name {:?} may have a-z, 0-9, - and _, at most 63, and begins with a letter or digit",
                self.name
            ));
        }
        let wrong = |why: String| format!("the webhook {:?}: {why}", self.name);
        net_guard::parse(&self.url, &self.allow).map_err(|why| wrong(format!("its address cannot be used: {why}")))?;
        if self.secrets.is_empty() || self.secrets.len() > SECRETS {
            return Err(wrong(format!("it needs one to {SECRETS} secrets")));
        }
        for secret in &self.secrets {
            match self.profile {
                Profile::Standard => drop(secret.standard_key().map_err(&wrong)?),
                Profile::Supervisor if secret.expose().trim().is_empty() => {
                    return Err(wrong("its token is blank".into()));
                }
                Profile::Supervisor if !secret.expose().chars().all(|c| !c.is_control()) => {
                    return Err(wrong("its token fits no header".into()));
                }
                Profile::Supervisor => {}
            }
        }
        if self.profile == Profile::Supervisor && self.events.iter().any(|kind| !kind.is_turn()) {
            return Err(wrong(
                "the supervisor profile has turn.started, turn.event and turn.settled only".into(),
            ));
        }
        match self.heartbeat {
            Some(301..) => Err(wrong("heartbeat is 0 to 300 seconds".into())),
            _ => Ok(()),
        }
    }

    /// Whether it is told of that.
    #[must_use]
    pub fn wants(&self, kind: Kind, agent: Option<&str>) -> bool {
        if self.profile == Profile::Supervisor && !kind.is_turn() {
            return false;
        }
        let kinds = self.events.is_empty() || self.events.contains(&kind);
        kinds && (self.agents.is_empty() || agent.is_none_or(|agent| self.agents.iter().any(|name| name == agent)))
    }

    pub(crate) fn beat(&self) -> Option<std::time::Duration> {
        let seconds = self
            .heartbeat
            .unwrap_or(if self.profile == Profile::Supervisor { 15 } else { 0 });
        (seconds > 0).then(|| std::time::Duration::from_secs(seconds.into()))
    }

    /// Its entries in the outbox.
    pub(crate) fn bridge(&self) -> String {
        bridge(&self.name)
    }
}

/// Where the entries of a subscription stand in the outbox.
#[must_use]
pub fn bridge(name: &str) -> String {
    format!("webhook/{name}")
}

/// Why a subscription was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubscriptionError {
    /// No such one.
    #[error("there is no webhook {0:?}")]
    Unknown(String),
    /// The name is taken.
    #[error("there is a webhook {0:?} already")]
    Exists(String),
    /// It stands in the configuration.
    #[error("the webhook {0:?} stands in the configuration file; change it there")]
    Configured(String),
    /// It does not hold together.
    #[error("{0}")]
    Invalid(String),
    /// The file could not be read or written; nothing is changed.
    #[error("{0}")]
    Unavailable(String),
}

impl From<OutboxError> for SubscriptionError {
    fn from(error: OutboxError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct File {
    version: u32,
    webhooks: Vec<Subscription>,
    /// Names of such as are removed, while the outbox may hold what they had to tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    removed: Vec<String>,
}

struct Inner {
    path: PathBuf,
    made: Mutex<File>,
    configured: Vec<Subscription>,
    all: watch::Sender<Arc<Vec<Subscription>>>,
}

/// All subscriptions. Cheap to clone. [`Subscription`] holds secrets: what is shown is made without them by who shows it.
#[derive(Clone)]
pub struct Subscriptions {
    inner: Arc<Inner>,
}

impl Subscriptions {
    /// Reads those that were made; those of the configuration go before them.
    ///
    /// # Errors
    /// What is wrong, for a person. The file is left as it is.
    pub fn open(path: &Path, configured: Vec<Subscription>) -> Result<Self, SubscriptionError> {
        for subscription in &configured {
            subscription.check().map_err(SubscriptionError::Invalid)?;
        }
        let shown = path.display();
        let made = match std::fs::read(path) {
            Ok(text) => {
                #[derive(Deserialize)]
                struct Version {
                    version: u32,
                }
                // Without what stands there: it holds secrets.
                let damaged = |error: &serde_json::Error| {
                    SubscriptionError::Unavailable(format!(
                        "{shown} is damaged (line {}) and was left as it is; restore it from a backup, or move it away and make the \
                         webhooks again",
                        error.line()
                    ))
                };
                let found: Version = serde_json::from_slice(&text).map_err(|error| damaged(&error))?;
                if found.version > VERSION {
                    return Err(SubscriptionError::Unavailable(format!(
                        "a newer version of Reveille wrote {shown}, and it was left as it is: start that version again"
                    )));
                }
                serde_json::from_slice::<File>(&text).map_err(|error| damaged(&error))?
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => File {
                version: VERSION,
                webhooks: Vec::new(),
                removed: Vec::new(),
            },
            Err(error) => {
                return Err(SubscriptionError::Unavailable(format!(
                    "{shown} cannot be read: {error}"
                )));
            }
        };
        let all = watch::channel(Arc::new(joined(&configured, &made.webhooks))).0;
        let made = Mutex::new(made);
        Ok(Self {
            inner: Arc::new(Inner {
                path: path.to_owned(),
                made,
                configured,
                all,
            }),
        })
    }

    /// All, those of the configuration first.
    #[must_use]
    pub fn list(&self) -> Arc<Vec<Subscription>> {
        Arc::clone(&self.inner.all.borrow())
    }

    /// Told when they change.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<Vec<Subscription>>> {
        self.inner.all.subscribe()
    }

    /// Whether it stands in the configuration.
    #[must_use]
    pub fn is_configured(&self, name: &str) -> bool {
        self.inner.configured.iter().any(|each| each.name == name)
    }

    /// Makes one.
    ///
    /// # Errors
    /// [`SubscriptionError`]; then nothing is changed.
    pub fn create(&self, new: Subscription) -> Result<(), SubscriptionError> {
        new.check().map_err(SubscriptionError::Invalid)?;
        self.write(|file| {
            let made = &mut file.webhooks;
            if self.list().iter().any(|each| each.name == new.name) {
                return Err(SubscriptionError::Exists(new.name));
            }
            if made.len() >= MOST {
                return Err(SubscriptionError::Invalid(format!(
                    "there are {MOST} webhooks already, which is the most"
                )));
            }
            made.push(new);
            Ok(())
        })
    }

    /// Changes one that was made; its name stays.
    ///
    /// # Errors
    /// [`SubscriptionError`]; then nothing is changed.
    pub fn change(&self, name: &str, change: impl FnOnce(&mut Subscription)) -> Result<(), SubscriptionError> {
        self.write(|file| {
            let made = &mut file.webhooks;
            let place = self.place(made, name)?;
            let mut new = made[place].clone();
            change(&mut new);
            name.clone_into(&mut new.name);
            new.check().map_err(SubscriptionError::Invalid)?;
            made[place] = new;
            Ok(())
        })
    }

    /// Puts another secret in place of the present one, which signs along until the next change or [`Self::retire`].
    ///
    /// # Errors
    /// [`SubscriptionError`]; then nothing is changed.
    pub fn rotate(&self, name: &str, secret: Secret) -> Result<(), SubscriptionError> {
        self.change(name, |subscription| {
            subscription.secrets.insert(0, secret);
            subscription.secrets.truncate(2);
        })
    }

    /// Lets older secrets sign no longer.
    ///
    /// # Errors
    /// [`SubscriptionError`]; then nothing is changed.
    pub fn retire(&self, name: &str) -> Result<(), SubscriptionError> {
        self.change(name, |subscription| subscription.secrets.truncate(1))
    }

    /// Removes one that was made. What it had to tell is removed by [`super::Webhooks`].
    ///
    /// # Errors
    /// [`SubscriptionError`]; then nothing is changed.
    pub fn remove(&self, name: &str) -> Result<(), SubscriptionError> {
        self.write(|file| {
            let place = self.place(&file.webhooks, name)?;
            file.webhooks.remove(place);
            file.removed.push(name.to_owned());
            Ok(())
        })
    }

    /// Names of such as are removed, while the outbox may hold what they had to tell.
    #[must_use]
    pub fn leftovers(&self) -> Vec<String> {
        let made = self.inner.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.removed.clone()
    }

    /// The outbox holds nothing more of one that is removed.
    ///
    /// # Errors
    /// [`SubscriptionError`]; then it is still among [`Self::leftovers`].
    pub fn forget(&self, name: &str) -> Result<(), SubscriptionError> {
        if !self.leftovers().iter().any(|left| left == name) {
            return Ok(());
        }
        self.write(|file| {
            file.removed.retain(|left| left != name);
            Ok(())
        })
    }

    fn place(&self, made: &[Subscription], name: &str) -> Result<usize, SubscriptionError> {
        if self.is_configured(name) {
            return Err(SubscriptionError::Configured(name.to_owned()));
        }
        let place = made.iter().position(|each| each.name == name);
        place.ok_or_else(|| SubscriptionError::Unknown(name.to_owned()))
    }

    fn write(&self, change: impl FnOnce(&mut File) -> Result<(), SubscriptionError>) -> Result<(), SubscriptionError> {
        let mut made = self.inner.made.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = made.clone();
        file.version = VERSION;
        change(&mut file)?;
        save(&self.inner.path, &file).map_err(|error| {
            SubscriptionError::Unavailable(format!(
                "{} cannot be written, nothing is changed: {error}",
                self.inner.path.display()
            ))
        })?;
        *made = file;
        let all = Arc::new(joined(&self.inner.configured, &made.webhooks));
        // As it was for those who look only when something is another: workers begin anew then.
        self.inner.all.send_if_modified(|before| {
            let is_new = *before != all;
            *before = all;
            is_new
        });
        Ok(())
    }
}

fn joined(configured: &[Subscription], made: &[Subscription]) -> Vec<Subscription> {
    let mut all = configured.to_vec();
    all.extend(
        made.iter()
            .filter(|each| configured.iter().all(|other| other.name != each.name))
            .cloned(),
    );
    all
}

/// A temporary file has mode 0600; it becomes the file once it is on disk.
fn save(path: &Path, file: &File) -> std::io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(dir)?;
    serde_json::to_writer_pretty(&mut new, file)?;
    new.write_all(b"\n")?;
    new.as_file().sync_all()?;
    new.persist(path).map_err(|error| error.error)?;
    std::fs::File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn subscription(name: &str, url: &str, profile: Profile) -> Subscription {
        Subscription {
            name: name.into(),
            url: url.into(),
            secrets: vec![match profile {
                Profile::Standard => Secret::fresh([5; 32]),
                Profile::Supervisor => Secret::new("token"),
            }],
            events: vec![],
            agents: vec![],
            profile,
            allow: Allow {
                private: true,
                ..Allow::default()
            },
            heartbeat: None,
            paused: false,
        }
    }

    #[test]
    fn subscriptions_are_made_changed_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("webhooks.json");
        let there = subscription("fixed", "https://example.com/", Profile::Standard);
        let all = Subscriptions::open(&path, vec![there.clone()]).unwrap();
        let new = subscription("made", "https://example.com/x", Profile::Supervisor);
        all.create(new.clone()).unwrap();
        let error = |outcome: Result<(), SubscriptionError>| outcome.unwrap_err().to_string();
        assert!(error(all.create(new.clone())).contains("already"));
        assert!(error(all.remove("fixed")).contains("configuration"));
        assert!(error(all.remove("other")).contains("no webhook"));
        all.rotate("made", Secret::new("second")).unwrap();
        all.change("made", |each| each.agents = vec!["scribe".into()]).unwrap();
        for (change, says) in [
            (
                Box::new(|each: &mut Subscription| each.url = "http://127.0.0.1/".into())
                    as Box<dyn Fn(&mut Subscription)>,
                "",
            ),
            (
                Box::new(|each| each.url = "https://169.254.169.254/".into()),
                "link-local",
            ),
            (Box::new(|each| each.secrets.clear()), "secrets"),
            (Box::new(|each| each.secrets = vec![Secret::new("a\nb")]), "header"),
            (
                Box::new(|each| each.events = vec![Kind::AgentChanged]),
                "supervisor profile",
            ),
            (Box::new(|each| each.heartbeat = Some(301)), "300"),
        ] {
            match says {
                "" => all.change("made", change).unwrap(),
                says => assert!(error(all.change("made", change)).contains(says)),
            }
        }
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        let again = Subscriptions::open(&path, vec![there]).unwrap();
        let made = again.list()[1].clone();
        assert_eq!(
            (made.secrets.len(), made.secrets[0].expose(), made.url.as_str()),
            (2, "second", "http://127.0.0.1/")
        );
        assert!(!format!("{made:?}").contains("second"));
        assert!(made.wants(Kind::TurnEvent, Some("scribe")) && !made.wants(Kind::TurnEvent, Some("other")));
        assert!(!made.wants(Kind::AgentChanged, Some("scribe")));
        again.remove("made").unwrap();

        for (text, says) in [
            ("{\"version\": 1, \"webhooks\": [{\"secrets\": [\"hunter2\"", "damaged"),
            ("{\"version\": 2}", "newer"),
        ] {
            std::fs::write(&path, text).unwrap();
            let told = Subscriptions::open(&path, vec![]).err().unwrap().to_string();
            assert!(told.contains(says) && !told.contains("hunter2"), "{told}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }
}
