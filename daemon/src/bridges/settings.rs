//! Which bridges there are: `[[transport]]` in the configuration, and `channels.json` in the state directory, as the reference
//! system writes it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reveille_transports::http_ui::HttpUi;
use reveille_transports::outbox::Outbox;
use reveille_transports::{Bridge, telegram};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::file::File;
use crate::config::{ConfigError, Secret, private_secret, secret};

/// `[[transport]]`, as it is written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    name: String,
    kind: String,
    #[serde(default)]
    agent: Option<String>,
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    token_file: Option<PathBuf>,
    #[serde(default)]
    state_dir: Option<PathBuf>,
    #[serde(default)]
    api_base: Option<String>,
    #[serde(default)]
    require_access_file: Option<bool>,
    #[serde(default)]
    subject_per_chat: Option<bool>,
    #[serde(default)]
    roots: Vec<PathBuf>,
}

/// One bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Its name.
    pub(crate) name: String,
    /// The agent that its messages are for.
    pub(super) agent: String,
    pub(super) kind: Kind,
    /// Where that is written.
    pub(super) place: String,
    /// It is in `channels.json`, which may change while the daemon runs.
    pub(super) added: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    HttpUi,
    Telegram(Telegram),
}

/// A bridge that does not run.
pub(super) struct Built {
    pub(super) bridge: Arc<dyn Bridge>,
    /// Where pages listen to it.
    pub(super) ui: Option<HttpUi>,
    /// Whose messages it takes, so that no other one does.
    pub(super) bot: Option<telegram::Token>,
}

/// What a bridge to Telegram takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Telegram {
    pub(super) token: Secret,
    /// The rest, as the `config` of a channel has it.
    pub(super) config: Map<String, Value>,
    /// Directories, besides its inbox and those of conversations, from which files may be sent.
    pub(super) roots: Vec<PathBuf>,
}

impl Table {
    /// A token that stands in the file itself is refused when others may read that file.
    ///
    /// # Errors
    /// Names the key and the mend.
    pub(crate) fn check_private(&self, file: &Path) -> Result<(), ConfigError> {
        private_secret("transport", "token", &self.token, file)
    }
}

pub(super) fn wrong(origin: &str, message: impl Into<String>) -> ConfigError {
    ConfigError::Wrong {
        origin: origin.to_owned(),
        message: message.into(),
    }
}

pub(super) fn check_name(word: &str, name: &str) -> Result<(), String> {
    let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-');
    match (1..=64).contains(&name.len()) && name.bytes().all(fits) {
        true => Ok(()),
        false => Err(format!(
            "the {word} {name:?} must have 1 to 64 letters, digits, `_` and `-`"
        )),
    }
}

/// The bridges of the configuration.
///
/// # Errors
/// The first that cannot be used, with the mend.
pub(crate) fn resolve(
    tables: Vec<Table>,
    environment: &BTreeMap<String, String>,
) -> Result<Vec<Settings>, ConfigError> {
    let mut all: Vec<Settings> = Vec::with_capacity(tables.len());
    for table in tables {
        let place = format!("[[transport]] {:?}", table.name);
        let refused = |message: String| wrong(&place, message);
        check_name("name", &table.name).map_err(refused)?;
        let agent = table.agent.unwrap_or_else(|| table.name.clone());
        check_name("agent", &agent).map_err(refused)?;
        let token = secret("token", table.token, table.token_file, environment).map_err(refused)?;
        let kind = match table.kind.as_str() {
            "http-ui" => {
                let more = [
                    ("token", token.is_some()),
                    ("state_dir", table.state_dir.is_some()),
                    ("api_base", table.api_base.is_some()),
                    ("require_access_file", table.require_access_file.is_some()),
                    ("subject_per_chat", table.subject_per_chat.is_some()),
                    ("roots", !table.roots.is_empty()),
                ];
                if let Some((key, _)) = more.into_iter().find(|(_, is_set)| *is_set) {
                    return Err(refused(format!(
                        "`{key}` means nothing for the kind http-ui; leave it out"
                    )));
                }
                Kind::HttpUi
            }
            "telegram" => {
                let missing = "the kind telegram needs `token` or `token_file`: that of your bot, from @BotFather";
                Kind::Telegram(Telegram {
                    token: token.ok_or_else(|| refused(missing.into()))?,
                    config: [
                        (
                            "stateDir",
                            table.state_dir.map(|dir| Value::from(dir.to_string_lossy())),
                        ),
                        ("apiBase", table.api_base.map(Value::from)),
                        ("requireAccessFile", table.require_access_file.map(Value::from)),
                        ("subjectPerChat", table.subject_per_chat.map(Value::from)),
                    ]
                    .into_iter()
                    .filter_map(|(key, value)| Some((key.to_owned(), value?)))
                    .collect(),
                    roots: table.roots,
                })
            }
            other => {
                return Err(refused(format!(
                    "the kind {other:?} is not known; use telegram or http-ui"
                )));
            }
        };
        let settings = Settings {
            name: table.name,
            agent,
            kind,
            place: place.clone(),
            added: false,
        };
        once(&all, &settings)?;
        all.push(settings);
    }
    Ok(all)
}

fn once(all: &[Settings], new: &Settings) -> Result<(), ConfigError> {
    match all.iter().find(|one| one.name == new.name) {
        None => Ok(()),
        Some(first) => Err(wrong(
            &new.place,
            format!(
                "there is a bridge {:?} already ({}); names must differ",
                new.name, first.place
            ),
        )),
    }
}

/// Those of the configuration, and those of the file in the state directory.
///
/// # Errors
/// The first that cannot be used, with the mend.
pub(super) fn all(configured: &[Settings], state: &Path) -> Result<Vec<Settings>, ConfigError> {
    let mut all = configured.to_vec();
    for settings in File::in_dir(state).settings()? {
        once(&all, &settings)?;
        all.push(settings);
    }
    Ok(all)
}

impl Settings {
    /// Whether it needs an outbox.
    pub(super) fn keeps(&self) -> bool {
        matches!(self.kind, Kind::Telegram(_))
    }

    /// The bridge.
    ///
    /// # Errors
    /// It cannot be made so.
    pub(super) fn build(&self, state: &Path, outbox: Option<&Outbox>) -> Result<Built, ConfigError> {
        match (&self.kind, outbox) {
            (Kind::Telegram(telegram), Some(outbox)) => self.telegram(telegram, state, outbox),
            (Kind::Telegram(_), None) => Err(wrong(&self.place, "there is nowhere to keep what it has to send")),
            (Kind::HttpUi, _) => {
                let ui = HttpUi::new(&*self.name, &*self.agent);
                Ok(Built {
                    bridge: Arc::new(ui.clone()),
                    ui: Some(ui),
                    bot: None,
                })
            }
        }
    }

    fn telegram(&self, telegram: &Telegram, state: &Path, outbox: &Outbox) -> Result<Built, ConfigError> {
        let token = telegram
            .token
            .reveal()
            .map_err(|reason| wrong(&self.place, format!("`token`: {reason}")))?;
        let mut config = telegram.config.clone();
        config.insert("token".into(), Value::String(token));
        let options = telegram::Options::from_channel(Some(&self.name), &self.agent, &Value::Object(config), state);
        let mut options = options.map_err(|error| wrong(&self.place, error.to_string()))?;
        options.roots = std::iter::once(state.join("conversations"))
            .chain(telegram.roots.iter().cloned())
            .collect();
        let bot = options.token.clone();
        let bridge = telegram::Telegram::new(options, outbox.clone());
        let bridge = bridge.map_err(|error| wrong(&self.place, error.to_string()))?;
        Ok(Built {
            bridge: Arc::new(bridge),
            ui: None,
            bot: Some(bot),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_checked_one_by_one() {
        let read = |text: &str| -> Result<Vec<Settings>, String> {
            #[derive(Deserialize)]
            struct Whole {
                transport: Vec<Table>,
            }
            let whole: Whole = toml::from_str(text).map_err(|error| error.to_string())?;
            let environment = [("BOT".to_owned(), "1:secret".to_owned())].into();
            resolve(whole.transport, &environment).map_err(|error| error.to_string())
        };
        let good = "[[transport]]\nname = 'tg'\nkind = 'telegram'\nagent = 'eng'\ntoken = '${BOT}'\n";
        let settings = read(good).unwrap();
        assert_eq!((&*settings[0].name, &*settings[0].agent), ("tg", "eng"));
        let ui = "[[transport]]\nname = 'ui'\nkind = 'http-ui'\n";
        for (text, expected) in [
            (format!("{ui}{ui}"), "names must differ"),
            (format!("{ui}token = 'x'\n"), "`token` means nothing"),
            (good.replace("token = '${BOT}'\n", ""), "needs `token`"),
            (good.replace("${BOT}", "${NONE}"), "NONE that it takes is not set"),
            (format!("{ui}roots = ['/srv']\n"), "`roots` means nothing"),
            (ui.replace("http-ui", "fax"), "use telegram or http-ui"),
            (ui.replace("'ui'", "'a/b'"), "must have 1 to 64"),
            (format!("{ui}colour = 'red'\n"), "unknown field"),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("1:secret"), "{error}");
        }
    }
}
