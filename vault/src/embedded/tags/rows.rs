//! The rows of tags.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::{Map, Value};

use super::hierarchy;
use crate::embedded::fault::Fault;
use crate::embedded::read::{self, Stored};
use crate::embedded::{fields, rules, write};
use crate::store::{ChangeKind, VaultError};
use crate::tags::{Tag, TagChange, merged};

/// Makes a tag known that a note carries.
pub(in crate::embedded) fn know(conn: &Connection, name: &str) -> Result<(), Fault> {
    let mut statement = conn.prepare_cached("INSERT INTO tags (name) VALUES (?1) ON CONFLICT DO NOTHING")?;
    statement.execute([name])?;
    Ok(())
}

/// What is told of a tag; how many notes carry it has been counted before.
const TAG: &str = "SELECT t.name, t.description, t.fields, \
                       coalesce((SELECT n.notes FROM tag_counts n WHERE n.tag = t.name), 0) FROM tags t";

/// All tags, by name.
pub(super) fn all(conn: &Connection) -> Result<Vec<Tag>, Fault> {
    let mut statement = conn.prepare_cached(&format!("{TAG} ORDER BY t.name"))?;
    let mut rows = statement.query([])?;
    let mut tags = Vec::new();
    while let Some(row) = rows.next()? {
        tags.push(tag(conn, row)?);
    }
    Ok(tags)
}

/// One tag, or `None`.
pub(super) fn find(conn: &Connection, name: &str) -> Result<Option<Tag>, Fault> {
    let mut statement = conn.prepare_cached(&format!("{TAG} WHERE t.name = ?1"))?;
    let mut rows = statement.query([rules::bare(name)])?;
    rows.next()?.map(|row| tag(conn, row)).transpose()
}

fn tag(conn: &Connection, row: &Row<'_>) -> Result<Tag, Fault> {
    let name: String = row.get(0)?;
    let fields: Option<String> = row.get(2)?;
    Ok(Tag {
        description: row.get(1)?,
        fields: fields.as_deref().map(parse_fields).transpose()?,
        count: u64::try_from(row.get::<_, i64>(3)?).unwrap_or_default(),
        parents: hierarchy::parents_of(conn, &name)?,
        name,
    })
}

fn parse_fields(text: &str) -> Result<Map<String, Value>, Fault> {
    serde_json::from_str(text).map_err(|error| Fault::damaged("schema of a tag", error))
}

/// What is said of a tag, apart from its parents.
#[derive(Debug, Clone, Default, PartialEq)]
struct Schema {
    description: Option<String>,
    fields: Option<Map<String, Value>>,
}

/// `None`: there is no such tag.
fn schema(conn: &Connection, name: &str) -> Result<Option<Schema>, Fault> {
    let mut statement = conn.prepare_cached("SELECT description, fields FROM tags WHERE name = ?1")?;
    let found: Option<(Option<String>, Option<String>)> = statement
        .query_row([name], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((description, fields)) = found else {
        return Ok(None);
    };
    let fields = fields.as_deref().map(parse_fields).transpose()?;
    Ok(Some(Schema { description, fields }))
}

fn set_schema(conn: &Connection, name: &str, schema: &Schema) -> Result<(), Fault> {
    const SQL: &str = "INSERT INTO tags (name, description, fields) VALUES (?1, ?2, ?3) \
                       ON CONFLICT (name) DO UPDATE SET description = ?2, fields = ?3";
    let fields = schema.fields.clone().map(|fields| Value::from(fields).to_string());
    conn.prepare_cached(SQL)?
        .execute(params![name, schema.description, fields])?;
    Ok(())
}

/// Changes a tag, or makes it.
pub(super) fn put(conn: &Connection, name: &str, change: TagChange) -> Result<Tag, Fault> {
    let name = rules::checked_tag(name)?;
    let change = change.checked()?;
    let before = schema(conn, &name)?;
    let known = before.is_some();
    let before = before.unwrap_or_default();
    let description = match change.description {
        None => before.description.clone(),
        Some(text) => (!text.is_empty()).then_some(text),
    };
    let after = Schema {
        description,
        fields: merged(before.fields.clone(), change.fields),
    };
    if after != before || !known {
        set_schema(conn, &name, &after)?;
        fields::settle(conn)?;
    }
    if let Some(parents) = change.parents {
        let parents = rules::checked_tags(&parents)?;
        if parents != hierarchy::schema_parents(conn, &name)? {
            hierarchy::set_schema_parents(conn, &name, &parents)?;
        }
        for parent in &parents {
            know(conn, parent)?;
        }
    }
    find(conn, &name)?.ok_or_else(|| VaultError::NoTag { tag: name }.into())
}

/// Gives a tag another name. Answers how many notes carry it.
pub(super) fn rename(conn: &Connection, name: &str, new: &str, now: Timestamp) -> Result<u64, Fault> {
    let (name, new) = (rules::bare(name), rules::checked_tag(new)?);
    let Some(schema) = schema(conn, name)? else {
        return Err(VaultError::NoTag { tag: name.to_owned() }.into());
    };
    if self::schema(conn, &new)?.is_some() {
        return Err(VaultError::TagTaken { tag: new }.into());
    }
    set_schema(conn, &new, &schema)?;
    hierarchy::set_schema_parents(conn, &new, &hierarchy::schema_parents(conn, name)?)?;
    hierarchy::move_kinds(conn, name, Some(&new))?;
    let count = retag(conn, name, Some(&new), now)?;
    forget(conn, name)?;
    Ok(count)
}

/// Makes one tag of several. Answers the number of notes for each source.
pub(super) fn merge(
    conn: &Connection,
    sources: &[String],
    target: &str,
    now: Timestamp,
) -> Result<Vec<(String, u64)>, Fault> {
    let target = rules::checked_tag(target)?;
    let mut after = schema(conn, &target)?.unwrap_or_default();
    let mut merged = Vec::new();
    for source in sources {
        let source = rules::bare(source);
        if source.is_empty() {
            return Err(VaultError::Invalid("a tag to merge is blank; nothing was written".into()).into());
        }
        let count = match schema(conn, source)?.filter(|_| source != target) {
            None => 0,
            Some(schema) => {
                after.description = after.description.or(schema.description);
                if let Some(mut fields) = schema.fields {
                    fields.extend(after.fields.unwrap_or_default());
                    after.fields = Some(fields);
                }
                hierarchy::move_kinds(conn, source, Some(&target))?;
                let count = retag(conn, source, Some(&target), now)?;
                forget(conn, source)?;
                count
            }
        };
        merged.push((source.to_owned(), count));
    }
    set_schema(conn, &target, &after)?;
    fields::settle(conn)?;
    Ok(merged)
}

/// Removes a tag and takes it off all notes. Answers how many they were; `None`: there was no such tag.
pub(super) fn delete(conn: &Connection, name: &str, now: Timestamp) -> Result<Option<u64>, Fault> {
    let name = rules::bare(name);
    if schema(conn, name)?.is_none() {
        return Ok(None);
    }
    hierarchy::move_kinds(conn, name, None)?;
    let count = retag(conn, name, None, now)?;
    forget(conn, name)?;
    fields::settle(conn)?;
    Ok(Some(count))
}

fn forget(conn: &Connection, name: &str) -> Result<(), Fault> {
    hierarchy::set_schema_parents(conn, name, &[])?;
    conn.prepare_cached("DELETE FROM tags WHERE name = ?1")?
        .execute([name])?;
    Ok(())
}

/// Notes with the tag `from` get `to` instead; `None`: nothing. Answers how many they are.
fn retag(conn: &Connection, from: &str, to: Option<&str>, now: Timestamp) -> Result<u64, Fault> {
    let mut statement = conn.prepare_cached("SELECT note FROM note_tags WHERE tag = ?1")?;
    let notes: Vec<i64> = statement
        .query_map([from], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut count = 0;
    for seq in notes {
        let Some(Stored { note: before, .. }) = read::by_seq(conn, seq)? else {
            continue;
        };
        let mut note = before.clone();
        note.tags.retain(|tag| tag != from);
        note.tags.extend(to.map(str::to_owned));
        note.tags.sort_unstable();
        note.tags.dedup();
        note.updated_at = rules::later(now, before.updated_at);
        write::update_row(conn, seq, &before, &note)?;
        write::log(conn, &note.id, ChangeKind::Updated)?;
        count += 1;
    }
    Ok(count)
}
