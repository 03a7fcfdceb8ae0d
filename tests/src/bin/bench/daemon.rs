//! A daemon to be measured.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::time::Instant;

use crate::PATIENCE;
use crate::figure::ms;

/// For [`start`].
pub(crate) const NO_SETTINGS: &[(&str, &str)] = &[];

/// A daemon that ends with this value.
pub(crate) struct Daemon {
    child: Child,
    url: String,
    token: String,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // silent-ok: it has ended already.
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// The program that is measured.
pub(crate) fn binary() -> PathBuf {
    let given = std::env::var_os("REVEILLE_BIN").map(PathBuf::from);
    given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/reveille"))
}

/// Processor time that stands in a `stat` of a process or a thread, in milliseconds.
pub(crate) fn processor(stat: &Path) -> Result<f64> {
    let stat = std::fs::read_to_string(stat)?;
    let fields = stat.rsplit_once(')').context("no name in stat")?.1;
    let ticks: f64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse::<f64>)
        .sum::<Result<_, _>>()?;
    // Linux counts in hundredths of a second on all machines that this runs on (USER_HZ).
    Ok(ticks * 10.0)
}

fn free_address() -> Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Starts a daemon; answers it with the time from spawn to the first 200 of `/health`. `settings` are more variables.
pub(crate) async fn start(state: &Path, settings: &[(&str, impl AsRef<str>)]) -> Result<(Daemon, Duration)> {
    let address = free_address()?;
    let begin = Instant::now();
    let child = Command::new(binary())
        .args(["serve", "--bind", &address.to_string(), "--state-dir"])
        .arg(state)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", state)
        .env("REVEILLE_CLAUDE__PROGRAM", "stand-in")
        .env("REVEILLE_LOG__LEVEL", "error")
        .envs(settings.iter().map(|(name, value)| (name, value.as_ref())))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| {
            format!(
                "{} does not start; build it with `cargo build --release -p reveille`",
                binary().display()
            )
        })?;
    let mut daemon = Daemon {
        child,
        url: format!("http://{address}"),
        token: String::new(),
    };
    let request = format!("GET /health HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    loop {
        // A bare socket: a client library's own start must not count.
        if let Ok(mut stream) = TcpStream::connect(address) {
            let mut answer = Vec::new();
            stream.write_all(request.as_bytes())?;
            std::io::Read::read_to_end(&mut stream, &mut answer)?;
            if answer.starts_with(b"HTTP/1.1 200") {
                break;
            }
        }
        ensure!(
            begin.elapsed() < PATIENCE,
            "the daemon is not healthy after {PATIENCE:?}"
        );
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    let took = begin.elapsed();
    daemon.token = std::fs::read_to_string(state.join("token"))?.trim().to_owned();
    Ok((daemon, took))
}

impl Daemon {
    /// Host and port.
    pub(crate) fn authority(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// The admin token.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    pub(crate) async fn post(&self, http: &reqwest::Client, path: &str, body: &Value) -> Result<Value> {
        let request = http
            .post(format!("{}{path}", self.url))
            .bearer_auth(&self.token)
            .json(body);
        Ok(request.send().await?.error_for_status()?.json().await?)
    }

    pub(crate) async fn patch(&self, http: &reqwest::Client, path: &str, body: &Value) -> Result<Value> {
        let request = http
            .patch(format!("{}{path}", self.url))
            .bearer_auth(&self.token)
            .json(body);
        Ok(request.send().await?.error_for_status()?.json().await?)
    }

    pub(crate) async fn get(&self, http: &reqwest::Client, path: &str) -> Result<Value> {
        let request = http.get(format!("{}{path}", self.url)).bearer_auth(&self.token);
        Ok(request.send().await?.error_for_status()?.json().await?)
    }

    /// A request to the vault `default`, with how long its answer took.
    pub(crate) async fn timed(&self, http: &reqwest::Client, path: &str) -> Result<(Value, f64)> {
        let begin = Instant::now();
        let answer = self.get(http, path).await?;
        Ok((answer, ms(begin.elapsed())))
    }

    /// How long it takes until an answer is there, to its last byte. Nothing is made of it.
    pub(crate) async fn answers(&self, http: &reqwest::Client, path: &str) -> Result<f64> {
        let begin = Instant::now();
        let request = http.get(format!("{}{path}", self.url)).bearer_auth(&self.token);
        request.send().await?.error_for_status()?.bytes().await?;
        Ok(ms(begin.elapsed()))
    }

    /// Waits until that many agents are there; answers when that was after the start of waiting, in milliseconds.
    pub(crate) async fn live(&self, http: &reqwest::Client, agents: usize) -> Result<f64> {
        let begin = Instant::now();
        loop {
            let listed = self.get(http, "/api/agents").await?;
            if listed["agents"].as_array().is_some_and(|list| list.len() == agents) {
                return Ok(ms(begin.elapsed()));
            }
            ensure!(begin.elapsed() < PATIENCE, "the definitions are not taken");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until that many messages are in the line of an agent.
    pub(crate) async fn waiting(&self, http: &reqwest::Client, agent: &str, count: usize) -> Result<()> {
        let begin = Instant::now();
        loop {
            let queue = self.get(http, &format!("/api/channels/{agent}/queue?limit=1")).await?;
            if queue["waiting"].as_u64() == Some(count as u64) {
                return Ok(());
            }
            ensure!(begin.elapsed() < PATIENCE, "{count} messages are not in line: {queue}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Stops it as an operator does, and waits for its end.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let pid = i32::try_from(self.child.id())?;
        let pid = rustix::process::Pid::from_raw(pid).context("a process has a number")?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        tokio::task::spawn_blocking(move || self.child.wait()).await??;
        Ok(())
    }

    /// Processor time used so far, in milliseconds.
    pub(crate) fn cpu(&self) -> Result<f64> {
        processor(Path::new(&format!("/proc/{}/stat", self.child.id())))
    }

    /// Resident memory in MiB.
    pub(crate) fn rss(&self) -> Result<f64> {
        self.memory("VmRSS:")
    }

    /// What of it is the daemon's alone, in MiB: the rest is its program and its libraries, which the kernel keeps for all who run
    /// them and takes back when it needs the room.
    pub(crate) fn own_memory(&self) -> Result<f64> {
        self.memory("RssAnon:")
    }

    /// The most that it ever was.
    pub(crate) fn rss_peak(&self) -> Result<f64> {
        self.memory("VmHWM:")
    }

    fn memory(&self, which: &str) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(which))
            .with_context(|| format!("no {which}"))?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    }
}
