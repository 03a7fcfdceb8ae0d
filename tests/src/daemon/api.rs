use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use url::Url;

use super::{Daemon, LIMIT};
use crate::eventually;

/// How long a message may be without a turn before it counts as one that gets none.
const TURN_KNOWN: Duration = Duration::from_secs(10);

/// An answer of the daemon, whatever its status.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// `Null` when the body is empty.
    pub body: Value,
}

/// The answer to a message that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Sent {
    /// Id of the inbound note.
    pub id: String,
    /// The turn that it waits for, when it is known.
    pub turn: Option<String>,
}

/// State of an inbound message or of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words of the HTTP API")]
pub enum State {
    Waiting,
    Working,
    Joined,
    Ok,
    Error,
    Cancelled,
    Interrupted,
}

impl State {
    /// Whether nothing more will happen.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Waiting | Self::Working | Self::Joined)
    }
}

/// One message of a channel.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "the fields of the HTTP API")]
pub struct Message {
    pub id: String,
    pub text: String,
    pub direction: String,
    pub sender: Option<String>,
    pub at: String,
    pub in_reply_to: Option<String>,
    pub turn: Option<String>,
    pub kind: Option<String>,
    pub state: Option<State>,
}

/// One turn.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "the fields of the HTTP API")]
pub struct Turn {
    pub turn: String,
    pub channel: String,
    pub message: String,
    pub state: State,
    pub reply: Option<String>,
    /// `{code, message, next_step}`.
    pub error: Option<Value>,
    #[serde(default)]
    pub cost_usd: f64,
    /// What the API gives beyond that.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl Reply {
    /// The body of a 2xx.
    ///
    /// # Errors
    /// Any other status, with the body, and a body of another shape.
    pub fn ok<T: DeserializeOwned>(self) -> Result<T> {
        ensure!(
            (200..300).contains(&self.status),
            "the daemon answered {}: {}",
            self.status,
            self.body
        );
        let shown = self.body.to_string();
        serde_json::from_value(self.body).with_context(|| shown)
    }
}

impl Daemon {
    /// Sends one request with the admin token. Each segment of the path is encoded, so it may hold a slash.
    ///
    /// # Errors
    /// When there is no answer or its body is not JSON.
    pub async fn request(&self, method: Method, path: &[&str], body: Option<&Value>) -> Result<Reply> {
        let mut request = self.http.request(method, self.at(path)?).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.with_context(|| self.log_tail())?;
        let status = response.status().as_u16();
        let text = response.text().await?;
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).context(text)?
        };
        Ok(Reply { status, body })
    }

    /// Creates an agent whose turns reach [`Daemon::shared`] also when they are confined.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub async fn create_agent_with_shared(&self, name: &str, prompt: &str) -> Result<Value> {
        let body = json!({ "name": name, "prompt": prompt, "metadata": { "mounts": [self.shared_mount()] } });
        self.create(name, &body).await
    }

    /// [`Daemon::shared`] as one of the `mounts` of a definition.
    #[must_use]
    pub fn shared_mount(&self) -> Value {
        json!({ "hostPath": self.shared(), "mountPath": self.shared(), "mode": "rw" })
    }

    /// Creates an agent.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub async fn create_agent(&self, name: &str, prompt: &str) -> Result<Value> {
        self.create(name, &json!({"name": name, "prompt": prompt})).await
    }

    /// Creates an agent, and waits until it is known: a daemon that stood still answers before it has read the note.
    async fn create(&self, name: &str, body: &Value) -> Result<Value> {
        let made: Value = self.request(Method::POST, &["api", "agents"], Some(body)).await?.ok()?;
        if made["status"] != "pending" {
            return Ok(made);
        }
        eventually(&format!("the agent {name:?} is known"), LIMIT, async || {
            let reply = self.request(Method::GET, &["api", "agents", name], None).await?;
            Ok((reply.status == 200).then_some(reply.body))
        })
        .await
    }

    /// All agents.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub async fn agents(&self) -> Result<Vec<Value>> {
        #[derive(Deserialize)]
        struct Agents {
            agents: Vec<Value>,
        }
        let agents: Agents = self.request(Method::GET, &["api", "agents"], None).await?.ok()?;
        Ok(agents.agents)
    }

    /// Sends a message to an agent.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub async fn send(&self, agent: &str, text: &str) -> Result<Sent> {
        self.send_with(agent, &json!({"text": text})).await
    }

    /// Sends a message with further fields, such as `thread` or `reply_to`.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub async fn send_with(&self, agent: &str, body: &Value) -> Result<Sent> {
        let mut sent: Sent = self
            .request(Method::POST, &["api", "channels", agent, "send"], Some(body))
            .await?
            .ok()?;
        // A daemon that stood still answers before it has read the note.
        let found = eventually("the turn of the message is known", TURN_KNOWN, async || {
            self.turn_of(agent, &sent).await
        });
        sent.turn = found.await.ok(); // silent-ok: some messages get no turn
        Ok(sent)
    }

    /// Sends a message as a careful client does: with a key under which it may be sent again. `None` when no answer came,
    /// as from a daemon that died.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub async fn send_keyed(&self, agent: &str, key: &str, body: &Value) -> Result<Option<Sent>> {
        let request = self.http.post(self.at(&["api", "channels", agent, "send"])?);
        match self.attempt(request.header("idempotency-key", key).json(body)).await {
            Some(reply) => reply.ok().map(Some),
            None => Ok(None),
        }
    }

    /// Writes a message to an agent as a note of the vault `default`, in one place for each key. Answers the id of the note,
    /// `None` when no answer came.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub async fn put_message(&self, agent: &str, key: &str, message: &Value) -> Result<Option<String>> {
        let path = format!("letters/{key}");
        let metadata = json!({"agent": agent, "sender": message["sender"]});
        let note = json!({
            "content": message["text"], "tags": ["agent/message", "agent/message/inbound"], "metadata": metadata,
            "if_missing": "create", "force": true
        });
        let request = self.http.patch(self.at(&["vault", "default", "api", "notes", &path])?);
        let Some(reply) = self.attempt(request.json(&note)).await else {
            return Ok(None);
        };
        let note: Value = reply.ok()?;
        Ok(Some(note["id"].as_str().context("a note has an id")?.to_owned()))
    }

    /// Sends one request to a daemon that may die meanwhile, with an idempotency key if there is one. `None` when no whole
    /// answer came.
    ///
    /// # Errors
    /// When the path makes no URL.
    pub async fn try_request(
        &self,
        method: Method,
        path: &[&str],
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Option<Reply>> {
        let mut request = self.http.request(method, self.at(path)?);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        Ok(self.attempt(request).await)
    }

    /// `None` when no whole answer came.
    async fn attempt(&self, request: reqwest::RequestBuilder) -> Option<Reply> {
        // silent-ok: for a client the daemon has died, which the caller expects
        let response = request.bearer_auth(&self.token).send().await.ok()?;
        let status = response.status().as_u16();
        let body = response.json().await.ok()?; // silent-ok: as above
        Some(Reply { status, body })
    }

    /// The messages of an agent's channel, the oldest first.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub async fn messages(&self, agent: &str) -> Result<Vec<Message>> {
        #[derive(Deserialize)]
        struct Messages {
            messages: Vec<Message>,
        }
        let found: Messages = self
            .request(Method::GET, &["api", "channels", agent, "messages"], None)
            .await?
            .ok()?;
        Ok(found.messages)
    }

    /// One turn as it is now.
    ///
    /// # Errors
    /// When the daemon does not know it.
    pub async fn turn(&self, turn: &str) -> Result<Turn> {
        self.request(Method::GET, &["api", "turns", turn], None).await?.ok()
    }

    /// Asks for the stop of a turn.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub async fn stop_turn(&self, turn: &str) -> Result<Value> {
        self.request(Method::POST, &["api", "turns", turn, "stop"], None)
            .await?
            .ok()
    }

    /// Waits until the turn of a message has ended.
    ///
    /// # Errors
    /// When it has not after [`LIMIT`].
    pub async fn wait_turn(&self, agent: &str, sent: &Sent) -> Result<Turn> {
        eventually(
            &format!("the turn of message {} has ended", sent.id),
            LIMIT,
            async || {
                let Some(turn) = self.turn_of(agent, sent).await? else {
                    return Ok(None);
                };
                let turn = self.turn(&turn).await?;
                Ok(turn.state.is_terminal().then_some(turn))
            },
        )
        .await
        .with_context(|| self.log_tail())
    }

    async fn turn_of(&self, agent: &str, sent: &Sent) -> Result<Option<String>> {
        if sent.turn.is_some() {
            return Ok(sent.turn.clone());
        }
        let messages = self.messages(agent).await?;
        Ok(messages
            .into_iter()
            .find(|message| message.id == sent.id)
            .and_then(|message| message.turn))
    }

    /// Writes a note of the vault `default` at a path: makes it with these tags, or replaces the content and merges the
    /// metadata of the one that is there. Answers the note.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub async fn note_put(&self, path: &str, content: &str, tags: &[&str], metadata: &Value) -> Result<Value> {
        self.note_put_in("default", path, content, tags, metadata).await
    }

    /// The same in another vault.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub async fn note_put_in(
        &self,
        vault: &str,
        path: &str,
        content: &str,
        tags: &[&str],
        metadata: &Value,
    ) -> Result<Value> {
        let body = json!({
            "content": content, "tags": tags, "metadata": metadata, "if_missing": "create", "force": true
        });
        self.request(Method::PATCH, &["vault", vault, "api", "notes", path], Some(&body))
            .await?
            .ok()
    }

    /// A note of the vault `default` by id or path; `None` if there is none.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub async fn note(&self, key: &str) -> Result<Option<Value>> {
        self.note_in("default", key).await
    }

    /// The same in another vault.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub async fn note_in(&self, vault: &str, key: &str) -> Result<Option<Value>> {
        let reply = self
            .request(Method::GET, &["vault", vault, "api", "notes", key], None)
            .await?;
        if reply.status == 404 {
            Ok(None)
        } else {
            reply.ok().map(Some)
        }
    }

    pub(super) fn at(&self, path: &[&str]) -> Result<Url> {
        let mut url = self.url().clone();
        url.path_segments_mut().ok().context("a base URL")?.clear().extend(path); // silent-ok: the error holds nothing
        Ok(url)
    }
}
