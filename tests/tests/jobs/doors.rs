//! Who may see and change jobs.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use serde_json::json;

use super::{add, with_eng};

#[tokio::test]
async fn ac_199_who_reads_sees_jobs_and_who_writes_changes_them() -> Result<()> {
    let daemon = with_eng().await?;
    add(&daemon, "j", json!({})).await?;
    let create = json!({
        "id": "k", "channel": "eng", "message": "x", "schedule": {"at": "2099-01-01T00:00:00Z"},
    });
    let create = create.to_string();
    for (verb, expected) in [
        ("read", [200, 200, 200, 403, 403, 403, 403]),
        ("write", [200, 200, 200, 200, 200, 200, 200]),
    ] {
        let asked = json!({"scopes": [format!("reveille:{verb}")]});
        let made = daemon
            .ask_in("POST", "/vault/default/tokens", asked.to_string().as_bytes())
            .await?;
        let token = made.json()?["token"].as_str().context("a token")?.to_owned();
        let bearer = format!("Bearer {token}");
        let mut statuses = Vec::new();
        for (method, target, body) in [
            ("GET", "/api/jobs", ""),
            ("GET", "/api/jobs/j", ""),
            ("GET", "/api/jobs/j/runs", ""),
            ("POST", "/api/jobs", create.as_str()),
            ("PATCH", "/api/jobs/j", r#"{"subject": "s"}"#),
            ("POST", "/api/jobs/j/run", ""),
            ("DELETE", "/api/jobs/j", ""),
        ] {
            let headers = [("authorization", bearer.as_str())];
            statuses.push(daemon.ask(method, target, &headers, body.as_bytes()).await?.status);
        }
        assert_eq!(statuses, expected, "{verb}");
    }
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
