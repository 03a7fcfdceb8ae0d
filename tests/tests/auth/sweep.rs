//! Every route of the router, as it stands in the source: a route that somebody adds is looked at without being named here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Holder, started};

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// What strangers may ask, with the beginning of an address. Nothing of it names an agent, a channel or a vault.
const OPEN: [(&str, &str); 16] = [
    // The page and its files.
    ("GET", "/"),
    ("GET", "/favicon.svg"),
    ("GET", "/assets/"),
    // Whether it is there, and how to get in.
    ("GET", "/health"),
    ("GET", "/ready"),
    ("GET", "/auth/status"),
    ("POST", "/api/session"),
    // Documents.
    ("GET", "/api/openapi.json"),
    ("GET", "/api/docs"),
    ("GET", "/.well-known/"),
    ("GET", "/.parachute/info"),
    ("GET", "/.parachute/icon.svg"),
    ("GET", "/.parachute/config/schema"),
    // Redirects to the page.
    ("GET", "/app/"),
    ("GET", "/ui"),
    // Who calls a hook has a signature instead of a token, which is looked at by it (`--test bridges`).
    ("POST", "/hooks/"),
];

/// What who only reads may send.
const READERS_SEND: [(&str, &str); 1] = [("POST", "/api/ui/sse-ticket")];

/// What who only sends may ask for.
const SENDERS: [(&str, &str); 3] = [
    ("POST", "/api/channels/x/send"),
    // Each token sees its own vaults there, so this one sees none.
    ("GET", "/vaults"),
    ("GET", "/vaults/list"),
];

/// Their tools look themselves at who asks.
const MCP: [&str; 3] = ["/mcp", "/mcp/x", "/vault/default/mcp"];

fn is_in(list: &[(&str, &str)], method: &str, target: &str) -> bool {
    list.iter().any(|(known, start)| {
        *known == method && (target == *start || *start != "/" && start.ends_with('/') && target.starts_with(start))
    })
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name == "tests" || name == "tests.rs" {
            // Doubles of peers have routes as well.
        } else if path.is_dir() {
            sources(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

/// The addresses of all routes, with something in place of what varies.
fn targets() -> Result<BTreeSet<String>> {
    let mut files = Vec::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../daemon/src");
    sources(&source, &mut files)?;
    let mut found = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for after in code.split(".route(").skip(1) {
            let Some(path) = after
                .trim_start()
                .strip_prefix('"')
                .and_then(|rest| rest.split('"').next())
            else {
                continue;
            };
            let segments = path.split('/').map(|segment| match segment {
                "{name}" if path.starts_with("/vault/") => "default",
                segment if segment.starts_with('{') => "x",
                segment => segment,
            });
            found.insert(segments.collect::<Vec<_>>().join("/"));
        }
    }
    ensure!(found.len() > 50 && found.contains("/api/channels/x/send"), "{found:?}");
    Ok(found)
}

#[tokio::test]
async fn every_route_is_closed_to_strangers_or_on_the_list() -> Result<()> {
    let daemon = started().await?;
    daemon.create_agent("secretive", "You build.").await?;
    let mut open = Vec::new();
    for target in targets()? {
        let mut closed = 0;
        for method in METHODS {
            if is_in(&OPEN, method, &target) {
                let answer = daemon.ask(method, &target, &[], b"").await?;
                ensure!(!String::from_utf8_lossy(&answer.body).contains("secretive"), "{target}");
                closed += 1;
                continue;
            }
            for headers in [
                &[][..],
                &[("authorization", "Bearer wrong")],
                &[("authorization", "Bearer ")],
            ] {
                let answer = daemon.ask(method, &target, headers, b"{}").await?;
                match answer.status {
                    401 => closed += 1,
                    405 => {}
                    // Many wrong ones have come by then.
                    429 if !headers.is_empty() => {}
                    status => open.push(format!("{method} {target} {headers:?}: {status}")),
                }
                let text = String::from_utf8_lossy(&answer.body);
                ensure!(!text.contains("secretive"), "{method} {target}: {text}");
            }
        }
        ensure!(closed > 0, "{target} takes no method");
    }
    assert_eq!(open, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn strangers_are_turned_away_before_their_body_is_looked_at() -> Result<()> {
    let daemon = started().await?;
    let authority = daemon.authority()?;
    for target in targets()? {
        if is_in(&OPEN, "POST", &target) {
            continue;
        }
        let mut socket = TcpStream::connect(&authority).await?;
        // Who expects a word before it sends is told to go on only when somebody wants to read.
        let head = format!(
            "POST {target} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).await?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await?;
        let status = answer.split(' ').nth(1).context("a status")?;
        assert!(["401", "405"].contains(&status), "{target}: {answer}");
    }
    Ok(())
}

#[tokio::test]
async fn who_reads_changes_nothing_and_who_sends_only_sends() -> Result<()> {
    let daemon = started().await?;
    let read = Holder::with(&daemon, &["reveille:read", "vault:default:read"]).await?;
    let send = Holder::with(&daemon, &["reveille:send"]).await?;
    let mut wrong = Vec::new();
    for target in targets()? {
        for method in METHODS {
            let open = is_in(&OPEN, method, &target) || MCP.contains(&target.as_str());
            // They show secrets of their own.
            let hint = target.starts_with("/api/vault/");
            if open || hint {
                continue;
            }
            if method != "GET" && !is_in(&READERS_SEND, method, &target) {
                let status = read.ask(&daemon, method, &target, json!({})).await?.status;
                if ![403, 405].contains(&status) {
                    wrong.push(format!("read: {method} {target}: {status}"));
                }
            }
            let answer = send.ask(&daemon, method, &target, json!({})).await?;
            match answer.status {
                403 | 405 => {}
                _ if is_in(&SENDERS, method, &target) => {}
                status => wrong.push(format!("send: {method} {target}: {status}")),
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    let seen = send.ask(&daemon, "GET", "/vaults/list", Value::Null).await?.json()?;
    assert_eq!(seen, json!({ "vaults": [] }));
    Ok(())
}

#[tokio::test]
async fn who_may_not_read_is_told_no_names() -> Result<()> {
    let daemon = started().await?;
    daemon.create_agent("secretive", "You build.").await?;
    let send = Holder::with(&daemon, &["reveille:send"]).await?;
    let text = json!({ "text": "hello" });
    let answer = send.ask(&daemon, "POST", "/api/channels/nobody/send", text).await?;
    let told = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(
        answer.status == 404 && !told.contains("secretive"),
        "{} {told}",
        answer.status
    );
    Ok(())
}
