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
    let daemon = channel(api, "require_access_file = false\n").await?;
    daemon.create_agent("eng", "You build.").await?;
    Ok(daemon)
}

/// A daemon without that agent.
async fn channel(api: &Api, more: &str) -> Result<Daemon> {
    let config = format!(
        "[[transport]]\nname = \"tg\"\nkind = \"telegram\"\nagent = \"eng\"\ntoken = \"${{BOT}}\"\napi_base = \"{}\"\n{more}",
        api.base
    );
    let builder = Daemon::builder().stand_in().env("BOT", TOKEN).config(&config);
    builder.start().await
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

/// R-TG-40, 42, 50, 51, 52 and R-BR-6 as a program has them that is let in.
#[tokio::test]
async fn r_tg_40_50_calls_reach_the_chat_and_a_decision_reaches_the_session() -> Result<()> {
    let api = Api::start().await;
    let daemon = channel(&api, "").await?;
    let call = async |what: &str, body: Value| post(&daemon, &["api", what], &body).await;
    // Nobody is listed.
    let asks = json!({ "channel": "tg", "request_id": "abcde", "tool_name": "Bash", "description": "d", "input_preview": "ls" });
    let nobody = call("permission", asks.clone()).await?;
    assert_eq!(refused(&nobody), (400, "bridge_config"));
    std::fs::write(
        daemon.state_dir().join("access.json"),
        r#"{"dmPolicy": "allowlist", "allowFrom": ["42"]}"#,
    )?;

    for (what, body) in [
        ("reply", json!({ "channel": "tg", "text": "x" })),
        ("react", json!({ "channel": "tg", "message_id": "9", "emoji": "x" })),
        ("edit", json!({ "channel": "tg", "message_id": "9", "text": "x" })),
    ] {
        let lacks = call(what, body).await?;
        assert_eq!(refused(&lacks), (400, "bridge_config"), "{what}");
        assert!(
            lacks.body["message"]
                .as_str()
                .is_some_and(|words| words.contains("chat_id"))
        );
    }
    let long = format!("{}\n{}", "x".repeat(3000), "y".repeat(3000));
    let sent = call(
        "reply",
        json!({ "channel": "tg", "chat_id": "42", "reply_to": "9", "text": long }),
    )
    .await?;
    assert_eq!((sent.status, &sent.body), (200, &json!({ "sent": ["1", "2"] })));
    assert_eq!(api.texts(), ["x".repeat(3000), "y".repeat(3000)]);
    for sent in api.calls("sendMessage") {
        assert_eq!(sent["reply_parameters"]["message_id"], 9);
    }
    // What is in the meta counts more.
    let meta =
        json!({ "channel": "tg", "chat_id": "7", "meta": { "chat_id": "42" }, "message_id": "9", "emoji": "👀" });
    assert_eq!(call("react", meta).await?.body, json!({ "ok": true }));
    let edit = json!({ "channel": "tg", "chat_id": "42", "message_id": "9", "text": "z" });
    assert_eq!(call("edit", edit).await?.body, json!({ "ok": true }));
    assert_eq!(api.calls("setMessageReaction")[0]["chat_id"], "42");
    assert_eq!(api.calls("editMessageText")[0]["text"], "z");

    api.lock().files.insert("photos/pic.JPG".into(), b"picture".to_vec());
    let got = call("download", json!({ "channel": "tg", "file_id": "pic" })).await?;
    let path = std::path::PathBuf::from(got.body["path"].as_str().context("a path")?);
    assert_eq!(std::fs::read(&path)?, b"picture");
    assert!(path.starts_with(daemon.state_dir().join("inbox")));
    let back = json!({ "channel": "tg", "chat_id": "42", "files": [path] });
    assert_eq!(
        call("reply", back).await?.body["sent"].as_array().map(Vec::len),
        Some(1)
    );
    assert_eq!(api.calls("sendPhoto").len(), 1);
    let token_file = daemon.state_dir().join("token");
    for file in [token_file.as_path(), std::path::Path::new("/etc/passwd")] {
        let stolen = call("reply", json!({ "channel": "tg", "chat_id": "42", "files": [file] })).await?;
        assert_eq!(refused(&stolen), (400, "bridge_config"));
    }
    assert_eq!(api.calls("sendDocument").len(), 0);

    let mut session = session(&daemon, "tg").await?;
    let asked = call("permission", asks).await?;
    let number: i64 = asked.body["sent"][0].as_str().context("an id")?.parse()?;
    let press = |user: i64, data: &str| {
        json!({ "callback_query": { "id": "q", "from": { "id": user, "first_name": "B" }, "data": data,
            "message": { "message_id": number, "chat": { "id": 42 } } } })
    };
    api.push(press(7, "perm_allow_abcde"));
    api.push(press(42, "perm_maybe_abcde"));
    api.push(press(42, "perm_deny_abcde"));
    let verdict = json!({ "request_id": "abcde", "behavior": "deny" });
    assert_eq!(session.next().await?, ("permission_verdict".into(), verdict));
    eventually("all are answered", LIMIT, async || {
        Ok((api.calls("answerCallbackQuery").len() == 3).then_some(()))
    })
    .await?;
    let edited = api.calls("editMessageText");
    let text = edited[1]["text"].as_str().unwrap_or_default();
    assert!(edited.len() == 2 && text.contains("Bash"), "{edited:?}");
    // Without an agent a message is the session's, and where it came from is with it.
    api.text(42, 31, "hello");
    let (event, data) = session.next().await?;
    let meta = &data["meta"];
    assert_eq!(
        (event.as_str(), &data["content"], &data["source"]),
        ("message", &json!("hello"), &json!("telegram"))
    );
    assert_eq!(
        (&meta["chat_id"], &meta["message_id"], &meta["user_id"]),
        (&json!("42"), &json!("31"), &json!("42"))
    );
    assert_eq!(
        (&meta["user"], &meta["ts"]),
        (&json!("Ada"), &json!("2023-11-14T22:13:20Z"))
    );
    Ok(())
}

/// What the other side refuses for good is kept, counted and seen, and goes out when somebody says so: by the API one message,
/// by the command line all.
#[tokio::test]
async fn what_a_bridge_gave_up_is_listed_and_sent_again() -> Result<()> {
    let api = Api::start().await;
    let daemon = with_bot(&api).await?;
    let refusal = Fault::Status(403, json!({ "description": "Forbidden: bot was blocked by the user" }));
    for number in 1..=3 {
        api.fault("sendMessage", std::slice::from_ref(&refusal));
        api.text(42, number, &format!("[[reply answer {number}]]"));
        let mut last = Value::Null;
        let given_up = eventually("it is given up", LIMIT, async || {
            last = bridge(&daemon).await?;
            Ok((last["undelivered"] == number).then_some(()))
        });
        given_up.await.with_context(|| {
            format!(
                "{number}: {last} {:?}\n{}",
                api.texts(),
                daemon.log().unwrap_or_default()
            )
        })?;
    }
    daemon.wait_quiet(LIMIT).await?;
    let path = ["api", "bridges", "tg", "undelivered"];
    let listed: Value = daemon.request(Method::GET, &path, None).await?.ok()?;
    let all = listed["messages"].as_array().context("a list")?;
    assert!(
        all.iter()
            .all(|one| one["lane"] == "42" && one["last_error"].as_str().is_some_and(|why| why.contains("blocked")))
    );
    let figures = String::from_utf8(daemon.ask_in("GET", "/metrics", b"").await?.body)?;
    assert!(
        figures.contains("reveille_bridge_undelivered{bridge=\"tg\"} 3"),
        "{figures}"
    );
    let shown = reveille_tests::daemon::run(daemon.cli(["undelivered", "list", "--bridge", "tg"]).await?, "").await?;
    assert!(shown.stdout.matches("blocked").count() == 3, "{}", shown.stdout);
    assert_eq!(api.texts(), Vec::<String>::new());

    let second = all[1]["id"].as_str().context("an id")?;
    let one = post(&daemon, &["api", "bridges", "tg", "redrive"], &json!({ "id": second })).await?;
    assert_eq!(one.body, json!({ "retried": 1 }));
    until_sent(&api, 1).await?;
    let again = post(&daemon, &["api", "bridges", "tg", "redrive"], &json!({ "id": second })).await?;
    assert_eq!(again.body, json!({ "retried": 0 }), "it has arrived");
    let ran = reveille_tests::daemon::run(
        daemon.cli(["undelivered", "retry", "--bridge", "tg", "--json"]).await?,
        "",
    )
    .await?;
    assert_eq!(
        serde_json::from_str::<Value>(&ran.stdout)?,
        json!({ "retried": 2 }),
        "{}",
        ran.stderr
    );
    assert_eq!(until_sent(&api, 3).await?, ["answer 2", "answer 1", "answer 3"]);
    eventually("nothing is left", LIMIT, async || {
        let one = bridge(&daemon).await?;
        Ok((one["undelivered"] == 0 && one["waiting"] == 0).then_some(()))
    })
    .await?;
    let unknown =
        reveille_tests::daemon::run(daemon.cli(["undelivered", "retry", "--bridge", "fax"]).await?, "").await?;
    assert!(
        unknown.code != 0 && unknown.stderr.contains("fax"),
        "{}",
        unknown.stderr
    );
    Ok(())
}
