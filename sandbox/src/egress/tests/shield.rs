//! Requests with a secret that the child does not have.

use std::net::Ipv4Addr;

use http::{HeaderName, HeaderValue};
use pretty_assertions::assert_eq;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use url::Url;

use super::*;
use crate::Handler;
use crate::egress::shield::stand as stand_with;
use crate::egress::{Bounds, Latch, ParentProxy, Shield, Swap, shield};

const SECRET: &str = "Bearer sk-real-secret";
/// A request that shows what the child has.
const SHOWN: &str = "HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer dummy\r\nConnection: close\r\n\r\n";

fn swap(placeholder: &str, secret: &str) -> Swap {
    Swap {
        placeholder: placeholder.into(),
        secret: secret.into(),
    }
}

fn shield_for(upstream: &str) -> Shield {
    Shield {
        upstream: Url::parse(upstream).unwrap(),
        paths: &["/", "/v1", "/v1/messages"],
        swaps: vec![swap("dummy", "sk-real-secret"), swap("dummy-key", "real-key")],
        headers: Vec::new(),
        parent: None,
        log: Log::default(),
        bounds: Bounds::default(),
        latch: Latch::default(),
    }
}

/// A port behind which a shield answers.
async fn stand(tasks: &mut Tasks, of: Shield) -> SocketAddr {
    handled(tasks, shield(of).unwrap()).await
}

async fn handled(tasks: &mut Tasks, handler: Handler) -> SocketAddr {
    tasks
        .listen(move |stream| {
            handler(stream);
            std::future::ready(Ok(()))
        })
        .await
}

#[tokio::test]
async fn the_secret_is_put_in_and_nothing_else_goes_along() {
    let mut tasks = Tasks::default();
    let server = tasks.mirror().await;
    let mut of = shield_for(&format!("http://{server}/base/"));
    of.headers.push((
        HeaderName::from_static("x-of-the-gateway"),
        HeaderValue::from_static("real-too"),
    ));
    assert!(!format!("{of:?}").contains("real"), "{of:?}");
    let log = of.log.clone();
    let at = stand(&mut tasks, of).await;
    let answer = exchange(
        at,
        b"POST /v1/messages?beta=true HTTP/1.1\r\nHost: evil.test\r\nAuthorization: Bearer dummy\r\nX-Api-Key: dummy-key\r\n\
          Cookie: a=b\r\nProxy-Authorization: dummy\r\nAnthropic-Beta: x\r\nContent-Length: 2\r\nConnection: close, X-Hop\r\n\
          X-Hop: 1\r\n\r\n{}",
    )
    .await;
    assert_eq!(status_of(&answer), 200);
    let seen = answer.split_once("\r\n\r\n").unwrap().1;
    assert!(
        seen.starts_with("POST /base/v1/messages?beta=true HTTP/1.1\r\n"),
        "{seen}"
    );
    let mut lines: Vec<&str> = seen.lines().skip(1).filter(|line| !line.is_empty()).collect();
    lines.sort_unstable();
    let host = format!("host: {server}");
    assert_eq!(
        lines,
        [
            "anthropic-beta: x",
            &*format!("authorization: {SECRET}"),
            "content-length: 2",
            &*host,
            "x-api-key: real-key",
            "x-of-the-gateway: real-too"
        ]
    );
    assert_eq!(counted(&log), [format!("127.0.0.1:{} Allowed 1", server.port())]);
}

#[tokio::test]
async fn while_it_is_shut_nobody_gets_anything() {
    let mut tasks = Tasks::default();
    let server = tasks.mirror().await;
    let of = shield_for(&format!("http://{server}"));
    let (log, latch) = (of.log.clone(), of.latch.clone());
    let at = stand(&mut tasks, of).await;
    let request = format!("GET /v1 {SHOWN}");
    let ask = async || status_of(&exchange(at, request.as_bytes()).await);
    assert_eq!(ask().await, 200);
    latch.shut();
    assert_eq!(ask().await, 401);
    latch.open();
    assert_eq!(ask().await, 200);
    assert_eq!(counted(&log), [format!("127.0.0.1:{} Allowed 2", server.port())]);
}

#[tokio::test]
async fn requests_for_other_places_are_refused() {
    let (mut tasks, other) = (Tasks::default(), Tasks::default().echo().await);
    let server = tasks.mirror().await;
    let of = shield_for(&format!("http://{server}/base"));
    let log = of.log.clone();
    let at = stand(&mut tasks, of).await;
    for (line, status) in [
        (format!("GET http://{other}/"), 400),
        (format!("CONNECT {other}"), 405),
        ("OPTIONS *".to_owned(), 405),
        ("TRACE /v1/messages".to_owned(), 405),
        ("GET *".to_owned(), 400),
        (format!("GET //{other}/v1/messages"), 403),
        ("POST /v1/oauth/token".to_owned(), 403),
        ("GET /v1/messages/".to_owned(), 403),
        ("GET /../v1/messages".to_owned(), 403),
        ("GET /v1/messages/../../other".to_owned(), 403),
        ("GET /%2e%2e/other".to_owned(), 403),
        ("GET /v1/messages%2f..%2fother".to_owned(), 403),
        ("GET /V1/messages".to_owned(), 403),
    ] {
        refused(at, &format!("{line} {SHOWN}"), status).await;
    }
    let fine = exchange(at, format!("HEAD /v1/messages {SHOWN}").as_bytes()).await;
    assert_eq!(status_of(&fine), 200, "{fine}");
    assert_eq!(
        counted(&log),
        [format!("127.0.0.1:{} Allowed 1", server.port())],
        "nothing else was sent"
    );
}

async fn refused(at: SocketAddr, request: &str, status: u16) {
    let answer = exchange(at, request.as_bytes()).await;
    assert_eq!(status_of(&answer), status, "{request}");
    assert!(
        !answer.contains("sk-real") && !answer.contains("real-key"),
        "{request}: {answer}"
    );
}

/// What others of the machine say, and what an agent tries with what it has.
#[tokio::test]
async fn who_does_not_show_what_the_child_has_gets_nothing() {
    let mut tasks = Tasks::default();
    let server = tasks.mirror().await;
    let of = shield_for(&format!("http://{server}"));
    let log = of.log.clone();
    let at = stand(&mut tasks, of).await;
    for shown in [
        "",
        "Authorization: Bearer dumm\r\n",
        "Authorization: Bearer dummy2\r\n",
        "Authorization: dummy\r\n",
        "Authorization: Basic dummy\r\n",
        "Authorization:\r\n",
        "Authorization: Bearer dummy\r\nAuthorization: Bearer dummy\r\n",
        "Authorization: Bearer dummy, Bearer dummy\r\n",
        "X-Api-Key: Bearer dummy\r\n",
        "X-Api-Key: sk-real-secret\r\n",
        "Proxy-Authorization: Bearer dummy\r\n",
        "Cookie: dummy\r\n",
        "X-Other: dummy\r\n",
    ] {
        let request = format!("GET /v1/messages HTTP/1.1\r\nHost: h\r\n{shown}Connection: close\r\n\r\n");
        refused(at, &request, 401).await;
    }
    assert!(counted(&log).is_empty());
    // One that counts takes the place of nothing else: the other header, the query and the rest stay what they are.
    let request = "GET /v1/messages?key=dummy HTTP/1.1\r\nHost: h\r\nX-Api-Key: mine\r\nAuthorization: bearer dummy\r\n\
                   X-Other: dummy\r\nConnection: close\r\n\r\n";
    let answer = exchange(at, request.as_bytes()).await;
    assert!(answer.contains("GET /v1/messages?key=dummy HTTP/1.1\r\n"), "{answer}");
    assert!(
        answer.contains("x-other: dummy\r\n") && !answer.contains("mine"),
        "{answer}"
    );
    assert_eq!(answer.matches("real").count(), 1, "{answer}");
}

#[tokio::test]
async fn its_end_cuts_the_connections() {
    let mut tasks = Tasks::default();
    let (asked, mut asking) = mpsc::unbounded_channel();
    let server = tasks.listen(move |mut stream| {
        let asked = asked.clone();
        async move {
            stream.read_u8().await?;
            asked.send(()).map_err(io::Error::other)?;
            std::future::pending().await
        }
    });
    let server = server.await;
    let handler = shield(shield_for(&format!("http://{server}"))).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    handler(listener.accept().await.unwrap().0);
    stream.write_all(format!("GET / {SHOWN}").as_bytes()).await.unwrap();
    asking.recv().await.unwrap();
    drop(handler);
    let mut rest = Vec::new();
    // An end or a reset, but nothing more.
    let _ = stream.read_to_end(&mut rest).await; // silent-ok: see above
    assert!(rest.is_empty());
}

#[tokio::test]
async fn a_redirect_goes_back_to_the_child() {
    let mut tasks = Tasks::default();
    let (asked, mut asking) = mpsc::unbounded_channel();
    let other = tasks.listen(move |_| {
        let asked = asked.clone();
        async move { asked.send(()).map_err(io::Error::other) }
    });
    let other = other.await;
    let server = tasks.listen(move |stream| async move {
        let mut stream = BufReader::new(stream);
        read_head(&mut stream, 10_000).await.map_err(io::Error::other)?;
        let answer =
            format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{other}/\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    });
    let server = server.await;
    let at = stand(&mut tasks, shield_for(&format!("http://{server}"))).await;
    let answer = exchange(at, format!("GET / {SHOWN}").as_bytes()).await;
    assert_eq!(status_of(&answer), 307);
    assert!(answer.contains(&format!("location: http://{other}/")), "{answer}");
    assert!(asking.try_recv().is_err());
}

#[tokio::test]
async fn events_are_passed_on_as_they_come() {
    let mut tasks = Tasks::default();
    let (next, wanted) = mpsc::unbounded_channel::<()>();
    let wanted = Arc::new(tokio::sync::Mutex::new(wanted));
    let server = tasks.listen(move |stream| {
        let wanted = Arc::clone(&wanted);
        async move {
            let mut stream = BufReader::new(stream);
            read_head(&mut stream, 10_000).await.map_err(io::Error::other)?;
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
            stream.write_all(head.as_bytes()).await?;
            let mut wanted = wanted.lock().await;
            while wanted.recv().await.is_some() {
                stream.write_all(b"9\r\ndata: 1\n\n\r\n").await?;
            }
            stream.write_all(b"0\r\n\r\n").await
        }
    });
    let server = server.await;
    let at = stand(&mut tasks, shield_for(&format!("http://{server}"))).await;
    let mut stream = BufReader::new(TcpStream::connect(at).await.unwrap());
    let request = "GET / HTTP/1.1\r\nHost: h\r\nX-Api-Key: dummy-key\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    read_head(&mut stream, 10_000).await.unwrap();
    // Each event is there before the next one is sent.
    for _ in 0..3 {
        next.send(()).unwrap();
        let mut event = String::new();
        for _ in 0..4 {
            stream.read_line(&mut event).await.unwrap();
        }
        assert_eq!(event, "9\r\ndata: 1\n\n\r\n");
    }
    drop(next);
    let mut end = String::new();
    stream.read_line(&mut end).await.unwrap();
    assert_eq!(end, "0\r\n");
}

#[tokio::test]
async fn a_service_that_cannot_be_believed_gets_no_secret() {
    let mut tasks = Tasks::default();
    let (seen, mut sees) = mpsc::unbounded_channel();
    let server = tasks.listen(move |mut stream| {
        let seen = seen.clone();
        async move {
            let mut all = Vec::new();
            let mut some = [0; 1000];
            let length = stream.read(&mut some).await?;
            all.extend_from_slice(&some[..length]);
            // No TLS.
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            seen.send(all).map_err(io::Error::other)
        }
    });
    let server = server.await;
    let of = shield_for(&format!("https://localhost:{}", server.port()));
    let log = of.log.clone();
    let at = stand(&mut tasks, of).await;
    let answer = exchange(at, format!("GET / {SHOWN}").as_bytes()).await;
    assert_eq!(status_of(&answer), 502);
    let first = sees.recv().await.unwrap();
    assert_eq!(first.first(), Some(&22), "that is no TLS");
    assert!(!String::from_utf8_lossy(&first).contains("secret"));
    assert_eq!(counted(&log), [format!("localhost:{} Failed 1", server.port())]);
}

#[tokio::test]
async fn a_service_that_is_gone() {
    let mut tasks = Tasks::default();
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let at = stand(&mut tasks, shield_for(&format!("http://{gone}"))).await;
    let answer = exchange(at, format!("GET / {SHOWN}").as_bytes()).await;
    assert_eq!(status_of(&answer), 502);
    assert!(
        answer.contains("could not be reached: ") && !answer.contains("secret"),
        "{answer}"
    );
}

#[test]
fn addresses_that_are_none_and_secrets_that_no_header_takes() {
    for upstream in ["ftp://example.com", "unix:/run/socket", "data:text"] {
        assert!(shield(shield_for(upstream)).is_err(), "{upstream}");
    }
    for (placeholder, secret) in [("", "secret"), ("dummy", ""), ("dummy", "two\r\nlines")] {
        let of = Shield {
            swaps: vec![swap(placeholder, secret)],
            ..shield_for("http://127.0.0.1")
        };
        let error = shield(of).err().unwrap().to_string();
        assert!(!error.contains("two"), "{error}");
    }
}

/// The certificate of `service.test`, with its key; neither is used anywhere else.
fn identity() -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let certificate = include_bytes!("service.crt.der").to_vec().into();
    let key = PrivatePkcs8KeyDer::from(include_bytes!("service.key.der").to_vec()).into();
    (certificate, key)
}

/// Who believes that certificate, or nobody.
fn believer(in_service: bool) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    if in_service {
        roots.add(identity().0).unwrap();
    }
    let provider = rustls::crypto::ring::default_provider();
    let builder = rustls::ClientConfig::builder_with_provider(provider.into());
    builder
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// The mirror, over TLS.
async fn secure_mirror(tasks: &mut Tasks) -> SocketAddr {
    let provider = rustls::crypto::ring::default_provider();
    let builder = rustls::ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap();
    let (certificate, key) = identity();
    let config = builder
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tasks
        .listen(move |stream| {
            let acceptor = acceptor.clone();
            async move { mirror(acceptor.accept(stream).await?).await }
        })
        .await
}

#[tokio::test]
async fn over_tls_directly_and_through_a_proxy() {
    let (mut tasks, net) = (Tasks::default(), Arc::new(Net::default()));
    let server = secure_mirror(&mut tasks).await;
    net.name("service.test", &["1.1.1.1"]);
    net.name("other.test", &["1.1.1.1"]);
    net.server("1.1.1.1:443", server);
    // A parent proxy: another gate.
    net.server("10.9.9.9:3128", tasks.proxy(gate(&["service.test"], &net)).await);
    let read = |name: &str| (name == "HTTPS_PROXY").then(|| "http://10.9.9.9:3128".to_owned());
    let parent = ParentProxy::from_env(read).unwrap().map(Arc::new);
    for (upstream, parent, trusting, status) in [
        ("https://service.test/", None, true, 200),
        ("https://service.test/", parent, true, 200),
        ("https://service.test/", None, false, 502),
        ("https://other.test/", None, true, 502),
    ] {
        let through = parent.is_some();
        let of = Shield {
            parent,
            ..shield_for(upstream)
        };
        let handler = stand_with(of, Arc::<Net>::clone(&net), || Ok(believer(trusting))).unwrap();
        let at = handled(&mut tasks, handler).await;
        let answer = exchange(at, format!("GET /v1 {SHOWN}").as_bytes()).await;
        assert_eq!(status_of(&answer), status, "{upstream}: {answer}");
        assert_eq!(
            answer.contains("host: service.test\r\n") && answer.contains(SECRET),
            status == 200,
            "{answer}"
        );
        assert_eq!(
            net.dialled().contains(&"10.9.9.9:3128".to_owned()),
            through,
            "{upstream}"
        );
        net.dialled.lock().unwrap().clear();
    }
}
