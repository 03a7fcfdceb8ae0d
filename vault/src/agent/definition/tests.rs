use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::*;

fn note(content: &str, metadata: Value) -> Note {
    let at = "2026-01-01T00:00:00Z".parse().unwrap();
    let Value::Object(metadata) = metadata else {
        panic!("metadata is an object")
    };
    Note {
        id: NoteId::new("n1").unwrap(),
        path: Some("Agents/eng".into()),
        content: content.into(),
        tags: vec!["agent/definition".into()],
        metadata,
        created_at: at,
        updated_at: at,
    }
}

/// A definition with these settings besides its name.
fn with(settings: Value) -> Result<Definition, Vec<Problem>> {
    let (Value::Object(mut metadata), Value::Object(settings)) = (json!({"name": "eng"}), settings) else {
        panic!("metadata is an object")
    };
    metadata.extend(settings);
    Definition::parse(&note("You build.", metadata.into()))
}

fn good(settings: Value) -> Definition {
    with(settings).unwrap()
}

/// The only problem of a definition.
fn problem(settings: Value) -> (String, String) {
    let mut problems = with(settings).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    let problem = problems.remove(0);
    (problem.key.into_owned(), problem.message)
}

/// Asserts that a setting is wrong and that its complaint says all of this.
fn rejects(settings: Value, key: &str, says: &[&str]) {
    let (blamed, message) = problem(settings);
    assert_eq!(blamed, key, "{message}");
    for word in says {
        assert!(message.contains(word), "{message}");
    }
}

fn warned(settings: Value) -> Vec<(String, String)> {
    let warnings = good(settings).warnings.into_iter();
    warnings.map(|one| (one.key.into_owned(), one.message)).collect()
}

fn plain() -> Definition {
    Definition {
        note: NoteId::new("n1").unwrap(),
        path: Some("Agents/eng".into()),
        name: "eng".into(),
        prompt: Some(" You build. \n".into()),
        prompt_mode: PromptMode::Append,
        backend: BackendKind::Programmatic,
        mode: Mode::SingleThreaded,
        model: None,
        workspace: None,
        filesystem: Filesystem::Workspace,
        network: Network::Open,
        egress: Vec::new(),
        mounts: Vec::new(),
        uses: Vec::new(),
        wants: Vec::new(),
        on_interrupt: OnInterrupt::Continue,
        timeout_idle: None,
        timeout_wall: None,
        max_turns: None,
        budget_turn_usd: None,
        budget_day_usd: None,
        keep_warm: None,
        message_mode: MessageMode::Followup,
        paused: false,
        pause_reason: None,
        vault_tools: true,
        defines_agents: false,
        defined_by: None,
        given: vec!["name"],
        warnings: Vec::new(),
    }
}

#[test]
fn ac_108_a_bare_definition_has_the_defaults() {
    let parsed = Definition::parse(&note(" You build. \n", json!({"name": " eng "})));
    assert_eq!(parsed, Ok(plain()));
}

#[test]
fn ac_109_the_path_is_a_label_and_not_the_identity() {
    let bare = note("", json!({"name": "eng"}));
    let parsed = Definition::parse(&bare).unwrap();
    assert_eq!(
        (parsed.note.as_str(), parsed.path.as_deref()),
        ("n1", Some("Agents/eng"))
    );
    let nowhere = Note { path: None, ..bare };
    assert_eq!(Definition::parse(&nowhere).unwrap().path, None);
}

#[test]
fn ac_110_every_setting_can_be_given() {
    let parsed = with(json!({
        "backend": "programmatic", "mode": "multi-threaded", "systemPromptMode": "replace", "model": "opus",
        "workspace": "/srv/work", "filesystem": "full", "network": "restricted", "egress": "a.example, b.example  c.example",
        "mounts": [{"hostPath": "/srv/data", "mountPath": "/data", "mode": "rw", "shared": "lake"}],
        "uses": "github", "wants": "env:github", "timeout_idle": "90s", "timeout_wall": "1h 30m", "max_turns": "7",
        "budget_turn_usd": "0.5", "budget_day_usd": 5, "keep_warm": "5m", "message_mode": "collect", "on_interrupt": "stop",
        "paused": true, "pause_reason": "moving", "vault_tools": false, "defines_agents": "true"}));
    let wants = Want::parse_list(&json!("env:github")).unwrap();
    let expected = Definition {
        prompt: Some("You build.".into()),
        prompt_mode: PromptMode::Replace,
        mode: Mode::MultiThreaded,
        model: Some("opus".into()),
        workspace: Some("/srv/work".into()),
        filesystem: Filesystem::Full,
        network: Network::Restricted,
        egress: vec!["a.example".into(), "b.example".into(), "c.example".into()],
        mounts: vec![Mount {
            host_path: "/srv/data".into(),
            mount_path: "/data".into(),
            mode: MountMode::Rw,
            shared: Some("lake".into()),
        }],
        uses: vec!["github".into()],
        wants,
        on_interrupt: OnInterrupt::Stop,
        timeout_idle: Some(Duration::from_secs(90)),
        timeout_wall: Some(Duration::from_secs(5400)),
        max_turns: Some(7),
        budget_turn_usd: Some(0.5),
        budget_day_usd: Some(5.0),
        keep_warm: Some(KeepWarm::For(Duration::from_secs(300))),
        message_mode: MessageMode::Collect,
        paused: true,
        pause_reason: Some("moving".into()),
        vault_tools: false,
        defines_agents: true,
        given: SETTINGS.iter().map(|setting| setting.key).collect(),
        ..plain()
    };
    assert_eq!(parsed, Ok(expected));
}

#[test]
fn ac_111_a_model_is_an_alias_a_full_name_or_absent() {
    for (given, expected) in [
        (json!("sonnet"), Some("sonnet")),
        (json!(" claude-opus-4-8[1m] "), Some("claude-opus-4-8[1m]")),
        (json!("vendor:model_1.2"), Some("vendor:model_1.2")),
        (json!(""), None),
        (Value::Null, None),
    ] {
        assert_eq!(good(json!({ "model": given })).model.as_deref(), expected);
    }
    assert_eq!(good(json!({})).model, None);
}

#[test]
fn ac_112_a_model_with_a_space_is_wrong() {
    rejects(
        json!({"model": "claude opus"}),
        "model",
        &["claude opus", "letters, digits"],
    );
}

#[test]
fn ac_113_without_a_body_there_is_neither_a_role_nor_its_mode() {
    for mode in ["replace", "no such mode"] {
        let metadata = json!({"name": "eng", "systemPromptMode": mode});
        let parsed = Definition::parse(&note(" \n ", metadata)).unwrap();
        assert_eq!((parsed.prompt, parsed.prompt_mode), (None, PromptMode::Append));
    }
    rejects(
        json!({"systemPromptMode": "prefix"}),
        "systemPromptMode",
        &["append, replace"],
    );
}

#[test]
fn ac_114_lists_are_text_or_arrays() {
    for given in [json!("a, b c\nd"), json!([" a ", "b", "", "c", "d"])] {
        assert_eq!(good(json!({ "uses": given })).uses, ["a", "b", "c", "d"]);
    }
    assert_eq!(good(json!({"egress": [1, true]})).egress, ["1", "true"]);
    let parsed = good(json!({"uses": ["a", {"b": 1}, null]}));
    assert_eq!(parsed.uses, ["a"]);
    let keys: Vec<_> = parsed.warnings.iter().map(|one| one.key.as_ref()).collect();
    assert_eq!(keys, ["uses", "uses"]);
    assert_eq!(good(json!({"egress": ["a", {"b": 1}]})).egress, ["a"]);
}

#[test]
fn ac_115_wants_are_read_by_their_grammar() {
    let keys = |wants: Value| {
        let wants = good(json!({ "wants": wants })).wants;
        wants.iter().map(Want::key).collect::<Vec<_>>()
    };
    assert_eq!(
        keys(json!(
            "vault:team:read#b#a, env:github mcp:github mcp:https://tools.example/mcp"
        )),
        ["vault:team:read#a#b", "env+mcp:github", "mcp:https://tools.example/mcp"]
    );
}

#[test]
fn ac_116_without_wants_there_are_none() {
    for given in [
        json!({}),
        json!({"wants": ""}),
        json!({"wants": []}),
        json!({"wants": null}),
    ] {
        assert_eq!(good(given).wants, []);
    }
}

#[test]
fn ac_117_one_bad_want_makes_the_definition_an_error() {
    rejects(json!({"wants": "env:github vault:team"}), "wants", &["vault:team"]);
    rejects(json!({"wants": ["ftp:files"]}), "wants", &["ftp:files"]);
}

#[test]
fn ac_118_bad_mounts_are_left_out_and_told_and_good_ones_kept() {
    let entries = json!([
        {"hostPath": "/srv/data", "mountPath": "/data", "mode": "ro"},
        {"hostPath": "data", "mountPath": "/data", "mode": "ro"},
        {"hostPath": "/srv/data", "mountPath": "/data", "mode": "wx"},
        {"hostPath": "/srv/data", "mode": "ro"},
        "/srv/data",
    ]);
    let kept = Mount {
        host_path: "/srv/data".into(),
        mount_path: "/data".into(),
        mode: MountMode::Ro,
        shared: None,
    };
    for given in [entries.clone(), entries.to_string().into()] {
        let parsed = good(json!({ "mounts": given }));
        assert_eq!(parsed.mounts, std::slice::from_ref(&kept));
        let told: Vec<String> = parsed.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 4, "{told:?}");
        for (told, entry, why) in [
            (&told[0], "entry 2", "hostPath \"data\""),
            (&told[1], "entry 3", "\"wx\""),
            (&told[2], "entry 4", "mountPath is missing"),
            (&told[3], "entry 5", "no object"),
        ] {
            assert!(
                told.starts_with("mounts: ") && told.contains(entry) && told.contains(why),
                "{told}"
            );
        }
    }
    for broken in [json!("[not json"), json!("{}"), json!(7)] {
        let told = warned(json!({ "mounts": broken }));
        assert!(
            told[0].0 == "mounts" && told[0].1.contains("nothing is mounted"),
            "{told:?}"
        );
    }
    assert_eq!(warned(json!({"mounts": ""})), []);
}

#[test]
fn ac_119_a_definition_needs_a_name() {
    for metadata in [json!({}), json!({"name": "  "}), json!({"name": null})] {
        let problems = Definition::parse(&note("p", metadata)).unwrap_err();
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].key, "name");
        assert!(problems[0].message.contains("is missing"), "{problems:?}");
    }
}

#[test]
fn ac_120_a_name_is_one_word() {
    for name in ["two words", "a/b", "ä", "a.b", &"x".repeat(65)] {
        rejects(json!({ "name": name }), "name", &["letters, digits"]);
    }
    rejects(json!({"name": "role--Roles-x"}), "name", &["of roles"]);
    assert_eq!(good(json!({"name": 7})).name, "7");
    rejects(json!({"name": ["eng"]}), "name", &["list"]);
}

#[test]
fn ac_121_words_that_are_not_known_are_wrong() {
    rejects(
        json!({"backend": "cloud"}),
        "backend",
        &["cloud", "programmatic, attached"],
    );
    rejects(
        json!({"filesystem": "none"}),
        "filesystem",
        &["none", "workspace, full"],
    );
    rejects(
        json!({"network": "closed"}),
        "network",
        &["closed", "open, proxied, restricted"],
    );
}

#[test]
fn ac_122_the_retired_backend_is_named() {
    rejects(
        json!({"backend": "interactive"}),
        "backend",
        &["interactive", "retired", "attached"],
    );
}

#[test]
fn ac_123_an_attached_agent_keeps_its_role() {
    let parsed = good(json!({"backend": "attached"}));
    assert_eq!(
        (parsed.backend, parsed.prompt.as_deref()),
        (BackendKind::Attached, Some("You build."))
    );
}

#[test]
fn ac_124_the_former_word_for_attached_is_understood() {
    let parsed = good(json!({"backend": "channel"}));
    assert_eq!((parsed.backend, parsed.warnings), (BackendKind::Attached, vec![]));
}

#[test]
fn ac_125_both_modes_can_be_named() {
    for (word, mode) in Mode::WORDS {
        assert_eq!(good(json!({ "mode": word })).mode, mode);
        assert_eq!(mode.as_str(), word);
    }
}

#[test]
fn ac_126_another_mode_is_wrong() {
    rejects(
        json!({"mode": "many"}),
        "mode",
        &["many", "single-threaded, multi-threaded"],
    );
}

#[test]
fn ac_127_former_words_for_the_modes_are_understood() {
    for (word, mode) in [
        ("resident", Mode::SingleThreaded),
        ("one-shot", Mode::MultiThreaded),
        ("per-thread", Mode::MultiThreaded),
    ] {
        assert_eq!(good(json!({ "mode": word })).mode, mode);
    }
}

#[test]
fn ac_128_a_workspace_is_absolute() {
    rejects(json!({"workspace": "work"}), "workspace", &["absolute"]);
    assert_eq!(
        good(json!({"workspace": "/no/such/place"})).workspace.as_deref(),
        Some("/no/such/place")
    );
}

#[test]
fn ac_129_secrets_are_not_read_and_not_echoed() {
    let smuggled = json!({"token": "hunter-2", "api_key": "hunter-2", "ANTHROPIC_API_KEY": "hunter-2",
        "clientSecret": "hunter-2", "vault_token": "hunter-2", "password": "hunter-2"});
    let parsed = good(smuggled);
    assert!(!format!("{parsed:?}").contains("hunter"), "{parsed:?}");
    assert_eq!(parsed.warnings.len(), 6);
    for warning in &parsed.warnings {
        assert!(
            warning.message.contains("secrets are never read from a note"),
            "{warning}"
        );
    }
    let bare = Definition {
        warnings: vec![],
        ..parsed
    };
    assert_eq!(
        bare,
        Definition {
            prompt: Some("You build.".into()),
            ..plain()
        }
    );
}

#[test]
fn every_problem_is_named_at_once() {
    let metadata = json!({"name": "two words", "backend": "interactive", "mode": "x", "model": "a b",
        "workspace": "rel", "filesystem": "x", "network": "x", "wants": "x", "max_turns": 0, "timeout_idle": "soon",
        "systemPromptMode": "prefix", "keep_warm": "maybe", "paused": "yes", "budget_day_usd": "inf"});
    let problems = Definition::parse(&note("p", metadata)).unwrap_err();
    let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_ref()).collect();
    assert_eq!(
        keys,
        [
            "name",
            "backend",
            "mode",
            "systemPromptMode",
            "model",
            "workspace",
            "filesystem",
            "network",
            "wants",
            "timeout_idle",
            "max_turns",
            "budget_day_usd",
            "keep_warm",
            "paused",
        ]
    );
}

#[test]
fn what_the_daemon_writes_is_not_part_of_a_definition() {
    let outputs = json!({"status": "error", "status_detail": "name: taken", "pending": "env:github"});
    assert_eq!(good(outputs), good(json!({})));
}

#[test]
fn one_value_is_no_list() {
    rejects(json!({"timeout_wall": ["5m"]}), "timeout_wall", &["list"]);
    rejects(json!({"mode": {"a": 1}}), "mode", &["object"]);
    assert_eq!(good(json!({"model": [], "mode": {}})).model, None);
}

#[test]
fn keep_warm_is_a_span_or_a_truth_value() {
    for (given, expected) in [
        (json!("90s"), Some(KeepWarm::For(Duration::from_secs(90)))),
        (json!(true), Some(KeepWarm::AsConfigured)),
        (json!("false"), Some(KeepWarm::Never)),
        (json!(""), None),
    ] {
        assert_eq!(good(json!({ "keep_warm": given })).keep_warm, expected);
    }
    for wrong in ["0s", "-5m", "warm", "5"] {
        rejects(json!({ "keep_warm": wrong }), "keep_warm", &["true", "time span", "5m"]);
    }
}

#[test]
fn the_tools_of_the_vault_can_be_taken_away() {
    for (word, expected) in [(json!(false), false), (json!("false"), false), (json!(true), true)] {
        assert_eq!(good(json!({ "vault_tools": word })).vault_tools, expected);
    }
}

#[test]
fn an_agent_makes_agents_when_it_says_so() {
    for (word, expected) in [(json!(true), true), (json!("true"), true), (json!("false"), false)] {
        assert_eq!(good(json!({ "defines_agents": word })).defines_agents, expected);
    }
    rejects(json!({"defines_agents": "yes"}), "defines_agents", &["false, true"]);
    assert_eq!(
        good(json!({"defined_by": "agent:ops"})).defined_by.as_deref(),
        Some("agent:ops")
    );
}

#[test]
fn keys_that_look_like_a_setting_are_told() {
    for (key, meant) in [
        ("modell", "model"),
        ("timeoutWall", "timeout_wall"),
        ("timeout-idle", "timeout_idle"),
        ("timout_wall", "timeout_wall"),
        ("Mode", "mode"),
        ("want", "wants"),
        ("mount", "mounts"),
        ("pause", "paused"),
        ("systempromptmode", "systemPromptMode"),
        ("work_space", "workspace"),
        ("keepwarm", "keep_warm"),
        ("budget_usd_day", "budget_day_usd"),
        ("idleTimeout", "timeout_idle"),
    ] {
        let told = warned(json!({ key: "x" }));
        assert_eq!(told.len(), 1, "{key}: {told:?}");
        assert_eq!(told[0].0, key);
        assert!(told[0].1.contains(&format!("did you mean {meant}?")), "{told:?}");
    }
}

#[test]
fn metadata_of_their_own_is_nobody_s_business() {
    let own = json!({"status": "enabled", "status_detail": "", "pending": "", "defined_by": "agent:a", "code": 1, "node": 2,
        "title": "t", "summary": "s", "owner": "me", "aliases": ["a"], "notes": "n", "label": "l", "created": "c",
        "max_tokens": 3, "color": "red", "date": "2026-01-01", "version": 2, "description": "d", "note": "x", "type": "y"});
    assert_eq!(warned(own), []);
}

#[test]
fn keys_of_other_programs_are_told_what_takes_their_place() {
    for (key, says) in [
        ("vault", "move the note"),
        ("env", "wants"),
        ("systemPrompt", "body of the note"),
    ] {
        let told = warned(json!({ key: "x" }));
        assert!(told.len() == 1 && told[0].1.contains(says), "{told:?}");
    }
}

#[test]
fn warnings_are_few_and_short() {
    let many: serde_json::Map<String, Value> = (0..90)
        .map(|n| (format!("{n}{}token", "x".repeat(900)), json!("s")))
        .collect();
    let told = warned(many.into());
    assert_eq!(told.len(), 20);
    assert!(told.iter().all(|(key, _)| key.len() == 64));
    let broken = note("", json!({"modell": "x"}));
    assert_eq!(Definition::warnings_of(&broken).len(), 1);
}
