//! A server that is down, slow, wrong, or loses its answers.

use std::time::Duration;

use pretty_assertions::assert_eq;
use reveille_vault::parachute::{Options, Token};
use reveille_vault::{NewNote, ParachuteVault, Precondition, Query, Vault, VaultError, VaultState};
use serde_json::json;

use crate::contract::{append, at_id, get, id, ids, note, set};
use crate::double::{TOKEN, Version};
use crate::house::{House, changes, state};

const FORCE: Precondition = Precondition::Force;

fn unavailable<T: std::fmt::Debug>(outcome: Result<T, VaultError>) -> String {
    match outcome {
        Err(VaultError::Unavailable { vault, reason }) => {
            assert_eq!(vault, "test");
            assert!(!reason.contains(TOKEN), "{reason}");
            reason
        }
        other => panic!("{other:?}"),
    }
}

fn definitions() -> Query {
    Query {
        tags: vec!["#agent/definition".into()],
        ..Query::default()
    }
}

#[tokio::test]
async fn a_dead_server_keeps_nobody_from_opening_and_what_was_known_goes_on() {
    let house = House::new(Version::May);
    house
        .peer
        .write(&json!({ "id": "eng", "content": "role", "tags": ["agent/definition"] }))
        .unwrap();
    let vault = house.open();
    changes(&*vault, 1).await;
    assert_eq!(state(&*vault, "ready").await, VaultState::Ready);
    vault.close().await;
    house.peer.kill();

    let vault = house.open();
    assert!(unavailable(vault.get(&at_id("eng")).await).contains("cannot be reached"));
    assert!(unavailable(vault.create(note("n")).await).contains("cannot be reached"));
    assert!(unavailable(vault.look(None).await).contains("cannot be reached"));
    assert_eq!(ids(&vault.query(&definitions()).await.unwrap().notes), ["eng"]);
    unavailable(vault.query(&Query::default()).await);
    let VaultState::Unavailable { reason, .. } = state(&*vault, "unavailable").await else {
        panic!("{:?}", vault.state())
    };
    assert!(
        reason.contains("cannot be reached") && !reason.contains(TOKEN),
        "{reason}"
    );

    house.message("meanwhile", &json!({}));
    house.peer.restart().await.unwrap();
    state(&*vault, "ready").await;
    assert_eq!(changes(&*vault, 2).await[1].id.as_str(), "meanwhile");
    vault.create(note("n")).await.unwrap();
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_done_once() {
    for version in [Version::May, Version::July] {
        let house = House::new(version);
        let vault = house.open();
        vault.look(None).await.unwrap();
        let lose = || house.peer.set_faults(|faults| faults.lose_answers = 1);
        lose();
        assert_eq!(vault.create(note("n")).await.unwrap(), get(&*vault, "n").await);
        lose();
        assert_eq!(
            vault.patch(&at_id("n"), append("!"), FORCE).await.unwrap().content,
            "n!"
        );
        lose();
        vault.upsert("T/a", append("+"), NewNote::default()).await.unwrap();
        lose();
        vault.upsert("T/a", append("+"), NewNote::default()).await.unwrap();
        assert_eq!(house.peer.note("T/a").unwrap().content, "+");
        lose();
        assert_eq!(vault.delete(&at_id("n")).await.unwrap(), id("n"));
        assert_eq!(house.peer.notes().len(), 1);
        assert_eq!(vault.changes(0, 10).await.unwrap().len(), 5);
    }
}

#[tokio::test]
async fn a_write_that_was_not_done_is_told_and_can_be_repeated() {
    let house = House::new(Version::May);
    let vault = house.open();
    vault.look(None).await.unwrap();
    let refuse = |times| house.peer.set_faults(|faults| faults.refuse_writes = times);
    refuse(1);
    assert!(unavailable(vault.create(note("n")).await).contains("500"));
    assert_eq!(house.peer.note("n"), None);
    vault.create(note("n")).await.unwrap();
    // A change is tried again by itself: it names the state that it is for.
    refuse(1);
    assert_eq!(
        vault.patch(&at_id("n"), append("!"), FORCE).await.unwrap().content,
        "n!"
    );
    refuse(1);
    unavailable(vault.delete(&at_id("n")).await);
    vault.delete(&at_id("n")).await.unwrap();
}

#[tokio::test]
async fn nothing_counts_as_gone_because_of_a_wrong_answer() {
    let house = House::new(Version::May);
    house
        .peer
        .write(&json!({ "id": "eng", "content": "role", "tags": ["agent/definition"] }))
        .unwrap();
    let vault = house.open();
    changes(&*vault, 1).await;
    let mut reasons = Vec::new();
    for (status, garble, cut, expected) in [
        (Some(404), 0, 0, ""),
        (Some(500), 0, 0, "500"),
        (Some(502), 0, 0, "502"),
        (None, 1000, 0, "no JSON"),
        (None, 0, 1000, "broke"),
    ] {
        house.peer.set_faults(|faults| {
            faults.status = status;
            faults.garble = garble;
            faults.cut_bodies = cut;
        });
        let reason = unavailable(vault.look(None).await);
        assert!(reason.contains(expected), "{reason}");
        reasons.push(reason);
        house
            .peer
            .set_faults(|faults| *faults = crate::double::Faults::default());
        state(&*vault, "ready").await;
    }
    vault.look(None).await.unwrap();
    assert_eq!(vault.changes(0, 10).await.unwrap().len(), 1, "{reasons:?}");
}

#[tokio::test]
async fn a_refused_token_is_told_with_the_mend_and_a_good_one_works_at_once() {
    let house = House::new(Version::May);
    let vault = house.open();
    state(&*vault, "ready").await;
    for (status, mend) in [(401, "make a new one"), (403, "vault:write")] {
        house.peer.set_faults(|faults| faults.status = Some(status));
        let VaultState::Unavailable { reason, .. } = state(&*vault, "unavailable").await else {
            panic!("{:?}", vault.state())
        };
        assert!(reason.contains(mend) && !reason.contains(TOKEN), "{reason}");
        house.peer.set_faults(|faults| faults.status = None);
        state(&*vault, "ready").await;
    }
    let other = Options {
        vault: "other".into(),
        index: house.dir.path().join("other.db"),
        ..house.options()
    };
    let vault = ParachuteVault::open("test", other).unwrap();
    assert!(unavailable(vault.look(None).await).contains("no vault of that name"));
}

#[tokio::test]
async fn a_token_that_was_renewed_is_read_again() {
    let house = House::new(Version::May);
    let file = house.dir.path().join("token");
    std::fs::write(&file, "pvt_old").unwrap();
    let options = Options {
        token: Token::read_by({
            let file = file.clone();
            move || Ok(Some(std::fs::read_to_string(&file).unwrap()))
        }),
        ..house.options()
    };
    let vault = ParachuteVault::open("test", options).unwrap();
    state(&*vault, "unavailable").await;
    std::fs::write(&file, TOKEN).unwrap();
    state(&*vault, "ready").await;
}

#[tokio::test]
async fn a_slow_server_costs_a_bounded_time() {
    let house = House::new(Version::May);
    let options = Options {
        timeout: Duration::from_millis(100),
        ..house.options()
    };
    let vault = ParachuteVault::open("test", options).unwrap();
    vault.look(None).await.unwrap();
    house.peer.set_faults(|faults| faults.delay = Duration::from_secs(3600));
    for _ in 0..3 {
        assert!(unavailable(vault.get(&at_id("n")).await).contains("within"));
    }
    // From now on nobody waits at all.
    house.peer.take_log();
    unavailable(vault.patch(&at_id("n"), set("k", "v"), FORCE).await);
    unavailable(vault.upsert("p", append("x"), note("n")).await);
    assert!(house.peer.take_log().len() <= 1);
    house.peer.set_faults(|faults| faults.delay = Duration::ZERO);
    state(&*vault, "ready").await;
}

#[tokio::test]
async fn addresses_and_tokens_that_can_be_none_are_refused_at_once() {
    let house = House::new(Version::May);
    for (url, vault) in [
        ("127.0.0.1:1940", "default"),
        ("ftp://127.0.0.1", "default"),
        ("http://user:secret@127.0.0.1", "default"),
        ("http://127.0.0.1/?key=secret", "default"),
        ("http://127.0.0.1", "a/b"),
        ("http://127.0.0.1", ""),
    ] {
        let options = Options {
            url: url.into(),
            vault: vault.into(),
            ..house.options()
        };
        assert!(!format!("{options:?}").contains(TOKEN));
        let error = ParachuteVault::open("test", options).map(|_| ()).unwrap_err();
        let text = error.to_string();
        assert!(
            matches!(error, VaultError::Invalid(_)) && !text.contains("secret"),
            "{text}"
        );
    }
    for token in [
        Token::fixed("se\ncret"),
        Token::read_by(|| Err("/run/token is empty".into())),
    ] {
        let options = Options {
            token,
            index: house.dir.path().join("index2.db"),
            ..house.options()
        };
        let vault = ParachuteVault::open("test", options).unwrap();
        let reason = unavailable(vault.get(&at_id("n")).await);
        assert!(
            reason.contains("token of the vault cannot be used") && !reason.contains("secret"),
            "{reason}"
        );
    }
    // The kind of address that most have, with a certificate that is asked for: nobody answers, and that is told.
    let secure = Options {
        url: house.peer.url().replace("http:", "https:"),
        ..house.options()
    };
    let vault = ParachuteVault::open("test", secure).unwrap();
    assert!(unavailable(vault.get(&at_id("n")).await).contains("cannot be reached"));
}
