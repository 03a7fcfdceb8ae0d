//! `reveille bridge list`, `add` and `remove`.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::cli::client::{Client, segment};
use crate::cli::output::{self, note, one_line, out, safe, table};
use crate::cli::{CliError, connections, secret};

/// Characters of an error that a line shows.
const ERROR_CHARS: usize = 100;
/// So long it is looked whether a new bridge works.
const PATIENCE: Duration = Duration::from_secs(10);
/// So often.
const PAUSE: Duration = Duration::from_millis(200);

/// Bridges.
#[derive(Debug, Subcommand)]
pub(super) enum Manage {
    /// The bridges, how they do, and what they have not delivered
    #[command(after_help = "Example: reveille bridge list --json")]
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Add a bridge, or put it in the place of the one of its name; it runs at once and after every start
    #[command(
        after_help = "Example: reveille bridge add phone --kind telegram --agent scribe --token-file ~/.bot-token\nExample: reveille bridge add ui1 --kind http-ui\n\nA token is never an argument: it is asked for, or read from stdin or a file. It is kept in channels.json in the state directory, which only its owner reads. Where a PIN is set it is asked for on the terminal: then give the token by --token-file or at the question for it."
    )]
    Add(Add),
    /// End a bridge that was added, and forget it; what it has not sent is kept
    #[command(after_help = "Example: reveille bridge remove phone\nExample: reveille bridge remove phone --discard")]
    Remove {
        /// Its name
        name: String,
        /// Throw away what it has not sent, also what an earlier bridge of this name has left
        #[arg(long)]
        discard: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// What it bridges to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Telegram,
    HttpUi,
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// The channel: letters, digits, _ and -
    name: String,
    /// What it bridges to
    #[arg(long, value_enum)]
    kind: Kind,
    /// The agent that gets its messages; the one of its name otherwise
    #[arg(long)]
    agent: Option<String>,
    /// Telegram: read the token of the bot from stdin
    #[arg(long)]
    token_stdin: bool,
    /// Telegram: read the token of the bot from this file
    #[arg(long, value_name = "FILE", conflicts_with = "token_stdin")]
    token_file: Option<PathBuf>,
    /// Telegram: a directory of its own for access.json and inbox/, instead of the state directory
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Telegram: another server of the Bot API
    #[arg(long, value_name = "URL")]
    api_base: Option<String>,
    /// Telegram: without an access.json everybody may write
    #[arg(long)]
    open: bool,
    /// Telegram: each chat is a conversation of its own
    #[arg(long)]
    subject_per_chat: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Manage {
    pub(super) async fn run(self, client: &Client) -> Result<(), CliError> {
        match self {
            Self::List { json } => list(client, json).await,
            Self::Add(add) => add.run(client).await,
            Self::Remove { name, discard, json } => remove(client, &name, discard, json).await,
        }
    }
}

async fn list(client: &Client, json: bool) -> Result<(), CliError> {
    let answer = client.get("/api/bridges").await?;
    if json {
        output::json(&answer);
        return Ok(());
    }
    let text = |value: &Value| safe(value.as_str().unwrap_or_default());
    let count = |value: &Value| value.as_u64().map_or_else(|| "-".to_owned(), |count| count.to_string());
    let row = |one: &Value| {
        vec![
            text(&one["name"]),
            text(&one["kind"]),
            text(&one["agent"]),
            text(&one["state"]),
            count(&one["waiting"]),
            count(&one["undelivered"]),
            one_line(one["error"].as_str().unwrap_or_default(), ERROR_CHARS),
        ]
    };
    let rows: Vec<Vec<String>> = answer["bridges"].as_array().into_iter().flatten().map(row).collect();
    if rows.is_empty() {
        out!("there is no bridge; `reveille bridge add` makes one");
        return Ok(());
    }
    table(
        &["NAME", "KIND", "AGENT", "STATE", "WAITING", "UNDELIVERED", "ERROR"],
        &rows,
    );
    Ok(())
}

async fn remove(client: &Client, name: &str, discard: bool, json: bool) -> Result<(), CliError> {
    let query = if discard { "?discard=true" } else { "" };
    let answer = client
        .delete(&format!("/api/channels/{}{query}", segment(name)))
        .await?;
    if json {
        output::json(&answer);
        return Ok(());
    }
    match answer["removed"].as_bool() {
        Some(true) => out!("{} is removed", safe(name)),
        _ => out!("no bridge {} ran", safe(name)),
    }
    let left = [("waiting", "waits"), ("undelivered", "was given up")];
    let left: Vec<String> = left
        .iter()
        .filter_map(|(key, word)| Some((answer[*key].as_u64().filter(|count| *count > 0)?, word)))
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    if !left.is_empty() {
        out!(
            "what it has not sent is kept until it is added again ({}); --discard throws it away",
            left.join(", ")
        );
    }
    Ok(())
}

impl Add {
    /// What the daemon is asked for.
    fn body(&self) -> Result<Value, CliError> {
        let mut body = json!({ "name": self.name, "transport": "http-ui" });
        if let Some(agent) = &self.agent {
            body["agent"] = json!(agent);
        }
        let texts = [
            (
                "stateDir",
                self.state_dir.as_ref().map(|dir| absolute(dir)).transpose()?,
            ),
            ("apiBase", self.api_base.clone()),
        ];
        if self.kind == Kind::HttpUi {
            let more = self.token_stdin || self.token_file.is_some() || self.open || self.subject_per_chat;
            if more || texts.iter().any(|(_, text)| text.is_some()) {
                let message = "--kind http-ui takes nothing but a name and --agent; leave the rest out";
                return Err(CliError::Usage(message.into()));
            }
            return Ok(body);
        }
        body["transport"] = json!("telegram");
        body["config"] = json!({ "token": self.token()?.trim() });
        for (key, text) in texts {
            if let Some(text) = text {
                body["config"][key] = json!(text);
            }
        }
        if self.open {
            body["config"]["requireAccessFile"] = json!(false);
        }
        if self.subject_per_chat {
            body["config"]["subjectPerChat"] = json!(true);
        }
        Ok(body)
    }

    fn token(&self) -> Result<String, CliError> {
        match (self.token_stdin, &self.token_file) {
            (true, _) => connections::from_stdin(),
            (false, Some(file)) => connections::from_file(file),
            (false, None) if std::io::stdin().is_terminal() => secret::ask("Token of the bot, from @BotFather: "),
            (false, None) => Err(CliError::Usage(
                "the bot needs a token, and there is no terminal to ask for it; give --token-stdin or --token-file FILE"
                    .into(),
            )),
        }
    }

    async fn run(self, client: &Client) -> Result<(), CliError> {
        let answer = client.post("/api/channels", &self.body()?).await?;
        let standing = settled(client, &self.name).await?;
        if self.json {
            let mut answer = answer;
            answer["bridge"] = standing;
            output::json(&answer);
            return Ok(());
        }
        let agent = safe(answer["agent"].as_str().unwrap_or_default());
        let done = match answer["replaced"].as_bool() {
            Some(true) => "is replaced",
            _ => "is added",
        };
        out!(
            "{} {done}: {}; its messages are for {agent}",
            self.name,
            safe(standing["state"].as_str().unwrap_or("unknown"))
        );
        if let Some(error) = standing["error"].as_str() {
            note(&format!("it does not work yet: {}", one_line(error, 1000)));
        }
        if client
            .find_one(&format!("/api/agents/{}", segment(&agent)))
            .await?
            .is_none()
        {
            note(&format!(
                "there is no agent {agent} yet: until there is, sessions that listen to the channel get its messages"
            ));
        }
        Ok(())
    }
}

/// The daemon has another working directory.
fn absolute(dir: &std::path::Path) -> Result<String, CliError> {
    let whole = std::path::absolute(dir).map_err(|error| CliError::Usage(format!("{}: {error}", dir.display())))?;
    let text = whole.to_str().map(str::to_owned);
    text.ok_or_else(|| CliError::Usage(format!("{} is no text", dir.display())))
}

/// How the bridge does, once that is known, or for some seconds.
async fn settled(client: &Client, name: &str) -> Result<Value, CliError> {
    let end = Instant::now() + PATIENCE;
    loop {
        let answer = client.get("/api/bridges").await?;
        let mut all = answer["bridges"].as_array().into_iter().flatten();
        let one = all.find(|one| one["name"] == name).cloned().unwrap_or_default();
        if one["state"] != "starting" || Instant::now() >= end {
            return Ok(one);
        }
        sleep(PAUSE).await;
    }
}
