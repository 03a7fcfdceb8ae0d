//! The tools of an attached agent: its messages are taken one by one, by a session that serves it.

use rmcp::RoleServer;
use rmcp::service::RequestContext;
use serde_json::json;

use super::hearer::perhaps_gone;
use crate::http::vault_api::mcp::arguments::Arguments;
use crate::http::vault_api::mcp::server::{Refusal, Told};
use crate::http::{Api, Caller};

fn as_json(value: impl serde::Serialize) -> Told {
    Told::of(json!(value))
}

/// `pending`
pub(super) async fn pending(api: &Api, channel: &str) -> Result<Told, Refusal> {
    Ok(as_json(api.attached.pending(channel).await?))
}

/// `next-message`
pub(super) async fn next(
    api: &Api,
    channel: &str,
    caller: &Caller,
    context: &RequestContext<RoleServer>,
) -> Result<Told, Refusal> {
    let taken = tokio::select! {
        biased;
        () = perhaps_gone(context) => None,
        taken = api.attached.next(channel, caller) => taken?,
    };
    Ok(match taken {
        Some(taken) => as_json(taken),
        None => Told::of(json!({ "message": null, "note": "no pending messages" })),
    })
}

/// `reply`
pub(super) async fn reply(
    api: &Api,
    channel: &str,
    caller: &Caller,
    mut arguments: Arguments,
) -> Result<Told, Refusal> {
    let text = arguments.needed("text")?;
    let (message, claim) = (arguments.text("inReplyTo")?, arguments.text("claim")?);
    let replied = api
        .attached
        .reply(channel, caller, &text, message.as_deref(), claim.as_deref());
    Ok(as_json(replied.await?))
}

/// `release`
pub(super) async fn release(
    api: &Api,
    channel: &str,
    caller: &Caller,
    mut arguments: Arguments,
) -> Result<Told, Refusal> {
    let (id, claim) = (arguments.needed("id")?, arguments.text("claim")?);
    let released = api.attached.release(channel, caller, &id, claim.as_deref());
    Ok(as_json(released.await?))
}

/// `renew`
pub(super) async fn renew(
    api: &Api,
    channel: &str,
    caller: &Caller,
    mut arguments: Arguments,
) -> Result<Told, Refusal> {
    let (id, claim) = (arguments.needed("id")?, arguments.text("claim")?);
    let renewed = api.attached.renew(channel, caller, &id, claim.as_deref());
    Ok(as_json(renewed.await?))
}
