//! The tool about the vault as a whole.

use std::sync::Arc;

use axum::http::Method;
use reveille_vault::Vault;
use serde_json::json;

use super::super::about;
use super::arguments::Arguments;
use super::rest;
use super::server::{Refusal, Told};
use crate::http::Caller;

/// `vault-info`
pub(super) async fn info(
    vault: &Arc<dyn Vault>,
    caller: &Caller,
    max_file: usize,
    mut arguments: Arguments,
) -> Result<Told, Refusal> {
    let with_stats = arguments.switch("include_stats")?.unwrap_or(false);
    if let Some(description) = arguments.text("description")? {
        if !caller.may(&Method::PATCH, "/vault/{name}/api/vault", vault.name()) {
            return Err(Refusal::forbidden("You may not describe the vault"));
        }
        let body = rest::body(&json!({ "description": description }));
        rest::told(&**vault, about::change(rest::target(vault, ""), body).await).await?;
    }
    let mut told = rest::told(&**vault, about::about(rest::target(vault, ""), max_file).await).await?;
    if !with_stats && let Some(fields) = told.as_object_mut() {
        fields.remove("stats");
    }
    told["kind"] = json!(vault.kind());
    told["state"] = json!(vault.state());
    told["capabilities"] = json!(vault.capabilities());
    Ok(Told::of(told))
}
