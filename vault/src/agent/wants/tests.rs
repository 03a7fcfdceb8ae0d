use pretty_assertions::assert_eq;

use super::*;

fn keys(value: &Value) -> Result<Vec<String>, String> {
    Want::parse_list(value).map(|wants| wants.iter().map(Want::key).collect())
}

fn one(entry: &str) -> Want {
    let mut wants = Want::parse_list(&json!([entry])).unwrap();
    assert_eq!(wants.len(), 1);
    wants.remove(0)
}

#[test]
fn ac_115_r_def_10_the_forms_and_their_keys() {
    let text = "vault:research:read#b#a, env:github mcp:github\n mcp:https://mcp.example.com/x?y=1,surface:GitCoin-Brain:write";
    let wants = Want::parse_list(&json!(text)).unwrap();
    let expected = [
        Want::Vault {
            name: "research".into(),
            access: Access::Read,
            tags: vec!["#a".into(), "#b".into()],
        },
        Want::Service {
            name: "github".into(),
            inject: vec![Inject::Env, Inject::Mcp],
        },
        Want::Mcp {
            url: "https://mcp.example.com/x?y=1".into(),
        },
        Want::Surface {
            name: "gitcoin-brain".into(),
            access: Access::Write,
        },
    ];
    assert_eq!(wants, expected);
    let named: Vec<_> = wants
        .iter()
        .map(|want| (want.key(), want.kind(), want.target()))
        .collect();
    assert_eq!(
        named,
        [
            ("vault:research:read#a#b".into(), "vault", "research"),
            ("env+mcp:github".into(), "service", "github"),
            (
                "mcp:https://mcp.example.com/x?y=1".into(),
                "mcp",
                "https://mcp.example.com/x?y=1"
            ),
            ("surface:gitcoin-brain:write".into(), "surface", "gitcoin-brain"),
        ]
    );
}

#[test]
fn ac_116_r_grant_1_nothing_is_an_empty_list() {
    for nothing in [
        json!(null),
        json!(""),
        json!("  ,  "),
        json!([]),
        json!(["", " ", null]),
    ] {
        assert_eq!(Want::parse_list(&nothing), Ok(Vec::new()), "{nothing}");
    }
}

#[test]
fn ac_117_r_grant_6_one_bad_entry_fails_the_whole_list() {
    for bad in [
        "github",
        "smtp:server",
        "VAULT:research:read",
        "vault:research",
        "vault:research:",
        "vault:research:admin",
        "vault:research:read:write",
        "vault:bad.name:read",
        "vault::read",
        "env:",
        "env:bad.name",
        "env:a:b",
        "surface:x",
        "surface:bad/name:write",
        "surface:-x:read",
        "surface:x:delete",
        "mcp:ftp://x",
        "mcp:https://",
        "mcp:https://me:secret@example.com/mcp",
        "vault:a:read, garbage",
    ] {
        assert!(Want::parse_list(&json!(bad)).is_err(), "{bad}");
    }
    for other in [
        json!(3),
        json!(true),
        json!({ "vault": "a" }),
        json!(["vault:a:read", 7]),
    ] {
        assert!(Want::parse_list(&other).is_err(), "{other}");
    }
    let long = format!("surface:{}:read", "a".repeat(65));
    assert!(Want::parse_list(&json!(long)).is_err());
}

#[test]
fn what_nobody_sees_is_in_no_part_of_an_entry() {
    let told = |entry: &str| Want::parse_list(&json!([entry])).unwrap_err();
    for entry in [
        "mcp:https://example.com/m\0\0\0acp",
        "mcp:https://example.com/\u{9f}mcp",
        "mcp:https://exa\nmple.com/mcp",
        "mcp:git\thub",
        "env:git\0hub",
        "vault:a\0:read",
        "vault:a:read#b\0",
        "vault:a:read#b\nc",
        "surface:a:re\u{7f}ad",
        "\0mcp:github",
    ] {
        let why = told(entry);
        assert!(why.contains("has a control character"), "{entry:?}: {why}");
        assert!(!why.contains(char::is_control), "{why:?}");
    }
    // Text is split at controls only where they are blanks.
    assert!(Want::parse_list(&json!("mcp:https://example.com/m\0\0\0acp")).is_err());
    for blank in [' ', '\u{a0}', '\u{2028}', '\u{3000}'] {
        let why = told(&format!("mcp:https://example.com/a{blank}b"));
        assert!(why.contains("has a space in the address"), "{blank:?}: {why}");
        assert!(
            Want::parse_list(&json!([format!("env:git{blank}hub")])).is_err(),
            "{blank:?}"
        );
        assert!(
            Want::parse_list(&json!([format!("surface:a{blank}b:read")])).is_err(),
            "{blank:?}"
        );
    }
    let why = told("vault:a:read#two\u{2028}words");
    assert!(why.contains("has a space in a tag"), "{why}");
    let spec = json!({ "kind": "mcp", "target": "https://example.com/m\0acp" });
    assert_eq!(Want::from_spec(&spec), None);
}

#[test]
fn all_wrong_entries_are_told_with_what_is_accepted() {
    let told = Want::parse_list(&json!("vault:a, env:github, smtp:x")).unwrap_err();
    assert!(
        told.contains("\"vault:a\": does not say how far; write vault:a:read or vault:a:write"),
        "{told}"
    );
    assert!(
        told.contains("\"smtp:x\": \"smtp\" is no kind of connection; use vault:NAME:read"),
        "{told}"
    );
    assert!(!told.contains("github"), "{told}");
}

#[test]
fn r_grant_4_both_forms_of_a_service_are_one_want_where_the_first_was() {
    for text in [
        "env:github, vault:a:read, mcp:github",
        "mcp:github, vault:a:read, env:github, env:github",
    ] {
        assert_eq!(
            keys(&json!(text)),
            Ok(vec!["env+mcp:github".into(), "vault:a:read".into()]),
            "{text}"
        );
    }
    assert_eq!(
        keys(&json!("vault:a:read, vault:a:write, vault:a:read")),
        Ok(vec!["vault:a:read".into(), "vault:a:write".into()])
    );
}

#[test]
fn r_grant_4_no_service_has_the_credentials_of_the_cli() {
    for service in [
        "claude-code-oauth",
        "Claude_Code-OAuth",
        "anthropic-auth",
        "reveille",
        "git-x",
    ] {
        for form in ["env", "mcp"] {
            assert!(
                Want::parse_list(&json!(format!("{form}:{service}"))).is_err(),
                "{form}:{service}"
            );
        }
    }
    for name in [
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_AUTH_TOKEN",
        "ANTHROPIC_BASE_URL",
        "CLAUDE_API_KEY",
        "CLAUDE_CODE_OAUTH_TOKEN",
        "CLAUDE_CODE_USE_BEDROCK",
        "CLAUDE_CONFIG_DIR",
        "PATH",
        "LD_PRELOAD",
        "DYLD_INSERT_LIBRARIES",
        "NODE_OPTIONS",
        "GIT_ASKPASS",
        "REVEILLE_TOKEN",
        "https_proxy",
        "BASH_ENV",
        "IS_SANDBOX",
    ] {
        assert!(is_reserved_env(name), "{name}");
    }
    for name in [
        "GITHUB_TOKEN",
        "CLOUDFLARE_API_TOKEN",
        "PATH_TOKEN",
        "PARACHUTE_SURFACE_X_REMOTE",
    ] {
        assert!(!is_reserved_env(name), "{name}");
    }
}

#[test]
fn r_grant_2_tags_are_trimmed_and_blank_ones_dropped() {
    // Elements of an array are used whole.
    let want = one(" vault:a:write # two words ## #b ");
    let expected = Want::Vault {
        name: "a".into(),
        access: Access::Write,
        tags: vec!["#b".into(), "#two words".into()],
    };
    assert_eq!(want, expected);
    assert_eq!(
        one("vault:a:read#").spec_json(),
        json!({ "kind": "vault", "target": "a", "access": "read" })
    );
}

#[test]
fn r_grant_7_the_order_of_tags_does_not_matter() {
    assert_eq!(one("vault:a:read#x#y").key(), one("vault:a:read#y#x").key());
}

#[test]
fn r_grant_30_names_of_variables() {
    for (entry, expected) in [
        ("env:github", Some("GITHUB_TOKEN")),
        ("env:cloudflare", Some("CLOUDFLARE_API_TOKEN")),
        ("env:my-svc--two", Some("MY_SVC_TWO_TOKEN")),
        ("env:__x", Some("_X_TOKEN")),
        ("mcp:github", None),
        ("vault:a:read", None),
        ("mcp:https://example.com", None),
        ("surface:my_surface:read", Some("PARACHUTE_SURFACE_MY_SURFACE_REMOTE")),
    ] {
        assert_eq!(one(entry).env_name().as_deref(), expected, "{entry}");
    }
}

#[test]
fn what_a_hub_is_told_reads_back() {
    let list =
        json!("vault:a:read#x, vault:b:write, env:gh, mcp:gh, mcp:cf, surface:S:write, mcp:HTTPS://example.com/mcp");
    let wants = Want::parse_list(&list).unwrap();
    let specs: Vec<Value> = wants.iter().map(Want::spec_json).collect();
    assert_eq!(
        specs,
        [
            json!({ "kind": "vault", "target": "a", "access": "read", "tags": ["#x"] }),
            json!({ "kind": "vault", "target": "b", "access": "write" }),
            json!({ "kind": "service", "target": "gh", "inject": ["env", "mcp"] }),
            json!({ "kind": "service", "target": "cf", "inject": ["mcp"] }),
            json!({ "kind": "surface", "target": "s", "access": "write" }),
            json!({ "kind": "mcp", "target": "HTTPS://example.com/mcp" }),
        ]
    );
    let back: Vec<_> = specs.iter().filter_map(Want::from_spec).collect();
    assert_eq!(back, wants);
    for other in [
        json!({}),
        json!({ "kind": "smtp", "target": "x" }),
        json!({ "kind": "mcp", "target": "github" }),
        json!({ "kind": "vault", "target": "a", "access": "read", "tags": ["x\u{0}"] }),
        json!({ "kind": "vault", "target": "a,env:b", "access": "read" }),
        json!({ "kind": "service", "target": "x", "inject": ["file"] }),
        json!({ "kind": "service", "target": "claude-code-oauth", "inject": ["env"] }),
    ] {
        assert_eq!(Want::from_spec(&other), None, "{other}");
    }
}

#[test]
fn a_very_long_list_is_read_once_and_told_of_briefly() {
    let many = |kind: &str, count: usize| -> Value {
        let entries = (0..count).map(|number| format!("{kind}:n{number}:read"));
        entries.collect::<Vec<_>>().join(" ").into()
    };
    assert_eq!(Want::parse_list(&many("vault", 100_000)).unwrap().len(), 100_000);
    let told = Want::parse_list(&many("vlaut", 100_000)).unwrap_err();
    assert!(
        told.len() < 10_000 && told.ends_with("99990 more entries will not do"),
        "{told}"
    );
}
