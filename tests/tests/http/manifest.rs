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
    let all = manifest()?.to_string();
    for retired in ["agent", "channel", "parachute-agent", "parachute-channel"] {
        for form in [
            format!("\"{retired}\""),
            format!("\"/{retired}"),
            format!("\"{retired}:"),
        ] {
            ensure!(!all.contains(&form), "{form}");
        }
    }
    ensure!(!all.contains("/claw"), "{all}");
    Ok(())
}
