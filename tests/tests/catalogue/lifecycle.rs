//! From note to agent and back: what starts, changes and ends an agent.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{LIMIT, State};
use reveille_tests::parachute::{Parachute, TOKEN, Version};
use reveille_tests::{Daemon, eventually};
use serde_json::{Value, json};

use super::agent_defs::{def, defs};
use super::held::Held;
use super::jobs;
use super::{
    DEFINITION, asked, daemon, define, defined, delete, each, feed_comes_round, get, list, listed, meta, patch,
    refused, shown, stamped, text, with_eng, with_peer, writes,
};

fn at_server(peer: &Parachute, name: &str, more: &Value) -> Result<()> {
    let mut metadata = json!({ "name": name });
    super::merge(&mut metadata, more);
    let note =
        json!({ "path": format!("Agents/{name}"), "content": "You help.", "tags": [DEFINITION], "metadata": metadata });
    peer.write(&note)
        .map(drop)
        .map_err(|refusal| anyhow::anyhow!("{refusal}"))
}

async fn names_are(daemon: &Daemon, expected: &[&str]) -> Result<()> {
    let what = format!("the agents are {expected:?}");
    eventually(&what, LIMIT, async || {
        let defs = defs(daemon).await?;
        Ok((each(&defs, "name") == expected).then_some(()))
    })
    .await
}

#[tokio::test]
async fn ac_137_138_each_note_is_taken_for_itself() -> Result<()> {
    let daemon = daemon().await?;
    define(&daemon, "Agents/nameless", "Who am I?", &json!({ "mode": "chaos" })).await?;
    let plain = defined(&daemon, "plain", "You help.", &json!({}), "enabled").await?;
    let uses = defined(
        &daemon,
        "uses",
        "You help.",
        &json!({ "uses": "mail, calendar" }),
        "pending",
    )
    .await?;
    let nameless = stamped(&daemon, "Agents/nameless", "error").await?;
    assert!(meta(&nameless, "status_detail").contains("name"), "{nameless}");
    assert_eq!(meta(&uses, "pending"), "mail, calendar");
    assert_eq!(meta(&plain, "pending"), "");
    let all = defs(&daemon).await?;
    let live: Vec<_> = all.iter().filter(|def| def["status"] != "error").collect();
    assert_eq!(
        live.iter().map(|def| text(def, "name")).collect::<Vec<_>>(),
        ["plain", "uses"]
    );
    assert_eq!(
        (&live[0]["status"], &live[1]["status"]),
        (&json!("enabled"), &json!("pending"))
    );
    assert_eq!(live[1]["pending"], json!(["mail", "calendar"]));
    for name in ["plain", "uses"] {
        assert_eq!(asked(&daemon, name, "[[reply here]]").await?, "here");
    }
    Ok(())
}

#[tokio::test]
async fn ac_140_141_142_an_edit_counts_and_a_removal_ends_it() -> Result<()> {
    let daemon = daemon().await?;
    defined(
        &daemon,
        "eng",
        "You are first.",
        &json!({ "model": "sonnet" }),
        "enabled",
    )
    .await?;
    daemon
        .note_put("Agents/eng", "You are second.", &[], &json!({ "model": "opus" }))
        .await?;
    eventually("the edit counts", LIMIT, async || {
        let agent = shown(&daemon, "eng").await?;
        Ok((agent["prompt"] == "You are second." && agent["settings"]["model"]["value"] == "opus").then_some(()))
    })
    .await?;
    assert_eq!(defs(&daemon).await?.len(), 1);
    delete(&daemon, &["vault", "default", "api", "notes", "Agents/eng"])
        .await?
        .ok::<Value>()?;
    names_are(&daemon, &[]).await?;
    assert_eq!(daemon.send("eng", "hello").await.is_err(), true);
    // It comes back as what it is then.
    defined(&daemon, "eng", "You are third.", &json!({}), "enabled").await?;
    assert_eq!(text(&shown(&daemon, "eng").await?, "prompt"), "You are third.");
    Ok(())
}

#[tokio::test]
async fn ac_144_145_what_is_gone_at_the_server_is_gone_and_what_is_not_stays() -> Result<()> {
    const MANY: usize = 520;
    let peer = Parachute::start(Version::May)?;
    for number in 0..MANY {
        at_server(&peer, &format!("agent-{number:03}"), &json!({}))?;
    }
    let daemon = with_peer(&peer).await?;
    let count = async |expected: usize| {
        let what = format!("there are {expected} agents");
        eventually(&what, LIMIT, async || {
            Ok((defs(&daemon).await?.len() == expected).then_some(()))
        })
        .await
    };
    count(MANY).await?;
    peer.remove("Agents/agent-100");
    count(MANY - 1).await?;
    // An answer that holds fewer of them, or none, is no removal.
    peer.set_faults(|faults| (faults.page_max, faults.garble) = (100, 3));
    at_server(&peer, "late", &json!({}))?;
    count(MANY).await?;
    peer.remove("Agents/agent-101");
    count(MANY - 1).await?;
    assert_eq!(listed(&daemon, "agent-101").await?, None);
    assert_eq!(asked(&daemon, "agent-519", "[[reply here]]").await?, "here");
    Ok(())
}

#[tokio::test]
async fn what_goes_away_while_the_vault_is_read_for_the_first_time_is_gone() -> Result<()> {
    let peer = Parachute::start(Version::May)?;
    for name in ["goes", "stays"] {
        at_server(&peer, name, &json!({}))?;
    }
    let metadata = json!({ "jobId": "daily", "agent": "stays", "cron": "0 0 1 1 *", "tz": "UTC" });
    let job = json!({ "path": "Jobs/daily", "content": "[[reply woken]]", "tags": [jobs::JOB], "metadata": metadata });
    peer.write(&job).map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
    let note = peer.note("Agents/goes").context("a note")?;
    let ids = note.id.get(..4).context("an identity begins with its year")?;
    // The first scan lists notes and asks for each of them.
    peer.set_faults(|faults| faults.hold = Some(format!("GET /vault/default/api/notes/{ids}")));
    let daemon = with_peer(&peer).await?;
    names_are(&daemon, &["goes", "stays"]).await?;
    let jobs = async |expected: usize| {
        eventually(&format!("{expected} jobs"), LIMIT, async || {
            Ok((jobs::all(&daemon).await?.len() == expected).then_some(()))
        })
        .await
    };
    jobs(1).await?;
    peer.remove("Agents/goes");
    peer.remove("Jobs/daily");
    peer.set_faults(|faults| faults.hold = None);
    names_are(&daemon, &["stays"]).await?;
    jobs(0).await
}

#[tokio::test]
async fn ac_146_a_vault_that_fails_takes_no_other_one_along() -> Result<()> {
    let peer = Parachute::start(Version::July)?;
    at_server(&peer, "far", &json!({}))?;
    peer.set_faults(|faults| faults.status = Some(500));
    let config = format!(
        "[[vault]]\nname = \"remote\"\nkind = \"parachute\"\nurl = \"{}\"\nvault = \"default\"\npoll = \"1s\"\n\
         token = \"${{PARACHUTE_TOKEN}}\"\n[[vault]]\nname = \"near\"\n",
        peer.url()
    );
    let daemon = Daemon::builder()
        .stand_in()
        .env("PARACHUTE_TOKEN", TOKEN)
        .config(&config)
        .start()
        .await?;
    let metadata = json!({ "name": "close" });
    daemon
        .note_put_in("near", "Agents/close", "You help.", &[DEFINITION], &metadata)
        .await?;
    names_are(&daemon, &["close"]).await?;
    assert_eq!(asked(&daemon, "close", "[[reply here]]").await?, "here");
    peer.set_faults(|faults| faults.status = None);
    names_are(&daemon, &["close", "far"]).await?;
    assert_eq!(text(&def(&daemon, "far").await?, "vault"), "remote");
    peer.set_faults(|faults| faults.status = Some(500));
    assert_eq!(asked(&daemon, "close", "[[reply still here]]").await?, "still here");
    assert_eq!(defs(&daemon).await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn ac_147_an_id_that_two_vaults_have_is_ambiguous() -> Result<()> {
    let config = "[[vault]]\nname = \"first\"\n[[vault]]\nname = \"second\"\n";
    let daemon = Daemon::builder().stand_in().config(config).start().await?;
    for (vault, name) in [("first", "near"), ("second", "far")] {
        let note =
            json!({ "id": "same-id", "content": "You help.", "tags": [DEFINITION], "metadata": { "name": name } });
        super::post(&daemon, &["vault", vault, "api", "notes"], &note)
            .await?
            .ok::<Value>()?;
    }
    names_are(&daemon, &["far", "near"]).await?;
    let path = ["api", "agent-defs", "same-id"];
    for reply in [
        get(&daemon, &path).await?,
        patch(&daemon, &path, &json!({ "systemPrompt": "x" })).await?,
        delete(&daemon, &path).await?,
    ] {
        refused(&reply, 409, &["first", "second"])?;
    }
    delete(&daemon, &["vault", "second", "api", "notes", "same-id"])
        .await?
        .ok::<Value>()?;
    names_are(&daemon, &["near"]).await?;
    assert_eq!(get(&daemon, &path).await?.ok::<Value>()?["def"]["name"], json!("near"));
    Ok(())
}

#[tokio::test]
async fn ac_156_a_rename_leaves_no_old_agent_behind() -> Result<()> {
    let daemon = daemon().await?;
    defined(&daemon, "old", "You help.", &json!({}), "enabled").await?;
    assert_eq!(asked(&daemon, "old", "[[reply before]]").await?, "before");
    daemon
        .note_put("Agents/old", "You help.", &[], &json!({ "name": "new" }))
        .await?;
    names_are(&daemon, &["new"]).await?;
    let gone = super::post(&daemon, &["api", "channels", "old", "send"], &json!({ "text": "x" })).await?;
    refused(&gone, 404, &["old"])?;
    assert_eq!(asked(&daemon, "new", "[[reply after]]").await?, "after");
    // Its conversation went along.
    let thread = shown(&daemon, "new").await?;
    assert_eq!(text(&thread, "name"), "new");
    Ok(())
}

#[tokio::test]
async fn ac_157_a_running_turn_ends_as_it_began_whatever_becomes_of_its_definition() -> Result<()> {
    let daemon = daemon().await?;
    let made = defined(&daemon, "eng", "You help.", &json!({}), "enabled").await?;
    let held = Held::new(&daemon, "eng").await?;
    daemon
        .note_put("Agents/eng", "You help.", &[], &json!({ "mode": "chaos" }))
        .await?;
    stamped(&daemon, "Agents/eng", "error").await?;
    held.let_go()?;
    let turn = daemon.wait_turn("eng", &held.sent).await?;
    assert_eq!(turn.state, State::Ok, "{turn:?}");
    daemon
        .note_put("Agents/eng", "You help.", &[], &json!({ "mode": "single-threaded" }))
        .await?;
    stamped(&daemon, "Agents/eng", "enabled").await?;
    // Removed in the middle of a turn.
    let held = Held::new(&daemon, "eng").await?;
    let told: Value = delete(&daemon, &["api", "agent-defs", text(&made, "id")]).await?.ok()?;
    assert_eq!(told["removed"], json!(true));
    held.let_go()?;
    let turn = daemon.wait_turn("eng", &held.sent).await?;
    assert_eq!(turn.state, State::Ok, "{turn:?}");
    Ok(())
}

#[tokio::test]
async fn ac_159_what_does_not_change_is_not_written() -> Result<()> {
    let daemon = with_eng().await?;
    let mut kept = Vec::new();
    for number in 0..30 {
        let more = match number % 3 {
            0 => json!({}),
            1 => json!({ "wants": "env:github" }),
            _ => json!({ "mode": "chaos" }),
        };
        let status = ["enabled", "pending", "error"][number % 3];
        kept.push(defined(&daemon, &format!("agent-{number}"), "You help.", &more, status).await?);
    }
    feed_comes_round(&daemon, "eng").await?;
    let written: Vec<usize> = kept.iter().map(|note| writes(&daemon, note)).collect::<Result<_>>()?;
    assert_eq!(written, vec![2; 30], "one by the person and one by the daemon");
    // The same text again is no change, and wakes nothing.
    for note in &kept {
        let name = meta(note, "name");
        daemon
            .note_put(&format!("Agents/{name}"), "You help.", &[], &json!({ "name": name }))
            .await?;
    }
    for _ in 0..2 {
        feed_comes_round(&daemon, "eng").await?;
    }
    for note in &kept {
        assert_eq!(daemon.note(text(note, "id")).await?.context("the note")?, *note);
    }
    Ok(())
}

#[tokio::test]
async fn ac_159_an_approval_changes_what_a_note_says_without_an_edit() -> Result<()> {
    let daemon = with_eng().await?;
    defined(
        &daemon,
        "asker",
        "You ask.",
        &json!({ "wants": "env:github" }),
        "pending",
    )
    .await?;
    let connections: Value = get(&daemon, &["api", "connections"]).await?.ok()?;
    let [connection] = &list(&connections, "connections")?[..] else {
        panic!("one connection: {connections}")
    };
    let approval = json!({ "holder": connection["holder"], "key": connection["key"], "token": "s3cret-github" });
    super::post(&daemon, &["api", "connections", "approve"], &approval)
        .await?
        .ok::<Value>()?;
    let note = stamped(&daemon, "Agents/asker", "enabled").await?;
    assert_eq!(meta(&note, "pending"), "");
    Ok(())
}

#[tokio::test]
async fn ac_158_a_backend_that_is_switched_leaves_one_agent() -> Result<()> {
    let daemon = daemon().await?;
    defined(&daemon, "eng", "You help.", &json!({}), "enabled").await?;
    daemon
        .note_put("Agents/eng", "You help.", &[], &json!({ "backend": "attached" }))
        .await?;
    let what = "the definition is told as attached";
    eventually(what, LIMIT, async || {
        let defs = defs(&daemon).await?;
        Ok((defs.len() == 1 && defs[0]["backend"] == "attached").then_some(()))
    })
    .await?;
    daemon
        .note_put("Agents/eng", "You help.", &[], &json!({ "backend": "programmatic" }))
        .await?;
    stamped(&daemon, "Agents/eng", "enabled").await?;
    eventually("it runs by itself again", LIMIT, async || {
        let defs = defs(&daemon).await?;
        Ok((defs.len() == 1 && defs[0]["backend"] == "programmatic").then_some(()))
    })
    .await?;
    assert_eq!(asked(&daemon, "eng", "[[reply here]]").await?, "here");
    Ok(())
}
