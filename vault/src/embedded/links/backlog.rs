//! Bodies that were written before links were read from them. The writer takes some of them whenever nobody waits.

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::written;
use crate::embedded::fault::Fault;

/// The newest of the notes whose bodies are still to be read.
const MEMO: &str = "links.unread";

/// Most notes, and bytes of their bodies, of one transaction: others may come to wait.
const NOTES: u32 = 500;
const BYTES: usize = 2 << 20;

/// Reads the next bodies. Whether there may be more.
pub(in crate::embedded) fn read_some(conn: &mut Connection) -> Result<bool, Fault> {
    let newest: Option<String> = conn
        .prepare_cached("SELECT value FROM memos WHERE key = ?1")?
        .query_row([MEMO], |row| row.get(0))
        .optional()?;
    let Some(newest) = newest else { return Ok(false) };
    let newest: i64 = newest.parse().map_err(|error| Fault::damaged("memo", error))?;
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let rest = read_from(&tx, newest)?;
    match rest {
        None => tx.execute("DELETE FROM memos WHERE key = ?1", [MEMO])?,
        Some(rest) => tx.execute(
            "UPDATE memos SET value = ?2 WHERE key = ?1",
            params![MEMO, rest.to_string()],
        )?,
    };
    tx.commit()?;
    Ok(rest.is_some())
}

/// Answers the newest note that is left.
fn read_from(conn: &Connection, newest: i64) -> Result<Option<i64>, Fault> {
    const SQL: &str = "SELECT seq, updated_at, iif(instr(content, '[[') > 0, content, '') FROM notes \
                       WHERE seq <= ?1 ORDER BY seq DESC LIMIT ?2";
    let mut statement = conn.prepare_cached(SQL)?;
    let mut rows = statement.query(params![newest, NOTES])?;
    let (mut notes, mut bytes, mut last) = (0, 0, newest);
    while let Some(row) = rows.next()? {
        let (seq, updated_at, content): (i64, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if !content.is_empty() {
            written::index(conn, seq, &content, updated_at)?;
        }
        notes += 1;
        bytes += content.len();
        last = seq;
        if bytes >= BYTES {
            return Ok(Some(last - 1));
        }
    }
    Ok((notes == NOTES).then_some(last - 1))
}
