//! The shapes of the two profiles: what a report is as bytes, and its headers.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::event::{Kind, Report};
use super::subscription::{Profile, Subscription};
use crate::outbox::Numbered;
use crate::sign;

#[derive(Serialize)]
struct Standard<'a> {
    r#type: Kind,
    timestamp: Timestamp,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    turn: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    /// Reports of the turn that were given up; the snapshot has what they said.
    #[serde(skip_serializing_if = "is_zero")]
    dropped: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<&'a [Box<RawValue>]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oversize: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot: Option<&'a RawValue>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Supervised<'a> {
    kind: &'static str,
    run_id: &'a str,
    task_id: &'a str,
    sandbox_id: &'a str,
    prompt_id: &'a str,
    sequence: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notifications: Option<&'a [Box<RawValue>]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot: Option<&'a RawValue>,
    reveille: Extras<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Extras<'a> {
    event: Kind,
    at: Timestamp,
    thread: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    dropped_reports: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    oversize: Option<usize>,
}

/// The bytes of a report, the same for the same number. `instance` names the daemon.
pub(crate) fn body(
    subscription: &Subscription,
    report: &Report,
    numbered: Option<Numbered>,
    instance: &str,
) -> Result<Bytes, String> {
    let step = report.step();
    // One that is told by its length is over with it.
    let is_last = step.max(1) >= report.events.len();
    // The snapshot is what all parts say together.
    let snapshot = report.snapshot.as_deref().filter(|_| is_last);
    // One event that is too long alone: its length is told instead.
    let oversize = (step == 0)
        .then(|| report.events.first().map(|event| event.get().len()))
        .flatten();
    let events = (report.kind == Kind::TurnEvent).then_some(&report.events[..step]);
    let (turn, dropped) = (report.turn.as_ref(), numbered.map_or(0, |numbered| numbered.shed));
    let bytes = match subscription.profile {
        Profile::Standard => serde_json::to_vec(&Standard {
            r#type: report.kind,
            timestamp: report.at,
            data: Data {
                agent: report.agent.as_deref(),
                turn: turn.map(|turn| turn.turn.as_str()),
                thread: turn.map(|turn| turn.thread.as_str()),
                message: turn.map(|turn| turn.message.as_str()),
                sequence: report
                    .kind
                    .is_turn()
                    .then(|| numbered.map_or(0, |numbered| numbered.number)),
                dropped,
                body: report.body.as_deref(),
                events,
                oversize,
                snapshot,
            },
        }),
        Profile::Supervisor => {
            let said: serde_json::Value = match &report.body {
                Some(body) => serde_json::from_str(body.get()).map_err(|error| error.to_string())?,
                None => serde_json::Value::Null,
            };
            let text = |name: &str| said.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
            let done = said.get("outcome").is_some_and(|outcome| outcome == "done");
            let (kind, stop_reason, error) = match (report.kind, done) {
                (Kind::TurnEvent, _) => ("session_update", None, None),
                (Kind::TurnSettled, true) => {
                    let reason = text("stop_reason").unwrap_or_else(|| "end_turn".into());
                    ("prompt_complete", Some(reason), None)
                }
                (Kind::TurnSettled, false) => {
                    let stopped = said.get("outcome").is_some_and(|outcome| outcome == "stopped");
                    let reason = if stopped {
                        Some("cancelled".into())
                    } else {
                        text("stop_reason")
                    };
                    let error = text("error").unwrap_or_else(|| "the turn was stopped".into());
                    ("prompt_failed", reason, Some(error))
                }
                _ => ("heartbeat", None, None),
            };
            serde_json::to_vec(&Supervised {
                kind,
                run_id: turn.map_or("", |turn| &turn.turn),
                task_id: report.agent.as_deref().unwrap_or(""),
                sandbox_id: instance,
                prompt_id: turn.map_or("", |turn| &turn.message),
                sequence: numbered.map_or(0, |numbered| numbered.number),
                session_id: report.session.as_deref(),
                notifications: events,
                stop_reason,
                error,
                usage: said.get("usage").cloned(),
                snapshot,
                reveille: Extras {
                    event: report.kind,
                    at: report.at,
                    thread: turn.map_or("", |turn| &turn.thread),
                    dropped_reports: dropped,
                    oversize,
                },
            })
        }
    };
    bytes.map(Bytes::from).map_err(|error| error.to_string())
}

/// The headers of one attempt.
pub(crate) fn headers(
    subscription: &Subscription,
    id: &str,
    (now, nonce): (Timestamp, &str),
    body: &[u8],
) -> Result<HeaderMap, String> {
    let value =
        |text: String| HeaderValue::try_from(text).map_err(|_| "its secret or its id fits no header".to_owned());
    let mut headers = HeaderMap::new();
    match subscription.profile {
        Profile::Standard => {
            let at = now.as_second();
            let keys = subscription.secrets.iter().map(sign::Secret::standard_key);
            let signed = keys.map(|key| Ok(sign::standard(&key?, id, at, body)));
            let signed: Vec<String> = signed.collect::<Result<_, String>>()?;
            headers.insert("webhook-id", value(id.to_owned())?);
            headers.insert("webhook-timestamp", at.into());
            headers.insert("webhook-signature", value(signed.join(" "))?);
        }
        Profile::Supervisor => {
            let token = subscription.secrets.first().ok_or("it has no token")?;
            let at = now.as_millisecond();
            let mut bearer = value(format!("Bearer {}", token.expose()))?;
            bearer.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, bearer);
            headers.insert("x-supervisor-timestamp", at.into());
            headers.insert("x-supervisor-nonce", value(nonce.to_owned())?);
            headers.insert(
                "x-supervisor-signature",
                value(sign::supervisor(token, at, nonce, body))?,
            );
        }
    }
    Ok(headers)
}
