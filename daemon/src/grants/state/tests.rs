use pretty_assertions::assert_eq;
use reveille_vault::NoteId;
use serde_json::json;

use super::*;
use crate::grants::GrantStatus;

fn wants(list: &str) -> Vec<Want> {
    Want::parse_list(&json!(list)).unwrap()
}

fn place(role: bool, note: &str) -> Place {
    Place {
        role,
        vault: "default".into(),
        note: NoteId::new(note).unwrap(),
    }
}

fn put(state: &mut State, at: &Place, holder: &str, list: Option<&str>) {
    let source = Source {
        holder: holder.into(),
        wants: list.map(wants),
    };
    state.sources.insert(at.clone(), source);
    state.settle();
}

fn job(holder: &str, list: &str, only_look: bool) -> Job {
    Job {
        holder: holder.into(),
        wants: wants(list),
        only_look,
    }
}

fn answer(job: Job, status: GrantStatus) -> Done {
    let answers = job.wants.iter().map(|want| {
        Ok(Grant {
            id: format!("id of {}", want.key()),
            holder: job.holder.clone(),
            want: want.clone(),
            status,
            reason: None,
        })
    });
    Done {
        answers: answers.collect(),
        complete: true,
        job,
    }
}

fn failed(job: Job) -> Done {
    Done {
        answers: vec![Err(GrantError::Unavailable("away".into()))],
        complete: false,
        job,
    }
}

/// Works off everything that is to be done now, and answers it.
fn work(state: &mut State, now: Instant) -> Vec<Job> {
    let mut all = Vec::new();
    loop {
        let jobs = state.begin(now, 4);
        if jobs.is_empty() {
            return all;
        }
        for job in jobs {
            all.push(job.clone());
            state.finish(answer(job, GrantStatus::Pending), now, None);
        }
    }
}

fn keys(state: &State, holder: &str) -> Vec<(String, &'static str)> {
    let known = state.known(holder).iter();
    known.map(|known| (known.want.key(), known.status.as_str())).collect()
}

#[test]
fn who_decides_hears_of_agents_that_want_something_or_did() {
    let mut state = State::default();
    // Nobody but the backend knows what it keeps.
    assert!(state.concerns("a", &[]));
    state.kept = Some(["left".to_owned()].into());
    assert!(!state.concerns("a", &[]));
    assert!(state.concerns("a", &wants("env:x")));
    assert!(state.concerns("left", &[]));
    put(&mut state, &place(false, "n"), "a", Some("env:x"));
    assert!(state.concerns("a", &[]));
}

#[tokio::test]
async fn what_was_decided_while_it_was_asked_for_stays_decided() {
    let (mut state, now) = (State::default(), Instant::now());
    put(&mut state, &place(false, "n1"), "eng", Some("env:github, env:other"));
    let job = state.begin(now, 4).remove(0);
    let approved = answer(job.clone(), GrantStatus::Approved).answers.remove(0).unwrap();
    state.hear("eng", &[approved]);
    // It was asked before that.
    state.finish(answer(job, GrantStatus::Pending), now, Some(Duration::from_secs(1)));
    let now = now + Duration::from_secs(2);
    let known = [
        ("env:github".to_owned(), "approved"),
        ("env:other".to_owned(), "pending"),
    ];
    assert_eq!(keys(&state, "eng"), known);
    // What is asked after it counts again.
    let job = state.begin(now, 4).remove(0);
    state.finish(answer(job, GrantStatus::Revoked), now, None);
    assert_eq!(keys(&state, "eng")[0].1, "revoked");
}

#[tokio::test]
async fn ac_153_r_def_25_a_clean_reading_is_told_once_and_a_removal_prunes() {
    let (mut state, now, eng) = (State::default(), Instant::now(), place(false, "n1"));
    put(&mut state, &eng, "eng", Some("env:github, mcp:github"));
    assert_eq!(work(&mut state, now), [job("eng", "env:github, mcp:github", false)]);
    assert_eq!(keys(&state, "eng"), [("env+mcp:github".to_owned(), "pending")]);
    put(&mut state, &eng, "eng", Some("env:github, mcp:github"));
    assert_eq!(work(&mut state, now), []);
    put(&mut state, &eng, "eng", Some(""));
    assert_eq!(work(&mut state, now), [job("eng", "", false)]);
    put(&mut state, &place(false, "n2"), "ops", Some(""));
    assert_eq!(work(&mut state, now), [job("ops", "", false)]);
    state.sources.remove(&eng);
    state.settle();
    assert_eq!(
        work(&mut state, now),
        [job("eng", "", true)].map(|job| Job {
            only_look: false,
            ..job
        })
    );
    assert_eq!(work(&mut state, now), []);
}

#[tokio::test]
async fn ac_153_what_cannot_be_read_changes_nothing() {
    let (mut state, now, eng) = (State::default(), Instant::now(), place(false, "n1"));
    put(&mut state, &eng, "eng", Some("env:github"));
    work(&mut state, now);
    put(&mut state, &eng, "eng", None);
    assert_eq!(work(&mut state, now), []);
    assert_eq!(keys(&state, "eng"), [("env:github".to_owned(), "pending")]);
    put(&mut state, &eng, "eng", Some("env:github"));
    assert_eq!(work(&mut state, now), []);
}

#[tokio::test]
async fn r_grant_23_a_rename_prunes_the_old_name_and_holders_stand_apart() {
    let (mut state, now) = (State::default(), Instant::now());
    put(&mut state, &place(false, "n1"), "eng", Some("env:a"));
    put(&mut state, &place(true, "n1"), "role--eng", Some("env:a"));
    work(&mut state, now);
    put(&mut state, &place(false, "n1"), "ops", Some("env:a"));
    assert_eq!(
        work(&mut state, now),
        [job("eng", "", false), job("ops", "env:a", false)]
    );
    assert_eq!(keys(&state, "role--eng"), [("env:a".to_owned(), "pending")]);
}

#[tokio::test]
async fn two_notes_of_one_holder_want_together() {
    let (mut state, now) = (State::default(), Instant::now());
    put(&mut state, &place(true, "n1"), "role--a-b", Some("env:a, env:b"));
    put(&mut state, &place(true, "n2"), "role--a-b", Some("env:b, env:c"));
    work(&mut state, now);
    put(&mut state, &place(true, "n2"), "role--a-b", Some(""));
    assert_eq!(work(&mut state, now), [job("role--a-b", "env:a, env:b", false)]);
    put(&mut state, &place(true, "n1"), "role--a-b", None);
    state.sources.remove(&place(true, "n2"));
    state.settle();
    assert_eq!(work(&mut state, now), []);
}

#[tokio::test]
async fn ac_152_a_backend_that_fails_is_asked_again_later_and_changes_no_status() {
    let (mut state, now, eng) = (State::default(), Instant::now(), place(false, "n1"));
    put(&mut state, &eng, "eng", Some("env:a"));
    put(&mut state, &place(false, "n2"), "ops", Some("env:a"));
    let jobs = state.begin(now, 4);
    assert_eq!(jobs.len(), 2);
    // One call at a time for each.
    assert_eq!(state.begin(now, 4), []);
    for job in jobs {
        let done = if job.holder == "eng" {
            failed(job)
        } else {
            answer(job, GrantStatus::Approved)
        };
        state.finish(done, now, Some(Duration::from_secs(20)));
    }
    assert_eq!(
        (keys(&state, "eng")[0].1, keys(&state, "ops")[0].1),
        ("pending", "approved")
    );
    assert!(
        state.known("eng")[0]
            .reason
            .as_deref()
            .is_some_and(|reason| reason.contains("away"))
    );
    assert_eq!(state.begin(now, 4), []);
    let soon = state.next_due().unwrap();
    assert_eq!(soon, now + PAUSES.0);
    // The other one is only looked at again.
    let late = now + Duration::from_secs(20);
    let jobs = state.begin(late, 4);
    assert_eq!(jobs, [job("eng", "env:a", false), job("ops", "env:a", true)]);
    for job in jobs {
        state.finish(failed(job), late, Some(Duration::from_secs(20)));
    }
    assert_eq!(keys(&state, "ops"), [("env:a".to_owned(), "approved")]);
    // An edit does not wait for the pause.
    put(&mut state, &eng, "eng", Some("env:b"));
    assert_eq!(state.begin(late, 4), [job("eng", "env:b", false)]);
}

#[tokio::test]
async fn ac_168_what_is_approved_stays_so_over_an_edit_of_the_rest() {
    let (mut state, now, eng) = (State::default(), Instant::now(), place(false, "n1"));
    put(&mut state, &eng, "eng", Some("env:a, env:b"));
    let jobs = state.begin(now, 4);
    for job in jobs {
        state.finish(answer(job, GrantStatus::Approved), now, None);
    }
    put(&mut state, &eng, "eng", Some("env:c, env:b"));
    assert_eq!(
        keys(&state, "eng"),
        [("env:c".to_owned(), "pending"), ("env:b".into(), "approved")]
    );
}

#[tokio::test]
async fn a_later_run_finds_out_who_went_meanwhile() {
    let (mut state, now, eng) = (State::default(), Instant::now(), place(false, "n1"));
    put(&mut state, &eng, "eng", Some("env:a"));
    put(&mut state, &place(false, "n2"), "plain", Some(""));
    work(&mut state, now);
    let sources = state.memory(&BTreeMap::new());
    assert_eq!(sources, BTreeMap::from([(eng.clone(), "eng".to_owned())]));
    let known = BTreeMap::from([("eng".to_owned(), state.known("eng").to_vec())]);

    let mut later = State::of(Memory {
        sources: sources.clone(),
        known,
    });
    // Before its vault was read.
    later.settle();
    assert_eq!(work(&mut later, now), []);
    assert_eq!(keys(&later, "eng"), [("env:a".to_owned(), "pending")]);
    later.sources.remove(&eng);
    later.settle();
    // Until its grants are dropped it is remembered.
    assert_eq!(later.memory(&sources), sources);
    assert_eq!(work(&mut later, now), [job("eng", "", false)]);
    assert_eq!(later.memory(&sources), BTreeMap::new());
}

/// Whoever sleeps until then would find nothing to do, over and over.
#[test]
fn who_cannot_be_asked_for_now_is_not_due() {
    let (mut state, now) = (State::default(), Instant::now());
    let (definition, poll) = (place(false, "n1"), Duration::from_secs(20));
    put(&mut state, &definition, "eng", Some("env:a"));
    let first = state.begin(now, 4).remove(0);
    state.finish(answer(first, GrantStatus::Pending), now, Some(poll));
    assert_eq!(state.next_due(), Some(now + poll));
    put(&mut state, &definition, "eng", None);
    assert_eq!((state.begin(now + poll, 4), state.next_due()), (vec![], None));
    put(&mut state, &definition, "eng", Some("env:a"));
    assert_eq!(state.next_due(), Some(now + poll));
    assert_eq!(state.begin(now + poll, 4), [job("eng", "env:a", true)]);
}
