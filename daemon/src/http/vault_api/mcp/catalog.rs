//! The tools: what the model reads about them, and the route that does the same, which says who may use them.

use std::sync::Arc;

use axum::http::Method;
use reveille_vault::Capabilities;
use rmcp::model::{Tool, ToolAnnotations};
use serde_json::{Map, Value, json};

use super::arguments::OPERATORS;
use crate::http::Caller;

/// Does its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    QueryNotes,
    CreateNote,
    UpdateNote,
    DeleteNote,
    ListTags,
    UpdateTag,
    DeleteTag,
    FindPath,
    SynthesizeNotes,
    VaultInfo,
    SendMessage,
    ListAgents,
}

/// What a tool does to notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Effect {
    /// Nothing.
    Reads,
    /// What was there stays.
    Adds,
    /// What was there may be gone.
    Changes,
}

/// What a vault must be able to do for a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    Tags,
    Links,
}

/// A tool.
pub(super) struct Entry {
    pub(super) id: Name,
    pub(super) name: &'static str,
    about: &'static str,
    /// The route that does the same.
    route: (Method, &'static str),
    effect: Effect,
    takes: Takes,
    properties: fn() -> Value,
    required: &'static [&'static str],
    /// Other spellings of arguments.
    pub(super) aliases: &'static [(&'static str, &'static str)],
}

/// All of them.
pub(super) const TOOLS: &[Entry] = &[
    Entry {
        id: Name::QueryNotes,
        name: "query-notes",
        about: "Reads one note (id, which may be a path), searches the text of notes, or lists notes by tag, path, metadata, \
                dates and links. Lists are without bodies unless include_content is true.",
        route: (Method::GET, "/vault/{name}/api/notes"),
        effect: Effect::Reads,
        takes: Takes::Nothing,
        properties: query_notes,
        required: &[],
        aliases: &[("excludeTags", "exclude_tags"), ("exclude_tag", "exclude_tags")],
    },
    Entry {
        id: Name::CreateNote,
        name: "create-note",
        about: "Writes a new note, or several with `notes`: all or none. Needs content or a path; a path that is taken is \
                refused.",
        route: (Method::POST, "/vault/{name}/api/notes"),
        effect: Effect::Adds,
        takes: Takes::Nothing,
        properties: create_note,
        required: &[],
        aliases: &[("createdAt", "created_at")],
    },
    Entry {
        id: Name::UpdateNote,
        name: "update-note",
        about: "Changes a note, or several with `notes`, one after the other. Needs if_updated_at (the updatedAt that you \
                have read) or force: true, unless it only appends or prepends.",
        route: (Method::PATCH, "/vault/{name}/api/notes/{*key}"),
        effect: Effect::Changes,
        takes: Takes::Nothing,
        properties: update_note,
        required: &[],
        aliases: &[("createdAt", "created_at")],
    },
    Entry {
        id: Name::DeleteNote,
        name: "delete-note",
        about: "Removes a note for good.",
        route: (Method::DELETE, "/vault/{name}/api/notes/{*key}"),
        effect: Effect::Changes,
        takes: Takes::Nothing,
        properties: || json!({ "id": text("Id or path of the note.") }),
        required: &["id"],
        aliases: &[],
    },
    Entry {
        id: Name::ListTags,
        name: "list-tags",
        about: "All tags with the number of their notes, or one of them with its description and fields.",
        route: (Method::GET, "/vault/{name}/api/tags"),
        effect: Effect::Reads,
        takes: Takes::Tags,
        properties: list_tags,
        required: &[],
        aliases: &[],
    },
    Entry {
        id: Name::UpdateTag,
        name: "update-tag",
        about: "Says what a tag is for and which fields its notes have. What is not named stays as it is.",
        route: (Method::PUT, "/vault/{name}/api/tags/{*key}"),
        effect: Effect::Changes,
        takes: Takes::Tags,
        properties: update_tag,
        required: &["tag"],
        aliases: &[],
    },
    Entry {
        id: Name::DeleteTag,
        name: "delete-tag",
        about: "Removes a tag, and takes it off all notes that carry it. The notes stay.",
        route: (Method::DELETE, "/vault/{name}/api/tags/{*key}"),
        effect: Effect::Changes,
        takes: Takes::Tags,
        properties: || json!({ "tag": text("Name of the tag.") }),
        required: &["tag"],
        aliases: &[],
    },
    Entry {
        id: Name::FindPath,
        name: "find-path",
        about: "A shortest chain of links between two notes, in either direction.",
        route: (Method::GET, "/vault/{name}/api/find-path"),
        effect: Effect::Reads,
        takes: Takes::Links,
        properties: find_path,
        required: &["source", "target"],
        aliases: &[],
    },
    Entry {
        id: Name::SynthesizeNotes,
        name: "synthesize-notes",
        about: "What the vault has about something, in one answer: the anchor note, the notes that are linked with it, and \
                those that match the query.",
        route: (Method::GET, "/vault/{name}/api/notes"),
        effect: Effect::Reads,
        takes: Takes::Nothing,
        properties: synthesize,
        required: &[],
        aliases: &[],
    },
    Entry {
        id: Name::VaultInfo,
        name: "vault-info",
        about: "Name, kind and state of this vault, what it is for and what it can do. With a description: says what it is \
                for.",
        route: (Method::GET, "/vault/{name}"),
        effect: Effect::Reads,
        takes: Takes::Nothing,
        properties: vault_info,
        required: &[],
        aliases: &[],
    },
    Entry {
        id: Name::SendMessage,
        name: "send-message",
        about: "Sends a message to an agent: it wakes and works by itself. With reply: true your own agent gets the outcome \
                as a message of its own, in a later turn; do not wait for it.",
        route: (Method::POST, "/api/channels/{channel}/send"),
        effect: Effect::Adds,
        takes: Takes::Nothing,
        properties: send_message,
        required: &["agent", "text"],
        aliases: &[],
    },
    Entry {
        id: Name::ListAgents,
        name: "list-agents",
        about: "The agents that messages can be sent to, what they are for and how they are.",
        route: (Method::GET, "/api/agents"),
        effect: Effect::Reads,
        takes: Takes::Nothing,
        properties: || json!({ "search": text("Only those with this text in their name.") }),
        required: &[],
        aliases: &[],
    },
];

impl Entry {
    /// Whether a caller may use it on a vault.
    pub(super) fn is_for(&self, caller: &Caller, vault: &str) -> bool {
        caller.may(&self.route.0, self.route.1, vault)
    }

    /// Whether a vault of these abilities has it.
    pub(super) fn is_of(&self, vault: Capabilities) -> bool {
        match self.takes {
            Takes::Nothing => true,
            Takes::Tags => vault.tag_schemas,
            Takes::Links => vault.links,
        }
    }

    /// Names of its arguments.
    pub(super) fn arguments(&self) -> Vec<String> {
        match (self.properties)() {
            Value::Object(properties) => properties.into_iter().map(|(name, _)| name).collect(),
            _ => Vec::new(),
        }
    }

    /// As the model sees it.
    pub(super) fn tool(&self) -> Tool {
        described(self.name, self.about, (self.properties)(), self.required, self.effect)
    }

    /// The route that does the same, of a call that changes something.
    pub(super) fn changes(&self, given: &Map<String, Value>) -> Option<(&Method, &'static str)> {
        if self.id == Name::VaultInfo && given.contains_key("description") {
            return Some((&Method::PATCH, "/vault/{name}/api/vault"));
        }
        (self.effect != Effect::Reads).then_some((&self.route.0, self.route.1))
    }

    /// Whether it is about notes, and not a way to the agents.
    pub(super) fn is_about_notes(&self) -> bool {
        !matches!(self.id, Name::SendMessage | Name::ListAgents)
    }
}

/// A tool as the model sees it. `properties`: the schemas of its arguments, by name.
pub(in crate::http) fn described(
    name: &'static str,
    about: &'static str,
    properties: Value,
    required: &[&'static str],
    effect: Effect,
) -> Tool {
    let mut schema = Map::new();
    schema.insert("type".into(), "object".into());
    schema.insert("properties".into(), properties);
    if !required.is_empty() {
        schema.insert("required".into(), required.into());
    }
    let annotations = ToolAnnotations::new()
        .read_only(effect == Effect::Reads)
        .destructive(effect == Effect::Changes)
        .open_world(false);
    Tool::new(name, about, Arc::new(schema)).with_annotations(annotations)
}

/// The schema of an argument.
pub(in crate::http) fn text(about: &str) -> Value {
    json!({ "type": "string", "description": about })
}

/// The schema of an argument.
pub(in crate::http) fn switch(about: &str) -> Value {
    json!({ "type": "boolean", "description": about })
}

/// The schema of an argument.
pub(in crate::http) fn number(about: &str) -> Value {
    json!({ "type": "integer", "description": about })
}

/// The schema of an argument.
pub(in crate::http) fn texts(about: &str) -> Value {
    json!({ "type": "array", "items": { "type": "string" }, "description": about })
}

fn one_or_more(about: &str) -> Value {
    json!({ "type": ["string", "array"], "items": { "type": "string" }, "description": about })
}

/// The schema of an argument.
pub(in crate::http) fn word(about: &str, words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words, "description": about })
}

fn query_notes() -> Value {
    json!({
        "id": text("Id or path of one note; then only the include_ arguments and content_offset count."),
        "content_offset": number("With id: answers the body from this byte on. An answer that was cut says where to go on."),
        "tag": one_or_more("Tag, or several."),
        "tag_match": word("With several tags: any of them (the default), or all.", &["any", "all"]),
        "exclude_tags": one_or_more("None of these tags."),
        "has_tags": switch("true: only notes with tags; false: only those without."),
        "has_links": switch("true: only notes with links; false: only those without."),
        "path": text("Exact path, in any case."),
        "path_prefix": text("Beginning of the path, in any case."),
        "search": text("Words that must all occur in the body, the best match first; or an FTS5 expression."),
        "metadata": json!({ "type": "object", "description": OPERATORS }),
        "date_from": text("Created from then on, such as 2026-07 or 2026-07-02T10:00:00Z."),
        "date_to": text("Created before then."),
        "date_filter": json!({ "type": "object", "description":
            "The same of created_at, updated_at or an indexed metadata field.",
            "properties": { "field": { "type": "string" }, "from": { "type": "string" }, "to": { "type": "string" } } }),
        "near": json!({ "type": "object", "description": "Only notes that are linked with this one, up to depth links away (2).",
            "properties": { "note_id": { "type": "string" }, "depth": { "type": "integer" }, "relationship": { "type": "string" } },
            "required": ["note_id"] }),
        "order_by": text("created_at (the default), updated_at, path or an indexed metadata field."),
        "sort": word("asc (the default) or desc.", &["asc", "desc"]),
        "limit": number("Most notes of the answer: 1 to 200, usually 50."),
        "offset": number("Notes to pass over."),
        "cursor": text("Goes on where an earlier answer ended, which says so."),
        "include_content": switch("The bodies; usually only with id."),
        "include_metadata": json!({ "type": ["boolean", "array"], "items": { "type": "string" },
            "description": "false for none, or the keys that matter." }),
        "include_attachments": switch("The lists of their files."),
        "include_links": switch("Their links, in both directions."),
        "expand_links": switch("Puts the notes that a body links to below their links."),
        "expand_depth": number("Also the links of those, so many times: 1, at most 3."),
        "expand_mode": word("The linked notes in full (the default), or their beginnings.", &["full", "summary"]),
    })
}

/// Of a note that is new, and of each of `notes`.
fn new_note() -> Value {
    json!({
        "content": text("The body, Markdown."),
        "path": text("Where it stands, such as Projects/plan; optional."),
        "metadata": json!({ "type": "object" }),
        "tags": texts("Bare names, such as project/idea."),
        "links": json!({ "type": "array", "description": "Links to other notes, beside the [[wikilinks]] of the body.",
            "items": { "type": "object", "properties": { "target": { "type": "string" }, "relationship": { "type": "string" } },
            "required": ["target", "relationship"] } }),
        "attachments": texts("Paths of uploaded files that belong to it."),
        "created_at": text("RFC 3339; usually now."),
    })
}

fn create_note() -> Value {
    with_notes(new_note())
}

fn change() -> Value {
    json!({
        "id": text("Id or path of the note."),
        "content": text("The new body. Only one of: content, content_edit, append and prepend."),
        "append": text("Put behind the body as it is."),
        "prepend": text("Put in front of the body, behind front matter."),
        "content_edit": json!({ "type": "object", "description": "Replaces the one place where old_text stands.",
            "properties": { "old_text": { "type": "string" }, "new_text": { "type": "string" } },
            "required": ["old_text", "new_text"] }),
        "path": json!({ "type": ["string", "null"], "description": "Moves it; null takes the path away." }),
        "metadata": json!({ "type": "object", "description": "Merged key by key." }),
        "tags": json!({ "type": "object", "description": "Tags to add and to remove.", "properties": {
            "add": { "type": "array", "items": { "type": "string" } },
            "remove": { "type": "array", "items": { "type": "string" } } } }),
        "links": json!({ "type": "object", "description": "Links to add {target, relationship} and to remove.", "properties": {
            "add": { "type": "array", "items": { "type": "object" } },
            "remove": { "type": "array", "items": { "type": "object" } } } }),
        "created_at": text("RFC 3339."),
        "if_updated_at": text("The updatedAt that you have read; refused if the note has changed since."),
        "force": switch("Changes it whatever happened since."),
        "if_missing": word("Makes the note at the path `id` when there is none.", &["create"]),
    })
}

fn update_note() -> Value {
    with_notes(change())
}

fn list_tags() -> Value {
    json!({
        "tag": text("Only this one."),
        "include_schema": switch("Descriptions and fields as well."),
    })
}

fn update_tag() -> Value {
    json!({
        "tag": text("Name of the tag; it is made if there is none."),
        "description": text("What it is for."),
        "fields": json!({ "type": "object", "description":
            "Metadata keys of its notes, such as {\"due\": {\"type\": \"string\", \"indexed\": true}}; null takes one away." }),
        "parent_names": texts("All tags that it is a kind of: whoever asks for one of them gets its notes too."),
    })
}

fn find_path() -> Value {
    json!({
        "source": text("Id or path of a note."),
        "target": text("Id or path of the other one."),
        "max_depth": number("Most links: 5 unless you say so, at most 20."),
    })
}

fn synthesize() -> Value {
    json!({
        "anchor": text("Id or path of the note in the middle."),
        "query": text("Words to search for, beside the anchor or instead of it."),
        "scope": text("Only notes with this tag or, with a slash at its end, below this path."),
        "depth": number("Links away from the anchor: 0 to 3, usually 1."),
        "limit": number("Most notes: 1 to 50, usually 10."),
        "include_content": switch("false: their beginnings only."),
    })
}

fn vault_info() -> Value {
    json!({
        "include_stats": switch("Numbers of notes, tags and links as well."),
        "description": text("From now on: what this vault is for."),
    })
}

/// One, or several at once.
fn with_notes(one: Value) -> Value {
    let mut all = one;
    all["notes"] = json!({
        "type": "array", "items": { "type": "object" }, "description": "Instead of one: up to 500 with these arguments.",
    });
    all
}

fn send_message() -> Value {
    json!({
        "agent": text("Name of the agent."),
        "text": text("What it shall do, with all that it needs to know: it does not see your conversation."),
        "subject": text("Names a conversation of that agent, to begin or go on with."),
        "thread": text("Another word for subject."),
        "attachments": texts("Paths of uploaded files that it gets."),
        "reply": switch("Your own agent is told the outcome."),
        "reply_to": text("Instead of your own: the agent that is told."),
        "correlation_id": text("Comes back with the outcome."),
        "mode": word("followup waits its turn, collect may share one, interrupt goes first.", &["followup", "collect", "interrupt"]),
    })
}
