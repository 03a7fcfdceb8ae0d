use std::sync::Mutex;

use async_trait::async_trait;
use pretty_assertions::assert_eq;

use super::*;
use crate::{Attachment, Incoming, Intake, Outgoing, Refusal, Standing, Stopped, Taken, Transport, Verdict};

/// A daemon that is never asked.
pub(crate) struct Nobody;

#[async_trait]
impl Intake for Nobody {
    async fn take(&self, _message: Incoming) -> Result<Taken, Refusal> {
        Err(Refusal::Blank)
    }
}

#[async_trait]
impl Host for Nobody {
    async fn stop(&self, _agent: &str) -> Result<Stopped, String> {
        Ok(Stopped { turn: None })
    }

    async fn standing(&self, _agent: &str, _turn: &str) -> Option<Standing> {
        None
    }

    async fn upload(&self, _agent: &str, _name: &str, _content: Vec<u8>) -> Result<String, Refusal> {
        Err(Refusal::Blank)
    }

    async fn read(&self, _agent: &str, _path: &str) -> Result<Attachment, String> {
        Err("nothing is here".into())
    }

    async fn verdict(&self, _verdict: Verdict) {}
}

/// What a run does.
#[derive(Clone, Copy)]
enum Act {
    Fails(&'static str),
    Refused,
    Panics,
    /// Is up for so long, and fails then.
    Lasts(Duration),
    /// Until it is asked to end.
    Runs,
    Deaf,
}

/// Plays a list of runs, and keeps when each began.
struct Player {
    acts: Mutex<Vec<Act>>,
    began: Mutex<Vec<Instant>>,
}

impl Player {
    fn of(acts: &[Act]) -> Arc<Self> {
        let acts = Mutex::new(acts.iter().rev().cloned().collect());
        Arc::new(Self {
            acts,
            began: Mutex::default(),
        })
    }

    fn pauses(&self) -> Vec<u64> {
        let began = self.began.lock().unwrap();
        began.windows(2).map(|pair| (pair[1] - pair[0]).as_secs()).collect()
    }
}

#[async_trait]
impl Bridge for Player {
    fn name(&self) -> &str {
        "play"
    }

    fn kind(&self) -> &'static str {
        "player"
    }

    fn agent(&self) -> &str {
        "uni"
    }

    fn transport(&self) -> Box<dyn Transport> {
        self.began.lock().unwrap().push(Instant::now());
        Box::new(Run(self.acts.lock().unwrap().pop().unwrap_or(Act::Runs)))
    }

    async fn hand_over(&self, _note: &Outgoing) -> Result<(), String> {
        Ok(())
    }
}

struct Run(Act);

#[async_trait]
impl Transport for Run {
    async fn run(
        self: Box<Self>,
        _host: Arc<dyn Host>,
        report: Report,
        drain: CancellationToken,
    ) -> Result<(), Failure> {
        match self.0 {
            Act::Fails(error) => Err(Failure::Broken(error.into())),
            Act::Refused => Err(Failure::Refused("the token is not accepted".into())),
            Act::Panics => panic!("out of cheese"),
            Act::Lasts(time) => {
                report.up();
                tokio::time::sleep(time).await;
                Err(Failure::Broken("it lasted".into()))
            }
            Act::Runs => {
                report.up();
                drain.cancelled().await;
                Ok(())
            }
            Act::Deaf => {
                report.up();
                std::future::pending().await
            }
        }
    }
}

struct Started {
    player: Arc<Player>,
    look: watch::Receiver<State>,
    drain: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

fn start(acts: &[Act]) -> Started {
    let player = Player::of(acts);
    let (report, look) = Report::new();
    let drain = CancellationToken::new();
    let bridge: Arc<dyn Bridge> = player.clone();
    let task = tokio::spawn(supervise(bridge, Arc::new(Nobody), report, drain.clone()));
    Started {
        player,
        look,
        drain,
        task,
    }
}

impl Started {
    async fn wait_for(&mut self, wanted: impl FnMut(&State) -> bool) -> State {
        self.look.wait_for(wanted).await.unwrap().clone()
    }
}

fn error_of(state: &State) -> &str {
    match state {
        State::Retrying { error, .. } | State::Refused { error } => error,
        _ => "",
    }
}

#[tokio::test(start_paused = true)]
async fn failures_and_panics_are_followed_by_new_starts_with_growing_pauses() {
    let mut bridge = start(&[Act::Fails("no route"), Act::Panics, Act::Fails("no route"), Act::Runs]);
    let state = bridge.wait_for(|state| !error_of(state).is_empty()).await;
    assert_eq!(error_of(&state), "no route");
    let state = bridge.wait_for(|state| error_of(state).contains("cheese")).await;
    assert_eq!(error_of(&state), "it crashed: out of cheese");
    bridge.wait_for(|state| *state == State::Up).await;
    assert_eq!(bridge.player.pauses(), [1, 2, 4]);

    bridge.drain.cancel();
    bridge.task.await.unwrap();
    assert_eq!(*bridge.look.borrow(), State::Stopped);
}

#[tokio::test(start_paused = true)]
async fn the_pauses_have_an_end_and_a_good_run_makes_them_short_again() {
    let mut acts = vec![Act::Fails("no route"); 11];
    acts.push(Act::Lasts(GOOD_RUN));
    let mut bridge = start(&acts);
    bridge.wait_for(|state| error_of(state) == "it lasted").await;
    bridge.wait_for(|state| *state == State::Up).await;
    assert_eq!(
        bridge.player.pauses(),
        [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, GOOD_RUN.as_secs() + 1]
    );
    bridge.drain.cancel();
    bridge.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_that_is_refused_stays_down_until_the_end() {
    let mut bridge = start(&[Act::Refused]);
    let state = bridge.wait_for(|state| *state != State::Starting).await;
    let error = "the token is not accepted".into();
    assert_eq!(state, State::Refused { error });
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(bridge.player.pauses(), [0_u64; 0]);
    assert!(!bridge.task.is_finished());
    bridge.drain.cancel();
    bridge.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_end_is_cut_off() {
    let mut bridge = start(&[Act::Deaf]);
    bridge.wait_for(|state| *state == State::Up).await;
    let asked = Instant::now();
    bridge.drain.cancel();
    bridge.task.await.unwrap();
    assert_eq!(asked.elapsed().as_secs(), GRACE.as_secs());
    assert_eq!(*bridge.look.borrow(), State::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_drain_in_a_pause_ends_it_at_once() {
    let mut bridge = start(&[Act::Fails("no route"); 5]);
    bridge.wait_for(|state| !error_of(state).is_empty()).await;
    let asked = Instant::now();
    bridge.drain.cancel();
    bridge.task.await.unwrap();
    assert_eq!(asked.elapsed().as_secs(), 0);
}

#[tokio::test]
async fn what_a_kind_cannot_do_names_the_kind_and_the_operation() {
    let player = Player::of(&[]);
    let refused = player.download("file").await.unwrap_err();
    assert_eq!(refused.to_string(), "a bridge of the kind \"player\" has no download");
    let refused = player.reply(crate::Reply::default()).await.unwrap_err();
    assert_eq!(refused.to_string(), "a bridge of the kind \"player\" has no reply");
}
