//! Agents that live in a Parachute vault: the compiled daemon against a double of the server.
//!
//! `REVEILLE_TEST_PARACHUTE_NOTES=1000` makes the long run of
//! `every_note_gets_one_turn_in_order_whatever_the_server_loses`; `REVEILLE_TEST_SEED` another course of events.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::LIMIT;
use reveille_tests::parachute::{Parachute, TOKEN, Trigger, Version};
use reveille_tests::{Daemon, Random, eventually};
use serde_json::{Value, json};

const SECRET: &str = "s3cret-of-the-webhooks";

/// A configuration with the vault of the server as the only one.
fn config(peer: &Parachute, more: &str) -> String {
    let url = peer.url();
    format!(
        "[vault]\nname = \"remote\"\nkind = \"parachute\"\nurl = \"{url}\"\nvault = \"default\"\npoll = \"1s\"\n\
         token = \"${{PARACHUTE_TOKEN}}\"\nwebhook_secret = \"${{WEBHOOK_SECRET}}\"\n{more}"
    )
}

fn daemon(peer: &Parachute, more: &str) -> reveille_tests::daemon::Builder {
    Daemon::builder()
        .stand_in()
        .env("PARACHUTE_TOKEN", TOKEN)
        .env("WEBHOOK_SECRET", SECRET)
        .config(&config(peer, more))
}

fn define(peer: &Parachute, name: &str) -> Result<()> {
    let note = json!({
        "path": format!("Agents/{name}"), "content": "You do as you are told.", "tags": ["agent/definition"],
        "metadata": { "name": name }
    });
    peer.write(&note)
        .map(drop)
        .map_err(|refusal| anyhow::anyhow!("{refusal}"))
}

/// A message as another client of the server writes it.
fn write(peer: &Parachute, agent: &str, id: &str) -> Result<()> {
    let note = json!({
        "id": id, "path": format!("channel/{agent}/{id}"), "content": id, "tags": ["agent/message", "agent/message/inbound"],
        "metadata": { "agent": agent, "direction": "inbound", "sender": "operator" }
    });
    peer.write(&note)
        .map(drop)
        .map_err(|refusal| anyhow::anyhow!("{refusal}"))
}

/// Waits until the only agent is known: no start waits for a server.
async fn eng_is_there(daemon: &Daemon) -> Result<()> {
    eventually("the agent is there", LIMIT, async || {
        let agents = daemon.agents().await?;
        let names: Vec<_> = agents.iter().map(|agent| &agent["name"]).collect();
        Ok((names == ["eng"]).then_some(()))
    })
    .await
}

/// What the agents' answers answer, by agent, in the order in which they were written.
fn answered(peer: &Parachute) -> BTreeMap<String, Vec<String>> {
    let mut answered: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for note in peer.notes() {
        if note.tags.iter().any(|tag| tag == "agent/message/outbound") {
            let text = |key: &str| note.metadata[key].as_str().unwrap_or_default().to_owned();
            answered.entry(text("agent")).or_default().push(text("in_reply_to"));
        }
    }
    answered
}

/// The turns of an agent.
async fn turns(daemon: &Daemon, agent: &str) -> Result<Vec<Value>> {
    let answer = daemon
        .ask_in("GET", &format!("/api/turns?channel={agent}&limit=1000"), b"")
        .await?;
    let list = answer.json()?["turns"].as_array().cloned();
    list.context("a list of turns")
}

fn count(answered: &BTreeMap<String, Vec<String>>) -> usize {
    answered.values().map(Vec::len).sum()
}

async fn wait_answers(peer: &Parachute, expected: usize) -> Result<BTreeMap<String, Vec<String>>> {
    // Whatever the number: as long as something comes, it goes on.
    let mut last = 0;
    loop {
        let more = eventually(&format!("more than {last} answers of {expected}"), LIMIT, async || {
            let there = answered(peer);
            Ok((count(&there) >= expected || count(&there) > last).then_some(there))
        })
        .await?;
        last = count(&more);
        if last >= expected {
            return Ok(more);
        }
    }
}

#[tokio::test]
async fn an_agent_in_a_parachute_vault_answers_there() -> Result<()> {
    for version in [Version::May, Version::July] {
        let peer = Parachute::start(version)?;
        define(&peer, "eng")?;
        let daemon = daemon(&peer, "").start().await?;
        write(&peer, "eng", "one")?;
        let there = wait_answers(&peer, 1).await?;
        assert_eq!(there["eng"], ["one"]);
        // The record of the conversation is there too, and the word on the definition.
        let thread = eventually("the thread note says ok", LIMIT, async || {
            Ok(peer
                .note("Threads/eng/eng")
                .filter(|note| note.metadata["status"] == "ok"))
        })
        .await?;
        assert_eq!(thread.tags, ["agent/thread"]);
        assert!(
            thread.metadata["session"]
                .as_str()
                .is_some_and(|session| !session.is_empty())
        );
        eventually("the definition says that it is in use", LIMIT, async || {
            let agent = peer.note("Agents/eng").context("the definition")?;
            let enabled = agent.metadata.get("status").is_some_and(|status| status == "enabled");
            Ok(enabled.then_some(()))
        })
        .await?;

        // The same by our own door.
        let sent = daemon.send("eng", "by the door").await?;
        daemon.wait_turn("eng", &sent).await?;
        let there = wait_answers(&peer, 2).await?;
        assert_eq!(there["eng"], ["one".to_owned(), sent.id]);
        let log = daemon.log()?;
        ensure!(!log.contains(TOKEN) && !log.contains(SECRET), "a secret is in the log");
    }
    Ok(())
}

#[tokio::test]
async fn a_hint_of_the_server_is_taken_only_with_the_secret_of_the_vault() -> Result<()> {
    let peer = Parachute::start(Version::May)?;
    define(&peer, "eng")?;
    let daemon = daemon(&peer, "").start().await?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let hint = json!({ "trigger": "t", "event": "created", "note": { "id": "n", "metadata": { "agent": "eng" } } });
    let address = daemon.url().join("api/vault/inbound")?;
    let shown = |secret: &str| format!("{address}?secret={secret}");
    for url in [
        address.to_string(),
        shown(""),
        shown("wrong"),
        shown(daemon.token()),
        shown(TOKEN),
    ] {
        let answer = http.post(url).json(&hint).send().await?;
        assert_eq!(answer.status().as_u16(), 401);
    }
    let wrong_header = http.post(shown(SECRET)).bearer_auth("wrong").json(&hint).send().await?;
    assert_eq!(wrong_header.status().as_u16(), 401);
    for body in ["", "{", "{}", "{\"note\":{}}", "{\"note\":{\"id\":\"a/b\"}}"] {
        let answer = http.post(shown(SECRET)).body(body).send().await?;
        assert_eq!(answer.status().as_u16(), 400, "{body}");
    }
    // Of a note that is not there: a look, and nothing else. 503 as long as the first scan takes.
    let answer = eventually("a hint is followed", LIMIT, async || {
        let answer = http.post(shown(SECRET)).json(&hint).send().await?;
        Ok((answer.status().as_u16() != 503).then_some(answer))
    })
    .await?;
    assert_eq!((answer.status().as_u16(), answer.text().await?.as_str()), (200, "{}"));

    write(&peer, "eng", "m")?;
    let hint = json!({ "note": { "id": "m" } });
    for request in [
        http.post(address.clone()).bearer_auth(SECRET),
        http.post(address.clone()).header("X-Channel-Webhook-Secret", SECRET),
        http.post(shown(SECRET)),
    ] {
        let answer = request.json(&hint).send().await?;
        assert_eq!((answer.status().as_u16(), answer.text().await?.as_str()), (200, "{}"));
    }
    let there = wait_answers(&peer, 1).await?;
    assert_eq!(there["eng"], ["m"]);
    ensure!(!daemon.log()?.contains(SECRET), "the secret is in the log");
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_down_keeps_no_daemon_from_starting_and_its_agents_work_when_it_is_back() -> Result<()> {
    let peer = Parachute::start(Version::May)?;
    define(&peer, "eng")?;
    let mut daemon = daemon(&peer, "").start().await?;
    write(&peer, "eng", "before")?;
    wait_answers(&peer, 1).await?;
    daemon.stop().await?;
    peer.kill();
    write(&peer, "eng", "meanwhile")?;
    daemon.start().await?;
    eng_is_there(&daemon).await?;
    peer.restart().await?;
    let there = wait_answers(&peer, 2).await?;
    assert_eq!(there["eng"], ["before", "meanwhile"]);
    // A reply that cannot be delivered is kept until it can.
    write(&peer, "eng", "last")?;
    eventually("the turn is taken", LIMIT, async || {
        let turns = turns(&daemon, "eng").await?;
        Ok(turns.iter().any(|turn| turn["message"] == "last").then_some(()))
    })
    .await?;
    peer.kill();
    peer.restart().await?;
    assert_eq!(wait_answers(&peer, 3).await?["eng"], ["before", "meanwhile", "last"]);
    Ok(())
}

fn number(variable: &str, default: u64) -> Result<u64> {
    match std::env::var(variable) {
        Ok(text) => text.parse().with_context(|| format!("{variable}={text} is no number")),
        Err(_) => Ok(default),
    }
}

/// Each third webhook is lost, and the server dies at random moments, with what it had in memory.
#[tokio::test]
async fn every_note_gets_one_turn_in_order_whatever_the_server_loses() -> Result<()> {
    const AGENTS: u64 = 8;
    let notes = number("REVEILLE_TEST_PARACHUTE_NOTES", 120)?;
    let seed = number("REVEILLE_TEST_SEED", 4)?;
    let mut random = Random::new(seed);
    let peer = Parachute::start(Version::May)?;
    peer.set_faults(|faults| faults.drop_webhook = 3);
    let daemon = daemon(&peer, "[limits]\nlive_turns = 8\n").start().await?;
    let hook = daemon.url().join(&format!("api/vault/inbound?secret={SECRET}"))?;
    peer.add_trigger(Trigger::inbound(hook.as_str()));
    for agent in 0..AGENTS {
        define(&peer, &format!("a{agent}"))?;
    }
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut deaths = 0;
    for number in 0..notes {
        let agent = format!("a{}", random.within(0..AGENTS));
        let id = format!("n{number:04}");
        write(&peer, &agent, &id)?;
        expected.entry(agent).or_default().push(id);
        // Sometimes many at once, sometimes with time for their webhooks.
        if random.one_of(3) {
            tokio::time::sleep(random.millis(0..60)).await;
        }
        if random.one_of(notes / 6) {
            peer.kill();
            tokio::time::sleep(random.millis(0..300)).await;
            peer.restart().await?;
            deaths += 1;
        }
    }
    let there = wait_answers(&peer, usize::try_from(notes)?).await?;
    let mut told = String::new();
    for (agent, ids) in &expected {
        if there.get(agent) != Some(ids) {
            writeln!(told, "{agent}: {:?} instead of {ids:?}", there.get(agent))?;
        }
    }
    ensure!(told.is_empty(), "seed {seed}, {deaths} deaths of the server:\n{told}");
    ensure!(deaths > 0, "the server never died; take another seed than {seed}");
    for (agent, ids) in &expected {
        let turns = turns(&daemon, agent).await?;
        let mut messages: Vec<_> = turns
            .iter()
            .map(|turn| turn["message"].as_str().unwrap_or_default())
            .collect();
        messages.sort_unstable();
        assert_eq!(&messages, ids, "one turn each");
        ensure!(turns.iter().all(|turn| turn["state"] == "ok"), "{turns:?}");
    }
    let stuck = peer
        .notes()
        .iter()
        .filter(|note| note.metadata.contains_key("channel_inbound_pending_at"))
        .count();
    ensure!(stuck > 0, "no webhook was lost");
    assert_eq!(answered(&peer), expected);
    Ok(())
}

#[tokio::test]
async fn a_damaged_index_is_made_anew_and_no_note_gets_a_second_turn() -> Result<()> {
    for first_connect in ["pending", "all", "none"] {
        let peer = Parachute::start(Version::May)?;
        define(&peer, "eng")?;
        let mut daemon = daemon(&peer, &format!("first_connect = \"{first_connect}\"\n"))
            .start()
            .await?;
        eng_is_there(&daemon).await?;
        let first = daemon.send("eng", "by the door").await?;
        daemon.wait_turn("eng", &first).await?;
        write(&peer, "eng", "one")?;
        wait_answers(&peer, 2).await?;
        daemon.stop().await?;
        let index = daemon.state_dir().join("vaults/remote.parachute.db");
        let len = usize::try_from(std::fs::metadata(&index)?.len())?;
        std::fs::write(&index, vec![0x5a; len])?;
        write(&peer, "eng", "meanwhile")?;
        daemon.start().await?;
        wait_answers(&peer, 3).await?;
        write(&peer, "eng", "last")?;
        let there = wait_answers(&peer, 4).await?;
        let expected = [first.id.as_str(), "one", "meanwhile", "last"];
        assert_eq!(there["eng"], expected, "{first_connect}");
        assert_eq!(turns(&daemon, "eng").await?.len(), 4, "{first_connect}");
        ensure!(daemon.log()?.contains("the index was damaged and is made anew"));
    }
    Ok(())
}
