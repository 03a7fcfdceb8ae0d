//! A vault as a whole, and errors.

use serde::Serialize;
use utoipa::ToSchema;

/// Why a request was not done, as clients of the notes API know it. More fields say where.
#[derive(Serialize, ToSchema)]
pub(crate) struct NotesError {
    /// A class, such as `Not found`; of a wrong query the whole sentence.
    error: String,
    /// Stable code.
    error_type: Option<String>,
    /// Code of a wrong query, as that contract has it.
    code: Option<String>,
    /// What happened, for people.
    message: Option<String>,
    /// What to do now.
    next_step: Option<String>,
    /// What is to blame.
    field: Option<String>,
}

/// A vault as a whole.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AboutVault {
    name: String,
    created_at: String,
    /// Most bytes of a file.
    max_attachment: u64,
    /// Absent for who sees a part of the notes only.
    stats: Option<VaultStats>,
    description: Option<String>,
}

/// Numbers about a vault.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VaultStats {
    total_notes: u64,
    #[schema(required)]
    earliest_note: Option<NoteMoment>,
    #[schema(required)]
    latest_note: Option<NoteMoment>,
    notes_by_month: Vec<MonthCount>,
    top_tags: Vec<TagCount>,
    tag_count: u64,
    link_count: u64,
}

/// A note and its time.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NoteMoment {
    id: String,
    created_at: String,
}

/// Notes of a month.
#[derive(Serialize, ToSchema)]
pub(crate) struct MonthCount {
    month: String,
    count: u64,
}

/// Notes with a tag.
#[derive(Serialize, ToSchema)]
pub(crate) struct TagCount {
    tag: String,
    count: u64,
}

/// Settings of a vault.
#[derive(Serialize, ToSchema)]
pub(crate) struct VaultSettings {
    name: String,
    #[schema(required)]
    description: Option<String>,
    config: VaultConfig,
    /// With `include_stats`.
    stats: Option<VaultStats>,
}

/// What can be set of a vault.
#[derive(Serialize, ToSchema)]
pub(crate) struct VaultConfig {
    /// Always `keep`.
    audio_retention: Option<String>,
}

/// A change of the settings of a vault.
#[derive(Serialize, ToSchema)]
pub(crate) struct VaultPatch {
    /// Null takes it away.
    description: Option<String>,
    config: Option<VaultConfig>,
}

/// That a vault can be read.
#[derive(Serialize, ToSchema)]
pub(crate) struct VaultIsWell {
    status: String,
    vault: String,
}
