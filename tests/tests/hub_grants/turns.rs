//! What turns have of what the hub approves, and where it must not be.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{LIMIT, State};
use reveille_tests::hub::{self, HubDouble};
use reveille_tests::{Daemon, eventually};
use serde_json::json;

use super::{approve, define, edit, says, with_hub};

const GITHUB: &str = "ghp-hunter2hunter2-first";
const OTHER: &str = "cf-hunter2hunter2-second";

/// The environment of a turn's tools.
async fn environment(daemon: &Daemon, agent: &str) -> Result<String> {
    let file = daemon.scratch().join(uuid::Uuid::new_v4().simple().to_string());
    let text = format!("[[exec env >{0}.new && mv {0}.new {0}]]", file.display());
    let sent = daemon.send(agent, &text).await?;
    assert_eq!(daemon.wait_turn(agent, &sent).await?.state, State::Ok);
    let said = std::fs::read_to_string(&file).context("the turn has written its environment")?;
    std::fs::remove_file(file)?;
    Ok(said)
}

#[tokio::test]
async fn what_is_approved_is_in_the_turn_and_gone_in_the_next_one_after_a_revocation() -> Result<()> {
    let hub = HubDouble::start()?;
    let daemon = with_hub(&hub).start().await?;
    define(&daemon, "eng", "env:github, env:cloudflare").await?;
    says(&daemon, "eng", "pending", "env:github, env:cloudflare").await?;
    let before = environment(&daemon, "eng").await?;
    assert!(
        !before.contains("GITHUB_TOKEN") && !before.contains(hub::TOKEN),
        "{before}"
    );

    let service = |token: &str| json!({ "kind": "service", "token": token, "inject": ["env"] });
    approve(&hub, "eng", "github", &service(GITHUB)).await?;
    approve(&hub, "eng", "cloudflare", &service(OTHER)).await?;
    says(&daemon, "eng", "enabled", "").await?;
    let given = environment(&daemon, "eng").await?;
    assert!(given.contains(&format!("GITHUB_TOKEN={GITHUB}\n")), "{given}");
    assert!(given.contains(&format!("CLOUDFLARE_API_TOKEN={OTHER}\n")), "{given}");
    // A new token counts from the next turn on: it is asked for each time.
    approve(&hub, "eng", "github", &service("ghp-renewed")).await?;
    assert!(
        environment(&daemon, "eng")
            .await?
            .contains("GITHUB_TOKEN=ghp-renewed\n")
    );

    assert!(hub.revoke("eng", "github"));
    let after = environment(&daemon, "eng").await?;
    assert!(
        !after.contains("GITHUB_TOKEN") && after.contains("CLOUDFLARE_API_TOKEN"),
        "{after}"
    );
    Ok(())
}

#[tokio::test]
async fn a_hub_that_gives_nothing_now_costs_the_turn_only_that() -> Result<()> {
    let hub = HubDouble::start()?;
    let daemon = with_hub(&hub).start().await?;
    define(&daemon, "eng", "env:github").await?;
    says(&daemon, "eng", "pending", "env:github").await?;
    approve(
        &hub,
        "eng",
        "github",
        &json!({ "kind": "service", "token": GITHUB, "inject": ["env"] }),
    )
    .await?;
    says(&daemon, "eng", "enabled", "").await?;
    hub.set_faults(|faults| faults.material = Some(500));
    assert!(!environment(&daemon, "eng").await?.contains("GITHUB_TOKEN"));
    hub.set_faults(|faults| {
        faults.material = None;
        faults.hang = true;
    });
    assert!(!environment(&daemon, "eng").await?.contains("GITHUB_TOKEN"));
    hub.set_faults(|faults| faults.hang = false);
    assert!(environment(&daemon, "eng").await?.contains(GITHUB));
    Ok(())
}

#[tokio::test]
async fn w_20_a_token_for_the_hub_that_is_renewed_counts_at_once() -> Result<()> {
    let (hub, dir) = (HubDouble::start()?, tempfile::tempdir()?);
    let file = dir.path().join("operator.token");
    let renew = |token: &str| -> Result<()> {
        std::fs::write(&file, token)?;
        Ok(std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?)
    };
    renew("another-one")?;
    let daemon = Daemon::builder()
        .stand_in()
        .env("REVEILLE_GRANTS__BACKEND", "hub")
        .env("REVEILLE_HUB__ORIGIN", hub.url())
        .env("REVEILLE_HUB__TOKEN_FILE", &file)
        .start()
        .await?;
    define(&daemon, "eng", "env:github").await?;
    eventually("the hub has refused", LIMIT, async || {
        Ok(hub.log().iter().any(|asked| !asked.let_in).then_some(()))
    })
    .await?;
    assert!(hub.grants("eng").is_empty());

    renew(hub::TOKEN)?;
    edit(&daemon, "eng", "env:github, env:cloudflare").await?;
    let material = json!({ "kind": "service", "token": GITHUB, "inject": ["env"] });
    approve(&hub, "eng", "github", &material).await?;
    assert!(environment(&daemon, "eng").await?.contains(GITHUB));
    renew("another-one")?;
    assert!(!environment(&daemon, "eng").await?.contains(GITHUB));
    renew(hub::TOKEN)?;
    assert!(environment(&daemon, "eng").await?.contains(GITHUB));
    Ok(())
}

#[tokio::test]
async fn no_secret_of_the_hub_is_anywhere_else() -> Result<()> {
    let hub = HubDouble::start()?;
    hub.set_faults(|faults| faults.echo = true);
    let daemon = with_hub(&hub).env("REVEILLE_LOG__LEVEL", "debug").start().await?;
    define(&daemon, "eng", "env:github, mcp:https://m.example/mcp").await?;
    says(&daemon, "eng", "pending", "env:github, mcp:https://m.example/mcp").await?;
    approve(
        &hub,
        "eng",
        "github",
        &json!({ "kind": "service", "token": GITHUB, "inject": ["env"] }),
    )
    .await?;
    says(&daemon, "eng", "pending", "mcp:https://m.example/mcp").await?;
    assert!(environment(&daemon, "eng").await?.contains(GITHUB));
    for (put, list) in [(Some(403), None), (Some(500), Some(500))] {
        hub.set_faults(|faults| (faults.put, faults.list, faults.material) = (put, list, Some(403)));
        environment(&daemon, "eng").await?;
    }
    for secret in [hub::TOKEN, GITHUB] {
        assert!(!daemon.log()?.contains(secret));
        assert_eq!(daemon.files_with(secret)?, [""; 0]);
        for target in [
            "/api/connections",
            "/api/agents",
            "/health",
            "/vault/default/api/notes?include_content=true",
        ] {
            let answer = daemon.ask_in("GET", target, b"").await?;
            assert!(!String::from_utf8_lossy(&answer.body).contains(secret), "{target}");
        }
    }
    Ok(())
}
