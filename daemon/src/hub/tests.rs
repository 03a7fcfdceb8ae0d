//! The client against the double of a hub, over a real socket.

use pretty_assertions::assert_eq;
use reveille_vault::agent::{Inject, Want};
use serde_json::{Value, json};

#[path = "../../../tests/src/hub.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "shared with the end-to-end tests, which use the rest"
)]
mod double;

use self::double::{Asked, HubDouble, TOKEN};
use super::*;
use crate::grants::{GrantBackend as _, GrantError, GrantStatus, Material};

fn hub(double: &HubDouble) -> Hub {
    Hub::new(
        &format!("{}/", double.url()),
        Secret::Text(TOKEN.into()),
        Duration::from_millis(500),
    )
}

fn refused(error: &HubError) -> (u16, &str) {
    (error.status, &error.code)
}

#[tokio::test]
async fn a_token_is_asked_for_with_its_audience_and_its_tags() {
    let double = HubDouble::start().unwrap();
    let hub = hub(&double);
    let minted = hub.mint("notes", "write", &[]).await.unwrap();
    assert_eq!(
        (minted.scope.as_str(), minted.jti.as_str()),
        ("vault:notes:write", "jti-1")
    );
    assert!(minted.expires_at.is_some());
    let again = hub.mint("notes", "read", &["#a".into()]).await.unwrap();
    assert_ne!(again.token, minted.token);
    let asked = |body: Value| Asked {
        line: "POST /api/auth/mint-token".into(),
        body,
        let_in: true,
    };
    let expected = [
        asked(json!({ "scope": "vault:notes:write", "audience": "vault.notes" })),
        asked(json!({
            "scope": "vault:notes:read", "audience": "vault.notes", "permissions": { "scoped_tags": ["#a"] },
        })),
    ];
    assert_eq!(double.take_log(), expected);
    let shown = format!("{minted:?} {hub:?}");
    assert!(!shown.contains(&minted.token) && !shown.contains(TOKEN), "{shown}");
}

#[tokio::test]
async fn a_refusal_has_the_status_and_the_word_of_the_hub() {
    let double = HubDouble::start().unwrap();
    let hub = hub(&double);
    for (status, word) in [
        (400, "invalid_scope"),
        (403, "insufficient_scope"),
        (429, "rate_limited"),
        (500, "made"),
    ] {
        double.set_faults(|faults| faults.mint = Some((status, word)));
        let error = hub.mint("notes", "write", &[]).await.unwrap_err();
        assert_eq!(refused(&error), (status, word));
        assert_eq!(error.detail, "a refusal of the double");
    }
    // No second request for any of them.
    assert_eq!(double.take_log().len(), 4);

    double.set_faults(|faults| faults.echo = true);
    let error = hub.mint("notes", "write", &[]).await.unwrap_err();
    assert_eq!(error.detail, "you have shown …");
    assert!(!error.to_string().contains(TOKEN));

    double.set_faults(|faults| {
        *faults = double::Faults {
            mint_nothing: true,
            ..double::Faults::default()
        }
    });
    let error = hub.mint("notes", "write", &[]).await.unwrap_err();
    assert_eq!(refused(&error), (200, "invalid_answer"));
}

#[tokio::test]
async fn a_hub_that_does_not_answer_has_the_status_0() {
    let double = HubDouble::start().unwrap();
    let hub = hub(&double);
    double.set_faults(|faults| faults.hang = true);
    let error = hub.mint("notes", "write", &[]).await.unwrap_err();
    assert_eq!(refused(&error), (0, "unreachable"));
    double.kill();
    let error = hub.grants("eng").await.unwrap_err();
    assert_eq!(refused(&error), (0, "unreachable"));
    let missing = Hub::new(&double.url(), Secret::File("/nowhere/token".into()), PATIENCE);
    let error = missing.grants("eng").await.unwrap_err();
    assert_eq!(refused(&error), (0, "no_token"));
    assert!(error.detail.contains("/nowhere/token"), "{error}");
}

#[tokio::test]
async fn a_stranger_is_told_so() {
    let double = HubDouble::start().unwrap();
    let stranger = Hub::new(&double.url(), Secret::Text("wrong".into()), PATIENCE);
    let error = stranger.mint("notes", "write", &[]).await.unwrap_err();
    assert_eq!(refused(&error), (401, "unauthorized"));
    assert!(!double.take_log()[0].let_in);
}

#[tokio::test]
async fn grants_are_registered_listed_fetched_and_pruned() {
    let double = HubDouble::start().unwrap();
    let hub = hub(&double);
    let github = json!({ "kind": "service", "target": "github", "inject": ["env"] });
    let notes = json!({ "kind": "vault", "target": "notes", "access": "read", "tags": ["#b", "#a"] });
    let first = hub.put_grant("eng & co", &github).await.unwrap();
    assert_eq!((first.status.as_str(), first.agent.as_str()), ("pending", "eng & co"));
    assert_eq!(hub.put_grant("eng & co", &github).await.unwrap(), first);
    hub.put_grant("eng & co", &notes).await.unwrap();
    hub.put_grant("other", &notes).await.unwrap();
    assert_eq!(hub.grants("eng & co").await.unwrap().len(), 2);

    assert_eq!(hub.grant_material(&first.id).await.unwrap(), None);
    assert_eq!(hub.grant_material("nothing").await.unwrap(), None);
    let given = json!({ "kind": "service", "token": "t-1", "inject": ["env"] });
    assert!(double.approve("eng & co", "github", &given));
    assert_eq!(hub.grant_material(&first.id).await.unwrap(), Some(given));
    double.set_faults(|faults| faults.material = Some(500));
    assert_eq!(hub.grant_material(&first.id).await.unwrap_err().status, 500);

    assert_eq!(hub.reconcile_grants("eng & co", &[github]).await.unwrap(), 1);
    assert_eq!(hub.grants("eng & co").await.unwrap().len(), 1);
    assert_eq!(hub.grants("other").await.unwrap().len(), 1);
    assert_eq!(hub.reconcile_grants("eng & co", &[]).await.unwrap(), 1);
}

#[tokio::test]
async fn what_no_hub_says_is_an_error_that_shows_nothing_of_it() {
    let double = HubDouble::start().unwrap();
    let hub = hub(&double);
    double.set_faults(|faults| faults.garble = true);
    let notes = json!({ "kind": "vault", "target": "notes", "access": "read" });
    let errors = [
        hub.mint("notes", "write", &[]).await.unwrap_err(),
        hub.put_grant("eng", &notes).await.unwrap_err(),
        hub.grants("eng").await.unwrap_err(),
        hub.grant_material("x").await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(refused(&error), (200, "invalid_answer"));
        assert!(!error.to_string().contains("Welcome"), "{error}");
    }
    assert_eq!(hub.reconcile_grants("eng", &[]).await.unwrap(), 0);
}

fn want(text: &str) -> Want {
    Want::parse_list(&json!(text)).unwrap().remove(0)
}

#[tokio::test]
async fn the_backend_gives_what_the_hub_approves_and_only_while_it_does() {
    let double = HubDouble::start().unwrap();
    let hub = hub(&double);
    let wants = [
        "vault:notes:read#a",
        "env:github, mcp:github",
        "surface:site:write",
        "mcp:https://m.example/mcp",
    ];
    let given = [
        (
            json!({ "kind": "vault", "token": "t-1", "mcpUrl": "http://v.example/mcp" }),
            "notes",
        ),
        (
            json!({ "kind": "service", "token": "t-2", "inject": ["env", "mcp", "new"] }),
            "github",
        ),
        (
            json!({ "kind": "surface", "token": "t-3", "remoteUrl": "https://g.example/site" }),
            "site",
        ),
        (
            json!({ "kind": "mcp", "token": null, "mcpUrl": "https://m.example/mcp" }),
            "https://m.example/mcp",
        ),
    ];
    let expected = [
        Material::Vault {
            token: "t-1".into(),
            url: "http://v.example/mcp".into(),
        },
        Material::Service {
            token: "t-2".into(),
            inject: vec![Inject::Env, Inject::Mcp],
        },
        Material::Surface {
            token: "t-3".into(),
            remote_url: "https://g.example/site".into(),
        },
        Material::Mcp {
            token: None,
            url: "https://m.example/mcp".into(),
        },
    ];
    for ((text, (material, target)), expected) in wants.iter().zip(&given).zip(expected) {
        let grant = hub.register("eng", &want(text)).await.unwrap();
        assert_eq!(grant.status, GrantStatus::Pending);
        assert_eq!(hub.material(&grant).await.unwrap(), None);
        assert!(double.approve("eng", target, material));
        assert_eq!(hub.material(&grant).await.unwrap(), Some(expected));
        // An answer of another kind is not taken for what was wanted.
        double.approve("eng", target, &json!({ "kind": "cash", "token": "sk-secret" }));
        let error = hub.material(&grant).await.unwrap_err();
        assert!(matches!(error, GrantError::Refused(_)) && !error.to_string().contains("sk-secret"));
        double.approve(
            "eng",
            target,
            &json!({ "kind": grant.want.kind(), "mcpUrl": "sk-secret", "remoteUrl": 7 }),
        );
        let error = hub.material(&grant).await.unwrap_err();
        assert!(matches!(error, GrantError::Refused(_)) && !error.to_string().contains("sk-secret"));
        double.revoke("eng", target);
        assert_eq!(hub.material(&grant).await.unwrap(), None);
    }
    let listed = hub.list("eng").await.unwrap();
    let keys: Vec<String> = listed.iter().map(|grant| grant.want.key()).collect();
    let expected: Vec<String> = wants.iter().map(|text| want(text).key()).collect();
    assert_eq!(keys, expected);
    assert!(listed.iter().all(|grant| grant.status == GrantStatus::Revoked));
    assert_eq!(hub.reconcile("eng", &[want(wants[0])]).await.unwrap(), 3);
}

#[tokio::test]
async fn a_status_that_nobody_knows_approves_nothing() {
    let double = HubDouble::start().unwrap();
    let hub = hub(&double);
    hub.register("eng", &want("env:github")).await.unwrap();
    hub.register("else", &want("env:github")).await.unwrap();
    for (word, expected) in [
        ("needs_consent", GrantStatus::NeedsConsent),
        ("error", GrantStatus::Error),
        ("Approved", GrantStatus::Pending),
    ] {
        double.change_grant("eng", "github", |grant| grant.status = word.to_owned());
        let listed = hub.list("eng").await.unwrap();
        assert_eq!((listed.len(), listed[0].status), (1, expected));
        assert_eq!(listed[0].reason.is_some(), expected == GrantStatus::Pending);
    }
}

#[tokio::test]
async fn whether_it_may_work_later_is_in_the_error() {
    let double = HubDouble::start().unwrap();
    let hub = hub(&double);
    for (status, later) in [(500, true), (429, true), (503, true), (403, false), (400, false)] {
        double.set_faults(|faults| faults.put = Some(status));
        let error = hub.register("eng", &want("env:github")).await.unwrap_err();
        assert_eq!(matches!(error, GrantError::Unavailable(_)), later, "{status}");
    }
    double.kill();
    let error = hub.list("eng").await.unwrap_err();
    assert!(matches!(error, GrantError::Unavailable(_)), "{error}");
}
