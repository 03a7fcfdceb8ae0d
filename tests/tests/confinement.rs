//! What agents get of what their definitions ask for, and what people are told of it. Linux only: elsewhere there is nothing
//! to try it with.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Builder, Daemon, LIMIT, State, Turn};
use reveille_tests::eventually;
use reveille_tests::ground::{Person, people};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Does the same with daemons of each person there is.
async fn everybody(test: impl AsyncFn(Person) -> Result<()>) -> Result<()> {
    for person in people() {
        test(person).await.with_context(|| format!("{person:?}"))?;
    }
    Ok(())
}

fn confined(person: Person) -> Builder {
    Daemon::builder()
        .stand_in()
        .confined()
        .run_by(person)
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
}

async fn get(daemon: &Daemon, path: &[&str]) -> Result<Value> {
    daemon.request(Method::GET, path, None).await?.ok()
}

async fn define(daemon: &Daemon, name: &str, metadata: Value) -> Result<()> {
    let body = json!({ "name": name, "prompt": "You do.", "metadata": metadata });
    let made = daemon.request(Method::POST, &["api", "agents"], Some(&body)).await?;
    assert_eq!(made.status, 201, "{}", made.body);
    // When that takes long, the daemon answers before it has read the note.
    eventually("the agent is there", LIMIT, async || {
        let shown = daemon.request(Method::GET, &["api", "agents", name], None).await?;
        Ok((shown.status == 200).then_some(()))
    })
    .await
}

/// What a command of a turn says. It has to end well.
async fn said(daemon: &Daemon, agent: &str, command: &str) -> Result<(Turn, String)> {
    let sent = daemon.send(agent, &format!("[[exec {command}]]")).await?;
    let turn = daemon.wait_turn(agent, &sent).await?;
    assert_eq!(turn.state, State::Ok, "{turn:?}");
    let reply = turn.reply.clone().context("a reply")?;
    Ok((turn, reply))
}

#[tokio::test]
async fn d_8_what_is_above_the_ceiling_is_told_everywhere_and_the_agent_runs_at_the_ceiling() -> Result<()> {
    everybody(async |person| {
        let config = "[sandbox]\nmounts = [\"SCRATCH/open\"]\nnetwork = \"proxied\"\n";
        let daemon = confined(person).config(config).start().await?;
        let at = |name: &str| daemon.scratch().join(name).display().to_string();
        for dir in ["open", "closed"] {
            std::fs::create_dir(at(dir))?;
            std::fs::write(format!("{}/file", at(dir)), format!("content of {dir}"))?;
        }
        let mount = |dir: &str| json!({"hostPath": at(dir), "mountPath": at(dir), "mode": "ro"});
        let asks = json!({"filesystem": "full", "network": "open", "workspace": at("closed"),
            "mounts": [mount("open"), mount("closed")]});
        define(&daemon, "asks", asks).await?;
        define(
            &daemon,
            "modest",
            json!({"filesystem": "workspace", "network": "restricted"}),
        )
        .await?;

        let agent = get(&daemon, &["api", "agents", "asks"]).await?;
        let lowered = agent["lowered"].as_array().context("a list")?;
        let keys: Vec<&Value> = lowered.iter().map(|one| &one["key"]).collect();
        assert_eq!(keys, ["filesystem", "network", "workspace", "mounts"]);
        assert_eq!(
            get(&daemon, &["api", "agents", "modest"]).await?["lowered"],
            Value::Null
        );
        eventually("the note says that it waits for the operator", LIMIT, async || {
            let note = daemon.note("Agents/asks").await?.context("the note")?;
            let (status, pending) = (&note["metadata"]["status"], note["metadata"]["pending"].as_str());
            Ok((status == "pending" && pending.is_some_and(|text| text.contains("network:open"))).then_some(()))
        })
        .await?;
        let shown = daemon.run(["agent", "show", "asks"]).await?.stdout;
        assert!(shown.contains("network open is proxied"), "{shown}");
        let health = get(&daemon, &["health"]).await?;
        assert_eq!(health["sandbox"]["lowered"], json!(["asks"]));
        assert_eq!(health["sandbox"]["confined"], true);

        let script = format!(
            "cat {}/file; cat {}/file || echo nothing of that; cat {} || echo no token; pwd",
            at("open"),
            at("closed"),
            daemon.state_dir().join("token").display()
        );
        let (turn, reply) = said(&daemon, "asks", &script).await?;
        assert!(
            reply.contains("content of open") && !reply.contains("content of closed"),
            "{reply}"
        );
        assert!(
            reply.contains("nothing of that") && reply.contains("no token"),
            "{reply}"
        );
        assert!(reply.contains("/work") && !reply.contains(daemon.token()), "{reply}");
        // Without the sandbox the same user reads all three.
        let found = daemon.outside(&script).await?;
        for there in ["content of open", "content of closed", daemon.token()] {
            assert!(found.contains(there), "{there}: {found}");
        }
        let notices = turn.more["notices"].to_string();
        assert!(notices.contains("less than its definition asks for"), "{notices}");
        // It is told once.
        let (turn, _) = said(&daemon, "asks", "true").await?;
        assert_eq!(turn.more["notices"], json!([]));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn refused_connections_are_counted_and_told_with_the_mend() -> Result<()> {
    everybody(async |person| {
        let daemon = confined(person).start().await?;
        define(
            &daemon,
            "eng",
            json!({"network": "restricted", "egress": "allowed.invalid"}),
        )
        .await?;
        let script = "for url in http://other.invalid http://other.invalid http://allowed.invalid; do \
                      curl -s -m 60 -o /dev/null $url; done; curl -s $REVEILLE_URL/health; true";
        let (turn, reply) = said(&daemon, "eng", script).await?;
        // The daemon itself is reached without the proxy.
        assert!(reply.contains("\"status\""), "{reply}");
        assert_eq!(
            turn.more["egress"],
            json!([
                {"host": "other.invalid", "port": 80, "decision": "refused", "count": 2},
                {"host": "allowed.invalid", "port": 80, "decision": "failed", "count": 1},
            ])
        );
        let notices = turn.more["notices"].to_string();
        assert!(
            notices.contains("other.invalid:80 ×2") && notices.contains("`egress`") && !notices.contains("allowed"),
            "{notices}"
        );
        let sandbox = get(&daemon, &["api", "agents", "eng", "sandbox"]).await?;
        assert_eq!(sandbox["turns"][0]["connections"], turn.more["egress"]);
        assert_eq!(sandbox["network"], json!({"value": "restricted", "from": "definition"}));
        assert_eq!(sandbox["egress"], json!(["allowed.invalid"]));
        Ok(())
    })
    .await
}

/// A proxy outside that lets everybody through and answers nothing: what it was sent by those whom it let through.
async fn silent_proxy() -> Result<(String, Arc<Mutex<Vec<u8>>>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = vec![0; 16 << 10];
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await?);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            let length = stream.read(&mut bytes).await?;
            kept.lock().unwrap().extend_from_slice(&bytes[..length]);
        }
        anyhow::Ok(())
    });
    Ok((url, heard))
}

#[tokio::test]
async fn r_egr_8_d_7_a_server_that_was_granted_is_reached_in_a_restricted_network() -> Result<()> {
    everybody(async |person| {
        let (url, heard) = silent_proxy().await?;
        let daemon = confined(person).env("HTTPS_PROXY", url).start().await?;
        // By its address, which need not be looked up; the proxy sees to it that nothing goes there.
        let key = "mcp:https://93.184.216.34/mcp";
        define(&daemon, "eng", json!({"network": "restricted", "wants": key})).await?;
        let script = "for at in 93.184.216.34 93.184.216.34:8443 other.example; do \
                      curl -s -k -m 20 https://$at/mcp; done; true";
        let decisions = async || -> Result<Vec<String>> {
            let (turn, _) = said(&daemon, "eng", script).await?;
            let all = turn.more["egress"].as_array().context("connections")?.iter();
            let told = all.map(|one| format!("{}:{} {}", one["host"], one["port"], one["decision"]).replace('"', ""));
            Ok(told.collect())
        };
        let others = ["93.184.216.34:8443 refused", "other.example:443 refused"];
        assert_eq!(
            decisions().await?,
            [&["93.184.216.34:443 refused"], &others[..]].concat()
        );
        assert!(heard.lock().unwrap().is_empty());
        let body = json!({ "holder": "eng", "key": key, "token": "mcp-hunter2hunter2" });
        let path = ["api", "connections", "approve"];
        daemon.request(Method::POST, &path, Some(&body)).await?.ok::<Value>()?;
        assert_eq!(
            decisions().await?,
            [&["93.184.216.34:443 allowed"], &others[..]].concat()
        );
        assert!(!heard.lock().unwrap().is_empty());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn r_egr_9_w_8_tls_for_another_name_goes_nowhere_where_the_operator_wants_that() -> Result<()> {
    everybody(async |person| {
        for checks in [true, false] {
            let (url, heard) = silent_proxy().await?;
            let config = format!("[sandbox]\ncheck_sni = {checks}\negress = [\"named.example\"]\n");
            let daemon = confined(person).config(&config).env("HTTPS_PROXY", url).start().await?;
            define(&daemon, "eng", json!({"network": "restricted", "egress": "named.example"})).await?;
            let script = "for name in named.example fronted.example; do \
                          curl -s -k -m 20 --connect-to $name:443:named.example:443 https://$name/ || true; done; echo tried";
            let (turn, reply) = said(&daemon, "eng", script).await?;
            assert!(reply.contains("tried"), "{reply}");
            // The name is in the clear at the beginning of TLS.
            let heard = String::from_utf8_lossy(&heard.lock().unwrap()).into_owned();
            let names = ["named.example", "fronted.example"].map(|name| heard.contains(name));
            assert_eq!(names, [true, !checks], "{checks}");
            let refused = turn.more["egress"].to_string().contains("\"refused\"");
            assert_eq!(refused, checks, "{turn:?}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn without_a_sandbox_no_turn_is_run() -> Result<()> {
    everybody(async |person| {
        let tools = tempfile::tempdir()?;
        let daemon = confined(person).env("PATH", tools.path()).start().await?;
        define(&daemon, "eng", json!({})).await?;
        let witness = daemon.scratch().join("witness");
        let sent = daemon
            .send("eng", &format!("[[exec touch {}]]", witness.display()))
            .await?;
        let turn = daemon.wait_turn("eng", &sent).await?;
        assert_eq!(turn.state, State::Error, "{turn:?}");
        let error = turn.error.context("an error")?;
        assert_eq!(error["code"], "sandbox");
        assert!(error["next_step"].to_string().contains("bubblewrap"), "{error}");
        assert!(!witness.exists());
        let health = get(&daemon, &["health"]).await?;
        assert_eq!(health["status"], "degraded");
        assert_eq!(health["dependencies"]["missing"], json!(["bwrap"]));
        assert_eq!(health["dependencies"]["sandbox"]["ok"], false);
        let doctor = daemon.run(["doctor"]).await?;
        assert_eq!(doctor.code, 1);
        assert!(
            doctor.stdout.contains("ERROR    sandbox: no turn can be run"),
            "{}",
            doctor.stdout
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_sandbox_that_works_is_shown_and_a_note_cannot_turn_it_off() -> Result<()> {
    everybody(async |person| {
        let daemon = confined(person).start().await?;
        define(&daemon, "eng", json!({"sandbox": "none", "mode": "single-threaded"})).await?;
        let tried = eventually("the sandbox was tried out", LIMIT, async || {
            let health = get(&daemon, &["health"]).await?;
            Ok(Some(health["dependencies"]["sandbox"].clone()).filter(Value::is_object))
        })
        .await?;
        assert_eq!(
            (&tried["ok"], &tried["seccomp"]),
            (&json!(true), &json!(true)),
            "{tried}"
        );
        let (_, reply) = said(&daemon, "eng", "touch /etc/reveille-was-here || echo held").await?;
        assert!(reply.contains("held"), "{reply}");
        let doctor = daemon.run(["doctor"]).await?.stdout;
        assert!(doctor.contains("sandbox: agents are confined: bubblewrap "), "{doctor}");
        assert_eq!(
            doctor.contains("the daemon would run as root"),
            person.is_root(),
            "{doctor}"
        );
        let open = Daemon::builder().stand_in().run_by(person).start().await?;
        let health = get(&open, &["health"]).await?;
        assert_eq!(
            (&health["sandbox"]["mode"], &health["sandbox"]["confined"]),
            (&json!("none"), &json!(false))
        );
        eventually("the log says it too", LIMIT, async || {
            Ok(open.log()?.contains("NOT confined").then_some(()))
        })
        .await
    })
    .await
}

#[tokio::test]
async fn w_3_what_an_agent_plants_in_its_home_harms_no_later_turn() -> Result<()> {
    everybody(async |person| {
        let daemon = confined(person).start().await?;
        define(&daemon, "eng", json!({})).await?;
        let plants = [
            "rm -rf $HOME/.claude; ln -s /etc $HOME/.claude",
            "rm -rf $HOME/.claude; mkfifo $HOME/.claude",
            "cd $HOME/.claude; rm -rf settings.json .claude.json; mkfifo settings.json; mkdir .claude.json; touch .claude.json/x",
            "cd $HOME/.claude; rm -rf projects; ln -s ../../../.. projects",
            "chmod 0 $HOME $TMPDIR",
        ];
        for plant in plants {
            said(&daemon, "eng", plant).await?;
            let (_, reply) = said(&daemon, "eng", "touch $TMPDIR/x $HOME/x && echo well").await?;
            assert!(reply.contains("well"), "{plant}: {reply}");
        }
        let (_, reply) = said(
            &daemon,
            "eng",
            "cd $HOME/../ctl && touch x; rm mcp.json; mv ../ctl ../x; true",
        )
        .await?;
        assert!(reply.contains("Read-only"), "{reply}");
        Ok(())
    })
    .await
}
