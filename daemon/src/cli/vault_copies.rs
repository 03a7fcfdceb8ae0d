//! `reveille vault backup` and `restore`: by the daemon while one runs, else here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use reveille_vault::agent::{Inbound, tag};
use reveille_vault::{Backup, EmbeddedVault, FolderVault, Key, Patch, Precondition, Query, VaultError};
use serde_json::{Value, json};

use super::client::{Client, segment};
use super::output::{self, note, out};
use super::{CliError, Global, vault};
use crate::config::{Config, Place, Vault};
use crate::layout;
use crate::state_dir::StateDir;
use crate::vaults;

/// Copies of vaults.
#[derive(Debug, Args)]
pub(super) struct Copies {
    /// Where they are, or will be; it is made when it is missing
    directory: PathBuf,
    /// Only this one
    #[arg(long)]
    vault: Option<String>,
    /// Replace what is there
    #[arg(long)]
    force: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// What became of each vault. One that cannot be copied is no reason to leave the others out.
#[derive(Default)]
struct Done {
    copies: Vec<Value>,
    /// Those with notes on another server.
    elsewhere: Vec<String>,
    failed: Vec<(String, CliError)>,
}

impl Copies {
    /// Those who have a daemon ask it: it knows what is on its way to the disk.
    pub(super) async fn back_up(self, global: &Global) -> Result<(), CliError> {
        let directory = std::path::absolute(&self.directory)
            .map_err(|error| CliError::Failed(format!("{} is no path: {error}", self.directory.display())))?;
        let done = match global.client() {
            Ok(client) => self.by_daemon(&client, &directory).await?,
            Err(CliError::Unreachable(_)) => {
                let state = global.state_dir();
                layout::look(&state).map_err(|error| CliError::Failed(error.to_string()))?;
                let copy = move |vault: &Vault, force: bool| copy_here(vault, &state, &directory, force);
                self.here(global, copy).await?
            }
            Err(error) => return Err(error),
        };
        self.tell("backups", done)
    }

    pub(super) async fn restore(self, global: &Global) -> Result<(), CliError> {
        let from = self.directory.clone();
        // No daemon works in it, and none starts meanwhile.
        let state = StateDir::take(&global.state_dir())
            .await
            .map_err(|error| CliError::Failed(error.to_string()))?;
        let path = state.path().to_owned();
        let done = self
            .here(global, move |vault, force| restore_here(vault, &path, &from, force))
            .await?;
        // A queue that is there knows which messages have had their turn. A new one would have them all worked on again.
        if !state.path().join("queue.db").exists() {
            for vault in global.config()?.vaults.all() {
                if done.copies.iter().any(|copy| copy["vault"] == vault.name) {
                    calm(vault, state.path()).await?;
                }
            }
        }
        drop(state);
        self.tell("restored", done)
    }

    async fn by_daemon(&self, client: &Client, directory: &Path) -> Result<Done, CliError> {
        let (mut names, mut done) = (Vec::new(), Done::default());
        match &self.vault {
            Some(name) => names.push(name.clone()),
            None => {
                for vault in vault::all(client).await? {
                    let name = vault["name"].as_str().unwrap_or_default().to_owned();
                    match vault["kind"].as_str() {
                        Some("embedded" | "folder") => names.push(name),
                        _ => done.elsewhere.push(name),
                    }
                }
            }
        }
        for name in names {
            let address = format!("/api/vaults/{}/backup", segment(&name));
            let asked = json!({ "directory": directory, "replace": self.force });
            match client.post(&address, &asked).await {
                Ok(copy) => done.copies.push(copy),
                Err(error) => done.failed.push((name, error)),
            }
        }
        Ok(done)
    }

    async fn here(
        &self,
        global: &Global,
        copy: impl Fn(&Vault, bool) -> Result<Option<Backup>, VaultError> + Send + 'static,
    ) -> Result<Done, CliError> {
        let config = global.config()?;
        let (named, force) = (self.vault.clone(), self.force);
        if let Some(name) = &named
            && !config.vaults.all().any(|vault| vault.name == *name)
        {
            let names: Vec<&str> = config.vaults.all().map(|vault| vault.name.as_str()).collect();
            let message = format!("there is no vault {name:?}; there are {}", names.join(", "));
            return Err(CliError::Usage(message));
        }
        let work = tokio::task::spawn_blocking(move || all_here(&config, named.as_deref(), force, copy));
        work.await
            .map_err(|error| CliError::Failed(format!("the work was given up: {error}")))
    }

    fn tell(&self, what: &str, mut done: Done) -> Result<(), CliError> {
        match self.json {
            true => {
                let failed = done.failed.iter();
                let failed: Vec<Value> = failed
                    .map(|(vault, error)| json!({ "vault": vault, "error": error.to_string() }))
                    .collect();
                output::json(&json!({ what: done.copies, "elsewhere": done.elsewhere, "failed": failed }));
            }
            false => Self::show(&done),
        }
        if done.failed.is_empty() {
            return Ok(());
        }
        for (vault, error) in done.failed.iter().skip(1) {
            note(&format!("{vault}: {error}"));
        }
        Err(done.failed.swap_remove(0).1)
    }

    fn show(done: &Done) {
        for copy in &done.copies {
            let text = |name: &str| output::safe(copy[name].as_str().unwrap_or_default());
            let place = match copy["folder"].is_string() {
                true => format!("{} and {}", text("folder"), text("file")),
                false => text("file"),
            };
            out!(
                "{}: {} notes and {} files in {place}",
                text("vault"),
                copy["notes"],
                copy["files"]
            );
        }
        if done.copies.is_empty() && done.failed.is_empty() {
            note("there was nothing to copy");
        }
        for name in &done.elsewhere {
            note(&format!(
                "{name}: its notes are on its own server, and are backed up there"
            ));
        }
    }
}

fn all_here(
    config: &Config,
    named: Option<&str>,
    force: bool,
    copy: impl Fn(&Vault, bool) -> Result<Option<Backup>, VaultError>,
) -> Done {
    let mut done = Done::default();
    for vault in config
        .vaults
        .all()
        .filter(|vault| named.is_none_or(|name| vault.name == name))
    {
        if let Place::Parachute(_) = vault.place {
            done.elsewhere.push(vault.name.clone());
            continue;
        }
        let refused = |error| match error {
            VaultError::Invalid(message) => CliError::Refused { message },
            error => CliError::Failed(error.to_string()),
        };
        match copy(vault, force).map_err(refused) {
            Ok(backup) => done.copies.extend(backup.map(|backup| told(&vault.name, &backup))),
            Err(error) => done.failed.push((vault.name.clone(), error)),
        }
    }
    done
}

/// As the daemon tells it.
fn told(name: &str, backup: &Backup) -> Value {
    let mut told = json!({
        "vault": name, "file": backup.file, "notes": backup.notes, "files": backup.files, "bytes": backup.bytes,
    });
    if let Some(folder) = &backup.folder {
        told["folder"] = json!(folder);
    }
    told
}

fn copy_here(vault: &Vault, state: &Path, to: &Path, force: bool) -> Result<Option<Backup>, VaultError> {
    let name = &vault.name;
    match &vault.place {
        Place::Embedded => EmbeddedVault::back_up_file(name, &vaults::embedded(state, name), to, force).map(Some),
        Place::Folder(folder) => {
            let options = vaults::folder_options(state, name, folder);
            FolderVault::back_up_files(name, &options, to, force).map(Some)
        }
        Place::Parachute(_) => Ok(None),
    }
}

fn restore_here(vault: &Vault, state: &Path, from: &Path, force: bool) -> Result<Option<Backup>, VaultError> {
    let name = &vault.name;
    match &vault.place {
        Place::Embedded => {
            let own = vaults::embedded(state, name);
            let copied = from.join(own.file_name().unwrap_or_default());
            let dir = own.parent().unwrap_or(state);
            EmbeddedVault::restore_file(name, &copied, dir, force).map(Some)
        }
        Place::Folder(folder) => {
            let options = vaults::folder_options(state, name, folder);
            FolderVault::restore_files(name, &options, from, force).map(Some)
        }
        Place::Parachute(_) => Ok(None),
    }
}

/// Marks the messages of a vault as an import does.
async fn calm(vault: &Vault, state: &Path) -> Result<(), CliError> {
    let name = &vault.name;
    let failed = |error: VaultError| {
        CliError::Failed(format!(
            "{name} is restored, but its messages could not be marked, and would be worked on again: {error}"
        ))
    };
    let opened: Arc<dyn reveille_vault::Vault> = match &vault.place {
        Place::Embedded => EmbeddedVault::open(name, &vaults::embedded(state, name)).map_err(failed)?,
        Place::Folder(folder) => {
            FolderVault::open(name, vaults::folder_options(state, name, folder)).map_err(failed)?
        }
        Place::Parachute(_) => return Ok(()),
    };
    let marked = mark(&*opened).await;
    opened.close().await;
    match marked.map_err(failed)? {
        0 => {}
        count => note(&format!(
            "{name}: {count} messages are marked with `{}`, and wake nobody: this state directory has no queue that knows which \
             of them have had their turn. One that was still in line wakes its agent once that is blank",
            Inbound::IMPORTED
        )),
    }
    Ok(())
}

async fn mark(vault: &dyn reveille_vault::Vault) -> Result<u64, VaultError> {
    let now = jiff::Timestamp::now().to_string();
    let mut query = Query {
        tags: vec![tag::INBOUND.into()],
        exact_tags: true,
        ..Query::default()
    };
    let mut count = 0;
    loop {
        let page = vault.query(&query).await?;
        for note in page.notes.iter().filter(|note| Inbound::wakes(note)) {
            let patch = Patch {
                metadata: [(Inbound::IMPORTED.to_owned(), Value::String(now.clone()))]
                    .into_iter()
                    .collect(),
                ..Patch::default()
            };
            vault
                .patch(&Key::Id(note.id.clone()), patch, Precondition::Force)
                .await?;
            count += 1;
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(count),
        }
    }
}
