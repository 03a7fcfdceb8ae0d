//! Sending on a channel of the kind `http-ui`: its agent takes the message, or the sessions that listen get it.

use std::collections::BTreeMap;

use axum::Json;
use jiff::Timestamp;
use reveille_transports::{Bridge as _, Incoming};

use super::channels::{Send, Sent, deliver};
use super::error::ApiError;
use super::{Api, Caller};
use crate::bridges::{BRIDGE, pushed};
use crate::traces::TraceParent;

/// What its messages say of where they came from.
const SOURCE: &str = "http-ui";

/// Gives the message to the channel's agent. Without one it is for the sessions that listen at this moment.
pub(super) async fn send(
    api: &Api,
    caller: &Caller,
    channel: String,
    send: Send,
    (key, parent): (Option<&str>, Option<TraceParent>),
) -> Result<Json<Sent>, ApiError> {
    let agent = match api.bridges.ui(&channel) {
        Some(ui) => ui.agent().to_owned(),
        None => channel.clone(),
    };
    let mut origin = BTreeMap::from([
        ("source".to_owned(), SOURCE.to_owned()),
        ("ts".to_owned(), Timestamp::now().to_string()),
    ]);
    // Asked first: a name that is let go of has got its agent before.
    let is_reserved = api.registry.is_reserved(&agent);
    if api.registry.named(&agent).is_empty() {
        // It is there, only not read yet: nobody who listens would keep the message for it.
        if is_reserved {
            return Err(api.no_agent(&agent));
        }
        if send.text.trim().is_empty() {
            return Err(reveille_transports::Refusal::Blank.into());
        }
        let message = Incoming {
            agent,
            text: send.text,
            sender: caller.subject(),
            origin,
            ..Incoming::default()
        };
        let told = api.bridges.sessions().push(&channel, pushed(&message, SOURCE));
        return Ok(Json(Sent::pushed(told)));
    }
    // The same time again would be another message under the same key.
    origin.insert(BRIDGE.to_owned(), channel);
    Ok(Json(deliver(api, caller, (agent, origin), send, (key, parent)).await?))
}
