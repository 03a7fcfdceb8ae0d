//! A program that behaves like `claude -p` with stream-json in and out, without an account, a network or chance. The demo and
//! the tests run it in the CLI's place.
//!
//! The prompt says what it does. Directives may stand anywhere in the text and are followed in their order; without one that
//! makes text, it gives a short friendly answer.
//!
//! | Directive | What happens |
//! |---|---|
//! | `[[reply TEXT]]` | says TEXT |
//! | `[[slow 20x50ms]]` | says 20 words, one every 50 ms |
//! | `[[think TEXT]]` | thinks TEXT |
//! | `[[tool NAME {"key":"value"}]]` | pretends to call a tool |
//! | `[[exec COMMAND]]` | really runs COMMAND with `bash -c`, in a session of its own, and says what it wrote |
//! | `[[sleep 2s]]` | waits (`ms`, `s` or `m`) |
//! | `[[env NAME]]` | says whether the variable is set, not what it holds |
//! | `[[retry 529 x2]]` | has two requests refused with this status, then goes on |
//! | `[[error KIND]]` | ends with an API error: `400`, `401`, `403`, `404`, `413`, `429`, `500`, `529`, `connection`, `credit`, `refusal`, `too-long`, `usage-limit` |
//! | `[[fail KIND x2]]` | ends with this API error the first two times that the session is given this directive, then goes on |
//! | `[[cost 0.25]]` | spends so many US dollars more; past `--max-budget-usd` any turn ends as the CLI ends it |
//! | `[[max-turns]]` | ends as if `--max-turns` had been reached |
//! | `[[empty]]` | ends well without any text |
//! | `[[two-results]]` | after its result begins another turn by itself, with a second result |
//! | `[[garbage]]` | writes lines that are no JSON, then goes on |
//! | `[[bigline 2mb]]` | says so many `x` in one line (`kb` or `mb`) |
//! | `[[hang]]` | is silent for ever; an interrupt ends it |
//! | `[[deaf]]` | is silent for ever; only SIGKILL ends it |
//! | `[[crash]]` | exits in the middle, without a result |
//! | `[[lost-session]]` | spoils the transcript after the turn, so that the next resume does not find it |
//! | `[[unsaved]]` | removes the transcript after the turn, as when the disk is full |
//! | `[[then die]]` | when it waits for another turn: exits |
//! | `[[then speak]]` | when it waits for another turn: begins one by itself |
//! | `[[then store]]` | what was said is stored a moment after the end of the turn |
//! | `[[then deaf]]` | when it waits for another turn: does nothing any more; only SIGKILL ends it |
//! | `[[then mute]]` | when it gets another prompt: says nothing; an interrupt ends it |
//! | `[[then die-asked]]`, `[[then die-taken]]` | when it gets another prompt: exits before it has stored it, or after that |
//!
//! `REVEILLE_TEST_LEDGER` names a file to which it adds a line of JSON for each result that it has reported: turn, process,
//! tokens and cost of the process until then.

mod api_errors;
mod args;
mod directive;
mod exec;
mod inbox;
mod ledger;
mod output;
mod play;
mod transcript;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use args::{Action, Settings};
use directive::Then;
use inbox::{Inbox, Input};
use output::Output;
use play::{Play, Stop};
use transcript::Transcript;

/// As long as the CLI takes that is not asked to store things at once, and longer than any machine takes to look.
const BEFORE_STORING: Duration = Duration::from_millis(300);
/// So that whoever reads the end of the turn is done with that.
const BEFORE_SPEAKING: Duration = Duration::from_millis(100);

/// Runs the stand-in. `args` are the arguments after the program's (or the subcommand's) name. The exit code is the CLI's: 0,
/// 1 for errors, 143 after SIGTERM.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let settings = match args::parse(args) {
        Ok(Action::Print(text)) => {
            // silent-ok: nobody reads the answer.
            let _ = writeln!(std::io::stdout(), "{text}");
            return ExitCode::SUCCESS;
        }
        Ok(Action::Run(settings)) => settings,
        Err(error) => return complain(&error),
    };
    match run(&settings) {
        Ok(code) => ExitCode::from(code),
        Err(error) => complain(&error),
    }
}

fn complain(error: &str) -> ExitCode {
    // silent-ok: the exit code says it too.
    let _ = writeln!(std::io::stderr(), "{error}");
    ExitCode::FAILURE
}

fn run(settings: &Settings) -> Result<u8, String> {
    let mut output = Output::new(settings);
    let mut transcript = match Transcript::open(settings) {
        Ok(transcript) => transcript,
        Err(transcript::Refusal::Unknown(error)) => {
            output.result(
                &json!({"subtype": "error_during_execution", "is_error": true, "num_turns": 0, "errors": [error]}),
            );
            return Err(error);
        }
        Err(transcript::Refusal::Taken(error)) => return Err(error),
    };
    let mut inbox = Inbox::open().map_err(|error| format!("Error: {error}"))?;
    let mut code = 0;
    loop {
        match inbox.then {
            Some(Then::Die) => return Ok(code),
            Some(Then::Speak) => {
                inbox.wait(Some(BEFORE_SPEAKING));
                output.state("running");
                output.init();
                inbox.then = None;
            }
            Some(Then::Store) => {
                inbox.wait(Some(BEFORE_STORING));
                transcript.release();
                inbox.then = None;
            }
            Some(Then::Deaf) => {
                inbox.go_deaf();
                inbox.wait(None);
            }
            Some(Then::Mute | Then::DieAsked | Then::DieTaken) | None => {}
        }
        match inbox.next() {
            Input::User(_) if inbox.then == Some(Then::DieAsked) => return Ok(code),
            Input::User(prompt) if inbox.then == Some(Then::DieTaken) => {
                transcript.user(&prompt);
                return Ok(code);
            }
            Input::User(_) if inbox.then == Some(Then::Mute) => {
                inbox.wait(None);
            }
            Input::User(prompt) => {
                let mut play = Play::new(settings, &mut output, &mut inbox, &mut transcript);
                match play.turn(&prompt) {
                    Ok(failed) => code = u8::from(failed),
                    Err(Stop::Crash) => return Err("stand-in: crashed on request".to_owned()),
                    // SIGINT ends the process; only a tool that was cut off makes it an error.
                    Err(Stop::Signal { in_tool }) => return Ok(u8::from(in_tool)),
                    Err(Stop::Interrupt { .. }) => {}
                }
            }
            Input::Control { id, subtype } => match subtype.as_str() {
                "initialize" => output.answer(
                    &id,
                    Ok(json!({"commands": [], "models": [], "output_style": "default"})),
                ),
                "interrupt" => output.answer(&id, Ok(json!(null))),
                "mcp_status" => output.answer(&id, Ok(json!({"mcpServers": []}))),
                other => output.answer(&id, Err(format!("Unsupported control request subtype: {other}"))),
            },
            Input::Bad(line) => return Err(format!("Error parsing streaming input line: {line}")),
            Input::Signal | Input::End => return Ok(code),
        }
    }
}
