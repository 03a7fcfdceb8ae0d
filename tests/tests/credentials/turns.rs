//! What turns have of what is stored.

use std::collections::BTreeMap;

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT, State};
use reveille_tests::eventually;
use serde_json::{Value, json};

use super::{CLAUDE, ENV, Held, KEY, OAUTH, approve, done, env_of, file, notices, started};

const SIGNS_IN: [&str; 3] = ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"];

/// The credentials in an environment.
fn credentials(env: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    let all = env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    all.filter(|(name, _)| SIGNS_IN.contains(name)).collect()
}

async fn set(daemon: &Daemon, name: &str, value: &str, agent: Option<&str>) -> Result<()> {
    let body = json!({ "name": name, "value": value, "channel": agent });
    done(daemon, "POST", ENV, &body).await.map(drop)
}

async fn set_claude(daemon: &Daemon, agent: Option<&str>, token: &str) -> Result<()> {
    let target = agent.map_or(CLAUDE.to_owned(), |agent| format!("{CLAUDE}/{agent}"));
    done(daemon, "POST", &target, &json!({ "token": token }))
        .await
        .map(drop)
}

#[tokio::test]
async fn a_turn_has_its_layers_and_the_next_one_what_was_changed_meanwhile() -> Result<()> {
    let daemon = started().await?;
    for agent in ["eng", "ops"] {
        daemon.create_agent(agent, "You do as you are told.").await?;
    }
    set(&daemon, "SHARED", "for all", None).await?;
    set(&daemon, "BOTH", "for all", None).await?;
    set(&daemon, "BOTH", "of eng", Some("eng")).await?;
    set(&daemon, "LINES", "one\ntwo\n", Some("eng")).await?;
    set_claude(&daemon, None, KEY).await?;
    set_claude(&daemon, Some("eng"), OAUTH).await?;

    let held = Held::new(&daemon, "eng").await?;
    let names = ["SHARED", "BOTH", "LINES"].map(|name| held.has(name));
    assert_eq!(names, [Some("for all"), Some("of eng"), Some("one\ntwo\n")]);
    assert_eq!(credentials(&held.env), [("CLAUDE_CODE_OAUTH_TOKEN", OAUTH)]);
    let ops = env_of(&daemon, "ops").await?;
    assert_eq!(
        (ops.get("BOTH").map(String::as_str), ops.get("LINES")),
        (Some("for all"), None)
    );
    assert_eq!(credentials(&ops), [("ANTHROPIC_API_KEY", KEY)]);

    // What runs goes on with what it has; the next one has what is there then.
    set(&daemon, "BOTH", "new", Some("eng")).await?;
    done(&daemon, "DELETE", &format!("{CLAUDE}/eng"), &Value::Null).await?;
    assert_eq!(held.end(&daemon, "eng").await?.state, State::Ok);
    let next = env_of(&daemon, "eng").await?;
    assert_eq!(next.get("BOTH").map(String::as_str), Some("new"));
    assert_eq!(credentials(&next), [("ANTHROPIC_API_KEY", KEY)]);
    Ok(())
}

#[tokio::test]
async fn what_is_stored_goes_before_the_configuration_and_that_before_the_environment() -> Result<()> {
    let mut daemon = Daemon::builder()
        .stand_in()
        .env("CLAUDE_CODE_OAUTH_TOKEN", "of-the-daemon")
        .env("REVEILLE_CLAUDE__ENV__ANTHROPIC_API_KEY", "configured")
        .env("REVEILLE_CLAUDE__ENV__PLAIN", "configured")
        .env("REVEILLE_CLAUDE__ENV__GITHUB_TOKEN", "configured")
        .start()
        .await?;
    daemon
        .note_put(
            "Agents/eng",
            "You help.",
            &["agent/definition"],
            &json!({ "name": "eng", "wants": "env:github, env:other" }),
        )
        .await?;
    approve(&daemon, "eng", "env:github", "granted").await?;
    approve(&daemon, "eng", "env:other", "granted").await?;
    let before = env_of(&daemon, "eng").await?;
    assert_eq!(credentials(&before), [("ANTHROPIC_API_KEY", "configured")]);
    assert_eq!(
        (before["PLAIN"].as_str(), before["OTHER_TOKEN"].as_str()),
        ("configured", "granted")
    );

    set(&daemon, "PLAIN", "stored", None).await?;
    set(&daemon, "OTHER_TOKEN", "stored", None).await?;
    set_claude(&daemon, None, OAUTH).await?;
    let held = Held::new(&daemon, "eng").await?;
    assert_eq!(credentials(&held.env), [("CLAUDE_CODE_OAUTH_TOKEN", OAUTH)]);
    let names = ["PLAIN", "OTHER_TOKEN", "GITHUB_TOKEN"].map(|name| held.has(name));
    assert_eq!(names, [Some("stored"), Some("stored"), Some("configured")]);
    let turn = held.end(&daemon, "eng").await?;
    assert!(notices(&turn).contains("OTHER_TOKEN is set"), "{turn:?}");

    // It is there after a restart, and when it is gone the others count again.
    daemon.restart().await?;
    let after = env_of(&daemon, "eng").await?;
    assert_eq!(credentials(&after), [("CLAUDE_CODE_OAUTH_TOKEN", OAUTH)]);
    done(&daemon, "DELETE", CLAUDE, &Value::Null).await?;
    assert_eq!(
        credentials(&env_of(&daemon, "eng").await?),
        [("ANTHROPIC_API_KEY", "configured")]
    );
    Ok(())
}

#[tokio::test]
async fn w_14_what_was_planted_in_the_file_reaches_no_turn_and_is_told() -> Result<()> {
    let daemon = started().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    let planted = [
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_BASE_URL",
        "LD_PRELOAD",
        "NODE_OPTIONS",
        "HTTPS_PROXY",
        "PATH",
    ];
    let mut all: serde_json::Map<String, Value> = planted
        .iter()
        .map(|name| ((*name).to_owned(), json!("planted")))
        .collect();
    all.insert("GOOD".into(), "good".into());
    std::fs::write(file(&daemon), json!({ "env": { "default": all } }).to_string())?;
    let held = Held::new(&daemon, "eng").await?;
    assert_eq!(held.has("GOOD"), Some("good"));
    let given: Vec<_> = held.env.iter().filter(|(_, value)| *value == "planted").collect();
    assert!(given.is_empty(), "{given:?}");
    let told = notices(&held.end(&daemon, "eng").await?);
    assert!(planted.iter().all(|name| told.contains(name)), "{told}");
    let listed = done(&daemon, "GET", ENV, &Value::Null).await?;
    assert_eq!(listed["default"].as_array().map(Vec::len), Some(7), "{listed}");
    Ok(())
}

async fn is_paused(daemon: &Daemon, agent: &str) -> Result<bool> {
    let agents = daemon.agents().await?;
    Ok(agents
        .iter()
        .any(|one| one["name"] == agent && one["status"] == "paused"))
}

#[tokio::test]
async fn another_credential_of_an_agent_ends_its_wait_for_one_and_no_other() -> Result<()> {
    let daemon = started().await?;
    set_claude(&daemon, None, KEY).await?;
    for agent in ["also", "eng", "zed"] {
        daemon.create_agent(agent, "You do as you are told.").await?;
        let failed = daemon.send(agent, "[[error 401]]").await?;
        assert_eq!(daemon.wait_turn(agent, &failed).await?.state, State::Error);
        eventually("it waits", LIMIT, async || {
            Ok(is_paused(&daemon, agent).await?.then_some(()))
        })
        .await?;
    }
    let waiting = daemon.send("eng", "[[reply at last]]").await?;
    // A secret of turns is no credential.
    set(&daemon, "OTHER", "x", Some("zed")).await?;
    set_claude(&daemon, Some("eng"), OAUTH).await?;
    assert_eq!(daemon.wait_turn("eng", &waiting).await?.state, State::Ok);
    assert!(is_paused(&daemon, "also").await? && is_paused(&daemon, "zed").await?);
    // The one of all is that of the others.
    let waiting = daemon.send("zed", "[[reply at last]]").await?;
    set_claude(&daemon, None, &format!("{KEY}new")).await?;
    assert_eq!(daemon.wait_turn("zed", &waiting).await?.state, State::Ok);
    eventually("nobody waits", LIMIT, async || {
        Ok((!is_paused(&daemon, "also").await?).then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_credential_that_was_changed_while_the_old_one_was_refused_is_seen() -> Result<()> {
    let daemon = started().await?;
    set_claude(&daemon, None, KEY).await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    let [begun, gate] = ["begun", "gate"].map(|name| daemon.scratch().join(name));
    let text = format!(
        "[[exec touch {}; while ! test -e {}; do sleep 0.02; done]] [[error 401]]",
        begun.display(),
        gate.display()
    );
    let failing = daemon.send("eng", &text).await?;
    let next = daemon.send("eng", "[[reply at last]]").await?;
    // A turn counts as running before it takes its credential: not so its program.
    eventually("its program runs", LIMIT, async || Ok(begun.exists().then_some(()))).await?;
    set_claude(&daemon, None, OAUTH).await?;
    std::fs::write(&gate, "")?;
    assert_eq!(daemon.wait_turn("eng", &failing).await?.state, State::Error);
    assert_eq!(daemon.wait_turn("eng", &next).await?.state, State::Ok);
    Ok(())
}
