//! The tools by which a session speaks on its channel.

use serde_json::{Map, Value, json};

use super::Session;

fn text(about: &str) -> Value {
    json!({ "type": "string", "description": about })
}

/// What the client is told of them.
pub(super) fn all() -> Value {
    let chat = text("The chat, as the message has it.");
    json!([
        {
            "name": "reply",
            "description": "Send a message to the people of the channel. It is all that they see.",
            "inputSchema": { "type": "object", "properties": {
                "text": text("What it says."),
                "reply_to": text("The message that it answers, when that is not the last one."),
                "files": { "type": "array", "items": { "type": "string" }, "description": "Files that go with it, by their whole paths." },
                "chat_id": chat,
            } },
        },
        {
            "name": "react",
            "description": "Put an emoji on a message.",
            "inputSchema": { "type": "object", "required": ["message_id", "emoji"], "properties": {
                "message_id": text("The message."), "emoji": text("The emoji."), "chat_id": chat,
            } },
        },
        {
            "name": "edit_message",
            "description": "Change a message that you have sent. Nobody is notified.",
            "inputSchema": { "type": "object", "required": ["message_id", "text"], "properties": {
                "message_id": text("The message."), "text": text("What it shall say."), "chat_id": chat,
            } },
        },
        {
            "name": "download_attachment",
            "description": "Fetch a file that came with a message. Answers its path.",
            "inputSchema": { "type": "object", "required": ["file_id"], "properties": {
                "file_id": text("The attachment_file_id of the message."),
            } },
        },
    ])
}

fn result(text: &str, is_error: bool) -> Value {
    let mut result = json!({ "content": [{ "type": "text", "text": text }] });
    if is_error {
        result["isError"] = json!(true);
    }
    result
}

/// Calls one.
pub(super) async fn call(session: &Session, params: &Value) -> Value {
    let name = params["name"].as_str().unwrap_or_default();
    let (what, verb) = match name {
        "reply" => ("reply", "reply"),
        "react" => ("react", "react"),
        "edit_message" => ("edit", "edit"),
        "download_attachment" => ("download", "download"),
        other => return result(&format!("unknown tool: {other}"), true),
    };
    let mut body: Map<String, Value> = params["arguments"].as_object().cloned().unwrap_or_default();
    body.insert("channel".into(), json!(session.channel));
    match session.post(what, &Value::Object(body)).await {
        Err(problem) => result(&format!("{verb} failed: {problem}"), true),
        Ok(answer) => result(&words(what, &answer), false),
    }
}

/// What a session reads of an answer.
fn words(what: &str, answer: &Value) -> String {
    match what {
        "reply" => {
            let sent = answer["sent"].as_array().cloned().unwrap_or_default();
            let ids: Vec<&str> = sent.iter().filter_map(Value::as_str).collect();
            let word = if ids.len() == 1 { "id" } else { "ids" };
            format!("sent {} part(s) ({word}: {})", ids.len(), ids.join(", "))
        }
        "react" => "reacted".into(),
        "edit" => "edited".into(),
        _ => answer["path"].as_str().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn answers_are_told_in_the_words_that_clients_know() {
        for (what, answer, expected) in [
            ("reply", json!({ "sent": ["7"] }), "sent 1 part(s) (id: 7)"),
            ("reply", json!({ "sent": ["7", "8"] }), "sent 2 part(s) (ids: 7, 8)"),
            ("react", json!({ "ok": true }), "reacted"),
            ("edit", json!({ "ok": true }), "edited"),
            ("download", json!({ "path": "/srv/a" }), "/srv/a"),
        ] {
            assert_eq!(words(what, &answer), expected);
        }
    }
}
