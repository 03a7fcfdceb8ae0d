//! What a history is made of.

use proptest::prelude::*;
use reveille_queue::MessageMode;

/// Channels, and notes that define them.
pub(crate) const NAMES: usize = 3;
/// Lanes that messages are sent to: two to a channel.
pub(crate) const LANES: usize = 2 * NAMES;

/// A message, by numbers: the lane, the note, its mode, the version of its text.
pub(crate) type Note = (usize, u8, MessageMode, u8);

/// One step of a history. Numbers choose among what there is.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Accept {
        notes: Vec<Note>,
        cursor: u64,
    },
    Claim(usize),
    /// Somebody outside takes of a channel.
    Take {
        channel: usize,
        owner: usize,
        seconds: u64,
    },
    Renew {
        lease: usize,
        seconds: u64,
    },
    Lapse,
    Heartbeat(usize),
    Begin {
        lease: usize,
        session: u8,
    },
    Unbegin(usize),
    Release {
        lease: usize,
        unit: u64,
    },
    Settle {
        lease: usize,
        state: usize,
        session: u8,
        unit: u64,
        targets: Vec<u8>,
    },
    Cancel {
        turn: usize,
        state: usize,
        unit: u64,
        targets: Vec<u8>,
    },
    Hold {
        turn: usize,
        held: bool,
    },
    /// To the front, to the end, or before another one.
    Move {
        turn: usize,
        to: Option<bool>,
        before: usize,
    },
    /// The newest message goes to the front.
    Front,
    Edit {
        turn: usize,
        version: u8,
    },
    Pause {
        channel: usize,
        code: usize,
        seconds: Option<i64>,
    },
    Resume {
        channel: usize,
        codes: Vec<usize>,
    },
    Reset {
        lane: usize,
        all: bool,
    },
    /// Names for definitions, by numbers.
    Bind(Vec<(usize, usize)>),
    Unbind(usize),
    Recover,
    Expire,
    Reopen,
    Pass(i64),
    Deliver(Vec<usize>),
    Fail {
        effect: usize,
        delay: Option<i64>,
    },
    Retry(Option<usize>),
}

fn mode() -> impl Strategy<Value = MessageMode> {
    prop_oneof![
        3 => Just(MessageMode::Followup),
        5 => Just(MessageMode::Collect),
        1 => Just(MessageMode::Interrupt),
    ]
}

/// Mostly the same few: chance alone would seldom meet in one of many.
fn lane() -> impl Strategy<Value = usize> {
    prop_oneof![3 => Just(0), 2 => Just(2), 2 => 0..LANES]
}

fn accept() -> impl Strategy<Value = Step> {
    let notes = prop::collection::vec((lane(), 0..90_u8, mode(), 0..3_u8), 0..5);
    (notes, 0..50_u64).prop_map(|(notes, cursor)| Step::Accept { notes, cursor })
}

/// Names for all definitions, or for some: mostly so that each gets one of its own.
fn names() -> impl Strategy<Value = Step> {
    let shuffled = Just((0..NAMES).collect::<Vec<_>>()).prop_shuffle();
    let agreed = (shuffled, 2..=NAMES).prop_map(|(names, count)| names.into_iter().enumerate().take(count).collect());
    let any = prop::collection::vec((0..NAMES, 0..NAMES), 1..=NAMES);
    prop_oneof![4 => agreed, 1 => any].prop_map(Step::Bind)
}

/// A worker's steps.
fn work() -> impl Strategy<Value = Step> {
    let at = 0..64_usize;
    let targets = prop::collection::vec(0..3_u8, 0..4);
    prop_oneof![
        // Numbers beyond the lanes are conversations that were set aside.
        8 => prop_oneof![3 => lane(), 1 => 0..LANES + 2].prop_map(Step::Claim),
        5 => (0..NAMES, 0..2_usize, 0..90_u64)
            .prop_map(|(channel, owner, seconds)| Step::Take { channel, owner, seconds }),
        1 => (at.clone(), 0..90_u64).prop_map(|(lease, seconds)| Step::Renew { lease, seconds }),
        1 => at.clone().prop_map(Step::Heartbeat),
        4 => (at.clone(), 0..5_u8).prop_map(|(lease, session)| Step::Begin { lease, session }),
        2 => at.clone().prop_map(Step::Unbegin),
        3 => (at.clone(), 0..3_u64).prop_map(|(lease, unit)| Step::Release { lease, unit }),
        6 => (at, 0..4_usize, 0..5_u8, 0..1_000_000_007_u64, targets)
            .prop_map(|(lease, state, session, unit, targets)| Step::Settle { lease, state, session, unit, targets }),
    ]
}

/// A person's steps.
fn hand() -> impl Strategy<Value = Step> {
    let at = 0..64_usize;
    let targets = prop::collection::vec(0..3_u8, 0..3);
    prop_oneof![
        2 => (at.clone(), 0..4_usize, 0..2_u64, targets)
            .prop_map(|(turn, state, unit, targets)| Step::Cancel { turn, state, unit, targets }),
        3 => (at.clone(), prop::bool::weighted(0.4)).prop_map(|(turn, held)| Step::Hold { turn, held }),
        4 => (at.clone(), any::<Option<bool>>(), at.clone())
            .prop_map(|(turn, to, before)| Step::Move { turn, to, before }),
        1 => (at, 0..3_u8).prop_map(|(turn, version)| Step::Edit { turn, version }),
        1 => (0..NAMES, 0..2_usize, prop::option::weighted(0.7, -10..60_i64))
            .prop_map(|(channel, code, seconds)| Step::Pause { channel, code, seconds }),
        1 => (0..NAMES, prop::collection::vec(0..2_usize, 0..2))
            .prop_map(|(channel, codes)| Step::Resume { channel, codes }),
        1 => (lane(), any::<bool>()).prop_map(|(lane, all)| Step::Reset { lane, all }),
        3 => names(),
        1 => (0..NAMES).prop_map(Step::Unbind),
    ]
}

/// Time, restarts, and the outbox.
fn rest() -> impl Strategy<Value = Step> {
    let at = 0..64_usize;
    prop_oneof![
        1 => Just(Step::Recover),
        1 => Just(Step::Expire),
        1 => Just(Step::Lapse),
        1 => Just(Step::Reopen),
        3 => (-40..80_i64).prop_map(Step::Pass),
        1 => prop_oneof![Just(43_200), Just(-43_200)].prop_map(Step::Pass),
        2 => prop::collection::vec(at.clone(), 0..3).prop_map(Step::Deliver),
        3 => (at.clone(), prop::option::of(-10..100_i64)).prop_map(|(effect, delay)| Step::Fail { effect, delay }),
        1 => prop::option::of(at).prop_map(Step::Retry),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![6 => accept(), 24 => work(), 14 => hand(), 11 => rest()]
}

/// Messages for one lane, and what becomes of them: they are claimed, something happens, the attempt ends somehow, perhaps
/// another message comes before them, and the lane is claimed again.
fn scene() -> impl Strategy<Value = Vec<Step>> {
    let newest = 0;
    let notes = prop::collection::vec((0..90_u8, mode(), 0..3_u8), 1..5);
    let between = || {
        let step = prop_oneof![
            2 => hand(),
            2 => any::<bool>().prop_map(|all| Step::Reset { lane: 0, all }),
            1 => names(),
            1 => accept(),
        ];
        prop::option::of(step)
    };
    let begin = prop::option::weighted(0.6, 0..5_u8);
    let end = prop_oneof![
        1 => Just(Step::Unbegin(newest)),
        3 => Just(Step::Release { lease: newest, unit: 1 }),
        2 => Just(Step::Recover),
        1 => Just(Step::Reopen),
        2 => (0..5_u8).prop_map(move |session| Step::Settle {
            lease: newest,
            state: 0,
            session,
            unit: 1,
            targets: Vec::new(),
        }),
    ];
    let front = prop::option::of((0..90_u8, mode()));
    (lane(), notes, begin, between(), end, between(), front).prop_map(
        move |(lane, notes, begin, between, end, after, front)| {
            let here = |step| match step {
                Step::Reset { all, .. } => Step::Reset { lane, all },
                other => other,
            };
            let accept = |notes: Vec<(u8, MessageMode, u8)>| {
                let notes = notes.into_iter().map(|(note, mode, text)| (lane, note, mode, text));
                Step::Accept {
                    notes: notes.collect(),
                    cursor: 0,
                }
            };
            let mut steps = vec![accept(notes), Step::Claim(lane)];
            steps.extend(begin.map(|session| Step::Begin { lease: newest, session }));
            steps.extend(between.map(here));
            steps.push(end);
            steps.extend(after.map(here));
            if let Some((note, mode)) = front {
                steps.push(accept(vec![(note, mode, 0)]));
                steps.push(Step::Front);
            }
            steps.push(Step::Claim(lane));
            steps
        },
    )
}

/// Definitions that have names from the start, mostly; then single steps, and scenes.
pub(crate) fn history() -> impl Strategy<Value = Vec<Step>> {
    let steps = prop_oneof![5 => step().prop_map(|step| vec![step]), 2 => scene()];
    let steps = prop::collection::vec(steps, 5..40).prop_map(|steps| steps.concat());
    (prop::option::weighted(0.8, names()), steps).prop_map(|(names, steps)| names.into_iter().chain(steps).collect())
}
