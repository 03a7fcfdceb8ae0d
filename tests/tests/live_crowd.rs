//! Many watchers, and some that do not read: the others get everything, and the daemon's memory stays within bounds.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT};
use reveille_tests::eventually;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpSocket, TcpStream};

const FAST: usize = 50;
const SLOW: usize = 5;
const CHUNKS: usize = 2000;
/// More than a turn takes that nobody watches: for what is kept of live events, and for buffers of connections. Copies for
/// each watcher would be several times as much.
const MEMORY_MAX: u64 = 96 << 20;

async fn open(daemon: &Daemon, buffer: Option<u32>) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if let Some(bytes) = buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    let mut stream = socket.connect(daemon.authority()?.parse()?).await?;
    let (name, token) = daemon.bearer();
    let host = daemon.authority()?;
    let head = format!("GET /api/channels/eng/turn-events HTTP/1.1\r\nhost: {host}\r\n{name}: {token}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    Ok(stream)
}

/// What one watcher saw of a turn.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    /// The pieces of the text that are whole words of it, in their order.
    words: usize,
    in_order: bool,
    ended: bool,
}

/// Reads up to the end of the turn.
async fn read(stream: TcpStream) -> Result<Seen> {
    let mut seen = Seen {
        in_order: true,
        ..Seen::default()
    };
    let mut stream = BufReader::with_capacity(256 << 10, stream);
    let (mut line, mut last) = (Vec::new(), 0);
    while !seen.ended {
        line.clear();
        let count = stream.read_until(b'\n', &mut line).await?;
        ensure!(count > 0, "the stream ended after {seen:?}");
        // Of a long line the beginning is enough.
        let line = String::from_utf8_lossy(&line[..count.min(64 << 10)]);
        ensure!(!line.starts_with("event: resync"), "told to reload after {seen:?}");
        if let Some(id) = line.strip_prefix("id: ") {
            let number: u64 = id.trim().rsplit('-').next().context("a number")?.parse()?;
            seen.in_order &= number > last;
            last = number;
        } else if line.starts_with("data: ") {
            // Words that follow each other closely come as one piece.
            if line.contains("\"kind\":\"text_delta\"") {
                let words = line.split("\"text\":\"").nth(1).and_then(|rest| rest.split('"').next());
                for word in words
                    .context("a text")?
                    .split_whitespace()
                    .filter(|word| word.starts_with("word"))
                {
                    seen.words += 1;
                    seen.in_order &= word == format!("word{}", seen.words);
                }
            }
            seen.ended = line.contains("\"kind\":\"done\"");
        }
    }
    Ok(seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn fast_watchers_get_everything_and_slow_ones_are_cut_off() -> Result<()> {
    let daemon = Daemon::builder()
        .stand_in()
        .env("REVEILLE_SERVER__WRITE_TIMEOUT", "8s")
        .start()
        .await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    // The long lines fill the buffers on the way to those that do not read.
    let text = format!("{} [[slow {CHUNKS}x1ms]]", "[[bigline 2mb]] ".repeat(3));
    let mut first = daemon.events("eng").await?;
    daemon.send("eng", &text).await?;
    first.until(|event| event.kind() == "done").await?;
    drop(first);
    let (_, most_alone) = daemon.memory()?;
    let mut slow = Vec::new();
    for _ in 0..SLOW {
        slow.push(open(&daemon, Some(4096)).await?);
    }
    let mut fast = Vec::new();
    for _ in 0..FAST {
        fast.push(tokio::spawn(read(open(&daemon, None).await?)));
    }
    eventually("all watch", LIMIT, async || {
        let health = daemon.ask_in("GET", "/health", b"").await?.json()?;
        Ok((health["total_clients"] == FAST + SLOW).then_some(()))
    })
    .await?;
    let sent = daemon.send("eng", &text).await?;
    for watcher in fast {
        let seen = tokio::time::timeout(LIMIT, watcher)
            .await
            .context("a watcher hangs")???;
        let expected = Seen {
            words: CHUNKS,
            in_order: true,
            ended: true,
        };
        assert_eq!(seen, expected);
    }
    daemon.wait_turn("eng", &sent).await?;
    eventually("those that do not read are gone", LIMIT, async || {
        let health = daemon.ask_in("GET", "/health", b"").await?.json()?;
        Ok((health["total_clients"] == 0).then_some(()))
    })
    .await?;
    // What is left on their side ends without an end of the answer.
    for mut stream in slow {
        let mut rest = Vec::new();
        let read = tokio::time::timeout(LIMIT, stream.read_to_end(&mut rest)).await?;
        ensure!(read.is_err() || !rest.ends_with(b"0\r\n\r\n"), "{} bytes", rest.len());
    }
    let (_, most) = daemon.memory()?;
    assert!(most < most_alone + MEMORY_MAX, "{most} bytes, {most_alone} before");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_nothing_of_a_long_answer_is_cut_off() -> Result<()> {
    let mut daemon = Daemon::builder().stand_in().start().await?;
    let big = "x".repeat(4 << 20);
    for n in 0..4 {
        daemon
            .note_put(&format!("Big/{n}"), &big, &["big"], &serde_json::json!({}))
            .await?;
    }
    // Only now: the answers to those are long, too.
    daemon.set_env("REVEILLE_SERVER__WRITE_TIMEOUT", "1s");
    daemon.restart().await?;
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    let mut stream = socket.connect(daemon.authority()?.parse()?).await?;
    let (name, token) = daemon.bearer();
    let (host, target) = (
        daemon.authority()?,
        "/vault/default/api/notes?tag=big&include_content=true",
    );
    let head = format!("GET {target} HTTP/1.1\r\nhost: {host}\r\n{name}: {token}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut first = [0; 16];
    stream.read_exact(&mut first).await?;
    assert_eq!(&first[..12], b"HTTP/1.1 200");
    let mut rest = Vec::new();
    // The daemon gives up, whatever this side does; then it reads, and finds that the answer was cut off.
    eventually("the connection is closed", LIMIT, async || {
        let peer = format!("{:04X}", stream.local_addr()?.port());
        let table = std::fs::read_to_string(format!("/proc/{}/net/tcp", daemon.pid()))?;
        let established = table.lines().skip(1).any(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            fields.get(2).is_some_and(|remote| remote.ends_with(&peer)) && fields.get(3) == Some(&"01")
        });
        Ok((!established).then_some(()))
    })
    .await?;
    let read = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut rest)).await?;
    assert!(read.is_err() || rest.len() < 16 << 20, "{} bytes", rest.len());
    Ok(())
}
