//! Something that the hub tells everybody, fetched when it is needed and kept for a while.
//!
//! However many ask, one fetch is on its way, and it ends also when those who wait for it go away. A hub that does not answer
//! is left alone for a pause; what it said before counts on for a given time, and then nothing does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use http::{Request, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use tokio::time::Instant;

use crate::hub::Place;
use crate::triggers::client::Client;

/// How long one fetch may take, from one place.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a hub that gave no good answer is left alone, if not for less.
const PAUSE: Duration = Duration::from_secs(30);
/// The same, for somebody who has reason to believe that what is kept is old.
const HURRY: Duration = Duration::from_secs(10);

/// What is fetched.
pub(super) struct What<T> {
    /// For a person.
    pub(super) name: &'static str,
    /// At the hub, from the slash on.
    pub(super) path: &'static str,
    /// Most bytes of the answer.
    pub(super) bytes: usize,
    /// How long an answer counts before the hub is asked again.
    pub(super) ttl: Duration,
    /// How long it counts while the hub does not answer.
    pub(super) outage: Duration,
    /// Reads it. The error is for a person.
    pub(super) read: fn(&[u8]) -> Result<T, String>,
}

/// A fetch that is on its way. It is off the way also when it breaks, so that there is another one after it.
struct Running<T: Send + Sync + 'static> {
    kept: Kept<T>,
    ended: bool,
}

impl<T: Send + Sync + 'static> Drop for Running<T> {
    fn drop(&mut self) {
        if !self.ended {
            let mut state = self.kept.state();
            state.running = None;
            state.failed = Some(("the fetch was cut short".into(), Instant::now()));
        }
    }
}

/// Cheap to clone.
pub(super) struct Kept<T> {
    inner: Arc<Inner<T>>,
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

struct Inner<T> {
    what: What<T>,
    http: Client,
    place: Place,
    state: Mutex<State<T>>,
}

struct State<T> {
    known: Option<(Arc<T>, Instant)>,
    /// Why the last fetch gave nothing, and when it ended.
    failed: Option<(String, Instant)>,
    hurried: Option<Instant>,
    running: Option<Shared<BoxFuture<'static, ()>>>,
}

impl<T: Send + Sync + 'static> Kept<T> {
    pub(super) fn new(what: What<T>, http: Client, place: Place) -> Self {
        let state = State {
            known: None,
            failed: None,
            hurried: None,
            running: None,
        };
        Self {
            inner: Arc::new(Inner {
                what,
                http,
                place,
                state: Mutex::new(state),
            }),
        }
    }

    /// What counts now; the hub is asked when that is necessary.
    ///
    /// # Errors
    /// Why nothing counts, for a person.
    pub(super) async fn get(&self) -> Result<Arc<T>, String> {
        if self.is_due() {
            self.fetch().await;
        }
        let state = self.state();
        match &state.known {
            Some((known, at)) if at.elapsed() < self.inner.what.ttl + self.inner.what.outage => Ok(Arc::clone(known)),
            _ => Err(state
                .failed
                .as_ref()
                .map_or_else(|| "the fetch was cut short".to_owned(), |(reason, _)| reason.clone())),
        }
    }

    /// Asks the hub before it is time, unless it was asked since then or somebody was in such a hurry just before. Answers
    /// whether there may be something new.
    pub(super) async fn hurry(&self, since: Instant) -> bool {
        {
            let mut state = self.state();
            if state.running.is_none() {
                let last = state
                    .failed
                    .as_ref()
                    .map(|(_, at)| *at)
                    .or(state.known.as_ref().map(|(_, at)| *at));
                if last.is_some_and(|at| at > since) || state.hurried.is_some_and(|at| at.elapsed() < HURRY) {
                    return false;
                }
                state.hurried = Some(Instant::now());
            }
        }
        self.fetch().await;
        true
    }

    fn is_due(&self) -> bool {
        let state = self.state();
        let fresh = state
            .known
            .as_ref()
            .is_some_and(|(_, at)| at.elapsed() < self.inner.what.ttl);
        let pause = PAUSE.min(self.inner.what.ttl);
        let resting = state.failed.as_ref().is_some_and(|(_, at)| at.elapsed() < pause);
        !fresh && !resting
    }

    /// Waits for the fetch that is on its way, or begins one.
    async fn fetch(&self) {
        let running = {
            let mut state = self.state();
            match &state.running {
                Some(running) => running.clone(),
                None => {
                    let task = tokio::spawn(self.clone().run());
                    // silent-ok: a fetch that broke has told nothing, which whoever waits sees
                    let running = task.map(|_| ()).boxed().shared();
                    state.running = Some(running.clone());
                    running
                }
            }
        };
        running.await;
    }

    async fn run(self) {
        let mut running = Running {
            kept: self.clone(),
            ended: false,
        };
        let fetched = self.ask().await;
        running.ended = true;
        let mut state = self.state();
        state.running = None;
        match fetched {
            Ok(value) => {
                state.known = Some((Arc::new(value), Instant::now()));
                state.failed = None;
            }
            Err(reason) => {
                tracing::warn!(
                    what = self.inner.what.name,
                    reason,
                    kept = state.known.is_some(),
                    "the hub cannot be asked; what it said before counts for a while, and without that nobody is let in by its tokens"
                );
                state.failed = Some((reason, Instant::now()));
            }
        }
    }

    /// At the first place that answers.
    async fn ask(&self) -> Result<T, String> {
        let mut reasons = Vec::new();
        for origin in self.inner.place.asked() {
            match tokio::time::timeout(PATIENCE, self.ask_at(&origin)).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(reason)) => reasons.push(format!("{origin}: {reason}")),
                Err(_late) => reasons.push(format!("{origin}: no answer within {PATIENCE:?}")),
            }
        }
        Err(reasons.join("; "))
    }

    async fn ask_at(&self, origin: &str) -> Result<T, String> {
        let What { path, bytes, read, .. } = &self.inner.what;
        let request = Request::get(format!("{origin}{path}"))
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, concat!("reveille/", env!("CARGO_PKG_VERSION")))
            .body(Full::<Bytes>::default())
            .map_err(|error| format!("its address can be none ({error})"))?;
        let response = self.inner.http.send(request).await?;
        let status = response.status();
        if !status.is_success() {
            return Err(format!("it answered {}", status.as_u16()));
        }
        match Limited::new(response.into_body(), *bytes).collect().await {
            Ok(body) => read(&body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(format!("it answered with more than {bytes} bytes")),
            Err(_) => Err("the connection broke in the middle of its answer".into()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    static READ: AtomicU32 = AtomicU32::new(0);

    /// Breaks the first time.
    fn read(_: &[u8]) -> Result<u32, String> {
        match READ.fetch_add(1, Ordering::Relaxed) {
            0 => panic!("what nobody has thought of"),
            number => Ok(number),
        }
    }

    /// Answers everybody `{}`.
    async fn hub() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    assert_ne!(stream.read_buf(&mut head).await.unwrap(), 0);
                }
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
                stream.write_all(answer).await.unwrap();
            }
        });
        origin
    }

    #[tokio::test]
    async fn after_a_fetch_that_broke_there_is_another_one() {
        let what = What {
            name: "its number",
            path: "/number",
            bytes: 64,
            ttl: Duration::ZERO,
            outage: Duration::from_secs(60),
            read,
        };
        let place = Place {
            keys_origin: Some(hub().await),
            ..Place::default()
        };
        let kept = Kept::new(what, Client::default(), place);
        assert_eq!(kept.get().await.unwrap_err(), "the fetch was cut short");
        assert_eq!(*kept.get().await.unwrap(), 1);
        assert_eq!(*kept.get().await.unwrap(), 2);
    }
}
