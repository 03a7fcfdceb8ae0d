//! The CLI's command line, as far as the daemon uses it.

use std::ffi::OsString;
use std::path::PathBuf;

use uuid::Uuid;

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (Reveille stand-in)");
const HELP: &str = "\
Usage: claude [options]

Stands in for Claude Code: speaks its stream-json protocol and follows the directives of the prompt.

Options:
  -p, --print                          Answer without a terminal (required)
  --input-format <format>              stream-json (required)
  --output-format <format>             stream-json (required)
  --verbose                            Required by stream-json
  --include-partial-messages           Write text as it is made
  --session-id <uuid>                  Begin a session under this id
  -r, --resume <uuid>                  Go on with a session
  --model <model>                      Name of the model in the output
  --append-system-prompt-file <file>   Must exist
  --system-prompt-file <file>          Must exist
  --system-prompt-snapshot <mode>      Accepted
  --mcp-config <file>                  Must exist and hold JSON
  --strict-mcp-config                  Accepted
  --setting-sources <sources>          Accepted
  --max-turns <turns>                  A number
  --max-budget-usd <amount>            A number
  --dangerously-skip-permissions       Accepted, as root only with IS_SANDBOX=1
  -v, --version                        Print the version
  -h, --help                           Print this text";

/// How a session begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    New(Uuid),
    Resume(Uuid),
}

/// A checked command line.
#[derive(Debug, PartialEq)]
pub(super) struct Settings {
    pub(super) start: Start,
    pub(super) model: String,
    pub(super) partial: bool,
    pub(super) max_turns: Option<u32>,
    pub(super) max_budget: Option<f64>,
}

impl Settings {
    pub(super) fn session(&self) -> Uuid {
        match self.start {
            Start::New(id) | Start::Resume(id) => id,
        }
    }
}

#[derive(Debug, PartialEq)]
pub(super) enum Action {
    Print(String),
    Run(Settings),
}

#[derive(Default)]
struct Given {
    print: bool,
    verbose: bool,
    partial: bool,
    skip_permissions: bool,
    input: Option<String>,
    output: Option<String>,
    session: Option<String>,
    resume: Option<String>,
    model: Option<String>,
    max_turns: Option<u32>,
    max_budget: Option<f64>,
    append: Option<PathBuf>,
    replace: Option<PathBuf>,
    mcp: Option<PathBuf>,
}

/// Reads the command line; the error is what the CLI would write to stderr.
pub(super) fn parse(args: impl Iterator<Item = OsString>) -> Result<Action, String> {
    let mut given = Given::default();
    let mut args = args;
    while let Some(arg) = args.next() {
        let arg = arg.to_string_lossy().into_owned();
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
            _ => (arg.as_str(), None),
        };
        match name {
            "-v" | "--version" => return Ok(Action::Print(VERSION.to_owned())),
            "-h" | "--help" => return Ok(Action::Print(HELP.to_owned())),
            "-p" | "--print" => given.print = true,
            "--verbose" => given.verbose = true,
            "--include-partial-messages" => given.partial = true,
            "--strict-mcp-config" => {}
            "--dangerously-skip-permissions" => given.skip_permissions = true,
            _ if name.starts_with('-') => {
                let mut value = || {
                    let next = value
                        .clone()
                        .or_else(|| args.next().map(|next| next.to_string_lossy().into_owned()));
                    next.ok_or_else(|| format!("error: option '{name}' argument missing"))
                };
                take(&mut given, name, &mut value)?;
            }
            _ => {} // A prompt: the CLI passes over it when the input is stream-json.
        }
    }
    check(given).map(Action::Run)
}

fn take(given: &mut Given, name: &str, value: &mut dyn FnMut() -> Result<String, String>) -> Result<(), String> {
    match name {
        "--input-format" => given.input = Some(value()?),
        "--output-format" => given.output = Some(value()?),
        "--session-id" => given.session = Some(value()?),
        "-r" | "--resume" => given.resume = Some(value()?),
        "--model" => given.model = Some(value()?),
        "--append-system-prompt-file" => given.append = Some(value()?.into()),
        "--system-prompt-file" => given.replace = Some(value()?.into()),
        "--mcp-config" => given.mcp = Some(value()?.into()),
        "--max-turns" => {
            let text = value()?;
            given.max_turns = Some(
                text.parse()
                    .map_err(|_| format!("error: option '--max-turns' value '{text}' is invalid"))?,
            );
        }
        "--max-budget-usd" => {
            let text = value()?;
            given.max_budget = Some(
                text.parse()
                    .map_err(|_| format!("error: option '--max-budget-usd' value '{text}' is invalid"))?,
            );
        }
        "--setting-sources" | "--system-prompt-snapshot" => drop(value()?),
        _ => return Err(format!("error: unknown option '{name}'")),
    }
    Ok(())
}

fn check(given: Given) -> Result<Settings, String> {
    if !given.print || given.input.as_deref() != Some("stream-json") || given.output.as_deref() != Some("stream-json") {
        return Err(
            "Error: the stand-in works only with -p --input-format=stream-json --output-format=stream-json".into(),
        );
    }
    if !given.verbose {
        return Err("Error: When using --print, --output-format=stream-json requires --verbose".into());
    }
    let sandboxed = std::env::var_os("IS_SANDBOX").is_some_and(|value| value == "1");
    if given.skip_permissions && rustix::process::geteuid().is_root() && !sandboxed {
        return Err(
            "--dangerously-skip-permissions cannot be used with root/sudo privileges for security reasons".into(),
        );
    }
    if given.append.is_some() && given.replace.is_some() {
        return Err("Error: the stand-in takes one system prompt file".into());
    }
    for (what, file) in [
        ("Append system prompt", &given.append),
        ("System prompt", &given.replace),
    ] {
        if let Some(file) = file.as_ref().filter(|file| !file.is_file()) {
            return Err(format!("Error: {what} file not found: {}", file.display()));
        }
    }
    if let Some(file) = &given.mcp {
        let text = std::fs::read(file).map_err(|_| {
            format!(
                "Error: Invalid MCP configuration:\nMCP config file not found: {}",
                file.display()
            )
        })?;
        serde_json::from_slice::<serde_json::Value>(&text)
            .map_err(|error| format!("Error: Invalid MCP configuration:\n{}: {error}", file.display()))?;
    }
    let uuid =
        |text: &str| Uuid::parse_str(text).map_err(|_| "Error: Invalid session ID. Must be a valid UUID.".to_owned());
    let start = match (&given.session, &given.resume) {
        (Some(_), Some(_)) => return Err("Error: --session-id cannot be used with --resume".into()),
        (Some(id), None) => Start::New(uuid(id)?),
        (None, Some(id)) => Start::Resume(uuid(id)?),
        (None, None) => Start::New(Uuid::new_v4()),
    };
    Ok(Settings {
        start,
        model: given
            .model
            .filter(|model| model != "default")
            .unwrap_or_else(|| "claude-stand-in".to_owned()),
        partial: given.partial,
        max_turns: given.max_turns,
        max_budget: given.max_budget,
    })
}
