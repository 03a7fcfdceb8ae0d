//! What is easily let through.

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::Answer;
use serde_json::json;

use super::bodies::{DOORS, head};
use super::mcp::Client;
use super::wire::{Exchange, exchange};
use super::{with_eng, works};

/// Routes with a name in them.
const NAMED: [(&str, &str); 12] = [
    ("GET", "/api/agents/NAME"),
    ("PATCH", "/api/agents/NAME"),
    ("DELETE", "/api/agents/NAME"),
    ("GET", "/api/channels/NAME/messages"),
    ("POST", "/api/channels/NAME/send"),
    ("GET", "/api/channels/NAME/turn-events"),
    ("GET", "/api/channels/NAME/queue"),
    ("GET", "/api/turns/NAME"),
    ("POST", "/api/turns/NAME/stop"),
    ("GET", "/api/jobs/NAME"),
    ("DELETE", "/api/agent-vaults/NAME"),
    ("GET", "/api/agent-defs/NAME"),
];

fn is_json(answer: &Answer) -> bool {
    answer
        .header("content-type")
        .is_some_and(|kind| kind.starts_with("application/json"))
}

#[tokio::test]
async fn r_http_42_1_a_broken_escape_is_a_bad_request() -> Result<()> {
    let daemon = with_eng().await?;
    let body = json!({ "text": "[[reply x]]" }).to_string();
    for (method, target) in NAMED {
        for name in ["%zz", "%", "%2", "a%g0", "%ff", "%C3%28", "eng%"] {
            let target = target.replace("NAME", name);
            let body: &[u8] = if method == "GET" { b"" } else { body.as_bytes() };
            let answer = daemon.ask_in(method, &target, body).await?;
            let told = format!("{method} {target}");
            ensure!(is_json(&answer), "{told}: {:?}", answer.headers);
            assert_eq!(answer.refusal()?.0, 400, "{told}");
            // Who is not let in is not told even that.
            let stranger = daemon.ask(method, &target, &[], body).await?;
            assert_eq!(stranger.refusal()?.0, 401, "{told}");
        }
    }
    works(&daemon).await
}

#[tokio::test]
async fn r_http_43_what_says_that_it_is_too_large_is_not_waited_for() -> Result<()> {
    let daemon = with_eng().await?;
    for (method, target) in DOORS {
        // The last one is no number that anybody counts to, so it is not even a length.
        for (length, statuses) in [("9000000000", &[413][..]), ("18446744073709551615", &[400, 413, 431])] {
            let more = format!("connection: close\r\ncontent-length: {length}\r\n");
            let request = head(&daemon, method, target, &more)?;
            let answer = exchange(&daemon, request.as_bytes(), Exchange::Answer).await?;
            ensure!(
                statuses.contains(&answer.status),
                "{method} {target} {length}: {}",
                answer.status
            );
        }
    }
    works(&daemon).await
}

#[tokio::test]
async fn r_http_41_a_host_is_said_once_and_the_same_everywhere() -> Result<()> {
    let daemon = with_eng().await?;
    let host = daemon.authority()?;
    let (name, token) = daemon.bearer();
    for (target, hosts) in [
        ("/api/agents".to_owned(), &["evil.example"][..]),
        ("/api/agents".to_owned(), &[]),
        ("/api/agents".to_owned(), &["evil.example", &host]),
        ("/api/agents".to_owned(), &[&host, "evil.example"]),
        ("http://evil.example/api/agents".to_owned(), &[&host]),
        (format!("http://{host}/api/agents"), &["evil.example"]),
    ] {
        let hosts: String = hosts.iter().map(|host| format!("host: {host}\r\n")).collect();
        let request = format!("GET {target} HTTP/1.1\r\n{hosts}{name}: {token}\r\nconnection: close\r\n\r\n");
        let answer = exchange(&daemon, request.as_bytes(), Exchange::Whole).await?;
        assert!(
            [400, 421].contains(&answer.status),
            "{target} {hosts:?}: {}",
            answer.text()
        );
    }
    works(&daemon).await
}

#[tokio::test]
async fn r_mcp_4_what_is_refused_is_not_repeated_at_length() -> Result<()> {
    let daemon = with_eng().await?;
    let session = Client::new(&daemon, "/mcp", Some(daemon.token()))?.open().await?;
    let long = "x".repeat(100_000);
    let params = json!({ "name": long, "arguments": {} });
    for message in [
        json!({ "jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": params }),
        json!({ "jsonrpc": "2.0", "id": 3, "method": long }),
        json!({ "jsonrpc": "2.0", "id": 3, "method": "tools/call",
            "params": { "name": "query-notes", "arguments": { "vault": long } } }),
    ] {
        let told = session.say(&message).await?;
        ensure!(told.body.len() < 4000, "{} bytes: {:.200}", told.body.len(), told.body);
    }
    works(&daemon).await
}

#[tokio::test]
async fn r_http_45_1_what_people_type_leads_to_the_page_wherever_it_is() -> Result<()> {
    let config = "[server]\nmount = \"/reveille\"\n";
    let daemon = Daemon::builder().stand_in().config(config).start().await?;
    for mount in ["", "/reveille"] {
        for name in ["home", "agents", "jobs", "admin", "ui"] {
            let path = format!("{mount}/{name}");
            let answer = daemon
                .ask("GET", &path, &[("x-forwarded-host", "evil.example")], b"")
                .await?;
            assert_eq!((answer.status, answer.body.len()), (302, 0), "{path}");
            let location = answer.header("location").context("where to")?;
            // Relative, so that it holds behind a proxy that takes a part of the path away.
            ensure!(
                !location.starts_with('/') && !location.contains(':'),
                "{path}: {location}"
            );
            let target = daemon.url().join(&path)?.join(location)?;
            assert_eq!(target.origin(), daemon.url().origin(), "{path}: {location}");
            ensure!(target.path().starts_with(mount), "{path}: {location}");
            let page = daemon.ask("GET", target.path(), &[], b"").await?;
            let kind = page.header("content-type").unwrap_or_default();
            ensure!(
                page.status == 200 && kind.starts_with("text/html"),
                "{path}: {} {kind}",
                page.status
            );
            // No method but a read, no query and no step more.
            assert_ne!(daemon.ask("POST", &path, &[], b"").await?.status, 302, "{path}");
            assert_ne!(
                daemon.ask("GET", &format!("{path}/x"), &[], b"").await?.status,
                302,
                "{path}"
            );
        }
    }
    Ok(())
}

/// Names that no vault can have: a token of them opens nothing, whatever its holder hopes.
#[tokio::test]
async fn r_auth_1_5_a_scope_of_a_vault_that_cannot_be_is_refused() -> Result<()> {
    let daemon = with_eng().await?;
    for scope in [
        "vault:*:admin",
        "vault:../default:read",
        "vault:a/b:read",
        "vault:%2e:read",
    ] {
        let body = json!({ "scopes": [scope] }).to_string();
        let told = daemon.ask_in("POST", "/api/tokens", body.as_bytes()).await?;
        assert_eq!(told.status, 400, "{scope}");
    }
    Ok(())
}
