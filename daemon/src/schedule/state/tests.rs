use pretty_assertions::assert_eq;
use reveille_vault::{EmbeddedVault, NewNote};
use serde_json::json;

use super::*;

/// A vault may go and come back while somebody waits for an answer of it.
#[tokio::test]
async fn one_task_at_most_is_at_a_job_also_when_its_vault_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let vault: Arc<dyn Vault> = EmbeddedVault::open("v", &dir.path().join("v.db")).unwrap();
    let new = NewNote {
        content: "Look at the inbox.".into(),
        tags: vec!["agent/job".into()],
        metadata: serde_json::from_value(json!({ "agent": "eng", "cron": "0 9 * * *" })).unwrap(),
        ..NewNote::default()
    };
    let notes = [vault.create(new).await.unwrap()];
    let mut state = State::default();
    let now = Timestamp::UNIX_EPOCH;
    state.learn_all(&vault, &notes, &TimeZone::UTC);
    let taken = state.take(now);
    let [key] = taken.as_slice() else {
        panic!("{taken:?} is not one job");
    };
    state.close("v");
    state.learn_all(&vault, &notes, &TimeZone::UTC);
    assert_eq!(state.take(now), []);
    // The first one has ended, and it is looked at again.
    assert!(state.release(key, now, None));
    assert_eq!(state.take(now), taken);
    assert!(!state.release(key, now, Some("no answer".into())));
    // Nothing is left that would be due for ever.
    let due = state.next_due().unwrap();
    assert_eq!(state.take(due), taken);
    assert_eq!(state.next_due(), None);
}
