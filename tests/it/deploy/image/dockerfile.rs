//! Reads Dockerfile and .dockerignore. Only what is used in them is known: anything else is an error, so that nothing gets
//! into the image that nobody has tried.

use std::fmt::Debug;

/// One `FROM` and what follows it.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) from: String,
    pub(crate) name: Option<String>,
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Run(Vec<Command>),
    Copy {
        /// The stage; else what .dockerignore lets through.
        stage: Option<String>,
        /// User and group.
        owner: Option<(u32, u32)>,
        from: String,
        to: String,
    },
    User(u32, u32),
    WorkDir(String),
    Volume(String),
    Expose(Vec<u16>),
    EntryPoint(Vec<String>),
    Cmd(Vec<String>),
}

/// What a `RUN` consists of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Bringing packages of Debian, of which this one counts.
    Package(String),
    /// `cargo` with these arguments.
    Cargo(Vec<String>),
    /// `install -D`: a program, and the path it gets.
    Install {
        from: String,
        to: String,
    },
    MakeDir(String),
}

/// The stages of a Dockerfile.
///
/// # Errors
/// What is not known, with its line.
pub(crate) fn stages(text: &str) -> Result<Vec<Stage>, String> {
    let mut stages: Vec<Stage> = Vec::new();
    let mut arguments: Vec<(String, String)> = Vec::new();
    for line in instructions(text)? {
        let (instruction, rest) = line.split_once(' ').ok_or_else(|| format!("{line}: of what?"))?;
        let mut rest = rest.trim().to_owned();
        if instruction == "ARG" {
            let named = rest.split_once('=').filter(|_| stages.is_empty()).ok_or_else(|| unknown(&line))?;
            arguments.push((format!("${{{}}}", named.0), named.1.to_owned()));
            continue;
        }
        if instruction == "FROM" {
            // They stand for images only, and have a value here.
            for (name, value) in &arguments {
                rest = rest.replace(name, value);
            }
        }
        let rest = rest.as_str();
        if instruction == "FROM" {
            let words: Vec<&str> = rest.split_whitespace().collect();
            let (from, name) = match words.as_slice() {
                [from] => (*from, None),
                [from, "AS", name] => (*from, Some((*name).to_owned())),
                _ => return Err(unknown(&line)),
            };
            stages.push(Stage { from: from.to_owned(), name, steps: Vec::new() });
            continue;
        }
        let step = step(instruction, rest).ok_or_else(|| unknown(&line))??;
        if let Step::Copy { stage: Some(stage), .. } = &step
            && !stages.iter().rev().skip(1).any(|it| it.name.as_ref() == Some(stage))
        {
            return Err(format!("{line}: there is no stage {stage}"));
        }
        stages.last_mut().ok_or_else(|| format!("{line}: stands before FROM"))?.steps.push(step);
    }
    Ok(stages)
}

fn unknown(line: &str) -> String {
    format!("{line}: nobody here knows how to do that; teach tests/it/deploy/image/dockerfile.rs")
}

/// The lines without comments, those that go on put together.
fn instructions(text: &str) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let mut begun = String::new();
    for line in text.lines().map(str::trim) {
        // The first line names a syntax, which a comment may do.
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line.strip_suffix('\\') {
            Some(part) => begun += part,
            None => found.push(std::mem::take(&mut begun) + line),
        }
    }
    if begun.is_empty() { Ok(found) } else { Err(format!("{begun}: goes on, but where?")) }
}

/// `None`: unknown.
fn step(instruction: &str, rest: &str) -> Option<Result<Step, String>> {
    let step = match instruction {
        "RUN" => {
            return Some(
                rest.split("&&").map(str::trim).filter_map(command).collect::<Result<_, _>>().map(Step::Run),
            );
        }
        "COPY" => copy(rest)?,
        "USER" => {
            let (user, group) = owner(rest)?;
            Step::User(user, group)
        }
        "WORKDIR" => Step::WorkDir(absolute(rest)?),
        "VOLUME" => Step::Volume(absolute(rest)?),
        "EXPOSE" => Step::Expose(rest.split(' ').map(|port| port.parse().ok()).collect::<Option<_>>()?),
        // There is no shell for the other form.
        "ENTRYPOINT" => Step::EntryPoint(serde_json::from_str(rest).ok()?),
        "CMD" => Step::Cmd(serde_json::from_str(rest).ok()?),
        _ => return None,
    };
    Some(Ok(step))
}

fn copy(rest: &str) -> Option<Step> {
    let (mut stage, mut of, mut paths) = (None, None, Vec::new());
    for word in rest.split_whitespace() {
        if let Some(name) = word.strip_prefix("--from=") {
            stage = Some(name.to_owned());
        } else if let Some(who) = word.strip_prefix("--chown=") {
            of = Some(owner(who)?);
        } else if word.starts_with("--") {
            return None;
        } else {
            paths.push(word.to_owned());
        }
    }
    let [from, to] = paths.try_into().ok()?;
    Some(Step::Copy { stage, owner: of, from, to })
}

/// Numbers, since a Kubernetes that must not run root does not look up names.
fn owner(words: &str) -> Option<(u32, u32)> {
    let (user, group) = words.split_once(':')?;
    Some((user.parse().ok()?, group.parse().ok()?))
}

fn absolute(path: &str) -> Option<String> {
    let known = path.starts_with('/') && path.chars().all(|c| c.is_ascii_alphanumeric() || "/-_".contains(c));
    known.then(|| path.to_owned())
}

/// `None`: it leaves nothing behind.
fn command(line: &str) -> Option<Result<Command, String>> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let plain = |word: &&str| word.chars().all(|c| c.is_ascii_alphanumeric() || "/-_.".contains(c));
    Some(Ok(match words.as_slice() {
        ["apt-get", "update"] | ["rm", "-rf", "/var/lib/apt/lists/*"] => return None,
        ["apt-get", "install", "--yes", "--no-install-recommends", package] => {
            Command::Package((*package).to_owned())
        }
        ["cargo", arguments @ ..] if arguments.iter().all(plain) => {
            Command::Cargo(arguments.iter().map(|&word| word.to_owned()).collect())
        }
        ["install", "-D", from, to] if plain(from) && plain(to) => {
            Command::Install { from: (*from).to_owned(), to: (*to).to_owned() }
        }
        ["mkdir", path] if plain(path) => Command::MakeDir((*path).to_owned()),
        _ => return Some(Err(unknown(&format!("RUN {line}")))),
    }))
}

/// What .dockerignore lets through: names of the top folder. Everything else it must leave out.
///
/// # Errors
/// What is not known, with its line.
pub(crate) fn let_through(text: &str) -> Result<Vec<String>, String> {
    let mut lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    if lines.next() != Some("*") {
        return Err("the first line must be *: what is not named is left out".to_owned());
    }
    let plain = |name: &str| !name.contains(['/', '*', '?', '[', '!', '\\', ' ']) && !name.is_empty();
    let name = |line: &str| match line.strip_prefix('!') {
        Some(name) if plain(name) => Ok(name.to_owned()),
        _ => Err(format!(
            "{line}: nobody here knows how to do that; teach tests/it/deploy/image/dockerfile.rs"
        )),
    };
    lines.map(name).collect()
}
