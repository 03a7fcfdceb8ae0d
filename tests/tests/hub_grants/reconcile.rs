//! The hub is told what is live only when that is known.

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::LIMIT;
use reveille_tests::eventually;
use reveille_tests::hub::HubDouble;
use serde_json::{Value, json};

use super::{approve, define, edit, github, notes, reconciled, says, with_hub};

/// Waits until an agent was reconciled that often.
async fn times(hub: &HubDouble, agent: &str, count: usize) -> Result<Vec<Value>> {
    eventually(&format!("{agent} was reconciled {count} times"), LIMIT, async || {
        Ok(Some(reconciled(hub, agent)).filter(|told| told.len() >= count))
    })
    .await
}

#[tokio::test]
async fn ac_153_what_is_live_is_told_and_what_is_not_any_more_is_pruned() -> Result<()> {
    let hub = HubDouble::start()?;
    let daemon = with_hub(&hub).start().await?;
    let id = define(&daemon, "eng", "env:github, mcp:github, vault:notes:read").await?;
    let told = times(&hub, "eng", 1).await?;
    assert_eq!(told[0], json!([github(&["env", "mcp"]), notes()]));
    edit(&daemon, "eng", "vault:notes:read").await?;
    assert_eq!(times(&hub, "eng", 2).await?[1], json!([notes()]));
    edit(&daemon, "eng", "").await?;
    assert_eq!(times(&hub, "eng", 3).await?[2], json!([]));
    edit(&daemon, "eng", "env:github").await?;
    times(&hub, "eng", 4).await?;
    // Removed for sure.
    let target = format!("/vault/default/api/notes/{id}");
    assert_eq!(daemon.ask_in("DELETE", &target, b"").await?.status, 200);
    assert_eq!(times(&hub, "eng", 5).await?[4], json!([]));
    // It was told a moment before it does it.
    eventually("what is not live is pruned", LIMIT, async || {
        Ok(hub.grants("eng").is_empty().then_some(()))
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn ac_153_what_cannot_be_read_prunes_nothing() -> Result<()> {
    let hub = HubDouble::start()?;
    let mut daemon = with_hub(&hub).start().await?;
    define(&daemon, "eng", "env:github").await?;
    let before = times(&hub, "eng", 1).await?.len();
    edit(&daemon, "eng", "garbage").await?;
    says(&daemon, "eng", "error", "").await?;
    // Over a restart too: the note is there, and nobody knows what it wants.
    daemon.restart().await?;
    define(&daemon, "later", "env:github").await?;
    times(&hub, "later", 1).await?;
    assert!(
        reconciled(&hub, "eng")
            .iter()
            .skip(before)
            .all(|live| *live == json!([github(&["env"])]))
    );
    assert_eq!(hub.grants("eng").len(), 1);
    Ok(())
}

#[tokio::test]
async fn ac_153_a_reconcile_that_fails_is_no_failure_of_the_agent() -> Result<()> {
    let hub = HubDouble::start()?;
    hub.set_faults(|faults| faults.reconcile = Some(500));
    let daemon = with_hub(&hub).start().await?;
    define(&daemon, "eng", "env:github").await?;
    times(&hub, "eng", 1).await?;
    approve(
        &hub,
        "eng",
        "github",
        &json!({ "kind": "service", "token": "t", "inject": ["env"] }),
    )
    .await?;
    says(&daemon, "eng", "enabled", "").await?;
    Ok(())
}

#[tokio::test]
async fn ac_154_who_deletes_is_told_whether_the_grants_are_gone() -> Result<()> {
    let hub = HubDouble::start()?;
    let daemon = with_hub(&hub).start().await?;
    for (name, status, reconciled) in [("eng", None, true), ("ops", Some(500), false)] {
        let id = define(&daemon, name, "env:github").await?;
        times(&hub, name, 1).await?;
        hub.set_faults(|faults| faults.reconcile = status);
        let answer = daemon.ask_in("DELETE", &format!("/api/agent-defs/{id}"), b"").await?;
        let told = answer.json()?;
        assert_eq!(
            (answer.status, &told["grantsReconciled"], &told["removed"]),
            (200, &json!(reconciled), &json!(true))
        );
        assert!(daemon.agents().await?.iter().all(|agent| agent["name"] != name));
    }
    Ok(())
}
