//! The files of one turn. The child may write in its home: nothing there is trusted
//! to be whole, or to be a file and not a link.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::agent_dir::AgentDir;
use crate::turn::{Dirs, SystemPrompt};

/// Directory of the CLI in the home of a conversation.
const CONFIG: &str = ".claude";
const PROMPT: &str = "system-prompt.txt";
const SERVERS: &str = "mcp.json";
/// Settings and lists of servers are small; whatever is larger than this is neither.
const WHOLE_MAX: u64 = 4 << 20;

pub(super) fn prompt_file(dirs: &Dirs) -> PathBuf {
    dirs.ctl.join(PROMPT)
}

pub(super) fn mcp_file(dirs: &Dirs) -> PathBuf {
    dirs.ctl.join(SERVERS)
}

pub(super) fn config_dir(dirs: &Dirs) -> PathBuf {
    dirs.home.join(CONFIG)
}

/// The CLI's own directory of a conversation, made when it is not there. What is there instead, such as a link, goes: what
/// is written here would end up wherever it leads.
///
/// # Errors
/// Those of the file system.
pub fn make_config_dir(dirs: &Dirs) -> io::Result<AgentDir> {
    AgentDir::open(&dirs.home)?.make(CONFIG)
}

/// The same, if it is there.
pub(super) fn existing_config_dir(dirs: &Dirs) -> io::Result<Option<AgentDir>> {
    config_dir_in(&dirs.home)
}

/// The CLI's own directory in the home of a conversation, if it is there.
///
/// # Errors
/// Those of the file system.
pub fn config_dir_in(home: &Path) -> io::Result<Option<AgentDir>> {
    AgentDir::open(home)?.existing(CONFIG)
}

/// Writes what the CLI will read. A prompt file of an earlier turn goes when there is no prompt now; an `mcp.json` that the
/// daemon wrote, and settings that the CLI wrote, stay as long as they can be read.
pub(super) fn write_files(dirs: &Dirs, prompt: Option<&SystemPrompt>) -> io::Result<()> {
    let ctl = AgentDir::open(&dirs.ctl)?;
    match prompt {
        Some(prompt) => write_unless_same(&ctl, PROMPT, prompt.text.as_bytes())?,
        None => ctl.remove(PROMPT)?,
    }
    write_unless_whole(&ctl, SERVERS, br#"{"mcpServers":{}}"#)?;
    // The CLI deletes transcripts after 30 days, and with them what a conversation knows. 36 500 days are a century.
    write_unless_whole(
        &make_config_dir(dirs)?,
        "settings.json",
        br#"{"cleanupPeriodDays":36500}"#,
    )
}

/// Most prompts are those of the turn before, and putting a file on disk takes longer than reading it.
fn write_unless_same(dir: &AgentDir, name: &str, bytes: &[u8]) -> io::Result<()> {
    // silent-ok: what cannot be read is replaced, or that fails.
    let there = dir
        .read(name, bytes.len().try_into().unwrap_or(u64::MAX))
        .ok()
        .flatten();
    if there.is_some_and(|there| there == bytes) {
        return Ok(());
    }
    dir.write(name, bytes)
}

/// Replaces what is no readable file: a full disk or a power cut may have left an empty one, with which every later turn
/// would fail.
fn write_unless_whole(dir: &AgentDir, name: &str, bytes: &[u8]) -> io::Result<()> {
    let whole = match dir.read(name, WHOLE_MAX) {
        Ok(text) => text.is_some_and(|text| serde_json::from_slice::<Map<String, Value>>(&text).is_ok()),
        // Its own mode forbids it.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => false,
        Err(error) => return Err(error),
    };
    if whole { Ok(()) } else { dir.write(name, bytes) }
}
