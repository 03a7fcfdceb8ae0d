//! Calls from outside: what is signed well becomes a message, once; everything else is refused with its reason.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use http::HeaderMap;
use jiff::Timestamp;
use pretty_assertions::assert_eq;
use reveille_transports::Incoming;
use reveille_transports::hooks::{
    Condition, HookRefusal, Identity, Missing, Options, Received, Scheme, refuse_unknown,
};
use reveille_transports::sign::Secret;

const NOW: i64 = 1_700_000_000;
const BODY: &[u8] = br#"{"type":"run","id":"r-7","action":"completed","run":{"name":"CI","conclusion":"failure"}}"#;

fn secret(byte: u8) -> Secret {
    Secret::fresh([byte; 32])
}

/// Signed by the reference implementation.
fn standard(secret: &Secret, id: &str, at: i64, body: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let signer = standardwebhooks::Webhook::new(secret.expose()).unwrap();
    let signature = signer.sign(id, at, body).unwrap();
    headers.insert("webhook-id", id.parse().unwrap());
    headers.insert("webhook-timestamp", at.into());
    headers.insert("webhook-signature", signature.parse().unwrap());
    headers
}

/// Signed by Python's standard library.
fn github(secret: &str, body: &[u8], event: &str) -> HeaderMap {
    let script = "import hmac,sys;print(hmac.new(sys.argv[1].encode(),sys.argv[2].encode(),'sha256').hexdigest())";
    let signed = std::process::Command::new("python3")
        .args(["-c", script, secret, std::str::from_utf8(body).unwrap()])
        .output()
        .unwrap();
    let mut headers = HeaderMap::new();
    let value = format!("sha256={}", String::from_utf8(signed.stdout).unwrap().trim());
    headers.insert("x-hub-signature-256", value.parse().unwrap());
    headers.insert("x-github-event", event.parse().unwrap());
    headers
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn message(received: Received) -> Incoming {
    match received {
        Received::Message(message) => *message,
        Received::Ignored { why } => panic!("{why}"),
    }
}

#[test]
fn a_standard_call_is_a_message_and_a_repetition_is_the_same_or_refused() {
    let mut options = Options::new("ci", "keeper", Scheme::Standard, secret(1));
    options.secrets.push(secret(2));
    options.template = "{{run.name}} ended: {{/run/conclusion}}".into();
    options.subject = Some("{{ run.name }}".into());
    let hook = options.build().unwrap();
    let headers = standard(&secret(1), "msg_1", NOW, BODY);
    let first = message(hook.receive(&headers, BODY, at(NOW + 299)).unwrap());
    assert_eq!(
        (
            first.agent.as_str(),
            first.text.as_str(),
            first.sender.as_str(),
            first.subject.as_deref()
        ),
        ("keeper", "CI ended: failure", "hook:ci", Some("CI"))
    );
    assert_eq!(first.origin["hook"], "ci");
    // With the newer secret, later: the same id is the same message.
    let again = standard(&secret(2), "msg_1", NOW + 200, BODY);
    assert_eq!(message(hook.receive(&again, BODY, at(NOW + 200)).unwrap()), first);
    let other = standard(&secret(1), "msg_2", NOW, BODY);
    assert_ne!(
        message(hook.receive(&other, BODY, at(NOW)).unwrap()).idempotency_key,
        first.idempotency_key
    );

    for (when, seconds) in [(NOW + 301, 301), (NOW - 301, 301)] {
        let refused = hook.receive(&headers, BODY, at(when)).unwrap_err();
        assert_eq!(refused, HookRefusal::Stale { seconds });
    }
    for wrong in [
        standard(&secret(3), "msg_1", NOW, BODY),
        standard(&secret(1), "msg_1", NOW, b"{}"),
    ] {
        let refused = hook.receive(&wrong, BODY, at(NOW)).unwrap_err();
        assert_eq!(refused, HookRefusal::Signature);
    }
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let (mut lacks, mut twice) = (headers.clone(), headers.clone());
        lacks.remove(name);
        assert_eq!(hook.receive(&lacks, BODY, at(NOW)), Err(HookRefusal::Header(name)));
        twice.append(name, "1".parse().unwrap());
        assert_eq!(hook.receive(&twice, BODY, at(NOW)), Err(HookRefusal::Header(name)));
    }
}

#[test]
fn a_call_of_github_is_known_by_what_is_signed() {
    let mut options = Options::new("gh", "keeper", Scheme::Github, Secret::new("s3cret"));
    options.events = vec!["workflow_run".into()];
    options.when = vec![Condition {
        at: "run.conclusion".into(),
        is: vec!["failure".into(), "timed_out".into()],
    }];
    let hook = options.clone().build().unwrap();
    let mut headers = github("s3cret", BODY, "workflow_run");
    headers.insert("x-github-delivery", "one".parse().unwrap());
    let first = message(hook.receive(&headers, BODY, at(NOW)).unwrap());
    assert!(first.text.contains("\"failure\""), "the whole body: {}", first.text);
    // The id of the delivery is not signed: a repetition under another one is the same message.
    headers.insert("x-github-delivery", "two".parse().unwrap());
    assert_eq!(
        message(hook.receive(&headers, BODY, at(NOW + 9999)).unwrap()).idempotency_key,
        first.idempotency_key
    );
    options.identity = Identity::Header("X-GitHub-Delivery".into());
    let by_header = options.build().unwrap();
    let two = message(by_header.receive(&headers, BODY, at(NOW)).unwrap());
    assert_ne!(two.idempotency_key, first.idempotency_key);

    let ignored =
        |headers: &HeaderMap, body: &[u8]| matches!(hook.receive(headers, body, at(NOW)), Ok(Received::Ignored { .. }));
    assert!(ignored(&github("s3cret", b"{}", "ping"), b"{}"));
    assert!(ignored(&github("s3cret", BODY, "push"), BODY));
    let fine = br#"{"run":{"conclusion":"success"}}"#;
    assert!(ignored(&github("s3cret", fine, "workflow_run"), fine));
    let refused = hook.receive(&github("other", BODY, "ping"), BODY, at(NOW));
    assert_eq!(refused, Err(HookRefusal::Signature), "not even a ping");
}

#[test]
fn bodies_have_bounds_and_places() {
    let mut options = Options::new("x", "keeper", Scheme::Standard, secret(1));
    options.body_bytes = BODY.len();
    options.template = "{{ nothing }}".into();
    options.identity = Identity::Body("id".into());
    let call = |options: &Options, body: &[u8]| {
        let hook = options.clone().build().unwrap();
        let received = hook.receive(&standard(&secret(1), "m", NOW, body), body, at(NOW));
        received.map(message).map_err(|refusal| match refusal {
            HookRefusal::TooLong { .. } => "too long",
            HookRefusal::Json(_) => "no JSON",
            HookRefusal::Lacks(_) => "lacks something",
            _ => "of a stranger",
        })
    };
    assert_eq!(call(&options, &[BODY, b" "].concat()), Err("too long"));
    assert_eq!(call(&options, b"payload=%7B%7D"), Err("no JSON"));
    assert_eq!(call(&options, BODY), Err("lacks something"), "blank");
    options.template = "{{ nothing }}!".into();
    assert_eq!(call(&options, BODY).unwrap().text, "!");
    assert_eq!(call(&options, br#"{"id":true}"#), Err("lacks something"), "no id");
    options.missing = Missing::Error;
    assert_eq!(call(&options, BODY), Err("lacks something"));
    for (change, says) in [
        (
            Box::new(|options: &mut Options| options.name = "A b".into()) as Box<dyn Fn(&mut Options)>,
            "a-z",
        ),
        (Box::new(|options| options.secrets.clear()), "no secret"),
        (
            Box::new(|options| options.secrets = vec![Secret::new("hunter2")]),
            "base64",
        ),
        (Box::new(|options| options.agent = " ".into()), "no agent"),
        (Box::new(|options| options.template = "{{".into()), "line 1"),
        (
            Box::new(|options| options.identity = Identity::Body("a b".into())),
            "neither",
        ),
        (
            Box::new(|options| options.identity = Identity::Header("a b".into())),
            "no header",
        ),
    ] {
        let mut wrong = options.clone();
        change(&mut wrong);
        let told = wrong.build().unwrap_err();
        assert!(told.contains(says) && !told.contains("hunter2"), "{told}");
    }
}

/// What a stranger is told says nothing; what the log is told says what to mend.
#[test]
fn who_does_not_know_the_secret_is_told_apart_from_who_does() {
    let hook = |scheme| Options::new("x", "keeper", scheme, secret(1)).build().unwrap();
    let forged = standard(&secret(2), "m", NOW, BODY);
    for scheme in [Scheme::Standard, Scheme::Github] {
        for headers in [HeaderMap::new(), forged.clone(), github("no", BODY, "push")] {
            let refusal = hook(scheme).receive(&headers, BODY, at(NOW)).unwrap_err();
            let is_of_stranger = matches!(refusal, HookRefusal::Header(_) | HookRefusal::Signature);
            assert!(is_of_stranger, "{refusal}");
            assert_eq!(refuse_unknown(&headers, BODY), HookRefusal::Unknown);
        }
    }
    let late = standard(&secret(1), "m", NOW - 301, BODY);
    let late = hook(Scheme::Standard).receive(&late, BODY, at(NOW)).unwrap_err();
    assert_eq!(late, HookRefusal::Stale { seconds: 301 });
    // Too long is too long, whoever sends it and wherever to.
    let long = vec![b' '; reveille_transports::hooks::BODY_BYTES + 1];
    let refused = hook(Scheme::Standard).receive(&forged, &long, at(NOW)).unwrap_err();
    assert_eq!(refuse_unknown(&forged, &long), refused);
}
