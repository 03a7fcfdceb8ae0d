//! Turns that take all they can get: processes, memory, disk, output. The daemon stays, other turns go on, and nothing of it
//! outlives the turn.

use anyhow::{Context as _, Result, ensure};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Builder, Daemon, LIMIT, Sent, State, Turn, processes_with};
use reveille_tests::eventually;
use reveille_tests::ground::{Person, people};
use serde_json::{Value, json};

use crate::origin::Origin;

pub(crate) fn confined(person: Person) -> Builder {
    let path = "/usr/local/bin:/usr/bin:/bin";
    Daemon::builder().run_by(person).confined().stand_in().env("PATH", path)
}

pub(crate) async fn define(daemon: &Daemon, name: &str, metadata: &Value) -> Result<()> {
    let body = json!({ "name": name, "prompt": "You do.", "metadata": metadata });
    let made = daemon.request(Method::POST, &["api", "agents"], Some(&body)).await?;
    ensure!(made.status == 201, "{}", made.body);
    // When that takes long, the daemon answers before it has read the note.
    eventually("the agent is there", LIMIT, async || {
        let shown = daemon.request(Method::GET, &["api", "agents", name], None).await?;
        Ok((shown.status == 200).then_some(()))
    })
    .await
}

/// A turn that runs a script, which the person's agents find in a directory that all of them have.
pub(crate) async fn begin(daemon: &Daemon, agent: &str, name: &str, script: &str) -> Result<Sent> {
    let file = daemon.shared().join(name);
    std::fs::write(&file, script)?;
    daemon
        .send(agent, &format!("[[exec {}]]", with(name, &file.display().to_string())))
        .await
}

fn with(name: &str, file: &str) -> String {
    match name.ends_with(".py") {
        true => format!("/usr/bin/python3 {file}"),
        false => format!("bash {file}"),
    }
}

pub(crate) async fn sandbox_of(daemon: &Daemon, agent: &str) -> Result<Value> {
    daemon
        .request(Method::GET, &["api", "agents", agent, "sandbox"], None)
        .await?
        .ok()
}

/// Definitions of agents that have the shared directory.
pub(crate) fn shared(daemon: &Daemon, more: &Value) -> Value {
    let shared = daemon.shared().display().to_string();
    let mut metadata = json!({"mounts": [{"hostPath": shared, "mountPath": shared, "mode": "rw"}]});
    for (key, value) in more.as_object().into_iter().flatten() {
        metadata[key] = value.clone();
    }
    metadata
}

/// What a script has told so far.
async fn told(daemon: &Daemon, name: &str, what: &str) -> Result<String> {
    let file = daemon.shared().join(name);
    eventually(what, LIMIT, async || {
        // silent-ok: it is not there yet.
        Ok(std::fs::read_to_string(&file).ok().filter(|text| text.ends_with('\n')))
    })
    .await
}

async fn is_well(daemon: &Daemon, agent: &str) -> Result<Turn> {
    let health = daemon.request(Method::GET, &["health"], None).await?;
    ensure!(health.status == 200, "{}", health.body);
    let sent = daemon.send(agent, "[[exec echo well]]").await?;
    let turn = daemon.wait_turn(agent, &sent).await?;
    let reply = turn.reply.clone().unwrap_or_default();
    ensure!(turn.state == State::Ok && reply.contains("well"), "{turn:?}");
    Ok(turn)
}

/// The turn of a message, which need not be known yet when the message is taken.
pub(crate) async fn turn_of(daemon: &Daemon, agent: &str, sent: &Sent) -> Result<String> {
    eventually("the message has a turn", LIMIT, async || {
        if sent.turn.is_some() {
            return Ok(sent.turn.clone());
        }
        let mut messages = daemon.messages(agent).await?.into_iter();
        let own = messages.find(|message| message.id == sent.id);
        Ok(own.and_then(|message| message.turn))
    })
    .await
}

/// Those of a turn, by what it alone has in its environment.
async fn nothing_is_left(turn: &str) -> Result<()> {
    eventually("nothing is left", LIMIT, async || {
        Ok(processes_with("REVEILLE_TURN", turn)?.is_empty().then_some(()))
    })
    .await
}

/// Bounded here, in case nothing else bounds it.
pub(crate) const BOMB: &str = "
import os, sys, time
born, most = 0, 3000
try:
    while born < most:
        if os.fork() == 0:
            signal = __import__('signal')
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            os.setsid()
            time.sleep(600)
            os._exit(0)
        born += 1
except OSError as error:
    print(error.errno)
out = os.path.join(os.path.dirname(sys.argv[0]), 'bomb.out')
open(out + '.new', 'w').write('%d\\n' % born)
os.rename(out + '.new', out)
time.sleep(600)
";

#[tokio::test]
async fn w_18_a_bomb_of_processes_goes_no_further_than_its_limit_and_ends_with_its_turn() -> Result<()> {
    for person in people() {
        let daemon = confined(person)
            .env("REVEILLE_SANDBOX__LIMITS__PROCESSES", "300")
            .start()
            .await?;
        define(&daemon, "eng", &shared(&daemon, &json!({}))).await?;
        define(&daemon, "other", &json!({})).await?;
        let limits = sandbox_of(&daemon, "eng").await?["limits"].clone();
        if limits["processes"].is_null() {
            // The kernel does not heed the limit for root, and there is no control group. That is said.
            ensure!(person.is_root() && limits["group"].is_null(), "{limits}");
            let missing = limits["missing"].to_string();
            ensure!(
                missing.contains("root") && missing.contains("processes of a turn"),
                "{missing}"
            );
            continue;
        }
        assert_eq!(limits["processes"], 300);
        let sent = begin(&daemon, "eng", "bomb.py", BOMB).await?;
        let born: u32 = told(&daemon, "bomb.out", "the bomb has gone off")
            .await?
            .trim()
            .parse()?;
        ensure!((100..300).contains(&born), "{born}");
        // Others have their own number.
        is_well(&daemon, "other").await?;
        let turn = turn_of(&daemon, "eng", &sent).await?;
        daemon.stop_turn(&turn).await?;
        assert_eq!(daemon.wait_turn("eng", &sent).await?.state, State::Cancelled);
        nothing_is_left(&turn).await?;
        is_well(&daemon, "eng").await?;
    }
    Ok(())
}

#[tokio::test]
async fn w_18_files_in_memory_end_at_their_limit_and_with_their_turn() -> Result<()> {
    let person = people().pop().context("somebody")?;
    let daemon = confined(person).start().await?;
    define(&daemon, "eng", &json!({})).await?;
    let script = "for dir in /tmp /dev/shm; do head -c 2G /dev/zero > $dir/flood 2>/dev/null || echo full; \
                  stat -c %s $dir/flood; done; ls -A /run /dev/shm | wc -l";
    let sent = daemon.send("eng", &format!("[[exec {script}]]")).await?;
    let turn = daemon.wait_turn("eng", &sent).await?;
    let reply = turn.reply.context("a reply")?;
    let sizes: Vec<u64> = reply.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert_eq!(reply.matches("full").count(), 2, "{reply}");
    ensure!(sizes.iter().take(2).all(|size| (1..=1 << 30).contains(size)), "{reply}");
    // The next one begins with none of it.
    let sent = daemon
        .send("eng", "[[exec ls -A /tmp /dev/shm | grep flood || echo clean]]")
        .await?;
    let reply = daemon.wait_turn("eng", &sent).await?.reply.context("a reply")?;
    ensure!(reply.contains("clean") && !reply.contains("flood"), "{reply}");
    Ok(())
}

/// Bytes that the daemon may take more for it.
const MORE: u64 = 64 << 20;

#[tokio::test]
async fn w_18_a_flood_of_output_is_neither_kept_nor_written_down() -> Result<()> {
    let person = people().pop().context("somebody")?;
    let daemon = confined(person).start().await?;
    define(&daemon, "eng", &json!({})).await?;
    is_well(&daemon, "eng").await?;
    let (before, _) = daemon.memory()?;
    for (number, flood) in [
        // What the CLI says to the operator, with lines and without, and what it says to the daemon.
        "yes complaint | head -c 300M > /proc/$PPID/fd/2",
        "head -c 300M /dev/zero > /proc/$PPID/fd/2",
        "(echo; yes '{}' | head -c 6M; echo) > /proc/$PPID/fd/1",
        "(echo; head -c 300M /dev/zero; echo) > /proc/$PPID/fd/1",
    ]
    .into_iter()
    .enumerate()
    {
        let sent = daemon
            .send("eng", &format!("[[exec {flood} && echo done {number}]]"))
            .await?;
        let turn = daemon.wait_turn("eng", &sent).await?;
        let reply = turn.reply.clone().unwrap_or_default();
        ensure!(
            turn.state == State::Ok && reply.contains(&format!("done {number}")),
            "{flood}: {turn:?}"
        );
        let (_, most) = daemon.memory()?;
        ensure!(most < before + MORE, "{flood}: {before} {most}");
        nothing_is_left(&turn.turn).await?;
    }
    ensure!(daemon.log()?.len() < 1 << 20, "{}", daemon.log()?.len());
    is_well(&daemon, "eng").await?;
    Ok(())
}

/// Asks again and again, until it is told to end.
const ASKING: &str = "
dir=$(dirname \"$0\"); me=$1; own=$2; other=$3
ask() { curl -s -m 20 --noproxy '' -o /dev/null -w '%{http_code}' http://$1/; }
for round in 1 2; do
  while ! [ -e $dir/$me.go$round ]; do sleep 0.05; done
  echo own $(ask $own) other $(ask $other) > $dir/$me.new
  mv $dir/$me.new $dir/$me.told$round
done
echo ended
";

#[tokio::test]
async fn w_13_two_turns_at_once_keep_their_own_way_out_and_one_may_end_before_the_other() -> Result<()> {
    for person in people() {
        let (one, two) = (
            Origin::start("one", "127.0.0.1:0").await?,
            Origin::start("two", "127.0.0.1:0").await?,
        );
        let egress = format!("[\"{}\", \"{}\"]", one.named(), two.named());
        let mut daemon = confined(person).env("REVEILLE_SANDBOX__EGRESS", egress);
        daemon = daemon.env("REVEILLE_LIMITS__LIVE_TURNS", "3");
        let daemon = daemon.start().await?;
        std::fs::write(daemon.shared().join("ask"), ASKING)?;
        let mut sent = Vec::new();
        for (name, own, other) in [("first", &one, &two), ("second", &two, &one)] {
            let egress = json!({"network": "restricted", "egress": [own.named()]});
            define(&daemon, name, &shared(&daemon, &egress)).await?;
            let ask = daemon.shared().join("ask").display().to_string();
            let text = format!("[[exec bash {ask} {name} {} {}]]", own.named(), other.named());
            sent.push(daemon.send(name, &text).await?);
        }
        let go = |name: &str| std::fs::write(daemon.shared().join(name), "");
        for name in ["first", "second"] {
            go(&format!("{name}.go1"))?;
        }
        for name in ["first", "second"] {
            let said = told(&daemon, &format!("{name}.told1"), "both have asked").await?;
            assert_eq!(said, "own 200 other 403\n", "{person:?} {name}");
        }
        // Both still run; one is stopped.
        let second = turn_of(&daemon, "second", &sent[1]).await?;
        daemon.stop_turn(&second).await?;
        assert_eq!(daemon.wait_turn("second", &sent[1]).await?.state, State::Cancelled);
        nothing_is_left(&second).await?;
        go("first.go2")?;
        assert_eq!(
            told(&daemon, "first.told2", "the other asks again").await?,
            "own 200 other 403\n"
        );
        let turn = daemon.wait_turn("first", &sent[0]).await?;
        ensure!(turn.state == State::Ok, "{turn:?}");
        assert_eq!((one.seen(), two.seen()), (2, 1));
        let counts = turn.more["egress"].to_string();
        ensure!(
            counts.contains(&two.port().to_string()) && counts.contains("refused"),
            "{counts}"
        );
    }
    Ok(())
}
