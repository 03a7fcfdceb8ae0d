//! The way to the daemon: one session, which is opened anew when the daemon does not know it any more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

use super::super::Global;
use super::super::client::Client;
use super::events::Messages;
use super::{FAILED, failed, say};

/// How long a daemon may be away before who asks is told: a restart takes a moment.
const AWAY: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(200);
/// Pause before the stream for what is said unasked is opened again.
const STREAM_AGAIN: Duration = Duration::from_secs(1);
/// How long the end of the session may take.
const GOODBYE: Duration = Duration::from_secs(2);
/// What the daemon says of a session that it does not know.
const NO_SESSION: i64 = -32001;
const BOTH: &str = "application/json, text/event-stream";

/// Why a message was not answered.
enum Trouble {
    /// The daemon does not know the session.
    NoSession,
    /// It has an answer for the client, which says why.
    Told(String),
    /// Nothing was sent: there is nobody.
    Away(String),
}

#[derive(Default)]
struct State {
    client: Option<Client>,
    session: Option<String>,
    version: Option<String>,
    /// What the client said of itself.
    hello: Option<Value>,
    /// Reads what is said unasked.
    listener: Option<AbortHandle>,
}

/// The way.
pub(super) struct Link {
    global: Global,
    path: String,
    state: Mutex<State>,
    /// Held while the session is opened anew.
    opening: tokio::sync::Mutex<()>,
}

impl Link {
    pub(super) fn new(global: Global, path: String) -> Self {
        Self {
            global,
            path,
            state: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings a message of the client to the daemon, and what it answers back.
    pub(super) async fn carry(self: &Arc<Self>, message: Value) {
        let begins = message["method"] == "initialize";
        if begins {
            let mut state = self.state();
            state.hello = Some(message.clone());
            (state.session, state.version) = (None, None);
        }
        let session = self.state().session.clone();
        let mut done = match session.is_none() && !begins {
            // An earlier try to open it anew has failed.
            true => Err(Trouble::NoSession),
            false => self.send(&message).await,
        };
        if let Err(Trouble::NoSession) = done
            && !begins
        {
            done = match self.open_anew(session.as_deref()).await {
                Ok(()) => self.send(&message).await,
                Err(trouble) => Err(trouble),
            };
        }
        if done.is_ok() && message["method"] == "notifications/initialized" {
            self.listen();
        }
        let Err(trouble) = done else { return };
        // Only requests are answered.
        if let Some(id) = message.get("id").filter(|_| message["method"].is_string()) {
            let text = match trouble {
                Trouble::NoSession => "There is no session; send `initialize`.".to_owned(),
                Trouble::Told(text) | Trouble::Away(text) => text,
            };
            say(&failed(id, FAILED, &text));
        }
    }

    fn client(&self) -> Result<Client, Trouble> {
        if let Some(client) = &self.state().client {
            return Ok(client.clone());
        }
        let client = self.global.client().map_err(|error| Trouble::Away(error.to_string()))?;
        self.state().client = Some(client.clone());
        Ok(client)
    }

    /// One request, with the session that there is. A daemon that is away gets some time to come back: nothing was sent.
    async fn ask(&self, method: Method, body: Option<&Value>) -> Result<Response, Trouble> {
        let until = Instant::now() + AWAY;
        loop {
            let trouble = match self.client() {
                Ok(client) => match self.ask_once(&client, method.clone(), body).await {
                    Err(Trouble::Away(why)) => why,
                    done => return done,
                },
                Err(Trouble::Away(why)) => why,
                Err(trouble) => return Err(trouble),
            };
            if Instant::now() >= until {
                let text =
                    format!("Nothing was done: {trouble}. Then call again; the session is opened anew by itself.");
                return Err(Trouble::Away(text));
            }
            sleep(AGAIN).await;
        }
    }

    async fn ask_once(&self, client: &Client, method: Method, body: Option<&Value>) -> Result<Response, Trouble> {
        let mut request = client.request(method, &self.path).header("accept", BOTH);
        {
            let state = self.state();
            if let Some(session) = &state.session {
                request = request.header("mcp-session-id", session);
            }
            if let Some(version) = &state.version {
                request = request.header("mcp-protocol-version", version);
            }
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await.map_err(|error| match error.is_connect() {
            true => Trouble::Away(client.unreachable(&error).to_string()),
            false => Trouble::Told(broke_off()),
        })
    }

    /// Sends a message, and gives the client what comes.
    async fn send(&self, message: &Value) -> Result<(), Trouble> {
        let response = self.ask(Method::POST, Some(message)).await?;
        self.hear(response, message, true).await
    }

    async fn hear(&self, response: Response, message: &Value, aloud: bool) -> Result<(), Trouble> {
        let status = response.status();
        let begins = message["method"] == "initialize";
        if begins && let Some(session) = response.headers().get("mcp-session-id").and_then(|id| id.to_str().ok()) {
            self.state().session = Some(session.to_owned());
        }
        let is_stream = response
            .headers()
            .get("content-type")
            .is_some_and(|kind| kind.to_str().is_ok_and(|kind| kind.starts_with("text/event-stream")));
        if status.is_success() && is_stream {
            return self.hear_stream(response, message, aloud).await;
        }
        let body = response.bytes().await.map_err(|_| Trouble::Told(broke_off()))?;
        if status.is_success() {
            return Ok(());
        }
        // silent-ok: without a body that can be read the status alone is told
        let told: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status == StatusCode::NOT_FOUND && told["error"]["code"] == NO_SESSION {
            return Err(Trouble::NoSession);
        }
        Err(Trouble::Told(words(status, &told)))
    }

    async fn hear_stream(&self, response: Response, message: &Value, aloud: bool) -> Result<(), Trouble> {
        let mut messages = Messages::of(response);
        loop {
            let Ok(Some(told)) = messages.next().await else {
                // The answer is still missing.
                return Err(Trouble::Told(broke_off()));
            };
            let answers = told.get("method").is_none() && told["id"] == message["id"];
            if answers && let Some(version) = told["result"]["protocolVersion"].as_str() {
                self.state().version = Some(version.to_owned());
            }
            if aloud {
                say(&told);
            }
            if answers {
                return Ok(());
            }
        }
    }

    /// Opens the session anew, as the client opened it. `gone`: the one that is not known any more.
    async fn open_anew(self: &Arc<Self>, gone: Option<&str>) -> Result<(), Trouble> {
        let _alone = self.opening.lock().await;
        let hello = {
            let mut state = self.state();
            // Somebody else has done it meanwhile.
            if state.session.as_deref() != gone {
                return Ok(());
            }
            (state.session, state.version) = (None, None);
            state.hello.clone()
        };
        let Some(hello) = hello else {
            return Err(Trouble::NoSession);
        };
        let response = self.ask(Method::POST, Some(&hello)).await?;
        self.hear(response, &hello, false).await?;
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        let response = self.ask(Method::POST, Some(&ready)).await?;
        self.hear(response, &ready, false).await?;
        self.listen();
        Ok(())
    }

    /// Gives the client what the daemon says unasked.
    fn listen(self: &Arc<Self>) {
        let link = Arc::clone(self);
        let listener = tokio::spawn(async move {
            loop {
                let Ok(response) = link.ask(Method::GET, None).await else {
                    sleep(STREAM_AGAIN).await;
                    continue;
                };
                let status = response.status();
                if status == StatusCode::NOT_FOUND {
                    let session = link.state().session.clone();
                    // It begins another listener; if it cannot now, the next request of the client does it.
                    if link.open_anew(session.as_deref()).await.is_ok() {
                        return;
                    }
                } else if status.is_success() {
                    let mut messages = Messages::of(response);
                    while let Ok(Some(message)) = messages.next().await {
                        say(&message);
                    }
                }
                sleep(STREAM_AGAIN).await;
            }
        });
        let before = self.state().listener.replace(listener.abort_handle());
        if let Some(before) = before {
            before.abort();
        }
    }

    /// Ends the session.
    pub(super) async fn close(&self) {
        let (listener, client) = {
            let mut state = self.state();
            (
                state.listener.take(),
                state.client.clone().filter(|_| state.session.is_some()),
            )
        };
        if let Some(listener) = listener {
            listener.abort();
        }
        if let Some(client) = client {
            // silent-ok: a session that nobody ends does so by itself.
            let _ = tokio::time::timeout(GOODBYE, self.ask_once(&client, Method::DELETE, None)).await;
        }
    }
}

fn broke_off() -> String {
    "The connection to the daemon broke off before the answer: it is not known whether the call was carried out. Look before you \
     call again; `reveille doctor` says whether the daemon is well."
        .to_owned()
}

/// A refusal in words.
fn words(status: StatusCode, told: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (message, next) = match told["error"].is_object() {
        true => (text(&told["error"]["message"]), String::new()),
        false => (text(&told["message"]), text(&told["next_step"])),
    };
    if message.is_empty() {
        return format!("The daemon answered {status}.");
    }
    format!("{message} {next}").trim_end().to_owned()
}
