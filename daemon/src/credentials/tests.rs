use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

const OAUTH: &str = "sk-ant-oat01-abcdefgh";
const KEY: &str = "sk-ant-api03-abcdefgh";

fn store() -> (TempDir, Credentials) {
    let dir = tempfile::tempdir().unwrap();
    let credentials = Credentials::in_dir(&dir.path().join("state"));
    (dir, credentials)
}

fn raw(credentials: &Credentials) -> Value {
    serde_json::from_slice(&fs::read(credentials.path()).unwrap()).unwrap()
}

fn mode(credentials: &Credentials) -> u32 {
    fs::metadata(credentials.path()).unwrap().permissions().mode() & 0o777
}

/// The token and its layer, as a turn of an agent gets it.
fn token(credentials: &Credentials, agent: &str) -> Option<(Layer, String)> {
    let stored = credentials.read().unwrap().claude(agent);
    stored.map(|stored| (stored.layer, stored.token))
}

/// The variables of an agent's turns.
fn variables(credentials: &Credentials, agent: &str) -> Vec<(String, String)> {
    let set = credentials.read().unwrap().variables(agent).set;
    set.into_iter().map(|(name, (_, value))| (name, value)).collect()
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[tokio::test]
async fn r_cred_2_3_an_agent_has_its_own_credential_or_the_one_of_all() {
    let (_dir, credentials) = store();
    assert_eq!(token(&credentials, "eng"), None);
    assert!(!credentials.path().exists());
    credentials.set_claude(None, OAUTH).await.unwrap();
    assert_eq!(token(&credentials, "eng"), Some((Layer::Default, OAUTH.into())));
    credentials.set_claude(Some("eng"), &format!(" {KEY}\n")).await.unwrap();
    assert_eq!(token(&credentials, "eng"), Some((Layer::Channel, KEY.into())));
    assert_eq!(token(&credentials, "Eng"), Some((Layer::Default, OAUTH.into())));
    assert!(credentials.remove_claude(Some("eng")).await.unwrap());
    assert!(!credentials.remove_claude(Some("eng")).await.unwrap());
    assert_eq!(token(&credentials, "eng"), Some((Layer::Default, OAUTH.into())));
    // The empty map stays, as the reference system leaves it.
    assert_eq!(
        raw(&credentials),
        json!({ "claude": { "default": OAUTH, "channels": {} } })
    );
    assert!(credentials.remove_claude(None).await.unwrap());
    assert_eq!(token(&credentials, "eng"), None);
}

#[test]
fn the_prefix_says_which_variable_a_credential_is() {
    let of = |token: &str| {
        let text = json!({ "claude": { "default": token } }).to_string();
        let stored = Contents::parse(text.as_bytes()).unwrap().claude("eng");
        stored.map(|stored| stored.variable)
    };
    assert_eq!(of(OAUTH), Some("CLAUDE_CODE_OAUTH_TOKEN"));
    assert_eq!(of(KEY), Some("ANTHROPIC_API_KEY"));
    assert_eq!(of("anything"), Some("ANTHROPIC_API_KEY"));
    assert_eq!(of("  "), None);
}

#[tokio::test]
async fn r_cred_1_3_what_will_not_do_makes_no_file_and_is_not_repeated() {
    let (_dir, credentials) = store();
    for (channel, token) in [
        (None, ""),
        (None, " \n"),
        (Some(""), OAUTH),
        (Some("a b"), OAUTH),
        (Some("../x"), OAUTH),
        (None, "hunter2 hunter2"),
        (None, "hunter2\u{e9}"),
    ] {
        let error = credentials.set_claude(channel, token).await.unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
    for (name, value) in [
        ("", "x"),
        ("9BAD", "x"),
        ("has space", "x"),
        ("UMLAUT\u{c4}", "x"),
        ("A=hunter2", "x"),
        ("EMPTY", ""),
        ("ZERO", "hunter2\0"),
        ("LONG", &"hunter2".repeat(20_000)),
    ] {
        for channel in [None, Some("eng")] {
            let error = credentials.set_env(channel, name, value).await.unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
    assert!(!credentials.path().exists());
}

#[tokio::test]
async fn r_cred_5_w_14_names_that_change_what_a_turn_is_are_refused_in_both_layers() {
    let (_dir, credentials) = store();
    for name in [
        "ANTHROPIC_API_KEY",
        "CLAUDE_API_KEY",
        "CLAUDE_CODE_OAUTH_TOKEN",
        "ANTHROPIC_AUTH_TOKEN",
        "ANTHROPIC_BASE_URL",
        "CLAUDE_CODE_USE_BEDROCK",
        "CLAUDE_CODE_USE_VERTEX",
        "CLAUDE_CODE_USE_FOUNDRY",
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "LD_AUDIT",
        "NODE_OPTIONS",
        "BASH_ENV",
        "ENV",
        "GIT_CONFIG_COUNT",
        "GIT_CONFIG_GLOBAL",
        "GIT_SSH_COMMAND",
        "HTTP_PROXY",
        "https_proxy",
        "No_Proxy",
        "FTP_PROXY",
        "REVEILLE_TOKEN",
        "PATH",
        "HOME",
        "TMPDIR",
        "anthropic_api_key",
        "REQUESTS_CA_BUNDLE",
    ] {
        for channel in [None, Some("eng")] {
            let error = credentials
                .set_env(channel, name, "value")
                .await
                .unwrap_err()
                .to_string();
            assert!(error.contains(name), "{error}");
        }
    }
    assert!(!credentials.path().exists());
    for name in [
        "GH_TOKEN",
        "GITHUB_TOKEN",
        "GIT_AUTHOR_NAME",
        "IS_SANDBOX",
        "_x1",
        "TZ",
        "PROXY_TOKEN",
    ] {
        credentials.set_env(None, name, "value").await.unwrap();
    }
}

#[tokio::test]
async fn r_cred_6_7_variables_have_layers_that_go_when_they_are_empty() {
    let (_dir, credentials) = store();
    credentials.set_claude(None, OAUTH).await.unwrap();
    credentials.set_env(None, "A", "all").await.unwrap();
    credentials.set_env(None, "B", "all").await.unwrap();
    credentials.set_env(Some("eng"), "A", "own").await.unwrap();
    credentials.set_env(Some("eng"), "C", "own").await.unwrap();
    assert_eq!(
        variables(&credentials, "eng"),
        [pair("A", "own"), pair("B", "all"), pair("C", "own")]
    );
    assert_eq!(variables(&credentials, "other"), [pair("A", "all"), pair("B", "all")]);
    credentials.set_env(Some("eng"), "A", "new").await.unwrap();
    assert_eq!(variables(&credentials, "eng")[0], pair("A", "new"));
    assert!(credentials.remove_env(Some("eng"), "A").await.unwrap());
    assert!(!credentials.remove_env(Some("eng"), "A").await.unwrap());
    assert!(!credentials.remove_env(Some("nobody"), "A").await.unwrap());
    assert_eq!(variables(&credentials, "eng")[0], pair("A", "all"));
    assert!(credentials.remove_env(Some("eng"), "C").await.unwrap());
    let all = json!({ "claude": { "default": OAUTH }, "env": { "default": { "A": "all", "B": "all" } } });
    assert_eq!(raw(&credentials), all);
    assert!(credentials.remove_env(None, "A").await.unwrap() && credentials.remove_env(None, "B").await.unwrap());
    assert_eq!(raw(&credentials), json!({ "claude": { "default": OAUTH }, "env": {} }));
    assert_eq!(variables(&credentials, "eng"), []);
}

#[tokio::test]
async fn r_cred_1_a_file_of_the_reference_system_is_taken_as_it_is_and_what_is_not_ours_stays() {
    let (dir, credentials) = store();
    fs::create_dir(dir.path().join("state")).unwrap();
    let theirs = json!({
        "claude": { "default": OAUTH, "channels": { "eng": KEY }, "later": [1] },
        "env": { "default": { "A": "all" }, "channels": { "eng": { "A": "own" } }, "later": null },
        "telegram": { "bot": "x" },
    });
    fs::write(credentials.path(), format!("{theirs:#}\n")).unwrap();
    fs::set_permissions(credentials.path(), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(token(&credentials, "eng"), Some((Layer::Channel, KEY.into())));
    assert_eq!(variables(&credentials, "eng"), [pair("A", "own")]);
    credentials.set_env(None, "B", "new").await.unwrap();
    let mut expected = theirs;
    expected["env"]["default"]["B"] = "new".into();
    assert_eq!(raw(&credentials), expected);
    assert_eq!(mode(&credentials), 0o600);
    let text = fs::read_to_string(credentials.path()).unwrap();
    assert!(text.starts_with("{\n  \"claude\"") && text.ends_with("}\n"), "{text}");
}

#[tokio::test]
async fn r_cred_1_a_damaged_file_is_named_and_kept() {
    let (dir, credentials) = store();
    fs::create_dir(dir.path().join("state")).unwrap();
    for text in [
        "",
        "{\"claude\": {\"default\": \"hunter2hunter2\"",
        "[\"hunter2hunter2\"]",
        "\"hunter2hunter2\"",
        "{\"claude\": \"hunter2hunter2\"}",
        "{\"claude\": {\"channels\": [\"hunter2hunter2\"]}}",
        "{\"env\": {\"default\": \"hunter2hunter2\"}}",
        "{\"env\": {\"channels\": {\"eng\": \"hunter2hunter2\"}}}",
    ] {
        fs::write(credentials.path(), text).unwrap();
        let read = credentials.read().unwrap_err();
        let written = credentials.set_claude(None, OAUTH).await.unwrap_err();
        let removed = credentials.remove_env(None, "A").await.unwrap_err();
        for error in [read, written, removed] {
            let error = format!("{error} {error:?}");
            assert!(
                error.contains("credentials.json") && !error.contains("hunter2"),
                "{error}"
            );
        }
        assert_eq!(fs::read_to_string(credentials.path()).unwrap(), text);
    }
}

#[tokio::test]
async fn r_cred_4_8_what_is_told_holds_no_value() {
    let (_dir, credentials) = store();
    let told = |credentials: &Credentials| {
        let all = credentials.read().unwrap();
        let debug = format!("{all:?} {all:#?} {:?} {:?}", all.claude("eng"), all.variables("eng"));
        assert!(!debug.contains("hunter2"), "{debug}");
        json!([
            all.claude_of(None).is_some(),
            all.claude_channels(),
            all.env_names(None),
            all.env_channels()
        ])
    };
    assert_eq!(told(&credentials), json!([false, [], [], {}]));
    for agent in [None, Some("b"), Some("a")] {
        credentials.set_claude(agent, "hunter2hunter2").await.unwrap();
        credentials.set_env(agent, "Z", "hunter2hunter2").await.unwrap();
        credentials.set_env(agent, "A", "hunter2hunter2").await.unwrap();
    }
    assert_eq!(
        told(&credentials),
        json!([true, ["a", "b"], ["A", "Z"], { "a": ["A", "Z"], "b": ["A", "Z"] }])
    );
}

#[test]
fn r_cred_7_what_was_planted_is_not_given_and_the_turn_says_so() {
    let text = json!({ "env": {
        "default": { "ANTHROPIC_API_KEY": "x", "GOOD": "g", "EMPTY": "", "NUMBER": 5 },
        "channels": { "eng": { "LD_PRELOAD": "x", "hunter2 hunter2": "x" }, "other": { "PATH": "x" } },
    }});
    let contents = Contents::parse(text.to_string().as_bytes()).unwrap();
    let (mut env, mut secrets) = (std::collections::BTreeMap::new(), Vec::new());
    let notices = lend::give(&contents, Some("eng"), &mut env, &mut secrets);
    assert_eq!(env.into_iter().collect::<Vec<_>>(), [pair("GOOD", "g")]);
    assert_eq!(secrets, ["g"]);
    let [notice] = &notices[..] else { panic!("{notices:?}") };
    assert!(
        notice.contains("ANTHROPIC_API_KEY") && notice.contains("LD_PRELOAD"),
        "{notice}"
    );
    assert!(!notice.contains("hunter2") && !notice.contains("PATH"), "{notice}");
}

#[test]
fn a_stored_credential_goes_before_all_that_are_configured() {
    let configured = [
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_AUTH_TOKEN",
        "ANTHROPIC_BASE_URL",
        "GH_TOKEN",
    ];
    let given = |stored: Value| {
        let contents = Contents::parse(stored.to_string().as_bytes()).unwrap();
        let mut env = configured.map(|name| pair(name, "configured")).into();
        let mut secrets = Vec::new();
        assert_eq!(lend::give(&contents, Some("eng"), &mut env, &mut secrets), [""; 0]);
        (env.into_iter().collect::<Vec<_>>(), secrets)
    };
    let own = json!({ "claude": { "default": KEY, "channels": { "eng": OAUTH } }, "env": { "default": { "GH_TOKEN": "s" } } });
    let expected = vec![
        pair("ANTHROPIC_BASE_URL", "configured"),
        pair("CLAUDE_CODE_OAUTH_TOKEN", OAUTH),
        pair("GH_TOKEN", "s"),
    ];
    assert_eq!(given(own), (expected, vec![OAUTH.to_owned(), "s".to_owned()]));
    let (env, secrets) = given(json!({}));
    assert_eq!(
        (env, secrets),
        (configured.map(|name| pair(name, "configured")).into(), vec![])
    );
}

#[tokio::test]
async fn d_13_writers_wait_for_each_other_and_nothing_is_lost() {
    let (_dir, credentials) = store();
    let writers = (0..24).map(|number| {
        // Each with a lock of its own, as programs have.
        let credentials = credentials.clone();
        tokio::spawn(async move {
            let agent = format!("a{}", number % 3);
            credentials
                .set_env(Some(&agent), &format!("V{number}"), "x")
                .await
                .unwrap();
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let all = credentials.read().unwrap().env_channels();
    assert_eq!(all.values().map(Vec::len).sum::<usize>(), 24);
    let names = fs::read_dir(credentials.path().parent().unwrap()).unwrap();
    let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["credentials.json", "credentials.lock"]);
}

#[tokio::test]
async fn d_13_what_a_killed_writer_has_left_goes_and_a_copied_file_becomes_private() {
    let (dir, credentials) = store();
    let state = dir.path().join("state");
    fs::create_dir(&state).unwrap();
    let left = state.join(".credentials-Ab12");
    for start in [true, false] {
        fs::write(&left, "hunter2").unwrap();
        fs::write(credentials.path(), "{}").unwrap();
        fs::set_permissions(credentials.path(), fs::Permissions::from_mode(0o644)).unwrap();
        match start {
            true => credentials.settle().await.unwrap(),
            false => credentials.set_claude(None, OAUTH).await.unwrap(),
        }
        assert!(!left.exists());
        assert_eq!(mode(&credentials), 0o600);
    }
}

#[tokio::test]
async fn a_directory_with_the_name_of_a_leftover_is_in_nobodys_way() {
    let (_dir, credentials) = store();
    credentials.set_claude(None, OAUTH).await.unwrap();
    let state = credentials.path().parent().unwrap();
    let (odd, left) = (state.join(".credentials-x"), state.join(".credentials-y"));
    fs::create_dir(&odd).unwrap();
    fs::write(&left, "secret").unwrap();
    credentials.set_claude(None, KEY).await.unwrap();
    assert_eq!(token(&credentials, "eng"), Some((Layer::Default, KEY.into())));
    assert!(odd.is_dir() && !left.exists());
    credentials.settle().await.unwrap();
}

#[tokio::test]
async fn a_link_in_the_place_of_the_file_is_read_and_never_replaced() {
    let (dir, credentials) = store();
    credentials.set_claude(None, OAUTH).await.unwrap();
    let real = dir.path().join("elsewhere.json");
    fs::rename(credentials.path(), &real).unwrap();
    std::os::unix::fs::symlink(&real, credentials.path()).unwrap();
    assert_eq!(token(&credentials, "eng"), Some((Layer::Default, OAUTH.into())));
    let error = credentials.set_claude(None, KEY).await.unwrap_err().to_string();
    assert!(error.contains("is a link"), "{error}");
    assert!(credentials.path().is_symlink());
    assert_eq!(token(&credentials, "eng"), Some((Layer::Default, OAUTH.into())));
}
