//! Files of the embedded vault: what only its directory can show.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use jiff::{SignedDuration, Timestamp};
use pretty_assertions::assert_eq;
use reveille_vault::{NewAttachment, NewFile, NewNote};

use super::contract::attachments::{bytes_of, upload};
use super::*;

/// The directory with the bytes, and what is in it.
fn bytes(file: &Path) -> (PathBuf, Vec<String>) {
    let dir = PathBuf::from(format!("{}-files", file.display()));
    let names = names(&dir);
    (dir, names)
}

#[tokio::test]
async fn the_bytes_are_private_and_named_by_the_vault() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("vault.db");
    drop(open(&file));
    let files = bytes(&file).0;
    std::fs::set_permissions(&files, PermissionsExt::from_mode(0o755)).unwrap();

    let vault = open(&file);
    upload(&*vault, "../../pwned.sh", b"x").await;
    let (files, names) = bytes(&file);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&files), mode(&files.join(&names[0]))), (0o700, 0o600));
    assert!(names.len() == 1 && names[0].len() == 36, "{names:?}");
}

#[tokio::test]
async fn an_upload_that_is_given_up_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("vault.db");
    let vault = open(&file);
    let mut given_up = vault.files().upload(NewFile::default()).await.unwrap();
    given_up.write(&[7; 100_000]).await.unwrap();
    assert_eq!(bytes(&file).1.len(), 1);
    drop(given_up);
    assert_eq!(bytes(&file).1, Vec::<String>::new());
    // Nor does one that lasts longer than the sweep waits get a row without bytes.
    let slow = vault.files().upload(NewFile::default()).await.unwrap();
    let later = Timestamp::now() + SignedDuration::from_hours(1);
    assert_eq!(vault.files().sweep(later).await.unwrap(), 0);
    assert!(unavailable(slow.finish().await).contains("upload the file again"));
    assert_eq!(bytes(&file).1, Vec::<String>::new());
    assert_eq!(doomed(&file), 0);
}

/// Names that the vault still has to take away.
fn doomed(file: &Path) -> i64 {
    let conn = rusqlite::Connection::open(file).unwrap();
    conn.query_row("SELECT count(*) FROM doomed_files", [], |row| row.get(0))
        .unwrap()
}

#[tokio::test]
async fn removed_files_leave_neither_bytes_nor_names() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("vault.db");
    let vault = open(&file);
    let stored = upload(&*vault, "a", b"a").await;
    vault
        .create(NewNote {
            attachments: vec![NewAttachment::of(&stored.path)],
            ..note("n")
        })
        .await
        .unwrap();
    vault.delete(&at_id("n")).await.unwrap();
    assert_eq!((bytes(&file).1, doomed(&file)), (Vec::new(), 0));
}

#[tokio::test]
async fn a_crash_between_a_removal_and_its_bytes_is_made_good_at_the_next_opening() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("vault.db");
    let vault = open(&file);
    let kept = upload(&*vault, "kept", b"kept").await;
    let gone = upload(&*vault, "gone", b"gone").await;
    vault.close().await;
    // As the transaction of the removal leaves it. Strangers in the directory are nobody's to take away.
    let conn = rusqlite::Connection::open(&file).unwrap();
    conn.execute_batch(&format!(
        "INSERT INTO doomed_files SELECT id, 1 FROM files WHERE path = '{path}'; DELETE FROM files WHERE path = '{path}'; \
         INSERT INTO doomed_files VALUES ('never-written', 1)",
        path = gone.path
    ))
    .unwrap();
    std::fs::write(bytes(&file).0.join("stranger"), "x").unwrap();
    assert_eq!(bytes(&file).1.len(), 3);

    let vault = open(&file);
    assert_eq!((bytes(&file).1.len(), doomed(&file)), (2, 0));
    assert_eq!(bytes_of(&*vault, &kept.path).await.as_deref(), Some(&b"kept"[..]));
    assert_eq!(bytes_of(&*vault, &gone.path).await, None);
}

#[tokio::test]
async fn bytes_that_are_gone_are_told_as_such() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("vault.db");
    let vault = open(&file);
    let stored = upload(&*vault, "a", b"a").await;
    std::fs::remove_dir_all(bytes(&file).0).unwrap();
    let reason = unavailable(vault.files().open(&stored.path).await.map(drop));
    assert!(reason.contains("restore"), "{reason}");
    let reason = unavailable(vault.files().upload(NewFile::default()).await.map(drop));
    assert!(reason.contains("could not be read or written"), "{reason}");
}

/// Names the file for [`child_that_uploads`].
const CHILD_FILE: &str = "REVEILLE_TEST_UPLOADS_FILE";

/// Not a test by itself: the process that [`no_row_is_without_its_bytes_after_kill_9`] starts and kills. It prints each path
/// once the vault has acknowledged it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_uploads() {
    let Some(file) = std::env::var_os(CHILD_FILE) else {
        return;
    };
    let vault = open(Path::new(&file));
    let mut writers: JoinSet<()> = JoinSet::new();
    for _ in 0..4 {
        let vault = Arc::clone(&vault);
        writers.spawn(async move {
            loop {
                let stored = upload(&*vault, "a", &[7; 200_000]).await;
                let note = NewNote {
                    content: "x".into(),
                    attachments: vec![NewAttachment::of(&stored.path)],
                    ..NewNote::default()
                };
                let note = vault.create(note).await.unwrap();
                println!("acknowledged {}", stored.path);
                // Every other one is taken away again.
                if stored.path.as_bytes().last().is_some_and(|last| last % 2 == 0) {
                    vault.delete(&Key::Id(note.id)).await.unwrap();
                }
            }
        });
    }
    writers.join_all().await;
}

#[tokio::test]
async fn no_row_is_without_its_bytes_after_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("vault.db");
    for round in 1..=3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "files::child_that_uploads", "--nocapture"])
            .env(CHILD_FILE, &file)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let mut paths = lines.by_ref().filter(|line| line.starts_with("acknowledged "));
        assert_eq!(paths.by_ref().take(20 * round).count(), 20 * round);
        child.kill().unwrap();
        child.wait().unwrap();

        let vault = open(&file);
        let conn = rusqlite::Connection::open(&file).unwrap();
        let rows = |sql: &str| -> Vec<String> {
            let mut statement = conn.prepare(sql).unwrap();
            let rows = statement.query_map([], |row| row.get(0)).unwrap();
            rows.map(Result::unwrap).collect()
        };
        let paths = rows("SELECT path FROM files");
        assert!(!paths.is_empty());
        for path in paths {
            assert_eq!(bytes_of(&*vault, &path).await.unwrap().len(), 200_000, "{path}");
        }
        assert_eq!(
            (bytes(&file).1, doomed(&file)),
            (rows("SELECT id FROM files ORDER BY id"), 0)
        );
        vault.close().await;
    }
}
