//! The benchmark: prints figures of the daemon beside the machine's own floor, measured in the same run.
//!
//! `cargo run --release -p reveille-tests --bin bench -- start --agents 1000` needs `cargo build --release -p reveille` first.

#![forbid(unsafe_code)]

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::time::Instant;

/// Runs of each figure; the median is printed.
const RUNS: usize = 9;
/// How long a daemon may take for anything that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

struct Figure {
    name: &'static str,
    unit: &'static str,
    values: Vec<f64>,
}

impl Figure {
    fn at(&self, share: f64) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index"
        )]
        let index = ((sorted.len().saturating_sub(1)) as f64 * share).round() as usize;
        sorted.get(index).copied().unwrap_or(f64::NAN)
    }
}

/// A daemon that ends with this value.
struct Daemon {
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

fn binary() -> PathBuf {
    let given = std::env::var_os("REVEILLE_BIN").map(PathBuf::from);
    given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/reveille"))
}

fn free_address() -> Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Starts a daemon on an address; answers it with the time from spawn to the first 200 of `/health`.
async fn start(state: &Path) -> Result<(Daemon, Duration)> {
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
    async fn post(&self, http: &reqwest::Client, path: &str, body: &Value) -> Result<Value> {
        let request = http
            .post(format!("{}{path}", self.url))
            .bearer_auth(&self.token)
            .json(body);
        Ok(request.send().await?.error_for_status()?.json().await?)
    }

    async fn get(&self, http: &reqwest::Client, path: &str) -> Result<Value> {
        let request = http.get(format!("{}{path}", self.url)).bearer_auth(&self.token);
        Ok(request.send().await?.error_for_status()?.json().await?)
    }

    /// Resident memory in MiB.
    fn rss(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .context("no VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// The machine's own floor: a process that does nothing, and one synced write.
fn floor() -> Result<Vec<Figure>> {
    let (mut spawn, mut sync) = (Vec::new(), Vec::new());
    let dir = tempfile::tempdir()?;
    let file = std::fs::File::create(dir.path().join("sync"))?;
    file.write_all_at(&[0; 1 << 20], 0)?;
    file.sync_all()?;
    for run in 0..RUNS {
        let begin = Instant::now();
        ensure!(Command::new("/bin/true").status()?.success(), "/bin/true failed");
        spawn.push(ms(begin.elapsed()));
        let begin = Instant::now();
        file.write_all_at(&[1; 4096], u64::try_from(run)? * 4096)?;
        file.sync_data()?;
        sync.push(ms(begin.elapsed()));
    }
    Ok(vec![
        Figure {
            name: "floor: spawn and wait for /bin/true",
            unit: "ms",
            values: spawn,
        },
        Figure {
            name: "floor: 4 KiB write and fdatasync",
            unit: "ms",
            values: sync,
        },
    ])
}

async fn define(daemon: &Daemon, http: &reqwest::Client, agents: usize) -> Result<()> {
    let notes: Vec<Value> = (0..agents)
        .map(|n| {
            json!({"path": format!("Agents/a{n}"), "content": format!("You are agent {n}."), "tags": ["agent/definition"],
                   "metadata": {"name": format!("a{n}")}})
        })
        .collect();
    for part in notes.chunks(500) {
        daemon
            .post(http, "/vault/default/api/notes", &json!({ "notes": part }))
            .await?;
    }
    let begin = Instant::now();
    loop {
        let listed = daemon.get(http, "/api/agents").await?;
        let stamped = daemon
            .get(
                http,
                "/vault/default/api/notes?tag=agent/definition&limit=10000&include_metadata=true",
            )
            .await?;
        let enabled = |note: &&Value| note["metadata"]["status"] == "enabled";
        let done = stamped.as_array().into_iter().flatten().filter(enabled).count();
        if listed["agents"].as_array().is_some_and(|list| list.len() == agents) && done == agents {
            return Ok(());
        }
        ensure!(begin.elapsed() < PATIENCE, "{done} of {agents} definitions were taken");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Start, memory, and the overhead of turns with a child that answers at once.
async fn measure(agents: usize) -> Result<Vec<Figure>> {
    let dir = tempfile::tempdir()?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let (daemon, _) = start(dir.path()).await?;
    define(&daemon, &http, agents).await?;
    drop(daemon);
    let (mut health, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let (daemon, took) = start(dir.path()).await?;
        health.push(ms(took));
        tokio::time::sleep(Duration::from_secs(1)).await;
        memory.push(daemon.rss()?);
    }
    let (daemon, _) = start(dir.path()).await?;
    let (mut accept, mut turn) = (Vec::new(), Vec::new());
    for n in 0..RUNS * 4 {
        let begin = Instant::now();
        let sent = daemon
            .post(
                &http,
                "/api/channels/a0/send",
                &json!({ "text": format!("[[reply {n}]]") }),
            )
            .await?;
        accept.push(ms(begin.elapsed()));
        let id = sent["turn"].as_str().context("no turn")?.to_owned();
        let state = loop {
            let view = daemon.get(&http, &format!("/api/turns/{id}")).await?;
            if view["settled_at"].is_string() {
                break view["state"].clone();
            }
            ensure!(begin.elapsed() < PATIENCE, "the turn does not end");
            tokio::time::sleep(Duration::from_micros(200)).await;
        };
        ensure!(state == "ok", "a turn ended as {state}");
        turn.push(ms(begin.elapsed()));
    }
    Ok(vec![
        Figure {
            name: "start to /health",
            unit: "ms",
            values: health,
        },
        Figure {
            name: "memory, idle",
            unit: "MiB",
            values: memory,
        },
        Figure {
            name: "send: accepted durably",
            unit: "ms",
            values: accept,
        },
        Figure {
            name: "send to settled, stand-in child",
            unit: "ms",
            values: turn,
        },
    ])
}

fn agents_asked() -> Result<usize> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["start"] => Ok(1000),
        ["start", "--agents", number] => number.parse().context("--agents takes a number"),
        _ => bail!("usage: bench start [--agents N]"),
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let agents = agents_asked()?.max(1);
    let mut figures = floor()?;
    figures.extend(measure(agents).await?);
    let mut out = std::io::stdout().lock();
    writeln!(out, "{agents} agents, {RUNS} runs\n{:45} {:>9} {:>9}", "", "p50", "p95")?;
    for figure in &figures {
        writeln!(
            out,
            "{:45} {:9.2} {:9.2} {}",
            figure.name,
            figure.at(0.5),
            figure.at(0.95),
            figure.unit
        )?;
    }
    let json: Vec<Value> = figures
        .iter()
        .map(|figure| json!({"name": figure.name, "unit": figure.unit, "p50": figure.at(0.5), "p95": figure.at(0.95)}))
        .collect();
    writeln!(out, "{}", json!({ "agents": agents, "figures": json }))?;
    Ok(())
}
