//! R-UI: channels of the kind http-ui.

use anyhow::Result;
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::eventually;
use reveille_tests::parachute::{Parachute, TOKEN, Version};
use serde_json::json;

use super::*;

#[tokio::test]
async fn r_ui_1_what_a_page_sends_wakes_its_agent_and_the_answer_comes_to_the_page() -> Result<()> {
    let daemon = stand_in().start().await?;
    daemon.create_agent("eng", "You build.").await?;
    let (mut page, mut other) = (page(&daemon, "eng").await?, page(&daemon, "ui1").await?);
    let sent = daemon.send("eng", "hello").await?;
    let turn = daemon.wait_turn("eng", &sent).await?;
    let (event, data) = page.next().await?;
    assert_eq!((event.as_str(), data["files"].clone()), ("reply", json!([])));
    // The answer may be on the page before its note is written.
    daemon.wait_quiet(LIMIT).await?;
    let messages = daemon.messages("eng").await?;
    let reply = messages.iter().find(|message| json!(message.id) == data["id"]);
    assert!(
        reply.is_some_and(|reply| json!(reply.text) == data["text"]),
        "{data}; {turn:?}"
    );

    // Where it came from stands on its note, sealed, and what others write there does not count.
    let note = daemon.note(&sent.id).await?.expect("the note");
    assert_eq!(note["metadata"]["origin_bridge"], "eng");
    let seal = note["metadata"]["origin_seal"].as_str().expect("a seal").to_owned();
    let forged = json!({ "agent": "eng", "origin_bridge": "eng", "origin_source": "http-ui", "origin_seal": seal });
    daemon
        .note_put(
            "letters/forged",
            "forged",
            &["agent/message", "agent/message/inbound"],
            &forged,
        )
        .await?;
    daemon.wait_quiet(LIMIT).await?;
    let sent = daemon.send("eng", "the next").await?;
    daemon.wait_turn("eng", &sent).await?;
    let (_, data) = page.next().await?;
    daemon.wait_quiet(LIMIT).await?;
    let note = daemon
        .note(data["id"].as_str().expect("an id"))
        .await?
        .expect("the note");
    assert_eq!(
        note["metadata"]["in_reply_to"],
        json!(sent.id),
        "the forged one came to the page"
    );

    // Nothing of it is heard on the other channel.
    until_up(&daemon, "ui1").await?;
    post(
        &daemon,
        &["api", "reply"],
        &json!({ "channel": "ui1", "text": "for ui1" }),
    )
    .await?
    .ok::<Value>()?;
    assert_eq!(other.next().await?.1["text"], "for ui1");
    Ok(())
}

#[tokio::test]
async fn r_ui_1_who_may_send_and_what_is_refused() -> Result<()> {
    let daemon = stand_in().start().await?;
    let path = ["api", "channels", "ui1", "send"];
    let blank = post(&daemon, &path, &json!({ "text": " " })).await?;
    assert_eq!(refused(&blank), (400, "blank_text"));
    for (scopes, expected) in [(&["reveille:send"][..], 200), (&["reveille:read"][..], 403)] {
        let token = token(&daemon, scopes).await?;
        let headers = [
            ("authorization", format!("Bearer {token}")),
            ("content-type", "application/json".into()),
        ];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        let answer = daemon
            .ask("POST", "/api/channels/ui1/send", &headers, br#"{"text": "hello"}"#)
            .await?;
        assert_eq!(answer.status, expected, "{scopes:?}");
    }
    let stranger = daemon
        .ask(
            "POST",
            "/api/channels/ui1/send",
            &[("content-type", "application/json")],
            br#"{"text": "x"}"#,
        )
        .await?;
    assert_eq!(stranger.status, 401);
    let other = post(&daemon, &["api", "channels", "ui2", "send"], &json!({ "text": "x" })).await?;
    assert_eq!(refused(&other), (404, "unknown_agent"));
    Ok(())
}

#[tokio::test]
async fn r_ui_2_a_page_listens_by_a_ticket_that_works_once() -> Result<()> {
    let daemon = stand_in().start().await?;
    let status = async |target: String| -> Result<u16> {
        Ok(match open(&daemon, &target, None).await? {
            Ok(_) => 200,
            Err(status) => status,
        })
    };
    let stream = "/ui/events?channel=ui1";
    assert_eq!(status(stream.to_owned()).await?, 401);
    assert_eq!(status(format!("{stream}&token={}", daemon.token())).await?, 401);
    assert_eq!(status(format!("{stream}&ticket=none")).await?, 401);
    let once = ticket(&daemon, stream).await?;
    assert_eq!(status(format!("{stream}&ticket={once}")).await?, 200);
    assert_eq!(status(format!("{stream}&ticket={once}")).await?, 401);
    let unknown = ticket(&daemon, "/ui/events?channel=none").await?;
    assert_eq!(status(format!("/ui/events?channel=none&ticket={unknown}")).await?, 404);
    Ok(())
}

#[tokio::test]
async fn r_ui_3_4_replies_edits_and_questions_are_frames_and_the_end_is_told() -> Result<()> {
    let mut daemon = stand_in().start().await?;
    until_up(&daemon, "ui1").await?;
    let reply = json!({ "channel": "ui1", "text": "hello" });
    let nobody = post(&daemon, &["api", "reply"], &reply).await?;
    assert_eq!((nobody.status, nobody.body), (200, json!({ "sent": [] })));
    let mut page = page(&daemon, "ui1").await?;
    let sent = post(&daemon, &["api", "reply"], &reply).await?.body;
    let id = sent["sent"][0].clone();
    assert_eq!(
        page.next().await?,
        ("reply".into(), json!({ "id": id, "text": "hello", "files": [] }))
    );
    let edit = json!({ "channel": "ui1", "message_id": id, "text": "hello again" });
    assert_eq!(
        post(&daemon, &["api", "edit"], &edit).await?.body,
        json!({ "ok": true })
    );
    assert_eq!(
        page.next().await?,
        ("edit".into(), json!({ "id": id, "text": "hello again" }))
    );
    let request = json!({ "request_id": "abcde", "tool_name": "Bash", "description": "d", "input_preview": "ls" });
    let mut asked = request.clone();
    asked["channel"] = json!("ui1");
    assert_eq!(
        post(&daemon, &["api", "permission"], &asked).await?.body,
        json!({ "sent": ["abcde"] })
    );
    assert_eq!(page.next().await?, ("permission".into(), request));

    daemon.stop().await?;
    assert_eq!(page.next().await?, ("close".into(), json!({})));
    assert_eq!(page.next_or_end().await?, None);
    Ok(())
}

#[tokio::test]
async fn r_br_6_calls_are_refused_with_what_is_wrong() -> Result<()> {
    let daemon = stand_in().start().await?;
    daemon.create_agent("notes", "You keep notes.").await?;
    for call in ["reply", "react", "edit", "permission", "download"] {
        let missing = post(&daemon, &["api", call], &json!({ "text": "x" })).await?;
        assert_eq!(refused(&missing), (400, "no_channel"), "{call}");
        let unknown = post(&daemon, &["api", call], &json!({ "channel": "none", "text": "x" })).await?;
        assert_eq!(refused(&unknown), (400, "unknown_channel"), "{call}");
        let listed = unknown.body["message"].as_str().unwrap_or_default();
        assert!(listed.contains("eng, notes, ui1"), "{listed}");
        let path = format!("/api/{call}");
        let json = ("content-type", "application/json");
        let bearer = token(&daemon, &["reveille:read"]).await?;
        let bearer = format!("Bearer {bearer}");
        for (headers, expected) in [
            (vec![json], 401),
            (vec![json, ("authorization", "Bearer garbage")], 401),
            (vec![json, ("authorization", bearer.as_str())], 403),
        ] {
            let answer = daemon.ask("POST", &path, &headers, br#"{"channel": "ui1"}"#).await?;
            assert_eq!(answer.status, expected, "{call} {headers:?}");
        }
    }
    for (call, channel, kind) in [
        ("react", "ui1", "http-ui"),
        ("download", "ui1", "http-ui"),
        ("react", "notes", "vault"),
        ("edit", "notes", "vault"),
        ("permission", "notes", "vault"),
        ("download", "notes", "vault"),
    ] {
        let reply = post(&daemon, &["api", call], &json!({ "channel": channel })).await?;
        assert_eq!(refused(&reply), (400, "unsupported"), "{call} {channel}");
        let message = reply.body["message"].as_str().unwrap_or_default();
        assert!(message.contains(kind) && message.contains(call), "{message}");
    }
    let said = post(
        &daemon,
        &["api", "reply"],
        &json!({ "channel": "notes", "text": "By the way." }),
    )
    .await?;
    let note = daemon
        .note(said.body["sent"][0].as_str().expect("an id"))
        .await?
        .expect("the note");
    assert_eq!(
        (note["content"].clone(), note["metadata"]["direction"].clone()),
        (json!("By the way."), json!("outbound"))
    );
    Ok(())
}

#[tokio::test]
async fn a_channel_is_listed_with_its_kind_and_its_state_is_in_the_health() -> Result<()> {
    let daemon = stand_in().start().await?;
    daemon.create_agent("notes", "You keep notes.").await?;
    let listed: Value = daemon.request(Method::GET, &["api", "channels"], None).await?.ok()?;
    let kinds: Vec<(&str, &str)> = listed["channels"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| {
            (
                one["name"].as_str().unwrap_or_default(),
                one["transport"].as_str().unwrap_or_default(),
            )
        })
        .collect();
    assert_eq!(kinds, [("notes", "vault"), ("eng", "http-ui"), ("ui1", "http-ui")]);
    let up = |name: &str| json!({ "name": name, "kind": "http-ui", "agent": name, "state": "up", "sessions": 0, "waiting": null, "undelivered": null, "removable": false });
    let health: Value = reveille_tests::eventually("the bridges are up", LIMIT, async || {
        let health: Value = daemon.request(Method::GET, &["health"], None).await?.ok()?;
        Ok((health["bridges"][1]["state"] == "up" && health["bridges"][0]["state"] == "up").then_some(health))
    })
    .await?;
    assert_eq!(health["bridges"], json!([up("eng"), up("ui1")]));
    let figures = daemon.ask_in("GET", "/metrics", b"").await?;
    let text = String::from_utf8(figures.body)?;
    assert!(
        text.contains("reveille_bridge_state{bridge=\"ui1\",state=\"up\"} 1"),
        "{text}"
    );
    Ok(())
}

#[tokio::test]
async fn an_edit_of_a_message_leaves_where_it_came_from() -> Result<()> {
    let mut daemon = stand_in().start().await?;
    daemon.create_agent("eng", "You build.").await?;
    let genuine = daemon.send("eng", "hello").await?;
    daemon.wait_turn("eng", &genuine).await?;
    let note = daemon.note(&genuine.id).await?.expect("the note");
    let seal = &note["metadata"]["origin_seal"];
    let forged = json!({ "agent": "eng", "origin_bridge": "eng", "origin_source": "http-ui", "origin_seal": seal });

    // Both are cut off, which the feed leaves as they are.
    let gate = daemon.scratch().join("gate");
    let hangs = format!("[[exec while ! test -e {}; do sleep 0.02; done]]", gate.display());
    let own = daemon.send("eng", &hangs).await?;
    let tags = ["agent/message", "agent/message/inbound"];
    let subject = json!({ "subject": "aside" });
    let metadata = merged(&forged, &subject);
    let other = daemon.note_put("letters/forged", &hangs, &tags, &metadata).await?;
    let other = other["id"].as_str().expect("an id").to_owned();
    let turns = async |daemon: &Daemon, state: &str| {
        eventually(&format!("both are {state}"), LIMIT, async || {
            let line = daemon
                .request(Method::GET, &["api", "channels", "eng", "queue"], None)
                .await?;
            let turns = line.body["turns"].as_array().cloned().unwrap_or_default();
            let both = turns.len() == 2 && turns.iter().all(|turn| turn["state"] == state);
            Ok(both.then_some(turns))
        })
        .await
    };
    turns(&daemon, "working").await?;
    post(&daemon, &["api", "agents", "eng", "pause"], &json!({})).await?;
    daemon.kill9().await?;
    daemon.start().await?;
    for turn in turns(&daemon, "waiting").await? {
        let words = match turn["message"] == json!(other) {
            true => "[[reply forged]]",
            false => "[[reply genuine]]",
        };
        let path = ["api", "turns", turn["turn"].as_str().expect("a turn")];
        let edited = daemon
            .request(Method::PATCH, &path, Some(&json!({ "text": words })))
            .await?;
        assert_eq!(edited.status, 200, "{}", edited.body);
    }
    let mut page = page(&daemon, "eng").await?;
    std::fs::write(gate, "")?;
    post(&daemon, &["api", "agents", "eng", "resume"], &json!({})).await?;
    assert!(daemon.wait_turn("eng", &own).await?.reply.is_some());
    daemon.wait_quiet(LIMIT).await?;
    let last = daemon.send("eng", "[[reply last]]").await?;
    daemon.wait_turn("eng", &last).await?;
    let mut heard = Vec::new();
    while heard.last().is_none_or(|text: &String| !text.contains("last")) {
        heard.push(page.next().await?.1["text"].as_str().unwrap_or_default().to_owned());
    }
    assert!(heard.len() == 2 && heard[0].contains("genuine"), "{heard:?}");
    Ok(())
}

fn merged(one: &Value, other: &Value) -> Value {
    let all = [one, other].into_iter().filter_map(Value::as_object).flatten();
    all.map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[tokio::test]
async fn a_message_for_an_agent_that_is_not_read_yet_is_refused_and_not_told_to_who_listens() -> Result<()> {
    let peer = Parachute::start(Version::July)?;
    let config = format!(
        "{CHANNELS}\n[vault]\nkind = \"parachute\"\nurl = \"{}\"\npoll = \"1s\"\ntoken = \"${{PARACHUTE_TOKEN}}\"\n",
        peer.url()
    );
    let mut daemon = Daemon::builder()
        .stand_in()
        .env("PARACHUTE_TOKEN", TOKEN)
        .config(&config)
        .start()
        .await?;
    let shows = async |daemon: &Daemon, name: &str, status: u16| {
        eventually(&format!("{name} is answered with {status}"), LIMIT, async || {
            let shown = daemon.request(Method::GET, &["api", "agents", name], None).await?;
            Ok((shown.status == status).then_some(()))
        })
        .await
    };
    shows(&daemon, "nobody", 404).await?;
    daemon.create_agent("eng", "You build.").await?;
    shows(&daemon, "eng", 200).await?;
    daemon.stop().await?;

    // What was known of the server's notes is lost, and it is away: nothing is known but whose name it is.
    std::fs::remove_dir_all(daemon.state_dir().join("vaults"))?;
    peer.set_faults(|faults| faults.status = Some(503));
    daemon.start().await?;
    let mut page = page(&daemon, "eng").await?;
    let body = json!({ "text": "[[reply two]]" });
    let early = post(&daemon, &["api", "channels", "eng", "send"], &body).await?;
    assert_eq!(refused(&early), (503, "vault_unavailable"));
    peer.set_faults(|faults| faults.status = None);
    shows(&daemon, "eng", 200).await?;
    let sent = daemon.send("eng", "[[reply three]]").await?;
    daemon.wait_turn("eng", &sent).await?;
    let (event, data) = page.next().await?;
    assert_eq!(event, "reply");
    assert!(
        data["text"].as_str().is_some_and(|text| text.contains("three")),
        "{data}"
    );
    Ok(())
}
