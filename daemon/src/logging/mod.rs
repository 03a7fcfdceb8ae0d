//! The log, on stderr: text for a person at a terminal, one JSON object a line for programs. What the spans around a line say,
//! the turn and its channel above all, stands in the line itself.
//!
//! Its volume is bounded: a place in the code that says the same over and over is heard [`Log::burst`] times in [`WINDOW`], and
//! then one line says how often it was not; a line has [`line::LINE_MAX`] bytes at most. What was changed by whom (the target
//! `audit`) is always told.

mod burst;
mod line;

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use self::burst::{Answer, Place, Places};
use self::line::{Fields, Form, Line};
use crate::config::{Log, LogFormat};

/// How long a place is quiet that has said enough.
const WINDOW: Duration = Duration::from_secs(10);
/// Lines of this target are always told.
const AUDIT: &str = "audit";

/// Lines that were left out since the start of the process.
static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

/// Lines that were left out since the start of the process, because their place had said enough.
pub(crate) fn left_out() -> u64 {
    LEFT_OUT.load(Ordering::Relaxed)
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// The filter cannot be read.
    #[error("[log] level {level:?} is no filter: {reason}; try info")]
    Filter {
        /// What was written.
        level: String,
        /// What is wrong.
        reason: String,
    },
    /// There is one already.
    #[error("no log: {0}")]
    Taken(String),
}

/// The log of this process. Dropping it tells what was left out and not told yet.
pub(crate) struct Logging(Arc<Sink>);

impl Drop for Logging {
    fn drop(&mut self) {
        if let Some(places) = &self.0.places {
            places.all_left_out().iter().for_each(|left| self.0.summary(left));
        }
    }
}

/// Starts it. To be called once.
///
/// # Errors
/// [`LogError`]
pub(crate) fn start(log: &Log) -> Result<Logging, LogError> {
    // That library tells of every request, at the level of our own news. A filter of the operator's for it goes before.
    // Who was let in and what was changed is always told, unless the operator says something else of it.
    let filter =
        EnvFilter::try_new(format!("rmcp=error,audit=info,{}", log.level)).map_err(|error| LogError::Filter {
            level: log.level.clone(),
            reason: error.to_string(),
        })?;
    let terminal = io::stderr().is_terminal();
    let sink = Arc::new(Sink {
        form: match (log.format, terminal) {
            (LogFormat::Json, _) | (LogFormat::Auto, false) => Form::Json,
            (LogFormat::Text, false) => Form::Text { colours: false },
            (LogFormat::Text | LogFormat::Auto, true) => Form::Text { colours: true },
        },
        places: (log.burst > 0).then(|| Places::new(log.burst, WINDOW)),
    });
    let layer = Lines(Arc::clone(&sink));
    tracing_subscriber::registry()
        .with(filter)
        .with(layer)
        .try_init()
        .map_err(|error| LogError::Taken(error.to_string()))?;
    Ok(Logging(sink))
}

struct Sink {
    form: Form,
    /// `None`: everything is told.
    places: Option<Places>,
}

impl Sink {
    fn write(&self, line: &Line<'_>) {
        let text = line.written(self.form);
        // silent-ok: there is no other place to say that nobody reads the log
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    fn summary(&self, left: &burst::LeftOut) {
        let mut fields = Fields::default();
        fields.put("left_out", left.count.into());
        fields.put("place", left.place.to_string().into());
        let message = format!("{} more lines of the same place were left out", left.count);
        fields.put("message", message.into());
        self.write(&Line {
            level: left.level,
            target: &left.target,
            fields: &fields,
        });
    }

    /// Tells what was left out once nothing more can come to it, so that the last words of a place that has fallen silent are
    /// not missing for ever.
    fn told_later(self: &Arc<Self>) {
        let sink = Arc::clone(self);
        let teller = std::thread::Builder::new().name("log".into()).spawn(move || {
            let Some(places) = &sink.places else { return };
            loop {
                places.wait_for_the_next().iter().for_each(|left| sink.summary(left));
            }
        });
        // silent-ok: then it is told with the next line of that place, or at the end
        drop(teller);
    }
}

/// Writes events as lines.
struct Lines(Arc<Sink>);

impl<S> Layer<S> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            let mut said = Fields::default();
            record.record(&mut said);
            fields.replace(said);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let mut fields = Fields::default();
        // What comes over the crate `log` says where it is from in fields.
        let foreign = metadata.target() == "log";
        if foreign {
            event.record(&mut fields);
        }
        let origin = foreign.then(|| fields.take_origin());
        let target = origin.as_ref().map_or(metadata.target(), |origin| &origin.target);
        if let Some(places) = self.0.places.as_ref().filter(|_| target != AUDIT) {
            let place = match &origin {
                Some(origin) => Place::of_log(origin),
                None => Place::of(metadata),
            };
            match places.answer(place, *metadata.level(), target) {
                Answer::Write => {}
                Answer::WriteBehind(left) => self.0.summary(&left),
                Answer::LeaveOut { first } => {
                    LEFT_OUT.fetch_add(1, Ordering::Relaxed);
                    if first {
                        self.0.told_later();
                    }
                    return;
                }
            }
        }
        if !foreign {
            event.record(&mut fields);
        }
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(said) = span.extensions().get::<Fields>() {
                fields.add(said);
            }
        }
        self.0.write(&Line {
            level: *metadata.level(),
            target,
            fields: &fields,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pretty_assertions::assert_eq;

    /// Here the spans around the lines say it, or nobody knows more than the turn.
    const UNSAID: [&str; 3] = ["steps/mod.rs", "retention.rs", "vaults/roster/leaving.rs"];

    fn look(dir: &Path, missing: &mut Vec<String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                look(&path, missing);
            } else if !UNSAID.iter().any(|file| path.ends_with(file)) {
                let source = std::fs::read_to_string(&path).unwrap();
                let source = source.split("\n#[cfg(test)]").next().unwrap_or_default();
                let found = lines_without(source);
                missing.extend(found.map(|line| format!("{}: {line}", path.display())));
            }
        }
    }

    /// What stands before the message in lines that name a turn and no channel.
    fn lines_without(source: &str) -> impl Iterator<Item = &str> {
        let levels = ["error!(", "warn!(", "info!(", "debug!("];
        let lines = source.split("tracing::").skip(1);
        let fields = lines.filter_map(move |line| {
            let said = levels.iter().find_map(|level| line.strip_prefix(level))?;
            said.split(['"', ';']).next()
        });
        let names = |fields: &str, name: &str| fields.split([' ', ',', '%', '?', '\n']).any(|word| word == name);
        fields.filter(move |fields| names(fields, "turn") && !names(fields, "channel"))
    }

    #[test]
    fn a_line_that_names_a_turn_names_its_channel_too() {
        let bad = r#"tracing::warn!(%error, turn = %id, "gone"); tracing::warn!(%turn, channel, "turn");"#;
        assert_eq!(lines_without(bad).collect::<Vec<_>>(), ["%error, turn = %id, "]);
        let mut missing = Vec::new();
        look(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut missing);
        assert_eq!(missing, Vec::<String>::new());
    }
}
