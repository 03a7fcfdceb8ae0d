//! What a vault tells its triggers' receivers, in which order, and what becomes of their answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use pretty_assertions::assert_eq;
use reveille_vault::triggers::{DeliveryState, Due, Event, NewTrigger, Outcome, Reply, TriggerState};
use reveille_vault::{NewAttachment, NewFile, NewNote, Vault};
use serde_json::json;

use super::triggers::{BOTH, FORCE, all_due, dead, delivered, drain, failed, listed, of, told, trigger};
use super::{append, at_id, get, metadata, note};

pub(crate) async fn deliveries_of_a_note_go_in_their_order(vault: Arc<dyn Vault>) {
    let Some(triggers) = of(&*vault) else { return };
    triggers.put(trigger("t", BOTH, json!({}))).await.unwrap();
    triggers.put(trigger("u", &[Event::Updated], json!({}))).await.unwrap();
    vault.create_all(vec![note("a"), note("b")]).await.unwrap();
    for _ in 0..2 {
        vault.patch(&at_id("a"), append("!"), FORCE).await.unwrap();
    }
    // Only the first of each note and trigger; a second trigger has a line of its own.
    assert_eq!(told(triggers).await, ["t created a", "t created b", "u updated a"]);
    let first = &all_due(triggers).await[0];
    triggers
        .settle(&first.id, failed(SignedDuration::from_hours(1)))
        .await
        .unwrap();
    assert_eq!(told(triggers).await, ["t created b", "u updated a"]);
    let next = triggers.due(9, Vec::new()).await.unwrap().next.unwrap();
    assert!(next > Timestamp::now() + SignedDuration::from_mins(59), "{next}");
    // One that is given up does not hold the others for ever.
    triggers.settle(&first.id, dead()).await.unwrap();
    assert_eq!(told(triggers).await, ["t created b", "t updated a", "u updated a"]);
    let texts: Vec<String> = listed(triggers, "t", None)
        .await
        .iter()
        .map(|one| format!("{} {:?}", one.note, one.event))
        .collect();
    assert_eq!(texts, ["a Updated", "a Updated", "b Created", "a Created"]);
    assert_eq!(drain(triggers).await.len(), 5);
    // What waits for nothing is told of nothing.
    assert_eq!(triggers.due(9, Vec::new()).await.unwrap().next, None);
}

pub(crate) async fn a_receiver_gets_no_more_at_once_than_it_has_lanes(vault: Arc<dyn Vault>) {
    let Some(triggers) = of(&*vault) else { return };
    for name in ["t", "u"] {
        triggers.put(trigger(name, BOTH, json!({}))).await.unwrap();
    }
    let names: Vec<NewNote> = (0..9).map(|number| note(&number.to_string())).collect();
    vault.create_all(names).await.unwrap();
    let mut busy = Vec::new();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..5 {
        for due in triggers.due(3, busy.clone()).await.unwrap().ready {
            assert!(!busy.iter().any(|(id, _)| *id == due.id), "given twice");
            *counts.entry(due.trigger.clone()).or_default() += 1;
            busy.push((due.id, due.trigger));
        }
        // One of `t` comes back with another time; those of `u` stay away.
        let back = busy.iter().position(|(_, of)| of == "t").unwrap();
        let (id, _) = busy.remove(back);
        triggers
            .settle(&id, failed(SignedDuration::from_hours(1)))
            .await
            .unwrap();
    }
    assert_eq!(counts, BTreeMap::from([("t".into(), 7), ("u".into(), 3)]));
}

pub(crate) async fn what_failed_is_due_later_and_what_was_given_up_can_be_driven_again(vault: Arc<dyn Vault>) {
    let Some(triggers) = of(&*vault) else { return };
    triggers.put(trigger("t", BOTH, json!({}))).await.unwrap();
    vault.create_all(vec![note("a"), note("b")]).await.unwrap();
    let due = all_due(triggers).await;
    triggers.settle(&due[0].id, failed(SignedDuration::ZERO)).await.unwrap();
    let again = all_due(triggers)
        .await
        .into_iter()
        .find(|one| one.id == due[0].id)
        .unwrap();
    assert_eq!((again.attempts, &again.body), (1, &due[0].body));
    triggers
        .settle(&due[0].id, failed(SignedDuration::from_hours(1)))
        .await
        .unwrap();
    triggers.settle(&due[1].id, dead()).await.unwrap();
    assert_eq!(told(triggers).await, Vec::<String>::new());
    let waiting = &listed(triggers, "t", Some(DeliveryState::Waiting)).await[0];
    assert_eq!(
        (
            waiting.note.as_str(),
            waiting.attempts,
            waiting.status,
            waiting.error.as_deref()
        ),
        ("a", 2, Some(500), Some("it answered 500"))
    );
    let given_up = &listed(triggers, "t", Some(DeliveryState::Dead)).await[0];
    assert_eq!(
        (
            given_up.note.as_str(),
            given_up.attempts,
            given_up.status,
            given_up.next_at
        ),
        ("b", 1, None, None)
    );
    assert!(given_up.settled_at.is_some());
    let found = triggers.find("t").await.unwrap().unwrap();
    assert_eq!((found.waiting, found.dead, triggers.dead().await.unwrap()), (1, 1, 1));

    let mut wake = triggers.wake();
    wake.borrow_and_update();
    let only = Some(vec![due[1].id.clone(), "unknown".into()]);
    assert_eq!(triggers.redrive("t", only).await.unwrap(), 1);
    assert!(wake.has_changed().unwrap());
    assert_eq!(told(triggers).await, ["t created b"]);
    assert_eq!(triggers.redrive("t", None).await.unwrap(), 2);
    assert_eq!(told(triggers).await, ["t created a", "t created b"]);
    let again = &all_due(triggers).await[0];
    assert_eq!((again.attempts, &again.body), (0, &due[0].body));
    drain(triggers).await;
    // What its receiver has is not told again.
    assert_eq!(triggers.redrive("t", None).await.unwrap(), 0);
    assert_eq!(triggers.redrive("unknown", None).await.unwrap(), 0);

    // One that comes back goes before those that were written after it.
    vault.patch(&at_id("a"), append("1"), FORCE).await.unwrap();
    vault.patch(&at_id("a"), append("2"), FORCE).await.unwrap();
    let first = all_due(triggers).await.remove(0);
    triggers.settle(&first.id, dead()).await.unwrap();
    let second = all_due(triggers).await.remove(0);
    triggers.settle(&second.id, failed(SignedDuration::ZERO)).await.unwrap();
    triggers.redrive("t", None).await.unwrap();
    let ids = |due: Vec<Due>| due.into_iter().map(|one| one.id).collect::<Vec<_>>();
    assert_eq!(ids(all_due(triggers).await), [&*first.id]);
    triggers.settle(&first.id, delivered()).await.unwrap();
    assert_eq!(ids(all_due(triggers).await), [second.id]);
}

pub(crate) async fn a_reply_is_written_and_fires_nothing(vault: Arc<dyn Vault>) {
    let Some(triggers) = of(&*vault) else { return };
    triggers.put(trigger("t", BOTH, json!({}))).await.unwrap();
    triggers.put(trigger("u", &[Event::Updated], json!({}))).await.unwrap();
    let mut upload = vault.files().upload(NewFile::default()).await.unwrap();
    upload.write(b"x").await.unwrap();
    let file = upload.finish().await.unwrap();
    vault
        .create(NewNote {
            metadata: metadata(json!({"mine": 1})),
            ..note("a")
        })
        .await
        .unwrap();
    let due = all_due(triggers).await.remove(0);
    let newest = *vault.watch().borrow();
    let outcome = Outcome::Delivered {
        status: 202,
        reply: Reply {
            content: Some("rendered".into()),
            metadata: metadata(json!({"theirs": 2})),
            attachments: vec![NewAttachment::of(&file.path)],
        },
        remark: Some("skipped: nothing to do".into()),
    };
    triggers.settle(&due.id, outcome.clone()).await.unwrap();
    let seen = get(&*vault, "a").await;
    assert_eq!(
        (&*seen.content, &seen.metadata),
        ("rendered", &metadata(json!({"mine": 1, "theirs": 2})))
    );
    assert_eq!(vault.files().attachments(&at_id("a")).await.unwrap().len(), 1);
    // It is a change like any other, but nobody is told by a trigger.
    assert_eq!(vault.changes(newest, 10).await.unwrap().len(), 1);
    assert_eq!(told(triggers).await, Vec::<String>::new());
    let done = &listed(triggers, "t", Some(DeliveryState::Delivered)).await[0];
    assert_eq!(
        (
            done.attempts,
            done.status,
            done.remark.as_deref(),
            done.error.as_deref()
        ),
        (1, Some(202), Some("skipped: nothing to do"), None)
    );
    // The same outcome a second time is passed over.
    triggers.settle(&due.id, outcome).await.unwrap();
    assert_eq!(vault.files().attachments(&at_id("a")).await.unwrap().len(), 1);
    vault.patch(&at_id("a"), append("!"), FORCE).await.unwrap();
    assert_eq!(told(triggers).await, ["t updated a", "u updated a"]);
}

pub(crate) async fn a_reply_that_the_note_does_not_take_changes_nothing(vault: Arc<dyn Vault>) {
    let Some(triggers) = of(&*vault) else { return };
    triggers.put(trigger("t", BOTH, json!({}))).await.unwrap();
    vault.create_all(vec![note("a"), note("b")]).await.unwrap();
    let due = all_due(triggers).await;
    let before = get(&*vault, "a").await;
    let reply = |content: &str| Outcome::Delivered {
        status: 200,
        reply: Reply {
            content: Some(content.into()),
            attachments: vec![NewAttachment::of("no/such.file")],
            ..Reply::default()
        },
        remark: None,
    };
    triggers.settle(&due[0].id, reply("new")).await.unwrap();
    assert_eq!(get(&*vault, "a").await, before);
    vault.delete(&at_id("b")).await.unwrap();
    triggers.settle(&due[1].id, reply("new")).await.unwrap();
    let remarks: Vec<String> = listed(triggers, "t", Some(DeliveryState::Delivered))
        .await
        .into_iter()
        .filter_map(|one| one.remark)
        .collect();
    assert_eq!(
        remarks,
        [
            "what it asked to be written was not: no note \"b\"",
            "what it asked to be written was not: no file is stored under \"no/such.file\"; upload it first"
        ]
    );
}

pub(crate) async fn a_receiver_that_is_gone_is_asked_for_nothing(vault: Arc<dyn Vault>) {
    let Some(triggers) = of(&*vault) else { return };
    let new = trigger("t", BOTH, json!({}));
    triggers.put(new.clone()).await.unwrap();
    triggers.put(trigger("u", BOTH, json!({}))).await.unwrap();
    vault.create_all(vec![note("a"), note("b")]).await.unwrap();
    let due = all_due(triggers).await;
    let gone = Outcome::Gone {
        status: 410,
        error: "it is gone".into(),
    };
    triggers.settle(&due[0].id, gone).await.unwrap();
    assert_eq!(told(triggers).await, ["u created a", "u created b"]);
    let found = triggers.find("t").await.unwrap().unwrap();
    assert_eq!((found.state, found.waiting, found.dead), (TriggerState::Gone, 0, 2));
    let given_up: Vec<_> = listed(triggers, "t", None)
        .await
        .into_iter()
        .map(|one| (one.attempts, one.status, one.error))
        .collect();
    let why = Some("it is gone".to_owned());
    assert_eq!(given_up, [(0, None, why.clone()), (1, Some(410), why)]);
    // One that was under way and got there all the same has got there.
    triggers.settle(&due[1].id, delivered()).await.unwrap();
    assert_eq!(triggers.find("t").await.unwrap().unwrap().dead, 1);
    vault.create(note("c")).await.unwrap();
    assert_eq!(drain(triggers).await, ["u created a", "u created b", "u created c"]);
    // Who registers it again wants it.
    assert_eq!(triggers.put(new).await.unwrap().trigger.state, TriggerState::Enabled);
    vault.create(note("d")).await.unwrap();
    triggers.redrive("t", None).await.unwrap();
    let mut left = drain(triggers).await;
    left.sort_unstable();
    assert_eq!(left, ["t created a", "t created d", "u created d"]);
}

pub(crate) async fn a_paused_trigger_holds_what_waits(vault: Arc<dyn Vault>) {
    let Some(triggers) = of(&*vault) else { return };
    let new = trigger("t", BOTH, json!({}));
    triggers.put(new.clone()).await.unwrap();
    vault.create(note("a")).await.unwrap();
    let paused = triggers.enable("t", false).await.unwrap().unwrap();
    assert_eq!(paused.state, TriggerState::Paused);
    vault.create(note("b")).await.unwrap();
    // Who registers it again does not know of the pause.
    assert_eq!(
        triggers.put(new.clone()).await.unwrap().trigger.state,
        TriggerState::Paused
    );
    assert_eq!(told(triggers).await, Vec::<String>::new());
    assert_eq!(triggers.find("t").await.unwrap().unwrap().waiting, 2);
    let mut wake = triggers.wake();
    wake.borrow_and_update();
    assert_eq!(
        triggers.enable("t", true).await.unwrap().unwrap().state,
        TriggerState::Enabled
    );
    assert!(wake.has_changed().unwrap());
    assert_eq!(drain(triggers).await, ["t created a", "t created b"]);
    assert_eq!(triggers.enable("unknown", true).await.unwrap(), None);
    let off = NewTrigger {
        enabled: Some(false),
        ..new
    };
    assert_eq!(triggers.put(off).await.unwrap().trigger.state, TriggerState::Paused);
}
