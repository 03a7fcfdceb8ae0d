//! Grants that the operator of this machine approves. What they are good for is in `grants.db` and leaves it for a turn only.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use reveille_vault::agent::{Inject, Want};
use reveille_vault::note::bare_tag;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use tokio_util::sync::CancellationToken;
use url::Url;
use uuid::Uuid;

use super::store::Store;
use super::{Grant, GrantBackend, GrantError, GrantStatus, Material, service_url};

/// Most characters of a token.
const TOKEN_MAX: usize = 8192;
/// Most characters of an address.
const URL_MAX: usize = 2048;

/// An approval or a revocation that was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LocalError {
    /// Nobody wants that.
    #[error("{holder:?} wants no {key:?}")]
    Unknown {
        /// Who was named.
        holder: String,
        /// What was named.
        key: String,
        /// What that one wants.
        keys: Vec<String>,
    },
    /// Something is missing, or will not do. No text holds the token.
    #[error("{0}")]
    Wrong(String),
    /// `grants.db` cannot be written.
    #[error("the grants cannot be written ({0}); nothing has changed")]
    Store(#[from] rusqlite::Error),
}

/// What the operator gives with an approval.
#[derive(Clone, Default)]
pub(crate) struct Approval {
    /// A secret.
    pub(crate) token: Option<String>,
    /// Where what is approved is.
    pub(crate) url: Option<String>,
}

/// Whether there is a vault of that name in this daemon.
type IsHere = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// The local backend. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Local {
    store: Store,
    inner: Arc<Inner>,
}

struct Inner {
    is_here: IsHere,
    /// What ends the tokens that turns have for a grant, by its id.
    ends: Mutex<HashMap<String, CancellationToken>>,
}

/// A row as it is stored.
struct Stored {
    grant: Grant,
    token: Option<String>,
    url: Option<String>,
}

const COLUMNS: &str = "SELECT id, holder, want, status, token, url FROM grants";

impl Local {
    /// On a store. `is_here` tells which vaults are in this daemon.
    pub(crate) fn new(store: Store, is_here: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        let inner = Inner {
            is_here: Box::new(is_here),
            ends: Mutex::default(),
        };
        let inner = Arc::new(inner);
        Self { store, inner }
    }

    /// Those of whom something is kept, whatever was decided.
    ///
    /// # Errors
    /// Those of the file.
    pub(super) fn holders(&self) -> rusqlite::Result<BTreeSet<String>> {
        self.store.now(|db| {
            let mut statement = db.prepare("SELECT DISTINCT holder FROM grants")?;
            statement.query_map([], |row| row.get(0))?.collect()
        })
    }

    /// Lets a holder have what it wants.
    ///
    /// # Errors
    /// [`LocalError`]; then nothing has changed.
    pub(crate) async fn approve(&self, holder: &str, key: &str, given: Approval) -> Result<Grant, LocalError> {
        let before = self.find(holder, key).await?;
        let given = self.checked(&before.grant.want, given).map_err(LocalError::Wrong)?;
        // Tokens that turns have for an earlier approval end: it may have reached elsewhere.
        self.end(std::slice::from_ref(&before.grant.id));
        self.decide(before, GrantStatus::Approved, given).await
    }

    /// Takes it away. Tokens of vaults of this daemon end at once, those of others with the turns that have them.
    ///
    /// # Errors
    /// [`LocalError`]; then nothing has changed on the disk, but the tokens of running turns have ended all the same.
    pub(crate) async fn revoke(&self, holder: &str, key: &str) -> Result<Grant, LocalError> {
        let before = self.find(holder, key).await?;
        let id = before.grant.id.clone();
        let after = self.decide(before, GrantStatus::Revoked, Approval::default()).await;
        self.end(&[id]);
        after
    }

    async fn decide(&self, row: Stored, status: GrantStatus, given: Approval) -> Result<Grant, LocalError> {
        let id = row.grant.id.clone();
        let (token, url) = (given.token.clone(), given.url.clone());
        let rows = self
            .store
            .run(move |db| {
                let sql = "UPDATE grants SET status = ?2, token = ?3, url = ?4, changed_at = ?5 WHERE id = ?1";
                db.execute(sql, params![id, status.as_str(), token, url, now()])
            })
            .await?;
        if rows == 0 {
            // Its holder stopped wanting it meanwhile.
            let (holder, key) = (row.grant.holder, row.grant.want.key());
            let keys = Vec::new();
            return Err(LocalError::Unknown { holder, key, keys });
        }
        let grant = Grant { status, ..row.grant };
        let Approval { token, url } = given;
        Ok(self.judged(Stored { grant, token, url }).grant)
    }

    async fn find(&self, holder: &str, key: &str) -> Result<Stored, LocalError> {
        let rows = self.rows(holder).await?;
        let keys = rows.iter().map(|row| row.grant.want.key()).collect();
        let found = rows.into_iter().find(|row| row.grant.want.key() == key);
        let (holder, key) = (holder.to_owned(), key.to_owned());
        found.ok_or(LocalError::Unknown { holder, key, keys })
    }

    async fn rows(&self, holder: &str) -> rusqlite::Result<Vec<Stored>> {
        let holder = holder.to_owned();
        let rows = self.store.run(move |db| {
            let mut statement = db.prepare_cached(&format!("{COLUMNS} WHERE holder = ?1 ORDER BY rowid"))?;
            let rows = statement.query_map([holder], stored)?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        });
        Ok(rows.await?.into_iter().flatten().map(|row| self.judged(row)).collect())
    }

    /// The row with what cannot work any more told.
    fn judged(&self, mut row: Stored) -> Stored {
        if let Want::Vault { name, .. } = &row.grant.want
            && row.grant.status == GrantStatus::Approved
            && row.token.is_none()
            && !(self.inner.is_here)(name)
        {
            row.grant.status = GrantStatus::Error;
            row.grant.reason = Some(format!(
                "there is no vault {name:?} in this daemon any more; add it to the configuration, or approve it again with \
                 the address and a token of a vault elsewhere"
            ));
        }
        row
    }

    /// What an approval of a wish takes.
    fn checked(&self, want: &Want, given: Approval) -> Result<Approval, String> {
        let token = given.token.map(|token| checked_token(&token)).transpose()?;
        let url = given.url.map(|url| checked_url(&url)).transpose()?;
        let needed = |token: &Option<String>, what: &str| match token {
            Some(_) => Ok(()),
            None => Err(format!("it needs {what}")),
        };
        match want {
            Want::Vault { name, .. } if (self.inner.is_here)(name) => {
                if token.is_some() || url.is_some() {
                    return Err(format!(
                        "the vault {name:?} is in this daemon: each turn gets a token of its own, so give neither token nor url"
                    ));
                }
            }
            Want::Vault { name, .. } => {
                let not_here = format!("there is no vault {name:?} in this daemon; for one elsewhere");
                needed(&token, "a token").map_err(|error| format!("{not_here} {error}"))?;
                needed(&url, "the url of its MCP door").map_err(|error| format!("{not_here} {error}"))?;
            }
            Want::Service { name, inject } => {
                needed(&token, "a token")?;
                no_url(
                    url.as_deref(),
                    "a service has no url here; an MCP server by its address is wanted as mcp:https://…",
                )?;
                if *inject == [Inject::Mcp] && service_url(name).is_none() {
                    return Err(format!(
                        "the address of an MCP server of {name:?} is not known; write mcp:https://… in wants instead"
                    ));
                }
            }
            Want::Surface { .. } => {
                needed(&token, "a token")?;
                needed(&url, "the url of the repository")?;
            }
            Want::Mcp { .. } => no_url(url.as_deref(), "its url is what is wanted; give a token or nothing")?,
        }
        Ok(Approval { token, url })
    }

    /// Ends the tokens that turns have for these.
    fn end(&self, ids: &[String]) {
        let mut ends = self.inner.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ids.iter().filter_map(|id| ends.remove(id)).for_each(|end| end.cancel());
    }

    /// What ends the tokens that turns get for a grant. To be asked for before the grant is read: what is taken away
    /// meanwhile ends them too.
    fn lease(&self, id: &str) -> CancellationToken {
        let mut ends = self.inner.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.entry(id.to_owned()).or_default().clone()
    }
}

fn no_url(url: Option<&str>, why: &str) -> Result<(), String> {
    url.map_or(Ok(()), |_| Err(why.to_owned()))
}

/// A token goes into a header or a variable: one line of visible characters.
fn checked_token(token: &str) -> Result<String, String> {
    let token = token.trim();
    if token.is_empty() {
        return Err("the token is empty".into());
    }
    if token.len() > TOKEN_MAX || !token.bytes().all(|c| c.is_ascii_graphic()) {
        return Err(format!(
            "the token will not do: it must be one word of visible ASCII characters, {TOKEN_MAX} at most"
        ));
    }
    Ok(token.to_owned())
}

fn checked_url(url: &str) -> Result<String, String> {
    let url = url.trim();
    let parsed = Url::parse(url).map_err(|error| format!("the url cannot be read ({error})"))?;
    if !matches!(parsed.scheme(), "http" | "https") || url.len() > URL_MAX {
        return Err(format!(
            "the url must begin with https:// or http:// and have {URL_MAX} characters at most"
        ));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err("the url has a name or password in it; leave them out and give the token by itself".into());
    }
    Ok(url.to_owned())
}

fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

/// `None`: a newer version wrote it.
fn stored(row: &Row<'_>) -> rusqlite::Result<Option<Stored>> {
    let want = serde_json::from_str(row.get_ref(2)?.as_str()?).ok(); // silent-ok: as said above
    let status = GrantStatus::parse(row.get_ref(3)?.as_str()?);
    let (Some(want), Some(status)) = (want.as_ref().and_then(Want::from_spec), status) else {
        return Ok(None);
    };
    let grant = Grant {
        id: row.get(0)?,
        holder: row.get(1)?,
        want,
        status,
        reason: None,
    };
    let (token, url) = (row.get(4)?, row.get(5)?);
    Ok(Some(Stored { grant, token, url }))
}

fn insert(db: &Connection, holder: &str, want: &Want) -> rusqlite::Result<()> {
    let sql =
        "INSERT OR IGNORE INTO grants (id, holder, key, want, status, changed_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let id = format!("g_{}", &Uuid::new_v4().simple().to_string()[..12]);
    let (spec, status) = (want.spec_json().to_string(), GrantStatus::Pending.as_str());
    db.execute(sql, params![id, holder, want.key(), spec, status, now()])?;
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn unavailable(error: rusqlite::Error) -> GrantError {
    GrantError::Unavailable(format!("grants.db cannot be used ({error})"))
}

#[async_trait]
impl GrantBackend for Local {
    fn is_own(&self) -> bool {
        true
    }

    fn kind(&self) -> &'static str {
        "local"
    }

    async fn register(&self, holder: &str, want: &Want) -> Result<Grant, GrantError> {
        let (of, asked) = (holder.to_owned(), want.clone());
        let row = self.store.run(move |db| {
            let select = format!("{COLUMNS} WHERE holder = ?1 AND key = ?2");
            let find = |db: &Connection| db.query_row(&select, params![of, asked.key()], stored).optional();
            match find(db)? {
                None => {
                    insert(db, &of, &asked)?;
                    find(db)
                }
                found => Ok(found),
            }
        });
        let row = row.await.map_err(unavailable)?.flatten();
        row.map(|row| self.judged(row).grant)
            .ok_or_else(|| GrantError::Refused("a newer version of this program has written this grant".into()))
    }

    async fn list(&self, holder: &str) -> Result<Vec<Grant>, GrantError> {
        let rows = self.rows(holder).await.map_err(unavailable)?;
        Ok(rows.into_iter().map(|row| row.grant).collect())
    }

    async fn material(&self, grant: &Grant) -> Result<Option<Material>, GrantError> {
        let ends = self.lease(&grant.id);
        let rows = self.rows(&grant.holder).await.map_err(unavailable)?;
        let Some(row) = rows.into_iter().find(|row| row.grant.id == grant.id) else {
            return Ok(None);
        };
        if row.grant.status != GrantStatus::Approved {
            return Ok(None);
        }
        let material = match (row.grant.want, row.token, row.url) {
            (Want::Vault { .. }, Some(token), Some(url)) => Material::Vault { token, url },
            (Want::Vault { name, access, tags }, None, _) => Material::Own {
                vault: name,
                access,
                tags: tags.iter().map(|tag| bare_tag(tag).to_owned()).collect(),
                ends,
            },
            (Want::Service { inject, .. }, Some(token), _) => Material::Service { token, inject },
            (Want::Surface { .. }, Some(token), Some(remote_url)) => Material::Surface { token, remote_url },
            (Want::Mcp { url }, token, _) => Material::Mcp { token, url },
            _ => return Ok(None),
        };
        Ok(Some(material))
    }

    async fn reconcile(&self, holder: &str, live: &[Want]) -> Result<u64, GrantError> {
        let keys: Vec<String> = live.iter().map(Want::key).collect();
        let of = holder.to_owned();
        let dropped = self.store.run(move |db| {
            let transaction = db.transaction()?;
            let rows: Vec<(String, String)> = {
                let mut statement = transaction.prepare_cached("SELECT id, key FROM grants WHERE holder = ?1")?;
                let rows = statement.query_map([of], |row| Ok((row.get(0)?, row.get(1)?)))?;
                rows.collect::<rusqlite::Result<_>>()?
            };
            let dropped: Vec<String> = rows
                .into_iter()
                .filter(|(_, key)| !keys.contains(key))
                .map(|(id, _)| id)
                .collect();
            for id in &dropped {
                transaction.execute("DELETE FROM grants WHERE id = ?1", [id])?;
            }
            transaction.commit()?;
            Ok(dropped)
        });
        let dropped = dropped.await.map_err(unavailable)?;
        self.end(&dropped);
        Ok(u64::try_from(dropped.len()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests;
