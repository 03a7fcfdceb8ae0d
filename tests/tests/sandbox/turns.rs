//! Turns of a daemon: the same walls around the CLI and all that it starts.

use std::collections::BTreeSet;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Builder, Daemon, LIMIT, Sent, State, Turn, arguments_with};
use reveille_tests::eventually;
use reveille_tests::ground::{Person, people};
use reveille_tests::messages_api::MessagesApi;
use serde_json::{Value, json};

use crate::floods::turn_of;

/// Settings of a daemon that confines its turns, whoever runs it.
fn confined(person: Person) -> Builder {
    let path = "/usr/local/bin:/usr/bin:/bin";
    Daemon::builder().run_by(person).confined().env("PATH", path)
}

async fn define(daemon: &Daemon, name: &str, metadata: Value) -> Result<()> {
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

async fn turn(daemon: &Daemon, agent: &str, text: &str) -> Result<Turn> {
    let sent = daemon.send(agent, text).await?;
    daemon.wait_turn(agent, &sent).await
}

/// What a command says in a turn of the stand-in.
async fn said(daemon: &Daemon, agent: &str, command: &str) -> Result<String> {
    let turn = turn(daemon, agent, &format!("[[exec {command}]]")).await?;
    ensure!(turn.state == State::Ok, "{turn:?}");
    turn.reply.context("a reply")
}

fn bash(command: &str) -> String {
    format!("[[tool Bash {}]]", json!({ "command": command }))
}

/// Where the only conversation works.
fn work(daemon: &Daemon) -> Result<PathBuf> {
    let mut conversations = std::fs::read_dir(daemon.state_dir().join("conversations"))?;
    let conversation = conversations.next().context("a conversation")??;
    Ok(conversation.path().join("work"))
}

/// A file that it has made there.
fn in_work(daemon: &Daemon, name: &str) -> Result<String> {
    let file = std::fs::read(work(daemon)?.join(name))?;
    Ok(String::from_utf8_lossy(&file).into_owned())
}

/// The namespace of processes in which a process is.
fn namespace(pid: u32) -> Result<PathBuf> {
    Ok(std::fs::read_link(format!("/proc/{pid}/ns/pid"))?)
}

/// A namespace of processes. It is held, as its name would go to another one when it has ended.
struct Namespace {
    name: PathBuf,
    _held: std::fs::File,
}

impl Namespace {
    fn of(pid: u32) -> Result<Self> {
        let held = std::fs::File::open(format!("/proc/{pid}/ns/pid"))?;
        let name = std::fs::read_link(format!("/proc/self/fd/{}", held.as_raw_fd()))?;
        Ok(Self { name, _held: held })
    }
}

/// Processes in a namespace, whatever they have in their environment.
fn in_namespace(wanted: &Path) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let pid = entry?.file_name().to_str().and_then(|name| name.parse().ok());
        // silent-ok: the process has ended
        found.extend(pid.filter(|pid| namespace(*pid).is_ok_and(|namespace| namespace == *wanted)));
    }
    Ok(found)
}

/// The value of `REVEILLE_INSTANCE` in the environment of a process.
fn instance(pid: u32) -> Result<String> {
    let environ = std::fs::read(format!("/proc/{pid}/environ"))?;
    let environ = String::from_utf8_lossy(&environ).into_owned();
    let found = environ
        .split('\0')
        .find_map(|one| one.strip_prefix("REVEILLE_INSTANCE="));
    Ok(found.context("REVEILLE_INSTANCE")?.to_owned())
}

#[tokio::test]
async fn the_real_cli_does_a_full_turn_with_its_tools_and_its_vault_in_a_restricted_network() -> Result<()> {
    for person in people() {
        let api = MessagesApi::start().await?;
        let daemon = confined(person)
            .real_claude(&api)
            .env("SECRET_THING", "canary-8")
            .start()
            .await?;
        define(&daemon, "eng", json!({"network": "restricted"})).await?;
        let script = "exec >out 2>&1; git init -q repo && cd repo && git -c user.name=a -c user.email=a@b.c commit -q --allow-empty \
                      -m committed && git log --format=%s; python3 -c 'print(\"python\", 6 * 7)'; node -e 'console.log(\"node\", 6 * 7)'; \
                      curl -s -m 20 -o /dev/null -w 'proxy %{http_code}\\n' http://other.example/; \
                      curl -s -m 5 --noproxy '*' http://1.1.1.1/ || echo direct $?; \
                      touch /etc/planted || echo held; cat /root/.bashrc /etc/shadow || echo hidden; env; cat /proc/[0-9]*/environ";
        let note = json!({"path": "Made/by-the-turn", "content": "made"});
        let text = format!("{} [[tool mcp__reveille__create-note {note}]]", bash(script));
        let turn = turn(&daemon, "eng", &text).await?;
        assert_eq!(turn.state, State::Ok, "{person:?} {turn:?}");
        let made = daemon
            .note("Made/by-the-turn")
            .await?
            .with_context(|| format!("{turn:?}"))?;
        assert_eq!(made["content"], "made");
        let told = in_work(&daemon, "out")?;
        for word in [
            "committed",
            "python 42",
            "node 42",
            "proxy 403",
            "direct 7",
            "held",
            "hidden",
        ] {
            assert!(told.contains(word), "{person:?} {word}: {told}");
        }
        assert!(!told.contains("canary-8") && !told.contains(daemon.token()), "{told}");
    }
    Ok(())
}

/// A turn of the real CLI with tools that want to stay, one of them without a marker in its environment.
async fn begin_stayers(daemon: &Daemon) -> Result<(Sent, Namespace, String)> {
    let script = "env -i setsid sleep 600 & (setsid sh -c 'trap \"\" TERM INT HUP; sleep 600; sleep 600' &) ; \
                  (trap '' TERM INT; sleep 600) & echo here > begun; sleep 600";
    let sent = daemon.send("eng", &bash(script)).await?;
    // The sandbox itself, the CLI, the shell and what it started.
    let children = eventually("the tool runs", LIMIT, async || {
        let children = daemon.children()?;
        let inside = children.iter().rev().find_map(|pid| Namespace::of(*pid).ok()); // silent-ok: it has ended
        let Some(inside) = inside else { return Ok(None) };
        let own = namespace(std::process::id())?;
        Ok((inside.name != own && in_namespace(&inside.name)?.len() >= 7).then_some((children, inside)))
    });
    let (children, inside) = children.await?;
    let instance = children.iter().rev().find_map(|pid| instance(*pid).ok()); // silent-ok: likewise
    Ok((sent, inside, instance.context("a child with an instance")?))
}

async fn nothing_is_left(daemon: &Daemon, inside: &Namespace, instance: &str) -> Result<()> {
    let left = async || {
        let marked = reveille_tests::daemon::processes_with("REVEILLE_INSTANCE", instance)?;
        anyhow::Ok((daemon.children()?, marked, in_namespace(&inside.name)?))
    };
    let nothing = (Vec::new(), Vec::new(), Vec::new());
    let gone = eventually("nothing is left", LIMIT, async || {
        Ok((left().await? == nothing).then_some(()))
    });
    match gone.await {
        Ok(()) => Ok(()),
        Err(error) => Err(error.context(format!("children, marked, inside: {:?}", left().await))),
    }
}

#[tokio::test]
async fn after_a_stop_no_process_is_left() -> Result<()> {
    for person in people() {
        let api = MessagesApi::start().await?;
        let daemon = confined(person).real_claude(&api).start().await?;
        define(&daemon, "eng", json!({"network": "restricted"})).await?;
        let (sent, inside, instance) = begin_stayers(&daemon).await?;
        daemon.stop_turn(&turn_of(&daemon, "eng", &sent).await?).await?;
        assert_eq!(daemon.wait_turn("eng", &sent).await?.state, State::Cancelled);
        nothing_is_left(&daemon, &inside, &instance).await?;
        assert_eq!(
            turn(&daemon, "eng", "[[reply well]]").await?.reply.as_deref(),
            Some("well")
        );
    }
    Ok(())
}

#[tokio::test]
async fn after_kill_9_of_the_daemon_no_process_is_left() -> Result<()> {
    for person in people() {
        let api = MessagesApi::start().await?;
        let mut daemon = confined(person).real_claude(&api).start().await?;
        define(&daemon, "eng", json!({"network": "restricted"})).await?;
        let (_, inside, instance) = begin_stayers(&daemon).await?;
        daemon.kill9().await?;
        nothing_is_left(&daemon, &inside, &instance).await?;
    }
    Ok(())
}

/// What is looked for in [`w_2_w_3_w_4_a_turn_sees_and_changes_its_own_directories_only`]: a part of each file.
const SECRETS: [&str; 4] = ["canary-9", "SQLite", "[sandbox]", "You do."];

/// Where an agent works, and a file with a secret that it has written there.
async fn with_secret(daemon: &Daemon, agent: &str) -> Result<String> {
    let told = said(daemon, agent, "echo canary-9 > secret; pwd").await?;
    let place = told
        .split_whitespace()
        .find(|word| word.starts_with('/') && word.contains("/s/"));
    Ok(place.context("where it works")?.to_owned())
}

#[tokio::test]
async fn w_2_w_3_w_4_a_turn_sees_and_changes_its_own_directories_only() -> Result<()> {
    for person in people() {
        for filesystem in ["workspace", "full"] {
            let config = "[sandbox]\nfilesystem = \"full\"\n";
            let daemon = confined(person).stand_in().config(config).start().await?;
            for agent in ["one", "two"] {
                define(&daemon, agent, json!({"filesystem": filesystem})).await?;
            }
            let other = with_secret(&daemon, "two").await?;
            let (state, scratch) = (daemon.state_dir(), daemon.scratch());
            let (state, scratch) = (state.display(), scratch.display());
            std::fs::write(format!("{scratch}/neighbour"), "neighbour-9")?;
            let look = format!(
                "cat {other}/secret {other}/../ctl/* {state}/token {state}/*.db {state}/../reveille.toml; ls {state}; \
                 cat {scratch}/neighbour"
            );
            let change = "for try in 'rm -r ctl' 'mv ctl c' 'ln -s / ctl/x' 'mkdir ctl/x' 'ln -s / x' 'mkdir x' \
                 'mv home h' 'touch attachments/x' 'rmdir attachments'; do $try && echo CHANGED; done";
            let script = format!(
                "echo own > own && cat own; {look}; cd \"$HOME/..\" && pwd && ls; {change}; touch work/w home/h tmp/t && echo done"
            );
            let told = said(&daemon, "one", &script).await?;
            let shown = format!("{person:?} {filesystem}: {told}");
            assert!(told.contains("own") && told.contains("done"), "{shown}");
            let bad = SECRETS.iter().copied().chain(["CHANGED", "queue.db", daemon.token()]);
            for bad in bad {
                assert!(!told.contains(bad), "{bad}: {shown}");
            }
            // What is not secret is seen with `full`: it is not that nothing is there.
            assert_eq!(told.contains("neighbour-9"), filesystem == "full", "{shown}");

            // The same user finds all of it, and may change it, where nothing is in the way.
            let found = daemon.outside(&format!("({look}) | tr -cd '[:print:]\\n'")).await?;
            for there in SECRETS.iter().chain([&daemon.token(), &"neighbour-9", &"queue.db"]) {
                assert!(found.contains(there), "{person:?} {filesystem} {there}");
            }
            let changed = daemon.outside(&format!("cd {other}/..; {change}")).await?;
            assert!(changed.matches("CHANGED").count() >= 3, "{person:?}: {changed}");
        }
    }
    Ok(())
}

/// A person's own notes of the CLI: keys, servers with their headers, and how it looks.
const NOTES: &str = r#"{"theme": "light-9", "primaryApiKey": "canary-11", "oauthAccount": {"emailAddress": "canary-11"},
    "mcpServers": {"mine": {"type": "http", "url": "http://canary-11.invalid", "headers": {"Authorization": "canary-11"}}}}"#;

#[tokio::test]
async fn d_5_w_5_what_the_persons_own_cli_knows_is_in_no_home_of_an_agent() -> Result<()> {
    for person in people() {
        for filesystem in ["workspace", "full"] {
            let config = "[sandbox]\nfilesystem = \"full\"\n";
            let daemon = confined(person).stand_in().config(config).start().await?;
            // The daemon's `HOME`.
            let own = daemon.scratch().join(".claude.json");
            std::fs::write(&own, NOTES)?;
            define(&daemon, "eng", json!({"filesystem": filesystem})).await?;
            let look = format!("grep -r . \"$HOME\"; cat {}", own.display());
            let told = said(&daemon, "eng", &look).await?;
            // It was looked into: what can be taken over is.
            assert!(
                told.contains("light-9") && told.contains("hasCompletedOnboarding"),
                "{told}"
            );
            for bad in ["canary-11", "mcpServers", "primaryApiKey"] {
                assert!(!told.contains(bad), "{person:?} {filesystem} {bad}: {told}");
            }
            assert!(daemon.outside(&look).await?.contains("canary-11"));
        }
    }
    Ok(())
}

#[tokio::test]
async fn w_9_a_turn_has_its_own_directory_for_temporary_files() -> Result<()> {
    for person in people() {
        let daemon = confined(person).stand_in().start().await?;
        for network in ["open", "proxied", "restricted"] {
            define(&daemon, network, json!({"network": network})).await?;
            let told = said(
                &daemon,
                network,
                "set -e; mktemp; touch /tmp/x; echo at $TMPDIR $TMP $TEMP; echo made",
            )
            .await?;
            assert!(told.contains("/tmp/tmp.") && told.contains("made"), "{network}: {told}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn w_11_a_megabyte_of_quotes_reaches_a_turn_and_no_argument() -> Result<()> {
    for person in people() {
        let api = MessagesApi::start().await?;
        let daemon = confined(person).real_claude(&api).start().await?;
        define(&daemon, "eng", json!({"network": "restricted"})).await?;
        let [mark, gate] = [(); 2].map(|()| uuid::Uuid::new_v4().simple().to_string());
        let wait = bash(&format!("until test -e {gate}; do sleep 0.1; done"));
        let text = format!("begin {mark} {} end {wait}", "'\"`$(x) ".repeat(130_000));
        let sent = daemon.send("eng", &text).await?;
        // What the tool is told is an argument, so it is looked at what runs.
        eventually("the tool runs", LIMIT, async || {
            Ok((!arguments_with(&gate)?.is_empty()).then_some(()))
        })
        .await?;
        assert_eq!(arguments_with(&mark)?, [0; 0]);
        std::fs::write(work(&daemon)?.join(&gate), "")?;
        assert_eq!(daemon.wait_turn("eng", &sent).await?.state, State::Ok);
        let requests = api.requests();
        let whole = requests.iter().any(|request| request.prompt.contains(&text));
        assert!(
            whole,
            "{:?}",
            requests.iter().map(|request| request.prompt.len()).collect::<Vec<_>>()
        );
    }
    Ok(())
}

/// What a turn has in a network of its own, when nothing is configured but the mark of these tests.
const DOCUMENTED: &str = "API_TIMEOUT_MS BASH_DEFAULT_TIMEOUT_MS BASH_MAX_TIMEOUT_MS CLAUDE_CODE_DISABLE_BACKGROUND_TASKS \
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC CLAUDE_CODE_EAGER_FLUSH CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS \
    CLAUDE_CODE_MAX_RETRIES CLAUDE_CODE_TMPDIR CLAUDE_CONFIG_DIR DISABLE_AUTOUPDATER DISABLE_ERROR_REPORTING DISABLE_TELEMETRY HOME LANG PATH TERM TMPDIR \
    REVEILLE_BIN REVEILLE_INSTANCE REVEILLE_TEST_RUN REVEILLE_TOKEN REVEILLE_TURN REVEILLE_URL REVEILLE_VAULT \
    HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy NODE_USE_ENV_PROXY";

#[tokio::test]
async fn r_sbx_50_w_14_the_environment_of_a_turn_is_what_is_documented() -> Result<()> {
    let secrets = [
        "ANTHROPIC_AUTH_TOKEN",
        "GITHUB_TOKEN",
        "SECRET_THING",
        "LD_PRELOAD",
        "NODE_OPTIONS",
        "BASH_ENV",
        "SSH_AUTH_SOCK",
    ];
    for person in people() {
        let mut builder = confined(person).stand_in();
        for name in secrets.iter().filter(|name| **name != "LD_PRELOAD") {
            builder = builder.env(name, "canary-10");
        }
        let daemon = builder.start().await?;
        define(&daemon, "eng", json!({"network": "restricted"})).await?;
        let told = said(
            &daemon,
            "eng",
            "cat /proc/self/environ | tr '\\0' '\\n'; cat /proc/[0-9]*/environ | grep -c canary-10",
        )
        .await?;
        assert!(!told.contains("canary-10"), "{told}");
        // The shell's own three are not the turn's.
        let own = ["PWD", "SHLVL", "_"];
        let names = told.lines().filter_map(|line| line.split_once('='));
        let names: BTreeSet<&str> = names.map(|(name, _)| name).filter(|name| !own.contains(name)).collect();
        let mut expected: BTreeSet<&str> = DOCUMENTED.split_whitespace().collect();
        if person.is_root() {
            // Without it the CLI refuses to run as root with its permissions skipped.
            expected.insert("IS_SANDBOX");
        }
        assert_eq!(names, expected, "{person:?}");
    }
    Ok(())
}

/// Who uses the repository next runs what its configuration and its hooks name, outside of every sandbox.
#[tokio::test]
async fn an_agent_works_with_git_and_decides_nothing_that_git_runs_for_others() -> Result<()> {
    const WORK: &str = "export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b.c GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b.c; \
                        git commit -q --allow-empty -m two && git push -q origin HEAD && git checkout -q -b topic && \
                        git checkout -q -b followed origin/one && git push -q -u origin topic && git branch -q -D topic && \
                        git fetch -q && git gc -q && echo worked";
    const ATTACK: &str = "echo x >.git/hooks/post-checkout || echo held; git config core.fsmonitor ./x || echo held; \
                          mv .git/hooks .git/old || echo held; mv .git .other || echo held; rm -rf .git/config || echo held";
    for person in people() {
        for lifted in [false, true] {
            let mut builder = confined(person).stand_in();
            if lifted {
                builder = builder.env("REVEILLE_SANDBOX__GIT_CONFIG", "writable");
            }
            let daemon = builder.start().await?;
            let place = daemon.shared().join("repo");
            let script = format!(
                "set -e; umask 022; cd {shared}; git init -q --bare up.git; git clone -q up.git repo; cd repo; \
                 git -c user.name=a -c user.email=a@b.c commit -q --allow-empty -m one; git push -q origin HEAD HEAD:one; \
                 git fetch -q; chmod -R a+rwX {shared}",
                shared = daemon.shared().display()
            );
            let made = std::process::Command::new("sh").arg("-c").arg(&script).output()?;
            ensure!(made.status.success(), "{made:?}");
            let mount = |path: &Path| json!({"hostPath": path, "mountPath": path, "mode": "rw"});
            let mounts = json!([mount(&place), mount(&daemon.shared().join("up.git"))]);
            define(&daemon, "eng", json!({ "mounts": mounts })).await?;
            let safe = "git config --global safe.directory '*'";
            let inside = format!("cd {} && {safe} && {{ {ATTACK}; }} 2>/dev/null", place.display());
            if lifted {
                let done = said(&daemon, "eng", &inside).await?;
                ensure!(
                    !done.contains("held") && place.join(".other").is_dir(),
                    "{person:?} {done}"
                );
                continue;
            }
            let worked = format!("cd {} && {safe} && {{ {WORK}; }} 2>/dev/null", place.display());
            let done = said(&daemon, "eng", &worked).await?;
            ensure!(done.trim().ends_with("worked"), "{person:?} {done}");
            let held = said(&daemon, "eng", &inside).await?;
            assert_eq!(held.matches("held").count(), 5, "{person:?} {held}");
            ensure!(!place.join(".git/hooks/post-checkout").exists());
        }
    }
    Ok(())
}
