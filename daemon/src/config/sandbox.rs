//! `[sandbox]`: how agents are confined, and the most that their definitions may ask for. What the operator writes here is
//! beyond the reach of whoever writes notes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use reveille_queue::ChannelName;
use reveille_sandbox::egress::Rule;
use reveille_sandbox::{Filesystem, Network};
use serde::{Deserialize, Deserializer, de};

use super::ConfigError;
use super::turn_limits::TurnLimits;

/// How children are confined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SandboxMode {
    /// By the means of this machine. Where there are none, no turn is run.
    #[default]
    Auto,
    /// Not at all.
    None,
}

/// What decides in a repository which programs git runs: its configuration and its hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum GitConfig {
    /// Agents read it.
    #[default]
    Protected,
    /// Agents write it where they may write.
    Writable,
}

/// A directory.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Root(PathBuf);

impl<'de> Deserialize<'de> for Root {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if Path::new(&text).is_absolute() {
            return Ok(Self(text.into()));
        }
        Err(de::Error::custom(format!(
            "{text:?} is no absolute path; write it from the root, such as /srv/data (`~` stands for nothing here)"
        )))
    }
}

/// Hosts.
#[derive(Debug, Clone, PartialEq)]
struct Pattern(Rule);

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let rule = String::deserialize(deserializer)?.parse();
        rule.map(Self).map_err(de::Error::custom)
    }
}

/// The keys that count for all agents, and for one alone under `[sandbox.agents.NAME]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Agent {
    filesystem: Option<Filesystem>,
    network: Option<Network>,
    default_network: Option<Network>,
    mounts: Option<Vec<Root>>,
    workspaces: Option<Vec<Root>>,
    egress: Option<Vec<Pattern>>,
    read: Option<Vec<Root>>,
    shield: Option<bool>,
    git_config: Option<GitConfig>,
}

/// `[sandbox]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Sandbox {
    /// How children are confined.
    pub(crate) mode: SandboxMode,
    /// Whether what is sent to port 443 of a host that is named must begin TLS for that name.
    pub(crate) check_sni: bool,
    filesystem: Option<Filesystem>,
    network: Option<Network>,
    default_network: Option<Network>,
    mounts: Option<Vec<Root>>,
    workspaces: Option<Vec<Root>>,
    egress: Option<Vec<Pattern>>,
    read: Option<Vec<Root>>,
    shield: Option<bool>,
    git_config: Option<GitConfig>,
    /// What one turn may take of the machine.
    pub(crate) limits: TurnLimits,
    agents: BTreeMap<String, Agent>,
}

/// Where a limit is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// Nowhere.
    Default,
    /// `[sandbox]`
    General,
    /// `[sandbox.agents.NAME]`
    Agent,
}

/// A limit, and where it is written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Limit<T> {
    /// The limit.
    pub(crate) value: T,
    /// Where it is written.
    pub(crate) said: Said,
}

/// The most that one agent can get.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ceiling {
    /// What of the disk.
    pub(crate) filesystem: Limit<Filesystem>,
    /// What of the network.
    pub(crate) network: Limit<Network>,
    /// What of it where its definition says nothing.
    pub(crate) default_network: Limit<Network>,
    /// Directories below which it may have mounts.
    pub(crate) mounts: Limit<Vec<PathBuf>>,
    /// Directories below which it may work.
    pub(crate) workspaces: Limit<Vec<PathBuf>>,
    /// Hosts that it may ask for; `None`: all but those of this machine and of its networks.
    pub(crate) egress: Limit<Option<Vec<Rule>>>,
    /// What its turns can read besides.
    pub(crate) read: Limit<Vec<PathBuf>>,
    /// Whether the credential of Claude Code stays outside, and the daemon adds it to the requests.
    pub(crate) shield: Limit<bool>,
    /// Whether it may decide what git runs for others.
    pub(crate) git_config: Limit<GitConfig>,
}

/// The value that counts.
fn limit<T>(own: Option<T>, general: Option<T>, default: T) -> Limit<T> {
    let (value, said) = match (own, general) {
        (Some(value), _) => (value, Said::Agent),
        (None, Some(value)) => (value, Said::General),
        (None, None) => (default, Said::Default),
    };
    Limit { value, said }
}

fn paths(roots: Option<&Vec<Root>>) -> Option<Vec<PathBuf>> {
    roots.map(|roots| roots.iter().map(|root| root.0.clone()).collect())
}

fn rules(patterns: Option<&Vec<Pattern>>) -> Option<Option<Vec<Rule>>> {
    // The operator answers for where the names lead.
    patterns.map(|all| Some(all.iter().map(|one| one.0.clone().trusted()).collect()))
}

/// The smaller of two.
fn least<T: PartialOrd + Clone>(one: &Limit<T>, other: &Limit<T>) -> Limit<T> {
    if other.value < one.value {
        other.clone()
    } else {
        one.clone()
    }
}

/// Directories that are within both.
fn within(one: &Limit<Vec<PathBuf>>, other: &Limit<Vec<PathBuf>>) -> Limit<Vec<PathBuf>> {
    let below = |path: &&PathBuf, roots: &[PathBuf]| roots.iter().any(|root| path.starts_with(root));
    let ours = one.value.iter().filter(|path| below(path, &other.value));
    let theirs = other.value.iter().filter(|path| below(path, &one.value));
    let mut value: Vec<PathBuf> = ours.chain(theirs).cloned().collect();
    value.sort();
    value.dedup();
    Limit { value, said: one.said }
}

impl Ceiling {
    /// What both allow.
    fn and(&self, other: &Self) -> Self {
        let (own, of_other) = (self.hosts(), other.hosts());
        let egress = match (&own.value, &of_other.value) {
            (None, _) => of_other,
            (Some(_), None) => own,
            (Some(ours), Some(theirs)) => Limit {
                value: Some(ours.iter().filter(|rule| theirs.contains(rule)).cloned().collect()),
                said: own.said,
            },
        };
        Self {
            filesystem: least(&self.filesystem, &other.filesystem),
            network: least(&self.network, &other.network),
            default_network: least(&self.default_network, &other.default_network),
            mounts: within(&self.mounts, &other.mounts),
            workspaces: within(&self.workspaces, &other.workspaces),
            egress,
            read: within(&self.read, &other.read),
            shield: if self.shield.value {
                self.shield.clone()
            } else {
                other.shield.clone()
            },
            git_config: least(&self.git_config, &other.git_config),
        }
    }

    /// What may be asked for, also where nothing is said about it: then none in a network that is restricted at most.
    fn hosts(&self) -> Limit<Option<Vec<Rule>>> {
        match (&self.egress.value, self.network.value) {
            (None, Network::Restricted) => Limit {
                value: Some(Vec::new()),
                said: self.network.said,
            },
            _ => self.egress.clone(),
        }
    }

    /// The keys in which this one allows something that the other does not.
    fn more_than(&self, other: &Self) -> Vec<&'static str> {
        let lost = |ours: &[PathBuf], theirs: &[PathBuf]| {
            let kept = |path: &PathBuf| theirs.iter().any(|root| path.starts_with(root));
            !ours.iter().all(kept)
        };
        let egress = match (&self.hosts().value, &other.hosts().value) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(ours), Some(theirs)) => !ours.iter().all(|rule| theirs.contains(rule)),
        };
        let keys = [
            ("filesystem", self.filesystem.value > other.filesystem.value),
            ("network", self.network.value > other.network.value),
            (
                "default_network",
                self.default_network.value > other.default_network.value,
            ),
            ("mounts", lost(&self.mounts.value, &other.mounts.value)),
            ("workspaces", lost(&self.workspaces.value, &other.workspaces.value)),
            ("egress", egress),
            ("read", lost(&self.read.value, &other.read.value)),
            ("shield", other.shield.value && !self.shield.value),
            ("git_config", self.git_config.value > other.git_config.value),
        ];
        keys.into_iter().filter(|(_, less)| *less).map(|(key, _)| key).collect()
    }
}

impl Sandbox {
    /// The most that an agent can get.
    #[must_use]
    pub(crate) fn ceiling(&self, agent: &str) -> Ceiling {
        match self.agents.get(agent) {
            Some(own) => self.ceiling_with(own),
            None => self.ceiling_without_trust(agent),
        }
    }

    /// The most that an agent can get for whom the table of its name is not meant: nothing that the table adds, and nothing
    /// that it takes away. It counts in whatever case the name is written.
    #[must_use]
    pub(crate) fn ceiling_without_trust(&self, agent: &str) -> Ceiling {
        let general = self.ceiling_with(&Agent::default());
        let own = self.table_of(agent).and_then(|table| self.agents.get(table));
        own.map_or(general.clone(), |own| general.and(&self.ceiling_with(own)))
    }

    /// The table of an agent, in whatever case the name is written.
    #[must_use]
    pub(crate) fn table_of(&self, agent: &str) -> Option<&str> {
        let exact = self.agents.get_key_value(agent).map(|(name, _)| name);
        let alike = || self.agents.keys().find(|name| name.eq_ignore_ascii_case(agent));
        exact.or_else(alike).map(String::as_str)
    }

    /// Tables for agents that are not among these.
    #[must_use]
    pub(crate) fn idle_tables(&self, agents: &[String]) -> Vec<String> {
        let idle = |table: &&String| !agents.iter().any(|agent| agent.eq_ignore_ascii_case(table));
        self.agents.keys().filter(idle).cloned().collect()
    }

    /// Agents with a table that allows less than the one for all, and the keys in which it does. Whoever may write the note of
    /// such an agent gives it another name, and then the table does not count.
    #[must_use]
    pub(crate) fn tighter_tables(&self) -> Vec<(String, Vec<&'static str>)> {
        let general = self.ceiling_with(&Agent::default());
        let keys = |own: &Agent| general.more_than(&self.ceiling_with(own));
        let all = self.agents.iter().map(|(name, own)| (name.clone(), keys(own)));
        all.filter(|(_, keys)| !keys.is_empty()).collect()
    }

    fn ceiling_with(&self, own: &Agent) -> Ceiling {
        let network = limit(own.network, self.network, Network::Open);
        let mut default_network = limit(own.default_network, self.default_network, network.value);
        if default_network.value >= network.value {
            default_network = network.clone();
        }
        Ceiling {
            filesystem: limit(own.filesystem, self.filesystem, Filesystem::Workspace),
            network,
            default_network,
            mounts: limit(paths(own.mounts.as_ref()), paths(self.mounts.as_ref()), Vec::new()),
            workspaces: limit(
                paths(own.workspaces.as_ref()),
                paths(self.workspaces.as_ref()),
                Vec::new(),
            ),
            egress: limit(rules(own.egress.as_ref()), rules(self.egress.as_ref()), None),
            read: limit(paths(own.read.as_ref()), paths(self.read.as_ref()), Vec::new()),
            git_config: limit(own.git_config, self.git_config, GitConfig::default()),
            shield: limit(own.shield, self.shield, false),
        }
    }

    /// Those whose credential stays outside: `None` for all agents, and each with a table of its own that says so.
    #[must_use]
    pub(crate) fn shielded(&self) -> Vec<Option<&str>> {
        let all = (self.shield == Some(true)).then_some(None);
        let own = self.agents.iter().filter(|(_, agent)| agent.shield == Some(true));
        all.into_iter()
            .chain(own.map(|(name, _)| Some(name.as_str())))
            .collect()
    }

    /// Whether any agent may have the open network.
    #[must_use]
    pub(crate) fn lets_someone_reach_everything(&self) -> bool {
        let own = self.agents.values().filter_map(|agent| agent.network);
        own.chain([self.network.unwrap_or(Network::Open)])
            .any(|network| network == Network::Open)
    }

    /// What cannot be seen from one key alone.
    ///
    /// # Errors
    /// Names the key and the mend.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let wrong = |origin: String, message: String| Err(ConfigError::Wrong { origin, message });
        let word = |network: Network| match network {
            Network::Open => "open",
            Network::Proxied => "proxied",
            Network::Restricted => "restricted",
        };
        let tables = [("[sandbox]".to_owned(), (self.network, self.default_network))];
        let own = self.agents.iter().map(|(name, agent)| {
            let network = agent.network.or(self.network);
            (format!("[sandbox.agents.{name}]"), (network, agent.default_network))
        });
        for (table, (most, usual)) in tables.into_iter().chain(own) {
            if let (Some(most), Some(usual)) = (most, usual)
                && usual > most
            {
                let message = format!(
                    "default_network is {:?}, and `network` allows no more than {:?}; raise that one or lower this one",
                    word(usual),
                    word(most)
                );
                return wrong(table, message);
            }
        }
        if let (SandboxMode::None, Some(whose)) = (self.mode, self.shielded().first()) {
            let table = whose.map_or("[sandbox]".to_owned(), |name| format!("[sandbox.agents.{name}]"));
            let message = "shield is true, and with mode \"none\" an agent reads the credential where the daemon has it; set the \
                           mode to \"auto\", or shield to false";
            return wrong(table, message.into());
        }
        self.limits.check()?;
        let twin = |name: &&String| {
            let alike = |other: &&String| other != name && other.eq_ignore_ascii_case(name);
            self.agents.keys().find(alike).is_some()
        };
        if let Some(name) = self.agents.keys().find(twin) {
            return wrong(
                format!("[sandbox.agents.{name}]"),
                "another table has that name in another case; write one table for it".into(),
            );
        }
        match self.agents.keys().find(|name| name.parse::<ChannelName>().is_err()) {
            Some(name) => wrong(
                format!("[sandbox.agents.{name}]"),
                "that is no name of an agent; write the `name` of its definition".into(),
            ),
            None => Ok(()),
        }
    }
}
