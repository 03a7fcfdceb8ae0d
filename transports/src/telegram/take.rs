//! What is done with one update.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::access::Closed;
use super::api::{Content, Fault, File, Message, Pressed, Remote, Update, User};
use super::inbound::{self, Command};
use super::outbound::{notice, sleep};
use super::permission::{self, Open};
use super::position::{Position, Recent};
use super::presence::Watched;
use super::shared::{Shared, Target};
use crate::supervise::Report;
use crate::{Behaviour, Host, Incoming, Refusal, Standing, Taken, Verdict};

/// Tries to fetch a file before the message goes without it.
const FETCHES: u32 = 4;

/// After so many tries the chat is told that its message waits outside.
const TELL_AFTER: u32 = 3;

/// A stranger is told so often at most how the bot is opened, and so many strangers are remembered.
const STRANGERS_EVERY: Duration = Duration::from_secs(10 * 60);
const STRANGERS: usize = 1000;

const HELP: &str = "Write a message, and the agent works on it and answers here. Files may come with it.\n\
    /stop interrupts what it is doing now.\n\
    /help shows this.\n\
    A message that you edit while it waits or is worked on reaches the agent as a correction.";

pub(super) struct Taker<'a> {
    shared: &'a Shared,
    host: &'a Arc<dyn Host>,
    report: &'a Report,
    drain: &'a CancellationToken,
    news: mpsc::UnboundedSender<Watched>,
    /// The name of the bot.
    pub(super) me: Option<String>,
    strangers: HashMap<i64, Instant>,
}

impl<'a> Taker<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        host: &'a Arc<dyn Host>,
        report: &'a Report,
        drain: &'a CancellationToken,
        news: mpsc::UnboundedSender<Watched>,
    ) -> Self {
        Self {
            shared,
            host,
            report,
            drain,
            news,
            me: None,
            strangers: HashMap::new(),
        }
    }

    /// Watches the turns of messages that were taken before.
    pub(super) fn resume(&self, position: &Position) {
        for recent in position.recent() {
            self.watch(recent, false);
        }
    }

    fn watch(&self, recent: &Recent, tell: bool) {
        let watched = Watched {
            turn: recent.turn.clone(),
            chat: recent.chat,
            thread: recent.thread,
            message: recent.message,
            tell,
        };
        // silent-ok: nobody watches any more when the bridge stops
        let _ = self.news.send(watched);
    }

    /// `false` if the bridge stops before the update is durable.
    pub(super) async fn update(&mut self, update: Update, position: &mut Position) -> bool {
        match update.content {
            Content::Message(message) => self.message(update.id, &message, position).await,
            Content::Edited(message) => self.edited(update.id, &message, position).await,
            Content::Pressed(pressed) => {
                self.pressed(&pressed).await;
                true
            }
            Content::Other(reason) => {
                tracing::debug!(
                    bridge = self.shared.options.name,
                    update = update.id,
                    reason,
                    "an update is left out"
                );
                true
            }
        }
    }

    /// The update is done with.
    pub(super) async fn advance(&self, update: i64, recent: Option<Recent>, position: &mut Position) {
        if let Err(error) = position.advance(update, recent).await {
            // After a crash it comes again, and is the same message.
            tracing::error!(bridge = self.shared.options.name, %error, "the place in Telegram's updates cannot be written");
        }
    }

    async fn message(&mut self, update: i64, message: &Message, position: &mut Position) -> bool {
        let Some(user) = self.let_in(message).await else {
            return true;
        };
        let to = Target::of(message.chat.id, inbound::thread(message), Some(message.message_id));
        let Some(text) = inbound::content(message) else {
            return true;
        };
        match inbound::command(&text, self.me.as_deref()) {
            Some(Command::Foreign) => return true,
            Some(Command::Help) => {
                self.shared.tell(&to, HELP).await;
                return true;
            }
            Some(Command::Stop) => {
                // Before it is done: one that came again would end another turn.
                self.advance(update, None, position).await;
                let text = match self.host.stop(&self.shared.options.agent).await {
                    Ok(stopped) if stopped.turn.is_some() => "Stopped.".to_owned(),
                    Ok(_) => "Nothing is running.".to_owned(),
                    Err(error) => format!("It could not be stopped: {error}"),
                };
                self.shared.tell(&to, &text).await;
                return true;
            }
            None => {}
        }
        if let Some(verdict) = permission::typed(&text) {
            let open = self.shared.pending().answer(&verdict, &user.id.to_string());
            if let Some(open) = open {
                self.decided(&verdict, &user, &open).await;
                let emoji = match verdict.behavior {
                    Behaviour::Allow => "👍",
                    Behaviour::Deny => "👎",
                };
                let reaction = json!([{"type": "emoji", "emoji": emoji}]);
                let arguments = json!({"chat_id": to.chat, "message_id": message.message_id, "reaction": reaction});
                self.shared.try_call("setMessageReaction", &arguments).await;
                return true;
            }
        }
        let incoming = inbound::incoming(&self.shared.options, message, &user, text);
        self.take(update, message, incoming, position).await
    }

    /// A change counts while the message waits or is worked on: the agent gets it as a correction.
    async fn edited(&mut self, update: i64, message: &Message, position: &mut Position) -> bool {
        let Some(user) = self.let_in(message).await else {
            return true;
        };
        let Some(text) = inbound::content(message) else {
            return true;
        };
        // Telegram tells of other changes too, such as a preview of a link or a reaction, without this date.
        if message.edit_date.is_none() || inbound::command(&text, self.me.as_deref()).is_some() {
            return true;
        }
        let standing = match position.turn_of(message.chat.id, message.message_id) {
            Some(turn) => self.host.standing(&self.shared.options.agent, turn).await,
            None => None,
        };
        if !matches!(standing, Some(Standing::Waiting { .. } | Standing::Running)) {
            let to = Target::of(message.chat.id, inbound::thread(message), Some(message.message_id));
            let text = "This message was worked on already, so the change of it has no effect. Send a new one.";
            self.shared.tell(&to, text).await;
            return true;
        }
        let text = format!("(A correction: I have changed my earlier message. It is now:)\n\n{text}");
        let incoming = inbound::incoming(&self.shared.options, message, &user, text);
        self.take(update, message, incoming, position).await
    }

    /// Who wrote it, if they may. Strangers to a bot that is not set up are told how that is done.
    async fn let_in(&mut self, message: &Message) -> Option<User> {
        let user = message.from.clone()?;
        let access = self.shared.access.read();
        if access.lets_in(&user.id.to_string(), Some(&message.chat.id.to_string())) {
            return Some(user);
        }
        tracing::info!(
            bridge = self.shared.options.name,
            user = user.id,
            chat = message.chat.id,
            "somebody who is not let in wrote to the bot"
        );
        if access.closed == Some(Closed::Missing) && message.chat.kind == "private" {
            let now = Instant::now();
            self.strangers.retain(|_, at| now.duration_since(*at) < STRANGERS_EVERY);
            if self.strangers.len() < STRANGERS && self.strangers.insert(message.chat.id, now).is_none() {
                let text = format!(
                    "This bot is not open yet. Your user id is {}. Its operator lets you in by writing it into access.json.",
                    user.id
                );
                let to = Target::of(message.chat.id, None, None);
                self.shared.tell(&to, &text).await;
            }
        }
        None
    }

    /// Gives a message to the agent, however long it takes. `false` if the bridge stops before.
    async fn take(&mut self, update: i64, message: &Message, mut incoming: Incoming, position: &mut Position) -> bool {
        let to = Target::of(message.chat.id, inbound::thread(message), Some(message.message_id));
        if let Some((kind, file)) = inbound::attachment(message) {
            match self.fetch(kind, file, &to).await {
                Some(Ok(path)) => {
                    if kind == "photo" {
                        incoming.origin.insert("image_path".into(), path.clone());
                    }
                    incoming.attachments.push(path);
                }
                Some(Err(reason)) => {
                    tracing::warn!(
                        bridge = self.shared.options.name,
                        kind,
                        reason,
                        "a message goes without its file"
                    );
                    incoming
                        .text
                        .push_str(&format!("\n\n(The {kind} could not be fetched: {reason})"));
                }
                None => return false,
            }
        }
        let taken = match self.insist(&to, || self.host.take(incoming.clone())).await {
            None => return false,
            Some(Ok(taken)) => Some(taken),
            // It is stored: this is the same message again.
            Some(Err(Refusal::KeyReused)) => None,
            Some(Err(refusal)) => {
                let text = match &refusal {
                    Refusal::Full { waiting, .. } => {
                        format!("Your message was not taken: {waiting} messages wait already. Send it again later.")
                    }
                    other => format!("Your message was not taken: {other}"),
                };
                let id = format!("refused/{}/{}", message.chat.id, update);
                if !self.put_notice(id, &to, &text).await {
                    return false;
                }
                None
            }
        };
        let recent = taken.and_then(|Taken { turn, .. }| turn).map(|turn| Recent {
            chat: message.chat.id,
            message: message.message_id,
            thread: inbound::thread(message),
            turn,
        });
        self.advance(update, recent.clone(), position).await;
        if let Some(recent) = recent {
            self.watch(&recent, true);
        }
        true
    }

    async fn put_notice(&self, id: String, to: &Target, text: &str) -> bool {
        let part = match notice(id, &self.shared.options.agent, to, text) {
            Ok(part) => part,
            Err(error) => {
                tracing::error!(error, "a refusal cannot be written");
                return true;
            }
        };
        let mut failures = 0;
        while let Err(error) = self.shared.lanes.put(vec![part.clone()]).await {
            let pause = self.shared.pause(failures, self.shared.options.pace.longest_pause);
            self.report.retrying(error, pause);
            sleep(pause, self.drain).await;
            if self.drain.is_cancelled() {
                return false;
            }
            failures = failures.saturating_add(1);
        }
        true
    }

    /// Asks the daemon again until it says yes or a lasting no; `None` if the bridge stops before.
    async fn insist<T, F: Future<Output = Result<T, Refusal>>>(
        &self,
        to: &Target,
        ask: impl Fn() -> F,
    ) -> Option<Result<T, Refusal>> {
        let mut failures = 0;
        loop {
            let refusal = match ask().await {
                Ok(done) => return Some(Ok(done)),
                Err(refusal) => refusal,
            };
            match refusal {
                Refusal::UnknownAgent { .. }
                | Refusal::BrokenAgent { .. }
                | Refusal::Unavailable(_)
                | Refusal::Unknown(_) => {}
                Refusal::Blank | Refusal::KeyReused | Refusal::Full { .. } | Refusal::Invalid(_) => {
                    return Some(Err(refusal));
                }
            }
            let pause = self.shared.pause(failures, self.shared.options.pace.longest_pause);
            self.report
                .retrying(format!("a message waits at Telegram: {refusal}"), pause);
            failures += 1;
            if failures == TELL_AFTER {
                tracing::warn!(bridge = self.shared.options.name, %refusal, "a message waits at Telegram");
                let text = "The agent cannot take messages now. Yours is kept, and is taken as soon as it can.";
                self.shared.tell(to, text).await;
            }
            sleep(pause, self.drain).await;
            if self.drain.is_cancelled() {
                return None;
            }
        }
    }

    /// Brings a file into the vault. `None` if the bridge stops before; an error is for the text of the message.
    async fn fetch(&self, kind: &str, file: &File, to: &Target) -> Option<Result<String, String>> {
        let (name, content) = match self.download(kind, file).await? {
            Ok(found) => found,
            Err(reason) => return Some(Err(reason)),
        };
        let agent = self.shared.options.agent.as_str();
        let stored = self
            .insist(to, || self.host.upload(agent, &name, content.clone()))
            .await?;
        Some(stored.map_err(|refusal| refusal.to_string()))
    }

    async fn download(&self, kind: &str, file: &File) -> Option<Result<(String, Vec<u8>), String>> {
        let mut failures = 0;
        loop {
            let error = match download(self.shared, &file.file_id, file.file_size).await {
                Ok((remote, content)) => return Some(Ok((inbound::file_name(kind, file, &remote), content))),
                Err(error) => error,
            };
            failures += 1;
            let pause = match error {
                Undone::Passing(_) if failures < FETCHES => {
                    self.shared.pause(failures - 1, self.shared.options.pace.longest_pause)
                }
                Undone::Wait(pause, _) if failures < FETCHES => pause,
                Undone::Passing(text) | Undone::Wait(_, text) | Undone::Lasting(text) => return Some(Err(text)),
            };
            sleep(pause, self.drain).await;
            if self.drain.is_cancelled() {
                return None;
            }
        }
    }

    /// A button of a question was pressed.
    async fn pressed(&mut self, pressed: &Pressed) {
        let chat = pressed.message.as_ref().map(|message| message.chat.id.to_string());
        let user = pressed.from.id.to_string();
        let allowed = self.shared.access.read().lets_in(&user, chat.as_deref());
        let verdict = pressed
            .data
            .as_deref()
            .and_then(permission::pressed)
            .filter(|_| allowed);
        let open = verdict
            .as_ref()
            .and_then(|verdict| self.shared.pending().answer(verdict, &user));
        let text = match (verdict, open) {
            (Some(verdict), Some(open)) => {
                self.decided(&verdict, &pressed.from, &open).await;
                label(verdict.behavior).to_owned()
            }
            _ => "This question is not open for you, or not any more.".to_owned(),
        };
        let arguments = json!({"callback_query_id": pressed.id, "text": text});
        self.shared.try_call("answerCallbackQuery", &arguments).await;
    }

    /// Tells the daemon, and takes the buttons away wherever the question stands.
    async fn decided(&self, verdict: &Verdict, user: &User, open: &Open) {
        self.host.verdict(verdict.clone()).await;
        let text = format!("{} by {}\n\n{}", label(verdict.behavior), user.name(), open.text);
        let text = super::chunk::shorten(&text, super::chunk::MAX);
        for asked in &open.asked {
            let arguments = json!({"chat_id": asked.chat, "message_id": asked.message, "text": text});
            self.shared.try_call("editMessageText", &arguments).await;
        }
    }
}

fn label(behaviour: Behaviour) -> &'static str {
    match behaviour {
        Behaviour::Allow => "Allowed",
        Behaviour::Deny => "Denied",
    }
}

/// Why a file was not fetched.
pub(super) enum Undone {
    Passing(String),
    Wait(Duration, String),
    Lasting(String),
}

/// The remote path of a file and what is in it.
pub(super) async fn download(shared: &Shared, id: &str, size: Option<u64>) -> Result<(String, Vec<u8>), Undone> {
    let most = shared.options.max_file_in;
    let long = |size: u64| Undone::Lasting(format!("it has {size} bytes, and at most {most} are taken"));
    if let Some(size) = size.filter(|&size| size > most) {
        return Err(long(size));
    }
    let failed = |error: super::api::ApiError| match error.fault {
        Fault::Flood(pause) => Undone::Wait(pause, error.text),
        _ if error.passes() => Undone::Passing(error.text),
        _ => Undone::Lasting(error.text),
    };
    let remote: Remote = shared
        .api
        .call("getFile", &json!({"file_id": id}))
        .await
        .map_err(failed)?;
    if let Some(size) = remote.file_size.filter(|&size| size > most) {
        return Err(long(size));
    }
    let Some(path) = remote.file_path else {
        return Err(Undone::Lasting("Telegram does not give it out".into()));
    };
    let content = shared.api.fetch(&path, most).await.map_err(failed)?;
    Ok((path, content.to_vec()))
}
