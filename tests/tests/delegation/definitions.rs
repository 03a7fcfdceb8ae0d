//! Agents that make agents: who may, and what not even they may.

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT};
use serde_json::{Value, json};

use super::{Held, with};

const NOTES: &str = "/vault/default/api/notes";
const DEFINITION: [&str; 1] = ["agent/definition"];

/// With the agents `alpha`, which may make others, and `beta`.
async fn house() -> Result<Daemon> {
    let daemon = with(&["beta"]).await?;
    agent(&daemon, "alpha", &json!({ "defines_agents": true })).await?;
    Ok(daemon)
}

/// An agent that the operator makes.
async fn agent(daemon: &Daemon, name: &str, metadata: &Value) -> Result<()> {
    let body = json!({ "name": name, "prompt": "You do as you are told.", "metadata": metadata });
    daemon
        .request(Method::POST, &["api", "agents"], Some(&body))
        .await?
        .ok::<Value>()?;
    Ok(())
}

fn definition(name: &str, more: &Value) -> Value {
    let mut metadata = more.clone();
    metadata["name"] = json!(name);
    json!({ "path": format!("Agents/{name}"), "content": "You criticise.", "tags": DEFINITION, "metadata": metadata })
}

fn at(name: &str) -> String {
    format!("{NOTES}/Agents%2F{name}")
}

async fn listed(daemon: &Daemon, name: &str) -> Result<Value> {
    let agents = daemon.agents().await?;
    let found = agents.into_iter().find(|agent| agent["name"] == name);
    found.with_context(|| format!("an agent {name}"))
}

/// A definition, once it says that it counts: that is written beside everything else.
async fn until_enabled(daemon: &Daemon, path: &str) -> Result<Value> {
    reveille_tests::eventually(&format!("{path} says that it counts"), LIMIT, async || {
        let note = daemon.note(path).await?.context("the definition")?;
        Ok((note["metadata"]["status"] == "enabled").then_some(note))
    })
    .await
}

#[tokio::test]
async fn an_agent_that_may_makes_another_one_and_hands_on_to_it() -> Result<()> {
    let daemon = house().await?;
    let held = Held::new(&daemon, "alpha").await?;
    let lie = json!({ "model": "sonnet", "defined_by": "the operator" });
    let made = held.write(&daemon, "POST", NOTES, &definition("gamma", &lie)).await?;
    assert_eq!(
        made["metadata"],
        json!({ "name": "gamma", "model": "sonnet", "defined_by": "agent:alpha" })
    );
    // It is there for who made it.
    let send = json!({ "text": "[[reply from gamma]]" });
    let sent = held.write(&daemon, "POST", "/api/channels/gamma/send", &send).await?;
    // A later thought, by another door.
    let change =
        json!({ "id": "Agents/gamma", "content": "You praise.", "metadata": { "model": "opus" }, "force": true });
    let told = daemon.tool(&held.token, "update-note", &change).await?;
    assert!(!told.failed, "{}", told.value);
    held.let_go()?;
    let journal = daemon.wait_quiet(LIMIT).await?;
    let turns: Vec<_> = journal.turns.iter().filter(|turn| turn.channel == "gamma").collect();
    let [turn] = turns[..] else { panic!("{turns:?}") };
    assert_eq!(
        (turn.state.as_str(), &turn.record["reply"]),
        ("ok", &json!("from gamma"))
    );
    let message = journal.notes.iter().find(|note| sent["id"] == note.id.as_str());
    let message = message.context("the message")?;
    assert_eq!(
        (message.text("delegation_depth"), message.text("sender")),
        ("1", "agent:alpha")
    );
    let note = until_enabled(&daemon, "Agents/gamma").await?;
    assert_eq!(
        ["model", "defined_by"].map(|key| &note["metadata"][key]),
        [&json!("opus"), &json!("agent:alpha")]
    );
    assert_eq!(note["content"], "You praise.");
    let (alpha, gamma) = (listed(&daemon, "alpha").await?, listed(&daemon, "gamma").await?);
    assert_eq!(
        (&alpha["defines_agents"], &alpha["defined_by"]),
        (&json!(true), &Value::Null)
    );
    assert_eq!(
        (&gamma["defines_agents"], &gamma["defined_by"]),
        (&Value::Null, &json!("agent:alpha"))
    );
    assert_eq!(journal.violations(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn who_may_not_is_told_how_it_is_allowed() -> Result<()> {
    let daemon = house().await?;
    let held = Held::new(&daemon, "beta").await?;
    let answer = held
        .ask(&daemon, "POST", NOTES, &definition("gamma", &json!({})))
        .await?;
    assert_eq!(answer.refusal()?, (403, "forbidden".to_owned()));
    let said = answer.json()?.to_string();
    assert!(
        said.contains("defines_agents: true in the definition of beta"),
        "{said}"
    );
    assert_eq!(daemon.note("Agents/gamma").await?, None);
    held.let_go()
}

#[tokio::test]
async fn what_an_agent_defines_reaches_no_further_than_any_agent() -> Result<()> {
    let daemon = house().await?;
    let held = Held::new(&daemon, "alpha").await?;
    held.write(&daemon, "POST", NOTES, &definition("gamma", &json!({})))
        .await?;
    let settings = json!({
        "defines_agents": true, "workspace": "/", "budget_day_usd": "1000", "budget_turn_usd": "1000",
        "systemPromptMode": "replace", "max_turns": 1000, "timeout_wall": "100h", "paused": "false",
    });
    for (key, value) in settings.as_object().context("an object")? {
        let metadata = json!({ key: value });
        let change = json!({ "metadata": metadata, "force": true });
        let upsert = json!({ "content": "x", "tags": DEFINITION, "metadata": { "name": "delta", key: value },
            "if_missing": "create", "force": true });
        for (method, target, body) in [
            ("POST", NOTES.to_owned(), definition("delta", &metadata)),
            ("PATCH", at("gamma"), change),
            ("PATCH", at("delta"), upsert),
        ] {
            let answer = held.ask(&daemon, method, &target, &body).await?;
            assert_eq!(answer.refusal()?, (403, "forbidden".to_owned()), "{method} {key}");
            let said = answer.json()?.to_string();
            assert!(said.contains(key) && said.contains("nothing was written"), "{said}");
        }
    }
    // All or nothing.
    let several =
        json!({ "notes": [definition("delta", &json!({})), definition("epsilon", &json!({ "workspace": "/" }))] });
    assert_eq!(held.ask(&daemon, "POST", NOTES, &several).await?.status, 403);
    for name in ["delta", "epsilon"] {
        assert_eq!(daemon.note(&format!("Agents/{name}")).await?, None, "{name}");
    }
    // What would define nothing is refused at once.
    let wrong = held
        .ask(&daemon, "POST", NOTES, &definition("two words", &json!({})))
        .await?;
    assert_eq!(wrong.status, 400, "{}", wrong.json()?);
    held.let_go()
}

#[tokio::test]
async fn an_agent_changes_only_what_agents_defined() -> Result<()> {
    let daemon = house().await?;
    let held = Held::new(&daemon, "alpha").await?;
    for name in ["gamma", "delta"] {
        held.write(&daemon, "POST", NOTES, &definition(name, &json!({})))
            .await?;
    }
    // The operator lets one of them make agents too.
    let grant = json!({ "name": "delta", "defines_agents": true });
    daemon
        .note_put("Agents/delta", "You lead.", &DEFINITION, &grant)
        .await?;
    let edit = json!({ "content": "Obey alpha.", "force": true });
    let untag = json!({ "tags": { "remove": DEFINITION }, "force": true });
    for (name, body, why) in [
        ("alpha", &edit, "its own agent"),
        ("beta", &edit, "a person wrote this one"),
        ("delta", &edit, "may define agents itself"),
        ("gamma", &untag, "may not remove agents"),
    ] {
        let answer = held.ask(&daemon, "PATCH", &at(name), body).await?;
        assert_eq!(answer.refusal()?, (403, "forbidden".to_owned()), "{name}");
        assert!(answer.json()?.to_string().contains(why), "{}", answer.json()?);
    }
    // The mark is nobody's to take or to give but the daemon's.
    let lie = json!({ "metadata": { "defined_by": "agent:alpha" }, "force": true });
    assert_eq!(held.ask(&daemon, "PATCH", &at("beta"), &lie).await?.status, 403);
    held.write(
        &daemon,
        "PATCH",
        &at("gamma"),
        &json!({ "metadata": { "defined_by": "" }, "force": true }),
    )
    .await?;
    let gamma = daemon.note("Agents/gamma").await?.context("the definition")?;
    assert_eq!(gamma["metadata"]["defined_by"], "agent:alpha");
    let gone = held.ask(&daemon, "DELETE", &at("gamma"), &Value::Null).await?;
    assert_eq!(gone.refusal()?, (403, "turn_may_not".to_owned()));
    held.let_go()
}

#[tokio::test]
async fn a_name_goes_to_what_a_person_defined() -> Result<()> {
    let daemon = house().await?;
    let held = Held::new(&daemon, "alpha").await?;
    // Older than the operator's, by its own account.
    let mut usurper = definition("beta", &json!({}));
    usurper["path"] = json!("Agents/usurper");
    usurper["createdAt"] = json!("2001-01-01T00:00:00.000Z");
    let made = held.write(&daemon, "POST", NOTES, &usurper).await?;
    assert_eq!(made["createdAt"], "2001-01-01T00:00:00.000Z");
    held.let_go()?;
    daemon.wait_quiet(LIMIT).await?;
    let stamp = reveille_tests::eventually("the usurper is told", LIMIT, async || {
        let note = daemon.note("Agents/usurper").await?.context("the note")?;
        Ok(note["metadata"]
            .get("status")
            .cloned()
            .zip(note["metadata"].get("status_detail").cloned()))
    })
    .await?;
    assert_eq!(stamp.0, "error");
    assert!(
        stamp.1.as_str().is_some_and(|why| why.contains("no agent wrote")),
        "{stamp:?}"
    );
    until_enabled(&daemon, "Agents/beta").await?;
    Ok(())
}
