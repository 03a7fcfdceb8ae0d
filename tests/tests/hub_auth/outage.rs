//! A hub that does not answer, or not as a hub does.

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::LIMIT;
use reveille_tests::eventually;
use reveille_tests::hub::{Faults, HubDouble};

use crate::{ask, reasons, status, with_hub};

/// What goes wrong with the hub.
type Mishap = fn(&mut Faults);

#[tokio::test]
async fn without_an_answer_nobody_is_let_in_by_a_token_of_the_hub() -> Result<()> {
    let cases: [(&str, Mishap, &str); 6] = [
        ("its keys fail", |faults| faults.keys = Some(500), "jwks"),
        (
            "its list fails",
            |faults| faults.revoked = Some(500),
            "revocation_unavailable",
        ),
        (
            "its list is not there",
            |faults| faults.revoked = Some(404),
            "revocation_unavailable",
        ),
        ("rubbish", |faults| faults.garble = true, "jwks"),
        ("too much", |faults| faults.flood = true, "jwks"),
        ("silence", |faults| faults.hang = true, "jwks"),
    ];
    for (name, fault, code) in cases {
        let hub = HubDouble::start()?;
        hub.set_faults(fault);
        let daemon = with_hub(&hub).start().await?;
        let answer = ask(&daemon, &hub.token("reveille:admin")?).await?;
        assert_eq!(answer.refusal()?, (401, "unauthorized".to_owned()), "{name}");
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!body.contains(&hub.url()) && !body.contains("500"), "{name}: {body}");
        assert!(
            reasons(&daemon)?.contains(&code.to_owned()),
            "{name}: {:?}",
            reasons(&daemon)?
        );
        assert_eq!(
            status(&daemon, daemon.token()).await?,
            200,
            "{name}: our own tokens hold"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_hub_that_comes_back_is_found() -> Result<()> {
    let hub = HubDouble::start()?;
    hub.set_faults(|faults| faults.revoked = Some(503));
    let daemon = with_hub(&hub).env("REVEILLE_HUB__REVOKED_TTL", "50ms").start().await?;
    let token = hub.token("reveille:read")?;
    assert_eq!(status(&daemon, &token).await?, 401);
    hub.set_faults(|faults| faults.revoked = None);
    eventually("the hub is asked again", LIMIT, async || {
        Ok((status(&daemon, &token).await? == 200).then_some(()))
    })
    .await
}

#[tokio::test]
async fn what_the_hub_said_before_counts_while_it_is_away_and_not_for_ever() -> Result<()> {
    let hub = HubDouble::start()?;
    let short = |builder: reveille_tests::daemon::Builder| {
        builder
            .env("REVEILLE_HUB__KEYS_TTL", "50ms")
            .env("REVEILLE_HUB__REVOKED_TTL", "50ms")
    };
    let patient = short(with_hub(&hub)).start().await?;
    let strict = short(with_hub(&hub)).env("REVEILLE_HUB__OUTAGE", "8s").start().await?;
    let token = hub.token("reveille:read")?;
    assert_eq!(
        (status(&patient, &token).await?, status(&strict, &token).await?),
        (200, 200)
    );
    hub.kill();
    eventually("what is kept is too old for one of them", LIMIT, async || {
        Ok((status(&strict, &token).await? == 401).then_some(()))
    })
    .await?;
    assert_eq!(status(&patient, &token).await?, 200);
    hub.restart().await?;
    eventually("the hub is asked again", LIMIT, async || {
        Ok((status(&strict, &token).await? == 200).then_some(()))
    })
    .await
}

#[tokio::test]
async fn the_doctor_says_whether_the_hub_answers() -> Result<()> {
    let hub = HubDouble::start()?;
    let daemon = with_hub(&hub).start().await?;
    let doctor = async || -> Result<serde_json::Value> {
        let ran = daemon.cli(["doctor", "--json"]).await?.output().await?;
        let checks: serde_json::Value = serde_json::from_slice(&ran.stdout)?;
        let mut checks = checks["checks"].as_array().into_iter().flatten();
        Ok(checks
            .find(|check| check["check"] == "hub")
            .cloned()
            .unwrap_or_default())
    };
    assert_eq!(doctor().await?["level"], "ok");
    hub.set_faults(|faults| faults.revoked = Some(500));
    let check = doctor().await?;
    assert_eq!(check["level"], "error");
    assert!(
        check["detail"].to_string().contains("revoked") && check["mend"].is_string(),
        "{check}"
    );
    Ok(())
}
