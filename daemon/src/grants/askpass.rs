//! How Git gets the token of a repository that was granted: by a script that it asks. The script holds no token, only the names
//! of variables, and answers for the granted addresses alone.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use reveille_backends::AgentDir;

use super::give::Repository;

/// The variables that make Git use the script.
pub(crate) const VARIABLES: [&str; 5] = [
    "GIT_ASKPASS",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_KEY_0",
    "GIT_CONFIG_VALUE_0",
    "GIT_TERMINAL_PROMPT",
];

/// Name of the script.
pub(crate) const FILE: &str = "git-askpass.sh";

/// Writes the script of a turn below `ctl`, and answers the variables that make Git use it. Without a repository there is no
/// script, and one of an earlier turn is removed.
///
/// # Errors
/// Those of the file system.
pub(crate) fn offer(ctl: &Path, repositories: &[Repository]) -> io::Result<BTreeMap<String, String>> {
    let dir = AgentDir::open(ctl)?;
    if repositories.is_empty() {
        dir.remove(FILE)?;
        return Ok(BTreeMap::new());
    }
    dir.write(FILE, script(repositories).as_bytes())?;
    let file = ctl.join(FILE);
    fs::set_permissions(&file, Permissions::from_mode(0o700))?;
    let variables = [
        ("GIT_ASKPASS", file.display().to_string()),
        ("GIT_TERMINAL_PROMPT", "0".into()),
        // So that Git says for which repository it asks.
        ("GIT_CONFIG_COUNT", "1".into()),
        ("GIT_CONFIG_KEY_0", "credential.useHttpPath".into()),
        ("GIT_CONFIG_VALUE_0", "true".into()),
    ];
    Ok(variables.map(|(name, value)| (name.to_owned(), value)).into())
}

/// Git asks `Username for 'https://host/path': ` and `Password for 'https://name@host/path': `.
fn script(repositories: &[Repository]) -> String {
    let mut text = String::from(
        "#!/bin/sh\n\
         case \"$1\" in\n\
         [Uu]sername*) printf '%s\\n' x-access-token; exit 0 ;;\n\
         esac\n\
         url=${1#*\\'}\n\
         url=${url%\\'*}\n\
         rest=${url#*://}\n\
         case \"${rest%%/*}\" in\n\
         *@*) url=${url%%://*}://${rest#*@} ;;\n\
         esac\n\
         url=${url%/}\n\
         url=${url%.git}\n\
         case \"$url\" in\n",
    );
    for one in repositories {
        let url = one.url.strip_suffix('/').unwrap_or(&one.url);
        let url = url.strip_suffix(".git").unwrap_or(url);
        text.push_str(&format!("{}) printf '%s\\n' \"${}\" ;;\n", quoted(url), one.token_env));
    }
    text.push_str("*) exit 1 ;;\nesac\n");
    text
}

/// Text that means itself to a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use pretty_assertions::assert_eq;

    use super::*;

    fn repository(url: &str, token_env: &str) -> Repository {
        Repository {
            url: url.into(),
            token_env: token_env.into(),
        }
    }

    fn answer(script: &Path, prompt: &str) -> (bool, String) {
        let output = Command::new(script)
            .arg(prompt)
            .env("T1", "token one")
            .env("T2", "token two")
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    }

    #[test]
    fn r_grant_50_git_gets_the_token_of_the_repository_that_it_asks_for_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let all = [
            repository("https://host.example/git/brain", "T1"),
            repository("https://host.example/git/brain-b.git", "T2"),
            repository("http://127.0.0.1:7/it's", "T2"),
        ];
        let env = offer(dir.path(), &all).unwrap();
        let file = dir.path().join(FILE);
        assert_eq!(env["GIT_ASKPASS"], file.display().to_string());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o700);
        let told = |text: &str| (true, format!("{text}\n"));
        let none = || (false, String::new());
        for (prompt, expected) in [
            (
                "Username for 'https://host.example/git/brain': ",
                told("x-access-token"),
            ),
            ("username for 'https://anywhere': ", told("x-access-token")),
            (
                "Password for 'https://x-access-token@host.example/git/brain': ",
                told("token one"),
            ),
            ("Password for 'https://host.example/git/brain/': ", told("token one")),
            (
                "Password for 'https://x-access-token@host.example/git/brain.git': ",
                told("token one"),
            ),
            (
                "Password for 'https://x-access-token@host.example/git/brain-b': ",
                told("token two"),
            ),
            (
                "Password for 'https://x-access-token@host.example/git/brain-b.git': ",
                told("token two"),
            ),
            (
                "Password for 'http://x-access-token@127.0.0.1:7/it's': ",
                told("token two"),
            ),
            (
                "Password for 'https://x-access-token@host.example/git/brain-c': ",
                none(),
            ),
            ("Password for 'https://x-access-token@evil.example/git/brain': ", none()),
            ("Password for 'https://evil.example/host.example/git/brain': ", none()),
            ("Password for 'http://host.example/git/brain': ", none()),
            ("Password for 'https://host.example': ", none()),
            ("Password: ", none()),
        ] {
            assert_eq!(answer(&file, prompt), expected, "{prompt}");
        }
    }

    #[test]
    fn r_grant_51_without_a_repository_there_is_no_script() {
        let dir = tempfile::tempdir().unwrap();
        offer(dir.path(), &[repository("https://host.example/x", "T1")]).unwrap();
        assert_eq!(offer(dir.path(), &[]).unwrap(), BTreeMap::new());
        assert!(!dir.path().join(FILE).exists());
        assert_eq!(offer(dir.path(), &[]).unwrap(), BTreeMap::new());
    }
}
