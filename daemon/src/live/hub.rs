//! Where events are told, and where watching begins.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use jiff::Timestamp;
use reveille_backends::Event;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use super::bell::Bell;
use super::chunk::Chunk;
use super::line::{About, Line, Run};
use super::pace::{self, Held};
use super::pulse::Pulse;
use super::story::{Piece, Story};
use super::watch::{Scope, Watch};
use super::{Happening, Subject};
use crate::bridges::Told;

#[derive(Serialize)]
struct TurnBody<'a> {
    seq: u64,
    #[serde(flatten)]
    subject: &'a Subject,
    at: Timestamp,
    #[serde(flatten)]
    happening: &'a Happening,
}

#[derive(Serialize)]
struct AgentBody<'a> {
    seq: u64,
    channel: &'a str,
    at: Timestamp,
    kind: &'a str,
}

/// All live events. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Hub {
    boot: Arc<str>,
    line: Arc<Mutex<Line>>,
    /// Rings for the events of all channels.
    news: Bell,
    /// Rings when somebody begins to watch several channels or all.
    came: Arc<Notify>,
    /// What is told once for many changes.
    pulse: Arc<Pulse>,
    /// Pieces of a text are told together.
    paced: bool,
    /// Who has a webhook.
    told: Told,
}

impl Hub {
    /// `boot` names this run of the daemon: numbers of an earlier one mean nothing. Every event is told by itself.
    #[must_use]
    pub(crate) fn new(boot: &str) -> Self {
        Self {
            boot: boot.into(),
            line: Arc::new(Mutex::new(Line::new())),
            news: Bell::default(),
            came: Arc::default(),
            pulse: Arc::default(),
            paced: false,
            told: Told::default(),
        }
    }

    /// The same, but pieces of a text that follow each other closely are told as one.
    #[must_use]
    pub(crate) fn paced(self) -> Self {
        Self { paced: true, ..self }
    }

    /// The same, and what turns tell is told to who has a webhook.
    #[must_use]
    pub(crate) fn telling(self, told: Told) -> Self {
        Self { told, ..self }
    }

    /// Who has a webhook.
    #[must_use]
    pub(crate) fn told(&self) -> &Told {
        &self.told
    }

    /// Tells what is held of a turn whose end comes next.
    pub(crate) fn flush(&self, turn: Uuid) {
        let mut line = self.line();
        if let Some(held) = line.pace.take(turn) {
            self.tell_held(&mut line, held);
        }
    }

    pub(super) fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }

    /// Tells it to all watchers of the channel.
    pub(crate) fn tell(&self, subject: &Subject, happening: &Happening) {
        let mut line = self.line();
        if let (true, Happening::Turn(Event::TextDelta { text })) = (self.paced, happening) {
            let own = line.channels.get(&subject.channel);
            let watchers = own.map_or(0, |channel| channel.news.listeners()) + self.news.listeners();
            match line.pace.piece(subject, text, Instant::now(), watchers) {
                pace::Piece::Now => {}
                pace::Piece::Later => return,
                pace::Piece::At(at) => return self.ask_at(at, line),
            }
        }
        let held = match happening {
            Happening::Turn(Event::TextDelta { .. }) => line.pace.take(subject.turn),
            // Told beside the run, perhaps long after it.
            _ if happening.is_aside() => None,
            _ => line.pace.end(subject.turn),
        };
        if let Some(held) = held {
            self.tell_held(&mut line, held);
        }
        self.tell_in(&mut line, subject, Timestamp::now(), happening);
    }

    /// Tells what is held when it is due, and goes on as long as there is more.
    fn ask_at(&self, at: Instant, mut line: MutexGuard<'_, Line>) {
        // Without a clock nothing is held.
        let Ok(runtime) = Handle::try_current() else {
            return self.tell_due(&mut line);
        };
        let hub = self.clone();
        runtime.spawn(async move {
            tokio::time::sleep_until(at).await;
            hub.tell_due(&mut hub.line());
        });
    }

    fn tell_due(&self, line: &mut Line) {
        for held in line.pace.due(Instant::now()) {
            self.tell_held(line, held);
        }
    }

    fn tell_held(&self, line: &mut Line, held: Held) {
        let Held { subject, text, since } = held;
        self.tell_in(line, &subject, since, &Happening::Turn(Event::TextDelta { text }));
    }

    fn tell_in(&self, line: &mut Line, subject: &Subject, at: Timestamp, happening: &Happening) {
        let run = match () {
            () if happening.ends_turn() => Run::End,
            () if happening.is_aside() => Run::Aside,
            () if happening.completes_deltas() => Run::Whole,
            () => Run::Part,
        };
        let about = About::Turn(subject.turn);
        let told = self.push_in(line, &subject.channel, about, &happening.piece(), run, "turn", |seq| {
            TurnBody {
                seq,
                subject,
                at,
                happening,
            }
        });
        if let (Happening::Turn(_), Some(data)) = (happening, told) {
            self.told.event(subject, &data);
        }
    }

    /// What a turn that runs has told so far.
    #[must_use]
    pub(crate) fn story(&self, channel: &str, turn: Uuid) -> Option<Story> {
        let line = self.line();
        let running = line.channels.get(channel)?.running.get(&turn)?;
        Some(running.story.clone())
    }

    /// An agent was made or is another now: its definition, whether it is paused, what it is connected to.
    pub(crate) fn agent_changed(&self, name: &str) {
        self.tell_agent(name, "changed");
    }

    /// There is no agent of that name any more.
    pub(crate) fn agent_removed(&self, name: &str) {
        self.tell_agent(name, "removed");
    }

    fn tell_agent(&self, channel: &str, kind: &str) {
        self.told.touch();
        let mut line = self.line();
        // A watcher is never told what became of agents before it came: the first one asks for them. At a start they all come.
        if !line.watched {
            return;
        }
        let body = |seq| AgentBody {
            seq,
            channel,
            at: Timestamp::now(),
            kind,
        };
        // silent-ok: its text is for webhooks, which are told of turns alone
        let _ = self.push_in(
            &mut line,
            channel,
            About::Agent,
            &Piece::Other,
            Run::Aside,
            "agent",
            body,
        );
    }

    pub(super) fn push<B: Serialize>(
        &self,
        channel: &str,
        about: About,
        piece: &Piece<'_>,
        run: Run,
        event: &str,
        body: impl FnOnce(u64) -> B,
    ) {
        // silent-ok: its text is for webhooks, which are told of turns alone
        let _ = self.push_in(&mut self.line(), channel, about, piece, run, event, body);
    }

    /// Answers the event itself, as JSON.
    #[expect(clippy::too_many_arguments, reason = "as many as make an event")]
    fn push_in<B: Serialize>(
        &self,
        line: &mut Line,
        channel: &str,
        about: About,
        piece: &Piece<'_>,
        run: Run,
        event: &str,
        body: impl FnOnce(u64) -> B,
    ) -> Option<Bytes> {
        let seq = line.newest + 1;
        let text = match serde_json::to_string(&body(seq)) {
            Ok(text) => text,
            Err(error) => {
                tracing::error!(%error, "a live event could not be serialised");
                return None;
            }
        };
        let before = format!("id: {}-{seq}\nevent: {event}\ndata: ", self.boot);
        let parts = [before.as_bytes(), text.as_bytes(), b"\n\n"];
        let chunk = Chunk::of(parts.into_iter());
        let data = chunk.text().slice(before.len()..before.len() + text.len());
        line.push(channel, about, piece, run, chunk, data.clone());
        self.news.ring();
        Some(data)
    }

    /// Forgets what a turn told that is put back in line: it will start again.
    pub(crate) fn forget(&self, channel: &str, turn: Uuid) {
        let mut line = self.line();
        drop(line.pace.end(turn));
        if let Some(channel) = line.channels.get_mut(channel) {
            channel.running.remove(&turn);
        }
    }

    /// Begins to watch the turns of a channel. `last` is the id of the last event that the watcher saw.
    #[must_use]
    pub(crate) fn watch(&self, channel: &str, last: Option<&str>) -> Watch {
        self.begin(Scope::Turns(channel.to_owned()), last)
    }

    /// Begins to watch several channels, or all, with what is told of the agents themselves.
    #[must_use]
    pub(crate) fn watch_all(&self, scope: Scope, last: Option<&str>) -> Watch {
        self.begin(scope, last)
    }

    fn begin(&self, scope: Scope, last: Option<&str>) -> Watch {
        let seen = last.map(|id| {
            let number = id.rsplit_once('-').filter(|(boot, _)| *boot == &*self.boot);
            number.and_then(|(_, seq)| seq.parse().ok()) // silent-ok: no number of ours
        });
        let mut line = self.line();
        line.tidy();
        line.watched = true;
        let news = match &scope {
            Scope::Turns(name) => line.channel(name).news.listen(),
            _ => {
                self.came.notify_one();
                self.news.listen()
            }
        };
        Watch::begin(Arc::clone(&self.line), &line, scope, news, seen)
    }

    /// How many watch a channel by itself.
    #[must_use]
    pub(crate) fn watchers(&self, channel: &str) -> usize {
        let line = self.line();
        line.channels.get(channel).map_or(0, |channel| channel.news.listeners())
    }

    /// How many watch one channel each.
    #[must_use]
    pub(crate) fn watchers_of_one(&self) -> usize {
        let line = self.line();
        line.channels.values().map(|channel| channel.news.listeners()).sum()
    }

    /// Returns when somebody begins to watch several channels or all, or did since this was asked last. For one who waits.
    pub(crate) async fn somebody_came(&self) {
        self.came.notified().await;
    }

    /// How many watch several channels or all.
    #[must_use]
    pub(crate) fn watchers_of_all(&self) -> usize {
        self.news.listeners()
    }
}
