//! Files and the death of the daemon; how long files stay.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT, State};
use reveille_tests::eventually;

use super::{conversation, names, prompts, send, staged, turn, upload, with_eng};

/// Hangs in a tool when it is run for the first time.
fn hangs_once(daemon: &Daemon) -> String {
    let mark = daemon.scratch().join("hung");
    let mark = mark.display();
    format!("[[exec test -e {mark} || {{ touch {mark}; sleep 600; }}]]")
}

async fn until_hung(daemon: &Daemon) -> Result<()> {
    eventually("the tool hangs", LIMIT, async || {
        Ok(daemon.scratch().join("hung").exists().then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_turn_that_was_cut_off_finds_its_files_where_they_were() -> Result<()> {
    let mut daemon = with_eng().await?;
    let paths = [
        upload(&daemon, "a.txt", b"one").await?,
        upload(&daemon, "a.txt", b"two").await?,
    ];
    let text = format!(
        "{} [[exec cat ../attachments/*/* > got]] [[reply ok]]",
        hangs_once(&daemon)
    );
    let sent = send(&daemon, &text, &paths).await?;
    until_hung(&daemon).await?;
    daemon.kill9().await?;
    daemon.start().await?;
    let turn = daemon.wait_turn("eng", &sent).await?;
    assert_eq!((turn.state, turn.more["interruptions"].as_u64()), (State::Ok, Some(1)));
    assert_eq!(names(&staged(&daemon, &turn)?)?, ["a-2.txt", "a.txt"]);
    assert_eq!(
        std::fs::read(conversation(&daemon, &turn)?.join("work/got"))?,
        b"twoone"
    );
    // Both attempts were told the same.
    let prompts = prompts(&daemon, &turn)?;
    let lists: Vec<_> = prompts
        .iter()
        .filter_map(|prompt| prompt.split_once("\n\n[Attached files"))
        .collect();
    assert_eq!((lists.len(), lists[0].1), (2, lists[1].1), "{prompts:#?}");
    Ok(())
}

#[tokio::test]
async fn a_message_that_outlives_its_door_has_its_files() -> Result<()> {
    for point in ["intake.created", "feed.read", "turn.claimed", "turn.begun"] {
        let mut daemon = with_eng().await?;
        let path = upload(&daemon, "a.txt", b"a").await?;
        daemon.stop().await?;
        daemon.start_doomed(point, 1).await?;
        let text = "[[exec cat ../attachments/*/a.txt > got]] [[reply ok]]";
        // No answer comes from a daemon that dies.
        let body = serde_json::json!({"text": text, "attachments": [path]});
        let answered = daemon.send_keyed("eng", "key", &body).await?;
        daemon.wait_killed().await?;
        daemon.start().await?;
        let sent = match answered {
            Some(sent) => sent,
            None => daemon.send_keyed("eng", "key", &body).await?.context("an answer")?,
        };
        let turn = daemon.wait_turn("eng", &sent).await?;
        assert_eq!(turn.state, State::Ok, "{point} {turn:?}");
        assert_eq!(
            std::fs::read(conversation(&daemon, &turn)?.join("work/got"))?,
            b"a",
            "{point}"
        );
        assert_eq!(
            daemon
                .messages("eng")
                .await?
                .iter()
                .filter(|one| one.direction == "inbound")
                .count(),
            1
        );
    }
    Ok(())
}

#[tokio::test]
async fn files_of_ended_turns_go_and_those_of_open_ones_stay() -> Result<()> {
    let mut daemon = with_eng().await?;
    let path = upload(&daemon, "a.txt", b"a").await?;
    let ended = turn(&daemon, "[[reply ok]]", &[path]).await?;
    let path = upload(&daemon, "b.txt", b"b").await?;
    let open = send(&daemon, &format!("{} [[exec sleep 600]]", hangs_once(&daemon)), &[path]).await?;
    until_hung(&daemon).await?;
    let messages = daemon.messages("eng").await?;
    let open = messages.into_iter().find(|message| message.id == open.id);
    let open = open.and_then(|message| message.turn).context("a turn")?;
    let open = daemon.turn(&open).await?;
    // Nothing is old enough yet.
    daemon.kill9().await?;
    daemon.start().await?;
    assert_eq!(names(&staged(&daemon, &ended)?)?, ["a.txt"]);

    daemon.kill9().await?;
    daemon.set_env("REVEILLE_RETENTION__ATTACHMENTS", "1ms");
    daemon.start().await?;
    eventually("the pass is over", LIMIT, async || {
        Ok(daemon
            .log()?
            .contains("files of ended turns were removed")
            .then_some(()))
    })
    .await?;
    assert!(!staged(&daemon, &ended)?.exists());
    assert_eq!(names(&staged(&daemon, &open)?)?, ["b.txt"]);
    // The vault keeps what the message brought.
    assert_eq!(names(&daemon.state_dir().join("vaults/default.db-files"))?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_message_that_is_deleted_takes_its_files_along() -> Result<()> {
    let daemon = with_eng().await?;
    let path = upload(&daemon, "a.txt", b"a").await?;
    let turn = turn(&daemon, "[[reply ok]]", &[path]).await?;
    let files = daemon.state_dir().join("vaults/default.db-files");
    assert_eq!(names(&files)?.len(), 1);
    let ran = daemon.run(["note", "rm", &turn.message]).await?;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(names(&files)?, Vec::<String>::new());
    // What the conversation was given is the conversation's.
    assert_eq!(names(&staged(&daemon, &turn)?)?, ["a.txt"]);
    Ok(())
}
