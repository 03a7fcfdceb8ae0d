//! What a crash of the daemon has left is found by its marker.

use std::process::Stdio;

use pretty_assertions::assert_eq;
use reveille_backends::{SweepReport, sweep};
use tokio::process::Command;
use uuid::Uuid;

use crate::support::{eventually, sleepers, unique_seconds};

fn started(script: &str, marker: &str) -> tokio::process::Child {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", script])
        .env("REVEILLE_INSTANCE", marker)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command.spawn().unwrap()
}

#[tokio::test]
async fn all_with_the_marker_and_their_descendants_go_and_others_stay() {
    let (marked, other) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
    let (mine, cleared, theirs) = (unique_seconds(), unique_seconds(), unique_seconds());
    let mut child = started(&format!("setsid sleep {mine} & env -i sleep {cleared} & wait"), &marked);
    let mut bystander = started(&format!("exec sleep {theirs}"), &other);
    eventually("all run", || {
        [&mine, &cleared, &theirs].iter().all(|it| sleepers(it).len() == 1)
    })
    .await;
    let report = sweep("REVEILLE_INSTANCE", &marked).await;
    assert_eq!((report.killed.len(), report.left, report.problem), (3, vec![], None));
    assert!(!child.wait().await.unwrap().success());
    assert_eq!((sleepers(&mine), sleepers(&cleared)), (vec![], vec![]));
    assert_eq!(bystander.try_wait().unwrap(), None);
    bystander.kill().await.unwrap();
}

#[tokio::test]
async fn nothing_to_do_is_reported_as_nothing() {
    assert_eq!(
        sweep("REVEILLE_INSTANCE", &Uuid::new_v4().to_string()).await,
        SweepReport::default()
    );
}

/// A process that is just starting another program has no environment to read for a moment. This one does nothing else.
#[tokio::test]
async fn one_that_starts_program_after_program_does_not_slip_through() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("again");
    std::fs::write(&script, "exec /bin/sh \"$0\"\n").unwrap();
    for _ in 0..100 {
        let marker = Uuid::new_v4().to_string();
        let mut child = started(&format!("exec /bin/sh {}", script.display()), &marker);
        let pid = i32::try_from(child.id().unwrap()).unwrap();
        let report = sweep("REVEILLE_INSTANCE", &marker).await;
        assert_eq!((report.killed, report.left, report.problem), (vec![pid], vec![], None));
        child.wait().await.unwrap();
    }
}
