//! A name stands in a note that anybody may write. What the operator has given to a name does not go to whoever takes it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![forbid(unsafe_code)]

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::{LIMIT, State};
use reveille_tests::eventually;
use serde_json::{Value, json};

const TWO: &str = "[[vault]]\nname = \"first\"\n[[vault]]\nname = \"second\"\n";
const TABLES: &str = "[sandbox]\nnetwork = \"proxied\"\n[sandbox.agents.OPS]\nnetwork = \"restricted\"\n[sandbox.agents.nobody]\nnetwork = \"open\"\n";
/// Says the secret, and what is left of an earlier turn.
const LOOK: &str =
    "[[exec printf '%s' \"${DEPLOY_KEY:-none}\" > {told}; ls >> {told}; touch mine; printf '.' >> {told}]]";

async fn two(more: &str) -> Result<Daemon> {
    Daemon::builder()
        .stand_in()
        .config(&format!("{TWO}{more}"))
        .start()
        .await
}

async fn define(daemon: &Daemon, vault: &str, path: &str, metadata: &Value) -> Result<String> {
    let note = daemon
        .note_put_in(vault, path, "You do.", &["agent/definition"], metadata)
        .await?;
    Ok(note["id"].as_str().context("a note has an id")?.to_owned())
}

async fn says(daemon: &Daemon, vault: &str, note: &str, word: &str) -> Result<Value> {
    eventually(&format!("{note} in {vault} says {word:?}"), LIMIT, async || {
        let note = daemon.note_in(vault, note).await?.context("the note is there")?;
        let metadata = note["metadata"].clone();
        let there = metadata["status_detail"].as_str().unwrap_or_default().contains(word);
        Ok((there && metadata["status"].is_string()).then_some(metadata))
    })
    .await
}

async fn secret(daemon: &Daemon, agent: &str, name: &str) -> Result<(u16, Value)> {
    let body = json!({ "name": name, "value": "hunter2hunter2", "channel": agent });
    let reply = daemon
        .request(Method::POST, &["api", "credentials", "env"], Some(&body))
        .await?;
    Ok((reply.status, reply.body))
}

/// What a turn has: the secret, and the files that a turn before it has left in its directory.
async fn look(daemon: &Daemon, agent: &str) -> Result<String> {
    let told = daemon.scratch().join(uuid::Uuid::new_v4().to_string());
    let text = LOOK.replace("{told}", &told.display().to_string());
    let sent = daemon.send(agent, &text).await?;
    assert_eq!(daemon.wait_turn(agent, &sent).await?.state, State::Ok);
    let told = std::fs::read_to_string(told)?;
    Ok(told.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn file(daemon: &Daemon, vault: &str) -> PathBuf {
    daemon.state_dir().join("vaults").join(format!("{vault}.db"))
}

async fn shown(daemon: &Daemon, agent: &str) -> Result<Value> {
    daemon.request(Method::GET, &["api", "agents", agent], None).await?.ok()
}

#[tokio::test]
async fn a_name_waits_for_a_vault_that_cannot_be_read() -> Result<()> {
    let mut daemon = two("").await?;
    let first = define(&daemon, "first", "Agents/ops", &json!({ "name": "ops" })).await?;
    says(&daemon, "first", &first, "").await?;
    assert_eq!(secret(&daemon, "ops", "DEPLOY_KEY").await?.0, 200);
    assert_eq!(look(&daemon, "ops").await?, "hunter2hunter2.");
    let second = define(&daemon, "second", "Agents/x", &json!({ "name": "ops" })).await?;
    says(&daemon, "second", &second, "is taken").await?;
    daemon.stop().await?;
    let (vault, aside) = (file(&daemon, "first"), daemon.scratch().join("first.db"));
    std::fs::rename(&vault, &aside)?;
    std::fs::create_dir(&vault)?;

    daemon.start().await?;
    let told = says(&daemon, "second", &second, "has not been read").await?;
    assert_eq!(told["status"], "pending", "{told}");
    let body = json!({ "text": "Hello" });
    let sent = daemon
        .request(Method::POST, &["api", "channels", "ops", "send"], Some(&body))
        .await?;
    assert_eq!(sent.status, 409, "{}", sent.body);

    std::fs::remove_dir(&vault)?;
    std::fs::rename(&aside, &vault)?;
    says(&daemon, "second", &second, "is taken").await?;
    // It is the same agent, with all that it had.
    assert_eq!(look(&daemon, "ops").await?, "hunter2hunter2mine .");
    Ok(())
}

#[tokio::test]
async fn another_note_of_a_name_gets_what_it_had_by_a_word_of_the_operator_alone() -> Result<()> {
    let mut daemon = two("").await?;
    let first = define(&daemon, "first", "Agents/ops", &json!({ "name": "ops" })).await?;
    says(&daemon, "first", &first, "").await?;
    secret(&daemon, "ops", "DEPLOY_KEY").await?;
    assert_eq!(look(&daemon, "ops").await?, "hunter2hunter2.");
    let second = define(&daemon, "second", "Agents/x", &json!({ "name": "ops" })).await?;
    says(&daemon, "second", &second, "is taken").await?;
    let gone = daemon.request(Method::DELETE, &["api", "agents", "ops"], None).await?;
    assert_eq!(gone.status, 200);

    let told = says(&daemon, "second", &second, "agent trust ops").await?;
    assert_eq!(
        (&told["status"], &told["pending"]),
        (&json!("pending"), &json!("DEPLOY_KEY"))
    );
    assert_eq!(shown(&daemon, "ops").await?["withheld"], json!(["DEPLOY_KEY"]));
    // Neither the secret nor the files of the other one.
    assert_eq!(look(&daemon, "ops").await?, "none.");
    let (status, body) = secret(&daemon, "ops", "MORE").await?;
    assert_eq!((status, &body["error"]), (409, &json!("name_withheld")), "{body}");
    daemon.restart().await?;
    assert_eq!(look(&daemon, "ops").await?, "nonemine .");

    let ran = daemon.run(["agent", "trust", "ops"]).await?;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(look(&daemon, "ops").await?, "hunter2hunter2mine .");
    assert_eq!(shown(&daemon, "ops").await?["withheld"], Value::Null);
    eventually("the note says no more of it", LIMIT, async || {
        let note = daemon.note_in("second", &second).await?.context("the note")?;
        Ok((note["metadata"]["status"] == "enabled").then_some(()))
    })
    .await?;
    assert_eq!(secret(&daemon, "ops", "MORE").await?.0, 200);
    Ok(())
}

#[tokio::test]
async fn who_is_renamed_moved_or_there_before_an_upgrade_sees_nothing_of_it() -> Result<()> {
    let mut daemon = two("").await?;
    // Stored before there is such an agent.
    secret(&daemon, "ops", "DEPLOY_KEY").await?;
    let note = define(&daemon, "first", "Agents/ops", &json!({ "name": "ops" })).await?;
    says(&daemon, "first", &note, "").await?;
    assert_eq!(look(&daemon, "ops").await?, "hunter2hunter2.");
    for name in ["dev", "ops"] {
        let change = json!({ "metadata": { "name": name }, "path": format!("Elsewhere/{name}"), "force": true });
        let target = format!("/vault/first/api/notes/{note}");
        let changed = daemon.ask_in("PATCH", &target, change.to_string().as_bytes()).await?;
        assert_eq!(changed.status, 200);
        eventually("the agent has its name", LIMIT, async || {
            Ok(daemon
                .agents()
                .await?
                .iter()
                .any(|agent| agent["name"] == name)
                .then_some(()))
        })
        .await?;
    }
    assert_eq!(look(&daemon, "ops").await?, "hunter2hunter2mine .");
    daemon.stop().await?;
    std::fs::remove_file(daemon.state_dir().join("names.json"))?;
    daemon.start().await?;
    assert_eq!(look(&daemon, "ops").await?, "hunter2hunter2mine .");
    Ok(())
}

#[tokio::test]
async fn a_turn_gives_no_name_that_something_goes_with() -> Result<()> {
    let daemon = two("[sandbox.agents.tabled]\nnetwork = \"open\"\n").await?;
    define(
        &daemon,
        "first",
        "Agents/alpha",
        &json!({ "name": "alpha", "defines_agents": true }),
    )
    .await?;
    let old = define(&daemon, "first", "Agents/old", &json!({ "name": "old" })).await?;
    says(&daemon, "first", &old, "").await?;
    look(&daemon, "old").await?;
    daemon.request(Method::DELETE, &["api", "agents", "old"], None).await?;
    secret(&daemon, "stored", "DEPLOY_KEY").await?;
    for (name, code) in [
        ("stored", "403"),
        ("tabled", "403"),
        ("Tabled", "403"),
        ("old", "403"),
        ("fresh", "201"),
    ] {
        let note = json!({ "content": "You do.", "tags": ["agent/definition"], "metadata": { "name": name } });
        let told = daemon.scratch().join(name);
        let text = format!(
            "[[exec curl -s -o {0}.body -w '%{{http_code}}' -H \"Authorization: Bearer $REVEILLE_TOKEN\" -H 'Content-Type: application/json' -d '{note}' \"$REVEILLE_URL/vault/first/api/notes\" > {0}]]",
            told.display()
        );
        let sent = daemon.send("alpha", &text).await?;
        assert_eq!(daemon.wait_turn("alpha", &sent).await?.state, State::Ok);
        let body = std::fs::read_to_string(told.with_extension("body"))?;
        assert_eq!(std::fs::read_to_string(&told)?, code, "{name}: {body}");
        assert!(code == "201" || body.contains("Take another name"), "{body}");
    }
    // What the operator gives it when it is there is meant for it.
    eventually("it is there", LIMIT, async || {
        let agents = daemon.agents().await?;
        Ok(agents.iter().any(|agent| agent["name"] == "fresh").then_some(()))
    })
    .await?;
    secret(&daemon, "fresh", "DEPLOY_KEY").await?;
    assert_eq!(look(&daemon, "fresh").await?, "hunter2hunter2.");
    Ok(())
}

#[tokio::test]
async fn a_turn_wakes_agents_of_its_own_vault_unless_the_operator_allows_more() -> Result<()> {
    for (more, code) in [("", "403"), ("[limits]\nacross_vaults = true\n", "200")] {
        let daemon = two(more).await?;
        let far = define(&daemon, "first", "Agents/far", &json!({ "name": "far" })).await?;
        says(&daemon, "first", &far, "").await?;
        define(&daemon, "second", "Agents/near", &json!({ "name": "near" })).await?;
        let alpha = define(&daemon, "second", "Agents/alpha", &json!({ "name": "alpha" })).await?;
        says(&daemon, "second", &alpha, "").await?;
        for (to, reply_to, code) in [("near", "alpha", "200"), ("far", "alpha", code), ("near", "far", code)] {
            let told = daemon.scratch().join(format!("{to}-{reply_to}"));
            let body = json!({ "text": "Hello", "reply_to": reply_to });
            let text = format!(
                "[[exec curl -s -o {0}.body -w '%{{http_code}}' -H \"Authorization: Bearer $REVEILLE_TOKEN\" -H 'Content-Type: application/json' -d '{body}' \"$REVEILLE_URL/api/channels/{to}/send\" > {0}]]",
                told.display()
            );
            let sent = daemon.send("alpha", &text).await?;
            assert_eq!(daemon.wait_turn("alpha", &sent).await?.state, State::Ok);
            let body = std::fs::read_to_string(told.with_extension("body"))?;
            assert_eq!(std::fs::read_to_string(&told)?, code, "{to} {reply_to}: {body}");
            assert!(code == "200" || body.contains("across_vaults = true"), "{body}");
        }
        // By a note of its own vault it is no other matter.
        let note = json!({ "content": "Hello", "tags": ["agent/message", "agent/message/inbound"],
            "metadata": { "agent": "near", "reply_to": "far", "correlation_id": "c-9" } });
        let text = format!(
            "[[exec curl -s -H \"Authorization: Bearer $REVEILLE_TOKEN\" -H 'Content-Type: application/json' -d '{note}' \"$REVEILLE_URL/vault/second/api/notes\"]]"
        );
        let sent = daemon.send("alpha", &text).await?;
        daemon.wait_turn("alpha", &sent).await?;
        if code == "403" {
            eventually("the refusal is told", LIMIT, async || {
                Ok(daemon.log()?.contains("far was not told").then_some(()))
            })
            .await?;
            assert_eq!(daemon.messages("far").await?.len(), 0);
            continue;
        }
        eventually("far was woken each time", LIMIT, async || {
            let said = daemon.messages("far").await?;
            let asked = said.iter().filter(|one| one.direction == "inbound").count();
            Ok((asked == 3).then_some(()))
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_table_for_nobody_is_told() -> Result<()> {
    let daemon = two(TABLES).await?;
    let note = define(&daemon, "first", "Agents/ops", &json!({ "name": "ops" })).await?;
    says(&daemon, "first", &note, "").await?;
    let health = daemon.request(Method::GET, &["health"], None).await?;
    assert_eq!(
        health.body["sandbox"]["idle_tables"],
        json!(["nobody"]),
        "{}",
        health.body
    );
    assert!(daemon.log()?.contains("[sandbox.agents.nobody] counts for nobody"));
    let doctor = daemon.run(["doctor"]).await?;
    assert!(
        doctor
            .stdout
            .contains("no agents for the tables [sandbox.agents.nobody]"),
        "{doctor:?}"
    );
    let define_it = json!({ "name": "nobody" });
    let note = define(&daemon, "first", "Agents/nobody", &define_it).await?;
    says(&daemon, "first", &note, "").await?;
    let doctor = daemon.run(["doctor"]).await?;
    assert!(doctor.stdout.contains("[sandbox.agents.OPS] (network"), "{doctor:?}");
    Ok(())
}
