//! The proxy in memory, for the fuzz targets alone.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::runtime::Builder;
use tokio::task::JoinHandle;

use super::dial::{BoxStream, Outside};
use super::host::{Destination, Host};
use super::serve::connection;
use super::{Gate, Log, Pass, Rule};

/// Bytes on their way.
const BUFFER: usize = 64 * 1024;

/// What each server answers.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What has come of one connection.
#[derive(Debug)]
pub struct Proxied {
    /// What the child was told.
    pub answer: Vec<u8>,
    /// Where the proxy has connected to, and what it has said there.
    pub reached: Vec<(SocketAddr, Vec<u8>)>,
}

/// A host in its one form.
#[must_use]
pub fn host(text: &str) -> Option<String> {
    Host::parse(text).ok().map(|host| host.to_string()) // silent-ok: no host is an answer
}

/// Whether a rule allows a connection to `HOST:PORT`; `None` when that is no destination.
#[must_use]
pub fn allows(rule: &Rule, to: &str) -> Option<bool> {
    Destination::parse(to).ok().map(|to| rule.allows(&to)) // silent-ok: as above
}

/// Serves a connection on which a child sends `input` and then closes its side. With a pass it is that of a stranger.
///
/// # Errors
/// There is no runtime.
pub fn proxied(
    input: &[u8],
    rules: Vec<Rule>,
    names: fn(&str) -> Vec<IpAddr>,
    pass: Option<Pass>,
) -> io::Result<Proxied> {
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let net = Arc::new(Net {
            names,
            reached: Mutex::default(),
        });
        let mut gate = Gate::new(rules, Log::default());
        gate.pass = pass;
        gate.outside = Arc::<Net>::clone(&net);
        let (child, ours) = duplex(BUFFER);
        let (mut read, mut write) = tokio::io::split(child);
        let say = async {
            write.write_all(input).await?;
            write.shutdown().await
        };
        let mut answer = Vec::new();
        // Each side may end before the others; what was heard until then counts.
        let _ends = tokio::join!(connection(ours, Arc::new(gate)), say, read.read_to_end(&mut answer));
        let tasks = std::mem::take(&mut *net.reached.lock().unwrap_or_else(PoisonError::into_inner));
        let mut reached = Vec::new();
        for (address, heard) in tasks {
            reached.push((address, heard.await?));
        }
        Ok(Proxied { answer, reached })
    })
}

#[derive(Debug)]
struct Net {
    names: fn(&str) -> Vec<IpAddr>,
    reached: Mutex<Vec<(SocketAddr, JoinHandle<Vec<u8>>)>>,
}

#[async_trait]
impl Outside for Net {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok((self.names)(name))
    }

    async fn connect(&self, addresses: &[SocketAddr], _patience: Duration) -> io::Result<BoxStream> {
        let (ours, theirs) = duplex(BUFFER);
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        reached.extend(
            addresses
                .first()
                .map(|address| (*address, tokio::spawn(server(theirs)))),
        );
        Ok(Box::new(ours))
    }

    fn is_own(&self, _: IpAddr) -> bool {
        false
    }
}

/// Answers the first bytes, and hears the others.
async fn server(mut stream: DuplexStream) -> Vec<u8> {
    let mut heard = Vec::new();
    let mut is_answered = false;
    loop {
        match stream.read_buf(&mut heard).await {
            Ok(0) | Err(_) => return heard,
            Ok(_) if is_answered => {}
            // silent-ok: who has gone does not want the answer
            Ok(_) => is_answered = stream.write_all(ANSWER).await.is_ok(),
        }
    }
}
