//! What must be so of a daemon's state, from one look at it to the next and beside what the clients know.

use std::collections::{BTreeMap, HashMap, HashSet};

use uuid::Uuid;

use super::letter::Traces;
use super::load::Senders;
use crate::daemon::{Journal, JournalNote, JournalTurn};

/// In which run of the daemon each turn was settled.
#[derive(Debug, Default)]
pub(super) struct Ends {
    runs: HashMap<Uuid, u32>,
}

impl Ends {
    /// Takes what is settled now and was not at the last look: this run has settled it.
    pub(super) fn take(&mut self, journal: &Journal, run: u32) {
        for turn in journal.turns.iter().filter(|turn| turn.is_settled()) {
            self.runs.entry(turn.id).or_insert(run);
        }
    }

    /// The run that settled a turn.
    pub(super) fn run_of(&self, turn: Uuid) -> Option<&u32> {
        self.runs.get(&turn)
    }
}

/// What is there stays: a turn that has ended is as it was, an answer is as it was, no message and no turn is gone.
pub(super) fn progress(before: &Journal, now: &Journal) -> Vec<String> {
    let mut found = Vec::new();
    let turns: HashMap<Uuid, &JournalTurn> = now.turns.iter().map(|turn| (turn.id, turn)).collect();
    for turn in &before.turns {
        match turns.get(&turn.id) {
            None => found.push(format!("the turn {} of {} is gone", turn.id, turn.channel)),
            Some(later) if turn.is_settled() && *later != turn => {
                found.push(format!("a turn that had ended has changed: {turn:?} is now {later:?}"));
            }
            Some(_) => {}
        }
    }
    let notes: HashMap<&str, &JournalNote> = now.notes.iter().map(|note| (note.id.as_str(), note)).collect();
    for note in before
        .notes
        .iter()
        .filter(|note| note.is_inbound() || note.is_outbound())
    {
        match notes.get(note.id.as_str()) {
            None => found.push(format!("the note {} is gone", note.id)),
            Some(later) if *later != note => {
                found.push(format!("a note was written again: {note:?} is now {later:?}"));
            }
            Some(_) => {}
        }
    }
    found
}

/// What was acknowledged is there, each turn belongs to one message, and no requester is told twice.
pub(super) fn kept(now: &Journal, senders: &Senders) -> Vec<String> {
    let mut found = Vec::new();
    let inbound: HashSet<&str> = now.inbound().map(|note| note.id.as_str()).collect();
    for (note, taken) in senders.taken() {
        if !inbound.contains(note) {
            found.push(format!(
                "{} was acknowledged as {note}, which is not there",
                taken.letter.key
            ));
        }
    }
    let (mut messages, mut places) = (HashSet::new(), HashMap::new());
    for (place, turn) in now.turns.iter().enumerate() {
        places.insert(turn.id.to_string(), place);
        if !messages.insert(turn.note.as_str()) || !inbound.contains(turn.note.as_str()) {
            found.push(format!(
                "turn {} is not the one turn of a message: {}",
                turn.id, turn.note
            ));
        }
    }
    for line in senders.lines() {
        let order: Vec<_> = line.iter().map(|turn| places.get(*turn)).collect();
        if order.contains(&None) || !order.is_sorted() {
            found.push(format!(
                "turns that were acknowledged one after the other stand so: {line:?}: {order:?}"
            ));
        }
    }
    let mut told = HashSet::new();
    for note in now.notes.iter().filter(|note| note.is_callback()) {
        if !told.insert(note.text("correlation_id")) {
            found.push(format!("the outcome of {} was told twice", note.text("correlation_id")));
        }
    }
    found
}

/// Once all is quiet: each letter has a turn, with an answer of its own, and its tool ran no more often than it was begun.
pub(super) fn answered(now: &Journal, senders: &Senders, runs: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    let turns: HashMap<&str, &JournalTurn> = now.turns.iter().map(|turn| (turn.note.as_str(), turn)).collect();
    let mut ran: BTreeMap<&str, u64> = BTreeMap::new();
    for key in runs {
        *ran.entry(key).or_default() += 1;
    }
    for (note, taken) in senders.taken() {
        let letter = &taken.letter;
        let Some(turn) = turns.get(note) else {
            found.push(format!("{} was acknowledged and has no turn", letter.key));
            continue;
        };
        if taken.turn.as_ref().is_some_and(|told| *told != turn.id.to_string()) {
            found.push(format!(
                "{} was acknowledged as {:?} and is {}",
                letter.key, taken.turn, turn.id
            ));
        }
        if turn.state == "ok" && !letter.is_answered_by(turn.reply()) {
            found.push(format!("{letter:?} was answered with {:?}", turn.reply()));
        }
        let (count, most) = (
            ran.get(letter.key.as_str()).copied().unwrap_or(0),
            turn.interruptions + 1,
        );
        let least = u64::from(letter.works() && turn.state == "ok");
        if count < least || count > most {
            found.push(format!(
                "the tool of {} ran {count} times in a turn that is {} and was cut off {} times",
                letter.key, turn.state, turn.interruptions
            ));
        }
    }
    found
}

/// Nothing but the parts of one more message may change in a vault that was quiet: the message, its answer, its thread. Each is
/// written once, the thread twice at most.
pub(super) fn only_one_message(changed: &[String], now: &Journal, message: &str) -> Vec<String> {
    let turn = now.turns.iter().find(|turn| turn.note == message);
    let mut allowed: BTreeMap<String, usize> = BTreeMap::from([(message.to_owned(), 1)]);
    if let Some(turn) = turn {
        allowed.insert(turn.conversation.to_string(), 2);
        allowed.extend(turn.record["note"].as_str().map(|note| (note.to_owned(), 1)));
    }
    let mut found = Vec::new();
    for note in changed {
        match allowed.get_mut(note) {
            Some(left) if *left > 0 => *left -= 1,
            _ => found.push(format!("the note {note} was written although nothing had changed")),
        }
    }
    found
}

/// Traces of tools that met something of another turn of their conversation.
pub(super) fn alone(traces: &Traces) -> anyhow::Result<Vec<String>> {
    let overlaps = traces.overlaps()?.into_iter();
    Ok(overlaps
        .map(|key| format!("the tool of {key} met a process of another turn of its conversation"))
        .collect())
}
