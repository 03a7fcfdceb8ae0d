//! What one child may reach.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::egress;

/// Which files can be read. What can be written is the same in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filesystem {
    /// Programs and libraries of the system, and the directories that the policy names.
    #[default]
    Workspace,
    /// Everything that the daemon's user can read, without the secrets that are masked.
    Full,
}

/// Which addresses can be reached. The later, the more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// Those that a rule names, through the daemon's proxy.
    Restricted,
    /// Every public one, through the daemon's proxy; none of the machine or of its networks unless a rule names it.
    Proxied,
    /// All that the daemon's user can reach, the machine's own services included.
    #[default]
    Open,
}

/// A port of the child's own loopback behind which something of the daemon's machine answers. Under [`Network::Open`] the
/// child has the machine's loopback anyway, and only a [`Target::Handler`] differs from what is there.
#[derive(Debug, Clone)]
pub struct Loopback {
    /// Port on 127.0.0.1 inside.
    pub port: u16,
    /// What answers.
    pub target: Target,
}

impl Loopback {
    /// The first port that a child with a network of its own can have: those below are for an administrator of that network,
    /// and it has none.
    pub const PORTS_FROM: u16 = 1024;
}

/// Takes over a connection from a child.
pub type Handler = Arc<dyn Fn(tokio::net::TcpStream) + Send + Sync>;

/// What is behind a port of the child's loopback.
#[derive(Clone)]
pub enum Target {
    /// An address of the daemon's machine; bytes go to and fro unseen.
    Address(SocketAddr),
    /// Code of the daemon. It must not block.
    Handler(Handler),
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => f.debug_tuple("Address").field(address).finish(),
            Self::Handler(_) => f.write_str("Handler"),
        }
    }
}

/// What a child may take of the machine. The first two are limits of the processes themselves (`setrlimit`), and the kernel
/// does not heed the second one for root; the others, and the second one once more, are kept by a control group where the
/// daemon has some: see [`Groups`](crate::Groups).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Open files of one process.
    pub open_files: u64,
    /// Processes and threads inside the sandbox.
    pub processes: u64,
    /// Bytes of memory of all of them together, with what is cached for them and the files in `/tmp`; `None`: no limit.
    pub memory: Option<u64>,
    /// Share of the processors when they are all busy, from 1 to 10 000. What else runs has 100, unless somebody says otherwise.
    pub cpu_weight: u64,
}

impl Default for Limits {
    /// What a build of a large program needs, several times over: 65 536 files (Docker's usual limit is higher, systemd's
    /// hard default 524 288) and 4 096 processes. Half the processors' time of what else is busy, the daemon first of all.
    fn default() -> Self {
        Self {
            open_files: 65_536,
            processes: 4096,
            memory: None,
            cpu_weight: 50,
        }
    }
}

/// What one child may reach. All paths are absolute, and are the same inside and outside.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Which files can be read.
    pub filesystem: Filesystem,
    /// Which addresses can be reached.
    pub network: Network,
    /// May be read and written. One that is not there is an error.
    pub writable: Vec<PathBuf>,
    /// May be read only. One that is not there is left out.
    pub readable: Vec<PathBuf>,
    /// Those of the two that were compared with something, all links followed: one with a link on its way is an error, for
    /// it leads elsewhere than when it was compared.
    pub straight: Vec<PathBuf>,
    /// Not to be seen in any mode; what `writable` and `readable` name below them is seen all the same, unless that holds
    /// the whole of a masked path.
    pub masked: Vec<PathBuf>,
    /// Programs that are shown with what they need, besides the one that is run.
    pub programs: Vec<PathBuf>,
    /// Where connections may go when the network is not open.
    pub egress: Vec<egress::Rule>,
    /// Whether what is sent to port 443 of a name must begin TLS for that name.
    pub check_sni: bool,
    /// Services of the machine that the child needs.
    pub loopback: Vec<Loopback>,
    /// Who is told of connections, allowed and refused.
    pub log: egress::Log,
    /// What it may take of the machine.
    pub limits: Limits,
}
