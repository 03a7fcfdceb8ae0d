//! A double of the hub's proxy: it shows a server below a mount, whose name it takes off, as its peers know it.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderName, StatusCode, header};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;

const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// A proxy on loopback that ends when it is dropped.
pub struct StrippingProxy {
    address: SocketAddr,
    mount: String,
    task: JoinHandle<()>,
}

struct Way {
    mount: String,
    to: Url,
    http: reqwest::Client,
}

impl StrippingProxy {
    /// Shows what is at `to` below `mount`, such as `/reveille`.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(mount: &str, to: &Url) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let way = Way {
            mount: mount.to_owned(),
            to: to.clone(),
            http,
        };
        let router = Router::new().fallback(pass).with_state(Arc::new(way));
        let task = tokio::spawn(async move {
            // A test whose proxy has ended fails at its next request.
            axum::serve(listener, router).await.unwrap_or_default();
        });
        Ok(Self {
            address,
            mount: mount.to_owned(),
            task,
        })
    }

    /// Where it serves, without the mount.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// An address below the mount; `path` begins with a slash.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{}{path}", self.origin(), self.mount)
    }
}

impl Drop for StrippingProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(State(way): State<Arc<Way>>, request: Request) -> Response {
    match forward(&way, request).await {
        Ok(response) => response,
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

async fn forward(way: &Way, request: Request) -> Result<Response> {
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let rest = target.strip_prefix(&way.mount).context("nothing is shown there")?;
    let rest = if rest.starts_with('/') {
        rest.to_owned()
    } else {
        format!("/{rest}")
    };
    let mut headers = parts.headers;
    let host = headers.remove(header::HOST).context("a request names its host")?;
    headers.entry(FORWARDED_HOST).or_insert(host);
    headers.insert(FORWARDED_PROTO, http::HeaderValue::from_static("http"));
    headers.remove(header::CONNECTION);
    let sent = way
        .http
        .request(parts.method, way.to.join(&rest)?)
        .headers(headers)
        .body(to_bytes(body, 1 << 20).await?)
        .send()
        .await?;
    let mut response = Response::builder().status(sent.status());
    for (name, value) in sent.headers() {
        if name != header::TRANSFER_ENCODING && name != header::CONNECTION {
            response = response.header(name, value);
        }
    }
    Ok(response.body(Body::from_stream(sent.bytes_stream()))?)
}
