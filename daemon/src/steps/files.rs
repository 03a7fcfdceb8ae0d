//! The files: `<thread>/<turn>.events`, compressed lines of JSON, and `<turn>.calls`, compressed texts with a line before each.

use std::collections::HashMap;
use std::fs::{DirBuilder, DirEntry, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::read::Side;
use super::{Call, Place};

/// Ends of the names.
const EVENTS: &str = "events";
const CALLS: &str = "calls";
/// Stands where events are left out.
pub(super) const CUT: &str = r#"{"cut":true}"#;
/// Compressed bytes of earlier attempts beyond which they are not kept with the next one.
const EVENTS_MAX: usize = 2 << 20;
/// Compressed bytes of the long inputs and answers of a turn. Later ones are left out.
const CALLS_MAX: u64 = 16 << 20;
/// Longest name of a call or a tool; a longer one is nobody's who is served here.
const NAME_MAX: usize = 256;

/// What stands before a text.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) id: String,
    pub(super) tool: Option<String>,
    pub(super) side: Side,
    pub(super) cut: bool,
    /// Bytes that follow, compressed.
    pub(super) bytes: u64,
}

pub(super) fn events(dir: &Path, place: Place) -> PathBuf {
    path(dir, place, EVENTS)
}

pub(super) fn calls(dir: &Path, place: Place) -> PathBuf {
    path(dir, place, CALLS)
}

fn path(dir: &Path, place: Place, kind: &str) -> PathBuf {
    dir.join(place.thread.to_string())
        .join(format!("{}.{kind}", place.turn))
}

fn make_parent(path: &Path) -> io::Result<&Path> {
    let parent = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    Ok(parent)
}

fn compressed<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    for part in parts {
        encoder.write_all(part)?;
    }
    encoder.finish()
}

/// An event without its number, which means nothing once it is not live any more.
fn without_number(event: &Bytes) -> [&[u8]; 2] {
    match event.strip_prefix(b"{\"seq\":") {
        Some(rest) => match rest.iter().position(|byte| *byte == b',') {
            Some(comma) => [b"{", &rest[comma + 1..]],
            None => [b"", event],
        },
        None => [b"", event],
    }
}

/// Adds the events of an attempt to those of earlier ones. The file is whole at any time.
pub(super) fn add_events(dir: &Path, place: Place, head: &[Bytes], tail: &[Bytes], cut: bool) -> io::Result<()> {
    let path = events(dir, place);
    let parent = make_parent(&path)?;
    let mut before = match std::fs::read(&path) {
        Ok(before) => before,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let dropped = before.len() > EVENTS_MAX;
    if dropped {
        before.clear();
    }
    let mark = |set: bool| set.then_some([CUT.as_bytes(), b"\n"]).into_iter().flatten();
    let lines = |events: &'_ [Bytes]| -> Vec<u8> {
        let parts = events.iter().flat_map(|event| {
            let [first, rest] = without_number(event);
            [first, rest, b"\n"]
        });
        parts.flatten().copied().collect()
    };
    let (first, last) = (lines(head), lines(tail));
    let parts = mark(dropped)
        .chain([first.as_slice()])
        .chain(mark(cut))
        .chain([last.as_slice()]);
    let mut file = tempfile::NamedTempFile::new_in(parent)?;
    file.write_all(&before)?;
    file.write_all(&compressed(parts)?)?;
    file.persist(&path).map_err(|error| error.error)?;
    Ok(())
}

/// How long the files of calls are that this process has written to: what it did not write may end in the middle.
#[derive(Debug, Default)]
pub(super) struct Written(HashMap<PathBuf, u64>);

impl Written {
    /// Files that are known at once; an unknown one is read through once more.
    const MAX: usize = 256;

    fn is(&self, path: &Path, length: u64) -> bool {
        self.0.get(path) == Some(&length)
    }

    fn now(&mut self, path: PathBuf, length: u64) {
        if self.0.len() >= Self::MAX {
            self.0.clear();
        }
        self.0.insert(path, length);
    }
}

/// Adds a long input or answer. One before it that was not written to its end goes: it would hide all that follow.
pub(super) fn add_call(dir: &Path, place: Place, call: &Call, written: &mut Written) -> io::Result<()> {
    if call.id.len() > NAME_MAX || call.tool.as_ref().is_some_and(|tool| tool.len() > NAME_MAX) {
        return Ok(());
    }
    let path = calls(dir, place);
    make_parent(&path)?;
    let text = compressed([call.whole.text.as_bytes()])?;
    let head = Head {
        id: call.id.clone(),
        tool: call.tool.clone(),
        side: call.side,
        cut: call.whole.cut,
        bytes: text.len() as u64,
    };
    let mut record = serde_json::to_vec(&head)?;
    record.push(b'\n');
    record.extend(text);
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path)?;
    let mut length = file.metadata()?.len();
    if length > 0 && !written.is(&path, length) {
        length = super::read::whole_calls(&file)?;
        file.set_len(length)?;
    }
    if length + record.len() as u64 > CALLS_MAX {
        return Ok(());
    }
    file.write_all(&record)?;
    written.now(path, length + record.len() as u64);
    Ok(())
}

/// Removes what nobody has written to since `before`, and answers how many files that were.
///
/// # Errors
/// The directory cannot be listed.
pub(crate) fn sweep(dir: &Path, before: SystemTime) -> io::Result<u64> {
    let mut removed = 0;
    let threads = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        threads => threads?,
    };
    for thread in threads {
        let thread = thread?;
        if thread
            .file_name()
            .to_str()
            .is_none_or(|name| name.parse::<Uuid>().is_err())
            || !thread.file_type()?.is_dir()
        {
            continue;
        }
        for file in std::fs::read_dir(thread.path())? {
            // Of whatever name: a write that was cut off leaves one of its own. One under way has its name for a moment only.
            match remove_old(&file?, before) {
                Ok(gone) => removed += u64::from(gone),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        if let Err(error) = std::fs::remove_dir(thread.path())
            && error.kind() != io::ErrorKind::DirectoryNotEmpty
        {
            return Err(error);
        }
    }
    Ok(removed)
}

fn remove_old(file: &DirEntry, before: SystemTime) -> io::Result<bool> {
    let meta = file.metadata()?;
    let is_old = meta.is_file() && meta.modified()? <= before;
    if is_old {
        std::fs::remove_file(file.path())?;
    }
    Ok(is_old)
}
