//! `reveille sandbox run --agent`: a command meets the walls that a turn of that agent meets, and none of its secrets.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT, Ran, State, run};
use reveille_tests::eventually;
use reveille_tests::ground::{Person, people};
use serde_json::{Value, json};

use crate::origin::Origin;

async fn started(person: Person, config: &str) -> Result<Daemon> {
    let daemon = Daemon::builder()
        .run_by(person)
        .confined()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("https_proxy", "http://me:canary-12@proxy.invalid:1")
        .stand_in()
        .config(config)
        .start()
        .await?;
    for name in ["open", "closed"] {
        let dir = daemon.scratch().join(name);
        std::fs::create_dir(&dir)?;
        std::fs::write(dir.join("file"), format!("content of {name}\n"))?;
        for path in [&dir, &dir.join("file")] {
            person.gets(path)?;
        }
    }
    Ok(daemon)
}

async fn define(daemon: &Daemon, name: &str, metadata: &Value) -> Result<()> {
    let body = json!({ "name": name, "prompt": "You do.", "metadata": metadata });
    let made = daemon.request(Method::POST, &["api", "agents"], Some(&body)).await?;
    ensure!(made.status == 201, "{}", made.body);
    // When that takes long, the daemon answers before it has read the note.
    eventually("the agent is there", LIMIT, async || {
        let shown = daemon.request(Method::GET, &["api", "agents", name], None).await?;
        Ok((shown.status == 200).then_some(()))
    })
    .await
}

/// Everything that can be told apart from inside.
fn script(daemon: &Daemon, allowed: &Origin, refused: &Origin) -> String {
    let at = |name: &str| daemon.scratch().join(name).display().to_string();
    let state = daemon.state_dir().display().to_string();
    let url = daemon.url();
    format!(
        "exec >\"$1\" 2>&1
cat {open}/file; cat {closed}/file; cat {state}/token; ls {state}/vaults; ls {closed}; ls /root /home /srv
touch /etc/x /usr/x {closed}/x || echo held
for target in {allowed} {refused}; do
  curl -s -m 60 -o /dev/null -w '%{{http_code}}\\n' --noproxy '' http://$target/
  curl -s -m 60 -o /dev/null -w '%{{http_code}}\\n' --noproxy '*' http://$target/
done
curl -s -m 60 -o /dev/null -w '%{{http_code}}\\n' {url}health
curl -s -m 9 --noproxy '*' http://1.1.1.1/ || echo direct $?
bash -c 'ulimit -n; ulimit -u; ulimit -c'
grep -e NoNewPrivs -e 'Seccomp:' -e CapBnd /proc/self/status
command -v claude curl python3
cd \"$HOME\" && touch it && cd \"$TMPDIR\" && touch it && echo own
echo end
",
        open = at("open"),
        closed = at("closed"),
        allowed = allowed.named(),
        refused = refused.named(),
    )
}

/// The names of the variables that a turn has and that the command does not: all that may be secret, and what is about the
/// turn and its program alone.
const WITHOUT: &str = "API_TIMEOUT_MS BASH_DEFAULT_TIMEOUT_MS BASH_MAX_TIMEOUT_MS CLAUDE_CODE_DISABLE_BACKGROUND_TASKS \
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC CLAUDE_CODE_EAGER_FLUSH CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS \
    CLAUDE_CODE_MAX_RETRIES DISABLE_AUTOUPDATER DISABLE_ERROR_REPORTING DISABLE_TELEMETRY OWN_SECRET REVEILLE_BIN REVEILLE_INSTANCE \
    REVEILLE_TEST_RUN REVEILLE_TOKEN REVEILLE_TURN REVEILLE_VAULT";

#[tokio::test]
async fn a_command_meets_the_walls_of_a_turn_and_none_of_its_secrets() -> Result<()> {
    for person in people() {
        let allowed = Origin::start("allowed", "127.0.0.1:0").await?;
        let refused = Origin::start("refused", "127.0.0.1:0").await?;
        let config = format!(
            "[sandbox]\nmounts = [\"SCRATCH/open\"]\negress = [\"{}\"]\n",
            allowed.named()
        );
        let daemon = started(person, &config).await?;
        let open = daemon.scratch().join("open").display().to_string();
        let mount = json!({"hostPath": open, "mountPath": open, "mode": "rw"});
        let egress = json!([allowed.named()]);
        std::fs::write(format!("{open}/try"), script(&daemon, &allowed, &refused))?;
        let store = daemon.cli(["secret", "set", "--agent", "narrow", "OWN_SECRET"]).await?;
        ensure!(run(store, "canary-11").await?.code == 0);
        for (name, metadata) in [
            (
                "narrow",
                json!({"network": "restricted", "mounts": [mount], "egress": egress}),
            ),
            ("public", json!({"network": "proxied", "mounts": [mount]})),
            ("wide", json!({"network": "open", "mounts": [mount]})),
        ] {
            define(&daemon, name, &metadata).await?;
            let (turn, own) = (format!("{open}/{name}-turn"), format!("{open}/{name}-own"));
            let text = format!("[[exec sh {open}/try {turn}; env > {turn}-env]]");
            let sent = daemon.send(name, &text).await?;
            let ended = daemon.wait_turn(name, &sent).await?;
            ensure!(ended.state == State::Ok, "{ended:?}");
            let command = format!("sh {open}/try {own}; env > {own}-env");
            let ran = daemon
                .run(["sandbox", "run", "--agent", name, "--", "sh", "-c", &command])
                .await?;
            ensure!(ran.code == 0, "{ran:?}");
            let (turn_said, own_said) = (std::fs::read_to_string(&turn)?, std::fs::read_to_string(&own)?);
            ensure!(
                turn_said.contains("content of open") && turn_said.ends_with("own\nend\n"),
                "{turn_said}"
            );
            assert_eq!(own_said, turn_said, "{person:?} {name}");
            ensure!(!turn_said.contains("content of closed") && !turn_said.contains(daemon.token()));
            if name == "narrow" {
                ensure!(turn_said.contains("200\n000\n403\n000\n200\ndirect"), "{turn_said}");
                ensure!(ran.stderr.contains("reveille: refused: 127.0.0.1:"), "{ran:?}");
            }
            let (turn_env, own_env) = (
                std::fs::read_to_string(format!("{turn}-env"))?,
                std::fs::read_to_string(format!("{own}-env"))?,
            );
            assert_eq!(turn_env.contains("canary-11"), name == "narrow");
            ensure!(
                !own_env.contains("canary-11") && !own_env.contains("TOKEN"),
                "{own_env}"
            );
            without_more(&turn_env, &own_env).with_context(|| format!("{person:?} {name}"))?;
        }
    }
    Ok(())
}

/// What the command has is what the turn has, but for [`WITHOUT`].
fn without_more(turn: &str, own: &str) -> Result<()> {
    let names = |text: &str| -> BTreeSet<String> {
        let names = text.lines().filter_map(|line| line.split_once('='));
        let of_shell = ["PWD", "OLDPWD", "SHLVL", "_", "IS_SANDBOX"];
        let names = names.map(|(name, _)| name.to_owned());
        names.filter(|name| !of_shell.contains(&name.as_str())).collect()
    };
    let expected: BTreeSet<String> = names(turn)
        .into_iter()
        .filter(|name| !WITHOUT.split_whitespace().any(|one| one == name))
        .collect();
    assert_eq!(names(own), expected);
    let value = |text: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.map(str::to_owned)
    };
    for name in ["PATH=", "LANG=", "REVEILLE_URL=", "TERM="] {
        assert_eq!(value(own, name), value(turn, name), "{name}");
    }
    Ok(())
}

async fn told(daemon: &Daemon, args: &[&str], code: i32, words: &[&str]) -> Result<Ran> {
    let args = [&["sandbox", "run"], args, &["--", "true"]].concat();
    let ran = daemon.run(&args).await?;
    let all = words.iter().all(|word| ran.stderr.contains(word));
    ensure!(ran.code == code && all, "{args:?}: {ran:?}");
    Ok(ran)
}

#[tokio::test]
async fn what_keeps_a_command_from_being_run_like_an_agent_is_told() -> Result<()> {
    let person = people().pop().context("somebody")?;
    let mut daemon = started(person, "[sandbox]\n").await?;
    define(&daemon, "eng", &json!({})).await?;
    define(&daemon, "far", &json!({"backend": "attached"})).await?;
    told(&daemon, &["--agent", "eng"], 0, &[]).await?;
    told(&daemon, &["--agent", "nobody"], 4, &["nobody"]).await?;
    told(&daemon, &["--agent", "../eng"], 4, &["../eng"]).await?;
    told(&daemon, &["--agent", "far"], 4, &["attached"]).await?;
    told(&daemon, &["--agent", "eng", "--network", "open"], 2, &["--network"]).await?;
    told(
        &daemon,
        &["--agent", "eng", "--url", "http://127.0.0.1:9"],
        2,
        &["this machine"],
    )
    .await?;
    // What only the person sees is not found, as in a turn.
    let ran = daemon
        .run(["sandbox", "run", "--agent", "eng", "--", "no-such-program"])
        .await?;
    ensure!(ran.code == 127 && ran.stderr.contains("no-such-program"), "{ran:?}");
    let ran = daemon
        .run(["sandbox", "run", "--agent", "eng", "--", "sh", "-c", "exit 7"])
        .await?;
    assert_eq!(ran.code, 7, "{ran:?}");

    // Who may only read is not told what is hidden.
    let path = ["api", "agents", "eng", "sandbox", "policy"];
    let body = json!({"scopes": ["reveille:read", "reveille:write"]});
    let made = daemon.request(Method::POST, &["api", "tokens"], Some(&body)).await?;
    let token = made.body["token"].as_str().context("a token")?.to_owned();
    for (token, words) in [(token.as_str(), "admin"), ("no-token", "token")] {
        let mut command = daemon.cli(["sandbox", "run", "--agent", "eng", "--", "true"]).await?;
        command.env("REVEILLE_TOKEN", token);
        let ran = run(command, "").await?;
        ensure!(ran.code == 4 && ran.stderr.contains(words), "{ran:?}");
    }
    let whole = daemon.request(Method::GET, &path, None).await?;
    ensure!(
        whole.status == 200 && !whole.body.to_string().contains("canary"),
        "{}",
        whole.body
    );
    if !person.is_root() && Person::default().is_root() {
        let mut command = daemon.cli(["sandbox", "run", "--agent", "eng", "--", "true"]).await?;
        command.uid(0).gid(0);
        let ran = run(command, "").await?;
        let user = format!("#{}", person.uid());
        ensure!(ran.code == 1 && ran.stderr.contains(&user), "{ran:?}");
    }

    daemon.stop().await?;
    told(&daemon, &["--agent", "eng"], 3, &["reveille serve", "--state-dir"]).await?;
    daemon.set_env("REVEILLE_SANDBOX__MODE", "none");
    daemon.start().await?;
    told(&daemon, &["--agent", "eng"], 4, &["not confined", "Nothing was run"]).await?;
    Ok(())
}
