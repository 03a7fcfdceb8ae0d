//! The routes.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::Answer;
use serde_json::{Value, json};

use super::{CLAUDE, ENV, KEY, OAUTH, ask, command, done, file, raw, started};

/// Everything that changes something.
fn changes() -> [(&'static str, &'static str, Value); 6] {
    [
        ("POST", CLAUDE, json!({ "token": OAUTH })),
        ("DELETE", CLAUDE, Value::Null),
        ("POST", "/api/credentials/claude/eng", json!({ "token": OAUTH })),
        ("DELETE", "/api/credentials/claude/eng", Value::Null),
        ("POST", ENV, json!({ "name": "GH_TOKEN", "value": OAUTH })),
        ("DELETE", ENV, json!({ "name": "GH_TOKEN" })),
    ]
}

/// Everything that tells something.
const TELLS: [&str; 3] = [CLAUDE, ENV, "/api/agents/eng/env"];

async fn by(daemon: &Daemon, token: &str, method: &str, target: &str, body: &Value) -> Result<Answer> {
    let bearer = format!("Bearer {token}");
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let headers = [("authorization", bearer.as_str())];
    daemon.ask(method, target, &headers, body.as_bytes()).await
}

async fn token(daemon: &Daemon, scope: &str) -> Result<String> {
    let made = ask(daemon, "POST", "/api/tokens", &json!({ "scopes": [scope] }))
        .await?
        .json()?;
    made["token"].as_str().map(str::to_owned).context("a token")
}

#[tokio::test]
async fn the_credential_of_claude_code_is_set_for_all_or_for_one_and_never_shown() -> Result<()> {
    let daemon = started().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    let listed = async || done(&daemon, "GET", CLAUDE, &Value::Null).await;
    assert_eq!(listed().await?, json!({ "defaultSet": false, "channels": [] }));
    assert_eq!(
        done(&daemon, "POST", CLAUDE, &json!({ "token": OAUTH })).await?,
        json!({ "ok": true, "scope": "default" })
    );
    assert_eq!(std::fs::metadata(file(&daemon))?.permissions().mode() & 0o777, 0o600);
    assert_eq!(raw(&daemon)?, json!({ "claude": { "default": OAUTH } }));
    // A name is decoded, as in every address.
    assert_eq!(
        done(
            &daemon,
            "POST",
            "/api/credentials/claude/e%6Eg",
            &json!({ "token": KEY })
        )
        .await?,
        json!({ "ok": true, "scope": "channel", "channel": "eng" })
    );
    let early = done(&daemon, "POST", "/api/credentials/claude/zed", &json!({ "token": KEY })).await?;
    assert!(
        early["note"].as_str().context("a note")?.contains("no agent zed"),
        "{early}"
    );
    assert_eq!(
        listed().await?,
        json!({ "defaultSet": true, "channels": ["eng", "zed"] })
    );
    for removed in [true, false] {
        assert_eq!(
            done(&daemon, "DELETE", "/api/credentials/claude/eng", &Value::Null).await?,
            json!({ "ok": true, "scope": "channel", "channel": "eng", "removed": removed })
        );
    }
    assert_eq!(
        done(&daemon, "DELETE", CLAUDE, &Value::Null).await?,
        json!({ "ok": true, "scope": "default", "removed": true })
    );
    assert_eq!(listed().await?, json!({ "defaultSet": false, "channels": ["zed"] }));
    assert!(!daemon.log()?.contains("hunter"));
    Ok(())
}

#[tokio::test]
async fn variables_are_stored_in_two_layers_and_told_by_name() -> Result<()> {
    let daemon = started().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    let listed = async || done(&daemon, "GET", ENV, &Value::Null).await;
    assert_eq!(listed().await?, json!({ "default": [], "channels": {} }));
    for (body, scope) in [
        (json!({ "name": "B", "value": "hunter2" }), "default"),
        (json!({ "name": "A", "value": "hunter2", "channel": null }), "default"),
        (json!({ "name": "C", "value": "hunter2", "channel": " " }), "default"),
        (json!({ "name": "A", "value": "hunter2", "channel": "eng" }), "channel"),
    ] {
        let answer = done(&daemon, "POST", ENV, &body).await?;
        assert_eq!(
            (&answer["ok"], &answer["scope"], &answer["name"]),
            (&json!(true), &json!(scope), &body["name"])
        );
        assert_eq!(answer.get("channel").is_some(), scope == "channel", "{answer}");
    }
    assert_eq!(
        listed().await?,
        json!({ "default": ["A", "B", "C"], "channels": { "eng": ["A"] } })
    );
    // By the body, or by the query.
    let removed = |scope: &str, name: &str, removed: bool| json!({ "ok": true, "scope": scope, "name": name, "removed": removed });
    let mut of_eng = removed("channel", "A", true);
    of_eng["channel"] = "eng".into();
    assert_eq!(
        done(&daemon, "DELETE", ENV, &json!({ "name": "A", "channel": "eng" })).await?,
        of_eng
    );
    for target in ["/api/credentials/env?name=A", "/api/credentials/env?name=B&channel="] {
        let answer = done(&daemon, "DELETE", target, &Value::Null).await?;
        assert_eq!(
            (&answer["scope"], &answer["removed"]),
            (&json!("default"), &json!(true)),
            "{target}"
        );
    }
    let again = done(
        &daemon,
        "DELETE",
        "/api/credentials/env?name=A&channel=eng",
        &Value::Null,
    )
    .await?;
    of_eng["removed"] = false.into();
    assert_eq!(again, of_eng);
    assert_eq!(
        done(&daemon, "DELETE", ENV, &json!({ "name": "C" })).await?,
        removed("default", "C", true)
    );
    assert_eq!(raw(&daemon)?, json!({ "env": {} }));
    assert!(!daemon.log()?.contains("hunter"));
    Ok(())
}

#[tokio::test]
async fn what_will_not_do_is_refused_makes_no_file_and_is_not_repeated() -> Result<()> {
    let daemon = started().await?;
    let mut wrong: Vec<(&str, String, String)> = Vec::new();
    for body in [
        "",
        "hunter2",
        "{\"token\": \"hunter2",
        "\"hunter2\"",
        "[\"hunter2\"]",
        "4711",
        "{}",
        "{\"hunter2\": \"x\"}",
        "{\"token\": \"\"}",
        "{\"token\": \"  \"}",
        "{\"token\": 4711}",
        "{\"token\": {\"hunter2\": 1}}",
        "{\"token\": \"hunter2 hunter2\"}",
        "{\"token\": \"x\", \"hunter2\": 1}",
    ] {
        wrong.push(("POST", CLAUDE.into(), body.into()));
        wrong.push(("POST", "/api/credentials/claude/eng".into(), body.into()));
    }
    wrong.push((
        "POST",
        "/api/credentials/claude/a%20b".into(),
        json!({ "token": "x" }).to_string(),
    ));
    for body in [
        json!({ "name": "A" }),
        json!({ "value": "hunter2" }),
        json!({ "name": "", "value": "hunter2" }),
        json!({ "name": "A", "value": "" }),
        json!({ "name": "A", "value": 4711 }),
        json!({ "name": "9BAD", "value": "hunter2" }),
        json!({ "name": "has space", "value": "hunter2" }),
        json!({ "name": "A=hunter2", "value": "x" }),
        json!({ "name": "ANTHROPIC_API_KEY", "value": "hunter2" }),
        json!({ "name": "CLAUDE_API_KEY", "value": "hunter2" }),
        json!({ "name": "CLAUDE_CODE_OAUTH_TOKEN", "value": "hunter2", "channel": "eng" }),
        json!({ "name": "ANTHROPIC_BASE_URL", "value": "hunter2" }),
        json!({ "name": "LD_PRELOAD", "value": "hunter2", "channel": "eng" }),
        json!({ "name": "https_proxy", "value": "hunter2" }),
        // The layer of all is never taken by mistake.
        json!({ "name": "A", "value": "hunter2", "channel": 4711 }),
        json!({ "name": "A", "value": "hunter2", "channel": ["eng"] }),
        json!({ "name": "A", "value": "hunter2", "channel": "no such/name" }),
        json!({ "name": "A", "value": "hunter2", "chanel": "eng" }),
    ] {
        wrong.push(("POST", ENV.into(), body.to_string()));
    }
    for (query, body) in [
        ("", ""),
        ("", "{}"),
        ("", "{\"name\": 4711}"),
        ("", "{\"name\": \"A\", \"channel\": 4711}"),
        ("?name=", ""),
        ("?name=A&name=B", ""),
        ("?name=A&layer=eng", ""),
        ("?name=A", "{\"name\": \"A\"}"),
        ("?channel=eng", "{\"name\": \"A\"}"),
    ] {
        wrong.push(("DELETE", format!("{ENV}{query}"), body.into()));
    }
    for (method, target, body) in wrong {
        let answer = daemon.ask_in(method, &target, body.as_bytes()).await?;
        let said = String::from_utf8(answer.body.clone())?;
        assert_eq!(answer.status, 400, "{method} {target} {body}: {said}");
        answer.refusal()?;
        assert!(
            !said.contains("hunter") && !said.contains("4711"),
            "{method} {target} {body}: {said}"
        );
    }
    assert!(!file(&daemon).exists());
    assert!(!daemon.log()?.contains("hunter"));
    Ok(())
}

#[tokio::test]
async fn secrets_are_for_admins_and_nobody_else() -> Result<()> {
    let daemon = started().await?;
    let others = [
        "reveille:read",
        "reveille:send",
        "reveille:write",
        "vault:default:admin",
    ];
    let mut tokens = Vec::new();
    for scope in others {
        tokens.push(token(&daemon, scope).await?);
    }
    let tells = TELLS.map(|target| ("GET", target, Value::Null));
    for (method, target, body) in changes().into_iter().chain(tells) {
        assert_eq!(
            daemon
                .ask(method, target, &[], body.to_string().as_bytes())
                .await?
                .status,
            401,
            "{method} {target}"
        );
        for (scope, token) in others.iter().zip(&tokens) {
            let answer = by(&daemon, token, method, target, &body).await?;
            assert_eq!(answer.status, 403, "{scope} {method} {target}");
        }
    }
    assert!(!file(&daemon).exists());
    let admin = token(&daemon, "reveille:admin").await?;
    for (method, target, body) in changes() {
        assert_eq!(
            by(&daemon, &admin, method, target, &body).await?.status,
            200,
            "{method} {target}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_pin_guards_what_is_changed_and_not_what_is_listed() -> Result<()> {
    let daemon = started().await?;
    let admin = token(&daemon, "reveille:admin").await?;
    let set = command(&daemon, &["pin", "set"], "4321\n").await?;
    assert_eq!(set.code, 0, "{set:?}");
    for (method, target, body) in changes() {
        // The PIN comes before the body is looked at.
        for body in [&body, &json!({ "token": "" })] {
            let answer = by(&daemon, &admin, method, target, body).await?;
            assert_eq!(
                answer.refusal()?,
                (403, "step_up_required".to_owned()),
                "{method} {target}"
            );
        }
    }
    assert!(!file(&daemon).exists());
    for target in TELLS {
        assert_eq!(
            by(&daemon, &admin, "GET", target, &Value::Null).await?.status,
            200,
            "{target}"
        );
    }
    let shown = by(&daemon, &admin, "POST", "/api/step-up", &json!({ "pin": "4321" }))
        .await?
        .json()?;
    let (bearer, proof) = (
        format!("Bearer {admin}"),
        shown["stepUpToken"].as_str().context("a token")?,
    );
    let headers = [("authorization", bearer.as_str()), ("x-step-up-token", proof)];
    for (method, target, body) in changes() {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = daemon.ask(method, target, &headers, body.as_bytes()).await?;
        assert_eq!(answer.status, 200, "{method} {target}");
    }
    Ok(())
}

#[tokio::test]
async fn who_changed_what_is_written_down_without_what_it_is() -> Result<()> {
    let daemon = Daemon::builder()
        .stand_in()
        .env("REVEILLE_LOG__FORMAT", "json")
        .start()
        .await?;
    let mut expected = Vec::new();
    for (method, target, body) in changes() {
        ask(&daemon, method, target, &body).await?;
        let what = if target == ENV { "secret" } else { "credential" };
        let done = if method == "POST" { "set" } else { "removed" };
        expected.push((format!("{what}.{done}"), "done".to_owned(), target.to_owned()));
    }
    ask(&daemon, "POST", CLAUDE, &json!({ "token": "" })).await?;
    expected.push(("credential.set".into(), "refused".into(), CLAUDE.into()));
    let log = daemon.log()?;
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()); // silent-ok: no line of the audit
    let text = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let audit: Vec<_> = lines
        .filter(|line| line["target"] == "audit")
        .map(|line| (text(&line, "action"), text(&line, "outcome"), text(&line, "path")))
        .collect();
    assert_eq!(audit, expected);
    assert!(log.contains("GH_TOKEN") && !log.contains("hunter"), "{log}");
    Ok(())
}
