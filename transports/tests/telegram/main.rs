//! The bridge to Telegram against a Bot API that loses, repeats and reorders updates, cuts connections and says no.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "a test that finds nothing fails"
)]

mod api;
mod host;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use pretty_assertions::assert_eq;
use reveille_transports::outbox::State as Sent;
use reveille_transports::{
    Behaviour, Bridge, Edit, Kind, OperationError, Outgoing, PermissionRequest, Reaction, Refusal, Reply, Standing,
    State, Verdict,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use api::{Fault, TOKEN, message_of};
use host::{Ground, bridge, eventually};

fn answer(id: &str, text: &str, files: &[&str]) -> Outgoing {
    let origin = [("chat_id", "42"), ("message_id", "7")];
    Outgoing {
        id: id.into(),
        agent: "scribe".into(),
        turn: Some("turn-0".into()),
        text: text.into(),
        files: files.iter().map(|&file| file.into()).collect(),
        origin: origin.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        kind: Kind::Reply,
        created_at: Timestamp::now(),
    }
}

fn meta() -> BTreeMap<String, String> {
    [("chat_id".to_owned(), "42".to_owned())].into()
}

#[tokio::test]
async fn a_message_comes_in_and_its_answer_goes_out() {
    let mut ground = Ground::running().await;
    ground.api.text(42, 7, "hello");
    eventually("taken", || ground.daemon.texts() == ["hello"]).await;
    let taken = ground.daemon.taken.lock().unwrap()[0].clone();
    assert_eq!((taken.agent.as_str(), taken.sender.as_str()), ("scribe", "telegram:42"));
    assert_eq!(taken.idempotency_key.as_deref(), Some("telegram/4711/42/7"));
    let note = Outgoing {
        origin: taken.origin,
        ..answer("note", &"a".repeat(10_000), &[])
    };
    ground.bridge.hand_over(&note).await.unwrap();
    ground.bridge.hand_over(&note).await.unwrap();
    eventually("sent", || ground.api.texts().len() == 3).await;
    assert_eq!(ground.api.texts().concat(), note.text);
    for sent in ground.api.calls("sendMessage") {
        assert_eq!(
            (&sent["chat_id"], &sent["reply_parameters"]["message_id"]),
            (&json!("42"), &json!(7))
        );
        assert!(sent.get("parse_mode").is_none());
    }
    ground.stop().await;
}

#[tokio::test]
async fn each_message_once_and_in_order_however_updates_come() {
    for seed in 0..12 {
        let mut ground = Ground::running().await;
        ground.api.lock().chaos = Some(seed);
        for message in 0..60 {
            ground.api.text(42, message, &format!("text {message}"));
            if message % 9 == 0 {
                let fault = match message % 4 {
                    0 => Fault::Cut,
                    1 => Fault::Garbage,
                    2 => Fault::Status(500, json!({"description": "Internal Server Error"})),
                    _ => Fault::Status(429, json!({"parameters": {"retry_after": 0}})),
                };
                ground.api.fault("getUpdates", &[fault]);
            }
            if message == 20 {
                ground
                    .daemon
                    .refusals
                    .lock()
                    .unwrap()
                    .push(Refusal::Unknown("the disk".into()));
            }
            if message % 25 == 24 {
                let many = usize::try_from(message / 2).unwrap();
                eventually("some are taken", || ground.daemon.texts().len() > many).await;
                ground.kill().await;
                ground.start();
            }
        }
        let all: Vec<String> = (0..60).map(|message| format!("text {message}")).collect();
        eventually("all are taken", || {
            // The last ones, if some are missing.
            ground.daemon.texts().last() == all.last() && ground.api.lock().updates.len() <= 1
        })
        .await;
        assert_eq!(ground.daemon.texts(), all, "seed {seed}");
        ground.stop().await;
        assert_eq!(ground.daemon.texts(), all, "seed {seed}");
    }
}

#[tokio::test]
async fn the_token_is_in_no_error() {
    let mut ground = Ground::running().await;
    let echo = json!({"description": format!("bad /bot{TOKEN}/ {}", &TOKEN[5..])});
    let faults = [
        Fault::Garbage,
        Fault::Status(500, echo.clone()),
        Fault::Status(400, echo.clone()),
        Fault::Cut,
        Fault::Huge(9 << 20),
        Fault::Status(409, echo.clone()),
    ];
    ground.api.fault("getUpdates", &faults);
    ground.api.fault("sendMessage", &[Fault::Status(400, echo.clone())]);
    ground.bridge.hand_over(&answer("note", "hi", &[])).await.unwrap();
    ground.api.text(42, 1, "after all that");
    eventually("taken", || ground.daemon.texts() == ["after all that"]).await;
    let states = ground.states();
    assert!(
        states.contains("somebody else takes the messages") && states.contains("500") && states.contains("longer than"),
        "{states}"
    );
    let mut told = states;
    eventually("undelivered", || ground.api.lock().faults["sendMessage"].is_empty()).await;
    let deadline = Instant::now() + Duration::from_secs(20);
    let undelivered = loop {
        let listed = ground
            .outbox
            .list("telegram/phone", Sent::Undelivered, 0, 10)
            .await
            .unwrap();
        if let Some(one) = listed.into_iter().next() {
            break one;
        }
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    told.push_str(undelivered.error.as_deref().unwrap());
    ground.api.fault(
        "editMessageText",
        &[Fault::Status(400, echo), Fault::Garbage, Fault::Cut],
    );
    for _ in 0..3 {
        let edit = Edit {
            message_id: "1".into(),
            text: "x".into(),
            meta: meta(),
        };
        told.push_str(&ground.bridge.edit(edit).await.unwrap_err().to_string());
    }
    let log = String::from_utf8(host::log().lock().unwrap().clone()).unwrap();
    assert!(log.contains("Telegram does not answer as it should"));
    told.push_str(&log);
    assert!(told.contains("<token>"), "{told}");
    let shown = told
        .lines()
        .find(|line| line.contains(&TOKEN[5..]) || line.contains("/bot4711"));
    assert_eq!(shown, None);
    ground.stop().await;
}

#[tokio::test]
async fn a_token_that_is_not_accepted_is_told_with_what_to_do() {
    let mut ground = Ground::new(None).await;
    ground.bridge = bridge(&ground.api, ground.dir.path(), &ground.outbox, "4711:another");
    ground.start_this();
    eventually("refused", || ground.states().contains("Refused")).await;
    assert!(ground.states().contains("@BotFather"), "{}", ground.states());
    ground.stop().await;
}

#[tokio::test]
async fn without_an_access_file_it_is_closed_and_opens_at_once() {
    let mut ground = Ground::new(None).await;
    ground.start();
    ground.api.text(42, 1, "let me in");
    ground.api.text(42, 2, "please");
    eventually("told", || ground.api.texts().len() == 1).await;
    assert!(ground.api.texts()[0].contains("Your user id is 42"));
    eventually("state", || ground.states().contains("access.json")).await;
    eventually("left out", || ground.api.lock().updates.is_empty()).await;
    assert_eq!(ground.daemon.texts(), Vec::<String>::new());
    std::fs::write(
        ground.dir.path().join("access.json"),
        r#"{"dmPolicy": "allowlist", "allowFrom": ["42"]}"#,
    )
    .unwrap();
    ground.api.text(7, 3, "me too");
    ground.api.text(42, 4, "thanks");
    eventually("taken", || ground.daemon.texts() == ["thanks"]).await;
    eventually("up", || ground.states.lock().unwrap().last() == Some(&State::Up)).await;
    assert_eq!(ground.api.texts().len(), 1);
    ground.stop().await;
}

#[tokio::test]
async fn a_poll_is_given_up_when_the_bridge_stops() {
    let mut ground = Ground::running().await;
    eventually("polls", || ground.api.lock().polls == 1).await;
    let before = Instant::now();
    ground.stop().await;
    assert!(before.elapsed() < Duration::from_secs(4));
    // What came meanwhile is not lost, and what was confirmed does not come again.
    ground.api.text(42, 1, "later");
    ground.start();
    eventually("taken", || ground.daemon.texts() == ["later"]).await;
    ground.stop().await;
}

#[tokio::test]
async fn after_a_crash_only_what_was_not_sent_of_an_answer_is_sent() {
    let mut ground = Ground::new(Some(r#"{"dmPolicy": "open", "allowFrom": []}"#)).await;
    let text = format!("{}\n{}\n{}", "x".repeat(4000), "y".repeat(4000), "z".repeat(4000));
    ground.bridge.hand_over(&answer("note", &text, &[])).await.unwrap();
    ground.bridge.hand_over(&answer("next", "short", &[])).await.unwrap();
    // The second part is on its way when the process dies.
    ground.api.fault("sendMessage", &[Fault::Fine, Fault::Hold]);
    ground.start();
    eventually("the second part is on its way", || {
        ground.api.lock().faults["sendMessage"].is_empty()
    })
    .await;
    assert_eq!(ground.api.texts().len(), 1);
    ground.kill().await;
    ground.start();
    eventually("all", || ground.api.texts().len() >= 4).await;
    ground.stop().await;
    let firsts: String = ground
        .api
        .texts()
        .iter()
        .filter_map(|text| text.chars().next())
        .collect();
    assert_eq!(firsts, "xyzs");
}

#[tokio::test]
async fn what_is_refused_for_good_is_undelivered_and_the_rest_goes_on() {
    let mut ground = Ground::running().await;
    let flood = json!({"parameters": {"retry_after": 0}});
    let server = || Fault::Status(502, json!({}));
    ground.api.fault(
        "sendMessage",
        &[
            Fault::Status(429, flood.clone()),
            Fault::Status(429, flood.clone()),
            server(),
            server(),
            Fault::Status(400, json!({"parameters": {"migrate_to_chat_id": -1009}})),
            Fault::Status(429, flood),
        ],
    );
    ground.bridge.hand_over(&answer("a", "late", &[])).await.unwrap();
    eventually("sent", || ground.api.texts() == ["late"]).await;
    assert_eq!(ground.api.calls("sendMessage")[0]["chat_id"], "-1009");
    // So often that it is given up.
    ground
        .api
        .fault("sendMessage", &[server(), server(), server(), server()]);
    ground.bridge.hand_over(&answer("b", "lost", &[])).await.unwrap();
    ground.bridge.hand_over(&answer("c", "next", &[])).await.unwrap();
    eventually("the next one", || ground.api.texts() == ["late", "next"]).await;
    let undelivered = ground
        .outbox
        .list("telegram/phone", Sent::Undelivered, 0, 10)
        .await
        .unwrap();
    assert_eq!(
        undelivered.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(),
        ["b#1"]
    );
    ground
        .outbox
        .redrive("telegram/phone", reveille_transports::outbox::Which::All)
        .await
        .unwrap();
    eventually("sent again", || ground.api.texts() == ["late", "next", "lost"]).await;
    ground.stop().await;
}

#[tokio::test]
async fn files_go_both_ways() {
    let mut ground = Ground::running().await;
    ground
        .api
        .lock()
        .files
        .insert("photos/large.JPG".into(), b"picture".to_vec());
    let photo = |id: &str| json!({"file_id": id, "file_unique_id": format!("u-{id}"), "file_size": 7});
    ground.api.push(
        json!({"message": message_of(42, 1, &json!({"photo": [photo("small"), photo("large")], "caption": "look"}))}),
    );
    let big = json!({"file_id": "big", "file_unique_id": "u", "file_size": 30_000_000_u64, "file_name": "a.iso"});
    ground
        .api
        .push(json!({"message": message_of(42, 2, &json!({"document": big}))}));
    eventually("taken", || ground.daemon.texts().len() == 2).await;
    let taken = ground.daemon.taken.lock().unwrap().clone();
    assert_eq!(
        (taken[0].text.as_str(), taken[0].attachments.as_slice()),
        ("look", ["files/photo-u-large.jpg".to_owned()].as_slice())
    );
    assert_eq!(
        ground.daemon.vault.lock().unwrap()["files/photo-u-large.jpg"],
        b"picture"
    );
    assert!(
        taken[1]
            .text
            .starts_with("(document)\n\n(The document could not be fetched: it has 30000000 bytes"),
        "{}",
        taken[1].text
    );
    // Out of the vault: a picture that Telegram does not take as one goes as a document; what is too large is told.
    let mine = [
        ("out/a.png".to_owned(), b"png".to_vec()),
        ("out/big.txt".to_owned(), vec![0; 1001]),
    ];
    ground.daemon.vault.lock().unwrap().extend(mine);
    ground.api.fault(
        "sendPhoto",
        &[Fault::Status(
            400,
            json!({"description": "Bad Request: PHOTO_INVALID_DIMENSIONS"}),
        )],
    );
    ground
        .bridge
        .hand_over(&answer("files", "here", &["out/a.png", "out/big.txt"]))
        .await
        .unwrap();
    eventually("sent", || ground.api.texts().len() == 2).await;
    let document = ground.api.calls("sendDocument")[0].as_str().unwrap().to_owned();
    assert!(
        document.contains("filename=\"a.png\"") && document.contains("\r\n\r\npng\r\n"),
        "{document}"
    );
    assert!(
        ground.api.texts()[1].contains("big.txt could not be sent: it has 1001 bytes"),
        "{:?}",
        ground.api.texts()
    );
    // One that is not in the vault holds the chat up for some tries only.
    ground
        .bridge
        .hand_over(&answer("gone", "", &["out/gone.txt"]))
        .await
        .unwrap();
    ground.bridge.hand_over(&answer("after", "goes on", &[])).await.unwrap();
    eventually("told and gone on", || ground.api.texts().len() == 4).await;
    assert_eq!(
        ground.api.texts()[2..],
        ["The file gone.txt could not be sent: there is no such file", "goes on"]
    );
    // By hand: only from under the roots.
    let path = ground.bridge.download("large").await.unwrap();
    let reply = |path: &str| Reply {
        files: vec![path.to_owned()],
        meta: meta(),
        ..Reply::default()
    };
    assert_eq!(ground.bridge.reply(reply(&path)).await.unwrap().len(), 1);
    assert_eq!(ground.api.calls("sendPhoto").len(), 1);
    let error = ground.bridge.reply(reply("/etc/passwd")).await.unwrap_err();
    assert!(
        matches!(&error, OperationError::Config(text) if text.contains("outside")),
        "{error}"
    );
    ground.stop().await;
}

#[tokio::test]
async fn operations_need_a_chat_and_return_what_was_sent() {
    let ground = Ground::new(None).await;
    assert_eq!(ground.bridge.kind(), "telegram");
    let error = ground
        .bridge
        .reply(Reply {
            text: Some("x".into()),
            ..Reply::default()
        })
        .await
        .unwrap_err();
    assert!(
        matches!(&error, OperationError::Config(text) if text.contains("chat_id")),
        "{error}"
    );
    assert_eq!(
        ground
            .bridge
            .reply(Reply {
                meta: meta(),
                ..Reply::default()
            })
            .await
            .unwrap(),
        Vec::<String>::new()
    );
    let reply = Reply {
        text: Some("x".repeat(5000)),
        reply_to: Some("9".into()),
        meta: meta(),
        ..Reply::default()
    };
    assert_eq!(ground.bridge.reply(reply).await.unwrap(), ["1", "2"]);
    assert!(
        ground
            .api
            .calls("sendMessage")
            .iter()
            .all(|sent| sent["reply_parameters"]["message_id"] == 9)
    );
    ground
        .bridge
        .react(Reaction {
            message_id: "9".into(),
            emoji: "👀".into(),
            meta: meta(),
        })
        .await
        .unwrap();
    assert_eq!(ground.api.calls("setMessageReaction")[0]["reaction"][0]["emoji"], "👀");
    ground
        .bridge
        .edit(Edit {
            message_id: "9".into(),
            text: "y".into(),
            meta: meta(),
        })
        .await
        .unwrap();
    assert_eq!(ground.api.calls("editMessageText")[0]["text"], "y");
    // Nobody is listed.
    let request = PermissionRequest {
        request_id: "abcde".into(),
        ..PermissionRequest::default()
    };
    assert!(matches!(
        ground.bridge.permission(request).await,
        Err(OperationError::Config(_))
    ));
}

#[tokio::test]
async fn a_permission_is_given_by_who_was_asked_and_once() {
    let mut ground = Ground::new(Some(
        r#"{"dmPolicy": "allowlist", "allowFrom": ["42", "43"], "allowInChats": ["42", "43", "-5"]}"#,
    ))
    .await;
    ground.start();
    // Not open yet: it is a message.
    ground.api.text(42, 1, "y abcde");
    eventually("taken", || ground.daemon.texts() == ["y abcde"]).await;
    let request = |name: &str| PermissionRequest {
        request_id: name.into(),
        tool_name: "Bash".into(),
        description: "removes it".into(),
        input_preview: "rm -r x".repeat(2000),
    };
    assert_eq!(ground.bridge.permission(request("abcde")).await.unwrap(), ["1", "2"]);
    let asked = ground.api.calls("sendMessage");
    assert_eq!(
        asked[0]["reply_markup"]["inline_keyboard"][0][1]["callback_data"],
        "perm_deny_abcde"
    );
    assert!(asked[0]["text"].as_str().unwrap().encode_utf16().count() <= 4096);
    let press = |user: i64, data: &str, chat: i64| json!({"callback_query": {"id": "q", "from": {"id": user, "first_name": "B"}, "message": {"message_id": 1, "chat": {"id": chat}}, "data": data}});
    // A member of a group who was not asked, and somebody from nowhere.
    ground.api.push(press(9, "perm_allow_abcde", -5));
    ground.api.push(press(9, "perm_allow_abcde", 9));
    ground.api.push(press(43, "perm_allow_abcde", 43));
    ground.api.push(press(42, "perm_deny_abcde", 42));
    eventually("answered", || ground.api.calls("answerCallbackQuery").len() == 4).await;
    let allow = Verdict {
        request_id: "abcde".into(),
        behavior: Behaviour::Allow,
    };
    assert_eq!(*ground.daemon.verdicts.lock().unwrap(), [allow]);
    assert_eq!(ground.api.calls("editMessageText").len(), 2);
    // By text, with a reaction, and not as a message.
    ground.bridge.permission(request("fghij")).await.unwrap();
    ground.api.text(42, 2, " NO fghij ");
    eventually("denied", || ground.daemon.verdicts.lock().unwrap().len() == 2).await;
    eventually("reaction", || ground.api.calls("setMessageReaction").len() == 1).await;
    assert_eq!(ground.daemon.verdicts.lock().unwrap()[1].behavior, Behaviour::Deny);
    assert_eq!(ground.daemon.texts(), ["y abcde"]);
    ground.stop().await;
}

#[tokio::test]
async fn commands_places_in_the_queue_typing_and_edits() {
    let mut ground = Ground::running().await;
    let mut standings = BTreeMap::new();
    standings.insert("turn-0".to_owned(), Standing::Running);
    standings.insert("turn-1".to_owned(), Standing::Waiting { ahead: 1 });
    *ground.daemon.standings.lock().unwrap() = standings;
    ground.api.text(42, 1, "first");
    ground.api.text(42, 2, "second");
    eventually("told", || {
        ground.api.texts() == ["Your message waits: 1 other is before it."]
    })
    .await;
    eventually("typing", || !ground.api.calls("sendChatAction").is_empty()).await;
    let edit = |message: i64, text: &str| json!({"edited_message": message_of(42, message, &json!({"text": text, "edit_date": 1_700_000_100}))});
    ground.api.push(edit(2, "second, but better"));
    eventually("corrected", || ground.daemon.texts().len() == 3).await;
    assert!(
        ground.daemon.texts()[2].contains("correction") && ground.daemon.texts()[2].ends_with("second, but better")
    );
    ground
        .daemon
        .standings
        .lock()
        .unwrap()
        .insert("turn-0".into(), Standing::Ended);
    ground.api.push(edit(1, "too late"));
    eventually("told so", || {
        ground.api.texts().last().unwrap().contains("worked on already")
    })
    .await;
    ground.api.text(42, 3, "/stop@scribe_bot");
    ground.api.text(42, 4, "/stop@other_bot");
    ground.api.text(42, 5, "/help");
    eventually("help", || {
        ground.api.texts().last().unwrap().contains("/stop interrupts")
    })
    .await;
    assert!(ground.api.texts().contains(&"Stopped.".to_owned()));
    assert_eq!(
        (*ground.daemon.stops.lock().unwrap(), ground.daemon.texts().len()),
        (1, 3)
    );
    ground.stop().await;
}

#[tokio::test]
async fn a_message_that_is_not_taken_is_told_and_one_that_cannot_be_yet_is_kept() {
    let mut ground = Ground::running().await;
    let full = Refusal::Full {
        agent: "scribe".into(),
        waiting: 100,
    };
    let away = || Refusal::Unavailable("the vault is away".into());
    *ground.daemon.refusals.lock().unwrap() = vec![full, away(), away(), away(), away()];
    ground.api.text(42, 1, "one too many");
    ground.api.text(42, 2, "patient");
    eventually("taken", || ground.daemon.texts() == ["patient"]).await;
    eventually("both told", || ground.api.texts().len() == 2).await;
    let told = ground.api.texts().concat();
    assert!(
        told.contains("100 messages wait already") && told.contains("Yours is kept"),
        "{told}"
    );
    assert!(ground.states().contains("the vault is away"), "{}", ground.states());
    ground.stop().await;
}

#[tokio::test]
async fn what_is_no_message_is_left_out_and_holds_nothing_up() {
    let mut ground = Ground::running().await;
    for odd in [
        json!({"message": {"text": 5}}),
        json!({"poll": {}}),
        json!({"message": message_of(42, 1, &json!({}))}),
        json!({"message": {"message_id": 1, "chat": {"id": 42}, "text": "from nobody"}}),
    ] {
        ground.api.push(odd);
    }
    ground.api.text(42, 9, "after them");
    eventually("taken", || ground.daemon.texts() == ["after them"]).await;
    ground.stop().await;
    let stored = std::fs::read_to_string(ground.dir.path().join("telegram-phone.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&stored).unwrap()["next"], 105);
}
