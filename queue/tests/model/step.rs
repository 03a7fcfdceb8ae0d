//! What a history is made of.

use proptest::prelude::*;

/// One step of a history. Numbers choose among what there is.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Accept {
        notes: Vec<(usize, u8)>,
        cursor: u64,
    },
    Claim(usize),
    Heartbeat(usize),
    Begin {
        lease: usize,
        session: u8,
    },
    Unbegin(usize),
    Release(usize),
    Settle {
        lease: usize,
        state: usize,
        session: u8,
        unit: u64,
        targets: Vec<u8>,
    },
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

fn step() -> impl Strategy<Value = Step> {
    let at = 0..64_usize;
    let notes = prop::collection::vec((0..4_usize, 0..40_u8), 0..4);
    let targets = prop::collection::vec(0..3_u8, 0..4);
    prop_oneof![
        5 => (notes, 0..50_u64).prop_map(|(notes, cursor)| Step::Accept { notes, cursor }),
        8 => (0..4_usize).prop_map(Step::Claim),
        1 => at.clone().prop_map(Step::Heartbeat),
        4 => (at.clone(), 0..5_u8).prop_map(|(lease, session)| Step::Begin { lease, session }),
        2 => at.clone().prop_map(Step::Unbegin),
        3 => at.clone().prop_map(Step::Release),
        6 => (at.clone(), 0..4_usize, 0..5_u8, 0..1_000_000_007_u64, targets)
            .prop_map(|(lease, state, session, unit, targets)| Step::Settle { lease, state, session, unit, targets }),
        1 => Just(Step::Recover),
        1 => Just(Step::Expire),
        1 => Just(Step::Reopen),
        3 => (-40..80_i64).prop_map(Step::Pass),
        2 => prop::collection::vec(at.clone(), 0..3).prop_map(Step::Deliver),
        3 => (at.clone(), prop::option::of(-10..100_i64)).prop_map(|(effect, delay)| Step::Fail { effect, delay }),
        1 => prop::option::of(at).prop_map(Step::Retry),
    ]
}

/// Some steps: single ones, and attempts at the lane's next turn up to an end of some kind, which chance alone seldom makes.
pub(crate) fn history() -> impl Strategy<Value = Vec<Step>> {
    let newest = 0;
    let attempt = (0..4_usize, 0..5_u8, 0..4_u8).prop_map(move |(lane, session, end)| {
        let end = match end {
            0 => Step::Unbegin(newest),
            1 => Step::Release(newest),
            2 => Step::Recover,
            _ => Step::Reopen,
        };
        vec![Step::Claim(lane), Step::Begin { lease: newest, session }, end]
    });
    let steps = prop_oneof![4 => step().prop_map(|step| vec![step]), 1 => attempt];
    prop::collection::vec(steps, 5..50).prop_map(|steps| steps.concat())
}
