use std::io;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::*;
use crate::config::{Config, GitConfig};
use crate::sandboxing::fixture::definition;

/// A disk on which every path is there and `/srv/link` leads to `/etc`.
fn follow(path: &Path) -> io::Result<PathBuf> {
    match path.strip_prefix("/srv/link") {
        Ok(rest) => Ok(Path::new("/etc").join(rest)),
        Err(_) => Ok(path.to_owned()),
    }
}

/// What counts with this under `[sandbox]`.
fn judged(config: &str, settings: Value) -> Effective {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("reveille.toml");
    std::fs::write(&file, format!("[sandbox]\n{config}")).unwrap();
    let config = Config::load(Some(&file), true, []).unwrap();
    let masked = [PathBuf::from("/srv/state")];
    let disk = Disk {
        follow: &follow,
        masked: &|| &masked,
        sources: &|| &[],
    };
    effective(&definition(settings), &config.sandbox.ceiling("eng"), &disk)
}

fn lowered(effective: &Effective) -> Vec<(&str, &str, &str)> {
    let all = effective.lowered.iter();
    all.map(|one| (one.key.as_str(), one.asked.as_str(), one.got.as_str()))
        .collect()
}

fn reach(config: &str, settings: Value) -> (Filesystem, Network, Vec<String>) {
    let judged = judged(config, settings);
    assert_eq!(lowered(&judged), [], "{:?}", judged.lowered);
    (judged.filesystem.value, judged.network.value, shown(&judged.egress))
}

fn shown(rules: &[Rule]) -> Vec<String> {
    rules.iter().map(ToString::to_string).collect()
}

#[test]
fn who_asks_for_nothing_gets_the_defaults_and_nothing_is_lowered() {
    let none = judged("", json!({}));
    assert_eq!(
        none,
        Effective {
            filesystem: Setting {
                value: Filesystem::Workspace,
                source: Source::Default
            },
            network: Setting {
                value: Network::Open,
                source: Source::Default
            },
            workspace: None,
            mounts: Vec::new(),
            egress: Vec::new(),
            read: Vec::new(),
            shield: Setting {
                value: false,
                source: Source::Default
            },
            git_config: GitConfig::Protected,
            lowered: Vec::new(),
        }
    );
    // What the operator narrows is not taken from somebody who never asked.
    let narrow = judged("network = \"restricted\"\negress = []\nmounts = []", json!({}));
    assert_eq!(
        (narrow.network, narrow.lowered),
        (
            Setting {
                value: Network::Restricted,
                source: Source::Configuration
            },
            Vec::new()
        )
    );
    let blank = json!({"filesystem": "", "network": null, "workspace": " ", "egress": [], "mounts": []});
    assert_eq!(lowered(&judged("network = \"restricted\"", blank)), []);
}

#[test]
fn r_sbx_1_both_knobs_turn_by_themselves() {
    let all = "filesystem = \"full\"";
    let none: Vec<String> = Vec::new();
    for (filesystem, files) in [("workspace", Filesystem::Workspace), ("full", Filesystem::Full)] {
        for (network, net) in [
            ("open", Network::Open),
            ("proxied", Network::Proxied),
            ("restricted", Network::Restricted),
        ] {
            let asked = json!({"filesystem": filesystem, "network": network});
            assert_eq!(reach(all, asked), (files, net, none.clone()));
        }
    }
}

#[test]
fn d_8_notes_only_tighten() {
    for (config, asked, expected) in [
        ("", json!({"network": "restricted"}), Network::Restricted),
        ("", json!({"network": "proxied"}), Network::Proxied),
        (
            "network = \"proxied\"",
            json!({"network": "restricted"}),
            Network::Restricted,
        ),
        ("network = \"proxied\"", json!({"network": "proxied"}), Network::Proxied),
        ("default_network = \"restricted\"", json!({}), Network::Restricted),
        // Within what is allowed a definition may say otherwise.
        (
            "default_network = \"restricted\"",
            json!({"network": "open"}),
            Network::Open,
        ),
        ("network = \"proxied\"", json!({}), Network::Proxied),
        (
            "network = \"proxied\"\ndefault_network = \"restricted\"",
            json!({}),
            Network::Restricted,
        ),
        (
            "default_network = \"open\"\n[sandbox.agents.eng]\nnetwork = \"restricted\"",
            json!({}),
            Network::Restricted,
        ),
    ] {
        assert_eq!(reach(config, asked.clone()).1, expected, "{config} {asked}");
    }
}

#[test]
fn d_8_what_is_above_the_ceiling_is_lowered_and_listed_and_what_is_below_stays() {
    let asked = json!({"filesystem": "full", "network": "open", "workspace": "/srv/work", "egress": "a.example",
        "mounts": [{"hostPath": "/srv/data", "mountPath": "/srv/data", "mode": "rw"}]});
    let least = judged("network = \"restricted\"\negress = []", asked.clone());
    assert_eq!(
        lowered(&least),
        [
            ("filesystem", "full", "workspace"),
            ("network", "open", "restricted"),
            ("workspace", "/srv/work", "a private directory"),
            ("mounts", "/srv/data (rw)", "not there"),
            ("egress", "a.example", "out of reach"),
        ]
    );
    assert_eq!(
        (least.filesystem.value, least.network.value, &least.workspace),
        (Filesystem::Workspace, Network::Restricted, &None)
    );
    assert!(least.mounts.is_empty() && least.egress.is_empty());
    let most = "filesystem = \"full\"\nmounts = [\"/srv/data\"]\nworkspaces = [\"/srv\"]";
    let all = judged(most, asked.clone());
    assert_eq!(lowered(&all), []);
    assert_eq!(all.workspace, Some("/srv/work".into()));
    assert_eq!(
        all.mounts,
        [Mount {
            path: "/srv/data".into(),
            writable: true
        }]
    );
    // The two are apart: who may work somewhere has no mounts there.
    let one = judged("workspaces = [\"/srv\"]", asked);
    assert_eq!(
        lowered(&one),
        [
            ("filesystem", "full", "workspace"),
            ("mounts", "/srv/data (rw)", "not there")
        ]
    );
}

#[test]
fn what_is_lowered_says_where_the_operator_can_allow_it() {
    let told = |config: &str, asked: Value| judged(config, asked).lowered.remove(0).reason;
    let unset = told("", json!({"filesystem": "full"}));
    assert!(
        unset.contains("[sandbox] filesystem") && unset.contains("[sandbox.agents.eng]") && unset.contains("not set"),
        "{unset}"
    );
    let own = told(
        "network = \"open\"\n[sandbox.agents.eng]\nnetwork = \"proxied\"",
        json!({"network": "open"}),
    );
    assert!(own.contains("[sandbox.agents.eng] network)"), "{own}");
}

#[test]
fn an_agent_of_its_own_counts_key_by_key() {
    let config = "network = \"restricted\"\negress = [\"a.example\"]\n[sandbox.agents.eng]\nnetwork = \"proxied\"\n\
                  [sandbox.agents.ops]\nnetwork = \"open\"";
    let asked = json!({"network": "proxied", "egress": "a.example b.example"});
    let judged = judged(config, asked);
    assert_eq!(judged.network.value, Network::Proxied);
    assert_eq!(lowered(&judged), [("egress", "b.example", "out of reach")]);
}

#[test]
fn a_link_out_of_a_root_does_not_pass_and_one_into_it_does() {
    let mount = |path: &str| json!({"mounts": [{"hostPath": path, "mountPath": path, "mode": "ro"}]});
    let roots = "mounts = [\"/srv\"]\nworkspaces = [\"/srv\"]";
    let out = judged(roots, mount("/srv/link/ssl"));
    assert_eq!(lowered(&out), [("mounts", "/srv/link/ssl (ro)", "not there")]);
    assert!(out.lowered[0].reason.contains("leads to /etc/ssl"), "{:?}", out.lowered);
    let out = judged(roots, json!({"workspace": "/srv/link"}));
    assert_eq!(lowered(&out), [("workspace", "/srv/link", "a private directory")]);
    let beside = judged("mounts = [\"/srv/dat\"]", mount("/srv/data"));
    assert_eq!(lowered(&beside).len(), 1);
    // What counts is where it leads.
    let into = judged("mounts = [\"/etc\"]", mount("/srv/link/ssl"));
    assert_eq!(into.mounts[0].path, PathBuf::from("/etc/ssl"));
    let root = judged("mounts = [\"/srv/link\"]", mount("/etc/ssl"));
    assert_eq!(root.mounts[0].path, PathBuf::from("/etc/ssl"));
}

#[test]
fn what_is_masked_is_given_to_nobody() {
    for path in ["/srv", "/srv/state", "/srv/state/conversations", "/"] {
        let asked = json!({"workspace": path, "mounts": [{"hostPath": path, "mountPath": path, "mode": "ro"}]});
        let judged = judged("mounts = [\"/\"]\nworkspaces = [\"/\"]", asked);
        let keys: Vec<&str> = judged.lowered.iter().map(|one| one.key.as_str()).collect();
        assert_eq!(keys, ["workspace", "mounts"], "{path}");
        assert!(
            judged.lowered[0].reason.contains("no agent may see"),
            "{:?}",
            judged.lowered
        );
        assert_eq!((judged.workspace, judged.mounts), (None, Vec::new()));
    }
}

#[test]
fn r_sbx_7_each_directory_is_there_once() {
    let mount = |path: &str, mode: &str| json!({"hostPath": path, "mountPath": path, "mode": mode});
    let asked = json!({"workspace": "/srv/work",
        "mounts": [mount("/srv/work", "ro"), mount("/srv/a", "ro"), mount("/srv/a", "rw"), mount("/srv/a", "ro")]});
    let judged = judged("mounts = [\"/srv\"]\nworkspaces = [\"/srv\"]", asked);
    assert_eq!(lowered(&judged), []);
    assert_eq!(
        judged.mounts,
        [Mount {
            path: "/srv/a".into(),
            writable: true
        }]
    );
}

#[test]
fn d_6_hosts_may_be_asked_for_within_the_patterns_of_the_operator() {
    let asked = |hosts: &str| json!({"network": "restricted", "egress": hosts});
    assert_eq!(
        reach("", asked("a.example b.example:8443 a.example")).2,
        ["a.example", "b.example:8443"]
    );
    // Those of this machine and of its networks are never anybody's by default.
    for host in [
        "127.0.0.1:5432",
        "10.0.0.1",
        "localhost:1941",
        "[::1]:80",
        "169.254.169.254",
    ] {
        let private = judged("", asked(host));
        assert_eq!(lowered(&private), [("egress", host, "out of reach")]);
    }
    let allowed = judged(
        "egress = [\"10.0.0.1\", \"*.corp.example\"]",
        asked("10.0.0.1 db.corp.example evil.example"),
    );
    assert_eq!(shown(&allowed.egress), ["10.0.0.1", "db.corp.example"]);
    assert_eq!(lowered(&allowed), [("egress", "evil.example", "out of reach")]);
    assert_eq!(lowered(&judged("egress = []", asked("a.example"))).len(), 1);
}

#[test]
fn r_sbx_10_an_open_network_needs_no_hosts() {
    let judged = judged("egress = []", json!({"egress": "a.example"}));
    assert_eq!((judged.egress.len(), judged.lowered.len()), (0, 0));
}

#[test]
fn r_spec_4_hosts_that_cannot_be_read_are_problems_and_never_asked_for() {
    for bad in ["*", "user@host", "a b%", "host:99999"] {
        let told = problems(&definition(json!({"egress": [bad]})));
        assert_eq!(told.len(), 1, "{bad}");
        assert_eq!(told[0].key, "egress");
        let judged = judged("", json!({"network": "restricted", "egress": [bad]}));
        assert_eq!(judged.egress, [], "{bad}");
    }
    assert_eq!(
        problems(&definition(json!({"egress": "a.example *.b.example:443"}))),
        []
    );
}

#[test]
fn w_27_another_mount_path_is_told_as_unsupported() {
    let mount = |at: &str| json!({"mounts": [{"hostPath": "/srv/data/", "mountPath": at, "mode": "ro"}]});
    let told = warnings(&definition(mount("/data")));
    assert_eq!(told.len(), 1);
    assert!(told[0].message.contains("/data is not supported"), "{told:?}");
    assert_eq!(warnings(&definition(mount("/srv/data"))), []);
}

#[test]
fn a_restricted_ceiling_lets_nobody_choose_hosts_unless_the_operator_names_them() {
    let asked = json!({"network": "restricted", "egress": "a.example, b.example"});
    let bare = judged("network = \"restricted\"", asked.clone());
    assert_eq!(
        (shown(&bare.egress), lowered(&bare)),
        (
            Vec::new(),
            vec![
                ("egress", "a.example", "out of reach"),
                ("egress", "b.example", "out of reach")
            ]
        )
    );
    assert!(
        bare.lowered[0].reason.contains("[sandbox] egress"),
        "{:?}",
        bare.lowered
    );
    let named = judged("network = \"restricted\"\negress = [\"a.example\"]", asked.clone());
    assert_eq!(
        (shown(&named.egress), named.lowered.len()),
        (vec!["a.example".to_owned()], 1)
    );
    // Who may have all of the network may have less of it.
    assert_eq!(judged("", asked.clone()).lowered, []);
    assert_eq!(judged("network = \"proxied\"", asked).lowered, []);
}

#[test]
fn what_git_obeys_is_written_by_nobody_unless_the_operator_lets_them() {
    let asked = json!({"workspace": "/srv/work/.git", "mounts": [
        {"hostPath": "/srv/a/.git/hooks", "mountPath": "/srv/a/.git/hooks", "mode": "rw"},
        {"hostPath": "/srv/b/.git", "mountPath": "/srv/b/.git", "mode": "ro"}]});
    let roots = "mounts = [\"/srv\"]\nworkspaces = [\"/srv\"]";
    let protected = judged(roots, asked.clone());
    let keys: Vec<&str> = lowered(&protected).into_iter().map(|(key, ..)| key).collect();
    assert_eq!((keys, protected.mounts.len()), (vec!["workspace", "mounts"], 1));
    let lifted = judged(&format!("{roots}\ngit_config = \"writable\""), asked);
    assert_eq!((lifted.lowered, lifted.mounts.len()), (Vec::new(), 2));
}

/// There may be thousands of definitions at a start.
#[test]
fn the_disk_is_not_looked_at_for_who_names_no_directory() {
    let config = Config::load(None, true, []).unwrap();
    let disk = Disk {
        follow: &|path| panic!("{} was looked at", path.display()),
        masked: &|| panic!("what is masked was looked for"),
        sources: &|| panic!("programs were looked for"),
    };
    let asks = definition(json!({"filesystem": "full", "network": "restricted", "egress": ["example.com"]}));
    let judged = effective(&asks, &config.sandbox.ceiling("eng"), &disk);
    assert_eq!((judged.workspace, judged.mounts), (None, Vec::new()));
}
