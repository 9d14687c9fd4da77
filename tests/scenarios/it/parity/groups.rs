//! 2 and 3: how source groups become target groups.

use anyhow::Result;
use scenarios::{Company, Outside, WIDE};
use serde_json::json;

use super::{in_group, member, people, planned, settle, steps};

/// The company's directories with these rules instead of its own.
async fn ruled(company: &Company, rules: &str) -> Result<Outside> {
    let base = company.policy();
    let directories = base.split("\n[[sync]]").next().unwrap_or_default();
    Outside::start(&company.snapshot(), &format!("{directories}{WIDE}\n{rules}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_17_source_groups_are_mapped_by_hand_many_to_one_and_one_to_many() -> Result<()> {
    let company = Company::of(8).group("hr", 0..2).group("it", 1..4).group("lab", 5..7);
    let rules = "[[sync]]\nname = \"staff\"\nfrom = \"workspace\"\nto = \"cloud\"\n\
                 groups = [\"hr@acme.example\", \"it@acme.example\"]\ninto = \"Staff\"\n\n\
                 [[sync]]\nname = \"machines\"\nfrom = \"workspace\"\nto = \"cloud\"\ngroups = [\"it@acme.example\"]\ninto = \"machines\"\n";
    let outside = ruled(&company, rules).await?;
    settle(&outside).await?;
    assert_eq!((in_group(&outside, "staff"), in_group(&outside, "machines")), (people(0..4), people(1..4)));
    assert!(!outside.all_found().contains_key("lab"), "nobody mapped it");
    outside.at_google(json!([member("member_removed", "it", 3)]))?;
    settle(&outside).await?;
    assert_eq!((in_group(&outside, "staff"), in_group(&outside, "machines")), (people(0..3), people(1..3)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_18_a_mapping_by_hand_filters_people_and_keeps_members_that_were_there() -> Result<()> {
    let company = Company::of(8).group("hr", 0..4);
    let rules = "[[sync]]\nname = \"staff\"\nfrom = \"workspace\"\nto = \"cloud\"\ngroups = [\"hr@acme.example\"]\n\
                 into = \"staff\"\nexcept_people = [\"p03@*\"]\nmembers = \"managed\"\non_conflict = \"adopt\"\n";
    let outside = ruled(&company, rules).await?;
    outside.at_atlassian(&json!([{ "op": "group", "name": "staff", "members": ["p07@acme.example"] }])).await?;
    settle(&outside).await?;
    assert_eq!(in_group(&outside, "staff"), people([0, 1, 2, 7]));
    outside.at_google(json!([member("member_removed", "hr", 0)]))?;
    settle(&outside).await?;
    assert_eq!(in_group(&outside, "staff"), people([1, 2, 7]), "only what we added goes");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_19_p3_04_groups_come_by_name_and_are_made_when_missing() -> Result<()> {
    let company = Company::of(6).group("staff", 0..3).group("readers", 2..5);
    let outside = Outside::start(&company.snapshot(), &company.policy()).await?;
    settle(&outside).await?;
    assert_eq!((in_group(&outside, "staff"), in_group(&outside, "readers")), (people(0..3), people(2..5)));
    // Where a rule may not make groups, the missing one is named with the rule's line and what to do.
    outside
        .at_google(json!([{ "op": "group_created", "id": "grp_new", "email": "new@acme.example", "name": "new" }]))?;
    let mut company = company;
    "create = false\n".clone_into(&mut company.rule);
    let policy = company.policy();
    outside.write_policy(&policy)?;
    let line = policy.lines().position(|line| line == "[[sync]]").unwrap_or_default() + 1;
    let said = outside.rollcall(&["plan"]).await?;
    let told = [format!("line {line}"), "create = true".to_owned(), "may-not-create".to_owned()];
    assert!(told.iter().all(|word| said.out.contains(word)), "{}", said.out);
    assert!(steps(&planned(&outside).await?).is_empty());
    let applied = outside.rollcall(&["apply", "--yes"]).await?;
    assert_eq!(applied.code, 3, "what is refused is not done: {}{}", applied.out, applied.err);
    assert!(applied.out.contains("1 change refused"), "{}", applied.out);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_20_by_name_with_filter_regular_expression_and_members_that_stay() -> Result<()> {
    let company =
        Company::of(8).group("eng-web", 0..3).group("eng-test-x", 0..3).group("ops", 3..5).group("team-a1", 1..3);
    let rules = "[[sync]]\nname = \"teams\"\nfrom = \"workspace\"\nto = \"cloud\"\n\
                 groups = [\"eng-*@acme.example\", 're:^team-[a-z][0-9]@']\nexcept = [\"eng-test-*\"]\n\
                 rename = [{ pattern = '^(?:eng|team)-(.+)@.*$', replace = 'g-$1' }]\nmembers = \"add-only\"\non_conflict = \"add-only\"\n";
    let outside = ruled(&company, rules).await?;
    outside.at_atlassian(&json!([{ "op": "group", "name": "g-web", "members": ["p06@acme.example"] }])).await?;
    settle(&outside).await?;
    let made: Vec<String> =
        outside.all_found().into_keys().filter(|name| name.contains("g-") || name.contains("ops")).collect();
    assert_eq!(made, ["g-a1", "g-web"]);
    assert_eq!(in_group(&outside, "g-web"), people([0, 1, 2, 6]));
    outside.at_google(json!([member("member_removed", "eng-web", 0)]))?;
    settle(&outside).await?;
    assert_eq!(in_group(&outside, "g-web"), people([0, 1, 2, 6]), "add-only never removes");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_07_people_and_groups_are_filtered_by_regular_expression() -> Result<()> {
    let company = Company::of(8).group("eng-web", 0..8).group("hr", 0..2);
    let rules = "[[sync]]\nname = \"teams\"\nfrom = \"workspace\"\nto = \"cloud\"\ngroups = ['re:^eng-']\n\
                 people = ['re:^p0[0-4]@acme\\.example$']\nrename = [{ pattern = '^(.+)@.*$', replace = '$1' }]\n";
    let outside = ruled(&company, rules).await?;
    settle(&outside).await?;
    assert_eq!(in_group(&outside, "eng-web"), people(0..5));
    assert!(!outside.all_found().contains_key("hr"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn import_writes_a_policy_whose_plan_is_empty() -> Result<()> {
    let company = Company::of(9).group("staff", 0..5).group("lab", 5..9).group("new-here", 0..2).group("differs", 1..4);
    let base = company.policy();
    let directories = base.split("\n[[sync]]").next().unwrap_or_default().to_owned();
    let outside = Outside::start(&company.snapshot(), &directories).await?;
    let members = |range: std::ops::Range<usize>| people(range).into_iter().collect::<Vec<_>>();
    outside
        .at_atlassian(&json!([
            { "op": "group", "name": "staff", "members": members(0..5) },
            { "op": "group", "name": "The Laboratory", "members": members(5..9) },
            { "op": "group", "name": "differs", "members": members(0..4) },
        ]))
        .await?;
    let before = outside.sequence();
    let said = outside.rollcall(&["import", "--out", "imported.toml"]).await?;
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let text = std::fs::read_to_string(outside.folder.path().join("imported.toml"))?;
    assert!(text.contains("[adopt]") && text.contains("differs: 1 would be removed, 0 added"), "{text}");
    let arguments = ["plan", "-c", "imported.toml", "--detailed-exitcode"];
    let plan = outside.rollcall(&arguments).await?;
    assert_eq!((plan.code, outside.sequence()), (0, before), "{}{}", plan.out, plan.err);
    // From here on it is kept: the group of another name, too.
    outside.at_google(json!([member("member_added", "lab", 0)]))?;
    assert_eq!(outside.rollcall(&arguments).await?.code, 2);
    assert_eq!(outside.rollcall(&["apply", "-c", "imported.toml", "--yes"]).await?.code, 0);
    assert_eq!(in_group(&outside, "the laboratory"), people([0, 5, 6, 7, 8]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn import_takes_over_what_is_equal_at_several_targets_and_stops_at_none() -> Result<()> {
    let company = Company::of(9).group("staff", 0..5).group("lab", 5..9).group("new-here", 0..2);
    let base = company.policy();
    let directories = base.split("\n[[sync]]").next().unwrap_or_default();
    let instance = |product: &str| {
        format!(
            "\n[directory.own-{product}]\nkind = \"{product}-dc\"\nurl = \"https://{product}.example.com/dc/{product}\"\n\
             endpoint = \"{{atlassian}}\"\ntoken = \"file:secrets/{product}-token\"\nlag = \"0s\"\n"
        )
    };
    let desk = "\n[directory.helpdesk]\nkind = \"jsm-customers\"\nsite = \"https://acme.atlassian.net\"\n\
        email = \"sync@acme.example\"\napi_token = \"file:secrets/api-token\"\ndesk = \"HELP\"\n\
        endpoint = \"{atlassian}\"\nlag = \"0s\"\n";
    let policy = format!("{directories}{}{}{desk}", instance("jira"), instance("bitbucket"));
    let members = |range: std::ops::Range<usize>| people(range).into_iter().collect::<Vec<_>>();
    let beginning = scenarios::Beginning {
        edits: vec![
            json!({ "op": "load", "desks": [{ "site": "acme", "key": "HELP", "name": "Help" }] }),
            json!({ "op": "group", "name": "staff", "members": members(0..5) }),
            json!({ "op": "group", "name": "The Laboratory", "members": members(5..9) }),
        ],
        // At Jira both are equal, one under a third name; at Bitbucket nothing is.
        dc: vec![
            json!({ "op": "people", "instance": "jira", "whole_address": true }),
            json!({ "op": "people", "instance": "bitbucket", "whole_address": true }),
            json!({ "op": "group", "instance": "jira", "name": "staff", "members": members(0..5) }),
            json!({ "op": "group", "instance": "jira", "name": "laboratory-people", "members": members(5..9) }),
            json!({ "op": "group", "instance": "bitbucket", "name": "staff", "members": members(3..8) }),
        ],
        ..scenarios::Beginning::default()
    };
    let outside = Outside::begin(&company.snapshot(), &policy, &beginning).await?;
    let before = outside.sequence();
    let said = outside.rollcall(&["import", "--out", "imported.toml"]).await?;
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let text = std::fs::read_to_string(outside.folder.path().join("imported.toml"))?;
    let written = ["into = \"laboratory-people\"", "own-bitbucket/staff: 3 would be removed, 3 added", "#   helpdesk"];
    assert!(written.iter().all(|line| text.contains(line)), "{text}");
    assert!(!text.contains("to = \"own-bitbucket\"") && !text.contains("to = \"helpdesk\""), "{text}");
    assert!(said.err.contains("4 groups in 3 rules") && said.err.contains("helpdesk is a list"), "{}", said.err);
    let arguments = ["plan", "-c", "imported.toml", "--detailed-exitcode"];
    let plan = outside.rollcall(&arguments).await?;
    assert_eq!((plan.code, outside.sequence()), (0, before), "{}{}", plan.out, plan.err);
    // What is met as equal is ours from the first apply on: both are kept, under whatever name.
    let met = outside.rollcall(&["apply", "-c", "imported.toml", "--yes"]).await?;
    assert_eq!((met.code, outside.sequence()), (0, before), "{}{}", met.out, met.err);
    outside.at_google(json!([member("member_added", "lab", 0)]))?;
    assert_eq!(outside.rollcall(&["apply", "-c", "imported.toml", "--yes"]).await?.code, 0);
    let jira = outside.twin.twin.world().dc.memberships("jira");
    assert_eq!(jira["laboratory-people"], people([0, 5, 6, 7, 8]));
    assert_eq!(in_group(&outside, "the laboratory"), people([0, 5, 6, 7, 8]));
    // Nothing else to import: every group is claimed, and that is no mistake.
    let again = outside.rollcall(&["import", "-c", "imported.toml", "--to", "helpdesk"]).await?;
    assert_eq!(again.code, 64, "{}", again.err);
    let again = outside.rollcall(&["import", "-c", "imported.toml", "--to", "cloud", "--out", "again.toml"]).await?;
    assert_eq!(again.code, 0, "{}", again.err);
    Ok(())
}

/// The real organization, once it stands in Atlassian, is imported whole; without the data a made-up one is.
#[tokio::test(flavor = "multi_thread")]
async fn the_real_organization_is_imported_and_then_there_is_nothing_to_do() -> Result<()> {
    let made_up = crate::import::made_up();
    let (snapshot, policy) = match scenarios::real()? {
        Some((snapshot, policy, _)) => (snapshot, policy),
        None => (made_up.snapshot(), made_up.policy()),
    };
    let outside = Outside::start(&snapshot, &policy).await?;
    let applied = outside.rollcall(&["apply", "--yes", "--quiet"]).await?;
    assert_eq!(applied.code, 0, "{}", applied.err);
    let directories = policy.split("\n[[sync]]").next().unwrap_or_default();
    outside.write_policy(directories)?;
    let said = outside.rollcall(&["import", "--out", "imported.toml"]).await?;
    assert_eq!(said.code, 0, "{}", said.err);
    let arguments = ["plan", "-c", "imported.toml", "--detailed-exitcode", "--journal", "another"];
    let plan = outside.rollcall(&arguments).await?;
    assert_eq!(plan.code, 0, "{}{}", plan.out, plan.err);
    let text = std::fs::read_to_string(outside.folder.path().join("imported.toml"))?;
    let taken = text.lines().filter(|line| line.starts_with("  \"")).count();
    let mapped = outside.wanted().len();
    assert!(taken * 10 >= mapped * 9, "{taken} of {mapped} groups were taken over");
    Ok(())
}
