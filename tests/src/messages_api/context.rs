use http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;

/// A rough number of bytes a token, as good as any for a double: tokens must only grow with the context.
const BYTES_PER_TOKEN: usize = 4;
/// The CLI writes this where a person stopped a turn; what came before belongs to the stopped turn.
const INTERRUPTED: &str = "[Request interrupted by user";

/// A request's body, as far as the double reads it.
#[derive(Debug, Deserialize)]
pub(super) struct Body {
    pub(super) model: Option<String>,
    max_tokens: Option<u64>,
    messages: Option<Vec<Message>>,
    #[serde(default)]
    pub(super) stream: bool,
    #[serde(default)]
    system: Value,
    #[serde(default)]
    tools: Value,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Debug, Deserialize)]
struct Message {
    role: String,
    content: Content,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Blocks(Vec<Block>),
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text {
        text: String,
    },
    ToolUse {
        id: String,
    },
    ToolResult {
        tool_use_id: String,
        #[serde(default)]
        content: Value,
    },
    #[serde(other)]
    Other,
}

#[derive(Debug, Default, Deserialize)]
struct Metadata {
    user_id: Option<String>,
}

/// What the double knows of the conversation behind a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Context {
    /// The CLI's session id.
    pub(super) session: Option<String>,
    /// The texts of the system prompt.
    pub(super) system: String,
    /// Entries of `messages`.
    pub(super) messages: usize,
    /// Texts that a user (or the CLI in the user's name) wrote, without reminders and tool results.
    pub(super) user_messages: usize,
    /// The last of them.
    pub(super) prompt: String,
    /// Tool results since then.
    pub(super) rounds: usize,
    /// The last of those.
    pub(super) tool_result: Option<String>,
    pub(super) input_tokens: usize,
}

impl Body {
    /// Applies the API's own rules, as far as a client can break them by accident. The error is the API's message.
    pub(super) fn context(&self, headers: &HeaderMap, needs_max_tokens: bool) -> Result<Context, String> {
        let required = |name: &str| format!("{name}: Field required");
        self.model.as_ref().ok_or_else(|| required("model"))?;
        if needs_max_tokens {
            self.max_tokens.ok_or_else(|| required("max_tokens"))?;
        }
        let messages = self.messages.as_ref().ok_or_else(|| required("messages"))?;
        if messages.is_empty() {
            return Err("messages: at least one message is required".to_owned());
        }
        let mut context = Context {
            session: self.session(headers),
            system: texts(&self.system),
            messages: messages.len(),
            ..Context::default()
        };
        let mut bytes = self.system.to_string().len() + self.tools.to_string().len();
        let mut pending: Vec<&str> = Vec::new();
        for (index, message) in messages.iter().enumerate() {
            let blocks = message.blocks(index)?;
            bytes += blocks.iter().map(BlockRef::bytes).sum::<usize>();
            if message.role == "user" {
                settle(&mut pending, &blocks, index)?;
                blocks.iter().for_each(|block| context.take(block));
            } else if message.role == "assistant" {
                settle(&mut pending, &[], index)?;
                pending.extend(blocks.iter().filter_map(|block| match block {
                    BlockRef::ToolUse(id) => Some(*id),
                    _ => None,
                }));
            }
        }
        settle(&mut pending, &[], messages.len())?;
        context.input_tokens = bytes / BYTES_PER_TOKEN;
        Ok(context)
    }

    /// The CLI names its session in a header and in `metadata.user_id`.
    fn session(&self, headers: &HeaderMap) -> Option<String> {
        if let Some(session) = headers
            .get("x-claude-code-session-id")
            .and_then(|value| value.to_str().ok())
        {
            return Some(session.to_owned());
        }
        let user: Value = serde_json::from_str(self.metadata.user_id.as_deref()?).ok()?; // silent-ok: any text is legal here
        Some(user.get("session_id")?.as_str()?.to_owned())
    }
}

/// Every tool use must have its result in the next message, and every result its use in the one before.
fn settle(pending: &mut Vec<&str>, blocks: &[BlockRef<'_>], index: usize) -> Result<(), String> {
    for block in blocks {
        if let BlockRef::ToolResult(id, _) = block {
            let known = pending.iter().position(|pending| pending == id);
            let known = known.ok_or_else(|| {
                format!(
                    "messages.{index}: unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each `tool_result` \
                     block must have a corresponding `tool_use` block in the previous message."
                )
            })?;
            pending.swap_remove(known);
        }
    }
    if pending.is_empty() {
        return Ok(());
    }
    Err(format!(
        "messages.{}: `tool_use` ids were found without `tool_result` blocks immediately after: {}.",
        index.saturating_sub(1),
        pending.join(", ")
    ))
}

/// A content block without its owner; a plain string is one text.
enum BlockRef<'a> {
    Text(&'a str),
    ToolUse(&'a str),
    ToolResult(&'a str, &'a Value),
    Other,
}

impl BlockRef<'_> {
    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::ToolResult(_, content) => content.to_string().len(),
            Self::ToolUse(_) | Self::Other => 0,
        }
    }
}

impl Message {
    fn blocks(&self, index: usize) -> Result<Vec<BlockRef<'_>>, String> {
        if !matches!(self.role.as_str(), "user" | "assistant" | "system") {
            return Err(format!("messages.{index}.role: Input should be 'user' or 'assistant'"));
        }
        let blocks: Vec<_> = match &self.content {
            Content::Text(text) => vec![BlockRef::Text(text)],
            Content::Blocks(blocks) => blocks
                .iter()
                .map(|block| match block {
                    Block::Text { text } => BlockRef::Text(text),
                    Block::ToolUse { id } => BlockRef::ToolUse(id),
                    Block::ToolResult { tool_use_id, content } => BlockRef::ToolResult(tool_use_id, content),
                    Block::Other => BlockRef::Other,
                })
                .collect(),
        };
        if blocks.iter().any(|block| matches!(block, BlockRef::Text(""))) {
            return Err("messages: text content blocks must be non-empty".to_owned());
        }
        Ok(blocks)
    }
}

impl Context {
    fn take(&mut self, block: &BlockRef<'_>) {
        match block {
            BlockRef::Text(text) => {
                let text = without_reminders(text);
                let text = text.trim();
                if !text.is_empty() && !text.starts_with(INTERRUPTED) {
                    self.user_messages += 1;
                    text.clone_into(&mut self.prompt);
                    self.rounds = 0;
                    self.tool_result = None;
                }
            }
            BlockRef::ToolResult(_, content) => {
                self.rounds += 1;
                self.tool_result = Some(texts(content));
            }
            BlockRef::ToolUse(_) | BlockRef::Other => {}
        }
    }
}

/// The text of a tool result or a system prompt: a string, or the texts among its blocks.
fn texts(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let texts: Vec<_> = blocks.iter().filter_map(|block| block.get("text")?.as_str()).collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}

/// The CLI wraps what it adds to a prompt in these marks.
fn without_reminders(text: &str) -> String {
    const OPEN: &str = "<system-reminder>";
    const CLOSE: &str = "</system-reminder>";
    let mut kept = String::new();
    let mut rest = text;
    while let Some(open) = rest.find(OPEN) {
        let Some(close) = rest[open..].find(CLOSE) else { break };
        kept.push_str(&rest[..open]);
        rest = &rest[open + close + CLOSE.len()..];
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    fn context(messages: &Value) -> Result<Context, String> {
        let body = json!({"model": "m", "max_tokens": 1, "messages": messages});
        let body: Body = serde_json::from_value(body).expect("a body");
        body.context(&HeaderMap::new(), true)
    }

    #[test]
    fn the_prompt_is_the_last_text_of_the_user() {
        let found = context(&json!([
            {"role": "user", "content": "old [[error 401]]"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t0", "name": "Bash", "input": {}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t0", "content": "stopped"},
                {"type": "text", "text": "[Request interrupted by user for tool use]"},
                {"type": "text", "text": "<system-reminder>today</system-reminder>\n new prompt"},
                {"type": "text", "text": "<system-reminder>later</system-reminder>"}]},
            {"role": "system", "content": "agents: none"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": "x"},
                {"type": "tool_use", "id": "t1", "name": "Bash", "input": {}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "hi"}]}]},
        ]));
        let expected = Context {
            session: None,
            system: String::new(),
            messages: 6,
            user_messages: 2,
            prompt: "new prompt".to_owned(),
            rounds: 1,
            tool_result: Some("hi".to_owned()),
            input_tokens: 52,
        };
        assert_eq!(found, Ok(expected));
    }

    #[test]
    fn broken_conversations_get_the_apis_message() {
        let tool_use =
            json!({"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "B", "input": {}}]});
        let result = json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t2"}]});
        let cases = [
            (json!([]), "messages: at least one message is required"),
            (
                json!([{"role": "bot", "content": "x"}]),
                "messages.0.role: Input should be 'user' or 'assistant'",
            ),
            (
                json!([{"role": "user", "content": ""}]),
                "messages: text content blocks must be non-empty",
            ),
            (
                json!([tool_use, {"role": "user", "content": "go on"}]),
                "messages.0: `tool_use` ids were found without `tool_result` blocks immediately after: t1.",
            ),
            (
                json!([tool_use]),
                "messages.0: `tool_use` ids were found without `tool_result` blocks immediately after: t1.",
            ),
            (
                json!([{"role": "user", "content": "x"}, result]),
                "messages.1: unexpected `tool_use_id` found in `tool_result` blocks: t2. Each `tool_result` block must \
                 have a corresponding `tool_use` block in the previous message.",
            ),
        ];
        for (messages, message) in cases {
            assert_eq!(context(&messages), Err(message.to_owned()));
        }
    }
}
