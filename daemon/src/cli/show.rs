//! Live events as lines of a terminal.

use serde_json::Value;

use super::output::{note, one_line, piece, safe};

/// Characters of a tool's input or output that a line shows.
const LINE_CHARS: usize = 160;

/// Prints the events of turns on stderr.
#[derive(Default)]
pub(super) struct Show {
    /// Text was printed without a line end.
    open: bool,
    /// The present block was printed as it came.
    streamed: bool,
    /// Said before each line.
    prefix: String,
}

impl Show {
    /// Lines begin with `name`.
    pub(super) fn with_prefix(name: &str) -> Self {
        Self {
            prefix: format!("{name}: "),
            ..Self::default()
        }
    }

    fn line(&mut self, text: &str) {
        if std::mem::take(&mut self.open) {
            note("");
        }
        note(&format!("{}{text}", self.prefix));
    }

    fn undelivered(&mut self, event: &Value) {
        if event["undelivered"] == Value::Bool(true) {
            self.line(
                "· the vault does not take it now; it is kept and delivered by itself (`reveille undelivered list`)",
            );
        }
    }

    /// One event.
    pub(super) fn event(&mut self, event: &Value) {
        let text = |key: &str| event[key].as_str().unwrap_or_default();
        let brief = |key: &str| one_line(text(key), LINE_CHARS);
        match text("kind") {
            "queued" => match event["position"].as_u64() {
                Some(0) | None => self.line("· accepted"),
                Some(position) => self.line(&format!("· accepted, {position} before it")),
            },
            "waiting" => self.line(&waiting(event)),
            "started" => self.line("· the agent works"),
            "init" => self.line(&format!("· session {} {}", brief("session"), brief("model"))),
            "text_delta" => {
                if !std::mem::replace(&mut self.open, true) {
                    piece(&self.prefix);
                }
                self.streamed = true;
                piece(&safe(text("text")));
            }
            // Said already, piece by piece.
            "text" if std::mem::take(&mut self.streamed) => {}
            "text" => self.line(&safe(text("text"))),
            "tool" => self.line(&format!("→ {} {}", brief("tool"), brief("input"))),
            "tool_result" => {
                let mark = if event["ok"] == Value::Bool(false) {
                    "✗"
                } else {
                    "←"
                };
                self.line(&format!("{mark} {}", brief("preview")));
            }
            "retry" => self.line(&format!(
                "· the API refused ({}), try {}",
                brief("error"),
                event["attempt"]
            )),
            "notice" => self.line(&format!("· {}", brief("text"))),
            "done" => {
                let cost = event["cost_usd"].as_f64().unwrap_or(0.0);
                self.line(&format!("· done, ${cost:.4}"));
                self.undelivered(event);
            }
            "error" => {
                self.line(&format!(
                    "✗ {} ({}) {}",
                    brief("error"),
                    brief("code"),
                    brief("next_step")
                ));
                self.undelivered(event);
            }
            "stopped" => self.line("· stopped"),
            "delivered" => self.line("· delivered: the vault has it now"),
            _ => {}
        }
    }
}

/// How a message waits that was held, let go, moved or edited.
fn waiting(event: &Value) -> String {
    let place = match (event["held"].as_bool(), event["position"].as_u64()) {
        (Some(true), _) => "held back".to_owned(),
        (_, Some(0) | None) => "next in its conversation".to_owned(),
        (_, Some(position)) => format!("{position} before it"),
    };
    let text = one_line(event["text"].as_str().unwrap_or_default(), LINE_CHARS);
    format!("· waits, {place}: {text}")
}
