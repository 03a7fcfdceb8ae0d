//! Who may not answer what, and that nothing is published then.

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, State};
use serde_json::{Value, json};

use super::{answer, ask, attach, letter, next, outbound, pending, refused, stand_in, until_pending, with_eng};

#[tokio::test]
async fn tc_at_7_what_was_not_taken_is_not_answered() -> Result<()> {
    let daemon = with_eng().await?;
    daemon.create_agent("ops", "You do.").await?;
    attach(&daemon, "other", json!({})).await?;
    let sent = daemon.send("eng", "Build it.").await?;
    let reply = async |agent: &str, body: Value| ask(&daemon, agent, "reply", &body).await;
    for (agent, body, expected) in [
        ("eng", json!({ "text": " \n" }), (400, "blank_reply")),
        (
            "eng",
            json!({ "text": "", "in_reply_to": sent.id }),
            (400, "blank_reply"),
        ),
        (
            "eng",
            json!({ "text": "x", "in_reply_to": "nothing" }),
            (404, "unknown_message"),
        ),
        (
            "eng",
            json!({ "text": "x", "in_reply_to": uuid::Uuid::nil() }),
            (404, "unknown_message"),
        ),
        (
            "eng",
            json!({ "text": "x", "in_reply_to": "" }),
            (404, "unknown_message"),
        ),
        (
            "other",
            json!({ "text": "x", "in_reply_to": sent.id }),
            (404, "unknown_message"),
        ),
        (
            "eng",
            json!({ "text": "x", "in_reply_to": sent.id }),
            (409, "not_claimed"),
        ),
        ("ops", json!({ "text": "x" }), (409, "not_attached")),
        ("nobody", json!({ "text": "x" }), (404, "unknown_agent")),
    ] {
        let refusal = reply(agent, body.clone()).await?;
        assert_eq!(refused(&refusal), expected, "{agent} {body}");
    }
    for what in ["release", "renew"] {
        let refusal = ask(&daemon, "eng", what, &json!({ "id": sent.id })).await?;
        assert_eq!(refused(&refusal), (409, "not_claimed"), "{what}");
        let refusal = ask(&daemon, "eng", what, &json!({ "id": "nothing" })).await?;
        assert_eq!(refused(&refusal), (404, "unknown_message"), "{what}");
    }
    for (agent, expected) in [("ops", (409, "not_attached")), ("nobody", (404, "unknown_agent"))] {
        assert_eq!(refused(&ask(&daemon, agent, "next", &json!({})).await?), expected);
        let looked = daemon
            .request(Method::GET, &["api", "channels", agent, "pending"], None)
            .await?;
        assert_eq!(refused(&looked), expected);
    }
    assert_eq!(outbound(&daemon).await?.len(), 0);
    assert_eq!(pending(&daemon, "eng").await?["count"], 1);
    Ok(())
}

#[tokio::test]
async fn a_claim_that_is_over_publishes_nothing() -> Result<()> {
    let mut daemon = stand_in().env("REVEILLE_ATTACHED__CLAIM_TTL", "150ms").start().await?;
    attach(&daemon, "eng", json!({})).await?;
    let sent = daemon.send("eng", "Build it.").await?;
    let old = next(&daemon, "eng").await?;
    until_pending(&daemon, "eng", 1).await?;
    assert_eq!(
        refused(&answer(&daemon, "eng", &old, "Late.").await?),
        (409, "not_claimed")
    );
    super::until_thread(&daemon, &old["thread"], "waiting").await?;

    daemon.set_env("REVEILLE_ATTACHED__CLAIM_TTL", "15m");
    daemon.restart().await?;
    let new = next(&daemon, "eng").await?;
    assert_eq!((&new["id"], new["claim"] != old["claim"]), (&old["id"], true));
    for what in ["release", "renew"] {
        let shown = json!({ "id": old["id"], "claim": old["claim"] });
        assert_eq!(
            refused(&ask(&daemon, "eng", what, &shown).await?),
            (409, "claim_over"),
            "{what}"
        );
    }
    assert_eq!(
        refused(&answer(&daemon, "eng", &old, "Late.").await?),
        (409, "claim_over")
    );
    assert_eq!(outbound(&daemon).await?.len(), 0);
    answer(&daemon, "eng", &new, "In time.").await?.ok::<Value>()?;
    assert_eq!(daemon.wait_turn("eng", &sent).await?.reply.as_deref(), Some("In time."));
    assert_eq!(
        refused(&answer(&daemon, "eng", &old, "Late.").await?),
        (409, "already_answered")
    );
    assert_eq!(outbound(&daemon).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn what_a_limit_forbids_ends_on_the_way() -> Result<()> {
    let daemon = with_eng().await?;
    daemon.create_agent("boss", "You lead.").await?;
    let deep = json!({ "agent": "eng", "reply_to": "boss", "delegation_depth": "9" });
    let deep = letter(&daemon, "Go deeper.", &deep).await?;
    let blank = letter(&daemon, " ", &json!({ "agent": "eng" })).await?;
    let gone = letter(&daemon, "Never mind.", &json!({ "agent": "eng" })).await?;
    let path = ["vault", "default", "api", "notes", &gone];
    daemon.request(Method::DELETE, &path, None).await?;
    let sent = daemon.send("eng", "Build it.").await?;
    assert_eq!(next(&daemon, "eng").await?["id"], json!(sent.id));
    let journal = daemon.journal()?;
    let ended = |note: &str| {
        journal
            .turns
            .iter()
            .find(|turn| turn.note == note)
            .map(|turn| turn.state.clone())
    };
    assert_eq!(
        [ended(&deep), ended(&blank), ended(&gone)],
        ["error", "error", "cancelled"].map(|state| Some(state.to_owned()))
    );
    let failures = outbound(&daemon).await?;
    let code = |note: &str| {
        let failure = failures.iter().find(|failure| failure.text("in_reply_to") == note);
        failure.map(|failure| failure.text("code").to_owned())
    };
    assert_eq!(
        (code(&deep).as_deref(), code(&blank).as_deref(), code(&gone)),
        (Some("delegation_too_deep"), Some("blank_message"), None)
    );
    Ok(())
}

#[tokio::test]
async fn a_chain_that_is_too_long_ends_at_next() -> Result<()> {
    let daemon = stand_in().env("REVEILLE_LIMITS__CHAIN_MESSAGES", "1").start().await?;
    attach(&daemon, "eng", json!({})).await?;
    let first = letter(&daemon, "One.", &json!({ "agent": "eng" })).await?;
    let second = letter(&daemon, "Two.", &json!({ "agent": "eng", "chain_id": first })).await?;
    assert_eq!(next(&daemon, "eng").await?["id"], json!(first));
    assert_eq!(next(&daemon, "eng").await?["message"], Value::Null);
    let [failure] = &outbound(&daemon).await?[..] else {
        anyhow::bail!("not one answer");
    };
    assert_eq!(
        (failure.text("in_reply_to"), failure.text("code")),
        (second.as_str(), "chain_budget")
    );
    Ok(())
}

#[tokio::test]
async fn a_turn_takes_no_messages() -> Result<()> {
    let daemon = with_eng().await?;
    daemon.create_agent("ops", "You do.").await?;
    daemon.send("eng", "Build it.").await?;
    let script = "for way in next reply release renew; do \
                  curl -s -o /dev/null -w '%{http_code} ' -X POST -H \"Authorization: Bearer $REVEILLE_TOKEN\" -d '{}' \
                  $REVEILLE_URL/api/channels/eng/$way; done; \
                  curl -s -o /dev/null -w '%{http_code}' -H \"Authorization: Bearer $REVEILLE_TOKEN\" \
                  $REVEILLE_URL/api/channels/eng/pending";
    let out = daemon.scratch().join("codes");
    let sent = daemon
        .send("ops", &format!("[[exec ({script}) > {}]]", out.display()))
        .await?;
    assert_eq!(daemon.wait_turn("ops", &sent).await?.state, State::Ok);
    assert_eq!(
        std::fs::read_to_string(&out).context("what the turn wrote")?,
        "403 403 403 403 403"
    );
    assert_eq!(pending(&daemon, "eng").await?["count"], 1);
    Ok(())
}

/// A token of the daemon with one scope.
async fn token(daemon: &Daemon, scope: &str) -> Result<String> {
    let body = json!({ "scopes": [scope] });
    let made = daemon.request(Method::POST, &["api", "tokens"], Some(&body)).await?;
    let made: Value = made.ok()?;
    Ok(made["token"].as_str().context("a token")?.to_owned())
}

async fn ask_as(daemon: &Daemon, token: &str, what: &str, body: Value) -> Result<(u16, Value)> {
    let bearer = format!("Bearer {token}");
    let target = format!("/api/channels/eng/{what}");
    let (method, body) = match what {
        "pending" => ("GET", String::new()),
        _ => ("POST", body.to_string()),
    };
    let answer = daemon
        .ask(method, &target, &[("authorization", bearer.as_str())], body.as_bytes())
        .await?;
    Ok((answer.status, answer.json()?))
}

#[tokio::test]
async fn who_has_it_tells_the_token() -> Result<()> {
    let daemon = with_eng().await?;
    let sent = daemon.send("eng", "Build it.").await?;
    let (anna, ben) = (
        token(&daemon, "reveille:write").await?,
        token(&daemon, "reveille:write").await?,
    );
    let taken = ask_as(&daemon, &anna, "next", json!({})).await?.1;
    assert_eq!(taken["id"], json!(sent.id));
    let by = &super::agent(&daemon, "eng").await?["claimed"][0]["by"];
    assert!(by.as_str().is_some_and(|by| by.starts_with("token:t_")), "{by}");
    let claim = json!({ "id": taken["id"], "claim": taken["claim"] });
    let reply = |text: &str| json!({ "text": text, "in_reply_to": taken["id"], "claim": taken["claim"] });
    let code = |(status, body): (u16, Value)| (status, body["error"].as_str().unwrap_or_default().to_owned());
    for (what, body) in [
        ("reply", reply("x")),
        ("release", claim.clone()),
        ("renew", claim.clone()),
    ] {
        let refusal = ask_as(&daemon, &ben, what, body).await?;
        assert_eq!(code(refusal), (409, "not_yours".into()), "{what}");
    }
    // The operator's word is not theirs either; but the operator puts it back.
    assert_eq!(refused(&answer(&daemon, "eng", &taken, "x").await?), (409, "not_yours"));
    assert_eq!(outbound(&daemon).await?.len(), 0);
    assert_eq!(ask_as(&daemon, &anna, "reply", reply("Built.")).await?.0, 200);
    assert_eq!(
        code(ask_as(&daemon, &ben, "reply", reply("Built.")).await?),
        (409, "not_yours".into())
    );

    daemon.send("eng", "Again.").await?;
    let taken = ask_as(&daemon, &anna, "next", json!({})).await?.1;
    ask(&daemon, "eng", "release", &json!({ "id": taken["id"] }))
        .await?
        .ok::<Value>()?;
    let late = json!({ "text": "x", "in_reply_to": taken["id"] });
    assert_eq!(
        code(ask_as(&daemon, &anna, "reply", late).await?),
        (409, "not_claimed".into())
    );
    Ok(())
}

#[tokio::test]
async fn tc_at_6_who_may_read_looks_and_takes_nothing() -> Result<()> {
    let daemon = with_eng().await?;
    let sent = daemon.send("eng", "Build it.").await?;
    let reader = token(&daemon, "reveille:read").await?;
    let waits = ask_as(&daemon, &reader, "pending", Value::Null).await?;
    assert_eq!((waits.0, &waits.1["items"][0]["id"]), (200, &json!(sent.id)));
    for (what, body) in [
        ("next", json!({})),
        ("reply", json!({ "text": "x" })),
        ("release", json!({ "id": sent.id })),
        ("renew", json!({ "id": sent.id })),
    ] {
        let (status, body) = ask_as(&daemon, &reader, what, body).await?;
        assert_eq!(
            (status, &body["required_scope"]),
            (403, &json!("reveille:write")),
            "{what} {body}"
        );
    }
    let sender = token(&daemon, "reveille:send").await?;
    assert_eq!(ask_as(&daemon, &sender, "pending", Value::Null).await?.0, 403);
    assert_eq!(pending(&daemon, "eng").await?["count"], 1);
    Ok(())
}

#[tokio::test]
async fn the_command_line_takes_and_answers() -> Result<()> {
    let daemon = with_eng().await?;
    let nothing = daemon.run(["attached", "next", "eng"]).await?;
    assert_eq!((nothing.code, nothing.stdout.as_str()), (0, ""));
    assert!(nothing.stderr.contains("no pending messages"), "{}", nothing.stderr);
    let sent = daemon.send("eng", "Build it.").await?;
    let listed = daemon.run(["attached", "list", "eng"]).await?;
    assert!(
        listed.stdout.contains(&sent.id) && listed.stdout.contains("Build it."),
        "{}",
        listed.stdout
    );
    let taken = daemon.run(["attached", "next", "eng", "--wait"]).await?;
    assert_eq!((taken.code, taken.stdout.as_str()), (0, "Build it.\n"));
    let renewed = daemon.run(["attached", "renew", "eng", &sent.id]).await?;
    assert!(renewed.stdout.starts_with("held until "), "{}", renewed.stdout);
    daemon.run(["attached", "release", "eng", &sent.id]).await?;
    let refusal = daemon
        .run(["attached", "reply", "eng", "Built.", "--to", &sent.id])
        .await?;
    assert_eq!(refusal.code, 4, "{}", refusal.stderr);
    // What stderr says is the command that answers.
    let taken = daemon.run(["attached", "next", "eng"]).await?;
    let (_, command) = taken
        .stderr
        .split_once("answer with: reveille ")
        .context("how to answer")?;
    let command = command.split_whitespace().chain(["Built."]);
    let replied = daemon.run(command).await?;
    assert_eq!(replied.code, 0, "{}", replied.stderr);
    assert_eq!(daemon.wait_turn("eng", &sent).await?.reply.as_deref(), Some("Built."));
    Ok(())
}
