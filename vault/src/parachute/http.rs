//! Requests to the peer: each bounded in time and size, each a lesson for the breaker.

use std::error::Error as _;
use std::io;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use jiff::{SignedDuration, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use url::Url;
use uuid::Uuid;

use super::Token;
use super::health::{Health, Severity};
use crate::store::{VaultError, VaultState};

/// Largest answer that is read, in bytes. A list with the text of its notes is the largest that is asked for.
const ANSWER_BYTES: usize = 64 << 20;
/// Largest error that is read.
const ERROR_BYTES: usize = 64 << 10;
/// What stands unencoded in a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Body of a request.
pub(super) type Body = BoxBody<Bytes, io::Error>;

/// What is shown to the peer, if anything.
type Authorization = Option<HeaderValue>;

/// A text as one segment of an address.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// A request.
#[derive(Debug, Clone)]
pub(super) struct Ask<'a> {
    /// Verb.
    pub(super) method: Method,
    /// Behind `/vault/<name>/api`, encoded; empty: the vault itself, `/vault/<name>`.
    pub(super) path: String,
    /// Not encoded.
    pub(super) query: Vec<(&'a str, String)>,
    /// JSON.
    pub(super) body: Option<Value>,
    /// A refusal of the token is an answer, and says nothing about the peer: something is only tried out.
    pub(super) trial: bool,
}

impl Ask<'_> {
    /// A request without parameters and body.
    pub(super) fn new(method: Method, path: String) -> Self {
        Self {
            method,
            path,
            query: Vec::new(),
            body: None,
            trial: false,
        }
    }
}

/// What the peer said. Never an answer that speaks of the peer itself: those are errors.
#[derive(Debug)]
pub(super) struct Answer {
    /// 2xx or 4xx.
    pub(super) status: StatusCode,
    /// Null when there was no body.
    pub(super) body: Value,
}

impl Answer {
    /// The code of a refusal, whichever of the peer's three styles it has. Short: it goes into messages.
    pub(super) fn code(&self) -> String {
        let codes = ["error_type", "code", "error"].iter();
        let code = codes
            .filter_map(|key| self.body.get(*key).and_then(Value::as_str))
            .next();
        code.unwrap_or_default().chars().take(100).collect()
    }
}

/// The way to one vault of a peer.
pub(super) struct Client {
    vault: String,
    http: legacy::Client<HttpsConnector<HttpConnector>, Body>,
    root: String,
    token: Token,
    /// As it was read last; nothing before the first request and after a refusal.
    authorization: Mutex<Option<Authorization>>,
    timeout: Duration,
    health: Health,
    /// The peer's clock minus ours, in milliseconds.
    skew: AtomicI64,
}

impl Client {
    /// To the vault `remote` of the peer at `url`. Nothing is asked yet. `vault` is its name here.
    ///
    /// # Errors
    /// [`VaultError::Invalid`]: the address can be none.
    pub(super) fn new(
        vault: &str,
        url: &str,
        remote: &str,
        token: Token,
        timeout: Duration,
    ) -> Result<Self, VaultError> {
        let invalid = |what: String| VaultError::Invalid(format!("the vault {vault:?}: {what}"));
        let parsed = Url::parse(url).map_err(|error| invalid(format!("its url is no address ({error})")))?;
        let secure = match parsed.scheme() {
            "https" => true,
            "http" => false,
            other => {
                return Err(invalid(format!(
                    "its url begins with {other}:, not with http: or https:"
                )));
            }
        };
        if parsed.host_str().is_none() || !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(invalid(
                "its url must name a host, and neither a user nor a password".into(),
            ));
        }
        if parsed.query().is_some() || parsed.fragment().is_some() {
            return Err(invalid(
                "its url must end before `?` and `#`; the token has a key of its own".into(),
            ));
        }
        if remote.is_empty()
            || !remote
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-')
        {
            return Err(invalid(format!(
                "{remote:?} can be no name of a vault there; use letters, digits, `_` and `-`"
            )));
        }
        Ok(Self {
            vault: vault.to_owned(),
            http: connect(secure, timeout).map_err(|error| invalid(error.to_string()))?,
            root: format!("{}/vault/{remote}/api", parsed.as_str().trim_end_matches('/')),
            token,
            authorization: Mutex::default(),
            timeout,
            health: Health::new(),
            skew: AtomicI64::new(0),
        })
    }

    /// How the peer stands.
    pub(super) fn state(&self) -> VaultState {
        self.health.state()
    }

    /// How long the peer is left alone.
    pub(super) fn rest(&self) -> Duration {
        self.health.rest()
    }

    /// How long one request may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// A moment of ours by the peer's clock, as far as it has told.
    pub(super) fn peer_time(&self, moment: Timestamp) -> Timestamp {
        let skew = SignedDuration::from_millis(self.skew.load(Ordering::Relaxed));
        moment.saturating_add(skew).unwrap_or(moment)
    }

    /// [`VaultError::Unavailable`] of this vault.
    pub(super) fn unavailable(&self, reason: impl Into<String>) -> VaultError {
        VaultError::Unavailable {
            vault: self.vault.clone(),
            reason: reason.into(),
        }
    }

    /// What was answered is not what the contract says: the peer is not what it should be.
    pub(super) fn garbled(&self, reason: &str) -> VaultError {
        self.failed(
            Severity::Once,
            format!("{reason}; is the url that of a Parachute vault?"),
        )
    }

    fn failed(&self, severity: Severity, reason: String) -> VaultError {
        let (chance, _) = Uuid::new_v4().as_u64_pair();
        #[expect(clippy::cast_precision_loss, reason = "a share between 0 and 1")]
        let chance = (chance >> 11) as f64 / (1_u64 << 53) as f64;
        if self.health.failed(severity, chance, &reason) {
            tracing::warn!(
                vault = self.vault,
                reason,
                "the vault is left alone for a while; it is asked again"
            );
        }
        self.unavailable(reason)
    }

    fn answered(&self) {
        if self.health.answered() {
            tracing::info!(vault = self.vault, "the vault answers");
        }
    }

    /// Asks, and reads the answer.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: the request was not answered, or with what says nothing about the note. A write may
    /// have been done all the same. [`VaultError::Forbidden`].
    pub(super) async fn ask(&self, ask: Ask<'_>) -> Result<Answer, VaultError> {
        let mut headers = HeaderMap::new();
        let body = match &ask.body {
            None => Full::default(),
            Some(json) => {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                Full::from(json.to_string())
            }
        };
        let body = body.map_err(|never| match never {}).boxed();
        let uri = self.uri(&ask.path, &ask.query);
        let exchange = async {
            let response = self.exchange(ask.method, &uri, headers, body).await?;
            self.read(response, ask.trial).await
        };
        let outcome = tokio::time::timeout(self.timeout, exchange).await;
        outcome.unwrap_or_else(|_| Err(self.too_slow()))
    }

    /// Sends a body that takes as long as it takes, and reads the answer. The sender of the body sees to it that it ends.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub(super) async fn send(&self, path: &str, content_type: &str, body: Body) -> Result<Answer, VaultError> {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_str(content_type);
        headers.insert(
            header::CONTENT_TYPE,
            value.map_err(|_| VaultError::Invalid("the media type can be none".into()))?,
        );
        let response = self.exchange(Method::POST, &self.uri(path, &[]), headers, body).await?;
        let read = tokio::time::timeout(self.timeout, self.read(response, false)).await;
        read.unwrap_or_else(|_| Err(self.too_slow()))
    }

    /// Asks for bytes: the answer with its body unread when it is a 2xx, `None` when there is nothing at that address.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub(super) async fn fetch(&self, path: &str) -> Result<Option<Response<Incoming>>, VaultError> {
        let body = Full::default().map_err(|never| match never {}).boxed();
        let uri = self.uri(path, &[]);
        let exchange = async {
            let response = self.exchange(Method::GET, &uri, HeaderMap::new(), body).await?;
            if response.status().is_success() {
                self.answered();
                return Ok(Some(response));
            }
            match self.read(response, false).await?.status {
                StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST => Ok(None),
                status => Err(self.garbled(&format!("it answered {status} when asked for a file"))),
            }
        };
        let outcome = tokio::time::timeout(self.timeout, exchange).await;
        outcome.unwrap_or_else(|_| Err(self.too_slow()))
    }

    fn too_slow(&self) -> VaultError {
        self.failed(Severity::Once, format!("it did not answer within {:?}", self.timeout))
    }

    fn uri(&self, path: &str, query: &[(&str, String)]) -> String {
        let root = if path.is_empty() {
            self.root.trim_end_matches("/api")
        } else {
            &self.root
        };
        let mut uri = format!("{root}{path}");
        for (number, (key, value)) in query.iter().enumerate() {
            uri.push(if number == 0 { '?' } else { '&' });
            uri.push_str(key);
            uri.push('=');
            uri.push_str(&segment(value));
        }
        uri
    }

    async fn exchange(
        &self,
        method: Method,
        uri: &str,
        headers: HeaderMap,
        body: Body,
    ) -> Result<Response<Incoming>, VaultError> {
        self.health
            .admit(self.timeout)
            .map_err(|reason| self.unavailable(reason))?;
        let authorization = self.authorization()?;
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(all) = request.headers_mut() {
            *all = headers;
            all.extend(authorization.map(|value| (header::AUTHORIZATION, value)));
            all.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
            all.insert(header::USER_AGENT, HeaderValue::from_static("reveille"));
        }
        let request = request
            .body(body)
            .map_err(|error| VaultError::Invalid(format!("the address can be none ({error})")))?;
        let sent = self.http.request(request).await;
        let response = sent.map_err(|error| {
            let severity = if error.is_connect() {
                Severity::Lasting
            } else {
                Severity::Once
            };
            self.failed(severity, format!("it cannot be reached: {}", chain(&error)))
        })?;
        self.note_clock(response.headers());
        Ok(response)
    }

    fn authorization(&self) -> Result<Authorization, VaultError> {
        let mut known = self.authorization.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*known {
            return Ok(known.clone());
        }
        let read = self.token.read().and_then(|token| {
            let header = |token: String| HeaderValue::from_str(&format!("Bearer {token}"));
            token
                .map(header)
                .transpose()
                .map_err(|_| "it holds characters that no token has".into())
        });
        let mut value = read.map_err(|reason| {
            self.failed(
                Severity::Lasting,
                format!("the token of the vault cannot be used: {reason}"),
            )
        })?;
        if let Some(value) = &mut value {
            value.set_sensitive(true);
        }
        *known = Some(value.clone());
        Ok(value)
    }

    /// The token was refused: it is read again before the next request.
    fn forget_token(&self) {
        *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn note_clock(&self, headers: &HeaderMap) {
        let date = headers.get(header::DATE).and_then(|date| date.to_str().ok());
        let Some(date) = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()) else {
            return;
        };
        // The header is cut to whole seconds; a second more or less does not matter.
        let skew = date.timestamp().as_millisecond() - Timestamp::now().as_millisecond();
        self.skew.store(skew, Ordering::Relaxed);
    }

    /// Reads an answer, and judges what it says about the peer.
    async fn read(&self, response: Response<Incoming>, trial: bool) -> Result<Answer, VaultError> {
        let status = response.status();
        let limit = if status.is_success() { ANSWER_BYTES } else { ERROR_BYTES };
        let bytes = match Limited::new(response.into_body(), limit).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                let reason = format!("it answered more than {limit} bytes to one request");
                return Err(self.failed(Severity::Once, reason));
            }
            Err(error) => {
                let reason = format!("the connection broke in the middle of its answer ({error})");
                return Err(self.failed(Severity::Once, reason));
            }
        };
        let body: Option<Value> = match bytes.as_ref() {
            [] => Some(Value::Null),
            json => serde_json::from_slice(json).ok(), // silent-ok: told below
        };
        let answer = Answer {
            status,
            body: body.clone().unwrap_or_default(),
        };
        match status.as_u16() {
            200..=299 if body.is_some() => {}
            401 | 403 if trial => {}
            401 => {
                self.forget_token();
                let reason = "it does not take the token (401); make a new one there and set it here";
                return Err(self.failed(Severity::Lasting, reason.into()));
            }
            403 if answer.code() == "tag_scope_violation" => {
                self.answered();
                let reason = "the token of the vault is for other tags; give it one that may write this";
                return Err(VaultError::Forbidden(reason.into()));
            }
            403 => {
                self.forget_token();
                let scope = answer
                    .body
                    .get("required_scope")
                    .and_then(Value::as_str)
                    .unwrap_or("vault:write");
                let scope: String = scope.chars().take(100).collect();
                let reason = format!("the token lacks the scope {scope} (403); make a new one there and set it here");
                return Err(self.failed(Severity::Lasting, reason));
            }
            404 if answer.body.get("vault").is_some() => {
                let reason = "there is no vault of that name (404); check the name of the vault there";
                return Err(self.failed(Severity::Lasting, reason.into()));
            }
            // A proxy or another program may answer so as well, and that says nothing about a note.
            400..=499 if status.as_u16() != 429 && answer.body.get("error").is_some() => {}
            429 | 500..=599 => return Err(self.failed(Severity::Once, format!("it answered {status}"))),
            _ => {
                let what = if body.is_some() {
                    "an error of another kind"
                } else {
                    "no JSON"
                };
                return Err(self.garbled(&format!("it answered {status} and {what}")));
            }
        }
        self.answered();
        Ok(answer)
    }
}

type Http = legacy::Client<HttpsConnector<HttpConnector>, Body>;

/// No proxy and no redirects: the token goes to the named host and nowhere else.
fn connect(secure: bool, timeout: Duration) -> io::Result<Http> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(timeout));
    tcp.set_nodelay(true);
    let provider = rustls::crypto::ring::default_provider();
    let builder = HttpsConnectorBuilder::new();
    let connector = if secure {
        let trusted = builder.with_provider_and_native_roots(provider).map_err(|error| {
            let text = format!("no certificate authorities are known here ({error}); install ca-certificates");
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
        .pool_idle_timeout(Duration::from_secs(30))
        .build(connector))
}

/// An error with its causes; neither holds the address with a secret nor a body.
fn chain(error: &legacy::Error) -> String {
    let mut text = String::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&error.to_string());
        cause = error.source();
    }
    if text.is_empty() { error.to_string() } else { text }
}
