//! Services of the machine.

use std::sync::atomic::{AtomicUsize, Ordering};

use pretty_assertions::assert_eq;

use super::*;
use crate::egress::forward;

/// Counts what is written to the log.
#[derive(Clone, Default)]
struct Lines(Arc<AtomicUsize>);

impl tracing::Subscriber for Lines {
    fn enabled(&self, of: &tracing::Metadata<'_>) -> bool {
        of.is_event() && *of.level() <= tracing::Level::WARN
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

async fn forwarded(tasks: &mut Tasks, target: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.0.spawn(forward(listener, target));
    address
}

#[tokio::test]
async fn bytes_go_to_one_address() {
    let (mut servers, mut tasks) = (Tasks::default(), Tasks::default());
    let target = servers.echo().await;
    let at = forwarded(&mut tasks, target).await;
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream
        .write_all(b"CONNECT other.test:443 HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "CONNECT other.test:443 HTTP/1.1\r\n\r\n");
    let mut stream = BufReader::new(TcpStream::connect(at).await.unwrap());
    says_back(&mut stream).await;
    drop(tasks);
    let mut rest = Vec::new();
    assert_eq!(stream.read_to_end(&mut rest).await.unwrap_or_default(), 0);
}

#[tokio::test]
async fn a_service_that_is_gone() {
    let mut tasks = Tasks::default();
    let target = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let at = forwarded(&mut tasks, target).await;
    let lines = Lines::default();
    let _here = tracing::subscriber::set_default(lines.clone());
    // However often it is tried, the log has it once.
    for _ in 0..3 {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let mut answer = Vec::new();
        assert_eq!(stream.read_to_end(&mut answer).await.unwrap_or_default(), 0);
    }
    assert_eq!(lines.0.load(Ordering::Relaxed), 1);
}
