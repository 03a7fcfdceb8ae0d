//! The reconciling scan: what a listing of the peer shows differently from the index goes into the index, and so into the
//! change log. Whatever a webhook tells or fails to tell, this finds it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use http::Method;
use jiff::Timestamp;
use tokio::time::Instant;

use super::Core;
use super::first::{Judge, Old};
use super::http::Ask;
use super::wire::{self, Raw};
use crate::agent::tag;
use crate::embedded::mirror::Seen;
use crate::note::{Note, NoteId, bare_tag, millis};
use crate::store::{VaultError, VaultState};

/// Notes of which few are there and whose changes matter: compared in full with each scan.
const SETTINGS: &[&str] = &[tag::DEFINITION, tag::JOB, tag::ROLE];
/// The same where threads define agents.
const SETTINGS_AND_THREADS: &[&str] = &[tag::DEFINITION, tag::JOB, tag::ROLE, tag::THREAD];
/// Messages: many, and new ones matter.
pub(super) const MESSAGES: &[&str] = &[tag::INBOUND];

/// Notes asked for at once.
const PAGE: usize = 200;
/// A page goes over the end of the one before: a note that is deleted meanwhile moves the others.
const OVERLAP: usize = 20;
/// Notes fetched side by side.
const AT_ONCE: usize = 8;
/// How far a scan for new messages looks back before the one before: clocks differ, and a commit takes its time.
const LOOK_BACK: Duration = Duration::from_secs(60);
/// Messages that are gone there and looked after in one full scan.
const GONE_MAX: usize = 100;

/// How thoroughly messages are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Those created since a little before then, by the peer's clock.
    Since(Timestamp),
    /// All of them: also those whose time of creation is none, or that got their tag later.
    Full,
}

/// The tags in both spellings, as a listing takes them.
pub(super) fn spelled<T: AsRef<str>>(tags: &[T]) -> String {
    let both = tags.iter().flat_map(|tag| {
        let tag = tag.as_ref();
        [tag.to_owned(), format!("#{tag}")]
    });
    both.collect::<Vec<_>>().join(",")
}

impl Core {
    fn settings(&self) -> &'static [&'static str] {
        if self.follow_threads {
            SETTINGS_AND_THREADS
        } else {
            SETTINGS
        }
    }

    /// Whether a note is one that the scan follows.
    fn is_followed(&self, note: &Note) -> bool {
        self.settings().iter().chain(MESSAGES).any(|tag| note.has_tag(tag))
    }

    /// Whether listings of these tags can be answered from the index when the peer is silent.
    pub(super) fn are_followed(&self, tags: &[String]) -> bool {
        let followed = |asked: &String| {
            self.settings()
                .iter()
                .chain(MESSAGES)
                .any(|tag| bare_tag(asked) == *tag)
        };
        !tags.is_empty() && tags.iter().all(followed)
    }

    /// One round: settings first, so that an agent is known before its messages.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]; what was found until then is kept.
    pub(super) async fn round(&self, depth: Depth) -> Result<(), VaultError> {
        let judge = self.judge().await?;
        self.scan_settings().await?;
        let depth = if judge.is_some() { Depth::Full } else { depth };
        self.scan_messages(depth, judge.as_ref()).await?;
        if judge.is_some() {
            self.connected().await?;
        }
        self.touched.tidy();
        Ok(())
    }

    async fn scan_settings(&self) -> Result<(), VaultError> {
        let settings = self.settings();
        let known = self.index.sources_with(settings).await?;
        let known: BTreeMap<_, _> = known.into_iter().map(|source| (source.name, source.stamp)).collect();
        let mut listed = HashSet::new();
        let mut pages = Pages::of(self, settings);
        while let Some(page) = pages.next().await? {
            listed.extend(page.iter().map(|raw| raw.note.id.to_string()));
            self.take_over(page, None).await?;
        }
        let missing = known.into_keys().filter(|name| !listed.contains(name)).collect();
        self.look_after(missing).await
    }

    async fn scan_messages(&self, depth: Depth, judge: Option<&Judge>) -> Result<(), VaultError> {
        let since = match depth {
            Depth::Full => None,
            Depth::Since(moment) => Some(moment.saturating_sub(LOOK_BACK).unwrap_or(Timestamp::MIN)),
        };
        let known = match depth {
            Depth::Full => self.index.sources_with(MESSAGES).await?,
            Depth::Since(_) => Vec::new(),
        };
        let mut missing: BTreeSet<_> = known.into_iter().map(|source| source.name).collect();
        let mut pages = Pages::of(self, MESSAGES);
        pages.since = since;
        pages.thorough = since.is_none();
        while let Some(page) = pages.next().await? {
            for raw in &page {
                missing.remove(raw.note.id.as_str());
            }
            self.take_over(page, judge).await?;
        }
        self.look_after(missing.into_iter().take(GONE_MAX).collect()).await
    }

    /// A listing.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub(super) async fn list(&self, ask: Ask<'_>) -> Result<Vec<Raw>, VaultError> {
        Ok(self.list_counted(ask).await?.0)
    }

    /// A listing, and how many notes it held: those that cannot be addressed are left out, and count for the place of the
    /// next page.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub(super) async fn list_counted(&self, ask: Ask<'_>) -> Result<(Vec<Raw>, usize), VaultError> {
        let answer = self.client.ask(ask).await?;
        if !answer.status.is_success() {
            let reason = format!("it answered {} ({}) to a listing", answer.status, answer.code());
            return Err(self.client.garbled(&reason));
        }
        wire::many(answer.body).map_err(|reason| self.client.garbled(&reason))
    }

    /// Fetches what is new or has changed, and takes it over in the order of the listing.
    async fn take_over(&self, page: Vec<Raw>, judge: Option<&Judge>) -> Result<(), VaultError> {
        let names = page.iter().map(|raw| raw.note.id.to_string()).collect();
        let stamps = self.index.stamps(names).await?;
        let differs = |raw: &Raw| {
            let known = stamps.get(raw.note.id.as_str());
            known.is_none_or(|known| Old::of(known).1 != raw.stamp)
        };
        let changed: Vec<_> = page.into_iter().filter(differs).collect();
        let fetched = stream::iter(changed.into_iter().map(|lean| async move {
            let read_at = Instant::now();
            let full = self.read(&lean.note.id).await?.flatten();
            Ok::<_, VaultError>(full.map(|full| (full, lean.stamp, read_at)))
        }));
        let mut fetched = fetched.buffered(AT_ONCE).ready_chunks(PAGE);
        // Chunk by chunk: what was read before a failure is kept, and in order.
        while let Some(chunk) = fetched.next().await {
            let mut whole = Vec::with_capacity(chunk.len());
            let mut failed = None;
            for outcome in chunk {
                match outcome {
                    Ok(Some(note)) => whole.push(note),
                    // Gone between the listing and now: the next scan looks after it. Or passed by.
                    Ok(None) => {}
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                }
            }
            self.mirror(whole, &stamps, judge).await?;
            if let Some(error) = failed {
                return Err(error);
            }
        }
        Ok(())
    }

    async fn mirror(
        &self,
        notes: Vec<(Raw, String, Instant)>,
        stamps: &BTreeMap<String, String>,
        judge: Option<&Judge>,
    ) -> Result<(), VaultError> {
        if notes.is_empty() {
            return Ok(());
        }
        let _turn = self.mirroring.lock().await;
        let current = notes
            .into_iter()
            .filter(|(raw, _, read_at)| !self.touched.since(&raw.note.id, *read_at));
        let seen = current.map(|(raw, stamp, _)| {
            let known = stamps.get(raw.note.id.as_str()).map(String::as_str);
            seen(raw, &stamp, known, judge)
        });
        let seen: Vec<_> = seen.collect();
        self.index.mirror(seen).await
    }

    /// Sources that a listing no longer shows: they are gone, or carry the tag no more.
    async fn look_after(&self, missing: Vec<String>) -> Result<(), VaultError> {
        for name in missing {
            let Ok(id) = NoteId::new(name) else { continue };
            let read_at = Instant::now();
            if let Some(found) = self.read(&id).await? {
                self.settle(&id, found, read_at).await?;
            }
        }
        Ok(())
    }

    /// Reads a note during a scan. `None`: the scan goes on without it.
    async fn read(&self, id: &NoteId) -> Result<Option<Option<Raw>>, VaultError> {
        if self.unread.is_passed_by(id) {
            return Ok(None);
        }
        let error = match self.fetch_id(id).await {
            Ok(found) => {
                self.unread.read(id);
                return Ok(Some(found));
            }
            Err(error) => error,
        };
        // When the peer is to blame, no note is.
        if matches!(self.client.state(), VaultState::Unavailable { .. }) || !self.unread.failed(id) {
            return Err(error);
        }
        tracing::warn!(vault = self.name, note = %id, %error, "the vault lists a note that it cannot give; it is passed by, and asked for again later");
        Ok(None)
    }

    /// Takes over how one note is now.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub(super) async fn look_at(&self, id: &NoteId) -> Result<(), VaultError> {
        let read_at = Instant::now();
        let found = self.fetch_id(id).await?;
        self.unread.read(id);
        self.settle(id, found, read_at).await
    }

    async fn settle(&self, id: &NoteId, found: Option<Raw>, read_at: Instant) -> Result<(), VaultError> {
        let stamps = self.index.stamps(vec![id.to_string()]).await?;
        match found {
            Some(raw) if stamps.is_empty() && !self.is_followed(&raw.note) => Ok(()),
            Some(raw) => {
                let stamp = raw.stamp.clone();
                self.mirror(vec![(raw, stamp, read_at)], &stamps, None).await
            }
            None => {
                let _turn = self.mirroring.lock().await;
                if self.touched.since(id, read_at) {
                    return Ok(());
                }
                self.index.mirror(vec![Seen::Gone { source: id.to_string() }]).await
            }
        }
    }

    /// All identities that answers of agents name as what they answer.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`].
    pub(super) async fn answered(&self) -> Result<HashSet<String>, VaultError> {
        let mut answered = HashSet::new();
        let mut pages = Pages::of(self, &[tag::OUTBOUND]);
        while let Some(page) = pages.next().await? {
            answered.extend(page.iter().filter_map(|raw| raw.note.text("in_reply_to")));
        }
        Ok(answered)
    }
}

/// The pages of a listing without texts, oldest first.
struct Pages<'a> {
    core: &'a Core,
    tags: String,
    /// Only notes created then or later.
    since: Option<Timestamp>,
    /// Asks until nothing new comes: with a token for some tags the peer filters after it has cut, and pages are short.
    thorough: bool,
    /// Place behind the last note.
    from: usize,
    /// The notes of the last page.
    last: HashSet<NoteId>,
    ended: bool,
}

impl<'a> Pages<'a> {
    fn of(core: &'a Core, tags: &[&str]) -> Self {
        Self {
            core,
            tags: spelled(tags),
            since: None,
            thorough: false,
            from: 0,
            last: HashSet::new(),
            ended: false,
        }
    }

    async fn next(&mut self) -> Result<Option<Vec<Raw>>, VaultError> {
        if self.ended {
            return Ok(None);
        }
        let offset = self.from.saturating_sub(OVERLAP);
        let mut ask = Ask::new(Method::GET, "/notes".into());
        ask.query = vec![
            ("tag", self.tags.clone()),
            ("tag_match", "any".into()),
            ("sort", "asc".into()),
            ("limit", PAGE.to_string()),
            ("offset", offset.to_string()),
        ];
        if let Some(since) = self.since {
            ask.query.push(("date_from", millis::format(since)));
        }
        let (mut notes, count) = self.core.list_counted(ask).await?;
        // A peer that gives fewer than were asked for gives a round number of them.
        let is_short = count < PAGE && !count.is_multiple_of(50);
        self.ended = count == 0 || (is_short && !self.thorough);
        self.from = offset + count;
        let page = notes.iter().map(|raw| raw.note.id.clone()).collect();
        let before = std::mem::replace(&mut self.last, page);
        notes.retain(|raw| !before.contains(&raw.note.id));
        if notes.is_empty() {
            self.ended = true;
            return Ok(None);
        }
        Ok(Some(notes))
    }
}

/// A note for the index: without the marks of triggers. `known` is its stamp there.
pub(super) fn seen(raw: Raw, stamp: &str, known: Option<&str>, judge: Option<&Judge>) -> Seen {
    let old = match (known, judge) {
        (Some(known), _) => Old::of(known).0.and_then(|old| old.still(&raw.note)),
        (None, Some(judge)) => judge.old(&raw.note),
        (None, None) => None,
    };
    let source = raw.note.id.to_string();
    let note = Note {
        metadata: wire::unmarked(&raw.note.metadata),
        ..raw.note
    };
    match old {
        None => Seen::Note {
            source,
            stamp: stamp.to_owned(),
            note,
        },
        Some(old) => Seen::Quiet {
            source,
            stamp: old.stamp(stamp),
            note,
        },
    }
}
