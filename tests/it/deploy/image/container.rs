//! Runs a program in the image as an engine would: the image as a root that cannot be written, its user, no more rights
//! than that user has, and nothing else to be seen than what was mounted.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

use super::build::{AUTHORITIES, Image, below};

/// What an engine sets, and the image's base.
const ENVIRONMENT: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin SSL_CERT_FILE=";
/// Where the configuration and the secrets are mounted.
const CONFIG: &str = "/etc/flagger-jira-bridge";
const SECRETS: &str = "/secrets";

/// How this process may become another user in a root of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rights {
    /// As root.
    Root,
    /// In a user namespace, in which only one user exists.
    Namespace,
}

impl Rights {
    /// What there is here.
    pub(super) fn found(user: (u32, u32)) -> Self {
        let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
        let users = fs::read_to_string("/proc/self/uid_map").unwrap();
        let maps = |line: &str| {
            let [first, _, count] = line.split_whitespace().collect::<Vec<_>>().try_into().ok()?;
            let (first, count): (u64, u64) = (first.parse().ok()?, count.parse().ok()?);
            Some((first..first + count).contains(&u64::from(user.0)))
        };
        if is_root && users.lines().filter_map(maps).any(|mapped| mapped) {
            return Self::Root;
        }
        let tried = Command::new("unshare").args(["--user", "--map-root-user", "--mount", "true"]).output();
        let why = match tried {
            Ok(output) if output.status.success() => return Self::Namespace,
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => format!("unshare: {error}"),
        };
        panic!(
            "the image cannot be tried here: this user is not root and may have no namespace of its own ({why}); run it as root"
        );
    }
}

/// The image with a volume and a configuration.
pub(super) struct Container<'a> {
    pub(super) image: &'a Image,
    pub(super) rights: Rights,
    /// Whether there are the authorities that the image's base brings.
    pub(super) trusts_the_public: bool,
    home: TempDir,
}

impl<'a> Container<'a> {
    /// The volume begins as the image's folder, as engines make it; a file of `/secrets` can be read by the group alone, as
    /// Kubernetes makes it for `fsGroup`.
    pub(super) fn new(image: &'a Image, rights: Rights, config: &str, secrets: &[(&str, &str)]) -> Self {
        let container = Self { image, rights, trusts_the_public: true, home: tempfile::tempdir().unwrap() };
        for name in ["volume", "config", "secrets", "nothing"] {
            fs::create_dir(container.here(name)).unwrap();
        }
        let before = fs::metadata(below(&image.root, &image.volume)).unwrap();
        fs::set_permissions(container.volume(), before.permissions()).unwrap();
        chown(container.volume(), Some(before.uid()), Some(before.gid())).unwrap();
        fs::write(container.here("config").join("config.toml"), config).unwrap();
        for (name, value) in secrets {
            container.adds(name, value);
        }
        for folder in [CONFIG, SECRETS] {
            fs::create_dir_all(below(&image.root, folder)).unwrap();
        }
        fs::write(below(&image.root, "/etc/hosts"), "").unwrap();
        container
    }

    /// One more secret. Returns where the program finds it.
    pub(super) fn adds(&self, name: &str, value: &str) -> String {
        let file = self.here("secrets").join(name);
        fs::write(&file, value).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o440)).unwrap();
        if self.rights == Rights::Root {
            chown(file, None, Some(self.image.user.1)).unwrap();
        }
        format!("{SECRETS}/{name}")
    }

    fn here(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The folder of the volume, from outside.
    pub(super) fn volume(&self) -> PathBuf {
        self.here("volume")
    }

    /// What is mounted, where, and whether it can be written.
    fn mounts(&self) -> Vec<(PathBuf, String, bool)> {
        let mut mounts = vec![
            (self.here("config"), CONFIG.to_owned(), false),
            (self.here("secrets"), SECRETS.to_owned(), false),
            ("/etc/hosts".into(), "/etc/hosts".to_owned(), false),
            (self.volume(), self.image.volume.clone(), true),
        ];
        if !self.trusts_the_public {
            let folder = Path::new("/").join(AUTHORITIES);
            mounts.push((self.here("nothing"), folder.parent().unwrap().display().to_string(), false));
        }
        mounts
    }

    /// The image's program, to which arguments are to be given. It runs in the process that is started, not in a child of it.
    pub(super) fn program(&self, env: &[(&str, &str)]) -> Command {
        let Image { root, user: (user, group), work_dir, entry_point, .. } = self.image;
        let root = quoted(root);
        let mut script = format!("set -e\nmount --bind {root} {root}\n");
        for (from, to, writes) in self.mounts() {
            let to = quoted(&below(&self.image.root, &to));
            script += &format!("mount --bind {} {to}\n", quoted(&from));
            if !writes {
                script += &format!("mount -o remount,bind,ro {to}\n");
            }
        }
        script += &format!("mount -o remount,bind,ro {root}\nexec env -i {ENVIRONMENT}/{AUTHORITIES}");
        for (name, value) in env {
            script += &format!(" {name}={}", quoted(Path::new(value)));
        }
        let becomes = match self.rights {
            Rights::Root => format!("--setgid={group} --setuid={user}"),
            Rights::Namespace => format!("--user --map-user={user} --map-group={group}"),
        };
        script += &format!(
            " setpriv --no-new-privs unshare {becomes} --root={root} --wd={work_dir} {entry_point} \"$@\""
        );
        let mut command = Command::new("unshare");
        if self.rights == Rights::Namespace {
            command.args(["--user", "--map-root-user"]);
        }
        command.args(["--mount", "sh", "-c", &script, "sh"]);
        command
    }

    /// Runs the program to its end: its exit code, and all that it printed.
    pub(super) fn runs(&self, arguments: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String) {
        let Output { status, stdout, stderr } = self.program(env).args(arguments).output().unwrap();
        (status.code(), String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap())
    }

    /// What a process of the program may do and see.
    pub(super) fn confines(&self, process: u32) {
        let read = |file: &str| fs::read_to_string(format!("/proc/{process}/{file}")).unwrap();
        let status = read("status");
        let value = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let (user, group) = self.image.user;
        match self.rights {
            Rights::Root => {
                assert_eq!(value("Uid:"), [user.to_string().as_str(); 4].join(" "));
                assert_eq!(value("Gid:"), [group.to_string().as_str(); 4].join(" "));
                assert_eq!(value("Groups:"), "");
            }
            Rights::Namespace => {
                let map = read("uid_map");
                assert_eq!(map.split_whitespace().next(), Some(user.to_string().as_str()), "{map}");
            }
        }
        assert_eq!(value("NoNewPrivs:"), "1");
        assert_eq!(value("CapEff:"), "0000000000000000");
        assert_eq!(value("CapPrm:"), "0000000000000000");
        let mut seen: Vec<(String, bool)> = read("mountinfo")
            .lines()
            .map(|line| line.split(' ').collect::<Vec<_>>())
            .map(|words| (words[4].to_owned(), words[5].split(',').any(|option| option == "rw")))
            .collect();
        let mut expected: Vec<(String, bool)> = self
            .mounts()
            .into_iter()
            .map(|(_, to, writes)| (to, writes))
            .chain([("/".to_owned(), false)])
            .collect();
        seen.sort();
        expected.sort();
        assert_eq!(seen, expected);
    }
}

/// For a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_str().unwrap().replace('\'', r"'\''"))
}
