//! `[vault]` and `[[vault]]`: where notes live. One table is one vault; several are an array, of which the first is the
//! default one.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reveille_vault::parachute::FirstConnect;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};

use super::read::expand;
use super::{ConfigError, Span};

/// Names that are words of the address `/vault/<name>`.
const RESERVED: &[&str] = &["list"];
/// Largest file of a note, unless the table says otherwise.
const MAX_ATTACHMENT: usize = 100 << 20;
/// Largest file with a secret.
const SECRET_BYTES: usize = 64 << 10;
/// Pause between two scans of a Parachute vault, unless the table says otherwise. A scan of a quiet vault is two requests.
pub(crate) const POLL: Duration = Duration::from_secs(5);

/// A secret as the configuration has it. Shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Secret {
    /// The text itself, from the environment or from a private file.
    Text(String),
    /// Alone in a file, read when it is needed, so that it may be renewed.
    File(PathBuf),
}

impl Secret {
    /// The text.
    ///
    /// # Errors
    /// The file cannot be read; says which and why, never what is in it.
    pub(crate) fn reveal(&self) -> Result<String, String> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File(path) => match read(path) {
                Ok(text) if text.len() > SECRET_BYTES => Err(format!(
                    "{} is larger than {} KiB, so it is no secret",
                    path.display(),
                    SECRET_BYTES >> 10
                )),
                Ok(text) if text.trim().is_empty() => Err(format!("{} is empty", path.display())),
                Ok(text) => Ok(text.trim().to_owned()),
                Err(error) => Err(format!("{} cannot be read: {error}", path.display())),
            },
        }
    }
}

/// A little more than a secret may be, at most.
fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    file.take(u64::try_from(SECRET_BYTES).unwrap_or(u64::MAX).saturating_add(1))
        .read_to_string(&mut text)?;
    Ok(text)
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(…)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// A vault of the peer behind its HTTP API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parachute {
    /// Address of the server, without `/vault/…`.
    pub(crate) url: String,
    /// Name of the vault there.
    pub(crate) vault: String,
    /// What lets us in; some servers on the same machine ask for none.
    pub(crate) token: Option<Secret>,
    /// Pause between two scans.
    pub(crate) poll: Duration,
    /// What its webhooks show.
    pub(crate) webhook_secret: Option<Secret>,
    /// What happens to the messages that are there at the first connection.
    pub(crate) first_connect: FirstConnect,
    /// Threads define agents. Said by `[definitions] discovery`.
    pub(crate) follow_threads: bool,
}

/// Where the notes of a vault are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// In an SQLite file in the state directory.
    Embedded,
    /// Behind the HTTP API of a Parachute vault.
    Parachute(Parachute),
    /// In this directory of Markdown files; absolute.
    Folder(PathBuf),
}

/// One vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Vault {
    /// Its name, as in `/vault/<name>`.
    pub(crate) name: String,
    /// Largest file of a note, in bytes.
    pub(crate) max_attachment: usize,
    /// Where its notes are.
    pub(crate) place: Place,
}

/// All vaults; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Vaults {
    /// The one that counts where none is named.
    pub(crate) default: Vault,
    /// The others, in the order of the configuration.
    pub(crate) others: Vec<Vault>,
}

impl Default for Vaults {
    fn default() -> Self {
        Self {
            default: Vault {
                name: "default".into(),
                max_attachment: MAX_ATTACHMENT,
                place: Place::Embedded,
            },
            others: Vec::new(),
        }
    }
}

impl Vaults {
    /// In the order of the configuration.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Vault> {
        std::iter::once(&self.default).chain(&self.others)
    }

    /// Threads are followed as definitions are, where that takes a look of its own.
    pub(super) fn follow_threads(&mut self) {
        for vault in std::iter::once(&mut self.default).chain(&mut self.others) {
            if let Place::Parachute(peer) = &mut vault.place {
                peer.follow_threads = true;
            }
        }
    }

    /// What files they take.
    #[must_use]
    pub(crate) fn file_limits(&self) -> FileLimits {
        let limits = self.all().map(|vault| (vault.name.clone(), vault.max_attachment));
        FileLimits(Arc::new(limits.collect()))
    }
}

/// Most bytes of one file, by vault. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FileLimits(Arc<BTreeMap<String, usize>>);

impl FileLimits {
    /// In that vault.
    #[must_use]
    pub(crate) fn of(&self, vault: &str) -> usize {
        self.0.get(vault).copied().unwrap_or(MAX_ATTACHMENT)
    }

    /// In the vault that takes the largest ones.
    #[must_use]
    pub(crate) fn largest(&self) -> usize {
        self.0.values().copied().max().unwrap_or(MAX_ATTACHMENT)
    }
}

#[cfg(test)]
impl<const N: usize> From<[(&str, usize); N]> for FileLimits {
    fn from(limits: [(&str, usize); N]) -> Self {
        Self(Arc::new(limits.map(|(name, limit)| (name.to_owned(), limit)).into()))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Embedded,
    Parachute,
    Folder,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Parachute => "parachute",
            Self::Folder => "folder",
        }
    }
}

/// A table as it is written. What its kind asks for is looked at when everything is laid over it.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    name: Option<String>,
    kind: Kind,
    max_attachment: Option<usize>,
    url: Option<String>,
    vault: Option<String>,
    token: Option<String>,
    token_file: Option<PathBuf>,
    poll: Option<Span>,
    webhook_secret: Option<String>,
    webhook_secret_file: Option<PathBuf>,
    first_connect: Option<String>,
    path: Option<PathBuf>,
}

/// `[vault]` or `[[vault]]` as it is written.
#[derive(Clone, Default)]
pub(super) struct Tables(Vec<Written>);

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It may hold secrets.
        write!(f, "Tables({})", self.0.len())
    }
}

impl<'de> Deserialize<'de> for Tables {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;
        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Tables;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table [vault], or several as [[vault]]")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Tables, A::Error> {
                Written::deserialize(MapAccessDeserializer::new(map)).map(|one| Tables(vec![one]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Tables, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Tables)
            }
        }
        deserializer.deserialize_any(OneOrMany)
    }
}

impl Tables {
    /// A secret that stands in the file itself is refused when others may read that file.
    ///
    /// # Errors
    /// Names the key and the mend; holds no secret.
    pub(super) fn check_private(&self, file: &Path) -> Result<(), ConfigError> {
        self.0.iter().try_for_each(|table| {
            let secrets = [("token", &table.token), ("webhook_secret", &table.webhook_secret)];
            check_private("vault", secrets, file)
        })
    }

    /// The vaults that are meant.
    ///
    /// # Errors
    /// What is missing, is of another kind, or is there twice.
    pub(super) fn resolve(self, environment: &BTreeMap<String, String>) -> Result<Vaults, ConfigError> {
        let several = self.0.len() > 1;
        let mut vaults: Vec<Vault> = Vec::with_capacity(self.0.len());
        for (index, table) in self.0.into_iter().enumerate() {
            let origin = match &table.name {
                Some(name) => format!("[vault] {name:?}"),
                None if several => format!("[[vault]] number {}", index + 1),
                None => "[vault]".to_owned(),
            };
            if several && table.name.is_none() {
                return Err(wrong(origin, "it has no name; every vault of several needs one"));
            }
            let vault = table
                .resolve(environment)
                .map_err(|message| wrong(origin.clone(), message))?;
            // On some disks `Notes.db` and `notes.db` are one file.
            if let Some(twin) = vaults.iter().find(|one| one.name.eq_ignore_ascii_case(&vault.name)) {
                let message = format!(
                    "there is a vault {:?} already; names must differ in more than case",
                    twin.name
                );
                return Err(wrong(origin, message));
            }
            vaults.push(vault);
        }
        if vaults.is_empty() {
            return Ok(Vaults::default());
        }
        let others = vaults.split_off(1);
        Ok(vaults
            .pop()
            .map_or_else(Vaults::default, |default| Vaults { default, others }))
    }
}

fn wrong(origin: String, message: impl Into<String>) -> ConfigError {
    ConfigError::Wrong {
        origin,
        message: message.into(),
    }
}

impl Written {
    fn resolve(self, environment: &BTreeMap<String, String>) -> Result<Vault, String> {
        let name = self.name.clone().unwrap_or_else(|| "default".into());
        check_name(&name)?;
        let keys = [
            ("url", Kind::Parachute, self.url.is_some()),
            ("vault", Kind::Parachute, self.vault.is_some()),
            ("token", Kind::Parachute, self.token.is_some()),
            ("token_file", Kind::Parachute, self.token_file.is_some()),
            ("poll", Kind::Parachute, self.poll.is_some()),
            ("webhook_secret", Kind::Parachute, self.webhook_secret.is_some()),
            (
                "webhook_secret_file",
                Kind::Parachute,
                self.webhook_secret_file.is_some(),
            ),
            ("first_connect", Kind::Parachute, self.first_connect.is_some()),
            ("path", Kind::Folder, self.path.is_some()),
        ];
        if let Some((key, kind, _)) = keys.iter().find(|(_, kind, set)| *set && *kind != self.kind) {
            return Err(format!(
                "the key `{key}` is for `kind = {:?}`, and this vault is of the kind {:?}",
                kind.as_str(),
                self.kind.as_str()
            ));
        }
        let max_attachment = self.max_attachment.unwrap_or(MAX_ATTACHMENT);
        let place = match self.kind {
            Kind::Embedded => Place::Embedded,
            Kind::Folder => Place::Folder(self.folder(environment)?),
            Kind::Parachute => Place::Parachute(self.parachute(&name, environment)?),
        };
        Ok(Vault {
            name,
            max_attachment,
            place,
        })
    }

    fn folder(self, environment: &BTreeMap<String, String>) -> Result<PathBuf, String> {
        let path = self.path.ok_or("`path` is missing: the directory of the notes")?;
        absolute("path", path, environment)
    }

    fn parachute(self, name: &str, environment: &BTreeMap<String, String>) -> Result<Parachute, String> {
        let url = self
            .url
            .ok_or("`url` is missing: the address of the Parachute server, such as http://127.0.0.1:1940")?;
        let url = address("url", &url)?;
        Ok(Parachute {
            url,
            vault: self.vault.unwrap_or_else(|| name.to_owned()),
            token: secret("token", self.token, self.token_file, environment)?,
            poll: self.poll.map_or(POLL, |poll| poll.0),
            webhook_secret: secret(
                "webhook_secret",
                self.webhook_secret,
                self.webhook_secret_file,
                environment,
            )?,
            first_connect: first_connect(self.first_connect.as_deref())?,
            follow_threads: false,
        })
    }
}

/// A secret that stands in the file itself is refused when others may read that file.
///
/// # Errors
/// Names the key and the mend; holds no secret.
pub(super) fn check_private<const N: usize>(
    table: &str,
    secrets: [(&str, &Option<String>); N],
    file: &Path,
) -> Result<(), ConfigError> {
    let literal = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.contains("${"));
    let Some((key, _)) = secrets.into_iter().find(|(_, text)| literal(text)) else {
        return Ok(());
    };
    let read = std::fs::metadata(file).map_err(|source| ConfigError::Read {
        path: file.to_owned(),
        source,
    })?;
    if read.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(ConfigError::Wrong {
        origin: file.display().to_string(),
        message: format!(
            "`{table}.{key}` is a secret, and others on this machine may read the file; `chmod 600` it, or write \
             `{key} = \"${{VARIABLE}}\"` or `{key}_file`"
        ),
    })
}

/// The same for one secret of another module's table.
///
/// # Errors
/// As [`check_private`].
pub(crate) fn private_secret(table: &str, key: &str, text: &Option<String>, file: &Path) -> Result<(), ConfigError> {
    check_private(table, [(key, text)], file)
}

/// Whether a vault may have that name.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let fits = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-');
    if name.is_empty() || !name.chars().all(fits) {
        return Err(format!("the name {name:?} may have letters, digits, `_` and `-` only"));
    }
    if RESERVED.contains(&name) {
        return Err(format!(
            "the name {name:?} is taken by an address of the API; choose another one"
        ));
    }
    Ok(())
}

/// The address of a server, without the slash at its end.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn address(key: &str, text: &str) -> Result<String, String> {
    let text = text.trim().trim_end_matches('/');
    let parsed = reqwest::Url::parse(text).map_err(|error| format!("`{key}` is no address: {error}"))?;
    if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
        return Err(format!("`{key}` must begin with http:// or https://"));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() || parsed.query().is_some() {
        return Err(format!(
            "`{key}` is the address alone; what lets the daemon in goes into `token_file` or `token`"
        ));
    }
    Ok(text.to_owned())
}

fn first_connect(word: Option<&str>) -> Result<FirstConnect, String> {
    let Some(word) = word else {
        return Ok(FirstConnect::default());
    };
    let known = FirstConnect::WORDS.iter().find(|(known, _)| *known == word);
    known.map(|(_, rule)| *rule).ok_or_else(|| {
        format!("`first_connect` is {word:?}; write \"pending\" (what nobody has dealt with runs), \"all\" or \"none\"")
    })
}

/// The text of `key`, or the file of `key_file`.
///
/// # Errors
/// What is wrong with it; holds no secret.
pub(crate) fn secret(
    key: &str,
    text: Option<String>,
    file: Option<PathBuf>,
    environment: &BTreeMap<String, String>,
) -> Result<Option<Secret>, String> {
    match (text, file) {
        (Some(_), Some(_)) => Err(format!("`{key}` and `{key}_file` are both set; keep one")),
        (None, None) => Ok(None),
        (None, Some(file)) => absolute(&format!("{key}_file"), file, environment).map(|file| Some(Secret::File(file))),
        (Some(text), None) => {
            let text = expand(&text, environment)
                .map_err(|missing| format!("`{key}`: the variable {missing} that it takes is not set"))?;
            match text.trim() {
                "" => Err(format!("`{key}` is blank; leave it out if there is none")),
                text => Ok(Some(Secret::Text(text.to_owned()))),
            }
        }
    }
}

/// `~/` is the home directory; anything else must say all of its way, because the daemon may be started anywhere.
fn absolute(key: &str, path: PathBuf, environment: &BTreeMap<String, String>) -> Result<PathBuf, String> {
    if let Ok(rest) = path.strip_prefix("~") {
        let home = environment
            .get("HOME")
            .ok_or_else(|| format!("`{key}` begins with ~, and HOME is not set"))?;
        return Ok(Path::new(home).join(rest));
    }
    match path.is_absolute() {
        true => Ok(path),
        false => Err(format!("`{key}` must be an absolute path, or begin with ~/")),
    }
}
