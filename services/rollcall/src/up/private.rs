//! NATS and PostgreSQL, started privately: loopback only, on ports of their own, with their data in one folder.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use runtime::{Exit, Fault};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

use super::binaries::Binaries;

/// A server that we started, and its address.
#[derive(Debug)]
pub struct Private {
    /// Where services connect to.
    pub url: String,
    child: Child,
    name: &'static str,
}

impl Private {
    /// Starts `nats-server` with JetStream in the folder.
    ///
    /// # Errors
    /// When it cannot be started or does not answer in time; the end of its log is shown.
    pub async fn nats(binaries: &Binaries, folder: &Path) -> Result<Self, Fault> {
        let port = port_of(folder, "nats")?;
        let store = folder.join("nats");
        make(&store)?;
        let config = folder.join("nats.conf");
        let durable = if syncs_always(&binaries.nats).await { "  sync_interval: always\n" } else { "" };
        let text = format!(
            "listen: \"127.0.0.1:{port}\"\nserver_name: rollcall\njetstream {{\n  store_dir: \"{}\"\n{durable}}}\n",
            store.display()
        );
        write(&config, &text)?;
        let mut command = dies_with_us(&binaries.nats, None);
        command.arg("-c").arg(&config);
        let log = folder.join("nats.log");
        let child = spawn(command, &log, "nats-server")?;
        let mut server = Self { url: format!("nats://127.0.0.1:{port}"), child, name: "nats-server" };
        server.answers(port, &log).await?;
        Ok(server)
    }

    /// Starts PostgreSQL in the folder, which it initialises on first use.
    ///
    /// # Errors
    /// When it cannot be initialised or started, or does not answer in time; the end of its log is shown.
    pub async fn postgres(binaries: &Binaries, folder: &Path) -> Result<Self, Fault> {
        let port = port_of(folder, "postgres")?;
        let (data, log) = (folder.join("postgres"), folder.join("postgres.log"));
        // PostgreSQL refuses to run as root, and must be able to reach its data.
        let owner = unprivileged();
        make(&data)?;
        if let Some(owner) = &owner {
            chown(&data, Some(owner.uid), Some(owner.gid)).map_err(|cause| cannot(&data, &cause))?;
        }
        let mode = |bits| std::fs::set_permissions(&data, std::fs::Permissions::from_mode(bits));
        mode(0o700).map_err(|cause| cannot(&data, &cause))?;
        if !data.join("PG_VERSION").exists() {
            initialise(binaries, &data, owner.as_ref(), &log).await?;
        }
        let mut command = dies_with_us(&binaries.postgres, owner.as_ref());
        command
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200", "-c", "jit=off"])
            .args(["-c", &format!("port={port}"), "-c", &format!("unix_socket_directories={}", data.display())]);
        let child = spawn(command, &log, "postgres")?;
        let url = format!("postgresql://rollcall@127.0.0.1:{port}/postgres");
        let mut server = Self { url, child, name: "postgres" };
        server.answers(port, &log).await?;
        Ok(server)
    }

    /// Asks the server to end and waits for it; ends it by force after ten seconds.
    pub async fn stop(mut self) {
        if let Some(pid) =
            self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw)
        {
            // PostgreSQL's fast stop is SIGINT; nats-server ends on it, too.
            let _gone_already = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        }
        if tokio::time::timeout(Duration::from_secs(10), self.child.wait()).await.is_err() {
            let _gone_already = self.child.kill().await;
        }
    }

    async fn answers(&mut self, port: u16, log: &Path) -> Result<(), Fault> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let until = runtime::clock::deadline(Duration::from_secs(30));
        loop {
            let ended = self.child.try_wait().ok().flatten();
            if ended.is_none() && TcpStream::connect(address).await.is_ok() {
                return Ok(());
            }
            if ended.is_some() || runtime::clock::deadline(Duration::ZERO) > until {
                let fault = Fault::new("E0111", Exit::Error, format!("{} does not start{}", self.name, tail(log)));
                return Err(fault.help(format!("read the whole log: {}", log.display())));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn initialise(binaries: &Binaries, data: &Path, owner: Option<&Owner>, log: &Path) -> Result<(), Fault> {
    let mut command = dies_with_us(&binaries.initdb, owner);
    command
        .arg("-D")
        .arg(data)
        .args(["--username=rollcall", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-instructions"])
        .args(["--data-checksums"]);
    let mut child = spawn(command, log, "initdb")?;
    match child.wait().await {
        Ok(status) if status.success() => Ok(()),
        _ => Err(Fault::new("E0111", Exit::Error, format!("initdb failed{}", tail(log))).help(
            "see that the folder can be reached and written by an unprivileged user, or give another with --data",
        )),
    }
}

/// `sync_interval: always` is what makes an acknowledged message durable; 2.9 refuses the key.
async fn syncs_always(nats: &Path) -> bool {
    let said = Command::new(nats).arg("--version").output().await;
    let text = said.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let version = text.rsplit('v').next().unwrap_or_default().trim();
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= (2, 10)
}

/// A user that servers run as when we are root.
struct Owner {
    name: String,
    uid: u32,
    gid: u32,
}

fn unprivileged() -> Option<Owner> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    ["postgres", "nobody"].into_iter().find_map(|wanted| {
        let line = users.lines().find(|line| line.split(':').next() == Some(wanted))?;
        let mut fields = line.split(':').skip(2);
        Some(Owner { name: wanted.to_owned(), uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
    })
}

/// A command whose process is ended by the kernel when ours ends, however it ends.
fn dies_with_us(program: &Path, owner: Option<&Owner>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if let Some(owner) = owner {
        command.args(["--reuid", &owner.name, "--regid", &owner.gid.to_string(), "--clear-groups"]);
    }
    command.arg("--").arg(program);
    // A group of its own: Ctrl-C at the terminal is for us, and we stop servers after the services that need them.
    command.process_group(0).current_dir("/");
    command
}

fn spawn(mut command: Command, log: &Path, name: &str) -> Result<Child, Fault> {
    let cannot_start = |cause: std::io::Error| {
        Fault::new("E0111", Exit::Error, format!("{name} cannot be started: {cause}"))
            .help("see that util-linux (setpriv) and the server are installed")
    };
    let file = std::fs::File::options().create(true).append(true).open(log).map_err(cannot_start)?;
    let second = file.try_clone().map_err(cannot_start)?;
    command.stdin(Stdio::null()).stdout(file).stderr(second).kill_on_drop(true).spawn().map_err(cannot_start)
}

/// The last lines of a log, for an error.
fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(4).collect();
    lines.into_iter().rev().fold(String::new(), |mut all, line| {
        all.push_str("\n    ");
        all.push_str(line);
        all
    })
}

/// The port that a server of this folder has had since its first start.
fn port_of(folder: &Path, name: &str) -> Result<u16, Fault> {
    let file = folder.join(format!("{name}.port"));
    if let Some(port) = std::fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok()) {
        return Ok(port);
    }
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    let port = free.map_err(|cause| cannot(folder, &cause))?.port();
    write(&file, &port.to_string())?;
    Ok(port)
}

fn make(folder: &Path) -> Result<(), Fault> {
    std::fs::create_dir_all(folder).map_err(|cause| cannot(folder, &cause))
}

fn write(file: &Path, text: &str) -> Result<(), Fault> {
    std::fs::write(file, text).map_err(|cause| cannot(file, &cause))
}

/// What we could not make or write.
pub fn cannot(path: &Path, cause: &std::io::Error) -> Fault {
    Fault::new("E0112", Exit::Error, format!("cannot use {}: {cause}", path.display()))
        .help("choose another folder with --data")
}

/// Locks the folder for this process, so that two never share one set of private servers.
///
/// # Errors
/// When another process has it, or it cannot be made.
pub fn lock(folder: &Path) -> Result<std::fs::File, Fault> {
    make(folder)?;
    // The unprivileged user must be able to pass through.
    let open = std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755));
    open.map_err(|cause| cannot(folder, &cause))?;
    let path: PathBuf = folder.join("lock");
    let file = std::fs::File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|cause| cannot(&path, &cause))?;
    file.try_lock().map_err(|_| {
        Fault::new("E0113", Exit::Error, format!("another rollcall runs in {}", folder.display()))
            .help("stop it, or choose another folder with --data")
    })?;
    Ok(file)
}
