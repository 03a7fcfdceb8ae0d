//! The files of one turn. The child may write in its home: nothing there is trusted
//! to be whole, or to be a file and not a link.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::turn::{Dirs, SystemPrompt};

pub(super) fn prompt_file(dirs: &Dirs) -> PathBuf {
    dirs.ctl.join("system-prompt.txt")
}

pub(super) fn mcp_file(dirs: &Dirs) -> PathBuf {
    dirs.ctl.join("mcp.json")
}

pub(super) fn config_dir(dirs: &Dirs) -> PathBuf {
    dirs.home.join(".claude")
}

/// Makes the CLI's own directory of a conversation. A link in its place is taken away: what is written here would end up
/// wherever it leads.
///
/// # Errors
/// Those of the file system.
pub fn make_config_dir(dirs: &Dirs) -> io::Result<PathBuf> {
    let config = config_dir(dirs);
    if fs::symlink_metadata(&config).is_ok_and(|meta| meta.is_symlink()) {
        fs::remove_file(&config)?;
    }
    fs::create_dir_all(&config)?;
    Ok(config)
}

/// Writes what the CLI will read. A prompt file of an earlier turn goes when there is no prompt now; an `mcp.json` that the
/// daemon wrote, and settings that the CLI wrote, stay as long as they can be read.
pub(super) fn write_files(dirs: &Dirs, prompt: Option<&SystemPrompt>) -> io::Result<()> {
    remove_if_there(&prompt_file(dirs))?;
    if let Some(prompt) = prompt {
        write_new(&prompt_file(dirs), prompt.text.as_bytes())?;
    }
    write_unless_whole(&mcp_file(dirs), br#"{"mcpServers":{}}"#)?;
    let config = make_config_dir(dirs)?;
    // The CLI deletes transcripts after 30 days, and with them what a conversation knows. 36 500 days are a century.
    write_unless_whole(&config.join("settings.json"), br#"{"cleanupPeriodDays":36500}"#)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Replaces what is no readable file: a full disk or a power cut may have left an empty one, with which every later turn
/// would fail.
fn write_unless_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if is_whole(path)? {
        return Ok(());
    }
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    remove_if_there(&new)?;
    write_new(&new, bytes)?;
    // Takes the place of a link too, instead of what it leads to.
    fs::rename(&new, path)
}

/// Whether this is a file, no link, that holds a JSON object.
fn is_whole(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_file() => Ok(serde_json::from_slice::<Map<String, Value>>(&fs::read(path)?).is_ok()),
        Ok(_) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// A new file, so that a planted link is never followed; on disk when this returns.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
