//! The engine's metrics. Each handle is looked up once: a look-up costs more than what it counts.

use std::collections::HashMap;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::probe::{Finding, Outcome};

/// A type of probe, and a result or a phase.
type Labels = (&'static str, &'static str);

pub(crate) struct Meters {
    pub(crate) in_flight: Gauge,
    lateness: Histogram,
    probes: HashMap<Labels, Counter>,
    phases: HashMap<Labels, Histogram>,
}

impl Meters {
    pub(crate) fn new() -> Self {
        Self {
            in_flight: gauge!("quorate_worker_probes_in_flight"),
            lateness: histogram!("quorate_worker_probe_lateness_seconds"),
            probes: HashMap::new(),
            phases: HashMap::new(),
        }
    }

    /// A probe of a check has started, so long after its time.
    pub(crate) fn started(&self, late: Duration) {
        self.lateness.record(late.as_secs_f64());
    }

    pub(crate) fn ended(&mut self, kind: &'static str, outcome: &Outcome) {
        let result = match outcome.finding {
            Finding::Passed => "passed",
            Finding::Failed(reason) => reason.code(),
            Finding::Abstained(_) => "abstained",
        };
        let new = || counter!("quorate_worker_probes_total", "type" => kind, "result" => result);
        self.probes.entry((kind, result)).or_insert_with(new).increment(1);
        for (phase, took) in outcome.phases.iter() {
            let new = || histogram!("quorate_worker_probe_phase_seconds", "type" => kind, "phase" => phase);
            self.phases.entry((kind, phase)).or_insert_with(new).record(took.as_secs_f64());
        }
    }
}
