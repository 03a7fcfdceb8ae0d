//! A message that is given to a process which is no good is neither lost nor done twice.

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{LIMIT, State};

use crate::{builder, house, left, process, turn, well};

#[tokio::test]
async fn the_turn_runs_in_another_process() -> Result<()> {
    let daemon = house(builder()).await?;
    let mut count = 0;
    for then in ["deaf", "die-asked", "mute"] {
        well(&daemon, "eng", &format!("[[then {then}]] hi")).await?;
        left(&daemon, 1).await?;
        let sent = daemon.send("eng", &format!("after {then}")).await?;
        let next = daemon.wait_turn("eng", &sent).await?;
        count += 2;
        assert_eq!(next.state, State::Ok, "{then}: {next:?}");
        let reply = next.reply.clone().unwrap_or_default();
        assert!(reply.contains(&format!("message {count} ")), "{then}: {reply}");
        assert!(
            reply.contains(&format!("after {then}")) && next.error.is_none(),
            "{then}: {next:?}"
        );
        assert_eq!(next.more["notices"], serde_json::json!([]), "{then}");
        left(&daemon, 1).await?;
    }
    let journal = daemon.wait_quiet(LIMIT).await?;
    assert_eq!(journal.violations(), Vec::<String>::new());
    // One reply for each message.
    let messages = daemon.messages("eng").await?;
    let outbound = messages
        .iter()
        .filter(|message| message.direction == "outbound")
        .count();
    assert_eq!((messages.len(), outbound), (12, 6));
    Ok(())
}

#[tokio::test]
async fn a_prompt_that_got_as_far_as_the_session_is_given_again_with_a_word() -> Result<()> {
    let daemon = house(builder()).await?;
    well(&daemon, "eng", "[[then die-taken]] hi").await?;
    let next = turn(
        &daemon,
        "eng",
        "after that [[exec grep -c 'end of its proces[s]' \"$CLAUDE_CONFIG_DIR\"/projects/*/*.jsonl]]",
    )
    .await?;
    assert_eq!(next.state, State::Ok, "{next:?}");
    // The new process was told, and the message is in the session twice: the dead one had stored it.
    let reply = next.reply.unwrap_or_default();
    assert!(reply.contains("said: 1"), "{reply}");
    let journal = daemon.wait_quiet(LIMIT).await?;
    assert_eq!(journal.violations(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn after_the_first_event_it_is_a_crash_like_any_other() -> Result<()> {
    let daemon = house(builder()).await?;
    let first = process(&daemon, "eng").await?;
    let crashed = turn(&daemon, "eng", "[[crash]]").await?;
    let code = crashed.error.unwrap_or_default()["code"].clone();
    assert_eq!((crashed.state, code), (State::Error, "crashed".into()));
    left(&daemon, 0).await?;
    assert_ne!(process(&daemon, "eng").await?, first);
    // What passes is tried again, in another process.
    let again = process(&daemon, "eng").await?;
    well(&daemon, "eng", "[[fail 529 x1]]").await?;
    assert_ne!(process(&daemon, "eng").await?, again);
    left(&daemon, 1).await?;
    Ok(())
}
