//! A bridge to Telegram through the whole daemon, against the Bot API of its own tests.

use std::collections::BTreeSet;

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::eventually;
use serde_json::json;

use super::api::{Api, Fault, TOKEN, message_of};
use super::*;

/// A daemon whose agent `eng` is reached by the bot of `api`, by everybody.
pub(super) async fn with_bot(api: &Api) -> Result<Daemon> {
    let config = format!(
        "[[transport]]\nname = \"tg\"\nkind = \"telegram\"\nagent = \"eng\"\ntoken = \"${{BOT}}\"\napi_base = \"{}\"\n\
         require_access_file = false\n",
        api.base
    );
    let daemon = Daemon::builder()
        .stand_in()
        .env("BOT", TOKEN)
        .config(&config)
        .start()
        .await?;
    daemon.create_agent("eng", "You build.").await?;
    Ok(daemon)
}

async fn bridge(daemon: &Daemon) -> Result<Value> {
    let listed: Value = daemon.request(Method::GET, &["api", "bridges"], None).await?.ok()?;
    Ok(listed["bridges"][0].clone())
}

/// Waits for so many answers; all that were sent.
async fn until_sent(api: &Api, count: usize) -> Result<Vec<String>> {
    eventually(&format!("{count} answers"), LIMIT, async || {
        let texts = api.texts();
        Ok((texts.len() >= count).then_some(texts))
    })
    .await
}

fn replies(daemon: &Daemon) -> Result<Vec<String>> {
    let journal = daemon.journal()?;
    let outbound = journal.notes.iter().filter(|note| note.is_outbound());
    Ok(outbound.map(|note| note.content.clone()).collect())
}

#[tokio::test]
async fn r_tg_53_an_answer_finds_the_chat_of_its_message() -> Result<()> {
    let api = Api::start().await;
    let daemon = with_bot(&api).await?;
    api.text(42, 1, "hello");
    api.text(7, 2, "and hello from me");
    // One may be told besides that its message waits.
    let answers = || -> Vec<String> {
        let texts = api.texts().into_iter();
        texts.filter(|text| !text.starts_with("Your message waits")).collect()
    };
    eventually("both answers", LIMIT, async || Ok((answers().len() >= 2).then_some(()))).await?;
    daemon.wait_quiet(LIMIT).await?;
    let sent = api.calls("sendMessage");
    let chats: BTreeSet<String> = sent
        .iter()
        .map(|call| call["chat_id"].to_string().replace('"', ""))
        .collect();
    assert_eq!(chats.into_iter().collect::<Vec<_>>(), ["42", "7"]);
    let (texts, mut notes) = (answers(), replies(&daemon)?);
    notes.sort_unstable();
    let mut sorted = texts.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, notes);
    assert_eq!(bridge(&daemon).await?["state"], "up");
    // The secret half of the token is nowhere.
    let secret = TOKEN.split_once(':').context("a token")?.1;
    assert!(!daemon.log()?.contains(secret));
    assert!(!bridge(&daemon).await?.to_string().contains(secret));
    Ok(())
}

#[tokio::test]
async fn an_answer_goes_out_once_wherever_the_daemon_is_killed() -> Result<()> {
    for (point, nth) in [
        ("intake.created", 1),
        ("feed.read", 1),
        ("outbox.written", 1),
        ("outbox.written", 2),
        ("outbox.written", 3),
        ("outbox.delivered", 1),
    ] {
        let api = Api::start().await;
        let mut daemon = with_bot(&api).await?;
        daemon.stop().await?;
        // Nothing goes out before the kill.
        let down = Fault::Status(500, json!({ "ok": false, "error_code": 500, "description": "down" }));
        api.fault("sendMessage", &vec![down; 1000]);
        daemon.start_doomed(point, nth).await?;
        api.push(json!({ "message": message_of(42, 1, &json!({ "text": "hello" })) }));
        daemon.wait_killed().await?;
        api.lock().faults.clear();
        daemon.start().await?;
        until_sent(&api, 1).await?;
        let journal = daemon.wait_quiet(LIMIT).await?;
        assert_eq!(journal.inbound().count(), 1, "{point}:{nth}");
        assert_eq!(api.texts(), replies(&daemon)?, "{point}:{nth}");
    }
    Ok(())
}

#[tokio::test]
async fn a_bridge_that_fails_is_told_of_and_stops_no_agent() -> Result<()> {
    let api = Api::start().await;
    let mut daemon = with_bot(&api).await?;
    daemon.set_env("BOT", "4711:another_token_that_nobody_knows_of");
    daemon.restart().await?;
    let failed = eventually("the bridge is refused", LIMIT, async || {
        let one = bridge(&daemon).await?;
        Ok((one["state"] == "refused" || one["state"] == "retrying").then_some(one))
    })
    .await?;
    assert!(
        failed["error"]
            .as_str()
            .is_some_and(|error| !error.contains("another_token")),
        "{failed}"
    );
    let health: Value = daemon.request(Method::GET, &["health"], None).await?.ok()?;
    assert_eq!(health["status"], "degraded");
    let sent = daemon.send("eng", "hello").await?;
    let turn = daemon.wait_turn("eng", &sent).await?;
    assert!(turn.reply.is_some(), "{turn:?}");
    Ok(())
}
