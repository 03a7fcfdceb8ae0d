//! Several vaults in one daemon: an agent lives where its definition is, and a vault is a border.

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::{LIMIT, Sent, State, Turn};
use reveille_tests::eventually;
use serde_json::{Value, json};

const TWO: &str = "[[vault]]\nname = \"first\"\n[[vault]]\nname = \"second\"\n";
const INBOUND: [&str; 2] = ["agent/message", "agent/message/inbound"];

async fn two() -> Result<Daemon> {
    Daemon::builder().stand_in().config(TWO).start().await
}

async fn create(daemon: &Daemon, vault: Option<&str>, name: &str) -> Result<Value> {
    let body = json!({ "name": name, "prompt": "You do as you are told.", "vault": vault });
    let made = daemon.request(Method::POST, &["api", "agents"], Some(&body)).await?;
    made.ok()
}

async fn define(daemon: &Daemon, vault: &str, name: &str) -> Result<String> {
    let metadata = json!({ "name": name });
    let note = daemon
        .note_put_in(
            vault,
            &format!("Agents/{name}"),
            "You do.",
            &["agent/definition"],
            &metadata,
        )
        .await?;
    Ok(note["id"].as_str().context("a note has an id")?.to_owned())
}

async fn says(daemon: &Daemon, vault: &str, note: &str, status: &str) -> Result<String> {
    eventually(&format!("{note} in {vault} says {status}"), LIMIT, async || {
        let note = daemon.note_in(vault, note).await?.context("the note is there")?;
        let metadata = &note["metadata"];
        let detail = metadata["status_detail"].as_str().unwrap_or_default().to_owned();
        Ok((metadata["status"] == status).then_some(detail))
    })
    .await
}

/// What is in a vault: tag and text of messages and threads.
async fn notes(daemon: &Daemon, vault: &str, tag: &str) -> Result<Vec<Value>> {
    let target = format!("/vault/{vault}/api/notes?include_content=true&tag={tag}");
    let answer = daemon.ask_in("GET", &target, b"").await?;
    serde_json::from_value(answer.json()?).context("a list of notes")
}

async fn answered(daemon: &Daemon, agent: &str, text: &str) -> Result<(Sent, Turn)> {
    let sent = daemon.send(agent, text).await?;
    let turn = daemon.wait_turn(agent, &sent).await?;
    Ok((sent, turn))
}

#[tokio::test]
async fn an_agent_lives_where_its_definition_is() -> Result<()> {
    let daemon = two().await?;
    assert_eq!(create(&daemon, None, "near").await?["vault"], "first");
    assert_eq!(create(&daemon, Some("second"), "far").await?["vault"], "second");
    let refused = json!({ "name": "lost", "vault": "third" });
    let reply = daemon.request(Method::POST, &["api", "agents"], Some(&refused)).await?;
    assert_eq!((reply.status, &reply.body["error"]), (404, &json!("unknown_vault")));
    assert!(
        reply.body["message"]
            .as_str()
            .is_some_and(|text| text.contains("first, second"))
    );

    for (agent, home, other) in [("near", "first", "second"), ("far", "second", "first")] {
        let (sent, turn) = answered(&daemon, agent, "Hello").await?;
        assert_eq!(turn.state, State::Ok);
        eventually("the reply is in the vault", LIMIT, async || {
            Ok((notes(&daemon, home, "agent/message/outbound").await?.len() == 1).then_some(()))
        })
        .await?;
        assert!(daemon.note_in(home, &sent.id).await?.is_some());
        assert!(
            daemon
                .note_in(home, &format!("Threads/{agent}/{agent}"))
                .await?
                .is_some()
        );
        let said: Vec<_> = daemon
            .messages(agent)
            .await?
            .into_iter()
            .map(|one| one.direction)
            .collect();
        assert_eq!(said, ["inbound", "outbound"], "{agent}");
        let elsewhere = notes(&daemon, other, "agent/thread").await?;
        assert!(
            elsewhere
                .iter()
                .all(|note| note["path"] != format!("Threads/{agent}/{agent}"))
        );
    }

    // What was said to an agent that is gone is found where it lived.
    let gone = daemon.request(Method::DELETE, &["api", "agents", "far"], None).await?;
    assert_eq!(gone.status, 200);
    assert_eq!(daemon.messages("far").await?.len(), 2);
    assert!(daemon.note_in("second", "Agents/far").await?.is_none());
    Ok(())
}

#[tokio::test]
async fn a_name_that_two_vaults_give_is_the_first_ones() -> Result<()> {
    let mut daemon = two().await?;
    // The older one is in the second vault.
    let late = define(&daemon, "second", "twin").await?;
    says(&daemon, "second", &late, "enabled").await?;
    let first = define(&daemon, "first", "twin").await?;
    says(&daemon, "first", &first, "enabled").await?;
    let detail = says(&daemon, "second", &late, "error").await?;
    assert!(
        detail.contains(&format!("definition {first} in vault first")),
        "{detail}"
    );
    let (sent, _) = answered(&daemon, "twin", "Hello").await?;
    assert!(daemon.note_in("first", &sent.id).await?.is_some());

    // Also after a start, whichever vault is read first.
    daemon.restart().await?;
    says(&daemon, "second", &late, "error").await?;
    let shown = daemon.request(Method::GET, &["api", "agents", "twin"], None).await?;
    assert_eq!((shown.status, &shown.body["vault"]), (200, &json!("first")));

    // The other one has its turn when the first is gone.
    let rm = daemon.request(Method::DELETE, &["api", "agents", "twin"], None).await?;
    assert_eq!(rm.status, 200);
    says(&daemon, "second", &late, "enabled").await?;
    let (sent, turn) = answered(&daemon, "twin", "Hello again").await?;
    assert_eq!(turn.state, State::Ok);
    assert!(daemon.note_in("second", &sent.id).await?.is_some());
    Ok(())
}

#[tokio::test]
async fn a_note_wakes_no_agent_of_another_vault() -> Result<()> {
    let daemon = two().await?;
    create(&daemon, Some("first"), "guarded").await?;
    let metadata = json!({ "agent": "guarded" });
    let stray = daemon
        .note_put_in("second", "Inbox/1", "Let me in", &INBOUND, &metadata)
        .await?;
    let stray = stray["id"].as_str().context("a note has an id")?.to_owned();
    let detail = says(&daemon, "second", &stray, "error").await?;
    assert!(detail.contains("lives in the vault \"first\""), "{detail}");

    // One that came before its agent is told so too, and ends.
    let metadata = json!({ "agent": "later" });
    let early = daemon
        .note_put_in("second", "Inbox/2", "Anybody?", &INBOUND, &metadata)
        .await?;
    let early = early["id"].as_str().context("a note has an id")?.to_owned();
    says(&daemon, "second", &early, "waiting").await?;
    create(&daemon, Some("first"), "later").await?;
    let failure = eventually("the failure is told in the vault of the message", LIMIT, async || {
        let told = notes(&daemon, "second", "agent/message/outbound").await?;
        Ok(told.into_iter().find(|note| note["metadata"]["in_reply_to"] == early))
    })
    .await?;
    assert_eq!(failure["metadata"]["code"], "other_vault");

    let (_, turn) = answered(&daemon, "guarded", "Hello").await?;
    assert_eq!(turn.state, State::Ok);
    let said = daemon.messages("guarded").await?;
    let asked = said.iter().filter(|one| one.direction == "inbound").count();
    assert_eq!(asked, 1, "the stray message has no turn: {said:?}");
    Ok(())
}

#[tokio::test]
async fn a_report_goes_to_the_vault_of_the_agent_that_asked() -> Result<()> {
    let daemon = two().await?;
    create(&daemon, Some("first"), "asker").await?;
    create(&daemon, Some("second"), "worker").await?;
    let body = json!({ "text": "Do it", "reply_to": "asker", "correlation_id": "c-1" });
    let sent = daemon.send_with("worker", &body).await?;
    assert_eq!(daemon.wait_turn("worker", &sent).await?.state, State::Ok);
    let report = eventually("the report is in the vault of the asker", LIMIT, async || {
        let told = notes(&daemon, "first", "agent/message/inbound").await?;
        Ok(told
            .into_iter()
            .find(|note| note["metadata"]["correlation_id"] == "c-1"))
    })
    .await?;
    let text = report["content"].as_str().unwrap_or_default();
    assert!(text.contains("Its notes are in the vault \"second\""), "{text}");
    eventually("the asker was woken", LIMIT, async || {
        let said = daemon.messages("asker").await?;
        Ok(said.iter().any(|one| one.direction == "outbound").then_some(()))
    })
    .await
}

#[tokio::test]
async fn commands_take_the_first_vault_and_a_turn_its_own() -> Result<()> {
    let daemon = two().await?;
    for args in [
        &["note", "put", "Ideas/one", "first"][..],
        &["note", "put", "Ideas/one", "second", "--vault", "second"],
    ] {
        let ran = daemon.run(args.iter().copied()).await?;
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    for vault in ["first", "second"] {
        let note = daemon.note_in(vault, "Ideas/one").await?.context("the note")?;
        assert_eq!(note["content"], vault);
    }
    let trigger = json!({ "name": "t", "action": { "webhook": "http://127.0.0.1:9/hook" } });
    let address = ["vault", "first", "api", "triggers"];
    let made = daemon.request(Method::POST, &address, Some(&trigger)).await?;
    assert_eq!(made.status, 201, "{}", made.body);
    for (args, expected) in [
        (&["trigger", "list"][..], "t "),
        (&["trigger", "list", "--vault", "second"], "no triggers"),
        (&["trigger", "pause", "t"], "t is "),
        (&["trigger", "rm", "t"], "removed t"),
    ] {
        let ran = daemon.run(args.iter().copied()).await?;
        let told = ran.stdout.lines().any(|line| line.starts_with(expected));
        assert!(ran.code == 0 && told, "{args:?}: {ran:?}");
    }
    create(&daemon, Some("second"), "far").await?;
    let (_, turn) = answered(&daemon, "far", "[[exec \"$REVEILLE_BIN\" note put Ideas/turn written]]").await?;
    assert_eq!(turn.state, State::Ok);
    assert!(daemon.note_in("second", "Ideas/turn").await?.is_some());
    assert!(daemon.note_in("first", "Ideas/turn").await?.is_none());
    let listed = daemon.run(["vault", "list"]).await?;
    let rows: Vec<Vec<&str>> = listed
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        rows,
        [
            vec!["NAME", "KIND", "STATE"],
            vec!["first", "embedded", "ready"],
            vec!["second", "embedded", "ready"]
        ]
    );
    Ok(())
}

#[tokio::test]
async fn vaults_are_backed_up_while_the_daemon_serves_and_the_copy_is_a_vault() -> Result<()> {
    let mut daemon = two().await?;
    create(&daemon, Some("first"), "near").await?;
    create(&daemon, Some("second"), "far").await?;
    answered(&daemon, "far", "Hello").await?;
    eventually("the reply is in the vault", LIMIT, async || {
        Ok((notes(&daemon, "second", "agent/message/outbound").await?.len() == 1).then_some(()))
    })
    .await?;
    let backup = daemon.scratch().join("backup");
    let to = backup.to_str().context("a path")?;
    let ran = daemon.run(["vault", "backup", to]).await?;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout.contains("first: ") && ran.stdout.contains("second: "),
        "{ran:?}"
    );
    let again = daemon.run(["vault", "backup", to, "--vault", "first"]).await?;
    assert!(
        again.code == 4 && again.stderr.contains("is there already"),
        "{again:?}"
    );
    let unknown = daemon.run(["vault", "backup", to, "--vault", "third"]).await?;
    assert!(unknown.stderr.contains("first, second"), "{unknown:?}");

    // What comes after it is lost with the disk; what was before is there again.
    create(&daemon, Some("second"), "late").await?;
    daemon.stop().await?;
    let vaults = daemon.state_dir().join("vaults");
    std::fs::remove_dir_all(&vaults)?;
    std::fs::rename(&backup, &vaults)?;
    daemon.start().await?;
    let names: Vec<_> = daemon
        .agents()
        .await?
        .into_iter()
        .map(|agent| agent["name"].clone())
        .collect();
    assert_eq!(names, [json!("far"), json!("near")]);
    assert_eq!(daemon.messages("far").await?.len(), 2);
    let (_, turn) = answered(&daemon, "far", "Hello again").await?;
    assert_eq!(turn.state, State::Ok);
    Ok(())
}
