//! The PIN: who sets it, who must show it, and how often it can be guessed.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::{Answer, LIMIT, Ran, run};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use super::{Holder, TOKENS, code, signed_in, started};

const STEP_UP: &str = "/api/step-up";
const PIN: &str = "/api/step-up/pin";
const CHANNELS: &str = "/api/channels";

async fn command(daemon: &Daemon, args: &[&str], input: &str) -> Result<Ran> {
    run(daemon.cli(args).await?, input).await
}

async fn set(daemon: &Daemon, pin: &str) -> Result<()> {
    let ran = command(daemon, &["pin", "set"], &format!("{pin}\n")).await?;
    ensure!(ran.code == 0, "{ran:?}");
    Ok(())
}

/// The operator asks.
async fn ask(daemon: &Daemon, method: &str, target: &str, body: Value) -> Result<Answer> {
    daemon.ask_in(method, target, body.to_string().as_bytes()).await
}

async fn show(holder: &Holder, daemon: &Daemon, pin: &str) -> Result<Answer> {
    holder.ask(daemon, "POST", STEP_UP, json!({ "pin": pin })).await
}

/// The step-up token for a right PIN.
async fn token(holder: &Holder, daemon: &Daemon, pin: &str) -> Result<String> {
    let answer = show(holder, daemon, pin).await?;
    ensure!(answer.status == 200, "{}", answer.json()?);
    let text = String::from_utf8(answer.body.clone())?;
    ensure!(!text.contains(pin), "{text}");
    let body = answer.json()?;
    body["stepUpToken"].as_str().map(str::to_owned).context("a token")
}

/// Asks for a token that makes tokens, which is dangerous.
async fn dangerous(holder: &Holder, daemon: &Daemon, shown: Option<&str>) -> Result<Answer> {
    let headers: Vec<_> = shown.map(|token| ("x-step-up-token", token)).into_iter().collect();
    let asked = json!({ "scopes": ["reveille:admin"] });
    holder.send(daemon, ("POST", TOKENS), &headers, &asked).await
}

fn wants_pin(answer: &Answer, reason: &str) -> Result<()> {
    ensure!(answer.refusal()? == code(403, "step_up_required"), "{}", answer.json()?);
    ensure!(answer.json()?["reason"] == reason, "{}", answer.json()?);
    Ok(())
}

#[tokio::test]
async fn it_is_set_shown_changed_and_cleared() -> Result<()> {
    let daemon = started().await?;
    let admin = Holder::with(&daemon, &["reveille:admin"]).await?;
    let standing = async |daemon: &Daemon| ask(daemon, "GET", STEP_UP, Value::Null).await?.json();
    assert_eq!(
        standing(&daemon).await?,
        json!({ "configured": false, "required": false })
    );
    // Without one nothing is asked for.
    assert_eq!(dangerous(&admin, &daemon, None).await?.status, 201);
    assert_eq!(
        show(&admin, &daemon, "4321").await?.refusal()?,
        code(409, "step_up_not_configured")
    );

    set(&daemon, "4321").await?;
    assert_eq!(
        standing(&daemon).await?,
        json!({ "configured": true, "required": false })
    );
    let file = daemon.state_dir().join("step-up.json");
    let text = std::fs::read_to_string(&file)?;
    assert!(text.contains("$argon2id$") && !text.contains("4321"), "{text}");
    assert_eq!(std::fs::metadata(&file)?.permissions().mode() & 0o777, 0o600);

    wants_pin(&dangerous(&admin, &daemon, None).await?, "token")?;
    wants_pin(&dangerous(&admin, &daemon, Some("x")).await?, "token")?;
    assert_eq!(
        show(&admin, &daemon, "0000").await?.refusal()?,
        code(403, "invalid_pin")
    );
    let shown = token(&admin, &daemon, "4321").await?;
    for _ in 0..2 {
        assert_eq!(dangerous(&admin, &daemon, Some(&shown)).await?.status, 201);
    }
    // A change needs the one that there is, and ends what was shown before.
    for (current, status) in [(Value::Null, 403), (json!("0000"), 403), (json!("4321"), 200)] {
        let body = json!({ "newPin": "987654", "currentPin": current });
        assert_eq!(ask(&daemon, "POST", PIN, body).await?.status, status, "{current}");
    }
    wants_pin(&dangerous(&admin, &daemon, Some(&shown)).await?, "token")?;
    assert_eq!(
        show(&admin, &daemon, "4321").await?.refusal()?,
        code(403, "invalid_pin")
    );
    let shown = token(&admin, &daemon, "987654").await?;
    assert_eq!(dangerous(&admin, &daemon, Some(&shown)).await?.status, 201);
    for pin in ["12", "1234567890123", "12a4", ""] {
        let body = json!({ "newPin": pin, "currentPin": "987654" });
        assert_eq!(
            ask(&daemon, "POST", PIN, body).await?.refusal()?,
            code(400, "invalid_body")
        );
    }
    let cleared = command(&daemon, &["pin", "clear"], "").await?;
    assert_eq!(cleared.code, 0, "{cleared:?}");
    assert_eq!(dangerous(&admin, &daemon, None).await?.status, 201);
    assert!(!daemon.log()?.contains("987654"));
    Ok(())
}

#[tokio::test]
async fn it_is_set_first_and_cleared_from_the_machine_alone() -> Result<()> {
    let daemon = started().await?;
    let admin = Holder::with(&daemon, &["reveille:admin"]).await?;
    let cookie = signed_in(&daemon).await?;
    let page = [("cookie", cookie.as_str()), ("sec-fetch-site", "same-origin")];
    let body = json!({ "newPin": "4321" });
    let by_page = daemon.ask("POST", PIN, &page, body.to_string().as_bytes()).await?;
    assert_eq!(by_page.refusal()?, code(403, "only_on_the_machine"));
    let by_token = admin.refused(&daemon, "POST", PIN, body.clone());
    assert_eq!(by_token.await?, code(403, "only_on_the_machine"));
    set(&daemon, "4321").await?;
    assert_eq!(
        daemon.ask("DELETE", PIN, &page, b"").await?.refusal()?,
        code(403, "only_on_the_machine")
    );
    let by_token = admin.refused(&daemon, "DELETE", PIN, Value::Null);
    assert_eq!(by_token.await?, code(403, "only_on_the_machine"));
    // Who knows it changes it, in a browser too.
    let change = json!({ "newPin": "1111", "currentPin": "4321" }).to_string();
    assert_eq!(daemon.ask("POST", PIN, &page, change.as_bytes()).await?.status, 200);
    let ran = command(&daemon, &["pin", "set"], "1111\n2222\n").await?;
    assert_eq!(ran.code, 0, "{ran:?}");
    let ran = command(&daemon, &["pin", "set"], "1111\n3333\n").await?;
    assert!(ran.code == 4 && ran.stderr.contains("not the PIN"), "{ran:?}");
    let ran = command(&daemon, &["pin", "set"], "").await?;
    assert_eq!(ran.code, 2, "{ran:?}");
    // Who may not administer has nothing to do with it.
    for scope in ["reveille:read", "reveille:write"] {
        let holder = Holder::with(&daemon, &[scope]).await?;
        for (method, target) in [
            ("GET", STEP_UP),
            ("POST", STEP_UP),
            ("DELETE", STEP_UP),
            ("POST", PIN),
            ("DELETE", PIN),
        ] {
            let answer = holder.refused(&daemon, method, target, json!({}));
            assert_eq!(
                answer.await?,
                code(403, "insufficient_scope"),
                "{scope} {method} {target}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_was_shown_is_of_one_subject_and_is_locked_with_a_word() -> Result<()> {
    let daemon = started().await?;
    let (one, two) = (
        Holder::with(&daemon, &["reveille:admin"]).await?,
        Holder::with(&daemon, &["reveille:admin"]).await?,
    );
    set(&daemon, "4321").await?;
    let (of_one, of_two) = (token(&one, &daemon, "4321").await?, token(&two, &daemon, "4321").await?);
    assert_ne!(of_one, of_two);
    wants_pin(&dangerous(&two, &daemon, Some(&of_one)).await?, "token")?;
    assert_eq!(dangerous(&one, &daemon, Some(&of_one)).await?.status, 201);
    let locked = one.ask(&daemon, "DELETE", STEP_UP, Value::Null).await?.json()?;
    assert_eq!(locked, json!({ "locked": true, "ended": 1 }));
    wants_pin(&dangerous(&one, &daemon, Some(&of_one)).await?, "token")?;
    assert_eq!(dangerous(&two, &daemon, Some(&of_two)).await?.status, 201);
    Ok(())
}

#[tokio::test]
async fn guesses_are_few_also_over_a_restart() -> Result<()> {
    let mut daemon = started().await?;
    let (one, two) = (
        Holder::with(&daemon, &["reveille:admin"]).await?,
        Holder::with(&daemon, &["reveille:admin"]).await?,
    );
    set(&daemon, "4321").await?;
    for guess in ["0000", "0001", "no digits", "0003"] {
        assert_eq!(show(&one, &daemon, guess).await?.status, 403, "{guess}");
    }
    // A right one frees.
    token(&one, &daemon, "4321").await?;
    for _ in 0..5 {
        assert_eq!(show(&one, &daemon, "0000").await?.status, 403);
    }
    for _ in 0..2 {
        for guess in ["0000", "4321"] {
            let answer = show(&one, &daemon, guess).await?;
            assert_eq!(answer.refusal()?, code(429, "rate_limited"), "{guess}");
            let wait: u64 = answer.header("retry-after").context("a header")?.parse()?;
            let told = answer.json()?["retry_after_seconds"].as_u64();
            assert!((1..=300).contains(&wait) && told == Some(wait), "{wait} {told:?}");
        }
        // The same bound for changing it.
        let body = json!({ "newPin": "1111", "currentPin": "4321" });
        assert_eq!(
            one.refused(&daemon, "POST", PIN, body).await?,
            code(429, "rate_limited")
        );
        daemon.restart().await?;
    }
    token(&two, &daemon, "4321").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_guesses_at_once_are_no_more_guesses() -> Result<()> {
    let daemon = std::sync::Arc::new(started().await?);
    let holder = std::sync::Arc::new(Holder::with(&daemon, &["reveille:admin"]).await?);
    set(&daemon, "4321").await?;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..40 {
        let (daemon, holder) = (std::sync::Arc::clone(&daemon), std::sync::Arc::clone(&holder));
        tasks.spawn(
            async move { Ok::<_, anyhow::Error>(show(&holder, &daemon, &format!("{number:04}")).await?.status) },
        );
    }
    // Others are served meanwhile.
    assert_eq!(daemon.ask("GET", "/health", &[], b"").await?.status, 200);
    let mut statuses = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        statuses.push(ended??);
    }
    let count = |status: u16| statuses.iter().filter(|one| **one == status).count();
    assert_eq!((count(403), count(429)), (5, 35), "{statuses:?}");
    Ok(())
}

#[tokio::test]
async fn a_damaged_file_closes_what_it_guards_and_has_a_mend() -> Result<()> {
    let mut daemon = started().await?;
    let admin = Holder::with(&daemon, &["reveille:admin"]).await?;
    set(&daemon, "4321").await?;
    daemon.stop().await?;
    std::fs::write(daemon.state_dir().join("step-up.json"), "{\"pin\":")?;
    daemon.start().await?;
    let answer = dangerous(&admin, &daemon, None).await?;
    assert_eq!(answer.refusal()?, code(503, "step_up_unreadable"));
    let next = answer.json()?["next_step"]
        .as_str()
        .map(str::to_owned)
        .context("a next step")?;
    assert!(next.contains("reveille pin clear"), "{next}");
    assert_eq!(
        show(&admin, &daemon, "4321").await?.refusal()?,
        code(503, "step_up_unreadable")
    );
    let standing = ask(&daemon, "GET", STEP_UP, Value::Null).await?.json()?;
    assert!(
        standing["configured"] == true && standing["problem"].is_string(),
        "{standing}"
    );
    // Everything else works.
    let list = admin.ask(&daemon, "GET", TOKENS, Value::Null).await?;
    assert_eq!(list.status, 200);
    assert_eq!(command(&daemon, &["pin", "clear"], "").await?.code, 0);
    set(&daemon, "1111").await?;
    let shown = token(&admin, &daemon, "1111").await?;
    assert_eq!(dangerous(&admin, &daemon, Some(&shown)).await?.status, 201);
    Ok(())
}

#[tokio::test]
async fn it_can_be_required() -> Result<()> {
    let daemon = Daemon::builder()
        .stand_in()
        .env("REVEILLE_AUTH__PIN", "required")
        .start()
        .await?;
    let asked = json!({ "scopes": ["reveille:admin"] });
    wants_pin(&ask(&daemon, "POST", TOKENS, asked.clone()).await?, "setup")?;
    set(&daemon, "4321").await?;
    wants_pin(&ask(&daemon, "POST", TOKENS, asked).await?, "token")?;
    let read = json!({ "scopes": ["reveille:read"] });
    assert_eq!(ask(&daemon, "POST", TOKENS, read).await?.status, 201);
    Ok(())
}

#[tokio::test]
async fn what_is_dangerous_asks_for_it_and_the_rest_does_not() -> Result<()> {
    let daemon = started().await?;
    daemon.create_agent("eng", "You build.").await?;
    set(&daemon, "4321").await?;
    let listed = ask(&daemon, "GET", "/api/agents", Value::Null).await?.json()?;
    let note = listed["agents"][0]["note_id"].as_str().context("an id")?.to_owned();
    let (full, def) = (json!({ "filesystem": "full" }), format!("/api/agent-defs/{note}"));
    let gated = [
        ("POST", TOKENS.to_owned(), json!({ "scopes": ["reveille:admin"] })),
        ("POST", TOKENS.to_owned(), json!({ "scopes": ["vault:default:admin"] })),
        (
            "POST",
            "/api/connections/approve".to_owned(),
            json!({ "holder": "eng", "key": "x" }),
        ),
        (
            "POST",
            "/api/agents".to_owned(),
            json!({ "name": "two", "metadata": full }),
        ),
        ("PATCH", "/api/agents/eng".to_owned(), json!({ "metadata": full })),
        (
            "POST",
            "/api/agent-defs".to_owned(),
            json!({ "vault": "default", "name": "two", "metadata": full }),
        ),
        ("PATCH", def, json!({ "metadata": full })),
        (
            "POST",
            CHANNELS.to_owned(),
            json!({ "name": "pages", "transport": "http-ui" }),
        ),
        ("DELETE", format!("{CHANNELS}/pages"), Value::Null),
    ];
    for (method, target, body) in &gated {
        wants_pin(&ask(&daemon, method, target, body.clone()).await?, "token")?;
    }
    // It is asked for before anything is looked at, and nothing was done.
    let broken = daemon.ask_in("POST", CHANNELS, b"{ no json").await?;
    wants_pin(&broken, "token")?;
    assert!(!daemon.state_dir().join("channels.json").exists());
    let bridges = ask(&daemon, "GET", "/api/bridges", Value::Null).await?;
    assert_eq!(bridges.json()?, json!({ "bridges": [] }));
    // The notes API has its own shape.
    let answer = ask(&daemon, "POST", "/vault/default/tokens", json!({})).await?;
    let told = answer.json()?;
    assert_eq!(
        (answer.status, &told["error_type"], &told["reason"]),
        (403, &json!("step_up_required"), &json!("token"))
    );
    for (method, target, body) in [
        ("POST", "/vault/default/tokens", json!({ "scopes": ["vault:write"] })),
        ("POST", TOKENS, json!({ "scopes": ["reveille:write"] })),
        ("PATCH", "/api/agents/eng", json!({ "prompt": "You build well." })),
        ("POST", "/api/agents/eng/pause", json!({})),
        ("POST", "/api/channels/eng/send", json!({ "text": "hello" })),
    ] {
        let answer = ask(&daemon, method, target, body).await?;
        assert!(answer.status < 300, "{method} {target}: {}", answer.json()?);
    }
    // With it they do what they do.
    let shown = ask(&daemon, "POST", STEP_UP, json!({ "pin": "4321" })).await?.json()?;
    let shown = shown["stepUpToken"].as_str().context("a token")?.to_owned();
    let (name, value) = daemon.bearer();
    let headers = [(name, value.as_str()), ("x-step-up-token", shown.as_str())];
    for (method, target, body) in &gated {
        let answer = daemon
            .ask(method, target, &headers, body.to_string().as_bytes())
            .await?;
        let asked_again = String::from_utf8_lossy(&answer.body).contains("step_up");
        assert!(!asked_again, "{method} {target}: {}", answer.json()?);
    }
    let agents = ask(&daemon, "GET", "/api/agents/eng", Value::Null).await?.json()?;
    assert_eq!(agents["settings"]["filesystem"]["value"], "full", "{agents}");
    assert!(daemon.state_dir().join("channels.json").exists());
    Ok(())
}

/// A terminal: its own end, and what a program gets as its stdin.
fn terminal() -> Result<(OwnedFd, File)> {
    let own = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&own)?;
    unlockpt(&own)?;
    let path = ptsname(&own, Vec::new())?;
    let theirs = File::options().read(true).write(true).open(path.to_str()?)?;
    Ok((own, theirs))
}

/// What a command says at a terminal where somebody answers the question for the PIN.
async fn at_a_terminal(daemon: &Daemon, args: &[&str], typed: &str) -> Result<(Option<i32>, String)> {
    let (own, theirs) = terminal()?;
    let mut command = daemon.cli(args).await?;
    let mut child = command
        .stdin(theirs)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stderr = child.stderr.take().context("stderr is a pipe")?;
    let talk = async {
        let mut told = Vec::new();
        while !String::from_utf8_lossy(&told).contains("PIN: ") {
            let count = stderr.read_buf(&mut told).await?;
            ensure!(count > 0, "it asks for no PIN: {}", String::from_utf8_lossy(&told));
        }
        rustix::io::write(&own, typed.as_bytes())?;
        stderr.read_to_end(&mut told).await?;
        let ended = child.wait_with_output().await?;
        let told = [told, ended.stdout].concat();
        Ok((ended.status.code(), String::from_utf8(told)?))
    };
    tokio::time::timeout(LIMIT, talk).await?
}

#[tokio::test]
async fn the_command_line_asks_for_it_at_a_terminal() -> Result<()> {
    let daemon = started().await?;
    set(&daemon, "4321").await?;
    let create = ["token", "create", "--scope", "reveille:admin"];
    let (status, told) = at_a_terminal(&daemon, &create, "4321\r").await?;
    assert!(status == Some(0) && told.contains("pvt_"), "{told}");
    let (status, told) = at_a_terminal(&daemon, &create, "0000\r").await?;
    assert!(
        status == Some(4) && told.contains("not the PIN") && !told.contains("pvt_"),
        "{told}"
    );
    // For bridges too.
    let add = ["bridge", "add", "pages", "--kind", "http-ui"];
    let remove = ["bridge", "remove", "pages"];
    let (status, told) = at_a_terminal(&daemon, &remove, "0000\r").await?;
    assert!(status == Some(4) && told.contains("not the PIN"), "{told}");
    let (status, told) = at_a_terminal(&daemon, &add, "4321\r").await?;
    assert!(status == Some(0) && told.contains("pages is added"), "{told}");
    let (status, told) = at_a_terminal(&daemon, &remove, "4321\r").await?;
    assert!(status == Some(0) && told.contains("pages is removed"), "{told}");
    // Where there is nobody to ask, it says what is missing.
    let ran = command(&daemon, &create, "4321\n").await?;
    assert!(ran.code == 4 && ran.stderr.contains("/api/step-up"), "{ran:?}");
    Ok(())
}
