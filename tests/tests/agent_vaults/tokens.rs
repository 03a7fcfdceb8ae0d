//! Tokens of added vaults that are not taken any more.

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{LIMIT, State};
use reveille_tests::eventually;
use reveille_tests::hub::HubDouble;
use reveille_tests::parachute::TOKEN;
use serde_json::json;

use super::{add, agent_is_there, builder, file, post, server, stands, with_hub};

const FIRST: &str = "minted-first-0123456789";
const SECOND: &str = "minted-second-0123456789";

#[tokio::test]
async fn a_minted_token_that_is_refused_is_minted_anew() -> Result<()> {
    let (hub, peer) = (HubDouble::start()?, server("notes", "eng")?);
    peer.set_token(FIRST);
    hub.mint_next(FIRST);
    let daemon = with_hub(&hub).start().await?;
    assert_eq!(
        post(&daemon, &json!({ "vault": "notes", "url": peer.url() }))
            .await?
            .status,
        201
    );
    agent_is_there(&daemon, "eng", true).await?;

    // The hub cannot be asked at first: then /health says why.
    hub.set_faults(|faults| faults.mint = Some((429, "rate_limited")));
    peer.set_token(SECOND);
    let told = eventually("the refusal of the hub is told", LIMIT, async || {
        let standing = super::standing(&daemon, "notes").await?;
        let reason = standing.and_then(|one| one["reason"].as_str().map(str::to_owned));
        Ok(reason.filter(|reason| reason.contains("rate_limited")))
    })
    .await?;
    assert!(told.contains("401"), "{told}");
    hub.mint_next(SECOND);
    hub.set_faults(|faults| faults.mint = None);
    stands(&daemon, "notes", "ready").await?;
    assert_eq!(file(&daemon)?["vaults"][0]["token"], SECOND);
    let sent = daemon.send("eng", "Hello").await?;
    assert_eq!(daemon.wait_turn("eng", &sent).await?.state, State::Ok);
    // One for the vault, one anew: none was asked for twice.
    assert_eq!(hub.minted().len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_minted_token_is_replaced_before_it_ends() -> Result<()> {
    let (hub, peer) = (HubDouble::start()?, server("notes", "eng")?);
    peer.set_token(FIRST);
    hub.mint_next(FIRST);
    hub.mint_next(FIRST);
    hub.set_token_life(4);
    let daemon = with_hub(&hub).start().await?;
    assert_eq!(
        post(&daemon, &json!({ "vault": "notes", "url": peer.url() }))
            .await?
            .status,
        201
    );
    hub.set_token_life(3600);
    eventually("a second one was minted", LIMIT, async || {
        Ok((hub.minted().len() == 2).then_some(()))
    })
    .await?;
    stands(&daemon, "notes", "ready").await?;
    Ok(())
}

#[tokio::test]
async fn a_token_that_was_handed_in_is_nobody_elses_to_replace() -> Result<()> {
    let (hub, peer) = (HubDouble::start()?, server("notes", "eng")?);
    let daemon = with_hub(&hub).start().await?;
    assert_eq!(add(&daemon, "notes", &peer, TOKEN).await?.status, 201);
    agent_is_there(&daemon, "eng", true).await?;
    peer.set_token(SECOND);
    let standing = eventually("it is told", LIMIT, async || {
        let standing = super::standing(&daemon, "notes").await?;
        Ok(standing.filter(|one| one["reason"].as_str().is_some_and(|reason| reason.contains("401"))))
    })
    .await?;
    assert!(!standing.to_string().contains(TOKEN), "{standing}");
    assert_eq!(hub.minted().len(), 0);
    Ok(())
}

#[tokio::test]
async fn the_tokens_of_a_file_from_elsewhere_are_renewed_too() -> Result<()> {
    let (hub, peer) = (HubDouble::start()?, server("notes", "eng")?);
    let mut daemon = with_hub(&hub).start().await?;
    daemon.stop().await?;
    let kept = json!({ "vaults": [{ "vault": "notes", "vaultUrl": peer.url(), "token": "ended-long-ago" }] });
    std::fs::write(daemon.state_dir().join(super::FILE), kept.to_string())?;
    hub.mint_next(TOKEN);
    daemon.start().await?;
    agent_is_there(&daemon, "eng", true).await?;
    assert_eq!(hub.minted().len(), 1);
    Ok(())
}

#[tokio::test]
async fn without_a_hub_a_refused_token_is_told() -> Result<()> {
    let peer = server("notes", "eng")?;
    let daemon = builder().start().await?;
    assert_eq!(add(&daemon, "notes", &peer, "wrong-token").await?.status, 201);
    let standing = stands(&daemon, "notes", "unavailable").await?;
    let reason = standing["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("401") && !reason.contains("wrong-token"), "{reason}");
    Ok(())
}
