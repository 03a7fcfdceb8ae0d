//! What a program makes of the live events that it is told, by what `live.md` and `webhooks.md` say of them.

use serde_json::{Value, json};

/// Puts events together.
#[derive(Debug, Default)]
pub(super) struct Reader {
    text: String,
    thought: String,
    events: u64,
    tools: u64,
    /// Pieces of the present text were told already.
    streamed: bool,
    /// The next piece begins another block.
    gap: bool,
}

impl Reader {
    /// The next event.
    pub(super) fn take(&mut self, event: &Value) {
        self.events += 1;
        let (kind, text) = (event["kind"].as_str(), event["text"].as_str().unwrap_or_default());
        let is_own = event["parent"].is_null();
        match kind {
            Some("text_delta") => {
                self.streamed = true;
                self.say(text);
            }
            Some("text") if is_own => {
                if !std::mem::take(&mut self.streamed) {
                    self.say(text);
                }
                self.gap = true;
            }
            Some("thinking") if is_own => self.thought.push_str(text),
            Some("tool") => self.tools += 1,
            _ => {}
        }
    }

    fn say(&mut self, text: &str) {
        if std::mem::take(&mut self.gap) {
            self.text.push_str("\n\n");
        }
        self.text.push_str(text);
    }

    /// Whether a snapshot says the same.
    pub(super) fn is(&self, snapshot: &Value) -> bool {
        snapshot["text"] == json!(self.text)
            && snapshot["thought"] == json!(self.thought)
            && snapshot["eventCount"] == json!(self.events)
            && snapshot["toolCallCount"] == json!(self.tools)
    }
}
