//! `POST /api/jobs/validate`: what a job would amount to, and when it would be due, told while it is being written.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use reveille_vault::Note;
use reveille_vault::agent::Schedule;
use reveille_vault::note::millis;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::Api;
use super::super::error::{ApiError, Body, Flaw};
use super::body::{Draft, blank};
use super::view::problems_of;
use super::{Which, ambiguous, meant};
use crate::registry::Agent;
use crate::schedule::Listed;

/// How many occurrences are told.
const NEXT: usize = 5;

/// When a job would be due.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobOccurrence)]
pub(in crate::http) struct Occurrence {
    at: String,
    /// The same on the clock of the job's zone.
    local: String,
}

/// What a job would amount to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobVerdict)]
pub(in crate::http) struct Verdict {
    /// It could be made as it is.
    ok: bool,
    /// What keeps it from that.
    problems: Vec<Flaw>,
    /// What looks wrong with it all the same.
    warnings: Vec<Flaw>,
    /// The zone whose clock counts; null when the schedule cannot be read.
    #[schema(required)]
    tz: Option<String>,
    /// The next five times, as far as there are so many. They are told also of a job that is not whole, once its schedule is.
    next: Vec<Occurrence>,
}

/// The first times from now on.
fn next(schedule: &Schedule) -> Vec<Occurrence> {
    let times = std::iter::successors(schedule.next(Timestamp::now()), |at| schedule.next(*at));
    let one = |at: Timestamp| Occurrence {
        at: millis::format(at),
        local: at
            .to_zoned(schedule.zone.clone())
            .strftime("%Y-%m-%dT%H:%M:%S%:z")
            .to_string(),
    };
    times.take(NEXT).map(one).collect()
}

/// The job of that agent and that name; of another vault it is another one.
pub(super) fn before(api: &Api, draft: &Draft, agent: Option<&Agent>) -> Result<Option<Listed>, ApiError> {
    let (Some(id), Some(channel)) = (draft.id(), draft.channel()) else {
        return Ok(None);
    };
    let which = Which {
        agent: Some(channel),
        ..Which::default()
    };
    let mut named = meant(api, &id, &which);
    // In another vault it wakes nobody: that one is left alone.
    named.retain(|job| agent.is_none_or(|agent| agent.vault.name() == job.key.vault));
    if named.len() > 1 {
        return Err(ambiguous(&id, &named));
    }
    Ok(named.pop())
}

/// What a job would amount to, and when it would be due. Nothing is written.
#[utoipa::path(
    post, path = "/api/jobs/validate", operation_id = "validateJob", tag = "jobs", request_body = Draft,
    responses(
        (status = 200, description = "The verdict, also on a job that does not hold together.", body = Verdict),
        (status = 409, description = "Several jobs are called so: `ambiguous_job`."),
    ),
)]
pub(in crate::http) async fn validate(
    State(api): State<Api>,
    Body(draft): Body<Draft>,
) -> Result<Json<Verdict>, ApiError> {
    let agent = draft.channel().and_then(|channel| api.registry.get(&channel));
    let listed = before(&api, &draft, agent.as_ref())?;
    let jobs = &api.inbox.jobs;
    let note: Option<&Note> = listed.as_ref().map(|job| &*job.note);
    let schedule = draft.schedule(jobs);
    let judged = draft
        .check(note, agent.is_some(), jobs)
        .and_then(|change| change.check(note.unwrap_or(&blank()), jobs));
    let (problems, warnings) = match judged {
        Ok(job) => (Vec::new(), problems_of(&job.warnings)),
        Err(problems) => (problems_of(&problems), Vec::new()),
    };
    Ok(Json(Verdict {
        ok: problems.is_empty(),
        problems,
        warnings,
        tz: schedule.as_ref().map(|schedule| schedule.zone_name.clone()),
        next: schedule.as_ref().map_or_else(Vec::new, next),
    }))
}
