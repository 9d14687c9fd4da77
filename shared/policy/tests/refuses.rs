//! A policy file that cannot be right is refused, with everything that is wrong with it: where, why and what to do.
//! Each case is a right file with one thing changed; the snapshots are what an operator reads.
#![expect(clippy::unwrap_used, reason = "tests")]

use policy::Policy;

/// A small policy that can be right.
const RIGHT: &str = r#"tenant = "acme"

[directory.workspace]
kind = "google-workspace"
service_account = "file:/run/secrets/google.json"
subject = "rollcall@acme.com"
endpoint = "http://127.0.0.1:7001"

[directory.cloud]
kind = "atlassian-org"
org = "org-1"
directory = "dir-1"
api_key = "file:/run/secrets/org-key"

[directory.jira]
kind = "jira-cloud"
site = "https://acme.atlassian.net"
email = "sync-bot@acme.com"
api_token = "env:JIRA_TOKEN"
org = "cloud"

[people]
domains = ["acme.com"]

[[sync]]
name = "teams"
from = "workspace"
groups = ["eng-*@acme.com"]
to = "cloud"
rename = [{ pattern = '^(.+)@.*$', replace = '$1' }]
"#;

/// The right file with one text replaced, or, where there is nothing to replace, with something added at its end.
fn changed(from: &str, to: &str) -> String {
    if from.is_empty() {
        return format!("{RIGHT}{to}");
    }
    assert!(RIGHT.contains(from), "the right file does not hold {from:?}");
    RIGHT.replacen(from, to, 1)
}

fn refusal(text: &str) -> String {
    Policy::parse(text).unwrap_err().render("acme.toml").to_string()
}

/// Holds the refusal of a changed file against its snapshot.
fn snapshot(name: &str, text: &str) {
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, refusal(text));
    });
}

macro_rules! refused {
    ($($name:ident: $from:expr => $to:expr;)*) => {
        $(
        #[test]
        fn $name() {
            snapshot(stringify!($name), &changed($from, $to));
        }
        )*
    };
}

#[test]
fn the_right_file_is_right() {
    Policy::parse(RIGHT).unwrap();
}

refused! {
    a_key_of_a_rule_that_is_misspelt: "rename =" => "renmae =";
    a_key_at_the_top_that_is_misspelt: "tenant =" => "tennant =";
    a_key_that_is_like_nothing: "domains =" => "favourite_colour =";
    a_key_of_another_kind_of_directory: "org = \"org-1\"" => "org = \"org-1\"\nsite = \"https://acme.atlassian.net\"";
    a_table_that_is_misspelt: "[[sync]]" => "[[snyc]]";
    one_table_where_a_list_belongs: "[[sync]]" => "[sync]";
    a_value_without_quotes: "tenant = \"acme\"" => "tenant = acme";
    a_key_twice: "name = \"teams\"" => "name = \"teams\"\nname = \"teams\"";
    a_number_where_text_belongs: "from = \"workspace\"" => "from = 7";
    a_word_that_is_near: "to = \"cloud\"" => "to = \"cloud\"\nmembers = \"exakt\"";
    a_word_that_is_like_nothing: "to = \"cloud\"" => "to = \"cloud\"\ndrift = \"whatever\"";
    a_kind_that_does_not_exist: "\"atlassian-org\"" => "\"atlassian-orgs\"";
    a_kind_that_is_missing: "kind = \"jira-cloud\"\n" => "";
    a_tenant_that_is_no_slug: "\"acme\"" => "\"Acme Inc.\"";
    a_directory_that_is_no_slug: "[directory.jira]" => "[directory.\"Jira EMEA\"]";
    a_secret_in_the_file: "\"file:/run/secrets/org-key\"" => "\"ATATT3xFfGF0-hunter2\"";
    a_secret_that_is_nowhere: "\"env:JIRA_TOKEN\"" => "\"env:\"";
    a_secret_that_is_no_text: "\"env:JIRA_TOKEN\"" => "12345678";
    a_secret_that_is_missing: "api_token = \"env:JIRA_TOKEN\"\n" => "";
    a_secret_under_a_misspelt_key: "api_token = \"env:JIRA_TOKEN\"" => "api_tokn = \"hunter2\"";
    a_secret_without_its_closing_quote: "\"file:/run/secrets/org-key\"" => "\"hunter2";
    a_secret_in_an_inline_table: "service_account = \"file:/run/secrets/google.json\"\nsubject = \"rollcall@acme.com\"" => "oauth = { client_id = \"x\", client_secret = \"hunter2\", refresh_token = 'hunter3' }";
    a_duration_without_unit: "org = \"org-1\"" => "org = \"org-1\"\nsweep_every = \"6\"";
    a_duration_of_nothing: "org = \"org-1\"" => "org = \"org-1\"\nsweep_every = \"0s\"";
    an_endpoint_with_a_path: "http://127.0.0.1:7001" => "http://127.0.0.1:7001/admin";
    an_endpoint_without_scheme: "http://127.0.0.1:7001" => "127.0.0.1:7001";
    an_endpoint_with_a_password: "http://127.0.0.1:7001" => "http://me:hunter2@127.0.0.1:7001";
    an_address_that_is_none: "\"sync-bot@acme.com\"" => "\"sync-bot\"";
    a_domain_that_is_none: "[\"acme.com\"]" => "[\"@acme.com\", \"*.acme.com\"]";
    a_glob_that_is_none: "[\"eng-*@acme.com\"]" => "[\n  \"fine-*@acme.com\",\n  \"eng-[a-@acme.com\",\n]";
    a_regular_expression_that_is_none: "[\"eng-*@acme.com\"]" => "['re:^team-(.+@acme\\.com$']";
    a_pattern_of_a_rename_that_is_none: "'^(.+)@.*$'" => "'^(.+@.*$'";
    a_replacement_that_runs_on: "'$1'" => "'$1_team'";
    a_replacement_of_nothing: "'$1'" => "'$2'";
    no_groups: "[\"eng-*@acme.com\"]" => "[]";
    no_targets: "to = \"cloud\"" => "to = []";
    no_roles: "to = \"cloud\"" => "to = \"cloud\"\nroles = []";
    a_role_that_does_not_exist: "to = \"cloud\"" => "to = \"cloud\"\nroles = [\"OWNER\", \"GUEST\"]";
    a_source_that_does_not_exist: "from = \"workspace\"" => "from = \"worksapce\"";
    a_target_that_does_not_exist: "to = \"cloud\"" => "to = [\"cloud\", \"data-center\"]";
    a_target_that_is_only_read: "to = \"cloud\"" => "to = \"workspace\"";
    a_directory_onto_itself: "from = \"workspace\"" => "from = \"cloud\"";
    a_view_onto_its_organization: "from = \"workspace\"" => "from = \"jira\"";
    a_group_onto_itself: "" => "\n[[sync]]\nfrom = \"cloud\"\nto = \"cloud\"\ngroups = [\"all-*\"]\ninto = \"all-staff\"\n";
    a_view_of_no_organization: "org = \"cloud\"" => "org = \"workspace\"";
    a_view_of_nothing: "org = \"cloud\"" => "org = \"clod\"";
    two_rules_with_one_name: "" => "\n[[sync]]\nname = \"Teams!\"\nfrom = \"workspace\"\nto = \"cloud\"\ngroups = [\"x-*\"]\n";
    two_rules_with_one_pattern: "" => "\n[[sync]]\nfrom = \"workspace\"\nto = [\"jira\"]\ngroups = [\"ENG-*@acme.com\"]\nrename = [{ pattern = '^(.+)@.*$', replace = '$1' }]\n";
    a_group_beside_a_union: "" => "\n[[sync]]\nfrom = \"workspace\"\nto = \"cloud\"\ngroups = [\"a@acme.com\"]\ninto = \"All\"\n\n[[sync]]\nfrom = \"workspace\"\nto = \"cloud\"\ngroups = [\"all@acme.com\"]\nrename = [{ pattern = '@.*', replace = '' }]\n";
    a_union_with_two_answers: "" => "\n[[sync]]\nfrom = \"workspace\"\nto = \"cloud\"\ngroups = [\"a@acme.com\"]\ninto = \"all\"\n\n[[sync]]\nfrom = \"workspace\"\nto = \"cloud\"\ngroups = [\"b@acme.com\"]\ninto = \"all\"\nmembers = \"add-only\"\n";
    a_union_that_is_half_on_purpose: "" => "\n[[sync]]\nfrom = \"workspace\"\nto = \"cloud\"\ngroups = [\"a@acme.com\"]\ninto = \"all\"\nmembers = \"managed\"\ndefault_access_group = true\n\n[[sync]]\nfrom = \"workspace\"\nto = \"cloud\"\ngroups = [\"b@acme.com\"]\ninto = \"all\"\nmembers = \"managed\"\n";
    a_union_with_two_conflicts: "" => "\n[[sync]]\nfrom = \"workspace\"\nto = \"cloud\"\ngroups = [\"a@acme.com\"]\ninto = \"all\"\nmembers = \"managed\"\non_conflict = \"adopt\"\n\n[[sync]]\nfrom = \"workspace\"\nto = \"cloud\"\ngroups = [\"b@acme.com\"]\ninto = \"all\"\nmembers = \"managed\"\n";
    a_union_with_two_ends: "" => "\n[[sync]]\nfrom = \"workspace\"\nto = \"cloud\"\ngroups = [\"a@acme.com\"]\ninto = \"all\"\nmembers = \"managed\"\non_source_deleted = \"empty\"\n\n[[sync]]\nfrom = \"workspace\"\nto = \"cloud\"\ngroups = [\"b@acme.com\"]\ninto = \"all\"\nmembers = \"managed\"\n";
    a_union_with_two_drifts: "" => "\n[[sync]]\nfrom = \"workspace\"\nto = \"cloud\"\ngroups = [\"a@acme.com\"]\ninto = \"all\"\nmembers = \"managed\"\ndrift = \"report\"\n\n[[sync]]\nfrom = \"workspace\"\nto = \"cloud\"\ngroups = [\"b@acme.com\"]\ninto = \"all\"\nmembers = \"managed\"\n";
    a_union_that_is_half_made: "" => "\n[[sync]]\nfrom = \"workspace\"\nto = \"cloud\"\ngroups = [\"a@acme.com\"]\ninto = \"all\"\nmembers = \"managed\"\ncreate = false\n\n[[sync]]\nfrom = \"workspace\"\nto = \"cloud\"\ngroups = [\"b@acme.com\"]\ninto = \"all\"\nmembers = \"managed\"\n";
    a_default_group_half_on_purpose: "" => "\n[[sync]]\nfrom = \"workspace\"\nto = \"cloud\"\ngroups = [\"a@acme.com\"]\ninto = \"all\"\nmembers = \"managed\"\ndefault_access_group = true\n\n[[people.provision]]\nfrom = \"workspace\"\nto = \"cloud\"\ndefault_groups = { all = [\"ALL\"] }\n";
    two_entries_of_one_default_group: "" => "\n[[people.provision]]\nfrom = \"workspace\"\nto = \"cloud\"\nname = \"a\"\norg_units = [\"/A\"]\ndefault_groups = { all = [\"x\"], default_access_group = true }\n\n[[people.provision]]\nfrom = \"workspace\"\nto = \"cloud\"\nname = \"b\"\ndefault_groups = { new = [\"X\"] }\n";
    a_default_access_group_to_be_deleted: "to = \"cloud\"" => "to = \"cloud\"\nmembers = \"managed\"\ndefault_access_group = true\non_source_deleted = \"delete\"";
    a_group_never_emptied_to_be_deleted: "to = \"cloud\"" => "to = \"cloud\"\nmembers = \"add-only\"\non_source_deleted = \"delete\"";
    a_limit_of_no_product: "" => "\n[guard]\nseat_limit = { jira-sofware = 5, jira-software = 5, loom = 3 }\n";
    a_rename_that_makes_all_groups_one: "'$1'" => "'everyone'";
    a_rename_beside_a_union: "to = \"cloud\"" => "to = \"cloud\"\ninto = \"everyone\"";
    exact_for_a_default_access_group: "to = \"cloud\"\nrename = [{ pattern = '^(.+)@.*$', replace = '$1' }]" => "to = \"cloud\"\ninto = \"jira-users\"\ndefault_access_group = true";
    a_protected_group_as_target: "to = \"cloud\"\nrename = [{ pattern = '^(.+)@.*$', replace = '$1' }]" => "to = \"cloud\"\ninto = \"Site-Admins\"";
    a_pattern_that_is_excepted: "to = \"cloud\"" => "to = \"cloud\"\nexcept = [\"eng-*@acme.com\"]";
    nobody_is_ours: "[people]\ndomains = [\"acme.com\"]\n\n[[sync]]" => "[[sync]]\nexternal = \"skip\"";
    more_than_the_whole: "" => "\n[guard]\nsource_shrink_percent = 110\nper_plan = { removals = { count = -1, percent = 101 } }\n";
    a_budget_of_nothing: "" => "\n[guard]\nper_group = { removals = {} }\n";
    a_protection_for_one_rule: "to = \"cloud\"" => "to = \"cloud\"\nguard = { protected_groups = [], per_day = { additions = { count = 1 } } }";
    no_administrators: "" => "\n[guard]\nminimum_administrators = 0\nprotected_people = [\"root\"]\n";
    a_guard_that_does_not_exist: "" => "\n[approval]\nrequired_for = [\"guard\", \"conflicts\"]\nexpires = \"never\"\n";
    a_schedule_that_is_none: "" => "\n[schedule]\ncron = \"0 25 * * *\"\n";
    a_schedule_with_two_answers: "" => "\n[schedule]\nmode = \"continuous\"\ncron = \"0 2 * * *\"\n";
    a_schedule_without_times: "" => "\n[schedule]\nmode = \"cron\"\n";
    an_adoption_of_nothing: "" => "\n[adopt]\n\"g1\" = \"cloud\"\n\"g2\" = \"clout/17\"\n\"g3\" = \"cloud/18\"\n\"g4\" = \"jira/18\"\n";
    two_ways_to_sign_in: "service_account =" => "oauth = { client_id = \"x\", client_secret = \"env:S\", refresh_token = \"env:T\" }\nservice_account =";
    a_provision_to_the_source: "" => "\n[[people.provision]]\nfrom = \"workspace\"\nto = \"workspace\"\norg_units = [\"Staff\"]\nattributes = { title = \"organizations[.title\" }\non_leave = { deleted = \"delete\" }\n";
    a_protected_group_as_default_group: "" => "\n[[people.provision]]\nfrom = \"workspace\"\nto = \"cloud\"\ndefault_groups = { new = [\"welcome\"], all = [\"Site-Admins\"] }\n";
    a_default_group_that_a_rule_fills_alone: "groups = [\"eng-*@acme.com\"]\nto = \"cloud\"" => "groups = [\"eng-*@acme.com\"]\nto = \"cloud\"\n[[people.provision]]\nfrom = \"workspace\"\nto = \"cloud\"\ndefault_groups = { all = [\"Everyone\"] }\n[[sync]]\nfrom = \"workspace\"\nto = \"cloud\"\ngroups = [\"everyone@acme.com\"]";
    a_default_group_that_a_rule_would_empty: "rename = [{ pattern = '^(.+)@.*$', replace = '$1' }]" => "into = \"everyone\"\n[[people.provision]]\nfrom = \"workspace\"\nto = \"cloud\"\ndefault_groups = { all = [\"everyone\"] }\n";
    new_groups_without_new_accounts: "" => "\n[[people.provision]]\nfrom = \"workspace\"\nto = \"cloud\"\ncreate = false\ndefault_groups = { new = [\"welcome\"] }\n";
    outsiders_of_a_tenant_without_domains: "[people]\ndomains = [\"acme.com\"]" => "[[people.provision]]\nfrom = \"workspace\"\nto = \"cloud\"\nexternal = \"skip\"\n";
    accounts_at_a_site_of_its_own: "org = \"cloud\"\n" => "[[people.provision]]\nfrom = \"workspace\"\nto = \"jira\"\n";
    accounts_for_customers: "" => "\n[directory.desk]\nkind = \"jsm-customers\"\nsite = \"https://acme.atlassian.net\"\nemail = \"a@acme.com\"\napi_token = \"env:T\"\ndesk = \"HELP\"\n[[people.provision]]\nfrom = \"workspace\"\nto = \"desk\"\n";
    accounts_in_a_user_directory_that_no_call_chooses: "" => "\n[directory.wiki]\nkind = \"confluence-dc\"\nurl = \"https://wiki.acme.com\"\ntoken = \"env:T\"\nuser_directory = \"Staff\"\n[[people.provision]]\nfrom = \"workspace\"\nto = \"wiki\"\n";
    leads_at_crowd: "" => "\n[directory.crowd]\nkind = \"crowd\"\nurl = \"https://crowd.acme.com/crowd\"\napplication = \"x\"\npassword = \"env:P\"\n[[people.provision]]\nfrom = \"workspace\"\nto = \"crowd\"\nlead_fallback = { project = \"jdoe\" }\n";
    attributes_that_an_instance_has_not: "" => "\n[directory.wiki]\nkind = \"confluence-dc\"\nurl = \"https://wiki.acme.com\"\ntoken = \"env:T\"\n[[people.provision]]\nfrom = \"workspace\"\nto = \"wiki\"\nattributes = { department = \"organizations[primary].department\" }\n";
    attributes_that_an_organization_has_not: "" => "\n[[people.provision]]\nfrom = \"workspace\"\nto = \"cloud\"\nattributes = { title = \"organizations[primary].title\", costCenter = \"organizations[primary].costCenter\" }\n";
    people_that_are_nobody: "to = \"cloud\"\nrename" => "to = \"cloud\"\npeople = []\nwhere = { \"organizations[primary].title\" = [], \"x\" = 7 }\nrename";
    an_entry_that_another_leaves_nobody_to: "" => "\n[[people.provision]]\nfrom = \"workspace\"\nto = \"cloud\"\nexternal = \"skip\"\n[[people.provision]]\nfrom = \"workspace\"\nto = \"cloud\"\n[[people.provision]]\nfrom = \"workspace\"\nto = \"cloud\"\norg_units = [\"/Staff/**\"]\n";
    a_group_that_is_emptied_though_nobody_is_removed: "to = \"cloud\"" => "to = \"cloud\"\nmembers = \"add-only\"\non_source_deleted = \"empty\"";
    a_product_in_a_role: "to = \"cloud\"" => "to = \"cloud\"\ngives = [{ product = \"jira-software\", site = \"https://acme.atlassian.net\", role = \"admin\" }]";
    a_product_of_a_site_given_twice: "to = \"cloud\"" => "to = \"cloud\"\ngives = [{ product = \"jira\", site = \"https://acme.atlassian.net\" }, { product = \"Jira\", site = \"https://ACME.atlassian.net\" }]";
    a_product_without_its_site: "to = \"cloud\"" => "to = \"cloud\"\ngives = [{ product = \"jira-software\", sit = \"x\" }]";
    a_product_where_no_group_gives_any: "" => "\n[directory.wiki]\nkind = \"confluence-dc\"\nurl = \"https://wiki.acme.com\"\ntoken = \"env:T\"\n[[sync]]\nfrom = \"workspace\"\nto = \"wiki\"\ngroups = [\"x@acme.com\"]\ngives = [{ product = \"confluence\", site = \"https://wiki.acme.com\" }]\n";
    a_union_that_gives_two_things: "" => "\n[[sync]]\nfrom = \"workspace\"\nto = \"cloud\"\ngroups = [\"a@acme.com\"]\ninto = \"all\"\ngives = [{ product = \"loom\", site = \"https://acme.atlassian.net\" }]\n\n[[sync]]\nfrom = \"workspace\"\nto = \"cloud\"\ngroups = [\"b@acme.com\"]\ninto = \"all\"\n";
    an_approval_without_guards: "" => "\n[approval]\nrequired_for = [\"conflict\"]\n";
    a_rule_without_anything: "" => "\n[[sync]]\n";
}

#[test]
fn an_empty_file_is_refused() {
    snapshot("an_empty_file", "");
    snapshot("a_file_without_a_rule", RIGHT.split("[[sync]]").next().unwrap());
    snapshot("a_file_without_a_directory", "tenant = \"acme\"\n");
}

#[test]
fn many_problems_are_told_at_once_in_the_order_of_the_file() {
    let text =
        RIGHT.replace("\"acme\"", "\"A\"").replace("org-1\"", "\"").replace("eng-*", "eng-[").replace("'$1'", "7");
    let wrong = Policy::parse(&text).unwrap_err();
    let lines: Vec<usize> = wrong.iter().map(|diagnostic| diagnostic.line).collect();
    assert!(wrong.len() >= 3, "{wrong}");
    assert!(lines.is_sorted(), "{lines:?}");
}

#[test]
fn no_refusal_shows_a_secret() {
    for (from, to) in [
        ("\"file:/run/secrets/org-key\"", "\"hunter2\""),
        ("\"file:/run/secrets/org-key\"", "\"hunter2"),
        ("\"file:/run/secrets/org-key\"", "hunter2"),
        ("\"file:/run/secrets/org-key\"", "[\"hunter2\"]"),
        ("\"file:/run/secrets/org-key\"", "{ value = \"hunter2\" }"),
        ("\"file:/run/secrets/org-key\"", "\"\"\"\nhunter2\n\"\"\""),
        ("\"file:/run/secrets/org-key\"", "\"\"\"\nhunter2\\q\n\"\"\""),
        ("\"file:/run/secrets/org-key\"", "\"\"\"hunter2"),
        ("\"file:/run/secrets/org-key\"", "\"x\" # = \"hunter2\""),
        ("api_key = \"file:/run/secrets/org-key\"", "api_kye = \"hunter2\""),
        ("api_key = \"file:/run/secrets/org-key\"", "\"api key\" = \"hunter2\""),
        ("api_key = \"file:/run/secrets/org-key\"", "api_key = \"file:x\"\ntoken = \"hunter2\" x"),
        ("api_key = \"file:/run/secrets/org-key\"", "api_key: \"hunter2\""),
        ("api_key = \"file:/run/secrets/org-key\"", "api_key \"hunter2\""),
        ("api_key = \"file:/run/secrets/org-key\"", "api_key = \"file:\"\napi_key = \"hunter2\""),
        ("http://127.0.0.1:7001", "http://me:hunter2@127.0.0.1"),
        ("subject = \"rollcall@acme.com\"", "oauth = { client_id = \"x\", client_secret = \"hunter2\" }"),
        ("subject = \"rollcall@acme.com\"", "push = { public_url = 7, channel_token = \"hunter2\" }"),
    ] {
        let wrong = Policy::parse(&changed(from, to)).unwrap_err();
        let shown = format!("{wrong}\n{wrong:?}\n{wrong:#?}");
        assert!(!shown.contains("hunter2"), "{to}:\n{shown}");
    }
}
