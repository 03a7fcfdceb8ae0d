//! `channels.json` in the state directory, as the reference system writes it: read at the start, and changed while the daemon
//! runs. What this version does not know in it stays.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::settings::{Kind, Settings, Telegram, check_name, wrong};
use crate::config::{ConfigError, Secret};
use crate::state_dir::write_private;

/// Its name.
const NAME: &str = "channels.json";
/// The kinds of channels in it.
const KINDS: &str = "telegram, http-ui, vault";
/// The kind that is no bridge.
pub(super) const VAULT: &str = "vault";

/// The file.
#[derive(Debug, Clone)]
pub(super) struct File {
    path: PathBuf,
}

/// A text that says something.
fn text<'a>(entry: &'a Value, key: &str) -> Option<&'a str> {
    let text = entry.get(key).and_then(Value::as_str);
    text.filter(|text| !text.trim().is_empty())
}

/// What an entry says. `None`: a channel of the kind `vault`, which needs no bridge.
///
/// # Errors
/// It cannot be used. Nothing of its `config` is in the error.
pub(super) fn read(entry: &Value, origin: &str, at: usize) -> Result<Option<Settings>, ConfigError> {
    let (Some(name), Some(kind)) = (text(entry, "name"), text(entry, "transport")) else {
        let shown = shown(entry);
        return Err(wrong(
            origin,
            format!("entry {at} needs `name` and `transport`: {shown}"),
        ));
    };
    let place = format!("{origin}: the channel {name:?}");
    let refused = |message: String| wrong(&place, message);
    check_name("name", name).map_err(refused)?;
    let empty = Map::new();
    let config = entry.get("config").and_then(Value::as_object).unwrap_or(&empty);
    let token = || {
        let token = config.get("token").and_then(Value::as_str).map(str::trim);
        token
            .filter(|token| !token.is_empty())
            .ok_or_else(|| refused(format!("the kind {kind} needs `config.token`")))
    };
    let kind = match kind {
        "http-ui" => Kind::HttpUi,
        "telegram" => Kind::Telegram(Telegram {
            token: Secret::Text(token()?.to_owned()),
            config: config.clone().into_iter().filter(|(key, _)| key != "token").collect(),
            roots: Vec::new(),
        }),
        VAULT => {
            token()?;
            return Ok(None);
        }
        other => return Err(refused(format!("the kind {other:?} is not known; there are: {KINDS}"))),
    };
    let agent = text(entry, "agent").unwrap_or(name);
    check_name("agent", agent).map_err(refused)?;
    Ok(Some(Settings {
        name: name.to_owned(),
        agent: agent.to_owned(),
        kind,
        place,
        added: true,
    }))
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

impl File {
    /// In that state directory.
    pub(super) fn in_dir(state: &Path) -> Self {
        Self { path: state.join(NAME) }
    }

    fn origin(&self) -> String {
        self.path.display().to_string()
    }

    /// All that is in it; `None` when it is not there.
    fn whole(&self) -> Result<Option<Map<String, Value>>, ConfigError> {
        let text = match std::fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(ConfigError::Read {
                    path: self.path.clone(),
                    source,
                });
            }
        };
        // The message of the reader may show what it read, which can be a token.
        let whole: Value = serde_json::from_slice(&text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            wrong(&self.origin(), format!("it is no JSON (line {line}, column {column})"))
        })?;
        match whole {
            Value::Object(whole) if whole.get("channels").is_some_and(Value::is_array) => Ok(Some(whole)),
            _ => Err(wrong(&self.origin(), "`channels` must be there and be a list")),
        }
    }

    /// The bridges in it.
    ///
    /// # Errors
    /// The first entry that cannot be used, with the mend.
    pub(super) fn settings(&self) -> Result<Vec<Settings>, ConfigError> {
        let Some(whole) = self.whole()? else {
            return Ok(Vec::new());
        };
        warn_open(&self.path);
        let origin = self.origin();
        let channels = whole.get("channels").and_then(Value::as_array);
        let mut all: Vec<Settings> = Vec::new();
        let mut vaults: Vec<&str> = Vec::new();
        for (at, entry) in channels.into_iter().flatten().enumerate() {
            let settings = read(entry, &origin, at + 1)?;
            let name = text(entry, "name").unwrap_or_default();
            if vaults.contains(&name) || all.iter().any(|one| one.name == name) {
                let place = format!("{origin}: the channel {name:?}");
                return Err(wrong(
                    &place,
                    "there is a channel of this name already; names must differ",
                ));
            }
            match settings {
                Some(settings) => all.push(settings),
                None => {
                    tracing::info!(
                        channel = name,
                        "a channel of the kind vault needs no bridge: the messages of an agent are notes in its vault, which \
                         [[vault]] names"
                    );
                    vaults.push(name);
                }
            }
        }
        Ok(all)
    }

    /// Puts an entry there, in place of one of the same name.
    ///
    /// # Errors
    /// The file cannot be used or written; it is as it was then.
    pub(super) fn put(&self, entry: Value) -> Result<(), ConfigError> {
        let mut whole = self.whole()?.unwrap_or_default();
        let name = text(&entry, "name").map(str::to_owned);
        let channels = whole.entry("channels").or_insert_with(|| json!([]));
        if let Some(channels) = channels.as_array_mut() {
            let old = channels.iter_mut().find(|old| text(old, "name") == name.as_deref());
            match old {
                Some(old) => *old = entry,
                None => channels.push(entry),
            }
        }
        self.write(&whole)
    }

    /// Takes the entry of a name away. Answers whether there was one.
    ///
    /// # Errors
    /// The file cannot be used or written; it is as it was then.
    pub(super) fn remove(&self, name: &str) -> Result<bool, ConfigError> {
        let Some(mut whole) = self.whole()? else {
            return Ok(false);
        };
        let Some(channels) = whole.get_mut("channels").and_then(Value::as_array_mut) else {
            return Ok(false);
        };
        let before = channels.len();
        channels.retain(|entry| text(entry, "name") != Some(name));
        if channels.len() == before {
            return Ok(false);
        }
        self.write(&whole)?;
        Ok(true)
    }

    fn write(&self, whole: &Map<String, Value>) -> Result<(), ConfigError> {
        let failed = |error: io::Error| wrong(&self.origin(), format!("it cannot be written: {error}"));
        // A write would put a file in the place of a link, and leave where that leads as it was, with its secrets.
        if std::fs::symlink_metadata(&self.path).is_ok_and(|meta| meta.is_symlink()) {
            let link = "it is a link; put the file itself in the place of the link, then try again";
            return Err(failed(io::Error::other(link)));
        }
        let mut text = serde_json::to_string_pretty(whole).map_err(|error| failed(error.into()))?;
        text.push('\n');
        write_private(&self.path, text.as_bytes()).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    fn file(text: &str) -> Result<Vec<Settings>, String> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(NAME), text).unwrap();
        File::in_dir(dir.path()).settings().map_err(|error| error.to_string())
    }

    #[test]
    fn no_file_is_no_channels() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(File::in_dir(dir.path()).settings().unwrap(), []);
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
            assert!(error.contains(expected) && error.contains(NAME), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_change_keeps_what_is_not_known_and_the_file_to_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let (file, path) = (File::in_dir(dir.path()), dir.path().join(NAME));
        assert!(!file.remove("a").unwrap() && !path.exists());
        file.put(json!({ "name": "a", "transport": "http-ui" })).unwrap();
        let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        let before = json!({ "more": 1, "channels": [
            { "name": "v", "transport": "vault", "config": { "token": "t", "vault": "default" } },
            { "name": "a", "transport": "http-ui", "note": "old" },
        ] });
        std::fs::write(&path, before.to_string()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let new = json!({ "name": "a", "transport": "telegram", "config": { "token": "1:secret" } });
        file.put(new.clone()).unwrap();
        let now = || serde_json::from_slice::<Value>(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(now(), json!({ "more": 1, "channels": [before["channels"][0], new] }));
        assert_eq!(mode(), 0o600);
        assert!(std::fs::read_to_string(&path).unwrap().ends_with("}\n"));
        assert!(file.remove("a").unwrap());
        assert_eq!(now(), json!({ "more": 1, "channels": [before["channels"][0]] }));

        // What cannot be used is left as it is.
        for text in ["{", "[]", "{}"] {
            std::fs::write(&path, text).unwrap();
            assert!(file.put(new.clone()).is_err() && file.remove("v").is_err());
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        std::fs::rename(&path, dir.path().join("elsewhere")).unwrap();
        std::fs::write(dir.path().join("elsewhere"), r#"{"channels": []}"#).unwrap();
        std::os::unix::fs::symlink("elsewhere", &path).unwrap();
        let error = file.put(new).unwrap_err().to_string();
        assert!(error.contains("it is a link") && !error.contains("secret"), "{error}");
    }
}
