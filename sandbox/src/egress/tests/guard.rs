//! Addresses behind names.

use pretty_assertions::assert_eq;

use super::*;

#[tokio::test]
async fn a_name_may_not_lead_inside() {
    let (mut tasks, net) = (
        Tasks::default(),
        Arc::new(Net {
            own: vec!["8.8.4.4".parse().unwrap()],
            ..Net::default()
        }),
    );
    net.name("good.test", &["1.1.1.1"]);
    net.server("1.1.1.1:443", tasks.echo().await);
    let inside = [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "fd00:ec2::254",
        "fe80::1",
        "::ffff:127.0.0.1",
        "2002:7f00:1::1",
        "64:ff9b::7f00:1",
        "8.8.4.4",
    ];
    for (number, ip) in inside.iter().enumerate() {
        net.name(&format!("bad{number}.x.test"), &[ip]);
    }
    let gate = gate(&["good.test", "*.x.test"], &net);
    let log = gate.log.clone();
    let proxy = tasks.proxy(gate).await;
    says_back(&mut tunnel(proxy, "good.test:443").await).await;
    for (number, ip) in inside.iter().enumerate() {
        let answer = exchange(
            proxy,
            format!("CONNECT bad{number}.x.test:443 HTTP/1.1\r\n\r\n").as_bytes(),
        )
        .await;
        assert_eq!(status_of(&answer), 403, "{ip}");
        assert!(answer.contains("leads into the machine"), "{answer}");
        assert_eq!(
            status(proxy, &format!("GET http://bad{number}.x.test/")).await,
            403,
            "{ip}"
        );
    }
    assert_eq!(net.dialled(), ["1.1.1.1:443"]);
    assert_eq!(
        counted(&log)[1..3],
        ["bad0.x.test:443 RefusedAddress 1", "bad0.x.test:80 RefusedAddress 1"]
    );
}

#[tokio::test]
async fn a_name_is_looked_up_once() {
    let (mut tasks, net) = (Tasks::default(), Arc::new(Net::default()));
    // Another address for the second question: what was checked is what is reached.
    net.answers("rebind.test", &[&["1.1.1.1"], &["127.0.0.1"]]);
    net.server("1.1.1.1:443", tasks.echo().await);
    net.server("127.0.0.1:443", tasks.echo().await);
    net.name("both.test", &["127.0.0.1", "1.1.1.1"]);
    let proxy = tasks.proxy(gate(&["rebind.test", "both.test"], &net)).await;
    says_back(&mut tunnel(proxy, "rebind.test:443").await).await;
    assert_eq!(status(proxy, "CONNECT rebind.test:443").await, 403);
    says_back(&mut tunnel(proxy, "both.test:443").await).await;
    assert_eq!(net.dialled(), ["1.1.1.1:443", "1.1.1.1:443"]);
}

#[tokio::test]
async fn what_the_operator_names_may_be_inside() {
    let (mut tasks, net) = (Tasks::default(), Arc::new(Net::default()));
    net.name("hub.test", &["10.0.0.7"]);
    net.server("10.0.0.7:1939", tasks.echo().await);
    net.server("10.0.0.8:22", tasks.echo().await);
    let mut gate = gate(&["10.0.0.8:22"], &net);
    let proxy = tasks.proxy(gate.clone()).await;
    says_back(&mut tunnel(proxy, "10.0.0.8:22").await).await;
    assert_eq!(status(proxy, "CONNECT hub.test:1939").await, 403);
    gate.rules.push(Rule::exact("hub.test", 1939).unwrap());
    let proxy = tasks.proxy(gate.clone()).await;
    assert_eq!(status(proxy, "CONNECT hub.test:1939").await, 403);
    gate.rules.push(Rule::exact("hub.test", 1939).unwrap().trusted());
    let proxy = tasks.proxy(gate).await;
    says_back(&mut tunnel(proxy, "hub.test:1939").await).await;
    assert_eq!(status(proxy, "CONNECT hub.test:22").await, 403);
}

#[tokio::test]
async fn every_public_address_and_no_other_one() {
    let (mut tasks, net) = (Tasks::default(), Arc::new(Net::default()));
    net.name("any.test", &["1.1.1.1"]);
    net.name("inside.test", &["192.168.0.1"]);
    net.server("1.1.1.1:8443", tasks.echo().await);
    net.server("10.0.0.8:22", tasks.echo().await);
    let mut gate = gate(&["10.0.0.8:22"], &net);
    gate.any_public = true;
    let proxy = tasks.proxy(gate).await;
    for to in ["any.test:8443", "1.1.1.1:8443", "10.0.0.8:22"] {
        says_back(&mut tunnel(proxy, to).await).await;
    }
    for to in [
        "inside.test:443",
        "10.0.0.8:23",
        "127.0.0.1:80",
        "[::1]:80",
        "2130706433:80",
        "0x7f.1:80",
        "[::ffff:127.0.0.1]:80",
    ] {
        assert_eq!(status(proxy, &format!("CONNECT {to}")).await, 403, "{to}");
    }
}

#[tokio::test]
async fn the_real_network_of_this_machine() {
    let mut tasks = Tasks::default();
    let at = tasks.echo().await;
    let port = at.port();
    let mut gate = Gate::new(rules(&[&format!("127.0.0.1:{port}")]), Log::default());
    gate.rules.push(Rule::exact("localhost", port).unwrap().trusted());
    let proxy = tasks.proxy(gate.clone()).await;
    for host in ["127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "localhost"] {
        says_back(&mut tunnel(proxy, &format!("{host}:{port}")).await).await;
    }
    gate.rules = rules(&["localhost"]);
    gate.any_public = true;
    let proxy = tasks.proxy(gate).await;
    for host in ["127.0.0.1", "2130706433", "[::ffff:127.0.0.1]", "localhost"] {
        assert_eq!(status(proxy, &format!("CONNECT {host}:{port}")).await, 403, "{host}");
    }
}
