//! What the reconcilers count, in `/metrics`.

use std::collections::BTreeMap;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::http::ops::Metrics;
use crate::reconcile::Handle;
use crate::reconcile::figure::Figure;

/// Adds the reconcilers' figures to the metrics.
pub fn register(metrics: &Metrics, reconcilers: &Handle) {
    let read = Box::new(reconcilers.reader());
    metrics.register(|registry| registry.register_collector(Box::new(Reconcilers { read })));
}

struct Reconcilers {
    read: Box<dyn Fn() -> BTreeMap<String, Figure> + Send + Sync>,
}

impl std::fmt::Debug for Reconcilers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reconcilers")
    }
}

impl Collector for Reconcilers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let figures = (self.read)();
        type Counter = (&'static str, &'static str, fn(&Figure) -> u64);
        let counters: [Counter; 2] = [
            ("reconciler_runs", "Runs of a reconciler", |figure| figure.runs),
            ("reconciler_errors", "Runs of a reconciler that failed", |figure| figure.errors),
        ];
        for (name, help, value) in counters {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (reconciler, figure) in &figures {
                let labels = [("reconciler", reconciler.as_str())];
                ConstCounter::new(value(figure)).encode(family.encode_family(&labels)?)?;
            }
        }
        let help = "Seconds that a reconciler's last run took";
        let mut family =
            encoder.encode_descriptor("reconciler_last_run_seconds", help, None, MetricType::Gauge)?;
        for (reconciler, figure) in &figures {
            let labels = [("reconciler", reconciler.as_str())];
            ConstGauge::new(figure.last_duration.as_secs_f64()).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
