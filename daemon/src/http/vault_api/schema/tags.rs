//! Tags.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A tag.
#[derive(Serialize, ToSchema)]
pub(crate) struct TagBody {
    name: String,
    /// Notes that carry it.
    count: u64,
    /// With `include_schema`, and of a single tag: what it means.
    description: Option<String>,
    /// The same: its fields.
    fields: Option<BTreeMap<String, Value>>,
    /// The same: the tags that it is a kind of.
    parent_names: Option<Vec<String>>,
}

/// Tags, or one by `?tag=`.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum TagsBody {
    List(Vec<TagBody>),
    One(TagBody),
}

/// What a tag means. What is not named stays as it is.
#[derive(Serialize, ToSchema)]
pub(crate) struct TagPut {
    description: Option<String>,
    fields: Option<BTreeMap<String, Value>>,
    parent_names: Option<Vec<String>>,
}

/// What a tag means now.
#[derive(Serialize, ToSchema)]
pub(crate) struct TagPutDone {
    tag: String,
    #[schema(required)]
    description: Option<String>,
    #[schema(required)]
    fields: Option<BTreeMap<String, Value>>,
    #[schema(required)]
    parent_names: Option<Vec<String>>,
}

/// A tag that is gone.
#[derive(Serialize, ToSchema)]
pub(crate) struct TagDeleted {
    deleted: bool,
    notes_untagged: u64,
}

/// Another name for a tag.
#[derive(Serialize, ToSchema)]
pub(crate) struct TagRename {
    new_name: String,
}

/// How many notes have the tag by its new name.
#[derive(Serialize, ToSchema)]
pub(crate) struct TagRenamed {
    renamed: u64,
}

/// Tags that become one.
#[derive(Serialize, ToSchema)]
pub(crate) struct TagMerge {
    #[schema(min_items = 1)]
    sources: Vec<String>,
    target: String,
}

/// Tags that became one, with how many notes had each.
#[derive(Serialize, ToSchema)]
pub(crate) struct TagMerged {
    merged: BTreeMap<String, u64>,
    target: String,
}
