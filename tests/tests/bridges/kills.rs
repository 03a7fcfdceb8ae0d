//! The daemon is killed again and again at random moments while people write to a bot, programs are told by webhooks, and both
//! sides fail now and then. Short here; long by hand:
//!
//! ```sh
//! REVEILLE_TEST_KILLS=200 REVEILLE_TEST_SEED=42 cargo test -p reveille-tests --test bridges kills -- --nocapture
//! ```
//!
//! A seed decides what is sent, when and how the daemon dies, and what fails. The machine's own timing differs each time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use reveille_tests::daemon::{Journal, was_killed};
use reveille_tests::{Random, Receiver, ReceiverAnswer as Answer, Told, eventually, fail_points};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::api::{Api, Fault, TOKEN, message_of};
use super::reader::Reader;
use super::{Daemon, LIMIT, Method, post};

/// Kills without a wish.
const KILLS: u32 = 12;
/// Who write to the bot, each in a chat of their own.
const USERS: [i64; 2] = [42, 7];
/// Moments of a kill after the daemon serves.
const LATE: std::ops::Range<u64> = 0..1200;
/// How long it may take to reach the point at which it is to die.
const POINT_PATIENCE: Duration = Duration::from_secs(2);
/// For all that is left in the end: what was to come later comes at once, and is tried again after some seconds at most.
const PATIENCE: Duration = Duration::from_secs(120);
/// What the bot says by itself when a message is not the first in line.
const NOTICE: &str = "Your message waits";
const SECRET: &str = "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

/// How one run ends.
#[derive(Debug)]
enum Death {
    Late(Duration),
    Stopping(Duration, Duration),
    Point(String, u32),
}

struct Sweep {
    random: Random,
    api: Api,
    receiver: Receiver,
    daemon: Daemon,
    /// What was written to the bot, by chat, in order: the number of the message and its text.
    written: BTreeMap<i64, Vec<(i64, String)>>,
    /// What is sent by the API and was not acknowledged.
    letters: Vec<String>,
    deaths: usize,
}

fn config(api: &Api, receiver: &Receiver) -> String {
    let hook = |name: &str, more: &str| {
        let url = receiver.url(&format!("/{name}"));
        format!(
            "[[webhook]]\nname = \"{name}\"\nurl = \"{url}\"\nsecret = \"${{HOOK}}\"\nallow = {{ private = true }}\n{more}\n"
        )
    };
    format!(
        "[[transport]]\nname = \"tg\"\nkind = \"telegram\"\nagent = \"eng\"\ntoken = \"${{BOT}}\"\napi_base = \"{}\"\n\
         require_access_file = false\n{}{}{}",
        api.base,
        hook("all", ""),
        hook("ends", "events = [\"turn.settled\"]"),
        hook(
            "sup",
            "profile = \"supervisor\"\nevents = [\"turn.started\", \"turn.event\", \"turn.settled\"]"
        ),
    )
}

impl Sweep {
    async fn begin(seed: u64) -> Result<Self> {
        let (api, receiver) = (Api::start().await, Receiver::start().await?);
        let daemon = Daemon::builder()
            .stand_in()
            .env("BOT", TOKEN)
            .config(&config(&api, &receiver))
            .env("HOOK", SECRET);
        let mut daemon = daemon.start().await?;
        daemon.create_agent("eng", "You build.").await?;
        daemon.create_agent("ops", "You run it.").await?;
        ensure!(daemon.stop().await?.success(), "the daemon did not stop well");
        api.lock().chaos = Some(seed);
        Ok(Self {
            random: Random::new(seed),
            api,
            receiver,
            daemon,
            written: BTreeMap::new(),
            letters: Vec::new(),
            deaths: 0,
        })
    }

    fn death(&mut self, points: &[(u64, String)]) -> Death {
        let random = &mut self.random;
        match random.within(0..10) {
            0..4 => match random.weighted(points) {
                Some(point) => Death::Point(point.clone(), u32::try_from(random.within(1..6)).unwrap_or(1)),
                None => Death::Late(random.millis(LATE)),
            },
            4 => Death::Stopping(random.millis(LATE), random.millis(0..300)),
            _ => Death::Late(random.millis(LATE)),
        }
    }

    /// What is written and what fails in one run.
    fn load(&mut self, round: u32) {
        let random = &mut self.random;
        for place in 0..random.within(2..5) {
            let user = USERS[usize::from(random.one_of(3))];
            let chat = self.written.entry(user).or_default();
            let number = i64::try_from(chat.len()).unwrap_or(i64::MAX) + 1;
            let key = format!("answer to {round}-{place}");
            let reply = match random.one_of(4) {
                true => format!("{key} {}", "x".repeat(5000)),
                false => key,
            };
            let slow = ["", "[[slow 5x20ms]] ", "[[slow 12x40ms]] "][usize::try_from(random.within(0..3)).unwrap_or(0)];
            let text = format!("{slow}[[reply {reply}]]");
            let message = message_of(user, number, &json!({ "text": text }));
            self.api.push(json!({ "message": message }));
            chat.push((number, text));
        }
        self.letters.push(format!("letter-{round}"));
        for (method, faults) in [("sendMessage", 3), ("getUpdates", 2)] {
            for _ in 0..random.within(0..faults) {
                let fault = match random.within(0..4) {
                    0 => Fault::Cut,
                    1 => Fault::Status(500, json!({ "description": "Internal Server Error" })),
                    2 => Fault::Status(429, json!({ "parameters": { "retry_after": 0 } })),
                    _ => Fault::Garbage,
                };
                self.api.fault(method, &[fault]);
            }
        }
        for path in ["/all", "/ends", "/sup"] {
            let faults = random.within(0..5);
            let mut answers: Vec<Answer> = (0..faults)
                .map(|_| match random.within(0..4) {
                    0 => Answer::Status(500),
                    1 => Answer::With(429, "retry-after", "0".into()),
                    2 => Answer::Late(random.millis(0..300), Box::new(Answer::Status(200))),
                    _ => Answer::Status(200),
                })
                .collect();
            answers.push(Answer::Status(200));
            self.receiver.script(path, answers);
        }
    }

    /// Sends by the API what was not acknowledged, until no answer comes any more.
    async fn send(daemon: &Daemon, letters: &mut Vec<String>) -> Result<()> {
        while let Some(key) = letters.first().cloned() {
            let body = json!({ "text": format!("[[slow 4x20ms]] [[reply answer to {key}]]") });
            if daemon.send_keyed("ops", &key, &body).await?.is_none() {
                return Ok(());
            }
            letters.remove(0);
        }
        Ok(())
    }

    async fn round(&mut self, round: u32, points: &[(u64, String)]) -> Result<()> {
        self.load(round);
        let death = self.death(points);
        let doom = match &death {
            Death::Point(name, nth) => Some((name.as_str(), *nth)),
            Death::Late(_) | Death::Stopping(..) => None,
        };
        if self.daemon.launch(doom).await?.is_none() {
            let (sent, killed) = tokio::join!(Self::send(&self.daemon, &mut self.letters), kill(&self.daemon, &death));
            sent?;
            killed?;
        }
        let status = self.daemon.wait_exit(LIMIT).await?;
        ensure!(
            was_killed(status) || (matches!(death, Death::Stopping(..)) && status.success()),
            "the daemon ended with {status}"
        );
        self.deaths += 1;
        let mut found = self.daemon.journal()?.violations_at_any_time();
        found.extend(same_bytes(&self.receiver));
        ensure!(found.is_empty(), "{}", found.join("\n"));
        Ok(())
    }

    /// A last run, in which nothing fails.
    async fn end(&mut self) -> Result<Journal> {
        {
            let mut api = self.api.lock();
            api.faults.clear();
            api.chaos = None;
        }
        for path in ["/all", "/ends", "/sup"] {
            self.receiver.script(path, [Answer::Status(200)]);
        }
        self.daemon.start().await?;
        Self::send(&self.daemon, &mut self.letters).await?;
        ensure!(self.letters.is_empty(), "a letter was not sent");
        let daemon = &self.daemon;
        let messages: usize = self.written.values().map(Vec::len).sum();
        eventually("all messages of chats are taken", PATIENCE, async || {
            let taken = daemon
                .journal()?
                .notes
                .iter()
                .filter(|note| !note.text("origin_chat_id").is_empty() && note.is_inbound())
                .count();
            Ok((taken >= messages).then_some(()))
        })
        .await?;
        daemon.wait_quiet(PATIENCE).await?;
        eventually("nothing waits for a bridge", PATIENCE, async || {
            let listed: Value = daemon.request(Method::GET, &["api", "bridges"], None).await?.ok()?;
            let all = listed["bridges"].as_array().context("a list")?;
            for one in all.iter().filter(|one| one["waiting"] != 0) {
                let name = one["name"].as_str().context("a name")?;
                post(daemon, &["api", "bridges", name, "redrive"], &json!({})).await?;
            }
            Ok(all
                .iter()
                .all(|one| one["waiting"] == 0 && one["undelivered"] == 0)
                .then_some(()))
        })
        .await?;
        self.goes_on().await?;
        self.daemon.wait_quiet(LIMIT).await
    }

    /// After a start the bot asks for what comes after all that it has taken.
    async fn goes_on(&mut self) -> Result<()> {
        let last = self.api.lock().offsets.last().copied().flatten();
        ensure!(last.is_some(), "nothing was ever taken");
        ensure!(self.daemon.stop().await?.success(), "the daemon did not stop well");
        self.api.lock().offsets.clear();
        self.daemon.start().await?;
        let first = eventually("it asks", LIMIT, async || Ok(self.api.lock().offsets.first().copied())).await?;
        ensure!(first >= last, "it asked from {first:?} on instead of {last:?}");
        Ok(())
    }

    /// Each chat has had its answers in order, each part of them once, or again right behind it when a run ended meanwhile.
    fn chats(&self, journal: &Journal) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let sent = self.api.calls("sendMessage");
        for (chat, written) in &self.written {
            let own = sent.iter().filter(|call| call["chat_id"] == json!(chat.to_string()));
            let own = own.filter(|call| !call["text"].as_str().unwrap_or_default().starts_with(NOTICE));
            let mut parts: Vec<(i64, &str)> = own
                .map(|call| {
                    let to = call["reply_parameters"]["message_id"].as_i64();
                    (to.unwrap_or_default(), call["text"].as_str().unwrap_or_default())
                })
                .collect();
            let all = parts.len();
            parts.dedup();
            if all - parts.len() > self.deaths {
                found.push(format!(
                    "chat {chat}: {} parts came again, in {} runs",
                    all - parts.len(),
                    self.deaths
                ));
            }
            let mut parts = parts.into_iter().peekable();
            for (number, text) in written {
                let mut notes = journal.inbound().filter(|note| {
                    note.text("origin_chat_id") == chat.to_string()
                        && note.text("origin_message_id") == number.to_string()
                });
                let note = notes.next().with_context(|| format!("{chat}/{number} is no message"))?;
                if notes.next().is_some() || note.content != *text {
                    found.push(format!(
                        "{chat}/{number} became several messages, or another one: {}",
                        note.content
                    ));
                }
                let turn = journal
                    .turns
                    .iter()
                    .find(|turn| turn.note == note.id)
                    .context("a turn")?;
                let answer = journal.notes.iter().find(|note| json!(note.id) == turn.record["note"]);
                let answer = answer.with_context(|| format!("{turn:?} has no answer"))?;
                let mut said = String::new();
                while let Some((_, part)) = parts.next_if(|(to, _)| to == number) {
                    said.push_str(part);
                }
                if said != answer.content {
                    found.push(format!(
                        "{chat}/{number} was answered with {said:?} instead of {:?}",
                        answer.content
                    ));
                }
            }
            found.extend(parts.map(|part| format!("chat {chat}: out of its place: {part:?}")));
        }
        Ok(found)
    }

    /// Each turn that has ended was told, in order, and what was told of it fits together.
    fn told(&self, journal: &Journal) -> Result<Vec<String>> {
        let mut found = same_bytes(&self.receiver);
        let ends: BTreeSet<String> = fine(&self.receiver, "/ends")
            .iter()
            .map(|told| told.header("webhook-id").to_owned())
            .collect();
        let wanted: BTreeSet<String> = journal
            .turns
            .iter()
            .map(|turn| format!("settled_{}", turn.id))
            .collect();
        if ends != wanted {
            found.push(format!("the ends that were told are {ends:?} instead of {wanted:?}"));
        }
        let (mut all, mut supervised) = (of_turns(&self.receiver, "/all"), of_turns(&self.receiver, "/sup"));
        for turn in &journal.turns {
            let id = turn.id.to_string();
            let told = all.remove(&id).unwrap_or_default();
            let kinds: Vec<&str> = told.iter().filter_map(|said| said["type"].as_str()).collect();
            let once = |kind: &str| kinds.iter().filter(|one| **one == kind).count() == 1;
            let numbers: Vec<u64> = told
                .iter()
                .filter_map(|said| said["data"]["sequence"].as_u64())
                .collect();
            if kinds.first() != Some(&"message.received")
                || kinds.last() != Some(&"turn.settled")
                || !once("message.received")
                || !once("turn.settled")
                || numbers != (1..told.len() as u64).collect::<Vec<_>>()
            {
                found.push(format!("of {id} was told {kinds:?} with the numbers {numbers:?}"));
            }
            let mut reader = Reader::default();
            for data in told.iter().map(|said| &said["data"]) {
                data["events"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .for_each(|event| reader.take(event));
                // The end has none when the daemon was killed between the end and its telling.
                if let Some(snapshot) = data.get("snapshot")
                    && !reader.is(snapshot)
                {
                    found.push(format!("of {id} was told {reader:?}, and the snapshot says {snapshot}"));
                }
            }
            let told = supervised.remove(&id).unwrap_or_default();
            let numbers: Vec<u64> = told
                .iter()
                .filter_map(|said| said["sequence"].as_u64())
                .filter(|number| *number > 0)
                .collect();
            let last = told.last().and_then(|said| said["kind"].as_str()).unwrap_or_default();
            if numbers != (1..=numbers.len() as u64).collect::<Vec<_>>() || !last.starts_with("prompt_") {
                found.push(format!(
                    "a supervisor was told of {id} with the numbers {numbers:?}, and last of {last:?}"
                ));
            }
        }
        found.extend(
            all.keys()
                .chain(supervised.keys())
                .map(|turn| format!("{turn} is no turn")),
        );
        Ok(found)
    }
}

/// Ends a daemon that serves, or waits until it has done so itself.
async fn kill(daemon: &Daemon, death: &Death) -> Result<()> {
    // Not waits for something: the moments themselves are what is tested.
    match death {
        Death::Late(moment) => tokio::time::sleep(*moment).await,
        Death::Stopping(moment, grace) => {
            tokio::time::sleep(*moment).await;
            daemon.signal(Signal::TERM)?;
            tokio::time::sleep(*grace).await;
        }
        Death::Point(..) => {
            let began = Instant::now();
            while began.elapsed() < POINT_PATIENCE && !reveille_tests::daemon::has_ended(daemon.pid()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
    // One that has ended is not collected yet, so its id is still its own.
    daemon.signal(Signal::KILL)
}

/// The calls for a path that were answered with success.
fn fine(receiver: &Receiver, path: &str) -> Vec<Told> {
    let all = receiver.told_at(path).into_iter();
    all.filter(|told| told.answer == Some(200)).collect()
}

/// The same id is the same call, however often it is made and by whichever run.
fn same_bytes(receiver: &Receiver) -> Vec<String> {
    let mut found = Vec::new();
    for path in ["/all", "/ends"] {
        let mut bodies: BTreeMap<String, String> = BTreeMap::new();
        for told in receiver.told_at(path) {
            let id = told.header("webhook-id").to_owned();
            let first = bodies.entry(id).or_insert_with(|| told.body.clone());
            if *first != told.body {
                found.push(format!("{path}: {first} is told as {} too", told.body));
            }
        }
    }
    found
}

/// What was told of each turn with success, each call once, in the order in which it came first.
fn of_turns(receiver: &Receiver, path: &str) -> BTreeMap<String, Vec<Value>> {
    let (mut seen, mut turns) = (BTreeSet::new(), BTreeMap::<String, Vec<Value>>::new());
    for told in fine(receiver, path) {
        let said = told.json();
        let turn = said["data"]["turn"]
            .as_str()
            .or(said["runId"].as_str())
            .unwrap_or_default();
        let known = match told.header("webhook-id") {
            "" => format!("{turn} {}", said["sequence"]),
            id => id.to_owned(),
        };
        // What becomes of agents and of the daemon is told as well.
        let is_other = matches!(said["type"].as_str(), Some("agent.changed" | "health.changed"));
        if !is_other && seen.insert(known) {
            turns.entry(turn.to_owned()).or_default().push(said);
        }
    }
    turns
}

#[tokio::test(flavor = "multi_thread")]
async fn whenever_the_daemon_dies_everybody_is_told_and_answered_in_order() -> Result<()> {
    let wish = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().context(name.to_owned()))
    };
    let seed = wish("REVEILLE_TEST_SEED")
        .transpose()?
        .unwrap_or_else(|| std::process::id().into());
    let kills = wish("REVEILLE_TEST_KILLS")
        .transpose()?
        .map_or(KILLS, |kills| u32::try_from(kills).unwrap_or(KILLS));
    println!("REVEILLE_TEST_SEED={seed} REVEILLE_TEST_KILLS={kills}");
    let points: Vec<(u64, String)> = fail_points()?.into_iter().map(|point| (1, point)).collect();
    let mut sweep = Sweep::begin(seed).await?;
    for round in 0..kills {
        sweep
            .round(round, &points)
            .await
            .with_context(|| format!("round {round}"))?;
    }
    let journal = sweep.end().await?;
    let mut found = journal.violations();
    found.extend(sweep.chats(&journal)?);
    found.extend(sweep.told(&journal)?);
    let interrupted: u64 = journal.turns.iter().map(|turn| turn.interruptions).sum();
    let calls = |path: &str| (sweep.receiver.told_at(path).len(), fine(&sweep.receiver, path).len());
    println!(
        "{} deaths; {} turns, {interrupted} interruptions; calls (and successes): all {:?}, ends {:?}, supervisor {:?}; {} messages sent to chats",
        sweep.deaths,
        journal.turns.len(),
        calls("/all"),
        calls("/ends"),
        calls("/sup"),
        sweep.api.calls("sendMessage").len(),
    );
    ensure!(found.is_empty(), "{} violations:\n{}", found.len(), found.join("\n"));
    // Without turns that were cut off and calls that failed it would show nothing.
    ensure!(interrupted > 0 && calls("/all").0 > calls("/all").1);
    Ok(())
}
