//! Tools that are routes of the notes API by another name: the route answers.

use std::sync::Arc;

use axum::body::{Bytes, to_bytes};
use axum::extract::rejection::BytesRejection;
use axum::http::Uri;
use axum::response::Response;
use reveille_vault::{Vault, VaultError};
use serde_json::Value;

use super::super::answer::Failure;
use super::super::{Part, Target};

/// What the path of a request would name.
pub(super) fn target(vault: &Arc<dyn Vault>, key: &str) -> Target {
    Target {
        vault: Arc::clone(vault),
        key: key.to_owned(),
        part: Part::Note,
    }
}

/// Query parameters as a request has them.
pub(super) fn uri(pairs: &[(String, String)]) -> Result<Uri, Failure> {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    Uri::try_from(format!("/?{query}")).map_err(|error| Failure::Invalid {
        field: None,
        message: format!("the arguments cannot be asked for ({error}); make them shorter"),
    })
}

/// A JSON body as a request has it.
pub(super) fn body(value: &Value) -> Result<Bytes, BytesRejection> {
    Ok(Bytes::from(value.to_string()))
}

/// The JSON of an answer.
pub(super) async fn told(vault: &dyn Vault, answer: Result<Response, Failure>) -> Result<Value, Failure> {
    let unreadable = |reason: String| VaultError::Unavailable {
        vault: vault.name().to_owned(),
        reason: format!("its answer cannot be read ({reason})"),
    };
    let bytes = to_bytes(answer?.into_body(), usize::MAX).await;
    let bytes = bytes.map_err(|error| unreadable(error.to_string()))?;
    Ok(serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))?)
}
