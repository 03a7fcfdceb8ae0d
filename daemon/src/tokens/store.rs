//! Where tokens are kept: `tokens.db` in the state directory, and all of it in memory, so that no request waits for a disk.

use std::collections::HashMap;
use std::fs::{File, Permissions};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, Row, params};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::loan::Loans;
use super::{Grant, NewGrant, PREFIX, Scope};
use crate::layout;
use crate::state_dir::secret;

/// How often it is written down when tokens were used.
const USES_EVERY: Duration = Duration::from_secs(60);
/// Most tokens at once: all of them are in memory.
const TOKENS_MAX: usize = 10_000;
/// For so long after its end a token is known to have been one, so that its holder is told. Where there is no room for others
/// it is forgotten before.
const REMEMBERED: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Longest chain of tokens of which each was made with the one before it: all of them are looked through when one is revoked.
const MAKERS_MAX: usize = 8;
/// How long a write waits for another program that holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of chance in a token: 32 characters of base64url.
const SECRET_BYTES: usize = 24;

/// The newest version of the tables that this program knows.
pub(crate) const TABLES: usize = MIGRATIONS.len();
/// `MIGRATIONS[n]` leads from `user_version` n to n + 1. Never edit one that was released; append.
const MIGRATIONS: [&str; 2] = [
    "
CREATE TABLE tokens (
    id           TEXT PRIMARY KEY,
    digest       BLOB NOT NULL UNIQUE, -- SHA-256 of the token, which is kept nowhere
    label        TEXT,
    scopes       TEXT NOT NULL,        -- JSON array of full scopes
    tags         TEXT NOT NULL,        -- JSON array; empty: not limited to tags
    created_at   INTEGER NOT NULL,     -- all times: milliseconds since 1970 UTC
    expires_at   INTEGER,
    last_used_at INTEGER NOT NULL DEFAULT 0
) STRICT;
",
    "ALTER TABLE tokens ADD COLUMN made_by TEXT;", // id of a token; NULL: the operator
];

/// One, and those that were made with it, and so on.
const REVOKE: &str = "
WITH RECURSIVE gone(id) AS (SELECT ?1 UNION SELECT tokens.id FROM tokens JOIN gone ON tokens.made_by = gone.id)
DELETE FROM tokens WHERE id IN (SELECT id FROM gone)";

/// Those whose time was over then.
const FORGET: &str = "DELETE FROM tokens WHERE expires_at <= ?1";

pub(super) type Digest = [u8; 32];

pub(super) fn digest(token: &str) -> Digest {
    Sha256::digest(token.as_bytes()).into()
}

/// A token could not be made or revoked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokensError {
    /// There are very many.
    #[error("there are {TOKENS_MAX} tokens already; nothing was made. Revoke some first")]
    TooMany,
    /// Who asked for it was taken the right away meanwhile.
    #[error("the token that asked for it was revoked meanwhile; nothing was made")]
    MakerGone,
    /// Of a chain of makers that is long enough.
    #[error("tokens are made with tokens up to {MAKERS_MAX} deep; nothing was made. Make it with another one")]
    TooDeep,
    /// Who asked has a token of the hub.
    #[error(
        "a token of the hub makes no tokens here: what the hub takes back would go on in them; nothing was made. Ask the hub for another one, or the operator"
    )]
    OfHub,
    /// `tokens.db` cannot be written.
    #[error("the list of tokens cannot be written ({0}); {1}")]
    Unwritable(rusqlite::Error, &'static str),
}

/// What is known of a token that somebody shows.
#[derive(Debug)]
pub(crate) enum Checked {
    /// It holds.
    Valid(Arc<Grant>),
    /// It did hold, and its time is over.
    Expired,
    /// Nobody was given it, or it was revoked.
    Unknown,
}

#[derive(Default)]
struct Known {
    grants: HashMap<Digest, Arc<Grant>>,
    digests: HashMap<String, Digest>,
}

impl Known {
    fn insert(&mut self, digest: Digest, grant: Arc<Grant>) {
        self.digests.insert(grant.id.clone(), digest);
        self.grants.insert(digest, grant);
    }

    /// Takes one away, and those that were made with it, and so on. Whether it was there.
    fn remove(&mut self, id: &str) -> bool {
        let mut there = false;
        let mut gone = vec![id.to_owned()];
        // Not by recursion: who makes tokens decides how long such a chain is.
        while let Some(next) = gone.pop() {
            if let Some(grant) = self
                .digests
                .remove(&next)
                .and_then(|digest| self.grants.remove(&digest))
            {
                grant.over.cancel();
                there |= next == id;
            }
            let made = self.grants.values();
            let made = made.filter(|grant| grant.made_by.as_deref() == Some(&next));
            gone.extend(made.map(|grant| grant.id.clone()));
        }
        there
    }

    /// Takes those away whose time was over then. None of them has made one that lives longer. How many there were.
    fn forget(&mut self, end: Timestamp) -> usize {
        let over = self.grants.values().filter(|grant| grant.is_over(end));
        let over: Vec<String> = over.map(|grant| grant.id.clone()).collect();
        over.iter().filter(|id| self.remove(id)).count()
    }

    /// How many tokens stand above one: what made it, what made that, and so on.
    fn makers(&self, grant: &Grant) -> usize {
        let maker = |of: &Grant| {
            self.grants
                .get(self.digests.get(of.made_by.as_deref()?)?)
                .map(Arc::clone)
        };
        std::iter::successors(maker(grant), |of| maker(of))
            .take(MAKERS_MAX + 1)
            .count()
    }
}

/// All named tokens. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Tokens {
    inner: Arc<Inner>,
}

struct Inner {
    db: Mutex<Connection>,
    /// Found by the digest: how long that takes tells nothing about any token.
    known: RwLock<Known>,
    loans: Loans,
}

impl Tokens {
    /// Opens or makes the file, readable for its owner only.
    ///
    /// # Errors
    /// What is wrong with the file, and the mend.
    pub(crate) fn open(file: &Path) -> anyhow::Result<Self> {
        let opened = open(file).and_then(|db| Ok((load(&db)?, db)));
        let (known, db) = opened.with_context(|| {
            let file = file.display();
            format!("the tokens in {file} cannot be read; mend it, or move the file away to go on without any token")
        })?;
        let inner = Inner {
            db: Mutex::new(db),
            known: RwLock::new(known),
            loans: Loans::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Makes a token. It is on the disk when this returns; the second value is the only copy of its text.
    /// One that is made with another one, `maker`, does not outlive that, and is revoked with it.
    ///
    /// # Errors
    /// [`TokensError`]; then there is none.
    pub(crate) async fn create(
        &self,
        mut new: NewGrant,
        maker: Option<&Grant>,
    ) -> Result<(Arc<Grant>, String), TokensError> {
        if let Some(maker) = maker {
            // What the hub takes back is in no list of ours, so what was made with it would outlive that.
            if maker.hub_subject.is_some() {
                return Err(TokensError::OfHub);
            }
            if self.known(|known| known.makers(maker)) >= MAKERS_MAX {
                return Err(TokensError::TooDeep);
            }
            new.expires_at = [new.expires_at, maker.new.expires_at].into_iter().flatten().min();
        }
        self.make_room().await;
        if self.known(|known| known.grants.len()) >= TOKENS_MAX {
            return Err(TokensError::TooMany);
        }
        let token = fresh_token();
        let digest = digest(&token);
        let grant = Arc::new(Grant {
            id: self.fresh_id(),
            new,
            created_at: now(),
            made_by: maker.map(|maker| maker.id.clone()),
            over: CancellationToken::new(),
            terms: None,
            hub_subject: None,
            used: AtomicI64::new(0),
            stored_used: AtomicI64::new(0),
        });
        let row = Arc::clone(&grant);
        let stored = self.write(move |db| insert(db, &digest, &row)).await;
        stored.map_err(|error| TokensError::Unwritable(error, "no token was made"))?;
        let mut orphan = false;
        self.change(|known| match &grant.made_by {
            Some(maker) if !known.digests.contains_key(maker) => orphan = true,
            _ => known.insert(digest, Arc::clone(&grant)),
        });
        if orphan || maker.is_some_and(|maker| maker.over.is_cancelled()) {
            self.revoke(&grant.id).await?;
            return Err(TokensError::MakerGone);
        }
        Ok((grant, token))
    }

    /// Forgets tokens that ended long ago, and where there are very many all that have ended.
    async fn make_room(&self) {
        let full = self.known(|known| known.grants.len()) >= TOKENS_MAX;
        let end = if full { now() } else { long_over() };
        let mut forgotten = 0;
        self.change(|known| forgotten = known.forget(end));
        if forgotten == 0 {
            return;
        }
        let end = end.as_millisecond();
        match self.write(move |db| db.execute(FORGET, [end])).await {
            Ok(_) => tracing::info!(forgotten, "tokens that have ended were forgotten"),
            Err(error) => tracing::warn!(%error, "tokens that have ended stay in the list until the next start"),
        }
    }

    /// All tokens, in the order in which they were made.
    pub(crate) fn list(&self) -> Vec<Arc<Grant>> {
        let mut grants: Vec<_> = self.known(|known| known.grants.values().cloned().collect());
        grants.sort_by(|one, other| (one.created_at, &one.id).cmp(&(other.created_at, &other.id)));
        grants
    }

    /// The token with this id.
    pub(crate) fn find(&self, id: &str) -> Option<Arc<Grant>> {
        self.known(|known| known.grants.get(known.digests.get(id)?).cloned())
    }

    /// Takes a token away, with all that were made with it, and tells whether there was one. They hold no longer from now on,
    /// also when the file cannot be written.
    ///
    /// # Errors
    /// [`TokensError::Unwritable`]: it would hold again after a restart. It is to be revoked again, although
    /// [`Tokens::find`] does not know it any more.
    pub(crate) async fn revoke(&self, id: &str) -> Result<bool, TokensError> {
        let mut held = false;
        self.change(|known| held = known.remove(id));
        let id = id.to_owned();
        let stored = self.write(move |db| db.execute(REVOKE, [id])).await;
        stored.map(|rows| held || rows > 0).map_err(|error| {
            let kept = "the token does not work now, but would after a restart of the daemon: revoke it again";
            TokensError::Unwritable(error, kept)
        })
    }

    /// Whether a text may be one of them.
    pub(crate) fn is_one(token: &str) -> bool {
        token.starts_with(PREFIX)
    }

    /// What a token is good for, now.
    pub(crate) fn check(&self, token: &str) -> Checked {
        let digest = digest(token);
        let known = self.known(|known| known.grants.get(&digest).cloned());
        let Some(grant) = known.or_else(|| self.inner.loans.find(&digest)) else {
            return Checked::Unknown;
        };
        let now = now();
        if grant.is_over(now) {
            return Checked::Expired;
        }
        grant.used.store(now.as_millisecond(), Ordering::Relaxed);
        Checked::Valid(grant)
    }

    /// Writes down now and then which tokens were used, until `drain`, and then once more.
    pub(crate) async fn run(self, drain: CancellationToken) {
        loop {
            let over = tokio::select! {
                () = drain.cancelled() => true,
                () = tokio::time::sleep(USES_EVERY) => false,
            };
            if let Err(error) = self.store_uses().await {
                tracing::warn!(%error, "when tokens were last used is not written down; it is tried again");
            }
            if over {
                return;
            }
        }
    }

    async fn store_uses(&self) -> rusqlite::Result<()> {
        let used = self.list().into_iter().filter_map(|grant| {
            let at = grant.used.load(Ordering::Relaxed);
            (at != grant.stored_used.load(Ordering::Relaxed)).then_some((grant, at))
        });
        let used: Vec<_> = used.collect();
        if used.is_empty() {
            return Ok(());
        }
        self.write(move |db| {
            let transaction = db.transaction()?;
            for (grant, at) in &used {
                let sql = "UPDATE tokens SET last_used_at = ?2 WHERE id = ?1";
                transaction.prepare_cached(sql)?.execute(params![grant.id, at])?;
            }
            transaction.commit()?;
            for (grant, at) in &used {
                grant.stored_used.store(*at, Ordering::Relaxed);
            }
            Ok(())
        })
        .await
    }

    fn fresh_id(&self) -> String {
        loop {
            // The first twelve digits of such an identity are all chance.
            let id = format!("t_{}", &Uuid::new_v4().simple().to_string()[..12]);
            if self.find(&id).is_none() {
                return id;
            }
        }
    }

    /// Those that are lent to turns.
    pub(super) fn loans(&self) -> &Loans {
        &self.inner.loans
    }

    fn known<T>(&self, look: impl FnOnce(&Known) -> T) -> T {
        look(&self.inner.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.inner.known.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Runs a write to its end on a thread that may wait for the disk, also when its request goes away.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> rusqlite::Result<T> {
        let inner = Arc::clone(&self.inner);
        let ran =
            tokio::task::spawn_blocking(move || work(&mut inner.db.lock().unwrap_or_else(PoisonError::into_inner)));
        ran.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a write of tokens failed");
            Err(rusqlite::Error::InvalidQuery)
        })
    }
}

/// What ended before this is forgotten.
fn long_over() -> Timestamp {
    let end = now().checked_sub(REMEMBERED);
    end.unwrap_or(Timestamp::MIN) // silent-ok: before all of time nothing has ended
}

/// Times are kept in milliseconds.
pub(super) fn now() -> Timestamp {
    reveille_vault::note::millis::truncate(Timestamp::now())
}

pub(super) fn fresh_token() -> String {
    // The digest of 244 random bits is as good as as many random ones, and has no fixed bits as they have.
    let bytes = digest(&secret());
    format!("{PREFIX}{}", base64url(&bytes[..SECRET_BYTES]))
}

/// Base64url of bytes whose number is a multiple of three.
fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len() / 3 * 4);
    for three in bytes.chunks_exact(3) {
        let number = three
            .iter()
            .fold(0_usize, |number, byte| (number << 8) | usize::from(*byte));
        text.extend([18, 12, 6, 0].map(|shift| char::from(ALPHABET[(number >> shift) & 63])));
    }
    text
}

fn open(file: &Path) -> anyhow::Result<Connection> {
    // Before SQLite has it: it gives its journal the permissions of the file.
    let made = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(file)?;
    made.set_permissions(Permissions::from_mode(0o600))?;
    let mut db = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.pragma_update(None, "synchronous", "FULL")?;
    layout::bring_database_forward(&mut db, &MIGRATIONS)?;
    db.execute(FORGET, [long_over().as_millisecond()])?;
    Ok(db)
}

fn load(db: &Connection) -> anyhow::Result<Known> {
    const SQL: &str =
        "SELECT digest, id, label, scopes, tags, created_at, expires_at, last_used_at, made_by FROM tokens";
    let mut known = Known::default();
    let mut statement = db.prepare(SQL)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        known.insert(row.get(0)?, Arc::new(grant(row)?));
    }
    Ok(known)
}

fn grant(row: &Row<'_>) -> anyhow::Result<Grant> {
    let list =
        |column: usize| -> anyhow::Result<Vec<String>> { Ok(serde_json::from_str(row.get_ref(column)?.as_str()?)?) };
    let time = |column: usize| -> anyhow::Result<Option<Timestamp>> {
        let at: Option<i64> = row.get(column)?;
        Ok(at.map(Timestamp::from_millisecond).transpose()?)
    };
    let scopes = list(3)?.into_iter();
    let scopes = scopes.map(|text| Scope::full(&text).with_context(|| format!("{text:?} is no scope")));
    let used: i64 = row.get(7)?;
    Ok(Grant {
        id: row.get(1)?,
        new: NewGrant {
            label: row.get(2)?,
            scopes: scopes.collect::<anyhow::Result<_>>()?,
            tags: list(4)?,
            expires_at: time(6)?,
        },
        created_at: time(5)?.context("a token without a time")?,
        made_by: row.get(8)?,
        over: CancellationToken::new(),
        terms: None,
        hub_subject: None,
        used: AtomicI64::new(used),
        stored_used: AtomicI64::new(used),
    })
}

fn insert(db: &mut Connection, digest: &Digest, grant: &Grant) -> rusqlite::Result<()> {
    let list = |texts: &mut dyn Iterator<Item = String>| serde_json::Value::from_iter(texts).to_string();
    let new = &grant.new;
    db.execute(
        "INSERT INTO tokens (digest, id, label, scopes, tags, created_at, expires_at, made_by)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            digest,
            grant.id,
            new.label,
            list(&mut new.scopes.iter().map(ToString::to_string)),
            list(&mut new.tags.iter().cloned()),
            grant.created_at.as_millisecond(),
            new.expires_at.map(Timestamp::as_millisecond),
            grant.made_by,
        ],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests;
