//! Finding and ending the processes of a turn. Tools run in sessions of their own and survive the death of the CLI, so a
//! process group is not enough: what finds them all is a variable that each of them has inherited.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod orphans;
#[cfg(not(target_os = "linux"))]
mod other;

#[cfg(target_os = "linux")]
pub(crate) use linux::Hunt;
#[cfg(target_os = "linux")]
pub use orphans::adopt_orphans;
#[cfg(target_os = "linux")]
pub(crate) use orphans::{Own, starting};
#[cfg(not(target_os = "linux"))]
pub use other::adopt_orphans;
#[cfg(not(target_os = "linux"))]
pub(crate) use other::{Hunt, Own, starting};

/// What a [`sweep`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Ids of the processes that were killed, ascending.
    pub killed: Vec<i32>,
    /// Ids of the processes that were still alive after five seconds, ascending. They sleep in the kernel, or belong to
    /// another user.
    pub left: Vec<i32>,
    /// Why the search could not be made, a sentence for the log. The lists may then be incomplete.
    pub problem: Option<String>,
}

/// The processes of one program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Census {
    /// Those in other sessions than its own: what a tool has left.
    pub(crate) strangers: usize,
    /// Bytes of memory of all of them; what several share counts for each.
    pub(crate) bytes: u64,
}

/// Kills every process that has `marker_key=value` in its environment, and returns when none is left or after about five
/// seconds. This process and its ancestors are spared.
///
/// On Linux the environment is read from `/proc`. On other systems there is no such list that an ordinary program may read:
/// nothing is killed, and [`SweepReport::problem`] says so. There only the process group of a turn is ended with it.
pub async fn sweep(marker_key: &str, value: &str) -> SweepReport {
    Hunt::new(marker_key, value).finish().await
}

impl Hunt {
    /// [`Hunt::finish`] for a program whose end was collected: no search when it has left nobody. What it has left without the
    /// marker is ended too, unless an older program lives that may have done that.
    #[cfg(target_os = "linux")]
    pub(crate) async fn finish_after_end(self, program: Option<&Own>) -> SweepReport {
        if orphans::none_left(program.and_then(Own::since)) {
            return SweepReport::default();
        }
        self.work(|hunt| {
            let report = hunt.run();
            orphans::end_strays();
            report
        })
        .await
    }

    /// As [`Hunt::finish`].
    #[cfg(not(target_os = "linux"))]
    pub(crate) async fn finish_after_end(self, _: Option<&Own>) -> SweepReport {
        self.finish().await
    }

    /// Kills all that can be found, again and again, until a search finds nothing.
    pub(crate) async fn finish(self) -> SweepReport {
        self.work(Self::run).await
    }

    async fn work(self, search: impl FnOnce(Self) -> SweepReport + Send + 'static) -> SweepReport {
        let span = tracing::Span::current();
        match tokio::task::spawn_blocking(move || span.in_scope(|| search(self))).await {
            Ok(report) => report,
            Err(error) => SweepReport {
                problem: Some(format!("the search was cut off: {error}")),
                ..SweepReport::default()
            },
        }
    }
}
