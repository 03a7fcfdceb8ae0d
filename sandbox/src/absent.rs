//! A machine without a sandbox.

use crate::{Command, Confined, Policy, Sandbox, SandboxError, Summary};

/// Confines nothing because it runs nothing.
pub(crate) struct Absent(pub(crate) SandboxError);

impl Sandbox for Absent {
    fn summary(&self) -> Summary {
        Summary {
            mode: "absent",
            confined: true,
            detail: format!("agents cannot run: {}. {}", self.0.reason, self.0.mend),
        }
    }

    fn confine(&self, _command: Command, _policy: &Policy) -> Result<Confined, SandboxError> {
        Err(self.0.clone())
    }
}
