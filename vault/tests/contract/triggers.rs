//! Triggers and what they leave to deliver. A kind that has none refuses them; its cases end there.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pretty_assertions::assert_eq;
use reveille_vault::triggers::{
    Delivery, DeliveryFilter, DeliveryState, Due, Event, NewTrigger, Outcome, Reply, Secret, TriggerState, When,
};
use reveille_vault::{NewAttachment, NewFile, NewNote, Patch, Precondition, Triggers, Vault, VaultError};
use serde_json::{Value, json};

use super::{append, at_id, get, metadata, note, refused, set};

pub(super) const FORCE: Precondition = Precondition::Force;
pub(super) const BOTH: &[Event] = &[Event::Created, Event::Updated];

/// `None`: the kind has no triggers, and says so when it is asked.
pub(super) fn of(vault: &dyn Vault) -> Option<&dyn Triggers> {
    match vault.triggers() {
        Ok(triggers) => {
            assert!(vault.capabilities().triggers);
            Some(triggers)
        }
        Err(error) => {
            assert!(!vault.capabilities().triggers);
            assert!(matches!(error, VaultError::Unsupported { .. }), "{error:?}");
            None
        }
    }
}

pub(super) fn trigger(name: &str, events: &[Event], when: Value) -> NewTrigger {
    NewTrigger {
        name: name.into(),
        events: events.to_vec(),
        when: serde_json::from_value(when).unwrap(),
        webhook: "http://127.0.0.1:1/hook?secret=s".into(),
        timeout: Duration::from_secs(7),
        bearer: Some(Secret::new("b")),
        secret: Secret::new(format!("first of {name}")),
        rotate: false,
        enabled: None,
    }
}

pub(super) async fn all_due(triggers: &dyn Triggers) -> Vec<Due> {
    triggers.due(1000, Vec::new()).await.unwrap().ready
}

/// Trigger, event and note of all that is due, in the order of the answer.
pub(super) async fn told(triggers: &dyn Triggers) -> Vec<String> {
    let due = all_due(triggers).await;
    due.iter()
        .map(|due| {
            let body: Value = serde_json::from_str(&due.body).unwrap();
            let (trigger, event) = (body["trigger"].as_str().unwrap(), body["event"].as_str().unwrap());
            format!("{trigger} {event} {}", body["note"]["id"].as_str().unwrap())
        })
        .collect()
}

pub(super) fn delivered() -> Outcome {
    Outcome::Delivered {
        status: 200,
        reply: Reply::default(),
        remark: None,
    }
}

pub(super) fn failed(after: SignedDuration) -> Outcome {
    Outcome::Failed {
        status: Some(500),
        error: "it answered 500".into(),
        next_at: Timestamp::now() + after,
    }
}

pub(super) fn dead() -> Outcome {
    Outcome::Dead {
        status: None,
        error: "nobody listens".into(),
    }
}

/// Delivers everything, and what comes due by that. Answers as [`told`].
pub(super) async fn drain(triggers: &dyn Triggers) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        let some = told(triggers).await;
        if some.is_empty() {
            return all;
        }
        all.extend(some);
        for due in all_due(triggers).await {
            triggers.settle(&due.id, delivered()).await.unwrap();
        }
    }
}

pub(super) async fn listed(triggers: &dyn Triggers, name: &str, state: Option<DeliveryState>) -> Vec<Delivery> {
    let filter = DeliveryFilter {
        state,
        before: None,
        limit: 1000,
    };
    triggers.deliveries(name, filter).await.unwrap()
}

pub(crate) async fn a_trigger_is_put_found_and_removed(vault: Arc<dyn Vault>) {
    let Some(triggers) = of(&*vault) else { return };
    assert_eq!(triggers.list().await.unwrap(), []);
    let new = trigger("b", &[Event::Created], json!({"tags": ["#x"], "has_content": true}));
    let put = triggers.put(new.clone()).await.unwrap();
    assert!(put.created && put.took_secret);
    let seen = put.trigger;
    assert_eq!(
        (
            &*seen.name,
            &*seen.events,
            &*seen.webhook,
            seen.timeout,
            seen.has_bearer
        ),
        ("b", &[Event::Created][..], &*new.webhook, new.timeout, true)
    );
    let bare = When {
        tags: vec!["x".into()],
        has_content: Some(true),
        ..When::default()
    };
    assert_eq!((seen.when.clone(), seen.state), (bare, TriggerState::Enabled));
    assert_eq!(triggers.find("b").await.unwrap(), Some(seen));
    assert_eq!(triggers.find("B").await.unwrap(), None);

    // The same name is the same trigger: it keeps its secret, unless a new one is asked for.
    vault
        .create(NewNote {
            tags: vec!["x".into()],
            ..note("n")
        })
        .await
        .unwrap();
    for (rotate, secret) in [(false, "first of b"), (true, "second")] {
        let again = NewTrigger {
            bearer: None,
            secret: Secret::new("second"),
            rotate,
            ..trigger("b", BOTH, json!({}))
        };
        let put = triggers.put(again).await.unwrap();
        assert_eq!((put.created, put.took_secret, put.trigger.waiting), (false, rotate, 1));
        assert_eq!((put.trigger.has_bearer, &*put.trigger.events), (false, BOTH));
        assert_eq!(all_due(triggers).await[0].secret.expose(), secret);
    }

    triggers.put(trigger("a", BOTH, json!({}))).await.unwrap();
    let names: Vec<String> = triggers.list().await.unwrap().into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["a", "b"]);
    assert!(triggers.remove("b").await.unwrap());
    assert!(!triggers.remove("b").await.unwrap());
    assert_eq!(triggers.find("b").await.unwrap(), None);
    assert_eq!(listed(triggers, "b", None).await, []);
    vault.create(note("m")).await.unwrap();
    assert_eq!(told(triggers).await, ["a created m"]);
}

pub(crate) async fn a_trigger_that_makes_no_sense_is_refused(vault: Arc<dyn Vault>) {
    let Some(triggers) = of(&*vault) else { return };
    let long = "x".repeat(129);
    for (wrong, says) in [
        (trigger(" ", BOTH, json!({})), "no name of a trigger"),
        (trigger("a\nb", BOTH, json!({})), "no name of a trigger"),
        (trigger(&long, BOTH, json!({})), "no name of a trigger"),
        (trigger("a", &[], json!({})), "`created`, `updated` or both"),
        (trigger("a", BOTH, json!({"tags": ["x", "# "]})), "is blank"),
    ] {
        let told = refused(triggers.put(wrong).await);
        assert!(told.starts_with("Invalid(") && told.contains(says), "{told}");
    }
    for number in 0..64 {
        triggers
            .put(trigger(&format!("t{number}"), BOTH, json!({})))
            .await
            .unwrap();
    }
    let told = refused(triggers.put(trigger("one more", BOTH, json!({}))).await);
    assert!(told.contains("64 triggers"), "{told}");
    triggers.put(trigger("t0", BOTH, json!({}))).await.unwrap();
    assert_eq!(triggers.list().await.unwrap().len(), 64);
}

pub(crate) async fn writes_leave_what_triggers_ask_for(vault: Arc<dyn Vault>) {
    let Some(triggers) = of(&*vault) else { return };
    // What was written before anybody asked is told to nobody.
    vault.create(note("early")).await.unwrap();
    triggers
        .put(trigger("new", &[Event::Created], json!({})))
        .await
        .unwrap();
    triggers
        .put(trigger("edit", &[Event::Updated], json!({})))
        .await
        .unwrap();
    triggers
        .put(trigger(
            "tagged",
            BOTH,
            json!({"tags": ["x"], "missing_metadata": ["done"]}),
        ))
        .await
        .unwrap();

    vault.create_all(vec![note("a"), note("b")]).await.unwrap();
    assert_eq!(drain(triggers).await, ["new created a", "new created b"]);
    vault.upsert("p", Patch::default(), note("c")).await.unwrap();
    vault.upsert("p", append("!"), note("c")).await.unwrap();
    assert_eq!(drain(triggers).await, ["new created c", "edit updated c"]);

    let tag = Patch {
        add_tags: vec!["x".into()],
        ..Patch::default()
    };
    vault.patch(&at_id("a"), tag.clone(), FORCE).await.unwrap();
    assert_eq!(drain(triggers).await, ["edit updated a", "tagged updated a"]);
    // Nothing changed, so nothing happened.
    vault.patch(&at_id("a"), tag, FORCE).await.unwrap();
    vault.delete(&at_id("b")).await.unwrap();
    assert_eq!(drain(triggers).await, Vec::<String>::new());
    // An empty text is a value: it is there.
    vault.patch(&at_id("a"), set("done", ""), FORCE).await.unwrap();
    assert_eq!(drain(triggers).await, ["edit updated a"]);

    // A note that comes with the marks of a vault that has told of it; an edit of it is told.
    let mut known = note("moved");
    known.metadata = metadata(json!({"new_rendered_at": "2026-07-02T10:00:00.000Z", "edit_rendered_at": "x"}));
    vault.create(known).await.unwrap();
    assert_eq!(drain(triggers).await, Vec::<String>::new());
    vault.patch(&at_id("moved"), append("!"), FORCE).await.unwrap();
    assert_eq!(drain(triggers).await, ["edit updated moved"]);
    // Nothing of all this stands on the notes.
    let marks = get(&*vault, "a").await.metadata;
    assert_eq!(marks, metadata(json!({"done": ""})));
}

pub(crate) async fn a_patch_is_judged_as_a_whole(vault: Arc<dyn Vault>) {
    let Some(triggers) = of(&*vault) else { return };
    vault.create(note("a")).await.unwrap();
    let when = json!({"tags": ["x"], "has_metadata": ["agent"], "has_content": true});
    triggers.put(trigger("t", BOTH, when)).await.unwrap();
    let both = Patch {
        add_tags: vec!["x".into()],
        ..set("agent", "uni")
    };
    vault.patch(&at_id("a"), both, FORCE).await.unwrap();
    assert_eq!(drain(triggers).await, ["t updated a"]);
    let away = Patch {
        remove_tags: vec!["x".into()],
        ..append("!")
    };
    vault.patch(&at_id("a"), away, FORCE).await.unwrap();
    assert_eq!(drain(triggers).await, Vec::<String>::new());
}

pub(crate) async fn what_is_told_is_the_note_as_it_was_written(vault: Arc<dyn Vault>) {
    let Some(triggers) = of(&*vault) else { return };
    triggers.put(trigger("t", BOTH, json!({}))).await.unwrap();
    let mut upload = vault
        .files()
        .upload(NewFile {
            filename: "a.txt".into(),
            mime_type: None,
        })
        .await
        .unwrap();
    upload.write(b"hello").await.unwrap();
    let file = upload.finish().await.unwrap();
    let made = vault
        .create(NewNote {
            path: Some("p/q".into()),
            tags: vec!["b".into(), "a".into()],
            metadata: metadata(json!({"n": 1})),
            attachments: vec![NewAttachment::of(&file.path)],
            ..note("a")
        })
        .await
        .unwrap();
    let plain = vault.create(note("b")).await.unwrap();
    vault.delete(&at_id("a")).await.unwrap();

    let due = all_due(triggers).await;
    let mut bodies: Vec<Value> = due.iter().map(|due| serde_json::from_str(&due.body).unwrap()).collect();
    let attachments = bodies[0]["note"]["attachments"].take();
    let time = |at| reveille_vault::note::millis::format(at);
    let expected = json!({"trigger": "t", "event": "created", "note": {
        "id": "a", "content": "a", "path": "p/q", "tags": ["a", "b"], "metadata": {"n": 1}, "attachments": null,
        "createdAt": time(made.created_at), "updatedAt": time(made.updated_at),
    }});
    assert_eq!(bodies[0], expected);
    assert_eq!(
        (
            &attachments[0]["path"],
            &attachments[0]["filename"],
            &attachments[0]["size"],
            &attachments[1]
        ),
        (&json!(file.path), &json!("a.txt"), &json!(5), &Value::Null)
    );
    let mut expected = json!({"trigger": "t", "event": "created", "note": {
        "id": "b", "content": "b", "tags": [], "metadata": {}, "attachments": [],
        "createdAt": time(plain.created_at), "updatedAt": time(plain.updated_at),
    }});
    if let Some(path) = plain.path {
        expected["note"]["path"] = json!(path);
    }
    assert_eq!(bodies[1], expected);
    let first = &due[0];
    assert_eq!(
        (
            &*first.webhook,
            first.timeout,
            first.bearer.as_ref().map(Secret::expose),
            first.secret.expose()
        ),
        (
            "http://127.0.0.1:1/hook?secret=s",
            Duration::from_secs(7),
            Some("b"),
            "first of t"
        )
    );
}

pub(crate) async fn a_note_and_what_it_leaves_are_written_together(vault: Arc<dyn Vault>) {
    let Some(triggers) = of(&*vault) else { return };
    vault.create(note("taken")).await.unwrap();
    triggers.put(trigger("t", BOTH, json!({}))).await.unwrap();
    let seen = *triggers.wake().borrow();
    refused(vault.create_all(vec![note("a"), note("b"), note("taken")]).await);
    let missing = Patch {
        content: reveille_vault::ContentChange::Edit {
            old: "not there".into(),
            new: String::new(),
        },
        ..Patch::default()
    };
    refused(vault.patch(&at_id("taken"), missing, FORCE).await);
    assert_eq!(told(triggers).await, Vec::<String>::new());
    // Whoever waits is told after the write, not later than its writer.
    let mut wake = triggers.wake();
    wake.borrow_and_update();
    vault.create_all(vec![note("a"), note("b")]).await.unwrap();
    assert!(wake.has_changed().unwrap() && *wake.borrow() > seen);
    assert_eq!(told(triggers).await, ["t created a", "t created b"]);
}
