//! NATS and PostgreSQL, started privately: loopback only, on ports of their own, with their data in one folder.

use std::{
    io::{ErrorKind, Read as _, Seek as _, SeekFrom},
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

/// How long the servers of an `up` that was killed may hold their ports.
const LETS_GO_WITHIN: Duration = Duration::from_secs(2);

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
    pub async fn nats(binaries: &Binaries, folder: &Path, port: Port) -> Result<Self, Fault> {
        let port = port.release()?;
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
        let earlier = std::fs::metadata(&log).map_or(0, |log| log.len());
        let child = spawn(command, &log, "nats-server")?;
        let mut server = Self { url: format!("nats://127.0.0.1:{port}"), child, name: "nats-server" };
        server.answers(port, &log, |id| nats_listens(&log, earlier, id, port)).await?;
        Ok(server)
    }

    /// Starts PostgreSQL in the folder, which it initialises on first use.
    ///
    /// # Errors
    /// When it cannot be initialised or started, or does not answer in time; the end of its log is shown.
    pub async fn postgres(binaries: &Binaries, folder: &Path, port: Port) -> Result<Self, Fault> {
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
        let port = port.release()?;
        let mut command = dies_with_us(&binaries.postgres, owner.as_ref());
        command
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200", "-c", "jit=off"])
            .args(["-c", &format!("port={port}"), "-c", &format!("unix_socket_directories={}", data.display())]);
        let child = spawn(command, &log, "postgres")?;
        let url = format!("postgresql://rollcall@127.0.0.1:{port}/postgres");
        let mut server = Self { url, child, name: "postgres" };
        server.answers(port, &log, |id| postgres_listens(&data, id, port)).await?;
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

    /// Waits until the port answers, and until the server has told (`listens`, given its process's id) that it is the one
    /// who does: another program may have taken the port while this one started, and its data are not ours to change.
    async fn answers(&mut self, port: u16, log: &Path, listens: impl Fn(u32) -> bool) -> Result<(), Fault> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let until = runtime::clock::deadline(Duration::from_secs(30));
        loop {
            let ended = self.child.try_wait().ok().flatten();
            if ended.is_none() && self.child.id().is_some_and(&listens) && TcpStream::connect(address).await.is_ok() {
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

/// The port that a server of this folder has had since its first start, kept free for it until it starts.
#[derive(Debug)]
pub struct Port {
    held: TcpListener,
    file: PathBuf,
}

impl Port {
    /// Takes the port; writes nothing. `flag` is the option that names a running server instead.
    ///
    /// # Errors
    /// E0103 when another process holds it.
    pub async fn take(folder: &Path, name: &str, flag: &str) -> Result<Self, Fault> {
        let file = folder.join(format!("{name}.port"));
        let known = std::fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok());
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, known.unwrap_or(0)));
        let until = runtime::clock::deadline(LETS_GO_WITHIN);
        loop {
            let cause = match TcpListener::bind(address) {
                Ok(held) => return Ok(Self { held, file }),
                Err(cause) => cause,
            };
            if cause.kind() != ErrorKind::AddrInUse || runtime::clock::deadline(Duration::ZERO) > until {
                let help = format!(
                    "stop the other process, or remove {}, so that {name} takes another port, or name a running \
                     server with {flag}",
                    file.display()
                );
                return Err(Fault::cannot_listen(flag, &address, &cause).help(help));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Lets go of it for the server that starts now, which will have it the next time, too.
    fn release(self) -> Result<u16, Fault> {
        let port = self.held.local_addr().map_err(|cause| cannot(&self.file, &cause))?.port();
        write(&self.file, &port.to_string())?;
        Ok(port)
    }
}

/// Whether this process of nats-server says that it listens there, after so many bytes of its log.
fn nats_listens(log: &Path, earlier: u64, id: u32, port: u16) -> bool {
    let mut said = String::new();
    let read = std::fs::File::open(log).and_then(|mut file| {
        file.seek(SeekFrom::Start(earlier))?;
        file.read_to_string(&mut said)
    });
    let (who, what) = (format!("[{id}] "), format!("Listening for client connections on 127.0.0.1:{port}"));
    read.is_ok() && said.lines().any(|line| line.starts_with(&who) && line.trim_end().ends_with(&what))
}

/// Whether this process of PostgreSQL says that it listens there: lines 1, 4 and 6 of `postmaster.pid` are its id, its port
/// and the first address that it could listen on (PostgreSQL's manual, "Database File Layout").
fn postgres_listens(data: &Path, id: u32, port: u16) -> bool {
    let said = std::fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    let line = |number: usize| said.lines().nth(number - 1).unwrap_or_default().trim();
    line(1) == id.to_string() && line(4) == port.to_string() && !line(6).is_empty()
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::*;

    fn write_program(path: &Path, text: &str) {
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A program takes the port while our server starts, which then cannot have it.
    #[tokio::test]
    async fn whoever_answers_in_the_place_of_our_server_is_not_taken_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("nats-server");
        let taken = folder.path().join("taken");
        // It ends when the other one has the port, and a little later: long enough to be believed.
        let text = format!(
            "#!/bin/sh\ntest \"$1\" = --version && exit 0\nwhile ! test -e {0}; do sleep 0.01; done\nsleep 0.5\n\
             echo 'address already in use'\nexit 1\n",
            taken.display()
        );
        write_program(&program, &text);
        let binaries = Binaries { nats: program, initdb: PathBuf::new(), postgres: PathBuf::new() };
        let port = Port::take(folder.path(), "nats", "--nats").await.unwrap();
        let address = port.held.local_addr().unwrap();
        let other = tokio::spawn(async move {
            loop {
                if let Ok(listener) = TcpListener::bind(address) {
                    std::fs::write(&taken, "").unwrap();
                    return listener;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        let started = Private::nats(&binaries, folder.path(), port).await;
        let Err(fault) = started else { panic!("another program was taken for our server") };
        assert_eq!(fault.code, "E0111");
        assert!(fault.message.contains("address already in use"), "{fault}");
        drop(other.await.unwrap());
    }

    #[test]
    fn what_a_server_says_of_itself_is_believed_of_this_process_and_this_start_alone() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("nats.log");
        let line = "[41] 2026/07/30 10:00:00.000000 [INF] Listening for client connections on 127.0.0.1:4222\n";
        std::fs::write(&log, line).unwrap();
        let earlier = line.len() as u64;
        assert!(nats_listens(&log, 0, 41, 4222));
        assert!(!nats_listens(&log, earlier, 41, 4222), "an earlier start's");
        assert!(
            !nats_listens(&log, 0, 42, 4222) && !nats_listens(&log, 0, 41, 4223) && !nats_listens(&log, 0, 1, 4222)
        );
        assert!(!nats_listens(&folder.path().join("none"), 0, 41, 4222));
        let file = folder.path().join("postmaster.pid");
        let says =
            |first: &str| std::fs::write(&file, format!("41\n/data\n1784000000\n5432\n/data\n{first}\n")).unwrap();
        says("");
        assert!(!postgres_listens(folder.path(), 41, 5432), "it does not listen yet");
        says("127.0.0.1");
        assert!(postgres_listens(folder.path(), 41, 5432));
        assert!(!postgres_listens(folder.path(), 42, 5432) && !postgres_listens(folder.path(), 41, 5433));
    }

    #[tokio::test]
    async fn a_port_is_remembered_and_given_up_to_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let port = Port::take(folder.path(), "nats", "--nats").await.unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is written before it is let go of");
        let address = port.held.local_addr().unwrap();
        assert!(TcpListener::bind(address).is_err(), "nobody else gets it");
        let number = port.release().unwrap();
        let again = Port::take(folder.path(), "nats", "--nats").await.unwrap();
        assert_eq!(again.held.local_addr().unwrap().port(), number);
        let fault = Port::take(folder.path(), "nats", "--nats").await.unwrap_err();
        assert!(fault.code == "E0103" && fault.help.contains("--nats") && fault.help.contains("nats.port"), "{fault}");
    }
}
