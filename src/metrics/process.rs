//! The metrics that Prometheus' clients have of their process, by the names that its documentation gives them:
//! <https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>. Linux only, read at each scrape.

use std::fmt;

use procfs::{
    ProcResult, WithCurrentSystemInfo as _,
    process::{LimitValue, Process},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
};

/// Reads `/proc/self`. What cannot be read is left out.
#[derive(Debug)]
pub(super) struct ProcessCollector;

/// What is read of the process.
struct Reading {
    cpu_seconds: f64,
    resident_bytes: f64,
    start_seconds: f64,
    open_fds: f64,
    /// None if there is no limit.
    max_fds: Option<f64>,
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Ok(Reading { cpu_seconds, resident_bytes, start_seconds, open_fds, max_fds }) = read() else {
            return Ok(());
        };
        let counter = ConstCounter::new(cpu_seconds);
        let help = "CPU time spent, in user and system mode";
        counter.encode(encoder.encode_descriptor(
            "process_cpu_seconds",
            help,
            None,
            counter.metric_type(),
        )?)?;
        let gauges = [
            ("process_resident_memory_bytes", "Resident memory", Some(resident_bytes)),
            (
                "process_start_time_seconds",
                "When the process started, in seconds since 1970",
                Some(start_seconds),
            ),
            ("process_open_fds", "Open file descriptors", Some(open_fds)),
            ("process_max_fds", "How many file descriptors may be open", max_fds),
        ];
        for (name, help, value) in gauges {
            let Some(gauge) = value.map(ConstGauge::new) else { continue };
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53, far beyond any of these")]
fn read() -> ProcResult<Reading> {
    let process = Process::myself()?;
    let stat = process.stat()?;
    let per_second = procfs::ticks_per_second() as f64;
    let max_fds = match process.limits()?.max_open_files.soft_limit {
        LimitValue::Value(most) => Some(most as f64),
        LimitValue::Unlimited => None,
    };
    Ok(Reading {
        cpu_seconds: (stat.utime + stat.stime) as f64 / per_second,
        resident_bytes: stat.rss_bytes().get() as f64,
        start_seconds: procfs::boot_time_secs()? as f64 + stat.starttime as f64 / per_second,
        open_fds: process.fd_count()? as f64,
        max_fds,
    })
}
