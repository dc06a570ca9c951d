//! SQLite's files: their permissions, and the volumes on which they may be.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use fake_jira::Flavour;

use crate::world::program::{Serving, jira_and_config, program};

/// The program with this umask.
fn with_umask(umask: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\"")]).arg(program().get_program());
    shell
}

fn modes(directory: &Path) -> Vec<(String, u32)> {
    let mut found: Vec<(String, u32)> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
            (entry.file_name().into_string().unwrap(), mode)
        })
        .collect();
    found.sort();
    found
}

const PRIVATE: [(&str, u32); 3] = [("bridge.db", 0o600), ("bridge.db-shm", 0o600), ("bridge.db-wal", 0o600)];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlites_files_are_private() {
    let (_jira, home, config) = jira_and_config(Flavour::Cloud, "").await;
    for umask in ["0000", "0022", "0077"] {
        let data = home.0.path().join(umask);
        fs::create_dir(&data).unwrap();
        let mut program = with_umask(umask);
        program.env("BRIDGE__STORE__URL", format!("sqlite://{}", data.join("bridge.db").display()));
        // The bridge needs no file elsewhere.
        program.env("SQLITE_TMPDIR", "/nowhere").env("TMPDIR", "/nowhere");
        let serving = Serving::start_as(program, &config);
        let expected = PRIVATE.map(|(name, mode)| (name.to_owned(), mode));
        assert_eq!(modes(&data), expected, "umask {umask}");
        drop(serving);
    }
}

/// Files that an earlier version left readable for others become private.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readable_files_become_private() {
    let (_jira, home, config) = jira_and_config(Flavour::Cloud, "").await;
    let data = home.0.path().join("data");
    fs::create_dir(&data).unwrap();
    let url = format!("sqlite://{}", data.join("bridge.db").display());
    let start = || {
        let mut program = program();
        program.env("BRIDGE__STORE__URL", &url);
        Serving::start_as(program, &config)
    };
    // Killed, so that its WAL stays.
    drop(start());
    for entry in fs::read_dir(&data).unwrap() {
        fs::set_permissions(entry.unwrap().path(), Permissions::from_mode(0o644)).unwrap();
    }
    let mut again = start();
    again.has_logged("others could read the database (mode 644); now only its owner can");
    assert_eq!(modes(&data), PRIVATE.map(|(name, mode)| (name.to_owned(), mode)));
}

/// A FUSE file system with an empty root.
struct Fuse(PathBuf);

impl Fuse {
    /// Mounts it; `None` if this user may not.
    fn mount(at: &Path) -> Option<Self> {
        let device = OpenOptions::new().read(true).write(true).open("/dev/fuse").ok()?;
        fs::create_dir(at).unwrap();
        let served = device.try_clone().unwrap();
        // The kernel resolves the file descriptor in the process that mounts: the device is its standard input.
        let mounted = Command::new("mount")
            .args(["-i", "-t", "fuse", "-o", "fd=0,rootmode=40000,user_id=0,group_id=0", "bridge-test"])
            .arg(at)
            .stdin(Stdio::from(device))
            .stderr(Stdio::null())
            .status();
        mounted.ok().filter(std::process::ExitStatus::success)?;
        // The device cannot be read before the mount.
        std::thread::spawn(move || serve(served));
        Some(Self(at.to_owned()))
    }
}

impl Drop for Fuse {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

/// Answers the kernel's requests until the unmount, as linux/fuse.h describes.
fn serve(mut device: File) {
    const GETATTR: u32 = 3;
    const STATFS: u32 = 17;
    const INIT: u32 = 26;
    let mut request = vec![0; 1 << 17];
    while let Ok(40..) = device.read(&mut request) {
        let word = |at: usize| u32::from_le_bytes(request[at..at + 4].try_into().unwrap());
        let mut body = Vec::new();
        match word(4) {
            INIT => {
                // Version 7.23, whose answer is short, and a write size of one page.
                body.extend([7_u32, 23, 0, 0, 0, 4096].iter().flat_map(|word| word.to_le_bytes()));
                body.resize(64, 0);
            }
            GETATTR => {
                body.resize(104, 0);
                body[16] = 1;
                body[76..80].copy_from_slice(&0o40_777_u32.to_le_bytes());
                body[80] = 2;
            }
            STATFS => body.resize(80, 0),
            _ => {}
        }
        // ENOSYS
        let error: i32 = if body.is_empty() { -38 } else { 0 };
        let mut answer = (16 + body.len() as u32).to_le_bytes().to_vec();
        answer.extend(error.to_le_bytes());
        answer.extend(&request[8..16]);
        answer.extend(body);
        if device.write(&answer).is_err() {
            return;
        }
    }
}

/// `serve` waits, as for any unusable store, and `check` fails. With `store.allow_network_volume` the volume is
/// accepted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_volume_is_refused() {
    let (_jira, home, config) = jira_and_config(Flavour::Cloud, "").await;
    let Some(fuse) = Fuse::mount(&home.0.path().join("fuse")) else {
        println!("not tried: this user may not mount a FUSE");
        return;
    };
    let file = fuse.0.join("bridge.db");
    let url = format!("sqlite://{}", file.display());
    let said = format!("cannot open {}: it is on a network volume (FUSE)", file.display());
    let mut refusing = program();
    refusing.env("BRIDGE__STORE__URL", &url);
    let mut serving = Serving::listens_as(refusing, &config);
    let line = serving.logs("store.url: ");
    assert!(line.contains(&said) && line.contains("store.allow_network_volume = true"), "{line}");
    drop(serving);
    let check = |allowed: &str| {
        let mut check = program();
        check.args(["check", "-c"]).arg(&config).env("BRIDGE__STORE__URL", &url);
        let output = check.env("BRIDGE__STORE__ALLOW_NETWORK_VOLUME", allowed).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, out) = check("false");
    assert!(code == Some(1) && out.contains(&said), "{out}");
    let (_, out) = check("true");
    assert!(
        out.contains("FAIL  store.url") && !out.contains("network volume"),
        "this file system cannot create files: {out}"
    );
}
