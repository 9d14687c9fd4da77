//! Sites that own their groups: Confluence in Cloud, and what a Jira site says of default access.

use std::time::Duration;

use atlassian::{ConfluenceReader, JiraConfig};
use model::{Email, GroupId, Ownership, UserState};
use outbound::{ReadDirectory, Scope, Silent};
use serde_json::json;
use twin::engine::{Fault, FaultKind};

use super::{PEOPLE, Stage, addressed, answers, members, named, person, whole};

const WIKI: &str = "atlassian.confluence";
const JIRA: &str = "atlassian.jira";

impl Stage {
    pub(super) fn wiki(&self) -> ConfluenceReader {
        self.wiki_with("twin-api-token")
    }

    fn wiki_with(&self, token: &str) -> ConfluenceReader {
        let (budget, clock) = Self::budget();
        ConfluenceReader::connect(JiraConfig {
            base_url: self.running.atlassian_url(),
            site: "https://acme.atlassian.net".to_owned(),
            email: self.running.twin.world().options.administrator.clone(),
            api_token: token.into(),
            budget,
            clock,
            timeout: Duration::from_secs(20),
            parallel: 4,
        })
        .unwrap()
    }
}

#[tokio::test]
async fn a_confluence_site_is_read_with_the_least_calls() {
    let stage = Stage::new().await;
    stage.provision(2).await;
    stage.edit(json!([{ "op": "group", "name": "a team", "team": true, "members": [person(7)] }])).await;
    let reader = stage.wiki();
    let scope = Scope::of(|group| group.name == "crowd" || group.name == "eng");
    stage.running.twin.engine.counters.clear();
    let reading = reader.sweep(&scope, &Silent).await.unwrap();
    assert!(reading.is_whole());
    let (crowd, eng) = (named(&reading, "crowd"), named(&reading, "eng"));
    assert_eq!(members(&reading, &crowd.id), Some((PEOPLE, true)));
    assert_eq!(members(&reading, &eng.id), Some((2, true)));
    assert_eq!(reading.members.len(), 2, "only the groups in scope are walked");
    let users = reading.users.seen.len().div_ceil(200) as u64;
    let calls = stage.count(WIKI);
    // People, who we are, the listing and the one of administrators', ⌈250 / 200⌉ + 1 pages of members.
    assert_eq!(calls.values().sum::<u64>(), users + 1 + 2 + 2 + 1, "{calls:?}");

    assert!(named(&reading, "helpers").grants_admin && named(&reading, "helpers").roles_known);
    assert!(!eng.grants_admin && named(&reading, "jira-users-acme").default_access);
    assert_eq!(named(&reading, "a team").ownership, Ownership::Members, "a team is its members' own");
    assert_eq!(named(&reading, "from-idp").ownership, Ownership::IdentityProvider);
    let (inside, outside) = (addressed(&reading, &person(0)), addressed(&reading, &person(9)));
    assert_eq!(inside.state, UserState::Active);
    answers(&reader, &eng.id, &inside.id, &outside.id).await;
    assert_eq!(reader.groups_of(&inside.id).await.unwrap().len(), 3);
    let alone = reader.read_members(&crowd.id).await.unwrap();
    assert_eq!((alone.seen.len(), alone.complete), (PEOPLE, true));
    let me = reader.who_am_i().await.unwrap();
    assert_eq!(me, [addressed(&reading, "sync@example.com").id.clone()]);
    assert!(reader.find_person(&Email::new(person(2)).unwrap()).await.unwrap().is_none(), "addresses are not searched");
}

/// The same account reads all the same, and the first change would be refused.
#[tokio::test]
async fn p3_01_a_token_that_may_change_nothing_is_told() {
    let stage = Stage::new().await;
    assert_eq!(stage.jira().probe().await.unwrap(), "users and groups can be read and changed");
    assert_eq!(stage.wiki().probe().await.unwrap(), "users and groups can be read and changed");
    stage.running.twin.world().atlassian.switches.site_administrators = false;
    for (refused, right) in
        [(stage.jira().probe().await, "Administer Jira"), (stage.wiki().probe().await, "administer Confluence")]
    {
        let refused = refused.unwrap_err();
        assert!(refused.is_about_us() && refused.message.contains(right), "{refused}");
    }
    assert!(stage.wiki_with("expired").probe().await.unwrap_err().is_about_us());
}

#[tokio::test]
async fn a_targeted_read_of_confluence_sees_what_changed_and_what_is_gone() {
    let stage = Stage::new().await;
    let reader = stage.wiki();
    let before = whole(&reader).await;
    let (eng, crowd) = (named(&before, "eng").id.clone(), named(&before, "crowd").id.clone());
    stage
        .edit(json!([
            {"op": "member_removed", "group": "eng", "account": person(0)},
            {"op": "group_deleted", "group": "crowd"},
            {"op": "email", "account": person(4), "hidden": true},
        ]))
        .await;
    let people = [addressed(&before, &person(0)).id.clone(), addressed(&before, &person(4)).id.clone()];
    let reading = reader.reread(&[eng.clone(), crowd.clone()], &people).await.unwrap();
    assert_eq!(reading.groups.gone, std::slice::from_ref(&crowd));
    assert_eq!(members(&reading, &eng), Some((1, true)));
    assert_eq!(reading.users.seen.len(), 2);
    let hidden = reading.users.seen.iter().find(|user| user.id == people[1]).unwrap();
    assert_eq!(hidden.email, None, "an address that is hidden is none");
    assert!(reader.read_group(&crowd).await.unwrap().is_none());
    assert!(reader.read_group(&eng).await.unwrap().is_some_and(|group| group.name == "eng"));
}

/// What protects a group is read with it, whatever asks for it: a read of one group is laid over that of the pass.
#[tokio::test]
async fn i09_a_group_that_is_read_alone_is_protected_as_in_a_pass() {
    let stage = Stage::new().await;
    let (wiki, jira) = (stage.wiki(), stage.jira());
    for (name, administrates) in [("helpers", true), ("jira-admins-acme", true), ("eng", false)] {
        let passes = [wiki.sweep(&Scope::Nobody, &Silent).await, jira.sweep(&Scope::Nobody, &Silent).await];
        let [in_wiki, in_jira] = passes.map(|pass| named(&pass.unwrap(), name).clone());
        assert_eq!((in_wiki.grants_admin, in_wiki.roles_known), (administrates, true), "{name}");
        assert_eq!((in_jira.grants_admin, in_jira.roles_known), (administrates, true), "{name}");
        let ids = [in_wiki.id.clone()];
        let again = wiki.reread(&ids, &[]).await.unwrap();
        assert_eq!(again.groups.seen, [in_wiki], "{name}");
        let again = jira.reread(&ids, &[]).await.unwrap();
        assert_eq!(again.groups.seen, [in_jira], "{name}");
    }
}

/// Without the right to see who administrates names must do, and trouble is no such answer.
#[tokio::test]
async fn i09_trouble_with_the_list_of_administrators_groups_is_not_an_answer() {
    let stage = Stage::new().await;
    let reading = stage.jira().sweep(&Scope::Nobody, &Silent).await.unwrap();
    let helpers = named(&reading, "helpers").id.clone();
    let second = |family, operation, kind: FaultKind| Fault { skip: 1, ..Fault::new(family, operation, kind) };
    for (trouble, complete) in
        [(FaultKind::Fail { status: 503, after: false, plain: true }, false), (FaultKind::Forbidden, true)]
    {
        stage.running.twin.engine.faults.inject(second(JIRA, "group.bulk", trouble.clone()));
        let reading = stage.jira().sweep(&Scope::Nobody, &Silent).await.unwrap();
        assert_eq!(reading.groups.complete, complete, "{trouble:?}");
        let told = reading.groups.seen.iter().find(|group| group.name == "helpers");
        // Trouble tells no group without what protects it: such a row would be laid over the one that is protected.
        assert_eq!(told.map(|group| group.roles_known), complete.then_some(false), "{trouble:?}");
        stage.running.twin.engine.faults.clear();
        stage.running.twin.engine.faults.inject(second(JIRA, "group.bulk", trouble.clone()));
        let alone = stage.jira().read_group(&helpers).await;
        assert_eq!(alone.is_ok_and(|group| !group.unwrap().roles_known), complete, "{trouble:?}");
        stage.running.twin.engine.faults.clear();
        stage.running.twin.engine.faults.inject(Fault::new(WIKI, "group.list", trouble.clone()));
        let alone = stage.wiki().read_group(&helpers).await;
        assert_eq!(alone.is_ok_and(|group| !group.unwrap().roles_known), complete, "{trouble:?}");
        stage.running.twin.engine.faults.clear();
    }
}

#[tokio::test]
async fn i02_trouble_in_the_middle_of_confluence_never_looks_like_an_absence() {
    let kinds = [
        FaultKind::Fail { status: 400, after: false, plain: false },
        FaultKind::Truncate,
        FaultKind::RepeatPage,
        FaultKind::EmptyPage { keep_next: false },
        FaultKind::EmptyPage { keep_next: true },
        FaultKind::Forbidden,
        FaultKind::Unauthorized,
        FaultKind::Html { after: false },
    ];
    for kind in kinds {
        let stage = Stage::new().await;
        let crowd = named(&whole(&stage.wiki()).await, "crowd").id.clone();
        // The walk of the crowd breaks off at its first page or at its second; everything else is read.
        for page in [1, 2] {
            let broken =
                Fault { page: Some(page), target: crowd.to_string(), ..Fault::new(WIKI, "group.member", kind.clone()) };
            let id = stage.running.twin.engine.faults.inject(broken);
            match stage.wiki().sweep(&Scope::All, &Silent).await {
                Ok(reading) => {
                    let (seen, complete) = members(&reading, &crowd).unwrap();
                    assert!(!complete || seen == PEOPLE, "{kind:?}: {seen}");
                }
                Err(error) => assert!(error.is_about_us(), "{kind:?}: {error}"),
            }
            assert!(stage.running.twin.engine.faults.remove(id));
        }
        // The search of people ends before us: who is not among them is not gone.
        let search = Fault { page: Some(1), ..Fault::new(WIKI, "search.user", kind.clone()) };
        stage.running.twin.engine.faults.inject(search);
        if let Ok(reading) = stage.wiki().sweep(&Scope::Nobody, &Silent).await {
            let all = reading.users.seen.len() > PEOPLE;
            assert!(!reading.users.complete || all, "{kind:?}: {}", reading.users.seen.len());
        }
    }
    let refused = Stage::new().await.wiki_with("expired").sweep(&Scope::All, &Silent).await.unwrap_err();
    assert!(refused.is_about_us(), "{refused}");
}

/// Which groups make administrators, and which give a product, is told by lists of their own: one that breaks off says
/// nothing, and never "none".
#[tokio::test]
async fn i02_what_protects_a_group_is_not_lost_to_trouble() {
    let trouble = FaultKind::Fail { status: 503, after: false, plain: true };
    let stage = Stage::new().await;
    let id =
        stage.running.twin.engine.faults.inject(Fault { skip: 1, ..Fault::new(WIKI, "group.list", trouble.clone()) });
    let reading = stage.wiki().sweep(&Scope::Nobody, &Silent).await.unwrap();
    assert!(!reading.groups.complete, "which groups make administrators was not told");
    assert!(stage.running.twin.engine.faults.remove(id));

    stage.break_it(JIRA, "applicationrole.list", trouble);
    let reading = stage.jira().sweep(&Scope::Nobody, &Silent).await.unwrap();
    assert!(!reading.groups.complete && reading.users.complete, "which groups give a product was not told");
    let everybody = GroupId::new(group_id(&stage, "everybody")).unwrap();
    assert!(stage.jira().read_group(&everybody).await.is_err());
    stage.running.twin.engine.faults.clear();
    stage.break_it(JIRA, "applicationrole.list", FaultKind::Unauthorized);
    assert!(stage.jira().read_group(&everybody).await.is_err_and(|error| error.is_about_us()));
}

/// Without the right to see the roles names must do; with it, ids tell, in a pass and of one group alone.
#[tokio::test]
async fn a_jira_site_tells_which_groups_give_a_product_by_default() {
    let stage = Stage::new().await;
    let reader = stage.jira();
    let reading = reader.sweep(&Scope::Nobody, &Silent).await.unwrap();
    let (everybody, eng) = (named(&reading, "everybody"), named(&reading, "eng"));
    assert!(everybody.default_access && !eng.default_access && reading.groups.complete);
    assert!(reader.read_group(&everybody.id).await.unwrap().unwrap().default_access, "also when it is read alone");
    assert!(!reader.read_group(&eng.id).await.unwrap().unwrap().default_access);
    stage.break_it(JIRA, "applicationrole.list", FaultKind::Forbidden);
    let reading = stage.jira().sweep(&Scope::Nobody, &Silent).await.unwrap();
    assert!(reading.groups.complete && named(&reading, "jira-users-acme").default_access);
    let alone = stage.jira().read_group(&named(&reading, "jira-users-acme").id).await.unwrap().unwrap();
    assert!(alone.default_access, "the name says so");
}

fn group_id(stage: &Stage, name: &str) -> String {
    let world = stage.running.twin.world().atlassian.dump();
    world["organizations"]["org-1"]["groups"][name]["id"].as_str().unwrap().to_owned()
}
