//! What must be true of a journal whatever has happened to the daemon.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::{Journal, JournalNote, JournalTurn, Spend};

impl Journal {
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
                // One that was cut off waits with the time of that attempt, and others may be put before it meanwhile.
                let put_before = later.state == "waiting" && earlier.seq > later.seq;
                let overtaken = !earlier.is_settled() && later.state != "waiting";
                let early = earlier.settled_at > later.claimed_at.or(earlier.settled_at);
                if overtaken || (early && !put_before) {
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

    use super::*;

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
