use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use pretty_assertions::assert_eq;
use reveille_vault::agent::Access;
use serde_json::json;

use super::*;

const SECRET: &str = "ghp_hunter2hunter2";

fn open(dir: &Path) -> Local {
    Local::new(Store::open(&dir.join("grants.db")).unwrap(), |name| name == "notes")
}

fn want(entry: &str) -> Want {
    Want::parse_list(&json!(entry)).unwrap().remove(0)
}

fn with(token: Option<&str>, url: Option<&str>) -> Approval {
    Approval {
        token: token.map(str::to_owned),
        url: url.map(str::to_owned),
    }
}

async fn approved(local: &Local, holder: &str, entry: &str, given: Approval) -> Result<Grant, String> {
    let want = want(entry);
    local.register(holder, &want).await.unwrap();
    let grant = local.approve(holder, &want.key(), given).await;
    grant.map_err(|error| error.to_string())
}

#[tokio::test]
async fn r_grant_20_the_same_wish_is_the_same_grant_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let local = open(dir.path());
    let first = local.register("eng", &want("env:github")).await.unwrap();
    let expected = Grant {
        id: first.id.clone(),
        holder: "eng".into(),
        want: want("env:github"),
        status: GrantStatus::Pending,
        reason: None,
    };
    assert_eq!(first, expected);
    assert!(local.material(&first).await.unwrap().is_none());
    let granted = local
        .approve("eng", "env:github", with(Some(SECRET), None))
        .await
        .unwrap();
    assert_eq!(
        (granted.id.as_str(), granted.status),
        (first.id.as_str(), GrantStatus::Approved)
    );
    drop(local);
    let local = open(dir.path());
    let again = local.register("eng", &want("env:github")).await.unwrap();
    assert_eq!(again, granted);
    let other = local.register("ops", &want("env:github")).await.unwrap();
    assert_eq!((other.id == again.id, other.status), (false, GrantStatus::Pending));
    assert_eq!(local.list("eng").await.unwrap(), [again]);
}

#[tokio::test]
async fn r_grant_41_a_token_is_in_its_own_file_only_and_gone_after_a_revocation() {
    let dir = tempfile::tempdir().unwrap();
    let local = open(dir.path());
    let grant = approved(&local, "eng", "env:github", with(Some(SECRET), None))
        .await
        .unwrap();
    let file = dir.path().join("grants.db");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let holds = || {
        let bytes = std::fs::read(&file).unwrap();
        bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes())
    };
    assert!(holds());
    match local.material(&grant).await.unwrap() {
        Some(Material::Service { token, inject }) => assert_eq!((token.as_str(), inject), (SECRET, vec![Inject::Env])),
        other => panic!("{other:?}"),
    }
    let revoked = local.revoke("eng", "env:github").await.unwrap();
    assert_eq!((revoked.id, revoked.status), (grant.id.clone(), GrantStatus::Revoked));
    assert!(local.material(&grant).await.unwrap().is_none());
    assert!(!holds());
    // To want it still is no new wish.
    let still = local.register("eng", &want("env:github")).await.unwrap();
    assert_eq!(still.status, GrantStatus::Revoked);
}

#[tokio::test]
async fn what_an_approval_takes() {
    let dir = tempfile::tempdir().unwrap();
    let local = open(dir.path());
    let url = Some("https://host.example/vault/far/mcp");
    for (entry, good, wrong) in [
        ("vault:notes:read", with(None, None), with(Some(SECRET), None)),
        ("vault:notes:write#a", with(None, None), with(None, url)),
        ("vault:far:read", with(Some(SECRET), url), with(None, None)),
        ("vault:far:write", with(Some(SECRET), url), with(Some(SECRET), None)),
        ("env:github", with(Some(SECRET), None), with(None, None)),
        ("mcp:github", with(Some(SECRET), None), with(Some(SECRET), url)),
        (
            "env:cloudflare mcp:cloudflare",
            with(Some(SECRET), None),
            with(Some("two words"), None),
        ),
        (
            "surface:site:write",
            with(Some(SECRET), url),
            with(Some(SECRET), Some("ssh://host/x")),
        ),
        (
            "surface:page:read",
            with(Some(SECRET), url),
            with(Some(SECRET), Some("https://me:pw@host/x")),
        ),
        ("mcp:https://mcp.example.com", with(None, None), with(None, url)),
        (
            "mcp:https://mcp.example.com/2",
            with(Some(SECRET), None),
            with(Some("\n"), None),
        ),
    ] {
        let refused = approved(&local, "eng", entry, wrong).await.unwrap_err();
        assert!(!refused.is_empty() && !refused.contains(SECRET), "{entry}: {refused}");
        let want = want(entry);
        let left = local.register("eng", &want).await.unwrap();
        assert_eq!(left.status, GrantStatus::Pending, "{entry}");
        let grant = approved(&local, "eng", entry, good).await.unwrap();
        assert_eq!(grant.status, GrantStatus::Approved, "{entry}");
        assert!(local.material(&grant).await.unwrap().is_some(), "{entry}");
    }
    let refused = approved(&local, "eng", "mcp:cloudflare", with(Some(SECRET), None)).await;
    assert!(refused.unwrap_err().contains("mcp:https://"));
    let unknown = local
        .approve("eng", "env:nothing", with(Some(SECRET), None))
        .await
        .unwrap_err();
    let LocalError::Unknown { keys, .. } = unknown else {
        panic!("{unknown:?}")
    };
    assert!(keys.contains(&"env:github".to_owned()), "{keys:?}");
}

#[tokio::test]
async fn tokens_of_a_vault_here_end_with_the_grant() {
    let dir = tempfile::tempdir().unwrap();
    let local = open(dir.path());
    let own = async |grant: &Grant| match local.material(grant).await.unwrap() {
        Some(Material::Own {
            vault,
            access,
            tags,
            ends,
        }) => (vault, access, tags, ends),
        other => panic!("{other:?}"),
    };
    let grant = approved(&local, "eng", "vault:notes:write#a#b", Approval::default())
        .await
        .unwrap();
    let (vault, access, tags, ends) = own(&grant).await;
    assert_eq!(
        (vault.as_str(), access, tags),
        ("notes", Access::Write, vec!["a".to_owned(), "b".into()])
    );
    let (_, _, _, again) = own(&grant).await;
    local.revoke("eng", "vault:notes:write#a#b").await.unwrap();
    assert!(ends.is_cancelled() && again.is_cancelled());

    let grant = approved(&local, "eng", "vault:notes:write#a#b", Approval::default())
        .await
        .unwrap();
    let (_, _, _, ends) = own(&grant).await;
    assert!(!ends.is_cancelled());
    assert_eq!(local.reconcile("eng", &[]).await.unwrap(), 1);
    assert!(ends.is_cancelled());
    assert!(local.material(&grant).await.unwrap().is_none());
}

#[tokio::test]
async fn r_grant_20_reconcile_keeps_what_is_wanted_and_other_holders() {
    let dir = tempfile::tempdir().unwrap();
    let local = open(dir.path());
    for (holder, entry) in [
        ("eng", "env:a"),
        ("eng", "env:b"),
        ("ops", "env:a"),
        ("role--eng", "env:a"),
    ] {
        approved(&local, holder, entry, with(Some(SECRET), None)).await.unwrap();
    }
    assert_eq!(
        local.reconcile("eng", &[want("env:b"), want("env:c")]).await.unwrap(),
        1
    );
    for (holder, left) in [("eng", "env:b"), ("ops", "env:a"), ("role--eng", "env:a")] {
        let grants = local.list(holder).await.unwrap();
        let keys: Vec<_> = grants.iter().map(|grant| grant.want.key()).collect();
        assert_eq!(keys, [left], "{holder}");
    }
    // What comes back is a new wish.
    let back = local.register("eng", &want("env:a")).await.unwrap();
    assert_eq!(back.status, GrantStatus::Pending);
}

#[tokio::test]
async fn a_vault_that_is_gone_from_the_daemon_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let local = open(dir.path());
    let grant = approved(&local, "eng", "vault:notes:read", Approval::default())
        .await
        .unwrap();
    let elsewhere = Local::new(local.store.clone(), |_| false);
    let told = elsewhere.list("eng").await.unwrap().remove(0);
    assert_eq!(told.status, GrantStatus::Error);
    assert!(told.reason.unwrap().contains("no vault \"notes\""));
    assert!(elsewhere.material(&grant).await.unwrap().is_none());
    // It is no decision: when the vault is back, so is the grant.
    assert_eq!(local.list("eng").await.unwrap(), [grant]);
}
