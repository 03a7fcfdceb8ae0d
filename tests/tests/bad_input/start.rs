//! Starts that cannot work say why and how to mend it.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, Ran, run};
use tempfile::TempDir;

use super::with_eng;

/// A start that ends by itself, beside a daemon that runs.
async fn fails(beside: &Daemon, args: &[&str], env: &[(&str, &str)]) -> Result<Ran> {
    let mut command = beside.cli([&["serve"], args].concat()).await?;
    command.envs(env.iter().copied());
    let ran = run(command, "").await?;
    assert_eq!(ran.stdout, "", "it did start: {}", ran.stderr);
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    Ok(ran)
}

fn text(path: &std::path::Path) -> Result<&str> {
    path.to_str().context("paths of tests are UTF-8")
}

#[tokio::test]
async fn a_port_in_use_is_named_with_a_way_out() -> Result<()> {
    let (daemon, other) = (with_eng().await?, TempDir::new()?);
    let address = daemon.authority()?;
    let ran = fails(&daemon, &["--bind", &address, "--state-dir", text(other.path())?], &[]).await?;
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    for part in [address.as_str(), "in use", "--bind 127.0.0.1:0"] {
        assert!(ran.stderr.contains(part), "{part} in {}", ran.stderr);
    }
    assert!(!other.path().join("daemon.json").exists());
    Ok(())
}

#[tokio::test]
async fn a_second_daemon_on_a_state_directory_is_refused_and_harms_nothing() -> Result<()> {
    let mut daemon = with_eng().await?;
    let announced = std::fs::read(daemon.state_dir().join("daemon.json"))?;
    let ran = fails(&daemon, &["--bind", "127.0.0.1:0"], &[]).await?;
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let pid = format!("process {}", daemon.pid());
    for part in [
        "another reveille daemon",
        pid.as_str(),
        daemon.url().as_str().trim_end_matches('/'),
        "--state-dir",
    ] {
        assert!(ran.stderr.contains(part), "{part} in {}", ran.stderr);
    }
    assert_eq!(std::fs::read(daemon.state_dir().join("daemon.json"))?, announced);
    let sent = daemon.send("eng", "[[reply unharmed]]").await?;
    assert_eq!(daemon.wait_turn("eng", &sent).await?.reply.as_deref(), Some("unharmed"));
    // After a kill the directory is free at once.
    daemon.kill9().await?;
    daemon.start().await
}

#[tokio::test]
async fn a_state_directory_that_cannot_be_used_is_named() -> Result<()> {
    let (daemon, dir) = (with_eng().await?, TempDir::new()?);
    let file = dir.path().join("file");
    std::fs::write(&file, "mine")?;
    let below = file.join("state");
    // /sys takes no directory, not even from root.
    for path in [text(&file)?, text(&below)?, "/sys/reveille-test"] {
        let ran = fails(&daemon, &["--bind", "127.0.0.1:0", "--state-dir", path], &[]).await?;
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        for part in [path, "cannot be used", "--state-dir"] {
            assert!(ran.stderr.contains(part), "{part} in {}", ran.stderr);
        }
    }
    assert_eq!(std::fs::read_to_string(&file)?, "mine");
    Ok(())
}

/// Such a file in the place of a vault keeps nobody from starting: see the tests of vaults in trouble.
#[tokio::test]
async fn a_queue_of_another_program_is_left_alone() -> Result<()> {
    let (daemon, dir) = (with_eng().await?, TempDir::new()?);
    let file = dir.path().join("queue.db");
    std::fs::write(&file, "this is no database, but somebody's text\n".repeat(100))?;
    let before = std::fs::read(&file)?;
    let ran = fails(
        &daemon,
        &["--bind", "127.0.0.1:0", "--state-dir", text(dir.path())?],
        &[],
    )
    .await?;
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("queue.db"), "{}", ran.stderr);
    assert_eq!(std::fs::read(&file)?, before);
    Ok(())
}

#[tokio::test]
async fn a_wrong_configuration_names_the_place_and_the_nearest_key() -> Result<()> {
    let (daemon, dir) = (with_eng().await?, TempDir::new()?);
    let file = dir.path().join("reveille.toml");
    for (content, parts) in [
        (
            "[claude]\nprogarm = \"x\"\n",
            &["progarm", "did you mean `program`"][..],
        ),
        ("[cluade]\nprogram = \"x\"\n", &["cluade", "did you mean `claude`"]),
        ("[limits]\nlive_turns = 0\n", &["live_turns", "at least 1"]),
        ("[limits]\nlive_turns = \"many\"\n", &["live_turns"]),
        ("[claude]\ntimeout_idle = \"soon\"\n", &["soon", "90s"]),
        ("[server]\nbind = \"everywhere\"\n", &["bind"]),
        ("[log]\nlevel = \"===\"\n", &["level", "info"]),
        ("[claude.env]\nKEY = \"${NOT_SET_HERE}\"\n", &["KEY", "NOT_SET_HERE"]),
        ("this is no toml", &["reveille.toml"]),
    ] {
        std::fs::write(&file, content)?;
        let ran = fails(&daemon, &["--config", text(&file)?], &[]).await?;
        assert_eq!(ran.code, 2, "{content}{}", ran.stderr);
        for part in parts {
            assert!(ran.stderr.contains(part), "{part} in {}", ran.stderr);
        }
    }
    let gone = dir.path().join("gone.toml");
    let ran = fails(&daemon, &["--config", text(&gone)?], &[]).await?;
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("gone.toml"), "{}", ran.stderr);
    for (name, value, parts) in [
        (
            "REVEILLE_LIMITS__LIVE_TURN",
            "2",
            &["REVEILLE_LIMITS__LIVE_TURN", "live_turns"][..],
        ),
        ("REVEILLE_LIMITS__LIVE_TURNS", "lots", &["REVEILLE_LIMITS__LIVE_TURNS"]),
        ("REVEILLE_SANDBOX__MODE", "strong", &["REVEILLE_SANDBOX__MODE", "none"]),
    ] {
        let ran = fails(&daemon, &[], &[(name, value)]).await?;
        assert_eq!(ran.code, 2, "{name}: {}", ran.stderr);
        for part in parts {
            assert!(ran.stderr.contains(part), "{part} in {}", ran.stderr);
        }
    }
    // Doctor tells the same and goes on with the other checks.
    std::fs::write(&file, "[claude]\nprogarm = \"x\"\n")?;
    let ran = daemon.run(["doctor", "--config", text(&file)?]).await?;
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    assert!(
        ran.stdout.contains("progarm") && ran.stdout.contains("state directory"),
        "{}",
        ran.stdout
    );
    Ok(())
}

#[tokio::test]
async fn wrong_usage_of_the_command_line_ends_with_2() -> Result<()> {
    let daemon = with_eng().await?;
    for args in [
        &[][..],
        &["frobnicate"],
        &["send"],
        &["serve", "--bind", "nowhere"],
        &["agent", "new"],
        &["agent", "new", "x", "--set", "no-pair"],
        &["note", "list", "--limit", "many"],
    ] {
        let ran = daemon.run(args).await?;
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{args:?} {}", ran.stderr);
        assert!(!ran.stderr.is_empty(), "{args:?}");
    }
    Ok(())
}
