//! What becomes of the health of the daemon, told to webhooks.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reveille_transports::webhooks::{Body, Event, HealthChange, Kind, PublishError};
use uuid::Uuid;

use super::Told;
use super::news::{NEWS, keep};

/// Its key among what was told last.
const KEY: &str = "health";
/// The word for what is well.
const OK: &str = "ok";

/// What is not well, each with a word for it: of what kind it is, and which of them.
pub(crate) type Facts = BTreeMap<(&'static str, String), String>;

/// What was told last, and what was seen last.
#[derive(Default)]
pub(crate) struct HealthNews {
    /// By `kind/name`; `None`: not read yet.
    told: Option<BTreeMap<String, String>>,
    seen: Option<Facts>,
}

/// Of a key that was kept: kinds that this version knows.
fn kind_of(word: &str) -> Option<&'static str> {
    let all = ["vault", "bridge", "deliveries", "program", "sandbox", "credential"];
    all.into_iter().find(|known| *known == word)
}

fn flat(facts: &Facts) -> BTreeMap<String, String> {
    let one = |((what, name), word): (&(&'static str, String), &String)| (format!("{what}/{name}"), word.clone());
    facts.iter().map(one).collect()
}

/// What is not as before.
fn changes(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<HealthChange> {
    let keys: std::collections::BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let changed = keys.into_iter().filter(|key| before.get(*key) != now.get(*key));
    let change = |key: &String| {
        let (what, name) = key.split_once('/')?;
        Some(HealthChange {
            what: kind_of(what)?,
            name: Some(name.to_owned()).filter(|name| !name.is_empty()),
            now: now.get(key).map_or_else(|| OK.to_owned(), Clone::clone),
        })
    };
    changed.filter_map(change).collect()
}

impl HealthNews {
    /// Tells what is not as it was told last, once it was seen twice: what lasts a moment is no news. To be called at every look.
    pub(crate) async fn look(&mut self, told: &Told, status: &'static str, facts: Facts) {
        let twice = self.seen.as_ref() == Some(&facts);
        let now = flat(&facts);
        self.seen = Some(facts);
        if let Err(error) = self.tell(told, status, now, twice).await {
            tracing::warn!(%error, "webhooks are not told yet what became of the health of the daemon; it is tried again");
        }
    }

    async fn tell(
        &mut self,
        told: &Told,
        status: &'static str,
        now: BTreeMap<String, String>,
        twice: bool,
    ) -> Result<(), PublishError> {
        let Some(webhooks) = told.webhooks() else { return Ok(()) };
        if !told.wants(Kind::HealthChanged) {
            // Whoever comes next is told of what is news then.
            if self.told.is_some() {
                webhooks.tell(&[], vec![keep(KEY, None)]).await?;
                self.told = None;
            }
            return Ok(());
        }
        if !twice {
            return Ok(());
        }
        let last = match self.told.take() {
            Some(last) => Some(last),
            None => {
                let kept = webhooks.kept(NEWS).await?;
                let kept = kept.into_iter().find(|(key, _)| key == KEY);
                // silent-ok: of another version; it is as if nothing had been told
                kept.and_then(|(_, text)| serde_json::from_str(&text).ok())
            }
        };
        if last.as_ref() == Some(&now) {
            self.told = last;
            return Ok(());
        }
        let changes = last.as_ref().map(|last| changes(last, &now)).unwrap_or_default();
        let event = Event {
            id: format!("health_{}", Uuid::now_v7()),
            at: Timestamp::now(),
            agent: None,
            turn: None,
            body: Body::Health { status, changes },
        };
        // The first look is what others are compared with.
        let events: Vec<Event> = last.iter().map(|_| event.clone()).collect();
        let text = serde_json::to_string(&now).ok(); // silent-ok: texts are always JSON
        let done = webhooks.tell(&events, vec![keep(KEY, text)]).await;
        self.told = if done.is_ok() { Some(now) } else { last };
        done
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn what_is_worse_and_what_is_well_again_is_told() {
        let facts = |all: &[(&'static str, &str, &str)]| {
            let all = all
                .iter()
                .map(|(what, name, word)| ((*what, (*name).to_owned()), (*word).to_owned()));
            flat(&all.collect())
        };
        let before = facts(&[("vault", "notes", "unavailable"), ("program", "claude", "missing")]);
        let now = facts(&[("vault", "notes", "degraded"), ("credential", "", "missing")]);
        let told: Vec<(&str, Option<String>, String)> = changes(&before, &now)
            .into_iter()
            .map(|change| (change.what, change.name, change.now))
            .collect();
        assert_eq!(
            told,
            [
                ("credential", None, "missing".to_owned()),
                ("program", Some("claude".to_owned()), "ok".to_owned()),
                ("vault", Some("notes".to_owned()), "degraded".to_owned()),
            ]
        );
    }
}
