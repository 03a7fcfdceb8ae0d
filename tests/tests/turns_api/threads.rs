//! Conversations of all agents: listed, looked for, named and put away.

use pretty_assertions::assert_eq;

use super::*;

async fn say(daemon: &Daemon, agent: &str, subject: &str, text: &str) -> Result<Turn> {
    let sent = daemon
        .send_with(agent, &json!({ "text": text, "subject": subject }))
        .await?;
    daemon.wait_turn(agent, &sent).await
}

async fn listed(daemon: &Daemon, query: &str) -> Result<Vec<Value>> {
    let body = read(daemon, &format!("/api/threads{query}")).await?;
    Ok(body["threads"].as_array().context("threads")?.clone())
}

/// Agent and subject of each.
fn names(threads: &[Value]) -> Vec<String> {
    let name = |one: &Value| {
        format!(
            "{} {}",
            one["channel"].as_str()?,
            one["key"]["key"].as_str().unwrap_or("-")
        )
        .into()
    };
    threads.iter().filter_map(name).collect()
}

async fn edit(daemon: &Daemon, thread: &Value, change: &Value) -> Result<Reply> {
    let id = thread["thread"].as_str().context("an id")?;
    daemon
        .request(Method::PATCH, &["api", "threads", id], Some(change))
        .await
}

#[tokio::test]
async fn conversations_of_all_agents_are_one_list() -> Result<()> {
    let mut daemon = with_eng().await?;
    daemon.create_agent("ops", "You operate.").await?;
    let first = say(&daemon, "eng", "a", "[[reply one   two\n\nthree]]").await?;
    say(&daemon, "ops", "b", "[[error too-long]]").await?;
    say(&daemon, "eng", "c", "[[reply last]]").await?;
    let gate = Gate::new(&daemon, "gate");
    let body = |text: &str| json!({ "text": text, "subject": "d" });
    let running = daemon.send_with("eng", &body(&gate.directive())).await?;
    eventually("it works", LIMIT, async || {
        Ok((listed(&daemon, "?state=working").await?.len() == 1).then_some(()))
    })
    .await?;
    let all = listed(&daemon, "").await?;
    assert_eq!(names(&all), ["eng d", "eng c", "ops b", "eng a"]);
    let states: Vec<&Value> = all.iter().map(|one| &one["state"]).collect();
    assert_eq!(states, ["working", "idle", "error", "idle"]);
    let oldest = &all[3];
    assert_eq!(
        (
            &oldest["thread"],
            &oldest["vault"],
            &oldest["title"],
            &oldest["archived"],
            &oldest["match"]
        ),
        (
            &first.more["thread"],
            &json!("default"),
            &Value::Null,
            &json!(false),
            &Value::Null
        )
    );
    assert_eq!(
        (&oldest["preview"], &oldest["turns"]),
        (&json!("one two three"), &json!(1))
    );
    assert_eq!(oldest["last_at"], first.more["settled_at"]);
    // The note of the conversation, wherever a person has moved it.
    let note = oldest["note_id"].as_str().context("a note")?;
    let found = daemon.note(note).await?.context("the note")?;
    assert_eq!(found["path"], json!("Threads/eng/eng--a"));
    for (query, expected) in [
        ("?channel=ops", vec!["ops b"]),
        ("?state=error", vec!["ops b"]),
        ("?state=queued", vec![]),
        ("?channel=eng&state=idle", vec!["eng c", "eng a"]),
        ("?archived=all&limit=2", vec!["eng d", "eng c"]),
        ("?archived=true", vec![]),
    ] {
        assert_eq!(names(&listed(&daemon, query).await?), expected, "{query}");
    }
    gate.open()?;
    daemon.wait_turn("eng", &running).await?;
    daemon.restart().await?;
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = read(&daemon, &format!("/api/threads?limit=1{cursor}")).await?;
        seen.extend(names(page["threads"].as_array().context("threads")?));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["eng d", "eng c", "ops b", "eng a"]);
    // The list of one agent says the same of each.
    let own = read(&daemon, "/api/channels/ops/threads").await?;
    let mut other = listed(&daemon, "?channel=ops").await?.remove(0);
    other.as_object_mut().context("an object")?.remove("match");
    assert_eq!(own["threads"], json!([other]));
    Ok(())
}

#[tokio::test]
async fn words_are_found_in_messages_and_answers() -> Result<()> {
    let daemon = with_eng().await?;
    daemon.create_agent("ops", "You operate.").await?;
    say(&daemon, "eng", "a", "Where is the quokka? [[reply Under the bridge.]]").await?;
    say(&daemon, "ops", "b", "Feed it. [[reply The Quokka is fed.]]").await?;
    say(&daemon, "eng", "c", "Nothing of it. [[reply no]]").await?;
    // It is looked for in the vault, which gets the answers when their turns have ended.
    daemon.wait_quiet(LIMIT).await?;
    let both = listed(&daemon, "?q=quokka").await?;
    assert_eq!(names(&both), ["ops b", "eng a"]);
    let hit = |one: &Value| (one["match"]["before"].clone(), one["match"]["hit"].clone());
    assert_eq!(hit(&both[0]).1, json!("Quokka"));
    assert_eq!(hit(&both[1]), (json!("Where is the "), json!("quokka")));
    for (query, expected) in [
        ("?q=quokka&channel=eng", vec!["eng a"]),
        ("?q=bridge", vec!["eng a"]),
        ("?q=quok*&limit=1", vec!["ops b"]),
        ("?q=wombat", vec![]),
        ("?q=%20", vec!["eng c", "ops b", "eng a"]),
        // Not the language of searches, so each is words.
        ("?q=%22unclosed", vec![]),
        ("?q=quokka%20AND", vec![]),
    ] {
        assert_eq!(names(&listed(&daemon, query).await?), expected, "{query}");
    }
    let page = read(&daemon, "/api/threads?q=quokka&limit=1").await?;
    let next = page["next_cursor"].as_str().context("a cursor")?;
    assert_eq!(page["unsearched"], json!([]));
    let rest = listed(&daemon, &format!("?q=quokka&limit=1&cursor={next}")).await?;
    assert_eq!(names(&rest), ["eng a"]);
    Ok(())
}

#[tokio::test]
async fn a_person_names_conversations_and_puts_them_away() -> Result<()> {
    let mut daemon = with_eng().await?;
    say(&daemon, "eng", "a", "[[reply one]]").await?;
    say(&daemon, "eng", "b", "[[reply two]]").await?;
    let thread = listed(&daemon, "").await?.remove(1);
    let named: Value = edit(&daemon, &thread, &json!({ "title": "  The \n launch <b> " }))
        .await?
        .ok()?;
    assert_eq!(
        (&named["title"], &named["archived"]),
        (&json!("The launch <b>"), &json!(false))
    );
    let away: Value = edit(&daemon, &thread, &json!({ "archived": true })).await?.ok()?;
    assert_eq!(
        (&away["title"], &away["archived"]),
        (&json!("The launch <b>"), &json!(true))
    );
    daemon.kill9().await?;
    daemon.start().await?;
    assert_eq!(names(&listed(&daemon, "").await?), ["eng b"]);
    assert_eq!(names(&listed(&daemon, "?archived=true").await?), ["eng a"]);
    assert_eq!(names(&listed(&daemon, "?archived=all").await?), ["eng b", "eng a"]);
    assert_eq!(names(&listed(&daemon, "?archived=all&q=one").await?), ["eng a"]);
    assert_eq!(names(&listed(&daemon, "?q=one").await?), Vec::<String>::new());
    // It goes on as before, and so it stays named after what comes.
    let more = say(&daemon, "eng", "a", "[[reply three]]").await?;
    assert_eq!(more.more["thread"], thread["thread"]);
    let back: Value = edit(&daemon, &thread, &json!({ "archived": false, "title": null }))
        .await?
        .ok()?;
    assert_eq!(
        (&back["title"], &back["archived"], &back["turns"]),
        (&Value::Null, &json!(false), &json!(2))
    );
    let same: Value = edit(&daemon, &thread, &json!({})).await?.ok()?;
    assert_eq!(same, back);
    let long = "ä".repeat(200);
    let named: Value = edit(&daemon, &thread, &json!({ "title": long })).await?.ok()?;
    assert_eq!(named["title"], json!(long));
    for (change, code) in [
        (json!({ "title": "ä".repeat(201) }), "invalid_title"),
        (json!({ "title": "a\u{7}b" }), "invalid_title"),
        (json!({ "title": 7 }), "invalid_body"),
        (json!({ "archived": "yes" }), "invalid_body"),
        (json!({ "name": "x" }), "invalid_body"),
    ] {
        let reply = edit(&daemon, &thread, &change).await?;
        assert_eq!((reply.status, &reply.body["error"]), (400, &json!(code)), "{change}");
    }
    let blank: Value = edit(&daemon, &thread, &json!({ "title": "  " })).await?.ok()?;
    assert_eq!(blank["title"], Value::Null);
    Ok(())
}

#[tokio::test]
async fn strange_conversations_are_answered_and_only_writers_change_them() -> Result<()> {
    let daemon = with_eng().await?;
    say(&daemon, "eng", "a", "[[reply one]]").await?;
    let thread = listed(&daemon, "").await?.remove(0);
    for strange in ["strange", "..%2f..%2fx", "%00", "00000000-0000-0000-0000-000000000000"] {
        let target = format!("/api/threads/{strange}");
        let answer = daemon.ask_in("PATCH", &target, b"{\"archived\":true}").await?;
        assert_eq!(answer.refusal()?, (404, "unknown_thread".to_owned()), "{strange}");
    }
    for (query, expected) in [
        ("?cursor=strange", (400, "invalid_cursor")),
        ("?cursor=-1", (400, "invalid_cursor")),
        ("?state=strange", (400, "invalid_parameter")),
        ("?archived=maybe", (400, "invalid_parameter")),
        ("?strange=1", (400, "invalid_parameter")),
        ("?channel=strange", (404, "unknown_agent")),
        ("?channel=..%2fx", (404, "unknown_agent")),
    ] {
        let (status, code) = get(&daemon, &format!("/api/threads{query}")).await?.refusal()?;
        assert_eq!((status, code.as_str()), expected, "{query}");
    }
    let huge = format!("/api/threads?q={}", "x".repeat(5000));
    assert_eq!(
        get(&daemon, &huge).await?.refusal()?,
        (400, "invalid_parameter".to_owned())
    );
    assert!(listed(&daemon, "?cursor=99999999999999999999").await.is_err());
    let target = format!("/api/threads/{}", thread["thread"].as_str().context("an id")?);
    for (scope, list, change) in [
        ("reveille:read", 200, 403),
        ("reveille:write", 200, 200),
        ("reveille:send", 403, 403),
    ] {
        let token = token(&daemon, scope).await?;
        let (status, _) = ask_with(&daemon, &token, "GET", "/api/threads", &Value::Null).await?;
        assert_eq!(status, list, "{scope}");
        let (status, _) = ask_with(&daemon, &token, "PATCH", &target, &json!({ "title": scope })).await?;
        assert_eq!(status, change, "{scope}");
    }
    assert_eq!(listed(&daemon, "").await?[0]["title"], json!("reveille:write"));
    Ok(())
}

#[tokio::test]
async fn a_vault_without_search_is_named_and_the_others_are_searched() -> Result<()> {
    let config = "[[vault]]\nname = \"work\"\n[[vault]]\nname = \"folder\"\nkind = \"folder\"\npath = \"SCRATCH/notes\"\n[[vault]]\nname = \"far\"\nkind = \"parachute\"\nurl = \"http://127.0.0.1:1\"\ntoken = \"${NOBODYS}\"\n";
    let daemon = Daemon::builder()
        .stand_in()
        .config(config)
        .env("NOBODYS", "x")
        .start()
        .await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    say(&daemon, "eng", "a", "Where is the quokka? [[reply Here.]]").await?;
    let body = read(&daemon, "/api/threads?q=quokka").await?;
    assert_eq!(names(body["threads"].as_array().context("threads")?), ["eng a"]);
    let unsearched: Vec<&Value> = body["unsearched"]
        .as_array()
        .context("a list")?
        .iter()
        .map(|one| &one["vault"])
        .collect();
    assert!(unsearched.contains(&&json!("far")), "{body}");
    assert!(body["unsearched"][0]["reason"].is_string(), "{body}");
    Ok(())
}
