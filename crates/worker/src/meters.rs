//! The engine's metrics. Each handle is looked up once: a look-up costs more than what it counts.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::probe::{Finding, Outcome};

pub(crate) struct Meters {
    pub(crate) in_flight: Gauge,
    lateness: Histogram,
    /// A few: comparing their names is cheaper than hashing one.
    kinds: Vec<OfKind>,
}

/// Of one type of probe, by result and by phase, as they come up.
struct OfKind {
    kind: &'static str,
    results: Vec<(&'static str, Counter)>,
    phases: Vec<(&'static str, Histogram)>,
}

impl Meters {
    pub(crate) fn new() -> Self {
        Self {
            in_flight: gauge!("quorate_worker_probes_in_flight"),
            lateness: histogram!("quorate_worker_probe_lateness_seconds"),
            kinds: Vec::new(),
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
        let place = self.kinds.iter().position(|known| known.kind == kind).unwrap_or_else(|| {
            self.kinds.push(OfKind { kind, results: Vec::new(), phases: Vec::new() });
            self.kinds.len() - 1
        });
        let OfKind { results, phases, .. } = &mut self.kinds[place];
        named(results, result, || counter!("quorate_worker_probes_total", "type" => kind, "result" => result)).increment(1);
        for (phase, took) in outcome.phases.iter() {
            let phase = phase.name();
            let new = || histogram!("quorate_worker_probe_phase_seconds", "type" => kind, "phase" => phase);
            named(phases, phase, new).record(took.as_secs_f64());
        }
    }
}

/// The handle of a name, which is made where there is none.
fn named<'a, T>(handles: &'a mut Vec<(&'static str, T)>, name: &'static str, new: impl FnOnce() -> T) -> &'a T {
    let place = handles.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
        handles.push((name, new()));
        handles.len() - 1
    });
    &handles[place].1
}
