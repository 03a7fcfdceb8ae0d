//! Rules of the vault that no program needs by themselves, for the fuzz targets alone.

pub use crate::folder::fuzzing::{says_the_same, with_key, with_tag};
use crate::store::VaultError;
use crate::tags::TagChange;
use crate::{attachment, embedded, wikilink};

/// Tags as they are stored.
///
/// # Errors
/// [`VaultError::Invalid`].
pub fn stored_tags(tags: &[String]) -> Result<Vec<String>, VaultError> {
    embedded::rules::checked_tags(tags)
}

/// A path as it is stored; `None`: nothing is left of it.
///
/// # Errors
/// [`VaultError::Invalid`].
pub fn stored_path(path: &str) -> Result<Option<String>, VaultError> {
    embedded::rules::checked_path(path)
}

/// The name of a file as it is stored.
#[must_use]
pub fn file_name(name: &str) -> String {
    attachment::file_name(name)
}

/// A change of a tag as it is kept.
///
/// # Errors
/// [`VaultError::Invalid`].
pub fn checked(change: TagChange) -> Result<TagChange, VaultError> {
    change.checked()
}

/// The text with the links to `old` leading to `new`; `None`: there are none.
#[must_use]
pub fn retargeted(text: &str, old: &str, new: &str) -> Option<String> {
    wikilink::retarget(text, |target| (target == old).then(|| new.to_owned()))
}
