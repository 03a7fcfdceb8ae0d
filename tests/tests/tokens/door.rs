//! Time, many at once, wrong ones, other origins, and where the text of a token must not be.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::LIMIT;
use reveille_tests::{Daemon, eventually};
use serde_json::{Value, json};

use super::{Holder, NOTES, TOKENS, coded, started};

/// A time so many milliseconds from now, as the API takes it.
fn in_millis(millis: u64) -> Result<String> {
    let at = SystemTime::now() + Duration::from_millis(millis);
    let since = at.duration_since(UNIX_EPOCH)?;
    let db = rusqlite::Connection::open_in_memory()?;
    let sql = "SELECT strftime('%Y-%m-%dT%H:%M:%S', ?1, 'unixepoch')";
    let day: String = db.query_row(sql, [since.as_secs()], |row| row.get(0))?;
    Ok(format!("{day}.{:03}Z", since.subsec_millis()))
}

#[tokio::test]
async fn an_expired_token_ends_by_itself() -> Result<()> {
    let daemon = started().await?;
    // Not so soon that it could be over before it is made.
    let short = Holder::new(&daemon, json!({ "expires_at": in_millis(10_000)? })).await?;
    let told = eventually("it has ended", LIMIT, async || {
        let answer = short.get(&daemon, NOTES).await?;
        ensure!([200, 401].contains(&answer.status), "{}", answer.status);
        Ok((answer.status == 401).then_some(answer))
    })
    .await?;
    let expired = json!({ "error": "Unauthorized", "error_type": "token_expired" });
    assert_eq!(coded(&told)?, (401, expired));
    let listed = daemon.ask_in("GET", TOKENS, b"").await?.json()?;
    assert_eq!(listed["tokens"][0]["id"], short.id.as_str());
    Ok(())
}

#[tokio::test]
async fn many_wrong_tokens_are_held_up_and_right_ones_are_not() -> Result<()> {
    let daemon = started().await?;
    let read = Holder::with(&daemon, "read").await?;
    let mut statuses = Vec::new();
    let last = loop {
        let guess = format!("Bearer pvt_{:032}", statuses.len());
        let answer = daemon.ask("GET", NOTES, &[("authorization", &guess)], b"").await?;
        statuses.push(answer.status);
        ensure!(statuses.len() <= 1000, "no end of it");
        if answer.status != 401 {
            break answer;
        }
    };
    assert_eq!(statuses.len(), 301);
    let wait: u64 = last.header("retry-after").context("when to try again")?.parse()?;
    assert!((1..=60).contains(&wait), "{wait}");
    let told = json!({ "error": "Too Many Requests", "error_type": "too_many_wrong_tokens", "retry_after": wait });
    assert_eq!(coded(&last)?, (429, told));
    for target in ["/api/agents", "/auth/status"] {
        let answer = daemon
            .ask("GET", target, &[("authorization", "Bearer guess")], b"")
            .await?;
        assert_eq!(answer.refusal()?, (429, "too_many_wrong_tokens".into()), "{target}");
    }
    assert_eq!(daemon.ask("GET", NOTES, &[], b"").await?.status, 401);
    assert_eq!(read.get(&daemon, NOTES).await?.status, 200);
    assert_eq!(daemon.ask_in("GET", NOTES, b"").await?.status, 200);
    let log = daemon.log()?;
    assert_eq!(log.matches("many wrong tokens").count(), 1);
    assert!(!log.contains("pvt_"), "{log}");
    Ok(())
}

/// Files below a directory that hold a text.
fn files_with(dir: &Path, wanted: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files_with(&path, wanted)?);
        } else if path.is_file() {
            let bytes = std::fs::read(&path)?;
            if bytes.windows(wanted.len()).any(|window| window == wanted.as_bytes()) {
                found.push(path.display().to_string());
            }
        }
    }
    Ok(found)
}

#[tokio::test]
async fn the_text_of_a_token_is_in_no_log_no_file_and_no_answer() -> Result<()> {
    let mut daemon = Daemon::builder()
        .stand_in()
        .env("REVEILLE_LOG__LEVEL", "debug")
        .start()
        .await?;
    let holder = Holder::new(&daemon, json!({ "label": "watched" })).await?;
    let secret = holder.token.strip_prefix("pvt_").context("a prefix")?.to_owned();
    assert_eq!(secret.len(), 32);
    let mut answers = Vec::new();
    for (method, target, body) in [
        ("GET", NOTES, Value::Null),
        ("POST", NOTES, json!({ "content": 7 })),
        ("GET", "/api/agents", Value::Null),
        ("GET", "/vault/elsewhere", Value::Null),
        ("GET", TOKENS, Value::Null),
        ("POST", TOKENS, json!({ "scopes": ["x"] })),
        ("GET", "/vaults", Value::Null),
        ("DELETE", &format!("{TOKENS}/{}", holder.id), Value::Null),
        ("GET", NOTES, Value::Null),
    ] {
        answers.push(holder.ask(&daemon, method, target, &body).await?);
    }
    assert_eq!(answers.last().map(|answer| answer.status), Some(401));
    for answer in &answers {
        let text = String::from_utf8_lossy(&answer.body);
        assert!(
            !text.contains(&secret) && !format!("{:?}", answer.headers).contains(&secret),
            "{text}"
        );
    }
    assert_eq!(files_with(&daemon.state_dir(), &secret)?, Vec::<String>::new());
    daemon.stop().await?;
    assert_eq!(files_with(&daemon.state_dir(), &secret)?, Vec::<String>::new());
    assert!(!daemon.log()?.contains(&secret));
    Ok(())
}

#[tokio::test]
async fn pages_of_other_origins_ask_with_a_token_and_never_with_the_cookie() -> Result<()> {
    let daemon = started().await?;
    let read = Holder::with(&daemon, "read").await?;
    let origin = ("origin", "https://notes.example");
    for target in [NOTES, "/vault/elsewhere/api/notes", TOKENS] {
        let asked = [origin, ("access-control-request-method", "PUT")];
        let answer = daemon.ask("OPTIONS", target, &asked, b"").await?;
        assert_eq!((answer.status, answer.body.len()), (204, 0), "{target}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        let methods = answer.header("access-control-allow-methods").context("methods")?;
        assert!(methods.contains("PUT") && methods.contains("PATCH"), "{methods}");
        let headers = answer.header("access-control-allow-headers").context("headers")?;
        assert!(
            headers.contains("Authorization") && headers.contains("X-API-Key"),
            "{headers}"
        );
    }
    let bearer = format!("Bearer {}", read.token);
    // Refusals too: a page must be able to read why.
    for (headers, status) in [
        (&[origin, ("authorization", bearer.as_str())][..], 200),
        (&[origin][..], 401),
    ] {
        let answer = daemon.ask("GET", NOTES, headers, b"").await?;
        let seen = (answer.status, answer.header("access-control-allow-origin"));
        assert_eq!(seen, (status, Some("*")));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
    // A browser that signed in lends nothing of it.
    let cookie = signed_in(&daemon).await?;
    let with_cookie = [origin, ("cookie", cookie.as_str()), ("sec-fetch-site", "cross-site")];
    let answer = daemon.ask("GET", NOTES, &with_cookie, b"").await?;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (200, None)
    );
    let answer = daemon.ask("POST", NOTES, &with_cookie, br#"{"content":"x"}"#).await?;
    assert_eq!(answer.refusal()?, (403, "cross_site".into()));
    assert_eq!(answer.header("access-control-allow-origin"), None);
    // The daemon's own routes are for its own page only.
    let answer = daemon.ask_in("GET", "/api/agents", b"").await?;
    assert_eq!(answer.header("access-control-allow-origin"), None);
    let answer = daemon.ask("OPTIONS", "/api/agents", &[origin], b"").await?;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (204, None)
    );
    Ok(())
}

/// The cookie of a browser that signed in.
async fn signed_in(daemon: &Daemon) -> Result<String> {
    let link = daemon.ask_in("POST", "/api/sign-in-links", b"{}").await?.json()?;
    let url = link["url"].as_str().context("a link")?;
    let (_, code) = url.split_once("#sign-in=").context("a code")?;
    let body = json!({ "code": code }).to_string();
    let answer = daemon.ask("POST", "/api/session", &[], body.as_bytes()).await?;
    let cookie = answer.header("set-cookie").context("a cookie")?;
    Ok(cookie.split(';').next().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_token_that_is_shown_decides_also_beside_a_cookie() -> Result<()> {
    let daemon = started().await?;
    let read = Holder::with(&daemon, "read").await?;
    let cookie = signed_in(&daemon).await?;
    let bearer = format!("Bearer {}", read.token);
    let both = [
        ("cookie", cookie.as_str()),
        ("sec-fetch-site", "same-origin"),
        ("authorization", bearer.as_str()),
    ];
    assert_eq!(daemon.ask("GET", TOKENS, &both, b"").await?.status, 403);
    assert_eq!(daemon.ask("GET", TOKENS, &both[..2], b"").await?.status, 200);
    let wrong = [both[0], both[1], ("authorization", "Bearer pvt_wrong")];
    assert_eq!(daemon.ask("GET", TOKENS, &wrong, b"").await?.status, 401);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_made_used_and_revoked_at_the_same_time() -> Result<()> {
    let daemon = std::sync::Arc::new(started().await?);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..16 {
        let daemon = std::sync::Arc::clone(&daemon);
        tasks.spawn(async move {
            let holder = Holder::with(&daemon, "write").await?;
            let note = json!({ "path": format!("n{number}"), "content": "x" });
            let made = holder.ask(&daemon, "POST", NOTES, &note).await?;
            ensure!(made.status == 201, "{}", made.json()?);
            let gone = daemon.ask_in("DELETE", &format!("{TOKENS}/{}", holder.id), b"").await?;
            ensure!(gone.status == 200, "{}", gone.json()?);
            let after = holder.get(&daemon, NOTES).await?;
            ensure!(after.status == 401, "{} after its revocation", after.status);
            anyhow::Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let list = daemon.ask_in("GET", TOKENS, b"").await?.json()?;
    assert_eq!(list, json!({ "tokens": [] }));
    let notes = daemon.ask_in("GET", NOTES, b"").await?.json()?;
    assert_eq!(notes.as_array().map(Vec::len), Some(16));
    Ok(())
}
