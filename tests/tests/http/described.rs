//! What `/api/openapi.json` describes, from outside: each of its doors is shut for who has no token, and for tokens that do not
//! reach as far.

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::Answer;
use serde_json::{Value, json};

use super::{ask_with, token_of_vault, with_eng, works};

/// What vaults tell.
const HINTS: &str = "/api/vault/";

/// One operation.
struct Operation {
    method: String,
    /// With a name that there is nowhere in place of each parameter.
    target: String,
    open: bool,
}

async fn operations(daemon: &Daemon) -> Result<Vec<Operation>> {
    let document = daemon.ask("GET", "/api/openapi.json", &[], b"").await?.json()?;
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().context("paths")? {
        let mut target = String::new();
        for (at, part) in path.split('{').enumerate() {
            let rest = part.split_once('}').map(|(_, rest)| format!("strange{rest}"));
            target += &if at == 0 {
                part.to_owned()
            } else {
                rest.context("a parameter")?
            };
        }
        for (method, operation) in item.as_object().context("operations")? {
            if !["get", "post", "put", "patch", "delete"].contains(&method.as_str()) {
                continue;
            }
            let security = operation
                .get("security")
                .or(document.get("security"))
                .and_then(Value::as_array);
            let open = security.context("security")?.iter().any(|one| one == &json!({}));
            all.push(Operation {
                method: method.to_uppercase(),
                target: target.clone(),
                open,
            });
        }
    }
    ensure!(all.len() > 10, "{} operations", all.len());
    Ok(all)
}

/// Nothing of what there is.
fn tells_nothing(answer: &Answer, what: &str) -> Result<()> {
    let told = String::from_utf8_lossy(&answer.body).into_owned();
    ensure!(
        !told.contains("eng\"") && !told.contains("/s/") && answer.status < 500,
        "{what}: {told}"
    );
    Ok(())
}

#[tokio::test]
async fn r_http_46_each_door_of_the_document_is_shut_for_strangers() -> Result<()> {
    let daemon = with_eng().await?;
    let mut open = Vec::new();
    // Each door is shown one of them: a peer that has many wrong ones is told to wait.
    let wrong = [
        "guess",
        "eyJhbGciOiJub25lIn0.e30.",
        "pvt_00000000000000000000000000000000",
    ];
    for (n, operation) in operations(&daemon).await?.into_iter().enumerate() {
        let (method, target) = (operation.method.as_str(), operation.target.as_str());
        for token in ["", wrong[n % wrong.len()]] {
            let answer = ask_with(&daemon, token, method, target, b"{ no json").await?;
            let what = format!("{method} {target} with {token:?}");
            if operation.open {
                ensure!(answer.status < 500, "{what}: {}", answer.status);
            } else if target.starts_with(HINTS) {
                // What has no secret there is told one word, whatever it got wrong.
                assert_eq!(answer.status, 401, "{what}");
                assert_eq!(answer.json()?["error"], json!("unauthorized"), "{what}");
            } else {
                assert_eq!(answer.refusal()?.0, 401, "{what}");
                ensure!(answer.header("www-authenticate").is_some(), "{what}");
                tells_nothing(&answer, &what)?;
            }
        }
        if operation.open {
            open.push(format!("{method} {target}"));
        }
    }
    // A door that is open to everybody is a decision.
    for one in &open {
        ensure!(
            [
                "/health",
                "/ready",
                "/auth/status",
                "/api/session",
                "/api/docs",
                "/api/openapi.json",
                "/api/vault/",
                "/.well-known/",
                "/.parachute/",
                "/mcp/",
                // By signatures.
                "/hooks/"
            ]
            .iter()
            .any(|begin| one.split(' ').nth(1).is_some_and(|target| target.starts_with(begin))),
            "{one} is open to everybody"
        );
    }
    works(&daemon).await
}

#[tokio::test]
async fn r_auth_1_each_door_of_the_document_is_shut_for_tokens_of_a_vault() -> Result<()> {
    let daemon = with_eng().await?;
    let reader = token_of_vault(&daemon, "read").await?;
    for operation in operations(&daemon).await?.iter().filter(|one| !one.open) {
        let (method, target) = (operation.method.as_str(), operation.target.as_str());
        if target.starts_with("/vault") || target == "/api/session" {
            continue;
        }
        let answer = ask_with(&daemon, &reader, method, target, b"{ no json").await?;
        let expected = if target.starts_with(HINTS) { 401 } else { 403 };
        assert_eq!(answer.status, expected, "{method} {target}");
        tells_nothing(&answer, target)?;
    }
    works(&daemon).await
}

/// Values that nobody means, in the place of each parameter and of each body: a refusal, never a failure.
#[tokio::test]
async fn r_http_42_whatever_is_asked_of_the_document_s_doors_nothing_fails() -> Result<()> {
    let daemon = with_eng().await?;
    let odd = [
        "%00",
        "%F0%9F%A6%84",
        "..%2F..%2Fetc",
        "-1",
        "18446744073709551616",
        "%25s%25n",
        "a%0d%0ab",
        "%E2%80%AE",
    ];
    for operation in operations(&daemon).await? {
        // The test itself has to go on with it.
        if operation.target == "/api/session" {
            continue;
        }
        for name in odd {
            let target = operation.target.replace("strange", name);
            for query in [
                "",
                "?limit=-1&cursor=%00&channel=%F0%9F%A6%84&since=x&limit=x",
                "?limit=99999999999999999999",
            ] {
                let target = format!("{target}{query}");
                if operation.target.ends_with("events") {
                    continue;
                }
                let body: &[u8] = if operation.method == "GET" {
                    b""
                } else {
                    b"{\"name\":[],\"text\":{},\"limit\":-1}"
                };
                let answer = daemon.ask_in(&operation.method, &target, body).await?;
                let told = String::from_utf8_lossy(&answer.body).into_owned();
                ensure!(
                    answer.status < 500,
                    "{} {target}: {} {told:.300}",
                    operation.method,
                    answer.status
                );
            }
            if operation.target == operation.target.replace("strange", "") {
                break;
            }
        }
    }
    works(&daemon).await
}

#[tokio::test]
async fn what_a_message_may_say_in_its_head_is_described() -> Result<()> {
    let daemon = with_eng().await?;
    let document = daemon.ask("GET", "/api/openapi.json", &[], b"").await?.json()?;
    let send = &document["paths"]["/api/channels/{channel}/send"]["post"];
    let parameters = send["parameters"].as_array().context("parameters")?;
    let mut headers: Vec<_> = parameters
        .iter()
        .filter(|one| one["in"] == "header")
        .map(|one| (one["name"].as_str(), one["required"].as_bool()))
        .collect();
    headers.sort_unstable();
    assert_eq!(
        headers,
        [
            (Some("Idempotency-Key"), Some(false)),
            (Some("traceparent"), Some(false))
        ]
    );
    Ok(())
}
