//! What a turn costs besides its child: from the message to the reply note, one after the other and many at once.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::PATIENCE;
use crate::daemon::{Daemon, start};
use crate::figure::{Figure, ms};
use crate::floor;

/// Channels of the figures for many at once.
const CHANNELS: [usize; 3] = [1, 20, 200];
/// Turns that are not counted: files and caches of the machine are warm afterwards.
pub(crate) const WARM_UP: usize = 20;
/// Clients that send at once.
const SENDERS: usize = 16;
/// Longest time for all turns of a figure.
const LIMIT: Duration = Duration::from_secs(300);

pub(crate) fn child() -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("bench-child");
    ensure!(
        path.is_file(),
        "{} is missing; build it with `cargo build --release -p reveille-tests --bins`",
        path.display()
    );
    Ok(path)
}

fn now() -> Result<f64> {
    Ok(ms(SystemTime::now().duration_since(UNIX_EPOCH)?))
}

/// The events of all turns.
pub(crate) struct Events(BufReader<TcpStream>);

impl Events {
    pub(crate) async fn open(daemon: &Daemon) -> Result<Self> {
        let mut stream = TcpStream::connect(daemon.authority()).await?;
        let head = format!(
            "GET /api/events HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\r\n",
            daemon.authority(),
            daemon.token()
        );
        stream.write_all(head.as_bytes()).await?;
        let mut events = Self(BufReader::with_capacity(256 << 10, stream));
        while events.line().await?.trim() != ": connected" {}
        Ok(events)
    }

    async fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        let read = tokio::time::timeout(PATIENCE, self.0.read_line(&mut line)).await;
        ensure!(read.context("no turn ends")?? > 0, "the stream of events ended");
        Ok(line)
    }

    /// The next end of a turn: its reply is in the vault.
    pub(crate) async fn done(&mut self) -> Result<Value> {
        loop {
            let line = self.line().await?;
            let Some(data) = line.strip_prefix("data: ") else {
                ensure!(!line.starts_with("event: resync"), "too slow for the events");
                continue;
            };
            if line.contains("\"kind\":\"done\"") {
                return Ok(serde_json::from_str(data)?);
            }
            ensure!(!line.contains("\"kind\":\"error\""), "a turn failed: {data}");
        }
    }
}

/// Of a daemon whose turns are run by the smallest child, and do not wait for each other.
pub(crate) fn settings() -> Result<[(&'static str, String); 4]> {
    let program = child()?.into_os_string().into_string();
    let program = program.map_err(|path| anyhow!("{} is no text", path.display()))?;
    Ok([
        ("REVEILLE_CLAUDE__PROGRAM", program),
        ("REVEILLE_SANDBOX__MODE", "none".into()),
        // Each turn starts its child, which is what is measured here; `bench warm` measures those that stay.
        ("REVEILLE_CLAUDE__WARM_PROCESSES", "0".into()),
        ("REVEILLE_QUEUE__MAX_WAITING", "100000".into()),
    ])
}

/// A daemon with that many agents.
pub(crate) async fn ready(state: &Path, http: &reqwest::Client, agents: usize) -> Result<Daemon> {
    let (daemon, _) = start(state, &settings()?).await?;
    let notes: Vec<Value> = (0..agents)
        .map(|n| {
            json!({"path": format!("Agents/a{n}"), "content": "You answer.", "tags": ["agent/definition"],
                   "metadata": {"name": format!("a{n}")}})
        })
        .collect();
    for part in notes.chunks(500) {
        daemon
            .post(http, "/vault/default/api/notes", &json!({ "notes": part }))
            .await?;
    }
    daemon.live(http, agents).await?;
    Ok(daemon)
}

/// The stages of single turns, in milliseconds.
#[derive(Default)]
pub(crate) struct Stages {
    pub(crate) accept: Vec<f64>,
    pub(crate) start: Vec<f64>,
    pub(crate) deliver: Vec<f64>,
    pub(crate) whole: Vec<f64>,
}

/// Turns of one agent, each after the end of the one before.
pub(crate) async fn single(daemon: &Daemon, http: &reqwest::Client, turns: usize) -> Result<Stages> {
    let mut events = Events::open(daemon).await?;
    let mut stages = Stages::default();
    for run in 0..turns + WARM_UP {
        let (begin, begin_at) = (Instant::now(), now()?);
        let sent = daemon
            .post(http, "/api/channels/a0/send", &json!({ "text": "answer" }))
            .await?;
        let (accepted, accepted_at) = (ms(begin.elapsed()), now()?);
        let done = events.done().await?;
        let (whole, done_at) = (ms(begin.elapsed()), now()?);
        ensure!(done["turn"] == sent["turn"], "another turn than {sent} ended: {done}");
        if run < WARM_UP {
            continue;
        }
        let view = daemon
            .get(
                http,
                &format!("/api/turns/{}", sent["turn"].as_str().context("no turn")?),
            )
            .await?;
        let reply = view["reply"].as_str().with_context(|| format!("no reply in {view}"))?;
        let (begun, answered) = reply.split_once(' ').context("no times in the reply")?;
        let (begun, answered) = (begun.parse::<f64>()? / 1e6, answered.parse::<f64>()? / 1e6);
        debug_assert!(begin_at <= begun);
        stages.accept.push(accepted);
        stages.start.push(begun - accepted_at);
        stages.deliver.push(done_at - answered);
        stages.whole.push(whole);
    }
    Ok(stages)
}

/// Turns a second over that many channels, and the daemon's processor time for one of them.
async fn many(daemon: &Daemon, http: &reqwest::Client, channels: usize, turns: usize) -> Result<(f64, f64)> {
    let mut events = Events::open(daemon).await?;
    let (begin, cpu) = (Instant::now(), daemon.cpu()?);
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let (http, url, token) = (
            http.clone(),
            format!("http://{}", daemon.authority()),
            daemon.token().to_owned(),
        );
        senders.spawn(async move {
            for turn in (sender..turns).step_by(SENDERS) {
                let request = http
                    .post(format!("{url}/api/channels/a{}/send", turn % channels))
                    .bearer_auth(&token)
                    .json(&json!({ "text": "answer" }));
                request.send().await?.error_for_status()?.bytes().await?;
            }
            anyhow::Ok(())
        });
    }
    let all = async {
        for _ in 0..turns {
            events.done().await?;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(LIMIT, all)
        .await
        .context("the turns take too long")??;
    let (took, cpu) = (begin.elapsed().as_secs_f64(), daemon.cpu()? - cpu);
    while let Some(sent) = senders.join_next().await {
        sent??;
    }
    let turns = f64::from(u32::try_from(turns)?);
    Ok((turns / took, cpu / turns))
}

/// Overhead of single turns, and throughput over 1, 20 and 200 channels.
pub(crate) async fn measure(turns: usize) -> Result<Vec<Figure>> {
    let dir = tempfile::tempdir()?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let alone = floor::Child::smallest()?.runs(turns).await?;
    let daemon = ready(dir.path(), &http, 200).await?;
    let stages = single(&daemon, &http, turns).await?;
    let child = Figure::new("floor: the child alone, spawned, told and waited for", "ms", alone);
    let alone = child.at(0.5);
    let figure = |name: &'static str, values| Figure::new(name, "ms", values);
    let mut figures = vec![
        child,
        figure("sent: accepted durably", stages.accept),
        figure("accepted to the child's start", stages.start),
        figure("the child's result to its reply note, told", stages.deliver),
        figure(
            "the whole turn, without the child's p50",
            stages.whole.iter().map(|took| took - alone).collect(),
        ),
        figure("the whole turn", stages.whole),
    ];
    for channels in CHANNELS {
        let (a_second, cpu) = many(&daemon, &http, channels, turns * 5).await?;
        figures.push(Figure::new(
            format!("turns a second, {channels} channels"),
            "1/s",
            vec![a_second],
        ));
        let name = format!("processor time of the daemon a turn, {channels} channels");
        figures.push(Figure::new(name, "ms", vec![cpu]));
    }
    Ok(figures)
}
