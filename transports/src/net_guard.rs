//! Where calls may go: whatever name an address goes by, it is judged by the numbers that it has when the connection is made,
//! and the connection is made to those numbers and no others.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// Longest address, in bytes.
const URL_BYTES: usize = 2048;

/// What is allowed beside public addresses with https.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Allow {
    /// This machine and private networks (10/8, 172.16/12, 192.168/16, 127/8, ::1, fc00::/7), also without TLS.
    pub private: bool,
    /// These networks, whatever they are, also without TLS. The only way to link-local addresses, where clouds keep the
    /// credentials of a machine, and to carrier-grade NAT and multicast.
    pub networks: Vec<IpNet>,
    /// Public addresses without TLS too.
    pub plain: bool,
}

/// What kind of address it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Public,
    Private,
    Special(&'static str),
}

/// The IPv4 address that an IPv6 one stands for: mapped, compatible, behind the well-known prefix of NAT64, or 6to4.
fn inner_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = ip.segments();
    let [.., a, b, c, d] = ip.octets();
    if segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
        return Some(Ipv4Addr::new(a, b, c, d));
    }
    if segments[0] == 0x2002 {
        let [_, _, a, b, c, d, ..] = ip.octets();
        return Some(Ipv4Addr::new(a, b, c, d));
    }
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        _ => ip.to_ipv4(),
    }
}

/// After the special-purpose registries of IANA.
fn kind_v4(ip: Ipv4Addr) -> Kind {
    let [a, b, c, _] = ip.octets();
    match (a, b, c) {
        (127, ..) | (10, ..) | (172, 16..=31, _) | (192, 168, _) => Kind::Private,
        (0, ..) => Kind::Special("this network"),
        (100, 64..=127, _) => Kind::Special("carrier-grade NAT"),
        (169, 254, _) => Kind::Special("link-local, where clouds keep credentials"),
        (192, 0, 0 | 2) | (192, 88, 99) | (198, 18 | 19, _) | (198, 51, 100) | (203, 0, 113) => {
            Kind::Special("reserved")
        }
        (224..=239, ..) => Kind::Special("multicast"),
        (240..=255, ..) => Kind::Special("reserved"),
        _ => Kind::Public,
    }
}

fn kind(ip: IpAddr) -> Kind {
    let ip = match ip {
        IpAddr::V4(ip) => return kind_v4(ip),
        IpAddr::V6(ip) => ip,
    };
    if let Some(inner) = inner_v4(ip) {
        return kind_v4(inner);
    }
    let first = ip.segments();
    match first[0] {
        // Where Amazon's metadata service listens, within a range that is private otherwise.
        0xfd00 if first[1] == 0xec2 => Kind::Special("of a cloud's metadata service"),
        0 if ip == Ipv6Addr::LOCALHOST => Kind::Private,
        0xfc00..=0xfdff => Kind::Private,
        0xfe80..=0xfebf => Kind::Special("link-local"),
        0xff00..=0xffff => Kind::Special("multicast"),
        0x2001 if first[1] < 0x200 || first[1] == 0xdb8 => Kind::Special("reserved"),
        0x3fff if first[1] < 0x1000 => Kind::Special("reserved"),
        0x2000..=0x3fff => Kind::Public,
        _ => Kind::Special("reserved"),
    }
}

impl Allow {
    /// Whether something may be sent there.
    ///
    /// # Errors
    /// Why not, for a person.
    pub fn check(&self, ip: IpAddr, secure: bool) -> Result<(), String> {
        let plain = match ip {
            IpAddr::V6(v6) => inner_v4(v6).map_or(ip, IpAddr::V4),
            IpAddr::V4(_) => ip,
        };
        if self
            .networks
            .iter()
            .any(|net| net.contains(&ip) || net.contains(&plain))
        {
            return Ok(());
        }
        match kind(ip) {
            Kind::Public if secure || self.plain => Ok(()),
            Kind::Public => Err(format!(
                "{ip} is a public address, and http would send what is told unencrypted; use https"
            )),
            Kind::Private if self.private => Ok(()),
            Kind::Private => Err(format!(
                "{ip} is an address of this machine or a private network, which is not allowed for this webhook"
            )),
            Kind::Special(what) => Err(format!(
                "{ip} is {what}; nothing is sent there unless its network is allowed for this webhook"
            )),
        }
    }

    /// All addresses of a name, if something may be sent to every one of them: a name that stands for others as well is not
    /// trusted.
    ///
    /// # Errors
    /// Why not, for a person.
    pub fn pin(&self, found: &[IpAddr], secure: bool) -> Result<Vec<IpAddr>, String> {
        if found.is_empty() {
            return Err("the name has no address".into());
        }
        for ip in found {
            self.check(*ip, secure)?;
        }
        Ok(found.to_vec())
    }
}

/// The address of a receiver, as far as it can be judged without looking its name up.
///
/// # Errors
/// Why nothing can be sent there, for a person.
pub fn parse(text: &str, allow: &Allow) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("it is no URL ({error})"))?;
    if text.len().max(url.as_str().len()) > URL_BYTES {
        return Err(format!("it is longer than {URL_BYTES} bytes"));
    }
    let secure = match url.scheme() {
        "https" => true,
        "http" => false,
        _ => return Err("it must begin with https:// or http://".into()),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a name and a password in it are not sent".into());
    }
    if url.port() == Some(0) {
        return Err("it has no port".into());
    }
    // The parser reads decimal, octal and hexadecimal ways to write an IPv4 address as what they are.
    match url.host() {
        Some(Host::Ipv4(ip)) => allow.check(ip.into(), secure)?,
        Some(Host::Ipv6(ip)) => allow.check(ip.into(), secure)?,
        Some(Host::Domain(_)) => {}
        None => return Err("it has no host".into()),
    }
    Ok(url)
}

/// The address as it may be shown: what stands behind a `=` in its query may be a secret.
#[must_use]
pub fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_fragment(None);
    let names: Option<Vec<String>> = url.query().map(|query| {
        let pairs = query.split('&');
        pairs
            .map(|pair| {
                pair.split_once('=')
                    .map_or("…".to_owned(), |(name, _)| format!("{name}=…"))
            })
            .collect()
    });
    shown.set_query(None);
    match names {
        Some(names) => format!("{shown}?{}", names.join("&")),
        None => shown.into(),
    }
}

/// Looks names up.
#[async_trait]
pub trait Resolve: Send + Sync + 'static {
    /// All addresses of a name.
    ///
    /// # Errors
    /// What the system says.
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's way.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let mut found: Vec<IpAddr> = tokio::net::lookup_host((name, 0)).await?.map(|at| at.ip()).collect();
        found.dedup();
        Ok(found)
    }
}

/// A resolver that answers allowed addresses only.
#[derive(Clone)]
pub(crate) struct Guarded {
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) allow: Arc<Allow>,
    pub(crate) secure: bool,
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded")
            .field("allow", &self.allow)
            .finish_non_exhaustive()
    }
}

type Found = std::pin::Pin<Box<dyn Future<Output = io::Result<std::vec::IntoIter<SocketAddr>>> + Send>>;

impl tower::Service<hyper_util::client::legacy::connect::dns::Name> for Guarded {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Found;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: hyper_util::client::legacy::connect::dns::Name) -> Found {
        let guard = self.clone();
        Box::pin(async move {
            let found = guard.resolver.resolve(name.as_str()).await?;
            let pinned = guard
                .allow
                .pin(&found, guard.secure)
                .map_err(|why| io::Error::new(io::ErrorKind::PermissionDenied, why))?;
            let at: Vec<_> = pinned.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect();
            Ok(at.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn addresses_are_judged_by_their_numbers_however_they_are_written() {
        let none = Allow::default();
        for fine in [
            "https://example.com/x?y=1",
            "https://93.184.216.34/",
            "https://[2606:4700::1]:8443/",
            "http://example.com/",
        ] {
            assert!(parse(fine, &none).is_ok(), "{fine}");
        }
        for (wrong, says) in [
            ("", "no URL"),
            ("/x", "no URL"),
            ("https://", "no URL"),
            ("https://x:0/", "no port"),
            ("ftp://example.com/", "https://"),
            ("https://me:pw@example.com/", "password"),
            ("http://93.184.216.34/", "unencrypted"),
            ("https://127.0.0.1/", "this machine"),
            ("https://127.1/", "this machine"),
            ("https://2130706433/", "this machine"),
            ("https://0x7f000001/", "this machine"),
            ("https://0177.0.0.1/", "this machine"),
            ("https://[::1]/", "this machine"),
            ("https://[::ffff:127.0.0.1]/", "this machine"),
            ("https://[::ffff:a00:1]/", "this machine"),
            ("https://[64:ff9b::10.0.0.1]/", "this machine"),
            ("https://[2002:a00:1::]/", "this machine"),
            ("https://10.1.2.3/", "private"),
            ("https://172.31.0.1/", "private"),
            ("https://192.168.0.1/", "private"),
            ("https://[fd12::1]/", "private"),
            ("https://0.0.0.0/", "this network"),
            ("https://[::]/", "reserved"),
            ("https://100.64.0.1/", "carrier-grade"),
            ("https://169.254.169.254/latest", "link-local"),
            ("https://2852039166/", "link-local"),
            ("https://[::ffff:169.254.169.254]/", "link-local"),
            ("https://[fe80::1]/", "link-local"),
            ("https://[fd00:ec2::254]/", "metadata"),
            ("https://224.0.0.1/", "multicast"),
            ("https://[ff02::1]/", "multicast"),
            ("https://255.255.255.255/", "reserved"),
            ("https://[2001:db8::1]/", "reserved"),
            ("https://198.18.0.1/", "reserved"),
        ] {
            let told = parse(wrong, &none).unwrap_err();
            assert!(told.contains(says), "{wrong}: {told}");
        }
        let private = Allow {
            private: true,
            ..Allow::default()
        };
        for (address, fine) in [
            ("http://127.0.0.1/", true),
            ("http://[::1]/", true),
            ("http://[::ffff:10.0.0.1]/", true),
            ("http://169.254.169.254/", false),
            ("http://[fd00:ec2::254]/", false),
            ("http://100.64.0.1/", false),
            ("http://93.184.216.34/", false),
        ] {
            assert_eq!(parse(address, &private).is_ok(), fine, "{address}");
        }
        let net = Allow {
            networks: vec!["100.64.0.0/10".parse().unwrap()],
            ..Allow::default()
        };
        assert!(parse("http://100.64.0.1/", &net).is_ok() && parse("http://[::ffff:100.64.0.1]/", &net).is_ok());
        assert!(parse("http://127.0.0.1/", &net).is_err());
        let plain = Allow {
            plain: true,
            ..Allow::default()
        };
        assert!(parse("http://93.184.216.34/", &plain).is_ok() && parse("http://10.0.0.1/", &plain).is_err());
    }

    #[test]
    fn a_name_is_trusted_only_when_all_its_addresses_are() {
        let pin = |texts: &[&str]| {
            let found: Vec<IpAddr> = texts.iter().map(|text| text.parse().unwrap()).collect();
            Allow::default().pin(&found, true).map(|pinned| pinned.len())
        };
        assert_eq!(pin(&["93.184.216.34", "2606:4700::1"]), Ok(2));
        assert!(pin(&["93.184.216.34", "127.0.0.1"]).is_err());
        assert!(pin(&["::ffff:169.254.169.254"]).is_err());
        assert!(pin(&[]).unwrap_err().contains("no address"));
    }

    #[test]
    fn the_values_of_a_query_are_not_shown() {
        for (address, expected) in [
            ("https://a/b", "https://a/b"),
            ("https://a/b?s=x&y#f", "https://a/b?s=…&…"),
        ] {
            assert_eq!(shown(&Url::parse(address).unwrap()), expected);
        }
    }
}
