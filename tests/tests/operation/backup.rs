//! Copies of vaults, and the way back.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Builder, LIMIT, run};
use reveille_tests::{Daemon, eventually};
use serde_json::{Value, json};

const TWO: &str =
    "[[vault]]\nname = \"own\"\n[[vault]]\nname = \"files\"\nkind = \"folder\"\npath = \"SCRATCH/shared\"\n";

fn two() -> Builder {
    Daemon::builder().stand_in().config(TWO)
}

async fn upload(daemon: &Daemon, vault: &str, bytes: &str) -> Result<Value> {
    let body = format!(
        "--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\ncontent-type: text/plain\r\n\r\n{bytes}\r\n--x--\r\n"
    );
    let bearer = daemon.bearer();
    let headers = [
        (bearer.0, bearer.1.as_str()),
        ("content-type", "multipart/form-data; boundary=x"),
    ];
    let target = format!("/vault/{vault}/api/storage/upload");
    let answer = daemon.ask("POST", &target, &headers, body.as_bytes()).await?;
    ensure!(answer.status == 201, "{answer:?}");
    Ok(answer.json()?["path"].clone())
}

async fn put(daemon: &Daemon, vault: &str, note: &Value) -> Result<()> {
    let target = format!("/vault/{vault}/api/notes");
    let answer = daemon.ask_in("POST", &target, note.to_string().as_bytes()).await?;
    ensure!(answer.status == 201, "{answer:?}");
    Ok(())
}

/// All notes of a vault with everything that is told of them, and the bytes of the file that one has.
async fn contents(daemon: &Daemon, vault: &str) -> Result<(Value, String)> {
    let target = format!("/vault/{vault}/api/notes?include_content=true&include_attachments=true&limit=1000");
    let notes = daemon.ask_in("GET", &target, b"").await?.json()?;
    let with = notes
        .as_array()
        .into_iter()
        .flatten()
        .find_map(|note| note["attachments"][0]["path"].as_str());
    let path = with.with_context(|| format!("no file in {notes}"))?.to_owned();
    let file = daemon
        .ask_in("GET", &format!("/vault/{vault}/api/storage/{path}"), b"")
        .await?;
    Ok((notes, String::from_utf8_lossy(&file.body).into_owned()))
}

async fn filled() -> Result<Daemon> {
    let daemon = two().start().await?;
    for vault in ["own", "files"] {
        let path = upload(&daemon, vault, &format!("bytes of {vault}")).await?;
        put(
            &daemon,
            vault,
            &json!({"path": "A/with", "content": "see", "attachments": [{"path": path}], "tags": ["x"]}),
        )
        .await?;
        put(
            &daemon,
            vault,
            &json!({"path": "b", "content": "second", "metadata": {"k": [1, null]}}),
        )
        .await?;
    }
    std::fs::write(daemon.scratch().join("shared/picture.png"), "no note")?;
    Ok(daemon)
}

fn names(dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        names.extend(entry?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

async fn done(daemon: &Daemon, args: &[&str]) -> Result<Value> {
    let ran = daemon.run(args).await?;
    ensure!(ran.code == 0, "{args:?}: {ran:?}");
    serde_json::from_str(&ran.stdout).context(ran.stdout)
}

#[tokio::test]
async fn a_copy_put_into_a_new_state_directory_has_the_same_notes_whether_or_not_the_daemon_ran() -> Result<()> {
    let mut daemon = filled().await?;
    let before = [contents(&daemon, "own").await?, contents(&daemon, "files").await?];
    for running in [true, false] {
        let dir = daemon.scratch().join(format!("backup-{running}"));
        let to = dir.to_str().context("a path")?.to_owned();
        if !running {
            // As a crash leaves it: what was written last is not in the file of the database yet.
            daemon.kill9().await?;
        }
        let made = done(&daemon, &["vault", "backup", &to, "--json"]).await?;
        let told: Vec<_> = made["backups"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| one["vault"].clone())
            .collect();
        assert_eq!(told, [json!("own"), json!("files")], "{made}");
        assert_eq!(
            names(&dir)?,
            [
                "files",
                "files.folder.db",
                "files.folder.db-files",
                "own.db",
                "own.db-files"
            ]
        );

        let mut other = two().start().await?;
        other.stop().await?;
        std::fs::remove_dir_all(other.state_dir())?;
        let put_back = done(&other, &["vault", "restore", &to, "--json"]).await?;
        assert_eq!(put_back["restored"].as_array().map(Vec::len), Some(2), "{put_back}");
        other.start().await?;
        let after = [contents(&other, "own").await?, contents(&other, "files").await?];
        assert_eq!(after, before, "{running}");
        assert_eq!(
            std::fs::read_to_string(other.scratch().join("shared/picture.png"))?,
            "no note"
        );
    }
    Ok(())
}

#[tokio::test]
async fn nothing_is_overwritten_unless_that_is_said() -> Result<()> {
    let mut daemon = filled().await?;
    let dir = daemon.scratch().join("backup");
    let to = dir.to_str().context("a path")?.to_owned();
    done(&daemon, &["vault", "backup", &to, "--json"]).await?;
    let first = std::fs::read(dir.join("own.db"))?;
    put(&daemon, "own", &json!({"path": "late", "content": "late"})).await?;
    for running in [true, false] {
        if !running {
            daemon.stop().await?;
        }
        let again = daemon.run(["vault", "backup", &to]).await?;
        assert_eq!(again.code, 4, "{running}: {again:?}");
        // Each of them is told.
        for said in ["own.db is there already", "files is there already"] {
            assert!(again.stderr.contains(said), "{running}: {said}: {again:?}");
        }
        assert_eq!(std::fs::read(dir.join("own.db"))?, first);
    }
    let made = done(&daemon, &["vault", "backup", &to, "--force", "--json"]).await?;
    assert_eq!(made["backups"][0]["notes"], 3, "{made}");
    let back = daemon.run(["vault", "restore", &to]).await?;
    assert!(
        back.code == 4 && back.stderr.contains("own.db is there already"),
        "{back:?}"
    );
    assert!(back.stderr.contains("move it away first"), "{back:?}");
    std::fs::rename(daemon.shared(), daemon.scratch().join("away"))?;
    done(&daemon, &["vault", "restore", &to, "--force", "--json"]).await?;
    daemon.start().await?;
    assert_eq!(contents(&daemon, "files").await?.1, "bytes of files");
    let late = daemon.ask_in("GET", "/vault/own/api/notes/late", b"").await?;
    assert_eq!(late.status, 200);
    let busy = daemon.run(["vault", "restore", &to, "--force"]).await?;
    assert!(
        busy.code == 1 && busy.stderr.contains("another reveille daemon"),
        "{busy:?}"
    );
    Ok(())
}

/// Where mounts of one's own are forbidden, there is no small disk to be had.
async fn cannot_mount() -> Result<bool> {
    let mut command = tokio::process::Command::new("unshare");
    command.args([
        "--user",
        "--map-root-user",
        "--mount",
        "mount",
        "-t",
        "tmpfs",
        "none",
        "/mnt",
    ]);
    Ok(run(command, "").await?.code != 0)
}

#[tokio::test]
async fn a_full_disk_leaves_nothing_half_and_what_was_there() -> Result<()> {
    if cannot_mount().await? {
        return Ok(());
    }
    let script =
        "mkdir -p \"$1/../../home/small\"; mount -t tmpfs -o size=1500k,mode=0700 none \"$1/../../home/small\"";
    let daemon = Daemon::builder().stand_in().mounts(script).start().await?;
    put(&daemon, "default", &json!({"path": "a", "content": "small"})).await?;
    let dir = daemon.scratch().join("small/backup");
    let to = dir.to_str().context("a path")?.to_owned();
    done(&daemon, &["vault", "backup", &to, "--json"]).await?;
    let seen = PathBuf::from(format!("/proc/{}/root", daemon.pid())).join(dir.strip_prefix("/")?);
    let before = std::fs::read(seen.join("default.db"))?;
    // Neither the notes nor the files fit any more.
    let large = upload(&daemon, "default", &"x".repeat(1_200_000)).await?;
    put(
        &daemon,
        "default",
        &json!({"path": "b", "content": "see", "attachments": [{"path": large}]}),
    )
    .await?;
    for (to, force) in [(to.clone(), true), (format!("{to}/../other"), false)] {
        let args = ["vault", "backup", &to, "--force"];
        let full = daemon.run(&args[..if force { 4 } else { 3 }]).await?;
        assert!(full.code == 4 && full.stderr.contains("nothing was copied"), "{full:?}");
    }
    assert_eq!(names(&seen)?, ["default.db", "default.db-files"]);
    assert_eq!(names(&seen.join("default.db-files"))?, Vec::<String>::new());
    assert_eq!(std::fs::read(seen.join("default.db"))?, before);
    assert_eq!(names(&seen.with_file_name("other"))?, Vec::<String>::new());
    daemon.create_agent("eng", "You go on.").await?;
    let sent = daemon.send("eng", "hello").await?;
    daemon.wait_turn("eng", &sent).await?;
    daemon.wait_quiet(LIMIT).await?;
    Ok(())
}

#[tokio::test]
async fn notes_on_another_server_are_told_and_one_that_fails_is_no_reason_to_leave_out_the_others() -> Result<()> {
    let config = format!("{TWO}[[vault]]\nname = \"far\"\nkind = \"parachute\"\nurl = \"http://127.0.0.1:9\"\n");
    let mut daemon = Daemon::builder().stand_in().config(&config).start().await?;
    let dir = daemon.scratch().join("backup");
    let to = dir.to_str().context("a path")?.to_owned();
    for running in [true, false] {
        if !running {
            daemon.stop().await?;
        }
        let made = done(&daemon, &["vault", "backup", &to, "--force", "--json"]).await?;
        assert_eq!(made["elsewhere"], json!(["far"]), "{running}: {made}");
        assert_eq!(made["failed"], json!([]));
    }
    std::fs::write(
        daemon.state_dir().join("vaults/own.db"),
        "no vault, by far not one of ours",
    )?;
    let partly = daemon.run(["vault", "backup", &to, "--force", "--json"]).await?;
    let told: Value = serde_json::from_str(&partly.stdout)?;
    assert_eq!(partly.code, 1, "{partly:?}");
    assert_eq!(
        (&told["backups"][0]["vault"], &told["failed"][0]["vault"]),
        (&json!("files"), &json!("own"))
    );
    Ok(())
}

#[tokio::test]
async fn messages_beside_a_new_queue_are_not_worked_on_again() -> Result<()> {
    let mut daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    let sent = daemon.send("eng", "[[reply once]]").await?;
    daemon.wait_turn("eng", &sent).await?;
    daemon.wait_quiet(LIMIT).await?;
    let dir = daemon.scratch().join("backup");
    let to = dir.to_str().context("a path")?.to_owned();
    done(&daemon, &["vault", "backup", &to, "--json"]).await?;
    daemon.stop().await?;
    std::fs::remove_dir_all(daemon.state_dir())?;
    let back = daemon.run(["vault", "restore", &to]).await?;
    assert!(back.code == 0 && back.stderr.contains("wake nobody"), "{back:?}");
    daemon.start().await?;
    let next = daemon.send("eng", "[[reply next]]").await?;
    assert_eq!(daemon.wait_turn("eng", &next).await?.reply.as_deref(), Some("next"));
    let expected = ["[[reply once]]", "once", "[[reply next]]", "next"];
    eventually("the next answer, and no other, is in the vault", LIMIT, async || {
        let said: Vec<String> = daemon.messages("eng").await?.into_iter().map(|one| one.text).collect();
        ensure!(said.len() <= expected.len(), "{said:?}");
        Ok((said == expected).then_some(()))
    })
    .await?;
    // With the queue that knows them nothing is changed.
    daemon.stop().await?;
    let back = daemon.run(["vault", "restore", &to, "--force"]).await?;
    assert!(back.code == 0 && !back.stderr.contains("wake nobody"), "{back:?}");
    Ok(())
}
