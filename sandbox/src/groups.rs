//! Control groups of Linux (version 2): what all processes of one child may take together of the machine's memory, processes
//! and processors. A limit of each process (`setrlimit`) says nothing of their sum, and as root none of their number.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use crate::{Command, Confined, Limits, Policy, Sandbox, SandboxError, Summary};

/// Where the daemon itself goes: a group whose children have limits holds no processes.
const OWN: &str = "reveille-daemon";
/// Set by systemd on a group that it leaves to a service (`Delegate=`).
const DELEGATED: [&str; 2] = ["user.delegate", "trusted.delegate"];
/// What cannot be done without. `cpu` is taken where it is there.
const NEEDED: [&str; 2] = ["memory", "pids"];
/// How long a group that is to be removed may take to lose its last process, and how often that is looked at.
const LAST: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(10);

/// The group that was left to the daemon. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Groups(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    base: PathBuf,
    prefix: String,
    weighs: bool,
    /// Those that had processes when they were to be removed.
    left: Mutex<Vec<PathBuf>>,
}

impl Groups {
    /// Takes the group in which this process is, if it was left to it, and ends what an earlier daemon of the same `instance`
    /// has left there. This process may be moved within it.
    ///
    /// # Errors
    /// Why there is none, in words without a full stop.
    pub fn take(instance: &str) -> Result<Self, String> {
        let own = own_group()?;
        let base = base_of(&own)?;
        let listed = fs::read_to_string(base.join("cgroup.controllers"));
        let listed = listed.map_err(|error| format!("{} cannot be read: {error}", base.display()))?;
        let has = |wanted: &str| listed.split_whitespace().any(|one| one == wanted);
        if let Some(missing) = NEEDED.iter().find(|wanted| !has(wanted)) {
            return Err(format!(
                "the control group {} has no controller {missing:?} (they may be in use by version 1)",
                base.display()
            ));
        }
        let weighs = has("cpu");
        let wanted = if weighs { "+memory +pids +cpu" } else { "+memory +pids" };
        hand_on(&base, wanted).map_err(|error| format!("{} cannot be divided: {error}", base.display()))?;
        let groups = Self(Arc::new(Inner {
            base,
            prefix: format!("reveille-{instance}-"),
            weighs,
            left: Mutex::default(),
        }));
        groups.sweep();
        Ok(groups)
    }

    /// Where they are.
    #[must_use]
    pub fn place(&self) -> &Path {
        &self.0.base
    }

    /// Whether processors are shared by weight.
    #[must_use]
    pub fn has_weights(&self) -> bool {
        self.0.weighs
    }

    fn sweep(&self) {
        // silent-ok: what cannot be listed now is removed with the service.
        for entry in fs::read_dir(&self.0.base).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&self.0.prefix) {
                kill(&entry.path());
                self.keep(entry.path());
            }
        }
        self.remove_left();
    }

    fn keep(&self, left: PathBuf) {
        self.0.left.lock().unwrap_or_else(PoisonError::into_inner).push(left);
    }

    fn remove_left(&self) {
        let mut left = self.0.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.retain(|path| !is_gone(path));
    }

    /// A new one for one child.
    fn make(&self, limits: &Limits) -> io::Result<Group> {
        self.remove_left();
        // Never that of an earlier one, which may still be there.
        let own = Uuid::new_v4().simple();
        let path = self.0.base.join(format!("{}{own}", self.0.prefix));
        fs::create_dir(&path)?;
        let group = Group {
            path: Some(path),
            groups: self.clone(),
        };
        group.set("pids.max", limits.processes)?;
        if let Some(memory) = limits.memory {
            group.set("memory.max", memory)?;
            // Where there is no swap there is no such file.
            group.set("memory.swap.max", 0).or_else(|error| match error.kind() {
                ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            })?;
        }
        if self.0.weighs {
            group.set("cpu.weight", limits.cpu_weight)?;
        }
        Ok(group)
    }
}

/// The group of one child. All that is in it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Group {
    /// `None` once it is removed.
    path: Option<PathBuf>,
    groups: Groups,
}

/// What a child was kept from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exceeded {
    /// Processes that were ended because there was no memory left for them.
    pub killed: u64,
    /// Processes and threads that were not begun because there were too many.
    pub refused: u64,
}

impl Group {
    fn set(&self, file: &str, value: u64) -> io::Result<()> {
        match &self.path {
            Some(path) => fs::write(path.join(file), value.to_string()),
            None => Ok(()),
        }
    }

    /// Puts a process in, and so all that it will start.
    pub(crate) fn take_in(&self, pid: u32) -> io::Result<()> {
        self.set("cgroup.procs", pid.into())
    }

    pub(crate) fn exceeded(&self) -> Exceeded {
        let count = |file: &str, name: &str| {
            // silent-ok: what cannot be counted is not told.
            let text = fs::read_to_string(self.path.as_ref()?.join(file)).ok()?;
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.trim().parse().ok())
        };
        Exceeded {
            killed: count("memory.events", "oom_kill ").unwrap_or(0),
            refused: count("pids.events", "max ").unwrap_or(0),
        }
    }

    /// Ends what is still in it, and removes it.
    pub(crate) async fn end(mut self) -> Exceeded {
        let exceeded = self.exceeded();
        let Some(path) = self.path.take() else {
            return exceeded;
        };
        kill(&path);
        let mut gone = is_gone(&path);
        let end = tokio::time::Instant::now() + LAST;
        while !gone && tokio::time::Instant::now() < end {
            tokio::time::sleep(LOOK).await;
            gone = is_gone(&path);
        }
        if !gone {
            self.groups.keep(path);
        }
        exceeded
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let Some(path) = self.path.take() else { return };
        kill(&path);
        if !is_gone(&path) {
            self.groups.keep(path);
        }
    }
}

/// Ends all processes in a group, those that are being born too.
fn kill(path: &Path) {
    // Not there before Linux 5.14; the sandbox ends its processes anyway.
    if let Err(error) = fs::write(path.join("cgroup.kill"), "1") {
        tracing::debug!(%error, path = %path.display(), "a control group is not ended at once");
    }
}

/// Removes a group, unless there are processes in it.
fn is_gone(path: &Path) -> bool {
    match fs::remove_dir(path) {
        Ok(()) => true,
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}

/// The directory of the group in which this process is.
fn own_group() -> Result<PathBuf, String> {
    let read = |file: &str| fs::read_to_string(file).map_err(|error| format!("{file} cannot be read: {error}"));
    let groups = read("/proc/self/cgroup")?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"));
    let own = own.ok_or("there are no control groups of version 2")?;
    let mounts = read("/proc/self/mountinfo")?;
    let mount = mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(3);
        let (root, at) = (fields.next()?, fields.next()?);
        (after.split(' ').next() == Some("cgroup2")).then_some((root, at))
    });
    let (root, at) = mount.ok_or("no control groups of version 2 are mounted")?;
    let below = Path::new(own).strip_prefix(root);
    let below = below.map_err(|_| format!("the own control group {own} is not to be seen from here"))?;
    Ok(Path::new(at).join(below))
}

/// The group that was left to us: the own one, or the one above when we were put aside in it.
fn base_of(own: &Path) -> Result<PathBuf, String> {
    if own.ends_with(OWN)
        && let Some(above) = own.parent()
    {
        return Ok(above.to_owned());
    }
    let is_left = |dir: &Path| DELEGATED.iter().any(|name| is_set(dir, name));
    let above = own.parent().filter(|above| is_left(above));
    let base = above.unwrap_or(own);
    let is_top = !base.parent().is_some_and(|above| above.join("cgroup.procs").exists());
    // Root could write in each: only what was left to it, or what is its container's whole, is its own.
    let is_ours = is_left(base) || is_top || !rustix::process::geteuid().is_root();
    let writable = |file: &str| rustix::fs::access(base.join(file), rustix::fs::Access::WRITE_OK).is_ok();
    if is_ours
        && ["", "cgroup.procs", "cgroup.subtree_control"]
            .iter()
            .all(|file| writable(file))
    {
        return Ok(base.to_owned());
    }
    Err(format!(
        "the control group {} was not left to the daemon",
        base.display()
    ))
}

fn is_set(dir: &Path, name: &str) -> bool {
    let mut value = [0_u8; 8];
    // silent-ok: what cannot be read is not set.
    let length = rustix::fs::getxattr(dir, name, &mut value).unwrap_or(0);
    value.get(..length) == Some(b"1")
}

/// Lets groups below `base` have limits. Whoever is in it moves aside for that.
fn hand_on(base: &Path, controllers: &str) -> io::Result<()> {
    let enable = || fs::write(base.join("cgroup.subtree_control"), controllers);
    match enable() {
        Err(error) if error.kind() == ErrorKind::ResourceBusy => {}
        done => return done,
    }
    let aside = base.join(OWN);
    match fs::create_dir(&aside) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let own = std::process::id().to_string();
    fs::write(aside.join("cgroup.procs"), &own)?;
    enable().map_err(|error| {
        // As it was.
        if let Err(error) = fs::write(base.join("cgroup.procs"), &own).and_then(|()| fs::remove_dir(&aside)) {
            tracing::warn!(%error, "the daemon stays in {}", aside.display());
        }
        io::Error::new(error.kind(), format!("{error}: other processes are in it"))
    })
}

/// A sandbox whose children have a group each.
pub struct Grouped {
    /// What confines them besides.
    pub sandbox: Arc<dyn Sandbox>,
    /// Where the groups are made.
    pub groups: Groups,
}

impl Sandbox for Grouped {
    fn summary(&self) -> Summary {
        self.sandbox.summary()
    }

    fn tool(&self) -> Option<&Path> {
        self.sandbox.tool()
    }

    fn confine(&self, command: Command, policy: &Policy) -> Result<Confined, SandboxError> {
        let mut confined = self.sandbox.confine(command, policy)?;
        let group = self.groups.make(&policy.limits).map_err(|error| {
            SandboxError::new(
                format!(
                    "no control group could be made in {}: {error}",
                    self.groups.place().display()
                ),
                "Look at who else changes that group, then start the daemon again",
            )
        })?;
        confined.guard.limit(group);
        Ok(confined)
    }
}
