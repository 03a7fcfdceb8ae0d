//! Turns that run until they are let go.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use reveille_tests::daemon::{Answer, Daemon, LIMIT, Sent};
use reveille_tests::eventually;
use serde_json::{Value, json};

use super::letter;

/// A turn that runs, and its token, as its child has it.
pub(crate) struct Held {
    pub(crate) sent: Sent,
    token: String,
    gate: PathBuf,
}

impl Held {
    /// The turn of a message to an agent; its reply is `held`.
    pub(crate) async fn new(daemon: &Daemon, agent: &str) -> Result<Self> {
        let key = uuid::Uuid::new_v4().simple().to_string();
        let (text, gate) = Self::text(daemon, &key);
        let sent = letter(daemon, &format!("held/{key}"), &text, &json!({ "agent": agent })).await?;
        let mut held = Self::of(daemon, &key, sent).await?;
        held.gate = gate;
        Ok(held)
    }

    /// What a message says whose turn is to be held, and what opens its gate.
    pub(crate) fn text(daemon: &Daemon, key: &str) -> (String, PathBuf) {
        let (token, gate) = (
            Self::token_file(daemon, key),
            daemon.scratch().join(format!("gate-{key}")),
        );
        let text = format!(
            "[[exec printf %s \"$REVEILLE_TURN $REVEILLE_TOKEN\" >{0}.new && mv {0}.new {0}; while ! test -e {1}; do sleep 0.02; done]] [[reply held]]",
            token.display(),
            gate.display(),
        );
        (text, gate)
    }

    fn token_file(daemon: &Daemon, key: &str) -> PathBuf {
        daemon.scratch().join(format!("token-{key}"))
    }

    /// Waits for the turn with that key.
    pub(crate) async fn of(daemon: &Daemon, key: &str, sent: Sent) -> Result<Self> {
        let file = Self::token_file(daemon, key);
        let told = eventually("the turn runs", LIMIT, async || {
            Ok(std::fs::read_to_string(&file).ok()) // silent-ok: not there yet
        })
        .await?;
        let (turn, token) = told.split_once(' ').context("a turn and a token")?;
        Ok(Self {
            sent: Sent {
                turn: Some(turn.to_owned()),
                ..sent
            },
            token: token.to_owned(),
            gate: daemon.scratch().join(format!("gate-{key}")),
        })
    }

    /// A request with the token of the turn.
    pub(crate) async fn ask(&self, daemon: &Daemon, method: &str, target: &str, body: &Value) -> Result<Answer> {
        let bearer = format!("Bearer {}", self.token);
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let headers = [("authorization", bearer.as_str())];
        daemon.ask(method, target, &headers, body.as_bytes()).await
    }

    pub(crate) fn let_go(&self) -> Result<()> {
        Ok(std::fs::write(&self.gate, "")?)
    }
}
