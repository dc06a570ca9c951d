//! What the kernel knows of a process.

use std::{fs, time::Duration};

use anyhow::Context as _;

/// What a process, or several, have used up so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    /// In user mode and for it in the kernel.
    pub(crate) cpu: Duration,
    /// Bytes that went to the disk, or will.
    pub(crate) written: u64,
}

impl Used {
    /// By these processes, since they began.
    pub(crate) fn by(processes: &[u32]) -> anyhow::Result<Self> {
        let mut used = Self::default();
        for id in processes {
            used.cpu += cpu(*id)?;
            used.written += field(&read(*id, "io")?, "write_bytes:").unwrap_or(0);
        }
        Ok(used)
    }

    /// Since then.
    pub(crate) fn since(self, before: Self) -> Self {
        Self { cpu: self.cpu.saturating_sub(before.cpu), written: self.written - before.written }
    }
}

/// Resident memory, in bytes: now, and the most there was.
pub(crate) fn resident(process: u32) -> anyhow::Result<(u64, u64)> {
    let status = read(process, "status")?;
    let bytes = |name| field(&status, name).map(|kib| kib * 1024).context("no such field in /proc/…/status");
    Ok((bytes("VmRSS:")?, bytes("VmHWM:")?))
}

/// The time of all threads, to the nanosecond: the clock ticks of `stat` are too coarse for what takes milliseconds.
/// Threads of a pool stay; one that ended takes its time along.
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
