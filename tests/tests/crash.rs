//! The daemon dies at every point of its work. No message is lost, none is answered twice, nothing is left behind.

use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, Journal, LIMIT, Sent, State};
use reveille_tests::{Random, eventually};
use serde_json::{Value, json};

/// All messages of a load, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(180);
const AGENTS: [&str; 3] = ["ann", "ben", "cleo"];

/// What one sender has yet to send to one agent. A letter without an answer is sent again, under the same key.
struct Sender {
    agent: &'static str,
    letters: VecDeque<Letter>,
    /// Notes of the letters that were taken.
    taken: BTreeSet<String>,
}

struct Letter {
    key: String,
    body: Value,
    /// Written as a note of the vault instead of posted to the agent.
    as_note: bool,
}

impl Sender {
    fn new(agent: &'static str) -> Self {
        Self {
            agent,
            letters: VecDeque::new(),
            taken: BTreeSet::new(),
        }
    }

    fn write(&mut self, key: &str, text: &str, as_note: bool) -> &mut Self {
        let (key, body) = (key.to_owned(), json!({"text": text, "sender": "tester"}));
        self.letters.push_back(Letter { key, body, as_note });
        self
    }

    /// Sends until all letters are taken or no answer comes any more.
    async fn send(&mut self, daemon: &Daemon) -> Result<()> {
        while let Some(letter) = self.letters.front() {
            let taken = if letter.as_note {
                daemon.put_message(self.agent, &letter.key, &letter.body).await?
            } else {
                let sent = daemon.send_keyed(self.agent, &letter.key, &letter.body).await?;
                sent.map(|sent| sent.id)
            };
            let Some(note) = taken else { return Ok(()) };
            self.taken.insert(note);
            self.letters.pop_front();
        }
        Ok(())
    }
}

/// All senders at once.
async fn send_all(daemon: &Daemon, senders: &mut [Sender; 3]) -> Result<()> {
    let [a, b, c] = senders;
    tokio::try_join!(a.send(daemon), b.send(daemon), c.send(daemon))?;
    Ok(())
}

async fn daemon_with_agents() -> Result<Daemon> {
    let daemon = Daemon::builder().stand_in().start().await?;
    for agent in AGENTS {
        daemon.create_agent(agent, "You help.").await?;
    }
    Ok(daemon)
}

/// A text whose turn finds out whether anything of another turn of the same agent still lives, and itself leaves a process
/// behind that outlives the child unless somebody ends it.
fn alone(dir: &Path, agent: &str, name: &str) -> String {
    let (lock, alarm) = (dir.join(format!("{agent}.lock")), dir.join("overlaps"));
    let (lock, alarm) = (lock.display(), alarm.display());
    // The lock is held as long as one process has the file open. 75 is what flock says when it is taken.
    let exec = format!(
        "exec 9>{lock}; flock -n -E 75 9; test $? != 75 || echo {agent} {name} >> {alarm}; setsid -f sleep 600"
    );
    format!("[[exec {exec}]] [[slow 5x10ms]] [[reply {agent} {name}]]")
}

fn overlaps(daemon: &Daemon) -> String {
    std::fs::read_to_string(daemon.scratch().join("overlaps")).unwrap_or_default()
}

/// Three messages for each of three agents, one of them with a requester, one of each three written as a note.
fn load(daemon: &Daemon) -> [Sender; 3] {
    AGENTS.map(|agent| {
        let mut sender = Sender::new(agent);
        for (name, as_note) in [("first", false), ("second", true), ("third", false)] {
            sender.write(
                &format!("{agent}-{name}"),
                &alone(&daemon.scratch(), agent, name),
                as_note,
            );
        }
        if agent == "ann" {
            sender.letters[0].body["reply_to"] = "ben".into();
        }
        sender
    })
}

/// Everything that must be so at the end, whatever happened before.
async fn assert_whole(daemon: &mut Daemon, senders: &[Sender; 3], journal: &Journal) -> Result<()> {
    assert_eq!(journal.violations(), Vec::<String>::new());
    let notes: BTreeSet<_> = journal.turns.iter().map(|turn| turn.note.clone()).collect();
    for sender in senders {
        assert_eq!(
            sender.taken.difference(&notes).collect::<Vec<_>>(),
            Vec::<&String>::new()
        );
    }
    assert_eq!(overlaps(daemon), "");
    let status = daemon.stop().await?;
    ensure!(status.success(), "the daemon ended with {status} on SIGTERM");
    assert_eq!(daemon.children()?, Vec::<u32>::new());
    // What a stop writes is not another answer.
    assert_eq!(daemon.journal()?, *journal);
    Ok(())
}

/// Dies at a point of its work, then is started again.
async fn dies_at(point: &str, nth: u32) -> Result<()> {
    dies_at_all(&[(point, nth)]).await
}

/// Dies at a point of its work, is started again, dies at another one, and so on.
async fn dies_at_all(points: &[(&str, u32)]) -> Result<()> {
    let mut daemon = daemon_with_agents().await?;
    daemon.stop().await?;
    let mut senders = load(&daemon);
    for (point, nth) in points {
        daemon.start_doomed(point, *nth).await?;
        send_all(&daemon, &mut senders).await?;
        daemon.wait_killed().await?;
    }
    daemon.start().await?;
    send_all(&daemon, &mut senders).await?;
    let journal = daemon.wait_quiet(PATIENCE).await?;
    let states: Vec<_> = journal
        .turns
        .iter()
        .map(|turn| (turn.state.as_str(), turn.interruptions <= 1))
        .collect();
    // Nine messages and one callback. One interruption is mended.
    assert_eq!(states, [("ok", true); 10], "{:#?}", journal.turns);
    assert_whole(&mut daemon, &senders, &journal).await
}

macro_rules! dies_at {
    ($($name:ident: $point:literal,)+) => {
        /// Where the daemon can be made to die under a load, each with a test below.
        const POINTS: &[&str] = &[$($point),+];
        $(
            #[tokio::test]
            async fn $name() -> Result<()> {
                for nth in [1, 2] {
                    dies_at($point, nth).await.with_context(|| format!("dying at {}:{nth}", $point))?;
                }
                Ok(())
            }
        )+
    };
}

dies_at! {
    dies_with_changes_read: "feed.read",
    dies_with_changes_accepted: "feed.accepted",
    dies_with_a_message_written: "intake.created",
    dies_with_a_message_accepted: "intake.accepted",
    dies_with_a_turn_claimed: "turn.claimed",
    dies_with_a_child_started: "turn.spawned",
    dies_with_the_prompt_about_to_be_given: "turn.begun",
    dies_with_the_prompt_taken: "turn.init",
    dies_in_the_middle_of_an_answer: "turn.text",
    dies_with_a_child_ended: "turn.ran",
    dies_with_a_turn_settled: "turn.settled",
    dies_with_an_effect_written: "outbox.written",
    dies_with_effects_delivered: "outbox.delivered",
}

/// Where it can be made to die besides, each with a test of its own.
const OTHER_POINTS: &[&str] = &[
    "recovery.swept",
    "recovery.requeued",
    "turn.released",
    "agent.created",
    "feed.stamping",
    // In `attached`.
    "attached.reply",
    // In `operation`.
    "layout.taken",
    "layout.written",
    "scratch.aside",
    // In `triggers`.
    "job.created",
    "job.logged",
    "job.sending",
    "job.sent",
    "triggers.told",
];

#[tokio::test]
async fn dies_again_while_it_recovers() -> Result<()> {
    for point in ["recovery.swept", "recovery.requeued"] {
        dies_at_all(&[("turn.text", 1), (point, 1)])
            .await
            .with_context(|| format!("dying at {point}"))?;
    }
    dies_at_all(&[("turn.init", 1), ("recovery.swept", 1), ("recovery.requeued", 1)]).await
}

#[tokio::test]
async fn dies_with_a_turn_back_in_line_while_it_stops() -> Result<()> {
    let mut daemon = daemon_with_agents().await?;
    daemon.set_env("REVEILLE_SERVER__DRAIN", "100ms");
    daemon.stop().await?;
    daemon.start_doomed("turn.released", 1).await?;
    let mut events = daemon.events("ann").await?;
    let mark = daemon.scratch().join("once");
    let mark = mark.display();
    let text = format!("[[exec test -e {mark} || {{ touch {mark}; sleep 600; }}]] [[reply done]]");
    let sent = daemon.send("ann", &text).await?;
    events.until(|event| event.kind() == "tool").await?;
    eventually("it hangs", LIMIT, async || {
        Ok(daemon.scratch().join("once").exists().then_some(()))
    })
    .await?;
    daemon.signal(rustix::process::Signal::TERM)?;
    daemon.wait_killed().await?;
    let states: Vec<_> = daemon.journal()?.turns.into_iter().map(|turn| turn.state).collect();
    assert_eq!(states, ["waiting"]);

    daemon.start().await?;
    let turn = daemon.wait_turn("ann", &sent).await?;
    assert_eq!((turn.state, turn.more["interruptions"].as_u64()), (State::Ok, Some(1)));
    let journal = daemon.wait_quiet(LIMIT).await?;
    assert_whole(&mut daemon, &AGENTS.map(Sender::new), &journal).await
}

/// A definition is in the vault, and nobody has told its author what became of it.
#[tokio::test]
async fn dies_with_a_definition_that_says_nothing() -> Result<()> {
    for point in ["agent.created", "feed.stamping"] {
        let mut daemon = daemon_with_agents().await?;
        // Nothing else is left to be told of.
        eventually("the other definitions say that they count", LIMIT, async || {
            let notes = daemon.journal()?.notes;
            let told = notes.iter().filter(|note| note.text("status") == "enabled").count();
            Ok((told == AGENTS.len()).then_some(()))
        })
        .await?;
        daemon.stop().await?;
        daemon.start_doomed(point, 1).await?;
        let answer = daemon.create_agent("dan", "You help.").await;
        // The note is told of after the answer.
        ensure!(answer.is_err() || point == "feed.stamping", "{point}");
        daemon.wait_killed().await?;
        let said = |journal: &Journal| {
            let note = journal.notes.iter().find(|note| note.text("name") == "dan");
            note.map(|note| note.text("status").to_owned())
        };
        if point == "feed.stamping" {
            assert_eq!(said(&daemon.journal()?).as_deref(), Some(""));
        }

        daemon.start().await?;
        eventually("the definition says that it counts", LIMIT, async || {
            Ok((said(&daemon.journal()?).as_deref() == Some("enabled")).then_some(()))
        })
        .await?;
        let sent = daemon.send("dan", "[[reply here]]").await?;
        assert_eq!(daemon.wait_turn("dan", &sent).await?.reply.as_deref(), Some("here"));
        let journal = daemon.wait_quiet(LIMIT).await?;
        assert_whole(&mut daemon, &AGENTS.map(Sender::new), &journal).await?;
    }
    Ok(())
}

#[test]
fn every_point_has_its_test() -> Result<()> {
    let tested = POINTS.iter().chain(OTHER_POINTS);
    let points = tested.map(|&point| point.to_owned()).collect();
    assert_eq!(reveille_tests::fail_points()?, points);
    Ok(())
}

/// `REVEILLE_TEST_SEED` repeats a run, as far as the machine's own timing allows.
#[tokio::test]
async fn survives_kills_at_random_moments() -> Result<()> {
    let seed = match std::env::var("REVEILLE_TEST_SEED") {
        Ok(seed) => seed.parse().context("REVEILLE_TEST_SEED is a number")?,
        Err(_) => u64::from(std::process::id()),
    };
    println!("REVEILLE_TEST_SEED={seed}");
    let mut random = Random::new(seed);
    let mut daemon = daemon_with_agents().await?;
    let mut senders = AGENTS.map(Sender::new);
    for round in 0..6 {
        for sender in &mut senders {
            for name in ["a", "b", "c"] {
                let (agent, name) = (sender.agent, format!("{round}{name}"));
                let text = alone(&daemon.scratch(), agent, &name);
                let reports = agent == "ann" && name.ends_with('a');
                let letter = sender.write(&format!("{agent}-{name}"), &text, random.one_of(3));
                // One that is still to be sent again keeps what it asked for: its key stands for that.
                if let Some(written) = letter.letters.back_mut().filter(|_| reports) {
                    written.body["reply_to"] = "ben".into();
                }
            }
        }
        // Not a wait for something: the moment itself is what is tested.
        let moment = random.millis(0..600);
        let kill = async {
            tokio::time::sleep(moment).await;
            daemon.signal(rustix::process::Signal::KILL)
        };
        let (sent, killed) = tokio::join!(send_all(&daemon, &mut senders), kill);
        sent.and(killed)
            .with_context(|| format!("round {round}, seed {seed}"))?;
        daemon.wait_killed().await?;
        daemon.start().await?;
    }
    send_all(&daemon, &mut senders).await?;
    let journal = daemon
        .wait_quiet(PATIENCE)
        .await
        .with_context(|| format!("seed {seed}"))?;
    assert_whole(&mut daemon, &senders, &journal).await
}

/// A child has the open files of its daemon until it executes its program, the lock of the state directory among them.
#[tokio::test]
async fn waits_for_a_child_that_was_being_started() -> Result<()> {
    let mut daemon = daemon_with_agents().await?;
    daemon.kill9().await?;
    let lock = File::open(daemon.state_dir().join("lock"))?;
    lock.try_lock()?;
    let log = daemon.state_dir().with_file_name("log");
    let child = async {
        eventually("the daemon waits", LIMIT, async || {
            let waits = std::fs::read_to_string(&log)?.contains("a process of an earlier daemon is still there");
            Ok(waits.then_some(()))
        })
        .await?;
        lock.unlock()?;
        anyhow::Ok(())
    };
    let (started, gone) = tokio::join!(daemon.start(), child);
    started.and(gone)?;
    let sent = daemon.send("ann", "[[reply here]]").await?;
    assert_eq!(daemon.wait_turn("ann", &sent).await?.reply.as_deref(), Some("here"));
    Ok(())
}

/// The door may open before the daemon has cleaned up after its crash; the clean-up must not hit what is new.
#[tokio::test]
async fn a_message_that_comes_during_recovery_is_not_hurt() -> Result<()> {
    let mut daemon = daemon_with_agents().await?;
    let mut events = daemon.events("ann").await?;
    // Many processes to be ended make the clean-up long.
    let crowd = "test -e cut || { touch cut; for n in $(seq 150); do setsid -f sleep 600; done; sleep 600; }";
    let cut = daemon.send("ann", &format!("[[exec {crowd}]] [[reply ann]]")).await?;
    events.until(|event| event.kind() == "tool").await?;
    eventually("the crowd is there", LIMIT, async || {
        Ok((daemon.children()?.len() > 150).then_some(()))
    })
    .await?;
    daemon.kill9().await?;

    let knock = early_messages(daemon.state_dir(), daemon.pid(), daemon.token().to_owned());
    let (started, early) = tokio::join!(daemon.start(), knock);
    started?;
    let mut ends = Vec::new();
    for (agent, sent) in early?.iter().chain([&("ann", cut)]) {
        let turn = daemon.wait_turn(agent, sent).await?;
        ends.push((*agent, turn.state, turn.more["interruptions"].as_u64()));
    }
    let ok = State::Ok;
    assert_eq!(
        ends,
        [("ben", ok, Some(0)), ("cleo", ok, Some(0)), ("ann", ok, Some(1))]
    );
    let journal = daemon.wait_quiet(LIMIT).await?;
    assert_whole(&mut daemon, &AGENTS.map(Sender::new), &journal).await
}

/// Messages that are sent in the moment in which a new daemon says where it is.
async fn early_messages(state_dir: PathBuf, old: u32, token: String) -> Result<Vec<(&'static str, Sent)>> {
    let url = eventually("the daemon says where it is", LIMIT, async || {
        let written = std::fs::read(state_dir.join("daemon.json"))?;
        let info: Value = serde_json::from_slice(&written)?;
        Ok((info["pid"] != old).then(|| info["url"].as_str().unwrap_or_default().to_owned()))
    });
    let (url, client) = (url.await?, reqwest::Client::builder().no_proxy().build()?);
    let mut sent = Vec::new();
    for agent in ["ben", "cleo"] {
        let request = client
            .post(format!("{url}/api/channels/{agent}/send"))
            .bearer_auth(&token);
        let text = "[[exec sleep 0.3]] [[reply early]]";
        let answer = request.json(&json!({"text": text})).send().await?.error_for_status()?;
        sent.push((agent, answer.json().await?));
    }
    Ok(sent)
}
