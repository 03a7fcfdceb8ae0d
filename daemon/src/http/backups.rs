//! Copies of vaults, made while they are in use.

use std::path::PathBuf;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use reveille_vault::VaultError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::error::{ApiError, Body, Segment};

/// Where a copy goes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BackupRequest)]
pub(super) struct Target {
    /// A directory on the machine of the daemon; absolute.
    #[schema(value_type = String)]
    directory: PathBuf,
    /// A copy that is there already is replaced once this one is whole. Unless said, it is in the way.
    #[serde(default)]
    replace: bool,
}

/// A copy of a vault.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Backup)]
pub(super) struct Copy {
    vault: String,
    /// The copy of the database, or of the index of a folder; the files of notes are beside it, in `<file>-files`.
    #[schema(value_type = String)]
    file: PathBuf,
    /// The copy of the folder, of a vault in one.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    folder: Option<PathBuf>,
    /// Notes in it.
    notes: u64,
    /// Files in it.
    files: u64,
    /// Size of all.
    bytes: u64,
}

/// Copies a vault on the machine of the daemon, as its user, while it is in use.
#[utoipa::path(
    post, path = "/api/vaults/{name}/backup", operation_id = "backUpVault", tag = "vaults",
    params(("name" = String, Path, description = "The vault.")),
    request_body = Target,
    responses(
        (status = 201, description = "The copy is whole.", body = Copy),
        (status = 404, description = "There is no such vault: `unknown_vault`."),
        (status = 409, description = "There is something in the way: `cannot_back_up`."),
        (status = 501, description = "The notes of that vault are elsewhere: `unsupported`."),
    ),
)]
pub(super) async fn make(
    State(api): State<Api>,
    Segment(name): Segment,
    Body(target): Body<Target>,
) -> Result<(StatusCode, Json<Copy>), ApiError> {
    if !target.directory.is_absolute() {
        let message = "The directory of a backup must be an absolute path on the machine of the daemon";
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "invalid_directory", message).then("Nothing was copied."));
    }
    let Some(vault) = api.vaults.get(&name) else {
        return Err(ApiError::unknown_vault(&name, &api.vaults));
    };
    let backup = vault.back_up(&target.directory, target.replace).await;
    let backup = backup.map_err(|error| match error {
        VaultError::Invalid(message) => ApiError::new(StatusCode::CONFLICT, "cannot_back_up", message)
            .then("Mend what it names, or choose another directory."),
        error => error.into(),
    })?;
    tracing::info!(vault = name, file = %backup.file.display(), notes = backup.notes, "the vault was backed up");
    let copy = Copy {
        vault: name,
        file: backup.file,
        folder: backup.folder,
        notes: backup.notes,
        files: backup.files,
        bytes: backup.bytes,
    };
    Ok((StatusCode::CREATED, Json(copy)))
}
