//! Bodies: how they are read, and where that ends.

use anyhow::{Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::Daemon;
use serde_json::{Value, json};

use super::wire::{Exchange, exchange};
use super::{with_eng, works};

/// Doors that take JSON.
pub(crate) const DOORS: [(&str, &str); 8] = [
    ("POST", "/api/agents"),
    ("PATCH", "/api/agents/eng"),
    ("POST", "/api/channels/eng/send"),
    ("POST", "/api/jobs"),
    ("POST", "/api/agent-defs"),
    ("POST", "/api/agent-vaults"),
    ("POST", "/vault/default/api/notes"),
    ("POST", "/vault/default/tokens"),
];

#[tokio::test]
async fn r_http_43_a_body_is_json_whatever_it_is_called() -> Result<()> {
    let daemon = with_eng().await?;
    let bearer = daemon.bearer();
    for kind in [
        "application/json",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "",
        "application/json; charset=utf-16",
    ] {
        let headers = [(bearer.0, bearer.1.as_str()), ("content-type", kind)];
        let body = json!({ "text": "[[reply x]]" }).to_string();
        let answer = daemon
            .ask("POST", "/api/channels/eng/send", &headers, body.as_bytes())
            .await?;
        assert_eq!(answer.status, 200, "{kind}");
        let form = daemon
            .ask("POST", "/api/channels/eng/send", &headers, b"text=x")
            .await?;
        assert_eq!(form.refusal()?.0, 400, "{kind}");
    }
    works(&daemon).await
}

/// A request up to the end of its head.
pub(crate) fn head(daemon: &Daemon, method: &str, target: &str, more: &str) -> Result<String> {
    let (name, token) = daemon.bearer();
    let host = daemon.authority()?;
    Ok(format!(
        "{method} {target} HTTP/1.1\r\nhost: {host}\r\n{name}: {token}\r\n{more}\r\n"
    ))
}

#[tokio::test]
async fn r_http_43_what_is_too_large_is_refused_at_every_door() -> Result<()> {
    let daemon = Daemon::builder()
        .stand_in()
        .env("REVEILLE_SERVER__MAX_BODY", "20000")
        .start()
        .await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    let large = json!({ "text": "x".repeat(30_000), "name": "x", "content": "x" }).to_string();
    for (method, target) in DOORS {
        let answer = daemon.ask_in(method, target, large.as_bytes()).await?;
        assert_eq!(answer.refusal()?.0, 413, "{method} {target}");
        // In pieces nobody says how long it is.
        let pieces = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
        let request = head(
            &daemon,
            method,
            target,
            "connection: close\r\ntransfer-encoding: chunked\r\n",
        )? + &pieces;
        let answer = exchange(&daemon, request.as_bytes(), Exchange::Whole).await?;
        assert_eq!(answer.status, 413, "{method} {target} in pieces");
    }
    assert_eq!(daemon.messages("eng").await?, []);
    works(&daemon).await
}

/// What must not happen is that one side reads one request where the other reads two.
#[tokio::test]
async fn r_http_43_where_a_body_ends_is_never_in_doubt() -> Result<()> {
    let daemon = with_eng().await?;
    let second = format!("GET /health HTTP/1.1\r\nhost: {}\r\n\r\n", daemon.authority()?);
    for more in [
        "content-length: 4\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
        "content-length: 2\r\ncontent-length: 30\r\n",
        "content-length: 2, 30\r\n",
        "content-length: +2\r\n",
        "content-length: -2\r\n",
        "content-length: 0x2\r\n",
        "content-length: 2 \r\n\tx\r\n",
        "content-length: 18446744073709551617\r\n",
        "transfer-encoding: identity\r\ncontent-length: 2\r\n",
        "transfer-encoding: chunked, gzip\r\n",
        "transfer-encoding : chunked\r\n",
        "transfer-encoding: xchunked\r\ncontent-length: 2\r\n",
    ] {
        let request = format!("{}0\r\n\r\n{second}", head(&daemon, "POST", "/api/agents", more)?);
        let answer = exchange(&daemon, request.as_bytes(), Exchange::Whole).await?;
        let all = answer.text();
        ensure!((400..500).contains(&answer.status), "{more:?}: {all}");
        assert_eq!(all.matches("HTTP/1.1 ").count(), 1, "{more:?}: {all}");
    }
    for bad in [
        "zz\r\n",
        "-1\r\n{}\r\n",
        "2\r\n{}0\r\n\r\n",
        "ffffffffffffffffff\r\n{}\r\n",
        "2 x\r\n{}\r\n0\r\n\r\n",
    ] {
        let more = "connection: close\r\ntransfer-encoding: chunked\r\n";
        let request = head(&daemon, "POST", "/api/channels/eng/send", more)? + bad;
        let answer = exchange(&daemon, request.as_bytes(), Exchange::Answer).await?;
        assert_eq!(answer.status, 400, "{bad:?}");
    }
    assert_eq!(daemon.messages("eng").await?, []);
    works(&daemon).await
}

#[tokio::test]
async fn r_http_42_what_cannot_be_read_is_a_bad_request_at_every_door() -> Result<()> {
    let daemon = with_eng().await?;
    let deep = "[".repeat(200_000);
    for (method, target) in DOORS {
        for body in [
            &b""[..],
            b"{",
            b"\xff\xfe",
            b"\xef\xbb\xbf{\"text\":\"x\"}x",
            b"null",
            b"[]",
            b"7",
            b"{\"text\":\"x\"} {}",
            b"{\"text\":NaN}",
            b"{\"text\":\"\\ud800\"}",
            deep.as_bytes(),
        ] {
            // Without a word on it, a token of a vault is for everything there.
            if body.is_empty() && target.ends_with("/tokens") {
                continue;
            }
            let answer = daemon.ask_in(method, target, body).await?;
            let shown = String::from_utf8_lossy(&body[..body.len().min(20)]).into_owned();
            let (status, code) = answer.refusal()?;
            assert_eq!(status, 400, "{method} {target} {shown:?}: {code}");
            ensure!(
                answer.body.len() < 2000,
                "{method} {target} {shown:?} is repeated at length"
            );
        }
    }
    let agents: Value = daemon.ask_in("GET", "/api/agents", b"").await?.json()?;
    assert_eq!(agents["agents"].as_array().map(Vec::len), Some(1));
    assert_eq!(daemon.messages("eng").await?, []);
    works(&daemon).await
}
