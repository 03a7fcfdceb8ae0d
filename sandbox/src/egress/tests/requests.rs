//! Requests with an absolute address.

use pretty_assertions::assert_eq;
use tokio::sync::mpsc;

use super::*;

async fn world(tasks: &mut Tasks, server: SocketAddr) -> (SocketAddr, Arc<Net>, Log) {
    let net = Arc::new(Net::default());
    net.name("web.test", &["1.1.1.1"]);
    net.name("other.test", &["1.1.1.2"]);
    for at in ["1.1.1.1:80", "1.1.1.1:8080", "1.1.1.2:80"] {
        net.server(at, server);
    }
    let gate = gate(&["web.test", "web.test:8080", "other.test"], &net);
    let log = gate.log.clone();
    (tasks.proxy(gate).await, net, log)
}

#[tokio::test]
async fn a_request_is_rebuilt_for_its_destination() {
    let mut tasks = Tasks::default();
    let server = tasks.mirror().await;
    let (proxy, _, log) = world(&mut tasks, server).await;
    let answer = exchange(
        proxy,
        b"GET http://WEB.test./a?b=c HTTP/1.1\r\nHost: other.test\r\nProxy-Authorization: Basic eDp5\r\nProxy-Connection: keep-alive\r\n\
          Connection: keep-alive, X-Secret\r\nX-Secret: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nUpgrade: h2c\r\nX-Kept: 2\r\n\r\n",
    )
    .await;
    let (head, seen) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(status_of(head), 200);
    assert_eq!(
        seen,
        "GET /a?b=c HTTP/1.1\r\nhost: web.test\r\nx-kept: 2\r\nconnection: close\r\n\r\n"
    );
    for (line, first, host) in [
        ("GET http://web.test:8080", "GET / HTTP/1.1", "web.test:8080"),
        ("GET http://web.test:80/", "GET / HTTP/1.1", "web.test"),
        ("OPTIONS http://web.test", "OPTIONS * HTTP/1.1", "web.test"),
        ("DELETE http://web.test?x", "DELETE /?x HTTP/1.1", "web.test"),
        (
            "GET http://web.test/http://other.test/",
            "GET /http://other.test/ HTTP/1.1",
            "web.test",
        ),
    ] {
        let answer = exchange(proxy, format!("{line} HTTP/1.1\r\n\r\n").as_bytes()).await;
        let seen = answer.split_once("\r\n\r\n").unwrap().1;
        assert_eq!(
            seen,
            format!("{first}\r\nhost: {host}\r\nconnection: close\r\n\r\n"),
            "{line}"
        );
    }
    assert_eq!(counted(&log), ["web.test:80 Allowed 5", "web.test:8080 Allowed 1"]);
}

#[tokio::test]
async fn a_connection_carries_one_request() {
    let mut tasks = Tasks::default();
    let server = tasks.mirror().await;
    let (proxy, net, _) = world(&mut tasks, server).await;
    let answer = exchange(
        proxy,
        b"GET http://web.test/1 HTTP/1.1\r\n\r\nGET http://other.test/2 HTTP/1.1\r\n\r\n",
    )
    .await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 1);
    assert!(answer.contains("GET /1 ") && !answer.contains("/2"), "{answer}");
    assert!(answer.to_lowercase().contains("\r\nconnection: close\r\n"), "{answer}");
    assert_eq!(net.dialled(), ["1.1.1.1:80"]);
}

#[tokio::test]
async fn nothing_is_smuggled() {
    let mut tasks = Tasks::default();
    let server = tasks.mirror().await;
    let (proxy, net, _) = world(&mut tasks, server).await;
    let smuggled = "0\r\n\r\nGET http://other.test/ HTTP/1.1\r\n\r\n";
    for lines in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 5, 5\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding:\x0bchunked\r\n",
        "X: 1\r\n Content-Length: 5\r\n",
        "X: 1\nContent-Length: 5\r\n",
    ] {
        let answer = exchange(
            proxy,
            format!("POST http://web.test/ HTTP/1.1\r\n{lines}\r\n{smuggled}").as_bytes(),
        )
        .await;
        assert_eq!(status_of(&answer), 400, "{lines:?}");
        assert_eq!(answer.matches("\r\n\r\n").count(), 1, "{answer}");
    }
    assert_eq!(net.dialled(), [""; 0]);
}

#[tokio::test]
async fn bodies_stream_in_both_directions() {
    let mut tasks = Tasks::default();
    // Answers each piece of the body at once.
    let server = tasks.listen(async |stream| {
        let mut stream = BufReader::new(stream);
        read_head(&mut stream, 10_000).await.map_err(io::Error::other)?;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n")
            .await?;
        let mut line = String::new();
        while stream.read_line(&mut line).await? > 0 && line != "0\r\n" {
            line.clear();
            stream.read_line(&mut line).await?;
            stream
                .write_all(format!("{:x}\r\n{line}\r\n", line.len()).as_bytes())
                .await?;
            line.clear();
        }
        stream.write_all(b"0\r\n\r\n").await?;
        stream.shutdown().await
    });
    let server = server.await;
    let (proxy, _, _) = world(&mut tasks, server).await;
    let mut stream = BufReader::new(TcpStream::connect(proxy).await.unwrap());
    stream
        .write_all(b"POST http://web.test/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await
        .unwrap();
    let head = read_head(&mut stream, 10_000).await.unwrap();
    let head = String::from_utf8(head).unwrap().to_lowercase();
    assert!(
        head.contains("transfer-encoding: chunked") && !head.contains("content-length"),
        "{head}"
    );
    for piece in ["one", "two"] {
        stream.write_all(format!("3\r\n{piece}\r\n").as_bytes()).await.unwrap();
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        stream.read_line(&mut line).await.unwrap();
        stream.read_line(&mut line).await.unwrap();
        assert_eq!(line, format!("5\r\n{piece}\r\n\r\n"));
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "0\r\n\r\n");
}

#[tokio::test]
async fn a_child_that_goes_away_ends_its_request() {
    let mut tasks = Tasks::default();
    let (ended, mut end) = mpsc::unbounded_channel();
    // Never answers.
    let server = tasks.listen(move |mut stream| {
        let ended = ended.clone();
        async move {
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await?;
            ended.send(()).map_err(io::Error::other)
        }
    });
    let server = server.await;
    let net = Arc::new(Net::default());
    net.name("web.test", &["1.1.1.1"]);
    net.server("1.1.1.1:80", server);
    let mut children = Tasks::default();
    let proxy = children.proxy(gate(&["web.test"], &net)).await;
    let mut stream = TcpStream::connect(proxy).await.unwrap();
    stream
        .write_all(b"GET http://web.test/ HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    while net.dialled().is_empty() {
        tokio::task::yield_now().await;
    }
    drop(children);
    assert_eq!(end.recv().await, Some(()));
}

#[tokio::test]
async fn answers_that_are_none() {
    let mut tasks = Tasks::default();
    for answer in [
        "garbage\r\n\r\n",
        "",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ] {
        let server = tasks.listen(async move |mut stream| {
            stream.read_u8().await?;
            stream.write_all(answer.as_bytes()).await?;
            stream.shutdown().await
        });
        let server = server.await;
        let (proxy, _, _) = world(&mut tasks, server).await;
        assert_eq!(status(proxy, "GET http://web.test/").await, 502, "{answer}");
    }
}
