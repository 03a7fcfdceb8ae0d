//! A repository that was granted: Git of a turn signs in there, and nowhere else.

use anyhow::Result;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::{Receiver, ReceiverAnswer as Answer};

use super::{approve, create, ctl, revoke, turn};

const SECRET: &str = "git-hunter2hunter2";

#[tokio::test]
async fn r_grant_51_git_signs_in_with_the_token_of_the_repository() -> Result<()> {
    let host = Receiver::start().await?;
    let sign_in = || Answer::With(401, "www-authenticate", "Basic realm=\"git\"".to_owned());
    for path in ["/git/site/info/refs", "/git/other/info/refs"] {
        host.script(path, [sign_in()]);
    }
    let daemon = Daemon::builder().stand_in().start().await?;
    create(&daemon, "eng", "surface:Site:write").await?;
    let key = "surface:site:write";
    approve(&daemon, "eng", key, Some(SECRET), Some(&host.url("/git/site"))).await?;
    let other = host.url("/git/other");
    let text = format!("[[exec git ls-remote \"$PARACHUTE_SURFACE_SITE_REMOTE\"; git ls-remote {other}; true]]");
    let done = turn(&daemon, "eng", &text).await?;
    let of = |path: &str| {
        let told = host.told().into_iter().filter(|told| told.target.starts_with(path));
        let signed = told.map(|told| told.header("authorization").to_owned());
        signed.filter(|header| !header.is_empty()).collect::<Vec<_>>()
    };
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("x-access-token:{SECRET}")));
    assert_eq!(of("/git/site"), [basic], "{done:?}");
    assert_eq!(of("/git/other"), Vec::<String>::new(), "{done:?}");
    let script = ctl(&daemon, &done)?.join("git-askpass.sh");
    let text = std::fs::read_to_string(&script)?;
    assert!(text.contains("$REVEILLE_GRANT_1") && !text.contains(SECRET), "{text}");
    revoke(&daemon, "eng", key).await?;
    turn(&daemon, "eng", "[[reply done]]").await?;
    assert!(!script.exists());
    Ok(())
}
