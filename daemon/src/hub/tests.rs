//! The client against the double of a hub, over a real socket.

use pretty_assertions::assert_eq;
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
