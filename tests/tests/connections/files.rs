//! What a turn has, and where its secrets are not.

use std::path::Path;

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::LIMIT;
use reveille_tests::eventually;
use serde_json::{Value, json};

use super::{Held, approve, create, notices, revoke, turn, wanted};

const SECRET: &str = "ghp-hunter2hunter2";

/// Files below a directory that hold a text.
fn files_with(dir: &Path, text: &str) -> Result<Vec<String>> {
    let (mut found, mut dirs) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                dirs.push(entry.path());
            } else if entry.file_type()?.is_file() {
                let bytes = std::fs::read(entry.path())?;
                if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                    found.push(entry.file_name().to_string_lossy().into_owned());
                }
            }
        }
    }
    Ok(found)
}

async fn says(daemon: &Daemon, status: &str) -> Result<Value> {
    eventually(&format!("the definition says {status}"), LIMIT, async || {
        let note = daemon.note("Agents/eng").await?.unwrap_or_default();
        Ok((note["metadata"]["status"] == status).then_some(note))
    })
    .await
}

#[tokio::test]
async fn r_grant_41_a_token_reaches_the_turn_s_environment_and_nothing_else() -> Result<()> {
    let daemon = Daemon::builder().stand_in().start().await?;
    create(&daemon, "eng", "env:github").await?;
    let before = says(&daemon, "pending").await?;
    assert_eq!(before["metadata"]["pending"], "env:github");
    let first = Held::new(&daemon, "eng", "GITHUB_TOKEN").await?;
    assert_eq!(first.said, "");
    let first = first.end(&daemon, "eng").await?;
    assert!(notices(&first).contains("env:github (not approved yet)"), "{first:?}");

    let approved = approve(&daemon, "eng", "env:github", Some(SECRET), None).await?;
    assert_eq!(approved["connection"]["status"], "approved");
    let after = says(&daemon, "enabled").await?;
    assert_eq!(after["metadata"]["wants"], before["metadata"]["wants"]);
    let held = Held::new(&daemon, "eng", "GITHUB_TOKEN").await?;
    assert_eq!(held.said, SECRET);
    let mut said = daemon.log()? + &after.to_string() + &approved.to_string();
    for pid in daemon.children()? {
        // silent-ok: a process that has ended meanwhile shows nothing
        let argv = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        said += &String::from_utf8_lossy(&argv);
    }
    let second = held.end(&daemon, "eng").await?;
    assert!(!notices(&second).contains("env:github"), "{second:?}");
    said += &format!(
        "{second:?} {:?} {:?}",
        daemon.agents().await?,
        wanted(&daemon, "eng").await?
    );
    assert!(!said.contains(SECRET), "{said}");
    assert_eq!(files_with(&daemon.state_dir(), SECRET)?, ["grants.db"]);

    revoke(&daemon, "eng", "env:github").await?;
    assert_eq!(
        wanted(&daemon, "eng").await?,
        [("env:github".to_owned(), "revoked".to_owned())]
    );
    let third = Held::new(&daemon, "eng", "GITHUB_TOKEN").await?;
    assert_eq!(third.said, "");
    third.end(&daemon, "eng").await?;
    assert_eq!(files_with(&daemon.state_dir(), SECRET)?, Vec::<String>::new());
    says(&daemon, "pending").await?;
    Ok(())
}

#[tokio::test]
async fn what_the_operator_has_set_for_all_turns_goes_before() -> Result<()> {
    let daemon = Daemon::builder()
        .stand_in()
        .env("REVEILLE_CLAUDE__ENV__GITHUB_TOKEN", "of-the-operator")
        .start()
        .await?;
    create(&daemon, "eng", "env:github").await?;
    approve(&daemon, "eng", "env:github", Some(SECRET), None).await?;
    let held = Held::new(&daemon, "eng", "GITHUB_TOKEN").await?;
    assert_eq!(held.said, "of-the-operator");
    let turn = held.end(&daemon, "eng").await?;
    assert!(
        notices(&turn).contains("GITHUB_TOKEN is set under [claude.env]"),
        "{turn:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_turn_may_not_reach_for_connections_by_way_of_roles() -> Result<()> {
    let daemon = Daemon::builder().stand_in().start().await?;
    create(&daemon, "eng", "").await?;
    let held = Held::new(&daemon, "eng", "REVEILLE_TOKEN").await?;
    let notes = "/vault/default/api/notes";
    for (tags, path, metadata) in [
        (json!(["agent/role"]), "Roles/mine", json!({ "wants": "env:github" })),
        (
            json!(["agent/thread"]),
            "Threads/other/other",
            json!({ "roles": ["Roles/github"] }),
        ),
        (json!([]), "Threads/eng/eng--next", json!({ "roles": "Roles/github" })),
        (
            json!(["agent/definition"]),
            "Agents/mine",
            json!({ "name": "mine", "wants": "env:github" }),
        ),
    ] {
        let note = json!({ "content": "x", "path": path, "tags": tags, "metadata": metadata });
        let answer = super::ask(&daemon, &held.said, "POST", notes, &note).await?;
        assert_eq!(answer.status, 403, "{path}: {}", answer.json()?);
        assert_eq!(daemon.note(path).await?, None);
    }
    // The text of a role is anybody's.
    let note = json!({ "content": "x", "path": "Roles/plain", "tags": ["agent/role"] });
    let answer = super::ask(&daemon, &held.said, "POST", notes, &note).await?;
    assert_eq!(answer.status, 201, "{}", answer.json()?);
    held.end(&daemon, "eng").await?;
    let done = turn(&daemon, "eng", "[[reply done]]").await?;
    assert_eq!(done.reply.as_deref(), Some("done"));
    Ok(())
}
