//! R-HTTP-61, R-HTTP-62: bridges that come and go while the daemon runs.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::eventually;
use serde_json::json;

use super::api::{Api, Fault, TOKEN, message_of};
use super::*;

const CHANNELS: [&str; 2] = ["api", "channels"];

async fn add(daemon: &Daemon, body: &Value) -> Result<Reply> {
    post(daemon, &CHANNELS, body).await
}

async fn remove(daemon: &Daemon, name: &str, query: &str) -> Result<Value> {
    let answer = daemon
        .ask_in("DELETE", &format!("/api/channels/{name}{query}"), b"")
        .await?;
    ensure!(
        answer.status == 200,
        "{}: {}",
        answer.status,
        String::from_utf8_lossy(&answer.body)
    );
    answer.json()
}

async fn bridges(daemon: &Daemon) -> Result<Vec<Value>> {
    let listed: Value = daemon.request(Method::GET, &["api", "bridges"], None).await?.ok()?;
    Ok(listed["bridges"].as_array().cloned().unwrap_or_default())
}

async fn until_state(daemon: &Daemon, name: &str, state: &str) -> Result<Value> {
    eventually(&format!("{name} is {state}"), LIMIT, async || {
        let all = bridges(daemon).await?;
        Ok(all.into_iter().find(|one| one["name"] == name && one["state"] == state))
    })
    .await
}

fn file(daemon: &Daemon) -> Result<Value> {
    Ok(serde_json::from_slice(&std::fs::read(
        daemon.state_dir().join("channels.json"),
    )?)?)
}

/// A bot that everybody may write to, for the agent `eng`.
fn bot(api: &Api, token: &str) -> Value {
    let config = json!({ "token": token, "apiBase": api.base, "requireAccessFile": false });
    json!({ "name": "tg", "transport": "telegram", "agent": "eng", "config": config })
}

#[tokio::test]
async fn r_http_61_a_bot_that_is_added_works_at_once_and_after_a_restart() -> Result<()> {
    let api = Api::start().await;
    let mut daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You build.").await?;
    let added = add(&daemon, &bot(&api, TOKEN)).await?;
    let expected =
        json!({ "ok": true, "name": "tg", "transport": "telegram", "agent": "eng", "live": true, "replaced": false });
    assert_eq!((added.status, added.body), (200, expected));
    until_state(&daemon, "tg", "up").await?;
    api.text(42, 1, "hello");
    eventually("an answer", LIMIT, async || Ok((api.texts().len() == 1).then_some(()))).await?;

    let path = daemon.state_dir().join("channels.json");
    assert_eq!(std::fs::metadata(&path)?.permissions().mode() & 0o777, 0o600);
    assert_eq!(file(&daemon)?, json!({ "channels": [bot(&api, TOKEN)] }));
    // What is secret comes back by no answer, and is in no log.
    let secret = TOKEN.split_once(':').context("a token")?.1;
    for target in [
        "/api/channels",
        "/api/bridges",
        "/health",
        "/metrics",
        "/.parachute/config",
    ] {
        let answer = daemon.ask_in("GET", target, b"").await?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(answer.status == 200 && !text.contains(secret), "{target}: {text}");
    }
    assert!(!daemon.log()?.contains(secret));

    daemon.restart().await?;
    until_state(&daemon, "tg", "up").await?;
    api.text(42, 2, "hello again");
    eventually("another answer", LIMIT, async || {
        Ok((api.texts().len() == 2).then_some(()))
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn r_http_61_one_that_is_replaced_has_ended_and_the_new_secret_counts() -> Result<()> {
    let (old, new) = (Api::start().await, Api::start().await);
    let daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You build.").await?;
    add(&daemon, &bot(&old, "4711:a_token_that_nobody_knows_of"))
        .await?
        .ok::<Value>()?;
    let refused = until_state(&daemon, "tg", "refused").await?;
    assert!(
        refused["error"]
            .as_str()
            .is_some_and(|error| error.contains("token") && !error.contains("nobody_knows")),
        "{refused}"
    );
    let health: Value = daemon.request(Method::GET, &["health"], None).await?.ok()?;
    assert_eq!(health["status"], "degraded");
    // Somewhere else, with a token that works.
    let added: Value = add(&daemon, &bot(&new, TOKEN)).await?.ok()?;
    assert_eq!(added["replaced"], true);
    until_state(&daemon, "tg", "up").await?;
    new.text(42, 1, "hello");
    eventually("an answer", LIMIT, async || Ok((new.texts().len() == 1).then_some(()))).await?;
    assert_eq!(bridges(&daemon).await?.len(), 1);
    eventually("it is known there what was taken", LIMIT, async || {
        Ok(new.lock().updates.is_empty().then_some(()))
    })
    .await?;

    // And back: nobody asks for updates where it was.
    let added: Value = add(&daemon, &bot(&old, TOKEN)).await?.ok()?;
    assert_eq!(added["replaced"], true);
    until_state(&daemon, "tg", "up").await?;
    old.text(42, 7, "over there now");
    eventually("an answer there", LIMIT, async || {
        Ok((old.texts().len() == 1).then_some(()))
    })
    .await?;
    new.push(json!({ "message": message_of(42, 8, &json!({ "text": "is anybody there?" })) }));
    // Whoever still asked there would have it before a whole turn is over here.
    old.text(42, 9, "one more here");
    eventually("one more answer", LIMIT, async || {
        Ok((old.texts().len() == 2).then_some(()))
    })
    .await?;
    assert_eq!((new.texts().len(), new.lock().updates.len()), (1, 1));
    Ok(())
}

#[tokio::test]
async fn r_http_61_what_cannot_be_used_is_refused_and_changes_nothing() -> Result<()> {
    let daemon = stand_in().start().await?;
    let path = daemon.state_dir().join("channels.json");
    let telegram = |config: Value| json!({ "name": "tg", "transport": "telegram", "config": config });
    for (body, expected) in [
        (json!({ "transport": "http-ui" }), "`name` must be there"),
        (json!({ "name": "", "transport": "http-ui" }), "`name` must be there"),
        (json!({ "name": 5, "transport": "http-ui" }), "`name` must be there"),
        (json!({ "name": "x" }), "`transport` must be there"),
        (json!({ "name": "x", "transport": "fax" }), "telegram, http-ui, vault"),
        (json!({ "name": "a/b", "transport": "http-ui" }), "letters, digits"),
        (json!({ "name": "../x", "transport": "http-ui" }), "letters, digits"),
        (
            json!({ "name": "x", "agent": "a b", "transport": "http-ui" }),
            "letters, digits",
        ),
        (telegram(json!({})), "needs `config.token`"),
        (telegram(json!("1:secret")), "needs `config.token`"),
        (telegram(json!({ "token": "no/token 1:secret" })), "bot token"),
        (
            telegram(json!({ "token": "1:secret", "apiBase": "http://api.example.com" })),
            "use https",
        ),
        (
            telegram(json!({ "token": "1:secret", "stateDir": "/dev/null/x" })),
            "cannot be made",
        ),
    ] {
        let reply = add(&daemon, &body).await?;
        assert_eq!(refused(&reply), (400, "invalid_channel"), "{body}");
        let message = reply.body["message"].as_str().unwrap_or_default();
        assert!(message.contains(expected) && !message.contains("secret"), "{message}");
    }
    let vault = json!({ "name": "v", "transport": "vault", "config": { "token": "t", "vault": "default" } });
    assert_eq!(refused(&add(&daemon, &vault).await?), (400, "vault_channel"));
    let broken = daemon.ask_in("POST", "/api/channels", b"{ no json").await?;
    assert_eq!(broken.status, 400);
    assert!(!path.exists(), "something was written");

    // The configuration has these.
    let taken = json!({ "name": "ui1", "transport": "http-ui" });
    assert_eq!(refused(&add(&daemon, &taken).await?), (409, "configured_bridge"));
    let gone = daemon
        .request(Method::DELETE, &["api", "channels", "ui1"], None)
        .await?;
    assert_eq!(refused(&gone), (409, "configured_bridge"));

    // Who may only read, write or send changes nothing, and strangers do not.
    let json = ("content-type", "application/json");
    for (scopes, expected) in [
        (&[][..], 401),
        (&["reveille:read"], 403),
        (&["reveille:write"], 403),
        (&["reveille:send"], 403),
    ] {
        let bearer = match scopes.is_empty() {
            true => "Bearer nothing".to_owned(),
            false => format!("Bearer {}", token(&daemon, scopes).await?),
        };
        let headers = [json, ("authorization", bearer.as_str())];
        let body = br#"{"name": "x", "transport": "http-ui"}"#;
        let answer = daemon.ask("POST", "/api/channels", &headers, body).await?;
        assert_eq!(answer.status, expected, "{scopes:?}");
        let answer = daemon.ask("DELETE", "/api/channels/ui1", &headers, b"").await?;
        assert_eq!(answer.status, expected, "{scopes:?}");
    }
    assert!(!path.exists(), "something was written");

    // A file that somebody has broken by hand is left as it is.
    std::fs::write(&path, "{ broken")?;
    let reply = add(&daemon, &json!({ "name": "x", "transport": "http-ui" })).await?;
    assert_eq!(refused(&reply), (500, "channels_not_written"));
    assert_eq!(std::fs::read_to_string(&path)?, "{ broken");
    assert_eq!(bridges(&daemon).await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn r_http_62_one_that_is_removed_ends_at_once_and_its_pages_are_told() -> Result<()> {
    let mut daemon = Daemon::builder().stand_in().start().await?;
    let ui = json!({ "name": "ui9", "transport": "http-ui" });
    add(&daemon, &ui).await?.ok::<Value>()?;
    until_state(&daemon, "ui9", "up").await?;
    let mut page = page(&daemon, "ui9").await?;
    post(
        &daemon,
        &["api", "reply"],
        &json!({ "channel": "ui9", "text": "hello" }),
    )
    .await?
    .ok::<Value>()?;
    assert_eq!(page.next().await?.1["text"], "hello");
    let gone = remove(&daemon, "ui9", "").await?;
    let expected =
        json!({ "ok": true, "name": "ui9", "removed": true, "waiting": 0, "undelivered": 0, "discarded": 0 });
    assert_eq!(gone, expected);
    assert_eq!(page.next().await?, ("close".into(), json!({})));
    assert_eq!(page.next_or_end().await?, None);
    let reply = post(&daemon, &["api", "reply"], &json!({ "channel": "ui9", "text": "x" })).await?;
    assert_eq!(refused(&reply), (400, "unknown_channel"));
    assert_eq!(file(&daemon)?, json!({ "channels": [] }));
    assert_eq!(remove(&daemon, "ui9", "").await?["removed"], false);

    // One that is only in the file goes from there.
    let path = daemon.state_dir().join("channels.json");
    std::fs::write(&path, json!({ "channels": [ui] }).to_string())?;
    assert_eq!(remove(&daemon, "ui9", "").await?["removed"], false);
    assert_eq!(file(&daemon)?, json!({ "channels": [] }));
    daemon.restart().await?;
    assert_eq!(bridges(&daemon).await?, Vec::<Value>::new());
    Ok(())
}

#[tokio::test]
async fn what_a_removed_bridge_has_not_sent_is_kept_shown_and_sent_when_it_is_back() -> Result<()> {
    let api = Api::start().await;
    let daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You build.").await?;
    add(&daemon, &bot(&api, TOKEN)).await?.ok::<Value>()?;
    until_state(&daemon, "tg", "up").await?;
    // One is refused for good, the next one waits.
    let no = Fault::Status(
        400,
        json!({ "description": "Forbidden: the bot was blocked by the user" }),
    );
    let down = Fault::Status(500, json!({ "description": "down" }));
    api.fault("sendMessage", &[vec![no], vec![down; 1000]].concat());
    api.text(42, 1, "first");
    let count = async |key: &str| -> Result<u64> {
        let all = bridges(&daemon).await?;
        Ok(all.first().and_then(|one| one[key].as_u64()).unwrap_or_default())
    };
    eventually("one is undelivered", LIMIT, async || {
        Ok((count("undelivered").await? == 1).then_some(()))
    })
    .await?;
    api.text(42, 2, "second");
    eventually("one waits", LIMIT, async || {
        Ok((count("waiting").await? == 1).then_some(()))
    })
    .await?;
    // By the name of the bridge, as people know it.
    let listed: Value = daemon
        .request(Method::GET, &["api", "bridges", "tg", "undelivered"], None)
        .await?
        .ok()?;
    assert!(
        listed["messages"][0]["last_error"]
            .as_str()
            .is_some_and(|error| error.contains("blocked by the user")),
        "{listed}"
    );

    let gone = remove(&daemon, "tg", "").await?;
    assert_eq!(
        (&gone["removed"], &gone["waiting"], &gone["undelivered"]),
        (&json!(true), &json!(1), &json!(1))
    );
    let left = &bridges(&daemon).await?[0];
    assert_eq!(
        (&left["name"], &left["state"], &left["waiting"], &left["undelivered"]),
        (&json!("telegram/tg"), &json!("removed"), &json!(1), &json!(1))
    );
    let redrive = ["api", "bridges", "telegram/tg", "redrive"];
    assert_eq!(
        refused(&post(&daemon, &redrive, &json!({})).await?),
        (409, "bridge_removed")
    );

    // It is back: what waits goes out, and what was given up when somebody asks for it.
    api.lock().faults.clear();
    add(&daemon, &bot(&api, TOKEN)).await?.ok::<Value>()?;
    let redriven: Value = post(&daemon, &["api", "bridges", "tg", "redrive"], &json!({}))
        .await?
        .ok()?;
    assert!(
        redriven["retried"].as_u64().is_some_and(|count| count >= 1),
        "{redriven}"
    );
    eventually("both are sent", LIMIT, async || {
        Ok((api.texts().len() == 2).then_some(()))
    })
    .await?;
    // The bridge hears a moment later that they have arrived.
    eventually("nothing is left", LIMIT, async || {
        Ok((count("waiting").await? == 0 && count("undelivered").await? == 0).then_some(()))
    })
    .await?;

    // Thrown away when somebody says so, also after it is gone.
    let down = Fault::Status(500, json!({ "description": "down" }));
    api.fault("sendMessage", &vec![down; 1000]);
    api.text(42, 3, "third");
    eventually("one waits again", LIMIT, async || {
        Ok((count("waiting").await? == 1).then_some(()))
    })
    .await?;
    assert_eq!(remove(&daemon, "tg", "").await?["waiting"], 1);
    let thrown = remove(&daemon, "tg", "?discard=true").await?;
    assert_eq!((&thrown["removed"], &thrown["waiting"]), (&json!(false), &json!(0)));
    assert!(thrown["discarded"].as_u64().is_some_and(|count| count >= 1), "{thrown}");
    assert_eq!(bridges(&daemon).await?, Vec::<Value>::new());
    Ok(())
}

#[tokio::test]
async fn bridges_are_added_listed_and_removed_by_commands() -> Result<()> {
    let api = Api::start().await;
    let daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You build.").await?;
    let secret = daemon.state_dir().join("bot-token");
    std::fs::write(&secret, format!("{TOKEN}\n"))?;
    let secret = secret.to_str().context("a path")?;
    let add = ["bridge", "add", "tg", "--kind", "telegram", "--agent", "eng"];
    let whole = [&add[..], &["--token-file", secret, "--api-base", &api.base, "--open"]].concat();
    let ran = daemon.run(whole).await?;
    assert_eq!(
        (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
        (0, "tg is added: up; its messages are for eng\n", "")
    );
    api.text(42, 1, "hello");
    eventually("an answer", LIMIT, async || Ok((api.texts().len() == 1).then_some(()))).await?;
    let ran = daemon.run(["bridge", "list"]).await?;
    assert!(
        ran.stdout.contains("tg") && ran.stdout.contains("telegram") && ran.stdout.contains("up"),
        "{}",
        ran.stdout
    );
    // Nobody is there to be asked.
    let ran = daemon.run(add).await?;
    assert!(ran.code == 2 && ran.stderr.contains("--token-file"), "{}", ran.stderr);
    let ran = daemon
        .run(["bridge", "add", "ui1", "--kind", "http-ui", "--token-file", secret])
        .await?;
    assert!(
        ran.code == 2 && ran.stderr.contains("http-ui takes nothing"),
        "{}",
        ran.stderr
    );
    let ran = daemon.run(["bridge", "add", "ui1", "--kind", "http-ui"]).await?;
    assert!(
        ran.code == 0 && ran.stderr.contains("there is no agent ui1 yet"),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
    let ran = daemon.run(["bridge", "remove", "tg"]).await?;
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "tg is removed\n"));
    let ran = daemon.run(["bridge", "remove", "tg"]).await?;
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "no bridge tg ran\n"));
    Ok(())
}
