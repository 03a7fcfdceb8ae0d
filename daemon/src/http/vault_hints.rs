//! `POST /api/vault/inbound` and its siblings: the server of a vault says that something was written there.
//!
//! It is a hint and no message: what counts is read from the vault. A wrong one costs a look there and does no harm, and one
//! that never comes is made good by the next scan. Who shows a secret that is none has guessed, and is counted as who shows a
//! wrong token.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode, Uri, header};
use reveille_vault::{Kind, NoteId};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::Api;
use super::audit::{peer, turned_away};
use super::error::ApiError;
use super::refusal::Refusal;
use crate::config::{Place, Secret, Vaults};

/// Most bytes of a hint: it holds a note.
pub(super) const BODY_BYTES: usize = 32 << 20;
/// The header in which older servers show the secret.
const SECRET_HEADER: &str = "x-channel-webhook-secret";

/// A file with a secret is read again after this time, however often somebody tries.
const REREAD: Duration = Duration::from_secs(1);

type Digest = [u8; 32];

/// The secret of one vault.
struct Known {
    vault: String,
    secret: Secret,
    /// What it was when it was last looked at; `None`: it could not be read.
    seen: Mutex<Option<(Instant, Option<Digest>)>>,
}

impl Known {
    fn new(vault: String, secret: Secret) -> Self {
        Self {
            vault,
            secret,
            seen: Mutex::default(),
        }
    }

    fn digest(&self) -> Option<Digest> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, digest)) = &*seen
            && at.elapsed() < REREAD
        {
            return *digest;
        }
        let digest = match self.secret.reveal() {
            Ok(secret) => Some(Sha256::digest(secret).into()),
            Err(reason) => {
                let vault = &self.vault;
                tracing::warn!(vault, reason, "the secret of the vault's webhooks cannot be used");
                None
            }
        };
        *seen = Some((Instant::now(), digest));
        digest
    }
}

/// The secrets that the servers of vaults show. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Webhooks(Arc<RwLock<Vec<Known>>>);

impl Webhooks {
    /// As they are configured.
    #[must_use]
    pub(crate) fn of(vaults: &Vaults) -> Self {
        let secrets = vaults.all().filter_map(|vault| match &vault.place {
            Place::Parachute(peer) => Some(Known::new(vault.name.clone(), peer.webhook_secret.clone()?)),
            Place::Embedded | Place::Folder(_) => None,
        });
        Self(Arc::new(RwLock::new(secrets.collect())))
    }

    /// A vault has come, or has another secret; `None`: it has none, or has gone.
    pub(crate) fn set(&self, vault: &str, secret: Option<Secret>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|known| known.vault != vault);
        all.extend(secret.map(|secret| Known::new(vault.to_owned(), secret)));
    }

    /// The vaults whose secret was shown. The time that it takes tells nothing of the secrets.
    fn vaults_of(&self, shown: &str) -> Vec<String> {
        let shown: Digest = Sha256::digest(shown).into();
        let is_shown = |known: &&Known| known.digest().is_some_and(|own| bool::from(own.ct_eq(&shown)));
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(is_shown).map(|known| known.vault.clone()).collect()
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

/// Lets a hint in: the vaults whose secret it shows; none, where it shows a token that is good for waking agents, as those are
/// that a hub gives to the vaults that it connects. Such a token knows no vault: whoever may send messages may make us look in
/// each of them.
///
/// # Errors
/// It shows neither, or guesses too often.
// The future must not hold the request, whose body cannot be shared.
pub(super) fn admit(
    api: &Api,
    request: &Request,
) -> impl Future<Output = Result<Vec<String>, Response>> + Send + use<> {
    let shown = shown(request.headers(), request.uri()).filter(|secret| !secret.is_empty());
    let own = shown
        .as_ref()
        .map_or_else(Vec::new, |secret| api.webhooks.vaults_of(secret));
    // What stands there counts as a token too, and is counted where tokens are.
    let as_token = request.headers().contains_key(header::AUTHORIZATION);
    let caller = (own.is_empty() && as_token).then(|| api.auth.identify(request));
    let (api, peer, path) = (api.clone(), peer(request), request.uri().path().to_owned());
    async move {
        if !own.is_empty() {
            return Ok(own);
        }
        match caller {
            Some(caller) => match caller.await {
                Ok(caller) if caller.may_hint() => Ok(own),
                Err(refusal @ Refusal::TooMany { .. }) => Err(refusal.answer(&path)),
                Ok(_) | Err(_) => Err(unauthorized()),
            },
            None if shown.is_some() => Err(guessed(&api, peer, &path)),
            None => Err(unauthorized()),
        }
    }
}

/// For whoever shows a secret that is none.
fn guessed(api: &Api, peer: IpAddr, path: &str) -> Response {
    if let Some(wait) = api.auth.wrong(peer) {
        return Refusal::TooMany { wait }.answer(path);
    }
    turned_away(peer, "wrong secret of a vault", path);
    unauthorized()
}

/// For whoever shows nothing that is good for a hint.
fn unauthorized() -> Response {
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
        (status = 429, description = "Many wrong secrets or tokens came from that address: `too_many_wrong_tokens`."),
    ),
)]
pub(super) async fn take(State(api): State<Api>, request: Request) -> Response {
    match admit(&api, &request).await {
        Ok(own) => receive(&api, own, request).await,
        Err(refusal) => refusal,
    }
}

/// Follows a hint that was let in; `own`: the vaults whose secret it shows.
pub(super) async fn receive(api: &Api, own: Vec<String>, request: Request) -> Response {
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
        (true, _) => peers(api),
    };
    let mut failed = None;
    let mut looked = false;
    for vault in vaults {
        match look(api, &vault, &note).await {
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

    #[tokio::test(start_paused = true)]
    async fn a_file_with_a_secret_is_read_now_and_then_however_often_somebody_tries() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret");
        std::fs::write(&file, "first").unwrap();
        let webhooks = Webhooks(Arc::default());
        webhooks.set("v", Some(Secret::File(file.clone())));
        assert_eq!(webhooks.vaults_of("first"), ["v"]);
        std::fs::write(&file, "second").unwrap();
        assert_eq!(
            (webhooks.vaults_of("first").len(), webhooks.vaults_of("second").len()),
            (1, 0)
        );
        tokio::time::advance(REREAD).await;
        assert_eq!(
            (webhooks.vaults_of("first").len(), webhooks.vaults_of("second").len()),
            (0, 1)
        );
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
