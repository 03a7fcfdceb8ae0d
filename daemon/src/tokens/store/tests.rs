use std::os::unix::fs::PermissionsExt as _;

use jiff::ToSpan as _;
use pretty_assertions::assert_eq;

use super::super::Verb;
use super::*;

fn new(label: &str) -> NewGrant {
    NewGrant {
        label: Some(label.to_owned()),
        scopes: vec![Scope::vault("v", Verb::Read), Scope::vault("v", Verb::Write)],
        tags: vec!["work".into()],
        expires_at: None,
    }
}

fn id_of(checked: &Checked) -> Option<&str> {
    match checked {
        Checked::Valid(grant) => Some(&grant.id),
        Checked::Expired | Checked::Unknown => None,
    }
}

/// Everything that a grant says.
fn shown(grant: &Grant) -> String {
    let Grant {
        id, new, created_at, ..
    } = grant;
    format!("{id} {new:?} {created_at} {:?}", grant.last_used_at())
}

#[tokio::test]
async fn a_token_survives_a_restart_and_its_text_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokens.db");
    let tokens = Tokens::open(&file).unwrap();
    let (made, text) = tokens.create(new("laptop"), None).await.unwrap();
    let rest = text.strip_prefix("pvt_").unwrap();
    assert!(
        rest.len() == 32 && rest.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_".contains(&c)),
        "{rest}"
    );
    assert!(made.id.len() == 14 && made.id.starts_with("t_"), "{}", made.id);
    assert_eq!(id_of(&tokens.check(&text)), Some(made.id.as_str()));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(rest.len()).any(|window| window == rest.as_bytes()));
    }
    assert!(!format!("{made:?}").contains(rest));

    tokens.store_uses().await.unwrap();
    let before: Vec<_> = tokens.list().iter().map(|grant| shown(grant)).collect();
    drop(tokens);
    let again = Tokens::open(&file).unwrap();
    let after: Vec<_> = again.list().iter().map(|grant| shown(grant)).collect();
    assert_eq!(after, before);
    assert_eq!(id_of(&again.check(&text)), Some(made.id.as_str()));
}

#[tokio::test]
async fn only_the_whole_token_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = Tokens::open(&dir.path().join("tokens.db")).unwrap();
    let (one, text) = tokens.create(new("one"), None).await.unwrap();
    let (two, other) = tokens.create(new("two"), None).await.unwrap();
    assert_ne!(text, other);
    assert_ne!(one.id, two.id);
    for wrong in [
        "",
        "pvt_",
        &text[..text.len() - 1],
        &format!("{text}A"),
        &text.to_lowercase(),
        &one.id,
        &text[4..],
    ] {
        assert!(matches!(tokens.check(wrong), Checked::Unknown), "{wrong}");
    }
}

#[tokio::test]
async fn a_revoked_token_is_unknown_at_once_and_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokens.db");
    let tokens = Tokens::open(&file).unwrap();
    let (made, text) = tokens.create(new("lost"), None).await.unwrap();
    let (kept, other) = tokens.create(new("kept"), None).await.unwrap();
    assert!(tokens.revoke(&made.id).await.unwrap());
    assert!(matches!(tokens.check(&text), Checked::Unknown));
    assert!(tokens.find(&made.id).is_none());
    // Once more, and one that never was.
    assert!(!tokens.revoke(&made.id).await.unwrap());
    assert!(!tokens.revoke("t_000000000000").await.unwrap());
    drop(tokens);
    let again = Tokens::open(&file).unwrap();
    assert!(matches!(again.check(&text), Checked::Unknown));
    assert_eq!(id_of(&again.check(&other)), Some(kept.id.as_str()));
}

#[tokio::test]
async fn a_token_that_cannot_be_removed_from_the_file_does_not_work_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokens.db");
    let tokens = Tokens::open(&file).unwrap();
    let (made, text) = tokens.create(new("lost"), None).await.unwrap();
    let held = Connection::open(&file).unwrap();
    tokens.write(|db| db.busy_timeout(Duration::ZERO)).await.unwrap();
    held.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let told = tokens.revoke(&made.id).await.unwrap_err().to_string();
    assert!(told.contains("after a restart"), "{told}");
    assert!(matches!(tokens.check(&text), Checked::Unknown));
    let refused = tokens.create(new("more"), None).await.unwrap_err().to_string();
    assert!(refused.contains("no token was made"), "{refused}");
    assert_eq!(tokens.list().len(), 0);
    held.execute_batch("COMMIT").unwrap();
    assert!(tokens.revoke(&made.id).await.unwrap(), "it was in the file still");
    drop(tokens);
    assert_eq!(Tokens::open(&file).unwrap().list().len(), 0);
}

#[tokio::test]
async fn a_token_ends_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = Tokens::open(&dir.path().join("tokens.db")).unwrap();
    let ends = |at: Timestamp| NewGrant {
        expires_at: Some(at),
        ..new("short")
    };
    let (_, over) = tokens.create(ends(now()), None).await.unwrap();
    let (_, holds) = tokens
        .create(ends(now().checked_add(1.hour()).unwrap()), None)
        .await
        .unwrap();
    assert!(matches!(tokens.check(&over), Checked::Expired));
    assert!(matches!(tokens.check(&holds), Checked::Valid(_)));
}

#[tokio::test]
async fn the_last_use_is_seen_at_once_and_written_later() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = Tokens::open(&dir.path().join("tokens.db")).unwrap();
    let (made, text) = tokens.create(new("used"), None).await.unwrap();
    let (idle, _) = tokens.create(new("idle"), None).await.unwrap();
    let stored = || {
        let db = Connection::open(dir.path().join("tokens.db")).unwrap();
        let sql = "SELECT last_used_at FROM tokens WHERE id = ?1";
        db.query_row(sql, [&made.id], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(made.last_used_at(), None);
    tokens.check(&text);
    let used = made.last_used_at().unwrap();
    assert_eq!((stored(), idle.last_used_at()), (0, None));
    // A stop writes what is still to be written.
    let stop = CancellationToken::new();
    stop.cancel();
    tokens.clone().run(stop).await;
    assert_eq!(stored(), used.as_millisecond());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_each_get_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokens.db");
    let tokens = Tokens::open(&file).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..40 {
        let tokens = tokens.clone();
        tasks.spawn(async move {
            let (made, text) = tokens.create(new(&number.to_string()), None).await.unwrap();
            let known = id_of(&tokens.check(&text)) == Some(made.id.as_str());
            if number % 2 == 0 {
                tokens.revoke(&made.id).await.unwrap();
            }
            (number % 2 == 1, known, text)
        });
    }
    let made = tasks.join_all().await;
    let again = Tokens::open(&file).unwrap();
    for (holds, known, text) in &made {
        assert!(known);
        for tokens in [&tokens, &again] {
            assert_eq!(id_of(&tokens.check(text)).is_some(), *holds);
        }
    }
    assert_eq!((tokens.list().len(), again.list().len()), (20, 20));
}

#[test]
fn a_file_that_is_none_of_ours_is_named_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokens.db");
    std::fs::write(&file, "no database, but long enough to be looked at as one".repeat(100)).unwrap();
    let before = std::fs::read(&file).unwrap();
    let told = format!("{:#}", Tokens::open(&file).err().unwrap());
    assert!(
        told.contains("tokens.db") && told.contains("move the file away"),
        "{told}"
    );
    assert_eq!(std::fs::read(&file).unwrap(), before);

    let newer = dir.path().join("newer.db");
    Connection::open(&newer)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let told = format!("{:#}", Tokens::open(&newer).err().unwrap());
    assert!(told.contains("newer version"), "{told}");
}

#[test]
fn base64url_is_that_of_the_standard() {
    assert_eq!(base64url(b"\x00\x00\x00"), "AAAA");
    assert_eq!(base64url(b"\xff\xff\xff\xfb\xef\xbe"), "____----");
    assert_eq!(base64url(b"Man"), "TWFu");
}

#[tokio::test]
async fn what_a_token_has_made_goes_with_it_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokens.db");
    let tokens = Tokens::open(&file).unwrap();
    let (other, _) = tokens.create(new("other"), None).await.unwrap();
    let (first, _) = tokens.create(new("first"), None).await.unwrap();
    let (second, _) = tokens.create(new("second"), Some(&first)).await.unwrap();
    let (third, text) = tokens.create(new("third"), Some(&second)).await.unwrap();
    assert_eq!(third.made_by.as_deref(), Some(second.id.as_str()));
    drop(tokens);

    let tokens = Tokens::open(&file).unwrap();
    let held = tokens.find(&third.id).unwrap();
    assert!(tokens.revoke(&first.id).await.unwrap());
    held.ended().await;
    assert!(!held.holds() && matches!(tokens.check(&text), Checked::Unknown));
    // Who was taken the right away makes no more of them.
    let late = tokens.create(new("late"), Some(&held)).await;
    assert!(matches!(late, Err(TokensError::MakerGone)), "{late:?}");
    for tokens in [tokens, Tokens::open(&file).unwrap()] {
        let left = tokens.list();
        assert!(left.len() == 1 && left[0].id == other.id, "{left:?}");
    }
}

#[tokio::test]
async fn a_file_of_an_older_version_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokens.db");
    let db = Connection::open(&file).unwrap();
    db.execute_batch(MIGRATIONS[0]).unwrap();
    let text = "pvt_old";
    db.execute(
        "INSERT INTO tokens (digest, id, scopes, tags, created_at) VALUES (?1, 't_1', '[\"vault:v:read\"]', '[]', 1)",
        [digest(text)],
    )
    .unwrap();
    db.pragma_update(None, "user_version", 1).unwrap();
    drop(db);
    let tokens = Tokens::open(&file).unwrap();
    assert_eq!(id_of(&tokens.check(text)), Some("t_1"));
    assert_eq!(tokens.find("t_1").unwrap().made_by, None);
}

#[tokio::test]
async fn a_chain_of_makers_ends_and_one_of_the_hub_does_not_begin() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = Tokens::open(&dir.path().join("tokens.db")).unwrap();
    let (first, _) = tokens.create(new("first"), None).await.unwrap();
    let mut maker = Arc::clone(&first);
    for _ in 0..MAKERS_MAX {
        maker = tokens.create(new("next"), Some(&maker)).await.unwrap().0;
    }
    let deeper = tokens.create(new("deeper"), Some(&maker)).await;
    assert!(matches!(deeper, Err(TokensError::TooDeep)), "{deeper:?}");
    assert_eq!(tokens.list().len(), MAKERS_MAX + 1);
    assert!(tokens.revoke(&first.id).await.unwrap());
    assert_eq!(tokens.list().len(), 0);

    let scopes = vec![Scope::daemon(Verb::Admin)];
    let hub = Grant::of_hub("j1".into(), "ada".into(), scopes, None);
    let made = tokens.create(new("child"), Some(&hub)).await;
    assert!(matches!(made, Err(TokensError::OfHub)), "{made:?}");
    assert_eq!(tokens.list().len(), 0);
}

/// One whose time was over so many hours ago.
async fn over(tokens: &Tokens, hours: i64) -> String {
    let new = NewGrant {
        expires_at: Some(now() - hours.hours()),
        ..new("old")
    };
    tokens.create(new, None).await.unwrap().1
}

#[tokio::test]
async fn what_ended_long_ago_is_forgotten_at_the_start_and_when_another_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokens.db");
    let tokens = Tokens::open(&file).unwrap();
    let (lately, long) = (over(&tokens, 1).await, over(&tokens, 8 * 24).await);
    // Not before somebody looks.
    assert!(matches!(tokens.check(&long), Checked::Expired));
    let (_, holds) = tokens.create(new("laptop"), None).await.unwrap();
    let there = |tokens: &Tokens| {
        let rows = tokens
            .inner
            .db
            .lock()
            .unwrap()
            .query_row("SELECT count(*) FROM tokens", [], |row| row.get(0));
        (tokens.list().len(), rows.unwrap_or(0_usize))
    };
    assert!(matches!(tokens.check(&long), Checked::Unknown));
    assert!(matches!(tokens.check(&lately), Checked::Expired));
    assert!(matches!(tokens.check(&holds), Checked::Valid(_)));
    assert_eq!(there(&tokens), (2, 2));
    over(&tokens, 8 * 24).await;
    assert_eq!(there(&tokens), (3, 3));
    drop(tokens);
    let again = Tokens::open(&file).unwrap();
    assert_eq!(there(&again), (2, 2));
    assert!(matches!(again.check(&lately), Checked::Expired));
}

#[tokio::test]
async fn tokens_that_have_ended_take_no_room_from_others() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = Tokens::open(&dir.path().join("tokens.db")).unwrap();
    let kept = over(&tokens, 1).await;
    let sample = tokens.list()[0].clone();
    tokens.change(|known| {
        for number in 1..TOKENS_MAX {
            let grant = Grant::of_hub(format!("t_{number}"), "old".into(), Vec::new(), sample.new.expires_at);
            known.insert(digest(&number.to_string()), Arc::new(grant));
        }
    });
    assert_eq!(tokens.list().len(), TOKENS_MAX);
    let (_, holds) = tokens.create(new("laptop"), None).await.unwrap();
    assert!(matches!(tokens.check(&holds), Checked::Valid(_)));
    assert!(matches!(tokens.check(&kept), Checked::Unknown));
    assert_eq!(tokens.list().len(), 1);
}
