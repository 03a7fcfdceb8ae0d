//! Files of answers: into the chat that the message came from, to pages, and onto the note (R-TG-40, D-10).

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::eventually;
use serde_json::json;

use super::api::{Api, Fault};
use super::telegram::with_bot;
use super::*;

/// Writes a file, and shows it in the answer.
const REPORT: &str = "[[exec echo hello > report.txt]] [[reply Here it is: ![the report](report.txt)]]";

/// The files of each answer of the agent, oldest first: name and content.
async fn attached(daemon: &Daemon) -> Result<Vec<Vec<(String, String)>>> {
    let listed: Value = daemon
        .request(Method::GET, &["api", "channels", "eng", "messages"], None)
        .await?
        .ok()?;
    let mut all = Vec::new();
    let messages = listed["messages"].as_array().into_iter().flatten();
    for message in messages.filter(|message| message["direction"] == "outbound") {
        let mut files = Vec::new();
        for file in message["attachments"].as_array().into_iter().flatten() {
            let url = file["url"].as_str().context("an address")?;
            let answer = daemon.ask_in("GET", &format!("/{url}"), b"").await?;
            ensure!(answer.status == 200, "{url}: {}", answer.status);
            let name = file["name"].as_str().context("a name")?;
            files.push((name.to_owned(), String::from_utf8(answer.body)?));
        }
        all.push(files);
    }
    Ok(all)
}

fn report(content: &str) -> Vec<(String, String)> {
    vec![("report.txt".to_owned(), content.to_owned())]
}

/// The forms of all documents that were sent.
fn documents(api: &Api) -> Vec<String> {
    let sent = api.calls("sendDocument");
    sent.iter()
        .map(|form| form.as_str().unwrap_or_default().to_owned())
        .collect()
}

async fn until_documents(api: &Api, count: usize) -> Result<Vec<String>> {
    eventually(&format!("{count} documents"), LIMIT, async || {
        let sent = documents(api);
        Ok((sent.len() >= count).then_some(sent))
    })
    .await
}

#[tokio::test]
async fn a_file_that_an_answer_shows_goes_into_its_chat_and_onto_its_note() -> Result<()> {
    let api = Api::start().await;
    let daemon = with_bot(&api).await?;
    api.text(42, 7, REPORT);
    let sent = until_documents(&api, 1).await?;
    assert!(
        sent[0].contains("filename=\"report.txt\"")
            && sent[0].contains("\r\n\r\nhello\n\r\n")
            && sent[0].contains("\r\n\r\n42\r\n")
            && sent[0].contains("\"message_id\":7"),
        "{}",
        sent[0]
    );
    // Behind the text.
    let order: Vec<String> = api.lock().calls.iter().map(|(method, _)| method.clone()).collect();
    let order: Vec<&str> = order
        .iter()
        .map(String::as_str)
        .filter(|one| one.starts_with("sendM") || one.starts_with("sendD"))
        .collect();
    assert_eq!(order, ["sendMessage", "sendDocument"]);
    daemon.wait_quiet(LIMIT).await?;
    assert_eq!(attached(&daemon).await?, [report("hello\n")]);
    let texts = api.texts();
    assert!(
        texts.len() == 1 && texts[0].ends_with("Here it is: ![the report](report.txt)"),
        "{texts:?}"
    );

    // What is no answer to a chat has its files as well.
    let sent = daemon.send("eng", REPORT).await?;
    daemon.wait_turn("eng", &sent).await?;
    daemon.wait_quiet(LIMIT).await?;
    assert_eq!(attached(&daemon).await?, [report("hello\n"), report("hello\n")]);
    assert_eq!(documents(&api).len(), 1);
    Ok(())
}

#[tokio::test]
async fn pages_are_told_the_names_of_files() -> Result<()> {
    let daemon = stand_in().start().await?;
    daemon.create_agent("eng", "You build.").await?;
    let mut page = page(&daemon, "eng").await?;
    let sent = daemon.send("eng", REPORT).await?;
    daemon.wait_turn("eng", &sent).await?;
    let (event, data) = page.next().await?;
    assert_eq!((event.as_str(), &data["files"]), ("reply", &json!(["report.txt"])));
    daemon.wait_quiet(LIMIT).await?;
    assert_eq!(attached(&daemon).await?, [report("hello\n")]);
    Ok(())
}

#[tokio::test]
async fn what_is_sent_is_the_file_as_it_was_when_the_turn_ended() -> Result<()> {
    let api = Api::start().await;
    let daemon = with_bot(&api).await?;
    let down = Fault::Status(500, json!({ "description": "down" }));
    api.fault("sendDocument", &vec![down; 1000]);
    api.text(42, 1, REPORT);
    eventually("the first answer", LIMIT, async || {
        Ok((api.texts().len() == 1).then_some(()))
    })
    .await?;
    let later = "[[exec echo changed > report.txt]] [[reply Again: ![](report.txt)]]";
    let sent = daemon.send("eng", later).await?;
    daemon.wait_turn("eng", &sent).await?;
    api.lock().faults.clear();
    let sent = until_documents(&api, 1).await?;
    assert!(sent[0].contains("\r\n\r\nhello\n\r\n"), "{}", sent[0]);
    daemon.wait_quiet(LIMIT).await?;
    assert_eq!(attached(&daemon).await?, [report("hello\n"), report("changed\n")]);
    Ok(())
}

#[tokio::test]
async fn nothing_but_ordinary_files_of_the_working_directory_is_sent() -> Result<()> {
    let api = Api::start().await;
    let daemon = with_bot(&api).await?;
    let secret = daemon.state_dir().join("token");
    assert!(secret.exists());
    let made = format!(
        "[[exec ln -s {0} link; ln -s {1} dir; mkfifo pipe; mkdir folder; echo fine > fine.txt]]",
        secret.display(),
        daemon.state_dir().display()
    );
    let shown = [
        "link",
        "dir/token",
        "pipe",
        "folder",
        "../ctl/mcp.json",
        "../../../token",
        "%2e%2e/%2e%2e/%2e%2e/token",
        "/etc/passwd",
        "a note",
        "fine.txt",
    ];
    let shown: String = shown.iter().map(|name| format!("![x](<{name}>) ")).collect();
    api.text(42, 1, &format!("{made} [[reply {shown}]]"));
    let sent = until_documents(&api, 1).await?;
    assert!(
        sent[0].contains("filename=\"fine.txt\"") && sent[0].contains("\r\n\r\nfine\n\r\n"),
        "{}",
        sent[0]
    );
    daemon.wait_quiet(LIMIT).await?;
    assert_eq!(documents(&api).len(), 1);
    assert_eq!(
        attached(&daemon).await?,
        [vec![("fine.txt".to_owned(), "fine\n".to_owned())]]
    );
    // What was left out is said where the conversation is told of; a name without a file is no news.
    let listed: Value = daemon
        .request(Method::GET, &["api", "channels", "eng", "messages"], None)
        .await?
        .ok()?;
    let turn = listed["messages"][0]["turn"].as_str().context("a turn")?;
    let turn: Value = daemon.request(Method::GET, &["api", "turns", turn], None).await?.ok()?;
    let told = turn["notices"].to_string();
    for name in ["link", "dir/token", "pipe", "folder", "../ctl/mcp.json", "/etc/passwd"] {
        assert!(
            told.contains(&format!("The file \\\"{name}\\\" that the answer shows")),
            "{name}: {told}"
        );
    }
    assert!(!told.contains("a note"), "{told}");
    Ok(())
}

#[tokio::test]
async fn a_file_goes_out_once_wherever_the_daemon_is_killed() -> Result<()> {
    for (point, nth) in [
        ("turn.settled", 1),
        ("outbox.written", 1),
        ("outbox.written", 2),
        ("outbox.written", 3),
        ("outbox.written", 4),
        ("outbox.delivered", 1),
    ] {
        let api = Api::start().await;
        let mut daemon = with_bot(&api).await?;
        daemon.stop().await?;
        // Nothing goes out before the kill.
        let down = Fault::Status(500, json!({ "ok": false, "error_code": 500, "description": "down" }));
        api.fault("sendMessage", &vec![down; 1000]);
        daemon.start_doomed(point, nth).await?;
        api.text(42, 1, REPORT);
        daemon.wait_killed().await?;
        api.lock().faults.clear();
        daemon.start().await?;
        until_documents(&api, 1).await?;
        daemon.wait_quiet(LIMIT).await?;
        assert_eq!(attached(&daemon).await?, [report("hello\n")], "{point}:{nth}");
        assert_eq!((api.texts().len(), documents(&api).len()), (1, 1), "{point}:{nth}");
    }
    Ok(())
}
