//! `reveille sandbox …`

use std::ffi::{OsStr, OsString};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::str::FromStr;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use reveille_backends::{base_env, find_program, run_attached, run_captured};
use reveille_sandbox::egress::{Rule, RuleError};
use reveille_sandbox::{Command, Filesystem, Loopback, Network, Policy, ProbeReport, SandboxError, Target, detect};

use super::output::{note, out, table};
use super::sandbox_agent::Stage;
use super::{CliError, Global};
use crate::machine;

/// The sandbox of agents.
#[derive(Debug, Subcommand)]
pub(super) enum Sandbox {
    /// Run a command as the turn of an agent would be confined
    #[command(
        after_help = "Example: reveille sandbox run --network restricted --egress github.com -- git ls-remote https://github.com/git/git\nExample: reveille sandbox run --write . -- bash\nExample: reveille sandbox run --agent eng -- bash\nThe command runs in the current directory when it can see that, else in /; with --agent it runs where the agent works. Without --agent nothing is hidden but what --mask names: with --filesystem full it reads the files of the daemon too. What it was kept from reaching is told at the end."
    )]
    Run(Run),
    /// Try out whether the sandbox of this machine keeps what it promises
    #[command(after_help = "Example: reveille sandbox probe --json")]
    Probe {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct Run {
    /// The agent whose turns are the model, as the daemon of this machine knows it; the command has directories of its own and
    /// none of the agent's secrets
    #[arg(long, value_name = "NAME", conflicts_with_all = ["filesystem", "network", "egress", "write", "read", "mask", "loopback"])]
    agent: Option<String>,
    /// Which files can be read
    #[arg(long, value_enum, default_value = "workspace")]
    filesystem: Files,
    /// Which addresses can be reached
    #[arg(long, value_enum, default_value = "open")]
    network: Reach,
    /// A host that may be reached when the network is not open, such as example.com or *.example.com:8443
    #[arg(long, value_name = "HOST[:PORT]")]
    egress: Vec<String>,
    /// A directory or file that may be read and written
    #[arg(long, value_name = "PATH")]
    write: Vec<PathBuf>,
    /// A directory or file that may be read
    #[arg(long, value_name = "PATH")]
    read: Vec<PathBuf>,
    /// A directory or file that must not be seen
    #[arg(long, value_name = "PATH")]
    mask: Vec<PathBuf>,
    /// A port of 127.0.0.1 inside, and the address outside that answers there
    #[arg(long, value_name = "PORT[=ADDRESS]")]
    loopback: Vec<Mapped>,
    /// A variable of the command's environment
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<Variable>,
    /// The command
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Files {
    /// Programs of the system, and what is named
    Workspace,
    /// Everything that you can read
    Full,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Reach {
    /// Everything that you can reach
    Open,
    /// Every public address
    Proxied,
    /// What is named
    Restricted,
}

#[derive(Debug, Clone, Copy)]
struct Mapped {
    port: u16,
    address: SocketAddr,
}

impl FromStr for Mapped {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (port, address) = text.split_once('=').unwrap_or((text, ""));
        let port = port.parse().map_err(|_| format!("{port:?} is no port"))?;
        let address = match address {
            "" => SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            given => given
                .parse()
                .or_else(|_| given.parse().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))))
                .map_err(|_| format!("{given:?} is neither ADDRESS:PORT nor a port"))?,
        };
        Ok(Self { port, address })
    }
}

#[derive(Debug, Clone)]
struct Variable(String, String);

impl FromStr for Variable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self(name.to_owned(), value.to_owned())),
            _ => Err("write NAME=VALUE".to_owned()),
        }
    }
}

impl Sandbox {
    pub(super) async fn run(self, global: &Global) -> Result<(), CliError> {
        match self {
            Self::Run(run) => run.run(global).await,
            Self::Probe { json } => probe(json).await,
        }
    }
}

impl From<SandboxError> for CliError {
    fn from(error: SandboxError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl Run {
    async fn run(self, global: &Global) -> Result<(), CliError> {
        if let Some(agent) = &self.agent {
            let stage = Stage::set(global, agent).await?;
            let command = stage.command(&self.command, self.variables());
            return Self::confined(command, &stage.policy()?).await;
        }
        let cwd = std::env::current_dir().context("the current directory")?;
        let policy = self.policy(&cwd)?;
        Self::confined(self.command(&cwd, &policy)?, &policy).await
    }

    fn variables(&self) -> impl Iterator<Item = (OsString, OsString)> {
        self.env.iter().map(|Variable(name, value)| (name.into(), value.into()))
    }

    async fn confined(command: Command, policy: &Policy) -> Result<(), CliError> {
        let log = policy.log.clone();
        let confined = detect(&machine::setup(std::env::temp_dir())?).confine(command, policy)?;
        let status = run_attached(confined).await?;
        for one in log.connections() {
            let decision = serde_json::to_value(one.decision).unwrap_or_default();
            let decision = decision.as_str().unwrap_or_default();
            note(&format!(
                "reveille: {decision}: {}:{} ({} times)",
                one.host, one.port, one.count
            ));
        }
        match exit_code(status) {
            0 => Ok(()),
            code => Err(CliError::Ended(code)),
        }
    }

    fn policy(&self, cwd: &Path) -> Result<Policy, CliError> {
        let absolute = |paths: &[PathBuf]| paths.iter().map(|path| cwd.join(path)).collect();
        let rule = |text: &String| text.parse().map(Rule::known);
        let rules: Result<_, RuleError> = self.egress.iter().map(rule).collect();
        let egress = rules.map_err(|error| CliError::Usage(error.to_string()))?;
        Ok(Policy {
            filesystem: match self.filesystem {
                Files::Workspace => Filesystem::Workspace,
                Files::Full => Filesystem::Full,
            },
            network: match self.network {
                Reach::Open => Network::Open,
                Reach::Proxied => Network::Proxied,
                Reach::Restricted => Network::Restricted,
            },
            writable: absolute(&self.write),
            readable: absolute(&self.read),
            masked: absolute(&self.mask),
            egress,
            loopback: self
                .loopback
                .iter()
                .map(|mapped| Loopback {
                    port: mapped.port,
                    target: Target::Address(mapped.address),
                })
                .collect(),
            ..Policy::default()
        })
    }

    fn command(&self, cwd: &Path, policy: &Policy) -> Result<Command, CliError> {
        let mut env = base_env(std::env::vars_os());
        env.extend(std::env::var_os("TERM").map(|term| ("TERM".into(), term)));
        for (name, value) in self.variables() {
            env.retain(|(known, _)| *known != name);
            env.push((name, value));
        }
        let [program, args @ ..] = &self.command[..] else {
            return Err(CliError::Usage("no command".into()));
        };
        let path = env.iter().find(|(name, _)| name == "PATH");
        let path = path.map_or(OsStr::new(""), |(_, path)| path);
        let program = find_program(program, path)
            .ok_or_else(|| CliError::Usage(format!("{} is no program that can be found", program.display())))?;
        let all = policy.filesystem == Filesystem::Full && !OTHERS_INSIDE.iter().any(|dir| cwd.starts_with(dir));
        let sees_cwd = all
            || [&policy.writable, &policy.readable]
                .into_iter()
                .flatten()
                .any(|path| inside(cwd, path));
        Ok(Command {
            program,
            args: args.to_vec(),
            env,
            cwd: if sees_cwd { cwd.to_owned() } else { "/".into() },
        })
    }
}

/// Where the sandbox has directories of its own.
const OTHERS_INSIDE: [&str; 4] = ["/tmp", "/run", "/dev", "/proc"];

/// Whether a directory is below a path, which may hold links.
fn inside(dir: &Path, path: &Path) -> bool {
    let path = path.canonicalize();
    path.is_ok_and(|path| dir.starts_with(path))
}

/// As a shell gives it.
fn exit_code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;
    let code = status.code().or_else(|| status.signal().map(|signal| signal + 128));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// For one run of the probe.
const PROBE: std::time::Duration = std::time::Duration::from_secs(20);

async fn probe(json: bool) -> Result<(), CliError> {
    let setup = machine::setup(std::env::temp_dir())?;
    let sandbox = detect(&setup);
    let scratch = tempfile::tempdir().context("no directory for the probe")?;
    let run = |confined| run_captured(confined, PROBE);
    let report = reveille_sandbox::probe(&*sandbox, &setup.program, scratch.path(), run).await;
    if json {
        out!("{}", serde_json::to_string_pretty(&report).unwrap_or_default());
    } else {
        show(&report);
    }
    if report.ok {
        Ok(())
    } else {
        Err(CliError::Failed(format!(
            "the sandbox does not keep what it promises. {}",
            report.mend.unwrap_or_default()
        )))
    }
}

fn show(report: &ProbeReport) {
    let yes = |yes| if yes { "yes" } else { "no" };
    out!("bubblewrap: {}", report.bwrap.as_deref().unwrap_or("not found"));
    out!("user namespaces: {}", yes(report.userns));
    out!("Landlock: {}", report.landlock_abi);
    out!("seccomp: {}", yes(report.seccomp));
    let row = |check: &reveille_sandbox::Check| {
        let ok = if check.ok { "ok" } else { "FAILED" };
        vec![check.name.clone(), ok.to_owned(), check.detail.clone()]
    };
    let rows: Vec<_> = report.checks.iter().map(row).collect();
    table(&["CHECK", "RESULT", "DETAIL"], &rows);
    for warning in &report.warnings {
        out!("warning: {warning}");
    }
}
