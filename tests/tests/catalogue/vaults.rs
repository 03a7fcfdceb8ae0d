//! Vaults that agents live in, at runtime: `/api/agent-vaults`.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Builder, LIMIT};
use reveille_tests::hub::{HubDouble, TOKEN as OPERATOR};
use reveille_tests::parachute::{Parachute, TOKEN, Version};
use reveille_tests::{Daemon, eventually};
use serde_json::{Value, json};

use super::agent_defs::defs;
use super::{DEFINITION, asked, daemon, delete, each, get, list, post, refused, text};

const VAULTS: [&str; 2] = ["api", "agent-vaults"];

/// A daemon with one vault of its own, and a hub.
fn with_hub(hub: &HubDouble) -> Builder {
    let config = format!(
        "[vault]\nname = \"near\"\n[hub]\norigin = \"{}\"\ntoken = \"${{HUB_TOKEN}}\"\n",
        hub.url()
    );
    Daemon::builder().stand_in().env("HUB_TOKEN", OPERATOR).config(&config)
}

async fn vaults(daemon: &Daemon) -> Result<Vec<Value>> {
    let told: Value = get(daemon, &VAULTS).await?.ok()?;
    Ok(list(&told, "vaults")?.clone())
}

fn with_agent(name: &str) -> Result<Parachute> {
    let peer = Parachute::start(Version::July)?;
    let note =
        json!({ "path": "Agents/one", "content": "You help.", "tags": [DEFINITION], "metadata": { "name": name } });
    peer.write(&note).map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
    Ok(peer)
}

#[tokio::test]
async fn ac_170_171_181_a_vault_is_added_while_the_daemon_serves_and_is_there_after_a_restart() -> Result<()> {
    let (hub, peer) = (HubDouble::start()?, with_agent("far")?);
    let mut daemon = with_hub(&hub).start().await?;
    assert_eq!(each(&vaults(&daemon).await?, "vault"), ["near"]);
    hub.mint_next(TOKEN);
    let told = post(&daemon, &VAULTS, &json!({ "vault": "default", "url": peer.url() })).await?;
    assert_eq!(told.status, 201, "{told:?}");
    let made = &told.body["vault"];
    assert_eq!(
        json!([made["vault"], made["url"], made["tokenPresent"]]),
        json!(["default", peer.url(), true])
    );
    let asked_for = hub.log();
    let minted = asked_for
        .iter()
        .find(|asked| asked.line.contains("mint-token"))
        .context("a token is asked for")?;
    assert!(
        minted.let_in && minted.body["scope"] == "vault:default:write",
        "{minted:?}"
    );
    let live = async |daemon: &Daemon| {
        eventually("its agent is there", LIMIT, async || {
            Ok((each(&defs(daemon).await?, "name") == ["far"]).then_some(()))
        })
        .await
    };
    live(&daemon).await?;
    assert_eq!(asked(&daemon, "far", "[[reply here]]").await?, "here");
    assert_eq!(each(&vaults(&daemon).await?, "vault"), ["default", "near"]);
    daemon.restart().await?;
    live(&daemon).await?;
    assert_eq!(
        hub.log()
            .iter()
            .filter(|asked| asked.line.contains("mint-token"))
            .count(),
        1
    );
    // The token is in a file of its owner, and in no answer and no log.
    let said = format!("{:?}{}", vaults(&daemon).await?, daemon.log()?);
    assert!(!said.contains(TOKEN) && !said.contains(OPERATOR), "{said}");
    for file in daemon.files_with(TOKEN)? {
        use std::os::unix::fs::PermissionsExt as _;
        let file = daemon.state_dir().join(file);
        assert_eq!(
            std::fs::metadata(&file)?.permissions().mode() & 0o077,
            0,
            "{}",
            file.display()
        );
    }

    let removed: Value = delete(&daemon, &["api", "agent-vaults", "default"]).await?.ok()?;
    assert_eq!(
        json!([removed["ok"], removed["vault"], removed["removed"]]),
        json!([true, "default", true])
    );
    eventually("its agent is gone", LIMIT, async || {
        Ok(defs(&daemon).await?.is_empty().then_some(()))
    })
    .await?;
    assert_eq!(
        peer.notes().iter().filter(|note| note.tags == [DEFINITION]).count(),
        1,
        "the note stays"
    );
    daemon.restart().await?;
    assert_eq!(each(&vaults(&daemon).await?, "vault"), ["near"]);
    Ok(())
}

#[tokio::test]
async fn ac_171_181_what_cannot_be_added_is_refused_and_nothing_changes() -> Result<()> {
    let hub = HubDouble::start()?;
    let daemon = with_hub(&hub).start().await?;
    for (body, words) in [
        (json!({}), &[][..]),
        (json!({ "vault": "" }), &["name"]),
        (json!({ "vault": "two words" }), &["two words"]),
        (json!({ "vault": "../up" }), &["../up"]),
        (json!({ "vault": 7 }), &[]),
        (json!({ "vault": "x", "url": 7 }), &[]),
        (json!({ "vault": "x", "url": "ftp://127.0.0.1" }), &["url"]),
        (json!({ "vault": "near" }), &["near"]),
        (json!([]), &[]),
    ] {
        refused(&post(&daemon, &VAULTS, &body).await?, 400, words).with_context(|| body.to_string())?;
    }
    assert_eq!(
        hub.log()
            .iter()
            .filter(|asked| asked.line.contains("mint-token"))
            .count(),
        0
    );
    for status in [400, 403, 429] {
        hub.set_faults(|faults| faults.mint = Some((status, "invalid_scope")));
        let told = post(&daemon, &VAULTS, &json!({ "vault": "other" })).await?;
        refused(&told, status, &[])?;
    }
    hub.kill();
    let told = post(&daemon, &VAULTS, &json!({ "vault": "other" })).await?;
    refused(&told, 502, &[])?;
    assert_eq!(each(&vaults(&daemon).await?, "vault"), ["near"]);

    let unknown: Value = delete(&daemon, &["api", "agent-vaults", "nowhere"]).await?.ok()?;
    assert_eq!(unknown["removed"], json!(false));
    refused(&delete(&daemon, &["api", "agent-vaults", "near"]).await?, 400, &[])?;
    assert_eq!(each(&vaults(&daemon).await?, "vault"), ["near"]);
    Ok(())
}

#[tokio::test]
async fn ac_181_the_doors_of_vaults() -> Result<()> {
    let daemon = daemon().await?;
    for (method, target) in [
        ("GET", "/api/agent-vaults"),
        ("POST", "/api/agent-vaults"),
        ("DELETE", "/api/agent-vaults/default"),
    ] {
        assert_eq!(
            daemon.ask(method, target, &[], b"{}").await?.status,
            401,
            "{method} {target}"
        );
    }
    let [own] = &vaults(&daemon).await?[..] else {
        panic!("one vault")
    };
    assert_eq!(text(own, "vault"), "default");
    // Without a hub there is nobody to ask for a token.
    refused(
        &post(&daemon, &VAULTS, &json!({ "vault": "other" })).await?,
        400,
        &["hub"],
    )?;
    Ok(())
}
