//! What a confined program is given, and how the start itself goes.

use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;

use pretty_assertions::assert_eq;
use reveille_sandbox::{Confined, Policy, Ran, SandboxError, probe};

use crate::support::{Place, SHIM, sandbox, users};

#[tokio::test]
async fn the_environment_is_exactly_the_one_that_was_given() {
    for user in users() {
        let place = Place::new(user);
        let mut command = place.command("/usr/bin/env", &["-0"]);
        command.env = vec![
            ("A".into(), "one\ntwo='\"".into()),
            ("EMPTY".into(), "".into()),
            ("LD_PRELOAD".into(), "/nowhere.so".into()),
            ("REVEILLE_TURN".into(), "t".into()),
        ];
        let confined = place.confine(command.clone(), &place.policy());
        // What runs outside obeys no loader variable of a child.
        assert_eq!(confined.command.env, [("REVEILLE_TURN".into(), "t".into())]);
        assert_eq!(
            confined.command.args,
            ["--args", "0", "--", "/run/reveille/init", "sandbox-init"]
        );
        let done = place.run(confined).await;
        let mut lines: Vec<_> = done.out.split_terminator('\0').collect();
        lines.sort_unstable();
        assert_eq!(
            lines,
            ["A=one\ntwo='\"", "EMPTY=", "LD_PRELOAD=/nowhere.so", "REVEILLE_TURN=t"]
        );
    }
}

#[tokio::test]
async fn no_descriptor_of_the_daemon_gets_in() {
    for user in users() {
        let place = Place::new(user);
        let file = std::fs::File::open(place.at("secret")).unwrap();
        // One that other code has left open for children.
        let leaked = rustix::io::dup(&file).unwrap();
        let list = "ls /proc/$$/fd";
        let number = leaked.as_raw_fd().to_string();
        let free = place.sh_free(list).await;
        assert!(free.out.lines().any(|line| line == number), "the control: {free:?}");
        assert_eq!(place.sh(&place.policy(), list).await.out, "0\n1\n2\n");
    }
}

#[tokio::test]
async fn a_script_and_its_interpreter_from_elsewhere_run() {
    for user in users() {
        let place = Place::new(user);
        let program = |path: &str, text: &str| {
            let file = place.at(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, text).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
            file
        };
        let interpreter = place.at("runtime/bin/runner");
        std::fs::create_dir_all(interpreter.parent().unwrap()).unwrap();
        std::fs::copy("/bin/cat", &interpreter).unwrap();
        program("package/lib/data", "data");
        let script = program(
            "package/bin/script",
            &format!("#!{}\nthe script\n", interpreter.display()),
        );
        std::os::unix::fs::symlink(&script, place.at("script")).unwrap();
        let done = place
            .run(place.confine(
                place.command(&place.text("script"), &[&place.text("package/lib/data")]),
                &place.policy(),
            ))
            .await;
        assert!(done.out.ends_with("the script\ndata"), "{done:?}");
    }
}

#[tokio::test]
async fn many_starts_at_once_do_not_mix() {
    for user in users() {
        let place = Place::new(user);
        let all = (0..20).map(|number| {
            let place = &place;
            async move {
                let done = place
                    .sh(&place.policy(), &format!("echo {number}; echo {number} >&2"))
                    .await;
                assert_eq!((done.out.clone(), done.err), (format!("{number}\n"), done.out));
            }
        });
        futures(all).await;
    }
}

#[tokio::test]
async fn a_working_directory_that_cannot_be_seen_is_told() {
    for user in users() {
        let place = Place::new(user);
        // The working directory cannot be seen with this policy, and that is told instead of guessed.
        let mut command = place.command("/bin/true", &[]);
        let error = place
            .start(place.confine(command.clone(), &Policy::default()))
            .await
            .err()
            .unwrap();
        assert!(error.reason.starts_with("the working directory "), "{error}");
        command.cwd = "/".into();
        assert!(
            place
                .run(place.confine(command, &Policy::default()))
                .await
                .status
                .success()
        );
    }
}

/// Waits for all of them.
async fn futures(all: impl Iterator<Item = impl Future<Output = ()>>) {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        all.retain_mut(|one| one.as_mut().poll(context).is_pending());
        if all.is_empty() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}

#[tokio::test]
async fn the_probe_finds_the_sandbox_of_this_machine_sound() {
    // It makes its own places, so whoever asks it runs it; `reveille sandbox probe` is asked by others too.
    let place = Place::new(None);
    let run = |confined: Confined| async {
        let done = place.start(confined).await?.finish(b"").await;
        Ok::<_, SandboxError>(Ran {
            success: done.status.success(),
            stdout: done.out.into_bytes(),
            stderr: done.err.into_bytes(),
        })
    };
    let report = probe(&*sandbox(), SHIM.as_ref(), &place.at("state/work"), run).await;
    assert!(
        report.ok && report.userns && report.seccomp && report.bwrap.is_some(),
        "{report:?}"
    );
}
