//! SOCKS version 5 (RFC 1928): connections without authentication, which is all that a child's own loopback needs, or with
//! a name and a password (RFC 1929).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncBufRead, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::gate::{Denied, Gate};
use super::host::{Destination, Host};
use super::parent::Purpose;
use super::{Pass, tunnel};

/// First byte of each message.
pub(super) const VERSION: u8 = 5;

/// First byte of the messages that show a name and a password.
const NAME_AND_PASSWORD_VERSION: u8 = 1;

const NO_AUTHENTICATION: u8 = 0;
const NAME_AND_PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xff;
const CONNECT: u8 = 1;

/// Answers to a request.
#[derive(Debug, Clone, Copy)]
enum Reply {
    Succeeded = 0,
    Failed = 1,
    NotAllowed = 2,
    HostUnreachable = 4,
    TtlExpired = 6,
    UnknownCommand = 7,
    UnknownAddress = 8,
}

/// Serves one connection.
pub(super) async fn serve(mut stream: impl AsyncBufRead + AsyncWrite + Unpin + Send, gate: &Gate) -> io::Result<()> {
    let asked = match tokio::time::timeout(gate.bounds.head_timeout, read(&mut stream, gate.pass.as_ref())).await {
        Ok(asked) => asked?,
        Err(elapsed) => return Err(elapsed.into()),
    };
    let to = match asked {
        Some(Ok(to)) => to,
        Some(Err(reply)) => return answer(&mut stream, reply).await,
        None => return Ok(()),
    };
    match gate.open(&to, Purpose::Tunnel).await {
        Ok(way) => {
            answer(&mut stream, Reply::Succeeded).await?;
            tunnel::run(stream, way, gate, &to).await
        }
        Err(Denied::NotListed | Denied::Address) => answer(&mut stream, Reply::NotAllowed).await,
        Err(Denied::Failed(_)) => answer(&mut stream, Reply::HostUnreachable).await,
        Err(Denied::Late) => answer(&mut stream, Reply::TtlExpired).await,
    }
}

/// Reads a greeting and a request. `None` when the greeting has been refused.
async fn read(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    pass: Option<&Pass>,
) -> io::Result<Option<Result<Destination, Reply>>> {
    if !greet(stream, pass).await? {
        return Ok(None);
    }
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let [VERSION, command, 0, kind] = head else {
        return Ok(Some(Err(Reply::Failed)));
    };
    let host = match kind {
        1 => Ok(Host::from(IpAddr::from(Ipv4Addr::from(stream.read_u32().await?)))),
        3 => {
            let name = counted(stream).await?;
            let text = str::from_utf8(&name).map_err(|_| Reply::Failed);
            text.and_then(|text| Host::parse_bare(text).map_err(|_| Reply::Failed))
        }
        4 => Ok(Host::from(IpAddr::from(Ipv6Addr::from(stream.read_u128().await?)))),
        _ => return Ok(Some(Err(Reply::UnknownAddress))),
    };
    let port = stream.read_u16().await?;
    if command != CONNECT {
        return Ok(Some(Err(Reply::UnknownCommand)));
    }
    Ok(Some(host.and_then(|host| match port {
        0 => Err(Reply::Failed),
        port => Ok(Destination { host, port }),
    })))
}

/// Reads a greeting with what has to be shown. Returns whether a request may follow.
async fn greet(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), pass: Option<&Pass>) -> io::Result<bool> {
    if stream.read_u8().await? != VERSION {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let methods = counted(stream).await?;
    let wanted = pass.map_or(NO_AUTHENTICATION, |_| NAME_AND_PASSWORD);
    let is_offered = methods.contains(&wanted);
    let method = if is_offered { wanted } else { NO_METHOD };
    stream.write_all(&[VERSION, method]).await?;
    stream.flush().await?;
    let (true, Some(pass)) = (is_offered, pass) else {
        return Ok(is_offered);
    };
    if stream.read_u8().await? != NAME_AND_PASSWORD_VERSION {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let (name, word) = (counted(stream).await?, counted(stream).await?);
    let is_known = pass.is(&name, &word);
    if !is_known {
        tracing::debug!("a connection was refused: the password for the proxy is wrong");
    }
    stream
        .write_all(&[NAME_AND_PASSWORD_VERSION, u8::from(!is_known)])
        .await?;
    stream.flush().await?;
    Ok(is_known)
}

/// Bytes after their number.
async fn counted(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; stream.read_u8().await?.into()];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// Sends a reply; the address in it, that of the connection, is nobody's business.
async fn answer(stream: &mut (impl AsyncWrite + Unpin), reply: Reply) -> io::Result<()> {
    stream
        .write_all(&[VERSION, reply as u8, 0, 1, 0, 0, 0, 0, 0, 0])
        .await?;
    stream.flush().await
}
