//! What messages and turns say of where they came from, what they led to and what they took.

use pretty_assertions::assert_eq;

use super::*;

/// The messages of an agent, oldest first, once there are `count`.
async fn messages(daemon: &Daemon, agent: &str, count: usize) -> Result<Vec<Value>> {
    let target = format!("/api/channels/{agent}/messages");
    eventually("the messages are there", LIMIT, async || {
        let list = read(daemon, &target).await?;
        let list = list["messages"].as_array().context("messages")?.clone();
        Ok((list.len() >= count).then_some(list))
    })
    .await
}

fn is_null(value: &Value, keys: &[&str]) -> Result<()> {
    for key in keys {
        ensure!(value.get(key).is_some_and(Value::is_null), "{key} of {value}");
    }
    Ok(())
}

#[tokio::test]
async fn a_message_says_what_its_turn_took() -> Result<()> {
    let daemon = with_eng().await?;
    let done = turn(&daemon, "[[cost 0.5]] [[sleep 20ms]] [[reply ok]]").await?;
    let all = messages(&daemon, "eng", 2).await?;
    let shown = daemon.turn(&done.turn).await?;
    for message in &all {
        assert_eq!(message["turn"], json!(done.turn));
        assert_eq!(
            (&message["chain"], &message["callback"]),
            (&all[0]["id"], &json!(false))
        );
        assert_eq!(message["cost_usd"], json!(shown.cost_usd));
        assert_eq!(message["usage"], shown.more["usage"]);
        let took = message["duration_ms"].as_u64().context("a time")?;
        assert!(took >= 20, "{message}");
        assert_eq!(message["duration_ms"], shown.more["duration_ms"]);
        assert_eq!(message["attachments"], json!([]));
        is_null(message, &["delegated_by"])?;
    }
    assert!(shown.cost_usd >= 0.5, "{shown:?}");
    assert_eq!(shown.more["model"], json!("claude-stand-in"));
    assert_eq!(
        (&shown.more["children"], &shown.more["delegated_by"]),
        (&json!([]), &Value::Null)
    );
    // What has not run has taken nothing.
    let gate = Gate::new(&daemon, "gate");
    let running = daemon.send("eng", &gate.directive()).await?;
    let waiting = daemon.send("eng", "later").await?;
    let all = messages(&daemon, "eng", 4).await?;
    let later = all
        .iter()
        .find(|message| message["id"] == json!(waiting.id))
        .context("it")?;
    is_null(later, &["usage", "cost_usd", "duration_ms"])?;
    let listed = read(&daemon, "/api/turns?channel=eng&state=waiting").await?;
    is_null(&listed["turns"][0], &["duration_ms", "model", "delegated_by"])?;
    gate.open()?;
    daemon.wait_turn("eng", &running).await?;
    daemon.wait_turn("eng", &waiting).await?;
    Ok(())
}

#[tokio::test]
async fn the_files_of_a_message_can_be_opened() -> Result<()> {
    let daemon = with_eng().await?;
    let form = "--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"ü b.txt\"\r\ncontent-type: text/plain\r\n\r\nhello\r\n--x--\r\n";
    let (name, value) = daemon.bearer();
    let headers = [
        (name, value.as_str()),
        ("content-type", "multipart/form-data; boundary=x"),
    ];
    let stored = daemon
        .ask("POST", "/vault/default/api/storage/upload", &headers, form.as_bytes())
        .await?
        .json()?;
    let body = json!({ "text": "[[reply seen]]", "attachments": [stored["path"]] });
    let sent = daemon.send_with("eng", &body).await?;
    daemon.wait_turn("eng", &sent).await?;
    let all = messages(&daemon, "eng", 2).await?;
    let file = &all[0]["attachments"][0];
    assert_eq!(
        (&file["name"], &file["mime"], &file["size_bytes"]),
        (&json!("ü b.txt"), &json!("text/plain"), &json!(5))
    );
    assert!(file["id"].is_string() && all[1]["attachments"] == json!([]), "{all:?}");
    let url = file["url"].as_str().context("an address")?;
    assert!(!url.starts_with('/'), "{url}");
    let opened = get(&daemon, &format!("/{url}")).await?;
    assert_eq!((opened.status, opened.body.as_slice()), (200, b"hello".as_slice()));
    Ok(())
}

/// `eng` hands work to `ops`, which does it and reports.
async fn handed_on(daemon: &Daemon) -> Result<(Turn, Value)> {
    daemon.create_agent("ops", "You operate.").await?;
    let body = json!({ "text": "[[cost 0.25]] [[reply done it]]", "reply_to": "eng" });
    // Directives do not nest.
    let file = daemon.scratch().join("body.json");
    std::fs::write(&file, body.to_string())?;
    let send = format!(
        "curl -s -H \"Authorization: Bearer $REVEILLE_TOKEN\" -d @{} $REVEILLE_URL/api/channels/ops/send",
        file.display()
    );
    let parent = turn(daemon, &format!("[[exec {send}]] [[reply handed on]]")).await?;
    let child = eventually("the other one has ended", LIMIT, async || {
        let listed = read(daemon, "/api/turns?channel=ops&state=ok").await?;
        Ok(listed["turns"].get(0).cloned())
    })
    .await?;
    Ok((parent, child))
}

#[tokio::test]
async fn work_that_was_handed_on_is_linked_both_ways() -> Result<()> {
    let daemon = with_eng().await?;
    let (parent, child) = handed_on(&daemon).await?;
    assert_eq!(child["delegated_by"], json!({ "agent": "eng", "turn": parent.turn }));
    let down = json!([{ "agent": "ops", "turn": child["turn"], "state": "ok", "cost_usd": child["cost_usd"] }]);
    assert_eq!(daemon.turn(&parent.turn).await?.more["children"], down);
    let chain = parent.more["chain"].as_str().context("a chain")?;
    let back = eventually("the callback has ended", LIMIT, async || {
        let listed = read(&daemon, &format!("/api/turns?chain={chain}")).await?;
        let turns = listed["turns"].as_array().context("turns")?.clone();
        Ok((turns.len() == 3 && turns[2]["state"] == "ok").then_some(turns))
    })
    .await?;
    let ids: Vec<&Value> = back.iter().map(|turn| &turn["turn"]).collect();
    assert_eq!(ids[..2], [&json!(parent.turn), &child["turn"]]);
    assert_eq!((&back[0]["children"], &back[2]["delegated_by"]), (&down, &Value::Null));
    let to_ops = messages(&daemon, "ops", 2).await?;
    let from = json!({ "agent": "eng", "turn": parent.turn, "message": parent.message });
    assert_eq!(
        (&to_ops[0]["delegated_by"], &to_ops[0]["chain"]),
        (&from, &json!(chain))
    );
    assert_eq!(
        (&to_ops[1]["delegated_by"], &to_ops[1]["chain"]),
        (&Value::Null, &json!(chain))
    );
    let to_eng = messages(&daemon, "eng", 4).await?;
    let callbacks: Vec<&Value> = to_eng
        .iter()
        .filter(|message| message["callback"] == json!(true))
        .collect();
    assert_eq!(callbacks.len(), 1, "{to_eng:?}");
    assert_eq!(
        (&callbacks[0]["turn"], &callbacks[0]["direction"]),
        (ids[2], &json!("inbound"))
    );
    // Narrowed: one of its conversations, one of its agents, and page by page.
    let thread = back[1]["thread"].as_str().context("a thread")?;
    for (more, expected) in [
        (format!("&thread={thread}"), vec![ids[1]]),
        ("&channel=eng".to_owned(), vec![ids[0], ids[2]]),
        ("&state=error".to_owned(), vec![]),
    ] {
        let listed = read(&daemon, &format!("/api/turns?chain={chain}{more}")).await?;
        let found: Vec<&Value> = listed["turns"]
            .as_array()
            .context("turns")?
            .iter()
            .map(|turn| &turn["turn"])
            .collect();
        assert_eq!(found, expected, "{more}");
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = read(&daemon, &format!("/api/turns?chain={chain}&limit=1{cursor}")).await?;
        seen.extend(
            page["turns"]
                .as_array()
                .context("turns")?
                .iter()
                .map(|turn| turn["turn"].clone()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen.iter().collect::<Vec<_>>(), ids);
    let own = back[0]["thread"].as_str().context("a thread")?;
    let listed = read(&daemon, &format!("/api/turns?thread={own}")).await?;
    let found: Vec<&Value> = listed["turns"]
        .as_array()
        .context("turns")?
        .iter()
        .map(|turn| &turn["turn"])
        .collect();
    assert_eq!(found, [ids[2], ids[0]]);
    Ok(())
}

#[tokio::test]
async fn a_listing_of_turns_names_what_it_is_of() -> Result<()> {
    let daemon = with_eng().await?;
    turn(&daemon, "[[reply ok]]").await?;
    for (query, expected) in [
        ("", (400, "invalid_parameter")),
        ("?state=ok", (400, "invalid_parameter")),
        ("?thread=strange", (400, "invalid_parameter")),
        ("?chain=x&cursor=strange", (400, "invalid_cursor")),
        (
            "?chain=x&cursor=open:00000000-0000-0000-0000-000000000000",
            (400, "invalid_cursor"),
        ),
        (
            "?channel=eng&cursor=all:00000000-0000-0000-0000-000000000000",
            (400, "invalid_cursor"),
        ),
        ("?channel=strange", (404, "unknown_agent")),
        ("?chain=x&channel=strange", (404, "unknown_agent")),
    ] {
        let answer = get(&daemon, &format!("/api/turns{query}")).await?;
        let (status, code) = answer.refusal()?;
        assert_eq!((status, code.as_str()), expected, "{query}");
    }
    for query in [
        "?chain=strange",
        "?chain=%27%20OR%201",
        "?thread=00000000-0000-0000-0000-000000000000",
    ] {
        let listed = read(&daemon, &format!("/api/turns{query}")).await?;
        assert_eq!(listed, json!({ "turns": [], "next_cursor": null }), "{query}");
    }
    Ok(())
}

#[tokio::test]
async fn a_session_says_how_much_is_taken() -> Result<()> {
    let daemon = Daemon::builder()
        .stand_in()
        .env("REVEILLE_SERVER__MAX_BODY", "200000")
        .env("REVEILLE_VAULT__MAX_ATTACHMENT", "3000000")
        .start()
        .await?;
    let expected = json!({
        "signed_in": true, "via": "token", "limits": { "upload_bytes": 3_000_000, "message_bytes": 200_000 },
    });
    assert_eq!(read(&daemon, "/api/session").await?, expected);
    Ok(())
}
