//! One message of the load: what it says to the stand-in, and how it is sent.

use std::path::{Path, PathBuf};

use anyhow::Result;
use http::Method;
use serde_json::{Value, json};

use crate::daemon::{Daemon, Reply};

/// What the turn of a letter does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Runs a tool that leaves a process behind, then answers.
    Work,
    /// The same, and takes half a second to answer.
    SlowWork,
    /// The same with a tool that takes its time.
    LongWork,
    /// The same after the API has refused two requests.
    Retried,
    /// The same, and spoils its session.
    LostSession,
    /// Answers at once.
    Quick,
    /// The same, and shares its turn with those of its kind behind it.
    Gathered,
    /// The same, and goes before all others, the running one included.
    Urgent,
    /// Thinks, pretends to use a tool, and answers.
    Tool,
    /// Answers, and leaves no session.
    Unsaved,
    /// Answers between lines that are no JSON, and one that is very long.
    Noisy,
    /// Has nothing to say.
    Empty,
    /// Fails with an error of the API, after it has said something.
    Fails(&'static str),
    /// Ends in the middle.
    Crash,
    /// Is silent until the idle clock ends it.
    Hang,
}

impl Kind {
    /// How often each is drawn. Errors that call for the operator are left out: they may hold up the whole agent.
    pub(super) const SHARES: &[(u64, Self)] = &[
        (30, Self::Work),
        (12, Self::SlowWork),
        (6, Self::LongWork),
        (4, Self::Retried),
        (3, Self::LostSession),
        (20, Self::Quick),
        (2, Self::Gathered),
        (2, Self::Urgent),
        (6, Self::Tool),
        (3, Self::Unsaved),
        (3, Self::Noisy),
        (3, Self::Empty),
        (2, Self::Fails("529")),
        (2, Self::Fails("500")),
        (2, Self::Fails("400")),
        (1, Self::Fails("too-long")),
        (4, Self::Crash),
        (1, Self::Hang),
    ];

    /// Whether its turn runs a tool that writes down that it ran.
    fn works(self) -> bool {
        matches!(
            self,
            Self::Work | Self::SlowWork | Self::LongWork | Self::Retried | Self::LostSession
        )
    }

    /// Whether a turn of it that ends well says the letter's key.
    fn answers(self) -> bool {
        !matches!(self, Self::Empty | Self::Fails(_) | Self::Crash | Self::Hang)
    }
}

/// Where the tools of the turns leave their traces.
#[derive(Debug, Clone)]
pub(super) struct Traces {
    dir: PathBuf,
}

impl Traces {
    /// In a directory whose path needs no quotes in a shell.
    pub(super) fn new(dir: &Path) -> Result<Self> {
        let dir = dir.join("traces");
        std::fs::create_dir_all(&dir)?;
        Ok(Self { dir })
    }

    /// Keys of the letters whose tool found something of another turn of its conversation alive.
    pub(super) fn overlaps(&self) -> Result<Vec<String>> {
        self.lines("overlaps")
    }

    /// Keys of the letters whose tool ran, once for each time.
    pub(super) fn runs(&self) -> Result<Vec<String>> {
        self.lines("runs")
    }

    fn lines(&self, name: &str) -> Result<Vec<String>> {
        match std::fs::read_to_string(self.dir.join(name)) {
            Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// A tool that holds the lock of its conversation as long as anything of it lives, and leaves a process that outlives the
    /// child unless somebody ends it. 75 is what `flock` says when the lock is taken.
    fn tool(&self, conversation: &str, key: &str, more: &str) -> String {
        let dir = self.dir.display();
        format!(
            "[[exec exec 9>{dir}/{conversation}.lock; flock -n -E 75 9; test $? != 75 || echo {key} >> {dir}/overlaps; \
             echo {key} >> {dir}/runs; setsid -f sleep 600{more}]]"
        )
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Names it, wherever it turns up.
    pub key: String,
    /// Number of the client that sends it.
    pub sender: usize,
    /// The agent.
    pub channel: String,
    /// Whether letters to that agent without a subject are one conversation.
    pub one_conversation: bool,
    /// What its turn does.
    pub kind: Kind,
    /// Written as a note of the vault instead of posted to the agent.
    pub as_note: bool,
    /// Names the conversation.
    pub subject: Option<&'static str>,
    /// The agent that is told the outcome.
    pub reply_to: Option<String>,
}

impl Letter {
    /// The conversation that it belongs to, as a word for a file's name.
    pub(super) fn conversation(&self) -> String {
        match self.subject {
            Some(subject) => format!("{}--{}", self.channel, subject.replace(' ', "-")),
            None if self.one_conversation => self.channel.clone(),
            None => self.key.clone(),
        }
    }

    /// Whether its turn may run a tool, and how it would say so.
    pub(super) fn works(&self) -> bool {
        self.kind.works()
    }

    /// Whether an answer fits it.
    pub(super) fn is_answered_by(&self, reply: &str) -> bool {
        let own = format!("answer to {}", self.key);
        if self.kind == Kind::Gathered {
            reply.split("\n\n").any(|part| part == own)
        } else if self.kind.answers() {
            reply.ends_with(&own)
        } else {
            reply.is_empty()
        }
    }

    fn text(&self, traces: &Traces) -> String {
        let tool = |more: &str| traces.tool(&self.conversation(), &self.key, more);
        let before = match self.kind {
            Kind::Work => format!("{} [[slow 3x10ms]]", tool("")),
            Kind::SlowWork => format!("{} [[slow 10x50ms]]", tool("")),
            Kind::LongWork => tool("; sleep 1.5"),
            Kind::Retried => format!("[[retry 529 x2]] {}", tool("")),
            Kind::LostSession => format!("{} [[lost-session]]", tool("")),
            Kind::Quick | Kind::Gathered | Kind::Urgent => String::new(),
            Kind::Tool => "[[think well]] [[tool Read {\"path\":\"x\"}]]".to_owned(),
            Kind::Unsaved => "[[unsaved]]".to_owned(),
            Kind::Noisy => "[[garbage]] [[think a lot]]".to_owned(),
            Kind::Empty => return "[[empty]]".to_owned(),
            Kind::Fails(error) => return format!("[[slow 2x10ms]] [[error {error}]]"),
            Kind::Crash => return "[[crash]]".to_owned(),
            Kind::Hang => return "[[hang]]".to_owned(),
        };
        format!("{before} [[reply answer to {}]]", self.key)
    }

    /// What it does to the others of its conversation.
    fn mode(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Gathered => Some("collect"),
            Kind::Urgent => Some("interrupt"),
            _ => None,
        }
    }

    /// Sends it, under the same key each time. `None` when no answer came.
    pub(super) async fn send(&self, daemon: &Daemon, traces: &Traces) -> Result<Option<Reply>> {
        let (sender, text) = (format!("sender-{}", self.sender), self.text(traces));
        if self.as_note {
            let mut metadata = json!({"agent": self.channel, "sender": sender});
            self.add_rest(&mut metadata);
            let note = json!({
                "content": text, "tags": ["agent/message", "agent/message/inbound"], "metadata": metadata,
                "if_missing": "create", "force": true
            });
            let path = ["vault", "default", "api", "notes", &format!("letters/{}", self.key)];
            daemon.try_request(Method::PATCH, &path, None, Some(&note)).await
        } else {
            let mut body = json!({"text": text, "sender": sender});
            self.add_rest(&mut body);
            let path = ["api", "channels", &self.channel, "send"];
            daemon
                .try_request(Method::POST, &path, Some(&self.key), Some(&body))
                .await
        }
    }

    fn add_rest(&self, fields: &mut Value) {
        if let Some(subject) = self.subject {
            fields["subject"] = subject.into();
        }
        if let Some(requester) = &self.reply_to {
            fields["reply_to"] = requester.as_str().into();
        }
        if let Some(mode) = self.mode() {
            fields["mode"] = mode.into();
        }
        fields["correlation_id"] = self.key.as_str().into();
    }
}
