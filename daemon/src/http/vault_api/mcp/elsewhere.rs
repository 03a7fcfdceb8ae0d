//! The tools for notes at another door, where several vaults are and each call names one.

use std::sync::Arc;

use http::Method;
use reveille_vault::Vault;
use rmcp::model::{CallToolResult, ErrorData, Tool};
use serde_json::{Map, Value, json};

use super::super::{answer::Failure, open};
use super::catalog::{Entry, TOOLS};
use super::server::{self, Server};
use crate::http::{Api, Caller};

/// The argument that names the vault.
const VAULT: &str = "vault";

/// The vaults that a caller may read, the first one first; of a turn that is its own.
fn readable(api: &Api, caller: &Caller) -> Vec<Arc<dyn Vault>> {
    let names = api.vaults.names();
    let mine = names
        .iter()
        .filter(|name| caller.may(&Method::GET, "/vault/{name}/api/notes", name));
    mine.filter_map(|name| api.vaults.reachable().get(name)).collect()
}

/// Whether one of them has the tool, for that caller.
fn is_there(entry: &Entry, vaults: &[Arc<dyn Vault>], caller: &Caller) -> bool {
    let has = |vault: &Arc<dyn Vault>| entry.is_of(vault.capabilities()) && entry.is_for(caller, vault.name());
    entry.is_about_notes() && vaults.iter().any(has)
}

/// The tools that a caller may use on any vault.
pub(in crate::http) fn tools(api: &Api, caller: &Caller) -> Vec<Tool> {
    let vaults = readable(api, caller);
    let there = TOOLS.iter().filter(|entry| is_there(entry, &vaults, caller));
    there.map(|entry| with_vault(entry.tool(), &vaults)).collect()
}

fn with_vault(mut tool: Tool, vaults: &[Arc<dyn Vault>]) -> Tool {
    let names: Vec<&str> = vaults.iter().map(|vault| vault.name()).collect();
    let usual = names.first().copied().unwrap_or_default();
    let mut schema = (*tool.input_schema).clone();
    if let Some(properties) = schema.get_mut("properties") {
        let about = format!("Name of the vault; {usual} unless you say so.");
        properties[VAULT] = json!({ "type": "string", "enum": names, "description": about });
    }
    tool.input_schema = Arc::new(schema);
    tool
}

/// Whether there is such a tool for notes at all.
pub(in crate::http) fn is_one(name: &str) -> bool {
    TOOLS.iter().any(|entry| entry.name == name && entry.is_about_notes())
}

/// The route that does the same, of a call that changes something.
pub(in crate::http) fn changes(name: &str, given: &Map<String, Value>) -> Option<(&'static Method, &'static str)> {
    let mut all = TOOLS.iter().filter(|entry| entry.is_about_notes());
    all.find(|entry| entry.name == name)?.changes(given)
}

/// Runs one of them.
pub(in crate::http) async fn call(
    api: &Api,
    caller: &Caller,
    tool: &str,
    mut arguments: Map<String, Value>,
) -> Result<CallToolResult, ErrorData> {
    let vault = pick(readable(api, caller), arguments.remove(VAULT));
    let opened = vault.and_then(|vault| Ok(open(vault, caller)?));
    match opened {
        Ok(vault) => {
            Server::bare(api.clone(), vault, caller.clone())
                .run(tool, arguments)
                .await
        }
        Err(failure) => server::result(Err(failure.into())),
    }
}

fn pick(vaults: Vec<Arc<dyn Vault>>, named: Option<Value>) -> Result<Arc<dyn Vault>, Failure> {
    let names = vaults.iter().map(|vault| vault.name()).collect::<Vec<_>>().join(", ");
    let refused = |what: &str| {
        let there = if names.is_empty() { "none" } else { &names };
        Failure::invalid(
            VAULT,
            format!("{what}; the vaults that you may read are: {there}. Nothing was done"),
        )
    };
    let mut vaults = vaults.into_iter();
    match named.filter(|named| !named.is_null()) {
        None => vaults.next().ok_or_else(|| refused("there is no vault for you")),
        Some(Value::String(name)) => {
            let found = vaults.find(|vault| vault.name() == name);
            found.ok_or_else(|| refused(&format!("you may not read a vault {name:?}")))
        }
        Some(_) => Err(refused("vault must be text")),
    }
}
