//! Reading notes.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::answer::{Reply, broken};
use super::store::{Store, Stored};
use super::{Shared, lock, tags};

/// Parameters: of one that comes twice the first counts.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn of(query: &str) -> Self {
        let pair = |pair: &str| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(key), decoded(value))
        };
        Self(query.split('&').filter(|part| !part.is_empty()).map(pair).collect())
    }

    fn get(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().find(|(name, _)| name == key)?;
        Some(found.1.as_str()).filter(|value| !value.is_empty())
    }

    fn list(&self, key: &str) -> Vec<&str> {
        self.get(key)
            .map(|value| value.split(',').collect())
            .unwrap_or_default()
    }

    fn is_set(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| value == "true" || value == "1")
    }

    fn number(&self, key: &str) -> Option<i64> {
        self.get(key)?.parse().ok()
    }
}

fn decoded(text: &str) -> String {
    let text = text.replace('+', " ");
    percent_encoding::percent_decode_str(&text)
        .decode_utf8_lossy()
        .into_owned()
}

/// `GET /notes/{key}`.
pub(super) fn show(shared: &Shared, key: &str, query: &str) -> Reply {
    let parameters = Parameters::of(query);
    if lock(&shared.faults).unreadable.iter().any(|note| note == key) {
        return broken();
    }
    match lock(&shared.store).find(key) {
        None => Reply::Json(404, json!({ "error": "Not found" })),
        Some(note) if parameters.get("include_content") == Some("false") => Reply::Json(200, note.lean()),
        Some(note) => Reply::Json(200, note.full()),
    }
}

/// `GET /notes`.
pub(super) fn list(shared: &Shared, query: &str) -> Reply {
    let parameters = Parameters::of(query);
    let faults = lock(&shared.faults).clone();
    let mut store = lock(&shared.store);
    if let Some(id) = parameters.get("id") {
        return match store.find(id) {
            Some(note) => Reply::Json(200, note.full()),
            None => Reply::Json(404, json!({ "error": "Note not found", "id": id })),
        };
    }
    if let Some(field) = parameters.get("order_by") {
        let body = json!({ "error": format!("{field} is not indexed"), "code": "FIELD_NOT_INDEXED" });
        return Reply::Json(400, body);
    }
    store.listings += 1;
    let mut notes: Vec<&Stored> = store.all().filter(|note| matches(&store, &parameters, note)).collect();
    notes.retain(|note| !faults.unlisted.contains(&note.id));
    let (descending, turn) = (parameters.get("sort") == Some("desc"), store.listings);
    notes.sort_by(|one, other| one.created_at.cmp(&other.created_at).then(one.seq.cmp(&other.seq)));
    if faults.shuffle_ties {
        let place = |note: &Stored| note.seq.wrapping_mul(turn.wrapping_mul(2).wrapping_add(1)) % 1_009;
        notes.sort_by(|one, other| {
            one.created_at
                .cmp(&other.created_at)
                .then(place(one).cmp(&place(other)))
        });
    }
    if descending {
        notes.reverse();
    }
    let offset = parameters
        .number("offset")
        .and_then(|offset| usize::try_from(offset).ok())
        .unwrap_or(0);
    let limit = match parameters.number("limit") {
        Some(-1) => usize::MAX,
        Some(limit) => usize::try_from(limit).unwrap_or(50),
        None => 50,
    };
    let limit = if faults.page_max > 0 {
        limit.min(faults.page_max)
    } else {
        limit
    };
    let full = parameters.is_set("include_content");
    let render = |note: &Stored| if full { note.full() } else { note.lean() };
    let page: Vec<Value> = notes.into_iter().skip(offset).take(limit).map(render).collect();
    Reply::Json(200, page.into())
}

fn matches(store: &Store, parameters: &Parameters, note: &Stored) -> bool {
    let lower = |text: &str| text.to_ascii_lowercase();
    let path = note.path.as_deref().map(lower);
    let asked = parameters.list("tag");
    let has = |tag: &&str| {
        let family: BTreeSet<String> = tags::family(store, tag);
        note.tags.iter().any(|tag| family.contains(tag))
    };
    // Any other word than `any` means all.
    let tags = match parameters.get("tag_match") {
        _ if asked.is_empty() => true,
        None | Some("any") => asked.iter().any(has),
        Some(_) => asked.iter().all(has),
    };
    let excluded = parameters.list("exclude_tag");
    tags && !note.tags.iter().any(|tag| excluded.contains(&tag.as_str()))
        && parameters.get("path").is_none_or(|asked| path == Some(lower(asked)))
        && parameters
            .get("path_prefix")
            .is_none_or(|asked| path.as_deref().is_some_and(|path| like_prefix(path, &lower(asked))))
        && parameters
            .get("date_from")
            .is_none_or(|from| note.created_at.as_str() >= from)
        && parameters.get("date_to").is_none_or(|to| note.created_at.as_str() < to)
        && parameters.get("search").is_none_or(|words| {
            words
                .split_whitespace()
                .all(|word| lower(&note.content).contains(&lower(word.trim_matches('"'))))
        })
}

/// A prefix as SQL compares it: `_` is any character, `%` any text.
fn like_prefix(path: &str, pattern: &str) -> bool {
    match pattern.chars().next() {
        None => true,
        Some('%') => path
            .char_indices()
            .map(|(at, _)| at)
            .chain([path.len()])
            .any(|at| like_prefix(&path[at..], &pattern[1..])),
        Some(first) => match path.chars().next() {
            Some(c) if first == '_' || first == c => like_prefix(&path[c.len_utf8()..], &pattern[first.len_utf8()..]),
            _ => false,
        },
    }
}
