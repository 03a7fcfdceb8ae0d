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
use crate::egress::{Bounds, ParentProxy, Shield, shield};

const SECRET: &str = "Bearer sk-real-secret";

fn shield_for(upstream: &str) -> Shield {
    Shield {
        upstream: Url::parse(upstream).unwrap(),
        headers: vec![(http::header::AUTHORIZATION, HeaderValue::from_static(SECRET))],
        parent: None,
        log: Log::default(),
        bounds: Bounds::default(),
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
        HeaderName::from_static("x-api-key"),
        HeaderValue::from_static("real-key"),
    ));
    assert!(!format!("{of:?}").contains("real"), "{of:?}");
    let log = of.log.clone();
    let at = stand(&mut tasks, of).await;
    let answer = exchange(
        at,
        b"POST /v1/messages?beta=true HTTP/1.1\r\nHost: evil.test\r\nAuthorization: Bearer dummy\r\nX-Api-Key: dummy\r\n\
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
            "x-api-key: real-key"
        ]
    );
    assert_eq!(counted(&log), [format!("127.0.0.1:{} Allowed 1", server.port())]);
}

#[tokio::test]
async fn requests_for_other_places_are_refused() {
    let (mut tasks, other) = (Tasks::default(), Tasks::default().echo().await);
    let server = tasks.mirror().await;
    let at = stand(&mut tasks, shield_for(&format!("http://{server}"))).await;
    for line in [
        format!("GET http://{other}/"),
        format!("CONNECT {other}"),
        "OPTIONS *".to_owned(),
    ] {
        let answer = exchange(
            at,
            format!("{line} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").as_bytes(),
        )
        .await;
        assert_eq!(status_of(&answer), 400, "{line}");
        assert!(!answer.contains("secret"), "{answer}");
    }
    let answer = exchange(
        at,
        format!("GET //{other}/x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").as_bytes(),
    )
    .await;
    assert!(
        answer.contains(&format!("GET //{other}/x HTTP/1.1")) && answer.contains(&format!("host: {server}")),
        "{answer}"
    );
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
    let answer = exchange(at, b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
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
    stream.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
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
    let answer = exchange(at, b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
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
    let answer = exchange(at, b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
    assert_eq!(status_of(&answer), 502);
    assert!(
        answer.contains("could not be reached: ") && !answer.contains("secret"),
        "{answer}"
    );
}

#[test]
fn addresses_that_are_none() {
    for upstream in ["ftp://example.com", "unix:/run/socket", "data:text"] {
        assert!(shield(shield_for(upstream)).is_err(), "{upstream}");
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
        let answer = exchange(at, b"GET /v1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
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
