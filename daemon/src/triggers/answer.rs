//! What a receiver's answer means.
//!
//! As the contract has it: 2xx with nothing or with a JSON object is success, everything else is a failure. A 2xx with
//! something else was taken by somebody, though: to tell it again for a day would be of no use, so it is given up after
//! [`MUDDLED_TRIES`].

use std::time::Duration;

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use reveille_vault::triggers::{Outcome, Reply};
use reveille_vault::{Metadata, NewAttachment};
use serde_json::Value;

/// Attempts at a receiver that answers 2xx with something that it must not answer.
const MUDDLED_TRIES: u32 = 3;

/// Longest pause that a receiver may ask for.
const RETRY_AFTER_MAX: SignedDuration = SignedDuration::from_hours(24);

/// Characters of an error and of a remark.
const TEXT_CHARS: usize = 500;

/// How an attempt ended.
#[derive(Debug, PartialEq)]
pub(super) enum Ending {
    /// The receiver has it.
    Taken {
        status: u16,
        reply: Reply,
        remark: Option<String>,
    },
    /// It has not, or nobody knows.
    Failed {
        status: Option<u16>,
        error: String,
        /// What the receiver asked for.
        retry_after: Option<SignedDuration>,
        /// Attempts after which trying again is of no use; `None`: as many as there are.
        most: Option<u32>,
    },
    /// The receiver is there no more.
    Gone { status: u16 },
}

impl Ending {
    pub(super) fn failed(error: impl Into<String>) -> Self {
        Self::Failed {
            status: None,
            error: error.into(),
            retry_after: None,
            most: None,
        }
    }

    /// Of an answer with its body, of which at most so many bytes were read.
    pub(super) fn of(status: StatusCode, retry_after: Option<&str>, body: &[u8], now: Timestamp) -> Self {
        let code = status.as_u16();
        if status == StatusCode::GONE {
            return Self::Gone { status: code };
        }
        if !status.is_success() {
            let error = if status.is_redirection() {
                format!(
                    "it answered {code}, a redirect, which is not followed: the trigger must name the final address"
                )
            } else {
                format!("it answered {code}{}", said(body))
            };
            return Self::Failed {
                status: Some(code),
                error,
                retry_after: retry_after.and_then(|text| pause(text, now)),
                most: None,
            };
        }
        if body.trim_ascii().is_empty() {
            return Self::taken(code, Reply::default(), None);
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => {
                let (reply, remark) = reply(fields);
                Self::taken(code, reply, remark)
            }
            Ok(_) | Err(_) => Self::muddled(
                code,
                format!(
                    "it answered {code} with something else than nothing or a JSON object{}",
                    said(body)
                ),
            ),
        }
    }

    pub(super) fn muddled(status: u16, error: String) -> Self {
        Self::Failed {
            status: Some(status),
            error,
            retry_after: None,
            most: Some(MUDDLED_TRIES),
        }
    }

    fn taken(status: u16, reply: Reply, remark: Option<String>) -> Self {
        Self::Taken { status, reply, remark }
    }

    /// What becomes of the delivery, of which this was the attempt of that number, counted from 1. `pauses` are between
    /// attempts; `jitter` is from 0 to 1.
    pub(super) fn outcome(self, attempt: u32, pauses: &[Duration], jitter: f64, now: Timestamp) -> Outcome {
        match self {
            Self::Taken { status, reply, remark } => Outcome::Delivered {
                status,
                reply,
                remark: remark.map(|text| cut(&text)),
            },
            Self::Gone { status } => Outcome::Gone {
                status,
                error: "it answered 410 Gone: the trigger is off, enable it to go on".into(),
            },
            Self::Failed {
                status,
                error,
                retry_after,
                most,
            } => {
                let place = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
                let error = cut(&error);
                let pause = pauses.get(place).filter(|_| most.is_none_or(|most| attempt < most));
                let Some(pause) = pause else {
                    return Outcome::Dead { status, error };
                };
                let pause = SignedDuration::try_from(pause.mul_f64(0.8 + 0.4 * jitter)).unwrap_or(SignedDuration::MAX);
                let pause = retry_after.map_or(pause, |asked| asked.min(RETRY_AFTER_MAX).max(pause));
                let next_at = now.checked_add(pause).unwrap_or(Timestamp::MAX);
                Outcome::Failed { status, error, next_at }
            }
        }
    }
}

/// What a receiver asks to be written, and what else it says.
fn reply(mut fields: serde_json::Map<String, Value>) -> (Reply, Option<String>) {
    match fields.remove("skipped_reason") {
        None | Some(Value::Null) => {}
        Some(Value::String(reason)) => return (Reply::default(), Some(format!("skipped: {reason}"))),
        Some(other) => return (Reply::default(), Some(format!("skipped: {other}"))),
    }
    let mut remarks = Vec::new();
    let mut wrong = |key: &str, rule: &str| remarks.push(format!("its `{key}` is not {rule} and was ignored"));
    let mut take = |key: &str| fields.remove(key).filter(|value| !value.is_null());
    let content = match take("content") {
        None => None,
        Some(Value::String(text)) => Some(text),
        Some(_) => {
            wrong("content", "text");
            None
        }
    };
    let metadata = match take("metadata") {
        None => Metadata::new(),
        Some(Value::Object(metadata)) => metadata,
        Some(_) => {
            wrong("metadata", "an object");
            Metadata::new()
        }
    };
    let attachments = match take("attachments") {
        None => Some(Vec::new()),
        Some(Value::Array(items)) => items.iter().map(attachment).collect(),
        Some(_) => None,
    };
    let attachments = attachments.unwrap_or_else(|| {
        wrong("attachments", "a list of stored files");
        Vec::new()
    });
    let reply = Reply {
        content,
        metadata,
        attachments,
    };
    (reply, (!remarks.is_empty()).then(|| remarks.join("; ")))
}

fn attachment(item: &Value) -> Option<NewAttachment> {
    let text = |key: &str| item[key].as_str().map(str::to_owned);
    Some(NewAttachment {
        path: text("path")?,
        filename: text("filename"),
        mime_type: text("mimeType"),
    })
}

/// Seconds or a date, as HTTP has it.
pub(crate) fn pause(text: &str, now: Timestamp) -> Option<SignedDuration> {
    let text = text.trim();
    // Below, silent-ok: what cannot be read asks for nothing.
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(SignedDuration::from_secs(seconds.into()));
    }
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(at.duration_since(now).max(SignedDuration::ZERO))
}

/// The beginning of an answer, as a clause.
fn said(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * TEXT_CHARS)]);
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if flat.is_empty() {
        return String::new();
    }
    let clean: String = flat.chars().filter(|c| !c.is_control()).take(200).collect();
    format!(": {clean}")
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_CHARS).collect()
}

/// For the fuzz targets alone.
pub(crate) mod fuzzing {
    use super::{Ending, Outcome, StatusCode, Timestamp};

    /// What becomes of a delivery whose first attempt was answered so; `None`: that is no status.
    #[must_use]
    pub fn outcome(status: u16, retry_after: Option<&str>, body: &[u8], now: Timestamp) -> Option<Outcome> {
        // silent-ok: the caller knows that it may be none
        let status = StatusCode::from_u16(status).ok()?;
        let pauses = [std::time::Duration::from_secs(10)];
        Some(Ending::of(status, retry_after, body, now).outcome(1, &pauses, 0.5, now))
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn ending(status: u16, retry_after: Option<&str>, body: &str) -> Ending {
        Ending::of(StatusCode::from_u16(status).unwrap(), retry_after, body.as_bytes(), NOW)
    }

    fn plain(status: u16) -> Ending {
        Ending::taken(status, Reply::default(), None)
    }

    #[test]
    fn nothing_and_an_object_are_success() {
        for (status, body) in [(200, ""), (204, ""), (202, " \n"), (200, "{}"), (200, r#"{"ok":true}"#)] {
            assert_eq!(ending(status, None, body), plain(status), "{status} {body:?}");
        }
        let body =
            json!({"content": "c", "metadata": {"k": 1}, "attachments": [{"path": "d/f", "mimeType": "image/png"}]});
        let reply = Reply {
            content: Some("c".into()),
            metadata: [("k".to_owned(), json!(1))].into_iter().collect(),
            attachments: vec![NewAttachment {
                path: "d/f".into(),
                filename: None,
                mime_type: Some("image/png".into()),
            }],
        };
        assert_eq!(ending(200, None, &body.to_string()), Ending::taken(200, reply, None));
    }

    #[test]
    fn a_skip_writes_nothing_and_wrong_parts_are_told() {
        for (body, remark) in [
            (json!({"skipped_reason": "old", "content": "x"}), "skipped: old"),
            (json!({"content": 1}), "its `content` is not text and was ignored"),
            (
                json!({"metadata": [], "attachments": [{}]}),
                "its `metadata` is not an object and was ignored; its `attachments` is not a list of stored files and was ignored",
            ),
        ] {
            let expected = Ending::taken(200, Reply::default(), Some(remark.into()));
            assert_eq!(ending(200, None, &body.to_string()), expected);
        }
    }

    #[test]
    fn everything_else_is_a_failure() {
        let failed = |status: u16, retry_after, body: &str| match ending(status, retry_after, body) {
            Ending::Failed {
                status: told,
                error,
                retry_after,
                most,
            } => {
                assert_eq!(told, Some(status));
                (error, retry_after.map(|pause: SignedDuration| pause.as_secs()), most)
            }
            other => panic!("{other:?}"),
        };
        for body in ["ok", "null", "[]", "1", "{"] {
            let (error, _, most) = failed(200, None, body);
            assert_eq!(most, Some(MUDDLED_TRIES));
            assert!(error.ends_with(&format!("nothing or a JSON object: {body}")), "{error}");
        }
        assert_eq!(failed(500, None, "no\u{1b}\n way").0, "it answered 500: no way");
        assert!(failed(302, None, "").0.contains("a redirect, which is not followed"));
        assert_eq!(failed(503, Some("7"), "").1, Some(7));
        assert_eq!(failed(429, Some("Thu, 01 Jan 1970 00:02:00 GMT"), "").1, Some(120));
        assert_eq!(failed(429, Some("soon"), "").1, None);
        assert_eq!(ending(410, None, ""), Ending::Gone { status: 410 });
    }

    #[test]
    fn pauses_grow_and_end() {
        let pauses = [Duration::from_secs(10), Duration::from_secs(100)];
        let next = |ending: Ending, attempt: u32, jitter: f64| match ending.outcome(attempt, &pauses, jitter, NOW) {
            Outcome::Failed { next_at, .. } => Some(next_at.as_second()),
            Outcome::Dead { .. } => None,
            other => panic!("{other:?}"),
        };
        let error = || Ending::failed("x");
        let told = [
            next(error(), 1, 0.0),
            next(error(), 1, 1.0),
            next(error(), 2, 0.5),
            next(error(), 3, 0.5),
        ];
        assert_eq!(told, [Some(8), Some(12), Some(100), None]);
        // The receiver may ask for more, not for less, and not for ever.
        assert_eq!(next(ending(503, Some("50"), ""), 1, 0.5), Some(50));
        assert_eq!(next(ending(503, Some("5"), ""), 1, 0.5), Some(10));
        assert_eq!(next(ending(503, Some("999999"), ""), 1, 0.5), Some(24 * 3600));
        let many = [Duration::from_secs(1); 9];
        let dead = |attempt| {
            matches!(
                ending(200, None, "ok").outcome(attempt, &many, 0.5, NOW),
                Outcome::Dead { .. }
            )
        };
        assert_eq!([dead(1), dead(2), dead(3)], [false, false, true]);
    }
}
