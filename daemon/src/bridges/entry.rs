//! One bridge as the daemon keeps it: what it is, how it does, and what ends it.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use reveille_transports::fanout::Fanout;
use reveille_transports::http_ui::HttpUi;
use reveille_transports::outbox::Outbox;
use reveille_transports::telegram::Token;
use reveille_transports::{Bridge, Report, State, supervise};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::host::Desk;
use super::settings::{Built, Settings};
use super::{Running, View};
use crate::config::ConfigError;

/// A bridge.
pub(super) struct Entry {
    pub(super) bridge: Arc<dyn Bridge>,
    /// Where pages listen, for the kind that has them.
    pub(super) ui: Option<HttpUi>,
    /// Whose messages it takes.
    pub(super) bot: Option<Token>,
    /// It is in `channels.json`.
    pub(super) added: bool,
    report: Report,
    state: watch::Receiver<State>,
    /// Ends it, once it was begun.
    stop: OnceLock<CancellationToken>,
    run: TaskTracker,
}

impl Entry {
    /// As these settings say. It does not run.
    ///
    /// # Errors
    /// It cannot be made so.
    pub(super) fn build(settings: &Settings, state: &Path, outbox: Option<&Outbox>) -> Result<Self, ConfigError> {
        let Built { bridge, ui, bot } = settings.build(state, outbox)?;
        let (report, state) = Report::new();
        Ok(Self {
            bridge,
            ui,
            bot,
            added: settings.added,
            report,
            state,
            stop: OnceLock::new(),
            run: TaskTracker::new(),
        })
    }

    /// Whether it takes the messages of that bot.
    pub(super) fn has(&self, bot: &Token) -> bool {
        self.bot.as_ref().is_some_and(|own| own.is_of_same_bot(bot))
    }

    /// Starts it, once `before` has ended: two that take the same messages would take them from each other.
    pub(super) fn begin(&self, running: &Running, sessions: &Fanout, before: Option<Arc<Self>>) {
        let stop = self.stop.get_or_init(|| running.drain.child_token()).clone();
        let host = Desk::new(&*self.bridge, running.parts.clone(), sessions.clone());
        let (bridge, report) = (Arc::clone(&self.bridge), self.report.clone());
        running.workers.spawn(self.run.track_future(async move {
            if let Some(before) = before {
                before.end().await;
            }
            supervise(bridge, Arc::new(host), report, stop).await;
        }));
        self.run.close();
    }

    /// Ends it, and returns when it has ended: within seconds.
    pub(super) async fn end(&self) {
        if let Some(stop) = self.stop.get() {
            stop.cancel();
            self.run.wait().await;
        }
    }

    /// How it does.
    pub(super) fn view(&self) -> View {
        View {
            name: self.bridge.name().to_owned(),
            kind: self.bridge.kind(),
            agent: self.bridge.agent().to_owned(),
            state: self.state.borrow().clone(),
            outbox: self.bridge.outbox(),
            added: self.added,
        }
    }
}
