//! Each part is killed at random moments while people change groups.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use harness::{Deadline, eventually};
use scenarios::{Options, World};

use crate::evidence;
use crate::load::Load;

/// How long everything may take to become equal after the last kill.
const SETTLE_WITHIN: Duration = Duration::from_mins(2);

/// A run with fewer effects proves nothing.
const LEAST_EFFECTS: usize = 1_000;

#[derive(Clone, Copy, Debug)]
enum Victim {
    Watcher,
    Reconciler,
    Writer,
    Console,
    Nats,
    Postgres,
    /// NATS, with all that it has stored.
    Bus,
}

fn number(name: &str, otherwise: impl FnOnce() -> u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or_else(otherwise)
}

#[tokio::test(flavor = "multi_thread")]
async fn i01_i06_i07_i08_i09_every_part_may_be_killed_at_any_moment() -> Result<()> {
    use Victim::{Console, Nats, Postgres, Reconciler, Watcher, Writer};
    run(&[Watcher, Reconciler, Writer, Console, Nats, Postgres]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn i15_everything_on_the_bus_may_be_deleted_at_any_moment() -> Result<()> {
    run(&[Victim::Bus]).await
}

async fn run(victims: &[Victim]) -> Result<()> {
    let seed = number("ROLLCALL_SEED", || rand::random_range(0..1_000_000));
    let kills = number("ROLLCALL_KILLS", || 3);
    println!("seed {seed}, {kills} kills of each of {victims:?}; ROLLCALL_SEED={seed} repeats the order");
    let (mut load, company) = Load::new(seed);
    let mut options = Options { durable: true, ..Options::default() };
    // So slow that the first import is under way while parts are killed.
    options.writer = vec!["--limit=cloud=80/1".to_owned(), "--call-timeout=2".to_owned()];
    let mut world = World::start(&company.snapshot(), &company.policy(), &options).await?;
    let mut order: Vec<Victim> = (0..kills).flat_map(|_| victims.iter().copied()).collect();
    // A shuffle by the seed.
    for place in (1..order.len()).rev() {
        let other = usize::try_from(load.number(0..place as u64 + 1))?;
        order.swap(place, other);
    }
    for victim in order {
        under_load(&world, &mut load).await?;
        strike(&mut world, victim).await.with_context(|| format!("seed {seed}, after {victim:?}"))?;
        revive(&mut world)?;
    }
    // Changes go on until there were enough, then everything must come to rest.
    while evidence::count(&world)? < LEAST_EFFECTS {
        under_load(&world, &mut load).await?;
        revive(&mut world)?;
    }
    world.until_ready().await?;
    let settled = async {
        world.sweep().await?;
        world.until_equal(SETTLE_WITHIN).await?;
        world.until_in_sync(SETTLE_WITHIN).await
    };
    settled.await.with_context(|| format!("seed {seed}"))?;
    let effects = evidence::count(&world)?;
    println!(
        "{effects} effects, {} changes at Google",
        load.turns.values().map(|(began, ended)| began + ended).sum::<usize>()
    );
    ensure!(effects >= LEAST_EFFECTS, "{effects} effects: the run does not count");
    evidence::ledger_and_effects_agree(&world).await.with_context(|| format!("seed {seed}"))?;
    evidence::nothing_was_made_up(&world, &load.turns).with_context(|| format!("seed {seed}"))
}

/// Makes changes until a random number of further effects has happened, or a random time has passed.
async fn under_load(world: &World, load: &mut Load) -> Result<()> {
    let enough = evidence::count(world)? + usize::try_from(load.number(1..80))?;
    let deadline = Deadline::after(Duration::from_millis(load.number(200..2_000)));
    let mut every = 0_u32;
    while !deadline.is_over() && evidence::count(world)? < enough {
        world.at_google(load.next()?)?;
        if every.is_multiple_of(8) {
            // The console may be without a database just now; what it would have asked for is found by the next sweep.
            let _unheard = tokio::time::timeout(Duration::from_millis(500), world.sync(None)).await;
        }
        every += 1;
        // A change every few milliseconds, as long as nothing else is to be waited for.
        let _later = eventually::<()>(Duration::from_millis(25), "the next change", async || Ok(None)).await;
    }
    Ok(())
}

/// SIGKILL, and the start of a replacement.
async fn strike(world: &mut World, victim: Victim) -> Result<()> {
    match victim {
        Victim::Watcher => world.watcher.restart(),
        Victim::Reconciler => world.reconciler.restart(),
        Victim::Writer => world.writer.restart(),
        Victim::Console => world.console.restart(),
        Victim::Nats => {
            world.nats.kill();
            world.nats.restart().await
        }
        Victim::Postgres => {
            world.postgres.kill();
            world.postgres.restart().await
        }
        Victim::Bus => {
            world.nats.kill();
            world.nats.wipe()?;
            world.nats.restart().await
        }
    }
}

/// As a supervisor does: what ended because it could not start without a server is started again.
fn revive(world: &mut World) -> Result<()> {
    for service in [&mut world.watcher, &mut world.reconciler, &mut world.writer, &mut world.console] {
        if service.check_running().is_err() {
            service.restart()?;
        }
    }
    Ok(())
}
