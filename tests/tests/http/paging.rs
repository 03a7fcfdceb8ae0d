//! Listings page by page.

use std::collections::HashSet;

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT};
use reveille_tests::eventually;
use serde_json::Value;

use super::with_eng;

/// Everything of a listing, in pages of two: each thing once. `older`: the pages go back in time.
async fn paged(daemon: &Daemon, address: &str, list: &str, older: bool) -> Result<Vec<Value>> {
    let joint = if address.contains('?') { '&' } else { '?' };
    let mut all: Vec<Value> = Vec::new();
    let mut cursor = None::<String>;
    loop {
        let more = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let target = format!("{address}{joint}limit=2{more}");
        let page = daemon.ask_in("GET", &target, b"").await?.json()?;
        let items = page[list].as_array().with_context(|| page.to_string())?;
        ensure!(items.len() <= 2 && all.len() < 100, "{target}: {page}");
        if older {
            all.splice(0..0, items.iter().cloned());
        } else {
            all.extend(items.iter().cloned());
        }
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            return Ok(all);
        }
    }
}

async fn whole(daemon: &Daemon, address: &str, list: &str) -> Result<Vec<Value>> {
    let all = daemon.ask_in("GET", address, b"").await?.json()?;
    assert_eq!(all["next_cursor"], Value::Null, "{address}");
    Ok(all[list].as_array().context("no list")?.clone())
}

#[tokio::test]
async fn turns_messages_and_threads_come_whole_in_pages() -> Result<()> {
    let daemon = with_eng().await?;
    for number in 0..5 {
        let body = serde_json::json!({ "text": format!("[[reply {number}]]"), "subject": format!("s{number}") });
        let sent = daemon.send_with("eng", &body).await?;
        daemon.wait_turn("eng", &sent).await?;
    }
    // The answers are in the vault a moment after the turns have ended.
    daemon.wait_quiet(LIMIT).await?;
    // Two that stay in line.
    daemon.ask_in("POST", "/api/agents/eng/pause", b"").await?.json()?;
    for text in ["one", "two"] {
        daemon.send("eng", text).await?;
    }
    eventually("both are in line", LIMIT, async || {
        let waiting = whole(&daemon, "/api/turns?channel=eng&state=waiting", "turns").await?;
        Ok((waiting.len() == 2).then_some(()))
    })
    .await?;
    for (address, list, older, count) in [
        ("/api/turns?channel=eng", "turns", false, 7),
        ("/api/turns?channel=eng&state=ok", "turns", false, 5),
        ("/api/turns?channel=eng&state=waiting", "turns", false, 2),
        ("/api/channels/eng/messages", "messages", true, 12),
        ("/api/channels/eng/threads", "threads", false, 6),
    ] {
        let all = whole(&daemon, address, list).await?;
        assert_eq!(all.len(), count, "{address}");
        let pages = paged(&daemon, address, list, older).await?;
        assert_eq!(pages, all, "{address}");
        let distinct: HashSet<String> = pages.iter().map(ToString::to_string).collect();
        assert_eq!(distinct.len(), count, "{address}");
    }
    Ok(())
}

#[tokio::test]
async fn a_cursor_of_nobody_is_told() -> Result<()> {
    let daemon = with_eng().await?;
    daemon.send("eng", "[[reply x]]").await?;
    for address in [
        "/api/turns?channel=eng&",
        "/api/channels/eng/messages?",
        "/api/channels/eng/threads?",
    ] {
        for cursor in [
            "x",
            "0",
            "open:1",
            "settled:",
            "%00",
            "00000000-0000-0000-0000-000000000000",
        ] {
            let target = format!("{address}cursor={cursor}");
            let answer = daemon.ask_in("GET", &target, b"").await?;
            assert_eq!(answer.status, 400, "{target}");
            assert_eq!(answer.json()?["error"], "invalid_cursor", "{target}");
        }
    }
    Ok(())
}
