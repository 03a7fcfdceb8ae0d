//! Where deliveries may go.
//!
//! Only an admin of the vault makes triggers, so they may point at this machine and at private networks: that is what they
//! are mostly for. They may not point at link-local addresses, where clouds keep the credentials of a machine. A name is judged by the
//! addresses that it has when a delivery leaves.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Where Amazon's metadata service listens besides the link-local addresses.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// Longest address, in bytes.
const URL_BYTES: usize = 2048;

/// Whether nothing may be sent there.
pub(super) fn is_refused(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => {
            ip.is_unicast_link_local() || ip == METADATA_V6 || inner_v4(ip).is_some_and(|ip| ip.is_link_local())
        }
    }
}

/// The IPv4 address that an IPv6 one stands for: mapped, compatible, or behind the well-known prefix of NAT64.
fn inner_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let nat64 = ip.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
    let [.., a, b, c, d] = ip.octets();
    nat64.then(|| Ipv4Addr::new(a, b, c, d)).or_else(|| ip.to_ipv4())
}

/// The address of a receiver.
///
/// # Errors
/// Why it is none, for a person.
pub(crate) fn parse(text: &str) -> Result<Url, String> {
    if text.len() > URL_BYTES {
        return Err(format!("it is longer than {URL_BYTES} bytes"));
    }
    let url = Url::parse(text).map_err(|error| format!("it is no URL ({error})"))?;
    // What is kept is what is sent: escapes make it longer.
    if url.as_str().len() > URL_BYTES {
        return Err(format!("it is longer than {URL_BYTES} bytes once it is encoded"));
    }
    if !matches!(url.scheme(), "http" | "https") {
        return Err("it must begin with http:// or https://".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a name and a password in it are not sent; use action.auth.bearer".into());
    }
    let ip = match url.host() {
        Some(Host::Ipv4(ip)) => Some(ip.into()),
        Some(Host::Ipv6(ip)) => Some(ip.into()),
        Some(Host::Domain(_)) => None,
        None => return Err("it has no host".into()),
    };
    match ip {
        Some(ip) if is_refused(ip) => Err(format!("{ip} is a link-local address; nothing is sent there")),
        _ => Ok(url),
    }
}

/// The address as it may be shown: what stands behind a `=` in its query may be a secret.
pub(crate) fn shown(text: &str) -> String {
    let Some((before, query)) = text.split_once('?') else {
        return text.to_owned();
    };
    let query = query.split_once('#').map_or(query, |(query, _)| query);
    let names = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) => format!("{name}=…"),
        None => "…".to_owned(),
    });
    format!("{before}?{}", names.collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn only_addresses_to_which_something_may_be_sent_are_taken() {
        for fine in [
            "http://127.0.0.1:1941/api/vault/inbound?secret=x",
            "https://example.com/hook",
            "http://[::1]:8080/",
            "http://10.0.0.7/",
            "http://localhost/",
        ] {
            assert!(parse(fine).is_ok(), "{fine}");
        }
        for (wrong, says) in [
            ("", "no URL"),
            ("/hook", "no URL"),
            ("http://", "no URL"),
            ("ftp://example.com/", "http:// or https://"),
            ("file:///etc/passwd", "http:// or https://"),
            ("http://me:pw@example.com/", "bearer"),
            ("http://169.254.169.254/latest/meta-data", "link-local"),
            ("http://[fe80::1]/", "link-local"),
            ("http://[::ffff:169.254.169.254]/", "link-local"),
            ("http://[64:ff9b::a9fe:a9fe]/", "link-local"),
            ("http://[fd00:ec2::254]/", "link-local"),
            // Other ways to write the same.
            ("http://2852039166/", "link-local"),
            ("http://0xa9fea9fe/", "link-local"),
        ] {
            let told = parse(wrong).unwrap_err();
            assert!(told.contains(says), "{wrong}: {told}");
        }
        let long = format!("http://example.com/{}", "x".repeat(2048));
        assert!(parse(&long).unwrap_err().contains("longer"));
        // What is taken is taken again as it is kept.
        let grows = |count: usize| format!("http://example.com/?{}", "é".repeat(count));
        let kept = parse(&grows(300)).unwrap();
        assert_eq!(parse(kept.as_str()), Ok(kept));
        assert!(parse(&grows(1000)).unwrap_err().contains("encoded"));
    }

    #[test]
    fn the_values_of_a_query_are_not_shown() {
        for (address, expected) in [
            ("http://a/b", "http://a/b"),
            ("http://a/b?secret=x&y=z#f", "http://a/b?secret=…&y=…"),
            ("http://a/b?token", "http://a/b?…"),
        ] {
            assert_eq!(shown(address), expected);
        }
    }
}
