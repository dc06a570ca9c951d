//! Does what the Dockerfile's stages do, each in a folder that stands for its root.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Command as Process,
    time::Duration,
};

use tokio::time::Instant;

use super::dockerfile::{Command, Stage, Step, let_through};

/// What the image's base brings of libraries and a program of Rust needs; more of them must not be needed.
const OF_THE_BASE: [&str; 5] = ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "libpthread.so.0", "libdl.so.2"];
/// The public certificate authorities, as the base has them.
pub(super) const AUTHORITIES: &str = "etc/ssl/certs/ca-certificates.crt";

/// What the last stage makes.
pub(super) struct Image {
    /// A folder with all the files of the image, and what an engine mounts into it.
    pub(super) root: PathBuf,
    pub(super) user: (u32, u32),
    pub(super) work_dir: String,
    pub(super) volume: String,
    pub(super) entry_point: String,
    pub(super) cmd: Vec<String>,
    pub(super) build_took: Duration,
}

impl Image {
    /// The stages one after the other. What cargo built for the image before is kept.
    pub(super) fn build(stages: &[Stage], folder: &Path, owned: bool) -> Self {
        let [build, last] = stages else { panic!("two stages, not {}", stages.len()) };
        fs::create_dir_all(folder).unwrap();
        let folder = fs::canonicalize(folder).unwrap();
        let began = Instant::now();
        let built = build_stage(build, &folder.join("build"));
        let build_took = began.elapsed();
        let root = folder.join("root");
        drop(fs::remove_dir_all(&root));
        let mut image = Self {
            root,
            user: (0, 0),
            work_dir: "/".into(),
            volume: String::new(),
            entry_point: String::new(),
            cmd: Vec::new(),
            build_took,
        };
        for step in &last.steps {
            image.take(step, &built, owned);
        }
        image.base();
        image
    }

    fn take(&mut self, step: &Step, built: &Path, owned: bool) {
        match step {
            Step::Copy { stage: Some(_), owner, from, to } => {
                let (from, to) = (below(built, from), below(&self.root, to));
                copy_content(&from, &to);
                if let (Some((user, group)), true) = (owner, owned) {
                    assert_eq!(fs::read_dir(&to).unwrap().count(), 0, "an empty folder changes its owner");
                    chown(&to, Some(*user), Some(*group)).unwrap();
                }
            }
            Step::User(user, group) => self.user = (*user, *group),
            Step::WorkDir(path) => self.work_dir.clone_from(path),
            Step::Volume(path) => self.volume.clone_from(path),
            Step::EntryPoint(words) => {
                let [program] = words.as_slice() else { panic!("the program alone, not {words:?}") };
                self.entry_point.clone_from(program);
            }
            Step::Cmd(words) => self.cmd.clone_from(words),
            Step::Expose(_) => {}
            Step::Run(_) | Step::Copy { stage: None, .. } => {
                panic!("the last stage has no shell for {step:?}")
            }
        }
    }

    /// What the base image brings and the program needs: libraries, and whom TLS trusts.
    fn base(&self) {
        let output =
            Process::new("ldd").arg(below(&self.root, &self.entry_point)).output().expect("ldd runs");
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{told}");
        for line in told.lines().map(str::trim) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let path = match words.as_slice() {
                [vdso, ..] if vdso.starts_with("linux-vdso.so") => continue,
                [loader, address] if loader.starts_with("/lib") && address.starts_with('(') => loader,
                [name, "=>", path, _] if OF_THE_BASE.contains(name) => path,
                _ => panic!("the image's base has no library for {line:?}"),
            };
            println!("  needs {line}");
            let to = below(&self.root, path);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(path, to).unwrap();
        }
        let authorities = self.root.join(AUTHORITIES);
        fs::create_dir_all(authorities.parent().unwrap()).unwrap();
        fs::copy(Path::new("/").join(AUTHORITIES), authorities)
            .expect("Debian's ca-certificates is installed here, as it is in the image's base");
    }

    /// Every file and folder of the image.
    pub(super) fn listing(&self) -> BTreeSet<String> {
        fn walk(folder: &Path, root: &Path, found: &mut BTreeSet<String>) {
            for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
                found.insert(entry.path().strip_prefix(root).unwrap().display().to_string());
                if entry.file_type().unwrap().is_dir() {
                    walk(&entry.path(), root, found);
                }
            }
        }
        let mut found = BTreeSet::new();
        walk(&self.root, &self.root, &mut found);
        found
    }
}

/// The first stage. Returns its root.
fn build_stage(stage: &Stage, root: &Path) -> PathBuf {
    let Some(Step::WorkDir(sources)) = stage.steps.iter().find(|step| matches!(step, Step::WorkDir(_)))
    else {
        panic!("the build has no WORKDIR")
    };
    let sources = below(root, sources);
    fs::create_dir_all(&sources).unwrap();
    for entry in fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()) {
        if entry != sources {
            fs::remove_dir_all(entry).unwrap();
        }
    }
    let mut here = root.to_owned();
    for step in &stage.steps {
        match step {
            Step::WorkDir(path) => here = below(root, path),
            Step::Copy { stage: None, owner: None, from, to } if from == "." && to == "." => {
                bring_sources(&here)
            }
            Step::Run(commands) => commands.iter().for_each(|command| run(command, root, &here)),
            Step::Copy { .. }
            | Step::User(..)
            | Step::Volume(_)
            | Step::Expose(_)
            | Step::EntryPoint(_)
            | Step::Cmd(_) => panic!("nobody here knows how to build with {step:?}"),
        }
    }
    root.to_owned()
}

/// What git knows of and .dockerignore lets through. A file that did not change is left as it is, so that cargo sees what is
/// new; `target` is cargo's own.
fn bring_sources(to: &Path) {
    let names = let_through(&fs::read_to_string(".dockerignore").unwrap()).unwrap();
    let output = Process::new("git").args(["ls-files", "-z", "--"]).args(&names).output().expect("git runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listed = String::from_utf8(output.stdout).unwrap();
    let wanted: BTreeSet<&Path> =
        listed.split_terminator('\0').map(Path::new).filter(|path| path.exists()).collect();
    assert!(wanted.contains(Path::new("Cargo.toml")));
    remove_others(to, to, &wanted);
    for path in wanted {
        let (new, file) = (fs::read(path).unwrap(), to.join(path));
        if fs::read(&file).ok().as_ref() != Some(&new) {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, new).unwrap();
        }
    }
}

fn remove_others(folder: &Path, top: &Path, wanted: &BTreeSet<&Path>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let name = path.strip_prefix(top).unwrap();
        if entry.file_type().unwrap().is_dir() {
            if name != Path::new("target") {
                remove_others(&path, top, wanted);
            }
        } else if !wanted.contains(name) {
            fs::remove_file(path).unwrap();
        }
    }
}

fn run(command: &Command, root: &Path, here: &Path) {
    let at = |path: &str| if path.starts_with('/') { below(root, path) } else { here.join(path) };
    match command {
        Command::Package(name) => {
            assert_eq!(name, "build-essential", "which program of {name} is needed?");
            let found = Process::new("cc").arg("--version").output().is_ok_and(|it| it.status.success());
            assert!(found, "cc is missing: install {name}");
        }
        Command::Cargo(arguments) => {
            let mut cargo = Process::new("cargo");
            // Of the cargo that runs this test nothing must be heard there.
            for (name, _) in
                std::env::vars().filter(|(name, _)| name.starts_with("CARGO_") && name != "CARGO_HOME")
            {
                cargo.env_remove(name);
            }
            cargo.env_remove("RUSTFLAGS").env_remove("LD_LIBRARY_PATH").args(arguments).current_dir(here);
            assert!(cargo.status().unwrap().success(), "cargo {arguments:?}");
        }
        Command::Install { from, to } => {
            let to = at(to);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(at(from), &to).unwrap();
            fs::set_permissions(to, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Command::MakeDir(path) => fs::create_dir(at(path)).unwrap(),
    }
}

/// A path of a root, from outside.
pub(super) fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.strip_prefix('/').unwrap_or_else(|| panic!("{path} is not absolute")))
}

/// What COPY does with a folder.
fn copy_content(from: &Path, to: &Path) {
    assert!(from.is_dir(), "{} is no folder", from.display());
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_content(&entry.path(), &to)
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
