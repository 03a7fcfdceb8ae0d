//! Attached agents: sessions pull their messages and answer them, through the HTTP door of the compiled daemon.

mod crash;
mod ends;
mod handing_on;
mod line;
mod races;
mod refusals;

use anyhow::{Context as _, Result, ensure};
use http::Method;
use reveille_tests::daemon::{Builder, Daemon, JournalNote, LIMIT, Reply, Sent};
use reveille_tests::eventually;
use serde_json::{Value, json};

/// Tags of a message to an agent.
const INBOUND: [&str; 2] = ["agent/message", "agent/message/inbound"];

fn stand_in() -> Builder {
    Daemon::builder().stand_in()
}

/// A daemon with the attached agent `eng`.
async fn with_eng() -> Result<Daemon> {
    let daemon = stand_in().start().await?;
    attach(&daemon, "eng", json!({})).await?;
    Ok(daemon)
}

/// Makes an attached agent, with more settings.
async fn attach(daemon: &Daemon, name: &str, mut metadata: Value) -> Result<()> {
    metadata["backend"] = "attached".into();
    let body = json!({ "name": name, "prompt": "You build.", "metadata": metadata });
    let made = daemon.request(Method::POST, &["api", "agents"], Some(&body)).await?;
    ensure!(made.status == 201, "{}: {}", made.status, made.body);
    Ok(())
}

/// What a session asks of an agent's line.
async fn ask(daemon: &Daemon, agent: &str, what: &str, body: &Value) -> Result<Reply> {
    daemon
        .request(Method::POST, &["api", "channels", agent, what], Some(body))
        .await
}

async fn next(daemon: &Daemon, agent: &str) -> Result<Value> {
    ask(daemon, agent, "next", &json!({})).await?.ok()
}

/// Answers what was taken, under its claim.
async fn answer(daemon: &Daemon, agent: &str, taken: &Value, text: &str) -> Result<Reply> {
    let body = json!({ "text": text, "in_reply_to": taken["id"], "claim": taken["claim"] });
    ask(daemon, agent, "reply", &body).await
}

/// Status and code of a refusal, which has words for a person.
fn refused(reply: &Reply) -> (u16, &str) {
    let words = ["message", "next_step"].map(|key| reply.body[key].as_str().unwrap_or_default());
    assert!(words.iter().all(|words| words.len() > 10), "{}", reply.body);
    (reply.status, reply.body["error"].as_str().unwrap_or_default())
}

async fn pending(daemon: &Daemon, agent: &str) -> Result<Value> {
    let path = ["api", "channels", agent, "pending"];
    daemon.request(Method::GET, &path, None).await?.ok()
}

/// Waits until so many messages can be taken.
async fn until_pending(daemon: &Daemon, agent: &str, count: u64) -> Result<()> {
    let what = format!("{count} messages wait for {agent}");
    eventually(&what, LIMIT, async || {
        Ok((pending(daemon, agent).await?["count"] == count).then_some(()))
    })
    .await
}

/// Writes a message as a note of the operator, and waits until it is in line; answers its id.
async fn letter(daemon: &Daemon, text: &str, metadata: &Value) -> Result<String> {
    let path = format!("letters/{}", uuid::Uuid::new_v4());
    let note = daemon.note_put(&path, text, &INBOUND, metadata).await?;
    let id = note["id"].as_str().context("a note has an id")?.to_owned();
    eventually("the message has a turn", LIMIT, async || {
        let journal = daemon.journal()?;
        Ok(journal.turns.iter().any(|turn| turn.note == id).then_some(()))
    })
    .await?;
    Ok(id)
}

/// The turn of a message. The door waits until it is in line, but not for long.
async fn turn_of(daemon: &Daemon, sent: &Sent) -> Result<String> {
    eventually("the message has a turn", LIMIT, async || {
        if sent.turn.is_some() {
            return Ok(sent.turn.clone());
        }
        let turns = daemon.journal()?.turns;
        let turn = turns.iter().find(|turn| turn.note == sent.id);
        Ok(turn.map(|turn| turn.id.to_string()))
    })
    .await
}

/// The agent as the daemon shows it.
async fn agent(daemon: &Daemon, name: &str) -> Result<Value> {
    daemon.request(Method::GET, &["api", "agents", name], None).await?.ok()
}

/// Status and detail of the thread note of a conversation.
async fn thread(daemon: &Daemon, conversation: &Value) -> Result<(String, String)> {
    let id = conversation.as_str().context("a conversation has an id")?;
    let note = daemon.note(id).await?.unwrap_or_default();
    let text = |key: &str| note["metadata"][key].as_str().unwrap_or_default().to_owned();
    Ok((text("status"), text("status_detail")))
}

/// Waits until a thread note has this status.
async fn until_thread(daemon: &Daemon, conversation: &Value, status: &str) -> Result<()> {
    eventually(&format!("the thread is {status}"), LIMIT, async || {
        Ok((thread(daemon, conversation).await?.0 == status).then_some(()))
    })
    .await
}

/// All answers in the vault, once what follows from turns that have ended is there: who replies waits for that, but not for
/// long.
async fn outbound(daemon: &Daemon) -> Result<Vec<JournalNote>> {
    let journal = eventually("nothing is on its way to the vault", LIMIT, async || {
        let journal = daemon.journal()?;
        Ok((journal.outbox == 0).then_some(journal))
    })
    .await?;
    Ok(journal.notes.into_iter().filter(JournalNote::is_outbound).collect())
}
