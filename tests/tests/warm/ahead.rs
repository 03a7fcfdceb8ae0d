//! Processes that are started while their conversation waits for a place among the running turns.

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Builder, Daemon, Event, LIMIT, Sent, State};
use reveille_tests::eventually;
use reveille_tests::messages_api::MessagesApi;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::{WHO, builder, define, done, left, process};

/// Processes that were started ahead: started, failed, used, wasted.
async fn ahead(daemon: &Daemon) -> Result<[u64; 4]> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let request = http.get(daemon.url().join("/metrics")?).bearer_auth(daemon.token());
    let text = request.send().await?.text().await?;
    let get = |outcome: &str| -> Result<u64> {
        let row = format!("reveille_prewarmed_processes_total{{outcome=\"{outcome}\"}} ");
        let found = text.lines().find_map(|line| line.strip_prefix(&row));
        Ok(found.with_context(|| format!("no {row}: {text}"))?.trim().parse()?)
    };
    Ok([get("started")?, get("failed")?, get("used")?, get("wasted")?])
}

pub(crate) async fn counted(daemon: &Daemon, expected: [u64; 4]) -> Result<()> {
    let what = format!("counts {expected:?}");
    let counted = eventually(&what, LIMIT, async || {
        Ok((ahead(daemon).await? == expected).then_some(()))
    })
    .await;
    counted.with_context(|| format!("{:?}", daemon.log()))
}

/// One turn runs at a time, and that of `busy` runs on until it is stopped.
pub(crate) struct House {
    pub(crate) daemon: Daemon,
    pub(crate) busy: Sent,
    /// Its process.
    runs: Vec<u32>,
}

impl House {
    pub(crate) async fn of(builder: Builder, agents: &[&str]) -> Result<Self> {
        let daemon = builder.env("REVEILLE_LIMITS__LIVE_TURNS", "1").start().await?;
        for agent in agents {
            define(&daemon, agent, json!({})).await?;
        }
        Self::busy(daemon, "[[reply begun]][[hang]]").await
    }

    pub(crate) async fn busy(daemon: Daemon, text: &str) -> Result<Self> {
        if !daemon.agents().await?.iter().any(|agent| agent["name"] == "busy") {
            define(&daemon, "busy", json!({"keep_warm": "false"})).await?;
        }
        let before = daemon.children()?;
        let mut events = daemon.events("busy").await?;
        let busy = daemon.send("busy", text).await?;
        events
            .until(|event: &Event| matches!(event.kind(), "text" | "tool") && event.data["turn"] == json!(busy.turn))
            .await?;
        let mut runs = daemon.children()?;
        runs.retain(|pid| !before.contains(pid));
        Ok(Self { daemon, busy, runs })
    }

    /// Waits for the process that is started ahead.
    pub(crate) async fn started(&self, known: &[u32]) -> Result<u32> {
        let found = eventually("a process is started ahead", LIMIT, async || {
            let children = self.daemon.children()?;
            let mut new = children
                .into_iter()
                .filter(|pid| !self.runs.contains(pid) && !known.contains(pid));
            Ok(new.next())
        });
        found.await.with_context(|| format!("{:?}", self.daemon.log()))
    }

    pub(crate) async fn over(&self) -> Result<()> {
        self.daemon
            .stop_turn(self.busy.turn.as_deref().context("a turn")?)
            .await?;
        let ended = self.daemon.wait_turn("busy", &self.busy).await?;
        assert_eq!(ended.state, State::Cancelled);
        Ok(())
    }

    /// The process that has run a turn, which ended well.
    pub(crate) async fn ran(&self, agent: &str, sent: &Sent) -> Result<u32> {
        let turn = self.daemon.wait_turn(agent, sent).await?;
        assert_eq!(turn.state, State::Ok, "{turn:?}");
        assert_eq!(turn.more["notices"], json!([]), "{turn:?}");
        assert!(turn.cost_usd > 0.0 && turn.cost_usd < 0.01, "{turn:?}");
        let reply = turn.reply.context("a reply")?;
        let (_, pid) = reply.rsplit_once("process ").with_context(|| reply.clone())?;
        Ok(pid.trim().parse()?)
    }

    pub(crate) async fn sound(&self) -> Result<()> {
        let journal = self.daemon.wait_quiet(LIMIT).await?;
        assert_eq!(journal.violations(), Vec::<String>::new());
        Ok(())
    }
}

fn signal(pid: u32, signal: Signal) -> Result<()> {
    let pid = Pid::from_raw(i32::try_from(pid)?).context("a process")?;
    Ok(kill_process(pid, signal)?)
}

#[tokio::test]
async fn the_first_turn_of_a_conversation_has_it_and_so_has_a_later_one() -> Result<()> {
    let house = House::of(builder(), &["eng"]).await?;
    let daemon = &house.daemon;
    let sent = daemon.send("eng", WHO).await?;
    let started = house.started(&[]).await?;
    counted(daemon, [1, 0, 0, 0]).await?;
    assert!(daemon.children()?.iter().any(|pid| house.runs.contains(pid)));
    house.over().await?;
    assert_eq!(house.ran("eng", &sent).await?, started);
    counted(daemon, [1, 0, 1, 0]).await?;
    // It goes on as any other that has waited, until it ends.
    assert_eq!(process(daemon, "eng").await?, started);
    signal(started, Signal::KILL)?;
    left(daemon, 0).await?;
    // Its session is there: the next one is started with it.
    let house = House::busy(house.daemon, "[[reply begun]][[hang]]").await?;
    let sent = house.daemon.send("eng", WHO).await?;
    let again = house.started(&[]).await?;
    counted(&house.daemon, [2, 0, 1, 0]).await?;
    house.over().await?;
    assert_eq!(house.ran("eng", &sent).await?, again);
    counted(&house.daemon, [2, 0, 2, 0]).await?;
    let last = crate::well(&house.daemon, "eng", "hi").await?;
    assert!(last.reply.unwrap_or_default().contains("message 4 "));
    house.sound().await
}

#[tokio::test]
async fn a_message_that_is_taken_back_ends_it() -> Result<()> {
    let house = House::of(builder(), &["eng"]).await?;
    let daemon = &house.daemon;
    let sent = daemon.send("eng", WHO).await?;
    let started = house.started(&[]).await?;
    counted(daemon, [1, 0, 0, 0]).await?;
    let turn = sent.turn.as_deref().context("a turn")?;
    done(daemon, Method::POST, &["api", "turns", turn, "cancel"], &json!({})).await?;
    assert_eq!(left(daemon, 1).await?, house.runs);
    counted(daemon, [1, 0, 0, 1]).await?;
    // So does a pause of its agent.
    daemon.send("eng", WHO).await?;
    assert_ne!(house.started(&[]).await?, started);
    counted(daemon, [2, 0, 0, 1]).await?;
    done(daemon, Method::POST, &["api", "agents", "eng", "pause"], &json!({})).await?;
    assert_eq!(left(daemon, 1).await?, house.runs);
    counted(daemon, [2, 0, 0, 2]).await
}

#[tokio::test]
async fn one_that_would_be_started_otherwise_by_then_is_ended_first() -> Result<()> {
    let house = House::of(builder(), &["eng"]).await?;
    let daemon = &house.daemon;
    let sent = daemon.send("eng", WHO).await?;
    let started = house.started(&[]).await?;
    counted(daemon, [1, 0, 0, 0]).await?;
    let env = ["api", "credentials", "env"];
    done(daemon, Method::POST, &env, &json!({"name": "THING", "value": "one"})).await?;
    house.over().await?;
    let ran = house.ran("eng", &sent).await?;
    assert_ne!(ran, started);
    assert_eq!(left(daemon, 1).await?, [ran]);
    counted(daemon, [1, 0, 0, 1]).await?;
    house.sound().await
}

#[tokio::test]
async fn one_that_is_gone_or_does_not_listen_costs_no_message() -> Result<()> {
    for trouble in [Signal::KILL, Signal::STOP] {
        let house = House::of(builder(), &["eng"]).await?;
        let daemon = &house.daemon;
        let sent = daemon.send("eng", WHO).await?;
        let started = house.started(&[]).await?;
        counted(daemon, [1, 0, 0, 0]).await?;
        signal(started, trouble)?;
        house.over().await?;
        let ran = house.ran("eng", &sent).await?;
        assert_ne!(ran, started, "{trouble:?}");
        assert!(!daemon.children()?.contains(&started), "{trouble:?}");
        let next = crate::well(daemon, "eng", "hi").await?;
        assert!(next.reply.unwrap_or_default().contains("message 2 "), "{trouble:?}");
        house.sound().await?;
    }
    Ok(())
}

/// By which the next start would find it, should it not end by itself.
fn instance(pid: u32) -> Result<String> {
    let environ = std::fs::read(format!("/proc/{pid}/environ"))?;
    let mut pairs = environ.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let found = pairs.find(|pair| pair.starts_with("REVEILLE_INSTANCE="));
    Ok(found.context("it has the mark of its daemon")?.into_owned())
}

#[tokio::test]
async fn the_end_of_the_daemon_is_its_end() -> Result<()> {
    let mut house = House::of(builder(), &["eng"]).await?;
    house.daemon.send("eng", WHO).await?;
    let started = house.started(&[]).await?;
    counted(&house.daemon, [1, 0, 0, 0]).await?;
    let runs = house.runs.first().context("a process")?;
    assert_eq!(instance(started)?, instance(*runs)?);
    house.daemon.kill9().await?;
    eventually("it is gone", LIMIT, async || {
        Ok((!house.daemon.children()?.contains(&started)).then_some(()))
    })
    .await?;
    house.daemon.start().await?;
    assert!(house.daemon.stop().await?.success());
    assert_eq!(house.daemon.children()?, Vec::<u32>::new());
    Ok(())
}

#[tokio::test]
async fn no_more_than_may_wait_and_the_next_ones_first() -> Result<()> {
    let one = builder().env("REVEILLE_CLAUDE__WARM_PROCESSES", "1");
    let house = House::of(one, &["first", "second"]).await?;
    let daemon = &house.daemon;
    let first = daemon.send("first", WHO).await?;
    let started = house.started(&[]).await?;
    let second = daemon.send("second", WHO).await?;
    counted(daemon, [1, 0, 0, 0]).await?;
    // The other one has its process when the first has none any more, so it was kept out until now.
    let turn = first.turn.as_deref().context("a turn")?;
    done(daemon, Method::POST, &["api", "turns", turn, "cancel"], &json!({})).await?;
    let next = house.started(&[started]).await?;
    counted(daemon, [2, 0, 0, 1]).await?;
    let mut expected = house.runs.clone();
    expected.push(next);
    expected.sort_unstable();
    assert_eq!(left(daemon, 2).await?, expected);
    house.over().await?;
    assert_eq!(house.ran("second", &second).await?, next);
    house.sound().await
}

#[tokio::test]
async fn a_guess_takes_the_place_of_one_that_nobody_waits_for_alone() -> Result<()> {
    let one = builder().env("REVEILLE_CLAUDE__WARM_PROCESSES", "1");
    let daemon = one.env("REVEILLE_LIMITS__LIVE_TURNS", "1").start().await?;
    for agent in ["eng", "ops", "aux"] {
        define(&daemon, agent, json!({})).await?;
    }
    let waits = process(&daemon, "eng").await?;
    let house = House::busy(daemon, "[[reply begun]][[hang]]").await?;
    let ops = house.daemon.send("ops", WHO).await?;
    let started = house.started(&[waits]).await?;
    counted(&house.daemon, [1, 0, 0, 0]).await?;
    assert!(!house.daemon.children()?.contains(&waits));
    house.over().await?;
    assert_eq!(house.ran("ops", &ops).await?, started);
    // Now that one is waited for, before another one which has none.
    let house = House::busy(house.daemon, "[[reply begun]][[hang]]").await?;
    let ops = house.daemon.send("ops", WHO).await?;
    let aux = house.daemon.send("aux", WHO).await?;
    house.over().await?;
    assert_eq!(house.ran("ops", &ops).await?, started);
    house.ran("aux", &aux).await?;
    house.sound().await
}

#[tokio::test]
async fn who_is_to_have_none_has_none() -> Result<()> {
    let daemon = builder().env("REVEILLE_LIMITS__LIVE_TURNS", "1");
    let daemon = daemon.env("REVEILLE_CLAUDE__WARM_PROCESSES", "9").start().await?;
    let agents = [
        ("never", json!({"keep_warm": "false"})),
        ("poor", json!({"budget_turn_usd": "1"})),
        ("eng", json!({})),
    ];
    for (agent, metadata) in &agents {
        define(&daemon, agent, metadata.clone()).await?;
    }
    let house = House::busy(daemon, "[[reply begun]][[hang]]").await?;
    let mut sent = Vec::new();
    for (agent, _) in &agents {
        sent.push((agent, house.daemon.send(agent, WHO).await?));
    }
    // The others stand before it in line.
    house.started(&[]).await?;
    counted(&house.daemon, [1, 0, 0, 0]).await?;
    assert_eq!(house.daemon.children()?.len(), 2);
    house.over().await?;
    for (agent, sent) in &sent {
        let turn = house.daemon.wait_turn(agent, sent).await?;
        assert_eq!(turn.state, State::Ok, "{turn:?}");
    }
    counted(&house.daemon, [1, 0, 1, 0]).await
}

#[tokio::test]
async fn the_real_program_answers_from_one_with_its_tools() -> Result<()> {
    let api = MessagesApi::start().await?;
    let daemon = Daemon::builder().real_claude(&api).warm();
    let daemon = daemon.env("REVEILLE_LIMITS__LIVE_TURNS", "1").start().await?;
    define(&daemon, "eng", json!({})).await?;
    let house = House::busy(daemon, "[[tool Bash {\"command\":\"sleep 4219\"}]]").await?;
    let daemon = &house.daemon;
    let note: Value = json!({"path": "Made/ahead", "content": "made"});
    let sent = daemon
        .send("eng", &format!("[[tool mcp__reveille__create-note {note}]]"))
        .await?;
    counted(daemon, [1, 0, 0, 0]).await?;
    // Nobody has been asked anything for it.
    assert!(daemon.note("Made/ahead").await?.is_none());
    house.over().await?;
    let turn = daemon.wait_turn("eng", &sent).await?;
    assert_eq!(turn.state, State::Ok, "{turn:?}");
    counted(daemon, [1, 0, 1, 0]).await?;
    assert!(daemon.note("Made/ahead").await?.is_some(), "{turn:?}");
    assert_eq!(turn.more["notices"], json!([]), "{turn:?}");
    assert!(turn.cost_usd > 0.0, "{turn:?}");
    let usage = turn.more["usage"]["input_tokens"].as_u64().unwrap_or_default();
    assert!(usage > 0, "{turn:?}");
    // The next turn goes on in it, and the conversation knows the first.
    let next = crate::well(daemon, "eng", "two").await?;
    assert!(next.cost_usd > 0.0 && next.cost_usd < turn.cost_usd * 2.0, "{next:?}");
    // Its session again, in a process that is started with it.
    for pid in daemon.children()? {
        // silent-ok: it has ended with another one.
        let _ = signal(pid, Signal::KILL);
    }
    left(daemon, 0).await?;
    let house = House::busy(house.daemon, "[[tool Bash {\"command\":\"sleep 4219\"}]]").await?;
    let sent = house.daemon.send("eng", "three").await?;
    counted(&house.daemon, [2, 0, 1, 0]).await?;
    house.over().await?;
    let turn = house.daemon.wait_turn("eng", &sent).await?;
    assert_eq!(turn.state, State::Ok, "{turn:?}");
    counted(&house.daemon, [2, 0, 2, 0]).await?;
    let reply = turn.reply.unwrap_or_default();
    assert!(
        reply.contains("You said:") && !reply.starts_with("context: 1 user"),
        "{reply}"
    );
    house.sound().await
}
