//! Many writers at the same time.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use futures_util::future::try_join_all;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Agent, enc, message, text};

const WRITERS: usize = 40;

/// A request whose head is on its way, and whose body is not.
struct Begun {
    stream: TcpStream,
    body: String,
}

impl Begun {
    async fn patch(agent: &Agent, key: &str, change: &Value) -> Result<Self> {
        let authority = agent.daemon.authority()?;
        let mut stream = TcpStream::connect(&authority).await?;
        stream.set_nodelay(true)?;
        let body = change.to_string();
        let head = format!(
            "PATCH /vault/default/api/notes/{} HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            enc(key),
            agent.token,
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&body.as_bytes()[..1]).await?;
        Ok(Self { stream, body })
    }

    async fn end(mut self) -> Result<Value> {
        self.stream.write_all(&self.body.as_bytes()[1..]).await?;
        let mut answer = String::new();
        self.stream.read_to_string(&mut answer).await?;
        ensure!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").context("a body")?;
        Ok(serde_json::from_str(body)?)
    }
}

/// All heads are there before the first body: what is merged is what stands there when a body comes.
#[tokio::test]
async fn forty_forced_changes_lose_no_key() -> Result<()> {
    let agent = Agent::start().await?;
    let made = agent.post(&message(1, "outbound")).await?;
    let id = text(&made, "id");
    let changes: Vec<Value> = (0..WRITERS)
        .map(|n| json!({ "metadata": { format!("key{n}"): n }, "force": true }))
        .collect();
    let begun = try_join_all(changes.iter().map(|change| Begun::patch(&agent, id, change))).await?;
    let answers = try_join_all(begun.into_iter().map(Begun::end)).await?;
    let mut expected = made["metadata"].clone();
    for n in 0..WRITERS {
        expected[format!("key{n}")] = json!(n);
        assert_eq!(answers[n]["metadata"][format!("key{n}")], n);
    }
    let note = agent.note(id).await?;
    assert_eq!(note["metadata"], expected);
    // No two states of the note look alike to somebody who claims it.
    let times: BTreeSet<&str> = answers.iter().map(|answer| text(answer, "updatedAt")).collect();
    assert_eq!(times.len(), WRITERS);
    assert_eq!(times.last(), Some(&text(&note, "updatedAt")));
    Ok(())
}

#[tokio::test]
async fn forty_at_the_end_lose_no_word() -> Result<()> {
    let agent = Agent::start().await?;
    agent.post(&json!({ "path": "log", "content": "start" })).await?;
    let changes: Vec<Value> = (0..WRITERS).map(|n| json!({ "append": format!(" <{n}>") })).collect();
    let begun = try_join_all(changes.iter().map(|change| Begun::patch(&agent, "log", change))).await?;
    try_join_all(begun.into_iter().map(Begun::end)).await?;
    let note = agent.note("log").await?;
    let mut words: Vec<&str> = text(&note, "content").split(' ').collect();
    assert_eq!(words.remove(0), "start");
    words.sort_unstable();
    let mut expected: Vec<String> = (0..WRITERS).map(|n| format!("<{n}>")).collect();
    expected.sort_unstable();
    assert_eq!(words, expected);
    Ok(())
}

/// The ladder of the agent from many sides: one note, with what each of them wrote.
#[tokio::test]
async fn forty_records_of_one_thread_are_one_note() -> Result<()> {
    let agent = Agent::start().await?;
    let path = "Threads/uni/uni";
    let writes = (0..WRITERS).map(|n| {
        let change = json!({
            "path": path, "tags": ["agent/thread"], "metadata": { "agent": "uni", format!("k{n}"): "v" },
            "if_missing": "create", "force": true,
        });
        let agent = &agent;
        async move { agent.patch(path, &change).await }
    });
    let answers = try_join_all(writes).await?;
    let ids: BTreeSet<&str> = answers.iter().map(|(_, note)| text(note, "id")).collect();
    assert!(
        answers.iter().all(|(status, _)| [200, 201].contains(status)) && ids.len() == 1,
        "{answers:?}"
    );
    let note = agent.note(path).await?;
    assert_eq!(
        note["metadata"].as_object().map(serde_json::Map::len),
        Some(WRITERS + 1)
    );
    assert_eq!(agent.list("?tag=agent%2Fthread&limit=500").await?.len(), 1);
    Ok(())
}
