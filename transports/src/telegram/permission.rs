//! Questions whether a tool may be used, and who may answer them.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use crate::{Behaviour, Verdict};

/// Most questions that are open at once; the oldest is forgotten for another.
const MOST: usize = 256;

/// Letters and length of the name of a request: five, without `l`, which looks like other signs.
pub(super) fn is_name(name: &str) -> bool {
    name.len() == 5 && name.bytes().all(|letter| letter.is_ascii_lowercase() && letter != b'l')
}

/// The verdict that a text states: `y` or `n`, and the name of a request. Whether it is open is another question.
pub(super) fn typed(text: &str) -> Option<Verdict> {
    let mut words = text.split_whitespace();
    let (word, name) = (words.next()?.to_ascii_lowercase(), words.next()?.to_ascii_lowercase());
    let behavior = match word.as_str() {
        "y" | "yes" => Behaviour::Allow,
        "n" | "no" => Behaviour::Deny,
        _ => return None,
    };
    (words.next().is_none() && is_name(&name)).then_some(Verdict {
        request_id: name,
        behavior,
    })
}

/// The verdict that a button carries.
pub(super) fn pressed(data: &str) -> Option<Verdict> {
    let (behavior, name) = if let Some(name) = data.strip_prefix("perm_allow_") {
        (Behaviour::Allow, name)
    } else {
        (Behaviour::Deny, data.strip_prefix("perm_deny_")?)
    };
    is_name(name).then(|| Verdict {
        request_id: name.to_owned(),
        behavior,
    })
}

/// A question that was sent to somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) chat: String,
    pub(super) message: i64,
}

/// A request that nobody has answered.
#[derive(Debug, Clone)]
pub(super) struct Open {
    /// The text of the question.
    pub(super) text: String,
    /// Where it stands.
    pub(super) asked: Vec<Asked>,
    people: BTreeSet<String>,
    until: Instant,
}

/// The requests that nobody has answered. They end with the process: who asked has ended with it.
#[derive(Debug, Default)]
pub(super) struct Pending(HashMap<String, Open>);

impl Pending {
    /// Before the question is sent, so that no answer comes too early.
    pub(super) fn open(&mut self, name: &str, text: String, people: BTreeSet<String>, life: Duration) {
        let now = Instant::now();
        self.0.retain(|_, open| open.until > now);
        if self.0.len() >= MOST {
            let oldest = self
                .0
                .iter()
                .min_by_key(|(_, open)| open.until)
                .map(|(name, _)| name.clone());
            if let Some(oldest) = oldest {
                self.0.remove(&oldest);
            }
        }
        let open = Open {
            text,
            asked: Vec::new(),
            people,
            until: now + life,
        };
        self.0.insert(name.to_owned(), open);
    }

    /// One of its questions was sent. `false` if it is answered already.
    pub(super) fn asked(&mut self, name: &str, asked: Asked) -> bool {
        self.0.get_mut(name).map(|open| open.asked.push(asked)).is_some()
    }

    /// Takes the verdict of a person who was asked; it is the only one. `None` if the request is not open for them.
    pub(super) fn answer(&mut self, verdict: &Verdict, user: &str) -> Option<Open> {
        let open = self.0.get(&verdict.request_id)?;
        if open.until <= Instant::now() {
            self.0.remove(&verdict.request_id);
            return None;
        }
        if !open.people.contains(user) {
            return None;
        }
        self.0.remove(&verdict.request_id)
    }

    /// Nobody could be asked.
    pub(super) fn close(&mut self, name: &str) {
        self.0.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn verdict(behavior: Behaviour) -> Verdict {
        Verdict {
            request_id: "abcde".into(),
            behavior,
        }
    }

    #[test]
    fn a_verdict_is_the_whole_text() {
        for text in ["y abcde", " YES  ABCDE \n", "yes\tabcde"] {
            assert_eq!(typed(text), Some(verdict(Behaviour::Allow)), "{text:?}");
        }
        assert_eq!(typed("No abcde"), Some(verdict(Behaviour::Deny)));
        for text in [
            "y",
            "abcde",
            "y abcd",
            "y abcdef",
            "y ablde",
            "y abcde please",
            "yabcde",
            "ok abcde",
            "y abcd1",
            "",
        ] {
            assert_eq!(typed(text), None, "{text:?}");
        }
        assert_eq!(pressed("perm_allow_abcde"), Some(verdict(Behaviour::Allow)));
        assert_eq!(pressed("perm_deny_abcde"), Some(verdict(Behaviour::Deny)));
        for data in [
            "perm_allow_ABCDE",
            "perm_deny_abcdl",
            "perm_x_abcde",
            "abcde",
            "perm_allow_abcde ",
        ] {
            assert_eq!(pressed(data), None, "{data:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_who_was_asked_answers_and_only_once_and_in_time() {
        let mut pending = Pending::default();
        let allow = verdict(Behaviour::Allow);
        assert!(pending.answer(&allow, "42").is_none());
        pending.open(
            "abcde",
            "may it?".into(),
            ["42".to_owned()].into(),
            Duration::from_secs(60),
        );
        let asked = Asked {
            chat: "42".into(),
            message: 7,
        };
        assert!(pending.asked("abcde", asked.clone()) && !pending.asked("fghij", asked.clone()));
        assert!(pending.answer(&allow, "7").is_none());
        let open = pending.answer(&allow, "42").unwrap();
        assert_eq!((open.text.as_str(), open.asked), ("may it?", vec![asked]));
        assert!(pending.answer(&allow, "42").is_none());
        pending.open(
            "abcde",
            String::new(),
            ["42".to_owned()].into(),
            Duration::from_secs(60),
        );
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(pending.answer(&allow, "42").is_none());
    }

    #[test]
    fn many_open_requests_do_not_grow_without_bound() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut pending = Pending::default();
            for number in 0..MOST + 50 {
                pending.open(
                    &number.to_string(),
                    String::new(),
                    BTreeSet::new(),
                    Duration::from_secs(60),
                );
            }
            assert_eq!(pending.0.len(), MOST);
        });
    }
}
