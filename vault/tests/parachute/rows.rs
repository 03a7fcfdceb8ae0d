//! The calls that agents' daemons make on a Parachute vault, one by one, and where the server of May 2026 answers otherwise
//! than they expect. Numbers are those of the table of calls that this kind was built to.

use pretty_assertions::assert_eq;
use reveille_vault::agent::Inbound;
use reveille_vault::{
    Capabilities, ChangeKind, Key, NewAttachment, NewFile, NewNote, Patch, Precondition, Query, Vault, VaultError,
};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use crate::contract::{at_id, id, ids, metadata, refused, set};
use crate::double::{Stored, Trigger, Version};
use crate::house::{House, changes};

const FORCE: Precondition = Precondition::Force;
const BOTH: [Version; 2] = [Version::May, Version::July];

fn tagged(tags: &[&str]) -> Query {
    Query {
        tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
        ..Query::default()
    }
}

fn at_path(path: &str) -> Key {
    Key::Path(path.into())
}

/// A client of the server that speaks HTTP itself.
async fn http(house: &House, method: &str, path: &str, body: Value) -> (u16, Value) {
    let url = format!("{}/vault/default/api{path}", house.peer.url());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client
        .request(method.parse().unwrap(), url)
        .bearer_auth(crate::double::TOKEN);
    let response = request.json(&body).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap_or_default())
}

fn stored(house: &House, key: &str) -> Stored {
    house.peer.note(key).unwrap_or_else(|| panic!("there is no note {key}"))
}

#[tokio::test]
async fn vapi_row_01_defaults_of_declared_tags_count_as_absent() {
    let house = House::new(Version::May);
    let schema = json!({ "parent_names": ["agent"], "fields": { "agent": { "type": "string", "indexed": true } } });
    let (status, answer) = http(&house, "PUT", "/tags/agent%2Fmessage%2Finbound", schema).await;
    assert_eq!((status, answer.get("parent_names")), (200, None));

    let vault = house.open();
    house.message("n", &json!({ "metadata": { "channel": "ops" } }));
    let log = changes(&*vault, 1).await;
    // The server has added a blank one after its answer.
    assert_eq!(stored(&house, "n").metadata["agent"], "");
    let note = vault.get(&at_id("n")).await.unwrap().unwrap();
    assert_eq!(Inbound::parse(&note).unwrap().agent, "ops");
    // And a note that we write gets the default as well, which is no change of it.
    let own = NewNote {
        tags: vec!["agent/message/inbound".into()],
        metadata: metadata(json!({ "channel": "ops" })),
        ..crate::contract::note("own")
    };
    vault.create(own).await.unwrap();
    vault.look(None).await.unwrap();
    assert_eq!(log.len() + 1, vault.changes(0, 10).await.unwrap().len());
}

#[tokio::test]
async fn vapi_row_02_a_message_is_written_as_given_and_only_once() {
    for version in BOTH {
        let house = House::new(version);
        let vault = house.open();
        let message = NewNote {
            id: Some(id("m")),
            path: Some("channel/eng/m".into()),
            content: "hello".into(),
            tags: vec!["agent/message".into(), "agent/message/inbound".into()],
            metadata: metadata(json!({ "agent": "eng", "direction": "inbound", "ts": "2026-07-02T10:00:00.000Z" })),
            ..NewNote::default()
        };
        vault.create(message.clone()).await.unwrap();
        let there = stored(&house, "m");
        assert_eq!(there.path.as_deref(), Some("channel/eng/m"));
        assert_eq!(there.tags, ["agent/message", "agent/message/inbound"]);
        assert_eq!(there.metadata, message.metadata);
        assert!(matches!(vault.create(message).await, Err(VaultError::IdTaken { .. })));
        assert_eq!(house.peer.notes().len(), 1);
    }
}

#[tokio::test]
async fn vapi_row_03_a_transcript_holds_the_newest_messages_however_many_there_are() {
    let house = House::new(Version::May);
    for number in 0..120 {
        let agent = if number % 2 == 0 { "eng" } else { "ops" };
        let at = format!("2026-01-01T00:00:{:02}.{:03}Z", number / 10, number % 10);
        house.message(
            &format!("m{number:03}"),
            &json!({ "metadata": { "agent": agent }, "createdAt": at }),
        );
    }
    let vault = house.open();
    let query = Query {
        metadata: vec![("agent".into(), "eng".into())],
        descending: true,
        limit: Some(3),
        ..tagged(&["agent/message"])
    };
    let page = vault.query(&query).await.unwrap();
    assert_eq!(ids(&page.notes), ["m118", "m116", "m114"]);
    let next = Query {
        after: page.next,
        ..query
    };
    assert_eq!(ids(&vault.query(&next).await.unwrap().notes), ["m112", "m110", "m108"]);
    // Without a limit: all of them, not the fifty that the server gives by itself.
    assert_eq!(vault.query(&tagged(&["agent/message"])).await.unwrap().notes.len(), 120);
}

#[tokio::test]
async fn vapi_row_04_the_newest_first_are_those_created_last_also_when_others_were_changed_since() {
    let house = House::new(Version::May);
    for (number, name) in ["a", "b", "c"].iter().enumerate() {
        house.message(
            name,
            &json!({ "createdAt": format!("2026-01-01T00:00:00.00{number}Z") }),
        );
    }
    let vault = house.open();
    vault.patch(&at_id("a"), set("status", "handled"), FORCE).await.unwrap();
    let query = Query {
        descending: true,
        ..tagged(&["#agent/message/inbound"])
    };
    assert_eq!(ids(&vault.query(&query).await.unwrap().notes), ["c", "b", "a"]);
}

#[tokio::test]
async fn vapi_row_05_of_two_daemons_that_claim_a_message_one_wins() {
    let house = House::new(Version::May);
    house.message("m", &json!({}));
    let (one, two) = (house.open(), {
        let options = reveille_vault::parachute::Options {
            index: house.dir.path().join("other.db"),
            ..house.options()
        };
        reveille_vault::ParachuteVault::open("test", options).unwrap()
    });
    let seen = one.get(&at_id("m")).await.unwrap().unwrap().updated_at;
    house
        .peer
        .set_faults(|faults| faults.slow_patches = std::time::Duration::from_millis(50));
    let claim = |by: &str| (set("claimed_by", by), Precondition::UpdatedAt(seen));
    let ((first, precondition), (second, _)) = (claim("one"), claim("two"));
    let key = at_id("m");
    let (first, second) = tokio::join!(
        one.patch(&key, first, precondition),
        two.patch(&key, second, precondition)
    );
    let lost = match (first, second) {
        (Ok(_), Err(error)) | (Err(error), Ok(_)) => error,
        other => panic!("{other:?}"),
    };
    assert!(
        matches!(lost, VaultError::Conflict { expected, .. } if expected == seen),
        "{lost:?}"
    );
}

#[tokio::test]
async fn vapi_row_06_bookkeeping_loses_nothing_that_others_write_meanwhile() {
    let house = House::new(Version::May);
    house.message("m", &json!({}));
    let vault = house.open();
    house
        .peer
        .set_faults(|faults| faults.slow_patches = std::time::Duration::from_millis(30));
    // The other one forces, as the clients of this server do; it meets the double's window.
    let theirs = json!({ "metadata": { "theirs": "1" }, "force": true });
    let theirs = http(&house, "PATCH", "/notes/m", theirs);
    let (key, ours) = (at_id("m"), set("ours", "1"));
    let ours = vault.patch(&key, ours, FORCE);
    let ((status, _), ours) = tokio::join!(theirs, ours);
    assert_eq!(status, 200);
    ours.unwrap();
    // What they lost of ours is theirs to lose, what we write keeps theirs.
    vault.patch(&at_id("m"), set("ours", "2"), FORCE).await.unwrap();
    let metadata = stored(&house, "m").metadata;
    assert_eq!((&metadata["ours"], &metadata["theirs"]), (&json!("2"), &json!("1")));

    // Nothing to say: nothing is sent.
    house.peer.take_log();
    vault.patch(&at_id("m"), set("ours", "2"), FORCE).await.unwrap();
    assert!(house.peer.take_log().iter().all(|line| line.starts_with("GET ")));
}

#[tokio::test]
async fn vapi_row_07_a_thread_is_read_by_its_path() {
    let house = House::new(Version::May);
    let vault = house.open();
    assert_eq!(vault.get(&at_path("Threads/eng/main")).await.unwrap(), None);
    let thread = json!({ "path": "Threads/eng/main", "content": "standing", "metadata": { "session": "s" } });
    house.peer.write(&thread).unwrap();
    let note = vault.get(&at_path("Threads/eng/main")).await.unwrap().unwrap();
    assert_eq!(
        (note.content.as_str(), note.text("session").as_deref()),
        ("standing", Some("s"))
    );
}

#[tokio::test]
async fn vapi_row_08_a_thread_record_is_made_where_the_server_knows_no_upsert() {
    for version in BOTH {
        let house = House::new(version);
        let record = json!({ "path": "T/a", "tags": ["agent/thread"], "metadata": { "k": "v" }, "if_missing": "create", "force": true });
        let (status, _) = http(&house, "PATCH", "/notes/T%2Fold-client", record).await;
        assert_eq!(status, if version == Version::May { 404 } else { 201 });

        let vault = house.open();
        let create = NewNote {
            tags: vec!["agent/thread".into()],
            metadata: metadata(json!({ "turn_count": "1" })),
            ..NewNote::default()
        };
        let (made, created) = vault
            .upsert("T/a", set("turn_count", "2"), create.clone())
            .await
            .unwrap();
        assert!(created);
        let (again, created) = vault.upsert("T/a", set("turn_count", "2"), create).await.unwrap();
        assert!(!created && again.id == made.id);
        let there = stored(&house, "T/a");
        assert_eq!(
            (&there.tags[..], &there.metadata["turn_count"]),
            (&["agent/thread".to_owned()][..], &json!("2"))
        );
    }
}

#[tokio::test]
async fn vapi_row_09_a_key_is_taken_away_by_a_blank_text() {
    let house = House::new(Version::May);
    let vault = house.open();
    assert!(!vault.capabilities().remove_metadata);
    let forget = Patch {
        remove_metadata: vec!["session".into(), "never".into()],
        ..Patch::default()
    };
    let absent = vault.patch(&at_path("T/a"), forget.clone(), FORCE).await;
    assert!(matches!(absent, Err(VaultError::NotFound { .. })));
    house
        .peer
        .write(&json!({ "path": "T/a", "metadata": { "session": "s", "k": 1 } }))
        .unwrap();
    let note = vault.patch(&at_path("T/a"), forget.clone(), FORCE).await.unwrap();
    assert_eq!(note.metadata, metadata(json!({ "session": "", "k": 1 })));
    assert_eq!(note.text("session"), None);
    // Once more changes nothing.
    assert_eq!(vault.patch(&at_path("T/a"), forget, FORCE).await.unwrap(), note);
}

#[tokio::test]
async fn vapi_row_10_a_second_job_at_a_path_is_told_and_an_upsert_replaces_it() {
    for version in BOTH {
        let house = House::new(version);
        let vault = house.open();
        let job = |text: &str| NewNote {
            path: Some("Channels/eng/jobs/daily".into()),
            content: text.into(),
            tags: vec!["agent/job".into()],
            ..NewNote::default()
        };
        vault.create(job("one")).await.unwrap();
        let taken = VaultError::PathTaken {
            path: "Channels/eng/jobs/daily".into(),
        };
        assert_eq!(refused(vault.create(job("two")).await), refused::<()>(Err(taken)));
        let text = Patch {
            content: reveille_vault::ContentChange::Replace("two".into()),
            ..Patch::default()
        };
        let (_, created) = vault.upsert("Channels/eng/jobs/daily", text, job("two")).await.unwrap();
        assert!(!created);
        assert_eq!(stored(&house, "Channels/eng/jobs/daily").content, "two");
    }
}

#[tokio::test]
async fn vapi_row_11_jobs_are_listed_changed_and_removed() {
    let house = House::new(Version::May);
    for number in 0..60 {
        let job = json!({ "id": format!("j{number:02}"), "content": "go", "tags": ["agent/job"] });
        house.peer.write(&job).unwrap();
    }
    let vault = house.open();
    assert_eq!(vault.query(&tagged(&["agent/job"])).await.unwrap().notes.len(), 60);
    assert_eq!(changes(&*vault, 60).await.len(), 60);
    vault
        .patch(&at_id("j00"), set("lastStatus", "ok"), FORCE)
        .await
        .unwrap();
    assert_eq!(vault.delete(&at_id("j01")).await.unwrap(), id("j01"));
    assert!(matches!(
        vault.delete(&at_id("j01")).await,
        Err(VaultError::NotFound { .. })
    ));
    assert_eq!(house.peer.notes().len(), 59);
}

#[tokio::test]
async fn vapi_row_12_every_edit_of_a_definition_is_seen_though_no_trigger_tells_it() {
    let house = House::new(Version::May);
    let define =
        |id: &str, tag: &str| json!({ "id": id, "content": "role", "tags": [tag], "metadata": { "name": id } });
    house.peer.write(&define("eng", "agent/definition")).unwrap();
    house.peer.write(&define("old", "#agent/definition")).unwrap();
    let vault = house.open();
    let log = changes(&*vault, 2).await;
    assert!(
        log.iter()
            .all(|change| change.note.as_ref().unwrap().tags == ["agent/definition"])
    );

    for edit in ["role 2", "role 3"] {
        let before = vault.changes(0, 100).await.unwrap().len();
        let (status, _) = http(&house, "PATCH", "/notes/eng", json!({ "content": edit, "force": true })).await;
        assert_eq!(status, 200);
        let log = changes(&*vault, before + 1).await;
        let last = log.last().unwrap();
        assert_eq!((last.id.as_str(), last.kind), ("eng", ChangeKind::Updated));
        assert_eq!(last.note.as_ref().unwrap().content, edit);
    }
    // Only its tags: the server leaves the time as it is.
    let (status, _) = http(
        &house,
        "PATCH",
        "/notes/eng",
        json!({ "tags": { "add": ["x"] }, "force": true }),
    )
    .await;
    assert_eq!(status, 200);
    assert_eq!(
        changes(&*vault, 5).await[4].note.as_ref().unwrap().tags,
        ["agent/definition", "x"]
    );
    let (status, _) = http(&house, "DELETE", "/notes/old", json!({})).await;
    assert_eq!(status, 200);
    let last = changes(&*vault, 6).await.pop().unwrap();
    assert_eq!(
        (last.id.as_str(), last.kind, last.note),
        ("old", ChangeKind::Deleted, None)
    );
}

async fn upload(vault: &dyn Vault, bytes: &[u8]) -> reveille_vault::StoredFile {
    let file = NewFile {
        filename: "board.PNG".into(),
        mime_type: Some("image/png".into()),
    };
    let mut upload = vault.files().upload(file).await.unwrap();
    for piece in bytes.chunks(70_001) {
        upload.write(piece).await.unwrap();
    }
    upload.finish().await.unwrap()
}

#[tokio::test]
async fn vapi_row_13_files_of_a_message_are_listed_and_come_with_it() {
    let house = House::new(Version::May);
    let vault = house.open();
    let file = upload(&*vault, b"png").await;
    let message = NewNote {
        attachments: vec![NewAttachment::of(&file.path)],
        tags: vec!["agent/message/inbound".into()],
        ..crate::contract::note("m")
    };
    vault.create(message).await.unwrap();
    let [attachment] = <[_; 1]>::try_from(vault.files().attachments(&at_id("m")).await.unwrap()).unwrap();
    assert_eq!(
        (attachment.path.as_str(), attachment.mime_type.as_str(), attachment.size),
        (file.path.as_str(), "image/png", 3)
    );
    vault.files().detach(&at_id("m"), &attachment.id).await.unwrap();
    let again = vault.files().detach(&at_id("m"), &attachment.id).await;
    assert!(matches!(again, Err(VaultError::NotFound { .. })), "{again:?}");
    assert!(vault.files().open(&file.path).await.unwrap().is_none());

    // One that is not there is refused before the message is written.
    let broken = NewNote {
        attachments: vec![NewAttachment::of("2026-01-01/none.png")],
        ..crate::contract::note("b")
    };
    assert!(matches!(vault.create(broken).await, Err(VaultError::NoFile { .. })));
    assert_eq!(house.peer.note("b"), None);
    // And what the server does not take is told before a byte is sent.
    let text = NewFile {
        filename: "notes.txt".into(),
        mime_type: None,
    };
    let error = vault.files().upload(text).await.map(|_| ()).unwrap_err();
    assert!(
        matches!(&error, VaultError::Unsupported { what, .. } if what.contains("pdf")),
        "{error}"
    );
}

#[tokio::test]
async fn vapi_row_14_bytes_of_a_file_are_read_with_the_slash_as_the_server_wants_it() {
    for version in BOTH {
        let house = House::new(version);
        let vault = house.open();
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[n as usize % 4]).collect();
        let file = upload(&*vault, &bytes).await;
        assert_eq!(file.size, 3_000_000);
        let mut open = vault.files().open(&file.path).await.unwrap().unwrap();
        let mut read = Vec::new();
        open.bytes.read_to_end(&mut read).await.unwrap();
        assert!(read == bytes);
        for path in ["", "/", "..", "../../etc/passwd", "2026-01-01/none.png", "a/../b"] {
            assert!(vault.files().open(path).await.unwrap().is_none(), "{path:?}");
        }
        // An upload that is given up leaves nothing.
        let file = NewFile {
            filename: "a.png".into(),
            ..NewFile::default()
        };
        let mut given_up = vault.files().upload(file).await.unwrap();
        given_up.write(b"half").await.unwrap();
        drop(given_up);
        assert_eq!(house.peer.files(), [open.file.path]);
    }
}

#[tokio::test]
async fn vapi_row_15_nothing_depends_on_triggers() {
    for version in BOTH {
        let house = House::new(version);
        // A trigger whose webhooks all fail, so that every message keeps the mark of a delivery under way.
        house.peer.add_trigger(Trigger::inbound("http://127.0.0.1:9/"));
        let vault = house.open();
        for name in ["a", "b", "c"] {
            house.message(name, &json!({}));
        }
        let log = changes(&*vault, 3).await;
        let told: Vec<_> = log.iter().map(|change| (change.id.as_str(), change.kind)).collect();
        assert_eq!(
            told,
            [
                ("a", ChangeKind::Created),
                ("b", ChangeKind::Created),
                ("c", ChangeKind::Created)
            ]
        );
        // The marks come and go, and are no changes.
        vault.look(None).await.unwrap();
        house.peer.tamper("a", |note| {
            note.metadata.insert("channel_inbound_rendered_at".into(), "now".into());
        });
        vault.look(None).await.unwrap();
        assert_eq!(vault.changes(0, 10).await.unwrap().len(), 3);
    }
}

#[tokio::test]
async fn vapi_row_16_what_an_agent_writes_at_the_server_itself_is_found() {
    let house = House::new(Version::May);
    let vault = house.open();
    vault.look(None).await.unwrap();
    // By MCP or by hand: no webhook, no word to us.
    house.message(
        "m",
        &json!({ "metadata": { "agent": "critic", "sender": "agent:eng" } }),
    );
    let [change] = <[_; 1]>::try_from(changes(&*vault, 1).await).unwrap();
    assert_eq!(change.note.unwrap().text("sender").as_deref(), Some("agent:eng"));
}

#[tokio::test]
async fn what_the_kind_cannot_do_is_refused_by_name() {
    let house = House::new(Version::May);
    let vault = house.open();
    let expected = Capabilities {
        atomic_batches: false,
        remove_metadata: false,
        search: false,
        order_by: false,
        operators: true,
        tag_schemas: false,
        tag_parents: false,
        links: false,
        triggers: false,
        without_path: true,
    };
    assert_eq!(vault.capabilities(), expected);
    let by_links = Query {
        has_links: Some(true),
        ..Query::default()
    };
    for query in [
        by_links,
        Query {
            search: Some("x".into()),
            ..Query::default()
        },
    ] {
        let outcome = vault.query(&query).await;
        assert!(matches!(outcome, Err(VaultError::Unsupported { .. })), "{outcome:?}");
    }
    let two = vec![crate::contract::note("a"), crate::contract::note("b")];
    let error = vault.create_all(two).await.unwrap_err();
    assert!(
        matches!(&error, VaultError::Unsupported { what, .. } if what.contains("one by one")),
        "{error}"
    );
    assert_eq!(house.peer.notes(), []);
    assert_eq!(vault.create_all(Vec::new()).await.unwrap(), []);
}

#[tokio::test]
async fn the_vault_as_a_whole_is_told_as_its_server_tells_it() {
    let house = House::new(Version::May);
    let vault = house.open();
    let profile = vault.profile();
    assert_eq!(profile.description().await.unwrap(), None);
    profile.describe(" Notes of a team. ").await.unwrap();
    assert_eq!(
        profile.description().await.unwrap().as_deref(),
        Some("Notes of a team.")
    );
    let note = vault.create(crate::contract::note("n")).await.unwrap();
    let stats = profile.stats().await.unwrap();
    assert_eq!((stats.notes, stats.latest), (1, Some((note.id, note.created_at))));
    assert!(profile.made_at().await.unwrap() <= note.created_at);
}
