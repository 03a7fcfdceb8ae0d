//! What webhooks tell that is not about one turn: what becomes of agents, budgets and the health of the daemon.

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{State, rows};
use reveille_tests::{Receiver, ReceiverAnswer as Answer, eventually};

use super::webhooks::is_ours;
use super::*;

/// Tags of a definition.
const DEFINITION: [&str; 1] = ["agent/definition"];

fn table(receiver: &Receiver, name: &str, events: &str) -> String {
    let url = receiver.url(&format!("/{name}"));
    format!(
        "[[webhook]]\nname = \"{name}\"\nurl = \"{url}\"\nsecret = \"${{HOOK}}\"\nallow = {{ private = true }}\nevents = {events}\n"
    )
}

/// A daemon that knows from when on something is news.
async fn daemon_with(config: &str, known: &[&str]) -> Result<Daemon> {
    let daemon = Daemon::builder()
        .stand_in()
        .env("HOOK", webhooks::secret())
        .config(config)
        .start()
        .await?;
    let file = daemon.state_dir().join("bridges.sqlite");
    for key in known {
        eventually(&format!("{key} is known"), LIMIT, async || {
            let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
            let outbox = rusqlite::Connection::open_with_flags(&file, flags)?;
            let found = rows(
                &outbox,
                &format!("SELECT 1 FROM kept WHERE bridge = 'webhooks.news' AND key = '{key}'"),
            )?;
            Ok((!found.is_empty()).then_some(()))
        })
        .await?;
    }
    Ok(daemon)
}

/// What was told there, each event once: agent and body.
fn told(receiver: &Receiver, path: &str) -> Vec<(String, String, Value)> {
    let mut all: Vec<(String, String, String, Value)> = Vec::new();
    for one in receiver.told_at(path) {
        assert!(is_ours(&one), "{one:?}");
        let (id, said) = (one.header("webhook-id").to_owned(), one.json());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        if all.iter().all(|(known, ..)| *known != id) {
            let (kind, agent) = (text(&said["type"]), text(&said["data"]["agent"]));
            all.push((id, kind, agent, said["data"]["body"].clone()));
        }
    }
    all.into_iter()
        .map(|(_, kind, agent, body)| (kind, agent, body))
        .collect()
}

/// Waits until the last that was told of an agent is that; answers the body.
async fn until_last(receiver: &Receiver, path: &str, agent: &str, change: &str) -> Result<Value> {
    eventually(&format!("{agent} was {change}"), LIMIT, async || {
        let all = told(receiver, path);
        let last = all.iter().rfind(|(_, of, _)| of == agent);
        Ok(last
            .filter(|(.., body)| body["change"] == change)
            .map(|(.., body)| body.clone()))
    })
    .await
}

fn changes_of(receiver: &Receiver, path: &str, agent: &str) -> Vec<String> {
    let all = told(receiver, path).into_iter().filter(|(_, of, _)| of == agent);
    all.map(|(.., body)| body["change"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[tokio::test]
async fn what_becomes_of_an_agent_is_told_once_whatever_happens_to_the_daemon() -> Result<()> {
    let receiver = Receiver::start().await?;
    let config = table(&receiver, "agents", "[\"agent.changed\"]");
    let mut daemon = daemon_with(&config, &["vault/default"]).await?;
    daemon.create_agent("eng", "You build.").await?;
    let made = until_last(&receiver, "/agents", "eng", "made").await?;
    assert_eq!(made, json!({ "change": "made", "vault": "default" }));
    let post = async |daemon: &Daemon, what: &str, body: &Value| -> Result<()> {
        post(daemon, &["api", "agents", "eng", what], body)
            .await?
            .ok::<Value>()
            .map(drop)
    };
    post(&daemon, "pause", &json!({ "reason": "lunch" })).await?;
    let paused = until_last(&receiver, "/agents", "eng", "paused").await?;
    assert_eq!(
        (&paused["code"], &paused["reason"]),
        (&json!("person"), &json!("lunch"))
    );
    // Nothing of it again, and what comes later all the same.
    daemon.kill9().await?;
    daemon.start().await?;
    post(&daemon, "resume", &json!({})).await?;
    until_last(&receiver, "/agents", "eng", "resumed").await?;
    let edit = json!({ "metadata": { "model": "opus" } });
    let edited = daemon
        .request(Method::PATCH, &["api", "agents", "eng"], Some(&edit))
        .await?;
    ensure!(edited.status == 200, "{}", edited.body);
    until_last(&receiver, "/agents", "eng", "edited").await?;
    daemon.restart().await?;
    // A turn is no change of its agent.
    let sent = daemon.send("eng", "hello").await?;
    daemon.wait_turn("eng", &sent).await?;
    let removed = daemon.request(Method::DELETE, &["api", "agents", "eng"], None).await?;
    ensure!(removed.status == 200, "{}", removed.body);
    until_last(&receiver, "/agents", "eng", "removed").await?;
    assert_eq!(
        changes_of(&receiver, "/agents", "eng"),
        ["made", "paused", "resumed", "edited", "removed"]
    );

    // What was not told when it was killed is told then.
    daemon.create_agent("late", "You are late.").await?;
    daemon.kill9().await?;
    daemon.start().await?;
    until_last(&receiver, "/agents", "late", "made").await?;
    assert_eq!(changes_of(&receiver, "/agents", "late"), ["made"]);

    // A note that was never right is nobody's, and says what is wrong.
    let (good, bad) = (
        json!({ "name": "odd", "max_turns": "3" }),
        json!({ "name": "odd", "max_turns": "-1" }),
    );
    let put = async |metadata: &Value| {
        daemon
            .note_put("Agents/odd", "You are odd.", &DEFINITION, metadata)
            .await
    };
    put(&bad).await?;
    let broken = until_last(&receiver, "/agents", "odd", "broken").await?;
    assert_eq!(broken["problems"][0]["key"], "max_turns", "{broken}");
    put(&good).await?;
    until_last(&receiver, "/agents", "odd", "made").await?;
    put(&bad).await?;
    until_last(&receiver, "/agents", "odd", "broken").await?;
    put(&good).await?;
    until_last(&receiver, "/agents", "odd", "mended").await?;
    Ok(())
}

#[tokio::test]
async fn what_a_person_does_to_files_while_the_daemon_is_away_is_told_once_it_is_back() -> Result<()> {
    let receiver = Receiver::start().await?;
    let dir = tempfile::tempdir()?;
    let agent = |name: &str, role: &str| -> Result<()> {
        let text = format!("---\ntags: [agent/definition]\nname: {name}\n---\n{role}\n");
        Ok(std::fs::write(dir.path().join(format!("{name}.md")), text)?)
    };
    agent("old", "You are old.")?;
    agent("gone", "You go.")?;
    let vault = format!(
        "[vault]\nname = \"notes\"\nkind = \"folder\"\npath = {:?}\n\n",
        dir.path()
    );
    let config = vault + &table(&receiver, "agents", "[\"agent.changed\"]");
    let mut daemon = daemon_with(&config, &["vault/notes", "agent/old", "agent/gone"]).await?;
    daemon.stop().await?;
    assert_eq!(told(&receiver, "/agents"), [], "what there was is no news");
    agent("old", "You are older.")?;
    agent("new", "You are new.")?;
    std::fs::remove_file(dir.path().join("gone.md"))?;
    daemon.start().await?;
    for (name, change) in [("old", "edited"), ("new", "made"), ("gone", "removed")] {
        until_last(&receiver, "/agents", name, change).await?;
        assert_eq!(changes_of(&receiver, "/agents", name), [change]);
    }
    Ok(())
}

#[tokio::test]
async fn a_budget_that_is_reached_is_told_once() -> Result<()> {
    let receiver = Receiver::start().await?;
    let config = table(&receiver, "money", "[\"budget.reached\"]");
    let mut daemon = daemon_with(&config, &["vault/default"]).await?;
    for (name, metadata) in [
        ("turn", json!({ "budget_turn_usd": "0.10" })),
        ("day", json!({ "budget_day_usd": "0.30" })),
    ] {
        let body = json!({ "name": name, "prompt": "p", "metadata": metadata });
        let made = daemon.request(Method::POST, &["api", "agents"], Some(&body)).await?;
        ensure!(made.status == 201, "{}", made.body);
    }
    let of = |agent: &str| -> Vec<Value> {
        let all = told(&receiver, "/money").into_iter().filter(|(_, of, _)| of == agent);
        all.map(|(.., body)| body).collect()
    };
    let until_told = async |agent: &str| {
        eventually(&format!("the budget of {agent} is told"), LIMIT, async || {
            Ok(of(agent).pop())
        })
        .await
    };
    let sent = daemon.send("turn", "[[cost 0.25]]").await?;
    let over = daemon.wait_turn("turn", &sent).await?;
    assert_eq!(over.error.context("an error")?["code"], "budget");
    let reached = until_told("turn").await?;
    assert_eq!(
        (&reached["scope"], &reached["limit_usd"]),
        (&json!("turn"), &json!(0.1))
    );
    assert!(
        reached["spent_usd"].as_f64().is_some_and(|usd| usd >= 0.25),
        "{reached}"
    );
    assert!(
        reached["message"].as_str().is_some_and(|words| words.len() > 10),
        "{reached}"
    );

    let sent = daemon.send("day", "[[cost 0.40]]").await?;
    daemon.wait_turn("day", &sent).await?;
    // What comes after it waits, and tells the same once more.
    daemon.send("day", "and this").await?;
    let reached = until_told("day").await?;
    assert_eq!((&reached["scope"], &reached["limit_usd"]), (&json!("day"), &json!(0.3)));
    assert!(reached["until_at"].is_string(), "{reached}");
    daemon.restart().await?;
    let sent = daemon.send("turn", "[[cost 0.25]]").await?;
    daemon.wait_turn("turn", &sent).await?;
    eventually("another turn is another budget", LIMIT, async || {
        Ok((of("turn").len() == 2).then_some(()))
    })
    .await?;
    assert_eq!(of("day").len(), 1, "{:?}", of("day"));
    Ok(())
}

#[tokio::test]
async fn what_is_not_well_and_what_is_well_again_is_told() -> Result<()> {
    let receiver = Receiver::start().await?;
    receiver.script("/ends", [Answer::Status(401)]);
    let config = table(&receiver, "health", "[\"health.changed\"]") + &table(&receiver, "ends", "[\"turn.settled\"]");
    let mut daemon = daemon_with(&config, &["health"]).await?;
    daemon.create_agent("eng", "You build.").await?;
    let until_told = async |status: &str, count: usize| {
        eventually(&format!("{status} is told"), LIMIT, async || {
            let all = told(&receiver, "/health");
            let last = all
                .last()
                .filter(|(.., body)| all.len() == count && body["status"] == status);
            Ok(last.map(|(.., body)| body.clone()))
        })
        .await
    };
    let sent = daemon.send("eng", "hello").await?;
    daemon.wait_turn("eng", &sent).await?;
    let worse = until_told("degraded", 1).await?;
    let change = |now: &str| json!([{ "what": "bridge", "name": "webhook/ends", "now": now }]);
    assert_eq!(worse["changes"], change("down"));
    // It is the same after a restart, and nobody is told once more.
    daemon.restart().await?;
    receiver.script("/ends", [Answer::Status(200)]);
    eventually("it is refused still", LIMIT, async || {
        let one: Value = daemon
            .request(Method::GET, &["api", "webhooks", "ends"], None)
            .await?
            .ok()?;
        Ok((one["state"] == "refused").then_some(()))
    })
    .await?;
    post(&daemon, &["api", "webhooks", "ends", "resume"], &json!({}))
        .await?
        .ok::<Value>()?;
    let better = until_told("ok", 2).await?;
    assert_eq!(better["changes"], change("ok"));
    Ok(())
}

#[tokio::test]
async fn a_vault_that_cannot_be_read_is_told_and_its_agents_are_not_gone() -> Result<()> {
    let receiver = Receiver::start().await?;
    let config = "[[vault]]\nname = \"default\"\n[[vault]]\nname = \"second\"\n".to_owned()
        + &table(&receiver, "all", "[\"health.changed\", \"agent.changed\"]");
    let mut daemon = daemon_with(&config, &["health", "vault/default", "vault/second"]).await?;
    let body = json!({ "name": "far", "prompt": "You are far.", "vault": "second" });
    post(&daemon, &["api", "agents"], &body).await?.ok::<Value>()?;
    let made = until_last(&receiver, "/all", "far", "made").await?;
    assert_eq!(made["vault"], "second");
    daemon.stop().await?;
    let vault = daemon.state_dir().join("vaults/second.db");
    let aside = daemon.scratch().join("aside.db");
    std::fs::rename(&vault, &aside)?;
    std::fs::write(&vault, "this is not a database ".repeat(1000))?;
    daemon.start().await?;
    let until_told = async |status: &str, now: &str| {
        eventually(&format!("the vault is {now}"), LIMIT, async || {
            let all = told(&receiver, "/all");
            let last = all.iter().rfind(|(kind, ..)| kind == "health.changed");
            let wanted = json!([{ "what": "vault", "name": "second", "now": now }]);
            let is = last.is_some_and(|(.., body)| body["status"] == status && body["changes"] == wanted);
            Ok(is.then_some(()))
        })
        .await
    };
    until_told("degraded", "unavailable").await?;
    daemon.create_agent("near", "You are near.").await?;
    until_last(&receiver, "/all", "near", "made").await?;
    std::fs::rename(&aside, &vault)?;
    until_told("ok", "ok").await?;
    let paused = post(&daemon, &["api", "agents", "far", "pause"], &json!({})).await?;
    ensure!(paused.status == 200, "{}", paused.body);
    until_last(&receiver, "/all", "far", "paused").await?;
    assert_eq!(changes_of(&receiver, "/all", "far"), ["made", "paused"]);
    Ok(())
}

#[tokio::test]
async fn the_budget_of_a_chain_is_told_of_each_turn_that_it_ends() -> Result<()> {
    let receiver = Receiver::start().await?;
    let config = "[limits]\nchain_usd = 0.40\n".to_owned() + &table(&receiver, "money", "[\"budget.reached\"]");
    let mut daemon = daemon_with(&config, &["vault/default"]).await?;
    for agent in ["ann", "ben"] {
        daemon.create_agent(agent, "You do as you are told.").await?;
    }
    let script = daemon.scratch().join("hand-on");
    let hand_on = r#"exec "$REVEILLE_BIN" send ben "[[cost 0.50]]" --reply-to ann"#;
    std::fs::write(&script, hand_on)?;
    let text = format!("[[exec sh {}]]", script.display());
    let sent = daemon.send("ann", &text).await?;
    let begun = daemon.wait_turn("ann", &sent).await?;
    assert_eq!(begun.state, State::Ok, "{begun:?}");

    // The turn that was handed the work has a share of what the chain may cost, and takes more than all of it. Nothing is left
    // for the one that is to hear of that.
    let of = |agent: &str| -> Vec<Value> {
        let all = told(&receiver, "/money").into_iter().filter(|(_, of, _)| of == agent);
        all.map(|(.., body)| body).collect()
    };
    for (agent, words) in [("ben", "its share of the budget"), ("ann", "of $0.40")] {
        let reached = eventually(&format!("{agent} is told of"), LIMIT, async || Ok(of(agent).pop())).await?;
        assert_eq!(
            (&reached["scope"], &reached["limit_usd"]),
            (&json!("chain"), &json!(0.4))
        );
        // Of all turns of the chain together.
        let spent = reached["spent_usd"].as_f64().context("a number")?;
        assert!(spent > 0.5 && spent < 1.0, "{reached}");
        assert!(
            reached["message"].as_str().is_some_and(|text| text.contains(words)),
            "{reached}"
        );
        assert!(reached.get("until_at").is_none_or(Value::is_null), "{reached}");
    }
    // Another message begins another chain.
    daemon.restart().await?;
    let sent = daemon.send("ann", "hello").await?;
    assert_eq!(daemon.wait_turn("ann", &sent).await?.state, State::Ok);
    let sent = daemon.send("ben", "[[cost 0.50]]").await?;
    daemon.wait_turn("ben", &sent).await?;
    eventually("another chain is another budget", LIMIT, async || {
        Ok((of("ben").len() == 2).then_some(()))
    })
    .await?;
    assert_eq!(of("ann").len(), 1, "{:?}", of("ann"));
    Ok(())
}

#[tokio::test]
async fn a_vault_that_takes_nothing_is_told_until_it_does_again() -> Result<()> {
    let receiver = Receiver::start().await?;
    let config = table(&receiver, "health", "[\"health.changed\"]");
    let daemon = daemon_with(&config, &["health"]).await?;
    daemon.create_agent("eng", "You build.").await?;
    let vault = rusqlite::Connection::open(daemon.state_dir().join("vaults/default.db"))?;
    vault.busy_timeout(LIMIT)?;
    for (name, what) in [("shut_new", "INSERT"), ("shut_old", "UPDATE")] {
        vault.execute_batch(&format!(
            "CREATE TRIGGER {name} BEFORE {what} ON notes WHEN NEW.tags LIKE '%agent/message/outbound%' \
             BEGIN SELECT RAISE(ABORT, 'the door is shut'); END;"
        ))?;
    }
    // The last word on what is to be delivered, and on the whole.
    let now = || -> (Vec<(String, String)>, Value) {
        let (mut words, mut status) = (std::collections::BTreeMap::new(), Value::Null);
        for (_, _, body) in told(&receiver, "/health") {
            let changes = body["changes"].as_array().into_iter().flatten();
            for change in changes.filter(|change| change["what"] == "deliveries") {
                let text = |key: &str| change[key].as_str().unwrap_or_default().to_owned();
                words.insert(text("name"), text("now"));
            }
            status = body["status"].clone();
        }
        (words.into_iter().collect(), status)
    };
    let until = async |overdue: &str, breaker: &str, status: &str| {
        let words = [("", overdue), ("default", breaker)];
        let words = words.map(|(what, word)| (what.to_owned(), word.to_owned()));
        let wanted = (words.to_vec(), json!(status));
        eventually(&format!("it is {breaker}"), LIMIT, async || {
            Ok((now() == wanted).then_some(()))
        })
        .await
        .with_context(|| format!("{:?}", now()))
    };
    let sent = daemon.send("eng", "hello").await?;
    until("waiting", "open", "degraded").await?;
    // It is asked once and again, and that is no news.
    vault.execute_batch("DROP TRIGGER shut_new; DROP TRIGGER shut_old;")?;
    post(&daemon, &["api", "undelivered", "retry"], &json!({}))
        .await?
        .ok::<Value>()?;
    daemon.wait_turn("eng", &sent).await?;
    until("ok", "ok", "ok").await?;
    let opened = told(&receiver, "/health").into_iter().filter(|(.., body)| {
        let changes = body["changes"].as_array();
        changes.is_some_and(|all| all.iter().any(|one| one["now"] == "open"))
    });
    assert_eq!(opened.count(), 1);
    Ok(())
}
