//! Keeps a bridge running.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{Bridge, Failure, Host};

/// The pause before the first new start; it doubles with each failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);
/// A run that lasted so long was a good one: the pauses begin anew.
const GOOD_RUN: Duration = Duration::from_secs(60);
/// How long a transport may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(5);

/// How a bridge is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// It is being started.
    Starting,
    /// It works.
    Up,
    /// It does not, and tries again by itself.
    Retrying {
        /// What happened, without secrets.
        error: String,
        /// When it tries again.
        at: Timestamp,
    },
    /// It was stopped.
    Stopped,
    /// It cannot work until somebody changes something.
    Refused {
        /// What has to change, without secrets.
        error: String,
    },
}

/// Where a transport tells how it is doing. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Report(watch::Sender<State>);

impl Report {
    /// One that begins with [`State::Starting`], and where to look at it.
    #[must_use]
    pub fn new() -> (Self, watch::Receiver<State>) {
        let (tell, look) = watch::channel(State::Starting);
        (Self(tell), look)
    }

    /// It works.
    pub fn up(&self) {
        self.set(State::Up);
    }

    /// It does not, and tries again by itself after `pause`.
    pub fn retrying(&self, error: impl Into<String>, pause: Duration) {
        let error = error.into();
        self.set(State::Retrying {
            error,
            at: after(pause),
        });
    }

    /// Wakes those who look only when something is new.
    fn set(&self, state: State) {
        self.0.send_if_modified(|old| {
            let new = *old != state;
            *old = state;
            new
        });
    }
}

fn after(pause: Duration) -> Timestamp {
    let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
    Timestamp::now().saturating_add(pause).unwrap_or(Timestamp::MAX)
}

/// Runs the transport of a bridge until `drain` is cancelled: starts it again, with growing pauses, after a failure or a panic.
/// One that is refused stays down until the daemon starts again.
pub async fn supervise(bridge: Arc<dyn Bridge>, host: Arc<dyn Host>, report: Report, drain: CancellationToken) {
    let name = bridge.name().to_owned();
    let mut pause = FIRST_PAUSE;
    while !drain.is_cancelled() {
        report.set(State::Starting);
        let began = Instant::now();
        let ended = once(&*bridge, Arc::clone(&host), report.clone(), &drain).await;
        if drain.is_cancelled() {
            if let Err(failure) = ended {
                tracing::warn!(bridge = name, error = %failure, "the bridge did not end well");
            }
            break;
        }
        let error = match ended {
            Ok(()) => "it ended by itself".to_owned(),
            Err(Failure::Broken(error)) => error,
            Err(Failure::Refused(error)) => {
                tracing::error!(bridge = name, error, "the bridge cannot work");
                report.set(State::Refused { error });
                drain.cancelled().await;
                return;
            }
        };
        if began.elapsed() >= GOOD_RUN {
            pause = FIRST_PAUSE;
        }
        tracing::warn!(
            bridge = name,
            error,
            ?pause,
            "the bridge is down, and is started again after a pause"
        );
        report.retrying(error, pause);
        tokio::select! {
            () = drain.cancelled() => break,
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    report.set(State::Stopped);
}

/// One run, in a task of its own, so that a panic ends nothing else.
async fn once(
    bridge: &dyn Bridge,
    host: Arc<dyn Host>,
    report: Report,
    drain: &CancellationToken,
) -> Result<(), Failure> {
    let transport = bridge.transport();
    let stop = drain.child_token();
    let mut task = tokio::spawn(transport.run(host, report, stop));
    let ended = tokio::select! {
        ended = &mut task => ended,
        () = drain.cancelled() => match tokio::time::timeout(GRACE, &mut task).await {
            Ok(ended) => ended,
            Err(_elapsed) => {
                task.abort();
                return Err(Failure::Broken(format!("it did not end within {GRACE:?} and was cut off")));
            }
        },
    };
    ended.unwrap_or_else(|error| Err(Failure::Broken(format!("it crashed: {}", words(error)))))
}

fn words(error: tokio::task::JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else {
        return "its task was cut off".into();
    };
    let said = panic.downcast_ref::<&str>().map(|said| (*said).to_owned());
    said.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".into())
}

#[cfg(test)]
pub(crate) mod tests;
