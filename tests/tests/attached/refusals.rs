//! Who may not answer what, and that nothing is published then.

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::State;
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
    assert_eq!(outbound(&daemon)?.len(), 0);
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
    assert_eq!(outbound(&daemon)?.len(), 0);
    answer(&daemon, "eng", &new, "In time.").await?.ok::<Value>()?;
    assert_eq!(daemon.wait_turn("eng", &sent).await?.reply.as_deref(), Some("In time."));
    assert_eq!(
        refused(&answer(&daemon, "eng", &old, "Late.").await?),
        (409, "already_answered")
    );
    assert_eq!(outbound(&daemon)?.len(), 1);
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
    let failures = outbound(&daemon)?;
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
    let [failure] = &outbound(&daemon)?[..] else {
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
