//! `POST /api/vault/inbound` and its siblings: the server of a vault says that something was written there.
//!
//! It is a hint and no message: what counts is read from the vault. A wrong one costs a look there and does no harm, and one
//! that never comes is made good by the next scan.

use std::sync::{Arc, PoisonError, RwLock};

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode, Uri, header};
use reveille_vault::{Kind, NoteId};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use utoipa::ToSchema;

use super::Api;
use super::error::ApiError;
use crate::config::{Place, Secret, Vaults};

/// Most bytes of a hint: it holds a note.
pub(super) const BODY_BYTES: usize = 32 << 20;
/// The header in which older servers show the secret.
const SECRET_HEADER: &str = "x-channel-webhook-secret";

/// The secrets that the servers of vaults show, by the name of the vault. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Webhooks(Arc<RwLock<Vec<(String, Secret)>>>);

impl Webhooks {
    /// As they are configured.
    #[must_use]
    pub(crate) fn of(vaults: &Vaults) -> Self {
        let secrets = vaults.all().filter_map(|vault| match &vault.place {
            Place::Parachute(peer) => Some((vault.name.clone(), peer.webhook_secret.clone()?)),
            Place::Embedded | Place::Folder(_) => None,
        });
        Self(Arc::new(RwLock::new(secrets.collect())))
    }

    /// A vault has come, or has another secret; `None`: it has none, or has gone.
    pub(crate) fn set(&self, vault: &str, secret: Option<Secret>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(name, _)| name != vault);
        all.extend(secret.map(|secret| (vault.to_owned(), secret)));
    }

    /// The vaults whose secret was shown. The time that it takes tells nothing of the secrets.
    fn vaults_of(&self, shown: &str) -> Vec<String> {
        let shown = Sha256::digest(shown);
        let is_shown = |name: &str, secret: &Secret| match secret.reveal() {
            Ok(secret) => bool::from(Sha256::digest(&secret).as_slice().ct_eq(shown.as_slice())),
            Err(reason) => {
                tracing::warn!(
                    vault = name,
                    reason,
                    "the secret of the vault's webhooks cannot be used"
                );
                false
            }
        };
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let known = all.iter().filter(|(name, secret)| is_shown(name, secret));
        known.map(|(name, _)| name.clone()).collect()
    }
}

/// The secret that a request shows. A header that is there decides. The server of May 2026 can send no header, only an
/// address: so for these routes alone a secret in the address is taken. It can do nothing but make us look.
fn shown(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &http::HeaderValue| value.to_str().ok())
    };
    if headers.contains_key(header::AUTHORIZATION) {
        let bearer = text(header::AUTHORIZATION.as_str())?;
        return bearer.strip_prefix("Bearer ").map(|token| token.trim().to_owned());
    }
    if headers.contains_key(SECRET_HEADER) {
        return text(SECRET_HEADER).map(str::to_owned);
    }
    let mut pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    pairs
        .find(|(key, _)| key == "secret")
        .map(|(_, secret)| secret.into_owned())
}

/// What is read of a hint.
#[derive(Deserialize, ToSchema)]
#[schema(as = VaultHint)]
pub(super) struct Hint {
    note: Named,
    vault: Option<String>,
}

/// A note.
#[derive(Deserialize, ToSchema)]
#[schema(as = VaultHintNote)]
pub(super) struct Named {
    id: String,
}

/// Whether a request shows the secret of a vault.
pub(super) fn is_from_a_vault(api: &Api, request: &Request) -> bool {
    let shown = shown(request.headers(), request.uri()).filter(|secret| !secret.is_empty());
    shown.is_some_and(|secret| !api.webhooks.vaults_of(&secret).is_empty())
}

/// For whoever shows nothing that is good for a hint.
pub(super) fn unauthorized() -> Response {
    let message = "Nothing was shown that is good for a hint.";
    ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", message).into_response()
}

/// An object without keys: each would be a command to the server.
#[derive(ToSchema)]
pub(super) struct Nothing {}

/// The server of a vault says that something was written there. Looks where the hint points, and answers once the queue has
/// what there is.
#[utoipa::path(
    post, path = "/api/vault/inbound", operation_id = "hintInbound", tag = "hints", security(("bearer" = [])),
    params(
        ("X-Channel-Webhook-Secret" = Option<String>, Header, description = "Where older servers show the secret."),
        ("secret" = Option<String>, Query, description = "Where the oldest do."),
    ),
    request_body = Hint,
    responses(
        (status = 200, description = "The queue has what there is.", body = Nothing),
        (status = 401, description = "No secret of a vault was shown: `unauthorized`."),
    ),
)]
pub(super) async fn take(State(api): State<Api>, request: Request) -> Response {
    let shown = shown(request.headers(), request.uri()).filter(|secret| !secret.is_empty());
    let own = shown.map_or_else(Vec::new, |secret| api.webhooks.vaults_of(&secret));
    if own.is_empty() && !may_hint(&api, &request).await {
        return unauthorized();
    }
    let Ok(bytes) = axum::body::to_bytes(request.into_body(), BODY_BYTES).await else {
        return wrong("The hint did not arrive whole, or is larger than 32 MiB.");
    };
    let Ok(hint) = serde_json::from_slice::<Hint>(&bytes) else {
        return wrong("A hint is JSON with `note.id`.");
    };
    let Ok(note) = NoteId::new(hint.note.id) else {
        return wrong("A hint is JSON with `note.id`.");
    };
    let vaults = match (own.is_empty(), hint.vault) {
        (false, _) => own,
        (true, Some(vault)) if api.vaults.get(&vault).is_some() => vec![vault],
        (true, _) => peers(&api),
    };
    let mut failed = None;
    let mut looked = false;
    for vault in vaults {
        match look(&api, &vault, &note).await {
            Ok(()) => looked = true,
            Err(reason) => {
                tracing::warn!(vault, %note, reason, "the vault's server gave a hint that could not be followed; the scan finds what there is");
                failed = Some((vault, reason));
            }
        }
    }
    if let Some((vault, reason)) = failed.filter(|_| !looked) {
        let message = format!("The vault {vault:?} cannot be read now: {reason}");
        return ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "vault_unavailable", message)
            .then("Nothing is lost: what was written is found by the next scan.")
            .into_response();
    }
    Json(Value::Object(serde_json::Map::new())).into_response()
}

/// Whether the token of a request is good for waking agents, as those are that a hub gives to the vaults that it connects.
/// It knows no vault: whoever may send messages may make us look in each of them.
// The future must not hold the request, whose body cannot be shared.
pub(super) fn may_hint(api: &Api, request: &Request) -> impl Future<Output = bool> + Send + use<> {
    let shows_token = request.headers().contains_key(header::AUTHORIZATION);
    let caller = api.auth.identify(request);
    async move { shows_token && caller.await.is_ok_and(|caller| caller.may_hint()) }
}

/// The vaults that have a server, which may have something that we do not know of yet.
fn peers(api: &Api) -> Vec<String> {
    let all = api.vaults.all().into_iter();
    let peers = all.filter(|vault| vault.kind() == Kind::Parachute);
    peers.map(|vault| vault.name().to_owned()).collect()
}

async fn look(api: &Api, name: &str, note: &NoteId) -> Result<(), String> {
    let vault = api.vaults.get(name).ok_or("it is not open")?;
    vault.look(Some(note)).await.map_err(|error| error.to_string())?;
    match api.inbox.caught_up(&*vault).await {
        true => Ok(()),
        false => Err("the queue takes longer than usual".into()),
    }
}

pub(super) fn wrong(message: &str) -> Response {
    ApiError::new(StatusCode::BAD_REQUEST, "invalid_json", message).into_response()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn of(headers: &[(&str, &str)], uri: &str) -> Option<String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
        }
        shown(&map, &uri.parse().unwrap())
    }

    #[test]
    fn a_header_decides_over_the_address() {
        let address = "/api/vault/inbound?a=b&secret=in%20address";
        assert_eq!(of(&[], address).as_deref(), Some("in address"));
        assert_eq!(of(&[(SECRET_HEADER, "own")], address).as_deref(), Some("own"));
        let bearer = ("authorization", "Bearer one");
        assert_eq!(of(&[bearer, (SECRET_HEADER, "own")], address).as_deref(), Some("one"));
        for none in ["", "Basic x", "bearer one"] {
            assert_eq!(of(&[("authorization", none)], address), None, "{none:?}");
        }
        assert_eq!(of(&[], "/api/vault/inbound"), None);
    }
}
