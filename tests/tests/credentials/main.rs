//! Credentials of Claude Code and secrets of turns: how they are stored, who may, what a turn has of them, and where they never
//! are.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![forbid(unsafe_code)]

mod api;
mod canary;
mod cli;
mod damaged;
mod effective;
mod real_cli;
mod shield;
mod turns;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use http::Method;
use reveille_tests::daemon::{Answer, Daemon, LIMIT, Ran, Sent, Turn, run};
use reveille_tests::eventually;
use serde_json::{Value, json};

const CLAUDE: &str = "/api/credentials/claude";
const ENV: &str = "/api/credentials/env";
const OAUTH: &str = "sk-ant-oat01-hunter2hunter2";
const KEY: &str = "sk-ant-api03-hunter3hunter3";

async fn started() -> Result<Daemon> {
    Daemon::builder().stand_in().start().await
}

/// The operator asks.
async fn ask(daemon: &Daemon, method: &str, target: &str, body: &Value) -> Result<Answer> {
    let body = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    daemon.ask_in(method, target, body.as_bytes()).await
}

/// The same, and it is done.
async fn done(daemon: &Daemon, method: &str, target: &str, body: &Value) -> Result<Value> {
    let answer = ask(daemon, method, target, body).await?;
    ensure!(
        answer.status == 200,
        "{method} {target}: {} {}",
        answer.status,
        answer.json()?
    );
    let text = String::from_utf8(answer.body.clone())?;
    ensure!(!text.contains("hunter"), "{text}");
    answer.json()
}

async fn command(daemon: &Daemon, args: &[&str], input: &str) -> Result<Ran> {
    run(daemon.cli(args).await?, input).await
}

fn file(daemon: &Daemon) -> PathBuf {
    daemon.state_dir().join("credentials.json")
}

fn raw(daemon: &Daemon) -> Result<Value> {
    Ok(serde_json::from_slice(&std::fs::read(file(daemon))?)?)
}

async fn approve(daemon: &Daemon, agent: &str, key: &str, token: &str) -> Result<Value> {
    let body = json!({ "holder": agent, "key": key, "token": token });
    eventually(&format!("{agent} wants {key}"), LIMIT, async || {
        let path = &["api", "connections", "approve"];
        let reply = daemon.request(Method::POST, path, Some(&body)).await?;
        Ok(reply.ok::<Value>().ok()) // silent-ok: the wish may not be known yet
    })
    .await
}

fn notices(turn: &Turn) -> String {
    turn.more.get("notices").map(ToString::to_string).unwrap_or_default()
}

/// A turn that runs until it is let go, and what it had in its environment.
struct Held {
    sent: Sent,
    env: BTreeMap<String, String>,
    gate: PathBuf,
}

impl Held {
    async fn new(daemon: &Daemon, agent: &str) -> Result<Self> {
        let key = uuid::Uuid::new_v4().simple().to_string();
        let path = |name: &str| daemon.shared().join(format!("{name}-{key}"));
        let (told, gate) = (path("told"), path("gate"));
        let text = format!(
            "[[exec env -0 >{0}.new && mv {0}.new {0}; while ! test -e {1}; do sleep 0.02; done]] [[reply done]]",
            told.display(),
            gate.display(),
        );
        let sent = daemon.send(agent, &text).await?;
        let said = eventually("the turn runs", LIMIT, async || {
            Ok(std::fs::read_to_string(&told).ok()) // silent-ok: not there yet
        })
        .await?;
        std::fs::remove_file(told)?;
        let pairs = said.split('\0').filter_map(|line| line.split_once('='));
        let env = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(Self { sent, env, gate })
    }

    fn has(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str)
    }

    async fn end(self, daemon: &Daemon, agent: &str) -> Result<Turn> {
        std::fs::write(&self.gate, "")?;
        daemon.wait_turn(agent, &self.sent).await
    }
}

/// The environment of a turn.
async fn env_of(daemon: &Daemon, agent: &str) -> Result<BTreeMap<String, String>> {
    let held = Held::new(daemon, agent).await?;
    let env = held.env.clone();
    held.end(daemon, agent).await?;
    Ok(env)
}

/// All files below a directory, with what is in them.
fn files(dir: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let (mut found, mut dirs) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(dir) = dirs.pop() {
        let entries = match std::fs::read_dir(&dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue, // silent-ok: gone meanwhile
            entries => entries.with_context(|| dir.display().to_string())?,
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                dirs.push(entry.path());
            } else if entry.file_type()?.is_file() {
                let bytes = std::fs::read(entry.path()).unwrap_or_default(); // silent-ok: gone meanwhile
                found.push((entry.path(), bytes));
            }
        }
    }
    Ok(found)
}
