//! The credential of Claude Code that a turn does not have. It has a placeholder, and a port of its loopback that leads to the
//! model's API alone, where the daemon puts one for the other.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use http::{HeaderName, HeaderValue};
use reveille_backends::{Failure, FailureCode, Remedy, TurnRequest};
use reveille_sandbox::egress::{Bounds, Latch, Shield, ShieldError, Swap, shield};
use reveille_sandbox::{Guard, Handler, Loopback, Network, Target};
use tokio::net::TcpListener;
use tracing::Instrument as _;
use url::Url;
use uuid::Uuid;

use super::{API, Sandboxing};

/// Where the CLI asks when it is told nothing.
const USUAL: &str = "https://api.anthropic.com";
/// Lines of headers for every request. What a gateway wants in them may be secret too.
pub(crate) const HEADERS: &str = "ANTHROPIC_CUSTOM_HEADERS";
/// What the CLI asks the API for. A credential may open more, such as the making of another one that would be told.
const PATHS: [&str; 3] = ["/v1/messages", "/v1/messages/count_tokens", "/v1/models"];
/// A shorter secret is none, and may be a part of anything.
const LONG: usize = 8;
/// Where the port is looked for in a network of a turn's own: behind that of the proxy.
const PORTS_FROM: u16 = 3129;
/// After a failed `accept`, most often because the daemon has too many files open.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// What keeps the credential of a process out, as long as it lives.
#[derive(Default)]
pub(crate) struct Door {
    _guard: Guard,
    /// Shut while no turn runs.
    pub(crate) latch: Latch,
}

/// What stands between a turn and the API.
pub(crate) struct Plan {
    upstream: Url,
    swaps: Vec<Swap>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// Why a turn cannot be kept from its credential, and what to do.
fn refusal(what: &str, next_step: &str) -> Failure {
    Failure {
        code: FailureCode::Sandbox,
        message: format!("The turn was not started: its credential is to stay outside ([sandbox] shield), and {what}."),
        next_step: next_step.to_owned(),
        remedy: Remedy::Operator,
        detail: String::new(),
    }
}

/// The CLI looks at how a credential begins.
fn placeholder(variable: &str) -> String {
    let start = match variable {
        "CLAUDE_CODE_OAUTH_TOKEN" => "sk-ant-oat01-",
        "ANTHROPIC_API_KEY" => "sk-ant-api03-",
        _ => "",
    };
    // 244 random bits: where a turn has no network of its own, others of the machine reach the port.
    format!(
        "{start}placeholder-{}{}",
        Uuid::new_v4().simple(),
        Uuid::new_v4().simple()
    )
}

/// The lines, as the CLI reads them.
fn headers_of(lines: &str) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let pairs = lines.lines().filter_map(|line| line.split_once(':'));
    let pairs = pairs.map(|(name, value)| (name.trim(), value.trim()));
    let header = |(name, value): (&str, &str)| Some((name.parse().ok()?, value.parse().ok()?)); // silent-ok: told by the caller
    pairs
        .filter(|(name, value)| !name.is_empty() && !value.is_empty())
        .map(header)
        .collect()
}

impl Plan {
    /// Takes what signs a turn in out of its variables. `keys` are those, each with its variable.
    ///
    /// # Errors
    /// It cannot be kept from it.
    pub(crate) fn of(env: &mut BTreeMap<String, String>, keys: &[(&'static str, String)]) -> Result<Self, Failure> {
        let mut swaps = Vec::new();
        for (variable, secret) in keys {
            let swap = Swap {
                placeholder: placeholder(variable),
                secret: secret.clone(),
            };
            env.insert((*variable).to_owned(), swap.placeholder.clone());
            swaps.push(swap);
        }
        let headers = env.remove(HEADERS).unwrap_or_default();
        let headers = headers_of(&headers).ok_or_else(|| {
            let what = format!("{HEADERS} holds a line that is no header");
            refusal(
                &what,
                "Mend it under [claude.env] in the configuration: NAME: VALUE, one a line.",
            )
        })?;
        let holds = |value: &str, secret: &str| value == secret || (secret.len() >= LONG && value.contains(secret));
        let told = |value: &str| keys.iter().any(|(_, secret)| holds(value, secret));
        if let Some((name, _)) = env.iter().find(|(_, value)| told(value)) {
            let what = format!("the variable {name} holds it too");
            let next = "Take it out of that variable (under [claude.env] in the configuration, or with `reveille secret rm`), or \
                        turn the shield off for this agent.";
            return Err(refusal(&what, next));
        }
        let set = env.get(API).filter(|url| !url.is_empty());
        let upstream = Url::parse(set.map_or(USUAL, String::as_str));
        let upstream = upstream
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host()); // silent-ok: told below
        let Some(upstream) = upstream else {
            let what = format!("{API} is no address of a service");
            return Err(refusal(&what, "Mend it under [claude.env] in the configuration."));
        };
        Ok(Self {
            upstream,
            swaps,
            headers,
        })
    }
}

impl Sandboxing {
    /// Whether the credential of an agent's turns stays outside. `trusted`: the table of its name is meant for it.
    #[must_use]
    pub(crate) fn shields(&self, agent: &str, trusted: bool) -> bool {
        self.ceiling(agent, trusted).shield.value
    }

    /// Keeps a turn from what signs it in. The answer is to live as long as the turn.
    ///
    /// # Errors
    /// That cannot be.
    pub(crate) fn raise_shield(
        &self,
        request: &mut TurnRequest,
        keys: &[(&'static str, String)],
    ) -> Result<Door, Failure> {
        if !self.is_confined() {
            let next = "Set `[sandbox] mode = \"auto\"` in the configuration, or turn the shield off.";
            return Err(refusal("agents are not confined here", next));
        }
        // The stand-in asks nobody, so it may have none.
        if keys.is_empty() {
            return Ok(Door::default());
        }
        request.secrets.extend(keys.iter().map(|(_, secret)| secret.clone()));
        request.secrets.extend(request.env.get(HEADERS).cloned());
        let plan = Plan::of(&mut request.env, keys)?;
        let latch = Latch::default();
        let handler = shield(Shield {
            upstream: plan.upstream,
            paths: &PATHS,
            swaps: plan.swaps,
            headers: plan.headers,
            parent: self.0.parent.clone(),
            log: request.policy.log.clone(),
            bounds: Bounds::default(),
            latch: latch.clone(),
        });
        let (port, guard) = handler
            .map_err(|error: ShieldError| error.to_string())
            .and_then(|handler| open(request, handler).map_err(|error| format!("it has no port: {error}")))
            .map_err(|why| {
                refusal(
                    &why,
                    "Ask the operator to run `reveille doctor`, then send the message again.",
                )
            })?;
        request.env.insert(API.to_owned(), format!("http://127.0.0.1:{port}"));
        Ok(Door { _guard: guard, latch })
    }
}

/// Where the turn finds it.
fn open(request: &mut TurnRequest, handler: Handler) -> std::io::Result<(u16, Guard)> {
    let policy = &mut request.policy;
    let mut guard = Guard::default();
    if cfg!(target_os = "linux") && policy.network != Network::Open {
        let is_free = |port: &u16| !policy.loopback.iter().any(|known| known.port == *port);
        let port = (PORTS_FROM..).find(is_free).unwrap_or(PORTS_FROM);
        let target = Target::Handler(handler);
        policy.loopback.push(Loopback { port, target });
        return Ok((port, guard));
    }
    // Its loopback is that of the machine.
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let address: SocketAddr = listener.local_addr()?;
    let listener = TcpListener::from_std(listener)?;
    let take = async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => handler(stream),
                Err(error) => {
                    tracing::warn!(%error, "a connection of a turn cannot be taken");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    };
    guard.keep(tokio::spawn(take.in_current_span()));
    policy.loopback.retain(|known| known.port != address.port());
    policy.loopback.push(Loopback {
        port: address.port(),
        target: Target::Address(address),
    });
    Ok((address.port(), guard))
}

#[cfg(test)]
mod tests;
