//! From what has happened to spans: the trace, the parent, and what the queue keeps of a message.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use reveille_queue::{Queue, QueueError, State, Turn};
use reveille_vault::agent::Inbound;
use uuid::Uuid;

use super::ids::{SpanId, TraceId, TraceParent};
use super::span::{Attributes, Kind, Link, Parent, Span};
use super::{Piece, Stage, Whose};
use crate::config::Sampler;
use crate::effects::derived;
use crate::ending::usd;
use crate::record::TurnRecord;

/// Turns of which it is remembered where they belong.
const KNOWN_MAX: usize = 4096;

/// Where a turn belongs.
#[derive(Debug, Clone)]
struct Known {
    trace: TraceId,
    /// Nobody wants it.
    unwanted: bool,
    channel: String,
    /// The sender's span, of the message that began the trace.
    remote: Option<TraceParent>,
}

/// Makes spans.
pub(super) struct Resolver {
    queue: Arc<dyn Queue>,
    sampler: Sampler,
    known: HashMap<Uuid, Known>,
}

fn traceparent(turn: &Turn) -> Option<TraceParent> {
    TraceParent::parse(turn.message.body.get("traceparent")?.as_str()?)
}

impl Resolver {
    pub(super) fn new(queue: Arc<dyn Queue>, sampler: Sampler) -> Self {
        Self {
            queue,
            sampler,
            known: HashMap::new(),
        }
    }

    /// Adds the spans of a piece; none where nobody wants the trace.
    ///
    /// # Errors
    /// The queue cannot be read.
    pub(super) async fn add(&mut self, piece: Piece, spans: &mut Vec<Span>) -> Result<(), QueueError> {
        match piece {
            Piece::Stage(stage) => spans.extend(self.stage(*stage).await?),
            Piece::Message { turn, at } => {
                let company = self.queue.company(turn).await?;
                for turn in &company {
                    self.message(turn, at, spans).await?;
                }
            }
        }
        Ok(())
    }

    async fn known(&mut self, turn: Uuid) -> Result<Option<Known>, QueueError> {
        if let Some(known) = self.known.get(&turn) {
            return Ok(Some(known.clone()));
        }
        match self.queue.turn(turn).await? {
            Some(turn) => Ok(Some(self.place(&turn).await?)),
            None => Ok(None),
        }
    }

    /// The trace of a chain is the one that its first message came with, or its own.
    async fn place(&mut self, turn: &Turn) -> Result<Known, QueueError> {
        if let Some(known) = self.known.get(&turn.id) {
            return Ok(known.clone());
        }
        let message = &turn.message;
        let first = match message.chain == message.note {
            true => None,
            false => self.queue.chain(&message.chain, None, 1).await?.into_iter().next(),
        };
        let root = first.as_ref().unwrap_or(turn);
        let given = traceparent(root);
        let trace = given.map_or_else(|| TraceId::of_chain(&message.chain), |given| given.trace);
        let decided = given.filter(|_| self.sampler.parent);
        let wanted = decided.map_or_else(|| trace.share() < self.sampler.share, |given| given.sampled);
        let known = Known {
            trace,
            unwanted: !wanted,
            channel: message.lane.channel.to_string(),
            remote: given.filter(|_| root.id == turn.id),
        };
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
        self.known.insert(turn.id, known.clone());
        Ok(known)
    }

    async fn stage(&mut self, stage: Stage) -> Result<Option<Span>, QueueError> {
        let turn = match &stage.whose {
            Whose::Leader => stage.turn,
            // Each message that shares a turn has a trace of its own.
            Whose::Callback(note) => {
                let company = self.queue.company(stage.turn).await?;
                let asked = company
                    .iter()
                    .find(|turn| derived(turn.id, "callback").as_str() == note);
                asked.map_or(stage.turn, |turn| turn.id)
            }
        };
        let Some(known) = self.known(turn).await?.filter(|known| !known.unwanted) else {
            return Ok(None);
        };
        let attributes = stage
            .attributes
            .text("reveille.channel", &known.channel)
            .text("reveille.turn.id", turn.to_string())
            .maybe("error.type", stage.error.as_deref());
        Ok(Some(Span {
            trace: known.trace,
            id: stage.id,
            parent: Some(Parent {
                span: SpanId::of_message(turn),
                remote: false,
            }),
            name: stage.name.to_owned(),
            kind: stage.kind,
            start: stage.start,
            end: stage.end,
            attributes,
            events: stage.events,
            links: Vec::new(),
            error: stage.error,
        }))
    }

    /// The span of a message, and what is known of its stages from the queue alone.
    async fn message(&mut self, turn: &Turn, at: Timestamp, spans: &mut Vec<Span>) -> Result<(), QueueError> {
        let known = self.place(turn).await?;
        if known.unwanted {
            return Ok(());
        }
        let record: Option<TurnRecord> = turn
            .record
            .clone()
            .and_then(|record| serde_json::from_value(record).ok()); // silent-ok: then less is told
        let record = record.unwrap_or_default();
        // One that cannot be read failed for that.
        let message = serde_json::from_value::<Inbound>(turn.message.body.clone())
            .unwrap_or_else(|_| Inbound::blank(known.channel.clone()));
        let failed = matches!(turn.state, State::Error | State::Interrupted);
        let code = record.failure.as_ref().map(|failure| failure.code.clone());
        let error = failed.then(|| code.unwrap_or_else(|| turn.state.as_str().to_owned()));
        let mut links = Vec::new();
        if let Some(given) = traceparent(turn).filter(|_| known.remote.is_none()) {
            links.push(Link {
                trace: given.trace,
                span: given.span,
                why: "sent by",
            });
        }
        if let Some(leader) = turn.leader
            && let Some(its) = self.known(leader).await?
        {
            links.push(Link {
                trace: its.trace,
                span: SpanId::of_message(leader),
                why: "answered with",
            });
        }
        let span = Span {
            trace: known.trace,
            id: SpanId::of_message(turn.id),
            parent: parent(turn, &message, known.remote),
            name: format!("message {}", known.channel),
            kind: Kind::Consumer,
            start: turn.accepted_at,
            end: at,
            attributes: attributes(turn, &message, &record).maybe("error.type", error.as_deref()),
            events: Vec::new(),
            links,
            error,
        };
        if turn.claimed_by.is_some()
            && let Some(claimed_at) = turn.claimed_at
        {
            let stage = |name: &'static str, start, end| Span {
                id: SpanId::of_stage(turn.id, 0, name),
                parent: Some(Parent {
                    span: span.id,
                    remote: false,
                }),
                name: name.to_owned(),
                kind: Kind::Internal,
                start,
                end,
                attributes: Attributes::default()
                    .text("reveille.channel", &known.channel)
                    .text("reveille.turn.id", turn.id.to_string()),
                links: Vec::new(),
                error: None,
                ..span.clone()
            };
            spans.push(stage("wait", turn.accepted_at, claimed_at));
            spans.push(stage("session", claimed_at, turn.settled_at.unwrap_or(at)));
        }
        spans.push(span);
        Ok(())
    }
}

/// What has made somebody send the message.
fn parent(turn: &Turn, message: &Inbound, remote: Option<TraceParent>) -> Option<Parent> {
    if let Some(given) = remote {
        return Some(Parent {
            span: given.span,
            remote: true,
        });
    }
    let near = |span| Some(Parent { span, remote: false });
    if message.callback.is_some() {
        return near(SpanId::of_callback(&turn.message.note));
    }
    // silent-ok: a word of somebody who is no turn
    let by = message.delegated_by.as_ref().and_then(|by| Uuid::try_parse(by).ok());
    by.and_then(|by| near(SpanId::of_message(by)))
}

fn attributes(turn: &Turn, message: &Inbound, record: &TurnRecord) -> Attributes {
    let (channel, spend) = (turn.message.lane.channel.as_str(), turn.spend);
    Attributes::default()
        .text("gen_ai.operation.name", "invoke_agent")
        .text("gen_ai.agent.name", channel)
        .text("gen_ai.conversation.id", turn.conversation.to_string())
        .maybe("gen_ai.response.model", record.models.first())
        .text("reveille.channel", channel)
        .text("reveille.turn.id", turn.id.to_string())
        .text("reveille.note.id", &turn.message.note)
        .text("reveille.vault", &turn.message.vault)
        .text("reveille.outcome", turn.state.as_str())
        .maybe("reveille.reply.id", record.note.as_deref())
        .number("reveille.hand_overs", message.delegation_depth)
        .number("reveille.interruptions", turn.interruptions)
        .text(
            "reveille.served_by",
            if turn.claimed_by.is_some() { "session" } else { "daemon" },
        )
        .number("reveille.tokens.input", spend.input_tokens)
        .number("reveille.tokens.output", spend.output_tokens)
        .number("reveille.tokens.cache_read", spend.cache_read_tokens)
        .number("reveille.tokens.cache_write", spend.cache_write_tokens)
        .real("reveille.cost_usd", usd(spend.nano_usd))
}
