//! What a turn is, it is in a process that has waited too.

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Event, LIMIT, State, Turn};
use serde_json::{Value, json};

use crate::{builder, define, house, left, process, turn, well};

#[tokio::test]
async fn turns_of_a_conversation_are_one_process_with_an_account_for_each() -> Result<()> {
    let daemon = house(builder()).await?;
    let first = process(&daemon, "eng").await?;
    assert_eq!(daemon.children()?, [first]);
    assert_eq!(process(&daemon, "eng").await?, first);
    let dear = well(&daemon, "eng", "[[cost 0.5]] three").await?;
    let cheap = well(&daemon, "eng", "four").await?;
    assert!((0.5..0.51).contains(&dear.cost_usd), "{dear:?}");
    assert!(cheap.cost_usd > 0.0 && cheap.cost_usd < 0.01, "{cheap:?}");
    assert!(
        cheap.reply.as_deref().unwrap_or_default().contains("message 4"),
        "{cheap:?}"
    );
    assert_eq!(dear.more["session"], cheap.more["session"]);
    // The same question costs the same in a process of its own.
    define(&daemon, "cold", json!({"keep_warm": "false"})).await?;
    for text in ["one", "two", "three"] {
        well(&daemon, "cold", text).await?;
    }
    let cold = well(&daemon, "cold", "four").await?;
    let tokens = |turn: &Turn, kind: &str| turn.more["usage"][kind].as_u64().unwrap_or_default();
    // The names of the agents are not of one length.
    assert!(
        tokens(&cheap, "input_tokens").abs_diff(tokens(&cold, "input_tokens")) < 5,
        "{cheap:?} {cold:?}"
    );
    assert_eq!(tokens(&cheap, "output_tokens"), tokens(&cold, "output_tokens"));
    assert_eq!(cheap.more["models"], cold.more["models"]);
    let journal = daemon.wait_quiet(LIMIT).await?;
    assert_eq!(journal.violations(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn the_events_are_the_same() -> Result<()> {
    let daemon = house(builder()).await?;
    let mut events = daemon.events("eng").await?;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let sent = daemon
            .send("eng", "[[think hm]][[tool Read {\"a\":1}]][[reply done]]")
            .await?;
        let turn = sent.turn.expect("a turn");
        let of_turn = events.until_end(&turn).await?;
        seen.push(of_turn.iter().map(|event| event.kind().to_owned()).collect::<Vec<_>>());
    }
    assert_eq!(left(&daemon, 1).await?.len(), 1);
    assert_eq!(seen[0], seen[1]);
    Ok(())
}

#[tokio::test]
async fn a_stop_ends_the_turn_and_the_process_and_the_conversation_goes_on() -> Result<()> {
    let daemon = house(builder()).await?;
    let first = process(&daemon, "eng").await?;
    let mut events = daemon.events("eng").await?;
    let sent = daemon.send("eng", "[[reply before]][[hang]]").await?;
    let id = sent.turn.clone().expect("a turn");
    let is_text = |event: &Event| event.kind() == "text" && event.data["turn"] == json!(id);
    events.until(is_text).await?;
    daemon.stop_turn(&id).await?;
    let stopped = daemon.wait_turn("eng", &sent).await?;
    assert_eq!(stopped.state, State::Cancelled);
    left(&daemon, 0).await?;
    assert_ne!(process(&daemon, "eng").await?, first);
    let next = well(&daemon, "eng", "hi").await?;
    let reply = next.reply.unwrap_or_default();
    assert!(reply.contains("message 4"), "{reply}");
    Ok(())
}

#[tokio::test]
async fn the_clocks_are_of_the_turn() -> Result<()> {
    let daemon = builder().start().await?;
    // Each of them long enough for a machine that stands still for some seconds.
    for agent in ["eng", "ops"] {
        define(&daemon, agent, json!({"timeout_idle": "8s", "timeout_wall": "12s"})).await?;
    }
    let code = |error: Option<Value>| error.unwrap_or_default()["code"].clone();
    let idle = async {
        let first = process(&daemon, "eng").await?;
        // Longer together than one may be.
        for _ in 0..3 {
            well(&daemon, "eng", "[[slow 10x500ms]]").await?;
        }
        assert_eq!(process(&daemon, "eng").await?, first);
        let idle = turn(&daemon, "eng", "[[hang]]").await?;
        assert_eq!((idle.state, code(idle.error)), (State::Error, json!("idle_timeout")));
        anyhow::Ok(())
    };
    let wall = async {
        process(&daemon, "ops").await?;
        let wall = turn(&daemon, "ops", "[[slow 100x200ms]]").await?;
        assert_eq!((wall.state, code(wall.error)), (State::Error, json!("wall_timeout")));
        anyhow::Ok(())
    };
    tokio::try_join!(idle, wall)?;
    left(&daemon, 0).await?;
    process(&daemon, "eng").await?;
    Ok(())
}

#[tokio::test]
async fn turns_that_must_have_a_process_of_their_own_have_one() -> Result<()> {
    let daemon = builder().start().await?;
    define(&daemon, "never", json!({"keep_warm": "false"})).await?;
    // A message of its own each: there is no next one.
    define(&daemon, "single", json!({"mode": "multi-threaded"})).await?;
    // The CLI counts money over the life of its process.
    define(&daemon, "budget", json!({"budget_turn_usd": "0.5"})).await?;
    for agent in ["never", "single", "budget"] {
        well(&daemon, agent, "hi").await?;
        left(&daemon, 0).await?;
    }
    for _ in 0..3 {
        well(&daemon, "budget", "[[cost 0.3]]").await?;
    }
    let failed = turn(&daemon, "budget", "[[cost 0.6]]").await?;
    assert_eq!(failed.state, State::Error);
    Ok(())
}
