//! Beginning and end: what runs inside ends with the one who started it, however that goes.

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{LIMIT, processes_with};
use reveille_tests::{Random, eventually};
use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;
use uuid::Uuid;

use crate::everybody;

/// In the environment of all that is started inside, and of its starter.
const MARK: &str = "REVEILLE_TEST_MARK";

/// Processes that want to stay: in sessions of their own, deaf to every signal that can be ignored, without a parent.
const STAYERS: &str = "
trap '' HUP INT TERM QUIT PIPE
(setsid sh -c 'trap \"\" HUP INT TERM; sleep 600 & wait; sleep 600' &)
(nohup sh -c 'exec setsid sleep 600' >/dev/null 2>&1 &)
sleep 600 &
echo begun
while :; do wait; sleep 1; done
";

fn signal(child: &Child, signal: Signal) -> Result<()> {
    let pid = child.id().context("it runs")?;
    let pid = Pid::from_raw(i32::try_from(pid)?).context("a pid")?;
    Ok(kill_process(pid, signal)?)
}

async fn nothing_is_left(mark: &str) -> Result<()> {
    eventually("nothing is left", LIMIT, async || {
        Ok(processes_with(MARK, mark)?.is_empty().then_some(()))
    })
    .await
    .with_context(|| format!("left: {:?}", processes_with(MARK, mark)))
}

/// Whether this process, and so what it starts, ignores a signal.
fn is_ignored(signal: Signal) -> Result<bool> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = u64::from_str_radix(ignored.context("the signals that are ignored")?.trim(), 16)?;
    Ok(ignored & (1 << (signal.as_raw() - 1)) != 0)
}

#[tokio::test]
async fn a_killed_runner_leaves_no_process() -> Result<()> {
    everybody(async |ground| {
        for network in ["open", "restricted"] {
            for end in [Signal::KILL, Signal::TERM, Signal::INT, Signal::HUP] {
                // A runner that was told to ignore one, as behind `nohup … &`, ignores it, and so was this test then.
                if is_ignored(end)? {
                    continue;
                }
                let mark = Uuid::new_v4().to_string();
                let set = format!("{MARK}={mark}");
                let options = ["--network", network, "--loopback", "8099", "--env", &set];
                let mut runner = ground.begin(&options, ["sh", "-c", STAYERS])?;
                let mut out = BufReader::new(runner.stdout.take().unwrap()).lines();
                assert_eq!(out.next_line().await?.as_deref(), Some("begun"));
                eventually("all of them run", LIMIT, async || {
                    Ok((processes_with(MARK, &mark)?.len() >= 5).then_some(()))
                })
                .await?;
                signal(&runner, end)?;
                let ended = tokio::time::timeout(LIMIT, runner.wait()).await;
                assert!(!ended.with_context(|| format!("{end:?} does not end it"))??.success());
                nothing_is_left(&mark).await?;
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_runner_that_is_killed_at_any_moment_of_its_start_leaves_no_process() -> Result<()> {
    everybody(async |ground| {
        let mut random = Random::new(u64::from(ground.person().uid()));
        for _ in 0..30 {
            let mark = Uuid::new_v4().to_string();
            let set = format!("{MARK}={mark}");
            let mut runner = ground.begin(&["--network", "restricted", "--env", &set], ["sleep", "600"])?;
            // A start takes about this long.
            tokio::time::sleep(random.millis(0..80)).await;
            runner.kill().await?;
            nothing_is_left(&mark).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn w_18_what_is_left_behind_by_a_program_ends_with_it() -> Result<()> {
    everybody(async |ground| {
        let mark = Uuid::new_v4().to_string();
        let set = format!("{MARK}={mark}");
        let script = "(setsid sleep 600 >/dev/null 2>&1 &) ; (sleep 600 >/dev/null 2>&1 &); echo here; exit 7";
        let ran = ground.sandbox(&["--env", &set], ["sh", "-c", script]).await?;
        assert_eq!((ran.code, ran.stdout.as_str()), (7, "here\n"), "{ran:?}");
        nothing_is_left(&mark).await
    })
    .await
}

#[tokio::test]
async fn how_a_program_ends_is_told() -> Result<()> {
    everybody(async |ground| {
        for (script, code) in [
            ("true", 0),
            ("exit 3", 3),
            ("exit 255", 255),
            ("kill -TERM $$", 128 + 15),
            ("kill -KILL $$", 128 + 9),
        ] {
            let ran = ground.sandbox(&[], ["sh", "-c", script]).await?;
            assert_eq!(ran.code, code, "{script}: {ran:?}");
        }
        let missing = ground.sandbox(&[], ["no-such-program"]).await?;
        assert_eq!(missing.code, 2, "{missing:?}");
        assert!(missing.stderr.contains("no-such-program"), "{missing:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn w_11_a_megabyte_full_of_quotes_reaches_a_program_on_its_input() -> Result<()> {
    everybody(async |ground| {
        let prompt = "'\"`$(touch /tmp/x)\\'\n".repeat(60_000);
        let ran = reveille_tests::daemon::run(ground.confined(&[], ["sha256sum"]), &prompt).await?;
        let digest = Sha256::digest(&prompt)
            .iter()
            .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        assert_eq!((ran.code, ran.stdout), (0, format!("{digest}  -\n")), "{}", ran.stderr);
        // In arguments everything stays as it was, too: no shell reads them.
        let odd = "a b'\"`$(touch x)\\ * ;\n&&";
        let ran = ground.sandbox(&[], ["printf", "%s|", odd, "", "-x"]).await?;
        assert_eq!(ran.stdout, format!("{odd}||-x|"));
        Ok(())
    })
    .await
}

/// Each broken promise is an error that says what to do; the command is not run.
#[tokio::test]
async fn w_12_without_bubblewrap_nothing_runs() -> Result<()> {
    everybody(async |ground| {
        let bin = ground.dir("bin")?;
        for program in ["touch", "sh"] {
            std::os::unix::fs::symlink(format!("/usr/bin/{program}"), bin.join(program))?;
        }
        let touched = ground.named("touched");
        let own = ground.named("");
        let mut command = ground.confined(&["--write", &own], ["touch", &touched]);
        command.env("PATH", &bin);
        let ran = reveille_tests::daemon::run(command, "").await?;
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(
            ran.stderr.contains("bubblewrap") && ran.stderr.contains("apt"),
            "{ran:?}"
        );
        assert!(!ground.at("touched").exists());
        // One that does nothing of what it should is no sandbox: the shim inside does not answer.
        for liar in [
            "#!/bin/sh\nexit 0\n",
            "#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done; shift; exec touch \"$TOUCHED\"\n",
        ] {
            let path = ground.file("liar/bwrap", liar)?;
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
            let mut command = ground.confined(&["--write", &own], ["touch", &touched]);
            command.env("PATH", format!("{}:/usr/bin:/bin", ground.named("liar")));
            let ran = reveille_tests::daemon::run(command, "").await?;
            assert_ne!(ran.code, 0, "{ran:?}");
            assert!(ran.stderr.contains("sandbox"), "{ran:?}");
            assert!(!ground.at("touched").exists());
        }
        let ran = ground.sandbox(&["--write", &own], ["touch", &touched]).await?;
        assert!(ran.code == 0 && ground.at("touched").exists(), "{ran:?}");
        Ok(())
    })
    .await
}
