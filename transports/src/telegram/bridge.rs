use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::api::Api;
use super::chunk;
use super::files;
use super::options::Options;
use super::outbound::{self, deliver};
use super::permission::{self, Asked};
use super::poll::Poll;
use super::position::Position;
use super::presence;
use super::shared::{Shared, Target};
use super::take::{Undone, download};
use crate::outbox::Outbox;
use crate::supervise::Report;
use crate::{Bridge, Edit, Failure, Host, OperationError, Outgoing, PermissionRequest, Reaction, Reply, Transport};

/// How often the inbox is swept.
const SWEEP: Duration = Duration::from_secs(60 * 60);

/// Most characters of each part of a question.
const QUOTED: usize = 1000;

/// A bot that is bound to an agent.
pub struct Telegram(Arc<Shared>);

impl Telegram {
    /// Makes the inbox; nothing is asked of Telegram yet.
    ///
    /// # Errors
    /// The state directory cannot be written.
    pub fn new(options: Options, outbox: Outbox) -> io::Result<Self> {
        let api = Api::new(&options.api_base, options.token.clone());
        let shared = Shared::new(options, api, outbox);
        let inbox = shared.inbox();
        files::make_inbox(&inbox).map_err(|error| {
            let text = format!("the inbox {} cannot be made: {error}", inbox.display());
            io::Error::new(error.kind(), text)
        })?;
        Ok(Self(Arc::new(shared)))
    }
}

#[async_trait]
impl Bridge for Telegram {
    fn name(&self) -> &str {
        &self.0.options.name
    }

    fn kind(&self) -> &'static str {
        "telegram"
    }

    fn agent(&self) -> &str {
        &self.0.options.agent
    }

    fn outbox(&self) -> Option<String> {
        Some(self.0.lanes.name().to_owned())
    }

    fn transport(&self) -> Box<dyn Transport> {
        Box::new(Run(Arc::clone(&self.0)))
    }

    async fn hand_over(&self, note: &Outgoing) -> Result<(), String> {
        let parts = outbound::parts(note)?;
        if parts.is_empty() {
            return Ok(());
        }
        self.0.lanes.put(parts).await
    }

    async fn reply(&self, reply: Reply) -> Result<Vec<String>, OperationError> {
        let mut to = target(&reply.meta)?;
        if let Some(message) = &reply.reply_to {
            to.reply_to = Some(number("reply_to", message)?);
        }
        let mut sent = Vec::new();
        // Looked at first, so that nothing is sent if one may not be.
        let mut files = Vec::new();
        for path in &reply.files {
            files.push(outbound::local(&self.0, path).await.map_err(OperationError::Config)?);
        }
        for piece in outbound::pieces(reply.text.as_deref().unwrap_or_default()) {
            let message = self.0.send_text(&to, &piece).await.map_err(failed)?;
            sent.push(message.to_string());
        }
        for (name, content) in files {
            let message = self.0.send_file(&to, &name, &content).await.map_err(failed)?;
            sent.push(message.to_string());
        }
        Ok(sent)
    }

    async fn react(&self, reaction: Reaction) -> Result<(), OperationError> {
        let to = target(&reaction.meta)?;
        let message = number("message_id", &reaction.message_id)?;
        let emoji = json!([{"type": "emoji", "emoji": reaction.emoji}]);
        let arguments = json!({"chat_id": to.chat, "message_id": message, "reaction": emoji});
        self.0
            .api
            .call::<Value>("setMessageReaction", &arguments)
            .await
            .map_err(failed)?;
        Ok(())
    }

    async fn edit(&self, edit: Edit) -> Result<(), OperationError> {
        let to = target(&edit.meta)?;
        let message = number("message_id", &edit.message_id)?;
        let text = chunk::shorten(&edit.text, chunk::MAX);
        let arguments = json!({"chat_id": to.chat, "message_id": message, "text": text});
        self.0
            .api
            .call::<Value>("editMessageText", &arguments)
            .await
            .map_err(failed)?;
        Ok(())
    }

    async fn permission(&self, request: PermissionRequest) -> Result<Vec<String>, OperationError> {
        let name = request.request_id.to_ascii_lowercase();
        if !permission::is_name(&name) {
            let text = "`request_id` must be five letters without `l`, such as \"abcde\"";
            return Err(OperationError::Config(text.into()));
        }
        let people = self.0.access.read().allow_from;
        if people.is_empty() {
            let path = self.0.access.path().display();
            let text = format!("nobody can be asked: no user is listed in `allowFrom` of {path}");
            return Err(OperationError::Config(text));
        }
        let part = |text: &str| chunk::shorten(text, QUOTED);
        let text = format!(
            "May {} be used? ({name})\n\n{}\n\n{}",
            part(&request.tool_name),
            part(&request.description),
            part(&request.input_preview)
        );
        let buttons = json!({"inline_keyboard": [[
            {"text": "Allow", "callback_data": format!("perm_allow_{name}")},
            {"text": "Deny", "callback_data": format!("perm_deny_{name}")},
        ]]});
        let life = self.0.options.permission_life;
        self.0.pending().open(&name, text.clone(), people.clone(), life);
        let (mut sent, mut reason) = (Vec::new(), None);
        for person in people {
            let arguments = json!({"chat_id": person, "text": text, "reply_markup": buttons});
            match self.0.api.call::<super::api::Sent>("sendMessage", &arguments).await {
                Ok(message) => {
                    let message = message.message_id;
                    self.0.pending().asked(&name, Asked { chat: person, message });
                    sent.push(message.to_string());
                }
                Err(error) => {
                    tracing::warn!(bridge = self.0.options.name, person, %error, "somebody could not be asked");
                    reason = Some(error);
                }
            }
        }
        match reason {
            Some(error) if sent.is_empty() => {
                self.0.pending().close(&name);
                Err(failed(error))
            }
            _ => Ok(sent),
        }
    }

    async fn download(&self, file_id: &str) -> Result<String, OperationError> {
        let (remote, content) = download(&self.0, file_id, None).await.map_err(|undone| match undone {
            Undone::Passing(text) | Undone::Wait(_, text) | Undone::Lasting(text) => OperationError::Failed(text),
        })?;
        let (inbox, mark) = (self.0.inbox(), file_id.to_owned());
        let kept = tokio::task::spawn_blocking(move || files::keep(&inbox, &mark, &remote, &content)).await;
        let kept = kept.map_err(|error| OperationError::Failed(error.to_string()))?;
        let path = kept.map_err(|error| OperationError::Failed(format!("the file cannot be kept: {error}")))?;
        Ok(path.display().to_string())
    }
}

fn target(meta: &std::collections::BTreeMap<String, String>) -> Result<Target, OperationError> {
    let chat = meta.get("chat_id").filter(|chat| !chat.is_empty());
    let chat = chat.ok_or_else(|| OperationError::Config("`meta.chat_id` is missing: the chat to write to".into()))?;
    let thread = meta
        .get("thread_id")
        .map(|thread| number("thread_id", thread))
        .transpose()?;
    Ok(Target {
        chat: chat.clone(),
        thread,
        reply_to: None,
    })
}

fn number(name: &str, text: &str) -> Result<i64, OperationError> {
    text.parse()
        .map_err(|_| OperationError::Config(format!("`{name}` must be the number of a message")))
}

fn failed(error: super::api::ApiError) -> OperationError {
    OperationError::Failed(error.text)
}

/// One run.
struct Run(Arc<Shared>);

#[async_trait]
impl Transport for Run {
    async fn run(
        self: Box<Self>,
        host: Arc<dyn Host>,
        report: Report,
        drain: CancellationToken,
    ) -> Result<(), Failure> {
        let shared = &*self.0;
        let options = &shared.options;
        let source = format!("{} at {}", options.token.bot().unwrap_or("a bot"), options.api_base);
        let position = Position::open(&options.state_dir, &options.name, &source);
        let position = position.map_err(|error| Failure::Broken(error.to_string()))?;
        let (news, watched) = mpsc::unbounded_channel();
        // When one half ends, the other one does.
        let stop = drain.child_token();
        let poll = Poll::new(shared, &report, &stop, position).run(&host, news);
        let halves = async {
            tokio::try_join!(async { poll.await.inspect_err(|_| stop.cancel()) }, async {
                deliver(shared, &host, &stop).await.inspect_err(|_| stop.cancel())
            },)
        };
        let (ended, (), ()) = tokio::join!(
            async {
                let ended = halves.await;
                stop.cancel();
                ended
            },
            presence::watch(shared, &host, watched, &stop),
            tidy(shared, &stop),
        );
        ended.map(|_| ())
    }
}

/// Removes old files from the inbox.
async fn tidy(shared: &Shared, drain: &CancellationToken) {
    while !drain.is_cancelled() {
        let (inbox, retention) = (shared.inbox(), shared.options.inbox_retention);
        match tokio::task::spawn_blocking(move || files::sweep(&inbox, retention)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(bridge = shared.options.name, %error, "the inbox cannot be swept"),
            Err(error) => tracing::warn!(bridge = shared.options.name, %error, "the inbox was not swept"),
        }
        outbound::sleep(SWEEP, drain).await;
    }
}
