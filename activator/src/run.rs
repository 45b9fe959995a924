//! The loop: turns what happens into events, asks the machine, and does what it says.
//!
//! Owns the listeners, the queue and the timer. Decides nothing: whatever is worth deciding is in
//! [`crate::machine`].

use std::{
    future::{Future, poll_fn, ready},
    io, mem,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use doze_contract::{
    exit::ActivatorExit,
    plan::Start,
    status::{Phase, Status},
};
use sd_notify::NotifyState;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::Instant,
};

use crate::{
    Init,
    carry::{self, Client},
    direct::Direct,
    engine, gate,
    handover::{self, Handover},
    hold::{self, Outcome},
    limits,
    log::Log,
    machine::{Action, Event, State, Timer, step},
    message::{Message, Teller},
    moment::{until, until_past},
    notify::{self, StatusText},
    orphans,
    peer::{self, Verdict},
    plan::Source,
    refuse::Refuser,
    silence::{self, First},
    sockets::{Inherited, Listener, Purpose},
    stream::Stream,
    task,
    upstream::Places,
};

/// The pause after a boot that failed. Clients that come meanwhile wait for the next one.
const COOL_DOWN: Duration = Duration::from_secs(1);

/// How long a client may take from finding the engine's socket at a path to being in its queue:
/// the rest of one connect(2), on a busy machine.
const SETTLE: Duration = Duration::from_millis(20);

/// How long clients may take to receive the last bytes of an engine that is gone.
const FLUSH: Duration = Duration::from_secs(2);

/// How long not to accept when there was no descriptor for it, unless a connection ends before.
const NO_DESCRIPTOR: Duration = Duration::from_millis(250);

/// Runs the instance from its first client to its exit. The error is the runtime's; nothing was
/// started then.
pub(crate) async fn run(
    plan: Source,
    sockets: Vec<Inherited>,
    log: Log,
    started: Instant,
    by: Init,
) -> io::Result<ActivatorExit> {
    orphans::adopt()?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (teller, mut messages) = Teller::new();
    let mut instance = Instance::new(plan, sockets, log, (by, started), teller)?;
    instance.on(Event::Start);
    loop {
        if let State::Done(exit) = instance.state {
            instance
                .log
                .say(format_args!("leaving with exit status {}", exit as u8));
            return Ok(exit);
        }
        let text_due = instance.tell_status();
        let happened = instance.next(&mut messages, &mut interrupt, &mut terminate, text_due);
        match happened.await {
            Happened::Message(message) => instance.hear(message),
            Happened::Accepted(purpose, stream) => instance.accepted(purpose, stream),
            Happened::NoDescriptor(error) => instance.pause(&error),
            Happened::Event(event) => instance.on(event),
            Happened::Nothing => {}
        }
    }
}

/// What ended one wait of the loop.
enum Happened {
    Message(Message),
    Accepted(Purpose, Stream),
    NoDescriptor(io::Error),
    Event(Event),
    Nothing,
}

/// The instance as the loop knows it.
struct Instance {
    plan: Arc<Source>,
    log: Log,
    by: Init,
    /// It does not leave before this if nobody asks it to.
    stays_until: Instant,
    /// When this process started, until somebody had to wait for something else than the boot.
    started: Option<Instant>,
    boot_began: Instant,
    teller: Teller,
    refuser: Arc<Refuser>,
    state: State,
    listeners: Vec<Listener>,
    accepting: bool,
    room: usize,
    paused_until: Option<Instant>,
    queue: Vec<Client>,
    /// Holds that wait to hear how the boot went.
    hopes: Vec<oneshot::Sender<Outcome>>,
    timer: Option<Instant>,
    engine_gone: watch::Sender<bool>,
    stop_engine: Option<oneshot::Sender<()>>,
    engine_pid: Option<u32>,
    /// Where the engine of the last boot listens.
    places: Places,
    handover: Option<Arc<Handover>>,
    direct: Direct,
    /// Each client that was joined to the engine's own upstream has a share.
    carried: Arc<()>,
    boot_ms: Option<u64>,
    error: Option<String>,
    text: StatusText,
    /// The init system was told that the instance is ready.
    said_ready: bool,
    /// Keeps the init system's patience until then.
    patience: JoinHandle<()>,
}

impl Instance {
    fn new(
        plan: Source,
        mut sockets: Vec<Inherited>,
        log: Log,
        (by, started): (Init, Instant),
        teller: Teller,
    ) -> io::Result<Self> {
        for socket in &sockets {
            // Somebody who was killed may have left it closed.
            gate::open(&socket.socket);
        }
        let handover = Handover::new(&plan, &mut sockets, &log)?.map(Arc::new);
        let listeners = sockets
            .into_iter()
            .map(|socket| Listener::new(socket, &plan))
            .collect::<io::Result<Vec<_>>>()?;
        for address in listeners
            .iter()
            .filter_map(|listener| listener.stranger.as_ref())
        {
            log.say(format_args!(
                "{address} is no endpoint of the plan; serving it all the same"
            ));
        }
        let plan = Arc::new(plan);
        Ok(Self {
            refuser: Arc::new(Refuser::new(plan.clone(), log.clone())),
            direct: Direct::new(plan.clone(), handover.clone(), log.clone()),
            handover,
            carried: Arc::new(()),
            plan,
            log,
            by,
            stays_until: started + by.stays(),
            started: Some(started),
            boot_began: started,
            teller,
            state: State::Cold,
            listeners,
            accepting: true,
            room: limits::room(),
            paused_until: None,
            queue: Vec::new(),
            hopes: Vec::new(),
            timer: None,
            engine_gone: watch::Sender::new(false),
            stop_engine: None,
            engine_pid: None,
            places: Places::default(),
            boot_ms: None,
            error: None,
            text: StatusText::new(),
            said_ready: false,
            patience: task::spawn(notify::ask_for_patience()),
        })
    }

    /// Waits for the next thing to happen. What ends something comes before what begins it.
    async fn next(
        &self,
        messages: &mut mpsc::UnboundedReceiver<Message>,
        interrupt: &mut Signal,
        terminate: &mut Signal,
        text_due: Option<Instant>,
    ) -> Happened {
        tokio::select! {
            biased;
            _ = interrupt.recv() => Happened::Event(Event::Term),
            _ = terminate.recv() => Happened::Event(Event::Term),
            Some(message) = messages.recv() => Happened::Message(message),
            accepted = self.accept() => match accepted {
                Ok((purpose, stream)) => Happened::Accepted(purpose, stream),
                Err(error) => Happened::NoDescriptor(error),
            },
            () = until(self.timer) => Happened::Event(Event::Tick),
            () = until(text_due) => Happened::Nothing,
        }
    }

    /// Accepts the next connection of any listener, as long as there is room for it.
    async fn accept(&self) -> io::Result<(Purpose, Stream)> {
        let people = self.state.people();
        if !self.accepting || people.clients.max(people.aside) >= self.room + limits::SPARE {
            return std::future::pending().await;
        }
        until_past(self.paused_until).await;
        // Who may be the engine's client waits for it, unless somebody else keeps this process.
        let is_ours = matches!(self.state, State::Waiting { .. }) || !self.gives();
        poll_fn(|cx| {
            let open = self.listeners.iter();
            for listener in open.filter(|listener| is_ours || !listener.handed) {
                if let Poll::Ready(accepted) = listener.poll_accept(cx) {
                    return Poll::Ready(accepted.map(|stream| (listener.purpose, stream)));
                }
            }
            Poll::Pending
        })
        .await
    }

    fn hear(&mut self, message: Message) {
        match message {
            Message::Event(event @ (Event::Closed | Event::HoldEnded)) => {
                self.paused_until = None;
                self.on(event);
            }
            Message::Event(event) => {
                if event == Event::Stopped {
                    self.engine_pid = None;
                    self.take_back();
                }
                self.on(event);
            }
            Message::Spoke(client) => {
                self.queue.push(client);
                self.on(Event::Spoke);
            }
            Message::Spawned(pid) => self.engine_pid = Some(pid),
            Message::BootFailed(reason) => {
                self.log.say(format_args!("boot failed: {reason}"));
                self.engine_pid = None;
                self.error = Some(reason);
                self.take_back();
                self.accept_now(true);
                self.on(Event::BootFailed);
            }
            Message::Listens(places) => {
                self.places = places;
                if !self.gives() {
                    self.take_back();
                }
            }
            Message::EngineExit { reason, well } => {
                self.log.say(format_args!("{reason}"));
                self.engine_pid = None;
                self.on(if well {
                    Event::EngineEnded
                } else {
                    Event::EngineExit
                });
            }
            Message::Question(reply) => {
                // Who asked may have left.
                reply.send(self.status()).unwrap_or_default();
            }
        }
    }

    fn accepted(&mut self, purpose: Purpose, stream: Stream) {
        match purpose {
            Purpose::Clients => self.client(Client { stream, side: None }),
            Purpose::Side(at) => self.client(Client {
                stream,
                side: Some(at),
            }),
            Purpose::Holds => {
                let (hope, outcome) = oneshot::channel();
                self.hopes.push(hope);
                let teller = self.teller.clone();
                task::spawn(async move {
                    hold::hold(stream, outcome).await;
                    teller.tell(Message::Event(Event::HoldEnded));
                });
                self.on(Event::HoldBegan);
            }
        }
    }

    fn client(&mut self, client: Client) {
        let first = silence::look(&client.stream);
        if first == First::End {
            return self.set_aside(ready(None));
        }
        if let Verdict::Refused { reason } = peer::judge(self.plan.open_to, &client.stream) {
            // Strangers must not take the places of those who may come in.
            return if self.refuser.is_crowded() {
                self.set_aside(ready(None));
            } else {
                self.set_aside(self.refusal(client, reason));
            };
        }
        if self.state.people().clients >= self.room {
            let reason = format!(
                "{} clients are connected, and there are no descriptors for more",
                self.room
            );
            return self.set_aside(self.refusal(client, reason));
        }
        let has_to_speak = self.plan.body.clients_speak_first && !self.state.has_engine();
        if has_to_speak && first == First::Nothing {
            return self
                .set_aside(async { silence::words(&client.stream).await.then_some(client) });
        }
        self.queue.push(client);
        self.on(Event::Client);
    }

    /// Takes care of a connection that wants nothing of the engine, until it ends or gives back a
    /// client that does.
    fn set_aside(&mut self, ends: impl Future<Output = Option<Client>> + 'static + Send) {
        self.started = None;
        self.care_for(ends);
        self.on(Event::Aside);
    }

    fn care_for(&self, ends: impl Future<Output = Option<Client>> + 'static + Send) {
        let teller = self.teller.clone();
        task::spawn(async move {
            teller.tell(match ends.await {
                Some(client) => Message::Spoke(client),
                None => Message::Event(Event::Left),
            });
        });
    }

    fn pause(&mut self, error: &io::Error) {
        if self.paused_until.is_none() {
            self.log.say(format_args!("cannot accept for now: {error}"));
        }
        self.paused_until = Some(Instant::now() + NO_DESCRIPTOR);
    }

    fn on(&mut self, event: Event) {
        if event == Event::Tick {
            self.timer = None;
        }
        let (state, actions) = step(self.state, event);
        self.state = state;
        for action in actions {
            self.act(*action);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Boot => self.boot(),
            Action::StopEngine => {
                // Those who come while it stops are for the next one.
                self.direct.close_gates();
                if let Some(stop) = self.stop_engine.take() {
                    // It can only be gone if it has already said so.
                    stop.send(()).unwrap_or_default();
                }
            }
            // The task lets go of everything when it is told, or when nobody can tell it any more.
            Action::Release => self.stop_engine = None,
            Action::Admit => {
                self.tell_holds(&Ok(()));
                for client in mem::take(&mut self.queue) {
                    self.carry(client);
                }
            }
            Action::Refuse => {
                let reason = self.error.clone().unwrap_or_default();
                self.tell_holds(&Err(reason.clone()));
                for client in mem::take(&mut self.queue) {
                    self.care_for(self.refusal(client, reason.clone()));
                }
            }
            Action::TurnAway => {
                self.hopes.clear();
                self.queue.clear();
            }
            Action::SwapIn => self.direct.let_in(),
            Action::SwapOut => self.direct.keep_out(),
            Action::StopAccepting => self.accepting = false,
            Action::Accept => self.accepting = true,
            Action::Look => self.look(),
            Action::Flush => {
                self.engine_pid = None;
                self.engine_gone.send_replace(true);
            }
            Action::Arm(timer) => {
                let now = Instant::now();
                let stays = self.stays_until.saturating_duration_since(now);
                let after = match timer {
                    Timer::Idle => self.plan.idle_timeout.map(|idle| idle.max(stays)),
                    Timer::Linger => Some(stays),
                    Timer::Settle if self.direct.is_possible() => Some(SETTLE),
                    Timer::Settle => Some(Duration::ZERO),
                    Timer::CoolDown => Some(COOL_DOWN.max(stays)),
                    Timer::Flush => Some(FLUSH),
                };
                self.timer = after.and_then(|after| now.checked_add(after));
            }
            Action::Disarm => self.timer = None,
            Action::SayReady => self.say_ready(),
            Action::SayStopping => self.say_stopping(),
        }
    }

    fn boot(&mut self) {
        self.boot_began = self.started.take().unwrap_or_else(Instant::now);
        let (stop, stopped) = oneshot::channel();
        self.stop_engine = Some(stop);
        self.listeners.retain(|listener| !listener.handed);
        let (plan, log, teller) = (self.plan.clone(), self.log.clone(), self.teller.clone());
        let handover = self.handover.clone();
        task::spawn(engine::live(plan, self.by, handover, log, stopped, teller));
    }

    fn say_ready(&mut self) {
        let took = self.boot_began.elapsed();
        self.boot_ms = u64::try_from(took.as_millis()).ok();
        self.error = None;
        self.patience.abort();
        self.said_ready = true;
        limits::raise();
        self.room = limits::room();
        notify::say(NotifyState::Ready);
        self.log.say(format_args!(
            "{} {} is ready after {took:.1?}",
            self.plan.engine, self.plan.instance
        ));
    }

    fn say_stopping(&mut self) {
        self.patience.abort();
        if self.boot_ms.is_some() {
            self.log
                .say(format_args!("stopping {}", self.plan.instance));
        }
        // A service that leaves without having been ready counts as failed; nobody waits for the
        // service of one that its clients start, and they have been told.
        let has_failed = self.plan.body.start != Start::OnDemand && self.error.is_some();
        if !self.said_ready && !has_failed {
            notify::say(NotifyState::Ready);
        }
        notify::say(NotifyState::Stopping);
    }

    fn tell_holds(&mut self, outcome: &Outcome) {
        for hope in mem::take(&mut self.hopes) {
            // Who asked may have left.
            hope.send(outcome.clone()).unwrap_or_default();
        }
    }

    /// Tells a client why it cannot be served.
    fn refusal(
        &self,
        client: Client,
        reason: String,
    ) -> impl Future<Output = Option<Client>> + use<> {
        let refused = self.refuser.refuse(client.stream, reason);
        async move {
            refused.await;
            None
        }
    }

    /// Joins a client to the engine.
    fn carry(&self, client: Client) {
        let share = client.side.is_none().then(|| self.carried.clone());
        let (places, log) = (self.places.clone(), self.log.clone());
        let carried = carry::carry(client, places, self.engine_gone.subscribe(), log);
        let teller = self.teller.clone();
        task::spawn(async move {
            carried.await;
            drop(share);
            teller.tell(Message::Event(Event::Closed));
        });
    }

    /// Whether the engine accepts TCP clients itself, as far as that can be told before its boot.
    fn gives(&self) -> bool {
        let handover = self.handover.as_ref();
        handover.is_some_and(|handover| !handover.given().is_empty())
    }

    /// Accepts again what the engine accepted, which is gone, or did not get.
    fn take_back(&mut self) {
        let Some(handover) = &self.handover else {
            return;
        };
        self.direct.open_gates();
        self.listeners.retain(|listener| !listener.handed);
        for socket in handover.sockets() {
            let taken = handover::take_back(socket);
            match taken.and_then(|socket| Listener::new(socket, &self.plan)) {
                Ok(listener) => self.listeners.push(listener),
                // They wait for the next activation.
                Err(error) => self.log.say(format_args!("cannot accept for now: {error}")),
            }
        }
    }

    /// Looks who is there right now.
    fn look(&mut self) {
        self.accept_now(false);
        self.on(match self.direct() {
            0 => Event::Looked,
            _ => Event::Direct,
        });
    }

    /// Accepts whoever is there right now on the listeners that the engine has, or on the others.
    fn accept_now(&mut self, handed: bool) {
        let (mut found, gives) = (Vec::new(), self.gives());
        for listener in &self.listeners {
            while (listener.handed && gives) == handed
                && found.len() < self.room
                && let Ok(Some(stream)) = listener.accept_now()
            {
                found.push((listener.purpose, stream));
            }
        }
        for (purpose, stream) in found {
            self.accepted(purpose, stream);
        }
    }

    /// How many connections there are with the engine that are not ours.
    fn direct(&self) -> usize {
        match self.state.phase() {
            Phase::Idling | Phase::Serving => {
                self.direct.count(Arc::strong_count(&self.carried) - 1)
            }
            Phase::Booting | Phase::Draining | Phase::Failed => 0,
        }
    }

    fn tell_status(&mut self) -> Option<Instant> {
        let due = self
            .text
            .update(self.state.phase(), self.state.people().clients);
        due.map(Instant::from_std)
    }

    fn status(&self) -> Status {
        let (people, direct) = (self.state.people(), self.direct());
        let mut phase = self.state.phase();
        if phase == Phase::Idling && direct > 0 {
            // The machine hears of them when the timeout is over.
            phase = Phase::Serving;
        }
        let left = |until: Instant| {
            let left = until.saturating_duration_since(Instant::now());
            u64::try_from(left.as_millis()).unwrap_or(u64::MAX)
        };
        Status {
            phase,
            connections: people.clients + direct,
            holds: people.holds,
            activator_pid: std::process::id(),
            engine_pid: self.engine_pid,
            boot_ms: self.boot_ms,
            sleeps_in_ms: self.timer.filter(|_| phase == Phase::Idling).map(left),
            revision: self.plan.revision.clone(),
            error: self.error.clone(),
        }
    }
}
