//! Query parameters of reads.

use axum::http::Uri;

use super::answer::{Failure, Fields, Form};
use super::expand::Expand;
use super::filters;

/// Notes in a listing that names no limit.
const DEFAULT_LIMIT: u32 = 50;

/// Most notes in one answer. Larger limits get so many and a cursor for the rest.
const MOST: u32 = 10_000;

/// Known to other vaults, not to this one yet. To ignore a filter would answer notes that were not asked for.
const UNSUPPORTED: &[&str] = &["metadata"];

/// The parameters of one request, decoded.
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads them, and refuses those that are not supported.
    pub(super) fn of(uri: &Uri) -> Result<Self, Failure> {
        let pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        Self::of_pairs(pairs.into_owned().collect())
    }

    /// The same of names and values that came another way.
    pub(super) fn of_pairs(pairs: Vec<(String, String)>) -> Result<Self, Failure> {
        let parameters = Self(pairs);
        for (name, value) in &parameters.0 {
            filters::refuse_misspelt(name)?;
            let bare = name.split('[').next().unwrap_or_default();
            if UNSUPPORTED.contains(&bare) && !value.is_empty() {
                let message = match bare {
                    "metadata" => "write meta.<key>=<value> or meta.<key>[<operator>]=<value> instead".to_owned(),
                    _ => format!("this vault does not support {bare} yet; leave it out"),
                };
                return Err(Failure::Unsupported {
                    parameter: name.clone(),
                    message,
                });
            }
        }
        Ok(parameters)
    }

    /// The first value that is not empty.
    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// The first name with this beginning whose value is not empty.
    pub(super) fn named_like(&self, beginning: &str) -> Option<&str> {
        let mut pairs = self.0.iter();
        let pair = pairs.find(|(name, value)| name.starts_with(beginning) && !value.is_empty());
        pair.map(|(name, _)| name.as_str())
    }

    /// A comma list; repeated parameters add to it.
    pub(super) fn list(&self, names: &[&str]) -> Vec<String> {
        let values = self
            .0
            .iter()
            .filter(|(key, _)| names.contains(&key.as_str()))
            .map(|(_, value)| value);
        let items = values.flat_map(|value| value.split(',')).map(str::trim);
        items.filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    pub(super) fn switch(&self, name: &str, default: bool) -> Result<bool, Failure> {
        Ok(self.choice(name)?.unwrap_or(default))
    }

    pub(super) fn choice(&self, name: &str) -> Result<Option<bool>, Failure> {
        match self.first(name) {
            None => Ok(None),
            Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(_) => Err(Failure::invalid(name, format!("{name} must be true or false"))),
        }
    }

    /// Which parts of the notes are asked for. `content`: whether the body is there unless asked otherwise.
    pub(super) fn form(&self, content: bool) -> Result<Form, Failure> {
        let metadata = match self.first("include_metadata") {
            None | Some("true" | "1") => Fields::All,
            Some("false" | "0") => Fields::None,
            Some(_) => Fields::Only(self.list(&["include_metadata"])),
        };
        Ok(Form {
            content: self.switch("include_content", content)?,
            metadata,
            attachments: self.switch("include_attachments", false)?,
            links: self.switch("include_links", false)?,
            expand: Expand::of(self)?,
        })
    }

    /// What follows `prefix` in the names that begin with it, with the values.
    pub(super) fn named(&self, prefix: &str) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        pairs.filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value)))
    }

    /// Negative: all. No number: the default.
    pub(super) fn limit(&self) -> u32 {
        match self.number("limit") {
            None => DEFAULT_LIMIT,
            Some(limit) => u32::try_from(limit).unwrap_or(MOST).min(MOST),
        }
    }

    pub(super) fn number(&self, name: &str) -> Option<i64> {
        // silent-ok: the contract reads what is no number as absent
        self.first(name)?.parse().ok()
    }
}
