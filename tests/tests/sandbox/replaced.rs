//! Masked places that change while a program runs: a mount covers what was there, not what takes its place.

use std::os::unix::fs::symlink;

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::ground::Ground;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use crate::{ATTACK, everybody};

/// Reads files in the sandbox, then changes something outside and reads them again: what was told each time.
async fn before_and_after(
    ground: &Ground,
    options: &[&str],
    files: &[&str],
    change: impl FnOnce() -> Result<()>,
) -> Result<[Vec<String>; 2]> {
    let code = format!(
        "{ATTACK}
os.chdir('{}')
for line in sys.stdin:
    for path in {files:?}:
        attempt(path, lambda: read(path))
    print('asked', flush=True)
",
        ground.named("")
    );
    let mut child = ground.begin(options, ["python3", "-c", &code])?;
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut ask = async || -> Result<Vec<String>> {
        stdin.write_all(b"ask\n").await?;
        let mut told = Vec::new();
        while let Some(line) = stdout.next_line().await?.filter(|line| line != "asked") {
            told.push(line);
        }
        Ok(told)
    };
    let before = ask().await?;
    change()?;
    let after = ask().await?;
    drop(stdin);
    assert!(child.wait().await?.success());
    Ok([before, after])
}

#[tokio::test]
async fn w_2_where_a_masked_link_will_lead_is_hidden_before_it_is_there() -> Result<()> {
    everybody(async |ground| {
        let (all, link) = (ground.named(""), ground.named("home/.login"));
        ground.file("beside", "beside")?;
        ground.dir("elsewhere")?;
        symlink(ground.at("elsewhere/login"), &link)?;
        for wide in [["--read", &all], ["--filesystem", "full"]] {
            let options = [&wide[..], &["--mask", &link]].concat();
            let files = ["beside", "home/.login", "elsewhere/login"];
            let [before, after] = before_and_after(ground, &options, &files, || {
                ground.file("elsewhere/login", "canary-13").map(drop)
            })
            .await?;
            assert_eq!(
                before,
                ["beside: beside", "home/.login: ENOENT", "elsewhere/login: ENOENT"]
            );
            assert_eq!(
                after,
                ["beside: beside", "home/.login: EACCES", "elsewhere/login: EACCES"],
                "{wide:?}"
            );
            std::fs::remove_file(ground.at("elsewhere/login"))?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn w_2_a_masked_directory_that_is_replaced_or_made_stays_hidden() -> Result<()> {
    everybody(async |ground| {
        let [all, state, work, read, later] =
            ["", "state", "state/c/work", "state/c/ctl", "later"].map(|name| ground.named(name));
        for wide in [["--read", &all], ["--filesystem", "full"]] {
            ground.file("beside", "beside")?;
            ground.file("state/token", "canary-14")?;
            ground.file("state/c/work/own", "own")?;
            ground.file("state/c/ctl/own", "own")?;
            let masks = ["--mask", &state, "--mask", &later, "--write", &work, "--read", &read];
            let options = [&wide[..], &masks].concat();
            let files = [
                "beside",
                "state/c/work/own",
                "state/c/ctl/own",
                "state/token",
                "later/key",
                "old/token",
            ];
            let [before, after] = before_and_after(ground, &options, &files, || {
                ground.file("new/token", "canary-14")?;
                std::fs::rename(&state, ground.at("old"))?;
                std::fs::rename(ground.at("new"), &state)?;
                ground.file("later/key", "canary-14").map(drop)
            })
            .await?;
            assert_eq!(
                before[..3],
                ["beside: beside", "state/c/work/own: own", "state/c/ctl/own: own"],
                "{wide:?}"
            );
            assert_eq!(after[0], "beside: beside");
            assert!(
                !before.concat().contains("canary") && !after.concat().contains("canary"),
                "{wide:?} {after:?}"
            );
            assert_eq!(after[3..5], ["state/token: EACCES", "later/key: EACCES"], "{wide:?}");
            for left in ["state", "old", "later"] {
                std::fs::remove_dir_all(ground.at(left))?;
            }
        }
        Ok(())
    })
    .await
}

/// In namespaces of its own anybody can mount directories once more.
#[tokio::test]
async fn w_2_what_is_masked_is_not_seen_where_it_is_mounted_once_more() -> Result<()> {
    everybody(async |ground| {
        ground.file("state/token", "canary-15")?;
        ground.file("state/work/token", "canary-15")?;
        ground.file("beside", "beside")?;
        for dir in ["whole", "part", "more"] {
            ground.dir(dir)?;
        }
        let (all, program) = (ground.named(""), ground.program().display());
        let script = format!(
            "cd {all} && mount --bind state whole && mount --bind state/work part && mount --bind {all} more &&
            cat beside whole/token part/token more/state/token &&
            for wide in '--filesystem full' '--read {all}'; do
                {program} sandbox run $wide --mask {all}/state -- sh -c \
                    'cd {all}; cat more/beside; cat state/token whole/token part/token more/state/token more/whole/token; ls -A whole part'
            done; true"
        );
        let ran = ground.outside("unshare", ["-r", "-m", "sh", "-c", &script]).await?;
        // Once from outside, and then no more.
        let expected = "beside".to_owned() + &"canary-15".repeat(3) + &"besidepart:\n\nwhole:\n".repeat(2);
        assert_eq!(ran.stdout, expected, "{ran:?}");
        Ok(())
    })
    .await
}
