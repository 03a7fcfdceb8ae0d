//! `reveille serve`

use std::io::IsTerminal as _;
use std::net::SocketAddr;

use clap::Args;
use reveille_backends::adopt_orphans;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::output::{note, out};
use super::{CliError, Global};
use crate::config::Log;
use crate::logging::{self, LogError, Logging};
use crate::service::Options;

/// Run the daemon.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Address and port; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT")]
    bind: Option<SocketAddr>,
}

impl Serve {
    pub(super) async fn run(self, global: &Global) -> Result<(), CliError> {
        let mut config = global.config()?;
        if let Some(bind) = self.bind {
            config.server.bind = bind;
        }
        let _log = start_log(&config.log)?;
        let options = Options {
            state_dir: global.state_dir(),
            config,
            environment: std::env::vars_os().collect(),
        };
        if let Err(error) = adopt_orphans() {
            tracing::debug!(%error, "what turns leave is looked for among all processes");
        }
        let service = options.build().await?;
        out!("reveille listens on {}", service.url());
        if std::io::stderr().is_terminal() {
            note(&format!(
                "sign in: {} (works once, for 10 minutes; `reveille open` makes another)",
                service.sign_in_url()
            ));
        }
        let (stop, hurry) = on_signals()?;
        Ok(service.run(stop, hurry).await?)
    }
}

/// The first SIGINT or SIGTERM stops, the second hurries.
pub(super) fn on_signals() -> Result<(CancellationToken, CancellationToken), CliError> {
    let listen = |kind| signal(kind).map_err(|error| CliError::Failed(format!("no signal handler: {error}")));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let (stop, hurry) = (CancellationToken::new(), CancellationToken::new());
    let tokens = (stop.clone(), hurry.clone());
    tokio::spawn(async move {
        for token in [stop, hurry] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            token.cancel();
        }
    });
    Ok(tokens)
}

/// The log, for as long as the answer lives.
pub(super) fn start_log(log: &Log) -> Result<Logging, CliError> {
    logging::start(log).map_err(|error| match error {
        LogError::Filter { .. } => CliError::Usage(error.to_string()),
        LogError::Taken(_) => CliError::Failed(error.to_string()),
    })
}
