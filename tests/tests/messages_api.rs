//! The double of the Messages API as a plain HTTP client sees it.

use std::time::Duration;

use anyhow::Result;
use futures_util::FutureExt as _;
use pretty_assertions::assert_eq;
use reqwest::{Client, Response};
use reveille_tests::eventually;
use reveille_tests::messages_api::{MessagesApi, overlaps};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(60);

fn ask(prompt: &str, stream: bool) -> Value {
    json!({"model": "m", "max_tokens": 100, "stream": stream, "messages": [{"role": "user", "content": prompt}]})
}

async fn post(api: &MessagesApi, body: &Value) -> Result<Response> {
    let request = Client::new().post(format!("{}/v1/messages?beta=true", api.url()));
    let request = request
        .header("x-api-key", "dummy")
        .header("anthropic-version", "2023-06-01");
    Ok(request
        .header("x-claude-code-session-id", "s1")
        .json(body)
        .send()
        .await?)
}

#[tokio::test]
async fn streams_the_events_of_the_api() -> Result<()> {
    let api = MessagesApi::start().await?;
    let answer = post(&api, &ask("[[thinking hm]] [[reply añb]] [[slow 3x1ms]]", true)).await?;
    assert_eq!(answer.headers()["content-type"], "text/event-stream; charset=utf-8");
    let expected = [
        r#"{"message":{"content":[],"id":"msg_double_000000","model":"m","role":"assistant","stop_reason":null,"stop_sequence":null,"type":"message","usage":{"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"input_tokens":13,"output_tokens":1,"service_tier":"standard"}},"type":"message_start"}"#,
        r#"{"type":"ping"}"#,
        r#"{"content_block":{"signature":"","thinking":"","type":"thinking"},"index":0,"type":"content_block_start"}"#,
        r#"{"delta":{"thinking":"hm","type":"thinking_delta"},"index":0,"type":"content_block_delta"}"#,
        r#"{"delta":{"signature":"c2lnbmF0dXJl","type":"signature_delta"},"index":0,"type":"content_block_delta"}"#,
        r#"{"index":0,"type":"content_block_stop"}"#,
        r#"{"content_block":{"text":"","type":"text"},"index":1,"type":"content_block_start"}"#,
        r#"{"delta":{"text":"añ","type":"text_delta"},"index":1,"type":"content_block_delta"}"#,
        r#"{"delta":{"text":"b","type":"text_delta"},"index":1,"type":"content_block_delta"}"#,
        r#"{"index":1,"type":"content_block_stop"}"#,
        r#"{"delta":{"stop_reason":"end_turn","stop_sequence":null},"type":"message_delta","usage":{"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"input_tokens":13,"output_tokens":2,"service_tier":"standard"}}"#,
        r#"{"type":"message_stop"}"#,
    ];
    let body = answer.text().await?;
    let data: Vec<_> = body.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert_eq!(data, expected);
    let names: Vec<_> = body.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    let types: Vec<Value> = data
        .iter()
        .map(|data| serde_json::from_str(data))
        .collect::<Result<_, _>>()?;
    assert_eq!(
        names,
        types
            .iter()
            .map(|event| event["type"].as_str().unwrap())
            .collect::<Vec<_>>()
    );
    Ok(())
}

#[tokio::test]
async fn answers_without_a_stream_too() -> Result<()> {
    let api = MessagesApi::start().await?;
    let body: Value = post(&api, &ask("Hello [[link]]", false)).await?.json().await?;
    let expected = json!({
        "id": "msg_double_000000",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "context: 1 user messages. You said: Hello [[link]]"}],
        "stop_reason": "end_turn",
        "stop_sequence": null,
        "usage": {"input_tokens": 5, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
                  "output_tokens": 13, "service_tier": "standard"},
    });
    assert_eq!(body, expected);

    let refusal: Value = post(&api, &ask("[[refusal]]", false)).await?.json().await?;
    assert_eq!(
        (&refusal["stop_reason"], &refusal["content"]),
        (&json!("refusal"), &json!([]))
    );

    let count = Client::new().post(format!("{}/v1/messages/count_tokens", api.url()));
    let count = count
        .header("authorization", "Bearer dummy")
        .header("anthropic-version", "2023-06-01");
    let count: Value = count
        .json(&json!({"model": "m", "messages": [{"role": "user", "content": "Hello"}]}))
        .send()
        .await?
        .json()
        .await?;
    assert_eq!(count, json!({"input_tokens": 3}));
    assert_eq!(Client::new().head(api.url()).send().await?.status(), 200);
    Ok(())
}

#[tokio::test]
async fn invalid_requests_are_refused_as_the_api_does() -> Result<()> {
    let api = MessagesApi::start().await?;
    let url = format!("{}/v1/messages", api.url());
    let client = Client::new();
    let versioned = || client.post(&url).header("anthropic-version", "2023-06-01");
    let keyed = || versioned().header("x-api-key", "dummy");
    let cases = [
        (
            versioned().json(&ask("x", true)),
            401,
            "authentication_error",
            "x-api-key header is required",
        ),
        (
            client.post(&url).header("x-api-key", "dummy").json(&ask("x", true)),
            400,
            "invalid_request_error",
            "anthropic-version: header is required",
        ),
        (
            keyed().body("{"),
            400,
            "invalid_request_error",
            "The request body is not valid JSON: EOF while parsing an object at line 1 column 1",
        ),
        (
            keyed().json(&json!({})),
            400,
            "invalid_request_error",
            "model: Field required",
        ),
        (
            keyed().json(&json!({"model": "m"})),
            400,
            "invalid_request_error",
            "max_tokens: Field required",
        ),
        (
            keyed().json(&json!({"model": "m", "max_tokens": 1})),
            400,
            "invalid_request_error",
            "messages: Field required",
        ),
        (
            keyed().json(&ask("[[slow]]", true)),
            400,
            "invalid_request_error",
            "[[slow]]: expected PIECESxPAUSE such as 20x50ms, not \"\"",
        ),
        (
            keyed().json(&ask("[[error 529]]", true)),
            529,
            "overloaded_error",
            "Overloaded",
        ),
        (
            keyed().json(&ask("[[error too-long]]", true)),
            400,
            "invalid_request_error",
            "prompt is too long: 250000 tokens > 200000 maximum",
        ),
        (client.get(&url), 405, "invalid_request_error", "Method Not Allowed"),
        (
            client.get(format!("{}/v1/nothing", api.url())),
            404,
            "not_found_error",
            "Not found",
        ),
    ];
    for (request, status, kind, message) in cases {
        let answer = request.send().await?;
        assert_eq!(answer.status().as_u16(), status, "{message}");
        let id = answer.headers()["request-id"].to_str()?.to_owned();
        let expected = json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": id});
        assert_eq!(answer.json::<Value>().await?, expected);
    }
    Ok(())
}

#[tokio::test]
async fn faults_happen_as_often_as_the_prompt_says() -> Result<()> {
    let api = MessagesApi::start().await?;
    let prompt = ask("[[error 529 x2]] [[cut]] [[reply done]]", true);
    let mut seen = Vec::new();
    for _ in 0..4 {
        let answer = post(&api, &prompt).await?;
        let status = answer.status().as_u16();
        let whole = answer
            .text()
            .await
            .is_ok_and(|body| body.ends_with("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"));
        seen.push((status, whole));
    }
    assert_eq!(seen, [(529, false), (529, false), (200, false), (200, true)]);
    // Another prompt has counters of its own.
    assert_eq!(post(&api, &ask("[[error 529 x2]]", true)).await?.status().as_u16(), 529);
    Ok(())
}

#[tokio::test]
async fn a_request_ends_in_the_record_when_its_client_goes() -> Result<()> {
    let api = MessagesApi::start().await?;
    let (silent, headers) = (ask("[[hang nobytes]]", true), ask("[[hang]]", true));
    let mut unanswered = Box::pin(post(&api, &silent));
    let arrived = eventually("the request arrives", LIMIT, async || {
        tokio::select! {
            answer = &mut unanswered => anyhow::bail!("an answer to [[hang nobytes]]: {answer:?}"),
            () = tokio::task::yield_now() => Ok((api.requests().len() == 1).then_some(())),
        }
    });
    arrived.await?;
    let mut hanging = post(&api, &headers).await?;
    assert!(hanging.chunk().now_or_never().is_none());
    assert_eq!(overlaps(&api.requests()), [(0, 1)]);
    drop((unanswered, hanging));

    eventually("both requests end", LIMIT, async || {
        Ok(api
            .requests()
            .iter()
            .all(|request| request.ended_at.is_some())
            .then_some(()))
    })
    .await?;
    post(&api, &ask("later", true)).await?.text().await?;
    assert_eq!(overlaps(&api.requests()), [(0, 1)]);
    Ok(())
}

#[tokio::test]
async fn nothing_listens_after_the_drop() -> Result<()> {
    let api = MessagesApi::start().await?;
    let url = api.url().to_owned();
    let mut hanging = post(&api, &ask("[[hang]]", true)).await?;
    drop(api);
    assert!(hanging.chunk().await.is_err());
    assert!(
        Client::new()
            .head(&url)
            .send()
            .await
            .is_err_and(|error| error.is_connect())
    );
    Ok(())
}
