//! What a process was given works while a turn of it runs, and for that turn.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT, Sent};
use reveille_tests::eventually;
use serde_json::json;

use crate::{builder, define, done, house, left, process, turn, well};

/// Runs until the file `go` is there; `told` has the token then.
pub(crate) async fn hold(daemon: &Daemon, agent: &str, name: &str) -> Result<(Sent, String)> {
    let at = |what: &str| daemon.scratch().join(format!("{name}.{what}")).display().to_string();
    let text = format!(
        "[[exec printf %s \"$REVEILLE_TOKEN\" >{0}.new && mv {0}.new {0}; while ! test -e {1}; do sleep 0.02; done]]",
        at("told"),
        at("go")
    );
    let sent = daemon.send(agent, &text).await?;
    let token = eventually("the turn runs", LIMIT, async || {
        Ok(std::fs::read_to_string(at("told")).ok()) // silent-ok: not there yet
    })
    .await?;
    Ok((sent, token))
}

pub(crate) async fn release(daemon: &Daemon, agent: &str, name: &str, sent: &Sent) -> Result<()> {
    std::fs::write(daemon.scratch().join(format!("{name}.go")), "")?;
    daemon.wait_turn(agent, sent).await?;
    Ok(())
}

async fn status(daemon: &Daemon, token: &str, target: &str) -> Result<u16> {
    let bearer = format!("Bearer {token}");
    Ok(daemon
        .ask("GET", target, &[("authorization", &bearer)], b"")
        .await?
        .status)
}

#[tokio::test]
async fn its_token_is_that_of_the_turn_which_runs_and_of_none_between() -> Result<()> {
    let daemon = house(builder()).await?;
    define(&daemon, "ops", json!({})).await?;
    let (first, token) = hold(&daemon, "eng", "one").await?;
    assert_eq!(status(&daemon, &token, "/api/agents").await?, 200);
    release(&daemon, "eng", "one", &first).await?;
    left(&daemon, 1).await?;
    assert_eq!(status(&daemon, &token, "/api/agents").await?, 401);

    let (second, again) = hold(&daemon, "eng", "two").await?;
    assert_eq!(again, token, "another process");
    assert_eq!(status(&daemon, &token, "/api/agents").await?, 200);
    // What is sent by it is sent by the turn that runs.
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let body = json!({"text": "to ops"}).to_string();
    let target = "/api/channels/ops/send";
    let answer = daemon.ask("POST", target, &headers, body.as_bytes()).await?;
    assert!((200..300).contains(&answer.status), "{}", answer.json()?);
    let id = answer.json()?["id"].as_str().context("an id")?.to_owned();
    release(&daemon, "eng", "two", &second).await?;
    let note = daemon.note(&id).await?.context("the message")?;
    assert_eq!(note["metadata"]["delegated_by"], json!(second.turn));
    assert_eq!(status(&daemon, &token, "/api/agents").await?, 401);

    // A stop takes it away at once, and it never comes back.
    let (third, again) = hold(&daemon, "eng", "three").await?;
    assert_eq!(again, token);
    daemon.stop_turn(third.turn.as_deref().context("a turn")?).await?;
    daemon.wait_turn("eng", &third).await?;
    assert_eq!(status(&daemon, &token, "/api/agents").await?, 401);
    process(&daemon, "eng").await?;
    assert_eq!(status(&daemon, &token, "/api/agents").await?, 401);
    assert_eq!(daemon.files_with(&token)?, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_vault_that_was_lent_is_lent_anew_to_each_turn() -> Result<()> {
    let daemon = builder().start().await?;
    define(&daemon, "eng", json!({"wants": "vault:default:read"})).await?;
    let approve = daemon.cli(["agent", "approve", "eng", "vault:default:read"]).await?;
    let ran = reveille_tests::daemon::run(approve, "").await?;
    assert_eq!(ran.code, 0, "{ran:?}");
    let one = process(&daemon, "eng").await?;
    assert_eq!(process(&daemon, "eng").await?, one);
    let say = "[[exec curl -s -o /dev/null -w 'answer %{http_code}' -H \"Authorization: Bearer $REVEILLE_GRANT_1\" \
               \"$REVEILLE_URL/vault/default/api/notes\"; printf %s \"$REVEILLE_GRANT_1\" >lent]]";
    for _ in 0..2 {
        let reply = well(&daemon, "eng", say).await?.reply.context("a reply")?;
        assert!(reply.contains("answer 200"), "{reply}");
    }
    let thread = turn(&daemon, "eng", "hi").await?.more["thread"].clone();
    let thread = thread.as_str().context("a thread")?;
    let file = daemon.state_dir().join("conversations").join(thread).join("work/lent");
    let lent = std::fs::read_to_string(file)?;
    assert_eq!(status(&daemon, &lent, "/vault/default/api/notes").await?, 401);
    let revoke = daemon.cli(["agent", "revoke", "eng", "vault:default:read"]).await?;
    let ran = reveille_tests::daemon::run(revoke, "").await?;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_ne!(process(&daemon, "eng").await?, one);
    Ok(())
}

#[tokio::test]
async fn a_lent_login_stays_as_long_as_the_process_and_no_longer() -> Result<()> {
    let config = "[claude]\nprogram = \"SCRATCH/claude\"\n";
    let daemon = Daemon::builder().warm().config(config).start().await?;
    let own = std::fs::read_link(format!("/proc/{}/exe", daemon.pid()))?;
    let program = daemon.scratch().join("claude");
    std::fs::write(&program, format!("#!/bin/sh\nexec {} stand-in \"$@\"\n", own.display()))?;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
    let sign_in = |token: &str| -> Result<()> {
        let login =
            json!({"claudeAiOauth": {"accessToken": token, "refreshToken": "r", "expiresAt": 4_000_000_000_000_u64}});
        let dir = daemon.scratch().join(".claude");
        std::fs::create_dir_all(&dir)?;
        Ok(std::fs::write(dir.join(".credentials.json"), login.to_string())?)
    };
    sign_in("the-first-token")?;
    define(&daemon, "eng", json!({})).await?;
    let first = process(&daemon, "eng").await?;
    let turn = well(&daemon, "eng", "[[exec cat \"$CLAUDE_CONFIG_DIR/.credentials.json\"]]").await?;
    assert!(turn.reply.unwrap_or_default().contains("the-first-token"));
    assert_eq!(process(&daemon, "eng").await?, first);
    let lent = |token: &str| -> Result<usize> {
        Ok(daemon
            .files_with(token)?
            .iter()
            .filter(|it| it.contains(".cred"))
            .count())
    };
    assert_eq!(lent("the-first-token")?, 1);
    sign_in("another-token-than-that")?;
    assert_ne!(process(&daemon, "eng").await?, first);
    assert_eq!((lent("the-first-token")?, lent("another-token-than-that")?), (0, 1));
    done(&daemon, Method::POST, &["api", "agents", "eng", "reset"], &json!({})).await?;
    assert_eq!(lent("another-token-than-that")?, 0);
    Ok(())
}
