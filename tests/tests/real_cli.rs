//! The daemon with the real Claude Code CLI, which talks to a double of the API.

use std::time::Duration;

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, Event, LIMIT, Sent, State, Turn};
use reveille_tests::eventually;
use reveille_tests::messages_api::{MessagesApi, Request, overlaps};
use serde_json::{Value, json};
use tokio::time::Instant;

/// Fifty turns, about one CPU second each, on a machine with two processors that is busy with other tests.
const MANY: Duration = Duration::from_secs(180);
/// From the wish to stop to the end of a turn: the CLI gets 2 s for each of two polite words, and the machine is busy.
const STOPPED: Duration = Duration::from_secs(30);

struct House {
    api: MessagesApi,
    daemon: Daemon,
}

impl House {
    /// With one agent, `eng`.
    async fn build() -> Result<Self> {
        let api = MessagesApi::start().await?;
        let daemon = Daemon::builder().real_claude(&api).start().await?;
        daemon.create_agent_with_shared("eng", "You are an engineer.").await?;
        Ok(Self { api, daemon })
    }

    async fn turn(&self, text: &str) -> Result<Turn> {
        let sent = self.daemon.send("eng", text).await?;
        self.daemon.wait_turn("eng", &sent).await
    }

    /// Sends a message and collects the events of its turn.
    async fn watch(&self, text: &str) -> Result<Vec<Event>> {
        let mut events = self.daemon.events("eng").await?;
        let sent = self.daemon.send("eng", text).await?;
        events.until_end(turn_of(&sent)?).await
    }

    /// Writes the definition of `eng` anew and waits until it counts.
    async fn define(&self, prompt: &str, metadata: &Value) -> Result<()> {
        let agents = self.daemon.agents().await?;
        let note = agents[0]["note_id"].as_str().context("an agent has a note")?;
        self.daemon
            .note_put(note, prompt, &["agent/definition"], metadata)
            .await?;
        eventually("the definition counts", LIMIT, async || {
            let agents = self.daemon.agents().await?;
            let agent = agents.first().context("the agent is there")?;
            let shown = agent["prompt_preview"].as_str().unwrap_or_default().contains(prompt);
            let same = metadata["model"].is_null() || agent["model"] == metadata["model"];
            Ok((shown && same).then_some(()))
        })
        .await
    }

    /// Stops the turn of a message and waits for its end; nothing of it is left then.
    async fn stop(&self, sent: &Sent) -> Result<()> {
        let mut events = self.daemon.events("eng").await?;
        let turn = turn_of(sent)?;
        let began = Instant::now();
        self.daemon.stop_turn(turn).await?;
        let seen = events.until_end(turn).await?;
        assert_eq!(seen.last().map(Event::kind), Some("stopped"));
        assert!(began.elapsed() < STOPPED, "{:?}", began.elapsed());
        assert_eq!(self.daemon.children()?, Vec::<u32>::new());
        assert_eq!(self.daemon.turn(turn).await?.state, State::Cancelled);
        Ok(())
    }
}

fn turn_of(sent: &Sent) -> Result<&str> {
    sent.turn.as_deref().context("a message to an agent has a turn")
}

fn kinds(events: &[Event]) -> Vec<&str> {
    events.iter().map(Event::kind).collect()
}

fn of_kind<'a>(events: &'a [Event], kind: &str) -> Vec<&'a Value> {
    events
        .iter()
        .filter(|event| event.kind() == kind)
        .map(|event| &event.data)
        .collect()
}

/// The requests of the conversation itself, in order: what was asked and how many texts of the user were in the context.
fn asked(requests: &[Request]) -> Vec<(&str, usize)> {
    let text = |request: &Request| request.prompt.rfind("\n\n").map_or(0, |line| line + 2);
    requests
        .iter()
        .map(|request| (&request.prompt[text(request)..], request.user_messages))
        .collect()
}

#[tokio::test]
async fn the_second_message_goes_on_with_the_session() -> Result<()> {
    let house = House::build().await?;
    let first = house.turn("first").await?;
    let second = house.turn("second").await?;
    for (count, turn) in [(1, &first), (2, &second)] {
        let reply = turn.reply.as_deref().unwrap_or_default();
        assert!(
            reply.starts_with(&format!("context: {count} user messages.")),
            "{reply}"
        );
    }
    let sessions = [&first, &second].map(|turn| turn.more["session"].as_str());
    let requests = house.api.requests();
    assert_eq!(
        requests
            .iter()
            .map(|request| request.session.as_deref())
            .collect::<Vec<_>>(),
        sessions
    );
    assert_eq!(sessions[0], sessions[1]);
    assert_eq!(asked(&requests), [("first", 1), ("second", 2)]);
    assert!(first.cost_usd > 0.0 && second.cost_usd > 0.0);
    let journal = house.daemon.wait_quiet(LIMIT).await?;
    assert_eq!(journal.violations(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn fifty_messages_over_five_channels() -> Result<()> {
    const AGENTS: [&str; 5] = ["a", "b", "c", "d", "e"];
    const EACH: usize = 10;
    let api = MessagesApi::start().await?;
    let daemon = Daemon::builder()
        .real_claude(&api)
        .env("REVEILLE_LIMITS__LIVE_TURNS", "4")
        .start()
        .await?;
    for agent in AGENTS {
        daemon.create_agent(agent, "You are one of five.").await?;
    }
    let text = |agent: &str, number: usize| format!("[[reply {agent} {number}]]");
    for number in 1..=EACH {
        for agent in AGENTS {
            daemon.send(agent, &text(agent, number)).await?;
        }
    }
    let journal = daemon.wait_quiet(MANY).await?;
    assert_eq!(journal.violations(), Vec::<String>::new());
    let requests = api.requests();
    assert_eq!(overlaps(&requests), []);
    for agent in AGENTS {
        let turns: Vec<_> = journal.turns.iter().filter(|turn| turn.channel == agent).collect();
        let ends: Vec<_> = turns
            .iter()
            .map(|turn| (turn.state.as_str(), turn.record["reply"].as_str()))
            .collect();
        let replies: Vec<_> = (1..=EACH).map(|number| format!("{agent} {number}")).collect();
        assert_eq!(
            ends,
            replies
                .iter()
                .map(|reply| ("ok", Some(reply.as_str())))
                .collect::<Vec<_>>()
        );

        let session = turns[0].record["session"].as_str();
        let own: Vec<_> = requests
            .iter()
            .filter(|request| request.session.as_deref() == session)
            .cloned()
            .collect();
        let expected: Vec<_> = (1..=EACH).map(|number| (text(agent, number), number)).collect();
        let expected: Vec<_> = expected.iter().map(|(text, number)| (text.as_str(), *number)).collect();
        assert_eq!(asked(&own), expected);
        assert!(own.is_sorted_by(|a, b| a.input_tokens < b.input_tokens));
    }
    assert_eq!(daemon.children()?, Vec::<u32>::new());
    Ok(())
}

#[tokio::test]
async fn a_tool_call_is_shown_while_it_happens() -> Result<()> {
    let house = House::build().await?;
    let seen = house.watch(r#"[[tool Bash {"command":"echo $((6*7))"}]]"#).await?;
    let [tool] = of_kind(&seen, "tool")[..] else {
        panic!("{:?}", kinds(&seen))
    };
    let [result] = of_kind(&seen, "tool_result")[..] else {
        panic!("{:?}", kinds(&seen))
    };
    assert_eq!(tool["tool"], "Bash");
    let input: Value = serde_json::from_str(tool["input"].as_str().context("the input is JSON as text")?)?;
    assert_eq!(input["command"], "echo $((6*7))");
    assert_eq!(
        (&result["id"], &result["ok"], &result["preview"]),
        (&tool["id"], &json!(true), &json!("42"))
    );
    let [done] = of_kind(&seen, "done")[..] else {
        panic!("{:?}", kinds(&seen))
    };
    assert!(
        done["reply"]
            .as_str()
            .is_some_and(|reply| reply.contains("The tool said: 42")),
        "{done}"
    );
    Ok(())
}

#[tokio::test]
async fn an_overloaded_api_is_tried_again() -> Result<()> {
    let house = House::build().await?;
    let seen = house.watch("[[error 529 x1]] [[reply up again]]").await?;
    let [retry] = of_kind(&seen, "retry")[..] else {
        panic!("{:?}", kinds(&seen))
    };
    assert_eq!((&retry["attempt"], &retry["status"]), (&json!(1), &json!(529)));
    assert_eq!(seen.last().map(|event| &event.data["reply"]), Some(&json!("up again")));
    assert_eq!(house.api.requests().len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_refused_credential_is_told_at_once() -> Result<()> {
    let house = House::build().await?;
    let seen = house.watch("[[error 401]]").await?;
    let [error] = of_kind(&seen, "error")[..] else {
        panic!("{:?}", kinds(&seen))
    };
    assert_eq!(error["code"], "authentication");
    let next_step = error["next_step"].as_str().unwrap_or_default();
    assert!(!next_step.is_empty(), "{error}");

    let journal = house.daemon.wait_quiet(LIMIT).await?;
    assert_eq!(journal.violations(), Vec::<String>::new());
    let notes: Vec<_> = journal.notes.iter().filter(|note| note.is_outbound()).collect();
    let [note] = notes[..] else { panic!("{notes:?}") };
    assert_eq!((note.text("kind"), note.text("code")), ("failure", "authentication"));
    assert!(note.content.contains(next_step), "{}", note.content);
    // Nothing is spoilt: the agent waits for its operator, and once the API lets it in, it works.
    let agents = house.daemon.agents().await?;
    assert_eq!(agents[0]["status"], "paused", "{}", agents[0]);
    let resumed: Value = house
        .daemon
        .request(http::Method::POST, &["api", "agents", "eng", "resume"], None)
        .await?
        .ok()?;
    assert!(resumed.is_object(), "{resumed}");
    assert_eq!(house.turn("[[reply in]]").await?.reply.as_deref(), Some("in"));
    Ok(())
}

#[tokio::test]
async fn a_stop_ends_a_turn_that_waits_for_the_api() -> Result<()> {
    let house = House::build().await?;
    for (count, hang) in [(1, "[[hang]]"), (2, "[[hang nobytes]]")] {
        let sent = house.daemon.send("eng", hang).await?;
        eventually("the API is asked", LIMIT, async || {
            Ok((house.api.requests().len() == count).then_some(()))
        })
        .await?;
        house.stop(&sent).await?;
    }
    assert_eq!(house.turn("[[reply well]]").await?.reply.as_deref(), Some("well"));
    let sessions: Vec<_> = house
        .api
        .requests()
        .into_iter()
        .map(|request| request.session)
        .collect();
    assert_eq!(sessions.iter().filter(|&session| *session == sessions[0]).count(), 3);
    Ok(())
}

#[tokio::test]
async fn a_stop_ends_a_tool_and_all_that_it_started() -> Result<()> {
    let house = House::build().await?;
    let mark = house.daemon.shared().join("runs");
    let command = format!(
        "setsid sleep 600 & (trap '' TERM INT; sleep 600) & touch {}; sleep 600",
        mark.display()
    );
    let text = format!("[[tool Bash {}]]", json!({"command": command}));
    let sent = house.daemon.send("eng", &text).await?;
    eventually("the tool runs", LIMIT, async || Ok(mark.exists().then_some(()))).await?;
    assert!(house.daemon.children()?.len() >= 4, "{:?}", house.daemon.children()?);
    house.stop(&sent).await?;
    assert_eq!(house.turn("[[reply well]]").await?.reply.as_deref(), Some("well"));
    Ok(())
}

#[tokio::test]
async fn a_silent_turn_is_ended_after_the_limit_of_its_definition() -> Result<()> {
    let house = House::build().await?;
    house.define("You are patient.", &json!({"timeout_idle": "2s"})).await?;
    let seen = house.watch("[[hang]]").await?;
    let [error] = of_kind(&seen, "error")[..] else {
        panic!("{:?}", kinds(&seen))
    };
    assert_eq!(error["code"], "idle_timeout");
    assert_eq!(house.daemon.children()?, Vec::<u32>::new());
    let journal = house.daemon.wait_quiet(LIMIT).await?;
    assert_eq!(journal.violations(), Vec::<String>::new());
    Ok(())
}

/// The tool leaves processes behind, then the API falls silent for ever: the idle timer ends the turn and all of them.
#[tokio::test]
async fn an_api_that_hangs_after_a_tool_leaves_no_process_behind() -> Result<()> {
    let house = House::build().await?;
    house
        .define("You are patient.", &json!({"timeout_idle": "15s"}))
        .await?;
    let mark = house.daemon.shared().join("runs");
    let command = format!(
        "(setsid sleep 600 >/dev/null 2>&1 &) ; (trap '' TERM INT HUP; sleep 600) >/dev/null 2>&1 & touch {}",
        mark.display()
    );
    let text = format!(
        "[[tool Bash {}]] [[late]] [[hang nobytes]]",
        json!({"command": command})
    );
    let mut events = house.daemon.events("eng").await?;
    let sent = house.daemon.send("eng", &text).await?;
    events.until(|event| event.kind() == "tool_result").await?;
    assert!(mark.exists());
    assert!(house.daemon.children()?.len() >= 3, "{:?}", house.daemon.children()?);
    let seen = events.until_end(turn_of(&sent)?).await?;
    let [error] = of_kind(&seen, "error")[..] else {
        panic!("{:?}", kinds(&seen))
    };
    assert_eq!(error["code"], "idle_timeout");
    assert_eq!(house.daemon.children()?, Vec::<u32>::new());
    let journal = house.daemon.wait_quiet(LIMIT).await?;
    assert_eq!(journal.violations(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_message_that_looks_like_a_command_reaches_the_model() -> Result<()> {
    let house = House::build().await?;
    assert_eq!(
        house.turn("/help [[reply helped]]").await?.reply.as_deref(),
        Some("helped")
    );
    assert_eq!(asked(&house.api.requests()), [("/help [[reply helped]]", 1)]);
    Ok(())
}

#[tokio::test]
async fn an_edited_definition_counts_from_the_next_turn_on() -> Result<()> {
    let house = House::build().await?;
    house
        .define("You are ALPHA.", &json!({"model": "claude-sonnet-5"}))
        .await?;
    let mark = house.daemon.shared().join("go");
    let text = format!(
        "[[tool Bash {}]]",
        json!({"command": format!("until test -e {}; do sleep 0.05; done", mark.display())})
    );
    let first = house.daemon.send("eng", &text).await?;
    let second = house.daemon.send("eng", "[[reply second]]").await?;
    eventually("the first turn runs", LIMIT, async || {
        Ok((!house.api.requests().is_empty()).then_some(()))
    })
    .await?;
    house
        .define("You are BETA.", &json!({"model": "claude-opus-4-8"}))
        .await?;
    std::fs::write(mark, "")?;
    for sent in [&first, &second] {
        assert_eq!(house.daemon.wait_turn("eng", sent).await?.state, State::Ok);
    }
    let seen: Vec<_> = house
        .api
        .requests()
        .into_iter()
        .map(|request| {
            let roles = ["ALPHA", "BETA"].map(|role| request.system.contains(&format!("You are {role}.")));
            (request.model, roles)
        })
        .collect();
    let (alpha, beta) = ([true, false], [false, true]);
    let expected = [
        ("claude-sonnet-5", alpha),
        ("claude-sonnet-5", alpha),
        ("claude-opus-4-8", beta),
    ];
    assert_eq!(seen, expected.map(|(model, roles)| (model.to_owned(), roles)));
    Ok(())
}

#[tokio::test]
async fn a_later_turn_that_never_got_its_prompt_begins_anew() -> Result<()> {
    let mut house = House::build().await?;
    house.turn("first").await?;
    house.daemon.stop().await?;
    house.daemon.start_doomed("turn.begun", 1).await?;
    let body = json!({"text": "second"});
    let sent = house.daemon.send_keyed("eng", "k", &body).await?;
    house.daemon.wait_killed().await?;
    house.daemon.start().await?;
    let sent = match sent {
        Some(sent) => sent,
        None => house.daemon.send_keyed("eng", "k", &body).await?.context("an answer")?,
    };
    let turn = house.daemon.wait_turn("eng", &sent).await?;
    assert_eq!((turn.state, turn.more["interruptions"].as_u64()), (State::Ok, Some(0)));
    assert!(
        turn.reply
            .is_some_and(|reply| reply.starts_with("context: 2 user messages."))
    );
    Ok(())
}
