//! The daemon as a service: the file, the commands, and what systemd is told.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::{LIMIT, Ran, run};
use rustix::process::Signal;
use serde_json::Value;

/// A daemon whose state directory is named, and a place for what its user has configured.
struct Place {
    daemon: Daemon,
    config: PathBuf,
    bin: PathBuf,
}

impl Place {
    async fn new() -> Result<Self> {
        let mut daemon = Daemon::builder().stand_in().start().await?;
        daemon.stop().await?;
        let (config, bin) = (daemon.scratch().join("config"), daemon.scratch().join("bin"));
        std::fs::create_dir(&bin)?;
        let place = Self { daemon, config, bin };
        place.systemctl("exit 0")?;
        Ok(place)
    }

    /// What stands in for systemd's command: it writes down what it is asked.
    fn systemctl(&self, then: &str) -> Result<()> {
        let file = self.bin.join("systemctl");
        let asked = self.asked();
        std::fs::write(
            &file,
            format!("#!/bin/sh\necho \"$@\" >> {}\n{then}\n", asked.display()),
        )?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755))?;
        Ok(())
    }

    fn asked(&self) -> PathBuf {
        self.daemon.scratch().join("asked")
    }

    fn take_asked(&self) -> Result<Vec<String>> {
        let text = std::fs::read_to_string(self.asked())?;
        std::fs::remove_file(self.asked())?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    fn unit(&self) -> PathBuf {
        self.config.join("systemd/user/reveille.service")
    }

    async fn service(&self, args: &[&str]) -> Result<Ran> {
        let mut command = self.daemon.cli(["service"].iter().chain(args)).await?;
        let path = std::env::var("PATH")?;
        command
            .env("XDG_CONFIG_HOME", &self.config)
            .env("PATH", format!("{}:{path}", self.bin.display()));
        run(command, "").await
    }
}

fn ok(ran: &Ran) {
    assert!(ran.code == 0, "{ran:?}");
}

#[tokio::test]
async fn it_is_installed_shown_and_removed() -> Result<()> {
    let place = Place::new().await?;
    let printed = place.service(&["install", "--print"]).await?;
    ok(&printed);
    assert!(!place.config.exists());
    let installed = place.service(&["install"]).await?;
    ok(&installed);
    assert_eq!(
        place.take_asked()?,
        ["--user daemon-reload", "--user enable --now reveille.service"]
    );
    let written = std::fs::read_to_string(place.unit())?;
    assert!(written.starts_with(printed.stdout.trim_end()), "{written}");
    for said in [
        "Type=notify",
        "KillMode=mixed",
        "Delegate=yes",
        "Restart=on-failure",
        // The ten seconds of the tests, and what comes behind them.
        "TimeoutStopSec=50",
        &format!("serve --state-dir {}", place.daemon.state_dir().display()),
        &format!("PATH={}:", place.bin.display()),
    ] {
        assert!(written.contains(said), "{said}: {written}");
    }
    ok(&place.service(&["install"]).await?);
    assert_eq!(std::fs::read_to_string(place.unit())?, written);

    let status = place.service(&["status", "--json"]).await?;
    let told: Value = serde_json::from_str(&status.stdout)?;
    assert_eq!(
        (status.code, &told["state"], &told["active"]),
        (0, &"installed".into(), &true.into())
    );
    place.systemctl("exit 3")?;
    let status = place.service(&["status"]).await?;
    assert!(status.code == 1 && status.stdout.contains("does not run"), "{status:?}");
    place.systemctl("exit 0")?;
    std::fs::remove_file(place.asked())?;

    ok(&place.service(&["uninstall"]).await?);
    assert_eq!(
        place.take_asked()?,
        ["--user disable --now reveille.service", "--user daemon-reload"]
    );
    assert!(!place.unit().exists());
    assert!(place.daemon.state_dir().join("token").exists());
    let again = place.service(&["uninstall"]).await?;
    assert!(again.stdout.contains("is not installed"), "{again:?}");
    Ok(())
}

#[tokio::test]
async fn what_a_person_has_changed_is_kept() -> Result<()> {
    let place = Place::new().await?;
    ok(&place.service(&["install", "--no-start"]).await?);
    assert!(!place.asked().exists());
    // One of an earlier version is replaced.
    let mut command = place.daemon.cli(["service", "install", "--no-start"]).await?;
    command
        .env("XDG_CONFIG_HOME", &place.config)
        .env("PATH", "/usr/bin:/elsewhere");
    ok(&run(command, "").await?);
    let other = std::fs::read_to_string(place.unit())?;
    assert!(other.contains("PATH=/usr/bin:/elsewhere"), "{other}");

    let mine = other.replace("RestartSec=2", "RestartSec=20");
    ensure!(mine != other);
    std::fs::write(place.unit(), &mine)?;
    for args in [["install"], ["uninstall"]] {
        let refused = place.service(&args).await?;
        assert!(
            refused.code == 1 && refused.stderr.contains("changed by hand"),
            "{refused:?}"
        );
        assert_eq!(std::fs::read_to_string(place.unit())?, mine);
    }
    let status = place.service(&["status", "--json"]).await?;
    assert!(status.stdout.contains("\"changed\""), "{status:?}");
    ok(&place.service(&["install", "--force"]).await?);
    assert!(!std::fs::read_to_string(place.unit())?.contains("RestartSec=20"));
    // Where systemd cannot be reached the file is there, and the rest is said.
    place.systemctl("echo 'Failed to connect to bus' >&2; exit 1")?;
    let alone = place.service(&["install"]).await?;
    assert!(
        alone.code == 1 && alone.stderr.contains("Failed to connect to bus") && alone.stderr.contains("by hand"),
        "{alone:?}"
    );
    Ok(())
}

#[tokio::test]
async fn systemd_takes_the_unit() -> Result<()> {
    let place = Place::new().await?;
    ok(&place.service(&["install", "--no-start"]).await?);
    let mut command = tokio::process::Command::new("systemd-analyze");
    command.args(["--user", "--man=no", "verify"]).arg(place.unit());
    command.env("XDG_RUNTIME_DIR", place.daemon.scratch());
    let verified = match run(command, "").await {
        Ok(verified) => verified,
        // A machine without systemd.
        Err(error) if format!("{error:#}").contains("No such file") => return Ok(()),
        Err(error) => return Err(error),
    };
    assert_eq!((verified.code, verified.stderr.as_str()), (0, ""), "{verified:?}");
    Ok(())
}

/// What comes in next.
async fn told(socket: &tokio::net::UnixDatagram) -> Result<String> {
    let mut bytes = [0; 4096];
    let read = tokio::time::timeout(LIMIT, socket.recv(&mut bytes))
        .await
        .context("nothing was told")??;
    Ok(String::from_utf8(bytes[..read].to_vec())?)
}

async fn told_of(socket: &tokio::net::UnixDatagram, what: &str) -> Result<String> {
    loop {
        let told = told(socket).await?;
        if told.contains(what) {
            return Ok(told);
        }
    }
}

fn listening(at: &Path) -> Result<tokio::net::UnixDatagram> {
    let socket = UnixDatagram::bind(at)?;
    socket.set_nonblocking(true)?;
    Ok(tokio::net::UnixDatagram::from_std(socket)?)
}

#[tokio::test]
async fn systemd_is_told_when_it_serves_that_it_lives_and_when_it_stops() -> Result<()> {
    let mut daemon = Daemon::builder().stand_in().start().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    daemon.stop().await?;
    let path = daemon.scratch().join("notify");
    let socket = listening(&path)?;
    daemon.set_env("NOTIFY_SOCKET", &path);
    // One each second: as with systemd's own, what has no room in the socket is lost.
    daemon.set_env("WATCHDOG_USEC", "4000000");
    let (ready, started) = tokio::join!(told_of(&socket, "READY=1"), daemon.start());
    started?;
    let url = daemon.url().as_str().trim_end_matches('/').to_owned();
    assert_eq!(ready?, format!("READY=1\nSTATUS=serves at {url}"));
    for _ in 0..3 {
        told_of(&socket, "WATCHDOG=1").await?;
    }
    // Programs of turns cannot speak for the daemon.
    let sent = daemon
        .send("eng", "[[env NOTIFY_SOCKET]] [[env WATCHDOG_USEC]] [[env PATH]]")
        .await?;
    let reply = daemon.wait_turn("eng", &sent).await?.reply.context("a reply")?;
    assert_eq!(reply.matches("is not set").count(), 2, "{reply}");

    let running = daemon.send("eng", "[[sleep 500ms]] [[reply done]]").await?;
    daemon.signal(Signal::TERM)?;
    let stopping = told_of(&socket, "STOPPING=1").await?;
    // The ten seconds of the tests, half a minute, and some more.
    assert!(stopping.ends_with("EXTEND_TIMEOUT_USEC=45000000"), "{stopping}");
    assert!(daemon.wait_exit(LIMIT).await?.success());
    drop(running);
    Ok(())
}

#[tokio::test]
async fn it_serves_when_it_says_so_and_without_anybody_who_listens() -> Result<()> {
    let mut daemon = Daemon::builder().stand_in().start().await?;
    daemon.stop().await?;
    let path = daemon.scratch().join("notify");
    let socket = listening(&path)?;
    daemon.set_env("NOTIFY_SOCKET", &path);
    // Whoever was told asks at once.
    let asked = async {
        let ready = told_of(&socket, "READY=1").await?;
        let url = ready.split_once("serves at ").context("an address")?.1.to_owned();
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(30))
            .build()?;
        anyhow::Ok(http.get(format!("{url}/health")).send().await?.status().as_u16())
    };
    let (status, started) = tokio::join!(asked, daemon.start());
    started?;
    assert_eq!(status?, 200);
    daemon.stop().await?;
    drop(socket);
    daemon.restart().await?;
    assert!(daemon.log()?.contains("systemd is not told"), "{}", daemon.log()?);
    Ok(())
}
