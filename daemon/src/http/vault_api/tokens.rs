//! `/vault/{name}/tokens`: the tokens of a vault, for its admins.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get};
use axum::{Extension, Json, Router};
use jiff::Timestamp;
use reveille_vault::note::{bare_tag, millis};
use reveille_vault::{Query, TagScope, Vault, VaultError};
use serde_json::{Value, json};

use super::answer::{self, Failure};
use super::body::Object;
use super::{Caller, Target, Vaults, schema};
use crate::http::step_up::Proof;
use crate::step_up::StepUp;
use crate::tokens::{Grant, NewGrant, Scope, Tokens, TokensError, Verb};

/// Longest label, in characters.
const LABEL_CHARS: usize = 200;
/// Said of a token that was asked for without scopes.
const ALL_OF_THEM: &str = "No scopes were asked for, so this token may do everything with this vault: read, write, make tokens. \
                           Name `scopes` for one that reaches less far.";
/// Most tags of one token.
const TAGS_MAX: usize = 100;

/// The routes. The door lets in admins of the vault only.
pub(super) fn routes(tokens: &Tokens) -> Router<Vaults> {
    let (for_list, for_make, for_revoke) = (tokens.clone(), tokens.clone(), tokens.clone());
    let list = get(move |target| list(target, for_list.clone()));
    let make = move |target, caller, sure, body| make(target, caller, sure, body, for_make.clone());
    Router::new().route("/vault/{name}/tokens", list.post(make)).route(
        "/vault/{name}/tokens/{*key}",
        delete(move |target, caller| revoke(target, caller, for_revoke.clone())),
    )
}

/// Lists the tokens of a vault, for its admins.
#[utoipa::path(
    get, path = "/vault/{name}/tokens", operation_id = "listVaultTokens", tag = "notes",
    params(("name" = String, Path, description = "The vault.")),
    responses(
        (status = 200, description = "The tokens, without their texts.", body = schema::VaultTokens),
        (status = 404, description = "There is no such vault: `vault_not_found`."),
    ),
)]
pub(super) async fn list(Target { vault, .. }: Target, tokens: Tokens) -> Response {
    let name = vault.name();
    let of_vault = tokens.list().into_iter().filter(|grant| grant.reads(name));
    let rendered: Vec<Value> = of_vault.map(|grant| render(&grant, name)).collect();
    answer::ok(&json!({ "tokens": rendered }))
}

/// Makes a token of a vault.
#[utoipa::path(
    post, path = "/vault/{name}/tokens", operation_id = "createVaultToken", tag = "notes",
    params(("name" = String, Path, description = "The vault.")),
    request_body = Option<schema::NewVaultToken>,
    responses(
        (status = 201, description = "The token with its text, which is shown only now.", body = schema::VaultToken),
        (status = 404, description = "There is no such vault: `vault_not_found`."),
    ),
)]
pub(super) async fn make(
    Target { vault, .. }: Target,
    Extension(caller): Extension<Caller>,
    (proof, Extension(step_up)): (Proof, Extension<StepUp>),
    body: Result<Bytes, BytesRejection>,
    tokens: Tokens,
) -> Result<Response, Failure> {
    let (new, notice) = parse(Object::parse_or_empty(body)?, vault.name())?;
    let unknown = unknown_tags(&*vault, &new.tags).await?;
    if !unknown.is_empty() {
        let message = format!("no note carries {}; nothing was made", unknown.join(", "));
        return Err(bad(message, json!({ "unknown_tags": unknown })));
    }
    if new.scopes.iter().any(Scope::is_admin) {
        proof.check(&step_up)?;
    }
    let maker = match &caller {
        Caller::Token(maker) => Some(&**maker),
        Caller::Operator | Caller::Turn(_) => None,
    };
    let made = tokens.create(new, maker).await;
    let (grant, token) = made.map_err(|error| failed(&*vault, &error))?;
    let mut body = render(&grant, vault.name());
    body["token"] = token.into();
    if let Some(notice) = notice {
        body["notice"] = notice.into();
    }
    tracing::info!(id = grant.id, vault = vault.name(), "a token was made");
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// Revokes a token of a vault. It is gone whether or not it was there.
#[utoipa::path(
    delete, path = "/vault/{name}/tokens/{key}", operation_id = "revokeVaultToken", tag = "notes",
    params(("name" = String, Path, description = "The vault."), ("key" = String, Path, description = "Id of the token.")),
    responses(
        (status = 200, description = "It does not hold any more.", body = schema::VaultTokenRevoked),
        (status = 404, description = "There is no such vault: `vault_not_found`."),
    ),
)]
pub(super) async fn revoke(
    Target { vault, key: id, .. }: Target,
    Extension(caller): Extension<Caller>,
    tokens: Tokens,
) -> Result<Response, Failure> {
    let known = match tokens.find(&id) {
        Some(grant) if !grant.reads(vault.name()) => false,
        // One that is good for other vaults too is not for the admin of this one to take away.
        Some(grant) if !matches!(caller, Caller::Operator) && !grant.is_of(vault.name()) => {
            let message = "this token is good for other vaults too; nothing was revoked. Ask the operator to do it";
            return Err(VaultError::Forbidden(message.into()).into());
        }
        // Also one that does not hold any more: its removal may have failed the last time.
        _ => tokens.revoke(&id).await.map_err(|error| failed(&*vault, &error))?,
    };
    if known {
        tracing::info!(id, vault = vault.name(), "a token was revoked");
    }
    Ok(answer::ok(&json!({ "revoked": true, "id": id, "known": known })))
}

/// One token, without its text.
fn render(grant: &Grant, vault: &str) -> Value {
    let new = &grant.new;
    let writes = grant.covers(&Scope::vault(vault, Verb::Write));
    let scopes: Vec<String> = new.scopes.iter().map(|scope| scope.within(vault)).collect();
    json!({
        "id": grant.id,
        "label": new.label,
        "permission": if writes { "full" } else { "read" },
        "scopes": scopes,
        "scoped_tags": if new.tags.is_empty() { Value::Null } else { json!(new.tags) },
        "created_at": millis::format(grant.created_at),
        "expires_at": new.expires_at.map(millis::format),
        "last_used_at": grant.last_used_at().map(millis::format),
    })
}

/// What is asked for, and what is to be said of it.
fn parse(mut body: Object, vault: &str) -> Result<(NewGrant, Option<&'static str>), Failure> {
    let label = body.text("label")?;
    if label
        .as_deref()
        .is_some_and(|label| label.chars().count() > LABEL_CHARS)
    {
        return Err(body.invalid("label", format!("may have {LABEL_CHARS} characters")));
    }
    let expires_at = body.time("expires_at")?;
    if expires_at.is_some_and(|end| end <= Timestamp::now()) {
        let error = "is in the past; leave it out for a token that does not end by itself";
        return Err(bad(format!("expires_at: {error}"), json!({ "field": "expires_at" })));
    }
    let (scopes, tags) = (scopes(&mut body, vault)?, tags(&mut body)?);
    // A misspelt word would not hold the token back from anything.
    if let Some(unknown) = body.fields.keys().next() {
        let message = format!("{unknown:?} is none of label, scopes, scope, expires_at and tags; nothing was made");
        return Err(bad(message, json!({ "field": unknown })));
    }
    // Left out: all three, as the contract has it.
    let notice = scopes.is_none().then_some(ALL_OF_THEM);
    let all = || [Verb::Read, Verb::Write, Verb::Admin].map(|verb| Scope::vault(vault, verb));
    let new = NewGrant {
        label: label
            .map(|label| label.trim().to_owned())
            .filter(|label| !label.is_empty()),
        scopes: scopes.unwrap_or_else(|| all().into()),
        tags,
        expires_at,
    };
    Ok((new, notice))
}

/// `None`: none are named.
fn scopes(body: &mut Object, vault: &str) -> Result<Option<Vec<Scope>>, Failure> {
    let asked = match (body.texts("scopes")?, body.text("scope")?) {
        (None, None) => return Ok(None),
        (asked, text) => {
            let text = text.unwrap_or_default();
            let words = text.split_whitespace().map(str::to_owned);
            words.chain(asked.unwrap_or_default()).collect::<Vec<String>>()
        }
    };
    let (mut scopes, mut rejected) = (Vec::new(), Vec::new());
    for text in asked {
        match Scope::parse(&text, vault) {
            Ok(scope) => scopes.push(scope),
            Err(reason) => rejected.push(json!({ "scope": text, "reason": reason })),
        }
    }
    if !rejected.is_empty() {
        let message = "some scopes are not of this vault; nothing was made".to_owned();
        return Err(bad(message, json!({ "rejected": rejected })));
    }
    if scopes.is_empty() {
        let message = "scopes: names none; leave it out for all of them. Nothing was made".to_owned();
        return Err(bad(message, json!({ "field": "scopes" })));
    }
    scopes.sort_unstable();
    scopes.dedup();
    Ok(Some(scopes))
}

fn tags(body: &mut Object) -> Result<Vec<String>, Failure> {
    let mut tags: Vec<String> = Vec::new();
    for text in body.texts("tags")?.unwrap_or_default() {
        let tag = bare_tag(text.trim()).trim();
        if tag.is_empty() || tag.contains(['/', ',']) {
            let message = format!(
                "tags: {text:?} is no tag that a token can be limited to: it must be the text before the first /"
            );
            return Err(bad(message, json!({ "field": "tags" })));
        }
        tags.push(tag.to_owned());
    }
    tags.sort_unstable();
    tags.dedup();
    if tags.len() > TAGS_MAX {
        return Err(bad(
            format!("tags: a token can be limited to {TAGS_MAX} tags"),
            json!({ "field": "tags" }),
        ));
    }
    Ok(tags)
}

/// Those that no note carries, neither itself nor with a `/` behind it.
async fn unknown_tags(vault: &dyn Vault, tags: &[String]) -> Result<Vec<String>, VaultError> {
    let mut unknown = Vec::new();
    for tag in tags {
        let itself = Query {
            tags: vec![tag.clone()],
            limit: Some(1),
            ..Query::default()
        };
        let below = Query {
            scope: Some(TagScope {
                roots: vec![tag.clone()],
                below: Vec::new(),
            }),
            limit: Some(1),
            ..Query::default()
        };
        if vault.query(&itself).await?.notes.is_empty() && vault.query(&below).await?.notes.is_empty() {
            unknown.push(tag.clone());
        }
    }
    Ok(unknown)
}

fn bad(message: String, more: Value) -> Failure {
    Failure::BadRequest { message, more }
}

fn failed(vault: &dyn Vault, error: &TokensError) -> Failure {
    match error {
        TokensError::TooMany | TokensError::MakerGone | TokensError::TooDeep | TokensError::OfHub => {
            bad(error.to_string(), json!({}))
        }
        TokensError::Unwritable(..) => VaultError::Unavailable {
            vault: vault.name().to_owned(),
            reason: error.to_string(),
        }
        .into(),
    }
}
