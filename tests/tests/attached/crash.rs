//! Claims and answers over the sudden end of the daemon.

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::State;
use serde_json::{Value, json};

use super::{agent, answer, attach, next, outbound, pending, stand_in, until_pending, until_thread, with_eng};

#[tokio::test]
async fn a_claim_outlives_the_daemon() -> Result<()> {
    let mut daemon = with_eng().await?;
    let sent = daemon.send("eng", "one").await?;
    daemon.send("eng", "two").await?;
    let taken = next(&daemon, "eng").await?;
    daemon.kill9().await?;
    daemon.start().await?;
    assert_eq!(agent(&daemon, "eng").await?["claimed"][0]["ends_at"], taken["ends_at"]);
    assert_eq!(pending(&daemon, "eng").await?["count"], 1);
    until_thread(&daemon, &taken["thread"], "working").await?;
    let replied: Value = answer(&daemon, "eng", &taken, "Built.").await?.ok()?;
    let turn = daemon.wait_turn("eng", &sent).await?;
    assert_eq!((turn.state, turn.reply.as_deref()), (State::Ok, Some("Built.")));
    assert_eq!(turn.more["note"], replied["id"]);
    assert_eq!(next(&daemon, "eng").await?["text"], "two");
    Ok(())
}

#[tokio::test]
async fn a_claim_ends_in_time_although_the_daemon_was_away() -> Result<()> {
    let mut daemon = stand_in().env("REVEILLE_ATTACHED__CLAIM_TTL", "100ms").start().await?;
    attach(&daemon, "eng", json!({})).await?;
    daemon.send("eng", "one").await?;
    next(&daemon, "eng").await?;
    daemon.kill9().await?;
    daemon.start().await?;
    until_pending(&daemon, "eng", 1).await
}

/// Dies while a reply is on its way, before it is on disk and after.
#[tokio::test]
async fn a_reply_that_was_cut_off_is_given_again() -> Result<()> {
    for (point, repeated) in [("attached.reply", false), ("turn.settled", true)] {
        let mut daemon = with_eng().await?;
        let sent = daemon.send("eng", "Build it.").await?;
        let taken = next(&daemon, "eng").await?;
        daemon.stop().await?;
        daemon.start_doomed(point, 1).await?;
        assert!(answer(&daemon, "eng", &taken, "Built.").await.is_err(), "{point}");
        daemon.wait_killed().await?;
        daemon.start().await?;
        let replied: Value = answer(&daemon, "eng", &taken, "Built.").await?.ok()?;
        assert_eq!(replied["repeated"], repeated, "{point}");
        let turn = daemon.wait_turn("eng", &sent).await?;
        assert_eq!((turn.state, &turn.more["note"]), (State::Ok, &replied["id"]), "{point}");
        assert_eq!(outbound(&daemon).await?.len(), 1, "{point}");
    }
    Ok(())
}
