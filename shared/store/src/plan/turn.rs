//! One turn of the reconciler, committed whole.

use model::{AccountId, CommandId, DirectoryId, Fact, Generation, TenantId, Time};

use super::rows::{
    AccountOpenRow, ConfirmedRow, EdgeKey, HeldRow, LeavingRow, NewCommand, OpeningRow, PersonLinkRow, PinRow,
    PlanHoldRow, PlanRow, ReleasedRow, WindowRow,
};
use super::statements;
use crate::audit::{self, AuditEntry};
use crate::outbox::{self, Envelope, OutboxMessage, Schema};
use crate::{
    Lease, Store, StoreError, lease,
    sql::{self, Batch},
};

/// Everything that a turn changes. Fields that are empty change nothing. Within the commit what ends is written before
/// what begins, so a settled command makes room for the next one of its object.
#[derive(Debug, Clone, Default)]
pub struct Turn {
    /// When the turn decided.
    pub at: Time,
    /// Commands whose outcomes were taken in; their released edges and openings end with them.
    pub settled: Vec<CommandId>,
    /// Released edges that are no longer wanted and are in no command.
    pub unreleased: Vec<EdgeKey>,
    /// Memberships that we added.
    pub managed: Vec<EdgeKey>,
    /// Memberships that are no longer ours.
    pub unmanaged: Vec<EdgeKey>,
    /// What writers confirmed.
    pub confirmed: Vec<ConfirmedRow>,
    /// Confirmations that a later read has replaced.
    pub unconfirmed: Vec<EdgeKey>,
    /// New or changed links of people.
    pub links: Vec<PersonLinkRow>,
    /// New or changed pins.
    pub pins: Vec<PinRow>,
    /// All that the budget of the whole plan holds from now on; `None`: as before.
    pub plan_holds: Option<Vec<PlanHoldRow>>,
    /// All leavers' accounts that wait from now on; `None`: as before.
    pub leaving: Option<Vec<LeavingRow>>,
    /// The plan, where it differs from the last one.
    pub plan: Option<PlanRow>,
    /// Steps of cases that the last plan did not hold, as JSON by the cases' digests.
    pub case_steps: Vec<(model::Digest, Vec<u8>)>,
    /// Every case that the decision holds; `None`: nothing was decided. Others that were held become void, or released
    /// where `released_cases` names them.
    pub held: Option<Vec<HeldRow>>,
    /// Held cases that go now, with who approved them.
    pub released_cases: Vec<(model::Digest, String)>,
    /// Released edges, new or put into a command.
    pub released: Vec<ReleasedRow>,
    /// Groups that are being made from now on.
    pub openings: Vec<OpeningRow>,
    /// Accounts that are being changed from now on.
    pub accounts_open: Vec<AccountOpenRow>,
    /// Accounts that are no longer being changed: what was done to them has been read back, or was not done.
    pub accounts_closed: Vec<AccountOpenRow>,
    /// New commands.
    pub commands: Vec<NewCommand>,
    /// New generations by target and object; they never go back.
    pub generations: Vec<(DirectoryId, String, Generation)>,
    /// What was released without approval.
    pub windows: Vec<WindowRow>,
    /// Deactivations that count no longer: the newest of this target, source and person.
    pub windows_back: Vec<(DirectoryId, DirectoryId, AccountId)>,
    /// Facts to be read by themselves from now on.
    pub needs: Vec<Fact>,
    /// Facts that need not be read any more.
    pub unneeded: Vec<Fact>,
    /// Places that are to be read again, and not before when: what was done there has to be seen.
    pub wishes: Vec<(DirectoryId, String, Time)>,
    /// How far each directory is part of the decision.
    pub progress: Vec<(DirectoryId, u64)>,
    /// Dead letters that nothing wants any more.
    pub moot_letters: Vec<u64>,
    /// What is known of each directory's being in sync, as JSON.
    pub sync_states: Vec<(DirectoryId, String)>,
    /// A request to synchronize that is taken up; `None`: as before.
    pub sync_taken: Option<super::SyncTaken>,
    /// Further messages: requests to verify.
    pub messages: Vec<OutboxMessage>,
    /// What is worth proving.
    pub audit: Vec<AuditEntry>,
}

impl Store {
    /// Commits a turn whole or not at all. Gives its messages, claimed for whoever publishes them now.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] when another reconciler took the tenant over; [`StoreError::Refused`] when a command
    /// would be the second open one of its object in a lane, or a plan's number is taken. Nothing is committed then.
    pub async fn commit_turn(&self, held: &Lease, tenant: &TenantId, turn: &Turn) -> Result<Vec<Envelope>, StoreError> {
        let messages: Vec<&OutboxMessage> =
            turn.commands.iter().map(|new| &new.message).chain(&turn.messages).collect();
        // None needs another's answer: all of them travel together.
        let mut batch = Batch::default();
        statements::of(&mut batch, tenant, turn);
        let outgoing = outbox::add(&mut batch, Schema::Plan, &messages);
        lease::insist(&mut batch, held);
        audit::add(&mut batch, tenant, &turn.audit);
        let answers = lease::judge(held, sql::commit(self.client("commit_turn").await?, &batch).await)?;
        outbox::given(&answers, outgoing, &messages)
    }
}
