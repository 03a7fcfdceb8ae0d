//! `mounts`: directories of the host that an agent gets besides its own.

use serde_json::{Map, Value};

/// One directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where it is on the host; absolute.
    pub host_path: String,
    /// Where the agent is to see it; absolute. Kept and shown: an agent sees every directory at its own path.
    pub mount_path: String,
    /// What may be done there.
    pub mode: MountMode,
    /// A label for directories that several agents share; for people.
    pub shared: Option<String>,
}

/// What may be done in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountMode {
    /// Read.
    Ro,
    /// Read and write.
    Rw,
}

impl MountMode {
    /// The word in metadata.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ro => "ro",
            Self::Rw => "rw",
        }
    }
}

/// How an entry is written, for whoever wrote it otherwise.
const SHAPE: &str = r#"write it like {"hostPath": "/srv/data", "mountPath": "/data", "mode": "ro"}"#;

/// The entries that can be read, and what is wrong with the others.
pub(super) fn parse(value: &Value) -> (Vec<Mount>, Vec<String>) {
    let parsed;
    let entries = match value {
        Value::Array(entries) => entries,
        Value::String(text) if text.trim().is_empty() => return Default::default(),
        Value::String(text) => match serde_json::from_str(text) {
            Ok(Value::Array(entries)) => {
                parsed = entries;
                &parsed
            }
            Ok(_) | Err(_) => {
                let why = format!("is no list in JSON, so nothing is mounted; each entry: {SHAPE}");
                return (Vec::new(), vec![why]);
            }
        },
        _ => {
            let why = format!("is no list, so nothing is mounted; each entry: {SHAPE}");
            return (Vec::new(), vec![why]);
        }
    };
    let (mut mounts, mut wrong) = (Vec::new(), Vec::new());
    for (at, entry) in entries.iter().enumerate() {
        match mount(entry) {
            Ok(mount) => mounts.push(mount),
            Err(why) => wrong.push(format!("entry {} is left out: {why}; {SHAPE}", at + 1)),
        }
    }
    (mounts, wrong)
}

fn mount(entry: &Value) -> Result<Mount, String> {
    let Value::Object(entry) = entry else {
        return Err("it is no object".into());
    };
    Ok(Mount {
        host_path: absolute(entry, "hostPath")?,
        mount_path: absolute(entry, "mountPath")?,
        mode: match entry.get("mode").and_then(Value::as_str).map(str::trim) {
            Some("ro") => MountMode::Ro,
            Some("rw") => MountMode::Rw,
            Some(other) => return Err(format!("its mode {other:?} is neither ro nor rw")),
            None => return Err("its mode is missing, ro or rw".into()),
        },
        shared: match entry.get("shared") {
            None | Some(Value::Null) => None,
            Some(Value::String(label)) if !label.trim().is_empty() => Some(label.trim().to_owned()),
            Some(_) => return Err("its `shared` is no text".into()),
        },
    })
}

fn absolute(entry: &Map<String, Value>, key: &str) -> Result<String, String> {
    match entry.get(key).and_then(Value::as_str).map(str::trim) {
        Some(path) if path.starts_with('/') => Ok(path.to_owned()),
        Some(path) => Err(format!("its {key} {path:?} is no absolute path")),
        None => Err(format!("its {key} is missing")),
    }
}
