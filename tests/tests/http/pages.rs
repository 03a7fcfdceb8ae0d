//! Addresses that people type, and what channels there are.

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use serde_json::json;

use super::{ask_with, token_of_vault, with_eng};

#[tokio::test]
async fn r_http_45_1_what_people_type_leads_to_the_page_wherever_it_is() -> Result<()> {
    let config = "[server]\nmount = \"/reveille\"\n";
    let daemon = Daemon::builder().stand_in().config(config).start().await?;
    for mount in ["", "/reveille"] {
        for name in ["home", "agents", "jobs", "admin", "ui"] {
            let path = format!("{mount}/{name}");
            let answer = daemon
                .ask("GET", &path, &[("x-forwarded-host", "evil.example")], b"")
                .await?;
            assert_eq!((answer.status, answer.body.len()), (302, 0), "{path}");
            let location = answer.header("location").context("where to")?;
            // Relative, so that it holds behind a proxy that takes a part of the path away.
            ensure!(
                !location.starts_with('/') && !location.contains(':'),
                "{path}: {location}"
            );
            let target = daemon.url().join(&path)?.join(location)?;
            assert_eq!(target.origin(), daemon.url().origin(), "{path}: {location}");
            ensure!(target.path().starts_with(mount), "{path}: {location}");
            let page = daemon.ask("GET", target.path(), &[], b"").await?;
            let kind = page.header("content-type").unwrap_or_default();
            ensure!(
                page.status == 200 && kind.starts_with("text/html"),
                "{path}: {} {kind}",
                page.status
            );
            // No method but a read, no query and no step more.
            assert_ne!(daemon.ask("POST", &path, &[], b"").await?.status, 302, "{path}");
            assert_ne!(
                daemon.ask("GET", &format!("{path}/x"), &[], b"").await?.status,
                302,
                "{path}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn r_http_60_1_2_channels_are_listed_without_secrets_for_who_may_read() -> Result<()> {
    let daemon = with_eng().await?;
    let target = "/api/channels";
    let told = daemon.ask_in("GET", target, b"").await?;
    let text = String::from_utf8_lossy(&told.body).into_owned();
    let channels = told.json()?["channels"].clone();
    assert_eq!(channels.as_array().map(Vec::len), Some(1), "{text}");
    assert_eq!(
        json!([channels[0]["name"], channels[0]["transport"], channels[0]["vault"]]),
        json!(["eng", "vault", "default"])
    );
    ensure!(!text.contains(daemon.token()) && !text.contains("http"), "{text}");
    assert_eq!(daemon.ask("GET", target, &[], b"").await?.status, 401);
    let reader = token_of_vault(&daemon, "read").await?;
    let refused = ask_with(&daemon, &reader, "GET", target, b"").await?;
    assert_eq!(refused.refusal()?.0, 403);
    Ok(())
}

#[tokio::test]
async fn r_http_53_5_the_files_of_the_page_say_what_they_are() -> Result<()> {
    let daemon = with_eng().await?;
    let page = daemon.ask("GET", "/", &[], b"").await?;
    let page = String::from_utf8_lossy(&page.body).into_owned();
    let named = |begin: &str| {
        page.split(begin)
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let files: Vec<String> = [named("src=\""), named("href=\"")]
        .concat()
        .into_iter()
        .filter(|file| file.contains("assets/"))
        .collect();
    if files.is_empty() {
        ensure!(
            page.contains("node"),
            "a build without the page says how to get it: {page}"
        );
    }
    for file in files {
        let path = daemon.url().join(&file)?.path().to_owned();
        let answer = daemon.ask("GET", &path, &[], b"").await?;
        let expected = if path.ends_with(".css") {
            "text/css"
        } else {
            "text/javascript"
        };
        let kind = answer.header("content-type").unwrap_or_default();
        ensure!(
            answer.status == 200 && kind.starts_with(expected) && !answer.body.is_empty(),
            "{path}: {kind}"
        );
        let kept = answer.header("cache-control").unwrap_or_default();
        ensure!(kept.contains("immutable"), "{path}: {kept}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
    Ok(())
}
