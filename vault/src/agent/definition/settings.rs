//! All settings of a definition, as people are told of them.

use serde_json::Value;

use super::{DEFINED_BY, DEFINES_AGENTS};
use crate::note::Note;

/// One setting: a metadata key of a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// The key.
    pub key: &'static str,
    /// What it is for, in a few words.
    pub meaning: &'static str,
    /// What can be written.
    pub accepted: &'static str,
    /// What counts without it.
    pub default: &'static str,
    /// A value to begin with, as it is written in front matter.
    pub example: &'static str,
}

const fn setting(
    key: &'static str,
    meaning: &'static str,
    accepted: &'static str,
    default: &'static str,
    example: &'static str,
) -> Setting {
    Setting {
        key,
        meaning,
        accepted,
        default,
        example,
    }
}

const SPAN: &str = "a time span such as 90s, 5m or 1h 30m";

/// Every key that is read, in the order in which they are shown.
pub const SETTINGS: &[Setting] = &[
    setting(
        "name",
        "the agent's name, and the address of its messages",
        "1 to 64 letters, digits, `_`, `-`; not `role--…`",
        "required",
        "scribe",
    ),
    setting(
        "backend",
        "who runs its turns: the daemon, or a session of somebody else that pulls its messages",
        "programmatic, attached",
        "programmatic",
        "programmatic",
    ),
    setting(
        "mode",
        "one conversation, or one per message; a `subject` on a message always names its own",
        "single-threaded, multi-threaded",
        "single-threaded",
        "single-threaded",
    ),
    setting(
        "systemPromptMode",
        "whether the role goes behind Claude Code's own prompt or instead of it",
        "append, replace",
        "append",
        "append",
    ),
    setting(
        "model",
        "the model of its turns",
        "an alias such as sonnet or opus, or a full name",
        "`[claude] model`, else Claude Code's own",
        "sonnet",
    ),
    setting(
        "workspace",
        "the directory that its turns work in",
        "an absolute path",
        "a private one per conversation",
        "/home/me/project",
    ),
    setting(
        "filesystem",
        "what of the disk its turns may reach",
        "workspace, full",
        "workspace",
        "workspace",
    ),
    setting(
        "network",
        "what of the network its turns may reach",
        "open, proxied (every public address), restricted (the model's API and `egress`)",
        "open",
        "restricted",
    ),
    setting(
        "egress",
        "hosts that stay reachable with `network: restricted`; without a port 80 and 443",
        "a list, or text that commas or blanks split, of HOST, HOST:PORT or *.DOMAIN",
        "none",
        "[example.com, '*.example.org:443']",
    ),
    setting(
        "mounts",
        "directories of the host that it gets besides its own",
        "a list of {hostPath, mountPath, mode: ro or rw, shared}, or the same as JSON text",
        "none",
        r#"'[{"hostPath": "/srv/data", "mountPath": "/data", "mode": "ro"}]'"#,
    ),
    setting(
        "wants",
        "connections that it asks for; each is there once somebody has approved it",
        "a list of vault:NAME:read|write[#tag…], env:NAME, mcp:NAME, mcp:https://…, surface:NAME:read|write",
        "none",
        "[env:github]",
    ),
    setting(
        "uses",
        "connections by their old names: shown as pending, never granted; write `wants`",
        "a list, or text that commas or blanks split",
        "none",
        "[github]",
    ),
    setting(
        "timeout_idle",
        "longest silence of a turn",
        SPAN,
        "`[claude] timeout_idle` (5m)",
        "5m",
    ),
    setting(
        "timeout_wall",
        "longest turn",
        SPAN,
        "`[claude] timeout_wall` (60m)",
        "60m",
    ),
    setting(
        "max_turns",
        "most model rounds of a turn",
        "a whole number from 1",
        "no limit",
        "40",
    ),
    setting(
        "budget_turn_usd",
        "most US dollars of a turn",
        "a number above 0",
        "no limit",
        "0.50",
    ),
    setting(
        "budget_day_usd",
        "most US dollars of a day (UTC); then the agent waits until midnight",
        "a number above 0",
        "no limit",
        "5",
    ),
    setting(
        "keep_warm",
        "whether its process stays for the next message of a conversation, and how long",
        "true, false, or a time span such as 90s or 5m",
        "as configured",
        "5m",
    ),
    setting(
        "message_mode",
        "what its messages do to each other",
        "followup, collect, interrupt",
        "followup",
        "followup",
    ),
    setting(
        "on_interrupt",
        "what a restart does to a turn that had begun",
        "continue, stop",
        "continue",
        "continue",
    ),
    setting("paused", "whether its messages wait", "true, false", "false", "true"),
    setting(
        "pause_reason",
        "why they wait, for whoever looks at the agent",
        "text",
        "none",
        "Until the minutes are signed.",
    ),
    setting(
        "vault_tools",
        "whether its turns get the tools of the vault",
        "true, false",
        "true",
        "true",
    ),
    setting(
        DEFINES_AGENTS,
        "whether its turns may make agents",
        "true, false",
        "false",
        "false",
    ),
];

/// Keys that the daemon writes on a definition; whoever edits one is not told that they are unknown.
pub(super) const OUTPUTS: &[&str] = &["status", "status_detail", "pending", DEFINED_BY];

/// The settings that a note gives: a blank value is none.
pub(super) fn given(note: &Note) -> Vec<&'static str> {
    let says = |key: &str| match note.metadata.get(key) {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.trim().is_empty(),
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::Object(object)) => !object.is_empty(),
        Some(Value::Bool(_) | Value::Number(_)) => true,
    };
    let given = SETTINGS.iter().filter(|setting| says(setting.key));
    given.map(|setting| setting.key).collect()
}
