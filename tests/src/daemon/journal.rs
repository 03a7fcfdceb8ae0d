//! What a daemon has on disk about its turns, and what must be true of that whatever has happened to the daemon.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rusqlite::{Connection, Row};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Daemon, StateTables};
use crate::eventually;

/// Everything of one moment: the queue as one snapshot, then the vault.
#[derive(Debug, Clone, PartialEq)]
pub struct Journal {
    /// In the order of their acceptance.
    pub turns: Vec<JournalTurn>,
    /// In the order of their first message.
    pub conversations: Vec<JournalConversation>,
    /// Effects that are not delivered.
    pub outbox: u64,
    /// The turns that they belong to.
    pub undelivered: BTreeSet<Uuid>,
    /// All notes of the vault.
    pub notes: Vec<JournalNote>,
}

/// A row of the queue's table of turns.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct JournalTurn {
    pub id: Uuid,
    pub conversation: Uuid,
    pub channel: String,
    pub note: String,
    /// The message as it was accepted.
    pub body: Value,
    pub state: String,
    pub interruptions: u64,
    /// Milliseconds since 1970.
    pub claimed_at: Option<i64>,
    /// Milliseconds since 1970.
    pub settled_at: Option<i64>,
    /// What was kept of its end; `Null` while it is open.
    pub record: Value,
    pub spend: Spend,
    /// Place in line.
    pub rank: i64,
    /// The turn that it is part of.
    pub leader: Option<Uuid>,
}

/// A row of the queue's table of conversations.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct JournalConversation {
    pub id: Uuid,
    pub channel: String,
    pub turns: u64,
    pub spend: Spend,
}

/// Tokens (input, output, cache read, cache write) and billionths of a US dollar.
pub type Spend = [u64; 5];

/// A row of the vault's table of notes.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct JournalNote {
    pub id: String,
    pub tags: Vec<String>,
    pub metadata: Map<String, Value>,
    pub content: String,
}

impl JournalTurn {
    /// Whether nothing more will happen to it.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !matches!(self.state.as_str(), "waiting" | "working" | "joined")
    }

    /// Whether it has ended and was more than a message that was withdrawn while it waited, or part of another turn.
    fn was_turn(&self) -> bool {
        self.is_settled() && self.claimed_at.is_some() && self.leader.is_none()
    }

    /// The answer that was kept, or `""`.
    #[must_use]
    pub fn reply(&self) -> &str {
        self.record["reply"].as_str().unwrap_or_default()
    }
}

impl JournalNote {
    /// A value of the metadata that is text, or `""`.
    #[must_use]
    pub fn text(&self, key: &str) -> &str {
        self.metadata.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    fn has(&self, tag: &str) -> bool {
        self.tags.iter().any(|own| own == tag)
    }

    /// Whether it is a message that wakes an agent. An answer or a definition never does, whatever else it carries.
    #[must_use]
    pub fn is_inbound(&self) -> bool {
        self.has("agent/message/inbound")
            && !self.is_outbound()
            && !self.has("agent/definition")
            && self.text("direction") != "outbound"
    }

    /// Whether it is an answer of an agent.
    #[must_use]
    pub fn is_outbound(&self) -> bool {
        self.has("agent/message/outbound")
    }

    /// Whether it tells an agent of a turn that it had asked for.
    #[must_use]
    pub fn is_callback(&self) -> bool {
        self.is_inbound() && self.text("callback") == "true"
    }
}

impl Journal {
    fn read(tables: &mut StateTables) -> Result<Self> {
        // The queue first: what it has delivered by then is in the vault.
        let queue = tables.queue.transaction()?;
        let turns = all(
            &queue,
            "SELECT id, conversation, channel, note, body, state, interruptions, claimed_at, settled_at, record, \
             input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, nano_usd, rank, leader \
             FROM turns ORDER BY seq",
            turn,
        )?;
        let conversations = all(
            &queue,
            "SELECT id, channel, turns, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, nano_usd \
             FROM conversations ORDER BY seq",
            |row| {
                Ok(JournalConversation {
                    id: row.get(0)?,
                    channel: row.get(1)?,
                    turns: row.get(2)?,
                    spend: spend(row, 3)?,
                })
            },
        )?;
        let outbox = queue.query_row("SELECT count(*) FROM outbox", [], |row| row.get(0))?;
        let undelivered = all(&queue, "SELECT turn FROM outbox", |row| Ok(row.get(0)?))?;
        drop(queue);
        let notes = all(
            &tables.vault,
            "SELECT id, tags, metadata, content FROM notes ORDER BY seq",
            |row| {
                Ok(JournalNote {
                    id: row.get(0)?,
                    tags: serde_json::from_str(&row.get::<_, String>(1)?)?,
                    metadata: serde_json::from_str(&row.get::<_, String>(2)?)?,
                    content: row.get(3)?,
                })
            },
        )?;
        Ok(Self {
            turns,
            conversations,
            outbox,
            undelivered: undelivered.into_iter().collect(),
            notes,
        })
    }

    /// Whether there is nothing left to do: every message has a turn that has ended, and everything is delivered.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        let settled: BTreeSet<_> = self
            .turns
            .iter()
            .filter(|turn| turn.is_settled())
            .map(|turn| turn.note.as_str())
            .collect();
        self.outbox == 0
            && settled.len() == self.turns.len()
            && self.inbound().all(|note| settled.contains(note.id.as_str()))
    }

    /// What is not as it must be once everything is quiet, a sentence each. Each sentence is a bug.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        let mut found = self.violations_at_any_time();
        self.check_messages(&mut found);
        self.check_callbacks(&mut found);
        self.check_threads(&mut found);
        found
    }

    /// The same for what must be so at every moment, also when the daemon has just died in the middle of its work.
    #[must_use]
    pub fn violations_at_any_time(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.check_order(&mut found);
        self.check_answers(&mut found);
        self.check_sums(&mut found);
        found
    }

    /// Each message has one turn, which has ended; each turn has a message.
    fn check_messages(&self, found: &mut Vec<String>) {
        let mut turns: BTreeMap<&str, Vec<&JournalTurn>> = BTreeMap::new();
        for turn in &self.turns {
            turns.entry(&turn.note).or_default().push(turn);
            if !turn.is_settled() || turn.settled_at.is_none() {
                found.push(format!("turn {} of {} is {}", turn.id, turn.channel, turn.state));
            }
        }
        let notes: BTreeSet<&str> = self.inbound().map(|note| note.id.as_str()).collect();
        for note in &notes {
            let count = turns.get(note).map_or(0, Vec::len);
            if count != 1 {
                found.push(format!("message {note} has {count} turns"));
            }
        }
        for note in turns.keys().filter(|note| !notes.contains(*note)) {
            found.push(format!("there is a turn for {note}, which is no message"));
        }
        if self.outbox != 0 {
            found.push(format!("{} effects are not delivered", self.outbox));
        }
    }

    /// The turns of a conversation ran one after the other, in the order of the line.
    fn check_order(&self, found: &mut Vec<String>) {
        for conversation in &self.conversations {
            for pair in self.line(conversation.id).windows(2) {
                let (earlier, later) = (pair[0], pair[1]);
                let overtaken = !earlier.is_settled() && later.state != "waiting";
                if overtaken || earlier.settled_at > later.claimed_at.or(earlier.settled_at) {
                    found.push(format!("turn {} began before {} had ended", later.id, earlier.id));
                }
            }
        }
    }

    /// An answer for each turn that has something to say, and no more. One that is missing is still to be delivered.
    fn check_answers(&self, found: &mut Vec<String>) {
        let mut answers: BTreeMap<&str, Vec<&JournalNote>> = BTreeMap::new();
        for note in self.notes.iter().filter(|note| note.is_outbound()) {
            answers.entry(note.text("turn")).or_default().push(note);
        }
        for turn in &self.turns {
            let notes = answers.remove(turn.id.to_string().as_str()).unwrap_or_default();
            let failure = turn.record.get("failure").is_some();
            let expected = usize::from(turn.leader.is_none() && (failure || !turn.reply().is_empty()));
            let owed = self.undelivered.contains(&turn.id);
            if notes.len() != expected && !(owed && notes.len() < expected) {
                let (state, count) = (&turn.state, notes.len());
                found.push(format!(
                    "turn {} ({state}) has {count} answers, not {expected}",
                    turn.id
                ));
            }
            for note in notes {
                let kind = if failure { "failure" } else { "" };
                let same = failure || note.content == turn.reply();
                if note.text("kind") != kind || note.text("in_reply_to") != turn.note || !same {
                    found.push(format!("the answer of turn {} is not its own: {note:?}", turn.id));
                }
            }
        }
        for turn in answers.keys() {
            found.push(format!("there is an answer for {turn}, which is no turn"));
        }
    }

    /// One word to each requester.
    fn check_callbacks(&self, found: &mut Vec<String>) {
        let asked = self
            .turns
            .iter()
            .filter(|turn| turn.body.get("reply_to").is_some())
            .count();
        let told = self.notes.iter().filter(|note| note.is_callback()).count();
        if asked != told {
            found.push(format!("{asked} turns had a requester, {told} callbacks were written"));
        }
        let mut told: BTreeMap<&str, usize> = BTreeMap::new();
        for note in self.notes.iter().filter(|note| note.is_callback()) {
            *told.entry(note.text("source_message")).or_default() += 1;
        }
        // The messages of one turn share its reply, and each may have a requester.
        for answer in self.notes.iter().filter(|note| note.is_outbound()) {
            let (turn, told) = (answer.text("turn"), told.get(answer.id.as_str()).copied());
            let part = |other: &JournalTurn| other.leader.unwrap_or(other.id).to_string() == turn;
            let asked = |other: &&JournalTurn| other.body.get("reply_to").is_some() && part(other);
            let most = || self.turns.iter().filter(asked).count();
            if told.is_some_and(|told| told > most()) {
                found.push(format!("reply {} was told too often", answer.id));
            }
        }
    }

    /// The settled turns of a conversation: how many, and what they took.
    fn ended(&self, conversation: Uuid) -> (u64, Spend) {
        let (mut count, mut sum) = (0, Spend::default());
        for turn in self.turns_of(conversation).filter(|turn| turn.was_turn()) {
            count += 1;
            for (total, part) in sum.iter_mut().zip(turn.spend) {
                *total += part;
            }
        }
        (count, sum)
    }

    /// Sums are those of the turns.
    fn check_sums(&self, found: &mut Vec<String>) {
        for conversation in &self.conversations {
            let (count, sum) = self.ended(conversation.id);
            if (conversation.turns, conversation.spend) != (count, sum) {
                found.push(format!("{conversation:?} but its turns are {count} and took {sum:?}"));
            }
        }
    }

    /// The thread note says the same.
    fn check_threads(&self, found: &mut Vec<String>) {
        for conversation in &self.conversations {
            let (count, sum) = self.ended(conversation.id);
            let line = self.line(conversation.id);
            let last = line.iter().rfind(|turn| turn.claimed_at.is_some());
            let last = last.map(|turn| turn.state.clone());
            let id = conversation.id.to_string();
            let told = self.notes.iter().find(|note| note.id == id).map(|note| {
                (
                    note.text("turn_count").to_owned(),
                    note.text("status").to_owned(),
                    nano_usd(note.text("total_cost_usd")),
                )
            });
            let expected = last.map(|state| (count.to_string(), state, Some(sum[4])));
            if told != expected {
                found.push(format!(
                    "the thread note of {} says {told:?}, not {expected:?}",
                    conversation.channel
                ));
            }
        }
    }

    /// The messages to agents.
    pub fn inbound(&self) -> impl Iterator<Item = &JournalNote> {
        self.notes.iter().filter(|note| note.is_inbound())
    }

    /// The turns of a conversation in the order in which they run, those that are part of another one left out.
    fn line(&self, conversation: Uuid) -> Vec<&JournalTurn> {
        let mut line: Vec<_> = self
            .turns_of(conversation)
            .filter(|turn| turn.leader.is_none())
            .collect();
        line.sort_by_key(|turn| turn.rank);
        line
    }

    /// The turns of a conversation in the order of their acceptance.
    pub fn turns_of(&self, conversation: Uuid) -> impl DoubleEndedIterator<Item = &JournalTurn> {
        self.turns.iter().filter(move |turn| turn.conversation == conversation)
    }
}

impl Daemon {
    /// What it has on disk now.
    ///
    /// # Errors
    /// When a database cannot be read.
    pub fn journal(&self) -> Result<Journal> {
        Journal::read(&mut self.state_tables()?)
    }

    /// Waits until nothing is left to do.
    ///
    /// # Errors
    /// When something is after `limit`.
    pub async fn wait_quiet(&self, limit: Duration) -> Result<Journal> {
        let mut last = None;
        let quiet = eventually(
            "all messages have ended and all answers are delivered",
            limit,
            async || {
                let journal = self.journal()?;
                let quiet = journal.is_quiet();
                let kept = last.insert(journal);
                Ok(quiet.then(|| kept.clone()))
            },
        );
        let quiet = quiet.await;
        quiet.with_context(|| {
            let problems = last.map(|journal| journal.violations());
            format!("{problems:#?}\n{}", self.log_tail())
        })
    }
}

fn all<T>(connection: &Connection, sql: &str, read: impl Fn(&Row<'_>) -> Result<T>) -> Result<Vec<T>> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

fn turn(row: &Row<'_>) -> Result<JournalTurn> {
    let record: Option<String> = row.get(9)?;
    Ok(JournalTurn {
        id: row.get(0)?,
        conversation: row.get(1)?,
        channel: row.get(2)?,
        note: row.get(3)?,
        body: serde_json::from_str(&row.get::<_, String>(4)?)?,
        state: row.get(5)?,
        interruptions: row.get(6)?,
        claimed_at: row.get(7)?,
        settled_at: row.get(8)?,
        record: record.map_or(Ok(Value::Null), |text| serde_json::from_str(&text))?,
        spend: spend(row, 10)?,
        rank: row.get(15)?,
        leader: row.get(16)?,
    })
}

fn spend(row: &Row<'_>, first: usize) -> Result<Spend> {
    let mut spend = Spend::default();
    for (offset, number) in spend.iter_mut().enumerate() {
        *number = row.get(first + offset)?;
    }
    Ok(spend)
}

/// `0.0123` US dollars in billionths, without a detour over floating point; nothing stands for none.
fn nano_usd(text: &str) -> Option<u64> {
    if text.is_empty() {
        return Some(0);
    }
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{decimals:0<9}");
    digits.parse().ok() // silent-ok: what is no number equals no sum
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_wakes_an_agent_is_waited_for() {
        let (inbound, outbound, definition) = ("agent/message/inbound", "agent/message/outbound", "agent/definition");
        for (tags, metadata, expected) in [
            (&[inbound][..], json!({}), true),
            (&["agent/message"], json!({}), false),
            (&[inbound, outbound], json!({}), false),
            (&[inbound, definition], json!({"agent": "eng"}), false),
            (&[inbound], json!({"direction": "outbound"}), false),
            (&[inbound], json!({"direction": "inbound"}), true),
        ] {
            let note = JournalNote {
                id: "n".to_owned(),
                tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
                metadata: metadata.as_object().cloned().unwrap_or_default(),
                content: String::new(),
            };
            let journal = Journal {
                turns: Vec::new(),
                conversations: Vec::new(),
                outbox: 0,
                undelivered: BTreeSet::new(),
                notes: vec![note],
            };
            assert_eq!(journal.is_quiet(), !expected, "{tags:?} {metadata}");
        }
    }

    #[test]
    fn dollars_are_read_exactly() {
        let cases = [
            ("", Some(0)),
            ("0.3", Some(300_000_000)),
            ("12", Some(12_000_000_000)),
            ("0.000000001", Some(1)),
            ("x", None),
        ];
        for (text, expected) in cases {
            assert_eq!(nano_usd(text), expected, "{text:?}");
        }
    }
}
