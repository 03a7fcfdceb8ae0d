//! R-HTTP-8: what `channels.json` and `[[transport]]` may say.

use anyhow::Result;
use pretty_assertions::assert_eq;
use serde_json::json;

use super::api::Api;
use super::*;

#[tokio::test]
async fn r_http_8_a_file_of_channels_that_cannot_be_used_ends_the_start_and_names_itself() -> Result<()> {
    let mut daemon = Daemon::builder().stand_in().start().await?;
    daemon.stop().await?;
    let file = daemon.state_dir().join("channels.json");
    for (text, expected) in [
        ("{", "no JSON"),
        (r#"{"channel": []}"#, "`channels` must be there"),
        (
            r#"{"channels": [{"transport": "http-ui"}]}"#,
            r#"{"transport":"http-ui"}"#,
        ),
        (
            r#"{"channels": [{"name": "a", "transport": "fax"}]}"#,
            "telegram, http-ui, vault",
        ),
        (
            r#"{"channels": [{"name": "a", "transport": "telegram"}]}"#,
            "needs `config.token`",
        ),
        (
            r#"{"channels": [{"name": "a", "transport": "http-ui"}, {"name": "a", "transport": "http-ui"}]}"#,
            "names must differ",
        ),
        (
            r#"{"channels": [{"name": "a", "transport": "telegram", "config": {"token": "1:one_secret"}},
                {"name": "b", "transport": "telegram", "config": {"token": " 1:another_secret"}}]}"#,
            r#"the channel "b": the bridge "a" has this bot already"#,
        ),
    ] {
        std::fs::write(&file, text)?;
        let ran = daemon.run(["serve", "--bind", "127.0.0.1:0"]).await?;
        assert!(
            ran.stderr.contains("channels.json") && ran.stderr.contains(expected),
            "{}",
            ran.stderr
        );
        assert!(!ran.stderr.contains("secret"), "{}", ran.stderr);
        assert_eq!(ran.code, 1, "{}", ran.stderr);
    }
    std::fs::write(&file, r#"{"channels": [{"name": "old", "transport": "http-ui"}]}"#)?;
    daemon.start().await?;
    let listed: Value = daemon.request(Method::GET, &["api", "bridges"], None).await?.ok()?;
    assert_eq!(
        (&listed["bridges"][0]["name"], &listed["bridges"][0]["kind"]),
        (&json!("old"), &json!("http-ui"))
    );
    Ok(())
}

#[tokio::test]
async fn r_http_8_without_a_file_there_are_no_channels_whatever_the_environment_says() -> Result<()> {
    let daemon = Daemon::builder()
        .stand_in()
        .env("TELEGRAM_BOT_TOKEN", "1:secret")
        .start()
        .await?;
    let listed: Value = daemon.request(Method::GET, &["api", "bridges"], None).await?.ok()?;
    assert_eq!(listed, json!({ "bridges": [] }));
    Ok(())
}

#[tokio::test]
async fn one_bot_has_one_bridge_wherever_its_token_stands() -> Result<()> {
    let api = Api::start().await;
    let phone = "[[transport]]\nname = \"phone\"\nkind = \"telegram\"\ntoken = \"${BOT}\"\n";
    let mut daemon = Daemon::builder()
        .stand_in()
        .env("BOT", "1:a_secret")
        .config(&format!("{phone}api_base = \"{}\"\n", api.base))
        .start()
        .await?;
    let desk = |token: &str| {
        let config = json!({ "token": token, "apiBase": api.base });
        json!({ "name": "desk", "transport": "telegram", "config": config })
    };
    // While it runs, and with a secret that the bot has got since.
    for taken in ["1:a_secret", "1:another_secret"] {
        let reply = post(&daemon, &["api", "channels"], &desk(taken)).await?;
        assert_eq!(refused(&reply), (409, "bot_in_use"));
        let message = reply.body["message"].as_str().unwrap_or_default();
        assert!(
            message.contains("\"phone\"") && !reply.body.to_string().contains("secret"),
            "{}",
            reply.body
        );
    }
    let file = daemon.state_dir().join("channels.json");
    assert!(!file.exists());
    daemon.stop().await?;
    let another = |token: &str| json!({ "channels": [desk(token)] });
    std::fs::write(&file, another("1:a_secret").to_string())?;
    let ran = daemon.run(["serve", "--bind", "127.0.0.1:0"]).await?;
    let expected = r#"the channel "desk": the bridge "phone" has this bot already"#;
    assert!(ran.code == 1 && ran.stderr.contains(expected), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("@BotFather") && !ran.stderr.contains("secret"),
        "{}",
        ran.stderr
    );
    std::fs::write(&file, another("2:a_secret").to_string())?;
    daemon.start().await?;
    // Its own place it may take again, and not that of another.
    let again: Value = post(&daemon, &["api", "channels"], &desk("2:a_secret")).await?.ok()?;
    assert_eq!(again["replaced"], true);
    let reply = post(&daemon, &["api", "channels"], &desk("1:a_secret")).await?;
    assert_eq!(refused(&reply), (409, "bot_in_use"));
    let written = std::fs::read_to_string(&file)?;
    assert!(
        written.contains("2:a_secret") && !written.contains("1:a_secret"),
        "{written}"
    );
    let listed: Value = daemon.request(Method::GET, &["api", "bridges"], None).await?.ok()?;
    assert_eq!(listed["bridges"].as_array().map(Vec::len), Some(2));
    Ok(())
}
