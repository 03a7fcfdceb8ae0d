//! A channel for quick tests: what is said on it goes to the pages that listen at this moment, and nothing is kept for others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::fanout::{Fanout, Frame};
use crate::{Bridge, Edit, Failure, Host, OperationError, Outgoing, PermissionRequest, Reply, Report, Transport};

/// A channel of the kind `http-ui`. Cheap to clone.
#[derive(Clone)]
pub struct HttpUi {
    name: String,
    agent: String,
    pages: Fanout,
    started: Arc<AtomicBool>,
}

impl HttpUi {
    /// Of this name, for this agent.
    #[must_use]
    pub fn new(name: impl Into<String>, agent: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            agent: agent.into(),
            pages: Fanout::default(),
            started: Arc::default(),
        }
    }

    /// Its listeners, all under the name of the channel.
    #[must_use]
    pub fn pages(&self) -> &Fanout {
        &self.pages
    }

    /// Answers whether anybody was told.
    fn tell(&self, event: &'static str, data: serde_json::Value) -> Result<bool, OperationError> {
        if !self.started.load(Ordering::Acquire) {
            let message = format!("the channel {:?} has not been started yet; nothing was sent", self.name);
            return Err(OperationError::Failed(message));
        }
        Ok(self.pages.push(&self.name, Frame { event, data }) > 0)
    }
}

#[async_trait]
impl Bridge for HttpUi {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> &'static str {
        "http-ui"
    }

    fn agent(&self) -> &str {
        &self.agent
    }

    fn transport(&self) -> Box<dyn Transport> {
        Box::new(Run(self.clone()))
    }

    /// Who does not listen now has missed it: the note is in the vault. The files are told by name: they are attachments of that
    /// note, and where they are on this machine is nothing to a page.
    async fn hand_over(&self, note: &Outgoing) -> Result<(), String> {
        let names = note.files.iter().map(|file| file.rsplit('/').next().unwrap_or(file));
        let data = json!({ "id": note.id, "text": note.text, "files": names.collect::<Vec<_>>() });
        self.pages.push(&self.name, Frame { event: "reply", data });
        Ok(())
    }

    async fn reply(&self, reply: Reply) -> Result<Vec<String>, OperationError> {
        let id = Uuid::new_v4().to_string();
        let text = reply.text.unwrap_or_default();
        let told = self.tell("reply", json!({ "id": id, "text": text, "files": reply.files }))?;
        Ok(told.then_some(id).into_iter().collect())
    }

    async fn edit(&self, edit: Edit) -> Result<(), OperationError> {
        self.tell("edit", json!({ "id": edit.message_id, "text": edit.text }))
            .map(drop)
    }

    async fn permission(&self, request: PermissionRequest) -> Result<Vec<String>, OperationError> {
        let told = self.tell("permission", json!(request))?;
        Ok(told.then_some(request.request_id).into_iter().collect())
    }
}

struct Run(HttpUi);

#[async_trait]
impl Transport for Run {
    async fn run(
        self: Box<Self>,
        _host: Arc<dyn Host>,
        report: Report,
        drain: CancellationToken,
    ) -> Result<(), Failure> {
        let Self(ui) = *self;
        ui.started.store(true, Ordering::Release);
        report.up();
        drain.cancelled().await;
        ui.started.store(false, Ordering::Release);
        let data = json!({});
        ui.pages.close(&ui.name, Frame { event: "close", data });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pretty_assertions::assert_eq;
    use serde_json::{Value, json};

    use super::*;
    use crate::fanout::Listener;
    use crate::supervise::tests::Nobody;
    use crate::{Reaction, State, supervise};

    async fn heard(listener: &mut Listener) -> (&'static str, Value) {
        let frame = tokio::time::timeout(Duration::from_secs(5), listener.next()).await;
        let frame = frame.unwrap().unwrap();
        (frame.event, frame.data.clone())
    }

    fn reply(text: &str) -> Reply {
        Reply {
            text: Some(text.into()),
            ..Reply::default()
        }
    }

    #[tokio::test]
    async fn before_the_start_a_reply_is_refused_and_without_listeners_it_reaches_nobody() {
        let ui = HttpUi::new("ui1", "eng");
        let refused = ui.reply(reply("early")).await.unwrap_err();
        assert!(
            refused.to_string().contains("\"ui1\" has not been started"),
            "{refused}"
        );

        let (report, mut look) = Report::new();
        let drain = CancellationToken::new();
        let run = tokio::spawn(supervise(Arc::new(ui.clone()), Arc::new(Nobody), report, drain.clone()));
        look.wait_for(|state| *state == State::Up).await.unwrap();
        assert_eq!(ui.reply(reply("nobody")).await, Ok(Vec::new()));

        let mut page = ui.pages().listen("ui1");
        let sent = ui.reply(reply("hello")).await.unwrap();
        let (event, data) = heard(&mut page).await;
        assert_eq!(
            (event, &data["text"], &data["files"]),
            ("reply", &json!("hello"), &json!([]))
        );
        assert_eq!(sent, [data["id"].as_str().unwrap()]);

        let edit = Edit {
            message_id: sent[0].clone(),
            text: "hello again".into(),
            ..Edit::default()
        };
        ui.edit(edit).await.unwrap();
        assert_eq!(
            heard(&mut page).await,
            ("edit", json!({ "id": sent[0], "text": "hello again" }))
        );
        let request = PermissionRequest {
            request_id: "abcde".into(),
            tool_name: "Bash".into(),
            description: "lists files".into(),
            input_preview: "ls".into(),
        };
        assert_eq!(ui.permission(request.clone()).await, Ok(vec!["abcde".to_owned()]));
        assert_eq!(heard(&mut page).await, ("permission", json!(request)));

        let unsupported = ui.react(Reaction::default()).await.unwrap_err();
        assert_eq!(unsupported.to_string(), "a bridge of the kind \"http-ui\" has no react");
        assert!(ui.download("f").await.is_err());

        drain.cancel();
        run.await.unwrap();
        assert_eq!(heard(&mut page).await, ("close", json!({})));
        assert_eq!(page.next().await, None);
        assert!(ui.reply(reply("late")).await.is_err());
    }
}
