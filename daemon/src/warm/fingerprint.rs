//! Everything that a process is started with, in a few bytes: another answer means that it would be started otherwise now.

use std::fmt::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use reveille_backends::{AgentDir, TurnRequest};
use sha2::{Digest as _, Sha256};

use crate::grants::askpass;
use crate::vault_tools;

/// Most bytes of a file for the child that are looked at; a longer one counts by its metadata.
const FILE_MAX: u64 = 4 << 20;

/// What a process is started with, besides the prompt and the clocks, which are of a turn.
pub(crate) struct Launch<'a> {
    /// The agent.
    pub(crate) agent: &'a str,
    /// What the backend is asked for, before its credential is kept out.
    pub(crate) request: &'a TurnRequest,
    /// The CLI.
    pub(crate) program: Option<&'a Path>,
    /// What signs it in.
    pub(crate) credential: &'a str,
    /// Whether that is kept out.
    pub(crate) shielded: bool,
    /// Secrets that are made for each process: they are others every time, and mean the same.
    pub(crate) minted: &'a [&'a str],
}

/// Compares two launches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint([u8; 32]);

/// Text on its way into the digest.
struct Hasher(Sha256);

impl fmt::Write for Hasher {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

impl Hasher {
    /// A value under a name. `Debug` sets every text in quotes, so that two values cannot run into each other.
    fn put(&mut self, name: &str, value: &dyn fmt::Debug) {
        // silent-ok: writing into a digest does not fail.
        let _ = writeln!(self, "{name} {value:?}");
    }

    /// A path and what is there: what a process has of it is that, whatever is put in its place later.
    fn place(&mut self, name: &str, path: &Path) {
        // silent-ok: what is not there is a state as well.
        let meta = path.symlink_metadata().ok();
        self.put(name, &(path, meta.map(|meta| (meta.dev(), meta.ino(), meta.mode()))));
    }

    fn file(&mut self, dir: &Path, name: &str) {
        // silent-ok: likewise.
        let text = AgentDir::open(dir).and_then(|dir| dir.read(name, FILE_MAX)).ok();
        self.put(name, &text);
    }
}

impl Fingerprint {
    /// Looks at the disk.
    #[must_use]
    pub(crate) fn of(launch: &Launch<'_>) -> Self {
        let mut all = Hasher(Sha256::new());
        let request = launch.request;
        all.put("agent", &launch.agent);
        all.put("model", &request.model);
        let prompt = request.system_prompt.as_ref();
        all.put("prompt", &prompt.map(|prompt| (&prompt.text, prompt.mode)));
        all.put("max turns", &request.max_turns);
        all.put("budget", &request.budget_usd.map(f64::to_bits));
        all.put("credential", &(launch.credential, launch.shielded));
        for (name, value) in &request.env {
            let value = launch
                .minted
                .iter()
                .enumerate()
                .fold(value.clone(), |value, (at, secret)| {
                    value.replace(secret, &format!("\u{0}minted {at}\u{0}"))
                });
            all.put("variable", &(name, value));
        }
        // silent-ok: a link that leads nowhere is no program, and that is told by the turn.
        let program = launch.program.and_then(|program| program.canonicalize().ok());
        // silent-ok: likewise.
        let meta = program.as_ref().and_then(|program| program.metadata().ok());
        let meta = meta.map(|meta| (meta.dev(), meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()));
        all.put("program", &(program, meta));
        let dirs = &request.dirs;
        for (name, dir) in [
            ("cwd", &dirs.cwd),
            ("ctl", &dirs.ctl),
            ("home", &dirs.home),
            ("tmp", &dirs.tmp),
        ] {
            all.place(name, dir);
        }
        [vault_tools::FILE, askpass::FILE]
            .iter()
            .for_each(|name| all.file(&dirs.ctl, name));
        all.policy(request);
        Self(all.0.finalize().into())
    }
}

impl Hasher {
    fn policy(&mut self, request: &TurnRequest) {
        let policy = &request.policy;
        self.put("filesystem", &policy.filesystem);
        self.put("network", &(policy.network, &policy.egress, policy.check_sni));
        self.put("limits", &policy.limits);
        self.put("loopback", &policy.loopback);
        for (name, paths) in [
            ("writable", &policy.writable),
            ("readable", &policy.readable),
            ("straight", &policy.straight),
            ("masked", &policy.masked),
            ("shown", &policy.programs),
        ] {
            paths.iter().for_each(|path| self.place(name, path));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use reveille_backends::{Dirs, PromptMode, Session, SystemPrompt, Timeouts};
    use reveille_sandbox::{Filesystem, Loopback, Network, Policy, Target};
    use uuid::Uuid;

    use super::*;

    fn request(dir: &Path) -> TurnRequest {
        let at = |name: &str| {
            let path = dir.join(name);
            std::fs::create_dir_all(&path).unwrap();
            path
        };
        TurnRequest {
            turn: Uuid::from_u128(1),
            prompt: "hi".into(),
            session: Session::Resume(Uuid::from_u128(2)),
            dirs: Dirs {
                cwd: at("cwd"),
                ctl: at("ctl"),
                home: at("home"),
                tmp: at("tmp"),
            },
            policy: Policy {
                readable: vec![at("mount")],
                ..Policy::default()
            },
            model: Some("sonnet".into()),
            system_prompt: Some(SystemPrompt {
                text: "Be kind.".into(),
                mode: PromptMode::Append,
            }),
            max_turns: None,
            budget_usd: None,
            timeouts: Timeouts {
                start: Duration::ZERO,
                idle: Duration::ZERO,
                wall: Duration::ZERO,
            },
            env: [("REVEILLE_TOKEN", "token one"), ("KEY", "a")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            secrets: Vec::new(),
        }
    }

    fn of(request: &TurnRequest, program: &Path, minted: &str) -> Fingerprint {
        Fingerprint::of(&Launch {
            agent: "eng",
            request,
            program: Some(program),
            credential: "mark",
            shielded: false,
            minted: &[minted],
        })
    }

    type Change = (&'static str, fn(&mut TurnRequest, &Path));

    const CHANGES: [Change; 15] = [
        ("model", |it, _| it.model = Some("opus".into())),
        ("definition", |it, _| {
            it.system_prompt = Some(SystemPrompt {
                text: "Be brief.".into(),
                mode: PromptMode::Append,
            });
        }),
        ("mode", |it, _| {
            it.system_prompt = Some(SystemPrompt {
                text: "Be kind.".into(),
                mode: PromptMode::Replace,
            });
        }),
        ("no prompt", |it, _| it.system_prompt = None),
        ("turns", |it, _| it.max_turns = Some(3)),
        ("budget", |it, _| it.budget_usd = Some(0.5)),
        ("variable", |it, _| drop(it.env.insert("KEY".into(), "b".into()))),
        ("another variable", |it, _| {
            drop(it.env.insert("KEX".into(), String::new()));
        }),
        ("network", |it, _| it.policy.network = Network::Restricted),
        ("filesystem", |it, _| it.policy.filesystem = Filesystem::Full),
        ("egress", |it, _| {
            it.policy.egress = reveille_sandbox::egress::Rule::base();
        }),
        ("mount", |it, dir| it.policy.writable.push(dir.join("mount"))),
        ("loopback", |it, _| {
            it.policy.loopback.push(Loopback {
                port: 4000,
                target: Target::Address(([127, 0, 0, 1], 4000).into()),
            });
        }),
        ("servers", |it, _| {
            std::fs::write(it.dirs.ctl.join("mcp.json"), "{}").unwrap();
        }),
        ("another directory in its place", |it, dir| {
            std::fs::rename(dir.join("mount"), dir.join("old")).unwrap();
            std::fs::create_dir(&it.policy.readable[0]).unwrap();
        }),
    ];

    #[test]
    fn every_part_counts_and_what_is_a_turns_or_made_anew_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let program: PathBuf = dir.path().join("claude");
        std::fs::write(&program, "one").unwrap();
        let same = request(dir.path());
        let before = of(&same, &program, "token one");
        let mut next = same.clone();
        (next.turn, next.prompt) = (Uuid::from_u128(9), "again".into());
        next.timeouts.wall = Duration::from_secs(9);
        next.env.insert("REVEILLE_TOKEN".into(), "token two".into());
        assert_eq!(of(&next, &program, "token two"), before);
        assert_ne!(
            of(&next, &program, "token one"),
            before,
            "a token that is not made anew"
        );
        for (what, change) in CHANGES {
            let dir = tempfile::tempdir().unwrap();
            let mut changed = request(dir.path());
            let before = of(&changed, &program, "token one");
            assert_eq!(of(&changed, &program, "token one"), before, "{what}");
            change(&mut changed, dir.path());
            assert_ne!(of(&changed, &program, "token one"), before, "{what}");
        }
        // Another program of the same length in the same place.
        std::fs::write(dir.path().join("new"), "two").unwrap();
        std::fs::rename(dir.path().join("new"), &program).unwrap();
        assert_ne!(of(&same, &program, "token one"), before);
        let other = Launch {
            agent: "ops",
            request: &same,
            program: Some(&program),
            credential: "mark",
            shielded: false,
            minted: &["token one"],
        };
        let shielded = Launch {
            agent: "eng",
            shielded: true,
            ..other
        };
        let signed_in = Launch {
            agent: "eng",
            shielded: false,
            credential: "another",
            ..shielded
        };
        let now = of(&same, &program, "token one");
        for launch in [
            Fingerprint::of(&Launch { ..signed_in }),
            Fingerprint::of(&Launch {
                agent: "ops",
                credential: "mark",
                ..signed_in
            }),
            Fingerprint::of(&Launch {
                shielded: true,
                credential: "mark",
                ..signed_in
            }),
        ] {
            assert_ne!(launch, now);
        }
    }
}
