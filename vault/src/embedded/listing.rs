//! Listings: keys come from an index in the asked order, notes are loaded one by one until the page is full.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::fault::Fault;
use super::{read, rules};
use crate::note::Metadata;
use crate::store::{Page, Query, VaultError};

/// Most tags of one kind in a query. SQLite bounds the parts of a compound select at 500.
const TAGS: usize = 100;

/// Place of a note in the order of listings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Position {
    created_at: i64,
    seq: i64,
}

impl Position {
    /// The opaque cursor. It names the direction, because it means nothing in the other one.
    fn cursor(self, descending: bool) -> String {
        format!("{}{}.{}", direction(descending), self.created_at, self.seq)
    }

    fn parse(cursor: &str, descending: bool) -> Result<Self, VaultError> {
        let parts = cursor
            .strip_prefix(direction(descending))
            .and_then(|rest| rest.split_once('.'));
        let parsed = parts.and_then(|(time, seq)| Some((time.parse().ok()?, seq.parse().ok()?)));
        let (created_at, seq) = parsed.ok_or_else(|| {
            VaultError::Invalid(format!(
                "the cursor {cursor:?} is not one of this listing; start again without a cursor, or keep the sort order"
            ))
        })?;
        Ok(Self { created_at, seq })
    }
}

fn direction(descending: bool) -> char {
    if descending { 'd' } else { 'a' }
}

/// One page.
pub(super) fn page(conn: &Connection, query: &Query) -> Result<Page, Fault> {
    let mut page = Page {
        notes: Vec::new(),
        next: None,
    };
    let limit = query
        .limit
        .map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    if limit == 0 {
        return Ok(page);
    }
    let select = Select::new(query)?;
    let scanned: Vec<_> = query.metadata.iter().filter(|(key, _)| key != INDEXED).collect();
    let mut statement = conn.prepare_cached(&select.sql)?;
    // The open statement holds one snapshot; the loads below see the same.
    let mut rows = statement.query(params_from_iter(select.params))?;
    let (mut passed, mut last) = (0, None);
    while let Some(row) = rows.next()? {
        let position = Position {
            created_at: row.get(0)?,
            seq: row.get(1)?,
        };
        if !scanned.is_empty() && !has_metadata(conn, position.seq, &scanned)? {
            continue;
        }
        if passed < query.offset {
            passed += 1;
            continue;
        }
        if page.notes.len() == limit {
            page.next = last.map(|last: Position| last.cursor(query.descending));
            break;
        }
        let found = read::by_seq(conn, position.seq)?;
        page.notes.extend(found.map(|stored| stored.note));
        last = Some(position);
    }
    Ok(page)
}

/// The metadata key that has a column of its own.
const INDEXED: &str = "agent";

fn has_metadata(conn: &Connection, seq: i64, asked: &[&(String, String)]) -> Result<bool, Fault> {
    let mut statement = conn.prepare_cached("SELECT metadata FROM notes WHERE seq = ?1")?;
    let text: String = statement.query_row([seq], |row| row.get(0))?;
    let metadata: Metadata = serde_json::from_str(&text).map_err(|error| Fault::damaged("metadata object", error))?;
    Ok(asked.iter().all(|(key, value)| {
        metadata
            .get(key)
            .and_then(rules::comparable)
            .is_some_and(|text| text == *value)
    }))
}

/// Selects the positions of the matching notes in the asked order.
#[derive(Debug)]
struct Select {
    sql: String,
    params: Vec<Value>,
}

impl Select {
    fn new(query: &Query) -> Result<Self, VaultError> {
        let tags = bare_tags(&query.tags)?;
        let excluded = bare_tags(&query.exclude_tags)?;
        let after = query
            .after
            .as_deref()
            .map(|cursor| Position::parse(cursor, query.descending))
            .transpose()?;
        let mut select = Self {
            sql: String::new(),
            params: Vec::new(),
        };
        match tags.as_slice() {
            [] => select.arm(query, &[], &excluded, after),
            all if query.all_tags => select.arm(query, all, &excluded, after),
            // One walk of an index for each tag; SQLite merges them and drops what comes twice.
            any => {
                for (index, tag) in any.iter().enumerate() {
                    if index > 0 {
                        select.sql.push_str(" UNION ");
                    }
                    select.arm(query, std::slice::from_ref(tag), &excluded, after);
                }
            }
        }
        select.sql.push_str(if query.descending {
            " ORDER BY 1 DESC, 2 DESC"
        } else {
            " ORDER BY 1, 2"
        });
        Ok(select)
    }

    /// Notes that carry all of `tags`.
    fn arm(&mut self, query: &Query, tags: &[String], excluded: &[String], after: Option<Position>) {
        let by_path = query.path.is_some() || query.path_prefix.is_some();
        let (time, seq, agent) = match tags {
            [] => ("n.created_at", "n.seq", "n.agent"),
            _ => ("t.created_at", "t.note", "t.agent"),
        };
        self.sql.push_str(&format!("SELECT {time}, {seq} FROM "));
        match tags {
            [] => self.sql.push_str("notes n WHERE true"),
            [_, ..] if by_path => self
                .sql
                .push_str("note_tags t JOIN notes n ON n.seq = t.note WHERE true"),
            [_, ..] => self.sql.push_str("note_tags t WHERE true"),
        }
        if let [first, others @ ..] = tags {
            self.and("t.tag = ?", [text(first)]);
            for tag in others {
                self.and(
                    "EXISTS (SELECT 1 FROM note_tags x WHERE x.note = t.note AND x.tag = ?)",
                    [text(tag)],
                );
            }
        }
        for tag in excluded {
            let condition = format!("NOT EXISTS (SELECT 1 FROM note_tags x WHERE x.note = {seq} AND x.tag = ?)");
            self.and(&condition, [text(tag)]);
        }
        for (_, value) in query.metadata.iter().filter(|(key, _)| key == INDEXED) {
            self.and(&format!("{agent} = ?"), [text(value)]);
        }
        if let Some(path) = &query.path {
            self.and("n.path = ? COLLATE NOCASE", [text(path)]);
        }
        if let Some(prefix) = &query.path_prefix {
            self.path_prefix(prefix);
        }
        if let Some(Position { created_at, seq: last }) = after {
            let beyond = if query.descending { "<" } else { ">" };
            self.and(
                &format!("({time}, {seq}) {beyond} (?, ?)"),
                [Value::from(created_at), Value::from(last)],
            );
        }
    }

    /// The bounds let SQLite use the index; the last condition decides.
    fn path_prefix(&mut self, prefix: &str) {
        self.and("n.path >= ? COLLATE NOCASE", [text(prefix)]);
        if let Some(end) = end_of_range(prefix) {
            self.and("n.path < ? COLLATE NOCASE", [Value::from(end)]);
        }
        let condition = "substr(n.path, 1, length(?)) = ? COLLATE NOCASE";
        self.and(condition, [text(prefix), text(prefix)]);
    }

    fn and<const N: usize>(&mut self, condition: &str, params: [Value; N]) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
        self.params.extend(params);
    }
}

fn text(value: &str) -> Value {
    Value::from(value.to_owned())
}

/// A text that sorts after every text that begins with `prefix`; `None` when there is none.
fn end_of_range(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // `char` ranges step over the surrogates.
        if let Some(next) = (last..=char::MAX).nth(1) {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

fn bare_tags(tags: &[String]) -> Result<Vec<String>, VaultError> {
    let mut bare: Vec<String> = Vec::with_capacity(tags.len());
    for tag in tags.iter().map(|tag| rules::bare(tag)) {
        if tag.is_empty() {
            return Err(VaultError::Invalid("a tag of the query is blank".into()));
        }
        if !bare.iter().any(|known| known == tag) {
            bare.push(tag.to_owned());
        }
    }
    if bare.len() > TAGS {
        return Err(VaultError::Invalid(format!(
            "a query can name {TAGS} tags, this one names {}",
            bare.len()
        )));
    }
    Ok(bare)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::embedded::schema;

    /// What SQLite says it will do, one step a line.
    fn plan(query: &Query) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let conn = schema::open_writer(&dir.path().join("v.db")).unwrap();
        let select = Select::new(query).unwrap();
        let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {}", select.sql)).unwrap();
        let rows = statement
            .query_map(params_from_iter(select.params), |row| row.get(3))
            .unwrap();
        rows.map(Result::unwrap).collect()
    }

    fn tagged(tags: &[&str]) -> Query {
        Query {
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            descending: true,
            ..Query::default()
        }
    }

    #[test]
    fn the_common_listings_walk_an_index_and_sort_nothing() {
        let agent = vec![("agent".to_owned(), "eng".to_owned())];
        assert_eq!(plan(&tagged(&["x"])), ["SEARCH t USING PRIMARY KEY (tag=?)"]);
        assert_eq!(
            plan(&Query {
                after: Some("d5.5".into()),
                ..tagged(&["x"])
            }),
            ["SEARCH t USING PRIMARY KEY (tag=? AND (created_at,note)<(?,?))"]
        );
        assert_eq!(
            plan(&Query {
                metadata: agent.clone(),
                ..tagged(&["x"])
            }),
            ["SEARCH t USING COVERING INDEX note_tags_by_agent (tag=? AND agent=?)"]
        );
        assert_eq!(
            plan(&Query {
                metadata: agent,
                ..Query::default()
            }),
            ["SEARCH n USING COVERING INDEX notes_by_agent (agent=?)"]
        );
        assert_eq!(plan(&Query::default()), ["SCAN n USING COVERING INDEX notes_by_time"]);
        assert_eq!(
            plan(&tagged(&["x", "y"])),
            [
                "MERGE (UNION)",
                "LEFT",
                "SEARCH t USING PRIMARY KEY (tag=?)",
                "RIGHT",
                "SEARCH t USING PRIMARY KEY (tag=?)"
            ]
        );
        assert_eq!(
            plan(&Query {
                all_tags: true,
                exclude_tags: vec!["z".into()],
                ..tagged(&["x", "y"])
            }),
            [
                "SEARCH t USING PRIMARY KEY (tag=?)",
                "CORRELATED SCALAR SUBQUERY 2",
                "SEARCH x USING COVERING INDEX note_tags_by_note (note=? AND tag=?)",
                "SEARCH x EXISTS USING COVERING INDEX note_tags_by_note (note=? AND tag=?)"
            ]
        );
    }

    #[test]
    fn a_path_prefix_searches_the_index_of_paths() {
        let steps = plan(&Query {
            path_prefix: Some("a/".into()),
            ..Query::default()
        });
        assert_eq!(steps[0], "SEARCH n USING INDEX notes_by_path (path>? AND path<?)");
    }

    #[test]
    fn cursors_are_read_back_and_keep_their_direction() {
        let position = Position { created_at: -5, seq: 7 };
        assert_eq!(position.cursor(true), "d-5.7");
        assert_eq!(Position::parse("d-5.7", true).unwrap(), position);
        for wrong in ["a-5.7", "", "d", "d1", "d1.", "dx.1", "d1.2.3", "é"] {
            assert!(
                matches!(Position::parse(wrong, true), Err(VaultError::Invalid(_))),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn ranges_of_prefixes_end_after_the_last_text() {
        assert_eq!(end_of_range("a/").as_deref(), Some("a0"));
        assert_eq!(end_of_range("a\u{10FFFF}").as_deref(), Some("b"));
        assert_eq!(end_of_range("\u{D7FF}").as_deref(), Some("\u{E000}"));
        assert_eq!(end_of_range(""), None);
    }
}
