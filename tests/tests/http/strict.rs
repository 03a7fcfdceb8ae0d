//! What is easily let through.

use anyhow::{Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::Answer;
use serde_json::json;

use super::bodies::{DOORS, head};
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
        (format!("http://evil.example/api/agents"), &[&host]),
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
