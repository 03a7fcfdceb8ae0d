//! Tokens that the hub gives to people and programs for us: JSON Web Tokens, checked with the keys that the hub publishes.
//!
//! Everything that can be refused without the hub is refused first, so that no token that nobody signed makes us ask there. A
//! token whose key is not known makes us ask once more, because the hub may have changed its keys; not more often than every
//! ten seconds. Where the hub's keys or its list of revoked tokens are not known, nobody is let in by its tokens; the tokens
//! of the daemon itself go on to work.

mod claims;
mod kept;
mod keys;
mod ring;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use jsonwebtoken::{Validation, decode};
use tokio::time::Instant;

pub(crate) use self::claims::Unfit;
use self::claims::{Claims, Head};
use self::kept::{Kept, What};
use self::keys::{Keys, Revoked};
use super::Place;
use crate::config;
use crate::tokens::Grant;
use crate::triggers::client::Client;

/// How long nothing more is said about tokens that are refused for the same reason.
const QUIET: Duration = Duration::from_secs(60);

/// Checks tokens of one hub. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Verifier {
    place: Place,
    keys: Kept<Keys>,
    revoked: Kept<Revoked>,
    told: Arc<Mutex<HashMap<&'static str, Instant>>>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl Verifier {
    /// For the hub of the configuration; `None` when its tokens let nobody in. Nothing is asked yet.
    #[must_use]
    pub(crate) fn of(config: &config::Hub) -> Option<Self> {
        if !config.auth {
            return None;
        }
        ring::install();
        let http = Client::default();
        let keys = What {
            name: "its keys",
            path: "/.well-known/jwks.json",
            bytes: 256 << 10,
            ttl: config.times.keys,
            outage: config.times.outage,
            read: Keys::read,
        };
        let revoked = What {
            name: "its list of revoked tokens",
            path: "/.well-known/parachute-revocation.json",
            bytes: 4 << 20,
            ttl: config.times.revoked,
            outage: config.times.outage,
            read: Revoked::read,
        };
        let place = &config.place;
        Some(Self {
            keys: Kept::new(keys, http.clone(), place.clone()),
            revoked: Kept::new(revoked, http, place.clone()),
            place: place.clone(),
            told: Arc::default(),
        })
    }

    /// Whether a token looks like one of these. Others need not be shown here.
    #[must_use]
    pub(crate) fn is_one(token: &str) -> bool {
        let plain =
            |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_".contains(&c));
        // `{"` in base64, as the head of each begins. The signature may be empty, as that of the algorithm `none` is.
        let mut parts = token.split('.');
        let (head, claims, signature) = (parts.next(), parts.next(), parts.next());
        token.starts_with("eyJ")
            && [head, claims].iter().all(|part| part.is_some_and(plain))
            && signature.is_some_and(|part| part.is_empty() || plain(part))
            && parts.next().is_none()
    }

    /// Whether a name of a host is the hub's, which shows us under it.
    #[must_use]
    pub(crate) fn is_host(&self, name: &str) -> bool {
        self.place.is_host(name)
    }

    /// Asks the hub for what it tells everybody. Answers how many keys of use it has.
    ///
    /// # Errors
    /// Why nothing is known, for a person.
    pub(crate) async fn ask(&self) -> Result<usize, String> {
        let keys = self
            .keys
            .get()
            .await
            .map_err(|reason| format!("its keys are not known: {reason}"))?;
        let revoked = self.revoked.get().await;
        revoked.map_err(|reason| format!("what it has revoked is not known: {reason}"))?;
        match keys.count() {
            0 => Err("it has no key with which a token could be signed".into()),
            keys => Ok(keys),
        }
    }

    /// What the holder of a token may do.
    ///
    /// # Errors
    /// Why it lets nobody in. Is in the log already.
    pub(crate) async fn check(&self, token: &str) -> Result<Arc<Grant>, Unfit> {
        let checked = self.examine(token).await;
        if let Err(unfit) = &checked {
            self.tell(unfit);
        }
        checked
    }

    /// Whether the hub has not revoked a token that was good before, as far as it can be known.
    pub(crate) async fn stands(&self, jti: &str) -> bool {
        match self.revoked.get().await {
            Ok(revoked) => !revoked.has(jti),
            Err(reason) => {
                self.tell(&Unfit::NoList(reason));
                false
            }
        }
    }

    /// Strangers decide how often this happens, so not each time is worth a line.
    fn tell(&self, unfit: &Unfit) {
        let code = unfit.code();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.get(code).is_some_and(|at| at.elapsed() < QUIET) {
            tracing::debug!(code, reason = %unfit, "a token of the hub was refused");
            return;
        }
        told.insert(code, Instant::now());
        tracing::warn!(code, reason = %unfit, "a token of the hub was refused; more of that kind are not told for a while");
    }

    async fn examine(&self, token: &str) -> Result<Arc<Grant>, Unfit> {
        let since = Instant::now();
        let head = Head::of(token)?;
        let issuers = self.place.issuers();
        // Before the hub is asked. It counts for nothing yet.
        let said: Claims = jsonwebtoken::dangerous::insecure_decode::<Claims>(token)
            .map_err(|_| Unfit::Shape("its claims"))?
            .claims;
        said.check(&issuers, Timestamp::now())?;
        let claims = match self.signed(&head, token).await {
            Err(Unfit::Key | Unfit::Signature | Unfit::NoKeys(_)) if self.keys.hurry(since).await => {
                self.signed(&head, token).await?
            }
            signed => signed?,
        };
        claims.check(&issuers, Timestamp::now())?;
        let revoked = self.revoked.get().await.map_err(Unfit::NoList)?;
        if revoked.has(&claims.jti) {
            return Err(Unfit::Revoked);
        }
        let (scopes, end) = (claims.scopes(), claims.end());
        Ok(Arc::new(Grant::of_hub(claims.jti, claims.sub, scopes, end)))
    }

    /// The claims, if the hub has signed them.
    async fn signed(&self, head: &Head, token: &str) -> Result<Claims, Unfit> {
        let keys = self.keys.get().await.map_err(Unfit::NoKeys)?;
        let key = keys.find(&head.key, head.algorithm).ok_or(Unfit::Key)?;
        let mut validation = Validation::new(head.algorithm);
        // The rest is ours: it is stricter.
        validation.validate_aud = false;
        validation.leeway = 0;
        validation.set_required_spec_claims(&["exp", "iss", "sub", "aud"]);
        decode::<Claims>(token, key, &validation)
            .map(|data| data.claims)
            .map_err(|error| match error.kind() {
                jsonwebtoken::errors::ErrorKind::ExpiredSignature => Unfit::Expired,
                _ => Unfit::Signature,
            })
    }
}
