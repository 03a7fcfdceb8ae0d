//! Secrets are planted everywhere, a turn ends well and others fail as loudly as they can, and then everything that the daemon has
//! written, answered or started is searched for them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::State;
use serde_json::{Value, json};

use super::{Held, approve, ask, command, files};

/// Each with the agent whose turns have it in that variable.
const CANARIES: [(&str, &str, &str); 7] = [
    ("eng", "CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-CANARYofengCANARY"),
    ("bob", "ANTHROPIC_API_KEY", "sk-ant-api03-CANARYofallCANARY"),
    ("bob", "SHARED_SECRET", "CANARY-\"for\"\\all\nCANARY-second-line"),
    (
        "eng",
        "OWN_SECRET",
        "https://me:CANARYpassword@host.example/?key=CANARYquery",
    ),
    ("eng", "GITHUB_TOKEN", "ghp-CANARYgranted"),
    ("bob", "CONFIGURED", "CANARY-of-the-configuration"),
    ("eng", "BIG", "CANARY"),
];
const MARK: &str = "CANARY";

fn big() -> String {
    "CANARY0123456789".repeat(2000)
}

/// The secret of a row.
fn value_of((_, name, value): (&str, &str, &str)) -> String {
    if name == "BIG" { big() } else { value.to_owned() }
}

fn holds(bytes: &[u8]) -> bool {
    bytes.windows(MARK.len()).any(|window| window == MARK.as_bytes())
}

/// Everything that was seen, by where.
#[derive(Default)]
struct Seen(BTreeMap<String, Vec<u8>>);

impl Seen {
    fn add(&mut self, place: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.entry(place.into()).or_default().extend(bytes.into());
    }

    /// The places with a part of a secret.
    fn leaks(&self) -> Vec<&str> {
        let leaky = self.0.iter().filter(|(_, bytes)| holds(bytes));
        leaky.map(|(place, _)| place.as_str()).collect()
    }
}

/// The arguments of every process of this machine.
fn arguments(seen: &mut Seen) -> Result<()> {
    let mut count = 0;
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path().join("cmdline");
        // silent-ok: no process, or one that has ended
        let Ok(bytes) = std::fs::read(&path) else { continue };
        count += 1;
        // The test's own process and its shell may name the secrets.
        let own = format!("/proc/{}/", std::process::id());
        if !path.to_string_lossy().starts_with(&own) {
            seen.add(
                format!("argv {}", String::from_utf8_lossy(&bytes).replace('\0', " ")),
                bytes,
            );
        }
    }
    ensure!(count > 1, "no processes are seen");
    Ok(())
}

async fn cli(daemon: &Daemon, seen: &mut Seen, args: &[&str], input: &str) -> Result<()> {
    let ran = command(daemon, args, input).await?;
    seen.add(format!("reveille {args:?}"), ran.stdout + &ran.stderr);
    Ok(())
}

/// Two agents, and all secrets where they belong, put there by the command line.
async fn planted(seen: &mut Seen) -> Result<Daemon> {
    let daemon = Daemon::builder()
        .stand_in()
        .env("REVEILLE_LOG__LEVEL", "trace")
        .env("REVEILLE_LOG__FORMAT", "json")
        .env("REVEILLE_CLAUDE__ENV__CONFIGURED", value_of(CANARIES[5]))
        .start()
        .await?;
    daemon
        .note_put(
            "Agents/eng",
            "You help.",
            &["agent/definition"],
            &json!({ "name": "eng", "wants": "env:github" }),
        )
        .await?;
    daemon.create_agent("bob", "You help.").await?;
    approve(&daemon, "eng", "env:github", &value_of(CANARIES[4])).await?;
    cli(
        &daemon,
        seen,
        &["secret", "set", "--claude", "--agent", "eng"],
        &value_of(CANARIES[0]),
    )
    .await?;
    cli(&daemon, seen, &["secret", "set", "--claude"], &value_of(CANARIES[1])).await?;
    cli(
        &daemon,
        seen,
        &["secret", "set", "SHARED_SECRET"],
        &value_of(CANARIES[2]),
    )
    .await?;
    cli(
        &daemon,
        seen,
        &["secret", "set", "--agent", "eng", "OWN_SECRET"],
        &value_of(CANARIES[3]),
    )
    .await?;
    cli(&daemon, seen, &["secret", "set", "--agent", "eng", "BIG"], &big()).await?;
    Ok(daemon)
}

/// Every answer of the API that needs no name, and those that need one of these.
async fn answers(daemon: &Daemon, seen: &mut Seen, turns: &[String]) -> Result<()> {
    let document = ask(daemon, "GET", "/api/openapi.json", &Value::Null).await?.json()?;
    let paths = document["paths"].as_object().context("paths")?;
    let streams = ["/api/events", "/mcp"];
    let mut targets: Vec<String> = Vec::new();
    for (path, item) in paths
        .iter()
        .filter(|(path, item)| item["get"].is_object() && !streams.contains(&path.as_str()))
    {
        if !path.contains('{') {
            targets.push(path.clone());
        }
        ensure!(item["get"].is_object());
    }
    for agent in ["eng", "bob"] {
        for tail in ["", "/env"] {
            targets.push(format!("/api/agents/{agent}{tail}"));
        }
        for tail in ["messages", "threads", "queue"] {
            targets.push(format!("/api/channels/{agent}/{tail}"));
        }
    }
    targets.extend(turns.iter().map(|turn| format!("/api/turns/{turn}")));
    targets.push("/vault/default/api/notes?include_content=true&limit=500".into());
    targets.push("/vault/default/api/notes?tag=agent/thread&include_content=true".into());
    let mut read = 0;
    for target in targets {
        let answer = ask(daemon, "GET", &target, &Value::Null).await?;
        read += usize::from(answer.status == 200);
        let head = format!("{:?}", answer.headers);
        seen.add(format!("GET {target}"), [head.into_bytes(), answer.body].concat());
    }
    ensure!(read > 20, "only {read} answers");
    Ok(())
}

#[tokio::test]
async fn no_secret_is_in_anything_that_the_daemon_writes_answers_or_starts() -> Result<()> {
    let mut seen = Seen::default();
    let daemon = planted(&mut seen).await?;
    let mut events = daemon.stream("/api/events", None, daemon.token()).await?;
    let mut turns = Vec::new();

    // A turn that ends well has all of them. What it is given is looked at while it runs.
    for agent in ["eng", "bob"] {
        let held = Held::new(&daemon, agent).await?;
        for row in CANARIES.into_iter().filter(|(whose, ..)| *whose == agent) {
            assert_eq!(held.has(row.1), Some(value_of(row).as_str()), "{agent} {}", row.1);
        }
        arguments(&mut seen)?;
        let turn = held.end(&daemon, agent).await?;
        assert_eq!(turn.state, State::Ok);
        turns.push(turn.turn.clone());
    }
    // Turns that fail: all that they know is on stderr, once with the end of it cut anywhere.
    let spill = "env >/proc/$PPID/fd/2; printf 'told<%s>' \"$CLAUDE_CODE_OAUTH_TOKEN$ANTHROPIC_API_KEY\" >/proc/$PPID/fd/2; \
                 printf 'x%.0s' $(seq 1 SIZE) >/proc/$PPID/fd/2";
    for (agent, size, end) in [
        ("eng", 1, "[[crash]]"),
        ("eng", 990, "[[crash]]"),
        ("eng", 1010, "[[crash]]"),
        ("bob", 1, "[[crash]]"),
        ("bob", 985, "[[error 400]]"),
        ("bob", 1, "[[error 401]]"),
    ] {
        let spill = spill.replace("SIZE", &size.to_string());
        let sent = daemon.send(agent, &format!("[[exec {spill}]] {end}")).await?;
        let turn = daemon.wait_turn(agent, &sent).await?;
        assert_eq!(turn.state, State::Error, "{turn:?}");
        let last = events.until_end(&turn.turn).await?;
        seen.add("events", format!("{last:?}"));
        turns.push(turn.turn.clone());
    }

    answers(&daemon, &mut seen, &turns).await?;
    for args in [
        &["agent", "show", "eng"][..],
        &["agent", "connections", "eng"],
        &["agent", "list", "--json"],
        &["thread", "list"],
        &["thread", "show", "eng"],
        &["queue", "list", "bob"],
        &["turn", "list"],
        &["turn", "show", &turns[2], "--json"],
        &["secret", "list"],
        &["secret", "list", "--json"],
        &["doctor"],
        &["note", "list"],
        &["send", "eng", "[[crash]]", "--wait"],
    ] {
        cli(&daemon, &mut seen, args, "").await?;
    }
    let log = daemon.log()?;
    assert!(log.contains("TRACE"), "the log is not whole");
    // It did come to us.
    assert!(
        log.contains("told<***>"),
        "nothing was taken out: {}",
        log.lines()
            .filter(|line| line.contains("turn failed"))
            .collect::<String>()
    );
    seen.add("log", log);
    // The files that are there to hold them.
    let may = ["credentials.json", "grants.db", "grants.db-wal"];
    let mut kept = Vec::new();
    for (path, bytes) in files(&daemon.state_dir())? {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        match may.contains(&name.as_str()) {
            true if holds(&bytes) => kept.push(name),
            true => {}
            false => seen.add(path.display().to_string(), bytes),
        }
    }
    assert!(kept.contains(&"credentials.json".into()) && kept.len() > 1, "{kept:?}");
    assert_eq!(seen.leaks(), [""; 0]);
    Ok(())
}
