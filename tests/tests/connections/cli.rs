//! The operator's word by the command line.

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::{Ran, run};
use serde_json::{Value, json};

use super::{Held, create, wanted};

const SECRET: &str = "ghp-hunter2hunter2";

async fn with_stdin(daemon: &Daemon, args: &[&str], input: &str) -> Result<Ran> {
    run(daemon.cli(args).await?, input).await
}

#[tokio::test]
async fn a_token_comes_by_stdin_or_file_and_goes_with_a_word() -> Result<()> {
    let daemon = Daemon::builder().stand_in().start().await?;
    create(&daemon, "eng", "env:github, env:other").await?;
    let listed = daemon.run(["agent", "connections", "eng"]).await?;
    let rows: Vec<&str> = listed.stdout.lines().map(str::trim_end).collect();
    let expected = [
        "HOLDER  KEY         STATUS   VARIABLE      REASON",
        "eng     env:github  pending  GITHUB_TOKEN",
        "eng     env:other   pending  OTHER_TOKEN",
    ];
    assert_eq!(rows, expected);
    assert!(listed.stderr.contains("reveille agent approve NAME KEY"), "{listed:?}");

    let nobody = with_stdin(&daemon, &["agent", "approve", "eng", "env:github"], "").await?;
    assert_eq!(nobody.code, 2);
    assert!(nobody.stderr.contains("--token-stdin or --token-file"), "{nobody:?}");
    let approved = with_stdin(
        &daemon,
        &["agent", "approve", "eng", "env:github", "--token-stdin"],
        &format!("{SECRET}\n"),
    )
    .await?;
    assert_eq!(
        (approved.code, approved.stdout.as_str()),
        (0, "eng has env:github from the next turn on\n")
    );
    let file = daemon.scratch().join("token");
    std::fs::write(&file, format!("{SECRET}\n"))?;
    let file = file.display().to_string();
    let other = daemon
        .run(["agent", "approve", "eng", "env:other", "--token-file", &file])
        .await?;
    assert_eq!(other.code, 0, "{other:?}");
    for variable in ["GITHUB_TOKEN", "OTHER_TOKEN"] {
        let held = Held::new(&daemon, "eng", variable).await?;
        assert_eq!(held.said, SECRET);
        held.end(&daemon, "eng").await?;
    }
    let json: Value = serde_json::from_str(&daemon.run(["agent", "connections", "eng", "--json"]).await?.stdout)?;
    assert_eq!(
        (&json["backend"], &json["connections"][0]["status"]),
        (&json!("local"), &json!("approved"))
    );

    let revoked = daemon.run(["agent", "revoke", "eng", "env:github"]).await?;
    assert_eq!(revoked.code, 0, "{revoked:?}");
    assert_eq!(
        wanted(&daemon, "eng").await?[0],
        ("env:github".to_owned(), "revoked".to_owned())
    );
    Ok(())
}

#[tokio::test]
async fn what_nobody_wants_cannot_be_approved() -> Result<()> {
    let daemon = Daemon::builder().stand_in().start().await?;
    create(&daemon, "eng", "env:github").await?;
    for (args, word) in [
        (
            &["agent", "approve", "eng", "env:other", "--token-stdin"][..],
            "it wants: env:github",
        ),
        (
            &["agent", "approve", "nobody", "env:github", "--token-stdin"],
            "\"nobody\" wants no \"env:github\"",
        ),
        (&["agent", "revoke", "eng", "env:other"], "it wants: env:github"),
    ] {
        let ran = with_stdin(&daemon, args, SECRET).await?;
        assert_eq!(ran.code, 4, "{args:?}: {ran:?}");
        assert!(ran.stderr.contains(word) && !ran.stderr.contains(SECRET), "{ran:?}");
    }
    for args in [
        &["agent", "approve", "eng", "--token-stdin"][..],
        &[
            "agent",
            "approve",
            "eng",
            "env:github",
            "--role",
            "Roles/x",
            "--token-stdin",
        ],
        &["agent", "approve", "eng", "env:github", "--token", SECRET],
    ] {
        assert_eq!(with_stdin(&daemon, args, SECRET).await?.code, 2, "{args:?}");
    }
    let nobody = daemon.run(["agent", "connections", "nobody"]).await?;
    assert_eq!(nobody.code, 4, "{nobody:?}");
    Ok(())
}

#[tokio::test]
async fn roles_are_named_by_their_path() -> Result<()> {
    let daemon = Daemon::builder().stand_in().start().await?;
    create(&daemon, "eng", "").await?;
    let metadata = json!({ "wants": "env:github" });
    daemon
        .note_put("Uni/Roles/github", "You know GitHub.", &["agent/role"], &metadata)
        .await?;
    let roles = json!({ "roles": ["Uni/Roles/github"] });
    daemon
        .note_put("Threads/eng/eng", "", &["agent/thread"], &roles)
        .await?;
    super::wanted_soon(&daemon, "role--Uni-Roles-github", &[("env:github", "pending")]).await?;
    let args = [
        "agent",
        "approve",
        "--role",
        "Uni/Roles/github",
        "env:github",
        "--token-stdin",
    ];
    let approved = with_stdin(&daemon, &args, SECRET).await?;
    assert_eq!(approved.code, 0, "{approved:?}");
    let held = Held::new(&daemon, "eng", "GITHUB_TOKEN").await?;
    assert_eq!(held.said, SECRET);
    held.end(&daemon, "eng").await?;
    let listed = daemon
        .run(["agent", "connections", "--role", "Uni/Roles/github"])
        .await?;
    assert!(
        listed.stdout.contains("role--Uni-Roles-github  env:github  approved"),
        "{listed:?}"
    );
    let revoked = daemon
        .run(["agent", "revoke", "--role", "Uni/Roles/github", "env:github"])
        .await?;
    assert_eq!(revoked.code, 0, "{revoked:?}");
    Ok(())
}
