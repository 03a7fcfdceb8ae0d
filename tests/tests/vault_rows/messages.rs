//! Tags, messages and the claim queue.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::LIMIT;
use reveille_tests::eventually;
use serde_json::{Value, json};

use super::{Agent, each, enc, message, text};

/// The eight tags: name, parent, indexed fields.
const SCHEMA: [(&str, Option<&str>, &[&str]); 8] = [
    ("agent", None, &[]),
    ("agent/definition", Some("agent"), &[]),
    ("agent/role", Some("agent"), &[]),
    ("agent/message", Some("agent"), &["agent"]),
    ("agent/message/inbound", Some("agent/message"), &[]),
    ("agent/message/outbound", Some("agent/message"), &[]),
    ("agent/job", Some("agent"), &["agent", "enabled", "lastStatus"]),
    (
        "agent/thread",
        Some("agent"),
        &["agent", "status", "definition", "mode"],
    ),
];

async fn declare(agent: &Agent) -> Result<()> {
    for (name, parent, fields) in SCHEMA {
        let mut body = json!({ "description": format!("Notes of {name}") });
        if let Some(parent) = parent {
            body["parent_names"] = json!([parent]);
        }
        for field in fields {
            body["fields"][field] = json!({ "type": "string", "indexed": true });
        }
        let (status, told) = agent.call("PUT", &format!("/tags/{}", enc(name)), &body).await?;
        assert_eq!(
            (status, text(&told, "tag"), &told["description"]),
            (200, name, &body["description"])
        );
        for field in fields {
            assert_eq!(told["fields"][field]["indexed"], true, "{told}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn row_01_tags_are_put_with_parents_and_fields() -> Result<()> {
    let agent = Agent::start().await?;
    // At each start of the agent.
    declare(&agent).await?;
    declare(&agent).await?;
    let (_, tag) = agent.get("/tags/agent%2Fmessage%2Finbound").await?;
    assert_eq!(
        (text(&tag, "name"), &tag["parent_names"], &tag["count"]),
        ("agent/message/inbound", &json!(["agent/message"]), &json!(0))
    );

    // Parents are parents, indexes are indexes, and no note gets fields that nobody wrote.
    let job = json!({
        "content": "wake", "path": "Channels/uni/jobs/a", "tags": ["agent/job"], "metadata": { "agent": "uni", "enabled": "true" },
    });
    assert_eq!(agent.post(&job).await?["metadata"], job["metadata"]);
    let mut kept = agent.note("Channels/uni/jobs/a").await?["metadata"].take();
    // The daemon may have written by now what it thinks of a job without a time.
    kept.as_object_mut()
        .context("no metadata")?
        .retain(|key, _| !key.starts_with("status"));
    assert_eq!(kept, job["metadata"]);
    for (path, name) in [("m/b", "beta"), ("m/a", "alpha")] {
        let note = json!({
            "path": path, "content": "x", "tags": ["agent/message/outbound"], "metadata": { "agent": name },
        });
        agent.post(&note).await?;
    }
    let below = agent.list("?tag=agent&order_by=agent&sort=desc").await?;
    assert_eq!(each(&below, "path"), ["Channels/uni/jobs/a", "m/b", "m/a"]);
    assert_eq!(each(&agent.list("?meta.agent=beta").await?, "path"), ["m/b"]);
    let (_, tag) = agent.get("/tags/nobody%2Fhas%2Fit").await?;
    assert_eq!(
        (&tag["count"], &tag["description"], &tag["fields"]),
        (&json!(0), &Value::Null, &Value::Null)
    );
    Ok(())
}

#[tokio::test]
async fn parents_are_put_or_written_as_notes_and_make_one_graph() -> Result<()> {
    let agent = Agent::start().await?;
    for tag in ["a", "b", "c"] {
        agent
            .post(&json!({ "path": format!("n/{tag}"), "content": "x", "tags": [tag] }))
            .await?;
    }
    agent.call("PUT", "/tags/b", &json!({ "parent_names": ["a"] })).await?;
    let edge = json!({ "path": "_tags/c", "metadata": { "parents": ["b"] } });
    let id = text(&agent.post(&edge).await?, "id").to_owned();
    assert_eq!(each(&agent.list("?tag=a").await?, "path"), ["n/a", "n/b", "n/c"]);
    // Around in a circle, and only for what is asked for.
    agent.call("PUT", "/tags/a", &json!({ "parent_names": ["c"] })).await?;
    assert_eq!(each(&agent.list("?tag=b").await?, "path"), ["n/a", "n/b", "n/c"]);
    assert_eq!(
        each(&agent.list("?exclude_tag=a&has_tags=true").await?, "path"),
        ["n/b", "n/c"]
    );
    assert_eq!(agent.delete(&format!("/notes/{id}")).await?.0, 200);
    assert_eq!(each(&agent.list("?tag=b").await?, "path"), ["n/b"]);
    Ok(())
}

#[tokio::test]
async fn row_02_messages_are_posted_with_paths_and_both_tags() -> Result<()> {
    let agent = Agent::start().await?;
    let callback = json!({
        "content": "done: 4 files", "path": "channel/uni/c1", "tags": ["agent/message", "agent/message/inbound"],
        "metadata": {
            "agent": "uni", "direction": "inbound", "sender": "callback:worker", "ts": "2026-07-02T10:00:00.000Z",
            "callback": "true", "status": "ok", "source_channel": "worker", "source_thread": "Threads/worker/worker",
            "delegation_depth": "1",
        },
    });
    for new in [message(1, "inbound"), message(1, "outbound"), callback] {
        let made = agent.post(&new).await?;
        let expected = json!({
            "id": made["id"], "content": new["content"], "path": new["path"], "tags": new["tags"],
            "metadata": new["metadata"], "createdAt": made["createdAt"], "updatedAt": made["createdAt"],
        });
        assert_eq!(made, expected);
        let (id, at) = (text(&made, "id"), text(&made, "createdAt"));
        assert!(!id.is_empty() && !id.contains('/'), "{id}");
        assert!(at.len() == 24 && at.ends_with('Z'), "{at}");
    }
    Ok(())
}

#[tokio::test]
async fn row_03_a_transcript_is_all_that_carries_the_tag() -> Result<()> {
    let agent = Agent::start().await?;
    for number in 0..2 {
        agent.post(&message(number, "inbound")).await?;
        agent.post(&message(number, "outbound")).await?;
    }
    agent.post(&json!({ "content": "a note" })).await?;
    let query = "?tag=agent%2Fmessage&include_content=true&limit=800";
    let found = agent.list(query).await?;
    assert_eq!(
        each(&found, "content"),
        ["inbound 0", "outbound 0", "inbound 1", "outbound 1"]
    );
    assert_eq!(found[1]["metadata"], message(0, "outbound")["metadata"]);
    assert_eq!(
        each(&agent.list("?tag=agent/message%2Foutbound&limit=1").await?, "preview"),
        ["outbound 0"]
    );
    Ok(())
}

/// More notes than the limits that the agent asks with.
#[tokio::test]
async fn limits_of_the_agent_are_kept_to_the_note() -> Result<()> {
    let agent = Agent::start().await?;
    for batch in 0..5 {
        let notes: Vec<Value> = (0..450).map(|n| message(batch * 450 + n, "outbound")).collect();
        let (status, _) = agent.call("POST", "/notes", &json!({ "notes": notes })).await?;
        assert_eq!(status, 201);
    }
    for (limit, order, first, last) in [
        (500, "", 0, 499),
        (800, "", 0, 799),
        (2000, "", 0, 1999),
        (800, "&sort=desc", 2249, 1450),
    ] {
        let query = format!("?tag=agent%2Fmessage&include_content=true&limit={limit}{order}");
        let found = agent.list(&query).await?;
        let ends = [&found[0], &found[found.len() - 1]].map(|note| text(note, "content").to_owned());
        assert_eq!(
            (found.len(), ends),
            (limit, [format!("outbound {first}"), format!("outbound {last}")]),
            "{query}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn row_04_the_queue_begins_with_the_newest() -> Result<()> {
    let agent = Agent::start().await?;
    for number in 0..3 {
        agent.post(&message(number, "inbound")).await?;
        agent.post(&message(number, "outbound")).await?;
    }
    let query = "?tag=agent%2Fmessage%2Finbound&include_content=true&limit=800&sort=desc";
    assert_eq!(
        each(&agent.list(query).await?, "content"),
        ["inbound 2", "inbound 1", "inbound 0"]
    );
    // Of one moment: still an order.
    let same: Vec<Value> = (0..4)
        .map(|n| json!({ "path": format!("s/{n}"), "tags": ["same"], "createdAt": "2026-07-02T10:00:00.000Z" }))
        .collect();
    agent.call("POST", "/notes", &json!({ "notes": same })).await?;
    let found = agent.list("?tag=same&sort=desc&limit=3").await?;
    assert_eq!(each(&found, "path"), ["s/3", "s/2", "s/1"]);
    Ok(())
}

#[tokio::test]
async fn the_queue_can_begin_with_what_changed_last() -> Result<()> {
    let agent = Agent::start().await?;
    for number in 0..3 {
        agent.post(&message(number, "outbound")).await?;
    }
    let key = "channel/uni/outbound-0";
    agent
        .patch(key, &json!({ "metadata": { "status": "handled" }, "force": true }))
        .await?;
    let found = agent
        .list("?tag=agent%2Fmessage%2Foutbound&order_by=updated_at&sort=desc&include_content=true")
        .await?;
    assert_eq!(each(&found, "content"), ["outbound 0", "outbound 2", "outbound 1"]);
    let since = enc(text(&found[0], "updatedAt"));
    let found = agent.list(&format!("?updated_since={since}")).await?;
    assert_eq!(each(&found, "path"), [key]);
    Ok(())
}

#[tokio::test]
async fn row_05_of_two_claims_one_wins() -> Result<()> {
    let agent = Agent::start().await?;
    for number in 0..8 {
        agent.post(&message(number, "inbound")).await?;
    }
    let query = "?tag=agent%2Fmessage%2Finbound&include_content=true&limit=800&sort=desc";
    // This daemon says on each of them that it has no such agent. The older one reads that as free to be claimed.
    let queue = eventually("all are marked", LIMIT, async || {
        let queue = agent.list(query).await?;
        let marked = queue.iter().all(|note| text(&note["metadata"], "status") == "waiting");
        Ok(marked.then_some(queue))
    })
    .await?;
    assert_eq!(queue.len(), 8);
    for note in &queue {
        // To the millisecond the same claim, as two pollers send it.
        let claim = json!({
            "metadata": { "status": "in-flight", "claimedAt": "2026-07-02T10:00:01.000Z" },
            "if_updated_at": note["updatedAt"],
        });
        let id = text(note, "id");
        let (one, two) = tokio::try_join!(agent.patch(id, &claim), agent.patch(id, &claim))?;
        let (won, lost) = if one.0 == 200 { (one, two) } else { (two, one) };
        assert_eq!((won.0, lost.0), (200, 409), "{} {}", won.1, lost.1);
        assert_eq!(text(&won.1["metadata"], "status"), "in-flight");
        assert_eq!(
            text(&won.1["metadata"], "agent"),
            "uni",
            "what was there stays: {}",
            won.1
        );
        assert!(text(&won.1, "updatedAt") > text(note, "updatedAt"), "{}", won.1);
        let told = json!({
            "error": "conflict", "error_type": "conflict", "note_id": id, "path": note["path"],
            "current_updated_at": won.1["updatedAt"], "your_updated_at": note["updatedAt"],
            "expected_updated_at": note["updatedAt"], "message": lost.1["message"],
        });
        assert_eq!(lost.1, told);
    }
    Ok(())
}

#[tokio::test]
async fn a_claim_says_what_it_is_based_on() -> Result<()> {
    let agent = Agent::start().await?;
    let made = agent.post(&message(1, "outbound")).await?;
    let id = text(&made, "id");
    let bare = json!({ "metadata": { "status": "in-flight" } });
    let (status, told) = agent.patch(id, &bare).await?;
    assert_eq!(
        (
            status,
            text(&told, "error"),
            text(&told, "error_type"),
            &told["note_id"]
        ),
        (428, "precondition_required", "precondition_required", &made["id"])
    );
    for change in [
        json!({ "tags": { "add": ["x"] } }),
        json!({ "links": { "add": [{ "target": id, "relationship": "about" }] } }),
        json!({ "append": "x", "metadata": { "k": "v" } }),
    ] {
        assert_eq!(agent.patch(id, &change).await?.0, 428, "{change}");
    }
    // What is not there is not there, whatever it is based on.
    assert_eq!(agent.patch("no/such", &bare).await?.0, 404);
    assert_eq!(agent.note(id).await?, made);
    Ok(())
}

#[tokio::test]
async fn row_06_bookkeeping_is_forced_and_merged() -> Result<()> {
    let agent = Agent::start().await?;
    let made = agent.post(&message(1, "outbound")).await?;
    let (id, mut metadata) = (text(&made, "id"), made["metadata"].clone());
    for change in [
        json!({ "status": "in-flight", "claimedAt": "2026-07-02T10:00:01.000Z" }),
        json!({ "status": "pending", "claimedAt": "" }),
        json!({ "status": "handled" }),
        json!({ "deep": { "a": 1, "b": [true, null, 1.5] }, "n": 7 }),
        json!({ "deep": { "c": "only" }, "n": null }),
    ] {
        let before = agent.note(id).await?;
        let (status, note) = agent.patch(id, &json!({ "metadata": change, "force": true })).await?;
        for (key, value) in change.as_object().unwrap() {
            metadata[key] = value.clone();
        }
        assert_eq!((status, &note["metadata"]), (200, &metadata));
        assert!(text(&note, "updatedAt") > text(&before, "updatedAt"), "{note}");
        assert_eq!(
            (&note["content"], &note["tags"], &note["createdAt"]),
            (&made["content"], &made["tags"], &made["createdAt"])
        );
        assert_eq!(agent.note(id).await?, note);
    }
    Ok(())
}

/// Tags count as a change, so that nobody claims a note whose tags are others than those that were read.
#[tokio::test]
async fn a_claim_knows_of_tags() -> Result<()> {
    let agent = Agent::start().await?;
    let made = agent.post(&message(1, "outbound")).await?;
    let id = text(&made, "id");
    let claim = json!({ "tags": { "add": ["mine"] }, "if_updated_at": made["updatedAt"] });
    let (one, two) = tokio::try_join!(agent.patch(id, &claim), agent.patch(id, &claim))?;
    let mut statuses = [one.0, two.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    let note = agent.note(id).await?;
    assert!(text(&note, "updatedAt") > text(&made, "updatedAt"), "{note}");
    assert_eq!(note["tags"], json!(["agent/message", "agent/message/outbound", "mine"]));
    Ok(())
}

/// The older agent handles a message that is for none of this daemon's agents.
#[tokio::test]
async fn what_another_program_claimed_stays_claimed() -> Result<()> {
    let agent = Agent::start().await?;
    let made = agent.post(&message(1, "inbound")).await?;
    let id = text(&made, "id");
    let marked = async |key: &str| {
        eventually("it is marked", LIMIT, async || {
            let note = agent.note(key).await?;
            Ok((text(&note["metadata"], "status") == "waiting").then_some(note))
        })
        .await
    };
    let seen = marked(id).await?;
    let mut change = json!({
        "metadata": { "status": "in-flight", "claimedAt": "2026-07-02T10:00:01.000Z" },
        "if_updated_at": seen["updatedAt"],
    });
    for (number, status) in [(2, "in-flight"), (3, "handled")] {
        let (code, note) = agent.patch(id, &change).await?;
        assert_eq!((code, text(&note["metadata"], "status")), (200, status));
        // The daemon has seen that change when it has marked a later message.
        let later = message(number, "inbound");
        agent.post(&later).await?;
        marked(text(&later, "path")).await?;
        assert_eq!(agent.note(id).await?, note);
        change = json!({ "metadata": { "status": "handled" }, "force": true });
    }
    Ok(())
}
