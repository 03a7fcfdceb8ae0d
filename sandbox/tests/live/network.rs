//! What can be reached.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use pretty_assertions::assert_eq;
use reveille_sandbox::{Loopback, Network, Policy, Target};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Place, users};

/// A service of the machine that greets.
async fn service(greeting: &'static str) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            greet(stream, greeting);
        }
    });
    address
}

fn greet(mut stream: TcpStream, greeting: &'static str) {
    tokio::spawn(async move { stream.write_all(greeting.as_bytes()).await });
}

/// Reads what a port says, without tools that may not be there.
fn hear(host: &str, port: u16) -> String {
    format!("timeout 20 bash -c 'exec 3<>/dev/tcp/{host}/{port} && cat <&3'; ")
}

fn handler(port: u16, greeting: &'static str) -> Loopback {
    Loopback {
        port,
        target: Target::Handler(Arc::new(move |stream| greet(stream, greeting))),
    }
}

#[tokio::test]
async fn a_network_of_its_own_has_only_what_is_mapped() {
    let service = service("machine").await;
    for user in users() {
        let place = Place::new(user);
        for network in [Network::Restricted, Network::Proxied] {
            let policy = Policy {
                network,
                loopback: vec![handler(4000, "mapped")],
                ..place.policy()
            };
            let done = place.sh(&policy, &hear("127.0.0.1", 4000)).await;
            assert_eq!(done.out, "mapped", "{network:?} {done:?}");
            for (host, port) in [("127.0.0.1", service.port()), ("192.0.2.1", 80), ("10.0.0.1", 80)] {
                let done = place.sh(&policy, &hear(host, port)).await;
                assert_eq!(
                    (done.out.as_str(), done.status.success()),
                    ("", false),
                    "{host} {done:?}"
                );
                let reasons = ["refused", "unreachable"];
                assert!(
                    reasons.iter().any(|reason| done.err.contains(reason)),
                    "{host} {done:?}"
                );
            }
            let routes = place.sh(
                &policy,
                "tail -n +2 /proc/net/route; ls /proc/net/dev >/dev/null && grep -c : /proc/net/dev",
            );
            assert_eq!(routes.await.out, "1\n", "only the loopback");
        }
        let open = place.sh(&place.policy(), &hear("127.0.0.1", service.port())).await;
        assert_eq!(open.out, "machine", "the control: {open:?}");
    }
}

#[tokio::test]
async fn each_sandbox_has_its_own_ports() {
    let place = Place::new(None);
    let policy = |greeting| Policy {
        network: Network::Restricted,
        loopback: vec![handler(4000, greeting)],
        ..place.policy()
    };
    let (one, two) = (policy("one"), policy("two"));
    let script = format!("{}{}", hear("127.0.0.1", 4000), hear("127.0.0.1", 4000));
    let (one, two) = tokio::join!(place.sh(&one, &script), place.sh(&two, &script));
    assert_eq!((one.out.as_str(), two.out.as_str()), ("oneone", "twotwo"));
}

#[tokio::test]
async fn a_handler_is_reached_in_the_machines_network_too() {
    let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    let place = Place::new(None);
    let policy = Policy {
        loopback: vec![handler(port, "handler")],
        ..place.policy()
    };
    let taken = crate::support::sandbox().confine(place.command("/bin/true", &[]), &policy);
    assert!(taken.unwrap_err().reason.contains(&port.to_string()));
    drop(free);
    assert_eq!(place.sh(&policy, &hear("127.0.0.1", port)).await.out, "handler");
}

#[tokio::test]
async fn the_proxy_gives_way_to_a_mapped_port() {
    let place = Place::new(None);
    let policy = Policy {
        network: Network::Restricted,
        loopback: vec![handler(3128, "mapped")],
        ..place.policy()
    };
    let done = place
        .sh(
            &policy,
            &format!("echo $HTTPS_PROXY $no_proxy; {}", hear("127.0.0.1", 3128)),
        )
        .await;
    assert_eq!(done.out, "http://127.0.0.1:3129 localhost,127.0.0.1,::1\nmapped");
}

#[tokio::test]
async fn the_proxy_is_the_only_way_out_and_addresses_are_mapped() {
    let [named, mapped, other] = [service("named").await, service("mapped").await, service("other").await];
    let place = Place::new(None);
    let policy = Policy {
        network: Network::Restricted,
        egress: vec![named.to_string().parse().unwrap()],
        loopback: vec![Loopback {
            port: 4000,
            target: Target::Address(mapped),
        }],
        ..place.policy()
    };
    assert_eq!(place.sh(&policy, &hear("127.0.0.1", 4000)).await.out, "mapped");
    let ask = |address: SocketAddr| {
        format!(
            "timeout 20 bash -c 'exec 3<>/dev/tcp/127.0.0.1/3128; \
             printf \"CONNECT {address} HTTP/1.1\\r\\nHost: {address}\\r\\n\\r\\n\" >&3; cat <&3'"
        )
    };
    let through = place.sh(&policy, &ask(named)).await.out;
    assert!(
        through.starts_with("HTTP/1.1 200") && through.ends_with("named"),
        "{through}"
    );
    let refused = place.sh(&policy, &ask(other)).await.out;
    assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
    let log: Vec<_> = policy
        .log
        .connections()
        .into_iter()
        .map(|one| (one.port, one.count))
        .collect();
    assert_eq!(log, [(named.port(), 1), (other.port(), 1)]);
}
