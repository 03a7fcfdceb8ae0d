//! Turns that are cut off: by a stop of the daemon, by its death, by a person.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Builder, Daemon, EventStream, LIMIT, Message, Sent, State};
use reveille_tests::eventually;
use rustix::process::Signal;
use serde_json::{Value, json};

/// Time that running turns get after a stop was asked for.
const DRAIN: Duration = Duration::from_secs(1);
/// What the daemon says when their time is over.
const CUT: &str = "running turns are ended and go back in line";
/// Hangs in a tool whenever it is run.
const HANGS: &str = "[[exec sleep 600]] [[reply never said]]";

/// Hangs in a tool when it is run for the first time, and ends at once later.
fn hangs_once(daemon: &Daemon) -> String {
    let mark = hung(daemon);
    let mark = mark.display();
    format!("[[exec test -e {mark} || {{ touch {mark}; sleep 600; }}]] [[reply done at last]]")
}

/// The file that says that it hangs.
fn hung(daemon: &Daemon) -> PathBuf {
    daemon.scratch().join("hung")
}

fn with_drain(drain: Duration) -> Builder {
    Daemon::builder()
        .stand_in()
        .env("REVEILLE_SERVER__DRAIN", format!("{}s", drain.as_secs()))
}

/// An agent whose definition has this metadata, besides its name.
async fn define(daemon: &Daemon, name: &str, metadata: &Value) -> Result<()> {
    let mut metadata = metadata.clone();
    metadata["name"] = name.into();
    daemon
        .note_put(&format!("Agents/{name}"), "You help.", &["agent/definition"], &metadata)
        .await?;
    eventually("the agent is there", LIMIT, async || {
        let found = daemon
            .agents()
            .await?
            .iter()
            .any(|agent| agent["name"] == name && agent["status"] == "idle");
        Ok(found.then_some(()))
    })
    .await
}

/// Waits until the turn of a message has a tool running, and answers what it took until then.
async fn until_tool_runs(events: &mut EventStream, sent: &Sent) -> Result<u64> {
    let seen = events
        .until(|event| event.kind() == "tool" && event.data["message"] == sent.id.as_str())
        .await?;
    let attempts = seen.iter().filter(|event| event.kind() == "started");
    Ok(attempts
        .filter_map(|event| event.data["attempt"].as_u64())
        .next_back()
        .unwrap_or_default())
}

async fn until_hung(daemon: &Daemon) -> Result<()> {
    eventually("the tool hangs", LIMIT, async || {
        Ok(hung(daemon).exists().then_some(()))
    })
    .await
}

/// Answers of an agent, once there are `count`: text and kind.
async fn answers(daemon: &Daemon, agent: &str, count: usize) -> Result<Vec<Message>> {
    eventually("the answers are there", LIMIT, async || {
        let mut messages = daemon.messages(agent).await?;
        messages.retain(|message| message.direction == "outbound");
        Ok((messages.len() == count).then_some(messages))
    })
    .await
}

#[tokio::test]
async fn a_stop_puts_a_running_turn_back_in_line() -> Result<()> {
    let mut daemon = with_drain(DRAIN).start().await?;
    daemon.create_agent("eng", "You help.").await?;
    let mut events = daemon.events("eng").await?;
    let first = daemon.send("eng", &hangs_once(&daemon)).await?;
    let second = daemon.send("eng", "[[reply after that]]").await?;
    until_hung(&daemon).await?;

    let status = daemon.stop().await?;
    ensure!(status.success(), "ended with {status}");
    let log = daemon.log()?;
    assert!(log.contains("stopping: no new turns") && log.contains(CUT), "{log}");
    assert_eq!(daemon.children()?, Vec::<u32>::new());
    let states: Vec<_> = daemon.journal()?.turns.into_iter().map(|turn| turn.state).collect();
    assert_eq!(states, ["waiting", "waiting"]);
    let last = events.until(|event| event.event == "shutdown").await?;
    assert!(
        !last.iter().any(reveille_tests::daemon::Event::is_terminal),
        "{last:#?}"
    );

    daemon.start().await?;
    let first = daemon.wait_turn("eng", &first).await?;
    assert_eq!(
        (first.state, first.more["interruptions"].as_u64()),
        (State::Ok, Some(1))
    );
    assert!(
        first
            .reply
            .as_ref()
            .is_some_and(|reply| reply.ends_with("done at last")),
        "{first:?}"
    );
    let second = daemon.wait_turn("eng", &second).await?;
    assert_eq!((second.state, second.reply.as_deref()), (State::Ok, Some("after that")));
    assert_eq!(second.more["session"], first.more["session"]);
    assert_eq!(daemon.wait_quiet(LIMIT).await?.violations(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_turn_that_ends_in_time_is_not_cut_off() -> Result<()> {
    let mut daemon = with_drain(LIMIT).start().await?;
    daemon.create_agent("eng", "You help.").await?;
    let mut events = daemon.events("eng").await?;
    let gate = daemon.scratch().join("gate");
    let text = format!(
        "[[exec while ! test -e {}; do sleep 0.02; done]] [[reply just in time]]",
        gate.display()
    );
    let running = daemon.send("eng", &text).await?;
    let waiting = daemon.send("eng", "[[reply later]]").await?;
    until_tool_runs(&mut events, &running).await?;
    daemon.signal(Signal::TERM)?;
    eventually("no turn begins any more", LIMIT, async || {
        let ready = daemon.ask("GET", "/ready", &[], b"").await?;
        Ok((ready.status == 503).then_some(()))
    })
    .await?;
    std::fs::write(gate, "")?;
    ensure!(daemon.wait_exit(LIMIT).await?.success());
    assert!(!daemon.log()?.contains(CUT), "{}", daemon.log()?);
    let journal = daemon.journal()?;
    let states: Vec<_> = journal.turns.iter().map(|turn| turn.state.as_str()).collect();
    assert_eq!((states, journal.outbox), (vec!["ok", "waiting"], 0));

    daemon.start().await?;
    let waiting = daemon.wait_turn("eng", &waiting).await?;
    assert_eq!((waiting.state, waiting.reply.as_deref()), (State::Ok, Some("later")));
    assert_eq!(daemon.wait_quiet(LIMIT).await?.violations(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_second_signal_hurries() -> Result<()> {
    let mut daemon = with_drain(10 * LIMIT).start().await?;
    daemon.create_agent("eng", "You help.").await?;
    let sent = daemon.send("eng", &hangs_once(&daemon)).await?;
    until_hung(&daemon).await?;
    daemon.signal(Signal::TERM)?;
    eventually("the first signal is heard", LIMIT, async || {
        Ok(daemon.log()?.contains("stopping").then_some(()))
    })
    .await?;
    daemon.signal(Signal::TERM)?;
    // Long before the running turn's time is over.
    let status = daemon.wait_exit(LIMIT).await?;
    ensure!(status.success(), "ended with {status}");
    assert!(daemon.log()?.contains(CUT), "{}", daemon.log()?);
    assert_eq!(daemon.children()?, Vec::<u32>::new());

    daemon.start().await?;
    assert_eq!(daemon.wait_turn("eng", &sent).await?.state, State::Ok);
    Ok(())
}

#[tokio::test]
async fn a_turn_that_is_cut_off_twice_is_given_up() -> Result<()> {
    let mut daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You help.").await?;
    daemon.create_agent("boss", "You wait.").await?;
    let body = json!({"text": HANGS, "reply_to": "boss", "correlation_id": "c-1"});
    let sent = daemon.send_with("eng", &body).await?;
    let next = daemon.send("eng", "[[reply the next one]]").await?;
    for attempt in [1, 2] {
        let mut events = daemon.events("eng").await?;
        assert_eq!(until_tool_runs(&mut events, &sent).await?, attempt);
        daemon.kill9().await?;
        daemon.start().await?;
    }
    let turn = daemon.wait_turn("eng", &sent).await?;
    let failure = turn.error.unwrap_or_default();
    assert_eq!(
        (turn.state, failure["code"].as_str()),
        (State::Interrupted, Some("interrupted"))
    );
    assert!(
        failure["next_step"].as_str().is_some_and(|text| text.contains("again")),
        "{failure}"
    );

    assert_eq!(daemon.wait_turn("eng", &next).await?.state, State::Ok);
    let answers = answers(&daemon, "eng", 2).await?;
    let shown: Vec<_> = answers
        .iter()
        .map(|note| (note.kind.as_deref(), note.in_reply_to.as_deref()))
        .collect();
    assert_eq!(
        shown,
        [
            (Some("failure"), Some(sent.id.as_str())),
            (None, Some(next.id.as_str()))
        ]
    );
    let journal = daemon.wait_quiet(LIMIT).await?;
    assert_eq!(journal.violations(), Vec::<String>::new());
    let told: Vec<_> = journal
        .notes
        .iter()
        .filter(|note| note.is_callback())
        .map(|note| (note.text("agent"), note.text("status"), note.text("correlation_id")))
        .collect();
    assert_eq!(told, [("boss", "interrupted", "c-1")]);
    Ok(())
}

#[tokio::test]
async fn an_agent_may_ask_not_to_be_continued() -> Result<()> {
    let mut daemon = Daemon::builder().stand_in().start().await?;
    define(&daemon, "eng", &json!({"on_interrupt": "stop"})).await?;
    let sent = daemon.send("eng", &hangs_once(&daemon)).await?;
    until_hung(&daemon).await?;
    daemon.kill9().await?;
    daemon.start().await?;
    let turn = daemon.wait_turn("eng", &sent).await?;
    assert_eq!((turn.state, turn.reply), (State::Interrupted, None));
    let answers = answers(&daemon, "eng", 1).await?;
    assert_eq!(
        (answers[0].kind.as_deref(), answers[0].in_reply_to.as_deref()),
        (Some("failure"), Some(sent.id.as_str()))
    );

    // The session goes on all the same: the agent knows of the turn that was cut off.
    let next = daemon.send("eng", "And now?").await?;
    let reply = daemon.wait_turn("eng", &next).await?.reply.unwrap_or_default();
    assert!(reply.contains("This is message 2 of our conversation"), "{reply}");
    Ok(())
}

#[tokio::test]
async fn a_turn_that_never_got_its_prompt_begins_anew() -> Result<()> {
    let mut daemon = Daemon::builder().stand_in().start().await?;
    define(&daemon, "eng", &json!({"on_interrupt": "stop"})).await?;
    daemon.stop().await?;
    daemon.start_doomed("turn.begun", 1).await?;
    let sent = daemon.send_keyed("eng", "k", &json!({"text": "Hello"})).await?;
    daemon.wait_killed().await?;
    daemon.start().await?;
    let sent = match sent {
        Some(sent) => sent,
        None => daemon.send_keyed("eng", "k", &json!({"text": "Hello"})).await?.unwrap(),
    };
    let turn = daemon.wait_turn("eng", &sent).await?;
    let reply = turn.reply.unwrap_or_default();
    assert!(reply.contains("This is message 1 of our conversation"), "{reply}");
    assert_eq!((turn.state, turn.more["interruptions"].as_u64()), (State::Ok, Some(0)));
    Ok(())
}

/// Sends a message to a daemon that dies at a point of its turn, and starts it again.
async fn send_and_die(daemon: &mut Daemon, point: &str, text: &str) -> Result<Sent> {
    daemon.stop().await?;
    daemon.start_doomed(point, 1).await?;
    let body = json!({"text": text});
    let sent = daemon.send_keyed("eng", "k", &body).await?;
    daemon.wait_killed().await?;
    daemon.start().await?;
    match sent {
        Some(sent) => Ok(sent),
        None => daemon.send_keyed("eng", "k", &body).await?.context("an answer"),
    }
}

#[tokio::test]
async fn a_later_turn_that_never_got_its_prompt_begins_anew() -> Result<()> {
    let mut daemon = Daemon::builder().stand_in().start().await?;
    define(&daemon, "eng", &json!({"on_interrupt": "stop"})).await?;
    let first = daemon.send("eng", "Hello").await?;
    let session = daemon.wait_turn("eng", &first).await?.more["session"].clone();
    let sent = send_and_die(&mut daemon, "turn.begun", "Again").await?;
    let turn = daemon.wait_turn("eng", &sent).await?;
    let reply = turn.reply.unwrap_or_default();
    assert!(reply.contains("This is message 2 of our conversation"), "{reply}");
    assert_eq!((turn.state, turn.more["interruptions"].as_u64()), (State::Ok, Some(0)));
    assert_eq!(turn.more["session"], session);
    Ok(())
}

#[tokio::test]
async fn an_attempt_without_its_prompt_does_not_hide_the_one_before() -> Result<()> {
    let mut daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You help.").await?;
    let sent = daemon.send("eng", &hangs_once(&daemon)).await?;
    until_hung(&daemon).await?;
    daemon.kill9().await?;
    // Cut off before the prompt, then, when that was taken back, before anything.
    for point in ["turn.begun", "turn.spawned"] {
        daemon.start_doomed(point, 1).await?;
        daemon.wait_killed().await?;
    }
    daemon.start().await?;
    let turn = daemon.wait_turn("eng", &sent).await?;
    assert_eq!((turn.state, turn.more["interruptions"].as_u64()), (State::Ok, Some(1)));
    let notices = turn.more["notices"].to_string();
    assert!(notices.contains("was cut off by a restart"), "{turn:?}");
    Ok(())
}

#[tokio::test]
async fn a_person_stops_a_turn_and_the_next_one_runs() -> Result<()> {
    let daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You help.").await?;
    for text in ["[[hang]]", "[[deaf]]", HANGS, "[[slow 3000x100ms]]"] {
        let mut events = daemon.events("eng").await?;
        let sent = daemon.send("eng", text).await?;
        let next = daemon.send("eng", "[[reply next]]").await?;
        events
            .until(|event| event.kind() == "init" && event.data["message"] == sent.id.as_str())
            .await?;
        let turn = sent.turn.clone().unwrap();
        daemon.stop_turn(&turn).await?;
        let seen = events.until_end(&turn).await?;
        assert_eq!(
            seen.last().map(reveille_tests::daemon::Event::kind),
            Some("stopped"),
            "{text}"
        );
        assert_eq!(daemon.wait_turn("eng", &sent).await?.state, State::Cancelled, "{text}");
        assert_eq!(daemon.wait_turn("eng", &next).await?.state, State::Ok, "{text}");
    }
    let journal = daemon.wait_quiet(LIMIT).await?;
    assert_eq!(journal.violations(), Vec::<String>::new());
    assert_eq!(daemon.children()?, Vec::<u32>::new());
    Ok(())
}
