//! Who may make triggers, what stays over a restart, and the command line.

use anyhow::{Context as _, Result, ensure};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::{Daemon, Receiver, ReceiverAnswer as Answer};
use serde_json::{Value, json};

use super::{ask, register, show, wait_states, with_short_pauses};

async fn out(daemon: &Daemon, args: &[&str]) -> Result<String> {
    let ran = daemon.run(args).await?;
    ensure!(ran.code == 0 && ran.stderr.is_empty(), "{args:?}: {ran:?}");
    Ok(ran.stdout)
}

#[tokio::test]
async fn a_registration_is_there_after_a_restart_and_can_be_repeated() -> Result<()> {
    let mut daemon = with_short_pauses().start().await?;
    let receiver = Receiver::start().await?;
    let secret = register(&daemon, "t", &["created"], &receiver.url("/hook")).await?;
    let before = show(&daemon, "t").await?;
    daemon.restart().await?;
    assert_eq!(show(&daemon, "t").await?, before);
    let same = json!({"name": "t", "events": ["created"], "action": {"webhook": receiver.url("/hook")}});
    let (status, again) = ask(&daemon, Method::POST, &[], Some(&same)).await?;
    assert_eq!((status, again.get("secret")), (200, None));
    daemon.note_put("a", "x", &[], &json!({})).await?;
    wait_states(&daemon, "t", &["delivered"]).await?;
    assert!(super::is_signed(&receiver.told()[0], &secret)?);

    let (status, gone) = ask(&daemon, Method::DELETE, &["t"], None).await?;
    assert_eq!((status, &gone["deleted"]), (200, &json!(true)));
    assert_eq!(ask(&daemon, Method::DELETE, &["t"], None).await?.0, 404);
    daemon.restart().await?;
    assert_eq!(ask(&daemon, Method::GET, &[], None).await?.1, json!({"triggers": []}));
    Ok(())
}

#[tokio::test]
async fn nobody_but_the_operator_touches_triggers() -> Result<()> {
    let daemon = with_short_pauses().start().await?;
    let receiver = Receiver::start().await?;
    register(&daemon, "t", &["created"], &receiver.url("/hook")).await?;
    let target = "/vault/default/api/triggers";
    for (method, target) in [
        ("GET", target.to_owned()),
        ("POST", target.to_owned()),
        ("DELETE", format!("{target}/t")),
        ("POST", format!("{target}/t/redrive")),
    ] {
        assert_eq!(
            daemon.ask(method, &target, &[], b"").await?.status,
            401,
            "{method} {target}"
        );
    }
    // Of the tokens of the vault only those of its admins will do.
    for (scope, expected) in [("vault:write", 403), ("vault:admin", 200)] {
        let new = json!({"scopes": [scope]});
        let made = daemon
            .request(Method::POST, &["vault", "default", "tokens"], Some(&new))
            .await?;
        let token: Value = made.ok()?;
        let bearer = format!("Bearer {}", token["token"].as_str().context("a token")?);
        let answer = daemon.ask("GET", target, &[("authorization", &bearer)], b"").await?;
        assert_eq!(answer.status, expected, "{scope}");
    }
    // A turn asks with the token that it has.
    daemon.create_agent("eng", "You are an engineer.").await?;
    let file = daemon.scratch().join("seen");
    let text = format!(
        "[[exec \"$REVEILLE_BIN\" trigger pause t --vault default 2>{0}; echo \"code $?\" >>{0}]] [[reply done]]",
        file.display()
    );
    let sent = daemon.send("eng", &text).await?;
    daemon.wait_turn("eng", &sent).await?;
    let seen = std::fs::read_to_string(file)?;
    assert!(
        seen.contains("A turn may not do this (PATCH ") && seen.ends_with("code 4\n"),
        "{seen}"
    );
    assert_eq!(show(&daemon, "t").await?["state"], "enabled");
    Ok(())
}

#[tokio::test]
async fn what_was_given_up_is_seen_and_driven_again_by_commands() -> Result<()> {
    let daemon = with_short_pauses()
        .env("REVEILLE_TRIGGERS__RETRY_PAUSES", "")
        .start()
        .await?;
    let receiver = Receiver::start().await?;
    receiver.script("/hook", [Answer::Status(500), Answer::Status(500), Answer::Status(200)]);
    assert_eq!(out(&daemon, &["trigger", "list"]).await?, "no triggers\n");
    register(&daemon, "t", &["created"], &receiver.url("/hook?key=SECRET")).await?;
    assert_eq!(out(&daemon, &["trigger", "deliveries", "t"]).await?, "no deliveries\n");
    daemon.note_put("a", "x", &[], &json!({})).await?;
    daemon.note_put("b", "x", &[], &json!({})).await?;
    let dead = wait_states(&daemon, "t", &["dead", "dead"]).await?;
    let health = daemon.request(Method::GET, &["health"], None).await?.body;
    assert_eq!(health["dead_deliveries"], 2);
    let stranger: Value = daemon.ask("GET", "/health", &[], b"").await?.json()?;
    assert_eq!(stranger.get("dead_deliveries"), None);

    let listed = out(&daemon, &["trigger", "list"]).await?;
    let row: Vec<&str> = listed.lines().nth(1).context("a row")?.split_whitespace().collect();
    assert_eq!(row[..5], ["t", "enabled", "created", "0", "2"]);
    assert!(row[5].ends_with("/hook?key=…"), "{listed}");
    let shown: Value = serde_json::from_str(&out(&daemon, &["trigger", "show", "t"]).await?)?;
    assert_eq!(shown, show(&daemon, "t").await?);
    let listed = out(
        &daemon,
        &["trigger", "deliveries", "t", "--state", "dead", "--limit", "1"],
    )
    .await?;
    assert!(
        listed.contains("it answered 500") && listed.ends_with("go on with --before 2\n"),
        "{listed}"
    );

    let first = dead[0]["id"].as_str().context("an id")?;
    out(&daemon, &["trigger", "redrive", "t", first]).await?;
    wait_states(&daemon, "t", &["delivered", "dead"]).await?;
    out(&daemon, &["trigger", "pause", "t"]).await?;
    out(&daemon, &["trigger", "redrive", "t"]).await?;
    wait_states(&daemon, "t", &["delivered", "waiting"]).await?;
    assert_eq!(
        out(&daemon, &["trigger", "resume", "t"]).await?,
        "t is enabled; 1 wait\n"
    );
    wait_states(&daemon, "t", &["delivered", "delivered"]).await?;
    assert_eq!(
        out(&daemon, &["trigger", "redrive", "t"]).await?,
        "nothing to deliver again\n"
    );
    assert_eq!(out(&daemon, &["trigger", "rm", "t"]).await?, "removed t\n");
    let again = daemon.run(&["trigger", "rm", "t"]).await?;
    assert_eq!(again.code, 4);
    assert!(again.stderr.contains("no trigger with that name"), "{again:?}");
    Ok(())
}
