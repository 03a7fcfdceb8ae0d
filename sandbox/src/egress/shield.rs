//! A service that wants a secret which the child must not know.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::{COOKIE, HOST, PROXY_AUTHORIZATION};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tower::util::BoxCloneSyncService;
use tracing::Instrument as _;
use url::Url;

use super::dial::{BoxStream, Idle, Outside, Real, as_io};
use super::gate::Bounds;
use super::host::{Destination, Host};
use super::http1::{Body, Refusal, strip};
use super::parent::{Purpose, encrypt};
use super::swap::{Swap, swapped};
use super::{Decision, Log, ParentProxy, tls};
use crate::Handler;

/// Where a child would put a secret of its own, besides those that are looked at.
const TAKEN_OUT: [HeaderName; 3] = [PROXY_AUTHORIZATION, COOKIE, HOST];
/// What may be done. Others, such as `TRACE`, make services tell what they were told.
const METHODS: [Method; 3] = [Method::GET, Method::HEAD, Method::POST];

/// Whether a shield gives its secret away: while it is shut, what the child was given in its place is worth nothing. Cheap to
/// clone.
#[derive(Debug, Clone, Default)]
pub struct Latch(Arc<AtomicBool>);

impl Latch {
    /// No request gets the secret any more.
    pub fn shut(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Requests get it again.
    pub fn open(&self) {
        self.0.store(false, Ordering::Release);
    }

    fn is_shut(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Where requests go, and what is put into them.
#[derive(Clone)]
pub struct Shield {
    /// Scheme, host, port, and what stands before the path of each request.
    pub upstream: Url,
    /// What may be asked for below that, to the letter; of the query anything.
    pub paths: &'static [&'static str],
    /// One of them has to be shown. Whatever else a request has in `Authorization`, `Proxy-Authorization`, `Cookie` and
    /// `X-Api-Key` is taken out of it.
    pub swaps: Vec<Swap>,
    /// Replace those of a request, and may be secret too.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The proxy of the daemon's own network.
    pub parent: Option<Arc<ParentProxy>>,
    /// Who is told of requests.
    pub log: Log,
    /// Limits.
    pub bounds: Bounds,
    /// Open as long as the child may ask.
    pub latch: Latch,
}

impl fmt::Debug for Shield {
    /// Without the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&HeaderName> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Shield")
            .field("upstream", &self.upstream.as_str())
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}

/// The shield cannot stand.
#[derive(Debug, thiserror::Error)]
#[error("requests cannot be given their secret: {0}")]
pub struct ShieldError(String);

/// Code for [`Target::Handler`](crate::Target::Handler): passes requests on to `upstream` and nowhere else, with the secret.
/// Redirects go back to the child. It must be called within a runtime. When it is dropped, its connections are cut.
///
/// # Errors
/// The address is none of HTTP, a secret can stand in no header, or the authorities for TLS cannot be read.
pub fn shield(shield: Shield) -> Result<Handler, ShieldError> {
    stand(shield, Arc::new(Real), tls::config)
}

/// The same in any network, with anybody believed.
pub(super) fn stand(
    shield: Shield,
    outside: Arc<dyn Outside>,
    trusted: impl FnOnce() -> io::Result<ClientConfig>,
) -> Result<Handler, ShieldError> {
    let passing = Arc::new(Passing::new(shield, outside, trusted)?);
    let room = Arc::new(Semaphore::new(passing.bounds.connections));
    let was_full = AtomicBool::new(false);
    let (stands, _) = watch::channel(());
    Ok(Arc::new(move |stream| {
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            if !was_full.swap(true, Ordering::Relaxed) {
                tracing::warn!("connections of an agent are closed: it has too many at the same time");
            }
            return;
        };
        let passing = Arc::clone(&passing);
        let mut stands = stands.subscribe();
        let serve = async move {
            tokio::select! {
                served = passing.serve(stream) => if let Err(error) = served {
                    tracing::debug!(%error, "a connection ended early");
                },
                // Nothing is ever sent: its end is what is waited for.
                _ = stands.changed() => {}
            }
            drop(permit);
        };
        tokio::spawn(serve.in_current_span());
    }))
}

type Connector = BoxCloneSyncService<Uri, TokioIo<BoxStream>, io::Error>;

/// A shield at work.
struct Passing {
    client: legacy::Client<Connector, Incoming>,
    upstream: Destination,
    scheme: Scheme,
    authority: Authority,
    /// Before the path of each request; without the slash at its end.
    prefix: String,
    paths: &'static [&'static str],
    swaps: Vec<Swap>,
    headers: Vec<(HeaderName, HeaderValue)>,
    log: Log,
    bounds: Bounds,
    latch: Latch,
}

impl Passing {
    fn new(
        shield: Shield,
        outside: Arc<dyn Outside>,
        trusted: impl FnOnce() -> io::Result<ClientConfig>,
    ) -> Result<Self, ShieldError> {
        let Shield {
            upstream: url,
            paths,
            swaps,
            headers,
            parent,
            log,
            bounds,
            latch,
        } = shield;
        let scheme = match url.scheme() {
            "http" => Scheme::HTTP,
            "https" => Scheme::HTTPS,
            other => return Err(ShieldError(format!("the address begins with {other}, not with https"))),
        };
        let trusted = (scheme == Scheme::HTTPS).then(trusted).transpose();
        let trusted = trusted.map_err(|error| ShieldError(error.to_string()))?;
        let host = Host::parse(url.host_str().unwrap_or_default()).map_err(|reason| ShieldError(reason.to_owned()))?;
        let port = url.port_or_known_default().unwrap_or_default();
        let upstream = Destination { host, port };
        let authority = match url.port() {
            Some(_) => upstream.to_string(),
            None => upstream.host.to_string(),
        };
        let authority = authority
            .parse()
            .map_err(|_| ShieldError("its host cannot be read".to_owned()))?;
        if !swaps.iter().all(Swap::is_usable) {
            return Err(ShieldError("it can stand in no header".to_owned()));
        }
        let headers = headers.into_iter().map(|(name, mut value)| {
            value.set_sensitive(true);
            (name, value)
        });
        let dialer = Dialer {
            upstream: upstream.clone(),
            parent,
            bounds,
            outside,
            trusted,
        };
        Ok(Self {
            client: legacy::Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .build(dialer.connector()),
            upstream,
            scheme,
            authority,
            prefix: url.path().trim_end_matches('/').to_owned(),
            paths,
            swaps,
            headers: headers.collect(),
            log,
            bounds,
            latch,
        })
    }

    async fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let service =
            service_fn(async |request| Ok::<_, Infallible>(self.pass(request).await.unwrap_or_else(Refusal::response)));
        let mut server = hyper::server::conn::http1::Builder::new();
        server
            .timer(TokioTimer::new())
            .half_close(true)
            .max_buf_size(self.bounds.head);
        let stream = TokioIo::new(Idle::new(stream, self.bounds.idle));
        server.serve_connection(stream, service).await.map_err(io::Error::other)
    }

    async fn pass(&self, mut request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
        self.readdress(&mut request)?;
        let sent = self.client.request(request).await;
        let decision = if sent.is_ok() {
            Decision::Allowed
        } else {
            Decision::Failed
        };
        self.log
            .record(&self.upstream.host.to_string(), self.upstream.port, decision);
        let mut response = sent.map_err(|error| {
            let reason = as_io(&error);
            tracing::debug!(to = %self.upstream, %reason, "a request failed");
            let text = format!("{} could not be reached: {reason}", self.upstream);
            Refusal::new(StatusCode::BAD_GATEWAY, "unreachable", text)
        })?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let text = format!("{} answered with another protocol", self.upstream);
            return Err(Refusal::new(StatusCode::BAD_GATEWAY, "unreachable", text));
        }
        strip(response.headers_mut());
        Ok(response.map(BodyExt::boxed))
    }

    /// Makes a request one for the service, with the secret.
    fn readdress(&self, request: &mut Request<Incoming>) -> Result<(), Refusal> {
        let asked = format!("{} {}", request.method(), request.uri().path());
        let refuse = |status, kind, text: &str| {
            tracing::debug!(to = %self.upstream, asked, text, "a request is not passed on");
            Err(Refusal::new(status, kind, text))
        };
        // Before anything else: where others reach the port they learn nothing.
        let shown = swapped(&self.swaps, request.headers_mut());
        let Some(secrets) = shown.filter(|_| !self.latch.is_shut()) else {
            let text = "requests here show what the agent was given in the place of its credential";
            return refuse(StatusCode::UNAUTHORIZED, "authentication", text);
        };
        if !METHODS.contains(request.method()) {
            let text = "requests here are GET, HEAD or POST";
            return refuse(StatusCode::METHOD_NOT_ALLOWED, "method", text);
        }
        let path = match request.uri().path_and_query() {
            Some(path) if request.uri().authority().is_none() && path.as_str().starts_with('/') => path,
            _ => {
                let text = "requests here have a path, not a whole address";
                return refuse(StatusCode::BAD_REQUEST, "malformed", text);
            }
        };
        if !self.paths.contains(&path.path()) {
            let text = "the credential of this agent is for other paths";
            return refuse(StatusCode::FORBIDDEN, "path", text);
        }
        let bad = |_| Refusal::new(StatusCode::BAD_REQUEST, "malformed", "the path cannot be read");
        let path = format!("{}{path}", self.prefix).parse::<PathAndQuery>().map_err(bad)?;
        let mut uri = http::uri::Parts::default();
        uri.scheme = Some(self.scheme.clone());
        uri.authority = Some(self.authority.clone());
        uri.path_and_query = Some(path);
        *request.uri_mut() = Uri::from_parts(uri)
            .map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "malformed", "the path cannot be read"))?;
        *request.version_mut() = Version::HTTP_11;
        let headers = request.headers_mut();
        strip(headers);
        for name in &TAKEN_OUT {
            headers.remove(name);
        }
        for (name, value) in secrets.iter().chain(&self.headers) {
            headers.insert(name, value.clone());
        }
        Ok(())
    }
}

/// Connects to the service, through the proxy of the daemon's network if there is one.
#[derive(Clone)]
struct Dialer {
    upstream: Destination,
    parent: Option<Arc<ParentProxy>>,
    bounds: Bounds,
    outside: Arc<dyn Outside>,
    /// Who is believed; only with TLS.
    trusted: Option<ClientConfig>,
}

impl Dialer {
    fn connector(self) -> Connector {
        BoxCloneSyncService::new(tower::service_fn(move |uri: Uri| {
            let dialer = self.clone();
            async move {
                let patience = dialer.bounds.dial_timeout;
                let dialled = tokio::time::timeout(patience, dialer.dial(uri)).await;
                dialled.unwrap_or_else(|late| Err(late.into())).map(TokioIo::new)
            }
        }))
    }

    async fn dial(&self, uri: Uri) -> io::Result<BoxStream> {
        let ips = match &self.upstream.host {
            Host::Ip(ip) => Ok(vec![*ip]),
            Host::Name(name) => self.outside.resolve(name).await,
        };
        let is_here = ips.iter().flatten().any(std::net::IpAddr::is_loopback);
        let parent = self.parent.as_ref().filter(|_| !is_here);
        let stream = match parent.and_then(|parent| parent.choose(&self.upstream, Purpose::Tunnel)) {
            Some(parent) => {
                let stream = parent.connect(&*self.outside, self.bounds.dial_timeout).await?;
                parent.tunnel(stream, &self.upstream).await?
            }
            None => {
                let addresses: Vec<SocketAddr> = ips?
                    .into_iter()
                    .map(|ip| SocketAddr::new(ip, self.upstream.port))
                    .collect();
                self.outside.connect(&addresses, self.bounds.dial_timeout).await?
            }
        };
        let stream: BoxStream = Box::new(Idle::new(stream, self.bounds.idle));
        match &self.trusted {
            Some(trusted) => encrypt(stream, uri, trusted.clone()).await,
            None => Ok(stream),
        }
    }
}
