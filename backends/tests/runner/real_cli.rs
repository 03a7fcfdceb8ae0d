//! The CLI itself, as far as it needs no account. `REVEILLE_TEST_CLAUDE` names it.

use pretty_assertions::assert_eq;
use reveille_backends::{FailureCode, Session, SystemPrompt};
use uuid::Uuid;

use crate::support::{Bench, code, is_init, notices};

/// Fails without the program, rather than pass unseen.
fn bench() -> Bench {
    let program = std::env::var_os("REVEILLE_TEST_CLAUDE").expect(
        "REVEILLE_TEST_CLAUDE names the Claude Code CLI: run tests/run, which installs it and sets the variable, or set it to \
         target/claude-cli/node_modules/@anthropic-ai/claude-code-<platform>/claude",
    );
    let program = std::path::absolute(program).unwrap();
    assert!(
        program.is_file(),
        "REVEILLE_TEST_CLAUDE names {}, which is no file",
        program.display()
    );
    Bench::with_program(program)
}

#[tokio::test]
async fn without_credentials_the_operator_is_asked() {
    let bench = bench();
    let session = Uuid::new_v4();
    let mut turn = bench.turn("/hello", Session::New(session));
    turn.system_prompt = Some(SystemPrompt {
        text: "Be kind.".into(),
        mode: reveille_backends::PromptMode::Append,
    });
    turn.max_turns = Some(3);
    turn.budget_usd = Some(0.25);
    turn.model = Some("sonnet".into());
    let (outcome, events) = bench.run(turn).await;
    assert_eq!(code(&outcome), FailureCode::Authentication, "{outcome:?}");
    assert_eq!(
        (outcome.session, outcome.partial.as_str(), outcome.cost_usd),
        (Some(session), "", 0.0)
    );
    assert_eq!(events.iter().filter(|event| is_init(event)).count(), 1);
    assert_eq!(notices(&events), [] as [&str; 0]);
}

#[tokio::test]
async fn an_unknown_session_is_replaced() {
    let bench = bench();
    let dead = Uuid::new_v4();
    let (outcome, events) = bench.run(bench.turn("hi", Session::Resume(dead))).await;
    assert_eq!(code(&outcome), FailureCode::Authentication, "{outcome:?}");
    assert!(outcome.session.is_some_and(|session| session != dead));
    assert_eq!(notices(&events).len(), 1, "{events:?}");
}

#[tokio::test]
async fn a_taken_id_is_resumed() {
    let bench = bench();
    let session = bench.say("one").await.0.session.unwrap();
    let (outcome, events) = bench.run(bench.turn("two", Session::New(session))).await;
    assert_eq!(
        (code(&outcome), outcome.session),
        (FailureCode::Authentication, Some(session))
    );
    assert_eq!(notices(&events), [] as [&str; 0]);
}

#[tokio::test]
async fn a_bad_option_is_the_operators_matter() {
    let bench = bench();
    let servers = r#"{"mcpServers":7}"#;
    std::fs::write(bench.dirs().ctl.join("mcp.json"), servers).unwrap();
    let (outcome, _) = bench.say("hi").await;
    assert_eq!(code(&outcome), FailureCode::BadArguments, "{outcome:?}");
}

#[tokio::test]
async fn files_that_a_full_disk_left_empty_are_no_bad_options() {
    let bench = bench();
    let config = bench.dirs().home.join(".claude");
    std::fs::create_dir(&config).unwrap();
    std::fs::write(bench.dirs().ctl.join("mcp.json"), "").unwrap();
    std::fs::write(config.join("settings.json"), "").unwrap();
    let (outcome, _) = bench.say("hi").await;
    // As far as it gets without an account.
    assert_eq!(code(&outcome), FailureCode::Authentication, "{outcome:?}");
}
