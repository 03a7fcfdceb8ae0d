//! Running npm for the build script: what is missing on this machine is told apart from what is wrong in our sources.

use std::{
    fmt::Write as _,
    io,
    path::Path,
    process::{Command, Output},
};

/// Oldest node that vite runs on (its `engines.node`), as major and minor.
const OLDEST_NODE: (u32, u32) = (20, 19);

/// Why there is no page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoPage {
    /// This machine lacks something; the daemon is built all the same, with a page that says so.
    Missing {
        /// A sentence.
        reason: String,
        /// What to do, as the middle of a sentence.
        remedy: &'static str,
    },
    /// Our sources or the toolchain are wrong: the build fails with this text.
    Broken(String),
}

/// Checks that node and npm are there and new enough.
///
/// # Errors
/// [`NoPage::Missing`] when one is absent or node is too old, [`NoPage::Broken`] when one cannot be started.
pub(crate) fn check_tools() -> Result<(), NoPage> {
    let node = run(Command::new("node").arg("--version"))?;
    run(Command::new("npm").arg("--version"))?;
    let version = String::from_utf8_lossy(&node.stdout);
    let version = version.trim();
    if is_new_enough(version) {
        return Ok(());
    }
    let (major, minor) = OLDEST_NODE;
    Err(NoPage::Missing {
        reason: format!("It is built with node {major}.{minor} or newer, and the node found was {version}."),
        remedy: "install a newer node",
    })
}

/// Installs exactly what `package-lock.json` in `dir` names (without test tools and without install scripts).
///
/// # Errors
/// [`NoPage::Missing`] when the registry could not be reached, else [`NoPage::Broken`] with npm's output.
pub(crate) fn install(dir: &Path) -> Result<(), NoPage> {
    let mut command = Command::new("npm");
    command.current_dir(dir).args([
        "ci",
        "--omit=dev",
        "--ignore-scripts",
        "--prefer-offline",
        "--no-audit",
        "--no-fund",
        "--no-update-notifier",
        "--loglevel=error",
        // Without a network the default retries take minutes.
        "--fetch-retries=1",
        "--fetch-retry-mintimeout=1000",
    ]);
    let output = run(&mut command)?;
    if output.status.success() {
        return Ok(());
    }
    let text = text_of(&output);
    match registry_failure(&text) {
        Some(code) => Err(NoPage::Missing {
            reason: format!("npm could not fetch its build tools from the package registry ({code})."),
            remedy: "connect to the network",
        }),
        None => Err(NoPage::Broken(format!("`npm ci` failed:\n{text}"))),
    }
}

/// Type-checks and bundles the sources in `dir` into `out`.
///
/// # Errors
/// [`NoPage::Broken`] with the compiler's output.
pub(crate) fn bundle(dir: &Path, out: &Path) -> Result<(), NoPage> {
    let mut command = Command::new("npm");
    command
        .current_dir(dir)
        .args(["run", "--silent", "build", "--", "--logLevel", "warn", "--outDir"])
        .arg(out);
    let output = run(&mut command)?;
    if output.status.success() {
        return Ok(());
    }
    Err(NoPage::Broken(format!("`npm run build` failed:\n{}", text_of(&output))))
}

fn run(command: &mut Command) -> Result<Output, NoPage> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.output().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => NoPage::Missing {
            reason: format!("It is built with node and npm, and `{program}` was not found."),
            remedy: "install node (https://nodejs.org)",
        },
        _ => NoPage::Broken(format!("`{program}` could not be started: {error}")),
    })
}

fn text_of(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    if text.trim().is_empty() {
        // Writing to a String does not fail.
        let _ = write!(text, "no output, {}", output.status);
    }
    text
}

/// `version` is what `node --version` prints, such as `v20.19.4`.
fn is_new_enough(version: &str) -> bool {
    let mut parts = version
        .trim_start_matches('v')
        .split('.')
        .map(|part| part.parse::<u32>().ok());
    match (parts.next().flatten(), parts.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) >= OLDEST_NODE,
        _ => false,
    }
}

/// The code of an npm failure that speaks of the network or the registry, not of our lock file.
fn registry_failure(output: &str) -> Option<&str> {
    const CODES: [&str; 11] = [
        "EAI_AGAIN",
        "ECONNREFUSED",
        "ECONNRESET",
        "EHOSTUNREACH",
        "ENETUNREACH",
        "ENOTCACHED",
        "ENOTFOUND",
        "ERR_SOCKET_TIMEOUT",
        "ETIMEDOUT",
        "SELF_SIGNED_CERT_IN_CHAIN",
        "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
    ];
    // npm 10 and later write "npm error code X", older ones "npm ERR! code X".
    let codes = output
        .lines()
        .filter_map(|line| line.strip_prefix("npm ")?.split_once(" code "))
        .map(|(_, code)| code);
    codes
        .map(str::trim)
        .find(|code| CODES.contains(code) || is_http_refusal(code))
}

/// `E403`, `E503`…: the registry or a proxy before it answered, and refused.
fn is_http_refusal(code: &str) -> bool {
    let status = code.strip_prefix('E').and_then(|digits| digits.parse::<u16>().ok());
    matches!(status, Some(401 | 403 | 407 | 429 | 500..=599))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    #[test]
    fn an_unreachable_registry_is_told_from_a_wrong_lock_file() {
        let unreachable = "npm error code ECONNREFUSED\nnpm error syscall connect\n";
        let older = "npm ERR! code ENOTFOUND\nnpm ERR! errno ENOTFOUND\n";
        let refused = "npm error code E503\nnpm error 503 Service Unavailable\n";
        let out_of_step = "npm error code EUSAGE\nnpm error `npm ci` can only install packages when in sync\n";
        let tampered = "npm error code EINTEGRITY\n";
        assert_eq!(
            [unreachable, older, refused, out_of_step, tampered, ""].map(registry_failure),
            [Some("ECONNREFUSED"), Some("ENOTFOUND"), Some("E503"), None, None, None],
        );
    }

    #[test]
    fn node_versions_compare_as_numbers() {
        assert_eq!(
            ["v20.19.0", "v22.1.0", "v100.0.0", "v20.9.0", "v18.20.4", "nonsense"].map(is_new_enough),
            [true, true, true, false, false, false],
        );
    }
}
