//! Step by step, over a real queue and a real vault with a door that can be shut. The loop itself is seen from outside, in the
//! end-to-end tests.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use pretty_assertions::assert_eq;
use reveille_queue::{Lane, Message, MessageMode, NewEffect, SessionUpdate, Settlement, Spend, State, ThreadKey};
use reveille_vault::agent::{Outbound, OutboundKind, ThreadRecord, ThreadStatus};
use reveille_vault::{
    Change, Cursor, EmbeddedVault, Key, NewNote, Note, NoteId, Page, Patch, Precondition, Query, Vault,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::watch;
use tracing::field::Field;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use super::*;
use crate::effects::derived;
use crate::live::{Step, Watch};

/// A vault whose next writes fail, and which counts them all.
struct Door {
    inner: Arc<EmbeddedVault>,
    tries: AtomicU32,
    failing: AtomicU32,
}

impl Door {
    async fn write<T>(&self, work: impl Future<Output = Result<T, VaultError>>) -> Result<T, VaultError> {
        self.tries.fetch_add(1, Ordering::SeqCst);
        let fails = |left: u32| left.checked_sub(1);
        match self.failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fails) {
            Err(_) => work.await,
            Ok(_) => Err(VaultError::Unavailable {
                vault: "home".into(),
                reason: "the door is shut".into(),
            }),
        }
    }
}

#[async_trait]
impl Vault for Door {
    fn name(&self) -> &str {
        self.inner.name()
    }
    fn kind(&self) -> reveille_vault::Kind {
        self.inner.kind()
    }
    fn capabilities(&self) -> reveille_vault::Capabilities {
        self.inner.capabilities()
    }
    fn state(&self) -> reveille_vault::VaultState {
        self.inner.state()
    }
    async fn get(&self, key: &Key) -> Result<Option<Note>, VaultError> {
        self.inner.get(key).await
    }
    async fn query(&self, query: &Query) -> Result<Page, VaultError> {
        self.inner.query(query).await
    }
    async fn create_all(&self, notes: Vec<NewNote>) -> Result<Vec<Note>, VaultError> {
        self.write(self.inner.create_all(notes)).await
    }
    async fn patch(&self, key: &Key, patch: Patch, precondition: Precondition) -> Result<Note, VaultError> {
        self.write(self.inner.patch(key, patch, precondition)).await
    }
    async fn upsert(&self, path: &str, patch: Patch, create: NewNote) -> Result<(Note, bool), VaultError> {
        self.inner.upsert(path, patch, create).await
    }
    async fn delete(&self, key: &Key) -> Result<NoteId, VaultError> {
        self.inner.delete(key).await
    }
    async fn changes(&self, since: Cursor, limit: u32) -> Result<Vec<Change>, VaultError> {
        self.inner.changes(since, limit).await
    }
    fn triggers(&self) -> Result<&dyn reveille_vault::Triggers, VaultError> {
        self.inner.triggers()
    }
    fn watch(&self) -> watch::Receiver<Cursor> {
        self.inner.watch()
    }
    async fn log(&self) -> Result<String, VaultError> {
        self.inner.log().await
    }
    fn files(&self) -> &dyn reveille_vault::Files {
        self.inner.files()
    }
    fn tags(&self) -> Result<&dyn reveille_vault::Tags, VaultError> {
        self.inner.tags()
    }
    fn links(&self) -> Result<&dyn reveille_vault::Links, VaultError> {
        self.inner.links()
    }
    fn profile(&self) -> &dyn reveille_vault::Profile {
        self.inner.profile()
    }
    async fn look(&self, note: Option<&NoteId>) -> Result<(), VaultError> {
        self.inner.look(note).await
    }
    async fn close(&self) {
        self.inner.close().await;
    }
}

/// An outbox whose steps the test makes.
struct Post {
    outbox: Outbox,
    door: Arc<Door>,
    _directory: TempDir,
}

fn outbound(turn: Uuid, thread: &str) -> Effect {
    Effect::Outbound {
        vault: "home".into(),
        note: Outbound {
            id: derived(turn, "outbound"),
            agent: "eng".into(),
            text: "the reply".into(),
            kind: OutboundKind::Reply,
            code: None,
            next_step: None,
            in_reply_to: "m".into(),
            turn: turn.to_string(),
            thread: thread.into(),
            at: Timestamp::UNIX_EPOCH,
        },
        thread_path: None,
    }
}

impl Post {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let queue = reveille_queue::Options::new(directory.path().join("queue.db"))
            .open()
            .unwrap();
        let door = Arc::new(Door {
            inner: EmbeddedVault::open("home", &directory.path().join("home.db")).unwrap(),
            tries: AtomicU32::new(0),
            failing: AtomicU32::new(0),
        });
        let vaults = ByName::from(Arc::clone(&door));
        Self {
            outbox: Outbox::new(Arc::new(queue), vaults, Hub::new("b")),
            door,
            _directory: directory,
        }
    }

    /// Settles a turn of a subject that leaves these effects.
    async fn settle(&self, subject: &str, effects: impl FnOnce(Uuid, Uuid) -> Vec<NewEffect>) -> Uuid {
        let queue = &self.outbox.queue;
        let lane = Lane {
            channel: "eng".parse().unwrap(),
            thread: ThreadKey::Subject(subject.into()),
        };
        let note = Uuid::new_v4().to_string();
        let message = Message {
            lane: lane.clone(),
            chain: note.clone(),
            mode: MessageMode::Followup,
            vault: "home".into(),
            note,
            body: json!({}),
        };
        queue.accept(vec![message], None).await.unwrap();
        let claim = queue.claim(&lane).await.unwrap().unwrap();
        let settlement = Settlement {
            state: State::Ok,
            record: json!({ "reply": "the reply", "note": "r" }),
            session: SessionUpdate::Keep,
            spend: Spend::default(),
        };
        let effects = effects(claim.lease.turn, claim.conversation.id);
        queue.settle(claim.lease, settlement, effects).await.unwrap();
        claim.lease.turn
    }

    /// A turn that leaves a reply.
    async fn reply(&self, subject: &str) -> Uuid {
        self.settle(subject, |turn, conversation| {
            vec![outbound(turn, &conversation.to_string()).row(conversation)]
        })
        .await
    }

    fn shut(&self, writes: u32) {
        self.door.failing.store(writes, Ordering::SeqCst);
    }

    fn tries(&self) -> u32 {
        self.door.tries.load(Ordering::SeqCst)
    }

    /// Goes on until so many writes were tried.
    async fn until(&self, tries: u32) {
        while self.tries() < tries {
            if !self.outbox.step().await.unwrap() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    /// A pause so long that no test sees its end.
    fn lengthen(&self) {
        for _ in 0..12 {
            self.outbox.breakers.failed("home", "the door is shut".into());
        }
    }

    fn state(&self) -> &'static str {
        self.outbox.vault_states()[0].state
    }

    async fn attempts(&self) -> Vec<u32> {
        let rows = self.outbox.queue.outbox(99).await.unwrap();
        rows.iter().map(|row| row.attempts).collect()
    }

    async fn note(&self, key: Key) -> Note {
        self.door.get(&key).await.unwrap().unwrap()
    }
}

#[test]
fn tc_out_1_only_what_passes_is_tried_again() {
    let id = NoteId::generate();
    for (error, expected) in [
        (
            VaultError::Unavailable {
                vault: "home".into(),
                reason: "the disk is full (502)".into(),
            },
            true,
        ),
        (
            VaultError::Conflict {
                id: id.clone(),
                path: None,
                current: Timestamp::UNIX_EPOCH,
                expected: Timestamp::UNIX_EPOCH,
            },
            true,
        ),
        (VaultError::Invalid("timeout (503)".into()), false),
        (VaultError::NotFound { key: "k".into() }, false),
        (VaultError::PathTaken { path: "p".into() }, false),
        (VaultError::IdTaken { id }, false),
        (VaultError::Empty, false),
    ] {
        let error = Trouble::Vault(error);
        assert_eq!(passes(&error), expected, "{error}");
    }
}

#[test]
fn pauses_grow_up_to_five_minutes() {
    let pauses: Vec<i128> = (1..=14).map(|tries| pause(tries).as_millis()).collect();
    let seconds = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300].map(|seconds| seconds * 1000);
    assert_eq!((&pauses[..2], &pauses[2..]), (&[250, 500][..], &seconds[..]));
    assert_eq!(pause(u32::MAX), ALONE_MAX);
}

#[tokio::test]
async fn tc_out_2_a_reply_gets_three_tries() {
    let post = Post::new();
    post.shut(2);
    let turn = post.reply("a").await;
    let heard = post.outbox.expect(turn, "home");
    post.until(3).await;
    assert_eq!(heard.await, Ok(true));
    assert_eq!((post.state(), post.attempts().await), ("closed", vec![]));
    assert_eq!(post.note(Key::Id(derived(turn, "outbound"))).await.content, "the reply");
}

#[tokio::test]
async fn tc_out_3_a_vault_that_stays_silent_is_left_alone_and_probed_once() {
    let post = Post::new();
    post.shut(u32::MAX);
    let first = post.reply("a").await;
    let heard = post.outbox.expect(first, "home");
    assert_eq!(post.outbox.count_overdue().await, Ok(0));
    post.until(3).await;
    assert_eq!((post.state(), heard.await), ("open", Ok(false)));
    post.lengthen();

    // Nothing is tried meanwhile, and whoever ends now is told at once.
    let others = [post.reply("b").await, post.reply("c").await];
    assert_eq!(post.outbox.expect(others[0], "home").await, Ok(false));
    assert!(!post.outbox.step().await.unwrap());
    assert_eq!((post.tries(), post.attempts().await), (3, vec![3, 0, 0]));
    assert_eq!(post.outbox.count_overdue().await, Ok(3));
    let far = Duration::from_secs(200);
    assert!(post.outbox.next_look().await.unwrap() > Some(far));

    // One probe, of what was tried least; then the others in order.
    post.outbox.breakers.hasten();
    assert!(post.outbox.step().await.unwrap());
    assert_eq!((post.tries(), post.attempts().await), (4, vec![3, 1, 0]));
    assert_eq!(post.state(), "open");
    post.shut(0);
    assert_eq!(post.outbox.retry(None).await, Ok(3));
    assert!(post.outbox.step().await.unwrap());
    assert_eq!(
        (post.tries(), post.state(), post.attempts().await),
        (5, "closed", vec![3, 1])
    );
    assert!(post.outbox.step().await.unwrap());
    assert_eq!((post.tries(), post.outbox.count_overdue().await), (7, Ok(0)));
}

#[tokio::test]
async fn an_effect_that_fails_alone_does_not_stop_the_others() {
    let post = Post::new();
    post.shut(2);
    post.reply("a").await;
    post.until(2).await;
    // In its third round another conversation gets through.
    while post
        .outbox
        .queue
        .due(Timestamp::now(), 1, &[])
        .await
        .unwrap()
        .is_empty()
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    post.reply("b").await;
    post.shut(1);
    assert!(post.outbox.step().await.unwrap());
    assert_eq!(
        (post.tries(), post.state(), post.attempts().await.len()),
        (4, "closed", 1)
    );
}

#[tokio::test]
async fn tc_out_4_what_is_refused_for_good_is_parked_alone() {
    let post = Post::new();
    let unknown = |conversation: Uuid| NewEffect {
        target: format!("home/{conversation}"),
        body: json!({ "do": "sing", "vault": "home" }),
    };
    let turn = post
        .settle("a", |turn, conversation| {
            let reply = outbound(turn, &conversation.to_string()).row(conversation);
            vec![unknown(conversation), reply]
        })
        .await;
    let heard = post.outbox.expect(turn, "home");
    assert!(post.outbox.step().await.unwrap());
    // One try; the reply behind it is there, but the turn has something left.
    assert_eq!(post.note(Key::Id(derived(turn, "outbound"))).await.content, "the reply");
    assert_eq!((heard.await, post.state()), (Ok(false), "closed"));
    let rows = post.outbox.queue.outbox(9).await.unwrap();
    assert_eq!(
        (rows.len(), rows[0].state, rows[0].attempts),
        (1, EffectState::Parked, 1)
    );
    assert!(!post.outbox.step().await.unwrap());
    let overdue = post.outbox.overdue(0, 9).await.unwrap();
    assert_eq!(post.outbox.next_try(&overdue[0], None), None);
    // Asked for by a person, it is tried once more.
    assert_eq!(post.outbox.retry(Some(turn)).await, Ok(1));
    assert!(post.outbox.step().await.unwrap());
    assert_eq!(post.attempts().await, [2]);
}

/// The events of the channel so far.
fn kinds(watch: &mut Watch) -> Vec<serde_json::Value> {
    let mut kinds = Vec::new();
    while let Some(Step::Events(told)) = watch.take() {
        let text = String::from_utf8(told.text().to_vec()).unwrap();
        for data in text.lines().filter_map(|line| line.strip_prefix("data: ")) {
            let data: serde_json::Value = serde_json::from_str(data).unwrap();
            kinds.push(json!([data["kind"], data["turn"], data["note"]]));
        }
    }
    kinds
}

#[tokio::test]
async fn a_late_delivery_is_told_to_those_who_were_told_that_it_is_missing() {
    let post = Post::new();
    let mut watch = post.outbox.hub.watch("eng", None);
    let quick = post.reply("a").await;
    let heard = post.outbox.expect(quick, "home");
    assert!(post.outbox.step().await.unwrap());
    assert_eq!(heard.await, Ok(true));
    post.outbox.tell_end(quick, |delivered| assert!(delivered));

    post.shut(1);
    let late = post.reply("a").await;
    drop(post.outbox.expect(late, "home"));
    post.outbox.tell_end(late, |delivered| assert!(!delivered));
    assert_eq!(kinds(&mut watch), Vec::<serde_json::Value>::new());
    post.until(3).await;
    assert_eq!(kinds(&mut watch), [json!(["delivered", late, "r"])]);
    // It is no event of a running turn.
    assert_eq!(
        kinds(&mut post.outbox.hub.watch("eng", None)),
        Vec::<serde_json::Value>::new()
    );
}

fn record(conversation: Uuid, count: u64, status: ThreadStatus) -> Effect {
    let record = ThreadRecord {
        id: NoteId::new(conversation.to_string()).unwrap(),
        path: "Threads/eng/eng".into(),
        agent: "eng".into(),
        mode: "single-threaded".into(),
        definition: "d".into(),
        turn: format!("t{count}"),
        status,
        started_at: Timestamp::UNIX_EPOCH,
        last_turn_at: None,
        turn_count: count,
        session: None,
        model: None,
        status_detail: String::new(),
        tokens: [count; 4],
        nano_usd: count,
    };
    Effect::Thread {
        vault: "home".into(),
        record,
    }
}

#[tokio::test]
async fn a_late_end_hides_neither_the_running_turn_nor_a_later_end() {
    let post = Post::new();
    let conversation = std::cell::Cell::new(Uuid::nil());
    let settle = async |count: u64| {
        post.settle("a", |_, id| {
            conversation.set(id);
            vec![record(id, count, ThreadStatus::Ok).row(id)]
        })
        .await
    };
    let first = settle(1).await;
    post.outbox.queue.undelivered(1, "refused", None).await.unwrap();
    settle(2).await;
    assert!(post.outbox.step().await.unwrap());
    let thread = async || {
        let note = post
            .note(Key::Id(NoteId::new(conversation.get().to_string()).unwrap()))
            .await;
        (
            note.text("turn_count").unwrap(),
            note.text("status").unwrap(),
            note.text("turn").unwrap(),
        )
    };
    let told = |count: &str, status: &str, turn: &str| (count.to_owned(), status.to_owned(), turn.to_owned());
    assert_eq!(thread().await, told("2", "ok", "t2"));
    // The parked end of the first turn comes last and changes nothing.
    post.outbox.retry(Some(first)).await.unwrap();
    assert!(post.outbox.step().await.unwrap());
    assert_eq!((thread().await, post.attempts().await), (told("2", "ok", "t2"), vec![]));

    // The end of the third turn comes while the fourth one runs.
    settle(3).await;
    let mut running = record(conversation.get(), 3, ThreadStatus::Working);
    if let Effect::Thread { record, .. } = &mut running {
        record.turn = "t4".into();
    }
    let shown = post.outbox.show_working(conversation.get(), running);
    assert!(post.outbox.step().await.unwrap());
    assert_eq!(thread().await, told("3", "working", "t4"));
    shown.end().await;
    settle(4).await;
    assert!(post.outbox.step().await.unwrap());
    assert_eq!(thread().await, told("4", "ok", "t4"));
}

#[tokio::test]
async fn a_turn_that_began_while_the_vault_was_silent_is_shown_when_it_is_back() {
    let post = Post::new();
    let conversation = Uuid::from_u128(7);
    post.lengthen();
    let shown = post
        .outbox
        .show_working(conversation, record(conversation, 0, ThreadStatus::Working));
    post.reply("b").await;
    assert!(!post.outbox.step().await.unwrap());
    assert_eq!(post.tries(), 0);
    post.outbox.retry(None).await.unwrap();
    assert!(post.outbox.step().await.unwrap());
    let note = post.note(Key::Path("Threads/eng/eng".into())).await;
    assert_eq!(note.text("status").as_deref(), Some("working"));
    shown.end().await;
}

/// The fields of what was logged.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> Layer<S> for Heard {
    fn on_event(&self, event: &tracing::Event<'_>, _context: Context<'_, S>) {
        let mut said = self.0.lock().unwrap();
        event.record(&mut |field: &Field, value: &dyn std::fmt::Debug| said.push(format!("{field}={value:?}")));
    }
}

#[tokio::test]
async fn a_thread_that_could_not_be_marked_again_is_logged_with_its_turn_and_channel() {
    let (post, heard) = (Post::new(), Heard::default());
    let conversation = Uuid::from_u128(7);
    post.lengthen();
    let mut running = record(conversation, 0, ThreadStatus::Working);
    if let Effect::Thread { record, .. } = &mut running {
        record.turn = "t4".into();
    }
    let shown = post.outbox.show_working(conversation, running);
    post.shut(1);
    let back = BTreeSet::from(["home".to_owned()]);
    let listening = tracing::subscriber::set_default(tracing_subscriber::registry().with(heard.clone()));
    let outbox = &post.outbox;
    outbox.working.show_again(&outbox.vaults, &back, &BTreeSet::new()).await;
    drop(listening);
    shown.end().await;
    let said = heard.0.lock().unwrap().clone();
    for field in [
        "message=a thread could not be marked as working again",
        "turn=\"t4\"",
        "channel=\"eng\"",
    ] {
        assert!(said.iter().any(|one| one == field), "{field}: {said:?}");
    }
}
