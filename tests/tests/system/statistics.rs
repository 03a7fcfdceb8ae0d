//! Figures of the last days, from what is on disk.

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use serde_json::{Value, json};

use super::{get, status, token, with_eng};

/// The last of the days.
fn today(statistics: &Value) -> Result<&Value> {
    statistics["days"]
        .as_array()
        .and_then(|days| days.last())
        .context("a day")
}

async fn turn(daemon: &Daemon, agent: &str, text: &str) -> Result<()> {
    let sent = daemon.send(agent, text).await?;
    daemon.wait_turn(agent, &sent).await?;
    Ok(())
}

#[tokio::test]
async fn turns_are_counted_by_how_they_ended() -> Result<()> {
    let mut daemon = with_eng().await?;
    daemon.create_agent("ops", "You operate.").await?;
    turn(&daemon, "eng", "[[reply a]] [[cost 0.25]]").await?;
    turn(&daemon, "eng", "[[error 400]]").await?;
    turn(&daemon, "ops", "[[reply b]] [[cost 0.5]]").await?;
    let hang = daemon.send("ops", "[[hang]]").await?;
    let running = hang.turn.clone().context("a turn")?;
    // One that is withdrawn in line is none.
    let behind = daemon.send("ops", "[[reply c]]").await?.turn.context("a turn")?;
    let cancel = format!("/api/turns/{behind}/cancel");
    assert_eq!(daemon.ask_in("POST", &cancel, b"{}").await?.status, 200);
    reveille_tests::eventually("the turn runs", reveille_tests::daemon::LIMIT, async || {
        let state = daemon.turn(&running).await?.state;
        Ok((state == reveille_tests::daemon::State::Working).then_some(()))
    })
    .await?;
    daemon.stop_turn(&running).await?;
    daemon.wait_turn("ops", &hang).await?;

    let told = get(&daemon, "/api/statistics?zone=UTC").await?;
    assert_eq!(told["days"].as_array().map(Vec::len), Some(14));
    // At midnight they may be of two days: those are summed.
    let days: Vec<&Value> = told["days"].as_array().context("days")?.iter().collect();
    let sum = |of: &dyn Fn(&Value) -> f64| days.iter().map(|day| of(day)).sum::<f64>();
    let count = |state: &str| sum(&|day| day["turns"][state].as_f64().unwrap_or_default());
    assert_eq!(
        ["ok", "error", "cancelled", "interrupted"].map(count),
        [2.0, 1.0, 1.0, 0.0],
        "{told}"
    );
    assert_eq!(sum(&|day| day["failures"].as_f64().unwrap_or_default()), 1.0);
    assert!(
        sum(&|day| day["input_tokens"].as_f64().unwrap_or_default()) > 0.0,
        "{told}"
    );
    assert!(
        sum(&|day| day["cost_usd"].as_f64().unwrap_or_default()) >= 0.75,
        "{told}"
    );
    let last = today(&told)?;
    if last["turns"]["ok"] == 2 {
        for span in ["duration_ms", "wait_ms"] {
            let (p50, p95) = (last[span]["p50"].as_u64(), last[span]["p95"].as_u64());
            assert!(p50.is_some() && p50 <= p95, "{last}");
        }
    }
    let first = days.first().context("a first day")?;
    assert_eq!((&first["duration_ms"], &first["wait_ms"]), (&Value::Null, &Value::Null));
    let agents: Vec<_> = told["agents"].as_array().context("agents")?.iter().collect();
    let of = |agent: &Value| {
        (
            agent["agent"].clone(),
            agent["turns"].clone(),
            agent["failures"].clone(),
        )
    };
    assert_eq!(
        agents.iter().map(|agent| of(agent)).collect::<Vec<_>>(),
        [(json!("eng"), json!(2), json!(1)), (json!("ops"), json!(2), json!(0))]
    );

    let one = get(&daemon, "/api/statistics?zone=UTC&agent=eng&days=2").await?;
    assert_eq!(one["days"].as_array().map(Vec::len), Some(2));
    assert_eq!(one["agents"], json!([agents[0]]));
    // They are of the disk.
    daemon.restart().await?;
    let again = get(&daemon, "/api/statistics?zone=UTC").await?;
    assert_eq!(again["agents"], told["agents"]);
    Ok(())
}

#[tokio::test]
async fn days_are_those_of_the_zone() -> Result<()> {
    let daemon = with_eng().await?;
    for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu"] {
        let date = || -> Result<String> { Ok(Timestamp::now().to_zoned(TimeZone::get(zone)?).date().to_string()) };
        let before = date()?;
        let told = get(&daemon, &format!("/api/statistics?days=1&zone={zone}")).await?;
        assert_eq!(told["zone"], zone);
        let day = today(&told)?["day"].as_str().context("a day")?;
        assert!([before, date()?].contains(&day.to_owned()), "{zone}: {day}");
    }
    for query in [
        "days=0",
        "days=93",
        "days=-1",
        "days=x",
        "zone=Mars/Base",
        "zone=",
        "agent=no%20body!",
        "month=1",
    ] {
        let refused = daemon.ask_in("GET", &format!("/api/statistics?{query}"), b"").await?;
        assert_eq!(refused.refusal()?, (400, "invalid_parameter".into()), "{query}");
    }
    for (verb, expected) in [("send", 403), ("read", 200)] {
        let bearer = token(&daemon, verb).await?;
        assert_eq!(
            status(&daemon, &bearer, "GET", "/api/statistics?days=92", b"").await?,
            expected,
            "{verb}"
        );
    }
    Ok(())
}
