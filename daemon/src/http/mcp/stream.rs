//! Bodies of answers that are streams: what holds while they last, and what ends them.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::stream::{self, StreamExt as _, select_all};
use reveille_transports::fanout::{Frame, Listener};
use serde_json::{Map, Value, json};
use tokio::time::interval;
use tokio_util::sync::DropGuard;

use super::sessions::Open;
use crate::http::standing::Standing;

/// Where a message of a channel comes from, unless it says that itself.
const SOURCE: &str = "parachute-agent";

/// How often it is looked at whether a standing stream may go on.
const LOOK: Duration = Duration::from_secs(5);

/// The same answer; `open` lasts as long as it does, and so does what says that somebody is `there` to read it.
pub(super) fn held(answer: Response, open: Open, there: Option<DropGuard>) -> Response {
    answer.map(|body| {
        let state = (body.into_data_stream(), open, there);
        let chunks = stream::unfold(state, async |(mut chunks, open, there)| {
            let Some(chunk) = chunks.next().await else {
                open.end();
                return None;
            };
            Some((chunk, (chunks, open, there)))
        });
        Body::from_stream(chunks)
    })
}

/// Several answers as one that ends with the last of them, after messages that are known already. Each chunk of the
/// library's is a whole event. `None`: there are no answers.
pub(super) fn joined(answers: Vec<Response>, known: &[Value]) -> Option<Response> {
    let mut answers = answers.into_iter();
    let (parts, body) = answers.next()?.into_parts();
    let bodies = std::iter::once(body).chain(answers.map(Response::into_body));
    let known = known
        .iter()
        .map(|message| Ok(Bytes::from(format!("data: {message}\n\n"))));
    let known = stream::iter(known.collect::<Vec<_>>());
    let chunks = known.chain(select_all(bodies.map(Body::into_data_stream)));
    Some(Response::from_parts(parts, Body::from_stream(chunks)))
}

/// The same answer, until its caller would not be let in any more.
pub(super) fn while_let_in(answer: Response, standing: Standing) -> Response {
    answer.map(|body| {
        let state = (body.into_data_stream(), interval(LOOK), standing);
        let chunks = stream::unfold(state, async |(mut chunks, mut look, standing)| {
            loop {
                tokio::select! {
                    chunk = chunks.next() => return Some((chunk?, (chunks, look, standing))),
                    () = standing.ends() => return None,
                    _ = look.tick() => if !standing.holds().await {
                        return None;
                    },
                }
            }
        });
        Body::from_stream(chunks)
    })
}

/// The same answer, and between its events what the sessions of a channel are told. It ends when they are told so much that its
/// client cannot keep up: the client opens it again.
pub(super) fn told(answer: Response, listener: Listener) -> Response {
    answer.map(|body| {
        let state = (body.into_data_stream(), listener);
        let chunks = stream::unfold(state, async |(mut chunks, mut listener)| {
            loop {
                tokio::select! {
                    chunk = chunks.next() => return Some((chunk?, (chunks, listener))),
                    frame = listener.next() => {
                        let frame = frame?;
                        if let Some(told) = notification(&frame) {
                            let event = Bytes::from(format!("event: message\ndata: {told}\n\n"));
                            return Some((Ok(event), (chunks, listener)));
                        }
                    }
                }
            }
        });
        Body::from_stream(chunks)
    })
}

/// As clients of channels know it.
fn notification(frame: &Frame) -> Option<Value> {
    let data = &frame.data;
    let (method, params) = match frame.event {
        "message" => {
            let mut meta = Map::from_iter([("source".to_owned(), json!(SOURCE))]);
            meta.extend(data["meta"].as_object().cloned().unwrap_or_default());
            let params = json!({ "content": data["content"], "meta": meta });
            ("notifications/claude/agent", params)
        }
        "permission_verdict" => (
            "notifications/claude/agent/permission",
            json!({ "request_id": data["request_id"], "behavior": data["behavior"] }),
        ),
        _ => return None,
    };
    Some(json!({ "jsonrpc": "2.0", "method": method, "params": params }))
}
