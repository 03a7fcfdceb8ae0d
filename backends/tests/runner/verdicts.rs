//! What becomes of each directive of the stand-in.

use std::sync::Arc;

use pretty_assertions::assert_eq;
use reveille_backends::{Event, FailureCode as Code, Remedy, Session, TurnOutcome, Usage, Verdict};
use reveille_sandbox::{Command, Confined, Policy, Sandbox, SandboxError, Summary};
use uuid::Uuid;

use crate::support::{Bench, code, failure, notices, reply};

#[tokio::test]
async fn tc_exec_1_a_plain_turn_is_told_whole() {
    let bench = Bench::new();
    let session = Uuid::new_v4();
    let mut turn = bench.turn("Good morning", Session::New(session));
    turn.model = Some("  claude-test ".into());
    let (outcome, events) = bench.run(turn).await;
    let text =
        "Hello! I am the stand-in for Claude. This is message 1 of our conversation, and it begins: “Good morning”";
    let usage = Usage {
        input_tokens: 1004,
        output_tokens: 28,
        cache_read_tokens: 0,
        cache_write_tokens: 0,
    };
    let expected = TurnOutcome {
        verdict: Verdict::Ok { reply: text.into() },
        session: Some(session),
        usage,
        cost_usd: 1004.0 * 3e-6 + 28.0 * 15e-6,
        models: vec!["claude-test".into()],
        tools_ran: false,
        partial: String::new(),
    };
    assert_eq!(outcome, expected);
    let version = Some(env!("CARGO_PKG_VERSION").to_owned());
    let mut expected = vec![Event::Init {
        session,
        model: Some("claude-test".into()),
        version,
    }];
    expected.extend(
        text.split_inclusive(' ')
            .map(|piece| Event::TextDelta { text: piece.into() }),
    );
    expected.push(Event::Text {
        text: text.into(),
        parent: None,
    });
    assert_eq!(events, expected);
}

#[tokio::test]
async fn tc_exec_2_the_session_grows() {
    let bench = Bench::new();
    let (first, _) = bench.say("one").await;
    let session = first.session.unwrap();
    let (second, _) = bench.run(bench.turn("two", Session::Resume(session))).await;
    assert_eq!(second.session, Some(session));
    assert!(reply(&second).contains("message 2 of our conversation"), "{second:?}");
}

#[tokio::test]
async fn replies() {
    let bench = Bench::new();
    let cases = [
        ("[[reply one]] and [[reply two]]", "one\n\ntwo"),
        ("[[slow 3x1ms]]", "word1 word2 word3"),
        ("[[think hm]][[reply so]]", "so"),
        ("[[sleep 5ms]][[reply rested]]", "rested"),
        ("[[exec echo $((6*7))]]", "Tool said: 42"),
        ("[[exec exit 3]]", "Tool said: Exit code 3"),
        ("[[env PATH]]", "PATH is set."),
        ("[[env REVEILLE_NOT_THERE]]", "REVEILLE_NOT_THERE is not set."),
        ("[[retry 529 x2]][[reply made it]]", "made it"),
        ("[[garbage]][[reply clean]]", "clean"),
        (
            "[[reply first]][[two-results]]",
            "first\n\nA task in the background has ended.",
        ),
        ("[[empty]]", ""),
        ("[[nonsense]]", "The stand-in does not know the directive “nonsense”."),
        (
            "/clear",
            "Hello! I am the stand-in for Claude. This is message 1 of our conversation, and it begins: “/clear”",
        ),
    ];
    for (prompt, expected) in cases {
        let (outcome, _) = bench.say(prompt).await;
        assert_eq!(outcome.verdict, Verdict::Ok { reply: expected.into() }, "{prompt}");
    }
}

#[tokio::test]
async fn failures() {
    let bench = Bench::new();
    let cases = [
        ("[[error 400]]", Code::InvalidRequest, Remedy::Permanent),
        ("[[error 401]]", Code::Authentication, Remedy::Operator),
        ("[[error 403]]", Code::Authentication, Remedy::Operator),
        ("[[error 404]]", Code::ModelNotFound, Remedy::Permanent),
        ("[[error 413]]", Code::InvalidRequest, Remedy::Permanent),
        ("[[error 429]]", Code::RateLimited, Remedy::Retry),
        ("[[error 500]]", Code::ApiUnavailable, Remedy::Retry),
        ("[[error 529]]", Code::Overloaded, Remedy::Retry),
        ("[[error connection]]", Code::ApiUnavailable, Remedy::Retry),
        ("[[error credit]]", Code::Billing, Remedy::Operator),
        ("[[error refusal]]", Code::Refused, Remedy::Permanent),
        ("[[error too-long]]", Code::PromptTooLong, Remedy::Permanent),
        ("[[error usage-limit]]", Code::RateLimited, Remedy::Retry),
        ("[[error other]]", Code::Unknown, Remedy::Permanent),
        ("[[max-turns]]", Code::MaxTurns, Remedy::Permanent),
        ("[[crash]]", Code::Crashed, Remedy::Retry),
    ];
    for (prompt, code, remedy) in cases {
        let session = Uuid::new_v4();
        let (outcome, _) = bench
            .run(bench.turn(&format!("[[reply before]]{prompt}"), Session::New(session)))
            .await;
        assert_eq!(
            (failure(&outcome).code, failure(&outcome).remedy),
            (code, remedy),
            "{prompt}"
        );
        let beginning = if prompt == "[[crash]]" {
            "before\n\nThis is the beginning of "
        } else {
            "before"
        };
        assert_eq!(
            (outcome.session, outcome.partial.as_str()),
            (Some(session), beginning),
            "{prompt}"
        );
        // A process that crashes has told no account.
        assert_eq!(
            outcome.cost_usd > 0.0 && outcome.usage.input_tokens > 1000,
            prompt != "[[crash]]",
            "{prompt}"
        );
    }
}

#[tokio::test]
async fn a_limit_says_when_it_ends() {
    let (outcome, _) = Bench::new().say("[[error usage-limit]]").await;
    let failure = failure(&outcome);
    assert_eq!(
        failure.message,
        "The account behind this agent has reached a limit of requests or usage. \
         Claude says: “You've hit your session limit · resets 11:46pm (UTC)”"
    );
    assert!(
        failure.detail.contains("status=429 error=rate_limit"),
        "{}",
        failure.detail
    );
}

#[tokio::test]
async fn tools_and_retries_are_told() {
    let bench = Bench::new();
    let (outcome, events) = bench
        .say(r#"[[retry 529 x1]][[tool Bash {"command":"ls"}]][[think hm]][[reply ok]]"#)
        .await;
    assert!(outcome.tools_ran);
    let id = "toolu_msg_stand_in_1".to_owned();
    let expected = [
        Event::Retry {
            attempt: 1,
            max: 1,
            delay_ms: 2,
            status: Some(529),
            error: "overloaded".into(),
        },
        Event::Tool {
            id: id.clone(),
            tool: "Bash".into(),
            input: Some(r#"{"command":"ls"}"#.into()),
            whole: None,
            parent: None,
        },
        Event::ToolResult {
            id,
            tool: Some("Bash".into()),
            ok: Some(true),
            preview: Some("(the stand-in only pretended)".into()),
            whole: None,
            parent: None,
        },
        Event::Thinking {
            text: "hm".into(),
            parent: None,
        },
        Event::TextDelta { text: "ok".into() },
        Event::Text {
            text: "ok".into(),
            parent: None,
        },
    ];
    assert_eq!(events[1..], expected);
}

#[tokio::test]
async fn a_blank_message_starts_nothing() {
    let bench = Bench::with_program("/does/not/exist".into());
    let (outcome, events) = bench.say(" \n\t").await;
    assert_eq!((code(&outcome), events), (Code::BlankMessage, vec![]));
}

#[tokio::test]
async fn a_missing_program_is_named_to_the_operator_only() {
    let bench = Bench::with_program("/does/not/exist".into());
    let (outcome, _) = bench.say("hi").await;
    let failure = failure(&outcome);
    assert_eq!(failure.code, Code::ProgramMissing);
    assert!(
        failure.detail.contains("/does/not/exist") && !failure.message.contains("/does"),
        "{failure:?}"
    );
}

#[tokio::test]
async fn a_missing_directory_is_not_a_missing_program() {
    let bench = Bench::new();
    std::fs::remove_dir_all(bench.dirs().cwd).unwrap();
    assert_eq!(code(&bench.say("hi").await.0), Code::SpawnFailed);
    std::fs::remove_dir_all(bench.dirs().ctl).unwrap();
    assert_eq!(code(&bench.say("hi").await.0), Code::Storage);
}

/// A policy that cannot be kept.
struct Broken;

impl Sandbox for Broken {
    fn summary(&self) -> Summary {
        Summary {
            mode: "broken",
            confined: true,
            detail: String::new(),
        }
    }

    fn confine(&self, _command: Command, policy: &Policy) -> Result<Confined, SandboxError> {
        let reason = format!("{} and {}", policy.writable.len(), policy.readable.len());
        Err(SandboxError {
            reason,
            mend: "Mend it".into(),
        })
    }
}

#[tokio::test]
async fn without_its_sandbox_nothing_runs() {
    let mut bench = Bench::new();
    bench.options.sandbox = Arc::new(Broken);
    // What it names of certificates may be read too.
    bench.options.base_env.clear();
    let (outcome, events) = bench.say("hi").await;
    assert_eq!((code(&outcome), events), (Code::Sandbox, vec![]));
    assert_eq!(failure(&outcome).detail, "the sandbox cannot start: 3 and 1. Mend it");

    // What the turn may read besides is among what it may read.
    let mut turn = bench.turn("hi", Session::New(Uuid::new_v4()));
    turn.policy.readable = vec![bench.dirs().tmp.join("attachments")];
    let (outcome, _) = bench.run(turn).await;
    assert_eq!(failure(&outcome).detail, "the sandbox cannot start: 3 and 2. Mend it");
}

#[tokio::test]
async fn refused_options_are_told_apart_from_a_crash() {
    let refused = Bench::with_script("echo \"error: unknown option '--x'\" >&2; exit 1");
    let (outcome, events) = refused.say("hi").await;
    assert_eq!((code(&outcome), notices(&events)), (Code::BadArguments, vec![]));
    assert!(failure(&outcome).detail.contains("unknown option '--x'"));
    let crashed = Bench::with_script("echo oops >&2; exit 139");
    assert_eq!(code(&crashed.say("hi").await.0), Code::Crashed);
}

#[tokio::test]
async fn secrets_are_taken_out_of_the_detail() {
    let bench = Bench::with_script("echo \"bad key $ANTHROPIC_API_KEY $OTHER lent-very-secret $URL\" >&2; exit 1");
    let mut turn = bench.turn("hi", Session::New(Uuid::new_v4()));
    turn.env.insert("ANTHROPIC_API_KEY".into(), "sk-very-secret".into());
    turn.env.insert("OTHER".into(), "other-very-secret".into());
    turn.env.insert("URL".into(), "http://127.0.0.1:1/".into());
    turn.secrets.push("lent-very-secret".into());
    let (outcome, _) = bench.run(turn).await;
    let detail = &failure(&outcome).detail;
    assert!(
        detail.contains("bad key *** *** *** http://127.0.0.1:1/") && !detail.contains("very-secret"),
        "{detail}"
    );
}
