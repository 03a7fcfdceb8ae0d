//! The proxy's HTTP: `CONNECT`, and requests with an absolute address, of which a connection carries one.

use std::convert::Infallible;
use std::io::{self, Cursor};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, PROXY_AUTHORIZATION, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::task::JoinSet;

use super::dial::as_io;
use super::gate::{Denied, Gate, Way};
use super::head::{Asked, HeadError, read_head};
use super::host::Destination;
use super::parent::Purpose;
use super::tunnel;

/// Says why the proxy has not done what it was asked for; the name and the first value are those of other proxies for agents.
const PROXY_ERROR: HeaderName = HeaderName::from_static("x-proxy-error");

/// Headers that are between two neighbours only (RFC 9110, 7.6.1), and those that the proxy answers for itself.
const HOP_BY_HOP: [HeaderName; 10] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authenticate"),
    PROXY_AUTHORIZATION,
    http::header::TE,
    http::header::TRAILER,
    TRANSFER_ENCODING,
    http::header::UPGRADE,
    EXPECT,
];

/// How long the rest of a refused request is read, so that the refusal is not lost with it.
const LINGER: Duration = Duration::from_secs(1);

/// Body of an answer.
pub(super) type Body = BoxBody<Bytes, hyper::Error>;

/// An answer of the proxy itself.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    status: StatusCode,
    kind: &'static str,
    text: String,
}

impl Refusal {
    /// An answer with a word for programs and a sentence for people.
    pub(super) fn new(status: StatusCode, kind: &'static str, text: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            text: text.into(),
        }
    }

    fn of(denied: &Denied, to: &Destination) -> Self {
        match denied {
            Denied::NotListed => Self::new(
                StatusCode::FORBIDDEN,
                "blocked-by-allowlist",
                format!("{to} is not among the connections that this agent may make (egress)"),
            ),
            Denied::Address => Self::new(
                StatusCode::FORBIDDEN,
                "blocked-by-allowlist",
                format!("{to} leads into the machine or its networks, where this agent may not connect"),
            ),
            Denied::Late => Self::new(
                StatusCode::GATEWAY_TIMEOUT,
                "timeout",
                format!("{to} could not be reached in time"),
            ),
            Denied::Failed(error) => Self::new(
                StatusCode::BAD_GATEWAY,
                "unreachable",
                format!("{to} could not be reached: {error}"),
            ),
        }
    }

    fn unknown() -> Self {
        Self::new(
            StatusCode::PROXY_AUTHENTICATION_REQUIRED,
            "authentication",
            "this proxy serves one agent: the password is in its HTTPS_PROXY",
        )
    }

    fn of_head(error: &HeadError) -> Self {
        match error {
            HeadError::TooLong => Self::new(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "head-too-long",
                "the head of the request is too long",
            ),
            other => Self::new(StatusCode::BAD_REQUEST, "malformed", other.to_string()),
        }
    }

    /// The answer as bytes, after which the connection ends.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let Self { status, kind, text } = self;
        let length = text.len() + 1;
        let wanted = if *status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            "Proxy-Authenticate: Basic realm=\"agent\"\r\n"
        } else {
            ""
        };
        format!(
            "HTTP/1.1 {status}\r\n{PROXY_ERROR}: {kind}\r\n{wanted}Content-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{text}\n"
        )
        .into_bytes()
    }

    /// The same for hyper.
    pub(super) fn response(self) -> Response<Body> {
        let body = Full::new(Bytes::from(self.text + "\n"))
            .map_err(|never| match never {})
            .boxed();
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(PROXY_ERROR, HeaderValue::from_static(self.kind));
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(http::header::CONTENT_TYPE, text);
        response
    }
}

/// Serves one connection.
pub(super) async fn serve<S>(mut stream: S, gate: &Arc<Gate>) -> io::Result<()>
where
    S: AsyncBufRead + AsyncWrite + Unpin + Send + 'static,
{
    let bounds = gate.bounds;
    let head = match tokio::time::timeout(bounds.head_timeout, read_head(&mut stream, bounds.head)).await {
        Ok(Err(HeadError::Closed)) => return Ok(()),
        Ok(Err(HeadError::Io(error))) => return Err(error),
        Ok(head) => head,
        Err(_elapsed) => {
            let late = Refusal::new(StatusCode::REQUEST_TIMEOUT, "timeout", "the request took too long");
            return refuse(stream, &late).await;
        }
    };
    let asked = head.and_then(|head| Ok((Asked::parse(&head)?, head)));
    match asked {
        Err(error) => refuse(stream, &Refusal::of_head(&error)).await,
        Ok((_, head)) if gate.pass.as_ref().is_some_and(|pass| !pass.is_shown_in(&head)) => {
            tracing::debug!("a request was refused: it does not show the password for the proxy");
            refuse(stream, &Refusal::unknown()).await
        }
        Ok((Asked::Tunnel(to), _)) => match gate.open(&to, Purpose::Tunnel).await {
            Err(denied) => refuse(stream, &Refusal::of(&denied, &to)).await,
            Ok(way) => {
                stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
                stream.flush().await?;
                tunnel::run(stream, way, gate, &to).await
            }
        },
        Ok((Asked::Request(to), head)) => request(stream, head, to, Arc::clone(gate)).await,
    }
}

/// Answers and closes in a way that lets the answer arrive.
async fn refuse(mut stream: impl AsyncRead + AsyncWrite + Unpin, refusal: &Refusal) -> io::Result<()> {
    stream.write_all(&refusal.bytes()).await?;
    stream.shutdown().await?;
    let rest = async {
        let mut chunk = [0; 4096];
        while stream.read(&mut chunk).await? > 0 {}
        Ok(())
    };
    tokio::time::timeout(LINGER, rest).await.unwrap_or(Ok(()))
}

/// Has hyper serve the one request whose head has been read.
async fn request<S>(stream: S, head: Vec<u8>, to: Destination, gate: Arc<Gate>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (read, write) = tokio::io::split(stream);
    let whole = tokio::io::join(Cursor::new(head).chain(read), write);
    let service = service_fn(|request| {
        let (gate, to) = (Arc::clone(&gate), to.clone());
        async move { Ok::<_, Infallible>(pass(request, &to, &gate).await.unwrap_or_else(Refusal::response)) }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    server.keep_alive(false).half_close(true).auto_date_header(false);
    server
        .serve_connection(TokioIo::new(whole), service)
        .await
        .map_err(io::Error::other)
}

/// Passes a request on, and the answer back.
async fn pass(mut request: Request<Incoming>, to: &Destination, gate: &Gate) -> Result<Response<Body>, Refusal> {
    let way = gate
        .open(to, Purpose::Request)
        .await
        .map_err(|denied| Refusal::of(&denied, to))?;
    let failed = |error: &(dyn std::error::Error + 'static)| Refusal::of(&Denied::Failed(as_io(error)), to);
    let Way { stream, proxy } = way;
    readdress(&mut request, to, proxy).map_err(|error| failed(&error))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| failed(&error))?;
    // Ends with the body of the answer.
    let mut upstream = JoinSet::new();
    upstream.spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection for a request ended early");
        }
    });
    let response = sender.send_request(request).await.map_err(|error| failed(&error))?;
    let mut response = response.map(|body| {
        body.map_frame(move |frame| {
            let _held = &upstream;
            frame
        })
        .boxed()
    });
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let text = format!("{to} answered with another protocol");
        return Err(Refusal::new(StatusCode::BAD_GATEWAY, "unreachable", text));
    }
    strip(response.headers_mut());
    Ok(response)
}

/// Makes a request one for its destination alone.
fn readdress(
    request: &mut Request<Incoming>,
    to: &Destination,
    proxy: Option<Option<HeaderValue>>,
) -> http::Result<()> {
    strip(request.headers_mut());
    let host = if to.port == 80 {
        to.host.to_string()
    } else {
        to.to_string()
    };
    let query = request
        .uri()
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    let path = match request.uri().path() {
        "/" | "" if request.method() == Method::OPTIONS && query.is_empty() => "*",
        "" => "/",
        path => path,
    };
    let uri = match &proxy {
        Some(_) => format!("http://{host}{}{query}", path.trim_start_matches('*')),
        None => format!("{path}{query}"),
    };
    *request.uri_mut() = Uri::try_from(uri)?;
    *request.version_mut() = Version::HTTP_11;
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::try_from(host)?);
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if let Some(value) = proxy.flatten() {
        headers.insert(PROXY_AUTHORIZATION, value);
    }
    Ok(())
}

/// Takes out what is between two neighbours only.
pub(super) fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok()) // silent-ok: what is no text names no header
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok()) // silent-ok: as above
        .collect();
    // The length of a message that came in chunks is a claim.
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}
