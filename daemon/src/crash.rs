//! Fail points: places between two durable steps where a test lets the daemon die.
//!
//! `REVEILLE_FAIL_POINT=name:n` kills the process with SIGKILL when point `name` is reached the n-th time. Only builds
//! with debug assertions look at it.

/// Dies here if the environment asks for it. `REVEILLE_PANIC_POINT=name` panics at point `name`, each time.
#[cfg(debug_assertions)]
pub(crate) fn point(name: &str) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    static ASKED: LazyLock<Option<(String, u32)>> = LazyLock::new(|| {
        let text = std::env::var("REVEILLE_FAIL_POINT").ok()?; // silent-ok: not set is the usual case
        let (name, count) = text.rsplit_once(':')?;
        Some((name.to_owned(), count.parse().ok()?))
    });
    static PANICS: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("REVEILLE_PANIC_POINT").ok()); // silent-ok: see above
    static HITS: AtomicU32 = AtomicU32::new(0);

    assert!(
        PANICS.as_deref() != Some(name),
        "the panic that the environment asks for at {name}"
    );
    if let Some((asked, count)) = &*ASKED
        && asked == name
        && HITS.fetch_add(1, Ordering::SeqCst) + 1 == *count
    {
        tracing::error!(point = name, "fail point: dying now");
        if let Err(error) = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL) {
            tracing::error!(%error, "could not die by signal");
        }
        std::process::abort();
    }
}

/// Nothing, in a release build.
#[cfg(not(debug_assertions))]
#[inline]
pub(crate) fn point(_name: &str) {}
