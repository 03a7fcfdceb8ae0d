use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::FutureExt as _;
use pretty_assertions::assert_eq;
use reveille_backends::Event;
use uuid::Uuid;

use super::line::{BYTES_MAX, FRAMES_MAX, TURN_FRAMES};
use super::{Chunk, Happening, Hub, Milestone, Scope, Step, Subject, Watch};

fn of(channel: &str, turn: u128) -> Subject {
    Subject {
        channel: channel.into(),
        turn: Uuid::from_u128(turn),
        thread: Uuid::nil(),
        message: "n".into(),
    }
}

fn subject(turn: u128) -> Subject {
    of("eng", turn)
}

fn delta(text: &str) -> Happening {
    Happening::Turn(Event::TextDelta { text: text.into() })
}

fn text(text: &str) -> Happening {
    Happening::Turn(Event::Text {
        text: text.into(),
        parent: None,
    })
}

const STOPPED: Happening = Happening::About(Milestone::Stopped {});

/// Everything that is there for a watcher, and whether it was too slow for more.
fn drain(watch: &mut Watch) -> (String, bool) {
    let mut seen = String::new();
    loop {
        match watch.take() {
            Some(Step::Events(chunk)) => seen.push_str(std::str::from_utf8(chunk.bytes()).unwrap()),
            Some(Step::Gone) => seen.push_str("id: b-0\n"),
            Some(Step::Lagged) => return (seen, true),
            None => return (seen, false),
        }
    }
}

/// The numbers of the events that are there; the watcher is not behind.
fn seqs(watch: &mut Watch) -> Vec<u64> {
    let (seen, lagged) = drain(watch);
    assert!(!lagged, "after {seen}");
    numbers(&seen)
}

fn numbers(seen: &str) -> Vec<u64> {
    let ids = seen.lines().filter_map(|line| line.strip_prefix("id: b-"));
    ids.map(|id| id.parse().unwrap()).collect()
}

fn only(names: &[&str]) -> Scope {
    Scope::Channels(names.iter().map(ToString::to_string).collect::<BTreeSet<_>>())
}

#[test]
fn a_frame_names_its_turn_and_number() {
    let hub = Hub::new("b");
    let mut watch = hub.watch("eng", None);
    hub.tell(&subject(7), &text("hi"));
    let (sent, _) = drain(&mut watch);
    let data: serde_json::Value = serde_json::from_str(sent.split("data: ").nth(1).unwrap().trim()).unwrap();
    assert!(
        sent.starts_with("id: b-1\nevent: turn\ndata: {\"seq\":1,\"channel\":\"eng\","),
        "{sent}"
    );
    assert_eq!(
        (&data["kind"], &data["text"], &data["message"]),
        (&"text".into(), &"hi".into(), &"n".into())
    );
}

#[test]
fn a_late_watcher_gets_the_running_turns_without_settled_pieces() {
    let hub = Hub::new("b");
    hub.tell(&subject(1), &text("old"));
    hub.tell(&subject(1), &STOPPED);
    for happening in [delta("a"), delta("b"), text("ab"), delta("c")] {
        hub.tell(&subject(2), &happening);
    }
    hub.tell(&of("ops", 3), &text("x"));
    hub.tell(&subject(4), &delta("d"));
    hub.tell(&subject(2), &delta("e"));
    let mut watch = hub.watch("eng", None);
    assert_eq!((seqs(&mut watch), watch.resync), (vec![5, 6, 8, 9], false));
    assert_eq!(seqs(&mut hub.watch_all(Scope::All, None)), [5, 6, 7, 8, 9]);
    assert_eq!(seqs(&mut hub.watch_all(only(&["ops", "nobody"]), None)), [7]);
}

#[test]
fn a_watcher_that_comes_back_gets_exactly_what_it_missed() {
    let hub = Hub::new("b");
    for n in 0..10 {
        hub.tell(&subject(1), &delta(&n.to_string()));
        hub.tell(&of("ops", 2), &delta(&n.to_string()));
    }
    let mut watch = hub.watch("eng", Some("b-14"));
    assert_eq!((seqs(&mut watch), watch.resync), (vec![15, 17, 19], false));
    let mut watch = hub.watch_all(Scope::All, Some("b-17"));
    assert_eq!((seqs(&mut watch), watch.resync), (vec![18, 19, 20], false));
    let mut watch = hub.watch_all(only(&["ops"]), Some("b-17"));
    assert_eq!((seqs(&mut watch), watch.resync), (vec![18, 20], false));
    let mut watch = hub.watch("eng", Some("b-20"));
    assert_eq!((seqs(&mut watch), watch.resync), (vec![], false));
}

#[test]
fn of_agents_nothing_is_kept_before_somebody_watches() {
    let hub = Hub::new("b");
    hub.agent_changed("eng");
    assert!(hub.line().channels.is_empty());
    let mut all = hub.watch_all(Scope::All, None);
    hub.agent_changed("eng");
    assert_eq!((seqs(&mut all), all.resync), (vec![1], false));
    let mut back = hub.watch_all(Scope::All, Some("b-0"));
    assert_eq!((seqs(&mut back), back.resync), (vec![1], false));
}

#[test]
fn what_is_told_of_an_agent_is_seen_beside_its_turns_where_that_was_asked_for() {
    let hub = Hub::new("b");
    let (mut turns, mut all, mut ops) = (
        hub.watch("eng", None),
        hub.watch_all(Scope::All, None),
        hub.watch_all(only(&["ops"]), None),
    );
    hub.agent_changed("eng");
    hub.tell(&subject(1), &text("x"));
    hub.agent_removed("eng");
    assert_eq!((seqs(&mut turns), seqs(&mut ops)), (vec![2], vec![]));
    let (seen, _) = drain(&mut all);
    assert_eq!(numbers(&seen), [1, 2, 3]);
    assert!(
        seen.starts_with("id: b-1\nevent: agent\ndata: {\"seq\":1,\"channel\":\"eng\",\"at\":"),
        "{seen}"
    );
    assert!(
        seen.contains("\"kind\":\"changed\"}") && seen.contains("\"kind\":\"removed\"}"),
        "{seen}"
    );
}

#[test]
fn a_watcher_that_missed_too_much_is_told_to_reload_and_only_that_one() {
    let hub = Hub::new("b");
    hub.tell(&of("quiet", 9), &text("first"));
    hub.tell(&of("quiet", 9), &STOPPED);
    for n in 0..FRAMES_MAX + 10 {
        hub.tell(&subject(1), &delta(&n.to_string()));
    }
    hub.tell(&subject(1), &STOPPED);
    let resync = |mut watch: Watch| (seqs(&mut watch), watch.resync);
    for last in ["b-3", "other-400", "b-99999999", "nonsense", ""] {
        assert_eq!(resync(hub.watch("eng", Some(last))), (vec![], true), "{last}");
        assert_eq!(resync(hub.watch_all(Scope::All, Some(last))), (vec![], true), "{last}");
    }
    // It had seen all of that channel; what is gone was never for it.
    assert_eq!(resync(hub.watch("quiet", Some("b-2"))), (vec![], false));
    assert_eq!(resync(hub.watch_all(only(&["quiet"]), Some("b-2"))), (vec![], false));
    assert_eq!(resync(hub.watch("quiet", Some("b-1"))), (vec![], true));
}

#[test]
fn a_watcher_that_does_not_take_what_comes_is_told_and_keeps_no_memory() {
    let hub = Hub::new("b");
    let mut slow = hub.watch("eng", None);
    let mut other = hub.watch("ops", None);
    let big = "x".repeat(1 << 20);
    let mut quick = hub.watch("eng", None);
    for _ in 0..100 {
        hub.tell(&subject(1), &text(&big));
        assert_eq!(seqs(&mut quick).len(), 1);
    }
    assert_eq!(drain(&mut slow), (String::new(), true));
    assert_eq!(drain(&mut other), (String::new(), false));
    let line = hub.line();
    let held: usize = line.all.iter().map(|frame| frame.chunk.len()).sum();
    assert!(held <= BYTES_MAX, "{held}");
    let own: usize = line.channels["eng"].frames.iter().map(|frame| frame.chunk.len()).sum();
    assert_eq!(own, held);
    // Only the line and the running turn hold them.
    let mut counts: Vec<_> = line.all.iter().map(Arc::strong_count).collect();
    counts.dedup();
    assert!(counts.iter().all(|count| *count <= 3), "{counts:?}");
}

#[test]
fn a_replay_goes_on_when_its_turn_ends_meanwhile() {
    let hub = Hub::new("b");
    let piece = "x".repeat(10 << 10);
    for _ in 0..20 {
        hub.tell(&subject(1), &delta(&piece));
        hub.tell(&subject(2), &text(&piece));
    }
    let mut watch = hub.watch("eng", None);
    let Some(Step::Events(begun)) = watch.take() else {
        panic!("a running turn");
    };
    hub.tell(&subject(2), &STOPPED);
    hub.tell(&subject(1), &STOPPED);
    let (rest, lagged) = drain(&mut watch);
    let seen = numbers(&(String::from_utf8(begun.bytes().to_vec()).unwrap() + &rest));
    assert_eq!((seen, lagged), ((1..=42).collect(), false));
}

/// So much, in some small and many large events, that the line has nothing else.
fn flood(hub: &Hub, turn: &Subject) {
    let big = "x".repeat(1 << 20);
    for _ in 0..=BYTES_MAX >> 20 {
        hub.tell(turn, &text(&big));
    }
}

#[test]
fn a_replay_whose_turn_ends_misses_nothing_of_what_was_gone_before() {
    for scope in [Scope::Turns("eng".into()), Scope::All] {
        let hub = Hub::new("b");
        hub.tell(&subject(1), &text("long ago"));
        hub.tell(&subject(1), &STOPPED);
        flood(&hub, &of("ops", 9));
        hub.tell(&of("ops", 9), &STOPPED);
        let gone = hub.line().newest;
        assert!(hub.line().channels["eng"].lost_of_turns > 0);
        for _ in 0..5 {
            hub.tell(&subject(2), &text(&"x".repeat(20 << 10)));
        }
        let mut watch = match &scope {
            Scope::Turns(name) => hub.watch(name, None),
            _ => hub.watch_all(Scope::All, Some("b-1")),
        };
        let Some(Step::Events(begun)) = watch.take() else {
            panic!("a running turn");
        };
        hub.tell(&subject(2), &STOPPED);
        let (rest, lagged) = drain(&mut watch);
        let seen = numbers(&(String::from_utf8(begun.bytes().to_vec()).unwrap() + &rest));
        let all: Vec<u64> = (gone + 1..=gone + 6).collect();
        assert_eq!((seen, lagged), (all, false), "{scope:?}");
    }
}

#[test]
fn a_replay_that_lost_something_is_told_so_and_goes_on_and_the_second_time_it_ends() {
    let hub = Hub::new("b");
    let begin = |turn: u128| {
        for _ in 0..5 {
            hub.tell(&subject(turn), &text(&"x".repeat(20 << 10)));
        }
    };
    begin(1);
    let mut quick = hub.watch("eng", None);
    let mut slow = hub.watch("eng", None);
    for watch in [&mut quick, &mut slow] {
        assert!(matches!(watch.take(), Some(Step::Events(_))));
    }
    hub.tell(&subject(1), &STOPPED);
    flood(&hub, &subject(2));
    for watch in [&mut quick, &mut slow] {
        assert!(matches!(watch.take(), Some(Step::Gone)), "told to read again");
    }
    // The turn that runs now, and then what is new.
    let running = seqs(&mut quick);
    assert_eq!(running.last(), Some(&hub.line().newest), "{running:?}");
    hub.tell(&subject(2), &STOPPED);
    assert_eq!(seqs(&mut quick), [hub.line().newest]);
    flood(&hub, &subject(3));
    assert_eq!(drain(&mut slow), (String::new(), true));
}

#[test]
fn of_a_very_long_turn_a_late_watcher_gets_the_end() {
    let hub = Hub::new("b");
    let all = u64::try_from(TURN_FRAMES).unwrap() + 5;
    for n in 0..all {
        hub.tell(&subject(1), &delta(&n.to_string()));
    }
    assert_eq!(seqs(&mut hub.watch("eng", None)), (6..=all).collect::<Vec<_>>());
}

#[test]
fn what_goes_back_in_line_is_forgotten() {
    let hub = Hub::new("b");
    hub.tell(&subject(1), &text("begun"));
    hub.forget("eng", Uuid::from_u128(1));
    assert_eq!(seqs(&mut hub.watch("eng", None)), Vec::<u64>::new());
}

#[test]
fn channels_that_were_only_watched_leave_nothing_behind() {
    let hub = Hub::new("b");
    let first = hub.watch("one", None);
    let second = hub.watch("two", None);
    assert_eq!((hub.watchers("one"), hub.watchers("three")), (1, 0));
    drop((first, second));
    let third = hub.watch("three", None);
    assert_eq!(hub.line().channels.keys().collect::<Vec<_>>(), ["three"]);
    drop(third);
}

#[test]
fn a_waiting_watcher_is_woken() {
    for scope in [None, Some(Scope::All)] {
        let hub = Hub::new("b");
        let mut watch = match scope {
            None => hub.watch("eng", None),
            Some(scope) => hub.watch_all(scope, None),
        };
        assert!(watch.next().now_or_never().is_none());
        hub.tell(&subject(1), &text("x"));
        assert!(matches!(watch.next().now_or_never(), Some(Step::Events(_))));
        assert!(watch.next().now_or_never().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn pieces_of_a_text_are_told_together_and_nothing_is_told_before_them() {
    let hub = Hub::new("b").paced();
    let mut watch = hub.watch("eng", None);
    let texts = |watch: &mut Watch| -> Vec<String> {
        let (seen, _) = drain(watch);
        let data = seen.lines().filter_map(|line| line.strip_prefix("data: "));
        data.map(|data| {
            let data: serde_json::Value = serde_json::from_str(data).unwrap();
            format!("{} {} {}", data["seq"], data["kind"], data["text"])
        })
        .collect()
    };
    for piece in ["a", "b", "c"] {
        hub.tell(&subject(1), &delta(piece));
    }
    assert_eq!(texts(&mut watch), [r#"1 "text_delta" "a""#]);
    let begun = tokio::time::Instant::now();
    let Step::Events(told) = watch.next().await else {
        panic!("an event");
    };
    assert!(std::str::from_utf8(told.bytes()).unwrap().contains(r#""text":"bc""#));
    // One more watcher, and the clock's milliseconds.
    let (took, least) = (begun.elapsed(), super::pace::FRAME);
    assert!(
        took >= least && took <= least + std::time::Duration::from_millis(1),
        "{took:?}"
    );
    hub.tell(&subject(1), &delta("d"));
    hub.tell(&of("ops", 2), &delta("x"));
    assert_eq!(texts(&mut watch), [""; 0]);
    // A running turn has told what it has told; the rest comes with what follows.
    assert_eq!(seqs(&mut hub.watch("eng", None)), [1, 2]);
    hub.tell(&subject(1), &text("abcd"));
    assert_eq!(texts(&mut watch), [r#"4 "text_delta" "d""#, r#"5 "text" "abcd""#]);
    // The next text of the turn begins at once, and what nobody needs any more is not told.
    hub.tell(&subject(1), &delta("e"));
    hub.tell(&subject(1), &delta("f"));
    hub.forget("eng", Uuid::from_u128(1));
    tokio::time::sleep(10 * super::pace::FRAME).await;
    assert_eq!(texts(&mut watch), [r#"6 "text_delta" "e""#]);
    assert_eq!(seqs(&mut hub.watch_all(only(&["ops"]), None)), [3]);
}

#[test]
fn watchers_that_are_as_far_get_the_same_bytes_and_others_what_they_lack() {
    let hub = Hub::new("b");
    let taken = |watch: &mut Watch| match watch.take() {
        Some(Step::Events(chunk)) => chunk,
        other => panic!("{other:?} instead of events"),
    };
    let mut one = hub.watch("eng", None);
    let (mut two, mut late, mut all) = (
        hub.watch("eng", None),
        hub.watch("eng", None),
        hub.watch_all(Scope::All, None),
    );
    for watch in [&mut one, &mut two, &mut late, &mut all] {
        assert!(watch.take().is_none());
    }
    hub.tell(&subject(1), &text("a"));
    hub.tell(&of("ops", 2), &text("o"));
    let first = taken(&mut late);
    hub.tell(&subject(1), &text("b"));
    let both = taken(&mut one);
    // The same place in memory.
    assert_eq!(both.bytes().as_ptr(), taken(&mut two).bytes().as_ptr());
    let alone = taken(&mut late);
    let ids = |chunk: &Chunk| numbers(std::str::from_utf8(chunk.bytes()).unwrap());
    assert_eq!((ids(&both), ids(&first), ids(&alone)), (vec![1, 3], vec![1], vec![3]));
    assert_eq!(ids(&taken(&mut all)), [1, 2, 3]);
    // What came after they were taken together is not forgotten.
    hub.tell(&subject(1), &text("c"));
    hub.tell(&subject(1), &text("d"));
    let before = taken(&mut one);
    hub.tell(&subject(1), &text("e"));
    assert_eq!(
        (ids(&before), seqs(&mut two), seqs(&mut one)),
        (vec![4, 5], vec![4, 5, 6], vec![6])
    );
}
