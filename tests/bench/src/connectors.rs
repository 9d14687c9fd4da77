//! Every connector with the world that its calls are counted in, and the least number of calls that its API allows.

use anyhow::Result;
use scenarios::{Beginning, Company, WIDE, real};
use serde_json::{Value, json};

/// Memberships at Crowd, in groups of a hundred.
const CROWD: usize = 100_000;
/// Customers of the desk.
const CUSTOMERS: usize = 5_000;

/// The sizes that the least number of calls follows from.
#[derive(Debug, Default, Clone)]
pub(crate) struct Sizes {
    /// People that the target lists before a first import.
    pub(crate) people: u64,
    /// Groups that it lists then.
    pub(crate) groups: u64,
    /// Accounts that are made.
    pub(crate) made: u64,
    /// Members of each group that is filled.
    pub(crate) filled: Vec<u64>,
}

/// What one call of an API reads or changes at most (reference/atlassian-cloud.md §1, §3–§6; atlassian-dc.md §2–§5, §7).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pages {
    people: u64,
    /// How many lists tell who there is.
    lists: u64,
    groups: u64,
    /// Members of a group; `None`: everybody's memberships come with the groups, or in one answer.
    members: Option<u64>,
    /// Answers that tell all memberships at once.
    all: u64,
    edges: u64,
    /// Ids that one look-up tells, where a creation does not tell its own.
    ids: Option<u64>,
}

/// One kind of target.
#[derive(Debug)]
pub(crate) struct Connector {
    pub(crate) name: &'static str,
    /// The twin's families of calls that are its.
    pub(crate) families: &'static [&'static str],
    /// Calls of these that are reads of one thing.
    pub(crate) pages: Pages,
    /// Its table in the policy, without the name.
    table: String,
    /// Further keys of the rule, and what stands after it.
    rule: &'static str,
    world: World,
}

/// Where it is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum World {
    /// In the real organization; in a made-up one where the data are absent.
    Real,
    /// People of a company get accounts and groups of 150.
    Provisioned,
    /// One list of customers.
    Portal,
    /// A server that holds many memberships already, and one more group.
    Crowded,
}

/// A world to begin with.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) snapshot: Value,
    pub(crate) policy: String,
    pub(crate) beginning: Beginning,
}

const fn pages(people: u64, groups: u64, members: u64) -> Pages {
    Pages { people, lists: 1, groups, members: Some(members), all: 0, edges: 1, ids: None }
}

/// All of them.
pub(crate) fn all() -> Vec<Connector> {
    let cloud =
        |kind: &str, more: &str| format!("kind = \"{kind}\"\n{more}\nendpoint = \"{{atlassian}}\"\nlag = \"0s\"\n");
    let site = |kind: &str, site: &str, more: &str| {
        let keys = format!("site = \"https://{site}.atlassian.net\"\nemail = \"sync@{{domain}}\"\n{more}");
        cloud(kind, &keys)
    };
    let own = "api_token = \"file:secrets/own-token\"";
    let instance = |product: &str| {
        let url =
            format!("url = \"https://{product}.example.com/dc/{product}\"\ntoken = \"file:secrets/{product}-token\"");
        cloud(&format!("{product}-dc"), &url)
    };
    let crowd = "url = \"https://crowd.example.com/dc/crowd\"\napplication = \"rollcall\"\n\
        password = \"file:secrets/crowd-password\"";
    let org = "org = \"org-1\"\ndirectory = \"dir-1\"\napi_key = \"file:secrets/org-key\"\nowner = \"sync@{domain}\"";
    let desk = "api_token = \"file:secrets/api-token\"\ndesk = \"HELP\"";
    let one = |name, families, pages, table| Connector { name, families, pages, table, rule: "", world: World::Real };
    let by_answer = Pages { members: None, all: 1, ..pages(1_000, 1_000, 1) };
    vec![
        one(
            "organization",
            &["atlassian.org"],
            Pages { ids: Some(100), ..pages(100, 100, 100) },
            cloud("atlassian-org", org),
        ),
        Connector {
            rule: "\n[[people.provision]]\nname = \"staff\"\nfrom = \"workspace\"\nto = \"target\"\n",
            world: World::Provisioned,
            ..one(
                "scim",
                &["atlassian.scim"],
                Pages { members: None, edges: 100, ..pages(1_000, 100, 1) },
                cloud("atlassian-scim", "directory_id = \"scim-1\"\ntoken = \"file:secrets/scim-key\""),
            )
        },
        one("jira-cloud", &["atlassian.jira"], pages(1_000, 50, 50), site("jira-cloud", "own", own)),
        one("confluence-cloud", &["atlassian.confluence"], pages(200, 200, 200), site("confluence-cloud", "own", own)),
        Connector {
            rule: "on_conflict = \"adopt\"\n",
            world: World::Portal,
            ..one(
                "service-desk",
                &["atlassian.servicedesk", "atlassian.jira"],
                Pages { edges: 50, ..pages(1_000, 1, 50) },
                site("jsm-customers", "acme", desk),
            )
        },
        one("jira-dc", &["atlassian.dc.jira"], pages(2_000, 20, 50), instance("jira")),
        one(
            "confluence-dc",
            &["atlassian.dc.confluence"],
            Pages { lists: 2, ..pages(200, 200, 200) },
            instance("confluence"),
        ),
        one(
            "bitbucket-dc",
            &["atlassian.dc.bitbucket"],
            Pages { edges: 100, ..pages(1_000, 1_000, 1_000) },
            instance("bitbucket"),
        ),
        one("crowd", &["atlassian.dc.crowd"], by_answer, cloud("crowd", crowd)),
        Connector {
            world: World::Crowded,
            ..one("crowd-of-100000", &["atlassian.dc.crowd"], by_answer, cloud("crowd", crowd))
        },
    ]
}

impl Connector {
    /// The world to measure in. `None`: the data of the real organization are absent, and nothing stands in for them.
    pub(crate) fn start(&self) -> Result<Option<Start>> {
        let (snapshot, domain) = match self.world {
            World::Real => match real()? {
                Some((snapshot, ..)) => (snapshot, "example.com"),
                None => return Ok(None),
            },
            World::Provisioned => {
                let groups = (0..40).map(|n| (n, (0..150).map(move |m| (n * 10 + m) % 400)));
                let company =
                    groups.fold(Company::of(400), |company, (n, people)| company.group(&format!("team-{n}"), people));
                (company.snapshot(), "acme.example")
            }
            World::Portal => (Company::of(CUSTOMERS).group("customers", 0..CUSTOMERS).snapshot(), "acme.example"),
            World::Crowded => (Company::of(CROWD / 10).group("newcomers", 0..50).snapshot(), "acme.example"),
        };
        let beginning = self.beginning(&snapshot, domain);
        Ok(Some(Start { policy: self.policy(domain), snapshot, beginning }))
    }

    fn policy(&self, domain: &str) -> String {
        let text = format!(
            "tenant = \"calls\"\n\n[directory.workspace]\nkind = \"google-workspace\"\n\
             service_account = \"file:secrets/google.json\"\nsubject = \"sync@{{domain}}\"\nendpoint = \"{{google}}\"\n\
             lag = \"0s\"\n\n[directory.target]\n{}\n[people]\ndomains = [\"{{domain}}\"]\n{WIDE}\n[[sync]]\n\
             name = \"groups\"\nfrom = \"workspace\"\ngroups = [\"*\"]\nto = \"target\"\n\
             rename = [{{ pattern = '^(.+)@.*$', replace = '$1' }}]\n{}",
            self.table, self.rule
        );
        let text = if self.world == World::Portal {
            text.replace("rename = [{ pattern = '^(.+)@.*$', replace = '$1' }]\n", "")
        } else {
            text
        };
        text.replace("{domain}", domain)
    }

    fn beginning(&self, snapshot: &Value, domain: &str) -> Beginning {
        let users = snapshot["users"].as_array().into_iter().flatten().filter_map(|user| user["email"].as_str());
        let emails: Vec<String> = users.map(str::to_ascii_lowercase).chain([format!("sync@{domain}")]).collect();
        let mut beginning = Beginning::default();
        match self.name {
            "jira-cloud" | "confluence-cloud" => {
                let accounts: Vec<Value> =
                    emails.iter().map(|email| json!({ "email": email, "site": "own" })).collect();
                let sites = json!([{ "name": "own", "cloud_id": "cloud-own" }]);
                beginning.edits.push(json!({ "op": "load", "sites": sites, "accounts": accounts }));
                // Every site has its own groups.
                beginning.edits.push(json!({ "op": "group", "site": "own", "name": "site-admins" }));
                beginning.sites.push("own".to_owned());
            }
            "service-desk" => beginning
                .edits
                .push(json!({ "op": "load", "desks": [{ "site": "acme", "key": "HELP", "name": "Help" }] })),
            name => {
                let Some(instance) = name.strip_suffix("-dc").or_else(|| name.starts_with("crowd").then_some("crowd"))
                else {
                    return beginning;
                };
                beginning.dc.push(json!({ "op": "people", "instance": instance, "whole_address": true }));
                if instance == "confluence" {
                    // Addresses are shown of those only who take a seat.
                    beginning
                        .dc
                        .push(json!({ "op": "group", "instance": instance, "name": "seated", "members": emails }));
                    let seats =
                        json!({ "op": "application", "instance": instance, "key": instance, "groups": ["seated"] });
                    beginning.dc.push(seats);
                }
                if self.world == World::Crowded {
                    beginning.dc.extend(emails.chunks(100).zip(0..).flat_map(|(members, n)| {
                        (0..10).map(move |again| json!({ "op": "group", "instance": "crowd", "name": format!("held-{n}-{again}"), "members": members }))
                    }));
                }
            }
        }
        beginning
    }

    /// The sizes of this world before a first import; `filled` holds how many members each of our groups is to have.
    pub(crate) fn sizes(&self, people: u64, groups: u64, filled: Vec<u64>) -> Sizes {
        let accounts = if self.world == World::Provisioned { people } else { 0 };
        let filled = if self.world == World::Portal { vec![filled.iter().sum()] } else { filled };
        Sizes { people: people - accounts, groups, made: accounts, filled }
    }

    /// Calls of a first import: both listings, what is made, and each membership.
    pub(crate) fn first_import(&self, sizes: &Sizes) -> u64 {
        let pages = self.pages;
        let listed = pages.listings(sizes.people, sizes.groups) + pages.all;
        let edges: u64 = sizes.filled.iter().map(|members| members.div_ceil(pages.edges)).sum();
        // A desk is there already, and empty: that is one page.
        let groups = sizes.filled.len() as u64;
        let made = if self.world == World::Portal { 1 } else { groups };
        let ids = pages.ids.map_or(0, |size| groups.div_ceil(size));
        listed + sizes.made + made + ids + edges
    }

    /// Calls when nothing has changed: both listings, and a walk of each managed group.
    pub(crate) fn nothing_changed(&self, sizes: &Sizes) -> u64 {
        let pages = self.pages;
        let made = if self.world == World::Portal { 0 } else { sizes.filled.len() as u64 };
        let listed = pages.listings(sizes.people + sizes.made, sizes.groups + made) + pages.all;
        let walks = |size: u64| sizes.filled.iter().map(|members| members.div_ceil(size).max(1)).sum();
        listed + pages.members.map_or(0, walks)
    }
}

impl Pages {
    fn listings(&self, people: u64, groups: u64) -> u64 {
        self.lists * people.div_ceil(self.people).max(1) + groups.div_ceil(self.groups).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_is_counted_by_what_one_call_of_the_api_can_do() {
        let connectors = all();
        let least = |name: &str, sizes: &Sizes| {
            let found = connectors.iter().find(|it| it.name == name);
            found.map(|it| (it.first_import(sizes), it.nothing_changed(sizes)))
        };
        let sizes = Sizes { people: 450, groups: 0, made: 0, filled: vec![250, 0, 3] };
        assert_eq!(least("organization", &sizes), Some((5 + 1 + 3 + 1 + 253, 5 + 1 + 3 + 1 + 1)));
        assert_eq!(least("jira-cloud", &sizes), Some((1 + 1 + 3 + 253, 1 + 1 + 5 + 1 + 1)));
        assert_eq!(least("bitbucket-dc", &sizes), Some((1 + 1 + 3 + 3 + 1, 1 + 1 + 3)));
        assert_eq!(least("crowd", &sizes), Some((1 + 1 + 1 + 3 + 253, 3)));
        let provisioned = Sizes { people: 0, made: 450, ..sizes };
        assert_eq!(least("scim", &provisioned), Some((1 + 1 + 450 + 3 + 3 + 1, 1 + 1)));
        let desk = Sizes { people: 2_500, groups: 1, made: 0, filled: vec![120] };
        assert_eq!(least("service-desk", &desk), Some((3 + 1 + 1 + 3, 3 + 1 + 3)));
    }

    #[test]
    fn every_policy_is_one() {
        for connector in all() {
            let policy = connector.policy("acme.example").replace("{google}", "http://127.0.0.1:1");
            let read = policy::Policy::parse(&policy.replace("{atlassian}", "http://127.0.0.1:2"));
            assert!(read.is_ok(), "{}: {:?}", connector.name, read.err());
        }
    }
}
