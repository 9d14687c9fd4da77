//! Several sources fill one group: who is to go has to be gone from all of them.

#![expect(clippy::unwrap_used, reason = "tests")]

use model::{CaseKind, Delta, Email, Fact, Group, MemberKind, User, UserState};

use crate::{
    Decision,
    testing::{Side, World, acc, cases, dir, edges, grp},
};

const PARTNER: &str = r#"
[directory.partner]
kind = "google-workspace"
customer = "my_customer"
service_account = "file:partner.json"
subject = "rollcall@acme.com"
[[sync]]
name = "partners"
from = "partner"
groups = ["*"]
to = "cloud"
into = "team"
"#;

/// A group `team` at the target that a group of the workspace (ann, bob, cho) and one of the partner (ann, bob, dan)
/// fill; everything equal.
struct Two {
    world: World,
    partner: Side,
}

impl Two {
    fn converged() -> Self {
        let mut world = World::new("into = \"team\"", PARTNER);
        let mut partner = Side::new("partner");
        for name in ["ann", "bob", "cho", "dan"] {
            world.person(name);
            let id = acc(&format!("p-{name}"));
            partner.users.insert(id.clone(), User::new(id, Email::new(format!("{name}@acme.com")).ok()));
        }
        world.fill("core", &["ann", "bob", "cho"]);
        let mut allies = Group::new(grp("allies"), "allies");
        allies.email = Email::new("allies@acme.com").ok();
        partner.groups.insert(grp("allies"), allies);
        for name in ["ann", "bob", "dan"] {
            partner.add("allies", MemberKind::User(acc(&format!("p-{name}"))));
        }
        let mut two = Self { world, partner };
        for _ in 0..4 {
            two.sweep();
            let decision = two.world.decide();
            two.world.carry_out(&decision);
        }
        assert!(cases(&two.world.decide()).is_empty());
        assert_eq!(two.world.in_target("team").len(), 4);
        two
    }

    fn sweep(&mut self) {
        self.world.sweep_source();
        self.sweep_partner();
        self.world.sweep_target();
    }

    fn sweep_partner(&mut self) {
        self.world.tick(600);
        let delta = self.partner.observe(&self.partner.reading(self.world.now));
        self.world.planner.apply(&delta);
        self.world.tick(5);
    }

    /// A walk of the partner's group that misses somebody who is there.
    fn miss(&mut self, name: &str) {
        self.world.tick(600);
        let mut reading = self.partner.reading(self.world.now);
        let missed = MemberKind::User(acc(&format!("p-{name}")));
        reading.members.iter_mut().for_each(|read| read.seen.retain(|member| member.kind != missed));
        let delta = self.partner.observe(&reading);
        self.world.planner.apply(&delta);
        self.world.tick(5);
    }

    /// Answers the questions about each source as it really is.
    fn answer(&mut self, decision: &Decision) {
        let (ours, theirs): (Vec<Fact>, Vec<Fact>) =
            decision.needs.iter().cloned().partition(|fact| fact.directory() == &dir("workspace"));
        self.world.answer(&ours);
        let mut delta = Delta::empty(dir("partner"), self.partner.version() + 1);
        let answer = |fact: &Fact| if self.partner.holds(fact) { model::Answer::Holds } else { model::Answer::Gone };
        delta.corroborations = theirs
            .iter()
            .map(|fact| model::Corroboration { fact: fact.clone(), answer: answer(fact), read_at: self.world.now })
            .collect();
        self.world.planner.apply(&delta);
        self.world.tick(1);
    }

    fn leave_partner(&mut self, name: &str) {
        let members = self.partner.members.get_mut(&grp("allies")).unwrap();
        members.remove(&MemberKind::User(acc(&format!("p-{name}"))));
    }
}

fn released(decision: &Decision) -> Vec<String> {
    let mut decision = decision.clone();
    for target in &mut decision.plan.body.targets {
        target.cases.retain(model::Case::is_released);
    }
    edges(&decision)
}

#[test]
fn i02_who_left_one_source_is_asked_about_at_the_others_too() {
    let mut two = Two::converged();
    two.world.leave("core", "ann");
    two.world.sweep_source();
    assert!(edges(&two.world.decide()).is_empty(), "she is in by the partner");
    two.miss("ann");
    let decision = two.world.decide();
    let both: Vec<&str> = decision.needs.iter().map(|fact| fact.directory().as_str()).collect();
    assert_eq!(both, ["partner", "workspace"], "{:#?}", decision.needs);
    two.answer(&decision);
    assert!(released(&two.world.decide()).is_empty(), "the partner has her");
    two.sweep_partner();
    assert!(edges(&two.world.decide()).is_empty());
    two.leave_partner("ann");
    two.sweep_partner();
    let decision = two.world.decide();
    two.answer(&decision);
    assert_eq!(released(&two.world.decide()), ["-team a-ann"]);
}

#[test]
fn i02_a_leaver_of_one_source_stays_in_what_another_missed_by_mistake() {
    let mut two = Two::converged();
    two.world.fill("only-here", &["ann", "bob"]);
    two.world.source.user("ann").state = UserState::Suspended;
    two.world.sweep_source();
    assert!(edges(&two.world.decide()).is_empty(), "the partner lets her work");
    two.miss("ann");
    let decision = two.world.decide();
    assert!(released(&decision).is_empty());
    two.answer(&decision);
    assert!(released(&two.world.decide()).is_empty());
    // Once she is proven gone there she goes as a leaver, whom no budget of removals counts.
    two.leave_partner("ann");
    two.sweep_partner();
    let decision = two.world.decide();
    two.answer(&decision);
    let decision = two.world.decide();
    assert_eq!(released(&decision), ["-team a-ann"]);
    assert!(matches!(cases(&decision).first().unwrap().kind, CaseKind::Leaver { .. }));
}

#[test]
fn i02_who_is_suspended_here_and_only_absent_there_is_asked_about_there() {
    let mut two = Two::converged();
    two.world.source.user("ann").state = UserState::Suspended;
    two.world.sweep_source();
    two.world.tick(600);
    let mut reading = two.partner.reading(two.world.now);
    reading.users.seen.retain(|user| user.id != acc("p-ann"));
    let delta = two.partner.observe(&reading);
    two.world.planner.apply(&delta);
    two.world.tick(5);
    let decision = two.world.decide();
    assert!(released(&decision).is_empty(), "{:#?}", decision.plan.body);
    assert!(decision.needs.contains(&Fact::User { directory: dir("partner"), user: acc("p-ann") }));
}

#[test]
fn i02_the_order_of_the_sources_does_not_matter() {
    // Suspended at the partner, and missed by a walk of ours.
    let mut two = Two::converged();
    two.partner.user("p-ann").state = UserState::Suspended;
    two.sweep_partner();
    assert!(edges(&two.world.decide()).is_empty(), "we let her work");
    two.world.tick(600);
    let mut reading = two.world.source.reading(two.world.now);
    reading.members.iter_mut().for_each(|read| read.seen.retain(|member| member.kind.id() != "ann"));
    two.world.see(&reading);
    two.world.tick(5);
    let decision = two.world.decide();
    assert!(released(&decision).is_empty(), "{:#?}", decision.plan.body);
    two.answer(&decision);
    assert!(released(&two.world.decide()).is_empty());
    // Suspended at the partner, and merely absent from our list.
    two.world.tick(600);
    let mut reading = two.world.source.reading(two.world.now);
    reading.users.seen.retain(|user| user.id != acc("ann"));
    two.world.see(&reading);
    two.world.tick(5);
    let decision = two.world.decide();
    assert!(released(&decision).is_empty(), "{:#?}", decision.plan.body);
    assert!(decision.needs.contains(&Fact::User { directory: dir("workspace"), user: acc("ann") }));
}
