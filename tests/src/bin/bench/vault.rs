//! The embedded vault with many notes: writes, lists, search, memory, start.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::RUNS;
use crate::daemon::{Daemon, NO_SETTINGS, start};
use crate::figure::{Figure, ms};

const NOTES: &str = "/vault/default/api/notes";
/// Agents over which the messages are spread.
const CHANNELS: usize = 100;
/// Words of the made text. Each note has a dozen of them and a number of its own.
const WORDS: [&str; 32] = [
    "harbour", "lantern", "meadow", "quartz", "ribbon", "saddle", "timber", "velvet", "walnut", "anchor", "basket",
    "candle", "dragon", "engine", "falcon", "garden", "hammer", "island", "jacket", "kettle", "ladder", "magnet",
    "needle", "orchid", "pepper", "quiver", "rocket", "silver", "turtle", "umbrella", "violin", "window",
];

/// Nothing random: the same notes in each run.
fn text(number: usize) -> String {
    let words: Vec<&str> = (0..12)
        .map(|place| WORDS[(number * 7 + place * place * 3 + number / 32) % WORDS.len()])
        .collect();
    format!("Note {number} about n{number}x: {}.", words.join(" "))
}

/// Half of the notes are messages of agents, half are plain.
fn note(number: usize) -> Value {
    if number.is_multiple_of(2) {
        json!({"content": text(number), "tags": ["agent/message", "agent/message/outbound"],
               "metadata": {"agent": format!("a{}", number / 2 % CHANNELS), "direction": "outbound", "sender": "session"}})
    } else {
        json!({"content": text(number), "path": format!("Notes/{}/{number}", number % 50), "tags": ["note"]})
    }
}

async fn fill(daemon: &Daemon, http: &reqwest::Client, notes: usize) -> Result<f64> {
    let begin = Instant::now();
    let numbers: Vec<usize> = (0..notes).collect();
    for part in numbers.chunks(500) {
        let batch: Vec<Value> = part.iter().copied().map(note).collect();
        daemon.post(http, NOTES, &json!({ "notes": batch })).await?;
    }
    Ok(ms(begin.elapsed()))
}

async fn reads(daemon: &Daemon, http: &reqwest::Client, notes: usize) -> Result<Vec<Figure>> {
    let last = format!("{NOTES}?tag=agent/message&meta.agent=a7&sort=desc&limit=50&include_content=true");
    let rare = format!("{NOTES}?search=n{}x&limit=20", notes / 2);
    let common = format!("{NOTES}?search=lantern&limit=20");
    let both = format!("{NOTES}?search=lantern%20harbour&tag=agent/message&limit=20");
    let mut figures = Vec::new();
    for (name, path, least) in [
        (
            "last 50 messages of a channel, with text",
            &last,
            50.min(notes / 2 / CHANNELS),
        ),
        ("search, a word of one note", &rare, 1),
        ("search, a common word", &common, 20),
        ("search, two common words with a tag", &both, 1),
    ] {
        let mut values = Vec::new();
        for _ in 0..RUNS * 4 {
            let (answer, took) = daemon.timed(http, path).await?;
            let count = answer.as_array().map_or(0, Vec::len);
            ensure!(count >= least, "{name}: {count} notes, expected {least}");
            values.push(took);
        }
        figures.push(Figure::new(name, "ms", values));
    }
    Ok(figures)
}

/// Messages for a paused agent: what is measured is the note and its place in the queue, and no turn.
async fn accepts(daemon: &Daemon, http: &reqwest::Client) -> Result<Vec<Figure>> {
    let definition = json!({"path": "Agents/paused", "content": "You wait.", "tags": ["agent/definition"],
                            "metadata": {"name": "paused", "paused": "true"}});
    daemon.post(http, NOTES, &definition).await?;
    let (mut noted, mut sent) = (Vec::new(), Vec::new());
    for number in 0..RUNS * 8 {
        let inbound = json!({"content": text(number), "tags": ["agent/message", "agent/message/inbound"],
                             "metadata": {"agent": "paused", "direction": "inbound", "sender": "operator"}});
        let begin = Instant::now();
        daemon.post(http, NOTES, &inbound).await?;
        noted.push(ms(begin.elapsed()));
    }
    for number in 0..RUNS * 8 {
        let begin = Instant::now();
        daemon
            .post(http, "/api/channels/paused/send", &json!({"text": text(number)}))
            .await?;
        sent.push(ms(begin.elapsed()));
    }
    Ok(vec![
        Figure {
            name: "inbound note accepted (one synced commit)".into(),
            unit: "ms",
            values: noted,
        },
        Figure {
            name: "send: noted and in line (two synced commits)".into(),
            unit: "ms",
            values: sent,
        },
    ])
}

/// All figures of the embedded vault.
pub(crate) async fn measure(notes: usize) -> Result<Vec<Figure>> {
    let dir = tempfile::tempdir()?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let (daemon, _) = start(dir.path(), NO_SETTINGS).await?;
    let filled = fill(&daemon, &http, notes).await?;
    drop(daemon);
    let (mut health, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let (daemon, took) = start(dir.path(), NO_SETTINGS).await?;
        health.push(ms(took));
        tokio::time::sleep(Duration::from_secs(1)).await;
        memory.push(daemon.rss()?);
    }
    let (daemon, _) = start(dir.path(), NO_SETTINGS).await?;
    let mut figures = vec![
        Figure {
            name: "all notes written, in batches of 500".into(),
            unit: "ms",
            values: vec![filled],
        },
        Figure {
            name: "start to /health".into(),
            unit: "ms",
            values: health,
        },
        Figure {
            name: "memory after the start".into(),
            unit: "MiB",
            values: memory,
        },
    ];
    figures.extend(accepts(&daemon, &http).await?);
    figures.extend(reads(&daemon, &http, notes).await?);
    figures.push(Figure {
        name: "memory after all of this".into(),
        unit: "MiB",
        values: vec![daemon.rss()?],
    });
    Ok(figures)
}
