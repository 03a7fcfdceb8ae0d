//! How agents are confined: what each of them may reach, by the configuration and by its definition, and what became of it.
//! The confinement itself is the sandbox's.

mod effective;
#[cfg(test)]
mod fixture;
mod git;
mod limiting;
mod masks;
mod places;
mod programs;
mod reach;
mod ready;
mod rehearsal;
pub(crate) mod seed;
pub(crate) mod shield;
mod unconfined;
mod watch;

use std::cell::LazyCell;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reveille_sandbox::egress::{ParentProxy, Rule};
use reveille_sandbox::{Limits, Network, Policy};
use reveille_vault::Note;
use reveille_vault::agent::{BackendKind, Definition, Problem};

use self::effective::problems;
pub(crate) use self::effective::{Effective, Lowered, Mount, Source, filesystem_word, network_word};
pub(crate) use self::limiting::{Keeper, LimitsView};
use self::places::Disk;
use self::programs::Programs;
pub(crate) use self::reach::{Reach, plain_on_loopback};
pub(crate) use self::ready::{Readiness, try_out, why};
pub(crate) use self::rehearsal::{Rehearsal, Surroundings};
pub(crate) use self::watch::{Refused, Watch, WatchedTurn};
use crate::attachments;
use crate::config::{Ceiling, Config, GitConfig, Place, Sandbox};

/// How agents are confined here. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Sandboxing(Arc<Inner>);

struct Inner {
    config: Sandbox,
    /// Whether turns are kept from anything.
    confined: bool,
    /// What no agent sees, as it is named.
    masked: Vec<PathBuf>,
    /// What the daemon starts.
    programs: Programs,
    /// Our own executable: turns are told where it is, and call us.
    own: Option<PathBuf>,
    /// What every turn reaches.
    base: Reach,
    /// The proxy of the daemon's own network.
    parent: Option<Arc<ParentProxy>>,
    ready: Readiness,
    watch: Watch,
    /// What one turn may take of the machine.
    limits: Limits,
    keeper: Keeper,
}

/// What the confinement is made from.
pub(crate) struct Options<'a> {
    /// All settings.
    pub(crate) config: &'a Config,
    /// The sandbox of this machine.
    pub(crate) ready: Readiness,
    /// Who keeps the limits of turns.
    pub(crate) keeper: Keeper,
    /// The state directory.
    pub(crate) state: &'a Path,
    /// The daemon's own environment.
    pub(crate) environment: &'a [(OsString, OsString)],
    /// Where turns find the daemon.
    pub(crate) url: &'a str,
}

/// The address of the model's API, where another one is set.
pub(crate) const API: &str = "ANTHROPIC_BASE_URL";

/// Reads a definition, and looks at what its own crate cannot see.
///
/// # Errors
/// Everything that is wrong with the note.
pub(crate) fn parse(note: &Note) -> Result<Definition, Vec<Problem>> {
    checked(Definition::parse(note))
}

/// Looks at what cannot be seen where a definition was read.
///
/// # Errors
/// Everything that is wrong with the note.
pub(crate) fn checked(read: Result<Definition, Vec<Problem>>) -> Result<Definition, Vec<Problem>> {
    let definition = read?;
    match problems(&definition) {
        none if none.is_empty() => Ok(definition),
        some => Err(some),
    }
}

/// Follows all links; one that leads nowhere is a fault.
fn follow(path: &Path) -> io::Result<PathBuf> {
    let followed = path.canonicalize();
    match &followed {
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.symlink_metadata().is_ok() => {
            Err(io::Error::other("it is a link that leads nowhere"))
        }
        _ => followed,
    }
}

/// The services that every turn may reach.
fn base(config: &Config, url: &str) -> Reach {
    let mut all = vec![url.to_owned()];
    let place = &config.hub.place;
    if place.named.is_some() || config.hub.token.is_some() || config.hub.auth {
        all.push(config.hub.origin.clone());
    }
    all.extend(config.vaults.all().filter_map(|vault| match &vault.place {
        Place::Parachute(peer) => Some(peer.url.clone()),
        Place::Embedded | Place::Folder(_) => None,
    }));
    let mut reach = Reach::default();
    for url in all {
        if let Err(error) = reach.trust(&url) {
            tracing::warn!(%error, "a service of the configuration cannot be reached by confined turns");
        }
    }
    reach
}

/// The proxy that the daemon itself goes through.
fn parent(environment: &[(OsString, OsString)]) -> Option<Arc<ParentProxy>> {
    let variable = |name: &str| {
        let found = environment.iter().find(|(known, _)| known == name);
        found.and_then(|(_, value)| value.to_str()).map(str::to_owned)
    };
    // silent-ok: with one that cannot be read there is no sandbox, and the start says so
    ParentProxy::from_env(variable).ok().flatten().map(Arc::new)
}

impl Sandboxing {
    /// As it is configured.
    #[must_use]
    pub(crate) fn new(options: &Options<'_>) -> Self {
        Self(Arc::new(Inner {
            config: options.config.sandbox.clone(),
            confined: options.ready.is_confined(),
            ready: options.ready.clone(),
            masked: masks::named(options.config, options.state, options.environment, masks::known_homes()),
            own: std::env::current_exe().ok(), // silent-ok: then turns are not told where the program is
            programs: Programs::new(
                &options.config.claude.program,
                options.environment,
                options.ready.program(),
                options.ready.tool(),
            ),
            base: base(options.config, options.url),
            parent: parent(options.environment),
            watch: Watch::default(),
            limits: limiting::limits(options.config.sandbox.limits),
            keeper: options.keeper.clone(),
        }))
    }

    /// Whether turns are kept from anything.
    #[must_use]
    pub(crate) fn is_confined(&self) -> bool {
        self.0.confined
    }

    /// Whether the sandbox works.
    #[must_use]
    pub(crate) fn ready(&self) -> &Readiness {
        &self.0.ready
    }

    /// What one turn may take of the machine.
    #[must_use]
    pub(crate) fn limits(&self) -> LimitsView {
        LimitsView::of(&self.0.limits, &self.0.keeper)
    }

    /// What turns try to reach.
    #[must_use]
    pub(crate) fn watch(&self) -> &Watch {
        &self.0.watch
    }

    /// What counts for an agent now. The links of its paths are followed each time: they may lead elsewhere than before.
    #[must_use]
    pub(crate) fn effective(&self, definition: &Definition) -> Effective {
        self.effective_of(definition, true)
    }

    /// The same. `trusted`: the table of its name in the configuration is meant for it.
    #[must_use]
    pub(crate) fn effective_of(&self, definition: &Definition, trusted: bool) -> Effective {
        let ceiling = self.ceiling(&definition.name, trusted);
        let (masked, sources) = (
            LazyCell::new(|| masks::real(&self.0.masked)),
            LazyCell::new(|| self.0.programs.sources()),
        );
        let disk = Disk {
            follow: &follow,
            masked: &|| &masked,
            sources: &|| &sources,
        };
        effective::effective(definition, &ceiling, &disk)
    }

    fn ceiling(&self, agent: &str, trusted: bool) -> Ceiling {
        match trusted {
            true => self.0.config.ceiling(agent),
            false => self.0.config.ceiling_without_trust(agent),
        }
    }

    /// What a definition gets less than it asks for. Who is not confined at all gets everything, and of an attached agent the
    /// daemon runs nothing.
    #[must_use]
    pub(crate) fn lowered(&self, definition: &Definition) -> Vec<Lowered> {
        match self.0.confined && definition.backend == BackendKind::Programmatic {
            true => self.effective(definition).lowered,
            false => Vec::new(),
        }
    }

    /// What will not be as a definition says, though nothing is taken from it.
    #[must_use]
    pub(crate) fn warnings(&self, definition: &Definition) -> Vec<Problem> {
        match self.0.confined {
            true => effective::warnings(definition),
            false => unconfined::not_kept(definition),
        }
    }

    /// Where a turn works instead of its conversation's own directory.
    #[must_use]
    pub(crate) fn workspace(&self, definition: &Definition, effective: &Effective) -> Option<PathBuf> {
        match self.0.confined {
            true => effective.workspace.clone(),
            false => definition.workspace.as_ref().map(Into::into),
        }
    }

    /// What a turn may reach besides the directories of its conversation that the backend adds.
    #[must_use]
    pub(crate) fn policy(&self, effective: &Effective, conversation: &Path) -> Policy {
        let mut policy = self.standing(effective);
        policy.readable.splice(0..0, attachments::readable(conversation));
        policy
    }

    /// The same, whatever the conversation is.
    #[must_use]
    pub(crate) fn standing(&self, effective: &Effective) -> Policy {
        let network = effective.network.value;
        let mut policy = Policy {
            filesystem: effective.filesystem.value,
            network,
            // Allowed by where they lead.
            straight: effective.workspace.iter().cloned().collect(),
            // Where nobody is confined nothing is hidden, and whither the names lead is not asked of the disk for each turn.
            masked: match self.0.confined {
                true => masks::real(&self.0.masked),
                false => self.0.masked.clone(),
            },
            limits: self.0.limits,
            check_sni: self.0.config.check_sni,
            ..Policy::default()
        };
        policy.readable.extend(self.0.own.iter().cloned());
        policy.readable.extend(masks::program(&self.0.masked));
        policy.readable.extend(effective.read.iter().cloned());
        if effective.git_config == GitConfig::Protected {
            let mounts = effective.mounts.iter().filter(|mount| mount.writable);
            let places = effective.workspace.iter().chain(mounts.map(|mount| &mount.path));
            places.for_each(|place| git::protect(&mut policy, place));
        }
        for mount in &effective.mounts {
            policy.straight.push(mount.path.clone());
            match mount.writable {
                true => policy.writable.push(mount.path.clone()),
                false => policy.readable.push(mount.path.clone()),
            }
        }
        if network != Network::Open {
            policy.egress = Rule::base();
        }
        self.0.base.open(&mut policy);
        policy.egress.extend(effective.egress.iter().cloned());
        policy
    }

    /// Lets a turn reach where its variables send the CLI.
    pub(crate) fn follow_variables<'a>(&self, policy: &mut Policy, api: impl IntoIterator<Item = (&'a str, &'a str)>) {
        let mut reach = Reach::default();
        for (_, url) in api.into_iter().filter(|(name, url)| *name == API && !url.is_empty()) {
            if let Err(error) = reach.trust(url) {
                tracing::warn!(%error, "{API} names no host");
            }
        }
        reach.open(policy);
    }
}

#[cfg(test)]
mod tests;
