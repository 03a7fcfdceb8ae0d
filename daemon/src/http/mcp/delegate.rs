//! The tools that give work to agents, and ask after it.

use std::time::Duration;

use axum::extract::State;
use axum::{Extension, Json};
use http::{Method, StatusCode};
use reveille_queue::State as TurnState;
use rmcp::RoleServer;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::RequestContext;
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::hearer::gone;
use crate::http::channels::{self, Send};
use crate::http::error::{ApiError, OptionalBody, Segment};
use crate::http::streams::MOST;
use crate::http::vault_api::mcp::arguments::Arguments;
use crate::http::vault_api::mcp::server::{Refusal, Told};
use crate::http::{Api, Caller, line, turns};

/// How long `delegate` waits unless it is told: shorter than the patience of common clients.
const WAIT: u64 = 45;
/// Longest wait.
const WAIT_MOST: u64 = 3600;
/// How often the queue is asked whether a turn has ended: it alone knows for certain.
const LOOK: Duration = Duration::from_millis(200);
/// A client that wants to hear of progress hears at least so often.
const PROGRESS: Duration = Duration::from_secs(5);

/// `send`
pub(super) async fn send(api: &Api, caller: &Caller, mut arguments: Arguments) -> Result<Told, Refusal> {
    let key = arguments.text("idempotency_key")?;
    let agent = arguments.needed("agent")?;
    let (reply_to, correlation_id) = (arguments.text("reply_to")?, arguments.text("correlation_id")?);
    let send = message(&mut arguments, reply_to, correlation_id)?;
    let sent = channels::deliver(api, caller, (agent, Default::default()), send, (key.as_deref(), None)).await?;
    Ok(Told::of(json!(sent)))
}

fn message(
    arguments: &mut Arguments,
    reply_to: Option<String>,
    correlation_id: Option<String>,
) -> Result<Send, Refusal> {
    Ok(Send {
        text: arguments.needed("text")?,
        sender: None,
        subject: arguments.text("subject")?,
        thread: None,
        mode: arguments.text("mode")?,
        reply_to,
        correlation_id,
        chain_id: None,
        claim: arguments.text("claim")?,
        attachments: arguments.texts("attachments")?,
    })
}

/// `delegate`
pub(super) async fn delegate(
    api: &Api,
    caller: &Caller,
    mut arguments: Arguments,
    context: &RequestContext<RoleServer>,
) -> Result<Told, Refusal> {
    let key = arguments.text("idempotency_key")?;
    let agent = arguments.needed("agent")?;
    let wait = seconds(&mut arguments)?.unwrap_or(WAIT);
    let origin = match caller {
        Caller::Turn(origin) => Some(origin),
        _ => None,
    };
    let correlation = origin.map(|_| Uuid::now_v7().to_string());
    let requester = origin.map(|origin| origin.agent.clone());
    let send = message(&mut arguments, requester, correlation.clone())?;
    let sent = channels::deliver(
        api,
        caller,
        (agent.clone(), Default::default()),
        send,
        (key.as_deref(), None),
    )
    .await?;
    let mut told = json!(sent);
    if origin.is_some() {
        told["correlation_id"] = json!(correlation);
        told["note"] = format!(
            "{agent} has it. The outcome wakes you with a message of its own; do not wait for it, end your turn."
        )
        .into();
        return Ok(Told::of(told));
    }
    let turn = told["turn"].as_str().and_then(|turn| turn.parse::<Uuid>().ok()); // silent-ok: told below
    let reads = caller.may(&Method::GET, "/api/turns/{turn}", "");
    let (Some(turn), true) = (turn, reads) else {
        told["note"] = "The message is stored. Your token does not reach as far as the outcome.".into();
        return Ok(Told::of(told));
    };
    outcome(api, caller, turn, Duration::from_secs(wait), context).await
}

/// `turn_status`
pub(super) async fn status(
    api: &Api,
    caller: &Caller,
    mut arguments: Arguments,
    context: &RequestContext<RoleServer>,
) -> Result<Told, Refusal> {
    let wait = seconds(&mut arguments)?.unwrap_or(0);
    let named = arguments.text("turn")?;
    if let Caller::Turn(origin) = caller {
        let own = origin.turn.to_string();
        if named.is_some_and(|named| named != own) {
            let what =
                "A turn may ask for itself only; what it has delegated is answered to it as a message of its own";
            return Err(Refusal::forbidden(what));
        }
        return Ok(Told::of(see(api, origin.turn).await?.view));
    }
    let Some(named) = named else {
        let message = "turn is missing: the turn that send or delegate told.";
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "invalid_parameter", message).into());
    };
    let turn = turns::find(api, &named).await?;
    outcome(api, caller, turn.id, Duration::from_secs(wait), context).await
}

/// `stop`
pub(super) async fn stop(api: &Api, caller: &Caller, mut arguments: Arguments) -> Result<Told, Refusal> {
    let turn = turns::find(api, &arguments.needed("turn")?).await?;
    let segment = || (State(api.clone()), Segment(turn.id.to_string()));
    if turn.state == TurnState::Waiting {
        // Nothing was begun, so there is nothing to stop but the waiting.
        let ((api, segment), by) = (segment(), OptionalBody(line::Cancel::by(caller.subject())));
        match line::cancel(api, segment, by).await {
            // It has begun just now.
            Err(error) if error.code == "running" => {}
            cancelled => return Ok(Told::of(json!(cancelled?.0))),
        }
    }
    let (api, segment) = segment();
    let stopped = turns::stop(api, Extension(caller.clone()), segment).await?;
    Ok(Told::of(json!(stopped.0)))
}

fn seconds(arguments: &mut Arguments) -> Result<Option<u64>, Refusal> {
    let wait = arguments.index("wait_seconds")?;
    Ok(wait.map(|wait| u64::try_from(wait).unwrap_or(WAIT_MOST).min(WAIT_MOST)))
}

/// How a turn stands: of one that shares another's run, that one's end.
struct Seen {
    /// It has ended.
    ended: bool,
    /// Its end is told, also by what it left to do: what is not delivered by then waits for the vault.
    told: bool,
    view: Value,
}

async fn see(api: &Api, turn: Uuid) -> Result<Seen, ApiError> {
    // First whether it has ended: what is told is then of the end, and not of a moment before.
    let found = turns::find(api, &turn.to_string()).await?;
    let leader = match found.leader {
        Some(leader) => Some(turns::find(api, &leader.to_string()).await?),
        None => None,
    };
    let whole = leader.as_ref().unwrap_or(&found);
    let ended = whole.state.is_terminal();
    let told = api.hub.story(whole.message.lane.channel.as_str(), whole.id).is_none();
    let Json(detail) = turns::show(State(api.clone()), Segment(turn.to_string())).await?;
    let mut view = json!(detail);
    if let Some(leader) = &leader {
        let shared = json!(turns::TurnDetail::of(leader, false)?);
        view["state"] = shared["state"].clone();
        for key in ["reply", "error", "note"] {
            if !shared[key].is_null() {
                view[key] = shared[key].clone();
            }
        }
    }
    let mut view = brief(&view);
    if ended && !told {
        // It is on its way.
        view["undelivered"] = false.into();
    }
    Ok(Seen { ended, told, view })
}

/// What matters to who has given the work.
fn brief(view: &Value) -> Value {
    let mut brief = json!({});
    for key in [
        "turn",
        "channel",
        "thread",
        "state",
        "held",
        "reply",
        "note",
        "error",
        "ended_by",
        "notices",
        "undelivered",
        "accepted_at",
        "claimed_at",
        "settled_at",
        "cost_usd",
    ] {
        if !view[key].is_null() {
            brief[key] = view[key].clone();
        }
    }
    brief
}

/// Waits for the end of a turn, but only so long, and only for who is there to hear of it.
async fn outcome(
    api: &Api,
    caller: &Caller,
    turn: Uuid,
    wait: Duration,
    context: &RequestContext<RoleServer>,
) -> Result<Told, Refusal> {
    let place = match wait.is_zero() {
        true => None,
        false => api.mcp.wait(caller.subject()),
    };
    let mut progress = Progress::of(context, wait);
    let until = Instant::now() + wait;
    loop {
        let Seen { ended, told, mut view } = see(api, turn).await?;
        let is_over = Instant::now() >= until;
        let may_wait = place.is_some() && !is_over;
        if ended && (told || !may_wait) {
            return Ok(Told::of(view));
        }
        if !wait.is_zero() && place.is_none() {
            view["next"] = format!(
                "It has not ended. {MOST} of your calls wait already, so this one did not; ask turn_status later."
            )
            .into();
            return Ok(Told::of(view));
        }
        if is_over {
            view["next"] =
                "It has not ended. turn_status tells how it stands, with wait_seconds it waits; stop ends it.".into();
            return Ok(Told::of(view));
        }
        progress.tell(view["state"].as_str().unwrap_or_default()).await;
        tokio::select! {
            () = tokio::time::sleep_until(until.min(Instant::now() + LOOK)) => {}
            () = gone(context) => {
                if !ended {
                    view["next"] = "The waiting was ended by you; the turn goes on.".into();
                }
                return Ok(Told::of(view));
            }
            () = api.drain.cancelled() => {
                if !ended {
                    view["next"] = "The daemon stops. What is stored is kept; ask turn_status when it is back.".into();
                }
                return Ok(Told::of(view));
            }
        }
    }
}

/// What a client that asked for it hears while it waits.
struct Progress<'a> {
    context: &'a RequestContext<RoleServer>,
    token: Option<ProgressToken>,
    began: Instant,
    wait: Duration,
    last: Option<(Instant, String)>,
}

impl<'a> Progress<'a> {
    fn of(context: &'a RequestContext<RoleServer>, wait: Duration) -> Self {
        Self {
            context,
            token: context.meta.get_progress_token(),
            began: Instant::now(),
            wait,
            last: None,
        }
    }

    /// Tells a state that is new, and an old one now and then.
    async fn tell(&mut self, state: &str) {
        let Some(token) = &self.token else { return };
        if let Some((at, told)) = &self.last
            && told == state
            && at.elapsed() < PROGRESS
        {
            return;
        }
        let mut told = ProgressNotificationParam::new(token.clone(), self.began.elapsed().as_secs_f64());
        told.total = Some(self.wait.as_secs_f64());
        told.message = Some(state.to_owned());
        if let Err(error) = self.context.peer.notify_progress(told).await {
            tracing::debug!(%error, "a client does not hear of progress");
        }
        self.last = Some((Instant::now(), state.to_owned()));
    }
}
