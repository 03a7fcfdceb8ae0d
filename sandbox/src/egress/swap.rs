//! A secret, and what a child has in its place.

use std::fmt;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use subtle::ConstantTimeEq as _;

/// Where a key stands alone.
const KEY: HeaderName = HeaderName::from_static("x-api-key");
/// What stands before a token.
const BEARER: &[u8] = b"Bearer ";

/// A secret, and what a child shows in its place: as `X-Api-Key`, or behind `Bearer` in `Authorization`. Nowhere else in a
/// request is one put for the other, or an answer could tell it.
#[derive(Clone)]
pub struct Swap {
    /// What the child has. Nobody else can guess it.
    pub placeholder: String,
    /// What the service wants.
    pub secret: String,
}

impl fmt::Debug for Swap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Swap")
    }
}

impl Swap {
    /// The secret where the placeholder was shown, if it was.
    fn of(&self, name: &HeaderName, shown: &HeaderValue) -> Option<HeaderValue> {
        let start = if *name == AUTHORIZATION { BEARER } else { b"" };
        let (scheme, shown) = shown.as_bytes().split_at_checked(start.len())?;
        let is_it: bool = shown.trim_ascii().ct_eq(self.placeholder.as_bytes()).into();
        if !is_it || !scheme.eq_ignore_ascii_case(start) {
            return None;
        }
        let bytes = [start, self.secret.as_bytes()].concat();
        let mut value = HeaderValue::from_bytes(&bytes).ok()?; // silent-ok: looked at when the shield was made
        value.set_sensitive(true);
        Some(value)
    }

    /// Whether the secret can stand in a header.
    pub(super) fn is_usable(&self) -> bool {
        !self.placeholder.is_empty() && !self.secret.is_empty() && HeaderValue::from_str(&self.secret).is_ok()
    }
}

/// Takes out what a request shows, and answers the headers that go in its place. `None`: it shows nothing that it was given.
pub(super) fn swapped(swaps: &[Swap], headers: &mut HeaderMap) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let mut found = Vec::new();
    for name in [AUTHORIZATION, KEY] {
        let shown: Vec<HeaderValue> = headers.get_all(&name).iter().cloned().collect();
        headers.remove(&name);
        if let [shown] = shown.as_slice() {
            let secret = swaps.iter().find_map(|swap| swap.of(&name, shown));
            found.extend(secret.map(|secret| (name, secret)));
        }
    }
    (!found.is_empty()).then_some(found)
}
