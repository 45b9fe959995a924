//! The people around an instance, as numbers. It must not know what becomes of them.

use super::Event;

/// Who is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct People {
    /// Clients that want the engine and have not gone.
    pub clients: usize,
    /// Connections to the wake socket.
    pub holds: usize,
    /// Connections that want nothing of the engine: they have said nothing yet, or are being
    /// refused. They keep this process, but no engine awake.
    pub aside: usize,
}

impl People {
    /// Nobody but those.
    pub(super) fn of(aside: usize) -> Self {
        Self {
            aside,
            ..Self::default()
        }
    }

    /// Whether anybody wants the engine.
    pub(super) fn want_it(self) -> bool {
        self.clients > 0 || self.holds > 0
    }

    /// Who is there after somebody came, changed sides or went. Other events change nothing.
    pub(super) fn after(mut self, event: Event) -> Self {
        match event {
            Event::Client => self.clients = self.clients.saturating_add(1),
            Event::Closed => self.clients = self.clients.saturating_sub(1),
            Event::HoldBegan => self.holds = self.holds.saturating_add(1),
            Event::HoldEnded => self.holds = self.holds.saturating_sub(1),
            Event::Aside => self.aside = self.aside.saturating_add(1),
            Event::Left => self.aside = self.aside.saturating_sub(1),
            Event::Spoke => {
                self.aside = self.aside.saturating_sub(1);
                self.clients = self.clients.saturating_add(1);
            }
            Event::Start
            | Event::Ready
            | Event::BootFailed
            | Event::EngineExit
            | Event::EngineEnded
            | Event::Stopped
            | Event::Tick
            | Event::Looked
            | Event::Direct
            | Event::Term => {}
        }
        self
    }

    /// The same with every client refused.
    pub(super) fn refused(self) -> Self {
        Self {
            clients: 0,
            holds: self.holds,
            aside: self.aside.saturating_add(self.clients),
        }
    }
}
