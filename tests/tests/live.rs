//! Live events: what a watcher sees, and that it sees it once.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Builder, Daemon, Event, EventStream, LIMIT, State};
use reveille_tests::eventually;
use rustix::process::Signal;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// A turn of every common kind of event.
const RICH: &str = "[[think hm]] [[tool Read {\"path\":\"x\"}]] [[retry 529 x1]] [[slow 3x1ms]] [[reply all done]]";

async fn with_eng() -> Result<Daemon> {
    let daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    Ok(daemon)
}

/// The name of the daemon's run and the number, from an id.
fn parts(event: &Event) -> Result<(&str, u64)> {
    let id = event.id.as_deref().context("events have ids")?;
    let (boot, seq) = id.rsplit_once('-').context("boot and number")?;
    Ok((boot, seq.parse()?))
}

/// All events up to the last of that turn: when the vault takes its time with the answer, its delivery is told after the end.
async fn until_over(events: &mut EventStream, turn: &str) -> Result<Vec<Event>> {
    let mut seen = events.until_end(turn).await?;
    if seen.last().is_some_and(|end| end.data["undelivered"] == true) {
        let delivered = |event: &Event| event.kind() == "delivered" && event.data["turn"] == turn;
        seen.extend(events.until(delivered).await?);
    }
    Ok(seen)
}

/// A turn that runs until [`Gate::open`].
struct Gate {
    file: std::path::PathBuf,
}

impl Gate {
    fn new(daemon: &Daemon, name: &str) -> Self {
        Self {
            file: daemon.state_dir().join(name),
        }
    }

    fn directive(&self) -> String {
        format!("[[exec while ! test -e {}; do sleep 0.02; done]]", self.file.display())
    }

    fn open(&self) -> Result<()> {
        Ok(std::fs::write(&self.file, "")?)
    }
}

#[tokio::test]
async fn tc_ev_1_events_are_numbered_and_a_turn_ends_once() -> Result<()> {
    let daemon = with_eng().await?;
    let mut events = daemon.events("eng").await?;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let sent = daemon.send("eng", RICH).await?;
        let turn = daemon.wait_turn("eng", &sent).await?.turn;
        let of_turn = until_over(&mut events, &turn).await?;
        let kinds: Vec<&str> = of_turn.iter().map(Event::kind).collect();
        for kind in [
            "queued",
            "started",
            "init",
            "thinking",
            "tool",
            "tool_result",
            "retry",
            "text_delta",
            "text",
            "done",
        ] {
            assert!(kinds.contains(&kind), "{kind} in {kinds:?}");
        }
        assert_eq!(of_turn.iter().filter(|event| event.is_terminal()).count(), 1);
        for event in &of_turn {
            assert_eq!(
                (
                    event.event.as_str(),
                    &event.data["channel"],
                    &event.data["turn"],
                    &event.data["message"]
                ),
                ("turn", &json!("eng"), &json!(turn), &json!(sent.id))
            );
        }
        seen.extend(of_turn);
    }
    // The numbers are those of all events of the daemon.
    let boot = parts(&seen[0])?.0;
    let mut before = 0;
    for event in &seen {
        let (run, number) = parts(event)?;
        assert_eq!((run, &event.data["seq"]), (boot, &json!(number)));
        assert!(number > before, "{number} after {before}");
        assert!(
            event.data["at"].is_string() && event.data["thread"].is_string(),
            "{event:?}"
        );
        before = number;
    }
    Ok(())
}

#[tokio::test]
async fn a_watcher_comes_back_at_any_point_without_gap_or_double() -> Result<()> {
    let daemon = with_eng().await?;
    let mut events = daemon.events("eng").await?;
    let gate = Gate::new(&daemon, "gate");
    let sent = daemon.send("eng", &format!("{RICH} {}", gate.directive())).await?;
    let tool = |event: &Event| event.kind() == "tool" && event.data["tool"] == "Bash";
    let begun = events.until(tool).await?;
    // While the turn runs ...
    for (at, event) in begun.iter().enumerate() {
        let mut again = daemon
            .events_after("eng", event.id.as_deref().context("an id")?)
            .await?;
        let rest = &begun[at + 1..];
        for expected in rest {
            assert_eq!(&again.next().await?, expected, "after {at}");
        }
    }
    let last = begun.last().and_then(|event| event.id.as_deref()).context("an id")?;
    let mut waiting = daemon.events_after("eng", last).await?;
    gate.open()?;
    let turn = daemon.wait_turn("eng", &sent).await?.turn;
    let rest = events.until_end(&turn).await?;
    assert_eq!(waiting.until_end(&turn).await?, rest);
    // ... and after it.
    let all = [begun, rest].concat();
    for (at, event) in all.iter().enumerate().rev().skip(1) {
        let mut again = daemon
            .events_after("eng", event.id.as_deref().context("an id")?)
            .await?;
        assert_eq!(again.until_end(&turn).await?, all[at + 1..], "after {at}");
    }
    Ok(())
}

#[tokio::test]
async fn a_late_watcher_sees_the_turn_that_runs() -> Result<()> {
    let daemon = with_eng().await?;
    let mut events = daemon.events("eng").await?;
    let earlier = daemon.send("eng", "[[reply earlier]]").await?;
    let earlier = daemon.wait_turn("eng", &earlier).await?.turn;
    until_over(&mut events, &earlier).await?;

    let gate = Gate::new(&daemon, "gate");
    let sent = daemon.send("eng", &format!("{RICH} {}", gate.directive())).await?;
    let begun = events
        .until(|event| event.kind() == "tool" && event.data["tool"] == "Bash")
        .await?;
    let mut late = daemon.events("eng").await?;
    // All of it but the place in line, which is over, and the pieces of texts that are there whole.
    let expected: Vec<Event> = begun
        .into_iter()
        .filter(|event| !["queued", "text_delta"].contains(&event.kind()))
        .collect();
    assert_eq!(expected.first().map(Event::kind), Some("started"));
    for event in &expected {
        assert_eq!(&late.next().await?, event);
    }
    gate.open()?;
    let turn = daemon.wait_turn("eng", &sent).await?.turn;
    assert_eq!(
        until_over(&mut late, &turn).await?,
        until_over(&mut events, &turn).await?
    );
    // Nothing runs any more: a new watcher begins with what comes next.
    let mut quiet = daemon.events("eng").await?;
    let next = daemon.send("eng", "[[reply next]]").await?;
    assert_eq!(quiet.next().await?.data["message"], json!(next.id));
    Ok(())
}

#[tokio::test]
async fn after_a_restart_a_watcher_is_told_to_read_again() -> Result<()> {
    let mut daemon = with_eng().await?;
    let mut events = daemon.events("eng").await?;
    let sent = daemon.send("eng", "[[reply before]]").await?;
    let turn = daemon.wait_turn("eng", &sent).await?.turn;
    until_over(&mut events, &turn).await?;
    let last = events.last_id().context("an id")?.to_owned();
    for killed in [false, true] {
        if killed {
            daemon.kill9().await?;
            daemon.start().await?;
        } else {
            daemon.restart().await?;
        }
        let mut again = daemon.events_after("eng", &last).await?;
        let first = again.next().await?;
        assert_eq!((first.event.as_str(), first.id.as_deref()), ("resync", None));
        assert!(first.data["reason"].is_string(), "{first:?}");
        let sent = daemon.send("eng", "[[reply after]]").await?;
        let turn = daemon.wait_turn("eng", &sent).await?.turn;
        let seen = until_over(&mut again, &turn).await?;
        assert_eq!(seen.first().map(Event::kind), Some("queued"));
        assert_ne!(parts(&seen[0])?.0, last.split('-').next().context("a boot")?);
    }
    for strange in ["", "nonsense", "-", "1", "\u{7f}"] {
        if let Ok(mut stream) = daemon.events_after("eng", strange).await {
            assert_eq!(stream.next().await?.event, "resync", "{strange:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_watcher_that_missed_too_much_is_told_to_read_again() -> Result<()> {
    let daemon = with_eng().await?;
    let mut events = daemon.events("eng").await?;
    // Together more than the daemon keeps, and neither so much that this watcher could miss anything itself.
    let (mut turn, mut seen) = (String::new(), Vec::new());
    for _ in 0..2 {
        // Each makes two; pieces of a text would be told together.
        let sent = daemon.send("eng", &"[[tool Read {}]]".repeat(4500)).await?;
        turn = daemon.wait_turn("eng", &sent).await?.turn;
        seen.extend(until_over(&mut events, &turn).await?);
    }
    let id = |at: usize| seen[at].id.as_deref().context("an id");
    let mut far = daemon.events_after("eng", id(0)?).await?;
    assert_eq!(far.next().await?.event, "resync");
    let near = seen.len() - 100;
    let mut close = daemon.events_after("eng", id(near)?).await?;
    assert_eq!(until_over(&mut close, &turn).await?, seen[near + 1..]);
    // Both go on with what comes.
    let next = daemon.send("eng", "[[reply next]]").await?;
    for stream in [&mut far, &mut close] {
        assert_eq!(stream.next().await?.data["message"], json!(next.id));
    }
    Ok(())
}

#[tokio::test]
async fn twenty_watchers_see_the_same() -> Result<()> {
    let daemon = with_eng().await?;
    let mut watchers = Vec::new();
    for _ in 0..20 {
        watchers.push(daemon.events("eng").await?);
    }
    let many = "[[tool Read {}]]".repeat(50);
    let sent = daemon.send("eng", &format!("{RICH} {many} [[slow 100x1ms]]")).await?;
    let turn = daemon.wait_turn("eng", &sent).await?.turn;
    let mut seen = Vec::new();
    for watcher in &mut watchers {
        seen.push(watcher.until_end(&turn).await?);
    }
    let first = seen.pop().context("twenty")?;
    assert!(first.len() > 100, "{}", first.len());
    for other in seen {
        assert_eq!(other, first);
    }
    // Another agent's watchers see nothing of it.
    daemon.create_agent("ops", "You operate.").await?;
    let mut other = daemon.events("ops").await?;
    let sent = daemon.send("eng", "[[reply not for ops]]").await?;
    daemon.wait_turn("eng", &sent).await?;
    let own = daemon.send("ops", "[[reply for ops]]").await?;
    assert_eq!(other.next().await?.data["message"], json!(own.id));
    Ok(())
}

/// A daemon that waits long for clients that do not read.
fn patient() -> Builder {
    Daemon::builder()
        .stand_in()
        .env("REVEILLE_SERVER__WRITE_TIMEOUT", "10m")
}

/// Opens an event stream by hand, with a small receive buffer, and reads nothing.
async fn lazy(daemon: &Daemon, target: &str) -> Result<TcpStream> {
    let address = daemon.authority()?.parse()?;
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    let mut stream = socket.connect(address).await?;
    let (name, token) = daemon.bearer();
    let host = daemon.authority()?;
    let head = format!("GET {target} HTTP/1.1\r\nhost: {host}\r\n{name}: {token}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    Ok(stream)
}

/// Reads until `wanted` has come by, or the other side is done.
async fn read_until(stream: &mut TcpStream, wanted: &str) -> Result<String> {
    let mut seen = Vec::new();
    let mut piece = vec![0; 256 * 1024];
    let read = async {
        loop {
            let count = stream.read(&mut piece).await?;
            seen.extend_from_slice(&piece[..count]);
            let from = seen.len().saturating_sub(count + wanted.len());
            if count == 0
                || seen[from..]
                    .windows(wanted.len())
                    .any(|window| window == wanted.as_bytes())
            {
                return anyhow::Ok(());
            }
        }
    };
    tokio::time::timeout(LIMIT, read)
        .await
        .with_context(|| format!("no {wanted:?}"))??;
    Ok(String::from_utf8_lossy(&seen).into_owned())
}

/// Reads until the other side has ended the answer.
async fn read_to_end(stream: &mut TcpStream) -> Result<String> {
    // The last piece of a chunked answer.
    read_until(stream, "\r\n0\r\n\r\n").await
}

#[tokio::test]
async fn tc_ev_5_a_watcher_that_does_not_read_holds_nobody_up() -> Result<()> {
    let daemon = patient().start().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    let mut slow = lazy(&daemon, "/api/channels/eng/turn-events").await?;
    read_until(&mut slow, ": connected").await?;
    let mut events = daemon.events("eng").await?;
    // Together more than the daemon keeps, and far more than the buffers on the way hold. No part is so much, told in pieces
    // and as a whole, that this watcher could miss anything itself when it stands still for a while.
    let part = "[[bigline 2mb]] ".repeat(7);
    let gates = [Gate::new(&daemon, "gate-1"), Gate::new(&daemon, "gate-2")];
    let [first, second] = gates.each_ref().map(Gate::directive);
    let text = format!("{part} {first} {part} {second} {part} [[reply the end]]");
    let sent = daemon.send("eng", &text).await?;
    for gate in gates {
        events.until(|event| event.kind() == "tool").await?;
        gate.open()?;
    }
    until_over(&mut events, sent.turn.as_deref().context("a turn")?).await?;
    let turn = daemon.wait_turn("eng", &sent).await?;
    assert_eq!(turn.state, State::Ok, "{:?}", turn.error);
    // It is told that it missed something, and that is the end of its stream.
    let seen = read_to_end(&mut slow).await?;
    let told = "event: resync\ndata: {\"code\":\"lagged\",";
    assert!(seen.contains(told), "not told, after {} bytes", seen.len());
    assert!(seen.rsplit(told).next().is_some_and(|rest| !rest.contains("event:")));
    // It comes back, is told again that there is a gap, and goes on with what is new.
    let id = seen.rsplit("\nid: ").next().and_then(|rest| rest.split('\n').next());
    let mut again = daemon.events_after("eng", id.context("an id")?).await?;
    let first = again.next().await?;
    assert_eq!((first.event.as_str(), &first.data["code"]), ("resync", &json!("gone")));
    let sent = daemon.send("eng", "[[reply news]]").await?;
    assert_eq!(again.next().await?.data["message"], json!(sent.id));
    Ok(())
}

#[tokio::test]
async fn a_quiet_stream_gives_signs_of_life_and_says_goodbye() -> Result<()> {
    let mut daemon = with_eng().await?;
    let mut stream = lazy(&daemon, "/api/channels/eng/turn-events").await?;
    // Every 15 s.
    let seen = read_until(&mut stream, "event: ping").await?;
    assert!(
        seen.contains(": connected\n\n") && seen.contains("retry: 2000\nevent: ping"),
        "{seen}"
    );
    daemon.signal(Signal::TERM)?;
    let seen = read_until(&mut stream, "event: shutdown").await?;
    assert!(seen.contains("event: shutdown\ndata: {}\n\n"), "{seen}");
    assert!(daemon.wait_exit(LIMIT).await?.success());
    Ok(())
}

#[tokio::test]
async fn tc_ev_5_a_watcher_that_goes_away_is_forgotten() -> Result<()> {
    let daemon = with_eng().await?;
    let open = || {
        let fds = std::fs::read_dir(format!("/proc/{}/fd", daemon.pid()))?;
        Ok::<_, std::io::Error>(fds.count())
    };
    let sent = daemon.send("eng", "[[reply warm]]").await?;
    daemon.wait_turn("eng", &sent).await?;
    let before = open()?;
    for _ in 0..50 {
        drop(lazy(&daemon, "/api/channels/eng/turn-events").await?);
    }
    // The next event finds nobody there.
    let sent = daemon.send("eng", "[[reply hello?]]").await?;
    daemon.wait_turn("eng", &sent).await?;
    eventually("the connections are closed", LIMIT, async || {
        Ok((open()? <= before + 10).then_some(()))
    })
    .await
}
