//! Resource usage of processes, from `/proc`.

use std::{fs, time::Duration};

use anyhow::Context as _;

/// The resources that processes have used so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    /// User and system time.
    pub(crate) cpu: Duration,
    /// Bytes written to the disk, or still to be written.
    pub(crate) written: u64,
}

impl Used {
    /// The resources that these processes have used since they started.
    pub(crate) fn of_processes(processes: &[u32]) -> anyhow::Result<Self> {
        let mut used = Self::default();
        for id in processes {
            used.cpu += cpu(*id)?;
            used.written += field(&read(*id, "io")?, "write_bytes:").unwrap_or(0);
        }
        Ok(used)
    }

    /// The difference to an earlier state.
    pub(crate) fn since(self, before: Self) -> Self {
        Self { cpu: self.cpu.saturating_sub(before.cpu), written: self.written - before.written }
    }
}

/// Resident memory in bytes: the current and the peak value.
pub(crate) fn resident(process: u32) -> anyhow::Result<(u64, u64)> {
    let status = read(process, "status")?;
    let bytes = |name| field(&status, name).map(|kib| kib * 1024).context("no such field in /proc/…/status");
    Ok((bytes("VmRSS:")?, bytes("VmHWM:")?))
}

/// The CPU time of all threads in nanoseconds: the clock ticks of `stat` are too coarse for milliseconds. The time of
/// threads that have ended is lost, but pool threads do not end.
fn cpu(process: u32) -> anyhow::Result<Duration> {
    let mut nanos = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        nanos += text.split(' ').next().and_then(|first| first.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(Duration::from_nanos(nanos))
}

fn read(process: u32, what: &str) -> anyhow::Result<String> {
    fs::read_to_string(format!("/proc/{process}/{what}"))
        .with_context(|| format!("process {process} is gone"))
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}
