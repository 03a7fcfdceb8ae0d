//! `reveille job …`

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::CliError;
use super::agent::text_or_stdin;
use super::client::{Client, segment};
use super::job_view::{print, print_history, print_list, when_next};
use super::output::{self, note, one_line, out, safe, short, text};

/// Messages that the clock sends.
#[derive(Debug, Subcommand)]
pub(super) enum Job {
    /// All jobs: when each is due next (by the local clock), and how it last went
    #[command(after_help = "Example: reveille job list --agent scribe")]
    List {
        /// Only those of this agent
        #[arg(long)]
        agent: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// One job: its message, its settings, what is wrong with it
    #[command(after_help = "Example: reveille job show standup")]
    Show {
        #[command(flatten)]
        which: Which,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a job
    #[command(after_help = ADD_EXAMPLES)]
    Add {
        /// What to call it: letters, digits, `_` and `-`
        id: String,
        /// Who gets the message
        #[arg(long)]
        agent: String,
        #[command(flatten)]
        when: When,
        /// What the agent is told; `-` reads it from stdin
        #[arg(long, value_name = "TEXT")]
        message: String,
        #[command(flatten)]
        how: How,
        /// Do not start it yet
        #[arg(long)]
        paused: bool,
        /// Change the job of this name, if the agent has one
        #[arg(long)]
        replace: bool,
    },
    /// Change a job; it counts at once, and what is not named stays
    #[command(after_help = "Example: reveille job edit standup --cron '30 8 * * 1-5'")]
    Edit {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        when: When,
        /// Go by the clock of the daemon's own zone
        #[arg(long, conflicts_with = "tz")]
        no_tz: bool,
        /// What the agent is told; `-` reads it from stdin
        #[arg(long, value_name = "TEXT")]
        message: Option<String>,
        #[command(flatten)]
        how: How,
        /// Use the main conversation
        #[arg(long, conflicts_with = "subject")]
        no_subject: bool,
    },
    /// Send a job's message now, whatever its schedule says and also while it is paused
    #[command(after_help = "Example: reveille job run standup")]
    Run {
        #[command(flatten)]
        which: Which,
    },
    /// Stop a job from running until it is resumed
    #[command(after_help = "Example: reveille job pause standup --reason 'Nobody is in until Monday.'")]
    Pause {
        #[command(flatten)]
        which: Which,
        /// Why, for whoever looks at the job
        #[arg(long)]
        reason: Option<String>,
    },
    /// Let a paused job run again, from its next time on
    #[command(after_help = "Example: reveille job resume standup")]
    Resume {
        #[command(flatten)]
        which: Which,
    },
    /// Remove a job by deleting its note
    #[command(after_help = "Example: reveille job rm standup")]
    Rm {
        #[command(flatten)]
        which: Which,
    },
    /// The last runs of a job, what was skipped and why; the newest first
    #[command(after_help = "Example: reveille job history standup")]
    History {
        #[command(flatten)]
        which: Which,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

const ADD_EXAMPLES: &str = "\
Example: reveille job add standup --agent scribe --cron '0 9 * * 1-5' --tz Europe/Berlin --message 'Write the agenda.'
Example: reveille job add launch --agent scribe --at 2026-07-02T09:00 --tz America/New_York --message - < launch.md

--cron takes five fields (minute, hour, day of month, month, day of week; 0 is Sunday), or @hourly, @daily, @weekly, @monthly.";

/// A job.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// The job, or the id of its note
    id: String,
    /// The agent, where several have a job of this name
    #[arg(long)]
    agent: Option<String>,
}

impl Which {
    fn address(&self, what: &str) -> String {
        let agent = self.agent.as_ref();
        let agent = agent.map_or_else(String::new, |agent| format!("?channel={}", segment(agent)));
        format!("/api/jobs/{}{what}{agent}", segment(&self.id))
    }
}

/// When a job is due.
#[derive(Debug, clap::Args)]
pub(super) struct When {
    /// Again and again, such as '0 9 * * 1-5' or @daily
    #[arg(long, value_name = "EXPRESSION", conflicts_with = "at")]
    cron: Option<String>,
    /// Once: a time such as 2026-07-02T09:00:00+02:00, or 2026-07-02T09:00 by the clock of --tz
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Whose clock it goes by, such as Europe/Berlin or UTC; otherwise the daemon's
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
}

/// How a job is run.
#[derive(Debug, clap::Args)]
pub(super) struct How {
    /// A conversation of its own
    #[arg(long)]
    subject: Option<String>,
    /// What becomes of a time that passed while nobody was there: made up for once, or skipped
    #[arg(long, value_name = "WHAT", value_parser = ["once", "skip"])]
    catch_up: Option<String>,
    /// What becomes of a time at which the run before is still at work: its message waits, or it is skipped
    #[arg(long, value_name = "WHAT", value_parser = ["queue", "skip"])]
    overlap: Option<String>,
}

impl How {
    fn put(self, body: &mut Map<String, Value>) {
        let all = [
            ("subject", self.subject),
            ("catch_up", self.catch_up),
            ("overlap", self.overlap),
        ];
        for (key, value) in all {
            if let Some(value) = value {
                body.insert(key.into(), value.into());
            }
        }
    }
}

impl When {
    /// The schedule that is asked for, on top of the one that is there.
    fn over(self, mut schedule: Map<String, Value>) -> Value {
        // They exclude each other.
        if self.cron.is_some() || self.at.is_some() {
            schedule.retain(|key, _| key == "tz");
        }
        for (key, value) in [("cron", self.cron), ("at", self.at), ("tz", self.tz)] {
            if let Some(value) = value {
                schedule.insert(key.into(), value.into());
            }
        }
        schedule.into()
    }

    fn is_empty(&self) -> bool {
        self.cron.is_none() && self.at.is_none() && self.tz.is_none()
    }
}

impl Job {
    pub(super) async fn run(self, client: &Client) -> Result<(), CliError> {
        match self {
            Self::List { agent, json } => {
                let agent = agent.map_or_else(String::new, |agent| format!("?agent={}", segment(&agent)));
                let answer = client.get(&format!("/api/jobs{agent}")).await?;
                shown(&answer, json, print_list);
            }
            Self::Show { which, json } => shown(&client.get(&which.address("")).await?, json, print),
            Self::Add {
                id,
                agent,
                when,
                message,
                how,
                paused,
                replace,
            } => {
                let mut body = Map::new();
                body.insert("message".into(), text_or_stdin(message)?.into());
                body.insert("schedule".into(), when.over(Map::new()));
                if paused {
                    body.insert("enabled".into(), false.into());
                }
                how.put(&mut body);
                add(client, id, agent, body, replace).await?;
            }
            Self::Edit {
                which,
                when,
                no_tz,
                message,
                how,
                no_subject,
            } => {
                let mut body = Map::new();
                if let Some(message) = message {
                    body.insert("message".into(), text_or_stdin(message)?.into());
                }
                how.put(&mut body);
                if no_subject {
                    body.insert("subject".into(), Value::Null);
                }
                edit(client, &which, body, when, no_tz).await?;
            }
            Self::Run { which } => send_now(client, &which).await?,
            Self::Pause { which, reason } => {
                let asked = json!({ "reason": reason });
                let job = client.post(&which.address("/pause"), &asked).await?;
                let id = text(&job["job"]["id"]);
                out!("{id} is paused; go on with `reveille job resume {id}`");
            }
            Self::Resume { which } => {
                let job = client.post(&which.address("/resume"), &json!({})).await?;
                told(&job["job"], "is resumed");
            }
            Self::Rm { which } => {
                let answer = client.delete(&which.address("")).await?;
                if answer["removed"] != true {
                    let id = safe(&which.id);
                    let next = "`reveille job list` shows those there are";
                    return Err(CliError::Failed(format!("there is no job {id}; {next}")));
                }
                out!("{} is removed; the messages that it sent stay", safe(&which.id));
            }
            Self::History { which, json } => {
                shown(&client.get(&which.address("/runs")).await?, json, print_history);
            }
        }
        Ok(())
    }
}

fn shown(answer: &Value, json: bool, print: impl FnOnce(&Value)) {
    if json {
        output::json(answer);
    } else {
        print(answer);
    }
}

/// Says what became of a job, and what is odd about it.
fn told(job: &Value, what: &str) {
    out!("{} {what}; {}", text(&job["id"]), when_next(job));
    for warning in job["warnings"].as_array().into_iter().flatten() {
        let message = one_line(warning["message"].as_str().unwrap_or_default(), 200);
        note(&format!("{}: {message}", text(&warning["key"])));
    }
}

/// Makes a job. One that is there already is only changed when that was said: its message would be gone.
async fn add(
    client: &Client,
    id: String,
    agent: String,
    mut body: Map<String, Value>,
    replace: bool,
) -> Result<(), CliError> {
    let same = Which {
        id,
        agent: Some(agent.clone()),
    };
    let there = client.find_one(&same.address("")).await?;
    let id = same.id;
    if there.is_some() && !replace {
        let (id, agent) = (safe(&id), safe(&agent));
        return Err(CliError::Failed(format!(
            "{agent} has a job {id} already; change it with `reveille job edit {id} --agent {agent}`, or add --replace"
        )));
    }
    body.insert("id".into(), id.into());
    body.insert("channel".into(), agent.into());
    let answer = client.post("/api/jobs", &body.into()).await?;
    told(&answer["job"], if there.is_some() { "is changed" } else { "is made" });
    Ok(())
}

async fn edit(
    client: &Client,
    which: &Which,
    mut body: Map<String, Value>,
    when: When,
    no_tz: bool,
) -> Result<(), CliError> {
    if body.is_empty() && when.is_empty() && !no_tz {
        let message = "nothing to change; give --cron, --at, --tz, --message, --subject, --catch-up or --overlap";
        return Err(CliError::Usage(message.into()));
    }
    if !when.is_empty() || no_tz {
        // The daemon takes a schedule as a whole.
        let job = client.get(&which.address("")).await?;
        let mut schedule = job["schedule"].as_object().cloned().unwrap_or_default();
        if no_tz {
            schedule.remove("tz");
        }
        body.insert("schedule".into(), when.over(schedule));
    }
    let answer = client.patch(&which.address(""), &body.into()).await?;
    told(&answer["job"], "is changed");
    Ok(())
}

async fn send_now(client: &Client, which: &Which) -> Result<(), CliError> {
    let answer = client.post(&which.address("/run"), &json!({})).await?;
    let id = text(&answer["id"]);
    match answer["status"].as_str() {
        Some("ok") if answer["turn"].is_string() => {
            let turn = short(&answer["turn"]);
            out!("{id} is sent; see `reveille turn show {turn}`");
        }
        Some("ok") => out!("{id} is sent; see `reveille job history {id}`"),
        status => {
            let why = one_line(status.unwrap_or("the daemon does not say why"), 300);
            return Err(CliError::Failed(format!("{id} was not sent: {why}")));
        }
    }
    Ok(())
}
