//! Which addresses belong to everybody's internet.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use ipnet::{Ipv4Net, Ipv6Net};

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits)
}

const fn v6(a: u16, b: u16, c: u16, bits: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), bits)
}

/// Networks of IPv4 that are not public: IANA's registry of special-purpose addresses, multicast, and what is reserved.
const REFUSED_V4: &[Ipv4Net] = &[
    v4(0, 0, 0, 0, 8),
    v4(10, 0, 0, 0, 8),
    // Shared by a provider with its customers; Alibaba's metadata service is in it.
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    // Link-local, and the metadata services of most clouds.
    v4(169, 254, 0, 0, 16),
    v4(172, 16, 0, 0, 12),
    // Protocol assignments; Oracle's metadata service is in it.
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(192, 168, 0, 0, 16),
    // Azure's own service on each of its machines, although the address is a public one.
    v4(168, 63, 129, 16, 32),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
];

/// The only part of IPv6 in which there are public addresses; loopback, private, link-local, mapped and multicast ones are
/// outside, and so is the metadata service of Amazon.
const PUBLIC_V6: Ipv6Net = v6(0x2000, 0, 0, 3);

/// Networks in [`PUBLIC_V6`] that are not public.
const REFUSED_V6: &[Ipv6Net] = &[
    // Protocol assignments, Teredo among them.
    v6(0x2001, 0, 0, 23),
    v6(0x2001, 0xdb8, 0, 32),
    // 6to4: each stands for an IPv4 address.
    v6(0x2002, 0, 0, 16),
    v6(0x3fff, 0, 0, 20),
];

/// Where a network without IPv4 sees it; the last 32 bits are the address that is meant.
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 0, 96);

/// Whether an address belongs to everybody's internet.
pub(super) fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => !REFUSED_V4.iter().any(|net| net.contains(&ip)),
        IpAddr::V6(ip) if NAT64.contains(&ip) => {
            let [.., a, b, c, d] = ip.octets();
            is_public(Ipv4Addr::new(a, b, c, d).into())
        }
        IpAddr::V6(ip) => PUBLIC_V6.contains(&ip) && !REFUSED_V6.iter().any(|net| net.contains(&ip)),
    }
}

/// Whether an address is one of this machine's, as its routes are now. Nothing is sent.
pub(super) fn is_own(ip: IpAddr) -> bool {
    let any: IpAddr = match ip {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // What leads to an address of the machine comes from that same address.
    let source = UdpSocket::bind(SocketAddr::new(any, 0)).and_then(|socket| {
        socket.connect(SocketAddr::new(ip, 9))?;
        socket.local_addr()
    });
    is_source(ip, source)
}

fn is_source(ip: IpAddr, source: io::Result<SocketAddr>) -> bool {
    use io::ErrorKind::{AddrNotAvailable, HostUnreachable, NetworkUnreachable};
    match source {
        Ok(source) => source.ip() == ip,
        // No way leads there, or that kind of address is not known here.
        Err(error) if [AddrNotAvailable, HostUnreachable, NetworkUnreachable].contains(&error.kind()) => false,
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error()) => false,
        // It could not be found out, so it may be.
        Err(error) => {
            tracing::debug!(%ip, %error, "it cannot be told whether an address is one of this machine's");
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_and_other_addresses() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450:4001::8",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.0.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "239.1.1.1",
            "255.255.255.255",
            "168.63.129.16",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:101:101::",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "5f00::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn addresses_of_this_machine() {
        assert!(is_own(Ipv4Addr::LOCALHOST.into()));
        assert!(!is_own("192.0.2.1".parse().unwrap()));
        // The address from which the machine reaches others, if it does.
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        if socket.connect("192.0.2.1:9").is_ok() {
            let own = socket.local_addr().unwrap().ip();
            assert!(is_own(own), "{own}");
        }
    }

    #[test]
    fn an_address_that_cannot_be_looked_at_may_be_of_this_machine() {
        use rustix::io::Errno;
        let ip = "192.0.2.1".parse().unwrap();
        for (errno, is) in [
            (Errno::NETUNREACH, false),
            (Errno::HOSTUNREACH, false),
            (Errno::AFNOSUPPORT, false),
            (Errno::ADDRNOTAVAIL, false),
            (Errno::MFILE, true),
            (Errno::NFILE, true),
            (Errno::PERM, true),
            (Errno::NOBUFS, true),
        ] {
            assert_eq!(is_source(ip, Err(errno.into())), is, "{errno}");
        }
    }
}
