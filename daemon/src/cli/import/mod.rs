//! `reveille note import`: Markdown files become notes.

mod compare;
mod walk;

use std::collections::HashMap;
use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use reveille_vault::agent::Inbound;
use reveille_vault::markdown::AttachedFile;
use reveille_vault::note::{Metadata, millis};
use reveille_vault::{Attachment, Note};
use serde_json::{Value, json};

use self::walk::{Incoming, Source};
use super::CliError;
use super::client::{Client, segment};
use super::export::{read, read_attachment};
use super::note::address;
use super::output::{self, out, safe};
use super::vault::or_default;

/// `reveille note import`.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// The folder: an export, or any other with Markdown files
    dir: PathBuf,
    /// Make notes that are there already and differ what their files say
    #[arg(long)]
    force: bool,
    /// Messages wake their agents. Without, they are marked with `imported`, and wake nobody as long as that stands there
    #[arg(long)]
    wake: bool,
    /// The vault; that of the turn, or else the first of the configuration
    #[arg(long, env = "REVEILLE_VAULT")]
    vault: Option<String>,
}

/// What became of a file.
enum Outcome {
    Created,
    Updated,
    Same,
    /// A note is there that says something else. Says what.
    Conflict(String),
    /// It could not be read, or the daemon does not take it. Says why.
    Failed(String),
}

/// An import under way.
struct Work<'c> {
    client: &'c Client,
    vault: String,
    source: Source,
    force: bool,
    wake: bool,
    /// The mark of messages.
    now: String,
    /// Where the vault keeps the files that were uploaded.
    stored: HashMap<String, String>,
}

impl Import {
    pub(super) async fn run(self, client: &Client) -> Result<(), CliError> {
        let vault = or_default(client, self.vault).await?;
        // A wrong name is told once, and not for each file.
        client.get(&format!("/vault/{}", segment(&vault))).await?;
        let source = Source::open(&self.dir)?;
        let found = source.walk()?;
        let mut work = Work {
            client,
            vault,
            source,
            force: self.force,
            wake: self.wake,
            now: millis::format(Timestamp::now()),
            stored: HashMap::new(),
        };
        let (mut created, mut updated, mut same, mut conflicts) = (0_u64, 0_u64, 0_u64, 0_u64);
        let mut failed = found.unreadable.len();
        for (file, why) in &found.unreadable {
            output::note(&safe(&format!("{file}: {why}")));
        }
        for file in &found.files {
            match work.file(file).await? {
                Outcome::Created => created += 1,
                Outcome::Updated => updated += 1,
                Outcome::Same => same += 1,
                Outcome::Conflict(what) => {
                    conflicts += 1;
                    output::note(&safe(&format!("{file}: {what}")));
                }
                Outcome::Failed(why) => {
                    failed += 1;
                    output::note(&safe(&format!("{file}: {why}")));
                }
            }
        }
        out!("{created} notes created, {updated} changed, {same} were there as they are");
        if conflicts == 0 && failed == 0 {
            return Ok(());
        }
        let mut told = Vec::new();
        if conflicts > 0 {
            told.push(format!(
                "{conflicts} notes are there and say something else; they were left alone (--force makes them what the \
                 files say)"
            ));
        }
        if failed > 0 {
            told.push(format!("{failed} files were not imported"));
        }
        Err(CliError::Failed(format!("{}, see above", told.join("; "))))
    }
}

impl Work<'_> {
    /// An error ends the import. What is there then is passed over the next time.
    async fn file(&mut self, file: &str) -> Result<Outcome, CliError> {
        let incoming = match self.source.read(file) {
            Ok(incoming) => incoming,
            Err(why) => return Ok(Outcome::Failed(why)),
        };
        match self.bring(&incoming).await {
            Err(CliError::Refused { message } | CliError::Usage(message)) => Ok(Outcome::Failed(message)),
            outcome => outcome,
        }
    }

    async fn bring(&mut self, incoming: &Incoming) -> Result<Outcome, CliError> {
        for attached in incoming.attachments() {
            // Before anything is written.
            self.source.inside(&attached.file).map_err(CliError::Usage)?;
        }
        let Some((before, attachments)) = self.existing(incoming).await? else {
            self.create(incoming).await?;
            return Ok(Outcome::Created);
        };
        let mut differs = compare::differences(incoming, &before, self.wake);
        let files_differ = match &incoming.note.exported {
            Some(_) => !self.same_files(incoming.attachments(), &attachments).await?,
            None => false,
        };
        if files_differ {
            differs.push("files");
        }
        if differs.is_empty() {
            return Ok(Outcome::Same);
        }
        if !self.force {
            let by = match &incoming.note.id {
                Some(id) if *id == before.id => "id",
                _ => "path",
            };
            let what = differs.join(", ");
            return Ok(Outcome::Conflict(format!(
                "the vault has another note with this {by} (it differs in: {what})"
            )));
        }
        self.change(incoming, &before).await?;
        if files_differ {
            self.exchange_files(incoming, &before, &attachments).await?;
        }
        Ok(Outcome::Updated)
    }

    /// The note with the id of the file, or else the one at its path.
    async fn existing(&self, incoming: &Incoming) -> Result<Option<(Note, Vec<Attachment>)>, CliError> {
        let id = incoming.note.id.as_ref().map(reveille_vault::NoteId::as_str);
        for (key, is_id) in [(id, true), (incoming.path.as_deref(), false)] {
            let Some(key) = key else { continue };
            let url = format!(
                "/vault/{}/api/notes?include_attachments=true&id={}",
                segment(&self.vault),
                segment(key)
            );
            let Some(found) = self.client.find_one(&url).await? else {
                continue;
            };
            let note = read(&found)?;
            // The door takes ids and paths alike.
            if (is_id && note.id.as_str() == key) || (!is_id && note.path.as_deref() == Some(key)) {
                let listed = found["attachments"].as_array().into_iter().flatten();
                return Ok(Some((note, listed.map(read_attachment).collect::<Result<_, _>>()?)));
            }
        }
        Ok(None)
    }

    async fn create(&mut self, incoming: &Incoming) -> Result<(), CliError> {
        let file = &incoming.note;
        let attachments = self.upload(incoming.attachments()).await?;
        let mut body = json!({
            "content": file.content, "tags": file.tags, "metadata": self.metadata(incoming, None),
            "createdAt": millis::format(incoming.created), "attachments": attachments,
        });
        if let Some(id) = &file.id {
            body["id"] = id.as_str().into();
        }
        if let Some(path) = &incoming.path {
            body["path"] = walk::sent(path).into();
        }
        self.client
            .post(&format!("/vault/{}/api/notes", segment(&self.vault)), &body)
            .await?;
        Ok(())
    }

    async fn change(&self, incoming: &Incoming, before: &Note) -> Result<(), CliError> {
        let file = &incoming.note;
        let mut metadata = self.metadata(incoming, Some(before));
        metadata.retain(|key, _| !compare::is_the_daemons(incoming, key));
        // The mark of an earlier import stays, unless the message shall wake now.
        let stays = |key: &String| {
            metadata.contains_key(key)
                || (key == Inbound::IMPORTED && !self.wake)
                || compare::is_the_daemons(incoming, key)
        };
        let gone: Vec<&String> = before.metadata.keys().filter(|key| !stays(key)).collect();
        let removed: Vec<&String> = before.tags.iter().filter(|tag| !file.tags.contains(tag)).collect();
        let mut body = json!({
            "content": file.content, "metadata": metadata, "remove_metadata": gone,
            "tags": {"add": file.tags, "remove": removed}, "if_updated_at": millis::format(before.updated_at),
        });
        if let Some(created) = file.created {
            body["createdAt"] = millis::format(created).into();
        }
        if let Some(path) = incoming.path.as_ref().filter(|path| before.path.as_ref() != Some(path)) {
            body["path"] = walk::sent(path).into();
        }
        self.client
            .patch(&address(&self.vault, before.id.as_str()), &body)
            .await?;
        Ok(())
    }

    /// The metadata of the file, with the mark where it would wake an agent and must not. `before`: the note as it is; a
    /// message that it was already has had its turn.
    fn metadata(&self, incoming: &Incoming, before: Option<&Note>) -> Metadata {
        let mut metadata = incoming.note.metadata.clone();
        let is_message = |note: &Note| Inbound::wakes(note) && Inbound::parse(note).is_ok();
        if !self.wake && Inbound::wakes(&incoming.as_note()) && !before.is_some_and(is_message) {
            metadata.insert(Inbound::IMPORTED.into(), self.now.as_str().into());
        }
        metadata
    }

    /// Uploads files, each once. Answers what a note needs to have them.
    async fn upload(&mut self, files: &[AttachedFile]) -> Result<Vec<Value>, CliError> {
        let mut attachments = Vec::with_capacity(files.len());
        for AttachedFile {
            file,
            filename,
            mime_type,
        } in files
        {
            let path = match self.stored.get(file) {
                Some(path) => path.clone(),
                None => {
                    let (local, size) = self.source.inside(file).map_err(CliError::Usage)?;
                    let stored = self.client.upload(&self.vault, &local, size).await?;
                    let path = stored["path"].as_str().map(str::to_owned);
                    path.ok_or_else(|| CliError::Failed("the daemon did not say where the file is".into()))?
                }
            };
            self.stored.insert(file.clone(), path.clone());
            attachments.push(json!({"path": path, "filename": filename, "mimeType": mime_type}));
        }
        Ok(attachments)
    }

    async fn same_files(&self, files: &[AttachedFile], attachments: &[Attachment]) -> Result<bool, CliError> {
        if files.len() != attachments.len() {
            return Ok(false);
        }
        for (file, attachment) in files.iter().zip(attachments) {
            let (local, size) = self.source.inside(&file.file).map_err(CliError::Usage)?;
            let look = (&file.filename, &file.mime_type, size);
            if look != (&attachment.filename, &attachment.mime_type, attachment.size)
                || !compare::same_bytes(self.client, &self.vault, &attachment.path, &local).await?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The new ones first: a note that loses its files because something failed would be worse than one that has both.
    async fn exchange_files(
        &mut self,
        incoming: &Incoming,
        before: &Note,
        attachments: &[Attachment],
    ) -> Result<(), CliError> {
        let url = format!("{}/attachments", address(&self.vault, before.id.as_str()));
        for attachment in self.upload(incoming.attachments()).await? {
            self.client.post(&url, &attachment).await?;
        }
        for old in attachments {
            self.client.remove(&format!("{url}/{}", segment(&old.id))).await?;
        }
        Ok(())
    }
}
