//! The way to receivers: HTTP/1.1 with or without TLS, no proxy, no redirects, to allowed addresses only, with bounds.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use url::Url;

use crate::net_guard::{self, Allow, Guarded, Resolve};

/// Most bytes of an answer that are read.
const ANSWER_BYTES: usize = 16 << 10;
/// Most characters of an answer that are shown.
const SHOWN_CHARS: usize = 200;
/// How long a connection is kept for the next call.
const IDLE: Duration = Duration::from_secs(30);

/// Makes the settings of TLS; called when the first https address is.
pub type Tls = Arc<dyn Fn() -> Result<rustls::ClientConfig, String> + Send + Sync>;

type Http = legacy::Client<HttpsConnector<HttpConnector<Guarded>>, Full<Bytes>>;

/// The way to one receiver. Its connections are its own: another one may be allowed less.
#[derive(Clone)]
pub(crate) struct Client {
    http: Http,
    url: Url,
    whole: Duration,
}

/// What a receiver answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// The beginning of its body, for a person.
    pub(crate) says: String,
}

impl Client {
    pub(crate) fn new(
        url: &str,
        allow: &Allow,
        resolver: Arc<dyn Resolve>,
        tls: &Tls,
        (connect, whole): (Duration, Duration),
    ) -> Result<Self, String> {
        let url = net_guard::parse(url, allow).map_err(|why| format!("its address cannot be used: {why}"))?;
        let secure = url.scheme() == "https";
        let guarded = Guarded {
            resolver,
            allow: Arc::new(allow.clone()),
            secure,
        };
        let mut tcp = HttpConnector::new_with_resolver(guarded);
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(connect));
        tcp.set_nodelay(true);
        let config = match secure {
            true => tls()?,
            false => rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
                .with_safe_default_protocol_versions()
                .map_err(|error| error.to_string())?
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth(),
        };
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(4)
            .build(connector);
        Ok(Self { http, url, whole })
    }

    /// # Errors
    /// Why there is no answer, for a person, without the address.
    pub(crate) async fn post(
        &self,
        headers: HeaderMap,
        body: Bytes,
        within: Option<Duration>,
    ) -> Result<Answer, String> {
        let within = within.unwrap_or(self.whole);
        match tokio::time::timeout(within, self.exchange(headers, body)).await {
            Ok(answer) => answer,
            Err(_late) => Err(format!("it did not answer within {within:?}")),
        }
    }

    async fn exchange(&self, headers: HeaderMap, body: Bytes) -> Result<Answer, String> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.url.as_str())
            .body(Full::new(body));
        // The error would name the address.
        let mut request = request.map_err(|_| "its address fits no request".to_owned())?;
        *request.headers_mut() = headers;
        request
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let agent = HeaderValue::from_static(concat!("reveille/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(header::USER_AGENT, agent);
        let answer = self
            .http
            .request(request)
            .await
            .map_err(|error| format!("it cannot be reached: {}", innermost(&error)))?;
        let (parts, mut body) = answer.into_parts();
        let mut read = Vec::new();
        while let Some(frame) = body.frame().await {
            // The status says enough.
            let Ok(frame) = frame else { break };
            let data = frame.into_data().unwrap_or_default();
            let room = ANSWER_BYTES.saturating_sub(read.len());
            read.extend_from_slice(&data[..data.len().min(room)]);
            if read.len() >= ANSWER_BYTES {
                break;
            }
        }
        let says = String::from_utf8_lossy(&read);
        let says = says
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(SHOWN_CHARS)
            .collect();
        Ok(Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            says,
        })
    }
}

/// The innermost reason. It names neither an address nor what was sent.
fn innermost(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
