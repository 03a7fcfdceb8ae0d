//! Hosts, in one form for each.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest text that is read as a host; the longest name is 253 bytes.
const TEXT_BYTES: usize = 255;

/// A host. Two texts that a resolver takes for the same are equal here: names are lower case and ASCII without the dot of the
/// root, IPv4 addresses have four decimal numbers, and IPv6 addresses that stand for one of IPv4 are that one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    /// A name.
    Name(String),
    /// An address.
    Ip(IpAddr),
}

impl Host {
    /// Reads a name, an IPv4 address in any notation, or an IPv6 address in brackets.
    ///
    /// # Errors
    /// What is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("the host is missing");
        }
        if text.len() > TEXT_BYTES {
            return Err("the host is too long");
        }
        if text.contains('%') {
            return Err("a host holds no percent sign");
        }
        if !text.starts_with('[') && text.contains(':') {
            return Err("an IPv6 address stands in brackets, like [2001:db8::1]");
        }
        match url::Host::parse(text.strip_suffix('.').unwrap_or(text)) {
            Ok(url::Host::Ipv4(ip)) => Ok(Self::Ip(ip.into())),
            Ok(url::Host::Ipv6(ip)) if text.ends_with(']') => Ok(Self::Ip(IpAddr::V6(ip).to_canonical())),
            Ok(url::Host::Domain(name)) => name_of(name),
            _ => Err("that is neither a name nor an address"),
        }
    }

    /// The same for a text in which an IPv6 address has no brackets, as SOCKS sends it.
    ///
    /// # Errors
    /// What is wrong.
    pub(super) fn parse_bare(text: &str) -> Result<Self, &'static str> {
        match text.parse::<Ipv6Addr>() {
            Ok(ip) => Ok(IpAddr::V6(ip).to_canonical().into()),
            Err(_) => Self::parse(text),
        }
    }
}

/// A name as it is compared.
fn name_of(mut name: String) -> Result<Host, &'static str> {
    // A dot of another script has become an ASCII one.
    if name.ends_with('.') {
        name.pop();
    }
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'-' | b'_');
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(plain);
    if name.len() > 253 || !name.split('.').all(label) {
        return Err("that is no name of a host");
    }
    Ok(Host::Name(name))
}

impl From<IpAddr> for Host {
    fn from(ip: IpAddr) -> Self {
        Self::Ip(ip.to_canonical())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

/// Where a connection goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Destination {
    /// Host.
    pub(crate) host: Host,
    /// Port, not 0.
    pub(crate) port: u16,
}

impl Destination {
    /// Reads `HOST:PORT`.
    ///
    /// # Errors
    /// What is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let (host, port) = text.rsplit_once(':').ok_or("the port is missing")?;
        Ok(Self {
            host: Host::parse(host)?,
            port: port_of(port)?,
        })
    }
}

/// Reads a port.
///
/// # Errors
/// What is wrong.
pub(super) fn port_of(text: &str) -> Result<u16, &'static str> {
    let digits = (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(port) if digits && port > 0 => Ok(port),
        _ => Err("a port is a number from 1 to 65535"),
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Whether connections can end at that address at all.
pub(super) fn is_single(ip: IpAddr) -> bool {
    !(ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn one_form_for_each_host() {
        for (text, form) in [
            ("Example.COM.", "example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("example。com。", "example.com"),
            ("under_score.example", "under_score.example"),
            ("127.0.0.1", "127.0.0.1"),
            ("2130706433", "127.0.0.1"),
            ("0x7f.1", "127.0.0.1"),
            ("017700000001", "127.0.0.1"),
            ("127.1.", "127.0.0.1"),
            ("１２７.0.0.1", "127.0.0.1"),
            ("[::ffff:127.0.0.1]", "127.0.0.1"),
            ("[::FFFF:7f00:1]", "127.0.0.1"),
            ("[2001:DB8:0::1]", "[2001:db8::1]"),
        ] {
            assert_eq!(
                Host::parse(text).map(|host| host.to_string()),
                Ok(form.to_owned()),
                "{text}"
            );
            let again = Host::parse(form);
            assert_eq!(again, Host::parse(text), "{form}");
        }
    }

    #[test]
    fn what_is_no_host() {
        let long = "a.".repeat(127) + "a";
        for text in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a b",
            "a\0b",
            "a%2eb",
            "user@host",
            "a/b",
            "a:1",
            "::1",
            "[::1",
            "[::1].",
            "[fe80::1%25eth0]",
            "1.2.3.4.5",
            "256.1.1.1",
            "0x100000000",
            "a!b",
            "a*b",
            "*",
            &"a".repeat(64),
            &long,
            &"a".repeat(300),
        ] {
            assert!(Host::parse(text).is_err(), "{text} is {:?}", Host::parse(text));
        }
        assert_eq!(Host::parse_bare("::1"), Ok(Host::Ip("::1".parse().unwrap())));
        assert_eq!(
            Host::parse_bare("::ffff:10.0.0.1"),
            Ok(Host::Ip("10.0.0.1".parse().unwrap()))
        );
    }

    #[test]
    fn ports_are_plain_numbers() {
        let port = |text: &str| Destination::parse(text).map(|to| to.port);
        assert_eq!(port("a:443"), Ok(443));
        assert_eq!(port("[::1]:65535"), Ok(65_535));
        for text in [
            "a", "a:", "a:0", "a:+443", "a:65536", "a:00443x", "a:4 43", "a:000443", ":443",
        ] {
            assert!(port(text).is_err(), "{text}");
        }
    }
}
