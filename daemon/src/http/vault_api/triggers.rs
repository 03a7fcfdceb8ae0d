//! Triggers of a vault and what they have left to deliver. The door lets in admins of the vault only.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use reveille_vault::note::millis;
use reveille_vault::triggers::{
    Delivery, DeliveryFilter, DeliveryState, Event, NewTrigger, Secret, Trigger, TriggerState, When,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::answer::{self, Failure};
use super::filters::misspelling;
use super::listing::Parameters;
use super::{Target, schema};
use crate::triggers::{address, fresh_secret};

/// How long a receiver may take unless its trigger says otherwise, and at most, in milliseconds.
const TIMEOUT: u64 = 60_000;
const TIMEOUT_MAX: u64 = 300_000;

/// Deliveries of a page unless asked otherwise, and at most.
const LIMIT: u32 = 100;
const LIMIT_MAX: u32 = 1000;

/// What `POST /api/triggers` asks for. Newer clients may say more, which is not looked at; but a misspelt `when` would tell a
/// receiver of every note.
#[derive(Deserialize)]
struct New {
    name: String,
    events: Option<Vec<String>>,
    #[serde(default)]
    when: When,
    action: Action,
    enabled: Option<bool>,
    #[serde(default)]
    rotate_secret: bool,
    #[serde(flatten)]
    other: Map<String, Value>,
}

#[derive(Deserialize)]
struct Action {
    webhook: String,
    send: Option<String>,
    timeout: Option<u64>,
    auth: Option<Bearer>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

#[derive(Deserialize)]
struct Bearer {
    bearer: Option<String>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

impl New {
    fn check_names(&self) -> Result<(), Failure> {
        let own: &[&str] = &["name", "events", "when", "action", "enabled", "rotate_secret"];
        let action: &[&str] = &["webhook", "send", "timeout", "auth"];
        let auth = self
            .action
            .auth
            .as_ref()
            .map(|auth| ("action.auth.", &["bearer"][..], &auth.other));
        let all = [("", own, &self.other), ("action.", action, &self.action.other)];
        for (place, known, other) in all.into_iter().chain(auth) {
            for name in other.keys() {
                if let Some(meant) = misspelling(&name.to_lowercase(), known) {
                    let field = format!("{place}{name}");
                    let message = format!("there is no {field}; did you mean {place}{meant}? Nothing was made");
                    return Err(Failure::invalid(field, message));
                }
            }
        }
        Ok(())
    }
}

/// Lists triggers.
#[utoipa::path(
    get, path = "/vault/{name}/api/triggers", operation_id = "listTriggers", tag = "notes",
    params(("name" = String, Path, description = "The vault.")),
    responses(
        (status = 200, description = "The triggers.", body = schema::TriggersBody),
        (status = 404, description = "There is no such vault: `vault_not_found`."),
        (status = 501, description = "This kind of vault cannot do it: `unsupported`."),
    ),
)]
pub(super) async fn list(Target { vault, .. }: Target) -> Result<Response, Failure> {
    let triggers = vault.triggers()?.list().await?;
    let triggers: Vec<Value> = triggers.iter().map(view).collect();
    Ok(answer::ok(&json!({ "triggers": triggers })))
}

/// Makes a trigger, or changes the one of that name. The answer has the signing secret when it is new.
#[utoipa::path(
    post, path = "/vault/{name}/api/triggers", operation_id = "putTrigger", tag = "notes",
    params(("name" = String, Path, description = "The vault.")),
    request_body = schema::NewTriggerBody,
    responses(
        (status = 200, description = "The trigger as it is now.", body = schema::TriggerBody),
        (status = 201, description = "The new trigger.", body = schema::TriggerBody),
        (status = 404, description = "There is no such vault: `vault_not_found`."),
        (status = 501, description = "This kind of vault cannot do it: `unsupported`."),
    ),
)]
pub(super) async fn put(
    Target { vault, .. }: Target,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Failure> {
    let triggers = vault.triggers()?;
    let new = new_trigger(parse(body)?)?;
    let secret = new.secret.clone();
    let put = triggers.put(new).await?;
    let mut answer = view(&put.trigger);
    if put.took_secret {
        answer["secret"] = secret.expose().into();
    }
    let status = if put.created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(answer)).into_response())
}

/// A trigger.
#[utoipa::path(
    get, path = "/vault/{name}/api/triggers/{key}", operation_id = "getTrigger", tag = "notes",
    params(("name" = String, Path, description = "The vault."), ("key" = String, Path, description = "Name of the trigger.")),
    responses(
        (status = 200, description = "The trigger.", body = schema::TriggerBody),
        (status = 404, description = "There is no such vault or trigger: `vault_not_found`, `not_found`."),
        (status = 501, description = "This kind of vault cannot do it: `unsupported`."),
    ),
)]
pub(super) async fn show(Target { vault, key, .. }: Target) -> Result<Response, Failure> {
    let found = vault.triggers()?.find(&key).await?;
    Ok(answer::ok(&view(&found.ok_or(Failure::UnknownTrigger)?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    enabled: bool,
}

/// Lets a trigger run or pause. Everything else is changed by putting it.
#[utoipa::path(
    patch, path = "/vault/{name}/api/triggers/{key}", operation_id = "enableTrigger", tag = "notes",
    params(("name" = String, Path, description = "The vault."), ("key" = String, Path, description = "Name of the trigger.")),
    request_body = schema::TriggerEnable,
    responses(
        (status = 200, description = "The trigger as it is now.", body = schema::TriggerBody),
        (status = 404, description = "There is no such vault or trigger: `vault_not_found`, `not_found`."),
        (status = 501, description = "This kind of vault cannot do it: `unsupported`."),
    ),
)]
pub(super) async fn enable(
    Target { vault, key, .. }: Target,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Failure> {
    let triggers = vault.triggers()?;
    let Change { enabled } = parse(body)?;
    let found = triggers.enable(&key, enabled).await?;
    Ok(answer::ok(&view(&found.ok_or(Failure::UnknownTrigger)?)))
}

/// Removes a trigger: what it has left to deliver goes with it.
#[utoipa::path(
    delete, path = "/vault/{name}/api/triggers/{key}", operation_id = "removeTrigger", tag = "notes",
    params(("name" = String, Path, description = "The vault."), ("key" = String, Path, description = "Name of the trigger.")),
    responses(
        (status = 200, description = "It is gone.", body = schema::TriggerDeleted),
        (status = 404, description = "There is no such vault or trigger: `vault_not_found`, `not_found`."),
        (status = 501, description = "This kind of vault cannot do it: `unsupported`."),
    ),
)]
pub(super) async fn remove(Target { vault, key, .. }: Target) -> Result<Response, Failure> {
    if !vault.triggers()?.remove(&key).await? {
        return Err(Failure::UnknownTrigger);
    }
    Ok(answer::ok(&json!({ "deleted": true, "name": key })))
}

/// What a trigger has told and has left to tell.
#[utoipa::path(
    get, path = "/vault/{name}/api/triggers/{key}/deliveries", operation_id = "listDeliveries", tag = "notes",
    params(("name" = String, Path, description = "The vault."), ("key" = String, Path, description = "Name of the trigger."), schema::DeliveriesParams),
    responses(
        (status = 200, description = "The deliveries.", body = schema::DeliveriesBody),
        (status = 404, description = "There is no such vault or trigger: `vault_not_found`, `not_found`."),
        (status = 501, description = "This kind of vault cannot do it: `unsupported`."),
    ),
)]
pub(super) async fn deliveries(Target { vault, key, .. }: Target, uri: Uri) -> Result<Response, Failure> {
    let triggers = vault.triggers()?;
    let parameters = Parameters::of(&uri)?;
    let number = |name: &str| {
        let text = parameters.first(name);
        let parsed = text.map(|text| {
            text.parse::<u64>()
                .map_err(|_| Failure::invalid(name, format!("{name} must be a number")))
        });
        parsed.transpose()
    };
    let state = parameters.first("state").map(|text| {
        serde_json::from_value::<DeliveryState>(text.into())
            .map_err(|_| Failure::invalid("state", "state must be waiting, delivered or dead"))
    });
    let limit = number("limit")?.map_or(LIMIT, |limit| {
        u32::try_from(limit).unwrap_or(LIMIT_MAX).clamp(1, LIMIT_MAX)
    });
    let filter = DeliveryFilter {
        state: state.transpose()?,
        before: number("before")?,
        limit,
    };
    if triggers.find(&key).await?.is_none() {
        return Err(Failure::UnknownTrigger);
    }
    let found = triggers.deliveries(&key, filter).await?;
    let full = found.len() >= limit as usize;
    let next = found.last().filter(|_| full).map(|last| last.number);
    let deliveries: Vec<Value> = found.iter().map(delivery).collect();
    // `next`: for `before`; null on the last page.
    Ok(answer::ok(&json!({ "deliveries": deliveries, "next": next })))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Redrive {
    /// Absent: all that are dead or wait for their next attempt.
    ids: Option<Vec<String>>,
}

/// Tells again what a trigger has given up or is waiting to tell.
#[utoipa::path(
    post, path = "/vault/{name}/api/triggers/{key}/redrive", operation_id = "redriveTrigger", tag = "notes",
    params(("name" = String, Path, description = "The vault."), ("key" = String, Path, description = "Name of the trigger.")),
    request_body = Option<schema::RedriveBody>,
    responses(
        (status = 200, description = "How many.", body = schema::Redriven),
        (status = 404, description = "There is no such vault or trigger: `vault_not_found`, `not_found`."),
        (status = 501, description = "This kind of vault cannot do it: `unsupported`."),
    ),
)]
pub(super) async fn redrive(
    Target { vault, key, .. }: Target,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Failure> {
    let triggers = vault.triggers()?;
    let empty = body.as_ref().is_ok_and(|body| body.trim_ascii().is_empty());
    let Redrive { ids } = if empty { Redrive::default() } else { parse(body)? };
    if triggers.find(&key).await?.is_none() {
        return Err(Failure::UnknownTrigger);
    }
    let redriven = triggers.redrive(&key, ids).await?;
    Ok(answer::ok(&json!({ "redriven": redriven })))
}

fn parse<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, Failure> {
    let body = body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Failure::TooLarge,
        _ => Failure::Invalid {
            field: None,
            message: format!("the body could not be read ({error})"),
        },
    })?;
    serde_json::from_slice(&body).map_err(|error| Failure::Invalid {
        field: None,
        message: format!("the body cannot be used: {error}"),
    })
}

fn new_trigger(new: New) -> Result<NewTrigger, Failure> {
    new.check_names()?;
    let events = match new.events {
        None => vec![Event::Created, Event::Updated],
        Some(names) => names.iter().map(event).collect::<Result<_, _>>()?,
    };
    if let Some(send) = new.action.send.filter(|send| send != "json") {
        return Err(Failure::invalid(
            "action.send",
            format!("{send:?} cannot be sent; only \"json\" can"),
        ));
    }
    if let Err(why) = address::parse(&new.action.webhook) {
        return Err(Failure::invalid(
            "action.webhook",
            format!("the address of the webhook cannot be used: {why}"),
        ));
    }
    let timeout = new.action.timeout.unwrap_or(TIMEOUT).min(TIMEOUT_MAX);
    if timeout == 0 {
        return Err(Failure::invalid(
            "action.timeout",
            "timeout must be at least 1 millisecond",
        ));
    }
    let bearer = new
        .action
        .auth
        .and_then(|auth| auth.bearer)
        .filter(|bearer| !bearer.is_empty());
    if bearer
        .as_deref()
        .is_some_and(|bearer| !bearer.bytes().all(|byte| byte.is_ascii_graphic()))
    {
        return Err(Failure::invalid(
            "action.auth.bearer",
            "it cannot be sent in a header: use printable ASCII characters without blanks",
        ));
    }
    Ok(NewTrigger {
        name: new.name,
        events,
        when: new.when,
        webhook: new.action.webhook,
        timeout: Duration::from_millis(timeout),
        bearer: bearer.map(Secret::new),
        secret: fresh_secret(),
        rotate: new.rotate_secret,
        enabled: new.enabled,
    })
}

fn event(name: &String) -> Result<Event, Failure> {
    match name.as_str() {
        "created" => Ok(Event::Created),
        "updated" => Ok(Event::Updated),
        _ => Err(Failure::invalid(
            "events",
            format!("{name:?} is told to nobody; a trigger asks for \"created\" and \"updated\""),
        )),
    }
}

/// A trigger without its secrets.
fn view(trigger: &Trigger) -> Value {
    let mut action = json!({
        "webhook": address::shown(&trigger.webhook),
        "send": "json",
        "timeout": u64::try_from(trigger.timeout.as_millis()).unwrap_or(u64::MAX),
    });
    if trigger.has_bearer {
        action["auth"] = json!({ "bearer": "…" });
    }
    json!({
        "name": trigger.name,
        "events": trigger.events,
        "when": trigger.when,
        "action": action,
        "enabled": trigger.state == TriggerState::Enabled,
        "state": trigger.state,
        "waiting": trigger.waiting,
        "dead": trigger.dead,
        "createdAt": millis::format(trigger.created_at),
        "updatedAt": millis::format(trigger.updated_at),
    })
}

fn delivery(delivery: &Delivery) -> Value {
    json!({
        "id": delivery.id,
        "number": delivery.number,
        "noteId": delivery.note,
        "event": delivery.event,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "nextAt": delivery.next_at.map(millis::format),
        "status": delivery.status,
        "error": delivery.error,
        "remark": delivery.remark,
        "createdAt": millis::format(delivery.created_at),
        "settledAt": delivery.settled_at.map(millis::format),
    })
}
