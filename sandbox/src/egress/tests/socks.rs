//! SOCKS5.

use pretty_assertions::assert_eq;

use super::*;

/// Greets, asks, and reads until the other side closes.
async fn asks(proxy: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(proxy).await.unwrap();
    stream.write_all(&[5, 2, 2, 0]).await.unwrap();
    let mut method = [0; 2];
    stream.read_exact(&mut method).await.unwrap();
    assert_eq!(method, [5, 0]);
    stream.write_all(request).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    answer
}

fn name(name: &[u8], port: u16) -> Vec<u8> {
    let mut request = vec![5, 1, 0, 3, u8::try_from(name.len()).unwrap()];
    request.extend_from_slice(name);
    request.extend_from_slice(&port.to_be_bytes());
    request
}

fn address(kind: u8, ip: &[u8], port: u16) -> Vec<u8> {
    [&[5, 1, 0, kind], ip, &port.to_be_bytes()].concat()
}

#[tokio::test]
async fn each_request_has_its_answer() {
    let (mut tasks, net) = (Tasks::default(), Arc::new(Net::default()));
    net.name("api.test", &["1.1.1.1"]);
    net.name("inside.test", &["127.0.0.1"]);
    net.name("down.test", &["1.1.1.9"]);
    for at in ["1.1.1.1:443", "[2606::1]:443"] {
        net.server(at, tasks.echo().await);
    }
    let gate = gate(&["api.test", "inside.test", "down.test", "1.1.1.1", "[2606::1]"], &net);
    let log = gate.log.clone();
    let proxy = tasks.proxy(gate).await;
    let v6 = "2606::1".parse::<std::net::Ipv6Addr>().unwrap().octets();
    let mapped = "::ffff:1.1.1.1".parse::<std::net::Ipv6Addr>().unwrap().octets();
    for (reply, request) in [
        (0, name(b"API.test.", 443)),
        (0, name(b"1.1.1.1", 443)),
        (0, name(b"2606::1", 443)),
        (0, address(1, &[1, 1, 1, 1], 443)),
        (0, address(4, &v6, 443)),
        (0, address(4, &mapped, 443)),
        (2, name(b"api.test", 22)),
        (2, name(b"other.test", 443)),
        (2, name(b"inside.test", 443)),
        (2, address(1, &[127, 0, 0, 1], 443)),
        (4, name(b"down.test", 443)),
        (1, name(b"", 443)),
        (1, name(b"a b", 443)),
        (1, name(b"\xff\xfe", 443)),
        (1, name(b"api.test", 0)),
        (1, [&[5, 1, 1][..], &name(b"api.test", 443)[3..]].concat()),
        (7, [&[5, 2][..], &name(b"api.test", 443)[2..]].concat()),
        (7, [&[5, 3][..], &name(b"api.test", 443)[2..]].concat()),
        (8, address(2, &[1, 1, 1, 1], 443)),
    ] {
        let answer = asks(proxy, &request).await;
        assert_eq!(answer, [5, reply, 0, 1, 0, 0, 0, 0, 0, 0], "{request:?}");
    }
    assert_eq!(
        counted(&log)[..3],
        [
            "api.test:443 Allowed 1",
            "1.1.1.1:443 Allowed 3",
            "[2606::1]:443 Allowed 2"
        ]
    );
}

#[tokio::test]
async fn bytes_after_the_request_go_through() {
    let (mut tasks, net) = (Tasks::default(), Arc::new(Net::default()));
    net.name("api.test", &["1.1.1.1"]);
    net.server("1.1.1.1:443", tasks.echo().await);
    let proxy = tasks.proxy(gate(&["api.test"], &net)).await;
    let mut request = name(b"api.test", 443);
    request.extend_from_slice(b"hello");
    assert_eq!(asks(proxy, &request).await[10..], *b"hello");
}

#[tokio::test]
async fn other_versions_and_methods() {
    let (mut tasks, net) = (Tasks::default(), Arc::new(Net::default()));
    let proxy = tasks.proxy(gate(&[], &net)).await;
    assert_eq!(exchange(proxy, &[5, 1, 2]).await.as_bytes(), "\u{5}\u{fffd}".as_bytes());
    // Version 4, and one that changes its mind.
    assert_eq!(status_of(&exchange(proxy, &[4, 1, 0, 80, b'\n']).await), 400);
    let mut stream = TcpStream::connect(proxy).await.unwrap();
    stream.write_all(&[5, 1, 0, 4, 1, 0, 1]).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, [5, 0, 5, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
}
