//! Sessions of MCP: who opened one, at which door, and what is open of it. A session answers to nobody else and at no other
//! door; it ends when its client says so, when nobody has used it for long, or when there are too many.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use rmcp::transport::streamable_http_server::session::SessionManager as _;
use rmcp::transport::streamable_http_server::session::local::{LocalSessionManager, SessionConfig};
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::Mcp;
use crate::http::error::ApiError;
use crate::http::streams::{Place, Streams};

/// Longest pause between two looks for idle sessions, and the shortest.
const LOOK_MOST: Duration = Duration::from_secs(30);
const LOOK_LEAST: Duration = Duration::from_millis(100);
/// How `/health` calls the door of the whole daemon among those of channels: no agent has this name.
pub(crate) const WHOLE: &str = "*";

/// Most ids of requests of one session that are remembered as being answered, beyond those whose answers are open.
const LEFT_MAX: usize = 1024;

/// The one who may have all of them.
const OPERATOR: &str = "operator";

/// Where a client came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Door {
    /// `/mcp`
    Daemon,
    /// `/mcp/{channel}`
    Channel(String),
}

/// A session, and what its client does with it.
pub(super) struct Session {
    pub(super) id: String,
    door: Door,
    subject: String,
    use_: Mutex<Use>,
}

struct Use {
    /// When its last request came or its last answer ended.
    last: Instant,
    /// Answers that are being sent.
    open: usize,
    /// Its standing stream is open.
    standing: bool,
    /// Ids of requests that are being answered, also of those whose clients did not wait for it.
    asked: VecDeque<String>,
}

impl Session {
    fn use_(&self) -> MutexGuard<'_, Use> {
        self.use_.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Since when nothing has been open of it; `None` while something is.
    fn idle_since(&self) -> Option<Instant> {
        let use_ = self.use_();
        (use_.open == 0).then_some(use_.last)
    }
}

/// An answer that is being sent: while it lasts its session is in use.
pub(super) struct Open {
    session: Arc<Session>,
    standing: bool,
    /// The id of the request.
    asked: Option<String>,
    /// It came to its end.
    ended: bool,
}

impl Open {
    /// An answer to a request.
    pub(super) fn answer(session: Arc<Session>) -> Self {
        session.use_().open += 1;
        Self {
            session,
            standing: false,
            asked: None,
            ended: false,
        }
    }

    /// The answer to the request with this id. `None`: one with the same id is being answered, and nobody could tell
    /// their answers apart.
    pub(super) fn answer_to(session: Arc<Session>, id: &Value) -> Option<Self> {
        let id = id.to_string();
        let mut use_ = session.use_();
        if use_.asked.contains(&id) {
            return None;
        }
        if use_.asked.len() >= LEFT_MAX + use_.open {
            use_.asked.pop_front();
        }
        use_.asked.push_back(id.clone());
        drop(use_);
        let mut open = Self::answer(session);
        open.asked = Some(id);
        Some(open)
    }

    /// The stream for what is said unasked. `None`: it is open already.
    pub(super) fn standing(session: Arc<Session>) -> Option<Self> {
        let mut use_ = session.use_();
        if use_.standing {
            return None;
        }
        use_.standing = true;
        use_.open += 1;
        drop(use_);
        Some(Self {
            session,
            standing: true,
            asked: None,
            ended: false,
        })
    }

    /// It came to its end. One that did not is still being worked on when nobody waits for it any more.
    pub(super) fn end(mut self) {
        self.ended = true;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut use_ = self.session.use_();
        use_.open -= 1;
        use_.last = Instant::now();
        if let Some(id) = self.asked.take_if(|_| self.ended) {
            use_.asked.retain(|asked| *asked != id);
        }
        if self.standing {
            use_.standing = false;
        }
    }
}

/// All sessions. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Sessions {
    inner: Arc<Inner>,
}

struct Inner {
    /// The library's part: it carries the messages.
    manager: Arc<LocalSessionManager>,
    known: Mutex<HashMap<String, Arc<Session>>>,
    most: usize,
    idle: Duration,
    /// Held while one is opened: so many at once would be one too many otherwise.
    opening: tokio::sync::Mutex<()>,
    drain: CancellationToken,
    /// Calls that wait for something, by who called.
    waits: Streams,
}

impl Sessions {
    /// None yet. All end with `drain`.
    pub(crate) fn new(config: &Mcp, drain: CancellationToken) -> Self {
        // Ours say when a session is idle. An event without data is more than older clients understand.
        let mut carry = SessionConfig::default();
        carry.keep_alive = None;
        carry.sse_retry = None;
        let mut manager = LocalSessionManager::default();
        manager.session_config = carry;
        let inner = Inner {
            manager: Arc::new(manager),
            known: Mutex::default(),
            most: config.sessions.max(1),
            idle: config.session_idle.0,
            opening: tokio::sync::Mutex::new(()),
            drain,
            waits: Streams::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.inner.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn manager(&self) -> Arc<LocalSessionManager> {
        Arc::clone(&self.inner.manager)
    }

    pub(super) fn drain(&self) -> CancellationToken {
        self.inner.drain.child_token()
    }

    /// A place for a call that waits, whatever session it is of. `None`: so many of this one's wait already.
    pub(super) fn wait(&self, subject: String) -> Option<Place> {
        self.inner.waits.take(subject)
    }

    /// The session of that name, for who opened it where it was opened. Whose it is otherwise is not told.
    pub(super) async fn find(&self, id: &str, door: &Door, subject: &str) -> Option<Arc<Session>> {
        let session = self.known().get(id).cloned()?;
        if !self.lives(id).await {
            self.known().remove(id);
            return None;
        }
        if session.door != *door || session.subject != subject {
            return None;
        }
        session.use_().last = Instant::now();
        Some(session)
    }

    async fn lives(&self, id: &str) -> bool {
        let told = self.inner.manager.has_session(&id.into()).await;
        told.unwrap_or_else(|error| {
            tracing::warn!(%error, "an MCP session cannot be looked up");
            false
        })
    }

    /// Lets `open` open a session when there is room for one, and remembers it. `open` answers the name of the session.
    ///
    /// # Errors
    /// All are in use.
    pub(super) async fn open<T>(
        &self,
        door: Door,
        subject: String,
        open: impl Future<Output = (T, Option<String>)>,
    ) -> Result<(T, Option<Arc<Session>>), ApiError> {
        let _turn = self.inner.opening.lock().await;
        self.make_room(&subject).await?;
        let (answer, id) = open.await;
        let session = id.map(|id| {
            let use_ = Use {
                last: Instant::now(),
                open: 0,
                standing: false,
                asked: VecDeque::new(),
            };
            let session = Arc::new(Session {
                id: id.clone(),
                door,
                subject,
                use_: Mutex::new(use_),
            });
            self.known().insert(id, Arc::clone(&session));
            session
        });
        Ok((answer, session))
    }

    /// Whether somebody has as many as one may have: so that a token cannot keep the others out.
    fn has_its_share(&self, known: &HashMap<String, Arc<Session>>, subject: &str) -> bool {
        let own = known.values().filter(|one| one.subject == subject).count();
        subject != OPERATOR && own >= (self.inner.most / 2).max(1)
    }

    /// Ends the longest idle one when there are too many: one of the same subject's when that has its share.
    async fn make_room(&self, subject: &str) -> Result<(), ApiError> {
        let is_needed = |sessions: &Self| {
            let known = sessions.known();
            (
                known.len() >= sessions.inner.most,
                sessions.has_its_share(&known, subject),
            )
        };
        if is_needed(self) == (false, false) {
            return Ok(());
        }
        self.sweep().await;
        let (full, own) = is_needed(self);
        if !full && !own {
            return Ok(());
        }
        let longest = {
            let known = self.known();
            let those = known.values().filter(|one| !own || one.subject == subject);
            let idle = those.filter_map(|one| Some((one.idle_since()?, one.id.clone())));
            idle.min().map(|(_, id)| id)
        };
        let Some(id) = longest else {
            let message = match own {
                true => "All sessions that one token may have open at once are in use.".to_owned(),
                false => format!("All {} sessions that may be open at once are in use.", self.inner.most),
            };
            return Err(
                ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_sessions", message)
                    .then("Nothing was done. Close a client, or raise `[mcp] sessions` in the configuration."),
            );
        };
        self.close(&id).await;
        Ok(())
    }

    /// Ends a session and everything that is open of it.
    pub(super) async fn close(&self, id: &str) {
        self.known().remove(id);
        if let Err(error) = self.inner.manager.close_session(&id.into()).await {
            tracing::warn!(%error, "an MCP session did not end as it should");
        }
    }

    /// Forgets those that have ended, and ends those that were idle too long.
    async fn sweep(&self) {
        let all: Vec<Arc<Session>> = self.known().values().cloned().collect();
        for session in all {
            let idle = session
                .idle_since()
                .is_some_and(|since| since.elapsed() >= self.inner.idle);
            if idle {
                self.close(&session.id).await;
            } else if !self.lives(&session.id).await {
                self.known().remove(&session.id);
            }
        }
    }

    /// Ends idle sessions until `drain`.
    pub(crate) async fn run(self, drain: CancellationToken) {
        let pause = (self.inner.idle / 4).clamp(LOOK_LEAST, LOOK_MOST);
        loop {
            tokio::select! {
                () = drain.cancelled() => return,
                () = tokio::time::sleep(pause) => self.sweep().await,
            }
        }
    }

    /// How many there are, by channel; `*` counts those at the door of the whole daemon.
    pub(crate) async fn counts(&self) -> BTreeMap<String, usize> {
        let all: Vec<Arc<Session>> = self.known().values().cloned().collect();
        let mut counts = BTreeMap::new();
        for session in all {
            if self.lives(&session.id).await {
                let name = match &session.door {
                    Door::Daemon => WHOLE,
                    Door::Channel(channel) => channel,
                };
                *counts.entry(name.to_owned()).or_default() += 1;
            }
        }
        counts
    }
}
