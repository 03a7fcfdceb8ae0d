use reveille_vault::parachute::FirstConnect;

use super::vault::Secret;
use super::*;

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("reveille.toml");
    std::fs::write(&path, text).unwrap();
    let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    Config::load(Some(&path), true, environment)
        .map_err(|error| error.to_string().replace(&path.display().to_string(), "FILE"))
}

#[test]
fn the_environment_wins_over_the_file() {
    let config = load(
        "[claude]\nprogram = \"a\"\nmodel = \"m\"\n[limits]\nlive_turns = 2",
        &[
            ("REVEILLE_CLAUDE__PROGRAM", "b"),
            ("REVEILLE_CLAUDE__ENV__ANTHROPIC_BASE_URL", "http://x/${WHO}"),
            ("WHO", "me"),
            ("REVEILLE_LIMITS__LIVE_TURNS", "7"),
            ("REVEILLE_CLAUDE__TIMEOUT_IDLE", "90s"),
        ],
    )
    .unwrap();
    assert_eq!(
        (config.claude.program.as_str(), config.claude.model.as_deref()),
        ("b", Some("m"))
    );
    assert_eq!(config.claude.env["ANTHROPIC_BASE_URL"], "http://x/me");
    assert_eq!(
        (config.limits.live_turns, config.claude.timeout_idle.0.as_secs()),
        (7, 90)
    );
}

#[test]
fn a_variable_may_be_a_list_as_in_the_file_as_json_or_by_commas() {
    let hosts = |text: &str| load("", &[("REVEILLE_SERVER__HOSTS", text)]).map(|config| config.server.hosts);
    for (text, expected) in [
        (r#"["a.lan", "b.lan"]"#, &["a.lan", "b.lan"][..]),
        (r#" [ 'a.lan', "b.lan", ] "#, &["a.lan", "b.lan"]),
        ("[\n\"a.lan\",\n\"b.lan\"\n]", &["a.lan", "b.lan"]),
        (r#"["a\/b"]"#, &["a/b"]),
        ("a.lan, b.lan", &["a.lan", "b.lan"]),
        ("a.lan", &["a.lan"]),
        ("[::1], a.lan", &["[::1]", "a.lan"]),
        ("[]", &[]),
        ("", &[]),
    ] {
        assert_eq!(hosts(text).unwrap(), expected, "{text}");
    }
    let environment = [
        ("REVEILLE_SERVER__TRUSTED_PROXIES", r#"["10.0.0.0/8", "::1"]"#),
        ("REVEILLE_SERVER__ORIGINS", r#"["https://notes.example"]"#),
        ("REVEILLE_CLAUDE__RETRY_PAUSES", r#"["1s", "2s"]"#),
        ("REVEILLE_HUB__ISSUERS", r#"["https://hub.example"]"#),
    ];
    let config = load("", &environment).unwrap();
    assert!(config.server.trusted_proxies.unwrap().hold("10.1.2.3".parse().unwrap()));
    assert_eq!(config.server.origins, [Origin("https://notes.example".into())]);
    assert_eq!(config.claude.retry_pauses.len(), 2);
    // A text stays one, also when it looks like a list.
    let config = load("", &[("REVEILLE_CLAUDE__PROGRAM", r#"["a"]"#)]).unwrap();
    assert_eq!(config.claude.program, r#"["a"]"#);
}

#[test]
fn a_list_that_will_not_do_is_told_by_its_items() {
    for (variable, text, expected) in [
        ("REVEILLE_SERVER__TRUSTED_PROXIES", r#"["box.lan"]"#, "box.lan"),
        ("REVEILLE_SERVER__TRUSTED_PROXIES", "box.lan", "box.lan"),
        ("REVEILLE_SERVER__ORIGINS", r#"["nowhere"]"#, "\"nowhere\" is no origin"),
        (
            "REVEILLE_SERVER__ORIGINS",
            "nowhere, https://notes.example",
            "\"nowhere\" is no origin",
        ),
        ("REVEILLE_SERVER__HOSTS", r#"["a", "#, "expected a sequence"),
        ("REVEILLE_SERVER__HOSTS", "[1]", "expected a string"),
        ("REVEILLE_SERVER__HOSTS", "[\"a\"]\nx = 1", "expected a sequence"),
    ] {
        let error = load("", &[(variable, text)]).unwrap_err();
        let place = format!("the variable {variable}: `server.");
        assert!(error.starts_with(&place) && error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn spans_may_be_days_and_sizes_are_numbers() {
    let config = load(
        "[retention]\nattachments = \"1d 12h\"",
        &[("REVEILLE_VAULT__MAX_ATTACHMENT", "1000")],
    )
    .unwrap();
    assert_eq!(config.retention.attachments.0.as_secs(), 36 * 60 * 60);
    assert_eq!(config.vaults.file_limits().of("default"), 1000);
    let usual = load("", &[]).unwrap();
    assert_eq!(usual.retention.attachments.0.as_secs(), 30 * 24 * 60 * 60);
    assert_eq!(usual.retention.steps.0.as_secs(), 30 * 24 * 60 * 60);
    let config = load("[retention]\nsteps = \"2h\"", &[]).unwrap();
    assert_eq!(config.retention.steps.0.as_secs(), 2 * 60 * 60);
    for never in ["1mo", "1y", "0d", "-1d"] {
        let wrong = load(&format!("[retention]\nattachments = {never:?}"), &[]).unwrap_err();
        assert!(wrong.contains("is no time span"), "{wrong}");
    }
}

#[test]
fn a_mistake_names_its_place_and_the_nearest_key() {
    for (text, environment, expected) in [
        (
            "[claude]\nprogramm = \"x\"",
            &[][..],
            "FILE: `claude`: unknown key `programm`; did you mean `program`?",
        ),
        (
            "",
            &[("REVEILLE_LIMIT__LIVE_TURNS", "1")][..],
            "the variable REVEILLE_LIMIT__LIVE_TURNS: unknown key `limit`; did you mean `limits`?",
        ),
        (
            "[claude]\ntimeout_idle = \"soon\"",
            &[][..],
            "FILE: `claude.timeout_idle`: \"soon\" is no time span",
        ),
        (
            "",
            &[("REVEILLE_LIMITS__LIVE_TURNS", "many")][..],
            "the variable REVEILLE_LIMITS__LIVE_TURNS: `limits.live_turns`: invalid type",
        ),
        (
            "",
            &[("REVEILLE_LIMITS__LIVE_TURNS", "0")][..],
            "[limits]: live_turns must be at least 1",
        ),
        (
            "[queue]\nmax_waiting = 0",
            &[][..],
            "[queue]: max_waiting must be at least 1",
        ),
        (
            "",
            &[("REVEILLE_QUEUE__MAX_WAITING", "-1")][..],
            "the variable REVEILLE_QUEUE__MAX_WAITING: `queue.max_waiting`: invalid type: string \"-1\"",
        ),
        // An open string: the line itself, and with it the key, is not shown.
        ("[claude.env]\nKEY = \"sk-secret\n", &[][..], "FILE: line 2: "),
        (
            "[claude.env]\nA = \"${NOT_SET}\"",
            &[][..],
            "[claude.env] A: the variable NOT_SET",
        ),
        ("", &[("PORT", "80abc")][..], "the variable PORT: \"80abc\" is no port"),
        (
            "[sandbox]\nnetwork = \"closed\"",
            &[][..],
            "FILE: `sandbox.network`: unknown variant `closed`, expected one of",
        ),
        (
            "[sandbox]\nmounts = [\"~/data\"]",
            &[][..],
            "FILE: `sandbox.mounts`: \"~/data\" is no absolute path; write it from the root",
        ),
        (
            "[sandbox.agents.eng]\nworkspace = [\"/srv\"]",
            &[][..],
            "FILE: `sandbox.agents.eng`: unknown key `workspace`; did you mean `workspaces`?",
        ),
        (
            "[sandbox]\negress = [\"*\"]",
            &[][..],
            "FILE: `sandbox.egress`: \"*\" is no rule for connections",
        ),
        (
            "",
            &[("REVEILLE_SANDBOX__READ", "tools")][..],
            "the variable REVEILLE_SANDBOX__READ: `sandbox.read`: ",
        ),
        (
            "[sandbox]\nnetwork = \"proxied\"\n[sandbox.agents.eng]\ndefault_network = \"open\"",
            &[][..],
            "[sandbox.agents.eng]: default_network is \"open\", and `network` allows no more than \"proxied\"",
        ),
        (
            "[sandbox]\nmode = \"none\"\nshield = true",
            &[][..],
            "[sandbox]: shield is true, and with mode \"none\" an agent reads the credential",
        ),
        (
            "[sandbox.agents.eng]\nshield = true",
            &[("REVEILLE_SANDBOX__MODE", "none")][..],
            "[sandbox.agents.eng]: shield is true, and",
        ),
        (
            "[sandbox]\nshield = \"yes\"",
            &[][..],
            "FILE: `sandbox.shield`: invalid type: string \"yes\", expected a boolean",
        ),
        (
            "[sandbox.agents.\"a b\"]\nnetwork = \"open\"",
            &[][..],
            "[sandbox.agents.a b]: that is no name of an agent",
        ),
    ] {
        let error = load(text, environment).unwrap_err();
        assert!(error.starts_with(expected) && !error.contains("sk-secret"), "{error}");
    }
}

#[test]
fn ports_come_from_the_usual_variables_unless_bind_is_set() {
    assert_eq!(
        load("", &[("PORT", "4000"), ("PARACHUTE_AGENT_PORT", "5")])
            .unwrap()
            .server
            .bind
            .port(),
        4000
    );
    assert_eq!(
        load("", &[("PORT", ""), ("PARACHUTE_AGENT_PORT", "5")])
            .unwrap()
            .server
            .bind
            .port(),
        5
    );
    assert_eq!(
        load("[server]\nbind = \"127.0.0.1:7\"", &[("PORT", "4000")])
            .unwrap()
            .server
            .bind
            .port(),
        7
    );
    assert_eq!(load("", &[]).unwrap().server.bind.port(), 1941);
    let port = |variables: &[(&str, &str)]| load("", variables).unwrap().server.bind.port();
    assert_eq!(port(&[("PARACHUTE_CHANNEL_PORT", "6")]), 6);
    assert_eq!(
        port(&[("PARACHUTE_AGENT_PORT", "5"), ("PARACHUTE_CHANNEL_PORT", "6")]),
        5
    );
    assert_eq!(
        port(&[("PARACHUTE_AGENT_PORT", ""), ("PARACHUTE_CHANNEL_PORT", "6")]),
        6
    );
    assert_eq!(port(&[("PORT", "0"), ("PARACHUTE_AGENT_PORT", "5")]), 5);
    assert_eq!(port(&[("PORT", "0")]), 1941);
    assert_eq!(port(&[("PORT", "4000"), ("PARACHUTE_AGENT_PORT", "rubbish")]), 4000);
}

#[test]
fn a_vault_is_a_table_and_several_are_an_array_of_which_the_first_is_the_default_one() {
    let only = load("[vault]\nname = \"notes\"", &[("REVEILLE_VAULT__MAX_ATTACHMENT", "7")]).unwrap();
    let names = |config: &Config| config.vaults.all().map(|vault| vault.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&only), ["notes"]);
    assert_eq!(
        (only.vaults.default.max_attachment, &only.vaults.default.place),
        (7, &Place::Embedded)
    );
    assert_eq!(load("", &[]).unwrap().vaults, Vaults::default());

    let several = load(
        "[[vault]]\nname = \"mine\"\n[[vault]]\nname = \"hers\"\nkind = \"parachute\"\nurl = \"http://h:1940/\"\n\
         token = \"${HER_TOKEN}\"\nwebhook_secret_file = \"~/secret\"\nfirst_connect = \"none\"\n[[vault]]\nname = \"files\"\nkind = \"folder\"\n\
         path = \"~/Notes\"",
        &[("HER_TOKEN", "pvt_1"), ("HOME", "/home/me")],
    )
    .unwrap();
    assert_eq!(names(&several), ["mine", "hers", "files"]);
    let peer = Parachute {
        url: "http://h:1940".into(),
        vault: "hers".into(),
        token: Some(Secret::Text("pvt_1".into())),
        poll: Duration::from_secs(5),
        webhook_secret: Some(Secret::File("/home/me/secret".into())),
        first_connect: FirstConnect::None,
        follow_threads: false,
    };
    assert_eq!(several.vaults.others[0].place, Place::Parachute(peer));
    assert_eq!(several.vaults.others[1].place, Place::Folder("/home/me/Notes".into()));
    assert!(!format!("{several:?}").contains("pvt_1"));

    // All of one vault may come from variables, in whatever order they are read.
    let remote = [
        ("REVEILLE_VAULT__KIND", "parachute"),
        ("REVEILLE_VAULT__URL", "https://h"),
        ("REVEILLE_VAULT__TOKEN", "pvt_2"),
        ("REVEILLE_VAULT__POLL", "5s"),
    ];
    let Place::Parachute(peer) = load("", &remote).unwrap().vaults.default.place else {
        panic!("the kind counts");
    };
    assert_eq!(
        (peer.poll.as_secs(), peer.token.unwrap().reveal().unwrap()),
        (5, "pvt_2".to_owned())
    );
}

#[test]
fn a_mistake_in_a_vault_names_the_vault() {
    for (text, expected) in [
        (
            "[vault]\nnam = \"x\"",
            "FILE: `vault`: unknown key `nam`; did you mean `name`?",
        ),
        ("[vault]\nkind = \"file\"", "FILE: `vault.kind`: unknown variant `file`"),
        (
            "vault = 7",
            "FILE: `vault`: invalid type: integer `7`, expected a table [vault], or several as [[vault]]",
        ),
        (
            "[[vault]]\nname = \"a\"\npth = \"/x\"",
            "FILE: `vault`: unknown key `pth`; did you mean `path`?",
        ),
        (
            "[vault]\nname = \"a b\"",
            "[vault] \"a b\": the name \"a b\" may have letters",
        ),
        (
            "[vault]\nname = \"list\"",
            "[vault] \"list\": the name \"list\" is taken",
        ),
        (
            "[[vault]]\nname = \"a\"\n[[vault]]\nname = \"A\"",
            "[vault] \"A\": there is a vault \"a\" already",
        ),
        (
            "[[vault]]\nname = \"a\"\n[[vault]]",
            "[[vault]] number 2: it has no name",
        ),
        ("[vault]\nkind = \"parachute\"", "[vault]: `url` is missing"),
        (
            "[vault]\nkind = \"parachute\"\nurl = \"http://h\"\nfirst_connect = \"some\"",
            "[vault]: `first_connect` is \"some\"",
        ),
        ("[vault]\nkind = \"folder\"", "[vault]: `path` is missing"),
        (
            "[vault]\nkind = \"folder\"\npath = \"Notes\"",
            "[vault]: `path` must be an absolute path",
        ),
        (
            "[vault]\nkind = \"folder\"\npath = \"/n\"\nurl = \"http://h\"",
            "[vault]: the key `url` is for `kind = \"parachute\"`, and this vault is of the kind \"folder\"",
        ),
        (
            "[vault]\nkind = \"parachute\"\nurl = \"http://me:sk-secret@h\"",
            "[vault]: `url` is the address alone",
        ),
        (
            "[vault]\nkind = \"parachute\"\nurl = \"ftp://h\"",
            "[vault]: `url` must begin with http:// or https://",
        ),
        (
            "[vault]\nkind = \"parachute\"\nurl = \"http://h\"\ntoken = \"${NOT_SET}\"",
            "[vault]: `token`: the variable NOT_SET",
        ),
        (
            "[vault]\nkind = \"parachute\"\nurl = \"http://h\"\ntoken = \"${A}\"\ntoken_file = \"/t\"",
            "[vault]: `token` and `token_file` are both set",
        ),
        // The file of a test may be read by everybody.
        (
            "[vault]\nkind = \"parachute\"\nurl = \"http://h\"\ntoken = \"sk-secret\"",
            "FILE: `vault.token` is a secret, and others on this machine may read the file; `chmod 600` it",
        ),
    ] {
        let error = load(text, &[]).unwrap_err();
        assert!(error.starts_with(expected) && !error.contains("sk-secret"), "{error}");
    }
    let error = load("[[vault]]\nname = \"a\"", &[("REVEILLE_VAULT__NAME", "b")]).unwrap_err();
    assert!(error.contains("the file has several vaults"), "{error}");
}

#[test]
fn a_secret_may_stand_in_a_file_that_nobody_else_may_read() {
    use std::os::unix::fs::PermissionsExt as _;

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("reveille.toml");
    std::fs::write(
        &path,
        "[vault]\nkind = \"parachute\"\nurl = \"http://h\"\ntoken = \"sk-secret\"",
    )
    .unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let config = Config::load(Some(&path), true, []).unwrap();
    let Place::Parachute(peer) = config.vaults.default.place else {
        panic!("the kind counts");
    };
    assert_eq!(peer.token.unwrap().reveal().unwrap(), "sk-secret");

    let secret = Secret::File(dir.path().join("token"));
    assert!(secret.reveal().unwrap_err().contains("cannot be read"));
    std::fs::write(dir.path().join("token"), " sk \n").unwrap();
    assert_eq!(secret.reveal().unwrap(), "sk");
}

#[test]
fn a_hub_is_found_and_its_token_is_shown_nowhere() {
    let hub = |text: &str, variables: &[(&str, &str)]| load(text, variables).unwrap().hub;
    let plain = hub("", &[]);
    assert_eq!((plain.origin.as_str(), plain.token), ("http://127.0.0.1:1939", None));
    let around = [
        ("PARACHUTE_HUB_ORIGIN", "https://hub.example/"),
        ("REVEILLE_HUB__TOKEN", "sk-secret"),
    ];
    let there = hub("", &around);
    assert_eq!(there.origin, "https://hub.example");
    assert_eq!(there.token.as_ref().unwrap().reveal().unwrap(), "sk-secret");
    assert!(!format!("{there:?}").contains("sk-secret"));
    assert_eq!(hub("[hub]\norigin = \"http://h:1\"", &around).origin, "http://h:1");
    let filed = hub("", &[("REVEILLE_HUB__TOKEN_FILE", "/t")]);
    assert_eq!(filed.token, Some(Secret::File("/t".into())));

    for (text, variables, expected) in [
        (
            "[hub]\norigin = \"h\"",
            &[] as &[(&str, &str)],
            "[hub]: `origin` is no address",
        ),
        (
            "[hub]\norigin = \"http://a:sk-secret@h\"",
            &[],
            "[hub]: `origin` is the address alone",
        ),
        (
            "",
            &[("PARACHUTE_HUB_ORIGIN", "h")],
            "[hub]: `PARACHUTE_HUB_ORIGIN` is no address",
        ),
        (
            "[hub]\norign = \"h\"",
            &[],
            "FILE: `hub`: unknown key `orign`; did you mean `origin`?",
        ),
        (
            "[hub]\ntoken = \"sk-secret\"",
            &[],
            "FILE: `hub.token` is a secret, and others",
        ),
        (
            "[hub]\ntoken = \"${NOT_SET}\"",
            &[],
            "[hub]: `token`: the variable NOT_SET",
        ),
        (
            "[hub]\ntoken = \"${A}\"\ntoken_file = \"/t\"",
            &[],
            "[hub]: `token` and `token_file` are both set",
        ),
    ] {
        let error = load(text, variables).unwrap_err();
        assert!(error.starts_with(expected) && !error.contains("sk-secret"), "{error}");
    }
}

#[test]
fn ac_166_which_notes_define_agents_may_be_said_in_the_words_of_the_reference_system() {
    let said =
        |text: &str, variables: &[(&str, &str)]| load(text, variables).map(|config| config.definitions.discovery);
    for (word, expected) in [
        ("", Discovery::Definitions),
        ("DEF", Discovery::Definitions),
        (" Thread ", Discovery::Threads),
        ("both", Discovery::Both),
    ] {
        assert_eq!(said("", &[(DISCOVERY, word)]), Ok(expected), "{word:?}");
    }
    assert_eq!(said("", &[]), Ok(Discovery::Definitions));
    assert_eq!(
        said("[definitions]\ndiscovery = \"threads\"", &[(DISCOVERY, "both")]),
        Ok(Discovery::Threads)
    );
    let own = ("REVEILLE_DEFINITIONS__DISCOVERY", "both");
    assert_eq!(said("", &[own, (DISCOVERY, "def")]), Ok(Discovery::Both));
    let wrong = said("", &[(DISCOVERY, "junk")]).unwrap_err();
    assert!(
        wrong.contains(DISCOVERY) && wrong.contains("def, thread or both"),
        "{wrong}"
    );
    let wrong = said("[definitions]\ndiscovery = \"thread\"", &[]).unwrap_err();
    assert!(wrong.contains("threads"), "{wrong}");
}

#[test]
fn a_server_is_followed_for_its_threads_where_they_define_agents() {
    let vault = "[vault]\nkind = \"parachute\"\nurl = \"http://127.0.0.1:1\"\n";
    for (word, expected) in [("definitions", false), ("threads", true), ("both", true)] {
        let config = load(&format!("{vault}[definitions]\ndiscovery = {word:?}"), &[]).unwrap();
        let Place::Parachute(peer) = &config.vaults.default.place else {
            panic!("{:?}", config.vaults)
        };
        assert_eq!(peer.follow_threads, expected);
    }
}

#[test]
fn the_confinement_is_set_by_variables_too() {
    let variables = [
        ("REVEILLE_SANDBOX__MODE", "none"),
        ("REVEILLE_SANDBOX__NETWORK", "proxied"),
        ("REVEILLE_SANDBOX__MOUNTS", "/srv/a, /srv/b"),
        ("REVEILLE_SANDBOX__EGRESS", "a.example"),
    ];
    let sandbox = load("[sandbox]\nnetwork = \"restricted\"", &variables).unwrap().sandbox;
    assert_eq!(sandbox.mode, SandboxMode::None);
    let ceiling = sandbox.ceiling("eng");
    assert_eq!(ceiling.network.value, reveille_sandbox::Network::Proxied);
    assert_eq!(ceiling.mounts.value, [Path::new("/srv/a"), Path::new("/srv/b")]);
    assert_eq!(ceiling.egress.value.unwrap().len(), 1);
    assert_eq!(load("", &[]).unwrap().sandbox.mode, SandboxMode::Auto);
}

#[test]
fn the_shield_is_for_all_agents_or_for_one() {
    let said = |text: &str, variables: &[(&str, &str)]| {
        let sandbox = load(text, variables).unwrap().sandbox;
        ["eng", "ops"].map(|agent| {
            let shield = sandbox.ceiling(agent).shield;
            (shield.value, shield.said)
        })
    };
    let (none, all, own) = (Said::Default, Said::General, Said::Agent);
    assert_eq!(said("", &[]), [(false, none), (false, none)]);
    assert_eq!(
        said("[sandbox]\nshield = true\n[sandbox.agents.eng]\nshield = false", &[]),
        [(false, own), (true, all)]
    );
    let variable = [("REVEILLE_SANDBOX__SHIELD", "true")];
    assert_eq!(said("[sandbox]\nshield = false", &variable), [(true, all), (true, all)]);
    // Nobody is confined, and nobody counts on it.
    let off = "[sandbox]\nmode = \"none\"\nshield = false";
    assert_eq!(said(off, &[]), [(false, all), (false, all)]);
}

#[test]
fn a_table_of_a_name_that_is_not_trusted_takes_away_and_adds_nothing() {
    let text = "[sandbox]\nnetwork = \"proxied\"\nmounts = [\"/srv/a\"]\negress = [\"a.example\"]\n\
                [sandbox.agents.more]\nnetwork = \"open\"\nfilesystem = \"full\"\nmounts = [\"/srv\"]\negress = [\"b.example\"]\n\
                [sandbox.agents.less]\nnetwork = \"restricted\"\nmounts = [\"/srv/a/b\", \"/etc\"]\n";
    let sandbox = load(text, &[]).unwrap().sandbox;
    let more = sandbox.ceiling_without_trust("more");
    assert_eq!(more.network.value, reveille_sandbox::Network::Proxied);
    assert_eq!(more.filesystem.value, reveille_sandbox::Filesystem::Workspace);
    assert_eq!(more.mounts.value, [Path::new("/srv/a")]);
    assert_eq!(more.egress.value, Some(Vec::new()));
    let less = sandbox.ceiling_without_trust("less");
    assert_eq!(less.network.value, reveille_sandbox::Network::Restricted);
    assert_eq!(less.mounts.value, [Path::new("/srv/a/b")]);
    // By another spelling nobody gets more than all, nor more than the table.
    assert_eq!((sandbox.ceiling("MORE"), sandbox.ceiling("Less")), (more, less));
    assert_eq!(sandbox.ceiling("more").network.value, reveille_sandbox::Network::Open);
    assert_eq!(sandbox.ceiling_without_trust("eng"), sandbox.ceiling("eng"));
    let names = ["More".to_owned(), "eng".to_owned()];
    assert_eq!(sandbox.idle_tables(&names), ["less"]);
    let tighter = vec![
        ("less".to_owned(), vec!["network", "default_network", "mounts"]),
        ("more".to_owned(), vec!["egress"]),
    ];
    assert_eq!(sandbox.tighter_tables(), tighter);
    assert!(load("[sandbox.agents.a]\n[sandbox.agents.A]\n", &[]).is_err());
    let lifted = load("[sandbox]\nshield = true\n[sandbox.agents.eng]\nshield = false", &[])
        .unwrap()
        .sandbox;
    let shield = [lifted.ceiling("eng"), lifted.ceiling_without_trust("eng")].map(|ceiling| ceiling.shield.value);
    assert_eq!(shield, [false, true]);
}

#[test]
fn a_webhook_has_a_secret_and_wants_what_is_told() {
    let hook = [("HOOK", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")];
    let table = "[[webhook]]\nname = \"ci\"\nurl = \"https://example.com/hook\"\n";
    let secret = "secret = \"${HOOK}\"\n";
    let good = format!(
        "{table}{secret}old_secret_file = \"/old\"\nevents = [\"turn.settled\"]\nagents = [\"eng\"]\nprofile = \"standard\"\n\
         heartbeat = 30\nallow = {{ private = true, networks = [\"100.64.0.0/10\"], plain = true }}\n"
    );
    let config = load(&good, &hook).unwrap();
    assert_eq!(config.webhooks.len(), 1);
    assert!(!format!("{config:?}").contains("whsec_"));
    for (more, says) in [
        (String::new(), "`secret` or `secret_file`"),
        ("old_secret = \"${HOOK}\"".into(), "`secret` or `secret_file`"),
        ("secret = \"${NONE}\"".into(), "NONE"),
        (format!("{secret}secret_file = \"/x\""), "keep one"),
        (format!("{secret}events = [\"agent.born\"]"), "turn.settled"),
        (format!("{secret}allow = {{ everything = true }}"), "everything"),
        (format!("{secret}{table}{secret}"), "names must differ"),
    ] {
        let told = load(&format!("{table}{more}"), &hook).unwrap_err();
        assert!(told.contains(says), "{more}: {told}");
    }
}
