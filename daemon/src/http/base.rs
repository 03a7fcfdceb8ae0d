//! The address under which a client sees the daemon: its own, or that of a proxy which shows it below a mount.
//!
//! What a proxy says (`X-Forwarded-Host`, `X-Forwarded-Proto`) is believed only from the peers in `[server] trusted_proxies`.
//! Where that is left out these are the programs of this machine, and only when a mount or a hub is configured. On loopback
//! everybody is a peer, so no permission may hang on it: it makes the addresses in the answer to the same request, and the
//! origin that a signed-in browser must have written from, and nothing more. Which `Host` is ours ([`super::auth`]) is decided
//! without it, and before: a page under a foreign name that leads here (DNS rebinding) may send any header, and is still turned
//! away; a page of another site may not send this one, since no preflight of ours allows it.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, FromRequestParts, Request};
use axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};
use tower::ServiceExt as _;
use url::Url;

use super::Api;
use crate::config::{Mount, Proxies};

const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Longest name of a host that is repeated.
const HOST_BYTES: usize = 255;

/// What is known of the way to us. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Front {
    /// Empty, or `/reveille`.
    mount: Arc<str>,
    proxies: Arc<Proxies>,
    /// What we are called where a request says nothing better.
    own: Arc<str>,
}

/// Where the daemon is, as one client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base {
    /// `https://host[:port]`
    pub(crate) origin: String,
    /// Empty, or the mount: `/reveille`.
    pub(crate) prefix: String,
    /// A proxy that is believed says that the client came to it by https.
    pub(crate) secure: bool,
}

/// The request came below the mount, which is taken off its address.
#[derive(Debug, Clone, Copy)]
struct BelowMount;

impl Front {
    /// `own`: our address, as we bound it.
    #[must_use]
    pub(crate) fn new(mount: &Mount, proxies: Proxies, own: &str) -> Self {
        Self {
            mount: mount.as_str().into(),
            proxies: Arc::new(proxies),
            own: own.into(),
        }
    }

    /// Empty, or `/reveille`.
    pub(super) fn mount(&self) -> &str {
        &self.mount
    }

    fn base(&self, parts: &Parts) -> Base {
        let believed = peer(parts).is_some_and(|peer| self.proxies.hold(peer));
        let said = |name| believed.then(|| first(&parts.headers, name)).flatten();
        let scheme = said(&FORWARDED_PROTO);
        let secure = scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
        let plain = scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("http"));
        let forwarded = host(&parts.headers, &FORWARDED_HOST).filter(|_| believed);
        let below = parts.extensions.get::<BelowMount>().is_some();
        Base {
            prefix: match forwarded.is_some() || below {
                true => self.mount.to_string(),
                false => String::new(),
            },
            origin: match (forwarded, host(&parts.headers, &header::HOST)) {
                (Some(host), _) if plain => format!("http://{host}"),
                (Some(host), _) => format!("https://{host}"),
                // A proxy that hands the name on as it came.
                (None, Some(host)) if secure && !parts.headers.contains_key(FORWARDED_HOST) => {
                    format!("https://{host}")
                }
                (None, Some(host)) => format!("http://{host}"),
                (None, None) => self.own.to_string(),
            },
            secure,
        }
    }

    /// The rest of a path below the mount: `/`, or what follows.
    fn below<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(&*self.mount).filter(|_| !self.mount.is_empty())?;
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    }

    /// All routes, at their own addresses and below the mount.
    pub(super) fn serve(self, routes: Router) -> Router {
        let serve = move |request: Request| {
            let (front, routes) = (self.clone(), routes.clone());
            async move {
                match front.taken_off(request) {
                    Ok(request) => match routes.oneshot(front.placed(request)).await {
                        Ok(response) => response,
                        Err(never) => match never {},
                    },
                    Err(elsewhere) => *elsewhere,
                }
            }
        };
        Router::new().fallback(serve)
    }

    /// The request with what is known of its way.
    fn placed(&self, request: Request) -> Request {
        let (mut parts, body) = request.into_parts();
        let base = self.base(&parts);
        parts.extensions.insert(base);
        Request::from_parts(parts, body)
    }

    /// The request without the mount in its path; or the way to the page, whose own addresses are relative.
    fn taken_off(&self, mut request: Request) -> Result<Request, Box<Response>> {
        let Some(rest) = self.below(request.uri().path()) else {
            return Ok(request);
        };
        if rest.is_empty() && matches!(*request.method(), Method::GET | Method::HEAD) {
            let last = self.mount.rsplit('/').next().unwrap_or_default();
            let to = format!("{last}/{}", query(request.uri()));
            let headers = [(header::LOCATION, to), (header::CACHE_CONTROL, "no-store".into())];
            return Err(Box::new((StatusCode::FOUND, headers, Body::empty()).into_response()));
        }
        let path = if rest.is_empty() { "/" } else { rest };
        let target = format!("{path}{}", query(request.uri()));
        let mut uri = request.uri().clone().into_parts();
        // silent-ok: a piece of a path that begins with a slash is a path; if not, nothing is there
        uri.path_and_query = PathAndQuery::try_from(target).ok();
        if let Ok(uri) = Uri::from_parts(uri) {
            *request.uri_mut() = uri;
            request.extensions_mut().insert(BelowMount);
        }
        Ok(request)
    }
}

impl Base {
    /// Of a request.
    pub(crate) fn of(api: &Api, parts: &Parts) -> Self {
        let known = parts.extensions.get::<Self>().cloned();
        known.unwrap_or_else(|| api.front.base(parts))
    }

    /// An address of ours, given its path from the slash on.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{}{path}", self.origin, self.prefix)
    }
}

impl FromRequestParts<Api> for Base {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Infallible> {
        Ok(Self::of(api, parts))
    }
}

fn query(uri: &Uri) -> String {
    uri.query().map_or_else(String::new, |query| format!("?{query}"))
}

/// Who is at the other end of the connection.
fn peer(parts: &Parts) -> Option<IpAddr> {
    let connection = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    connection.map(|ConnectInfo(peer)| peer.ip())
}

/// The first of the values that proxies, one after the other, have written.
fn first<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let value = headers.get(name)?.to_str().ok()?; // silent-ok: no text is no name
    value.split(',').next().map(str::trim).filter(|value| !value.is_empty())
}

/// A name with or without a port, and nothing else: it becomes part of addresses.
fn host<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let text = first(headers, name).filter(|text| text.len() <= HOST_BYTES)?;
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"-._:[]".contains(&c);
    (text.bytes().all(plain) && Url::parse(&format!("http://{text}/")).is_ok()).then_some(text)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn front(mount: &str, proxies: Proxies) -> Front {
        Front::new(&Mount::parse(mount).unwrap(), proxies, "http://127.0.0.1:7")
    }

    fn parts(peer: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut parts = request.body(()).unwrap().into_parts().0;
        let peer: SocketAddr = peer.parse().unwrap();
        parts.extensions.insert(ConnectInfo(peer));
        parts
    }

    #[test]
    fn only_trusted_peers_say_where_we_are() {
        let front = front("/reveille", Proxies::loopback());
        let url = |peer: &str, headers: &[(&str, &str)]| front.base(&parts(peer, headers)).url("/x");
        let (near, far) = ("127.0.0.1:9", "192.0.2.1:9");
        let forwarded = [("host", "127.0.0.1:7"), ("x-forwarded-host", "hub.example")];
        let plain = [forwarded[0], forwarded[1], ("x-forwarded-proto", "http")];
        assert_eq!(url(near, &forwarded), "https://hub.example/reveille/x");
        assert_eq!(url(near, &plain), "http://hub.example/reveille/x");
        assert_eq!(url(far, &forwarded), "http://127.0.0.1:7/x");
        assert_eq!(url(near, &[("host", "localhost:7")]), "http://localhost:7/x");
        assert_eq!(url(near, &[]), "http://127.0.0.1:7/x");
        let chain = [("host", "a"), ("x-forwarded-host", "hub.example:8443, inner")];
        assert_eq!(url(near, &chain), "https://hub.example:8443/reveille/x");
    }

    #[test]
    fn a_way_by_https_is_known_from_trusted_peers_alone() {
        let front = front("/", Proxies::loopback());
        let way = |peer: &str, proto: &str| {
            let base = front.base(&parts(peer, &[("host", "box.lan"), ("x-forwarded-proto", proto)]));
            (base.secure, base.origin)
        };
        let (near, far) = ("127.0.0.1:9", "192.0.2.1:9");
        let https = (true, "https://box.lan".to_owned());
        let http = (false, "http://box.lan".to_owned());
        assert_eq!(way(near, "https"), https);
        assert_eq!(way(near, "HTTPS, http"), https);
        for (peer, proto) in [
            (far, "https"),
            (near, "http"),
            (near, ""),
            (near, "wss"),
            (near, "http, https"),
        ] {
            assert_eq!(way(peer, proto), http, "{peer} {proto}");
        }
    }

    #[test]
    fn what_is_no_host_is_not_repeated() {
        let front = front("/", Proxies::loopback());
        let long = "a".repeat(300);
        for host in [
            "a\"b",
            "a b",
            "user@host",
            "a/b",
            "a?b",
            "",
            "a,",
            "<x>",
            long.as_str(),
            "h:99999999",
            "[::1",
        ] {
            let base = front.base(&parts("127.0.0.1:9", &[("x-forwarded-host", host), ("host", host)]));
            let expected = if host == "a," {
                "https://a"
            } else {
                "http://127.0.0.1:7"
            };
            assert_eq!(base.origin, expected, "{host}");
        }
    }

    #[test]
    fn the_mount_is_taken_off_once() {
        let front = front("/reveille", Proxies::default());
        let path = |path: &str| {
            let request = Request::builder().uri(path).body(Body::empty()).unwrap();
            match front.taken_off(request) {
                Ok(request) => (request.uri().to_string(), front.base(&request.into_parts().0).prefix),
                Err(to) => (to.headers()["location"].to_str().unwrap().to_owned(), "there".into()),
            }
        };
        for (from, to, prefix) in [
            ("/reveille/api/agents?x=%2F", "/api/agents?x=%2F", "/reveille"),
            ("/reveille/", "/", "/reveille"),
            ("/reveille/reveille/x", "/reveille/x", "/reveille"),
            ("/reveille//x", "//x", "/reveille"),
            ("/reveillex/api", "/reveillex/api", ""),
            ("/api/agents", "/api/agents", ""),
            ("/reveille", "reveille/", "there"),
            ("/reveille?a=b", "reveille/?a=b", "there"),
        ] {
            assert_eq!(path(from), (to.to_owned(), prefix.to_owned()), "{from}");
        }
    }
}
