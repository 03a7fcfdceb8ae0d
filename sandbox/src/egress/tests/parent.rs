//! The proxy of the daemon's own network.

use pretty_assertions::assert_eq;

use super::*;
use crate::egress::ParentProxy;

/// Proxies from variables.
fn parent(variables: &[(&str, String)]) -> Result<Option<ParentProxy>, String> {
    let read = |name: &str| {
        variables
            .iter()
            .find(|(one, _)| *one == name)
            .map(|(_, value)| value.clone())
    };
    ParentProxy::from_env(read).map_err(|error| error.to_string())
}

/// A proxy that shows what it is asked, and then says back what it is told. The answer to `CONNECT` is in one packet with what
/// the server says first.
async fn double(tasks: &mut Tasks, status: &'static str, asked: &Arc<Mutex<Vec<String>>>) -> SocketAddr {
    let asked = Arc::clone(asked);
    tasks
        .listen(move |stream| {
            let asked = Arc::clone(&asked);
            async move {
                let mut stream = BufReader::new(stream);
                let head = read_head(&mut stream, 10_000).await.map_err(io::Error::other)?;
                let head = String::from_utf8(head).map_err(io::Error::other)?;
                let is_tunnel = head.starts_with("CONNECT");
                asked.lock().unwrap().push(head);
                let answer = if is_tunnel {
                    format!("HTTP/1.1 {status}\r\n\r\nSSH-2.0\n")
                } else {
                    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned()
                };
                stream.write_all(answer.as_bytes()).await?;
                stream.flush().await?;
                let (mut read, mut write) = tokio::io::split(stream);
                tokio::io::copy(&mut read, &mut write).await?;
                write.shutdown().await
            }
        })
        .await
}

#[tokio::test]
async fn connections_go_through_it() {
    let (mut tasks, net, asked) = (Tasks::default(), Arc::new(Net::default()), Arc::default());
    let at = double(&mut tasks, "200 OK", &asked).await;
    net.name("proxy.corp", &["10.9.9.9"]);
    net.server("10.9.9.9:3128", at);
    net.name("api.test", &["1.1.1.1"]);
    net.name("inside.test", &["10.0.0.1"]);
    net.name("both.test", &["10.0.0.1", "1.1.1.1"]);
    net.name("direct.test", &["1.1.1.3"]);
    net.server("1.1.1.3:443", tasks.echo().await);
    net.name("hub.test", &["127.0.0.1"]);
    net.server("127.0.0.1:443", tasks.echo().await);
    let mut gate = gate(
        &["inside.test", "both.test", "direct.test", "1.1.1.2", "127.0.0.1"],
        &net,
    );
    let trusted = ["hub.test", "api.test", "unknown.test"];
    gate.rules.extend(rules(&trusted).into_iter().map(Rule::trusted));
    gate.rules.extend(Rule::base());
    let variables = [
        ("https_proxy", "http://me:p%40ss@proxy.corp:3128".to_owned()),
        ("HTTP_PROXY", "proxy.corp:3128".to_owned()),
        ("NO_PROXY", "direct.test,192.168.0.0/16".to_owned()),
    ];
    gate.parent = parent(&variables).unwrap().map(Arc::new);
    assert!(!format!("{gate:?}").contains("p%40ss"));
    let proxy = tasks.proxy(gate).await;
    // What cannot be looked up here may well be there, where somebody answers for the name.
    for to in [
        "api.test:443",
        "1.1.1.2:443",
        "unknown.test:443",
        "api.anthropic.com:443",
    ] {
        let mut stream = tunnel(proxy, to).await;
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        assert_eq!(line, "SSH-2.0\n");
        says_back(&mut stream).await;
        let asked = asked.lock().unwrap().pop().unwrap();
        assert_eq!(
            asked,
            format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\nProxy-Authorization: Basic bWU6cEBzcw==\r\n\r\n")
        );
    }
    assert_eq!(status(proxy, "GET http://api.test/path").await, 200);
    let plain = asked.lock().unwrap().pop().unwrap();
    assert_eq!(
        plain,
        "GET http://api.test/path HTTP/1.1\r\nhost: api.test\r\nconnection: close\r\n\r\n"
    );
    for to in ["direct.test:443", "127.0.0.1:443", "hub.test:443"] {
        says_back(&mut tunnel(proxy, to).await).await;
    }
    for to in ["inside.test:443", "both.test:443", "other.test:443"] {
        assert_eq!(status(proxy, &format!("CONNECT {to}")).await, 403, "{to}");
        assert_eq!(status(proxy, &format!("GET http://{to}/")).await, 403, "{to}");
    }
    assert_eq!(asked.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn plain_requests_carry_the_password() {
    let (mut tasks, net, asked) = (Tasks::default(), Arc::new(Net::default()), Arc::default());
    net.server("10.9.9.9:80", double(&mut tasks, "200 OK", &asked).await);
    net.name("api.test", &["1.1.1.1"]);
    let mut gate = gate(&[], &net);
    gate.rules.push(Rule::exact("api.test", 8080).unwrap().trusted());
    gate.parent = parent(&[("ALL_PROXY", "http://me:pass@10.9.9.9".to_owned())])
        .unwrap()
        .map(Arc::new);
    let proxy = tasks.proxy(gate).await;
    let answer = exchange(
        proxy,
        b"GET http://api.test:8080/ HTTP/1.1\r\nProxy-Authorization: Basic mine\r\n\r\n",
    )
    .await;
    assert_eq!(status_of(&answer), 200);
    assert_eq!(
        asked.lock().unwrap().pop().unwrap(),
        "GET http://api.test:8080/ HTTP/1.1\r\nhost: api.test:8080\r\nconnection: close\r\nproxy-authorization: Basic bWU6cGFzcw==\r\n\r\n"
    );
}

#[tokio::test]
async fn a_proxy_that_refuses() {
    for answer in ["407 Proxy Authentication Required", "503 Down"] {
        let (mut tasks, net, asked) = (Tasks::default(), Arc::new(Net::default()), Arc::default());
        net.server("10.9.9.9:3128", double(&mut tasks, answer, &asked).await);
        let mut gate = gate(&["1.1.1.1"], &net);
        gate.parent = parent(&[("HTTPS_PROXY", "http://me:pass@10.9.9.9:3128".to_owned())])
            .unwrap()
            .map(Arc::new);
        let proxy = tasks.proxy(gate).await;
        let text = exchange(proxy, b"CONNECT 1.1.1.1:443 HTTP/1.1\r\n\r\n").await;
        assert_eq!(status_of(&text), 502);
        let code = answer.split_once(' ').unwrap().0;
        assert!(
            text.contains(&format!("the proxy of this network answered {code}")) && !text.contains("pass"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn where_nobody_answers_for_a_name_its_address_must_be_known() {
    for (texts, any_public) in [(&[][..], true), (&["public.test", "*.a.corp"], false)] {
        let (mut tasks, net, asked) = (Tasks::default(), Arc::new(Net::default()), Arc::default());
        net.server("10.9.9.9:3128", double(&mut tasks, "200 OK", &asked).await);
        net.name("public.test", &["1.1.1.1"]);
        let mut gate = gate(texts, &net);
        gate.any_public = any_public;
        gate.parent = parent(&[("ALL_PROXY", "http://10.9.9.9:3128".to_owned())])
            .unwrap()
            .map(Arc::new);
        let proxy = tasks.proxy(gate).await;
        drop(tunnel(proxy, "public.test:443").await);
        assert_eq!(status(proxy, "CONNECT intranet.a.corp:443").await, 502);
        // What the proxy takes the name for does not count, also for a request of HTTP.
        exchange(proxy, b"GET http://public.test/ HTTP/1.1\r\n\r\n").await;
        let asked: Vec<String> = std::mem::take(&mut *asked.lock().unwrap());
        let lines: Vec<&str> = asked.iter().filter_map(|head| head.lines().next()).collect();
        assert_eq!(lines, ["CONNECT 1.1.1.1:443 HTTP/1.1", "CONNECT 1.1.1.1:80 HTTP/1.1"]);
    }
}

#[test]
fn variables_that_name_none() {
    let is_none = |variables: &[(&str, &str)]| {
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        parent(&variables).map(|parent| parent.is_none())
    };
    assert_eq!(is_none(&[]), Ok(true));
    assert_eq!(is_none(&[("HTTP_PROXY", " "), ("NO_PROXY", "*")]), Ok(true));
    assert_eq!(is_none(&[("all_proxy", "http://a:1")]), Ok(false));
    // An empty variable of lower case takes the other one back.
    assert_eq!(is_none(&[("http_proxy", ""), ("HTTP_PROXY", "http://a:1")]), Ok(true));
    for value in [
        "socks5://me:secret@a:1",
        "http://",
        "http://me:secret@",
        "not a proxy secret",
        "ftp://secret",
    ] {
        let error = is_none(&[("HTTPS_PROXY", value)]).expect_err(value);
        assert!(
            error.starts_with("HTTPS_PROXY names no proxy that can be used: ") && !error.contains("secret"),
            "{error}"
        );
    }
}
