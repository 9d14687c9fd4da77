//! 2: what concerns Jira Data Center itself: user names, and leaders who leave.

use anyhow::{Context as _, Result, ensure};
use harness::{Lines, Process, eventually};
use scenarios::{Company, Outside, WIDE};
use serde_json::{Value, json};
use twin::engine::fault::FaultKind;

use super::settle;
use crate::WITHIN;

/// A Jira whose people are made by an entry, named by what stands before the `@`.
async fn jira(company: &Company, entry: &str) -> Result<Outside> {
    let sections = format!(
        "username = [{{ pattern = '(.*)@.*', replace = '$1' }}]\n{WIDE}\n[directory.jira-dc]\nkind = \"jira-dc\"\n\
         url = \"{{atlassian}}/dc/jira\"\ntoken = \"file:secrets/jira-token\"\nlag = \"0s\"\n\n[[people.provision]]\n\
         name = \"staff\"\nfrom = \"workspace\"\nto = \"jira-dc\"\nexcept_people = [\"sync@*\"]\n{entry}\n"
    );
    let policy = company.clone().with_sections(&sections).policy().replace("to = [\"cloud\"]", "to = [\"jira-dc\"]");
    let outside = Outside::start(&company.snapshot(), &policy).await?;
    std::fs::write(outside.folder.path().join("secrets/jira-token"), "twin-jira-token")?;
    Ok(outside)
}

fn dump(outside: &Outside) -> Value {
    outside.twin.twin.world().dc.dump()["jira"].clone()
}

/// A user by name, whichever directory they are in.
fn user(outside: &Outside, name: &str) -> Value {
    let all = dump(outside);
    let directories = all["directories"].as_array().into_iter().flatten();
    directories.map(|directory| directory["users"][name].clone()).find(|user| !user.is_null()).unwrap_or_default()
}

fn by_hand(outside: &Outside, edit: Value) -> Result<()> {
    let edit = serde_json::from_value(edit)?;
    let done = outside.twin.twin.world().edit_dc(edit, &twin::world::Cause::default());
    done.map_err(|refused| anyhow::anyhow!(refused))
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_05_user_names_are_made_by_a_regular_expression() -> Result<()> {
    let outside = jira(&Company::of(4).group("staff", 0..3), "").await?;
    settle(&outside).await?;
    for n in 0..4 {
        let user = user(&outside, &format!("p{n:02}"));
        assert_eq!((&user["email"], &user["active"]), (&json!(Company::email(n)), &json!(true)));
    }
    assert!(user(&outside, &Company::email(0)).is_null(), "the address is nobody's name");
    assert_eq!(outside.twin.twin.world().dc.memberships("jira")["staff"], super::people(0..3));
    Ok(())
}

/// Everything that a hand-over does.
const STEPS: [&str; 4] = ["project.update", "component.update", "user.update", "user.session.delete"];

/// A Jira in which the person 1 leads two projects and two components, works in a browser, and leaves.
async fn left_by_a_leader() -> Result<Outside> {
    let entry = "lead_fallback = { project = \"p02\", component = \"p03\" }";
    let outside = jira(&Company::of(5).group("staff", 0..4), entry).await?;
    settle(&outside).await?;
    for (key, components) in
        [("WEB", json!({ "ui": "p01", "api": "p00", "docs": null })), ("APP", json!({ "net": "p01" }))]
    {
        let project =
            json!({ "op": "project", "instance": "jira", "key": key, "lead": "p01", "components": components });
        by_hand(&outside, project)?;
    }
    by_hand(&outside, json!({ "op": "project", "instance": "jira", "key": "OPS", "lead": "p00" }))?;
    let signed_in =
        json!({ "op": "user", "instance": "jira", "name": "p01", "email": Company::email(1), "sessions": 2 });
    by_hand(&outside, signed_in)?;
    outside.at_google(json!([{ "op": "user_suspended", "id": Company::id(1), "suspended": true }]))?;
    Ok(outside)
}

/// How often each step was done after a number.
fn done(outside: &Outside, after: u64) -> [usize; 4] {
    let effects = outside.effects(after);
    STEPS.map(|step| effects.iter().filter(|(operation, ..)| operation == step).count())
}

fn all_is_handed_over(outside: &Outside, before: u64, shown: &str) {
    let projects = dump(outside)["projects"].clone();
    let of = |key: &str| {
        let mut all = projects.as_array().into_iter().flatten();
        all.find(|project| project["key"] == key).cloned().unwrap_or_default()
    };
    let leads = ["WEB", "APP", "OPS"].map(|key| of(key)["lead"].clone());
    assert_eq!(leads, ["p02", "p02", "p00"].map(Value::from), "{shown}");
    assert_eq!(of("WEB")["components"], json!({ "ui": "p03", "api": "p00", "docs": null }), "{shown}");
    assert_eq!(of("APP")["components"], json!({ "net": "p03" }), "{shown}");
    let sessions = {
        let world = outside.twin.twin.world();
        world.dc.instance("jira").and_then(|jira| jira.user("p01").map(|(_, leaver)| leaver.sessions))
    };
    assert_eq!((&user(outside, "p01")["active"], sessions), (&json!(false), Some(0)), "{shown}");
    assert_eq!(outside.twin.twin.world().dc.memberships("jira")["staff"], super::people([0, 2, 3]), "{shown}");
    assert_eq!(done(outside, before), [2, 2, 1, 1], "{shown}: each lead is replaced once");
}

/// The answer to a change is lost: whether it was done is read, and nothing is done twice.
#[tokio::test(flavor = "multi_thread")]
async fn p2_13_p2_14_others_take_over_what_a_leaver_leads_before_the_sign_in_goes() -> Result<()> {
    for broken in STEPS {
        let outside = left_by_a_leader().await?;
        let before = outside.sequence();
        outside.fault("atlassian.dc.*", broken, FaultKind::Reset { after: true }, |_| {});
        let interrupted = outside.rollcall(&["apply", "--yes"]).await?;
        assert!(interrupted.code == 0 || interrupted.code == 75, "{broken}: {}{}", interrupted.out, interrupted.err);
        outside.no_faults();
        settle(&outside).await?;
        all_is_handed_over(&outside, before, broken);
    }
    Ok(())
}

/// The process is killed after each of the six changes, before it hears that it was done.
#[tokio::test(flavor = "multi_thread")]
async fn p2_13_p2_14_a_hand_over_that_is_killed_at_any_step_is_finished_by_the_next_run() -> Result<()> {
    for steps in 1..=6 {
        let outside = left_by_a_leader().await?;
        let before = outside.sequence();
        for step in STEPS {
            outside.fault("atlassian.dc.*", step, FaultKind::Slow { ms: 400 }, |_| {});
        }
        let mut running = Process::spawn("apply", outside.command(&["apply", "--yes"])?, &Lines::default())?;
        let so_far = || done(&outside, before).iter().sum::<usize>();
        eventually(WITHIN, &format!("{steps} steps to be done"), async || {
            ensure!(running.ended().is_none() || so_far() >= steps, "{}", running.lines().tail(20));
            Ok((so_far() >= steps).then_some(()))
        })
        .await?;
        running.kill();
        assert_eq!(so_far(), steps, "killed at this step");
        outside.no_faults();
        settle(&outside).await.with_context(|| format!("killed after {steps} steps"))?;
        all_is_handed_over(&outside, before, &format!("killed after {steps} steps"));
    }
    Ok(())
}
