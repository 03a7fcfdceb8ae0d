//! Asks for updates and takes them in order, one after the other. An update is done with only when it is durable.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::api::{ApiError, Fault, Update};
use super::outbound::{late, refused, sleep};
use super::position::Position;
use super::presence::Watched;
use super::shared::Shared;
use super::take::Taker;
use crate::supervise::Report;
use crate::{Failure, Host};

/// Most updates of one answer.
const MOST: u32 = 100;

/// How often a number that is missing among the updates is asked for again before it counts as one that never was.
const GAP_LOOKS: u32 = 3;

/// The receiving half of a run.
pub(super) struct Poll<'a> {
    pub(super) shared: &'a Shared,
    pub(super) report: &'a Report,
    pub(super) drain: &'a CancellationToken,
    pub(super) position: Position,
    failures: u32,
    limit: u32,
    gaps: u32,
    /// While the place is not known: how often it was looked for the first update, and the lowest number that was seen.
    looks: u32,
    /// The server could not be reached.
    away: bool,
    first: Option<i64>,
    /// Whom the access file let in when it was looked at last, for the log.
    told: Option<String>,
}

impl<'a> Poll<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        report: &'a Report,
        drain: &'a CancellationToken,
        position: Position,
    ) -> Self {
        Self {
            shared,
            report,
            drain,
            position,
            failures: 0,
            limit: MOST,
            gaps: 0,
            looks: 0,
            away: false,
            first: None,
            told: None,
        }
    }

    pub(super) async fn run(
        mut self,
        host: &Arc<dyn Host>,
        news: mpsc::UnboundedSender<Watched>,
    ) -> Result<(), Failure> {
        let mut taker = Taker::new(self.shared, host, self.report, self.drain, news);
        taker.resume(&self.position);
        let mut wait = Duration::ZERO;
        while !self.drain.is_cancelled() {
            if taker.me.is_none() {
                let asked = tokio::select! {
                    () = self.drain.cancelled() => break,
                    asked = self.shared.api.get_me() => asked,
                };
                match asked {
                    Ok(me) => taker.me = me.username,
                    Err(error) if error.fault == Fault::Token => return Err(refused(&error)),
                    Err(error) => {
                        tracing::warn!(bridge = self.shared.options.name, %error, "the bot does not know its name yet");
                    }
                }
            }
            let next = self.position.next();
            let asked = tokio::select! {
                // The poll is not waited for: what it brings is brought again.
                () = self.drain.cancelled() => break,
                asked = self.shared.api.get_updates(next, self.limit, wait) => asked,
            };
            match asked {
                Ok(updates) => {
                    if std::mem::take(&mut self.away)
                        && let Err(error) = self.shared.lanes.hasten().await
                    {
                        // It is sent later then.
                        tracing::warn!(bridge = self.shared.options.name, error, "what waits is not hastened");
                    }
                    self.failures = 0;
                    self.limit = (self.limit * 2).min(MOST);
                    self.show();
                    wait = self.shared.options.pace.poll;
                    if self.batch(updates, &mut taker).await {
                        // Something is missing: it is looked for at once.
                        wait = Duration::ZERO;
                        sleep(self.shared.options.pace.gap, self.drain).await;
                    }
                }
                Err(error) => {
                    self.failed(&error).await?;
                    wait = Duration::ZERO;
                }
            }
        }
        Ok(())
    }

    /// Takes what comes in order. `true` if a number is missing that may come yet.
    async fn batch(&mut self, mut updates: Vec<Update>, taker: &mut Taker<'_>) -> bool {
        updates.sort_by_key(|update| update.id);
        if let (None, Some(update)) = (self.position.next(), updates.first()) {
            // Nothing says which one is the first, so it is looked whether an earlier one comes yet.
            self.first = Some(self.first.map_or(update.id, |first| first.min(update.id)));
            if self.looks < GAP_LOOKS {
                self.looks += 1;
                return true;
            }
        }
        for update in updates {
            match self.position.next().or(self.first) {
                Some(next) if update.id < next => continue,
                Some(next) if update.id > next && self.gaps < GAP_LOOKS => {
                    self.gaps += 1;
                    return true;
                }
                _ => {}
            }
            (self.gaps, self.looks, self.first) = (0, 0, None);
            let id = update.id;
            let done = tokio::select! {
                biased;
                done = taker.update(update, &mut self.position) => done,
                () = late(self.drain) => false,
            };
            if !done {
                // The bridge stops: it comes again.
                return false;
            }
            if self.position.next() != Some(id.saturating_add(1)) {
                taker.advance(id, None, &mut self.position).await;
            }
        }
        false
    }

    /// Tells that it works, or that nobody is let in, and how that is changed.
    fn show(&mut self) {
        let closed = self.shared.access.explain(&self.shared.access.read());
        match &closed {
            Some(text) => self.report.retrying(text.clone(), self.shared.options.pace.poll),
            None => self.report.up(),
        }
        if closed != self.told {
            if let Some(text) = &closed {
                tracing::warn!(bridge = self.shared.options.name, "{text}");
            }
            self.told = closed;
        }
    }

    async fn failed(&mut self, error: &ApiError) -> Result<(), Failure> {
        let pace = &self.shared.options.pace;
        let usual = self.shared.pause(self.failures, pace.longest_pause);
        let (text, pause) = match &error.fault {
            Fault::Token => return Err(refused(error)),
            Fault::Conflict => {
                let text = format!(
                    "somebody else takes the messages of the bot ({error}): another daemon or program with the same token, or a \
                     webhook; end that one, or make a bot of its own for this bridge"
                );
                (text, usual.max(pace.conflict))
            }
            Fault::Flood(pause) => (error.text.clone(), usual.max(*pause)),
            Fault::TooLong if self.limit > 1 => {
                self.limit = (self.limit / 10).max(1);
                (error.text.clone(), Duration::ZERO)
            }
            _ => (error.text.clone(), usual),
        };
        self.away |= error.fault == Fault::Unreachable;
        self.failures = self.failures.saturating_add(1);
        if self.failures == 1 || self.failures.is_multiple_of(20) {
            tracing::warn!(
                bridge = self.shared.options.name,
                error = text,
                ?pause,
                "Telegram does not answer as it should"
            );
        }
        self.report.retrying(text, pause);
        sleep(pause, self.drain).await;
        Ok(())
    }
}
