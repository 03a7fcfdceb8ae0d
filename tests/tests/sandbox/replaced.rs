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
