//! What must live as long as a child.

use std::any::Any;
use std::sync::Arc;
use std::{fmt, io};

use tokio::task::JoinHandle;

use crate::groups::{Exceeded, Group};

/// Owns the tasks that serve the connections of one child, its control group, and what it sees of ours; they end when this is
/// dropped.
#[derive(Default)]
pub struct Guard {
    tasks: Vec<JoinHandle<()>>,
    group: Option<Group>,
    held: Vec<Arc<dyn Any + Send + Sync>>,
}

impl Guard {
    /// Adds a task.
    pub fn keep(&mut self, task: JoinHandle<()>) {
        self.tasks.push(task);
    }

    /// Adds all tasks of another.
    pub fn join(&mut self, mut other: Self) {
        self.tasks.append(&mut other.tasks);
        self.held.append(&mut other.held);
        if let Some(group) = other.group.take() {
            self.group = Some(group);
        }
    }

    /// Keeps something that the child sees.
    pub(crate) fn hold(&mut self, what: Option<Arc<impl Any + Send + Sync>>) {
        self.held.extend(what.map(|what| what as Arc<dyn Any + Send + Sync>));
    }

    /// The child will have a control group.
    pub(crate) fn limit(&mut self, group: Group) {
        self.group = Some(group);
    }

    /// Puts the process that was just started under the limits of the child. Before [`Control::complete`](crate::Control), so
    /// that it holds for all that it starts.
    ///
    /// # Errors
    /// It must not go on.
    pub fn take_in(&self, pid: u32) -> io::Result<()> {
        let Some(group) = &self.group else { return Ok(()) };
        let told = |error: io::Error| io::Error::new(error.kind(), format!("its control group: {error}"));
        group.take_in(pid).map_err(told)
    }

    /// What the child was kept from by its limits until now.
    #[must_use]
    pub fn exceeded(&self) -> Exceeded {
        self.group.as_ref().map(Group::exceeded).unwrap_or_default()
    }

    /// Once the child has ended: ends what is left under its limits, and tells what it was kept from by them.
    pub async fn end(&mut self) -> Exceeded {
        match self.group.take() {
            Some(group) => group.end().await,
            None => Exceeded::default(),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("tasks", &self.tasks.len())
            .field("group", &self.group)
            .finish()
    }
}
