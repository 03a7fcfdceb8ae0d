//! What cannot be kept is not run, and the error says what to do.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use reveille_sandbox::{Command, Confined, Policy, Sandbox, SandboxError, Setup, detect};

use crate::support::{Place, SHIM, nothing, sandbox, setup, users};

fn refused(sandbox: &dyn Sandbox, place: &Place, policy: &Policy) -> SandboxError {
    sandbox.confine(place.command("/bin/true", &[]), policy).unwrap_err()
}

#[tokio::test]
async fn without_bubblewrap_nothing_runs() {
    for user in users() {
        let place = Place::new(user);
        let none = detect(&Setup {
            search_path: place.at("").into(),
            ..setup()
        });
        let error = refused(&*none, &place, &place.policy());
        assert!(error.mend.contains("apt install bubblewrap"), "{error}");
        assert!(none.summary().detail.contains("agents cannot run"));
    }
}

#[tokio::test]
async fn a_bubblewrap_that_fails_is_quoted() {
    for user in users() {
        let place = Place::new(user);
        for (script, reason, mend) in [
            (
                "echo 'bwrap: setting up uid map: Permission denied' >&2; exit 1",
                "bubblewrap says: setting up uid map: Permission denied",
                "namespaces",
            ),
            (
                "echo 'bwrap: Unknown option --disable-userns' >&2; exit 1",
                "Unknown option",
                "0.8 or newer",
            ),
            ("exit 1", "ended without a word", "reveille sandbox probe"),
        ] {
            let fake = place.at("bin/bwrap");
            std::fs::create_dir_all(fake.parent().unwrap()).unwrap();
            std::fs::write(&fake, format!("#!/bin/sh\n{script}\n")).unwrap();
            std::fs::set_permissions(&fake, std::fs::Permissions::from_mode(0o755)).unwrap();
            let broken = detect(&Setup {
                search_path: place.at("bin").into(),
                ..setup()
            });
            let confined = broken
                .confine(place.command("/bin/true", &[]), &place.policy())
                .unwrap();
            let error = place.start(confined).await.err().unwrap();
            assert!(error.reason.contains(reason) && error.mend.contains(mend), "{error}");
        }
    }
}

#[tokio::test]
async fn a_daemon_whose_file_was_replaced_must_be_restarted() {
    for user in users() {
        let place = Place::new(user);
        let own = place.at("daemon");
        std::fs::copy(SHIM, &own).unwrap();
        let sandbox = detect(&Setup {
            program: own.clone(),
            ..setup()
        });
        sandbox
            .confine(place.command("/bin/true", &[]), &place.policy())
            .unwrap();
        std::fs::copy(SHIM, place.at("newer")).unwrap();
        std::fs::rename(place.at("newer"), &own).unwrap();
        let error = refused(&*sandbox, &place, &place.policy());
        assert!(error.mend.contains("Restart"), "{error}");
    }
}

#[tokio::test]
async fn a_start_that_takes_too_long_is_given_up() {
    for user in users() {
        let place = Place::new(user);
        let mut confined = place.confine(place.command("/bin/true", &[]), &place.policy());
        // Something else than bubblewrap, which never says a word.
        confined.command = Command {
            args: vec!["1000".into()],
            ..place.command("/bin/sleep", &[])
        };
        let (_child, control, _guard) = place.spawn(confined);
        let error = control
            .unwrap()
            .complete(nothing(), Duration::from_millis(50))
            .await
            .unwrap_err();
        assert!(error.reason.contains("not ready after 0.05 s"), "{error}");
    }
}

#[tokio::test]
async fn a_start_that_nobody_follows_does_not_happen() {
    for user in users() {
        let place = Place::new(user);
        let command = place.command("/bin/sh", &["-c", "echo x >made"]);
        let Confined {
            command,
            control,
            guard,
        } = place.confine(command, &place.policy());
        let confined = Confined {
            command,
            control,
            guard,
        };
        let (mut child, control, _guard) = place.spawn(confined);
        drop(control);
        let status = child.wait().await.unwrap();
        assert!(!status.success());
        assert!(!place.at("state/work/made").exists());
    }
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    for user in users() {
        let place = Place::new(user);
        let confined = place.confine(place.command("/nowhere/program", &[]), &place.policy());
        let error = place.start(confined).await.err().unwrap();
        assert!(error.reason.contains("/nowhere/program"), "{error}");
    }
}

#[tokio::test]
async fn places_that_cannot_be_given_are_refused() {
    for user in users() {
        let place = Place::new(user);
        let sandbox = sandbox();
        for path in ["/", "/proc/self", "/dev", "/sys"] {
            for writable in [true, false] {
                let paths = vec![PathBuf::from(path)];
                let policy = if writable {
                    Policy {
                        writable: paths,
                        ..Policy::default()
                    }
                } else {
                    Policy {
                        readable: paths,
                        ..Policy::default()
                    }
                };
                let error = refused(&*sandbox, &place, &policy);
                assert!(error.reason.contains("cannot be given"), "{path}: {error}");
            }
        }
        let missing = Policy {
            writable: vec![place.at("none")],
            ..Policy::default()
        };
        assert!(refused(&*sandbox, &place, &missing).mend.contains("Make it"));
        let relative = Policy {
            writable: vec!["work".into()],
            ..Policy::default()
        };
        assert!(refused(&*sandbox, &place, &relative).reason.contains("not absolute"));
        let optional = Policy {
            readable: vec![place.at("none")],
            ..place.policy()
        };
        assert!(place.sh(&optional, "true").await.status.success());
    }
}
