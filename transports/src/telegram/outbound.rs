//! Answers on their way to their chats. Each message of Telegram is an entry of its own in the lane of its chat, so that after a
//! crash in the middle of a long answer only what was not sent is sent.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::api::{ApiError, Fault};
use super::chunk;
use super::files;
use super::lanes::Part;
use super::shared::{Shared, Target};
use crate::outbox::Item;
use crate::{Failure, Host, Outgoing};

/// What waits because Telegram asks for it is given up after so long.
const PATIENCE: SignedDuration = SignedDuration::from_hours(24);

/// How long what is under way may take to end when the bridge stops.
const GRACE: Duration = Duration::from_secs(4);

/// So often a file is looked for in the vault; the rest of the chat waits for it.
const READS: u32 = 8;

/// The pause after the lanes could not be asked.
const PAUSE: Duration = Duration::from_secs(1);

/// An entry of a lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Load {
    agent: String,
    chat: String,
    thread: Option<i64>,
    reply_to: Option<i64>,
    body: Body,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Body {
    Text(String),
    /// A path in the vault of the agent, or an absolute one on this machine.
    File(String),
}

/// The texts of a message, in pieces that Telegram takes. It refuses blank ones.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = String> {
    let pieces = chunk::split(text, chunk::MAX);
    pieces.into_iter().filter(|piece| !piece.trim().is_empty())
}

/// The entries of an outbound note.
pub(super) fn parts(note: &Outgoing) -> Result<Vec<Part>, String> {
    let origin = |name: &str| note.origin.get(name);
    let number = |name: &str| origin(name).and_then(|text| text.parse().ok());
    // Without a chat it is kept where people see what was not delivered.
    let chat = origin("chat_id").cloned().unwrap_or_default();
    let load = |body| Load {
        agent: note.agent.clone(),
        chat: chat.clone(),
        thread: number("thread_id"),
        reply_to: number("message_id"),
        body,
    };
    let texts = pieces(&note.text).map(Body::Text);
    let files = note.files.iter().cloned().map(Body::File);
    let entry = |(at, body): (usize, Body)| {
        Ok(Part {
            id: format!("{}#{}", note.id, at + 1),
            lane: chat.clone(),
            payload: serde_json::to_string(&load(body)).map_err(|error| error.to_string())?,
        })
    };
    texts.chain(files).enumerate().map(entry).collect()
}

/// A message of the bridge itself that must not be lost.
pub(super) fn notice(id: String, agent: &str, to: &Target, text: &str) -> Result<Part, String> {
    let load = Load {
        agent: agent.to_owned(),
        chat: to.chat.clone(),
        thread: to.thread,
        reply_to: to.reply_to,
        body: Body::Text(chunk::shorten(text, chunk::MAX)),
    };
    let payload = serde_json::to_string(&load).map_err(|error| error.to_string())?;
    Ok(Part {
        id,
        lane: to.chat.clone(),
        payload,
    })
}

impl Load {
    fn target(&self) -> Target {
        Target {
            chat: self.chat.clone(),
            thread: self.thread,
            reply_to: self.reply_to,
        }
    }
}

/// Why a part was not sent.
enum Trouble {
    Api(ApiError),
    /// It never will be.
    Lasting(String),
    /// The vault may have it later.
    Passing(String),
}

/// Sends what waits, until `drain` is cancelled.
pub(super) async fn deliver(shared: &Shared, host: &Arc<dyn Host>, drain: &CancellationToken) -> Result<(), Failure> {
    let mut changes = shared.lanes.changes();
    while !drain.is_cancelled() {
        changes.mark_unchanged();
        match shared.lanes.next().await {
            Ok((Some(item), _)) => {
                tokio::select! {
                    biased;
                    done = one(shared, &**host, &item, drain) => done?,
                    () = late(drain) => return Ok(()),
                }
            }
            Ok((None, at)) => {
                let wait = at.map(|at| Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default());
                tokio::select! {
                    () = drain.cancelled() => {}
                    changed = changes.changed() => {
                        if changed.is_err() {
                            return Err(Failure::Broken("the outbox is closed".into()));
                        }
                    }
                    () = tokio::time::sleep(wait.unwrap_or(Duration::from_secs(60)).max(Duration::from_millis(1))) => {}
                }
            }
            Err(error) => {
                tracing::error!(
                    bridge = shared.options.name,
                    error,
                    "what waits for Telegram cannot be read"
                );
                sleep(PAUSE, drain).await;
            }
        }
    }
    Ok(())
}

async fn one(shared: &Shared, host: &dyn Host, item: &Item, drain: &CancellationToken) -> Result<(), Failure> {
    let (lanes, id, attempts) = (&shared.lanes, item.id.as_str(), item.attempts);
    let load: Result<Load, _> = serde_json::from_str(&item.payload);
    let load = match load {
        Ok(load) => load,
        Err(error) => {
            let error = format!("it was not written by this version: {error}");
            record(shared, drain, || lanes.failed(id, &error, None)).await;
            return Ok(());
        }
    };
    let Err(trouble) = send(shared, host, &load).await else {
        record(shared, drain, || lanes.delivered(id)).await;
        return Ok(());
    };
    let (text, most) = match trouble {
        Trouble::Api(error) => match error.fault {
            Fault::Token => return Err(refused(&error)),
            Fault::Moved(chat) if load.chat != chat.to_string() => {
                let load = Load {
                    chat: chat.to_string(),
                    ..load
                };
                match serde_json::to_string(&load) {
                    Ok(payload) => record(shared, drain, || lanes.amend(id, payload.clone())).await,
                    Err(error) => tracing::error!(%error, "the new id of a group cannot be written"),
                }
                return Ok(());
            }
            Fault::Flood(pause) if Timestamp::now().duration_since(item.since) < PATIENCE => {
                let at = after(pause);
                record(shared, drain, || lanes.postpone(id, &error.text, at)).await;
                return Ok(());
            }
            _ if error.passes() => (error.text.clone(), shared.options.pace.attempts),
            _ => (error.text.clone(), 0),
        },
        Trouble::Lasting(text) => (text, 0),
        Trouble::Passing(text) => (text, shared.options.pace.attempts.min(READS)),
    };
    let again = attempts + 1 < most;
    let at = again.then(|| after(shared.pause(attempts, shared.options.pace.longest_delivery_pause)));
    if at.is_none() {
        if let Body::File(path) = &load.body {
            let name = path.rsplit('/').next().unwrap_or_default();
            shared
                .tell(&load.target(), &format!("The file {name} could not be sent: {text}"))
                .await;
        }
        tracing::error!(
            bridge = shared.options.name,
            id,
            error = text,
            "a part of an answer was not delivered and is kept"
        );
    }
    record(shared, drain, || lanes.failed(id, &text, at)).await;
    Ok(())
}

async fn send(shared: &Shared, host: &dyn Host, load: &Load) -> Result<i64, Trouble> {
    if load.chat.is_empty() {
        return Err(Trouble::Lasting(
            "it has no chat_id, so it is not known for which chat it is".into(),
        ));
    }
    let to = load.target();
    let path = match &load.body {
        Body::Text(text) => return shared.send_text(&to, text).await.map_err(Trouble::Api),
        Body::File(path) => path,
    };
    let (name, content) = if Path::new(path).is_absolute() {
        local(shared, path).await.map_err(Trouble::Lasting)?
    } else {
        let file = host.read(&load.agent, path).await.map_err(Trouble::Passing)?;
        (file.name, file.content)
    };
    let most = shared.options.max_file_out;
    if content.len() as u64 > most {
        let bytes = content.len();
        return Err(Trouble::Lasting(format!(
            "it has {bytes} bytes, and at most {most} can be sent"
        )));
    }
    shared.send_file(&to, &name, &content).await.map_err(Trouble::Api)
}

/// A file of this machine that may be sent, with its name.
pub(super) async fn local(shared: &Shared, path: &str) -> Result<(String, Vec<u8>), String> {
    let mut roots = shared.options.roots.clone();
    roots.push(shared.inbox());
    let most = shared.options.max_file_out;
    let file = Path::new(path).to_owned();
    let name = file
        .file_name()
        .map_or_else(|| "file".into(), |name| name.to_string_lossy().into_owned());
    let read = tokio::task::spawn_blocking(move || files::allowed(&file, &roots, most)).await;
    let content = read.map_err(|error| format!("{path} is not sent: {error}"))??;
    Ok((name, content))
}

/// Writes what became of a part, however long it takes: until that is written the part must not be tried again.
async fn record<F: Future<Output = Result<(), String>>>(
    shared: &Shared,
    drain: &CancellationToken,
    write: impl Fn() -> F,
) {
    while let Err(error) = write().await {
        tracing::error!(
            bridge = shared.options.name,
            error,
            "what became of an answer cannot be written"
        );
        if drain.is_cancelled() {
            return;
        }
        sleep(PAUSE, drain).await;
    }
}

/// Done when what is under way has had time enough to end, after the bridge was asked to stop.
pub(super) async fn late(drain: &CancellationToken) {
    drain.cancelled().await;
    tokio::time::sleep(GRACE).await;
}

pub(super) async fn sleep(pause: Duration, drain: &CancellationToken) {
    tokio::select! {
        () = drain.cancelled() => {}
        () = tokio::time::sleep(pause) => {}
    }
}

/// The state of a bridge whose token does not work.
pub(super) fn refused(error: &ApiError) -> Failure {
    Failure::Refused(format!(
        "Telegram does not accept the token of the bot ({error}); ask @BotFather for one and set it (`reveille bridge add`, or the configuration and a new start)"
    ))
}

fn after(pause: Duration) -> Timestamp {
    let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
    Timestamp::now().saturating_add(pause).unwrap_or(Timestamp::MAX)
}
