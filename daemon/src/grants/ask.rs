//! Asks a backend, and does not wait for ever.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::state::{Done, Job};
use super::{Grant, GrantBackend, GrantError};

/// Longest answer.
const CALL: Duration = Duration::from_secs(10);

/// Asks a backend for one holder. What does not answer is not asked any more this time.
pub(super) async fn ask(backend: Arc<dyn GrantBackend>, job: Job) -> Done {
    let holder = job.holder.as_str();
    let (mut answers, mut complete) = (Vec::new(), true);
    let mut known = Vec::new();
    if job.only_look {
        match call(backend.list(holder)).await {
            Ok(grants) => known = grants,
            Err(error) => {
                tracing::warn!(%error, holder, "it is not known what became of its wishes; it is asked again");
                let complete = false;
                return Done { job, answers, complete };
            }
        }
    }
    for want in &job.wants {
        let same = known.iter().find(|grant: &&Grant| grant.want.key() == want.key());
        let answer = match same {
            Some(grant) => Ok(grant.clone()),
            None => call(backend.register(holder, want)).await,
        };
        if let Err(error) = &answer {
            tracing::warn!(%error, holder, key = want.key(), "a wish could not be told to who decides; it is tried again");
            complete = false;
        }
        let away = matches!(answer, Err(GrantError::Unavailable(_)));
        answers.push(answer);
        if away {
            return Done { job, answers, complete };
        }
    }
    if !job.only_look {
        match call(backend.reconcile(holder, &job.wants)).await {
            Ok(0) => {}
            Ok(dropped) => tracing::info!(holder, dropped, "grants of wishes that are no more were dropped"),
            Err(error) => {
                tracing::warn!(%error, holder, "grants of wishes that are no more may still be there; it is tried again");
                complete = false;
            }
        }
    }
    Done { job, answers, complete }
}

/// Waits for a backend, but not for ever.
async fn call<T>(work: impl Future<Output = Result<T, GrantError>>) -> Result<T, GrantError> {
    timeout(CALL, work)
        .await
        .unwrap_or_else(|_| Err(GrantError::Unavailable(format!("no answer within {CALL:?}"))))
}
