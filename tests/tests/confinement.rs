//! What agents get of what their definitions ask for, and what people are told of it. Linux only: elsewhere there is nothing
//! to try it with.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![forbid(unsafe_code)]

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT, State, Turn};
use reveille_tests::eventually;
use serde_json::{Value, json};

async fn get(daemon: &Daemon, path: &[&str]) -> Result<Value> {
    daemon.request(Method::GET, path, None).await?.ok()
}

async fn define(daemon: &Daemon, name: &str, metadata: Value) -> Result<()> {
    let body = json!({ "name": name, "prompt": "You do.", "metadata": metadata });
    let made = daemon.request(Method::POST, &["api", "agents"], Some(&body)).await?;
    assert_eq!(made.status, 201, "{}", made.body);
    Ok(())
}

/// What a command of a turn says. It has to end well.
async fn said(daemon: &Daemon, agent: &str, command: &str) -> Result<(Turn, String)> {
    let sent = daemon.send(agent, &format!("[[exec {command}]]")).await?;
    let turn = daemon.wait_turn(agent, &sent).await?;
    assert_eq!(turn.state, State::Ok, "{turn:?}");
    let reply = turn.reply.clone().context("a reply")?;
    Ok((turn, reply))
}

#[tokio::test]
async fn d_8_what_is_above_the_ceiling_is_told_everywhere_and_the_agent_runs_at_the_ceiling() -> Result<()> {
    let config = "[sandbox]\nmounts = [\"SCRATCH/open\"]\nnetwork = \"proxied\"\n";
    let daemon = Daemon::builder().stand_in().confined().config(config).start().await?;
    let at = |name: &str| daemon.scratch().join(name).display().to_string();
    for dir in ["open", "closed"] {
        std::fs::create_dir(at(dir))?;
        std::fs::write(format!("{}/file", at(dir)), format!("content of {dir}"))?;
    }
    let mount = |dir: &str| json!({"hostPath": at(dir), "mountPath": at(dir), "mode": "ro"});
    let asks = json!({"filesystem": "full", "network": "open", "workspace": at("closed"),
        "mounts": [mount("open"), mount("closed")]});
    define(&daemon, "asks", asks).await?;
    define(
        &daemon,
        "modest",
        json!({"filesystem": "workspace", "network": "restricted"}),
    )
    .await?;

    let agent = get(&daemon, &["api", "agents", "asks"]).await?;
    let lowered = agent["lowered"].as_array().context("a list")?;
    let keys: Vec<&Value> = lowered.iter().map(|one| &one["key"]).collect();
    assert_eq!(keys, ["filesystem", "network", "workspace", "mounts"]);
    assert_eq!(
        get(&daemon, &["api", "agents", "modest"]).await?["lowered"],
        Value::Null
    );
    eventually("the note says that it waits for the operator", LIMIT, async || {
        let note = daemon.note("Agents/asks").await?.context("the note")?;
        let (status, pending) = (&note["metadata"]["status"], note["metadata"]["pending"].as_str());
        Ok((status == "pending" && pending.is_some_and(|text| text.contains("network:open"))).then_some(()))
    })
    .await?;
    let shown = daemon.run(["agent", "show", "asks"]).await?.stdout;
    assert!(shown.contains("network open is proxied"), "{shown}");
    let health = get(&daemon, &["health"]).await?;
    assert_eq!(health["sandbox"]["lowered"], json!(["asks"]));
    assert_eq!(health["sandbox"]["confined"], true);

    let script = format!(
        "cat {}/file; cat {}/file || echo nothing of that; cat {} || echo no token; pwd",
        at("open"),
        at("closed"),
        daemon.state_dir().join("token").display()
    );
    let (turn, reply) = said(&daemon, "asks", &script).await?;
    assert!(
        reply.contains("content of open") && !reply.contains("content of closed"),
        "{reply}"
    );
    assert!(
        reply.contains("nothing of that") && reply.contains("no token"),
        "{reply}"
    );
    assert!(reply.contains("/work") && !reply.contains(daemon.token()), "{reply}");
    let notices = turn.more["notices"].to_string();
    assert!(notices.contains("less than its definition asks for"), "{notices}");
    // It is told once.
    let (turn, _) = said(&daemon, "asks", "true").await?;
    assert_eq!(turn.more["notices"], json!([]));
    Ok(())
}

#[tokio::test]
async fn refused_connections_are_counted_and_told_with_the_mend() -> Result<()> {
    let daemon = Daemon::builder().stand_in().confined().start().await?;
    define(
        &daemon,
        "eng",
        json!({"network": "restricted", "egress": "allowed.invalid"}),
    )
    .await?;
    let script = "for url in http://other.invalid http://other.invalid http://allowed.invalid; do \
                  curl -s -m 10 -o /dev/null $url; done; curl -s $REVEILLE_URL/health; true";
    let (turn, reply) = said(&daemon, "eng", script).await?;
    // The daemon itself is reached without the proxy.
    assert!(reply.contains("\"status\""), "{reply}");
    assert_eq!(
        turn.more["egress"],
        json!([
            {"host": "other.invalid", "port": 80, "decision": "refused", "count": 2},
            {"host": "allowed.invalid", "port": 80, "decision": "failed", "count": 1},
        ])
    );
    let notices = turn.more["notices"].to_string();
    assert!(
        notices.contains("other.invalid:80 ×2") && notices.contains("`egress`") && !notices.contains("allowed"),
        "{notices}"
    );
    let sandbox = get(&daemon, &["api", "agents", "eng", "sandbox"]).await?;
    assert_eq!(sandbox["turns"][0]["connections"], turn.more["egress"]);
    assert_eq!(sandbox["network"], json!({"value": "restricted", "from": "definition"}));
    assert_eq!(sandbox["egress"], json!(["allowed.invalid"]));
    Ok(())
}

#[tokio::test]
async fn without_a_sandbox_no_turn_is_run() -> Result<()> {
    let tools = tempfile::tempdir()?;
    let daemon = Daemon::builder()
        .stand_in()
        .confined()
        .env("PATH", tools.path())
        .start()
        .await?;
    define(&daemon, "eng", json!({})).await?;
    let witness = daemon.scratch().join("witness");
    let sent = daemon
        .send("eng", &format!("[[exec touch {}]]", witness.display()))
        .await?;
    let turn = daemon.wait_turn("eng", &sent).await?;
    assert_eq!(turn.state, State::Error, "{turn:?}");
    let error = turn.error.context("an error")?;
    assert_eq!(error["code"], "sandbox");
    assert!(error["next_step"].to_string().contains("bubblewrap"), "{error}");
    assert!(!witness.exists());
    let health = get(&daemon, &["health"]).await?;
    assert_eq!(health["status"], "degraded");
    assert_eq!(health["dependencies"]["missing"], json!(["bwrap"]));
    assert_eq!(health["dependencies"]["sandbox"]["ok"], false);
    let doctor = daemon.run(["doctor"]).await?;
    assert_eq!(doctor.code, 1);
    assert!(
        doctor.stdout.contains("ERROR    sandbox: no turn can be run"),
        "{}",
        doctor.stdout
    );
    Ok(())
}

#[tokio::test]
async fn a_sandbox_that_works_is_shown_and_a_note_cannot_turn_it_off() -> Result<()> {
    let daemon = Daemon::builder().stand_in().confined().start().await?;
    define(&daemon, "eng", json!({"sandbox": "none", "mode": "single-threaded"})).await?;
    let tried = eventually("the sandbox was tried out", LIMIT, async || {
        let health = get(&daemon, &["health"]).await?;
        Ok(Some(health["dependencies"]["sandbox"].clone()).filter(Value::is_object))
    })
    .await?;
    assert_eq!(
        (&tried["ok"], &tried["seccomp"]),
        (&json!(true), &json!(true)),
        "{tried}"
    );
    let (_, reply) = said(&daemon, "eng", "touch /etc/reveille-was-here || echo held").await?;
    assert!(reply.contains("held"), "{reply}");
    let open = Daemon::builder().stand_in().start().await?;
    let health = get(&open, &["health"]).await?;
    assert_eq!(
        (&health["sandbox"]["mode"], &health["sandbox"]["confined"]),
        (&json!("none"), &json!(false))
    );
    assert!(open.log()?.contains("NOT confined"));
    Ok(())
}

#[tokio::test]
async fn w_3_what_an_agent_plants_in_its_home_harms_no_later_turn() -> Result<()> {
    let daemon = Daemon::builder().stand_in().confined().start().await?;
    define(&daemon, "eng", json!({})).await?;
    let plants = [
        "rm -rf $HOME/.claude; ln -s /etc $HOME/.claude",
        "rm -rf $HOME/.claude; mkfifo $HOME/.claude",
        "cd $HOME/.claude; rm -rf settings.json .claude.json; mkfifo settings.json; mkdir .claude.json; touch .claude.json/x",
        "cd $HOME/.claude; rm -rf projects; ln -s ../../../.. projects",
        "chmod 0 $HOME $TMPDIR",
    ];
    for plant in plants {
        said(&daemon, "eng", plant).await?;
        let (_, reply) = said(&daemon, "eng", "touch $TMPDIR/x $HOME/x && echo well").await?;
        assert!(reply.contains("well"), "{plant}: {reply}");
    }
    let (_, reply) = said(
        &daemon,
        "eng",
        "cd $HOME/../ctl && touch x; rm mcp.json; mv ../ctl ../x; true",
    )
    .await?;
    assert!(reply.contains("Read-only"), "{reply}");
    Ok(())
}
