//! The files of the page.

use anyhow::{Result, ensure};
use pretty_assertions::assert_eq;

use super::with_eng;

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
