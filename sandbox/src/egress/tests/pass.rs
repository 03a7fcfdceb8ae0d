//! A proxy that others can reach too.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pretty_assertions::assert_eq;

use super::*;
use crate::egress::Pass;

/// A proxy that wants a pass, with a server behind it.
async fn guarded(tasks: &mut Tasks) -> (SocketAddr, Pass, Log, Arc<Net>) {
    let net = Arc::new(Net::default());
    net.name("api.test", &["1.1.1.1"]);
    net.server("1.1.1.1:80", tasks.mirror().await);
    net.server("1.1.1.1:443", tasks.echo().await);
    let mut gate = gate(&["api.test"], &net);
    let pass = Pass::new();
    gate.pass = Some(pass.clone());
    let log = gate.log.clone();
    (tasks.proxy(gate).await, pass, log, net)
}

fn basic(user_info: &str) -> String {
    format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode(user_info))
}

#[tokio::test]
async fn http_goes_out_for_whom_it_is_meant_alone() {
    let mut tasks = Tasks::default();
    let (proxy, pass, log, net) = guarded(&mut tasks).await;
    let good = basic(&pass.user_info());
    for line in ["CONNECT api.test:443", "CONNECT other.test:443", "GET http://api.test/"] {
        for lines in [
            String::new(),
            basic(&Pass::new().user_info()),
            basic("agent:"),
            good.repeat(2),
        ] {
            let answer = exchange(proxy, format!("{line} HTTP/1.1\r\nHost: h\r\n{lines}\r\n").as_bytes()).await;
            assert_eq!(status_of(&answer), 407, "{line} {lines}");
            let wanted = "\r\nProxy-Authenticate: Basic realm=\"agent\"\r\n";
            assert!(
                answer.contains(wanted) && answer.contains("\r\nConnection: close\r\n"),
                "{answer}"
            );
        }
    }
    assert_eq!((counted(&log), net.dialled()), (Vec::new(), Vec::new()));
    // The same with the pass: it is looked at, and stays here.
    let sent = format!("CONNECT api.test:443 HTTP/1.1\r\nHost: h\r\n{good}\r\nhello\n");
    let mut stream = TcpStream::connect(proxy).await.unwrap();
    stream.write_all(sent.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "HTTP/1.1 200 Connection established\r\n\r\nhello\n");
    let answer = exchange(
        proxy,
        format!("GET http://api.test/ HTTP/1.1\r\nHost: h\r\n{good}\r\n").as_bytes(),
    )
    .await;
    assert_eq!(status_of(&answer), 200);
    assert!(!answer.to_lowercase().contains("proxy-authorization"), "{answer}");
    let answer = exchange(
        proxy,
        format!("CONNECT other.test:443 HTTP/1.1\r\nHost: h\r\n{good}\r\n").as_bytes(),
    )
    .await;
    assert_eq!(status_of(&answer), 403);
}

/// Sends all at once, and reads until the other side closes.
async fn socks(proxy: SocketAddr, sent: &[&[u8]]) -> Vec<u8> {
    let mut stream = TcpStream::connect(proxy).await.unwrap();
    stream.write_all(&sent.concat()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    // What was not read is a reset for us, after the answer.
    while let Ok(1..) = stream.read_buf(&mut answer).await {}
    answer
}

/// A name and a password.
fn shown(user_info: &str) -> Vec<u8> {
    let (name, word) = user_info.split_once(':').unwrap();
    let part = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [vec![1], part(name), part(word)].concat()
}

#[tokio::test]
async fn socks_goes_out_for_whom_it_is_meant_alone() {
    const REQUEST: &[u8] = b"\x05\x01\0\x03\x08api.test\x01\xbb";
    let mut tasks = Tasks::default();
    let (proxy, pass, log, net) = guarded(&mut tasks).await;
    let good = shown(&pass.user_info());
    // Whoever offers nothing, or something else, is refused before the request.
    for greeting in [&[5, 0][..], &[5, 1, 0], &[5, 2, 0, 1]] {
        assert_eq!(
            socks(proxy, &[greeting, &good, REQUEST]).await,
            [5, 0xff],
            "{greeting:?}"
        );
    }
    for other in [
        Pass::new().user_info(),
        "agent:".into(),
        ":".into(),
        format!("{}0", pass.user_info()),
    ] {
        assert_eq!(
            socks(proxy, &[&[5, 2, 0, 2], &shown(&other), REQUEST]).await,
            [5, 2, 1, 1]
        );
    }
    // Another version of the message, and none.
    for other in [&[5][..], &[]] {
        assert_eq!(socks(proxy, &[&[5, 1, 2], other, &good[1..], REQUEST]).await, [5, 2]);
    }
    assert_eq!((counted(&log), net.dialled()), (Vec::new(), Vec::new()));
    let answer = socks(proxy, &[&[5, 2, 0, 2], &good, REQUEST, b"hello"]).await;
    assert_eq!(answer, b"\x05\x02\x01\0\x05\0\0\x01\0\0\0\0\0\0hello");
}
