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
}

/// A copy of a vault.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Backup)]
pub(super) struct Copy {
    vault: String,
    /// The copy of the database; the files are beside it, in `<file>-files`.
    #[schema(value_type = String)]
    file: PathBuf,
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
    let Some(vault) = api.vaults.embedded(&name) else {
        let Some(other) = api.vaults.get(&name) else {
            return Err(ApiError::unknown_vault(&name, &api.vaults));
        };
        let what = "be backed up here: its notes are elsewhere".into();
        let vault = other.name().to_owned();
        return Err(VaultError::Unsupported { vault, what }.into());
    };
    let backup = vault.back_up(&target.directory).await.map_err(|error| match error {
        VaultError::Invalid(message) => ApiError::new(StatusCode::CONFLICT, "cannot_back_up", message)
            .then("Mend what it names, or choose another directory."),
        error => error.into(),
    })?;
    tracing::info!(vault = name, file = %backup.file.display(), notes = backup.notes, "the vault was backed up");
    let copy = Copy {
        vault: name,
        file: backup.file,
        notes: backup.notes,
        files: backup.files,
        bytes: backup.bytes,
    };
    Ok((StatusCode::CREATED, Json(copy)))
}
