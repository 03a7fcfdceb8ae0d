//! `GET /health`: for everybody, but strangers learn only whether all is well. Those who may read see what is not, and who
//! there is.

use axum::Json;
use axum::extract::State;
use http::request::Parts;
use jiff::Timestamp;
use reveille_sandbox::{ProbeReport, Summary};
use reveille_vault::{Vault, VaultState};
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::health_credential::CredentialHealth;
use super::health_lines::{Lines, lines};
use super::standing::may_read;
use super::wire::{VaultCapabilities, VaultKind};
use crate::breaker;
use crate::bridges::webhooks::Facts;
use crate::sandboxing::{LimitsView, why};

/// Whether all is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = HealthStatus)]
pub(super) enum Status {
    Ok,
    /// Something needs a person; the rest works.
    Degraded,
}

impl Status {
    pub(super) fn is_ok(self) -> bool {
        self == Self::Ok
    }
}

/// What turns are kept from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SandboxSummary)]
pub(super) struct Confinement {
    /// Name of the policy: `none` confines nothing.
    mode: &'static str,
    /// Whether a turn is kept from anything at all.
    confined: bool,
    /// One sentence that says what a turn can do.
    detail: String,
    /// What one turn may take of the machine.
    limits: LimitsView,
    /// Agents that get less than their definitions ask for.
    lowered: Vec<String>,
    /// Tables in `[sandbox.agents]` whose agents are not there, once all vaults have been read.
    idle_tables: Vec<String>,
}

/// What was found when the sandbox was tried out.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SandboxProbe)]
pub(super) struct Tried {
    /// Whether turns are run.
    ok: bool,
    /// Version of bubblewrap.
    #[schema(required)]
    bwrap: Option<String>,
    /// Whether an unprivileged user can make namespaces.
    userns: bool,
    /// Version of the kernel's Landlock interface; 0 when there is none.
    landlock_abi: u32,
    /// Whether the filter of system calls is in force.
    seccomp: bool,
    /// What failed, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl From<ProbeReport> for Tried {
    fn from(report: ProbeReport) -> Self {
        let mend = report.mend.clone().unwrap_or_default();
        Self {
            ok: report.ok,
            problem: (!report.ok).then(|| format!("{}. {mend}", why(&report))),
            bwrap: report.bwrap,
            userns: report.userns,
            landlock_abi: report.landlock_abi,
            seccomp: report.seccomp,
        }
    }
}

/// Programs that the daemon needs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Dependencies {
    ok: bool,
    /// Those that were not found.
    missing: Vec<&'static str>,
    /// The sandbox; absent until it was tried, and where turns are not confined.
    #[serde(skip_serializing_if = "Option::is_none")]
    sandbox: Option<Tried>,
}

/// How the daemon is. Strangers get the status and nothing else.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    status: Status,
    /// Replies, thread notes and callbacks that the vault has not taken yet; they are kept and tried again. Null when they
    /// cannot be counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    undelivered: Option<Option<u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    /// How many there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    agents: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sandbox: Option<Confinement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dependencies: Option<Dependencies>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<CredentialHealth>,
    /// How the vaults stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    vaults: Option<Vec<VaultHealth>>,
    /// What triggers have given up telling. Null when a vault cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_deliveries: Option<Option<u64>>,
    /// Who there is.
    #[serde(flatten)]
    lines: Option<Lines>,
}

/// How a vault stands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VaultHealth {
    pub(super) name: String,
    kind: VaultKind,
    /// New agents and messages go there unless asked otherwise.
    default: bool,
    capabilities: VaultCapabilities,
    pub(super) state: VaultWord,
    /// What is wrong and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// How replies and the like that wait for it fare.
    #[schema(required)]
    pub(super) deliveries: Option<breaker::View>,
}

/// Whether a vault can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = VaultState)]
pub(super) enum VaultWord {
    /// It reads and writes.
    Ready,
    /// It works in part.
    Degraded,
    /// It cannot be used now. It is tried again.
    Unavailable,
}

impl VaultWord {
    pub(super) fn is_ready(self) -> bool {
        self == Self::Ready
    }
}

/// How the daemon is. For everybody, but strangers are told only whether all is well.
#[utoipa::path(
    get, path = "/health", operation_id = "getHealth", tag = "about", security((), ("bearer" = []), ("cookie" = [])),
    responses((status = 200, description = "It serves, and says whether all is well.", body = Health)),
)]
pub(super) async fn health(State(api): State<Api>, parts: Parts) -> Json<Health> {
    let short = look(&api).await;
    match may_read(&api.auth, &parts).await {
        true => Json(whole(&api, short).await),
        false => Json(Health::of(short.status)),
    }
}

/// How the daemon is, as those see it who may read.
pub(super) async fn report(api: &Api) -> Health {
    whole(api, look(api).await).await
}

/// What the status is made of.
pub(super) struct Look {
    pub(super) status: Status,
    undelivered: Option<u64>,
    missing: Vec<&'static str>,
    keeps: bool,
    tried: Option<Tried>,
    credential: CredentialHealth,
    pub(super) vaults: Vec<VaultHealth>,
    /// Bridges that do not work.
    broken: Vec<String>,
}

/// As much of it as makes a difference to somebody who watches.
#[derive(Debug, PartialEq)]
pub(super) struct Mark {
    status: Status,
    is_delivered: bool,
    missing: Vec<&'static str>,
    keeps: bool,
    credential: bool,
    vaults: Vec<(String, VaultWord)>,
    broken: Vec<String>,
}

impl Look {
    /// `ok` or `degraded`.
    pub(super) fn word(&self) -> &'static str {
        match self.status {
            Status::Ok => "ok",
            Status::Degraded => "degraded",
        }
    }

    /// What is not well.
    pub(super) fn facts(&self, api: &Api) -> Facts {
        let mut facts = Facts::new();
        let mut is = |what: &'static str, name: &str, word: &str| {
            facts.insert((what, name.to_owned()), word.to_owned());
        };
        for vault in &self.vaults {
            match vault.state {
                VaultWord::Ready => {}
                VaultWord::Degraded => is("vault", &vault.name, "degraded"),
                VaultWord::Unavailable => is("vault", &vault.name, "unavailable"),
            }
        }
        self.broken.iter().for_each(|name| is("bridge", name, "down"));
        self.missing.iter().for_each(|name| is("program", name, "missing"));
        if self.undelivered != Some(0) {
            is("deliveries", "", "waiting");
        }
        // One that is tried once more is not back yet.
        let away = api.outbox.vault_states();
        let away = away.iter().filter(|one| one.state != "closed");
        away.for_each(|one| is("deliveries", &one.vault, "open"));
        if !self.keeps {
            is("sandbox", "", "failed");
        }
        if !self.credential.is_well() {
            is("credential", "", "missing");
        }
        facts
    }

    /// That much.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            status: self.status,
            is_delivered: self.undelivered == Some(0),
            missing: self.missing.clone(),
            keeps: self.keeps,
            credential: self.credential.is_well(),
            vaults: self.vaults.iter().map(|one| (one.name.clone(), one.state)).collect(),
            broken: self.broken.clone(),
        }
    }
}

/// Looks at everything that the daemon needs.
pub(super) async fn look(api: &Api) -> Look {
    let undelivered = match api.outbox.count_overdue().await {
        Ok(count) => Some(count),
        Err(error) => {
            tracing::error!(%error, "the outbox cannot be read");
            None
        }
    };
    let ready = api.sandboxing.ready();
    let no_sandbox = cfg!(target_os = "linux") && ready.is_confined() && !ready.has_tool();
    let missing = [(no_sandbox, "bwrap"), (!api.claude.is_there(), "claude")];
    let missing: Vec<&str> = missing.into_iter().filter(|one| one.0).map(|one| one.1).collect();
    let tried = ready.report().map(Tried::from);
    let keeps = tried.as_ref().is_none_or(|tried| tried.ok);
    let credential = CredentialHealth::of(api);
    let vaults = api.vaults.all();
    let vaults = vaults.iter().map(|vault| Standing::of(api, &**vault).view(api));
    let vaults: Vec<VaultHealth> = vaults.collect();
    let broken = api.bridges.views().into_iter().filter(|one| !one.is_well());
    // A receiver that is away for a while is its own affair; one that refuses waits for somebody.
    let webhooks = api.bridges.told().views().into_iter();
    let refusing = webhooks.filter(|one| matches!(one.state, reveille_transports::State::Refused { .. }));
    let broken: Vec<String> = broken.chain(refusing).map(|one| one.name).collect();
    let well = missing.is_empty()
        && keeps
        && credential.is_well()
        && undelivered == Some(0)
        && broken.is_empty()
        && vaults.iter().all(|vault| vault.state.is_ready());
    Look {
        status: if well { Status::Ok } else { Status::Degraded },
        undelivered,
        missing,
        keeps,
        tried,
        credential,
        vaults,
        broken,
    }
}

async fn whole(api: &Api, look: Look) -> Health {
    let Summary { mode, confined, detail } = (*api.sandbox).clone();
    Health {
        undelivered: Some(look.undelivered),
        version: Some(env!("CARGO_PKG_VERSION")),
        agents: Some(api.registry.count()),
        sandbox: Some(Confinement {
            mode,
            confined,
            detail,
            limits: api.sandboxing.limits(),
            lowered: lowered(api),
            idle_tables: idle_tables(api),
        }),
        dependencies: Some(Dependencies {
            ok: look.missing.is_empty() && look.keeps,
            missing: look.missing,
            sandbox: look.tried,
        }),
        credential: Some(look.credential),
        vaults: Some(look.vaults),
        // `reveille trigger list` shows where.
        dead_deliveries: Some(dead_deliveries(api).await),
        lines: Some(lines(api).await),
        ..Health::of(look.status)
    }
}

impl Health {
    /// As strangers see it.
    fn of(status: Status) -> Self {
        Self {
            status,
            undelivered: None,
            version: None,
            agents: None,
            sandbox: None,
            dependencies: None,
            credential: None,
            vaults: None,
            dead_deliveries: None,
            lines: None,
        }
    }
}

/// Agents that get less than they ask for.
fn lowered(api: &Api) -> Vec<String> {
    let listed = api.registry.list().into_iter();
    let less = listed.filter(|one| one.live && !one.lowered.is_empty());
    less.map(|one| one.name).collect()
}

/// Tables of the configuration that count for nobody.
fn idle_tables(api: &Api) -> Vec<String> {
    match api.inbox.progress.unread() {
        None => api.workers.context().trust.idle_tables(&api.registry.names()),
        Some(_) => Vec::new(),
    }
}

/// Null when a vault cannot be read.
async fn dead_deliveries(api: &Api) -> Option<u64> {
    let mut dead = 0;
    for vault in api.vaults.all().iter().filter(|vault| vault.capabilities().triggers) {
        let counted = match vault.triggers() {
            Ok(triggers) => triggers.dead().await,
            Err(error) => Err(error),
        };
        match counted {
            Ok(count) => dead += count,
            Err(error) => {
                // How the vault stands is told beside it.
                tracing::debug!(vault = vault.name(), %error, "the deliveries of triggers cannot be counted");
                return None;
            }
        }
    }
    Some(dead)
}

/// What a vault says of itself, and why there is no other token where it does not take the one that there is.
fn with_trouble(api: &Api, vault: &dyn Vault) -> VaultState {
    let trouble = api.roster.trouble(vault.name());
    let more = |reason: String| match &trouble {
        Some(trouble) => format!("{reason}; {trouble}"),
        None => reason,
    };
    match vault.state() {
        VaultState::Ready => VaultState::Ready,
        VaultState::Degraded { reason, since } => VaultState::Degraded {
            reason: more(reason),
            since,
        },
        VaultState::Unavailable { reason, since } => VaultState::Unavailable {
            reason: more(reason),
            since,
        },
    }
}

/// How a vault stands: what itself says, and whether it is followed.
struct Standing<'a> {
    vault: &'a dyn Vault,
    state: VaultState,
}

impl<'a> Standing<'a> {
    fn of(api: &Api, vault: &'a dyn Vault) -> Self {
        let state = match (with_trouble(api, vault), api.inbox.progress.why_standing(vault.name())) {
            (VaultState::Ready, Some(standing)) if standing.unread => VaultState::Unavailable {
                reason: standing.reason,
                since: standing.since,
            },
            (VaultState::Ready, Some(standing)) => VaultState::Degraded {
                reason: format!("new notes in it are not taken now: {}", standing.reason),
                since: standing.since,
            },
            (state, _) => state,
        };
        Self { vault, state }
    }

    fn word(&self) -> VaultWord {
        match self.state {
            VaultState::Ready => VaultWord::Ready,
            VaultState::Degraded { .. } => VaultWord::Degraded,
            VaultState::Unavailable { .. } => VaultWord::Unavailable,
        }
    }

    fn view(&self, api: &Api) -> VaultHealth {
        let trouble = match &self.state {
            VaultState::Ready => None,
            VaultState::Degraded { reason, since } | VaultState::Unavailable { reason, since } => {
                Some((reason.clone(), *since))
            }
        };
        let (reason, since) = trouble.unzip();
        let name = self.vault.name();
        // Replies and the like that wait for it.
        let mut deliveries = api.outbox.vault_states().into_iter();
        VaultHealth {
            name: name.to_owned(),
            kind: self.vault.kind().into(),
            default: name == api.vaults.default().name(),
            capabilities: self.vault.capabilities().into(),
            state: self.word(),
            reason,
            since,
            deliveries: deliveries.find(|one| one.vault == name),
        }
    }
}
