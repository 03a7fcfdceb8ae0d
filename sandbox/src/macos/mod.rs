//! Confinement on macOS: a profile of Seatbelt, through `sandbox-exec`.
//!
//! **Untested: this has never run on a Mac.** What is known of it is the text of the profiles, which tests look at. The probe,
//! which tries a sandbox out before anybody relies on it, decides whether agents run.
//!
//! Weaker than what there is for Linux: no limits of processes and files; the loopback is the machine's, so that a service
//! mapped to a port there answers other programs too, and the proxy wants a password; the child's `/tmp` is none at all.
//! Certificates are checked with the system's own service under an open network alone: it would fetch from anywhere.

mod layout;
mod profile;
mod quote;
mod system;
#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use layout::Layout;
use profile::{Ways, profile};

use crate::egress::{Gate, ParentProxy, Pass};
use crate::services::{self, Service};
use crate::{Command, Confined, Guard, Network, Policy, Sandbox, SandboxError, Setup, Summary, environment, programs};

/// Where macOS has it. Never looked for elsewhere.
const TOOL: &str = "/usr/bin/sandbox-exec";

/// Bytes of a profile: it is an argument, and the system takes a megabyte of these.
const PROFILE_MAX: usize = 256 * 1024;

/// The sandbox of this machine.
#[cfg(target_os = "macos")]
pub(crate) fn detect(setup: &Setup) -> Arc<dyn Sandbox> {
    if Path::new(TOOL).is_file() {
        return Arc::new(Seatbelt::new(setup));
    }
    Arc::new(crate::absent::Absent(SandboxError::new(
        format!("{TOOL} is not there"),
        "Use a version of macOS that has it, or accept the risk with sandbox.mode = \"none\"",
    )))
}

struct Seatbelt {
    search_path: PathBuf,
    homes: programs::Homes,
    parent: Option<Arc<ParentProxy>>,
}

impl Seatbelt {
    fn new(setup: &Setup) -> Self {
        Self {
            search_path: setup.search_path.clone().into(),
            homes: programs::Homes::find(std::env::var_os("HOME")),
            parent: setup.parent_proxy.clone(),
        }
    }

    /// Starts what the child may reach, and tells it the way.
    fn ways(&self, command: &mut Command, policy: &Policy, guard: &mut Guard) -> Result<Ways, SandboxError> {
        let is_open = policy.network == Network::Open;
        let mut ports = Vec::new();
        for (port, service) in services::of(policy)? {
            ports.push(port);
            let is_there = match &service {
                Service::Address(address) => is_open || *address == SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
                _ => false,
            };
            if !is_there {
                service.serve(services::listen(port)?, guard);
            }
        }
        if is_open {
            return Ok(Ways::All);
        }
        let pass = Pass::new();
        let mut gate = Gate::new(policy.egress.clone(), policy.log.clone());
        gate.any_public = policy.network == Network::Proxied;
        gate.check_sni = policy.check_sni;
        gate.parent.clone_from(&self.parent);
        gate.pass = Some(pass.clone());
        let listener = services::listen(0)?;
        let proxy = listener.local_addr().map_err(|error| {
            SandboxError::new(
                format!("the port of its proxy is unknown: {error}"),
                "Send the message again",
            )
        })?;
        Service::Proxy(Arc::new(gate)).serve(listener, guard);
        environment::use_proxy(&mut command.env, proxy.port(), Some(&pass));
        ports.push(proxy.port());
        Ok(Ways::Ports(ports))
    }
}

impl Sandbox for Seatbelt {
    fn summary(&self) -> Summary {
        Summary {
            mode: "sandbox-exec",
            confined: true,
            detail:
                "agents run in sandbox-exec; each sees the files and hosts that its policy names. Untested: this has \
                     never run on a Mac"
                    .into(),
        }
    }

    fn tool(&self) -> Option<&Path> {
        Some(Path::new(TOOL))
    }

    fn confine(&self, mut command: Command, policy: &Policy) -> Result<Confined, SandboxError> {
        let mut guard = Guard::default();
        let layout = Layout::of(policy, &self.search_path, &self.homes, &command.program)?;
        let ways = self.ways(&mut command, policy, &mut guard)?;
        let command = wrapped(command, &layout, &ways)?;
        Ok(Confined {
            command,
            control: None,
            guard,
        })
    }
}

/// The command with its profile. No shell reads it. The password of the proxy is in the environment alone: others can read
/// arguments.
fn wrapped(command: Command, layout: &Layout, ways: &Ways) -> Result<Command, SandboxError> {
    let Command {
        program,
        args,
        env,
        cwd,
    } = command;
    if !program.is_absolute() {
        return Err(SandboxError::new(
            format!("{} is not an absolute path", program.display()),
            "Give the whole path of the program",
        ));
    }
    let profile = profile(layout, ways)?;
    if profile.len() > PROFILE_MAX {
        return Err(SandboxError::new(
            format!("its profile has {} bytes, more than {PROFILE_MAX}", profile.len()),
            "Give the agent fewer directories",
        ));
    }
    let before = ["-p".into(), profile.into(), program.into()];
    Ok(Command {
        program: TOOL.into(),
        args: before.into_iter().chain(args).collect(),
        env,
        cwd,
    })
}
