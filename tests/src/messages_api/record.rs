use std::sync::{Arc, Mutex};

use http::HeaderMap;
use tokio::time::Instant;

use super::context::Context;
use super::lock;

/// One request as the double saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The CLI's session id.
    pub session: Option<String>,
    /// What it shows to be let in, as `name: value`.
    pub credentials: Vec<String>,
    /// As asked for.
    pub model: String,
    /// The texts of the system prompt, one paragraph each.
    pub system: String,
    /// Whether events were asked for.
    pub stream: bool,
    /// Entries of `messages`: grows with the conversation, tool rounds included.
    pub messages: usize,
    /// Texts of the user among them, without the CLI's reminders. `Continue from where you left off.`, which the CLI
    /// adds by itself after a turn that was cut off, counts.
    pub user_messages: usize,
    /// The last of those texts.
    pub prompt: String,
    /// Tool results since that text.
    pub tool_rounds: usize,
    /// The number in the answer's usage.
    pub input_tokens: usize,
    /// When the request had arrived.
    pub began_at: Instant,
    /// When the answer had been handed over or the client had gone; `None` while it runs.
    pub ended_at: Option<Instant>,
}

/// Pairs of requests of one session that ran at the same time, as indexes into `requests`. A session that one process
/// at a time uses, without sub-agents, has none.
#[must_use]
pub fn overlaps(requests: &[Request]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (later, second) in requests.iter().enumerate() {
        for (earlier, first) in requests[..later].iter().enumerate() {
            let same = first.session.is_some() && first.session == second.session;
            if same && first.ended_at.is_none_or(|ended_at| ended_at > second.began_at) {
                found.push((earlier, later));
            }
        }
    }
    found
}

#[derive(Debug, Default)]
pub(super) struct Record {
    requests: Mutex<Vec<Request>>,
}

/// A request that runs; its record ends when this is dropped.
pub(super) struct Open {
    record: Arc<Record>,
    index: usize,
}

impl Record {
    pub(super) fn open(self: &Arc<Self>, context: &Context, headers: &HeaderMap, model: &str, stream: bool) -> Open {
        let shown = |name: &&str| Some(format!("{name}: {}", headers.get(*name)?.to_str().ok()?)); // silent-ok: no text, no credential
        let mut requests = lock(&self.requests);
        requests.push(Request {
            session: context.session.clone(),
            credentials: ["x-api-key", "authorization"].iter().filter_map(shown).collect(),
            model: model.to_owned(),
            system: context.system.clone(),
            stream,
            messages: context.messages,
            user_messages: context.user_messages,
            prompt: context.prompt.clone(),
            tool_rounds: context.rounds,
            input_tokens: context.input_tokens,
            began_at: Instant::now(),
            ended_at: None,
        });
        Open {
            record: Arc::clone(self),
            index: requests.len() - 1,
        }
    }

    pub(super) fn all(&self) -> Vec<Request> {
        lock(&self.requests).clone()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        lock(&self.record.requests)[self.index].ended_at = Some(Instant::now());
    }
}
