//! A conversation's session: begun, gone on with, lost.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use pretty_assertions::{assert_eq, assert_ne};
use reveille_tests::daemon::{Daemon, LIMIT, State};
use reveille_tests::eventually;
use serde_json::json;
use uuid::Uuid;

use super::{Held, SHOW_SESSION, session, session_option, stand_in, thread, told, whole, with_eng, with_many};

#[tokio::test]
async fn tc_sess_1_2_tc_sub_8_tc_th_9_12_25_27_a_conversation_begins_a_session_and_goes_on_with_it() -> Result<()> {
    let daemon = with_eng().await?;
    let held = Held::new(&daemon, "eng", &json!({}), SHOW_SESSION).await?;
    let id = held.sent.turn.clone().context("a turn")?;
    let working = eventually("the thread says that it works", LIMIT, async || {
        let Some(id) = daemon.turn(&id).await?.more["thread"].as_str().map(str::to_owned) else {
            return Ok(None);
        };
        Ok(daemon
            .note(&id)
            .await?
            .filter(|note| note["metadata"]["status"] == "working"))
    })
    .await?;
    assert_eq!(working["metadata"].get("session"), None);
    held.open()?;

    let first = daemon.wait_turn("eng", &held.sent).await?;
    whole(&daemon).await?;
    let established = session(&first)?;
    Uuid::parse_str(established)?;
    assert!(
        first
            .reply
            .as_ref()
            .is_some_and(|reply| reply.ends_with(&format!("Tool said: --session-id={established}"))),
        "{first:?}"
    );
    let note = thread(&daemon, &first).await?;
    assert_eq!(note["metadata"]["session"], json!(established));
    assert_eq!(note["path"], "Threads/eng/eng");
    assert_eq!(
        (&note["metadata"]["status"], &note["metadata"]["turn_count"]),
        (&json!("ok"), &json!("1"))
    );
    assert_eq!(note["metadata"]["turn"], working["metadata"]["turn"]);

    let second = told(&daemon, "eng", SHOW_SESSION).await?;
    assert_eq!(session_option(&second)?, format!("--resume={established}"));
    assert_eq!(session(&second)?, established);
    let journal = whole(&daemon).await?;
    assert!(journal.turns.iter().all(|turn| turn.body.get("subject").is_none()));
    assert_eq!(journal.conversations.len(), 1);
    Ok(())
}

#[tokio::test]
async fn tc_sess_3_tc_sub_7_each_message_of_a_multi_threaded_agent_begins_its_own_session() -> Result<()> {
    let daemon = with_many().await?;
    let first = told(&daemon, "eng", SHOW_SESSION).await?;
    let second = told(&daemon, "eng", SHOW_SESSION).await?;
    whole(&daemon).await?;
    for turn in [&first, &second] {
        assert_eq!(session_option(turn)?, format!("--session-id={}", session(turn)?));
        let note = thread(&daemon, turn).await?;
        assert_eq!(note["metadata"]["session"], turn.more["session"]);
    }
    assert_ne!(session(&first)?, session(&second)?);
    assert_ne!(first.more["thread"], second.more["thread"]);
    Ok(())
}

/// A program that is the stand-in, unless a file says that it should fail before it has said anything. The file.
async fn faulty(daemon: &Daemon, program: &std::path::Path) -> Result<PathBuf> {
    let real = daemon.cli(["stand-in"]).await?;
    let real = PathBuf::from(real.as_std().get_program());
    let flag = daemon.scratch().join("broken");
    let script = format!(
        "#!/bin/sh\ncase \"$1\" in --version|--help) ;; *) if [ -e {} ]; then echo broken >&2; exit 1; fi;; esac\n\
         exec '{}' stand-in \"$@\"\n",
        flag.display(),
        real.display()
    );
    // Written elsewhere and moved: nobody sees half a program.
    let draft = program.with_extension("new");
    std::fs::write(&draft, script)?;
    std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o755))?;
    std::fs::rename(draft, program)?;
    Ok(flag)
}

#[tokio::test]
async fn tc_sess_6_an_attempt_without_a_session_leaves_none_behind() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let program = dir.path().join("claude");
    let daemon = stand_in()
        .env("REVEILLE_CLAUDE__PROGRAM", program.as_os_str())
        .env("REVEILLE_CLAUDE__ENV__ANTHROPIC_API_KEY", "dummy")
        .start()
        .await?;
    let flag = faulty(&daemon, &program).await?;
    daemon.create_agent("eng", "You are an engineer.").await?;

    std::fs::write(&flag, "")?;
    let failed = told(&daemon, "eng", SHOW_SESSION).await?;
    assert_eq!((failed.state, &failed.more["session"]), (State::Error, &json!(null)));
    whole(&daemon).await?;
    let note = thread(&daemon, &failed).await?;
    assert_eq!(note["metadata"]["status"], "error");
    assert_eq!(note["metadata"].get("session"), None);

    std::fs::remove_file(&flag)?;
    let first = told(&daemon, "eng", SHOW_SESSION).await?;
    let established = session(&first)?;
    assert_eq!(session_option(&first)?, format!("--session-id={established}"));

    // Neither does it take an established one away.
    std::fs::write(&flag, "")?;
    assert_eq!(told(&daemon, "eng", SHOW_SESSION).await?.state, State::Error);
    std::fs::remove_file(&flag)?;
    let next = told(&daemon, "eng", SHOW_SESSION).await?;
    assert_eq!(session_option(&next)?, format!("--resume={established}"));
    whole(&daemon).await?;
    Ok(())
}
