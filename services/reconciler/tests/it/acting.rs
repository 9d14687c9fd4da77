//! The writer that the tests play: it does what waits to the target, or not, and reports it.

use std::{collections::BTreeSet, time::Duration};

use model::{
    AccountId, Command, CommandBody, DirectoryId, EdgeChange, EdgeOp, EdgeOutcome, GroupId, Lane, Outcome, Rejection,
    StepResult, Time,
};
use store::effect::{NewLetter, RecordedOutcomes};

use crate::world::{WITHIN, World, account, cloud, group, tenant};

impl World {
    /// Commands that wait for the writer of a directory.
    pub async fn waiting_at(&self, directory: &str) -> Vec<Command> {
        let id = DirectoryId::new(directory).unwrap();
        let mut all = Vec::new();
        for lane in Lane::ALL {
            let waiting = self.writer.waiting_commands(&tenant(), &id, lane, 1_000).await.unwrap();
            all.extend(waiting.into_iter().map(|open| open.command));
        }
        all
    }

    /// Reports that an account command was done.
    pub async fn report_account(&mut self, command: &Command, id: &str) {
        self.report(command, StepResult::Done, Some(account(id))).await;
    }

    /// Reports what became of an account command.
    pub async fn report(&mut self, command: &Command, result: StepResult, account: Option<AccountId>) {
        let outcome = Outcome {
            command: command.id,
            tenant: tenant(),
            target: command.target.clone(),
            at: self.moment(),
            result,
            edges: Vec::new(),
            group: None,
            account,
            behind: None,
        };
        let none = |_: &RecordedOutcomes| Vec::new();
        self.writer.record_outcomes(&self.writing, &tenant(), &[], &[outcome], &[], &[], none).await.unwrap();
    }

    /// Commands that wait for the writer, urgent first.
    pub async fn waiting(&self) -> Vec<Command> {
        let mut all = Vec::new();
        for lane in Lane::ALL {
            let waiting = self.writer.waiting_commands(&tenant(), &cloud(), lane, 1_000).await.unwrap();
            all.extend(waiting.into_iter().map(|open| open.command));
        }
        all
    }

    /// Does what waits to the target, and reports it. Gives what was done.
    pub async fn act(&mut self) -> Vec<Command> {
        let commands = self.waiting().await;
        for command in &commands {
            let (outcome, letters) = self.perform(command);
            let send = |recorded: &RecordedOutcomes| {
                recorded.new.iter().map(|_| bus::outgoing::outcome(&outcome, None)).collect()
            };
            let (_, messages) = self
                .writer
                .record_outcomes(&self.writing, &tenant(), &[], std::slice::from_ref(&outcome), &letters, &[], send)
                .await
                .unwrap();
            self.outcomes.hand(messages);
        }
        commands
    }

    fn perform(&mut self, command: &Command) -> (Outcome, Vec<NewLetter>) {
        let at = self.moment();
        let mut outcome = Outcome {
            command: command.id,
            tenant: tenant(),
            target: cloud(),
            at,
            result: StepResult::Done,
            edges: Vec::new(),
            group: None,
            account: None,
            behind: None,
        };
        let mut letters = Vec::new();
        match &command.body {
            CommandBody::CreateGroup { name, .. } => {
                self.made += 1;
                self.target.insert(name.clone(), BTreeSet::new());
                outcome.group = Some(group(name));
            }
            CommandBody::GrantAccess { .. } => {}
            CommandBody::DeleteGroup { group, .. } => {
                self.target.remove(group.as_str());
            }
            CommandBody::Edges { group, edges, .. } if self.down > 0 => {
                self.down -= 1;
                (outcome.result, outcome.edges) = (StepResult::NotTried, not_tried(group, edges));
            }
            CommandBody::Edges { group, edges, .. } => {
                for edge in edges {
                    let name = edge.account.as_str().trim_start_matches("a-").to_owned();
                    let members = self.target.entry(group.to_string()).or_default();
                    let result = if self.poisoned.contains(&name) {
                        letters.push(letter(command, group, &edge.account, at));
                        StepResult::Rejected(Rejection::UnknownUser)
                    } else if match edge.op {
                        EdgeOp::Add => members.insert(name),
                        EdgeOp::Remove => members.remove(&name),
                    } {
                        StepResult::Done
                    } else {
                        StepResult::AlreadySo
                    };
                    outcome.edges.push(EdgeOutcome {
                        group: group.clone(),
                        account: edge.account.clone(),
                        op: edge.op,
                        result,
                        confirmed_at: result.holds().then_some(at),
                    });
                }
            }
            other @ CommandBody::Account { .. } => panic!("no test asks for {other:?}"),
        }
        (outcome, letters)
    }

    /// Acts and answers until the target is as the source says.
    pub async fn converge(&mut self) {
        let what = "the target to be as the source says";
        let deadline = harness::Deadline::after(WITHIN);
        while self.target != self.source {
            assert!(!deadline.is_over(), "{what}: {:?} is not {:?}", self.target, self.source);
            self.act().await;
            self.answer().await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.settled().await;
    }
}

fn not_tried(group: &GroupId, edges: &[EdgeChange]) -> Vec<EdgeOutcome> {
    let outcome = |edge: &EdgeChange| EdgeOutcome {
        group: group.clone(),
        account: edge.account.clone(),
        op: edge.op,
        result: StepResult::NotTried,
        confirmed_at: None,
    };
    edges.iter().map(outcome).collect()
}

fn letter(command: &Command, group: &GroupId, who: &AccountId, at: Time) -> NewLetter {
    let class = Rejection::UnknownUser;
    NewLetter {
        target: cloud(),
        fault: model::Fault::of_edge(group, who, EdgeOp::Add, class),
        class,
        at,
        answer: "404".to_owned(),
        command: command.id,
        edges: vec![format!("add/{group}/{who}")],
        traceparent: None,
    }
}
