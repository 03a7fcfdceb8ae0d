//! `POST /api/vault/inbound`: what a server of notes tells, and what anybody else would like to tell.

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT, State};
use reveille_tests::eventually;
use reveille_tests::parachute::{Parachute, TOKEN, Version};
use serde_json::{Value, json};

use super::text;

const INBOUND: &str = "/api/vault/inbound";
const SECRETS: [&str; 2] = ["hook-of-the-first-0123456789", "hook-of-the-second-0123456789"];

/// A daemon with two vaults of servers, each with a secret and an agent of its own.
async fn with_two(peers: &[Parachute; 2]) -> Result<Daemon> {
    let mut config = String::new();
    for (peer, (name, variable)) in peers.iter().zip([("first", "HOOK_ONE"), ("second", "HOOK_TWO")]) {
        let note = json!({
            "path": format!("Agents/{name}"), "content": "You help.", "tags": ["agent/definition"],
            "metadata": { "name": name }
        });
        peer.write(&note).map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
        config += &format!(
            "[[vault]]\nname = \"{name}\"\nkind = \"parachute\"\nurl = \"{}\"\nvault = \"default\"\npoll = \"1h\"\n\
             token = \"${{VAULT_TOKEN}}\"\nwebhook_secret = \"${{{variable}}}\"\n",
            peer.url()
        );
    }
    let daemon = Daemon::builder()
        .stand_in()
        .env("VAULT_TOKEN", TOKEN)
        .env("HOOK_ONE", SECRETS[0])
        .env("HOOK_TWO", SECRETS[1])
        .config(&config)
        .start()
        .await?;
    eventually("both agents are there", LIMIT, async || {
        Ok((daemon.agents().await?.len() == 2).then_some(()))
    })
    .await?;
    // The first scans come to the messages after the agents. Once they are over, what is written is found by hints alone.
    for secret in SECRETS {
        let nothing = json!({ "id": "nothing" });
        let looked = hint(&daemon, &[("x-channel-webhook-secret", secret)], &nothing).await?;
        assert_eq!(looked, 200);
    }
    Ok(daemon)
}

fn message(peer: &Parachute, agent: &str, id: &str, more: &Value) -> Result<Value> {
    let mut note = json!({
        "id": id, "path": format!("channel/{agent}/{id}"), "content": format!("[[reply to {id}]]"),
        "tags": ["agent/message", "agent/message/inbound"], "metadata": { "agent": agent, "direction": "inbound" }
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        note[key] = value.clone();
    }
    peer.write(&note).map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
    Ok(note)
}

/// What the agents' answers answer.
fn answered(peer: &Parachute) -> Vec<String> {
    let notes = peer.notes().into_iter();
    let answers = notes.filter(|note| note.tags.iter().any(|tag| tag == "agent/message/outbound"));
    answers
        .filter_map(|note| note.metadata["in_reply_to"].as_str().map(str::to_owned))
        .collect()
}

async fn wait_answers(peer: &Parachute, expected: &[&str]) -> Result<()> {
    eventually(&format!("answers to {expected:?}"), LIMIT, async || {
        Ok((answered(peer) == expected).then_some(()))
    })
    .await
    .with_context(|| format!("there are {:?}", answered(peer)))
}

async fn hint(daemon: &Daemon, headers: &[(&str, &str)], note: &Value) -> Result<u16> {
    let body = json!({ "trigger": "t", "event": "created", "note": note }).to_string();
    // As long as the first scan after the start takes it is 503, and is told again.
    eventually("a hint is taken or refused", LIMIT, async || {
        let answer = daemon.ask("POST", INBOUND, headers, body.as_bytes()).await?;
        Ok((answer.status != 503).then_some(answer.status))
    })
    .await
}

#[tokio::test]
async fn r_http_91_15_16_a_hint_wakes_once_and_only_by_what_the_note_says() -> Result<()> {
    let peers = [Parachute::start(Version::July)?, Parachute::start(Version::July)?];
    let daemon = with_two(&peers).await?;
    let bearer = format!("Bearer {}", SECRETS[0]);
    let headers = [("authorization", bearer.as_str())];
    let note = message(&peers[0], "first", "m1", &json!({}))?;
    for _ in 0..5 {
        assert_eq!(hint(&daemon, &headers, &note).await?, 200);
    }
    wait_answers(&peers[0], &["m1"]).await?;
    // Words in the hint that the note does not have: another agent, another text, an answer that is to be a message.
    let outbound = json!({ "tags": ["agent/message", "agent/message/outbound"], "metadata": {
        "agent": "first", "direction": "outbound", "in_reply_to": "m1" } });
    let mut said = message(&peers[0], "first", "out", &outbound)?;
    said["tags"] = json!(["agent/message", "agent/message/inbound"]);
    said["metadata"] = json!({ "agent": "first", "direction": "inbound" });
    assert_eq!(hint(&daemon, &headers, &said).await?, 200);
    let invented = json!({
        "id": "invented", "content": "[[reply invented]]", "tags": ["agent/message", "agent/message/inbound"],
        "metadata": { "agent": "first", "sender": "operator" }
    });
    assert_eq!(hint(&daemon, &headers, &invented).await?, 200);
    let mut other = message(&peers[0], "first", "m2", &json!({}))?;
    other["content"] = json!("[[reply what the note does not say]]");
    other["metadata"]["agent"] = json!("second");
    assert_eq!(hint(&daemon, &headers, &other).await?, 200);
    wait_answers(&peers[0], &["m1", "m1", "m2"]).await?;
    let turns = daemon
        .ask_in("GET", "/api/turns?channel=first&limit=1000", b"")
        .await?
        .json()?;
    let mut messages: Vec<&str> = Vec::new();
    for turn in turns["turns"].as_array().context("turns")? {
        messages.push(text(turn, "message"));
    }
    messages.sort_unstable();
    assert_eq!(messages, ["m1", "m2"]);
    let texts = peers[0].notes();
    ensure!(
        !texts.iter().any(|note| note.content.contains("does not say")),
        "{texts:#?}"
    );
    Ok(())
}

#[tokio::test]
async fn r_http_91_12_a_secret_is_of_its_own_vault() -> Result<()> {
    let peers = [Parachute::start(Version::July)?, Parachute::start(Version::July)?];
    let daemon = with_two(&peers).await?;
    let of_second = message(&peers[1], "second", "s1", &json!({}))?;
    let of_first = message(&peers[0], "first", "f1", &json!({}))?;
    // The secret of the first vault makes the daemon look there, whatever the hint says, and nowhere else.
    peers[1].take_log();
    assert_eq!(
        hint(&daemon, &[("x-channel-webhook-secret", SECRETS[0])], &of_second).await?,
        200
    );
    assert_eq!(
        hint(&daemon, &[("x-channel-webhook-secret", SECRETS[0])], &of_first).await?,
        200
    );
    wait_answers(&peers[0], &["f1"]).await?;
    let log = peers[1].take_log();
    ensure!(!log.iter().any(|line| line.contains("s1")), "{log:?}");
    assert_eq!(answered(&peers[1]), Vec::<String>::new());
    assert_eq!(
        hint(&daemon, &[("x-channel-webhook-secret", SECRETS[1])], &of_second).await?,
        200
    );
    wait_answers(&peers[1], &["s1"]).await?;
    Ok(())
}

#[tokio::test]
async fn r_http_91_who_has_no_secret_is_told_one_thing_only() -> Result<()> {
    let peers = [Parachute::start(Version::July)?, Parachute::start(Version::July)?];
    let daemon = with_two(&peers).await?;
    let large = "x".repeat(4_000_000);
    let half = &SECRETS[0][..SECRETS[0].len() - 1];
    let both = format!("{}{}", SECRETS[0], SECRETS[1]);
    let mut told = Vec::new();
    for (agent, body) in [
        (
            "first",
            json!({ "note": { "id": "x", "metadata": { "agent": "first" } } }).to_string(),
        ),
        (
            "nobody",
            json!({ "note": { "id": "x", "metadata": { "agent": "nobody" } } }).to_string(),
        ),
        ("none", "{ no json".to_owned()),
        ("empty", String::new()),
        ("large", large.clone()),
    ] {
        for headers in [
            &[][..],
            &[("authorization", "")],
            &[("authorization", "Bearer ")],
            &[("authorization", "Bearer guess")],
            &[("x-channel-webhook-secret", "")],
            &[("x-channel-webhook-secret", half)],
            &[("x-channel-webhook-secret", both.as_str())],
            &[("cookie", SECRETS[0])],
            // A wrong word counts, whatever else is right.
            &[("authorization", "Bearer "), ("x-channel-webhook-secret", SECRETS[0])],
            &[
                ("authorization", "Bearer guess"),
                ("x-channel-webhook-secret", SECRETS[0]),
            ],
        ] {
            let answer = daemon.ask("POST", INBOUND, headers, body.as_bytes()).await?;
            assert_eq!(answer.status, 401, "{agent} {headers:?}");
            told.push(String::from_utf8_lossy(&answer.body).into_owned());
        }
    }
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
    ensure!(!told[0].contains("first") && !told[0].contains("vault"), "{told:?}");
    let log = daemon.log()?;
    ensure!(
        !SECRETS.iter().any(|secret| log.contains(secret)),
        "a secret is in the log"
    );
    Ok(())
}

/// The secret of a vault is guessed no oftener than a token, wherever the guess stands.
#[tokio::test]
async fn r_http_91_who_guesses_a_secret_is_held_back_and_who_has_it_is_not() -> Result<()> {
    let peers = [Parachute::start(Version::July)?, Parachute::start(Version::July)?];
    let daemon = with_two(&peers).await?;
    let body = json!({ "note": { "id": "x" } }).to_string();
    let by_address = format!("{INBOUND}?secret=guess");
    let guess = [("x-channel-webhook-secret", "guess")];
    let (definition, bearer) = ("/api/vault/agent-def", [("authorization", "Bearer guess")]);
    let doors: [(&str, &[(&str, &str)]); 3] = [(INBOUND, &guess), (&by_address, &[]), (definition, &guess)];
    let mut answered = 0;
    while answered < 1000 {
        let (target, headers) = doors[answered % doors.len()];
        let answer = daemon.ask("POST", target, headers, body.as_bytes()).await?;
        if answer.status != 401 {
            break;
        }
        answered += 1;
    }
    // So many as wrong tokens from this machine.
    assert_eq!(answered, 300);
    for (target, headers) in doors.into_iter().chain([(INBOUND, &bearer[..])]) {
        let held = daemon.ask("POST", target, headers, body.as_bytes()).await?;
        assert_eq!(held.refusal()?, (429, "too_many_wrong_tokens".to_owned()), "{target}");
        ensure!(held.header("retry-after").is_some(), "{target}");
    }
    // Who shows nothing guesses nothing.
    assert_eq!(daemon.ask("POST", INBOUND, &[], body.as_bytes()).await?.status, 401);
    let note = message(&peers[0], "first", "m1", &json!({}))?;
    assert_eq!(
        hint(&daemon, &[("x-channel-webhook-secret", SECRETS[0])], &note).await?,
        200
    );
    wait_answers(&peers[0], &["m1"]).await?;
    ensure!(!daemon.log()?.contains("guess"), "a guess is in the log");
    Ok(())
}

/// A turn is still one turn when hints come in a storm, from many at once, for notes that there are and that there are not.
#[tokio::test]
async fn r_http_91_a_storm_of_hints_is_one_turn_for_each_note() -> Result<()> {
    let peers = [Parachute::start(Version::July)?, Parachute::start(Version::July)?];
    let daemon = with_two(&peers).await?;
    let bearer = format!("Bearer {}", SECRETS[0]);
    let headers = [("authorization", bearer.as_str())];
    let mut notes = Vec::new();
    for at in 0..8 {
        notes.push(message(&peers[0], "first", &format!("m{at}"), &json!({}))?);
        notes.push(json!({ "id": format!("ghost-{at}"), "metadata": { "agent": "first" } }));
    }
    let storm = (0..10).flat_map(|_| notes.iter().map(|note| hint(&daemon, &headers, note)));
    let statuses = futures_util::future::try_join_all(storm).await?;
    ensure!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    let expected: Vec<String> = (0..8).map(|at| format!("m{at}")).collect();
    eventually("all are answered", LIMIT, async || {
        let mut there = answered(&peers[0]);
        there.sort();
        Ok((there == expected).then_some(()))
    })
    .await?;
    let turns = daemon
        .ask_in("GET", "/api/turns?channel=first&limit=1000", b"")
        .await?
        .json()?;
    assert_eq!(turns["turns"].as_array().map(Vec::len), Some(8));
    let sent = daemon.send("second", "[[reply and the others]]").await?;
    assert_eq!(daemon.wait_turn("second", &sent).await?.state, State::Ok);
    Ok(())
}
