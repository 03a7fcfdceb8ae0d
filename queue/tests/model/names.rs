//! The model: names that are given, and what moves with them.

use std::collections::BTreeSet;

use reveille_queue::{ChannelName, Conversation, Lane, Renamed, Spend, State};
use uuid::Uuid;

use crate::reference::Model;

/// What a bind has done.
pub(crate) struct Bound {
    pub(crate) renamed: Vec<Renamed>,
    /// Conversations that need another key.
    pub(crate) aside: Vec<usize>,
    /// New ones, whose identities the model does not know.
    pub(crate) fresh: Vec<usize>,
}

impl Model {
    /// All at once; `None` for a contradiction.
    pub(crate) fn bind(&mut self, bindings: &[(String, ChannelName)]) -> Option<Bound> {
        let pairs: BTreeSet<_> = bindings.iter().collect();
        let notes: BTreeSet<_> = pairs.iter().map(|(note, _)| note).collect();
        let channels: BTreeSet<_> = pairs.iter().map(|(_, channel)| channel).collect();
        if notes.len() < pairs.len() || channels.len() < pairs.len() {
            return None;
        }
        let mut renamed: Vec<Renamed> = Vec::new();
        for (note, to) in bindings {
            let from = self.bindings.get(note).filter(|from| *from != to).cloned();
            let from = from.filter(|from| renamed.iter().all(|other| other.from != *from));
            renamed.extend(from.map(|from| Renamed { from, to: to.clone() }));
        }
        let lost = |(note, channel): &&(String, ChannelName)| {
            let other = self.holders.get(channel).is_some_and(|holder| holder != note);
            other && self.bindings.get(note) != Some(channel) && renamed.iter().all(|name| name.from != *channel)
        };
        let mut lost: Vec<ChannelName> = bindings
            .iter()
            .filter(lost)
            .map(|(_, channel)| channel.clone())
            .collect();
        let mut seen = BTreeSet::new();
        lost.retain(|channel| seen.insert(channel.clone()));
        self.holders
            .retain(|channel, _| renamed.iter().all(|name| name.from != *channel));
        self.holders
            .extend(bindings.iter().map(|(note, channel)| (channel.clone(), note.clone())));
        for (note, channel) in bindings {
            self.bindings
                .retain(|other, held| held != channel || other == note || notes.contains(other));
        }
        self.bindings.extend(bindings.iter().cloned());
        let before = self.conversations.len();
        let theirs: Vec<usize> = lost
            .iter()
            .flat_map(|channel| (0..before).filter(|&there| self.conversations[there].0.lane.channel == *channel))
            .collect();
        let mut aside = self.rename(&renamed);
        for there in theirs {
            if !aside.contains(&there) {
                self.part(there);
                aside.push(there);
            }
        }
        let fresh = (before..self.conversations.len()).collect();
        Some(Bound { renamed, aside, fresh })
    }

    /// What waits in a conversation waits in a new one.
    fn part(&mut self, there: usize) {
        let line = self.line(there, State::Waiting);
        if line.is_empty() {
            return;
        }
        let fresh = Conversation {
            id: Uuid::nil(),
            lane: self.conversations[there].0.lane.clone(),
            session: None,
            turns: 0,
            started_at: None,
            ..self.conversations[there].0.clone()
        };
        self.conversations.push((
            Conversation {
                spend: Spend::default(),
                ..fresh
            },
            0,
        ));
        self.hand_over(&line, self.conversations.len() - 1);
    }

    fn hand_over(&mut self, line: &[usize], mine: usize) {
        for &index in line {
            for joined in self.joined(self.turns[index].id) {
                self.turns[joined].conversation = mine;
            }
            self.turns[index].conversation = mine;
            self.turns[index].cut_session = None;
        }
    }

    fn rename(&mut self, renamed: &[Renamed]) -> Vec<usize> {
        let to = |channel: &ChannelName| {
            let name = renamed.iter().find(|name| name.from == *channel);
            name.map(|name| name.to.clone())
        };
        let stays: Vec<bool> = self
            .conversations
            .iter()
            .map(|(one, _)| to(&one.lane.channel).is_none())
            .collect();
        for (conversation, _) in &mut self.conversations {
            let channel = &mut conversation.lane.channel;
            *channel = to(channel).unwrap_or_else(|| channel.clone());
        }
        let lanes: Vec<Lane> = self.conversations.iter().map(|(one, _)| one.lane.clone()).collect();
        let mut aside = Vec::new();
        for (there, lane) in lanes.iter().enumerate().filter(|(there, _)| stays[*there]) {
            let came = (0..lanes.len()).find(|mine| !stays[*mine] && lanes[*mine] == *lane);
            let Some(mine) = came else { continue };
            self.hand_over(&self.line(there, State::Waiting), mine);
            aside.push(there);
        }
        let (moved, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.pauses)
            .into_iter()
            .partition(|(channel, _)| to(channel).is_some());
        self.pauses.extend(kept);
        self.pauses.extend(
            moved
                .into_iter()
                .filter_map(|(channel, pause)| Some((to(&channel)?, pause))),
        );
        for ((channel, day), totals) in std::mem::take(&mut self.days) {
            let channel = to(&channel).unwrap_or(channel);
            let sum = self.days.entry((channel, day)).or_default();
            sum.turns += totals.turns;
            sum.nano_usd += totals.nano_usd;
        }
        aside
    }
}
