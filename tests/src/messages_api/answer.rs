use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::context::Context;
use super::script::Script;

/// Characters of the prompt that the default answer quotes.
const QUOTE: usize = 80;
/// Bytes of one text delta when no `[[slow]]` sets the pieces.
const DELTA: usize = 4096;
/// Base64 as the API's own signatures are; the CLI sends it back unread.
const SIGNATURE: &str = "c2lnbmF0dXJl";

/// One complete answer of the model.
#[derive(Debug)]
pub(super) struct Answer {
    id: String,
    model: String,
    blocks: Vec<Block>,
    stop_reason: &'static str,
    input_tokens: usize,
    /// Pause before each text delta.
    pause: Duration,
    pieces: Option<usize>,
}

#[derive(Debug)]
enum Block {
    Thinking(String),
    Text(String),
    ToolUse { id: String, name: String, input: Value },
}

/// Bytes of a stream and the pause before them.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) pause: Duration,
    pub(super) bytes: Bytes,
}

impl Answer {
    /// `number` makes ids unique within the double.
    pub(super) fn new(script: &Script, context: &Context, model: &str, number: usize) -> Self {
        let mut blocks = Vec::new();
        if context.rounds == 0 {
            blocks.extend(script.thinking.clone().map(Block::Thinking));
        }
        let tool = script.tools.get(context.rounds);
        let stop_reason = if let Some(tool) = tool {
            blocks.push(Block::Text(format!("I will use {}.", tool.name)));
            blocks.push(Block::ToolUse {
                id: format!("toolu_double_{number:06}"),
                name: tool.name.clone(),
                input: tool.input.clone(),
            });
            "tool_use"
        } else if script.refusal {
            "refusal"
        } else {
            blocks.push(Block::Text(
                script.reply.clone().unwrap_or_else(|| default_text(context)),
            ));
            "end_turn"
        };
        let (pieces, pause) = script
            .slow
            .map_or((None, Duration::ZERO), |(pieces, pause)| (Some(pieces), pause));
        let (model, input_tokens) = (model.to_owned(), context.input_tokens);
        Self {
            id: format!("msg_double_{number:06}"),
            model,
            blocks,
            stop_reason,
            input_tokens,
            pause,
            pieces,
        }
    }

    /// The time that a non-streaming client waits.
    pub(super) fn delay(&self) -> Duration {
        self.pieces
            .and_then(|pieces| u32::try_from(pieces).ok())
            .map_or(Duration::ZERO, |pieces| self.pause * pieces)
    }

    /// The body of a non-streaming answer.
    pub(super) fn message(&self) -> Value {
        let content: Vec<_> = self.blocks.iter().map(Block::whole).collect();
        self.envelope(&content, Some(self.stop_reason), self.output_tokens())
    }

    /// The server-sent events of a streaming answer.
    pub(super) fn frames(&self) -> Vec<Frame> {
        let mut frames = vec![
            frame(&json!({"type": "message_start", "message": self.envelope(&[], None, 1)})),
            frame(&json!({"type": "ping"})),
        ];
        for (index, block) in self.blocks.iter().enumerate() {
            frames.push(frame(
                &json!({"type": "content_block_start", "index": index, "content_block": block.empty()}),
            ));
            for delta in self.deltas(block) {
                let mut frame = frame(&json!({"type": "content_block_delta", "index": index, "delta": delta}));
                if matches!(block, Block::Text(_)) {
                    frame.pause = self.pause;
                }
                frames.push(frame);
            }
            frames.push(frame(&json!({"type": "content_block_stop", "index": index})));
        }
        frames.push(frame(&json!({
            "type": "message_delta",
            "delta": {"stop_reason": self.stop_reason, "stop_sequence": null},
            "usage": self.usage(self.output_tokens()),
        })));
        frames.push(frame(&json!({"type": "message_stop"})));
        frames
    }

    /// The first half of the events: enough for a client to have shown some text.
    pub(super) fn half(&self) -> Vec<Frame> {
        let mut frames = self.frames();
        frames.truncate(frames.len() / 2);
        frames
    }

    fn deltas(&self, block: &Block) -> Vec<Value> {
        match block {
            Block::Thinking(text) => vec![
                json!({"type": "thinking_delta", "thinking": text}),
                json!({"type": "signature_delta", "signature": SIGNATURE}),
            ],
            Block::Text(text) => {
                let pieces = self.pieces.unwrap_or_else(|| text.len().div_ceil(DELTA).max(2));
                pieces_of(text, pieces)
                    .map(|text| json!({"type": "text_delta", "text": text}))
                    .collect()
            }
            Block::ToolUse { input, .. } => pieces_of(&input.to_string(), 2)
                .map(|json| json!({"type": "input_json_delta", "partial_json": json}))
                .collect(),
        }
    }

    fn envelope(&self, content: &[Value], stop_reason: Option<&str>, output_tokens: usize) -> Value {
        json!({
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": stop_reason,
            "stop_sequence": null,
            "usage": self.usage(output_tokens),
        })
    }

    fn usage(&self, output_tokens: usize) -> Value {
        json!({
            "input_tokens": self.input_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": output_tokens,
            "service_tier": "standard",
        })
    }

    fn output_tokens(&self) -> usize {
        1 + self.blocks.iter().map(Block::len).sum::<usize>() / 4
    }
}

impl Block {
    fn whole(&self) -> Value {
        match self {
            Self::Thinking(text) => json!({"type": "thinking", "thinking": text, "signature": SIGNATURE}),
            Self::Text(text) => json!({"type": "text", "text": text}),
            Self::ToolUse { id, name, input } => json!({"type": "tool_use", "id": id, "name": name, "input": input}),
        }
    }

    fn empty(&self) -> Value {
        match self {
            Self::Thinking(_) => json!({"type": "thinking", "thinking": "", "signature": ""}),
            Self::Text(_) => json!({"type": "text", "text": ""}),
            Self::ToolUse { id, name, .. } => json!({"type": "tool_use", "id": id, "name": name, "input": {}}),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Thinking(text) | Self::Text(text) => text.len(),
            Self::ToolUse { input, .. } => input.to_string().len(),
        }
    }
}

fn default_text(context: &Context) -> String {
    let quote: String = context.prompt.chars().take(QUOTE).collect();
    let count = context.user_messages;
    let said = format!("context: {count} user messages. You said: {quote}");
    match &context.tool_result {
        Some(result) => format!("The tool said: {result}\n{said}"),
        None => said,
    }
}

/// Cuts at character boundaries into at most `count` pieces of about equal size; none of them is empty.
fn pieces_of(text: &str, count: usize) -> impl Iterator<Item = &str> {
    let size = text.len().div_ceil(count).max(1);
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut end = size.min(rest.len());
        while !rest.is_char_boundary(end) {
            end += 1;
        }
        let (piece, tail) = rest.split_at(end);
        rest = tail;
        (!piece.is_empty()).then_some(piece)
    })
}

fn frame(event: &Value) -> Frame {
    let name = event["type"].as_str().unwrap_or("message");
    Frame {
        pause: Duration::ZERO,
        bytes: Bytes::from(format!("event: {name}\ndata: {event}\n\n")),
    }
}

/// The API's error object.
pub(super) fn error_body(kind: &str, message: &str, request_id: &str) -> Value {
    json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_whole_characters_and_lose_nothing() {
        for (text, count) in [("añb→c", 3), ("", 4), ("abc", 1), ("abc", 9), ("→→→→", 2)] {
            let pieces: Vec<_> = pieces_of(text, count).collect();
            assert_eq!(pieces.concat(), text);
            assert!(pieces.len() <= count, "{pieces:?}");
        }
    }
}
