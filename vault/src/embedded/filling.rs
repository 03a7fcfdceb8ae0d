//! A page while it is filled.

use rusqlite::Connection;

use super::fault::Fault;
use super::narrow::{Asked, INDEXED};
use super::{damage, read, rules};
use crate::note::Metadata;
use crate::query::Filter;
use crate::store::{Page, Query, VaultError};

/// Most notes that a query may read and reject because of their metadata. It is about two seconds; a query that needs more
/// must name a tag, or its field must be indexed.
const REJECTED: usize = 200_000;

/// Takes notes in the order of the listing until the page is full.
pub(super) struct Filling {
    pub(super) page: Page,
    limit: usize,
    pass_over: u32,
}

impl Filling {
    pub(super) fn new(query: &Query) -> Self {
        let limit = query.limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        Self {
            page: Page::default(),
            limit: limit.unwrap_or(usize::MAX),
            pass_over: query.offset,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.page.notes.len() >= self.limit
    }

    /// Takes the next note, if it is not one that [`Query::offset`] passes over.
    pub(super) fn take(&mut self, conn: &Connection, seq: i64) -> Result<bool, Fault> {
        if self.pass_over > 0 {
            self.pass_over -= 1;
            return Ok(false);
        }
        let found = read::by_seq(conn, seq)?;
        self.page.notes.extend(found.map(|stored| stored.note));
        Ok(true)
    }
}

/// The conditions on metadata that are checked note by note.
pub(super) struct Check<'a> {
    texts: Vec<&'a (String, String)>,
    filters: &'a [Filter],
    rejected: usize,
}

impl<'a> Check<'a> {
    pub(super) fn new(asked: &'a Asked<'_>) -> Self {
        let texts = asked.query.metadata.iter().filter(|(key, _)| key != INDEXED);
        Self {
            texts: texts.collect(),
            filters: &asked.filters,
            rejected: 0,
        }
    }

    /// Whether the note meets all of them.
    pub(super) fn passes(&mut self, conn: &Connection, seq: i64) -> Result<bool, Fault> {
        if self.texts.is_empty() && self.filters.is_empty() {
            return Ok(true);
        }
        let mut statement = conn.prepare_cached("SELECT metadata, id FROM notes WHERE seq = ?1")?;
        let mut rows = statement.query([seq])?;
        let Some(row) = rows.next()? else { return Ok(false) };
        let text = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
        let Ok(metadata) = serde_json::from_str::<Metadata>(text) else {
            // It is left out like one that cannot be read at all.
            damage::found(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?);
            return Ok(false);
        };
        let has = |(key, wanted): &(String, String)| {
            let text = metadata.get(key).and_then(rules::comparable);
            text.is_some_and(|text| text == *wanted)
        };
        let passes =
            self.texts.iter().all(|&text| has(text)) && self.filters.iter().all(|filter| filter.matches(&metadata));
        if !passes {
            self.reject()?;
        }
        Ok(passes)
    }

    fn reject(&mut self) -> Result<(), VaultError> {
        self.rejected += 1;
        if self.rejected < REJECTED {
            return Ok(());
        }
        let field = self.filters.first().map(Filter::field);
        let field = field.or(self.texts.first().map(|(key, _)| key.as_str()));
        Err(VaultError::FieldNotIndexed {
            field: field.unwrap_or_default().to_owned(),
        })
    }
}
