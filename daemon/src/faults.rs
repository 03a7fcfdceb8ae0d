//! Made faults: a share of what is asked of the storage fails, so that a test sees what the daemon makes of it.
//!
//! `REVEILLE_FAULT_VAULT=10:7` lets 10 of 100 calls of the vault fail as unavailable, each second write of them only after it
//! was done, as when the answer is lost. `REVEILLE_FAULT_QUEUE=3:7` refuses 3 of 100 writes of the queue, which are not done.
//! The number behind the colon is a seed: it decides for each call by its place in the order of calls. Only builds with debug
//! assertions look at it.

use std::sync::Arc;

use reveille_queue as queue;
use reveille_vault::Vault;

/// The vault, or one that fails now and then if the environment asks for it.
///
/// # Errors
/// The environment asks for something else.
#[cfg(debug_assertions)]
pub(crate) fn vault(vault: Arc<dyn Vault>) -> anyhow::Result<Arc<dyn Vault>> {
    Ok(match made::Dice::asked("REVEILLE_FAULT_VAULT")? {
        Some(dice) => Arc::new(made::FaultyVault::new(vault, dice)),
        None => vault,
    })
}

/// Lets writes of the queue fail now and then if the environment asks for it.
///
/// # Errors
/// The environment asks for something else.
#[cfg(debug_assertions)]
pub(crate) fn queue(options: &mut queue::Options) -> anyhow::Result<()> {
    if let Some(dice) = made::Dice::asked("REVEILLE_FAULT_QUEUE")? {
        options.refuse = Some(Arc::new(move || dice.throw("queue", "write").is_some()));
    }
    Ok(())
}

/// The vault, in a release build.
#[cfg(not(debug_assertions))]
#[inline]
pub(crate) fn vault(vault: Arc<dyn Vault>) -> anyhow::Result<Arc<dyn Vault>> {
    Ok(vault)
}

/// Nothing, in a release build.
#[cfg(not(debug_assertions))]
#[inline]
pub(crate) fn queue(_options: &mut queue::Options) -> anyhow::Result<()> {
    Ok(())
}

#[cfg(debug_assertions)]
mod made {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use anyhow::Context as _;
    use async_trait::async_trait;
    use reveille_vault::{
        Capabilities, Change, Cursor, Files, Key, Kind, Links, NewNote, Note, NoteId, Page, Patch, Precondition,
        Profile, Query, Tags, Triggers, Vault, VaultError, VaultState, Write,
    };
    use tokio::sync::watch;

    /// Decides for each call whether it fails.
    pub(super) struct Dice {
        percent: u64,
        seed: u64,
        calls: AtomicU64,
    }

    /// When a call fails.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) enum Moment {
        /// Before anything was done.
        Before,
        /// Afterwards: the answer is lost.
        After,
    }

    impl Dice {
        /// As a variable says; `None` when it is not set.
        pub(super) fn asked(variable: &str) -> anyhow::Result<Option<Self>> {
            let Some(text) = std::env::var_os(variable) else {
                return Ok(None);
            };
            let text = text.to_string_lossy();
            let dice = Self::parse(&text);
            dice.map(Some)
                .with_context(|| format!("{variable}={text} is not understood; write PERCENT:SEED, such as 10:7"))
        }

        pub(super) fn parse(text: &str) -> Option<Self> {
            let (percent, seed) = text.split_once(':')?;
            // Below, silent-ok: the caller tells what is expected.
            let (percent, seed) = (percent.parse().ok()?, seed.parse().ok()?);
            (percent <= 100).then(|| Self {
                percent,
                seed,
                calls: AtomicU64::new(0),
            })
        }

        /// The fate of the next call.
        pub(super) fn throw(&self, part: &str, call: &str) -> Option<Moment> {
            let number = self.calls.fetch_add(1, Ordering::Relaxed);
            let drawn = draw(self.seed, number);
            if drawn % 100 >= self.percent {
                return None;
            }
            let moment = if (drawn >> 32) & 1 == 0 {
                Moment::Before
            } else {
                Moment::After
            };
            tracing::info!(part, call, number, ?moment, "a fault is made");
            Some(moment)
        }
    }

    /// The pseudo-random number of a place (splitmix64).
    fn draw(seed: u64, place: u64) -> u64 {
        let mut z = seed.wrapping_add(place.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A vault of which a share of the calls fails.
    pub(super) struct FaultyVault {
        inner: Arc<dyn Vault>,
        dice: Dice,
    }

    impl FaultyVault {
        pub(super) fn new(inner: Arc<dyn Vault>, dice: Dice) -> Self {
            Self { inner, dice }
        }

        fn failed<T>(&self, what: &str) -> Result<T, VaultError> {
            Err(VaultError::Unavailable {
                vault: self.inner.name().to_owned(),
                reason: format!("a made fault, {what}"),
            })
        }

        /// A call that changes nothing: it does not matter when it fails.
        async fn read<T>(
            &self,
            call: &str,
            work: impl Future<Output = Result<T, VaultError>>,
        ) -> Result<T, VaultError> {
            match self.dice.throw("vault", call) {
                Some(_) => self.failed("nothing was read"),
                None => work.await,
            }
        }

        async fn write<T>(
            &self,
            call: &str,
            work: impl Future<Output = Result<T, VaultError>>,
        ) -> Result<T, VaultError> {
            match self.dice.throw("vault", call) {
                None => work.await,
                Some(Moment::Before) => self.failed("nothing was written"),
                Some(Moment::After) => {
                    work.await?;
                    self.failed("the answer is lost")
                }
            }
        }
    }

    #[async_trait]
    impl Vault for FaultyVault {
        fn name(&self) -> &str {
            self.inner.name()
        }

        fn kind(&self) -> Kind {
            self.inner.kind()
        }

        fn capabilities(&self) -> Capabilities {
            self.inner.capabilities()
        }

        fn state(&self) -> VaultState {
            self.inner.state()
        }

        async fn get(&self, key: &Key) -> Result<Option<Note>, VaultError> {
            self.read("get", self.inner.get(key)).await
        }

        async fn query(&self, query: &Query) -> Result<Page, VaultError> {
            self.read("query", self.inner.query(query)).await
        }

        async fn create_all(&self, notes: Vec<NewNote>) -> Result<Vec<Note>, VaultError> {
            self.write("create", self.inner.create_all(notes)).await
        }

        async fn patch(&self, key: &Key, patch: Patch, precondition: Precondition) -> Result<Note, VaultError> {
            self.write("patch", self.inner.patch(key, patch, precondition)).await
        }

        async fn write_together(&self, writes: Vec<Write>) -> Result<bool, VaultError> {
            self.write("together", self.inner.write_together(writes)).await
        }

        async fn upsert(&self, path: &str, patch: Patch, create: NewNote) -> Result<(Note, bool), VaultError> {
            self.write("upsert", self.inner.upsert(path, patch, create)).await
        }

        async fn delete(&self, key: &Key) -> Result<NoteId, VaultError> {
            self.write("delete", self.inner.delete(key)).await
        }

        async fn changes(&self, since: Cursor, limit: u32) -> Result<Vec<Change>, VaultError> {
            self.read("changes", self.inner.changes(since, limit)).await
        }

        fn triggers(&self) -> Result<&dyn Triggers, VaultError> {
            self.inner.triggers()
        }

        fn watch(&self) -> watch::Receiver<Cursor> {
            self.inner.watch()
        }

        async fn log(&self) -> Result<String, VaultError> {
            self.read("log", self.inner.log()).await
        }

        fn files(&self) -> &dyn Files {
            self.inner.files()
        }

        fn tags(&self) -> Result<&dyn Tags, VaultError> {
            self.inner.tags()
        }

        fn links(&self) -> Result<&dyn Links, VaultError> {
            self.inner.links()
        }

        fn profile(&self) -> &dyn Profile {
            self.inner.profile()
        }

        async fn look(&self, note: Option<&NoteId>) -> Result<(), VaultError> {
            self.read("look", self.inner.look(note)).await
        }

        async fn back_up(&self, dir: &std::path::Path, replace: bool) -> Result<reveille_vault::Backup, VaultError> {
            self.read("back_up", self.inner.back_up(dir, replace)).await
        }

        async fn close(&self) {
            self.inner.close().await;
        }
    }

    #[cfg(test)]
    mod tests {
        use pretty_assertions::assert_eq;
        use reveille_vault::EmbeddedVault;

        use super::*;

        fn fates(text: &str, count: usize) -> Vec<Option<Moment>> {
            let dice = Dice::parse(text).unwrap();
            (0..count).map(|_| dice.throw("vault", "get")).collect()
        }

        #[test]
        fn a_seed_decides_and_the_share_is_kept() {
            assert_eq!(fates("10:7", 1000), fates("10:7", 1000));
            assert_ne!(fates("10:7", 1000), fates("10:8", 1000));
            for (percent, least, most) in [(0, 0, 0), (10, 80, 120), (100, 1000, 1000)] {
                let fates = fates(&format!("{percent}:7"), 1000);
                let failed = fates.iter().flatten().count();
                assert!((least..=most).contains(&failed), "{failed} of 1000 at {percent} %");
                let lost = fates.iter().filter(|fate| **fate == Some(Moment::After)).count();
                assert!(lost * 3 >= failed && lost * 3 <= failed * 2, "{lost} of {failed} lost");
            }
        }

        #[test]
        fn anything_else_is_refused() {
            for text in ["", "10", "10:", ":7", "101:7", "-1:7", "0.1:7", "10:x"] {
                assert!(Dice::parse(text).is_none(), "{text:?}");
            }
        }

        #[tokio::test]
        async fn a_write_whose_answer_is_lost_is_done_and_the_other_is_not() {
            let dir = tempfile::tempdir().unwrap();
            let vault = EmbeddedVault::open("default", &dir.path().join("default.db")).unwrap();
            let faulty = FaultyVault::new(vault.clone(), Dice::parse("100:7").unwrap());
            let mut stored = Vec::new();
            for (number, fate) in fates("100:7", 20).into_iter().enumerate() {
                let note = NewNote {
                    path: Some(number.to_string()),
                    ..NewNote::default()
                };
                let error = faulty.create(note).await.unwrap_err();
                assert!(matches!(error, VaultError::Unavailable { .. }), "{error}");
                let there = vault.get(&Key::Path(number.to_string())).await.unwrap().is_some();
                assert_eq!(there, fate == Some(Moment::After));
                stored.push(there);
            }
            assert!(stored.contains(&true) && stored.contains(&false));
            assert!(faulty.get(&Key::Path("0".into())).await.is_err());
            vault.close().await;
        }
    }
}
