//! The embedded vault as an older agent uses it: each kind of call that it makes, in the form in which it sends it, and
//! what must hold where that vault was weak.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![forbid(unsafe_code)]

mod messages;
mod other_doors;
mod records;
mod storms;
mod strict;
mod webhooks;

use anyhow::{Context as _, Result, ensure};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reveille_tests::Daemon;
use reveille_tests::daemon::Answer;
use serde_json::{Value, json};

/// What `encodeURIComponent` leaves as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// One segment of a path, or a value of a query.
fn enc(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

/// The older agent: a client of the vault with a token that writes, and one of an admin for triggers.
struct Agent {
    daemon: Daemon,
    token: String,
    admin: String,
}

impl Agent {
    async fn start() -> Result<Self> {
        Self::over(Daemon::builder().stand_in().start().await?).await
    }

    async fn over(daemon: Daemon) -> Result<Self> {
        let token = token(&daemon, "vault:default:write").await?;
        let admin = token_of_admin(&daemon).await?;
        Ok(Self { daemon, token, admin })
    }

    /// One call below `/vault/default/api`, with the headers of a fetch.
    async fn fetch(&self, token: &str, method: &str, target: &str, body: &[u8]) -> Result<Answer> {
        let bearer = format!("Bearer {token}");
        let mut headers = vec![
            ("authorization", bearer.as_str()),
            ("accept", "*/*"),
            ("user-agent", "Bun/1.4.5"),
        ];
        if !body.is_empty() {
            headers.push(("content-type", "application/json"));
        }
        let target = format!("/vault/default/api{target}");
        self.daemon.ask(method, &target, &headers, body).await
    }

    async fn call(&self, method: &str, target: &str, body: &Value) -> Result<(u16, Value)> {
        let answer = self
            .fetch(&self.token, method, target, body.to_string().as_bytes())
            .await?;
        Ok((answer.status, answer.json()?))
    }

    async fn get(&self, target: &str) -> Result<(u16, Value)> {
        let answer = self.fetch(&self.token, "GET", target, b"").await?;
        Ok((answer.status, answer.json()?))
    }

    async fn delete(&self, target: &str) -> Result<(u16, Value)> {
        let answer = self.fetch(&self.token, "DELETE", target, b"").await?;
        Ok((answer.status, answer.json()?))
    }

    /// Creates a note.
    async fn post(&self, note: &Value) -> Result<Value> {
        let (status, made) = self.call("POST", "/notes", note).await?;
        ensure!(status == 201, "{note}: {status} {made}");
        Ok(made)
    }

    /// Changes a note by id or path.
    async fn patch(&self, key: &str, change: &Value) -> Result<(u16, Value)> {
        self.call("PATCH", &format!("/notes/{}", enc(key)), change).await
    }

    /// A note that is there.
    async fn note(&self, key: &str) -> Result<Value> {
        let (status, note) = self.get(&format!("/notes/{}", enc(key))).await?;
        ensure!(status == 200, "{key}: {status} {note}");
        Ok(note)
    }

    /// The notes of a listing; `query` begins with `?`.
    async fn list(&self, query: &str) -> Result<Vec<Value>> {
        let (status, notes) = self.get(&format!("/notes{query}")).await?;
        ensure!(status == 200, "{query}: {status} {notes}");
        Ok(notes.as_array().context("a bare array")?.clone())
    }
}

async fn token_of_admin(daemon: &Daemon) -> Result<String> {
    token(daemon, "vault:default:admin").await
}

async fn token(daemon: &Daemon, scope: &str) -> Result<String> {
    let asked = json!({"label": "older agent", "scopes": [scope]}).to_string();
    let made = daemon.ask_in("POST", "/vault/default/tokens", asked.as_bytes()).await?;
    let body = made.json()?;
    ensure!(made.status == 201, "{} {body}", made.status);
    Ok(body["token"].as_str().context("a token")?.to_owned())
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// One text of each note.
fn each<'a>(notes: &'a [Value], key: &str) -> Vec<&'a str> {
    notes.iter().map(|note| text(note, key)).collect()
}

/// A message as the agent writes it, for an agent that this daemon does not have.
fn message(number: usize, direction: &str) -> Value {
    json!({
        "content": format!("{direction} {number}"), "path": format!("channel/uni/{direction}-{number}"),
        "tags": ["agent/message", format!("agent/message/{direction}")],
        "metadata": {
            "agent": "uni", "direction": direction, "sender": "operator", "ts": "2026-07-02T10:00:00.000Z",
        },
    })
}
