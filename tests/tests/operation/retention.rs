//! What `[retention]` removes of conversations, and what it never touches.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{LIMIT, Sent, State};
use reveille_tests::{Daemon, eventually};
use serde_json::json;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn home(daemon: &Daemon, agent: &str) -> Result<PathBuf> {
    let all = daemon.journal()?.conversations;
    let one = all.iter().find(|one| one.channel == agent).context("a conversation")?;
    Ok(daemon.state_dir().join("conversations").join(one.id.to_string()))
}

/// The transcripts of a conversation, sorted.
fn transcripts(home: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for project in std::fs::read_dir(home.join("home/.claude/projects"))? {
        for file in std::fs::read_dir(project?.path())? {
            found.push(file?.path());
        }
    }
    found.sort();
    Ok(found)
}

fn aged(path: &Path, age: Duration) -> Result<()> {
    Ok(std::fs::File::options()
        .append(true)
        .open(path)?
        .set_modified(SystemTime::now() - age)?)
}

/// What has ended of an agent did so that many days earlier.
fn shift_turns(daemon: &Daemon, agent: &str, days: i64) -> Result<()> {
    let db = rusqlite::Connection::open(daemon.state_dir().join("queue.db"))?;
    let sql = "UPDATE turns SET settled_at = settled_at - ?2 * 86400000 WHERE settled_at IS NOT NULL AND channel = ?1";
    ensure!(db.execute(sql, (agent, days))? > 0, "nothing of {agent} has ended");
    Ok(())
}

async fn answered(daemon: &Daemon, agent: &str, text: &str) -> Result<String> {
    let sent = daemon.send(agent, text).await?;
    let turn = daemon.wait_turn(agent, &sent).await?;
    assert_eq!(turn.state, State::Ok, "{turn:?}");
    turn.reply.context("a reply")
}

async fn gone(path: &Path) -> Result<()> {
    let what = format!("{} is gone", path.display());
    eventually(&what, LIMIT, async || Ok((!path.exists()).then_some(()))).await
}

#[tokio::test]
async fn transcripts_go_that_no_conversation_goes_on_with() -> Result<()> {
    let mut daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    answered(&daemon, "eng", "one").await?;
    let home = home(&daemon, "eng")?;
    let over = transcripts(&home)?;
    assert_eq!(over.len(), 1);
    assert_eq!(daemon.run(["agent", "reset", "eng"]).await?.code, 0);
    answered(&daemon, "eng", "one, anew").await?;
    let present: Vec<PathBuf> = transcripts(&home)?
        .into_iter()
        .filter(|file| !over.contains(file))
        .collect();
    assert_eq!(present.len(), 1);
    // Neither is young; one of another name is nobody's, and what a link leads to is not the agent's.
    let (other, outside) = (
        present[0].with_file_name("notes.jsonl"),
        daemon.scratch().join("outside"),
    );
    std::fs::create_dir(&outside)?;
    let behind = outside.join(over[0].file_name().context("a name")?);
    std::fs::write(&other, "{}")?;
    std::fs::write(&behind, "{}")?;
    std::os::unix::fs::symlink(&outside, home.join("home/.claude/projects/link"))?;
    for file in [&over[0], &present[0], &other, &behind] {
        aged(file, 31 * DAY)?;
    }
    daemon.restart().await?;
    gone(&over[0]).await?;
    assert!(present[0].exists() && other.exists() && behind.exists());
    let reply = answered(&daemon, "eng", "two").await?;
    assert!(reply.contains("message 2 "), "{reply}");
    Ok(())
}

/// A daemon that was stopped, with agents of which the first two have rested for eleven days; the second has a message in line.
async fn rested(agents: &[&str]) -> Result<(Daemon, Vec<PathBuf>)> {
    let mut daemon = Daemon::builder().stand_in().start().await?;
    let mut homes = Vec::new();
    for (place, agent) in agents.iter().enumerate() {
        daemon.create_agent(agent, "You help.").await?;
        answered(&daemon, agent, "[[exec echo made > made]]").await?;
        homes.push(home(&daemon, agent)?);
        ensure!(homes[place].join("work/made").exists(), "{agent}");
        if place == 1 {
            assert_eq!(daemon.run(["agent", "pause", agent]).await?.code, 0);
            daemon.send(agent, "[[exec cat made]]").await?;
        }
    }
    daemon.stop().await?;
    for agent in agents.iter().take(2) {
        shift_turns(&daemon, agent, 11)?;
    }
    Ok((daemon, homes))
}

#[tokio::test]
async fn scratch_goes_of_conversations_that_rest_and_of_no_others() -> Result<()> {
    let (mut daemon, homes) = rested(&["old", "waits", "young"]).await?;
    // Unless the operator says so nothing goes.
    daemon.start().await?;
    assert!(answered(&daemon, "young", "again").await?.contains("message 2 "));
    daemon.stop().await?;
    assert!(homes.iter().all(|home| home.join("work/made").exists()));
    let foreign = daemon.state_dir().join("conversations/mine");
    std::fs::create_dir(&foreign)?;
    daemon.set_env("REVEILLE_RETENTION__SCRATCH", "10d");
    daemon.start().await?;
    gone(&homes[0]).await?;
    // It is put aside first; when that is gone too, its session has been let go of.
    let name = homes[0].file_name().context("a name")?.to_string_lossy().into_owned();
    gone(&homes[0].with_file_name(format!(".going-{name}"))).await?;
    assert!(homes[1..].iter().all(|home| home.join("work/made").exists()) && foreign.exists());
    // What was said is kept; the next turn begins anew, without a word about a session that was lost.
    assert_eq!(daemon.messages("old").await?.len(), 2);
    let sent = daemon.send("old", "hello").await?;
    let turn = daemon.wait_turn("old", &sent).await?;
    assert!(turn.reply.context("a reply")?.contains("message 1 "));
    let told = serde_json::to_string(&turn.more)?;
    assert!(!told.contains("anew") && !told.contains("lost"), "{told}");
    assert_eq!(daemon.run(["agent", "resume", "waits"]).await?.code, 0);
    daemon.wait_quiet(LIMIT).await?;
    let said = daemon.messages("waits").await?;
    assert_eq!(
        said.last().map(|one| one.text.trim().ends_with("made")),
        Some(true),
        "{said:?}"
    );
    Ok(())
}

#[tokio::test]
async fn scratch_comes_back_when_the_daemon_dies_before_the_session_was_let_go_of() -> Result<()> {
    let (mut daemon, homes) = rested(&["old"]).await?;
    daemon.set_env("REVEILLE_RETENTION__SCRATCH", "10d");
    daemon.start_doomed("scratch.aside", 1).await?;
    daemon.wait_killed().await?;
    assert!(!homes[0].exists());
    daemon.set_env("REVEILLE_RETENTION__SCRATCH", "forever");
    daemon.start().await?;
    let reply = answered(&daemon, "old", "hello").await?;
    assert!(reply.contains("message 2 "), "{reply}");
    assert!(homes[0].join("work/made").exists());
    let names: Vec<_> = std::fs::read_dir(daemon.state_dir().join("conversations"))?.collect::<Result<_, _>>()?;
    assert_eq!(names.len(), 1, "{names:?}");
    Ok(())
}

/// What `queue.db` still says, in any row or page of it.
fn said(daemon: &Daemon, word: &str) -> Result<bool> {
    let db = rusqlite::Connection::open(daemon.state_dir().join("queue.db"))?;
    let sql = "SELECT count(*) FROM turns WHERE instr(body, ?1) OR instr(coalesce(record, ''), ?1)";
    Ok(db.query_row(sql, [word], |row| row.get::<_, u64>(0))? > 0)
}

#[tokio::test]
async fn the_journal_forgets_what_was_said_and_not_that_it_was() -> Result<()> {
    let mut daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("old", "You help.").await?;
    daemon.create_agent("young", "You help.").await?;
    let mut turns = Vec::new();
    for (agent, word) in [("old", "periwinkle"), ("old", "cornflower"), ("young", "snowdrop")] {
        let sent = daemon.send(agent, &format!("[[reply {word} it is]]")).await?;
        turns.push(daemon.wait_turn(agent, &sent).await?);
    }
    daemon.wait_quiet(LIMIT).await?;
    daemon.stop().await?;
    shift_turns(&daemon, "old", 11)?;
    // Unless the operator says so nothing goes.
    daemon.restart().await?;
    let kept = daemon.turn(&turns[0].turn).await?;
    assert_eq!(kept.reply.as_deref(), Some("periwinkle it is"));
    daemon.stop().await?;
    let db = rusqlite::Connection::open(daemon.state_dir().join("queue.db"))?;
    let sql = "UPDATE turns SET accepted_at = accepted_at - 11 * 86400000 WHERE channel = 'old'";
    ensure!(db.execute(sql, [])? == 2, "two messages");
    drop(db);
    daemon.set_env("REVEILLE_RETENTION__JOURNAL", "10d");
    daemon.start().await?;
    for word in ["periwinkle", "cornflower"] {
        eventually("it is forgotten", LIMIT, async || {
            Ok((!said(&daemon, word)?).then_some(()))
        })
        .await?;
    }
    assert!(said(&daemon, "snowdrop")?);

    // That there was a turn, and what became of it, stays; so do the notes, and none of them has a second turn.
    let after = daemon.turn(&turns[0].turn).await?;
    assert_eq!((after.state, after.cost_usd), (State::Ok, turns[0].cost_usd));
    assert_eq!((after.reply.as_deref(), after.more["text"].as_str()), (None, Some("")));
    let told = after.more["notices"].to_string();
    assert!(told.contains("no longer in the journal"), "{told}");
    let notes = daemon.messages("old").await?;
    assert_eq!(notes.len(), 4, "{notes:?}");
    assert!(notes.iter().any(|one| one.text == "periwinkle it is"), "{notes:?}");
    assert_eq!(daemon.wait_quiet(LIMIT).await?.turns.len(), 3);

    // Sent again it says what its note says. Without the note somebody has to say it.
    let resend = async |turn: &str, body| {
        daemon
            .request(Method::POST, &["api", "turns", turn, "resend"], Some(&body))
            .await
    };
    let again: Sent = resend(&turns[0].turn, json!({})).await?.ok()?;
    let again = daemon.wait_turn("old", &again).await?;
    assert_eq!(again.reply.as_deref(), Some("periwinkle it is"));
    let note = ["vault", "default", "api", "notes", &turns[1].message];
    let gone = daemon.request(Method::DELETE, &note, None).await?;
    ensure!(gone.status < 300, "{gone:?}");
    let refused = resend(&turns[1].turn, json!({})).await?;
    assert_eq!((refused.status, &refused.body["error"]), (409, &json!("forgotten")));
    let again: Sent = resend(&turns[1].turn, json!({ "text": "[[reply so be it]]" }))
        .await?
        .ok()?;
    assert_eq!(
        daemon.wait_turn("old", &again).await?.reply.as_deref(),
        Some("so be it")
    );
    Ok(())
}
