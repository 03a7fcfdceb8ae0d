//! Tunnels.

use pretty_assertions::assert_eq;

use super::*;

#[tokio::test]
async fn a_named_port_is_reached_and_no_other_one() {
    let (mut tasks, net) = (Tasks::default(), Arc::new(Net::default()));
    net.name("api.test", &["1.1.1.1"]);
    net.server("1.1.1.1:443", tasks.echo().await);
    net.server("1.1.1.1:22", tasks.echo().await);
    let gate = gate(&["api.test:443"], &net);
    let log = gate.log.clone();
    let proxy = tasks.proxy(gate).await;
    says_back(&mut tunnel(proxy, "API.test.:443").await).await;
    let answer = exchange(proxy, b"CONNECT api.test:22 HTTP/1.1\r\n\r\n").await;
    assert_eq!(status_of(&answer), 403);
    assert!(
        answer
            .to_lowercase()
            .contains("\r\nx-proxy-error: blocked-by-allowlist\r\n"),
        "{answer}"
    );
    assert!(answer.contains("api.test:22 is not among the connections"), "{answer}");
    assert_eq!(status(proxy, "CONNECT api.test:22").await, 403);
    assert_eq!(counted(&log), ["api.test:443 Allowed 1", "api.test:22 Refused 2"]);
    assert_eq!(net.dialled(), ["1.1.1.1:443"]);
}

#[tokio::test]
async fn what_only_looks_like_a_named_host() {
    let (mut tasks, net) = (Tasks::default(), Arc::new(Net::default()));
    let gate = gate(&["api.test", "*.wild.test", "10.0.0.5:80"], &net);
    let proxy = tasks.proxy(gate).await;
    for to in [
        "api.test.evil.test:443",
        "xapi.test:443",
        "test:443",
        "wild.test:443",
        "xwild.test:443",
        "a.wild.test.evil.test:443",
        "1.1.1.1:443",
        "[::ffff:1.1.1.1]:443",
        "10.0.0.6:80",
        "10.0.0.5:443",
    ] {
        assert_eq!(status(proxy, &format!("CONNECT {to}")).await, 403, "{to}");
        assert_eq!(status(proxy, &format!("GET http://{to}/")).await, 403, "{to}");
    }
    assert_eq!(net.dialled(), [""; 0]);
}

#[tokio::test]
async fn what_cannot_be_understood() {
    let (mut tasks, net) = (Tasks::default(), Arc::new(Net::default()));
    let proxy = tasks.proxy(gate(&["api.test"], &net)).await;
    for line in [
        "CONNECT api.test",
        "CONNECT a@api.test:443",
        "CONNECT api.test:443/",
        "CONNECT fe80::1%eth0:443",
        "GET /",
        "GET https://api.test/",
    ] {
        assert_eq!(status(proxy, line).await, 400, "{line}");
    }
    assert_eq!(
        status_of(&exchange(proxy, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await),
        400
    );
    assert_eq!(status_of(&exchange(proxy, b"\x16\x03\x01\x00\n").await), 400);
}

#[tokio::test]
async fn what_does_not_answer() {
    let (mut tasks, net) = (Tasks::default(), Arc::new(Net::default()));
    net.name("down.test", &["1.1.1.1", "1.1.1.2"]);
    let gate = gate(&["down.test", "unknown.test"], &net);
    let log = gate.log.clone();
    let proxy = tasks.proxy(gate).await;
    assert_eq!(status(proxy, "CONNECT down.test:443").await, 502);
    assert_eq!(status(proxy, "CONNECT unknown.test:443").await, 502);
    assert_eq!(net.dialled(), ["1.1.1.1:443", "1.1.1.2:443"]);
    assert_eq!(counted(&log), ["down.test:443 Failed 1", "unknown.test:443 Failed 1"]);
}

#[tokio::test]
async fn one_side_may_end_before_the_other() {
    let (mut tasks, net) = (Tasks::default(), Arc::new(Net::default()));
    net.name("api.test", &["1.1.1.1"]);
    // Answers only after all has been said.
    let server = tasks.listen(async |mut stream| {
        let mut all = String::new();
        stream.read_to_string(&mut all).await?;
        stream.write_all(format!("you said {all}").as_bytes()).await
    });
    net.server("1.1.1.1:443", server.await);
    let proxy = tasks.proxy(gate(&["api.test"], &net)).await;
    let mut stream = tunnel(proxy, "api.test:443").await;
    stream.write_all(b"all").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "you said all");
}

#[tokio::test]
async fn much_in_both_directions() {
    let (mut tasks, net) = (Tasks::default(), Arc::new(Net::default()));
    net.name("api.test", &["1.1.1.1"]);
    net.server("1.1.1.1:443", tasks.echo().await);
    let proxy = tasks.proxy(gate(&["api.test"], &net)).await;
    let stream = tunnel(proxy, "api.test:443").await;
    let sent: Vec<u8> = (0..16_000_000_u32).map(|n| n.to_le_bytes()[(n % 3) as usize]).collect();
    let (mut read, mut write) = tokio::io::split(stream);
    let mut heard = Vec::new();
    let say = async {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
    };
    tokio::join!(say, async { read.read_to_end(&mut heard).await.unwrap() });
    assert!(heard == sent, "{} bytes of {}", heard.len(), sent.len());
}

#[tokio::test]
async fn two_gates_do_not_mix() {
    let net = Arc::new(Net::default());
    let (mut one, mut other, mut servers) = (Tasks::default(), Tasks::default(), Tasks::default());
    for (name, ip) in [("one.test", "1.1.1.1"), ("other.test", "1.1.1.2")] {
        net.name(name, &[ip]);
        net.server(&format!("{ip}:443"), servers.echo().await);
    }
    let gates = [gate(&["one.test"], &net), gate(&["other.test"], &net)];
    let logs = gates.each_ref().map(|gate| gate.log.clone());
    let [gate_of_one, gate_of_other] = gates;
    let (at_one, at_other) = (one.proxy(gate_of_one).await, other.proxy(gate_of_other).await);
    let mut through_one = tunnel(at_one, "one.test:443").await;
    let mut through_other = tunnel(at_other, "other.test:443").await;
    assert_eq!(status(at_one, "CONNECT other.test:443").await, 403);
    assert_eq!(status(at_other, "CONNECT one.test:443").await, 403);
    says_back(&mut through_one).await;
    drop(one);
    let mut rest = Vec::new();
    // Cut, with or without a reset.
    assert_eq!(through_one.read_to_end(&mut rest).await.unwrap_or_default(), 0);
    says_back(&mut through_other).await;
    assert_eq!(
        counted(&logs[0]),
        ["one.test:443 Allowed 1", "other.test:443 Refused 1"]
    );
    assert_eq!(
        counted(&logs[1]),
        ["other.test:443 Allowed 1", "one.test:443 Refused 1"]
    );
}
