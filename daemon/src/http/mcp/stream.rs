//! Bodies of answers that are streams: what holds while they last, and what ends them.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use futures_util::stream::{self, StreamExt as _, select_all};
use tokio::time::interval;

use super::sessions::Open;
use crate::http::standing::Standing;

/// How often it is looked at whether a standing stream may go on.
const LOOK: Duration = Duration::from_secs(5);

/// The same answer; `open` lasts as long as it does.
pub(super) fn held(answer: Response, open: Open) -> Response {
    answer.map(|body| {
        let chunks = stream::unfold((body.into_data_stream(), open), async |(mut chunks, open)| {
            let chunk = chunks.next().await?;
            Some((chunk, (chunks, open)))
        });
        Body::from_stream(chunks)
    })
}

/// Several answers as one that ends with the last of them. Each chunk of the library's is a whole event.
pub(super) fn joined(answers: Vec<Response>) -> Option<Response> {
    let mut answers = answers.into_iter();
    let first = answers.next()?;
    if answers.len() == 0 {
        return Some(first);
    }
    let (parts, body) = first.into_parts();
    let bodies = std::iter::once(body).chain(answers.map(Response::into_body));
    let chunks = select_all(bodies.map(Body::into_data_stream));
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
