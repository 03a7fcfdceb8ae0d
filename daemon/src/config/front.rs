//! What stands between the daemon and its clients: the path below which a proxy shows it, and the proxies that are believed.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de};

/// First parts of our own addresses. A mount that begins so would hide them.
const OWN: [&str; 9] = [
    ".parachute",
    ".well-known",
    "api",
    "app",
    "assets",
    "auth",
    "mcp",
    "vault",
    "vaults",
];

/// A path below which everything is served a second time: empty, or `/` and a name, or several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mount(String);

impl Mount {
    /// Empty, or `/reveille`.
    #[must_use]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads `/` and `/reveille`; a slash at the end is left out.
    ///
    /// # Errors
    /// Why it is none, for a person.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no mount; write \"/\", or a path such as \"/reveille\"");
        let path = text.trim().strip_prefix('/').ok_or_else(wrong)?.trim_end_matches('/');
        if path.is_empty() {
            return Ok(Self::default());
        }
        let plain = |part: &str| {
            !part.bytes().all(|c| c == b'.') && part.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.~".contains(&c))
        };
        if !path.split('/').all(plain) {
            return Err(wrong());
        }
        let first = path.split('/').next().unwrap_or_default();
        if OWN.contains(&first) {
            return Err(format!("{text:?} would hide the daemon's own addresses below /{first}"));
        }
        Ok(Self(format!("/{path}")))
    }
}

impl<'de> Deserialize<'de> for Mount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// Addresses of proxies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Proxies(Vec<IpNet>);

impl Proxies {
    /// Those of this machine.
    #[must_use]
    pub(crate) fn loopback() -> Self {
        Self(
            ["127.0.0.0/8", "::1/128"]
                .iter()
                .filter_map(|text| text.parse().ok())
                .collect(),
        ) // silent-ok: both are networks
    }

    /// Whether a peer is one of them.
    #[must_use]
    pub(crate) fn hold(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.0.iter().any(|net| net.contains(&peer))
    }
}

impl<'de> Deserialize<'de> for Proxies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let net = |text: &String| {
            let alone = text.parse::<IpAddr>().map(IpNet::from);
            let net = text.parse().or(alone);
            net.map_err(|_| {
                de::Error::custom(format!(
                    "{text:?} is no address and no network; write 127.0.0.1 or 10.0.0.0/8"
                ))
            })
        };
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(net).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_mount_is_a_path_that_hides_nothing_of_ours() {
        let mount = |text| Mount::parse(text).map(|mount| mount.0);
        for (text, expected) in [
            ("/", ""),
            ("/reveille", "/reveille"),
            ("/reveille/", "/reveille"),
            ("/a/b.c", "/a/b.c"),
            ("/apiary", "/apiary"),
        ] {
            assert_eq!(mount(text).as_deref(), Ok(expected), "{text}");
        }
        for text in [
            "",
            "reveille",
            "//x",
            "/a//b",
            "/../x",
            "/a b",
            "/a%20b",
            "/api",
            "/vault/x",
            "/.well-known",
        ] {
            assert!(mount(text).is_err(), "{text}");
        }
    }

    #[test]
    fn proxies_are_addresses_and_networks() {
        let read = |texts: &[&str]| {
            Proxies::deserialize(de::value::SeqDeserializer::<_, de::value::Error>::new(
                texts.iter().copied(),
            ))
        };
        let proxies = read(&["10.0.0.0/8", "192.0.2.7", "fd00::/8"]).unwrap();
        for (peer, expected) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("fd00::1", true),
            ("127.0.0.1", false),
        ] {
            assert_eq!(proxies.hold(peer.parse().unwrap()), expected, "{peer}");
        }
        assert!(Proxies::loopback().hold("127.0.0.9".parse().unwrap()));
        assert!(Proxies::loopback().hold("::1".parse().unwrap()));
        assert!(!Proxies::default().hold("127.0.0.1".parse().unwrap()));
        assert!(read(&["box.lan"]).unwrap_err().to_string().contains("box.lan"));
    }
}
