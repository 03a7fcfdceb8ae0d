//! What the daemon and the shim tell each other, over one socket that keeps messages apart.
//!
//! ```text
//! daemon -> shim    the order; the program's stdin and stderr; where to complain
//! shim   -> daemon  ready; the listeners. The kernel adds the id of the process
//! daemon -> shim    go
//! ```
//! The socket is stderr of bubblewrap, so what that complains of arrives there as well, without a mark. Its stdin is a pipe
//! with its arguments: until it was told them it begins with nothing.

use std::ffi::{OsStr, OsString};
use std::io::{self, IoSliceMut, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};

use crate::Limits;

/// First bytes of a message, so that bubblewrap's words cannot be taken for one. The last one is the version of what follows.
pub(crate) const ORDER: &[u8] = b"\0O2";
/// See [`ORDER`].
pub(crate) const READY: &[u8] = b"\0R1";
/// See [`ORDER`].
pub(crate) const GO: &[u8] = b"\0G1";
/// See [`ORDER`]. A text for people follows.
pub(crate) const FAILED: &[u8] = b"\0F1";

/// Descriptors of one message; the kernel allows 253.
pub(crate) const FDS_MAX: usize = 64;
/// Bytes of one message.
const MESSAGE: usize = 16 * 1024;

/// What the shim has to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Order {
    /// Absolute path of the program.
    pub(crate) program: OsString,
    /// Arguments after the program.
    pub(crate) args: Vec<OsString>,
    /// The whole environment, each `NAME=value`.
    pub(crate) env: Vec<OsString>,
    /// Working directory.
    pub(crate) cwd: OsString,
    /// What may be written.
    pub(crate) writable: Vec<OsString>,
    /// Places that must not be read, also when somebody puts others in their place.
    pub(crate) hidden: Vec<OsString>,
    /// What may be read below these all the same.
    pub(crate) shown: Vec<OsString>,
    /// Places that must be what the daemon has seen under their names: path, device, inode.
    pub(crate) places: Vec<(OsString, u64, u64)>,
    /// Ports of 127.0.0.1 to listen on.
    pub(crate) ports: Vec<u16>,
    /// Limits of each process.
    pub(crate) limits: Limits,
    /// Whether files and directories may get the rights of their group.
    pub(crate) group_rights: bool,
}

impl Order {
    /// As bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer(Vec::new());
        out.bytes(&self.program);
        out.bytes(&self.cwd);
        for list in [&self.args, &self.env, &self.writable, &self.hidden, &self.shown] {
            out.number(list.len() as u64);
            list.iter().for_each(|one| out.bytes(one));
        }
        out.number(self.places.len() as u64);
        for (path, device, inode) in &self.places {
            out.bytes(path);
            out.number(*device);
            out.number(*inode);
        }
        out.number(self.ports.len() as u64);
        self.ports.iter().for_each(|port| out.number((*port).into()));
        out.number(self.limits.open_files);
        out.number(self.limits.processes);
        out.number(self.group_rights.into());
        out.0
    }

    /// From bytes.
    pub(crate) fn decode(bytes: &[u8]) -> io::Result<Self> {
        let mut from = Reader(bytes);
        let program = from.bytes()?;
        let cwd = from.bytes()?;
        let args = from.list(Reader::bytes)?;
        let env = from.list(Reader::bytes)?;
        let writable = from.list(Reader::bytes)?;
        let hidden = from.list(Reader::bytes)?;
        let shown = from.list(Reader::bytes)?;
        let places = from.list(|from| Ok((from.bytes()?, from.number()?, from.number()?)))?;
        let ports = from.list(|from| u16::try_from(from.number()?).map_err(io::Error::other))?;
        let limits = Limits {
            open_files: from.number()?,
            processes: from.number()?,
            // Kept from outside.
            ..Limits::default()
        };
        let group_rights = from.number()? != 0;
        Ok(Self {
            program,
            args,
            env,
            cwd,
            writable,
            hidden,
            shown,
            places,
            ports,
            limits,
            group_rights,
        })
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn number(&mut self, number: u64) {
        self.0.extend(number.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &OsStr) {
        self.number(bytes.len() as u64);
        self.0.extend(bytes.as_bytes());
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn number(&mut self) -> io::Result<u64> {
        let mut number = [0; 8];
        self.0.read_exact(&mut number)?;
        Ok(u64::from_le_bytes(number))
    }

    fn bytes(&mut self) -> io::Result<OsString> {
        let length = usize::try_from(self.number()?).map_err(io::Error::other)?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.0 = rest;
        Ok(OsString::from_vec(bytes.to_vec()))
    }

    fn list<T>(&mut self, one: impl Fn(&mut Self) -> io::Result<T>) -> io::Result<Vec<T>> {
        (0..self.number()?).map(|_| one(self)).collect()
    }
}

/// One message.
#[derive(Debug, Default)]
pub(crate) struct Message {
    /// Empty when the other side is gone.
    pub(crate) bytes: Vec<u8>,
    /// What came with it.
    pub(crate) fds: Vec<OwnedFd>,
    /// Who has sent it, if the socket asks for that.
    pub(crate) pid: Option<i32>,
}

/// Receives one message; `flags` besides those that are always needed.
pub(crate) fn receive(socket: impl AsFd, flags: RecvFlags) -> io::Result<Message> {
    let mut bytes = vec![0; MESSAGE];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX), ScmCredentials(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags)?;
    if got.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(io::Error::other("a message is too long"));
    }
    bytes.truncate(got.bytes);
    let mut message = Message {
        bytes,
        ..Message::default()
    };
    for part in control.drain() {
        match part {
            RecvAncillaryMessage::ScmRights(fds) => message.fds.extend(fds),
            RecvAncillaryMessage::ScmCredentials(who) => message.pid = Some(who.pid.as_raw_nonzero().get()),
            _ => {}
        }
    }
    Ok(message)
}

/// The variables of an order as pairs.
pub(crate) fn pair(variable: &OsStr) -> Option<(OsString, OsString)> {
    let bytes = variable.as_bytes();
    // A name may begin with the sign.
    let at = bytes.iter().skip(1).position(|&byte| byte == b'=')? + 1;
    let (name, value) = (bytes.get(..at)?, bytes.get(at + 1..)?);
    Some((OsString::from_vec(name.to_vec()), OsString::from_vec(value.to_vec())))
}

/// A path as the daemon knows it.
pub(crate) fn raw(path: &Path) -> OsString {
    path.as_os_str().to_owned()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn an_order_comes_out_as_it_went_in() {
        let order = Order {
            program: "/bin/sh".into(),
            args: vec![OsString::from_vec(vec![0xff, b'\n']), OsString::new()],
            env: vec!["A=b=c".into()],
            cwd: "/".into(),
            writable: vec!["/w".into()],
            hidden: vec!["/h".into()],
            shown: vec!["/h/s".into()],
            places: vec![("/w".into(), 1, u64::MAX)],
            ports: vec![3128, 65535],
            limits: Limits::default(),
            group_rights: true,
        };
        let bytes = order.encode();
        assert_eq!(Order::decode(&bytes).unwrap(), order);
        for cut in 0..bytes.len() {
            Order::decode(&bytes[..cut]).unwrap_err();
        }
        assert_eq!(pair(&order.env[0]), Some(("A".into(), "b=c".into())));
    }
}
