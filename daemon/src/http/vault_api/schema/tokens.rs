//! Tokens of a vault.

use serde::Serialize;
use utoipa::ToSchema;

/// A token of a vault, without its text.
#[derive(Serialize, ToSchema)]
pub(crate) struct VaultToken {
    id: String,
    #[schema(required)]
    label: Option<String>,
    /// `full` or `read`.
    permission: String,
    scopes: Vec<String>,
    /// Null: it sees all notes.
    #[schema(required)]
    scoped_tags: Option<Vec<String>>,
    created_at: String,
    #[schema(required)]
    expires_at: Option<String>,
    #[schema(required)]
    last_used_at: Option<String>,
    /// Its text: only in the answer to the request that makes it.
    token: Option<String>,
    /// What its maker should know: only there, too.
    notice: Option<String>,
}

/// Tokens of a vault.
#[derive(Serialize, ToSchema)]
pub(crate) struct VaultTokens {
    tokens: Vec<VaultToken>,
}

/// A token that is to be made.
#[derive(Serialize, ToSchema)]
pub(crate) struct NewVaultToken {
    label: Option<String>,
    /// All three of the vault, when nothing is said.
    scopes: Option<Vec<String>>,
    /// The same in one text.
    scope: Option<String>,
    /// It sees only notes with one of these.
    tags: Option<Vec<String>>,
    expires_at: Option<String>,
}

/// A token that does not hold any more.
#[derive(Serialize, ToSchema)]
pub(crate) struct VaultTokenRevoked {
    revoked: bool,
    id: String,
    /// Whether there was one.
    known: bool,
}
