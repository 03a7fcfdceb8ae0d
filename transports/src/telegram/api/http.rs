//! The way to the Bot API: HTTP/1.1 with or without TLS, no proxy and no redirects, so that the token goes to the named host and
//! nowhere else.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

/// Longest way to the server.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a connection is kept for the next request.
const IDLE: Duration = Duration::from_secs(30);

pub(super) type Http = legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

pub(super) fn connect(secure: bool) -> io::Result<Http> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(CONNECT));
    tcp.set_nodelay(true);
    let provider = rustls::crypto::ring::default_provider();
    let builder = HttpsConnectorBuilder::new();
    let connector = if secure {
        let trusted = builder.with_provider_and_native_roots(provider).map_err(|error| {
            let text = format!(
                "no certificate authorities are known here ({error}); install ca-certificates, or set SSL_CERT_FILE to a file \
                 of them and restart"
            );
            io::Error::new(error.kind(), text)
        })?;
        trusted.https_only().enable_http1().wrap_connector(tcp)
    } else {
        let trusted = rustls::ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        builder
            .with_tls_config(trusted)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp)
    };
    Ok(legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .build(connector))
}

/// The innermost reason. It names neither an address nor what was sent.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
