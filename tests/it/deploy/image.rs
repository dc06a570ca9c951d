//! The Dockerfile matches the program, and the release. `.ci/image` builds it.

use std::path::{Path, PathBuf};

use clap::Parser as _;
use flagger_jira_bridge::{
    cli::{self, Cli},
    config::EXAMPLE,
};

const DOCKERFILE: &str = include_str!("../../../Dockerfile");
const RELEASE: &str = include_str!("../../../.ci/release");
const IGNORED: &str = include_str!("../../../.dockerignore");

/// The instructions of a stage, each on one line.
struct Stage(Vec<(String, String)>);

impl Stage {
    /// All stages, with the values of `ARG`s filled in.
    fn read() -> Vec<Self> {
        let mut stages = Vec::new();
        let mut arguments = Vec::new();
        let text = DOCKERFILE.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
        for line in text.replace("\\\n", "").lines().filter(|line| !line.is_empty()) {
            let (instruction, rest) = line.split_once(' ').unwrap();
            match instruction {
                "ARG" => arguments.push(rest.split_once('=').unwrap()),
                "FROM" => {
                    let put = |rest: String, (name, value): &(&str, &str)| {
                        rest.replace(&format!("${{{name}}}"), value)
                    };
                    let from = arguments.iter().fold(rest.to_owned(), put);
                    stages.push(Self(vec![(instruction.to_owned(), from)]));
                }
                _ => stages.last_mut().unwrap().0.push((instruction.to_owned(), rest.to_owned())),
            }
        }
        stages
    }

    fn all(&self, instruction: &str) -> Vec<&str> {
        self.0.iter().filter(|it| it.0 == instruction).map(|it| it.1.as_str()).collect()
    }

    /// The value of an instruction that occurs once.
    fn the(&self, instruction: &str) -> &str {
        let [only] = self.all(instruction).try_into().unwrap();
        only
    }

    fn position(&self, instruction: &str) -> Option<usize> {
        self.0.iter().rposition(|it| it.0 == instruction)
    }
}

/// The facts of the image that a manifest must match.
pub(crate) struct Facts {
    pub(crate) user: (u32, u32),
    pub(crate) work_dir: String,
    pub(crate) volume: String,
    pub(crate) ports: Vec<u16>,
    pub(crate) entry_point: Vec<String>,
    pub(crate) cmd: Vec<String>,
}

impl Facts {
    /// Reads them from the last stage of the Dockerfile.
    pub(crate) fn read() -> Self {
        let stages = Stage::read();
        let last = stages.last().unwrap();
        // Numbers, because Kubernetes cannot check `runAsNonRoot` for a user name.
        let (user, group) = last.the("USER").split_once(':').unwrap();
        Self {
            user: (user.parse().unwrap(), group.parse().unwrap()),
            work_dir: last.the("WORKDIR").to_owned(),
            volume: last.the("VOLUME").to_owned(),
            ports: last.the("EXPOSE").split(' ').map(|port| port.parse().unwrap()).collect(),
            // The image has no shell, which the other form needs.
            entry_point: serde_json::from_str(last.the("ENTRYPOINT")).unwrap(),
            cmd: serde_json::from_str(last.the("CMD")).unwrap(),
        }
    }

    /// The file that the image reads.
    pub(crate) fn config(&self) -> PathBuf {
        self.runs().config
    }

    fn runs(&self) -> Cli {
        Cli::try_parse_from(self.entry_point.iter().chain(&self.cmd)).unwrap()
    }
}

#[test]
fn the_image_fits_the_program() {
    let facts = Facts::read();
    assert_ne!((facts.user.0, facts.user.1), (0, 0));
    assert_eq!(facts.volume, facts.work_dir, "the database is created in the working directory");
    let defaults: toml::Table = EXAMPLE.parse().unwrap();
    assert_eq!(defaults["store"]["url"].as_str(), Some("sqlite://bridge.db"));
    let listeners = ["gate_listen", "webhook_listen", "admin_listen"];
    let ports: [u16; 3] = listeners
        .map(|key| defaults["server"][key].as_str().unwrap().rsplit(':').next().unwrap().parse().unwrap());
    assert_eq!(facts.ports, ports);
    assert_eq!(facts.runs().command, cli::Command::Serve);
    assert!(facts.config().is_absolute());
}

/// A program that was built on a newer Debian than it runs on does not start. The volume belongs to the image's user.
#[test]
fn the_stages_fit_each_other() {
    let stages = Stage::read();
    let [build, last] = stages.as_slice() else { panic!("two stages") };
    let base = build.the("FROM").strip_suffix(" AS build").unwrap();
    assert_eq!(tag_of(base), concat!("rust:", env!("CARGO_PKG_RUST_VERSION"), "-slim-bookworm"));
    assert_eq!(tag_of(last.the("FROM")), "gcr.io/distroless/cc-debian12:nonroot", "12 is bookworm");
    assert_eq!(build.all("COPY"), [". ."]);
    let made = build.all("RUN").join(" ");
    assert!(made.contains("cargo build --release --locked"), "{made}");
    let Facts { user: (user, group), volume, entry_point, .. } = Facts::read();
    assert!(made.contains(&format!("install -D target/release/flagger-jira-bridge /out{}", entry_point[0])));
    assert!(made.contains(&format!("mkdir /out{volume}")), "{made}");
    let license = "install -D --mode=644 LICENSE /out/usr/share/doc/flagger-jira-bridge/LICENSE";
    assert!(made.contains(license), "{made}");
    let volume = format!("--from=build --chown={user}:{group} /out{volume} {volume}");
    assert_eq!(last.all("COPY"), ["--from=build /out/usr /usr", &volume]);
    assert!(last.position("COPY") < last.position("USER"), "USER applies only to the running program");
    assert!(last.position("RUN").is_none(), "the last stage has no shell");
}

/// The image and the release contain the same completions and manual pages.
#[test]
fn the_release_installs_what_the_image_does() {
    let runs: Vec<&str> =
        DOCKERFILE.lines().filter_map(|line| line.strip_prefix(" && flagger-jira-bridge ")).collect();
    let runs: Vec<&str> = runs.iter().map(|run| run.trim_end_matches(" \\")).collect();
    let made: Vec<&str> =
        RELEASE.lines().filter_map(|line| line.trim().strip_prefix("flagger-jira-bridge ")).collect();
    assert_eq!(runs, made);
    insta::assert_snapshot!(runs.join("\n"), @r"
    completions bash >bash-completion/completions/flagger-jira-bridge
    completions zsh >zsh/vendor-completions/_flagger-jira-bridge
    completions fish >fish/vendor_completions.d/flagger-jira-bridge.fish
    man man/man1
    ");
}

/// The tag of an image that is pinned by its digest.
fn tag_of(image: &str) -> &str {
    let (tag, digest) = image.split_once("@sha256:").unwrap_or_else(|| panic!("{image} has no digest"));
    assert!(
        digest.len() == 64 && digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
        "{image}"
    );
    tag
}

/// Only the listed files are in the build context, and they exist.
#[test]
fn the_build_context_contains_only_sources() {
    let mut lines = IGNORED.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(lines.next(), Some("*"), "everything else is excluded");
    let names: Vec<&str> = lines.map(|line| line.strip_prefix('!').unwrap()).collect();
    for name in &names {
        assert!(!name.contains(['/', '*']) && Path::new(name).exists(), "{name}");
        assert!(![".git", "target", "deploy", "config.toml"].contains(name), "{name}");
    }
    // Cargo needs the files that the manifests name. `.ci/image` checks the compiled files with cargo's own list.
    for needed in ["Cargo.toml", "Cargo.lock", "LICENSE", "README.md", "crates", "src", "benches", "tests"] {
        assert!(names.contains(&needed), "{needed}");
    }
}
