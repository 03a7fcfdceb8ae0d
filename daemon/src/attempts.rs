//! The attempts of one turn: a passing failure of the API ends an attempt, not the turn.

use std::time::Duration;

use reveille_backends::{Backend, Event, Failure, FailureCode, Observer, Session, TurnOutcome, TurnRequest, Verdict};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Part of a pause that chance adds, so that turns which failed together do not come back together.
const JITTER: f64 = 0.25;
/// With less time than this left, or less money (US dollars), no further attempt is begun.
const TIME_MIN: Duration = Duration::from_secs(5);
const USD_MIN: f64 = 0.005;

/// Whether the failure is one that passes. Judged by its code, never by its words.
fn passes(code: FailureCode) -> bool {
    matches!(
        code,
        FailureCode::Overloaded | FailureCode::RateLimited | FailureCode::ApiUnavailable | FailureCode::StartTimeout
    )
}

/// The session of the next attempt. `None`: there must be none, because tools have run and nothing would remember it.
fn next_session(asked: Session, outcome: &TurnOutcome) -> Option<Session> {
    match (outcome.session, asked) {
        (Some(id), _) => Some(Session::Resume(id)),
        (None, _) if outcome.tools_ran => None,
        // An id is used once: the failed attempt may have got as far as taking it.
        (None, Session::New(_)) => Some(Session::New(Uuid::new_v4())),
        (None, resume @ Session::Resume(_)) => Some(resume),
    }
}

fn failure(outcome: &TurnOutcome) -> Option<&Failure> {
    match &outcome.verdict {
        Verdict::Failed(failure) => Some(failure).filter(|failure| passes(failure.code)),
        _ => None,
    }
}

/// What all attempts took together; the rest is the last one's.
fn add(mut last: TurnOutcome, before: Option<TurnOutcome>) -> TurnOutcome {
    let Some(before) = before else { return last };
    last.usage = before.usage.plus(last.usage);
    last.cost_usd += before.cost_usd;
    last.tools_ran |= before.tools_ran;
    last.session = last.session.or(before.session);
    last.also_used(before.models);
    last
}

/// A number from 0 to 1 that nobody can foresee.
pub(crate) fn chance() -> f64 {
    let (_, low) = Uuid::new_v4().as_u64_pair();
    #[expect(clippy::cast_precision_loss, reason = "53 bits are plenty")]
    let unit = (low >> 11) as f64 / (1_u64 << 53) as f64;
    unit
}

/// Runs a turn, again after each of `pauses` while it fails in a passing way. An established session is resumed; `prompts`
/// makes the text of an attempt, told whether one was cut off before, and how the last one failed.
pub(crate) async fn run(
    backend: &dyn Backend,
    mut request: TurnRequest,
    prompt: impl Fn(&TurnRequest, bool, FailureCode) -> String,
    pauses: &[Duration],
    observer: &dyn Observer,
    halt: &CancellationToken,
) -> TurnOutcome {
    let began = tokio::time::Instant::now();
    let (wall, budget) = (request.timeouts.wall, request.budget_usd);
    let mut before: Option<TurnOutcome> = None;
    let mut left = pauses.iter();
    let attempts = pauses.len() + 1;
    let mut attempt = 1;
    loop {
        let asked = request.session;
        let outcome = backend.run(request.clone(), observer, halt.clone()).await;
        let next = failure(&outcome)
            .and_then(|failure| Some((failure.message.clone(), failure.code, next_session(asked, &outcome)?)));
        let outcome = add(outcome, before.take());
        request.timeouts.wall = wall.saturating_sub(began.elapsed());
        request.budget_usd = budget.map(|budget| budget - outcome.cost_usd);
        let spent = request.timeouts.wall < TIME_MIN || request.budget_usd.is_some_and(|usd| usd < USD_MIN);
        let (Some((why, code, session)), false, Some(pause)) = (next, spent || halt.is_cancelled(), left.next()) else {
            return outcome;
        };
        let pause = pause.mul_f64(1.0 + JITTER * chance());
        observer.event(Event::Notice {
            text: format!(
                "{why} Attempt {} of {attempts} follows in {:.1} s.",
                attempt + 1,
                pause.as_secs_f64()
            ),
        });
        attempt += 1;
        tokio::select! {
            biased;
            () = halt.cancelled() => {
                return TurnOutcome { verdict: Verdict::Stopped, ..outcome };
            }
            () = tokio::time::sleep(pause) => {}
        }
        request.session = session;
        request.prompt = prompt(&request, matches!(session, Session::Resume(_)), code);
        before = Some(outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tc_retry_4_a_code_says_whether_a_failure_passes() {
        use FailureCode as Code;
        let passing = [
            Code::Overloaded,
            Code::RateLimited,
            Code::ApiUnavailable,
            Code::StartTimeout,
        ];
        for code in passing {
            assert!(passes(code), "{code:?}");
        }
        for code in [
            Code::Authentication,
            Code::Billing,
            Code::ModelNotFound,
            Code::PromptTooLong,
            Code::InvalidRequest,
            Code::Refused,
            Code::MaxTurns,
            Code::Budget,
            // They may have done anything, or would do the same again.
            Code::IdleTimeout,
            Code::WallTimeout,
            Code::Crashed,
            Code::BadArguments,
            Code::ProgramMissing,
            Code::SpawnFailed,
            Code::Sandbox,
            Code::BlankMessage,
            Code::Storage,
            Code::Unknown,
        ] {
            assert!(!passes(code), "{code:?}");
        }
    }
}
