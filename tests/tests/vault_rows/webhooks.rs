//! Triggers as the agent registers them at its start.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::LIMIT;
use reveille_tests::{Receiver, ReceiverAnswer, eventually};
use serde_json::{Value, json};

use super::{Agent, each, enc, message, text};

/// Name, event, tag, end of the address.
const SIX: [(&str, &str, &str, &str); 6] = [
    (
        "conn_agentdefs-create-default",
        "created",
        "agent/definition",
        "agent-def",
    ),
    (
        "conn_agentdefs-edit-default",
        "updated",
        "agent/definition",
        "agent-def-edit",
    ),
    (
        "conn_agentinbound-default",
        "created",
        "agent/message/inbound",
        "inbound",
    ),
    ("conn_roles-create-default", "created", "agent/role", "role"),
    ("conn_roles-edit-default", "updated", "agent/role", "role-edit"),
    ("conn_threads-create-default", "created", "agent/thread", "agent-thread"),
];

fn address(end: &str) -> String {
    format!("/agent/api/vault/{end}")
}

fn definition(receiver: &Receiver, (name, event, tag, end): (&str, &str, &str, &str), bearer: &str) -> Value {
    let mut when = json!({ "tags": [tag] });
    if end == "inbound" {
        when["has_metadata"] = json!(["agent"]);
        when["missing_metadata"] = json!(["channel_inbound_rendered_at"]);
    }
    json!({
        "name": name, "events": [event], "when": when,
        "action": { "webhook": receiver.url(&address(end)), "send": "json", "auth": { "bearer": bearer } },
    })
}

async fn triggers(agent: &Agent, method: &str, tail: &str, body: &str) -> Result<(u16, Value)> {
    let target = format!("/triggers{tail}");
    let answer = agent.fetch(&agent.admin, method, &target, body.as_bytes()).await?;
    Ok((answer.status, answer.json()?))
}

/// As many deliveries of a trigger as there are, in whatever state.
async fn deliveries(agent: &Agent, name: &str) -> Result<usize> {
    let (_, page) = triggers(agent, "GET", &format!("/{}/deliveries?limit=1000", enc(name)), "").await?;
    Ok(page["deliveries"].as_array().context("a list")?.len())
}

async fn told(receiver: &Receiver, end: &str, count: usize) -> Result<Vec<Value>> {
    eventually(&format!("{count} requests for {end}"), LIMIT, async || {
        let told = receiver.told_at(&address(end));
        Ok((told.len() >= count).then(|| told.iter().map(reveille_tests::Told::json).collect()))
    })
    .await
}

#[tokio::test]
async fn row_15_six_triggers_are_put_by_name_and_taken_away() -> Result<()> {
    let agent = Agent::start().await?;
    let (old, receiver) = (Receiver::start().await?, Receiver::start().await?);
    // At each start, with a new token.
    for (at, bearer) in [(&old, "first"), (&receiver, "second"), (&receiver, "third")] {
        for six in SIX {
            let (status, told) = triggers(&agent, "POST", "", &definition(at, six, bearer).to_string()).await?;
            assert!((200..300).contains(&status), "{status} {told}");
        }
    }
    let listed = triggers(&agent, "GET", "", "").await?.1;
    let listed = listed["triggers"].as_array().context("a list")?;
    let mut names = each(listed, "name");
    names.sort_unstable();
    assert_eq!(names, SIX.map(|six| six.0));

    let inbound = agent.post(&message(1, "inbound")).await?;
    let mut rendered = message(2, "inbound");
    rendered["metadata"]["channel_inbound_rendered_at"] = json!("2026-07-02T10:00:01.000Z");
    agent.post(&rendered).await?;
    let mut nobody = message(3, "inbound");
    nobody["metadata"].as_object_mut().unwrap().remove("agent");
    agent.post(&nobody).await?;
    agent.post(&message(4, "outbound")).await?;
    let body = &told(&receiver, "inbound", 1).await?[0];
    let expected = json!({
        "trigger": "conn_agentinbound-default", "event": "created",
        "note": {
            "id": inbound["id"], "path": inbound["path"], "content": inbound["content"], "tags": inbound["tags"],
            "metadata": inbound["metadata"], "attachments": [], "createdAt": inbound["createdAt"],
            "updatedAt": inbound["updatedAt"],
        },
    });
    assert_eq!(body, &expected);
    assert_eq!(receiver.told()[0].header("authorization"), "Bearer third");
    assert_eq!(deliveries(&agent, "conn_agentinbound-default").await?, 1);
    assert!(old.told().is_empty(), "{:?}", old.told());

    for (name, ..) in SIX {
        let tail = format!("/{}", enc(name));
        assert_eq!(triggers(&agent, "DELETE", &tail, "").await?.0, 200);
        assert_eq!(triggers(&agent, "DELETE", &tail, "").await?.0, 404);
    }
    assert_eq!(triggers(&agent, "GET", "", "").await?.1["triggers"], json!([]));
    Ok(())
}

#[tokio::test]
async fn triggers_are_for_admins_and_know_no_deletions() -> Result<()> {
    let agent = Agent::start().await?;
    let receiver = Receiver::start().await?;
    let mut new = definition(&receiver, SIX[0], "token");
    let (status, told) = agent.call("POST", "/triggers", &new).await?;
    assert_eq!(
        (status, text(&told, "error_type"), text(&told, "required_scope")),
        (403, "insufficient_scope", "vault:admin"),
        "{told}"
    );
    assert_eq!(agent.get("/triggers").await?.0, 403);
    new["events"] = json!(["created", "deleted"]);
    let (status, told) = triggers(&agent, "POST", "", &new.to_string()).await?;
    assert_eq!(status, 400, "{told}");
    assert_eq!(triggers(&agent, "GET", "", "").await?.1["triggers"], json!([]));
    Ok(())
}

/// An edit is told each time, and what a vault keeps for itself is no edit.
#[tokio::test]
async fn edits_are_told_as_often_as_they_happen() -> Result<()> {
    let agent = Agent::start().await?;
    let receiver = Receiver::start().await?;
    for six in SIX {
        triggers(&agent, "POST", "", &definition(&receiver, six, "token").to_string()).await?;
    }
    let new = json!({ "path": "Roles/x", "content": "v0", "tags": ["agent/role"] });
    let id = text(&agent.post(&new).await?, "id").to_owned();
    told(&receiver, "role", 1).await?;
    for version in ["v1", "v2", "v3"] {
        let change = json!({ "content": version, "force": true });
        assert_eq!(agent.patch(&id, &change).await?.0, 200);
        // The same again changes nothing.
        assert_eq!(agent.patch(&id, &change).await?.0, 200);
    }
    let edits = told(&receiver, "role-edit", 3).await?;
    let notes: Vec<Value> = edits.into_iter().map(|edit| edit["note"].clone()).collect();
    assert_eq!(each(&notes, "content"), ["v1", "v2", "v3"]);
    assert_eq!(notes[2]["metadata"], json!({}));
    let counts = (
        deliveries(&agent, "conn_roles-create-default").await?,
        deliveries(&agent, "conn_roles-edit-default").await?,
    );
    assert_eq!(counts, (1, 3));
    let note = agent.note(&id).await?;
    assert_eq!(note.get("metadata"), None, "{note}");
    Ok(())
}

/// A definition that this daemon takes up and marks once: what it hears of its own mark is no reason for another.
#[tokio::test]
async fn the_mark_of_the_daemon_is_told_once_and_no_loop() -> Result<()> {
    let agent = Agent::start().await?;
    let receiver = Receiver::start().await?;
    for six in SIX {
        triggers(&agent, "POST", "", &definition(&receiver, six, "token").to_string()).await?;
    }
    let new = json!({
        "path": "Agents/uni", "content": "v0", "tags": ["agent/definition"], "metadata": { "name": "uni" },
    });
    let id = text(&agent.post(&new).await?, "id").to_owned();
    let marked = eventually("the definition is taken up", LIMIT, async || {
        let note = agent.note(&id).await?;
        Ok(note["metadata"]["status"].is_string().then_some(note))
    })
    .await?;
    // The older agent says the same, as it does at each look at the definition.
    let same = json!({ "metadata": { "status": marked["metadata"]["status"] }, "force": true });
    assert_eq!(agent.patch(&id, &same).await?, (200, marked));
    assert_eq!(
        agent.patch(&id, &json!({ "content": "v1", "force": true })).await?.0,
        200
    );
    let edits = told(&receiver, "agent-def-edit", 2).await?;
    let notes: Vec<Value> = edits.into_iter().map(|edit| edit["note"].clone()).collect();
    assert_eq!(each(&notes, "content"), ["v0", "v1"]);
    // The daemon has looked at the edit when it has marked a later definition.
    let later = json!({
        "path": "Agents/two", "content": "x", "tags": ["agent/definition"], "metadata": { "name": "two" },
    });
    agent.post(&later).await?;
    eventually("the other definition is taken up", LIMIT, async || {
        Ok(agent.note("Agents/two").await?["metadata"]["status"]
            .is_string()
            .then_some(()))
    })
    .await?;
    assert_eq!(deliveries(&agent, "conn_agentdefs-create-default").await?, 2);
    assert_eq!(deliveries(&agent, "conn_agentdefs-edit-default").await?, 3);
    Ok(())
}

#[tokio::test]
async fn receivers_that_hang_hold_nobody_else_up() -> Result<()> {
    let agent = Agent::start().await?;
    let receiver = Receiver::start().await?;
    // Each with more to tell than it may tell at once.
    for (number, six) in SIX.iter().take(5).enumerate() {
        let end = format!("hangs-{number}");
        let slow = (six.0, "created", "agent/message/outbound", end.as_str());
        receiver.script(&address(&end), [ReceiverAnswer::Hang]);
        let (status, told) = triggers(&agent, "POST", "", &definition(&receiver, slow, "t").to_string()).await?;
        assert_eq!(status, 201, "{told}");
    }
    for number in 0..10 {
        agent.post(&message(number, "outbound")).await?;
    }
    for number in 0..5 {
        told(&receiver, &format!("hangs-{number}"), 1).await?;
    }
    let fast = ("fast", "created", "agent/message/outbound", "fast");
    triggers(&agent, "POST", "", &definition(&receiver, fast, "t").to_string()).await?;
    for number in 10..15 {
        agent.post(&message(number, "outbound")).await?;
    }
    let bodies = told(&receiver, "fast", 5).await?;
    let notes: Vec<Value> = bodies.into_iter().map(|body| body["note"].clone()).collect();
    let mut contents = each(&notes, "content");
    contents.sort_unstable();
    assert_eq!(
        contents,
        [
            "outbound 10",
            "outbound 11",
            "outbound 12",
            "outbound 13",
            "outbound 14"
        ]
    );
    Ok(())
}
