//! What a turn has told so far, put together; and its events in the words of the Agent Client Protocol (ACP), for the
//! supervisor profile.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Most bytes of `text`; more loses its beginning.
const TEXT_BYTES: usize = 128 << 10;
/// Most bytes of `thought`.
const THOUGHT_BYTES: usize = 32 << 10;
/// Most tool calls; the latest are kept.
const CALLS: usize = 200;
/// Most characters of a title.
const TITLE_CHARS: usize = 200;

/// A tool call in a [`Snapshot`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// Identity of the call.
    pub tool_call_id: String,
    /// What it is, for people.
    pub title: String,
    /// Kind of ACP; `other` unless the agent says so.
    pub kind: String,
    /// `pending`, `in_progress`, `completed` or `failed`.
    pub status: String,
}

/// A pure fold of all events of a turn up to a report. Bounded: about 256 KiB.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Version of this shape.
    pub v: u32,
    /// The session, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// The text of the answer so far: all chunks, one behind the other.
    pub text: String,
    /// The beginning of `text` was left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub text_truncated: bool,
    /// The thinking so far; loses its beginning likewise.
    pub thought: String,
    /// The latest tool calls.
    pub tool_calls: Vec<Call>,
    /// All tool calls.
    pub tool_call_count: u64,
    /// The plan as ACP has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Value>,
    /// All events of the daemon.
    pub event_count: u64,
    /// Those that have a form in ACP.
    pub notification_count: u64,
}

/// The fold itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fold {
    pub(crate) snapshot: Snapshot,
    /// Pieces of the present text were told already.
    streamed: bool,
    /// The next piece begins another block.
    gap: bool,
}

fn keep_end(text: &mut String, most: usize) -> bool {
    if text.len() <= most {
        return false;
    }
    let mut cut = text.len() - most;
    while !text.is_char_boundary(cut) {
        cut += 1;
    }
    text.drain(..cut);
    true
}

fn field<'a>(event: &'a Value, name: &str) -> &'a str {
    event.get(name).and_then(Value::as_str).unwrap_or("")
}

impl Fold {
    /// Takes an event in. Answers its form in ACP, when it has one: its own, when it is one of ACP.
    pub(crate) fn apply(&mut self, raw: &RawValue) -> Option<Box<RawValue>> {
        self.snapshot.v = 1;
        self.snapshot.event_count += 1;
        // silent-ok: it is JSON, and what cannot be held (a number too large) is passed on as it is.
        let event: Value = serde_json::from_str(raw.get()).unwrap_or_default();
        let told = if event.pointer("/update/sessionUpdate").is_some() {
            if let Some(session) = event.get("sessionId").and_then(Value::as_str) {
                self.snapshot.session_id = Some(session.to_owned());
            }
            self.update(&event["update"]);
            Some(raw.to_owned())
        } else {
            let update = self.translate(&event)?;
            self.update(&update);
            let session = self.snapshot.session_id.as_deref().unwrap_or("");
            let notification = json!({"sessionId": session, "update": update});
            serde_json::value::to_raw_value(&notification).ok() // silent-ok: a value is always JSON
        };
        self.snapshot.notification_count += 1;
        told
    }

    /// An update of ACP that says the same as an event of the daemon.
    fn translate(&mut self, event: &Value) -> Option<Value> {
        let of_sub_agent = event.get("parent").is_some_and(|parent| !parent.is_null());
        match field(event, "kind") {
            "init" => {
                self.snapshot.session_id = Some(field(event, "session").to_owned());
                None
            }
            "text_delta" => {
                self.streamed = true;
                Some(self.chunk(field(event, "text")))
            }
            "text" if !of_sub_agent => {
                let told = std::mem::take(&mut self.streamed);
                let update = (!told).then(|| self.chunk(field(event, "text")));
                self.gap = true;
                update
            }
            "thinking" if !of_sub_agent => Some(json!({"sessionUpdate": "agent_thought_chunk",
                "content": {"type": "text", "text": field(event, "text")}})),
            "tool" => Some(json!({"sessionUpdate": "tool_call", "toolCallId": field(event, "id"),
                "title": field(event, "tool"), "kind": "other", "status": "pending",
                "rawInput": event.get("input").cloned().unwrap_or_default()})),
            "tool_result" => {
                let failed = event.get("ok") == Some(&Value::Bool(false));
                let content =
                    json!([{"type": "content", "content": {"type": "text", "text": field(event, "preview")}}]);
                Some(
                    json!({"sessionUpdate": "tool_call_update", "toolCallId": field(event, "id"),
                    "status": if failed { "failed" } else { "completed" }, "content": content}),
                )
            }
            _ => None,
        }
    }

    fn chunk(&mut self, text: &str) -> Value {
        let gap = if std::mem::take(&mut self.gap) { "\n\n" } else { "" };
        json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": format!("{gap}{text}")}})
    }

    fn update(&mut self, update: &Value) {
        let text = update.pointer("/content/text").and_then(Value::as_str).unwrap_or("");
        let snapshot = &mut self.snapshot;
        match field(update, "sessionUpdate") {
            "agent_message_chunk" => {
                snapshot.text.push_str(text);
                snapshot.text_truncated |= keep_end(&mut snapshot.text, TEXT_BYTES);
            }
            "agent_thought_chunk" => {
                snapshot.thought.push_str(text);
                keep_end(&mut snapshot.thought, THOUGHT_BYTES);
            }
            "tool_call" => {
                let or = |name: &str, other: &str| {
                    let found: String = field(update, name).chars().take(TITLE_CHARS).collect();
                    if found.is_empty() { other.to_owned() } else { found }
                };
                snapshot.tool_call_count += 1;
                snapshot.tool_calls.push(Call {
                    tool_call_id: or("toolCallId", ""),
                    title: or("title", ""),
                    kind: or("kind", "other"),
                    status: or("status", "pending"),
                });
                if snapshot.tool_calls.len() > CALLS {
                    snapshot.tool_calls.remove(0);
                }
            }
            "tool_call_update" => {
                let id = field(update, "toolCallId");
                if let Some(call) = snapshot
                    .tool_calls
                    .iter_mut()
                    .rev()
                    .find(|call| call.tool_call_id == id)
                {
                    for (name, place) in [
                        ("title", &mut call.title),
                        ("kind", &mut call.kind),
                        ("status", &mut call.status),
                    ] {
                        if let Some(new) = update.get(name).and_then(Value::as_str) {
                            *place = new.chars().take(TITLE_CHARS).collect();
                        }
                    }
                }
            }
            "plan" => {
                let small = update
                    .get("entries")
                    .filter(|entries| entries.to_string().len() <= THOUGHT_BYTES);
                snapshot.plan = small.cloned();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn raw(value: &Value) -> Box<RawValue> {
        serde_json::value::to_raw_value(value).unwrap()
    }

    #[test]
    fn notifications_say_what_the_events_said() {
        let events = [
            json!({"kind": "init", "session": "s"}),
            json!({"kind": "text_delta", "text": "He"}),
            json!({"kind": "text_delta", "text": "llo"}),
            json!({"kind": "text", "text": "Hello"}),
            json!({"kind": "tool", "id": "t1", "tool": "Bash", "input": "{}"}),
            json!({"kind": "text", "text": "aside", "parent": "t1"}),
            json!({"kind": "tool_result", "id": "t1", "ok": false, "preview": "no"}),
            json!({"kind": "notice", "text": "n"}),
            json!({"kind": "text", "text": "Bye"}),
        ];
        let (mut fold, mut again) = (Fold::default(), Fold::default());
        let notifications: Vec<_> = events.iter().filter_map(|event| fold.apply(&raw(event))).collect();
        assert_eq!(
            (fold.snapshot.text.as_str(), fold.snapshot.event_count),
            ("Hello\n\nBye", 9)
        );
        assert_eq!(fold.snapshot.tool_calls[0].status, "failed");
        for notification in &notifications {
            // One of ACP is passed on as it is.
            assert_eq!(again.apply(notification).unwrap().get(), notification.get());
        }
        again.snapshot.event_count = 9;
        assert_eq!(again.snapshot, fold.snapshot);
        let unknown = r#"{"sessionId":"s","update":{"sessionUpdate":"later","n":1e21,"x":null,"x":2}}"#;
        assert_eq!(
            fold.apply(&RawValue::from_string(unknown.into()).unwrap())
                .unwrap()
                .get(),
            unknown
        );
    }

    #[test]
    fn a_snapshot_is_bounded_and_is_found_again_as_it_was() {
        let mut fold = Fold::default();
        for number in 0..300 {
            fold.apply(&raw(&json!({"kind": "text_delta", "text": "é".repeat(1000)})));
            fold.apply(&raw(&json!({"kind": "thinking", "text": "x".repeat(1000)})));
            fold.apply(&raw(
                &json!({"kind": "tool", "id": format!("{number}"), "tool": "T".repeat(1000)}),
            ));
        }
        let text = serde_json::to_string(&fold).unwrap();
        assert!(text.len() < 256 << 10, "{}", text.len());
        assert!(fold.snapshot.text_truncated && fold.snapshot.tool_call_count == 300);
        assert_eq!(serde_json::from_str::<Fold>(&text).unwrap(), fold);
    }
}
