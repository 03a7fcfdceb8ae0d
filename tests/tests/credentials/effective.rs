//! Which variables the turns of an agent have, and where each comes from.

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT};
use reveille_tests::eventually;
use serde_json::{Value, json};

use super::{CLAUDE, ENV, KEY, OAUTH, approve, done, env_of, file};

async fn shown(daemon: &Daemon, agent: &str) -> Result<Value> {
    done(daemon, "GET", &format!("/api/agents/{agent}/env"), &Value::Null).await
}

/// The sources of one variable, with a mark at those that do not count.
fn sources(shown: &Value, name: &str) -> Result<Vec<String>> {
    let rows = shown["env"]
        .as_array()
        .context("a list")?
        .iter()
        .filter(|row| row["name"] == name);
    Ok(rows
        .map(|row| {
            let mark = if row["overridden"] == true { "-" } else { "" };
            assert!(row.get("value").is_none(), "{row}");
            format!("{mark}{}", row["source"].as_str().unwrap_or_default())
        })
        .collect())
}

/// With connections of every kind, all but one approved.
async fn with_connections() -> Result<Daemon> {
    let daemon = Daemon::builder()
        .stand_in()
        .env("REVEILLE_CLAUDE__ENV__PLAIN", "hunter")
        .env("REVEILLE_CLAUDE__ENV__GITHUB_TOKEN", "hunter")
        .start()
        .await?;
    let wants = "env:github, env:pending, mcp:https://mcp.example/x, mcp:github, surface:site:read, env:only";
    daemon
        .note_put(
            "Agents/eng",
            "You help.",
            &["agent/definition"],
            &json!({ "name": "eng", "wants": wants }),
        )
        .await?;
    approve(&daemon, "eng", "env:only", "hunter").await?;
    approve(&daemon, "eng", "env+mcp:github", "hunter").await?;
    let body =
        json!({ "holder": "eng", "key": "surface:site:read", "token": "hunter", "url": "https://host.example/site" });
    let path = &["api", "connections", "approve"];
    daemon.request(Method::POST, path, Some(&body)).await?.ok::<Value>()?;
    Ok(daemon)
}

#[tokio::test]
async fn of_a_name_in_all_layers_the_one_that_counts_stands_first() -> Result<()> {
    let daemon = with_connections().await?;
    for body in [
        json!({ "name": "GITHUB_TOKEN", "value": "hunter" }),
        json!({ "name": "GITHUB_TOKEN", "value": "hunter", "channel": "eng" }),
        json!({ "name": "ONLY_TOKEN", "value": "hunter" }),
        json!({ "name": "MINE", "value": "hunter", "channel": "other" }),
    ] {
        done(&daemon, "POST", ENV, &body).await?;
    }
    let expected = ["channel", "-default", "-configuration", "-grant:github"];
    let all = eventually("the approvals are known", LIMIT, async || {
        let all = shown(&daemon, "eng").await?;
        let found = sources(&all, "GITHUB_TOKEN")?;
        Ok((found == expected).then_some(all))
    })
    .await?;
    assert_eq!(sources(&all, "ONLY_TOKEN")?, ["default", "-grant:only"]);
    assert_eq!(sources(&all, "PLAIN")?, ["configuration"]);
    assert_eq!(sources(&all, "PATH")?, ["daemon"]);
    assert_eq!(sources(&all, "MINE")?, [""; 0]);
    assert_eq!(sources(&all, "PENDING_TOKEN")?, [""; 0]);
    assert_eq!(sources(&all, "PARACHUTE_SURFACE_SITE_REMOTE")?, ["grant:site"]);
    assert_eq!(sources(&all, "GIT_ASKPASS")?, ["grant:site"]);
    assert!(all.get("note").is_none(), "{all}");
    let names: Vec<&str> = all["env"]
        .as_array()
        .context("a list")?
        .iter()
        .filter_map(|row| row["name"].as_str())
        .collect();
    assert!(names.is_sorted(), "{names:?}");
    // What it says is what a turn has.
    let env = env_of(&daemon, "eng").await?;
    let missing: Vec<_> = names.iter().filter(|name| !env.contains_key(**name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    Ok(())
}

#[tokio::test]
async fn w_28_a_service_for_tools_alone_has_no_variable() -> Result<()> {
    let daemon = Daemon::builder().stand_in().start().await?;
    daemon
        .note_put(
            "Agents/eng",
            "You help.",
            &["agent/definition"],
            &json!({ "name": "eng", "wants": "mcp:github" }),
        )
        .await?;
    approve(&daemon, "eng", "mcp:github", "hunter").await?;
    assert_eq!(sources(&shown(&daemon, "eng").await?, "GITHUB_TOKEN")?, [""; 0]);
    assert!(!env_of(&daemon, "eng").await?.contains_key("GITHUB_TOKEN"));
    Ok(())
}

#[tokio::test]
async fn of_the_credentials_those_of_one_source_count() -> Result<()> {
    let daemon = Daemon::builder()
        .stand_in()
        .env("REVEILLE_CLAUDE__ENV__ANTHROPIC_API_KEY", "hunter")
        .start()
        .await?;
    daemon.create_agent("eng", "You help.").await?;
    let both = async || -> Result<_> {
        let all = shown(&daemon, "eng").await?;
        Ok((
            sources(&all, "CLAUDE_CODE_OAUTH_TOKEN")?,
            sources(&all, "ANTHROPIC_API_KEY")?,
        ))
    };
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    assert_eq!(both().await?, (texts(&[]), texts(&["configuration"])));
    done(&daemon, "POST", CLAUDE, &json!({ "token": KEY })).await?;
    assert_eq!(both().await?, (texts(&[]), texts(&["default", "-configuration"])));
    done(&daemon, "POST", &format!("{CLAUDE}/eng"), &json!({ "token": OAUTH })).await?;
    assert_eq!(
        both().await?,
        (texts(&["channel"]), texts(&["-default", "-configuration"]))
    );
    Ok(())
}

#[tokio::test]
async fn an_agent_that_is_not_there_has_what_is_stored_for_it() -> Result<()> {
    let daemon = Daemon::builder().stand_in().start().await?;
    done(
        &daemon,
        "POST",
        ENV,
        &json!({ "name": "MINE", "value": "hunter", "channel": "later" }),
    )
    .await?;
    let all = shown(&daemon, "later").await?;
    assert_eq!(sources(&all, "MINE")?, ["channel"]);
    assert!(all["note"].as_str().context("a note")?.contains("no agent"), "{all}");
    std::fs::write(
        file(&daemon),
        json!({ "env": { "default": { "LD_PRELOAD": "hunter" } } }).to_string(),
    )?;
    let all = shown(&daemon, "later").await?;
    assert_eq!(
        (sources(&all, "LD_PRELOAD")?, &all["refused"]),
        (vec![], &json!(["LD_PRELOAD"]))
    );
    Ok(())
}

#[tokio::test]
async fn nobody_is_asked_for_a_secret_to_list_its_name() -> Result<()> {
    // A hub that nobody can reach.
    let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
    let hub = format!("http://{}", silent.local_addr()?);
    let daemon = Daemon::builder()
        .stand_in()
        .config("[grants]\nbackend = \"hub\"\n[hub]\nauth = false\nregister = false\ntoken = \"${HUB_TOKEN}\"\n")
        .env("HUB_TOKEN", "hunter")
        .env("REVEILLE_HUB__ORIGIN", hub)
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
    done(&daemon, "POST", ENV, &json!({ "name": "MINE", "value": "hunter" })).await?;
    eventually("the agent is there", LIMIT, async || {
        let all = shown(&daemon, "eng").await?;
        Ok(all.get("note").is_none().then_some(()))
    })
    .await?;
    let all = shown(&daemon, "eng").await?;
    assert_eq!(
        (sources(&all, "MINE")?, sources(&all, "GITHUB_TOKEN")?),
        (vec!["default".to_owned()], vec![])
    );
    Ok(())
}
