//! One sweep, from the first run of the daemon to the last.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::account::{Account, Balance};
use super::check::{self, Ends};
use super::letter::{Kind, Letter, Traces};
use super::load::{self, Senders};
use super::plan::{CHANNELS, Death, Plan, Round, channel, settings};
use super::report::Report;
use super::witness::{self, Witness};
use crate::daemon::{Journal, LIMIT, StateTables, has_ended, rows, was_killed};
use crate::{Daemon, eventually, fail_points};

/// Kills after which everything is let come to its end and is looked at.
const STAGE: usize = 10;
/// For everything that is left to do in a stage, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(150);
/// How long a daemon may take to reach the point at which it is to die. Then it is killed where it is.
const POINT_PATIENCE: Duration = Duration::from_secs(2);
/// The end of a run that is given the time that it needs.
const QUIETLY: Death = Death::Late(Duration::ZERO);
/// Starts in a row that a faulty storage may prevent.
const REFUSALS_MAX: u32 = 12;

/// What is swept.
#[derive(Debug, Clone)]
pub struct Options {
    /// Decides the plan.
    pub seed: u64,
    /// How often the daemon is ended by the plan, nearly always by SIGKILL. Each stage of ten adds two kills.
    pub kills: u32,
    /// Share of the calls of the vault that fail, in percent.
    pub vault_faults: u64,
    /// Share of the writes of the queue that fail, in percent.
    pub queue_faults: u64,
    /// Where the state of the daemon is kept when something is wrong.
    pub keep: Option<PathBuf>,
}

/// Sweeps, telling how far it is.
///
/// # Errors
/// With everything that was not as it must be, and the seed.
pub async fn sweep(options: &Options, mut tell: impl FnMut(&str)) -> Result<Report> {
    let plan = Plan::new(options.seed, options.kills, &fail_points()?);
    tell(&format!(
        "seed {}, {} kills, plan {}",
        options.seed,
        options.kills,
        plan.digest()
    ));
    let mut sweep = Sweep::begin(options.clone()).await?;
    let outcome = sweep.follow(&plan, &mut tell).await;
    if outcome.is_err()
        && let Some(dir) = &options.keep
    {
        sweep
            .daemon
            .keep(dir)
            .with_context(|| format!("keep the state in {}", dir.display()))?;
        tell(&format!("the state of the daemon is kept in {}", dir.display()));
    }
    outcome.with_context(|| format!("seed {}, {} kills", options.seed, options.kills))
}

struct Sweep {
    options: Options,
    daemon: Daemon,
    senders: Senders,
    traces: Traces,
    witness: Witness,
    ledgers: PathBuf,
    /// Number of the daemon's run.
    run: u32,
    /// What was there at the last look.
    before: Option<Journal>,
    ends: Ends,
    report: Report,
}

impl Sweep {
    /// A daemon with its agents, ended again.
    async fn begin(options: Options) -> Result<Self> {
        let builder = Daemon::builder()
            .stand_in()
            .env("REVEILLE_LIMITS__LIVE_TURNS", "8")
            // What is silent for that long is meant to.
            .env("REVEILLE_CLAUDE__TIMEOUT_IDLE", "4s");
        let mut daemon = builder.start().await?;
        for number in 0..CHANNELS {
            let (mode, on_interrupt) = settings(number);
            let metadata = json!({"mode": mode, "on_interrupt": on_interrupt});
            let body = json!({"name": channel(number), "prompt": "You help.", "metadata": metadata});
            let made = daemon
                .request(http::Method::POST, &["api", "agents"], Some(&body))
                .await?;
            made.ok::<Value>()?;
        }
        eventually("all definitions say what became of them", LIMIT, async || {
            let said = "SELECT count(*) FROM notes WHERE json_extract(metadata, '$.status') = 'enabled'";
            Ok((number(&daemon.state_tables()?.vault, said)? == CHANNELS as u64).then_some(()))
        })
        .await?;
        ensure!(daemon.stop().await?.success(), "the daemon did not stop well");
        let ledgers = daemon.scratch().join("ledgers");
        std::fs::create_dir_all(&ledgers)?;
        let traces = Traces::new(&daemon.scratch())?;
        Ok(Self {
            witness: Witness::start(daemon.marker()),
            senders: Senders::new(traces.clone()),
            options,
            daemon,
            traces,
            ledgers,
            run: 0,
            before: None,
            ends: Ends::default(),
            report: Report::default(),
        })
    }

    async fn follow(&mut self, plan: &Plan, tell: &mut impl FnMut(&str)) -> Result<Report> {
        let began = Instant::now();
        for (number, round) in plan.rounds.iter().enumerate() {
            let place = format!("round {number}, {:?}", round.death);
            self.round(round).await.context(place)?;
            let done = number + 1;
            if done % STAGE == 0 || done == plan.rounds.len() {
                let stage = format!("the stage after round {number}");
                self.stage(round.faults, done).await.context(stage)?;
                tell(&format!("{:4} s: {}", began.elapsed().as_secs(), self.report));
            }
        }
        self.end().await?;
        Ok(self.report.clone())
    }

    /// One run of the daemon under load, its death, and a look at what it has left.
    async fn round(&mut self, round: &Round) -> Result<()> {
        for letter in &round.letters {
            self.senders.write(letter);
        }
        self.report.letters += round.letters.len() as u64;
        if self.start(&round.death, round.faults).await? {
            let daemon = &self.daemon;
            let (sent, stopped, killed) = tokio::join!(
                self.senders.send(daemon),
                load::meddle(daemon, round),
                kill(daemon, &round.death)
            );
            sent?;
            self.report.stopped += stopped?;
            killed?;
            self.bury(&round.death).await?;
        } else {
            self.report.kills_before_ready += 1;
        }
        self.look()
    }

    /// Starts the next run; false when it is dead already, as was planned. A storage that fails at once makes a daemon refuse to
    /// start: then it is started again, as a supervisor does.
    async fn start(&mut self, death: &Death, faults: u64) -> Result<bool> {
        for refused in 0..REFUSALS_MAX {
            self.prepare(faults.wrapping_add(refused.into()));
            let doom = match death {
                Death::Point(name, nth) => Some((name.as_str(), *nth)),
                Death::Early(_) | Death::Late(_) | Death::Stopping(..) => None,
            };
            let come = match death {
                Death::Early(moment) => tokio::time::timeout(*moment, self.daemon.launch(doom)).await,
                Death::Late(_) | Death::Stopping(..) | Death::Point(..) => Ok(self.daemon.launch(doom).await),
            };
            let Ok(come) = come else {
                self.daemon.kill9().await?;
                self.report.kills += 1;
                return Ok(false);
            };
            if come?.is_none() {
                return Ok(true);
            }
            if !self.bury(death).await? {
                return Ok(false);
            }
        }
        bail!("the daemon refused to start {REFUSALS_MAX} times in a row")
    }

    /// Collects a daemon that has ended. True when a faulty storage has made it give up before its work began.
    async fn bury(&mut self, death: &Death) -> Result<bool> {
        let status = self.daemon.wait_exit(LIMIT).await?;
        let stopping = matches!(death, Death::Stopping(..));
        if was_killed(status) {
            self.report.kills += 1;
            self.report.kills_while_stopping += u64::from(stopping);
            return Ok(false);
        }
        if stopping && status.success() {
            return Ok(false);
        }
        let log = self.daemon.log()?;
        let reason = log.lines().next_back().unwrap_or_default();
        let made = reason.contains("a made fault") || reason.contains("as a test had asked");
        ensure!(made, "the daemon ended with {status}: {reason}");
        self.report.starts_refused += 1;
        Ok(true)
    }

    /// The environment of the next run.
    fn prepare(&mut self, faults: u64) {
        self.run += 1;
        let ledger = self.ledger();
        let child = format!("REVEILLE_CLAUDE__ENV__{}", witness::RUN);
        self.daemon.set_env(&child, ledger);
        let (vault, queue) = (self.options.vault_faults, self.options.queue_faults);
        self.daemon.set_env("REVEILLE_FAULT_VAULT", format!("{vault}:{faults}"));
        self.daemon.set_env("REVEILLE_FAULT_QUEUE", format!("{queue}:{faults}"));
    }

    fn ledger(&self) -> String {
        self.ledgers.join(self.run.to_string()).display().to_string()
    }

    /// What the dead daemon has left on the disk is as it must be at every moment.
    fn look(&mut self) -> Result<()> {
        let now = self.daemon.journal()?;
        let mut found = now.violations_at_any_time();
        found.extend(check::kept(&now, &self.senders));
        found.extend(check::alone(&self.traces)?);
        found.extend(self.witness.sightings().violations);
        if let Some(before) = &self.before {
            found.extend(check::progress(before, &now));
        }
        self.ends.take(&now, self.run);
        self.before = Some(now);
        none(&found)
    }

    /// Everything comes to its end, the daemon dies in the quiet, and one more message finds all as it was left.
    async fn stage(&mut self, faults: u64, number: usize) -> Result<()> {
        let journal = self.serve(faults.wrapping_add(100)).await?;
        self.judge(&journal)?;
        let written = number_of_changes(&self.daemon.state_tables()?)?;
        self.die().await?;

        let letter = Letter {
            key: format!("probe-{number}"),
            sender: 0,
            channel: channel(0),
            one_conversation: true,
            kind: Kind::Quick,
            as_note: false,
            subject: None,
            reply_to: None,
        };
        self.senders.write(&letter);
        self.report.letters += 1;
        let journal = self.serve(faults.wrapping_add(200)).await?;
        let taken = self.senders.taken();
        let note = taken.values().find(|taken| taken.letter.key == letter.key);
        let note = note.context("the probe was taken")?.note.clone();
        let changed = changes_since(&self.daemon.state_tables()?, written)?;
        none(&check::only_one_message(&changed, &journal, &note))?;
        self.judge(&journal)?;
        self.die().await
    }

    async fn die(&mut self) -> Result<()> {
        self.daemon.signal(Signal::KILL)?;
        self.bury(&QUIETLY).await?;
        self.look()
    }

    /// Starts a run that is not to die and lets everything come to its end.
    async fn serve(&mut self, faults: u64) -> Result<Journal> {
        for refused in 0..REFUSALS_MAX {
            let faults = faults.wrapping_add(u64::from(refused) * u64::from(REFUSALS_MAX));
            ensure!(self.start(&QUIETLY, faults).await?, "the daemon died by itself");
            self.senders.send(&self.daemon).await?;
            if let Some(journal) = self.quiet().await? {
                ensure!(self.senders.are_done(), "a letter was not sent");
                return Ok(journal);
            }
            ensure!(self.bury(&QUIETLY).await?, "the daemon died by itself");
        }
        bail!("the daemon gave up {REFUSALS_MAX} times in a row")
    }

    /// Waits until nothing is left to do and nothing runs that an earlier run of the daemon has left. `None` when it has ended.
    async fn quiet(&self) -> Result<Option<Journal>> {
        let began = Instant::now();
        while !seems_quiet(&self.daemon.state_tables()?)? && began.elapsed() < PATIENCE {
            if has_ended(self.daemon.pid()) {
                return Ok(None);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let journal = self.daemon.wait_quiet(LIMIT).await?;
        let (marker, ledger) = (self.daemon.marker(), self.ledger());
        eventually("what an earlier run left is gone", LIMIT, async || {
            Ok(witness::strangers(&marker, &ledger)?.is_empty().then_some(()))
        })
        .await?;
        eventually("what the last turns left is gone", LIMIT, async || {
            Ok(self.daemon.children()?.is_empty().then_some(()))
        })
        .await?;
        Ok(Some(journal))
    }

    /// A quiet state is as it must be, and the account adds up.
    fn judge(&mut self, journal: &Journal) -> Result<()> {
        self.ends.take(journal, self.run);
        let runs = self.traces.runs()?;
        let account = Account::read(&self.ledgers)?;
        let Balance {
            mut violations,
            recorded,
            lost,
        } = account.balance(journal, &self.ends);
        violations.extend(account.unknown(journal));
        violations.extend(journal.violations());
        violations.extend(check::answered(journal, &self.senders, &runs));
        violations.extend(check::kept(journal, &self.senders));
        violations.extend(check::alone(&self.traces)?);
        let seen = self.witness.sightings();
        violations.extend(seen.violations);
        let count = |fits: &dyn Fn(&crate::daemon::JournalNote) -> bool| {
            journal.notes.iter().filter(|note| fits(note)).count() as u64
        };
        let mut turns = BTreeMap::new();
        for turn in &journal.turns {
            *turns.entry(turn.state.clone()).or_default() += 1;
        }
        let log = self.daemon.log()?;
        let said = |words: &[&str]| {
            let lines = log.lines().filter(|line| words.iter().all(|word| line.contains(word)));
            lines.count() as u64
        };
        self.report = Report {
            told_to_come_later: self.senders.refused(),
            turns,
            joined: journal.turns.iter().filter(|turn| turn.leader.is_some()).count() as u64,
            interruptions: journal.turns.iter().map(|turn| turn.interruptions).sum(),
            answers: count(&|note| note.is_outbound()),
            callbacks: count(&|note| note.is_callback()),
            vault_faults: said(&["a fault is made", "\"vault\""]),
            queue_faults: said(&["a fault is made", "\"queue\""]),
            kills_at_points: said(&["fail point: dying now"]),
            tools_run: runs.len() as u64,
            looks: seen.looks,
            looks_at_several: seen.busy,
            most_children: seen.most as u64,
            recorded,
            lost,
            ..self.report.clone()
        };
        none(&violations)
    }

    /// A last run without faults, stopped as a person stops it.
    async fn end(&mut self) -> Result<()> {
        (self.options.vault_faults, self.options.queue_faults) = (0, 0);
        let journal = self.serve(0).await?;
        self.judge(&journal)?;
        let status = self.daemon.stop().await?;
        ensure!(status.success(), "the daemon ended with {status} on SIGTERM");
        ensure!(self.daemon.journal()? == journal, "the stop has written something");
        let left = self.daemon.children()?;
        ensure!(left.is_empty(), "processes are left: {left:?}");
        Ok(())
    }
}

/// Ends a daemon that serves, or waits until it has done so itself.
async fn kill(daemon: &Daemon, death: &Death) -> Result<()> {
    // Not waits for something: the moments themselves are what is tested.
    match death {
        Death::Early(_) => {}
        Death::Late(moment) => tokio::time::sleep(*moment).await,
        Death::Stopping(moment, grace) => {
            tokio::time::sleep(*moment).await;
            daemon.signal(Signal::TERM)?;
            tokio::time::sleep(*grace).await;
        }
        Death::Point(..) => {
            let began = Instant::now();
            while began.elapsed() < POINT_PATIENCE && !has_ended(daemon.pid()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
    // One that has ended is not collected yet, so its id is still its own.
    daemon.signal(Signal::KILL)
}

fn none(found: &[String]) -> Result<()> {
    ensure!(found.is_empty(), "{} violations:\n{}", found.len(), found.join("\n"));
    Ok(())
}

fn number(connection: &rusqlite::Connection, sql: &str) -> Result<u64> {
    let found = rows(connection, sql)?;
    found.first().and_then(|row| row.first()?.as_u64()).context("a number")
}

/// A cheap look at whether something is left to do.
fn seems_quiet(tables: &StateTables) -> Result<bool> {
    let open = number(
        &tables.queue,
        "SELECT count(*) FROM turns WHERE state IN ('waiting', 'working')",
    )?;
    let owed = number(&tables.queue, "SELECT count(*) FROM outbox")?;
    let turns = number(&tables.queue, "SELECT count(*) FROM turns")?;
    let messages = "SELECT count(*) FROM notes WHERE tags LIKE '%\"agent/message/inbound\"%'";
    Ok(open == 0 && owed == 0 && turns == number(&tables.vault, messages)?)
}

fn number_of_changes(tables: &StateTables) -> Result<u64> {
    number(&tables.vault, "SELECT max(cursor) FROM changes")
}

/// Ids of the notes that were written after a place in the log, once for each time.
fn changes_since(tables: &StateTables, cursor: u64) -> Result<Vec<String>> {
    let sql = format!("SELECT note_id FROM changes WHERE cursor > {cursor} ORDER BY cursor");
    let found = rows(&tables.vault, &sql)?;
    Ok(found
        .iter()
        .filter_map(|row| Some(row.first()?.as_str()?.to_owned()))
        .collect())
}
