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

use crate::config::{ConfigError, Secret, private_secret, secret};

/// The file of the reference system.
const FILE: &str = "channels.json";
/// The kinds of that file.
const KINDS: &str = "telegram, http-ui, vault";

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
    agent: String,
    kind: Kind,
    /// Where that is written.
    place: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    HttpUi,
    Telegram(Telegram),
}

/// What a bridge to Telegram takes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Telegram {
    token: Secret,
    /// The rest, as the `config` of a channel has it.
    config: Map<String, Value>,
    /// Directories, besides its inbox and those of conversations, from which files may be sent.
    roots: Vec<PathBuf>,
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

fn wrong(origin: &str, message: impl Into<String>) -> ConfigError {
    ConfigError::Wrong {
        origin: origin.to_owned(),
        message: message.into(),
    }
}

fn check_name(word: &str, name: &str) -> Result<(), String> {
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
    for settings in of_file(&state.join(FILE))? {
        once(&all, &settings)?;
        all.push(settings);
    }
    Ok(all)
}

fn of_file(file: &Path) -> Result<Vec<Settings>, ConfigError> {
    let origin = file.display().to_string();
    let text = match std::fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            return Err(ConfigError::Read {
                path: file.to_owned(),
                source,
            });
        }
    };
    warn_open(file);
    // The message of the reader may show what it read, which can be a token.
    let whole: Value = serde_json::from_slice(&text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        wrong(&origin, format!("it is no JSON (line {line}, column {column})"))
    })?;
    let Some(channels) = whole.get("channels").and_then(Value::as_array) else {
        return Err(wrong(&origin, "`channels` must be there and be a list"));
    };
    let mut all: Vec<Settings> = Vec::new();
    let mut vaults: Vec<&str> = Vec::new();
    for (at, entry) in channels.iter().enumerate() {
        let text = |key: &str| {
            entry
                .get(key)
                .and_then(Value::as_str)
                .filter(|text| !text.trim().is_empty())
        };
        let (Some(name), Some(kind)) = (text("name"), text("transport")) else {
            let shown = shown(entry);
            return Err(wrong(
                &origin,
                format!("entry {} needs `name` and `transport`: {shown}", at + 1),
            ));
        };
        let place = format!("{origin}: the channel {name:?}");
        let refused = |message: String| wrong(&place, message);
        check_name("name", name).map_err(refused)?;
        if vaults.contains(&name) {
            return Err(refused(
                "there is a channel of this name already; names must differ".into(),
            ));
        }
        let empty = Map::new();
        let config = entry.get("config").and_then(Value::as_object).unwrap_or(&empty);
        let word = |key: &str| {
            config
                .get(key)
                .and_then(Value::as_str)
                .filter(|text| !text.trim().is_empty())
        };
        let kind = match kind {
            "http-ui" => Kind::HttpUi,
            "telegram" => {
                let token = word("token").ok_or_else(|| refused("the kind telegram needs `config.token`".into()))?;
                Kind::Telegram(Telegram {
                    token: Secret::Text(token.trim().to_owned()),
                    config: config.clone().into_iter().filter(|(key, _)| key != "token").collect(),
                    roots: Vec::new(),
                })
            }
            "vault" => {
                word("token").ok_or_else(|| refused("the kind vault needs `config.token`".into()))?;
                tracing::info!(
                    channel = name,
                    "a channel of the kind vault needs no bridge: the messages of an agent are notes in its vault, which \
                     [[vault]] names"
                );
                once(&all, &named(name, &place))?;
                vaults.push(name);
                continue;
            }
            other => return Err(refused(format!("the kind {other:?} is not known; there are: {KINDS}"))),
        };
        let settings = Settings {
            name: name.to_owned(),
            agent: text("agent").unwrap_or(name).to_owned(),
            kind,
            place: place.clone(),
        };
        once(&all, &settings)?;
        all.push(settings);
    }
    Ok(all)
}

fn named(name: &str, place: &str) -> Settings {
    Settings {
        name: name.to_owned(),
        agent: name.to_owned(),
        kind: Kind::HttpUi,
        place: place.to_owned(),
    }
}

/// An entry without what may be secret in it.
fn shown(entry: &Value) -> String {
    let Some(entry) = entry.as_object() else {
        return "it is no object".into();
    };
    let plain = entry.iter().filter(|(key, _)| *key != "config");
    Value::Object(plain.map(|(key, value)| (key.clone(), value.clone())).collect()).to_string()
}

fn warn_open(file: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let open = std::fs::metadata(file).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0);
    if open {
        tracing::warn!(file = %file.display(), "others on this machine may read the tokens in this file; `chmod 600` it");
    }
}

impl Settings {
    /// Whether it needs an outbox.
    pub(super) fn keeps(&self) -> bool {
        matches!(self.kind, Kind::Telegram(_))
    }

    /// The bridge, and where pages listen to it.
    ///
    /// # Errors
    /// It cannot be made so.
    pub(super) fn build(
        &self,
        state: &Path,
        outbox: Option<&Outbox>,
    ) -> Result<(Arc<dyn Bridge>, Option<HttpUi>), ConfigError> {
        match (&self.kind, outbox) {
            (Kind::Telegram(telegram), Some(outbox)) => Ok((self.telegram(telegram, state, outbox)?, None)),
            (Kind::Telegram(_), None) => Err(wrong(&self.place, "there is nowhere to keep what it has to send")),
            (Kind::HttpUi, _) => {
                let ui = HttpUi::new(&*self.name, &*self.agent);
                Ok((Arc::new(ui.clone()), Some(ui)))
            }
        }
    }

    fn telegram(&self, telegram: &Telegram, state: &Path, outbox: &Outbox) -> Result<Arc<dyn Bridge>, ConfigError> {
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
        let bridge = telegram::Telegram::new(options, outbox.clone());
        let bridge = bridge.map_err(|error| wrong(&self.place, error.to_string()))?;
        Ok(Arc::new(bridge))
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    fn file(text: &str) -> Result<Vec<Settings>, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(FILE);
        std::fs::write(&file, text).unwrap();
        of_file(&file).map_err(|error| error.to_string())
    }

    #[test]
    fn no_file_is_no_channels() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(all(&[], dir.path()).unwrap(), []);
    }

    #[test]
    fn the_file_of_the_reference_system_is_read() {
        let read = file(
            r#"{"channels": [
                {"name": "ui1", "transport": "http-ui"},
                {"name": "tg", "transport": "telegram", "config": {"token": " 1:secret ", "stateDir": "/srv/tg"}},
                {"name": "notes", "transport": "vault", "config": {"vault": "default", "token": "t"}}
            ]}"#,
        );
        let read = read.unwrap();
        let names: Vec<(&str, &str)> = read.iter().map(|one| (&*one.name, &*one.agent)).collect();
        assert_eq!(names, [("ui1", "ui1"), ("tg", "tg")]);
        assert_eq!(read[0].kind, Kind::HttpUi);
        let telegram = Telegram {
            token: Secret::Text("1:secret".into()),
            config: [("stateDir".to_owned(), json!("/srv/tg"))].into_iter().collect(),
            roots: Vec::new(),
        };
        assert_eq!(read[1].kind, Kind::Telegram(telegram));
    }

    #[test]
    fn each_refusal_names_the_file_or_the_channel_and_no_secret() {
        for (text, expected) in [
            ("{", "no JSON"),
            ("[]", "`channels` must be there"),
            (r#"{"channels": {}}"#, "`channels` must be there"),
            (
                r#"{"channels": [{"transport": "telegram", "config": {"token": "1:secret"}}]}"#,
                r#"{"transport":"telegram"}"#,
            ),
            (r#"{"channels": [{"name": "a"}]}"#, r#"{"name":"a"}"#),
            (
                r#"{"channels": [{"name": "a", "transport": "fax"}]}"#,
                "telegram, http-ui, vault",
            ),
            (
                r#"{"channels": [{"name": "a", "transport": "telegram"}]}"#,
                "\"a\": the kind telegram needs `config.token`",
            ),
            (
                r#"{"channels": [{"name": "a", "transport": "vault"}]}"#,
                "\"a\": the kind vault needs `config.token`",
            ),
            (
                r#"{"channels": [{"name": "a b", "transport": "http-ui"}]}"#,
                "\"a b\" must have",
            ),
            (
                r#"{"channels": [{"name": "a", "transport": "http-ui"}, {"name": "a", "transport": "http-ui"}]}"#,
                "names must differ",
            ),
            (
                r#"{"channels": [{"name": "a", "transport": "vault", "config": {"token": "1:secret"}}, {"name": "a", "transport": "http-ui"}]}"#,
                "names must differ",
            ),
        ] {
            let error = file(text).unwrap_err();
            assert!(error.contains(expected) && error.contains(FILE), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

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
