//! From what was read to how the turn ended.

use std::process::ExitStatus;

use super::child::STDERR_KEPT;
use super::failure::{cut, failure};
use super::redact::Redactor;
use super::stream::{ResultLine, Stream};
use crate::turn::{Failure, FailureCode, Verdict};

/// Most bytes of stderr in the operator's detail.
const STDERR_SHARE: usize = 1024;

/// Why the runner ended a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// The token was cancelled.
    Stop,
    /// A clock ran out.
    Clock(FailureCode),
    /// The observer could not write down that the prompt is about to be given.
    Storage(String),
    /// The pipe of the CLI could not be read.
    Broken(String),
}

/// All that is known of one process.
pub(super) struct Finished {
    pub(super) stream: Stream,
    pub(super) exit: Option<ExitStatus>,
    pub(super) ending: Option<Ending>,
    pub(super) stderr: String,
}

impl Finished {
    /// A process that was stopped before its program ran.
    pub(super) fn stopped_early(stderr: String) -> Self {
        Self {
            stream: Stream::default(),
            exit: None,
            ending: Some(Ending::Stop),
            stderr,
        }
    }
}

/// How the turn ended. An answer that was complete before the stop took hold counts.
pub(super) fn verdict(end: &Finished, redactor: &Redactor) -> Verdict {
    let stream = &end.stream;
    if stream.result.as_ref().is_some_and(ResultLine::is_success) {
        return Verdict::Ok { reply: stream.text() };
    }
    let detail = detail(end, redactor);
    let said = stream
        .result
        .as_ref()
        .and_then(|result| result.text.as_deref())
        .map(|text| redactor.clean(text));
    let code = match (&end.ending, &stream.result) {
        (Some(Ending::Stop), _) => return Verdict::Stopped,
        (Some(Ending::Clock(code)), _) => *code,
        (Some(Ending::Storage(_)), _) => FailureCode::Storage,
        (Some(Ending::Broken(_)), None) => FailureCode::Crashed,
        (_, Some(result)) => classify(stream, result),
        (None, None) if refused_arguments(end) => FailureCode::BadArguments,
        (None, None) => FailureCode::Crashed,
    };
    Verdict::Failed(failure(code, said.as_deref(), &detail))
}

/// A wrong option ends the CLI with one line on stderr, before it says anything.
fn refused_arguments(end: &Finished) -> bool {
    !end.stream.spoke && end.exit.and_then(|exit| exit.code()) == Some(1) && !end.stderr.trim().is_empty()
}

/// The structured fields decide; texts change with every version.
fn classify(stream: &Stream, result: &ResultLine) -> FailureCode {
    let terminal = result.terminal_reason.as_deref().unwrap_or_default();
    match (result.subtype.as_str(), terminal) {
        ("error_max_turns", _) | (_, "max_turns") => return FailureCode::MaxTurns,
        ("error_max_budget_usd", _) => return FailureCode::Budget,
        (_, "prompt_too_long" | "blocking_limit" | "rapid_refill_breaker") => return FailureCode::PromptTooLong,
        (_, "image_error") => return FailureCode::InvalidRequest,
        // Somebody else interrupted it.
        _ if result.is_aborted() => return FailureCode::Crashed,
        _ if result.stop_reason.as_deref() == Some("refusal") => return FailureCode::Refused,
        _ => {}
    }
    let last_retry = stream.retry.as_ref();
    match stream.error.as_deref() {
        Some("authentication_failed") => FailureCode::Authentication,
        Some("billing_error" | "oauth_org_not_allowed") => FailureCode::Billing,
        Some("rate_limit") => FailureCode::RateLimited,
        Some("overloaded") => FailureCode::Overloaded,
        Some("model_not_found") => FailureCode::ModelNotFound,
        Some("invalid_request") => FailureCode::InvalidRequest,
        // After the third 529 the result has no status.
        Some("server_error") => match result.status.or_else(|| last_retry.and_then(|(status, _)| *status)) {
            Some(529) => FailureCode::Overloaded,
            _ => FailureCode::ApiUnavailable,
        },
        _ => result.status.map_or(FailureCode::Unknown, by_status),
    }
}

fn by_status(status: u16) -> FailureCode {
    match status {
        401 | 403 => FailureCode::Authentication,
        402 => FailureCode::Billing,
        404 => FailureCode::ModelNotFound,
        429 => FailureCode::RateLimited,
        529 => FailureCode::Overloaded,
        408 | 500..=599 => FailureCode::ApiUnavailable,
        400..=499 => FailureCode::InvalidRequest,
        _ => FailureCode::Unknown,
    }
}

/// The end of what was written to stderr. Secrets go before anything is cut off: a part of one would not be known.
fn stderr_tail(stderr: &str, redactor: &Redactor) -> String {
    // What is kept of a long text may begin in the middle of a secret.
    let whole = match stderr.len() < STDERR_KEPT {
        true => stderr,
        false => stderr.split_once('\n').map_or("", |(_, rest)| rest),
    };
    let clean = redactor.clean(whole.trim());
    let from = clean.ceil_char_boundary(clean.len().saturating_sub(STDERR_SHARE));
    clean[from..].to_owned()
}

/// The CLI's own words, for the operator.
fn detail(end: &Finished, redactor: &Redactor) -> String {
    let clean_cut = |text: &str, bytes: usize| cut(&redactor.clean(text), bytes).to_owned();
    let mut parts = Vec::new();
    if let Some(Ending::Storage(reason) | Ending::Broken(reason)) = &end.ending {
        parts.push(reason.clone());
    }
    match &end.stream.result {
        Some(result) => parts.push(format!(
            "result: subtype={} is_error={} terminal_reason={} status={} error={} text={:?} errors={:?}",
            result.subtype,
            result.is_error,
            result.terminal_reason.as_deref().unwrap_or("-"),
            result
                .status
                .map_or_else(|| "-".to_owned(), |status| status.to_string()),
            end.stream.error.as_deref().unwrap_or("-"),
            clean_cut(result.text.as_deref().unwrap_or_default(), 400),
            result
                .errors
                .iter()
                .map(|error| clean_cut(error, 200))
                .take(3)
                .collect::<Vec<_>>(),
        )),
        None => parts.push("no result".to_owned()),
    }
    parts.push(
        end.exit
            .map_or_else(|| "still running".to_owned(), |exit| exit.to_string()),
    );
    let stderr = stderr_tail(&end.stderr, redactor);
    if !stderr.is_empty() {
        parts.push(format!("stderr: {stderr}"));
    }
    redactor.clean(&parts.join("; "))
}

/// A failure before any process ran.
pub(super) fn not_started(code: FailureCode, detail: &str) -> Failure {
    failure(code, None, detail)
}

/// What the CLI says when it does not know a session. The wording has changed before, so this is only one of two signs; the
/// other is that the transcript is missing.
pub(super) fn says_session_is_unknown(end: &Finished) -> bool {
    session_is_unknown(&end.stderr)
        || end
            .stream
            .result
            .as_ref()
            .is_some_and(|result| result.errors.iter().any(|error| session_is_unknown(error)))
}

/// Whether a text says so, in the words of any version.
fn session_is_unknown(text: &str) -> bool {
    let text = text.to_lowercase();
    let near = |first: &str, gap: usize, second: &str| {
        text.match_indices(first).any(|(at, _)| {
            let rest = text[at + first.len()..].chars();
            rest.take(gap + second.len()).collect::<String>().contains(second)
        })
    };
    [
        "no conversation found",
        "session not found",
        "no session found",
        "no session with",
    ]
    .iter()
    .any(|words| text.contains(words))
        || near("conversation", 30, "not found")
        || near("could not find", 20, "session")
}

/// What the CLI says when a new session has an id that was used before. The other sign is that the transcript is there.
pub(super) fn says_session_is_taken(end: &Finished) -> bool {
    end.stderr.to_lowercase().contains("already in use")
}

#[cfg(test)]
mod tests {
    use super::super::stream::Stream;
    use super::*;

    const SECRET: &str = "a-secret-\"with\\marks\" of-forty-bytes-or-so";

    /// What an operator reads of a process that has written that and is gone.
    fn told(stderr: &str) -> String {
        let mut redactor = Redactor::new();
        redactor.secret(SECRET);
        redactor.secret("-----BEGIN KEY-----\nfirst-line-of-it\nsecond-line-of-it\n-----END KEY-----");
        let end = Finished {
            stream: Stream::default(),
            exit: None,
            ending: None,
            stderr: stderr.to_owned(),
        };
        match verdict(&end, &redactor) {
            Verdict::Failed(failure) => failure.detail,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_secret_that_is_cut_in_two_is_hidden_whole() {
        // The cut is anywhere in it, or in a text that is shorter without it.
        for before in 0..SECRET.len() + 20 {
            let after = "x".repeat(STDERR_SHARE - before);
            let detail = told(&format!("KEY={SECRET}\n{after}"));
            assert!(
                !detail.contains("forty") && !detail.contains("so\n"),
                "{before}: {detail}"
            );
        }
        // What is kept of a long text begins in the middle of it.
        let long = format!("{}\n{}\nthe end", &SECRET[20..], format!("{SECRET} ").repeat(3000));
        let kept = &long[..STDERR_KEPT.min(long.len())];
        let detail = told(kept);
        assert!(!detail.contains("forty"), "{detail}");
    }

    #[test]
    fn lines_of_a_secret_are_hidden_one_by_one_and_so_is_its_quoted_form() {
        let detail = told(&format!("debug: {SECRET:?}\n  second-line-of-it\nrest"));
        assert!(!detail.contains("forty") && !detail.contains("second-line"), "{detail}");
        assert!(detail.contains("rest"), "{detail}");
    }

    #[test]
    fn tc_sess_10_words_for_a_session_that_is_not_there() {
        for text in [
            "No conversation found with session ID: 00000000-0000-4000-8000-000000000001",
            "no conversation found",
            "Session not found",
            "claude -p exited 1: Error: No session found for id abc",
            "No session with that id",
            "Could not find a session with that id",
            "the conversation with that id was not found",
        ] {
            assert!(session_is_unknown(text), "{text}");
        }
        for text in [
            "some other error",
            "rate limit",
            "",
            "401 unauthorized",
            "file not found",
            "tag_scope_violation",
            "could not find the file; the rest of the words is about another session",
            "this conversation is about a file that its author says was not found",
        ] {
            assert!(!session_is_unknown(text), "{text}");
        }
    }
}
