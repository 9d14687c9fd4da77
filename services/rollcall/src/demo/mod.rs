//! `rollcall demo`: a made-up company at a played Google and Atlassian, on real NATS and PostgreSQL. Somebody joins,
//! moves and leaves; each change is shown as it arrives.

pub mod story;
pub mod worlds;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use model::Time;
use runtime::{Exit, Fault, Shutdown};
use twin::{Running, Twin};

use crate::{
    args::{DemoArgs, JournalArgs, PolicyFile},
    local::{plan, world::World},
    policy_file, show,
    show::progress::Progress,
    twin_verb::write_secrets,
    up::{Settings, Stack, private::cannot},
};
use worlds::Worlds;

const COMPANY: &str = include_str!("company.json");
const POLICY: &str = include_str!("policy.toml");

/// How long the first import may take.
const IMPORT_WITHIN: Duration = Duration::from_mins(2);

/// Shows it; without `--once` goes on until it is told to stop.
///
/// # Errors
/// When something that is needed cannot be started.
pub async fn demo(args: &DemoArgs, quiet: bool) -> Result<Exit, Fault> {
    let shutdown = Shutdown::on_signals()
        .map_err(|cause| Fault::new("E0130", Exit::Error, format!("signals cannot be caught: {cause}")))?;
    // Services log only when asked to: the story is what is to be read here.
    let telemetry = match runtime::config::env("ROLLCALL_LOG") {
        Some(_) => {
            Some(runtime::telemetry::init("demo", &crate::services::options::<runtime::telemetry::Options>(&[])?)?)
        }
        None => None,
    };
    let temporary = if args.data.is_none() { Some(temporary_folder()?) } else { None };
    let folder = args.data.clone().or_else(|| temporary.as_ref().map(|folder| folder.path().to_owned()));
    let folder = folder.unwrap_or_default();
    let twin = start_twin().await?;
    let policy = write_policy(&folder, &twin)?;
    show::data("A made-up company, Acme: 26 people and 10 groups at Google, nothing at Atlassian yet.\n");
    show::data(&format!("Google is played at {}, Atlassian at {}.\n\n", twin.google_url(), twin.atlassian_url()));
    show_plan(&folder, &policy, quiet).await?;
    let settings = Settings {
        folder: folder.join("servers"),
        policy: policy.clone(),
        nats: None,
        database: None,
        console: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        tokens: None,
        extra: Vec::new(),
    };
    show::data("Starting NATS, PostgreSQL, watcher, reconciler, writer and console …\n");
    let stack = Stack::start(settings).await?;
    let worlds = Worlds::new(Arc::clone(&twin.twin));
    let told = tokio::select! {
        told = tell(&worlds, &stack, args.once) => told,
        fault = stack.failed() => Err(fault),
        () = shutdown.begun() => Ok(Exit::Interrupted),
    };
    stack.stop().await;
    twin.stop();
    drop(telemetry);
    told
}

async fn tell(worlds: &Worlds, stack: &Stack, once: bool) -> Result<Exit, Fault> {
    let began = runtime::clock::monotonic();
    let equal = worlds.equal_within(IMPORT_WITHIN).await;
    let took = runtime::clock::monotonic().saturating_duration_since(began);
    let memberships = worlds.memberships();
    if !equal {
        show::data(&format!("The first import did not end in {} s.\n{}", IMPORT_WITHIN.as_secs(), worlds.difference()));
        return Ok(Exit::Error);
    }
    show::data(&format!(
        "Applied: {memberships} memberships in {:.1} s; both sides are equal.\n\n",
        took.as_secs_f64()
    ));
    let arrived = story::tell(worlds, stack).await?;
    let equal = worlds.equal_within(Duration::from_secs(30)).await;
    let verdict = if equal { "both sides are equal" } else { "the two sides differ" };
    show::data(&format!("\n{arrived} of {} changes arrived; {verdict}.\n", story::CHANGES));
    if !equal {
        show::data(&worlds.difference());
    }
    if !once {
        show::data(&format!(
            "\nThe operators' API is at http://{}; the token is in {}.\n",
            stack.console,
            stack.token_shown()
        ));
        show::data("Everything keeps running. Ctrl-C ends it.\n");
        // The select around this ends it.
        std::future::pending::<()>().await;
    }
    Ok(if equal && arrived == story::CHANGES { Exit::Done } else { Exit::Error })
}

async fn start_twin() -> Result<Running, Fault> {
    let cannot = |cause: String| Fault::new("E0128", Exit::Error, format!("the demo's world cannot be made: {cause}"));
    let twin = Twin::start(twin::Config::default()).await.map_err(|error| cannot(error.to_string()))?;
    let snapshot: serde_json::Value = serde_json::from_str(COMPANY).map_err(|error| cannot(error.to_string()))?;
    let world = serde_json::json!({
        "format": "twin-world/1",
        "options": { "accounts": "one-per-person", "administrator": "sync@acme.example" },
        "snapshot": snapshot,
    });
    twin.twin.load(world.to_string().as_bytes()).map_err(|error| cannot(error.to_string()))?;
    Ok(twin)
}

fn write_policy(folder: &Path, twin: &Running) -> Result<PathBuf, Fault> {
    std::fs::create_dir_all(folder).map_err(|cause| cannot(folder, &cause))?;
    let policy = folder.join("policy.toml");
    let text = POLICY.replace("{google}", &twin.google_url()).replace("{atlassian}", &twin.atlassian_url());
    std::fs::write(&policy, text).map_err(|cause| cannot(&policy, &cause))?;
    write_secrets(twin, &folder.join("secrets"))?;
    Ok(policy)
}

/// What `rollcall plan` says, before anything has been changed.
async fn show_plan(folder: &Path, policy: &Path, quiet: bool) -> Result<(), Fault> {
    show::data("$ rollcall plan -c policy.toml\n");
    let loaded = policy_file::load(&PolicyFile { path: policy.to_owned() })?;
    let mut journal = plan::open_journal(&loaded, &JournalArgs { journal: Some(folder.join("journal")) })?;
    let mut world = World::read(&loaded, &mut journal, &Progress::new(quiet)).await?;
    let decision = world.decide(&mut journal, Time(runtime::clock::now_micros())).await?;
    let text = show::plan::text(&decision.plan, &world.directory_names, false);
    show::data(&(text + "\n"));
    Ok(())
}

/// A folder that an unprivileged PostgreSQL can pass through.
fn temporary_folder() -> Result<tempfile::TempDir, Fault> {
    let made = tempfile::Builder::new().prefix("rollcall-demo-").tempdir();
    let folder = made.map_err(|cause| cannot(&runtime::config::temporary_folder(), &cause))?;
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).map_err(|cause| cannot(folder.path(), &cause))?;
    Ok(folder)
}
