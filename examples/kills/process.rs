//! The real program: started, killed with SIGKILL, and asked to check its record.

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

/// The program, as cargo built it.
#[derive(Clone)]
pub(crate) struct Program(PathBuf);

impl Program {
    /// It lies one directory above this one. Cargo does not build it for an example.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let here = std::env::current_exe()?;
        let path = here.parent().and_then(Path::parent).map(|folder| folder.join(NAME));
        let path = path.filter(|path| path.is_file());
        path.map(Self).with_context(|| format!("{NAME} is not built: run cargo build, with the same profile"))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// What somebody set for a bridge of theirs is not meant for this one.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.0);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("BRIDGE_") || name == "RUST_LOG" {
                command.env_remove(name);
            }
        }
        command
    }

    /// Runs `audit --verify`. What it said, as an error if something is wrong.
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

/// Where the process of now listens, and how far it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) gate: Option<SocketAddr>,
    pub(crate) webhook: Option<SocketAddr>,
    pub(crate) ready: bool,
    pub(crate) panicked: Option<String>,
}

/// What is known of a replica's process, shared with those who talk to it.
#[derive(Default)]
pub(crate) struct Door(Mutex<Seen>);

impl Door {
    pub(crate) fn seen(&self) -> Seen {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a line of the log.
    fn note(&self, line: &str) {
        let address = || line.split_once("address=")?.1.split(' ').next()?.parse().ok();
        let mut seen = self.lock();
        if line.contains("listening for gate") {
            seen.gate = address();
        } else if line.contains("listening for webhook") {
            seen.webhook = address();
        } else if line.ends_with(": ready") {
            seen.ready = true;
        } else if line.contains("panicked at") {
            seen.panicked.get_or_insert_with(|| line.to_owned());
        }
    }
}

/// One place where a bridge runs: its file, and its process of now.
pub(crate) struct Replica {
    program: Program,
    config: PathBuf,
    log: PathBuf,
    pub(crate) door: Arc<Door>,
    child: Option<Running>,
}

struct Running {
    child: Child,
    reader: std::thread::JoinHandle<()>,
}

impl Replica {
    pub(crate) fn new(program: Program, config: PathBuf) -> Self {
        let log = config.with_extension("log");
        Self { program, config, log, door: Arc::default(), child: None }
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
        let (door, errors) = (Arc::clone(&self.door), child.stderr.take().context("it has no log")?);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                door.note(&line);
                // The log is for whoever looks into a violation.
                drop(writeln!(log, "{line}"));
            }
        });
        self.child = Some(Running { child, reader });
        Ok(())
    }

    /// SIGKILL. Returns how the process had ended if it was gone before.
    pub(crate) fn kill(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        let Some(Running { mut child, reader }) = self.child.take() else { return Ok(None) };
        let before = child.try_wait()?;
        child.kill()?;
        child.wait()?;
        // Nothing is read from the dead any more once its successor begins.
        drop(reader.join());
        let mut seen = self.door.lock();
        *seen = Seen { panicked: seen.panicked.take(), ..Seen::default() };
        Ok(before)
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        drop(self.kill());
    }
}
