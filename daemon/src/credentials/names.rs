//! What may be stored, and under which names.

use std::fmt;

use reveille_queue::ChannelName;
use reveille_vault::agent::is_reserved_env;

use super::CredentialsError;

/// Variables that sign the CLI in, in the order in which they are taken.
pub(crate) const CREDENTIALS: [&str; 3] = ["CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"];

/// What the tokens of `claude setup-token` begin with. Everything else is taken for an API key.
const OAUTH: &str = "sk-ant-oat";
/// Bytes of a value. The system takes 128 KiB for a variable with its name.
const VALUE_MAX: usize = 64 * 1024;
/// Bytes of a name.
const NAME_MAX: usize = 256;
/// Bytes of a credential.
const TOKEN_MAX: usize = 8 * 1024;

/// Names that [`is_reserved_env`] keeps from connections and that an operator may set: whose commits these are, and what the CLI is told of
/// its surroundings.
const ALLOWED: [&str; 5] = [
    "GIT_AUTHOR_EMAIL",
    "GIT_AUTHOR_NAME",
    "GIT_COMMITTER_EMAIL",
    "GIT_COMMITTER_NAME",
    "IS_SANDBOX",
];

/// More that would change what a child runs, loads or trusts.
const MORE: [&str; 11] = [
    "CURL_CA_BUNDLE",
    "GCONV_PATH",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "NODE_REPL_EXTERNAL_MODULE",
    "NODE_TLS_REJECT_UNAUTHORIZED",
    "PROMPT_COMMAND",
    "PS4",
    "REQUESTS_CA_BUNDLE",
    "ZDOTDIR",
    "_JAVA_OPTIONS",
];

/// Why a name is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is a credential of the CLI.
    Credential,
    /// It would change what a turn runs, loads or talks to.
    Reserved,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Credential => "it signs Claude Code in, and is set as its credential instead (`reveille secret set --claude`)",
            Self::Reserved => {
                "it would change what a turn runs, loads or talks to; what all turns are to have is for [claude.env] in the \
                 configuration"
            }
        })
    }
}

/// Whether a name is never given to a turn out of the store.
#[must_use]
pub(super) fn refusal(name: &str) -> Option<Refusal> {
    let upper = name.to_ascii_uppercase();
    if CREDENTIALS.contains(&upper.as_str()) || upper == "CLAUDE_API_KEY" {
        return Some(Refusal::Credential);
    }
    let reserved = is_reserved_env(&upper) && !ALLOWED.contains(&upper.as_str());
    (reserved || MORE.contains(&upper.as_str()) || upper.ends_with("_PROXY")).then_some(Refusal::Reserved)
}

fn is_name(name: &str) -> bool {
    let word = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
    !name.is_empty() && name.len() <= NAME_MAX && name.bytes().all(word) && !name.as_bytes()[0].is_ascii_digit()
}

/// A name that somebody has written into the file. What is none may be a secret in the wrong place.
#[must_use]
pub(super) fn shown(name: &str) -> &str {
    if is_name(name) { name } else { "(what is no name)" }
}

/// Whether a variable can be given to a turn.
pub(super) fn check(name: &str, value: &str) -> Result<(), CredentialsError> {
    let wrong = |text: String| Err(CredentialsError::Wrong(text));
    if !is_name(name) {
        // What was typed may be the secret itself.
        return wrong("the name of a variable is of letters, digits and `_`, and begins with no digit".into());
    }
    if let Some(refusal) = refusal(name) {
        return wrong(format!("{name} cannot be set here: {refusal}"));
    }
    if value.is_empty() {
        return wrong(format!(
            "{name} needs a value that is not empty; to be rid of it, remove it"
        ));
    }
    if value.contains('\0') {
        return wrong(format!(
            "the value of {name} holds a zero byte, which no variable can have"
        ));
    }
    if value.len() > VALUE_MAX {
        return wrong(format!("the value of {name} is longer than {VALUE_MAX} bytes"));
    }
    Ok(())
}

/// A credential as it is stored.
pub(super) fn check_token(token: &str) -> Result<&str, CredentialsError> {
    let wrong = |text: &str| Err(CredentialsError::Wrong(text.into()));
    let token = token.trim();
    if token.is_empty() {
        return wrong("a credential is a text that is not empty");
    }
    if token.len() > TOKEN_MAX || !token.bytes().all(|c| c.is_ascii_graphic()) {
        return wrong(
            "that is no credential of Claude Code: it holds blanks or other characters that none has, or is too long",
        );
    }
    Ok(token)
}

/// An agent's name as it is stored.
pub(super) fn check_channel(channel: &str) -> Result<&str, CredentialsError> {
    match channel.parse::<ChannelName>() {
        Ok(_) => Ok(channel),
        Err(_) => Err(CredentialsError::Wrong(
            "no agent can have that name: names are of 1 to 64 letters, digits, `_` and `-`".into(),
        )),
    }
}

/// The variable that hands a credential to the CLI.
#[must_use]
pub(super) fn variable_of(token: &str) -> &'static str {
    if token.starts_with(OAUTH) {
        "CLAUDE_CODE_OAUTH_TOKEN"
    } else {
        "ANTHROPIC_API_KEY"
    }
}
