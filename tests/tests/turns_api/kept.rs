//! What is kept of the steps of turns: whole inputs and answers of tools, over restarts and kills, and for how long.

use std::fs::FileTimes;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use pretty_assertions::assert_eq;

use super::*;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// All files below the directory of steps.
fn files(daemon: &Daemon) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    let dir = daemon.state_dir().join("steps");
    if !dir.exists() {
        return Ok(all);
    }
    for thread in std::fs::read_dir(dir)? {
        for file in std::fs::read_dir(thread?.path())? {
            all.push(file?.path());
        }
    }
    all.sort();
    Ok(all)
}

/// The only call of a turn.
async fn call(daemon: &Daemon, turn: &str) -> Result<Value> {
    let shown = steps(daemon, turn).await?;
    let [tool] = of_kind(&shown, "tool")[..] else {
        anyhow::bail!("{shown}");
    };
    let id = tool["id"].as_str().context("an id")?;
    read(daemon, &format!("/api/turns/{turn}/steps/{id}")).await
}

#[tokio::test]
async fn long_inputs_and_answers_are_there_whole() -> Result<()> {
    let mut daemon = with_eng().await?;
    let word = "ä".repeat(3000);
    let command = format!("printf {word}; printf {word}");
    let done = turn(&daemon, &format!("[[exec {command}]] [[reply ok]]")).await?;
    let shown = steps(&daemon, &done.turn).await?;
    let preview = of_kind(&shown, "tool_result")[0]["preview"]
        .as_str()
        .context("a text")?
        .chars()
        .count();
    assert_eq!(preview, 2001);
    for round in ["at once", "after a restart"] {
        let step = call(&daemon, &done.turn).await?;
        assert_eq!(step["input"], json!({ "command": command }), "{round}");
        assert_eq!(step["output"], json!(format!("{word}{word}")), "{round}");
        assert_eq!(
            (&step["input_cut"], &step["output_cut"]),
            (&json!(false), &json!(false))
        );
        daemon.restart().await?;
    }
    let names: Vec<String> = files(&daemon)?.iter().map(|path| path.display().to_string()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    for file in files(&daemon)? {
        assert_eq!(
            file.metadata()?.permissions().mode() & 0o777,
            0o600,
            "{}",
            file.display()
        );
        let dir = file.parent().context("a directory")?;
        assert_eq!(dir.metadata()?.permissions().mode() & 0o777, 0o700, "{}", dir.display());
    }
    Ok(())
}

#[tokio::test]
async fn more_than_a_megabyte_is_cut_and_says_so() -> Result<()> {
    let daemon = with_eng().await?;
    let done = turn(&daemon, "[[exec head -c 1500000 /dev/zero | tr '\\0' x]] [[reply ok]]").await?;
    let step = call(&daemon, &done.turn).await?;
    let output = step["output"].as_str().context("a text")?;
    assert_eq!((output.len(), &step["output_cut"]), (1 << 20, &json!(true)));
    assert_eq!((&step["input_cut"], &step["name"]), (&json!(false), &json!("Bash")));
    Ok(())
}

#[tokio::test]
async fn too_many_events_lose_their_middle() -> Result<()> {
    let daemon = with_eng().await?;
    let thought = "x".repeat(20_000);
    let many: String = (0..60).map(|n| format!("[[think {n} {thought}]]")).collect();
    let done = turn(&daemon, &format!("{many} [[reply the end]]")).await?;
    let shown = steps(&daemon, &done.turn).await?;
    assert_eq!(shown["cut"], json!(true));
    let thoughts: Vec<u64> = of_kind(&shown, "thinking")
        .iter()
        .filter_map(|event| event["text"].as_str()?.split(' ').next()?.parse().ok())
        .collect();
    assert!(thoughts.len() < 55 && thoughts.len() > 40, "{thoughts:?}");
    assert_eq!((thoughts.first(), thoughts.last()), (Some(&0), Some(&59)));
    let kinds = kinds(&shown);
    assert_eq!((kinds.first(), kinds.last()), (Some(&"started"), Some(&"done")));
    Ok(())
}

#[tokio::test]
async fn no_secret_is_kept_or_told() -> Result<()> {
    let config = "[claude.env]\nMY_TOKEN = \"tell-nobody-of-this\"\n";
    let daemon = Daemon::builder().stand_in().config(config).start().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    let mut live = daemon.events("eng").await?;
    let command = "for i in $(seq 300); do echo \"$i $MY_TOKEN and $REVEILLE_TOKEN\"; done";
    let done = turn(&daemon, &format!("[[exec {command}]] [[reply ok]]")).await?;
    let step = call(&daemon, &done.turn).await?;
    let output = step["output"].as_str().context("a text")?;
    assert!(
        output.contains("300 *** and ***") && !output.contains("tell-nobody"),
        "{output}"
    );
    let told = live.until_end(&done.turn).await?;
    let preview = told
        .iter()
        .find(|event| event.kind() == "tool_result")
        .context("an answer")?;
    let preview = preview.data["preview"].as_str().context("a text")?;
    assert!(preview.starts_with("1 *** and ***"), "{preview}");
    Ok(())
}

#[tokio::test]
async fn a_killed_daemon_loses_what_was_going_on_and_no_more() -> Result<()> {
    let mut daemon = with_eng().await?;
    let before = turn(&daemon, "[[tool Read {}]] [[reply before]]").await?;
    let mut live = daemon.events("eng").await?;
    let word = "w".repeat(5000);
    let once = daemon.scratch().join("once");
    let hang = format!(
        "[[exec echo {word}]] [[exec test -e {0} || {{ touch {0}; sleep 1000; }}]] [[reply after]]",
        once.display()
    );
    let sent = daemon.send("eng", &hang).await?;
    eventually("the tool hangs", LIMIT, async || Ok(once.exists().then_some(()))).await?;
    live.until(|event| {
        event.kind() == "tool"
            && event.data["input"]
                .as_str()
                .is_some_and(|input| input.contains("sleep"))
    })
    .await?;
    daemon.kill9().await?;
    daemon.start().await?;
    let done = daemon.wait_turn("eng", &sent).await?;
    let shown = steps(&daemon, &done.turn).await?;
    // What there is of it: the attempt that came to an end, which says that it is the second.
    let started: Vec<&Value> = of_kind(&shown, "started")
        .iter()
        .map(|event| &event["attempt"])
        .collect();
    assert_eq!(
        (started, &shown["complete"]),
        (vec![&json!(2)], &json!(true)),
        "{shown}"
    );
    assert!(kinds(&steps(&daemon, &before.turn).await?).contains(&"tool"));
    Ok(())
}

#[tokio::test]
async fn a_stop_of_the_daemon_keeps_what_was_done_before_it() -> Result<()> {
    let mut daemon = Daemon::builder()
        .stand_in()
        .env("REVEILLE_SERVER__DRAIN", "100ms")
        .start()
        .await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    let once = daemon.scratch().join("once");
    let hang = format!(
        "[[tool Read {{}}]] [[exec test -e {0} || {{ touch {0}; sleep 1000; }}]] [[reply after]]",
        once.display()
    );
    let sent = daemon.send("eng", &hang).await?;
    eventually("the tool hangs", LIMIT, async || Ok(once.exists().then_some(()))).await?;
    daemon.stop().await?;
    daemon.start().await?;
    let done = daemon.wait_turn("eng", &sent).await?;
    let shown = steps(&daemon, &done.turn).await?;
    let started: Vec<&Value> = of_kind(&shown, "started")
        .iter()
        .map(|event| &event["attempt"])
        .collect();
    assert_eq!(started, [&json!(1), &json!(2)], "{shown}");
    let reads = of_kind(&shown, "tool")
        .iter()
        .filter(|event| event["tool"] == "Read")
        .count();
    assert!(reads >= 1 && kinds(&shown).last() == Some(&"done"), "{shown}");
    Ok(())
}

#[tokio::test]
async fn what_is_kept_goes_when_its_time_is_over() -> Result<()> {
    let mut daemon = with_eng().await?;
    let word = "w".repeat(5000);
    let old = turn(&daemon, &format!("[[exec echo {word}]] [[reply old]]")).await?;
    let plain = turn(&daemon, "[[reply nothing else]]").await?;
    daemon.stop().await?;
    let aged = files(&daemon)?;
    assert_eq!(aged.len(), 2);
    let back = |days: u32| FileTimes::new().set_modified(SystemTime::now() - days * DAY);
    let age = |days: u32| -> Result<()> {
        for file in &aged {
            std::fs::File::options()
                .append(true)
                .open(file)?
                .set_times(back(days))?;
        }
        Ok(())
    };
    age(29)?;
    daemon.start().await?;
    let young = turn(&daemon, "[[tool Read {}]] [[reply young]]").await?;
    assert!(kinds(&steps(&daemon, &old.turn).await?).contains(&"tool"));
    daemon.stop().await?;
    age(31)?;
    daemon.start().await?;
    eventually("the old ones are gone", LIMIT, async || {
        Ok((files(&daemon)?.len() == 1).then_some(()))
    })
    .await?;
    let target = format!("/api/turns/{}/steps", old.turn);
    assert_eq!(get(&daemon, &target).await?.refusal()?, (404, "steps_gone".to_owned()));
    let one = format!("{target}/toolu_x");
    assert_eq!(get(&daemon, &one).await?.refusal()?, (404, "steps_gone".to_owned()));
    for there in [&young, &plain] {
        assert_eq!(steps(&daemon, &there.turn).await?["complete"], json!(true));
    }
    let reply = daemon.turn(&old.turn).await?.reply.context("a reply")?;
    assert!(reply.ends_with("old"), "{reply}");
    Ok(())
}

#[tokio::test]
async fn a_disk_that_takes_no_steps_fails_no_turn() -> Result<()> {
    let daemon = with_eng().await?;
    std::fs::write(daemon.state_dir().join("steps"), "in the way")?;
    let done = turn(&daemon, "[[tool Read {}]] [[reply all the same]]").await?;
    assert_eq!(done.reply.as_deref(), Some("all the same"));
    let target = format!("/api/turns/{}/steps", done.turn);
    let (status, code) = get(&daemon, &target).await?.refusal()?;
    assert!(
        [(404, "steps_gone"), (503, "steps_unreadable")].contains(&(status, code.as_str())),
        "{status} {code}"
    );
    assert!(
        daemon.log()?.contains("what a turn did is not kept"),
        "{}",
        daemon.log()?
    );
    Ok(())
}

#[tokio::test]
async fn damaged_files_are_read_as_far_as_they_go() -> Result<()> {
    let daemon = with_eng().await?;
    let done = turn(&daemon, "[[tool Read {}]] [[reply ok]]").await?;
    steps(&daemon, &done.turn).await?;
    let [file] = &files(&daemon)?[..] else {
        anyhow::bail!("{:?}", files(&daemon)?);
    };
    let whole = std::fs::read(file)?;
    std::fs::write(file, &whole[..whole.len() / 2])?;
    let shown = steps(&daemon, &done.turn).await?;
    assert_eq!(
        (&shown["cut"], kinds(&shown).last()),
        (&json!(true), Some(&"done")),
        "{shown}"
    );
    Ok(())
}
