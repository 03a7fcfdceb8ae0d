//! Scopes: what a token is good for, as `vault:<name>:read|write|admin` and `reveille:read|send|write|admin`.

use std::fmt;

/// What one may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verb {
    /// Look.
    Read,
    /// Send messages to agents; of the daemon only.
    Send,
    /// Change; looks and sends too.
    Write,
    /// Everything.
    Admin,
}

impl Verb {
    fn covers(self, needed: Self) -> bool {
        match self {
            Self::Read | Self::Send => self == needed,
            Self::Write => needed != Self::Admin,
            Self::Admin => true,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Send => "send",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }

    /// A verb of the daemon.
    pub(crate) fn of_daemon(text: &str) -> Option<Self> {
        [Self::Read, Self::Send, Self::Write, Self::Admin]
            .into_iter()
            .find(|verb| verb.text() == text)
    }

    /// A verb of a vault.
    fn of_vault(text: &str) -> Option<Self> {
        Self::of_daemon(text).filter(|verb| *verb != Self::Send)
    }
}

/// Where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Area {
    /// The daemon itself: agents, turns, channels.
    Daemon,
    /// The vault of this name.
    Vault(String),
}

/// A verb and where it holds. Written in full; [`Scope::within`] is the short form that the notes API has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Scope {
    pub(crate) area: Area,
    pub(crate) verb: Verb,
}

impl Scope {
    /// Of a vault.
    pub(crate) fn vault(name: &str, verb: Verb) -> Self {
        Self {
            area: Area::Vault(name.to_owned()),
            verb,
        }
    }

    /// Of the daemon.
    pub(crate) fn daemon(verb: Verb) -> Self {
        Self {
            area: Area::Daemon,
            verb,
        }
    }

    /// Reads `vault:<verb>` and `vault:<name>:<verb>` for the vault `name`.
    ///
    /// # Errors
    /// Why it is none of that vault, for a person.
    pub(crate) fn parse(text: &str, name: &str) -> Result<Self, String> {
        let unknown = || "a scope is vault:read, vault:write or vault:admin".to_owned();
        let rest = text.strip_prefix("vault:").ok_or_else(unknown)?;
        let verb = match rest.rsplit_once(':') {
            Some((vault, verb)) if vault == name => verb,
            Some((vault, _)) => return Err(format!("it is of the vault {vault:?}, this is {name:?}")),
            None => rest,
        };
        let verb = Verb::of_vault(verb).ok_or_else(unknown)?;
        Ok(Self::vault(name, verb))
    }

    /// Reads the full form: `reveille:<verb>` or `vault:<name>:<verb>`.
    pub(crate) fn full(text: &str) -> Option<Self> {
        if let Some(verb) = text.strip_prefix("reveille:") {
            return Verb::of_daemon(verb).map(Self::daemon);
        }
        let (vault, verb) = text.strip_prefix("vault:")?.rsplit_once(':')?;
        // As vaults can be called in the configuration.
        let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let named = !vault.is_empty() && vault.chars().all(in_name);
        Verb::of_vault(verb)
            .filter(|_| named)
            .map(|verb| Self::vault(vault, verb))
    }

    /// Whether it is of the daemon itself.
    pub(crate) fn is_of_daemon(&self) -> bool {
        self.area == Area::Daemon
    }

    /// Whether who has this may give it to others.
    pub(crate) fn is_admin(&self) -> bool {
        self.verb == Verb::Admin
    }

    /// Whether who has this may do what needs `needed`.
    pub(crate) fn covers(&self, needed: &Self) -> bool {
        self.area == needed.area && self.verb.covers(needed.verb)
    }

    /// As the notes API of the vault `name` writes it: its own scopes without the name.
    pub(crate) fn within(&self, name: &str) -> String {
        match &self.area {
            Area::Vault(own) if own == name => format!("vault:{}", self.verb.text()),
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.area {
            Area::Daemon => write!(f, "reveille:{}", self.verb.text()),
            Area::Vault(name) => write!(f, "vault:{name}:{}", self.verb.text()),
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_verb_includes_the_lower_ones_of_its_own_area() {
        let verbs = [Verb::Read, Verb::Send, Verb::Write, Verb::Admin];
        for (held, expected) in verbs.into_iter().zip([
            [true, false, false, false],
            [false, true, false, false],
            [true, true, true, false],
            [true, true, true, true],
        ]) {
            let covered = verbs.map(|needed| Scope::daemon(held).covers(&Scope::daemon(needed)));
            assert_eq!(covered, expected, "{held:?}");
        }
        let own = Scope::vault("a", Verb::Admin);
        assert!(own.covers(&Scope::vault("a", Verb::Read)));
        assert!(!own.covers(&Scope::vault("b", Verb::Read)));
        assert!(!own.covers(&Scope::daemon(Verb::Read)));
        assert!(!Scope::daemon(Verb::Admin).covers(&own));
    }

    #[test]
    fn scopes_of_a_vault_have_a_short_and_a_full_form() {
        for text in ["vault:write", "vault:notes:write"] {
            let scope = Scope::parse(text, "notes").unwrap();
            assert_eq!(scope, Scope::vault("notes", Verb::Write));
            let forms = (scope.to_string(), scope.within("notes"), scope.within("other"));
            let full = "vault:notes:write".to_owned();
            assert_eq!(forms, (full.clone(), "vault:write".to_owned(), full));
            assert_eq!(Scope::full(&scope.to_string()), Some(scope));
        }
        for wrong in [
            "",
            "read",
            "vault",
            "vault:",
            "vault:send",
            "vault:Read",
            "vault:other:read",
            "vault:notes:",
            "vault:notes:read:write",
            "vault::read",
            "agent:read",
            "reveille:admin",
            " vault:read",
        ] {
            assert!(Scope::parse(wrong, "notes").is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_full_form_names_the_daemon_or_a_vault() {
        for (text, full) in [
            ("reveille:send", Some(Scope::daemon(Verb::Send))),
            ("reveille:admin", Some(Scope::daemon(Verb::Admin))),
            ("vault:notes:read", Some(Scope::vault("notes", Verb::Read))),
            ("agent:write", None),
            ("channel:read", None),
            ("agent:x", None),
            ("channel:", None),
            ("agent", None),
            ("reveille:", None),
            ("reveille:Read", None),
            ("vault:notes:send", None),
            ("vault::read", None),
            ("vault:a:b:read", None),
            ("vault:read", None),
            ("", None),
        ] {
            assert_eq!(Scope::full(text), full, "{text:?}");
        }
    }
}
