//! `/api/tokens`: tokens for the daemon and for its vaults, for the operator and for tokens with `reveille:admin`. Who has
//! such a token makes, sees and revokes those that reach no further than it does itself.

use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use jiff::Timestamp;
use reveille_vault::note::{bare_tag, millis};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::{ApiError, Body, Segment};
use super::refusal::Refusal;
use super::step_up::Proof;
use super::{Api, Caller};
use crate::tokens::{Grant, NewGrant, Scope, TokensError, Verb};

/// Longest label, in characters.
const LABEL_CHARS: usize = 200;
/// Most tags, and most scopes, of one token.
const MANY: usize = 100;

/// What a token is to be.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewToken)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    /// `reveille:read|send|write|admin`, and `vault:NAME:read|write|admin`.
    #[schema(min_items = 1, max_items = 100)]
    scopes: Vec<String>,
    /// What a person calls it; 200 characters.
    label: Option<String>,
    /// Only notes with these, or with a tag below one of them. For tokens of vaults alone.
    #[serde(default)]
    tags: Vec<String>,
    /// When it ends; without it never by itself.
    expires_at: Option<Timestamp>,
}

impl New {
    fn grant(self) -> Result<NewGrant, ApiError> {
        let mut scopes = Vec::new();
        for text in &self.scopes {
            let scope = Scope::full(text).ok_or_else(|| {
                bad(format!(
                    "scopes: {text:?} is none; there are reveille:read|send|write|admin, and vault:NAME:read|write|admin"
                ))
            })?;
            scopes.push(scope);
        }
        scopes.sort_unstable();
        scopes.dedup();
        if scopes.is_empty() || scopes.len() > MANY {
            return Err(bad(format!("scopes: a token has 1 to {MANY} of them")));
        }
        let label = self.label.as_deref().map(str::trim).filter(|label| !label.is_empty());
        if label.is_some_and(|label| label.chars().count() > LABEL_CHARS) {
            return Err(bad(format!("label: it may have {LABEL_CHARS} characters")));
        }
        let tags = tags(&self.tags, &scopes)?;
        let expires_at = self.expires_at.map(millis::truncate);
        if expires_at.is_some_and(|end| end <= Timestamp::now()) {
            return Err(bad("expires_at: it is in the past".into()));
        }
        Ok(NewGrant {
            label: label.map(str::to_owned),
            scopes,
            tags,
            expires_at,
        })
    }
}

fn tags(asked: &[String], scopes: &[Scope]) -> Result<Vec<String>, ApiError> {
    let mut tags = Vec::new();
    for text in asked {
        let tag = bare_tag(text.trim()).trim();
        if tag.is_empty() || tag.contains(['/', ',']) {
            let message = format!("tags: {text:?} is none to limit a token to: it must be the text before the first /");
            return Err(bad(message));
        }
        tags.push(tag.to_owned());
    }
    tags.sort_unstable();
    tags.dedup();
    if tags.len() > MANY {
        return Err(bad(format!("tags: a token can be limited to {MANY} of them")));
    }
    if !tags.is_empty() && scopes.iter().any(Scope::is_of_daemon) {
        return Err(bad(
            "tags: what agents do is not limited to tags; make a token for vaults alone, or leave the tags out".into(),
        ));
    }
    Ok(tags)
}

fn bad(message: String) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "invalid_body", message).then("Nothing was made.")
}

impl Caller {
    /// Whether this caller reaches at least as far as a token does.
    fn reaches(&self, new: &NewGrant) -> bool {
        match self {
            Self::Operator => true,
            Self::Turn(_) => false,
            Self::Token(own) => new.scopes.iter().all(|scope| own.covers(scope)),
        }
    }
}

/// A token, without its text.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
pub(super) struct View {
    id: String,
    label: Option<String>,
    scopes: Vec<String>,
    /// Null: it is not limited to tags.
    scoped_tags: Option<Vec<String>>,
    created_at: String,
    /// Null: never by itself.
    expires_at: Option<String>,
    /// Null: never.
    last_used_at: Option<String>,
    /// The token that it was made with, and is revoked with. Null: the operator made it.
    made_by: Option<String>,
}

impl View {
    fn of(grant: &Grant) -> Self {
        let new = &grant.new;
        Self {
            id: grant.id.clone(),
            label: new.label.clone(),
            scopes: new.scopes.iter().map(ToString::to_string).collect(),
            scoped_tags: (!new.tags.is_empty()).then(|| new.tags.clone()),
            created_at: millis::format(grant.created_at),
            expires_at: new.expires_at.map(millis::format),
            last_used_at: grant.last_used_at().map(millis::format),
            made_by: grant.made_by.clone(),
        }
    }
}

/// Tokens.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenList {
    tokens: Vec<View>,
}

/// The tokens that reach no further than who asks.
#[utoipa::path(
    get, path = "/api/tokens", operation_id = "listTokens", tag = "tokens",
    responses((status = 200, description = "The tokens, in the order in which they were made.", body = TokenList)),
)]
pub(super) async fn list(State(api): State<Api>, Extension(caller): Extension<Caller>) -> Json<TokenList> {
    let all = api.tokens.list();
    let seen = all.iter().filter(|grant| caller.reaches(&grant.new));
    Json(TokenList {
        tokens: seen.map(|grant| View::of(grant)).collect(),
    })
}

/// A token with its text.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenMade {
    #[serde(flatten)]
    view: View,
    /// The token. This is the only time that it is shown.
    token: String,
}

/// Makes a token. One that is made with another one reaches no further, ends no later, and is revoked with it.
#[utoipa::path(
    post, path = "/api/tokens", operation_id = "createToken", tag = "tokens", request_body = New,
    responses(
        (status = 201, description = "The token.", body = TokenMade),
        (status = 403, description = "It would reach further than who asks, or needs the PIN: `insufficient_scope`, `step_up_required`."),
    ),
)]
pub(super) async fn make(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    proof: Proof,
    Body(new): Body<New>,
) -> Result<(StatusCode, Json<TokenMade>), Refusal> {
    let new = new.grant()?;
    let maker = match &caller {
        Caller::Token(maker) => Some(&**maker),
        Caller::Operator | Caller::Turn(_) => None,
    };
    if !caller.reaches(&new) {
        let further = new
            .scopes
            .iter()
            .find(|scope| maker.is_none_or(|maker| !maker.covers(scope)));
        return Err(Refusal::Scope {
            needed: further.cloned().unwrap_or_else(|| Scope::daemon(Verb::Admin)),
            granted: maker.map(|maker| maker.new.scopes.clone()).unwrap_or_default(),
        });
    }
    if new.scopes.iter().any(Scope::is_admin) {
        proof.check(&api.step_up)?;
    }
    let (grant, token) = api.tokens.create(new, maker).await.map_err(|error| failed(&error))?;
    tracing::info!(id = grant.id, "a token was made");
    let view = View::of(&grant);
    Ok((StatusCode::CREATED, Json(TokenMade { view, token })))
}

/// What was revoked.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenRevoked {
    revoked: bool,
    id: String,
}

/// Takes a token away, with those that were made with it.
#[utoipa::path(
    delete, path = "/api/tokens/{id}", operation_id = "revokeToken", tag = "tokens",
    params(("id" = String, Path, description = "Its id, as the list shows it.")),
    responses(
        (status = 200, description = "It does not work any more.", body = TokenRevoked),
        (status = 404, description = "There is none that reaches no further than who asks: `unknown_token`."),
    ),
)]
pub(super) async fn revoke(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Segment(id): Segment,
) -> Result<Json<TokenRevoked>, ApiError> {
    let there = api.tokens.find(&id);
    // What reaches further is not there for who asks. The operator may ask again when a removal has failed.
    let hidden = match &there {
        Some(grant) => !caller.reaches(&grant.new),
        None => !matches!(caller, Caller::Operator),
    };
    if hidden || !api.tokens.revoke(&id).await.map_err(|error| failed(&error))? {
        let message = format!("There is no token {id:?}");
        return Err(ApiError::new(StatusCode::NOT_FOUND, "unknown_token", message)
            .then("Nothing was revoked. `reveille token list --all` shows those that hold."));
    }
    tracing::info!(id, "a token was revoked");
    Ok(Json(TokenRevoked { revoked: true, id }))
}

fn failed(error: &TokensError) -> ApiError {
    let (status, code) = match error {
        TokensError::TooMany => (StatusCode::BAD_REQUEST, "too_many_tokens"),
        TokensError::TooDeep | TokensError::OfHub => (StatusCode::FORBIDDEN, "insufficient_scope"),
        TokensError::MakerGone => (StatusCode::UNAUTHORIZED, "unauthorized"),
        TokensError::Unwritable(..) => (StatusCode::SERVICE_UNAVAILABLE, "tokens_unavailable"),
    };
    ApiError::new(status, code, error.to_string())
}
