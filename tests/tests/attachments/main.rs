//! Files of messages: how they come to the vault, how a turn is given them, how long they stay.

mod door;
mod kept;
mod staging;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use reveille_tests::daemon::{Answer, Daemon, Sent, State, Turn};
use serde_json::{Value, json};

const UPLOAD: &str = "/vault/default/api/storage/upload";

/// A daemon with the stand-in and the agent `eng`.
async fn with_eng() -> Result<Daemon> {
    let daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    Ok(daemon)
}

/// Content type and body of a form with one file.
fn form(name: &str, bytes: &[u8]) -> (&'static str, Vec<u8>) {
    let head = format!("--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
    (
        "multipart/form-data; boundary=edge",
        [head.as_bytes(), bytes, b"\r\n--edge--\r\n"].concat(),
    )
}

async fn post_form(daemon: &Daemon, name: &str, bytes: &[u8]) -> Result<Answer> {
    post_form_to(daemon, UPLOAD, name, bytes).await
}

async fn post_form_to(daemon: &Daemon, target: &str, name: &str, bytes: &[u8]) -> Result<Answer> {
    let (kind, body) = form(name, bytes);
    let (key, value) = daemon.bearer();
    let headers = [(key, value.as_str()), ("content-type", kind)];
    daemon.ask("POST", target, &headers, &body).await
}

/// Stores a file; answers its path.
async fn upload(daemon: &Daemon, name: &str, bytes: &[u8]) -> Result<String> {
    let answer = post_form(daemon, name, bytes).await?;
    let body = answer.json()?;
    ensure!(answer.status == 201, "{body}");
    Ok(body["path"].as_str().context("a path")?.to_owned())
}

/// Sends a message with these files.
async fn send(daemon: &Daemon, text: &str, paths: &[String]) -> Result<Sent> {
    daemon
        .send_with("eng", &json!({"text": text, "attachments": paths}))
        .await
}

/// The same, and its turn once it has ended well.
async fn turn(daemon: &Daemon, text: &str, paths: &[String]) -> Result<Turn> {
    let sent = send(daemon, text, paths).await?;
    let turn = daemon.wait_turn("eng", &sent).await?;
    ensure!(turn.state == State::Ok, "{turn:?}");
    Ok(turn)
}

/// The directory of a turn's conversation.
fn conversation(daemon: &Daemon, turn: &Turn) -> Result<PathBuf> {
    let thread = turn.more["thread"].as_str().context("a turn has a thread")?;
    Ok(daemon.state_dir().join("conversations").join(thread))
}

/// Where the files of a turn are.
fn staged(daemon: &Daemon, turn: &Turn) -> Result<PathBuf> {
    Ok(conversation(daemon, turn)?.join("attachments").join(&turn.turn))
}

/// What stands in a directory, sorted; nothing when it is not there.
fn names(dir: &Path) -> Result<Vec<String>> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Every prompt that the child of a conversation was given, from what it has stored itself.
fn prompts(daemon: &Daemon, turn: &Turn) -> Result<Vec<String>> {
    let projects = conversation(daemon, turn)?.join("home/.claude/projects");
    let mut prompts = Vec::new();
    for project in std::fs::read_dir(projects)? {
        for transcript in std::fs::read_dir(project?.path())? {
            for line in std::fs::read_to_string(transcript?.path())?.lines() {
                let line: Value = serde_json::from_str(line)?;
                if line["type"] == "user" {
                    prompts.push(line["message"]["content"].as_str().context("a text")?.to_owned());
                }
            }
        }
    }
    Ok(prompts)
}

fn prompt(daemon: &Daemon, turn: &Turn) -> Result<String> {
    prompts(daemon, turn)?.pop().context("a prompt")
}

fn notices(turn: &Turn) -> Vec<&str> {
    let notices = turn.more["notices"].as_array();
    notices.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Takes the bytes of the stored files with this content away, behind the vault's back.
fn lose(daemon: &Daemon, content: &[u8]) -> Result<()> {
    let dir = daemon.state_dir().join("vaults/default.db-files");
    let mut lost = 0;
    for name in names(&dir)? {
        if std::fs::read(dir.join(&name))? == content {
            std::fs::remove_file(dir.join(&name))?;
            lost += 1;
        }
    }
    ensure!(lost > 0, "no file with that content");
    Ok(())
}
