//! One turn.

use std::time::Duration;

use serde_json::{Value, json};

use super::api_errors::api_error;
use super::args::Settings;
use super::directive::{Directive, Then, parse};
use super::exec::Running;
use super::inbox::{Inbox, Wake};
use super::output::Output;
use super::transcript::Transcript;

/// Why a turn did not come to its end.
pub(super) enum Stop {
    Crash,
    /// The control request; the process goes on.
    Interrupt {
        id: String,
        in_tool: bool,
    },
    /// SIGINT; the process ends.
    Signal {
        in_tool: bool,
    },
}

/// How often a command is asked whether it has ended.
const POLL: Duration = Duration::from_millis(5);
/// How much of the prompt is quoted in the answer without directives.
const QUOTED: usize = 160;

pub(super) struct Play<'a> {
    settings: &'a Settings,
    output: &'a mut Output,
    inbox: &'a mut Inbox,
    transcript: &'a mut Transcript,
    prompt: String,
    /// The last text block, if there is one.
    said: Option<String>,
    /// Rounds, for `num_turns`.
    rounds: u32,
    ended: bool,
}

impl<'a> Play<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        output: &'a mut Output,
        inbox: &'a mut Inbox,
        transcript: &'a mut Transcript,
    ) -> Self {
        Self {
            settings,
            output,
            inbox,
            transcript,
            prompt: String::new(),
            said: None,
            rounds: 1,
            ended: false,
        }
    }

    /// Plays a prompt. True when it ended with an error result.
    pub(super) fn turn(&mut self, prompt: &str) -> Result<bool, Stop> {
        self.prompt = prompt.to_owned();
        self.output.state("running");
        self.output.init();
        self.transcript.user(prompt);
        let directives = parse(prompt);
        if directives.contains(&Directive::Then(Then::Store)) {
            self.transcript.hold();
        }
        let failed = match self.follow(&directives) {
            Err(Stop::Crash) => return Err(Stop::Crash),
            Err(stop) => {
                self.aborted(&stop);
                if let Stop::Signal { .. } = stop {
                    return Err(stop);
                }
                true
            }
            Ok(failed) => failed,
        };
        if directives.contains(&Directive::LostSession) {
            self.transcript.spoil();
        }
        if directives.contains(&Directive::Unsaved) {
            self.transcript.remove();
        }
        self.output.state("idle");
        self.inbox.then = directives.iter().find_map(|directive| match directive {
            Directive::Then(then) => Some(*then),
            _ => None,
        });
        Ok(failed)
    }

    fn follow(&mut self, directives: &[Directive]) -> Result<bool, Stop> {
        let mut failed = false;
        for directive in directives {
            failed = self.step(directive)?;
            if self.ended {
                return Ok(failed);
            }
            if self.settings.max_budget.is_some_and(|most| self.output.cost() > most) {
                self.finish(&json!({
                    "subtype": "error_max_budget_usd", "is_error": true, "terminal_reason": "completed",
                    "errors": ["Reached maximum budget"],
                }));
                return Ok(true);
            }
        }
        if self.said.is_none() {
            let answer = self.friendly();
            self.say(&words(&answer), None)?;
        }
        self.succeed();
        if directives.contains(&Directive::TwoResults) {
            self.output.state("idle");
            self.output.state("running");
            self.output.init();
            self.say(&words("A task in the background has ended."), None)?;
            self.succeed();
        }
        Ok(failed)
    }

    /// One directive. True when it ended the turn with an error.
    fn step(&mut self, directive: &Directive) -> Result<bool, Stop> {
        match directive {
            Directive::Reply(text) => self.say(&words(text), None)?,
            Directive::Slow { words, pause } => {
                let pieces: Vec<String> = (1..=*words).map(|n| format!("word{n} ")).collect();
                self.say(&pieces, Some(*pause))?;
            }
            Directive::Think(text) => self.think(text),
            Directive::Tool { name, input } => {
                let id = self.call(name, input);
                self.return_from(&id, "(the stand-in only pretended)", false);
            }
            Directive::Exec(command) => self.exec(command)?,
            Directive::Sleep(pause) => self.pause(Some(*pause), false)?,
            Directive::Env(name) => {
                let set = if std::env::var_os(name).is_some() {
                    "is set"
                } else {
                    "is not set"
                };
                self.say(&words(&format!("{name} {set}.")), None)?;
            }
            Directive::Retry { status, times } => self.retries(*times, Some(*status), status_word(*status)),
            Directive::Error(kind) => return Ok(self.fail(kind)),
            Directive::Fail { kind, times } => {
                if self.transcript.times_told(&format!("[[fail {kind} x{times}]]")) <= *times {
                    self.output.message_start(&self.prompt);
                    return Ok(self.fail(kind));
                }
            }
            Directive::Cost(usd) => self.output.spend(*usd),
            Directive::MaxTurns => {
                let max = self.settings.max_turns.unwrap_or(1);
                let errors = [format!("Reached maximum number of turns ({max})")];
                self.finish(&json!({
                    "subtype": "error_max_turns", "is_error": true, "terminal_reason": "max_turns", "errors": errors,
                }));
                return Ok(true);
            }
            Directive::Empty => {
                self.output.message_start(&self.prompt);
                self.output.message_end("end_turn");
                self.succeed();
            }
            Directive::Garbage => {
                self.output.raw(b"This line is no JSON.");
                self.output.raw(b"\xff\xfe\x00 nor is this one {");
                self.output.raw(br#"{"type":"assistant","message":null}"#);
            }
            Directive::BigLine(bytes) => {
                let id = self.output.message_start(&self.prompt);
                let block = json!({"type": "text", "text": "x".repeat(*bytes)});
                self.transcript.assistant(self.output.next_id(), &block);
                self.output.block(&id, &block, "");
                self.output.message_end("end_turn");
                // Once is enough: the result does not repeat it.
                self.said = Some(String::new());
            }
            Directive::Hang => self.pause(None, false)?,
            Directive::Deaf => {
                self.inbox.go_deaf();
                self.pause(None, false)?;
            }
            Directive::Crash => {
                self.output.message_start(&self.prompt);
                self.delta("This is the beginning of ");
                return Err(Stop::Crash);
            }
            // These have their effect at the end of the turn.
            Directive::TwoResults | Directive::LostSession | Directive::Unsaved | Directive::Then(_) => {}
            Directive::Unknown(text) => {
                self.say(
                    &words(&format!("The stand-in does not know the directive “{text}”.")),
                    None,
                )?;
            }
        }
        Ok(false)
    }

    fn friendly(&self) -> String {
        // What the daemon says before the message is no part of what a person wrote.
        let message = match self.prompt.split_once("\n\n") {
            Some((line, message)) if line.starts_with("[Run context") => message,
            _ => self.prompt.as_str(),
        };
        let quoted: String = message.split_whitespace().collect::<Vec<_>>().join(" ");
        let short: String = quoted.chars().take(QUOTED).collect();
        let dots = if short.len() < quoted.len() { "…" } else { "" };
        let count = self.transcript.messages;
        format!(
            "Hello! I am the stand-in for Claude. This is message {count} of our conversation, and it begins: “{short}{dots}”"
        )
    }

    fn delta(&mut self, text: &str) {
        self.output.partial(
            &json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}),
        );
    }

    /// A message of one text block, in pieces.
    fn say(&mut self, pieces: &[String], pause: Option<Duration>) -> Result<(), Stop> {
        let id = self.output.message_start(&self.prompt);
        self.output.partial(
            &json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        );
        let mut text = String::new();
        for piece in pieces {
            if pause.is_some()
                && let Err(stop) = self.pause(pause, false)
            {
                self.output.block(&id, &json!({"type": "text", "text": text}), &text);
                return Err(stop);
            }
            self.delta(piece);
            text.push_str(piece);
        }
        let block = json!({"type": "text", "text": text.trim_end()});
        self.transcript.assistant(self.output.next_id(), &block);
        self.output.block(&id, &block, &text);
        self.output.message_end("end_turn");
        self.said = Some(text.trim_end().to_owned());
        Ok(())
    }

    fn think(&mut self, text: &str) {
        let id = self.output.message_start(&self.prompt);
        self.output.block(
            &id,
            &json!({"type": "thinking", "thinking": text, "signature": ""}),
            text,
        );
        self.output.message_end("end_turn");
    }

    fn call(&mut self, name: &str, input: &Value) -> String {
        let message = self.output.message_start(&self.prompt);
        let id = format!("toolu_{message}");
        self.output.block(
            &message,
            &json!({"type": "tool_use", "id": id, "name": name, "input": input}),
            name,
        );
        self.output.message_end("tool_use");
        id
    }

    fn return_from(&mut self, id: &str, text: &str, is_error: bool) {
        self.rounds += 1;
        self.output
            .user(&json!({"type": "tool_result", "tool_use_id": id, "content": text, "is_error": is_error}));
    }

    fn exec(&mut self, command: &str) -> Result<(), Stop> {
        let id = self.call("Bash", &json!({"command": command}));
        let (code, text) = match self.run(command) {
            Ok(ended) => ended?,
            Err(error) => (127, error.to_string()),
        };
        let text = if code == 0 {
            text
        } else {
            format!("Exit code {code}\n{text}").trim_end().to_owned()
        };
        self.return_from(&id, &text, code != 0);
        self.say(&words(&format!("Tool said: {text}")), None)
    }

    /// The outer result is about starting it, the inner one about an interrupt.
    fn run(&mut self, command: &str) -> std::io::Result<Result<(i32, String), Stop>> {
        let mut running = Running::start(command)?;
        loop {
            if let Some(ended) = running.ended()? {
                return Ok(Ok(ended));
            }
            if let Err(stop) = self.pause(Some(POLL), true) {
                running.kill();
                return Ok(Err(stop));
            }
        }
    }

    fn pause(&mut self, limit: Option<Duration>, in_tool: bool) -> Result<(), Stop> {
        match self.inbox.wait(limit) {
            Wake::Elapsed => Ok(()),
            Wake::Interrupt(id) => Err(Stop::Interrupt { id, in_tool }),
            Wake::Signal => Err(Stop::Signal { in_tool }),
        }
    }

    fn retries(&mut self, times: u32, status: Option<u16>, word: &str) {
        for attempt in 1..=times {
            self.output.line(json!({
                "type": "system", "subtype": "api_retry", "attempt": attempt, "max_retries": times,
                "retry_delay_ms": 1.5, "error_status": status, "error": word,
            }));
        }
    }

    fn fail(&mut self, kind: &str) -> bool {
        let Some(error) = api_error(kind) else {
            let text = format!("The stand-in does not know the error “{kind}”.");
            self.output.synthetic(&text, "unknown");
            self.finish(&json!({"is_error": true, "result": text, "terminal_reason": "completed"}));
            return true;
        };
        if let Some((status, word)) = error.retried {
            self.retries(2, status, word);
        }
        self.output.synthetic(error.text, error.word);
        self.finish(&json!({
            "is_error": true, "api_error_status": error.status, "result": error.text,
            "terminal_reason": error.terminal_reason, "stop_reason": error.stop_reason,
        }));
        true
    }

    fn succeed(&mut self) {
        let said = self.said.clone().unwrap_or_default();
        self.finish(&json!({
            "api_error_status": null, "result": said, "terminal_reason": "completed", "stop_reason": "end_turn",
        }));
    }

    fn finish(&mut self, fields: &Value) {
        let mut fields = fields.clone();
        fields["num_turns"] = json!(self.rounds);
        self.output.result(&fields);
        self.ended = true;
    }

    fn aborted(&mut self, stop: &Stop) {
        let in_tool = match stop {
            Stop::Crash => return,
            Stop::Interrupt { in_tool, .. } | Stop::Signal { in_tool } => *in_tool,
        };
        if let Stop::Interrupt { id, .. } = stop {
            self.output.answer(id, Ok(json!(null)));
        }
        let (words, reason) = match in_tool {
            true => ("[Request interrupted by user for tool use]", "aborted_tools"),
            false => ("[Request interrupted by user]", "aborted_streaming"),
        };
        self.output.user(&json!({"type": "text", "text": words}));
        self.finish(&json!({
            "subtype": "error_during_execution", "is_error": true, "terminal_reason": reason,
            "errors": ["[ede_diagnostic] result_type=user last_content_type=n/a stop_reason=null"],
        }));
    }
}

fn status_word(status: u16) -> &'static str {
    match status {
        401 | 403 => "authentication_failed",
        429 => "rate_limit",
        529 => "overloaded",
        500..=599 => "server_error",
        _ => "unknown",
    }
}

/// A text in the pieces in which a model might write it.
fn words(text: &str) -> Vec<String> {
    text.split_inclusive(' ').map(str::to_owned).collect()
}
