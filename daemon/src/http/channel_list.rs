//! The channels that are served, as clients of other daemons of this kind ask for them.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;

/// A channel.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Channel {
    /// The agent's.
    name: String,
    /// How its messages come and go: notes of a vault.
    transport: &'static str,
    vault: String,
}

/// Channels.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChannelList {
    channels: Vec<Channel>,
}

/// The channels that are served: one of each agent. Nothing that is secret.
#[utoipa::path(
    get, path = "/api/channels", operation_id = "listChannels", tag = "channels",
    responses((status = 200, description = "The channels.", body = ChannelList)),
)]
pub(super) async fn list(State(api): State<Api>) -> Json<ChannelList> {
    let live = api.registry.list().into_iter().filter(|listed| listed.live);
    let channels = live.map(|listed| Channel {
        name: listed.name,
        transport: "vault",
        vault: listed.vault,
    });
    let channels = channels.collect();
    Json(ChannelList { channels })
}
