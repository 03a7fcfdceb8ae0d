//! `reveille note …`

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::CliError;
use super::agent::{pair, text_or_stdin};
use super::client::{Client, segment};
use super::export::Export;
use super::import::Import;
use super::output::{self, one_line, out, safe, table};
use super::vault::or_default;

/// Notes of the vault.
#[derive(Debug, Subcommand)]
pub(super) enum Note {
    /// Write a note at a path: make it, or change the one that is there
    #[command(after_help = "Example: reveille note put Ideas/one 'Write less.' --tag idea --meta due=friday")]
    Put {
        /// Where
        path: String,
        /// The text; `-` reads it from stdin
        #[arg(default_value = "-", hide_default_value = true)]
        text: String,
        /// A tag; may be given several times
        #[arg(long = "tag", value_name = "TAG")]
        tags: Vec<String>,
        /// Metadata; may be given several times
        #[arg(long = "meta", value_name = "KEY=VALUE")]
        metadata: Vec<String>,
        /// The vault; that of the turn, or else the first of the configuration
        #[arg(long, env = "REVEILLE_VAULT")]
        vault: Option<String>,
    },
    /// Print a note
    #[command(after_help = "Example: reveille note get Ideas/one")]
    Get {
        /// Its path or identity
        note: String,
        /// The vault; that of the turn, or else the first of the configuration
        #[arg(long, env = "REVEILLE_VAULT")]
        vault: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// List notes, newest first
    #[command(after_help = "Example: reveille note list --tag idea --where 'due[lt]=2026-12' --order-by due --asc")]
    List {
        #[command(flatten)]
        only: Only,
        /// Order by `created_at`, `updated_at`, `path`, or an indexed metadata field
        #[arg(long, value_name = "FIELD", default_value = "created_at")]
        order_by: String,
        /// Oldest or smallest first
        #[arg(long)]
        asc: bool,
        /// Most notes
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// The vault; that of the turn, or else the first of the configuration
        #[arg(long, env = "REVEILLE_VAULT")]
        vault: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Search the text of notes, best match first
    #[command(after_help = "Example: reveille note search 'red app*' --tag idea\n\n\
        Every word must occur. FTS5 expressions work: \"a phrase\", OR, NOT, begin*")]
    Search {
        /// What to look for
        #[arg(required = true, value_name = "TEXT")]
        words: Vec<String>,
        #[command(flatten)]
        only: Only,
        /// Most notes
        #[arg(long, default_value_t = 20)]
        limit: u32,
        /// The vault; that of the turn, or else the first of the configuration
        #[arg(long, env = "REVEILLE_VAULT")]
        vault: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Write notes into a folder of Markdown files
    #[command(after_help = "Example: reveille note export ~/notes-of-today --tag idea\n\n\
        Each note is a file at its path, its files stand in _attachments; what has no path that a file can have is in \
        _unfiled. Again into the same folder, it brings up to date what it has written there; what somebody else has \
        written or changed there is never touched.")]
    Export(Export),
    /// Read notes from a folder of Markdown files
    #[command(after_help = "Example: reveille note import ~/notes-of-today\n\n\
        Notes keep id, path, tags, metadata, time of creation and files; the time of the last change is that of the import. \
        A note that is there already and says something else is left alone. Hidden files and links are left out.")]
    Import(Import),
    /// Remove a note for good
    #[command(after_help = "Example: reveille note rm Ideas/one")]
    Rm {
        /// Its path or identity
        note: String,
        /// The vault; that of the turn, or else the first of the configuration
        #[arg(long, env = "REVEILLE_VAULT")]
        vault: Option<String>,
    },
}

/// Which notes a list or a search is about.
#[derive(Debug, Args)]
pub(super) struct Only {
    /// Only with one of these tags
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// None with one of these tags
    #[arg(long = "without", value_name = "TAG")]
    without: Vec<String>,
    /// Only below this path
    #[arg(long, value_name = "PREFIX")]
    path: Option<String>,
    /// Only with this metadata: `KEY=VALUE`, or `KEY[OP]=VALUE` with OP one of eq, ne, gt, gte, lt, lte, in, not_in,
    /// exists; may be given several times
    #[arg(long = "where", value_name = "CONDITION")]
    conditions: Vec<String>,
    /// Only what has changed since this time, such as `2026-07-02` or `2026-07-02T10:00:00Z`
    #[arg(long, value_name = "TIME")]
    updated_since: Option<String>,
}

impl Only {
    /// As query parameters.
    pub(super) fn parameters(&self) -> Result<Vec<(String, String)>, CliError> {
        let mut parameters = Vec::new();
        for (name, tags) in [("tag", &self.tags), ("exclude_tag", &self.without)] {
            parameters.extend(tags.iter().map(|tag| (name.to_owned(), tag.clone())));
        }
        for (name, value) in [("path_prefix", &self.path), ("updated_since", &self.updated_since)] {
            parameters.extend(value.iter().map(|value| (name.to_owned(), value.clone())));
        }
        for condition in &self.conditions {
            let Some((key, value)) = condition.split_once('=') else {
                return Err(CliError::Usage(format!(
                    "--where {condition:?} has no =; write KEY=VALUE or KEY[gte]=VALUE"
                )));
            };
            parameters.push((format!("meta.{key}"), value.to_owned()));
        }
        Ok(parameters)
    }
}

pub(super) fn address(vault: &str, note: &str) -> String {
    format!("/vault/{}/api/notes/{}", segment(vault), segment(note))
}

impl Note {
    pub(super) async fn run(self, client: &Client) -> Result<(), CliError> {
        match self {
            Self::Put {
                path,
                text,
                tags,
                metadata,
                vault,
            } => {
                let metadata: serde_json::Map<_, _> =
                    metadata.iter().map(|text| pair(text)).collect::<Result<_, _>>()?;
                put(
                    client,
                    &or_default(client, vault).await?,
                    &path,
                    &text_or_stdin(text)?,
                    &tags,
                    Value::Object(metadata),
                )
                .await
            }
            Self::Get { note, vault, json } => {
                let vault = or_default(client, vault).await?;
                let note = client.get(&address(&vault, &note)).await?;
                if json {
                    output::json(&note);
                    return Ok(());
                }
                for key in ["id", "path", "createdAt", "updatedAt"] {
                    out!("{key:10} {}", note[key].as_str().unwrap_or("-"));
                }
                let tags: Vec<&str> = note["tags"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect();
                out!("{:10} {}", "tags", tags.join(", "));
                for (key, value) in note["metadata"].as_object().into_iter().flatten() {
                    out!("{key:10} {}", value.as_str().map_or_else(|| value.to_string(), safe));
                }
                out!("\n{}", safe(note["content"].as_str().unwrap_or_default()));
                Ok(())
            }
            Self::List {
                only,
                order_by,
                asc,
                limit,
                vault,
                json,
            } => {
                let mut parameters = only.parameters()?;
                parameters.push(("order_by".to_owned(), order_by));
                parameters.push(("sort".to_owned(), if asc { "asc" } else { "desc" }.to_owned()));
                show_list(client, &or_default(client, vault).await?, parameters, limit, json).await
            }
            Self::Search {
                words,
                only,
                limit,
                vault,
                json,
            } => {
                let mut parameters = only.parameters()?;
                parameters.push(("search".to_owned(), words.join(" ")));
                show_list(client, &or_default(client, vault).await?, parameters, limit, json).await
            }
            Self::Export(export) => export.run(client).await,
            Self::Import(import) => import.run(client).await,
            Self::Rm { note, vault } => {
                let vault = or_default(client, vault).await?;
                client.delete(&address(&vault, &note)).await?;
                out!("removed {note}");
                Ok(())
            }
        }
    }
}

/// Prints a listing.
async fn show_list(
    client: &Client,
    vault: &str,
    parameters: Vec<(String, String)>,
    limit: u32,
    json: bool,
) -> Result<(), CliError> {
    let mut url = format!("/vault/{}/api/notes?limit={limit}", segment(vault));
    for (name, value) in &parameters {
        url.push_str(&format!("&{}={}", segment(name), segment(value)));
    }
    let notes = client.get(&url).await?;
    if json {
        output::json(&notes);
        return Ok(());
    }
    let text = |value: &Value| safe(value.as_str().unwrap_or("-"));
    let rows: Vec<Vec<String>> = notes
        .as_array()
        .into_iter()
        .flatten()
        .map(|note| {
            let preview = one_line(note["preview"].as_str().unwrap_or_default(), 60);
            vec![
                text(&note["updatedAt"]),
                text(&note["path"]),
                text(&note["id"]),
                preview,
            ]
        })
        .collect();
    table(&["UPDATED", "PATH", "ID", "TEXT"], &rows);
    Ok(())
}

async fn put(
    client: &Client,
    vault: &str,
    path: &str,
    text: &str,
    tags: &[String],
    metadata: Value,
) -> Result<(), CliError> {
    let body = json!({
        "path": path,
        "content": text,
        "tags": tags,
        "metadata": metadata,
        "if_missing": "create",
        "force": true,
    });
    let mut note = client.patch(&address(vault, path), &body).await?;
    // On a note that was there already, the list of tags is not taken: they are added.
    let missing: Vec<&String> = tags
        .iter()
        .filter(|tag| {
            !note["tags"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|has| has == tag.trim_start_matches('#'))
        })
        .collect();
    if !missing.is_empty() {
        let id = note["id"].as_str().unwrap_or_default().to_owned();
        note = client
            .patch(
                &address(vault, &id),
                &json!({ "tags": { "add": missing }, "force": true }),
            )
            .await?;
    }
    out!("{}", note["id"].as_str().unwrap_or_default());
    Ok(())
}
