//! A span for each message, and what is below it.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::Receiver;
use reveille_tests::daemon::{Daemon, LIMIT, Sent, State};
use reveille_tests::eventually;
use serde_json::{Value, json};

use super::collector::{Span, read};
use super::{A_WHILE, INBOUND, attach, requests, spans, spans_that, told, turn, with};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// What a turn of a worker has below its message.
const STAGES: [&str; 7] = [
    "deliver reply",
    "deliver thread",
    "first text",
    "record",
    "run",
    "start",
    "wait",
];

fn id_of(sent: &Sent) -> Result<String> {
    sent.turn.clone().context("the message has a turn")
}

/// Sends a message with a header of its sender's trace.
async fn send_traced(daemon: &Daemon, agent: &str, text: &str, parent: &str) -> Result<String> {
    let (name, token) = daemon.bearer();
    let headers = [
        (name, token.as_str()),
        ("content-type", "application/json"),
        ("traceparent", parent),
    ];
    let body = json!({ "text": text }).to_string();
    let target = format!("/api/channels/{agent}/send");
    let sent = daemon.ask("POST", &target, &headers, body.as_bytes()).await?.json()?;
    Ok(sent["turn"].as_str().with_context(|| sent.to_string())?.to_owned())
}

#[tokio::test]
async fn a_message_has_a_span_with_its_stages_and_says_nothing_of_its_text() -> Result<()> {
    let collector = Receiver::start().await?;
    let builder = told(&collector)
        .env("OTEL_SERVICE_NAME", "notes")
        .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test%20bed")
        .env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20hunter2");
    let daemon = with(builder, &["eng"]).await?;
    let sent = daemon.send("eng", "hunter3 [[reply hunter4]] [[cost 0.25]]").await?;
    let (ended, id) = (daemon.wait_turn("eng", &sent).await?, id_of(&sent)?);
    let all = spans(&collector, "everything of the message", |all| {
        all.message(&id)
            .is_some_and(|span| all.below(span).len() == STAGES.len())
    })
    .await?;
    let message = all.message(&id).context("its span")?;
    assert_eq!(all.below(message), BTreeSet::from(STAGES));
    assert_eq!(
        (message.name.as_str(), message.kind, &message.parent, &message.error),
        ("message eng", 5, &None, &None)
    );
    for (key, value) in [
        ("reveille.outcome", "ok"),
        ("reveille.channel", "eng"),
        ("gen_ai.agent.name", "eng"),
        ("reveille.note.id", sent.id.as_str()),
        ("reveille.served_by", "daemon"),
    ] {
        assert_eq!(message.text(key), value, "{key}");
    }
    let row = daemon
        .journal()?
        .turns
        .into_iter()
        .find(|turn| turn.id.to_string() == id)
        .context("its row")?;
    assert_eq!(message.number("reveille.tokens.input"), Some(row.spend[0].try_into()?));
    assert_eq!(message.number("reveille.tokens.output"), Some(row.spend[1].try_into()?));
    let cost = message.attributes["reveille.cost_usd"].as_f64().context("a cost")?;
    assert!(cost >= 0.25 && ended.state == State::Ok, "{cost}");
    // They follow each other, within the message.
    let one = |name: &str| -> Result<&Span> { all.named(name).first().copied().context("a stage") };
    let (wait, start, run) = (one("wait")?, one("start")?, one("run")?);
    let (text, record, reply) = (one("first text")?, one("record")?, one("deliver reply")?);
    assert_eq!(
        (wait.start, wait.end, start.end),
        (message.start, start.start, run.start)
    );
    assert_eq!(text.start, run.start);
    assert!(text.end <= run.end && run.end <= record.start && record.start <= reply.end && reply.end <= message.end);
    assert_eq!(start.text("reveille.process"), "cold");
    // Whose they are, and what they do not say.
    let told = collector.told();
    for request in &told {
        assert_eq!(request.header("authorization"), "Bearer hunter2");
        let said = read(request)?.1;
        assert_eq!(said["service.name"], "notes");
        assert_eq!(said["deployment.environment.name"], "test bed");
        assert!(said["service.version"].is_string() && said["service.instance.id"].is_string());
        assert!(
            !request.body.contains("hunter") && !request.body.contains(daemon.token()),
            "{}",
            request.body
        );
    }
    assert!(!daemon.log()?.contains("hunter"));
    let count = all.0.len();
    eventually("all are counted", LIMIT, async || {
        Ok((spans_that(&daemon, "exported").await? >= count as f64).then_some(()))
    })
    .await
}

/// The stages of the only turn.
async fn stages(collector: &Receiver) -> Result<[Span; 3]> {
    let names = ["first text", "run", "record"];
    let all = spans(collector, "its stages", |all| {
        names.iter().all(|name| all.named(name).len() == 1)
    })
    .await?;
    Ok(names.map(|name| all.named(name)[0].clone()))
}

#[tokio::test]
async fn the_first_text_is_the_first_piece_of_it() -> Result<()> {
    let collector = Receiver::start().await?;
    let daemon = with(told(&collector), &["eng"]).await?;
    let mut events = daemon.events("eng").await?;
    // Nineteen more pieces follow the first one, each after a wait.
    let sent = daemon.send("eng", "[[slow 20x50ms]]").await?;
    events.until(|event| event.kind() == "text_delta").await?;
    let seen = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    assert_eq!(daemon.wait_turn("eng", &sent).await?.state, State::Ok);
    let [text, run, _] = stages(&collector).await?;
    assert!(text.end <= seen, "{seen} {text:#?}");
    assert!(text.end <= run.end, "{text:#?} {run:#?}");
    Ok(())
}

/// The result is not the end of the program, which may have to write things down.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_run_ends_with_the_result_and_not_with_the_program() -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    let collector = Receiver::start().await?;
    let dir = tempfile::tempdir()?;
    let (path, ended) = (dir.path().join("claude"), dir.path().join("ended"));
    // The stand-in goes when its input is closed, which is when its result has been heard.
    let script = r#"#!/bin/sh
case " $* " in *" --version "* | *" --help "*) exec REVEILLE stand-in "$@" ;; esac
REVEILLE stand-in "$@"
date +%s%N >ENDED
"#;
    let script = script
        .replace("REVEILLE", &Daemon::program().await?.display().to_string())
        .replace("ENDED", &ended.display().to_string());
    std::fs::write(&path, script)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    let builder = told(&collector)
        .env("REVEILLE_CLAUDE__PROGRAM", path.as_os_str())
        .env("REVEILLE_CLAUDE__WARM_PROCESSES", "0");
    let daemon = with(builder, &["eng"]).await?;
    assert_eq!(turn(&daemon, "eng", "[[reply a]]").await?.state, State::Ok);
    let [_, run, record] = stages(&collector).await?;
    let ended: u128 = std::fs::read_to_string(ended)?.trim().parse()?;
    assert_eq!(run.end, record.start);
    assert!(run.end < ended, "{ended} {run:#?}");
    assert!(ended <= record.end, "{ended} {record:#?}");
    Ok(())
}

#[tokio::test]
async fn a_turn_is_warm_when_it_ran_in_the_process_that_had_waited() -> Result<()> {
    let collector = Receiver::start().await?;
    let daemon = with(told(&collector).warm(), &["eng"]).await?;
    let mut ids = Vec::new();
    // The second one leaves a process that does not take the third.
    for text in ["[[reply a]]", "[[reply b]] [[then die-asked]]", "[[reply c]]"] {
        let sent = daemon.send("eng", text).await?;
        assert_eq!(daemon.wait_turn("eng", &sent).await?.state, State::Ok);
        ids.push(id_of(&sent)?);
    }
    let all = spans(&collector, "all", |all| {
        ids.iter().all(|id| all.message(id).is_some()) && all.named("start").len() == 3
    })
    .await?;
    let mut starts = all.named("start");
    starts.sort_by_key(|span| span.start);
    let processes: Vec<_> = starts.iter().map(|span| span.text("reveille.process")).collect();
    assert_eq!(processes, ["cold", "warm", "cold"]);
    Ok(())
}

#[tokio::test]
async fn failures_and_further_attempts_have_their_codes() -> Result<()> {
    let collector = Receiver::start().await?;
    let daemon = with(told(&collector), &["eng"]).await?;
    turn(&daemon, "eng", "[[fail 529 x1]] [[reply at last]]").await?;
    let failed = daemon.send("eng", "[[error 400]]").await?;
    let failed_id = id_of(&failed)?;
    daemon.wait_turn("eng", &failed).await?;
    let all = spans(&collector, "both", |all| {
        all.message(&failed_id).is_some() && all.named("run").len() == 2
    })
    .await?;
    let runs = all.named("run");
    let retries: Vec<_> = runs.iter().flat_map(|run| &run.events).collect();
    assert_eq!(retries.len(), 1, "{runs:#?}");
    assert_eq!(
        (retries[0].0.as_str(), &retries[0].1["error.type"]),
        ("retry", &json!("overloaded"))
    );
    let message = all.message(&failed_id).context("its span")?;
    assert_eq!(
        (message.text("reveille.outcome"), message.text("error.type")),
        ("error", "invalid_request")
    );
    assert_eq!(message.error.as_deref(), Some("invalid_request"));
    assert_eq!(runs[1].error.as_deref(), Some("invalid_request"));
    assert!(all.below(message).contains("deliver failure"));
    Ok(())
}

#[tokio::test]
async fn a_message_that_was_accepted_before_a_restart_has_one_span_with_its_real_beginning() -> Result<()> {
    let collector = Receiver::start().await?;
    let mut daemon = with(told(&collector), &["eng"]).await?;
    let gate = daemon.scratch().join("gate");
    let hangs = format!(
        "[[exec test -e {0} || {{ touch {0}; sleep 600; }}]] [[reply done]]",
        gate.display()
    );
    let first = daemon.send("eng", &hangs).await?;
    let second = daemon.send("eng", "[[reply too]]").await?;
    eventually("the turn runs", LIMIT, async || Ok(gate.exists().then_some(()))).await?;
    daemon.kill9().await?;
    let accepted: Vec<_> = daemon.journal()?.turns.into_iter().map(|turn| turn.id).collect();
    assert_eq!(accepted.len(), 2);
    daemon.start().await?;
    let restarted = jiff::Timestamp::now().as_nanosecond();
    for sent in [&first, &second] {
        daemon.wait_turn("eng", sent).await?;
    }
    let ids = [id_of(&first)?, id_of(&second)?];
    let all = spans(&collector, "both messages", |all| {
        ids.iter().all(|id| all.message(id).is_some())
    })
    .await?;
    for (id, interruptions) in ids.iter().zip([1, 0]) {
        let message = all.message(id).context("its span")?;
        assert!(i128::try_from(message.start)? < restarted && i128::try_from(message.end)? > message.start.try_into()?);
        assert_eq!(message.number("reveille.interruptions"), Some(interruptions));
    }
    Ok(())
}

#[tokio::test]
async fn what_an_agent_hands_on_and_the_word_back_are_in_the_trace_of_the_first_message() -> Result<()> {
    let collector = Receiver::start().await?;
    let daemon = with(told(&collector), &["boss", "worker"]).await?;
    let text = r#"[[exec "$REVEILLE_BIN" send worker "hello" --reply-to boss]]"#;
    let sent = daemon.send("boss", text).await?;
    daemon.wait_turn("boss", &sent).await?;
    daemon.wait_quiet(LIMIT).await?;
    let all = spans(&collector, "three messages", |all| {
        all.named("message boss").len() == 2 && all.named("message worker").len() == 1
    })
    .await?;
    let first = all.message(&id_of(&sent)?).context("the first one")?;
    let worker = all.named("message worker")[0];
    let callback = all
        .named("message boss")
        .into_iter()
        .find(|span| span.id != first.id)
        .context("the word back")?;
    assert_eq!(worker.parent.as_ref(), Some(&first.id));
    let written = all.named("deliver callback");
    assert_eq!(written.len(), 1, "{written:#?}");
    assert_eq!((written[0].parent.as_ref(), written[0].kind), (Some(&worker.id), 4));
    assert_eq!(callback.parent.as_ref(), Some(&written[0].id));
    let traces: BTreeSet<_> = all.0.iter().map(|span| &span.trace).collect();
    assert_eq!(traces.len(), 1, "{traces:?}");
    assert_eq!(
        [first, worker, callback].map(|span| span.number("reveille.hand_overs")),
        [Some(0), Some(1), Some(2)]
    );
    assert!(worker.end >= written[0].end);
    Ok(())
}

#[tokio::test]
async fn the_trace_of_a_sender_goes_on_over_hand_overs_and_what_is_not_recorded_is_not_told() -> Result<()> {
    let collector = Receiver::start().await?;
    let daemon = with(told(&collector), &["boss", "worker"]).await?;
    let text = r#"[[exec "$REVEILLE_BIN" send worker "hello"]]"#;
    send_traced(
        &daemon,
        "boss",
        "[[reply unseen]]",
        &format!("00-{}-{SPAN}-00", TRACE.replace('4', "5")),
    )
    .await?;
    let sent = send_traced(&daemon, "boss", text, &format!("00-{TRACE}-{SPAN}-01")).await?;
    let strange = send_traced(&daemon, "boss", "[[reply own]]", "00-nothing-at-all").await?;
    let all = spans(&collector, "all messages", |all| {
        [&sent, &strange].iter().all(|id| all.message(id).is_some()) && all.named("message worker").len() == 1
    })
    .await?;
    let (first, worker) = (all.message(&sent).context("it")?, all.named("message worker")[0]);
    assert_eq!(
        (first.trace.as_str(), first.parent.as_deref(), first.remote_parent),
        (TRACE, Some(SPAN), true)
    );
    assert_eq!(
        (worker.trace.as_str(), worker.parent.as_ref(), worker.remote_parent),
        (TRACE, Some(&first.id), false)
    );
    let own = all.message(&strange).context("it")?;
    assert!(own.parent.is_none() && own.trace != TRACE);
    assert_eq!(all.named("message boss").len(), 2, "one is not recorded by its sender");
    Ok(())
}

#[tokio::test]
async fn messages_that_share_a_turn_have_a_span_each_and_a_link_to_the_one_that_has_it() -> Result<()> {
    let collector = Receiver::start().await?;
    let daemon = with(told(&collector), &["eng", "boss"]).await?;
    let gate = daemon.scratch().join("gate");
    let hold = format!("[[exec while ! test -e {}; do sleep 0.02; done]]", gate.display());
    let running = daemon.send("eng", &hold).await?;
    let mut ids = Vec::new();
    for text in ["[[reply a]]", "b"] {
        let body = json!({ "text": text, "mode": "collect", "reply_to": "boss" });
        ids.push(id_of(&daemon.send_with("eng", &body).await?)?);
    }
    std::fs::write(&gate, "")?;
    daemon.wait_turn("eng", &running).await?;
    daemon.wait_quiet(LIMIT).await?;
    let all = spans(&collector, "all messages", |all| {
        ids.iter().all(|id| all.message(id).is_some()) && all.named("message boss").len() == 2
    })
    .await?;
    let [leader, joined] = [0, 1].map(|at| all.message(&ids[at]).unwrap());
    assert_eq!(joined.links, [(leader.trace.clone(), leader.id.clone())]);
    assert!(leader.links.is_empty() && leader.trace != joined.trace && leader.end == joined.end);
    // Each one who asked is told in the trace of the own question.
    let parents: BTreeSet<_> = all
        .named("message boss")
        .into_iter()
        .map(|span| (&span.trace, &span.parent))
        .collect();
    let callbacks = all.named("deliver callback");
    let written: BTreeSet<_> = callbacks
        .iter()
        .map(|span| (&span.trace, Some(span.id.clone())))
        .collect();
    assert_eq!(written.len(), 2);
    assert!(
        parents
            .iter()
            .all(|(trace, parent)| written.contains(&(*trace, (*parent).clone()))),
        "{parents:?} {written:?}"
    );
    assert_eq!(
        callbacks
            .iter()
            .map(|span| span.parent.as_ref())
            .collect::<BTreeSet<_>>(),
        BTreeSet::from([Some(&leader.id), Some(&joined.id)])
    );
    Ok(())
}

#[tokio::test]
async fn what_a_session_answers_and_what_is_withdrawn_have_their_spans_too() -> Result<()> {
    let collector = Receiver::start().await?;
    let daemon = with(told(&collector), &[]).await?;
    attach(&daemon, "eng").await?;
    let [answered, cancelled] = [daemon.send("eng", "one").await?, daemon.send("eng", "two").await?];
    let path = |what| ["api", "channels", "eng", what];
    let taken: Value = daemon
        .request(Method::POST, &path("next"), Some(&json!({})))
        .await?
        .ok()?;
    let body = json!({ "text": "yes", "in_reply_to": taken["id"], "claim": taken["claim"] });
    daemon
        .request(Method::POST, &path("reply"), Some(&body))
        .await?
        .ok::<Value>()?;
    let turn = id_of(&cancelled)?;
    let target = ["api", "turns", &turn, "cancel"];
    daemon
        .request(Method::POST, &target, Some(&json!({})))
        .await?
        .ok::<Value>()?;
    let ids = [id_of(&answered)?, turn];
    let all = spans(&collector, "both", |all| ids.iter().all(|id| all.message(id).is_some())).await?;
    let message = all.message(&ids[0]).context("it")?;
    assert_eq!(
        (message.text("reveille.outcome"), message.text("reveille.served_by")),
        ("ok", "session")
    );
    let below = all.below(message);
    assert!(
        below.is_superset(&BTreeSet::from(["wait", "session", "deliver reply"])) && !below.contains("run"),
        "{below:?}"
    );
    let message = all.message(&ids[1]).context("it")?;
    assert_eq!((message.text("reveille.outcome"), &message.error), ("cancelled", &None));
    Ok(())
}

#[tokio::test]
async fn nothing_is_sent_where_nobody_asked_for_it() -> Result<()> {
    let collector = Receiver::start().await?;
    for (name, value) in [
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_TRACES_SAMPLER", "always_off"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "not an address"),
    ] {
        let daemon = with(told(&collector).env(name, value), &["eng"]).await?;
        assert_eq!(turn(&daemon, "eng", "[[reply a]]").await?.state, State::Ok);
        daemon.wait_quiet(LIMIT).await?;
        tokio::time::sleep(A_WHILE).await;
        assert_eq!(requests(&collector), 0, "{name}");
        assert_eq!(daemon.log()?.contains("there are no traces"), value == "not an address");
    }
    Ok(())
}

/// The collector is named in the file, wants its own place, and what is sent is packed.
#[tokio::test]
async fn the_file_names_a_collector_and_a_note_its_trace() -> Result<()> {
    let collector = Receiver::start().await?;
    let config = format!("[traces]\nendpoint = \"{}\"\n", collector.url("/"));
    let builder = Daemon::builder()
        .stand_in()
        .config(&config)
        .env("OTEL_BSP_SCHEDULE_DELAY", "20");
    let daemon = with(builder, &["eng"]).await?;
    let metadata = json!({ "agent": "eng", "traceparent": format!("00-{TRACE}-{SPAN}-01") });
    daemon
        .note_put("letters/one", "[[reply a]]", &INBOUND, &metadata)
        .await?;
    let all = spans(&collector, "its span", |all| all.named("message eng").len() == 1).await?;
    let message = all.named("message eng")[0];
    assert_eq!(
        (message.trace.as_str(), message.parent.as_deref(), message.remote_parent),
        (TRACE, Some(SPAN), true)
    );
    ensure!(!daemon.log()?.contains(TRACE));
    Ok(())
}
