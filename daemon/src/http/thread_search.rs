//! Looking for conversations by what was said in them.

use std::collections::{BTreeSet, HashMap};

use http::StatusCode;
use reveille_vault::agent::{Outbound, tag};
use reveille_vault::{Note, OrderBy, Query, Vault, VaultError};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Api;
use super::error::ApiError;
use super::found_words::{Found, find_words};

/// Messages of a vault that a search looks at: the newest.
const MATCHES: u32 = 1000;

/// A vault that was not searched.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UnsearchedVault)]
pub(super) struct Unsearched {
    vault: String,
    reason: String,
}

/// Messages with these words, by their conversations.
#[derive(Default)]
pub(super) struct Search {
    /// Each with the words of its newest message that has them, where they are found there.
    pub(super) hits: HashMap<Uuid, Option<Found>>,
    pub(super) unsearched: Vec<Unsearched>,
}

/// Looks for words in the messages of all vaults. One that cannot be searched keeps no other one from it.
pub(super) async fn search(api: &Api, words: &str) -> Result<Search, ApiError> {
    let mut search = Search::default();
    for vault in api.vaults.all() {
        let query = Query {
            tags: vec![tag::INBOUND.into(), tag::OUTBOUND.into()],
            exact_tags: true,
            search: Some(words.to_owned()),
            order_by: Some(OrderBy::CreatedAt),
            descending: true,
            limit: Some(MATCHES),
            ..Query::default()
        };
        let found = match vault.capabilities().search {
            true => vault.query(&query).await,
            false => Err(VaultError::Unsupported {
                vault: vault.name().to_owned(),
                what: "search the text of notes".into(),
            }),
        };
        match found {
            Ok(page) => add_hits(api, &*vault, &page.notes, words, &mut search).await?,
            Err(VaultError::Invalid(message)) => {
                return Err(ApiError::new(StatusCode::BAD_REQUEST, "invalid_parameter", message));
            }
            Err(error) => search.unsearched.push(Unsearched {
                vault: vault.name().to_owned(),
                reason: error.to_string(),
            }),
        }
    }
    Ok(search)
}

async fn add_hits(
    api: &Api,
    vault: &dyn Vault,
    notes: &[Note],
    words: &str,
    search: &mut Search,
) -> Result<(), ApiError> {
    // Of a conversation with many of them the newest is shown; the others need not be asked about.
    let mut seen = BTreeSet::new();
    for note in notes {
        let turn = match Outbound::is(note) {
            // silent-ok: only turns are written there
            true => match note.text("turn").and_then(|turn| turn.parse().ok()) {
                Some(turn) if seen.insert(turn) => api.queue.turn(turn).await?,
                _ => None,
            },
            false => api.queue.turn_of(vault.name(), note.id.as_str()).await?,
        };
        if let Some(turn) = turn {
            search
                .hits
                .entry(turn.conversation)
                .or_insert_with(|| find_words(&note.content, words));
        }
    }
    Ok(())
}
