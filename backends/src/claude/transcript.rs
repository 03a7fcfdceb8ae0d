//! What the CLI has stored of a session: a file of JSON lines, to which it appends.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};

use serde::Deserialize;
use uuid::Uuid;

use super::files::existing_config_dir;
use crate::agent_dir::AgentDir;
use crate::turn::Dirs;

/// Working directories that are looked through. A conversation has one, or few.
const PROJECTS_MAX: usize = 10_000;
/// Longest line, and longest part of a transcript, that is read. The agent can write there: what is longer is not read to its
/// end, and counts as a part of the conversation.
const LINE_MAX: u64 = 64 << 20;
const PART_MAX: u64 = 512 << 20;
/// How far from its end the last thing is that was said. What the CLI notes after it is short.
const END_MAX: u64 = 4 << 20;

/// The directory with the session's file, and the file's bytes. The CLI names the directory after the working directory, by
/// rules of its own, so all are looked through.
fn find(dirs: &Dirs, session: Uuid) -> io::Result<Option<(AgentDir, u64)>> {
    let Some(projects) = existing_config_dir(dirs)?
        .map(|config| config.existing("projects"))
        .transpose()?
        .flatten()
    else {
        // The CLI makes it with its first session.
        return Ok(None);
    };
    let mut found: Option<(AgentDir, u64)> = None;
    for name in projects.names(PROJECTS_MAX)? {
        let Some(project) = projects.existing(&name)? else {
            continue;
        };
        let size = project.size(file_name(session))?.unwrap_or(0);
        if size > found.as_ref().map_or(0, |(_, size)| *size) {
            found = Some((project, size));
        }
    }
    Ok(found)
}

fn file_name(session: Uuid) -> String {
    format!("{session}.jsonl")
}

/// What cannot be looked at counts as nothing: the session is lost, and that is told.
fn found(dirs: &Dirs, session: Uuid) -> Option<(AgentDir, u64)> {
    find(dirs, session).unwrap_or_else(|error| {
        if error.kind() != io::ErrorKind::NotFound {
            tracing::warn!(%error, "the transcripts of a conversation cannot be looked at");
        }
        None
    })
}

/// Bytes that are stored of the session; 0 when nothing is.
pub(super) fn size(dirs: &Dirs, session: Uuid) -> u64 {
    found(dirs, session).map_or(0, |(_, size)| size)
}

/// Whether an entry of that identity was stored after `since` bytes. It is looked for at the end.
pub(super) fn holds(dirs: &Dirs, session: Uuid, since: u64, entry: &str) -> bool {
    let Some((project, size)) = found(dirs, session) else {
        return false;
    };
    let part = || -> io::Result<Vec<u8>> {
        let mut part = Vec::new();
        if let Some(mut file) = project.file(file_name(session))? {
            file.seek(SeekFrom::Start(since.max(size.saturating_sub(END_MAX))))?;
            file.take(END_MAX).read_to_end(&mut part)?;
        }
        Ok(part)
    };
    match part() {
        Ok(part) => !entry.is_empty() && part.windows(entry.len()).any(|window| window == entry.as_bytes()),
        Err(error) => {
            tracing::warn!(%error, "the transcript cannot be read; what was said does not count as stored");
            false
        }
    }
}

/// Whether a prompt was taken after `since` bytes were stored. In doubt it was.
pub(super) fn took_prompt(dirs: &Dirs, session: Uuid, since: u64) -> bool {
    let Some((project, size)) = found(dirs, session) else {
        return false;
    };
    let from = if size > since { since } else { 0 };
    let has_entry = || match project.file(file_name(session))? {
        Some(file) => has_entry(file, from),
        None => Ok(false),
    };
    size != since
        && has_entry().unwrap_or_else(|error: io::Error| {
            tracing::warn!(%error, "the transcript cannot be read; its last prompt counts as taken");
            true
        })
}

/// Whether a part of the conversation is stored after an offset. Such lines have an identity; notes that the CLI makes for
/// itself, also when a session is only opened and closed, have none. A prompt is in a queue before it is in the conversation.
fn has_entry(mut file: File, from: u64) -> io::Result<bool> {
    #[derive(Deserialize)]
    struct Line {
        #[serde(rename = "type", default)]
        kind: String,
        uuid: Option<serde::de::IgnoredAny>,
    }
    file.seek(SeekFrom::Start(from))?;
    let mut rest = BufReader::new(file.take(PART_MAX));
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = rest.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)?;
        if read == 0 {
            // Whoever has written more than that has done something.
            return Ok(rest.get_ref().limit() == 0);
        }
        if u64::try_from(read).is_ok_and(|read| read == LINE_MAX) {
            return Ok(true);
        }
        let entry = match serde_json::from_slice::<Line>(&line) {
            Ok(line) => line.uuid.is_some() || line.kind == "queue-operation",
            // Cut off in the middle, or of a form that is not known.
            Err(_) => !line.trim_ascii().is_empty(),
        };
        if entry {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use pretty_assertions::assert_eq;
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    fn dirs(base: &Path) -> Dirs {
        let dirs = Dirs {
            cwd: base.join("work"),
            ctl: base.join("ctl"),
            home: base.join("home"),
            tmp: base.join("tmp"),
        };
        fs::create_dir(&dirs.home).unwrap();
        dirs
    }

    #[test]
    fn w_3_planted_things_are_no_transcripts_and_hold_nobody_up() {
        let dir = tempfile::tempdir().unwrap();
        let dirs = dirs(dir.path());
        let session = Uuid::from_u128(1);
        let line = format!("{{\"type\":\"user\",\"uuid\":\"{session}\"}}\n");
        let outside = dir.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join(file_name(session)), &line).unwrap();
        let told = || (size(&dirs, session), took_prompt(&dirs, session, 0));
        assert_eq!(told(), (0, false));
        let config = dirs.home.join(".claude");
        symlink(&outside, &config).unwrap();
        assert_eq!(told(), (0, false));
        fs::remove_file(&config).unwrap();
        fs::create_dir(&config).unwrap();
        let projects = config.join("projects");
        symlink(dir.path(), &projects).unwrap();
        assert_eq!(told(), (0, false));
        fs::remove_file(&projects).unwrap();
        mknodat(CWD, &projects, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert_eq!(told(), (0, false));
        fs::remove_file(&projects).unwrap();
        fs::create_dir_all(projects.join("mine")).unwrap();
        symlink(&outside, projects.join("linked")).unwrap();
        let file = projects.join("mine").join(file_name(session));
        symlink(outside.join(file_name(session)), &file).unwrap();
        assert_eq!(told(), (0, false));
        fs::remove_file(&file).unwrap();
        mknodat(CWD, &file, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert_eq!(told(), (0, false));
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        assert_eq!(told(), (0, false));
        fs::remove_dir(&file).unwrap();
        fs::write(&file, &line).unwrap();
        assert_eq!(told(), (line.len() as u64, true));
    }

    #[test]
    fn an_entry_is_looked_for_at_the_end_and_not_in_what_was_there_before() {
        let dir = tempfile::tempdir().unwrap();
        let dirs = dirs(dir.path());
        let (session, entry) = (Uuid::from_u128(1), Uuid::from_u128(2).to_string());
        let project = dirs.home.join(".claude/projects/mine");
        assert!(!holds(&dirs, session, 0, &entry));
        fs::create_dir_all(&project).unwrap();
        let path = project.join(file_name(session));
        let user = "{\"type\":\"user\",\"uuid\":\"00000000-0000-0000-0000-000000000009\"}\n";
        let said = format!("{{\"type\":\"assistant\",\"uuid\":\"{entry}\"}}\n");
        fs::write(&path, user).unwrap();
        assert!(!holds(&dirs, session, 0, &entry) && !holds(&dirs, session, 0, ""));
        fs::write(&path, format!("{user}{said}")).unwrap();
        assert!(holds(&dirs, session, 0, &entry) && holds(&dirs, session, user.len() as u64, &entry));
        // That was of an earlier turn.
        let before = (user.len() + said.len()) as u64;
        fs::write(&path, format!("{user}{said}{user}")).unwrap();
        assert!(!holds(&dirs, session, before, &entry));
        // However long the turn was before it.
        let long = "x".repeat(usize::try_from(END_MAX).unwrap() + 1);
        fs::write(&path, format!("{user}{long}\n{said}{user}")).unwrap();
        assert!(holds(&dirs, session, user.len() as u64, &entry));
    }

    #[test]
    fn w_3_a_transcript_without_an_end_is_not_read_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let dirs = dirs(dir.path());
        let session = Uuid::from_u128(1);
        let project = dirs.home.join(".claude/projects/mine");
        fs::create_dir_all(&project).unwrap();
        // Holes: a terabyte that takes no space.
        let file = File::create(project.join(file_name(session))).unwrap();
        file.set_len(1 << 40).unwrap();
        assert!(took_prompt(&dirs, session, 0));
    }
}
