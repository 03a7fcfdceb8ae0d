//! The model: names that are given, and what moves with them.

use std::collections::BTreeSet;

use reveille_queue::{ChannelName, Lane, Renamed, State};

use crate::reference::Model;

impl Model {
    /// All at once. Says what moved, and which conversations need another key; `None` for a contradiction.
    pub(crate) fn bind(&mut self, bindings: &[(String, ChannelName)]) -> Option<(Vec<Renamed>, Vec<usize>)> {
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
        for (note, channel) in bindings {
            self.bindings
                .retain(|other, held| held != channel || other == note || notes.contains(other));
        }
        self.bindings.extend(bindings.iter().cloned());
        let aside = self.rename(&renamed);
        Some((renamed, aside))
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
            for index in self.line(there, State::Waiting) {
                for joined in self.joined(self.turns[index].id) {
                    self.turns[joined].conversation = mine;
                }
                self.turns[index].conversation = mine;
                self.turns[index].cut_session = None;
            }
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
