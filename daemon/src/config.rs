//! The configuration: a TOML file, every key of which is also an environment variable.
//!
//! `[claude] program` is `REVEILLE_CLAUDE__PROGRAM`, `[claude.env] ANTHROPIC_BASE_URL` is
//! `REVEILLE_CLAUDE__ENV__ANTHROPIC_BASE_URL`. The environment wins over the file.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SpanRelativeTo;
use serde::Deserialize;
use toml::{Table, Value};

/// Variables with our prefix that are no configuration keys.
const NOT_KEYS: &[&str] = &[
    "REVEILLE_STATE_DIR",
    "REVEILLE_CONFIG",
    "REVEILLE_URL",
    "REVEILLE_TOKEN",
    "REVEILLE_FAIL_POINT",
    "REVEILLE_PANIC_POINT",
    "REVEILLE_FAULT_VAULT",
    "REVEILLE_FAULT_QUEUE",
    "REVEILLE_INSTANCE",
    "REVEILLE_TURN",
    "REVEILLE_BIN",
    "REVEILLE_WEB_UI",
];

/// A configuration that cannot be used. Says where the mistake is and what is accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration {path} cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Something in it is wrong.
    #[error("{origin}: {message}")]
    Wrong {
        /// The file or variable.
        origin: String,
        /// What is wrong.
        message: String,
    },
}

/// A time span such as `90s`, `5m`, `1h 30m` or `30d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parsed = text
            .parse::<jiff::Span>()
            .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()))
            .ok()
            .and_then(|span| Duration::try_from(span).ok());
        let wrong = || {
            serde::de::Error::custom(format!(
                "{text:?} is no time span; write it like 90s, 5m, 1h 30m or 30d"
            ))
        };
        parsed.filter(|span| !span.is_zero()).map(Self).ok_or_else(wrong)
    }
}

/// `[server]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Server {
    /// Address and port; port 0 takes a free one.
    pub(crate) bind: SocketAddr,
    /// Host names under which the page may be opened, besides loopback and the bound address.
    pub(crate) hosts: Vec<String>,
    /// Largest request body in bytes.
    pub(crate) max_body: usize,
    /// Longest time for the body of a request to arrive.
    pub(crate) arrival: Span,
    /// Most open connections.
    pub(crate) max_connections: usize,
    /// How long running turns may take to end after a stop was asked for.
    pub(crate) drain: Span,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 1941)),
            hosts: Vec::new(),
            max_body: 8 << 20,
            arrival: Span(Duration::from_secs(60)),
            max_connections: 1024,
            drain: Span(Duration::from_secs(10)),
        }
    }
}

/// `[vault]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Vault {
    /// Name of the embedded vault, as in `/vault/<name>`.
    pub(crate) name: String,
    /// Largest file of a note, in bytes.
    pub(crate) max_attachment: usize,
}

impl Default for Vault {
    fn default() -> Self {
        Self {
            name: "default".into(),
            max_attachment: 100 << 20,
        }
    }
}

/// `[retention]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Retention {
    /// How long the files that a turn was given stay with its conversation after the turn has ended.
    pub(crate) attachments: Span,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            attachments: Span(Duration::from_secs(30 * 24 * 60 * 60)),
        }
    }
}

/// `[queue]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Queue {
    /// How long a claim holds without a sign of life of its worker.
    pub(crate) lease: Span,
    /// Most messages that may wait for one agent; more are refused at the door. What is in a vault already is always taken.
    pub(crate) max_waiting: u32,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            lease: Span(Duration::from_secs(60)),
            max_waiting: 10_000,
        }
    }
}

/// `[claude]`
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Claude {
    /// Name or path of the CLI, or `stand-in` for the built-in double.
    pub(crate) program: String,
    /// Model for agents that set none; the CLI's own default when absent.
    pub(crate) model: Option<String>,
    /// Longest silence of a turn.
    pub(crate) timeout_idle: Span,
    /// Longest turn.
    pub(crate) timeout_wall: Span,
    /// Longest start of the CLI.
    pub(crate) timeout_start: Span,
    /// Pauses before the second, third, … attempt at a turn that a passing failure of the API has ended; their number is the
    /// number of further attempts.
    pub(crate) retry_pauses: Vec<Span>,
    /// Extra variables for the child; `${NAME}` takes the daemon's.
    pub(crate) env: BTreeMap<String, String>,
}

impl Default for Claude {
    fn default() -> Self {
        Self {
            program: "claude".into(),
            model: None,
            timeout_idle: Span(Duration::from_secs(5 * 60)),
            timeout_wall: Span(Duration::from_secs(60 * 60)),
            timeout_start: Span(Duration::from_secs(30)),
            retry_pauses: vec![Span(Duration::from_secs(2)), Span(Duration::from_secs(5))],
            env: BTreeMap::new(),
        }
    }
}

impl fmt::Debug for Claude {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The values of `env` may be credentials.
        f.debug_struct("Claude")
            .field("program", &self.program)
            .field("env", &self.env.keys())
            .finish_non_exhaustive()
    }
}

/// How children are confined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SandboxMode {
    /// By the best means of this machine. At present that is `none`.
    #[default]
    Auto,
    /// Not at all.
    None,
}

/// `[sandbox]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Sandbox {
    /// How children are confined.
    pub(crate) mode: SandboxMode,
}

/// `[limits]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// Most turns that run at once.
    pub(crate) live_turns: usize,
    /// Most US dollars of an agent on a day (UTC), unless its definition says otherwise.
    pub(crate) budget_day_usd: Option<f64>,
    /// Most messages that one message may lead to, itself included, over all agents that hand work on.
    pub(crate) chain_messages: u64,
    /// Most turns of such a chain.
    pub(crate) chain_turns: u64,
    /// Most US dollars of such a chain.
    pub(crate) chain_usd: Option<f64>,
    /// How long a message waits for an agent that nobody has defined.
    pub(crate) agent_wait: Span,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            live_turns: 4,
            budget_day_usd: None,
            chain_messages: 200,
            chain_turns: 100,
            chain_usd: None,
            agent_wait: Span(Duration::from_secs(60 * 60)),
        }
    }
}

/// `[auth]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Auth {
    /// How long a browser stays signed in.
    pub(crate) session: Span,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            session: Span(Duration::from_secs(30 * 24 * 60 * 60)),
        }
    }
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// One JSON object per line.
    Json,
    /// Text.
    Text,
}

/// `[log]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    /// Form.
    pub(crate) format: LogFormat,
    /// Filter in the syntax of `RUST_LOG`, such as `info` or `reveille=debug`.
    pub(crate) level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Auto,
            level: "info".into(),
        }
    }
}

/// All of it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// The HTTP server.
    pub(crate) server: Server,
    /// Where notes live.
    pub(crate) vault: Vault,
    /// How long things are kept.
    pub(crate) retention: Retention,
    /// The queue.
    pub(crate) queue: Queue,
    /// The CLI that runs turns.
    pub(crate) claude: Claude,
    /// Confinement.
    pub(crate) sandbox: Sandbox,
    /// Limits.
    pub(crate) limits: Limits,
    /// Sign-in.
    pub(crate) auth: Auth,
    /// Logging.
    pub(crate) log: Log,
}

impl Config {
    /// Reads `path` (which must exist when `required`) and lays the environment over it.
    ///
    /// # Errors
    /// [`ConfigError`] naming the file or variable and the nearest known key.
    pub(crate) fn load(
        path: Option<&Path>,
        required: bool,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let environment: BTreeMap<String, String> = environment.into_iter().collect();
        let (origin, mut table) = match path {
            Some(path) => (path.display().to_string(), read_table(path, required)?),
            None => ("the configuration".to_owned(), Table::new()),
        };
        // The file alone first, so that a mistake is blamed on the right place.
        parse(&table, &origin)?;
        for (name, value) in &environment {
            let Some(rest) = name.strip_prefix("REVEILLE_") else {
                continue;
            };
            if NOT_KEYS.contains(&name.as_str())
                || name.starts_with("REVEILLE_TEST_")
                || name.starts_with("REVEILLE_E2E_")
            {
                continue;
            }
            table = overlaid(&table, name, rest, value)?;
        }
        for port in ["PORT", "PARACHUTE_AGENT_PORT"]
            .iter()
            .filter_map(|name| Some((name, environment.get(*name)?)))
        {
            let explicit = environment.contains_key("REVEILLE_SERVER__BIND") || has_bind(&table);
            if !port.1.is_empty() && !explicit {
                let number: u16 = port.1.parse().map_err(|_| ConfigError::Wrong {
                    origin: format!("the variable {}", port.0),
                    message: format!("{:?} is no port; use a number from 1 to 65535", port.1),
                })?;
                table = overlaid(&table, port.0, "SERVER__BIND", &format!("127.0.0.1:{number}"))?;
                break;
            }
        }
        let mut config = parse(&table, &origin)?;
        for (name, value) in &mut config.claude.env {
            *value = expand(value, &environment).map_err(|missing| ConfigError::Wrong {
                origin: format!("[claude.env] {name}"),
                message: format!("the variable {missing} that it takes is not set"),
            })?;
        }
        if config.limits.live_turns == 0 {
            let message = "live_turns must be at least 1; to stop agents, pause them".into();
            return Err(ConfigError::Wrong {
                origin: "[limits]".into(),
                message,
            });
        }
        if config.queue.max_waiting == 0 {
            return Err(ConfigError::Wrong {
                origin: "[queue]".into(),
                message: "max_waiting must be at least 1; to stop agents, pause them".into(),
            });
        }
        Ok(config)
    }
}

fn has_bind(table: &Table) -> bool {
    table
        .get("server")
        .and_then(Value::as_table)
        .is_some_and(|server| server.contains_key("bind"))
}

fn read_table(path: &Path, required: bool) -> Result<Table, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => text.parse().map_err(|error: toml::de::Error| ConfigError::Wrong {
            origin: path.display().to_string(),
            message: at_line(&text, &error),
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => Ok(Table::new()),
        Err(source) => Err(ConfigError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

/// The message with its line number. The error's long form would show the line itself, which may hold a key.
fn at_line(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    format!("line {}: {}", before.lines().count().max(1), error.message())
}

/// The table with a variable laid over it. A variable is text; where the key wants a number, a truth value or a list (by
/// commas), it is read as that. What fits nowhere is blamed on the variable.
fn overlaid(table: &Table, variable: &str, rest: &str, text: &str) -> Result<Table, ConfigError> {
    let list = || text.split(',').map(|item| Value::String(item.trim().to_owned()));
    let readings = [
        Some(Value::String(text.to_owned())),
        text.parse().ok().map(Value::Integer), // silent-ok: then it is no number
        text.parse().ok().map(Value::Float),   // silent-ok: likewise
        text.parse().ok().map(Value::Boolean), // silent-ok: likewise
        Some(Value::Array(list().filter(|item| item.as_str() != Some("")).collect())),
    ];
    let mut refused = None;
    for value in readings.into_iter().flatten() {
        let mut laid = table.clone();
        overlay(&mut laid, variable, rest, value)?;
        match parse(&laid, &format!("the variable {variable}")) {
            Ok(_) => return Ok(laid),
            // The complaint about the text itself is the one that a person understands.
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    refused.map_or_else(|| Ok(table.clone()), Err)
}

/// Sets `CLAUDE__ENV__NAME` and the like in the table. Keys below `claude.env` keep their case.
fn overlay(table: &mut Table, variable: &str, rest: &str, value: Value) -> Result<(), ConfigError> {
    let wrong = |message: &str| ConfigError::Wrong {
        origin: format!("the variable {variable}"),
        message: message.into(),
    };
    let mut parts: Vec<String> = rest.split("__").map(str::to_owned).collect();
    let keep_case = parts.len() > 2 && parts[0].eq_ignore_ascii_case("claude") && parts[1].eq_ignore_ascii_case("env");
    if keep_case {
        parts = vec!["claude".into(), "env".into(), parts[2..].join("__")];
    } else {
        parts.iter_mut().for_each(|part| *part = part.to_ascii_lowercase());
    }
    let Some((last, sections)) = parts.split_last() else {
        return Ok(());
    };
    let mut at = table;
    for section in sections {
        let next = at.entry(section.clone()).or_insert_with(|| Value::Table(Table::new()));
        at = next
            .as_table_mut()
            .ok_or_else(|| wrong("it names a key below one that has a value"))?;
    }
    at.insert(last.clone(), value);
    Ok(())
}

fn parse(table: &Table, origin: &str) -> Result<Config, ConfigError> {
    Value::Table(table.clone())
        .try_into()
        .map_err(|error: toml::de::Error| ConfigError::Wrong {
            origin: origin.to_owned(),
            message: explain(&error),
        })
}

/// The message with the place: only the error's long form names the key.
fn explain(error: &toml::de::Error) -> String {
    let message = error.message().replace("expected usize", "expected a whole number");
    let message = message.replace("expected u32", "expected a whole number");
    let (text, message) = (error.to_string(), with_nearest(&message));
    match text.lines().find_map(|line| line.strip_prefix("in ")) {
        Some(place) => format!("{place}: {message}"),
        None => message,
    }
}

/// Adds "did you mean" to serde's "unknown field `x`, expected one of `a`, `b`".
fn with_nearest(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    if !message.starts_with("unknown field") {
        return message.to_owned();
    }
    let Some(given) = quoted.next() else {
        return message.to_owned();
    };
    let nearest = quoted.max_by(|a, b| strsim::jaro_winkler(given, a).total_cmp(&strsim::jaro_winkler(given, b)));
    match nearest {
        Some(nearest) => format!("unknown key `{given}`; did you mean `{nearest}`? ({message})"),
        None => message.to_owned(),
    }
}

/// Replaces each `${NAME}` by the variable's value; answers the name of one that is not set.
fn expand(text: &str, environment: &BTreeMap<String, String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, tail)) = after.split_once('}') else {
            break;
        };
        out.push_str(before);
        out.push_str(environment.get(name).ok_or_else(|| name.to_owned())?);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reveille.toml");
        std::fs::write(&path, text).unwrap();
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Config::load(Some(&path), true, environment)
            .map_err(|error| error.to_string().replace(&path.display().to_string(), "FILE"))
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let config = load(
            "[claude]\nprogram = \"a\"\nmodel = \"m\"\n[limits]\nlive_turns = 2",
            &[
                ("REVEILLE_CLAUDE__PROGRAM", "b"),
                ("REVEILLE_CLAUDE__ENV__ANTHROPIC_BASE_URL", "http://x/${WHO}"),
                ("WHO", "me"),
                ("REVEILLE_LIMITS__LIVE_TURNS", "7"),
                ("REVEILLE_CLAUDE__TIMEOUT_IDLE", "90s"),
            ],
        )
        .unwrap();
        assert_eq!(
            (config.claude.program.as_str(), config.claude.model.as_deref()),
            ("b", Some("m"))
        );
        assert_eq!(config.claude.env["ANTHROPIC_BASE_URL"], "http://x/me");
        assert_eq!(
            (config.limits.live_turns, config.claude.timeout_idle.0.as_secs()),
            (7, 90)
        );
    }

    #[test]
    fn spans_may_be_days_and_sizes_are_numbers() {
        let config = load(
            "[retention]\nattachments = \"1d 12h\"",
            &[("REVEILLE_VAULT__MAX_ATTACHMENT", "1000")],
        )
        .unwrap();
        assert_eq!(config.retention.attachments.0.as_secs(), 36 * 60 * 60);
        assert_eq!(config.vault.max_attachment, 1000);
        let usual = load("", &[]).unwrap();
        assert_eq!(usual.retention.attachments.0.as_secs(), 30 * 24 * 60 * 60);
        for never in ["1mo", "1y", "0d", "-1d"] {
            let wrong = load(&format!("[retention]\nattachments = {never:?}"), &[]).unwrap_err();
            assert!(wrong.contains("is no time span"), "{wrong}");
        }
    }

    #[test]
    fn a_mistake_names_its_place_and_the_nearest_key() {
        for (text, environment, expected) in [
            (
                "[claude]\nprogramm = \"x\"",
                &[][..],
                "FILE: `claude`: unknown key `programm`; did you mean `program`?",
            ),
            (
                "",
                &[("REVEILLE_LIMIT__LIVE_TURNS", "1")][..],
                "the variable REVEILLE_LIMIT__LIVE_TURNS: unknown key `limit`; did you mean `limits`?",
            ),
            (
                "[claude]\ntimeout_idle = \"soon\"",
                &[][..],
                "FILE: `claude.timeout_idle`: \"soon\" is no time span",
            ),
            (
                "",
                &[("REVEILLE_LIMITS__LIVE_TURNS", "many")][..],
                "the variable REVEILLE_LIMITS__LIVE_TURNS: `limits.live_turns`: invalid type",
            ),
            (
                "",
                &[("REVEILLE_LIMITS__LIVE_TURNS", "0")][..],
                "[limits]: live_turns must be at least 1",
            ),
            (
                "[queue]\nmax_waiting = 0",
                &[][..],
                "[queue]: max_waiting must be at least 1",
            ),
            (
                "",
                &[("REVEILLE_QUEUE__MAX_WAITING", "-1")][..],
                "the variable REVEILLE_QUEUE__MAX_WAITING: `queue.max_waiting`: invalid type: string \"-1\"",
            ),
            // An open string: the line itself, and with it the key, is not shown.
            ("[claude.env]\nKEY = \"sk-secret\n", &[][..], "FILE: line 2: "),
            (
                "[claude.env]\nA = \"${NOT_SET}\"",
                &[][..],
                "[claude.env] A: the variable NOT_SET",
            ),
            ("", &[("PORT", "80abc")][..], "the variable PORT: \"80abc\" is no port"),
        ] {
            let error = load(text, environment).unwrap_err();
            assert!(error.starts_with(expected) && !error.contains("sk-secret"), "{error}");
        }
    }

    #[test]
    fn ports_come_from_the_usual_variables_unless_bind_is_set() {
        assert_eq!(
            load("", &[("PORT", "4000"), ("PARACHUTE_AGENT_PORT", "5")])
                .unwrap()
                .server
                .bind
                .port(),
            4000
        );
        assert_eq!(
            load("", &[("PORT", ""), ("PARACHUTE_AGENT_PORT", "5")])
                .unwrap()
                .server
                .bind
                .port(),
            5
        );
        assert_eq!(
            load("[server]\nbind = \"127.0.0.1:7\"", &[("PORT", "4000")])
                .unwrap()
                .server
                .bind
                .port(),
            7
        );
        assert_eq!(load("", &[]).unwrap().server.bind.port(), 1941);
    }
}
