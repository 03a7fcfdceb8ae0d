//! The tools that hand work on.

use axum::extract::State;
use axum::{Extension, Json};
use serde_json::{Value, json};

use super::super::answer::Failure;
use super::arguments::Arguments;
use super::bounds::{self, Shown};
use super::server::{Refusal, Told};
use crate::http::channels::{self, Send};
use crate::http::{Api, Caller, agents};

/// What `list-agents` tells of each.
const FIELDS: [&str; 9] = [
    "name",
    "vault",
    "status",
    "status_detail",
    "mode",
    "model",
    "waiting",
    "prompt_preview",
    "note_id",
];

/// `send-message`
pub(super) async fn send(api: &Api, caller: &Caller, mut arguments: Arguments) -> Result<Told, Refusal> {
    let agent = arguments.needed("agent")?;
    let reply_to = match (
        arguments.text("reply_to")?,
        arguments.switch("reply")?.unwrap_or(false),
        caller,
    ) {
        (Some(name), _, _) => Some(name),
        (None, false, _) => None,
        (None, true, Caller::Turn(origin)) => Some(origin.agent.clone()),
        (None, true, _) => {
            let message = "only an agent in its turn has an answer coming to itself; name the agent in reply_to instead. \
                           Nothing was sent";
            return Err(Failure::invalid("reply", message).into());
        }
    };
    let send = Send {
        text: arguments.needed("text")?,
        sender: None,
        subject: arguments.text("subject")?,
        thread: arguments.text("thread")?,
        mode: arguments.text("mode")?,
        reply_to,
        correlation_id: arguments.text("correlation_id")?,
        chain_id: None,
        claim: None,
        attachments: arguments.texts("attachments")?,
    };
    Ok(Told::of(json!(
        channels::deliver(api, caller, (agent, Default::default()), send, (None, None)).await?
    )))
}

/// `list-agents`
pub(in crate::http) async fn list(api: &Api, caller: &Caller, mut arguments: Arguments) -> Result<Told, Refusal> {
    let search = arguments.text("search")?.unwrap_or_default().to_lowercase();
    let Json(listed) = agents::list(State(api.clone()), Extension(caller.clone())).await?;
    let listed = json!(listed);
    let all = listed["agents"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = all
        .iter()
        .filter(|agent| name(agent).to_lowercase().contains(&search))
        .map(|agent| brief(agent, caller));
    let Shown { notes, left_out } = bounds::list(found.collect());
    let shown = notes.len();
    Ok(Told {
        value: notes.into(),
        more: (left_out > 0).then(|| {
            format!(
                "Only the first {shown} of {} agents are shown: search for a part of the name.",
                shown + left_out
            )
        }),
    })
}

fn name(agent: &Value) -> &str {
    agent["name"].as_str().unwrap_or_default()
}

fn brief(agent: &Value, caller: &Caller) -> Value {
    let mut brief = json!({});
    for field in FIELDS {
        if let Some(value) = agent.get(field) {
            brief[field] = value.clone();
        }
    }
    if let Caller::Turn(origin) = caller
        && origin.agent == name(agent)
    {
        brief["you"] = true.into();
    }
    brief
}
