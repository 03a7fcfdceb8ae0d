//! The proxy of the daemon's own network.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderValue, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::io::{AsyncWriteExt as _, BufReader};
use tower::{Service as _, service_fn};

use super::dial::{BoxStream, Outside, as_io};
use super::head::read_head;
use super::host::{Destination, Host};
use super::tls;

/// Longest answer of a proxy before the connection that it makes.
const ANSWER_BYTES: usize = 16 * 1024;

/// Proxies as `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` name them. They are asked over HTTP, with or without TLS.
pub struct ParentProxy {
    matcher: Matcher,
}

impl fmt::Debug for ParentProxy {
    /// Without passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ParentProxy").field(&self.matcher).finish()
    }
}

/// A variable names no proxy that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} names no proxy that can be used: {reason}")]
pub struct ParentError {
    /// Name of the variable.
    pub variable: String,
    /// What is wrong, without the value: that may hold a password.
    pub reason: String,
}

/// For what a connection is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Bytes to and fro.
    Tunnel,
    /// One request of HTTP without TLS.
    Request,
}

/// A proxy that is to be asked.
pub(super) struct Chosen(Intercept);

impl ParentProxy {
    /// Reads the variables, the lower-case form first. `None` when no proxy is named.
    ///
    /// # Errors
    /// A value that cannot be used.
    pub fn from_env(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, ParentError> {
        let read = |name: &str| {
            let both = [name.to_ascii_lowercase(), name.to_owned()];
            let found = both.into_iter().find_map(|name| Some((variable(&name)?, name)));
            found.filter(|(value, _)| !value.trim().is_empty())
        };
        let proxy = |name: &str| match read(name) {
            Some((value, name)) => check(value.trim(), &name),
            None => Ok(String::new()),
        };
        let (http, https, all) = (proxy("HTTP_PROXY")?, proxy("HTTPS_PROXY")?, proxy("ALL_PROXY")?);
        if http.is_empty() && https.is_empty() && all.is_empty() {
            return Ok(None);
        }
        let no = read("NO_PROXY").map(|(value, _)| value).unwrap_or_default();
        let matcher = Matcher::builder().http(http).https(https).all(all).no(no).build();
        Ok(Some(Self { matcher }))
    }

    /// The proxy to ask for a destination, if one is to be asked.
    pub(super) fn choose(&self, to: &Destination, purpose: Purpose) -> Option<Chosen> {
        let scheme = match purpose {
            Purpose::Tunnel => "https",
            Purpose::Request => "http",
        };
        // A destination is always an address.
        let uri = format!("{scheme}://{to}/").parse::<Uri>().ok()?; // silent-ok: see above
        self.matcher.intercept(&uri).map(Chosen)
    }
}

/// A value as the matcher takes it: what it does not understand it would leave out without a word.
fn check(value: &str, variable: &str) -> Result<String, ParentError> {
    let refuse = |reason: &str| {
        Err(ParentError {
            variable: variable.to_owned(),
            reason: reason.to_owned(),
        })
    };
    let Ok(uri) = value.parse::<Uri>() else {
        return refuse("it is no address; write http://HOST:PORT");
    };
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https") | None, Some(host)) if Host::parse(host).is_ok() => Ok(value.to_owned()),
        (Some("http" | "https") | None, _) => refuse("it names no host; write http://HOST:PORT"),
        (Some(_), _) => refuse("only proxies of HTTP can be asked; write http://HOST:PORT"),
    }
}

impl Chosen {
    /// What the proxy wants to be told.
    pub(super) fn authorization(&self) -> Option<HeaderValue> {
        self.0.basic_auth().cloned()
    }

    /// Connects to the proxy.
    pub(super) async fn connect(&self, outside: &dyn Outside, patience: Duration) -> io::Result<BoxStream> {
        let uri = self.0.uri();
        let secure = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let host = Host::parse(uri.host().unwrap_or_default()).map_err(io::Error::other)?;
        let ips = match host {
            Host::Ip(ip) => vec![ip],
            Host::Name(name) => outside.resolve(&name).await?,
        };
        let addresses: Vec<SocketAddr> = ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
        let stream = outside.connect(&addresses, patience).await?;
        if secure {
            encrypt(stream, uri.clone(), tls::config()?).await
        } else {
            Ok(stream)
        }
    }

    /// Has the proxy make a connection.
    pub(super) async fn tunnel(&self, mut stream: BoxStream, to: &Destination) -> io::Result<BoxStream> {
        let mut request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n").into_bytes();
        if let Some(value) = self.authorization() {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(value.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        stream.write_all(&request).await?;
        stream.flush().await?;
        // What follows the answer is the server's already, and stays in the buffer.
        let mut stream = BufReader::new(stream);
        let refuse = |text: String| Err(io::Error::new(io::ErrorKind::ConnectionRefused, text));
        let head = match read_head(&mut stream, ANSWER_BYTES).await {
            Ok(head) => head,
            Err(error) => return refuse(format!("the proxy of this network gave no answer: {error}")),
        };
        let mut headers = [httparse::EMPTY_HEADER; 100];
        let mut answer = httparse::Response::new(&mut headers);
        match answer.parse(&head).map(|_| answer.code) {
            Ok(Some(200..=299)) => Ok(Box::new(stream)),
            Ok(Some(code)) => refuse(format!("the proxy of this network answered {code}")),
            _ => refuse("the proxy of this network does not speak HTTP".to_owned()),
        }
    }
}

/// TLS over a stream, for the host of an address.
pub(super) async fn encrypt(stream: BoxStream, uri: Uri, trusted: ClientConfig) -> io::Result<BoxStream> {
    let mut stream = Some(TokioIo::new(stream));
    let there = service_fn(move |_: Uri| {
        std::future::ready(
            stream
                .take()
                .ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected)),
        )
    });
    let mut connector = HttpsConnector::from((there, trusted));
    let stream = connector.call(uri).await.map_err(|error| as_io(&*error))?;
    Ok(Box::new(TokioIo::new(stream)))
}
