//! Thread notes as a source of agents, which is off unless it is asked for.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT};
use reveille_tests::eventually;
use serde_json::{Value, json};

use super::agent_defs::{def, defs};
use super::{asked, defined, delete, each, get, list, listed, meta, shown, stamped, text};

const THREAD: [&str; 1] = ["agent/thread"];

async fn with(discovery: &str) -> Result<Daemon> {
    let config = format!("[definitions]\ndiscovery = \"{discovery}\"\n");
    Daemon::builder().stand_in().config(&config).start().await
}

async fn thread(daemon: &Daemon, path: &str, metadata: &Value) -> Result<Value> {
    daemon.note_put(path, "What we are about.", &THREAD, metadata).await
}

async fn names_are(daemon: &Daemon, expected: &[&str]) -> Result<()> {
    let mut last = Vec::new();
    let what = format!("the agents are {expected:?}");
    let found = eventually(&what, LIMIT, async || {
        last = defs(daemon).await?;
        Ok((each(&last, "name") == expected).then_some(()))
    });
    found.await.with_context(|| format!("{last:?}"))
}

#[tokio::test]
async fn ac_166_what_is_taken_for_agents_is_a_setting() -> Result<()> {
    for (value, expected) in [
        (None, &["defined"][..]),
        (Some(""), &["defined"]),
        (Some("both"), &["defined", "threaded"]),
        (Some("DEF"), &["defined"]),
        (Some(" Thread "), &["threaded"]),
    ] {
        let mut builder = Daemon::builder().stand_in();
        if let Some(value) = value {
            builder = builder.env("PARACHUTE_AGENT_DISCOVERY", value);
        }
        let daemon = builder.start().await?;
        thread(&daemon, "Threads/threaded/threaded", &json!({ "agent": "threaded" })).await?;
        super::define(&daemon, "Agents/defined", "You help.", &json!({ "name": "defined" })).await?;
        names_are(&daemon, expected)
            .await
            .with_context(|| format!("{value:?}"))?;
    }
    Ok(())
}

#[tokio::test]
async fn ac_160_161_162_165_a_thread_is_an_agent_without_a_role() -> Result<()> {
    let daemon = with("both").await?;
    let bare = thread(&daemon, "Threads/pm/pm", &json!({ "agent": "pm", "status": "error" })).await?;
    let full = json!({
        "agent": "eng", "mode": "one-shot", "model": "opus", "network": "restricted", "filesystem": "full", "egress": "a.example",
        "workspace": "/tmp", "token": "smuggled-s3cret",
    });
    let full = thread(&daemon, "Threads/eng/eng", &full).await?;
    names_are(&daemon, &["eng", "pm"]).await?;
    let pm = def(&daemon, "pm").await?;
    assert_eq!(
        json!([
            pm["noteId"],
            pm["source"],
            pm["mode"],
            pm["backend"],
            pm["vault"],
            pm["systemPromptPreview"],
            pm["channel"]
        ]),
        json!([
            bare["id"],
            "thread",
            "single-threaded",
            "programmatic",
            "default",
            "",
            "pm"
        ])
    );
    let eng = def(&daemon, "eng").await?;
    assert_eq!(
        json!([eng["source"], eng["mode"], eng["model"]]),
        json!(["thread", "multi-threaded", "opus"])
    );
    let agent = shown(&daemon, "eng").await?;
    for (key, value) in [
        ("network", json!("restricted")),
        ("filesystem", json!("full")),
        ("egress", json!(["a.example"])),
    ] {
        assert_eq!(
            json!([agent["settings"][key]["value"], agent["settings"][key]["from"]]),
            json!([value, "definition"]),
            "{key}"
        );
    }
    assert!(!format!("{agent}{eng}").contains("smuggled"));
    assert_eq!(asked(&daemon, "pm", "[[reply here]]").await?, "here");
    // The note says nothing that its turns do not say.
    let note = daemon.note(text(&full, "id")).await?.context("the thread")?;
    assert_eq!(
        (&note["metadata"]["status"], &note["metadata"]["pending"]),
        (&Value::Null, &Value::Null)
    );
    Ok(())
}

#[tokio::test]
async fn ac_163_164_168_what_is_disabled_or_wrong_is_no_agent() -> Result<()> {
    let daemon = with("both").await?;
    for (path, metadata) in [
        (
            "Threads/a",
            json!({ "agent": "off", "agent_status": "disabled", "status": "ok" }),
        ),
        ("Threads/b", json!({})),
        ("Threads/c", json!({ "agent": "two words" })),
        ("Threads/d", json!({ "agent": "magic", "backend": "magic" })),
        ("Threads/e", json!({ "agent": "greedy", "wants": "garbage" })),
        ("Threads/f", json!({ "agent": "chaotic", "mode": "chaos" })),
        (
            "Threads/on",
            json!({ "agent": "on", "agent_status": "Disabled?", "status": "error" }),
        ),
    ] {
        thread(&daemon, path, &metadata).await?;
    }
    names_are(&daemon, &["on"]).await?;
    super::feed_comes_round(&daemon, "on").await?;
    names_are(&daemon, &["on"]).await?;
    for path in ["Threads/a", "Threads/c", "Threads/d", "Threads/e"] {
        let note = daemon.note(path).await?.context("the thread")?;
        assert_eq!(note["metadata"].get("status_detail"), None, "{note}");
    }
    let connections: Value = get(&daemon, &["api", "connections"]).await?.ok()?;
    assert_eq!(connections["connections"], json!([]));
    // One that is switched off goes; one that is switched on comes.
    thread(&daemon, "Threads/on", &json!({ "agent_status": "disabled" })).await?;
    thread(&daemon, "Threads/a", &json!({ "agent_status": "" })).await?;
    names_are(&daemon, &["off"]).await
}

#[tokio::test]
async fn ac_155_167_a_definition_goes_before_a_thread() -> Result<()> {
    let daemon = with("both").await?;
    let note = thread(&daemon, "Threads/pm/pm", &json!({ "agent": "pm" })).await?;
    names_are(&daemon, &["pm"]).await?;
    assert_eq!(text(&def(&daemon, "pm").await?, "source"), "thread");
    let made = defined(&daemon, "pm", "You plan.", &json!({}), "enabled").await?;
    let pm = def(&daemon, "pm").await?;
    assert_eq!(json!([pm["source"], pm["noteId"]]), json!(["def", made["id"]]));
    names_are(&daemon, &["pm"]).await?;
    assert_eq!(asked(&daemon, "pm", "[[reply here]]").await?, "here");
    // Without its definition the agent is gone: what its turns left behind does not bring it back.
    delete(&daemon, &["vault", "default", "api", "notes", "Agents/pm"])
        .await?
        .ok::<Value>()?;
    names_are(&daemon, &[]).await?;
    defined(&daemon, "other", "You help.", &json!({}), "enabled").await?;
    super::feed_comes_round(&daemon, "other").await?;
    names_are(&daemon, &["other"]).await?;
    assert!(daemon.note(text(&note, "id")).await?.is_some());
    Ok(())
}

#[tokio::test]
async fn ac_167_168_a_thread_that_goes_takes_its_agent_along() -> Result<()> {
    let daemon = with("both").await?;
    thread(
        &daemon,
        "Threads/pm/pm",
        &json!({ "agent": "pm", "wants": "env:github" }),
    )
    .await?;
    names_are(&daemon, &["pm"]).await?;
    let wants = async |expected: &[&str]| {
        let what = format!("pm wants {expected:?}");
        eventually(&what, LIMIT, async || {
            let told: Value = get(&daemon, &["api", "connections"]).await?.ok()?;
            let all = list(&told, "connections")?;
            Ok((each(all, "key") == expected && all.iter().all(|it| it["holder"] == "pm")).then_some(()))
        })
        .await
    };
    wants(&["env:github"]).await?;
    let note = daemon.note("Threads/pm/pm").await?.context("the thread")?;
    assert_eq!(meta(&note, "pending"), "");
    thread(&daemon, "Threads/pm/pm", &json!({ "wants": "" })).await?;
    wants(&[]).await?;
    delete(&daemon, &["vault", "default", "api", "notes", "Threads/pm/pm"])
        .await?
        .ok::<Value>()?;
    names_are(&daemon, &[]).await?;
    assert_eq!(listed(&daemon, "pm").await?, None);
    Ok(())
}

#[tokio::test]
async fn ac_167_only_threads_or_only_definitions() -> Result<()> {
    let daemon = with("threads").await?;
    thread(&daemon, "Threads/pm/pm", &json!({ "agent": "pm" })).await?;
    super::define(&daemon, "Agents/eng", "You help.", &json!({ "name": "eng" })).await?;
    super::define(&daemon, "Agents/pm", "You plan.", &json!({ "name": "pm" })).await?;
    names_are(&daemon, &["pm"]).await?;
    super::feed_comes_round(&daemon, "pm").await?;
    let pm = def(&daemon, "pm").await?;
    assert_eq!(json!([pm["source"], pm["systemPromptPreview"]]), json!(["thread", ""]));

    let daemon = with("definitions").await?;
    thread(&daemon, "Threads/pm/pm", &json!({ "agent": "pm" })).await?;
    defined(&daemon, "eng", "You help.", &json!({}), "enabled").await?;
    super::feed_comes_round(&daemon, "eng").await?;
    names_are(&daemon, &["eng"]).await?;
    stamped(&daemon, "Agents/eng", "enabled").await?;
    Ok(())
}
