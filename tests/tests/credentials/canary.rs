//! Secrets are planted everywhere, a turn ends well and others fail as loudly as they can, and then everything that the daemon has
//! written, answered or started is searched for them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT, State};
use reveille_tests::eventually;
use reveille_tests::hub::{self, HubDouble};
use reveille_tests::parachute::{self, Parachute, Version};
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
/// What the webhooks of a vault show.
const WEBHOOK: &str = "s3cret-of-the-webhooks";
const PIN: &str = "804172693518";

fn big() -> String {
    "CANARY0123456789".repeat(2000)
}

/// The secret of a row.
fn value_of((_, name, value): (&str, &str, &str)) -> String {
    if name == "BIG" { big() } else { value.to_owned() }
}

fn holds(bytes: &[u8], mark: &str) -> bool {
    bytes.windows(mark.len()).any(|window| window == mark.as_bytes())
}

/// The files of the daemon that are there to hold a secret, and which.
const MAY: [(&str, &str); 4] = [
    ("credentials.json", "a canary"),
    ("grants.db", "a canary"),
    ("grants.db-wal", "a canary"),
    ("token", "the token of the operator"),
];

/// Everything that was seen, by where, and what must not be in it.
struct Seen {
    places: BTreeMap<String, Vec<u8>>,
    /// Each with its name.
    marks: Vec<(&'static str, String)>,
    /// Names of files that hold what they are for.
    kept: BTreeSet<String>,
}

impl Seen {
    fn new() -> Self {
        let marks = [
            ("a canary", MARK),
            ("the token of the hub", hub::TOKEN),
            ("the token of the vault", parachute::TOKEN),
            ("the secret of the webhooks", WEBHOOK),
            ("the PIN", PIN),
        ];
        Self {
            places: BTreeMap::new(),
            marks: marks.map(|(name, mark)| (name, mark.to_owned())).into(),
            kept: BTreeSet::new(),
        }
    }

    fn add(&mut self, place: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.places.entry(place.into()).or_default().extend(bytes.into());
    }

    /// The files of the daemon as they are now.
    fn files(&mut self, daemon: &Daemon) -> Result<()> {
        for (path, bytes) in files(&daemon.state_dir())? {
            self.add(path.display().to_string(), bytes);
        }
        Ok(())
    }

    /// The places with a part of a secret that need not be there.
    fn leaks(&mut self, daemon: &Daemon) -> Vec<(&str, &str)> {
        let mut leaks = Vec::new();
        for (place, bytes) in &self.places {
            for (name, _) in self.marks.iter().filter(|(_, mark)| holds(bytes, mark)) {
                let mut may = MAY.iter().filter(|(_, what)| what == name);
                match may.find(|(file, _)| *place == daemon.state_dir().join(file).display().to_string()) {
                    Some((file, _)) => drop(self.kept.insert((*file).to_owned())),
                    None => leaks.push((place.as_str(), *name)),
                }
            }
        }
        leaks
    }
}

/// The arguments of every process of this machine, `running` among them.
fn arguments(seen: &mut Seen, running: &str) -> Result<()> {
    let mut found = false;
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path().join("cmdline");
        // silent-ok: no process, or one that has ended
        let Ok(bytes) = std::fs::read(&path) else { continue };
        found |= holds(&bytes, running);
        // The test's own process and its shell may name the secrets.
        let own = format!("/proc/{}/", std::process::id());
        if !path.to_string_lossy().starts_with(&own) {
            seen.add(
                format!("argv {}", String::from_utf8_lossy(&bytes).replace('\0', " ")),
                bytes,
            );
        }
    }
    ensure!(found, "what the turn runs is not seen");
    Ok(())
}

async fn cli(daemon: &Daemon, seen: &mut Seen, args: &[&str], input: &str) -> Result<()> {
    let ran = command(daemon, args, input).await?;
    seen.add(format!("reveille {args:?}"), ran.stdout + &ran.stderr);
    Ok(())
}

/// Two agents, and all secrets where they belong, put there by the command line.
async fn planted(seen: &mut Seen, hub: &HubDouble, peer: &Parachute) -> Result<Daemon> {
    let config = format!(
        "[[vault]]\nname = \"default\"\n[[vault]]\nname = \"remote\"\nkind = \"parachute\"\nurl = \"{}\"\nvault = \"default\"\n\
         token = \"${{PARACHUTE_TOKEN}}\"\nwebhook_secret = \"${{WEBHOOK_SECRET}}\"\n",
        peer.url()
    );
    let daemon = Daemon::builder()
        .stand_in()
        .confined()
        .config(&config)
        .env("PARACHUTE_TOKEN", parachute::TOKEN)
        .env("WEBHOOK_SECRET", WEBHOOK)
        .env("REVEILLE_HUB__ORIGIN", hub.url())
        .env("REVEILLE_HUB__TOKEN", hub::TOKEN)
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
            &json!({ "name": "eng", "wants": "env:github", "mounts": [daemon.shared_mount()] }),
        )
        .await?;
    daemon.create_agent_with_shared("bob", "You help.").await?;
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
    cli(&daemon, seen, &["pin", "set"], &format!("{PIN}\n")).await?;
    ensure!(daemon.state_dir().join("step-up.json").exists(), "there is no PIN");
    seen.marks
        .push(("the token of the operator", daemon.token().to_owned()));
    Ok(daemon)
}

/// Every answer of the API that needs no name, and those that need one of these.
async fn answers(daemon: &Daemon, seen: &mut Seen, turns: &[String]) -> Result<()> {
    let document = ask(daemon, "GET", "/api/openapi.json", &Value::Null).await?.json()?;
    let paths = document["paths"].as_object().context("paths")?;
    let streams = ["/api/events", "/events", "/mcp"];
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
    let mut seen = Seen::new();
    let (hub, peer) = (HubDouble::start()?, Parachute::start(Version::July)?);
    let far = json!({ "path": "Agents/far", "content": "You help.", "tags": ["agent/definition"], "metadata": { "name": "far" } });
    peer.write(&far).map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
    // It repeats what it is shown when it refuses.
    hub.set_faults(|faults| faults.echo = true);
    let daemon = planted(&mut seen, &hub, &peer).await?;
    let mut events = daemon.stream("/api/events", None, daemon.token()).await?;
    let mut turns = Vec::new();

    // A turn that ends well has all of them. What it is given is looked at while it runs.
    for agent in ["eng", "bob"] {
        let held = Held::new(&daemon, agent).await?;
        for row in CANARIES.into_iter().filter(|(whose, ..)| *whose == agent) {
            assert_eq!(held.has(row.1), Some(value_of(row).as_str()), "{agent} {}", row.1);
        }
        let token = held.has("REVEILLE_TOKEN").context("a token")?.to_owned();
        let others = seen.marks.iter().filter(|(name, _)| *name != "a canary");
        let given: Vec<_> = others
            .filter(|(_, mark)| held.env.values().any(|value| value.contains(mark)))
            .collect();
        assert!(given.is_empty(), "{agent} has {given:?}");
        seen.marks.push(("the token of a turn", token));
        arguments(&mut seen, &held.gate.display().to_string())?;
        seen.files(&daemon)?;
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
    seen.files(&daemon)?;
    assert_eq!(seen.leaks(&daemon), [("", ""); 0]);
    // It was looked where they are, too.
    let kept: Vec<&str> = seen.kept.iter().map(String::as_str).collect();
    assert!(
        kept.contains(&"credentials.json") && kept.contains(&"token") && kept.len() > 2,
        "{kept:?}"
    );
    // The vault has let the daemon in by its token.
    eventually("the agent in the vault is known", LIMIT, async || {
        Ok(daemon
            .agents()
            .await?
            .iter()
            .any(|agent| agent["name"] == "far")
            .then_some(()))
    })
    .await
}
