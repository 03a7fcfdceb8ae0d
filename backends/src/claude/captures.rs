//! What is read from real output of the CLI (2.1.197): each capture in `tests/fixtures` against its line of `expected.jsonl`,
//! which was worked out from the captures by another program.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::redact::Redactor;
use super::stream::Stream;
use super::verdict::{Finished, verdict};
use crate::turn::{Event, Verdict};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn json_file(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(fixture(name)).unwrap()).unwrap()
}

fn read(capture: &[u8], meta: &Value) -> (Finished, Vec<Event>) {
    let (mut stream, mut events) = (Stream::default(), Vec::new());
    for line in capture.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        stream.line(line, &mut |event| events.push(event));
    }
    let code = i32::try_from(meta["rc"].as_i64().unwrap()).unwrap();
    let exit = Some(ExitStatus::from_raw(code << 8));
    (
        Finished {
            stream,
            exit,
            ending: None,
            stderr: meta["stderr"].as_str().unwrap().to_owned(),
        },
        events,
    )
}

fn summary(event: &Event) -> String {
    match event {
        Event::Init { .. } => "init".into(),
        Event::TextDelta { .. } => "text_delta".into(),
        Event::Text { .. } => "text".into(),
        Event::Thinking { .. } => "thinking".into(),
        Event::Tool { tool, .. } => format!("tool {tool}"),
        Event::ToolResult { ok, .. } => {
            format!("tool_result{}", ok.map_or("", |ok| if ok { " ok" } else { " failed" }))
        }
        Event::Retry { .. } => "retry".into(),
        Event::Notice { .. } => "notice".into(),
    }
}

fn row(name: &str) -> Value {
    let capture = std::fs::read(fixture(&format!("{name}.jsonl"))).unwrap();
    let (end, events) = read(&capture, &json_file(&format!("{name}.meta.json")));
    let verdict = match verdict(&end, &Redactor::new()) {
        Verdict::Ok { reply } => {
            assert_eq!(reply, end.stream.text());
            json!("ok")
        }
        Verdict::Failed(failure) => {
            assert!(
                !failure.detail.is_empty() && failure.detail.len() <= 2048,
                "{name}: {failure:?}"
            );
            json!(failure.code)
        }
        Verdict::Stopped => json!("stopped"),
    };
    let usage = end.stream.usage;
    json!({
        "name": name,
        "verdict": verdict,
        "text": end.stream.text(),
        "session": end.stream.session,
        "usage": [usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens],
        "cost": end.stream.cost_usd,
        "models": end.stream.models,
        "tools_ran": end.stream.tools_ran,
        "events": events.iter().map(summary).collect::<Vec<_>>(),
    })
}

#[test]
fn every_capture_is_read_as_expected() {
    let expected = std::fs::read_to_string(fixture("expected.jsonl")).unwrap();
    let expected: Vec<Value> = expected
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let captures = std::fs::read_dir(fixture("")).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_str()
            .is_some_and(|name| name.ends_with(".jsonl") && name != "expected.jsonl")
    });
    assert_eq!((expected.len(), captures.count()), (63, 63));
    for line in expected {
        assert_eq!(row(line["name"].as_str().unwrap()), line);
    }
}

/// Every capture, cut at any byte, with noise before each line: nothing panics, and no text appears that was not there.
#[test]
fn noise_and_cuts_are_harmless() {
    for name in ["06-tool-bash-partial", "36-subagent", "61-autocompact"] {
        let capture = std::fs::read(fixture(&format!("{name}.jsonl"))).unwrap();
        let meta = json_file(&format!("{name}.meta.json"));
        let whole = read(&capture, &meta).0.stream.text();
        let noise: [&[u8]; 7] = [
            b"noise",
            b"\xff{",
            b"{}",
            b"[]",
            br#"{"type":null}"#,
            br#"{"type":"assistant","message":{"content":[null,1]}}"#,
            b"\0",
        ];
        let noisy: Vec<u8> = capture
            .split_inclusive(|&byte| byte == b'\n')
            .enumerate()
            .flat_map(|(n, line)| [noise[n % noise.len()], b"\n", line].concat())
            .collect();
        assert_eq!(read(&noisy, &meta).0.stream.text(), whole);
        for cut in (0..capture.len()).step_by(997) {
            read(&capture[..cut], &meta);
        }
    }
}

fn events_of(lines: &[Value]) -> (Stream, Vec<Event>) {
    let (mut stream, mut events) = (Stream::default(), Vec::new());
    for line in lines {
        stream.line(line.to_string().as_bytes(), &mut |event| events.push(event));
    }
    (stream, events)
}

fn partial(event: &Value) -> Value {
    json!({"type": "stream_event", "event": event, "parent_tool_use_id": null})
}

fn whole(id: &str, text: &str) -> Value {
    json!({"type": "assistant", "message": {"id": id, "model": "m", "content": [{"type": "text", "text": text}]}})
}

#[test]
fn an_answer_that_broke_off_is_replaced_by_the_next() {
    let start = |id: &str| partial(&json!({"type": "message_start", "message": {"id": id}}));
    let delta =
        |text: &str| partial(&json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": text}}));
    let (stream, _) = events_of(&[
        start("a"),
        delta("one"),
        whole("a", "one"),
        delta("tw"),
        whole("b", "one"),
        whole("b", "two"),
    ]);
    assert_eq!(stream.text(), "one\n\ntwo");
    let stop = partial(&json!({"type": "message_stop"}));
    let (stream, _) = events_of(&[
        start("a"),
        delta("one"),
        whole("a", "one"),
        stop,
        start("b"),
        delta("tw"),
    ]);
    assert_eq!(stream.text(), "one\n\ntw");
}

#[test]
fn events_carry_what_was_said() {
    let call = json!({"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls"}});
    let bare = json!({"type": "tool_use", "id": "t2", "name": "Look", "input": null});
    let (stream, events) = events_of(&[
        json!({"type": "assistant", "message": {"id": "a", "content": [call, bare]}, "parent_tool_use_id": "t0"}),
        json!({"type": "user", "message": {"content": [{"type": "tool_result", "tool_use_id": "t1", "content": "x", "is_error": true}]}}),
        json!({"type": "user", "message": {"content": [{"type": "tool_result", "tool_use_id": "t9"}]}}),
        json!({"type": "system", "subtype": "api_retry", "attempt": 1, "max_retries": 4, "retry_delay_ms": 512.6, "error_status": null, "error": "unknown"}),
    ]);
    assert!(stream.tools_ran && stream.tool_runs());
    let expected = [
        Event::Tool {
            id: "t1".into(),
            tool: "Bash".into(),
            input: Some(r#"{"command":"ls"}"#.into()),
            whole: None,
            parent: Some("t0".into()),
        },
        Event::Tool {
            id: "t2".into(),
            tool: "Look".into(),
            input: None,
            whole: None,
            parent: Some("t0".into()),
        },
        Event::ToolResult {
            id: "t1".into(),
            tool: Some("Bash".into()),
            ok: Some(false),
            preview: Some("x".into()),
            whole: None,
            parent: None,
        },
        Event::ToolResult {
            id: "t9".into(),
            tool: None,
            ok: None,
            preview: None,
            whole: None,
            parent: None,
        },
        Event::Retry {
            attempt: 1,
            max: 4,
            delay_ms: 513,
            status: None,
            error: "unknown".into(),
        },
    ];
    assert_eq!(events, expected);
}

#[test]
fn the_model_that_answered_comes_first() {
    let init = json!({"type": "system", "subtype": "init", "session_id": uuid::Uuid::nil(), "model": "sonnet-5"});
    let by = |model: &str, parent: Value| json!({"type": "assistant", "parent_tool_use_id": parent, "message": {"id": model, "model": model, "content": []}});
    let result = json!({"type": "result", "modelUsage": {"haiku-4": {}, "opus-5[1m]": {}, "sonnet-5": {}}});
    let models = |lines: &[Value]| events_of(lines).0.models;
    assert_eq!(
        models(&[init.clone(), result.clone()]),
        ["sonnet-5", "haiku-4", "opus-5[1m]"]
    );
    // Another one stepped in; what a sub-agent or the CLI itself says does not count.
    let lines = [
        init,
        by("opus-5", Value::Null),
        by("haiku-4", json!("t1")),
        by("<synthetic>", Value::Null),
        result.clone(),
    ];
    assert_eq!(models(&lines), ["opus-5[1m]", "haiku-4", "sonnet-5"]);
    assert_eq!(models(&[result]), ["haiku-4", "opus-5[1m]", "sonnet-5"]);
}
