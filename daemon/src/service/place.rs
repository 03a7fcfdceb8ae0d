//! Where the daemon is and who may use it, and what a person and the hub are told of that at the start.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::claude::Claude;
use crate::config::{Config, Mount};
use crate::http::{self, Api};
use crate::module::{self, Module};

/// The directory with all links followed: confined turns see it at its own path alone.
pub(super) fn real(dir: &Path) -> PathBuf {
    // silent-ok: it was made just now.
    dir.canonicalize().unwrap_or_else(|_| dir.to_owned())
}

/// Pages of these may use everything, with a token: those that the operator names, and those of the hub where there is one.
pub(super) fn origins(config: &Config) -> http::Origins {
    let named = config.server.origins.iter().map(|origin| origin.0.clone());
    let configured = config.hub.auth || config.hub.token.is_some() || config.hub.place.named.is_some();
    let hub = match configured {
        true => config.hub.place.issuers(),
        false => Vec::new(),
    };
    // silent-ok: what is no address is the origin of no page.
    let hub = hub.iter().filter_map(|name| url::Url::parse(name).ok());
    http::Origins::new(named.chain(hub.map(|url| url.origin().ascii_serialization())))
}

/// What the hub is told of us; `None`: nothing.
pub(super) fn module_of(config: &Config, mount: Mount, address: SocketAddr, state: &Path) -> Option<Module> {
    let home = config.hub.place.home.clone().filter(|_| config.hub.register)?;
    let program = std::env::current_exe().unwrap_or_else(|_| module::NAME.into());
    Some(Module {
        home,
        dir: state.join("module"),
        mount,
        port: address.port(),
        start: module::start_command(&program, state, config.file.as_deref()),
    })
}

/// Tells the hub, which may be told later too: the daemon works without it.
pub(super) fn register(module: &Module) {
    match module.register() {
        Ok(()) => tracing::info!(home = %module.home.display(), "the hub of this machine is told that we are here"),
        Err(error) => {
            tracing::error!(%error, "the hub of this machine is not told that we are here; the daemon works without it");
        }
    }
}

/// The address for programs on this machine.
pub(super) fn local_url(bound: SocketAddr) -> String {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, bound.port()))
}

pub(super) fn cannot_bind(address: SocketAddr, error: &std::io::Error) -> anyhow::Error {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => anyhow::anyhow!(
            "the address {address} is in use; another daemon may run there (`reveille doctor`), or take a free port with --bind {}:0",
            address.ip()
        ),
        std::io::ErrorKind::PermissionDenied => {
            anyhow::anyhow!("the address {address} may not be used by this user; choose a port above 1023 with --bind")
        }
        _ => anyhow::anyhow!("the address {address} cannot be used: {error}; choose another one with --bind"),
    }
}

pub(super) fn warn_missing(claude: &Claude) {
    if !claude.is_there() {
        tracing::warn!(
            program = claude.config().program,
            "Claude Code is not there: install it or set `[claude] program`; no turn can run until then. `reveille doctor` checks the rest"
        );
    }
}

pub(super) fn warn_unconfined(api: &Api) {
    if !api.sandbox.confined {
        tracing::warn!(sandbox = api.sandbox.mode, "{}", api.sandbox.detail);
    } else if rustix::process::geteuid().is_root() {
        tracing::warn!(
            "the daemon runs as root: agents are confined all the same, but a fault of the confinement would give them \
             everything; a user of its own is safer"
        );
    }
}
