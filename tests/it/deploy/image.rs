//! The image, without an engine that builds or runs one: what the Dockerfile says is done by hand, as it stands there.
//! `.ci/image` builds the program for it and runs it as the image would; the rest is read from the files alone.

mod build;
mod container;
pub(crate) mod dockerfile;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Parser as _;
use fake_jira::{FakeJira, Flavour, MIA, Setup};
use flagger_jira_bridge::{
    cli::{self, Cli},
    clock::Clock,
    config::EXAMPLE,
};
use tokio::{io::copy_bidirectional, net::TcpListener};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};

use self::{
    build::Image,
    container::{Container, Rights},
    dockerfile::{Stage, Step, let_through, stages},
};
use crate::world::program::Serving;

const DOCKERFILE: &str = include_str!("../../../Dockerfile");
const IGNORED: &str = include_str!("../../../.dockerignore");

/// The image's own facts: what a manifest must fit.
pub(crate) struct Facts {
    pub(crate) user: (u32, u32),
    pub(crate) work_dir: String,
    pub(crate) volume: String,
    pub(crate) ports: Vec<u16>,
    pub(crate) entry_point: Vec<String>,
    pub(crate) cmd: Vec<String>,
}

impl Facts {
    /// From the last stage of the Dockerfile, which says each once.
    pub(crate) fn read() -> Self {
        let stages = stages(DOCKERFILE).unwrap();
        let steps = &stages.last().unwrap().steps;
        macro_rules! the {
            ($pattern:pat => $value:expr) => {{
                let mut found =
                    steps.iter().filter_map(|step| if let $pattern = step { Some($value) } else { None });
                let first = found.next().unwrap();
                assert!(found.next().is_none(), "{first:?} is said twice");
                first
            }};
        }
        Self {
            user: the!(Step::User(user, group) => (*user, *group)),
            work_dir: the!(Step::WorkDir(path) => path.clone()),
            volume: the!(Step::Volume(path) => path.clone()),
            ports: the!(Step::Expose(ports) => ports.clone()),
            entry_point: the!(Step::EntryPoint(words) => words.clone()),
            cmd: the!(Step::Cmd(words) => words.clone()),
        }
    }

    /// The file that the image reads.
    pub(crate) fn config(&self) -> PathBuf {
        let words = self.entry_point.iter().chain(&self.cmd);
        Cli::try_parse_from(words).unwrap().config
    }
}

#[test]
fn the_image_fits_the_program() {
    let facts = Facts::read();
    assert_ne!((facts.user.0, facts.user.1), (0, 0));
    assert_eq!(facts.volume, facts.work_dir, "the database is made in the working directory");
    let defaults: toml::Table = EXAMPLE.parse().unwrap();
    assert_eq!(defaults["store"]["url"].as_str(), Some("sqlite://bridge.db"));
    let listeners = ["gate_listen", "webhook_listen", "admin_listen"];
    let ports: [u16; 3] = listeners
        .map(|key| defaults["server"][key].as_str().unwrap().rsplit(':').next().unwrap().parse().unwrap());
    assert_eq!(facts.ports, ports);
    let command = Cli::try_parse_from(facts.entry_point.iter().chain(&facts.cmd)).unwrap().command;
    assert_eq!(command, cli::Command::Serve);
    assert!(facts.config().is_absolute());
}

/// A program that was built on a newer Debian than it runs on would not start. The volume belongs to the one who writes it.
#[test]
fn the_stages_fit_each_other() {
    let stages = stages(DOCKERFILE).unwrap();
    let [build, last] = stages.as_slice() else { panic!("{stages:?}") };
    let toolchain = env!("CARGO_PKG_RUST_VERSION");
    assert_eq!(tag_of(&build.from), format!("rust:{toolchain}-slim-bookworm"));
    assert_eq!(tag_of(&last.from), "gcr.io/distroless/cc-debian12:nonroot", "12 is bookworm");
    let facts = Facts::read();
    let copied = |path: &str| {
        last.steps.iter().any(|step| matches!(step, Step::Copy { owner: Some(owner), to, .. } if *owner == facts.user && to == path))
    };
    assert!(copied(&facts.volume));
    let user = last.steps.iter().position(|step| matches!(step, Step::User(..)));
    let copy = last.steps.iter().rposition(|step| matches!(step, Step::Copy { .. }));
    assert!(copy < user, "only what is run is run as this user");
}

/// The tag of an image that is named by tag and digest; a tag alone moves.
fn tag_of(image: &str) -> &str {
    let (tag, digest) = image.split_once("@sha256:").unwrap_or_else(|| panic!("{image} has no digest"));
    assert_eq!(digest.trim_matches(|digit: char| matches!(digit, '0'..='9' | 'a'..='f')), "", "{image}");
    assert_eq!(digest.len(), 64, "{image}");
    tag
}

/// Nothing that is not named gets in, and what is named is there or announced.
#[test]
fn the_build_sees_its_sources_alone() {
    let names: BTreeSet<String> = let_through(IGNORED).unwrap().into_iter().collect();
    for needed in ["Cargo.toml", "Cargo.lock", "crates", "src", "tests", "README.md", "config.example.toml"] {
        assert!(names.contains(needed), "{needed}");
    }
    for secret in [".git", "target", "deploy", "config.toml"] {
        assert!(!names.contains(secret), "{secret}");
    }
    for name in names.iter().filter(|name| *name != "benches") {
        assert!(Path::new(name).exists(), "{name} is let through and not there");
    }
}

#[test]
fn what_nobody_knows_is_refused() {
    let end = "FROM base AS build\nWORKDIR /src\n";
    for (line, words) in [
        ("ADD https://example.com/x /x", "ADD https://example.com/x /x: nobody here knows"),
        ("ENV A=b", "ENV A=b: nobody"),
        ("RUN cargo build --release && curl example.com | sh", "RUN curl example.com | sh: nobody"),
        ("RUN cargo build $FLAGS", "RUN cargo build $FLAGS: nobody"),
        ("RUN rm -rf /", "RUN rm -rf /: nobody"),
        ("RUN --mount=type=cache,target=/x cargo build", "nobody"),
        ("COPY --link . .", "nobody"),
        ("COPY --from=elsewhere /a /b", "there is no stage elsewhere"),
        ("COPY --from=build /a /b", "there is no stage build"),
        ("USER nonroot", "USER nonroot: nobody"),
        ("USER 65532", "nobody"),
        ("WORKDIR src", "nobody"),
        ("CMD serve -c config.toml", "nobody"),
        ("EXPOSE 8080/tcp", "nobody"),
        ("SHELL", "of what?"),
        ("COPY . . \\", "goes on, but where?"),
        ("FROM a AS", "nobody"),
    ] {
        let said = stages(&format!("{end}{line}\n")).unwrap_err();
        assert!(said.contains(words), "{line}: {said}");
    }
    assert!(stages("RUN mkdir /x\n").unwrap_err().contains("before FROM"));
    for text in ["", "target\n", "*\nsrc\n", "*\n!src/*\n", "*\n!../secret\n", "*\n!\n"] {
        assert!(let_through(text).is_err(), "{text:?}");
    }
    let Stage { from, name, steps } =
        stages(&format!("{end}# a remark\nRUN mkdir /a \\\n # another\n && mkdir b\n")).unwrap().remove(0);
    assert_eq!((from.as_str(), name.as_deref(), steps.len()), ("base", Some("build"), 2));
    let commands = ["/a", "b"].map(|path| dockerfile::Command::MakeDir(path.into()));
    assert_eq!(steps[1], Step::Run(commands.into()));
}

/// Lets in through TLS whoever trusts the certificate of `fixtures/tls`. Returns the port.
async fn with_tls(jira: String) -> u16 {
    let file = |name: &str| format!("{}/fixtures/tls/{name}", env!("CARGO_MANIFEST_DIR"));
    let chain =
        CertificateDer::pem_file_iter(file("old.crt.pem")).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(file("old.key.pem")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let tls = TlsAcceptor::from(Arc::new(config.with_single_cert(chain, key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let plain = jira.strip_prefix("http://").unwrap().to_owned();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, plain) = (tls.clone(), plain.clone());
            tokio::spawn(async move {
                // Who does not trust it goes away.
                if let Ok(mut from) = tls.accept(stream).await {
                    let mut to = tokio::net::TcpStream::connect(plain).await.unwrap();
                    drop(copy_bidirectional(&mut from, &mut to).await);
                }
            });
        }
    });
    port
}

const CONFIG: &str = r#"
[server]
gate_listen = "127.0.0.1:0"
webhook_listen = "127.0.0.1:0"
admin_listen = "127.0.0.1:0"
[jira]
user = "USER"
token_file = "/secrets/jira-token"
webhook_secret_file = "/secrets/jira-webhook"
poll_every = "300ms"
requests_per_second = 50
[ticket]
project = "OPS"
"#;

/// A Jira, and the image's program with a volume, as it is set up for that Jira.
fn set_up(image: &Image, rights: Rights) -> (FakeJira, Container<'_>) {
    let setup = Setup::new(Flavour::Cloud, Clock::System);
    let config = CONFIG.replace("USER", &setup.user);
    let secrets = [("jira-token", setup.token.as_str()), ("jira-webhook", "some-webhook-secret")];
    let container = Container::new(image, rights, &config, &secrets);
    (FakeJira::new(setup), container)
}

async fn status(url: &str) -> u16 {
    reqwest::get(url).await.unwrap().status().as_u16()
}

/// The whole job: ask, approve, open; stopped and started again on the same volume, it knows.
async fn serves(image: &Image, rights: Rights) {
    let facts = Facts::read();
    let (jira, container) = set_up(image, rights);
    let url = jira.start().await.unwrap();
    let env = [("BRIDGE__JIRA__URL", url.as_str())];
    assert_eq!(facts.cmd[..2], ["serve", "-c"], "as the program is started below");
    let start = || Serving::start_as(container.program(&env), Path::new(&facts.cmd[2]));

    let mut serving = start();
    container.confines(serving.child.id());
    serving.has_logged("Jira accepts the bridge");
    for path in ["healthz", "readyz"] {
        assert_eq!(status(&format!("{}/{path}", serving.addresses[0])).await, 200, "{path}");
    }
    assert_eq!(serving.asks("confirm-promotion", "Progressing", "new").await.0, 403);
    serving.asks_until("confirm-promotion", "Progressing", "new", "waiting for a decision").await;
    let [ticket] = jira.issues().try_into().unwrap();
    jira.move_issue(&ticket.key, "Approved", MIA).unwrap();
    let open = serving.asks_until("confirm-promotion", "Progressing", "new", "approved by Mia").await;
    assert_eq!(open.0, 200);
    let (code, gates) = container.runs(&["gates", "--admin", &serving.addresses[2]], &[]);
    assert!(code == Some(0) && gates.contains(&ticket.key), "{gates}");
    serving.signal("-TERM");
    serving.logs("stopped");
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));

    let mut serving = start();
    assert_eq!(serving.asks("confirm-promotion", "Progressing", "new").await, open);
    serving.signal("-TERM");
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));
    assert_eq!(jira.issues().len(), 1, "no second ticket");
    assert_eq!(jira.complaints(), Vec::<String>::new());

    let kept = || -> BTreeSet<String> {
        let files = fs::read_dir(container.volume()).unwrap();
        files.map(|it| it.unwrap().file_name().into_string().unwrap()).collect()
    };
    assert_eq!(
        kept(),
        BTreeSet::from(["bridge.db".to_owned()]),
        "the volume has what is stored, and nothing more"
    );

    let config = ["-c", &facts.cmd[2]];
    let (code, record) = container.runs(&[&["audit", "--verify"], &config[..]].concat(), &env);
    assert_eq!(code, Some(0), "{record}");
    let check = [&["check"], &config[..]].concat();
    let (code, report) = container.runs(&check, &env);
    let database = report.lines().find(|line| line.contains("store.url")).unwrap();
    assert!(code == Some(0) && database.ends_with("bridge.db is there and can be written"), "{report}");
    // Who only reads leaves SQLite's log behind.
    assert!(kept().iter().all(|name| name.starts_with("bridge.db")), "{:?}", kept());
    println!("  serves, stops, remembers; the volume has bridge.db");
}

/// Nothing but the volume can be written.
async fn writes_only_its_volume(image: &Image, rights: Rights) {
    let (jira, container) = set_up(image, rights);
    let url = jira.start().await.unwrap();
    let config = Facts::read().config();
    for place in ["sqlite:///bridge.db", "sqlite:///etc/bridge.db", "sqlite:///secrets/bridge.db"] {
        let env = [("BRIDGE__JIRA__URL", url.as_str()), ("BRIDGE__STORE__URL", place)];
        let (code, report) = container.runs(&["check", "-c", config.to_str().unwrap()], &env);
        let line = report.lines().find(|line| line.contains("store.url")).unwrap();
        assert_eq!(code, Some(1), "{report}");
        assert!(
            line.starts_with("FAIL") && line.contains("no file can be created in its directory"),
            "{line}"
        );
        println!("  {line}");
    }
}

/// Whom TLS trusts: the authorities of the image's base, those of jira.ca_file, or nobody, and then it says so.
async fn trusts(image: &Image, rights: Rights) {
    let (jira, mut container) = set_up(image, rights);
    let plain = jira.start().await.unwrap();
    let url = format!("https://localhost:{}", with_tls(plain.clone()).await);
    let config = Facts::read().config();
    let authority = container.adds("jira-ca", include_str!("../../../fixtures/tls/old.crt.pem"));
    let runs = |container: &Container<'_>, command, url: &str, authority: &str| {
        let mut env = vec![("BRIDGE__JIRA__URL", url)];
        if !authority.is_empty() {
            env.push(("BRIDGE__JIRA__CA_FILE", authority));
        }
        container.runs(&[command, "-c", config.to_str().unwrap()], &env)
    };
    for public in [true, false] {
        container.trusts_the_public = public;
        let (code, said) = runs(&container, "check", &url, &authority);
        assert_eq!(code, Some(0), "{said}");
        let (code, said) = runs(&container, "check", &url, "");
        let line = said.lines().find(|line| line.starts_with("FAIL")).unwrap();
        let why = if public {
            "an authority that is not known here"
        } else {
            "no certificate authority is known here"
        };
        assert!(code == Some(1) && line.starts_with("FAIL  jira.ca_file ") && line.contains(why), "{said}");
        println!("  {line}");
        // Without TLS there is nobody to trust.
        let (code, said) = runs(&container, "check", &plain, "");
        assert_eq!(code, Some(0), "{said}");
    }
    let (code, said) = runs(&container, "serve", &url, "");
    assert!(code == Some(1) && said.contains("no certificate authority is known here"), "{said}");
    println!("  {}", said.lines().last().unwrap());

    let env = [("BRIDGE__JIRA__URL", url.as_str()), ("BRIDGE__JIRA__CA_FILE", authority.as_str())];
    let mut serving = Serving::start_as(container.program(&env), &config);
    serving.has_logged("Jira accepts the bridge");
    serving.signal("-TERM");
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));
}

/// Builds the program as the Dockerfile does, and runs it as the image does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by .ci/image"]
async fn the_image_works() {
    let rights = Rights::found(Facts::read().user);
    println!("the image is tried as {rights:?}");
    let image = Image::build(&stages(DOCKERFILE).unwrap(), Path::new("target/image"), rights == Rights::Root);
    let size = fs::metadata(build::below(&image.root, &image.entry_point)).unwrap().len();
    println!(
        "built within {:.1} s, {:.1} MiB",
        image.build_took.as_secs_f64(),
        size as f64 / f64::from(1 << 20)
    );
    // Mounting needs places to mount at; they are there from the first container on.
    drop(set_up(&image, rights));
    let before = image.listing();
    for name in ["bin", "bin/sh", "usr/bin", "tmp", "var", "proc", "dev"] {
        assert!(!before.contains(name), "{name} is not needed");
    }
    serves(&image, rights).await;
    writes_only_its_volume(&image, rights).await;
    trusts(&image, rights).await;
    assert_eq!(image.listing(), before, "the image is as it was");
    let (code, said) = Container::new(&image, rights, "", &[]).runs(&["--version"], &[]);
    assert_eq!((code, said.trim()), (Some(0), concat!("flagger-jira-bridge ", env!("CARGO_PKG_VERSION"))));
}
