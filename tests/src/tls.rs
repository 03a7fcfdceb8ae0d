//! A certificate authority that only a test knows, and servers that have a certificate of it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use axum::serve::Listener;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use uuid::Uuid;

/// How long a client may take to agree on how to speak.
const GREETING: Duration = Duration::from_secs(2);
/// A new key, in a file that needs no password.
const NEW_KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/// A certificate authority, which `openssl` makes.
#[derive(Debug)]
pub struct Authority {
    dir: TempDir,
}

impl Authority {
    /// A new one, which nobody trusts.
    ///
    /// # Errors
    /// When there is no `openssl`, or it refuses.
    pub fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let authority = Self { dir };
        std::fs::write(
            authority.dir.path().join("ca.conf"),
            "[req]\ndistinguished_name = name\n[name]\n[authority]\nbasicConstraints = critical, CA:TRUE\nkeyUsage = keyCertSign\n",
        )?;
        // Two of the same name would be told apart by their keys alone.
        let name = format!("/CN={}", Uuid::new_v4());
        let place = ["-keyout", "ca.key", "-out", "ca.pem", "-days", "3650", "-subj", &name];
        let shape = ["req", "-x509", "-config", "ca.conf", "-extensions", "authority"];
        authority.openssl(&[&shape[..], &NEW_KEY, &place].concat())?;
        Ok(authority)
    }

    fn openssl(&self, args: &[&str]) -> Result<()> {
        let mut command = Command::new("openssl");
        let ran = command.args(args).current_dir(self.dir.path()).output();
        let ran = ran.context("the tests of TLS need the program openssl")?;
        let said = String::from_utf8_lossy(&ran.stderr);
        ensure!(ran.status.success(), "openssl {args:?}: {said}");
        Ok(())
    }

    /// The file with its certificate, for those who are to trust it: what `SSL_CERT_FILE` names.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// What a server needs that has a certificate of it for these names, such as `DNS:localhost` and `IP:127.0.0.1`, which ends
    /// in so many days.
    ///
    /// # Errors
    /// When `openssl` makes none of that.
    pub fn server(&self, names: &str, days: i32) -> Result<TlsAcceptor> {
        std::fs::write(self.dir.path().join("names"), format!("subjectAltName = {names}\n"))?;
        let place = ["-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=server"];
        self.openssl(&[&["req", "-config", "ca.conf"][..], &NEW_KEY, &place].concat())?;
        let days = days.to_string();
        let by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", &days];
        let place = ["-in", "server.csr", "-out", "server.pem", "-extfile", "names"];
        self.openssl(&[&["x509", "-req"][..], &by, &place].concat())?;
        let certificate = CertificateDer::from_pem_file(self.dir.path().join("server.pem"))?;
        let key = PrivateKeyDer::from_pem_file(self.dir.path().join("server.key"))?;
        let provider = rustls::crypto::ring::default_provider();
        let config = ServerConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// A socket that speaks TLS; who does not agree on it is passed over.
pub struct TlsListener {
    tcp: TcpListener,
    tls: TlsAcceptor,
}

impl TlsListener {
    /// On loopback, at a free port when the port is 0.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn bind(address: SocketAddr, tls: TlsAcceptor) -> Result<Self> {
        let tcp = TcpListener::bind(address).await?;
        Ok(Self { tcp, tls })
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.tcp).await;
            // One who refuses our certificate says so to its own user.
            if let Ok(Ok(stream)) = tokio::time::timeout(GREETING, self.tls.accept(stream)).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}
