//! A daemon that dies between a note and its receiver.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::rows;
use reveille_tests::{Daemon, Random, Receiver, ReceiverAnswer as Answer};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{gist, register, show, wait_states, with_short_pauses};

#[tokio::test]
async fn what_was_told_but_not_written_down_is_told_again_under_its_id() -> Result<()> {
    let mut daemon = with_short_pauses().start().await?;
    let receiver = Receiver::start().await?;
    register(&daemon, "t", &["created"], &receiver.url("/hook")).await?;
    daemon.stop().await?;
    daemon.start_doomed("triggers.told", 1).await?;
    let note = json!({"path": "a", "content": "x"});
    let notes = ["vault", "default", "api", "notes"];
    daemon
        .try_request(http::Method::POST, &notes, None, Some(&note))
        .await?;
    daemon.wait_killed().await?;
    assert_eq!(receiver.told().len(), 1);
    daemon.start().await?;
    wait_states(&daemon, "t", &["delivered"]).await?;
    let told = receiver.told();
    assert_eq!(told.len(), 2);
    assert_eq!(
        (told[0].header("webhook-id"), &told[0].body),
        (told[1].header("webhook-id"), &told[1].body)
    );
    Ok(())
}

/// Every note of the vault has left one delivery for its making, and its receiver knows of it.
#[tokio::test]
async fn every_event_gets_there_although_the_daemon_is_killed_at_any_moment() -> Result<()> {
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let mut daemon = with_short_pauses().start().await?;
    let receiver = Receiver::start().await?;
    let late = |status| Answer::Late(Duration::from_millis(15), Box::new(Answer::Status(status)));
    let script = (0..400).map(|number| late(if number % 7 == 3 { 500 } else { 200 }));
    receiver.script("/hook", script.chain([Answer::Status(200)]));
    register(&daemon, "t", &["created", "updated"], &receiver.url("/hook")).await?;
    for round in 0..5 {
        let killed = {
            let begun = Notify::new();
            let pause = random.millis(50..500);
            let moment = async {
                // On a slow machine too there is something to deliver.
                begun.notified().await;
                // Not a wait for something: the moment itself is what is tested.
                tokio::time::sleep(pause).await;
            };
            tokio::select! {
                outcome = write_many(&daemon, round, &begun) => outcome,
                () = moment => Ok(()),
            }
        };
        killed?;
        daemon.kill9().await?;
        daemon.start().await?;
    }
    // What a killed daemon did not acknowledge may be there or not; what is there has left its delivery.
    let vault = daemon.state_tables()?.vault;
    let count = rows(&vault, "SELECT count(*) FROM deliveries")?[0][0]
        .as_u64()
        .context("a number")?;
    assert!(count > 20, "{count}");
    let bare = "SELECT id FROM notes WHERE id NOT IN (SELECT note_id FROM deliveries WHERE event = 'created')";
    assert_eq!(rows(&vault, bare)?, Vec::<Vec<Value>>::new());
    let orphans = "SELECT note_id FROM deliveries WHERE note_id NOT IN (SELECT id FROM notes)";
    assert_eq!(rows(&vault, orphans)?, Vec::<Vec<Value>>::new());
    wait_all_delivered(&daemon).await?;

    let written = rows(&vault, "SELECT id FROM deliveries")?;
    let written: BTreeSet<String> = written
        .iter()
        .filter_map(|row| row[0].as_str().map(str::to_owned))
        .collect();
    let (mut told, mut lines) = (BTreeMap::new(), BTreeMap::<String, Vec<String>>::new());
    for one in receiver.told() {
        let id = one.header("webhook-id").to_owned();
        let note = one.json()["note"]["path"].as_str().context("a path")?.to_owned();
        let same = told.entry(id).or_insert_with(|| one.body.clone());
        assert_eq!(*same, one.body, "an id stands for one event");
        let line = lines.entry(note).or_default();
        if !line.contains(&gist(&one)) {
            line.push(gist(&one));
        }
    }
    assert_eq!(told.into_keys().collect::<BTreeSet<_>>(), written);
    for (note, line) in lines {
        let steps: Vec<usize> = line
            .iter()
            .map(|gist| gist.rsplit(' ').next().unwrap_or("-").parse())
            .collect::<Result<_, _>>()?;
        assert!(steps.is_sorted(), "{note}: {line:?}");
    }
    Ok(())
}

/// Three states of each note, until the daemon is gone. Tells when two notes are written.
async fn write_many(daemon: &Daemon, round: usize, begun: &Notify) -> Result<()> {
    for number in 0..200 {
        if number == 2 {
            begun.notify_one();
        }
        for state in 0..3 {
            let path = format!("r{round}-{number}");
            let body = json!({"content": state.to_string(), "if_missing": "create", "force": true});
            let at = ["vault", "default", "api", "notes", &path];
            daemon.try_request(http::Method::PATCH, &at, None, Some(&body)).await?;
        }
    }
    Ok(())
}

async fn wait_all_delivered(daemon: &Daemon) -> Result<()> {
    reveille_tests::eventually("nothing waits", reveille_tests::daemon::LIMIT, async || {
        let seen = show(daemon, "t").await?;
        anyhow::ensure!(seen["dead"] == 0, "{seen}");
        Ok((seen["waiting"] == 0).then_some(()))
    })
    .await
}
