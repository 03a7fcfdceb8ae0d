//! What a turn of an agent may reach, for somebody who tries it out: the policy as the daemon tells it to the command line.
//! Nothing in it is secret; that it names what is hidden is why admins alone get it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use reveille_backends::authorities;
use reveille_sandbox::egress::{Rule, RuleError, Standing};
use reveille_sandbox::{Filesystem, Limits, Loopback, Network, Policy, Target};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A host that may be reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = RehearsalHost)]
pub(crate) struct Host {
    /// `HOST:PORT`, `*.DOMAIN`, …
    rule: String,
    /// Who answers for where its name leads: `asked` (nobody), `known` or `trusted` (the operator, also for addresses of this
    /// machine and of its networks).
    #[schema(value_type = String)]
    standing: Standing,
}

/// A service of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = RehearsalPort)]
pub(crate) struct Port {
    /// Port of 127.0.0.1 inside.
    port: u16,
    /// Who answers, outside.
    #[schema(value_type = String)]
    address: SocketAddr,
}

/// What a turn has around it that no policy says.
#[derive(Debug)]
pub(crate) struct Surroundings {
    /// The program of the agent.
    pub(crate) program: Option<PathBuf>,
    /// What turns get of the daemon's environment.
    pub(crate) base_env: Vec<(OsString, OsString)>,
    /// Where the daemon is found.
    pub(crate) url: String,
    /// What a turn would reach besides, and this does not tell how.
    pub(crate) left_out: Vec<String>,
}

/// What a turn of an agent may reach, but for its conversation's own directories. All paths are absolute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = SandboxPolicy)]
pub(crate) struct Rehearsal {
    /// The user of the daemon, who runs the turns.
    pub(crate) uid: u32,
    #[schema(value_type = String)]
    filesystem: Filesystem,
    #[schema(value_type = String)]
    network: Network,
    /// Where it works; null: in a directory of its conversation.
    #[schema(value_type = Option<String>, required)]
    pub(crate) workspace: Option<PathBuf>,
    #[schema(value_type = Vec<String>)]
    writable: Vec<PathBuf>,
    #[schema(value_type = Vec<String>)]
    readable: Vec<PathBuf>,
    /// Those of the two that must not have become links.
    #[schema(value_type = Vec<String>)]
    straight: Vec<PathBuf>,
    /// What is never seen.
    #[schema(value_type = Vec<String>)]
    masked: Vec<PathBuf>,
    /// Programs that are shown with what they need.
    #[schema(value_type = Vec<String>)]
    programs: Vec<PathBuf>,
    /// Hosts that are reached when the network is not open.
    egress: Vec<Host>,
    /// Services of the machine that are.
    loopback: Vec<Port>,
    /// Open files of one process.
    open_files: u64,
    /// Processes and threads; no limit of root's.
    processes: u64,
    /// Variables of a turn, without those of proxies and without everything that is stored, configured or granted: it may
    /// be secret.
    pub(crate) environment: BTreeMap<String, String>,
    /// Approved connections to places that are only known once they are lent to a turn.
    pub(crate) left_out: Vec<String>,
}

impl Rehearsal {
    /// Tells a policy.
    pub(crate) fn new(policy: Policy, workspace: Option<PathBuf>, around: Surroundings) -> Self {
        let port = |one: Loopback| match one.target {
            Target::Address(address) => Some(Port {
                port: one.port,
                address,
            }),
            // Code of the daemon: nobody else has it.
            Target::Handler(_) => None,
        };
        let host = |rule: Rule| Host {
            standing: rule.standing(),
            rule: rule.to_string(),
        };
        let mut readable = policy.readable;
        readable.extend(authorities(&around.base_env));
        let mut environment = told(around.base_env);
        environment.insert("REVEILLE_URL".to_owned(), around.url);
        Self {
            uid: rustix::process::geteuid().as_raw(),
            filesystem: policy.filesystem,
            network: policy.network,
            workspace,
            writable: policy.writable,
            readable,
            straight: policy.straight,
            masked: policy.masked,
            programs: around.program.into_iter().collect(),
            egress: policy.egress.into_iter().map(host).collect(),
            loopback: policy.loopback.into_iter().filter_map(port).collect(),
            open_files: policy.limits.open_files,
            processes: policy.limits.processes,
            environment,
            left_out: around.left_out,
        }
    }

    /// The policy again.
    ///
    /// # Errors
    /// A host is none.
    pub(crate) fn policy(&self) -> Result<Policy, RuleError> {
        let rule = |host: &Host| {
            let rule: Rule = host.rule.parse()?;
            Ok(match host.standing {
                Standing::Asked => rule,
                Standing::Known => rule.known(),
                Standing::Trusted => rule.trusted(),
            })
        };
        let loopback = |one: &Port| Loopback {
            port: one.port,
            target: Target::Address(one.address),
        };
        Ok(Policy {
            filesystem: self.filesystem,
            network: self.network,
            writable: self.writable.clone(),
            readable: self.readable.clone(),
            straight: self.straight.clone(),
            masked: self.masked.clone(),
            programs: self.programs.clone(),
            egress: self.egress.iter().map(rule).collect::<Result<_, RuleError>>()?,
            loopback: self.loopback.iter().map(loopback).collect(),
            limits: Limits {
                open_files: self.open_files,
                processes: self.processes,
                ..Limits::default()
            },
            ..Policy::default()
        })
    }
}

/// What may be told of it: the address of a proxy may hold a password.
fn told(base_env: Vec<(OsString, OsString)>) -> BTreeMap<String, String> {
    let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?)); // silent-ok: JSON has no such text
    let plain = |(name, _): &(String, String)| !name.to_ascii_uppercase().ends_with("_PROXY");
    base_env.into_iter().filter_map(text).filter(plain).collect()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_policy_that_is_told_is_the_same_again_and_no_password_is_told() {
        let rules = ["example.com", "*.example.com:8443", "10.0.0.7:22", "[2001:db8::1]:443"];
        let mut egress: Vec<Rule> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        egress.push("hub.example.com:443".parse::<Rule>().unwrap().trusted());
        egress.extend(Rule::base());
        let policy = Policy {
            filesystem: Filesystem::Full,
            network: Network::Restricted,
            writable: vec!["/w".into()],
            readable: vec!["/r".into()],
            straight: vec!["/w".into()],
            masked: vec!["/m".into()],
            programs: vec!["/bin/claude".into()],
            egress,
            loopback: vec![Loopback {
                port: 1940,
                target: Target::Address("[::1]:1940".parse().unwrap()),
            }],
            limits: Limits {
                open_files: 9,
                processes: 8,
                ..Limits::default()
            },
            ..Policy::default()
        };
        let base_env = [
            ("PATH", "/bin"),
            ("https_proxy", "http://me:canary@proxy"),
            ("SSL_CERT_FILE", "/ca"),
        ];
        let around = Surroundings {
            program: Some("/bin/claude".into()),
            base_env: base_env.map(|(name, value)| (name.into(), value.into())).into(),
            url: "http://127.0.0.1:1".into(),
            left_out: Vec::new(),
        };
        let told = Rehearsal::new(policy.clone(), Some("/w".into()), around);
        let text = serde_json::to_string(&told).unwrap();
        assert!(!text.contains("canary") && text.contains("\"PATH\":\"/bin\""), "{text}");
        let again = serde_json::from_str::<Rehearsal>(&text).unwrap().policy().unwrap();
        let expected = Policy {
            readable: vec!["/r".into(), "/ca".into()],
            ..policy
        };
        assert_eq!(format!("{again:?}"), format!("{expected:?}"));
    }
}
