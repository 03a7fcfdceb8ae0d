//! The way to receivers: HTTP/1.1 with or without TLS, no proxy, no redirects, and to allowed addresses only.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;
use std::{io, vec};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::address::is_refused;

/// Longest way to a receiver.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a connection is kept for the next delivery.
const IDLE: Duration = Duration::from_secs(30);

type Http = legacy::Client<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>;

/// Both ways. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Client {
    plain: Arc<OnceLock<Result<Http, String>>>,
    /// Made when first needed: it reads the certificate authorities of the machine.
    secure: Arc<OnceLock<Result<Http, String>>>,
}

impl Client {
    /// Sends one request.
    ///
    /// # Errors
    /// Why there is no answer, for a person, without the address.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, String> {
        let secure = request.uri().scheme_str() == Some("https");
        let way = if secure { &self.secure } else { &self.plain };
        let http = way.get_or_init(|| connect(secure).map_err(|error| error.to_string()));
        let http = http.as_ref().map_err(Clone::clone)?;
        http.request(request).await.map_err(|error| innermost(&error))
    }
}

/// The innermost reason. It names neither an address nor what was sent.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

fn connect(secure: bool) -> io::Result<Http> {
    let mut tcp = HttpConnector::new_with_resolver(Resolver);
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(CONNECT));
    tcp.set_nodelay(true);
    let provider = rustls::crypto::ring::default_provider();
    let builder = HttpsConnectorBuilder::new();
    let builder = if secure {
        builder.with_provider_and_native_roots(provider).map_err(|error| {
            let text = format!("no certificate authorities are known here ({error}); install ca-certificates");
            io::Error::new(error.kind(), text)
        })?
    } else {
        let trusted = rustls::ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        builder.with_tls_config(trusted)
    };
    let connector = builder.https_or_http().enable_http1().wrap_connector(tcp);
    Ok(legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .build(connector))
}

/// Looks names up, and leaves out addresses to which nothing may be sent.
#[derive(Clone)]
struct Resolver;

type Found = Pin<Box<dyn Future<Output = io::Result<vec::IntoIter<SocketAddr>>> + Send>>;

impl tower::Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Found;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Found {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            allowed(found).map(Vec::into_iter)
        })
    }
}

fn allowed(mut found: Vec<SocketAddr>) -> io::Result<Vec<SocketAddr>> {
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    found.retain(|at| !is_refused(IpAddr::to_canonical(&at.ip())));
    if found.is_empty() {
        let text = "the name stands for a link-local address; nothing is sent there";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_name_is_judged_by_its_addresses() {
        let of = |texts: &[&str]| {
            let found = texts
                .iter()
                .map(|text| SocketAddr::new(text.parse().unwrap(), 0))
                .collect();
            let allowed = allowed(found).map_err(|error| error.to_string());
            allowed.map(|all| all.iter().map(|at| at.ip().to_string()).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(of(&["127.0.0.1", "169.254.169.254", "::1"]).unwrap(), "127.0.0.1 ::1");
        assert!(
            of(&["169.254.1.1", "fe80::1", "::ffff:169.254.169.254"])
                .unwrap_err()
                .contains("link-local")
        );
        assert!(of(&[]).unwrap_err().contains("no address"));
    }
}
