//! The tools that are not about notes: what the model reads about them, and the route that does the same, which says who may
//! use them.

use http::Method;
use rmcp::model::Tool;
use serde_json::{Value, json};

use crate::http::Caller;
use crate::http::grants;
use crate::http::vault_api::mcp::catalog::{Effect, described, number, text, texts, word};
use crate::http::vault_api::mcp::server::Refusal;
use crate::limits::DEPTH_MAX;

/// What a client sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Surface {
    /// The whole daemon.
    Whole,
    /// An attached agent: its messages are taken one by one.
    Pull,
    /// Any other channel.
    Push,
}

/// Does its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    ListAgents,
    Send,
    Delegate,
    TurnStatus,
    Stop,
    Pending,
    Next,
    PullReply,
    Release,
    Renew,
    PushReply,
    React,
    EditMessage,
    DownloadAttachment,
}

/// A tool.
pub(super) struct Entry {
    pub(super) id: Name,
    pub(super) name: &'static str,
    surface: Surface,
    about: &'static str,
    /// What a turn reads instead.
    about_turn: Option<&'static str>,
    /// The route that does the same.
    route: (Method, &'static str),
    effect: Effect,
    properties: fn() -> Value,
    required: &'static [&'static str],
}

const SEND: (Method, &str) = (Method::POST, "/api/channels/{channel}/send");
const TURN: (Method, &str) = (Method::GET, "/api/turns/{turn}");
const READ: (Method, &str) = (Method::GET, "/api/channels/{channel}/pending");
const WRITE: (Method, &str) = (Method::POST, "/api/channels/{channel}/reply");

/// All of them.
const TOOLS: &[Entry] = &[
    Entry {
        id: Name::ListAgents,
        name: "list_agents",
        surface: Surface::Whole,
        about: "The agents that work can be given to, what they are for and how they are.",
        about_turn: None,
        route: (Method::GET, "/api/agents"),
        effect: Effect::Reads,
        properties: || json!({ "search": text("Only those with this text in their name.") }),
        required: &[],
    },
    Entry {
        id: Name::Send,
        name: "send",
        surface: Surface::Whole,
        about: "Leaves a message for an agent: it wakes and works by itself. Answers as soon as the message is stored, with the turn \
         that it becomes. To get the outcome, use delegate instead.",
        about_turn: None,
        route: SEND,
        effect: Effect::Adds,
        properties: send,
        required: &["agent", "text"],
    },
    Entry {
        id: Name::Delegate,
        name: "delegate",
        surface: Surface::Whole,
        about: "Hands work to an agent and waits for the outcome: answers the agent's reply, or, when it takes longer than \
             wait_seconds, the turn, by which turn_status tells the outcome later.",
        about_turn: Some(
            "Hands work to an agent and answers at once. The outcome wakes you with a message of its own, in a later turn: \
             do not wait for it, end your turn.",
        ),
        route: SEND,
        effect: Effect::Adds,
        properties: delegate,
        required: &["agent", "text"],
    },
    Entry {
        id: Name::TurnStatus,
        name: "turn_status",
        surface: Surface::Whole,
        about: "How a turn stands: its state, and when it has ended its reply or why there is none. With wait_seconds it waits \
             that long for the end.",
        about_turn: Some("How your own turn stands."),
        route: TURN,
        effect: Effect::Reads,
        properties: status,
        required: &[],
    },
    Entry {
        id: Name::Stop,
        name: "stop",
        surface: Surface::Whole,
        about: "Ends a turn that runs, or takes its message out of the line when it has not begun.",
        about_turn: None,
        route: (Method::POST, "/api/turns/{turn}/stop"),
        effect: Effect::Changes,
        properties: || json!({ "turn": text("The turn.") }),
        required: &["turn"],
    },
    Entry {
        id: Name::Pending,
        name: "pending",
        surface: Surface::Pull,
        about: "The messages that wait for this agent: how many, and the beginnings of the oldest ones. Takes none.",
        about_turn: None,
        route: READ,
        effect: Effect::Reads,
        properties: || json!({}),
        required: &[],
    },
    Entry {
        id: Name::Next,
        name: "next-message",
        surface: Surface::Pull,
        about: "Takes the oldest message. It is yours until you reply, release it, or its time (ends_at) is over; nobody else gets \
         it meanwhile. Take systemPrompt as your role for it.",
        about_turn: None,
        route: WRITE,
        effect: Effect::Adds,
        properties: || json!({}),
        required: &[],
    },
    Entry {
        id: Name::PullReply,
        name: "reply",
        surface: Surface::Pull,
        about: "Answers a message and ends it. Its sender sees only this text. Without inReplyTo it is a word of the agent's own \
         that answers nothing.",
        about_turn: None,
        route: WRITE,
        effect: Effect::Adds,
        properties: || {
            json!({
                "text": text("The answer, Markdown."),
                "inReplyTo": text("The id of the message that it answers."),
                "claim": claim(),
            })
        },
        required: &["text"],
    },
    Entry {
        id: Name::Release,
        name: "release",
        surface: Surface::Pull,
        about: "Gives a message back that you took: it waits again, at its old place.",
        about_turn: None,
        route: WRITE,
        effect: Effect::Changes,
        properties: || json!({ "id": text("The id of the message."), "claim": claim() }),
        required: &["id"],
    },
    Entry {
        id: Name::Renew,
        name: "renew",
        surface: Surface::Pull,
        about: "Keeps a message that you took for longer: answers until when (ends_at).",
        about_turn: None,
        route: WRITE,
        effect: Effect::Adds,
        properties: || json!({ "id": text("The id of the message."), "claim": claim() }),
        required: &["id"],
    },
    Entry {
        id: Name::PushReply,
        name: "reply",
        surface: Surface::Push,
        about: "Writes a message to the people on this channel.",
        about_turn: None,
        route: WRITE,
        effect: Effect::Adds,
        properties: || {
            json!({
                "text": text("The message, Markdown."),
                "reply_to": text("The id of the message that it answers."),
                "chat_id": text("As the message had it; this channel has one conversation, so it does not matter."),
                "files": texts("Not taken by this channel."),
            })
        },
        required: &[],
    },
    Entry {
        id: Name::React,
        name: "react",
        surface: Surface::Push,
        about: "Reacts to a message with an emoji. This channel cannot.",
        about_turn: None,
        route: WRITE,
        effect: Effect::Adds,
        properties: || json!({ "message_id": text("The message."), "emoji": text("One emoji."), "chat_id": text("Its conversation.") }),
        required: &["message_id", "emoji"],
    },
    Entry {
        id: Name::EditMessage,
        name: "edit_message",
        surface: Surface::Push,
        about: "Changes a message that was written. This channel cannot.",
        about_turn: None,
        route: WRITE,
        effect: Effect::Changes,
        properties: || json!({ "message_id": text("The message."), "text": text("Its new text."), "chat_id": text("Its conversation.") }),
        required: &["message_id", "text"],
    },
    Entry {
        id: Name::DownloadAttachment,
        name: "download_attachment",
        surface: Surface::Push,
        about: "Fetches a file that came with a message. This channel cannot: files are read by the notes API of the vault.",
        about_turn: None,
        route: WRITE,
        effect: Effect::Reads,
        properties: || json!({ "file_id": text("The file.") }),
        required: &["file_id"],
    },
];

/// Those of a surface.
pub(super) fn of(surface: Surface) -> impl Iterator<Item = &'static Entry> {
    TOOLS.iter().filter(move |entry| entry.surface == surface)
}

/// One of them.
pub(super) fn find(surface: Surface, name: &str) -> Option<&'static Entry> {
    of(surface).find(|entry| entry.name == name)
}

impl Entry {
    /// Whether a caller may use it.
    pub(super) fn is_for(&self, caller: &Caller) -> bool {
        // A turn may ask for itself; the tool sees to it that it asks for no other.
        self.id == Name::TurnStatus && matches!(caller, Caller::Turn(_)) || caller.may(&self.route.0, self.route.1, "")
    }

    /// Why it may not.
    pub(super) fn refused(&self, caller: &Caller) -> Refusal {
        let needed = grants::scope_of(&self.route.0, self.route.1);
        let (Caller::Token(grant), Some(needed)) = (caller, needed) else {
            return Refusal::forbidden(&format!("You may not use {}", self.name));
        };
        let granted: Vec<String> = grant.new.scopes.iter().map(ToString::to_string).collect();
        let message = format!(
            "{} needs the scope {needed}, your token has {}; nothing was done. Ask for a token that reaches that far.",
            self.name,
            granted.join(" ")
        );
        Refusal::Tool(json!({
            "error": "insufficient_scope", "error_type": "insufficient_scope", "message": message,
            "required_scope": needed.to_string(), "granted_scopes": granted,
        }))
    }

    /// The route that does the same, of a tool that changes something.
    pub(super) fn changes(&self) -> Option<(&Method, &'static str)> {
        (self.effect != Effect::Reads).then_some((&self.route.0, self.route.1))
    }

    /// Names of its arguments.
    pub(super) fn arguments(&self) -> Vec<String> {
        match (self.properties)() {
            Value::Object(properties) => properties.into_iter().map(|(name, _)| name).collect(),
            _ => Vec::new(),
        }
    }

    /// As the model sees it.
    pub(super) fn tool(&self, caller: &Caller) -> Tool {
        let turn = self.about_turn.filter(|_| matches!(caller, Caller::Turn(_)));
        let mut properties = (self.properties)();
        if turn.is_some()
            && let Some(properties) = properties.as_object_mut()
        {
            properties.retain(|name, _| !NOT_FOR_TURNS.contains(&name.as_str()));
        }
        described(
            self.name,
            turn.unwrap_or(self.about),
            properties,
            self.required,
            self.effect,
        )
    }
}

/// What a turn has no use for: it never waits, there is one turn that it may ask for, and its messages are known as its own.
const NOT_FOR_TURNS: [&str; 3] = ["wait_seconds", "turn", "claim"];

fn claim() -> Value {
    text("The claim that next-message told, where you take several messages at once.")
}

fn message() -> Value {
    json!({
        "agent": text("Name of the agent."),
        "text": text("The message, with all that the agent needs to know."),
        "subject": text("Its messages with the same subject are one conversation."),
        "mode": word("When the agent is at work: wait in line (followup, the default), be taken together with others that \
                      wait (collect), or end what runs (interrupt).", &["followup", "collect", "interrupt"]),
        "attachments": texts("Paths of files that were uploaded to the agent's vault."),
        "idempotency_key": text("The same call again with the same key is the same message."),
        "claim": text("Where you serve an attached agent and hand on what you have taken: the claim that next-message told. \
                       It is then that agent's message, and belongs to the same chain."),
    })
}

fn send() -> Value {
    let mut properties = message();
    let depth = DEPTH_MAX;
    properties["reply_to"] = text(&format!(
        "Name of an agent that is to get the outcome as a message; hand-overs end after {depth} in a row."
    ));
    properties["correlation_id"] = text("Comes back with that outcome.");
    properties
}

fn delegate() -> Value {
    let mut properties = message();
    properties["wait_seconds"] = wait();
    properties
}

fn status() -> Value {
    json!({ "turn": text("The turn."), "wait_seconds": wait() })
}

fn wait() -> Value {
    number("How long to wait for the end: 0 to 3600.")
}
