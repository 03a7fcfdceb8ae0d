//! Jobs and their occurrences as they are answered.

use reveille_vault::agent::Problem;
use reveille_vault::note::millis;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::Api;
use super::super::error::{ApiError, Flaw};
use super::super::wire::TurnState;
use super::body;
use crate::inbox::shown;
use crate::schedule::{Code, JobKey, Listed, PROBLEM_CHARS, Run, RunState};

/// What is wrong, by the names that requests have.
pub(super) fn problems_of(problems: &[Problem]) -> Vec<Flaw> {
    let view = |problem: &Problem| Flaw {
        key: body::name_of(&problem.key).to_owned(),
        message: shown(&problem.message, PROBLEM_CHARS),
    };
    problems.iter().map(view).collect()
}

/// When a job is due: either `cron` or `at`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobSchedule)]
pub(in crate::http) struct Schedule {
    /// Five fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    cron: Option<String>,
    /// Once, at this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    /// Name of a time zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    tz: Option<String>,
}

/// What the clock sends.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Job)]
pub(in crate::http) struct View {
    id: String,
    note_id: String,
    vault: String,
    /// The agent that gets the message.
    channel: String,
    message: String,
    enabled: bool,
    /// `enabled`, `paused`, `done` or `error`.
    status: &'static str,
    /// More on the status, for a person.
    #[serde(rename = "status_detail")]
    status_detail: String,
    /// What keeps it from running.
    problems: Vec<Flaw>,
    /// What looks wrong with it.
    warnings: Vec<Flaw>,
    /// What is done about occurrences of a time when the daemon did not run.
    #[serde(rename = "catch_up")]
    catch_up: String,
    /// What is done when the turn of the last one still runs.
    overlap: String,
    created_at: String,
    schedule: Schedule,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_run_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_status: Option<String>,
    /// The conversation that its messages belong to.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(rename = "pause_reason", skip_serializing_if = "Option::is_none")]
    pause_reason: Option<String>,
    /// The agent that wrote it.
    #[serde(rename = "defined_by", skip_serializing_if = "Option::is_none")]
    defined_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_run_at: Option<String>,
}

pub(super) fn view(listed: &Listed) -> View {
    let note = &listed.note;
    let (problems, warnings) = match &listed.parsed {
        Ok(job) => (Vec::new(), problems_of(&job.warnings)),
        Err(problems) => (problems_of(problems), Vec::new()),
    };
    View {
        id: listed.id(),
        note_id: listed.key.note.to_string(),
        vault: listed.key.vault.clone(),
        channel: listed.channel(),
        message: note.content.trim().to_owned(),
        enabled: note.text("enabled").as_deref() != Some("false"),
        status: listed.status,
        status_detail: listed.detail.clone(),
        problems,
        warnings,
        catch_up: note.text("catch_up").unwrap_or_else(|| "once".into()),
        overlap: note.text("overlap").unwrap_or_else(|| "queue".into()),
        created_at: note
            .text("createdAt")
            .unwrap_or_else(|| millis::format(note.created_at)),
        schedule: Schedule {
            cron: note.text("cron"),
            at: note.text("at"),
            tz: note.text("tz"),
        },
        last_run_at: listed.last_run_at.clone(),
        last_status: listed.last_status.clone(),
        subject: note.text("subject"),
        pause_reason: note.text("pause_reason"),
        defined_by: note.text("defined_by"),
        next_run_at: listed.next_run_at.map(millis::format),
    }
}

/// What the clock sends.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct JobList {
    pub(super) jobs: Vec<View>,
}

/// A job after a change.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct JobAnswer {
    pub(super) ok: bool,
    pub(super) job: View,
}

/// What became of a job that was to be removed.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct JobRemoved {
    pub(super) ok: bool,
    pub(super) id: String,
    /// False: there was no such job.
    pub(super) removed: bool,
}

/// A message that a job has sent.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct JobRan {
    pub(super) ok: bool,
    pub(super) id: String,
    /// `ok`, or `error: …`.
    pub(super) status: String,
    /// The note of the message.
    #[serde(rename = "noteId", skip_serializing_if = "Option::is_none")]
    pub(super) note_id: Option<String>,
    /// The same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message_id: Option<String>,
    /// The turn that answers it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) turn: Option<Uuid>,
}

/// What became of the occurrences of a job.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct JobRuns {
    pub(super) runs: Vec<RunView>,
}

/// The turn of an occurrence.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobRunTurn)]
pub(in crate::http) struct RunTurn {
    id: Uuid,
    state: TurnState,
}

/// What became of an occurrence, or of several that were skipped together.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobRun)]
pub(in crate::http) struct RunView {
    /// When it was due.
    occurrence_at: String,
    /// When that was written down.
    at: String,
    /// Why it ran or not, such as `scheduled` or `manual`.
    kind: &'static str,
    /// What became of it, such as `fired` or `skipped`.
    state: &'static str,
    /// Occurrences that this stands for.
    count: u64,
    /// The last of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    until_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    /// The note of its message.
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    turn: Option<RunTurn>,
}

pub(super) async fn run_view(api: &Api, key: &JobKey, run: &Run) -> Result<RunView, ApiError> {
    let message = run.message.as_ref().filter(|_| run.state == RunState::Fired);
    let turn = match message {
        Some(message) => api.queue.turn_of(&key.vault, message.as_str()).await?,
        None => None,
    };
    Ok(RunView {
        occurrence_at: millis::format(run.occurrence_at),
        at: millis::format(run.at),
        kind: run.kind.as_str(),
        state: run.state.as_str(),
        count: run.count.into(),
        until_at: run.until_at.map(millis::format),
        code: run.code.map(Code::as_str),
        reason: run.reason.clone(),
        outcome: run.outcome.clone(),
        message_id: message.map(ToString::to_string),
        turn: turn.map(|turn| RunTurn {
            id: turn.id,
            state: turn.state.into(),
        }),
    })
}
