//! Named tokens, through the doors of the compiled daemon.

mod admin;
mod cli;
mod door;
mod scopes;
mod tags;
mod tools;

use anyhow::{Context as _, Result, ensure};
use reveille_tests::Daemon;
use reveille_tests::daemon::Answer;
use serde_json::{Value, json};

const NOTES: &str = "/vault/default/api/notes";
const TOKENS: &str = "/vault/default/tokens";

/// A daemon whose turns are run by the stand-in.
async fn started() -> Result<Daemon> {
    Daemon::builder().stand_in().start().await
}

/// A token in somebody's hands.
struct Holder {
    id: String,
    token: String,
}

impl Holder {
    /// With what `POST /vault/default/tokens` takes.
    async fn new(daemon: &Daemon, asked: Value) -> Result<Self> {
        let made = daemon.ask_in("POST", TOKENS, asked.to_string().as_bytes()).await?;
        ensure!(made.status == 201, "{asked}: {} {}", made.status, made.json()?);
        Self::of(&made.json()?)
    }

    fn of(made: &Value) -> Result<Self> {
        let text = |key: &str| made[key].as_str().map(str::to_owned).context("a text");
        Ok(Self {
            id: text("id")?,
            token: text("token")?,
        })
    }

    /// With one scope.
    async fn with(daemon: &Daemon, verb: &str) -> Result<Self> {
        Self::new(daemon, json!({ "scopes": [format!("vault:{verb}")] })).await
    }

    async fn ask(&self, daemon: &Daemon, method: &str, target: &str, body: &Value) -> Result<Answer> {
        let bearer = format!("Bearer {}", self.token);
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let headers = [("authorization", bearer.as_str())];
        daemon.ask(method, target, &headers, body.as_bytes()).await
    }

    async fn get(&self, daemon: &Daemon, target: &str) -> Result<Answer> {
        self.ask(daemon, "GET", target, &Value::Null).await
    }
}

/// Status and body, without the sentences for people, which must be there.
fn coded(answer: &Answer) -> Result<(u16, Value)> {
    let mut body = answer.json()?;
    let object = body.as_object_mut().context("an object")?;
    let message = object.remove("message");
    let message = message.as_ref().and_then(Value::as_str).unwrap_or_default();
    ensure!(message.len() > 10, "{} {body} has no message", answer.status);
    object.remove("next_step");
    Ok((answer.status, body))
}

/// Writes a note as the operator.
async fn note(daemon: &Daemon, path: &str, tags: &[&str]) -> Result<Value> {
    let body = json!({ "path": path, "content": path, "tags": tags });
    let made = daemon.ask_in("POST", NOTES, body.to_string().as_bytes()).await?;
    ensure!(made.status == 201, "{path}: {}", made.json()?);
    made.json()
}

/// The paths of a listing, in its order.
fn paths(answer: &Answer) -> Result<Vec<String>> {
    ensure!(answer.status == 200, "{}", answer.json()?);
    let notes = answer.json()?;
    let notes = notes.as_array().context("an array")?;
    Ok(notes
        .iter()
        .map(|note| note["path"].as_str().unwrap_or("-").to_owned())
        .collect())
}
