//! What the Bot API says, as far as this bridge listens (<https://core.telegram.org/bots/api>).

use serde::Deserialize;
use serde_json::Value;

/// The frame of every answer.
#[derive(Deserialize)]
pub(super) struct Answer {
    pub(super) ok: bool,
    #[serde(default)]
    pub(super) result: Value,
    pub(super) error_code: Option<u16>,
    pub(super) description: Option<String>,
    #[serde(default)]
    pub(super) parameters: Option<Parameters>,
}

#[derive(Default, Deserialize)]
pub(super) struct Parameters {
    pub(super) retry_after: Option<u64>,
    pub(super) migrate_to_chat_id: Option<i64>,
}

/// One thing that happened. An update whose content is of another shape than expected has none.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Update {
    pub(crate) id: i64,
    pub(crate) content: Content,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    Message(Box<Message>),
    Edited(Box<Message>),
    Pressed(Box<Pressed>),
    /// Of a kind that was not asked for, or not of the expected shape; with the reason.
    Other(String),
}

impl Update {
    /// `None` if it has no number, so that it cannot be told from others.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        let id = value.get("update_id")?.as_i64()?;
        let content = if let Some(message) = value.get("message") {
            Message::deserialize(message).map(|message| Content::Message(message.into()))
        } else if let Some(message) = value.get("edited_message") {
            Message::deserialize(message).map(|message| Content::Edited(message.into()))
        } else if let Some(pressed) = value.get("callback_query") {
            Pressed::deserialize(pressed).map(|pressed| Content::Pressed(pressed.into()))
        } else {
            Ok(Content::Other("it is of another kind".into()))
        };
        let content = content.unwrap_or_else(|error| Content::Other(error.to_string()));
        Some(Self { id, content })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct User {
    pub(crate) id: i64,
    pub(crate) username: Option<String>,
    pub(crate) first_name: Option<String>,
}

impl User {
    /// What people call them.
    pub(crate) fn name(&self) -> &str {
        let name = self.username.as_deref().or(self.first_name.as_deref());
        name.filter(|name| !name.is_empty()).unwrap_or("unknown")
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Chat {
    pub(crate) id: i64,
    #[serde(rename = "type", default)]
    pub(crate) kind: String,
}

/// A file of a message, whatever it is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct File {
    pub(crate) file_id: String,
    pub(crate) file_unique_id: String,
    pub(crate) file_name: Option<String>,
    pub(crate) mime_type: Option<String>,
    pub(crate) file_size: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Message {
    pub(crate) message_id: i64,
    pub(crate) from: Option<User>,
    pub(crate) chat: Chat,
    #[serde(default)]
    pub(crate) date: i64,
    pub(crate) edit_date: Option<i64>,
    pub(crate) text: Option<String>,
    pub(crate) caption: Option<String>,
    pub(crate) voice: Option<File>,
    pub(crate) audio: Option<File>,
    pub(crate) document: Option<File>,
    #[serde(default)]
    pub(crate) photo: Vec<File>,
    pub(crate) animation: Option<File>,
    pub(crate) video: Option<File>,
    pub(crate) video_note: Option<File>,
    pub(crate) sticker: Option<File>,
    /// The topic of a forum that it stands in.
    pub(crate) message_thread_id: Option<i64>,
    #[serde(default)]
    pub(crate) is_topic_message: bool,
    pub(crate) reply_to_message: Option<Answered>,
}

/// The message that another one answers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Answered {
    pub(crate) message_id: i64,
}

/// Somebody pressed a button.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Pressed {
    pub(crate) id: String,
    pub(crate) from: User,
    pub(crate) message: Option<Button>,
    pub(crate) data: Option<String>,
}

/// The message with the button.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Button {
    pub(crate) chat: Chat,
}

/// A message that was sent.
#[derive(Debug, Deserialize)]
pub(crate) struct Sent {
    pub(crate) message_id: i64,
}

/// Where a file can be fetched.
#[derive(Debug, Deserialize)]
pub(crate) struct Remote {
    pub(crate) file_path: Option<String>,
    pub(crate) file_size: Option<u64>,
}
