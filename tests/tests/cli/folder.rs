//! `note export` and `note import`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{LIMIT, Sent};
use reveille_tests::{Daemon, eventually};
use serde_json::{Value, json};

use super::{json_out, out, told};

async fn daemon() -> Result<Daemon> {
    Daemon::builder().stand_in().start().await
}

async fn post(daemon: &Daemon, path: &[&str], body: &Value) -> Result<Value> {
    let path = [&["vault", "default", "api"], path].concat();
    daemon.request(Method::POST, &path, Some(body)).await?.ok()
}

/// Uploads a file. Answers its path in the vault.
async fn upload(daemon: &Daemon, name: &str, kind: &str, bytes: &[u8]) -> Result<Value> {
    let boundary = "----reveille-test";
    let head = format!(
        "--{boundary}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\ncontent-type: {kind}\r\n\r\n"
    );
    let body = [head.as_bytes(), bytes, format!("\r\n--{boundary}--\r\n").as_bytes()].concat();
    let form = format!("multipart/form-data; boundary={boundary}");
    let bearer = daemon.bearer();
    let headers = [(bearer.0, bearer.1.as_str()), ("content-type", form.as_str())];
    let answer = daemon
        .ask("POST", "/vault/default/api/storage/upload", &headers, &body)
        .await?;
    ensure!(answer.status == 201, "{answer:?}");
    Ok(answer.json()?["path"].clone())
}

/// The files below a folder with their bytes, without hidden ones.
fn files(root: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir)? {
            let path = entry?.path();
            let name = path.strip_prefix(root)?.to_str().context("UTF-8")?.to_owned();
            if path.is_dir() {
                dirs.push(path);
            } else if !name.starts_with('.') {
                found.insert(name, std::fs::read(&path)?);
            }
        }
    }
    Ok(found)
}

/// The same without what an import does not keep: the time of the last change, and the mark that it writes.
fn kept(root: &Path) -> Result<BTreeMap<String, String>> {
    let files = files(root)?.into_iter().map(|(name, bytes)| {
        let text = String::from_utf8_lossy(&bytes);
        let lines = text
            .split_inclusive('\n')
            .filter(|line| !line.starts_with("imported: "));
        let line = |line: &str| match line.rsplit_once("\"updated\": \"") {
            Some((before, after)) => format!("{before}{}", after.get(24..).unwrap_or_default()),
            None => line.to_owned(),
        };
        (name, lines.map(line).collect())
    });
    Ok(files.collect())
}

fn folder(daemon: &Daemon, name: &str) -> (PathBuf, String) {
    let dir = daemon.scratch().join(name);
    let text = dir.display().to_string();
    (dir, text)
}

/// The end of the output of a command that did a part of its work.
async fn partly(daemon: &Daemon, args: &[&str]) -> Result<(String, String)> {
    let ran = daemon.run(args).await?;
    ensure!(ran.code == 1, "{args:?}: {ran:?}");
    Ok((ran.stdout, ran.stderr))
}

/// Notes that are not easy to keep in files.
async fn odd_notes(daemon: &Daemon) -> Result<()> {
    let picture = upload(daemon, "ä \u{1f980}.PNG", "image/png", b"\x89PNG\r\n---\nnot really").await?;
    let paper = upload(daemon, "minutes", "text/plain", b"").await?;
    let with = |path: &Value, name: &str| json!({"path": path, "filename": name, "mimeType": "image/png"});
    let metadata = json!({
        "text": "x: y # z", "empty": "", "null": null, "yes": true, "word": "yes", "int": -7, "big": u64::MAX, "real": 1.5,
        "whole": 2.0, "list": [1, "a", [null]], "map": {"a": {"b": []}}, "id": "mine", "created": {"at": 1},
        "tags": ["not a tag"], "reveille": {"updated": "2026-07-02T10:00:00.000Z"}, "path": "elsewhere", "ü: \"1\"": "\n",
        "attachments": [], "date": "2026-07-02",
    });
    for note in [
        json!({"path": "Odd/front matter", "content": "---\nid: other\ntags: [x]\n---\nbody\n---\n", "metadata": metadata}),
        json!({"path": "Odd/dashes", "content": "---"}),
        json!({"path": "Odd/lines", "content": "a\r\nb\rc\n\n\u{feff}\u{2028}\0\u{1b}[31m", "tags": ["a/b", "two words"]}),
        json!({"path": "Odd/ünï/🦀", "content": "#tag\n\ntext", "createdAt": "2001-02-03T04:05:06.007Z"}),
        json!({"path": "Odd/empty", "content": ""}),
        json!({"content": "no path", "id": "short-id"}),
        json!({"content": "no path either", "id": "..", "tags": ["x"]}),
        json!({"path": "../up", "content": "outside?"}),
        json!({"path": ".hidden/x", "content": "hidden?"}),
        json!({"path": format!("long/{}", "x".repeat(300)), "content": "long?"}),
        json!({"path": "_unfiled/short-id", "content": "reserved?"}),
        json!({"path": "Odd/name.md/", "content": "an ending"}),
        json!({"path": "Odd/dashes.md/below", "content": "a directory with the name of a file"}),
        json!({"path": "Case/a", "content": "small", "createdAt": "2026-07-02T10:00:00Z"}),
        json!({"path": "Case/A", "content": "LARGE", "createdAt": "2026-07-02T10:00:00Z"}),
        json!({"path": "With/files", "content": "see", "attachments": [with(&picture, "ä \"1\".png"), paper]}),
        json!({"path": "With/the same file", "content": "see", "attachments": [with(&picture, "b.png")]}),
    ] {
        post(daemon, &["notes"], &note).await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_is_exported_and_imported_is_exported_again_byte_for_byte() -> Result<()> {
    let (one, two) = (daemon().await?, daemon().await?);
    odd_notes(&one).await?;
    one.create_agent("eng", "You are an engineer.").await?;
    let sent = one.send("eng", "[[reply done]]").await?;
    one.wait_turn("eng", &sent).await?;
    // Nothing is written any more.
    one.wait_quiet(LIMIT).await?;
    eventually("the definition says that it is in use", LIMIT, async || {
        let note = one.note("Agents/eng").await?.context("the definition")?;
        Ok((note["metadata"]["status"] == "enabled").then_some(()))
    })
    .await?;
    let turns = turns(&one).await?;
    let (first, first_text) = folder(&one, "first");
    let said = out(&one, &["note", "export", &first_text]).await?;
    assert!(said.starts_with("21 notes and 3 files in "), "{said}");
    let before = files(&first)?;
    assert_eq!(
        before.get("Odd/dashes.md").map(|bytes| bytes.ends_with(b"---\n---")),
        Some(true)
    );
    assert!(
        before.contains_key("Case/a.md") && !before.contains_key("Case/A.md"),
        "{:?}",
        before.keys()
    );
    let again = out(&one, &["note", "export", &first_text]).await?;
    assert!(again.contains(": 0 new, 0 changed, "), "{again}");
    assert_eq!(files(&first)?, before);

    assert_eq!(
        out(&two, &["note", "import", &first_text]).await?,
        "21 notes created, 0 changed, 0 were there as they are\n"
    );
    let (second, second_text) = folder(&two, "second");
    out(&two, &["note", "export", &second_text]).await?;
    assert_eq!(kept(&second)?, kept(&first)?);
    assert_eq!(
        out(&two, &["note", "import", &first_text]).await?,
        "0 notes created, 0 changed, 21 were there as they are\n"
    );

    // The message has had its turn, over there.
    let note = two.note(&sent.id).await?.context("the message came along")?;
    assert!(note["metadata"]["imported"].is_string(), "{note}");
    let next = two.send("eng", "[[reply after it]]").await?;
    assert_eq!(two.wait_turn("eng", &next).await?.reply.as_deref(), Some("after it"));
    assert_eq!((turns, self::turns(&two).await?), (1, 1));
    // Until somebody takes the mark away.
    out(
        &two,
        &["note", "put", path_of(&note)?, "[[reply late]]", "--meta", "imported="],
    )
    .await?;
    let late = Sent {
        id: sent.id,
        turn: None,
    };
    assert_eq!(two.wait_turn("eng", &late).await?.reply.as_deref(), Some("late"));
    Ok(())
}

fn path_of(note: &Value) -> Result<&str> {
    note["path"].as_str().context("it has a path")
}

/// How many turns there were.
async fn turns(daemon: &Daemon) -> Result<usize> {
    let turns = json_out(daemon, &["turn", "list", "eng", "--json"]).await?;
    Ok(turns["turns"].as_array().context("turns")?.len())
}

#[tokio::test]
async fn imported_messages_wake_only_when_they_are_told_to() -> Result<()> {
    let daemon = daemon().await?;
    let (dir, text) = folder(&daemon, "letters");
    std::fs::create_dir(&dir)?;
    // The message comes first in every order of names.
    std::fs::write(
        dir.join("a.md"),
        "---\ntags: [agent/message/inbound]\nagent: scribe\n---\n[[reply awake]]",
    )?;
    std::fs::write(
        dir.join("z.md"),
        "---\ntags: [agent/definition]\nname: scribe\n---\nYou write.",
    )?;
    assert_eq!(
        out(&daemon, &["note", "import", &text]).await?,
        "2 notes created, 0 changed, 0 were there as they are\n"
    );
    let note = daemon.note("a").await?.context("it was imported")?;
    assert!(note["metadata"]["imported"].is_string(), "{note}");

    // It differs by its mark now.
    let (_, why) = partly(&daemon, &["note", "import", &text, "--wake"]).await?;
    assert!(why.contains("a.md: ") && why.contains("metadata"), "{why}");
    assert_eq!(
        out(&daemon, &["note", "import", &text, "--wake", "--force"]).await?,
        "0 notes created, 1 changed, 1 were there as they are\n"
    );
    let id = note["id"].as_str().context("an id")?.to_owned();
    let sent = Sent { id, turn: None };
    assert_eq!(daemon.wait_turn("scribe", &sent).await?.reply.as_deref(), Some("awake"));
    Ok(())
}

#[tokio::test]
async fn what_is_there_is_left_alone_unless_it_is_forced() -> Result<()> {
    let daemon = daemon().await?;
    let file = upload(&daemon, "a.txt", "text/plain", b"one").await?;
    for (id, path) in [("i1", "one"), ("i2", "two"), ("i3", "three")] {
        let note = json!({
            "id": id, "path": path, "content": path, "tags": ["a"], "metadata": {"k": 1}, "attachments": [file],
            "createdAt": "2026-07-02T10:00:00Z",
        });
        post(&daemon, &["notes"], &note).await?;
    }
    let (dir, text) = folder(&daemon, "out");
    out(&daemon, &["note", "export", &text]).await?;
    let other = upload(&daemon, "a.txt", "text/plain", b"two").await?;
    let url = ["vault", "default", "api", "notes", "i1"];
    let patch = json!({
        "content": "other", "path": "moved", "metadata": {"k": 2, "more": 1}, "tags": {"add": ["b"], "remove": ["a"]},
        "force": true,
    });
    daemon.request(Method::PATCH, &url, Some(&patch)).await?.ok::<Value>()?;
    let attachments = daemon.request(
        Method::GET,
        &["vault", "default", "api", "notes", "i2", "attachments"],
        None,
    );
    let attachments: Vec<Value> = attachments.await?.ok()?;
    let old = attachments[0]["id"].as_str().context("an id")?;
    post(
        &daemon,
        &["notes", "i2", "attachments"],
        &json!({"path": other, "mimeType": "text/plain"}),
    )
    .await?;
    let url = ["vault", "default", "api", "notes", "i2", "attachments", old];
    let gone = daemon.request(Method::DELETE, &url, None).await?;
    assert_eq!(gone.status, 204);
    let before = daemon.note("i1").await?;

    let (said, why) = partly(&daemon, &["note", "import", &text]).await?;
    assert_eq!(said, "0 notes created, 0 changed, 1 were there as they are\n");
    for part in [
        "one.md: ",
        "path, text, tags, metadata",
        "two.md: ",
        "in: files",
        "2 notes are there",
    ] {
        assert!(why.contains(part), "{part} in {why}");
    }
    assert_eq!(daemon.note("i1").await?, before);

    let said = out(&daemon, &["note", "import", &text, "--force"]).await?;
    assert_eq!(said, "0 notes created, 2 changed, 1 were there as they are\n");
    let (again, again_text) = folder(&daemon, "again");
    out(&daemon, &["note", "export", &again_text]).await?;
    assert_eq!(kept(&again)?, kept(&dir)?);
    Ok(())
}

#[tokio::test]
async fn an_export_overwrites_nothing_of_others() -> Result<()> {
    let daemon = daemon().await?;
    for path in ["a/one", "a/two", "b/three"] {
        post(
            &daemon,
            &["notes"],
            &json!({"path": path, "content": path, "tags": [path]}),
        )
        .await?;
    }
    let (dir, text) = folder(&daemon, "mine");
    std::fs::create_dir_all(dir.join("a"))?;
    std::fs::write(dir.join("a/one.md"), "mine")?;
    std::fs::create_dir(dir.join("elsewhere"))?;
    std::os::unix::fs::symlink("elsewhere", dir.join("b"))?;
    let ran = daemon.run(["note", "export", &text]).await?;
    assert_eq!(told(&ran), (2, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("--force"), "{}", ran.stderr);

    let (said, why) = partly(&daemon, &["note", "export", &text, "--force"]).await?;
    assert!(said.starts_with("1 notes and 0 files in "), "{said}");
    assert!(
        why.contains("a/one.md (note ") && why.contains("b/three.md (note "),
        "{why}"
    );
    let found = files(&dir)?;
    assert_eq!(found.keys().collect::<Vec<_>>(), ["a/one.md", "a/two.md"]);
    assert_eq!(found["a/one.md"], b"mine");

    // What the export has written follows the vault, until somebody edits it.
    for (content, edited, changed) in [("new", false, true), ("newer", true, false)] {
        let ours = dir.join("a/two.md");
        if edited {
            std::fs::write(&ours, "edited")?;
        }
        out(&daemon, &["note", "put", "a/two", content]).await?;
        let (said, _) = partly(&daemon, &["note", "export", &text]).await?;
        assert_eq!(said.contains(" 1 changed"), changed, "{said}");
        let now = std::fs::read_to_string(&ours)?;
        assert!(now.ends_with(if edited { "edited" } else { content }), "{now}");
    }
    let (narrow, narrow_text) = folder(&daemon, "narrow");
    out(
        &daemon,
        &["note", "export", &narrow_text, "--tag", "a/one", "--path", "A/"],
    )
    .await?;
    assert_eq!(files(&narrow)?.into_keys().collect::<Vec<_>>(), ["a/one.md"]);
    let ran = daemon.run(["note", "export", &narrow_text, "--vault", "none"]).await?;
    assert_eq!(told(&ran), (4, ""), "{}", ran.stderr);
    Ok(())
}

#[tokio::test]
async fn damaged_files_are_named_and_the_others_come_in() -> Result<()> {
    let daemon = daemon().await?;
    let (dir, text) = folder(&daemon, "foreign");
    std::fs::create_dir_all(dir.join(".obsidian"))?;
    std::fs::create_dir_all(dir.join("_attachments"))?;
    let exported = |file: &str| {
        let updated = "\"updated\": \"2026-07-02T10:00:00.000Z\"";
        format!(
            "---\nid: x\ntags: []\nreveille: {{{updated}, \"attachments\": [{{\"file\": \"{file}\", \"filename\": \"f\", \
             \"mimeType\": \"a/b\"}}]}}\n---\nx"
        )
    };
    for (name, bytes) in [
        (".obsidian/x.md", b"hidden".as_slice()),
        ("_attachments/x.md", b"a file"),
        ("plain.md", b"#idea #two\n\nA thought."),
        ("keys.md", b"---\ndue: 2026-07-02\ntags: \"#a, b\"\n---\ntext\r\n"),
        ("picture.png", b"no note"),
        ("yaml.md", b"---\na: [\n---\nx"),
        ("bytes.md", b"\xff\xfe"),
        ("missing.md", exported("_attachments/none").as_bytes()),
        ("outside.md", exported("../outside").as_bytes()),
        ("leads out.md", exported("_attachments/link").as_bytes()),
    ] {
        std::fs::write(dir.join(name), bytes)?;
    }
    let secret = daemon.scratch().join("outside");
    std::fs::write(&secret, "secret")?;
    std::os::unix::fs::symlink(&secret, dir.join("_attachments/link"))?;
    std::os::unix::fs::symlink(&secret, dir.join("link.md"))?;
    let (said, why) = partly(&daemon, &["note", "import", &text]).await?;
    assert_eq!(said, "2 notes created, 0 changed, 0 were there as they are\n", "{why}");
    for name in [
        "yaml.md: ",
        "bytes.md: ",
        "missing.md: ",
        "outside.md: ",
        "leads out.md: ",
        "5 files were not",
    ] {
        assert!(why.contains(name), "{name} in {why}");
    }
    for (path, content, tags, metadata) in [
        ("plain", "#idea #two\n\nA thought.", json!(["idea", "two"]), Value::Null),
        ("keys", "text\r\n", json!(["a", "b"]), json!({"due": "2026-07-02"})),
    ] {
        let note = daemon.note(path).await?.context(path)?;
        assert_eq!(
            (&note["content"], &note["tags"], &note["metadata"]),
            (&json!(content), &tags, &metadata)
        );
    }
    let listed = json_out(&daemon, &["note", "list", "--limit", "100", "--json"]).await?;
    let others = listed
        .as_array()
        .context("notes")?
        .iter()
        .filter(|note| note["path"] != "plain");
    assert_eq!(others.filter(|note| note["path"] != "keys").count(), 0, "{listed}");
    Ok(())
}

#[tokio::test]
async fn many_notes_go_out_and_come_in() -> Result<()> {
    let (one, two) = (daemon().await?, daemon().await?);
    // Two pages of the list, and one note of a third.
    for batch in [0..400, 400..800, 800..1001] {
        let note =
            |number: u32| json!({"path": format!("many/{}/{number}", number % 7), "content": format!("note {number}")});
        let notes: Vec<Value> = batch.map(note).collect();
        post(&one, &["notes"], &json!({"notes": notes})).await?;
    }
    let (first, text) = folder(&one, "many");
    let said = out(&one, &["note", "export", &text]).await?;
    assert!(
        said.starts_with("1001 notes and 0 files in ") && said.contains(": 1001 new"),
        "{said}"
    );
    assert_eq!(files(&first)?.len(), 1001);
    let ran = two.run(["note", "import", &text]).await?;
    assert_eq!(
        told(&ran),
        (0, "1001 notes created, 0 changed, 0 were there as they are\n"),
        "{}",
        ran.stderr
    );
    let last = two.note("many/6/1000").await?.context("it came along")?;
    assert_eq!(last["content"], "note 1000");
    Ok(())
}
