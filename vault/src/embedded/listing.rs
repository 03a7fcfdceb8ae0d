//! Listings: keys come from an index in the asked order, notes are loaded one by one until the page is full.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::fault::Fault;
use super::filling::{Check, Filling};
use super::narrow::{Asked, INDEXED, Narrow, TAGS as MOST_TAGS, millis_up};
use super::position::{Position, order};
use super::{scope, search};
use crate::query::{OrderBy, Span};
use crate::store::{Page, Query};

/// One page.
pub(super) fn page(conn: &Connection, query: &Query) -> Result<Page, Fault> {
    if query.limit == Some(0) {
        return Ok(Page::default());
    }
    // All statements see one state of the vault. It only reads: there is nothing to commit.
    let _snapshot = conn.unchecked_transaction()?;
    let asked = Asked::new(conn, query)?;
    match &asked.expression {
        Some(expression) if query.order_by.is_none() => search::page(conn, &asked, expression),
        _ => ordered(conn, &asked),
    }
}

fn ordered(conn: &Connection, asked: &Asked<'_>) -> Result<Page, Fault> {
    let mut filling = Filling::new(asked.query);
    let mut check = Check::new(asked);
    let mut last = None;
    for select in Select::all(conn, asked)? {
        let mut statement = conn.prepare_cached(&select.sql)?;
        let mut rows = statement.query(params_from_iter(select.params))?;
        while let Some(row) = rows.next()? {
            let seq = row.get(1)?;
            if !check.passes(conn, seq)? {
                continue;
            }
            if filling.is_full() {
                filling.page.next = last.map(|last: Position| last.cursor(asked.query));
                return Ok(filling.page);
            }
            if filling.take(conn, seq)? {
                last = Some(Position { key: row.get(0)?, seq });
            }
        }
    }
    Ok(filling.page)
}

/// Selects the positions of the matching notes in the asked order.
#[derive(Debug, Default)]
pub(super) struct Select {
    pub(super) sql: String,
    pub(super) params: Vec<Value>,
}

/// What the columns of the notes are called in a statement.
pub(super) struct Columns {
    pub(super) seq: &'static str,
    created_at: &'static str,
    agent: &'static str,
    /// It is quick to begin with a given `seq`.
    pub(super) by_seq: bool,
}

const NOTES: Columns = Columns {
    seq: "n.seq",
    created_at: "n.created_at",
    agent: "n.agent",
    by_seq: true,
};
const TAGS: Columns = Columns {
    seq: "t.note",
    created_at: "t.created_at",
    agent: "t.agent",
    by_seq: true,
};
const WORDS: Columns = Columns {
    seq: "notes_fts.rowid",
    by_seq: false,
    ..NOTES
};

impl Select {
    /// The statements of a listing, to be read one after the other.
    fn all(conn: &Connection, asked: &Asked<'_>) -> Result<Vec<Self>, Fault> {
        let query = asked.query;
        let after = Position::after(query)?;
        let order = order(query);
        if order == OrderBy::CreatedAt && !asked.narrows.iter().any(|narrow| narrow.few) {
            return Ok(vec![Self::by_time(asked, after.as_ref())?]);
        }
        let tags = tag_narrows(conn, asked)?;
        let few = asked.narrows.iter().chain(&tags).any(|narrow| narrow.few);
        let mut selects = Vec::new();
        if after.as_ref().is_none_or(|after| after.key != Value::Null) {
            let mut select = Self::default();
            let (key, seq) = select.with_key(&order, few);
            select.conditions(asked, &NOTES, &tags);
            if let Some(last) = &after {
                let condition = format!("({key}, {seq}) {} (?, ?)", beyond(query));
                select.and(&condition, [last.key.clone(), last.seq.into()]);
            }
            select.sort(query);
            selects.push(select);
        }
        if matches!(order, OrderBy::Path | OrderBy::Field(_)) {
            let mut select = Self::default();
            select.without_key(&order, few);
            select.conditions(asked, &NOTES, &tags);
            if let Some(Position { key: Value::Null, seq }) = &after {
                select.and(&format!("n.seq {} ?", beyond(query)), [(*seq).into()]);
            }
            select.sort(query);
            selects.push(select);
        }
        Ok(selects)
    }

    /// Notes that have what the listing is ordered by. Answers the two columns that are its order.
    fn with_key(&mut self, order: &OrderBy, few: bool) -> (&'static str, &'static str) {
        let notes = notes(few);
        let (key, condition) = match order {
            OrderBy::CreatedAt => ("n.created_at", "true"),
            OrderBy::UpdatedAt => ("n.updated_at", "true"),
            OrderBy::Path => ("n.path", "n.path IS NOT NULL"),
            OrderBy::Field(field) if field == INDEXED => ("n.agent", "n.agent IS NOT NULL"),
            OrderBy::Field(field) => {
                self.params.push(text(field));
                // Either the few notes are looked up, or the values are walked in their order.
                let tables = match few {
                    true => format!("{notes} CROSS JOIN note_fields f ON f.note = n.seq"),
                    false => format!("note_fields f CROSS JOIN {notes} ON n.seq = f.note"),
                };
                self.sql
                    .push_str(&format!("SELECT f.value, f.note FROM {tables} WHERE f.field = ?"));
                return ("f.value", "f.note");
            }
        };
        self.sql
            .push_str(&format!("SELECT {key}, n.seq FROM {notes} WHERE {condition}"));
        (key, "n.seq")
    }

    /// Notes that do not.
    fn without_key(&mut self, order: &OrderBy, few: bool) {
        self.sql
            .push_str(&format!("SELECT NULL, n.seq FROM {} WHERE ", notes(few)));
        match order {
            OrderBy::CreatedAt | OrderBy::UpdatedAt => self.sql.push_str("false"),
            OrderBy::Path => self.sql.push_str("n.path IS NULL"),
            OrderBy::Field(field) if field == INDEXED => self.sql.push_str("n.agent IS NULL"),
            OrderBy::Field(field) => {
                self.sql
                    .push_str("NOT EXISTS (SELECT 1 FROM note_fields f WHERE f.note = n.seq AND f.field = ?)");
                self.params.push(text(field));
            }
        }
    }

    /// `seq` and rank of the notes that match a full-text expression, newest first, from `top` on.
    pub(super) fn by_rank(conn: &Connection, asked: &Asked<'_>, expression: &str, top: i64) -> Result<Self, Fault> {
        let query = asked.query;
        let mut select = Self::default();
        let in_notes = query.path.is_some()
            || query.path_prefix.is_some()
            || query.created != Span::default()
            || !asked.agents().is_empty();
        select
            .sql
            .push_str("SELECT notes_fts.rowid, bm25(notes_fts) FROM notes_fts");
        if in_notes {
            select.sql.push_str(" CROSS JOIN notes n ON n.seq = notes_fts.rowid");
        }
        select.sql.push_str(" WHERE notes_fts MATCH ? AND notes_fts.rowid <= ?");
        select.params.extend([text(expression), top.into()]);
        let tags = tag_narrows(conn, asked)?;
        select.conditions(asked, &WORDS, &tags);
        select.sql.push_str(" ORDER BY notes_fts.rowid DESC");
        Ok(select)
    }

    fn by_time(asked: &Asked<'_>, after: Option<&Position>) -> Result<Self, Fault> {
        let query = asked.query;
        let mut select = Self::default();
        // The walk follows the list with the fewest tags; the others are looked up for each note.
        let mut others: Vec<&[String]> = asked.tags.iter().map(Vec::as_slice).collect();
        let walked = (0..others.len()).min_by_key(|at| others[*at].len());
        match walked
            .filter(|at| others[*at].len() <= MOST_TAGS)
            .map(|at| others.remove(at))
        {
            None => select.arm(asked, None, &others, after),
            // One walk of an index for each tag; SQLite merges them and drops what comes twice.
            Some(any) => {
                for (index, tag) in any.iter().enumerate() {
                    if index > 0 {
                        select.sql.push_str(" UNION ");
                    }
                    select.arm(asked, Some(tag), &others, after);
                }
            }
        }
        select.sort(query);
        Ok(select)
    }

    /// Notes that carry `tag`, and one tag of each of `others`.
    fn arm(&mut self, asked: &Asked<'_>, tag: Option<&str>, others: &[&[String]], after: Option<&Position>) {
        let query = asked.query;
        let by_path = query.path.is_some() || query.path_prefix.is_some();
        let columns = if tag.is_none() { NOTES } else { TAGS };
        let Columns { seq, created_at, .. } = columns;
        self.sql.push_str(&format!("SELECT {created_at}, {seq} FROM "));
        match tag {
            None => self.sql.push_str("notes n WHERE true"),
            Some(_) if by_path => self
                .sql
                .push_str("note_tags t JOIN notes n ON n.seq = t.note WHERE true"),
            Some(_) => self.sql.push_str("note_tags t WHERE true"),
        }
        if let Some(tag) = tag {
            self.and("t.tag = ?", [text(tag)]);
        }
        for tags in others {
            self.one_of(seq, tags);
        }
        self.conditions(asked, &columns, &[]);
        if let Some(Position { key, seq: last }) = after {
            self.and(
                &format!("({created_at}, {seq}) {} (?, ?)", beyond(query)),
                [key.clone(), Value::from(*last)],
            );
        }
    }

    /// Everything but the tags that are asked for, which are in `tags` unless the statement begins with them.
    fn conditions(&mut self, asked: &Asked<'_>, columns: &Columns, tags: &[Narrow]) {
        let query = asked.query;
        let Columns {
            seq, created_at, agent, ..
        } = columns;
        for tag in &asked.excluded {
            let condition = format!("NOT EXISTS (SELECT 1 FROM note_tags x WHERE x.note = {seq} AND x.tag = ?)");
            self.and(&condition, [text(tag)]);
        }
        if let Some(has) = query.has_tags.filter(|_| query.tags.is_empty()) {
            let not = if has { "" } else { "NOT " };
            let condition = format!("{not}EXISTS (SELECT 1 FROM note_tags x WHERE x.note = {seq})");
            self.and(&condition, []);
        }
        for agents in asked.agents() {
            match agents.as_slice() {
                [one] => self.and(&format!("{agent} = ?"), [text(one)]),
                several => {
                    let condition = format!("{agent} IN ({})", super::fields::marks(several.len()));
                    self.and(&condition, []);
                    self.params.extend(several.iter().map(|one| text(one)));
                }
            }
        }
        if let Some(path) = &query.path {
            self.and("n.path = ? COLLATE NOCASE", [text(path)]);
        }
        if let Some(prefix) = &query.path_prefix {
            self.path_prefix(prefix);
        }
        if let Some(scope) = &query.scope {
            let (condition, params) = scope::condition(seq, scope);
            self.and(&condition, params);
        }
        self.linked(asked, seq);
        for (bound, operator) in [(query.created.from, ">="), (query.created.to, "<")] {
            if let Some(time) = bound {
                self.and(&format!("{created_at} {operator} ?"), [millis_up(time).into()]);
            }
        }
        for narrow in asked.narrows.iter().chain(tags) {
            self.and(&narrow.condition(columns), []);
            self.params.extend(narrow.params.iter().cloned());
        }
    }

    /// The note carries one of `tags`.
    fn one_of(&mut self, seq: &str, tags: &[String]) {
        let (test, param) = match tags {
            [only] => ("= ?", text(only)),
            several => (
                "IN (SELECT value FROM json_each(?))",
                text(&serde_json::Value::from(several).to_string()),
            ),
        };
        let condition = format!("EXISTS (SELECT 1 FROM note_tags x WHERE x.note = {seq} AND x.tag {test})");
        self.and(&condition, [param]);
    }

    fn linked(&mut self, asked: &Asked<'_>, seq: &str) {
        if let Some(near) = &asked.near {
            self.and(&format!("{seq} IN (SELECT value FROM json_each(?))"), [text(near)]);
        }
        if let Some(has) = asked.query.has_links {
            let not = if has { "" } else { "NOT " };
            let condition = format!(
                "{not}(EXISTS (SELECT 1 FROM links l WHERE l.source = {seq} AND l.target IS NOT NULL) \
                 OR EXISTS (SELECT 1 FROM links l WHERE l.target = {seq}))"
            );
            self.and(&condition, []);
        }
    }

    fn sort(&mut self, query: &Query) {
        self.sql.push_str(if query.descending {
            " ORDER BY 1 DESC, 2 DESC"
        } else {
            " ORDER BY 1, 2"
        });
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

/// The table of notes. When a condition leaves few of them, no index of an order is of use.
fn notes(few: bool) -> &'static str {
    if few { "notes n NOT INDEXED" } else { "notes n" }
}

/// The tags that are asked for, as conditions.
fn tag_narrows(conn: &Connection, asked: &Asked<'_>) -> Result<Vec<Narrow>, Fault> {
    asked.tags.iter().map(|tags| Narrow::tags(conn, tags)).collect()
}

fn beyond(query: &Query) -> &'static str {
    if query.descending { "<" } else { ">" }
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

#[cfg(test)]
mod tests;
