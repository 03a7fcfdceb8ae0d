//! Nothing is left of a process that has waited, however it ends.

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::LIMIT;
use rustix::process::{Pid, Signal, kill_process};

use crate::{builder, house, left, process, well};

#[tokio::test]
async fn the_end_of_the_daemon_is_its_end() -> Result<()> {
    let mut daemon = house(builder()).await?;
    let first = process(&daemon, "eng").await?;
    assert!(daemon.stop().await?.success());
    assert_eq!(daemon.children()?, Vec::<u32>::new());
    daemon.start().await?;
    assert_ne!(process(&daemon, "eng").await?, first);
    left(&daemon, 1).await?;
    // Nobody is there any more who could end it.
    daemon.kill9().await?;
    left(&daemon, 0).await?;
    daemon.start().await?;
    let next = well(&daemon, "eng", "hi").await?;
    assert!(next.reply.unwrap_or_default().contains("message 3"));
    Ok(())
}

#[tokio::test]
async fn one_that_does_not_end_by_itself_is_ended_at_the_next_start_before_anything_runs() -> Result<()> {
    let mut daemon = house(builder()).await?;
    well(&daemon, "eng", "[[then deaf]] hi").await?;
    let deaf = left(&daemon, 1).await?;
    daemon.kill9().await?;
    assert_eq!(daemon.children()?, deaf);
    daemon.start().await?;
    left(&daemon, 0).await?;
    // The same at a stop.
    well(&daemon, "eng", "[[then deaf]] hi").await?;
    left(&daemon, 1).await?;
    assert!(daemon.stop().await?.success());
    assert_eq!(daemon.children()?, Vec::<u32>::new());
    Ok(())
}

#[tokio::test]
async fn one_that_ends_or_speaks_while_it_waits_is_seen_to_at_once() -> Result<()> {
    let daemon = house(builder()).await?;
    well(&daemon, "eng", "[[then speak]] hi").await?;
    left(&daemon, 0).await?;
    well(&daemon, "eng", "[[then die]] hi").await?;
    left(&daemon, 0).await?;
    let killed = process(&daemon, "eng").await?;
    kill_process(Pid::from_raw(i32::try_from(killed)?).expect("a process"), Signal::KILL)?;
    left(&daemon, 0).await?;
    assert_ne!(process(&daemon, "eng").await?, killed);
    let journal = daemon.wait_quiet(LIMIT).await?;
    assert_eq!(journal.violations(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn what_a_tool_has_left_ends_with_the_turn_and_so_does_the_process() -> Result<()> {
    let daemon = house(builder()).await?;
    well(&daemon, "eng", "[[exec (sleep 3217 >/dev/null 2>&1 &) ; echo left]]").await?;
    left(&daemon, 0).await?;
    process(&daemon, "eng").await?;
    well(&daemon, "eng", "[[exec setsid sleep 3217 >/dev/null 2>&1 & echo left]]").await?;
    left(&daemon, 0).await?;
    Ok(())
}
