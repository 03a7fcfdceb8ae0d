//! Addresses and methods: what they are taken for, and what is told of those that are none.

use anyhow::{Result, ensure};
use pretty_assertions::assert_eq;

use super::{token_of_vault, with_eng, works};

#[tokio::test]
async fn r_http_44_a_segment_is_decoded_once_and_is_one_name() -> Result<()> {
    let daemon = with_eng().await?;
    for (name, status) in [
        ("eng", 200),
        ("%65ng", 200),
        ("%65%6E%67", 200),
        ("%2565ng", 404),
        ("eng%2F", 404),
        ("%2Feng", 404),
        ("..%2Feng", 404),
        ("eng%00", 404),
        ("eng%20", 404),
        ("ENG", 404),
        ("x%2F..%2Feng", 404),
    ] {
        for part in ["messages", "queue"] {
            let answer = daemon
                .ask_in("GET", &format!("/api/channels/{name}/{part}"), b"")
                .await?;
            assert_eq!(answer.status, status, "{name}/{part}");
        }
    }
    // Dots are no steps: nothing is one address on the way in and another one behind the door.
    for target in [
        "/health/../api/agents",
        "/vault/default/../../api/agents",
        "/./api/agents",
        "/api//agents",
    ] {
        let answer = daemon.ask_in("GET", target, b"").await?;
        assert_eq!(answer.status, 404, "{target}");
    }
    Ok(())
}

#[tokio::test]
async fn r_http_46_a_word_of_a_route_is_also_a_name() -> Result<()> {
    let daemon = with_eng().await?;
    for name in [
        "send",
        "queue",
        "messages",
        "api",
        "health",
        "mcp",
        "events",
        "constructor",
        "__proto__",
    ] {
        daemon.create_agent(name, "You have an odd name.").await?;
        let sent = daemon.send(name, "[[reply mine]]").await?;
        assert_eq!(
            daemon.wait_turn(name, &sent).await?.reply.as_deref(),
            Some("mine"),
            "{name}"
        );
        let shown = daemon.ask_in("GET", &format!("/api/agents/{name}"), b"").await?;
        assert_eq!(shown.json()?["name"], name);
    }
    Ok(())
}

#[tokio::test]
async fn r_http_42_methods_that_nobody_expects_change_nothing() -> Result<()> {
    let daemon = with_eng().await?;
    for method in ["TRACE", "CONNECT", "FOO", "PROPFIND", "DELETE_", "get"] {
        for target in ["/api/agents", "/api/agents/eng", "/vault/default/api/notes", "/health"] {
            let answer = daemon.ask_in(method, target, b"").await?;
            ensure!(
                (400..500).contains(&answer.status),
                "{method} {target}: {}",
                answer.status
            );
            if method == "TRACE" {
                let body = String::from_utf8_lossy(&answer.body).into_owned();
                ensure!(!body.contains(daemon.token()), "what was asked is echoed: {body}");
            }
        }
    }
    // A method in a header or in the query is none.
    for (target, header) in [
        ("/api/agents/eng", ("x-http-method-override", "DELETE")),
        ("/api/agents/eng?_method=DELETE", ("x-method-override", "DELETE")),
    ] {
        let bearer = daemon.bearer();
        let answer = daemon.ask("GET", target, &[(bearer.0, &bearer.1), header], b"").await?;
        assert_eq!(answer.status, 200);
    }
    works(&daemon).await
}

#[tokio::test]
async fn r_http_42_a_head_is_a_get_without_a_body() -> Result<()> {
    let daemon = with_eng().await?;
    let reader = token_of_vault(&daemon, "read").await?;
    for target in [
        "/health",
        "/api/agents",
        "/api/agents/nobody",
        "/nothing",
        "/api/channels/eng/messages",
    ] {
        let (name, bearer) = daemon.bearer();
        for headers in [
            &[][..],
            &[(name, bearer.as_str())],
            &[(name, &format!("Bearer {reader}"))],
        ] {
            let get = daemon.ask("GET", target, headers, b"").await?;
            let head = daemon.ask("HEAD", target, headers, b"").await?;
            assert_eq!((head.status, head.body), (get.status, Vec::new()), "{target}");
            assert_eq!(head.headers.len(), get.headers.len(), "{target}: {:?}", get.headers);
        }
    }
    Ok(())
}
