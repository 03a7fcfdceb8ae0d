//! The private directories of conversations over time: the scratch of those that have rested for long, and transcripts of
//! sessions that nobody goes on with. What runs or waits in line is never touched.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use reveille_backends::{AgentDir, config_dir_in};
use reveille_queue::{Listed, Queue, QueueError, Standing, Turn};
use tokio::sync::{RwLock, RwLockReadGuard};
use uuid::Uuid;

use crate::remover::remove_tree;

/// Conversations that are asked about at once.
const BATCH: usize = 200;
/// Working directories of one conversation, and sessions in one of them, that are looked at on one day.
const NAMES_MAX: usize = 10_000;
/// The last turns of a conversation that are looked at.
const TURNS: u32 = 100;
/// What the name of a directory begins with that is on its way out.
const GOING: &str = ".going-";
/// What files of sessions are called: `<session>.jsonl`.
const TRANSCRIPT: &str = ".jsonl";

/// Keeps turns from moving in where the housekeeper looks whether somebody lives. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Doors(Arc<RwLock<()>>);

impl Doors {
    /// While it is held, no directory of a conversation goes.
    pub(crate) async fn enter(&self) -> RwLockReadGuard<'_, ()> {
        self.0.read().await
    }
}

/// Looks after the directories of conversations.
pub(crate) struct Homes {
    /// Where they are.
    pub(crate) dir: PathBuf,
    /// Knows how they stand.
    pub(crate) queue: Arc<dyn Queue>,
    /// Against turns that begin meanwhile.
    pub(crate) doors: Doors,
}

/// Whether nothing was done in a conversation for that long, and nothing is to be done.
fn rests(one: &Listed, age: Duration, now: Timestamp) -> bool {
    let quiet = matches!(one.standing, Standing::Idle | Standing::Error);
    let since = one.turn.settled_at.filter(|_| quiet && one.turn.state.is_terminal());
    since.is_some_and(|since| is_past(since, age, now))
}

fn is_past(at: Timestamp, age: Duration, now: Timestamp) -> bool {
    now >= at && now.duration_since(at).unsigned_abs() >= age
}

impl Homes {
    /// Removes the directories of conversations that have rested for `age`, and lets their sessions go. Answers how many.
    ///
    /// # Errors
    /// The directories cannot be listed, or the queue cannot be read.
    pub(crate) async fn sweep_scratch(&self, age: Duration, now: Timestamp) -> anyhow::Result<u64> {
        let mut gone = 0;
        for one in self.standing().await? {
            if rests(&one, age, now) {
                match self.clear(one.conversation.id, age, now).await {
                    Ok(true) => gone += 1,
                    Ok(false) => {}
                    Err(error) => {
                        let conversation = one.conversation.id;
                        tracing::warn!(%error, %conversation, "the directory of a conversation stays until tomorrow");
                    }
                }
            }
        }
        Ok(gone)
    }

    /// Removes transcripts that nobody has written to for `age`, of sessions that their conversations do not go on with.
    /// Answers how many.
    ///
    /// # Errors
    /// As [`Homes::sweep_scratch`].
    pub(crate) async fn sweep_transcripts(&self, age: Duration, now: Timestamp) -> anyhow::Result<u64> {
        let before = SystemTime::from(now) - age;
        let mut gone = 0;
        for one in self.standing().await? {
            if !matches!(one.standing, Standing::Idle | Standing::Error) {
                continue;
            }
            let kept = one.conversation.session.as_ref().map(|(session, _)| *session);
            let home = self.home(one.conversation.id).join("home");
            let swept = tokio::task::spawn_blocking(move || transcripts(&home, kept, before)).await?;
            match swept {
                Ok(count) => gone += count,
                // Most attached agents have none.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let conversation = one.conversation.id;
                    tracing::warn!(%error, %conversation, "old transcripts of a conversation stay until tomorrow");
                }
            }
        }
        Ok(gone)
    }

    fn home(&self, conversation: Uuid) -> PathBuf {
        self.dir.join(conversation.to_string())
    }

    /// Finishes what a daemon that was killed has left in the middle. Before any turn begins.
    ///
    /// # Errors
    /// As [`Homes::sweep_scratch`].
    pub(crate) async fn settle(&self) -> anyhow::Result<()> {
        let dir = self.dir.clone();
        let names = tokio::task::spawn_blocking(move || names(&dir)).await??;
        for name in names.iter().filter_map(|name| name.strip_prefix(GOING)) {
            if let Ok(conversation) = name.parse() {
                self.finish(conversation).await?;
            }
        }
        Ok(())
    }

    /// How the conversations stand that have a directory. A directory that the queue does not know is left alone.
    async fn standing(&self) -> anyhow::Result<Vec<Listed>> {
        let dir = self.dir.clone();
        let names = tokio::task::spawn_blocking(move || names(&dir)).await??;
        let ids: Vec<Uuid> = names.iter().filter_map(|name| name.parse().ok()).collect();
        let mut all = Vec::new();
        for some in ids.chunks(BATCH) {
            all.extend(self.queue.listed(some.to_vec()).await?);
        }
        Ok(all)
    }

    /// Removes one directory, unless somebody has come back to the conversation.
    async fn clear(&self, conversation: Uuid, age: Duration, now: Timestamp) -> anyhow::Result<bool> {
        let (home, going) = (self.home(conversation), self.dir.join(format!("{GOING}{conversation}")));
        {
            let _nobody_enters = self.doors.0.write().await;
            let now_stands = self.queue.listed(vec![conversation]).await?;
            // One that had waited for long may have come after the newest.
            let last = self.queue.turns_in(conversation, None, TURNS).await?;
            let long = |turn: &Turn| turn.settled_at.is_some_and(|at| is_past(at, age, now));
            if !now_stands.first().is_some_and(|one| rests(one, age, now)) || !last.iter().all(long) {
                return Ok(false);
            }
            std::fs::rename(&home, &going)?;
            crate::crash::point("scratch.aside");
            if !self.forgotten(conversation).await {
                std::fs::rename(&going, &home)?;
                return Ok(false);
            }
        }
        tokio::task::spawn_blocking(move || remove_tree(&going)).await??;
        Ok(true)
    }

    /// Whether the session has been let go of. Not when a message has come meanwhile.
    async fn forgotten(&self, conversation: Uuid) -> bool {
        self.queue
            .forget_session(conversation)
            .await
            .unwrap_or_else(|error: QueueError| {
                tracing::warn!(%error, %conversation, "the session of a conversation could not be let go of");
                false
            })
    }

    /// What became of a directory that was on its way out when the daemon died: it goes if its session was let go of, else
    /// it comes back.
    async fn finish(&self, conversation: Uuid) -> anyhow::Result<()> {
        let (home, going) = (self.home(conversation), self.dir.join(format!("{GOING}{conversation}")));
        let _nobody_enters = self.doors.0.write().await;
        let stands = self.queue.listed(vec![conversation]).await?;
        let goes_on = stands.first().is_some_and(|one| one.conversation.session.is_some());
        if goes_on && !home.exists() {
            return Ok(std::fs::rename(&going, &home)?);
        }
        if goes_on {
            tracing::warn!(%conversation, kept = %going.display(), "what a conversation had is kept beside what it has now");
            return Ok(());
        }
        Ok(tokio::task::spawn_blocking(move || remove_tree(&going)).await??)
    }
}

/// Names of directories in a directory. Links are none.
fn names(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.extend(entry.file_name().into_string());
        }
    }
    Ok(names)
}

/// Never through a link: the agent can write there.
fn transcripts(home: &Path, kept: Option<Uuid>, before: SystemTime) -> io::Result<u64> {
    let Some(projects) = config_dir_in(home)?
        .map(|config| config.existing("projects"))
        .transpose()?
        .flatten()
    else {
        return Ok(0);
    };
    let mut removed = 0;
    for project in projects.names(NAMES_MAX)? {
        let Some(project) = projects.existing(&project)? else {
            continue;
        };
        for name in project.names(NAMES_MAX)? {
            let session = name
                .to_str()
                .and_then(|name| name.strip_suffix(TRANSCRIPT)?.parse().ok());
            if session.is_none_or(|session: Uuid| Some(session) == kept) || !is_old(&project, &name, before)? {
                continue;
            }
            project.remove(&name)?;
            removed += 1;
        }
    }
    Ok(removed)
}

fn is_old(dir: &AgentDir, name: &std::ffi::OsStr, before: SystemTime) -> io::Result<bool> {
    match dir.file(name)? {
        Some(file) => Ok(file.metadata()?.modified()? <= before),
        None => Ok(false),
    }
}
