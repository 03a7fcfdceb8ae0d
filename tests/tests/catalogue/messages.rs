//! Whom a message wakes, what is written about it, and what a transcript tells.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{LIMIT, State};
use reveille_tests::eventually;
use reveille_tests::parachute::{Parachute, Version};
use serde_json::{Value, json};

use super::{
    asked, delete, each, get, letter, list, meta, notes, post, refused, text, until_read, with_eng, with_peer,
};

#[tokio::test]
async fn ac_1_2_3_5_6_a_message_wakes_its_agent_or_says_that_it_has_none() -> Result<()> {
    let daemon = with_eng().await?;
    daemon.create_agent("ops", "You run things.").await?;
    let cases = [
        (json!({ "agent": "eng" }), Some("eng")),
        (json!({ "channel": "ops" }), Some("ops")),
        (json!({ "agent": "eng", "channel": "ops" }), Some("eng")),
        (json!({ "agent": "eng", "thread": "" }), Some("eng")),
        (json!({ "agent": "eng", "thread": 7 }), Some("eng")),
        (json!({ "agent": "", "channel": "ops" }), Some("ops")),
        (json!({ "agent": 7, "channel": "ops" }), Some("ops")),
        (json!({ "agent": " ", "channel": "" }), None),
        (json!({}), None),
        (json!({ "agent": null, "channel": ["ops"] }), None),
    ];
    let mut sent = Vec::new();
    for (at, (metadata, _)) in cases.iter().enumerate() {
        sent.push(letter(&daemon, &format!("Inbox/{at}"), "[[reply here]]", metadata).await?);
    }
    let expected = cases.iter().filter(|(_, agent)| agent.is_some()).count();
    let answers = eventually("each that names an agent is answered", LIMIT, async || {
        let answers = notes(&daemon, "agent/message/outbound").await?;
        Ok((answers.len() >= expected).then_some(answers))
    })
    .await?;
    for (at, (metadata, agent)) in cases.iter().enumerate() {
        let by: Vec<&str> = answers
            .iter()
            .filter(|answer| meta(answer, "in_reply_to") == sent[at].id)
            .map(|answer| meta(answer, "agent"))
            .collect();
        assert_eq!(by, agent.iter().copied().collect::<Vec<_>>(), "{metadata}");
        if agent.is_none() {
            super::stamped(&daemon, &format!("Inbox/{at}"), "error").await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn ac_7_8_9_the_note_of_a_conversation_has_a_plain_path() -> Result<()> {
    let daemon = with_eng().await?;
    let mut paths = Vec::new();
    for (subject, begins) in [
        (json!(null), "eng"),
        (json!(""), "eng"),
        (json!("  \t"), "eng"),
        (json!("launch-blockers"), "eng--launch-blockers"),
        (json!("  launch-blockers "), "eng--launch-blockers"),
        (json!("Q3_roadmap"), "eng--Q3_roadmap"),
        (json!("../../etc/passwd"), "eng--------etc-passwd"),
        (json!(".."), "eng----"),
        (json!("a b?c"), "eng--a-b-c"),
        (json!("nul\u{0}byte"), "eng--nul-byte"),
        (json!("\u{1f984}"), "eng--"),
    ] {
        let body = json!({ "text": "[[reply x]]", "subject": subject });
        let sent = daemon.send_with("eng", &body).await?;
        let turn = daemon.wait_turn("eng", &sent).await?;
        let thread = turn.more["thread"].as_str().context("a thread")?;
        let note = daemon.note(thread).await?.context("the thread note")?;
        let path = text(&note, "path").to_owned();
        let leaf = path.strip_prefix("Threads/eng/").context("below the agent")?;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        assert!(leaf.starts_with(begins) && leaf.chars().all(plain), "{subject}: {leaf}");
        paths.push(path);
    }
    // What is the same subject is the same conversation, and no other one.
    assert_eq!((&paths[0], &paths[1], &paths[3]), (&paths[1], &paths[2], &paths[4]));
    let mut different = paths.clone();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), paths.len() - 3, "{paths:#?}");
    Ok(())
}

#[tokio::test]
async fn ac_10_11_12_15_16_what_is_said_is_written_like_this() -> Result<()> {
    let daemon = with_eng().await?;
    let sent = daemon.send("eng", "[[reply well]]").await?;
    assert_eq!(daemon.wait_turn("eng", &sent).await?.state, State::Ok);
    daemon.wait_quiet(LIMIT).await?;
    let inbound = daemon.note(&sent.id).await?.context("the message")?;
    assert_eq!(inbound["tags"], json!(["agent/message", "agent/message/inbound"]));
    let said = ["agent", "direction", "sender", "channel", "outbound"].map(|key| meta(&inbound, key));
    assert_eq!(said, ["eng", "inbound", "operator", "", ""]);
    assert!(meta(&inbound, "ts").parse::<jiff::Timestamp>().is_ok(), "{inbound}");
    assert!(text(&inbound, "path").starts_with("channel/eng/"), "{inbound}");

    let answers = notes(&daemon, "agent/message/outbound").await?;
    let [answer] = &answers[..] else {
        panic!("one answer: {answers:#?}")
    };
    assert_eq!(
        (&answer["content"], &answer["tags"]),
        (&json!("well"), &json!(["agent/message", "agent/message/outbound"]))
    );
    let said = ["agent", "direction", "sender", "channel", "outbound"].map(|key| meta(answer, key));
    assert_eq!(said, ["eng", "outbound", "session", "", ""]);
    assert!(meta(answer, "ts").parse::<jiff::Timestamp>().is_ok(), "{answer}");
    assert!(text(answer, "path").starts_with("channel/eng/"), "{answer}");
    let thread = daemon.note("Threads/eng/eng").await?.context("the thread")?;
    assert_eq!(
        [meta(answer, "in_reply_to"), meta(answer, "thread")],
        [sent.id.as_str(), text(&thread, "id")]
    );
    Ok(())
}

fn answers(peer: &Parachute) -> usize {
    let answer = |tags: &[String]| tags.iter().any(|tag| tag == "agent/message/outbound");
    peer.notes().iter().filter(|note| answer(&note.tags)).count()
}

#[tokio::test]
async fn ac_18_60_a_vault_that_fails_is_told_to_who_writes_and_reads() -> Result<()> {
    let peer = Parachute::start(Version::July)?;
    let daemon = with_peer(&peer).await?;
    until_read(&daemon).await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    assert_eq!(asked(&daemon, "eng", "[[reply well]]").await?, "well");
    let settled = |turns: &str| {
        let thread = peer.note("Threads/eng/eng");
        thread.filter(|note| note.metadata["status"] == "ok" && note.metadata["turn_count"] == turns)
    };
    eventually("the turn is written down", LIMIT, async || Ok(settled("1"))).await?;
    eventually("and its answer", LIMIT, async || {
        Ok(answers(&peer).eq(&1).then_some(()))
    })
    .await?;
    peer.set_faults(|faults| faults.status = Some(500));
    let body = json!({ "text": "[[reply lost]]" });
    let sent = post(&daemon, &["api", "channels", "eng", "send"], &body).await?;
    assert!(sent.status >= 500, "{sent:?}");
    refused(&sent, sent.status, &[])?;
    peer.set_faults(|faults| faults.status = None);
    // What was refused is not there later either.
    assert_eq!(asked(&daemon, "eng", "[[reply again]]").await?, "again");
    let said = daemon.messages("eng").await?;
    assert!(said.iter().all(|message| !message.text.contains("lost")), "{said:#?}");
    eventually("the second one is written down", LIMIT, async || Ok(settled("2"))).await?;
    eventually("two answers", LIMIT, async || Ok(answers(&peer).eq(&2).then_some(()))).await?;
    Ok(())
}

#[tokio::test]
async fn ac_57_58_59_61_a_transcript_is_what_an_agent_was_told_and_said() -> Result<()> {
    let daemon = with_eng().await?;
    daemon.create_agent("ops", "You run things.").await?;
    for (agent, text) in [("eng", "one"), ("ops", "other"), ("eng", "two")] {
        asked(&daemon, agent, &format!("[[reply {text}]]")).await?;
    }
    daemon.wait_quiet(LIMIT).await?;
    let all = daemon.messages("eng").await?;
    let directions: Vec<&str> = all.iter().map(|message| message.direction.as_str()).collect();
    assert_eq!(directions, ["inbound", "outbound", "inbound", "outbound"]);
    assert_eq!(all[1].in_reply_to.as_deref(), Some(all[0].id.as_str()));
    assert_eq!((all[1].text.as_str(), all[3].text.as_str()), ("one", "two"));
    // The answers carry `thread`, which hides none of them.
    let thread = daemon.note("Threads/eng/eng").await?.context("the thread")?;
    let answer = daemon.note(&all[1].id).await?.context("the answer")?;
    assert_eq!(meta(&answer, "thread"), text(&thread, "id"));

    let newest = daemon.ask_in("GET", "/api/channels/eng/messages?limit=2", b"").await?;
    let newest = newest.json()?;
    let ids = each(list(&newest, "messages")?, "id");
    assert_eq!(ids, [all[2].id.as_str(), all[3].id.as_str()]);

    // Without a word on the direction, the tag says it.
    let metadata = json!({ "agent": "eng" });
    let bare =
        json!({ "content": "said before", "tags": ["agent/message", "agent/message/outbound"], "metadata": metadata });
    let bare: Value = post(&daemon, &["vault", "default", "api", "notes"], &bare)
        .await?
        .ok()?;
    let found = daemon.messages("eng").await?;
    let found = found.iter().find(|message| message.id == text(&bare, "id"));
    assert_eq!(found.context("it is in the transcript")?.direction, "outbound");
    Ok(())
}

#[tokio::test]
async fn ac_62_63_the_doors_of_a_channel() -> Result<()> {
    let daemon = with_eng().await?;
    let (messages, send) = ("/api/channels/eng/messages", "/api/channels/eng/send");
    assert_eq!(daemon.ask("GET", messages, &[], b"").await?.status, 401);
    assert_eq!(daemon.ask("POST", send, &[], b"{\"text\":\"x\"}").await?.status, 401);
    let unknown = get(&daemon, &["api", "channels", "nobody", "messages"]).await?;
    refused(&unknown, 404, &["nobody"])?;
    for body in [json!({ "text": "" }), json!({ "text": 7 }), json!({}), json!([])] {
        let sent = post(&daemon, &["api", "channels", "eng", "send"], &body).await?;
        refused(&sent, 400, &[])?;
    }
    assert_eq!(notes(&daemon, "agent/message").await?, Vec::<Value>::new());
    let body = json!({ "text": "[[reply well]]" });
    let sent: Value = post(&daemon, &["api", "channels", "eng", "send"], &body).await?.ok()?;
    let note = daemon.note(text(&sent, "id")).await?.context("the message")?;
    assert_eq!(
        [meta(&note, "sender"), text(&note, "content")],
        ["operator", "[[reply well]]"]
    );
    assert_eq!(delete(&daemon, &["api", "channels", "eng", "send"]).await?.status, 405);
    Ok(())
}
