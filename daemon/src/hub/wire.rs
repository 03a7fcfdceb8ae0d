//! Grants as they are at the hub.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::{Answer, segment};
use super::{Hub, HubError};

/// Codes of the hub for a grant that gives nothing now: there is none of that id, or it is not approved.
const NOTHING: [u16; 2] = [404, 409];

/// A grant as the hub has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Granted {
    /// The hub's name for it.
    pub(crate) id: String,
    /// Whose it is.
    #[serde(default)]
    pub(crate) agent: String,
    /// What is wanted.
    #[serde(default)]
    pub(crate) connection: Value,
    /// `pending`, `approved`, `revoked`, `needs_consent`, `error`, or a word that we do not know.
    #[serde(default)]
    pub(crate) status: String,
    /// Why, when the hub says so.
    #[serde(default)]
    pub(crate) reason: Option<String>,
}

impl Answer {
    fn parse<T: serde::de::DeserializeOwned>(self, what: &str) -> Result<T, HubError> {
        let status = self.status;
        let body = self.body.unwrap_or_default();
        // What does not fit is not shown: it may hold what was granted.
        serde_json::from_value(body)
            .map_err(|_| HubError::garbled(status, format!("that is not {what}; is the address that of a hub?")))
    }
}

impl Hub {
    /// Says what an agent wants. The same again is the same grant.
    ///
    /// # Errors
    /// [`HubError`].
    pub(crate) async fn put_grant(&self, agent: &str, connection: &Value) -> Result<Granted, HubError> {
        let asked = json!({ "agent": agent, "connection": connection });
        let answer = self.ask(Method::PUT, "/admin/grants", Some(&asked)).await?;
        answer.parse("a grant")
    }

    /// What an agent has asked for.
    ///
    /// # Errors
    /// [`HubError`].
    pub(crate) async fn grants(&self, agent: &str) -> Result<Vec<Granted>, HubError> {
        #[derive(Deserialize)]
        struct All {
            #[serde(default)]
            grants: Vec<Granted>,
        }
        let address = format!("/admin/grants?agent={}", segment(agent));
        let answer = self.ask(Method::GET, &address, None).await?;
        Ok(answer.parse::<All>("a list of grants")?.grants)
    }

    /// What a grant gives, as the hub words it; `None` when it gives nothing now.
    ///
    /// # Errors
    /// [`HubError`].
    pub(crate) async fn grant_material(&self, id: &str) -> Result<Option<Value>, HubError> {
        let address = format!("/admin/grants/{}/material", segment(id));
        match self.ask(Method::GET, &address, None).await {
            Ok(answer) => match answer.body {
                Some(body) if body.is_object() => Ok(Some(body)),
                _ => Err(HubError::garbled(answer.status, "that is not what a grant gives")),
            },
            Err(error) if NOTHING.contains(&error.status) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Says all that an agent wants now; the hub forgets the rest. Answers how many it forgot.
    ///
    /// # Errors
    /// [`HubError`].
    pub(crate) async fn reconcile_grants(&self, agent: &str, live: &[Value]) -> Result<u64, HubError> {
        let asked = json!({ "agent": agent, "liveConnections": live });
        let answer = self.ask(Method::POST, "/admin/grants/reconcile", Some(&asked)).await?;
        // Whatever else it says, it is done.
        let pruned = answer.body.as_ref().and_then(|body| body.get("pruned")?.as_u64());
        Ok(pruned.unwrap_or(0))
    }
}
