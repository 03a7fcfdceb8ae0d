//! Links between notes.

use std::sync::Arc;

use pretty_assertions::assert_eq;
use reveille_vault::{
    ContentChange, Key, Links, Near, NewLink, NewNote, OldLink, Patch, Precondition, Query, TagScope, Vault, VaultError,
};
use serde_json::json;

use super::{append, at_id, get, ids, metadata, note, refused};

const FORCE: Precondition = Precondition::Force;

/// `None`: the vault has none, and says so.
fn links_of(vault: &dyn Vault) -> Option<&dyn Links> {
    match vault.links() {
        Ok(links) => {
            assert!(vault.capabilities().links);
            Some(links)
        }
        Err(error) => {
            assert!(!vault.capabilities().links);
            assert!(matches!(error, VaultError::Unsupported { .. }), "{error:?}");
            None
        }
    }
}

/// A note with a path, which is its id too where it can be one.
fn at_path(path: &str, content: &str) -> NewNote {
    NewNote {
        path: Some(path.into()),
        content: content.into(),
        ..note(&path.replace('/', "-"))
    }
}

fn link(target: &str, relationship: &str) -> NewLink {
    NewLink {
        target: target.into(),
        relationship: relationship.into(),
        ..NewLink::default()
    }
}

fn moved(path: &str) -> Patch {
    Patch {
        path: Some(Some(path.into())),
        ..Patch::default()
    }
}

fn replaced(content: &str) -> Patch {
    Patch {
        content: ContentChange::Replace(content.into()),
        ..Patch::default()
    }
}

/// Each link of a note as `source -relationship-> target`.
async fn told(links: &dyn Links, note: &str) -> Vec<String> {
    let links = links.links_of(&at_id(note)).await.unwrap();
    let text = |link: reveille_vault::Link| format!("{} -{}-> {}", link.source, link.relationship, link.target);
    links.into_iter().map(text).collect()
}

async fn unresolved(links: &dyn Links) -> Vec<String> {
    let found = links.unresolved_links().await.unwrap();
    found
        .into_iter()
        .map(|link| format!("{} {}", link.source, link.name))
        .collect()
}

const NONE: [&str; 0] = [];

pub(crate) async fn wikilinks_lead_to_the_notes_that_they_name(vault: Arc<dyn Vault>) {
    let Some(links) = links_of(&*vault) else { return };
    vault
        .create_all(vec![
            at_path("dir/Target", "x"),
            at_path("Home", "x"),
            at_path("deep/Home", "x"),
            at_path("one/Twin", "x"),
            at_path("two/Twin", "x"),
            NewNote {
                content: "[[dir/target|shown]] ![[DIR/TARGET#h]] `[[two/Twin]]` [[Twin]]".into(),
                ..note("a")
            },
            // The full path goes before the end of another one; an end must be whole segments, and the only one.
            NewNote {
                content: "[[home]] [[target]] [[ne/Twin]] [[one/twin]]".into(),
                ..note("b")
            },
        ])
        .await
        .unwrap();
    assert_eq!(
        told(links, "a").await,
        ["a -wikilink-> dir-Target", "a -wikilink-> dir-Target"]
    );
    assert_eq!(
        told(links, "b").await,
        [
            "b -wikilink-> dir-Target",
            "b -wikilink-> Home",
            "b -wikilink-> one-Twin"
        ]
    );
    assert_eq!(told(links, "Home").await, ["b -wikilink-> Home"]);
    assert_eq!(unresolved(links).await, ["a Twin", "b ne/Twin"]);
    let all = links.links_of(&at_id("a")).await.unwrap();
    assert_eq!(all[0].name.as_deref(), Some("DIR/TARGET"));
    assert_eq!(
        (all[0].source_path.clone(), all[0].target_path.as_deref()),
        (get(&*vault, "a").await.path, Some("dir/Target"))
    );
    assert!(refused(links.links_of(&at_id("nobody")).await).starts_with("NotFound"));
}

pub(crate) async fn a_link_resolves_when_its_note_appears_and_waits_when_it_goes(vault: Arc<dyn Vault>) {
    let Some(links) = links_of(&*vault) else { return };
    vault.create(at_path("a", "[[dir/Later]]")).await.unwrap();
    vault.create(at_path("b", "[[later]]")).await.unwrap();
    assert_eq!(unresolved(links).await, ["a dir/Later", "b later"]);
    vault.create(at_path("dir/later", "x")).await.unwrap();
    assert_eq!(unresolved(links).await, NONE);
    assert_eq!(
        told(links, "dir-later").await,
        ["a -wikilink-> dir-later", "b -wikilink-> dir-later"]
    );
    // A second one makes the short name ambiguous, and leaves the full one.
    vault.create(at_path("other/Later", "x")).await.unwrap();
    assert_eq!(unresolved(links).await, ["b later"]);
    vault.delete(&at_id("dir-later")).await.unwrap();
    assert_eq!(unresolved(links).await, ["a dir/Later"]);
    assert_eq!(told(links, "other-Later").await, ["b -wikilink-> other-Later"]);
    // A note of that path is better than the end of a path.
    vault.create(at_path("Later", "x")).await.unwrap();
    assert_eq!(told(links, "b").await, ["b -wikilink-> Later"]);
}

pub(crate) async fn links_follow_the_body(vault: Arc<dyn Vault>) {
    let Some(links) = links_of(&*vault) else { return };
    vault
        .create_all(vec![at_path("a", "[[x]]"), at_path("x", "1"), at_path("y", "2")])
        .await
        .unwrap();
    vault.patch(&at_id("a"), append(" [[y]] [[a]]"), FORCE).await.unwrap();
    assert_eq!(
        told(links, "a").await,
        ["a -wikilink-> a", "a -wikilink-> x", "a -wikilink-> y"]
    );
    vault.patch(&at_id("a"), replaced("[[y]]"), FORCE).await.unwrap();
    assert_eq!(told(links, "a").await, ["a -wikilink-> y"]);
    vault.upsert("a", replaced("none"), NewNote::default()).await.unwrap();
    assert_eq!((told(links, "a").await, told(links, "y").await), (vec![], vec![]));
    vault.patch(&at_id("a"), replaced("[[y]]"), FORCE).await.unwrap();
    vault.delete(&at_id("a")).await.unwrap();
    assert_eq!(told(links, "y").await, NONE);
}

pub(crate) async fn a_renamed_note_keeps_its_links(vault: Arc<dyn Vault>) {
    let Some(links) = links_of(&*vault) else { return };
    vault
        .create_all(vec![
            at_path("dir/Old", "I am [[dir/old]]"),
            at_path("full", "[[dir/Old#h|shown]] and `[[dir/Old]]`"),
            at_path("short", "![[old]]"),
            at_path("none", "[[Elsewhere]]"),
        ])
        .await
        .unwrap();
    let before = get(&*vault, "full").await;
    let newest = *vault.watch().borrow();
    let renamed = vault
        .patch(&at_id("dir-Old"), moved("new/New name"), FORCE)
        .await
        .unwrap();
    assert_eq!(renamed.content, "I am [[new/New name]]");
    assert_eq!(get(&*vault, "dir-Old").await, renamed);
    let full = get(&*vault, "full").await;
    assert_eq!(full.content, "[[new/New name#h|shown]] and `[[dir/Old]]`");
    assert!(full.updated_at > before.updated_at);
    assert_eq!(get(&*vault, "short").await.content, "![[New name]]");
    assert_eq!(get(&*vault, "none").await.content, "[[Elsewhere]]");
    let log = vault.changes(newest, 10).await.unwrap();
    let log: Vec<_> = log.iter().map(|change| change.id.as_str()).collect();
    assert_eq!(log, ["dir-Old", "full", "short"]);
    assert_eq!(
        told(links, "dir-Old").await,
        [
            "dir-Old -wikilink-> dir-Old",
            "full -wikilink-> dir-Old",
            "short -wikilink-> dir-Old"
        ]
    );

    // A short name that still means the note stays; one that would mean another becomes the path.
    vault
        .patch(&at_id("dir-Old"), moved("third/New name"), FORCE)
        .await
        .unwrap();
    assert_eq!(get(&*vault, "short").await.content, "![[New name]]");
    vault.create(at_path("Taken", "x")).await.unwrap();
    vault
        .patch(&at_id("dir-Old"), moved("third/Taken"), FORCE)
        .await
        .unwrap();
    assert_eq!(get(&*vault, "short").await.content, "![[third/Taken]]");
}

pub(crate) async fn a_path_that_no_link_can_name_leaves_the_links(vault: Arc<dyn Vault>) {
    let Some(links) = links_of(&*vault) else { return };
    vault
        .create_all(vec![at_path("old", "x"), at_path("a", "[[old]]")])
        .await
        .unwrap();
    vault
        .patch(&at_id("old"), moved("]] Do as I say. [["), FORCE)
        .await
        .unwrap();
    assert_eq!(get(&*vault, "a").await.content, "[[old]]");
    assert_eq!(unresolved(links).await, ["a old"]);
    // Without a path as well.
    vault.patch(&at_id("old"), moved("old"), FORCE).await.unwrap();
    let without = Patch {
        path: Some(None),
        ..Patch::default()
    };
    let without = vault.patch(&at_id("old"), without, FORCE).await.unwrap();
    match &without.path {
        None => {
            assert_eq!(get(&*vault, "a").await.content, "[[old]]");
            assert_eq!(unresolved(links).await, ["a old"]);
        }
        // It was given one.
        Some(path) => assert_eq!(get(&*vault, "a").await.content, format!("[[{path}]]")),
    }
}

pub(crate) async fn a_refused_rename_rewrites_nothing(vault: Arc<dyn Vault>) {
    if links_of(&*vault).is_none() {
        return;
    }
    vault
        .create_all(vec![
            at_path("old", "x"),
            at_path("taken", "x"),
            at_path("a", "[[old]]"),
        ])
        .await
        .unwrap();
    let newest = *vault.watch().borrow();
    assert!(refused(vault.patch(&at_id("old"), moved("taken"), FORCE).await).starts_with("PathTaken"));
    assert_eq!(get(&*vault, "a").await.content, "[[old]]");
    assert_eq!(*vault.watch().borrow(), newest);
}

pub(crate) async fn links_are_given_with_a_note_and_taken_away(vault: Arc<dyn Vault>) {
    let Some(links) = links_of(&*vault) else { return };
    vault.create_all(vec![at_path("dir/t", "x"), note("u")]).await.unwrap();
    let new = NewNote {
        links: vec![link(" dir/t.md ", "about"), link("u", " answers "), link("u", "about")],
        ..note("a")
    };
    let before = vault.create(new).await.unwrap();
    let expected = ["a -about-> dir-t", "a -about-> u", "a -answers-> u"];
    assert_eq!(told(links, "a").await, expected);

    // The same again changes nothing, new metadata does.
    let add = |link: NewLink| Patch {
        add_links: vec![link],
        ..Patch::default()
    };
    let same = vault
        .patch(&at_id("a"), add(link("dir-t", "about")), FORCE)
        .await
        .unwrap();
    assert_eq!(same, before);
    let weighed = NewLink {
        metadata: metadata(json!({ "weight": 2 })),
        ..link("dir/t", "about")
    };
    let after = vault.patch(&at_id("a"), add(weighed), FORCE).await.unwrap();
    assert!(after.updated_at > before.updated_at);
    assert_eq!(told(links, "a").await, expected);
    let kept = links.links_of(&at_id("a")).await.unwrap();
    assert_eq!(kept[0].metadata, metadata(json!({ "weight": 2 })));
    assert_eq!(kept[0].name, None);

    // A stale writer changes no link.
    let stale = vault
        .patch(
            &at_id("a"),
            add(link("u", "late")),
            Precondition::UpdatedAt(before.updated_at),
        )
        .await;
    assert!(refused(stale).starts_with("Conflict"));
    let remove = |target: &str, relationship: Option<&str>| Patch {
        remove_links: vec![OldLink {
            target: target.into(),
            relationship: relationship.map(str::to_owned),
        }],
        ..Patch::default()
    };
    vault
        .patch(&at_id("a"), remove("u", Some("answers")), FORCE)
        .await
        .unwrap();
    assert_eq!(told(links, "a").await, ["a -about-> dir-t", "a -about-> u"]);
    // A rename does not touch them; a removal takes them away.
    vault.patch(&at_id("dir-t"), moved("elsewhere"), FORCE).await.unwrap();
    assert_eq!(told(links, "a").await, ["a -about-> dir-t", "a -about-> u"]);
    vault.patch(&at_id("a"), remove("u", None), FORCE).await.unwrap();
    vault.delete(&at_id("dir-t")).await.unwrap();
    assert_eq!(told(links, "a").await, NONE);
    for bad in [link("", "x"), link("u", " "), link("u", "wikilink"), link("u", "a\nb")] {
        let outcome = vault.patch(&at_id("a"), add(bad.clone()), FORCE).await;
        assert!(matches!(outcome, Err(VaultError::Invalid(_))), "{bad:?}: {outcome:?}");
    }
}

pub(crate) async fn a_given_link_waits_for_its_note(vault: Arc<dyn Vault>) {
    let Some(links) = links_of(&*vault) else { return };
    let new = NewNote {
        links: vec![
            link("later", "by-id"),
            link("/dir/Later.md", "by-path"),
            link("never", "x"),
        ],
        ..note("a")
    };
    vault.create(new).await.unwrap();
    assert_eq!((told(links, "a").await, unresolved(links).await), (vec![], vec![]));
    vault.create(note("later")).await.unwrap();
    vault.create(at_path("dir/Later", "x")).await.unwrap();
    assert_eq!(told(links, "a").await, ["a -by-id-> later", "a -by-path-> dir-Later"]);
}

/// a - b - c - d, and e alone; f answers a.
async fn chain(vault: &dyn Vault) {
    let answer = NewNote {
        links: vec![link("a", "answers")],
        ..at_path("f", "x")
    };
    vault
        .create_all(vec![
            at_path("a", "[[b]]"),
            at_path("b", "[[c]] [[C]]"),
            at_path("c", "x"),
            at_path("d", "[[c]] [[b]]"),
            at_path("e", "[[nobody]]"),
            answer,
        ])
        .await
        .unwrap();
    vault.patch(&at_id("d"), replaced("[[c]]"), FORCE).await.unwrap();
}

fn near(note: &str, depth: u32, relationship: Option<&str>) -> Near {
    Near {
        note: Key::IdOrPath(note.into()),
        depth,
        relationship: relationship.map(str::to_owned),
        scope: None,
    }
}

pub(crate) async fn the_neighbourhood_of_a_note_is_told(vault: Arc<dyn Vault>) {
    let Some(links) = links_of(&*vault) else { return };
    chain(&*vault).await;
    for (asked, expected) in [
        (near("a", 0, None), "a0"),
        (near("a", 1, None), "a0 b1 f1"),
        (near("a", 2, None), "a0 b1 f1 c2"),
        (near("a", 9, None), "a0 b1 f1 c2 d3"),
        (near("a", 9, Some("answers")), "a0 f1"),
        (near("c", 1, Some("wikilink")), "c0 b1 d1"),
        (near("e", 5, None), "e0"),
    ] {
        let found = links.neighbours(&asked).await.unwrap();
        let found: Vec<_> = found.iter().map(|one| format!("{}{}", one.note, one.depth)).collect();
        assert_eq!(found.join(" "), expected, "{asked:?}");
        let query = Query {
            near: Some(asked.clone()),
            ..Query::default()
        };
        let notes = vault.query(&query).await.unwrap().notes;
        let mut expected: Vec<_> = expected.split(' ').map(|one| &one[..1]).collect();
        expected.sort_unstable();
        assert_eq!(ids(&notes), expected, "{asked:?}");
    }
    // Before the limit, and with other filters.
    let query = Query {
        near: Some(near("a", 9, None)),
        descending: true,
        limit: Some(2),
        ..Query::default()
    };
    let page = vault.query(&query).await.unwrap();
    assert_eq!(ids(&page.notes), ["f", "d"]);
    let rest = Query {
        after: page.next,
        limit: None,
        ..query
    };
    assert_eq!(ids(&vault.query(&rest).await.unwrap().notes), ["c", "b", "a"]);
    assert!(refused(links.neighbours(&near("nobody", 1, None)).await).starts_with("NotFound"));
    let nowhere = Query {
        near: Some(near("nobody", 1, None)),
        ..Query::default()
    };
    assert!(refused(vault.query(&nowhere).await).starts_with("NotFound"));
}

pub(crate) async fn a_way_leads_only_over_notes_that_are_seen(vault: Arc<dyn Vault>) {
    let Some(links) = links_of(&*vault) else { return };
    let open = |id: &str, content: &str| NewNote {
        tags: vec!["open".into()],
        ..at_path(id, content)
    };
    vault
        .create_all(vec![
            open("a", "[[hidden]] [[b]]"),
            open("b", "x"),
            open("c", "x"),
            at_path("hidden", "[[c]]"),
        ])
        .await
        .unwrap();
    let asked = Near {
        scope: Some(TagScope {
            roots: vec!["open".into()],
            below: Vec::new(),
        }),
        ..near("a", 5, None)
    };
    let found = links.neighbours(&asked).await.unwrap();
    let found: Vec<_> = found.iter().map(|one| one.note.as_str()).collect();
    assert_eq!(found, ["a", "b"]);
    let query = Query {
        scope: asked.scope.clone(),
        near: Some(asked),
        ..Query::default()
    };
    assert_eq!(ids(&vault.query(&query).await.unwrap().notes), ["a", "b"]);
}

pub(crate) async fn notes_are_listed_by_whether_they_have_links(vault: Arc<dyn Vault>) {
    if links_of(&*vault).is_none() {
        return;
    }
    chain(&*vault).await;
    for (has, expected) in [(true, "a b c d f"), (false, "e")] {
        let query = Query {
            has_links: Some(has),
            ..Query::default()
        };
        let notes = vault.query(&query).await.unwrap().notes;
        assert_eq!(ids(&notes).join(" "), expected, "{has}");
    }
}

pub(crate) async fn a_way_between_two_notes_is_found(vault: Arc<dyn Vault>) {
    let Some(links) = links_of(&*vault) else { return };
    chain(&*vault).await;
    let key = |text: &str| Key::IdOrPath(text.into());
    for (source, target, depth, expected) in [
        ("a", "d", 9, Some("a wikilink b wikilink c wikilink d")),
        ("d", "a", 3, Some("d wikilink c wikilink b wikilink a")),
        ("f", "b", 2, Some("f answers a wikilink b")),
        ("a", "d", 2, None),
        ("a", "e", 9, None),
        ("a", "a", 0, Some("a")),
    ] {
        let trail = links.find_path(&key(source), &key(target), depth).await.unwrap();
        let told = trail.map(|trail| {
            let mut told = trail.notes[0].to_string();
            for (relationship, note) in trail.relationships.iter().zip(&trail.notes[1..]) {
                told.push_str(&format!(" {relationship} {note}"));
            }
            assert_eq!(trail.relationships.len() + 1, trail.notes.len());
            told
        });
        assert_eq!(told.as_deref(), expected, "{source} {target} {depth}");
    }
    for (source, target) in [("a", "nobody"), ("nobody", "a")] {
        let outcome = links.find_path(&key(source), &key(target), 3).await;
        assert!(refused(outcome).starts_with("NotFound"));
    }
}
