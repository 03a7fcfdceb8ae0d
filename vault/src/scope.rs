//! What somebody sees who is let in for some tags only.

use crate::note::Note;

/// Notes that carry one of these tags are seen, all others are not. An empty one sees nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagScope {
    /// Tags without `/`, bare. Each stands for itself and for every tag that begins with it and a `/`.
    pub roots: Vec<String>,
    /// Other tags, bare, each for itself only: those that are declared to be below one of the roots.
    pub below: Vec<String>,
}

impl TagScope {
    /// Whether a bare tag is one of them.
    #[must_use]
    pub fn covers(&self, tag: &str) -> bool {
        let root = tag.split('/').next().unwrap_or(tag);
        self.roots.iter().any(|own| own == root) || self.below.iter().any(|own| own == tag)
    }

    /// Whether a note is seen.
    #[must_use]
    pub fn sees(&self, note: &Note) -> bool {
        note.tags.iter().any(|tag| self.covers(tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_stands_for_what_is_below_it_and_the_others_for_themselves() {
        let scope = TagScope {
            roots: vec!["work".into()],
            below: vec!["plans/secret".into()],
        };
        for (tag, expected) in [
            ("work", true),
            ("work/x", true),
            ("work/x/y", true),
            ("plans/secret", true),
            ("plans/secret/x", false),
            ("plans", false),
            ("works", false),
            ("Work", false),
            ("/work", false),
            ("", false),
        ] {
            assert_eq!(scope.covers(tag), expected, "{tag:?}");
        }
        assert!(!TagScope::default().covers(""));
    }
}
