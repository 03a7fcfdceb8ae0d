//! A server, a directory, and a vault over both.

use std::sync::Arc;
use std::time::Duration;

use reveille_vault::parachute::{Options, Token};
use reveille_vault::{Change, ParachuteVault, Vault, VaultState};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::contract::{DEADLINE, Subject};
use crate::double::{Parachute, TOKEN, VAULT, Version};

/// A server and the place of an index.
pub(crate) struct House {
    pub(crate) peer: Parachute,
    pub(crate) dir: TempDir,
}

impl House {
    pub(crate) fn new(version: Version) -> Self {
        Self {
            peer: Parachute::start(version).unwrap(),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// Options that scan all the time.
    pub(crate) fn options(&self) -> Options {
        Options {
            poll: Duration::from_millis(20),
            timeout: Duration::from_secs(5),
            ..Options::new(
                self.peer.url(),
                VAULT,
                Token::fixed(TOKEN),
                self.dir.path().join("index.db"),
            )
        }
    }

    pub(crate) fn open(&self) -> Arc<ParachuteVault> {
        ParachuteVault::open("test", self.options()).unwrap()
    }

    /// A message as a client of the server writes it.
    pub(crate) fn message(&self, id: &str, fields: &Value) {
        let mut note = json!({
            "id": id, "content": id, "tags": ["agent/message", "agent/message/inbound"], "metadata": { "agent": "eng" }
        });
        for (key, value) in fields.as_object().unwrap() {
            note[key] = value.clone();
        }
        self.peer.write(&note).unwrap();
    }
}

pub(crate) fn subject(version: Version) -> Subject {
    let house = House::new(version);
    Subject {
        vault: house.open(),
        _keep: Box::new(house),
    }
}

/// Waits until the change log has `count` rows, and gives them.
pub(crate) async fn changes(vault: &dyn Vault, count: usize) -> Vec<Change> {
    let mut watch = vault.watch();
    let all = async {
        loop {
            watch.borrow_and_update();
            let log = vault.changes(0, 10_000).await.unwrap();
            if log.len() >= count {
                return log;
            }
            watch.changed().await.unwrap();
        }
    };
    let came = tokio::time::timeout(DEADLINE, all).await;
    came.unwrap_or_else(|_| panic!("{count} changes do not come"))
}

/// Waits until the vault stands so, by the word of its state.
pub(crate) async fn state(vault: &dyn Vault, word: &str) -> VaultState {
    let there = async {
        loop {
            let state = vault.state();
            if json!(state)["state"] == word {
                return state;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, there)
        .await
        .unwrap_or_else(|_| panic!("it is not {word}: {:?}", vault.state()))
}
