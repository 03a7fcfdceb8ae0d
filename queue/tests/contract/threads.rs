//! Conversations as people see them, and turns by where they belong.

use pretty_assertions::assert_eq;
use reveille_queue::{Listed, Listing, Message, Queue, Standing, State, Turn};
use uuid::Uuid;

use crate::support::{Factory, accept, cancelled, claim, done, lane, message, run, subject};

fn notes(turns: &[Turn]) -> Vec<&str> {
    turns.iter().map(|turn| turn.message.note.as_str()).collect()
}

/// The newest notes of conversations.
fn newest(listed: &[Listed]) -> Vec<&str> {
    listed.iter().map(|one| one.turn.message.note.as_str()).collect()
}

async fn listed(queue: &impl Queue, listing: Listing) -> Vec<Listed> {
    let page = queue.listing(&listing, 100).await.unwrap();
    assert_eq!(page.next, None);
    page.threads
}

pub(crate) async fn conversations_are_listed_by_what_happened_last<F: Factory>(storage: &F) {
    let queue = storage.open();
    let (main, aside, other) = (lane("eng"), subject("eng", "aside"), lane("ops"));
    accept(&queue, &main, &["1"]).await;
    accept(&queue, &aside, &["2"]).await;
    accept(&queue, &other, &["3"]).await;
    accept(&queue, &main, &["4"]).await;
    let all = listed(&queue, Listing::default()).await;
    assert_eq!(newest(&all), ["4", "3", "2"]);
    let eng = Listing {
        channel: Some(main.channel.clone()),
        ..Listing::default()
    };
    assert_eq!(newest(&listed(&queue, eng).await), ["4", "2"]);

    let mut seen = Vec::new();
    let mut listing = Listing::default();
    loop {
        let page = queue.listing(&listing, 1).await.unwrap();
        seen.extend(newest(&page.threads).iter().map(ToString::to_string));
        match page.next {
            Some(next) => listing.before = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, ["4", "3", "2"]);
    let ids = all
        .iter()
        .map(|one| one.conversation.id)
        .chain([Uuid::new_v4()])
        .collect();
    assert_eq!(queue.listed(ids).await.unwrap(), all);
    let conversations = queue.conversations(&aside.channel).await.unwrap();
    assert_eq!(
        [&all[0].conversation, &all[2].conversation],
        [&conversations[0], &conversations[1]]
    );
}

pub(crate) async fn a_conversation_stands_as_its_turns_do<F: Factory>(storage: &F) {
    let queue = storage.open();
    let main = lane("eng");
    let standing = async || listed(&queue, Listing::default()).await[0].standing;
    let of = async |standing| {
        let listing = Listing {
            standing: Some(standing),
            ..Listing::default()
        };
        listed(&queue, listing).await.len()
    };
    let turns = accept(&queue, &main, &["1", "2", "3"]).await;
    assert_eq!((standing().await, of(Standing::Queued).await), (Standing::Queued, 1));
    let first = claim(&queue, &main).await.lease;
    assert_eq!((standing().await, of(Standing::Queued).await), (Standing::Working, 0));
    queue.settle(first, done(), Vec::new()).await.unwrap();
    assert_eq!(standing().await, Standing::Queued);
    queue.cancel(turns[1], cancelled(), Vec::new()).await.unwrap();
    let third = claim(&queue, &main).await.lease;
    let mut failed = done();
    failed.state = State::Error;
    queue.settle(third, failed, Vec::new()).await.unwrap();
    assert_eq!((standing().await, of(Standing::Error).await), (Standing::Error, 1));
    accept(&queue, &main, &["4"]).await;
    run(&queue, &main, Vec::new()).await;
    assert_eq!((standing().await, of(Standing::Idle).await), (Standing::Idle, 1));
}

pub(crate) async fn a_label_stays_until_it_is_changed<F: Factory>(storage: &F) {
    let queue = storage.open();
    let main = lane("eng");
    accept(&queue, &main, &["1"]).await;
    accept(&queue, &subject("eng", "aside"), &["2"]).await;
    let id = queue.conversations(&main.channel).await.unwrap()[0].id;
    let hostile = "'; DROP TABLE turns; -- \u{202e}\u{1F980} 'x".to_owned();
    assert!(queue.label(id, Some(Some(hostile.clone())), None).await.unwrap());
    assert!(queue.label(id, None, Some(true)).await.unwrap());
    assert!(!queue.label(Uuid::new_v4(), Some(None), Some(true)).await.unwrap());
    drop(queue);

    let queue = storage.open();
    run(&queue, &main, Vec::new()).await;
    accept(&queue, &main, &["3"]).await;
    let of = async |archived| {
        let listing = Listing {
            archived,
            ..Listing::default()
        };
        listed(&queue, listing).await
    };
    assert_eq!(newest(&of(Some(false)).await), ["2"]);
    let away = of(Some(true)).await;
    assert_eq!(
        (newest(&away), &away[0].title, away[0].archived),
        (vec!["3"], &Some(hostile), true)
    );
    assert_eq!(of(None).await.len(), 2);
    assert!(queue.label(id, Some(None), Some(false)).await.unwrap());
    let back = queue.listed(vec![id]).await.unwrap();
    assert_eq!((&back[0].title, back[0].archived), (&None, false));
}

pub(crate) async fn turns_are_found_by_their_chain_and_their_conversation<F: Factory>(storage: &F) {
    let queue = storage.open();
    let (main, other) = (lane("eng"), lane("ops"));
    let of = |lane, note, chain: &str| Message {
        chain: chain.to_owned(),
        ..message(lane, note)
    };
    let batch = vec![
        of(&main, "1", "1"),
        of(&main, "2", "2"),
        of(&other, "3", "1"),
        of(&main, "4", "1"),
        of(&other, "5", "2"),
    ];
    let turns = queue.accept(batch, None).await.unwrap();
    let chain = queue.chain("1", None, 10).await.unwrap();
    assert_eq!(notes(&chain), ["1", "3", "4"]);
    assert_eq!(notes(&queue.chain("1", Some(chain[0].id), 1).await.unwrap()), ["3"]);
    assert_eq!(queue.chain("' OR 1", None, 10).await.unwrap(), []);
    let chains = ["1", "2", "\"],[\""].map(str::to_owned).to_vec();
    assert_eq!(notes(&queue.descendants(chains, 10).await.unwrap()), ["3", "4", "5"]);
    assert_eq!(queue.descendants(Vec::new(), 10).await.unwrap(), []);

    let conversation = chain[0].conversation;
    assert_eq!(
        notes(&queue.turns_in(conversation, None, 10).await.unwrap()),
        ["4", "2", "1"]
    );
    let before = queue.turns_in(conversation, Some(turns[3].turn), 1).await.unwrap();
    assert_eq!(notes(&before), ["2"]);
    assert_eq!(queue.turns_in(Uuid::new_v4(), None, 10).await.unwrap(), []);
}
