//! Listings: what the peer can filter it does, the rest is done here, page by page.

use std::collections::HashSet;

use http::Method;
use jiff::{SignedDuration, Timestamp};

use super::Core;
use super::http::Ask;
use super::scan::spelled;
use crate::embedded::rules;
use crate::note::{Note, NoteId, millis};
use crate::query::{FieldSpan, Filter, OrderBy, Span};
use crate::store::{Page, Query, VaultError};

/// Most notes asked for at once; they come with their texts.
const PAGE: usize = 200;
/// How long a listing may take, in requests that take as long as one may.
const PATIENCE: u32 = 3;
/// A page goes over the end of the one before: a note that is deleted meanwhile moves the others.
const OVERLAP: usize = 5;

/// Where a page ends: the peer knows no order among notes of one instant, so those that were given are named.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Position {
    at: Timestamp,
    given: Vec<String>,
}

impl Position {
    fn cursor(&self, descending: bool) -> String {
        let direction = if descending { 'd' } else { 'a' };
        format!("{direction}{}/{}", self.at.as_millisecond(), self.given.join("/"))
    }

    fn parse(cursor: &str, descending: bool) -> Result<Self, VaultError> {
        let parsed = cursor
            .strip_prefix(if descending { 'd' } else { 'a' })
            .and_then(|rest| rest.split_once('/'))
            .and_then(|(at, given)| {
                let at = Timestamp::from_millisecond(at.parse().ok()?).ok()?; // silent-ok: told below
                Some(Self {
                    at,
                    given: given.split('/').map(str::to_owned).collect(),
                })
            });
        parsed.ok_or_else(|| {
            VaultError::Invalid(format!(
                "the cursor {cursor:?} is not one of this listing; start again without a cursor, or keep the sort order"
            ))
        })
    }
}

/// A query as the peer takes it, and what is left to do here.
struct Plan {
    /// Bare.
    tags: Vec<String>,
    excluded: Vec<String>,
    /// Conditions on metadata.
    filters: Vec<Filter>,
    query: Query,
    after: Option<Position>,
}

impl Plan {
    fn of(query: &Query) -> Result<Self, VaultError> {
        let after = query.after.as_deref();
        let mut filters = query.filters.clone();
        filters.extend(query.dated.iter().flat_map(FieldSpan::filters));
        Ok(Self {
            tags: bare_tags(&query.tags)?,
            excluded: bare_tags(&query.exclude_tags)?,
            after: after
                .map(|after| Position::parse(after, query.descending))
                .transpose()?,
            filters,
            query: query.clone(),
        })
    }

    fn parameters(&self, limit: usize, offset: usize) -> Vec<(&'static str, String)> {
        let sort = if self.query.descending { "desc" } else { "asc" };
        let mut parameters = vec![
            ("include_content", "true".to_owned()),
            ("sort", sort.to_owned()),
            ("limit", limit.to_string()),
            ("offset", offset.to_string()),
        ];
        let mut add = |key, value: Option<String>| parameters.extend(value.map(|value| (key, value)));
        // Both spellings of a tag are one tag, so the peer can ask for all of several only one by one.
        let asked = if self.query.all_tags {
            self.tags.get(..1)
        } else {
            Some(&*self.tags)
        };
        let asked = asked.filter(|tags| !tags.is_empty());
        add("tag_match", asked.map(|_| "any".to_owned()));
        add("tag", asked.map(spelled));
        add(
            "exclude_tag",
            Some(spelled(&self.excluded)).filter(|tags| !tags.is_empty()),
        );
        add("path", self.query.path.clone());
        add("path_prefix", self.query.path_prefix.clone());
        let Span { from, to } = self.bounds();
        add("date_from", from.map(millis::format));
        add("date_to", to.map(millis::format));
        parameters
    }

    /// When the notes were created that are left.
    fn bounds(&self) -> Span {
        let Span { mut from, mut to } = self.query.created;
        match &self.after {
            Some(after) if self.query.descending => {
                let end = after.at.saturating_add(SignedDuration::from_millis(1));
                let end = end.unwrap_or(Timestamp::MAX);
                to = Some(to.map_or(end, |to| to.min(end)));
            }
            Some(after) => from = Some(from.map_or(after.at, |from| from.max(after.at))),
            None => {}
        }
        // The peer compares texts with three decimals, and a moment between two of them is cut off.
        Span {
            from: from.map(millis::truncate),
            to: to.map(|to| to.saturating_add(SignedDuration::from_micros(999)).unwrap_or(to)),
        }
    }

    /// Whether a note that the peer listed is asked for.
    fn takes(&self, note: &Note) -> bool {
        let has = |tag: &String| note.tags.contains(tag);
        let path = note.path.as_deref();
        let query = &self.query;
        (!query.all_tags || self.tags.iter().all(has))
            && (!query.exact_tags || query.all_tags || self.tags.is_empty() || self.tags.iter().any(has))
            && !self.excluded.iter().any(has)
            && query
                .path
                .as_ref()
                .is_none_or(|asked| path.is_some_and(|path| path.eq_ignore_ascii_case(asked)))
            && query.path_prefix.as_ref().is_none_or(|asked| {
                let start = path.and_then(|path| path.get(..asked.len()));
                start.is_some_and(|start| start.eq_ignore_ascii_case(asked))
            })
            && query.metadata.iter().all(|(key, asked)| {
                let value = note.metadata.get(key).and_then(rules::comparable);
                value.is_some_and(|value| value == *asked)
            })
            && self.filters.iter().all(|filter| filter.matches(&note.metadata))
            && query
                .has_tags
                .is_none_or(|asked| !query.tags.is_empty() || asked != note.tags.is_empty())
            && within(query.created, note.created_at)
            && within(query.updated, note.updated_at)
            && query.scope.as_ref().is_none_or(|scope| scope.sees(note))
            && !self.is_given(note)
    }

    fn is_given(&self, note: &Note) -> bool {
        self.after
            .as_ref()
            .is_some_and(|after| note.created_at == after.at && after.given.iter().any(|id| id == note.id.as_str()))
    }

    /// The position behind `notes`.
    fn end(&self, notes: &[Note]) -> Option<Position> {
        let at = notes.last()?.created_at;
        let mut given: Vec<String> = match &self.after {
            Some(after) if after.at == at => after.given.clone(),
            _ => Vec::new(),
        };
        let same = notes.iter().filter(|note| note.created_at == at);
        given.extend(same.map(|note| note.id.to_string()));
        Some(Position { at, given })
    }
}

impl Core {
    /// One page.
    ///
    /// # Errors
    /// [`VaultError::Invalid`], [`VaultError::Unavailable`]: the peer does not answer, or filtering here takes too long.
    pub(super) async fn page_of(&self, query: &Query) -> Result<Page, VaultError> {
        self.refuse(query)?;
        let plan = Plan::of(query)?;
        let patience = self.client.timeout() * PATIENCE;
        let walk = tokio::time::timeout(patience, self.walk(&plan));
        walk.await.unwrap_or_else(|_| {
            let reason = format!("the listing takes longer than {patience:?}; ask for tags, or for a part of it");
            Err(self.client.unavailable(reason))
        })
    }

    /// What neither the peer can do nor we with what it lists.
    fn refuse(&self, query: &Query) -> Result<(), VaultError> {
        let what = if query.search.is_some() {
            "search the text of notes; search there"
        } else if query.has_links.is_some() || query.near.is_some() {
            "list notes by their links"
        } else if query
            .order_by
            .as_ref()
            .is_some_and(|order| *order != OrderBy::CreatedAt)
        {
            "list in another order than by time of creation"
        } else {
            return Ok(());
        };
        Err(self.unsupported(what))
    }

    async fn walk(&self, plan: &Plan) -> Result<Page, VaultError> {
        let limit = plan
            .query
            .limit
            .map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let mut to_pass = usize::try_from(plan.query.offset).unwrap_or(usize::MAX);
        let mut notes = Vec::new();
        let mut seen: HashSet<NoteId> = HashSet::new();
        let mut from = 0_usize;
        if limit == 0 {
            return Ok(Page::default());
        }
        loop {
            let offset = from.saturating_sub(OVERLAP);
            // One more than a page tells whether there is another.
            let wanted = limit.saturating_add(to_pass).saturating_add(OVERLAP + 1).min(PAGE);
            let mut ask = Ask::new(Method::GET, "/notes".into());
            ask.query = plan.parameters(wanted, offset);
            let (listed, count) = self.list_counted(ask).await?;
            let is_last = count < wanted && !count.is_multiple_of(50);
            from = offset + count;
            let mut any_new = false;
            for raw in listed {
                if !seen.insert(raw.note.id.clone()) {
                    continue;
                }
                any_new = true;
                if !plan.takes(&raw.note) {
                    continue;
                }
                if to_pass > 0 {
                    to_pass -= 1;
                    continue;
                }
                if notes.len() == limit {
                    let next = plan.end(&notes).map(|end| end.cursor(plan.query.descending));
                    return Ok(Page { notes, next });
                }
                notes.push(raw.note);
            }
            if is_last || !any_new {
                return Ok(Page { notes, next: None });
            }
        }
    }
}

fn within(span: Span, moment: Timestamp) -> bool {
    span.from.is_none_or(|from| moment >= from) && span.to.is_none_or(|to| moment < to)
}

fn bare_tags(tags: &[String]) -> Result<Vec<String>, VaultError> {
    let mut bare: Vec<String> = Vec::with_capacity(tags.len());
    for tag in tags.iter().map(|tag| rules::bare(tag)) {
        if tag.is_empty() {
            return Err(VaultError::Invalid("a tag of the query is blank".into()));
        }
        if tag.contains(',') {
            return Err(VaultError::Invalid(format!(
                "the tag {tag:?} of the query has a comma, which separates tags there"
            )));
        }
        if !bare.iter().any(|known| known == tag) {
            bare.push(tag.to_owned());
        }
    }
    Ok(bare)
}
