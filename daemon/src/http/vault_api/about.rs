//! The routes of a vault as a whole.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::Uri;
use axum::response::Response;
use reveille_vault::note::millis;
use reveille_vault::{Stats, Vault, VaultError};
use serde_json::{Map, Value, json};

use super::answer::{self, Failure};
use super::body::Object;
use super::listing::Parameters;
use super::{Target, schema};

/// A vault as a whole.
#[utoipa::path(
    get, path = "/vault/{name}", operation_id = "getVault", tag = "notes",
    params(("name" = String, Path, description = "The vault.")),
    responses(
        (status = 200, description = "The vault.", body = schema::AboutVault),
        (status = 404, description = "There is no such vault: `vault_not_found`."),
        (status = 501, description = "This kind of vault cannot do it: `unsupported`."),
    ),
)]
pub(super) async fn about(Target { vault, .. }: Target, max_file: usize) -> Result<Response, Failure> {
    let profile = vault.profile();
    let mut body = json!({
        "name": vault.name(),
        "createdAt": millis::format(profile.made_at().await?),
        "maxAttachment": max_file,
    });
    match profile.stats().await {
        // Who sees a part of the notes only gets no numbers about all of them.
        Err(VaultError::Forbidden(_)) => {}
        found => body["stats"] = stats(&found?),
    }
    if let Some(description) = profile.description().await? {
        body["description"] = description.into();
    }
    Ok(answer::ok(&body))
}

/// Settings of a vault.
#[utoipa::path(
    get, path = "/vault/{name}/api/vault", operation_id = "getVaultSettings", tag = "notes",
    params(("name" = String, Path, description = "The vault."), ("include_stats" = Option<bool>, Query, description = "Numbers about it too.")),
    responses(
        (status = 200, description = "The settings.", body = schema::VaultSettings),
        (status = 404, description = "There is no such vault: `vault_not_found`."),
        (status = 501, description = "This kind of vault cannot do it: `unsupported`."),
    ),
)]
pub(super) async fn show(Target { vault, .. }: Target, uri: Uri) -> Result<Response, Failure> {
    let with_stats = Parameters::of(&uri)?.switch("include_stats", false)?;
    let mut body = settings(&*vault).await?;
    if with_stats {
        body["stats"] = stats(&vault.profile().stats().await?);
    }
    Ok(answer::ok(&body))
}

/// Changes the settings of a vault.
#[utoipa::path(
    patch, path = "/vault/{name}/api/vault", operation_id = "patchVaultSettings", tag = "notes",
    params(("name" = String, Path, description = "The vault.")),
    request_body = schema::VaultPatch,
    responses(
        (status = 200, description = "The settings as they are now.", body = schema::VaultSettings),
        (status = 404, description = "There is no such vault: `vault_not_found`."),
        (status = 501, description = "This kind of vault cannot do it: `unsupported`."),
    ),
)]
pub(super) async fn change(
    Target { vault, .. }: Target,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Failure> {
    let mut object = Object::parse(body)?;
    let description = match object.fields.remove("description") {
        None => None,
        Some(Value::Null) => Some(String::new()),
        Some(Value::String(text)) => Some(text),
        Some(_) => return Err(object.invalid("description", "must be text, or null to take it away")),
    };
    if let Some(config) = object.object("config")? {
        check_config(&config)?;
    }
    if let Some(description) = description {
        vault.profile().describe(&description).await?;
    }
    Ok(answer::ok(&settings(&*vault).await?))
}

/// Nothing is transcribed here, so recordings are kept like all files.
fn check_config(config: &Map<String, Value>) -> Result<(), Failure> {
    match config.get("audio_retention") {
        None => Ok(()),
        Some(Value::String(how)) if how == "keep" => Ok(()),
        Some(_) => Err(Failure::Unsupported {
            parameter: "config.audio_retention".into(),
            message: "this vault keeps every file; audio_retention can only be \"keep\". Nothing was written".into(),
        }),
    }
}

async fn settings(vault: &dyn Vault) -> Result<Value, Failure> {
    Ok(json!({
        "name": vault.name(),
        "description": vault.profile().description().await?,
        "config": { "audio_retention": "keep" },
    }))
}

fn stats(stats: &Stats) -> Value {
    let end = |end: &Option<(reveille_vault::NoteId, jiff::Timestamp)>| {
        end.as_ref()
            .map(|(id, at)| json!({ "id": id, "createdAt": millis::format(*at) }))
    };
    let months = stats.by_month.iter();
    let months: Vec<_> = months
        .map(|(month, count)| json!({ "month": month, "count": count }))
        .collect();
    let tags: Vec<_> = stats
        .top_tags
        .iter()
        .map(|(tag, count)| json!({ "tag": tag, "count": count }))
        .collect();
    json!({
        "totalNotes": stats.notes,
        "earliestNote": end(&stats.earliest),
        "latestNote": end(&stats.latest),
        "notesByMonth": months,
        "topTags": tags,
        "tagCount": stats.tags,
        "linkCount": stats.links,
    })
}
