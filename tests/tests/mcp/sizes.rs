//! Large arguments, and answers that fit into a model's context.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use serde_json::{Value, json};

/// No answer is larger, in bytes; a model's tools take 25 000 tokens.
const ANSWER: usize = 130_000;

async fn start() -> Result<Daemon> {
    Daemon::builder().stand_in().start().await
}

/// Calls a tool and checks the size of the answer.
async fn bounded(daemon: &Daemon, name: &str, arguments: &Value) -> Result<(Value, Option<String>)> {
    let params = json!({ "name": name, "arguments": arguments });
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let answer = daemon.mcp(daemon.token(), &message).await?;
    anyhow::ensure!(answer.status == 200, "{}", answer.status);
    anyhow::ensure!(answer.body.len() <= ANSWER, "{name}: {} bytes", answer.body.len());
    let told = reveille_tests::daemon::ToolAnswer::of(&answer.json()?["result"])?;
    anyhow::ensure!(!told.failed, "{}", told.value);
    Ok((told.value, told.more))
}

/// The number behind the last `word: ` of a sentence.
fn number(sentence: &str, word: &str) -> Option<usize> {
    let (_, rest) = sentence.split_once(&format!("{word}: "))?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok() // silent-ok: no number is none
}

#[tokio::test]
async fn a_body_of_megabytes_is_stored_whole_and_read_in_parts() -> Result<()> {
    let daemon = start().await?;
    let line = "„Zeile“ with \"quotes\" and \\ \u{1} \u{1f980}\n";
    let body = line.repeat(5_000_000 / line.len());
    bounded(&daemon, "create-note", &json!({ "path": "big", "content": body })).await?;
    bounded(&daemon, "update-note", &json!({ "id": "big", "append": "the end" })).await?;
    let whole = daemon.note("big").await?.context("the note")?;
    assert!(whole["content"].as_str() == Some(&format!("{body}the end")));
    // As far as it takes to see that the parts fit.
    let (mut read, mut offset) = (String::new(), 0);
    for _ in 0..5 {
        let (part, _) = bounded(
            &daemon,
            "query-notes",
            &json!({ "id": "big", "content_offset": offset }),
        )
        .await?;
        read.push_str(part["content"].as_str().context("a part")?);
        let told = part["contentTruncated"].as_str().context("it says so")?;
        offset = number(told, "content_offset").context("where to go on")?;
        assert_eq!(offset, read.len());
    }
    assert!(body.starts_with(&read) && read.len() > 100_000, "{}", read.len());
    let end = whole["content"].as_str().map_or(0, str::len) - 7;
    let (part, _) = bounded(&daemon, "query-notes", &json!({ "id": "big", "content_offset": end })).await?;
    assert_eq!(part["content"], "the end");
    // Too far is the end as well.
    let (part, _) = bounded(
        &daemon,
        "query-notes",
        &json!({ "id": "big", "content_offset": 1_u64 << 60 }),
    )
    .await?;
    assert_eq!(part["content"], "");
    Ok(())
}

#[tokio::test]
async fn metadata_of_megabytes_is_left_out_by_name() -> Result<()> {
    let daemon = start().await?;
    let metadata = json!({ "log": "x".repeat(2_000_000), "state": "open" });
    bounded(
        &daemon,
        "create-note",
        &json!({ "path": "big", "content": "b", "metadata": metadata }),
    )
    .await?;
    for asked in [json!({ "id": "big" }), json!({ "path": "big" })] {
        let (note, _) = bounded(&daemon, "query-notes", &asked).await?;
        let note = note.get(0).unwrap_or(&note);
        assert!(note["metadataTruncated"].is_string(), "{note}");
    }
    let one = json!({ "id": "big", "include_metadata": ["state"] });
    let (note, _) = bounded(&daemon, "query-notes", &one).await?;
    assert_eq!(note["metadata"], json!({ "state": "open" }));
    Ok(())
}

#[tokio::test]
async fn a_list_that_does_not_fit_says_where_to_go_on() -> Result<()> {
    let daemon = start().await?;
    let notes: Vec<Value> = (0..100)
        .map(|n| json!({ "path": format!("n/{n:03}"), "content": "x".repeat(9_000) }))
        .collect();
    let (_, more) = bounded(&daemon, "create-note", &json!({ "notes": notes })).await?;
    assert!(more.is_some_and(|text| text.contains("All 100 notes were written")));
    let (mut seen, mut offset, mut calls) = (Vec::new(), 0, 0);
    loop {
        let asked = json!({ "path_prefix": "n/", "include_content": true, "limit": 200, "offset": offset });
        let (part, more) = bounded(&daemon, "query-notes", &asked).await?;
        for note in part.as_array().context("notes")? {
            assert_eq!(note["content"].as_str().map(str::len), Some(9_000));
            seen.push(note["path"].as_str().context("a path")?.to_owned());
        }
        calls += 1;
        let Some(more) = more else { break };
        offset = number(&more, "offset").context("where to go on")?;
    }
    let expected: Vec<String> = (0..100).map(|n| format!("n/{n:03}")).collect();
    assert_eq!(seen, expected);
    assert!(calls > 5, "{calls}");
    // Without the bodies they fit.
    let (lean, more) = bounded(&daemon, "query-notes", &json!({ "path_prefix": "n/", "limit": 100 })).await?;
    assert_eq!((lean.as_array().map(Vec::len), more), (Some(100), None));
    Ok(())
}

#[tokio::test]
async fn more_than_the_daemon_takes_is_refused_and_nothing_is_written() -> Result<()> {
    let daemon = start().await?;
    let arguments = json!({ "path": "huge", "content": "x".repeat(9 << 20) });
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "create-note", "arguments": arguments } });
    let answer = daemon.mcp(daemon.token(), &message).await?;
    assert_eq!((answer.status, &answer.json()?["error"]["code"]), (413, &json!(-32000)));
    assert_eq!(daemon.note("huge").await?, None);
    Ok(())
}
