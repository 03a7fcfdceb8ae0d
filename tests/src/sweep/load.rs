//! The clients: each sends its letters one after the other, and again what was not acknowledged.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures_util::future::try_join_all;
use http::Method;
use serde_json::{Value, json};

use super::letter::{Letter, Traces};
use super::plan::{Round, SENDERS, channel};
use crate::Daemon;

/// Before a client asks again that was told to come later.
const PAUSE: Duration = Duration::from_millis(20);

/// A letter that was acknowledged.
#[derive(Debug, Clone)]
pub(super) struct Taken {
    pub(super) letter: Letter,
    pub(super) note: String,
    /// The turn, when the answer named it.
    pub(super) turn: Option<String>,
}

/// One client.
#[derive(Debug, Default)]
struct Sender {
    letters: VecDeque<Letter>,
    taken: Vec<Taken>,
    refused: u64,
}

/// All clients.
#[derive(Debug)]
pub(super) struct Senders {
    senders: Vec<Sender>,
    traces: Traces,
}

impl Senders {
    pub(super) fn new(traces: Traces) -> Self {
        let senders = std::iter::repeat_with(Sender::default).take(SENDERS).collect();
        Self { senders, traces }
    }

    pub(super) fn write(&mut self, letter: &Letter) {
        let count = self.senders.len();
        self.senders[letter.sender % count].letters.push_back(letter.clone());
    }

    /// Sends until all letters are taken or no answer comes any more.
    pub(super) async fn send(&mut self, daemon: &Daemon) -> Result<()> {
        let traces = &self.traces;
        try_join_all(self.senders.iter_mut().map(|sender| sender.send(daemon, traces))).await?;
        Ok(())
    }

    /// Whether nothing is left to be sent.
    pub(super) fn are_done(&self) -> bool {
        self.senders.iter().all(|sender| sender.letters.is_empty())
    }

    /// Answers that told a client to come later.
    pub(super) fn refused(&self) -> u64 {
        self.senders.iter().map(|sender| sender.refused).sum()
    }

    /// All that was acknowledged, by note.
    pub(super) fn taken(&self) -> BTreeMap<&str, &Taken> {
        let taken = self.senders.iter().flat_map(|sender| &sender.taken);
        taken.map(|taken| (taken.note.as_str(), taken)).collect()
    }

    /// What each client knows to have been accepted, in the order in which it knows it, by conversation.
    pub(super) fn lines(&self) -> Vec<Vec<&str>> {
        let mut lines: BTreeMap<(usize, String), Vec<&str>> = BTreeMap::new();
        for taken in self.senders.iter().flat_map(|sender| &sender.taken) {
            if let Some(turn) = &taken.turn {
                let line = (taken.letter.sender, taken.letter.conversation());
                lines.entry(line).or_default().push(turn);
            }
        }
        lines.into_values().collect()
    }
}

impl Sender {
    async fn send(&mut self, daemon: &Daemon, traces: &Traces) -> Result<()> {
        while let Some(letter) = self.letters.front() {
            let Some(reply) = letter.send(daemon, traces).await? else {
                return Ok(());
            };
            match reply.status {
                200..300 => {
                    let note = reply.body["id"].as_str().context("an acknowledged letter has a note")?;
                    let turn = reply.body["turn"].as_str();
                    let (note, turn) = (note.to_owned(), turn.map(str::to_owned));
                    if let Some(letter) = self.letters.pop_front() {
                        self.taken.push(Taken { letter, note, turn });
                    }
                }
                429 | 503 => {
                    self.refused += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                status => bail!("the daemon answered {} with {status}: {}", letter.key, reply.body),
            }
        }
        Ok(())
    }
}

/// Stops what runs in some channels, and edits the definitions of some, at their moments. Answers how many turns were stopped.
pub(super) async fn meddle(daemon: &Daemon, round: &Round) -> Result<u64> {
    let stops = round.stops.iter().map(async |(moment, number)| {
        // Not a wait for something: the moment itself is what is tested.
        tokio::time::sleep(*moment).await;
        stop(daemon, &channel(*number)).await
    });
    let edits = round.edits.iter().map(async |(moment, number)| {
        tokio::time::sleep(*moment).await;
        edit(
            daemon,
            &channel(*number),
            &format!("You help. Edition {}.", round.faults),
        )
        .await
    });
    let (stopped, _edited) = tokio::try_join!(try_join_all(stops), try_join_all(edits))?;
    Ok(stopped.into_iter().map(u64::from).sum())
}

async fn stop(daemon: &Daemon, channel: &str) -> Result<bool> {
    let agent = daemon
        .try_request(Method::GET, &["api", "agents", channel], None, None)
        .await?;
    let running = agent.map(|agent| agent.body["running"]["turn"].clone());
    let Some(turn) = running.as_ref().and_then(Value::as_str) else {
        return Ok(false);
    };
    let path = ["api", "turns", turn, "stop"];
    let answer = daemon.try_request(Method::POST, &path, None, None).await?;
    Ok(answer.is_some_and(|answer| answer.status == 200))
}

async fn edit(daemon: &Daemon, channel: &str, role: &str) -> Result<()> {
    let path = ["vault", "default", "api", "notes", &format!("Agents/{channel}")];
    let change = json!({"content": role, "force": true});
    // Whether it was taken does not matter: it may be lost with the daemon.
    daemon.try_request(Method::PATCH, &path, None, Some(&change)).await?;
    Ok(())
}
