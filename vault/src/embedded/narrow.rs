//! What a query asks for beside its order: conditions that an index answers, and how to use it.

use std::collections::HashSet;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::fault::Fault;
use super::listing::Columns;
use super::{fields, links, rules, search, tags};
use crate::query::{Filter, OrderBy, Span, Test};
use crate::store::{Query, VaultError};

/// Up to so many notes are gathered from an index and sorted; beyond, the listing walks its order and looks each note up in
/// the index.
const FEW: i64 = 1_000;

/// The metadata key that has a column of its own.
pub(super) const INDEXED: &str = "agent";

/// A query that has been looked at.
pub(super) struct Asked<'q> {
    pub(super) query: &'q Query,
    /// A note must carry one tag of each.
    pub(super) tags: Vec<Vec<String>>,
    /// Places of the notes that are near, as a JSON array.
    pub(super) near: Option<String>,
    pub(super) excluded: Vec<String>,
    pub(super) narrows: Vec<Narrow>,
    /// All filters, those of [`Query::dated`] too.
    pub(super) filters: Vec<Filter>,
    /// A checked FTS5 expression.
    pub(super) expression: Option<String>,
}

/// One condition with the index that answers it.
#[derive(Debug)]
pub(super) struct Narrow {
    /// Selects the `seq` of all notes that meet it; ends in a condition.
    pub(super) select: String,
    pub(super) params: Vec<Value>,
    /// The column that it selects. `None`: looking up one note is slow.
    pub(super) column: Option<&'static str>,
    /// They are so few that it is best to begin with them.
    pub(super) few: bool,
}

impl<'q> Asked<'q> {
    pub(super) fn new(conn: &Connection, query: &'q Query) -> Result<Self, Fault> {
        let declared = fields::declared(conn)?;
        let mut filters = query.filters.clone();
        if let Some(span) = &query.dated {
            if span.field != INDEXED && !declared.contains(&span.field) {
                return Err(VaultError::FieldNotIndexed {
                    field: span.field.clone(),
                }
                .into());
            }
            filters.extend(span.filters());
        }
        if let Some(OrderBy::Field(field)) = &query.order_by
            && field != INDEXED
            && !declared.contains(field)
        {
            return Err(VaultError::FieldNotIndexed { field: field.clone() }.into());
        }
        let expression = query.search.as_deref().map(|text| search::expression(conn, text));
        let near = query.near.as_ref().map(|near| links::near(conn, near)).transpose()?;
        let mut asked = Self {
            query,
            tags: tag_groups(conn, query)?,
            near,
            excluded: bare_tags(&query.exclude_tags)?,
            narrows: Vec::new(),
            filters,
            expression: expression.transpose()?,
        };
        asked.narrows = asked.wanted(&declared);
        for narrow in &mut asked.narrows {
            narrow.count(conn)?;
        }
        Ok(asked)
    }

    fn wanted(&self, declared: &[String]) -> Vec<Narrow> {
        let indexed = self
            .filters
            .iter()
            .filter(|filter| declared.iter().any(|field| field == filter.field()));
        let mut wanted: Vec<_> = indexed.filter_map(Narrow::field).collect();
        wanted.extend(Narrow::updated(self.query.updated));
        // By rank, the words are where the listing begins.
        if self.query.order_by.is_some() {
            wanted.extend(self.expression.as_deref().map(Narrow::words));
        }
        wanted
    }

    /// The texts that the metadata key with a column of its own must have, one of each list.
    pub(super) fn agents(&self) -> Vec<Vec<String>> {
        let plain = self.query.metadata.iter().filter(|(key, _)| key == INDEXED);
        let mut agents: Vec<_> = plain.map(|(_, text)| vec![text.clone()]).collect();
        for filter in self.filters.iter().filter(|filter| filter.field() == INDEXED) {
            let values = match filter.test() {
                Test::Eq(value) => std::slice::from_ref(value),
                Test::In(values) => values,
                _ => continue,
            };
            let texts: Option<Vec<_>> = values
                .iter()
                .map(|value| rules::comparable(value).map(Into::into))
                .collect();
            // A null among them asks for absence as well.
            agents.extend(texts);
        }
        agents
    }
}

impl Narrow {
    fn field(filter: &Filter) -> Option<Self> {
        let (condition, values) = fields::bounds(filter)?;
        let mut params = vec![Value::from(filter.field().to_owned())];
        params.extend(values);
        Some(Self {
            select: format!("SELECT f.note FROM note_fields f WHERE f.field = ? AND {condition}"),
            params,
            column: Some("f.note"),
            few: false,
        })
    }

    /// Notes with one of these tags.
    pub(super) fn tags(conn: &Connection, tags: &[String]) -> Result<Self, Fault> {
        let mut narrow = Self {
            select: format!(
                "SELECT x.note FROM note_tags x WHERE x.tag IN ({})",
                fields::marks(tags.len())
            ),
            params: tags.iter().cloned().map(Value::from).collect(),
            column: Some("x.note"),
            few: false,
        };
        narrow.count(conn)?;
        Ok(narrow)
    }

    fn updated(span: Span) -> Option<Self> {
        let bounds = [(span.from, ">="), (span.to, "<")];
        let mut select = "SELECT u.seq FROM notes u WHERE true".to_owned();
        let mut params = Vec::new();
        for (time, operator) in bounds {
            let Some(time) = time else { continue };
            select.push_str(&format!(" AND u.updated_at {operator} ?"));
            params.push(Value::from(millis_up(time)));
        }
        (!params.is_empty()).then_some(Self {
            select,
            params,
            column: Some("u.seq"),
            few: false,
        })
    }

    fn words(expression: &str) -> Self {
        Self {
            select: "SELECT rowid FROM notes_fts WHERE notes_fts MATCH ?".to_owned(),
            params: vec![Value::from(expression.to_owned())],
            column: None,
            few: false,
        }
    }

    fn count(&mut self, conn: &Connection) -> Result<(), Fault> {
        let sql = format!("SELECT count(*) FROM ({} LIMIT {})", self.select, FEW + 1);
        let count: i64 = conn
            .prepare_cached(&sql)?
            .query_row(params_from_iter(&self.params), |row| row.get(0))?;
        self.few = count <= FEW;
        Ok(())
    }

    /// The condition on a note.
    pub(super) fn condition(&self, columns: &Columns) -> String {
        let seq = columns.seq;
        match self.column {
            Some(column) if !self.few || !columns.by_seq => format!("EXISTS ({} AND {column} = {seq})", self.select),
            _ => format!("{seq} IN ({})", self.select),
        }
    }
}

/// In milliseconds. A bound between two of them is the later one: notes have whole milliseconds.
pub(super) fn millis_up(time: jiff::Timestamp) -> i64 {
    time.as_millisecond() + i64::from(time.subsec_nanosecond() % 1_000_000 > 0)
}

/// Most tags of one kind in a query. SQLite bounds the parts of a compound select at 500.
pub(super) const TAGS: usize = 100;

/// What the stored tags make of those of a query: a note must carry one of each list.
fn tag_groups(conn: &Connection, query: &Query) -> Result<Vec<Vec<String>>, Fault> {
    let mut groups = Vec::new();
    for tag in bare_tags(&query.tags)? {
        groups.push(if query.exact_tags {
            vec![tag]
        } else {
            tags::hierarchy::kinds_of(conn, &tag)?
        });
    }
    if !query.all_tags && groups.len() > 1 {
        let mut seen = HashSet::new();
        let mut any: Vec<String> = groups.into_iter().flatten().collect();
        any.retain(|tag| seen.insert(tag.clone()));
        groups = vec![any];
    }
    Ok(groups)
}

/// Tags of a query as they are stored, each once.
pub(super) fn bare_tags(tags: &[String]) -> Result<Vec<String>, VaultError> {
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
