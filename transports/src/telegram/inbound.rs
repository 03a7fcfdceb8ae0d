//! Messages on their way in.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::api::{File, Message};
use super::files;
use super::options::Options;
use crate::Incoming;

/// Most characters of what the other side calls something.
const NAME: usize = 200;

/// What a command asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Stop,
    Help,
    /// It is for another bot.
    Foreign,
}

/// The command that a text is. Others are for the agent.
pub(super) fn command(text: &str, me: Option<&str>) -> Option<Command> {
    let word = text.split_whitespace().next()?.strip_prefix('/')?;
    let (word, to) = match word.split_once('@') {
        Some((word, to)) => (word, Some(to)),
        None => (word, None),
    };
    // Until the bot knows its own name, what has a name is for it.
    if to.zip(me).is_some_and(|(to, me)| !to.eq_ignore_ascii_case(me)) {
        return Some(Command::Foreign);
    }
    match word.to_ascii_lowercase().as_str() {
        "stop" => Some(Command::Stop),
        "start" | "help" => Some(Command::Help),
        _ => None,
    }
}

/// The file of a message: what it is called, and it.
pub(super) fn attachment(message: &Message) -> Option<(&'static str, &File)> {
    let kinds = [
        ("voice", &message.voice),
        ("audio", &message.audio),
        // An animation has its file here as well.
        ("document", &message.document),
    ];
    let first = kinds.into_iter().find_map(|(kind, file)| Some((kind, file.as_ref()?)));
    let photo = || message.photo.last().map(|photo| ("photo", photo));
    let others = || {
        let kinds = [
            ("video", &message.video),
            ("animation", &message.animation),
            ("video_note", &message.video_note),
            ("sticker", &message.sticker),
        ];
        kinds.into_iter().find_map(|(kind, file)| Some((kind, file.as_ref()?)))
    };
    first.or_else(photo).or_else(others)
}

/// What a message says; `None` if it is nothing that an agent can be told.
pub(super) fn content(message: &Message) -> Option<String> {
    let written = message.text.as_ref().or(message.caption.as_ref());
    let written = written.filter(|text| !text.trim().is_empty()).cloned();
    written.or_else(|| attachment(message).map(|(kind, _)| format!("({kind})")))
}

/// The name under which a file goes into the vault.
pub(super) fn file_name(kind: &str, file: &File, remote: &str) -> String {
    match &file.file_name {
        Some(name) => files::plain_name(name),
        None => {
            let ending = files::ending(remote).unwrap_or_else(|| "bin".into());
            format!("{kind}-{}.{ending}", files::plain_name(&file.file_unique_id))
        }
    }
}

/// Where a message comes from, in the words that its answer carries back.
pub(super) fn origin(message: &Message, user: &super::api::User) -> BTreeMap<String, String> {
    let mut origin = BTreeMap::new();
    let mut put = |name: &str, value: String| {
        origin.insert(name.to_owned(), value.chars().take(NAME).collect());
    };
    put("source", "telegram".into());
    put("chat_id", message.chat.id.to_string());
    put("message_id", message.message_id.to_string());
    put("user", user.name().to_owned());
    put("user_id", user.id.to_string());
    let at = Timestamp::from_second(message.date).unwrap_or_default(); // silent-ok: a date that is none says nothing
    put("ts", at.to_string());
    if let Some(thread) = thread(message) {
        put("thread_id", thread.to_string());
    }
    if let Some(answered) = &message.reply_to_message {
        put("reply_to_message_id", answered.message_id.to_string());
    }
    if let Some((kind, file)) = attachment(message) {
        put("attachment_kind", kind.into());
        put("attachment_file_id", file.file_id.clone());
        if let Some(size) = file.file_size {
            put("attachment_size", size.to_string());
        }
        let mime = match (kind, &file.mime_type) {
            (_, Some(mime)) => Some(mime.as_str()),
            ("voice", None) => Some("audio/ogg"),
            ("photo", None) => Some("image/jpeg"),
            _ => None,
        };
        if let Some(mime) = mime {
            put("attachment_mime", mime.into());
        }
    }
    origin
}

/// The topic of a forum that it stands in. Outside of one, Telegram numbers chains of answers so.
pub(super) fn thread(message: &Message) -> Option<i64> {
    message.message_thread_id.filter(|_| message.is_topic_message)
}

/// The message for the agent, without its files.
pub(super) fn incoming(options: &Options, message: &Message, user: &super::api::User, text: String) -> Incoming {
    let chat = message.chat.id;
    let bot = options.token.bot().unwrap_or(&options.name);
    let edit = message.edit_date.map_or_else(String::new, |at| format!("/edit/{at}"));
    Incoming {
        agent: options.agent.clone(),
        text,
        sender: format!("telegram:{}", user.id),
        subject: options.subject_per_chat.then(|| format!("telegram{chat}")),
        idempotency_key: Some(format!("telegram/{bot}/{chat}/{}{edit}", message.message_id)),
        origin: origin(message, user),
        ..Incoming::default()
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::{Value, json};

    use super::*;
    use crate::telegram::api::{Content, Update};

    fn message(fields: &Value) -> Message {
        let mut message = json!({"message_id": 7, "from": {"id": 42, "first_name": "Ada"}, "chat": {"id": -100, "type": "group"}, "date": 1_700_000_000});
        message
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        match Update::of(&json!({"update_id": 1, "message": message}))
            .unwrap()
            .content
        {
            Content::Message(message) => *message,
            other => panic!("{other:?}"),
        }
    }

    fn file(id: &str) -> Value {
        json!({"file_id": id, "file_unique_id": format!("u{id}"), "file_size": 5})
    }

    #[test]
    fn the_file_of_a_message_is_picked_in_order() {
        let all = json!({"voice": file("v"), "audio": file("a"), "document": file("d"), "photo": [file("small"), file("large")]});
        let mut fields = all.as_object().unwrap().clone();
        for (kind, id) in [("voice", "v"), ("audio", "a"), ("document", "d"), ("photo", "large")] {
            let message = message(&Value::Object(fields.clone()));
            let (found, file) = attachment(&message).unwrap();
            assert_eq!((found, file.file_id.as_str()), (kind, id));
            assert_eq!(content(&message).unwrap(), format!("({kind})"));
            fields.remove(kind);
        }
        assert_eq!(content(&message(&json!({}))), None);
        assert_eq!(
            content(&message(&json!({"caption": "look", "voice": file("v")}))).unwrap(),
            "look"
        );
        assert_eq!(content(&message(&json!({"text": "t", "caption": "c"}))).unwrap(), "t");
    }

    #[test]
    fn where_it_comes_from_is_text() {
        let message = message(
            &json!({"voice": file("v"), "message_thread_id": 3, "is_topic_message": true, "reply_to_message": {"message_id": 5}}),
        );
        let user = message.from.clone().unwrap();
        let origin = origin(&message, &user);
        let expected = [
            ("attachment_file_id", "v"),
            ("attachment_kind", "voice"),
            ("attachment_mime", "audio/ogg"),
            ("attachment_size", "5"),
            ("chat_id", "-100"),
            ("message_id", "7"),
            ("reply_to_message_id", "5"),
            ("source", "telegram"),
            ("thread_id", "3"),
            ("ts", "2023-11-14T22:13:20Z"),
            ("user", "Ada"),
            ("user_id", "42"),
        ];
        let origin: Vec<(&str, &str)> = origin
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(origin, expected);
    }

    #[test]
    fn commands_are_for_the_bot_that_they_name() {
        for (text, wanted) in [
            ("/stop", Some(Command::Stop)),
            ("/STOP@Scribe_bot now", Some(Command::Stop)),
            ("/stop@other_bot", Some(Command::Foreign)),
            ("/start payload", Some(Command::Help)),
            ("/help", Some(Command::Help)),
            ("/review it", None),
            ("stop", None),
            ("please /stop", None),
            ("", None),
        ] {
            assert_eq!(command(text, Some("scribe_bot")), wanted, "{text}");
        }
    }

    #[test]
    fn what_has_another_shape_is_told_apart() {
        assert!(Update::of(&json!({"message": {}})).is_none());
        for update in [
            json!({"update_id": 1, "message": {"text": 5}}),
            json!({"update_id": 1, "poll": {}}),
            json!({"update_id": 1}),
        ] {
            assert!(
                matches!(Update::of(&update).unwrap().content, Content::Other(_)),
                "{update}"
            );
        }
    }
}
