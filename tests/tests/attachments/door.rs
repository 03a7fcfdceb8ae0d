//! How files come in: uploads, the door for messages, the command line.

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT, State};
use reveille_tests::eventually;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::{UPLOAD, form, names, post_form, post_form_to, prompt, staged, turn, upload, with_eng};

#[tokio::test]
async fn a_message_without_its_files_is_no_message() -> Result<()> {
    let daemon = with_eng().await?;
    let path = upload(&daemon, "a.txt", b"a").await?;
    for (attachments, code) in [
        (json!([path, "2026-01-01/nothing.txt"]), "invalid_message"),
        (json!(["../../../../etc/passwd"]), "invalid_message"),
        (json!(vec![&path; 1001]), "invalid_message"),
        (json!("a.txt"), "invalid_body"),
        (json!([1]), "invalid_body"),
    ] {
        let body = json!({"text": "[[reply ok]]", "attachments": attachments});
        let reply = daemon
            .request(Method::POST, &["api", "channels", "eng", "send"], Some(&body))
            .await?;
        assert_eq!(
            (reply.status, &reply.body["error"]),
            (400, &json!(code)),
            "{}",
            reply.body
        );
    }
    assert_eq!(daemon.messages("eng").await?, []);
    // Neither refusal has used the file up.
    let turn = turn(&daemon, "[[reply ok]]", &[path]).await?;
    assert_eq!(names(&staged(&daemon, &turn)?)?, ["a.txt"]);
    Ok(())
}

#[tokio::test]
async fn a_note_that_brings_its_files_wakes_with_them() -> Result<()> {
    let daemon = with_eng().await?;
    let path = upload(&daemon, "a.txt", b"a").await?;
    let named = json!({"path": path, "filename": "b.md", "mimeType": "text/markdown"});
    let note = json!({
        "content": "[[reply ok]]", "tags": ["agent/message", "agent/message/inbound"], "metadata": {"agent": "eng"},
        "attachments": [path, named]
    });
    let made: Value = daemon
        .request(Method::POST, &["vault", "default", "api", "notes"], Some(&note))
        .await?
        .ok()?;
    let id = made["id"].as_str().context("an id")?.to_owned();
    let turn = eventually("the turn has ended", LIMIT, async || {
        let messages = daemon.messages("eng").await?;
        let Some(turn) = messages.into_iter().find(|one| one.id == id).and_then(|one| one.turn) else {
            return Ok(None);
        };
        let turn = daemon.turn(&turn).await?;
        Ok((turn.state == State::Ok).then_some(turn))
    })
    .await?;
    assert_eq!(names(&staged(&daemon, &turn)?)?, ["a.txt", "b.md"]);
    assert!(prompt(&daemon, &turn)?.ends_with("/b.md (text/markdown)]"));
    Ok(())
}

#[tokio::test]
async fn a_file_may_be_larger_than_a_request_and_not_larger_than_the_limit() -> Result<()> {
    const LIMIT_BYTES: usize = 12 << 20;
    let daemon = Daemon::builder()
        .stand_in()
        .env("REVEILLE_VAULT__MAX_ATTACHMENT", LIMIT_BYTES.to_string())
        .start()
        .await?;
    let bytes: Vec<u8> = (0..LIMIT_BYTES).map(|n| n.to_le_bytes()[n % 3]).collect();
    let path = upload(&daemon, "large.bin", &bytes).await?;
    let back = daemon
        .ask_in("GET", &format!("/vault/default/api/storage/{path}"), b"")
        .await?;
    assert_eq!((back.status, back.body == bytes), (200, true));

    let answer = post_form(&daemon, "larger.bin", &[bytes, vec![0]].concat()).await?;
    assert_eq!(answer.refusal()?, (413, "too_large".to_owned()));
    assert_eq!(answer.json()?["limit"], LIMIT_BYTES);
    assert_eq!(names(&daemon.state_dir().join("vaults/default.db-files"))?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn each_vault_has_a_limit_of_its_own() -> Result<()> {
    const TWO: &str =
        "[[vault]]\nname = \"small\"\nmax_attachment = 10\n[[vault]]\nname = \"large\"\nmax_attachment = 20\n";
    let daemon = Daemon::builder().stand_in().config(TWO).start().await?;
    let stored = |vault: &str| names(&daemon.state_dir().join(format!("vaults/{vault}.db-files")));
    let file = daemon.scratch().join("a.txt");
    std::fs::write(&file, [b'a'; 15])?;
    let file = file.to_str().context("a path of UTF-8")?;
    for (vault, limit, code, files) in [("small", 10, 4, 1), ("large", 20, 0, 2)] {
        let about = daemon.ask_in("GET", &format!("/vault/{vault}"), b"").await?;
        assert_eq!(about.json()?["maxAttachment"], limit);
        let target = format!("/vault/{vault}/api/storage/upload");
        let answer = post_form_to(&daemon, &target, "fits", &vec![0; limit]).await?;
        assert_eq!(answer.status, 201, "{vault}");
        let answer = post_form_to(&daemon, &target, "too large", &vec![0; limit + 1]).await?;
        assert_eq!(answer.refusal()?, (413, "too_large".to_owned()), "{vault}");
        assert_eq!(answer.json()?["limit"], limit);

        // An agent's files go to the vault where it lives.
        let agent = json!({ "name": vault, "prompt": "You read.", "vault": vault });
        daemon
            .request(Method::POST, &["api", "agents"], Some(&agent))
            .await?
            .ok::<Value>()?;
        let ran = daemon.run(["send", vault, "[[reply ok]]", "--attach", file]).await?;
        assert_eq!(ran.code, code, "{ran:?}");
        assert_eq!(stored(vault)?.len(), files, "{vault}");
    }
    Ok(())
}

#[tokio::test]
async fn files_are_only_for_those_who_may_read_notes() -> Result<()> {
    let daemon = with_eng().await?;
    let path = upload(&daemon, "a.txt", b"a").await?;
    let (kind, body) = form("b.txt", b"b");
    for (method, target) in [
        ("POST", UPLOAD.to_owned()),
        ("GET", format!("/vault/default/api/storage/{path}")),
        ("GET", "/vault/default/api/notes/x/attachments".into()),
        ("POST", "/vault/default/api/notes/x/attachments".into()),
        ("DELETE", "/vault/default/api/notes/x/attachments/y".into()),
    ] {
        let headers = [("content-type", kind), ("authorization", "Bearer wrong")];
        let answer = daemon.ask(method, &target, &headers, &body).await?;
        assert_eq!(answer.refusal()?, (401, "Unauthorized".to_owned()), "{method} {target}");
    }
    assert_eq!(names(&daemon.state_dir().join("vaults/default.db-files"))?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_client_that_goes_away_in_the_middle_leaves_nothing() -> Result<()> {
    let daemon = with_eng().await?;
    let dir = daemon.state_dir().join("vaults/default.db-files");
    let (kind, body) = form("a.bin", &vec![7; 1 << 20]);
    let (key, value) = daemon.bearer();
    let head = format!(
        "POST {UPLOAD} HTTP/1.1\r\nhost: {}\r\n{key}: {value}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
        daemon.authority()?,
        body.len()
    );
    let mut stream = tokio::net::TcpStream::connect(daemon.authority()?).await?;
    stream
        .write_all(&[head.as_bytes(), &body[..body.len() / 2]].concat())
        .await?;
    eventually("the upload has begun", LIMIT, async || {
        Ok((names(&dir)?.len() == 1).then_some(()))
    })
    .await?;
    drop(stream);
    eventually("the upload is gone", LIMIT, async || {
        Ok(names(&dir)?.is_empty().then_some(()))
    })
    .await
}

#[tokio::test]
async fn the_command_line_sends_files() -> Result<()> {
    let daemon = Daemon::builder()
        .stand_in()
        .env("REVEILLE_VAULT__MAX_ATTACHMENT", "100000")
        .start()
        .await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    let file = |name: &str, bytes: &[u8]| -> Result<String> {
        let path = daemon.scratch().join(name);
        std::fs::write(&path, bytes)?;
        Ok(path.display().to_string())
    };
    let (one, two) = (file("über uns.txt", b"one")?, file("b.png", &[9; 100_000])?);
    let copy = "[[exec cat ../attachments/*/* > got]] [[reply read]]";
    let ran = daemon
        .run([
            "send", "eng", copy, "--attach", &one, "--attach", &two, "--wait", "--json",
        ])
        .await?;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let turn: reveille_tests::daemon::Turn = serde_json::from_str(&ran.stdout)?;
    assert_eq!(names(&staged(&daemon, &turn)?)?, ["_ber_uns.txt", "b.png"]);
    let got = std::fs::read(super::conversation(&daemon, &turn)?.join("work/got"))?;
    assert!(
        got == [b"one".as_slice(), &[9; 100_000]].concat(),
        "{} bytes",
        got.len()
    );
    assert!(prompt(&daemon, &turn)?.ends_with("/b.png (image/png)]"));
    let note = daemon
        .request(
            Method::GET,
            &["vault", "default", "api", "notes", &turn.message, "attachments"],
            None,
        )
        .await?;
    assert_eq!(note.body[0]["filename"], "über uns.txt");

    let large = file("large", &[0; 100_001])?;
    for (files, code, part) in [
        (["/nowhere/x", &one], 2, "cannot be attached"),
        ([&one, "/"], 2, "it is no file"),
        ([&one, &large], 4, "100001 bytes, the vault default takes 100000"),
    ] {
        let ran = daemon
            .run([
                "send",
                "eng",
                "[[reply no]]",
                "--attach",
                files[0],
                "--attach",
                files[1],
            ])
            .await?;
        assert_eq!((ran.code, ran.stdout.as_str()), (code, ""), "{}", ran.stderr);
        assert!(ran.stderr.contains(part), "{part} in {}", ran.stderr);
    }
    let ran = daemon.run(["send", "nobody", "hello", "--attach", &one]).await?;
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(ran.stderr.contains("no agent \"nobody\""), "{}", ran.stderr);
    let inbound = daemon.messages("eng").await?;
    assert_eq!(inbound.iter().filter(|one| one.direction == "inbound").count(), 1);
    // None of the refused commands has uploaded anything.
    assert_eq!(names(&daemon.state_dir().join("vaults/default.db-files"))?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_turn_hands_a_file_on() -> Result<()> {
    let daemon = with_eng().await?;
    daemon.create_agent("beta", "You read.").await?;
    let program = daemon.cli(["--version"]).await?;
    let program = program.as_std().get_program().to_string_lossy().into_owned();
    let path = upload(&daemon, "a.txt", b"from eng").await?;
    // By the child's own hand, with what its token allows.
    let text = format!("[[exec {program} send beta 'look at it' --attach ../attachments/*/a.txt]]");
    turn(&daemon, &text, &[path]).await?;
    let handed = eventually("beta has ended", LIMIT, async || {
        let messages = daemon.messages("beta").await?;
        let Some(turn) = messages.into_iter().find_map(|one| one.turn) else {
            return Ok(None);
        };
        let turn = daemon.turn(&turn).await?;
        Ok((turn.state == State::Ok).then_some(turn))
    })
    .await?;
    assert_eq!(std::fs::read(staged(&daemon, &handed)?.join("a.txt"))?, b"from eng");
    Ok(())
}
