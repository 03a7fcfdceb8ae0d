//! Whether a child took its prompt before it was cut off. The queue knows that an attempt was about to give it; a note beside
//! the conversation's files says how much was stored of the session at that moment. Nothing more of it: not taken.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reveille_backends::{AgentDir, Backend, Dirs};
use reveille_queue::Lease;
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Name of the note.
const FILE: &str = "begun.json";
/// Bytes of it, always the same so that nothing of an earlier one is left behind it: two identities and a few numbers, and blanks.
const LENGTH: usize = 512;
/// It is a few numbers.
const BYTES_MAX: u64 = 64 << 10;

/// What is known of the last attempt that was about to give its prompt. In a place that the child cannot write to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Begun {
    turn: Uuid,
    /// Of the claim.
    epoch: u64,
    /// Interruptions that counted before this attempt.
    interruptions: u32,
    session: Uuid,
    /// Bytes that were stored of the session.
    stored: u64,
    /// Whether an earlier attempt of the same claim took the prompt.
    taken_before: bool,
}

/// Looks at one turn's attempts under one claim.
pub(crate) struct Marker {
    backend: Arc<dyn Backend>,
    dirs: Dirs,
    lease: Lease,
}

impl Marker {
    /// For a claimed turn.
    pub(crate) fn new(backend: &Arc<dyn Backend>, dirs: &Dirs, lease: Lease) -> Self {
        Self {
            backend: Arc::clone(backend),
            dirs: dirs.clone(),
            lease,
        }
    }

    /// Notes that the prompt is about to be given. To be called before the queue is told. Not forced to the disk: without
    /// the note an attempt counts as one that took its prompt.
    ///
    /// # Errors
    /// Those of the file system, as text.
    pub(crate) fn mark(&self, session: Uuid, interruptions: u32) -> Result<(), String> {
        let taken_before = self
            .last()
            .is_some_and(|last| last.epoch == self.lease.epoch && (last.taken_before || self.has_more_since(&last)));
        let begun = Begun {
            turn: self.lease.turn,
            epoch: self.lease.epoch,
            interruptions,
            session,
            stored: self.backend.session_size(&self.dirs, session),
            taken_before,
        };
        write(&self.path(), &begun).map_err(|error| format!("a note about the attempt: {error}"))
    }

    /// Whether the attempt that was cut off last, the `interruptions`-th, took its prompt under this session.
    pub(crate) fn was_taken(&self, session: Uuid, interruptions: u32) -> bool {
        match self.last() {
            // A later note is of an attempt that was taken back: the one before it has been judged.
            Some(last) if last.session == session && last.interruptions.saturating_add(1) == interruptions => {
                last.taken_before || self.has_more_since(&last)
            }
            _ => self.backend.took_prompt(&self.dirs, session, 0),
        }
    }

    fn has_more_since(&self, begun: &Begun) -> bool {
        self.backend.took_prompt(&self.dirs, begun.session, begun.stored)
    }

    fn path(&self) -> PathBuf {
        self.dirs.ctl.join(FILE)
    }

    fn last(&self) -> Option<Begun> {
        let text = match AgentDir::open(&self.dirs.ctl).and_then(|ctl| ctl.read(FILE, BYTES_MAX)) {
            Ok(text) => text?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(%error, "the note about the last attempt cannot be read");
                return None;
            }
        };
        match serde_json::from_slice::<Begun>(&text) {
            Ok(begun) => (begun.turn == self.lease.turn).then_some(begun),
            Err(error) => {
                tracing::warn!(%error, "the note about the last attempt makes no sense");
                None
            }
        }
    }
}

/// In place, and all of it in one write within one page of memory: no kill comes in between. A new file for each turn would cost
/// more than everything else that is written down of its begin.
fn write(path: &Path, begun: &Begun) -> io::Result<()> {
    let mut text = serde_json::to_vec(begun)?;
    text.resize(text.len().max(LENGTH), b' ');
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?);
    file.write_all_at(&text, 0)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use reveille_backends::{Observer, TurnOutcome, TurnRequest};
    use tokio_util::sync::CancellationToken;

    use super::*;

    /// A storage of sessions.
    #[derive(Default)]
    struct Stored(Mutex<Vec<(Uuid, u64)>>);

    impl Stored {
        fn grow(&self, session: Uuid) {
            let mut all = self.0.lock().unwrap();
            match all.iter_mut().find(|(known, _)| *known == session) {
                Some((_, size)) => *size += 10,
                None => all.push((session, 10)),
            }
        }
    }

    #[async_trait]
    impl Backend for Stored {
        async fn run(&self, _: TurnRequest, _: &dyn Observer, _: CancellationToken) -> TurnOutcome {
            panic!("no turn is run")
        }

        fn session_size(&self, _: &Dirs, session: Uuid) -> u64 {
            let all = self.0.lock().unwrap();
            all.iter()
                .find(|(known, _)| *known == session)
                .map_or(0, |(_, size)| *size)
        }

        fn took_prompt(&self, dirs: &Dirs, session: Uuid, since: u64) -> bool {
            self.session_size(dirs, session) > since
        }
    }

    struct Desk {
        dir: tempfile::TempDir,
        stored: Arc<Stored>,
        turn: Uuid,
        session: Uuid,
    }

    impl Desk {
        /// With a session that earlier turns have left, or without.
        fn new(resumed: bool) -> Self {
            let desk = Self {
                dir: tempfile::tempdir().unwrap(),
                stored: Arc::default(),
                turn: Uuid::new_v4(),
                session: Uuid::new_v4(),
            };
            if resumed {
                desk.stored.grow(desk.session);
            }
            desk
        }

        fn marker(&self, epoch: u64) -> Marker {
            let at = self.dir.path().to_owned();
            let dirs = Dirs {
                cwd: at.clone(),
                ctl: at.clone(),
                home: at.clone(),
                tmp: at,
            };
            let backend: Arc<dyn Backend> = self.stored.clone();
            let turn = self.turn;
            Marker::new(&backend, &dirs, Lease { turn, epoch })
        }
    }

    #[test]
    fn a_session_that_has_not_grown_took_no_prompt() {
        for resumed in [false, true] {
            let desk = Desk::new(resumed);
            desk.marker(1).mark(desk.session, 0).unwrap();
            assert!(!desk.marker(2).was_taken(desk.session, 1), "{resumed}");
            desk.stored.grow(desk.session);
            assert!(desk.marker(2).was_taken(desk.session, 1), "{resumed}");
        }
    }

    #[test]
    fn an_attempt_that_was_taken_back_leaves_the_one_before_it() {
        let desk = Desk::new(true);
        desk.marker(1).mark(desk.session, 0).unwrap();
        desk.stored.grow(desk.session);
        desk.marker(2).mark(desk.session, 1).unwrap();
        assert!(!desk.marker(3).was_taken(desk.session, 2));
        // The second one no longer counts, and the daemon dies again before it marks a third.
        assert!(desk.marker(4).was_taken(desk.session, 1));
    }

    #[test]
    fn a_second_attempt_of_a_claim_does_not_hide_the_first() {
        let desk = Desk::new(true);
        desk.marker(1).mark(desk.session, 0).unwrap();
        desk.stored.grow(desk.session);
        desk.marker(1).mark(desk.session, 0).unwrap();
        desk.marker(1).mark(Uuid::new_v4(), 0).unwrap();
        desk.marker(1).mark(desk.session, 0).unwrap();
        assert!(desk.marker(2).was_taken(desk.session, 1));
    }

    #[test]
    fn without_a_note_what_is_stored_counts() {
        for left in [None, Some(""), Some("{\"turn\":")] {
            let desk = Desk::new(true);
            if let Some(left) = left {
                std::fs::write(desk.marker(1).path(), left).unwrap();
            }
            assert!(desk.marker(2).was_taken(desk.session, 1));
            assert!(!desk.marker(2).was_taken(Uuid::new_v4(), 1));
        }
        let desk = Desk::new(true);
        desk.marker(1).mark(desk.session, 0).unwrap();
        let other = Desk {
            turn: Uuid::new_v4(),
            ..desk
        };
        assert!(
            other.marker(2).was_taken(other.session, 1),
            "the note of another turn says nothing"
        );
    }
}
