//! What happens in the moment in which a message is handed over: its client goes, somebody stops it, a claim runs out.

use std::time::Duration;

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Event, LIMIT, State};
use reveille_tests::parachute::{Parachute, TOKEN, Version};
use reveille_tests::{Daemon, eventually};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::{answer, ask, attach, next, pending, refused, stand_in, thread, turn_of, until_pending, until_thread};

/// What is asked of the server for what a session gets.
const FILES: &str = "/attachments";

/// A daemon with two attached agents: `far` is in the vault of a server that the test can hold up, `eng` in one of the
/// daemon's own.
struct House {
    daemon: Daemon,
    peer: Parachute,
}

impl House {
    async fn new(ttl: &str) -> Result<Self> {
        let peer = Parachute::start(Version::July)?;
        let note = json!({
            "path": "Agents/far", "content": "You build.", "tags": ["agent/definition"],
            "metadata": { "name": "far", "backend": "attached" }
        });
        peer.write(&note).map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
        let config = format!(
            "[[vault]]\nname = \"default\"\n[[vault]]\nname = \"far\"\nkind = \"parachute\"\nurl = \"{}\"\n\
             vault = \"default\"\npoll = \"200ms\"\ntoken = \"${{VAULT_TOKEN}}\"\n",
            peer.url()
        );
        let daemon = stand_in()
            .env("VAULT_TOKEN", TOKEN)
            .env("REVEILLE_ATTACHED__CLAIM_TTL", ttl)
            .config(&config)
            .start()
            .await?;
        attach(&daemon, "eng", json!({})).await?;
        let house = Self { daemon, peer };
        house.until_known().await?;
        Ok(house)
    }

    async fn until_known(&self) -> Result<()> {
        eventually("both agents are there", LIMIT, async || {
            Ok((self.daemon.agents().await?.len() == 2).then_some(()))
        })
        .await
    }

    /// From now on the server looks at no request with this in its address, and at all others.
    fn hold(&self, part: Option<&str>) {
        self.peer.take_log();
        self.peer.set_faults(|faults| faults.hold = part.map(str::to_owned));
    }

    /// Waits until the daemon has asked for it.
    async fn until_asked(&self, part: &str) -> Result<()> {
        eventually(&format!("{part} is asked for"), LIMIT, async || {
            let asked = self.peer.take_log();
            Ok(asked.iter().any(|line| line.contains(part)).then_some(()))
        })
        .await
    }

    /// Status of a thread in the vault of the server.
    fn far_thread(&self, taken: &Value) -> Option<String> {
        let note = self.peer.note(taken["thread"].as_str()?)?;
        note.metadata["status"].as_str().map(str::to_owned)
    }

    async fn until_far_thread(&self, taken: &Value, status: &str) -> Result<()> {
        eventually(&format!("the far thread is {status}"), LIMIT, async || {
            Ok((self.far_thread(taken).as_deref() == Some(status)).then_some(()))
        })
        .await
    }

    /// A message of its own conversation.
    async fn send(&self, agent: &str, subject: &str) -> Result<String> {
        let body = json!({ "text": "Build it.", "subject": subject });
        let sent = self.daemon.send_with(agent, &body).await?;
        turn_of(&self.daemon, &sent).await
    }
}

/// A client that asks for a message and can go away.
async fn asking(daemon: &Daemon, agent: &str, body: &Value) -> Result<TcpStream> {
    let (host, (name, token), body) = (daemon.authority()?, daemon.bearer(), body.to_string());
    let head = format!(
        "POST /api/channels/{agent}/next HTTP/1.1\r\nhost: {host}\r\n{name}: {token}\r\ncontent-length: {}\r\n\
         content-type: application/json\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(host).await?;
    stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await?;
    Ok(stream)
}

/// Waits until the time of a claim is over.
async fn until_over(taken: &Value) -> Result<()> {
    let ends: jiff::Timestamp = taken["ends_at"].as_str().context("an end")?.parse()?;
    let left = Duration::try_from(ends.duration_since(jiff::Timestamp::now())).unwrap_or_default();
    tokio::time::sleep(left + Duration::from_millis(1)).await;
    Ok(())
}

#[tokio::test]
async fn who_has_gone_while_it_waited_takes_nothing() -> Result<()> {
    let daemon = super::with_eng().await?;
    let mut gone = Vec::new();
    for _ in 0..4 {
        gone.push(asking(&daemon, "eng", &json!({ "wait": 60 })).await?);
    }
    // They have been heard, and then they have not.
    pending(&daemon, "eng").await?;
    drop(gone);
    pending(&daemon, "eng").await?;
    let sent = daemon.send("eng", "Build it.").await?;
    let taken: Value = ask(&daemon, "eng", "next", &json!({ "wait": 20 })).await?.ok()?;
    assert_eq!(taken["id"], json!(sent.id));
    Ok(())
}

#[tokio::test]
async fn who_goes_while_a_message_is_handed_over_has_taken_nothing() -> Result<()> {
    let house = House::new("15m").await?;
    house.send("far", "a").await?;
    house.hold(Some(FILES));
    let client = asking(&house.daemon, "far", &json!({})).await?;
    house.until_asked(FILES).await?;
    drop(client);
    house.hold(None);
    until_pending(&house.daemon, "far", 1).await?;
    let taken = next(&house.daemon, "far").await?;
    answer(&house.daemon, "far", &taken, "Built.").await?.ok::<Value>()?;
    Ok(())
}

#[tokio::test]
async fn who_goes_gives_back_nothing_that_another_one_has_by_then() -> Result<()> {
    let house = House::new("15m").await?;
    let turn = house.send("far", "a").await?;
    house.hold(Some(FILES));
    let client = asking(&house.daemon, "far", &json!({})).await?;
    house.until_asked(FILES).await?;
    let released = ask(&house.daemon, "far", "release", &json!({ "id": turn })).await?;
    released.ok::<Value>()?;
    let (taken, held_up) = tokio::join!(next(&house.daemon, "far"), async {
        let asked = house.until_asked(FILES).await;
        drop(client);
        house.hold(None);
        asked
    });
    held_up?;
    let taken = taken?;
    assert_eq!(taken["turn"], json!(turn));
    answer(&house.daemon, "far", &taken, "Built.").await?.ok::<Value>()?;
    Ok(())
}

#[tokio::test]
async fn a_message_that_is_stopped_while_it_is_handed_over_stays_stopped() -> Result<()> {
    let house = House::new("15m").await?;
    let turn = house.send("far", "a").await?;
    let mut events = house.daemon.events("far").await?;
    house.hold(Some(FILES));
    let (taken, stopped) = tokio::join!(next(&house.daemon, "far"), async {
        house.until_asked(FILES).await?;
        house.daemon.stop_turn(&turn).await?;
        let stopped = house.daemon.turn(&turn).await?;
        house.hold(None);
        anyhow::Ok(stopped)
    });
    assert_eq!((stopped?.state, &taken?["message"]), (State::Cancelled, &Value::Null));
    // Nothing of it comes before the start of another one, and nothing is left for those who come late.
    let second = house.send("far", "b").await?;
    let taken = next(&house.daemon, "far").await?;
    assert_eq!(taken["turn"], json!(second));
    let seen = events.until(|event| event.kind() == "started").await?;
    let of_first = seen.iter().filter(|event| event.data["turn"] == turn);
    assert_eq!(of_first.map(Event::kind).collect::<Vec<_>>(), ["stopped"]);
    assert_eq!(seen.last().map(|event| &event.data["turn"]), Some(&json!(second)));
    let replayed = house.daemon.events("far").await?.next().await?;
    assert_eq!(replayed.data["turn"], json!(second));
    Ok(())
}

#[tokio::test]
async fn a_message_that_is_given_back_while_it_is_handed_over_is_taken_anew() -> Result<()> {
    let house = House::new("15m").await?;
    let turn = house.send("far", "a").await?;
    house.hold(Some(FILES));
    let (taken, released) = tokio::join!(next(&house.daemon, "far"), async {
        house.until_asked(FILES).await?;
        let released = ask(&house.daemon, "far", "release", &json!({ "id": turn })).await;
        house.hold(None);
        released?.ok::<Value>()
    });
    let (taken, released) = (taken?, released?);
    assert_eq!([&taken["turn"], &released["turn"]], [&json!(turn); 2]);
    // Under a claim that holds.
    answer(&house.daemon, "far", &taken, "Built.").await?.ok::<Value>()?;
    assert_eq!(house.daemon.turn(&turn).await?.state, State::Ok);
    Ok(())
}

#[tokio::test]
async fn what_ran_out_while_the_daemon_was_away_waits_again_and_its_thread_says_so() -> Result<()> {
    let mut house = House::new("10s").await?;
    house.send("far", "a").await?;
    house.send("eng", "a").await?;
    let (far, eng) = (next(&house.daemon, "far").await?, next(&house.daemon, "eng").await?);
    house.until_far_thread(&far, "working").await?;
    until_thread(&house.daemon, &eng["thread"], "working").await?;
    let claim = |taken: &Value| json!({ "id": taken["id"], "claim": taken["claim"] });
    ask(&house.daemon, "far", "renew", &claim(&far)).await?.ok::<Value>()?;
    let last: Value = ask(&house.daemon, "eng", "renew", &claim(&eng)).await?.ok()?;
    house.daemon.kill9().await?;
    until_over(&last).await?;
    house.daemon.set_env("REVEILLE_ATTACHED__CLAIM_TTL", "15m");
    house.daemon.start().await?;
    until_thread(&house.daemon, &eng["thread"], "waiting").await?;
    house.until_far_thread(&far, "waiting").await?;
    house.until_known().await?;
    for agent in ["far", "eng"] {
        until_pending(&house.daemon, agent, 1).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_claim_that_runs_out_takes_nothing_from_the_next_one() -> Result<()> {
    // Half as long as the daemon waits for the server, which is held up for as long as a claim holds.
    let house = House::new("5s").await?;
    for (agent, subject) in [("far", "a"), ("far", "b"), ("eng", "a"), ("eng", "b")] {
        house.send(agent, subject).await?;
    }
    let (first, second) = (next(&house.daemon, "far").await?, next(&house.daemon, "far").await?);
    let (old, last) = (next(&house.daemon, "eng").await?, next(&house.daemon, "eng").await?);
    for taken in [&first, &second] {
        house.until_far_thread(taken, "working").await?;
    }
    for taken in [&old, &last] {
        until_thread(&house.daemon, &taken["thread"], "working").await?;
    }
    // The daemon is held up where it says that the first one waits again; then the others run out, all at once.
    let thread_of = |taken: &Value| taken["thread"].as_str().context("a thread").map(str::to_owned);
    let held_up = thread_of(&first)?;
    // Its time begins anew, whatever the others took.
    let claim = json!({ "id": first["id"], "claim": first["claim"] });
    ask(&house.daemon, "far", "renew", &claim).await?.ok::<Value>()?;
    house.hold(Some(&held_up));
    let ends = eventually("the first one has run out", LIMIT, async || {
        let mut ends = Value::Null;
        for (agent, taken) in [("far", &second), ("eng", &old), ("eng", &last)] {
            let claim = json!({ "id": taken["id"], "claim": taken["claim"] });
            ends = ask(&house.daemon, agent, "renew", &claim).await?.ok()?;
        }
        let asked = house.peer.take_log();
        Ok(asked.iter().any(|line| line.contains(&held_up)).then_some(ends))
    })
    .await?;
    until_over(&ends).await?;
    // It goes on to the second one, and is held up there; the next session has the third by then.
    house.hold(Some(&thread_of(&second)?));
    house.until_asked(&thread_of(&second)?).await?;
    let new = next(&house.daemon, "eng").await?;
    assert_eq!((&new["id"], new["claim"] != old["claim"]), (&old["id"], true));
    until_thread(&house.daemon, &new["thread"], "working").await?;
    let claim = json!({ "id": new["id"], "claim": new["claim"] });
    ask(&house.daemon, "eng", "renew", &claim).await?.ok::<Value>()?;
    house.hold(None);
    until_thread(&house.daemon, &last["thread"], "waiting").await?;
    assert_eq!(thread(&house.daemon, &new["thread"]).await?.0, "working");
    let late = answer(&house.daemon, "eng", &old, "Late.").await?;
    assert_eq!(refused(&late), (409, "claim_over"));
    answer(&house.daemon, "eng", &new, "Built.").await?.ok::<Value>()?;
    Ok(())
}
