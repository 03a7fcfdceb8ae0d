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

fn accept() -> impl Strategy<Value = Step> {
    let notes = prop::collection::vec((0..LANES, 0..60_u8, mode(), 0..3_u8), 0..5);
    (notes, 0..50_u64).prop_map(|(notes, cursor)| Step::Accept { notes, cursor })
}

/// A worker's steps.
fn work() -> impl Strategy<Value = Step> {
    let at = 0..64_usize;
    let targets = prop::collection::vec(0..3_u8, 0..4);
    prop_oneof![
        // Numbers beyond the lanes are conversations that were set aside.
        8 => (0..LANES + 2).prop_map(Step::Claim),
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
    let names = prop::collection::vec((0..NAMES, 0..NAMES), 1..=NAMES);
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
        1 => (0..LANES, any::<bool>()).prop_map(|(lane, all)| Step::Reset { lane, all }),
        3 => names.prop_map(Step::Bind),
        1 => (0..NAMES).prop_map(Step::Unbind),
    ]
}

/// Time, restarts, and the outbox.
fn rest() -> impl Strategy<Value = Step> {
    let at = 0..64_usize;
    prop_oneof![
        1 => Just(Step::Recover),
        1 => Just(Step::Expire),
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

/// Some steps: single ones, and attempts at the lane's next turn up to an end of some kind, which chance alone seldom makes.
pub(crate) fn history() -> impl Strategy<Value = Vec<Step>> {
    let newest = 0;
    let attempt =
        (accept(), 0..LANES, prop::option::of(0..5_u8), 0..4_u8).prop_map(move |(accept, lane, session, end)| {
            let begin = session.map(|session| Step::Begin { lease: newest, session });
            let end = match end {
                0 => Step::Unbegin(newest),
                1 => Step::Release { lease: newest, unit: 1 },
                2 => Step::Recover,
                _ => Step::Reopen,
            };
            let steps = [Some(accept), Some(Step::Claim(lane)), begin, Some(end)];
            steps.into_iter().flatten().collect()
        });
    let steps = prop_oneof![4 => step().prop_map(|step| vec![step]), 1 => attempt];
    prop::collection::vec(steps, 5..60).prop_map(|steps| steps.concat())
}
