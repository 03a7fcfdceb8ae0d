//! What a rule names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

use super::address;
use super::host::{Destination, Host, is_single, port_of};

/// Longest part of a text that an error repeats, in characters.
const SHOWN_CHARS: usize = 80;

/// Ports of a rule without one.
const WEB: [u16; 2] = [443, 80];

/// A host with an optional port: `host`, `host:port`, `*.domain`, `*.domain:port`. Without a port: 443 and 80. The host is a
/// name or an address; a star stands for one or more labels, never for none. Equal texts of a rule are equal rules.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rule {
    hosts: Hosts,
    /// The ports of [`WEB`] when absent.
    port: Option<u16>,
    /// Who answers for the addresses of the name.
    standing: Standing,
}

/// Who answers for where the name of a rule leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nobody: whoever asked for it may rule over the name too.
    Asked,
    /// The name is our own choice.
    Known,
    /// The operator, whatever they are.
    Trusted,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Hosts {
    One(Host),
    /// All names below this one.
    Below(String),
}

/// A text that is no rule, with the mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no rule for connections: {reason}")]
pub struct RuleError {
    /// What was read, without the part that may be a password.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

impl RuleError {
    fn new(text: &str, reason: impl Into<String>) -> Self {
        let shown = text.rsplit_once('@').map_or(text, |(_, rest)| rest);
        let mut text: String = shown.chars().take(SHOWN_CHARS).collect();
        if text.len() < shown.len() {
            text.push('…');
        }
        Self {
            text,
            reason: reason.into(),
        }
    }
}

impl Rule {
    /// What every child may reach: the model's API, on port 443.
    #[must_use]
    pub fn base() -> Vec<Self> {
        let api = "anthropic.com".to_owned();
        [Hosts::One(Host::Name(format!("api.{api}"))), Hosts::Below(api)]
            .map(|hosts| Self {
                hosts,
                port: Some(443),
                standing: Standing::Known,
            })
            .into()
    }

    /// One port of one host, which is a name or an address.
    ///
    /// # Errors
    /// The host is none, or the port is 0.
    pub fn exact(host: &str, port: u16) -> Result<Self, RuleError> {
        let refuse = |reason| RuleError::new(&format!("{host}:{port}"), reason);
        let one = Host::parse_bare(host).map_err(refuse)?;
        port_of(&port.to_string()).map_err(refuse)?;
        Self::of(Hosts::One(one), Some(port)).map_err(refuse)
    }

    /// The port of the host that an address names, or the usual one of its scheme.
    ///
    /// # Errors
    /// It has no host, or neither a port nor a scheme with a usual one.
    pub fn of_url(url: &Url) -> Result<Self, RuleError> {
        let usual = || match url.scheme() {
            "ssh" | "git+ssh" | "ssh+git" => Some(22),
            "git" => Some(9418),
            _ => None,
        };
        let Some(host) = url.host_str() else {
            return Err(RuleError::new(url.as_str(), "it names no host"));
        };
        let Some(port) = url.port_or_known_default().or_else(usual) else {
            return Err(RuleError::new(url.as_str(), "write the port too, as HOST:PORT"));
        };
        Self::exact(host, port)
    }

    /// The same rule as one of the operator's: its name may stand for an address of the machine or of its networks. For
    /// any other rule that is refused, unless it names that address itself.
    #[must_use]
    pub fn trusted(self) -> Self {
        Self {
            standing: Standing::Trusted,
            ..self
        }
    }

    /// The same rule as one whose name is not the choice of who is bound by it: the proxy of the machine's network may look
    /// it up for itself. Any other name is reached at the address that was looked at here.
    #[must_use]
    pub fn known(self) -> Self {
        let standing = match self.standing {
            Standing::Asked => Standing::Known,
            standing => standing,
        };
        Self { standing, ..self }
    }

    /// Who answers for its name. The text of a rule does not say it.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// Whether it is certain to lead into the machine or its networks: an address that is not public, or `localhost`.
    #[must_use]
    pub fn is_private(&self) -> bool {
        match &self.hosts {
            Hosts::One(Host::Ip(ip)) => !address::is_public(*ip) || address::is_own(*ip),
            Hosts::One(Host::Name(name)) | Hosts::Below(name) => name == "localhost" || name.ends_with(".localhost"),
        }
    }

    /// Whether it allows all that another rule allows.
    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        let hosts = match (&self.hosts, &other.hosts) {
            (Hosts::Below(outer), Hosts::Below(inner)) => inner == outer || is_below(inner, outer),
            (hosts, Hosts::One(host)) => hosts.include(host),
            (Hosts::One(_), Hosts::Below(_)) => false,
        };
        hosts && other.ports().iter().all(|port| self.ports().contains(port))
    }

    /// Whether it allows a connection.
    pub(super) fn allows(&self, to: &Destination) -> bool {
        self.hosts.include(&to.host) && self.ports().contains(&to.port)
    }

    /// Whether a connection that it allows may go to an address that is not public.
    pub(super) fn allows_private(&self) -> bool {
        self.standing == Standing::Trusted || matches!(self.hosts, Hosts::One(Host::Ip(_)))
    }

    /// Whether the machine's proxy may look up the name for itself.
    pub(super) fn allows_any_lookup(&self) -> bool {
        self.standing != Standing::Asked || matches!(self.hosts, Hosts::One(Host::Ip(_)))
    }

    fn ports(&self) -> &[u16] {
        self.port.as_ref().map_or(&WEB, std::slice::from_ref)
    }

    fn of(hosts: Hosts, port: Option<u16>) -> Result<Self, &'static str> {
        match hosts {
            Hosts::One(Host::Ip(ip)) if !is_single(ip) => Err("no connection can go to that address"),
            hosts => Ok(Self {
                hosts,
                port,
                standing: Standing::Asked,
            }),
        }
    }

    fn read(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("it is empty; write HOST or HOST:PORT");
        }
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err("it holds a space; write one HOST or HOST:PORT");
        }
        if text.contains('@') {
            return Err("a user has no place in it; write HOST or HOST:PORT");
        }
        if text.contains(['/', '?', '#', '\\']) {
            return Err("paths cannot be told apart; write HOST or HOST:PORT");
        }
        let (hosts, port) = split(text)?;
        let port = port.map(port_of).transpose()?;
        match hosts.strip_prefix("*.") {
            None if hosts.starts_with('*') && hosts.len() == 1 => {
                Err("it would name every host; that is the network \"proxied\" or \"open\"")
            }
            None if hosts.contains('*') => Err("a star stands for what is left of a domain, like *.example.com"),
            None => Self::of(Hosts::One(Host::parse(hosts)?), port),
            Some(domain) => match Host::parse(domain)? {
                Host::Name(name) if name.contains('.') => Self::of(Hosts::Below(name), port),
                Host::Name(_) => {
                    Err("it would name all hosts of a top-level domain; name the domain, like *.example.com")
                }
                Host::Ip(_) => Err("an address has nothing below it"),
            },
        }
    }
}

impl Hosts {
    fn include(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::One(one), host) => one == host,
            (Self::Below(domain), Host::Name(name)) => is_below(name, domain),
            (Self::Below(_), Host::Ip(_)) => false,
        }
    }
}

fn is_below(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

/// A text with an optional port.
fn split(text: &str) -> Result<(&str, Option<&str>), &'static str> {
    let brackets = "an IPv6 address stands in brackets, like [2001:db8::1]:443";
    if text.starts_with('[') {
        let end = text.find(']').ok_or(brackets)? + 1;
        let (host, rest) = text.split_at(end);
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(brackets),
        };
    }
    match text.split_once(':') {
        Some((_, port)) if port.contains(':') => Err(brackets),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((text, None)),
    }
}

impl FromStr for Rule {
    type Err = RuleError;

    /// Reads a rule, or the address of a service: then its port alone, and no path.
    fn from_str(text: &str) -> Result<Self, RuleError> {
        if text.contains("://") && !text.contains(['@', ' ']) {
            let url = Url::parse(text).map_err(|error| RuleError::new(text, error.to_string()))?;
            return Self::of_url(&url);
        }
        Self::read(text).map_err(|reason| RuleError::new(text, reason))
    }
}

impl TryFrom<String> for Rule {
    type Error = RuleError;

    fn try_from(text: String) -> Result<Self, RuleError> {
        text.parse()
    }
}

impl From<Rule> for String {
    fn from(rule: Rule) -> Self {
        rule.to_string()
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.hosts {
            Hosts::One(host) => host.fmt(f)?,
            Hosts::Below(domain) => write!(f, "*.{domain}")?,
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn rule(text: &str) -> Rule {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    fn allows(text: &str, to: &str) -> bool {
        rule(text).allows(&Destination::parse(to).unwrap())
    }

    #[test]
    fn what_a_rule_names() {
        for (text, to) in [
            ("example.com", "example.com:443"),
            ("example.com", "EXAMPLE.com.:80"),
            ("GitHub.com:22", "github.com:22"),
            ("*.example.com", "a.example.com:443"),
            ("*.example.com", "a.b.example.com:80"),
            ("*.example.com:8080", "a.example.com:8080"),
            ("127.0.0.1:1939", "2130706433:1939"),
            ("0x7f.1:1939", "[::ffff:127.0.0.1]:1939"),
            ("[::1]:1939", "[0:0::1]:1939"),
            ("[::ffff:10.0.0.1]", "10.0.0.1:443"),
            ("bücher.example", "xn--bcher-kva.example:443"),
            ("https://hub.example.com:1939/admin", "hub.example.com:1939"),
            ("https://hub.example.com", "hub.example.com:443"),
            ("ssh://git.example.com/x", "git.example.com:22"),
        ] {
            assert!(allows(text, to), "{text} does not allow {to}");
        }
        for (text, to) in [
            ("example.com", "example.com:8443"),
            ("example.com:443", "example.com:80"),
            ("example.com", "example.com.evil.test:443"),
            ("example.com", "notexample.com:443"),
            ("*.example.com", "example.com:443"),
            ("*.example.com", "notexample.com:443"),
            ("*.example.com", "a.example.com.evil.test:443"),
            ("127.0.0.1:1939", "127.0.0.1:22"),
            ("https://hub.example.com", "hub.example.com:80"),
            ("localhost:80", "127.0.0.1:80"),
        ] {
            assert!(!allows(text, to), "{text} allows {to}");
        }
    }

    #[test]
    fn what_is_no_rule() {
        for text in [
            "",
            " ",
            "*",
            "*:443",
            "*.com",
            "*.",
            "*.*.com",
            "a.*.com",
            "a*.example.com",
            "*.127.0.0.1",
            "*.[::1]",
            "foo bar",
            " example.com",
            "a%20b",
            "user@example.com",
            "https://user:pw@example.com",
            "example.com/path",
            "https://",
            "file:///x",
            "data:text",
            "a:0",
            "a:99999",
            "a:b",
            "a:",
            "::1",
            "::1:443",
            "[::1",
            "[::1]443",
            "[g::1]",
            "[fe80::1%eth0]",
            "0.0.0.0",
            "0",
            "[::]:80",
            "255.255.255.255",
            "224.0.0.1",
            "[ff02::1]",
            "1.2.3.4.5",
            "foo://bar",
            "a..b",
        ] {
            let error = text.parse::<Rule>().expect_err(text).to_string();
            assert!(!error.contains("pw"), "{error}");
        }
        let error = "*.com".parse::<Rule>().unwrap_err().to_string();
        assert!(
            error.starts_with("\"*.com\" is no rule for connections: it would name all hosts"),
            "{error}"
        );
    }

    #[test]
    fn the_base_is_the_api_on_its_port() {
        let texts: Vec<String> = Rule::base().iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["api.anthropic.com:443", "*.anthropic.com:443"]);
        for to in [
            "api.anthropic.com:80",
            "api.anthropic.com.evil.test:443",
            "anthropic.com:443",
        ] {
            let to = Destination::parse(to).unwrap();
            assert!(!Rule::base().iter().any(|rule| rule.allows(&to)), "{to}");
        }
    }

    #[test]
    fn exact_rules_of_services() {
        let exact = |host, port| Rule::exact(host, port).map(|rule| rule.to_string()).ok();
        assert_eq!(exact("Hub.Example.", 1939).as_deref(), Some("hub.example:1939"));
        assert_eq!(exact("::1", 80).as_deref(), Some("[::1]:80"));
        assert_eq!(exact("[::1]", 80).as_deref(), Some("[::1]:80"));
        for (host, port) in [("a", 0), ("*.a.b", 80), ("a:1", 80), ("", 80), ("0.0.0.0", 80)] {
            assert_eq!(exact(host, port), None, "{host}:{port}");
        }
        let of_url = |url: &str| {
            Rule::of_url(&Url::parse(url).unwrap())
                .map(|rule| rule.to_string())
                .ok()
        };
        assert_eq!(of_url("http://127.1:1939/x?y"), Some("127.0.0.1:1939".into()));
        assert_eq!(of_url("https://me@github.com/a/b.git"), Some("github.com:443".into()));
        assert_eq!(of_url("file:///etc/passwd"), None);
    }

    #[test]
    fn a_rule_within_another() {
        for (outer, inner, within) in [
            ("example.com", "example.com:443", true),
            ("example.com", "example.com", true),
            ("example.com:443", "example.com", false),
            ("example.com:8080", "example.com:8080", true),
            ("*.example.com", "a.example.com:80", true),
            ("*.example.com", "*.a.example.com", true),
            ("*.example.com", "*.example.com:443", true),
            ("*.example.com", "example.com", false),
            ("a.example.com", "*.example.com", false),
            ("*.a.example.com", "*.example.com", false),
            ("*.example.com", "*.badexample.com", false),
        ] {
            assert_eq!(rule(outer).includes(&rule(inner)), within, "{inner} within {outer}");
        }
    }

    #[test]
    fn rules_that_lead_inside() {
        for (text, private) in [
            ("127.0.0.1:1941", true),
            ("localhost:1941", true),
            ("a.localhost", true),
            ("10.1.2.3", true),
            ("169.254.169.254:80", true),
            ("[fd00::1]", true),
            ("1.1.1.1", false),
            ("example.com", false),
            ("notlocalhost", false),
        ] {
            assert_eq!(rule(text).is_private(), private, "{text}");
        }
    }

    #[test]
    fn a_rule_is_text_where_it_is_stored() {
        let rules: Vec<Rule> = serde_json::from_str(r#"["A.example:22","*.b.example"]"#).unwrap();
        assert_eq!(
            serde_json::to_string(&rules).unwrap(),
            r#"["a.example:22","*.b.example"]"#
        );
        assert!(serde_json::from_str::<Rule>(r#""*.com""#).is_err());
    }
}
