//! Live events: many watchers of one turn, and some that read slowly or not at all; and a turn that says all it has at once.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use rustix::process::{Resource, getrlimit};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;

use crate::PATIENCE;
use crate::daemon::{Daemon, start};
use crate::figure::{Figure, ms};
use crate::floor::{Fan, fan};
use crate::turns::settings;

/// Pieces of the turn's text, and the pause between them.
const CHUNKS: usize = 2000;
const PACE: Duration = Duration::from_millis(5);
/// Watchers that read nothing, and such that read a little now and then.
const DEAF: usize = 5;
const DRIPS: usize = 5;
/// Turns that say everything at once.
const BURSTS: usize = 5;
/// Open files besides those of the watchers. The floor has both ends of theirs.
const OTHERS: usize = 100;
/// Longest time for the whole turn.
const LIMIT: Duration = Duration::from_secs(300);

async fn open(daemon: &Daemon, buffer: Option<u32>) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if let Some(bytes) = buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    let mut stream = socket.connect(daemon.authority().parse()?).await?;
    let head = format!(
        "GET /api/channels/a/turn-events HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\r\n",
        daemon.authority(),
        daemon.token()
    );
    stream.write_all(head.as_bytes()).await?;
    let mut first = [0; 12];
    stream.read_exact(&mut first).await?;
    ensure!(&first == b"HTTP/1.1 200", "a watcher was refused");
    Ok(stream)
}

/// What a watcher has seen of a turn.
#[derive(Default)]
struct Seen {
    /// How late the oldest part of each piece was, in milliseconds.
    late: Vec<f64>,
    /// Its events, and their bytes with all that is around them.
    events: usize,
    bytes: usize,
    /// The words of the text that came in their order.
    words: usize,
    /// The last event.
    done: Value,
    /// When it came.
    ended: Timestamp,
}

/// Reads the turn up to its end.
async fn watch(stream: TcpStream) -> Result<Seen> {
    let mut stream = BufReader::with_capacity(64 << 10, stream);
    let (mut seen, mut line, mut last) = (Seen::default(), String::new(), 0);
    loop {
        line.clear();
        let count = stream.read_line(&mut line).await?;
        ensure!(count > 0, "the stream ended after {} words", seen.words);
        seen.bytes += count;
        ensure!(
            !line.starts_with("event: resync"),
            "told to reload after {} words",
            seen.words
        );
        if let Some(id) = line.strip_prefix("id: ") {
            let number: u64 = id.trim().rsplit('-').next().context("a number")?.parse()?;
            ensure!(number > last, "{number} came after {last}");
            last = number;
            seen.events += 1;
        } else if line.contains("\"kind\":\"text_delta\"") {
            let part = |name: &str| line.split(name).nth(1).and_then(|rest| rest.split('"').next());
            let at: Timestamp = part("\"at\":\"").context("a time")?.parse()?;
            // silent-ok: the two ends may read the clock in the other order.
            seen.late.push(ms(
                Duration::try_from(Timestamp::now().duration_since(at)).unwrap_or_default()
            ));
            // Words that follow each other closely come as one piece.
            for word in part("\"text\":\"").context("a text")?.split_whitespace() {
                let number: usize = word.trim_start_matches("word").parse()?;
                ensure!(number == seen.words + 1, "{word} came after word{}", seen.words);
                seen.words = number;
            }
        } else if line.contains("\"kind\":\"done\"") {
            seen.ended = Timestamp::now();
            seen.done = serde_json::from_str(line.trim_start_matches("data: "))?;
            return Ok(seen);
        }
    }
}

/// All that `watchers` have seen of a turn.
async fn all(readers: Vec<tokio::task::JoinHandle<Result<Seen>>>) -> Result<Vec<Seen>> {
    let mut all = Vec::with_capacity(readers.len());
    for reader in readers {
        all.push(
            tokio::time::timeout(LIMIT, reader)
                .await
                .context("a watcher hangs")???,
        );
    }
    Ok(all)
}

fn complete(seen: &[Seen]) -> Result<f64> {
    let complete = seen.iter().filter(|one| one.words == CHUNKS).count();
    Ok(f64::from(u32::try_from(complete)?))
}

/// What the machine itself takes to write as many events of the same size to as many watchers, over that time or at once.
async fn floor(seen: &[Seen], over: Option<Duration>) -> Result<Fan> {
    let events = (seen.iter().map(|one| one.events).sum::<usize>() / seen.len()).max(1);
    let bytes = seen.iter().map(|one| one.bytes).sum::<usize>() / seen.len() / events;
    let pace = over.map(|over| anyhow::Ok(over / u32::try_from(events)?)).transpose()?;
    fan(seen.len(), events, bytes, pace).await
}

/// A turn whose child says everything at once.
async fn burst(http: &reqwest::Client, watchers: usize) -> Result<Vec<Figure>> {
    let dir = tempfile::tempdir()?;
    let more = ("REVEILLE_SERVER__MAX_CONNECTIONS", "8192".to_owned());
    let settings: Vec<_> = settings()?.into_iter().chain([more]).collect();
    let (daemon, _) = start(dir.path(), &settings).await?;
    daemon
        .post(http, "/api/agents", &json!({ "name": "a", "prompt": "You talk." }))
        .await?;
    run(&daemon, http, "warm").await?;
    let (mut bare, mut a_second, mut note, mut whole) = (Vec::new(), Vec::new(), Vec::new(), f64::INFINITY);
    for _ in 0..BURSTS {
        let mut readers = Vec::new();
        for _ in 0..watchers {
            readers.push(tokio::spawn(watch(open(&daemon, None).await?)));
        }
        daemon
            .post(
                http,
                "/api/channels/a/send",
                &json!({ "text": format!("burst:{CHUNKS}") }),
            )
            .await?;
        let seen = all(readers).await?;
        whole = whole.min(complete(&seen)?);
        let done = &seen.first().context("no watcher")?.done;
        let times = done["reply"].as_str().and_then(|reply| reply.split_once(' '));
        let (begun, answered) = times.with_context(|| format!("no times in {done}"))?;
        let since = |nanoseconds: &str, at: Timestamp| -> Result<f64> {
            let begin = Timestamp::from_nanosecond(nanoseconds.parse()?)?;
            Ok(at.duration_since(begin).as_secs_f64())
        };
        let last = seen.iter().map(|one| one.ended).max().context("no watcher")?;
        let pieces = f64::from(u32::try_from(CHUNKS * watchers)?);
        a_second.push(pieces / since(begun, last)? / 1e6);
        bare.push(pieces / floor(&seen, None).await?.took.as_secs_f64() / 1e6);
        let told: Timestamp = done["at"].as_str().context("no time")?.parse()?;
        note.push(since(answered, told)? * 1e3);
    }
    Ok(vec![
        Figure::new("at once: watchers that got every piece in order", "", vec![whole]),
        Figure::new("floor: at once: pieces, the same bytes to as many sockets", "M/s", bare),
        Figure::new(
            "at once: pieces, from the child's start to the last watcher",
            "M/s",
            a_second,
        ),
        Figure::new("at once: the child's result to its reply note", "ms", note),
        Figure::new("at once: memory, most", "MiB", vec![daemon.rss_peak()?]),
    ])
}

/// Reads a kilobyte now and then, until the daemon ends the connection.
async fn drip(mut stream: TcpStream) -> bool {
    let mut piece = [0; 1024];
    loop {
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return true,
            Ok(_) => tokio::time::sleep(Duration::from_millis(500)).await,
        }
    }
}

/// One turn, up to a moment after its end.
async fn run(daemon: &Daemon, http: &reqwest::Client, text: &str) -> Result<()> {
    let sent = daemon
        .post(http, "/api/channels/a/send", &json!({ "text": text }))
        .await?;
    let id = sent["turn"].as_str().context("no turn")?.to_owned();
    let begun = Instant::now();
    while !daemon.get(http, &format!("/api/turns/{id}")).await?["settled_at"].is_string() {
        ensure!(begun.elapsed() < PATIENCE, "a turn does not end");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    Ok(())
}

/// One turn, watched by `watchers` that read and ten that do not.
pub(crate) async fn measure(watchers: usize) -> Result<Vec<Figure>> {
    let dir = tempfile::tempdir()?;
    let needed = watchers * 2 + OTHERS;
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    ensure!(
        most >= needed as u64,
        "{watchers} watchers need {needed} open files, and {most} are allowed: raise the hard limit (`ulimit -Hn`)"
    );
    let http = reqwest::Client::builder().no_proxy().build()?;
    let (daemon, _) = start(dir.path(), &[("REVEILLE_SERVER__MAX_CONNECTIONS", "8192")]).await?;
    daemon
        .post(&http, "/api/agents", &json!({ "name": "a", "prompt": "You talk." }))
        .await?;
    run(&daemon, &http, "[[reply warm]]").await?;
    let before = daemon.rss()?;

    let (mut deaf, mut drips, mut readers) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..DEAF {
        deaf.push(open(&daemon, Some(4096)).await?);
    }
    for _ in 0..DRIPS {
        drips.push(tokio::spawn(drip(open(&daemon, Some(4096)).await?)));
    }
    // Long lines fill the buffers on the way to those that do not read.
    run(&daemon, &http, &"[[bigline 2mb]] ".repeat(3)).await?;
    for _ in 0..watchers {
        readers.push(tokio::spawn(watch(open(&daemon, None).await?)));
    }
    let watched = daemon.rss()?;
    let (begun, cpu) = (Instant::now(), daemon.cpu()?);
    let text = format!("[[slow {CHUNKS}x{}ms]]", PACE.as_millis());
    daemon
        .post(&http, "/api/channels/a/send", &json!({ "text": text }))
        .await?;
    let seen = all(readers).await?;
    let (took, cpu) = (ms(begun.elapsed()), daemon.cpu()? - cpu);
    let peak = daemon.rss_peak()?;
    let gone = Instant::now();
    let left = loop {
        let left = daemon.get(&http, "/health").await?["total_clients"].as_u64();
        // What is read a little now and then leaves the buffers on the way full: that is nothing, too.
        if left == Some(0) || gone.elapsed() > PATIENCE {
            break left.context("no count of clients")?;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    drop(deaf);
    drips.iter().for_each(tokio::task::JoinHandle::abort);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = daemon.rss()?;
    drop(daemon);
    let bare = floor(&seen, Some(PACE * u32::try_from(CHUNKS)?)).await?;
    let one = |name: &'static str, unit, value| Figure::new(name, unit, vec![value]);
    let late = seen.iter().flat_map(|one| one.late.iter().copied()).collect();
    let mut figures = vec![
        one("watchers that got every piece in order", "", complete(&seen)?),
        Figure::new("floor: an event, from its first write to the watcher", "ms", bare.late),
        Figure::new("a piece, from its oldest word to the watcher", "ms", late),
        one("the turn, from message to last watcher", "ms", took),
        one(
            "floor: processor time to write the same bytes to as many sockets",
            "ms",
            bare.processor,
        ),
        one("processor time of the daemon for it", "ms", cpu),
        one("slow watchers that are left", "", f64::from(u32::try_from(left)?)),
        one("memory before", "MiB", before),
        one("memory with all watchers, and a turn of 6 MB", "MiB", watched),
        one("memory, most", "MiB", peak),
        one("memory after", "MiB", after),
    ];
    figures.extend(burst(&http, watchers).await?);
    Ok(figures)
}
