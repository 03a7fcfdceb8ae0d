//! What the CLI has stored of a session: a file of JSON lines, to which it appends.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::PathBuf;

use serde::Deserialize;
use uuid::Uuid;

use super::files::config_dir;
use crate::turn::Dirs;

/// The session's file and its bytes. The CLI names the directory after the working directory, by rules of its own, so all are
/// looked through.
fn find(dirs: &Dirs, session: Uuid) -> Option<(PathBuf, u64)> {
    let name = format!("{session}.jsonl");
    // silent-ok: the CLI makes the directory with its first session.
    let projects = fs::read_dir(config_dir(dirs).join("projects")).ok()?;
    projects
        .flatten()
        .map(|project| project.path().join(&name))
        .filter_map(|file| Some((fs::metadata(&file).ok()?.len(), file))) // silent-ok: most are of other sessions.
        .filter(|(size, _)| *size > 0)
        .max()
        .map(|(size, file)| (file, size))
}

/// Bytes that are stored of the session; 0 when nothing is.
pub(super) fn size(dirs: &Dirs, session: Uuid) -> u64 {
    find(dirs, session).map_or(0, |(_, size)| size)
}

/// Whether a prompt was taken after `since` bytes were stored. In doubt it was.
pub(super) fn took_prompt(dirs: &Dirs, session: Uuid, since: u64) -> bool {
    let Some((file, size)) = find(dirs, session) else {
        return false;
    };
    size != since
        && has_entry(&file, if size > since { since } else { 0 }).unwrap_or_else(|error| {
            tracing::warn!(%error, "the transcript cannot be read; its last prompt counts as taken");
            true
        })
}

/// Whether a part of the conversation is stored after an offset. Such lines have an identity; notes that the CLI makes for
/// itself, also when a session is only opened and closed, have none. A prompt is in a queue before it is in the conversation.
fn has_entry(file: &PathBuf, from: u64) -> io::Result<bool> {
    #[derive(Deserialize)]
    struct Line {
        #[serde(rename = "type", default)]
        kind: String,
        uuid: Option<serde::de::IgnoredAny>,
    }
    let mut file = File::open(file)?;
    file.seek(SeekFrom::Start(from))?;
    for line in BufReader::new(file).split(b'\n') {
        let line = line?;
        let entry = match serde_json::from_slice::<Line>(&line) {
            Ok(line) => line.uuid.is_some() || line.kind == "queue-operation",
            // Cut off in the middle, or of a form that is not known.
            Err(_) => !line.trim_ascii().is_empty(),
        };
        if entry {
            return Ok(true);
        }
    }
    Ok(false)
}
