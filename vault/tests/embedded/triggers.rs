//! What becomes of triggers and deliveries over time and over restarts.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use pretty_assertions::assert_eq;
use reveille_vault::embedded::Options;
use reveille_vault::triggers::{DeliveryFilter, DeliveryState, Event, NewTrigger, Outcome, Reply, Secret, When};
use reveille_vault::{EmbeddedVault, Triggers, Vault};

use super::contract::{ms, note};

const DAY: i64 = 24 * 60 * 60 * 1000;

fn new(name: &str) -> NewTrigger {
    NewTrigger {
        name: name.into(),
        events: vec![Event::Created],
        when: When::default(),
        webhook: "http://127.0.0.1:1/".into(),
        timeout: Duration::from_secs(1),
        bearer: None,
        secret: Secret::new("s"),
        rotate: false,
        enabled: None,
    }
}

#[tokio::test]
async fn triggers_and_deliveries_are_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("v.db");
    let vault = EmbeddedVault::open("test", &file).unwrap();
    vault.put(new("t")).await.unwrap();
    vault.create(note("a")).await.unwrap();
    let before = (vault.list().await.unwrap(), vault.due(9, Vec::new()).await.unwrap());
    assert_eq!(before.1.ready.len(), 1);
    vault.close().await;

    let vault = EmbeddedVault::open("test", &file).unwrap();
    assert_eq!(
        (vault.list().await.unwrap(), vault.due(9, Vec::new()).await.unwrap()),
        before
    );
    // The writer knows them without being told.
    vault.create(note("b")).await.unwrap();
    assert_eq!(vault.due(9, Vec::new()).await.unwrap().ready.len(), 2);
}

#[tokio::test]
async fn what_nobody_needs_any_more_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(AtomicI64::new(DAY));
    let options = Options {
        clock: {
            let clock = Arc::clone(&clock);
            Arc::new(move || ms(clock.load(Ordering::SeqCst)))
        },
        ..Options::default()
    };
    let vault = EmbeddedVault::open_with("test", &dir.path().join("v.db"), options).unwrap();
    vault.put(new("t")).await.unwrap();
    vault
        .create_all(vec![note("done"), note("dead"), note("waiting")])
        .await
        .unwrap();
    let due = vault.due(9, Vec::new()).await.unwrap().ready;
    let done = Outcome::Delivered {
        status: 200,
        reply: Reply::default(),
        remark: None,
    };
    vault.settle(&due[0].id, done.clone()).await.unwrap();
    let dead = Outcome::Dead {
        status: None,
        error: "x".into(),
    };
    vault.settle(&due[1].id, dead).await.unwrap();
    let left = async |days: i64| {
        clock.store(DAY + days * DAY + 1, Ordering::SeqCst);
        let removed = vault.prune().await.unwrap();
        let filter = DeliveryFilter {
            limit: 9,
            ..DeliveryFilter::default()
        };
        let left = vault.deliveries("t", filter).await.unwrap();
        let left: Vec<String> = left.into_iter().map(|one| one.note.to_string()).collect();
        (removed, left.join(" "))
    };
    assert_eq!(left(6).await, (0, "waiting dead done".into()));
    assert_eq!(left(7).await, (1, "waiting dead".into()));
    assert_eq!(left(29).await, (0, "waiting dead".into()));
    assert_eq!(left(30).await, (1, "waiting".into()));

    // Of many the newest stay.
    vault
        .create_all((0..1100).map(|number| note(&format!("n{number}"))).collect())
        .await
        .unwrap();
    for due in vault.due(5000, Vec::new()).await.unwrap().ready {
        vault.settle(&due.id, done.clone()).await.unwrap();
    }
    assert_eq!(vault.prune().await.unwrap(), 101);
    let filter = DeliveryFilter {
        state: Some(DeliveryState::Delivered),
        limit: 5000,
        before: None,
    };
    let kept = vault.deliveries("t", filter).await.unwrap();
    assert_eq!(
        (kept.len(), kept[0].note.as_str(), kept[999].note.as_str()),
        (1000, "n1099", "n100")
    );
}

#[tokio::test]
async fn of_too_many_that_wait_the_oldest_are_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("v.db");
    let vault = EmbeddedVault::open("test", &file).unwrap();
    vault.put(new("t")).await.unwrap();
    vault.close().await;
    // Two of the note that is first in line, and as many others as may wait.
    let conn = rusqlite::Connection::open(&file).unwrap();
    let rows = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100001) \
                INSERT INTO deliveries (id, trigger, note_id, event, state, next_at, created_at, body) \
                SELECT n, 1, iif(n < 3, 'first', n), 'created', 'waiting', iif(n = 2, NULL, 0), 0, '{}' FROM n";
    conn.execute(rows, []).unwrap();
    drop(conn);
    let vault = EmbeddedVault::open("test", &file).unwrap();
    vault.prune().await.unwrap();
    let found = vault.find("t").await.unwrap().unwrap();
    assert_eq!((found.waiting, found.dead), (100_000, 1));
    let filter = DeliveryFilter {
        state: Some(DeliveryState::Dead),
        limit: 9,
        before: None,
    };
    let dead = vault.deliveries("t", filter).await.unwrap();
    assert_eq!(dead[0].id, "1");
    assert!(
        dead[0]
            .error
            .as_ref()
            .is_some_and(|error| error.contains("more than 100000")),
        "{dead:?}"
    );
    // What stood behind it in line is due.
    let behind = vault
        .deliveries(
            "t",
            DeliveryFilter {
                before: Some(3),
                limit: 1,
                state: None,
            },
        )
        .await
        .unwrap();
    assert_eq!((&*behind[0].id, behind[0].next_at.is_some()), ("2", true));
}
