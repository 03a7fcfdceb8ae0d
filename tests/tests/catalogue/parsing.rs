//! What becomes of the keys of a definition, at the door: the note, what it says, and what the API says of the agent.

use anyhow::Result;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::{asked, daemon, define, defined, get, listed, meta, shown, stamped, text};

/// What a setting of an agent is, and where it comes from.
fn setting<'a>(agent: &'a Value, key: &str) -> (&'a Value, &'a str) {
    (&agent["settings"][key]["value"], text(&agent["settings"][key], "from"))
}

/// The keys that something is amiss with.
fn keys<'a>(agent: &'a Value, list: &str) -> Vec<&'a str> {
    agent[list]
        .as_array()
        .map(|list| super::each(list, "key"))
        .unwrap_or_default()
}

#[tokio::test]
async fn ac_108_109_a_bare_definition_has_the_defaults() -> Result<()> {
    let daemon = daemon().await?;
    let note = define(&daemon, "Team/the writer", "You write.\n", &json!({ "name": "writer" })).await?;
    stamped(&daemon, "Team/the writer", "enabled").await?;
    let agent = shown(&daemon, "writer").await?;
    assert_eq!(
        [text(&agent, "note_id"), text(&agent, "vault"), text(&agent, "prompt")],
        [text(&note, "id"), "default", "You write.\n"]
    );
    for (key, value) in [
        ("mode", "single-threaded"),
        ("filesystem", "workspace"),
        ("network", "open"),
        ("systemPromptMode", "append"),
    ] {
        assert_eq!(setting(&agent, key), (&json!(value), "default"), "{key}");
    }
    assert_eq!((keys(&agent, "problems"), keys(&agent, "warnings")), (vec![], vec![]));
    // Its channel is its name, and the text of the turn stands under the path of the note.
    let sent = daemon.send("writer", "[[reply here]]").await?;
    assert_eq!(daemon.wait_turn("writer", &sent).await?.reply.as_deref(), Some("here"));
    Ok(())
}

#[tokio::test]
async fn ac_110_111_114_118_129_every_key_is_read_and_no_other() -> Result<()> {
    let daemon = daemon().await?;
    let mounts = json!([
        { "hostPath": "/srv/data", "mountPath": "/data", "mode": "ro" },
        { "hostPath": "relative", "mountPath": "/data2", "mode": "ro" },
        { "hostPath": "/srv/x", "mountPath": "/x", "mode": "maybe" },
        "nothing",
    ]);
    let full = json!({
        "mode": "multi-threaded", "systemPromptMode": "replace", "model": "claude-opus-4-1:beta.2", "workspace": "/tmp",
        "filesystem": "full", "network": "restricted", "egress": "api.example.org, example.com  *.example.net",
        "mounts": mounts.to_string(), "uses": ["mail", "calendar"], "token": "smuggled-s3cret", "ANTHROPIC_API_KEY": "smuggled-key",
    });
    define(&daemon, "Agents/full", "You do all.", &with_name("full", &full)).await?;
    // `uses` name what nobody grants.
    let note = stamped(&daemon, "Agents/full", "pending").await?;
    assert!(
        meta(&note, "pending").contains("mail") && meta(&note, "pending").contains("calendar"),
        "{note}"
    );
    let agent = shown(&daemon, "full").await?;
    for (key, value) in [
        ("mode", json!("multi-threaded")),
        ("systemPromptMode", json!("replace")),
        ("model", json!("claude-opus-4-1:beta.2")),
        ("workspace", json!("/tmp")),
        ("filesystem", json!("full")),
        ("network", json!("restricted")),
        ("egress", json!(["api.example.org", "example.com", "*.example.net"])),
        ("uses", json!(["mail", "calendar"])),
    ] {
        assert_eq!(setting(&agent, key), (&value, "definition"), "{key}");
    }
    let kept = agent["settings"]["mounts"]["value"].to_string();
    assert!(
        kept.contains("/srv/data") && !kept.contains("relative") && !kept.contains("/srv/x"),
        "{kept}"
    );
    let everything = format!(
        "{agent}{}{}",
        get(&daemon, &["api", "agent-defs"]).await?.body,
        daemon.log()?
    );
    assert!(!everything.contains("smuggled"), "{everything}");
    // It runs regardless of what is missing.
    assert_eq!(asked(&daemon, "full", "[[reply runs]]").await?, "runs");
    Ok(())
}

fn with_name(name: &str, more: &Value) -> Value {
    let mut metadata = json!({ "name": name });
    super::merge(&mut metadata, more);
    metadata
}

#[tokio::test]
async fn ac_110_111_113_123_124_125_127_words_that_mean_the_same() -> Result<()> {
    let daemon = daemon().await?;
    for (at, (metadata, key, value)) in [
        (json!({ "mode": "single-threaded" }), "mode", json!("single-threaded")),
        (json!({ "mode": "multi-threaded" }), "mode", json!("multi-threaded")),
        (json!({ "mode": " resident " }), "mode", json!("single-threaded")),
        (json!({ "mode": "one-shot" }), "mode", json!("multi-threaded")),
        (json!({ "mode": "per-thread" }), "mode", json!("multi-threaded")),
        (json!({ "mode": "" }), "mode", json!("single-threaded")),
        (json!({ "model": "sonnet" }), "model", json!("sonnet")),
        (
            json!({ "egress": ["a.example", "b.example"] }),
            "egress",
            json!(["a.example", "b.example"]),
        ),
        (json!({ "egress": "a.example" }), "egress", json!(["a.example"])),
        (
            json!({ "network": "open", "filesystem": "workspace" }),
            "network",
            json!("open"),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("agent-{at}");
        defined(&daemon, &name, "You help.", &metadata, "enabled").await?;
        assert_eq!(setting(&shown(&daemon, &name).await?, key).0, &value, "{metadata}");
    }
    // Without a body there is nothing that could be appended or replace anything.
    defined(
        &daemon,
        "silent",
        " \n",
        &json!({ "systemPromptMode": "replace" }),
        "enabled",
    )
    .await?;
    assert_eq!(asked(&daemon, "silent", "[[reply runs]]").await?, "runs");
    Ok(())
}

#[tokio::test]
async fn ac_112_119_120_121_122_126_128_what_is_wrong_is_named_with_what_is_taken() -> Result<()> {
    let daemon = daemon().await?;
    let good = defined(&daemon, "good", "You are good.", &json!({}), "enabled").await?;
    for (at, (key, value, words)) in [
        ("name", json!("two words"), &["letters"][..]),
        ("name", json!(""), &[]),
        ("name", json!("a/b"), &[]),
        ("name", json!("\u{e4}gent"), &[]),
        ("name", json!("x".repeat(65)), &["64"]),
        ("model", json!("has space"), &[]),
        ("model", json!("-dash"), &[]),
        ("backend", json!("magic"), &["programmatic"]),
        ("backend", json!("interactive"), &["interactive", "programmatic"]),
        ("filesystem", json!("partial"), &["workspace", "full"]),
        ("network", json!("closed"), &["open", "restricted"]),
        ("mode", json!("chaos"), &["single-threaded", "multi-threaded"]),
        ("systemPromptMode", json!("prepend"), &["append", "replace"]),
        ("workspace", json!("relative/dir"), &["absolute"]),
    ]
    .into_iter()
    .enumerate()
    {
        let mut metadata = json!({ "name": format!("agent-{at}") });
        metadata[key] = value.clone();
        let path = format!("Agents/wrong-{at}");
        define(&daemon, &path, "You try.", &metadata).await?;
        let note = stamped(&daemon, &path, "error").await?;
        let detail = meta(&note, "status_detail");
        assert!(detail.contains(key), "{key} {value}: {detail}");
        for word in words {
            assert!(detail.contains(word), "{word} for {key} {value}: {detail}");
        }
        assert_eq!(
            listed(&daemon, &format!("agent-{at}"))
                .await?
                .is_some_and(|it| it["status"] != "error"),
            false
        );
    }
    assert_eq!(daemon.note("Agents/good").await?, Some(good));
    assert_eq!(asked(&daemon, "good", "[[reply still here]]").await?, "still here");
    Ok(())
}

#[tokio::test]
async fn every_problem_of_a_note_is_said_and_what_looks_misspelt_too() -> Result<()> {
    let daemon = daemon().await?;
    let wrong = json!({ "mode": "chaos", "network": "closed", "filesystem": "half", "timeout_idle": "soon", "max_turns": "many" });
    defined(&daemon, "many", "You try.", &wrong, "error").await?;
    let agent = shown(&daemon, "many").await?;
    let mut named = keys(&agent, "problems");
    named.sort_unstable();
    assert_eq!(named, ["filesystem", "max_turns", "mode", "network", "timeout_idle"]);
    for problem in super::list(&agent, "problems")? {
        assert!(!text(problem, "message").is_empty(), "{problem}");
    }

    let near = json!({ "modle": "sonnet", "time_out_idle": "1m", "colour": "red", "my-own-key": "x" });
    let note = defined(&daemon, "near", "You run.", &near, "enabled").await?;
    let agent = shown(&daemon, "near").await?;
    let mut warned = keys(&agent, "warnings");
    warned.sort_unstable();
    assert_eq!(warned, ["modle", "time_out_idle"]);
    let detail = meta(&note, "status_detail");
    assert!(detail.contains("modle") && detail.contains("model"), "{detail}");
    assert_eq!(asked(&daemon, "near", "[[reply runs]]").await?, "runs");
    Ok(())
}
