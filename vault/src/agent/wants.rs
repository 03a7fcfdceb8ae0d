//! `wants`: what an agent or a role would like to reach besides its own vault. A note only asks; whether it gets it is
//! decided elsewhere, and no secret is ever read from a note.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};
use url::Url;

/// Metadata with the list.
pub const WANTS: &str = "wants";

/// The forms of an entry, for people.
const FORMS: &str = "use vault:NAME:read or vault:NAME:write (with #TAG behind it), env:SERVICE, mcp:SERVICE, mcp:https://HOST/PATH, \
     surface:NAME:read or surface:NAME:write";

/// Most entries that a message names.
const TOLD: usize = 10;

/// Longest name of a surface.
const SURFACE_MAX: usize = 64;

/// What one may do there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Access {
    /// Look.
    Read,
    /// Change; looks too.
    Write,
}

impl Access {
    /// The word in an entry.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Read, Self::Write]
            .into_iter()
            .find(|access| access.as_str() == word)
    }
}

/// How a service reaches the turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Inject {
    /// Its token is in an environment variable.
    Env,
    /// Its MCP server is among the tools.
    Mcp,
}

impl Inject {
    /// The word in an entry.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Env => "env",
            Self::Mcp => "mcp",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Env, Self::Mcp]
            .into_iter()
            .find(|inject| inject.as_str() == word)
    }
}

/// One thing that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Want {
    /// Another vault.
    Vault {
        /// Its name.
        name: String,
        /// How far.
        access: Access,
        /// Only notes with one of these tags; each begins with `#`. Empty: all.
        tags: Vec<String>,
    },
    /// A service with a token.
    Service {
        /// Its name.
        name: String,
        /// Not empty; `Env` before `Mcp`.
        inject: Vec<Inject>,
    },
    /// A repository that is served by Git.
    Surface {
        /// Its name, in lower case.
        name: String,
        /// How far.
        access: Access,
    },
    /// An MCP server somewhere.
    Mcp {
        /// Its address, as it was written.
        url: String,
    },
}

/// Whether a text can be the name of a vault or of a service.
fn is_slug(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-')
}

fn is_surface(text: &str) -> bool {
    text.len() <= SURFACE_MAX && is_slug(text) && text.as_bytes()[0].is_ascii_alphanumeric()
}

/// Text as a part of an environment variable's name: upper case, everything else but digits is one `_`.
fn upper(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for c in text.chars() {
        match c.to_ascii_uppercase() {
            c if c.is_ascii_uppercase() || c.is_ascii_digit() => name.push(c),
            _ if name.ends_with('_') => {}
            _ => name.push('_'),
        }
    }
    name
}

/// The variable that has the token of a service.
fn service_env(service: &str) -> String {
    match service {
        "cloudflare" => "CLOUDFLARE_API_TOKEN".into(),
        other => format!("{}_TOKEN", upper(other)),
    }
}

/// Whether a variable is never set by what an agent wants: it holds a credential of the CLI or of the daemon, or would
/// change what the child runs, loads or talks to.
#[must_use]
pub fn is_reserved_env(name: &str) -> bool {
    const PREFIXES: [&str; 8] = [
        "ANTHROPIC_",
        "CLAUDE_",
        "REVEILLE_",
        "LD_",
        "DYLD_",
        "XDG_",
        "GIT_",
        "BASH_FUNC_",
    ];
    const NAMES: [&str; 35] = [
        "ALL_PROXY",
        "BASHOPTS",
        "BASH_ENV",
        "BROWSER",
        "CDPATH",
        "CLAUDECODE",
        "EDITOR",
        "ENV",
        "HOME",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "IFS",
        "IS_SANDBOX",
        "LOGNAME",
        "NODE_EXTRA_CA_CERTS",
        "NODE_OPTIONS",
        "NODE_PATH",
        "NO_PROXY",
        "PAGER",
        "PATH",
        "PERL5LIB",
        "PERL5OPT",
        "PYTHONHOME",
        "PYTHONPATH",
        "PYTHONSTARTUP",
        "RUBYLIB",
        "RUBYOPT",
        "SHELL",
        "SHELLOPTS",
        "SSL_CERT_DIR",
        "SSL_CERT_FILE",
        "TEMP",
        "TMP",
        "TMPDIR",
        "USER",
    ];
    let name = name.to_ascii_uppercase();
    PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || NAMES.contains(&name.as_str())
}

impl Want {
    /// Reads the list: an array with an entry each, or text with entries between commas and blanks. Nothing, or blank text,
    /// is an empty list. `env:` and `mcp:` of one service are one want, and one that is written twice is there once.
    ///
    /// # Errors
    /// Every entry that will not do, and what is accepted. Then nothing of the list counts.
    pub fn parse_list(value: &Value) -> Result<Vec<Self>, String> {
        let entries: Vec<String> = match value {
            Value::Null => Vec::new(),
            Value::String(text) => {
                let entries = text.split(|c: char| c == ',' || c.is_whitespace());
                entries.map(str::to_owned).collect()
            }
            Value::Array(items) => items.iter().map(entry_text).collect(),
            _ => return Err(format!("write a list of entries; {FORMS}")),
        };
        let (mut wants, mut wrong, mut more) = (Wanted::default(), Vec::new(), 0);
        for entry in entries
            .iter()
            .map(|entry| entry.trim())
            .filter(|entry| !entry.is_empty())
        {
            match Self::parse(entry) {
                Ok(want) => wants.add(want),
                Err(why) if wrong.len() < TOLD => wrong.push(format!("{entry:?}: {why}")),
                Err(_) => more += 1, // silent-ok: they are counted
            }
        }
        if more > 0 {
            wrong.push(format!("{more} more entries will not do"));
        }
        match wrong.is_empty() {
            true => Ok(wants.list),
            false => Err(wrong.join("; ")),
        }
    }

    /// Reads one entry.
    fn parse(entry: &str) -> Result<Self, String> {
        // Nobody sees them where it is decided whether the agent gets it.
        if entry.contains(char::is_control) {
            return Err("has a control character, such as a line break or NUL; leave it out".into());
        }
        let (kind, rest) = entry.split_once(':').ok_or_else(|| format!("has no colon; {FORMS}"))?;
        match kind {
            "vault" => vault(rest),
            "surface" => surface(rest),
            "env" => service(rest, Inject::Env),
            "mcp" if is_web(rest) => mcp(rest),
            "mcp" => service(rest, Inject::Mcp),
            other => Err(format!("{other:?} is no kind of connection; {FORMS}")),
        }
    }

    /// What tells it from the others of one agent.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Vault { name, access, tags } => {
                let mut tags: Vec<&str> = tags.iter().map(String::as_str).collect();
                tags.sort_unstable();
                format!("vault:{name}:{}{}", access.as_str(), tags.concat())
            }
            Self::Service { name, inject } => {
                let words: Vec<&str> = inject.iter().map(|inject| inject.as_str()).collect();
                format!("{}:{name}", words.join("+"))
            }
            Self::Surface { name, access } => format!("surface:{name}:{}", access.as_str()),
            Self::Mcp { url } => format!("mcp:{url}"),
        }
    }

    /// `vault`, `service`, `surface` or `mcp`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Vault { .. } => "vault",
            Self::Service { .. } => "service",
            Self::Surface { .. } => "surface",
            Self::Mcp { .. } => "mcp",
        }
    }

    /// What it leads to: a name, or the address of an MCP server.
    #[must_use]
    pub fn target(&self) -> &str {
        match self {
            Self::Vault { name, .. } | Self::Service { name, .. } | Self::Surface { name, .. } => name,
            Self::Mcp { url } => url,
        }
    }

    /// The environment variable that tells the turn of it: the token of a service that is wanted there, the address of a
    /// surface.
    #[must_use]
    pub fn env_name(&self) -> Option<String> {
        match self {
            Self::Service { name, inject } if inject.contains(&Inject::Env) => Some(service_env(name)),
            Self::Surface { name, .. } => Some(format!("PARACHUTE_SURFACE_{}_REMOTE", upper(name))),
            _ => None,
        }
    }

    /// As a hub is told of it.
    #[must_use]
    pub fn spec_json(&self) -> Value {
        let (kind, target) = (self.kind(), self.target());
        match self {
            Self::Vault { access, tags, .. } if tags.is_empty() => {
                json!({ "kind": kind, "target": target, "access": access.as_str() })
            }
            Self::Vault { access, tags, .. } => {
                json!({ "kind": kind, "target": target, "access": access.as_str(), "tags": tags })
            }
            Self::Service { inject, .. } => {
                let inject: Vec<&str> = inject.iter().map(|inject| inject.as_str()).collect();
                json!({ "kind": kind, "target": target, "inject": inject })
            }
            Self::Surface { access, .. } => json!({ "kind": kind, "target": target, "access": access.as_str() }),
            Self::Mcp { .. } => json!({ "kind": kind, "target": target }),
        }
    }

    /// Reads what [`Want::spec_json`] wrote, or a hub. `None`: it is nothing that a note could ask for.
    #[must_use]
    pub fn from_spec(spec: &Value) -> Option<Self> {
        let text = |key: &str| spec.get(key).and_then(Value::as_str);
        let list = |key: &str| -> Vec<&str> {
            let items = spec.get(key).and_then(Value::as_array);
            items.into_iter().flatten().filter_map(Value::as_str).collect()
        };
        let target = text("target")?;
        let entries = match text("kind")? {
            kind @ ("vault" | "surface") => {
                let tags = list("tags")
                    .into_iter()
                    .map(|tag| format!("#{}", crate::note::bare_tag(tag)));
                let access = text("access").unwrap_or("read");
                vec![format!("{kind}:{target}:{access}{}", tags.collect::<String>())]
            }
            "service" => {
                let words = list("inject").into_iter();
                let mut inject = words.map(Inject::parse).collect::<Option<Vec<Inject>>>()?;
                if inject.is_empty() {
                    inject.push(Inject::Env);
                }
                inject
                    .iter()
                    .map(|inject| format!("{}:{target}", inject.as_str()))
                    .collect()
            }
            "mcp" if is_web(target) => vec![format!("mcp:{target}")],
            _ => return None,
        };
        let wants = Self::parse_list(&json!(entries)).ok()?; // silent-ok: the answer says that it is none
        wants.into_iter().next()
    }
}

fn entry_text(item: &Value) -> String {
    match item {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// The wants of one list, each once. A list may be very long: none of it is looked through.
#[derive(Default)]
struct Wanted {
    list: Vec<Want>,
    /// Where in the list each service is.
    services: HashMap<String, usize>,
    others: HashSet<Want>,
}

impl Wanted {
    fn add(&mut self, want: Want) {
        let Want::Service { name, inject: more } = &want else {
            if self.others.insert(want.clone()) {
                self.list.push(want);
            }
            return;
        };
        let known = self.services.get(name).and_then(|at| self.list.get_mut(*at));
        if let Some(Want::Service { inject, .. }) = known {
            inject.extend(more);
            inject.sort_unstable();
            inject.dedup();
            return;
        }
        self.services.insert(name.clone(), self.list.len());
        self.list.push(want);
    }
}

fn vault(rest: &str) -> Result<Want, String> {
    let (head, tail) = match rest.split_once('#') {
        Some((head, tail)) => (head, Some(tail)),
        None => (rest, None),
    };
    let (name, access) = with_access(head.trim(), "vault", is_slug, "letters, digits, `_` and `-`")?;
    if tail.is_some_and(|tail| tail.contains(|c: char| c.is_whitespace() && c != ' ')) {
        return Err("has a space in a tag that is no ordinary one; write the tag as the notes have it".into());
    }
    let tags = tail.into_iter().flat_map(|tail| tail.split('#')).map(str::trim);
    let mut tags: Vec<String> = tags
        .filter(|tag| !tag.is_empty())
        .map(|tag| format!("#{tag}"))
        .collect();
    tags.sort_unstable();
    tags.dedup();
    Ok(Want::Vault { name, access, tags })
}

fn surface(rest: &str) -> Result<Want, String> {
    let rule = "letters, digits, `_` and `-`, 64 at most, the first a letter or digit";
    let (name, access) = with_access(rest, "surface", is_surface, rule)?;
    let name = name.to_ascii_lowercase();
    Ok(Want::Surface { name, access })
}

/// `NAME:read` or `NAME:write`.
fn with_access(text: &str, kind: &str, good: fn(&str) -> bool, rule: &str) -> Result<(String, Access), String> {
    let (name, verb) = text
        .split_once(':')
        .ok_or_else(|| format!("does not say how far; write {kind}:{text}:read or {kind}:{text}:write"))?;
    if !good(name) {
        return Err(format!("{name:?} is no name of a {kind}: {rule}"));
    }
    let access = Access::parse(verb).ok_or_else(|| format!("{verb:?} is not known; use read or write"))?;
    Ok((name.to_owned(), access))
}

fn service(name: &str, inject: Inject) -> Result<Want, String> {
    if !is_slug(name) {
        return Err(format!(
            "{name:?} is no name of a service: letters, digits, `_` and `-`; or mcp:https://HOST/PATH"
        ));
    }
    let variable = service_env(name);
    if is_reserved_env(&variable) {
        return Err(format!(
            "its variable would be {variable}, which the daemon sets itself or keeps from agents; use another service"
        ));
    }
    let (name, inject) = (name.to_owned(), vec![inject]);
    Ok(Want::Service { name, inject })
}

fn is_web(text: &str) -> bool {
    let begins = |scheme: &str| {
        text.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    begins("http://") || begins("https://")
}

fn mcp(text: &str) -> Result<Want, String> {
    if text.contains(char::is_whitespace) {
        return Err("has a space in the address; write %20 for it, or two entries".into());
    }
    let url = Url::parse(text).map_err(|error| format!("is no address ({error}); write mcp:https://HOST/PATH"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "has a name or password in the address, which every reader of the note sees; leave it out, the \
                    operator gives the token on approval"
                .into(),
        );
    }
    Ok(Want::Mcp { url: text.to_owned() })
}

#[cfg(test)]
mod tests;
