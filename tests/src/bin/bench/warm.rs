//! The next message of a conversation with the real CLI, in a process of its own and in one that has waited for it, beside the
//! CLI alone. The API is a double on this machine.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use reveille_tests::MessagesApi;
use reveille_tests::claude;
use serde_json::{Value, json};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, timeout};

use crate::PATIENCE;
use crate::daemon::{Daemon, start};
use crate::figure::{Figure, ms};

/// Turns that are not counted: the first starts the process.
const WARM_UP: usize = 2;

/// Reads on to a line that has one of these texts in it.
async fn until(lines: &mut (impl AsyncBufRead + Unpin), texts: &[&str]) -> Result<Instant> {
    let mut line = String::new();
    loop {
        line.clear();
        let count = timeout(PATIENCE, lines.read_line(&mut line))
            .await
            .with_context(|| format!("{texts:?} does not come"))??;
        ensure!(count > 0, "the end came before {texts:?}");
        if texts.iter().any(|text| line.contains(text)) {
            return Ok(Instant::now());
        }
    }
}

/// The CLI without a daemon.
struct Alone {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Alone {
    /// `session` is the option that begins or resumes one.
    fn start(program: &Path, dir: &Path, url: &str, session: &str) -> Result<Self> {
        let mut child = Command::new(program)
            .args(["-p", "--input-format=stream-json", "--output-format=stream-json"])
            .args(["--verbose", "--include-partial-messages", "--setting-sources=user"])
            .arg(session)
            .current_dir(dir)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", dir)
            .env("ANTHROPIC_BASE_URL", url)
            .env("ANTHROPIC_API_KEY", "dummy")
            .env("DISABLE_AUTOUPDATER", "1")
            .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
            .env("CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self {
            input: child.stdin.take().context("no input")?,
            output: BufReader::new(child.stdout.take().context("no output")?),
            child,
        })
    }

    /// From `begin` to the first text of an answer, and to its end.
    async fn turn(&mut self, begin: Instant) -> Result<(f64, f64)> {
        let message = json!({ "type": "user", "message": { "role": "user", "content": "hi" } });
        self.input.write_all(format!("{message}\n").as_bytes()).await?;
        let first = until(&mut self.output, &["\"text_delta\""]).await?;
        let end = until(&mut self.output, &["\"idle\""]).await?;
        Ok((ms(first - begin), ms(end - begin)))
    }

    /// It stores what the next one goes on with.
    async fn end(mut self) -> Result<()> {
        drop(self.input);
        let status = timeout(PATIENCE, self.child.wait()).await;
        ensure!(status.context("the CLI does not end")??.success(), "the CLI failed");
        Ok(())
    }
}

/// A daemon with one agent, and its live events.
struct House {
    daemon: Daemon,
    events: BufReader<TcpStream>,
    _dir: tempfile::TempDir,
}

impl House {
    async fn start(http: &reqwest::Client, api: &str, sandbox: &str, warm: &str) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let program = claude::program()?;
        let settings = [
            ("REVEILLE_CLAUDE__PROGRAM", program.to_str().context("a path")?),
            ("REVEILLE_CLAUDE__WARM_PROCESSES", warm),
            ("REVEILLE_CLAUDE__ENV__ANTHROPIC_BASE_URL", api),
            ("REVEILLE_CLAUDE__ENV__ANTHROPIC_API_KEY", "dummy"),
            ("REVEILLE_SANDBOX__MODE", sandbox),
        ];
        let (daemon, _) = start(dir.path(), &settings).await?;
        let agent = json!({ "name": "a", "prompt": "You answer." });
        daemon.post(http, "/api/agents", &agent).await?;
        let mut stream = TcpStream::connect(daemon.authority()).await?;
        let head = format!(
            "GET /api/channels/a/turn-events HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\r\n",
            daemon.authority(),
            daemon.token()
        );
        stream.write_all(head.as_bytes()).await?;
        let mut first = [0; 12];
        stream.read_exact(&mut first).await?;
        ensure!(&first == b"HTTP/1.1 200", "the events are refused");
        let events = BufReader::new(stream);
        Ok(Self {
            daemon,
            events,
            _dir: dir,
        })
    }

    /// From the request to the first text of the answer as a watcher gets it, and to the end of the turn.
    async fn turn(&mut self, http: &reqwest::Client) -> Result<(f64, f64)> {
        let begin = Instant::now();
        let body = json!({ "text": "hi" });
        let sent: Value = self.daemon.post(http, "/api/channels/a/send", &body).await?;
        let first = until(&mut self.events, &["\"kind\":\"text_delta\"", "\"kind\":\"error\""]).await?;
        let end = until(&mut self.events, &["\"kind\":\"done\"", "\"kind\":\"error\""]).await?;
        let id = sent["turn"].as_str().context("no turn")?;
        let view = self.daemon.get(http, &format!("/api/turns/{id}")).await?;
        ensure!(view["state"] == "ok", "a turn ended as {view}");
        Ok((ms(first - begin), ms(end - begin)))
    }

    /// Turns that ran in a process which had waited.
    async fn hits(&self, http: &reqwest::Client) -> Result<usize> {
        let request = http.get(format!("http://{}/metrics", self.daemon.authority()));
        let text = request.bearer_auth(self.daemon.token()).send().await?.text().await?;
        let hits = text
            .lines()
            .find_map(|line| line.strip_prefix("reveille_warm_hits_total "));
        Ok(hits.context("no figure of hits")?.trim().parse()?)
    }
}

/// Turns of all kinds in turn, so that a noisy machine makes all of them slow.
pub(crate) async fn measure(turns: usize) -> Result<Vec<Figure>> {
    const KINDS: [(&str, &str, &str, &str); 4] = [
        (
            "none",
            "0",
            "first text, cold, not confined",
            "turn, cold, not confined",
        ),
        (
            "none",
            "2",
            "first text, warm, not confined",
            "turn, warm, not confined",
        ),
        ("auto", "0", "first text, cold, confined", "turn, cold, confined"),
        ("auto", "2", "first text, warm, confined", "turn, warm, confined"),
    ];
    let api = MessagesApi::start().await?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let dir = tempfile::tempdir()?;
    let program = claude::program()?;
    let alone = |session, option| Alone::start(&program, dir.path(), api.url(), &format!("{option}={session}"));
    let [waits, goes_on] = [(); 2].map(|()| uuid::Uuid::new_v4());
    let mut resident = alone(waits, "--session-id")?;
    let [mut firsts, mut wholes, mut cold_firsts, mut cold_wholes] = [const { Vec::new() }; 4];
    let mut houses = Vec::new();
    for (sandbox, warm, ..) in KINDS {
        let house = House::start(&http, api.url(), sandbox, warm).await?;
        houses.push((house, Vec::new(), Vec::new()));
    }
    for run in 0..turns + WARM_UP {
        let (first, whole) = resident.turn(Instant::now()).await?;
        let begin = Instant::now();
        let mut cold = alone(goes_on, if run == 0 { "--session-id" } else { "--resume" })?;
        let (cold_first, cold_whole) = cold.turn(begin).await?;
        cold.end().await?;
        if run >= WARM_UP {
            firsts.push(first);
            wholes.push(whole);
            cold_firsts.push(cold_first);
            cold_wholes.push(cold_whole);
        }
        for (house, firsts, wholes) in &mut houses {
            let (first, whole) = house.turn(&http).await?;
            if run >= WARM_UP {
                firsts.push(first);
                wholes.push(whole);
            }
        }
    }
    let figure = |name: &'static str, values| Figure::new(name, "ms", values);
    let mut figures = vec![
        figure("floor: first text, the CLI alone, started cold", cold_firsts),
        figure("floor: turn, the CLI alone, started cold", cold_wholes),
        figure("floor: first text, the CLI alone, resident", firsts),
        figure("floor: turn, the CLI alone, resident", wholes),
    ];
    for ((_, warm, first, whole), (house, firsts, wholes)) in KINDS.into_iter().zip(houses) {
        let expected = if warm == "0" { 0 } else { turns + WARM_UP - 1 };
        let hits = house.hits(&http).await?;
        ensure!(
            hits == expected,
            "{hits} turns ran in a process that had waited, not {expected}"
        );
        figures.extend([figure(first, firsts), figure(whole, wholes)]);
    }
    Ok(figures)
}
