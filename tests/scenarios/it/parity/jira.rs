//! 2: what concerns Jira Data Center itself: user names, and leaders who leave.

use anyhow::Result;
use scenarios::{Company, Outside, WIDE};
use serde_json::{Value, json};
use twin::engine::fault::FaultKind;

use super::settle;

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

#[tokio::test(flavor = "multi_thread")]
async fn p2_13_p2_14_others_take_over_what_a_leaver_leads_before_the_sign_in_goes() -> Result<()> {
    let entry = "lead_fallback = { project = \"p02\", component = \"p03\" }";
    let company = Company::of(5).group("staff", 0..4);
    // The connection breaks after each of the three changes in turn: the next run goes on from there.
    for broken in ["project.update", "component.update", "user.update"] {
        let outside = jira(&company, entry).await?;
        settle(&outside).await?;
        let components = json!({ "ui": "p01", "api": "p00", "docs": null });
        by_hand(
            &outside,
            json!({ "op": "project", "instance": "jira", "key": "WEB", "lead": "p01", "components": components }),
        )?;
        by_hand(&outside, json!({ "op": "project", "instance": "jira", "key": "OPS", "lead": "p00" }))?;
        outside.at_google(json!([{ "op": "user_suspended", "id": Company::id(1), "suspended": true }]))?;
        outside.fault("atlassian.dc.*", broken, FaultKind::Reset { after: true }, |_| {});
        let interrupted = outside.rollcall(&["apply", "--yes"]).await?;
        assert!(interrupted.code == 0 || interrupted.code == 75, "{broken}: {}{}", interrupted.out, interrupted.err);
        outside.no_faults();
        settle(&outside).await?;
        let projects = dump(&outside)["projects"].clone();
        let of = |key: &str| {
            let mut all = projects.as_array().into_iter().flatten();
            all.find(|project| project["key"] == key).cloned().unwrap_or_default()
        };
        assert_eq!((&of("WEB")["lead"], &of("OPS")["lead"]), (&json!("p02"), &json!("p00")), "{broken}");
        assert_eq!(of("WEB")["components"], json!({ "ui": "p03", "api": "p00", "docs": null }), "{broken}");
        assert_eq!(user(&outside, "p01")["active"], json!(false), "{broken}");
        assert_eq!(outside.twin.twin.world().dc.memberships("jira")["staff"], super::people([0, 2, 3]));
    }
    Ok(())
}
