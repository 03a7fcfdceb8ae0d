//! Bodies of answers that are streams: what holds while they last, and what ends them.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::stream::{self, StreamExt as _, select_all};
use reveille_transports::fanout::{Frame, Listener};
use serde_json::{Value, json};
use tokio::time::interval;
use tokio_util::sync::DropGuard;

use super::sessions::Open;
use crate::http::standing::Standing;

/// How clients of channels know what they are told, and where it comes from unless it says so itself.
const MESSAGE: &str = "notifications/claude/agent";
const VERDICT: &str = "notifications/claude/agent/permission";
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

/// The same answer, and in between what is said on a channel to the sessions that listen to it. It ends when so much waits that its
/// client cannot be reading it; then the client comes back.
pub(super) fn with_pushed(answer: Response, channel: Listener) -> Response {
    answer.map(|body| {
        let state = (body.into_data_stream(), channel);
        let chunks = stream::unfold(state, async |(mut chunks, mut channel)| {
            loop {
                tokio::select! {
                    chunk = chunks.next() => return Some((chunk?, (chunks, channel))),
                    frame = channel.next() => if let Some(message) = notification(&*frame?) {
                        let event = Bytes::from(format!("data: {message}\n\n"));
                        return Some((Ok(event), (chunks, channel)));
                    },
                }
            }
        });
        Body::from_stream(chunks)
    })
}

/// What is said on a channel, as a client of channels is told it. `None`: it is not for these.
fn notification(frame: &Frame) -> Option<Value> {
    let (method, params) = match frame.event {
        "message" => {
            let mut meta = json!({ "source": SOURCE });
            // What the message says of its source counts more.
            if let (Some(meta), Some(own)) = (meta.as_object_mut(), frame.data["meta"].as_object()) {
                meta.extend(own.clone());
            }
            (MESSAGE, json!({ "content": frame.data["content"], "meta": meta }))
        }
        "permission_verdict" => (VERDICT, frame.data.clone()),
        _ => return None,
    };
    Some(json!({ "jsonrpc": "2.0", "method": method, "params": params }))
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
