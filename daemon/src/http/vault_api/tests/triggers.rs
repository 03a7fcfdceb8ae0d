//! The routes of triggers.

use pretty_assertions::assert_eq;
use reveille_vault::{Triggers as _, triggers::Outcome};
use serde_json::{Value, json};

use super::*;

const TRIGGERS: &str = "/vault/v/api/triggers";

impl Api {
    async fn ask(&self, method: &str, tail: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let (status, _, body) = self.raw(method, &format!("{TRIGGERS}{tail}"), body).await;
        (status.as_u16(), body)
    }
}

/// As an agent registers one.
fn inbound() -> Value {
    json!({
        "name": "conn_inbound-v",
        "events": ["created"],
        "when": {"tags": ["agent/message/inbound"], "has_metadata": ["agent"], "missing_metadata": ["channel_inbound_rendered_at"]},
        "action": {"webhook": "http://127.0.0.1:1941/api/vault/inbound?secret=SHARED", "send": "json",
            "auth": {"bearer": "TOKEN"}},
    })
}

fn shown() -> Value {
    json!({
        "name": "conn_inbound-v",
        "events": ["created"],
        "when": {"tags": ["agent/message/inbound"], "has_metadata": ["agent"], "missing_metadata": ["channel_inbound_rendered_at"]},
        "action": {"webhook": "http://127.0.0.1:1941/api/vault/inbound?secret=…", "send": "json", "timeout": 60_000,
            "auth": {"bearer": "…"}},
        "enabled": true, "state": "enabled", "waiting": 0, "dead": 0,
        "createdAt": T0, "updatedAt": T0,
    })
}

#[tokio::test]
async fn a_trigger_is_registered_shown_and_removed() {
    let api = Api::new();
    assert_eq!(api.ask("GET", "", &Value::Null).await, (200, json!({"triggers": []})));
    let (status, mut made) = api.ask("POST", "", &inbound()).await;
    let secret = made.as_object_mut().unwrap().remove("secret").unwrap();
    assert!(secret.as_str().unwrap().starts_with("whsec_"));
    assert_eq!((status, made), (201, shown()));
    // The same again changes nothing, and shows no secret.
    assert_eq!(api.ask("POST", "", &inbound()).await, (200, shown()));
    assert_eq!(
        api.ask("GET", "", &Value::Null).await,
        (200, json!({"triggers": [shown()]}))
    );
    assert_eq!(api.ask("GET", "/conn_inbound-v", &Value::Null).await, (200, shown()));
    let mut rotate = inbound();
    rotate["rotate_secret"] = true.into();
    let (status, rotated) = api.ask("POST", "", &rotate).await;
    assert_eq!(status, 200);
    assert!(rotated["secret"].as_str().unwrap().starts_with("whsec_") && rotated["secret"] != secret);

    let (status, paused) = api.ask("PATCH", "/conn_inbound-v", &json!({"enabled": false})).await;
    assert_eq!(
        (status, &paused["state"], &paused["enabled"]),
        (200, &json!("paused"), &json!(false))
    );
    let gone = json!({"deleted": true, "name": "conn_inbound-v"});
    assert_eq!(api.ask("DELETE", "/conn_inbound-v", &Value::Null).await, (200, gone));
    for (method, tail, body) in [
        ("DELETE", "", Value::Null),
        ("GET", "", Value::Null),
        ("PATCH", "", json!({"enabled": true})),
        ("GET", "/deliveries", Value::Null),
        ("POST", "/redrive", Value::Null),
    ] {
        let told = api.ask(method, &format!("/conn_inbound-v{tail}"), &body).await;
        assert_eq!(coded(told), not_found(), "{method} {tail}");
    }
}

#[tokio::test]
async fn a_name_is_one_encoded_segment() {
    let api = Api::new();
    let mut new = inbound();
    new["name"] = "a/b ü".into();
    assert_eq!(api.ask("POST", "", &new).await.0, 201);
    let (status, found) = api.ask("GET", "/a%2Fb%20%C3%BC", &Value::Null).await;
    assert_eq!((status, &found["name"]), (200, &new["name"]));
}

#[tokio::test]
async fn what_is_left_out_has_its_usual_value() {
    let api = Api::new();
    let new = json!({"name": "t", "action": {"webhook": "https://example.com/", "timeout": 9_999_999}, "later": 1});
    let (status, made) = api.ask("POST", "", &new).await;
    assert_eq!(status, 201);
    assert_eq!(
        (&made["events"], &made["when"]),
        (&json!(["created", "updated"]), &json!({}))
    );
    let action = json!({"webhook": "https://example.com/", "send": "json", "timeout": 300_000});
    assert_eq!(made["action"], action);
}

#[tokio::test]
async fn what_cannot_be_a_trigger_is_refused() {
    let api = Api::new();
    let with = |path: &str, value: Value| {
        let mut new = inbound();
        *new.pointer_mut(path).unwrap() = value;
        new
    };
    for (body, field) in [
        (with("/events", json!(["created", "deleted"])), Some("events")),
        (with("/events", json!(["Created"])), Some("events")),
        (with("/events", json!([])), None),
        (with("/events", json!("created")), None),
        (with("/name", json!("")), None),
        (with("/name", json!(7)), None),
        (with("/when", json!({"tag": ["x"]})), None),
        (with("/when/tags", json!("x")), None),
        (with("/when/tags", json!(["#"])), None),
        (with("/action", json!({})), None),
        (with("/action/webhook", json!("/inbound")), Some("action.webhook")),
        (
            with("/action/webhook", json!("http://169.254.169.254/")),
            Some("action.webhook"),
        ),
        (with("/action/send", json!("markdown")), Some("action.send")),
        (with("/action/auth/bearer", json!("a\nb")), Some("action.auth.bearer")),
        (json!([]), None),
        (Value::Null, None),
    ] {
        let expected = match field {
            Some(field) => wrong(field),
            None => (
                400,
                json!({"error": "invalid_request", "error_type": "invalid_request"}),
            ),
        };
        assert_eq!(coded(api.ask("POST", "", &body).await), expected, "{body}");
    }
    assert_eq!(api.ask("GET", "", &Value::Null).await, (200, json!({"triggers": []})));
}

#[tokio::test]
async fn deliveries_are_listed_and_driven_again() {
    let api = Api::new();
    let new = json!({"name": "t", "action": {"webhook": "http://127.0.0.1:1/"}});
    api.ask("POST", "", &new).await;
    for id in ["a", "b", "c"] {
        api.post(json!({"id": id, "content": "x"})).await;
    }
    let due = api.vault.due(9, Vec::new()).await.unwrap().ready;
    let dead = Outcome::Dead {
        status: Some(500),
        error: "it answered 500".into(),
    };
    api.vault.settle(&due[1].id, dead).await.unwrap();

    let (status, page) = api.ask("GET", "/t/deliveries?limit=2", &Value::Null).await;
    let waiting = json!({
        "id": due[2].id, "number": 3, "noteId": "c", "event": "created", "state": "waiting", "attempts": 0,
        "nextAt": T0, "status": null, "error": null, "remark": null, "createdAt": T0, "settledAt": null,
    });
    let given_up = json!({
        "id": due[1].id, "number": 2, "noteId": "b", "event": "created", "state": "dead", "attempts": 1,
        "nextAt": null, "status": 500, "error": "it answered 500", "remark": null, "createdAt": T0, "settledAt": T0,
    });
    assert_eq!(
        (status, page),
        (200, json!({"deliveries": [waiting, given_up], "next": 2}))
    );
    let numbers = async |query: &str| {
        let (status, page) = api.ask("GET", &format!("/t/deliveries?{query}"), &Value::Null).await;
        assert_eq!((status, &page["next"]), (200, &Value::Null), "{query}");
        let all = page["deliveries"].as_array().unwrap();
        all.iter()
            .map(|one| one["number"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(numbers("before=2").await, [1]);
    assert_eq!(numbers("state=dead").await, [2]);
    assert_eq!(numbers("state=waiting").await, [3, 1]);
    for (query, field) in [("state=lost", "state"), ("limit=x", "limit"), ("before=-1", "before")] {
        let told = api.ask("GET", &format!("/t/deliveries?{query}"), &Value::Null).await;
        assert_eq!(coded(told), wrong(field), "{query}");
    }

    let redrive = async |body: &Value| api.ask("POST", "/t/redrive", body).await;
    assert_eq!(
        redrive(&json!({"ids": ["unknown", due[1].id]})).await,
        (200, json!({"redriven": 1}))
    );
    assert_eq!(numbers("state=dead").await, Vec::<u64>::new());
    assert_eq!(redrive(&Value::Null).await, (200, json!({"redriven": 3})));
    assert_eq!(redrive(&json!({"id": "x"})).await.0, 400);
}
