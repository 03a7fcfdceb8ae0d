//! Reading what the CLI says. Knows nothing of processes or clocks, and is never brought down by a line: unknown types,
//! missing fields and noise are passed over.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;
use uuid::Uuid;

use super::content::{content_blocks, dollars, input_text, number, result_text, text_at};
use super::redact::Redactor;
use crate::turn::{Event, Usage};

/// What a line means for the run of the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Signal {
    /// Nothing.
    None,
    /// The answer to the control request of this id.
    Answer(String),
    /// A result was read.
    Result,
    /// The CLI has nothing more to do.
    Idle,
}

/// One `result` line, as far as it bears on the verdict.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ResultLine {
    pub(super) subtype: String,
    pub(super) is_error: bool,
    pub(super) terminal_reason: Option<String>,
    pub(super) status: Option<u16>,
    pub(super) stop_reason: Option<String>,
    pub(super) text: Option<String>,
    pub(super) errors: Vec<String>,
}

impl ResultLine {
    /// `subtype` alone says nothing: an API failure has `success` too.
    pub(super) fn is_success(&self) -> bool {
        self.subtype == "success" && !self.is_error && !self.is_aborted()
    }

    pub(super) fn is_aborted(&self) -> bool {
        self.terminal_reason
            .as_deref()
            .is_some_and(|reason| reason.starts_with("aborted"))
    }
}

/// A text block of the main conversation.
#[derive(Debug)]
struct Block {
    message: String,
    text: String,
}

/// What a process has counted until its last result: it counts over its life.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Counted {
    /// Tokens and US dollars by model.
    models: BTreeMap<String, (Usage, f64)>,
    /// US dollars, by its own sum.
    usd: f64,
}

/// All that was learned from the lines of one turn.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// What the process had counted before.
    before: Counted,
    /// What it has counted by now.
    counted: Counted,
    /// The identity of the last text of the main conversation, under which the CLI stores it.
    pub(super) said: Option<String>,
    /// The session of the newest `init`.
    pub(super) session: Option<Uuid>,
    /// The model of the newest `init`.
    pub(super) model: Option<String>,
    /// The model of the last message of the main conversation: another one may have stepped in.
    answered_by: Option<String>,
    /// A success if there was one, else the last.
    pub(super) result: Option<ResultLine>,
    /// The CLI's word for the failure of the main conversation.
    pub(super) error: Option<String>,
    /// Status and word of the last refused request.
    pub(super) retry: Option<(Option<u16>, String)>,
    pub(super) usage: Usage,
    pub(super) cost_usd: f64,
    pub(super) models: Vec<String>,
    pub(super) tools_ran: bool,
    /// Whether a line came at all.
    pub(super) spoke: bool,
    blocks: Vec<Block>,
    /// Text of the block that is being made.
    open: String,
    /// The streamed message that has begun and not ended.
    unfinished: Option<String>,
    names: HashMap<String, String>,
    running: HashSet<String>,
    /// What tools must not show.
    redactor: Redactor,
}

impl Stream {
    /// Of a process that has counted that in earlier turns. Secrets are taken out of what goes into tools and comes out of them.
    pub(super) fn after(before: Counted, redactor: Redactor) -> Self {
        Self {
            counted: before.clone(),
            before,
            redactor,
            ..Self::default()
        }
    }

    /// What the process has counted by now.
    pub(super) fn counted(&self) -> &Counted {
        &self.counted
    }

    /// Whether a tool call waits for its answer.
    pub(super) fn tool_runs(&self) -> bool {
        !self.running.is_empty()
    }

    /// The text of the main conversation so far, the block that is being made included.
    pub(super) fn text(&self) -> String {
        let open = Some(self.open.as_str()).filter(|open| !open.is_empty());
        self.blocks
            .iter()
            .map(|block| block.text.as_str())
            .chain(open)
            .collect::<Vec<_>>()
            .join("\n\n")
    }

    /// Takes one line and tells what happened.
    pub(super) fn line(&mut self, line: &[u8], emit: &mut dyn FnMut(Event)) -> Signal {
        let Ok(line) = serde_json::from_slice::<Value>(line) else {
            // silent-ok: hooks and libraries write noise to stdout; it is shown to whoever looks for it.
            tracing::debug!(bytes = line.len(), "a line of the CLI is no JSON");
            self.spoke |= !line.trim_ascii().is_empty();
            return Signal::None;
        };
        self.spoke = true;
        match text_at(&line, "type") {
            Some("system") => self.system(&line, emit),
            Some("assistant") => self.assistant(&line, emit),
            Some("user") => self.user(&line, emit),
            Some("stream_event") => self.partial(&line, emit),
            Some("rate_limit_event") => rate_limit(&line, emit),
            Some("control_response") => {
                let id = line
                    .get("response")
                    .and_then(|response| text_at(response, "request_id"));
                return id.map_or(Signal::None, |id| Signal::Answer(id.to_owned()));
            }
            Some("result") => {
                self.take_result(&line);
                return Signal::Result;
            }
            _ => {}
        }
        if text_at(&line, "subtype") == Some("session_state_changed") && text_at(&line, "state") == Some("idle") {
            return Signal::Idle;
        }
        Signal::None
    }

    fn system(&mut self, line: &Value, emit: &mut dyn FnMut(Event)) {
        match text_at(line, "subtype") {
            Some("init") => self.init(line, emit),
            Some("api_retry") => {
                let status = line
                    .get("error_status")
                    .and_then(Value::as_u64)
                    .and_then(|it| u16::try_from(it).ok());
                let error = text_at(line, "error").unwrap_or("unknown").to_owned();
                self.retry = Some((status, error.clone()));
                let small = |name| u32::try_from(number(line, name)).unwrap_or(u32::MAX);
                let (attempt, max) = (small("attempt"), small("max_retries"));
                emit(Event::Retry {
                    attempt,
                    max,
                    delay_ms: number(line, "retry_delay_ms"),
                    status,
                    error,
                });
            }
            Some("compact_boundary") => {
                let meta = line.get("compact_metadata").unwrap_or(&Value::Null);
                let (before, after) = (number(meta, "pre_tokens"), number(meta, "post_tokens"));
                let text = format!(
                    "The conversation was summarised to fit the model's window: {before} tokens became {after}. \
                     Details of what was said earlier may be lost."
                );
                emit(Event::Notice { text });
            }
            Some("status") if text_at(line, "compact_result") == Some("failed") => {
                let why = text_at(line, "compact_error").unwrap_or("no reason was given");
                emit(Event::Notice {
                    text: format!("The conversation could not be summarised: {why}."),
                });
            }
            Some("model_fallback") => {
                let part = |name| text_at(line, name).unwrap_or("another model");
                let text = match text_at(line, "content").filter(|content| !content.is_empty()) {
                    Some(content) => format!("{content}."),
                    None => format!(
                        "{} answers instead of {}.",
                        part("fallback_model"),
                        part("original_model")
                    ),
                };
                emit(Event::Notice { text });
            }
            Some("informational") => {
                if let Some(text) = text_at(line, "content").filter(|text| !text.is_empty()) {
                    emit(Event::Notice { text: text.to_owned() });
                }
            }
            _ => {}
        }
    }

    fn init(&mut self, line: &Value, emit: &mut dyn FnMut(Event)) {
        // silent-ok: the CLI takes nothing but UUIDs for sessions.
        let Some(session) = text_at(line, "session_id").and_then(|id| Uuid::parse_str(id).ok()) else {
            return;
        };
        if self.session == Some(session) {
            return;
        }
        self.session = Some(session);
        self.model = text_at(line, "model").map(str::to_owned);
        let version = text_at(line, "claude_code_version").map(str::to_owned);
        emit(Event::Init {
            session,
            model: self.model.clone(),
            version,
        });
        for server in line.get("mcp_servers").and_then(Value::as_array).into_iter().flatten() {
            let name = text_at(server, "name").unwrap_or("without a name");
            let trouble = match text_at(server, "status") {
                Some("failed") => "did not start",
                Some("needs-auth") => "asks for a sign-in",
                _ => continue,
            };
            emit(Event::Notice {
                text: format!("The tool server “{name}” {trouble}; its tools are missing in this turn."),
            });
        }
    }

    fn assistant(&mut self, line: &Value, emit: &mut dyn FnMut(Event)) {
        let parent = text_at(line, "parent_tool_use_id").map(str::to_owned);
        let message = line.get("message").unwrap_or(&Value::Null);
        if parent.is_none()
            && let Some(error) = text_at(line, "error")
        {
            self.error = Some(error.to_owned());
        }
        if text_at(message, "model") == Some("<synthetic>") {
            return;
        }
        let id = text_at(message, "id").unwrap_or_default();
        if parent.is_none() {
            self.drop_replaced(id);
            self.answered_by = text_at(message, "model").map(str::to_owned).or(self.answered_by.take());
        }
        for block in content_blocks(message) {
            match text_at(block, "type") {
                Some("text") => {
                    let Some(text) = text_at(block, "text").filter(|text| !text.is_empty()) else {
                        continue;
                    };
                    if parent.is_none() {
                        self.said = text_at(line, "uuid").map(str::to_owned);
                        self.open.clear();
                        self.blocks.push(Block {
                            message: id.to_owned(),
                            text: text.to_owned(),
                        });
                    }
                    emit(Event::Text {
                        text: text.to_owned(),
                        parent: parent.clone(),
                    });
                }
                Some("thinking") => {
                    let Some(text) = text_at(block, "thinking").filter(|text| !text.is_empty()) else {
                        continue;
                    };
                    emit(Event::Thinking {
                        text: text.to_owned(),
                        parent: parent.clone(),
                    });
                }
                Some("tool_use" | "server_tool_use") => self.tool(block, parent.as_ref(), emit),
                _ => {}
            }
        }
    }

    fn tool(&mut self, block: &Value, parent: Option<&String>, emit: &mut dyn FnMut(Event)) {
        let (Some(id), Some(tool)) = (
            text_at(block, "id"),
            text_at(block, "name").filter(|name| !name.is_empty()),
        ) else {
            return;
        };
        self.tools_ran = true;
        self.names.insert(id.to_owned(), tool.to_owned());
        if text_at(block, "type") == Some("tool_use") {
            self.running.insert(id.to_owned());
        }
        let (input, whole) = input_text(block, &self.redactor);
        emit(Event::Tool {
            id: id.to_owned(),
            tool: tool.to_owned(),
            input,
            whole,
            parent: parent.cloned(),
        });
    }

    fn user(&mut self, line: &Value, emit: &mut dyn FnMut(Event)) {
        let parent = text_at(line, "parent_tool_use_id").map(str::to_owned);
        for block in content_blocks(line.get("message").unwrap_or(&Value::Null)) {
            if text_at(block, "type") != Some("tool_result") {
                continue;
            }
            let Some(id) = text_at(block, "tool_use_id") else {
                continue;
            };
            self.running.remove(id);
            // A message whose tool has answered was taken: nothing replaces it any more.
            self.unfinished = None;
            let (preview, whole) = result_text(block, &self.redactor);
            emit(Event::ToolResult {
                id: id.to_owned(),
                tool: self.names.get(id).cloned(),
                ok: block.get("is_error").and_then(Value::as_bool).map(|is_error| !is_error),
                preview,
                whole,
                parent: parent.clone(),
            });
        }
    }

    /// Raw events of the API. Only text of the main conversation is shown piece by piece.
    fn partial(&mut self, line: &Value, emit: &mut dyn FnMut(Event)) {
        if text_at(line, "parent_tool_use_id").is_some() {
            return;
        }
        let event = line.get("event").unwrap_or(&Value::Null);
        match text_at(event, "type") {
            Some("message_start") => {
                let id = event
                    .get("message")
                    .and_then(|message| text_at(message, "id"))
                    .unwrap_or_default();
                self.drop_replaced(id);
                self.open.clear();
                self.unfinished = Some(id.to_owned());
            }
            Some("message_stop") => self.unfinished = None,
            Some("content_block_delta") => {
                let delta = event.get("delta").unwrap_or(&Value::Null);
                if text_at(delta, "type") != Some("text_delta") {
                    return;
                }
                if let Some(text) = text_at(delta, "text").filter(|text| !text.is_empty()) {
                    self.open.push_str(text);
                    emit(Event::TextDelta { text: text.to_owned() });
                }
            }
            _ => {}
        }
    }

    /// A request that broke in the middle is made again: what came of the first answer is replaced by the new message.
    fn drop_replaced(&mut self, new: &str) {
        if let Some(old) = self.unfinished.take_if(|old| old != new) {
            self.blocks.retain(|block| block.message != old);
            self.open.clear();
        }
    }

    fn take_result(&mut self, line: &Value) {
        let owned = |name| text_at(line, name).map(str::to_owned);
        let result = ResultLine {
            subtype: owned("subtype").unwrap_or_default(),
            is_error: line.get("is_error").and_then(Value::as_bool).unwrap_or_default(),
            terminal_reason: owned("terminal_reason"),
            status: line
                .get("api_error_status")
                .and_then(Value::as_u64)
                .and_then(|it| u16::try_from(it).ok()),
            stop_reason: owned("stop_reason"),
            text: owned("result"),
            errors: line
                .get("errors")
                .and_then(Value::as_array)
                .map(|errors| errors.iter().filter_map(Value::as_str).map(str::to_owned).collect())
                .unwrap_or_default(),
        };
        // A later result answers no message (a task of the CLI ended), so it cannot undo a success.
        if result.is_success() || !self.result.as_ref().is_some_and(ResultLine::is_success) {
            self.result = Some(result);
        }
        self.account(line);
    }

    /// `modelUsage` and `total_cost_usd` count the whole process, `usage` only one result, and not always that.
    fn account(&mut self, line: &Value) {
        let models: BTreeMap<&String, &Value> = line
            .get("modelUsage")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .collect();
        self.counted.usd = dollars(line, "total_cost_usd").unwrap_or(self.counted.usd);
        if models.is_empty() {
            let usage = line.get("usage").unwrap_or(&Value::Null);
            if self.models.is_empty() {
                let add = |sum: &mut u64, name| *sum = sum.saturating_add(number(usage, name));
                add(&mut self.usage.input_tokens, "input_tokens");
                add(&mut self.usage.output_tokens, "output_tokens");
                add(&mut self.usage.cache_read_tokens, "cache_read_input_tokens");
                add(&mut self.usage.cache_write_tokens, "cache_creation_input_tokens");
                self.cost_usd = more(self.counted.usd, self.before.usd);
            }
            return;
        }
        for (name, model) in models {
            let usage = Usage {
                input_tokens: number(model, "inputTokens"),
                output_tokens: number(model, "outputTokens"),
                cache_read_tokens: number(model, "cacheReadInputTokens"),
                cache_write_tokens: number(model, "cacheCreationInputTokens"),
            };
            let cost = dollars(model, "costUSD").unwrap_or_default();
            self.counted.models.insert(name.clone(), (usage, cost));
        }
        self.usage = Usage::default();
        self.models.clear();
        let mut cost = 0.0;
        for (name, (usage, usd)) in &self.counted.models {
            let Some((before, usd_before)) = self.before.models.get(name) else {
                self.usage = self.usage.plus(*usage);
                cost += usd;
                self.models.push(name.clone());
                continue;
            };
            let (usage, usd) = (since(*usage, *before), more(*usd, *usd_before));
            self.usage = self.usage.plus(usage);
            cost += usd;
            if usage != Usage::default() || usd > 0.0 {
                self.models.push(name.clone());
            }
        }
        self.cost_usd = cost.min(f64::MAX);
        let main = self
            .answered_by
            .as_deref()
            .or(self.model.as_deref())
            .unwrap_or_default();
        // The name in the account may have a suffix, such as that of a larger window.
        let is_main = |model: &String| !main.is_empty() && model.starts_with(main);
        if let Some(at) = self.models.iter().position(is_main) {
            self.models[..=at].rotate_right(1);
        }
    }
}

/// What came on top. An account that is smaller than before was begun anew.
fn more(now: f64, before: f64) -> f64 {
    if now < before { now } else { now - before }
}

/// The same of tokens.
fn since(now: Usage, before: Usage) -> Usage {
    let more = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now);
    Usage {
        input_tokens: more(now.input_tokens, before.input_tokens),
        output_tokens: more(now.output_tokens, before.output_tokens),
        cache_read_tokens: more(now.cache_read_tokens, before.cache_read_tokens),
        cache_write_tokens: more(now.cache_write_tokens, before.cache_write_tokens),
    }
}

fn rate_limit(line: &Value, emit: &mut dyn FnMut(Event)) {
    let info = line.get("rate_limit_info").unwrap_or(&Value::Null);
    if text_at(info, "status") == Some("allowed_warning") {
        let window = text_at(info, "rateLimitType").unwrap_or("current").replace('_', " ");
        emit(Event::Notice {
            text: format!("The account is close to its usage limit ({window})."),
        });
    }
}
