//! Who may see and change jobs.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use serde_json::json;

use super::{add, job, with_eng};

#[tokio::test]
async fn ac_199_jobs_are_closed_to_tokens_of_a_vault() -> Result<()> {
    let daemon = with_eng().await?;
    add(&daemon, "j", json!({})).await?;
    let asked = json!({"scopes": ["vault:admin"]}).to_string();
    let made = daemon.ask_in("POST", "/vault/default/tokens", asked.as_bytes()).await?;
    let token = made.json()?["token"].as_str().context("a token")?.to_owned();
    let bearer = format!("Bearer {token}");
    for (method, target, needed) in [
        ("GET", "/api/jobs", "reveille:read"),
        ("GET", "/api/jobs/j", "reveille:read"),
        ("GET", "/api/jobs/j/runs", "reveille:read"),
        ("POST", "/api/jobs", "reveille:write"),
        ("PATCH", "/api/jobs/j", "reveille:write"),
        ("POST", "/api/jobs/j/run", "reveille:write"),
        ("POST", "/api/jobs/j/pause", "reveille:write"),
        ("DELETE", "/api/jobs/j", "reveille:write"),
    ] {
        let answer = daemon
            .ask(method, target, &[("authorization", bearer.as_str())], b"{}")
            .await?;
        let told = answer.json()?;
        assert_eq!(
            (answer.status, told["required_scope"].as_str()),
            (403, Some(needed)),
            "{method} {target}"
        );
    }
    assert_eq!(job(&daemon, "j").await?["status"], "enabled");
    Ok(())
}

#[tokio::test]
async fn a_turn_sees_jobs_and_cannot_change_them() -> Result<()> {
    let daemon = with_eng().await?;
    add(&daemon, "j", json!({})).await?;
    let curl = |method: &str, target: &str| {
        format!(
            "curl -s -o /dev/null -w '%{{http_code}} ' -X {method} -H \"Authorization: Bearer $REVEILLE_TOKEN\" \
             \"$REVEILLE_URL{target}\" >> {}/codes",
            daemon.scratch().display()
        )
    };
    let asked = [
        curl("GET", "/api/jobs"),
        curl("GET", "/api/jobs/j/runs"),
        curl("POST", "/api/jobs/j/run"),
        curl("DELETE", "/api/jobs/j"),
    ];
    let sent = daemon
        .send("eng", &format!("[[exec {}]] [[reply done]]", asked.join("; ")))
        .await?;
    daemon.wait_turn("eng", &sent).await?;
    let codes = std::fs::read_to_string(daemon.scratch().join("codes"))?;
    assert_eq!(codes.trim(), "200 200 403 403");
    Ok(())
}
