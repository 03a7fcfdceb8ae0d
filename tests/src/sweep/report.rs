use std::collections::BTreeMap;
use std::fmt;

/// What happened.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Report {
    pub kills: u64,
    pub kills_before_ready: u64,
    pub kills_while_stopping: u64,
    pub kills_at_points: u64,
    pub starts_refused: u64,
    pub letters: u64,
    pub told_to_come_later: u64,
    pub stopped: u64,
    pub turns: BTreeMap<String, u64>,
    pub joined: u64,
    pub interruptions: u64,
    pub answers: u64,
    pub callbacks: u64,
    pub vault_faults: u64,
    pub queue_faults: u64,
    pub tools_run: u64,
    pub looks: u64,
    pub looks_at_several: u64,
    pub most_children: u64,
    /// Billionths of a US dollar.
    pub recorded: u64,
    /// Billionths of a US dollar, reported to daemons that died before they wrote them down.
    pub lost: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let turns: Vec<_> = self
            .turns
            .iter()
            .map(|(state, count)| format!("{count} {state}"))
            .collect();
        write!(
            f,
            "{} kills ({} at points, {} before it was ready, {} while it stopped; {} starts refused); {} letters, {} answers, {} callbacks; turns: {}; \
             {} part of another one, {} interruptions, {} stopped; faults: {} of the vault, {} of the queue, {} clients told to come later; \
             {} tools run; {} looks at the processes, {} of them at several children, {} at most; \
             cost in nano-dollars: {} recorded, {} reported to a dying daemon",
            self.kills,
            self.kills_at_points,
            self.kills_before_ready,
            self.kills_while_stopping,
            self.starts_refused,
            self.letters,
            self.answers,
            self.callbacks,
            turns.join(", "),
            self.joined,
            self.interruptions,
            self.stopped,
            self.vault_faults,
            self.queue_faults,
            self.told_to_come_later,
            self.tools_run,
            self.looks,
            self.looks_at_several,
            self.most_children,
            self.recorded,
            self.lost,
        )
    }
}
