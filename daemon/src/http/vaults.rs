//! Which vaults there are, for those who may look into them.

use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::refusal::Refusal;
use super::wire::VaultKind;
use super::{Api, Caller};
use crate::module;

impl Caller {
    fn reads(&self, vault: &str) -> bool {
        match self {
            Self::Operator => true,
            Self::Turn(origin) => origin.vault == vault,
            Self::Token(grant) => grant.reads(vault),
        }
    }
}

fn names(api: &Api, caller: &Caller) -> Vec<String> {
    let names = api.vaults.names().into_iter();
    names.filter(|name| caller.reads(name)).collect()
}

/// Names of vaults.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VaultNames {
    vaults: Vec<String>,
}

/// The names of the vaults that the caller may look into.
#[utoipa::path(
    get, path = "/vaults/list", operation_id = "listVaultNames", tag = "vaults",
    responses((status = 200, description = "The names.", body = VaultNames)),
)]
pub(super) async fn list(State(api): State<Api>, Extension(caller): Extension<Caller>) -> Json<VaultNames> {
    Json(VaultNames {
        vaults: names(&api, &caller),
    })
}

/// A vault.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VaultSummary {
    name: String,
    kind: VaultKind,
}

/// Vaults.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VaultList {
    vaults: Vec<VaultSummary>,
}

/// The vaults that the caller may look into.
#[utoipa::path(
    get, path = "/vaults", operation_id = "listVaults", tag = "vaults",
    responses((status = 200, description = "The vaults.", body = VaultList)),
)]
pub(super) async fn show(State(api): State<Api>, Extension(caller): Extension<Caller>) -> Json<VaultList> {
    let all = api.vaults.all();
    let seen = all.iter().filter(|vault| caller.reads(vault.name()));
    let vaults = seen.map(|vault| VaultSummary {
        name: vault.name().to_owned(),
        kind: vault.kind().into(),
    });
    let vaults = vaults.collect();
    Json(VaultList { vaults })
}

/// Where a vault is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VaultPlace {
    name: String,
    url: String,
}

/// The hub whose tokens let in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HubPlace {
    /// Its address.
    origin: String,
    /// Where a person signs in to it.
    sign_in_url: String,
    /// Where a browser that is signed in there gets a token for us.
    token_url: String,
}

impl HubPlace {
    fn of(api: &Api) -> Option<Self> {
        let origin = api.auth.takes_hub_tokens().then(|| api.place.origin())?;
        Some(Self {
            sign_in_url: format!("{origin}/admin"),
            token_url: format!("{origin}/admin/module-token/{}", module::NAME),
            origin,
        })
    }
}

/// How a client gets in.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuthStatus {
    initialized: bool,
    #[serde(rename = "auth_modes")]
    auth_modes: [&'static str; 1],
    /// Those that the caller may look into.
    vaults: Vec<VaultPlace>,
    has_owner_password: bool,
    has_totp: bool,
    has_tokens: bool,
    /// Null when there is none.
    #[schema(required)]
    hub: Option<HubPlace>,
}

/// How a client gets in. For everybody; strangers are told no names.
#[utoipa::path(
    get, path = "/auth/status", operation_id = "getAuthStatus", tag = "about",
    security((), ("bearer" = []), ("api_key" = []), ("cookie" = [])),
    responses(
        (status = 200, description = "How.", body = AuthStatus),
        (status = 401, description = "The token that was shown does not let in: `unauthorized`, `token_expired`, `key_in_url`, `turn_is_over`."),
        (status = 403, description = "The request came from another site: `cross_site`."),
        (status = 429, description = "Too many wrong tokens: `too_many_wrong_tokens`."),
    ),
)]
pub(super) async fn status(State(api): State<Api>, request: Request) -> Result<Json<AuthStatus>, Response> {
    let caller = match api.auth.identify(&request).await {
        Ok(caller) => Some(caller),
        Err(Refusal::Nobody) => None,
        Err(refusal) => return Err(refusal.answer(request.uri().path())),
    };
    let names = caller.map_or_else(Vec::new, |caller| names(&api, &caller));
    let vaults = names.into_iter().map(|name| VaultPlace {
        url: format!("{}/vault/{name}", api.url),
        name,
    });
    Ok(Json(AuthStatus {
        initialized: true,
        auth_modes: ["pvt_token"],
        vaults: vaults.collect(),
        has_owner_password: false,
        has_totp: false,
        has_tokens: true,
        hub: HubPlace::of(&api),
    }))
}
