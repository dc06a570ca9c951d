//! The program: parses the command line, starts the log, runs the command, and sets the exit code.

use std::{
    io::{BufWriter, Write as _},
    net::{Ipv4Addr, Ipv6Addr},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use anstream::{AutoStream, ColorChoice};
use anyhow::Context as _;
use clap::Parser as _;
use flagger_jira_bridge::{
    check::check,
    cli::{self, Cli, Command, Completions, DEFAULT_CONFIG, Demo, Gates, LogFormat, ManPages, OutputStyle},
    clock::Clock,
    config::{self, Config, Problems},
    demo,
    serve::{Bridge, Listeners},
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// An answer needs about a hundred small allocations: mimalloc makes them faster than the C library, and without huge
/// pages (`no_thp`) it needs no more memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The exit code if the configuration is wrong.
const BAD_CONFIG: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr(&cli);
    let done = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Into::into).and_then(
        |runtime| {
            let done = runtime.block_on(run(&cli));
            // Does not wait for a DNS lookup that hangs.
            runtime.shutdown_background();
            done
        },
    );
    done.unwrap_or_else(|error| {
        print_error(&format!("flagger-jira-bridge: {error:#}"));
        ExitCode::FAILURE
    })
}

async fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    match &cli.command {
        Command::Serve => {
            // First of all: the first process of a container ignores a signal that has no handler.
            let stop = stop_on_signal()?;
            match load(cli) {
                Ok(config) => serve(config, stop).await.map(|()| ExitCode::SUCCESS),
                Err(code) => Ok(code),
            }
        }
        Command::Check => match load(cli) {
            Ok(config) => {
                let report = check(&config, Clock::System).await;
                // The reader may have closed the pipe.
                drop(write!(std::io::stdout(), "{report}"));
                Ok(if report.failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
            }
            Err(code) => Ok(code),
        },
        Command::Config => match config::in_force(&cli.config, environment()) {
            Ok(text) => {
                // The reader may have closed the pipe.
                drop(write!(std::io::stdout(), "{text}"));
                Ok(ExitCode::SUCCESS)
            }
            Err(problems) => Ok(unusable(cli, &problems)),
        },
        Command::Demo(Demo { jira_only: true, kind, port, .. }) => {
            demo::jira_only(*kind, *port, stop_on_signal()?).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Demo(Demo { auto, port, .. }) => {
            let succeeded = demo::run(*auto, *port, stop_on_signal()?).await?;
            Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Gates(wanted) => match with_admin(cli, wanted) {
            Ok(wanted) => gates(&wanted).await.map(|()| ExitCode::SUCCESS),
            Err(code) => Ok(code),
        },
        Command::Audit(wanted) => match load(cli) {
            Ok(config) => {
                let mut out = BufWriter::new(std::io::stdout().lock());
                let (now, mut notes) = (Clock::System.now(), std::io::stderr());
                let intact = cli::audit(&config.store.url, wanted, now, &mut out, &mut notes).await?;
                Ok(if intact { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
            Err(code) => Ok(code),
        },
        Command::Completions(Completions { shell }) => {
            print_all(&cli::completions(*shell));
            Ok(ExitCode::SUCCESS)
        }
        Command::Man(ManPages { directory: None }) => {
            print_all(&cli::manual()?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Man(ManPages { directory: Some(directory) }) => {
            cli::manuals(directory)
                .with_context(|| format!("cannot write manual pages to {}", directory.display()))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn serve(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    let listeners = Listeners::bind(&config.server).await?;
    Bridge::new(config, Clock::System)?.run(listeners, stop).await
}

async fn gates(wanted: &Gates) -> anyhow::Result<()> {
    if let Some(seconds) = wanted.watch {
        return cli::watch(wanted, Duration::from_secs(seconds), &Clock::System, stop_on_signal()?).await;
    }
    let text = cli::gates(wanted, &OutputStyle::stdout(), Clock::System.now()).await?;
    // The reader may have closed the pipe.
    drop(writeln!(std::io::stdout(), "{text}"));
    Ok(())
}

/// The options with the address of the bridge: the given one, or else that of the configuration, if there is one.
fn with_admin(cli: &Cli, wanted: &Gates) -> Result<Gates, ExitCode> {
    let no_config = cli.config == Path::new(DEFAULT_CONFIG) && !cli.config.exists();
    if wanted.admin.is_some() || no_config {
        return Ok(wanted.clone());
    }
    let mut at =
        config::admin_listen(&cli.config, environment()).map_err(|problems| unusable(cli, &problems))?;
    if at.ip().is_unspecified() {
        // It listens on every address, also on loopback.
        at.set_ip(if at.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    Ok(Gates { admin: Some(format!("http://{at}")), ..wanted.clone() })
}

/// A token that the first SIGTERM or SIGINT cancels. The second one exits the program.
fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping; finishing the requests in progress");
        stopping.cancel();
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        print_error("second stop signal; exiting at once");
        std::process::exit(1);
    });
    Ok(stop)
}

/// The configuration; or, after all its problems were printed, the exit code.
fn load(cli: &Cli) -> Result<Config, ExitCode> {
    config::load(&cli.config, environment()).map_err(|problems| unusable(cli, &problems))
}

fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
}

/// Prints the problems of the configuration.
fn unusable(cli: &Cli, problems: &Problems) -> ExitCode {
    let path = cli.config.display();
    print_error(&format!("flagger-jira-bridge: the configuration {path} cannot be used\n{problems}"));
    ExitCode::from(BAD_CONFIG)
}

/// Prints to standard output. The reader may have closed the pipe.
fn print_all(bytes: &[u8]) {
    drop(std::io::stdout().write_all(bytes));
}

/// Prints to standard error, whether or not there is a log.
fn print_error(text: &str) {
    drop(writeln!(std::io::stderr(), "{text}"));
}

fn log_to_stderr(cli: &Cli) {
    let level = match cli.command {
        // Its commentary says more than the warnings about what users try there.
        Command::Demo(_) => LevelFilter::ERROR,
        // The output of these commands already says what happens.
        Command::Gates(_) | Command::Completions(_) | Command::Man(_) => LevelFilter::WARN,
        Command::Serve | Command::Check | Command::Config | Command::Audit(_) => LevelFilter::INFO,
    };
    let filter = EnvFilter::builder().with_default_directive(level.into()).from_env_lossy();
    let for_developers = filter.max_level_hint().is_none_or(|level| level > LevelFilter::INFO);
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(AutoStream::choice(&std::io::stderr()) != ColorChoice::Never);
    match cli.log_format {
        LogFormat::Text => log.with_target(for_developers).init(),
        LogFormat::Json => log.json().init(),
    }
}
