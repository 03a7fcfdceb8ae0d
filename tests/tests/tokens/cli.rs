//! `reveille token`.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use serde_json::Value;

use super::{NOTES, note, started};

#[tokio::test]
async fn a_token_is_made_listed_and_revoked_from_the_command_line() -> Result<()> {
    let daemon = started().await?;
    note(&daemon, "w", &["work"]).await?;
    let empty = daemon.run(["token", "list"]).await?;
    assert!(empty.code == 0 && empty.stdout.starts_with("no tokens"), "{empty:?}");

    let made = daemon
        .run([
            "token",
            "create",
            "--write",
            "--tag",
            "work",
            "--label",
            "laptop",
            "--expires",
            "30d",
        ])
        .await?;
    let token = made.stdout.strip_suffix('\n').context("one line")?;
    assert!(
        made.code == 0 && token.len() == 36 && token.starts_with("pvt_"),
        "{made:?}"
    );
    let id = made.stderr.split(' ').next().context("an id")?;
    assert!(
        id.starts_with("t_") && made.stderr.contains("vault:write on work"),
        "{made:?}"
    );
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    assert_eq!(daemon.ask("GET", NOTES, &headers, b"").await?.status, 200);

    let listed = daemon.run(["token", "list"]).await?.stdout;
    let line = listed.lines().nth(1).context("a line")?;
    assert!(
        line.contains(id) && line.contains("laptop") && line.contains("vault:write on work"),
        "{listed}"
    );
    assert!(!listed.contains(token));
    let listed: Value = serde_json::from_str(&daemon.run(["token", "list", "--json"]).await?.stdout)?;
    assert_eq!(listed["tokens"][0]["id"], id);
    assert!(listed["tokens"][0]["expires_at"].is_string() && listed["tokens"][0]["last_used_at"].is_string());

    let revoked = daemon.run(["token", "revoke", id]).await?;
    assert_eq!((revoked.code, revoked.stdout), (0, format!("revoked {id}\n")));
    assert_eq!(daemon.ask("GET", NOTES, &headers, b"").await?.status, 401);
    let again = daemon.run(["token", "revoke", id]).await?;
    assert!(again.code == 4 && again.stderr.contains("has no token"), "{again:?}");
    Ok(())
}

#[tokio::test]
async fn without_more_a_token_reads_and_mistakes_are_told() -> Result<()> {
    let daemon = started().await?;
    let made = daemon.run(["token", "create", "--json"]).await?;
    let made: Value = serde_json::from_str(&made.stdout)?;
    assert_eq!(
        (&made["scopes"], &made["permission"]),
        (&serde_json::json!(["vault:read"]), &Value::from("read"))
    );
    for (args, code, word) in [
        (&["token", "create", "--read", "--admin"][..], 2, "cannot be used with"),
        (&["token", "create", "--expires", "soon"], 2, "30d"),
        (&["token", "create", "--expires=-1d"], 2, "30d"),
        (&["token", "create", "--tag", "nothing"], 4, "nothing"),
        (&["token", "create", "--vault", "elsewhere"], 4, "elsewhere"),
        (&["token", "list", "--vault", "elsewhere"], 4, "elsewhere"),
    ] {
        let ran = daemon.run(args).await?;
        assert!(
            ran.code == code && ran.stderr.contains(word) && ran.stdout.is_empty(),
            "{args:?}: {ran:?}"
        );
    }
    Ok(())
}
