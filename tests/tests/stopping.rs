//! A stop: clients are told, the process is gone in its time whatever they do, and nothing is lost.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Builder, Daemon, LIMIT, State};
use reveille_tests::eventually;
use rustix::process::Signal;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;

/// What a hub's supervisor waits before it kills.
const SUPERVISOR: Duration = Duration::from_secs(5);
/// How often a [`Watch`] looks whether the machine stands still.
const TICK: Duration = Duration::from_millis(10);

/// As a hub starts it.
fn supervised() -> Builder {
    Daemon::builder()
        .stand_in()
        .shipped_drain()
        .env("PORT", "1")
        .env("PARACHUTE_HUB_ORIGIN", "http://127.0.0.1:9")
}

/// Measures a time without the moments in which the machine stands still: a thread that wakes all the time notices them.
struct Watch {
    begun: Instant,
    over: Sender<()>,
    still: JoinHandle<Duration>,
}

impl Watch {
    fn start() -> Self {
        let (over, ended) = channel();
        let still = std::thread::spawn(move || {
            let mut still = Duration::ZERO;
            loop {
                let slept = Instant::now();
                let woken = ended.recv_timeout(TICK);
                still += slept.elapsed().saturating_sub(2 * TICK);
                if woken != Err(RecvTimeoutError::Timeout) {
                    return still;
                }
            }
        });
        Self {
            begun: Instant::now(),
            over,
            still,
        }
    }

    fn stop(self) -> Result<Duration> {
        let took = self.begun.elapsed();
        drop(self.over);
        let still = self.still.join().ok().context("the thread has ended")?; // silent-ok: its panic is shown
        Ok(took.saturating_sub(still))
    }
}

async fn eng(builder: Builder) -> Result<Daemon> {
    let daemon = builder.start().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    Ok(daemon)
}

/// Clients that do what they should not: a stream that is not read, half a body, half a head, nothing at all.
async fn bad_clients(daemon: &Daemon) -> Result<Vec<TcpStream>> {
    let (name, token) = daemon.bearer();
    let host = daemon.authority()?;
    let lines = format!("host: {host}\r\n{name}: {token}\r\n");
    let mut all = Vec::new();
    for bytes in [
        format!("GET /api/events HTTP/1.1\r\n{lines}\r\n"),
        format!("GET /api/channels/eng/turn-events HTTP/1.1\r\n{lines}\r\n"),
        format!("POST /api/channels/eng/send HTTP/1.1\r\n{lines}content-length: 99\r\n\r\n{{"),
        format!("GET /health HTTP/1.1\r\n{lines}"),
        String::new(),
    ] {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4096)?;
        let mut stream = socket.connect(host.parse()?).await?;
        stream.write_all(bytes.as_bytes()).await?;
        all.push(stream);
    }
    Ok(all)
}

#[tokio::test]
async fn under_a_hub_a_stop_in_the_middle_of_a_turn_fits_and_loses_nothing() -> Result<()> {
    let mut daemon = eng(supervised()).await?;
    let clients = bad_clients(&daemon).await?;
    let mut all = daemon.stream("/api/events", None, daemon.token()).await?;
    let mut own = daemon.events("eng").await?;
    // It fills the buffers to those that do not read, and would go on for minutes.
    let big = "[[bigline 2mb]] ".repeat(3);
    let sent = daemon
        .send("eng", &format!("{big} [[slow 30000x10ms]] [[reply all]]"))
        .await?;
    let waits = daemon.send("eng", "[[reply second]]").await?;
    own.until(|event| event.kind() == "text_delta").await?;
    let watch = Watch::start();
    daemon.signal(Signal::TERM)?;
    for stream in [&mut all, &mut own] {
        let seen = stream.until(|event| event.event == "shutdown").await?;
        assert_eq!(seen.last().map(|event| &event.data), Some(&json!({})));
        assert_eq!(stream.next_or_end().await?, None);
    }
    assert!(daemon.wait_exit(LIMIT).await?.success());
    let took = watch.stop()?;
    assert!(took < SUPERVISOR, "{took:?}");
    assert_eq!(daemon.children()?, Vec::<u32>::new());
    drop(clients);
    // Both are there after a restart: the one that ran goes on, the other follows.
    daemon.start().await?;
    let turn = daemon.turn(sent.turn.as_deref().context("a turn")?).await?;
    assert!(!turn.state.is_terminal(), "{turn:?}");
    let id = turn.turn.clone();
    eventually("it can be stopped", LIMIT, async || {
        let path = ["api", "turns", &id, "stop"];
        let reply = daemon.request(http::Method::POST, &path, Some(&json!({}))).await?;
        Ok((reply.status == 200).then_some(()))
    })
    .await?;
    assert_eq!(daemon.wait_turn("eng", &waits).await?.state, State::Ok);
    Ok(())
}

#[tokio::test]
async fn a_program_that_cannot_be_ended_in_time_does_not_keep_the_daemon() -> Result<()> {
    let mut daemon = eng(supervised()).await?;
    let mut own = daemon.events("eng").await?;
    // Only SIGKILL ends it, which the ladder reaches after six seconds.
    let sent = daemon.send("eng", "[[reply begun]] [[deaf]]").await?;
    own.until(|event| event.kind() == "text").await?;
    let watch = Watch::start();
    daemon.signal(Signal::TERM)?;
    own.until(|event| event.event == "shutdown").await?;
    assert!(daemon.wait_exit(LIMIT).await?.success());
    let took = watch.stop()?;
    assert!(took < SUPERVISOR, "{took:?}");
    assert_eq!(daemon.children()?, Vec::<u32>::new());
    daemon.start().await?;
    let turn = daemon.turn(sent.turn.as_deref().context("a turn")?).await?;
    assert!(!turn.state.is_terminal(), "{turn:?}");
    Ok(())
}

#[tokio::test]
async fn while_it_stops_it_says_so_and_keeps_messages() -> Result<()> {
    let mut daemon = eng(Daemon::builder().stand_in().shipped_drain()).await?;
    daemon.create_agent("ops", "You operate.").await?;
    let ready = async |daemon: &Daemon, known: bool| match known {
        true => daemon.ask_in("GET", "/ready", b"").await,
        false => daemon.ask("GET", "/ready", &[], b"").await,
    };
    assert_eq!(ready(&daemon, false).await?.json()?, json!({ "status": "ready" }));
    let gate = daemon.scratch().join("gate");
    let hold = format!(
        "[[exec while ! test -e {}; do sleep 0.02; done]] [[reply held]]",
        gate.display()
    );
    let mut own = daemon.events("eng").await?;
    let held = daemon.send("eng", &hold).await?;
    own.until(|event| event.kind() == "tool").await?;
    daemon.signal(Signal::TERM)?;
    let answer = eventually("it is not ready", LIMIT, async || {
        let answer = ready(&daemon, false).await?;
        Ok((answer.status == 503).then_some(answer))
    })
    .await?;
    assert_eq!(answer.json()?, json!({ "status": "stopping" }));
    assert_eq!(answer.header("retry-after"), Some("5"));
    let told = ready(&daemon, true).await?.json()?;
    assert_eq!(
        (&told["status"], &told["reasons"][0]["code"]),
        (&json!("stopping"), &json!("draining"))
    );
    // It is alive, takes messages, and begins no turn, also not in another conversation.
    assert_eq!(daemon.ask("GET", "/health", &[], b"").await?.status, 200);
    let late = daemon.send("ops", "[[reply late]]").await?;
    std::fs::write(&gate, "")?;
    // The turn that ran has its end, and is told of, before the stream ends.
    let seen = own.until(|event| event.event == "shutdown").await?;
    let ends: Vec<_> = seen.iter().filter(|event| event.is_terminal()).collect();
    assert_eq!((ends.len(), &ends[0].data["message"]), (1, &json!(held.id)));
    assert!(daemon.wait_exit(LIMIT).await?.success());
    daemon.start().await?;
    assert_eq!(daemon.wait_turn("ops", &late).await?.state, State::Ok);
    Ok(())
}
