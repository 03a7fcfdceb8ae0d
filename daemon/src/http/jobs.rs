//! Jobs: what the clock sends, what became of it, and a person's hand on it.

mod body;
pub(super) mod check;
mod view;

pub(super) use body::wrong_with;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query as Parameters, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::StatusCode;
use reveille_vault::agent::{Job, Problem, tag};
use reveille_vault::{ContentChange, Key, NewNote, Note, NoteId, Patch, Precondition, Vault, VaultError};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

use self::body::{Change, Draft};
use self::view::{JobAnswer, JobList, JobRan, JobRemoved, JobRuns, View, problems_of, run_view, view};
use super::error::{ApiError, Body, OptionalBody, Segment};
use super::{Api, Caller};
use crate::crash;
use crate::inbox::shown;
use crate::registry::Agent;
use crate::schedule::{JobKey, LedgerError, Listed, PROBLEM_CHARS, RunError};

/// A refusal that may name everything that is wrong.
pub(super) enum JobError {
    Api(ApiError),
    Invalid(StatusCode, Vec<Problem>),
}

impl<E: Into<ApiError>> From<E> for JobError {
    fn from(error: E) -> Self {
        Self::Api(error.into())
    }
}

impl From<LedgerError> for ApiError {
    fn from(error: LedgerError) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "schedule_unavailable",
            error.to_string(),
        )
        .then("Nothing was changed. See `reveille doctor`, then try again.")
    }
}

impl IntoResponse for JobError {
    fn into_response(self) -> Response {
        match self {
            Self::Api(error) => error.into_response(),
            Self::Invalid(status, problems) => {
                let first = problems.first();
                let first = first.map(|problem| {
                    format!(
                        "{}: {}",
                        body::name_of(&problem.key),
                        shown(&problem.message, PROBLEM_CHARS)
                    )
                });
                let first = first.unwrap_or_default();
                let body = json!({
                    "error": "invalid_job",
                    "message": format!("{first}."),
                    "next_step": "Nothing was done. Correct it and send it again.",
                    "problems": problems_of(&problems),
                });
                (status, Json(body)).into_response()
            }
        }
    }
}

#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// The agent.
    agent: Option<String>,
    /// The same.
    channel: Option<String>,
    /// Whose jobs alone are there for who asks.
    #[serde(skip)]
    #[param(ignore)]
    vault: Option<String>,
}

impl Which {
    fn of(query: Result<Parameters<Self>, QueryRejection>) -> Result<Self, ApiError> {
        let Parameters(which) = query.map_err(|error| {
            ApiError::new(StatusCode::BAD_REQUEST, "invalid_query", error.body_text())
                .then("Name the agent as `channel`, or nothing.")
        })?;
        Ok(which)
    }

    /// As far as the caller sees: for a turn there are only the jobs of its vault.
    fn seen_by(mut self, caller: &Caller) -> Self {
        if let Caller::Turn(origin) = caller {
            self.vault = Some(origin.vault.clone());
        }
        self
    }

    fn fits(&self, job: &Listed) -> bool {
        if self.vault.as_ref().is_some_and(|vault| *vault != job.key.vault) {
            return false;
        }
        let channel = job.channel();
        [&self.agent, &self.channel]
            .into_iter()
            .flatten()
            .all(|asked| *asked == channel)
    }
}

/// What the clock sends, of one agent or of all.
#[utoipa::path(
    get, path = "/api/jobs", operation_id = "listJobs", tag = "jobs", params(Which),
    responses((status = 200, description = "The jobs.", body = JobList)),
)]
pub(super) async fn list(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    which: Result<Parameters<Which>, QueryRejection>,
) -> Result<Json<JobList>, ApiError> {
    let which = Which::of(which)?.seen_by(&caller);
    api.inbox.jobs.catch_up().await;
    let jobs = api.inbox.jobs.list();
    let jobs = jobs.iter().filter(|job| which.fits(job)).map(view).collect();
    Ok(Json(JobList { jobs }))
}

/// As much of a name as a person needs to know it again.
fn brief(id: &str) -> String {
    shown(id, 100)
}

/// All jobs that a text in an address may mean.
fn meant(api: &Api, id: &str, which: &Which) -> Vec<Listed> {
    let mut jobs = api.inbox.jobs.list();
    jobs.retain(|job| which.fits(job));
    if let Some(exact) = jobs.iter().position(|job| job.key.note.as_str() == id) {
        return vec![jobs.swap_remove(exact)];
    }
    jobs.retain(|job| job.id() == id);
    jobs
}

fn ambiguous(id: &str, jobs: &[Listed]) -> ApiError {
    let name = |job: &Listed| {
        let JobKey { vault, note } = &job.key;
        format!("channel {} (note {note} in vault {vault})", brief(&job.channel()))
    };
    let names: Vec<String> = jobs.iter().map(name).collect();
    let message = format!("{} jobs are called {:?}: {}", jobs.len(), brief(id), names.join(", "));
    ApiError::new(StatusCode::CONFLICT, "ambiguous_job", message)
        .then("Nothing was done. Add `?channel=…`, or use the id of the note.")
}

/// The one that it means; `None` when there is none.
fn find_any(api: &Api, id: &str, which: &Which) -> Result<Option<Listed>, ApiError> {
    let mut jobs = meant(api, id, which);
    if jobs.len() > 1 {
        return Err(ambiguous(id, &jobs));
    }
    if let Some(job) = jobs.pop() {
        return Ok(Some(job));
    }
    let Some((vault, reason)) = api.inbox.progress.unread() else {
        return Ok(None);
    };
    let message = format!(
        "There is no job {:?} in the vaults that were read, and the vault {vault:?} was not read yet: {reason}.",
        brief(id)
    );
    Err(
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "vault_unavailable", message)
            .then("Nothing was done. Try again; `reveille vault list` says how the vaults stand."),
    )
}

fn find(api: &Api, id: &str, which: &Which) -> Result<Listed, ApiError> {
    find_any(api, id, which)?.ok_or_else(|| {
        ApiError::new(
            StatusCode::NOT_FOUND,
            "unknown_job",
            format!("There is no job {:?}.", brief(id)),
        )
        .then("List the jobs with `reveille job list`, or make one with `reveille job add`.")
    })
}

fn vault_of(api: &Api, key: &JobKey) -> Result<Arc<dyn Vault>, ApiError> {
    api.vaults
        .get(&key.vault)
        .ok_or_else(|| ApiError::unknown_vault(&key.vault, &api.vaults))
}

/// A job.
#[utoipa::path(
    get, path = "/api/jobs/{id}", operation_id = "getJob", tag = "jobs",
    params(("id" = String, Path, description = "The job: its id, or its note."), Which),
    responses(
        (status = 200, description = "The job.", body = View),
        (status = 404, description = "There is no such job: `unknown_job`, `unknown_vault`, `unknown_note`."),
        (status = 409, description = "Several jobs are called so: `ambiguous_job`."),
    ),
)]
pub(super) async fn show(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Segment(id): Segment,
    which: Result<Parameters<Which>, QueryRejection>,
) -> Result<Json<View>, ApiError> {
    api.inbox.jobs.catch_up().await;
    Ok(Json(view(&find(&api, &id, &Which::of(which)?.seen_by(&caller))?)))
}

/// A job as it is after a write, whether or not the feed has come that far.
async fn written(api: &Api, vault: &Arc<dyn Vault>, note: &Note) -> Json<JobAnswer> {
    api.inbox.caught_up(&**vault).await;
    let key = JobKey {
        vault: vault.name().to_owned(),
        note: note.id.clone(),
    };
    let known = api.inbox.jobs.get(&key);
    let known = known.filter(|job| job.note.updated_at >= note.updated_at);
    let job = known.unwrap_or_else(|| api.inbox.jobs.preview(&key, note));
    let job = view(&job);
    Json(JobAnswer { ok: true, job })
}

/// Makes a job, or changes the one that the agent has under that id. What is left out stays as it was there.
#[utoipa::path(
    post, path = "/api/jobs", operation_id = "putJob", tag = "jobs", request_body = Draft,
    responses(
        (status = 200, description = "The job as it is now.", body = JobAnswer),
        (status = 404, description = "There is no such agent or vault, or the note is gone: `unknown_agent`, `unknown_vault`, `unknown_note`."),
        (status = 409, description = "Several jobs are called so, or another note has its place: `ambiguous_job`, `path_conflict`."),
    ),
)]
pub(super) async fn put(State(api): State<Api>, Body(draft): Body<Draft>) -> Result<Json<JobAnswer>, JobError> {
    let id = draft.id();
    let channel = draft.channel();
    let agent = channel.as_deref().and_then(|channel| api.registry.get(channel));
    if let Some(job) = check::before(&api, &draft, agent.as_ref())? {
        return replace(&api, draft, &job, agent.is_some()).await;
    }
    let change = draft
        .clone()
        .check(None, agent.is_some(), &api.inbox.jobs)
        .map_err(|problems| JobError::Invalid(StatusCode::BAD_REQUEST, problems))?;
    let (Some(agent), Some(id)) = (agent, id) else {
        return Err(ApiError::unknown_agent(&channel.unwrap_or_default()).into());
    };
    let path = Job::path(&agent.definition.name, &id);
    let new = NewNote {
        id: Some(NoteId::generate()),
        path: Some(path.clone()),
        tags: vec![tag::JOB.into()],
        ..change.new_note()
    };
    let note = match agent.vault.create(new).await {
        Err(VaultError::PathTaken { path }) => {
            // Somebody else may have made it just now. Another job, or what is none, is left alone.
            api.inbox.caught_up(&*agent.vault).await;
            let there = match check::before(&api, &draft, Some(&agent))? {
                Some(job) => Some(job),
                None => at(&api, &agent, &path, &id).await?,
            };
            let Some(job) = there else {
                return Err(VaultError::PathTaken { path }.into());
            };
            return replace(&api, draft, &job, true).await;
        }
        created => created?,
    };
    crash::point("job.created");
    Ok(written(&api, &agent.vault, &note).await)
}

/// The job of that id and that agent whose note is there, also before the feed has come to it.
async fn at(api: &Api, agent: &Agent, path: &str, id: &str) -> Result<Option<Listed>, ApiError> {
    let note = match agent.vault.get(&Key::Path(path.to_owned())).await {
        // Then it is not known to be the job.
        Err(VaultError::Damaged { .. }) => None,
        note => note?,
    };
    let found = note.filter(Job::is).map(|note| {
        let key = JobKey {
            vault: agent.vault.name().to_owned(),
            note: note.id.clone(),
        };
        api.inbox.jobs.preview(&key, &note)
    });
    let is_it = |job: &Job| job.id == id && job.agent == agent.definition.name;
    Ok(found.filter(|job| job.parsed.as_ref().is_ok_and(|job| is_it(job))))
}

/// Changes the job that is there. `known`: so is the agent.
async fn replace(api: &Api, draft: Draft, job: &Listed, known: bool) -> Result<Json<JobAnswer>, JobError> {
    let change = draft
        .check(Some(&*job.note), known, &api.inbox.jobs)
        .map_err(|problems| JobError::Invalid(StatusCode::BAD_REQUEST, problems))?;
    let vault = vault_of(api, &job.key)?;
    let key = Key::Id(job.key.note.clone());
    let note = vault.patch(&key, change.patch(&*vault), Precondition::Force).await?;
    Ok(written(api, &vault, &note).await)
}

async fn change(api: &Api, id: &str, which: &Which, change: Change) -> Result<Json<JobAnswer>, JobError> {
    let job = find(api, id, which)?;
    let vault = vault_of(api, &job.key)?;
    let note = vault.get(&Key::Id(job.key.note.clone())).await?;
    let note = note.ok_or_else(|| VaultError::NotFound {
        key: job.key.note.to_string(),
    })?;
    change
        .check(&note, &api.inbox.jobs)
        .map_err(|problems| JobError::Invalid(StatusCode::BAD_REQUEST, problems))?;
    let note = vault
        .patch(&Key::Id(note.id), change.patch(&*vault), Precondition::Force)
        .await?;
    Ok(written(api, &vault, &note).await)
}

/// Changes a job. Checked before it is written.
#[utoipa::path(
    patch, path = "/api/jobs/{id}", operation_id = "editJob", tag = "jobs",
    params(("id" = String, Path, description = "The job: its id, or its note."), Which),
    request_body = body::Edit,
    responses(
        (status = 200, description = "The job as it is now.", body = JobAnswer),
        (status = 404, description = "There is no such job: `unknown_job`, `unknown_vault`, `unknown_note`."),
        (status = 409, description = "Several jobs are called so: `ambiguous_job`."),
    ),
)]
pub(super) async fn edit(
    State(api): State<Api>,
    Segment(id): Segment,
    which: Result<Parameters<Which>, QueryRejection>,
    Body(edit): Body<body::Edit>,
) -> Result<Json<JobAnswer>, JobError> {
    let edit = edit
        .read()
        .map_err(|problems| JobError::Invalid(StatusCode::BAD_REQUEST, problems))?;
    change(&api, &id, &Which::of(which)?, edit).await
}

/// Why a job is paused.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = JobPauseRequest)]
pub(super) struct Pause {
    /// For people.
    reason: Option<String>,
}

/// Pauses a job: from now on no occurrence runs.
#[utoipa::path(
    post, path = "/api/jobs/{id}/pause", operation_id = "pauseJob", tag = "jobs",
    params(("id" = String, Path, description = "The job: its id, or its note."), Which),
    request_body = Option<Pause>,
    responses(
        (status = 200, description = "The job as it is now.", body = JobAnswer),
        (status = 404, description = "There is no such job: `unknown_job`, `unknown_vault`, `unknown_note`."),
        (status = 409, description = "Several jobs are called so: `ambiguous_job`."),
    ),
)]
pub(super) async fn pause(
    State(api): State<Api>,
    Segment(id): Segment,
    which: Result<Parameters<Which>, QueryRejection>,
    OptionalBody(pause): OptionalBody<Pause>,
) -> Result<Json<JobAnswer>, JobError> {
    let asked = Change::pause(pause.reason.as_deref());
    change(&api, &id, &Which::of(which)?, asked).await
}

/// Lets a job run again: the next occurrence runs; those of the pause are written down as skipped.
#[utoipa::path(
    post, path = "/api/jobs/{id}/resume", operation_id = "resumeJob", tag = "jobs",
    params(("id" = String, Path, description = "The job: its id, or its note."), Which),
    responses(
        (status = 200, description = "The job as it is now.", body = JobAnswer),
        (status = 404, description = "There is no such job: `unknown_job`, `unknown_vault`, `unknown_note`."),
        (status = 409, description = "Several jobs are called so: `ambiguous_job`."),
    ),
)]
pub(super) async fn resume(
    State(api): State<Api>,
    Segment(id): Segment,
    which: Result<Parameters<Which>, QueryRejection>,
) -> Result<Json<JobAnswer>, JobError> {
    change(&api, &id, &Which::of(which)?, Change::resume()).await
}

/// Removes a job: its note.
#[utoipa::path(
    delete, path = "/api/jobs/{id}", operation_id = "removeJob", tag = "jobs",
    params(("id" = String, Path, description = "The job: its id, or its note."), Which),
    responses(
        (status = 200, description = "There is no such job any more.", body = JobRemoved),
        (status = 404, description = "Its vault is gone: `unknown_vault`."),
        (status = 409, description = "Several jobs are called so: `ambiguous_job`."),
    ),
)]
pub(super) async fn remove(
    State(api): State<Api>,
    Segment(id): Segment,
    which: Result<Parameters<Which>, QueryRejection>,
) -> Result<Json<JobRemoved>, ApiError> {
    let removed = match find_any(&api, &id, &Which::of(which)?)? {
        None => false,
        Some(job) => {
            let vault = vault_of(&api, &job.key)?;
            let removed = match vault.delete(&Key::Id(job.key.note.clone())).await {
                Err(VaultError::NotFound { .. }) => false,
                removed => removed.map(|_| true)?,
            };
            api.inbox.caught_up(&*vault).await;
            removed
        }
    };
    Ok(Json(JobRemoved { ok: true, id, removed }))
}

/// Sends the message of a job now, whatever the schedule says and also when it is paused. It is durable when this is answered.
#[utoipa::path(
    post, path = "/api/jobs/{id}/run", operation_id = "runJob", tag = "jobs",
    params(("id" = String, Path, description = "The job: its id, or its note."), Which),
    responses(
        (status = 200, description = "The message is stored, or why not.", body = JobRan),
        (status = 404, description = "There is no such job: `unknown_job`, `unknown_vault`."),
        (status = 409, description = "It does not hold together, or several jobs are called so: `invalid_job`, `ambiguous_job`."),
    ),
)]
pub(super) async fn run(
    State(api): State<Api>,
    Segment(id): Segment,
    which: Result<Parameters<Which>, QueryRejection>,
) -> Result<Json<JobRan>, JobError> {
    let job = find(&api, &id, &Which::of(which)?)?;
    let ran = match api.inbox.jobs.run_now(&job.key).await {
        Ok(ran) => ran,
        Err(RunError::Broken(problems)) => return Err(JobError::Invalid(StatusCode::CONFLICT, problems)),
        Err(RunError::Ledger(error)) => return Err(error.into()),
        Err(error @ RunError::Unknown) => {
            let gone = ApiError::new(StatusCode::NOT_FOUND, "unknown_job", error.to_string());
            return Err(gone
                .then("Nothing was sent. List the jobs with `reveille job list`.")
                .into());
        }
    };
    // By either name: the one of the other routes, and the one that a history has.
    let message = ran.message.as_ref().map(ToString::to_string);
    let mut answer = JobRan {
        ok: true,
        id: job.id(),
        status: ran.status.clone(),
        note_id: message.clone(),
        message_id: message,
        turn: None,
    };
    if let Some(message) = &ran.message {
        api.inbox.caught_up(&*vault_of(&api, &job.key)?).await;
        if let Some(turn) = api.queue.turn_of(&job.key.vault, message.as_str()).await? {
            answer.turn = Some(turn.id);
        }
    }
    Ok(Json(answer))
}

/// What became of the occurrences of a job, the newest first. So many are kept that this is one page.
#[utoipa::path(
    get, path = "/api/jobs/{id}/runs", operation_id = "listJobRuns", tag = "jobs",
    params(("id" = String, Path, description = "The job: its id, or its note."), Which),
    responses(
        (status = 200, description = "The occurrences.", body = JobRuns),
        (status = 404, description = "There is no such job: `unknown_job`."),
        (status = 409, description = "Several jobs are called so: `ambiguous_job`."),
    ),
)]
pub(super) async fn runs(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Segment(id): Segment,
    which: Result<Parameters<Which>, QueryRejection>,
) -> Result<Json<JobRuns>, ApiError> {
    let job = find(&api, &id, &Which::of(which)?.seen_by(&caller))?;
    api.inbox.jobs.catch_up().await;
    let mut runs = Vec::new();
    for run in api.inbox.jobs.runs(&job.key).await? {
        runs.push(run_view(&api, &job.key, &run).await?);
    }
    Ok(Json(JobRuns { runs }))
}

impl Change {
    fn patch(&self, vault: &dyn Vault) -> Patch {
        let mut patch = Patch {
            content: self.message.clone().map_or(ContentChange::Keep, ContentChange::Replace),
            metadata: self.set.clone(),
            ..Patch::default()
        };
        if vault.capabilities().remove_metadata {
            patch.remove_metadata.clone_from(&self.unset);
        } else {
            // A blank schedule would be a wrong one.
            let none = self.unset.iter().map(|key| (key.clone(), Value::Null));
            patch.metadata.extend(none);
        }
        patch
    }

    fn new_note(&self) -> NewNote {
        NewNote {
            content: self.message.clone().unwrap_or_default(),
            metadata: self.set.clone(),
            ..NewNote::default()
        }
    }
}
