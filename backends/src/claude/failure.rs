//! The words for failures.

use crate::turn::{Failure, FailureCode, Remedy};

/// Most bytes of [`Failure::detail`].
const DETAIL_LIMIT: usize = 2048;
/// The longest sentence of the API that is shown to a person.
const SENTENCE_LIMIT: usize = 240;

/// A failure in the words of its code. `said` is the API's own sentence, shown where it helps.
pub(super) fn failure(code: FailureCode, said: Option<&str>, detail: &str) -> Failure {
    let (message, next_step, remedy) = words(code);
    let message = match said.and_then(sentence).filter(|_| shows_sentence(code)) {
        Some(said) => format!("{message} Claude says: “{said}”"),
        None => message.to_owned(),
    };
    Failure {
        code,
        message,
        next_step: next_step.to_owned(),
        remedy,
        detail: cut(detail, DETAIL_LIMIT).to_owned(),
    }
}

fn shows_sentence(code: FailureCode) -> bool {
    matches!(
        code,
        FailureCode::RateLimited | FailureCode::InvalidRequest | FailureCode::ModelNotFound
    )
}

/// The first line of what the API said, when it is short enough to be read.
fn sentence(said: &str) -> Option<&str> {
    let line = said.trim().lines().next()?.trim();
    (!line.is_empty() && line.len() <= SENTENCE_LIMIT).then_some(line)
}

/// The beginning of a text, in whole characters.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

fn words(code: FailureCode) -> (&'static str, &'static str, Remedy) {
    use FailureCode as Code;
    use Remedy::{Operator, Permanent, Retry};
    match code {
        Code::Authentication => (
            "Claude did not accept the credentials of this agent, or there are none.",
            "Sign in with `claude`, or store a token with `reveille secret set --claude` (`reveille doctor` shows which one is used), then send \
             the message again.",
            Operator,
        ),
        Code::Billing => (
            "The account behind this agent has no credit, or may not use Claude.",
            "Add credit or change the plan, then send the message again.",
            Operator,
        ),
        Code::RateLimited => (
            "The account behind this agent has reached a limit of requests or usage.",
            "Wait until the limit is lifted, then send the message again.",
            Retry,
        ),
        Code::Overloaded => (
            "Claude is at capacity.",
            "Send the message again in a few minutes.",
            Retry,
        ),
        Code::ApiUnavailable => (
            "Claude's API could not be reached, or answered with an error of its own.",
            "Send the message again in a few minutes. If it goes on, check the network and the API's status page.",
            Retry,
        ),
        Code::ModelNotFound => (
            "The model of this agent does not exist, or the account may not use it.",
            "Choose another model in the agent's definition, then send the message again.",
            Permanent,
        ),
        Code::PromptTooLong => (
            "The conversation no longer fits into the model's window.",
            "Start a new conversation, or send a shorter message.",
            Permanent,
        ),
        Code::InvalidRequest => (
            "Claude's API refused the request as wrong.",
            "Change the message or the agent's definition, then send it again.",
            Permanent,
        ),
        Code::Refused => (
            "The model refused to answer this message.",
            "Put it in other words, or start a new conversation.",
            Permanent,
        ),
        Code::MaxTurns => (
            "The agent reached its limit of steps before it was done. What it did so far is kept in the conversation.",
            "Send a message such as “go on”, or raise `max_turns` in the agent's definition.",
            Permanent,
        ),
        Code::Budget => (
            "The agent reached its budget for one message. What it did so far is kept in the conversation.",
            "Send a message such as “go on”, or raise the budget in the agent's definition.",
            Permanent,
        ),
        Code::IdleTimeout => (
            "The agent was stopped because nothing was heard of it for too long.",
            "Send the message again. If it happens often, raise the idle limit in the agent's definition.",
            Retry,
        ),
        Code::WallTimeout => (
            "The agent was stopped because the message took longer than allowed. What it did so far is kept.",
            "Send a message such as “go on”, or raise the time limit in the agent's definition.",
            Permanent,
        ),
        Code::StartTimeout => (
            "Claude Code did not start in time, so the message was not given to it.",
            "Send the message again. If it goes on, check the load of the machine and the log.",
            Retry,
        ),
        Code::Crashed => (
            "Claude Code ended in the middle of the message, without a result.",
            "Look at what was done so far, then send the message again. The log has the details.",
            Retry,
        ),
        Code::BadArguments => (
            "Claude Code refused the options it was started with, so the message was not given to it.",
            "Check the agent's definition and the version of Claude Code; the log has its words.",
            Operator,
        ),
        Code::ProgramMissing => (
            "Claude Code is not installed where it is looked for, so the message was not given to it.",
            "Install Claude Code or set its path in the configuration, then send the message again.",
            Operator,
        ),
        Code::SpawnFailed => (
            "Claude Code could not be started, so the message was not given to it.",
            "See the log for the system's reason, then send the message again.",
            Operator,
        ),
        Code::Sandbox => (
            "The sandbox could not be set up, so the agent was not started.",
            "See the log for what is missing, then send the message again.",
            Operator,
        ),
        Code::BlankMessage => (
            "The message has no text.",
            "Write something in it and send it again.",
            Permanent,
        ),
        Code::Storage => (
            "The daemon could not write down what this message needs, so it was not given to the agent.",
            "Check the free space of the disk and the log, then send the message again.",
            Retry,
        ),
        Code::Unknown => (
            "Claude Code ended with an error that is not known here.",
            "See the log for its words. Sending the message again may not help.",
            Permanent,
        ),
    }
}
