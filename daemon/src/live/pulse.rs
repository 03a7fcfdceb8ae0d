//! What is told once for many changes: the first at once, those that follow it closely together.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Hub;
use super::line::{About, Run};
use super::story::Piece;

/// The shortest time between two.
const PAUSE: Duration = Duration::from_secs(1);

/// Jobs that have changed and of which nobody was told.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Changed {
    One(String),
    Several,
}

/// What is to be told.
#[derive(Default)]
pub(super) struct Pulse {
    jobs: Mutex<Option<Changed>>,
    bell: Notify,
}

#[derive(Serialize)]
struct JobsBody<'a> {
    seq: u64,
    at: Timestamp,
    kind: &'a str,
    /// `null`: several have changed.
    id: Option<&'a str>,
}

#[derive(Serialize)]
struct HealthBody<'a, S> {
    seq: u64,
    at: Timestamp,
    kind: &'a str,
    status: &'a S,
}

impl Pulse {
    fn note(&self, id: &str) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        *jobs = match jobs.take() {
            None => Some(Changed::One(id.to_owned())),
            Some(Changed::One(before)) if before == id => Some(Changed::One(before)),
            Some(_) => Some(Changed::Several),
        };
        self.bell.notify_one();
    }

    fn take(&self) -> Option<Changed> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Hub {
    /// A job was made, changed, has run or is gone.
    pub(crate) fn job_changed(&self, id: &str) {
        self.pulse().note(id);
    }

    /// How the daemon is, or one of the things that it needs, is not as before.
    pub(crate) fn health_changed<S: Serialize>(&self, status: &S) {
        self.push("", About::Agent, &Piece::Other, Run::Aside, "health", |seq| {
            HealthBody {
                seq,
                at: Timestamp::now(),
                kind: "health",
                status,
            }
        });
    }

    fn tell_jobs(&self, id: Option<&str>) {
        self.push("", About::Agent, &Piece::Other, Run::Aside, "jobs", |seq| JobsBody {
            seq,
            at: Timestamp::now(),
            kind: "jobs",
            id,
        });
    }

    /// Tells what is to be told, until `stop`.
    pub(crate) async fn beat(self, stop: CancellationToken) {
        let pulse = Arc::clone(self.pulse());
        let beat = async {
            loop {
                pulse.bell.notified().await;
                match pulse.take() {
                    None => continue,
                    Some(Changed::One(id)) => self.tell_jobs(Some(&id)),
                    Some(Changed::Several) => self.tell_jobs(None),
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::select! {
            () = beat => {}
            () = stop.cancelled() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::Value;

    use super::*;
    use crate::live::{Scope, Step, Watch};

    async fn next(watch: &mut Watch) -> Value {
        let Step::Events(told) = watch.next().await else {
            panic!("an event");
        };
        let text = std::str::from_utf8(told.bytes()).unwrap();
        let data = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
        serde_json::from_str(data).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn many_changes_are_told_together_and_none_is_lost() {
        let hub = Hub::new("boot");
        let stop = CancellationToken::new();
        let beat = tokio::spawn(hub.clone().beat(stop.clone()));
        let mut watch = hub.watch_all(Scope::All, None);
        let mut of_agent = hub.watch("eng", None);
        let began = tokio::time::Instant::now();
        hub.job_changed("a");
        assert_eq!(next(&mut watch).await["id"], "a");
        assert_eq!(began.elapsed(), Duration::ZERO);
        for id in ["b", "c", "b"] {
            hub.job_changed(id);
        }
        assert_eq!(next(&mut watch).await["id"], Value::Null);
        hub.job_changed("d");
        hub.job_changed("d");
        let told = next(&mut watch).await;
        assert_eq!((&told["id"], &told["kind"]), (&"d".into(), &"jobs".into()));
        assert_eq!(began.elapsed(), 2 * PAUSE);
        hub.health_changed(&"degraded");
        let told = next(&mut watch).await;
        assert_eq!((&told["kind"], &told["status"]), (&"health".into(), &"degraded".into()));
        assert!(watch.take().is_none() && of_agent.take().is_none());
        stop.cancel();
        beat.await.unwrap();
    }
}
