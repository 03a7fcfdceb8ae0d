//! What turns did, kept for a while: a file for the events of each turn that has more to tell than its message and its
//! answer, and one for what its tools were given and answered where that is long.
//!
//! One thread writes, beside everything else: no turn waits for it, and none fails because of it. What is on its way when the
//! daemon is killed is gone.

mod files;
mod read;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use bytes::Bytes;
use reveille_backends::Whole;
use tokio::sync::oneshot;
use tracing::Span;
use uuid::Uuid;

use crate::live::Story;

pub(crate) use files::sweep;
pub(crate) use read::{Found, Kept, Side};

/// Bytes that may be on their way to the disk. Beyond it the next ones are left out.
const WAITING_MAX: usize = 64 << 20;
/// How long a reader waits for what is on its way.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the steps of a turn are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its conversation.
    pub(crate) thread: Uuid,
    /// The turn.
    pub(crate) turn: Uuid,
}

/// A long input or answer of a tool.
#[derive(Debug)]
pub(crate) struct Call {
    /// Identity of the call.
    pub(crate) id: String,
    /// The tool.
    pub(crate) tool: Option<String>,
    /// Which of the two.
    pub(crate) side: Side,
    /// It.
    pub(crate) whole: Whole,
}

enum Job {
    Story(Place, Vec<Bytes>, Vec<Bytes>, bool),
    Call(Place, Call),
    /// Everything before it is written.
    Settled(oneshot::Sender<()>),
}

impl Job {
    fn bytes(&self) -> usize {
        match self {
            Self::Story(_, head, tail, _) => head.iter().chain(tail).map(Bytes::len).sum(),
            Self::Call(_, call) => call.whole.text.len(),
            Self::Settled(_) => 0,
        }
    }
}

/// Handle. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Steps {
    dir: Arc<PathBuf>,
    /// Each with what lines of the log say of its turn.
    jobs: Sender<(Span, Job)>,
    waiting: Arc<AtomicUsize>,
}

impl Steps {
    /// Below a directory, which is made when there is something to keep.
    ///
    /// # Errors
    /// There is no thread for it.
    pub(crate) fn open(dir: PathBuf) -> io::Result<Self> {
        let (jobs, received) = channel();
        let steps = Self {
            dir: Arc::new(dir),
            jobs,
            waiting: Arc::default(),
        };
        let (dir, waiting) = (Arc::clone(&steps.dir), Arc::clone(&steps.waiting));
        std::thread::Builder::new()
            .name("steps".into())
            .spawn(move || write(&dir, &waiting, &received))?;
        Ok(steps)
    }

    /// Keeps what an attempt at a turn has told.
    pub(crate) fn keep(&self, place: Place, story: &Story) {
        let (head, tail) = story.events();
        self.send(place, Job::Story(place, head, tail, story.is_cut()));
    }

    /// Keeps a long input or answer.
    pub(crate) fn keep_call(&self, place: Place, call: Call) {
        self.send(place, Job::Call(place, call));
    }

    fn send(&self, place: Place, job: Job) {
        let bytes = job.bytes();
        if self.waiting.fetch_add(bytes, Ordering::Relaxed) + bytes > WAITING_MAX {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            tracing::warn!(turn = %place.turn, "some steps of a turn are not kept: the disk does not keep up");
        } else if self.jobs.send((Span::current(), job)).is_err() {
            tracing::warn!(turn = %place.turn, "the steps of turns are not kept any more; the next start mends that");
        }
    }

    /// Waits until everything that was to be kept until now is on its way no more, but not forever.
    pub(crate) async fn settled(&self) {
        let (done, is_done) = oneshot::channel();
        if self.jobs.send((Span::none(), Job::Settled(done))).is_ok()
            && tokio::time::timeout(PATIENCE, is_done).await.is_err()
        {
            tracing::warn!("steps of turns are on their way to the disk for a long time");
        }
    }

    /// What is kept of a turn; `None` when there is nothing.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) async fn read(&self, place: Place) -> io::Result<Option<Kept>> {
        let path = files::events(&self.dir, place);
        blocking(move || read::events(&path)).await
    }

    /// The long inputs and answers of one call, in this order.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) async fn call(&self, place: Place, id: &str) -> io::Result<[Option<Found>; 2]> {
        let (path, id) = (files::calls(&self.dir, place), id.to_owned());
        blocking(move || read::call(&path, &id)).await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn write(dir: &std::path::Path, waiting: &AtomicUsize, jobs: &Receiver<(Span, Job)>) {
    let mut written_calls = files::Written::default();
    while let Ok((span, job)) = jobs.recv() {
        let _of = span.enter();
        let bytes = job.bytes();
        let (turn, written) = match job {
            Job::Story(place, head, tail, cut) => (place.turn, files::add_events(dir, place, &head, &tail, cut)),
            Job::Call(place, call) => (place.turn, files::add_call(dir, place, &call, &mut written_calls)),
            Job::Settled(done) => {
                // silent-ok: whoever asked waits no more.
                let _ = done.send(());
                continue;
            }
        };
        waiting.fetch_sub(bytes, Ordering::Relaxed);
        if let Err(error) = written {
            tracing::warn!(%error, %turn, "what a turn did is not kept; its answer is not touched by that");
        }
    }
}
