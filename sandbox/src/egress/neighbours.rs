//! Addresses of the networks that this machine is in, public ones too, as its main table of routes has them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// A wider network is no neighbourhood: a tunnel may take half of the internet for one.
const BITS_V4: u8 = 8;
/// Likewise.
const BITS_V6: u8 = 32;

/// Whether an address is reached without a router, as the routes are now.
pub(super) fn is_near(ip: IpAddr) -> bool {
    // silent-ok: other systems have no such files, and a kernel without IPv6 lacks the second.
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let nets = match ip {
        IpAddr::V4(_) => networks_v4(&read("/proc/net/route")),
        IpAddr::V6(_) => networks_v6(&read("/proc/net/ipv6_route")),
    };
    nets.iter().any(|net| net.contains(&ip))
}

/// Lines of `/proc/net/route`: interface, destination, gateway, four numbers, mask; addresses as the machine keeps them.
fn networks_v4(routes: &str) -> Vec<IpNet> {
    let number = |text: &str| u32::from_str_radix(text, 16).ok(); // silent-ok: the first line is a heading.
    let network = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, to, gateway, _, _, _, _, mask, ..] = fields[..] else {
            return None;
        };
        let address = |number: u32| Ipv4Addr::from(number.to_ne_bytes());
        let (to, gateway, mask) = (number(to)?, number(gateway)?, address(number(mask)?));
        let net = Ipv4Net::with_netmask(address(to), mask).ok()?; // silent-ok: no mask of a network.
        (gateway == 0 && net.prefix_len() >= BITS_V4).then_some(net.into())
    };
    routes.lines().filter_map(network).collect()
}

/// Lines of `/proc/net/ipv6_route`: destination, its length, source, its length, next hop; all in base 16.
fn networks_v6(routes: &str) -> Vec<IpNet> {
    let address = |text: &str| u128::from_str_radix(text, 16).ok().map(Ipv6Addr::from); // silent-ok: no route.
    let network = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [to, bits, _, _, next, ..] = fields[..] else {
            return None;
        };
        let bits = u8::from_str_radix(bits, 16).ok()?; // silent-ok: likewise.
        let net = Ipv6Net::new(address(to)?, bits).ok()?; // silent-ok: likewise.
        (address(next)?.is_unspecified() && bits >= BITS_V6).then_some(net.into())
    };
    routes.lines().filter_map(network).collect()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn networks_without_a_router_are_those_of_neighbours() {
        let texts = |nets: Vec<IpNet>| nets.iter().map(ToString::to_string).collect::<Vec<_>>();
        if cfg!(target_endian = "little") {
            let routes = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n\
                eth0 00000000 0101A8C0 0003 0 0 0 00000000 0 0 0\n\
                eth0 00040808 00000000 0001 0 0 0 00FFFFFF 0 0 0\n\
                eth0 00050808 0101A8C0 0003 0 0 0 00FFFFFF 0 0 0\n\
                wg0 00000080 00000000 0001 0 0 0 00000080 0 0 0\n";
            assert_eq!(texts(networks_v4(routes)), ["8.8.4.0/24"]);
        }
        let zero = "0".repeat(32);
        let line = |to: &str, bits, next: &str| format!("{to} {bits} {zero} 00 {next} 00000100 1 0 1 eth0\n");
        let near = "26064700000000000000000000000000";
        let routes = line(near, "40", &zero) + &line(&zero, "00", &zero) + &line(near, "30", near);
        assert_eq!(texts(networks_v6(&routes)), ["2606:4700::/64"]);
    }
}
