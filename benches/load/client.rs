//! Many Flaggers: each question has its own connection, which is closed after the answer.
//!
//! Blocking sockets in threads are the cheapest client for short connections, and a thread wakes more precisely than an
//! async runtime's timer.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};

/// Questions to ask, one after the other, and the address of the server.
#[derive(Clone)]
pub(crate) struct Questions {
    pub(crate) address: SocketAddr,
    pub(crate) texts: Arc<Vec<Vec<u8>>>,
    /// What every answer must begin with.
    pub(crate) expects: &'static str,
}

/// The result of a run.
pub(crate) struct RunResult {
    /// How many questions were answered.
    pub(crate) answers: u64,
    /// How long the run took.
    pub(crate) took: Duration,
    /// From when each question was due until its connection was closed, sorted; only for a steady rate.
    pub(crate) delays: Vec<Duration>,
}

impl RunResult {
    pub(crate) fn per_second(&self) -> f64 {
        self.answers as f64 / self.took.as_secs_f64()
    }

    /// The quantile `part` of the delays.
    pub(crate) fn delay(&self, part: f64) -> Duration {
        let last = self.delays.len().saturating_sub(1);
        let at = ((self.delays.len() as f64 * part).ceil() as usize).saturating_sub(1).min(last);
        self.delays.get(at).copied().unwrap_or_default()
    }
}

/// The clock for measurements.
#[expect(clippy::disallowed_methods, reason = "it measures real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Sends one question and reads the whole answer.
pub(crate) fn ask(address: SocketAddr, text: &[u8], answer: &mut Vec<u8>) -> anyhow::Result<()> {
    answer.clear();
    let mut stream = TcpStream::connect(address).context("cannot connect")?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(text).context("cannot ask")?;
    stream.read_to_end(answer).context("no answer")?;
    Ok(())
}

impl Questions {
    fn ask(&self, number: u64, answer: &mut Vec<u8>) -> anyhow::Result<()> {
        let text = &self.texts[number as usize % self.texts.len()];
        ask(self.address, text, answer)?;
        if !answer.starts_with(self.expects.as_bytes()) {
            bail!("unexpected: {}", String::from_utf8_lossy(answer));
        }
        Ok(())
    }

    /// Asks as fast as possible for this time, with this many clients, each of which waits for its answer.
    pub(crate) fn ask_flat_out(&self, clients: usize, time: Duration) -> anyhow::Result<RunResult> {
        let begin = now();
        let number = Arc::new(AtomicU64::new(0));
        let threads = (0..clients).map(|_| {
            let (questions, number) = (self.clone(), Arc::clone(&number));
            thread::spawn(move || {
                let (mut answers, mut answer) = (0, Vec::new());
                while now() - begin < time {
                    questions.ask(number.fetch_add(1, Ordering::Relaxed), &mut answer)?;
                    answers += 1;
                }
                anyhow::Ok(answers)
            })
        });
        let threads: Vec<_> = threads.collect();
        let mut answers = 0;
        for thread in threads {
            answers += join_result(thread.join())??;
        }
        Ok(RunResult { answers, took: now() - begin, delays: Vec::new() })
    }

    /// Asks each question once, with this many clients.
    pub(crate) fn ask_each_once(&self, clients: usize) -> anyhow::Result<RunResult> {
        let begin = now();
        let (number, all) = (Arc::new(AtomicU64::new(0)), self.texts.len() as u64);
        let threads = (0..clients).map(|_| {
            let (questions, number) = (self.clone(), Arc::clone(&number));
            thread::spawn(move || {
                let mut answer = Vec::new();
                loop {
                    let next = number.fetch_add(1, Ordering::Relaxed);
                    if next >= all {
                        return anyhow::Ok(());
                    }
                    questions.ask(next, &mut answer)?;
                }
            })
        });
        let threads: Vec<_> = threads.collect();
        for thread in threads {
            join_result(thread.join())??;
        }
        Ok(RunResult { answers: all, took: now() - begin, delays: Vec::new() })
    }

    /// Asks at this rate for this time, whether or not the answers are in time. A delay counts from when its question
    /// was due, so that the delays include the questions that were due while the server stalled.
    pub(crate) fn ask_steadily(
        &self,
        rate: f64,
        clients: usize,
        time: Duration,
    ) -> anyhow::Result<RunResult> {
        let begin = now() + Duration::from_millis(50);
        let between = Duration::from_secs_f64(1.0 / rate);
        let each = (time.as_secs_f64() * rate / clients as f64) as u32;
        let threads = (0..clients as u32).map(|client| {
            let questions = self.clone();
            thread::spawn(move || {
                let (mut delays, mut answer) = (Vec::with_capacity(each as usize), Vec::new());
                for nth in 0..each {
                    let number = nth * clients as u32 + client;
                    let due = begin + between * number;
                    thread::sleep(due.saturating_duration_since(now()));
                    questions.ask(u64::from(number), &mut answer)?;
                    delays.push(now() - due);
                }
                anyhow::Ok(delays)
            })
        });
        let threads: Vec<_> = threads.collect();
        let mut delays = Vec::new();
        for thread in threads {
            delays.extend(join_result(thread.join())??);
        }
        let took = now() - begin;
        delays.sort_unstable();
        Ok(RunResult { answers: delays.len() as u64, took, delays })
    }
}

fn join_result<T>(ended: thread::Result<T>) -> anyhow::Result<T> {
    ended.map_err(|_| anyhow::anyhow!("a client panicked"))
}
