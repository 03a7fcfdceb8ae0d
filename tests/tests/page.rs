//! The page in real Chromium against the compiled daemon.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![forbid(unsafe_code)]

// The Bot API that the bridge's own tests have.
#[allow(dead_code, reason = "not all of it is needed here")]
#[path = "../../transports/tests/telegram/api.rs"]
mod api;

use std::path::Path;

use reveille_tests::daemon::Daemon;
use serde_json::json;
use tokio::process::Command;

#[tokio::test]
async fn a_person_signs_in_talks_to_an_agent_and_shapes_one() {
    let daemon = Daemon::builder().stand_in().start().await.unwrap();
    let (link, shaping_link) = (sign_in_link(&daemon).await, sign_in_link(&daemon).await);
    let system_link = sign_in_link(&daemon).await;
    // One bridge works, and the token of the other one is not accepted.
    let bot = api::Api::start().await;
    let config = format!(
        "[[transport]]\nname = \"pages\"\nkind = \"http-ui\"\n\n[[transport]]\nname = \"phone\"\nkind = \"telegram\"\n\
         token = \"${{BOT}}\"\napi_base = \"{}\"\n",
        bot.base
    );
    let bridged = Daemon::builder()
        .stand_in()
        .env("BOT", "4711:a_token_that_nobody_knows_of")
        .config(&config)
        .start()
        .await
        .unwrap();
    let bridges_link = sign_in_link(&bridged).await;
    // Some tests kill the daemon: they start one of their own.
    let program = Daemon::program().await.unwrap();
    let more = [
        ("REVEILLE_E2E_STAND_IN", "1"),
        ("REVEILLE_E2E_SHAPING_URL", shaping_link.as_str()),
        ("REVEILLE_E2E_SYSTEM_URL", system_link.as_str()),
        ("REVEILLE_E2E_BRIDGES_URL", bridges_link.as_str()),
        ("REVEILLE_E2E_BIN", program.to_str().unwrap()),
    ];
    browse(&daemon, &["run", "e2e", "--", "daemon"], &link, &more).await;

    // The same page below a mount, as behind a proxy that shows several programs under one name.
    let config = "[server]\nmount = \"/r\"\n";
    let daemon = Daemon::builder().stand_in().config(config).start().await.unwrap();
    let link = sign_in_link(&daemon).await.replacen("/#", "/r/#", 1);
    assert!(link.contains("/r/#sign-in="), "{link}");
    let run = [
        "exec",
        "--",
        "vitest",
        "run",
        "--config",
        "e2e/vitest.config.ts",
        "daemon.e2e",
    ];
    browse(&daemon, &run, &link, &[]).await;
}

/// Runs tests of the page, with npm, against a daemon.
async fn browse(daemon: &Daemon, run: &[&str], link: &str, more: &[(&str, &str)]) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web-ui");
    assert!(
        page.join("node_modules").is_dir(),
        "the page's packages are missing: run tests/run once"
    );
    let output = Command::new("npm")
        .args(run)
        .current_dir(page)
        .env("REVEILLE_E2E_URL", link)
        .envs(more.iter().copied())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&text),
        daemon.log().unwrap()
    );
}

async fn sign_in_link(daemon: &Daemon) -> String {
    let reply = daemon
        .request(http::Method::POST, &["api", "sign-in-links"], Some(&json!({})))
        .await
        .unwrap();
    reply.body["url"].as_str().unwrap().to_owned()
}
