//! What goes by itself when its time is over: the files that ended turns were given, what is kept of their steps, uploads that
//! no message took, transcripts of sessions that are over, and, where the operator wants it, the scratch of conversations. Looks
//! at the start and once a day; one directory after the other, beside everything else.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use reveille_backends::AgentDir;
use reveille_queue::{Queue, QueueError};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::attachments;
use crate::config::Keep;
use crate::homes::Homes;
use crate::record;
use crate::sent;
use crate::steps;
use crate::vaults::ByName;

/// How often it looks.
const EVERY: SignedDuration = SignedDuration::from_hours(24);
/// How often it looks at the clock: timers do not count the time that a machine sleeps.
const CLOCK: Duration = Duration::from_secs(60 * 60);
/// Temporary files of one conversation that are looked at on one day.
const TEMPORARIES_MAX: usize = 100_000;
/// Turns that the queue looks at in one step: messages that come meanwhile wait for no more.
const FORGET: u32 = 200;
/// How long an upload may wait for its message.
const UPLOADS: SignedDuration = SignedDuration::from_hours(24);

/// The housekeeper.
pub(crate) struct Retention {
    /// Where conversations have their directories.
    pub(crate) conversations: PathBuf,
    /// How long the files of an ended turn stay.
    pub(crate) attachments: Duration,
    /// Where the steps of turns are, and how long they stay.
    pub(crate) steps: (PathBuf, Duration),
    /// How long the journal keeps what was said.
    pub(crate) journal: Keep,
    /// Knows which turns have ended.
    pub(crate) queue: Arc<dyn Queue>,
    /// Whose uploads may be forgotten.
    pub(crate) vaults: ByName,
    /// The directories of conversations; how long transcripts of sessions that are over stay, and the scratch of those that
    /// rest.
    pub(crate) homes: (Homes, Duration, Keep),
}

impl Retention {
    /// Finishes what was cut off. Before any turn begins.
    pub(crate) async fn settle(&self) {
        if let Err(error) = self.homes.0.settle().await {
            tracing::warn!(%error, "directories of conversations that were on their way out stay until the next start");
        }
    }

    /// Keeps house until `drain`.
    pub(crate) async fn run(self, drain: CancellationToken) {
        let mut last: Option<Timestamp> = None;
        loop {
            let now = Timestamp::now();
            if last.is_none_or(|last| now.duration_since(last) >= EVERY) {
                last = Some(now);
                tokio::select! {
                    () = drain.cancelled() => return,
                    () = self.pass(now) => {}
                }
            }
            tokio::select! {
                () = drain.cancelled() => return,
                () = tokio::time::sleep(CLOCK) => {}
            }
        }
    }

    async fn pass(&self, now: Timestamp) {
        match self.sweep_temporaries(now).await {
            Ok(0) => {}
            Ok(files) => tracing::info!(files, "old temporary files of agents were removed"),
            Err(error) => tracing::warn!(%error, "old temporary files of agents stay until tomorrow"),
        }
        match self.sweep_turns(now).await {
            Ok(0) => {}
            Ok(turns) => tracing::info!(turns, "files of ended turns were removed"),
            Err(error) => tracing::warn!(%error, "some files of ended turns stay until tomorrow"),
        }
        let (homes, transcripts, scratch) = &self.homes;
        match homes.sweep_transcripts(*transcripts, now).await {
            Ok(0) => {}
            Ok(sessions) => tracing::info!(sessions, "transcripts of sessions that are over were removed"),
            Err(error) => tracing::warn!(%error, "transcripts of sessions that are over stay until tomorrow"),
        }
        if let Keep::For(age) = scratch {
            match homes.sweep_scratch(*age, now).await {
                Ok(0) => {}
                Ok(conversations) => tracing::info!(conversations, "the scratch of resting conversations was removed"),
                Err(error) => tracing::warn!(%error, "the scratch of resting conversations stays until tomorrow"),
            }
        }
        let (dir, age) = &self.steps;
        let before = SystemTime::from(now) - *age;
        match blocking(dir, move |dir| steps::sweep(&dir, before)).await {
            Ok(0) => {}
            Ok(files) => tracing::info!(files, "old steps of turns were removed"),
            Err(error) => tracing::warn!(%error, "old steps of turns stay until tomorrow"),
        }
        if let Keep::For(age) = self.journal {
            match self.forget(age, now).await {
                Ok(0) => {}
                Ok(turns) => tracing::info!(turns, "what was said in ended turns was taken out of the journal"),
                Err(error) => {
                    tracing::warn!(%error, "what was said in ended turns stays in the journal until tomorrow");
                }
            }
        }
        for vault in self.vaults.all() {
            match vault.files().sweep(now - UPLOADS).await {
                Ok(0) => {}
                Ok(files) => tracing::info!(vault = vault.name(), files, "uploads that no note has were removed"),
                Err(error) => tracing::warn!(%error, "uploads that no note has stay until tomorrow"),
            }
        }
    }

    /// Answers of how many turns the journal has forgotten what was said.
    async fn forget(&self, age: Duration, now: Timestamp) -> Result<u64, QueueError> {
        // Longer than time goes back: nothing is so old.
        let before = SignedDuration::try_from(age)
            .ok()
            .and_then(|age| now.checked_sub(age).ok()); // silent-ok: said here
        let Some(before) = before else { return Ok(0) };
        let (mut after, mut turns) = (None, 0);
        loop {
            let some = self.queue.forget(before, after, FORGET, record::forget_words).await?;
            turns += some.turns;
            if some.next.is_none() {
                return Ok(turns);
            }
            after = some.next;
        }
    }

    /// Answers how many temporary files and directories have gone: those that nobody has changed for as long as files of ended
    /// turns are kept.
    async fn sweep_temporaries(&self, now: Timestamp) -> anyhow::Result<u64> {
        let before = SystemTime::from(now) - self.attachments;
        let sweep = move |conversations: PathBuf| {
            let mut removed = 0;
            for conversation in names(&conversations)? {
                for old in old_temporaries(&conversations.join(conversation).join("tmp"), before) {
                    match remove(&old) {
                        Ok(()) => removed += 1,
                        Err(error) => tracing::warn!(%error, path = %old.display(), "a temporary file stays"),
                    }
                }
            }
            Ok(removed)
        };
        Ok(blocking(&self.conversations, sweep).await?)
    }

    /// Answers how many turns have lost their files.
    async fn sweep_turns(&self, now: Timestamp) -> anyhow::Result<u64> {
        let mut removed = 0;
        let conversations = blocking(&self.conversations, |dir| names(&dir)).await?;
        // What its messages brought along, and what its answers did.
        let dirs = [attachments::DIR, sent::DIR];
        for (conversation, name) in conversations.iter().flat_map(|one| dirs.map(|dir| (one, dir))) {
            let dir = self.conversations.join(conversation).join(name);
            let before = SystemTime::from(now) - self.attachments;
            let old = blocking(&dir, move |dir| Ok(old_turns(&dir, before))).await?;
            for turn in old {
                if !self.is_over(turn, now).await? {
                    continue;
                }
                let gone = blocking(&dir.join(turn.to_string()), std::fs::remove_dir_all).await;
                match gone {
                    Ok(()) => removed += 1,
                    Err(error) => tracing::warn!(%error, %turn, "the files of an ended turn cannot be removed"),
                }
            }
        }
        Ok(removed)
    }

    /// Whether the turn has ended long enough ago. One that the queue does not know is nobody's.
    async fn is_over(&self, turn: Uuid, now: Timestamp) -> Result<bool, QueueError> {
        let Some(turn) = self.queue.turn(turn).await? else {
            return Ok(true);
        };
        let since = turn.settled_at.filter(|_| turn.state.is_terminal());
        let age = since.map(|since| now.duration_since(since).unsigned_abs());
        Ok(age.is_some_and(|age| age >= self.attachments))
    }
}

async fn blocking<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce(PathBuf) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || work(path))
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
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

/// A link is removed itself, never what it leads to.
fn remove(path: &Path) -> io::Result<()> {
    match path.symlink_metadata()?.is_dir() {
        true => crate::remover::remove_tree(path),
        false => std::fs::remove_file(path),
    }
}

/// What was last changed before `before` in the directory of an agent's temporary files. A link in its place is none.
fn old_temporaries(dir: &Path, before: SystemTime) -> Vec<PathBuf> {
    let listed = AgentDir::open(dir).and_then(|dir| dir.names(TEMPORARIES_MAX));
    let names = listed.unwrap_or_else(|error| {
        // Most conversations of attached agents have none.
        tracing::debug!(%error, dir = %dir.display(), "the temporary files of a conversation cannot be listed");
        Vec::new()
    });
    let all = names.into_iter().map(|name| dir.join(name));
    let old = |path: &PathBuf| {
        let changed = path.symlink_metadata().and_then(|meta| meta.modified());
        changed.is_ok_and(|changed| changed <= before)
    };
    all.filter(old).collect()
}

/// Turns whose files were laid out before `before`. Younger ones need not be asked about: they ended later than that.
fn old_turns(dir: &Path, before: SystemTime) -> Vec<Uuid> {
    // Most conversations have no files at all, and a link in the place of the directory is no directory of ours.
    if !dir.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
        return Vec::new();
    }
    let names = names(dir).unwrap_or_else(|error| {
        tracing::warn!(%error, dir = %dir.display(), "the files of a conversation cannot be listed");
        Vec::new()
    });
    let old = |turn: &Uuid| {
        let changed = dir
            .join(turn.to_string())
            .symlink_metadata()
            .and_then(|meta| meta.modified());
        changed.is_ok_and(|changed| changed <= before)
    };
    // A name that is no turn's is not ours to remove.
    names.iter().filter_map(|name| name.parse().ok()).filter(old).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use pretty_assertions::assert_eq;
    use reveille_queue::{Lane, Message, MessageMode, Options, SessionUpdate, Settlement, Spend, State, ThreadKey};
    use reveille_vault::{EmbeddedVault, NewAttachment, NewFile, NewNote, Vault as _};
    use serde_json::Value;

    use super::*;
    use crate::homes::Doors;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn retention(dir: &Path) -> Retention {
        let queue: Arc<dyn Queue> = Arc::new(Options::new(dir.join("queue.db")).open().unwrap());
        Retention {
            conversations: dir.join("conversations"),
            attachments: 30 * DAY,
            steps: (dir.join("steps"), 30 * DAY),
            journal: Keep::Forever,
            vaults: ByName::default(),
            homes: (
                Homes {
                    dir: dir.join("conversations"),
                    queue: Arc::clone(&queue),
                    doors: Doors::default(),
                },
                30 * DAY,
                Keep::Forever,
            ),
            queue,
        }
    }

    /// A turn that waits.
    async fn turn(queue: &dyn Queue, note: &str) -> Uuid {
        let message = Message {
            lane: lane(),
            chain: note.into(),
            mode: MessageMode::Followup,
            vault: "v".into(),
            note: note.into(),
            body: Value::Null,
        };
        queue.accept(vec![message], None).await.unwrap()[0].turn
    }

    fn lane() -> Lane {
        Lane {
            channel: "eng".parse().unwrap(),
            thread: ThreadKey::Main,
        }
    }

    async fn settle(queue: &dyn Queue) {
        let claim = queue.claim(&lane()).await.unwrap().unwrap();
        let settlement = Settlement {
            state: State::Ok,
            record: Value::Null,
            session: SessionUpdate::Keep,
            spend: Spend::default(),
        };
        queue.settle(claim.lease, settlement, Vec::new()).await.unwrap();
    }

    fn lay_out(dir: PathBuf) -> PathBuf {
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("a"), "a").unwrap();
        dir
    }

    #[tokio::test]
    async fn w_19_old_temporary_files_go_and_nothing_that_links_lead_to() {
        let dir = tempfile::tempdir().unwrap();
        let retention = retention(dir.path());
        let conversation = retention.conversations.join("one");
        let outside = lay_out(dir.path().join("outside"));
        let tmp = lay_out(conversation.join("tmp"));
        lay_out(tmp.join("deep/er"));
        symlink(&outside, tmp.join("link")).unwrap();
        let work = lay_out(conversation.join("work"));
        let other = retention.conversations.join("two");
        std::fs::create_dir(&other).unwrap();
        symlink(&outside, other.join("tmp")).unwrap();
        let later = |days: i32| Timestamp::now() + SignedDuration::try_from(DAY).unwrap() * days;
        assert_eq!(retention.sweep_temporaries(later(29)).await.unwrap(), 0);
        assert!(tmp.join("deep/er/a").is_file());
        assert_eq!(retention.sweep_temporaries(later(31)).await.unwrap(), 3);
        assert_eq!(std::fs::read_dir(&tmp).unwrap().count(), 0);
        assert!(outside.join("a").is_file() && work.join("a").is_file());
    }

    #[tokio::test]
    async fn only_files_of_turns_that_ended_long_ago_go() {
        let dir = tempfile::tempdir().unwrap();
        let retention = retention(dir.path());
        let (ended, open) = (turn(&*retention.queue, "1").await, turn(&*retention.queue, "2").await);
        settle(&*retention.queue).await;
        let at = |conversation: &str, name: &str| {
            let conversation = retention.conversations.join(conversation);
            conversation.join(attachments::DIR).join(name)
        };
        let ended = lay_out(at("one", &ended.to_string()));
        let unknown = lay_out(at("two", &Uuid::new_v4().to_string()));
        // Of a turn that is not over, of nobody that we know, behind links, and what else a conversation has.
        let outside = lay_out(dir.path().join("outside").join(Uuid::new_v4().to_string()));
        let stay = [
            lay_out(at("one", &open.to_string())),
            lay_out(at("one", "notes")),
            lay_out(retention.conversations.join("three/work")),
            outside.clone(),
        ];
        symlink(&outside, at("two", &Uuid::new_v4().to_string())).unwrap();
        let whole = retention.conversations.join("four");
        std::fs::create_dir(&whole).unwrap();
        symlink(outside.parent().unwrap(), whole.join(attachments::DIR)).unwrap();

        let later = |days: i32| Timestamp::now() + SignedDuration::try_from(DAY).unwrap() * days;
        assert_eq!(retention.sweep_turns(later(29)).await.unwrap(), 0);
        assert!(ended.join("a").is_file() && unknown.join("a").is_file());
        assert_eq!(retention.sweep_turns(later(31)).await.unwrap(), 2);
        assert!(!ended.exists() && !unknown.exists());
        for kept in &stay {
            assert!(kept.join("a").is_file(), "{}", kept.display());
        }
        assert_eq!(retention.sweep_turns(later(31)).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn an_upload_that_no_message_took_goes_after_a_day() {
        let dir = tempfile::tempdir().unwrap();
        let mut retention = retention(dir.path());
        let vault = EmbeddedVault::open("v", &dir.path().join("v.db")).unwrap();
        retention.vaults = ByName::from(vault.clone());
        let mut paths = Vec::new();
        for name in ["forgotten", "taken"] {
            let file = NewFile {
                filename: name.into(),
                mime_type: None,
            };
            let upload = vault.files().upload(file).await.unwrap();
            paths.push(upload.finish().await.unwrap().path);
        }
        let note = NewNote {
            content: "x".into(),
            attachments: vec![NewAttachment::of(&paths[1])],
            ..NewNote::default()
        };
        vault.create(note).await.unwrap();
        let there = async |path: &str| vault.files().open(path).await.unwrap().is_some();
        // Conversations that cannot be listed do not keep the vaults from being swept.
        for (hours, forgotten) in [(23, true), (25, false)] {
            retention
                .pass(Timestamp::now() + SignedDuration::from_hours(hours))
                .await;
            assert_eq!(
                (there(&paths[0]).await, there(&paths[1]).await),
                (forgotten, true),
                "{hours}"
            );
        }
    }
}
