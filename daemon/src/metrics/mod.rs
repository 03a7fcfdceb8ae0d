//! Figures for whoever watches over the daemon. What happens is counted where it happens, in memory and from this start on;
//! what is so now is looked up when somebody asks.
//!
//! What strangers and agents choose does not make rows without end: agents beyond the first [`AGENTS_MAX`] count as `other`.

mod labels;
mod process;
mod sample;
mod warm;

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use http::{Method, StatusCode};
use jiff::Timestamp;
use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use reveille_queue::Spend;
use reveille_sandbox::Exceeded;

use self::labels::{Agents, Code, Decision, Denial, OfAgent, Request, Tokens, Turn, method_word};
use crate::ending::Ending;
use crate::sandboxing::Refused;

pub(crate) use self::labels::{Stage, TraceOutcome};
pub(crate) use self::sample::{BridgeSample, Sample, VaultSample};
pub(crate) use self::warm::{Ahead, Miss, WarmFigures};

/// Agents that have rows of their own.
const AGENTS_MAX: usize = 200;
/// Ends of the ranges in which stages of turns are counted, in seconds: from a warm child to a turn of hours.
const STAGES: [f64; 16] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0, 1800.0, 7200.0,
];

type Stages = Family<labels::OfStage, Histogram, fn() -> Histogram>;
type Usd = Counter<f64, AtomicU64>;

fn stages() -> Histogram {
    Histogram::new(STAGES)
}

struct Inner {
    registry: Registry,
    agents: Agents,
    turns: Family<Turn, Counter>,
    failures: Family<Code, Counter>,
    tokens: Family<Tokens, Counter>,
    cost: Family<OfAgent, Usd>,
    stages: Stages,
    children: Gauge,
    retries: Counter,
    warm: WarmFigures,
    egress: Family<Decision, Counter>,
    denials: Family<labels::OfDenial, Counter>,
    requests: Family<Request, Counter>,
    traces: Family<labels::Trace, Counter>,
    dropped: Counter,
    started_at: Timestamp,
}

/// All figures. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<Inner>);

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// A child that runs a turn. Dropping it says that it does no longer.
pub(crate) struct Child(Gauge);

impl Drop for Child {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// How figures are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// The text format of Prometheus, version 0.0.4.
    Prometheus,
    /// `OpenMetrics`, version 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The media type.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

impl Metrics {
    /// All at nothing.
    #[must_use]
    pub(crate) fn new() -> Self {
        let mut inner = Inner {
            registry: Registry::with_prefix("reveille"),
            agents: Agents(RwLock::new(HashSet::new())),
            turns: Family::default(),
            failures: Family::default(),
            tokens: Family::default(),
            cost: Family::default(),
            stages: Family::new_with_constructor(stages),
            children: Gauge::default(),
            retries: Counter::default(),
            warm: WarmFigures::default(),
            egress: Family::default(),
            denials: Family::default(),
            requests: Family::default(),
            traces: Family::default(),
            dropped: Counter::default(),
            started_at: Timestamp::now(),
        };
        for stage in [Stage::Wait, Stage::Start, Stage::Run, Stage::Deliver] {
            let stage = stage.as_str();
            drop(inner.stages.get_or_create(&labels::OfStage { stage }));
        }
        for decision in ["allowed", "refused", "refused_address", "failed"] {
            let decision = decision.to_owned();
            drop(inner.egress.get_or_create(&Decision { decision }));
        }
        for kind in Denial::ALL.map(Denial::as_str) {
            drop(inner.denials.get_or_create(&labels::OfDenial { kind }));
        }
        for outcome in TraceOutcome::ALL.map(TraceOutcome::as_str) {
            drop(inner.traces.get_or_create(&labels::Trace { outcome }));
        }
        inner.register();
        Self(Arc::new(inner))
    }

    fn agent(&self, name: &str) -> String {
        self.0.agents.row(name)
    }

    /// A turn has ended, and that is on disk.
    pub(crate) fn ended(&self, agent: &str, ending: &Ending) {
        let outcome = match ending.refused {
            true => "refused",
            false => ending.state.as_str(),
        };
        self.spent(agent, ending.spend);
        let code = ending.record.failure.as_ref().map(|failure| failure.code.as_str());
        self.ended_as(agent, outcome, code);
    }

    /// The same of one that has ended without an attempt, or after those that it was put back from. `code`: of its failure.
    pub(crate) fn ended_as(&self, agent: &str, outcome: &'static str, code: Option<&str>) {
        let agent = self.agent(agent);
        self.0.turns.get_or_create(&Turn { agent, outcome }).inc();
        if let Some(code) = code {
            let code = code.to_owned();
            self.0.failures.get_or_create(&Code { code }).inc();
        }
    }

    /// An attempt that did not end its turn took so much.
    pub(crate) fn spent(&self, agent: &str, spend: Spend) {
        let agent = self.agent(agent);
        for (kind, tokens) in [
            ("input", spend.input_tokens),
            ("output", spend.output_tokens),
            ("cache_read", spend.cache_read_tokens),
            ("cache_write", spend.cache_write_tokens),
        ] {
            if tokens > 0 {
                let agent = agent.to_owned();
                self.0.tokens.get_or_create(&Tokens { agent, kind }).inc_by(tokens);
            }
        }
        if spend.nano_usd > 0 {
            let agent = agent.to_owned();
            let usd = crate::ending::usd(spend.nano_usd);
            self.0.cost.get_or_create(&OfAgent { agent }).inc_by(usd);
        }
    }

    /// A stage of a turn took so long.
    pub(crate) fn took(&self, stage: Stage, time: Duration) {
        let of = labels::OfStage { stage: stage.as_str() };
        self.0.stages.get_or_create(&of).observe(time.as_secs_f64());
    }

    /// The same of a stage that began at that time. A clock that was put back makes no time that is less than nothing.
    pub(crate) fn took_since(&self, stage: Stage, begin: Timestamp) {
        let time = Duration::try_from(Timestamp::now().duration_since(begin));
        self.took(stage, time.unwrap_or_default()); // silent-ok: see above
    }

    /// A child begins a turn. One that waits for the next is not counted here but in [`Metrics::warm`].
    pub(crate) fn child(&self) -> Child {
        self.0.children.inc();
        Child(self.0.children.clone())
    }

    /// A turn begins another attempt after a failure of the API.
    pub(crate) fn retried(&self) {
        self.0.retries.inc();
    }

    /// Of processes that wait for the next message.
    pub(crate) fn warm(&self) -> &WarmFigures {
        &self.0.warm
    }

    /// What a turn has tried to reach.
    pub(crate) fn reached(&self, connections: &[Refused]) {
        for one in connections {
            let decision = one.decision.clone();
            self.0.egress.get_or_create(&Decision { decision }).inc_by(one.count);
            if one.is_denied() {
                self.denied(Denial::Egress, one.count);
            }
        }
    }

    /// What the limits of its processes have kept a turn from.
    pub(crate) fn limited(&self, exceeded: Exceeded) {
        self.denied(Denial::Memory, exceeded.killed);
        self.denied(Denial::Processes, exceeded.refused);
    }

    fn denied(&self, what: Denial, times: u64) {
        let kind = what.as_str();
        self.0.denials.get_or_create(&labels::OfDenial { kind }).inc_by(times);
    }

    /// A request was answered. `route`: as the router has it, empty when it has none.
    pub(crate) fn answered(&self, method: &Method, route: &str, status: StatusCode) {
        let request = Request {
            method: method_word(method),
            route: if route.is_empty() { "none" } else { route }.to_owned(),
            status: status.as_u16(),
        };
        self.0.requests.get_or_create(&request).inc();
    }

    /// That became of so many spans.
    pub(crate) fn traced(&self, outcome: TraceOutcome, spans: u64) {
        let outcome = outcome.as_str();
        self.0.traces.get_or_create(&labels::Trace { outcome }).inc_by(spans);
    }

    /// Somebody who watched has fallen too far behind.
    pub(crate) fn dropped(&self) {
        self.0.dropped.inc();
    }

    /// Everything, as text.
    ///
    /// # Errors
    /// A figure cannot be written down.
    pub(crate) fn text(&self, sample: Sample, format: Format) -> Result<String, fmt::Error> {
        let mut all = String::with_capacity(16 << 10);
        let now = sample.registry(|agent| self.agent(agent));
        let process = process::registry(self.0.started_at);
        for registry in [&self.0.registry, &now, &process] {
            match format {
                Format::Prometheus => prometheus_text::encode(&mut all, registry)?,
                Format::OpenMetrics => text::encode_registry(&mut all, registry)?,
            }
        }
        if format == Format::OpenMetrics {
            text::encode_eof(&mut all)?;
        }
        Ok(all)
    }
}

impl Inner {
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("turns", "Turns that ended, by agent and outcome", self.turns.clone());
        registry.register(
            "failures",
            "Turns that ended without an answer, by the code of the failure",
            self.failures.clone(),
        );
        registry.register(
            "tokens",
            "Tokens of turns and failed attempts, by agent and kind",
            self.tokens.clone(),
        );
        registry.register(
            "cost_usd",
            "US dollars of turns and failed attempts, by agent",
            self.cost.clone(),
        );
        registry.register(
            "turn_stage_seconds",
            "Time that a stage of a turn took",
            self.stages.clone(),
        );
        registry.register(
            "children",
            "Attempts at turns that run now, each with its program",
            self.children.clone(),
        );
        registry.register(
            "retries",
            "Further attempts after a passing failure of the API",
            self.retries.clone(),
        );
        self.warm.register(registry);
        registry.register(
            "egress_connections",
            "Connections that confined turns asked for, by what became of them",
            self.egress.clone(),
        );
        registry.register(
            "sandbox_denials",
            "What the sandbox has kept turns from, by its kind",
            self.denials.clone(),
        );
        registry.register(
            "http_requests",
            "Answered requests, by method, route and status",
            self.requests.clone(),
        );
        registry.register(
            "watchers_dropped",
            "Watchers of live events that fell too far behind",
            self.dropped.clone(),
        );
        registry.register(
            "trace_spans",
            "Spans of traces, by what became of them",
            self.traces.clone(),
        );
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn what_the_sandbox_keeps_turns_from_is_counted_by_its_kind() {
        let metrics = Metrics::new();
        let connections = [("allowed", 5), ("refused", 2), ("refused_address", 1), ("failed", 7)];
        let connections = connections.map(|(decision, count)| Refused {
            host: "a.example".into(),
            port: 443,
            decision: decision.into(),
            count,
        });
        metrics.reached(&connections);
        let exceeded = Exceeded { killed: 4, refused: 9 };
        metrics.limited(exceeded);
        let mut text = String::new();
        prometheus_text::encode(&mut text, &metrics.0.registry).unwrap();
        let mut rows: Vec<&str> = text.lines().filter(|line| line.contains("denials_total{")).collect();
        rows.sort_unstable();
        let expected = [("egress", 3), ("memory", 4), ("processes", 9)];
        let expected =
            expected.map(|(kind, count)| format!("reveille_sandbox_denials_total{{kind=\"{kind}\"}} {count}"));
        assert_eq!(rows, expected);
    }
}
