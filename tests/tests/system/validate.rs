//! Drafts of definitions and jobs are judged as they would be if they were written, and nothing is.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use serde_json::{Value, json};

use super::{get, post, status, token, with_eng};

const AGENTS: &str = "/api/agents/validate";
const JOBS: &str = "/api/jobs/validate";

async fn judged(daemon: &Daemon, draft: Value) -> Result<Value> {
    let answer = post(daemon, AGENTS, &draft).await?;
    let verdict = answer.json()?;
    anyhow::ensure!(answer.status == 200, "{} {verdict}", answer.status);
    Ok(verdict)
}

fn draft(name: &str, metadata: &Value) -> Value {
    json!({ "vault": "default", "name": name, "content": "You build.", "metadata": metadata })
}

fn keys(told: &Value) -> Vec<&str> {
    let all = told.as_array().into_iter().flatten();
    all.filter_map(|one| one["key"].as_str()).collect()
}

/// The notes of the vault. What the daemon says on them is left out: it may be about to say it.
async fn notes(daemon: &Daemon) -> Result<Vec<(String, String)>> {
    let notes = get(daemon, "/vault/default/api/notes?limit=500&include_content=true").await?;
    let notes = notes.as_array().context("notes")?.iter();
    Ok(notes
        .map(|note| (note["id"].to_string(), note["content"].to_string()))
        .collect())
}

#[tokio::test]
async fn a_draft_of_an_agent_is_judged_as_its_definition_would_be() -> Result<()> {
    let daemon = with_eng().await?;
    let before = notes(&daemon).await?;
    let good = judged(
        &daemon,
        draft(
            "ops",
            &json!({"mode": "multi-threaded", "timeout_wall": "90m", "model": null}),
        ),
    )
    .await?;
    assert_eq!(
        (&good["ok"], &good["problems"], &good["lowered"]),
        (&json!(true), &json!([]), &json!([]))
    );
    assert_eq!(
        good["settings"]["timeout_wall"],
        json!({"value": "1h 30m", "seconds": 5400, "from": "definition"})
    );
    assert_eq!(good["settings"]["mode"]["from"], "definition");
    assert_eq!(good["settings"]["model"]["from"], "default");

    // Everything that is wrong, at once; and what is merely odd.
    let bad = judged(
        &daemon,
        draft("no such name!", &json!({"mode": "sideways", "timeout_idle": "soon"})),
    )
    .await?;
    assert_eq!(bad["ok"], false);
    let told = keys(&bad["problems"]);
    for key in ["name", "mode", "timeout_idle"] {
        assert!(told.contains(&key), "{key} in {bad}");
    }
    assert_eq!((&bad["settings"], &bad["warnings"]), (&json!({}), &json!([])));
    let odd = judged(&daemon, draft("ops", &json!({"modle": "opus"}))).await?;
    assert_eq!(odd["ok"], true, "{odd}");
    assert_eq!(keys(&odd["warnings"]), ["modle"], "{odd}");

    // The same words as a real one gets.
    let body = json!({"name": "no such name!", "metadata": {"mode": "sideways", "timeout_idle": "soon"}});
    let refused = post(&daemon, "/api/agents", &body).await?.json()?;
    assert_eq!(bad["problems"], refused["problems"]);
    assert_eq!(notes(&daemon).await?, before);
    Ok(())
}

#[tokio::test]
async fn names_that_others_have_are_told() -> Result<()> {
    let daemon = with_eng().await?;
    daemon
        .note_put("Agents/taken", "Not a definition.", &[], &json!({}))
        .await?;
    for (name, ok) in [("eng", false), ("taken", false), ("free", true)] {
        let verdict = judged(&daemon, draft(name, &json!({}))).await?;
        assert_eq!(verdict["ok"], ok, "{name}: {verdict}");
        let expected: &[&str] = if ok { &[] } else { &["name"] };
        assert_eq!(keys(&verdict["problems"]), expected, "{name}");
        // What it would be is told all the same.
        assert_eq!(verdict["settings"]["name"]["value"], name);
    }
    let eng = get(&daemon, "/api/agents/eng").await?;
    daemon.create_agent("ops", "You operate.").await?;
    let edit = |name: &str, metadata: Value| json!({"vault": "default", "name": name, "metadata": metadata, "note_id": eng["note_id"]});
    // Its own name is free for it, and what is not sent stays.
    daemon
        .request(
            http::Method::PATCH,
            &["api", "agents", "eng"],
            Some(&json!({"metadata": {"model": "opus", "mode": "multi-threaded"}})),
        )
        .await?
        .ok::<Value>()?;
    let same = judged(&daemon, edit("eng", json!({"mode": null}))).await?;
    assert_eq!(same["ok"], true, "{same}");
    assert_eq!(
        same["settings"]["model"],
        json!({"value": "opus", "from": "definition"})
    );
    assert_eq!(same["settings"]["mode"]["from"], "default");
    let other = judged(&daemon, edit("ops", json!({}))).await?;
    assert_eq!((&other["ok"], keys(&other["problems"])), (&json!(false), vec!["name"]));
    let renamed = judged(&daemon, edit("builder", json!({}))).await?;
    assert_eq!(renamed["ok"], true, "{renamed}");
    let now = get(&daemon, "/api/agents/eng").await?;
    assert_eq!(now["model"], "opus");
    Ok(())
}

#[tokio::test]
async fn what_a_draft_would_not_get_is_told() -> Result<()> {
    let daemon = Daemon::builder()
        .stand_in()
        .confined()
        .config("[sandbox]\nnetwork = \"restricted\"\n")
        .start()
        .await?;
    let verdict = judged(&daemon, draft("eng", &json!({"network": "open"}))).await?;
    assert_eq!(verdict["ok"], true);
    let lowered = verdict["lowered"].as_array().context("what is lowered")?;
    assert_eq!(lowered.len(), 1, "{verdict}");
    assert_eq!(
        (&lowered[0]["key"], &lowered[0]["asked"]),
        (&json!("network"), &json!("open"))
    );
    Ok(())
}

#[tokio::test]
async fn drafts_are_for_those_who_may_write_them() -> Result<()> {
    let daemon = with_eng().await?;
    let (read, write, admin) = (
        token(&daemon, "read").await?,
        token(&daemon, "write").await?,
        token(&daemon, "admin").await?,
    );
    let agent = draft("ops", &json!({})).to_string();
    for (bearer, of_agents, of_jobs) in [(&read, 403, 403), (&write, 403, 200), (&admin, 200, 200)] {
        let told = status(&daemon, bearer, "POST", AGENTS, agent.as_bytes()).await?;
        assert_eq!(told, of_agents, "{bearer}");
        assert_eq!(status(&daemon, bearer, "POST", JOBS, b"{}").await?, of_jobs, "{bearer}");
    }
    for (change, expected) in [
        (json!({"vault": "nowhere"}), (404, "unknown_vault")),
        (json!({"note_id": "nothing"}), (404, "unknown_note")),
        (json!({"extra": 1}), (400, "invalid_body")),
    ] {
        let mut draft = draft("ops", &json!({}));
        for (key, value) in change.as_object().into_iter().flatten() {
            draft[key] = value.clone();
        }
        let (status, code) = post(&daemon, AGENTS, &draft).await?.refusal()?;
        assert_eq!((status, code.as_str()), expected, "{change}");
    }
    Ok(())
}

/// An address for drafts takes nothing away from whoever is called like it.
#[tokio::test]
async fn an_agent_and_a_job_may_be_called_validate() -> Result<()> {
    let daemon = with_eng().await?;
    daemon.create_agent("validate", "You check.").await?;
    assert_eq!(get(&daemon, AGENTS).await?["name"], "validate");
    let edit = br#"{"metadata": {"model": "opus"}}"#;
    let edited = daemon.ask_in("PATCH", AGENTS, edit).await?;
    assert_eq!((edited.status, edited.json()?["model"].clone()), (200, json!("opus")));
    let job = json!({"id": "validate", "channel": "eng", "message": "x", "schedule": {"at": "2099-01-01T00:00:00Z"}});
    assert_eq!(post(&daemon, "/api/jobs", &job).await?.status, 200);
    assert_eq!(get(&daemon, JOBS).await?["id"], "validate");
    for target in [JOBS, AGENTS] {
        assert_eq!(daemon.ask_in("DELETE", target, b"").await?.status, 200);
        assert_eq!(daemon.ask_in("GET", target, b"").await?.status, 404);
    }
    Ok(())
}

#[tokio::test]
async fn a_draft_of_a_job_is_judged_and_its_next_times_are_told() -> Result<()> {
    let daemon = with_eng().await?;
    let before = notes(&daemon).await?;
    let ask = async |draft: Value| -> Result<Value> { post(&daemon, JOBS, &draft).await?.json() };
    let schedule = json!({"cron": "30 7 29 2 *", "tz": "Europe/Berlin"});
    let draft = json!({"id": "leap", "channel": "eng", "message": "Jump.", "schedule": schedule});
    let good = ask(draft.clone()).await?;
    assert_eq!(
        (&good["ok"], &good["problems"], &good["tz"]),
        (&json!(true), &json!([]), &json!("Europe/Berlin"))
    );
    let next = good["next"].as_array().context("times")?;
    assert_eq!(next.len(), 5, "{good}");
    for one in next {
        let (at, local) = (
            one["at"].as_str().context("at")?,
            one["local"].as_str().context("local")?,
        );
        assert!(
            at.ends_with("02-29T06:30:00.000Z") && local.ends_with("02-29T07:30:00+01:00"),
            "{one}"
        );
    }
    assert!(next.is_sorted_by_key(|one| one["at"].to_string()));

    // The times are there as soon as the schedule is.
    let part = ask(json!({"channel": "nobody", "schedule": {"at": "2099-07-01T09:00", "tz": "Europe/Berlin"}})).await?;
    assert_eq!(part["ok"], false);
    assert_eq!(keys(&part["problems"]), ["id", "message", "channel"], "{part}");
    assert_eq!(
        part["next"],
        json!([{"at": "2099-07-01T07:00:00.000Z", "local": "2099-07-01T09:00:00+02:00"}])
    );
    let odd = ask(json!({"id": "gap", "channel": "eng", "message": "x",
        "schedule": {"at": "2099-03-29T02:30", "tz": "Europe/Berlin"}}))
    .await?;
    assert_eq!(
        (&odd["ok"], keys(&odd["warnings"])),
        (&json!(true), vec!["at"]),
        "{odd}"
    );
    let bad = ask(json!({"id": "x", "channel": "eng", "message": "x", "schedule": {"cron": "61 * * * *"}})).await?;
    assert_eq!((&bad["ok"], keys(&bad["problems"])), (&json!(false), vec!["cron"]));
    assert_eq!((&bad["next"], &bad["tz"]), (&json!([]), &Value::Null));
    assert_eq!(notes(&daemon).await?, before);
    Ok(())
}
