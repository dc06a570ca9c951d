//! An nginx that always answers 403: the minimum cost of a connection.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use crate::client;

/// A running nginx. Stopped when dropped.
pub(crate) struct Nginx {
    pub(crate) address: SocketAddr,
    /// All its processes.
    pub(crate) processes: Vec<u32>,
    master: Child,
    _home: TempDir,
}

impl Nginx {
    /// Starts nginx; `None` if it is not installed.
    pub(crate) fn start() -> anyhow::Result<Option<Self>> {
        let Some(program) =
            ["/usr/sbin/nginx", "/usr/bin/nginx"].into_iter().find(|path| fs::exists(path).unwrap_or(false))
        else {
            return Ok(None);
        };
        let home = tempfile::tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let (config, folder) = (home.path().join("nginx.conf"), home.path().display());
        let workers = thread::available_parallelism()?;
        fs::write(
            &config,
            format!(
                "daemon off; worker_processes {workers}; pid {folder}/pid; error_log {folder}/error.log;\n\
                 events {{ worker_connections 4096; }}\n\
                 http {{ access_log off; keepalive_timeout 0; server_tokens off;\n\
                   client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;\n\
                   uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;\n\
                   server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 403; }} }} }}\n"
            ),
        )?;
        let master = Command::new(program)
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start nginx")?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut nginx = Self { address, processes: vec![master.id()], master, _home: home };
        let mut answer = Vec::new();
        for _ in 0..100 {
            if client::ask(address, b"GET / HTTP/1.0\r\n\r\n", &mut answer).is_ok() {
                let children = format!("/proc/{0}/task/{0}/children", nginx.master.id());
                let children = fs::read_to_string(children)?;
                nginx.processes.extend(children.split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
                return Ok(Some(nginx));
            }
            thread::sleep(Duration::from_millis(50));
        }
        bail!("nginx does not answer")
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGKILL would leave the workers running.
        drop(Command::new("kill").arg(self.master.id().to_string()).status());
        drop(self.master.wait());
    }
}
