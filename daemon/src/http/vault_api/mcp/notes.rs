//! The tools that read and write notes.

use reveille_vault::{Key, Vault};
use serde_json::{Map, Value, json};

use super::super::answer::{Failure, Form};
use super::super::body::{BATCH, Change, Create};
use super::super::listing::Parameters;
use super::super::notes::apply;
use super::arguments::Arguments;
use super::bounds::{self, Shown};
use super::server::{Refusal, Told};

/// `query-notes`
pub(super) async fn query(vault: &dyn Vault, mut arguments: Arguments) -> Result<Told, Refusal> {
    let offset = arguments.index("content_offset")?;
    let parameters = Parameters::of_pairs(arguments.parameters()?)?;
    if let Some(id) = parameters.first("id") {
        let form = parameters.form(true)?;
        return Ok(match vault.get(&Key::IdOrPath(id.to_owned())).await? {
            Some(note) => Told::of(bounds::alone(form.fill(vault, note).await?, offset.unwrap_or(0))),
            // No mistake: to ask is how one finds out.
            None => Told::of(json!({ "error": "Note not found", "id": id })),
        });
    }
    if offset.is_some() {
        return Err(Failure::invalid("content_offset", "content_offset needs the id of one note").into());
    }
    let form = parameters.form(false)?;
    let query = parameters.query()?;
    let (offset, page) = (query.offset, vault.query(&query).await?);
    let mut notes = Vec::with_capacity(page.notes.len());
    for note in page.notes {
        notes.push(form.fill(vault, note).await?);
    }
    let Shown { notes, left_out } = bounds::list(notes);
    let shown = notes.len();
    let more = if left_out > 0 {
        Some(format!(
            "Only the first {shown} of {} notes are shown: more would not fit into an answer. For the rest call query-notes \
             again with the same arguments and offset: {}, or ask for less of each note.",
            shown + left_out,
            offset as usize + shown,
        ))
    } else {
        page.next
            .map(|cursor| format!("There are more. For the next ones call query-notes again with cursor: {cursor:?}."))
    };
    Ok(Told {
        value: notes.into(),
        more,
    })
}

/// `create-note`
pub(super) async fn create(vault: &dyn Vault, arguments: Arguments) -> Result<Told, Refusal> {
    let written = match Create::of(arguments.rest())? {
        Create::One(note) => return Ok(Told::of(bounds::alone(Form::FULL.render(vault.create(note).await?), 0))),
        Create::Batch(notes) => vault.create_all(notes).await?,
    };
    Ok(all_written(
        written.into_iter().map(|note| Form::FULL.render(note)).collect(),
    ))
}

/// `update-note`
pub(super) async fn update(vault: &dyn Vault, mut arguments: Arguments) -> Result<Told, Refusal> {
    let items = match arguments.take("notes") {
        None => {
            let note = update_one(vault, arguments.rest()).await?;
            return Ok(Told::of(bounds::alone(note, 0)));
        }
        Some(Value::Array(items)) if items.len() > BATCH => {
            return Err(Failure::BatchTooLarge {
                count: items.len(),
                limit: BATCH,
            }
            .into());
        }
        Some(Value::Array(items)) => items,
        Some(_) => return Err(Failure::invalid("notes", "notes must be an array of objects").into()),
    };
    let mut written = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let outcome = match item {
            Value::Object(fields) => update_one(vault, fields).await,
            _ => Err(Failure::invalid("notes", "must be an object").into()),
        };
        match outcome {
            Ok(note) => written.push(note),
            Err(refusal) => return Err(refusal.of_item(index)),
        }
    }
    Ok(all_written(written))
}

async fn update_one(vault: &dyn Vault, mut fields: Map<String, Value>) -> Result<Value, Refusal> {
    let id = match fields.remove("id") {
        Some(Value::String(id)) if !id.trim().is_empty() => id,
        _ => return Err(Failure::invalid("id", "id is missing: the id or path of the note").into()),
    };
    let (note, _) = apply(vault, id, Change::of(fields)?).await?;
    Ok(Form::FULL.render(note))
}

/// `delete-note`
pub(super) async fn delete(vault: &dyn Vault, mut arguments: Arguments) -> Result<Told, Refusal> {
    let id = vault.delete(&Key::IdOrPath(arguments.needed("id")?)).await?;
    Ok(Told::of(json!({ "deleted": true, "id": id })))
}

fn all_written(notes: Vec<Value>) -> Told {
    let count = notes.len();
    let Shown { notes, left_out } = bounds::list(notes);
    let shown = notes.len();
    Told {
        value: notes.into(),
        more: (left_out > 0).then(|| format!("All {count} notes were written; only the first {shown} are shown.")),
    }
}
