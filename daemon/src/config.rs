//! The configuration: a TOML file, every key of which is also an environment variable.
//!
//! `[claude] program` is `REVEILLE_CLAUDE__PROGRAM`, `[claude.env] ANTHROPIC_BASE_URL` is
//! `REVEILLE_CLAUDE__ENV__ANTHROPIC_BASE_URL`. The environment wins over the file. It knows the table `[vault]`; several
//! vaults, `[[vault]]`, are for the file alone.

mod claude;
mod front;
mod hub;
mod mcp;
mod read;
mod retention;
mod sandbox;
mod traces;
mod turn_limits;
mod vault;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SpanRelativeTo;
use jiff::tz::TimeZone;
use serde::Deserialize;
use toml::Table;

pub(crate) use self::claude::Claude;
pub(crate) use self::front::{Mount, Proxies};
pub(crate) use self::hub::Hub;
pub(crate) use self::mcp::Mcp;
use self::read::{expand, has_key, overlaid, parse, read_table};
pub(crate) use self::retention::{Keep, Retention};
pub(crate) use self::sandbox::{Ceiling, GitConfig, Limit, Said, Sandbox, SandboxMode};
pub(crate) use self::traces::{Exporter, Sampler, Traces};
pub(crate) use self::turn_limits::TurnLimits;
pub(crate) use self::vault::{
    FileLimits, POLL, Parachute, Place, Secret, Vault, Vaults, address, check_name as vault_name, private_secret,
    secret,
};
use crate::bridges;
use crate::registry::Discovery;

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
    "REVEILLE_VAULT",
    "REVEILLE_BIN",
    "REVEILLE_WEB_UI",
];

/// Where a supervisor, and those who know the reference system, say the port; the first one counts.
const PORTS: [&str; 3] = ["PORT", "PARACHUTE_AGENT_PORT", "PARACHUTE_CHANNEL_PORT"];

/// What the reference system calls `[definitions] discovery`, with words of its own.
const DISCOVERY: &str = "PARACHUTE_AGENT_DISCOVERY";

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

/// An origin as a browser names it, such as `https://notes.example`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin(pub(crate) String);

impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let url = url::Url::parse(&text).ok(); // silent-ok: told below
        let origin = url.filter(|url| matches!(url.scheme(), "http" | "https")).map(|url| {
            let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
            let bare = bare && url.username().is_empty() && url.password().is_none();
            (bare, url.origin().ascii_serialization())
        });
        match origin {
            Some((true, origin)) => Ok(Self(origin)),
            _ => Err(serde::de::Error::custom(format!(
                "{text:?} is no origin; write scheme, host and port alone, such as https://notes.example"
            ))),
        }
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
    /// A path below which everything is served too, as a proxy shows it.
    pub(crate) mount: Option<Mount>,
    /// Who is believed to be a proxy.
    pub(crate) trusted_proxies: Option<Proxies>,
    /// Origins whose pages may use the HTTP interface, with a token.
    pub(crate) origins: Vec<Origin>,
    /// Largest request body in bytes.
    pub(crate) max_body: usize,
    /// Longest time for the body of a request to arrive.
    pub(crate) arrival: Span,
    /// Most open connections.
    pub(crate) max_connections: usize,
    /// How long a client may take nothing of an answer before it loses its connection.
    pub(crate) write_timeout: Span,
    /// How long running turns may take to end after a stop was asked for; see [`crate::stopping`] for when it is not said.
    pub(crate) drain: Option<Span>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 1941)),
            hosts: Vec::new(),
            mount: None,
            trusted_proxies: None,
            origins: Vec::new(),
            max_body: 8 << 20,
            arrival: Span(Duration::from_secs(60)),
            max_connections: 1024,
            write_timeout: Span(Duration::from_secs(30)),
            drain: None,
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

/// `[attached]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Attached {
    /// How long a session that has taken a message may keep it without a word.
    pub(crate) claim_ttl: Span,
}

impl Default for Attached {
    fn default() -> Self {
        Self {
            claim_ttl: Span(Duration::from_secs(15 * 60)),
        }
    }
}

/// Who decides what agents get of what they want.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum GrantsBackend {
    /// The operator of this machine.
    #[default]
    Local,
    /// The operator of a hub.
    Hub,
}

/// `[grants]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Grants {
    /// Who decides.
    pub(crate) backend: GrantsBackend,
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
    /// Turns may send to agents of other vaults.
    pub(crate) across_vaults: bool,
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
            across_vaults: false,
        }
    }
}

/// `[definitions]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Definitions {
    /// Which notes define agents.
    pub(crate) discovery: Discovery,
}

/// `[auth]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Auth {
    /// How long a browser stays signed in.
    pub(crate) session: Span,
    /// Whether dangerous things need a PIN.
    pub(crate) pin: Pin,
}

/// Whether dangerous things need a PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pin {
    /// Where one is set.
    #[default]
    Optional,
    /// Always: without one they are not done.
    Required,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            session: Span(Duration::from_secs(30 * 24 * 60 * 60)),
            pin: Pin::default(),
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
    /// Most lines of one place in the code within ten seconds; 0: all of them.
    pub(crate) burst: u64,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Auto,
            level: "info".into(),
            burst: 100,
        }
    }
}

/// `[jobs]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Jobs {
    /// Whose clock counts for jobs that name no zone; that of the host, when absent.
    timezone: Option<Zone>,
}

impl Jobs {
    /// Whose clock counts for jobs that name no zone.
    #[must_use]
    pub(crate) fn zone(&self) -> TimeZone {
        self.timezone
            .as_ref()
            .map_or_else(TimeZone::system, |zone| zone.0.clone())
    }
}

/// A time zone by its name, such as `Europe/Berlin`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Zone(TimeZone);

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let zone = TimeZone::get(&name).ok().filter(|zone| !zone.is_unknown()); // silent-ok: told below
        let wrong = || format!("{name:?} is no time zone; use the name of one, such as Europe/Berlin or UTC");
        zone.map(Self).ok_or_else(|| serde::de::Error::custom(wrong()))
    }
}

/// All of it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// The HTTP server.
    pub(crate) server: Server,
    /// Where notes live, as it is written.
    #[serde(rename = "vault")]
    vault_tables: vault::Tables,
    /// Where notes live.
    #[serde(skip)]
    pub(crate) vaults: Vaults,
    /// The file that it was read from, when there is one.
    #[serde(skip)]
    pub(crate) file: Option<PathBuf>,
    /// The hub, as it is written.
    #[serde(rename = "hub")]
    hub_table: hub::Written,
    /// The hub that issues tokens and keeps grants.
    #[serde(skip)]
    pub(crate) hub: Hub,
    /// How long things are kept.
    pub(crate) retention: Retention,
    /// The queue.
    pub(crate) queue: Queue,
    /// Agents that sessions serve.
    pub(crate) attached: Attached,
    /// The CLI that runs turns.
    pub(crate) claude: Claude,
    /// Confinement.
    pub(crate) sandbox: Sandbox,
    /// Limits.
    pub(crate) limits: Limits,
    /// What defines agents.
    pub(crate) definitions: Definitions,
    /// What agents get of what they want.
    pub(crate) grants: Grants,
    /// How triggers deliver.
    pub(crate) triggers: crate::triggers::Settings,
    /// Messages that the clock sends.
    pub(crate) jobs: Jobs,
    /// Sign-in.
    pub(crate) auth: Auth,
    /// Sessions of MCP clients.
    pub(crate) mcp: Mcp,
    /// Bridges, as they are written.
    #[serde(rename = "transport")]
    transport_tables: Vec<bridges::Table>,
    /// Bridges.
    #[serde(skip)]
    pub(crate) transports: Vec<bridges::Settings>,
    /// Hooks, as they are written.
    #[serde(rename = "hook")]
    hook_tables: Vec<bridges::hooks::Table>,
    /// Hooks.
    #[serde(skip)]
    pub(crate) hooks: Vec<bridges::hooks::Settings>,
    /// Webhooks, as they are written.
    #[serde(rename = "webhook")]
    webhook_tables: Vec<bridges::webhooks::Table>,
    /// Webhooks.
    #[serde(skip)]
    pub(crate) webhooks: Vec<bridges::webhooks::Settings>,
    /// Logging.
    pub(crate) log: Log,
    /// Traces, as it is written.
    #[serde(rename = "traces")]
    traces_table: traces::Written,
    /// Where traces go.
    #[serde(skip)]
    pub(crate) traces: Traces,
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
        let alone = parse(&table, &origin)?;
        if let Some(path) = path {
            alone.vault_tables.check_private(path)?;
            alone.hub_table.check_private(path)?;
            alone
                .transport_tables
                .iter()
                .try_for_each(|table| table.check_private(path))?;
            alone
                .hook_tables
                .iter()
                .try_for_each(|table| table.check_private(path))?;
            alone
                .webhook_tables
                .iter()
                .try_for_each(|table| table.check_private(path))?;
        }
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
        table = with_port(table, &environment)?;
        table = with_discovery(table, &environment)?;
        let mut config = parse(&table, &origin)?;
        config.vaults = std::mem::take(&mut config.vault_tables).resolve(&environment)?;
        config.hub = std::mem::take(&mut config.hub_table).resolve(&environment)?;
        config.hooks = bridges::hooks::resolve(std::mem::take(&mut config.hook_tables), &environment)?;
        config.webhooks = bridges::webhooks::resolve(std::mem::take(&mut config.webhook_tables), &environment)?;
        config.transports = bridges::resolve(std::mem::take(&mut config.transport_tables), &environment)?;
        let traces = config.traces_table.resolve(&environment);
        config.traces = traces.map_err(|message| ConfigError::Wrong {
            origin: "[traces]".into(),
            message,
        })?;
        if config.definitions.discovery != Discovery::Definitions {
            config.vaults.follow_threads();
        }
        for (name, value) in &mut config.claude.env {
            *value = expand(value, &environment).map_err(|missing| ConfigError::Wrong {
                origin: format!("[claude.env] {name}"),
                message: format!("the variable {missing} that it takes is not set"),
            })?;
        }
        config.sandbox.check()?;
        config.file = path.filter(|path| path.exists()).map(Path::to_owned);
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

/// The table with the port of the usual variables, where it says no address itself. An empty one and `0` say nothing.
fn with_port(table: Table, environment: &BTreeMap<String, String>) -> Result<Table, ConfigError> {
    if has_key(&table, "server", "bind") {
        return Ok(table);
    }
    for variable in PORTS {
        let Some(text) = environment
            .get(variable)
            .map(|text| text.trim())
            .filter(|text| !text.is_empty())
        else {
            continue;
        };
        let port: u16 = text.parse().map_err(|_| ConfigError::Wrong {
            origin: format!("the variable {variable}"),
            message: format!("{text:?} is no port; use a number from 1 to 65535"),
        })?;
        if port != 0 {
            return overlaid(&table, variable, "SERVER__BIND", &format!("127.0.0.1:{port}"));
        }
    }
    Ok(table)
}

/// The table with what the reference system's variable says, where it says nothing itself.
fn with_discovery(table: Table, environment: &BTreeMap<String, String>) -> Result<Table, ConfigError> {
    let word = environment.get(DISCOVERY).map(|word| word.trim().to_lowercase());
    let Some(word) = word.filter(|word| !word.is_empty()) else {
        return Ok(table);
    };
    if has_key(&table, "definitions", "discovery") {
        return Ok(table);
    }
    let own = match word.as_str() {
        "def" => "definitions",
        "thread" => "threads",
        "both" => "both",
        _ => {
            return Err(ConfigError::Wrong {
                origin: format!("the variable {DISCOVERY}"),
                message: format!("{word:?} is not known; use def, thread or both"),
            });
        }
    };
    overlaid(&table, DISCOVERY, "DEFINITIONS__DISCOVERY", own)
}

#[cfg(test)]
mod tests;
