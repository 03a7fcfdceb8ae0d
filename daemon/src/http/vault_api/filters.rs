//! Which notes a listing is about, from its query parameters.

use reveille_vault::query::moment;
use reveille_vault::{Filter, OrderBy, Query, VaultError};
use serde_json::Value;

use super::answer::Failure;
use super::graph;
use super::listing::Parameters;

/// Names of metadata fields stand behind it.
const META: &str = "meta.";

/// Every parameter that reads know. [`META`] names go beside them.
const KNOWN: &[&str] = &[
    "id",
    "tag",
    "tag_match",
    "exclude_tag",
    "exclude_tags",
    "has_tags",
    "has_links",
    "path",
    "path_prefix",
    "search",
    "date_from",
    "date_to",
    "date_field",
    "updated_since",
    "sort",
    "order_by",
    "limit",
    "offset",
    "cursor",
    "near",
    "format",
    "metadata",
    "include_content",
    "include_metadata",
    "include_attachments",
    "include_links",
    "expand_links",
    "expand_depth",
    "expand_mode",
];

/// How alike two names are (Jaro-Winkler) that one is taken for a misspelling of the other: `tags` and `tag` are 0.94 alike.
const ALIKE: f64 = 0.92;

/// The known name that another one is taken for a misspelling of.
pub(super) fn misspelling(name: &str, known: &[&'static str]) -> Option<&'static str> {
    let alike = |known: &&'static str| strsim::jaro_winkler(name, known);
    let nearest = known
        .iter()
        .copied()
        .max_by(|one, other| alike(one).total_cmp(&alike(other)));
    nearest.filter(|known| alike(known) >= ALIKE)
}

/// Refuses a name that is nearly a known one: to ignore `tags=x` would answer every note of the vault. Other unknown names
/// are ignored, as the contract has it: clients of other vaults send parameters that this one has not heard of (a token in
/// `key`, something against caches), and none of the known clients sends a misspelt one.
pub(super) fn refuse_misspelt(name: &str) -> Result<(), Failure> {
    let bare = name.split('[').next().unwrap_or_default();
    if name.starts_with(META) || KNOWN.contains(&bare) {
        return Ok(());
    }
    match misspelling(bare, KNOWN) {
        None => Ok(()),
        Some(known) => Err(Failure::query(
            "INVALID_QUERY",
            Some(name),
            format!("there is no parameter {name:?}; did you mean {known:?}?"),
        )),
    }
}

impl Parameters {
    pub(super) fn query(&self) -> Result<Query, Failure> {
        let mut query = Query {
            tags: self.list(&["tag"]),
            // Whatever is not `any` means `all`, as clients of other vaults know it.
            all_tags: self.first("tag_match").is_some_and(|how| how != "any"),
            exclude_tags: self.list(&["exclude_tag", "exclude_tags"]),
            path: self.first("path").map(str::to_owned),
            path_prefix: self.first("path_prefix").map(str::to_owned),
            has_tags: self.choice("has_tags")?,
            has_links: self.choice("has_links")?,
            near: graph::near(self)?,
            search: self.first("search").map(str::to_owned),
            order_by: self.first("order_by").map(OrderBy::parse),
            descending: self.first("sort") == Some("desc"),
            limit: Some(self.limit()),
            offset: self
                .number("offset")
                .map_or(0, |offset| u32::try_from(offset.max(0)).unwrap_or(u32::MAX)),
            after: self.first("cursor").map(str::to_owned),
            ..Query::default()
        };
        self.dates(&mut query)?;
        self.metadata(&mut query)?;
        Ok(query)
    }

    fn dates(&self, query: &mut Query) -> Result<(), Failure> {
        let (from, to) = (self.first("date_from"), self.first("date_to"));
        let field = self.first("date_field").unwrap_or("created_at");
        let wrong = |error: VaultError, place: &str| Failure::query("INVALID_QUERY", Some(place), error.to_string());
        if from.is_some() || to.is_some() {
            let set = query.set_dates(field, from, to);
            set.map_err(|error| wrong(error, "date_from"))?;
        }
        if let Some(since) = self.first("updated_since") {
            let since = moment(since).map_err(|error| wrong(error, "updated_since"))?;
            query.updated.from = query.updated.from.max(Some(since));
        }
        Ok(())
    }

    /// `meta.<field>=text`, or with an operator: `meta.<field>[gte]=5`.
    fn metadata(&self, query: &mut Query) -> Result<(), Failure> {
        for (name, value) in self.named(META) {
            let operator = name.strip_suffix(']').and_then(|name| name.rsplit_once('['));
            match operator {
                None => query.metadata.push((name.to_owned(), value.to_owned())),
                Some((field, operator)) => {
                    let filter = Filter::parse(field, operator, operand(operator, value));
                    let filter = filter
                        .map_err(|bad| Failure::query(bad.code(), Some(&format!("{META}{name}")), bad.to_string()))?;
                    query.filters.push(filter);
                }
            }
        }
        Ok(())
    }
}

/// What a text of a URL means to an operator. Lists are divided by commas, or written as JSON.
fn operand(operator: &str, text: &str) -> Value {
    match (operator, text) {
        ("eq" | "ne", "null") => Value::Null,
        ("exists", "true" | "1") => true.into(),
        ("exists", "false" | "0") => false.into(),
        ("in" | "not_in", list) => match serde_json::from_str(list) {
            Ok(Value::Array(values)) => Value::Array(values),
            _ if list.is_empty() => Value::Array(Vec::new()),
            _ => list.split(',').map(str::trim).collect(),
        },
        (_, text) => text.into(),
    }
}
