//! What a sandbox adds to the start of a program: `start_cost PROGRAM [ROUNDS]`, where PROGRAM answers the hidden subcommands.
//! Prints the median and the 90th percentile of a run of `/bin/true` without it and with it, for each kind of network.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use reveille_sandbox::{Command, Confined, Control, Network, Policy, Sandbox, SandboxError, Setup, Unconfined, detect};
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args_os().skip(1);
    let program = args.next().map(PathBuf::from).ok_or("start_cost PROGRAM [ROUNDS]")?;
    let rounds = args.next().and_then(|text| text.to_str()?.parse().ok()).unwrap_or(100);
    let sandbox = detect(&Setup {
        program,
        search_path: std::env::var_os("PATH").unwrap_or_default(),
        parent_proxy: None,
        scratch: std::env::temp_dir(),
    });
    measure("none", &Unconfined, Network::Open, rounds).await?;
    measure("open", &*sandbox, Network::Open, rounds).await?;
    measure("restricted", &*sandbox, Network::Restricted, rounds).await?;
    Ok(())
}

async fn measure(
    name: &str,
    sandbox: &dyn Sandbox,
    network: Network,
    rounds: usize,
) -> Result<(), Box<dyn std::error::Error>> {
    let policy = Policy {
        network,
        ..Policy::default()
    };
    let (mut starts, mut runs) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let begun = Instant::now();
        let confined = sandbox.confine(
            Command {
                program: "/bin/true".into(),
                args: Vec::new(),
                env: Vec::new(),
                cwd: "/".into(),
            },
            &policy,
        )?;
        starts.push(begun.elapsed());
        run(confined).await?;
        runs.push(begun.elapsed());
    }
    starts.sort();
    runs.sort();
    let at = |times: &[Duration], percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
    writeln!(
        std::io::stdout(),
        "{name:<10} p50 {:>6.2?} p90 {:>6.2?} (of it before the start: {:.2?})",
        at(&runs, 50),
        at(&runs, 90),
        at(&starts, 50),
    )?;
    Ok(())
}

async fn run(confined: Confined) -> Result<(), SandboxError> {
    let Confined {
        command,
        mut control,
        guard: _guard,
    } = confined;
    let ends = control.as_mut().and_then(Control::child_ends);
    let (stdin, stderr) = match ends {
        Some(ends) => (ends.stdin.into(), ends.stderr.into()),
        None => (Stdio::null(), Stdio::inherit()),
    };
    let failed = |error: std::io::Error| SandboxError::new(error.to_string(), "Try again");
    let mut child = tokio::process::Command::new(command.program)
        .args(command.args)
        .env_clear()
        .envs(command.env)
        .current_dir(command.cwd)
        .stdin(stdin)
        .stderr(stderr)
        .spawn()
        .map_err(failed)?;
    let _launched = match control {
        Some(control) => {
            let null = std::fs::File::open("/dev/null").map_err(failed)?;
            Some(control.complete(null.into(), LIMIT).await?)
        }
        None => None,
    };
    child.wait().await.map_err(failed)?;
    Ok(())
}
