//! What the index keeps of a file: what tells whether it has changed.

use sha2::{Digest, Sha256};

use super::disk::Meta;
use crate::note::NoteId;

/// A file as it was when its note was made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) meta: Meta,
    /// Of its bytes.
    pub(super) hash: String,
    /// Its front matter could not be read.
    pub(super) unreadable: bool,
    /// When its note was created, as far as the vault knows; in milliseconds.
    pub(super) created: i64,
    /// The id in its front matter when that is another file's.
    pub(super) claim: Option<NoteId>,
}

impl Stamp {
    /// Before the id that a file claims; in no other stamp.
    pub(super) const CLAIM: &str = " =";

    /// The text that the index keeps.
    pub(super) fn text(&self) -> String {
        let Meta {
            inode,
            size,
            modified,
            changed,
            born,
        } = self.meta;
        let readable = if self.unreadable { "?" } else { "." };
        let claim = self.claim.as_ref();
        let claim = claim.map_or(String::new(), |id| format!("{}{id}", Self::CLAIM));
        let (hash, created) = (&self.hash, self.created);
        format!("{inode} {size} {modified} {changed} {born} {hash} {readable} {created}{claim}")
    }

    /// Reads what [`Stamp::text`] has made. `None`: of another version; the file is read anew.
    pub(super) fn parse(text: &str) -> Option<Self> {
        // silent-ok: see above
        let mut parts = text.splitn(9, ' ');
        let mut next = || parts.next();
        let meta = Meta {
            inode: next()?.parse().ok()?,
            size: next()?.parse().ok()?,
            modified: next()?.parse().ok()?,
            changed: next()?.parse().ok()?,
            born: next()?.parse().ok()?,
        };
        let hash = next()?.to_owned();
        let unreadable = next()? == "?";
        let created = next()?.parse().ok()?;
        let claim = next().and_then(|claim| NoteId::new(claim.strip_prefix('=')?).ok());
        Some(Self {
            meta,
            hash,
            unreadable,
            created,
            claim,
        })
    }
}

/// The hash of a file, as long as it must be to tell the files of one folder apart.
pub(super) fn hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_read_back() {
        let meta = Meta {
            inode: u64::MAX,
            size: 0,
            modified: -1,
            changed: 2,
            born: 0,
        };
        for unreadable in [false, true] {
            for claim in [None, NoteId::new("a b =c").ok()] {
                let stamp = Stamp {
                    meta,
                    hash: hash("x"),
                    unreadable,
                    created: -7,
                    claim,
                };
                assert_eq!(Stamp::parse(&stamp.text()), Some(stamp));
            }
        }
        for wrong in ["", "1 2 3", "x 0 0 0 0 h . 0", "1 2 3 4 5 h .", "2026"] {
            assert_eq!(Stamp::parse(wrong), None, "{wrong}");
        }
    }
}
