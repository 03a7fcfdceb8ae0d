//! Lines of output, shaped as the CLI's.

use std::io::Write;

use serde_json::{Value, json};
use uuid::Uuid;

use super::args::Settings;
use super::ledger::Ledger;

/// US dollars for a token of input and of output.
const PRICE: (f64, f64) = (3e-6, 15e-6);
/// Tokens of input that each request has besides the prompt: the system prompt and the tools.
const BASE_TOKENS: u64 = 1000;

/// Counts like the CLI: over the life of the process.
#[derive(Default)]
struct Spent {
    input: u64,
    output: u64,
    /// US dollars besides the tokens.
    usd: f64,
}

pub(super) struct Output {
    session: Uuid,
    model: String,
    partial: bool,
    state_events: bool,
    lines: u64,
    messages: u64,
    spent: Spent,
    /// Spent since the last result.
    turn: Spent,
    ledger: Ledger,
}

impl Output {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            session: settings.session(),
            model: settings.model.clone(),
            partial: settings.partial,
            state_events: std::env::var_os("CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS").is_some_and(|value| value == "1"),
            lines: 0,
            messages: 0,
            spent: Spent::default(),
            turn: Spent::default(),
            ledger: Ledger::open(),
        }
    }

    /// Writes bytes and a line end. As the CLI, it goes on when nobody reads any more; false then.
    pub(super) fn raw(&mut self, bytes: &[u8]) -> bool {
        let mut stdout = std::io::stdout().lock();
        let written = stdout
            .write_all(bytes)
            .and_then(|()| stdout.write_all(b"\n"))
            .and_then(|()| stdout.flush());
        written.is_ok()
    }

    /// The identity of the next line of the session.
    pub(super) fn next_id(&self) -> Uuid {
        Uuid::new_v5(&self.session, &self.lines.to_be_bytes())
    }

    /// Writes a line of a session; false when nobody reads any more.
    pub(super) fn line(&mut self, mut line: Value) -> bool {
        line["session_id"] = json!(self.session);
        line["uuid"] = json!(self.next_id());
        self.lines += 1;
        self.raw(line.to_string().as_bytes())
    }

    pub(super) fn answer(&mut self, id: &str, answer: Result<Value, String>) {
        let response = match answer {
            Ok(response) => json!({"subtype": "success", "request_id": id, "response": response}),
            Err(error) => json!({"subtype": "error", "request_id": id, "error": error}),
        };
        self.raw(
            json!({"type": "control_response", "response": response})
                .to_string()
                .as_bytes(),
        );
    }

    pub(super) fn state(&mut self, state: &str) {
        if self.state_events {
            self.line(json!({"type": "system", "subtype": "session_state_changed", "state": state}));
        }
    }

    pub(super) fn init(&mut self) {
        let cwd = std::env::current_dir().unwrap_or_default();
        let model = self.model.clone();
        self.line(json!({
            "type": "system", "subtype": "init", "cwd": cwd, "tools": ["Bash"], "mcp_servers": [], "model": model,
            "permissionMode": "default", "slash_commands": [], "apiKeySource": "none", "output_style": "default",
            "claude_code_version": env!("CARGO_PKG_VERSION"), "agents": [], "skills": [], "plugins": [],
        }));
    }

    /// Begins a message of the model and counts its request. Returns its id.
    pub(super) fn message_start(&mut self, prompt: &str) -> String {
        self.messages += 1;
        let tokens = BASE_TOKENS + tokens(prompt);
        self.spent.input += tokens;
        self.turn.input += tokens;
        let id = format!("msg_stand_in_{}", self.messages);
        let message = json!({
            "id": id, "type": "message", "role": "assistant", "model": self.model, "content": [],
            "usage": {"input_tokens": tokens, "output_tokens": 1},
        });
        self.partial(&json!({"type": "message_start", "message": message}));
        id
    }

    /// One whole block; `made` is what the model wrote for it.
    pub(super) fn block(&mut self, id: &str, block: &Value, made: &str) {
        let tokens = tokens(made);
        self.spent.output += tokens;
        self.turn.output += tokens;
        let model = self.model.clone();
        self.assistant(id, &model, block, None);
    }

    pub(super) fn message_end(&mut self, stop_reason: &str) {
        self.partial(&json!({"type": "content_block_stop", "index": 0}));
        self.partial(&json!({"type": "message_delta", "delta": {"stop_reason": stop_reason}, "usage": {"output_tokens": self.turn.output}}));
        self.partial(&json!({"type": "message_stop"}));
    }

    /// A message that the CLI itself makes for a failure.
    pub(super) fn synthetic(&mut self, text: &str, error: &str) {
        self.messages += 1;
        let id = format!("msg_stand_in_{}", self.messages);
        self.assistant(&id, "<synthetic>", &json!({"type": "text", "text": text}), Some(error));
    }

    fn assistant(&mut self, id: &str, model: &str, block: &Value, error: Option<&str>) {
        let message = json!({
            "id": id, "type": "message", "role": "assistant", "model": model, "content": [block],
            "stop_reason": null, "usage": {"input_tokens": 1, "output_tokens": 1},
        });
        let mut line = json!({"type": "assistant", "message": message, "parent_tool_use_id": null});
        if let Some(error) = error {
            line["error"] = json!(error);
        }
        self.line(line);
    }

    pub(super) fn user(&mut self, block: &Value) {
        let message = json!({"role": "user", "content": [block]});
        self.line(json!({"type": "user", "message": message, "parent_tool_use_id": null}));
    }

    /// A raw event of the API, when such were asked for.
    pub(super) fn partial(&mut self, event: &Value) {
        if self.partial {
            self.line(json!({"type": "stream_event", "event": event, "parent_tool_use_id": null}));
        }
    }

    /// Spends money besides the tokens.
    pub(super) fn spend(&mut self, usd: f64) {
        self.spent.usd += usd;
        self.spent.input = self.spent.input.max(1);
    }

    /// US dollars, as the process has spent them until now.
    pub(super) fn cost(&self) -> f64 {
        cost(&self.spent)
    }

    /// A result with the fields of `fields` and the account.
    pub(super) fn result(&mut self, fields: &Value) {
        let mut line = json!({
            "type": "result", "subtype": "success", "is_error": false, "num_turns": 1, "stop_reason": null,
            "duration_ms": 1, "duration_api_ms": 1, "permission_denials": [], "total_cost_usd": cost(&self.spent),
            "usage": {
                "input_tokens": self.turn.input, "output_tokens": self.turn.output,
                "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0,
            },
            "modelUsage": {},
        });
        if self.spent.input > 0 {
            line["modelUsage"][&self.model] = json!({
                "inputTokens": self.spent.input, "outputTokens": self.spent.output, "cacheReadInputTokens": 0,
                "cacheCreationInputTokens": 0, "webSearchRequests": 0, "costUSD": cost(&self.spent),
            });
        }
        for (name, value) in fields.as_object().into_iter().flatten() {
            line[name] = value.clone();
        }
        self.turn = Spent::default();
        if self.line(line) {
            let Spent { input, output, .. } = self.spent;
            self.ledger
                .reported(&json!({"input": input, "output": output, "usd": self.cost()}));
        }
    }
}

fn tokens(text: &str) -> u64 {
    u64::try_from(text.len() / 4).unwrap_or(u64::MAX).saturating_add(1)
}

fn cost(spent: &Spent) -> f64 {
    // Token counts are far below 2^52, so nothing is lost.
    #[expect(clippy::cast_precision_loss)]
    let (input, output) = (spent.input as f64, spent.output as f64);
    input * PRICE.0 + output * PRICE.1 + spent.usd
}
