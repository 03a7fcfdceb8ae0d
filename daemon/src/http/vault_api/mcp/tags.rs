//! The tools that read and write tags.

use std::sync::Arc;

use reveille_vault::Vault;
use serde_json::{Value, json};

use super::super::tags;
use super::arguments::Arguments;
use super::bounds::{self, Shown};
use super::rest;
use super::server::{Refusal, Told};
use crate::tokens::Tokens;

/// `list-tags`
pub(super) async fn list(vault: &Arc<dyn Vault>, arguments: Arguments) -> Result<Told, Refusal> {
    let uri = rest::uri(&arguments.parameters()?)?;
    let told = rest::told(&**vault, tags::list(rest::target(vault, ""), uri).await).await?;
    let Value::Array(all) = told else {
        return Ok(Told::of(told));
    };
    let count = all.len();
    let Shown { notes, left_out } = bounds::list(all);
    let shown = notes.len();
    Ok(Told {
        value: notes.into(),
        more: (left_out > 0).then(|| {
            format!("Only the first {shown} of {count} tags are shown, by name. Ask for one with tag, or leave out the schema.")
        }),
    })
}

/// `update-tag`
pub(super) async fn update(vault: &Arc<dyn Vault>, mut arguments: Arguments) -> Result<Told, Refusal> {
    let tag = arguments.needed("tag")?;
    let body = rest::body(&arguments.rest().into());
    let told = rest::told(&**vault, tags::put(rest::target(vault, &tag), body).await).await?;
    Ok(Told::of(told))
}

/// `delete-tag`
pub(super) async fn delete(vault: &Arc<dyn Vault>, tokens: &Tokens, mut arguments: Arguments) -> Result<Told, Refusal> {
    let tag = arguments.needed("tag")?;
    let mut told = rest::told(&**vault, tags::delete(rest::target(vault, &tag), tokens.clone()).await).await?;
    told["tag"] = json!(tag);
    Ok(Told::of(told))
}
