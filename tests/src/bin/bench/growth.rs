//! What grows with the number of agents, of messages in line and of turns that have ended: of each figure a value at every
//! size, and how many times more the largest one costs.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use rusqlite::Connection;
use serde_json::json;

use crate::daemon::{Daemon, start};
use crate::figure::{Figure, ms};
use crate::turns::{Stages, ready, settings, single};

/// Agents, of which one is sent to.
const AGENTS: [usize; 4] = [1, 100, 1_000, 10_000];
/// Turns that have ended.
const HISTORY: [u32; 3] = [0, 100_000, 1_000_000];
/// Messages that wait for another agent.
const LINE: [usize; 3] = [0, 1_000, 10_000];
/// How long an idle daemon is looked at.
const IDLE: std::time::Duration = std::time::Duration::from_secs(20);

/// More turns like those that have ended, ten to a conversation.
fn add_history(state: &Path, turns: u32) -> Result<()> {
    if turns == 0 {
        return Ok(());
    }
    let queue = Connection::open(state.join("queue.db"))?;
    let columns = |table: &str, own: &[&str]| -> Result<String> {
        let mut names = queue.prepare("SELECT name FROM pragma_table_info(?)")?;
        let names = names
            .query_map([table], |row| row.get::<_, String>(0))?
            .collect::<Result<Vec<_>, _>>()?;
        let names: Vec<String> = names.into_iter().filter(|name| !own.contains(&name.as_str())).collect();
        Ok(names.iter().map(|name| format!(", o.{name}")).collect())
    };
    let (of_turn, of_conversation) = (
        columns("turns", &["seq", "id", "conversation", "note", "rank"])?,
        columns("conversations", &["seq", "id", "thread"])?,
    );
    let names = |columns: &str| columns.replace("o.", "");
    let script = format!(
        "BEGIN;
         CREATE TEMP TABLE n AS WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {turns}) SELECT n FROM n;
         INSERT INTO conversations (id, thread{})
             SELECT cast(printf('c%015d', n) AS BLOB), 'single:old' || n{of_conversation}
             FROM n, (SELECT * FROM conversations ORDER BY seq LIMIT 1) AS o WHERE n % 10 = 0;
         INSERT INTO turns (id, conversation, note, rank{})
             SELECT cast(printf('t%015d', n) AS BLOB), cast(printf('c%015d', (n + 9) / 10 * 10) AS BLOB), 'old' || n, 0{of_turn}
             FROM n, (SELECT * FROM turns WHERE state = 'ok' ORDER BY seq LIMIT 1) AS o;
         DROP TABLE n;
         COMMIT;",
        names(&of_conversation),
        names(&of_turn),
    );
    queue.execute_batch(&script)?;
    let kept: u32 = queue.query_row("SELECT count(*) FROM turns", [], |row| row.get(0))?;
    ensure!(kept >= turns, "{kept} turns instead of {turns}");
    Ok(())
}

/// The figures of one size.
struct Point {
    size: String,
    stages: Stages,
    more: Vec<(&'static str, &'static str, f64)>,
}

/// A row for every size, and what the last one costs in the first one's measure.
fn rows(over: &str, points: &[Point]) -> Vec<Figure> {
    let mut figures = Vec::new();
    let mut row = |name: &str, unit, values: Vec<(&str, Vec<f64>)>| {
        let (mut first, mut last) = (f64::NAN, f64::NAN);
        for (at, (size, values)) in values.into_iter().enumerate() {
            let figure = Figure::new(format!("{size} {over}: {name}"), unit, values);
            last = figure.at(0.5);
            if at == 0 {
                first = last;
            }
            figures.push(figure);
        }
        figures.push(Figure::new(
            format!("growth over {over}: {name}"),
            "x",
            vec![last / first],
        ));
    };
    type Pick = fn(&Stages) -> &Vec<f64>;
    let picks: [(&str, Pick); 4] = [
        ("accepted durably", |stages| &stages.accept),
        ("accepted to the child's start", |stages| &stages.start),
        ("result to reply note", |stages| &stages.deliver),
        ("whole turn", |stages| &stages.whole),
    ];
    for (name, pick) in picks {
        let values = points.iter().map(|point| (&*point.size, pick(&point.stages).clone()));
        row(name, "ms", values.collect());
    }
    for at in 0..points.first().map_or(0, |point| point.more.len()) {
        let (name, unit, _) = points[0].more[at];
        let values = points.iter().map(|point| (&*point.size, vec![point.more[at].2]));
        row(name, unit, values.collect());
    }
    figures
}

async fn over_agents(http: &reqwest::Client, turns: usize) -> Result<Vec<Figure>> {
    let mut points = Vec::new();
    for agents in AGENTS {
        let dir = tempfile::tempdir()?;
        drop(ready(dir.path(), http, agents).await?);
        // One start to write down what was learned, then the one that is measured.
        drop(start(dir.path(), &settings()?).await?);
        let (daemon, healthy) = start(dir.path(), &settings()?).await?;
        let live = daemon.live(http, agents).await?;
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        let (memory, before) = (daemon.rss()?, daemon.cpu()?);
        tokio::time::sleep(IDLE).await;
        let idle = 100.0 * (daemon.cpu()? - before) / ms(IDLE);
        points.push(Point {
            size: agents.to_string(),
            stages: single(&daemon, http, turns).await?,
            more: vec![
                ("start to /health", "ms", ms(healthy)),
                ("start to all agents", "ms", live),
                ("memory, idle", "MiB", memory),
                ("processor, idle", "% of a core", idle),
            ],
        });
    }
    Ok(rows("agents", &points))
}

async fn over_history(http: &reqwest::Client, turns: usize) -> Result<Vec<Figure>> {
    let mut points = Vec::new();
    for history in HISTORY {
        let dir = tempfile::tempdir()?;
        let daemon = ready(dir.path(), http, 1).await?;
        single(&daemon, http, 1).await?;
        daemon.stop().await?;
        add_history(dir.path(), history)?;
        let (daemon, healthy) = start(dir.path(), &settings()?).await?;
        let stages = single(&daemon, http, turns).await?;
        let (_, page) = daemon.timed(http, "/api/channels/a0/messages?limit=50").await?;
        let (_, listed) = daemon.timed(http, "/api/threads?limit=50").await?;
        let (_, statistics) = daemon.timed(http, "/api/statistics?days=14").await?;
        points.push(Point {
            size: history.to_string(),
            stages,
            more: vec![
                ("start to /health", "ms", ms(healthy)),
                ("memory", "MiB", daemon.rss()?),
                ("GET messages, 50", "ms", page),
                ("GET threads, 50", "ms", listed),
                ("GET statistics of 14 days", "ms", statistics),
            ],
        });
    }
    Ok(rows("ended turns", &points))
}

async fn fill(daemon: &Daemon, http: &reqwest::Client, line: usize) -> Result<()> {
    daemon
        .post(http, "/api/agents/a1/pause", &json!({ "reason": "measured" }))
        .await?;
    let notes: Vec<_> = (0..line)
        .map(|n| {
            json!({ "path": format!("Inbox/{n}"), "content": "wait", "tags": ["agent/message/inbound"],
                    "metadata": { "agent": "a1", "sender": "bench" } })
        })
        .collect();
    for part in notes.chunks(500) {
        daemon
            .post(http, "/vault/default/api/notes", &json!({ "notes": part }))
            .await?;
    }
    daemon.waiting(http, "a1", line).await
}

async fn over_line(http: &reqwest::Client, turns: usize) -> Result<Vec<Figure>> {
    let mut points = Vec::new();
    for line in LINE {
        let dir = tempfile::tempdir()?;
        let daemon = ready(dir.path(), http, 2).await?;
        fill(&daemon, http, line).await.context("filling the line")?;
        points.push(Point {
            size: line.to_string(),
            stages: single(&daemon, http, turns).await?,
            more: vec![("memory", "MiB", daemon.rss()?)],
        });
    }
    Ok(rows("messages in another agent's line", &points))
}

/// Each figure at every size.
pub(crate) async fn measure(turns: usize) -> Result<Vec<Figure>> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let mut figures = over_agents(&http, turns).await?;
    figures.extend(over_history(&http, turns).await?);
    figures.extend(over_line(&http, turns).await?);
    Ok(figures)
}
