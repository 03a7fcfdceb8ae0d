//! R-HTTP-8: what `channels.json` and `[[transport]]` may say.

use anyhow::Result;
use pretty_assertions::assert_eq;
use serde_json::json;

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
    ] {
        std::fs::write(&file, text)?;
        let ran = daemon.run(["serve", "--bind", "127.0.0.1:0"]).await?;
        assert!(
            ran.stderr.contains("channels.json") && ran.stderr.contains(expected),
            "{}",
            ran.stderr
        );
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
