//! Notes that a piece of work came across and could not read. Listings leave them out, so their number is no error of the
//! listing; but somebody has to be told.

use std::cell::RefCell;

thread_local! {
    /// What the work on this thread has come across so far. Work on a connection never changes its thread.
    static FOUND: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Says that a note cannot be read and was left out.
pub(super) fn found(note: &str) {
    FOUND.with_borrow_mut(|found| found.push(note.to_owned()));
}

/// Runs `work`, and tells which notes it left out.
pub(super) fn watched<T>(work: impl FnOnce() -> T) -> (T, Vec<String>) {
    FOUND.with_borrow_mut(Vec::clear);
    let outcome = work();
    (outcome, FOUND.take())
}
