//! Webhooks that are made, changed and removed while the daemon runs: by calls and by commands, over a real socket.

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::run;
use reveille_tests::{Receiver, ReceiverAnswer as Answer, Told, eventually};
use sha2::Sha256;

use super::*;

/// Whether a call is signed with this secret, alone or among others.
fn is_signed(told: &Told, secret: &str) -> bool {
    let key = STANDARD.decode(secret.trim_start_matches("whsec_")).expect("base64");
    let (id, at) = (told.header("webhook-id"), told.header("webhook-timestamp"));
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any key");
    mac.update(format!("{id}.{at}.{}", told.body).as_bytes());
    let wanted = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    told.header("webhook-signature").split(' ').any(|one| one == wanted)
}

async fn call(daemon: &Daemon, method: Method, path: &[&str], body: Value) -> Result<Reply> {
    let path = [&["api", "webhooks"], path].concat();
    daemon.request(method, &path, Some(&body)).await
}

/// A webhook at that path of the receiver; answers what the call answered.
async fn made(daemon: &Daemon, receiver: &Receiver, name: &str, mut more: Value) -> Result<Value> {
    more["name"] = name.into();
    more["url"] = receiver.url(&format!("/{name}")).into();
    more["allow"] = json!({ "private": true });
    let made = call(daemon, Method::POST, &[], more).await?;
    ensure!(made.status == 201, "{}: {}", made.status, made.body);
    Ok(made.body)
}

async fn shown(daemon: &Daemon, name: &str) -> Result<Value> {
    daemon
        .request(Method::GET, &["api", "webhooks", name], None)
        .await?
        .ok()
}

/// Waits until a webhook is in that state and has that much to tell.
async fn until(daemon: &Daemon, name: &str, state: &str, waiting: u64) -> Result<Value> {
    let what = format!("{name} is {state} with {waiting} that wait");
    eventually(&what, LIMIT, async || {
        let one = shown(daemon, name).await?;
        Ok((one["state"] == state && one["waiting"] == waiting).then_some(one))
    })
    .await
}

/// Runs a turn to its end; answers its id.
async fn turn(daemon: &Daemon) -> Result<String> {
    let sent = daemon.send("eng", "hello").await?;
    Ok(daemon.wait_turn("eng", &sent).await?.turn)
}

/// Waits until the end of a turn was told there, and answers how it was.
async fn until_told(receiver: &Receiver, path: &str, turn: &str) -> Result<Told> {
    let id = format!("settled_{turn}");
    eventually(&format!("{path} is told of {turn}"), LIMIT, async || {
        let all = receiver.told_at(path);
        Ok(all.into_iter().rfind(|told| told.header("webhook-id") == id))
    })
    .await
}

async fn with_eng() -> Result<Daemon> {
    let daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You build.").await?;
    Ok(daemon)
}

#[tokio::test]
async fn a_webhook_is_made_paused_changed_and_removed_while_the_daemon_runs_and_outlives_it() -> Result<()> {
    let receiver = Receiver::start().await?;
    let mut daemon = with_eng().await?;
    let first = made(
        &daemon,
        &receiver,
        "ends",
        json!({ "events": ["turn.settled"], "agents": ["eng"] }),
    )
    .await?;
    let secret = first["secret"].as_str().context("a secret")?.to_owned();
    assert!(secret.starts_with("whsec_") && first["configured"] == false, "{first}");
    assert_eq!(shown(&daemon, "ends").await?["secret"], Value::Null, "it is shown once");
    let taken = call(
        &daemon,
        Method::POST,
        &[],
        json!({ "name": "ends", "url": "https://example.com/" }),
    )
    .await?;
    assert_eq!(refused(&taken), (409, "webhook_exists"));

    let id = turn(&daemon).await?;
    assert!(is_signed(&until_told(&receiver, "/ends", &id).await?, &secret));
    until(&daemon, "ends", "up", 0).await?;

    // A pause outlives a kill, and so does what waits.
    let paused = call(&daemon, Method::POST, &["ends", "pause"], json!({}))
        .await?
        .ok::<Value>()?;
    assert_eq!(paused["state"], "paused");
    let waits = turn(&daemon).await?;
    until(&daemon, "ends", "paused", 1).await?;
    daemon.kill9().await?;
    daemon.start().await?;
    until(&daemon, "ends", "paused", 1).await?;
    let health: Value = daemon.request(Method::GET, &["health"], None).await?.ok()?;
    assert_eq!(health["status"], "ok", "nobody has to look at a pause");
    assert_eq!(receiver.told_at("/ends").len(), 1);
    // Elsewhere now, whatever it was told where.
    let other = receiver.url("/other");
    let changed = call(&daemon, Method::PATCH, &["ends"], json!({ "url": other, "agents": [] })).await?;
    assert_eq!(changed.ok::<Value>()?["agents"], json!([]));
    call(&daemon, Method::POST, &["ends", "resume"], json!({}))
        .await?
        .ok::<Value>()?;
    assert!(is_signed(&until_told(&receiver, "/other", &waits).await?, &secret));
    daemon.restart().await?;
    let id = turn(&daemon).await?;
    until_told(&receiver, "/other", &id).await?;
    until(&daemon, "ends", "up", 0).await?;

    // What it has not been told of goes with it, and nothing of that comes to the next of its name.
    receiver.script("/other", [Answer::Status(503)]);
    turn(&daemon).await?;
    eventually("it waits", LIMIT, async || {
        Ok((shown(&daemon, "ends").await?["waiting"] == 1).then_some(()))
    })
    .await?;
    let removed = call(&daemon, Method::DELETE, &["ends"], json!({}))
        .await?
        .ok::<Value>()?;
    assert_eq!(removed, json!({ "removed": true, "name": "ends", "dropped": 1 }));
    let gone = call(&daemon, Method::DELETE, &["ends"], json!({})).await?;
    assert_eq!(refused(&gone), (404, "unknown_webhook"));
    made(&daemon, &receiver, "ends", json!({ "events": ["turn.settled"] })).await?;
    let id = turn(&daemon).await?;
    until_told(&receiver, "/ends", &id).await?;
    until(&daemon, "ends", "up", 0).await?;
    assert_eq!(receiver.told_at("/ends").len(), 2);
    let log = daemon.log()?;
    assert!(!log.contains(&secret) && log.contains("webhook.made"), "{log}");
    let file = daemon.state_dir().join("webhooks.json");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(file)?.permissions());
    assert_eq!(mode & 0o777, 0o600);
    Ok(())
}

#[tokio::test]
async fn a_test_tells_what_the_receiver_says_and_secrets_change_at_leisure() -> Result<()> {
    let receiver = Receiver::start().await?;
    let daemon = with_eng().await?;
    let before = made(&daemon, &receiver, "ci", json!({ "events": ["turn.settled"] })).await?;
    let before = before["secret"].as_str().context("a secret")?.to_owned();
    let test = async || {
        call(&daemon, Method::POST, &["ci", "test"], json!({}))
            .await?
            .ok::<Value>()
    };
    let tested = test().await?;
    assert_eq!((&tested["delivered"], &tested["status"]), (&json!(true), &json!(200)));
    let told = receiver.told_at("/ci").pop().context("a test")?;
    assert_eq!(told.json()["type"], "webhook.test");
    assert!(is_signed(&told, &before) && told.header("webhook-id") == tested["id"]);

    let rotated = call(&daemon, Method::POST, &["ci", "rotate"], json!({}))
        .await?
        .ok::<Value>()?;
    let after = rotated["secret"].as_str().context("a secret")?.to_owned();
    assert_eq!(rotated["secrets"], 2);
    test().await?;
    let told = receiver.told_at("/ci").pop().context("a test")?;
    assert!(is_signed(&told, &before) && is_signed(&told, &after));
    let ended = call(&daemon, Method::POST, &["ci", "rotate"], json!({ "end_old": true })).await?;
    assert_eq!(ended.ok::<Value>()?["secrets"], 1);
    test().await?;
    let told = receiver.told_at("/ci").pop().context("a test")?;
    assert!(!is_signed(&told, &before) && is_signed(&told, &after));

    // What it says is shown, but for what is nobody's business.
    receiver.script("/ci", [Answer::With(401, "x-why", after.clone()), Answer::Status(500)]);
    let tested = test().await?;
    assert_eq!((&tested["delivered"], &tested["status"]), (&json!(false), &json!(401)));
    assert!(!tested.to_string().contains(&after), "{tested}");
    drop(receiver);
    let tested = test().await?;
    assert_eq!((&tested["delivered"], &tested["status"]), (&json!(false), &Value::Null));
    assert!(
        tested["said"]
            .as_str()
            .is_some_and(|said| said.contains("cannot be reached")),
        "{tested}"
    );
    assert_eq!(
        shown(&daemon, "ci").await?["state"],
        "starting",
        "a test changes nothing"
    );
    Ok(())
}

#[tokio::test]
async fn what_may_not_be_called_or_changed_is_refused_and_says_why() -> Result<()> {
    let receiver = Receiver::start().await?;
    let table = format!(
        "[[webhook]]\nname = \"fixed\"\nurl = \"{}\"\nsecret = \"${{HOOK}}\"\nallow = {{ private = true }}\nevents = [\"turn.settled\"]\n",
        receiver.url("/fixed")
    );
    let daemon = Daemon::builder()
        .stand_in()
        .env("HOOK", webhooks::secret())
        .config(&table)
        .start()
        .await?;
    daemon.create_agent("eng", "You build.").await?;
    for (more, says) in [
        (json!({ "url": receiver.url("/x") }), "private network"),
        (
            json!({ "url": "https://169.254.169.254/latest", "allow": { "private": true } }),
            "link-local",
        ),
        (json!({ "url": "http://93.184.216.34/" }), "https"),
        (
            json!({ "url": "https://example.com/", "events": ["turn.ended"] }),
            "turn.settled",
        ),
        (
            json!({ "url": "https://example.com/", "secret": "whsec_c2hvcnQ=" }),
            "16 bytes",
        ),
        (json!({ "url": "https://example.com/", "secret": " " }), "blank"),
        (json!({ "url": "https://example.com/", "heartbeat": 301 }), "300"),
        (
            json!({ "url": "https://example.com/", "allow": { "networks": ["all"] } }),
            "no network",
        ),
        (
            json!({ "url": "https://example.com/", "profile": "supervisor", "events": ["message.received"] }),
            "supervisor",
        ),
        (json!({ "url": "https://user:word@example.com/" }), "cannot be used"),
    ] {
        let mut body = more.clone();
        body["name"] = "new".into();
        let answer = call(&daemon, Method::POST, &[], body).await?;
        assert_eq!(refused(&answer), (400, "invalid_webhook"), "{more}");
        let words = answer.body["message"].as_str().unwrap_or_default();
        assert!(words.contains(says) && !words.contains("c2hvcnQ"), "{more}: {words}");
    }
    let name = call(
        &daemon,
        Method::POST,
        &[],
        json!({ "name": "No Name", "url": "https://example.com/" }),
    )
    .await?;
    assert_eq!(refused(&name), (400, "invalid_webhook"));

    // What the file says is changed there alone; everything else can be done with it.
    assert_eq!(shown(&daemon, "fixed").await?["configured"], true);
    for (method, path, body) in [
        (Method::PATCH, &["fixed"][..], json!({ "events": [] })),
        (Method::DELETE, &["fixed"], json!({})),
        (Method::POST, &["fixed", "pause"], json!({})),
        (Method::POST, &["fixed", "rotate"], json!({})),
    ] {
        let answer = call(&daemon, method, path, body).await?;
        assert_eq!(refused(&answer), (409, "configured_webhook"));
        assert!(
            answer.body["next_step"]
                .as_str()
                .is_some_and(|next| next.contains("[[webhook]]"))
        );
    }
    let tested = call(&daemon, Method::POST, &["fixed", "test"], json!({}))
        .await?
        .ok::<Value>()?;
    assert_eq!(tested["delivered"], true);

    // Only admins see addresses, and with a PIN nobody makes the daemon call somewhere who has not shown it.
    let reader = token(&daemon, &["reveille:read", "reveille:write"]).await?;
    let headers = [("authorization", format!("Bearer {reader}"))];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    for (method, target) in [
        ("GET", "/api/webhooks"),
        ("POST", "/api/webhooks"),
        ("POST", "/api/webhooks/fixed/test"),
    ] {
        assert_eq!(
            daemon.ask(method, target, &headers, b"{}").await?.status,
            403,
            "{method} {target}"
        );
    }
    let pin = json!({ "newPin": "1234" });
    post(&daemon, &["api", "step-up", "pin"], &pin).await?.ok::<Value>()?;
    for (method, path) in [
        (Method::POST, &[][..]),
        (Method::PATCH, &["fixed"]),
        (Method::POST, &["fixed", "rotate"]),
    ] {
        let answer = call(&daemon, method, path, json!({})).await?;
        assert_eq!(refused(&answer), (403, "step_up_required"));
    }
    Ok(())
}

#[tokio::test]
async fn commands_do_the_same_as_calls() -> Result<()> {
    let receiver = Receiver::start().await?;
    let daemon = with_eng().await?;
    let out = async |args: &[&str], input: &str| -> Result<(i32, String)> {
        let ran = run(daemon.cli(args).await?, input).await?;
        Ok((ran.code, ran.stdout + &ran.stderr))
    };
    let url = receiver.url("/ci");
    let (code, said) = out(&["webhook", "list"], "").await?;
    assert!(code == 0 && said.contains("webhook add"), "{said}");
    let (code, said) = out(&["webhook", "add", "ci", "--to", &url, "--event", "turn.settled"], "").await?;
    assert!(code == 4 && said.contains("private network"), "{said}");
    let add = [
        "webhook",
        "add",
        "ci",
        "--to",
        &url,
        "--event",
        "turn.settled",
        "--allow-private",
    ];
    let (code, said) = out(&add, "").await?;
    assert!(
        code == 0 && said.starts_with("whsec_") && said.contains("only time"),
        "{said}"
    );
    let secret = said.lines().next().context("a secret")?.to_owned();
    let (code, said) = out(&["webhook", "list"], "").await?;
    assert!(
        code == 0 && said.contains("turn.settled") && said.contains(&url),
        "{said}"
    );
    let (code, said) = out(&["webhook", "test", "ci"], "").await?;
    assert!(code == 0 && said.contains("it answered 200"), "{said}");
    assert!(receiver.told_at("/ci").iter().all(|told| is_signed(told, &secret)));

    receiver.script("/ci", [Answer::Status(403), Answer::Status(200)]);
    let (code, said) = out(&["webhook", "test", "ci"], "").await?;
    assert!(code == 1 && said.contains("it answered 403"), "{said}");
    let (code, said) = out(&["webhook", "pause", "ci"], "").await?;
    assert_eq!((code, said.trim()), (0, "ci is paused; 0 wait"));
    turn(&daemon).await?;
    until(&daemon, "ci", "paused", 1).await?;
    let (code, said) = out(&["webhook", "edit", "ci", "--agent", "eng", "--heartbeat", "60"], "").await?;
    assert_eq!((code, said.trim()), (0, "ci is paused; 1 wait"));
    let (code, said) = out(&["webhook", "edit", "ci"], "").await?;
    assert!(code == 2 && said.contains("nothing"), "{said}");
    let (code, said) = out(&["webhook", "show", "ci"], "").await?;
    let shown: Value = serde_json::from_str(&said)?;
    assert_eq!(
        (code, &shown["agents"], &shown["heartbeat"]),
        (0, &json!(["eng"]), &json!(60))
    );

    let (code, said) = out(&["webhook", "rotate", "ci", "--ask-secret"], &webhooks::secret()).await?;
    assert!(
        code == 0 && said.contains("--end-old") && !said.contains("whsec_"),
        "{said}"
    );
    out(&["webhook", "rotate", "ci", "--end-old"], "").await?;
    let (code, _) = out(&["webhook", "resume", "ci"], "").await?;
    assert_eq!(code, 0);
    until(&daemon, "ci", "up", 0).await?;
    let told = receiver.told_at("/ci").pop().context("the end of the turn")?;
    assert!(webhooks::is_ours(&told) && !is_signed(&told, &secret));
    let (code, said) = out(&["webhook", "remove", "ci"], "").await?;
    assert!(code == 0 && said.contains("told of everything"), "{said}");
    let (code, _) = out(&["webhook", "remove", "ci"], "").await?;
    assert_eq!(code, 4);
    Ok(())
}
