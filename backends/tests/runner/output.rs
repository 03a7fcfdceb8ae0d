//! Much output, at once and for slow readers.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use async_trait::async_trait;
use pretty_assertions::assert_eq;
use reveille_backends::{Backend, Event, Observer, Session, Verdict};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{Bench, code, failure, notices, reply};

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn a_line_of_two_megabytes_arrives_whole() {
    let (outcome, events) = Bench::new().say("[[bigline 2mb]]").await;
    assert_eq!((reply(&outcome).len(), notices(&events)), (2 * MIB, vec![]));
}

#[tokio::test]
async fn a_longer_line_than_can_be_held_is_left_out_and_it_is_said() {
    let (outcome, events) = Bench::new().say("[[bigline 33mb]][[reply after]]").await;
    assert_eq!(outcome.verdict, Verdict::Ok { reply: "after".into() });
    assert_eq!(notices(&events), ["A line of output over 32 MiB was left out."]);
}

#[tokio::test]
async fn a_prompt_of_megabytes_is_given_whole() {
    let prompt = format!("[[exec wc -c < /dev/null]] {}[[reply read]]", "long ".repeat(MIB));
    assert_eq!(
        Bench::new().say(&prompt).await.0.verdict,
        Verdict::Ok {
            reply: "Tool said: 0\n\nread".into()
        }
    );
}

/// Stops reading at the first event, for a while.
struct Slow {
    gate: Mutex<Receiver<()>>,
    // Held, so that the wait lasts its whole time.
    _keep: Mutex<Sender<()>>,
}

#[async_trait]
impl Observer for Slow {
    async fn before_prompt(&self, _session: Uuid) -> Result<(), String> {
        Ok(())
    }

    fn event(&self, event: Event) {
        if matches!(event, Event::Init { .. }) {
            // The process has written megabytes and its result before this ends.
            assert!(
                self.gate
                    .lock()
                    .unwrap()
                    .recv_timeout(Duration::from_millis(700))
                    .is_err()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tc_str_29_30_a_late_reader_loses_nothing() {
    let bench = Bench::new();
    let (keep, gate) = channel();
    let observer = Slow {
        gate: Mutex::new(gate),
        _keep: Mutex::new(keep),
    };
    let turn = bench.turn("[[bigline 3mb]][[reply the end]]", Session::New(Uuid::new_v4()));
    let outcome = bench.backend().run(turn, &observer, CancellationToken::new()).await;
    assert_eq!(reply(&outcome).len(), 3 * MIB + "\n\nthe end".len());
    assert!(reply(&outcome).ends_with("\n\nthe end"));
}

#[tokio::test]
async fn stderr_never_blocks_and_only_its_end_is_kept() {
    let bench = Bench::with_script(
        "i=0; while [ $i -lt 20000 ]; do echo \"line $i of a long complaint\" >&2; i=$((i+1)); done; exit 1",
    );
    let (outcome, _) = bench.say("hi").await;
    assert_eq!(code(&outcome), reveille_backends::FailureCode::BadArguments);
    let detail = &failure(&outcome).detail;
    assert!(
        detail.ends_with("line 19999 of a long complaint") && detail.len() <= 2048,
        "{detail}"
    );
}
