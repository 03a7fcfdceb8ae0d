//! Seals on the origins of messages. An origin says to which chat an answer goes, and whoever can write a note can write one
//! too; only those that came through the daemon's own door count.

use std::collections::BTreeMap;
use std::sync::Arc;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// The entry of an origin that is its seal.
const SEAL: &str = "seal";

/// Makes seals and looks at them. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Seals(Arc<[u8; 32]>);

impl Seals {
    /// With a key that comes from this secret and is good for nothing else.
    pub(crate) fn new(secret: &str) -> Self {
        let key = Sha256::digest(format!("origins of messages\n{secret}"));
        Self(Arc::new(key.into()))
    }

    fn mac(&self, note: &str, origin: &BTreeMap<String, String>) -> Hmac<Sha256> {
        #[expect(clippy::expect_used, reason = "a key may have any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0[..]).expect("any length will do");
        for part in [note].into_iter().chain(
            origin
                .iter()
                .filter(|(name, _)| *name != SEAL)
                .flat_map(|(name, value)| [name.as_str(), value.as_str()]),
        ) {
            // With its length, so that no two origins are the same bytes.
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac
    }

    /// Seals the origin of the message in this note.
    pub(crate) fn seal(&self, note: &str, origin: &mut BTreeMap<String, String>) {
        if origin.is_empty() {
            return;
        }
        let seal = self.mac(note, origin).finalize().into_bytes();
        let seal = seal.iter().map(|byte| format!("{byte:02x}")).collect();
        origin.insert(SEAL.to_owned(), seal);
    }

    /// The origin of the message in this note without its seal; nothing when the seal is not ours.
    pub(crate) fn genuine(&self, note: &str, mut origin: BTreeMap<String, String>) -> BTreeMap<String, String> {
        let seal = origin.remove(SEAL).unwrap_or_default();
        let bytes: Option<Vec<u8>> = (0..seal.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(seal.get(at..at + 2)?, 16).ok()) // silent-ok: then it is none
            .collect();
        let holds = bytes.is_some_and(|bytes| self.mac(note, &origin).verify_slice(&bytes).is_ok());
        if !holds && !origin.is_empty() {
            tracing::warn!(
                note,
                "the origin that a message names is not sealed by this daemon and does not count"
            );
            return BTreeMap::new();
        }
        origin
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn origin(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn only_what_was_sealed_for_this_note_counts() {
        let (ours, others) = (Seals::new("a"), Seals::new("b"));
        let plain = origin(&[("bridge", "tg"), ("chat_id", "7")]);
        let mut sealed = plain.clone();
        ours.seal("n1", &mut sealed);
        assert_eq!(sealed.len(), 3);
        assert_eq!(ours.genuine("n1", sealed.clone()), plain);
        // Sealed again, as when a message is sent again: the old seal is no part of it.
        let mut again = sealed.clone();
        ours.seal("n2", &mut again);
        assert_eq!(ours.genuine("n2", again), plain);

        assert_eq!(ours.genuine("n2", sealed.clone()), BTreeMap::new());
        assert_eq!(others.genuine("n1", sealed.clone()), BTreeMap::new());
        assert_eq!(ours.genuine("n1", plain), BTreeMap::new());
        for (name, value) in [("chat_id", "8"), ("seal", "00"), ("seal", "é"), ("user", "x")] {
            let mut forged = sealed.clone();
            forged.insert(name.to_owned(), value.to_owned());
            assert_eq!(ours.genuine("n1", forged), BTreeMap::new(), "{name}={value}");
        }
        let mut nothing = BTreeMap::new();
        ours.seal("n1", &mut nothing);
        assert_eq!(ours.genuine("n1", nothing), BTreeMap::new());
    }
}
