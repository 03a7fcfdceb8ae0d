//! What of the vault reaches the model: the layers of the system prompt, the thread's own model, the run context.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![forbid(unsafe_code)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use http::Method;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, LIMIT, State, Turn, rows};
use reveille_tests::eventually;
use reveille_tests::messages_api::MessagesApi;
use serde_json::{Value, json};

/// The thread note of the agent `eng`, as far as nobody moves it.
const THREAD: &str = "Threads/eng/eng";
/// What `eng` is told by its definition, with bytes that are to be kept.
const BODY: &str = "  You are an engineer. \n\n";
const OWN: &str = "# Agents/eng\n\n  You are an engineer. \n\n";

/// How the daemon's own layer begins, which stands behind all others.
const TOOLS: &str = "# Reveille\n\nThe tools mcp__reveille__*";

/// A daemon with the stand-in and one agent, `eng`.
async fn with_eng(body: &str) -> Result<Daemon> {
    let daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", body).await?;
    Ok(daemon)
}

/// Notes that a thread can list.
async fn write_notes(daemon: &Daemon) -> Result<()> {
    for (path, content) in [
        ("Notes/one", "One.\n"),
        ("Notes/two", "Two."),
        ("Notes/blank", " \n "),
        ("Roles/critic", "Be critical."),
        ("Roles/kind", "Be kind."),
    ] {
        let metadata = json!({"hidden": "METADATA", "wants": "everything"});
        daemon.note_put(path, content, &["doc"], &metadata).await?;
    }
    Ok(())
}

/// Writes what a person writes on a thread note.
async fn write_thread(daemon: &Daemon, path: &str, content: &str, metadata: &Value) -> Result<()> {
    daemon.note_put(path, content, &["agent/thread"], metadata).await?;
    Ok(())
}

async fn turn_of(daemon: &Daemon, agent: &str, message: &Value) -> Result<Turn> {
    let sent = daemon.send_with(agent, message).await?;
    let turn = daemon.wait_turn(agent, &sent).await?;
    assert_eq!(turn.state, State::Ok, "{turn:?}");
    Ok(turn)
}

async fn turn(daemon: &Daemon) -> Result<Turn> {
    turn_of(daemon, "eng", &json!({"text": "[[reply done]]"})).await
}

fn thread_of(turn: &Turn) -> Result<&str> {
    turn.more["thread"].as_str().context("a turn has a thread")
}

fn file(daemon: &Daemon, turn: &Turn) -> Result<PathBuf> {
    let dir = daemon.state_dir().join("conversations").join(thread_of(turn)?);
    Ok(dir.join("ctl/system-prompt.txt"))
}

/// The prompt file of a turn's conversation, as the turn left it, without the daemon's own layer. `None`: nothing else.
fn prompt(daemon: &Daemon, turn: &Turn) -> Result<Option<String>> {
    match std::fs::read_to_string(file(daemon, turn)?) {
        Ok(text) => {
            let (layers, _) = text.rsplit_once(TOOLS).context("the last layer names the tools")?;
            Ok(layers.strip_suffix("\n\n---\n\n").map(str::to_owned))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn notices(turn: &Turn) -> Vec<&str> {
    let notices = turn.more["notices"].as_array();
    notices.into_iter().flatten().filter_map(Value::as_str).collect()
}

fn joined(layers: &[&str]) -> Option<String> {
    (!layers.is_empty()).then(|| layers.join("\n\n---\n\n"))
}

/// Changes the definition of `eng` and waits until it counts.
async fn define(daemon: &Daemon, content: &str, metadata: &Value) -> Result<()> {
    daemon
        .note_put("Agents/eng", content, &["agent/definition"], metadata)
        .await?;
    eventually("the definition counts", LIMIT, async || {
        let agent = daemon.request(Method::GET, &["api", "agents", "eng"], None).await?.body;
        let text = agent["prompt"].as_str().unwrap_or_default();
        let model = &metadata["model"];
        let same = model.is_null() || agent["settings"]["model"]["value"] == *model;
        Ok((text == content && same).then_some(()))
    })
    .await
}

/// One turn of `eng`, whose thread note a person made before it.
async fn one_turn(body: &str, content: &str, metadata: Value, expected: &[&str]) -> Result<()> {
    let daemon = with_eng(body).await?;
    write_notes(&daemon).await?;
    write_thread(&daemon, THREAD, content, &metadata).await?;
    let turn = turn(&daemon).await?;
    assert_eq!(prompt(&daemon, &turn)?, joined(expected));
    assert_eq!(notices(&turn), Vec::<&str>::new());
    Ok(())
}

macro_rules! one_turn {
    ($($name:ident: $body:expr, $content:expr, $metadata:tt => $expected:expr;)*) => {
        $(
            #[tokio::test]
            async fn $name() -> Result<()> {
                one_turn($body, $content, json!($metadata), &$expected).await
            }
        )*
    };
}

const ONE: &str = "# Notes/one\n\nOne.\n";
const TWO: &str = "# Notes/two\n\nTwo.";
const CRITIC: &str = "# Roles/critic\n\nBe critical.";
const KIND: &str = "# Roles/kind\n\nBe kind.";
const PLAN: &str = "\nThe plan: ship. \n";
const PLAN_LAYER: &str = "# Threads/eng/eng\n\n\nThe plan: ship. \n";

one_turn! {
    tc_sp_18_41_an_empty_loadout_adds_nothing: BODY, "", {"loadout": []} => [OWN];
    tc_sp_19_38_the_loadout_follows_in_order: BODY, "", {"loadout": ["Notes/two", "Notes/one"]} => [OWN, TWO, ONE];
    tc_sp_20_a_path_counts_once_and_a_blank_note_not_at_all:
        BODY, "", {"loadout": ["Notes/one", "Notes/blank", " /Notes/one.md ", "Notes/two"]} => [OWN, ONE, TWO];
    tc_sp_21_43_the_thread_stands_between: BODY, PLAN, {"loadout": "[\"Notes/one\"]"} => [OWN, PLAN_LAYER, ONE];
    tc_sp_22_without_thread_text: BODY, "", {"loadout": "Notes/one"} => [OWN, ONE];
    tc_sp_23_45_blank_thread_text_is_none: BODY, " \n\t", {} => [OWN];
    tc_sp_24_a_loadout_alone: "", "", {"loadout": ["Notes/one"]} => [ONE];
    tc_sp_25_46_49_a_role_stands_first: BODY, "", {"roles": "Roles/critic"} => [CRITIC, OWN];
    tc_sp_26_48_every_layer_in_its_order:
        BODY, PLAN, {"roles": ["Roles/kind", "Roles/critic", "Roles/kind"], "loadout": ["Notes/two", "Notes/one"]}
        => [KIND, CRITIC, OWN, PLAN_LAYER, TWO, ONE];
    tc_sp_27_50_no_roles: BODY, PLAN, {"roles": []} => [OWN, PLAN_LAYER];
    tc_sp_28_a_blank_role_is_passed_over: BODY, "", {"roles": ["Notes/blank", "Roles/kind"]} => [KIND, OWN];
    tc_sp_29_thread_text_alone: "", PLAN, {} => [PLAN_LAYER];
    tc_sp_30_everything_but_a_definition:
        " \n", PLAN, {"roles": ["Roles/kind"], "loadout": ["Notes/one"]} => [KIND, PLAN_LAYER, ONE];
    tc_sp_32_definition_and_thread_to_the_byte: BODY, PLAN, {} => [OWN, PLAN_LAYER];
    w_38_a_note_in_two_places_stands_in_the_first: BODY, PLAN,
        {"roles": ["Agents/eng", "Roles/kind"], "loadout": ["Threads/eng/eng", "Roles/kind", "Notes/one"]}
        => [OWN, KIND, PLAN_LAYER, ONE];
}

#[tokio::test]
async fn tc_sp_16_17_40_44_a_definition_is_labelled_by_its_path_or_its_name() -> Result<()> {
    let daemon = with_eng(BODY).await?;
    let note = json!({"content": "I have no path.", "tags": ["agent/definition"], "metadata": {"name": "lone"}});
    let made = daemon
        .request(Method::POST, &["vault", "default", "api", "notes"], Some(&note))
        .await?;
    let id = made.body["id"].as_str().context("a note has an id")?.to_owned();
    let first = turn(&daemon).await?;
    assert_eq!(prompt(&daemon, &first)?.as_deref(), Some(OWN));
    eventually("the agent is there", LIMIT, async || {
        let agent = daemon.request(Method::GET, &["api", "agents", "lone"], None).await?;
        Ok((agent.status == 200).then_some(()))
    })
    .await?;
    let second = turn_of(&daemon, "lone", &json!({"text": "[[reply done]]"})).await?;
    let text = prompt(&daemon, &second)?.unwrap_or_default();
    assert_eq!(text, "# lone\n\nI have no path.");
    assert!(!text.contains(&id));
    Ok(())
}

#[tokio::test]
async fn tc_sp_31_35_w_38_without_any_text_there_is_no_file_and_no_flag() -> Result<()> {
    let daemon = with_eng(BODY).await?;
    // The tool's parent is the CLI: its command line says which options it was given.
    let flags = json!({"text": "[[exec tr '\\0' '\\n' < /proc/$PPID/cmdline | grep -c system-prompt-file]]"});
    let first = turn_of(&daemon, "eng", &flags).await?;
    assert_eq!(first.reply.as_deref(), Some("Tool said: 1"));
    assert_eq!(
        std::fs::metadata(file(&daemon, &first)?)?.permissions().mode() & 0o777,
        0o600
    );
    define(&daemon, "", &json!({"vault_tools": false})).await?;
    let second = turn_of(&daemon, "eng", &flags).await?;
    assert_eq!(second.reply.as_deref(), Some("Tool said: Exit code 1\n0"));
    assert!(!file(&daemon, &second)?.exists());
    Ok(())
}

#[tokio::test]
async fn tc_sp_33_34_35_36_the_real_cli_appends_or_replaces_at_each_start() -> Result<()> {
    let api = MessagesApi::start().await?;
    let daemon = Daemon::builder().real_claude(&api).start().await?;
    daemon.create_agent("eng", "").await?;
    write_notes(&daemon).await?;
    turn(&daemon).await?;
    define(&daemon, "You are APPENDED.", &json!({})).await?;
    turn(&daemon).await?;
    let layers = json!({"roles": ["Roles/critic", "Roles/kind"], "loadout": "Notes/two"});
    write_thread(&daemon, THREAD, "The plan: ship.", &layers).await?;
    turn(&daemon).await?;
    define(&daemon, "You are ALONE.", &json!({"systemPromptMode": "replace"})).await?;
    turn(&daemon).await?;

    let requests = api.requests();
    let [bare, appended, layered, replaced] = &requests[..] else {
        panic!("{} requests", requests.len())
    };
    assert!(
        requests.iter().all(|request| request.session == bare.session),
        "one session"
    );
    // What the CLI says by itself, whichever version it is.
    let by_itself = bare.system.split(TOOLS).next().unwrap_or_default();
    let own: Vec<&str> = by_itself.lines().filter(|line| line.len() > 200).collect();
    assert!(own.len() > 3, "{}", bare.system);
    let kept = |system: &str| own.iter().filter(|line| system.contains(**line)).count();
    let whole = joined(&[
        CRITIC,
        KIND,
        "# Agents/eng\n\nYou are ALONE.",
        "# Threads/eng/eng\n\nThe plan: ship.",
        TWO,
    ]);
    let whole = whole.unwrap_or_default();
    let appended_whole = whole.replace("ALONE", "APPENDED");
    assert_eq!(kept(&appended.system), own.len());
    assert!(appended.system.contains("# Agents/eng\n\nYou are APPENDED."));
    assert_eq!(kept(&layered.system), own.len());
    assert!(layered.system.contains(&appended_whole), "{}", layered.system);
    assert_eq!(kept(&replaced.system), 0);
    assert!(replaced.system.contains(&whole), "{}", replaced.system);
    for request in &requests {
        assert!(request.system.contains(TOOLS), "{}", request.system);
        assert!(!request.system.contains("METADATA"));
    }
    Ok(())
}

#[tokio::test]
async fn tc_sp_39_51_a_listed_note_that_is_not_there_is_told_and_the_rest_is_taken() -> Result<()> {
    let daemon = with_eng(BODY).await?;
    write_notes(&daemon).await?;
    let lists = json!({"roles": ["Roles/gone", "Roles/kind"], "loadout": ["Notes/one", "Notes/gone", "/"]});
    write_thread(&daemon, THREAD, "", &lists).await?;
    let mut events = daemon.events("eng").await?;
    let turn = turn(&daemon).await?;
    assert_eq!(prompt(&daemon, &turn)?, joined(&[KIND, OWN, ONE]));
    let told = "The thread lists notes that are not there; the system prompt went without them: Roles/gone, /, \
                Notes/gone. Correct the list on the thread note, or write them.";
    assert_eq!(notices(&turn), [told]);
    let seen = events.until_end(&turn.turn).await?;
    assert!(
        seen.iter()
            .any(|event| event.kind() == "notice" && event.data["text"] == told)
    );
    daemon.wait_quiet(LIMIT).await?;
    let note = daemon.note(THREAD).await?.context("the thread note")?;
    assert_eq!(
        (&note["metadata"]["status"], &note["metadata"]["status_detail"]),
        (&json!("ok"), &json!(told))
    );
    Ok(())
}

#[tokio::test]
async fn a_loadout_over_the_budget_is_cut_at_the_first_note_that_does_not_fit() -> Result<()> {
    let daemon = with_eng(BODY).await?;
    let paths: Vec<String> = (0..20).map(|n| format!("Notes/n{n:02}")).collect();
    for (n, path) in paths.iter().enumerate() {
        let content = "x".repeat(if n < 2 { 400_000 } else { 10 });
        daemon.note_put(path, &content, &[], &json!({})).await?;
    }
    write_thread(&daemon, THREAD, PLAN, &json!({"loadout": paths})).await?;
    let turn = turn(&daemon).await?;
    let first = format!("# {}\n\n{}", paths[0], "x".repeat(400_000));
    // No diff of half a megabyte.
    assert!(prompt(&daemon, &turn)? == joined(&[OWN, PLAN_LAYER, &first]));
    let told = format!(
        "The system prompt was over budget (600000 bytes), so notes of the loadout were left out: {}. Shorten them, or \
         take some off the list.",
        paths[1..].join(", ")
    );
    assert_eq!(notices(&turn), [told]);
    Ok(())
}

/// Makes a note unreadable for the daemon, or mends it: what a vault that is out of order looks like, for one note only.
fn damage(daemon: &Daemon, id: &str, tags: &str) -> Result<()> {
    let vault = rusqlite::Connection::open(daemon.state_dir().join("vaults/default.db"))?;
    vault.busy_timeout(LIMIT)?;
    assert_eq!(
        vault.execute("UPDATE notes SET tags = ?2 WHERE id = ?1", [id, tags])?,
        1
    );
    Ok(())
}

#[tokio::test]
async fn tc_sp_56_a_vault_that_cannot_read_the_thread_note_costs_a_notice_and_no_turn() -> Result<()> {
    let daemon = with_eng(BODY).await?;
    write_notes(&daemon).await?;
    let first = turn(&daemon).await?;
    daemon.wait_quiet(LIMIT).await?;
    let lists = json!({"roles": ["Roles/kind"], "loadout": ["Notes/one"], "model": "sonnet"});
    write_thread(&daemon, THREAD, PLAN, &lists).await?;
    damage(&daemon, thread_of(&first)?, "out of order")?;

    let second = turn(&daemon).await?;
    assert_eq!(prompt(&daemon, &second)?.as_deref(), Some(OWN));
    assert_eq!(second.more["models"], json!(["claude-stand-in"]));
    assert_eq!(
        notices(&second),
        [
            "The thread note could not be read, so this turn runs with the definition alone: without the thread's roles, \
          text, loadout and model. The next turn reads it again."
        ]
    );
    damage(&daemon, thread_of(&first)?, r#"["agent/thread"]"#)?;
    let role = daemon.note("Roles/kind").await?.context("the role")?;
    let role = role["id"].as_str().context("an id")?;
    damage(&daemon, role, "out of order")?;
    let third = turn(&daemon).await?;
    assert_eq!(prompt(&daemon, &third)?, joined(&[OWN, PLAN_LAYER, ONE]));
    assert_eq!(
        notices(&third),
        [
            "Notes of the thread could not be read; the system prompt went without them: Roles/kind. The next turn reads \
          them again."
        ]
    );
    damage(&daemon, role, r#"["doc"]"#)?;
    let fourth = turn(&daemon).await?;
    assert_eq!(prompt(&daemon, &fourth)?, joined(&[KIND, OWN, PLAN_LAYER, ONE]));

    // One conversation, one session, one thread note, which counts every turn.
    let journal = daemon.wait_quiet(LIMIT).await?;
    assert_eq!(journal.violations(), Vec::<String>::new());
    assert_eq!(first.more["session"], fourth.more["session"]);
    let tagged = "SELECT id, metadata->>'turn_count' FROM notes WHERE tags LIKE '%agent/thread%'";
    assert_eq!(
        rows(&daemon.state_tables()?.vault, tagged)?,
        [vec![json!(thread_of(&first)?), json!("4")]]
    );
    Ok(())
}

#[tokio::test]
async fn tc_sp_42_a_subject_has_its_own_thread_note_wherever_it_is() -> Result<()> {
    let daemon = with_eng(BODY).await?;
    write_notes(&daemon).await?;
    let about = |subject: &str| json!({"text": "[[reply done]]", "subject": subject});
    // A person may write the note before the first turn.
    write_thread(
        &daemon,
        "Threads/eng/eng--launch-plan",
        "",
        &json!({"roles": "Roles/kind"}),
    )
    .await?;
    let plan = turn_of(&daemon, "eng", &about("launch-plan")).await?;
    assert_eq!(prompt(&daemon, &plan)?, joined(&[KIND, OWN]));

    let blockers = turn_of(&daemon, "eng", &about("launch blockers")).await?;
    assert_eq!(prompt(&daemon, &blockers)?, joined(&[OWN]));
    daemon.wait_quiet(LIMIT).await?;
    // Or move it afterwards.
    let moved = json!({"path": "Desk/blockers", "content": "Two are left.", "metadata": {"loadout": ["Notes/two"]}, "force": true});
    let key = ["vault", "default", "api", "notes", thread_of(&blockers)?];
    assert_eq!(daemon.request(Method::PATCH, &key, Some(&moved)).await?.status, 200);
    let again = turn_of(&daemon, "eng", &about("launch blockers")).await?;
    assert_eq!(
        prompt(&daemon, &again)?,
        joined(&[OWN, "# Desk/blockers\n\nTwo are left.", TWO])
    );
    // The main conversation has none of it.
    let main = turn(&daemon).await?;
    assert_eq!(prompt(&daemon, &main)?, joined(&[OWN]));
    Ok(())
}

#[tokio::test]
async fn tc_th_28_33_w_40_a_thread_keeps_its_own_text_and_model_and_the_daemon_writes_neither() -> Result<()> {
    let daemon = with_eng(BODY).await?;
    let models = async |expected: &str| -> Result<()> {
        assert_eq!(turn(&daemon).await?.more["models"], json!([expected]));
        daemon.wait_quiet(LIMIT).await?;
        Ok(())
    };
    let model_on_note = async || -> Result<Value> {
        let note = daemon.note(THREAD).await?.context("the thread note")?;
        Ok(json!([
            note["metadata"]["model"],
            note["metadata"]["last_model"],
            note["content"]
        ]))
    };
    define(&daemon, BODY, &json!({"model": "opus"})).await?;
    models("opus").await?;
    assert_eq!(model_on_note().await?, json!([null, "opus", ""]));
    // An edited definition counts at once.
    define(&daemon, BODY, &json!({"model": "haiku"})).await?;
    models("haiku").await?;

    write_thread(&daemon, THREAD, PLAN, &json!({"model": " sonnet "})).await?;
    models("sonnet").await?;
    define(&daemon, BODY, &json!({"model": "opus"})).await?;
    models("sonnet").await?;
    assert_eq!(model_on_note().await?, json!([" sonnet ", "sonnet", PLAN]));

    write_thread(&daemon, THREAD, PLAN, &json!({"model": "  "})).await?;
    models("opus").await?;
    write_thread(&daemon, THREAD, PLAN, &json!({"model": "the best"})).await?;
    let refused = turn(&daemon).await?;
    assert_eq!(refused.more["models"], json!(["opus"]));
    assert_eq!(
        notices(&refused),
        [
            "The thread's model \"the best\" can be no model's name, so the definition's was taken. Correct `model` on the \
          thread note, or take it away."
        ]
    );
    Ok(())
}

#[tokio::test]
async fn tc_ctx_5_6_the_model_sees_when_why_and_for_whom_it_runs() -> Result<()> {
    let api = MessagesApi::start().await?;
    let daemon = Daemon::builder().real_claude(&api).start().await?;
    daemon.create_agent("eng", "").await?;
    daemon.create_agent("ops", "").await?;
    let job = json!({"text": "/help [[reply done]]", "sender": "runner:morning-weave"});
    let asked = turn_of(&daemon, "eng", &job).await?;
    let order = json!({"text": "[[reply shipped]]", "reply_to": "eng", "correlation_id": "c-7"});
    let done = turn_of(&daemon, "ops", &order).await?;
    daemon.wait_quiet(LIMIT).await?;

    let prompts: Vec<String> = api.requests().into_iter().map(|request| request.prompt).collect();
    let [first, ordered, callback] = &prompts[..] else {
        panic!("{prompts:#?}")
    };
    let line = |prompt: &str| prompt.lines().next().unwrap_or_default().to_owned();
    let has = |prompt: &str, parts: &[String]| {
        for part in parts {
            assert!(line(prompt).contains(&format!(", {part}")), "{part} in {prompt}");
        }
    };
    let text = |text: &str| text.to_owned();
    assert!(
        first.starts_with("[Run context, added by the daemon and not part of the message: now=20"),
        "{first}"
    );
    // It begins like a command, and stays what was written.
    assert!(first.ends_with("]\n\n/help [[reply done]]"), "{first}");
    has(
        first,
        &[
            text("session=new"),
            text("turn=1"),
            format!("message={}", asked.message),
            text("fired-by=scheduled-job:morning-weave"),
        ],
    );
    has(
        ordered,
        &[
            text("reply_to=eng"),
            text("correlation_id=c-7"),
            text("fired-by=interactive"),
        ],
    );
    let note = done.more["note"].as_str().context("a reply")?;
    has(
        callback,
        &[
            text("session=resumed"),
            text("turn=2"),
            text("sender=callback:ops"),
            text("correlation_id=c-7"),
            text("status=ok"),
            text("source_channel=ops"),
            format!("source_thread={}", thread_of(&done)?),
            format!("source_message={note}"),
        ],
    );
    assert!(callback.ends_with("Its reply:\n\nshipped"), "{callback}");
    Ok(())
}
