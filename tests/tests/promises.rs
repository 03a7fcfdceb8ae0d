//! What must hold when people, clients and the vault do not behave.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![forbid(unsafe_code)]

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT, State, rows};
use reveille_tests::eventually;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Messages of clients that hung up which have to be heard, or it is not known what becomes of them.
const HEARD_MIN: usize = 10;

async fn with_eng() -> Result<Daemon> {
    let daemon = Daemon::builder().stand_in().confined().start().await?;
    daemon.create_agent_with_shared("eng", "You are an engineer.").await?;
    Ok(daemon)
}

fn number(rows: &[Vec<Value>]) -> Result<i64> {
    rows.first()
        .and_then(|row| row.first())
        .and_then(Value::as_i64)
        .context("a number")
}

fn changes(daemon: &Daemon) -> Result<i64> {
    number(&rows(&daemon.state_tables()?.vault, "SELECT max(cursor) FROM changes")?)
}

#[tokio::test]
async fn a_note_that_is_a_definition_and_a_message_is_written_to_once() -> Result<()> {
    let daemon = with_eng().await?;
    let tags = ["agent/definition", "agent/message", "agent/message/inbound"];
    daemon
        .note_put("Both", "hello", &tags, &json!({"agent": "eng"}))
        .await?;
    daemon
        .note_put("Ghost", "hello", &tags, &json!({"agent": "ghost", "name": "other"}))
        .await?;
    eventually("the notes say what became of them", LIMIT, async || {
        let said = [daemon.note("Both").await?, daemon.note("Ghost").await?];
        let said = said.map(|note| note.map_or(Value::Null, |note| note["metadata"]["status"].clone()));
        Ok((said == [json!("error"), json!("error")]).then_some(()))
    })
    .await?;
    // A turn goes all the way through feed, queue and vault meanwhile: a loop would have written by then.
    let sent = daemon.send("eng", "[[reply one]]").await?;
    assert_eq!(daemon.wait_turn("eng", &sent).await?.state, State::Ok);
    // A turn is settled before its notes are delivered: those are not to be counted.
    daemon.wait_quiet(LIMIT).await?;
    let before = changes(&daemon)?;
    let sent = daemon.send("eng", "[[reply two]]").await?;
    assert_eq!(daemon.wait_turn("eng", &sent).await?.state, State::Ok);
    let journal = daemon.wait_quiet(LIMIT).await?;
    // The message, the thread twice, the reply.
    assert_eq!(changes(&daemon)? - before, 4);
    assert_eq!(journal.turns.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_message_whose_client_hangs_up_gets_its_turn() -> Result<()> {
    let daemon = with_eng().await?;
    let (name, token) = daemon.bearer();
    let authority = daemon.authority()?;
    let hang_up = async |n: u64| -> Result<()> {
        // A conversation of its own: no other message may wake its lane.
        let body = json!({"text": format!("[[reply {n}]]"), "subject": format!("s{n}")}).to_string();
        let head = format!(
            "POST /api/channels/eng/send HTTP/1.1\r\nhost: {authority}\r\n{name}: {token}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = TcpStream::connect(&authority).await?;
        stream.write_all(format!("{head}{body}").as_bytes()).await?;
        // The moment is what is tested: it goes through the time that an acceptance takes.
        tokio::time::sleep(Duration::from_micros(60 * n)).await;
        Ok(())
    };
    let heard = || anyhow::Ok(daemon.journal()?.notes.iter().filter(|note| note.is_inbound()).count());
    // On past the sixtieth until enough of them were heard: how long that takes is the machine's matter.
    for n in 0..600 {
        if n >= 60 && heard()? >= HEARD_MIN {
            break;
        }
        hang_up(n).await?;
    }
    // What is still under way has become a note when there are no more of them, however much is written behind it.
    let heard = eventually("no more messages are heard", LIMIT, async || {
        let before = heard()?;
        for n in 0..10 {
            daemon
                .note_put(&format!("Other/{n}"), &before.to_string(), &[], &json!({}))
                .await?;
        }
        Ok((heard()? == before).then_some(before))
    })
    .await?;
    assert!(
        heard >= HEARD_MIN,
        "only {heard} messages were heard: this test has seen nothing"
    );
    // Whatever became a note must become a turn, without another message that would wake the lane.
    let journal = daemon.wait_quiet(LIMIT).await?;
    assert_eq!(journal.turns.len(), heard);
    assert_eq!(journal.violations(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn what_an_attempt_took_before_a_stop_is_not_forgotten() -> Result<()> {
    let mut daemon = Daemon::builder()
        .stand_in()
        .env("REVEILLE_SERVER__DRAIN", "100ms")
        .start()
        .await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    let mut events = daemon.events("eng").await?;
    let mark = daemon.scratch().join("once");
    let mark = mark.display();
    let text = format!("[[exec test -e {mark} || {{ touch {mark}; sleep 600; }}]] [[reply done]]");
    let sent = daemon.send("eng", &text).await?;
    events.until(|event| event.kind() == "tool").await?;
    daemon.stop().await?;
    let spent = "SELECT nano_usd FROM turns";
    let first = number(&rows(&daemon.state_tables()?.queue, spent)?)?;
    assert!(first > 0, "the first attempt took something");
    daemon.start().await?;
    let turn = daemon.wait_turn("eng", &sent).await?;
    assert_eq!(turn.state, State::Ok);
    assert!(turn.reply.is_some_and(|reply| reply.ends_with("done")));
    let both = number(&rows(&daemon.state_tables()?.queue, spent)?)?;
    assert!(both > first, "{both} nano-dollars, the first attempt alone {first}");
    assert_eq!(
        number(&rows(
            &daemon.state_tables()?.queue,
            "SELECT nano_usd FROM conversations"
        )?)?,
        both
    );
    let journal = daemon.wait_quiet(LIMIT).await?;
    assert_eq!(journal.violations(), Vec::<String>::new());
    Ok(())
}

/// A message as the transcript of `eng` shows it.
async fn kept_with(daemon: &Daemon, id: &str) -> Result<Value> {
    let path = ["api", "channels", "eng", "messages"];
    let shown = daemon.request(Method::GET, &path, None).await?.body;
    let mut messages = shown["messages"].as_array().into_iter().flatten();
    messages
        .find(|message| message["id"] == id)
        .cloned()
        .context("the message")
}

#[tokio::test]
async fn a_reply_that_the_vault_does_not_take_is_kept_and_shown() -> Result<()> {
    let daemon = with_eng().await?;
    let mut events = daemon.events("eng").await?;
    let gate = daemon.shared().join("gate");
    let text = format!(
        "[[exec while [ ! -e {} ]; do sleep 0.05; done]] [[reply kept]]",
        gate.display()
    );
    let sent = daemon.send("eng", &text).await?;
    events.until(|event| event.kind() == "tool").await?;
    // Another program holds the vault's file for longer than the daemon waits for it.
    let holder = rusqlite::Connection::open(daemon.state_dir().join("vaults/default.db"))?;
    holder.busy_timeout(LIMIT)?;
    holder.execute_batch("BEGIN IMMEDIATE")?;
    std::fs::write(gate, "")?;
    let turn = sent.turn.clone().context("a turn")?;
    let seen = events.until_end(&turn).await?;
    assert_eq!(
        seen.last().map(|event| event.data["undelivered"].clone()),
        Some(json!(true))
    );
    let shown = eventually("the reply is shown as undelivered", LIMIT, async || {
        let health = daemon.request(Method::GET, &["health"], None).await?.body;
        Ok((health["undelivered"].as_i64() > Some(0)).then_some(health))
    })
    .await?;
    assert_eq!(shown["status"], "degraded");
    let view = daemon.turn(&turn).await?;
    assert_eq!((view.state, &view.more["undelivered"]), (State::Ok, &json!(true)));
    assert!(view.reply.is_some_and(|reply| reply.ends_with("kept")));
    // A page that is opened now shows it too.
    let shown = kept_with(&daemon, &sent.id).await?;
    assert_eq!((&shown["undelivered"], &shown["state"]), (&json!(true), &json!("ok")));
    assert!(
        shown["reply"].as_str().is_some_and(|reply| reply.ends_with("kept")),
        "{shown}"
    );

    holder.execute_batch("ROLLBACK")?;
    let journal = daemon.wait_quiet(LIMIT).await?;
    assert_eq!(journal.violations(), Vec::<String>::new());
    assert_eq!(daemon.turn(&turn).await?.more["undelivered"], json!(false));
    let shown = kept_with(&daemon, &sent.id).await?;
    assert_eq!((shown.get("undelivered"), shown.get("reply")), (None, None), "{shown}");
    assert_eq!(
        daemon.request(Method::GET, &["health"], None).await?.body["status"],
        "ok"
    );
    Ok(())
}

#[tokio::test]
async fn a_message_that_is_deleted_while_it_waits_does_not_run() -> Result<()> {
    let daemon = with_eng().await?;
    let metadata = json!({"agent": "ghost", "reply_to": "eng"});
    let note = daemon
        .note_put(
            "Letters/1",
            "[[reply never]]",
            &["agent/message", "agent/message/inbound"],
            &metadata,
        )
        .await?;
    let id = note["id"].as_str().context("an id")?.to_owned();
    let waiting = || {
        number(&rows(
            &daemon.state_tables()?.queue,
            "SELECT count(*) FROM turns WHERE state = 'waiting'",
        )?)
    };
    eventually("it waits", LIMIT, async || Ok((waiting()? == 1).then_some(()))).await?;
    let gone = daemon
        .request(Method::DELETE, &["vault", "default", "api", "notes", &id], None)
        .await?;
    assert_eq!(gone.status, 200);
    daemon.create_agent("ghost", "You are late.").await?;
    let journal = eventually("its turn and the word to the requester have ended", LIMIT, async || {
        let journal = daemon.journal()?;
        Ok((journal.turns.len() == 2 && journal.is_quiet()).then_some(journal))
    })
    .await?;
    let states = rows(
        &daemon.state_tables()?.queue,
        "SELECT channel, state FROM turns ORDER BY seq",
    )?;
    assert_eq!(
        states,
        [[json!("ghost"), json!("cancelled")], [json!("eng"), json!("ok")]]
    );
    // Only eng has answered, to the word that ghost was cancelled.
    assert_eq!(journal.notes.iter().filter(|note| note.is_outbound()).count(), 1);
    let callback = journal
        .notes
        .iter()
        .find(|note| note.is_callback())
        .context("a callback")?;
    assert_eq!(callback.text("status"), "cancelled");
    Ok(())
}

/// Takes away the vault's database with its log files.
fn remove_database(vaults: &std::path::Path) -> Result<()> {
    for entry in std::fs::read_dir(vaults)? {
        let path = entry?.path();
        if path.is_file() {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_position_of_an_earlier_version_is_taken_over_once() -> Result<()> {
    let mut daemon = with_eng().await?;
    daemon.send("eng", "[[reply one]]").await?;
    daemon.wait_quiet(LIMIT).await?;
    daemon.stop().await?;
    let cursors = |daemon: &Daemon| rows(&daemon.state_tables()?.queue, "SELECT feed, at FROM cursors");
    let before = cursors(&daemon)?;
    // Earlier versions called a feed by the name of its vault.
    let queue = rusqlite::Connection::open(daemon.state_dir().join("queue.db"))?;
    queue.execute("UPDATE cursors SET feed = 'default'", [])?;
    drop(queue);
    daemon.start().await?;
    assert_eq!(cursors(&daemon)?, before);
    Ok(())
}

#[tokio::test]
async fn a_vault_with_a_longer_log_in_its_place_is_read_from_its_beginning_too() -> Result<()> {
    let inbound = ["agent/message", "agent/message/inbound"];
    let mut other = Daemon::builder().stand_in().start().await?;
    other
        .note_put("theirs", "[[reply theirs]]", &inbound, &json!({"agent": "eng"}))
        .await?;
    // Its log goes far beyond what the first daemon has read of its own.
    let more: Vec<Value> = (0..30)
        .map(|number| json!({"path": format!("more-{number}")}))
        .collect();
    let batch = json!({ "notes": more });
    other
        .request(Method::POST, &["vault", "default", "api", "notes"], Some(&batch))
        .await?
        .ok::<Value>()?;
    other.stop().await?;

    let mut daemon = with_eng().await?;
    daemon
        .note_put("ours", "[[reply ours]]", &inbound, &json!({"agent": "eng"}))
        .await?;
    daemon.wait_quiet(LIMIT).await?;
    daemon.stop().await?;
    let vaults = daemon.state_dir().join("vaults");
    remove_database(&vaults)?;
    std::fs::copy(other.state_dir().join("vaults/default.db"), vaults.join("default.db"))?;
    daemon.start().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    let journal = daemon.wait_quiet(LIMIT).await?;
    let said: Vec<_> = journal.turns.iter().map(|turn| turn.record["reply"].as_str()).collect();
    assert_eq!(said, ["ours", "theirs"].map(Some));
    Ok(())
}

#[tokio::test]
async fn a_vault_that_was_replaced_is_read_from_its_beginning() -> Result<()> {
    let mut daemon = with_eng().await?;
    let tags = ["agent/message", "agent/message/inbound"];
    let write = async |daemon: &Daemon, name: &str| {
        let text = format!("[[reply {name}]]");
        daemon.note_put(name, &text, &tags, &json!({"agent": "eng"})).await
    };
    for name in ["one", "two", "three"] {
        write(&daemon, name).await?;
    }
    daemon.wait_quiet(LIMIT).await?;
    daemon.stop().await?;
    let (vaults, copy) = (daemon.state_dir().join("vaults"), daemon.scratch().join("copy.db"));
    std::fs::copy(vaults.join("default.db"), &copy)?;
    remove_database(&vaults)?;

    daemon.start().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    write(&daemon, "four").await?;
    let journal = daemon.wait_quiet(LIMIT).await?;
    let said = journal.turns.iter().map(|turn| turn.record["reply"].as_str());
    assert_eq!(
        said.collect::<Vec<_>>(),
        ["one", "two", "three", "four"].map(Some),
        "the new vault's message has its turn"
    );

    // Back with the first one: nothing in it is answered again.
    daemon.stop().await?;
    remove_database(&vaults)?;
    std::fs::copy(&copy, vaults.join("default.db"))?;
    daemon.start().await?;
    write(&daemon, "five").await?;
    let journal = daemon.wait_quiet(LIMIT).await?;
    assert_eq!(journal.turns.len(), 5);
    Ok(())
}

#[tokio::test]
async fn a_message_for_an_agent_whose_definition_is_broken_is_refused_with_the_reason() -> Result<()> {
    let daemon = with_eng().await?;
    // One that was an agent before goes on as it was.
    let broken = json!({"name": "ops", "mode": "sideways"});
    daemon
        .note_put("Agents/ops", "You operate.", &["agent/definition"], &broken)
        .await?;
    eventually("the definition is in error", LIMIT, async || {
        let agents = daemon.agents().await?;
        let broken = agents.iter().find(|agent| agent["name"] == "ops");
        Ok(broken.is_some_and(|agent| agent["status"] == "error").then_some(()))
    })
    .await?;
    let body = json!({"text": "hello"}).to_string();
    let refused = daemon.ask_in("POST", "/api/channels/ops/send", body.as_bytes()).await?;
    assert_eq!(refused.refusal()?, (409, "broken_agent".to_owned()));
    let told = refused.json()?["message"].to_string();
    assert!(told.contains("sideways") && told.contains("multi-threaded"), "{told}");
    Ok(())
}

#[tokio::test]
async fn one_idempotency_key_is_one_message() -> Result<()> {
    let daemon = with_eng().await?;
    let first = daemon
        .send_keyed("eng", "k1", &json!({"text": "[[reply one]]"}))
        .await?;
    let again = daemon
        .send_keyed("eng", "k1", &json!({"text": "[[reply one]]"}))
        .await?;
    assert_eq!(first, again);
    let (name, token) = daemon.bearer();
    let headers = [(name, token.as_str()), ("idempotency-key", "k1")];
    for other in [
        json!({"text": "[[reply two]]"}),
        json!({"text": "[[reply one]]", "subject": "elsewhere"}),
        json!({"text": "[[reply one]]", "mode": "interrupt"}),
        json!({"text": "[[reply one]]", "correlation_id": "c9"}),
    ] {
        let body = other.to_string();
        let refused = daemon
            .ask("POST", "/api/channels/eng/send", &headers, body.as_bytes())
            .await?;
        assert_eq!(
            refused.refusal()?,
            (409, "idempotency_key_reused".to_owned()),
            "{other}"
        );
    }
    let journal = daemon.wait_quiet(LIMIT).await?;
    assert_eq!(journal.turns.len(), 1);
    Ok(())
}

#[tokio::test]
async fn the_token_does_not_go_to_whoever_has_the_port_of_a_dead_daemon() -> Result<()> {
    let mut daemon = with_eng().await?;
    let announcement = daemon.state_dir().join("daemon.json");
    daemon.kill9().await?;
    let stranger = std::net::TcpListener::bind("127.0.0.1:0")?;
    let mut told: Value = serde_json::from_slice(&std::fs::read(&announcement)?)?;
    told["url"] = json!(format!("http://{}", stranger.local_addr()?));
    std::fs::write(&announcement, told.to_string())?;
    let ran = daemon.run(["agent", "list"]).await?;
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    stranger.set_nonblocking(true)?;
    assert_eq!(
        stranger.accept().map(drop).map_err(|error| error.kind()),
        Err(std::io::ErrorKind::WouldBlock)
    );
    Ok(())
}

#[tokio::test]
async fn a_key_in_a_broken_configuration_is_not_shown() -> Result<()> {
    let daemon = with_eng().await?;
    let file = daemon.scratch().join("broken.toml");
    std::fs::write(&file, "[claude.env]\nANTHROPIC_API_KEY = \"sk-canary\n")?;
    let file = file.to_str().context("a path that is text")?;
    for args in [
        &["doctor", "--json", "--config", file][..],
        &["serve", "--config", file],
        &["demo", "--config", file],
    ] {
        let ran = daemon.run(args).await?;
        let all = format!("{}{}", ran.stdout, ran.stderr);
        assert!(all.contains("line 2") && !all.contains("sk-canary"), "{args:?}: {all}");
    }
    Ok(())
}

/// Installs a program `claude` that is the stand-in, but says all that it knows on stderr and fails where a file says so.
async fn install_talkative(daemon: &Daemon) -> Result<std::path::PathBuf> {
    let stand_in = daemon.cli(["stand-in"]).await?;
    let stand_in = stand_in.as_std().get_program().to_string_lossy().into_owned();
    let tell = "test ! -e tell || { env >&2; cat \"$CLAUDE_CONFIG_DIR/.credentials.json\" >&2; exit 1; }";
    let (draft, program) = (daemon.scratch().join("draft"), daemon.scratch().join("claude"));
    std::fs::write(
        &draft,
        format!("#!/bin/sh\n{tell}\nexec '{stand_in}' stand-in \"$@\"\n"),
    )?;
    std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o755))?;
    std::fs::rename(draft, &program)?;
    Ok(program)
}

#[tokio::test]
async fn a_lent_login_is_kept_secret_and_taken_back() -> Result<()> {
    let mut daemon = Daemon::builder()
        .env(
            "REVEILLE_CLAUDE__ENV__DATABASE",
            "postgres://me:canary-database@host/db",
        )
        .start()
        .await?;
    let program = install_talkative(&daemon).await?;
    let own = daemon.scratch().join(".claude");
    std::fs::create_dir(&own)?;
    let login = json!({"claudeAiOauth": {
        "accessToken": "canary-access", "refreshToken": "canary-refresh", "expiresAt": 32_503_680_000_000_i64,
    }});
    std::fs::write(own.join(".credentials.json"), login.to_string())?;
    daemon.set_env("REVEILLE_CLAUDE__PROGRAM", program);
    daemon.restart().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;

    // The agent's own directory is where it is started.
    let sent = daemon.send("eng", "[[exec touch tell]] [[reply done]]").await?;
    assert_eq!(daemon.wait_turn("eng", &sent).await?.state, State::Ok);
    let sent = daemon.send("eng", "hello").await?;
    let turn = daemon.wait_turn("eng", &sent).await?;
    assert_eq!(turn.state, State::Error);
    let log = eventually("the failure is told", LIMIT, async || {
        let log = daemon.log()?;
        Ok((log.contains("accessToken") && log.contains("***")).then_some(log))
    })
    .await
    .with_context(|| format!("{:?}", daemon.log()))?;
    assert!(!log.contains("canary"), "{log}");
    assert!(!serde_json::to_string(&turn.error)?.contains("canary"));

    let conversation = daemon.journal()?.conversations[0].id;
    let home = daemon.state_dir().join(format!("conversations/{conversation}"));
    let lent = home.join("home/.claude/.credentials.json");
    // It was there for the turn that told of it.
    assert!(home.join("home/.claude").is_dir() && !lent.exists());
    // A daemon that is killed takes back nothing: the next one does.
    std::fs::write(&lent, login.to_string())?;
    daemon.restart().await?;
    assert!(!lent.exists());
    Ok(())
}

/// More clients than there are connections, none of which ever sends its body.
async fn others_are_served_beside(extra: &str) -> Result<()> {
    const CONNECTIONS: usize = 4;
    let daemon = Daemon::builder()
        .stand_in()
        .env("REVEILLE_SERVER__MAX_CONNECTIONS", CONNECTIONS.to_string())
        .env("REVEILLE_SERVER__ARRIVAL", "200ms")
        .start()
        .await?;
    let authority = daemon.authority()?;
    let head = format!("POST /api/session HTTP/1.1\r\nhost: {authority}\r\n{extra}content-length: 100\r\n\r\n");
    let mut silent = Vec::new();
    for _ in 0..3 * CONNECTIONS {
        let mut stream = TcpStream::connect(&authority).await?;
        stream.write_all(head.as_bytes()).await?;
        silent.push(stream);
    }
    // On a connection of its own, behind all of them: it is told to come back, and then there is room.
    eventually("somebody else is served", LIMIT, async || {
        let status = daemon.ask_in("GET", "/api/agents", &[]).await?.status;
        assert!([200, 503].contains(&status), "{status}");
        Ok((status == 200).then_some(()))
    })
    .await?;
    let mut ended = 0;
    for mut stream in silent {
        let mut told = String::new();
        stream.read_to_string(&mut told).await?;
        let is_late = told.contains("HTTP/1.1 400 ") && told.contains("unreadable_body");
        assert!(is_late || told.contains("HTTP/1.1 503 "), "{told}");
        ended += usize::from(is_late);
    }
    assert!(ended > 0);
    Ok(())
}

#[tokio::test]
async fn clients_that_never_send_their_body_hold_nobody_up() -> Result<()> {
    others_are_served_beside("").await
}

#[tokio::test]
async fn clients_that_are_told_to_go_on_and_do_not_hold_nobody_up() -> Result<()> {
    others_are_served_beside("expect: 100-continue\r\n").await
}
