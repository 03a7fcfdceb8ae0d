//! What can be asked of the kernel.

use std::collections::BTreeMap;

use pretty_assertions::assert_eq;
use reveille_sandbox::{Confined, Filesystem, Limits, Policy};

use crate::support::{ATTACKER, Place, users};

/// The kernel's answers.
async fn answers(place: &Place, policy: Option<&Policy>, attacks: &[&str]) -> BTreeMap<String, i32> {
    let command = place.command(ATTACKER, attacks);
    let confined = match policy {
        Some(policy) => place.confine(command, policy),
        None => Confined::plain(command),
    };
    let done = place.run(confined).await;
    assert!(done.status.success(), "{done:?}");
    let line = |line: &str| {
        let (name, errno) = line.split_once(' ').unwrap();
        (name.to_owned(), errno.parse().unwrap())
    };
    done.out.lines().map(line).collect()
}

fn all(attacks: &[&str], errno: i32) -> BTreeMap<String, i32> {
    attacks.iter().map(|name| ((*name).to_owned(), errno)).collect()
}

const DENIED: &[&str] = &[
    "socket-unix",
    "socket-vsock",
    "socket-packet",
    "socket-alg",
    "io_uring",
    "ptrace",
    "mount",
    "umount",
    "open_tree",
    "unshare-user",
    "clone-user",
    "clone-net",
    "setns",
    "keyctl",
    "bpf",
    "process_vm_readv",
    "userfaultfd",
    "type-into-terminal",
    "signal-first",
];
const ALLOWED: &[&str] = &["socket-inet", "socket-inet6", "socket-netlink", "socketpair"];

#[tokio::test]
async fn calls_that_lead_out_are_refused() {
    for user in users() {
        let place = Place::new(user);
        for filesystem in [Filesystem::Workspace, Filesystem::Full] {
            let policy = Policy {
                filesystem,
                ..place.policy()
            };
            assert_eq!(
                answers(&place, Some(&policy), DENIED).await,
                all(DENIED, libc::EPERM),
                "{user:?}"
            );
            assert_eq!(
                answers(&place, Some(&policy), ALLOWED).await,
                all(ALLOWED, 0),
                "{user:?}"
            );
            let unseen: &[&str] = if cfg!(target_arch = "x86_64") {
                &["clone3", "x32"]
            } else {
                &["clone3"]
            };
            assert_eq!(
                answers(&place, Some(&policy), unseen).await,
                all(unseen, libc::ENOSYS),
                "{user:?}"
            );
        }
        // The control: it is the sandbox that refuses, not the machine.
        let free = ["socket-unix", "ptrace", "socketpair"];
        assert_eq!(answers(&place, None, &free).await, all(&free, 0));
        assert_ne!(answers(&place, None, &["io_uring"]).await["io_uring"], libc::EPERM);
    }
}

#[tokio::test]
async fn nothing_is_left_of_the_daemons_rights() {
    for user in users() {
        let place = Place::new(user);
        let done = place
            .sh(
                &place.policy(),
                "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status",
            )
            .await;
        let none = "0000000000000000";
        let expected = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map(|set| format!("{set}:\t{none}\n"));
        assert_eq!(done.out, format!("{}NoNewPrivs:\t1\nSeccomp:\t2\n", expected.concat()));
    }
}

#[tokio::test]
async fn switches_of_the_machine_cannot_be_turned() {
    for user in users() {
        let place = Place::new(user);
        let done = place
            .sh(
                &place.policy(),
                "cat /proc/sys/kernel/core_pattern >was; cat was >/proc/sys/kernel/core_pattern; grep -c ' /proc/sys .*ro,' /proc/self/mounts",
            )
            .await;
        assert!(
            done.err.contains("cannot create /proc/sys/kernel/core_pattern"),
            "{done:?}"
        );
        assert_eq!(done.out, "1\n");
    }
}

#[tokio::test]
async fn only_its_own_processes_are_seen() {
    for user in users() {
        let place = Place::new(user);
        let seen = place.sh(&place.policy(), "ls -d /proc/[0-9]* | wc -l").await;
        let count: usize = seen.out.trim().parse().unwrap();
        assert!((2..=6).contains(&count), "{seen:?}");
        let keeper = place
            .sh(
                &place.policy(),
                "ls -A /proc/1; ls -d /proc/1 /proc/1/mem; cat /proc/1/environ /proc/1/maps; readlink /proc/1/fd/2; true",
            )
            .await;
        assert_eq!(keeper.out, "/proc/1\n", "{keeper:?}");
    }
}

#[tokio::test]
async fn limits_hold() {
    let place = Place::new(None);
    let policy = Policy {
        limits: Limits {
            open_files: 100,
            ..Limits::default()
        },
        ..place.policy()
    };
    let done = place
        .sh(&policy, "ulimit -Hn; ulimit -n 101 2>/dev/null || echo no; ulimit -Hc")
        .await;
    assert_eq!(done.out, "100\nno\n0\n");
}
