//! JSON-RPC on its way in, as far as the transport has to know it, and refusals in its shape.

use axum::Json;
use axum::body::{Bytes, to_bytes};
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use rmcp::model::ErrorCode;
use serde_json::{Value, json};

/// JSON-RPC leaves this range to servers; other servers of MCP say it where HTTP itself is in the way.
pub(in crate::http) const TRANSPORT: ErrorCode = ErrorCode(-32000);
/// Most messages of one request.
const BATCH: usize = 64;
/// Most bytes of a sentence of the library that we pass on.
const SENTENCE: usize = 4096;
/// Most bytes of a refusal.
const REFUSAL: usize = 64 * 1024;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Initialize,
    /// Any other request.
    Request,
    /// Nothing that is answered.
    Other,
}

/// One message.
pub(super) struct Message {
    pub(super) kind: Kind,
    /// Null, when it has none.
    pub(super) id: Value,
    pub(super) body: Bytes,
}

/// What came with one request.
pub(super) struct Messages {
    pub(super) of: Vec<Message>,
}

impl Messages {
    /// One message, or an array of them.
    pub(super) fn read(body: &Bytes) -> Result<Self, (ErrorCode, String)> {
        let value: Value = serde_json::from_slice(body)
            .map_err(|error| (ErrorCode::PARSE_ERROR, format!("The body is not JSON ({error}).")))?;
        let wrong = |message: String| Err((ErrorCode::INVALID_REQUEST, message));
        match value {
            Value::Object(_) => Ok(Self {
                of: vec![Message::of(&value, body.clone())],
            }),
            Value::Array(all) if all.is_empty() => wrong("An array of messages has at least one.".into()),
            Value::Array(all) if all.len() > BATCH => wrong(format!("An array of messages has at most {BATCH}.")),
            Value::Array(all) if all.iter().all(Value::is_object) => {
                let of = all.iter().map(|one| Message::of(one, Bytes::from(one.to_string())));
                Ok(Self { of: of.collect() })
            }
            _ => wrong("A message is a JSON object.".into()),
        }
    }

    /// Whose errors of all of them are told.
    pub(super) fn id(&self) -> Value {
        match &self.of[..] {
            [one] => one.id.clone(),
            _ => Value::Null,
        }
    }
}

impl Message {
    fn of(value: &Value, body: Bytes) -> Self {
        let id = value.get("id").filter(|id| id.is_string() || id.is_number()).cloned();
        let kind = match (value["method"].as_str(), &id) {
            (Some("initialize"), _) => Kind::Initialize,
            (Some(_), Some(_)) => Kind::Request,
            _ => Kind::Other,
        };
        Self {
            kind,
            id: id.unwrap_or_default(),
            body,
        }
    }
}

/// A refusal.
pub(in crate::http) fn failed(status: StatusCode, code: ErrorCode, message: &str, id: &Value) -> Response {
    let body = json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code.0, "message": message } });
    (status, Json(body)).into_response()
}

/// A refusal as a message among others.
pub(super) async fn told(refusal: Response) -> Value {
    let read = match to_bytes(refusal.into_body(), REFUSAL).await {
        Ok(body) => serde_json::from_slice(&body).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    read.unwrap_or_else(
        |error| json!({ "jsonrpc": "2.0", "id": null, "error": { "code": TRANSPORT.0, "message": error } }),
    )
}

/// The library answers mistakes of HTTP with plain sentences; clients want JSON-RPC.
pub(in crate::http) async fn in_our_shape(answer: Response, id: &Value) -> Response {
    let named = answer.headers().get(header::CONTENT_TYPE);
    let is_json = named.is_some_and(|named| named.as_bytes().starts_with(b"application/json"));
    if answer.status().is_success() || is_json {
        return answer;
    }
    let (parts, body) = answer.into_parts();
    let sentence = match to_bytes(body, SENTENCE).await {
        Ok(sentence) => String::from_utf8_lossy(&sentence).into_owned(),
        Err(error) => error.to_string(),
    };
    match parts.status {
        // That is how it calls a body which it cannot read.
        StatusCode::UNSUPPORTED_MEDIA_TYPE => failed(
            StatusCode::BAD_REQUEST,
            ErrorCode::INVALID_REQUEST,
            "This is no JSON-RPC message: it needs \"jsonrpc\": \"2.0\", a method and, for an answer, an id.",
            id,
        ),
        status => failed(status, TRANSPORT, &sentence, id),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn read(body: &str) -> Result<Vec<(Kind, Value)>, i32> {
        let read = Messages::read(&Bytes::from(body.to_owned()));
        let kinds = |messages: Messages| messages.of.into_iter().map(|one| (one.kind, one.id)).collect();
        read.map(kinds).map_err(|(code, _)| code.0)
    }

    #[test]
    fn messages_are_told_apart() {
        for (body, kind, id) in [
            (r#"{"method":"initialize","id":1}"#, Kind::Initialize, json!(1)),
            (r#"{"method":"tools/list","id":"a"}"#, Kind::Request, json!("a")),
            (r#"{"method":"notifications/x"}"#, Kind::Other, Value::Null),
            // An answer of the client, and requests whose ids are none.
            (r#"{"id":3,"result":{}}"#, Kind::Other, json!(3)),
            (r#"{"method":"ping","id":null}"#, Kind::Other, Value::Null),
            (r#"{"method":"ping","id":{}}"#, Kind::Other, Value::Null),
            (r#"{"method":7,"id":1}"#, Kind::Other, json!(1)),
        ] {
            assert_eq!(read(body), Ok(vec![(kind, id)]), "{body}");
        }
        let both = r#"[{"method":"a","id":1},{"method":"b"}]"#;
        let expected = vec![(Kind::Request, json!(1)), (Kind::Other, Value::Null)];
        assert_eq!(read(both), Ok(expected));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let many = format!("[{}]", vec!["{}"; BATCH + 1].join(","));
        for (body, code) in [
            ("", -32700),
            ("{", -32700),
            ("{} {}", -32700),
            ("7", -32600),
            ("null", -32600),
            ("[]", -32600),
            ("[7]", -32600),
            ("[[{}]]", -32600),
            (&many, -32600),
        ] {
            assert_eq!(read(body), Err(code), "{}", &body[..body.len().min(40)]);
        }
    }
}
