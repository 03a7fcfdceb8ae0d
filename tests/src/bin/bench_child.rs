//! The smallest program that passes for Claude Code: it answers at once and starts fast, so that what a turn costs is the
//! daemon's doing, and stores a line of its session. Its reply tells when it began and when it answered, in nanoseconds of the machine's clock. A message `burst:N`
//! gets N words before that, as pieces of a text.

#![forbid(unsafe_code)]

use std::io::{BufRead as _, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

fn now() -> u128 {
    // silent-ok: a clock before 1970 spoils a figure and nothing else.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos()
}

/// What stands between the quotes behind `"name":`.
fn text<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let rest = line.split_once(&format!("\"{name}\":\""))?.1;
    rest.split_once('"').map(|(value, _)| value)
}

/// Adds a line to the session where Claude Code keeps it: without it a turn has something to report.
fn store(session: &str) -> std::io::Result<()> {
    let Some(config) = std::env::var_os("CLAUDE_CONFIG_DIR") else {
        return Ok(());
    };
    let project = std::path::Path::new(&config).join("projects/bench");
    let path = project.join(format!("{session}.jsonl"));
    let open = || std::fs::File::options().append(true).create(true).open(&path);
    let mut file = open().or_else(|_| std::fs::create_dir_all(&project).and_then(|()| open()))?;
    file.write_all(b"{\"type\":\"user\",\"uuid\":\"bench\"}\n")
}

fn main() -> std::io::Result<()> {
    let begun = now();
    let mut args = std::env::args().skip(1);
    let (mut out, input) = (std::io::stdout().lock(), std::io::stdin().lock());
    let mut session = String::from("00000000-0000-4000-8000-000000000000");
    for arg in &mut args {
        match arg.split_once('=') {
            Some(("--session-id" | "--resume", id)) => id.clone_into(&mut session),
            _ if arg == "--version" => return out.write_all(b"2.1.197 (Claude Code)\n"),
            _ if arg == "--help" => return out.write_all(b"Usage: claude [options]\n"),
            _ => {}
        }
    }
    for line in input.lines() {
        let line = line?;
        if let Some(id) = text(&line, "request_id") {
            let response = format!(r#"{{"subtype":"success","request_id":"{id}","response":{{}}}}"#);
            writeln!(out, r#"{{"type":"control_response","response":{response}}}"#)?;
        } else {
            let burst = line.split_once("burst:").map(|(_, rest)| rest);
            let words = burst.and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()); // silent-ok: no burst
            let words: Vec<String> = (1..=words.unwrap_or(0_u32))
                .map(|n| {
                    let delta = format!(r#"{{"type":"text_delta","text":"word{n} "}}"#);
                    format!(
                        r#"{{"type":"stream_event","event":{{"type":"content_block_delta","index":0,"delta":{delta}}},"session_id":"{session}","parent_tool_use_id":null}}"#
                    )
                })
                .collect();
            store(&session)?;
            let reply = format!("{begun} {}", now());
            let usage = r#""usage":{"input_tokens":1,"output_tokens":1}"#;
            let message = format!(
                r#"{{"id":"m","type":"message","role":"assistant","model":"none","content":[{{"type":"text","text":"{reply}"}}],{usage}}}"#
            );
            let of = format!(r#""session_id":"{session}""#);
            // One write, as a pipe takes it.
            let init = [format!(
                r#"{{"type":"system","subtype":"init","cwd":"/","tools":[],"mcp_servers":[],"model":"none",{of}}}"#
            )];
            let end = [
                format!(r#"{{"type":"assistant","message":{message},"parent_tool_use_id":null,{of}}}"#),
                format!(
                    r#"{{"type":"result","subtype":"success","is_error":false,"num_turns":1,"result":"{reply}","total_cost_usd":0.0001,{usage},"modelUsage":{{}},{of}}}"#
                ),
                format!(r#"{{"type":"system","subtype":"session_state_changed","state":"idle",{of}}}"#),
            ];
            let lines: Vec<String> = init.into_iter().chain(words).chain(end).collect();
            out.write_all((lines.join("\n") + "\n").as_bytes())?;
        }
        out.flush()?;
    }
    Ok(())
}
