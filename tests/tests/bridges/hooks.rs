//! Hooks: signed calls from outside.

use std::collections::BTreeMap;

use anyhow::Result;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::Answer;
use serde_json::json;
use sha2::Sha256;

use super::*;

/// One of each scheme, one that asks for all places of its template, and one whose agent nobody makes.
const CONFIG: &str = "[[hook]]\nname = \"ci\"\nagent = \"eng\"\nscheme = \"github\"\nsecret = \"${HOOK}\"\n\
    events = [\"push\"]\ntemplate = \"{{ repo }} was pushed\"\n\
    [[hook]]\nname = \"alarm\"\nagent = \"eng\"\nscheme = \"standard\"\nsecret = \"${STANDARD}\"\nold_secret = \"${OLD}\"\n\
    template = \"{{ what }} at {{ place | \\\"home\\\" }}\"\nsubject = \"{{ place }}\"\n\
    [[hook]]\nname = \"strict\"\nagent = \"eng\"\nscheme = \"standard\"\nsecret = \"${STANDARD}\"\nmissing = \"error\"\n\
    template = \"{{ what }} at {{ place }}\"\n\
    [[hook]]\nname = \"later\"\nagent = \"late\"\nscheme = \"standard\"\nsecret = \"${STANDARD}\"\n";
const SECRET: &str = "a secret of the hook";
const STANDARD: &str = "whsec_CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=";
const OLD: &str = "whsec_CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=";
const OTHERS: &str = "whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// What GitHub would sign a body with.
fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key");
    mac.update(body);
    let hex: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256={hex}")
}

type Headers = BTreeMap<&'static str, String>;

fn github(secret: &str, event: &str, body: &[u8]) -> Headers {
    [
        ("x-github-event", event.to_owned()),
        ("x-hub-signature-256", signature(secret, body)),
    ]
    .into()
}

/// What the library of the standard signs with.
fn standard(secret: &str, id: &str, age: i64, body: &[u8]) -> Result<Headers> {
    let at = Timestamp::now().as_second() - age;
    let signed = standardwebhooks::Webhook::new(secret)?.sign(id, at, body)?;
    Ok([
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", at.to_string()),
        ("webhook-signature", signed),
    ]
    .into())
}

async fn call(daemon: &Daemon, name: &str, headers: &Headers, body: &[u8]) -> Result<Answer> {
    let mut all = vec![("content-type", "application/json")];
    all.extend(headers.iter().map(|(name, value)| (*name, value.as_str())));
    daemon.ask("POST", &format!("/hooks/{name}"), &all, body).await
}

async fn house() -> Result<Daemon> {
    let daemon = Daemon::builder()
        .stand_in()
        .env("HOOK", SECRET)
        .env("STANDARD", STANDARD)
        .env("OLD", OLD)
        .config(CONFIG);
    daemon.start().await
}

async fn texts(daemon: &Daemon) -> Result<Vec<String>> {
    let journal = daemon.wait_quiet(LIMIT).await?;
    Ok(journal.inbound().map(|note| note.content.clone()).collect())
}

#[tokio::test]
async fn a_signed_call_wakes_the_agent_once_and_others_wake_nobody() -> Result<()> {
    let daemon = house().await?;
    let body = br#"{"repo": "tower"}"#;
    let signed = github(SECRET, "push", body);
    // Without its agent nothing is stored, and the sender tries again.
    assert_eq!(
        call(&daemon, "ci", &signed, body).await?.refusal()?,
        (503, "hook_unavailable".to_owned())
    );
    daemon.create_agent("eng", "You build.").await?;
    for (headers, body, expected) in [
        (github("another", "push", body), &body[..], (401, "wrong_signature")),
        (signed.clone(), br#"{"repo": "bower"}"#, (401, "wrong_signature")),
        (github(SECRET, "push", b"{"), b"{", (400, "invalid_body")),
    ] {
        let (status, code) = call(&daemon, "ci", &headers, body).await?.refusal()?;
        assert_eq!((status, code.as_str()), expected);
    }
    let passed_by = call(&daemon, "ci", &github(SECRET, "issues", body), body)
        .await?
        .json()?;
    assert!(
        passed_by["ok"] == true && passed_by["ignored"].is_string(),
        "{passed_by}"
    );
    let first = call(&daemon, "ci", &signed, body).await?.json()?;
    let again = call(&daemon, "ci", &signed, body).await?.json()?;
    assert_eq!((&first["ok"], &first["id"]), (&json!(true), &again["id"]));
    assert_eq!(texts(&daemon).await?, ["tower was pushed"]);
    assert!(!daemon.log()?.contains(SECRET));
    Ok(())
}

#[tokio::test]
async fn a_call_of_the_standard_is_one_message_whenever_it_is_repeated_and_none_when_it_is_late() -> Result<()> {
    let mut daemon = house().await?;
    daemon.create_agent("eng", "You build.").await?;
    let body = br#"{"type": "alarm", "what": "smoke", "place": "the tower"}"#;
    let signed = standard(STANDARD, "msg_1", 0, body)?;
    let first = call(&daemon, "alarm", &signed, body).await?.json()?;
    // The same bytes; the same id signed again, as a sender does that got no answer; and with the secret before this one.
    let again = [
        signed.clone(),
        standard(STANDARD, "msg_1", 100, body)?,
        standard(OLD, "msg_1", -100, body)?,
    ];
    for headers in &again {
        assert_eq!(call(&daemon, "alarm", headers, body).await?.json()?, first);
    }
    daemon.kill9().await?;
    daemon.start().await?;
    for headers in &again {
        assert_eq!(
            call(&daemon, "alarm", headers, body).await?.json()?,
            first,
            "after a restart"
        );
    }
    // The id counts for its hook.
    let elsewhere = call(&daemon, "strict", &signed, body).await?.json()?;
    assert!(
        elsewhere["id"].is_string() && elsewhere["id"] != first["id"],
        "{elsewhere}"
    );
    for age in [400, -400] {
        let late = standard(STANDARD, "msg_2", age, body)?;
        let (status, code) = call(&daemon, "alarm", &late, body).await?.refusal()?;
        assert_eq!((status, code.as_str()), (401, "stale_signature"));
    }
    // Somebody who overheard a call signs nothing anew.
    let mut fresh = signed.clone();
    fresh.insert("webhook-timestamp", (Timestamp::now().as_second() + 1).to_string());
    let mut other = signed;
    other.insert("webhook-id", "msg_3".into());
    for forged in [fresh, other, standard(OTHERS, "msg_4", 0, body)?] {
        let (status, code) = call(&daemon, "alarm", &forged, body).await?.refusal()?;
        assert_eq!((status, code.as_str()), (401, "wrong_signature"));
    }
    let journal = daemon.wait_quiet(LIMIT).await?;
    let told: Vec<(&str, &str)> = journal
        .inbound()
        .map(|note| (note.content.as_str(), note.text("subject")))
        .collect();
    assert_eq!(told, [("smoke at the tower", "the tower"), ("smoke at the tower", "")]);
    assert!(journal.inbound().all(|note| note.text("sender").starts_with("hook:")));
    Ok(())
}

#[tokio::test]
async fn what_a_template_lacks_is_told_to_who_signs_and_nothing_is_stored() -> Result<()> {
    let daemon = house().await?;
    daemon.create_agent("eng", "You build.").await?;
    let send =
        async |hook: &str, id: &str, body: &[u8]| call(&daemon, hook, &standard(STANDARD, id, 0, body)?, body).await;
    let lacks = send("strict", "msg_1", br#"{"what": "smoke"}"#).await?;
    assert!(
        lacks.json()?["message"]
            .as_str()
            .is_some_and(|words| words.contains("place"))
    );
    assert_eq!(lacks.refusal()?, (422, "incomplete_body".to_owned()));
    // The same id with what was missing is a message: the first call came to nothing.
    let mended = send("strict", "msg_1", br#"{"what": "smoke", "place": "the {{ tower }}"}"#).await?;
    assert!(mended.json()?["id"].is_string());
    let with_word = send("alarm", "msg_2", br#"{"what": ["smoke", 2]}"#).await?;
    assert!(with_word.json()?["id"].is_string());
    for (body, expected) in [
        (&b"no json"[..], (400, "invalid_body")),
        (&vec![b' '; (1 << 20) + 1], (413, "too_large")),
    ] {
        let (status, code) = send("alarm", "msg_3", body).await?.refusal()?;
        assert_eq!((status, code.as_str()), expected);
    }
    // What is filled in is not read again.
    assert_eq!(
        texts(&daemon).await?,
        ["smoke at the {{ tower }}", "[\"smoke\",2] at home"]
    );
    Ok(())
}

/// Whatever a stranger sends, it comes back the same from a hook of either scheme, from one without its agent, and from one that
/// is not there.
#[tokio::test]
async fn a_stranger_does_not_learn_which_hooks_there_are() -> Result<()> {
    let daemon = house().await?;
    daemon.create_agent("eng", "You build.").await?;
    let body = br#"{"what": "smoke"}"#;
    let mut blank = Headers::new();
    blank.insert("webhook-id", "msg_1".into());
    let mut no_time = standard(OTHERS, "msg_1", 0, body)?;
    no_time.insert("webhook-timestamp", "yesterday".into());
    let both = [standard(OTHERS, "msg_1", 0, body)?, github("another", "push", body)];
    let calls = [
        Headers::new(),
        blank,
        no_time,
        standard(OTHERS, "msg_1", 0, body)?,
        standard(OTHERS, "msg_1", 4000, body)?,
        github("another", "push", body),
        github("another", "ping", body),
        [("x-hub-signature-256", "sha256=no".to_owned())].into(),
        both.into_iter().flatten().collect(),
    ];
    for headers in &calls {
        for body in [&body[..], b"{", &vec![b' '; (1 << 20) + 1]] {
            let mut told = Vec::new();
            for name in ["none", "ci", "alarm", "strict", "later", "No%20name"] {
                let answer = call(&daemon, name, headers, body).await?;
                let mut names: Vec<String> = answer.headers.iter().map(|(name, _)| name.to_string()).collect();
                names.sort_unstable();
                told.push((answer.status, names, String::from_utf8(answer.body.clone())?));
            }
            assert!([401, 413].contains(&told[0].0), "{told:?}");
            assert!(told.iter().all(|one| *one == told[0]), "{headers:?}: {told:?}");
        }
        let (status, code) = call(&daemon, "none", headers, body).await?.refusal()?;
        assert_eq!((status, code.as_str()), (401, "wrong_signature"));
    }
    assert_eq!(texts(&daemon).await?, Vec::<String>::new());
    // Who runs the daemon finds what was wrong.
    let log = daemon.log()?;
    for said in [
        "there is no hook of this name",
        "x-hub-signature-256 is missing",
        "the signature does not fit",
    ] {
        assert!(log.contains(said), "{said}");
    }
    Ok(())
}
