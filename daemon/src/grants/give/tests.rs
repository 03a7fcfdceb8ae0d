use pretty_assertions::assert_eq;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::*;

struct House {
    _dir: tempfile::TempDir,
    tokens: Tokens,
    origin: Arc<Origin>,
}

impl House {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let tokens = Tokens::open(&dir.path().join("tokens.db")).unwrap();
        let origin = Origin {
            turn: Uuid::from_u128(7),
            agent: "alpha".into(),
            vault: "default".into(),
            chain: "c1".into(),
            depth: 0,
            defines_agents: false,
            guard: crate::trust::Guard::default(),
        };
        Self {
            _dir: dir,
            tokens,
            origin: Arc::new(origin),
        }
    }

    fn give(&self, all: Vec<(&str, Material)>) -> Given {
        let mut given = Given::default();
        let lend = Lend {
            tokens: &self.tokens,
            origin: &self.origin,
        };
        for (number, (entry, material)) in all.into_iter().enumerate() {
            let grant = Grant {
                id: format!("g/{number}"),
                holder: "alpha".into(),
                want: Want::parse_list(&json!(entry)).unwrap().remove(0),
                status: GrantStatus::Approved,
                reason: None,
            };
            given.take(&grant, material, &lend);
        }
        given
    }
}

fn service(token: &str, inject: &[Inject]) -> Material {
    Material::Service {
        token: token.into(),
        inject: inject.to_vec(),
    }
}

fn own(vault: &str) -> Material {
    Material::Own {
        vault: vault.into(),
        access: Access::Read,
        tags: Vec::new(),
        ends: CancellationToken::new(),
    }
}

fn missing(given: &Given) -> Vec<&str> {
    given.missing.iter().map(|one| one.key.as_str()).collect()
}

#[test]
fn r_grant_32_r_grant_40_what_each_kind_becomes() {
    let house = House::new();
    let both = [Inject::Env, Inject::Mcp];
    let given = house.give(vec![
        ("vault:notes:read", own("notes")),
        (
            "vault:far:read",
            Material::Vault {
                token: "token of far".into(),
                url: "https://far.example/$x/mcp".into(),
            },
        ),
        ("env:github mcp:github", service("t-hub", &both)),
        ("env:cloudflare mcp:cloudflare", service("t-flare", &both)),
        (
            "surface:my_surface:write",
            Material::Surface {
                token: "t-git".into(),
                remote_url: "https://git.example/my_surface".into(),
            },
        ),
        (
            "mcp:https://open.example/mcp",
            Material::Mcp {
                token: None,
                url: "https://open.example/mcp".into(),
            },
        ),
    ]);
    let lent = given.env["REVEILLE_GRANT_1"].clone();
    let server = |url: &str, variable: &str| {
        let bearer = format!("Bearer ${{{variable}}}");
        json!({ "type": "http", "url": url, "headers": { "Authorization": bearer } })
    };
    let mut notes = server("${REVEILLE_URL}/vault/notes/mcp", "REVEILLE_GRANT_1");
    notes["alwaysLoad"] = true.into();
    let servers = json!({
        "grant-vault-notes": notes,
        "grant-vault-far": server("https://far.example/%24x/mcp", "REVEILLE_GRANT_2"),
        "grant-service-github": server("https://api.githubcopilot.com/mcp/", "REVEILLE_GRANT_4"),
        "grant-mcp-g-5": { "type": "http", "url": "https://open.example/mcp" },
    });
    assert_eq!(Value::Object(given.servers.clone()), servers);
    let env: Vec<_> = given
        .env
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let expected = [
        ("CLOUDFLARE_API_TOKEN", "t-flare"),
        ("GITHUB_TOKEN", "t-hub"),
        ("PARACHUTE_SURFACE_MY_SURFACE_REMOTE", "https://git.example/my_surface"),
        ("REVEILLE_GRANT_1", lent.as_str()),
        ("REVEILLE_GRANT_2", "token of far"),
        ("REVEILLE_GRANT_4", "t-hub"),
        ("REVEILLE_GRANT_6", "t-git"),
    ];
    assert_eq!(env, expected);
    assert_eq!(
        given.secrets,
        [lent.as_str(), "token of far", "t-hub", "t-hub", "t-flare", "t-git"]
    );
    let repository = Repository {
        url: "https://git.example/my_surface".into(),
        token_env: "REVEILLE_GRANT_6".into(),
    };
    assert_eq!(given.repositories, [repository]);
    // The variable of cloudflare is there; nobody knows its server.
    assert_eq!(missing(&given), ["env+mcp:cloudflare"]);
    let servers = Value::Object(given.servers).to_string();
    assert!(
        given.secrets.iter().all(|secret| !servers.contains(secret)),
        "{servers}"
    );
}

#[test]
fn r_grant_33_the_first_source_wins_and_the_rest_is_told() {
    let house = House::new();
    let git = |token: &str| Material::Surface {
        token: token.into(),
        remote_url: "https://git.example/x".into(),
    };
    let given = house.give(vec![
        ("env:my-svc", service("first", &[Inject::Env])),
        ("env:my-svc", service("again", &[Inject::Env])),
        ("env:my_svc", service("other", &[Inject::Env])),
        ("vault:notes:read", own("notes")),
        ("vault:notes:write", own("notes")),
        ("surface:x:read", git("one")),
        ("surface:x:read", git("two")),
    ]);
    assert_eq!(given.env["MY_SVC_TOKEN"], "first");
    assert_eq!(missing(&given), ["env:my_svc", "vault:notes:write"]);
    assert!(
        given.missing[1].why.contains("taken by vault:notes:read"),
        "{:?}",
        given.missing
    );
    assert_eq!((given.loans.len(), given.repositories.len()), (1, 1));
    assert!(
        !given
            .secrets
            .iter()
            .any(|secret| ["again", "other", "two"].contains(&secret.as_str()))
    );
}

#[test]
fn what_is_missing_is_told_in_a_line() {
    let mut given = Given::default();
    assert_eq!((given.words(), given.notice("eng")), (String::new(), None));
    let want = Want::parse_list(&json!("env:github")).unwrap().remove(0);
    given.miss(&want, "not approved yet");
    assert!(given.words().contains("env:github (not approved yet)"));
    assert!(
        given
            .notice("eng")
            .is_some_and(|notice| notice.contains("`reveille agent connections eng`"))
    );
}
