//! 4: what Admin Automations does, apart from default access groups.

use anyhow::Result;
use harness::eventually;
use scenarios::{Company, Options, Outside, WIDE, World};
use serde_json::{Value, json};

use super::{in_group, member, people, planned, record, settle, steps, with_people};
use crate::WITHIN;

/// The company's directories with this rule.
fn with_rule(company: &Company, rule: &str) -> String {
    let base = company.policy();
    let directories = base.split("\n[[sync]]").next().unwrap_or_default();
    format!(
        "{directories}{WIDE}\n[[sync]]\nname = \"selection\"\nfrom = \"workspace\"\nto = \"cloud\"\ninto = \"selected\"\n{rule}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_02_people_are_selected_by_group_by_domain_and_by_person_and_excluded() -> Result<()> {
    let company = Company::of(8).group("staff", 0..6).group("readers", 5..8);
    let outside =
        Outside::start(&company.snapshot(), &with_rule(&company, "groups = [\"readers@acme.example\"]")).await?;
    let select = async |rule: &str| -> Result<_> {
        outside.write_policy(&with_rule(&company, rule))?;
        settle(&outside).await?;
        Ok(in_group(&outside, "selected"))
    };
    settle(&outside).await?;
    assert_eq!(in_group(&outside, "selected"), people(5..8), "by group");
    assert_eq!(select("groups = [\"*\"]\npeople = \"*@acme.example\"").await?, people(0..8), "by domain");
    assert_eq!(select("groups = [\"*\"]\npeople = \"*@other.example\"").await?, people([]), "nobody of that domain");
    let by_person = "groups = [\"*\"]\npeople = [\"p01@acme.example\", \"p06@acme.example\"]";
    assert_eq!(select(by_person).await?, people([1, 6]), "by person");
    let without = "groups = [\"staff@acme.example\"]\nexcept_people = [\"p0[0-3]@*\"]";
    assert_eq!(select(without).await?, people([4, 5]), "filters exclude");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_03_people_are_added_removed_suspended_and_restored() -> Result<()> {
    let outside = with_people(&Company::of(5).group("staff", 0..3), "").await?;
    settle(&outside).await?;
    outside.at_google(json!([member("member_added", "staff", 3), member("member_removed", "staff", 0)]))?;
    settle(&outside).await?;
    assert_eq!(in_group(&outside, "staff"), people(1..4));
    for (suspended, members) in [(true, people(2..4)), (false, people(1..4))] {
        outside.at_google(json!([{ "op": "user_suspended", "id": Company::id(1), "suspended": suspended }]))?;
        settle(&outside).await?;
        let active = record(&outside, &Company::id(1)).map(|(_, _, _, active)| active);
        assert_eq!((active, in_group(&outside, "staff")), (Some(!suspended), members));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_03_a_leaver_is_suspended_or_removed_from_the_organization_as_the_policy_says() -> Result<()> {
    let company = Company::of(6).group("staff", 0..4);
    let policy = |ways: &str| {
        let entry = format!("[[people.provision]]\nfrom = \"workspace\"\nto = \"cloud\"\non_leave = {{ {ways} }}\n");
        company.clone().with_sections(&format!("{WIDE}\n{entry}")).policy()
    };
    let ways = "suspended = \"suspend\", archived = \"keep\", deleted = \"remove\"";
    let outside = Outside::start(&company.snapshot(), &policy(ways)).await?;
    outside.twin.twin.world().atlassian.switches.user_removal_delay_ms = 0;
    settle(&outside).await?;
    let standing = |n: usize| {
        let dump = outside.twin.twin.world().atlassian.dump();
        dump["organizations"]["org-1"]["people"][Company::email(n)].as_str().map(str::to_owned)
    };
    let suspended = |on: bool| json!([{ "op": "user_suspended", "id": Company::id(1), "suspended": on }]);
    outside.at_google(suspended(true))?;
    outside.at_google(json!([{ "op": "user_archived", "id": Company::id(2), "archived": true },
        { "op": "user_deleted", "id": Company::id(3) }]))?;
    settle(&outside).await?;
    assert_eq!(
        (standing(1).as_deref(), standing(2).as_deref(), standing(3)),
        (Some("suspended"), Some("active"), Some("no_membership".to_owned()))
    );
    assert_eq!(in_group(&outside, "staff"), people([0]));
    outside.at_google(suspended(false))?;
    settle(&outside).await?;
    assert_eq!((standing(1).as_deref(), in_group(&outside, "staff")), (Some("active"), people([0, 1])));
    // A provisioning directory knows no such thing, and a file that says so is refused.
    let other = std::fs::read_to_string(outside.policy())?.replace(
        "kind = \"atlassian-org\"\norg = \"org-1\"\ndirectory = \"dir-1\"\napi_key",
        "kind = \"atlassian-scim\"\ndirectory_id = \"scim-1\"\ntoken",
    );
    outside.write_policy(&other)?;
    let refused = outside.rollcall(&["policy", "check"]).await?;
    assert_eq!(refused.code, 64, "{}", refused.err);
    assert!(refused.err.contains("only an organization"), "{}", refused.err);
    Ok(())
}

/// An organization takes members out from a queue and shows them until it is their turn: it is asked once. And somebody
/// who is suspended first and deleted later takes the path of both states.
#[tokio::test(flavor = "multi_thread")]
async fn p4_03_who_was_suspended_is_removed_later_and_a_queue_is_asked_once() -> Result<()> {
    let company = Company::of(6).group("staff", 0..4);
    let ways = "suspended = \"suspend\", deleted = \"remove\"";
    let entry = format!("[[people.provision]]\nfrom = \"workspace\"\nto = \"cloud\"\non_leave = {{ {ways} }}\n");
    let policy = company.clone().with_sections(&format!("{WIDE}\n{entry}")).policy();
    let outside = Outside::start(&company.snapshot(), &policy).await?;
    outside.twin.twin.world().atlassian.switches.user_removal_delay_ms = 0;
    settle(&outside).await?;
    let standing = |n: usize| {
        let dump = outside.twin.twin.world().atlassian.dump();
        dump["organizations"]["org-1"]["people"][Company::email(n)].as_str().map(str::to_owned)
    };
    outside.at_google(json!([{ "op": "user_suspended", "id": Company::id(1), "suspended": true }]))?;
    settle(&outside).await?;
    assert_eq!(standing(1).as_deref(), Some("suspended"));
    outside.at_google(json!([{ "op": "user_deleted", "id": Company::id(1) }]))?;
    settle(&outside).await?;
    assert_eq!(standing(1).as_deref(), Some("no_membership"));
    outside.twin.twin.world().atlassian.switches.user_removal_delay_ms = 3_600_000;
    outside.at_google(json!([{ "op": "user_deleted", "id": Company::id(3) }]))?;
    settle(&outside).await?;
    for _ in 0..2 {
        let again = outside.rollcall(&["apply", "--yes"]).await?;
        assert!(again.code == 0 && again.out.contains("Applied 0 changes"), "{}{}", again.out, again.err);
        assert_eq!(standing(3).as_deref(), Some("active"), "it is not its turn");
    }
    Ok(())
}

/// An account of a claimed domain that is taken out of the organization stays listed there, without a membership. Who is
/// hired again is invited, as is anybody whose account was never a member; nobody is "restored" to what is not there.
#[tokio::test(flavor = "multi_thread")]
async fn p4_03_who_was_removed_is_invited_when_hired_again_and_gets_the_groups_back() -> Result<()> {
    let company = Company::of(6).group("staff", 0..4);
    let entry = "[[people.provision]]\nfrom = \"workspace\"\nto = \"cloud\"\ncreate = true\n\
                 on_leave = { suspended = \"remove\" }\n";
    let policy = company.clone().with_sections(&format!("{WIDE}\n{entry}")).policy();
    let outside = Outside::start(&company.snapshot(), &policy).await?;
    outside.twin.twin.world().atlassian.switches.user_removal_delay_ms = 0;
    settle(&outside).await?;
    let membership = |n: usize| {
        let dump = outside.twin.twin.world().atlassian.dump();
        dump["organizations"]["org-1"]["people"][Company::email(n)].as_str().unwrap_or("none").to_owned()
    };
    let suspended = |on: bool| json!([{ "op": "user_suspended", "id": Company::id(1), "suspended": on }]);
    outside.at_google(suspended(true))?;
    settle(&outside).await?;
    assert_eq!((membership(1).as_str(), in_group(&outside, "staff")), ("no_membership", people([0, 2, 3])));
    outside.at_google(suspended(false))?;
    settle(&outside).await?;
    assert_eq!((membership(1).as_str(), in_group(&outside, "staff")), ("active", people(0..4)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_04_a_draft_shows_what_would_happen_and_is_published_as_it_was_shown() -> Result<()> {
    let company = Company::of(6).group("staff", 0..4);
    let outside = Outside::start(&company.snapshot(), &company.policy()).await?;
    let before = outside.sequence();
    let draft = outside.rollcall(&["plan", "--full", "--out", "draft.plan"]).await?;
    assert_eq!((draft.code, outside.sequence()), (0, before), "a draft changes nothing");
    assert!((0..4).all(|n| draft.out.contains(&Company::email(n))), "{}", draft.out);
    let published = outside.rollcall(&["apply", "draft.plan", "--yes"]).await?;
    assert_eq!(published.code, 0, "{}{}", published.out, published.err);
    assert_eq!(outside.difference(), Vec::<String>::new());
    let again = outside.rollcall(&["apply", "draft.plan", "--yes"]).await?;
    assert_eq!(again.code, 3, "what was published is not published twice: {}{}", again.out, again.err);
    Ok(())
}

/// Until the services go by a policy that holds this text.
async fn in_force(world: &World, text: &str) -> Result<()> {
    let newest = "select body from plan.policy where state = 'loaded' order by loaded_at desc limit 1";
    let query = format!("select count(*)::bigint from ({newest}) it where position('{text}' in it.body) > 0");
    eventually(WITHIN, "the policy to be in force", async || Ok((world.one(&query).await? == 1).then_some(()))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_05_rules_run_now_are_rescheduled_switched_off_and_on_copied_and_deleted() -> Result<()> {
    let company =
        (0..12).fold(Company::of(8).group("staff", 0..5), |company, n| company.group(&format!("g{n:02}"), 0..2));
    let often = |key: &str| format!("sweep_every = \"2s\"\n{key} =");
    let text = company.policy().replace("subject =", &often("subject")).replace("owner =", &often("owner"));
    let directories = text.split("\n[[sync]]").next().unwrap_or_default();
    let rule = |name: &str, more: &str| {
        format!("\n[[sync]]\nname = \"{name}\"\nfrom = \"workspace\"\nto = \"cloud\"\n{more}\n")
    };
    let rename = "rename = [{ pattern = '@.*', replace = '' }]";
    let groups = rule("groups", &format!("groups = [\"g*\"]\n{rename}"));
    let staff = |more: &str| rule("staff", &format!("groups = [\"staff@acme.example\"]\n{rename}{more}"));
    let policy = |mode: &str, staff: &str| format!("{directories}\n[schedule]\nmode = \"{mode}\"\n{groups}{staff}");
    // By hand: read and planned, and nothing is sent.
    let world = World::start(&company.snapshot(), &policy("manual", &staff("")), &Options::default()).await?;
    // Both sides are read again and again; nobody asks for it, for that would be *run now*.
    let quiet = async |world: &World, before: u64| {
        world.until_read_since(world.now().await?).await?;
        world.until_decided().await?;
        assert_eq!(world.effects(before), Vec::new());
        anyhow::Ok(())
    };
    quiet(&world, world.sequence()).await?;
    // Rescheduled while it runs, in both directions; then it runs now.
    world.write_policy(&policy("continuous", &staff("")))?;
    world.until_equal(WITHIN).await?;
    world.write_policy(&policy("manual", &staff("")))?;
    in_force(&world, "mode = \"manual\"").await?;
    world.at_google(json!([member("member_added", "staff", 5)]))?;
    quiet(&world, world.sequence()).await?;
    world.sync(None).await?;
    world.until_equal(WITHIN).await?;
    // One rule is off: nobody comes into its groups and nobody goes out of them, and the other rule goes on.
    world.write_policy(&policy("continuous", &staff("\nenabled = false")))?;
    in_force(&world, "enabled = false").await?;
    let changes = [("added", "staff", 6), ("removed", "staff", 0), ("added", "g00", 6), ("removed", "g01", 0)];
    world.at_google(changes.map(|(op, group, n)| member(&format!("member_{op}"), group, n)).into())?;
    world.sync(None).await?;
    eventually(WITHIN, "the rule that is on to be carried out", async || {
        let found = (in_group(&world, "g00"), in_group(&world, "g01"));
        Ok((found == (people([0, 1, 6]), people([1]))).then_some(()))
    })
    .await?;
    world.until_decided().await?;
    assert_eq!(in_group(&world, "staff"), people(0..6), "what is switched off decides nothing and removes nobody");
    world.write_policy(&policy("continuous", &staff("\nenabled = true")))?;
    world.until_equal(WITHIN).await?;
    assert_eq!(in_group(&world, "staff"), people(1..7));
    // A copy of the rule fills another group; then the first is deleted: what it filled stays as it is.
    let copy = rule("copy", "groups = [\"staff@acme.example\"]\ninto = \"copied\"");
    world.write_policy(&policy("continuous", &copy))?;
    eventually(
        WITHIN,
        "the copy to be filled",
        async || Ok((in_group(&world, "copied") == people(1..7)).then_some(())),
    )
    .await?;
    assert_eq!(in_group(&world, "staff"), people(1..7), "deleting a rule removes nobody");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_06_the_log_outlives_the_rule() -> Result<()> {
    let company = Company::of(4).group("staff", 0..3);
    let outside = Outside::start(&company.snapshot(), &company.policy()).await?;
    let log = || -> Result<String> {
        let folder = outside.folder.path().join("state/rollcall/acme");
        Ok(std::fs::read_to_string(folder.join("audit.ndjson"))?
            + &std::fs::read_to_string(folder.join("ledger.ndjson"))?)
    };
    settle(&outside).await?;
    let before = log()?;
    assert!(before.lines().count() > 4, "{before}");
    outside.write_policy(&with_rule(&company, "groups = [\"staff@acme.example\"]"))?;
    settle(&outside).await?;
    let after = log()?;
    let kept = before.lines().all(|line| after.contains(line));
    assert!(kept && after.lines().count() > before.lines().count(), "nothing of the old rule's log is gone");
    assert_eq!(in_group(&outside, "staff"), people(0..3), "nor what it did");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_07_a_group_of_administrators_never_becomes_empty() -> Result<()> {
    const JIRA: &str = "ari:cloud:jira-software::site/acme";
    let company = Company::of(6).group("team-leads-admin", 0..2).group("staff", 0..4);
    let mut company = company.with_sections(WIDE);
    "on_conflict = \"adopt\"\n".clone_into(&mut company.rule);
    let outside = Outside::start(&company.snapshot(), &company.policy()).await?;
    outside
        .at_atlassian(&json!([
            { "op": "load", "organizations": [{ "id": "org-1", "name": "Acme", "directory": "dir-1",
                "products": [{ "resource": JIRA, "key": "jira-software", "name": "Jira", "site": "acme", "seats": 50 }] }] },
            { "op": "group", "name": "team-leads-admin", "members": ["p04@acme.example", "p05@acme.example"],
                "roles": [[JIRA, "atlassian/admin"]] },
        ]))
        .await?;
    let all: Vec<Value> = (0..2).map(|n| member("member_removed", "team-leads-admin", n)).collect();
    settle(&outside).await?;
    assert_eq!(in_group(&outside, "team-leads-admin"), people(4..6), "neither filled nor emptied");
    outside.at_google(json!(all))?;
    assert!(steps(&planned(&outside).await?).is_empty());
    let forced = outside.rollcall(&["apply", "--yes", "--override", "emptied-group", "--reason", "no"]).await?;
    assert_eq!((forced.code, in_group(&outside, "team-leads-admin")), (0, people(4..6)), "{}", forced.out);
    Ok(())
}

/// The same at a site that owns its groups, where the site itself tells which they are, whatever they are called.
#[tokio::test(flavor = "multi_thread")]
async fn p4_07_nor_at_a_site_that_stands_alone() -> Result<()> {
    const JIRA: &str = "ari:cloud:jira-software::site/acme";
    for (kind, role) in [("jira-cloud", "atlassian/admin"), ("confluence-cloud", "atlassian/site-admin")] {
        let company = Company::of(6).group("bosses", 0..2).group("staff", 0..4);
        let mut company = company.with_sections(WIDE);
        "on_conflict = \"adopt\"\n".clone_into(&mut company.rule);
        let policy = company.policy().replace(
            "kind = \"atlassian-org\"\norg = \"org-1\"\ndirectory = \"dir-1\"\napi_key = \"file:secrets/org-key\"\n\
             owner = \"sync@acme.example\"",
            &format!(
                "kind = \"{kind}\"\nsite = \"https://acme.atlassian.net\"\nemail = \"sync@acme.example\"\n\
                 api_token = \"file:secrets/api-token\""
            ),
        );
        let outside = Outside::start(&company.snapshot(), &policy).await?;
        outside
            .at_atlassian(&json!([
                { "op": "load", "organizations": [{ "id": "org-1", "name": "Acme", "directory": "dir-1",
                    "products": [{ "resource": JIRA, "key": "jira-software", "name": "Jira", "site": "acme", "seats": 50 }] }] },
                { "op": "group", "name": "bosses", "members": ["p04@acme.example", "p05@acme.example"],
                    "roles": [[JIRA, role]] },
            ]))
            .await?;
        let plan = planned(&outside).await?;
        let touched: Vec<Value> = steps(&plan).into_iter().filter(|step| step.to_string().contains("bosses")).collect();
        assert!(touched.is_empty(), "{kind}: {touched:?}");
        settle(&outside).await?;
        assert_eq!(in_group(&outside, "bosses"), people(4..6), "{kind}: neither filled nor emptied");
        assert_eq!(in_group(&outside, "staff"), people(0..4), "{kind}: and nothing else is held up");
    }
    Ok(())
}
