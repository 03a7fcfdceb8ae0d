//! The first connection to a vault that has a history.

use pretty_assertions::assert_eq;
use reveille_vault::parachute::{FirstConnect, Options};
use reveille_vault::{ParachuteVault, Precondition, Query, Vault};
use serde_json::json;

use crate::contract::{at_id, set};
use crate::double::Version;
use crate::house::{House, changes};

/// A vault in which an older daemon has worked, up to the moment when its machine died.
fn history(house: &House) {
    house
        .peer
        .write(&json!({ "id": "eng", "content": "role", "tags": ["agent/definition"] }))
        .unwrap();
    house.message("answered", &json!({}));
    let reply = json!({
        "id": "reply", "content": "done", "tags": ["agent/message", "agent/message/outbound"],
        "metadata": { "in_reply_to": "answered", "direction": "outbound" }
    });
    house.peer.write(&reply).unwrap();
    for (id, key, value) in [
        ("handled", "status", "handled"),
        ("rendered", "channel_inbound_rendered_at", "2026-07-02T10:00:00.000Z"),
        ("pending", "channel_inbound_pending_at", "2026-07-02T10:00:00.000Z"),
        ("in-flight", "status", "in-flight"),
        // The outcome that a callback reports, and no word about the message.
        ("callback", "status", "ok"),
        ("untouched", "sender", "operator"),
    ] {
        house.message(id, &json!({ "metadata": { "agent": "eng", key: value } }));
    }
}

async fn told(vault: &dyn Vault) -> Vec<String> {
    vault.look(None).await.unwrap();
    let log = vault.changes(0, 100).await.unwrap();
    log.iter().map(|change| change.id.to_string()).collect()
}

fn open(house: &House, first_connect: FirstConnect) -> std::sync::Arc<ParachuteVault> {
    let options = Options {
        first_connect,
        ..house.options()
    };
    ParachuteVault::open("test", options).unwrap()
}

#[tokio::test]
async fn messages_that_nobody_has_dealt_with_run_and_others_do_not() {
    const PENDING: [&str; 5] = ["eng", "pending", "in-flight", "callback", "untouched"];
    for (rule, expected) in [
        (FirstConnect::Pending, &PENDING[..]),
        (
            FirstConnect::All,
            &[
                "eng",
                "answered",
                "handled",
                "rendered",
                "pending",
                "in-flight",
                "callback",
                "untouched",
            ],
        ),
        (FirstConnect::None, &["eng"]),
    ] {
        let house = House::new(Version::May);
        history(&house);
        let vault = open(&house, rule);
        assert_eq!(told(&*vault).await, expected, "{rule:?}");
        // What comes later runs under every rule.
        house.message(
            "later",
            &json!({ "metadata": { "agent": "eng", "x_rendered_at": "now" } }),
        );
        assert_eq!(
            changes(&*vault, expected.len() + 1).await.last().unwrap().id.as_str(),
            "later"
        );
        vault.close().await;
        // And the next start judges nothing anew.
        let vault = open(&house, FirstConnect::All);
        assert_eq!(told(&*vault).await.len(), expected.len() + 1, "{rule:?}");
    }
}

#[tokio::test]
async fn an_old_message_stays_old_when_it_is_changed_unless_its_mark_is_taken_away() {
    let house = House::new(Version::May);
    history(&house);
    let vault = open(&house, FirstConnect::Pending);
    let before = told(&*vault).await.len();
    for id in ["answered", "handled"] {
        vault
            .patch(&at_id(id), set("note", "to self"), Precondition::Force)
            .await
            .unwrap();
        house.peer.tamper(id, |note| note.content.push_str(", edited"));
    }
    assert_eq!(told(&*vault).await.len(), before);
    // Not through this door: the server clears it, as one does to have a message delivered again.
    house.peer.tamper("rendered", |note| {
        note.metadata.insert("channel_inbound_rendered_at".into(), "".into());
        note.created_at = jiff::Timestamp::now().to_string();
        note.content.push('!');
    });
    vault
        .patch(&at_id("handled"), set("status", "pending"), Precondition::Force)
        .await
        .unwrap();
    let mut told = told(&*vault).await.split_off(before);
    told.sort_unstable();
    assert_eq!(told, ["handled", "rendered"]);
}

#[tokio::test]
async fn a_first_connection_that_breaks_off_is_taken_up_again() {
    let house = House::new(Version::May);
    history(&house);
    for number in 0..450 {
        let fields = json!({ "metadata": { "agent": "eng", "x_rendered_at": "now" } });
        house.message(&format!("old{number:03}"), &fields);
    }
    // Each life ends in the middle of a listing or of a note.
    for life in 1..=6 {
        let vault = open(&house, FirstConnect::Pending);
        tokio::time::sleep(std::time::Duration::from_millis(30 * life)).await;
        vault.close().await;
    }
    let vault = open(&house, FirstConnect::Pending);
    assert_eq!(
        told(&*vault).await,
        ["eng", "pending", "in-flight", "callback", "untouched"]
    );
}

#[tokio::test]
async fn a_note_that_cannot_be_addressed_ends_no_listing() {
    let house = House::new(Version::May);
    // An identity with a slash, which no address can name.
    let reply = |id: &str, to: &str| {
        json!({ "id": id, "content": "done", "tags": ["agent/message", "agent/message/outbound"],
                "metadata": { "in_reply_to": to } })
    };
    house.peer.write(&reply("odd/one", "nothing")).unwrap();
    for number in 0..230 {
        let name = format!("m{number:03}");
        house.message(&name, &json!({}));
        house.peer.write(&reply(&format!("to-{name}"), &name)).unwrap();
    }
    let vault = open(&house, FirstConnect::Pending);
    assert_eq!(told(&*vault).await, Vec::<String>::new());

    let mut query = Query {
        tags: vec!["agent/message/outbound".into()],
        limit: Some(5),
        ..Query::default()
    };
    let mut count = 0;
    loop {
        let page = vault.query(&query).await.unwrap();
        count += page.notes.len();
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    assert_eq!(count, 230);
}
