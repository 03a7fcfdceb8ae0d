//! `reveille bridge`: an MCP server over stdin and stdout that connects a session of Claude Code with a channel. What comes on
//! the channel is told to the session; what the session has to say it says by tools. Nothing but the protocol goes to stdout.

mod manage;
mod sse;
mod tools;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, BufReader};
use tokio::task::JoinSet;

use self::manage::Manage;
use self::sse::{Buffer, Event};
use super::client::{Client, segment};
use super::output::{complain, line};
use super::{CliError, Global};

/// Pause before the stream is opened again.
const AGAIN: Duration = Duration::from_secs(3);
/// A client that has not said hello by then is perhaps none.
const HELLO: Duration = Duration::from_secs(15);
/// Longest wait for a call.
const PATIENCE: Duration = Duration::from_secs(60);
/// After the end of stdin what was asked before is still answered, for so long.
const LINGER: Duration = Duration::from_secs(10);
/// Where a daemon is when nothing says it.
const USUAL_URL: &str = "http://127.0.0.1:1941";
/// The channel when nothing says it.
const USUAL_CHANNEL: &str = "telegram";
/// The revisions of the protocol that are spoken, newest first.
const VERSIONS: [&str; 5] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05", "2024-10-07"];
/// What a client says that hears the messages of a channel.
const CAPABILITY: &str = "claude/agent";
/// The name and version by which clients know this server.
const SERVER: (&str, &str) = ("parachute-agent", "0.1.0");
/// Codes of JSON-RPC.
const PARSE_ERROR: i32 = -32700;
const NO_METHOD: i32 = -32601;

const INSTRUCTIONS: &str = "Messages from people come as channel events of parachute-agent. These people do not see what you write \
    here: what they are to see has to go through the tool reply, or react and edit_message. Give the chat_id of the message \
    back as chat_id. Name a message as reply_to only when you answer an earlier one than the last. Where a message has \
    image_path, read that file; where it has attachment_file_id, fetch the file with download_attachment first. Nobody is \
    notified of an edit, so send a new reply when long work is done.";

/// Connect a session of Claude Code with a channel; or list, add and remove bridges.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Bridge {
    #[command(subcommand)]
    manage: Option<Manage>,
    /// The channel [default: $PARACHUTE_CHANNEL_NAME, else telegram]
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,
}

fn variable(names: &[&str]) -> Option<String> {
    let values = names.iter().filter_map(|name| std::env::var(name).ok());
    values
        .map(|value| value.trim().to_owned())
        .find(|value| !value.is_empty())
}

/// As the command line says, else as the variables of the reference system say, else the daemon of the state directory.
fn client(global: &Global) -> Result<Client, CliError> {
    let url = variable(&["PARACHUTE_AGENT_URL", "PARACHUTE_CHANNEL_URL"]);
    let token = variable(&["PARACHUTE_AGENT_TOKEN", "PARACHUTE_CHANNEL_TOKEN"]);
    let ours = global.url.is_some() || variable(&["REVEILLE_URL"]).is_some();
    match (ours, url, token) {
        (false, None, Some(token)) => Client::new(USUAL_URL, &token),
        (false, Some(url), token) => Client::new(&url, &token.unwrap_or_default()),
        _ => global.client(),
    }
}

/// What both directions share.
struct Session {
    client: Client,
    channel: String,
    /// The client is ready for what it is told unasked.
    ready: AtomicBool,
}

impl Bridge {
    pub(super) async fn run(self, global: &Global) -> Result<(), CliError> {
        if let Some(manage) = self.manage {
            return manage.run(&global.client()?).await;
        }
        let channel = self.channel.or_else(|| variable(&["PARACHUTE_CHANNEL_NAME"]));
        let session = Arc::new(Session {
            client: client(global)?,
            channel: channel.unwrap_or_else(|| USUAL_CHANNEL.to_owned()),
            ready: AtomicBool::new(false),
        });
        let silent = std::env::var("NODE_ENV").is_ok_and(|value| value == "test");
        let hint = (!silent).then_some(complain);
        serve(&session, BufReader::new(tokio::io::stdin()), hint).await;
        Ok(())
    }
}

/// Says that no client has come, if none has said hello for [`HELLO`].
async fn miss(hello: Arc<AtomicBool>, hint: impl FnOnce(&str)) {
    tokio::time::sleep(HELLO).await;
    if !hello.load(Ordering::Acquire) {
        hint(
            "no client has said initialize yet; this command is for MCP clients: \
             claude mcp add channel -- reveille bridge --channel NAME",
        );
    }
}

/// Answers a client until it says nothing more. `hint` tells the person who started it; none is told anything of clients without
/// it.
async fn serve(
    session: &Arc<Session>,
    input: impl AsyncBufRead + Unpin,
    hint: Option<impl FnOnce(&str) + Send + 'static>,
) {
    let silent = hint.is_none();
    let hello = Arc::new(AtomicBool::new(false));
    let mut beside = JoinSet::new();
    if let Some(hint) = hint {
        beside.spawn(miss(Arc::clone(&hello), hint));
    }
    let mut running = JoinSet::new();
    let mut lines = input.lines();
    loop {
        let text = match lines.next_line().await {
            Ok(Some(text)) => text,
            Ok(None) => break,
            Err(error) => {
                complain(&format!("stdin cannot be read: {error}"));
                break;
            }
        };
        if text.trim().is_empty() {
            continue;
        }
        let message: Value = match serde_json::from_str(&text) {
            Ok(message) => message,
            Err(error) => {
                say(&failed(
                    &Value::Null,
                    PARSE_ERROR,
                    &format!("This line is no JSON: {error}"),
                ));
                continue;
            }
        };
        match message["method"].as_str() {
            Some("initialize") => {
                hello.store(true, Ordering::Release);
                say(&done(&message["id"], &session.hello(&message["params"], silent)));
            }
            Some("notifications/initialized") if !session.ready.swap(true, Ordering::AcqRel) => {
                let session = Arc::clone(session);
                beside.spawn(async move { session.listen().await });
            }
            Some("notifications/initialized") => {}
            Some("notifications/claude/agent/permission_request") => {
                let session = Arc::clone(session);
                running.spawn(async move { session.ask(&message["params"]).await });
            }
            Some("ping") => say(&done(&message["id"], &json!({}))),
            Some("tools/list") => say(&done(&message["id"], &json!({ "tools": tools::all() }))),
            Some("tools/call") => {
                let session = Arc::clone(session);
                running.spawn(async move {
                    let result = tools::call(&session, &message["params"]).await;
                    say(&done(&message["id"], &result));
                });
            }
            Some(other) if message.get("id").is_some() => {
                say(&failed(
                    &message["id"],
                    NO_METHOD,
                    &format!("There is no method {other}."),
                ));
            }
            // A notification of another kind, or an answer to nothing that was asked.
            _ => {}
        }
        while running.try_join_next().is_some() {}
    }
    let rest = async { while running.join_next().await.is_some() {} };
    // silent-ok: who ends stdin and waits longer than this does not want to know.
    let _ = tokio::time::timeout(LINGER, rest).await;
    beside.abort_all();
}

impl Session {
    /// The answer to `initialize`.
    fn hello(&self, asked: &Value, silent: bool) -> Value {
        if !silent && asked["capabilities"]["experimental"].get(CAPABILITY).is_none() {
            complain(
                "the client does not say that it hears the messages of channels (experimental capability claude/agent): the \
                 tools work, and what comes on the channel may not be shown",
            );
        }
        let wanted = asked["protocolVersion"].as_str().unwrap_or_default();
        let version = VERSIONS
            .iter()
            .find(|version| **version == wanted)
            .unwrap_or(&VERSIONS[0]);
        json!({
            "protocolVersion": version,
            "capabilities": { "tools": {}, "experimental": { CAPABILITY: {}, "claude/agent/permission": {} } },
            "serverInfo": { "name": SERVER.0, "version": SERVER.1 },
            "instructions": INSTRUCTIONS,
        })
    }

    /// Tells the client what comes on the channel, for ever.
    async fn listen(&self) {
        let mut last = String::new();
        loop {
            let problem = self.listen_once().await;
            // The same again is no news.
            if problem != last {
                complain(&problem);
                last = problem;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Answers why the stream has ended.
    async fn listen_once(&self) -> String {
        let path = format!("/events?channel={}", segment(&self.channel));
        let mut response = match self.client.request(Method::GET, &path).send().await {
            Ok(response) => response,
            Err(error) => return self.client.unreachable(&error).to_string(),
        };
        match response.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => {
                return "the daemon does not know the token: set REVEILLE_TOKEN or PARACHUTE_AGENT_TOKEN to one that holds".into();
            }
            StatusCode::FORBIDDEN => {
                return "the token may not read: the bridge needs one with read and write (`reveille token create`)"
                    .into();
            }
            status => {
                return format!(
                    "the daemon answered {status} to the stream of the channel {:?}",
                    self.channel
                );
            }
        }
        let mut buffer = Buffer::default();
        loop {
            match response.chunk().await {
                Ok(Some(bytes)) => buffer.take(&bytes).iter().for_each(told),
                Ok(None) => return "the daemon ended the stream of the channel; it is opened again".into(),
                Err(_) => return "the stream of the channel broke off; it is opened again".into(),
            }
        }
    }

    /// Asks the people of the channel whether a tool may be used.
    async fn ask(&self, params: &Value) {
        let mut body = params.clone();
        if !body.is_object() {
            body = json!({});
        }
        body["channel"] = json!(self.channel);
        if let Err(problem) = self.post("permission", &body).await {
            complain(&format!("nobody was asked for permission: {problem}"));
        }
    }

    /// One call of the daemon; what it answered, or why not.
    async fn post(&self, what: &str, body: &Value) -> Result<Value, String> {
        let request = self.client.request(Method::POST, &format!("/api/{what}"));
        let sent = request.json(body).timeout(PATIENCE).send().await;
        let response = sent.map_err(|error| match error.is_connect() {
            true => self.client.unreachable(&error).to_string(),
            false => "the connection broke off before the answer: it is not known whether it was done".to_owned(),
        })?;
        let status = response.status();
        let text = response.text().await.map_err(|_| "the answer broke off".to_owned())?;
        match status.is_success() {
            true => serde_json::from_str(&text).map_err(|_| "the answer is no JSON".to_owned()),
            false => Err(text),
        }
    }
}

/// Tells the client of an event.
fn told(event: &Event) {
    let Ok(data) = serde_json::from_str::<Value>(&event.data) else {
        return complain("an event of the daemon is no JSON and is passed over");
    };
    let params = match event.name.as_str() {
        "message" => {
            let mut meta = json!({ "source": SERVER.0 });
            if let (Some(meta), Some(own)) = (meta.as_object_mut(), data["meta"].as_object()) {
                meta.extend(own.clone());
            }
            (
                "notifications/claude/agent",
                json!({ "content": data["content"], "meta": meta }),
            )
        }
        "permission_verdict" => (
            "notifications/claude/agent/permission",
            json!({ "request_id": data["request_id"], "behavior": data["behavior"] }),
        ),
        "unauthorized" => return complain("the token of the bridge has ended or was taken away"),
        _ => return,
    };
    say(&json!({ "jsonrpc": "2.0", "method": params.0, "params": params.1 }));
}

/// A message to the client.
fn say(message: &Value) {
    line(&message.to_string());
}

fn done(id: &Value, result: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": result })
}

fn failed(id: &Value, code: i32, message: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use pretty_assertions::assert_eq;
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// What a person is told until a moment after the start by a bridge whose client says this after that long.
    async fn hints(said: &str, after: Duration, until: Duration, is_told: bool) -> Vec<String> {
        let session = Arc::new(Session {
            client: Client::new("http://127.0.0.1:1", "").unwrap(),
            channel: "ui1".into(),
            ready: AtomicBool::new(false),
        });
        let (mut client, input) = tokio::io::duplex(4096);
        let told = Arc::new(Mutex::new(Vec::new()));
        let hint = Arc::clone(&told);
        let hint = is_told.then_some(move |text: &str| hint.lock().unwrap().push(text.to_owned()));
        let bridge = tokio::spawn(async move { serve(&session, BufReader::new(input), hint).await });
        tokio::time::sleep(after).await;
        client.write_all(format!("{said}\n").as_bytes()).await.unwrap();
        tokio::time::sleep(until.saturating_sub(after)).await;
        let told = told.lock().unwrap().clone();
        drop(client);
        bridge.await.unwrap();
        told
    }

    #[tokio::test(start_paused = true)]
    async fn r_br_5_who_starts_it_without_a_client_is_told_after_fifteen_seconds() {
        let hello = r#"{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}"#;
        let ping = r#"{"jsonrpc": "2.0", "id": 1, "method": "ping"}"#;
        let seconds = Duration::from_secs_f64;
        for (said, after, until, is_told, expected) in [
            ("", 1.0, 14.9, true, 0),
            ("", 1.0, 15.1, true, 1),
            // Once.
            ("", 1.0, 100.0, true, 1),
            // Something else is no hello.
            (ping, 1.0, 15.1, true, 1),
            (hello, 14.9, 15.1, true, 0),
            (hello, 15.1, 15.2, true, 1),
            ("", 1.0, 100.0, false, 0),
        ] {
            let told = hints(said, seconds(after), seconds(until), is_told).await;
            assert_eq!(told.len(), expected, "{said:?} after {after} s, at {until} s");
            assert!(
                told.iter().all(|hint| hint.contains("reveille bridge --channel")),
                "{told:?}"
            );
        }
    }
}
