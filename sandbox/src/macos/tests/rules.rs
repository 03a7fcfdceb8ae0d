//! What a profile allows, read as the kernel reads it: of two rules the later one holds.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use pretty_assertions::assert_eq;
use proptest::prelude::*;

use super::*;

const READ: &str = "file-read-data";
const WRITE: &str = "file-write-data";
const NOTES: &str = "/Users/ann/My \"notes\"";
const SESSION: &str = "/Users/ann/.reveille/sessions/s1";

/// Whether it can be read, written, run, taken away and made.
fn may(text: &str, path: &str) -> [bool; 5] {
    [READ, WRITE, "process-exec", "file-write-unlink", "file-write-create"].map(|what| allows(text, what, path))
}

#[test]
fn nothing_is_allowed_but_what_is_said() {
    for filesystem in [Filesystem::Workspace, Filesystem::Full] {
        for ways in [Ways::All, ports()] {
            let text = text(&usual(filesystem), &ways);
            let forms = forms(&text);
            let begins = [&forms[0], &forms[1]].map(|form| form.list().to_vec());
            assert_eq!(begins[0][0], Form::Word("version".into()));
            assert_eq!(begins[1], ["deny", "default"].map(|word| Form::Word(word.into())));
            assert_eq!(text.matches("default").count(), 1);
            assert!(text.contains("Untested"), "people must know");
            for name in [
                "system-fsctl",
                "iokit-open",
                "appleevent-send",
                "job-creation",
                "mach-register",
            ] {
                assert!(!allows(&text, name, "/"), "{name}");
            }
            assert!(!text.contains("SecurityServer") && !text.contains("kern.proc"));
        }
    }
}

#[test]
fn places_are_for_what_they_were_given_for() {
    const NO: [bool; 5] = [false; 5];
    const RUN: [bool; 5] = [true, false, true, false, false];
    const ALL: [bool; 5] = [true; 5];
    for filesystem in [Filesystem::Workspace, Filesystem::Full] {
        let text = text(&usual(filesystem), &ports());
        let may = |path: &str| may(&text, path);
        // Secrets, whatever is around them, and under the second name of their volume.
        for path in [
            "/Users/ann/.reveille",
            "/Users/ann/.reveille/credentials.json",
            "/Users/ann/.reveille/sessions/s2/work/x",
            "/Users/ann/.claude.json",
            "/System/Volumes/Data/Users/ann/.claude.json",
            &format!("{NOTES}/secret"),
            &format!("{NOTES}/secret/x"),
        ] {
            assert_eq!(may(path), NO, "{path}");
        }
        for path in [
            &*format!("{SESSION}/ctl/mcp.json"),
            "/Users/ann/.local/share/claude/x",
            "/usr/bin/git",
        ] {
            assert_eq!(may(path), RUN, "{path}");
        }
        for path in [
            &format!("{SESSION}/work/x"),
            &format!("{SESSION}/home/.npmrc"),
            &format!("{NOTES}/secrets"),
        ] {
            assert_eq!(may(path), ALL, "{path}");
        }
        // All others.
        let others = if filesystem == Filesystem::Full { RUN } else { NO };
        for path in [
            "/Users/ann/.ssh/id",
            "/private/tmp/x",
            "/private/etc/sudoers",
            "/Library/Keychains/x",
            "/Applications/x",
        ] {
            assert_eq!(may(path), others, "{path}");
        }
        assert!(!allows(&text, READ, "/dev/ttys001") && allows(&text, READ, "/dev/fd/3"));
        assert_eq!(
            (allows(&text, WRITE, "/dev/null"), allows(&text, WRITE, "/dev/random")),
            (true, false)
        );
        assert!(!allows(&text, "file-write-setugid", &format!("{SESSION}/work/x")));
    }
}

#[test]
fn what_has_a_rule_cannot_be_moved_away_from_it() {
    let text = text(&usual(Filesystem::Workspace), &ports());
    for path in [
        // A writable place itself: a link could be put there, which the daemon would follow.
        &*format!("{SESSION}/work"),
        SESSION,
        NOTES,
        "/Users",
    ] {
        for what in ["file-write-unlink", "file-write-create"] {
            assert!(!allows(&text, what, path), "{what} {path}");
        }
    }
    // A directory on the way to a secret, in the midst of what can be written.
    let deep = layout(
        Filesystem::Workspace,
        &[("/w", Use::Write), ("/w/a/b/key", Use::Nothing)],
    );
    let text = super::text(&deep, &ports());
    for path in ["/w/a", "/w/a/b", "/w/a/b/key"] {
        assert!(!allows(&text, "file-write-unlink", path), "{path}");
    }
    assert_eq!(may(&text, "/w/a/b/other"), [true; 5]);
}

#[test]
fn the_longer_path_holds() {
    let nested = [
        ("/a", Use::Write),
        ("/a/read", Use::Read),
        ("/a/read/write", Use::Write),
        ("/a/read/write/none", Use::Nothing),
        ("/a/read/write/none/read", Use::Read),
        ("/a-b", Use::Nothing),
    ];
    let text = text(&layout(Filesystem::Full, &nested), &ports());
    for (path, reads, writes) in [
        ("/a/x", true, true),
        ("/a/read/x", true, false),
        ("/a/read/write/x", true, true),
        ("/a/read/write/none/x", false, false),
        ("/a/read/write/none/read/x", true, false),
        ("/a-b/x", false, false),
        ("/ab", true, false),
    ] {
        assert_eq!(
            (allows(&text, READ, path), allows(&text, WRITE, path)),
            (reads, writes),
            "{path}"
        );
    }
    // One has to get there.
    assert!(allows(&text, "file-read-metadata", "/a/read/write/none"));
    assert!(!allows(&text, READ, "/a/read/write/none"));
}

#[test]
fn connections_go_to_ports_that_are_named() {
    let network = |ways: &Ways| -> Vec<String> {
        let text = text(&usual(Filesystem::Full), ways);
        let lines = text.lines().filter(|line| line.contains("network"));
        lines.map(str::to_owned).collect()
    };
    let to = |port: u16| format!("(allow network-outbound (remote ip \"localhost:{port}\"))");
    let comment = "; The network. No local sockets: none of these filters means one.";
    assert_eq!(network(&ports()), [comment.to_owned(), to(1940), to(53128)]);
    let open = [
        comment,
        "(allow network* (local ip) (remote ip))",
        "(allow network-outbound (literal \"/private/var/run/mDNSResponder\"))",
    ];
    assert_eq!(network(&Ways::All), open);
}

#[test]
fn a_path_that_is_no_text_is_refused() {
    let mut layout = usual(Filesystem::Full);
    let path = Path::new(OsStr::from_bytes(b"/Users/ann/\xff"));
    layout.places.insert(path.to_owned(), Use::Nothing);
    let error = profile(&layout, &ports()).unwrap_err().to_string();
    assert!(
        error.contains("is not UTF-8") && error.contains("another name"),
        "{error}"
    );
}

proptest! {
    /// Whatever a directory is called, the profile has the same rules, and the name in its place.
    #[test]
    fn no_name_changes_the_rules(name in r#"[^/\x00]{1,30}|[()"\\;#\n'x0]{1,20}"#, to in 0usize..3) {
        prop_assume!(name != "." && name != "..");
        let to = [Use::Write, Use::Read, Use::Nothing][to];
        let made = |name: &str| {
            let path = format!("/Users/{name}");
            let mut layout = usual(Filesystem::Full);
            layout.places.insert(path.clone().into(), to);
            layout.links.insert(path.into());
            forms(&text(&layout, &ports()))
        };
        let named = |form: &Form| -> Form {
            fn change(form: &Form, name: &str) -> Form {
                match form {
                    Form::String(text) => Form::String(text.replace(&format!("/Users/{name}"), "/Users/NAME")),
                    Form::List(forms) => Form::List(forms.iter().map(|form| change(form, name)).collect()),
                    word => word.clone(),
                }
            }
            change(form, &name)
        };
        // Both with the same order of the paths.
        let sorted = |mut forms: Vec<Form>| { forms.sort_by_key(|form| format!("{form:?}")); forms };
        let hostile: Vec<Form> = made(&name).iter().map(named).map(in_order).collect();
        let harmless: Vec<Form> = made("NAME").into_iter().map(in_order).collect();
        prop_assert_eq!(sorted(hostile), sorted(harmless));
    }
}

/// The filters of a rule in one order.
fn in_order(form: Form) -> Form {
    match form {
        Form::List(mut forms) => {
            forms.sort_by_key(|form| format!("{form:?}"));
            Form::List(forms)
        }
        other => other,
    }
}
