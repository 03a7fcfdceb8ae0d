//! What the environment of the daemon decides: its address, its state directory, and who may read what it keeps.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{Daemon, run};
use serde_json::Value;

use super::{text, with_eng, works};

/// What `doctor` says of one thing to a daemon that would be started with these variables, its home included, and no others.
async fn doctor(beside: &Daemon, check: &str, env: &[(&str, &str)]) -> Result<String> {
    let mut command = beside.cli(["doctor", "--json"]).await?;
    command.env_remove("REVEILLE_STATE_DIR").envs(env.iter().copied());
    let ran = run(command, "").await?;
    let told: Value = serde_json::from_str(&ran.stdout).with_context(|| format!("{env:?}: {}", ran.stderr))?;
    let checks = told["checks"].as_array().context("checks")?;
    let found = checks.iter().find(|one| text(one, "check") == check);
    Ok(text(found.context("the check")?, "detail").to_owned())
}

#[tokio::test]
async fn r_http_2_1_2_4_5_6_the_first_port_that_is_said_counts() -> Result<()> {
    let daemon = with_eng().await?;
    for (env, expected) in [
        (
            &[("PORT", "4000"), ("PARACHUTE_AGENT_PORT", "4001")][..],
            "127.0.0.1:4000 ",
        ),
        (&[("PARACHUTE_AGENT_PORT", "4001")], "127.0.0.1:4001 "),
        (
            &[("PARACHUTE_AGENT_PORT", "4001"), ("PARACHUTE_CHANNEL_PORT", "4002")],
            "127.0.0.1:4001 ",
        ),
        (&[], "127.0.0.1:1941 "),
        (&[("PORT", ""), ("PARACHUTE_AGENT_PORT", "4001")], "127.0.0.1:4001 "),
        (&[("PORT", ""), ("PARACHUTE_AGENT_PORT", "")], "127.0.0.1:1941 "),
    ] {
        let said = doctor(&daemon, "address", env).await?;
        assert!(said.starts_with(expected), "{env:?}: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn r_http_2_8_9_what_is_no_port_is_refused_with_its_name() -> Result<()> {
    let daemon = with_eng().await?;
    let other = tempfile::TempDir::new()?;
    for (name, value) in [
        ("PORT", "abc"),
        ("PORT", "80abc"),
        ("PORT", "-1"),
        ("PORT", "65536"),
        ("PORT", "1941 1942"),
        ("PORT", "0x50"),
        ("PARACHUTE_AGENT_PORT", "80abc"),
    ] {
        let mut command = daemon.cli(["serve"]).await?;
        command.env("REVEILLE_STATE_DIR", other.path()).env(name, value);
        let ran = run(command, "").await?;
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (2, ""),
            "{name}={value}: {}",
            ran.stderr
        );
        ensure!(
            ran.stderr.contains(name) && ran.stderr.contains(value),
            "{}",
            ran.stderr
        );
    }
    assert!(!other.path().join("daemon.json").exists());
    Ok(())
}

#[tokio::test]
async fn r_http_4_1_3_the_directory_that_is_said_is_taken() -> Result<()> {
    let daemon = with_eng().await?;
    let home = tempfile::TempDir::new()?;
    let at = |part: &str| home.path().join(part).display().to_string();
    let (ours, theirs, older) = (at("ours"), at("theirs"), at("older"));
    for dir in [".parachute/agent", ".parachute/channel"] {
        std::fs::create_dir_all(home.path().join(dir))?;
    }
    let house = at("");
    let own = at(".local/state/reveille");
    for (env, expected) in [
        (
            &[
                ("REVEILLE_STATE_DIR", ours.as_str()),
                ("PARACHUTE_AGENT_STATE_DIR", &theirs),
            ][..],
            &ours,
        ),
        (&[("PARACHUTE_AGENT_STATE_DIR", &theirs)], &theirs),
        (
            &[
                ("PARACHUTE_AGENT_STATE_DIR", &theirs),
                ("PARACHUTE_CHANNEL_STATE_DIR", &older),
            ],
            &theirs,
        ),
        (
            &[("REVEILLE_STATE_DIR", ""), ("PARACHUTE_AGENT_STATE_DIR", &theirs)],
            &theirs,
        ),
        // What another program keeps in its own directory is never taken over.
        (&[], &own),
    ] {
        let env = [&[("HOME", house.as_str())], env].concat();
        let said = doctor(&daemon, "state directory", &env).await?;
        assert!(said.starts_with(&format!("{expected} ")), "{env:?}: {said}");
    }
    Ok(())
}

/// What others than its owner may do with a file or directory, of everything below it.
fn open_to_others(path: &Path, found: &mut Vec<String>) -> Result<()> {
    let about = match std::fs::symlink_metadata(path) {
        // What is written anew has another name for a moment.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        about => about?,
    };
    if !about.is_symlink() && about.permissions().mode() & 0o077 != 0 {
        found.push(format!("{:o} {}", about.permissions().mode() & 0o777, path.display()));
    }
    if about.is_dir() {
        for entry in std::fs::read_dir(path)? {
            open_to_others(&entry?.path(), found)?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn r_http_7_1_what_the_daemon_keeps_is_for_its_user_only() -> Result<()> {
    let mut daemon = with_eng().await?;
    super::token_of_vault(&daemon, "read").await?;
    let upload = daemon.ask_in("POST", "/api/sign-in-links", b"").await?;
    assert_eq!(upload.status, 200);
    works(&daemon).await?;
    // Also what a restart writes anew.
    for _ in 0..2 {
        let mut found = Vec::new();
        open_to_others(&daemon.state_dir().join("token"), &mut found)?;
        for entry in std::fs::read_dir(daemon.state_dir())? {
            let path = entry?.path();
            // The working directories of turns are the agents' own, and nobody gets to them but through ours.
            if path.file_name().is_some_and(|name| name != "conversations") {
                open_to_others(&path, &mut found)?;
            }
        }
        let dir = std::fs::metadata(daemon.state_dir())?.permissions().mode() & 0o777;
        assert_eq!((found, dir), (Vec::new(), 0o700));
        daemon.restart().await?;
    }
    Ok(())
}

#[tokio::test]
async fn r_http_1_by_itself_it_listens_on_this_machine_only() -> Result<()> {
    let daemon = with_eng().await?;
    // Where it listens in truth: the sockets of its process that listen, by the system's own table.
    let mut inodes = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{}/fd", daemon.pid()))? {
        let target = std::fs::read_link(entry?.path()).unwrap_or_default();
        let name = target.to_string_lossy().into_owned();
        inodes.extend(
            name.strip_prefix("socket:[")
                .map(|rest| rest.trim_end_matches(']').to_owned()),
        );
    }
    let mut listens = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let Ok(rows) = std::fs::read_to_string(table) else {
            continue;
        };
        for row in rows.lines().skip(1) {
            let cells: Vec<&str> = row.split_whitespace().collect();
            if cells.get(3) == Some(&"0A") && cells.get(9).is_some_and(|inode| inodes.iter().any(|own| own == inode)) {
                listens.push(cells[1].to_owned());
            }
        }
    }
    let port = daemon.url().port().context("a port")?;
    assert_eq!(listens, [format!("0100007F:{port:04X}")]);
    // The same where nobody says where.
    assert!(doctor(&daemon, "address", &[]).await?.starts_with("127.0.0.1:"));
    Ok(())
}
