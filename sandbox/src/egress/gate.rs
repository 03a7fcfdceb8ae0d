//! What one child may connect to.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use tokio::sync::Semaphore;

use super::dial::{BoxStream, Idle, Outside, Real};
use super::host::{Destination, Host};
use super::parent::Purpose;
use super::{Decision, Log, ParentProxy, Pass, Rule, address};

/// Limits of the connections of one gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Connections at the same time; one more is refused.
    pub connections: usize,
    /// Bytes of the head of a request.
    pub head: usize,
    /// How long a child may take for a head.
    pub head_timeout: Duration,
    /// How long it may take to look a name up and to connect.
    pub dial_timeout: Duration,
    /// How long a connection may be silent in both directions.
    pub idle: Duration,
}

impl Default for Bounds {
    /// 128 connections (two descriptors of the daemon each), 64 KiB, 30 s, 30 s, an hour.
    fn default() -> Self {
        Self {
            connections: 128,
            head: 64 * 1024,
            head_timeout: Duration::from_secs(30),
            dial_timeout: Duration::from_secs(30),
            idle: Duration::from_secs(60 * 60),
        }
    }
}

/// Decides on the connections of one child.
#[derive(Debug, Clone)]
pub struct Gate {
    /// What may be reached.
    pub rules: Vec<Rule>,
    /// Whether every public address may be reached as well.
    pub any_public: bool,
    /// The proxy of the daemon's own network, through which it connects.
    pub parent: Option<Arc<ParentProxy>>,
    /// What a child must show, where others than it can reach the proxy.
    pub pass: Option<Pass>,
    /// Whether what is sent to port 443 of a name must begin TLS for that name.
    pub check_sni: bool,
    /// Who is told of connections.
    pub log: Log,
    /// Limits.
    pub bounds: Bounds,
    pub(super) outside: Arc<dyn Outside>,
    /// Places for its look-ups of names.
    pub(super) look_ups: Arc<Semaphore>,
}

/// Names that one child has looked up at the same time. The daemon has places for four such children.
pub(super) const LOOK_UPS: usize = 4;

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum Denied {
    /// No rule names the destination.
    NotListed,
    /// A rule does, but its addresses are not public.
    Address,
    /// It took too long.
    Late,
    /// It failed.
    Failed(io::Error),
}

/// A connection that was allowed.
pub(super) struct Way {
    /// Bytes.
    pub(super) stream: Idle<BoxStream>,
    /// At the other end is a proxy that takes requests for others, with what it wants to be told.
    pub(super) proxy: Option<Option<HeaderValue>>,
}

impl Gate {
    /// A gate for what rules name, without a proxy behind it.
    #[must_use]
    pub fn new(rules: Vec<Rule>, log: Log) -> Self {
        Self {
            rules,
            any_public: false,
            parent: None,
            pass: None,
            check_sni: false,
            log,
            bounds: Bounds::default(),
            outside: Arc::new(Real),
            look_ups: Arc::new(Semaphore::new(LOOK_UPS)),
        }
    }

    /// Connects to a destination, if that is allowed, and tells the log.
    pub(super) async fn open(&self, to: &Destination, purpose: Purpose) -> Result<Way, Denied> {
        let found = match tokio::time::timeout(self.bounds.dial_timeout, self.way(to, purpose)).await {
            Ok(found) => found,
            Err(_elapsed) => Err(Denied::Late),
        };
        self.tell(to, &found);
        found
    }

    fn tell(&self, to: &Destination, found: &Result<Way, Denied>) {
        let decision = match found {
            Ok(_) => Decision::Allowed,
            Err(Denied::NotListed) => Decision::Refused,
            Err(Denied::Address) => Decision::RefusedAddress,
            Err(Denied::Late | Denied::Failed(_)) => Decision::Failed,
        };
        let (host, port) = (to.host.to_string(), to.port);
        let is_first = self.log.record(&host, port, decision);
        match found {
            Err(Denied::NotListed) if is_first => {
                tracing::warn!(host, port, "a connection was refused: no rule of `egress` names it");
            }
            Err(Denied::Address) if is_first => {
                tracing::warn!(
                    host,
                    port,
                    "a connection was refused: the name leads into this machine or its networks"
                );
            }
            Err(Denied::Failed(error)) => tracing::debug!(host, port, %error, "a connection failed"),
            _ => tracing::debug!(host, port, ?decision, "a connection"),
        }
    }

    async fn way(&self, to: &Destination, purpose: Purpose) -> Result<Way, Denied> {
        let named: Vec<&Rule> = self.rules.iter().filter(|rule| rule.allows(to)).collect();
        if named.is_empty() && !self.any_public {
            return Err(Denied::NotListed);
        }
        let private = named.iter().any(|rule| rule.allows_private());
        let found = match &to.host {
            Host::Ip(ip) => Ok(vec![*ip]),
            Host::Name(name) => self.resolve(name).await,
        };
        let is_allowed = |ip: &IpAddr| private || (address::is_public(*ip) && !self.outside.is_own(*ip));
        let (usable, refused): (Vec<IpAddr>, Vec<IpAddr>) = found.iter().flatten().partition(|ip| is_allowed(ip));
        if usable.is_empty() && !refused.is_empty() {
            return Err(Denied::Address);
        }
        let is_here = !usable.is_empty() && usable.iter().all(IpAddr::is_loopback);
        // Where nobody answers for the name the address decides, so it has to be known.
        let by_name = named.iter().any(|rule| rule.allows_any_lookup());
        let parent = self.parent.as_ref().filter(|_| !is_here && (by_name || found.is_ok()));
        if let Some(parent) = parent.and_then(|parent| parent.choose(to, purpose)) {
            // It looks the name up itself, and may take any of the addresses.
            if !refused.is_empty() {
                return Err(Denied::Address);
            }
            let stream = parent.connect(&*self.outside, self.bounds.dial_timeout).await;
            let stream = stream.map_err(Denied::Failed)?;
            // Where the address decides, the proxy must go to this one: its own answer for the name may be another.
            let checked = usable.first().filter(|_| !by_name);
            if let Some(ip) = checked {
                let at = Destination {
                    host: (*ip).into(),
                    port: to.port,
                };
                let stream = parent.tunnel(stream, &at).await.map_err(Denied::Failed)?;
                return Ok(self.bounded(stream, None));
            }
            return match purpose {
                Purpose::Request => Ok(self.bounded(stream, Some(parent.authorization()))),
                Purpose::Tunnel => {
                    let stream = parent.tunnel(stream, to).await.map_err(Denied::Failed)?;
                    Ok(self.bounded(stream, None))
                }
            };
        }
        found.map_err(Denied::Failed)?;
        let addresses: Vec<SocketAddr> = usable.into_iter().map(|ip| SocketAddr::new(ip, to.port)).collect();
        if addresses.is_empty() {
            return Err(Denied::Failed(io::Error::new(
                io::ErrorKind::NotFound,
                "the name has no address",
            )));
        }
        let stream = self.outside.connect(&addresses, self.bounds.dial_timeout).await;
        Ok(self.bounded(stream.map_err(Denied::Failed)?, None))
    }

    /// One child must not have all the places that there are for look-ups, not even by giving up on them.
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let place = Arc::clone(&self.look_ups).acquire_owned().await;
        let place = place.map_err(io::Error::other)?;
        let (outside, name) = (Arc::clone(&self.outside), name.to_owned());
        let run = tokio::spawn(async move {
            let found = outside.resolve(&name).await;
            drop(place);
            found
        });
        run.await.map_err(io::Error::other)?
    }

    fn bounded(&self, stream: BoxStream, proxy: Option<Option<HeaderValue>>) -> Way {
        Way {
            stream: Idle::new(stream, self.bounds.idle),
            proxy,
        }
    }
}
