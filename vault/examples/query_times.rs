//! Prints how long queries take on an embedded vault of 100 000 notes:
//! `cargo run --release -p reveille-vault --example query_times [FILE]`. Without FILE the vault is made anew and thrown away.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "it prints for a person, and ends at the first mistake"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reveille_vault::{
    EmbeddedVault, Filter, Metadata, NewNote, OrderBy, Patch, Precondition, Query, Span, TagChange, Vault,
};
use serde_json::json;
use tokio::time::Instant;

const NOTES: usize = 100_000;
const TIMES: usize = 21;

#[tokio::main]
async fn main() {
    let dir = tempfile::tempdir().unwrap();
    let file = std::env::args()
        .nth(1)
        .map_or_else(|| dir.path().join("vault.db"), PathBuf::from);
    let vault = EmbeddedVault::open("bench", &file).unwrap();
    if vault.query(&limited(1)).await.unwrap().notes.is_empty() {
        let start = Instant::now();
        fill(&vault).await;
        println!("{NOTES} notes written in {:?}", start.elapsed());
    }
    let start = Instant::now();
    let fields = json!({ "due": { "indexed": true }, "rank": { "indexed": true } });
    let schema = TagChange {
        fields: fields.as_object().unwrap().clone(),
        ..TagChange::default()
    };
    vault.tags().unwrap().put_tag("agent/message", schema).await.unwrap();
    println!("two fields indexed in {:?}", start.elapsed());
    singles(&vault).await;
    for (name, query) in queries() {
        time(&vault, name, &query).await;
    }
    vault.close().await;
    let start = Instant::now();
    EmbeddedVault::open("bench", &file).unwrap().close().await;
    println!("opened and closed in {:?}, {} MB", start.elapsed(), megabytes(&file));
}

fn megabytes(file: &Path) -> u64 {
    std::fs::metadata(file).unwrap().len() / 1_000_000
}

fn limited(limit: u32) -> Query {
    Query {
        limit: Some(limit),
        ..Query::default()
    }
}

/// About 600 bytes of words from a vocabulary where few are frequent; `every` stands in each note.
fn text(number: usize) -> String {
    let mut state = number as u64 + 1;
    let mut words = vec!["every".to_owned(), format!("only{number}")];
    for _ in 0..80 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let spread = (state >> 33) % 20_000;
        words.push(format!("w{}", spread * spread / 20_000));
    }
    words.join(" ")
}

fn new(number: usize) -> NewNote {
    let fields = json!({
        "agent": format!("agent{}", number % 50), "rank": number * 7919 % NOTES, "plain": number % 1000,
        "due": format!("2026-{:02}-{:02}", number % 12 + 1, number % 28 + 1), "status": if number.is_multiple_of(2) { "open" } else { "done" },
    });
    let metadata: Metadata = fields.as_object().unwrap().clone();
    NewNote {
        path: Some(format!("channel/{}/{number}", number % 50)),
        content: text(number),
        tags: vec![
            "agent/message".into(),
            ["agent/message/inbound", "agent/message/outbound"][number % 2].into(),
            format!("rare{}", number % 2000),
        ],
        metadata,
        ..NewNote::default()
    }
}

async fn fill(vault: &EmbeddedVault) {
    for batch in 0..NOTES / 500 {
        let notes = (batch * 500..(batch + 1) * 500).map(new).collect();
        vault.create_all(notes).await.unwrap();
    }
}

async fn singles(vault: &Arc<EmbeddedVault>) {
    let (mut created, mut patched) = (Vec::new(), Vec::new());
    for number in 0..200 {
        let start = Instant::now();
        let fresh = NewNote {
            path: None,
            ..new(number)
        };
        let note = vault.create(fresh).await.unwrap();
        created.push(start.elapsed());
        let start = Instant::now();
        let key = reveille_vault::Key::Id(note.id);
        let patch = Patch {
            metadata: json!({ "status": "claimed" }).as_object().unwrap().clone(),
            ..Patch::default()
        };
        vault.patch(&key, patch, Precondition::Force).await.unwrap();
        patched.push(start.elapsed());
        vault.delete(&key).await.unwrap();
    }
    print("create one note", 0, created);
    print("patch its metadata", 0, patched);
}

fn print(name: &str, found: usize, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |part: usize| times[(times.len() - 1) * part / 100];
    println!(
        "{name:58} {found:6} notes  p50 {:>10.3?}  max {:>10.3?}",
        at(50),
        at(100)
    );
}

async fn time(vault: &EmbeddedVault, name: &str, query: &Query) {
    let (mut times, mut found) = (Vec::new(), 0);
    for _ in 0..TIMES {
        let start = Instant::now();
        found = vault.query(query).await.unwrap().notes.len();
        times.push(start.elapsed());
    }
    print(name, found, times);
}

fn queries() -> Vec<(&'static str, Query)> {
    let tagged = |tags: &[&str]| Query {
        tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
        descending: true,
        ..limited(50)
    };
    let search = |text: &str| Query {
        search: Some(text.to_owned()),
        ..limited(50)
    };
    let by = |order: OrderBy, query: Query| Query {
        order_by: Some(order),
        ..query
    };
    let agent = |query: Query| Query {
        metadata: vec![("agent".into(), "agent7".into())],
        ..query
    };
    let filter = |field: &str, operator: &str, value: serde_json::Value, query: Query| Query {
        filters: vec![Filter::parse(field, operator, value).unwrap()],
        ..query
    };
    let lately = Span {
        from: Some(jiff::Timestamp::now()),
        to: None,
    };
    let message = ["agent/message"];
    vec![
        ("a channel's last 50", agent(tagged(&message))),
        (
            "a channel's last 50, three tags",
            agent(tagged(&[
                "agent/message",
                "agent/message/inbound",
                "agent/message/outbound",
            ])),
        ),
        ("last 50 by update", by(OrderBy::UpdatedAt, tagged(&message))),
        (
            "last 50 by update, rare tag",
            by(OrderBy::UpdatedAt, tagged(&["rare7"])),
        ),
        (
            "changed since now",
            Query {
                updated: lately,
                ..tagged(&message)
            },
        ),
        ("by path", by(OrderBy::Path, tagged(&message))),
        (
            "by an indexed field",
            by(OrderBy::Field("rank".into()), tagged(&message)),
        ),
        (
            "by an indexed field, rare tag",
            by(OrderBy::Field("rank".into()), tagged(&["rare7"])),
        ),
        ("by agent", by(OrderBy::Field("agent".into()), tagged(&message))),
        (
            "an indexed field equals, few",
            filter("rank", "eq", json!(500), tagged(&message)),
        ),
        (
            "an indexed field is greater, many",
            filter("rank", "gt", json!(500), tagged(&message)),
        ),
        (
            "a field without index equals, 1 of 1000",
            filter("plain", "eq", json!(77), tagged(&message)),
        ),
        (
            "a field without index equals, none",
            filter("plain", "eq", json!("none"), tagged(&message)),
        ),
        ("search: one note has it", search("only777")),
        ("search: a few have it", search("w19000")),
        ("search: many have it", search("w1")),
        ("search: all have it", search("every")),
        ("search: two words, all have one", search("every w1")),
        ("search: three words", search("w1 w2 w3")),
        ("search: prefix of very many words", search("w1*")),
        ("search: prefix, only*", search("only1*")),
        ("search: alternatives", search("every OR w1 OR w2")),
        ("search: no expression", search("only-777")),
        (
            "search: all have it, with a rare tag",
            Query {
                tags: vec!["rare7".into()],
                ..search("every")
            },
        ),
        (
            "search: all have it, with a frequent tag",
            Query {
                tags: vec!["agent/message".into()],
                ..search("every")
            },
        ),
        ("search: all have it, of an agent", agent(search("every"))),
        (
            "search: all have it, newest first",
            Query {
                descending: true,
                ..by(OrderBy::CreatedAt, search("every"))
            },
        ),
        (
            "search: a few have it, newest first",
            by(OrderBy::CreatedAt, search("w19000")),
        ),
    ]
}
