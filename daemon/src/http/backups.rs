//! Copies of vaults, made while they are in use.

use std::path::PathBuf;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use reveille_vault::VaultError;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::error::{ApiError, Body, Segment};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Target {
    /// A directory on the machine of the daemon; absolute.
    directory: PathBuf,
}

/// `POST /api/vaults/{name}/backup`: writes the copy on the machine of the daemon, as its user.
pub(super) async fn make(
    State(api): State<Api>,
    Segment(name): Segment,
    Body(target): Body<Target>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
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
    let told = json!({
        "vault": name, "file": backup.file, "notes": backup.notes, "files": backup.files, "bytes": backup.bytes,
    });
    Ok((StatusCode::CREATED, Json(told)))
}
