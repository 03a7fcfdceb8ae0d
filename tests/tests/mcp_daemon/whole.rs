//! The tools of the whole daemon, by the official client over HTTP.

use std::time::Duration;

use anyhow::{Context as _, Result};
use pretty_assertions::{assert_eq, assert_ne};
use reveille_tests::daemon::LIMIT;
use reveille_tests::parachute::{Parachute, TOKEN, Version};
use reveille_tests::{Daemon, eventually};
use serde_json::{Value, json};

use super::official::Official;
use super::{house, token};

/// All tools, in their order.
const ALL: [&str; 15] = [
    "list_agents",
    "send",
    "delegate",
    "turn_status",
    "stop",
    "query-notes",
    "create-note",
    "update-note",
    "delete-note",
    "list-tags",
    "update-tag",
    "delete-tag",
    "find-path",
    "synthesize-notes",
    "vault-info",
];

#[tokio::test]
async fn the_server_says_what_it_is_and_what_it_has() -> Result<()> {
    let daemon = house().await?;
    let mut client = Official::http(&daemon, "/mcp", daemon.token()).await?;
    assert_eq!(client.hello["server"]["name"], "reveille");
    assert_eq!(client.hello["protocol"], "2025-11-25");
    let words = client.hello["instructions"].as_str().context("instructions")?;
    for word in ["delegate", "turn_status", "list_agents", "vault"] {
        assert!(words.contains(word), "{words}");
    }
    assert_eq!(client.tools().await?, ALL);
    let tools = client.ask("tools", json!({})).await?;
    for tool in tools.as_array().into_iter().flatten() {
        assert_eq!(tool["inputSchema"]["type"], "object", "{tool}");
        assert!(
            tool["description"].as_str().is_some_and(|text| text.len() > 20),
            "{tool}"
        );
    }
    assert!(client.ask("session", json!({})).await?.is_string());
    client.close().await
}

#[tokio::test]
async fn work_is_handed_on_and_its_outcome_comes_back() -> Result<()> {
    let daemon = house().await?;
    let mut client = Official::http(&daemon, "/mcp", daemon.token()).await?;
    let agents = client.told("list_agents", json!({})).await?;
    assert_eq!(
        (&agents[0]["name"], &agents[0]["status"]),
        (&json!("eng"), &json!("idle"))
    );

    let told = client
        .told("delegate", json!({ "agent": "eng", "text": "[[reply done]]" }))
        .await?;
    assert_eq!(
        (&told["state"], &told["reply"], &told["channel"]),
        (&json!("ok"), &json!("done"), &json!("eng"))
    );
    assert!(told["note"].is_string() && told.get("next").is_none(), "{told}");

    // How it went is asked later, by the turn that send told.
    let sent = client
        .told(
            "send",
            json!({ "agent": "eng", "text": "[[reply later]]", "subject": "x" }),
        )
        .await?;
    assert_eq!(sent["ok"], true);
    let status = json!({ "turn": sent["turn"], "wait_seconds": 60 });
    let told = client.told("turn_status", status).await?;
    assert_eq!((&told["turn"], &told["reply"]), (&sent["turn"], &json!("later")));

    // One that fails says why.
    let told = client
        .told("delegate", json!({ "agent": "eng", "text": "[[error too-long]]" }))
        .await?;
    assert_eq!(told["state"], "error", "{told}");
    assert!(
        told["error"]["message"].is_string() || told["error"].is_string(),
        "{told}"
    );
    client.close().await
}

#[tokio::test]
async fn the_same_key_is_the_same_message() -> Result<()> {
    let daemon = house().await?;
    let mut client = Official::http(&daemon, "/mcp", daemon.token()).await?;
    let send = json!({ "agent": "eng", "text": "once", "idempotency_key": "k" });
    let (one, two) = (
        client.told("send", send.clone()).await?,
        client.told("send", send).await?,
    );
    assert_eq!(one["turn"], two["turn"]);
    assert_eq!(
        daemon
            .messages("eng")
            .await?
            .iter()
            .filter(|message| message.text == "once")
            .count(),
        1
    );
    Ok(())
}

#[tokio::test]
async fn who_waits_hears_of_progress_and_can_stop_what_takes_long() -> Result<()> {
    let daemon = house().await?;
    let mut client = Official::http(&daemon, "/mcp", daemon.token()).await?;
    let long = json!({ "agent": "eng", "text": "[[sleep 10m]]", "wait_seconds": 600 });
    let call = client
        .begin(
            "call",
            json!({ "name": "delegate", "arguments": long, "progress": true }),
        )
        .await?;
    let heard = client.hear(|heard| heard["progress"]["message"] == "working").await?;
    assert_eq!(heard["progress"]["total"], 600);

    // Meanwhile others are answered.
    let agents = client.told("list_agents", json!({})).await?;
    let turn = agents[0]["running"]["turn"].clone();
    assert_eq!(agents[0]["status"], "working");
    let turn = match turn {
        Value::String(turn) => turn,
        _ => {
            let turns = daemon.ask_in("GET", "/api/turns?channel=eng", b"").await?.json()?;
            turns["turns"][0]["turn"].as_str().context("a turn")?.to_owned()
        }
    };
    let told = client.told("turn_status", json!({ "turn": turn })).await?;
    assert_eq!(told["state"], "working");
    assert!(
        told["next"].as_str().is_some_and(|next| next.contains("turn_status")),
        "{told}"
    );

    // One behind it waits; it is taken out of the line.
    let waits = client
        .told(
            "delegate",
            json!({ "agent": "eng", "text": "behind", "wait_seconds": 0 }),
        )
        .await?;
    assert_eq!(waits["state"], "waiting");
    let told = client.told("stop", json!({ "turn": waits["turn"] })).await?;
    assert_eq!(told["state"], "cancelled", "{told}");

    assert_eq!(
        client.told("stop", json!({ "turn": turn })).await?,
        json!({ "stopping": true })
    );
    let told = client.end(call).await?;
    let text = told["content"][0]["text"].as_str().context("a text")?;
    let told: Value = serde_json::from_str(text)?;
    assert_eq!(
        (&told["turn"], &told["state"]),
        (&json!(turn), &json!("cancelled")),
        "{told}"
    );
    let (code, _) = client.refused("stop", json!({ "turn": turn })).await?;
    assert_eq!(code, "not_running");
    client.close().await
}

#[tokio::test]
async fn to_stop_waiting_stops_nothing_else() -> Result<()> {
    let daemon = house().await?;
    let mut client = Official::http(&daemon, "/mcp", daemon.token()).await?;
    let gate = daemon.scratch().join("gate");
    let text = format!(
        "[[exec while ! test -e {}; do sleep 0.02; done]] [[reply after all]]",
        gate.display()
    );
    let long = json!({ "agent": "eng", "text": text, "wait_seconds": 600 });
    let told = client
        .ask("cancel", json!({ "name": "delegate", "arguments": long }))
        .await?;
    assert!(
        told.as_str().is_some_and(|told| told.contains("no longer wanted")),
        "{told}"
    );
    let turns = daemon.ask_in("GET", "/api/turns?channel=eng", b"").await?.json()?;
    let turn = turns["turns"][0]["turn"].clone();
    std::fs::write(gate, "")?;
    let told = client
        .told("turn_status", json!({ "turn": turn, "wait_seconds": 60 }))
        .await?;
    let reply = told["reply"].as_str().unwrap_or_default();
    assert!(reply.ends_with("after all"), "{told}");
    client.close().await
}

#[tokio::test]
async fn mistakes_are_told_to_the_model() -> Result<()> {
    let daemon = house().await?;
    let mut client = Official::http(&daemon, "/mcp", daemon.token()).await?;
    for (tool, arguments, code, word) in [
        (
            "send",
            json!({ "agent": "nobody", "text": "x" }),
            "unknown_agent",
            "nobody",
        ),
        (
            "send",
            json!({ "agent": "eng", "text": " " }),
            "invalid_request",
            "text",
        ),
        ("send", json!({ "text": "x" }), "invalid_request", "agent"),
        (
            "send",
            json!({ "agent": "eng", "text": "x", "reply_to": "nobody" }),
            "unknown_agent",
            "reply_to",
        ),
        (
            "send",
            json!({ "agent": "eng", "text": "x", "mode": "shout" }),
            "invalid_message",
            "followup",
        ),
        (
            "send",
            json!({ "agent": "eng", "text": "x", "when": "now" }),
            "invalid_request",
            "when",
        ),
        (
            "delegate",
            json!({ "agent": "eng", "text": "x", "wait_seconds": "long" }),
            "invalid_request",
            "wait_seconds",
        ),
        ("turn_status", json!({}), "invalid_parameter", "turn"),
        ("turn_status", json!({ "turn": "no-such" }), "unknown_turn", "no-such"),
        ("stop", json!({ "turn": "no-such" }), "unknown_turn", "no-such"),
        ("query-notes", json!({ "vault": "other" }), "invalid_request", "default"),
        ("query-notes", json!({ "vault": 7 }), "invalid_request", "vault"),
        ("no-such-tool", json!({}), "unknown_tool", "list_agents"),
        ("send-message", json!({}), "unknown_tool", "list_agents"),
    ] {
        let (told, words) = client.refused(tool, arguments.clone()).await?;
        assert_eq!(told, code, "{tool} {arguments}: {words}");
        assert!(words.contains(word), "{tool} {arguments}: {words}");
    }
    // Nothing was sent by any of them.
    assert_eq!(daemon.messages("eng").await?.len(), 0);
    client.close().await
}

#[tokio::test]
async fn notes_of_any_vault_are_read_and_written() -> Result<()> {
    let config = "[[vault]]\nname = \"work\"\n[[vault]]\nname = \"home\"\n";
    let daemon = Daemon::builder().stand_in().config(config).start().await?;
    let mut client = Official::http(&daemon, "/mcp", daemon.token()).await?;
    let tools = client.ask("tools", json!({})).await?;
    let query = tools
        .as_array()
        .into_iter()
        .flatten()
        .find(|tool| tool["name"] == "query-notes");
    let vault = &query.context("the tool")?["inputSchema"]["properties"]["vault"];
    assert_eq!(vault["enum"], json!(["work", "home"]));
    let note = |text: &str| json!({ "path": "Plan", "content": text });
    client.told("create-note", note("at work")).await?;
    let mut other = note("at home");
    other["vault"] = "home".into();
    client.told("create-note", other).await?;
    for (vault, content) in [
        (json!(null), "at work"),
        (json!("work"), "at work"),
        (json!("home"), "at home"),
    ] {
        let told = client
            .told("query-notes", json!({ "id": "Plan", "vault": vault }))
            .await?;
        assert_eq!(told["content"], content, "{vault}");
    }
    assert_eq!(
        client.told("vault-info", json!({ "vault": "home" })).await?["name"],
        "home"
    );
    client.close().await
}

#[tokio::test]
async fn tools_that_a_token_may_not_use_are_not_there() -> Result<()> {
    let daemon = house().await?;
    let notes = [
        "query-notes",
        "list-tags",
        "find-path",
        "synthesize-notes",
        "vault-info",
    ];
    for (scope, expected) in [
        ("vault:default:read", &notes[..]),
        ("reveille:read", &["list_agents", "turn_status"]),
        ("reveille:send", &["send", "delegate"]),
        (
            "reveille:write",
            &["list_agents", "send", "delegate", "turn_status", "stop"],
        ),
    ] {
        let token = token(&daemon, &[scope]).await?;
        let mut client = Official::http(&daemon, "/mcp", &token).await?;
        assert_eq!(client.tools().await?, expected, "{scope}");
        for (tool, needed) in [
            ("send", "reveille:send"),
            ("stop", "reveille:write"),
            ("turn_status", "reveille:read"),
        ] {
            if expected.contains(&tool) {
                continue;
            }
            let (code, words) = client
                .refused(tool, json!({ "agent": "eng", "text": "x", "turn": "x" }))
                .await?;
            assert!(
                code == "insufficient_scope" && words.contains(needed),
                "{scope} {tool}: {code} {words}"
            );
        }
        // A channel is another matter: it needs to be read.
        let channel = Official::http(&daemon, "/mcp/eng", &token).await;
        assert_eq!(
            channel.is_ok(),
            ["reveille:read", "reveille:write"].contains(&scope),
            "{scope}"
        );
    }
    assert_eq!(daemon.messages("eng").await?.len(), 0);
    Ok(())
}

#[tokio::test]
async fn who_may_send_and_not_read_is_told_no_outcome() -> Result<()> {
    let daemon = house().await?;
    let sender = token(&daemon, &["reveille:send"]).await?;
    let mut client = Official::http(&daemon, "/mcp", &sender).await?;
    let told = client
        .told("delegate", json!({ "agent": "eng", "text": "[[reply secret]]" }))
        .await?;
    assert!(told["turn"].is_string() && told["note"].is_string(), "{told}");
    assert!(told.get("reply").is_none() && told.get("state").is_none(), "{told}");
    client.close().await
}

#[tokio::test]
async fn an_answer_that_is_on_its_way_to_the_vault_is_not_told_as_stuck() -> Result<()> {
    let peer = Parachute::start(Version::July)?;
    let config = format!(
        "[vault]\nkind = \"parachute\"\nurl = \"{}\"\npoll = \"1s\"\ntoken = \"${{PARACHUTE_TOKEN}}\"\n",
        peer.url()
    );
    let daemon = Daemon::builder()
        .stand_in()
        .env("PARACHUTE_TOKEN", TOKEN)
        .config(&config)
        .start()
        .await?;
    eventually("the vault is read", LIMIT, async || {
        let nobody = daemon.ask_in("GET", "/api/agents/nobody", b"").await?;
        Ok((nobody.status == 404).then_some(()))
    })
    .await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    // Longer than it takes until the turn is looked at again.
    peer.set_faults(|faults| faults.delay = Duration::from_millis(300));
    let mut client = Official::http(&daemon, "/mcp", daemon.token()).await?;
    for _ in 0..3 {
        let work = json!({ "agent": "eng", "text": "[[reply done]]" });
        let told = client.told("delegate", work).await?;
        assert_eq!((&told["state"], &told["reply"]), (&json!("ok"), &json!("done")));
        assert_ne!(told["undelivered"], json!(true), "{told}");
    }
    client.close().await
}
