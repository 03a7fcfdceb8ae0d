//! The text of a profile. Of two rules the later one holds.

use std::fmt::Write as _;
use std::path::Path;

use super::layout::{Layout, Use};
use super::quote::quoted;
use super::system::{
    DATA, DEVICES, FACTS, FACTS_BELOW, LINKS, PROGRAMS, RESOLVER, SERVICES, SERVICES_OF_NETWORK, SETTINGS,
};
use crate::{Filesystem, SandboxError};

/// Where connections may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ways {
    /// Everywhere.
    All,
    /// To these ports of the machine's loopback.
    Ports(Vec<u16>),
}

/// What every profile begins with: programs run, and see themselves and their own children.
const BASICS: &str = "\
(version 1)
; Untested: this profile has never run on a Mac. Of two rules the later one holds.
(deny default)

; Processes see and signal those of the same sandbox.
(allow process-fork)
(allow process-info* (target same-sandbox))
(allow signal (target same-sandbox))
(allow mach-priv-task-port (target same-sandbox))
(if (defined? 'file-map-executable) (allow file-map-executable))
(allow ipc-posix-shm-read* (ipc-posix-name \"apple.shm.notification_center\"))
";

/// Terminals of its own, and no other.
const TERMINALS: &str = "\
(allow pseudo-tty)
(allow file-read* file-write* file-ioctl (literal \"/dev/ptmx\"))
(allow file-read* file-write* file-ioctl
  (require-all (regex #\"^/dev/ttys[0-9]+$\") (extension \"com.apple.sandbox.pty\")))
";

/// The profile for a child.
///
/// # Errors
/// A path cannot be named in it.
pub(super) fn profile(layout: &Layout, ways: &Ways) -> Result<String, SandboxError> {
    let mut text = Text(BASICS.to_owned());
    text.rule("allow sysctl-read", "sysctl-name", FACTS)?;
    text.rule("allow sysctl-read", "sysctl-name-prefix", FACTS_BELOW)?;
    text.rule("allow mach-lookup", "global-name", SERVICES)?;

    text.comment("What of the system can be read, and its devices.");
    text.line("(allow file-read-metadata (vnode-type DIRECTORY))");
    match layout.filesystem {
        Filesystem::Full => {
            text.line("(allow file-read* process-exec)");
            // The user's terminals are theirs to read.
            text.rule("deny file-read*", "subpath", ["/dev"])?;
        }
        Filesystem::Workspace => {
            text.rule("allow file-read* process-exec", "subpath", PROGRAMS)?;
            text.rule("allow file-read*", "subpath", SETTINGS)?;
            text.rule("allow file-read*", "literal", LINKS)?;
            text.rule("allow file-read*", "literal", &layout.links)?;
        }
    }
    text.rule("allow file-read*", "literal", DEVICES)?;
    text.rule("allow file-read*", "subpath", ["/dev/fd"])?;
    text.rule("allow file-write-data file-ioctl", "literal", DEVICES.iter().take(2))?;
    text.0.push_str(TERMINALS);

    text.comment("Places, those above before those below.");
    for (path, to) in &layout.places {
        text.place(path, *to)?;
    }
    text.rule("allow file-read-metadata", "literal", layout.passages())?;

    text.comment("What has a rule stays where it is.");
    text.rule("deny file-write-unlink file-write-create", "literal", layout.fixed())?;
    text.line("(deny file-write-setugid)");

    text.comment("The network. No local sockets: none of these filters means one.");
    match ways {
        Ways::All => {
            text.line("(allow network* (local ip) (remote ip))");
            text.line(&format!("(allow network-outbound (literal \"{RESOLVER}\"))"));
            text.rule("allow mach-lookup", "global-name", SERVICES_OF_NETWORK)?;
        }
        Ways::Ports(ports) => {
            for port in ports {
                text.line(&format!("(allow network-outbound (remote ip \"localhost:{port}\"))"));
            }
        }
    }
    Ok(text.0)
}

struct Text(String);

impl Text {
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn comment(&mut self, text: &str) {
        self.0.push_str("\n; ");
        self.line(text);
    }

    /// One rule for all paths or names; without any there is none, as a rule without a filter would be about everything.
    fn rule<P: AsRef<Path>>(
        &mut self,
        what: &str,
        filter: &str,
        paths: impl IntoIterator<Item = P>,
    ) -> Result<(), SandboxError> {
        let mut filters = String::new();
        for path in paths {
            let path = quoted(path.as_ref())?;
            // silent-ok: a string takes everything.
            let _ = write!(filters, "\n  ({filter} {path})");
        }
        if !filters.is_empty() {
            self.line(&format!("({what}{filters})"));
        }
        Ok(())
    }

    fn place(&mut self, path: &Path, to: Use) -> Result<(), SandboxError> {
        match to {
            Use::Write => self.rule("allow file-read* file-write* process-exec", "subpath", [path]),
            Use::Read => {
                self.rule("deny file-write*", "subpath", [path])?;
                self.rule("allow file-read* process-exec", "subpath", [path])
            }
            Use::Nothing => {
                let again = path.strip_prefix("/").map(|below| Path::new(DATA).join(below));
                // silent-ok: a path without a root is not one that the kernel asks about.
                let all = std::iter::once(path.to_owned()).chain(again.ok());
                self.rule("deny file-read* file-write* process-exec", "subpath", all)
            }
        }
    }
}
