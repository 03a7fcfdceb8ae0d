//! The kill sweep: the daemon is killed again and again at random moments while clients write to it and its vault fails now and
//! then. After each death its state is read from the disk, and the process table is watched all the time.
//!
//! A seed decides the plan: what is sent and stopped, how each run of the daemon ends, which calls of its vault and its queue
//! fail. What the machine's own timing makes of a plan differs from one time to the next.

mod account;
mod check;
mod letter;
mod load;
mod plan;
mod report;
mod run;
mod witness;

pub use letter::{Kind, Letter};
pub use plan::{Death, Plan, Round};
pub use report::Report;
pub use run::{Options, sweep};
