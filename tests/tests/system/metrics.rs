//! Figures for Prometheus: all that are documented and no others, read by somebody else's parser, and counted right.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, anyhow, bail};
use nom_openmetrics::MetricDescriptor;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT};
use reveille_tests::eventually;
use serde_json::json;

use super::{post, status, token, with_eng};

const METRICS: &str = "/metrics";

/// A sample: its name, its labels and its value.
struct Figure {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

struct Figures {
    text: String,
    all: Vec<Figure>,
    /// Those with a type.
    names: BTreeSet<String>,
}

async fn figures(daemon: &Daemon) -> Result<Figures> {
    let answer = daemon.ask_in("GET", METRICS, b"").await?;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let text = String::from_utf8(answer.body)?;
    // All of it, or it is an error.
    let families = match nom_openmetrics::parser::prometheus(&text) {
        Ok((_, families)) => families,
        Err(error) => bail!("{error:?}"),
    };
    let typed = families.iter().flat_map(|family| &family.descriptors);
    let names = typed.filter_map(|descriptor| match descriptor {
        MetricDescriptor::Type { metric, .. } => Some((*metric).to_owned()),
        _ => None,
    });
    let names = names.collect();
    let samples = families.iter().flat_map(|family| &family.samples);
    let all = samples.map(|sample| Figure {
        name: sample.name().to_owned(),
        labels: sample
            .labels()
            .iter()
            .map(|label| (label.name.to_owned(), label.value.clone()))
            .collect(),
        value: sample.number(),
    });
    let all: Vec<Figure> = all.collect();
    let lines = text.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(all.len(), lines, "{text}");
    Ok(Figures { names, all, text })
}

impl Figures {
    /// The sum of the figures with these labels; 0 without any.
    fn get(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |figure: &&Figure| {
            let has = |(key, value): &(&str, &str)| figure.labels.get(*key).is_some_and(|given| given == value);
            figure.name == name && labels.iter().all(has)
        };
        self.all.iter().filter(fits).map(|figure| figure.value).sum()
    }
}

/// What the documentation has a row for.
fn documented() -> Result<BTreeSet<String>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../daemon/docs/metrics.md");
    let text = std::fs::read_to_string(path)?;
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let names = rows.filter_map(|row| row.split('`').next());
    let figures = names.filter(|name| name.starts_with("reveille_") || name.starts_with("process_"));
    Ok(figures.map(str::to_owned).collect())
}

async fn turn(daemon: &Daemon, agent: &str, text: &str) -> Result<()> {
    let sent = daemon.send(agent, text).await?;
    daemon.wait_turn(agent, &sent).await?;
    Ok(())
}

#[tokio::test]
async fn every_figure_is_there_and_counts() -> Result<()> {
    let daemon = Daemon::builder()
        .stand_in()
        .env("REVEILLE_CLAUDE__RETRY_PAUSES", "1ms,1ms")
        .config("[[transport]]\nname = \"ui\"\nkind = \"http-ui\"\n")
        .start()
        .await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    daemon.create_agent("ops", "You operate.").await?;
    for text in [
        "[[reply a]] [[cost 0.25]]",
        "[[error 400]]",
        "[[fail 529 x1]] [[reply b]]",
    ] {
        turn(&daemon, "eng", text).await?;
    }
    let deep = json!({"text": "[[reply c]]", "subject": "deep"});
    let deep = daemon.send_with("eng", &deep).await?;
    daemon.wait_turn("eng", &deep).await?;
    let hang = daemon.send("ops", "[[hang]]").await?;
    let running = hang.turn.clone().context("a turn")?;
    daemon.send("ops", "[[reply d]]").await?;
    let mut all = daemon.stream("/api/events", None, daemon.token()).await?;
    let one = daemon.events("eng").await?;
    let now = eventually("a turn runs, and what has ended is delivered", LIMIT, async || {
        let now = figures(&daemon).await?;
        let delivered = now.get("reveille_turn_stage_seconds_count", &[("stage", "deliver")]);
        let runs = now.get("reveille_children", &[]) > 0.0;
        let begun = now.get("reveille_turn_stage_seconds_count", &[("stage", "start")]) == 5.0;
        Ok((runs && begun && delivered >= 4.0).then_some(now))
    })
    .await?;
    assert_eq!(now.names, documented()?);

    let turns = |agent: &str, outcome: &str| now.get("reveille_turns_total", &[("agent", agent), ("outcome", outcome)]);
    assert_eq!(
        (turns("eng", "ok"), turns("eng", "error"), turns("ops", "ok")),
        (3.0, 1.0, 0.0)
    );
    assert_eq!(now.get("reveille_failures_total", &[]), 1.0);
    assert_eq!(now.get("reveille_retries_total", &[]), 1.0, "{}", now.text);
    for (name, labels, expected) in [
        ("reveille_children", &[][..], 1.0),
        ("reveille_turns_running", &[], 1.0),
        ("reveille_turns_taken", &[], 0.0),
        ("reveille_queue_waiting", &[("agent", "ops")], 1.0),
        ("reveille_outbox_overdue", &[], 0.0),
        ("reveille_agents", &[], 2.0),
        ("reveille_healthy", &[], 1.0),
        ("reveille_vault_ready", &[("vault", "default")], 1.0),
        (
            "reveille_vault_breaker",
            &[("vault", "default"), ("state", "closed")],
            1.0,
        ),
        ("reveille_vault_breaker", &[("vault", "default")], 1.0),
        ("reveille_watchers", &[("stream", "all")], 1.0),
        ("reveille_watchers", &[("stream", "agent")], 1.0),
        ("reveille_watchers_dropped_total", &[], 0.0),
        ("reveille_egress_connections_total", &[], 0.0),
        ("reveille_build_info", &[("version", daemon.version())], 1.0),
        (
            "reveille_http_requests_total",
            &[("method", "POST"), ("route", "/api/agents"), ("status", "201")],
            2.0,
        ),
    ] {
        assert_eq!(now.get(name, labels), expected, "{name} {labels:?}\n{}", now.text);
    }
    let stage = |of: &str, stage: &str| now.get(&format!("reveille_turn_stage_seconds{of}"), &[("stage", stage)]);
    // Of the five that were claimed four have ended.
    for (name, expected) in [("wait", 5.0), ("start", 5.0), ("run", 4.0), ("deliver", 4.0)] {
        assert_eq!(stage("_count", name), expected, "{name}\n{}", now.text);
        assert!(stage("_sum", name) > 0.0, "{name}");
    }
    assert!(now.get("reveille_queue_oldest_seconds", &[]) > 0.0);
    for name in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_max_fds",
    ] {
        assert!(now.get(name, &[]) > 0.0, "{name}");
    }
    // What was paid is what the turns say.
    let mut paid = 0.0;
    for message in daemon.messages("eng").await? {
        if let (Some(turn), "inbound") = (&message.turn, message.direction.as_str()) {
            paid += daemon.turn(turn).await?.cost_usd;
        }
    }
    let counted = now.get("reveille_cost_usd_total", &[("agent", "eng")]);
    assert!(paid >= 0.25 && (counted - paid).abs() < 1e-6, "{counted} and {paid}");
    assert!(now.get("reveille_tokens_total", &[("agent", "eng"), ("kind", "output")]) > 0.0);

    daemon.stop_turn(&running).await?;
    daemon.wait_turn("ops", &hang).await?;
    let cancelled = [("agent", "ops"), ("outcome", "cancelled")];
    let later = eventually("both turns have ended", LIMIT, async || {
        let later = figures(&daemon).await?;
        Ok((later.get("reveille_turns_total", &[("agent", "ops")]) == 2.0).then_some(later))
    })
    .await?;
    assert_eq!(later.get("reveille_turns_total", &cancelled), 1.0);
    assert_eq!(later.get("reveille_children", &[]), 0.0);
    assert_eq!(later.get("reveille_queue_waiting", &[]), 0.0);
    all.until_end(&running).await?;
    drop((all, one));
    Ok(())
}

#[tokio::test]
async fn what_a_limit_refuses_is_told_apart() -> Result<()> {
    let daemon = with_eng().await?;
    let tags = ["agent/message", "agent/message/inbound"];
    let metadata = json!({"agent": "eng", "delegation_depth": "9"});
    daemon.note_put("Inbox/deep", "[[reply x]]", &tags, &metadata).await?;
    eventually("it is refused", LIMIT, async || {
        let now = figures(&daemon).await?;
        let refused = now.get("reveille_turns_total", &[("agent", "eng"), ("outcome", "refused")]);
        Ok((refused == 1.0).then_some(()))
    })
    .await
}

/// Messages that end in line are counted as what their failure notes say; one that a person takes back is not.
#[tokio::test]
async fn what_ends_without_a_turn_is_counted_once_and_what_is_taken_back_is_not() -> Result<()> {
    let daemon = Daemon::builder()
        .stand_in()
        .env("REVEILLE_LIMITS__AGENT_WAIT", "1s")
        .env("REVEILLE_PANIC_POINT", "turn.claimed")
        .start()
        .await?;
    for agent in ["eng", "held"] {
        daemon.create_agent(agent, "You are an engineer.").await?;
    }
    post(&daemon, "/api/agents/held/pause", &json!({})).await?;
    let taken_back = daemon.send("held", "never mind").await?.turn.context("a turn")?;
    post(&daemon, &format!("/api/turns/{taken_back}/cancel"), &json!({})).await?;
    let tags = ["agent/message", "agent/message/inbound"];
    daemon
        .note_put("Inbox/lost", "hello?", &tags, &json!({"agent": "ghost"}))
        .await?;
    let fails = daemon.send("eng", "[[reply never told]]").await?;
    daemon.wait_turn("eng", &fails).await?;
    let now = eventually("both failures are counted", LIMIT, async || {
        let now = figures(&daemon).await?;
        Ok((now.get("reveille_failures_total", &[]) >= 2.0).then_some(now))
    })
    .await?;
    for (agent, outcome, code) in [("ghost", "refused", "no_agent"), ("eng", "error", "internal")] {
        let turns = now.get("reveille_turns_total", &[("agent", agent), ("outcome", outcome)]);
        let failures = now.get("reveille_failures_total", &[("code", code)]);
        assert_eq!((turns, failures), (1.0, 1.0), "{}", now.text);
    }
    assert_eq!(now.get("reveille_turns_total", &[]), 2.0, "{}", now.text);
    Ok(())
}

#[tokio::test]
async fn open_metrics_is_given_to_who_asks_for_it() -> Result<()> {
    let daemon = with_eng().await?;
    turn(&daemon, "eng", "[[reply a]]").await?;
    let (name, bearer) = daemon.bearer();
    let accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
    let headers = [(name, bearer.as_str()), ("accept", accept)];
    let text = eventually("the turn is counted", LIMIT, async || {
        let answer = daemon.ask("GET", METRICS, &headers, b"").await?;
        let media_type = answer.header("content-type").unwrap_or_default();
        assert!(media_type.starts_with("application/openmetrics-text"), "{media_type}");
        let text = String::from_utf8(answer.body)?;
        Ok(text.contains("reveille_turns_total{").then_some(text))
    })
    .await?;
    assert!(text.ends_with("# EOF\n"), "{text}");
    nom_openmetrics::parser::openmetrics(&text).map_err(|error| anyhow!("{error:?}"))?;
    assert!(!text.contains(daemon.token()));
    Ok(())
}

#[tokio::test]
async fn figures_are_for_admins() -> Result<()> {
    let daemon = with_eng().await?;
    for (verb, expected) in [("read", 403), ("write", 403), ("admin", 200)] {
        let bearer = token(&daemon, verb).await?;
        assert_eq!(status(&daemon, &bearer, "GET", METRICS, b"").await?, expected, "{verb}");
    }
    assert_eq!(daemon.ask("GET", METRICS, &[], b"").await?.status, 401);
    // Addresses and methods that somebody makes up do not make rows.
    for n in 0..5 {
        let target = format!("/made/up/{n}");
        daemon.ask("GET", &target, &[], b"").await?;
        daemon.ask(&format!("MADE{n}"), "/health", &[], b"").await?;
        post(&daemon, &format!("/api/agents/none{n}/pause"), &json!({})).await?;
    }
    let now = figures(&daemon).await?;
    let requests = now
        .text
        .lines()
        .filter(|line| line.starts_with("reveille_http_requests_total{"));
    let made_up: Vec<&str> = requests
        .filter(|line| line.contains("made") || line.contains("MADE") || line.contains("none0"))
        .collect();
    assert_eq!(made_up, Vec::<&str>::new());
    assert_eq!(
        now.get("reveille_http_requests_total", &[("route", "none"), ("status", "404")]),
        5.0
    );
    Ok(())
}
