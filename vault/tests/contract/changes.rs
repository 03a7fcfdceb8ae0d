//! The change log.

use std::collections::BTreeMap;
use std::sync::Arc;

use pretty_assertions::assert_eq;
use reveille_vault::{ChangeKind, ContentChange, NewNote, NoteId, Patch, Precondition, Vault, VaultError};

use super::{DEADLINE, append, at_id, create_each, get, id, note};

const FORCE: Precondition = Precondition::Force;

pub(crate) async fn the_log_names_every_change_in_order(vault: Arc<dyn Vault>) {
    assert_eq!(vault.changes(0, 10).await.unwrap(), []);
    create_each(&*vault, [note("a"), note("b")]).await;
    vault.patch(&at_id("a"), append("!"), FORCE).await.unwrap();
    vault.upsert("p", Patch::default(), note("c")).await.unwrap();
    vault.upsert("p", append("!"), note("c")).await.unwrap();
    vault.delete(&at_id("b")).await.unwrap();

    let log = vault.changes(0, 100).await.unwrap();
    let told: Vec<_> = log.iter().map(|change| (change.id.as_str(), change.kind)).collect();
    let expected = [
        ("a", ChangeKind::Created),
        ("b", ChangeKind::Created),
        ("a", ChangeKind::Updated),
        ("c", ChangeKind::Created),
        ("c", ChangeKind::Updated),
        ("b", ChangeKind::Deleted),
    ];
    assert_eq!(told, expected);
    assert!(log.is_sorted_by(|one, next| one.cursor < next.cursor), "{log:?}");
    // Every row shows the present state.
    let (a, c) = (get(&*vault, "a").await, get(&*vault, "c").await);
    let states: Vec<_> = log.iter().map(|change| change.note.clone()).collect();
    assert_eq!(states, [Some(a.clone()), None, Some(a), Some(c.clone()), Some(c), None]);

    let middle = log[2].cursor;
    assert_eq!(vault.changes(middle, 2).await.unwrap(), log[3..5]);
    assert_eq!(vault.changes(log[5].cursor, 10).await.unwrap(), []);
    assert_eq!(vault.changes(u64::MAX, 10).await.unwrap(), []);
    assert_eq!(vault.changes(0, 0).await.unwrap(), []);
}

pub(crate) async fn a_refused_write_leaves_no_trace(vault: Arc<dyn Vault>) {
    vault.create(note("a")).await.unwrap();
    let newest = *vault.watch().borrow();
    let missing = ContentChange::Edit {
        old: "missing".into(),
        new: String::new(),
    };
    let refused = Patch {
        content: missing,
        add_tags: vec!["t".into()],
        ..Patch::default()
    };
    assert!(matches!(
        vault.patch(&at_id("a"), refused, FORCE).await,
        Err(VaultError::EditNotFound)
    ));
    assert!(matches!(vault.create(note("a")).await, Err(VaultError::IdTaken { .. })));
    assert!(matches!(
        vault.delete(&at_id("x")).await,
        Err(VaultError::NotFound { .. })
    ));
    assert_eq!(
        (vault.changes(newest, 10).await.unwrap(), *vault.watch().borrow()),
        (vec![], newest)
    );
}

pub(crate) async fn the_watch_tells_the_newest_cursor(vault: Arc<dyn Vault>) {
    let mut watch = vault.watch();
    let before = *watch.borrow_and_update();
    assert_eq!(vault.changes(before, 10).await.unwrap(), []);
    for name in ["a", "b", "c"] {
        vault.create(note(name)).await.unwrap();
        // Told before the writer was answered.
        assert!(watch.has_changed().unwrap());
        let newest = *watch.borrow_and_update();
        let log = vault.changes(0, 10).await.unwrap();
        assert_eq!(
            log.last().map(|change| (change.cursor, &change.id)),
            Some((newest, &id(name)))
        );
    }
}

/// The daemon's feed in small: wait for the hint, read on from the cursor.
async fn tail(vault: Arc<dyn Vault>, writes: usize) -> Vec<(u64, NoteId)> {
    let (mut watch, mut cursor, mut seen) = (vault.watch(), 0, Vec::new());
    while seen.len() < writes {
        watch.wait_for(|newest| *newest > cursor).await.unwrap();
        for change in vault.changes(cursor, 7).await.unwrap() {
            cursor = change.cursor;
            seen.push((change.cursor, change.id));
        }
    }
    seen
}

pub(crate) async fn a_tail_sees_every_change_once_while_many_write(vault: Arc<dyn Vault>) {
    const WRITERS: usize = 20;
    const NOTES: usize = 10;
    let feed = tokio::spawn(tail(Arc::clone(&vault), WRITERS * NOTES * 2));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let vault = Arc::clone(&vault);
            tokio::spawn(async move {
                for number in 0..NOTES {
                    let name = format!("{writer}-{number}");
                    let made = vault
                        .create(NewNote {
                            tags: vec!["t".into()],
                            ..note(&name)
                        })
                        .await
                        .unwrap();
                    let seen = Precondition::UpdatedAt(made.updated_at);
                    vault.patch(&at_id(&name), append("!"), seen).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let seen = tokio::time::timeout(DEADLINE, feed).await.unwrap().unwrap();
    assert!(seen.is_sorted_by(|one, next| one.0 < next.0));
    let mut times: BTreeMap<NoteId, usize> = BTreeMap::new();
    for (_, id) in seen {
        *times.entry(id).or_default() += 1;
    }
    assert_eq!(times.len(), WRITERS * NOTES);
    assert!(times.values().all(|&times| times == 2), "{times:?}");
}
