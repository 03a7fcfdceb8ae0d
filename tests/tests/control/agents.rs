//! Definitions that are changed over HTTP, and what agents have cost today.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::{get, note, patch, refusal, with_eng};

#[tokio::test]
async fn a_definition_is_changed_when_it_holds_together() -> Result<()> {
    let daemon = with_eng().await?;
    let change = json!({"prompt": "You test.", "metadata": {"model": "opus", "timeout_wall": "10m"}});
    let changed: Value = patch(&daemon, &["agents", "eng"], change).await?.ok()?;
    assert_eq!(
        (&changed["prompt_preview"], &changed["model"]),
        (&json!("You test."), &json!("opus"))
    );
    let change = json!({"metadata": {"model": null, "max_turns": 3}});
    patch(&daemon, &["agents", "eng"], change).await?.ok::<Value>()?;
    let shown = get(&daemon, &["agents", "eng"]).await?;
    assert_eq!(shown["prompt"], "You test.");
    assert_eq!(shown["settings"]["timeout_wall"]["seconds"], 600);
    assert_eq!(shown["settings"]["max_turns"]["value"], 3);
    assert_eq!(shown["settings"]["model"]["from"], "default");
    let written = note(&daemon, "Agents/eng").await?;
    assert_eq!(written["content"], "You test.");

    let wrong = json!({"prompt": "Other.", "metadata": {"timeout_wall": "soon", "mode": "odd"}});
    let reply = patch(&daemon, &["agents", "eng"], wrong).await?;
    assert_eq!(refusal(&reply), (400, "invalid_definition"));
    let told = reply.body["message"].as_str().context("a message")?;
    assert!(told.contains("timeout_wall") && told.contains("mode"), "{told}");
    assert_eq!(note(&daemon, "Agents/eng").await?["content"], "You test.");
    daemon.create_agent("ops", "You operate.").await?;
    let taken = patch(&daemon, &["agents", "eng"], json!({"metadata": {"name": "ops"}})).await?;
    assert_eq!(refusal(&taken), (409, "agent_exists"));
    let nobody = patch(&daemon, &["agents", "nobody"], json!({"prompt": "x"})).await?;
    assert_eq!(refusal(&nobody), (404, "unknown_agent"));

    let renamed = json!({"metadata": {"name": "tester"}});
    let renamed: Value = patch(&daemon, &["agents", "eng"], renamed).await?.ok()?;
    assert_eq!(renamed["name"], "tester");
    let agents = daemon.agents().await?;
    let names: Vec<&str> = agents.iter().filter_map(|agent| agent["name"].as_str()).collect();
    assert_eq!(names, ["ops", "tester"]);
    Ok(())
}

#[tokio::test]
async fn an_agent_tells_what_it_has_cost_today() -> Result<()> {
    let daemon = with_eng().await?;
    let cost = async || -> Result<(f64, f64)> {
        let eng = get(&daemon, &["agents", "eng"]).await?;
        let number = |key: &str| eng[key].as_f64().with_context(|| eng.to_string());
        Ok((number("cost_today_usd")?, number("cost_usd")?))
    };
    assert_eq!(cost().await?, (0.0, 0.0));
    let mut sum = 0.0;
    for _ in 0..2 {
        let sent = daemon.send("eng", "[[reply done]]").await?;
        sum += daemon.wait_turn("eng", &sent).await?.cost_usd;
    }
    let (today, all) = cost().await?;
    assert!(sum > 0.0 && (all - sum).abs() < 1e-9, "{all} is not {sum}");
    // Midnight may have passed between the two turns.
    assert!(today > 0.0 && today <= all + 1e-9, "{today} of {all}");
    Ok(())
}
