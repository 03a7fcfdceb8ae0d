//! What comes in: lines of stdin and signals, in one queue that can be waited for.

use std::collections::VecDeque;
use std::io::{self, BufRead};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use super::directive::Then;

/// Exit code of the CLI after SIGTERM.
const TERMINATED: i32 = 143;

pub(super) enum Input {
    User(String),
    Control { id: String, subtype: String },
    Bad(String),
    Signal,
    End,
}

/// How a wait ended.
pub(super) enum Wake {
    /// The time is over.
    Elapsed,
    /// A control request of this id asked to interrupt.
    Interrupt(String),
    /// SIGINT.
    Signal,
}

pub(super) struct Inbox {
    receiver: Receiver<Input>,
    waiting: VecDeque<Input>,
    deaf: Arc<AtomicBool>,
    ended: bool,
    /// What the last prompt asked of the time after it.
    pub(super) then: Option<Then>,
}

impl Inbox {
    pub(super) fn open() -> io::Result<Self> {
        let (sender, receiver) = channel();
        let deaf = Arc::new(AtomicBool::new(false));
        watch_signals(sender.clone(), Arc::clone(&deaf))?;
        std::thread::spawn(move || read_lines(&sender));
        Ok(Self {
            receiver,
            waiting: VecDeque::new(),
            deaf,
            ended: false,
            then: None,
        })
    }

    /// From now on nothing but SIGKILL has an effect.
    pub(super) fn go_deaf(&self) {
        self.deaf.store(true, Ordering::SeqCst);
    }

    pub(super) fn next(&mut self) -> Input {
        if let Some(input) = self.waiting.pop_front() {
            return input;
        }
        if self.ended {
            return Input::End;
        }
        self.receiver.recv().unwrap_or(Input::End)
    }

    /// Waits, for ever without a limit. What is no interrupt is kept for [`Inbox::next`].
    pub(super) fn wait(&mut self, limit: Option<Duration>) -> Wake {
        let end = limit.map(|limit| Instant::now() + limit);
        loop {
            let left = end.map_or(Duration::from_secs(3600), |end| {
                end.saturating_duration_since(Instant::now())
            });
            match self.receiver.recv_timeout(left) {
                _ if self.deaf.load(Ordering::SeqCst) => {}
                Ok(Input::Control { id, subtype }) if subtype == "interrupt" => return Wake::Interrupt(id),
                Ok(Input::Signal) => return Wake::Signal,
                Ok(Input::End) => self.ended = true,
                Ok(other) => self.waiting.push_back(other),
                // The thread of the signals never ends, so the queue stays open.
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            if end.is_some_and(|end| Instant::now() >= end) {
                return Wake::Elapsed;
            }
        }
    }
}

fn read_lines(sender: &Sender<Input>) {
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        if line.trim().is_empty() {
            continue;
        }
        let Some(input) = understand(&line) else { continue };
        if sender.send(input).is_err() {
            return;
        }
    }
    // silent-ok: the program is ending already.
    let _ = sender.send(Input::End);
}

/// Lines of an unknown type are passed over, as the CLI does.
fn understand(line: &str) -> Option<Input> {
    let Ok(value) = serde_json::from_str::<Value>(line) else {
        return Some(Input::Bad(line.chars().take(200).collect()));
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match value["type"].as_str()? {
        "user" => Some(Input::User(prompt(&value["message"]["content"]))),
        "control_request" => Some(Input::Control {
            id: text(&value["request_id"]),
            subtype: text(&value["request"]["subtype"]),
        }),
        _ => None,
    }
}

fn prompt(content: &Value) -> String {
    let parts = content
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|part| part["text"].as_str());
    content
        .as_str()
        .map_or_else(|| parts.collect::<Vec<_>>().join("\n"), str::to_owned)
}

fn watch_signals(sender: Sender<Input>, deaf: Arc<AtomicBool>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let entered = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    drop(entered);
    std::thread::spawn(move || {
        runtime.block_on(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {
                        // silent-ok: the program is ending already.
                        let _ = sender.send(Input::Signal);
                    }
                    _ = terminate.recv() => if !deaf.load(Ordering::SeqCst) {
                        std::process::exit(TERMINATED);
                    }
                }
            }
        });
    });
    Ok(())
}
