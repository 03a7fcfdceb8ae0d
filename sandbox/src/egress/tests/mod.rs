//! The proxy over real sockets. Only names, and the addresses outside of this machine, are ours.

mod forwarding;
mod guard;
mod limits;
mod parent;
mod pass;
mod proxy;
mod requests;
mod shield;
mod socks;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::dial::{BoxStream, Outside, Stream};
use super::head::read_head;
use super::{Gate, Log, Rule, serve};

/// Names, and who answers at the addresses of the internet.
#[derive(Debug, Default)]
struct Net {
    /// The answers to one question after another; the last one stays.
    names: Mutex<HashMap<String, VecDeque<Vec<IpAddr>>>>,
    /// Where a server really listens.
    servers: Mutex<HashMap<SocketAddr, SocketAddr>>,
    /// All addresses to which there was a connection.
    dialled: Mutex<Vec<SocketAddr>>,
    /// Addresses of this machine.
    own: Vec<IpAddr>,
}

impl Net {
    /// A name with its addresses, the same for each question.
    fn name(&self, name: &str, ips: &[&str]) {
        self.answers(name, &[ips]);
    }

    fn answers(&self, name: &str, answers: &[&[&str]]) {
        let parse = |ips: &&[&str]| ips.iter().map(|ip| ip.parse().unwrap()).collect();
        let answers = answers.iter().map(parse).collect();
        self.names.lock().unwrap().insert(name.to_owned(), answers);
    }

    /// Puts a server to an address.
    fn server(&self, at: &str, really: SocketAddr) {
        self.servers.lock().unwrap().insert(at.parse().unwrap(), really);
    }

    fn dialled(&self) -> Vec<String> {
        self.dialled.lock().unwrap().iter().map(ToString::to_string).collect()
    }
}

#[async_trait]
impl Outside for Net {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let mut names = self.names.lock().unwrap();
        let answers = names.get_mut(name).ok_or(io::ErrorKind::NotFound)?;
        let answer = if answers.len() > 1 {
            answers.pop_front()
        } else {
            answers.front().cloned()
        };
        answer.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    async fn connect(&self, addresses: &[SocketAddr], _patience: Duration) -> io::Result<BoxStream> {
        for address in addresses {
            self.dialled.lock().unwrap().push(*address);
            let really = self.servers.lock().unwrap().get(address).copied();
            if let Some(really) = really {
                return Ok(Box::new(TcpStream::connect(really).await?));
            }
        }
        Err(io::ErrorKind::ConnectionRefused.into())
    }

    fn is_own(&self, ip: IpAddr) -> bool {
        self.own.contains(&ip)
    }
}

/// Listeners that are served until it is dropped.
#[derive(Default)]
struct Tasks(JoinSet<()>);

impl Tasks {
    /// Serves each connection.
    async fn listen<F>(&mut self, serve: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> SocketAddr
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        self.0.spawn(async move {
            let mut tasks = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                tasks.spawn(serve(stream));
            }
        });
        address
    }

    /// A server that answers each request with its head, and then closes.
    async fn mirror(&mut self) -> SocketAddr {
        self.listen(mirror).await
    }

    /// A server that says back what it is told.
    async fn echo(&mut self) -> SocketAddr {
        self.listen(async |mut stream| {
            let (mut read, mut write) = stream.split();
            tokio::io::copy(&mut read, &mut write).await?;
            write.shutdown().await
        })
        .await
    }

    /// The proxy for a gate.
    async fn proxy(&mut self, gate: Gate) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        self.0.spawn(serve(listener, Arc::new(gate)));
        address
    }
}

async fn mirror(stream: impl Stream) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let head = read_head(&mut stream, 100_000).await.map_err(io::Error::other)?;
    let length = head.len();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(answer.as_bytes()).await?;
    stream.write_all(&head).await?;
    stream.shutdown().await
}

fn rules(texts: &[&str]) -> Vec<Rule> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// A gate to a network of names.
fn gate(texts: &[&str], net: &Arc<Net>) -> Gate {
    let mut gate = Gate::new(rules(texts), Log::default());
    gate.outside = Arc::<Net>::clone(net);
    gate
}

/// All that has been counted, a line each.
fn counted(log: &Log) -> Vec<String> {
    let all = log.connections();
    let line = |one: &super::Connection| format!("{}:{} {:?} {}", one.host, one.port, one.decision, one.count);
    all.iter().map(line).collect()
}

/// Sends all of it, and reads until the other side closes.
async fn exchange(proxy: SocketAddr, sent: &[u8]) -> String {
    let mut stream = TcpStream::connect(proxy).await.unwrap();
    stream.write_all(sent).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status of the answer to a request line without further headers.
async fn status(proxy: SocketAddr, line: &str) -> u16 {
    let answer = exchange(proxy, format!("{line} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()).await;
    status_of(&answer)
}

fn status_of(answer: &str) -> u16 {
    let code = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    code.unwrap_or_else(|| panic!("no answer: {answer:?}")).parse().unwrap()
}

/// A tunnel that has been granted.
async fn tunnel(proxy: SocketAddr, to: &str) -> BufReader<TcpStream> {
    let mut stream = BufReader::new(TcpStream::connect(proxy).await.unwrap());
    stream
        .write_all(format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let head = read_head(&mut stream, 10_000).await.unwrap();
    assert_eq!(status_of(&String::from_utf8_lossy(&head)), 200);
    stream
}

/// Says something through a tunnel and hears it again.
async fn says_back(stream: &mut BufReader<TcpStream>) {
    stream.write_all(b"hello\n").await.unwrap();
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    assert_eq!(line, "hello\n");
}
