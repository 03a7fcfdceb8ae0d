//! `module.json`, as a hub reads it: by the hub's own rules, and with one name for everything.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::text;

fn manifest() -> Result<Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../module.json");
    Ok(serde_json::from_str(&std::fs::read_to_string(file)?)?)
}

/// Lower-case letters, digits and `-`, beginning with a letter.
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(plain)
}

fn texts<'a>(value: &'a Value, key: &str) -> Result<Vec<&'a str>> {
    let list = value[key].as_array().with_context(|| key.to_owned())?;
    list.iter()
        .map(|one| one.as_str().with_context(|| format!("{key}: texts")))
        .collect()
}

#[test]
fn r_http_21_a_hub_takes_the_manifest() -> Result<()> {
    let manifest = manifest()?;
    let name = text(&manifest, "name");
    ensure!(is_name(name), "{name}");
    ensure!(!text(&manifest, "manifestName").is_empty(), "a name of the manifest");
    let port = manifest["port"].as_u64().context("a port")?;
    ensure!((1..=65535).contains(&port), "{port}");
    ensure!(text(&manifest, "health").starts_with('/'), "health");
    let paths = texts(&manifest, "paths")?;
    ensure!(
        !paths.is_empty() && paths.iter().all(|path| path.starts_with('/')),
        "{paths:?}"
    );
    for scope in texts(&manifest["scopes"], "defines")? {
        assert_eq!(scope.split(':').next(), Some(name), "{scope}");
    }
    let list = |key: &str| manifest[key].as_array().cloned().unwrap_or_default();
    for action in list("actions") {
        ensure!(text(&action, "endpoint").starts_with('/'), "{action}");
        assert_eq!(text(&action, "scope").split(':').next(), Some(name), "{action}");
        // Only what is answered may be promised.
        ensure!(
            [
                "/api/vault/inbound",
                "/api/vault/agent-def",
                "/api/vault/role",
                "/api/vault/agent-thread"
            ]
            .contains(&text(&action, "endpoint")),
            "{action}"
        );
    }
    for event in list("events") {
        ensure!(
            !text(&event, "key").is_empty() && !text(&event, "title").is_empty(),
            "{event}"
        );
    }
    for template in list("connectionTemplates") {
        for parameter in template["parameters"].as_array().into_iter().flatten() {
            ensure!(
                !text(parameter, "key").is_empty() && !text(parameter, "target").is_empty(),
                "{parameter}"
            );
        }
    }
    let focus = text(&manifest, "focus");
    ensure!(["core", "experimental", "deprecated"].contains(&focus), "{focus}");
    for key in ["uiUrl", "configUiUrl"] {
        let Some(url) = manifest[key].as_str() else { continue };
        let inside = url.starts_with('/') && !url.starts_with("//") && !url.contains("..") && !url.contains('\\');
        ensure!(
            inside && paths.iter().any(|path| url.starts_with(*path)),
            "{key}: {url}"
        );
    }
    let start = texts(&manifest, "startCmd")?;
    assert_eq!(start.first(), Some(&"reveille"), "{start:?}");
    Ok(())
}

#[test]
fn r_http_20_4_one_name_is_used_everywhere() -> Result<()> {
    let manifest = manifest()?;
    let name = text(&manifest, "name");
    assert_eq!((name, text(&manifest, "manifestName")), ("reveille", "reveille"));
    assert_eq!(
        (&manifest["port"], &manifest["stripPrefix"]),
        (&json!(1941), &json!(true))
    );
    assert_eq!(texts(&manifest, "paths")?, ["/reveille"]);
    let mut scopes = texts(&manifest["scopes"], "defines")?;
    scopes.sort_unstable();
    assert_eq!(
        scopes,
        ["reveille:admin", "reveille:read", "reveille:send", "reveille:write"]
    );
    Ok(())
}

/// Hubs of today delete rows that are called so, and refuse to make tokens for them.
#[test]
fn r_http_31_no_name_is_a_retired_one() -> Result<()> {
    let manifest = manifest()?;
    let mut names = vec![text(&manifest, "name"), text(&manifest, "manifestName")];
    names.extend(texts(&manifest, "paths")?);
    names.extend(texts(&manifest["scopes"], "defines")?);
    for template in manifest["connectionTemplates"].as_array().into_iter().flatten() {
        names.extend([text(template, "requestedBy"), text(&template["sink"], "module")]);
    }
    for name in names {
        let bare = name.trim_start_matches('/').split(':').next().unwrap_or_default();
        for retired in ["agent", "channel", "parachute-agent", "parachute-channel", "claw"] {
            ensure!(bare != retired, "{name}");
        }
    }
    Ok(())
}

#[test]
fn r_http_20_1_2_3_what_it_offers_is_what_the_daemon_has() -> Result<()> {
    let manifest = manifest()?;
    ensure!(text(&manifest, "uiUrl").starts_with("/reveille/"), "{manifest}");
    let list = |key: &str| manifest[key].as_array().cloned().with_context(|| key.to_owned());
    let keys = |all: &[Value]| all.iter().map(|one| text(one, "key").to_owned()).collect::<Vec<_>>();
    assert_eq!(keys(&list("events")?), ["message.received", "message.sent"]);
    let actions = list("actions")?;
    assert_eq!(keys(&actions), ["message.deliver", "definition.reload"]);
    for (action, endpoint) in actions.iter().zip(["/api/vault/inbound", "/api/vault/agent-def"]) {
        assert_eq!(
            (text(action, "endpoint"), text(action, "scope")),
            (endpoint, "reveille:send")
        );
        assert_eq!(text(&action["provision"], "type"), "vault-trigger");
    }
    let templates = list("connectionTemplates")?;
    let mut reloads = Vec::new();
    for template in &templates {
        let (source, sink) = (&template["source"], &template["sink"]);
        assert_eq!(
            (text(template, "requestedBy"), text(sink, "module")),
            ("reveille", "reveille")
        );
        let targets: Vec<&str> = template["parameters"]
            .as_array()
            .context("parameters")?
            .iter()
            .map(|one| text(one, "target"))
            .collect();
        if text(sink, "action") == "message.deliver" {
            assert_eq!(text(template, "key"), "link-to-vault");
            assert_eq!(targets, ["source.vault", "sink.params.channel"]);
            assert_eq!(source["filter"]["tags"], json!(["agent/message/inbound"]));
            assert_eq!(text(source, "event"), "note.created");
        } else {
            assert_eq!(targets, ["source.vault"]);
            assert_eq!(source["filter"]["tags"], json!(["agent/definition"]));
            reloads.push(text(source, "event"));
        }
    }
    // A hub knows no event for what is deleted.
    assert_eq!((templates.len(), reloads), (3, vec!["note.created", "note.updated"]));
    Ok(())
}
