//! What the scan finds, and what it leaves alone.

use std::collections::BTreeSet;
use std::time::Duration;

use pretty_assertions::assert_eq;
use reveille_vault::parachute::Options;
use reveille_vault::{Change, ChangeKind, NewNote, ParachuteVault, Precondition, Query, Vault};
use serde_json::json;

use crate::contract::{at_id, ids, set};
use crate::double::Version;
use crate::house::{House, changes};

#[tokio::test]
async fn messages_that_came_while_nobody_looked_are_found_in_order() {
    let house = House::new(Version::May);
    let vault = house.open();
    house.message("first", &json!({}));
    changes(&*vault, 1).await;
    vault.close().await;
    // More than a page, and many of one instant.
    let mut expected = vec!["first".to_owned()];
    for number in 0..450 {
        let name = format!("n{number:03}");
        let at = format!("2027-01-01T00:00:00.{:03}Z", number / 3);
        house.message(&name, &json!({ "createdAt": at }));
        expected.push(name);
    }
    let vault = house.open();
    let log = changes(&*vault, 451).await;
    assert_eq!(
        log.iter().map(|change| change.id.to_string()).collect::<Vec<_>>(),
        expected
    );
    vault.look(None).await.unwrap();
    assert_eq!(vault.changes(0, 1_000).await.unwrap().len(), 451);
}

#[tokio::test]
async fn a_server_that_gives_short_pages_in_any_order_loses_nothing() {
    let house = House::new(Version::May);
    house.peer.set_faults(|faults| {
        faults.page_max = 50;
        faults.shuffle_ties = true;
    });
    for number in 0..230 {
        let at = format!("2026-01-01T00:00:00.{:03}Z", number / 4);
        house.message(&format!("n{number:03}"), &json!({ "createdAt": at }));
    }
    let vault = house.open();
    let log = changes(&*vault, 230).await;
    let told: BTreeSet<_> = log.iter().map(|change| change.id.to_string()).collect();
    assert_eq!((told.len(), log.len()), (230, 230));

    // Pages of a listing, while the order within an instant changes from request to request.
    let mut query = Query {
        tags: vec!["agent/message".into()],
        limit: Some(7),
        ..Query::default()
    };
    for descending in [false, true] {
        let mut found = Vec::new();
        query.descending = descending;
        loop {
            let page = vault.query(&query).await.unwrap();
            found.extend(ids(&page.notes).into_iter().map(str::to_owned));
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        let once: BTreeSet<_> = found.iter().cloned().collect();
        assert_eq!((once.len(), found.len()), (230, 230));
    }
}

#[tokio::test]
async fn a_note_with_a_wrong_time_or_a_late_tag_is_found_by_the_full_scan() {
    let house = House::new(Version::May);
    let options = Options {
        full_scan: Duration::from_millis(50),
        ..house.options()
    };
    let vault = ParachuteVault::open("test", options).unwrap();
    vault.look(None).await.unwrap();
    for (id, at) in [
        ("old", "2001-01-01T00:00:00.000Z"),
        ("no-time", "yesterday"),
        ("far", "2999-01-01T00:00:00.000Z"),
    ] {
        house.message(id, &json!({ "createdAt": at }));
    }
    house.message("late", &json!({ "tags": [], "createdAt": "2001-01-01T00:00:00.000Z" }));
    changes(&*vault, 3).await;
    house
        .peer
        .tamper("late", |note| note.tags.push("#agent/message/inbound".into()));
    let log = changes(&*vault, 4).await;
    assert_eq!(log.last().unwrap().id.as_str(), "late");
    // A time far ahead hides nothing that comes after it.
    house.message("now", &json!({}));
    vault.look(None).await.unwrap();
    assert_eq!(vault.changes(0, 10).await.unwrap().last().unwrap().id.as_str(), "now");
    // And what is gone there is gone here.
    house.peer.remove("old");
    let log = changes(&*vault, 6).await;
    assert_eq!((log[5].id.as_str(), log[5].kind), ("old", ChangeKind::Deleted));
}

#[tokio::test]
async fn whoever_is_told_of_a_note_finds_what_came_before_it_first() {
    let house = House::new(Version::May);
    let options = Options {
        poll: Duration::from_secs(3600),
        ..house.options()
    };
    let vault = ParachuteVault::open("test", options).unwrap();
    vault.look(None).await.unwrap();
    // The webhook of the first was lost.
    house.message("one", &json!({}));
    house.message("two", &json!({}));
    let two = vault.get(&at_id("two")).await.unwrap().unwrap().id;
    vault.look(Some(&two)).await.unwrap();
    let log = vault.changes(0, 10).await.unwrap();
    assert_eq!(
        log.iter().map(|change| change.id.as_str()).collect::<Vec<_>>(),
        ["one", "two"]
    );
    // One that only a full scan would find is looked at by name; one that means nothing to agents is not taken in.
    house.message("old", &json!({ "createdAt": "2001-01-01T00:00:00.000Z" }));
    house.peer.write(&json!({ "id": "diary", "content": "x" })).unwrap();
    for id in ["old", "diary", "nothing"] {
        vault.look(Some(&crate::contract::id(id))).await.unwrap();
    }
    let log = vault.changes(log[1].cursor, 10).await.unwrap();
    assert_eq!(log.iter().map(|change| change.id.as_str()).collect::<Vec<_>>(), ["old"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_writes_are_told_once_however_often_it_scans() {
    let house = House::new(Version::May);
    let options = Options {
        poll: Duration::from_millis(1),
        full_scan: Duration::from_millis(1),
        ..house.options()
    };
    let vault = ParachuteVault::open("test", options).unwrap();
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let vault = std::sync::Arc::clone(&vault);
            tokio::spawn(async move {
                let name = format!("n{writer}");
                let new = NewNote {
                    tags: vec!["agent/definition".into()],
                    ..crate::contract::note(&name)
                };
                vault.create(new).await.unwrap();
                for round in 0..10 {
                    let patch = set("round", &round.to_string());
                    vault.patch(&at_id(&name), patch, Precondition::Force).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    for _ in 0..3 {
        vault.look(None).await.unwrap();
    }
    assert_eq!(vault.changes(0, 1_000).await.unwrap().len(), 88);
    // A quiet vault is only read.
    house.peer.take_log();
    vault.look(None).await.unwrap();
    let log = house.peer.take_log();
    assert!(
        log.iter().all(|line| line.starts_with("GET /vault/default/api/notes?")),
        "{log:?}"
    );
}

#[tokio::test]
async fn notes_that_the_server_cannot_give_hold_up_no_others() {
    let house = House::new(Version::May);
    let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let bad = ["bad1", "bad2", "bad3", "bad4"];
    house.peer.set_faults(|faults| faults.unreadable = names(&bad));
    for name in ["one"].iter().chain(&bad).chain(&["two"]) {
        house.message(name, &json!({}));
    }
    let options = Options {
        full_scan: Duration::from_millis(20),
        ..house.options()
    };
    let vault = ParachuteVault::open("test", options).unwrap();
    let told = |log: Vec<Change>| log.iter().map(|change| change.id.to_string()).collect::<Vec<_>>();
    assert_eq!(told(changes(&*vault, 2).await), names(&["one", "two"]));
    house.message("three", &json!({}));
    assert_eq!(told(changes(&*vault, 3).await), names(&["one", "two", "three"]));

    house.peer.set_faults(|faults| faults.unreadable.clear());
    let all: BTreeSet<_> = told(changes(&*vault, 7).await).into_iter().collect();
    assert_eq!(all.len(), 7);
}
