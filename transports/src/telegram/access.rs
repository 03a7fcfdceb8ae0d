//! Who may talk to the agent: the file `access.json`, which is read anew for every event.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A file that is longer is no access file.
const MAX_BYTES: u64 = 1 << 20;

/// Who is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Everybody.
    pub open: bool,
    /// Ids of users.
    pub allow_from: BTreeSet<String>,
    /// Ids of chats. In a group that is listed every member may talk; if the list is there, a user may talk in these chats only.
    pub allow_in_chats: Option<BTreeSet<String>>,
    /// Why nobody is let in, with what to do; `None` if the file says who is.
    pub closed: Option<Closed>,
}

/// Why nobody is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// There is no access file: the bridge has not been set up.
    Missing,
    /// It cannot be read or does not hold together.
    Broken(String),
}

impl Access {
    fn nobody(closed: Closed) -> Self {
        Self {
            open: false,
            allow_from: BTreeSet::new(),
            allow_in_chats: None,
            closed: Some(closed),
        }
    }

    /// Everybody, for those who have asked for it in the configuration.
    fn everybody() -> Self {
        Self {
            open: true,
            allow_from: BTreeSet::new(),
            allow_in_chats: None,
            closed: None,
        }
    }

    /// Whether this user may talk to the agent in this chat.
    #[must_use]
    pub fn lets_in(&self, user: &str, chat: Option<&str>) -> bool {
        if self.open {
            return true;
        }
        let listed = self.allow_in_chats.as_ref();
        let chat_is_listed = listed.is_some_and(|listed| chat.is_some_and(|chat| listed.contains(chat)));
        // The id of a group begins with a minus.
        if chat_is_listed && chat.is_some_and(|chat| chat.starts_with('-')) {
            return true;
        }
        self.allow_from.contains(user) && (listed.is_none() || chat_is_listed)
    }

    /// What a file with these words says.
    ///
    /// # Errors
    /// What is wrong with it.
    fn parse(text: &[u8]) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(text).map_err(|error| format!("it is no JSON: {error}"))?;
        let Value::Object(fields) = value else {
            return Err("it is no JSON object".into());
        };
        let policy = fields.get("dmPolicy").and_then(Value::as_str);
        // Pairing codes belong to another program; whoever has been paired is in `allowFrom`.
        let open = match policy {
            Some("open") => true,
            Some("pairing" | "allowlist") => false,
            _ => return Err("`dmPolicy` must be \"open\", \"allowlist\" or \"pairing\"".into()),
        };
        let allow_from = fields
            .get("allowFrom")
            .and_then(strings)
            .ok_or("`allowFrom` must be a list of user ids as strings, such as [\"4711\"]")?;
        let allow_in_chats = match fields.get("allowInChats") {
            None => None,
            Some(listed) => Some(
                strings(listed).ok_or("`allowInChats` must be a list of chat ids as strings, such as [\"-1001\"]")?,
            ),
        };
        for key in ["groups", "pending"] {
            if fields.get(key).is_some_and(|value| !value.is_object()) {
                return Err(format!("`{key}` must be an object"));
            }
        }
        Ok(Self {
            open,
            allow_from,
            allow_in_chats,
            closed: None,
        })
    }
}

fn strings(value: &Value) -> Option<BTreeSet<String>> {
    value
        .as_array()?
        .iter()
        .map(|entry| entry.as_str().map(str::to_owned))
        .collect()
}

/// Where the access file is, and what its absence means.
#[derive(Debug, Clone)]
pub struct AccessFile {
    path: PathBuf,
    required: bool,
}

impl AccessFile {
    /// `access.json` in this directory. Without it nobody is let in, or everybody if it is not `required`.
    #[must_use]
    pub fn in_dir(dir: &Path, required: bool) -> Self {
        Self {
            path: dir.join("access.json"),
            required,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says now. Whatever is wrong with it, nobody is let in.
    #[must_use]
    pub fn read(&self) -> Access {
        match self.bytes() {
            Ok(text) => Access::parse(&text).unwrap_or_else(|reason| Access::nobody(Closed::Broken(reason))),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.required => Access::everybody(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Access::nobody(Closed::Missing),
            Err(error) => Access::nobody(Closed::Broken(format!("it cannot be read: {error}"))),
        }
    }

    fn bytes(&self) -> io::Result<Vec<u8>> {
        let about = std::fs::metadata(&self.path)?;
        if !about.is_file() || about.len() > MAX_BYTES {
            return Err(io::Error::other("it is no file of at most 1 MiB"));
        }
        std::fs::read(&self.path)
    }

    /// For the operator: what is closed, and how to open it.
    #[must_use]
    pub fn explain(&self, access: &Access) -> Option<String> {
        let path = self.path.display();
        let example = r#"{"dmPolicy": "allowlist", "allowFrom": ["YOUR USER ID"]}"#;
        Some(match access.closed.as_ref()? {
            Closed::Missing => format!(
                "nobody may talk to the bot: there is no {path}; to open it, write {example} there; \
                 the bot tells everybody who writes to it their user id"
            ),
            Closed::Broken(reason) => {
                format!(
                    "nobody may talk to the bot: {path}: {reason}; it must look like {example}; it is read anew at once"
                )
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn access(text: &str) -> Access {
        Access::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn open_is_for_everybody() {
        let access = access(r#"{"dmPolicy": "open", "allowFrom": []}"#);
        assert!(access.lets_in("7", Some("7")) && access.lets_in("7", None) && access.lets_in("7", Some("-1")));
    }

    #[test]
    fn an_allowlist_is_for_those_on_it() {
        for policy in ["allowlist", "pairing"] {
            let access = access(&format!(r#"{{"dmPolicy": "{policy}", "allowFrom": ["42"]}}"#));
            assert!(access.lets_in("42", Some("42")) && access.lets_in("42", None) && access.lets_in("42", Some("-1")));
            assert!(!access.lets_in("7", Some("7")) && !access.lets_in("7", None) && !access.lets_in("", Some("42")));
        }
        let nobody = access(r#"{"dmPolicy": "allowlist", "allowFrom": []}"#);
        assert!(!nobody.lets_in("42", Some("42")) && !nobody.lets_in("", None));
    }

    #[test]
    fn a_listed_group_is_for_all_its_members_and_no_other_chat() {
        let access = access(r#"{"dmPolicy": "allowlist", "allowFrom": ["42"], "allowInChats": ["-100", "7"]}"#);
        assert!(access.lets_in("9", Some("-100")) && access.lets_in("42", Some("-100")));
        assert!(!access.lets_in("9", Some("-200")) && !access.lets_in("42", Some("-200")));
        // A private chat is no group: both lists count.
        assert!(
            !access.lets_in("7", Some("7")) && !access.lets_in("42", Some("42")) && access.lets_in("42", Some("7"))
        );
        assert!(!access.lets_in("42", None));
    }

    #[test]
    fn an_empty_list_of_chats_is_no_chat() {
        let access = access(r#"{"dmPolicy": "allowlist", "allowFrom": ["42"], "allowInChats": []}"#);
        assert!(!access.lets_in("42", Some("42")) && !access.lets_in("42", None));
    }

    #[test]
    fn what_does_not_hold_together_lets_nobody_in() {
        let dir = tempfile::tempdir().unwrap();
        // Not even where a missing file opens it.
        let file = AccessFile::in_dir(dir.path(), false);
        for text in [
            "",
            "null",
            "[]",
            "\"open\"",
            "42",
            "{}",
            "{\"dmPolicy\": \"open\"",
            r#"{"dmPolicy": "open"}"#,
            r#"{"allowFrom": ["42"]}"#,
            r#"{"dmPolicy": "Open", "allowFrom": []}"#,
            r#"{"dmPolicy": true, "allowFrom": []}"#,
            r#"{"dmPolicy": "open", "allowFrom": "42"}"#,
            r#"{"dmPolicy": "open", "allowFrom": [42]}"#,
            r#"{"dmPolicy": "open", "allowFrom": ["42"], "allowInChats": [1]}"#,
            r#"{"dmPolicy": "open", "allowFrom": ["42"], "allowInChats": null}"#,
            r#"{"dmPolicy": "open", "allowFrom": ["42"], "groups": []}"#,
            r#"{"dmPolicy": "open", "allowFrom": ["42"], "pending": 1}"#,
        ] {
            std::fs::write(file.path(), text).unwrap();
            let access = file.read();
            assert!(
                !access.lets_in("42", Some("42")) && !access.lets_in("42", None),
                "{text}"
            );
            let explained = file.explain(&access).unwrap();
            assert!(
                explained.contains("access.json") && explained.contains("allowFrom"),
                "{explained}"
            );
        }
        std::fs::remove_file(file.path()).unwrap();
        std::fs::create_dir(file.path()).unwrap();
        assert!(matches!(file.read().closed, Some(Closed::Broken(_))));
    }

    #[test]
    fn without_a_file_it_is_closed_and_says_how_to_open_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = AccessFile::in_dir(dir.path(), true);
        let access = file.read();
        assert_eq!(access, Access::nobody(Closed::Missing));
        let explained = file.explain(&access).unwrap();
        assert!(explained.contains(&file.path().display().to_string()) && explained.contains("dmPolicy"));
        // Asked for by the configuration.
        assert_eq!(AccessFile::in_dir(dir.path(), false).read(), Access::everybody());
    }

    #[test]
    fn a_change_counts_at_once_and_unknown_keys_do_not_matter() {
        let dir = tempfile::tempdir().unwrap();
        let file = AccessFile::in_dir(dir.path(), true);
        std::fs::write(
            file.path(),
            r#"{"dmPolicy": "allowlist", "allowFrom": ["1"], "x": 1, "groups": {}, "pending": {}}"#,
        )
        .unwrap();
        assert!(file.read().lets_in("1", None) && !file.read().lets_in("2", None));
        std::fs::write(file.path(), r#"{"dmPolicy": "allowlist", "allowFrom": ["2"]}"#).unwrap();
        assert!(file.read().lets_in("2", None) && !file.read().lets_in("1", None));
        assert_eq!(file.explain(&file.read()), None);
    }
}
