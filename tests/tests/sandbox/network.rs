//! The network of a sandbox that is not open: nothing but the proxy and what is mapped.

use std::net::{Ipv4Addr, UdpSocket};

use anyhow::Result;
use pretty_assertions::assert_eq;

use crate::origin::Origin;
use crate::{everybody, inside, lines, outside};

/// Ways to a host through the proxy, and around it.
pub(crate) const WAYS: &str = r#"
import struct
PROXY = ("127.0.0.1", 3128)

def talk(address, text):
    with socket.create_connection(address, 20) as stream:
        stream.sendall(text.encode())
        return whole(stream)

def whole(stream):
    answer = b""
    while True:
        part = stream.recv(65536)
        if not part:
            return answer.decode()
        answer += part

def said(answer):
    head, _, body = answer.partition("\r\n\r\n")
    code = head.split(" ")[1]
    blocked = "x-proxy-error: blocked-by-allowlist" in head.lower()
    return f"{code} {body}" if code == "200" else code + (" blocked" if blocked else "")

def get(target):
    return f"GET / HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\r\n"

def direct(target):
    host, _, port = target.rpartition(":")
    return said(talk((host.strip("[]"), int(port)), get(target)))

def absolute(target):
    return said(talk(PROXY, f"GET http://{target}/ HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\r\n"))

def connect(target):
    with socket.create_connection(PROXY, 20) as stream:
        stream.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            part = stream.recv(1)
            if not part:
                break
            head += part
        if b" 200 " not in head:
            return said(head.decode())
        stream.sendall(get(target).encode())
        return said(whole(stream))

def socks(target):
    host, _, port = target.rpartition(":")
    with socket.create_connection(PROXY, 20) as stream:
        stream.sendall(b"\x05\x01\x00")
        assert stream.recv(2) == b"\x05\x00"
        try:
            packed = b"\x01" + socket.inet_pton(socket.AF_INET, host)
        except OSError:
            packed = b"\x03" + bytes([len(host)]) + host.encode()
        stream.sendall(b"\x05\x01\x00" + packed + struct.pack(">H", int(port)))
        answer = stream.recv(10)
        if answer[1]:
            return f"code {answer[1]}"
        stream.sendall(get(target).encode())
        return said(whole(stream))

def all_ways(name, target):
    for way in (absolute, connect, socks):
        attempt(f"{name} {way.__name__}", lambda: way(target))
"#;

fn all(name: &str, [absolute, connect, socks]: [&str; 3]) -> String {
    format!("{name} absolute: {absolute}\n{name} connect: {connect}\n{name} socks: {socks}\n")
}

const BLOCKED: [&str; 3] = ["403 blocked", "403 blocked", "code 2"];

#[tokio::test]
async fn w_8_r_egr_1_5_only_the_host_and_port_of_a_rule_are_reached_by_any_protocol() -> Result<()> {
    everybody(async |ground| {
        let named = Origin::start("named", "127.0.0.1:0").await?;
        let other = Origin::start("other", "127.0.0.1:0").await?;
        let (rule, beside) = (named.named(), other.named());
        let port = other.port();
        let code = format!(
            "{WAYS}
all_ways('named', '{rule}')
all_ways('other port', '{beside}')
all_ways('other host', 'example.com:443')
all_ways('look-alike', 'api.anthropic.com.evil.example:443')
all_ways('name of it', 'localhost:{port}')
for spelling in ['127.1', '0x7f.1', '2130706433', '0177.0.0.1', '0.0.0.0', '[::1]', '[::ffff:127.0.0.1]', '[::]', '127.0.0.1.',
                 'LOCALHOST', 'localhost.', '127.0.0.2']:
    attempt(spelling, lambda: absolute(spelling + ':{port}'))
"
        );
        let told = inside(ground, &["--network", "restricted", "--egress", &rule], &code).await?;
        let (ways, spellings) = told.split_at(told.find("127.1: ").unwrap_or(told.len()));
        let mut expected = all("named", ["200 named", "200 named", "200 named"]);
        for name in ["other port", "other host", "look-alike", "name of it"] {
            expected += &all(name, BLOCKED);
        }
        assert_eq!(ways, expected);
        // Refused for what it means, or for how it is written.
        assert_eq!(spellings.lines().count(), 12, "{spellings}");
        for line in spellings.lines() {
            assert!(line.ends_with(": 403 blocked") || line.ends_with(": 400"), "{spellings}");
        }
        assert_eq!((named.seen(), other.seen()), (3, 0));
        assert_eq!(outside(ground, &format!("{WAYS}\nattempt('other', lambda: direct('{beside}'))")).await?, "other: 200 other\n");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn w_8_r_egr_4_a_name_that_leads_to_this_machine_is_refused() -> Result<()> {
    everybody(async |ground| {
        let origin = Origin::start("origin", "127.0.0.1:0").await?;
        let (named, port) = (origin.named(), origin.port());
        let code = format!("{WAYS}\nall_ways('name', 'localhost:{port}')\nall_ways('address', '{named}')");
        let by_name = format!("localhost:{port}");
        for network in ["restricted", "proxied"] {
            let options = ["--network", network, "--egress", &by_name, "--egress", &named];
            let told = inside(ground, &options, &code).await?;
            // The address is allowed as itself.
            let expected = all("name", BLOCKED) + &all("address", ["200 origin"; 3]);
            assert_eq!(told, expected, "{network}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn without_the_proxy_nothing_is_reached() -> Result<()> {
    everybody(async |ground| {
        let everywhere = Origin::start("everywhere", "0.0.0.0:0").await?;
        let udp = UdpSocket::bind("0.0.0.0:0")?;
        udp.set_nonblocking(true)?;
        let own = own_address()?;
        let (port, udp_port) = (everywhere.port(), udp.local_addr()?.port());
        let code = format!(
            "{WAYS}
def datagram(host, port, family=socket.AF_INET):
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.sendto(b'out', (host, port))
attempt('own', lambda: direct('{own}:{port}'))
attempt('loopback', lambda: direct('127.0.0.1:{port}'))
attempt('loopback 6', lambda: direct('[::1]:{port}'))
attempt('public', lambda: direct('1.1.1.1:80'))
attempt('public 6', lambda: direct('[2606:4700:4700::1111]:80'))
attempt('metadata', lambda: direct('169.254.169.254:80'))
attempt('datagram own', lambda: datagram('{own}', {udp_port}))
attempt('DNS', lambda: datagram('1.1.1.1', 53))
attempt('multicast', lambda: datagram('224.0.0.251', 5353))
attempt('datagram 6', lambda: datagram('2606:4700:4700::1111', 53, socket.AF_INET6))
attempt('raw', lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
def name():
    try:
        socket.getaddrinfo('example.com', 80)
    except socket.gaierror as error:
        raise OSError(errno.ENETUNREACH, '') from error
attempt('name', name)
print(sorted(name for _, name in socket.if_nameindex()))
datagram('127.0.0.1', {udp_port})
"
        );
        let expected = lines(&[
            "own: ENETUNREACH",
            "loopback: ECONNREFUSED",
            "loopback 6: ECONNREFUSED",
            "public: ENETUNREACH",
            "public 6: ENETUNREACH",
            "metadata: ENETUNREACH",
            "datagram own: ENETUNREACH",
            "DNS: ENETUNREACH",
            "multicast: ENETUNREACH",
            "datagram 6: ENETUNREACH",
            "raw: EPERM",
            "name: ENETUNREACH",
            "['lo']",
        ]);
        for network in ["restricted", "proxied"] {
            let told = inside(ground, &["--network", network], &code).await?;
            assert_eq!(told.replace("loopback 6: EADDRNOTAVAIL", "loopback 6: ECONNREFUSED"), expected, "{network}");
        }
        assert_eq!(everywhere.seen(), 0);
        assert!(udp.recv(&mut [0; 10]).is_err());
        // The same with an open network.
        let code = format!("{WAYS}\nattempt('loopback', lambda: direct('127.0.0.1:{port}'))\nattempt('own', lambda: direct('{own}:{port}'))");
        let told = inside(ground, &["--network", "open"], &code).await?;
        assert_eq!(told, lines(&["loopback: 200 everywhere", "own: 200 everywhere"]));
        Ok(())
    })
    .await
}

/// The address from which the machine reaches others, or another one of its own.
fn own_address() -> Result<Ipv4Addr> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    let address = socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr());
    Ok(match address {
        Ok(std::net::SocketAddr::V4(address)) => *address.ip(),
        _ => Ipv4Addr::new(127, 0, 0, 2),
    })
}

#[tokio::test]
async fn w_7_a_mapped_port_leads_to_its_origin_without_the_proxy_and_to_nothing_else() -> Result<()> {
    everybody(async |ground| {
        let hub = Origin::start("hub", "127.0.0.1:0").await?;
        let vault = Origin::start("vault", "127.0.0.1:0").await?;
        let other = Origin::start("other", "127.0.0.1:0").await?;
        let (hub_port, other_port) = (hub.port(), other.port());
        let maps = [hub_port.to_string(), format!("4000={}", vault.named())];
        let code = format!(
            "{WAYS}
attempt('hub', lambda: direct('127.0.0.1:{hub_port}'))
attempt('vault', lambda: direct('127.0.0.1:4000'))
attempt('vault by name', lambda: direct('localhost:4000'))
attempt('other', lambda: direct('127.0.0.1:{other_port}'))
attempt('hub through the proxy', lambda: absolute('127.0.0.1:{hub_port}'))
attempt('other through the proxy', lambda: absolute('127.0.0.1:{other_port}'))
import urllib.request
attempt('as programs do', lambda: urllib.request.urlopen('http://127.0.0.1:4000/', timeout=20).read().decode())
"
        );
        let expected = lines(&[
            "hub: 200 hub",
            "vault: 200 vault",
            "vault by name: 200 vault",
            "other: ECONNREFUSED",
            "hub through the proxy: 403 blocked",
            "other through the proxy: 403 blocked",
            "as programs do: vault",
        ]);
        for network in ["restricted", "proxied"] {
            let options = ["--network", network, "--loopback", &maps[0], "--loopback", &maps[1]];
            assert_eq!(inside(ground, &options, &code).await?, expected, "{network}");
        }
        assert_eq!(other.seen(), 0);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn r_egr_10_proxied_reaches_no_address_that_is_not_public() -> Result<()> {
    everybody(async |ground| {
        let origin = Origin::start("origin", "0.0.0.0:0").await?;
        let (own, port) = (own_address()?, origin.port());
        let code = format!(
            "{WAYS}
for host in ['127.0.0.1', '{own}', 'localhost', '10.0.0.1', '192.168.1.1', '172.16.0.1', '100.64.0.1', '169.254.169.254', '0.0.0.0',
             '224.0.0.1', '[::1]', '[fe80::1]', '[fd00:ec2::254]', '[::ffff:10.0.0.1]', '[64:ff9b::7f00:1]']:
    attempt(host, lambda: connect(host + ':{port}'))
"
        );
        let told = inside(ground, &["--network", "proxied"], &code).await?;
        assert_eq!(told.lines().count(), 15, "{told}");
        assert!(told.lines().all(|line| line.ends_with(": 403 blocked")), "{told}");
        assert_eq!(origin.seen(), 0);
        // A public one is asked for: what comes is not ours to say.
        let code = format!("{WAYS}\nattempt('public', lambda: connect('1.1.1.1:{port}'))");
        let told = inside(ground, &["--network", "proxied"], &code).await?;
        assert!(told.starts_with("public: ") && !told.contains("403"), "{told}");
        Ok(())
    })
    .await
}

/// A public address is no host of the internet for everybody when it is next door.
#[tokio::test]
async fn r_egr_10_neighbours_with_public_addresses_are_not_reached() -> Result<()> {
    everybody(async |ground| {
        let code = format!(
            "{}\n{WAYS}\nfor ip in ['8.8.4.7', '8.8.4.1', '8.8.5.1']: attempt(ip, lambda: connect(ip + ':80'))",
            crate::ATTACK
        );
        // A network of its own, in which anybody can have any address.
        let script =
            "ip link add near type veth peer name far && ip link set far up && ip address add 8.8.4.1/24 dev near && ip link set near up && exec \"$@\"";
        let program = ground.program().display().to_string();
        let network = ["unshare", "-r", "-n", "sh", "-c", script, "sh"];
        let command = [
            &program,
            "sandbox",
            "run",
            "--network",
            "proxied",
            "--",
            "python3",
            "-c",
            &code,
        ];
        let ran = ground
            .outside(
                "env",
                [&["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], &network[..], &command].concat(),
            )
            .await?;
        let expected = lines(&["8.8.4.7: 403 blocked", "8.8.4.1: 403 blocked", "8.8.5.1: 502"]);
        assert_eq!(ran.stdout, expected, "{ran:?}");
        Ok(())
    })
    .await
}

/// The daemon's own way out is used for its children, and stays hidden from them.
#[tokio::test]
async fn r_egr_7_the_starters_proxy_is_used_for_what_is_allowed_only() -> Result<()> {
    everybody(async |ground| {
        let parent = Origin::start("parent", "127.0.0.1:0").await?;
        let code = format!("{WAYS}\nattempt('named', lambda: absolute('named.example:80'))\nattempt('other', lambda: absolute('other.example:80'))");
        let code = format!("{}\n{code}", crate::ATTACK);
        let mut command = ground.confined(&["--network", "restricted", "--egress", "named.example"], ["python3", "-c", &code]);
        command.env("HTTP_PROXY", format!("http://{}", parent.named())).env("http_proxy", format!("http://{}", parent.named()));
        let ran = reveille_tests::daemon::run(command, "").await?;
        assert_eq!(ran.stdout, lines(&["named: 200 parent", "other: 403 blocked"]), "{ran:?}");
        assert_eq!(parent.seen(), 1);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn r_egr_2_a_rule_that_says_nothing_clear_is_refused() -> Result<()> {
    everybody(async |ground| {
        for rule in [
            "*",
            "*.com",
            "",
            " ",
            "foo bar",
            "a%2eb",
            "user@host.example",
            "[::g]",
            "host.example:0",
            "host.example:65536",
            "*.*.example.com",
            "a*.example.com",
            "*.1.2.3.4",
        ] {
            let ran = ground
                .sandbox(&["--network", "restricted", "--egress", rule], ["true"])
                .await?;
            assert_eq!(ran.code, 2, "{rule:?}: {ran:?}");
        }
        for rule in [
            "host.example",
            "*.host.example",
            "host.example:8443",
            "https://host.example/path",
            "[::1]:80",
            "127.0.0.1:80",
        ] {
            let ran = ground
                .sandbox(&["--network", "restricted", "--egress", rule], ["true"])
                .await?;
            assert_eq!(ran.code, 0, "{rule:?}: {ran:?}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_was_refused_is_told() -> Result<()> {
    everybody(async |ground| {
        let code = format!(
            "{}\n{WAYS}\nfor _ in range(3): connect('other.example:443')",
            crate::ATTACK
        );
        let ran = ground
            .sandbox(&["--network", "restricted"], ["python3", "-c", &code])
            .await?;
        assert!(
            ran.code == 0 && ran.stderr.contains("other.example:443 (3 times)"),
            "{ran:?}"
        );
        Ok(())
    })
    .await
}
