//! What agents and roles want, who grants it, and what a turn has of it. The grants are kept by the daemon itself here.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::LIMIT;
use reveille_tests::{Daemon, eventually};
use serde_json::{Value, json};

use super::agent_defs::def;
use super::held::Held;
use super::{
    asked, daemon, defined, delete, each, get, list, listed, meta, post, refused, shown, stamped, text, with_eng,
};

const ROLE: &str = "agent/role";
const CONNECTIONS: [&str; 2] = ["api", "connections"];

/// All connections that are listed.
async fn connections(daemon: &Daemon) -> Result<Vec<Value>> {
    let told: Value = get(daemon, &CONNECTIONS).await?.ok()?;
    Ok(list(&told, "connections")?.clone())
}

/// What a holder wants, by key, with the status of each, once there is that much.
async fn wanted(daemon: &Daemon, holder: &str, expected: &[(&str, &str)]) -> Result<Vec<Value>> {
    let mut last = Vec::new();
    let what = format!("{holder} has {expected:?}");
    let found = eventually(&what, LIMIT, async || {
        last = connections(daemon).await?;
        last.retain(|connection| connection["holder"] == holder);
        let told: Vec<_> = last.iter().map(|it| (text(it, "key"), text(it, "status"))).collect();
        Ok((told == expected).then(|| last.clone()))
    });
    found.await.with_context(|| format!("{last:#?}"))
}

async fn approve(daemon: &Daemon, holder: &str, key: &str, more: &Value) -> Result<()> {
    let mut body = json!({ "holder": holder, "key": key });
    super::merge(&mut body, more);
    post(daemon, &["api", "connections", "approve"], &body)
        .await?
        .ok::<Value>()?;
    Ok(())
}

async fn revoke(daemon: &Daemon, holder: &str, key: &str) -> Result<()> {
    let body = json!({ "holder": holder, "key": key });
    post(daemon, &["api", "connections", "revoke"], &body)
        .await?
        .ok::<Value>()?;
    Ok(())
}

/// What a variable says in a turn of an agent, between brackets.
async fn in_a_turn(daemon: &Daemon, agent: &str, variable: &str) -> Result<String> {
    let file = daemon.scratch().join(uuid::Uuid::new_v4().simple().to_string());
    let text = format!(
        "[[exec printf '<%s>' \"${variable}\" >{}]] [[reply done]]",
        file.display()
    );
    let said = asked(daemon, agent, &text).await?;
    assert!(said.ends_with("done"), "{said}");
    Ok(std::fs::read_to_string(file)?)
}

#[tokio::test]
async fn ac_115_116_150_152_what_is_wanted_is_listed_by_its_keys() -> Result<()> {
    let daemon = daemon().await?;
    let wants = "vault:notes:read#b#a, env:github  mcp:https://example.org/mcp mcp:github,surface:Desk:write";
    let note = defined(&daemon, "eng", "You help.", &json!({ "wants": wants }), "pending").await?;
    let keys = [
        "vault:notes:read#a#b",
        "env+mcp:github",
        "mcp:https://example.org/mcp",
        "surface:desk:write",
    ];
    assert_eq!(meta(&note, "pending").split(", ").collect::<Vec<_>>(), keys);
    let expected = [
        json!({ "key": keys[0], "kind": "vault", "target": "notes" }),
        json!({ "key": keys[1], "kind": "service", "target": "github" }),
        json!({ "key": keys[2], "kind": "mcp", "target": "https://example.org/mcp" }),
        json!({ "key": keys[3], "kind": "surface", "target": "desk" }),
    ];
    let whole: Value = get(&daemon, &["api", "agent-defs", text(&note, "id")]).await?.ok()?;
    let views = [
        def(&daemon, "eng").await?,
        whole["def"].clone(),
        listed(&daemon, "eng").await?.context("the agent")?,
        shown(&daemon, "eng").await?,
    ];
    for view in &views {
        let told: Vec<Value> = list(view, "connections")?
            .iter()
            .map(|it| json!({ "key": it["key"], "kind": it["kind"], "target": it["target"] }))
            .collect();
        assert_eq!(told, expected);
        assert!(
            list(view, "connections")?.iter().all(|it| it["status"] == "pending"),
            "{view}"
        );
    }
    let all = eventually("each is entered", LIMIT, async || {
        let all = connections(&daemon).await?;
        Ok(all.iter().all(|it| it["grantId"].is_string()).then_some(all))
    })
    .await?;
    assert_eq!(each(&all, "holder"), ["eng"; 4]);
    assert_eq!(
        asked(&daemon, "eng", "[[reply runs regardless]]").await?,
        "runs regardless"
    );

    for wants in [json!(""), json!(" , "), json!([]), json!(null)] {
        let name = format!("none-{}", wants.to_string().len());
        defined(&daemon, &name, "You help.", &json!({ "wants": wants }), "enabled").await?;
        assert_eq!(shown(&daemon, &name).await?["connections"], json!([]));
    }
    Ok(())
}

#[tokio::test]
async fn ac_117_152_one_bad_word_makes_the_whole_definition_wait() -> Result<()> {
    let daemon = daemon().await?;
    for (at, wants) in [
        "github",
        "smtp:server",
        "vault:research",
        "vault:research:admin",
        "vault:bad.name:read",
        "env:bad.name",
        "surface:x",
        "surface:bad/name:write",
        "mcp:ftp://x",
        "mcp:http://",
        "ENV:github",
        "env:claude-code-oauth",
        "vault:a:read, garbage",
        "env:github\nenv:",
        "vault:a:read\u{0}",
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("bad-{at}");
        let note = defined(&daemon, &name, "You try.", &json!({ "wants": wants }), "error").await;
        let note = note.with_context(|| wants.to_owned())?;
        assert!(meta(&note, "status_detail").contains("wants"), "{wants}: {note}");
        let gone = post(&daemon, &["api", "channels", &name, "send"], &json!({ "text": "x" })).await?;
        assert!(gone.status >= 400, "{wants}: {gone:?}");
    }
    assert_eq!(connections(&daemon).await?, Vec::<Value>::new());
    Ok(())
}

#[tokio::test]
async fn ac_152_153_what_is_granted_is_had_and_what_is_taken_back_is_not() -> Result<()> {
    let daemon = daemon().await?;
    let more = json!({ "wants": "env:github, env:cloudflare" });
    defined(&daemon, "eng", "You help.", &more, "pending").await?;
    wanted(
        &daemon,
        "eng",
        &[("env:github", "pending"), ("env:cloudflare", "pending")],
    )
    .await?;
    assert_eq!(in_a_turn(&daemon, "eng", "GITHUB_TOKEN").await?, "<>");

    approve(&daemon, "eng", "env:github", &json!({ "token": "s3cret-github" })).await?;
    let what = "only the other one is missing";
    eventually(what, LIMIT, async || {
        let note = daemon.note("Agents/eng").await?.context("the note")?;
        Ok((meta(&note, "pending") == "env:cloudflare" && meta(&note, "status") == "pending").then_some(()))
    })
    .await?;
    assert_eq!(in_a_turn(&daemon, "eng", "GITHUB_TOKEN").await?, "<s3cret-github>");
    approve(
        &daemon,
        "eng",
        "env:cloudflare",
        &json!({ "token": "s3cret-cloudflare" }),
    )
    .await?;
    let note = stamped(&daemon, "Agents/eng", "enabled").await?;
    assert_eq!(meta(&note, "pending"), "");
    assert_eq!(
        in_a_turn(&daemon, "eng", "CLOUDFLARE_API_TOKEN").await?,
        "<s3cret-cloudflare>"
    );

    revoke(&daemon, "eng", "env:github").await?;
    stamped(&daemon, "Agents/eng", "pending").await?;
    wanted(
        &daemon,
        "eng",
        &[("env:github", "revoked"), ("env:cloudflare", "approved")],
    )
    .await?;
    assert_eq!(in_a_turn(&daemon, "eng", "GITHUB_TOKEN").await?, "<>");

    // What is wanted no more is forgotten; what cannot be read takes nothing away.
    daemon
        .note_put(
            "Agents/eng",
            "You help.",
            &[],
            &json!({ "wants": "env:cloudflare garbage" }),
        )
        .await?;
    stamped(&daemon, "Agents/eng", "error").await?;
    assert_eq!(connections(&daemon).await?.len(), 2);
    daemon
        .note_put("Agents/eng", "You help.", &[], &json!({ "wants": "env:cloudflare" }))
        .await?;
    stamped(&daemon, "Agents/eng", "enabled").await?;
    wanted(&daemon, "eng", &[("env:cloudflare", "approved")]).await?;
    // What is wanted anew is granted anew, once it was not wanted for a moment: a slip that is mended at once costs nothing.
    eventually("a grant that nobody wants is gone", LIMIT, async || {
        let without = json!({ "wants": "" });
        daemon.note_put("Agents/eng", "You help.", &[], &without).await?;
        wanted(&daemon, "eng", &[]).await?;
        super::feed_comes_round(&daemon, "eng").await?;
        daemon.note_put("Agents/eng", "You help.", &[], &more).await?;
        let there = eventually("both are asked for", LIMIT, async || {
            let there = connections(&daemon).await?;
            let asked_for = there.len() == 2 && there.iter().all(|it| !text(it, "grantId").is_empty());
            Ok(asked_for.then_some(there))
        })
        .await?;
        Ok((each(&there, "status") == ["pending", "pending"]).then_some(()))
    })
    .await?;
    assert_eq!(in_a_turn(&daemon, "eng", "CLOUDFLARE_API_TOKEN").await?, "<>");
    delete(&daemon, &["vault", "default", "api", "notes", "Agents/eng"])
        .await?
        .ok::<Value>()?;
    wanted(&daemon, "eng", &[]).await?;
    Ok(())
}

#[tokio::test]
async fn ac_152_a_secret_is_in_no_answer_no_note_and_no_log() -> Result<()> {
    let mut daemon = daemon().await?;
    defined(
        &daemon,
        "eng",
        "You help.",
        &json!({ "wants": "env:github" }),
        "pending",
    )
    .await?;
    approve(&daemon, "eng", "env:github", &json!({ "token": "s3cret-github" })).await?;
    stamped(&daemon, "Agents/eng", "enabled").await?;
    daemon.restart().await?;
    wanted(&daemon, "eng", &[("env:github", "approved")]).await?;
    let held = Held::new(&daemon, "eng").await?;
    let mut said = daemon.log()?;
    for path in [
        &["api", "connections"][..],
        &["api", "agents"],
        &["api", "agent-defs"],
        &["api", "agents", "eng"],
    ] {
        said += &get(&daemon, path).await?.body.to_string();
    }
    for pid in daemon.children()? {
        let argv = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default(); // silent-ok: it has ended
        said += &String::from_utf8_lossy(&argv);
    }
    said += &format!("{:?}", super::notes(&daemon, "agent/definition").await?);
    said += &format!("{:?}", super::notes(&daemon, "agent/thread").await?);
    assert!(!said.contains("s3cret"), "{said}");
    // A turn learns nothing of the connections of others.
    for (method, target) in [
        ("GET", "/api/connections"),
        ("POST", "/api/connections/approve"),
        ("POST", "/api/connections/revoke"),
    ] {
        assert_eq!(
            held.ask(&daemon, method, target, &json!({})).await?.status,
            403,
            "{method} {target}"
        );
        assert_eq!(
            daemon.ask(method, target, &[], b"{}").await?.status,
            401,
            "{method} {target}"
        );
    }
    held.let_go()?;
    daemon.wait_turn("eng", &held.sent).await?;
    Ok(())
}

#[tokio::test]
async fn an_approval_that_will_not_do_is_refused() -> Result<()> {
    let daemon = with_eng().await?;
    defined(
        &daemon,
        "asker",
        "You ask.",
        &json!({ "wants": "env:github" }),
        "pending",
    )
    .await?;
    for (body, status) in [
        (json!({ "holder": "asker", "key": "env:gitlab", "token": "x" }), 404),
        (json!({ "holder": "nobody", "key": "env:github", "token": "x" }), 404),
        (json!({ "holder": "asker", "key": "env:github", "token": 7 }), 400),
        (json!({ "holder": "asker", "key": "env:github", "token": "" }), 400),
        (
            json!({ "holder": "asker", "key": "env:github", "token": "two\nlines" }),
            400,
        ),
        (
            json!({ "holder": "asker", "key": "env:github", "token": "nul\u{0}" }),
            400,
        ),
        (json!({ "holder": "asker", "key": "env:github" }), 400),
        (json!({ "holder": ["asker"], "key": "env:github", "token": "x" }), 400),
        (json!({ "key": "env:github", "token": "x" }), 400),
        (json!([]), 400),
    ] {
        let reply = post(&daemon, &["api", "connections", "approve"], &body).await?;
        refused(&reply, status, &[]).with_context(|| body.to_string())?;
    }
    wanted(&daemon, "asker", &[("env:github", "pending")]).await?;
    Ok(())
}

/// A role and a conversation of `eng` that has it.
async fn with_role(daemon: &Daemon, path: &str, tags: &[&str], wants: &str) -> Result<()> {
    daemon
        .note_put(path, "You know the place.", tags, &json!({ "wants": wants }))
        .await?;
    let metadata = json!({ "agent": "eng", "roles": [path] });
    daemon
        .note_put("Threads/eng/eng", "", &["agent/thread"], &metadata)
        .await?;
    Ok(())
}

#[tokio::test]
async fn ac_55_169_a_role_wants_for_itself() -> Result<()> {
    let daemon = with_eng().await?;
    with_role(&daemon, "Uni/Roles/git.hub", &[ROLE], "env:github").await?;
    let holder = "role--Uni-Roles-git-hub";
    wanted(&daemon, holder, &[("env:github", "pending")]).await?;
    assert_eq!(in_a_turn(&daemon, "eng", "GITHUB_TOKEN").await?, "<>");
    approve(&daemon, holder, "env:github", &json!({ "token": "s3cret-role" })).await?;
    wanted(&daemon, holder, &[("env:github", "approved")]).await?;
    assert_eq!(in_a_turn(&daemon, "eng", "GITHUB_TOKEN").await?, "<s3cret-role>");

    // What the agent has by itself goes first, and neither touches the other's.
    daemon
        .note_put(
            &path_of(&daemon, "eng").await?,
            "You are an engineer.",
            &[],
            &json!({ "wants": "env:github" }),
        )
        .await?;
    wanted(&daemon, "eng", &[("env:github", "pending")]).await?;
    assert_eq!(in_a_turn(&daemon, "eng", "GITHUB_TOKEN").await?, "<s3cret-role>");
    approve(&daemon, "eng", "env:github", &json!({ "token": "s3cret-own" })).await?;
    assert_eq!(in_a_turn(&daemon, "eng", "GITHUB_TOKEN").await?, "<s3cret-own>");

    // Wrong wants are told on the role and take nothing away.
    daemon
        .note_put(
            "Uni/Roles/git.hub",
            "You know the place.",
            &[],
            &json!({ "wants": "garbage" }),
        )
        .await?;
    let note = stamped(&daemon, "Uni/Roles/git.hub", "error").await?;
    assert!(meta(&note, "status_detail").contains("wants"), "{note}");
    assert_eq!(connections(&daemon).await?.len(), 2);
    daemon
        .note_put("Uni/Roles/git.hub", "You know the place.", &[], &json!({ "wants": "" }))
        .await?;
    wanted(&daemon, holder, &[]).await?;
    wanted(&daemon, "eng", &[("env:github", "approved")]).await?;
    daemon
        .note_put(
            "Uni/Roles/git.hub",
            "You know the place.",
            &[],
            &json!({ "wants": "env:cloudflare" }),
        )
        .await?;
    wanted(&daemon, holder, &[("env:cloudflare", "pending")]).await?;
    delete(&daemon, &["vault", "default", "api", "notes", "Uni/Roles/git.hub"])
        .await?
        .ok::<Value>()?;
    wanted(&daemon, holder, &[]).await?;
    wanted(&daemon, "eng", &[("env:github", "approved")]).await?;
    Ok(())
}

async fn path_of(daemon: &Daemon, agent: &str) -> Result<String> {
    let id = shown(daemon, agent).await?["note_id"]
        .as_str()
        .context("a note")?
        .to_owned();
    let note = daemon.note(&id).await?.context("the definition")?;
    Ok(text(&note, "path").to_owned())
}

#[tokio::test]
async fn ac_55_169_what_is_no_role_grants_nothing() -> Result<()> {
    let daemon = with_eng().await?;
    with_role(&daemon, "Roles/old", &["#agent/role"], "env:github").await?;
    wanted(&daemon, "role--Roles-old", &[("env:github", "pending")]).await?;
    for (path, tag) in [
        ("Roles/a", "agent/roles"),
        ("Roles/b", "agent/role/sub"),
        ("Roles/c", "agent"),
        ("Roles/d", "role"),
    ] {
        with_role(&daemon, path, &[tag], "env:github").await?;
    }
    with_role(&daemon, "Roles/empty", &[ROLE], "").await?;
    super::feed_comes_round(&daemon, "eng").await?;
    assert_eq!(each(&connections(&daemon).await?, "holder"), ["role--Roles-old"]);
    // One that is a role no more grants nothing any more.
    let change = json!({ "tags": { "remove": ["#agent/role", "agent/role"] }, "force": true });
    super::patch(&daemon, &["vault", "default", "api", "notes", "Roles/old"], &change)
        .await?
        .ok::<Value>()?;
    wanted(&daemon, "role--Roles-old", &[]).await?;
    Ok(())
}
