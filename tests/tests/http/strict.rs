//! What is easily let through.

use anyhow::{Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::Answer;
use serde_json::json;

use super::bodies::{DOORS, head};
use super::mcp::{Client, initialize};
use super::wire::{Exchange, exchange};
use super::{token_of_vault, with_eng, works};

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
        for length in ["9000000000", "18446744073709551615"] {
            let more = format!("connection: close\r\ncontent-length: {length}\r\n");
            let request = head(&daemon, method, target, &more)?;
            let answer = exchange(&daemon, request.as_bytes(), Exchange::Answer).await?;
            assert_eq!(answer.status, 413, "{method} {target} {length}");
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

/// The places for sessions are many, and no one's alone.
#[tokio::test]
async fn r_mcp_3_who_opens_many_sessions_takes_no_other_one_s_away() -> Result<()> {
    let daemon = with_eng().await?;
    let reader = token_of_vault(&daemon, "read").await?;
    let mine = Client::new(&daemon, "/mcp", Some(daemon.token()))?.open().await?;
    let many = Client::new(&daemon, "/mcp", Some(&reader))?;
    for _ in 0..400 {
        // Refused or at the cost of an own one.
        let told = many.send("POST", &[], &initialize().to_string()).await?;
        ensure!([200, 429, 503].contains(&told.status), "{} {}", told.status, told.body);
    }
    assert_eq!(mine.ping().await?, 200);
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
    ] {
        let told = session.say(&message).await?;
        ensure!(told.body.len() < 4000, "{} bytes: {:.200}", told.body.len(), told.body);
    }
    works(&daemon).await
}
