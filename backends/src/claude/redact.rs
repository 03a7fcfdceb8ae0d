//! Takes secrets out of text that is not ours.

use std::fmt;

/// Shorter values are no secrets, and replacing them would spoil the text.
const SHORTEST: usize = 8;

#[derive(Clone, Default)]
pub(super) struct Redactor {
    secrets: Vec<String>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

impl Redactor {
    /// Knows nothing.
    pub(super) fn new() -> Self {
        Self { secrets: Vec::new() }
    }

    /// A variable that anybody may have set: a secret when its name says so.
    pub(super) fn variable(&mut self, name: &str, value: &str) {
        const WORDS: [&str; 6] = ["KEY", "TOKEN", "SECRET", "PASSWORD", "AUTH", "PROXY"];
        let name = name.to_ascii_uppercase();
        if WORDS.iter().any(|word| name.contains(word)) {
            self.secret(value);
        }
    }

    /// A variable that was given for this child alone: a secret unless it cannot be one.
    pub(super) fn given(&mut self, name: &str, value: &str) {
        if is_harmless(value) {
            self.variable(name, value);
        } else {
            self.secret(value);
        }
    }

    /// A secret, the parts of it that a program may show alone, such as its lines, and what it looks like in quotes.
    pub(super) fn secret(&mut self, value: &str) {
        let user = value.split_once("://").and_then(|(_, rest)| rest.split_once('@'));
        let password = user
            .and_then(|(user, _)| user.split_once(':'))
            .map(|(_, password)| password);
        let parts = [Some(value), user.map(|(user, _)| user), password];
        let lines = value.lines().map(str::trim);
        for part in parts.into_iter().flatten().chain(lines) {
            let quoted = format!("{part:?}");
            let inside = quoted.trim_matches('"');
            let forms = [part, inside].into_iter().filter(|form| form.len() >= SHORTEST);
            self.secrets.extend(forms.map(str::to_owned));
        }
        // A secret that contains another one goes first, or its rest would stay.
        self.secrets
            .sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        self.secrets.dedup();
    }

    pub(super) fn clean(&self, text: &str) -> String {
        let there = self.secrets.iter().filter(|secret| text.contains(secret.as_str()));
        there.fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"))
    }
}

/// Numbers, truth values, and addresses that nobody signs in with.
fn is_harmless(value: &str) -> bool {
    let value = value.trim();
    let address = value
        .split_once("://")
        .is_some_and(|(_, rest)| !rest.contains(['@', '?', '#']));
    address || value.parse::<f64>().is_ok() || ["true", "false"].iter().any(|word| value.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn what_was_given_is_secret_unless_it_cannot_be() {
        for (name, value, hidden) in [
            ("ANTHROPIC_API_KEY", "sk-very-secret", true),
            ("DATABASE", "postgres://me:hunter2hunter2@host/db", true),
            ("HOOK", "https://host/hook?code=abcdefgh", true),
            ("WHATEVER", "a-long-word", true),
            ("PIN_TOKEN", "1234567890", true),
            ("SHORT_TOKEN", "abc", false),
            ("BASE_URL", "https://api.example.com/v1", false),
            ("TIMEOUT_MS", "1200000000", false),
            ("RATIO", "0.3333333333", false),
            ("FLAG", "FALSE", false),
        ] {
            let mut redactor = Redactor::new();
            redactor.given(name, value);
            let cleaned = redactor.clean(&format!("say {value} twice: {value}"));
            let shown = if hidden { "***" } else { value };
            assert_eq!(cleaned, format!("say {shown} twice: {shown}"), "{name}");
        }
    }

    #[test]
    fn what_a_program_may_show_alone_is_hidden_too() {
        let mut redactor = Redactor::new();
        redactor.given("DATABASE", "postgres://me:hunter2hunter2@host/db");
        assert_eq!(
            redactor.clean("no me:hunter2hunter2, no hunter2hunter2, but host"),
            "no ***, no ***, but host"
        );
    }

    #[test]
    fn of_the_rest_of_the_environment_only_names_tell() {
        let mut redactor = Redactor::new();
        redactor.variable("HOME", "/home/somebody");
        redactor.variable("https_proxy", "http://me:hunter2hunter2@proxy");
        assert_eq!(
            redactor.clean("/home/somebody by http://me:hunter2hunter2@proxy"),
            "/home/somebody by ***"
        );
    }
}
