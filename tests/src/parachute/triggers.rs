//! Triggers and their webhooks: at most once, two at a time, and kept in memory only.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::extract::Request;
use http::Method;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use super::answer::{Reply, broken, json_of, not_found};
use super::notes::now;
use super::store::Stored;
use super::{Shared, lock};

/// A trigger.
#[derive(Debug, Clone, PartialEq)]
pub struct Trigger {
    /// Also the beginning of its marks.
    pub name: String,
    /// Of `created` and `updated`.
    pub events: Vec<String>,
    /// Literally.
    pub tags: Vec<String>,
    /// Keys that must be there and not null.
    pub has_metadata: Vec<String>,
    /// Keys that must not.
    pub missing_metadata: Vec<String>,
    /// Where the webhook goes.
    pub webhook: String,
    /// Sent along by the newer server.
    pub bearer: Option<String>,
}

impl Trigger {
    /// The one that agents' messages are told by.
    #[must_use]
    pub fn inbound(webhook: &str) -> Self {
        Self {
            name: "channel_inbound".into(),
            events: vec!["created".into()],
            tags: vec!["agent/message/inbound".into()],
            has_metadata: vec!["agent".into()],
            missing_metadata: vec!["channel_inbound_rendered_at".into()],
            webhook: webhook.into(),
            bearer: None,
        }
    }

    fn matches(&self, note: &Stored, event: &str) -> bool {
        let is_there = |key: &String| note.metadata.get(key).is_some_and(|value| !value.is_null());
        let truthy = |key: String| {
            note.metadata
                .get(&key)
                .and_then(Value::as_str)
                .is_some_and(|text| !text.is_empty())
        };
        self.events.iter().any(|known| known == event)
            && !truthy(format!("{}_pending_at", self.name))
            && !truthy(format!("{}_rendered_at", self.name))
            && self.tags.iter().all(|tag| note.tags.contains(tag))
            && self.has_metadata.iter().all(is_there)
            && !self.missing_metadata.iter().any(is_there)
    }
}

/// For all triggers of all servers of a process; close enough to one server with a limit for all its triggers.
static SLOTS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(2));

/// Sends webhooks for an event, later. A server that dies forgets them.
pub(super) fn fire(shared: &Arc<Shared>, id: &str, event: &'static str) {
    let store = lock(&shared.store);
    let Some(note) = store.find(id) else { return };
    let due: Vec<Trigger> = store
        .triggers
        .values()
        .filter(|trigger| trigger.matches(note, event))
        .cloned()
        .collect();
    drop(store);
    for trigger in due {
        tokio::spawn(deliver(Arc::clone(shared), trigger, id.to_owned(), event));
    }
}

async fn deliver(shared: Arc<Shared>, trigger: Trigger, id: String, event: &'static str) {
    let Ok(_slot) = SLOTS.acquire().await else { return };
    let (pending, rendered) = (
        format!("{}_pending_at", trigger.name),
        format!("{}_rendered_at", trigger.name),
    );
    let (note, number) = {
        let mut store = lock(&shared.store);
        let Some(note) = store.find(&id).cloned() else { return };
        store.tamper(&id, |note| {
            note.metadata.insert(pending.clone(), now().into());
        });
        store.webhooks += 1;
        (note, store.webhooks)
    };
    let every = lock(&shared.faults).drop_webhook;
    if every > 0 && number.is_multiple_of(every) {
        return;
    }
    let Some(reply) = post(&trigger, &note, event).await else {
        return;
    };
    let mut store = lock(&shared.store);
    store.tamper(&id, |note| {
        note.metadata.remove(&pending);
        if let Some(Value::Object(metadata)) = reply.get("metadata") {
            note.metadata.extend(metadata.clone());
        }
        if let Some(content) = reply.get("content").and_then(Value::as_str) {
            note.content = content.to_owned();
        }
        if let Some(reason) = reply.get("skipped_reason") {
            note.metadata
                .insert(format!("{}_skipped_reason", trigger.name), reason.clone());
        }
        note.metadata.insert(rendered, now().into());
    });
}

/// The reply when it counts as a success.
async fn post(trigger: &Trigger, note: &Stored, event: &str) -> Option<Map<String, Value>> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(60))
        .build()
        .ok()?;
    let mut told = note.full();
    told["metadata"] = note.metadata.clone().into();
    told["attachments"] = json!([]);
    let body = json!({ "trigger": trigger.name, "event": event, "note": told });
    let mut request = client.post(&trigger.webhook).json(&body);
    if let Some(bearer) = &trigger.bearer {
        request = request.bearer_auth(bearer);
    }
    let response = request.send().await.ok()?;
    if !response.status().is_success() {
        return None;
    }
    let bytes = response.bytes().await.ok()?;
    match bytes.as_ref() {
        [] => Some(Map::new()),
        json => serde_json::from_slice::<Map<String, Value>>(json).ok(),
    }
}

/// `/triggers` of the newer server.
pub(super) async fn manage(shared: &Arc<Shared>, method: &Method, name: Option<&str>, request: Request) -> Reply {
    match (method, name) {
        (&Method::GET, None) => {
            let names: Vec<String> = lock(&shared.store).triggers.keys().cloned().collect();
            Reply::Json(200, json!({ "triggers": names }))
        }
        (&Method::POST, None) => {
            let Some(body) = json_of(request).await else {
                return broken();
            };
            let Some(trigger) = parsed(&body) else {
                return Reply::Json(400, json!({ "error": "bad_request" }));
            };
            lock(&shared.store).triggers.insert(trigger.name.clone(), trigger);
            Reply::Json(201, body)
        }
        (&Method::DELETE, Some(name)) => match lock(&shared.store).triggers.remove(name) {
            Some(_) => Reply::Json(200, json!({ "deleted": true })),
            None => not_found(),
        },
        _ => not_found(),
    }
}

fn parsed(body: &Value) -> Option<Trigger> {
    let list = |value: Option<&Value>| -> Vec<String> {
        let list = value.and_then(Value::as_array).cloned().unwrap_or_default();
        list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let when = body.get("when");
    let clause = |key: &str| list(when.and_then(|when| when.get(key)));
    let action = body.get("action")?;
    Some(Trigger {
        name: body.get("name")?.as_str()?.to_owned(),
        events: list(body.get("events")),
        tags: clause("tags"),
        has_metadata: clause("has_metadata"),
        missing_metadata: clause("missing_metadata"),
        webhook: action.get("webhook")?.as_str()?.to_owned(),
        bearer: action
            .pointer("/auth/bearer")
            .and_then(Value::as_str)
            .map(str::to_owned),
    })
}
