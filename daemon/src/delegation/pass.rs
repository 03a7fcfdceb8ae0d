//! The credential of a running turn: its child finds it in the environment, and it dies with the turn.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use super::Origin;
use crate::state_dir::secret;

/// How every token of a turn begins.
const PREFIX: &str = "turn.";

type Digest = [u8; 32];

fn digest(token: &str) -> Digest {
    Sha256::digest(token.as_bytes()).into()
}

/// Keeps the tokens of the turns that run here, and only their digests. They are in memory only: after a restart none of
/// them works, because none of these turns runs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Passes {
    inner: Arc<Inner>,
}

struct Inner {
    url: String,
    program: Option<PathBuf>,
    valid: Mutex<HashMap<Uuid, (Digest, Arc<Origin>)>>,
}

impl Passes {
    /// `url`: where the daemon answers. `program`: the daemon's binary, which is its command line as well.
    #[must_use]
    pub(crate) fn new(url: String, program: Option<PathBuf>) -> Self {
        let inner = Inner {
            url,
            program,
            valid: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// A fresh token for an attempt of a turn. An earlier one of the same turn is void.
    #[must_use]
    pub(crate) fn issue(&self, origin: Origin) -> Pass {
        let (turn, vault) = (origin.turn, origin.vault.clone());
        let token = format!("{PREFIX}{turn}.{}", secret());
        let digest = digest(&token);
        self.inner
            .valid
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(turn, (digest, Arc::new(origin)));
        Pass {
            passes: self.clone(),
            turn,
            vault,
            token,
            digest,
        }
    }

    /// A fresh token that is no turn's yet: it opens nothing before [`Pass::rebind`]. `name` is in its text.
    #[must_use]
    pub(crate) fn asleep(&self, name: Uuid, vault: &str) -> Pass {
        let token = format!("{PREFIX}{name}.{}", secret());
        Pass {
            passes: self.clone(),
            turn: name,
            vault: vault.to_owned(),
            digest: digest(&token),
            token,
        }
    }

    /// Whether a token claims to be a turn's.
    #[must_use]
    pub(crate) fn is_one(token: &str) -> bool {
        token.starts_with(PREFIX)
    }

    /// The turn of a token, while it runs.
    #[must_use]
    pub(crate) fn check(&self, token: &str) -> Option<Arc<Origin>> {
        let (turn, _) = token.strip_prefix(PREFIX)?.split_once('.')?;
        let turn: Uuid = turn.parse().ok()?; // silent-ok: not one of ours
        let valid = self.inner.valid.lock().unwrap_or_else(PoisonError::into_inner);
        let (expected, origin) = valid.get(&turn)?;
        bool::from(digest(token).ct_eq(expected)).then(|| Arc::clone(origin))
    }

    fn revoke(&self, turn: Uuid, digest: &Digest) {
        let mut valid = self.inner.valid.lock().unwrap_or_else(PoisonError::into_inner);
        if valid.get(&turn).is_some_and(|(known, _)| known == digest) {
            valid.remove(&turn);
        }
    }
}

/// The token of one attempt. It is void once this is dropped.
pub(crate) struct Pass {
    passes: Passes,
    turn: Uuid,
    vault: String,
    token: String,
    digest: Digest,
}

impl Pass {
    /// What the child needs to reach the daemon.
    #[must_use]
    pub(crate) fn env(&self) -> BTreeMap<String, String> {
        let inner = &self.passes.inner;
        let program = inner.program.as_ref().and_then(|path| path.to_str());
        let mut env = BTreeMap::from([
            ("REVEILLE_URL".to_owned(), inner.url.clone()),
            ("REVEILLE_TOKEN".to_owned(), self.token.clone()),
            ("REVEILLE_VAULT".to_owned(), self.vault.clone()),
        ]);
        env.extend(program.map(|path| ("REVEILLE_BIN".to_owned(), path.to_owned())));
        env
    }

    /// Makes it the token of another turn, in a process that has got it in an earlier one.
    pub(crate) fn rebind(&self, origin: Origin) {
        let mut valid = self.passes.inner.valid.lock().unwrap_or_else(PoisonError::into_inner);
        valid.insert(self.turn, (self.digest, Arc::new(origin)));
    }

    /// The token.
    pub(crate) fn text(&self) -> &str {
        &self.token
    }

    /// Makes it void now.
    pub(crate) fn revoke(&self) {
        self.passes.revoke(self.turn, &self.digest);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.revoke();
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn origin(turn: u128) -> Origin {
        Origin {
            turn: Uuid::from_u128(turn),
            agent: "alpha".into(),
            vault: "default".into(),
            chain: "c1".into(),
            depth: 0,
            defines_agents: false,
            guard: crate::trust::Guard::default(),
        }
    }

    fn passes() -> Passes {
        Passes::new("http://127.0.0.1:7".into(), Some("/opt/reveille".into()))
    }

    #[test]
    fn a_token_holds_while_its_pass_is_there() {
        let passes = passes();
        let (one, two) = (passes.issue(origin(1)), passes.issue(origin(2)));
        let turn = |pass: &Pass| passes.check(&pass.token).map(|origin| origin.turn.as_u128());
        assert_eq!((turn(&one), turn(&two)), (Some(1), Some(2)));
        let token = one.token.clone();
        drop(one);
        assert_eq!((passes.check(&token), turn(&two)), (None, Some(2)));
        two.revoke();
        assert_eq!(turn(&two), None);
    }

    #[test]
    fn another_attempt_has_another_token() {
        let passes = passes();
        let first = passes.issue(origin(1));
        let second = passes.issue(origin(1));
        assert_eq!(passes.check(&first.token), None);
        // The end of the first attempt is none of the second.
        drop(first);
        assert!(passes.check(&second.token).is_some());
    }

    #[test]
    fn a_token_goes_on_as_that_of_another_turn_and_is_void_between() {
        let passes = passes();
        let pass = passes.issue(origin(1));
        pass.revoke();
        assert_eq!(passes.check(pass.text()), None);
        pass.rebind(origin(2));
        let own = passes.issue(origin(2));
        let turn = |token: &str| passes.check(token).map(|origin| origin.turn.as_u128());
        assert_eq!((turn(pass.text()), turn(own.text())), (Some(2), Some(2)));
        drop(own);
        let token = pass.text().to_owned();
        assert_eq!(turn(&token), Some(2));
        drop(pass);
        assert_eq!(turn(&token), None);
    }

    #[test]
    fn a_token_that_was_made_ahead_opens_nothing_before_a_turn_takes_it() {
        let passes = passes();
        let pass = passes.asleep(Uuid::from_u128(9), "default");
        assert_eq!(passes.check(pass.text()), None);
        assert_eq!(pass.env()["REVEILLE_TOKEN"], pass.text());
        // That turn has one of its own too.
        let own = passes.issue(origin(1));
        pass.rebind(origin(1));
        let turn = |token: &str| passes.check(token).map(|origin| origin.turn.as_u128());
        assert_eq!((turn(pass.text()), turn(own.text())), (Some(1), Some(1)));
        let token = pass.text().to_owned();
        drop(pass);
        assert_eq!((turn(&token), turn(own.text())), (None, Some(1)));
    }

    #[test]
    fn a_token_is_compared_whole() {
        let passes = passes();
        let (pass, other) = (passes.issue(origin(1)), passes.issue(origin(2)));
        let secret_of = |pass: &Pass| pass.token.rsplit_once('.').unwrap().1.to_owned();
        let turn = Uuid::from_u128(1);
        for wrong in [
            pass.token[..pass.token.len() - 1].to_owned(),
            format!("{}0", pass.token),
            format!("turn.{turn}.{}", secret_of(&other)),
            format!("turn.{turn}."),
            format!("turn.{turn}"),
            secret_of(&pass),
            "turn..".into(),
            String::new(),
        ] {
            assert_eq!(passes.check(&wrong), None, "{wrong}");
        }
        assert!(Passes::is_one(&pass.token) && !Passes::is_one(&secret_of(&pass)));
    }

    #[test]
    fn the_child_is_told_where_and_how() {
        let pass = passes().issue(origin(1));
        let expected = [
            ("REVEILLE_BIN", "/opt/reveille"),
            ("REVEILLE_TOKEN", pass.token.as_str()),
            ("REVEILLE_URL", "http://127.0.0.1:7"),
            ("REVEILLE_VAULT", "default"),
        ];
        assert_eq!(
            pass.env(),
            expected.map(|(name, value)| (name.into(), value.into())).into()
        );
    }
}
