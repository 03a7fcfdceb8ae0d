//! Notes, their files and links.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// A note.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Note {
    id: String,
    /// Absent when it has none.
    path: Option<String>,
    /// Its text, when it is asked for.
    content: Option<String>,
    /// Size of the text, when that is not asked for.
    byte_size: Option<u64>,
    /// Beginning of the text, when that is not asked for.
    preview: Option<String>,
    tags: Vec<String>,
    /// Absent when it has none, or none of those that were asked for.
    metadata: Option<BTreeMap<String, Value>>,
    created_at: String,
    updated_at: String,
    /// With `include_attachments`.
    attachments: Option<Vec<NoteAttachment>>,
    /// With `include_links`.
    links: Option<Vec<NoteLink>>,
}

/// Notes and their links.
#[derive(Serialize, ToSchema)]
pub(crate) struct NoteGraph {
    nodes: Vec<GraphNode>,
    edges: Vec<GraphEdge>,
}

/// A note of a graph.
#[derive(Serialize, ToSchema)]
pub(crate) struct GraphNode {
    id: String,
    #[schema(required)]
    path: Option<String>,
    tags: Vec<String>,
}

/// A link of a graph.
#[derive(Serialize, ToSchema)]
pub(crate) struct GraphEdge {
    source: String,
    target: String,
    relationship: String,
}

/// A listing, one note by `?id=`, or with `format=graph` a graph.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(
    clippy::large_enum_variant,
    reason = "it only describes an answer, and is never made"
)]
pub(crate) enum Notes {
    List(Vec<Note>),
    Graph(NoteGraph),
    One(Note),
}

/// A file of a note.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NoteAttachment {
    id: String,
    note_id: String,
    path: String,
    filename: String,
    mime_type: String,
    size: Option<u64>,
    created_at: String,
}

/// A link between notes.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NoteLink {
    source_id: String,
    target_id: String,
    relationship: String,
    created_at: String,
    source_path: Option<String>,
    target_path: Option<String>,
    metadata: Option<BTreeMap<String, Value>>,
}

/// A note that is to be made.
#[derive(Serialize, ToSchema)]
pub(crate) struct NewNoteBody {
    id: Option<String>,
    path: Option<String>,
    content: Option<String>,
    tags: Option<Vec<String>>,
    metadata: Option<BTreeMap<String, Value>>,
    #[serde(rename = "createdAt")]
    created_at: Option<String>,
    attachments: Option<Vec<NewAttachmentBody>>,
    links: Option<Vec<NewLinkBody>>,
}

/// One note, or a batch that is written as a whole or not at all.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum NewNotesBody {
    One(NewNoteBody),
    Batch(NewNotesBatch),
}

/// A batch of notes; 500 at most.
#[derive(Serialize, ToSchema)]
pub(crate) struct NewNotesBatch {
    notes: Vec<NewNoteBody>,
}

/// The note that was made, or those of a batch.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(
    clippy::large_enum_variant,
    reason = "it only describes an answer, and is never made"
)]
pub(crate) enum WrittenNotes {
    One(Note),
    Batch(Vec<Note>),
}

/// A file for a note.
#[derive(Serialize, ToSchema)]
pub(crate) struct NewAttachmentBody {
    /// Where it was stored.
    path: String,
    filename: Option<String>,
    #[serde(rename = "mimeType")]
    mime_type: Option<String>,
}

/// A link of a note.
#[derive(Serialize, ToSchema)]
pub(crate) struct NewLinkBody {
    /// Id or path of a note.
    target: String,
    relationship: Option<String>,
    metadata: Option<BTreeMap<String, Value>>,
}

/// A link that is to go.
#[derive(Serialize, ToSchema)]
pub(crate) struct OldLinkBody {
    target: String,
    relationship: String,
}

/// Another text in the place of one.
#[derive(Serialize, ToSchema)]
pub(crate) struct ContentEdit {
    old_text: String,
    new_text: String,
}

/// Tags that come and go. Of a note that is created because it is missing it may be a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct TagsChange {
    add: Option<Vec<String>>,
    remove: Option<Vec<String>>,
}

/// Links that come and go.
#[derive(Serialize, ToSchema)]
pub(crate) struct LinksChange {
    add: Option<Vec<NewLinkBody>>,
    remove: Option<Vec<OldLinkBody>>,
}

/// A change of a note. It needs `if_updated_at` or `force`, unless it only adds to the text.
#[derive(Serialize, ToSchema)]
pub(crate) struct NotePatch {
    content: Option<String>,
    content_edit: Option<ContentEdit>,
    append: Option<String>,
    prepend: Option<String>,
    /// Null takes it away.
    path: Option<String>,
    tags: Option<TagsChange>,
    metadata: Option<BTreeMap<String, Value>>,
    remove_metadata: Option<Vec<String>>,
    links: Option<LinksChange>,
    #[serde(rename = "createdAt")]
    created_at: Option<String>,
    /// The `updatedAt` that the change was made for.
    if_updated_at: Option<String>,
    /// Over whatever is there.
    force: Option<bool>,
    /// `create` makes the note when it is missing.
    if_missing: Option<String>,
}

/// A note that is gone.
#[derive(Serialize, ToSchema)]
pub(crate) struct NoteDeleted {
    deleted: bool,
    id: String,
}

/// A file that is stored and that no note has yet.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StoredFileBody {
    path: String,
    size: u64,
    mime_type: String,
    filename: String,
}

/// A form with a file.
#[derive(Serialize, ToSchema)]
pub(crate) struct UploadForm {
    #[schema(content_media_type = "application/octet-stream")]
    file: String,
}

/// A way between two notes.
#[derive(Serialize, ToSchema)]
pub(crate) struct NotePath {
    path: Vec<String>,
    relationships: Vec<String>,
}

/// Links to notes that are not there.
#[derive(Serialize, ToSchema)]
pub(crate) struct UnresolvedLinks {
    count: u64,
    unresolved: Vec<UnresolvedLink>,
}

/// A link to a note that is not there.
#[derive(Serialize, ToSchema)]
pub(crate) struct UnresolvedLink {
    source_id: String,
    #[schema(required)]
    source_path: Option<String>,
    target_path: String,
}

/// Parts of the notes that are asked for.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FormParams {
    /// The text.
    include_content: Option<bool>,
    /// `true`, `false`, or a comma list of keys.
    include_metadata: Option<String>,
    include_attachments: Option<bool>,
    include_links: Option<bool>,
    /// What the text links to stands in it.
    expand_links: Option<bool>,
}

/// Which notes are listed. `meta.KEY=…`, `meta.KEY[OP]=…` and `near[note_id]=…` come on top.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct NotesParams {
    /// One note instead of a list.
    id: Option<String>,
    /// Comma list.
    tag: Option<String>,
    /// `any` or `all`.
    tag_match: Option<String>,
    exclude_tag: Option<String>,
    has_tags: Option<bool>,
    has_links: Option<bool>,
    path: Option<String>,
    path_prefix: Option<String>,
    search: Option<String>,
    date_from: Option<String>,
    date_to: Option<String>,
    date_field: Option<String>,
    updated_since: Option<String>,
    order_by: Option<String>,
    /// `asc` or `desc`.
    sort: Option<String>,
    /// 50 when nothing is said, 10 000 at most.
    limit: Option<i64>,
    offset: Option<i64>,
    /// `X-Next-Cursor` of the page before.
    cursor: Option<String>,
    /// `graph`.
    format: Option<String>,
}
