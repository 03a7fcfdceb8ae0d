//! Tokens that are lent to one turn: in memory only, gone with the turn, or as soon as what they are lent for ends.

use std::collections::HashMap;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use super::store::{Digest, digest, fresh_token, now};
use super::{Grant, NewGrant, Tokens};
use crate::delegation::Origin;

/// Whose a lent token is, and how long it holds.
#[derive(Debug)]
pub(super) struct Terms {
    /// The turn: what it writes is marked as its.
    pub(super) origin: Arc<Origin>,
    /// Cancelled when what it was lent for ends.
    ends: CancellationToken,
}

impl Terms {
    /// Whether what it was lent for goes on.
    pub(super) fn hold(&self) -> bool {
        !self.ends.is_cancelled()
    }

    /// Waits until what it was lent for ends.
    pub(super) async fn ended(&self) {
        self.ends.cancelled().await;
    }
}

/// All of them.
#[derive(Default)]
pub(super) struct Loans(Mutex<HashMap<Digest, Arc<Grant>>>);

impl Loans {
    fn with<T>(&self, look: impl FnOnce(&mut HashMap<Digest, Arc<Grant>>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What a lent token is good for, while it holds.
    pub(super) fn find(&self, digest: &Digest) -> Option<Arc<Grant>> {
        let grant = self.with(|loans| loans.get(digest).cloned())?;
        let holds = grant.terms.as_ref().is_some_and(|terms| !terms.ends.is_cancelled());
        holds.then_some(grant)
    }
}

/// A token in the hands of a turn, or of several of one process. It is void once this is dropped.
pub(crate) struct Loan {
    tokens: Tokens,
    digest: Digest,
    text: String,
}

impl Loan {
    /// The token.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

impl Loan {
    /// It holds no longer, until it is renewed.
    pub(crate) fn suspend(&self) {
        if let Some(grant) = self.tokens.loans().with(|loans| loans.remove(&self.digest)) {
            grant.over.cancel();
        }
    }

    /// It is good for what `fresh` is good for, and as long: the same thing, lent to another turn of the same process.
    pub(crate) fn renew(&self, fresh: &Self) {
        self.tokens.loans().with(|loans| {
            if let Some(grant) = loans.get(&fresh.digest).cloned() {
                loans.insert(self.digest, grant);
            }
        });
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.suspend();
    }
}

impl Tokens {
    /// Lends a token to a turn until the loan is dropped or `ends` is cancelled.
    pub(crate) fn lend(&self, new: NewGrant, origin: Arc<Origin>, ends: CancellationToken) -> Loan {
        let text = fresh_token();
        let digest = digest(&text);
        let grant = Grant {
            id: format!("turn {}", origin.turn),
            new,
            created_at: now(),
            made_by: None,
            over: CancellationToken::new(),
            terms: Some(Terms { origin, ends }),
            hub_subject: None,
            used: AtomicI64::new(0),
            stored_used: AtomicI64::new(0),
        };
        self.loans().with(|loans| loans.insert(digest, Arc::new(grant)));
        Loan {
            tokens: self.clone(),
            digest,
            text,
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::tokens::{Checked, Scope, Verb};

    fn lent(tokens: &Tokens, ends: &CancellationToken) -> Loan {
        let origin = Origin {
            turn: Uuid::from_u128(7),
            agent: "alpha".into(),
            vault: "default".into(),
            chain: "c1".into(),
            depth: 0,
            defines_agents: false,
            guard: crate::trust::Guard::default(),
        };
        let new = NewGrant {
            scopes: vec![Scope::vault("notes", Verb::Read)],
            ..NewGrant::default()
        };
        tokens.lend(new, Arc::new(origin), ends.clone())
    }

    #[tokio::test]
    async fn a_loan_ends_with_its_turn_or_with_its_reason_and_is_on_no_list() {
        let dir = tempfile::tempdir().unwrap();
        let tokens = Tokens::open(&dir.path().join("tokens.db")).unwrap();
        let (ends, other) = (CancellationToken::new(), CancellationToken::new());
        let (one, two) = (lent(&tokens, &ends), lent(&tokens, &other));
        let reads = |loan: &Loan| match tokens.check(loan.text()) {
            Checked::Valid(grant) => grant.reads("notes") && !grant.reads("other"),
            Checked::Expired | Checked::Unknown => false,
        };
        assert!(reads(&one) && reads(&two));
        assert!(tokens.list().is_empty());
        ends.cancel();
        assert!(!reads(&one) && reads(&two));
        let text = two.text().to_owned();
        drop(two);
        assert!(matches!(tokens.check(&text), Checked::Unknown));
        assert!(tokens.loans().with(|loans| loans.len()) == 1);
    }

    #[tokio::test]
    async fn a_loan_is_suspended_between_turns_and_renewed_by_one() {
        let dir = tempfile::tempdir().unwrap();
        let tokens = Tokens::open(&dir.path().join("tokens.db")).unwrap();
        let (first, second) = (CancellationToken::new(), CancellationToken::new());
        let loan = lent(&tokens, &first);
        let holds = |text: &str| matches!(tokens.check(text), Checked::Valid(_));
        loan.suspend();
        assert!(!holds(loan.text()));
        let fresh = lent(&tokens, &second);
        loan.renew(&fresh);
        first.cancel();
        assert!(holds(loan.text()) && holds(fresh.text()));
        // What the second turn was lent it for ends.
        second.cancel();
        assert!(!holds(loan.text()));
        drop(fresh);
        // The end of a turn ends both.
        let third = CancellationToken::new();
        let fresh = lent(&tokens, &third);
        loan.renew(&fresh);
        assert!(holds(loan.text()));
        loan.suspend();
        drop(fresh);
        assert!(!holds(loan.text()) && tokens.loans().with(|loans| loans.is_empty()));
    }
}
