//! That an agent is gone is believed of its definition itself only, never of a listing.

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT, State};
use reveille_tests::eventually;
use reveille_tests::parachute::{Parachute, Version};
use serde_json::json;

use super::{DEFINITION, put, remote, scans, told};

async fn names(daemon: &Daemon) -> Result<Vec<String>> {
    let agents = daemon.agents().await?;
    let mut names: Vec<_> = agents
        .iter()
        .map(|agent| agent["name"].as_str().unwrap_or_default().to_owned())
        .collect();
    names.sort_unstable();
    Ok(names)
}

#[tokio::test]
async fn ac_144_145_a_listing_that_leaves_agents_out_takes_none_away() -> Result<()> {
    let peer = Parachute::start(Version::May)?;
    let eng = put(&peer, "Agents/eng", &DEFINITION, &json!({"name": "eng"}))?;
    let ops = put(&peer, "Agents/ops", &DEFINITION, &json!({"name": "ops"}))?;
    let mut daemon = remote(&peer, "").start().await?;
    eventually("both are there", LIMIT, async || {
        Ok((names(&daemon).await? == ["eng", "ops"]).then_some(()))
    })
    .await?;
    peer.set_faults(|faults| faults.unlisted = vec![eng.clone(), ops.clone()]);
    scans(&peer, 2).await?;
    assert_eq!(told(&daemon, "eng", "[[reply here]]").await?.state, State::Ok);
    // Nor at a start, which reads all there is.
    daemon.restart().await?;
    eventually("both are there", LIMIT, async || {
        Ok((names(&daemon).await? == ["eng", "ops"]).then_some(()))
    })
    .await?;
    assert_eq!(told(&daemon, "eng", "[[reply here]]").await?.state, State::Ok);
    // One that is really gone is gone, once, and the other stays.
    peer.remove(&ops);
    eventually("one is gone", LIMIT, async || {
        Ok((names(&daemon).await? == ["eng"]).then_some(()))
    })
    .await?;
    daemon.restart().await?;
    // The start does not wait long for what is elsewhere.
    eventually("the other one is there", LIMIT, async || {
        Ok((!names(&daemon).await?.is_empty()).then_some(()))
    })
    .await?;
    assert_eq!(told(&daemon, "eng", "[[reply here]]").await?.state, State::Ok);
    assert_eq!(names(&daemon).await?, ["eng"]);
    Ok(())
}

#[tokio::test]
async fn ac_146_a_server_that_fails_takes_no_agent_away() -> Result<()> {
    let peer = Parachute::start(Version::July)?;
    put(&peer, "Agents/eng", &DEFINITION, &json!({"name": "eng"}))?;
    let daemon = remote(&peer, "").start().await?;
    eventually("it is there", LIMIT, async || {
        Ok((names(&daemon).await? == ["eng"]).then_some(()))
    })
    .await?;
    for status in [500, 401, 404] {
        peer.set_faults(|faults| faults.status = Some(status));
        peer.take_log();
        let mut asked = 0;
        eventually("it is asked in vain", LIMIT, async || {
            asked += peer.take_log().len();
            Ok((asked > 1).then_some(()))
        })
        .await?;
        assert_eq!(names(&daemon).await?, ["eng"], "after {status}");
    }
    peer.set_faults(|faults| {
        faults.status = None;
        faults.garble = 3;
    });
    eventually("what it says makes no sense", LIMIT, async || {
        let mut left = 0;
        peer.set_faults(|faults| left = faults.garble);
        Ok((left == 0).then_some(()))
    })
    .await?;
    scans(&peer, 1).await?;
    assert_eq!(told(&daemon, "eng", "[[reply here]]").await?.state, State::Ok);
    Ok(())
}
