//! What is read from the CLI's output, case by case: bytes to lines, lines to events, all of it to a verdict.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use super::lines::{LINE_LIMIT, Line, Lines};
use super::redact::Redactor;
use super::stream::Stream;
use super::verdict::{Finished, verdict};
use crate::turn::{Event, FailureCode, Usage, Verdict};

const SESSION: Uuid = Uuid::from_u128(7);

/// Reads output that comes in these chunks.
async fn read(chunks: &[&[u8]]) -> (Stream, Vec<Event>) {
    let (mut writer, reader) = tokio::io::duplex(64 * 1024);
    let mut lines = Lines::new(reader, LINE_LIMIT);
    let (mut stream, mut events) = (Stream::default(), Vec::new());
    let write = async {
        for chunk in chunks {
            writer.write_all(chunk).await.unwrap();
            tokio::task::yield_now().await;
        }
        drop(writer);
    };
    let take = async {
        while let Some(line) = lines.next().await.unwrap() {
            let Line::Whole(line) = line else {
                panic!("a line is too long")
            };
            stream.line(&line, &mut |event| events.push(event));
        }
    };
    tokio::join!(write, take);
    (stream, events)
}

async fn read_lines(lines: &[Value]) -> (Stream, Vec<Event>) {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    read(&[text.as_bytes()]).await
}

/// The verdict on a process that has ended by itself.
fn judge(stream: Stream, code: i32, stderr: &str) -> Verdict {
    let end = Finished {
        stream,
        exit: Some(ExitStatus::from_raw(code << 8)),
        ending: None,
        stderr: stderr.to_owned(),
    };
    verdict(&end, &Redactor::new())
}

fn ok(reply: &str) -> Verdict {
    Verdict::Ok { reply: reply.into() }
}

fn code(verdict: &Verdict) -> FailureCode {
    match verdict {
        Verdict::Failed(failure) => failure.code,
        other => panic!("{other:?}"),
    }
}

fn init() -> Value {
    json!({"type": "system", "subtype": "init", "session_id": SESSION, "model": "m", "apiKeySource": "none"})
}

fn says(blocks: &Value) -> Value {
    json!({"type": "assistant", "message": {"id": "a", "model": "m", "content": blocks}, "session_id": SESSION})
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn call(id: &str, name: &str, input: &Value) -> Value {
    json!({"type": "tool_use", "id": id, "name": name, "input": input})
}

fn answered(results: &Value) -> Value {
    json!({"type": "user", "message": {"content": results}})
}

fn result() -> Value {
    json!({"type": "result", "subtype": "success", "is_error": false, "result": "hello", "session_id": SESSION,
        "usage": {"input_tokens": 42, "output_tokens": 7}, "total_cost_usd": 0.0012})
}

fn error_result(said: &str) -> Value {
    json!({"type": "result", "subtype": "success", "is_error": true, "result": said, "session_id": SESSION})
}

fn init_event() -> Event {
    Event::Init {
        session: SESSION,
        model: Some("m".into()),
        version: None,
    }
}

fn text_event(text: &str) -> Event {
    Event::Text {
        text: text.into(),
        parent: None,
    }
}

fn tool_event(id: &str, tool: &str, input: Option<&str>) -> Event {
    Event::Tool {
        id: id.into(),
        tool: tool.into(),
        input: input.map(str::to_owned),
        whole: None,
        parent: None,
    }
}

fn result_event(id: &str, tool: Option<&str>, ok: Option<bool>, preview: Option<&str>) -> Event {
    Event::ToolResult {
        id: id.into(),
        tool: tool.map(str::to_owned),
        ok,
        preview: preview.map(str::to_owned),
        whole: None,
        parent: None,
    }
}

#[tokio::test]
async fn tc_str_1_a_plain_turn_is_captured() {
    let (stream, _) = read_lines(&[init(), says(&json!([text("hello")])), result()]).await;
    let usage = Usage {
        input_tokens: 42,
        output_tokens: 7,
        ..Usage::default()
    };
    assert_eq!(
        (stream.session, stream.usage, stream.cost_usd),
        (Some(SESSION), usage, 0.0012)
    );
    let line = stream.result.as_ref().unwrap();
    assert_eq!((line.subtype.as_str(), line.is_error), ("success", false));
    assert_eq!(judge(stream, 0, ""), ok("hello"));
}

#[tokio::test]
async fn tc_str_3_an_error_with_the_subtype_of_a_success_is_an_error() {
    let (stream, _) = read_lines(&[init(), error_result("it broke")]).await;
    let line = stream.result.as_ref().unwrap();
    assert_eq!(
        (
            line.is_success(),
            line.is_error,
            line.subtype.as_str(),
            line.text.as_deref()
        ),
        (false, true, "success", Some("it broke"))
    );
    assert_eq!(stream.session, Some(SESSION));
    assert_eq!(code(&judge(stream, 0, "")), FailureCode::Unknown);
}

#[tokio::test]
async fn tc_str_4_too_many_turns_are_no_success_whatever_the_flag_says() {
    let line = json!({"type": "result", "subtype": "error_max_turns", "is_error": false});
    let (stream, _) = read_lines(&[init(), line]).await;
    assert!(!stream.result.as_ref().unwrap().is_success());
    assert_eq!(code(&judge(stream, 0, "")), FailureCode::MaxTurns);
}

#[tokio::test]
async fn tc_str_5_a_session_is_told_once_and_only_by_its_beginning() {
    let (stream, events) = read_lines(&[init(), says(&json!([])), init(), result()]).await;
    assert_eq!((stream.session, events), (Some(SESSION), vec![init_event()]));
    // A result echoes the id that was asked for, also of a session that does not exist.
    let (stream, events) = read_lines(&[result()]).await;
    assert_eq!((stream.session, events), (None, vec![]));
}

#[tokio::test]
async fn tc_str_6_noise_around_a_good_result_does_no_harm() {
    let whole = format!(
        "hook: done\n{}\n{}\n{}\n{}\n{{\"type\":\"assistant\",\"mess",
        init(),
        json!({"type": "rate_limit_event", "rate_limit_info": {"status": "allowed"}}),
        says(&json!([text("hello")])),
        result()
    );
    let (stream, _) = read(&[whole.as_bytes()]).await;
    assert_eq!(stream.session, Some(SESSION));
    assert_eq!(judge(stream, 0, ""), ok("hello"));
}

#[tokio::test]
async fn tc_str_7_blank_lines_and_a_banner_are_passed_over() {
    let whole = format!(
        "\n  \n*** Welcome ***\n\n   {}   \n\r\n{}\r\n",
        says(&json!([text("hi")])),
        result()
    );
    let (stream, _) = read(&[whole.as_bytes()]).await;
    assert_eq!(judge(stream, 0, ""), ok("hi"));
}

#[tokio::test]
async fn tc_str_8_without_a_result_there_is_no_reply_but_a_session() {
    let (stream, _) = read_lines(&[init(), says(&json!([text("half")]))]).await;
    assert_eq!((stream.session, stream.result.is_none()), (Some(SESSION), true));
    assert_eq!(code(&judge(stream, 0, "")), FailureCode::Crashed);
}

#[tokio::test]
async fn tc_str_9_nothing_and_nonsense_come_to_nothing() {
    for chunk in [
        "",
        "\n \n\t\n",
        "no json\nat all",
        "null\n[]\n7\n\"text\"\n{}\n{\"type\":7}",
    ] {
        let (stream, events) = read(&[chunk.as_bytes()]).await;
        assert_eq!(events, [], "{chunk:?}");
        assert_eq!(
            (
                stream.session,
                stream.result.is_none(),
                stream.text().as_str(),
                stream.usage
            ),
            (None, true, "", Usage::default()),
            "{chunk:?}"
        );
    }
}

/// A turn with a tool between two texts.
fn with_tool() -> [Value; 5] {
    [
        init(),
        says(&json!([text("one")])),
        says(&json!([call("t1", "Read", &json!({}))])),
        says(&json!([text("two")])),
        result(),
    ]
}

fn with_tool_events() -> [Event; 4] {
    [
        init_event(),
        text_event("one"),
        tool_event("t1", "Read", Some("{}")),
        text_event("two"),
    ]
}

#[tokio::test]
async fn tc_str_10_events_come_in_the_order_of_the_lines() {
    let (stream, events) = read_lines(&with_tool()).await;
    assert_eq!(events, with_tool_events());
    assert_eq!(judge(stream, 0, ""), ok("one\n\ntwo"));
}

#[tokio::test]
async fn tc_str_11_blocks_of_one_message_keep_their_order() {
    let blocks = json!([text("one"), call("t1", "Bash", &json!({"command": "ls"})), text("two")]);
    let (_, events) = read_lines(&[says(&blocks)]).await;
    let bash = tool_event("t1", "Bash", Some(r#"{"command":"ls"}"#));
    assert_eq!(events, [text_event("one"), bash, text_event("two")]);
}

#[tokio::test]
async fn tc_str_12_13_bytes_may_be_cut_anywhere_and_the_last_line_needs_no_end() {
    let lines: Vec<String> = with_tool().iter().map(Value::to_string).collect();
    let mut whole = lines.join("\n");
    // A cut may also go through a character.
    whole = whole.replace("\"two\"", "\"twö\"");
    let mut expected = with_tool_events();
    expected[3] = text_event("twö");
    for cut in 1..whole.len() {
        let (first, second) = whole.as_bytes().split_at(cut);
        let (stream, events) = read(&[first, second]).await;
        assert_eq!(events, expected, "cut at {cut}");
        assert_eq!(judge(stream, 0, ""), ok("one\n\ntwö"), "cut at {cut}");
    }
}

#[tokio::test]
async fn tc_str_14_noise_makes_no_events() {
    let whole = format!(
        "starting\n{}\n{{not json\n{}\n{}\n",
        init(),
        says(&json!([text("hi")])),
        result()
    );
    let (_, events) = read(&[whole.as_bytes()]).await;
    assert_eq!(events, [init_event(), text_event("hi")]);
}

#[tokio::test]
async fn tc_str_15_no_output_is_an_empty_record() {
    let (stream, events) = read(&[]).await;
    assert_eq!((events, stream.spoke, stream.session), (vec![], false, None));
}

#[tokio::test]
async fn tc_str_16_a_failing_turn_has_only_its_beginning_to_tell() {
    let (stream, events) = read_lines(&[init(), error_result("boom")]).await;
    assert_eq!(events, [init_event()]);
    assert_eq!(stream.session, Some(SESSION));
    assert_eq!(stream.result.as_ref().unwrap().text.as_deref(), Some("boom"));
    assert_eq!(code(&judge(stream, 1, "")), FailureCode::Unknown);
}

/// The input in the event of a call.
async fn input_of(block: &Value) -> Option<String> {
    match read_lines(&[says(&json!([block]))]).await.1.remove(0) {
        Event::Tool { input, .. } => input,
        other => panic!("{other:?}"),
    }
}

/// The preview in the event of a tool's answer.
async fn preview_of(content: &Value) -> Option<String> {
    let block = json!([{"type": "tool_result", "tool_use_id": "t1", "content": content}]);
    match read_lines(&[answered(&block)]).await.1.remove(0) {
        Event::ToolResult { preview, .. } => preview,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn tc_str_17_a_tools_input_is_its_json() {
    let block = call("t1", "Read", &json!({"file_path": "/etc/hosts"}));
    assert_eq!(input_of(&block).await.as_deref(), Some(r#"{"file_path":"/etc/hosts"}"#));
}

/// An input whose JSON has so many characters.
fn input_of_length(length: usize) -> Value {
    json!({"x": "é".repeat(length - r#"{"x":""}"#.len())})
}

#[tokio::test]
async fn tc_str_18_a_longer_input_is_cut_and_says_so() {
    let whole = input_of_length(2001);
    let shown = input_of(&call("t1", "Write", &whole)).await.unwrap();
    assert_eq!(shown.chars().count(), 2001);
    let kept: String = whole.to_string().chars().take(2000).collect();
    assert_eq!(shown, format!("{kept}…"));
}

#[tokio::test]
async fn tc_str_19_an_input_of_just_that_length_is_whole() {
    let whole = input_of_length(2000);
    assert_eq!(input_of(&call("t1", "Write", &whole)).await, Some(whole.to_string()));
}

#[tokio::test]
async fn tc_str_20_answers_in_another_order_are_labelled_with_their_own_tools() {
    let calls = json!([call("t1", "Read", &json!({})), call("t2", "Bash", &json!({}))]);
    let results = json!([
        {"type": "tool_result", "tool_use_id": "t2", "content": "b"},
        {"type": "tool_result", "tool_use_id": "t1", "content": "a"},
    ]);
    let (stream, events) = read_lines(&[says(&calls), answered(&results)]).await;
    let second = result_event("t2", Some("Bash"), None, Some("b"));
    assert_eq!(events[2..], [second, result_event("t1", Some("Read"), None, Some("a"))]);
    assert!(!stream.tool_runs());
}

#[tokio::test]
async fn tc_str_21_a_call_without_input_shows_none() {
    assert_eq!(
        input_of(&json!({"type": "tool_use", "id": "t1", "name": "Look"})).await,
        None
    );
    let event = json!(tool_event("t1", "Look", None));
    assert_eq!(event, json!({"kind": "tool", "id": "t1", "tool": "Look"}));
}

/// The answer to a call of Bash, as an event.
async fn answer(is_error: bool, content: &Value) -> Event {
    let block = json!([{"type": "tool_result", "tool_use_id": "t1", "is_error": is_error, "content": content}]);
    let lines = [says(&json!([call("t1", "Bash", &json!({}))])), answered(&block)];
    read_lines(&lines).await.1.remove(1)
}

#[tokio::test]
async fn tc_str_22_an_answer_names_its_tool_and_says_that_it_worked() {
    let event = answer(false, &json!("42")).await;
    assert_eq!(event, result_event("t1", Some("Bash"), Some(true), Some("42")));
}

#[tokio::test]
async fn tc_str_23_parts_of_an_answer_are_put_together() {
    let parts = json!([{"type": "text", "text": "for"}, {"type": "image"}, {"type": "text", "text": "ty-two"}]);
    assert_eq!(preview_of(&parts).await.as_deref(), Some("forty-two"));
}

#[tokio::test]
async fn tc_str_24_a_longer_answer_is_cut_and_says_so() {
    let shown = preview_of(&json!("é".repeat(2001))).await.unwrap();
    assert_eq!(shown, format!("{}…", "é".repeat(2000)));
    assert_eq!(preview_of(&json!("é".repeat(2000))).await, Some("é".repeat(2000)));
}

#[tokio::test]
async fn tc_str_25_a_failed_tool_says_so() {
    let event = answer(true, &json!("no such file")).await;
    assert_eq!(
        event,
        result_event("t1", Some("Bash"), Some(false), Some("no such file"))
    );
}

#[tokio::test]
async fn tc_str_26_an_answer_to_an_unknown_call_has_no_tool() {
    let block = json!([{"type": "tool_result", "tool_use_id": "t9", "is_error": false, "content": "x"}]);
    let (_, events) = read_lines(&[answered(&block)]).await;
    assert_eq!(events, [result_event("t9", None, Some(true), Some("x"))]);
}

#[tokio::test]
async fn tc_str_27_who_listens_does_not_change_what_is_kept() {
    let mut unheard = Stream::default();
    for line in with_tool() {
        unheard.line(line.to_string().as_bytes(), &mut |_| {});
    }
    let (heard, _) = read_lines(&with_tool()).await;
    assert_eq!(format!("{unheard:?}"), format!("{heard:?}"));
    assert_eq!(judge(unheard, 0, ""), ok("one\n\ntwo"));
}

#[tokio::test]
async fn a_later_result_cannot_undo_a_success() {
    let (stream, _) = read_lines(&[says(&json!([text("hi")])), result(), error_result("a task ended")]).await;
    assert_eq!(judge(stream, 0, ""), ok("hi"));
}

#[tokio::test]
async fn tc_retry_4_the_structured_fields_decide_and_not_the_words() {
    use FailureCode as Code;
    let cases = [
        (json!(529), "API Error: 529 Overloaded", Code::Overloaded),
        (json!(503), "503 Service Unavailable", Code::ApiUnavailable),
        (json!(502), "Bad Gateway", Code::ApiUnavailable),
        (json!(500), "Internal Server Error", Code::ApiUnavailable),
        (json!(408), "ETIMEDOUT", Code::ApiUnavailable),
        (json!(429), "429 rate limit exceeded", Code::RateLimited),
        (json!(401), "401 unauthorized", Code::Authentication),
        (json!(400), "400 bad request", Code::InvalidRequest),
        // Words of passing failures in what is none of them.
        (
            json!(400),
            "the tool timed out after 500 ms: overloaded",
            Code::InvalidRequest,
        ),
        (json!(null), "temporarily 503", Code::Unknown),
        (json!(null), "tag_scope_violation", Code::Unknown),
    ];
    for (status, said, expected) in cases {
        let mut line = error_result(said);
        line["api_error_status"] = status;
        let (stream, _) = read_lines(&[init(), line]).await;
        assert_eq!(code(&judge(stream, 1, "")), expected, "{said}");
    }
    // A connection that broke has no status; the CLI's word says what it was.
    let word = json!({"type": "assistant", "error": "server_error", "message": {"id": "a", "model": "<synthetic>", "content": []}});
    let (stream, _) = read_lines(&[init(), word, error_result("socket hang up (ECONNRESET)")]).await;
    assert_eq!(code(&judge(stream, 1, "")), Code::ApiUnavailable);
}

#[tokio::test]
async fn no_count_of_tokens_and_no_cost_leads_astray() {
    let most = u64::MAX;
    let result = |usage: &Value, cost: f64| json!({"type": "result", "subtype": "success", "usage": usage, "total_cost_usd": cost});
    let usage = json!({"input_tokens": most, "output_tokens": 1});
    let (stream, _) = read_lines(&[result(&usage, 2.0), result(&usage, -5.0)]).await;
    let counted = (stream.usage.input_tokens, stream.usage.output_tokens, stream.cost_usd);
    assert_eq!(counted, (most, 2, 2.0));
    let models = json!({
        "a": {"inputTokens": most, "outputTokens": 1, "costUSD": 1e308},
        "b": {"inputTokens": most, "outputTokens": 1, "costUSD": 1e308},
        "c": {"costUSD": -3.0},
    });
    let line = json!({"type": "result", "subtype": "success", "modelUsage": models});
    let (stream, _) = read_lines(&[line]).await;
    let counted = (stream.usage.input_tokens, stream.usage.output_tokens, stream.cost_usd);
    assert_eq!(counted, (most, 2, f64::MAX));
}
