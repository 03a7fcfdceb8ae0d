//! A year of two hundred jobs, with everything that can come between: every occurrence runs once, or it is written down why not.
//!
//! `REVEILLE_TEST_SEED` takes another course of events, `REVEILLE_TEST_YEARS` as many of them one after the other, and
//! `REVEILLE_TEST_JOBS` another number of jobs.

mod calendar;
mod vault;
mod world;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::atomic::Ordering;

use jiff::{SignedDuration, Timestamp};
use reveille_vault::Metadata;
use serde_json::json;

use self::calendar::Calendar;
use self::vault::Doom;
use self::world::{Epoch, Life, World, object};
use super::{JobKey, Run, RunKind, RunState};

/// Clocks that are put forward and back: by an hour on two continents, and by half an hour.
const ZONES: [&str; 3] = ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe"];
/// Expressions, each as often as its weight says. Many are due when clocks change, and few of them often: each run is two
/// commits.
const CRONS: [(u64, &str); 16] = [
    (1, "30 2 * * *"),
    (1, "0 12 13 * 5"),
    (1, "0 * * 3 0"),
    (2, "15 1 * * 0"),
    (2, "30 2 * * 0"),
    (2, "59 23 * * 5"),
    (2, "*/30 1-3 * 4,11 0"),
    (2, "20 0-4 1-7 4,11 *"),
    (10, "45 1,2 8-14 3 *"),
    (24, "30 2 25-31 3 *"),
    (24, "15 1 25-31 10 *"),
    (24, "0 0 1 */3 *"),
    (24, "5 4 31 * *"),
    (24, "30 2 1-7 10 *"),
    (24, "0 0 29 2 *"),
    (24, "59 23 31 12 *"),
];

/// Pseudo-random numbers (splitmix64).
struct Dice(u64);

impl Dice {
    fn number(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }

    fn index(&mut self, below: usize) -> usize {
        usize::try_from(self.number(below as u64)).unwrap()
    }

    fn seconds(&mut self, from: u64, to: u64) -> SignedDuration {
        SignedDuration::from_secs(i64::try_from(from + self.number(to - from)).unwrap())
    }

    fn cron(&mut self) -> &'static str {
        let mut left = self.number(CRONS.iter().map(|(weight, _)| weight).sum());
        for (weight, cron) in CRONS {
            if left < weight {
                return cron;
            }
            left -= weight;
        }
        unreachable!()
    }
}

/// What happens, in the order of its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Add,
    Back,
    DownTime,
    Edit,
    Forward,
    Kill,
    LostAnswers,
    Outage,
    Pause,
    Remove,
    Restart,
    Resume,
}

const EVENTS: [Event; 12] = [
    Event::Add,
    Event::Back,
    Event::DownTime,
    Event::Edit,
    Event::Forward,
    Event::Kill,
    Event::LostAnswers,
    Event::Outage,
    Event::Pause,
    Event::Remove,
    Event::Restart,
    Event::Resume,
];

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

struct Course {
    world: World,
    dice: Dice,
    calendar: Calendar,
    due: HashMap<(&'static str, &'static str), Rc<BTreeSet<Timestamp>>>,
    happened: BTreeMap<Event, u32>,
    end: Timestamp,
    next_event: Timestamp,
    /// When the daemon is started again.
    up_at: Option<Timestamp>,
    /// When the vaults are well again.
    well_at: [Option<Timestamp>; 2],
    /// Jobs that were changed while nobody followed. Of two changes nobody could tell when the first one was.
    unseen: BTreeSet<usize>,
}

impl Course {
    async fn begin(seed: u64) -> Self {
        let start: Timestamp = "2028-01-01T00:00:00Z".parse().unwrap();
        let end: Timestamp = "2029-01-01T00:00:00Z".parse().unwrap();
        let margin = SignedDuration::from_hours(24 * 40);
        Self {
            world: World::new(start).await,
            dice: Dice(seed),
            calendar: Calendar::new(&ZONES, start - margin, end + margin),
            due: HashMap::new(),
            happened: BTreeMap::new(),
            end,
            next_event: start + SignedDuration::from_hours(1),
            up_at: None,
            well_at: [None; 2],
            unseen: BTreeSet::new(),
        }
    }

    /// A schedule as it is written, and its instants.
    fn schedule(&mut self) -> (Metadata, Rc<BTreeSet<Timestamp>>) {
        let (cron, zone) = (self.dice.cron(), ZONES[self.dice.index(ZONES.len())]);
        let due = self.due.entry((cron, zone));
        let due = Rc::clone(due.or_insert_with(|| Rc::new(self.calendar.of(cron, zone))));
        (object(json!({"cron": cron, "tz": zone})), due)
    }

    async fn add(&mut self) {
        let vault = self.dice.index(2);
        if !self.world.is_well(vault) {
            return;
        }
        let (schedule, due) = match self.dice.number(12) {
            0 => {
                let at = self.world.now() + self.dice.seconds(HOUR, 200 * DAY);
                (object(json!({"at": at.to_string()})), Rc::new(BTreeSet::from([at])))
            }
            _ => self.schedule(),
        };
        let skips_late = self.dice.number(4) == 0;
        self.world.add(vault, schedule, due, skips_late).await;
    }

    /// One of the jobs that are there, and whose vault can be written.
    fn any(&mut self, which: impl Fn(&Life) -> bool) -> Option<usize> {
        let all: Vec<usize> = (0..self.world.lives.len())
            .filter(|life| !self.unseen.contains(life))
            .filter(|life| {
                let life = &self.world.lives[*life];
                !life.removed && self.world.is_well(life.vault) && which(life)
            })
            .collect();
        let one = (!all.is_empty()).then(|| all[self.dice.index(all.len())]);
        if !self.world.is_up() {
            self.unseen.extend(one);
        }
        one
    }

    async fn happen(&mut self, event: Event) {
        *self.happened.entry(event).or_default() += 1;
        match event {
            Event::Add => self.add().await,
            Event::Back => {
                let back = self.dice.seconds(1, 3 * HOUR);
                self.world.pass(-back);
            }
            Event::Forward => {
                let ahead = self.dice.seconds(1, 6 * HOUR);
                self.world.pass(ahead);
            }
            Event::Restart => {
                self.world.stop().await;
                self.world.start().await;
            }
            Event::DownTime => {
                self.world.stop().await;
                let down = self.dice.seconds(MINUTE, 3 * DAY);
                self.up_at = Some(self.world.now() + down);
            }
            Event::Kill => {
                let doom = [Doom::Before, Doom::After][self.dice.index(2)];
                let vault = self.dice.index(2);
                *self.world.vaults[vault].doom.lock().unwrap() = Some(doom);
            }
            Event::Outage | Event::LostAnswers => {
                let vault = self.dice.index(2);
                let flags = &self.world.vaults[vault];
                let flag = if event == Event::Outage {
                    &flags.away
                } else {
                    &flags.forgetful
                };
                flag.store(true, Ordering::SeqCst);
                let long = self.dice.seconds(5 * MINUTE, 4 * HOUR);
                self.well_at[vault] = Some(self.world.now() + long);
            }
            Event::Edit => self.edit().await,
            Event::Pause => {
                if let Some(life) = self.any(|life| !life.paused) {
                    self.world.pause(life, true).await;
                }
            }
            Event::Resume => {
                if let Some(life) = self.any(|life| life.paused) {
                    self.world.pause(life, false).await;
                }
            }
            Event::Remove => self.remove().await,
        }
    }

    async fn edit(&mut self) {
        let (schedule, due) = self.schedule();
        let text = json!(schedule).to_string();
        if let Some(life) = self.any(|life| life.text != text && life.text.contains("cron")) {
            self.world.edit(life, schedule, due).await;
        }
    }

    async fn remove(&mut self) {
        let Some(life) = self.any(|life| !life.paused) else {
            return;
        };
        // What is tried again after a pause has its time.
        self.world.pass(SignedDuration::from_mins(2));
        self.world.step().await;
        if self.world.is_up() {
            self.world.remove(life).await;
        }
    }

    /// While nobody follows: the notes change all the same.
    async fn happen_unseen(&mut self) {
        // Whose clock was put back does not say when that was.
        if self.world.now() < self.world.latest {
            return;
        }
        let event = [Event::Edit, Event::Pause, Event::Resume][self.dice.index(3)];
        self.happen(event).await;
    }

    async fn live(&mut self, jobs: u64) {
        for _ in 0..jobs {
            self.add().await;
        }
        self.world.start().await;
        loop {
            let next = self.world.step().await;
            let jitter = self.dice.seconds(0, 40);
            let next = next.and_then(|next| next.checked_add(jitter).ok());
            let others = [
                Some(self.next_event),
                next,
                self.up_at,
                self.well_at[0],
                self.well_at[1],
            ];
            let at = others.into_iter().flatten().min().unwrap();
            if at >= self.end {
                return;
            }
            self.world.set(at.max(self.world.now()));
            let now = self.world.now();
            for vault in 0..2 {
                if self.well_at[vault].take_if(|well| *well <= now).is_some() {
                    self.well(vault).await;
                }
            }
            if self.up_at.take_if(|up| *up <= now).is_some() {
                self.unseen.clear();
                self.world.start().await;
            }
            if self.next_event <= now {
                match self.world.is_up() {
                    true => {
                        let event = EVENTS[self.dice.index(EVENTS.len())];
                        self.happen(event).await;
                    }
                    false => self.happen_unseen().await,
                }
                self.next_event = self.world.now() + self.dice.seconds(6 * HOUR, 6 * DAY);
            }
        }
    }

    async fn well(&mut self, vault: usize) {
        let flags = &self.world.vaults[vault];
        flags.away.store(false, Ordering::SeqCst);
        flags.forgetful.store(false, Ordering::SeqCst);
        // A feed that could not read its vault does so now.
        self.world.open(vault).await;
    }

    /// Everything is well again, and what is owed is done.
    async fn end(&mut self) {
        let now = self.world.now();
        self.world.set(now.max(self.world.latest));
        for vault in 0..2 {
            self.well(vault).await;
            *self.world.vaults[vault].doom.lock().unwrap() = None;
        }
        if !self.world.is_up() {
            self.world.start().await;
        }
        self.unseen.clear();
        self.world.step().await;
        while let Some(life) = self.any(|life| life.paused) {
            self.world.pause(life, false).await;
        }
        for _ in 0..2 {
            self.world.pass(SignedDuration::from_mins(150));
            self.world.step().await;
        }
        let now = self.world.now();
        for life in self.world.lives.iter_mut().filter(|life| !life.removed) {
            life.epochs.last_mut().unwrap().to = now;
        }
    }
}

/// What the ledger says of one job.
struct Account<'a> {
    fired: BTreeMap<Timestamp, (i64, &'a Run)>,
    skipped: Vec<(i64, &'a Run)>,
}

fn accounts(world: &World) -> HashMap<&JobKey, Account<'_>> {
    let mut accounts: HashMap<&JobKey, Account<'_>> = HashMap::new();
    for (key, id, run) in &world.rows {
        let account = accounts.entry(key).or_insert_with(|| Account {
            fired: BTreeMap::new(),
            skipped: Vec::new(),
        });
        match run.state {
            RunState::Fired => {
                let again = account.fired.insert(run.occurrence_at, (*id, run));
                assert!(again.is_none(), "{key} is written down twice: {run:?}");
            }
            RunState::Skipped => account.skipped.push((*id, run)),
            _ => panic!("{key}: {run:?}"),
        }
    }
    accounts
}

/// A single time is owed whenever it was written; an expression from then on.
fn owed(epoch: &Epoch) -> impl Iterator<Item = &Timestamp> {
    epoch
        .due
        .iter()
        .filter(|at| **at <= epoch.to && (epoch.single || **at > epoch.from))
}

/// How often something ran, was skipped by itself or in a range, and was looked at.
#[derive(Debug, Default)]
struct Sums {
    owed: usize,
    fired: usize,
    skipped: usize,
    late: usize,
}

fn check(life: &Life, account: &Account<'_>, sums: &mut Sums) {
    let spans =
        |run: &Run, at: &Timestamp| run.occurrence_at <= *at && *at <= run.until_at.unwrap_or(run.occurrence_at);
    for at in life.epochs.iter().flat_map(owed) {
        sums.owed += 1;
        let skipped = account.skipped.iter().any(|(_, run)| spans(run, at));
        assert!(
            skipped || account.fired.contains_key(at),
            "{} was due at {at}, and nothing is known of that; {:?}",
            life.text,
            account.skipped
        );
    }
    for (at, (id, run)) in &account.fired {
        sums.fired += 1;
        let late = run.at.duration_since(*at);
        let most = if life.skips_late { 60 } else { 2 * 60 * 60 };
        assert!(late <= SignedDuration::from_secs(most), "{}: {run:?}", life.text);
        assert!(late >= SignedDuration::ZERO, "{} ran too early: {run:?}", life.text);
        sums.late += usize::from(run.kind == RunKind::CatchUp);
        let skipped_later = account
            .skipped
            .iter()
            .any(|(later, skip)| later > id && skip.count == 1 && skip.occurrence_at == *at);
        assert!(!skipped_later, "{} ran at {at} and was skipped afterwards", life.text);
    }
    for (id, run) in &account.skipped {
        sums.skipped += run.count as usize;
        assert!(run.reason.as_ref().is_some_and(|reason| !reason.is_empty()), "{run:?}");
        let had_run = |at: &&Timestamp| account.fired.get(*at).is_some_and(|(earlier, _)| earlier < id);
        let counts = life.epochs.iter().map(|epoch| {
            let within = epoch.due.iter().filter(|at| spans(run, at));
            within.filter(|at| !had_run(at)).count()
        });
        let counts: Vec<usize> = counts.collect();
        assert!(
            counts.contains(&(run.count as usize)),
            "{}: {run:?}, but {counts:?}",
            life.text
        );
    }
}

async fn year(seed: u64, jobs: u64) {
    println!("REVEILLE_TEST_SEED={seed}");
    let mut course = Course::begin(seed).await;
    course.live(jobs).await;
    course.end().await;
    let (world, mut sums) = (&course.world, Sums::default());
    let accounts = accounts(world);
    let nothing = Account {
        fired: BTreeMap::new(),
        skipped: Vec::new(),
    };
    for life in &world.lives {
        let account = accounts.get(&life.key).unwrap_or(&nothing);
        check(life, account, &mut sums);
        let fired: BTreeSet<_> = account.fired.keys().collect();
        let sent = world.messages.iter().filter(|((job, _), _)| *job == life.key.note);
        let sent: BTreeMap<_, _> = sent.map(|((_, at), count)| (at, count)).collect();
        assert!(sent.values().all(|count| **count == 1), "{} was sent twice", life.text);
        assert_eq!(sent.keys().copied().collect::<BTreeSet<_>>(), fired, "{}", life.text);
        if !life.removed {
            let next = life.now().due.iter().find(|at| **at > world.now()).copied();
            let told = world.next_run(life);
            // Beyond the calendar of the test there are more.
            assert!(
                next.is_none() || told == next,
                "{}: {told:?} instead of {next:?}",
                life.text
            );
        }
    }
    println!("{sums:?}, {} kills, {:?}", world.kills, course.happened);
    assert!(sums.fired > 500 && sums.skipped > 20 && sums.late > 0, "{sums:?}");
    assert!(
        world.kills > 0 && course.happened.len() == EVENTS.len(),
        "{:?}",
        course.happened
    );
    course.world.close().await;
}

#[tokio::test]
async fn every_occurrence_of_a_year_runs_once_or_is_told_of() {
    let number = |name: &str, usual: u64| match std::env::var(name) {
        Ok(text) => text.parse().unwrap(),
        Err(_) => usual,
    };
    let seed = number("REVEILLE_TEST_SEED", 1);
    for year_number in 0..number("REVEILLE_TEST_YEARS", 1) {
        year(seed + year_number, number("REVEILLE_TEST_JOBS", 200)).await;
    }
}
