//! What a session remembers, stored where the CLI stores it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use serde_json::{Value, json};
use uuid::Uuid;

use super::args::{Settings, Start};

/// Why a session cannot begin; the text is the CLI's.
pub(super) enum Refusal {
    Unknown(String),
    Taken(String),
}

pub(super) struct Transcript {
    path: PathBuf,
    session: Uuid,
    /// Messages of the user so far.
    pub(super) messages: usize,
    /// To be stored later.
    held: Option<Vec<Value>>,
}

impl Transcript {
    pub(super) fn open(settings: &Settings) -> Result<Self, Refusal> {
        let session = settings.session();
        let path = projects().join(slug()).join(format!("{session}.jsonl"));
        let messages = fs::read(&path).map(|bytes| count(&bytes));
        match (settings.start, messages) {
            (Start::New(_), Ok(_)) => Err(Refusal::Taken(format!(
                "Error: Session ID {session} is already in use."
            ))),
            (Start::New(_), Err(_)) => Ok(Self {
                path,
                session,
                messages: 0,
                held: None,
            }),
            (Start::Resume(_), Ok(messages)) if messages > 0 => Ok(Self {
                path,
                session,
                messages,
                held: None,
            }),
            (Start::Resume(_), _) => Err(Refusal::Unknown(format!(
                "No conversation found with session ID: {session}"
            ))),
        }
    }

    /// How many messages of the user hold a text, the present one included.
    pub(super) fn times_told(&self, text: &str) -> usize {
        let bytes = fs::read(&self.path).unwrap_or_default(); // silent-ok: what cannot be read was not told
        let lines = bytes
            .split(|&byte| byte == b'\n')
            .filter_map(|line| serde_json::from_slice::<Value>(line).ok());
        let holds = |line: &Value| {
            line["type"] == "user"
                && line["message"]["content"]
                    .as_str()
                    .is_some_and(|told| told.contains(text))
        };
        lines.filter(holds).count()
    }

    /// As with the CLI, a turn goes on when its transcript cannot be written.
    pub(super) fn user(&mut self, text: &str) {
        self.messages += 1;
        self.append(&json!({"type": "user", "message": {"role": "user", "content": text}}));
    }

    /// Something that was said, under the identity that it was told with.
    pub(super) fn assistant(&mut self, id: Uuid, content: &Value) {
        let line = json!({"type": "assistant", "uuid": id, "message": {"role": "assistant", "content": [content]}});
        match &mut self.held {
            Some(held) => held.push(line),
            None => self.append(&line),
        }
    }

    /// What is said from now on is stored later.
    pub(super) fn hold(&mut self) {
        self.held.get_or_insert_default();
    }

    /// Stores what was held.
    pub(super) fn release(&mut self) {
        for line in self.held.take().unwrap_or_default() {
            self.append(&line);
        }
    }

    /// Leaves a file in which nothing can be read.
    pub(super) fn spoil(&self) {
        // silent-ok: a test that needs it sees that the session is still there.
        let _ = fs::write(&self.path, b"\0\0\0\0\n");
    }

    pub(super) fn remove(&self) {
        // silent-ok: as above.
        let _ = fs::remove_file(&self.path);
    }

    fn append(&self, line: &Value) {
        // silent-ok: the CLI says nothing either when the disk is full.
        let _ = self.try_append(line);
    }

    fn try_append(&self, line: &Value) -> io::Result<()> {
        if let Some(dir) = self.path.parent() {
            fs::create_dir_all(dir)?;
        }
        let mut line = line.clone();
        line["sessionId"] = json!(self.session);
        if line["uuid"].is_null() {
            line["uuid"] = json!(Uuid::new_v4());
        }
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&self.path)?;
        file.write_all(format!("{line}\n").as_bytes())
    }
}

fn count(bytes: &[u8]) -> usize {
    // Lines that cannot be read are passed over, as the CLI does.
    let lines = bytes
        .split(|&byte| byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    lines
        .filter(|line| line.get("type").and_then(Value::as_str) == Some("user"))
        .count()
}

fn projects() -> PathBuf {
    let config = std::env::var_os("CLAUDE_CONFIG_DIR").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".claude");
    config.unwrap_or_else(home).join("projects")
}

/// The working directory with every other character as `-`.
fn slug() -> String {
    let cwd = std::env::current_dir().and_then(fs::canonicalize).unwrap_or_default();
    let plain = |unit: u16| {
        char::from_u32(unit.into())
            .filter(char::is_ascii_alphanumeric)
            .unwrap_or('-')
    };
    cwd.to_string_lossy().encode_utf16().map(plain).collect()
}
