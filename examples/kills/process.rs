//! The real program: starting it, killing it with SIGKILL, and running `audit --verify`.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context as _, bail};

const NAME: &str = "flagger-jira-bridge";

/// The program that cargo built.
#[derive(Clone)]
pub(crate) struct Program(PathBuf);

impl Program {
    /// Finds it one directory above this example. Cargo does not build it for an example.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let here = std::env::current_exe()?;
        let path = here.parent().and_then(Path::parent).map(|folder| folder.join(NAME));
        let path = path.filter(|path| path.is_file());
        path.map(Self).with_context(|| format!("{NAME} is not built: run cargo build, with the same profile"))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A command for the program, without the bridge settings in the developer's environment.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.0);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("BRIDGE_") || name == "RUST_LOG" {
                command.env_remove(name);
            }
        }
        command
    }

    /// Runs `audit --verify`. Returns its output, as an error if it failed.
    pub(crate) fn verify(&self, config: &Path) -> anyhow::Result<String> {
        let output = self.command().args(["audit", "--verify", "-c"]).arg(config).output()?;
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            bail!("{}", said.trim());
        }
        Ok(said.trim().to_owned())
    }
}

/// What the log of the current process has shown: where it listens, and whether it is ready.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProcessView {
    pub(crate) gate: Option<SocketAddr>,
    pub(crate) webhook: Option<SocketAddr>,
    pub(crate) ready: bool,
    pub(crate) panicked: Option<String>,
}

/// What is known about a replica's current process, shared with the relays.
#[derive(Default)]
pub(crate) struct ProcessState(Mutex<ProcessView>);

impl ProcessState {
    pub(crate) fn seen(&self) -> ProcessView {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, ProcessView> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a line of the log.
    fn read_log_line(&self, line: &str) {
        let address = || line.split_once("address=")?.1.split(' ').next()?.parse().ok();
        let mut seen = self.lock();
        if line.contains("listening for gate") {
            seen.gate = address();
        } else if line.contains("listening for webhook") {
            seen.webhook = address();
        } else if line.ends_with(" ready") {
            seen.ready = true;
        } else if line.contains("panicked at") {
            seen.panicked.get_or_insert_with(|| line.to_owned());
        }
    }
}

/// A replica: its configuration, and its current process.
pub(crate) struct Replica {
    program: Program,
    config: PathBuf,
    log: PathBuf,
    pub(crate) state: Arc<ProcessState>,
    child: Option<Running>,
}

struct Running {
    child: Child,
    reader: std::thread::JoinHandle<()>,
}

impl Replica {
    pub(crate) fn new(program: Program, config: PathBuf) -> Self {
        let log = config.with_extension("log");
        Self { program, config, log, state: Arc::default(), child: None }
    }

    pub(crate) fn runs(&self) -> bool {
        self.child.is_some()
    }

    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        let mut command = self.program.command();
        command.args(["serve", "-c"]).arg(&self.config).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child =
            command.spawn().with_context(|| format!("cannot start {}", self.program.0.display()))?;
        let mut log = File::options().create(true).append(true).open(&self.log)?;
        writeln!(log, "-- started as {}", child.id())?;
        let (door, errors) = (Arc::clone(&self.state), child.stderr.take().context("the bridge has no log")?);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                door.read_log_line(&line);
                // The log helps to investigate a violation.
                drop(writeln!(log, "{line}"));
            }
        });
        self.child = Some(Running { child, reader });
        Ok(())
    }

    /// Sends SIGKILL. Returns the process's exit status if it had ended before.
    pub(crate) fn kill(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        let Some(Running { mut child, reader }) = self.child.take() else { return Ok(None) };
        let before = child.try_wait()?;
        child.kill()?;
        child.wait()?;
        // The reader must finish before the next process starts.
        drop(reader.join());
        let mut seen = self.state.lock();
        *seen = ProcessView { panicked: seen.panicked.take(), ..ProcessView::default() };
        Ok(before)
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        drop(self.kill());
    }
}
