//! Patterns mean what their authors think they mean.
#![expect(clippy::unwrap_used, reason = "tests")]

use model::{Group, GroupId};
use policy::{GroupMatcher, NameMatcher, OrgUnitMatcher, Policy, Rewrite};

fn matches(pattern: &str, name: &str) -> bool {
    NameMatcher::new([pattern]).unwrap().matches(name)
}

#[test]
fn globs_take_whole_names_whatever_is_in_them() {
    for (pattern, name) in [
        ("*", "anything/at all@x.y"),
        ("eng-*@acme.com", "ENG-a.b@acme.COM"),
        ("Team-?", "team-7"),
        ("{ios,android}-*", "android-x"),
        ("team-[a-c]", "TEAM-B"),
        ("100\\*", "100*"),
        ("plain", "PLAIN"),
    ] {
        assert!(matches(pattern, name), "{pattern} {name}");
    }
    for (pattern, name) in [
        ("eng-*@acme.com", "eng-x@acme.com.evil.example"),
        ("eng-*@acme.com", "xeng-1@acme.com"),
        ("a.b", "axb"),
        ("plain", "plainer"),
        ("team-[!a-c]", "team-b"),
        ("100\\*", "1000"),
    ] {
        assert!(!matches(pattern, name), "{pattern} {name}");
    }
}

#[test]
fn regular_expressions_are_anchored_as_written_and_keep_their_escapes() {
    for (pattern, name) in [
        ("re:team", "my-Team-7"),
        ("re:^TEAM-[A-Z]+$", "team-blue"),
        (r"re:^\S+\D$", "abc"),
        (r"re:^(?P<Name>x)\x79$", "XY"),
        (r"re:^\p{L}+$", "straße"),
        (r"re:^(?:A|B)$", "b"),
    ] {
        assert!(matches(pattern, name), "{pattern} {name}");
    }
    for (pattern, name) in [("re:^team", "my-team"), (r"re:^\S+$", "a b"), (r"re:^\D+$", "a1"), ("re:^k$", "\u{212a}")]
    {
        assert!(!matches(pattern, name), "{pattern} {name}");
    }
}

#[test]
fn exceptions_win() {
    let groups = GroupMatcher::new(["a-*", "b"], ["a-secret*", "B"]).unwrap();
    let group = |name: &str| Group::new(GroupId::new("1").unwrap(), name);
    assert!(groups.matches(&group("a-1")));
    assert!(!groups.matches(&group("A-Secret-7")) && !groups.matches(&group("b")) && !groups.matches(&group("c")));
    assert!(!GroupMatcher::default().matches(&group("a")));
}

#[test]
fn two_stars_are_a_unit_and_all_below_it() {
    let units = |pattern: &str| OrgUnitMatcher::new([pattern]).unwrap();
    let staff = units("/Staff/**");
    assert!(staff.matches(Some("/Staff")) && staff.matches(Some("/staff/a")) && staff.matches(Some("/Staff/a/b")));
    assert!(!staff.matches(Some("/")) && !staff.matches(Some("/Staffing")) && !staff.matches(None));
    let below = units("/Staff/*");
    assert!(below.matches(Some("/Staff/a")) && !below.matches(Some("/Staff/a/b")) && !below.matches(Some("/Staff")));
    let everybody = units("/**");
    assert!(everybody.matches(Some("/")) && everybody.matches(Some("/a")) && everybody.matches(Some("/a/b")));
    assert!(OrgUnitMatcher::default().matches(None));
}

#[test]
fn rewrites_follow_each_other_and_keep_case() {
    let steps = [("@.*$", ""), (r"[._]+", "-"), ("^team-(?P<rest>.+)$", "${rest} team")];
    let steps: Vec<Rewrite> = steps.iter().map(|(pattern, replace)| Rewrite::new(pattern, replace).unwrap()).collect();
    assert_eq!(Rewrite::apply_all(&steps, "Team_A..B@acme.com").as_deref(), Some("A-B team"));
    assert_eq!(Rewrite::apply_all(&steps, "nothing"), None);
    assert_eq!(Rewrite::apply_all(steps.get(..1).unwrap(), "@acme.com"), None, "a name of nothing is no name");
    assert_eq!(Rewrite::new("x", "$$1").unwrap().apply("axb").as_deref(), Some("a$1b"));
}

#[test]
fn a_file_as_other_systems_write_it_is_read() {
    let windows = Policy::example().replace('\n', "\r\n");
    assert_eq!(Policy::parse(&windows).unwrap().rules, Policy::parse(Policy::example()).unwrap().rules);
    let marked = format!("\u{feff}{}", Policy::example());
    Policy::parse(&marked).unwrap();
}

#[test]
fn a_file_made_to_hurt_is_refused() {
    for text in ["[".repeat(100_000), format!("a = {}", "[".repeat(100_000)), format!("a = {}", "{a=".repeat(50_000))] {
        assert!(!Policy::parse(&text).unwrap_err().is_empty());
    }
    let many = "x = y\n".repeat(10_000);
    assert!(Policy::parse(&many).unwrap_err().len() <= 20);
}
