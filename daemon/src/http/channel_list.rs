//! The channels that are served, as clients of other daemons of this kind ask for them.

use std::collections::BTreeMap;

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
    /// How its messages come and go: `vault` for notes of a vault, else the kind of its bridge.
    transport: &'static str,
    /// Absent where no agent has the name of the bridge.
    #[serde(skip_serializing_if = "Option::is_none")]
    vault: Option<String>,
}

/// Channels.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChannelList {
    channels: Vec<Channel>,
}

/// The channels that are served: one of each agent and of each bridge. Nothing that is secret.
#[utoipa::path(
    get, path = "/api/channels", operation_id = "listChannels", tag = "channels",
    responses((status = 200, description = "The channels.", body = ChannelList)),
)]
pub(super) async fn list(State(api): State<Api>) -> Json<ChannelList> {
    let live = api.registry.list().into_iter().filter(|listed| listed.live);
    let bridges: BTreeMap<String, &str> = api
        .bridges
        .views()
        .into_iter()
        .map(|one| (one.name, one.kind))
        .collect();
    let mut channels: Vec<Channel> = live
        .map(|listed| Channel {
            transport: bridges.get(&listed.name).copied().unwrap_or("vault"),
            name: listed.name,
            vault: Some(listed.vault),
        })
        .collect();
    let alone: Vec<Channel> = bridges
        .into_iter()
        .filter(|(name, _)| channels.iter().all(|channel| channel.name != *name))
        .map(|(name, transport)| Channel {
            name,
            transport,
            vault: None,
        })
        .collect();
    channels.extend(alone);
    Json(ChannelList { channels })
}
