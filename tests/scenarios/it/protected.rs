//! What protects a group stays, whatever the read of it comes to.

use anyhow::Result;
use scenarios::{Company, Outside};
use serde_json::json;
use twin::engine::fault::{Fault, FaultKind};

const PRODUCT: &str = "ari:cloud:jira-software::site/acme";

/// A group that a rule made and fills comes to make administrators. A run whose search by role breaks off lets nobody in.
#[tokio::test(flavor = "multi_thread")]
async fn i04_a_search_by_role_that_breaks_off_makes_nobody_an_administrator() -> Result<()> {
    let company = Company::of(6).group("crew", 0..3).group("readers", 3..5);
    let outside = Outside::start(&company.snapshot(), &company.policy()).await?;
    let applied = outside.rollcall(&["apply", "--yes"]).await?;
    assert_eq!(applied.code, 0, "{}{}", applied.out, applied.err);
    assert_eq!(outside.difference(), Vec::<String>::new());
    outside
        .at_atlassian(&json!([
            { "op": "load", "organizations": [{ "id": "org-1", "name": "Acme", "directory": "dir-1", "products": [
                { "resource": PRODUCT, "key": "jira-software", "name": "Jira", "site": "acme" }] }] },
            { "op": "group", "name": "crew", "roles": [[PRODUCT, "atlassian/admin"]] },
        ]))
        .await?;
    outside.at_google(json!([
        { "op": "member_added", "group": "grp_crew", "id": Company::id(5), "type": "USER", "role": "MEMBER" },
        { "op": "member_added", "group": "grp_readers", "id": Company::id(5), "type": "USER", "role": "MEMBER" },
    ]))?;
    let joined = |group: &str| outside.all_found().get(group).is_some_and(|there| there.contains(&Company::email(5)));
    // The listing comes whole, in one page, and what comes after it does not.
    let trouble = FaultKind::Fail { status: 503, after: false, plain: true };
    let faults = &outside.twin.twin.engine.faults;
    let id = faults.inject(Fault { skip: 1, ..Fault::new("atlassian.org", "groups.search", trouble) });
    let broken = outside.rollcall(&["apply", "--yes"]).await?;
    assert!(faults.all().iter().any(|fault| fault.id == id && fault.hits > 0), "{}", broken.err);
    assert!(!joined("crew"), "{}{}", broken.out, broken.err);
    assert!(faults.remove(id));
    // Read whole it is refused, and everything else goes on.
    let whole = outside.rollcall(&["apply", "--yes"]).await?;
    assert!(!joined("crew") && joined("readers"), "{}{}", whole.out, whole.err);
    Ok(())
}
