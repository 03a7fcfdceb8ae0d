//! Which vaults there are, for those who may look into them.

use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::response::Response;
use serde_json::{Value, json};

use super::refusal::Refusal;
use super::{Api, Caller};

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

/// `GET /vaults/list`
pub(super) async fn list(State(api): State<Api>, Extension(caller): Extension<Caller>) -> Json<Value> {
    Json(json!({ "vaults": names(&api, &caller) }))
}

/// `GET /vaults`
pub(super) async fn show(State(api): State<Api>, Extension(caller): Extension<Caller>) -> Json<Value> {
    let all = api.vaults.all();
    let seen = all.iter().filter(|vault| caller.reads(vault.name()));
    let vaults: Vec<Value> = seen
        .map(|vault| json!({ "name": vault.name(), "kind": vault.kind() }))
        .collect();
    Json(json!({ "vaults": vaults }))
}

/// `GET /auth/status`: for everybody, so that a client can ask how to get in. Strangers are told no names.
pub(super) async fn status(State(api): State<Api>, request: Request) -> Result<Json<Value>, Response> {
    let caller = match api.auth.identify(&request) {
        Ok(caller) => Some(caller),
        Err(Refusal::Nobody) => None,
        Err(refusal) => return Err(refusal.answer(request.uri().path())),
    };
    let names = caller.map_or_else(Vec::new, |caller| names(&api, &caller));
    let vaults: Vec<Value> = names
        .into_iter()
        .map(|name| json!({ "name": name, "url": format!("{}/vault/{name}", api.url) }))
        .collect();
    Ok(Json(json!({
        "initialized": true,
        "auth_modes": ["pvt_token"],
        "vaults": vaults,
        "hasOwnerPassword": false,
        "hasTotp": false,
        "hasTokens": true,
    })))
}
