//! What is counted, for Prometheus.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::session::State;

/// The server's metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    sessions: Family<StateLabel, Gauge>,
    /// Sessions that were created.
    pub sessions_created: Counter,
    /// Execs that were started.
    pub execs: Counter,
    viewers: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

impl Metrics {
    /// Everything at zero.
    pub fn new() -> Arc<Self> {
        let mut registry = Registry::with_prefix("shellport");
        let sessions = Family::<StateLabel, Gauge>::default();
        let sessions_created = Counter::default();
        let execs = Counter::default();
        let viewers = Gauge::default();
        registry.register("sessions", "Sessions by state", sessions.clone());
        let created = sessions_created.clone();
        registry.register("sessions_created", "Sessions created", created);
        registry.register("execs", "Execs started", execs.clone());
        registry.register("viewers", "Viewers attached", viewers.clone());
        Arc::new(Self {
            registry,
            sessions,
            sessions_created,
            execs,
            viewers,
        })
    }

    /// Counts a viewer for as long as the result lives.
    pub fn viewer(&self) -> CountedViewer {
        self.viewers.inc();
        CountedViewer(self.viewers.clone())
    }

    /// The metrics as text; `states` are those of the sessions at this moment.
    pub fn encode(&self, states: impl Iterator<Item = State>) -> String {
        for state in State::ALL {
            let state = state.as_str();
            self.sessions.get_or_create(&StateLabel { state }).set(0);
        }
        for state in states {
            let state = state.as_str();
            self.sessions.get_or_create(&StateLabel { state }).inc();
        }
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a string takes any text");
        text
    }
}

/// See [`Metrics::viewer`].
#[derive(Debug)]
pub struct CountedViewer(Gauge);

impl Drop for CountedViewer {
    fn drop(&mut self) {
        self.0.dec();
    }
}
