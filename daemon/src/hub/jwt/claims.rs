//! What a token of the hub says, and whether it is meant for us.

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, Header, decode_header};
use serde::Deserialize;

use crate::tokens::{Scope, Verb};

/// For whom tokens are that are meant for us: our name, and those that the reference system had for the same thing.
const AUDIENCES: [&str; 3] = ["reveille", "agent", "channel"];

/// Longest token that is looked at.
const TOKEN_BYTES: usize = 16 << 10;

/// The claims that count.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Claims {
    pub(super) iss: String,
    pub(super) sub: String,
    pub(super) jti: String,
    /// Seconds.
    exp: f64,
    nbf: Option<f64>,
    aud: Audience,
    #[serde(default)]
    scope: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// Why a token is none of those that let somebody in. For the log: whoever showed it is told nothing of that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    /// Of a form that the hub does not give.
    #[error("it has not the form of a token of the hub ({0})")]
    Shape(&'static str),
    /// The `alg` is none that is accepted.
    #[error("its algorithm is not accepted")]
    Algorithm,
    /// Somebody else issued it.
    #[error("its issuer is not the hub; `[hub] issuers` has further names of the hub")]
    Issuer,
    /// For somebody else.
    #[error("its audience is somebody else")]
    Audience,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// Its time has not come.
    #[error("it is not valid yet")]
    Early,
    /// The hub has no such key.
    #[error("the hub has no key of that name")]
    Key,
    /// Somebody else signed it, or it was changed.
    #[error("its signature is wrong")]
    Signature,
    /// The hub has taken it back.
    #[error("it was revoked")]
    Revoked,
    /// Nothing is known of the keys.
    #[error("the keys of the hub are not known: {0}")]
    NoKeys(String),
    /// Nothing is known of what was revoked.
    #[error("what the hub has revoked is not known: {0}")]
    NoList(String),
}

impl Unfit {
    /// A word for programs that read the log.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Shape(_) => "shape",
            Self::Algorithm => "algorithm",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Expired => "expired",
            Self::Early => "not_yet_valid",
            Self::Key => "kid",
            Self::Signature => "signature",
            Self::Revoked => "revoked",
            Self::NoKeys(_) => "jwks",
            Self::NoList(_) => "revocation_unavailable",
        }
    }

    /// Whether that lies with the hub and not with who showed the token.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(self, Self::NoKeys(_) | Self::NoList(_))
    }
}

/// What stands before a token: how it was signed.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) algorithm: Algorithm,
    pub(super) key: String,
}

impl Head {
    /// # Errors
    /// A form that is not accepted, whoever signed it.
    pub(super) fn of(token: &str) -> Result<Self, Unfit> {
        if token.len() > TOKEN_BYTES {
            return Err(Unfit::Shape("it is too long"));
        }
        // An algorithm that the library does not know, such as `none`, is an error there.
        let head: Header = decode_header(token).map_err(|_| Unfit::Shape("its head"))?;
        if !matches!(head.alg, Algorithm::RS256 | Algorithm::ES256) {
            return Err(Unfit::Algorithm);
        }
        if head.crit.is_some() || head.extras.inner().contains_key("b64") {
            return Err(Unfit::Shape("it asks for what is not done here"));
        }
        match head.kid.filter(|id| !id.is_empty()) {
            Some(key) => Ok(Self {
                algorithm: head.alg,
                key,
            }),
            None => Err(Unfit::Shape("it names no key")),
        }
    }
}

impl Claims {
    /// Whether they let somebody in here and now, if the hub has signed them.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn check(&self, issuers: &[String], now: Timestamp) -> Result<(), Unfit> {
        if !issuers.contains(&self.iss) {
            return Err(Unfit::Issuer);
        }
        let mine = |audience: &String| AUDIENCES.contains(&audience.as_str());
        let meant = match &self.aud {
            Audience::One(one) => mine(one),
            Audience::Several(all) => all.iter().any(mine),
        };
        if !meant {
            return Err(Unfit::Audience);
        }
        let now = now.as_duration().as_secs_f64();
        if self.exp <= now {
            return Err(Unfit::Expired);
        }
        if self.nbf.is_some_and(|from| from > now) {
            return Err(Unfit::Early);
        }
        if self.sub.trim().is_empty() || self.jti.trim().is_empty() {
            return Err(Unfit::Shape("`sub` and `jti` must say something"));
        }
        Ok(())
    }

    /// When it ends. One that ends after all time never does.
    pub(super) fn end(&self) -> Option<Timestamp> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "such a time is none, as what follows says"
        )]
        Timestamp::from_second(self.exp as i64).ok() // silent-ok: as it says
    }

    /// What it is good for here. What other modules of the hub understand is nothing here.
    pub(super) fn scopes(&self) -> Vec<Scope> {
        let scope = |word: &str| {
            let (name, verb) = word.split_once(':')?;
            let verb = AUDIENCES.contains(&name).then(|| Verb::of_daemon(verb))??;
            Some(Scope::daemon(verb))
        };
        let mut scopes: Vec<Scope> = Vec::new();
        for scope in self.scope.split_whitespace().filter_map(scope) {
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        scopes
    }
}
