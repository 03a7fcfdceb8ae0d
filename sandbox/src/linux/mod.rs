//! Confinement on Linux: bubblewrap, with the shim inside.

mod aliases;
mod control;
mod mend;
mod mounts;
mod plan;
mod settings;
mod system;

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use control::{Control, Ends, Launched, Program};
use mend::{INSTALL, RESTART, mend};
use plan::Plan;
use settings::Settings;

use crate::absent::Absent;
use crate::egress::{Gate, ParentProxy};
use crate::services::{self, Service};
use crate::shim::{self, FILTER_SUPPORTED};
use crate::{Command, Confined, Guard, Network, Policy, Sandbox, SandboxError, Setup, Summary, environment, programs};

/// Port of the proxy inside, unless something else is mapped there.
const PROXY_PORT: u16 = 3128;

pub(crate) fn detect(setup: &Setup) -> Arc<dyn Sandbox> {
    match Bubblewrap::find(setup) {
        Ok(found) => Arc::new(found),
        Err(error) => Arc::new(Absent(error)),
    }
}

/// A file as it was at one moment: device, inode, size, and the time of its last change with its nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version(u64, u64, u64, i64, i64);

impl Version {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self::from(&std::fs::metadata(path)?))
    }
}

impl From<&std::fs::Metadata> for Version {
    fn from(meta: &std::fs::Metadata) -> Self {
        Self(meta.dev(), meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec())
    }
}

struct Bubblewrap {
    /// Absolute path of bubblewrap.
    tool: PathBuf,
    /// Our own executable, without links.
    own: PathBuf,
    own_version: Version,
    search_path: OsString,
    homes: programs::Homes,
    parent: Option<Arc<ParentProxy>>,
    settings: Settings,
}

impl Bubblewrap {
    fn find(setup: &Setup) -> Result<Self, SandboxError> {
        if !FILTER_SUPPORTED {
            return Err(SandboxError::new(
                format!("there is no filter of system calls for {}", std::env::consts::ARCH),
                "Run the daemon on x86-64 or AArch64, or accept the risk with sandbox.mode = \"none\"",
            ));
        }
        let tool = programs::find("bwrap".as_ref(), &setup.search_path)
            .ok_or_else(|| SandboxError::new("bubblewrap (bwrap) is not on the PATH", INSTALL))?;
        let unreadable = |error: io::Error| {
            let own = setup.program.display();
            SandboxError::new(
                format!("{own}, the daemon's own file, cannot be read: {error}"),
                RESTART,
            )
        };
        let own = setup.program.canonicalize().map_err(unreadable)?;
        let own_version = Version::of(&own).map_err(unreadable)?;
        Ok(Self {
            tool,
            own,
            own_version,
            search_path: setup.search_path.clone(),
            homes: programs::Homes::find(std::env::var_os("HOME")),
            parent: setup.parent_proxy.clone(),
            settings: Settings::new(setup.scratch.clone()),
        })
    }

    /// An older shim would not understand a newer daemon, nor the other way round.
    fn check_own(&self) -> Result<(), SandboxError> {
        match Version::of(&self.own) {
            Ok(version) if version == self.own_version => Ok(()),
            _ => Err(SandboxError::new(
                format!("{} was replaced while the daemon runs from it", self.own.display()),
                RESTART,
            )),
        }
    }

    /// Adds the proxy, and returns its port.
    fn add_proxy(&self, policy: &Policy, services: &mut Vec<(u16, Service)>) -> u16 {
        let free = |port: &u16| !services.iter().any(|(taken, _)| taken == port);
        let port = (PROXY_PORT..).find(free).unwrap_or(PROXY_PORT);
        let mut gate = Gate::new(policy.egress.clone(), policy.log.clone());
        gate.any_public = policy.network == Network::Proxied;
        gate.check_sni = policy.check_sni;
        gate.parent.clone_from(&self.parent);
        services.push((port, Service::Proxy(Arc::new(gate))));
        port
    }
}

impl Sandbox for Bubblewrap {
    fn summary(&self) -> Summary {
        Summary {
            mode: "bubblewrap",
            confined: true,
            detail: "agents run in bubblewrap, Landlock and a filter of system calls; each sees the files and hosts that its \
                     policy names"
                .into(),
        }
    }

    fn tool(&self) -> Option<&Path> {
        Some(&self.tool)
    }

    fn confine(&self, mut command: Command, policy: &Policy) -> Result<Confined, SandboxError> {
        self.check_own()?;
        let mut services = services::of(policy)?;
        let mut guard = Guard::default();
        if policy.network == Network::Open {
            serve_outside(std::mem::take(&mut services), &mut guard)?;
        } else {
            let port = self.add_proxy(policy, &mut services);
            environment::use_proxy(&mut command.env, port, None);
        }
        let (ports, services) = services.into_iter().unzip();
        let env = outer_environment(&command.env);
        let plan = Plan::make(self, &command, policy)?;
        guard.hold(plan.settings());
        let order = plan.order(command, policy, ports);
        let control = Control::prepare(plan.args(policy), &order, services).map_err(|error| {
            let mend = mend(&error.to_string());
            SandboxError::new(format!("its start cannot be prepared: {error}"), mend)
        })?;
        let args = ["--args", "0", "--", shim::SHIM, shim::INIT_COMMAND];
        Ok(Confined {
            command: Command {
                program: self.tool.clone(),
                args: args.map(OsString::from).into(),
                env,
                cwd: "/".into(),
            },
            control: Some(control),
            guard,
        })
    }
}

/// Under the machine's own network only handlers are served: what has an address is reached there.
fn serve_outside(services: Vec<(u16, Service)>, guard: &mut Guard) -> Result<(), SandboxError> {
    for (port, service) in services {
        if !matches!(service, Service::Handler(_)) {
            continue;
        }
        service.serve(services::listen(port)?, guard);
    }
    Ok(())
}

/// The marks by which the daemon finds its processes again, and nothing that a loader obeys: bubblewrap runs outside.
fn outer_environment(env: &[(OsString, OsString)]) -> Vec<(OsString, OsString)> {
    let mark = |name: &OsString| name.to_str().is_some_and(|name| MARKS.contains(&name));
    env.iter().filter(|(name, _)| mark(name)).cloned().collect()
}

/// See [`outer_environment`].
const MARKS: [&str; 2] = ["REVEILLE_INSTANCE", "REVEILLE_TURN"];
