//! What a turn is given.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{LIMIT, State};
use reveille_tests::eventually;
use serde_json::json;
use uuid::Uuid;

use super::{conversation, lose, names, notices, prompt, prompts, send, staged, turn, upload, with_eng};

#[tokio::test]
async fn tc_att_1_tc_in_4_9_two_files_reach_the_child_byte_for_byte() -> Result<()> {
    let daemon = with_eng().await?;
    let bytes: Vec<u8> = (0..300_000_u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes())
        .collect();
    let paths = [
        upload(&daemon, "data.bin", &bytes).await?,
        upload(&daemon, "notes.txt", b"line\r\n\0last").await?,
    ];
    // By the child's own hand, from where the files are.
    let text = "Look at these. [[exec cat ../attachments/*/data.bin ../attachments/*/notes.txt > got]] [[reply seen]]";
    let turn = turn(&daemon, text, &paths).await?;
    let got = std::fs::read(conversation(&daemon, &turn)?.join("work/got"))?;
    assert!(got == [&bytes[..], b"line\r\n\0last"].concat(), "{} bytes", got.len());

    let dir = staged(&daemon, &turn)?;
    let list = format!(
        "{text}\n\n[Attached files, put there by the daemon and not part of the message:\n\
         - {} (application/octet-stream)\n- {} (text/plain)]",
        dir.join("data.bin").display(),
        dir.join("notes.txt").display()
    );
    let prompt = prompt(&daemon, &turn)?;
    assert!(
        prompt.starts_with("[Run context") && prompt.ends_with(&list),
        "{prompt}"
    );
    assert_eq!(notices(&turn), Vec::<&str>::new());
    Ok(())
}

#[tokio::test]
async fn tc_att_2_a_hostile_file_name_stays_inside() -> Result<()> {
    let daemon = with_eng().await?;
    let name = format!("pwned-{}.sh", Uuid::new_v4());
    let hostile = format!("../../../../../../../../tmp/{name}");
    let path = upload(&daemon, &hostile, b"x").await?;
    let turn = turn(&daemon, "[[reply ok]]", &[path]).await?;
    assert_eq!(names(&staged(&daemon, &turn)?)?, [name.as_str()]);
    assert!(!std::path::Path::new("/tmp").join(&name).exists());
    assert!(!prompt(&daemon, &turn)?.contains(".."), "{}", prompt(&daemon, &turn)?);
    Ok(())
}

#[tokio::test]
async fn tc_att_4_tc_in_4_a_file_that_is_gone_does_not_hold_up_the_other() -> Result<()> {
    let daemon = with_eng().await?;
    let paths = [
        upload(&daemon, "gone.txt", b"gone").await?,
        upload(&daemon, "good.txt", b"good").await?,
    ];
    lose(&daemon, b"gone")?;
    let turn = turn(&daemon, "[[reply ok]]", &paths).await?;
    assert_eq!(names(&staged(&daemon, &turn)?)?, ["good.txt"]);
    assert_eq!(
        notices(&turn),
        ["The attachment gone.txt could not be read and was left out."]
    );
    let prompt = prompt(&daemon, &turn)?;
    assert!(
        prompt.contains("/good.txt (text/plain)]") && !prompt.contains("gone.txt"),
        "{prompt}"
    );
    // It is said where a person looks.
    let note = eventually("the thread says it", LIMIT, async || {
        let note = daemon.note("Threads/eng/eng").await?.context("a thread note")?;
        let detail = note["metadata"]["status_detail"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        Ok((!detail.is_empty()).then_some(detail))
    });
    assert!(note.await?.contains("gone.txt could not be read"));
    Ok(())
}

#[tokio::test]
async fn tc_att_5_6_without_attachments_there_is_neither_directory_nor_list() -> Result<()> {
    let daemon = with_eng().await?;
    for message in [
        json!({"text": "[[reply ok]]"}),
        json!({"text": "[[reply ok]]", "attachments": []}),
        json!({"text": "[[reply ok]]", "attachments": null}),
    ] {
        let sent = daemon.send_with("eng", &message).await?;
        let turn = daemon.wait_turn("eng", &sent).await?;
        assert_eq!(turn.state, State::Ok);
        assert!(!conversation(&daemon, &turn)?.join("attachments").exists());
        assert!(prompt(&daemon, &turn)?.ends_with("\n\n[[reply ok]]"));
    }
    Ok(())
}

#[tokio::test]
async fn tc_att_7_the_first_twenty_are_taken_and_the_rest_is_told() -> Result<()> {
    let daemon = with_eng().await?;
    let mut paths = Vec::new();
    for number in 0..25 {
        paths.push(upload(&daemon, &format!("f{number}"), number.to_string().as_bytes()).await?);
    }
    let turn = turn(&daemon, "[[reply ok]]", &paths).await?;
    let mut expected: Vec<String> = (0..20).map(|number| format!("f{number}")).collect();
    expected.sort();
    assert_eq!(names(&staged(&daemon, &turn)?)?, expected);
    assert_eq!(
        notices(&turn),
        ["The message has 25 attachments; a turn is given the first 20, 5 were left out."]
    );
    let prompt = prompt(&daemon, &turn)?;
    assert!(prompt.contains("/f19 (") && !prompt.contains("/f20 ("), "{prompt}");
    Ok(())
}

#[tokio::test]
async fn tc_att_9_when_all_are_gone_no_directory_is_left() -> Result<()> {
    let daemon = with_eng().await?;
    let paths = [upload(&daemon, "a", b"a").await?, upload(&daemon, "b", b"b").await?];
    lose(&daemon, b"a")?;
    lose(&daemon, b"b")?;
    let turn = turn(&daemon, "[[reply ok]]", &paths).await?;
    assert!(!conversation(&daemon, &turn)?.join("attachments").exists());
    assert_eq!(notices(&turn).len(), 2);
    assert!(prompt(&daemon, &turn)?.ends_with("\n\n[[reply ok]]"));
    Ok(())
}

#[tokio::test]
async fn w_35_a_later_file_of_the_same_name_leaves_the_earlier_one_alone() -> Result<()> {
    let daemon = with_eng().await?;
    let first = upload(&daemon, "plan.txt", b"first").await?;
    let first = turn(&daemon, "[[reply ok]]", &[first]).await?;
    let second = [
        upload(&daemon, "plan.txt", b"second").await?,
        upload(&daemon, "plan.txt", b"second too").await?,
    ];
    // The conversation can still read what it was given before.
    let text = format!(
        "[[exec cat {}/plan.txt > got]] [[reply ok]]",
        staged(&daemon, &first)?.display()
    );
    let second = turn(&daemon, &text, &second).await?;
    assert_eq!(conversation(&daemon, &first)?, conversation(&daemon, &second)?);
    assert_eq!(
        std::fs::read(conversation(&daemon, &second)?.join("work/got"))?,
        b"first"
    );
    let dir = staged(&daemon, &second)?;
    assert_eq!(names(&dir)?, ["plan-2.txt", "plan.txt"]);
    assert_eq!(std::fs::read(dir.join("plan.txt"))?, b"second");
    assert_eq!(std::fs::read(dir.join("plan-2.txt"))?, b"second too");
    Ok(())
}

#[tokio::test]
async fn the_files_never_go_to_the_agent_s_own_workspace() -> Result<()> {
    let daemon = with_eng().await?;
    let workspace = daemon.scratch().join("repo");
    std::fs::create_dir(&workspace)?;
    let metadata = json!({"name": "own", "workspace": workspace});
    daemon
        .note_put("Agents/own", "You help.", &["agent/definition"], &metadata)
        .await?;
    eventually("the agent is there", LIMIT, async || {
        let agents = daemon.agents().await?;
        Ok(agents.iter().any(|agent| agent["name"] == "own").then_some(()))
    })
    .await?;
    let path = upload(&daemon, "a.txt", b"a").await?;
    let message = json!({"text": "[[reply ok]]", "attachments": [path]});
    let sent = daemon.send_with("own", &message).await?;
    let turn = daemon.wait_turn("own", &sent).await?;
    assert_eq!(turn.state, State::Ok, "{turn:?}");
    assert_eq!(names(&staged(&daemon, &turn)?)?, ["a.txt"]);
    assert!(
        !names(&workspace)?
            .iter()
            .any(|name| name.contains("a.txt") || name == "attachments")
    );
    Ok(())
}

#[tokio::test]
async fn messages_that_share_a_turn_bring_the_files_of_all() -> Result<()> {
    let daemon = with_eng().await?;
    let go = daemon.scratch().join("go");
    let first = send(
        &daemon,
        &format!("[[exec until test -e {}; do sleep 0.05; done]]", go.display()),
        &[],
    )
    .await?;
    let mut sent = Vec::new();
    for name in ["one.txt", "two.txt"] {
        let path = upload(&daemon, name, name.as_bytes()).await?;
        let message = json!({"text": format!("about {name}"), "mode": "collect", "attachments": [path]});
        sent.push(daemon.send_with("eng", &message).await?);
    }
    std::fs::write(&go, "")?;
    daemon.wait_turn("eng", &first).await?;
    let lead = daemon.wait_turn("eng", &sent[0]).await?;
    daemon.wait_turn("eng", &sent[1]).await?;
    assert_eq!(names(&staged(&daemon, &lead)?)?, ["one.txt", "two.txt"]);
    let prompts = prompts(&daemon, &lead)?;
    assert_eq!(prompts.len(), 2, "{prompts:#?}");
    assert!(prompts[1].contains("/one.txt (text/plain)\n") && prompts[1].ends_with("/two.txt (text/plain)]"));
    Ok(())
}
