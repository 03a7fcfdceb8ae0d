//! What takes too long, is too long, or is too much.

use pretty_assertions::assert_eq;
use tokio::io::{DuplexStream, duplex};

use super::*;
use crate::egress::serve::connection;

/// A network where nothing ever answers.
#[derive(Debug)]
struct Silent;

#[async_trait]
impl Outside for Silent {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        match name {
            "slow.test" => std::future::pending().await,
            _ => Ok(vec!["1.1.1.1".parse().unwrap()]),
        }
    }

    async fn connect(&self, addresses: &[SocketAddr], _: Duration) -> io::Result<BoxStream> {
        match addresses {
            [at] if at.port() == 443 => {
                let (ours, theirs) = duplex(64);
                std::mem::forget(theirs);
                Ok(Box::new(ours))
            }
            _ => std::future::pending().await,
        }
    }

    fn is_own(&self, _: IpAddr) -> bool {
        false
    }
}

/// Counts what is looked up and gets no answer.
#[derive(Debug, Default)]
struct Asked(std::sync::atomic::AtomicUsize);

#[async_trait]
impl Outside for Asked {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        std::future::pending().await
    }

    async fn connect(&self, _: &[SocketAddr], _: Duration) -> io::Result<BoxStream> {
        Err(io::ErrorKind::ConnectionRefused.into())
    }

    fn is_own(&self, _: IpAddr) -> bool {
        false
    }
}

#[tokio::test(start_paused = true)]
async fn one_child_has_few_names_looked_up_at_the_same_time() {
    let asked = Arc::new(Asked::default());
    let mut gate = Gate::new(rules(&["*.a.test"]), Log::default());
    gate.outside = Arc::<Asked>::clone(&asked);
    let gate = Arc::new(gate);
    let mut tasks = JoinSet::new();
    for n in 0..10 {
        let (ours, theirs) = duplex(100_000);
        let mut ours = BufReader::new(ours);
        ours.write_all(format!("CONNECT n{n}.a.test:443 HTTP/1.1\r\n\r\n").as_bytes())
            .await
            .unwrap();
        tasks.spawn(connection(theirs, Arc::clone(&gate)));
        tasks.spawn(async move { ours.read_to_end(&mut Vec::new()).await.map(|_| ()) });
    }
    // Each gives up on its own look-up, which goes on all the same.
    while let Some(done) = tasks.join_next().await {
        done.unwrap().unwrap();
    }
    assert_eq!(asked.0.load(std::sync::atomic::Ordering::Relaxed), 4);
}

/// A connection in memory, for which the clock may jump.
fn connect(texts: &[&str]) -> (DuplexStream, Log, JoinSet<io::Result<()>>) {
    let mut gate = Gate::new(rules(texts), Log::default());
    gate.outside = Arc::new(Silent);
    let log = gate.log.clone();
    let (ours, theirs) = duplex(100_000);
    let mut task = JoinSet::new();
    task.spawn(connection(theirs, Arc::new(gate)));
    (ours, log, task)
}

async fn rest(stream: &mut DuplexStream) -> String {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    String::from_utf8_lossy(&all).into_owned()
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_come() {
    for (sent, answered) in [("", ""), ("GET http://a.test/ HTT", "HTTP/1.1 408 "), ("\x05\x01", "")] {
        let (mut stream, _, _task) = connect(&[]);
        stream.write_all(sent.as_bytes()).await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(
            answer.starts_with(answered) && answer.is_empty() == answered.is_empty(),
            "{sent:?}: {answer}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come() {
    let (mut stream, _, mut task) = connect(&["a.test:443"]);
    stream
        .write_all(b"POST http://a.test:443/ HTTP/1.1\r\nContent-Length: 9\r\n\r\n1")
        .await
        .unwrap();
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 502 "));
    task.join_next().await.unwrap().unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_does_not_answer() {
    for name in ["slow.test", "a.test"] {
        let (mut stream, log, _task) = connect(&[name]);
        stream
            .write_all(format!("CONNECT {name}:80 HTTP/1.1\r\n\r\n").as_bytes())
            .await
            .unwrap();
        let answer = rest(&mut stream).await;
        assert_eq!(status_of(&answer), 504);
        assert_eq!(counted(&log), [format!("{name}:80 Failed 1")]);
    }
    let (mut stream, _, _task) = connect(&["a.test"]);
    stream
        .write_all(b"\x05\x01\x00\x05\x01\x00\x03\x06a.test\x00\x50")
        .await
        .unwrap();
    assert_eq!(rest(&mut stream).await.as_bytes()[..4], [5, 0, 5, 6]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_tunnel() {
    let (mut stream, _, mut task) = connect(&["a.test"]);
    stream.write_all(b"CONNECT a.test:443 HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(status_of(&rest(&mut stream).await), 200);
    let ended = task.join_next().await.unwrap().unwrap();
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn a_head_that_is_too_long() {
    let (mut tasks, net) = (Tasks::default(), Arc::new(Net::default()));
    net.name("web.test", &["1.1.1.1"]);
    net.server("1.1.1.1:80", tasks.mirror().await);
    let proxy = tasks.proxy(gate(&["web.test"], &net)).await;
    let head = |bytes: usize| format!("GET http://web.test/ HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(bytes));
    assert_eq!(status_of(&exchange(proxy, head(60_000).as_bytes()).await), 200);
    assert_eq!(status_of(&exchange(proxy, head(70_000).as_bytes()).await), 431);
    let many = format!("GET http://web.test/ HTTP/1.1\r\n{}\r\n", "X: 1\r\n".repeat(101));
    assert_eq!(status_of(&exchange(proxy, many.as_bytes()).await), 431);
    assert_eq!(net.dialled(), ["1.1.1.1:80"]);
}

#[tokio::test]
async fn more_connections_than_allowed() {
    let (mut tasks, net) = (Tasks::default(), Arc::new(Net::default()));
    net.name("api.test", &["1.1.1.1"]);
    net.server("1.1.1.1:443", tasks.echo().await);
    let mut gate = gate(&["api.test"], &net);
    gate.bounds.connections = 2;
    let proxy = tasks.proxy(gate).await;
    let first = tunnel(proxy, "api.test:443").await;
    let mut second = tunnel(proxy, "api.test:443").await;
    // It says nothing: what it says would be lost together with the answer.
    let answer = exchange(proxy, b"").await;
    assert_eq!(status_of(&answer), 503);
    assert!(answer.contains("2 connections already"), "{answer}");
    says_back(&mut second).await;
    drop(first);
    // There is room again as soon as the end of the first is known.
    let mut stream = loop {
        let mut stream = TcpStream::connect(proxy).await.unwrap();
        let sent = stream.write_all(b"CONNECT api.test:443 HTTP/1.1\r\n\r\n").await;
        let mut answer = [0; 12];
        if sent.is_ok() && stream.read_exact(&mut answer).await.is_ok() && answer == *b"HTTP/1.1 200" {
            break stream;
        }
    };
    stream.shutdown().await.unwrap();
}

#[tokio::test]
async fn tls_for_another_name() {
    let (mut tasks, net) = (Tasks::default(), Arc::new(Net::default()));
    net.name("api.test", &["1.1.1.1"]);
    net.server("1.1.1.1:443", tasks.echo().await);
    let mut gate = gate(&["api.test"], &net);
    gate.check_sni = true;
    let log = gate.log.clone();
    let proxy = tasks.proxy(gate).await;
    for (name, passes) in [
        ("api.test", true),
        ("API.test", true),
        ("other.test", false),
        ("1.1.1.1", false),
    ] {
        let hello = hello(name);
        let mut stream = tunnel(proxy, "api.test:443").await;
        // In two parts, as it may come.
        let (head, tail) = hello.split_at(100);
        stream.write_all(head).await.unwrap();
        stream.flush().await.unwrap();
        tokio::task::yield_now().await;
        stream.write_all(tail).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut heard = Vec::new();
        let ended = stream.read_to_end(&mut heard).await;
        assert_eq!(heard == hello && ended.is_ok(), passes, "{name}");
        assert_eq!(heard.is_empty(), !passes, "{name}");
    }
    let mut stream = tunnel(proxy, "api.test:443").await;
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut heard = Vec::new();
    assert_eq!(stream.read_to_end(&mut heard).await.unwrap_or_default(), 0);
    assert_eq!(counted(&log), ["api.test:443 Allowed 5", "api.test:443 Refused 3"]);
}

/// What a client sends first.
fn hello(name: &str) -> Vec<u8> {
    let provider = rustls::crypto::ring::default_provider();
    let config = rustls::ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let name = name.to_owned().try_into().unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut sent = Vec::new();
    client.write_tls(&mut sent).unwrap();
    sent
}
