//! When the hub is asked for its keys, and how often.

use anyhow::Result;
use futures_util::future::try_join_all;
use pretty_assertions::assert_eq;
use reveille_tests::hub::HubDouble;
use reveille_tests::hub::keys::Key;
use serde_json::json;
use tokio::time::Instant;

use crate::{ask, status, with_hub};

#[tokio::test]
async fn who_shows_nothing_that_the_hub_may_have_signed_makes_nobody_ask_there() -> Result<()> {
    let hub = HubDouble::start()?;
    let daemon = with_hub(&hub).start().await?;
    let key = hub.key();
    let wrong = key.token(
        &json!({ "iss": "https://evil.example", "sub": "a", "jti": "b", "aud": "reveille", "exp": 4_000_000_000_u64 }),
    )?;
    for token in ["rubbish", "eyJ", "eyJ.x", "pvt_0123", "a.b.c", wrong.as_str()] {
        assert_eq!(status(&daemon, token).await?, 401, "{token}");
    }
    assert_eq!(daemon.ask("GET", "/api/agents", &[], b"").await?.status, 401);
    assert_eq!(hub.take_log(), []);
    Ok(())
}

#[tokio::test]
async fn many_that_come_at_once_make_one_question() -> Result<()> {
    let hub = HubDouble::start()?;
    let daemon = with_hub(&hub).start().await?;
    let token = hub.token("reveille:read")?;
    let answers = try_join_all((0..20).map(|_| ask(&daemon, &token))).await?;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(hub.take_log().len(), 2, "its keys, and what it has revoked");
    assert_eq!(status(&daemon, &token).await?, 200);
    assert_eq!(hub.take_log(), []);
    Ok(())
}

#[tokio::test]
async fn a_key_that_is_not_known_is_looked_for_once() -> Result<()> {
    let hub = HubDouble::start()?;
    let daemon = with_hub(&hub).start().await?;
    let old = hub.token("reveille:read")?;
    assert_eq!(status(&daemon, &old).await?, 200);
    hub.take_log();
    hub.rotate(Key::rsa("second", 1)?);
    let new = hub.token("reveille:read")?;
    let begun = Instant::now();
    assert_eq!(status(&daemon, &new).await?, 200, "the new key is found");
    assert_eq!(hub.key_fetches(), 1);
    // What it signed with before is gone.
    assert_eq!(status(&daemon, &old).await?, 401);
    // Names that nobody knows are many; the hub is not asked for each of them.
    for number in 0..40 {
        let stranger = Key::rsa(&format!("unknown-{number}"), 0)?;
        assert_eq!(
            status(&daemon, &stranger.token(&hub.claims("reveille:admin"))?).await?,
            401
        );
    }
    // It is asked each ten seconds at most, however long that took.
    let (fetches, seconds) = (hub.key_fetches(), begun.elapsed().as_secs());
    assert!(fetches as u64 <= 1 + seconds / 10, "{fetches} in {seconds} s");
    assert_eq!(status(&daemon, &new).await?, 200);
    Ok(())
}

#[tokio::test]
async fn a_key_that_was_replaced_under_its_name_is_found() -> Result<()> {
    let hub = HubDouble::start()?;
    let daemon = with_hub(&hub).start().await?;
    assert_eq!(status(&daemon, &hub.token("reveille:read")?).await?, 200);
    hub.rotate(Key::rsa("first", 1)?);
    assert_eq!(status(&daemon, &hub.token("reveille:read")?).await?, 200);
    Ok(())
}

#[tokio::test]
async fn keys_may_come_from_elsewhere_than_the_name_of_the_hub() -> Result<()> {
    let hub = HubDouble::start()?;
    let public = "https://hub.example";
    let daemon = with_hub(&hub)
        .env("REVEILLE_HUB__ORIGIN", public)
        .env("REVEILLE_HUB__KEYS_ORIGIN", hub.url())
        .start()
        .await?;
    let mut claims = hub.claims("reveille:read");
    assert_eq!(
        status(&daemon, &hub.key().token(&claims)?).await?,
        401,
        "that is not its name"
    );
    claims["iss"] = public.into();
    assert_eq!(status(&daemon, &hub.key().token(&claims)?).await?, 200);
    Ok(())
}
