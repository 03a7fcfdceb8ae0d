use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use pretty_assertions::assert_eq;
use reveille_vault::{Key, Metadata, NewNote, Patch, Precondition, Vault};
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::config;
use crate::delegation::Origin;
use crate::grants::state::Job;
use crate::grants::{Asking, GrantError, Material};
use crate::registry::Discovery;

/// A peer that never answers.
#[derive(Default)]
struct Deaf {
    asked: AtomicUsize,
}

impl Deaf {
    async fn hang<T>(&self) -> Result<T, GrantError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        std::future::pending().await
    }
}

#[async_trait]
impl GrantBackend for Deaf {
    fn kind(&self) -> &'static str {
        "hub"
    }

    async fn register(&self, _: &str, _: &Want) -> Result<Grant, GrantError> {
        self.hang().await
    }

    async fn list(&self, _: &str) -> Result<Vec<Grant>, GrantError> {
        self.hang().await
    }

    async fn material(&self, _: &Grant) -> Result<Option<Material>, GrantError> {
        self.hang().await
    }

    async fn reconcile(&self, _: &str, _: &[Want]) -> Result<u64, GrantError> {
        self.hang().await
    }
}

struct House {
    dir: tempfile::TempDir,
    vaults: Vaults,
    registry: Registry,
    grants: Grants,
}

async fn house(backend: Option<Arc<Deaf>>) -> House {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("vaults")).unwrap();
    let vaults = Vaults::open(&config::Vaults::default(), dir.path()).await.unwrap();
    let registry = Registry::new(&vaults.names(), Discovery::Definitions);
    let store = Store::open(&dir.path().join("grants.db")).unwrap();
    let local = Local::new(store.clone(), |_| false);
    let (backend, local): (Arc<dyn GrantBackend>, _) = match backend {
        Some(deaf) => (deaf, None),
        None => (Arc::new(local.clone()), Some(local)),
    };
    let grants = Grants::new(Options {
        backend,
        local,
        store,
        registry: registry.clone(),
        vaults: vaults.clone(),
        progress: Progress::default(),
        tokens: Tokens::open(&dir.path().join("tokens.db")).unwrap(),
    });
    House {
        dir,
        vaults,
        registry,
        grants: grants.unwrap(),
    }
}

fn wants(list: &str) -> Vec<Want> {
    Want::parse_list(&json!(list)).unwrap()
}

fn note(tag: &str, path: &str, metadata: serde_json::Value) -> NewNote {
    NewNote {
        path: Some(path.into()),
        tags: vec![tag.into()],
        metadata: serde_json::from_value::<Metadata>(metadata).unwrap(),
        ..NewNote::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_hangs_is_asked_once_and_again_later() {
    let deaf = Arc::new(Deaf::default());
    let job = Job {
        holder: "eng".into(),
        wants: wants("env:a, env:b"),
        only_look: false,
    };
    let done = ask(deaf.clone(), job).await;
    assert_eq!((done.answers.len(), done.complete), (1, false));
    assert!(matches!(done.answers[0], Err(GrantError::Unavailable(_))));
    assert_eq!(deaf.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn r_grant_31_a_turn_does_not_wait_for_a_peer_that_hangs() {
    let house = house(Some(Arc::default())).await;
    let origin = Origin {
        turn: Uuid::from_u128(7),
        agent: "eng".into(),
        vault: "default".into(),
        chain: "c1".into(),
        depth: 0,
        defines_agents: true,
        guard: crate::trust::Guard::default(),
    };
    let asking = |holder: &str, list: &str| Asking {
        holder: holder.into(),
        wants: wants(list),
        trusted: true,
    };
    let all = vec![
        asking("eng", "env:a, env:b"),
        asking("role--x", ""),
        asking("role--y", "env:c"),
    ];
    let before = Instant::now();
    let given = house.grants.give(all, origin).await;
    assert!(before.elapsed() <= Duration::from_secs(15));
    let missing: Vec<&str> = given.missing.iter().map(|one| one.key.as_str()).collect();
    assert_eq!(missing, ["env:a", "env:b", "env:c"]);
    assert_eq!((given.env.len(), given.notices.len()), (0, 2));
}

#[tokio::test]
async fn ac_169_a_role_asks_and_one_that_will_not_do_says_so_once() {
    let house = house(None).await;
    let vault = house.vaults.default();
    let role = vault
        .create(note(tag::ROLE, "Roles/x", json!({ "wants": "env:a" })))
        .await
        .unwrap();
    house.grants.opened("default");
    assert!(house.grants.look().await);
    let known = |house: &House| {
        let all = house.grants.all();
        let of = |(holder, agent, known): (String, bool, Vec<Known>)| (holder, agent, known[0].want.key());
        all.into_iter().map(of).collect::<Vec<_>>()
    };
    let expected = [("role--Roles-x".to_owned(), false, "env:a".to_owned())];
    assert_eq!(known(&house), expected);

    let key = Key::Id(role.id.clone());
    let change = async |metadata: serde_json::Value| {
        let patch = Patch {
            metadata: serde_json::from_value(metadata).unwrap(),
            ..Patch::default()
        };
        let note = vault.patch(&key, patch, Precondition::Force).await.unwrap();
        house.grants.see("default", &note.id, Some(&note));
        assert!(house.grants.look().await);
        vault.get(&key).await.unwrap().unwrap()
    };
    let broken = change(json!({ "wants": "garbage" })).await;
    assert_eq!(broken.text("status").as_deref(), Some("error"));
    assert!(
        broken
            .text("status_detail")
            .is_some_and(|detail| detail.starts_with("wants: \"garbage\""))
    );
    assert_eq!(known(&house), expected);
    // Its own word makes it write nothing more.
    house.grants.see("default", &broken.id, Some(&broken));
    house.grants.look().await;
    assert_eq!(vault.get(&key).await.unwrap().unwrap().updated_at, broken.updated_at);
    let mended = change(json!({ "wants": "env:b" })).await;
    assert_eq!((mended.text("status"), mended.text("status_detail")), (None, None));
    assert_eq!(known(&house)[0].2, "env:b");

    vault.delete(&key).await.unwrap();
    house.grants.see("default", &role.id, None);
    house.grants.look().await;
    assert_eq!(known(&house), []);
}

#[tokio::test]
async fn r_def_26_a_definition_is_removed_when_it_is_surely_gone() {
    let house = house(None).await;
    let vault = house.vaults.default();
    let made = vault
        .create(note(
            tag::DEFINITION,
            "Agents/eng",
            json!({ "name": "eng", "wants": "env:a" }),
        ))
        .await;
    let made = made.unwrap();
    house.grants.foresee("default", &made);
    house.registry.apply(&vault, &made.id, Some(&made));
    house.grants.see("default", &made.id, Some(&made));
    assert_eq!(house.registry.connections("eng")[0].status, "pending");
    house.grants.look().await;
    let keys = |house: &House| house.grants.all().len();
    assert_eq!(keys(&house), 1);
    // The registry has lost it, but the note is there.
    house.registry.apply(&vault, &made.id, None);
    house.grants.look().await;
    assert_eq!(keys(&house), 1);
    vault.delete(&Key::Id(made.id.clone())).await.unwrap();
    house.grants.look().await;
    assert_eq!(keys(&house), 0);
    assert_eq!(house.registry.connections("eng"), []);
}

/// What is told at a start is what was known last, before any note was read.
#[tokio::test]
async fn what_was_known_is_told_before_anything_is_read() {
    let mut house = house(None).await;
    let vault: Arc<dyn Vault> = house.vaults.default();
    let definition = note(
        tag::DEFINITION,
        "Agents/eng",
        json!({ "name": "eng", "wants": "env:a" }),
    );
    let made = vault.create(definition).await.unwrap();
    house.registry.apply(&vault, &made.id, Some(&made));
    house.grants.look().await;
    let given = Approval {
        token: Some("t-hunter2hunter2".into()),
        url: None,
    };
    house.grants.approve("eng", "env:a", given).await.unwrap().unwrap();
    let store = Store::open(&house.dir.path().join("grants.db")).unwrap();
    let local = Local::new(store.clone(), |_| false);
    house.registry = Registry::new(&house.vaults.names(), Discovery::Definitions);
    let again = Grants::new(Options {
        backend: Arc::new(local.clone()),
        local: Some(local),
        store,
        registry: house.registry.clone(),
        vaults: house.vaults.clone(),
        progress: Progress::default(),
        tokens: house.grants.tokens().clone(),
    });
    let again = again.unwrap();
    assert_eq!(house.registry.connections("eng")[0].status, "approved");
    let (holder, agent, known) = again.all().remove(0);
    assert_eq!(
        (holder.as_str(), agent, known[0].status.as_str()),
        ("eng", true, "approved")
    );
}

#[tokio::test]
async fn a_role_that_is_damaged_keeps_what_it_has_and_holds_up_no_other() {
    let house = house(None).await;
    let vault = house.vaults.default();
    let role = async |path: &str, list: &str| {
        let made = vault.create(note(tag::ROLE, path, json!({ "wants": list }))).await;
        made.unwrap().id
    };
    let first = role("Roles/a", "env:a").await;
    house.grants.opened("default");
    assert!(house.grants.look().await);
    let file = house.dir.path().join("vaults/default.db");
    let db = rusqlite::Connection::open(file).unwrap();
    let sql = "UPDATE notes SET metadata = 'out of order' WHERE id = ?1";
    assert_eq!(db.execute(sql, [first.as_str()]).unwrap(), 1);
    let second = role("Roles/b", "env:b").await;
    for id in [&first, &second] {
        let place = Place {
            role: true,
            vault: "default".into(),
            note: id.clone(),
        };
        house.grants.state().unread.insert(place);
    }
    // Nothing is to be tried again: the feed tells when it is mended.
    assert!(house.grants.look().await);
    let holders: Vec<String> = house.grants.all().into_iter().map(|(holder, ..)| holder).collect();
    assert_eq!(holders, ["role--Roles-a", "role--Roles-b"]);
}
