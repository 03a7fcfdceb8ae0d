//! A collector that is slow, refuses, or is not there: turns do not notice, and little is lost.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{LIMIT, State};
use reveille_tests::{Receiver, ReceiverAnswer as Answer, eventually};
use serde_json::json;
use tokio::time::Instant;

use super::collector::{PATH, read};
use super::{requests, spans_that, told, turn, with};

/// A batch is sent until it is taken, at the pace that the collector asks for, and its spans are there once.
#[tokio::test]
async fn what_is_refused_for_now_comes_again() -> Result<()> {
    let collector = Receiver::start().await?;
    collector.script(
        PATH,
        [
            Answer::Status(503),
            Answer::With(429, "retry-after", "2".into()),
            Answer::Status(200),
        ],
    );
    let daemon = with(told(&collector).env("OTEL_BSP_SCHEDULE_DELAY", "300"), &["eng"]).await?;
    turn(&daemon, "eng", "[[reply a]]").await?;
    // The last moment at which the second one, which is asked to wait, had not come.
    let mut asked = Instant::now();
    eventually("two tries", LIMIT, async || {
        let now = Instant::now();
        let come = requests(&collector) >= 2;
        if !come {
            asked = now;
        }
        Ok(come.then_some(()))
    })
    .await?;
    eventually("a third one", LIMIT, async || {
        Ok((requests(&collector) >= 3).then_some(()))
    })
    .await?;
    let waited = asked.elapsed();
    assert!(waited > Duration::from_millis(1500), "it came after {waited:?}");
    let tries = collector.told_at(PATH);
    assert!(tries[0].body == tries[1].body && tries[1].body == tries[2].body);
    let count = read(&tries[0])?.0.len();
    eventually("they are counted", LIMIT, async || {
        Ok((spans_that(&daemon, "exported").await? >= count as f64).then_some(()))
    })
    .await?;
    assert_eq!(
        (
            spans_that(&daemon, "failed").await?,
            spans_that(&daemon, "dropped").await?
        ),
        (0.0, 0.0)
    );
    let log = eventually("it is told", LIMIT, async || {
        let log = daemon.log()?;
        Ok(log.contains("spans get to the collector again").then_some(log))
    })
    .await?;
    assert_eq!(log.matches("they wait and are tried again").count(), 1, "{log}");
    Ok(())
}

#[tokio::test]
async fn what_the_collector_does_not_want_is_counted_and_told() -> Result<()> {
    let collector = Receiver::start().await?;
    let partial = json!({ "partialSuccess": { "rejectedSpans": "2", "errorMessage": "too old" } });
    collector.script(PATH, [Answer::Json(partial), Answer::Status(400), Answer::Status(200)]);
    // A batch is what a turn has.
    let builder = told(&collector)
        .env("OTEL_BSP_SCHEDULE_DELAY", "3600000")
        .env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8");
    let daemon = with(builder, &["eng"]).await?;
    turn(&daemon, "eng", "[[reply a]]").await?;
    eventually("two are refused", LIMIT, async || {
        Ok((spans_that(&daemon, "rejected").await? == 2.0).then_some(()))
    })
    .await?;
    let first = read(&collector.told_at(PATH)[0])?.0.len();
    ensure!(first > 2, "{first}");
    assert_eq!(spans_that(&daemon, "exported").await?, (first - 2) as f64);
    eventually("it is told", LIMIT, async || {
        Ok(daemon.log()?.contains("too old").then_some(()))
    })
    .await?;
    turn(&daemon, "eng", "[[reply b]]").await?;
    eventually("a batch is refused, and not sent again", LIMIT, async || {
        let failed = spans_that(&daemon, "failed").await?;
        let tries = collector.told_at(PATH);
        let second = tries.get(1).map(read).transpose()?.map_or(0, |(spans, _)| spans.len());
        Ok((second > 0 && failed == second as f64).then_some(()))
    })
    .await?;
    let bodies: BTreeSet<_> = collector.told_at(PATH).into_iter().map(|told| told.body).collect();
    assert_eq!(bodies.len(), requests(&collector));
    Ok(())
}

/// With a collector that says nothing, and one that is not there: turns end as ever, what has no room is counted, and a stop is
/// quick.
#[tokio::test]
async fn no_turn_and_no_stop_waits_for_a_collector() -> Result<()> {
    let silent = Receiver::start().await?;
    silent.script(PATH, [Answer::Hang]);
    let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    for (endpoint, wait) in [(silent.url(""), 60_000), (format!("http://{free}"), 60_000)] {
        let builder = told(&silent)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            .env("OTEL_EXPORTER_OTLP_TIMEOUT", wait.to_string())
            .env("OTEL_BSP_MAX_QUEUE_SIZE", "16");
        let mut daemon = with(builder, &["eng"]).await?;
        for text in ["a", "b", "c", "d", "e", "f"] {
            let turn = turn(&daemon, "eng", &format!("[[reply {text}]]")).await?;
            assert_eq!(turn.state, State::Ok);
        }
        daemon.wait_quiet(LIMIT).await?;
        eventually("what had no room is counted", LIMIT, async || {
            Ok((spans_that(&daemon, "dropped").await? > 0.0).then_some(()))
        })
        .await?;
        let begun = Instant::now();
        assert!(daemon.stop().await?.success());
        // It has one second, and everything else is over at once.
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        let log = daemon.log()?;
        assert_eq!(log.matches("spans are left out").count(), 1, "{log}");
    }
    Ok(())
}

/// What waits is sent with the stop, in batches of the size that was asked for, and packed.
#[tokio::test]
async fn the_last_spans_are_sent_with_the_stop() -> Result<()> {
    let collector = Receiver::start().await?;
    let builder = told(&collector)
        .env("OTEL_BSP_SCHEDULE_DELAY", "3600000")
        .env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5");
    let mut daemon = with(builder, &["eng"]).await?;
    let ended = turn(&daemon, "eng", "[[reply a]]").await?;
    assert_eq!(ended.state, State::Ok);
    daemon.wait_quiet(LIMIT).await?;
    assert!(daemon.stop().await?.success());
    let mut names = Vec::new();
    for told in collector.told_at(PATH) {
        let (spans, _) = read(&told)?;
        assert!(spans.len() <= 5, "{}", spans.len());
        names.extend(spans.into_iter().map(|span| span.name));
    }
    names.sort();
    let expected = [
        "deliver reply",
        "deliver thread",
        "first text",
        "message eng",
        "record",
        "run",
        "start",
        "wait",
    ];
    assert_eq!(names, expected);
    Ok(())
}

#[tokio::test]
async fn bodies_are_packed_where_that_is_asked_for() -> Result<()> {
    let collector = Receiver::start().await?;
    let daemon = with(told(&collector).env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"), &["eng"]).await?;
    turn(&daemon, "eng", "[[reply a]]").await?;
    eventually(
        "a request",
        LIMIT,
        async || Ok((requests(&collector) > 0).then_some(())),
    )
    .await?;
    let first = collector.told_at(PATH).into_iter().next().context("a request")?;
    assert_eq!(first.header("content-encoding"), "gzip");
    ensure!(first.body.starts_with('\u{1f}'), "{:?}", first.body.get(..2));
    Ok(())
}
