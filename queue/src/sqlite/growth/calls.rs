//! One of every call that a queue answers.

use std::time::Duration;

use jiff::Timestamp;
use pretty_assertions::assert_eq;
use serde_json::json;
use uuid::Uuid;

use super::super::SqliteQueue;
use super::{Ran, Seen};
use crate::model::{
    Binding, FeedCursor, Lane, ListedPage, Listing, Message, MessageMode, NewEffect, Pause, Position, SessionUpdate,
    Settlement, Spend, Standing, State, ThreadKey,
};
use crate::queue::Queue;

const HOUR: Duration = Duration::from_hours(1);

pub(super) fn message(lane: &Lane, note: &str) -> Message {
    Message {
        lane: lane.clone(),
        chain: note.into(),
        mode: MessageMode::Followup,
        vault: "home".into(),
        note: note.into(),
        body: json!(note),
    }
}

pub(super) fn done() -> Settlement {
    Settlement {
        state: State::Ok,
        record: json!(1),
        session: SessionUpdate::Set(Uuid::nil(), "/".into()),
        spend: Spend {
            nano_usd: 1,
            ..Spend::default()
        },
    }
}

fn aside() -> Lane {
    Lane {
        thread: ThreadKey::Subject("aside".into()),
        ..main()
    }
}

pub(super) fn main() -> Lane {
    Lane {
        channel: "echo".parse().unwrap(),
        thread: ThreadKey::Main,
    }
}

/// One of everything.
pub(super) async fn one_of_everything(queue: &SqliteQueue, seen: &Seen) -> Ran {
    let mut ran = Ran::new();
    line_up(queue, seen, &mut ran).await;
    end(queue, seen, &mut ran).await;
    by_hand(queue, seen, &mut ran).await;
    shared(queue, seen, &mut ran).await;
    names(queue, seen, &mut ran).await;
    threads(queue, seen, &mut ran).await;
    ran
}

/// Up to a turn that is back in line.
async fn line_up(queue: &SqliteQueue, seen: &Seen, ran: &mut Ran) {
    let mut note = |name| ran.push((name, seen.take()));
    let (main, aside) = (main(), aside());
    seen.take();
    let cursor = Some(FeedCursor {
        feed: "home".into(),
        at: 1,
    });
    let batch = vec![
        message(&main, "1"),
        message(&aside, "2"),
        message(&main, "3"),
        message(&main, "1"),
    ];
    queue.accept(batch, cursor).await.unwrap();
    note("accept");
    queue.cursor("home").await.unwrap();
    note("cursor");
    queue.rewind("elsewhere").await.unwrap();
    note("rewind");
    let lease = queue.claim(&main).await.unwrap().unwrap().lease;
    note("claim");
    assert_eq!(queue.claim(&main).await.unwrap(), None);
    note("claim of a busy lane");
    queue.heartbeat(lease).await.unwrap();
    queue.begin(lease, Uuid::nil()).await.unwrap();
    queue.unbegin(lease).await.unwrap();
    note("heartbeat, begin, unbegin");
    assert_eq!(queue.open_turns(&main.channel, 10).await.unwrap().len(), 3);
    note("open_turns");
    assert_eq!(queue.lanes().await.unwrap(), [aside, main.clone()]);
    note("lanes");
    assert_eq!(queue.depths().await.unwrap(), [(main.channel.clone(), 2)]);
    note("depths");
    queue.release(lease, Spend::default()).await.unwrap();
    note("release");
    queue.claim(&main).await.unwrap().unwrap();
    seen.take();
    queue.expire(Timestamp::UNIX_EPOCH).await.unwrap();
    note("expire");
    queue.recover().await.unwrap();
    note("recover");
    let held = queue.take(&main.channel, "anna", HOUR).await.unwrap().unwrap();
    note("take");
    queue.renew(held.claim.lease, HOUR).await.unwrap();
    queue.held(held.claim.lease.turn).await.unwrap().unwrap();
    note("renew, held");
    assert_eq!(queue.taken().await.unwrap().len(), 1);
    assert_eq!(queue.front(&main.channel, 9).await.unwrap().waiting, 2);
    note("taken, front");
    assert_eq!(queue.lapse(Timestamp::MAX).await.unwrap().len(), 1);
    note("lapse");
}

/// The end of that turn, and its effects.
async fn end(queue: &SqliteQueue, seen: &Seen, ran: &mut Ran) {
    let mut note = |name| ran.push((name, seen.take()));
    let main = main();
    let lease = queue.claim(&main).await.unwrap().unwrap().lease;
    let effects = ["a", "b", "a"].map(|target| NewEffect {
        target: target.into(),
        body: json!(1),
    });
    seen.take();
    queue.settle(lease, done(), effects.to_vec()).await.unwrap();
    note("settle");
    assert_eq!(queue.settled(&main.channel, 20).await.unwrap().len(), 20);
    note("settled");
    queue.turn(lease.turn).await.unwrap().unwrap();
    queue.turn_of("home", "1").await.unwrap().unwrap();
    queue.company(lease.turn).await.unwrap();
    note("turn, turn_of, company");
    let due = queue.due(Timestamp::MAX, 9, &[]).await.unwrap();
    note("due");
    queue.next_due(&[]).await.unwrap().unwrap();
    note("next_due");
    assert_eq!(queue.left(lease.turn).await.unwrap(), 3);
    assert_eq!(queue.retry(Some(lease.turn)).await.unwrap(), 3);
    note("left, retry");
    queue
        .undelivered(due[0].id, "down", Some(Timestamp::UNIX_EPOCH))
        .await
        .unwrap();
    queue
        .delivered(due.into_iter().map(|effect| effect.id).collect())
        .await
        .unwrap();
    note("undelivered, delivered");
}

/// What a person does to a line.
async fn by_hand(queue: &SqliteQueue, seen: &Seen, ran: &mut Ran) {
    let mut note = |name| ran.push((name, seen.take()));
    let main = main();
    let batch = ["4", "5", "6"].map(|note| message(&main, note)).to_vec();
    let turns = queue.accept(batch, None).await.unwrap();
    let turns: Vec<Uuid> = turns.into_iter().map(|accepted| accepted.turn).collect();
    seen.take();
    let interrupt = Message {
        mode: MessageMode::Interrupt,
        ..message(&main, "7")
    };
    queue.accept(vec![interrupt], None).await.unwrap();
    note("accept of an interrupt");
    queue.hold(turns[0], true).await.unwrap();
    queue.hold(turns[0], false).await.unwrap();
    note("hold");
    queue.reposition(turns[2], Position::First).await.unwrap();
    queue.reposition(turns[2], Position::Before(turns[1])).await.unwrap();
    note("reposition");
    queue.edit(turns[0], json!("edited")).await.unwrap();
    note("edit");
    assert_eq!(queue.place(turns[1]).await.unwrap().unwrap().ahead, 4);
    note("place");
    assert_eq!(queue.waiting(&main.channel, 3).await.unwrap(), 3);
    note("waiting");
    let settlement = Settlement {
        state: State::Cancelled,
        ..done()
    };
    queue.cancel(turns[2], settlement, Vec::new()).await.unwrap();
    note("cancel");
    let pause = Pause {
        code: "person".into(),
        reason: String::new(),
        since: Timestamp::UNIX_EPOCH,
        until: None,
    };
    queue.pause(&main.channel, pause).await.unwrap();
    assert_eq!(queue.claim(&main).await.unwrap(), None);
    assert_eq!(queue.pauses().await.unwrap().len(), 1);
    assert!(queue.resume(&main.channel, &["person"]).await.unwrap());
    note("pause, pauses, resume");
    assert_eq!(queue.reset(&main.channel, Some(&main.thread)).await.unwrap(), 1);
    note("reset of a conversation");
    assert_eq!(queue.today(Timestamp::now(), None).await.unwrap().len(), 1);
    note("today");
    let day = Timestamp::now() - Duration::from_hours(24);
    let ended = queue.period(day, Timestamp::MAX, None).await.unwrap();
    assert_eq!(ended.channels.len(), 1);
    note("period");
}

fn small() -> Lane {
    Lane {
        channel: "small".parse().unwrap(),
        thread: ThreadKey::Main,
    }
}

/// A turn of several messages, in a channel without a history.
async fn shared(queue: &SqliteQueue, seen: &Seen, ran: &mut Ran) {
    let mut note = |name| ran.push((name, seen.take()));
    let small = small();
    let collect = |note: &&str| Message {
        mode: MessageMode::Collect,
        chain: "chain".into(),
        ..message(&small, note)
    };
    let batch = ["c1", "c2", "c3", "c4"].iter().map(collect).collect();
    let turns = queue.accept(batch, None).await.unwrap();
    seen.take();
    let claim = queue.claim(&small).await.unwrap().unwrap();
    assert_eq!((claim.joined.len(), claim.chain.messages), (3, 4));
    note("claim of a shared turn");
    queue.release(claim.lease, Spend::default()).await.unwrap();
    assert_eq!(queue.open_turns(&small.channel, 9).await.unwrap().len(), 4);
    queue.place(turns[1].turn).await.unwrap().unwrap();
    note("release, open_turns, place of a shared turn");
    queue.cancel(turns[0].turn, done(), Vec::new()).await.unwrap();
    note("cancel of a shared turn");
    let lease = queue.claim(&small).await.unwrap().unwrap().lease;
    seen.take();
    queue.settle(lease, done(), Vec::new()).await.unwrap();
    note("settle of a shared turn");
    assert_eq!(queue.reset(&small.channel, None).await.unwrap(), 1);
    note("reset of a channel");
}

/// That channel gets another name, and a conversation is in its way.
async fn names(queue: &SqliteQueue, seen: &Seen, ran: &mut Ran) {
    let mut note = |name| ran.push((name, seen.take()));
    let binding = |channel: &str| Binding {
        vault: "home".into(),
        note: "definition".into(),
        channel: channel.parse().unwrap(),
    };
    let other = Lane {
        channel: "other".parse().unwrap(),
        ..small()
    };
    let batch = vec![message(&small(), "s1"), message(&other, "o1")];
    queue.accept(batch, None).await.unwrap();
    queue.claim(&small()).await.unwrap().unwrap();
    seen.take();
    assert_eq!(queue.bind(vec![binding("small")]).await.unwrap(), []);
    note("bind");
    assert_eq!(queue.bind(vec![binding("other")]).await.unwrap().len(), 1);
    note("bind of another name");
    assert_eq!(queue.conversations(&other.channel).await.unwrap().len(), 2);
    assert_eq!(queue.settled(&other.channel, 9).await.unwrap().len(), 4);
    note("conversations, settled");
    assert_eq!(queue.bindings().await.unwrap(), [binding("other")]);
    queue.unbind("home", "definition").await.unwrap();
    note("bindings, unbind");
}

/// Conversations as people see them.
async fn threads(queue: &SqliteQueue, seen: &Seen, ran: &mut Ran) {
    let mut note = |name| ran.push((name, seen.take()));
    let turn = queue.settled(&main().channel, 1).await.unwrap().remove(0);
    seen.take();
    assert!(queue.label(turn.conversation, None, Some(true)).await.unwrap());
    note("label");
    assert_eq!(queue.listed(vec![turn.conversation]).await.unwrap().len(), 1);
    note("listed");
    assert_eq!(queue.turns_in(turn.conversation, None, 1).await.unwrap().len(), 1);
    note("turns_in");
    assert!(!queue.chain(&turn.message.chain, None, 9).await.unwrap().is_empty());
    queue.descendants(vec![turn.message.chain], 9).await.unwrap();
    note("chain, descendants");
    lists(queue, seen, ran).await;
}

/// Lists of them, each shorter than what there is.
async fn lists(queue: &SqliteQueue, seen: &Seen, ran: &mut Ran) {
    let mut note = |name| ran.push((name, seen.take()));
    let channel = main().channel;
    let all = Listing::default();
    let listings = [
        ("listing", all.clone(), 5),
        (
            "listing of all",
            Listing {
                archived: None,
                ..all.clone()
            },
            5,
        ),
        (
            "listing of a channel",
            Listing {
                channel: Some(channel.clone()),
                ..all.clone()
            },
            5,
        ),
        (
            "listing of what was put away",
            Listing {
                archived: Some(true),
                ..all.clone()
            },
            1,
        ),
        (
            "listing of what works",
            Listing {
                standing: Some(Standing::Working),
                ..all.clone()
            },
            1,
        ),
        (
            "listing of what waits",
            Listing {
                standing: Some(Standing::Queued),
                ..all
            },
            2,
        ),
    ];
    let failed = Listing {
        standing: Some(Standing::Error),
        ..Listing::default()
    };
    assert_eq!(queue.listing(&failed, 5).await.unwrap(), ListedPage::default());
    seen.take();
    for (name, listing, expected) in listings {
        let page = queue.listing(&listing, 5).await.unwrap();
        assert_eq!(page.threads.len(), expected, "{name}");
        note(name);
    }
    let some = queue.some_conversations(&channel, None, 3).await.unwrap().unwrap();
    let after = queue.some_conversations(&channel, Some(some[2].id), 3).await.unwrap();
    assert_eq!(after.unwrap().len(), 3);
    note("some_conversations");
    assert!(queue.is_known(&channel).await.unwrap());
    note("is_known");
    assert!(queue.overview(None).await.unwrap().len() > 1);
    note("overview");
    assert_eq!(queue.overview(Some(&channel)).await.unwrap().len(), 1);
    assert_eq!(queue.today(Timestamp::now(), Some(&channel)).await.unwrap().len(), 1);
    note("overview and today of a channel");
}
