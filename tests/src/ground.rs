//! People who run the program, and ground of their own on which they do it: files that they may reach, and no others.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::daemon::{Ran, reveille, run};

/// An unprivileged user, who need not be known to the machine.
const SOMEBODY: u32 = 61_234;
/// Where programs of the system are. The person's own `PATH` may lead to places that others cannot see.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// Outside of `/tmp`, which is never the machine's own inside.
pub(crate) const BASE: &str = "/var/tmp";

/// Who runs a program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Person {
    /// `None`: who runs the tests.
    uid: Option<u32>,
}

/// Root and somebody else when root runs the tests, else who runs them.
#[must_use]
pub fn people() -> Vec<Person> {
    let mut people = vec![Person { uid: None }];
    if rustix::process::geteuid().is_root() {
        people.push(Person { uid: Some(SOMEBODY) });
    }
    people
}

impl Person {
    /// Whether it is root.
    #[must_use]
    pub fn is_root(self) -> bool {
        self.uid.is_none() && rustix::process::geteuid().is_root()
    }

    /// The user's number.
    #[must_use]
    pub fn uid(self) -> u32 {
        self.uid.unwrap_or_else(|| rustix::process::geteuid().as_raw())
    }

    /// Lets a command be run by this person.
    pub fn runs(self, command: &mut Command) {
        if let Some(uid) = self.uid {
            command.uid(uid).gid(uid);
        }
    }

    /// A program where this person can run it: its own place, or a directory that the person sees.
    ///
    /// # Errors
    /// When it cannot be put there.
    pub fn can_run(self, program: &Path, dir: &Path) -> Result<PathBuf> {
        if self.uid.is_none() {
            return Ok(program.to_owned());
        }
        let here = dir.join(program.file_name().context("a program has a name")?);
        // Where it was built may be closed to others.
        if !here.exists() && std::fs::hard_link(program, &here).is_err() {
            std::fs::copy(program, &here).with_context(|| program.display().to_string())?;
        }
        Ok(here)
    }

    /// Gives a file to this person, links not followed.
    ///
    /// # Errors
    /// When it cannot be given.
    pub fn gets(self, path: &Path) -> Result<()> {
        if self.uid.is_some() {
            std::os::unix::fs::lchown(path, self.uid, self.uid).with_context(|| path.display().to_string())?;
        }
        Ok(())
    }
}

/// A directory of a person, with the program beside it. All is gone when it is dropped.
#[derive(Debug)]
pub struct Ground {
    person: Person,
    dir: TempDir,
    program: PathBuf,
}

impl Ground {
    /// Takes new ground.
    ///
    /// # Errors
    /// When there is no program, or the directory cannot be made.
    pub async fn of(person: Person) -> Result<Self> {
        let base = tempfile::Builder::new().prefix("rv").tempdir_in(BASE)?;
        std::fs::set_permissions(base.path(), std::fs::Permissions::from_mode(0o755))?;
        let program = person.can_run(&reveille().await?, base.path())?;
        let ground = Self {
            person,
            dir: base,
            program,
        };
        for name in ["", "home"] {
            ground.dir(name)?;
        }
        Ok(ground)
    }

    /// Whose it is.
    #[must_use]
    pub fn person(&self) -> Person {
        self.person
    }

    /// The program `reveille`.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// A place on the ground. Its path needs no quotes in a shell.
    #[must_use]
    pub fn at(&self, name: &str) -> PathBuf {
        let own = self.dir.path().join("own");
        if name.is_empty() { own } else { own.join(name) }
    }

    /// The same as text.
    #[must_use]
    pub fn named(&self, name: &str) -> String {
        self.at(name).display().to_string()
    }

    /// Makes a directory of the person.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn dir(&self, name: &str) -> Result<PathBuf> {
        let (path, mut made) = (self.at(name), Vec::new());
        for above in path.ancestors().take_while(|above| !above.exists()) {
            made.push(above.to_owned());
        }
        std::fs::create_dir_all(&path)?;
        made.iter().try_for_each(|above| self.person.gets(above))?;
        Ok(path)
    }

    /// Writes a file of the person.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn file(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.at(name);
        if let Some((above, _)) = name.rsplit_once('/') {
            self.dir(above)?;
        }
        std::fs::write(&path, text)?;
        self.person.gets(&path)?;
        Ok(path)
    }

    /// A command of the person, who stands on the ground and has next to nothing in the environment.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", PATH)
            .env("HOME", self.at("home"))
            .env("LANG", "C.UTF-8")
            .current_dir(self.at(""));
        self.person.runs(&mut command);
        command
    }

    /// A command in the sandbox, which is told by `options` such as `--network restricted`.
    #[must_use]
    pub fn confined<S: AsRef<OsStr>>(&self, options: &[&str], command: impl IntoIterator<Item = S>) -> Command {
        let mut confined = self.command(&self.program);
        confined.args(["sandbox", "run"]).args(options).arg("--").args(command);
        confined
    }

    /// Runs a command in the sandbox to its end.
    ///
    /// # Errors
    /// As [`run`].
    pub async fn sandbox<S: AsRef<OsStr>>(
        &self,
        options: &[&str],
        command: impl IntoIterator<Item = S>,
    ) -> Result<Ran> {
        run(self.confined(options, command), "").await
    }

    /// Starts a command in the sandbox whose input and output are pipes. It is killed when it is dropped.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn begin<S: AsRef<OsStr>>(&self, options: &[&str], command: impl IntoIterator<Item = S>) -> Result<Child> {
        let mut command = self.confined(options, command);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        Ok(command.spawn()?)
    }

    /// Runs a command without the sandbox to its end.
    ///
    /// # Errors
    /// As [`run`].
    pub async fn outside<S: AsRef<OsStr>>(&self, program: &str, args: impl IntoIterator<Item = S>) -> Result<Ran> {
        let mut command = self.command(program);
        command.args(args);
        run(command, "").await
    }
}
