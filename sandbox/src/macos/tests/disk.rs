//! From a policy to places, ports and the command, with real directories and sockets.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;

use pretty_assertions::assert_eq;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::macos::Seatbelt;
use crate::{Command, Confined, Loopback, Network, Policy, Sandbox as _, SandboxError, Setup, Target};

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for dir in ["state/work", "state/ctl", "notes", "bin"] {
            std::fs::create_dir_all(place.at(dir)).unwrap();
        }
        std::fs::write(place.at("bin/claude"), "").unwrap();
        place
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().canonicalize().unwrap().join(path)
    }

    fn policy(&self) -> Policy {
        Policy {
            network: Network::Restricted,
            writable: vec![self.at("state/work")],
            readable: vec![self.at("state/ctl"), self.at("none")],
            masked: vec![self.at("state")],
            ..Policy::default()
        }
    }

    fn command(&self) -> Command {
        Command {
            program: self.at("bin/claude"),
            args: vec!["-p".into(), "a'b \"c".into()],
            env: vec![("HTTPS_PROXY".into(), "http://corp".into())],
            cwd: self.at("state/work"),
        }
    }

    fn confine(&self, policy: &Policy) -> Result<Confined, SandboxError> {
        let setup = Setup {
            program: self.at("bin/claude"),
            search_path: OsString::new(),
            parent_proxy: None,
            scratch: std::env::temp_dir(),
        };
        Seatbelt::new(&setup).confine(self.command(), policy)
    }
}

fn profile_of(confined: &Confined) -> &str {
    confined.command.args[1].to_str().unwrap()
}

fn variable(confined: &Confined, name: &str) -> Option<String> {
    let found = confined.command.env.iter().find(|(own, _)| own == name);
    found.map(|(_, value)| value.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_command_comes_with_its_profile_and_no_shell() {
    let place = Place::new();
    let confined = place.confine(&place.policy()).unwrap();
    let Command { program, args, cwd, .. } = &confined.command;
    assert_eq!(program, Path::new("/usr/bin/sandbox-exec"));
    assert_eq!(cwd, &place.at("state/work"));
    assert_eq!((args.len(), args[0].to_str()), (5, Some("-p")));
    assert_eq!(
        args[2..],
        [place.at("bin/claude").into(), "-p".into(), OsString::from("a'b \"c")]
    );
    assert!(confined.control.is_none());
    let text = profile_of(&confined);
    let reads = |path: &str| allows(text, "file-read-data", place.at(path).to_str().unwrap());
    let writes = |path: &str| allows(text, "file-write-data", place.at(path).to_str().unwrap());
    assert!(writes("state/work/x") && reads("state/ctl/x") && reads("bin/claude"));
    assert!(!writes("state/ctl/x") && !reads("state/credentials.json") && !reads("notes/x"));
    // The password is for the child, and arguments can be read by others.
    let proxy = variable(&confined, "HTTPS_PROXY").unwrap();
    let word = proxy.split([':', '@']).nth(2).unwrap();
    assert!(word.len() > 40 && !args.iter().any(|arg| arg.to_str().unwrap().contains(word)));
    let other = place.confine(&place.policy()).unwrap();
    assert!(
        !variable(&other, "HTTPS_PROXY").unwrap().contains(word),
        "two children have one password"
    );
}

#[tokio::test]
async fn links_are_followed_and_secrets_hidden_before_they_are_there() {
    let place = Place::new();
    symlink(place.at("notes"), place.at("link")).unwrap();
    let policy = Policy {
        writable: vec![place.at("link")],
        readable: vec![place.at("notes"), place.at("bin")],
        masked: vec![place.at("link/later/key"), place.at("bin/claude"), place.at("bin")],
        ..place.policy()
    };
    let confined = place.confine(&policy).unwrap();
    let text = profile_of(&confined);
    let may = |what: &str, path: &str| allows(text, what, place.at(path).to_str().unwrap());
    // Writing wins over reading, and a secret over both.
    assert!(may("file-write-data", "notes/x") && !may("file-write-data", "link/x"));
    assert!(may("file-read-data", "link") && !may("file-read-data", "notes/later/key"));
    assert!(!may("file-read-data", "bin/claude") && !may("file-read-data", "bin/x"));
}

#[tokio::test]
async fn what_cannot_be_is_said() {
    let place = Place::new();
    let refused = |change: &dyn Fn(&mut Policy)| {
        let mut policy = place.policy();
        change(&mut policy);
        place.confine(&policy).unwrap_err().to_string()
    };
    let missing = refused(&|policy| policy.writable.push(place.at("gone")));
    assert!(
        missing.contains("gone, which the agent may use, cannot be used"),
        "{missing}"
    );
    let root = refused(&|policy| policy.writable.push("/".into()));
    assert!(root.contains("/ cannot be given to an agent"), "{root}");
    let twice = refused(&|policy| {
        let target = Target::Address(SocketAddr::from(([127, 0, 0, 1], 1)));
        policy.loopback = vec![
            Loopback {
                port: 9000,
                target: target.clone(),
            },
            Loopback { port: 9000, target },
        ];
    });
    assert!(
        twice.contains("port 9000 of its loopback would be two services"),
        "{twice}"
    );
    let many = refused(&|policy| policy.masked = (0..9999).map(|n| place.at(&format!("{n:060}"))).collect());
    assert!(many.contains("its profile has"), "{many}");
}

async fn answers(port: u16, word: &'static [u8]) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.write_all(word).await.unwrap();
        }
    });
    port
}

async fn hears(port: u16) -> String {
    let mut text = String::new();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

/// A port that nobody has at the moment.
async fn free() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
async fn services_are_reached_where_the_child_looks_for_them() {
    let place = Place::new();
    let (there, elsewhere) = (answers(0, b"there").await, answers(0, b"elsewhere").await);
    let (mapped, handled) = (free().await, free().await);
    let address = |port| Target::Address(SocketAddr::from(([127, 0, 0, 1], port)));
    let handler = Target::Handler(Arc::new(|mut stream: TcpStream| {
        tokio::spawn(async move { stream.write_all(b"handler").await });
    }));
    let loopback = [
        (there, address(there)),
        (mapped, address(elsewhere)),
        (handled, handler),
    ];
    let policy = Policy {
        loopback: loopback
            .into_iter()
            .map(|(port, target)| Loopback { port, target })
            .collect(),
        ..place.policy()
    };
    let confined = place.confine(&policy).unwrap();
    assert_eq!(
        [hears(there).await, hears(mapped).await, hears(handled).await],
        ["there", "elsewhere", "handler"]
    );
    let proxy = variable(&confined, "HTTP_PROXY").unwrap();
    let proxy: u16 = proxy.rsplit_once(':').unwrap().1.parse().unwrap();
    let text = profile_of(&confined);
    let named: Vec<_> = text.lines().filter(|line| line.contains("localhost:")).collect();
    let to = |port: u16| format!("(allow network-outbound (remote ip \"localhost:{port}\"))");
    assert_eq!(named, [there, mapped, handled, proxy].map(to));
    // Whoever has not the password goes nowhere; and all ends with the guard.
    let mut stream = TcpStream::connect(("127.0.0.1", proxy)).await.unwrap();
    stream
        .write_all(b"GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 407 "), "{answer}");
    // A port that is taken cannot be mapped.
    let error = place.confine(&policy).unwrap_err().to_string();
    assert!(error.contains(&format!("port {mapped} of 127.0.0.1")), "{error}");
    drop(confined);
    let freed = async {
        while TcpStream::connect(("127.0.0.1", proxy)).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), freed)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_open_network_has_no_proxy() {
    let place = Place::new();
    let confined = place
        .confine(&Policy {
            network: Network::Open,
            ..place.policy()
        })
        .unwrap();
    assert_eq!(variable(&confined, "HTTPS_PROXY").as_deref(), Some("http://corp"));
    assert!(profile_of(&confined).contains("(allow network* (local ip) (remote ip))"));
}

#[test]
fn people_are_told_that_it_is_untested() {
    let setup = Setup {
        program: "/x".into(),
        search_path: OsString::new(),
        parent_proxy: None,
        scratch: std::env::temp_dir(),
    };
    let summary = Seatbelt::new(&setup).summary();
    assert!(
        summary.detail.contains("Untested: this has never run on a Mac"),
        "{}",
        summary.detail
    );
}
