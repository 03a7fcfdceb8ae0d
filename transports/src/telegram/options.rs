use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use url::{Host, Url};

use super::token::Token;

/// The server of Telegram.
const API_BASE: &str = "https://api.telegram.org";

/// How a bridge to Telegram is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// The bridge's name: that of its channel.
    pub name: String,
    /// The agent that messages are for.
    pub agent: String,
    /// The bot.
    pub token: Token,
    /// The server: Telegram's, or one's own Bot API server. Over plain HTTP only on this machine or in a private network.
    pub api_base: Url,
    /// Holds `access.json`, `inbox/` and the place in the updates. Bridges may share it.
    pub state_dir: PathBuf,
    /// Without an access file nobody is let in; `false`: everybody is.
    pub require_access_file: bool,
    /// Directories, besides the inbox, from which files on this machine may be sent.
    pub roots: Vec<PathBuf>,
    /// Most bytes of a file that comes. Telegram gives bots 20 MB.
    pub max_file_in: u64,
    /// Most bytes of a file that goes. Telegram takes 50 MB from bots.
    pub max_file_out: u64,
    /// How long files stay in the inbox.
    pub inbox_retention: Duration,
    /// How long a question for a permission is open.
    pub permission_life: Duration,
    /// Each chat is a conversation of its own within the agent.
    pub subject_per_chat: bool,
    /// Pauses and bounds.
    pub pace: Pace,
}

/// Pauses and bounds, which tests make short.
#[derive(Debug, Clone)]
pub struct Pace {
    /// How long the server holds a poll open. In whole seconds.
    pub poll: Duration,
    /// The pause after a first failure; it doubles with each one.
    pub first_pause: Duration,
    /// The longest pause between polls.
    pub longest_pause: Duration,
    /// The first pause when another program takes the updates.
    pub conflict: Duration,
    /// Before a number that is missing among the updates is asked for again.
    pub gap: Duration,
    /// How often it is looked whether a turn runs; the sign that somebody types lasts 5 s.
    pub typing: Duration,
    /// The longest pause between tries to deliver.
    pub longest_delivery_pause: Duration,
    /// Tries to deliver until a part is given up.
    pub attempts: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(30),
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(60),
            conflict: Duration::from_secs(5),
            gap: Duration::from_millis(200),
            typing: Duration::from_secs(4),
            longest_delivery_pause: Duration::from_secs(10 * 60),
            attempts: 40,
        }
    }
}

/// What is wrong with the configuration of a bridge, with its name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the telegram channel {name:?}: {reason}")]
pub struct ConfigError {
    /// The bridge.
    pub name: String,
    /// What is wrong, and what to do. Without secrets.
    pub reason: String,
}

impl Options {
    /// With the usual bounds.
    #[must_use]
    pub fn new(name: &str, agent: &str, token: Token, state_dir: &Path) -> Self {
        #[expect(clippy::expect_used, reason = "a constant that a test parses")]
        let api_base = Url::parse(API_BASE).expect("an address");
        Self {
            name: name.to_owned(),
            agent: agent.to_owned(),
            token,
            api_base,
            state_dir: state_dir.to_owned(),
            require_access_file: true,
            roots: Vec::new(),
            max_file_in: 20 << 20,
            max_file_out: 50 << 20,
            inbox_retention: Duration::from_secs(7 * 24 * 60 * 60),
            permission_life: Duration::from_secs(10 * 60),
            subject_per_chat: false,
            pace: Pace::default(),
        }
    }

    /// From the `config` of a channel: `token`, and perhaps `stateDir`, `apiBase`, `requireAccessFile`, `subjectPerChat`. The
    /// environment is not asked.
    ///
    /// # Errors
    /// [`ConfigError`] if there is no token, or something is not what it must be.
    pub fn from_channel(
        name: Option<&str>,
        agent: &str,
        config: &Value,
        state_dir: &Path,
    ) -> Result<Self, ConfigError> {
        let name = name.filter(|name| !name.is_empty()).unwrap_or("(unnamed)");
        let wrong = |reason: String| ConfigError {
            name: name.to_owned(),
            reason,
        };
        let text = |key: &str| match config.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(wrong(format!("`config.{key}` must be a text"))),
        };
        let flag = |key: &str| match config.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(wrong(format!("`config.{key}` must be true or false"))),
        };
        let token = text("token")?.filter(|token| !token.trim().is_empty());
        let token = token.ok_or_else(|| wrong("`config.token` is missing; @BotFather gives it".into()))?;
        let token = Token::new(token).map_err(|error| wrong(format!("`config.token`: {error}")))?;
        let state_dir = text("stateDir")?.map_or(state_dir, Path::new);
        let mut options = Self::new(name, agent, token, state_dir);
        if let Some(base) = text("apiBase")? {
            options.api_base = server(base).map_err(|reason| wrong(format!("`config.apiBase`: {reason}")))?;
        }
        if let Some(required) = flag("requireAccessFile")? {
            options.require_access_file = required;
        }
        if let Some(each) = flag("subjectPerChat")? {
            options.subject_per_chat = each;
        }
        Ok(options)
    }
}

/// The address of a Bot API server.
fn server(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("it is no address: {error}"))?;
    let near = match url.host() {
        Some(Host::Ipv4(at)) => at.is_loopback() || at.is_private(),
        Some(Host::Ipv6(at)) => at.is_loopback() || at.is_unique_local(),
        // A name without dots is of this network.
        Some(Host::Domain(name)) => !name.contains('.'),
        None => return Err("it names no server".into()),
    };
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err("it must be nothing but the server, such as http://127.0.0.1:8081".into());
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if near => Ok(url),
        "http" => Err("the token would be readable on its way; use https".into()),
        _ => Err("it must begin with https://".into()),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    fn read(name: Option<&str>, config: &Value) -> Result<Options, String> {
        Options::from_channel(name, "scribe", config, Path::new("/state")).map_err(|error| error.to_string())
    }

    #[test]
    fn the_token_comes_from_the_configuration_and_the_error_names_the_channel() {
        for config in [json!({}), json!({"token": ""}), json!({"token": null}), json!(null)] {
            let error = read(Some("phone"), &config).unwrap_err();
            assert!(error.contains("\"phone\"") && error.contains("token"), "{error}");
            assert!(read(None, &config).unwrap_err().contains("(unnamed)"));
        }
        let options = read(Some("phone"), &json!({"token": "123:abc"})).unwrap();
        assert_eq!(
            (options.name.as_str(), options.state_dir.as_path()),
            ("phone", Path::new("/state"))
        );
        assert_eq!(options.api_base.as_str(), "https://api.telegram.org/");
        assert!(options.require_access_file);
        assert!(!format!("{options:?}").contains("123:abc"));
    }

    #[test]
    fn what_is_wrong_is_named_without_the_token() {
        for (config, part) in [
            (json!({"token": "12 34/secret"}), "bot token"),
            (json!({"token": 5}), "must be a text"),
            (json!({"token": "1:secret", "stateDir": 1}), "stateDir"),
            (
                json!({"token": "1:secret", "requireAccessFile": "no"}),
                "requireAccessFile",
            ),
            (json!({"token": "1:secret", "apiBase": "ftp://x"}), "https"),
            (
                json!({"token": "1:secret", "apiBase": "http://api.example.com"}),
                "readable",
            ),
            (
                json!({"token": "1:secret", "apiBase": "https://u:p@api.example.com"}),
                "nothing but the server",
            ),
        ] {
            let error = read(Some("phone"), &config).unwrap_err();
            assert!(error.contains(part) && !error.contains("secret"), "{error}");
        }
        let config =
            json!({"token": "1:s", "apiBase": "http://bot-api:8081", "stateDir": "/own", "requireAccessFile": false});
        let options = read(Some("phone"), &config).unwrap();
        assert_eq!(options.api_base.as_str(), "http://bot-api:8081/");
        assert_eq!(
            (options.state_dir.as_path(), options.require_access_file),
            (Path::new("/own"), false)
        );
    }
}
