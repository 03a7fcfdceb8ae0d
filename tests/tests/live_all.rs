//! The one stream of everything that a client may see: which events, in which order, and coming back to it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use http::Method;
use jiff::Timestamp;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, Event, EventStream, LIMIT};
use reveille_tests::eventually;
use serde_json::json;

const ALL: &str = "/api/events";

async fn started() -> Result<Daemon> {
    let daemon = Daemon::builder().stand_in().start().await?;
    for name in ["eng", "ops", "hr"] {
        daemon.create_agent(name, "You help.").await?;
    }
    // What is told of them is told by then, if anybody watches.
    eventually("all agents are there", LIMIT, async || {
        Ok((daemon.agents().await?.len() == 3).then_some(()))
    })
    .await?;
    Ok(daemon)
}

async fn open(daemon: &Daemon, target: &str) -> Result<EventStream> {
    daemon.stream(target, None, daemon.token()).await
}

async fn after(daemon: &Daemon, target: &str, last: &str) -> Result<EventStream> {
    daemon.stream(target, Some(last), daemon.token()).await
}

fn seq(event: &Event) -> u64 {
    event.data["seq"].as_u64().unwrap_or_default()
}

/// All events up to the last of that turn: when the vault takes its time with the answer, its delivery is told after the end.
async fn until_over(stream: &mut EventStream, turn: &str) -> Result<Vec<Event>> {
    let mut seen = stream.until_end(turn).await?;
    if seen.last().is_some_and(|end| end.data["undelivered"] == true) {
        let delivered = |event: &Event| event.kind() == "delivered" && event.data["turn"] == turn;
        seen.extend(stream.until(delivered).await?);
    }
    Ok(seen)
}

/// Sends a message, and waits for its turn.
async fn done(daemon: &Daemon, agent: &str) -> Result<String> {
    let sent = daemon.send(agent, "[[think hm]] [[slow 3x1ms]]").await?;
    Ok(daemon.wait_turn(agent, &sent).await?.turn)
}

#[tokio::test]
async fn all_turns_come_in_one_numbered_line() -> Result<()> {
    let daemon = started().await?;
    let mut all = open(&daemon, ALL).await?;
    let mut some = open(&daemon, "/api/events?channels=eng,%20hr,nobody").await?;
    let mut own = daemon.events("ops").await?;
    let mut turns = Vec::new();
    for agent in ["eng", "ops", "hr"] {
        turns.push(done(&daemon, agent).await?);
    }
    let seen = all.until_end(&turns[2]).await?;
    let numbers: Vec<u64> = seen.iter().map(seq).collect();
    assert!(numbers.is_sorted_by(|one, next| one + 1 == *next), "{numbers:?}");
    for event in seen.iter().filter(|event| event.event == "turn") {
        for key in ["channel", "turn", "thread", "at", "kind"] {
            assert!(event.data[key].is_string(), "{key} in {event:?}");
        }
    }
    let of = |names: &[&str]| -> Vec<Event> {
        let of = seen
            .iter()
            .filter(|event| names.iter().any(|name| event.data["channel"] == *name));
        of.cloned().collect()
    };
    assert_eq!(some.until_end(&turns[2]).await?, of(&["eng", "hr"]));
    let ops = of(&["ops"]).into_iter().filter(|event| event.event == "turn");
    let ops: Vec<Event> = ops.collect();
    // A late delivery is told behind it.
    let end = ops.iter().position(Event::is_terminal).context("an end")?;
    assert_eq!(own.until_end(&turns[1]).await?, ops[..=end]);
    Ok(())
}

#[tokio::test]
async fn one_id_is_good_for_every_stream() -> Result<()> {
    let daemon = started().await?;
    let mut all = open(&daemon, ALL).await?;
    let mut turns = Vec::new();
    for agent in ["eng", "ops", "eng"] {
        turns.push(done(&daemon, agent).await?);
    }
    let seen = all.until_end(&turns[2]).await?;
    let turn_events = |names: &[&str], from: u64| -> Vec<Event> {
        let of = seen.iter().filter(|event| event.event == "turn" && seq(event) > from);
        let of = of.filter(|event| names.iter().any(|name| event.data["channel"] == *name));
        of.cloned().collect()
    };
    // Ids of events that other streams do not show are good too.
    for event in seen.iter().rev().skip(1).step_by(4) {
        let id = event.id.as_deref().context("an id")?;
        let from = seq(event);
        let mut again = after(&daemon, ALL, id).await?;
        let rest: Vec<Event> = seen.iter().filter(|event| seq(event) > from).cloned().collect();
        assert_eq!(again.until_end(&turns[2]).await?, rest, "all after {id}");
        let mut again = daemon.events_after("eng", id).await?;
        assert_eq!(
            again.until_end(&turns[2]).await?,
            turn_events(&["eng"], from),
            "eng after {id}"
        );
    }
    // Nothing was lost for somebody who watches others.
    let last = seen.last().and_then(|event| event.id.as_deref()).context("an id")?;
    let mut quiet = after(&daemon, "/api/events?channels=hr", last).await?;
    let turn = done(&daemon, "hr").await?;
    let first = quiet.next().await?;
    assert_eq!((first.event.as_str(), &first.data["turn"]), ("turn", &json!(turn)));
    Ok(())
}

#[tokio::test]
async fn only_who_missed_something_is_told_to_read_again() -> Result<()> {
    let daemon = started().await?;
    let mut hr = daemon.events("hr").await?;
    let before = done(&daemon, "hr").await?;
    let seen = until_over(&mut hr, &before).await?;
    let first = seen.first().and_then(|event| event.id.as_deref()).context("an id")?;
    let last = hr.last_id().context("an id")?.to_owned();
    // More than the daemon keeps.
    let sent = daemon.send("eng", &"[[tool Read {}]]".repeat(8500)).await?;
    daemon.wait_turn("eng", &sent).await?;
    let mut whole = daemon.events_after("hr", &last).await?;
    let mut all = after(&daemon, ALL, &last).await?;
    let mut gap = daemon.events_after("hr", first).await?;
    for stream in [&mut all, &mut gap] {
        let told = stream.next().await?;
        assert_eq!((told.event.as_str(), &told.data["code"]), ("resync", &json!("gone")));
    }
    let turn = done(&daemon, "hr").await?;
    for stream in [&mut whole, &mut gap] {
        let next = stream.next().await?;
        assert_eq!((next.event.as_str(), &next.data["turn"]), ("turn", &json!(turn)));
    }
    // Before it the end of the long turn, when that was told of late.
    let seen = all.until_end(&turn).await?;
    assert!(seen.iter().all(|event| event.event != "resync"), "{seen:?}");
    Ok(())
}

#[tokio::test]
async fn a_late_watcher_sees_all_turns_that_run() -> Result<()> {
    let daemon = started().await?;
    let mut all = open(&daemon, ALL).await?;
    let gate = daemon.scratch().join("gate");
    let hold = format!(
        "[[reply begun]] [[exec while ! test -e {}; do sleep 0.02; done]]",
        gate.display()
    );
    let mut sent = Vec::new();
    for agent in ["eng", "ops"] {
        sent.push((agent, daemon.send(agent, &hold).await?));
        all.until(|event| event.kind() == "tool" && event.data["channel"] == agent)
            .await?;
    }
    let mut late = open(&daemon, ALL).await?;
    let begun = late
        .until(|event| event.kind() == "tool" && event.data["channel"] == "ops")
        .await?;
    let kinds = |agent: &str| -> Vec<&str> {
        let own = begun.iter().filter(|event| event.data["channel"] == agent);
        own.map(Event::kind).collect()
    };
    for agent in ["eng", "ops"] {
        let kinds = kinds(agent);
        assert_eq!(
            (kinds.first(), kinds.last()),
            (Some(&"started"), Some(&"tool")),
            "{kinds:?}"
        );
        assert!(kinds.contains(&"text"), "{kinds:?}");
    }
    assert!(begun.iter().map(seq).is_sorted());
    std::fs::write(&gate, "")?;
    let mut ends = Vec::new();
    for (agent, sent) in &sent {
        ends.push(daemon.wait_turn(agent, sent).await?.turn);
    }
    while !ends.is_empty() {
        let event = late.next().await?;
        ends.retain(|turn| event.kind() != "done" || event.data["turn"] != turn.as_str());
    }
    Ok(())
}

/// The next word about an agent.
async fn about(stream: &mut EventStream, name: &str, kind: &str) -> Result<()> {
    let fits = |event: &Event| event.event == "agent" && event.data["channel"] == name && event.kind() == kind;
    let seen = stream.until(fits).await?;
    let last = seen.last().context("an event")?;
    assert!(last.id.is_some() && last.data["at"].is_string(), "{last:?}");
    Ok(())
}

#[tokio::test]
async fn agents_that_come_change_pause_and_go_are_told_of() -> Result<()> {
    let daemon = started().await?;
    let mut all = open(&daemon, ALL).await?;
    let mut others = open(&daemon, "/api/events?channels=eng").await?;
    let mut turns = daemon.events("late").await?;
    daemon.create_agent("late", "You come late.").await?;
    about(&mut all, "late", "changed").await?;
    let post = async |action: &str| {
        let path = ["api", "agents", "late", action];
        daemon.request(Method::POST, &path, Some(&json!({}))).await
    };
    assert_eq!(post("pause").await?.status, 200);
    about(&mut all, "late", "changed").await?;
    assert_eq!(post("resume").await?.status, 200);
    about(&mut all, "late", "changed").await?;
    let edit = json!({ "prompt": "You are early now." });
    let edited = daemon
        .request(Method::PATCH, &["api", "agents", "late"], Some(&edit))
        .await?;
    assert_eq!(edited.status, 200, "{}", edited.body);
    about(&mut all, "late", "changed").await?;
    let turn = done(&daemon, "late").await?;
    // Who watches the turns of one agent is told of nothing else.
    assert_eq!(turns.next().await?.data["turn"], json!(turn));
    daemon.request(Method::DELETE, &["api", "agents", "late"], None).await?;
    about(&mut all, "late", "removed").await?;
    let turn = done(&daemon, "eng").await?;
    assert_eq!(others.next().await?.data["turn"], json!(turn));
    Ok(())
}

#[tokio::test]
async fn names_that_make_no_sense_are_refused() -> Result<()> {
    let daemon = started().await?;
    let many = (0..257).map(|n| format!("a{n}"));
    let many = format!("{ALL}?channels={}", many.collect::<Vec<_>>().join(","));
    for target in [
        "/api/events?channels=",
        "/api/events?channels=,%20,",
        "/api/events?channels=a&channels=b",
        "/api/events?channel=eng",
        &many,
    ] {
        let answer = daemon.ask_in("GET", target, b"").await?;
        assert_eq!(answer.refusal()?, (400, "invalid_channels".into()), "{target:.60}");
    }
    let stranger = daemon.ask("GET", ALL, &[], b"").await?;
    assert_eq!(stranger.refusal()?.0, 401);
    assert!(!String::from_utf8_lossy(&stranger.body).contains("eng"));
    Ok(())
}

#[tokio::test]
async fn a_stream_is_never_compressed_nor_kept() -> Result<()> {
    let daemon = started().await?;
    let url = daemon.url().join(ALL)?;
    let request = reqwest::Client::new().get(url).bearer_auth(daemon.token());
    let mut answer = request.header("accept-encoding", "gzip, br").send().await?;
    let header = |name: &str| {
        answer
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap_or_default().to_owned())
    };
    assert_eq!(header("content-type").as_deref(), Some("text/event-stream"));
    assert_eq!(
        (
            header("content-encoding"),
            header("cache-control").as_deref(),
            header("x-accel-buffering").as_deref()
        ),
        (None, Some("no-cache, no-store"), Some("no"))
    );
    let first = answer.chunk().await?.context("a beginning")?;
    assert_eq!(first.as_ref(), b": connected\n\n");
    Ok(())
}

#[tokio::test]
async fn a_stream_ends_with_the_token_that_opened_it() -> Result<()> {
    let daemon = started().await?;
    let token = async |expires_at: Option<Timestamp>| -> Result<(String, String)> {
        let asked = json!({ "scopes": ["reveille:read"], "expires_at": expires_at });
        let made = daemon
            .request(Method::POST, &["api", "tokens"], Some(&asked))
            .await?
            .body;
        let text = |key: &str| made[key].as_str().map(str::to_owned).with_context(|| made.to_string());
        Ok((text("id")?, text("token")?))
    };
    // Long enough to open a stream on a machine that stands still for a while.
    let (_, ends) = token(Some(Timestamp::now() + Duration::from_secs(20))).await?;
    let (id, revoked) = token(None).await?;
    let mut short = daemon.stream(ALL, None, &ends).await?;
    let mut own = daemon.stream("/api/channels/eng/turn-events", None, &revoked).await?;
    let gone = daemon.request(Method::DELETE, &["api", "tokens", &id], None).await?;
    assert!(gone.status < 300, "{}", gone.body);
    for stream in [&mut short, &mut own] {
        assert_eq!(stream.next().await?.event, "unauthorized");
        assert_eq!(stream.next_or_end().await?, None);
    }
    for token in [&ends, &revoked] {
        assert!(daemon.stream(ALL, None, token).await.is_err());
    }
    Ok(())
}
