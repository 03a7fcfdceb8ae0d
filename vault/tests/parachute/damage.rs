//! An index that is damaged: it is made anew from what the peer has.

use std::fs;
use std::path::PathBuf;

use pretty_assertions::assert_eq;
use reveille_vault::parachute::{FirstConnect, Options};
use reveille_vault::{ParachuteVault, Vault};
use serde_json::json;

use crate::double::Version;
use crate::house::{House, changes, state};

fn open(house: &House, first_connect: FirstConnect) -> std::sync::Arc<ParachuteVault> {
    let options = Options {
        first_connect,
        ..house.options()
    };
    ParachuteVault::open("test", options).unwrap()
}

fn damage(house: &House) {
    let index = house.options().index;
    let len = fs::metadata(&index).unwrap().len();
    fs::write(index, vec![0x5a; usize::try_from(len).unwrap()]).unwrap();
}

fn aside(house: &House) -> Vec<PathBuf> {
    let names = fs::read_dir(house.dir.path()).unwrap();
    let paths = names.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.display().to_string().contains(".damaged-"))
        .collect()
}

/// An agent, a message that was answered, one that was not, both of long ago.
fn history(house: &House) {
    let agent = json!({ "id": "eng", "content": "role", "tags": ["agent/definition"] });
    house.peer.write(&agent).unwrap();
    let reply = json!({
        "id": "reply", "content": "done", "tags": ["agent/message", "agent/message/outbound"],
        "metadata": { "in_reply_to": "answered", "direction": "outbound" }
    });
    house.peer.write(&reply).unwrap();
    for id in ["answered", "untouched"] {
        house.message(id, &json!({}));
        house
            .peer
            .tamper(id, |note| note.created_at = "2026-01-02T03:04:05.006Z".into());
    }
}

#[tokio::test]
async fn a_damaged_index_is_made_anew_and_what_was_dealt_with_stays_so() {
    for (rule, before, after) in [
        (FirstConnect::Pending, 2, &["eng", "untouched", "meanwhile"][..]),
        (FirstConnect::All, 3, &["eng", "answered", "untouched", "meanwhile"]),
        // Nobody wanted those of long ago, and nobody has looked since the damage.
        (FirstConnect::None, 1, &["eng", "meanwhile"]),
    ] {
        let house = House::new(Version::May);
        history(&house);
        let vault = open(&house, rule);
        vault.look(None).await.unwrap();
        assert_eq!(changes(&*vault, before).await.len(), before, "{rule:?}");
        let newest = *vault.watch().borrow();
        vault.close().await;
        damage(&house);
        house.message("meanwhile", &json!({}));

        let vault = open(&house, rule);
        state(&*vault, "ready").await;
        let log = changes(&*vault, after.len()).await;
        let told: Vec<_> = log.iter().map(|change| change.id.as_str()).collect();
        let mut sorted = told.clone();
        sorted.sort_unstable();
        let mut expected = after.to_vec();
        expected.sort_unstable();
        assert_eq!(sorted, expected, "{rule:?}");
        // The cursors of the lost log are not those of other changes.
        assert!(log.iter().all(|change| change.cursor > newest), "{rule:?}");
        assert!(!aside(&house).is_empty());
        vault.look(None).await.unwrap();
        assert_eq!(vault.changes(0, 100).await.unwrap().len(), after.len(), "{rule:?}");
    }
}

#[tokio::test]
async fn an_index_that_is_gone_does_not_begin_its_log_where_the_old_one_did() {
    let house = House::new(Version::May);
    history(&house);
    let vault = open(&house, FirstConnect::Pending);
    changes(&*vault, 2).await;
    let newest = *vault.watch().borrow();
    vault.close().await;
    for part in ["", "-wal", "-shm"] {
        let file = PathBuf::from(format!("{}{part}", house.options().index.display()));
        if file.exists() {
            fs::remove_file(file).unwrap();
        }
    }
    let vault = open(&house, FirstConnect::Pending);
    let log = changes(&*vault, 2).await;
    assert!(log.iter().all(|change| change.cursor > newest), "{newest} {log:?}");
}
