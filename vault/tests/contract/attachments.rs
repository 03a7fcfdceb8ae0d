//! Files, and the notes that they belong to.

use std::sync::Arc;

use jiff::Timestamp;
use pretty_assertions::assert_eq;
use reveille_vault::{
    Attachment, Key, NewAttachment, NewFile, NewNote, Patch, Precondition, StoredFile, Vault, VaultError,
};
use tokio::io::AsyncReadExt;

use super::{at_id, get, id, note, refused};

/// Uploads `bytes` in pieces that fit nothing.
pub(crate) async fn upload(vault: &dyn Vault, name: &str, bytes: &[u8]) -> StoredFile {
    let file = NewFile {
        filename: name.into(),
        mime_type: Some("Text/Plain; charset=utf-8".into()),
    };
    let mut upload = vault.files().upload(file).await.unwrap();
    for piece in bytes.chunks(70_001) {
        upload.write(piece).await.unwrap();
    }
    upload.finish().await.unwrap()
}

/// The bytes under a path; `None` when there is no such file.
pub(crate) async fn bytes_of(vault: &dyn Vault, path: &str) -> Option<Vec<u8>> {
    let mut open = vault.files().open(path).await.unwrap()?;
    let mut bytes = Vec::new();
    open.bytes.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(open.file.size, bytes.len() as u64);
    Some(bytes)
}

async fn attach(vault: &dyn Vault, note: &str, path: &str) -> Attachment {
    vault
        .files()
        .attach(&at_id(note), NewAttachment::of(path))
        .await
        .unwrap()
}

async fn paths(vault: &dyn Vault, note: &str) -> Vec<String> {
    let attachments = vault.files().attachments(&at_id(note)).await.unwrap();
    attachments.into_iter().map(|attachment| attachment.path).collect()
}

pub(crate) async fn a_file_is_uploaded_and_read_back(vault: Arc<dyn Vault>) {
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[n as usize % 4]).collect();
    for (name, bytes) in [("a b.TXT", large.as_slice()), ("empty", b""), ("one", b"\0")] {
        let stored = upload(&*vault, name, bytes).await;
        let expected = StoredFile {
            path: stored.path.clone(),
            filename: name.into(),
            mime_type: "text/plain".into(),
            size: bytes.len() as u64,
            created_at: stored.created_at,
        };
        assert_eq!(stored, expected);
        assert_eq!(vault.files().open(&stored.path).await.unwrap().unwrap().file, expected);
        assert_eq!(bytes_of(&*vault, &stored.path).await.as_deref(), Some(bytes), "{name}");
    }

    let nameless = vault.files().upload(NewFile::default()).await.unwrap();
    let nameless = nameless.finish().await.unwrap();
    let known = (nameless.filename.as_str(), nameless.mime_type.as_str());
    assert_eq!(known, ("file", "application/octet-stream"));
}

pub(crate) async fn a_path_is_only_ever_a_name(vault: Arc<dyn Vault>) {
    let hostile = "../../../../tmp/pwned.sh";
    let stored = upload(&*vault, hostile, b"x").await;
    assert_eq!(stored.filename, hostile);
    let own = stored.path.split('/').collect::<Vec<_>>();
    assert!(own.len() == 2 && own.iter().all(|part| !part.contains("..")), "{own:?}");
    let folded = format!("{}/../{}", own[0], stored.path);
    for path in ["", "/", "..", "../vault.db", "/etc/passwd", hostile, own[1], &folded] {
        assert_eq!(bytes_of(&*vault, path).await, None, "{path}");
    }
}

pub(crate) async fn attachments_are_listed_in_order(vault: Arc<dyn Vault>) {
    vault.create(note("n")).await.unwrap();
    assert_eq!(vault.files().attachments(&at_id("n")).await.unwrap(), []);
    let (one, two) = (upload(&*vault, "1", b"1").await, upload(&*vault, "2", b"22").await);
    let first = attach(&*vault, "n", &two.path).await;
    let named = NewAttachment {
        path: one.path.clone(),
        filename: Some("other.png".into()),
        mime_type: Some("image/png".into()),
    };
    let second = vault.files().attach(&at_id("n"), named).await.unwrap();
    let expected = [
        Attachment {
            id: first.id.clone(),
            note: id("n"),
            path: two.path,
            filename: "2".into(),
            mime_type: "text/plain".into(),
            size: 2,
            created_at: first.created_at,
        },
        Attachment {
            id: second.id.clone(),
            note: id("n"),
            path: one.path,
            filename: "other.png".into(),
            mime_type: "image/png".into(),
            size: 1,
            created_at: second.created_at,
        },
    ];
    assert_ne!(first.id, second.id);
    assert_eq!([first, second], expected);
    assert_eq!(vault.files().attachments(&at_id("n")).await.unwrap(), expected);
}

pub(crate) async fn a_note_comes_with_its_attachments_or_not_at_all(vault: Arc<dyn Vault>) {
    let (one, two) = (upload(&*vault, "1", b"1").await, upload(&*vault, "2", b"2").await);
    let with = |name: &str, files: &[&str]| NewNote {
        path: Some(format!("p/{name}")),
        attachments: files.iter().copied().map(NewAttachment::of).collect(),
        ..note(name)
    };
    vault.create(with("a", &[&one.path, &two.path])).await.unwrap();
    assert_eq!(paths(&*vault, "a").await, [one.path.clone(), two.path.clone()]);

    let broken = with("b", &[&two.path, "2026-01-01/nothing.txt"]);
    assert!(matches!(
        vault.create(broken).await,
        Err(VaultError::NoFile { path }) if path == "2026-01-01/nothing.txt"
    ));
    assert_eq!(vault.get(&at_id("b")).await.unwrap(), None);

    // On a note that is there an upsert changes the note and leaves its attachments alone.
    let create = NewNote {
        id: None,
        ..with("a", &[&two.path])
    };
    vault.upsert("p/a", Patch::default(), create.clone()).await.unwrap();
    assert_eq!(paths(&*vault, "a").await.len(), 2);
    let (made, _) = vault.upsert("p/c", Patch::default(), create).await.unwrap();
    assert_eq!(paths(&*vault, made.id.as_str()).await, [two.path]);
}

pub(crate) async fn what_cannot_be_attached_is_refused(vault: Arc<dyn Vault>) {
    vault.create(note("n")).await.unwrap();
    let stored = upload(&*vault, "1", b"1").await;
    let files = vault.files();
    for path in ["", "2026-01-01/x", "../../etc/passwd", &stored.path[1..]] {
        let outcome = files.attach(&at_id("n"), NewAttachment::of(path)).await;
        assert!(matches!(outcome, Err(VaultError::NoFile { .. })), "{path}: {outcome:?}");
    }
    let no_type = NewAttachment {
        mime_type: Some("png".into()),
        ..NewAttachment::of(&stored.path)
    };
    assert!(refused(files.attach(&at_id("n"), no_type).await).contains("media type"));
    for absent in [at_id("x"), Key::Path("x".into())] {
        let new = NewAttachment::of(&stored.path);
        assert!(refused(files.attach(&absent, new).await).starts_with("NotFound"));
        assert!(refused(files.attachments(&absent).await).starts_with("NotFound"));
        assert!(refused(files.detach(&absent, "a").await).starts_with("NotFound"));
    }
    assert!(refused(files.detach(&at_id("n"), "a").await).starts_with("NotFound"));

    let many = NewNote {
        attachments: vec![NewAttachment::of(&stored.path); 1001],
        ..note("many")
    };
    assert!(refused(vault.create(many).await).contains("1000 attachments"));
    assert_eq!(vault.get(&at_id("many")).await.unwrap(), None);
}

pub(crate) async fn a_file_goes_with_the_last_of_its_attachments(vault: Arc<dyn Vault>) {
    for name in ["a", "b"] {
        vault.create(note(name)).await.unwrap();
    }
    let (shared, own) = (upload(&*vault, "s", b"s").await, upload(&*vault, "o", b"o").await);
    let on_a = attach(&*vault, "a", &shared.path).await;
    for path in [&shared.path, &shared.path, &own.path] {
        attach(&*vault, "b", path).await;
    }
    // Not of this note.
    assert!(refused(vault.files().detach(&at_id("b"), &on_a.id).await).starts_with("NotFound"));

    vault.files().detach(&at_id("a"), &on_a.id).await.unwrap();
    assert!(refused(vault.files().detach(&at_id("a"), &on_a.id).await).starts_with("NotFound"));
    assert_eq!(paths(&*vault, "a").await, Vec::<String>::new());
    assert!(bytes_of(&*vault, &shared.path).await.is_some());

    vault.delete(&at_id("b")).await.unwrap();
    assert_eq!(bytes_of(&*vault, &shared.path).await, None);
    assert_eq!(bytes_of(&*vault, &own.path).await, None);
    let gone = vault.files().attach(&at_id("a"), NewAttachment::of(&own.path)).await;
    assert!(matches!(gone, Err(VaultError::NoFile { .. })));
}

pub(crate) async fn only_what_nobody_attached_is_swept(vault: Arc<dyn Vault>) {
    vault.create(note("n")).await.unwrap();
    let (used, unused) = (upload(&*vault, "u", b"u").await, upload(&*vault, "n", b"n").await);
    attach(&*vault, "n", &used.path).await;
    let mut running = vault.files().upload(NewFile::default()).await.unwrap();

    assert_eq!(vault.files().sweep(unused.created_at).await.unwrap(), 0);
    assert!(bytes_of(&*vault, &unused.path).await.is_some());
    let later = Timestamp::now() + jiff::SignedDuration::from_hours(1);
    assert_eq!(vault.files().sweep(later).await.unwrap(), 1);
    assert_eq!(bytes_of(&*vault, &unused.path).await, None);
    assert_eq!(bytes_of(&*vault, &used.path).await.as_deref(), Some(&b"u"[..]));
    assert_eq!(vault.files().sweep(later).await.unwrap(), 0);

    // More than a sweep takes at once.
    for number in 0..201 {
        upload(&*vault, &number.to_string(), b"").await;
    }
    assert_eq!(vault.files().sweep(later).await.unwrap(), 201);
    // The one that still ran is whole, or it is not there.
    running.write(b"x").await.unwrap();
    if let Ok(file) = running.finish().await {
        assert_eq!(bytes_of(&*vault, &file.path).await.as_deref(), Some(&b"x"[..]));
    }
}

pub(crate) async fn an_attachment_is_no_change_of_its_note(vault: Arc<dyn Vault>) {
    vault.create(note("n")).await.unwrap();
    let (before, mut watch) = (get(&*vault, "n").await, vault.watch());
    watch.borrow_and_update();
    let stored = upload(&*vault, "a", b"a").await;
    let attachment = attach(&*vault, "n", &stored.path).await;
    vault.files().detach(&at_id("n"), &attachment.id).await.unwrap();
    assert_eq!(get(&*vault, "n").await, before);
    assert_eq!(vault.changes(0, 10).await.unwrap().len(), 1);
    assert!(!watch.has_changed().unwrap());
    // And it stands in nobody's way.
    let precondition = Precondition::UpdatedAt(before.updated_at);
    vault
        .patch(&at_id("n"), super::append("!"), precondition)
        .await
        .unwrap();
}

pub(crate) async fn the_notes_of_a_file_are_told(vault: Arc<dyn Vault>) {
    let file = upload(&*vault, "a.txt", b"a").await.path;
    let notes_of = async |path: &str| {
        let notes = vault.files().notes_of(path).await.unwrap();
        notes.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(notes_of(&file).await, Vec::<String>::new());
    assert_eq!(notes_of("nothing").await, Vec::<String>::new());
    for text in ["one", "two"] {
        vault.create(note(text)).await.unwrap();
        attach(&*vault, text, &file).await;
    }
    // Twice on one note is one note.
    attach(&*vault, "one", &file).await;
    assert_eq!(notes_of(&file).await, ["one", "two"]);
    vault.delete(&at_id("one")).await.unwrap();
    assert_eq!(notes_of(&file).await, ["two"]);
}
