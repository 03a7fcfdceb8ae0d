//! Readers of what comes from outside, for the fuzz targets alone.

pub use crate::http::fuzzing::{Answer, VaultApi, job_change};
pub use crate::triggers::answer::fuzzing::outcome;

use crate::triggers::address;

/// The address of a webhook, as it is used.
///
/// # Errors
/// Why it is none.
pub fn webhook(text: &str) -> Result<String, String> {
    address::parse(text).map(String::from)
}

/// The address of a webhook, as it is shown.
#[must_use]
pub fn shown_webhook(text: &str) -> String {
    address::shown(text)
}
