//! One run without servers, and a directory that cannot be read: it is told, what it fills stays as it is, and the
//! others are done.

use std::collections::BTreeSet;

use anyhow::Result;
use harness::ports;
use scenarios::{Company, Outside};
use serde_json::{Value, json};
use twin::engine::fault::FaultKind;

fn member(op: &str, group: &str, person: usize) -> Value {
    json!({ "op": op, "group": format!("grp_{group}"), "id": Company::id(person), "type": "USER", "role": "MEMBER" })
}

fn at(outside: &Outside, instance: &str, group: &str) -> BTreeSet<String> {
    outside.twin.twin.world().dc.memberships(instance).remove(group).unwrap_or_default()
}

fn people(numbers: impl IntoIterator<Item = usize>) -> BTreeSet<String> {
    numbers.into_iter().map(Company::email).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_cannot_be_read_is_told_and_stops_none_of_the_others() -> Result<()> {
    let company = Company::of(8).group("staff", 0..5);
    let outside = Outside::start(&company.snapshot(), &crate::dc::policy("bitbucket")).await?;
    let edits = ["bitbucket", "crowd"].map(|instance| json!({ "op": "people", "instance": instance }));
    outside.tell("dc", &json!(edits)).await?;
    let rounds = [
        (FaultKind::Fail { status: 503, after: false, plain: true }, 75, "E0119"),
        (FaultKind::Reset { after: false }, 75, "E0119"),
        (FaultKind::Unauthorized, 1, "E0118"),
    ];
    for (round, (fault, code, told)) in rounds.into_iter().enumerate() {
        outside.at_google(json!([member("member_added", "staff", 5 + round)]))?;
        let before = at(&outside, "crowd", "staff");
        outside.fault("atlassian.dc.crowd", "*", fault, |_| {});
        let said = outside.rollcall(&["plan", "--output", "json"]).await?;
        assert_eq!(said.code, code, "{}{}", said.out, said.err);
        let plan: Value = serde_json::from_str(&said.out)?;
        assert_eq!((&plan["unread"][0]["directory"], &plan["unread"][0]["code"]), (&json!("crowd"), &json!(told)));
        let said = outside.rollcall(&["apply", "--yes"]).await?;
        assert_eq!(said.code, code, "{}{}", said.out, said.err);
        assert!(said.err.contains(told) && said.err.contains("crowd"), "{}", said.err);
        assert_eq!(at(&outside, "bitbucket", "staff"), people(0..6 + round), "the other one is done");
        assert_eq!(at(&outside, "crowd", "staff"), before, "what could not be read stays as it is");
        outside.no_faults();
    }
    let said = outside.rollcall(&["apply", "--yes"]).await?;
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert_eq!(at(&outside, "crowd", "staff"), people(0..8));
    Ok(())
}

/// Two customers of Google, played by one; the second one's group goes to the same organization.
fn two_sources() -> String {
    let partner = "\n[directory.partner]\nkind = \"google-workspace\"\nservice_account = \"file:secrets/google.json\"\n\
        subject = \"sync@acme.example\"\nendpoint = \"{partner}\"\nlag = \"0s\"\n\n[[sync]]\nname = \"partners\"\n\
        from = \"partner\"\ngroups = [\"readers@acme.example\"]\nto = \"cloud\"\n\
        rename = [{ pattern = '^(.+)@.*$', replace = '$1' }]\n";
    let company = Company::default().with_sections(partner);
    company.policy().replace("groups = [\"*\"]\nto = [\"cloud\"]", "groups = [\"staff@*\"]\nto = [\"cloud\"]")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_source_fills_that_cannot_be_read_stays_and_the_rest_is_done() -> Result<()> {
    let company = Company::of(8).group("staff", 0..3).group("readers", 2..6);
    let outside = Outside::start(&company.snapshot(), &two_sources()).await?;
    let nowhere = format!("http://127.0.0.1:{}", ports::free()?);
    outside.write_policy(&two_sources().replace("{partner}", &nowhere))?;
    // Nobody has ever seen what it fills: its target is left alone, and there is no other.
    let said = outside.rollcall(&["apply", "--yes"]).await?;
    assert_eq!((said.code, outside.effects(0).len()), (75, 0), "{}{}", said.out, said.err);
    assert!(said.err.contains("partner"), "{}", said.err);
    let reachable = two_sources().replace("{partner}", "{google}");
    outside.write_policy(&reachable)?;
    let said = outside.rollcall(&["apply", "--yes"]).await?;
    assert_eq!((said.code, outside.difference()), (0, Vec::new()), "{}{}", said.out, said.err);
    // Known from before: its group stays as it is, the other one is done.
    outside.write_policy(&two_sources().replace("{partner}", &nowhere))?;
    outside.at_google(json!([
        member("member_added", "staff", 7),
        member("member_removed", "readers", 2),
        member("member_added", "readers", 7)
    ]))?;
    let said = outside.rollcall(&["apply", "--yes"]).await?;
    assert_eq!(said.code, 75, "{}{}", said.out, said.err);
    assert_eq!(outside.found()["staff"], people([0, 1, 2, 7]));
    assert_eq!(outside.found()["readers"], people(2..6), "nothing is decided from what cannot be read");
    outside.write_policy(&reachable)?;
    let said = outside.rollcall(&["apply", "--yes"]).await?;
    assert_eq!((said.code, outside.difference()), (0, Vec::new()), "{}{}", said.out, said.err);
    Ok(())
}

/// A fact that is asked for by itself and not answered: the removal waits, everything else goes.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_fact_that_is_not_answered_keeps_its_removal_back_and_nothing_else() -> Result<()> {
    let company = Company::of(8).group("staff", 0..4).group("readers", 0..4);
    let outside = Outside::start(&company.snapshot(), &company.policy()).await?;
    assert_eq!(outside.rollcall(&["apply", "--yes"]).await?.code, 0);
    outside.at_google(json!([member("member_removed", "staff", 1), member("member_added", "readers", 6)]))?;
    outside.fault("google.directory", "members.hasMember", FaultKind::Reset { after: false }, |_| {});
    outside.fault("google.directory", "members.get", FaultKind::Reset { after: false }, |_| {});
    let said = outside.rollcall(&["apply", "--yes"]).await?;
    assert_eq!(said.code, 75, "{}{}", said.out, said.err);
    assert!(said.err.contains("E0119") && said.err.contains("workspace"), "{}", said.err);
    assert_eq!((&outside.found()["staff"], &outside.found()["readers"]), (&people(0..4), &people([0, 1, 2, 3, 6])));
    outside.no_faults();
    let said = outside.rollcall(&["apply", "--yes"]).await?;
    assert_eq!((said.code, outside.difference()), (0, Vec::new()), "{}{}", said.out, said.err);
    Ok(())
}
