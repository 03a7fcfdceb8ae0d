//! What can be read and written.

use pretty_assertions::assert_eq;
use reveille_sandbox::{Filesystem, Policy};

use crate::support::{Place, users};

#[tokio::test]
async fn only_what_is_named_can_be_read() {
    for user in users() {
        let place = Place::new(user);
        let read = |path: &str| format!("cat {}; true", place.text(path));
        for hidden in ["secret", "state/token"] {
            assert_eq!(place.sh_free(&read(hidden)).await.out, "SECRET", "the control");
            assert_eq!(
                place.sh(&place.policy(), &read(hidden)).await.out,
                "",
                "{hidden} of {user:?}"
            );
        }
        assert_eq!(place.sh(&place.policy(), &read("state/ctl/mcp.json")).await.out, "{}");
        let list = "ls -d /root /home /etc/shadow /sys /var/lib 2>/dev/null; true";
        assert_eq!(place.sh(&place.policy(), list).await.out, "");
    }
}

#[tokio::test]
async fn only_what_is_named_can_be_written() {
    for user in users() {
        let place = Place::new(user);
        let [work, ctl, beside, unnamed] = ["state/work/a", "state/ctl/a", "state/a", "a"].map(|path| place.text(path));
        let script =
            format!("for f in {work} {ctl} {beside} {unnamed} /usr/a /a /run/a /dev/a; do echo x >$f; done; true");
        let done = place.sh(&place.policy(), &script).await;
        assert_eq!(std::fs::read_to_string(&work).unwrap(), "x\n");
        for path in [&ctl, &beside, &unnamed] {
            assert!(!std::path::Path::new(path).exists(), "{path}: {done:?}");
        }
        for path in [&ctl, &beside, "/usr/a", "/a", "/run/a", "/dev/a"] {
            assert!(done.err.contains(&format!("cannot create {path}")), "{path}: {done:?}");
        }
        // The control: it is not the rights of the user that keep it.
        place.sh_free(&format!("echo x >{ctl}")).await;
        assert!(place.at("state/ctl/a").exists());
    }
}

#[tokio::test]
async fn nothing_can_be_planted_where_the_daemon_writes() {
    for user in users() {
        let place = Place::new(user);
        let state = place.text("state");
        let tries = [
            "rm -rf ctl",
            "rm -f ctl/mcp.json",
            "mv ctl ctl2",
            "mv ctl/mcp.json work/",
            "ln -s /etc/passwd ctl/link",
            "ln -sfn /etc ctl",
            "mkdir ctl/new",
            "ln -s /etc new",
            "mkdir new",
            "mv work work2",
            "chmod 777 ctl",
            "touch ctl/mcp.json",
        ];
        for attempt in tries {
            let done = place.sh(&place.policy(), &format!("cd {state} && {attempt}")).await;
            assert!(!done.status.success(), "{attempt} of {user:?}");
            assert!(
                [
                    "Read-only",
                    "busy",
                    "Permission denied",
                    "not permitted",
                    "cross-device",
                    "cannot overwrite"
                ]
                .iter()
                .any(|reason| done.err.contains(reason)),
                "{attempt}: {done:?}"
            );
        }
        let names = |dir: &str| {
            let entries = std::fs::read_dir(place.at(dir)).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(names("state"), ["ctl", "home", "tmp", "token", "work"]);
        assert_eq!(names("state/ctl"), ["mcp.json"]);
        let done = place
            .sh(
                &place.policy(),
                &format!("cd {state}/work && mkdir d && ln -s x l && mv d e"),
            )
            .await;
        assert!(done.status.success(), "the control: {done:?}");
    }
}

#[tokio::test]
async fn scratch_directories_are_there_and_are_not_the_machines() {
    for user in users() {
        let place = Place::new(user);
        let script = "for d in /tmp /var/tmp /dev/shm \"$TMPDIR\" \"$HOME\" .; do echo x >$d/made-inside || echo $d; done; \
            mktemp >/dev/null && ls /tmp";
        let done = place.sh(&place.policy(), script).await;
        assert!(done.status.success(), "{done:?}");
        assert_eq!(done.err, "");
        assert!(place.at("state/tmp/made-inside").exists());
        assert!(!std::path::Path::new("/tmp/made-inside").exists());
        assert!(!std::path::Path::new("/dev/shm/made-inside").exists());
    }
}

#[tokio::test]
async fn everything_can_be_read_but_what_is_hidden() {
    for user in users() {
        let place = Place::new(user);
        let file = place.at("secret");
        let mut policy = Policy {
            filesystem: Filesystem::Full,
            masked: vec![place.at("state"), file.clone()],
            ..place.policy()
        };
        // Host directories outside /tmp, which has been replaced: the one of the test is below it.
        let script = format!(
            "test -d /var/lib && cat {} {}; cat {}; cat /etc/hosts >/dev/null && echo hosts; echo x >/var/lib/a",
            file.display(),
            place.text("state/token"),
            place.text("state/ctl/mcp.json"),
        );
        policy.readable.push(place.at(""));
        let done = place.sh(&policy, &script).await;
        assert_eq!(done.out, "{}hosts\n", "{done:?}");
        assert!(done.err.contains("cannot create /var/lib/a"), "{done:?}");
        policy.masked.clear();
        let control = place.sh(&policy, &script).await;
        assert_eq!(control.out, "SECRETSECRET{}hosts\n", "{control:?}");
    }
}

#[tokio::test]
async fn a_name_that_is_a_link_leads_to_the_same_inside() {
    let place = Place::new(None);
    std::os::unix::fs::symlink("work", place.at("state/project")).unwrap();
    let policy = Policy {
        writable: vec![place.at("state/project")],
        ..Policy::default()
    };
    let mut command = place.command("/bin/sh", &["-c", "echo x >made && readlink ../project"]);
    command.cwd = place.at("state/project");
    let done = place.run(place.confine(command, &policy)).await;
    assert_eq!(done.out, "work\n", "{done:?}");
    assert!(place.at("state/work/made").exists());
}

#[tokio::test]
async fn a_place_that_was_replaced_after_it_was_looked_at_is_not_used() {
    let place = Place::new(None);
    let confined = place.confine(place.command("/bin/true", &[]), &place.policy());
    std::fs::rename(place.at("state/work"), place.at("state/old")).unwrap();
    std::os::unix::fs::symlink("/etc", place.at("state/work")).unwrap();
    let error = place.start(confined).await.err().unwrap().to_string();
    assert!(error.contains("was replaced"), "{error}");
}

/// Of the settings of the system agents get copies, beside which other things of that place are mounted.
#[tokio::test]
async fn settings_are_read_and_not_written_and_what_is_hidden_among_them_stays_so() {
    for user in users() {
        let place = Place::new(user);
        let hidden = "/etc/alternatives/README";
        assert!(std::path::Path::new(hidden).is_file(), "the control");
        let policy = Policy {
            readable: vec![place.at("state/ctl"), "/etc/alternatives".into()],
            masked: vec![place.at("state"), hidden.into()],
            ..place.policy()
        };
        let read = format!("head -c4 /etc/passwd; cat /etc/os-release | grep -c ^ID=; cat {hidden}; true");
        let open = place.sh(&place.policy(), &read).await.out;
        assert!(open.starts_with("root1\n") && open.len() > 10, "the control: {open}");
        let closed = place.sh(&policy, &read).await;
        assert_eq!(closed.out, "root1\n", "{closed:?}");
        let write = "echo x >>/etc/passwd; echo x >/etc/new; rm /etc/hosts; ls /etc/alternatives | head -1 | wc -l";
        for policy in [&place.policy(), &policy] {
            let done = place.sh(policy, write).await;
            assert_eq!(done.out, "1\n", "{done:?}");
            assert_eq!(done.err.lines().count(), 3, "{done:?}");
            let owner = place.sh(policy, "stat -c %a /etc /etc/passwd").await.out;
            assert_eq!(owner, "755\n444\n");
        }
    }
}
