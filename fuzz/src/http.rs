//! Requests, and answers of others.

use std::cell::RefCell;

use jiff::{SignedDuration, Timestamp};
use reveille::fuzzing::{self, VaultApi};
use reveille_vault::triggers::Outcome;
use serde_json::Value;

use super::is_short;

/// A status, a `Retry-After`, and a body, the first two on lines of their own; the first line also as an address.
///
/// # Panics
/// When something does not hold.
pub fn webhooks(input: &[u8]) {
    let mut parts = input.splitn(3, |byte| *byte == b'\n');
    let mut line = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let (first, retry_after) = (line(), line());
    let body = parts.next().unwrap_or_default();
    address(&first);
    let status = first.parse().unwrap_or(200);
    let now = Timestamp::UNIX_EPOCH;
    let Some(outcome) = fuzzing::outcome(status, Some(&retry_after), body, now) else {
        return;
    };
    match outcome {
        Outcome::Delivered { status, remark, .. } => {
            assert!((200..300).contains(&status));
            remark.iter().for_each(|remark| is_short(remark));
        }
        Outcome::Failed { error, next_at, .. } => {
            is_short(&error);
            let pause = next_at.duration_since(now);
            assert!(
                pause > SignedDuration::ZERO && pause <= SignedDuration::from_hours(24),
                "{pause}"
            );
        }
        Outcome::Dead { error, .. } => is_short(&error),
        Outcome::Gone { status, error } => {
            assert_eq!(status, 410);
            is_short(&error);
        }
    }
}

fn address(text: &str) {
    match fuzzing::webhook(text) {
        Ok(address) => {
            assert!(
                address.starts_with("http://") || address.starts_with("https://"),
                "{address}"
            );
            assert_eq!(fuzzing::webhook(&address).as_ref(), Ok(&address), "it reads back");
            let shown = fuzzing::shown_webhook(&address);
            let query = shown.split_once('?').map_or("", |(_, query)| query);
            let hidden = |pair: &str| pair.is_empty() || pair == "…" || pair.ends_with("=…");
            assert!(query.split('&').all(hidden), "{shown} shows a value");
        }
        Err(why) => is_short(&why),
    }
}

/// A change of a job, as JSON.
///
/// # Panics
/// When something does not hold.
pub fn job_changes(input: &[u8]) {
    for problem in fuzzing::job_change(input).into_iter().flatten() {
        is_short(&problem.to_string());
    }
}

/// `METHOD PATH`, the type of the body, and the body.
///
/// # Panics
/// When something does not hold.
pub fn vault_api(input: &[u8]) {
    thread_local! {
        static API: RefCell<Option<VaultApi>> = const { RefCell::new(None) };
    }
    let mut parts = input.splitn(3, |byte| *byte == b'\n');
    let mut line = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let (first, kind) = (line(), line());
    let body = parts.next().unwrap_or_default().to_vec();
    let Some((method, uri)) = first.split_once(' ') else {
        return;
    };
    let held = API.take();
    let api = held.unwrap_or_else(|| VaultApi::new().expect("a directory for a vault"));
    let Some(answer) = api.ask(method, uri, &kind, body) else {
        return API.set(Some(api));
    };
    let status = answer.status;
    assert!(
        status < 500,
        "{method} {uri}: {status} {}",
        String::from_utf8_lossy(&answer.body)
    );
    assert!(
        answer.body.len() <= 100_000 + 10 * input.len(),
        "{} bytes",
        answer.body.len()
    );
    if answer.json && method != "HEAD" {
        let body: Value = serde_json::from_slice(&answer.body).expect("it says that it is JSON");
        if status >= 400 {
            let told = body
                .get("message")
                .or_else(|| body.get("error"))
                .and_then(Value::as_str);
            is_short(told.expect("a refusal says why"));
        }
    } else if status >= 400 {
        assert!(
            answer.body.len() < 1000,
            "{status} says {}",
            String::from_utf8_lossy(&answer.body)
        );
    }
    // What was written is gone with its vault: an input means the same whatever came before it.
    if method == "GET" || status >= 400 {
        API.set(Some(api));
    }
}
