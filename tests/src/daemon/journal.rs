//! What a daemon has on disk about its turns.

mod check;

use std::collections::BTreeSet;
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
    /// Place in the order of acceptance.
    pub seq: i64,
    /// Place in line: `seq`, until somebody moves it.
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
             input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, nano_usd, seq, rank, leader \
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
        seq: row.get(15)?,
        rank: row.get(16)?,
        leader: row.get(17)?,
    })
}

fn spend(row: &Row<'_>, first: usize) -> Result<Spend> {
    let mut spend = Spend::default();
    for (offset, number) in spend.iter_mut().enumerate() {
        *number = row.get(first + offset)?;
    }
    Ok(spend)
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
}
