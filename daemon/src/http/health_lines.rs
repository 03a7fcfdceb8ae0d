//! Who there is, in words of `/health`: channels with their watchers, agents with what they do.

use std::collections::HashMap;

use reveille_vault::agent::BackendKind;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::bridge_list::View;
use super::mcp::WHOLE;

/// Agents, their channels, and who watches.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HealthLines)]
pub(super) struct Lines {
    channels: Vec<Channel>,
    /// Bridges to other systems, and how they do.
    bridges: Vec<View>,
    /// Open streams of live events.
    total_clients: usize,
    /// Sessions of MCP at the door of the whole daemon.
    mcp_sessions: usize,
    /// Agents whose turns the daemon runs.
    programmatic_agents: Vec<Busy>,
    /// Agents whose messages others pull.
    attached_agents: Vec<Busy>,
}

/// A channel: the line of an agent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HealthChannel)]
struct Channel {
    name: String,
    /// How messages get there: `vault` as notes, else the kind of the bridge of this name.
    kind: &'static str,
    /// Open streams of its turns alone.
    clients: usize,
    /// Sessions of MCP at its door.
    mcp_sessions: usize,
}

/// What an agent does, over all its conversations.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HealthAgent)]
struct Busy {
    name: String,
    /// The same as its name.
    channel: String,
    /// `programmatic` or `attached`.
    backend: &'static str,
    /// `idle`, `working`, or `queued:` and how many messages wait.
    status: String,
}

/// How they are now.
pub(super) async fn lines(api: &Api) -> Lines {
    let waiting: HashMap<String, u64> = match api.queue.depths().await {
        Ok(channels) => {
            let all = channels.into_iter();
            all.map(|(channel, waiting)| (channel.to_string(), waiting)).collect()
        }
        Err(error) => {
            tracing::error!(%error, "the queue cannot be read");
            HashMap::new()
        }
    };
    let live = api.workers.live().into_values();
    let working: Vec<String> = live.map(|turn| turn.lane.channel.to_string()).collect();
    let sessions = api.mcp.counts().await;
    let mut lines = Lines {
        channels: Vec::new(),
        bridges: View::all(api).await,
        total_clients: api.hub.watchers_of_all(),
        mcp_sessions: sessions.get(WHOLE).copied().unwrap_or_default(),
        programmatic_agents: Vec::new(),
        attached_agents: Vec::new(),
    };
    let bridges: HashMap<String, &str> = api
        .bridges
        .views()
        .into_iter()
        .map(|one| (one.name, one.kind))
        .collect();
    for listed in api.registry.list().into_iter().filter(|listed| listed.live) {
        let name = listed.name;
        let kind = bridges.get(&name).copied().unwrap_or("vault");
        let clients = api.hub.watchers(&name);
        lines.total_clients += clients;
        let status = match waiting.get(&name) {
            _ if working.contains(&name) => "working".to_owned(),
            Some(count) if *count > 0 => format!("queued:{count}"),
            _ => "idle".to_owned(),
        };
        let backend = listed.definition.map(|definition| definition.backend);
        let (list, backend) = match backend.unwrap_or_default() {
            BackendKind::Programmatic => (&mut lines.programmatic_agents, "programmatic"),
            BackendKind::Attached => (&mut lines.attached_agents, "attached"),
        };
        list.push(Busy {
            name: name.clone(),
            channel: name.clone(),
            backend,
            status,
        });
        lines.channels.push(Channel {
            mcp_sessions: sessions.get(&name).copied().unwrap_or_default(),
            name,
            kind,
            clients,
        });
    }
    lines
}
