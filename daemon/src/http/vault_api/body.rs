//! Request bodies: JSON objects whose fields are taken one by one, so that an error names the field.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use jiff::Timestamp;
use reveille_vault::note::{millis, normalise_path};
use reveille_vault::{
    ContentChange, Metadata, NewAttachment, NewLink, NewNote, NoteId, OldLink, Patch, Precondition, media_type,
};
use serde_json::{Map, Value};

use super::answer::Failure;

/// Most notes in one batch.
pub(super) const BATCH: usize = 500;

/// What `POST /api/notes` asks for.
#[derive(Debug)]
pub(super) enum Create {
    One(NewNote),
    Batch(Vec<NewNote>),
}

impl Create {
    pub(super) fn parse(body: Result<Bytes, BytesRejection>) -> Result<Self, Failure> {
        Self::read(Object::parse(body)?)
    }

    /// The same from an object that was parsed already.
    pub(super) fn of(fields: Map<String, Value>) -> Result<Self, Failure> {
        Self::read(Object::of(fields.into(), String::new())?)
    }

    fn read(mut object: Object) -> Result<Self, Failure> {
        let create = match object.take("notes") {
            None => Self::One(new_note(object)?),
            Some(Value::Array(items)) if items.len() > BATCH => {
                return Err(Failure::BatchTooLarge {
                    count: items.len(),
                    limit: BATCH,
                });
            }
            Some(Value::Array(items)) => {
                let notes = items
                    .into_iter()
                    .enumerate()
                    .map(|(index, item)| new_note(Object::of(item, format!("notes[{index}]"))?));
                Self::Batch(notes.collect::<Result<_, Failure>>()?)
            }
            Some(_) => return Err(Failure::invalid("notes", "notes must be an array of objects")),
        };
        create.not_empty()?;
        Ok(create)
    }

    /// The vault checks the same, but cannot say which note of a batch it is.
    fn not_empty(&self) -> Result<(), Failure> {
        let notes = match self {
            Self::One(note) => std::slice::from_ref(note),
            Self::Batch(notes) => notes,
        };
        let empty =
            |note: &NewNote| note.content.trim().is_empty() && note.path.as_deref().and_then(normalise_path).is_none();
        notes
            .iter()
            .position(empty)
            .map_or(Ok(()), |item| Err(Failure::EmptyNote { item }))
    }
}

fn new_note(mut object: Object) -> Result<NewNote, Failure> {
    let id = object
        .text("id")?
        .map(|id| NoteId::new(id).map_err(|error| object.invalid("id", error.to_string())));
    Ok(NewNote {
        id: id.transpose()?,
        path: object.text("path")?,
        content: object.text("content")?.unwrap_or_default(),
        tags: object.texts("tags")?.unwrap_or_default(),
        metadata: object.object("metadata")?.unwrap_or_default(),
        created_at: object.created_at()?,
        attachments: object.attachments()?,
        links: match object.take("links") {
            None => Vec::new(),
            Some(links) => new_links(links, &object.place_of("links"))?,
        },
    })
}

/// What `POST /api/notes/{idOrPath}/attachments` asks for.
pub(super) fn new_attachment(body: Result<Bytes, BytesRejection>) -> Result<NewAttachment, Failure> {
    let attachment = attachment(Object::parse(body)?)?;
    match attachment.mime_type {
        Some(_) => Ok(attachment),
        None => Err(Failure::invalid("mimeType", "path and mimeType are required")),
    }
}

fn attachment(mut object: Object) -> Result<NewAttachment, Failure> {
    let Some(path) = object.text("path")? else {
        return Err(object.invalid("path", "path and mimeType are required"));
    };
    let mime_type = match object.text("mimeType")? {
        Some(text) => Some(text),
        None => object.text("mime_type")?,
    };
    if let Some(text) = mime_type.as_deref().filter(|text| media_type(text).is_none()) {
        return Err(object.invalid(
            "mimeType",
            format!("{text:?} is no media type; write it like image/png"),
        ));
    }
    Ok(NewAttachment {
        path,
        filename: object.text("filename")?,
        mime_type,
    })
}

/// What `PATCH /api/notes/{idOrPath}` asks for.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) patch: Patch,
    /// `None`: the body has no precondition although it needs one.
    pub(super) precondition: Option<Precondition>,
    /// `if_missing: "create"`: the tags of the new note.
    pub(super) create_with_tags: Option<Vec<String>>,
}

impl Change {
    pub(super) fn parse(body: Result<Bytes, BytesRejection>) -> Result<Self, Failure> {
        Self::read(Object::parse(body)?)
    }

    /// The same from an object that was parsed already.
    pub(super) fn of(fields: Map<String, Value>) -> Result<Self, Failure> {
        Self::read(Object::of(fields.into(), String::new())?)
    }

    fn read(mut object: Object) -> Result<Self, Failure> {
        let create = match object.take("if_missing") {
            None => false,
            Some(Value::String(how)) if how == "create" => true,
            Some(_) => return Err(Failure::invalid("if_missing", "if_missing must be \"create\"")),
        };
        let asked = precondition(&mut object)?;
        let path = match object.fields.remove("path") {
            None => None,
            Some(Value::Null) => Some(None),
            Some(Value::String(path)) => Some(Some(path)),
            Some(_) => return Err(Failure::invalid("path", "path must be text, or null to take it away")),
        };
        let tags = Tags::of(&mut object, create)?;
        let (add_links, remove_links) = changed_links(&mut object, create)?;
        let patch = Patch {
            content: content_change(&mut object)?,
            path,
            metadata: object.object("metadata")?.unwrap_or_default(),
            remove_metadata: object.texts("remove_metadata")?.unwrap_or_default(),
            add_tags: tags.add,
            remove_tags: tags.remove,
            created_at: object.created_at()?,
            add_links,
            remove_links,
        };
        let only_extends = matches!(patch.content, ContentChange::Extend { .. })
            && patch
                == (Patch {
                    content: patch.content.clone(),
                    ..Patch::default()
                });
        let precondition = asked.or(only_extends.then_some(Precondition::Force));
        Ok(Self {
            patch,
            precondition,
            create_with_tags: create.then_some(tags.new),
        })
    }
}

/// `if_updated_at` wins over `force`: who names the state that they saw does not want to overwrite another one.
fn precondition(object: &mut Object) -> Result<Option<Precondition>, Failure> {
    let force = match object.take("force") {
        None => false,
        Some(Value::Bool(force)) => force,
        Some(_) => return Err(Failure::invalid("force", "force must be true or false")),
    };
    Ok(object
        .time("if_updated_at")?
        .map(Precondition::UpdatedAt)
        .or(force.then_some(Precondition::Force)))
}

#[derive(Debug, Default)]
struct Tags {
    add: Vec<String>,
    remove: Vec<String>,
    /// Of a note that is created because it is missing.
    new: Vec<String>,
}

impl Tags {
    fn of(object: &mut Object, create: bool) -> Result<Self, Failure> {
        match object.take("tags") {
            None => Ok(Self::default()),
            Some(tags @ Value::Array(_)) if create => Ok(Self {
                new: texts(tags).ok_or_else(|| object.no_texts("tags"))?,
                ..Self::default()
            }),
            Some(Value::Object(fields)) => {
                let mut fields = Object {
                    fields,
                    place: "tags".into(),
                };
                let add = fields.texts("add")?.unwrap_or_default();
                Ok(Self {
                    new: add.clone(),
                    add,
                    remove: fields.texts("remove")?.unwrap_or_default(),
                })
            }
            Some(_) => Err(Failure::invalid(
                "tags",
                "in a PATCH, tags must be an object: {\"add\": [..], \"remove\": [..]}",
            )),
        }
    }
}

fn content_change(object: &mut Object) -> Result<ContentChange, Failure> {
    let content = object.text("content")?;
    let (prepend, append) = (object.text("prepend")?, object.text("append")?);
    let edit = object.take("content_edit").map(edit).transpose()?;
    let extend = (prepend.is_some() || append.is_some()).then(|| ContentChange::Extend {
        prepend: prepend.unwrap_or_default(),
        append: append.unwrap_or_default(),
    });
    let mut changes = [content.map(ContentChange::Replace), extend, edit]
        .into_iter()
        .flatten();
    match (changes.next(), changes.next()) {
        (None, _) => Ok(ContentChange::Keep),
        (Some(change), None) => Ok(change),
        (Some(_), Some(_)) => Err(Failure::MutuallyExclusive),
    }
}

fn edit(value: Value) -> Result<ContentChange, Failure> {
    let Value::Object(mut fields) = value else {
        return Err(Failure::BadEdit);
    };
    match (fields.remove("old_text"), fields.remove("new_text")) {
        (Some(Value::String(old)), Some(Value::String(new))) if !old.is_empty() => Ok(ContentChange::Edit { old, new }),
        _ => Err(Failure::BadEdit),
    }
}

/// A JSON object of the body. Null counts as absent; keys that nobody takes are ignored.
pub(super) struct Object {
    pub(super) fields: Map<String, Value>,
    /// Where it stands in the body; empty for the body itself.
    place: String,
}

impl Object {
    pub(super) fn parse(body: Result<Bytes, BytesRejection>) -> Result<Self, Failure> {
        let body = body.map_err(|error| match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Failure::TooLarge,
            _ => Failure::Invalid {
                field: None,
                message: format!("the body could not be read ({error})"),
            },
        })?;
        if body.trim_ascii().is_empty() {
            return Err(Failure::Invalid {
                field: None,
                message: "the body is empty; send a JSON object".into(),
            });
        }
        let value = serde_json::from_slice(&body).map_err(|error| Failure::Invalid {
            field: None,
            message: format!("the body is not JSON ({error})"),
        })?;
        Self::of(value, String::new())
    }

    /// The same, where no body asks for nothing special.
    pub(super) fn parse_or_empty(body: Result<Bytes, BytesRejection>) -> Result<Self, Failure> {
        if body.as_ref().is_ok_and(|body| body.trim_ascii().is_empty()) {
            return Self::of(Value::Object(Map::new()), String::new());
        }
        Self::parse(body)
    }

    fn of(value: Value, place: String) -> Result<Self, Failure> {
        match value {
            Value::Object(fields) => Ok(Self { fields, place }),
            _ if place.is_empty() => Err(Failure::Invalid {
                field: None,
                message: "the body must be a JSON object".into(),
            }),
            _ => Err(Failure::invalid(place.clone(), format!("{place} must be an object"))),
        }
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        self.fields.remove(key).filter(|value| !value.is_null())
    }

    fn place_of(&self, key: &str) -> String {
        if self.place.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.place)
        }
    }

    pub(super) fn invalid(&self, key: &str, rule: impl AsRef<str>) -> Failure {
        let field = self.place_of(key);
        let message = format!("{field}: {}", rule.as_ref());
        Failure::invalid(field, message)
    }

    fn no_texts(&self, key: &str) -> Failure {
        self.invalid(key, "must be an array of texts")
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, Failure> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.invalid(key, "must be text")),
        }
    }

    pub(super) fn texts(&mut self, key: &str) -> Result<Option<Vec<String>>, Failure> {
        self.take(key)
            .map(|value| texts(value).ok_or_else(|| self.no_texts(key)))
            .transpose()
    }

    pub(super) fn object(&mut self, key: &str) -> Result<Option<Metadata>, Failure> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(fields)),
            Some(_) => Err(self.invalid(key, "must be an object")),
        }
    }

    /// Stored files that a new note shall have: their paths, or objects as for one attachment.
    fn attachments(&mut self) -> Result<Vec<NewAttachment>, Failure> {
        let items = match self.take("attachments") {
            None => return Ok(Vec::new()),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(self.invalid("attachments", "must be an array of paths or objects")),
        };
        let one = |(index, item)| match item {
            Value::String(path) => Ok(NewAttachment::of(path)),
            item => attachment(Object::of(item, self.place_of(&format!("attachments[{index}]")))?),
        };
        items.into_iter().enumerate().map(one).collect()
    }

    pub(super) fn time(&mut self, key: &str) -> Result<Option<Timestamp>, Failure> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        let parsed = millis::parse(&text);
        parsed
            .map(Some)
            .map_err(|_| self.invalid(key, "must be a time like 2026-07-02T10:00:00.000Z"))
    }

    fn created_at(&mut self) -> Result<Option<Timestamp>, Failure> {
        let snake = self.time("created_at")?;
        Ok(self.time("createdAt")?.or(snake))
    }
}

/// In a patch: `{"add": [..], "remove": [..]}`. A note that is created because it is missing may have them like a new one.
fn changed_links(object: &mut Object, create: bool) -> Result<(Vec<NewLink>, Vec<OldLink>), Failure> {
    match object.take("links") {
        None => Ok((Vec::new(), Vec::new())),
        Some(links @ Value::Array(_)) if create => Ok((new_links(links, "links")?, Vec::new())),
        Some(Value::Object(fields)) => {
            let mut fields = Object {
                fields,
                place: "links".into(),
            };
            let add = fields.take("add").map(|links| new_links(links, "links.add"));
            let remove = fields.take("remove").map(|links| old_links(links, "links.remove"));
            Ok((
                add.transpose()?.unwrap_or_default(),
                remove.transpose()?.unwrap_or_default(),
            ))
        }
        Some(_) => Err(Failure::invalid(
            "links",
            "in a PATCH, links must be an object: {\"add\": [..], \"remove\": [..]}",
        )),
    }
}

fn new_links(links: Value, place: &str) -> Result<Vec<NewLink>, Failure> {
    let one = |mut link: Object| match (link.text("target")?, link.text("relationship")?) {
        (Some(target), Some(relationship)) => Ok(NewLink {
            target,
            relationship,
            metadata: link.object("metadata")?.unwrap_or_default(),
        }),
        (None, _) => Err(link.invalid("target", "must be the id or path of a note")),
        (_, None) => Err(link.invalid("relationship", "must be text")),
    };
    items(links, place)?
        .enumerate()
        .map(|(index, item)| one(Object::of(item, format!("{place}[{index}]"))?))
        .collect()
}

/// Objects, or the targets alone.
fn old_links(links: Value, place: &str) -> Result<Vec<OldLink>, Failure> {
    let one = |(index, item)| {
        if let Value::String(target) = item {
            return Ok(OldLink {
                target,
                relationship: None,
            });
        }
        let mut link = Object::of(item, format!("{place}[{index}]"))?;
        let Some(target) = link.text("target")? else {
            return Err(link.invalid("target", "must be the id or path of a note"));
        };
        Ok(OldLink {
            target,
            relationship: link.text("relationship")?,
        })
    };
    items(links, place)?.enumerate().map(one).collect()
}

fn items(value: Value, place: &str) -> Result<std::vec::IntoIter<Value>, Failure> {
    match value {
        Value::Array(items) => Ok(items.into_iter()),
        _ => Err(Failure::invalid(place, format!("{place} must be an array of objects"))),
    }
}

fn texts(value: Value) -> Option<Vec<String>> {
    let Value::Array(items) = value else { return None };
    let text = |item| match item {
        Value::String(text) => Some(text),
        _ => None,
    };
    items.into_iter().map(text).collect()
}
