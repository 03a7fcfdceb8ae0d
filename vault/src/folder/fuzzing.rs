//! Changes of files, for the fuzz targets alone.

use serde_json::Value;

use super::document::{self, Change, Document};

/// Whether the front matter of a file can be read; then whether it says the same as that of another one.
#[must_use]
pub fn says_the_same(text: &str, other: &str) -> Option<bool> {
    let (one, other) = (Document::parse(text), Document::parse(other));
    one.trouble.is_none().then(|| one == other)
}

/// The text of a file after a key of the metadata was set, or taken away.
///
/// # Errors
/// Why it cannot be done, and what to do.
pub fn with_key(text: &str, key: &str, value: Option<Value>) -> Result<String, String> {
    let change = Change {
        metadata: vec![(key.to_owned(), value)],
        ..Change::default()
    };
    document::edit(text, &change)
}

/// The text of a file after a tag was added.
///
/// # Errors
/// As of [`with_key`].
pub fn with_tag(text: &str, tag: &str) -> Result<String, String> {
    let change = Change {
        add_tags: vec![tag.to_owned()],
        ..Change::default()
    };
    document::edit(text, &change)
}
