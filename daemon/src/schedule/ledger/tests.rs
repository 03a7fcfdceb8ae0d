use pretty_assertions::assert_eq;

use super::*;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap()
}

fn job(note: &str) -> JobKey {
    JobKey {
        vault: "default".into(),
        note: NoteId::new(note).unwrap(),
    }
}

fn horizon(next: Option<i64>) -> Horizon {
    Horizon {
        schedule: Written {
            fingerprint: "cron 0 * * * * in UTC".into(),
            when: "@hourly".into(),
            zone: "UTC".into(),
        },
        standing: Standing::Active,
        next: next.map(at),
        changed_at: at(5),
    }
}

fn fired_at(millis: i64) -> Run {
    Run::fired(
        at(millis),
        at(millis + 1),
        RunKind::Scheduled,
        NoteId::new(format!("m{millis}")).unwrap(),
    )
}

#[tokio::test]
async fn what_is_written_is_there_after_the_file_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("schedule.db");
    let skipped = Run {
        until_at: Some(at(30)),
        count: 3,
        ..Run::skipped(at(10), at(40), Code::Missed, "nobody was there")
    };
    let ledger = Ledger::open(&file).unwrap();
    let runs = vec![skipped.clone(), fired_at(50)];
    let ids = ledger.commit(&job("a"), Some(horizon(Some(60))), runs).await.unwrap();
    ledger.commit(&job("b"), Some(horizon(None)), Vec::new()).await.unwrap();
    drop(ledger);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    let ledger = Ledger::open(&file).unwrap();
    let horizons = HashMap::from([(job("a"), horizon(Some(60))), (job("b"), horizon(None))]);
    assert_eq!(ledger.horizons().await.unwrap(), horizons);
    assert_eq!(ledger.with_history().await.unwrap(), BTreeSet::from([job("a")]));
    let open = OpenRun {
        id: ids[1],
        job: job("a"),
        message: NoteId::new("m50").unwrap(),
        pending: false,
    };
    assert_eq!(ledger.open_runs().await.unwrap(), [open]);
    ledger.ended(ids[1], "ok".into()).await.unwrap();
    assert_eq!(ledger.open_runs().await.unwrap(), []);
    let ended = Run {
        outcome: Some("ok".into()),
        ..fired_at(50)
    };
    assert_eq!(
        ledger.runs(&job("a")).await.unwrap(),
        [(ids[1], ended), (ids[0], skipped)]
    );
    let fired = ledger.with(|db| fired(db, &job("a"))).await.unwrap();
    assert_eq!(fired, BTreeSet::from([at(50)]));

    ledger.forget(&job("a")).await.unwrap();
    assert_eq!(ledger.runs(&job("a")).await.unwrap(), []);
    assert_eq!(ledger.horizons().await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_history_has_an_end() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&dir.path().join("schedule.db")).unwrap();
    for millis in 0..i64::from(KEPT) + 5 {
        ledger.commit(&job("a"), None, vec![fired_at(millis)]).await.unwrap();
        ledger.commit(&job("b"), None, Vec::new()).await.unwrap();
    }
    let kept = ledger.runs(&job("a")).await.unwrap();
    assert_eq!(kept.len(), KEPT as usize);
    assert_eq!(kept.last().map(|(_, run)| run.occurrence_at), Some(at(5)));
    let rows = |db: &mut Connection| db.query_row("SELECT count(*) FROM runs", [], |row| row.get::<_, u32>(0));
    assert_eq!(ledger.with(rows).await.unwrap(), KEPT);
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("schedule.db");
    let ledger = Ledger::open(&file).unwrap();
    ledger
        .with(|db| db.pragma_update(None, "user_version", 99))
        .await
        .unwrap();
    drop(ledger);
    let told = format!("{:#}", Ledger::open(&file).err().unwrap());
    assert!(
        told.contains("newer version") && told.contains("move the file away"),
        "{told}"
    );
}
