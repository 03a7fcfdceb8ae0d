//! What one turn may take of the machine, and what of that holds here.

use std::sync::Arc;

use reveille_sandbox::{Grouped, Groups, Limits, Sandbox};
use serde::Serialize;
use utoipa::ToSchema;

use crate::config::TurnLimits;

/// Who keeps the limits of all processes of a turn together.
#[derive(Debug, Clone)]
pub(crate) enum Keeper {
    /// A control group of each turn.
    Groups(Groups),
    /// Nobody, and why.
    Nobody(String),
}

/// What the operator can do.
const MEND: &str =
    "Run the daemon as a service of systemd with Delegate=yes, or limit its container (--memory, --pids-limit)";

impl Keeper {
    /// Gives each child of a sandbox a control group, where the daemon has one to divide.
    pub(crate) fn around(sandbox: Arc<dyn Sandbox>, instance: &str) -> (Arc<dyn Sandbox>, Self) {
        if !sandbox.summary().confined {
            return (sandbox, Self::Nobody("turns are not confined".to_owned()));
        }
        match Groups::take(instance) {
            Ok(groups) => {
                tracing::info!(place = %groups.place().display(), "each turn has a control group with its limits");
                let grouped = Grouped {
                    sandbox,
                    groups: groups.clone(),
                };
                (Arc::new(grouped), Self::Groups(groups))
            }
            Err(why) => {
                tracing::warn!(why, mend = MEND, "{}", unlimited());
                (sandbox, Self::Nobody(why))
            }
        }
    }
}

/// What has no limit without control groups.
fn unlimited() -> &'static str {
    match rustix::process::geteuid().is_root() {
        // The kernel does not heed that limit for root.
        true => {
            "nothing limits the memory, the processors and, because the daemon runs as root, the processes of a turn"
        }
        false => "nothing limits the memory and the processors of a turn",
    }
}

/// What one turn may take of the machine. Null: nothing limits that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = SandboxLimits)]
pub(crate) struct LimitsView {
    /// Bytes of all its processes together, with what is cached for them.
    #[schema(required)]
    memory: Option<u64>,
    /// Processes and threads at once.
    #[schema(required)]
    processes: Option<u64>,
    /// Share of the processors when they are all busy; what else runs has 100.
    #[schema(required)]
    cpu_weight: Option<u64>,
    /// Open files of each process.
    open_files: u64,
    /// Where the control groups of turns are.
    #[schema(required)]
    group: Option<String>,
    /// What has no limit, why, and the mend.
    #[schema(required)]
    missing: Option<String>,
}

impl LimitsView {
    /// Of limits that somebody keeps.
    pub(crate) fn of(limits: &Limits, keeper: &Keeper) -> Self {
        match keeper {
            Keeper::Groups(groups) => Self {
                memory: limits.memory,
                processes: Some(limits.processes),
                cpu_weight: groups.has_weights().then_some(limits.cpu_weight),
                open_files: limits.open_files,
                group: Some(groups.place().display().to_string()),
                missing: None,
            },
            Keeper::Nobody(why) => Self {
                memory: None,
                processes: (!rustix::process::geteuid().is_root()).then_some(limits.processes),
                cpu_weight: None,
                open_files: limits.open_files,
                group: None,
                missing: Some(format!("{}: {why}. {MEND}", unlimited())),
            },
        }
    }
}

/// The limits that the configuration gives to turns on this machine.
#[must_use]
pub(crate) fn limits(config: TurnLimits) -> Limits {
    // silent-ok: where it cannot be read, nothing else is known of it either.
    let memory = std::fs::read_to_string("/proc/meminfo").ok();
    let total = memory.as_deref().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?; // silent-ok: likewise
        kib.checked_mul(1024)
    });
    config.on(total)
}
