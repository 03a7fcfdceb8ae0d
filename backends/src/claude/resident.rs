//! A process that has answered and waits for the next turn of its session: it has the conversation in mind, and answers in a
//! fraction of the time that a start takes.

use std::any::Any;
use std::fmt;
use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::child::{Happening, Process};
use super::drive::{DEATH, Driven, Journey, RUNG, alone, drive_again, initialize};
use super::lines::Line;
use super::redact::Redactor;
use super::stream::Counted;
use super::verdict::Ending;
use super::{account, conclude, nothing_yet, transcript};
use crate::turn::{Dirs, FailureCode, Observer, Session, TurnOutcome, TurnRequest};

/// From a closed stdin to the exit of a process that does nothing (measured: 60 ms).
const EXIT: Duration = Duration::from_secs(2);

/// Pauses between looks at the transcript.
const STORED: [u64; 10] = [1, 2, 5, 10, 20, 40, 80, 160, 320, 640];

/// A process between two turns. Dropped, it is killed with all that it has started.
pub struct Resident {
    pub(super) process: Process,
    /// The session as it was started with, while it was told nothing.
    pub(super) untold: Option<Session>,
    /// Memory at the end of its last turn.
    pub(super) bytes: u64,
    pub(super) session: Uuid,
    pub(super) counted: Counted,
    pub(super) tool_limit: Duration,
    pub(super) redactor: Redactor,
    /// What nobody may read of what tools are given and answer.
    pub(super) hidden: Redactor,
    pub(super) kept: Vec<Box<dyn Any + Send + Sync>>,
}

impl fmt::Debug for Resident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resident")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// What became of a turn that was given to a process that had waited.
#[derive(Debug)]
pub enum Again {
    /// It ran. The process may wait once more.
    Ran(Box<(TurnOutcome, Option<Resident>)>),
    /// The process was gone, or did not listen. Nothing of it is alive, and nothing of the turn has happened.
    Unfit {
        /// The prompt was written to it, and may be in the session.
        given: bool,
    },
}

impl Resident {
    /// The session that it has in mind.
    #[must_use]
    pub fn session(&self) -> Uuid {
        self.session
    }

    /// The session as the turn must ask for it that it runs next. Of one that was told nothing it may be a new one.
    #[must_use]
    pub fn next_session(&self) -> Session {
        self.untold.unwrap_or(Session::Resume(self.session))
    }

    /// Waits until it can be told something. Until then it may say nothing but that, and start nothing that stays.
    pub(super) async fn comes_up(&mut self) -> Result<(), &'static str> {
        initialize(&self.process);
        loop {
            match self.process.next(true, true).await {
                Happening::Line(Ok(Some(Line::Whole(line)))) => match told_early(&line) {
                    Early::Up => break,
                    Early::Note => {}
                    Early::Work => return Err("it spoke unasked"),
                },
                Happening::Line(Ok(Some(Line::TooLong))) => return Err("it spoke unasked"),
                Happening::Line(_) | Happening::Exit(_) => return Err("it has ended by itself"),
            }
        }
        self.bytes = alone(&self.process).await.ok_or("something else runs beside it")?;
        Ok(())
    }

    /// Kills it, and returns what it wrote to stderr when nothing of it is alive.
    pub(super) async fn kill(mut self) -> String {
        self.process.kill();
        self.is_gone_within(DEATH).await;
        let (stderr, report, _) = self.process.finish().await;
        if !report.left.is_empty() || report.problem.is_some() {
            tracing::warn!(?report, "processes of a conversation may be left");
        }
        stderr
    }

    /// Keeps something as long as the process.
    pub fn keep(&mut self, thing: impl Any + Send + Sync) {
        self.kept.push(Box::new(thing));
    }

    /// Bytes of memory that it and all its descendants had at the end of its last turn.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of memory that it and all its descendants have now. `None`: that cannot be known here.
    pub async fn memory(&self) -> Option<u64> {
        Some(self.process.census().await?.bytes)
    }

    /// Waits until it does something: it ends, or speaks unasked. After either it is good for nothing.
    pub async fn stirs(&mut self) -> &'static str {
        match self.process.next(true, true).await {
            Happening::Line(Ok(Some(_))) => "it spoke unasked",
            Happening::Line(_) | Happening::Exit(_) => "it has ended by itself",
        }
    }

    /// Ends it, and returns when nothing of it is alive.
    pub async fn end(mut self) {
        self.process.close_stdin();
        if !self.is_gone_within(EXIT).await {
            self.process.interrupt();
            if !self.is_gone_within(RUNG).await {
                self.process.kill();
                self.is_gone_within(DEATH).await;
            }
        }
        let (_, report, _) = self.process.finish().await;
        if !report.left.is_empty() || report.problem.is_some() {
            tracing::warn!(?report, "processes of a conversation may be left");
        }
    }

    async fn is_gone_within(&mut self, limit: Duration) -> bool {
        let process = &mut self.process;
        let gone = async {
            let mut reading = true;
            loop {
                match process.next(reading, true).await {
                    Happening::Exit(_) => return,
                    Happening::Line(line) => reading = matches!(line, Ok(Some(_))),
                }
            }
        };
        tokio::time::timeout(limit, gone).await.is_ok()
    }

    /// Waits until what was `said` last is stored after the bytes that were `before`: a process that is killed while it waits
    /// takes nothing with it then. The CLI is asked to store it with the turn, and does it otherwise a moment later, or when it
    /// ends. One that does not is ended, and then it is known whether it could.
    pub(super) async fn stored(self, dirs: &Dirs, before: u64, said: Option<&str>) -> Option<Self> {
        for pause in STORED {
            let stored = match said {
                Some(entry) => transcript::holds(dirs, self.session, before, entry),
                None => transcript::size(dirs, self.session) > before,
            };
            if stored {
                return Some(self);
            }
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        tracing::debug!("what was said is not stored; the process ends with the turn");
        self.end().await;
        None
    }

    /// Runs the next turn of the session. What the turn asks for besides its prompt and its clocks must be as it was when the
    /// process was started.
    pub async fn run(self, turn: &TurnRequest, observer: &dyn Observer, stop: &CancellationToken) -> Again {
        let Self {
            process,
            untold,
            session,
            counted,
            tool_limit,
            redactor,
            hidden,
            kept,
            ..
        } = self;
        let journey = Journey {
            turn,
            session,
            tool_limit,
            observer,
            stop,
            hidden: hidden.clone(),
            stay: true,
        };
        let before = transcript::size(&turn.dirs, session);
        let driven = drive_again(process, (counted, untold.is_some()), journey).await;
        if is_unfit(&driven) {
            return Again::Unfit { given: driven.given };
        }
        let mut outcome = nothing_yet();
        account(&mut outcome, &driven.end);
        let same = driven.end.stream.session == Some(session);
        let resident = driven.process.map(|(process, bytes)| Self {
            process,
            untold: None,
            bytes,
            session,
            counted: driven.end.stream.counted().clone(),
            tool_limit,
            redactor: redactor.clone(),
            hidden,
            kept,
        });
        let resident = match resident {
            Some(resident) if same => {
                let said = driven.end.stream.said.as_deref();
                resident.stored(&turn.dirs, before, said).await
            }
            // Its session is no longer the one that it has in mind.
            Some(resident) => {
                resident.end().await;
                None
            }
            None => None,
        };
        conclude(&mut outcome, &turn.dirs, &driven.end, observer, &redactor);
        Again::Ran(Box::new((outcome, resident)))
    }
}

/// Whether nothing has happened, by nobody's wish.
fn is_unfit(driven: &Driven) -> bool {
    let by_itself = matches!(
        driven.end.ending,
        None | Some(Ending::Clock(FailureCode::StartTimeout) | Ending::Broken(_))
    );
    by_itself && !driven.heard
}

/// Whether a line answers the control request of that id.
pub(super) fn is_answer(line: &[u8], id: &str) -> bool {
    // silent-ok: what is no JSON answers nothing.
    serde_json::from_slice::<Value>(line)
        .is_ok_and(|line| line["type"] == "control_response" && line["response"]["request_id"] == id)
}

/// Whether a line answers a control request whose id begins so.
pub(super) fn answers(line: &[u8], id: &str) -> bool {
    // silent-ok: what is no JSON answers nothing.
    let line: Value = serde_json::from_slice(line).unwrap_or_default();
    let asked = line["response"]["request_id"].as_str();
    line["type"] == "control_response" && asked.is_some_and(|asked| asked.starts_with(id))
}

/// What a line means of a process that was told nothing.
enum Early {
    /// It can be told something.
    Up,
    /// A word about itself.
    Note,
    /// It works on something.
    Work,
}

fn told_early(line: &[u8]) -> Early {
    // silent-ok: what is no JSON is none of the words about itself.
    let read = serde_json::from_slice::<Value>(line).unwrap_or_default();
    if is_answer(line, super::drive::INITIALIZE) && read["response"]["subtype"] != "error" {
        Early::Up
    } else if read["type"] == "system" && read["subtype"] != "init" {
        Early::Note
    } else {
        Early::Work
    }
}

/// The tool servers that are gone, by the answer to `mcp_status`. A new process would try to reach them again.
pub(super) fn failed_servers(line: &[u8]) -> Vec<String> {
    // silent-ok: without an answer nothing is known of them, as in any other turn.
    let line: Value = serde_json::from_slice(line).unwrap_or_default();
    let servers = line["response"]["response"]["mcpServers"].as_array();
    let failed = servers
        .into_iter()
        .flatten()
        .filter(|server| server["status"] == "failed");
    failed
        .filter_map(|server| server["name"].as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_known_by_its_request_and_tells_of_servers_that_are_gone() {
        let captured = r#"{"type":"control_response","response":{"subtype":"success","request_id":"a","response":{"mcpServers":[]}}}"#;
        assert!(is_answer(captured.as_bytes(), "a") && !is_answer(captured.as_bytes(), "b"));
        assert!(failed_servers(captured.as_bytes()).is_empty());
        for (status, gone) in [
            ("connected", false),
            ("pending", false),
            ("needs-auth", false),
            ("failed", true),
        ] {
            let one =
                format!(r#""mcpServers":[{{"name":"x","status":"connected"}},{{"name":"y","status":"{status}"}}]"#);
            let line = captured.replace(r#""mcpServers":[]"#, &one);
            let expected: &[&str] = if gone { &["y"] } else { &[] };
            assert_eq!(failed_servers(line.as_bytes()), expected, "{status}");
        }
        let refused =
            r#"{"type":"control_response","response":{"subtype":"error","request_id":"a","error":"Unsupported"}}"#;
        assert!(is_answer(refused.as_bytes(), "a") && failed_servers(refused.as_bytes()).is_empty());
        for line in ["", "no json", "{}", r#"{"type":"system","subtype":"init"}"#] {
            assert!(
                !is_answer(line.as_bytes(), "a") && failed_servers(line.as_bytes()).is_empty(),
                "{line}"
            );
        }
    }
}
