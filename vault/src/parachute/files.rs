//! Files of notes. The peer keeps neither their names nor what nobody attached, and takes few types.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use http::{Method, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::AsyncRead;
use tokio::sync::mpsc;
use tokio_util::io::StreamReader;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::http::{Ask, segment};
use super::{Core, ParachuteVault};
use crate::attachment::{
    Attachment, Files, NewAttachment, NewFile, OpenFile, StoredFile, UNKNOWN_TYPE, Upload, file_name, media_type,
};
use crate::note::{NoteId, millis};
use crate::store::{Key, VaultError};

/// Extensions that the peer takes.
const EXTENSIONS: [&str; 12] = [
    "wav", "mp3", "m4a", "ogg", "webm", "png", "jpg", "jpeg", "gif", "webp", "pdf", "mp4",
];
/// Most attachments of one new note.
const ATTACHMENTS: usize = 1000;
/// Sizes that are remembered.
const SIZES: usize = 10_000;

/// Sizes of stored files by path: a file never changes, and the peer tells the size of one only with its bytes.
#[derive(Default)]
pub(super) struct Sizes(Mutex<HashMap<String, u64>>);

impl Sizes {
    fn get(&self, path: &str) -> Option<u64> {
        let sizes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sizes.get(path).copied()
    }

    fn put(&self, path: &str, size: u64) {
        let mut sizes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sizes.len() >= SIZES {
            sizes.clear();
        }
        sizes.insert(path.to_owned(), size);
    }
}

impl Core {
    /// The attachments of a new note with their types, after a look whether their files are there.
    pub(super) async fn checked_attachments(
        &self,
        attachments: Vec<NewAttachment>,
    ) -> Result<Vec<(String, String)>, VaultError> {
        if attachments.len() > ATTACHMENTS {
            return Err(VaultError::Invalid(format!(
                "a note can have {ATTACHMENTS} attachments, this one has {}",
                attachments.len()
            )));
        }
        let mut checked = Vec::with_capacity(attachments.len());
        for attachment in attachments {
            checked.push(self.checked_attachment(attachment).await?);
        }
        Ok(checked)
    }

    async fn checked_attachment(&self, attachment: NewAttachment) -> Result<(String, String), VaultError> {
        let asked = match attachment.mime_type.as_deref() {
            None => None,
            Some(text) => Some(media_type(text).ok_or_else(|| {
                VaultError::Invalid(format!("{text:?} is no media type; write one such as \"image/png\""))
            })?),
        };
        let file = self.stored(&attachment.path).await?;
        let file = file.ok_or_else(|| VaultError::NoFile {
            path: attachment.path.clone(),
        })?;
        Ok((file.path, asked.unwrap_or(file.mime_type)))
    }

    pub(super) async fn post_attachment(
        &self,
        note: &NoteId,
        (path, mime_type): &(String, String),
    ) -> Result<Value, VaultError> {
        let mut ask = Ask::new(Method::POST, format!("/notes/{}/attachments", segment(note.as_str())));
        ask.body = Some(json!({ "path": path, "mimeType": mime_type }));
        let answer = self.client.ask(ask).await?;
        if answer.status.is_success() {
            Ok(answer.body)
        } else {
            Err(self.refusal(&answer, note, None))
        }
    }

    /// A stored file and its bytes; `None` when there is none, or the path can be none.
    async fn fetch_file(&self, path: &str) -> Result<Option<(StoredFile, Incoming)>, VaultError> {
        let parts: Vec<&str> = path.split('/').collect();
        let plain = |part: &&str| !part.is_empty() && !part.starts_with('.') && !part.chars().any(char::is_control);
        if parts.len() != 2 || !parts.iter().all(plain) {
            return Ok(None);
        }
        // The oldest peers want the slash as it is, some want it encoded.
        let raw = format!("/storage/{}/{}", segment(parts[0]), segment(parts[1]));
        let response = match self.client.fetch(&raw).await? {
            None => self.client.fetch(&format!("/storage/{}", segment(path))).await?,
            found => found,
        };
        let Some(response) = response else { return Ok(None) };
        let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let size = text(header::CONTENT_LENGTH).and_then(|size| size.parse().ok()); // silent-ok: then it is not known
        let size = size.or_else(|| self.sizes.get(path)).unwrap_or_default();
        self.sizes.put(path, size);
        let file = StoredFile {
            path: path.to_owned(),
            filename: file_name(parts[1]),
            mime_type: text(header::CONTENT_TYPE)
                .and_then(media_type)
                .unwrap_or_else(|| UNKNOWN_TYPE.into()),
            size,
            created_at: day(parts[0]),
        };
        Ok(Some((file, response.into_body())))
    }

    async fn stored(&self, path: &str) -> Result<Option<StoredFile>, VaultError> {
        Ok(self.fetch_file(path).await?.map(|(file, _)| file))
    }

    /// The note of that key.
    async fn id_of(&self, key: &Key) -> Result<NoteId, VaultError> {
        let found = self.fetch(key).await?;
        let found = found.ok_or_else(|| VaultError::NotFound { key: key.to_string() })?;
        Ok(found.note.id)
    }

    async fn attachment(&self, note: &NoteId, value: &Value) -> Result<Attachment, VaultError> {
        let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
        let path = text("path").to_owned();
        let size = match self.sizes.get(&path) {
            Some(size) => size,
            None => self.stored(&path).await?.map_or(0, |file| file.size),
        };
        let created = text("createdAt");
        Ok(Attachment {
            id: text("id").to_owned(),
            note: note.clone(),
            filename: file_name(path.rsplit('/').next().unwrap_or_default()),
            mime_type: media_type(text("mimeType")).unwrap_or_else(|| UNKNOWN_TYPE.into()),
            size,
            created_at: millis::parse(created).unwrap_or(Timestamp::UNIX_EPOCH),
            path,
        })
    }
}

/// The day that a path of a file begins with.
fn day(text: &str) -> Timestamp {
    format!("{text}T00:00:00Z").parse().unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The peer keeps no name of a file: it is the last part of the path, which the peer makes up.
#[async_trait]
impl Files for ParachuteVault {
    async fn upload(&self, file: NewFile) -> Result<Box<dyn Upload>, VaultError> {
        let extension = file
            .filename
            .rsplit_once('.')
            .map(|(_, extension)| extension.to_ascii_lowercase());
        let Some(extension) = extension.filter(|extension| EXTENSIONS.contains(&extension.as_str())) else {
            return Err(self.core.unsupported(format!(
                "store the file {:?}: a Parachute vault takes {} only; put its text into a note",
                file_name(&file.filename),
                EXTENSIONS.join(", ")
            )));
        };
        Ok(Box::new(Sending::start(&self.core, &file, &extension).await?))
    }

    async fn open(&self, path: &str) -> Result<Option<OpenFile>, VaultError> {
        let found = self.core.fetch_file(path).await?;
        Ok(found.map(|(file, body)| OpenFile {
            file,
            bytes: Box::new(reading(body, self.core.client.timeout())),
        }))
    }

    async fn attachments(&self, note: &Key) -> Result<Vec<Attachment>, VaultError> {
        let id = self.core.id_of(note).await?;
        let ask = Ask::new(Method::GET, format!("/notes/{}/attachments", segment(id.as_str())));
        let answer = self.core.client.ask(ask).await?;
        if !answer.status.is_success() {
            return Err(self.core.refusal(&answer, &id, None));
        }
        let list = match answer.body {
            Value::Array(list) => list,
            Value::Object(mut fields) => match fields.remove("attachments") {
                Some(Value::Array(list)) => list,
                _ => return Err(self.core.client.garbled("it answered no list of attachments")),
            },
            _ => return Err(self.core.client.garbled("it answered no list of attachments")),
        };
        let mut attachments = Vec::with_capacity(list.len());
        for value in &list {
            attachments.push(self.core.attachment(&id, value).await?);
        }
        Ok(attachments)
    }

    async fn notes_of(&self, _: &str) -> Result<Vec<NoteId>, VaultError> {
        Err(self.core.unsupported("tell which notes a file belongs to"))
    }

    async fn attach(&self, note: &Key, attachment: NewAttachment) -> Result<Attachment, VaultError> {
        let id = self.core.id_of(note).await?;
        let checked = self.core.checked_attachment(attachment).await?;
        let made = self.core.post_attachment(&id, &checked).await?;
        self.core.attachment(&id, &made).await
    }

    async fn detach(&self, note: &Key, attachment: &str) -> Result<(), VaultError> {
        let id = self.core.id_of(note).await?;
        let path = format!("/notes/{}/attachments/{}", segment(id.as_str()), segment(attachment));
        let answer = self.core.client.ask(Ask::new(Method::DELETE, path)).await?;
        match answer.status.as_u16() {
            200..=299 => Ok(()),
            404 => Err(VaultError::NotFound {
                key: attachment.to_owned(),
            }),
            _ => Err(self.core.refusal(&answer, &id, None)),
        }
    }

    /// The peer cannot say what nobody attached: nothing is removed.
    async fn sweep(&self, _: Timestamp) -> Result<u64, VaultError> {
        Ok(0)
    }
}

/// Bytes of a stored file, each piece of which must come in time.
fn reading(body: Incoming, patience: Duration) -> impl AsyncRead + Send + Unpin {
    let pieces = stream::unfold(body, move |mut body| async move {
        loop {
            let piece = match tokio::time::timeout(patience, body.frame()).await {
                Ok(None) => return None,
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => Ok(data),
                    // Trailers.
                    Err(_) => continue,
                },
                Ok(Some(Err(error))) => Err(io::Error::other(error)),
                Err(_) => Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the vault stopped in the middle of a file",
                )),
            };
            return Some((piece, body));
        }
    });
    StreamReader::new(Box::pin(pieces))
}

/// What goes into the body of an upload.
enum Piece {
    Bytes(Bytes),
    End,
}

/// The body of an upload. It breaks off when it was not ended, so that the peer keeps nothing.
struct Pieces(mpsc::Receiver<Piece>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(context).map(|piece| match piece {
            Some(Piece::Bytes(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Piece::End) => None,
            None => Some(Err(io::Error::other("the upload was given up"))),
        })
    }
}

/// A file on its way: the request runs while its bytes come.
struct Sending {
    core: Arc<Core>,
    pieces: mpsc::Sender<Piece>,
    request: AbortOnDropHandle<Result<Value, VaultError>>,
    end: String,
    filename: String,
    mime_type: Option<String>,
    size: u64,
}

impl Sending {
    async fn start(core: &Arc<Core>, file: &NewFile, extension: &str) -> Result<Self, VaultError> {
        let boundary = Uuid::new_v4().simple().to_string();
        let mime_type = file.mime_type.as_deref().and_then(media_type);
        let kind = mime_type.as_deref().unwrap_or(UNKNOWN_TYPE);
        // Only the extension counts there, and a name of our own needs no quoting.
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"file.{extension}\"\r\n\
             Content-Type: {kind}\r\n\r\n"
        );
        let (pieces, receiver) = mpsc::channel(4);
        let request = tokio::spawn({
            let core = Arc::clone(core);
            let content_type = format!("multipart/form-data; boundary={boundary}");
            async move {
                let body = BodyExt::boxed(Pieces(receiver));
                let answer = core.client.send("/storage/upload", &content_type, body).await?;
                if answer.status.is_success() {
                    return Ok(answer.body);
                }
                let reason = format!("the vault does not take the file ({} {})", answer.status, answer.code());
                Err(VaultError::Invalid(reason))
            }
        });
        let mut sending = Self {
            core: Arc::clone(core),
            pieces,
            request: AbortOnDropHandle::new(request),
            end: format!("\r\n--{boundary}--\r\n"),
            filename: file_name(&file.filename),
            mime_type,
            size: 0,
        };
        sending.put(Piece::Bytes(head.into())).await?;
        Ok(sending)
    }

    async fn put(&mut self, piece: Piece) -> Result<(), VaultError> {
        let patience = self.core.client.timeout();
        match tokio::time::timeout(patience, self.pieces.send(piece)).await {
            Ok(Ok(())) => Ok(()),
            // The request has ended before the file: its answer tells why.
            Ok(Err(_)) => match self.answer().await {
                Err(error) => Err(error),
                Ok(_) => Err(self
                    .core
                    .client
                    .unavailable("it answered before the file was sent; nothing of it is kept")),
            },
            Err(_) => Err(self.core.client.unavailable(format!(
                "it took nothing of the file for {patience:?}; nothing of it is kept"
            ))),
        }
    }

    async fn answer(&mut self) -> Result<Value, VaultError> {
        match (&mut self.request).await {
            Ok(answer) => answer,
            Err(error) => Err(self.core.client.unavailable(format!("the upload failed ({error})"))),
        }
    }
}

#[async_trait]
impl Upload for Sending {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), VaultError> {
        self.size += bytes.len() as u64;
        self.put(Piece::Bytes(Bytes::copy_from_slice(bytes))).await
    }

    async fn finish(mut self: Box<Self>) -> Result<StoredFile, VaultError> {
        let end = Bytes::from(std::mem::take(&mut self.end));
        self.put(Piece::Bytes(end)).await?;
        self.put(Piece::End).await?;
        let patience = self.core.client.timeout();
        let answer = match tokio::time::timeout(patience, self.answer()).await {
            Ok(answer) => answer?,
            Err(_) => {
                return Err(self
                    .core
                    .client
                    .unavailable(format!("it did not take the file within {patience:?}")));
            }
        };
        let text = |key: &str| answer.get(key).and_then(Value::as_str);
        let path = text("path").ok_or_else(|| self.core.client.garbled("it answered no path of the file"))?;
        self.core.sizes.put(path, self.size);
        Ok(StoredFile {
            path: path.to_owned(),
            filename: self.filename.clone(),
            mime_type: self
                .mime_type
                .clone()
                .or_else(|| text("mimeType").and_then(media_type))
                .unwrap_or_else(|| UNKNOWN_TYPE.into()),
            size: self.size,
            created_at: Timestamp::now(),
        })
    }
}
