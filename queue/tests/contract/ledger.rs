//! What a channel took on a day, and what a chain of hand-overs took.

use jiff::Timestamp;
use pretty_assertions::assert_eq;
use reveille_queue::{
    ChainTotals, ChannelName, Claim, DayTotals, Lane, Message, MessageMode, Queue, Settlement, Spend, State,
};
use uuid::Uuid;

use crate::support::{
    Factory, accept, accept_as, cancelled, claim, claimed, done, hostile_texts, lane, message, nano, subject,
};

fn totals(turns: u64, nano_usd: u64) -> DayTotals {
    DayTotals { turns, nano_usd }
}

fn costs(nano_usd: u64) -> Settlement {
    Settlement {
        spend: nano(nano_usd),
        ..done()
    }
}

/// One turn that costs this much.
async fn spend(queue: &impl Queue, lane: &Lane, note: &str, nano_usd: u64) -> Claim {
    accept(queue, lane, &[note]).await;
    let claim = claim(queue, lane).await;
    queue.settle(claim.lease, costs(nano_usd), Vec::new()).await.unwrap();
    claim
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Moves the clock to a time.
fn set<F: Factory>(storage: &F, text: &str) {
    let now = storage.clock().now();
    storage.clock().shift(time(text).as_second() - now.as_second());
    assert_eq!(storage.clock().now(), time(text));
}

pub(crate) async fn a_day_sums_over_a_channel<F: Factory>(storage: &F) {
    let queue = storage.open();
    let (echo, aside, other) = (lane("echo"), subject("echo", "aside"), lane("other"));
    let now = storage.clock().now();
    assert_eq!(queue.today(now, None).await.unwrap(), []);
    assert_eq!(
        spend(&queue, &echo, "n1", 9_007_199_254_740_993).await.today,
        totals(0, 0)
    );
    assert_eq!(
        spend(&queue, &aside, "n2", 1).await.today,
        totals(1, 9_007_199_254_740_993)
    );
    assert_eq!(spend(&queue, &other, "n3", 7).await.today, totals(0, 0));
    let expected = [
        (echo.channel.clone(), totals(2, 9_007_199_254_740_994)),
        (other.channel.clone(), totals(1, 7)),
    ];
    assert_eq!(queue.today(now, None).await.unwrap(), expected);
    drop(queue);
    let queue = storage.open();
    queue.recover().await.unwrap();
    assert_eq!(queue.today(now, None).await.unwrap(), expected);
}

pub(crate) async fn a_day_ends_at_midnight_utc<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    set(storage, "2026-03-01T23:59:59Z");
    spend(&queue, &echo, "n1", 1).await;
    let over = claimed(&queue, &echo, "n2").await;
    storage.clock().shift(1);
    // A turn counts on the day on which it ends.
    queue.settle(over, costs(10), Vec::new()).await.unwrap();
    let claim = spend(&queue, &echo, "n3", 100).await;
    assert_eq!(claim.today, totals(1, 10));
    let on = async |text: &str| queue.today(time(text), None).await.unwrap();
    let channel = || echo.channel.clone();
    for text in ["2026-03-01T00:00:00Z", "2026-03-01T23:59:59.999Z"] {
        assert_eq!(on(text).await, [(channel(), totals(1, 1))], "{text}");
    }
    for text in ["2026-03-02T00:00:00Z", "2026-03-02T23:59:59.999Z"] {
        assert_eq!(on(text).await, [(channel(), totals(2, 110))], "{text}");
    }
    assert_eq!(on("2026-02-28T23:59:59.999Z").await, []);
    assert_eq!(on("2026-03-03T00:00:00Z").await, []);
}

/// Also the days before 1970 have their midnight.
pub(crate) async fn a_clock_that_goes_back_goes_on_with_that_day<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let days = [
        "2026-03-02T00:00:00Z",
        "2026-03-01T23:59:59Z",
        "1970-01-01T00:00:00Z",
        "2026-03-02T12:00:00Z",
        "2026-03-01T00:00:00Z",
    ];
    for (number, text) in (0..).zip(days) {
        set(storage, text);
        spend(&queue, &echo, &format!("n{number}"), 1 << number).await;
    }
    let on = async |text: &str| {
        let found = queue.today(time(text), None).await.unwrap();
        found
            .into_iter()
            .map(|(_, totals)| (totals.turns, totals.nano_usd))
            .collect::<Vec<_>>()
    };
    assert_eq!(on("2026-03-02T09:00:00Z").await, [(2, 1 + 8)]);
    assert_eq!(on("2026-03-01T09:00:00Z").await, [(2, 2 + 16)]);
    assert_eq!(on("1970-01-01T23:59:59Z").await, [(1, 4)]);
    assert_eq!(on("1969-12-31T23:59:59Z").await, []);
}

/// An attempt that goes back in line took money, but its turn is not over; each attempt counts once, on its own day.
pub(crate) async fn attempts_are_counted_once<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    set(storage, "2026-03-01T23:59:00Z");
    let first = claimed(&queue, &echo, "n1").await;
    queue.release(first, nano(3)).await.unwrap();
    let second = claim(&queue, &echo).await;
    assert_eq!(second.today, totals(0, 3));
    queue.release(second.lease, nano(4)).await.unwrap();
    queue.release(second.lease, nano(1000)).await.unwrap_err();
    storage.clock().shift(120);
    let third = claim(&queue, &echo).await;
    assert_eq!((third.today, third.spent), (totals(0, 0), nano(7)));
    queue.settle(third.lease, costs(5), Vec::new()).await.unwrap();
    queue.settle(third.lease, costs(1000), Vec::new()).await.unwrap_err();
    let on = async |text: &str| queue.today(time(text), None).await.unwrap();
    assert_eq!(on("2026-03-01T12:00:00Z").await, [(echo.channel.clone(), totals(0, 7))]);
    assert_eq!(on("2026-03-02T12:00:00Z").await, [(echo.channel.clone(), totals(1, 5))]);
    assert_eq!(queue.turn(third.lease.turn).await.unwrap().unwrap().spend, nano(12));
}

pub(crate) async fn what_took_nothing_is_not_listed<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let now = storage.clock().now();
    let turns = accept(&queue, &echo, &["n1", "n2"]).await;
    let lease = claim(&queue, &echo).await.lease;
    queue.begin(lease, Uuid::from_u128(1)).await.unwrap();
    queue.release(lease, Spend::default()).await.unwrap();
    claim(&queue, &echo).await;
    queue.recover().await.unwrap();
    queue.cancel(turns[1], cancelled(), Vec::new()).await.unwrap();
    assert_eq!(queue.today(now, None).await.unwrap(), []);
    // A turn without cost is a turn, also when it failed.
    let lease = claim(&queue, &echo).await.lease;
    let settlement = Settlement {
        state: State::Error,
        ..done()
    };
    queue.settle(lease, settlement, Vec::new()).await.unwrap();
    assert_eq!(queue.today(now, None).await.unwrap(), [(echo.channel, totals(1, 0))]);
}

/// Messages that share a turn are one turn of the day.
pub(crate) async fn a_shared_turn_is_one_turn<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    accept_as(&queue, &echo, MessageMode::Collect, &["n1", "n2", "n3"]).await;
    let lease = claim(&queue, &echo).await.lease;
    queue.settle(lease, costs(6), Vec::new()).await.unwrap();
    let today = queue.today(storage.clock().now(), None).await.unwrap();
    assert_eq!(today, [(echo.channel, totals(1, 6))]);
}

/// A peer that reports nonsense must stop neither the channel nor the chain nor the listing.
pub(crate) async fn absurd_sums_do_no_harm<F: Factory>(storage: &F) {
    let queue = storage.open();
    let lanes = [lane("echo"), subject("echo", "aside"), lane("other")];
    let of_chain = |lane: &Lane, note: &str| Message {
        chain: "chain".into(),
        ..message(lane, note)
    };
    for (number, lane) in lanes.iter().chain(&lanes).enumerate() {
        queue
            .accept(vec![of_chain(lane, &format!("n{number}"))], None)
            .await
            .unwrap();
        let claim = claim(&queue, lane).await;
        assert_eq!(claim.chain.turns, number as u64);
        let most = Spend {
            input_tokens: u64::MAX,
            nano_usd: u64::MAX,
            ..Spend::default()
        };
        queue
            .settle(claim.lease, Settlement { spend: most, ..done() }, Vec::new())
            .await
            .unwrap();
    }
    let least = i64::MAX as u64;
    queue.accept(vec![of_chain(&lanes[0], "last")], None).await.unwrap();
    let claim = claim(&queue, &lanes[0]).await;
    assert!(
        claim.chain.nano_usd >= least && claim.today.nano_usd >= least,
        "{claim:?}"
    );
    let overview = queue.overview(None).await.unwrap();
    assert_eq!(overview.len(), 2);
    for channel in overview {
        assert!(
            channel.spend.nano_usd >= least && channel.spend.input_tokens >= least,
            "{channel:?}"
        );
    }
}

/// Sums of channels stay exact where a float would round, and beyond 32 bits.
pub(crate) async fn an_overview_is_exact<F: Factory>(storage: &F) {
    let queue = storage.open();
    let amounts = [9_007_199_254_740_993, (1 << 32) - 1, 1, 1 << 32, (1 << 62) + 1, 0];
    for (number, amount) in amounts.into_iter().enumerate() {
        spend(
            &queue,
            &subject("echo", &number.to_string()),
            &format!("n{number}"),
            amount,
        )
        .await;
    }
    let overview = queue.overview(None).await.unwrap().remove(0);
    assert_eq!((overview.turns, overview.spend), (6, nano(amounts.into_iter().sum())));
}

fn link(lane: &Lane, chain: &str, note: &str) -> Message {
    Message {
        chain: chain.into(),
        ..message(lane, note)
    }
}

pub(crate) async fn a_chain_is_summed_over_channels<F: Factory>(storage: &F) {
    let queue = storage.open();
    let lanes = [lane("a"), lane("b"), subject("a", "aside")];
    let mut expected = ChainTotals::default();
    for (number, lane) in (1_u64..).zip(lanes.iter().chain(&lanes)) {
        let batch = vec![
            link(lane, "c", &format!("n{number}")),
            link(&lane_of("noise"), "d", &format!("x{number}")),
        ];
        queue.accept(batch, None).await.unwrap();
        expected.messages += 1;
        let claim = claim(&queue, lane).await;
        assert_eq!(claim.chain, expected, "link {number}");
        queue.release(claim.lease, nano(number)).await.unwrap();
        expected.nano_usd += number;
        let claim = queue.claim(lane).await.unwrap().unwrap();
        assert_eq!(claim.chain, expected, "link {number}, second attempt");
        queue.settle(claim.lease, costs(100), Vec::new()).await.unwrap();
        expected.nano_usd += 100;
        expected.turns += 1;
        expected.before += 1;
    }
}

fn lane_of(channel: &str) -> Lane {
    lane(channel)
}

/// The place in the chain is that of the acceptance: moves and waiting messages do not change it.
pub(crate) async fn a_chain_counts_what_came_before<F: Factory>(storage: &F) {
    let queue = storage.open();
    let (a, b) = (lane("a"), lane("b"));
    let batch = [(&a, "n1"), (&b, "n2"), (&a, "n3"), (&b, "n4")];
    let batch = batch.map(|(lane, note)| link(lane, "c", note)).to_vec();
    let turns = queue.accept(batch.clone(), None).await.unwrap();
    queue.accept(batch, None).await.unwrap();
    queue
        .reposition(turns[3].turn, reveille_queue::Position::First)
        .await
        .unwrap();
    let claim = claim(&queue, &b).await;
    let expected = ChainTotals {
        messages: 4,
        turns: 0,
        nano_usd: 0,
        before: 3,
    };
    assert_eq!((claim.message.note.as_str(), claim.chain), ("n4", expected));
}

/// Messages that share a turn are messages of their chains; the turn and its cost are of the first one's.
pub(crate) async fn a_chain_counts_a_shared_turn_once<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    let shared = |chain: &str, note: &str| Message {
        mode: MessageMode::Collect,
        ..link(&echo, chain, note)
    };
    let batch = vec![shared("c", "n1"), shared("c", "n2"), shared("d", "n3")];
    queue.accept(batch, None).await.unwrap();
    let first = claim(&queue, &echo).await;
    assert_eq!(first.chain.before, 0);
    queue.settle(first.lease, costs(9), Vec::new()).await.unwrap();
    let batch = vec![link(&echo, "c", "n4"), link(&echo, "d", "n5")];
    queue.accept(batch, None).await.unwrap();
    let totals = |messages, turns, nano_usd| ChainTotals {
        messages,
        turns,
        nano_usd,
        before: messages - 1,
    };
    let fourth = claim(&queue, &echo).await;
    assert_eq!(fourth.chain, totals(3, 1, 9));
    queue.settle(fourth.lease, done(), Vec::new()).await.unwrap();
    assert_eq!(claim(&queue, &echo).await.chain, totals(2, 0, 0));
}

pub(crate) async fn hostile_chains_are_chains<F: Factory>(storage: &F) {
    let queue = storage.open();
    let echo = lane("echo");
    for (number, chain) in hostile_texts().into_iter().enumerate() {
        let channel: ChannelName = format!("c{number}").parse().unwrap();
        let lane = Lane {
            channel,
            ..echo.clone()
        };
        let notes = ["a", "b"].map(|half| link(&lane, &chain, &format!("{half}{number}")));
        queue.accept(notes.to_vec(), None).await.unwrap();
        let claim = claim(&queue, &lane).await;
        assert_eq!((claim.chain.messages, &claim.message.chain), (2, &chain), "{chain:?}");
    }
}
