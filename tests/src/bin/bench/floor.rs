//! The machine's own floors: what a figure would be if the daemon cost nothing.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::daemon::{binary, processor};
use crate::figure::{Figure, ms};

/// Of each floor. The file of the synced writes has room for them.
const RUNS: usize = 100;
const BLOCK: usize = 4096;
const SESSION: &str = "00000000-0000-4000-8000-000000000000";

/// What figures of every part stand on.
pub(crate) async fn machine() -> Result<Vec<Figure>> {
    let mut spawned = Vec::new();
    for _ in 0..crate::RUNS {
        let begin = Instant::now();
        let program = Command::new(binary())
            .arg("--version")
            .stdout(Stdio::null())
            .status()
            .await;
        let program = program.with_context(|| {
            format!(
                "{} does not start; build it with `cargo build --release -p reveille`",
                binary().display()
            )
        })?;
        ensure!(program.success(), "the daemon's program failed");
        spawned.push(ms(begin.elapsed()));
    }
    Ok(vec![
        Figure::new("floor: the daemon's program, to say its version", "ms", spawned),
        Figure::new("floor: 4 KiB write and fdatasync", "ms", synced(RUNS)?),
        Figure::new("floor: a request over loopback", "ms", loopback(RUNS).await?),
    ])
}

/// Synced writes where the daemons have their state, in milliseconds.
pub(crate) fn synced(runs: usize) -> Result<Vec<f64>> {
    let dir = tempfile::tempdir()?;
    let file = std::fs::File::create(dir.path().join("sync"))?;
    // Its size does not change any more, as that of a log that is written over.
    file.write_all_at(&vec![0; runs * BLOCK], 0)?;
    file.sync_all()?;
    let mut took = Vec::with_capacity(runs);
    for run in 0..runs {
        let begin = Instant::now();
        file.write_all_at(&[1; BLOCK], u64::try_from(run * BLOCK)?)?;
        file.sync_data()?;
        took.push(ms(begin.elapsed()));
    }
    Ok(took)
}

/// Requests on a kept connection that are answered with what stands ready, without any library.
pub(crate) async fn loopback(runs: usize) -> Result<Vec<f64>> {
    const REQUEST: &[u8] = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 12\r\n\r\n{\"text\":\"a\"}";
    const ANSWER: &[u8] = b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n{}";
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        let mut request = [0; REQUEST.len()];
        while stream.read_exact(&mut request).await.is_ok() {
            stream.write_all(ANSWER).await?;
        }
        anyhow::Ok(())
    });
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut took, mut answer) = (Vec::with_capacity(runs), [0; ANSWER.len()]);
    for _ in 0..runs {
        let begin = Instant::now();
        stream.write_all(REQUEST).await?;
        stream.read_exact(&mut answer).await?;
        took.push(ms(begin.elapsed()));
    }
    drop(stream);
    server.await??;
    Ok(took)
}

/// A child of turns, without a daemon: one session, which goes on with every run as an agent's does.
pub(crate) struct Child {
    program: PathBuf,
    first: Vec<OsString>,
    message: &'static str,
    home: tempfile::TempDir,
    ran: bool,
}

impl Child {
    /// The smallest one.
    pub(crate) fn smallest() -> Result<Self> {
        Self::new(crate::turns::child()?, &[], "answer")
    }

    /// The daemon's own stand-in.
    pub(crate) fn stand_in() -> Result<Self> {
        Self::new(binary(), &["stand-in"], "[[reply done]]")
    }

    fn new(program: PathBuf, first: &[&str], message: &'static str) -> Result<Self> {
        Ok(Self {
            program,
            first: first.iter().map(OsString::from).collect(),
            message,
            home: tempfile::tempdir()?,
            ran: false,
        })
    }

    /// It is spawned, gets what the daemon writes to it, says what the daemon reads, and ends.
    pub(crate) async fn run(&mut self) -> Result<f64> {
        let session = if self.ran { "--resume" } else { "--session-id" };
        self.ran = true;
        let begin = Instant::now();
        let mut child = Command::new(&self.program)
            .args(&self.first)
            .args(["-p", "--input-format=stream-json", "--output-format=stream-json"])
            .args(["--verbose", "--include-partial-messages"])
            .arg(format!("{session}={SESSION}"))
            .current_dir(self.home.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.home.path())
            .env("CLAUDE_CONFIG_DIR", self.home.path().join(".claude"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut input = child.stdin.take().context("no stdin")?;
        let mut output = BufReader::new(child.stdout.take().context("no stdout")?);
        let mut said = String::new();
        let hello = "{\"type\":\"control_request\",\"request_id\":\"one\",\"request\":{\"subtype\":\"initialize\"}}\n";
        input.write_all(hello.as_bytes()).await?;
        output.read_line(&mut said).await?;
        let message = format!(
            "{{\"type\":\"user\",\"message\":{{\"role\":\"user\",\"content\":\"{}\"}}}}\n",
            self.message
        );
        input.write_all(message.as_bytes()).await?;
        drop(input);
        output.read_to_string(&mut said).await?;
        ensure!(child.wait().await?.success(), "the child failed: {said}");
        let took = ms(begin.elapsed());
        ensure!(said.contains("\"subtype\":\"success\""), "the child says {said}");
        Ok(took)
    }

    /// One run after the other.
    pub(crate) async fn runs(&mut self, runs: usize) -> Result<Vec<f64>> {
        let mut took = Vec::with_capacity(runs);
        for _ in 0..runs {
            took.push(self.run().await?);
        }
        Ok(took)
    }
}

/// The same to many: what the kernel takes for it.
pub(crate) struct Fan {
    /// Of the writing side, in milliseconds.
    pub(crate) processor: f64,
    /// From the first write of each event to each reader, in milliseconds.
    pub(crate) late: Vec<f64>,
    /// From the first write to the end of the last reader.
    pub(crate) took: Duration,
}

/// Writes events of so many bytes to the sockets of so many readers, one write for each of both: at a pace or, without one, as
/// fast as the readers take them.
pub(crate) async fn fan(readers: usize, events: usize, bytes: usize, pace: Option<Duration>) -> Result<Fan> {
    const AGE: usize = size_of::<u64>();
    let bytes = bytes.max(AGE);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let begin = Instant::now();
    let (mut sockets, mut tasks) = (Vec::with_capacity(readers), Vec::with_capacity(readers));
    for _ in 0..readers {
        let (stream, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let stream = stream?;
        let socket = accepted?.0.into_std()?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(false)?;
        sockets.push(socket);
        tasks.push(tokio::spawn(async move {
            let mut stream = BufReader::with_capacity(64 << 10, stream);
            let (mut event, mut late) = (vec![0; bytes], Vec::with_capacity(events));
            for _ in 0..events {
                stream.read_exact(&mut event).await?;
                let age = u64::from_le_bytes(event[..AGE].try_into()?);
                late.push(ms(begin.elapsed().saturating_sub(Duration::from_nanos(age))));
            }
            anyhow::Ok(late)
        }));
    }
    let (go, mut ticks) = mpsc::unbounded_channel();
    // A thread of its own, whose processor time is the kernel's work and little else.
    let writer = tokio::task::spawn_blocking(move || {
        let before = processor(Path::new("/proc/thread-self/stat"))?;
        let mut event = vec![b'x'; bytes];
        while ticks.blocking_recv().is_some() {
            let age = u64::try_from(begin.elapsed().as_nanos())?;
            event[..AGE].copy_from_slice(&age.to_le_bytes());
            for mut socket in &sockets {
                socket.write_all(&event)?;
            }
        }
        anyhow::Ok(processor(Path::new("/proc/thread-self/stat"))? - before)
    });
    let first = Instant::now();
    let mut pace = pace.map(tokio::time::interval);
    for _ in 0..events {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        go.send(()).context("the writer ended")?;
    }
    drop(go);
    let mut late = Vec::with_capacity(readers * events);
    for task in tasks {
        late.extend(task.await??);
    }
    let took = first.elapsed();
    let processor = writer.await?.context("the writer failed")?;
    Ok(Fan { processor, late, took })
}
