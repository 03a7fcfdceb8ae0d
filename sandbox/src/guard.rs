//! What must live as long as a child.

use std::fmt;

use tokio::task::JoinHandle;

/// Owns the tasks that serve the connections of one child; they end when this is dropped.
#[derive(Default)]
pub struct Guard(Vec<JoinHandle<()>>);

impl Guard {
    /// Adds a task.
    pub fn keep(&mut self, task: JoinHandle<()>) {
        self.0.push(task);
    }

    /// Adds all tasks of another.
    pub fn join(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guard").field(&self.0.len()).finish()
    }
}
