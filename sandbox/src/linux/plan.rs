//! From a policy to what bubblewrap and the shim are told.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstat, openat2};

use super::Bubblewrap;
use super::aliases::Mountinfo;
use super::mounts::{Mount, Mounts};
use super::settings::{self, Made};
use super::system::{OWN, PROGRAMS, SETTINGS, SETTINGS_OF_LANGUAGES};
use crate::paths::{Resolved, resolve, resolve_above, resolve_ahead};
use crate::programs::Surroundings;
use crate::shim::{SHIM, wire};
use crate::{Command, Filesystem, Network, Policy, SandboxError};

/// What git marks when people of a group share a repository, below a place.
const SHARED: [&str; 3] = ["", ".git", ".git/objects"];

/// Everything that is decided before a start.
pub(super) struct Plan {
    mounts: Mounts,
    /// Places of the policy: path, device, inode.
    places: Vec<(OsString, u64, u64)>,
    /// What must not be seen, there or not: by its names, and by where these lead.
    masked: Vec<PathBuf>,
    settings: Option<Arc<Made>>,
}

impl Plan {
    /// Decides.
    pub(super) fn make(sandbox: &Bubblewrap, command: &Command, policy: &Policy) -> Result<Self, SandboxError> {
        let masked = masked(policy)?;
        let mut plan = Self {
            mounts: Mounts::default(),
            places: Vec::new(),
            masked: masked.clone(),
            settings: None,
        };
        plan.lay_ground(policy.filesystem);
        for path in &policy.readable {
            plan.readable(path, policy)?;
        }
        for path in &policy.writable {
            plan.writable(path, policy)?;
        }
        plan.check_masks()?;
        plan.show_settings(&masked);
        let surroundings = Surroundings {
            search_path: &sandbox.search_path,
            homes: &sandbox.homes,
            masked: &masked,
        };
        let programs = std::iter::once(&command.program).chain(&policy.programs);
        for path in programs.flat_map(|program| surroundings.of(program)) {
            plan.mounts.show_if_there(&path);
        }
        plan.mounts.mask(&masked);
        plan.mounts.make_room(Path::new(OTHER_SCRATCH));
        plan.mounts.put(SHIM, Mount::Other(sandbox.own.clone()));
        plan.settings = sandbox.settings.gather(&mut plan.mounts).map_err(|error| {
            SandboxError::new(
                format!("the copies of the system's settings cannot be made: {error}"),
                "Look at the room and the rights where the daemon keeps its state, then send the message again",
            )
        })?;
        Ok(plan)
    }

    /// What must be there for as long as the program runs.
    pub(super) fn settings(&self) -> Option<Arc<Made>> {
        self.settings.clone()
    }

    fn lay_ground(&mut self, filesystem: Filesystem) {
        let mounts = &mut self.mounts;
        mounts.put("/proc", Mount::Proc);
        // For a daemon that runs as root the owner of these files is the user inside too, and that is all that the kernel
        // asks for.
        for path in KERNEL_SWITCHES.iter().map(Path::new).filter(|path| path.exists()) {
            mounts.put(path, Mount::Other(path.to_owned()));
        }
        // The process that keeps the others came before the filters; where there is no Landlock its memory could be written.
        mounts.put("/proc/1", Mount::Empty);
        mounts.put("/dev", Mount::Dev);
        mounts.put("/dev/shm", Mount::Scratch);
        mounts.put("/tmp", Mount::Scratch);
        mounts.put("/run", Mount::Empty);
        match filesystem {
            Filesystem::Full => mounts.put("/", Mount::Host { writable: false }),
            Filesystem::Workspace => {
                mounts.put(OTHER_SCRATCH, Mount::Link("/tmp".into()));
                for path in PROGRAMS {
                    mounts.show_if_there(Path::new(path));
                }
            }
        }
    }

    /// What is seen already, as under [`Filesystem::Full`], stays as it is.
    fn show_settings(&mut self, masked: &[PathBuf]) {
        for path in SETTINGS {
            self.mounts.show_copy(Path::new(path), masked);
        }
        // silent-ok: a system without /etc has no settings.
        for entry in std::fs::read_dir("/etc").into_iter().flatten().flatten() {
            let name = entry.file_name();
            let of_language = |start: &&str| name.as_bytes().starts_with(start.as_bytes());
            if SETTINGS_OF_LANGUAGES.iter().any(of_language) {
                self.mounts.show_copy(&entry.path(), masked);
            }
        }
    }

    fn readable(&mut self, path: &Path, policy: &Policy) -> Result<(), SandboxError> {
        match resolve(path) {
            Ok(found) => self.place(path, found, policy, false),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(unusable(path, &error)),
        }
    }

    fn writable(&mut self, path: &Path, policy: &Policy) -> Result<(), SandboxError> {
        let found = resolve(path).map_err(|error| unusable(path, &error))?;
        self.place(path, found, policy, true)
    }

    fn place(&mut self, path: &Path, found: Resolved, policy: &Policy, writable: bool) -> Result<(), SandboxError> {
        if policy.straight.iter().any(|straight| straight == path)
            && let Some((link, _)) = found.links.first()
        {
            return Err(SandboxError::new(
                format!(
                    "{} was replaced by a link after it was allowed: {}",
                    path.display(),
                    link.display()
                ),
                "Look at who can write there, and put the directory back; then send the message again",
            ));
        }
        let own = OWN.iter().any(|own| found.real.starts_with(own));
        if own || found.real == Path::new("/") {
            return Err(SandboxError::new(
                format!("{} cannot be given to an agent", path.display()),
                "Name the directory that it needs; to let it read everything, use filesystem: full",
            ));
        }
        // Without following links: somebody may have put one there since.
        let open = || -> std::io::Result<OwnedFd> {
            let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            Ok(openat2(
                CWD,
                &found.real,
                flags,
                Mode::empty(),
                ResolveFlags::NO_SYMLINKS,
            )?)
        };
        let stat = open()
            .and_then(|file| Ok(fstat(file)?))
            .map_err(|error| unusable(path, &error))?;
        self.places.push((wire::raw(&found.real), stat.st_dev, stat.st_ino));
        self.mounts.show(found, writable);
        Ok(())
    }

    /// Who can write above a masked place can move it to another name, where the next agent sees it.
    fn check_masks(&self) -> Result<(), SandboxError> {
        let writable: Vec<&PathBuf> = self.mounts.writable().collect();
        let above = |masked: &Path| {
            let holds = |dir: &&&PathBuf| masked != dir.as_path() && masked.starts_with(dir);
            writable.iter().find(holds).map(|dir| dir.to_path_buf())
        };
        match self.masked.iter().find_map(|masked| Some((masked, above(masked)?))) {
            None => Ok(()),
            Some((masked, dir)) => Err(SandboxError::new(
                format!(
                    "{}, which must not be seen, lies in {}, which may be written",
                    masked.display(),
                    dir.display()
                ),
                "Let the agent write in directories beside it only, or only read",
            )),
        }
    }

    /// What is masked where it could be seen. A mount hides what is there now, and not what somebody puts in its place.
    fn hidden(&self) -> Vec<&PathBuf> {
        let is_seen = |path: &&PathBuf| path.parent().is_some_and(|above| self.mounts.sees(above));
        self.masked.iter().filter(is_seen).collect()
    }

    /// Whether people of a group work together in some writable place, by the mark that it has for that: git, among others,
    /// sets the mark on all that it makes there. The group of root is never lent.
    fn is_shared_by_a_group(&self) -> bool {
        let is_marked = |path: PathBuf| {
            // silent-ok: most have no such directory.
            std::fs::metadata(path).is_ok_and(|found| found.is_dir() && found.mode() & libc::S_ISGID != 0)
        };
        let mut places = self.mounts.writable();
        let within = |path: &PathBuf| SHARED.iter().any(|below| is_marked(path.join(below)));
        !rustix::process::getegid().is_root() && places.any(within)
    }

    /// What the shim has to do.
    pub(super) fn order(&self, command: Command, policy: &Policy, ports: Vec<u16>) -> wire::Order {
        let variable = |(name, value): (OsString, OsString)| {
            let mut variable = name;
            variable.push("=");
            variable.push(value);
            variable
        };
        let hidden = self.hidden();
        let holds_none = |path: &&PathBuf| !hidden.iter().any(|hidden| hidden.starts_with(path));
        // One by one where something beside them is hidden.
        let copies = self.settings.iter().flat_map(|made| made.copies());
        let copies = copies.filter(|_| hidden.iter().any(|hidden| hidden.starts_with(settings::PLACE)));
        wire::Order {
            shown: self
                .mounts
                .readable()
                .chain(copies)
                .filter(holds_none)
                .map(|path| wire::raw(path))
                .collect(),
            hidden: hidden.iter().map(|path| wire::raw(path)).collect(),
            program: command.program.into(),
            args: command.args,
            env: command.env.into_iter().map(variable).collect(),
            cwd: command.cwd.into(),
            writable: self.mounts.writable().map(|path| wire::raw(path)).collect(),
            // A hidden place is not what it was, and shall not be.
            places: self
                .places
                .iter()
                .filter(|(path, ..)| self.mounts.sees(Path::new(path)))
                .cloned()
                .collect(),
            ports,
            limits: policy.limits,
            group_rights: self.is_shared_by_a_group(),
        }
    }

    /// The arguments of bubblewrap, each with a NUL after it.
    pub(super) fn args(&self, policy: &Policy) -> Vec<u8> {
        let mut args: Vec<OsString> = NAMESPACES.iter().map(OsString::from).collect();
        if policy.network != Network::Open {
            args.push("--unshare-net".into());
        }
        args.extend(self.mounts.args());
        args.extend(self.mounts.seals());
        args.iter().flat_map(|arg| [arg.as_bytes(), b"\0"].concat()).collect()
    }
}

/// The other directory for everybody's temporary files.
const OTHER_SCRATCH: &str = "/var/tmp";

/// Files that change the whole machine.
const KERNEL_SWITCHES: &[&str] = &[
    "/proc/sys",
    "/proc/sysrq-trigger",
    "/proc/fs",
    "/proc/acpi",
    "/proc/scsi",
];

/// Own namespaces of every kind, no capabilities, no more namespaces inside, no terminal, and an end with the daemon's.
const NAMESPACES: &[&str] = &[
    "--unshare-user",
    "--unshare-pid",
    "--unshare-ipc",
    "--unshare-uts",
    "--unshare-cgroup-try",
    "--disable-userns",
    "--cap-drop",
    "ALL",
    "--new-session",
    "--die-with-parent",
    "--chdir",
    "/",
];

/// Everything that is masked, each place by its name, by where that leads, and by where else the same can be seen.
fn masked(policy: &Policy) -> Result<Vec<PathBuf>, SandboxError> {
    let unclear = |path: &Path, error: &std::io::Error| {
        SandboxError::new(
            format!(
                "it cannot be told where {} leads, which no agent may see: {error}",
                path.display()
            ),
            "Mend the links that it leads through",
        )
    };
    let mut all = Vec::new();
    for path in &policy.masked {
        all.push(resolve_ahead(path).map_err(|error| unclear(path, &error))?);
        all.push(resolve_above(path).map_err(|error| unclear(path, &error))?);
    }
    let mounted = Mountinfo::read().map_err(|error| unclear(Path::new("a mount"), &error))?;
    let aliases: Vec<PathBuf> = all.iter().flat_map(|path| mounted.aliases(path)).collect();
    all.extend(aliases);
    all.sort();
    all.dedup();
    Ok(all)
}

fn unusable(path: &Path, error: &std::io::Error) -> SandboxError {
    SandboxError::new(
        format!("{}, which the agent may use, cannot be used: {error}", path.display()),
        "Make it, or take it out of the agent's settings",
    )
}
