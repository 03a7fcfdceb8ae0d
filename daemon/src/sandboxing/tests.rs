use pretty_assertions::assert_eq;
use reveille_sandbox::{Command, Confined, Filesystem, Sandbox, SandboxError, Summary, Target};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::fixture::definition;
use super::*;

/// A sandbox of which only the existence counts.
struct Walls;

impl Sandbox for Walls {
    fn summary(&self) -> Summary {
        Summary {
            mode: "some",
            confined: true,
            detail: String::new(),
        }
    }

    fn confine(&self, _: Command, _: &Policy) -> Result<Confined, SandboxError> {
        Err(SandboxError::new("none", "None"))
    }
}

/// A machine with directories, and what is configured there.
struct Machine {
    base: PathBuf,
    _dir: TempDir,
}

impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        for one in ["state/conversations/c1/attachments", "srv/data", "srv/work", "home"] {
            std::fs::create_dir_all(base.join(one)).unwrap();
        }
        Self { base, _dir: dir }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.base.join(path)
    }

    fn sandboxing(&self, config: &str) -> Sandboxing {
        let file = self.at("reveille.toml");
        std::fs::write(&file, config.replace("BASE", &self.base.display().to_string())).unwrap();
        let config = Config::load(Some(&file), true, []).unwrap();
        Sandboxing::new(&Options {
            config: &config,
            ready: Readiness::new(Arc::new(Walls), "/none".into()),
            keeper: Keeper::Nobody("there are no groups".into()),
            state: &self.at("state"),
            environment: &[
                ("HOME".into(), self.at("home").into()),
                ("PATH".into(), self.at("home/bin").into()),
            ],
            url: "http://127.0.0.1:1941",
        })
    }

    fn policy(&self, config: &str, settings: &Value) -> Policy {
        let sandboxing = self.sandboxing(config);
        let settings = settings.to_string().replace("BASE", &self.base.display().to_string());
        let effective = sandboxing.effective(&definition(serde_json::from_str(&settings).unwrap()));
        sandboxing.policy(&effective, &self.at("state/conversations/c1"))
    }
}

fn ports(policy: &Policy) -> Vec<u16> {
    let ports = policy.loopback.iter().map(|one| {
        assert!(matches!(one.target, Target::Address(address) if address.port() == one.port));
        one.port
    });
    ports.collect()
}

fn rules(policy: &Policy) -> Vec<String> {
    policy.egress.iter().map(ToString::to_string).collect()
}

#[test]
fn r_sbx_3_to_5_what_a_turn_reads_and_writes() {
    let machine = Machine::new();
    let own = std::env::current_exe().unwrap();
    let always = [machine.at("state/conversations/c1/attachments"), own];
    let plain = machine.policy("", &json!({}));
    assert_eq!(plain.writable, Vec::<PathBuf>::new());
    assert_eq!(plain.readable, always);
    let mounts = json!({"filesystem": "full", "mounts": [
        {"hostPath": "BASE/srv/data", "mountPath": "BASE/srv/data", "mode": "rw"},
        {"hostPath": "BASE/srv/work", "mountPath": "BASE/srv/work", "mode": "ro"}]});
    let config = "[sandbox]\nmounts = [\"BASE/srv\"]\nread = [\"/opt/tools\"]\nfilesystem = \"full\"";
    let full = machine.policy(config, &mounts);
    assert_eq!(full.filesystem, Filesystem::Full);
    assert_eq!(full.writable, [machine.at("srv/data")]);
    let besides = [PathBuf::from("/opt/tools"), machine.at("srv/work")];
    assert_eq!(full.readable, [&always[..], &besides[..]].concat());
    // The secrets are hidden whatever else is to be seen.
    for masked in [
        "state",
        "reveille.toml",
        "home/.claude.json",
        "home/.claude",
        "home/.parachute",
    ] {
        assert!(full.masked.contains(&machine.at(masked)), "{masked}: {:?}", full.masked);
        assert!(plain.masked.contains(&machine.at(masked)), "{masked}");
    }
}

#[test]
fn r_sbx_12_what_every_turn_reaches() {
    let machine = Machine::new();
    let open = machine.policy("", &json!({}));
    assert_eq!((rules(&open), ports(&open)), (Vec::new(), vec![1941]));
    let config = "[hub]\norigin = \"https://hub.example.com:1939\"\n[vault]\nkind = \"parachute\"\n\
                  url = \"http://localhost:1940\"\nvault = \"b\"";
    let asked = json!({"network": "restricted", "egress": "a.example"});
    let restricted = machine.policy(config, &asked);
    assert_eq!(
        rules(&restricted),
        [
            "api.anthropic.com:443",
            "*.anthropic.com:443",
            "hub.example.com:1939",
            "a.example"
        ]
    );
    assert_eq!(ports(&restricted), [1940, 1941]);
    // A hub that nobody has named is nobody's business.
    let plain = machine.policy("", &asked);
    assert_eq!(
        rules(&plain),
        ["api.anthropic.com:443", "*.anthropic.com:443", "a.example"]
    );
    assert_eq!(ports(&plain), [1941]);
}

#[test]
fn r_egr_8_what_a_turn_is_sent_to_it_reaches() {
    let machine = Machine::new();
    let mut policy = machine.policy("", &json!({"network": "restricted"}));
    let sandboxing = machine.sandboxing("");
    let api = [
        ("ANTHROPIC_BASE_URL", "http://127.0.0.1:4000/api"),
        ("OTHER", "http://other.example"),
    ];
    sandboxing.follow_variables(&mut policy, api);
    sandboxing.follow_variables(&mut policy, [("ANTHROPIC_BASE_URL", "")]);
    let mut reach = Reach::default();
    reach.grant("https://tools.example/mcp").unwrap();
    reach.open(&mut policy);
    reach.open(&mut policy);
    assert_eq!(ports(&policy), [1941, 4000]);
    assert_eq!(
        rules(&policy),
        ["api.anthropic.com:443", "*.anthropic.com:443", "tools.example:443"]
    );
}

#[test]
fn a_link_that_is_turned_after_the_definition_was_read_counts_at_the_launch() {
    let machine = Machine::new();
    let link = machine.at("srv/link");
    std::os::unix::fs::symlink(machine.at("srv/work"), &link).unwrap();
    let config = "[sandbox]\nworkspaces = [\"BASE/srv\"]";
    let sandboxing = machine.sandboxing(config);
    let definition = definition(json!({"workspace": link}));
    let before = sandboxing.effective(&definition);
    assert_eq!(before.workspace, Some(machine.at("srv/work")));
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("/etc", &link).unwrap();
    let after = sandboxing.effective(&definition);
    assert_eq!((after.workspace, after.lowered.len()), (None, 1));
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("/nowhere/at/all", &link).unwrap();
    assert!(
        sandboxing.effective(&definition).lowered[0]
            .reason
            .contains("leads nowhere")
    );
}

/// Between the look at the definition and the start of the turn somebody may turn a directory into a link.
#[cfg(target_os = "linux")]
#[test]
fn a_directory_that_becomes_a_link_after_it_was_allowed_is_not_used() {
    let machine = Machine::new();
    let config = "[sandbox]\nworkspaces = [\"BASE/srv\"]\nmounts = [\"BASE/srv\"]";
    let sandbox = reveille_sandbox::detect(&reveille_sandbox::Setup {
        program: std::env::current_exe().unwrap(),
        search_path: std::env::var_os("PATH").unwrap_or_default(),
        parent_proxy: None,
        scratch: std::env::temp_dir(),
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _inside = runtime.enter();
    for mode in ["workspace", "ro", "rw"] {
        let asked = match mode {
            "workspace" => json!({"workspace": "BASE/srv/work"}),
            mode => json!({"mounts": [{"hostPath": "BASE/srv/work", "mountPath": "BASE/srv/work", "mode": mode}]}),
        };
        let mut policy = machine.policy(config, &asked);
        if mode == "workspace" {
            // As the backend does.
            policy.writable.push(machine.at("srv/work"));
        }
        let command = Command {
            program: "/bin/true".into(),
            args: Vec::new(),
            env: Vec::new(),
            cwd: "/".into(),
        };
        sandbox.confine(command.clone(), &policy).unwrap();
        std::fs::rename(machine.at("srv/work"), machine.at("srv/moved")).unwrap();
        std::os::unix::fs::symlink(machine.at("home"), machine.at("srv/work")).unwrap();
        let error = sandbox.confine(command, &policy).unwrap_err();
        assert!(error.reason.contains("replaced by a link"), "{mode}: {error}");
        std::fs::remove_file(machine.at("srv/work")).unwrap();
        std::fs::rename(machine.at("srv/moved"), machine.at("srv/work")).unwrap();
    }
}

/// The daemon starts what is there outside of the sandbox, and whoever writes there would be started with it.
#[test]
fn where_programs_of_the_daemon_are_no_agent_writes() {
    let machine = Machine::new();
    for dir in ["srv/tools/parts", "srv/versions/1"] {
        std::fs::create_dir_all(machine.at(dir)).unwrap();
    }
    let program = |path: &str, text: &str| {
        std::fs::write(machine.at(path), text).unwrap();
        std::fs::set_permissions(machine.at(path), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    };
    program(
        "srv/versions/1/claude",
        "#!BASE/srv/tools/node\n"
            .replace("BASE", &machine.base.display().to_string())
            .as_str(),
    );
    program("srv/tools/node", "");
    let config = "[claude]\nprogram = \"BASE/srv/versions/1/claude\"\n\
                  [sandbox]\nmounts = [\"BASE\"]\nworkspaces = [\"BASE\"]";
    let config = config.replace("BASE", &machine.base.display().to_string());
    let sandboxing = machine.sandboxing(&config);
    let asked = |path: &str, mode: &str| {
        let path = machine.at(path);
        let asked = match mode {
            "workspace" => json!({"workspace": path}),
            mode => json!({"mounts": [{"hostPath": path, "mountPath": path, "mode": mode}]}),
        };
        sandboxing
            .lowered(&definition(asked))
            .into_iter()
            .map(|one| one.reason)
            .collect::<Vec<_>>()
    };
    for (path, word) in [
        ("srv/versions", "Claude Code"),
        ("srv/versions/1", "Claude Code"),
        ("srv/tools", "Claude Code"),
        ("home/bin", "its PATH"),
    ] {
        for mode in ["workspace", "rw"] {
            let reasons = asked(path, mode).join("; ");
            assert!(
                reasons.contains("outside of the sandbox") && reasons.contains(word),
                "{path} {mode}: {reasons}"
            );
        }
        assert_eq!(asked(path, "ro"), [] as [&str; 0], "{path}");
    }
    std::fs::write(machine.at("srv/data/rc"), "").unwrap();
    assert_eq!(asked("srv/data/rc", "ro"), [] as [&str; 0]);
    let reasons = asked("srv/data/rc", "rw").join("; ");
    assert!(reasons.contains("no directory"), "{reasons:?}");
    for path in ["srv/work", "srv/data", "srv/tools/parts"] {
        for mode in ["workspace", "rw"] {
            assert_eq!(asked(path, mode), [] as [&str; 0], "{path} {mode}");
        }
    }
}
