//! A double of a Parachute vault: a real server on loopback that answers as the version of May 2026 does, its wrong answers
//! included, or as the newer one is expected to.
//!
//! The notes outlive [`Parachute::restart`], which is a `kill -9`: what the server had in memory (webhooks that wait or are
//! under way) is gone, and every connection breaks.
//!
//! This module is compiled into two crates; it uses nothing of either.

mod answer;
mod files;
mod listing;
mod notes;
mod store;
mod tags;
mod triggers;

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::response::Response;
use serde_json::{Map, Value};
use tokio::runtime::Runtime;

pub use store::Stored;
pub use triggers::Trigger;

use answer::{Cut, respond};
use store::Store;

/// The token that is let in.
pub const TOKEN: &str = "pvt_double-0123456789abcdefghijklmnop";
/// The name of the one vault, if it has no other.
pub const VAULT: &str = "default";

/// Which contract the double keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// As observed on a running vault: no upsert, no triggers over HTTP.
    May,
    /// As its clients expect it to be: `if_missing`, `/api/triggers`, `parent_names`, an encoded slash in storage.
    July,
}

/// What goes wrong. `default()`: nothing.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Every request to the API is answered with this status.
    pub status: Option<u16>,
    /// Before each answer.
    pub delay: Duration,
    /// Requests with this in their method, path and query are not looked at until it is taken away.
    pub hold: Option<String>,
    /// The connection breaks in the middle of so many of the next answers.
    pub cut_bodies: u32,
    /// So many of the next writes are done, and then the connection breaks before the answer.
    pub lose_answers: u32,
    /// So many of the next writes are answered with 500 and not done.
    pub refuse_writes: u32,
    /// So many of the next requests are answered with something that is no JSON.
    pub garble: u32,
    /// Between the look at a note and the change of it, so that two writers meet.
    pub slow_patches: Duration,
    /// Each so manyth webhook never arrives; 0: all arrive.
    pub drop_webhook: u64,
    /// Notes of one instant are listed in another order each time.
    pub shuffle_ties: bool,
    /// No listing holds more notes than this, whatever is asked; 0: as asked.
    pub page_max: usize,
    /// These notes are there, and no listing shows them.
    pub unlisted: Vec<String>,
    /// These notes are listed, and asked for by themselves they are answered with 500.
    pub unreadable: Vec<String>,
}

/// What the server and its owner share.
struct Shared {
    version: Version,
    vault: String,
    made_at: String,
    /// What is let in.
    token: Mutex<String>,
    faults: Mutex<Faults>,
    store: Mutex<Store>,
    /// Method, path and query of each request.
    log: Mutex<Vec<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The double.
pub struct Parachute {
    shared: Arc<Shared>,
    address: SocketAddr,
    life: Mutex<Option<Runtime>>,
}

impl Parachute {
    /// Starts an empty one.
    ///
    /// # Errors
    /// No port is free.
    pub fn start(version: Version) -> std::io::Result<Self> {
        Self::start_named(version, VAULT)
    }

    /// Starts an empty one whose vault has another name.
    ///
    /// # Errors
    /// No port is free.
    pub fn start_named(version: Version, vault: &str) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            version,
            vault: vault.to_owned(),
            made_at: notes::now(),
            token: Mutex::new(TOKEN.to_owned()),
            faults: Mutex::default(),
            store: Mutex::default(),
            log: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let life = serve(Arc::clone(&shared), listener)?;
        Ok(Self {
            shared,
            address,
            life: Mutex::new(Some(life)),
        })
    }

    /// Where it serves.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Kills it.
    pub fn kill(&self) {
        if let Some(life) = lock(&self.life).take() {
            life.shutdown_background();
        }
    }

    /// Kills it if it lives, and starts it again at the same address.
    ///
    /// # Errors
    /// The port is taken.
    pub async fn restart(&self) -> std::io::Result<()> {
        self.kill();
        let until = tokio::time::Instant::now() + Duration::from_secs(10);
        let listener = loop {
            // The dead one may hold it for a moment.
            match TcpListener::bind(self.address) {
                Err(error) if tokio::time::Instant::now() > until => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                Ok(listener) => break listener,
            }
        };
        *lock(&self.life) = Some(serve(Arc::clone(&self.shared), listener)?);
        Ok(())
    }

    /// From now on this token is let in, and no other.
    pub fn set_token(&self, token: &str) {
        token.clone_into(&mut lock(&self.shared.token));
    }

    /// Sets what goes wrong from now on.
    pub fn set_faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut lock(&self.shared.faults));
    }

    /// What the server was asked since the last time: method, path and query.
    pub fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.shared.log))
    }

    /// A note as it is stored.
    #[must_use]
    pub fn note(&self, key: &str) -> Option<Stored> {
        lock(&self.shared.store).find(key).cloned()
    }

    /// All notes in the order of insertion.
    #[must_use]
    pub fn notes(&self) -> Vec<Stored> {
        lock(&self.shared.store).all().cloned().collect()
    }

    /// Writes a note as a client of the server does, triggers included. The fields are those of `POST /notes`.
    ///
    /// # Errors
    /// The refusal.
    pub fn write(&self, fields: &Value) -> Result<Stored, Value> {
        let made = notes::create(&self.shared, fields)?;
        if let Some(life) = &*lock(&self.life) {
            let _inside = life.enter();
            triggers::fire(&self.shared, &made.id, "created");
        }
        Ok(made)
    }

    /// Changes what is stored, and tells nobody: as if somebody wrote into the file of the server.
    pub fn tamper(&self, key: &str, change: impl FnOnce(&mut Stored)) {
        lock(&self.shared.store).tamper(key, change);
    }

    /// Removes a note, and tells nobody.
    pub fn remove(&self, key: &str) {
        lock(&self.shared.store).remove(key);
    }

    /// Registers a trigger, as the file of the server does.
    pub fn add_trigger(&self, trigger: Trigger) {
        lock(&self.shared.store).triggers.insert(trigger.name.clone(), trigger);
    }

    /// The triggers, by name.
    #[must_use]
    pub fn triggers(&self) -> Vec<Trigger> {
        lock(&self.shared.store).triggers.values().cloned().collect()
    }

    /// Paths of the stored files, sorted.
    #[must_use]
    pub fn files(&self) -> Vec<String> {
        let mut files: Vec<_> = lock(&self.shared.store).files.keys().cloned().collect();
        files.sort_unstable();
        files
    }

    /// The declared tags.
    #[must_use]
    pub fn declared_tags(&self) -> Map<String, Value> {
        lock(&self.shared.store).schemas.clone()
    }
}

impl Drop for Parachute {
    fn drop(&mut self) {
        self.kill();
    }
}

/// One life of the server: when the runtime ends, so do its connections.
#[expect(clippy::print_stderr, reason = "a double has no log")]
fn serve(shared: Arc<Shared>, listener: TcpListener) -> std::io::Result<Runtime> {
    listener.set_nonblocking(true)?;
    let life = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    life.spawn(async move {
        let router = Router::new()
            .fallback(handle)
            .layer(DefaultBodyLimit::disable())
            .with_state(shared);
        let served = match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => axum::serve(listener, router).await,
            Err(error) => Err(error),
        };
        if let Err(error) = served {
            eprintln!("the double of the vault ended: {error}");
        }
    });
    Ok(life)
}

/// What becomes of the next answer.
enum Fate {
    Usual,
    Status(u16),
    Garbled,
    Cut,
    /// Done, and not answered.
    Lost,
    /// Not done.
    Refused,
}

fn fate(shared: &Shared, is_write: bool) -> Fate {
    let mut faults = lock(&shared.faults);
    let mut take = |counter: fn(&mut Faults) -> &mut u32| {
        let left = counter(&mut faults);
        let any = *left > 0;
        *left = left.saturating_sub(1);
        any
    };
    if take(|faults| &mut faults.garble) {
        return Fate::Garbled;
    }
    if is_write && take(|faults| &mut faults.refuse_writes) {
        return Fate::Refused;
    }
    if is_write && take(|faults| &mut faults.lose_answers) {
        return Fate::Lost;
    }
    if take(|faults| &mut faults.cut_bodies) {
        return Fate::Cut;
    }
    faults.status.map_or(Fate::Usual, Fate::Status)
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let line = format!("{} {}", request.method(), request.uri());
    lock(&shared.log).push(line.clone());
    let is_held = || {
        let faults = lock(&shared.faults);
        faults.hold.as_ref().is_some_and(|part| line.contains(part))
    };
    while is_held() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let delay = lock(&shared.faults).delay;
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let fate = fate(&shared, !request.method().is_safe());
    match fate {
        Fate::Status(status) => answer::plain(status),
        Fate::Garbled => answer::garbled(),
        Fate::Refused => answer::internal_error(),
        Fate::Usual => respond(&shared, request, Cut::No).await,
        Fate::Cut => respond(&shared, request, Cut::Middle).await,
        Fate::Lost => respond(&shared, request, Cut::Start).await,
    }
}
