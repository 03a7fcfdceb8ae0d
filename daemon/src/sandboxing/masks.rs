//! What no agent ever sees, whatever its definition or the configuration says: the daemon's own files, credentials, and those
//! of the hub and of vaults.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::config::{Config, Place, Secret};

/// The CLI's own directory in the home of the daemon's user: its login, what was said to it, keys in its settings.
const CLI: &str = ".claude";
/// Notes of the CLI, which hold its login as well; what begins with the same name is a copy.
const NOTES: &str = ".claude.json";
/// The login in a directory of the CLI.
const LOGIN: &str = ".credentials.json";
/// What is stored for agents, in the state directory.
const CREDENTIALS: &str = "credentials.json";
/// The program itself, where the CLI keeps it in its own directory.
const PROGRAM: &str = "local";

/// The homes of the daemon's user that the machine knows: a service is often started without the variable, or with that of
/// somebody else.
#[must_use]
pub(super) fn known_homes() -> Vec<PathBuf> {
    // silent-ok: a machine without the file knows its users otherwise.
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let listed = home_of(rustix::process::geteuid().as_raw(), &users);
    // Asks the machine where the variable is not set.
    listed.into_iter().chain(std::env::home_dir()).collect()
}

/// The home of a user, by the text of `/etc/passwd`.
fn home_of(user: u32, users: &str) -> Option<PathBuf> {
    let id = user.to_string();
    let line = users.lines().find(|line| line.split(':').nth(2) == Some(id.as_str()))?;
    line.split(':').nth(5).map(PathBuf::from)
}

/// Everything that is masked, as it is named. `environment` is the daemon's own; `homes`: of its user, besides the one there.
#[must_use]
pub(super) fn named(
    config: &Config,
    state: &Path,
    environment: &[(OsString, OsString)],
    homes: Vec<PathBuf>,
) -> Vec<PathBuf> {
    let variable = |name: &str| {
        let found = environment.iter().find(|(known, _)| known == OsStr::new(name));
        found
            .map(|(_, value)| PathBuf::from(value))
            .filter(|path| path.is_absolute())
    };
    // By itself too: it may be a link that leads elsewhere.
    let mut all = vec![state.to_owned(), state.join(CREDENTIALS)];
    all.extend(config.file.as_ref().and_then(|file| std::path::absolute(file).ok())); // silent-ok: there is a directory
    all.extend(config.hub.place.home.clone());
    let homes: Vec<PathBuf> = variable("HOME").into_iter().chain(homes).collect();
    for home in homes.iter().filter(|home| home.is_absolute()) {
        all.push(home.join(".parachute"));
        all.extend([CLI, NOTES].map(|name| home.join(name)));
        // By itself too: it may be a link that leads elsewhere.
        all.push(home.join(CLI).join(LOGIN));
    }
    if let Some(dir) = variable("CLAUDE_CONFIG_DIR") {
        all.extend([LOGIN, NOTES].map(|file| dir.join(file)));
        // Nobody would see anything of a home.
        if !homes.iter().any(|home| home.starts_with(&dir)) {
            all.push(dir);
        }
    }
    let secret = |secret: &Option<Secret>| match secret {
        Some(Secret::File(path)) => std::path::absolute(path).ok(), // silent-ok: likewise
        _ => None,
    };
    all.extend(secret(&config.hub.token));
    for vault in config.vaults.all() {
        match &vault.place {
            Place::Embedded => {}
            // Notes are written through the daemon, which looks at what they would do.
            Place::Folder(dir) => all.push(dir.clone()),
            Place::Parachute(peer) => {
                all.extend(secret(&peer.token));
                all.extend(secret(&peer.webhook_secret));
            }
        }
    }
    all.retain(|path| path.parent().is_some());
    all.sort();
    all.dedup();
    all
}

/// Where the CLI's program is that must be seen although it is below something masked.
pub(super) fn program(named: &[PathBuf]) -> impl Iterator<Item = PathBuf> {
    let own = named.iter().filter(|path| path.ends_with(CLI));
    own.map(|dir| dir.join(PROGRAM)).filter(|dir| dir.is_dir())
}

/// The CLI keeps copies of its notes beside them, of one day or another.
fn copies(notes: &Path) -> impl Iterator<Item = PathBuf> {
    // silent-ok: where nothing can be listed by us, nothing can be by our children.
    let beside = notes.parent().and_then(|dir| std::fs::read_dir(dir).ok());
    let is_copy = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(NOTES.as_bytes()))
    };
    beside
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(is_copy)
}

/// The same with all links followed, as they are now, beside the names, and with the copies that there are.
#[must_use]
pub(super) fn real(named: &[PathBuf]) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = named.to_vec();
    all.extend(
        named
            .iter()
            .filter(|path| path.ends_with(NOTES))
            .flat_map(|notes| copies(notes)),
    );
    // silent-ok: what is not there has nothing to hide, and its name is masked all the same.
    all.extend(named.iter().filter_map(|path| path.canonicalize().ok()));
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn everything_that_holds_a_secret_is_named_and_followed() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let home = base.join("home");
        std::fs::create_dir_all(home.join(".claude")).unwrap();
        std::fs::create_dir_all(base.join("state")).unwrap();
        std::fs::create_dir_all(base.join("notes")).unwrap();
        std::fs::write(base.join("login"), "{}").unwrap();
        std::fs::write(base.join("token"), "t").unwrap();
        symlink(base.join("login"), home.join(".claude/.credentials.json")).unwrap();
        std::fs::create_dir_all(home.join(".claude/local")).unwrap();
        for copy in [".claude.json.backup", ".claude.json.backup.17", ".claude.js"] {
            std::fs::write(home.join(copy), "{}").unwrap();
        }
        let file = base.join("reveille.toml");
        let text = format!(
            "[hub]\ntoken_file = {token:?}\n[[vault]]\nname = \"a\"\nkind = \"folder\"\npath = {notes:?}\n\
             [[vault]]\nname = \"b\"\nkind = \"parachute\"\nurl = \"http://127.0.0.1:1940\"\nvault = \"b\"\n\
             token_file = {other:?}\n",
            token = base.join("token"),
            notes = base.join("notes"),
            other = base.join("other-token"),
        );
        std::fs::write(&file, text).unwrap();
        let variables = [
            ("HOME".to_owned(), home.display().to_string()),
            ("PARACHUTE_HOME".to_owned(), base.join("hub").display().to_string()),
            ("CLAUDE_CONFIG_DIR".to_owned(), base.join("cc").display().to_string()),
        ];
        let config = Config::load(Some(&file), true, variables.clone()).unwrap();
        let environment: Vec<(OsString, OsString)> = variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        let named = named(&config, &base.join("state"), &environment, Vec::new());
        assert_eq!(program(&named).collect::<Vec<_>>(), [home.join(".claude/local")]);
        let masked = real(&named);
        let expected = [
            "cc",
            "cc/.claude.json",
            "cc/.credentials.json",
            "home/.claude",
            "home/.claude/.credentials.json",
            "home/.claude.json",
            "home/.claude.json.backup",
            "home/.claude.json.backup.17",
            "home/.parachute",
            "hub",
            "login",
            "notes",
            "other-token",
            "reveille.toml",
            "state",
            "state/credentials.json",
            "token",
        ];
        let mut expected = expected.map(|path| base.join(path)).to_vec();
        expected.sort();
        assert_eq!(masked, expected);
    }

    #[test]
    fn the_login_and_the_hub_are_hidden_in_every_home_of_the_daemons_user() {
        let users = "root:x:0:0:root:/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\n";
        assert_eq!(home_of(1000, users), Some("/home/me".into()));
        assert_eq!(home_of(100, users), None);
        let hidden = |variable: Option<&str>| {
            let config = Config::load(None, true, []).unwrap();
            let environment: Vec<(OsString, OsString)> =
                variable.map(|home| ("HOME".into(), home.into())).into_iter().collect();
            let homes = home_of(1000, users).into_iter().collect();
            named(&config, Path::new("/state"), &environment, homes)
        };
        for (variable, homes) in [
            (None, &["/home/me"][..]),
            (Some(""), &["/home/me"]),
            (Some("/home/me"), &["/home/me"]),
            (Some("/srv/it"), &["/home/me", "/srv/it"]),
        ] {
            let mut expected = ["/state", "/state/credentials.json"].map(PathBuf::from).to_vec();
            for home in homes {
                let names = [".claude", ".claude.json", ".claude/.credentials.json", ".parachute"];
                expected.extend(names.map(|name| Path::new(home).join(name)));
            }
            expected.sort();
            assert_eq!(hidden(variable), expected, "{variable:?}");
        }
        assert!(known_homes().iter().all(|home| home.is_absolute()));
    }
}
