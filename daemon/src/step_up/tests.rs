use std::os::unix::fs::PermissionsExt as _;

use super::*;

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("step-up.json")
    }

    fn open(&self) -> StepUp {
        StepUp::open(self.path(), false)
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.path()).unwrap()
    }
}

#[test]
fn a_pin_has_four_to_twelve_digits() {
    for (text, expected) in [
        ("1234", true),
        ("000000000000", true),
        ("123", false),
        ("1234567890123", false),
        ("12a4", false),
        ("१२३४", false),
        (" 1234", false),
        ("", false),
    ] {
        assert_eq!(is_pin(text), expected, "{text:?}");
    }
}

#[tokio::test]
async fn nothing_is_asked_for_until_there_is_a_pin_and_its_text_is_nowhere() {
    let place = Place::new();
    let step_up = place.open();
    assert_eq!(step_up.ask("a", None), Ok(()));
    assert!(matches!(step_up.exchange("a", "1234").await, Err(PinError::NotSet)));
    let required = StepUp::open(place.path(), true);
    assert_eq!(required.ask("a", None), Err(Asked::Setup));

    step_up.set("a", true, "739164", None).await.unwrap();
    let first = place.text();
    assert!(first.contains("$argon2id$") && !first.contains("739164"), "{first}");
    assert_eq!(
        std::fs::metadata(place.path()).unwrap().permissions().mode() & 0o777,
        0o600
    );
    step_up.set("a", true, "739164", Some("739164")).await.unwrap();
    assert_ne!(place.text(), first, "another salt");
    assert_eq!(step_up.ask("a", None), Err(Asked::Token));
}

#[tokio::test]
async fn a_token_is_of_one_subject_and_ends_with_the_pin_or_when_it_is_locked() {
    let place = Place::new();
    let step_up = place.open();
    step_up.set("a", true, "1234", None).await.unwrap();
    let (one, ends) = step_up.exchange("a", "1234").await.unwrap();
    let (two, _) = step_up.exchange("a", "1234").await.unwrap();
    let (other, _) = step_up.exchange("b", "1234").await.unwrap();
    assert!(one != two && one.len() == 43, "{one}");
    let left = ends.duration_since(Timestamp::now()).as_secs();
    assert!((200..=300).contains(&left), "{left}");
    for _ in 0..2 {
        assert_eq!(step_up.ask("a", Some(&one)), Ok(()));
    }
    for wrong in [other.as_str(), "", "x"] {
        assert_eq!(step_up.ask("a", Some(wrong)), Err(Asked::Token), "{wrong:?}");
    }
    assert_eq!(step_up.lock("a"), 2);
    assert_eq!(step_up.ask("a", Some(&one)), Err(Asked::Token));
    assert_eq!(step_up.ask("b", Some(&other)), Ok(()));
    step_up.set("b", true, "5678", Some("1234")).await.unwrap();
    assert_eq!(step_up.ask("b", Some(&other)), Err(Asked::Token));
    assert!(matches!(step_up.exchange("a", "1234").await, Err(PinError::Wrong)));
    let (fresh, _) = step_up.exchange("a", "5678").await.unwrap();
    step_up.clear().await.unwrap();
    assert_eq!(step_up.ask("a", None), Ok(()));
    step_up.set("a", true, "5678", None).await.unwrap();
    assert_eq!(step_up.ask("a", Some(&fresh)), Err(Asked::Token));
}

#[tokio::test(start_paused = true)]
async fn a_token_ends_by_itself_and_there_are_few_at_once() {
    let place = Place::new();
    let step_up = place.open();
    step_up.change(Standing::Set);
    let first = step_up.mint("a").0;
    let tokens: Vec<String> = (0..TOKENS_MAX)
        .map(|number| step_up.mint(if number == 0 { "b" } else { "a" }).0)
        .collect();
    assert_eq!(step_up.ask("a", Some(&first)), Ok(()));
    tokio::time::advance(Duration::from_secs(1)).await;
    let last = step_up.mint("a").0;
    assert_eq!(step_up.sessions(|sessions| sessions.len()), TOKENS_MAX + 1);
    assert_eq!(step_up.ask("b", Some(&tokens[0])), Ok(()));
    tokio::time::advance(TOKEN_LIFE - Duration::from_secs(1)).await;
    assert_eq!(step_up.ask("b", Some(&tokens[0])), Err(Asked::Token));
    assert_eq!(step_up.ask("a", Some(&last)), Ok(()));
    step_up.mint("c");
    assert_eq!(step_up.sessions(|sessions| sessions.len()), 2);
}

#[tokio::test]
async fn guesses_are_few_and_survive_a_restart() {
    let place = Place::new();
    let step_up = place.open();
    step_up.set("a", true, "1234", None).await.unwrap();
    for guess in ["0000", "0001", "x", "0003"] {
        assert!(
            matches!(step_up.exchange("a", guess).await, Err(PinError::Wrong)),
            "{guess}"
        );
    }
    step_up.exchange("a", "1234").await.unwrap();
    // The right one has freed it.
    for guess in 0..GUESSES {
        assert!(
            matches!(step_up.exchange("a", "0000").await, Err(PinError::Wrong)),
            "{guess}"
        );
    }
    drop(step_up);
    let step_up = place.open();
    let before = place.text();
    for pin in ["0000", "1234"] {
        let Err(PinError::TooMany { wait }) = step_up.exchange("a", pin).await else {
            panic!("{pin} was looked at");
        };
        assert!(wait <= WINDOW && wait > WINDOW / 2, "{wait:?}");
    }
    assert_eq!(place.text(), before, "what is refused does not count");
    // The same bound for changing it.
    let changed = step_up.set("a", true, "9999", Some("1234")).await;
    assert!(matches!(changed, Err(PinError::TooMany { .. })), "{changed:?}");
    step_up.exchange("b", "1234").await.unwrap();
}

#[test]
fn guesses_are_forgotten_one_by_one() {
    let now: Timestamp = "2026-05-04T12:00:00Z".parse().unwrap();
    let mut kept = Kept::default();
    for second in 0..5_i64 {
        assert_eq!(kept.wait("a", now), None);
        kept.count("a", now + jiff::SignedDuration::from_secs(second * 10));
    }
    let later = now + jiff::SignedDuration::from_secs(60);
    assert_eq!(kept.wait("a", later), Some(WINDOW - Duration::from_secs(60)));
    assert_eq!(kept.wait("b", later), None);
    let freed = now + WINDOW;
    kept.forget(freed);
    assert_eq!((kept.wait("a", freed), kept.guesses["a"].len()), (None, 4));
    // A clock that was wrong does not lock anybody out for years.
    kept.count("a", now + jiff::SignedDuration::from_hours(9000));
    kept.forget(freed);
    assert_eq!(kept.guesses["a"].len(), 4);
}

#[tokio::test]
async fn after_very_many_wrong_ones_it_is_locked_until_it_is_set_anew() {
    let place = Place::new();
    let step_up = place.open();
    step_up.set("a", true, "1234", None).await.unwrap();
    for number in 0..WRONG_MAX {
        let subject = format!("token:{number}");
        assert!(matches!(step_up.exchange(&subject, "x").await, Err(PinError::Wrong)));
    }
    let step_up = place.open();
    assert!(matches!(step_up.exchange("a", "1234").await, Err(PinError::Locked)));
    step_up.clear().await.unwrap();
    step_up.set("a", true, "1234", None).await.unwrap();
    step_up.exchange("a", "1234").await.unwrap();
}

#[tokio::test]
async fn a_damaged_file_closes_what_the_pin_guards_until_it_is_cleared() {
    for damage in ["", "{", "{\"pin\":\"plain\"}", "{\"pin\":7}", "[]", "{\"other\":1}"] {
        let place = Place::new();
        std::fs::write(place.path(), damage).unwrap();
        let step_up = place.open();
        assert!(
            matches!(step_up.ask("a", None), Err(Asked::Unreadable(_))),
            "{damage:?}"
        );
        assert!(matches!(
            step_up.exchange("a", "1234").await,
            Err(PinError::Unreadable(_))
        ));
        let set = step_up.set("a", true, "1234", Some("1234")).await;
        assert!(matches!(set, Err(PinError::Unreadable(_))), "{set:?}");
        assert!(matches!(
            step_up.set("a", true, "1234", None).await,
            Err(PinError::Unreadable(_))
        ));
        assert_eq!(place.text(), damage);
        step_up.clear().await.unwrap();
        step_up.set("a", true, "1234", None).await.unwrap();
        step_up.exchange("a", "1234").await.unwrap();
    }
}

#[tokio::test]
async fn without_a_disk_no_guess_is_looked_at() {
    let place = Place::new();
    let step_up = place.open();
    step_up.set("a", true, "1234", None).await.unwrap();
    drop(std::fs::remove_dir_all(place.dir.path()));
    assert!(matches!(
        step_up.exchange("a", "1234").await,
        Err(PinError::Unwritable(_))
    ));
    assert!(matches!(
        step_up.set("a", true, "5678", Some("1234")).await,
        Err(PinError::Unwritable(_))
    ));
    assert_eq!(step_up.ask("a", None), Err(Asked::Token));
}

#[tokio::test]
async fn the_first_one_is_set_on_the_machine_alone() {
    let place = Place::new();
    let step_up = place.open();
    let set = step_up.set("a", false, "1234", None).await;
    assert!(matches!(set, Err(PinError::NotHere)), "{set:?}");
    step_up.set("a", true, "1234", None).await.unwrap();
    step_up.clear().await.unwrap();
    let set = step_up.set("a", false, "0000", None).await;
    assert!(matches!(set, Err(PinError::NotHere)), "{set:?}");
}
