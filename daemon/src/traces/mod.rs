//! Traces for a collector of OpenTelemetry: a span for each message, from its acceptance until the last note that follows from
//! its turn is written, with the stages of the turn below it. Owns what is on its way to the collector, in memory and
//! bounded. Must never make a turn wait, nor tell what a message says or what is secret.
//!
//! The span of a message is made from what the queue keeps, and all identities follow from those of notes and turns: a message
//! that was accepted before a restart has one span with its real beginning. What an agent hands on is in the same trace, below
//! the message that made it do so.
//!
//! The exporter is our own: OTLP over HTTP in its JSON encoding is one request with one body, and the client for it is here
//! already. The crates of OpenTelemetry would bring a second set of clients, clocks and queues, and know nothing of restarts.

mod exporter;
mod ids;
mod resolve;
mod span;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use reveille_backends::FailureCode;
use reveille_queue::{Claim, Queue};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config;
use crate::metrics::{Metrics, TraceOutcome};
use crate::record;

pub(crate) use self::exporter::Exporter;
use self::ids::SpanId;
pub(crate) use self::ids::TraceParent;
use self::resolve::Resolver;
use self::span::{Attributes, Event, Kind};

/// Most retries that one span tells of.
const EVENTS_MAX: usize = 32;

/// Whose part a stage is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Whose {
    /// Of the turn's message.
    Leader,
    /// Of the one among the turn's messages of whose end this note tells.
    Callback(String),
}

/// A part of the work on a message.
#[derive(Debug)]
struct Stage {
    turn: Uuid,
    whose: Whose,
    id: SpanId,
    name: &'static str,
    kind: Kind,
    start: Timestamp,
    end: Timestamp,
    attributes: Attributes,
    events: Vec<Event>,
    error: Option<String>,
}

/// What waits to be told.
#[derive(Debug)]
enum Piece {
    Stage(Box<Stage>),
    /// Everything that follows from a turn is done.
    Message {
        turn: Uuid,
        at: Timestamp,
    },
}

struct Inner {
    pieces: mpsc::Sender<Piece>,
    metrics: Metrics,
    /// Some were left out since the last one that was not.
    overflows: AtomicBool,
    closing: CancellationToken,
    closed: CancellationToken,
}

/// Handle. Cheap to clone; without a collector it does nothing.
#[derive(Clone, Default)]
pub(crate) struct Traces(Option<Arc<Inner>>);

/// As configured. The second part of the answer sends, and is to be run.
#[must_use]
pub(crate) fn open(
    config: &config::Traces,
    queue: &Arc<dyn Queue>,
    metrics: &Metrics,
    instance: &str,
) -> (Traces, Option<Exporter>) {
    for remark in &config.remarks {
        tracing::warn!("{remark}");
    }
    let Some(settings) = config.exporter.clone() else {
        return (Traces::default(), None);
    };
    let (pieces, waiting) = mpsc::channel(settings.queue);
    let inner = Inner {
        pieces,
        metrics: metrics.clone(),
        overflows: AtomicBool::new(false),
        closing: CancellationToken::new(),
        closed: CancellationToken::new(),
    };
    let resolver = Resolver::new(Arc::clone(queue), settings.sampler);
    let ends = (inner.closing.clone(), inner.closed.clone());
    let exporter = Exporter::new(settings, instance, waiting, resolver, metrics.clone(), ends);
    (Traces(Some(Arc::new(inner))), Some(exporter))
}

impl Traces {
    fn push(&self, piece: impl FnOnce() -> Piece) {
        let Some(inner) = &self.0 else { return };
        match inner.pieces.try_send(piece()) {
            Ok(()) => inner.overflows.store(false, Ordering::Relaxed),
            Err(_full) => {
                inner.metrics.traced(TraceOutcome::Dropped, 1);
                if !inner.overflows.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "spans are left out: more wait for the collector than may (OTEL_BSP_MAX_QUEUE_SIZE)"
                    );
                }
            }
        }
    }

    /// Whether somebody wants them.
    fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// A turn has ended, and everything that follows from it is done.
    pub(crate) fn finished(&self, turn: Uuid) {
        self.push(|| Piece::Message {
            turn,
            at: Timestamp::now(),
        });
    }

    /// An attempt at a turn that was claimed now.
    pub(crate) fn attempt(&self, claim: &Claim, claimed_at: Timestamp) -> Attempt {
        Attempt(self.is_on().then(|| {
            Arc::new(Recorder {
                traces: self.clone(),
                turn: claim.lease.turn,
                epoch: claim.lease.epoch,
                accepted_at: (claim.interruptions == 0).then_some(claim.accepted_at),
                claimed_at,
                interruptions: claim.interruptions,
                marks: Mutex::default(),
            })
        }))
    }

    /// A try at an effect of the outbox is over.
    pub(crate) fn tried(&self, tried: impl FnOnce() -> Try) {
        self.push(|| Piece::Stage(Box::new(tried().stage())));
    }

    /// Sends what waits, for so long at most.
    pub(crate) async fn close(&self, patience: Duration) {
        let Some(inner) = &self.0 else { return };
        inner.closing.cancel();
        if tokio::time::timeout(patience, inner.closed.cancelled()).await.is_err() {
            tracing::warn!("the last spans did not get to the collector in time");
        }
    }
}

/// A try at an effect of the outbox.
pub(crate) struct Try {
    /// The turn that it follows from.
    pub(crate) turn: Uuid,
    /// The effect, and how often it was tried before.
    pub(crate) effect: (u64, u32),
    /// What it is, in one word.
    pub(crate) kind: &'static str,
    /// Where it goes.
    pub(crate) vault: String,
    /// The note that wakes the agent which asked.
    pub(crate) callback: Option<String>,
    /// When it began.
    pub(crate) start: Timestamp,
    /// What went wrong, in one word.
    pub(crate) error: Option<&'static str>,
}

impl Try {
    fn stage(self) -> Stage {
        let (effect, tries) = self.effect;
        let name = match self.kind {
            "thread" => "deliver thread",
            "reply" => "deliver reply",
            "failure" => "deliver failure",
            "bridge" => "deliver bridge",
            "webhook" => "deliver webhook",
            _ => "deliver callback",
        };
        let id = match (&self.callback, self.error) {
            (Some(note), None) => SpanId::of_callback(note),
            _ => SpanId::of_try(effect, tries),
        };
        Stage {
            turn: self.turn,
            id,
            name,
            kind: match self.callback {
                Some(_) => Kind::Producer,
                None => Kind::Internal,
            },
            start: self.start,
            end: Timestamp::now(),
            attributes: Attributes::default()
                .text("reveille.vault", self.vault)
                .maybe("reveille.note.id", self.callback.as_deref())
                .number("reveille.tries", tries + 1),
            events: Vec::new(),
            error: self.error.map(str::to_owned),
            whose: self.callback.map_or(Whose::Leader, Whose::Callback),
        }
    }
}

#[derive(Default)]
struct Marks {
    prompted: Option<Timestamp>,
    text: Option<Timestamp>,
    ran: Option<Timestamp>,
    warm: bool,
    retries: Vec<Event>,
}

struct Recorder {
    traces: Traces,
    turn: Uuid,
    epoch: u64,
    /// Of a turn that was not begun before.
    accepted_at: Option<Timestamp>,
    claimed_at: Timestamp,
    interruptions: u32,
    marks: Mutex<Marks>,
}

/// What an attempt at a turn has come to. Cheap to clone; without a collector it does nothing.
#[derive(Clone, Default)]
pub(crate) struct Attempt(Option<Arc<Recorder>>);

impl Attempt {
    fn mark(&self, mark: impl FnOnce(&mut Marks)) {
        if let Some(recorder) = &self.0 {
            mark(&mut recorder.marks.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// It ran in a process that had waited for it.
    pub(crate) fn was_warm(&self) {
        self.mark(|marks| marks.warm = true);
    }

    /// A program is about to be given the prompt. Only the first one counts.
    pub(crate) fn prompted(&self) {
        self.mark(|marks| {
            marks.prompted.get_or_insert_with(Timestamp::now);
        });
    }

    /// It has said something. Only the first time counts.
    pub(crate) fn spoke(&self) {
        self.mark(|marks| {
            marks.text.get_or_insert_with(Timestamp::now);
        });
    }

    /// The API has failed in a passing way, and it is asked again now.
    pub(crate) fn retried(&self, code: FailureCode) {
        self.mark(|marks| {
            if marks.retries.len() < EVENTS_MAX {
                marks.retries.push(Event {
                    at: Timestamp::now(),
                    name: "retry",
                    attributes: Attributes::default().text("error.type", record::code(code)),
                });
            }
        });
    }

    /// The last program gave its result then, or ended without one.
    pub(crate) fn ran(&self, at: Timestamp) {
        self.mark(|marks| marks.ran = Some(at));
    }

    /// It is over. `error`: the code of what went wrong.
    pub(crate) fn ended(&self, error: Option<&str>) {
        if let Some(recorder) = &self.0 {
            recorder.ended(error);
        }
    }

    /// How it ended is on disk, on which somebody has worked since then.
    pub(crate) fn recorded(&self, since: Timestamp, failed: u32) {
        if let Some(recorder) = &self.0 {
            let attributes = Attributes::default().number("reveille.tries", failed + 1);
            recorder.push("record", (since, Timestamp::now()), attributes, Vec::new(), None);
        }
    }
}

impl Recorder {
    fn push(
        &self,
        name: &'static str,
        (start, end): (Timestamp, Timestamp),
        attributes: Attributes,
        events: Vec<Event>,
        error: Option<&str>,
    ) {
        self.traces.push(|| {
            Piece::Stage(Box::new(Stage {
                turn: self.turn,
                whose: Whose::Leader,
                id: SpanId::of_stage(self.turn, self.epoch, name),
                name,
                kind: Kind::Internal,
                start,
                end,
                attributes,
                events,
                error: error.map(str::to_owned),
            }))
        });
    }

    fn ended(&self, error: Option<&str>) {
        let now = Timestamp::now();
        let marks = std::mem::take(&mut *self.marks.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(accepted_at) = self.accepted_at {
            self.push(
                "wait",
                (accepted_at, self.claimed_at),
                Attributes::default(),
                Vec::new(),
                None,
            );
        }
        let attributes = Attributes::default()
            .number("reveille.interruptions", self.interruptions)
            .text("reveille.process", if marks.warm { "warm" } else { "cold" });
        let Some(prompted) = marks.prompted else {
            return self.push("start", (self.claimed_at, now), attributes, marks.retries, error);
        };
        self.push("start", (self.claimed_at, prompted), attributes, Vec::new(), None);
        if let Some(text) = marks.text {
            self.push("first text", (prompted, text), Attributes::default(), Vec::new(), None);
        }
        let retries = u64::try_from(marks.retries.len()).unwrap_or(u64::MAX);
        let attributes = Attributes::default().number("reveille.retries", retries);
        let end = marks.ran.unwrap_or(now);
        self.push("run", (prompted, end), attributes, marks.retries, error);
    }
}
