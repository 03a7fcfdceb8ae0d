//! What one turn gets: what is approved at its start of what its agent and its roles want.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use reveille_vault::agent::{Access, Inject, Want, is_reserved_env, slug};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout};

use super::service::Grants;
use super::{Grant, GrantError, GrantStatus, Material, service_url};
use crate::delegation::Origin;
use crate::tokens::{Loan, NewGrant, Scope, Tokens, Verb};

/// Longest answer of a backend to a turn that waits for it, and of all its answers together.
const CALL: Duration = Duration::from_secs(5);
const ALL: Duration = Duration::from_secs(15);

/// Who asks for what, for a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asking {
    /// Name of the agent, or key of a role.
    pub(crate) holder: String,
    /// What it wants now.
    pub(crate) wants: Vec<Want>,
    /// What was approved under its name is meant for it.
    pub(crate) trusted: bool,
}

/// A repository that a turn may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Repository {
    /// Its address.
    pub(crate) url: String,
    /// The variable that holds its token.
    pub(crate) token_env: String,
}

/// Something that a turn does not get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing {
    /// What.
    pub(crate) key: String,
    /// Why, in a few words.
    pub(crate) why: String,
}

/// What a turn gets.
#[derive(Default)]
pub(crate) struct Given {
    /// Variables of the child.
    pub(crate) env: BTreeMap<String, String>,
    /// What of them nobody may read.
    pub(crate) secrets: Vec<String>,
    /// MCP servers, as the CLI reads them. Tokens are named by their variables.
    pub(crate) servers: Map<String, Value>,
    /// Repositories.
    pub(crate) repositories: Vec<Repository>,
    /// What it does not get.
    pub(crate) missing: Vec<Missing>,
    /// What went wrong just now, for people.
    pub(crate) notices: Vec<String>,
    /// What it gets whole.
    had: BTreeSet<String>,
    /// Servers and variables, and what has brought each.
    names: BTreeMap<String, String>,
    /// Tokens of vaults of this daemon; they end with this.
    pub(crate) loans: Vec<Loan>,
}

impl Given {
    /// For the system prompt; empty when nothing is missing.
    pub(crate) fn words(&self) -> String {
        if self.missing.is_empty() {
            return String::new();
        }
        let missing = self.missing.iter().map(|one| format!("{} ({})", one.key, one.why));
        format!(
            "You do not have these connections that your definition or your roles ask for: {}. Do what you can without \
             them, and say what you could not do.",
            missing.collect::<Vec<_>>().join(", ")
        )
    }

    /// The same for people.
    pub(crate) fn notice(&self, agent: &str) -> Option<String> {
        let missing: Vec<String> = self
            .missing
            .iter()
            .map(|one| format!("{} ({})", one.key, one.why))
            .collect();
        (!missing.is_empty()).then(|| {
            format!(
                "The agent runs without what it has not been granted: {}. `reveille agent connections {agent}` shows how to \
                 approve it.",
                missing.join(", ")
            )
        })
    }

    /// Where all that is granted is asked. Those of this daemon are left out: every turn knows the way.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &str> {
        let servers = self.servers.values().filter_map(|server| server["url"].as_str());
        let own = |url: &&str| !url.starts_with("${");
        let repositories = self.repositories.iter().map(|one| one.url.as_str());
        let services = self.env.keys().flat_map(|name| service_addresses(name));
        servers.filter(own).chain(repositories).chain(services.copied())
    }

    fn miss(&mut self, want: &Want, why: impl Into<String>) {
        let (key, why) = (want.key(), why.into());
        self.missing.push(Missing { key, why });
    }

    /// A variable with a secret, under a name of ours.
    fn hide(&mut self, token: &str) -> String {
        let name = format!("REVEILLE_GRANT_{}", self.secrets.len() + 1);
        self.secrets.push(token.to_owned());
        self.env.insert(name.clone(), token.to_owned());
        name
    }

    /// Takes the name of a server or of a variable for what `by` names. Where it is taken, `want` is told as missing, unless
    /// it is the same over again.
    fn claim(&mut self, name: &str, by: &str, want: &Want) -> bool {
        match self.names.get(name) {
            None => {
                self.names.insert(name.to_owned(), by.to_owned());
                return true;
            }
            Some(known) if known == by => {}
            Some(known) => self.miss(want, format!("{name} is taken by {known}")),
        }
        false
    }

    /// An MCP server.
    fn serve(&mut self, name: String, url: &str, token: Option<&str>, load: bool) {
        let mut server = json!({ "type": "http", "url": url });
        if let Some(token) = token {
            let variable = self.hide(token);
            server["headers"] = json!({ "Authorization": format!("Bearer ${{{variable}}}") });
        }
        if load {
            server["alwaysLoad"] = true.into();
        }
        self.servers.insert(name, server);
    }

    /// Puts one grant in. What is taken already is told as missing.
    fn take(&mut self, grant: &Grant, material: Material, lend: &Lend<'_>) {
        let want = &grant.want;
        match material {
            Material::Own { .. } | Material::Vault { .. } => {
                let name = format!("grant-vault-{}", want.target());
                if self.claim(&name, &want.key(), want) {
                    self.vault(name, material, lend);
                }
            }
            Material::Service { token, inject } => {
                inject.iter().for_each(|inject| self.service(want, &token, *inject));
            }
            Material::Surface { token, remote_url } => {
                if self.repositories.iter().any(|known| known.url == remote_url) {
                    return;
                }
                if let Some(name) = want.env_name()
                    && self.claim(&name, want.target(), want)
                {
                    self.env.insert(name, remote_url.clone());
                }
                let token_env = self.hide(&token);
                let url = remote_url;
                self.repositories.push(Repository { url, token_env });
            }
            Material::Mcp { token, url } => {
                let name = format!("grant-mcp-{}", slug(&grant.id));
                if self.claim(&name, &want.key(), want) {
                    self.serve(name, &literal(&url), token.as_deref(), false);
                }
            }
        }
    }

    fn vault(&mut self, name: String, material: Material, lend: &Lend<'_>) {
        match material {
            Material::Own {
                vault,
                access,
                tags,
                ends,
            } => {
                let verb = match access {
                    Access::Read => Verb::Read,
                    Access::Write => Verb::Write,
                };
                let new = NewGrant {
                    scopes: vec![Scope::vault(&vault, verb)],
                    tags,
                    ..NewGrant::default()
                };
                let loan = lend.tokens.lend(new, Arc::clone(lend.origin), ends);
                // Its tools are there from the start, as those of the own vault are.
                let url = format!("${{REVEILLE_URL}}/vault/{vault}/mcp");
                self.serve(name, &url, Some(loan.text()), true);
                self.loans.push(loan);
            }
            Material::Vault { token, url } => self.serve(name, &literal(&url), Some(&token), false),
            _ => {}
        }
    }

    fn service(&mut self, want: &Want, token: &str, inject: Inject) {
        let target = want.target();
        match inject {
            Inject::Env => match want.env_name().filter(|name| !is_reserved_env(name)) {
                Some(name) if self.claim(&name, target, want) => {
                    self.secrets.push(token.to_owned());
                    self.env.insert(name, token.to_owned());
                }
                Some(_) => {}
                None => self.miss(want, "its variable may not be set"),
            },
            Inject::Mcp => match service_url(target) {
                Some(url) => {
                    let name = format!("grant-service-{target}");
                    if self.claim(&name, target, want) {
                        self.serve(name, url, Some(token), false);
                    }
                }
                None => self.miss(
                    want,
                    "the address of its MCP server is not known; want mcp:https://… instead",
                ),
            },
        }
    }
}

/// Where the token in a variable is shown, as far as that is known.
fn service_addresses(variable: &str) -> &'static [&'static str] {
    match variable {
        "GITHUB_TOKEN" => &["https://api.github.com", "https://github.com"],
        "CLOUDFLARE_API_TOKEN" => &["https://api.cloudflare.com"],
        _ => &[],
    }
}

/// Where something that was granted is asked, as [`Given::addresses`] has it. `None`: nobody but who keeps the grants knows.
pub(crate) fn addresses_of(want: &Want) -> Option<Vec<&str>> {
    match want {
        Want::Mcp { url } => Some(vec![url]),
        Want::Service { name, inject } => {
            let of = |inject: &Inject| match inject {
                Inject::Env => want
                    .env_name()
                    .map_or(Vec::new(), |name| service_addresses(&name).to_vec()),
                Inject::Mcp => service_url(name).into_iter().collect(),
            };
            Some(inject.iter().flat_map(of).collect())
        }
        Want::Vault { .. } | Want::Surface { .. } => None,
    }
}

/// An address in a file in which `${NAME}` stands for a variable.
fn literal(url: &str) -> String {
    url.replace('$', "%24")
}

/// How tokens of vaults of this daemon are lent.
struct Lend<'a> {
    tokens: &'a Tokens,
    origin: &'a Arc<Origin>,
}

impl Grants {
    /// What a turn gets now, with `origin` as the turn. Each holder is asked for once, in order; of what two would bring the
    /// first one counts. Nothing that fails keeps the turn from running.
    pub(crate) async fn give(&self, asking: Vec<Asking>, origin: Origin) -> Given {
        let origin = Arc::new(Origin {
            // To write in a vault is not to make agents there.
            defines_agents: false,
            ..origin
        });
        let lend = Lend {
            tokens: self.tokens(),
            origin: &origin,
        };
        let mut given = Given::default();
        let mut seen = BTreeSet::new();
        let end = Instant::now() + ALL;
        for one in asking {
            if one.wants.is_empty() || !seen.insert(one.holder.clone()) {
                continue;
            }
            match in_time(end, self.backend().list(&one.holder)).await {
                Ok(grants) => {
                    self.hear(&one.holder, &grants).await;
                    for want in &one.wants {
                        if !one.trusted && is_approved(&grants, want) {
                            given.miss(want, "approved for another note of that name");
                            continue;
                        }
                        self.give_one(&mut given, want, &grants, end, &lend).await;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, holder = one.holder, "a turn runs without what its holder was granted");
                    given.notices.push(format!(
                        "Who keeps the grants of {} could not be asked ({error}), so this turn runs without them. The next \
                         one asks again.",
                        one.holder
                    ));
                    let wants = one.wants.iter();
                    wants.for_each(|want| given.miss(want, "who decides cannot be asked now"));
                }
            }
        }
        // What one of them has, all of them have.
        given.missing.retain(|one| !given.had.contains(&one.key));
        given
    }

    async fn give_one(&self, given: &mut Given, want: &Want, grants: &[Grant], end: Instant, lend: &Lend<'_>) {
        let key = want.key();
        let Some(grant) = grants.iter().find(|grant| grant.want.key() == key) else {
            return given.miss(want, "not approved yet");
        };
        match grant.status {
            GrantStatus::Approved => {}
            GrantStatus::Pending => return given.miss(want, "not approved yet"),
            GrantStatus::Revoked => return given.miss(want, "revoked"),
            GrantStatus::NeedsConsent => return given.miss(want, "somebody has to sign in there first"),
            GrantStatus::Error => {
                let reason = grant.reason.as_deref().unwrap_or("it cannot be had");
                return given.miss(want, reason);
            }
        }
        match in_time(end, self.backend().material(grant)).await {
            Ok(Some(material)) => {
                let missing = given.missing.len();
                given.take(grant, material, lend);
                if given.missing.len() == missing {
                    given.had.insert(key);
                }
            }
            Ok(None) => given.miss(want, "not there any more"),
            Err(error) => {
                tracing::warn!(%error, holder = grant.holder, key, "a turn runs without something that was granted");
                given.notices.push(format!(
                    "The connection {key} could not be had ({error}), so this turn runs without it. The next one asks again."
                ));
                given.miss(want, "it could not be had now");
            }
        }
    }
}

fn is_approved(grants: &[Grant], want: &Want) -> bool {
    let key = want.key();
    let found = grants.iter().find(|grant| grant.want.key() == key);
    found.is_some_and(|grant| grant.status == GrantStatus::Approved)
}

async fn in_time<T>(end: Instant, work: impl Future<Output = Result<T, GrantError>>) -> Result<T, GrantError> {
    let limit = CALL.min(end.saturating_duration_since(Instant::now()));
    timeout(limit, work)
        .await
        .unwrap_or_else(|_| Err(GrantError::Unavailable("no answer in time".into())))
}

#[cfg(test)]
mod tests;
