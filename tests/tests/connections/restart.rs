//! What is approved outlives the daemon, and who goes while it is down loses it.

use std::fs;

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::LIMIT;
use reveille_tests::eventually;

use super::{Held, approve, wanted, wanted_soon};

const DEFINITION: &str = "---\ntags: [agent/definition]\nname: uni\nwants: env:github\n---\nYou do as you are told.\n";
const ROLE: &str = "---\ntags: [agent/role]\nwants: env:github\n---\nYou know the place.\n";

#[tokio::test]
async fn ac_153_who_is_removed_while_nobody_looks_is_found_missing() -> Result<()> {
    let dir = tempfile::tempdir()?;
    for place in ["Agents", "Roles"] {
        fs::create_dir(dir.path().join(place))?;
    }
    let (agent, role) = (dir.path().join("Agents/uni.md"), dir.path().join("Roles/git.md"));
    fs::write(&agent, DEFINITION)?;
    fs::write(&role, ROLE)?;
    let path = dir.path().display().to_string();
    let config = format!("[vault]\nname = \"notes\"\nkind = \"folder\"\npath = {path:?}\n");
    let mut daemon = Daemon::builder().stand_in().config(&config).start().await?;
    let holders = ["uni", "role--Roles-git"];
    for holder in holders {
        wanted_soon(&daemon, holder, &[("env:github", "pending")]).await?;
        approve(&daemon, holder, "env:github", Some("ghp-hunter2hunter2"), None).await?;
    }
    daemon.restart().await?;
    for holder in holders {
        wanted_soon(&daemon, holder, &[("env:github", "approved")]).await?;
    }
    eventually("the agent is there", LIMIT, async || {
        Ok(daemon
            .agents()
            .await?
            .iter()
            .any(|agent| agent["name"] == "uni")
            .then_some(()))
    })
    .await?;
    let held = Held::new(&daemon, "uni", "GITHUB_TOKEN").await?;
    assert_eq!(held.said, "ghp-hunter2hunter2");
    held.end(&daemon, "uni").await?;

    daemon.stop().await?;
    let kept = fs::read_to_string(&agent)?;
    assert!(!kept.contains("hunter2"), "{kept}");
    fs::remove_file(&agent)?;
    fs::remove_file(&role)?;
    daemon.start().await?;
    for holder in holders {
        wanted_soon(&daemon, holder, &[]).await?;
    }
    fs::write(&agent, DEFINITION)?;
    fs::write(&role, ROLE)?;
    for holder in holders {
        wanted_soon(&daemon, holder, &[("env:github", "pending")]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_vault_that_cannot_be_read_takes_nothing_away() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let notes = dir.path().join("notes");
    fs::create_dir(&notes)?;
    fs::write(notes.join("uni.md"), DEFINITION)?;
    let path = notes.display().to_string();
    let config =
        format!("[[vault]]\nname = \"default\"\n[[vault]]\nname = \"notes\"\nkind = \"folder\"\npath = {path:?}\n");
    let mut daemon = Daemon::builder().stand_in().config(&config).start().await?;
    wanted_soon(&daemon, "uni", &[("env:github", "pending")]).await?;
    approve(&daemon, "uni", "env:github", Some("ghp-hunter2hunter2"), None).await?;
    daemon.stop().await?;
    let away = dir.path().join("away");
    fs::rename(&notes, &away)?;
    daemon.start().await?;
    // Another one passes the whole service meanwhile.
    super::create(&daemon, "eng", "env:other").await?;
    wanted_soon(&daemon, "eng", &[("env:other", "pending")]).await?;
    assert_eq!(
        wanted(&daemon, "uni").await?,
        [("env:github".to_owned(), "approved".to_owned())]
    );
    fs::rename(&away, &notes)?;
    // Nothing is stored as long as the vault is not back.
    let held = eventually("the vault is back", LIMIT, async || {
        Ok(Held::new(&daemon, "uni", "GITHUB_TOKEN").await.ok())
    })
    .await?;
    assert_eq!(held.said, "ghp-hunter2hunter2");
    held.end(&daemon, "uni").await.context("the turn")?;
    Ok(())
}
