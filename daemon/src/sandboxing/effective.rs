//! What an agent gets of what its definition asks for: never more than the configuration allows, and what it does not get is
//! listed. A definition can be written by whoever writes in its vault, the configuration only by the operator.

use std::path::{Path, PathBuf};

use reveille_sandbox::egress::Rule;
use reveille_sandbox::{Filesystem, Network};
use reveille_vault::agent::{self, Definition, MountMode, Problem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::git::GIT;
use super::places::Disk;
use crate::config::{Ceiling, GitConfig, Limit, Said};

/// Something that a definition asks for and does not get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = LoweredSetting)]
pub(crate) struct Lowered {
    /// The setting.
    pub(crate) key: String,
    /// What was asked for.
    pub(crate) asked: String,
    /// What the agent has instead.
    pub(crate) got: String,
    /// Why, and what to do.
    pub(crate) reason: String,
}

impl Lowered {
    /// Short, as one of the things that a definition waits for.
    #[must_use]
    pub(crate) fn brief(&self) -> String {
        format!("{}:{}", self.key, self.asked)
    }

    /// For people, in half a sentence.
    #[must_use]
    pub(crate) fn words(&self) -> String {
        format!("{} {} is {}: {}", self.key, self.asked, self.got, self.reason)
    }
}

/// Where a setting comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SandboxSource)]
pub(crate) enum Source {
    /// The definition.
    Definition,
    /// `[sandbox]` or `[sandbox.agents.NAME]`.
    Configuration,
    /// Nothing was said.
    Default,
}

impl From<Said> for Source {
    fn from(said: Said) -> Self {
        match said {
            Said::Default => Self::Default,
            Said::General | Said::Agent => Self::Configuration,
        }
    }
}

/// A setting that counts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Setting<T> {
    /// Its value.
    pub(crate) value: T,
    /// Where it comes from.
    pub(crate) source: Source,
}

/// A directory of the host, at its own path, with all links followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// Where.
    pub(crate) path: PathBuf,
    /// Whether it may be written.
    pub(crate) writable: bool,
}

/// What counts for an agent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Effective {
    /// Which files can be read.
    pub(crate) filesystem: Setting<Filesystem>,
    /// Which addresses can be reached.
    pub(crate) network: Setting<Network>,
    /// Where it works, with all links followed; `None`: in a directory of each conversation.
    pub(crate) workspace: Option<PathBuf>,
    /// What it has besides.
    pub(crate) mounts: Vec<Mount>,
    /// Hosts that it may reach when the network is not open.
    pub(crate) egress: Vec<Rule>,
    /// What all its turns can read.
    pub(crate) read: Vec<PathBuf>,
    /// Whether the credential of Claude Code stays outside. No definition says so.
    pub(crate) shield: Setting<bool>,
    /// Whether it may decide what git runs for others.
    pub(crate) git_config: GitConfig,
    /// What it asked for in vain.
    pub(crate) lowered: Vec<Lowered>,
}

/// What is wrong with a definition that its own crate cannot see.
#[must_use]
pub(crate) fn problems(definition: &Definition) -> Vec<Problem> {
    let rules = definition.egress.iter().map(|text| text.parse::<Rule>());
    rules
        .filter_map(Result::err)
        .map(|error| Problem::new("egress", error.to_string()))
        .collect()
}

/// What will not be as the definition says, though nothing is taken from it.
#[must_use]
pub(crate) fn warnings(definition: &Definition) -> Vec<Problem> {
    let mut told = Vec::new();
    for mount in &definition.mounts {
        if Path::new(&mount.host_path) != Path::new(&mount.mount_path) {
            let (host, mount) = (&mount.host_path, &mount.mount_path);
            let message = format!(
                "the mountPath {mount} is not supported: the agent sees {host} at its own path; write that as mountPath"
            );
            told.push(Problem::new("mounts", message));
        }
    }
    told
}

/// Words of the API, the same as in definitions.
#[must_use]
pub(crate) fn filesystem_word(filesystem: Filesystem) -> &'static str {
    match filesystem {
        Filesystem::Workspace => "workspace",
        Filesystem::Full => "full",
    }
}

/// Likewise.
#[must_use]
pub(crate) fn network_word(network: Network) -> &'static str {
    match network {
        Network::Open => "open",
        Network::Proxied => "proxied",
        Network::Restricted => "restricted",
    }
}

/// Gathers what is taken away.
struct Judge<'a, 'disk> {
    definition: &'a Definition,
    disk: &'a Disk<'disk>,
    git_config: &'a Limit<GitConfig>,
    lowered: Vec<Lowered>,
}

/// What counts for an agent. Whatever a definition says, it has an answer.
#[must_use]
pub(crate) fn effective(definition: &Definition, ceiling: &Ceiling, disk: &Disk<'_>) -> Effective {
    let mut judge = Judge {
        definition,
        disk,
        git_config: &ceiling.git_config,
        lowered: Vec::new(),
    };
    let filesystem = judge.filesystem(ceiling);
    let network = judge.network(ceiling);
    let workspace = judge.workspace(&ceiling.workspaces);
    let mounts = judge.mounts(&ceiling.mounts, workspace.as_deref());
    let egress = match network.value {
        // Everything can be reached anyway.
        Network::Open => Vec::new(),
        Network::Proxied | Network::Restricted => judge.egress(&ceiling.egress, ceiling.network.value),
    };
    Effective {
        filesystem,
        network,
        workspace,
        mounts,
        egress,
        read: ceiling.read.value.clone(),
        shield: Setting {
            value: ceiling.shield.value,
            source: ceiling.shield.said.into(),
        },
        git_config: ceiling.git_config.value,
        lowered: judge.lowered,
    }
}

impl Judge<'_, '_> {
    fn given(&self, key: &str) -> bool {
        self.definition.given.contains(&key)
    }

    fn lower(&mut self, key: &str, asked: impl Into<String>, got: &str, why: &str, limit: (&str, Said)) {
        let (name, agent) = (limit.0, &self.definition.name);
        let place = match limit.1 {
            Said::Agent => format!("[sandbox.agents.{agent}] {name}"),
            Said::General => format!("[sandbox] {name}, or the same under [sandbox.agents.{agent}]"),
            Said::Default => format!("[sandbox] {name}, or the same under [sandbox.agents.{agent}]; it is not set"),
        };
        self.lowered.push(Lowered {
            key: key.to_owned(),
            asked: asked.into(),
            got: got.to_owned(),
            reason: format!("{why} (the operator decides: {place})"),
        });
    }

    /// Something that nobody can allow.
    fn refuse(&mut self, key: &str, asked: impl Into<String>, got: &str, reason: String) {
        self.lowered.push(Lowered {
            key: key.to_owned(),
            asked: asked.into(),
            got: got.to_owned(),
            reason,
        });
    }

    fn filesystem(&mut self, ceiling: &Ceiling) -> Setting<Filesystem> {
        let asked = match self.definition.filesystem {
            agent::Filesystem::Workspace => Filesystem::Workspace,
            agent::Filesystem::Full => Filesystem::Full,
        };
        let most = &ceiling.filesystem;
        if asked > most.value {
            let got = filesystem_word(most.value);
            let why = "it may not read all files";
            self.lower(
                "filesystem",
                filesystem_word(asked),
                got,
                why,
                ("filesystem", most.said),
            );
            return Setting {
                value: most.value,
                source: most.said.into(),
            };
        }
        let source = match self.given("filesystem") {
            true => Source::Definition,
            false => Source::Default,
        };
        Setting { value: asked, source }
    }

    fn network(&mut self, ceiling: &Ceiling) -> Setting<Network> {
        let most = &ceiling.network;
        if !self.given("network") {
            let usual = &ceiling.default_network;
            return Setting {
                value: usual.value.min(most.value),
                source: usual.said.into(),
            };
        }
        let asked = match self.definition.network {
            agent::Network::Open => Network::Open,
            agent::Network::Proxied => Network::Proxied,
            agent::Network::Restricted => Network::Restricted,
        };
        if asked > most.value {
            let got = network_word(most.value);
            let why = "it may not reach that much of the network";
            self.lower("network", network_word(asked), got, why, ("network", most.said));
            return Setting {
                value: most.value,
                source: most.said.into(),
            };
        }
        Setting {
            value: asked,
            source: Source::Definition,
        }
    }

    /// A directory that may be given, with all links followed. `None`: told already.
    fn directory(
        &mut self,
        (key, asked, got): (&'static str, String, &str),
        path: &Path,
        (name, roots): (&str, &Limit<Vec<PathBuf>>),
    ) -> Option<PathBuf> {
        let real = match self.disk.real(path) {
            Ok(real) => real,
            Err(why) => {
                self.refuse(key, asked, got, why);
                return None;
            }
        };
        let below = |root: &PathBuf| self.disk.real(root).is_ok_and(|root| real.starts_with(root));
        if !roots.value.iter().any(below) {
            let why = match real == path {
                true => "it is in none of the directories that may be given".to_owned(),
                false => format!(
                    "it leads to {}, which is in none of the directories that may be given",
                    real.display()
                ),
            };
            self.lower(key, asked, got, &why, (name, roots.said));
            return None;
        }
        if let Some(why) = self.disk.why_masked(&real) {
            self.refuse(key, asked, got, why);
            return None;
        }
        Some(real)
    }

    /// Likewise, and it may be written.
    fn writable_directory(
        &mut self,
        (key, asked, got): (&'static str, String, &str),
        path: &Path,
        roots: (&str, &Limit<Vec<PathBuf>>),
    ) -> Option<PathBuf> {
        let real = self.directory((key, asked.clone(), got), path, roots)?;
        if let Some(why) = self.disk.why_not_writable(&real) {
            self.refuse(key, asked, got, why);
            return None;
        }
        let protected = self.git_config.value == GitConfig::Protected;
        if protected && real.components().any(|part| part.as_os_str() == GIT) {
            let why = "it is a repository's own directory, where it says what git runs";
            self.lower(key, asked, got, why, ("git_config", self.git_config.said));
            return None;
        }
        Some(real)
    }

    fn workspace(&mut self, roots: &Limit<Vec<PathBuf>>) -> Option<PathBuf> {
        let asked = self.definition.workspace.clone()?;
        let path = PathBuf::from(&asked);
        self.writable_directory(
            ("workspace", asked, "a private directory"),
            &path,
            ("workspaces", roots),
        )
    }

    /// Each directory once; who may write it in one entry may do so. The workspace is there already.
    fn mounts(&mut self, roots: &Limit<Vec<PathBuf>>, workspace: Option<&Path>) -> Vec<Mount> {
        let mut mounts: Vec<Mount> = Vec::new();
        for one in &self.definition.mounts {
            let asked = format!("{} ({})", one.host_path, one.mode.as_str());
            let about = ("mounts", asked, "not there");
            let writable = one.mode == MountMode::Rw;
            let (host, roots) = (Path::new(&one.host_path), ("mounts", roots));
            let path = match writable {
                true => self.writable_directory(about, host, roots),
                false => self.directory(about, host, roots),
            };
            let Some(path) = path.filter(|path| Some(path.as_path()) != workspace) else {
                continue;
            };
            match mounts.iter_mut().find(|known| known.path == path) {
                Some(known) => known.writable |= writable,
                None => mounts.push(Mount { path, writable }),
            }
        }
        mounts
    }

    /// `most`: of the network. Who allows nothing but what is named has named nothing yet.
    fn egress(&mut self, allowed: &Limit<Option<Vec<Rule>>>, most: Network) -> Vec<Rule> {
        let mut rules: Vec<Rule> = Vec::new();
        for text in &self.definition.egress {
            let rule: Rule = match text.parse() {
                Ok(rule) => rule,
                Err(error) => {
                    self.refuse("egress", text, "out of reach", format!("{error}"));
                    continue;
                }
            };
            let rule = match &allowed.value {
                None if most == Network::Restricted => {
                    let why = "the network is restricted, and no hosts are allowed besides";
                    self.lower("egress", text, "out of reach", why, ("egress", allowed.said));
                    continue;
                }
                None if rule.is_private() => {
                    let why = "addresses of this machine and of its networks may be reached only where that is allowed";
                    self.lower("egress", text, "out of reach", why, ("egress", allowed.said));
                    continue;
                }
                None => rule,
                Some(all) if all.iter().any(|one| one.includes(&rule)) => rule.trusted(),
                Some(_) => {
                    let why = "it is none of the hosts that may be asked for";
                    self.lower("egress", text, "out of reach", why, ("egress", allowed.said));
                    continue;
                }
            };
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
        rules
    }
}

#[cfg(test)]
mod tests;
