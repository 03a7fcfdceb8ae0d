//! The real CLI, and what it shows to a double of the API.

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::State;
use reveille_tests::messages_api::MessagesApi;
use serde_json::{Value, json};

use super::{CLAUDE, ENV, KEY, OAUTH, done};

#[tokio::test]
async fn the_real_cli_signs_in_with_what_is_stored_and_its_tools_have_the_secrets() -> Result<()> {
    let api = MessagesApi::start().await?;
    // A key is configured, which the CLI would take before a token.
    let daemon = Daemon::builder().real_claude(&api).start().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    let shown = async |text: &str| -> Result<(Vec<String>, String)> {
        let sent = daemon.send("eng", text).await?;
        let turn = daemon.wait_turn("eng", &sent).await?;
        assert_eq!(turn.state, State::Ok, "{turn:?}");
        let last = api.requests().pop();
        let credentials = last.map(|request| request.credentials).unwrap_or_default();
        Ok((credentials, turn.reply.unwrap_or_default()))
    };
    assert_eq!(shown("one").await?.0, ["x-api-key: dummy"]);
    done(&daemon, "POST", CLAUDE, &json!({ "token": KEY })).await?;
    assert_eq!(shown("two").await?.0, [format!("x-api-key: {KEY}")]);
    done(&daemon, "POST", &format!("{CLAUDE}/eng"), &json!({ "token": OAUTH })).await?;
    let secret = json!({ "name": "GH_TOKEN", "value": "hunter4hunter4" });
    done(&daemon, "POST", ENV, &secret).await?;
    let print = json!({ "command": "printf 'it has %s characters' \"${#GH_TOKEN}\"" });
    let (credentials, reply) = shown(&format!("[[tool Bash {print}]]")).await?;
    assert_eq!(credentials, [format!("authorization: Bearer {OAUTH}")]);
    assert!(reply.contains("it has 14 characters"), "{reply}");
    done(&daemon, "DELETE", CLAUDE, &Value::Null).await?;
    done(&daemon, "DELETE", &format!("{CLAUDE}/eng"), &Value::Null).await?;
    assert_eq!(shown("three").await?.0, ["x-api-key: dummy"]);
    assert!(!daemon.log()?.contains("hunter"));
    Ok(())
}
