//! What a [`ClaudeBackend`](super::ClaudeBackend) is built from.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reveille_sandbox::Sandbox;

/// How to start the CLI.
#[derive(Clone)]
pub struct ClaudeOptions {
    /// The CLI, an absolute path: see [`find_program`](super::find_program).
    pub program: PathBuf,
    /// Arguments before the CLI's own, for a program that holds it as a subcommand.
    pub prefix_args: Vec<OsString>,
    /// What confines the children.
    pub sandbox: Arc<dyn Sandbox>,
    /// Value of `REVEILLE_INSTANCE` in every child, by which a later start finds what a crash has left:
    /// see [`sweep`](crate::sweep).
    pub instance: String,
    /// What children get of the daemon's environment: see [`base_env`].
    pub base_env: Vec<(OsString, OsString)>,
    /// Lets the agent use every tool unasked. Without it the CLI denies all that changes something.
    pub skip_permissions: bool,
    /// The longest time that one Bash call may take (`BASH_MAX_TIMEOUT_MS`; the CLI's own is 10 minutes). While a tool
    /// runs, silence of this long plus 30 s is no reason to stop.
    pub tool_limit: Duration,
    /// How often the CLI repeats a refused request (`CLAUDE_CODE_MAX_RETRIES`). Its own default of 10 takes three minutes.
    pub max_retries: u32,
    /// How long the CLI waits for one answer of the API (`API_TIMEOUT_MS`).
    pub api_timeout: Duration,
}

impl ClaudeOptions {
    /// Options with the defaults: permissions are not skipped, 10 minutes for a tool, 4 retries, 2 minutes for the API.
    #[must_use]
    pub fn new(
        program: PathBuf,
        sandbox: Arc<dyn Sandbox>,
        instance: String,
        base_env: Vec<(OsString, OsString)>,
    ) -> Self {
        Self {
            program,
            prefix_args: Vec::new(),
            sandbox,
            instance,
            base_env,
            skip_permissions: false,
            tool_limit: Duration::from_secs(600),
            max_retries: 4,
            api_timeout: Duration::from_secs(120),
        }
    }
}

/// Names that children may see of the daemon's environment, besides `LC_*`.
const PASSED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "TZ",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "GIT_SSL_CAINFO",
];

/// Variables that name certificates of authorities: files or directories, or several of them with colons between.
const AUTHORITIES: &[&str] = &[
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "GIT_SSL_CAINFO",
];

/// The files and directories with certificates of authorities that an environment names. Confined children can read them.
pub fn authorities(env: &[(OsString, OsString)]) -> impl Iterator<Item = PathBuf> {
    env.iter()
        .filter(|(name, _)| AUTHORITIES.iter().any(|known| name == known))
        .flat_map(|(_, value)| std::env::split_paths(value).filter(|path| path.is_absolute()))
}

/// The machine itself, as `NO_PROXY` has it.
const LOOPBACK: &str = "localhost,127.0.0.1,::1";

/// Picks what a child may see of the daemon's environment (`std::env::vars_os()`): the user's identity, the language, and
/// the variables for proxies and certificate authorities. `CLAUDE*` and `ANTHROPIC*` never pass by themselves. Without a
/// `PATH` the usual one is given. What is on the machine itself, such as the daemon's tools, is never asked for through a
/// proxy.
#[must_use]
pub fn base_env(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<(OsString, OsString)> {
    let mut picked: Vec<_> = vars
        .into_iter()
        .filter(|(name, _)| {
            name.to_str()
                .is_some_and(|name| PASSED.contains(&name) || name.starts_with("LC_"))
        })
        .collect();
    if !picked.iter().any(|(name, _)| name == "PATH") {
        picked.push(("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into()));
    }
    spare_loopback(&mut picked);
    picked
}

/// Adds the machine's own addresses to those that no proxy is asked for, if there is a proxy.
fn spare_loopback(env: &mut Vec<(OsString, OsString)>) {
    let is = |name: &OsString, wanted: &str| name.to_str().is_some_and(|name| name.eq_ignore_ascii_case(wanted));
    let proxies = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
    if !env.iter().any(|(name, _)| proxies.iter().any(|proxy| is(name, proxy))) {
        return;
    }
    let spared = env
        .iter()
        .find(|(name, value)| is(name, "NO_PROXY") && !value.is_empty());
    let mut all = spared.map_or_else(OsString::new, |(_, value)| value.clone());
    if !all.is_empty() {
        all.push(",");
    }
    all.push(LOOPBACK);
    env.retain(|(name, _)| !is(name, "NO_PROXY"));
    env.extend(["NO_PROXY", "no_proxy"].map(|name| (name.into(), all.clone())));
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        list.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    #[test]
    fn tc_exec_7_only_listed_variables_pass() {
        let daemon = pairs(&[
            ("HOME", "/h"),
            ("PATH", "/p"),
            ("LC_ALL", "C"),
            ("https_proxy", "http://proxy"),
            ("ANTHROPIC_API_KEY", "secret"),
            ("CLAUDE_CODE_OAUTH_TOKEN", "secret"),
            ("CLAUDECODE", "1"),
            ("REVEILLE_TOKEN", "secret"),
            ("LD_PRELOAD", "x"),
        ]);
        assert_eq!(
            base_env(daemon),
            pairs(&[
                ("HOME", "/h"),
                ("PATH", "/p"),
                ("LC_ALL", "C"),
                ("https_proxy", "http://proxy"),
                ("NO_PROXY", LOOPBACK),
                ("no_proxy", LOOPBACK),
            ])
        );
    }

    #[test]
    fn no_proxy_is_asked_for_the_machine_itself() {
        let (path, proxy) = (("PATH", "/p"), ("HTTP_PROXY", "http://proxy"));
        let both = |value| vec![path, proxy, ("NO_PROXY", value), ("no_proxy", value)];
        let more = format!("corp.example,{LOOPBACK}");
        let own = [path, ("NO_PROXY", "corp.example")];
        for (given, expected) in [
            (&own[..], own.to_vec()),
            (&[path, proxy], both(LOOPBACK)),
            (&[path, proxy, ("NO_PROXY", "")], both(LOOPBACK)),
            (&[path, proxy, ("no_proxy", "corp.example")], both(&more)),
            (&[path, ("NO_PROXY", "corp.example"), proxy], both(&more)),
        ] {
            assert_eq!(base_env(pairs(given)), pairs(&expected), "{given:?}");
        }
    }

    #[test]
    fn there_is_always_a_path() {
        assert_eq!(base_env([]), pairs(&[("PATH", "/usr/local/bin:/usr/bin:/bin")]));
    }
}
