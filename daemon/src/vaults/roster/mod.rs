//! Which vaults there are, changed while everything runs. What is added is written down before anybody works with it, and what
//! is removed is struck out before anything is torn down: after a crash in between, the next start does the rest.

mod change;
mod leaving;
mod renewal;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError};

use reveille_vault::Vault;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

pub(crate) use self::change::{ChangeError, NewVault, Removal, Seen};
use super::file::{Added, AddedFile, Contents};
use super::token::Token;
use super::{Residents, Vaults, open};
use crate::config::{self, Config, Place, Secret};
use crate::faults;
use crate::http::Webhooks;
use crate::hub::{self, Hub};
use crate::inbox::Inbox;
use crate::outbox::Outbox;
use crate::registry::Discovery;

/// An added vault.
struct Entry {
    added: Added,
    token: Token,
    /// Ends what looks after its token.
    stop: CancellationToken,
    /// Somebody does; a vault may be added while the others are begun with.
    looked_after: AtomicBool,
}

impl Entry {
    fn of(added: Added) -> Self {
        Self {
            token: Token::new(added.token.clone()),
            added,
            stop: CancellationToken::new(),
            looked_after: AtomicBool::new(false),
        }
    }

    fn webhook_secret(&self) -> Option<Secret> {
        self.added.webhook_secret.clone().map(Secret::Text)
    }
}

/// The added vaults.
#[derive(Default)]
pub(crate) struct Book {
    /// Those that are there.
    entries: Vec<Entry>,
    /// What the file says: those, and what the configuration hides.
    contents: Contents,
}

impl Vaults {
    /// Opens those that were added in earlier runs, behind those of the configuration, which go first where a name is in both.
    ///
    /// # Errors
    /// The file or a vault of it cannot be used.
    pub(crate) fn open_added(&self, file: &AddedFile, state: &Path, discovery: Discovery) -> anyhow::Result<Book> {
        let mut book = Book {
            entries: Vec::new(),
            contents: file.load()?,
        };
        for added in &book.contents.vaults {
            if let Some(twin) = self.twin(&added.vault) {
                let file = file.path().display();
                tracing::warn!(vault = twin, %file, "the configuration has a vault of this name, so what the file of added vaults says of it does not count");
                continue;
            }
            let entry = Entry::of(added.clone());
            self.add(faults::vault(open::added(added, &entry.token, state, discovery)?)?);
            book.entries.push(entry);
        }
        Ok(book)
    }

    /// A vault of that name. On some disks `Notes.db` and `notes.db` are one file.
    fn twin(&self, name: &str) -> Option<String> {
        let names = self.names();
        names.into_iter().find(|one| one.eq_ignore_ascii_case(name))
    }
}

/// What a roster is made of.
pub(crate) struct Parts {
    /// Those that are open.
    pub(crate) vaults: Vaults,
    /// The added ones among them.
    pub(crate) book: Book,
    /// Where those are written down.
    pub(crate) file: AddedFile,
    /// What works for each.
    pub(crate) residents: Residents,
    /// Where their messages go.
    pub(crate) inbox: Inbox,
    /// Where their replies come from.
    pub(crate) outbox: Outbox,
    /// Who makes tokens.
    pub(crate) hub: Option<Hub>,
    /// Who gives hints.
    pub(crate) webhooks: Webhooks,
    /// The state directory.
    pub(crate) state: PathBuf,
    /// Ends what looks after tokens.
    pub(crate) drain: CancellationToken,
}

/// Handle. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Roster {
    shared: Arc<Shared>,
}

struct Shared {
    vaults: Vaults,
    /// Held while something changes.
    book: Mutex<Book>,
    file: AddedFile,
    residents: Residents,
    inbox: Inbox,
    outbox: Outbox,
    hub: Option<Hub>,
    hub_place: hub::Place,
    webhooks: Webhooks,
    state: PathBuf,
    drain: CancellationToken,
    configured: config::Vaults,
    discovery: Discovery,
    /// Where those are configured, for a person.
    place: String,
    /// Why added vaults have no fresh token, by name.
    troubles: std::sync::Mutex<BTreeMap<String, String>>,
}

impl Roster {
    /// Nothing is started before [`Roster::open`].
    #[must_use]
    pub(crate) fn new(parts: Parts, config: &Config) -> Self {
        let place = match &config.file {
            Some(file) => format!("the configuration, {}", file.display()),
            None => "the configuration, which has no file: it is there by default or by a variable".to_owned(),
        };
        for entry in &parts.book.entries {
            parts.webhooks.set(&entry.added.vault, entry.webhook_secret());
        }
        let shared = Shared {
            vaults: parts.vaults,
            book: Mutex::new(parts.book),
            file: parts.file,
            residents: parts.residents,
            inbox: parts.inbox,
            outbox: parts.outbox,
            hub: parts.hub,
            hub_place: config.hub.place.clone(),
            webhooks: parts.webhooks,
            state: parts.state,
            drain: parts.drain,
            configured: config.vaults.clone(),
            discovery: config.definitions.discovery,
            place,
            troubles: std::sync::Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Begins to work for the vaults. To be called once, when what an earlier run has left is dealt with.
    pub(crate) async fn open(&self) {
        self.shared.residents.open();
        for entry in &self.shared.book.lock().await.entries {
            self.look_after_token(entry);
        }
    }

    /// All vaults, by name.
    pub(crate) async fn list(&self) -> Vec<Seen> {
        let book = self.shared.book.lock().await;
        let mut all: Vec<Seen> = self
            .shared
            .vaults
            .all()
            .iter()
            .map(|one| self.seen(&book, &**one))
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    fn seen(&self, book: &Book, vault: &dyn Vault) -> Seen {
        let added = book.entries.iter().find(|entry| entry.added.vault == vault.name());
        let configured = || self.shared.configured.all().find(|one| one.name == vault.name());
        let (url, has_token) = match (added, configured().map(|one| &one.place)) {
            (Some(entry), _) => (Some(entry.added.url().to_owned()), entry.added.token.is_some()),
            (None, Some(Place::Parachute(peer))) => (Some(peer.url.clone()), peer.token.is_some()),
            (None, _) => (None, false),
        };
        Seen {
            name: vault.name().to_owned(),
            kind: vault.kind(),
            url,
            has_token,
            added: added.is_some(),
        }
    }

    /// Why the daemon has no fresh token for a vault, when it has none.
    #[must_use]
    pub(crate) fn trouble(&self, vault: &str) -> Option<String> {
        let troubles = self.shared.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        troubles.get(vault).cloned()
    }

    fn set_trouble(&self, vault: &str, trouble: Option<String>) {
        let mut troubles = self.shared.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        match trouble {
            Some(trouble) => troubles.insert(vault.to_owned(), trouble),
            None => troubles.remove(vault),
        };
    }

    /// Adds a vault: it has all that one of the configuration has when this returns. Who asks may go away meanwhile.
    ///
    /// # Errors
    /// Nothing was added.
    pub(crate) async fn add(&self, new: NewVault) -> Result<Seen, ChangeError> {
        let task = tokio::spawn(self.clone().add_now(new));
        task.await
            .unwrap_or_else(|broken| Err(ChangeError::Broken(broken.to_string())))
    }

    async fn add_now(self, new: NewVault) -> Result<Seen, ChangeError> {
        let shared = &*self.shared;
        let mut book = shared.book.lock().await;
        let added = self.with_token(self.checked(new)?).await?;
        let entry = Entry::of(added);
        let vault = open::added(&entry.added, &entry.token, &shared.state, shared.discovery)?;
        let vault = faults::vault(vault).map_err(|error| ChangeError::Broken(error.to_string()))?;
        let mut contents = book.contents.clone();
        contents.vaults.push(entry.added.clone());
        if let Err(error) = self.write_down(&mut book, contents) {
            vault.close().await;
            return Err(error);
        }
        tracing::info!(vault = vault.name(), "a vault was added");
        shared.inbox.registry.add_vault(vault.name());
        match shared.inbox.queue.bindings().await {
            Ok(bindings) => shared.inbox.registry.reserve(vault.name(), &bindings),
            Err(error) => tracing::warn!(%error, "names of agents of the vault are not kept for it until it is read"),
        }
        shared.vaults.add(Arc::clone(&vault));
        shared.webhooks.set(vault.name(), entry.webhook_secret());
        shared.residents.add(Arc::clone(&vault)).await;
        // Replies may wait for it from before it was removed.
        if let Err(error) = shared.outbox.retry(None).await {
            tracing::warn!(%error, "what waits for the vault goes out later");
        }
        self.look_after_token(&entry);
        book.entries.push(entry);
        Ok(self.seen(&book, &*vault))
    }

    fn checked(&self, new: NewVault) -> Result<Added, ChangeError> {
        let NewVault {
            vault: name,
            url,
            token,
            webhook_secret,
        } = new;
        config::vault_name(&name).map_err(ChangeError::Invalid)?;
        let url = url.map(|url| config::address("url", &url)).transpose();
        let url = url.map_err(ChangeError::Invalid)?;
        if let Some(twin) = self.shared.vaults.twin(&name) {
            return Err(ChangeError::There(twin));
        }
        let leaving = self.shared.vaults.reachable().all();
        if leaving.iter().any(|one| one.name().eq_ignore_ascii_case(&name)) {
            return Err(ChangeError::Leaving(name));
        }
        let mut added = Added::new(name, url);
        added.token = token.map(|token| token.checked("token")).transpose()?;
        added.given = added.token.is_some();
        let secret = webhook_secret.map(|secret| secret.checked("webhook_secret"));
        added.webhook_secret = secret.transpose()?;
        Ok(added)
    }

    async fn with_token(&self, mut added: Added) -> Result<Added, ChangeError> {
        if added.token.is_some() {
            return Ok(added);
        }
        let Some(hub) = &self.shared.hub else {
            return Err(ChangeError::NoHub(added.vault));
        };
        if !self.mints_for(&added) {
            return Err(ChangeError::Foreign(added.url().to_owned()));
        }
        match hub.mint(&added.vault, "write", &[]).await {
            Ok(minted) => {
                (added.token, added.expires_at) = (Some(minted.token), minted.expires_at);
                Ok(added)
            }
            Err(error) => Err(ChangeError::Mint(added.vault, error)),
        }
    }

    /// Whether the hub's tokens are for the server of a vault. Where no server is named it is the one beside the hub.
    fn mints_for(&self, added: &Added) -> bool {
        let url = added.vault_url.as_ref();
        url.is_none_or(|url| self.shared.hub_place.has_server(url))
    }

    fn write_down(&self, book: &mut Book, contents: Contents) -> Result<(), ChangeError> {
        self.shared
            .file
            .save(&contents)
            .map_err(|source| ChangeError::NotKept {
                path: self.shared.file.path().to_owned(),
                source,
            })?;
        book.contents = contents;
        Ok(())
    }
}
