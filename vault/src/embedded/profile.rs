//! What the embedded vault says of itself.

use async_trait::async_trait;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::EmbeddedVault;
use super::fault::Fault;
use super::read;
use crate::note::NoteId;
use crate::profile::{Profile, Stats, TOP_TAGS};
use crate::store::VaultError;

/// Longest description, in bytes.
const DESCRIPTION_BYTES: usize = 64 * 1024;

#[async_trait]
impl Profile for EmbeddedVault {
    async fn description(&self) -> Result<Option<String>, VaultError> {
        self.memo("vault.description").await
    }

    async fn describe(&self, description: &str) -> Result<(), VaultError> {
        let description = description.trim().to_owned();
        if description.len() > DESCRIPTION_BYTES {
            return Err(VaultError::Invalid(format!(
                "the description has {} bytes, at most {DESCRIPTION_BYTES} are kept; nothing was written",
                description.len()
            )));
        }
        if description.is_empty() {
            return self
                .write(|conn, _| {
                    conn.execute("DELETE FROM memos WHERE key = 'vault.description'", [])?;
                    Ok(())
                })
                .await;
        }
        self.set_memo("vault.description", description).await
    }

    async fn made_at(&self) -> Result<Timestamp, VaultError> {
        self.readers
            .run(|conn| {
                let text: String =
                    conn.query_row("SELECT value FROM memos WHERE key = 'vault.made_at'", [], |row| {
                        row.get(0)
                    })?;
                let ms = text.parse().map_err(|error| Fault::damaged("time", error))?;
                read::time(ms)
            })
            .await
    }

    async fn stats(&self) -> Result<Stats, VaultError> {
        self.readers.run(stats).await
    }
}

fn stats(conn: &Connection) -> Result<Stats, Fault> {
    let count = |sql: &str| -> Result<u64, Fault> {
        let count: i64 = conn.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap_or_default())
    };
    let mut top =
        conn.prepare_cached("SELECT tag, notes FROM tag_counts WHERE notes > 0 ORDER BY notes DESC, tag LIMIT ?1")?;
    let top_tags = top.query_map([TOP_TAGS], |row| Ok((row.get(0)?, row.get::<_, u32>(1)?.into())))?;
    Ok(Stats {
        notes: count("SELECT count(*) FROM notes")?,
        earliest: end(
            conn,
            "SELECT id, created_at FROM notes ORDER BY created_at, seq LIMIT 1",
        )?,
        latest: end(
            conn,
            "SELECT id, created_at FROM notes ORDER BY created_at DESC, seq DESC LIMIT 1",
        )?,
        by_month: by_month(conn)?,
        top_tags: top_tags.collect::<Result<_, _>>()?,
        tags: count("SELECT count(*) FROM tag_counts WHERE notes > 0")?,
        links: count("SELECT count(*) FROM links WHERE target IS NOT NULL")?,
    })
}

fn end(conn: &Connection, sql: &str) -> Result<Option<(NoteId, Timestamp)>, Fault> {
    let found: Option<(String, i64)> = conn
        .prepare_cached(sql)?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((id, at)) = found else { return Ok(None) };
    let id = NoteId::new(id).map_err(|error| Fault::damaged("note id", error))?;
    Ok(Some((id, read::time(at)?)))
}

/// Goes from month to month along the index of times, and over months without notes in one step.
fn by_month(conn: &Connection) -> Result<Vec<(String, u64)>, Fault> {
    let mut next = conn.prepare_cached("SELECT min(created_at) FROM notes WHERE created_at >= ?1")?;
    let mut count = conn.prepare_cached("SELECT count(*) FROM notes WHERE created_at >= ?1 AND created_at < ?2")?;
    let (mut months, mut from) = (Vec::new(), i64::MIN);
    while let Some(first) = next.query_row([from], |row| row.get::<_, Option<i64>>(0))? {
        let date = read::time(first)?.to_zoned(TimeZone::UTC).date();
        from = after_month(date);
        let notes: u32 = count.query_row(params![first, from], |row| row.get(0))?;
        months.push((date.strftime("%Y-%m").to_string(), notes.into()));
    }
    Ok(months)
}

/// The first millisecond after the month of a date; the end of time for the last one.
fn after_month(date: Date) -> i64 {
    let next = date.first_of_month().checked_add(1.month());
    let start = next.and_then(|date| date.to_zoned(TimeZone::UTC));
    // silent-ok: no time is behind the last month
    start.map_or(i64::MAX, |start| start.timestamp().as_millisecond())
}
