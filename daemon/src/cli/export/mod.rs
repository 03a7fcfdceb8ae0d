//! `reveille note export`: notes become Markdown files.

mod names;
mod place;

use std::path::PathBuf;

use clap::Args;
use reveille_vault::markdown::{self, AttachedFile};
use reveille_vault::{Attachment, Note};
use serde_json::Value;

use self::names::Names;
pub(super) use self::names::{ATTACHMENTS, UNFILED};
use self::place::{Folder, Placed, Scratch};
pub(super) use self::place::{digest_of, hex};
use super::CliError;
use super::client::{Client, segment};
use super::note::Only;
use super::output::{self, out, safe};
use super::vault::or_default;

/// Notes whose names are asked for at once. Their texts come one by one: they may be large.
const PAGE: u32 = 500;

/// `reveille note export`.
#[derive(Debug, Args)]
pub(super) struct Export {
    /// Where; it is made when it is missing
    dir: PathBuf,
    #[command(flatten)]
    only: Only,
    /// Also into a folder that holds something else already; none of that is overwritten
    #[arg(long)]
    force: bool,
    /// The vault; that of the turn, or else the first of the configuration
    #[arg(long, env = "REVEILLE_VAULT")]
    vault: Option<String>,
}

/// What became of the files.
#[derive(Debug, Default)]
struct Count {
    notes: u64,
    files: u64,
    new: u64,
    changed: u64,
    same: u64,
    /// Notes that were not exported, each with the reason.
    left: u64,
}

/// An export under way.
struct Work<'c> {
    client: &'c Client,
    vault: String,
    folder: Folder,
    names: Names,
    count: Count,
}

impl Export {
    pub(super) async fn run(self, client: &Client) -> Result<(), CliError> {
        let vault = or_default(client, self.vault).await?;
        let parameters = self.only.parameters()?;
        let mut url = format!(
            "/vault/{}/api/notes?limit={PAGE}&order_by=created_at&sort=asc&include_metadata=false",
            segment(&vault)
        );
        for (name, value) in &parameters {
            url.push_str(&format!("&{}={}", segment(name), segment(value)));
        }
        // Asked before the folder is made: a wrong name of a vault leaves nothing behind.
        let (mut notes, mut next) = client.page(&url).await?;
        let mut work = Work {
            client,
            folder: Folder::open(&self.dir, &vault, self.force)?,
            vault,
            names: Names::default(),
            count: Count::default(),
        };
        loop {
            for note in notes.as_array().into_iter().flatten() {
                let id = note["id"].as_str().unwrap_or_default();
                work.note(id).await?;
            }
            let Some(cursor) = next else { break };
            (notes, next) = client.page(&format!("{url}&cursor={}", segment(&cursor))).await?;
        }
        let Count {
            notes,
            files,
            new,
            changed,
            same,
            left,
        } = work.count;
        let dir = safe(&self.dir.display().to_string());
        out!("{notes} notes and {files} files in {dir}: {new} new, {changed} changed, {same} as they were");
        if left == 0 {
            return Ok(());
        }
        Err(CliError::Failed(format!(
            "{left} notes are not in {dir} as they are now, see above; all others are"
        )))
    }
}

impl Work<'_> {
    /// Exports a note, or tells why not. An error ends the export.
    async fn note(&mut self, id: &str) -> Result<(), CliError> {
        // In the query: an id may be `..`.
        let (vault, key) = (segment(&self.vault), segment(id));
        let url = format!("/vault/{vault}/api/notes?include_attachments=true&id={key}");
        let Some(found) = self.client.find_one(&url).await? else {
            // It was removed a moment ago.
            return Ok(());
        };
        let note = read(&found)?;
        if note.id.as_str() != id {
            // Likewise, and another one has its id as its path.
            return Ok(());
        }
        let attachments: Vec<Attachment> = match found.get("attachments") {
            Some(Value::Array(listed)) => listed.iter().map(read_attachment).collect::<Result<_, _>>()?,
            _ => Vec::new(),
        };
        let (file, tells_path) = self.names.take(&note);
        match self.files(&note, &attachments, &file, tells_path).await {
            Ok(()) => {
                self.count.notes += 1;
                Ok(())
            }
            Err(Left::Note(why)) => {
                self.count.left += 1;
                output::note(&safe(&format!("{file} (note {id}): {why}")));
                Ok(())
            }
            Err(Left::All(error)) => Err(error),
        }
    }

    async fn files(
        &mut self,
        note: &Note,
        attachments: &[Attachment],
        file: &str,
        tells_path: bool,
    ) -> Result<(), Left> {
        let mut attached = Vec::with_capacity(attachments.len());
        for attachment in attachments {
            let stored = self.attachment(attachment).await?;
            attached.push(AttachedFile {
                file: stored,
                filename: attachment.filename.clone(),
                mime_type: attachment.mime_type.clone(),
            });
        }
        let text = markdown::render(note, !tells_path, attached).map_err(Left::Note)?;
        let mut scratch = self.folder.scratch()?;
        scratch.write(text.as_bytes())?;
        self.place(scratch, file)
    }

    /// Writes a stored file. Answers where it is below the folder. Its name is made of its bytes: the same file, whatever
    /// vault it comes from, has the same name, and stands there once.
    async fn attachment(&mut self, attachment: &Attachment) -> Result<String, Left> {
        let mut scratch = self.folder.scratch()?;
        let found = self
            .client
            .download(&self.vault, &attachment.path, |bytes| scratch.write(bytes))
            .await?;
        if !found {
            return Err(Left::Note(format!(
                "its file {} is gone from the vault",
                attachment.path
            )));
        }
        let digest = scratch.digest();
        let file = names::of_attachment(&digest, &attachment.filename);
        self.place(scratch, &file)?;
        self.count.files += 1;
        Ok(file)
    }

    fn place(&mut self, scratch: Scratch, file: &str) -> Result<(), Left> {
        match self.folder.place(scratch, file)? {
            Placed::New => self.count.new += 1,
            Placed::Changed => self.count.changed += 1,
            Placed::Same => self.count.same += 1,
            Placed::Foreign(why) => return Err(Left::Note(format!("{file} {why}"))),
        }
        Ok(())
    }
}

/// Why a note was not exported.
enum Left {
    /// Only this one.
    Note(String),
    /// Nor those that follow.
    All(CliError),
}

impl From<CliError> for Left {
    fn from(error: CliError) -> Self {
        match error {
            CliError::Refused { message } => Self::Note(message),
            other => Self::All(other),
        }
    }
}

/// A note as the daemon tells it.
pub(super) fn read(found: &Value) -> Result<Note, CliError> {
    use serde::Deserialize as _;
    Note::deserialize(found).map_err(|error| CliError::Failed(format!("the daemon told a note that is none: {error}")))
}

/// One of its attachments.
pub(super) fn read_attachment(found: &Value) -> Result<Attachment, CliError> {
    let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    let wrong = |what: &str| CliError::Failed(format!("the daemon told an attachment without {what}"));
    Ok(Attachment {
        id: text("id"),
        note: reveille_vault::NoteId::new(text("noteId")).map_err(|_| wrong("its note"))?,
        path: text("path"),
        filename: text("filename"),
        mime_type: text("mimeType"),
        size: found["size"].as_u64().ok_or_else(|| wrong("its size"))?,
        created_at: text("createdAt").parse().map_err(|_| wrong("its time"))?,
    })
}
