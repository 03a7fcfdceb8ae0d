//! The command line. Every command but `serve`, `demo`, `doctor` and `service` is a client of the daemon's HTTP interface;
//! `secret` and `vault backup` also work without one.

mod agent;
mod agent_control;
mod agent_file;
mod agent_sandbox;
mod agent_show;
mod attach;
mod attached;
mod bridge;
mod client;
mod connections;
mod demo;
mod doctor;
mod editor;
mod export;
mod import;
mod job;
mod job_view;
mod mcp;
mod note;
mod output;
mod pin;
mod queue;
mod sandbox;
mod sandbox_agent;
mod secret;
mod secrets;
mod send;
mod serve;
mod service;
mod show;
mod thread;
mod token;
mod trigger;
mod turn;
mod undelivered;
mod vault;
mod vault_copies;
mod watch;
mod webhook;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use client::Client;
use output::out;

use crate::config::{Config, ConfigError};
use crate::state_dir;

/// Why a command ended without success. The exit codes are documented in `reveille --help`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The turn failed, or the command could not do its work.
    #[error("{0}")]
    Failed(String),
    /// The daemon cannot be reached.
    #[error("{0}")]
    Unreachable(String),
    /// The daemon refused.
    #[error("{message}")]
    Refused {
        /// What it said, with the next step.
        message: String,
    },
    /// The daemon refused a text for what is wrong in it.
    #[error("{message}")]
    Invalid {
        /// What it said, with the next step.
        message: String,
        /// Each thing that is wrong.
        problems: Vec<String>,
    },
    /// The command was used wrongly.
    #[error("{0}")]
    Usage(String),
    /// A command that was run for somebody ended with this code, and has said why.
    #[error("it ended with {0}")]
    Ended(u8),
}

impl CliError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Ended(code) => *code,
            Self::Unreachable(_) => 3,
            Self::Refused { .. } | Self::Invalid { .. } => 4,
        }
    }

    /// What is wrong besides what its text says.
    fn left_out(&self) -> impl Iterator<Item = &str> {
        let (message, problems) = match self {
            Self::Invalid { message, problems } => (message.as_str(), problems.as_slice()),
            _ => ("", [].as_slice()),
        };
        let all = problems.iter().map(String::as_str);
        all.filter(|problem| !message.contains(problem))
    }
}

impl From<anyhow::Error> for CliError {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(format!("{error:#}"))
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed (or the turn failed), 2 wrong usage, 3 daemon not reachable, 4 refused by the daemon.";

/// Write a note; an agent wakes, does the work with Claude Code, and answers with a note.
#[derive(Debug, Parser)]
#[command(name = "reveille", version, after_help = EXIT_CODES, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, clap::Args)]
struct Global {
    /// Directory for everything that outlives the daemon [default: $REVEILLE_STATE_DIR, else ~/.local/state/reveille]
    #[arg(long, global = true, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Configuration file [default: $REVEILLE_CONFIG, else ~/.config/reveille/reveille.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address of the daemon [default: $REVEILLE_URL, else the one that runs in the state directory]
    #[arg(long, global = true, value_name = "URL")]
    url: Option<String>,
}

impl Global {
    fn state_dir(&self) -> PathBuf {
        state_dir::locate(self.state_dir.as_deref(), |name| std::env::var(name).ok())
    }

    fn config(&self) -> Result<Config, ConfigError> {
        let set = |name: &str| {
            std::env::var(name)
                .ok()
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let asked = self.config.clone().or_else(|| set("REVEILLE_CONFIG"));
        let usual = || {
            let base = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")))?;
            Some(base.join("reveille").join("reveille.toml"))
        };
        let required = asked.is_some();
        Config::load(asked.or_else(usual).as_deref(), required, utf8_environment())
    }

    fn client(&self) -> Result<Client, CliError> {
        Client::find(self.url.as_deref(), &self.state_dir())
    }
}

/// The environment, without variables that are no text: none of ours can be among them.
fn utf8_environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon; prints one line with its address
    #[command(after_help = "Example: reveille serve --bind 127.0.0.1:0")]
    Serve(serve::Serve),
    /// Show it working: a scratch daemon, two agents, a hand-over between them
    #[command(after_help = "Example: reveille demo --once")]
    Demo(demo::Demo),
    /// Agents: list, show, make, edit, pause, resume, reset, remove
    #[command(
        subcommand,
        after_help = "Example: reveille agent new scribe --prompt 'You keep the minutes.'"
    )]
    Agent(agent::Agent),
    /// Send a message to an agent
    #[command(
        after_help = "Example: reveille send scribe 'What did we decide?' --wait\nWith --wait the turn is shown on stderr and the reply on stdout.\nExample: reveille send scribe 'Put this into the minutes.' --attach photo.jpg"
    )]
    Send(send::Send),
    /// Watch turns live
    #[command(after_help = "Example: reveille watch scribe")]
    Watch(watch::Watch),
    /// Conversations
    #[command(subcommand, after_help = "Example: reveille thread show scribe")]
    Thread(thread::Thread),
    /// Attached agents: take their messages and answer them
    #[command(subcommand, after_help = "Example: reveille attached next eng --wait")]
    Attached(attached::Attached),
    /// Messages in line: list, cancel, hold, release, move, edit
    #[command(subcommand, after_help = "Example: reveille queue list scribe")]
    Queue(queue::Queue),
    /// Turns: list, show, stop, send again
    #[command(subcommand, after_help = "Example: reveille turn stop 6f20a7c0")]
    Turn(turn::Turn),
    /// Replies that the vault has not taken yet: list, try again
    #[command(subcommand, after_help = "Example: reveille undelivered list")]
    Undelivered(undelivered::Undelivered),
    /// Triggers of a vault and their deliveries: list, show, pause, resume, deliver again, remove
    #[command(subcommand, after_help = "Example: reveille trigger list")]
    Trigger(trigger::Trigger),
    /// Programs that are told what happens: list, add, show, edit, remove, pause, resume, test, rotate the secret
    #[command(
        subcommand,
        after_help = "Example: reveille webhook add ci --to https://ci.example.com/reveille --event turn.settled"
    )]
    Webhook(webhook::Webhook),
    /// Jobs, messages that the clock sends: list, show, add, edit, run, pause, resume, remove, history
    #[command(
        subcommand,
        after_help = "Example: reveille job add standup --agent scribe --cron '0 9 * * 1-5' --message 'Write the agenda.'"
    )]
    Job(job::Job),
    /// Notes of the vault
    #[command(
        subcommand,
        after_help = "Example: reveille note put Agents/scribe --tag agent/definition --meta name=scribe 'You keep the minutes.'"
    )]
    Note(note::Note),
    /// Vaults: list, add, back up, restore
    #[command(subcommand, after_help = "Example: reveille vault backup ~/backups/today")]
    Vault(vault::Vault),
    /// Tokens for the daemon or a vault: make, list, revoke
    #[command(
        subcommand,
        after_help = "Example: reveille token create --read --label laptop --expires 30d\nExample: reveille token create --scope reveille:send --label phone"
    )]
    Token(token::Token),
    /// Serve MCP over stdin and stdout: agents and notes as tools of another program
    #[command(
        after_help = "Example: claude mcp add reveille -- reveille mcp\nExample: claude mcp add scribe -- reveille mcp --channel scribe\nClients that speak HTTP need no command: the daemon serves MCP at /mcp and /mcp/AGENT."
    )]
    Mcp(mcp::Mcp),
    /// Bridges to Telegram and others: list, add, remove. Without a command: connect a session of Claude Code with a channel
    #[command(
        after_help = "Example: reveille bridge add phone --kind telegram --agent scribe\nExample: claude mcp add channel -- reveille bridge --channel telegram\nWithout a command it speaks MCP over stdin and stdout. PARACHUTE_AGENT_URL, PARACHUTE_AGENT_TOKEN and PARACHUTE_CHANNEL_NAME are read too."
    )]
    Bridge(bridge::Bridge),
    /// Secrets of turns and the credential of Claude Code: set, list, remove
    #[command(subcommand, after_help = "Example: reveille secret set GH_TOKEN")]
    Secret(secrets::Secret),
    /// The PIN for dangerous things: set, clear
    #[command(subcommand, after_help = "Example: reveille pin set")]
    Pin(pin::Pin),
    /// The sandbox of agents: run a command in it, try it out
    #[command(subcommand, after_help = "Example: reveille sandbox probe")]
    Sandbox(sandbox::Sandbox),
    /// Check everything that the daemon needs, and say how to mend it
    #[command(
        after_help = "Example: reveille doctor --json\nExit codes: 0 nothing is wrong (warnings may be told), 1 a check failed, 2 wrong usage. It needs no daemon; what only a running one knows is then left open."
    )]
    Doctor(doctor::Doctor),
    /// The daemon as a service of this machine (systemd, launchd): install, uninstall, status
    #[command(subcommand, after_help = "Example: reveille service install")]
    Service(service::Service),
    /// Print a link that signs a browser in, once
    #[command(after_help = "Example: xdg-open \"$(reveille open)\"")]
    Open,
    /// Print a completion script for a shell
    #[command(after_help = "Example: reveille completions bash > ~/.local/share/bash-completion/completions/reveille")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Runs the command of the command line.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::complain(&format!("no runtime: {error}"));
            return ExitCode::from(1);
        }
    };
    let result = runtime.block_on(run(cli));
    // A blocked read of stdin must not keep the process alive.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(CliError::Ended(code)) => ExitCode::from(code),
        Err(error) => {
            output::complain(&error.to_string());
            error.left_out().for_each(output::note);
            ExitCode::from(error.exit_code())
        }
    }
}

async fn run(cli: Cli) -> Result<(), CliError> {
    let global = cli.global;
    match cli.command {
        Command::Serve(serve) => serve.run(&global).await,
        Command::Demo(demo) => demo.run(&global).await,
        Command::Agent(agent) => agent.run(|| global.client()).await,
        Command::Send(send) => send.run(&global.client()?).await,
        Command::Watch(watch) => watch.run(&global.client()?).await,
        Command::Thread(thread) => thread.run(&global.client()?).await,
        Command::Attached(attached) => attached.run(&global.client()?).await,
        Command::Queue(queue) => queue.run(&global.client()?).await,
        Command::Turn(turn) => turn.run(&global.client()?).await,
        Command::Undelivered(undelivered) => undelivered.run(&global.client()?).await,
        Command::Trigger(trigger) => trigger.run(&global.client()?).await,
        Command::Webhook(webhook) => webhook.run(&global.client()?).await,
        Command::Job(job) => job.run(&global.client()?).await,
        Command::Note(note) => note.run(&global.client()?).await,
        Command::Vault(vault) => vault.run(&global).await,
        Command::Token(token) => token.run(&global.client()?).await,
        Command::Mcp(mcp) => mcp.run(&global).await,
        Command::Bridge(bridge) => bridge.run(&global).await,
        Command::Secret(secret) => secret.run(&global).await,
        Command::Pin(pin) => pin.run(&global.client()?).await,
        Command::Sandbox(sandbox) => sandbox.run(&global).await,
        Command::Doctor(doctor) => doctor.run(&global).await,
        Command::Service(service) => service.run(&global).await,
        Command::Open => {
            let link = global
                .client()?
                .post("/api/sign-in-links", &serde_json::json!({}))
                .await?;
            out!("{}", link["url"].as_str().unwrap_or_default());
            Ok(())
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "reveille", &mut script);
            out!("{}", String::from_utf8_lossy(&script));
            Ok(())
        }
    }
}
