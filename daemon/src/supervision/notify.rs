//! What systemd is told while the daemon runs (`sd_notify`): lines to the socket in `NOTIFY_SOCKET`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Pings in one span of the watchdog.
const PINGS: u32 = 4;
/// What a stop may take longer than it should, before systemd kills.
const MARGIN: Duration = Duration::from_secs(5);

/// Tells systemd how the daemon stands; nothing when there is none.
#[derive(Debug, Default)]
pub(crate) struct Notifier {
    socket: Option<UnixDatagram>,
    /// How often it wants to hear of us.
    watchdog: Option<Duration>,
}

impl Notifier {
    /// As the environment says.
    #[must_use]
    pub(crate) fn of(environment: &[(OsString, OsString)]) -> Self {
        let value = |name: &str| {
            let mut all = environment.iter();
            all.find(|(key, _)| key == name).map(|(_, value)| value)
        };
        let number = |name: &str| value(name)?.to_str()?.parse::<u64>().ok(); // silent-ok: what is no number says nothing
        let Some(address) = value("NOTIFY_SOCKET") else {
            return Self::default();
        };
        let socket = match connected(address.as_bytes()) {
            Ok(socket) => Some(socket),
            Err(error) => {
                tracing::warn!(%error, "systemd is not told that the daemon serves: its socket cannot be used");
                None
            }
        };
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|&span| ours && span > 0);
        Self {
            socket,
            watchdog: watchdog.map(Duration::from_micros),
        }
    }

    fn tell(&self, text: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(text.as_bytes())
        {
            tracing::warn!(%error, "systemd could not be told how the daemon stands");
        }
    }

    /// Tells that the daemon serves, then that it lives, and that it stops once `drain` says so, which takes `stop` at most.
    /// Ends only with the runtime: a stop must not look like a hang.
    pub(crate) async fn run(self, url: String, stop: Duration, drain: CancellationToken) {
        if self.socket.is_none() {
            return;
        }
        self.tell(&format!("READY=1\nSTATUS=serves at {url}"));
        tokio::join!(self.live(), async {
            drain.cancelled().await;
            let most = (stop + MARGIN).as_micros();
            self.tell(&format!(
                "STOPPING=1\nSTATUS=no new turns; running ones may end\nEXTEND_TIMEOUT_USEC={most}"
            ));
        });
    }

    /// The timer of the runtime stands still when the runtime does.
    async fn live(&self) {
        let Some(span) = self.watchdog else {
            return;
        };
        loop {
            self.tell("WATCHDOG=1");
            tokio::time::sleep(span / PINGS).await;
        }
    }
}

/// A name that begins with `@` is no file.
fn connected(address: &[u8]) -> std::io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    // A manager that does not read must not hold the daemon up.
    socket.set_nonblocking(true)?;
    socket.connect_addr(&address_of(address)?)?;
    Ok(socket)
}

#[cfg(target_os = "linux")]
fn address_of(address: &[u8]) -> std::io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt as _;
    match address.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(std::path::Path::new(std::ffi::OsStr::from_bytes(address))),
    }
}

#[cfg(not(target_os = "linux"))]
fn address_of(address: &[u8]) -> std::io::Result<SocketAddr> {
    SocketAddr::from_pathname(std::path::Path::new(std::ffi::OsStr::from_bytes(address)))
}
