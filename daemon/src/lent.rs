//! The login of the user's own CLI, lent to a conversation for one turn: it is a file there, which goes when the turn ends.

use std::io;
use std::path::Path;

use reveille_backends::{AgentDir, config_dir_in};

/// Where the CLI keeps the login of `claude /login`, below its configuration directory.
pub(crate) const LOGIN_FILE: &str = ".credentials.json";

/// A login that is lent. Dropped, it is taken back.
pub(crate) struct Lent(AgentDir);

impl Lent {
    /// Puts a login into the CLI's directory of a conversation.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn to(place: AgentDir, login: &str) -> io::Result<Self> {
        place.write(LOGIN_FILE, login.as_bytes())?;
        Ok(Self(place))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Err(error) = self.0.remove(LOGIN_FILE) {
            tracing::warn!(%error, "the login that a turn was lent stays in its conversation until the next start");
        }
    }
}

/// Takes back what a daemon that was killed has lent. `conversations`: where they have their directories.
pub(crate) fn take_back(conversations: &Path) {
    // silent-ok: without the directory there is nothing to take back.
    let all = std::fs::read_dir(conversations).into_iter().flatten();
    for conversation in all.flatten() {
        let home = conversation.path().join("home");
        let taken = match config_dir_in(&home) {
            Ok(Some(place)) => place.remove(LOGIN_FILE),
            Ok(None) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = taken {
            tracing::warn!(%error, home = %home.display(), "a login that a turn was lent may be left in its conversation");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_a_killed_daemon_has_lent_is_taken_back_and_no_link_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        for home in ["all/a/home/.claude", "all/b/home", "all/c", "own"] {
            std::fs::create_dir_all(at(home)).unwrap();
        }
        for login in ["all/a/home/.claude", "own"] {
            std::fs::write(at(login).join(LOGIN_FILE), "{}").unwrap();
        }
        symlink(at("own"), at("all/b/home/.claude")).unwrap();
        std::fs::write(at("all/file"), "").unwrap();
        take_back(&at("all"));
        assert!(!at("all/a/home/.claude").join(LOGIN_FILE).exists());
        assert!(at("own").join(LOGIN_FILE).exists());
        take_back(&at("none"));
    }
}
