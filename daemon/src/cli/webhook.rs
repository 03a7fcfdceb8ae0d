//! `reveille webhook …`

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use super::CliError;
use super::client::{Client, segment};
use super::output::{self, note, one_line, out, safe, table, text};
use super::secrets;

/// Characters of an error that a line shows.
const ERROR_CHARS: usize = 80;

/// Programs that are told what happens, by signed calls.
#[derive(Debug, Subcommand)]
pub(super) enum Webhook {
    /// All of them: how each does, and what it has to tell
    #[command(
        after_help = "Example: reveille webhook list\nWhat was given up: reveille undelivered list --bridge webhook/NAME"
    )]
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Make one; the secret that is made for it is printed once
    #[command(
        after_help = "Example: reveille webhook add ci --to https://ci.example.com/reveille --event turn.settled --agent scribe\nExample: reveille webhook add local --to http://127.0.0.1:8080/hook --allow-private"
    )]
    Add(Add),
    /// One of them, as JSON without its secrets
    #[command(after_help = "Example: reveille webhook show ci")]
    Show {
        /// Its name
        name: String,
    },
    /// Change what is given; the rest stays
    #[command(
        after_help = "Example: reveille webhook edit ci --to https://other.example.com/hook\nExample: reveille webhook edit ci --event all --agent all"
    )]
    Edit(Edit),
    /// Remove it, and what it has to tell
    #[command(after_help = "Example: reveille webhook remove ci", alias = "rm")]
    Remove {
        /// Its name
        name: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Let what it has to tell wait
    #[command(after_help = "Example: reveille webhook pause ci")]
    Pause {
        /// Its name
        name: String,
    },
    /// Send again, after a pause or to a receiver that had refused
    #[command(after_help = "Example: reveille webhook resume ci")]
    Resume {
        /// Its name
        name: String,
    },
    /// Call the receiver now, and show what it says
    #[command(after_help = "Example: reveille webhook test ci")]
    Test {
        /// Its name
        name: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Put another secret in place of the present one; the old one signs along until --end-old
    #[command(after_help = "Example: reveille webhook rotate ci\nExample: reveille webhook rotate ci --end-old")]
    Rotate {
        /// Its name
        name: String,
        /// Ask for the secret, or read it from stdin, instead of making one
        #[arg(long, conflicts_with = "end_old")]
        ask_secret: bool,
        /// Make none: the old one signs no longer
        #[arg(long)]
        end_old: bool,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Profile {
    Standard,
    Supervisor,
}

impl Profile {
    fn word(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Supervisor => "supervisor",
        }
    }
}

/// What can be said of a webhook.
#[derive(Debug, Args)]
struct Said {
    /// What is told, such as turn.settled; may be given several times; `all`: everything
    #[arg(long = "event", value_name = "EVENT")]
    events: Vec<String>,
    /// Of which agent; may be given several times; `all`: of all
    #[arg(long = "agent", value_name = "AGENT")]
    agents: Vec<String>,
    /// Seconds between heartbeats of a running turn; 0: none
    #[arg(long, value_name = "SECONDS")]
    heartbeat: Option<u32>,
    /// It may be on this machine or in a private network
    #[arg(long)]
    allow_private: bool,
    /// It may be in this network, such as 100.64.0.0/10; may be given several times
    #[arg(long = "allow-network", value_name = "NETWORK")]
    allow_networks: Vec<String>,
    /// It may have a public address without TLS
    #[arg(long)]
    allow_plain: bool,
}

impl Said {
    /// As the daemon takes it; what was not said is not in it.
    fn body(self) -> Map<String, Value> {
        let list = |given: Vec<String>| match given.as_slice() {
            [] => None,
            [all] if all == "all" => Some(json!([])),
            _ => Some(json!(given)),
        };
        let allow = self.allow_private || self.allow_plain || !self.allow_networks.is_empty();
        let allow = allow.then(
            || json!({ "private": self.allow_private, "networks": self.allow_networks, "plain": self.allow_plain }),
        );
        let all = [
            ("events", list(self.events)),
            ("agents", list(self.agents)),
            ("heartbeat", self.heartbeat.map(|seconds| json!(seconds))),
            ("allow", allow),
        ];
        let said = all
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?)));
        said.collect()
    }
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// What it is called
    name: String,
    /// Where calls go
    #[arg(long, value_name = "ADDRESS")]
    to: String,
    #[command(flatten)]
    said: Said,
    /// How calls are signed and shaped; it stays so
    #[arg(long, default_value = "standard")]
    profile: Profile,
    /// Ask for the secret, or read it from stdin, instead of making one
    #[arg(long)]
    ask_secret: bool,
    /// What it is told waits until `reveille webhook resume`
    #[arg(long)]
    paused: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Edit {
    /// Its name
    name: String,
    /// Where calls go
    #[arg(long, value_name = "ADDRESS")]
    to: Option<String>,
    #[command(flatten)]
    said: Said,
    /// Only to public addresses with https, as without any --allow-…
    #[arg(long, conflicts_with_all = ["allow_private", "allow_networks", "allow_plain"])]
    allow_nothing: bool,
}

fn address(name: &str) -> String {
    format!("/api/webhooks/{}", segment(name))
}

impl Webhook {
    pub(super) async fn run(self, client: &Client) -> Result<(), CliError> {
        match self {
            Self::List { json } => {
                let answer = client.get("/api/webhooks").await?;
                if json {
                    output::json(&answer);
                } else {
                    print(&answer);
                }
            }
            Self::Add(add) => add.run(client).await?,
            Self::Show { name } => output::json(&client.get(&address(&name)).await?),
            Self::Edit(edit) => edit.run(client).await?,
            Self::Remove { name, json } => {
                let answer = client.delete(&address(&name)).await?;
                match (json, answer["dropped"].as_u64()) {
                    (true, _) => output::json(&answer),
                    (false, Some(0)) => out!("removed {}; it had been told of everything", safe(&name)),
                    (false, Some(count)) => out!(
                        "removed {}; {count} events that it had not been told of went",
                        safe(&name)
                    ),
                    (false, None) => out!("removed {}; what it had to tell goes at the next start", safe(&name)),
                }
            }
            Self::Pause { name } => standing(&client.post(&format!("{}/pause", address(&name)), &json!({})).await?),
            Self::Resume { name } => standing(&client.post(&format!("{}/resume", address(&name)), &json!({})).await?),
            Self::Test { name, json } => {
                let answer = client.post(&format!("{}/test", address(&name)), &json!({})).await?;
                if json {
                    output::json(&answer);
                }
                let said = format!("{}: {}", safe(&name), text(&answer["said"]));
                match answer["delivered"] == true {
                    true if json => {}
                    true => out!("{said}, after {} ms", answer["took_ms"]),
                    false => return Err(CliError::Failed(said)),
                }
            }
            Self::Rotate {
                name,
                ask_secret,
                end_old,
            } => {
                let mut body = json!({ "end_old": end_old });
                if ask_secret {
                    body["secret"] = secrets::value(&format!("secret of {}: ", safe(&name)))?.into();
                }
                let answer = client.post(&format!("{}/rotate", address(&name)), &body).await?;
                let words = match (end_old, &answer["profile"]) {
                    (true, _) => "the old secret signs no longer".to_owned(),
                    (false, profile) if profile == "supervisor" => "it signs from the next call on".to_owned(),
                    (false, _) => format!(
                        "both sign now; once the receiver knows it: `reveille webhook rotate {} --end-old`",
                        safe(&name)
                    ),
                };
                shown(&answer, &words);
            }
        }
        Ok(())
    }
}

/// A secret that was made stands alone on stdout, so that a script can take it.
fn shown(answer: &Value, words: &str) {
    let name = text(&answer["name"]);
    match answer["secret"].as_str() {
        Some(secret) => {
            out!("{}", safe(secret));
            note(&format!(
                "{name}: {words}. This is the only time that the secret is shown."
            ));
        }
        None => out!("{name}: {words}"),
    }
}

fn standing(one: &Value) {
    out!(
        "{} is {}; {} wait",
        text(&one["name"]),
        text(&one["state"]),
        one["waiting"]
    );
}

impl Add {
    async fn run(self, client: &Client) -> Result<(), CliError> {
        let mut body = self.said.body();
        body.insert("name".into(), self.name.as_str().into());
        body.insert("url".into(), self.to.into());
        body.insert("profile".into(), self.profile.word().into());
        body.insert("paused".into(), self.paused.into());
        if self.ask_secret {
            let secret = secrets::value(&format!("secret of {}: ", safe(&self.name)))?;
            body.insert("secret".into(), secret.into());
        }
        let made = client.post("/api/webhooks", &body.into()).await?;
        if self.json {
            output::json(&made);
            return Ok(());
        }
        shown(
            &made,
            &format!(
                "made; see whether it works with `reveille webhook test {}`",
                safe(&self.name)
            ),
        );
        Ok(())
    }
}

impl Edit {
    async fn run(self, client: &Client) -> Result<(), CliError> {
        let mut body = self.said.body();
        if let Some(to) = self.to {
            body.insert("url".into(), to.into());
        }
        if self.allow_nothing {
            body.insert("allow".into(), json!({}));
        }
        if body.is_empty() {
            let message = "nothing is to be changed; say what, such as --to or --event";
            return Err(CliError::Usage(message.into()));
        }
        standing(&client.patch(&address(&self.name), &body.into()).await?);
        Ok(())
    }
}

fn print(answer: &Value) {
    let list = |value: &Value| {
        let all: Vec<String> = value.as_array().into_iter().flatten().map(text).collect();
        match all.is_empty() {
            true => "all".to_owned(),
            false => all.join(","),
        }
    };
    let all = answer["webhooks"].as_array();
    let rows: Vec<Vec<String>> = all
        .into_iter()
        .flatten()
        .map(|one| {
            let from = if one["configured"] == true {
                "configuration"
            } else {
                "call"
            };
            vec![
                text(&one["name"]),
                text(&one["state"]),
                list(&one["events"]),
                list(&one["agents"]),
                one["waiting"].to_string(),
                one["undelivered"].to_string(),
                from.to_owned(),
                text(&one["url"]),
                one_line(one["error"].as_str().unwrap_or("-"), ERROR_CHARS),
            ]
        })
        .collect();
    if rows.is_empty() {
        out!("no webhooks; make one with `reveille webhook add`");
        return;
    }
    table(
        &[
            "NAME",
            "STATE",
            "EVENTS",
            "AGENTS",
            "WAITING",
            "UNDELIVERED",
            "MADE BY",
            "URL",
            "LAST ERROR",
        ],
        &rows,
    );
}
