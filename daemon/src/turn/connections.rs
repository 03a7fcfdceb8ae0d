//! What a turn gets of what its agent and its roles want.

use std::collections::btree_map::Entry;

use reveille_backends::{Failure, PromptMode, SystemPrompt, TurnRequest};
use reveille_vault::Note;

use super::Run;
use super::plan::storage_failure;
use crate::delegation::Origin;
use crate::grants::{Asking, Given, askpass, role};
use crate::tokens::Loan;
use crate::trust;
use crate::vault_tools;

impl Run<'_> {
    /// Puts what is stored for the agent and what is granted now into the request and beside the child, and says what is not
    /// there. The tokens that are lent end with the answer.
    ///
    /// # Errors
    /// What is stored cannot be read, or the files of the conversation cannot be written.
    pub(super) async fn connect(
        &self,
        request: &mut TurnRequest,
        notices: &mut Vec<String>,
        roles: &[Note],
    ) -> Result<Vec<Loan>, Failure> {
        let name = Some(self.definition().name.as_str()).filter(|_| self.is_trusted());
        notices.extend(self.context.credentials.lend(name, request)?);
        notices.extend(self.withheld());
        let asking = self.asking(roles, notices);
        let given = self.context.grants.give(asking, Origin::of(self)).await;
        let definition = self.definition();
        notices.extend(given.notices.iter().cloned());
        if self.claim.conversation.turns == 0 {
            notices.extend(given.notice(&definition.name));
        }
        add_words(&mut request.system_prompt, &given.words());
        self.write(request, notices, &given)
            .map_err(|error| storage_failure("what the agent is connected to could not be written down", &error))?;
        self.reach_granted(&mut request.policy, &given);
        request.secrets.extend(given.secrets);
        Ok(given.loans)
    }

    /// The agent first: what it brings goes before what a role brings.
    fn asking(&self, roles: &[Note], notices: &mut Vec<String>) -> Vec<Asking> {
        let definition = self.definition();
        let mut asking = vec![Asking {
            holder: definition.name.clone(),
            wants: definition.wants.clone(),
            trusted: self.is_trusted(),
        }];
        let vault = self.agent.vault.name();
        for note in roles {
            let holder = role::holder_of(note, vault, &self.context.grants.first_vault());
            match role::wants_of(note) {
                Some(Ok(wants)) => asking.push(Asking {
                    holder,
                    wants,
                    trusted: true,
                }),
                Some(Err(_)) => notices.push(format!(
                    "What the role {} wants cannot be read, so this turn runs without it; its note says what is wrong.",
                    note.path.as_deref().unwrap_or(note.id.as_str())
                )),
                None => {}
            }
        }
        asking
    }

    /// Whether what the operator has given to the agent's name is meant for this agent.
    pub(super) fn is_trusted(&self) -> bool {
        self.context.trust.covers(self.agent.vault.name(), self.definition())
    }

    /// In the first turn of a conversation people are told what was given to the name and is not meant for this agent.
    fn withheld(&self) -> Option<String> {
        let name = &self.definition().name;
        if self.is_trusted() || self.claim.conversation.turns > 0 {
            return None;
        }
        let withheld = self.context.registry.withheld(name);
        (!withheld.is_empty()).then(|| format!("{}.", trust::words(name, &withheld)))
    }

    fn write(&self, request: &mut TurnRequest, notices: &mut Vec<String>, given: &Given) -> std::io::Result<()> {
        let tools = self
            .definition()
            .vault_tools
            .then_some(self.claim.message.vault.as_str());
        vault_tools::offer(&request.dirs.ctl, tools, &given.servers)?;
        let git = askpass::offer(&request.dirs.ctl, &given.repositories)?;
        for (name, value) in git.into_iter().chain(given.env.clone()) {
            // What the operator has set goes before.
            match request.env.entry(name) {
                Entry::Vacant(place) => drop(place.insert(value)),
                Entry::Occupied(set) => notices.push(format!(
                    "{} is set under [claude.env] in the configuration or stored with `reveille secret`, so what was granted \
                     does not replace it.",
                    set.key()
                )),
            }
        }
        Ok(())
    }
}

/// A short word for the model.
fn add_words(prompt: &mut Option<SystemPrompt>, words: &str) {
    if words.is_empty() {
        return;
    }
    let words = format!("# Connections\n\n{words}");
    match prompt {
        Some(prompt) => {
            prompt.text.push_str("\n\n---\n\n");
            prompt.text.push_str(&words);
        }
        None => {
            *prompt = Some(SystemPrompt {
                text: words,
                mode: PromptMode::Append,
            });
        }
    }
}
