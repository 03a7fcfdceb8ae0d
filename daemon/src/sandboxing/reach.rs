//! The services that a turn needs: those of this machine get a port of the child's own loopback, those elsewhere a rule that
//! names them exactly.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use reveille_sandbox::egress::{Rule, RuleError};
use reveille_sandbox::{Loopback, Policy, Target};
use url::{Host, Url};

/// Services, by their addresses. Nothing of them is looked up.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Reach {
    rules: Vec<Rule>,
    /// By the port on the child's loopback.
    local: BTreeMap<u16, SocketAddr>,
}

/// The address of a service on this machine.
fn on_loopback(url: &Url) -> Option<SocketAddr> {
    let ip = match url.host()? {
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            (name == "localhost" || name.ends_with(".localhost")).then_some(Ipv4Addr::LOCALHOST.into())
        }
        Host::Ipv4(ip) if ip.is_unspecified() => Some(Ipv4Addr::LOCALHOST.into()),
        Host::Ipv4(ip) => ip.is_loopback().then_some(IpAddr::from(ip)),
        Host::Ipv6(ip) => ip.is_loopback().then_some(IpAddr::from(ip)),
    };
    Some(SocketAddr::new(ip?, url.port_or_known_default()?))
}

/// Whether an address is on this machine's loopback, and nothing there proves who answers.
#[must_use]
pub(crate) fn plain_on_loopback(url: &str) -> bool {
    // silent-ok: what is no address is reached nowhere.
    let url: Option<Url> = url.parse().ok();
    url.is_some_and(|url| url.scheme() == "http" && on_loopback(&url).is_some())
}

impl Reach {
    /// What the operator has named: its name may lead to an address of this machine's networks.
    ///
    /// # Errors
    /// The address names no host.
    pub(crate) fn trust(&mut self, url: &str) -> Result<(), RuleError> {
        self.add(url, Rule::trusted)
    }

    /// What somebody else has named.
    ///
    /// # Errors
    /// The address names no host.
    pub(crate) fn grant(&mut self, url: &str) -> Result<(), RuleError> {
        self.add(url, |rule| rule)
    }

    fn add(&mut self, url: &str, kind: impl FnOnce(Rule) -> Rule) -> Result<(), RuleError> {
        let url: Url = url.parse().map_err(|error: url::ParseError| RuleError {
            // The address itself may hold a secret.
            text: "an address".to_owned(),
            reason: error.to_string(),
        })?;
        match on_loopback(&url) {
            Some(address) if address.port() < Loopback::PORTS_FROM => {
                return Err(RuleError {
                    text: address.to_string(),
                    reason: "agents with a network of their own have no ports below 1024: give the service another port, or the \
                             agents that need it an open network"
                        .to_owned(),
                });
            }
            Some(address) => {
                self.local.entry(address.port()).or_insert(address);
            }
            None => {
                let rule = kind(Rule::of_url(&url)?);
                if !self.rules.contains(&rule) {
                    self.rules.push(rule);
                }
            }
        }
        Ok(())
    }

    /// Lets a child reach them.
    pub(crate) fn open(&self, policy: &mut Policy) {
        for rule in &self.rules {
            if !policy.egress.contains(rule) {
                policy.egress.push(rule.clone());
            }
        }
        for (port, address) in &self.local {
            if !policy.loopback.iter().any(|known| known.port == *port) {
                policy.loopback.push(Loopback {
                    port: *port,
                    target: Target::Address(*address),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn opened(urls: &[&str]) -> (Vec<String>, Vec<String>) {
        let mut reach = Reach::default();
        for url in urls {
            reach.trust(url).unwrap();
        }
        let mut policy = Policy::default();
        reach.open(&mut policy);
        let local = policy.loopback.iter().map(|one| match one.target {
            Target::Address(address) => format!("{} -> {address}", one.port),
            Target::Handler(_) => "handler".into(),
        });
        (policy.egress.iter().map(ToString::to_string).collect(), local.collect())
    }

    #[test]
    fn services_of_this_machine_are_behind_ports_of_the_loopback_and_others_behind_exact_rules() {
        let (rules, local) = opened(&[
            "http://127.0.0.1:1941/x",
            "http://localhost:1940",
            "http://[::1]:1939",
            "http://0.0.0.0:1938",
            "http://api.localhost:1937/",
            "https://hub.example.com/admin",
            "http://hub.example.com",
            "https://hub.example.com:8443/",
            "https://hub.example.com/other",
            "http://192.168.1.5:1941",
        ]);
        assert_eq!(
            rules,
            [
                "hub.example.com:443",
                "hub.example.com:80",
                "hub.example.com:8443",
                "192.168.1.5:1941"
            ]
        );
        assert_eq!(
            local,
            [
                "1937 -> 127.0.0.1:1937",
                "1938 -> 127.0.0.1:1938",
                "1939 -> [::1]:1939",
                "1940 -> 127.0.0.1:1940",
                "1941 -> 127.0.0.1:1941"
            ]
        );
    }

    /// One such service must not keep every turn from its start.
    #[test]
    fn a_port_that_cannot_be_there_is_told_and_left_out() {
        for url in ["http://localhost", "https://127.0.0.1/x", "http://[::1]:1023"] {
            let mut reach = Reach::default();
            let told = reach.trust(url).unwrap_err().to_string();
            assert!(told.contains("below 1024"), "{told}");
            assert_eq!(reach, Reach::default());
        }
        assert_eq!(opened(&["http://localhost:1024"]).1, ["1024 -> 127.0.0.1:1024"]);
    }

    #[test]
    fn what_is_no_address_is_told_without_being_shown() {
        for url in ["", "no address", "http://user:secret@", "file:///etc/passwd"] {
            let told = Reach::default().trust(url).unwrap_err().to_string();
            assert!(!told.contains("secret"), "{told}");
        }
    }
}
