//! What a turn did, as it is told while it runs and afterwards.

use pretty_assertions::assert_eq;
use reveille_tests::daemon::EventStream;

use super::*;

/// A turn of every common kind of event.
const RICH: &str = "[[think hm]] [[tool Read {\"path\":\"x\"}]] [[retry 529 x1]] [[slow 3x1ms]] [[reply all done]]";

/// Live events as they are kept: those of the turn's run, without numbers and without pieces of texts.
fn as_kept(events: &[Event]) -> Vec<Value> {
    let aside = ["queued", "waiting", "delivered", "text_delta"];
    let run = events.iter().filter(|event| !aside.contains(&event.kind()));
    run.map(|event| {
        let mut data = event.data.clone();
        data.as_object_mut().expect("an object").remove("seq");
        data
    })
    .collect()
}

/// What is told of a turn, as it is kept. When the vault takes long, the end is told first, and that it has the answer later.
async fn told(live: &mut EventStream, turn: &str) -> Result<Vec<Value>> {
    let mut told = as_kept(&live.until_end(turn).await?);
    let end = told.last_mut().and_then(Value::as_object_mut).context("an end")?;
    if end.remove("undelivered").is_some() {
        let late = live
            .until(|event| event.kind() == "delivered" && event.data["turn"] == turn)
            .await?;
        let note = late.last().context("an event")?.data["note"].clone();
        end.insert("note".to_owned(), note);
    }
    Ok(told)
}

/// Without what is told of the end at the moment of telling.
fn but_end(events: &[Value]) -> (Vec<Value>, Value) {
    let (end, run) = events.split_last().expect("an end");
    let mut end = end.clone();
    end.as_object_mut().expect("an object").remove("at");
    (run.to_vec(), end)
}

#[tokio::test]
async fn what_a_turn_did_is_what_was_told_of_it() -> Result<()> {
    let mut daemon = with_eng().await?;
    let mut live = daemon.events("eng").await?;
    let done = turn(&daemon, RICH).await?;
    let told = told(&mut live, &done.turn).await?;
    for round in ["at once", "after a restart"] {
        let steps = steps(&daemon, &done.turn).await?;
        assert_eq!(
            (&steps["turn"], &steps["complete"], &steps["cut"]),
            (&json!(done.turn), &json!(true), &json!(false)),
            "{round}"
        );
        let kept = steps["events"].as_array().context("events")?;
        assert_eq!(but_end(kept), but_end(&told), "{round}");
        assert!(kinds(&steps).contains(&"tool_result"), "{round}: {steps}");
        daemon.restart().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_turn_that_runs_is_shown_so_far() -> Result<()> {
    let daemon = with_eng().await?;
    let mut live = daemon.events("eng").await?;
    let gate = Gate::new(&daemon, "gate");
    let text = format!("{RICH} {} [[reply and so on]]", gate.directive());
    let sent = daemon.send("eng", &text).await?;
    let begun = live
        .until(|event| event.kind() == "tool" && event.data["tool"] == "Bash")
        .await?;
    let running = begun.last().context("an event")?.data["turn"]
        .as_str()
        .context("a turn")?
        .to_owned();
    let so_far = steps(&daemon, &running).await?;
    let told: Vec<Value> = begun
        .iter()
        .filter(|event| !["queued", "text_delta"].contains(&event.kind()))
        .map(|event| event.data.clone())
        .collect();
    assert_eq!(
        so_far,
        json!({ "turn": running, "complete": false, "cut": false, "events": told })
    );
    // A call that has no answer yet.
    let call = &of_kind(&so_far, "tool")[1]["id"];
    let step = read(
        &daemon,
        &format!("/api/turns/{running}/steps/{}", call.as_str().context("an id")?),
    )
    .await?;
    let command = gate.directive();
    let command = command.trim_start_matches("[[exec ").trim_end_matches("]]");
    assert_eq!(
        step,
        json!({
            "id": call, "name": "Bash", "input": { "command": command }, "output": null,
            "input_cut": false, "output_cut": false,
        })
    );
    gate.open()?;
    daemon.wait_turn("eng", &sent).await?;
    let whole = steps(&daemon, &running).await?;
    let texts: Vec<&Value> = of_kind(&whole, "text").iter().map(|event| &event["text"]).collect();
    assert_eq!(texts.last(), Some(&&json!("and so on")), "{whole}");
    Ok(())
}

#[tokio::test]
async fn a_text_in_the_middle_is_one_piece() -> Result<()> {
    let daemon = with_eng().await?;
    let sent = daemon.send("eng", "[[slow 3x1ms]] [[slow 100000x50ms]]").await?;
    let mut live = daemon.events("eng").await?;
    let begun = live
        .until(|event| event.data["text"].as_str().is_some_and(|text| text.contains("word5")))
        .await?;
    let running = begun[0].data["turn"].as_str().context("a turn")?.to_owned();
    let so_far = steps(&daemon, &running).await?;
    let [piece] = of_kind(&so_far, "text_delta")[..] else {
        anyhow::bail!("{so_far}");
    };
    let text = piece["text"].as_str().context("a text")?;
    assert!(text.starts_with("word1 word2 word3 word4 word5"), "{so_far}");
    assert_eq!(of_kind(&so_far, "text").len(), 1, "{so_far}");
    // It goes on with the number behind that.
    let seq = piece["seq"].as_u64().context("a number")?;
    let next = live.until(|event| event.data["seq"] == json!(seq + 1)).await?;
    assert_eq!(next.last().map(Event::kind), Some("text_delta"));
    daemon.stop_turn(&running).await?;
    daemon.wait_turn("eng", &sent).await?;
    let ended = steps(&daemon, &running).await?;
    assert_eq!(
        (kinds(&ended).last(), of_kind(&ended, "stopped").len()),
        (Some(&"stopped"), 1),
        "{ended}"
    );
    let said: String = ["text", "text_delta"]
        .iter()
        .flat_map(|kind| of_kind(&ended, kind))
        .filter_map(|event| event["text"].as_str())
        .collect();
    assert!(
        said.contains("word5"),
        "what was said before the stop is there: {ended}"
    );
    Ok(())
}

#[tokio::test]
async fn a_turn_that_only_answers_leaves_no_file() -> Result<()> {
    let mut daemon = with_eng().await?;
    let mut live = daemon.events("eng").await?;
    let done = turn(&daemon, "[[reply hello there]]").await?;
    let told = told(&mut live, &done.turn).await?;
    daemon.restart().await?;
    assert!(!daemon.state_dir().join("steps").exists());
    let shown = steps(&daemon, &done.turn).await?;
    assert_eq!(kinds(&shown), ["started", "init", "text", "done"]);
    let without_time = |events: &[Value]| -> Vec<Value> {
        let mut events = events.to_vec();
        for event in &mut events {
            let event = event.as_object_mut().expect("an object");
            assert!(event.remove("at").is_some_and(|at| at.is_string()));
            event.remove("version");
        }
        events
    };
    let events = shown["events"].as_array().context("events")?;
    assert_eq!(without_time(events), without_time(&told));
    let failed = turn(&daemon, "[[error 401]]").await?;
    let shown = steps(&daemon, &failed.turn).await?;
    assert_eq!(kinds(&shown).last(), Some(&"error"), "{shown}");
    assert_eq!(
        of_kind(&shown, "error")[0]["code"],
        failed.error.context("an error")?["code"]
    );
    Ok(())
}

#[tokio::test]
async fn messages_that_share_a_turn_share_its_steps() -> Result<()> {
    let daemon = with_eng().await?;
    let gate = Gate::new(&daemon, "gate");
    let first = daemon.send("eng", &gate.directive()).await?;
    let mut pair = Vec::new();
    for text in ["[[tool Read {}]] [[reply both]]", "and this"] {
        let body = json!({ "text": text, "mode": "collect" });
        pair.push(daemon.send_with("eng", &body).await?);
    }
    gate.open()?;
    daemon.wait_turn("eng", &first).await?;
    let leader = daemon.wait_turn("eng", &pair[0]).await?;
    let joined = daemon.wait_turn("eng", &pair[1]).await?;
    assert_eq!(joined.more["part_of"], json!(leader.turn));
    let shown = steps(&daemon, &leader.turn).await?;
    assert!(kinds(&shown).contains(&"tool"), "{shown}");
    let other = steps(&daemon, &joined.turn).await?;
    assert_eq!((&other["turn"], kinds(&other)), (&json!(leader.turn), kinds(&shown)));
    assert_eq!(of_kind(&other, "tool"), of_kind(&shown, "tool"));
    Ok(())
}

#[tokio::test]
async fn what_waits_has_done_nothing_and_what_never_ran_has_ended() -> Result<()> {
    let daemon = with_eng().await?;
    let gate = Gate::new(&daemon, "gate");
    let running = daemon.send("eng", &gate.directive()).await?;
    let waiting = daemon.send("eng", "later").await?;
    let id = waiting.turn.clone().context("a turn")?;
    let shown = steps(&daemon, &id).await?;
    assert_eq!(
        shown,
        json!({ "turn": id, "complete": false, "cut": false, "events": [] })
    );
    daemon
        .request(Method::POST, &["api", "turns", &id, "cancel"], None)
        .await?
        .ok::<Value>()?;
    assert_eq!(kinds(&steps(&daemon, &id).await?), ["stopped"]);
    gate.open()?;
    daemon.wait_turn("eng", &running).await?;
    Ok(())
}

#[tokio::test]
async fn strange_names_are_answered_and_only_readers_are_let_in() -> Result<()> {
    let daemon = with_eng().await?;
    let done = turn(&daemon, "[[tool Read {\"path\":\"x\"}]] [[reply ok]]").await?;
    let own = &done.turn;
    for (target, code) in [
        ("/api/turns/strange/steps".to_owned(), "unknown_turn"),
        ("/api/turns/..%2f..%2ftoken/steps".to_owned(), "unknown_turn"),
        ("/api/turns/%00/steps".to_owned(), "unknown_turn"),
        (format!("/api/turns/{}/steps", uuid::Uuid::nil()), "unknown_turn"),
        (format!("/api/turns/{own}/steps/strange"), "unknown_step"),
        (format!("/api/turns/{own}/steps/..%2f..%2f..%2ftoken"), "unknown_step"),
        (format!("/api/turns/{own}/steps/{}", "x".repeat(5000)), "unknown_step"),
        (format!("/api/turns/{own}/steps/%00"), "unknown_step"),
        ("/api/turns/strange/steps/x".to_owned(), "unknown_turn"),
    ] {
        let answer = get(&daemon, &target).await?;
        assert_eq!(answer.refusal()?, (404, code.to_owned()), "{target}");
    }
    let list = format!("/api/turns/{own}/steps");
    let call = steps(&daemon, own).await?;
    let call = of_kind(&call, "tool")[0]["id"].as_str().context("an id")?.to_owned();
    let one = format!("{list}/{call}");
    for (scope, status) in [("reveille:read", 200), ("reveille:write", 200), ("reveille:send", 403)] {
        let token = token(&daemon, scope).await?;
        for target in [&list, &one] {
            let (answered, _) = ask_with(&daemon, &token, "GET", target, &Value::Null).await?;
            assert_eq!(answered, status, "{scope} {target}");
        }
    }
    // A turn may not look at what others do.
    let ask = format!(
        "curl -s -o /dev/null -w '%{{http_code}}' -H \"Authorization: Bearer $REVEILLE_TOKEN\" $REVEILLE_URL{list}"
    );
    let asking = turn(&daemon, &format!("[[exec {ask}]]")).await?;
    let shown = steps(&daemon, &asking.turn).await?;
    assert_eq!(of_kind(&shown, "tool_result")[0]["preview"], json!("403"), "{shown}");
    Ok(())
}
