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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::embedded::{EmbeddedVault, schema};
    use crate::links::Links as _;
    use crate::profile::Profile as _;
    use crate::store::{Key, NewNote, Query, Vault as _};
    use crate::tags::Tags as _;

    /// Notes as the version before links wrote them: 1 200 that link to the first one, and one that says what a tag is.
    fn fill(conn: &Connection) {
        const NOTE: &str = "INSERT INTO notes (id, path, created_at, updated_at, tags, metadata, content) \
                            VALUES (?1, ?2, 7, 7, '[]', ?3, ?4)";
        let tx = conn.unchecked_transaction().unwrap();
        let mut insert = tx.prepare(NOTE).unwrap();
        insert.execute(params!["home", "dir/Home", "{}", "x"]).unwrap();
        for number in 0..1_200 {
            let content = if number % 2 == 0 { "to [[home]]" } else { "no link" };
            insert
                .execute(params![format!("n{number}"), None::<String>, "{}", content])
                .unwrap();
        }
        let says = r##"{"parents":["#top"," ",3]}"##;
        insert.execute(params!["says", "_tags/sub/kind", says, ""]).unwrap();
        for tag in ["b", "a", "sub/kind"] {
            let sql = "INSERT INTO note_tags (tag, created_at, note) SELECT ?1, created_at, seq FROM notes LIMIT 2";
            tx.execute(sql, [tag]).unwrap();
        }
        drop(insert);
        tx.commit().unwrap();
    }

    #[tokio::test]
    async fn an_older_vault_gets_its_tags_at_once_and_its_links_soon() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("v.db");
        let old = schema::made_by_older(&file, 3);
        fill(&old);
        drop(old);

        let vault = EmbeddedVault::open("v", &file).unwrap();
        let tags = vault.all_tags().await.unwrap();
        let told: Vec<_> = tags
            .iter()
            .map(|tag| (tag.name.as_str(), tag.count, tag.parents.join(" ")))
            .collect();
        let none = String::new;
        assert_eq!(
            told,
            [("a", 2, none()), ("b", 2, none()), ("sub/kind", 2, "top".into())]
        );
        let top = Query {
            tags: vec!["top".into()],
            ..Query::default()
        };
        assert_eq!(vault.query(&top).await.unwrap().notes.len(), 2);
        assert_eq!(vault.stats().await.unwrap().notes, 1_202);
        assert_eq!(vault.made_at().await.unwrap().as_millisecond(), 7);

        // Writes go on meanwhile.
        let new = NewNote {
            content: "[[Home]]".into(),
            ..NewNote::default()
        };
        vault.create(new).await.unwrap();
        let all = async {
            loop {
                let links = vault
                    .links_of(&Key::Id(crate::NoteId::new("home").unwrap()))
                    .await
                    .unwrap();
                if links.len() == 601 {
                    return links;
                }
                tokio::task::yield_now().await;
            }
        };
        let links = tokio::time::timeout(Duration::from_secs(30), all).await.unwrap();
        assert!(links.iter().all(|link| link.target_path.as_deref() == Some("dir/Home")));
        vault.close().await;
        let conn = schema::open_writer(&file).unwrap();
        let left: i64 = conn
            .query_row("SELECT count(*) FROM memos WHERE key = ?1", [MEMO], |row| row.get(0))
            .unwrap();
        assert_eq!(left, 0);
    }
}
