//! What must not be seen in any mode: the daemon's own files and those of other agents.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::ground::Ground;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use crate::{ATTACK, everybody, inside, outside};

/// Files of a daemon and of a person on the ground, each with a canary; a working directory among them.
fn lay_out(ground: &Ground) -> Result<()> {
    for secret in [
        "state/token",
        "state/conversations/other/ctl/mcp.json",
        "config/reveille.toml",
        "home/.parachute/operator.token",
    ] {
        ground.file(secret, "canary-3")?;
    }
    ground.file("state/conversations/own/work/notes", "own")?;
    ground.file("plain", "plain")?;
    Ok(())
}

/// Looks for the canary by all names of the files.
fn search(ground: &Ground) -> String {
    format!(
        "
import subprocess
os.chdir('{0}')
attempt('own', lambda: read('state/conversations/own/work/notes'))
attempt('plain', lambda: read('plain'))
attempt('other', lambda: read('state/conversations/other/ctl/mcp.json'))
attempt('config', lambda: read('config/reveille.toml'))
for link in ['alias/token', 'work-alias/../../../token', 'file-alias']:
    attempt(link, lambda: read(link))
print(subprocess.run(['grep', '-rl', 'canary-3', '.'], stdout=-1, stderr=-3).stdout)
",
        ground.named("")
    )
}

#[tokio::test]
async fn w_2_what_is_masked_is_not_seen_in_any_mode_by_any_name() -> Result<()> {
    everybody(async |ground| {
        lay_out(ground)?;
        symlink(ground.at("state"), ground.at("alias"))?;
        symlink(ground.at("state/conversations/own/work"), ground.at("work-alias"))?;
        symlink(ground.at("config/reveille.toml"), ground.at("file-alias"))?;
        let [all, state, config, parachute, work, alias, file_alias] = [
            "",
            "state",
            "config/reveille.toml",
            "home/.parachute",
            "state/conversations/own/work",
            "alias",
            "file-alias",
        ]
        .map(|name| ground.named(name));
        let masks = [
            "--mask", &state, "--mask", &config, "--mask", &parachute, "--write", &work,
        ];
        // A name that leads there masks the same, and naming what is above does not show it again.
        let aliases = [
            "--mask",
            &alias,
            "--mask",
            &file_alias,
            "--mask",
            &parachute,
            "--write",
            &work,
        ];
        let wide = [["--read", &all], ["--filesystem", "full"]];
        for masks in [masks, aliases] {
            for wide in wide {
                let options = [&wide[..], &masks].concat();
                let seen = inside(ground, &options, &search(ground)).await?;
                assert!(
                    seen.starts_with("own: own\nplain: plain\nother: ENOENT\n"),
                    "{options:?} {seen}"
                );
                assert!(
                    !seen.contains("canary-3") && seen.ends_with("\nb''\n"),
                    "{options:?} {seen}"
                );
            }
        }
        assert!(outside(ground, &search(ground)).await?.contains("other: canary-3"));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn naming_a_masked_place_as_writable_does_not_show_it() -> Result<()> {
    everybody(async |ground| {
        lay_out(ground)?;
        let [state, work] = ["state", "state/conversations/own/work"].map(|name| ground.named(name));
        for named in ["--write", "--read"] {
            let options = [
                "--filesystem",
                "full",
                named,
                &state,
                "--mask",
                &state,
                "--write",
                &work,
            ];
            let seen = inside(ground, &options, &search(ground)).await?;
            assert!(seen.contains("own: own\n") && !seen.contains("state/token"), "{seen}");
        }
        Ok(())
    })
    .await
}

/// Somebody who could move it away would show it to whoever comes next.
#[tokio::test]
async fn a_mask_cannot_be_moved_out_of_the_way() -> Result<()> {
    everybody(async |ground| {
        lay_out(ground)?;
        let [all, state, config, later, dir] =
            ["", "state", "config/reveille.toml", "later", "config"].map(|name| ground.named(name));
        for (writable, masked) in [(&all, &state), (&all, &config), (&dir, &config), (&all, &later)] {
            let options = ["--write", writable, "--mask", masked];
            let ran = ground.sandbox(&options, ["true"]).await?;
            let why = format!("{masked}, which must not be seen, lies in {writable}, which may be written");
            assert!(ran.code != 0 && ran.stderr.contains(&why), "{ran:?}");
        }
        let code = format!(
            "
os.chdir('{all}')
attempt('plain', lambda: write('work/new'))
attempt('move', lambda: os.rename('state', 'work/state'))
attempt('away', lambda: os.rmdir('state'))
attempt('written', lambda: write('state/planted'))
attempt('file', lambda: os.unlink('config/reveille.toml'))
attempt('file moved', lambda: os.rename('config/reveille.toml', 'work/x'))
attempt('replaced', lambda: os.rename('work/new', 'config/reveille.toml'))
attempt('above', lambda: os.rename('config', 'work/config'))
attempt('link', lambda: os.link('config/reveille.toml', 'work/link'))
attempt('read', lambda: read('state/token'))
"
        );
        let work = ground.dir("work")?.display().to_string();
        let options = ["--read", &all, "--write", &work, "--mask", &state, "--mask", &config];
        let tried = inside(ground, &options, &code).await?;
        let (done, denied): (Vec<_>, Vec<_>) = tried.lines().partition(|line| line.ends_with(": ok"));
        assert_eq!((done, denied.len()), (vec!["plain: ok"], 9), "{tried}");
        assert!(!tried.contains("canary-3"), "{tried}");
        assert!(ground.at("state/token").exists() && ground.at("config/reveille.toml").exists());
        Ok(())
    })
    .await
}

/// Programs write their files anew and put them in the place of the old ones, while others run.
#[tokio::test]
async fn w_2_a_masked_file_that_is_replaced_or_made_meanwhile_stays_hidden() -> Result<()> {
    everybody(async |ground| {
        lay_out(ground)?;
        let [all, login, later, dir] =
            ["", "home/.login.json", "home/.later/key", "state"].map(|name| ground.named(name));
        let masks = ["--mask", &login, "--mask", &later, "--mask", &dir];
        for wide in [["--read", &all], ["--filesystem", "full"]] {
            ground.file("home/.login.json", "canary-11")?;
            ground.file("home/beside", "beside")?;
            let code = format!(
                "{ATTACK}
os.chdir('{all}')
for line in sys.stdin:
    for path in ['home/beside', 'plain', 'home/.login.json', 'home/.later/key']:
        attempt(path, lambda: read(path))
    print('asked', flush=True)
"
            );
            let options = [&wide[..], &masks].concat();
            let mut child = ground.begin(&options, ["python3", "-c", &code])?;
            let mut stdin = child.stdin.take().unwrap();
            let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
            for round in 0..2 {
                if round == 1 {
                    ground.file("home/new", "canary-11")?;
                    std::fs::rename(ground.at("home/new"), &login)?;
                    ground.file("home/.later/key", "canary-11")?;
                }
                stdin.write_all(b"ask\n").await?;
                let mut told = Vec::new();
                while let Some(line) = stdout.next_line().await?.filter(|line| line != "asked") {
                    told.push(line);
                }
                assert_eq!(told[..2], ["home/beside: beside", "plain: plain"], "{wide:?} {round}");
                assert!(
                    told.len() == 4 && !told.concat().contains("canary-11"),
                    "{wide:?} {round}: {told:?}"
                );
            }
            drop(stdin);
            assert!(child.wait().await?.success());
            std::fs::remove_dir_all(ground.at("home/.later"))?;
        }
        Ok(())
    })
    .await
}

/// A directory whose names cannot be listed hides nothing more than what is masked in it.
#[tokio::test]
async fn what_is_allowed_beside_a_mask_is_seen_where_nobody_may_list_what_there_is() -> Result<()> {
    everybody(async |ground| {
        ground.file("closed/me/token", "canary-3")?;
        let data = ground.file("closed/data/plain", "plain")?.display().to_string();
        set_permissions(ground.at("closed"), Permissions::from_mode(0o311))?;
        let (mask, read) = (ground.named("closed/me/token"), ground.named("closed/data"));
        let options = ["--filesystem", "full", "--mask", &mask, "--read", &read];
        let code = format!("attempt('data', lambda: read('{data}')); attempt('token', lambda: read('{mask}'))");
        let seen = inside(ground, &options, &code).await?;
        assert!(seen.starts_with("data: plain\n") && !seen.contains("canary"), "{seen}");
        assert_eq!(outside(ground, &code).await?, "data: plain\ntoken: canary-3\n");
        Ok(())
    })
    .await
}
