//! Really running a command, as the CLI's Bash tool does: in a session of its own, with its output in a file.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};

pub(super) struct Running {
    child: Child,
    output: PathBuf,
}

impl Running {
    pub(super) fn start(command: &str) -> io::Result<Self> {
        let output = std::env::temp_dir().join(format!("stand-in-{}.output", std::process::id()));
        let start = |program: &str, args: &[&str], group: bool| {
            let file = File::create(&output)?;
            let mut bash = Command::new(program);
            bash.args(args)
                .arg(command)
                .stdin(Stdio::null())
                .stdout(file.try_clone()?)
                .stderr(file);
            if group {
                bash.process_group(0);
            }
            bash.spawn()
        };
        let child = match start("setsid", &["bash", "-c"], false) {
            // Not every system has it; a group of its own comes nearest.
            Err(error) if error.kind() == io::ErrorKind::NotFound => start("bash", &["-c"], true),
            started => started,
        }?;
        Ok(Self { child, output })
    }

    /// Its exit code and output, once it has ended. A signal counts as 128 plus its number.
    pub(super) fn ended(&mut self) -> io::Result<Option<(i32, String)>> {
        use std::os::unix::process::ExitStatusExt;
        let Some(status) = self.child.try_wait()? else {
            return Ok(None);
        };
        let code = status
            .code()
            .or_else(|| status.signal().map(|signal| 128 + signal))
            .unwrap_or(-1);
        let text = String::from_utf8_lossy(&fs::read(&self.output)?).trim_end().to_owned();
        fs::remove_file(&self.output)?;
        Ok(Some((code, text)))
    }

    /// What the CLI does on an interrupt.
    pub(super) fn kill(mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // silent-ok: it has just ended by itself.
            let _ = kill_process_group(pid, Signal::KILL);
        }
        // silent-ok: the turn ends in any case.
        let _ = self.child.wait().and_then(|_| fs::remove_file(&self.output));
    }
}
