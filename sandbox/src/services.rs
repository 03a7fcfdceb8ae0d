//! What answers a child on ports of its loopback.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tracing::Instrument as _;

use crate::egress::{self, Gate};
use crate::{Guard, Handler, Loopback, Network, Policy, SandboxError, Target};

/// Most services of one child. With the proxy they must fit into one message of the shim.
pub(crate) const SERVICES_MAX: usize = 64;

/// What answers behind a port inside.
pub(crate) enum Service {
    Proxy(Arc<Gate>),
    Address(SocketAddr),
    Handler(Handler),
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Proxy(_) => "Proxy",
            Self::Address(_) => "Address",
            Self::Handler(_) => "Handler",
        })
    }
}

impl Service {
    /// Serves a listener until the guard goes.
    pub(crate) fn serve(self, listener: TcpListener, guard: &mut Guard) {
        // What they tell is told of whoever the child works for.
        guard.keep(match self {
            Self::Proxy(gate) => tokio::spawn(egress::serve(listener, gate).in_current_span()),
            Self::Address(address) => tokio::spawn(egress::forward(listener, address).in_current_span()),
            Self::Handler(handler) => tokio::spawn(hand_over(listener, handler).in_current_span()),
        });
    }
}

/// After a failed `accept`, most often because the daemon has too many files open.
const PAUSE: Duration = Duration::from_millis(100);

async fn hand_over(listener: TcpListener, handler: Handler) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => handler(stream),
            Err(error) => {
                tracing::warn!(%error, "a connection from a sandbox cannot be taken");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// What answers on which port, of the child's own network or of the machine's.
pub(crate) fn of(policy: &Policy) -> Result<Vec<(u16, Service)>, SandboxError> {
    let mut services: Vec<(u16, Service)> = Vec::new();
    for loopback in &policy.loopback {
        let service = match &loopback.target {
            Target::Address(address) => Service::Address(*address),
            Target::Handler(handler) => Service::Handler(Arc::clone(handler)),
        };
        if policy.network != Network::Open && loopback.port < Loopback::PORTS_FROM {
            return Err(SandboxError::new(
                format!(
                    "a network of its own has no ports below 1024, and port {} is to be there",
                    loopback.port
                ),
                "Give the service another port, or the agent an open network",
            ));
        }
        if services.iter().any(|(port, _)| *port == loopback.port) {
            return Err(SandboxError::new(
                format!("port {} of its loopback would be two services", loopback.port),
                "Give one of the services another port",
            ));
        }
        services.push((loopback.port, service));
    }
    if services.len() >= SERVICES_MAX {
        return Err(SandboxError::new(
            format!("{} local services are too many", services.len()),
            "Connect the agent to fewer servers on this machine",
        ));
    }
    Ok(services)
}

/// Listens on a port of the machine's loopback; any free one when it is 0.
pub(crate) fn listen(port: u16) -> Result<TcpListener, SandboxError> {
    let listen = || {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    };
    listen().map_err(|error: io::Error| {
        SandboxError::new(
            format!("port {port} of 127.0.0.1: {error}"),
            "End the program that has the port, or give the agent a network of its own",
        )
    })
}
