//! A double of whoever is told by webhooks: records what comes, and answers what a test says.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::Response;
use axum::serve::Listener;
use bytes::Bytes;
use http::request::Parts;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::tls::TlsListener;

/// What is answered to one request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A status with nothing.
    Status(u16),
    /// 200 with a JSON value.
    Json(Value),
    /// 200 with text.
    Text(String),
    /// A status with a header.
    With(u16, &'static str, String),
    /// The same after a while.
    Late(Duration, Box<Answer>),
    /// Nothing, for ever.
    Hang,
}

impl Answer {
    fn status(&self) -> Option<u16> {
        match self {
            Self::Status(status) | Self::With(status, ..) => Some(*status),
            Self::Json(_) | Self::Text(_) => Some(200),
            Self::Late(_, then) => then.status(),
            Self::Hang => None,
        }
    }
}

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Told {
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// As it was sent.
    pub body: String,
    /// The status that it is answered with; `None`: it never is.
    pub answer: Option<u16>,
}

impl Told {
    /// The body as JSON; null when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null) // silent-ok: the test sees the null
    }

    /// A header; empty when it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

#[derive(Debug, Default)]
struct Shared {
    told: Mutex<Vec<Told>>,
    /// Answers by path; the last one stays.
    script: Mutex<BTreeMap<String, VecDeque<Answer>>>,
}

/// A running receiver on a loopback socket of the test's own runtime. It ends when it is dropped.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    secure: bool,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// When no socket can be had.
    pub async fn start() -> Result<Self> {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Starts one where an earlier one was.
    ///
    /// # Errors
    /// When the address is in use.
    pub async fn start_at(address: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address).await.context("bind the receiver")?;
        Self::serve(listener, false)
    }

    /// Starts one that speaks TLS; at a free port when the port is 0.
    ///
    /// # Errors
    /// When the address is in use.
    pub async fn start_tls(address: SocketAddr, tls: TlsAcceptor) -> Result<Self> {
        Self::serve(TlsListener::bind(address, tls).await?, true)
    }

    fn serve<L: Listener<Addr = SocketAddr>>(listener: L, secure: bool) -> Result<Self> {
        let address = listener.local_addr()?;
        let shared = Arc::<Shared>::default();
        let app = Router::new()
            .fallback(answer)
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            // silent-ok: a receiver that ends is one that is down, which the test sees
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self {
            address,
            secure,
            shared,
            task,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path, which begins with `/`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.address)
    }

    /// Answers to the next requests for a path; the last one stays. Without a script: 200 with nothing.
    pub fn script(&self, path: &str, answers: impl IntoIterator<Item = Answer>) {
        lock(&self.shared.script).insert(path.to_owned(), answers.into_iter().collect());
    }

    /// All requests in the order in which they came.
    #[must_use]
    pub fn told(&self) -> Vec<Told> {
        lock(&self.shared.told).clone()
    }

    /// Those for a path, without regard to a query.
    #[must_use]
    pub fn told_at(&self, path: &str) -> Vec<Told> {
        let all = self.told().into_iter();
        all.filter(|told| told.target.split('?').next() == Some(path)).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(State(shared): State<Arc<Shared>>, head: Parts, body: Bytes) -> Response {
    let headers = head.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    let mut next = {
        let mut script = lock(&shared.script);
        match script.get_mut(head.uri.path()) {
            Some(answers) if answers.len() > 1 => answers.pop_front(),
            Some(answers) => answers.front().cloned(),
            None => None,
        }
    };
    lock(&shared.told).push(Told {
        target: head.uri.to_string(),
        headers: headers.collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
        answer: next.as_ref().map_or(Some(200), Answer::status),
    });
    loop {
        let (status, header, body) = match next {
            None => (200, None, String::new()),
            Some(Answer::Status(status)) => (status, None, String::new()),
            Some(Answer::Json(value)) => (
                200,
                Some(("content-type", "application/json".into())),
                value.to_string(),
            ),
            Some(Answer::Text(text)) => (200, None, text),
            Some(Answer::With(status, name, value)) => (status, Some((name, value)), String::new()),
            Some(Answer::Late(pause, then)) => {
                tokio::time::sleep(pause).await;
                next = Some(*then);
                continue;
            }
            Some(Answer::Hang) => std::future::pending().await,
        };
        let mut response = Response::builder().status(status);
        if let Some((name, value)) = header {
            response = response.header(name, value);
        }
        return response.body(Body::from(body)).unwrap_or_default(); // silent-ok: scripts hold valid headers
    }
}
