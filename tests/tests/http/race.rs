//! Sessions that race for the messages of one attached agent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::{LIMIT, State};
use reveille_tests::eventually;
use serde_json::{Value, json};

use super::mcp::{Client, Session};
use super::with_eng;

const MESSAGES: usize = 120;
const SESSIONS: usize = 6;

/// Who has what, and what was answered.
#[derive(Default)]
struct Course {
    /// By message: who holds it now.
    held: BTreeMap<String, usize>,
    answered: BTreeMap<String, String>,
}

async fn json_of(session: &Session, tool: &str, arguments: &Value) -> Result<(bool, Value)> {
    let (failed, said) = session.tool(tool, arguments).await?;
    Ok((failed, serde_json::from_str(&said).unwrap_or(Value::String(said))))
}

/// One session takes, gives some back, and answers the others, until nothing is left.
async fn work(session: Session, me: usize, course: Arc<Mutex<Course>>) -> Result<()> {
    let lock = || course.lock().unwrap_or_else(PoisonError::into_inner);
    let mut number = 0;
    loop {
        let (failed, taken) = json_of(&session, "next-message", &json!({})).await?;
        ensure!(!failed, "{taken}");
        let Some(id) = taken["id"].as_str().map(str::to_owned) else {
            if lock().answered.len() == MESSAGES {
                return Ok(());
            }
            tokio::task::yield_now().await;
            continue;
        };
        number += 1;
        {
            let mut course = lock();
            ensure!(!course.answered.contains_key(&id), "{id} is given after its answer");
            if let Some(other) = course.held.insert(id.clone(), me) {
                anyhow::bail!("{id} is held by {other} and given to {me}");
            }
        }
        // Every fifth goes back; who has given it back may not answer it any more.
        if number % 5 == 0 {
            lock().held.remove(&id);
            let (failed, told) = json_of(&session, "release", &json!({ "id": id, "claim": taken["claim"] })).await?;
            ensure!(!failed, "{told}");
            let late = json!({ "text": "late", "inReplyTo": id, "claim": taken["claim"] });
            let (failed, told) = json_of(&session, "reply", &late).await?;
            ensure!(failed, "who gave it back has answered it: {told}");
            continue;
        }
        let answer = json!({ "text": format!("answer to {id}"), "inReplyTo": id, "claim": taken["claim"] });
        {
            let mut course = lock();
            course.held.remove(&id);
            course.answered.insert(id.clone(), format!("answer to {id}"));
        }
        // Sent twice, as over a line that broke.
        let (failed, told) = json_of(&session, "reply", &answer).await?;
        ensure!(!failed, "{told}");
        let (failed, again) = json_of(&session, "reply", &answer).await?;
        ensure!(!failed && again["id"] == told["id"], "{told} {again}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_mcp_22_6_sessions_that_race_get_each_message_once() -> Result<()> {
    let daemon = Arc::new(with_eng().await?);
    attach(&daemon).await?;
    let mut sent = Vec::new();
    for at in 0..MESSAGES {
        sent.push(daemon.send("scribe", &format!("message {at}")).await?);
    }
    let course = Arc::<Mutex<Course>>::default();
    let mut sessions = tokio::task::JoinSet::new();
    for me in 0..SESSIONS {
        let session = Client::new(&daemon, "/mcp/scribe", Some(daemon.token()))?
            .open()
            .await?;
        sessions.spawn(work(session, me, Arc::clone(&course)));
    }
    let racing = async {
        while let Some(ended) = sessions.join_next().await {
            ended??;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(LIMIT * 3, racing)
        .await
        .context("they do not come to an end")??;
    for sent in &sent {
        let turn = daemon.wait_turn("scribe", sent).await?;
        assert_eq!(
            (turn.state, turn.reply),
            (State::Ok, Some(format!("answer to {}", sent.id)))
        );
    }
    eventually("each message has one answer", LIMIT, async || {
        let said = daemon
            .ask_in("GET", "/api/channels/scribe/messages?limit=1000", b"")
            .await?
            .json()?;
        let mut answers: BTreeMap<String, usize> = BTreeMap::new();
        for message in said["messages"].as_array().context("messages")? {
            if message["direction"] == "outbound" {
                let of = message["in_reply_to"].as_str().context("of what")?.to_owned();
                *answers.entry(of).or_default() += 1;
            }
        }
        ensure!(answers.values().all(|count| *count == 1), "{answers:?}");
        Ok((answers.len() == MESSAGES).then_some(()))
    })
    .await?;
    Ok(())
}

async fn attach(daemon: &Daemon) -> Result<()> {
    let scribe = json!({ "name": "scribe", "prompt": "You keep the minutes.", "metadata": { "backend": "attached" } });
    let made = daemon
        .ask_in("POST", "/api/agents", scribe.to_string().as_bytes())
        .await?;
    ensure!(made.status == 201, "{} {:?}", made.status, made.json());
    // When that takes long, the daemon answers before it has read the note.
    eventually("the agent is there", LIMIT, async || {
        let shown = daemon.ask_in("GET", "/api/agents/scribe", b"").await?;
        Ok((shown.status == 200).then_some(()))
    })
    .await
}
