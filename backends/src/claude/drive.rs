//! One turn of a process: when to speak, when to close, and the stop ladder. A turn begins with the process or with one that
//! has answered before, and ends with its death or, when all went well, with one that waits for the next.
//!
//! The ladder: control request `interrupt`, then a closed stdin with SIGINT, then SIGKILL for the group and every descendant.
//! Never SIGTERM: it ends the CLI without a result and leaves its tools running.

use std::process::ExitStatus;
use std::time::Duration;

use reveille_sandbox::Exceeded;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::child::{Happening, Process};
use super::lines::{LINE_LIMIT, Line};
use super::redact::Redactor;
use super::resident::{answers, failed_servers, is_answer};
use super::stream::{Counted, ResultLine, Signal, Stream};
use super::verdict::{Ending, Finished};
use crate::turn::{Event, FailureCode, Observer, TurnRequest};

pub(super) const INITIALIZE: &str = "reveille-initialize";
const INTERRUPT: &str = "reveille-interrupt";
/// Asked of a process that has waited. What its tool servers are doing is worth knowing, but above all it answers.
const WAKE: &str = "reveille-wake";

/// Begins the ids of requests to reach a tool server again. One of a process that was told nothing has nobody let in: what opens
/// the door works from the turn on.
const RECONNECT: &str = "reveille-reconnect";

/// For the answers to those (measured: 30 ms each).
const RECONNECTED: Duration = Duration::from_secs(5);
/// For the answer to that (measured: a millisecond), and for the first line after the prompt (measured: 10 ms).
const AWAKE: Duration = Duration::from_secs(2);
const TAKEN: Duration = Duration::from_secs(10);

/// From a result to the line that says that nothing more comes (measured: a millisecond).
const SETTLE: Duration = Duration::from_secs(1);
/// From a closed stdin to the exit (measured: 60 ms, and up to 5 s when it waits for a background shell).
const EXIT: Duration = Duration::from_secs(6);
/// From `interrupt`, SIGINT, or a closed stdin that is to end the turn, to its effect (measured: 2 to 164 ms).
pub(super) const RUNG: Duration = Duration::from_secs(2);
/// Pauses between looks at a process for what its tools have left: what is just ending gets a moment.
const LOOKS: [u64; 7] = [5, 10, 20, 40, 80, 160, 0];
/// From SIGKILL to the exit.
pub(super) const DEATH: Duration = Duration::from_secs(5);
/// For lines that are still in the pipe when the process has ended, should a descendant hold it open.
const DRAIN: Duration = Duration::from_secs(1);
/// Added to the limit of a tool, for the CLI's own way of ending it.
const TOOL_GRACE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Waiting for the answer to `initialize`.
    Starting,
    /// Waiting for a sign of life of a process that has answered before.
    Waking,
    /// The prompt was given.
    Running,
    /// A result was read.
    Settling,
    /// Stdin is closed.
    Closing,
    /// `interrupt` was sent.
    Interrupting,
    /// SIGINT was sent.
    Signalled,
    /// SIGKILL was sent.
    Killed,
}

/// What a drive needs besides the process.
pub(super) struct Journey<'a> {
    pub(super) turn: &'a TurnRequest,
    pub(super) session: Uuid,
    pub(super) tool_limit: Duration,
    pub(super) observer: &'a dyn Observer,
    pub(super) stop: &'a CancellationToken,
    /// What nobody may read of what tools are given and answer.
    pub(super) hidden: Redactor,
    /// Whether the process may wait for another turn.
    pub(super) stay: bool,
}

/// How a turn of a process ended.
pub(super) struct Driven {
    pub(super) end: Finished,
    /// It waits for the next turn, and has so many bytes of memory. `None`: nothing of it is alive.
    pub(super) process: Option<(Process, u64)>,
    /// The prompt was given.
    pub(super) given: bool,
    /// A line came after that.
    pub(super) heard: bool,
}

struct Drive<'a> {
    journey: Journey<'a>,
    process: Process,
    stream: Stream,
    phase: Phase,
    /// When `phase` has taken too long; unused while starting and running, which have clocks of their own.
    until: Instant,
    spawned: Instant,
    heard: Instant,
    ending: Option<Ending>,
    /// It had answered before this turn.
    resident: bool,
    /// It was told nothing, so that its tool servers may not have let it in.
    untold: bool,
    /// Answers to come of tool servers.
    reconnecting: usize,
    given: bool,
    answered: bool,
    /// The turn is over, and the process lives on with so many bytes of memory.
    stays: Option<u64>,
    /// Seen, and not dealt with.
    pending: Option<Happening>,
    /// Whether more lines can come.
    reading: bool,
    /// Whether the exit was not collected yet.
    waiting: bool,
    exit: Option<ExitStatus>,
}

/// Runs the first turn of a process.
pub(super) async fn drive(process: Process, journey: Journey<'_>) -> Driven {
    let drive = Drive::new(process, Counted::default(), journey);
    drive.control(INITIALIZE, "initialize");
    drive.through().await
}

/// Runs another turn of one that waits, or the first of one that was told nothing.
pub(super) async fn drive_again(process: Process, (before, untold): (Counted, bool), journey: Journey<'_>) -> Driven {
    let mut drive = Drive::new(process, before, journey);
    (drive.resident, drive.untold) = (true, untold);
    drive.control(WAKE, "mcp_status");
    drive.enter(Phase::Waking, AWAKE);
    drive.through().await
}

fn control(process: &Process, id: &str, subtype: &str) {
    let line = json!({"type": "control_request", "request_id": id, "request": {"subtype": subtype}});
    process.send(line.to_string());
}

/// Asks a process to say when it is up.
pub(super) fn initialize(process: &Process) {
    control(process, INITIALIZE, "initialize");
}

/// The bytes of memory of a process beside which nothing else runs, such as what its tools have left.
pub(super) async fn alone(process: &Process) -> Option<u64> {
    for pause in LOOKS {
        let census = process.census().await?;
        if census.strangers == 0 {
            return Some(census.bytes);
        }
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    tracing::debug!("something runs beside a process that could wait; it ends");
    None
}

/// What people should know of the limits that the turn has met.
fn notice(exceeded: Exceeded) -> Option<String> {
    let Exceeded { killed, refused } = exceeded;
    let mut met = Vec::new();
    if killed > 0 {
        met.push(format!(
            "{killed} of its processes were ended because together they took more memory than it may"
        ));
    }
    if refused > 0 {
        met.push(format!(
            "{refused} times it could not start another process, because it may have no more at once"
        ));
    }
    (!met.is_empty()).then(|| {
        format!(
            "The turn has met its limits: {}. The operator can raise them under [sandbox.limits].",
            met.join("; ")
        )
    })
}

impl<'a> Drive<'a> {
    fn new(process: Process, before: Counted, mut journey: Journey<'a>) -> Self {
        let now = Instant::now();
        let hidden = std::mem::take(&mut journey.hidden);
        Self {
            journey,
            process,
            stream: Stream::after(before, hidden),
            phase: Phase::Starting,
            until: now,
            spawned: now,
            heard: now,
            ending: None,
            resident: false,
            untold: false,
            reconnecting: 0,
            given: false,
            answered: false,
            stays: None,
            pending: None,
            reading: true,
            waiting: true,
            exit: None,
        }
    }

    async fn through(mut self) -> Driven {
        self.follow().await;
        let (given, heard) = (self.given, self.answered);
        if let Some(bytes) = self.stays {
            return Driven {
                end: Finished {
                    stream: self.stream,
                    exit: None,
                    ending: None,
                    stderr: String::new(),
                },
                process: Some((self.process, bytes)),
                given,
                heard,
            };
        }
        let (stderr, report, exceeded) = self.process.finish().await;
        if let Some(text) = notice(exceeded) {
            self.journey.observer.limited(exceeded);
            self.journey.observer.event(Event::Notice { text });
        }
        if !report.left.is_empty() || report.problem.is_some() {
            tracing::warn!(turn = %self.journey.turn.turn, ?report, "processes of a turn may be left");
        } else if !report.killed.is_empty() {
            tracing::info!(turn = %self.journey.turn.turn, killed = ?report.killed, "ended processes that a turn left behind");
        }
        Driven {
            end: Finished {
                stream: self.stream,
                exit: self.exit,
                ending: self.ending,
                stderr,
            },
            process: None,
            given,
            heard,
        }
    }

    async fn follow(&mut self) {
        let stop = self.journey.stop.clone();
        while self.stays.is_none() && (self.reading || self.waiting) {
            if let Some(happening) = self.pending.take() {
                self.take(happening).await;
                continue;
            }
            // Lines go before clocks below, which a flood of them must not hold up for ever.
            if Instant::now() >= self.hard_limit() && self.too_late() {
                return;
            }
            let stoppable = matches!(self.phase, Phase::Starting | Phase::Waking | Phase::Running);
            let deadline = self.deadline();
            tokio::select! {
                biased;
                () = stop.cancelled(), if stoppable => self.end(Ending::Stop),
                happening = self.process.next(self.reading, self.waiting) => self.take(happening).await,
                () = tokio::time::sleep_until(deadline) => {
                    if self.too_late() {
                        return;
                    }
                }
            }
        }
    }

    async fn take(&mut self, happening: Happening) {
        match happening {
            Happening::Line(line) => self.hear(line).await,
            Happening::Exit(exit) => self.exited(exit),
        }
    }

    /// The clock that no output can put off.
    fn hard_limit(&self) -> Instant {
        match self.phase {
            Phase::Starting | Phase::Waking | Phase::Running => self.spawned + self.journey.turn.timeouts.wall,
            _ => self.until,
        }
    }

    /// A process that has waited and does not take its prompt.
    fn is_mute(&self) -> bool {
        self.resident && !self.answered
    }

    fn deadline(&self) -> Instant {
        let soft = match self.phase {
            Phase::Starting => self.spawned + self.journey.turn.timeouts.start,
            Phase::Running if self.is_mute() => self.heard + self.patience().min(TAKEN),
            Phase::Running => self.heard + self.patience(),
            _ => self.until,
        };
        soft.min(self.hard_limit())
    }

    /// How long a silence may be.
    fn patience(&self) -> Duration {
        let idle = self.journey.turn.timeouts.idle;
        if self.stream.tool_runs() {
            idle.max(self.journey.tool_limit + TOOL_GRACE)
        } else {
            idle
        }
    }

    /// The clock of the phase ran out. True when nothing more can be done.
    fn too_late(&mut self) -> bool {
        if !self.waiting {
            return true;
        }
        let wall = self.spawned.elapsed() >= self.journey.turn.timeouts.wall;
        match self.phase {
            Phase::Starting | Phase::Waking | Phase::Running if wall => {
                self.end(Ending::Clock(FailureCode::WallTimeout));
            }
            Phase::Starting => self.end(Ending::Clock(FailureCode::StartTimeout)),
            // Whoever does not listen would not read that its stdin is closed either.
            Phase::Waking => self.give_up(),
            Phase::Running if self.is_mute() => self.give_up(),
            Phase::Running => self.end(Ending::Clock(FailureCode::IdleTimeout)),
            Phase::Settling => self.close(EXIT),
            Phase::Interrupting | Phase::Closing => {
                self.process.close_stdin();
                self.process.interrupt();
                self.enter(Phase::Signalled, RUNG);
            }
            Phase::Signalled => {
                self.process.kill();
                self.enter(Phase::Killed, DEATH);
            }
            Phase::Killed => return true,
        }
        false
    }

    fn enter(&mut self, phase: Phase, limit: Duration) {
        self.phase = phase;
        self.until = Instant::now() + limit;
    }

    /// A process that has waited is not fit for another turn.
    fn give_up(&mut self) {
        self.ending = Some(Ending::Clock(FailureCode::StartTimeout));
        self.process.kill();
        self.enter(Phase::Killed, DEATH);
    }

    /// Steps on the ladder.
    fn end(&mut self, ending: Ending) {
        self.ending = Some(ending);
        if self.phase == Phase::Running {
            self.control(INTERRUPT, "interrupt");
            self.enter(Phase::Interrupting, RUNG);
        } else {
            // No prompt was given: a closed stdin is all that it takes.
            self.close(RUNG);
        }
    }

    fn close(&mut self, limit: Duration) {
        self.process.close_stdin();
        self.enter(Phase::Closing, limit);
    }

    async fn hear(&mut self, line: std::io::Result<Option<Line>>) {
        self.heard = Instant::now();
        if self.resident && !self.given {
            return self.wake(line).await;
        }
        self.answered |= self.given && matches!(line, Ok(Some(_)));
        match line {
            Ok(Some(Line::Whole(line))) => {
                let observer = self.journey.observer;
                let signal = self.stream.line(&line, &mut |event| observer.event(event));
                self.heed(signal).await;
            }
            Ok(Some(Line::TooLong)) => {
                self.stream.spoke = true;
                let text = format!("A line of output over {} MiB was left out.", LINE_LIMIT / 1024 / 1024);
                self.journey.observer.event(Event::Notice { text });
            }
            Ok(None) => self.silent(),
            Err(error) => {
                self.ending
                    .get_or_insert(Ending::Broken(format!("its output cannot be read: {error}")));
                self.silent();
            }
        }
    }

    /// The answer is all that may come: other lines are of something that nobody has asked for.
    async fn wake(&mut self, line: std::io::Result<Option<Line>>) {
        match line {
            Ok(Some(_)) if self.phase != Phase::Waking => {}
            Ok(Some(Line::Whole(line))) if is_answer(&line, WAKE) => {
                let failed = failed_servers(&line);
                if !failed.is_empty() && std::mem::take(&mut self.untold) {
                    self.reconnect(&failed);
                } else if !failed.is_empty() {
                    tracing::info!("a tool server of a process that has waited is gone; another process is started");
                    self.give_up();
                } else {
                    self.give_prompt().await;
                }
            }
            Ok(Some(Line::Whole(line))) if self.reconnecting > 0 && answers(&line, RECONNECT) => {
                self.reconnecting -= 1;
                if self.reconnecting > 0 {
                    return;
                }
                self.control(WAKE, "mcp_status");
                self.enter(Phase::Waking, AWAKE);
            }
            Ok(Some(_)) => self.give_up(),
            Ok(None) | Err(_) => self.silent(),
        }
    }

    /// Lets it try again to reach its tool servers, one after the other.
    fn reconnect(&mut self, servers: &[String]) {
        self.reconnecting = servers.len();
        for (at, server) in servers.iter().enumerate() {
            let request = json!({"subtype": "mcp_reconnect", "serverName": server});
            let id = format!("{RECONNECT}-{}", servers.len() - at);
            let line = json!({"type": "control_request", "request_id": id, "request": request});
            self.process.send(line.to_string());
        }
        self.enter(Phase::Waking, RECONNECTED);
    }

    /// Its output has ended, so it should end too.
    fn silent(&mut self) {
        self.reading = false;
        if matches!(
            self.phase,
            Phase::Starting | Phase::Waking | Phase::Running | Phase::Settling
        ) {
            self.close(RUNG);
        }
    }

    async fn heed(&mut self, signal: Signal) {
        match (signal, self.phase) {
            (Signal::Answer(id), Phase::Starting) if id == INITIALIZE => self.give_prompt().await,
            (Signal::Result, Phase::Starting | Phase::Running) => {
                self.journey.observer.answered();
                self.enter(Phase::Settling, SETTLE);
            }
            (Signal::Result, Phase::Interrupting) => {
                self.journey.observer.answered();
                self.close(RUNG);
            }
            (Signal::Idle, Phase::Settling) => self.rest().await,
            _ => {}
        }
    }

    /// The turn is over. A process that has left nothing open may wait for the next one.
    async fn rest(&mut self) {
        let well = self.journey.stay && self.ending.is_none() && self.reading && self.waiting;
        let well = well && self.stream.result.as_ref().is_some_and(ResultLine::is_success);
        let alone = match well && self.process.exceeded() == Exceeded::default() {
            true => alone(&self.process).await,
            false => None,
        };
        let Some(bytes) = alone else {
            return self.close(EXIT);
        };
        match self.process.pending().await {
            None => self.stays = Some(bytes),
            more => {
                tracing::debug!("the process goes on by itself after the turn; it ends with it");
                self.pending = more;
                self.close(EXIT);
            }
        }
    }

    async fn give_prompt(&mut self) {
        if let Err(reason) = self.journey.observer.before_prompt(self.journey.session).await {
            return self.end(Ending::Storage(reason));
        }
        let prompt = &self.journey.turn.prompt;
        // A leading slash would make it a command of the CLI, which never reaches the model.
        let content = if prompt.starts_with('/') {
            format!(" {prompt}")
        } else {
            prompt.clone()
        };
        // A fresh id: the CLI passes over a message whose id is already in the transcript.
        let line = json!({"type": "user", "message": {"role": "user", "content": content}, "uuid": Uuid::new_v4()});
        self.process.send(line.to_string());
        self.phase = Phase::Running;
        self.given = true;
        self.heard = Instant::now();
    }

    fn control(&self, id: &str, subtype: &str) {
        control(&self.process, id, subtype);
    }

    fn exited(&mut self, exit: std::io::Result<ExitStatus>) {
        self.waiting = false;
        match exit {
            Ok(status) => self.exit = Some(status),
            Err(error) => {
                self.ending
                    .get_or_insert(Ending::Broken(format!("its exit cannot be collected: {error}")));
            }
        }
        self.enter(Phase::Killed, DRAIN);
    }
}
