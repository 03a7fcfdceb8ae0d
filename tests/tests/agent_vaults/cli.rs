//! `reveille vault add` and `reveille vault remove`.

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::run;
use reveille_tests::parachute::TOKEN;
use serde_json::Value;

use super::{agent_is_there, builder, names, server};

#[tokio::test]
async fn a_vault_is_added_and_removed_from_the_command_line() -> Result<()> {
    let peer = server("notes", "eng")?;
    let daemon = builder().start().await?;
    let url = peer.url();
    let command = daemon
        .cli(["vault", "add", "notes", "--server", &url, "--token-file", "-"])
        .await?;
    let added = run(command, &format!("{TOKEN}\n")).await?;
    assert!(
        added.code == 0 && added.stdout.contains("notes at http://127.0.0.1"),
        "{added:?}"
    );
    agent_is_there(&daemon, "eng", true).await?;
    let listed = daemon.run(["vault", "list"]).await?;
    assert!(
        listed.stdout.contains("notes") && listed.stdout.contains("parachute"),
        "{listed:?}"
    );

    let without = daemon.run(["vault", "add", "more", "--server", &url]).await?;
    assert!(without.code == 4 && without.stderr.contains("no hub"), "{without:?}");
    let configured = daemon.run(["vault", "remove", "default"]).await?;
    assert!(
        configured.code == 4 && configured.stderr.contains("stands in the configuration"),
        "{configured:?}"
    );

    let removed = daemon.run(["vault", "remove", "notes", "--json"]).await?;
    let told: Value = serde_json::from_str(&removed.stdout)?;
    assert_eq!((removed.code, &told["removed"]), (0, &Value::Bool(true)));
    let again = daemon.run(["vault", "remove", "notes"]).await?;
    assert_eq!((again.code, again.stdout.as_str()), (0, "there was no vault notes\n"));
    assert_eq!(names(&daemon).await?, ["default"]);
    Ok(())
}
