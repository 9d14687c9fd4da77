//! Groups that were there before us: which they are, what each decision about them would change.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::{Query, State};
use contract::ops;
use model::{AccountId, Case, CaseKind, DirectoryId, DirectoryKind, EdgeOp, Group, GroupId, TenantId, User};
use policy::{Directory, Settings};
use serde::Deserialize;
use store::audit::AuditEntry;
use store::plan::{CaseRow, CaseState};

use crate::cases::{Beside, is_conflict};
use crate::failure::Failure;
use crate::gate::{Asked, Parts1};
use crate::state::Api;

/// `?target=`.
#[derive(Debug, Deserialize)]
pub(crate) struct TargetQuery {
    target: Option<String>,
}

/// `GET /conflicts`: what waits for a decision, and what was decided to be left alone.
pub(crate) async fn list(
    State(api): State<Api>,
    asked: Asked,
    Query(query): Query<TargetQuery>,
) -> Result<Json<ops::ConflictList>, Failure> {
    let found = Found::load(&api, &asked.tenant).await?;
    let wanted = |conflict: &ops::Conflict| query.target.as_deref().is_none_or(|target| conflict.target == target);
    let mut conflicts = found.all(&api, &asked.tenant).await?;
    conflicts.retain(wanted);
    Ok(Json(ops::ConflictList { conflicts }))
}

/// `GET /conflicts/{target}/{group}`: one of them, person by person. Who looked is kept.
pub(crate) async fn show(
    State(api): State<Api>,
    asked: Asked,
    Parts1((target, group)): Parts1<(String, String)>,
) -> Result<Json<ops::ConflictDetail>, Failure> {
    let found = Found::load(&api, &asked.tenant).await?;
    let all = found.all(&api, &asked.tenant).await?;
    let is_it = |conflict: &&ops::Conflict| {
        conflict.target == target && (conflict.group == group || conflict.name.eq_ignore_ascii_case(&group))
    };
    let conflict = all.iter().find(is_it).cloned().ok_or_else(|| {
        Failure::not_found("group in conflict").help("`rollcall review --conflicts` lists those that there are")
    })?;
    let row = found.rows.iter().find(|row| Some(row.case.digest.to_string()) == conflict.digest);
    let changes = match row {
        Some(row) => changes(&api, &asked.tenant, row).await?,
        None => Vec::new(),
    };
    let entry = AuditEntry {
        at: api.now(),
        actor: asked.person.name.clone(),
        verb: "conflict.reviewed".to_owned(),
        key: format!("{}/{}", conflict.target, conflict.group),
        before: Vec::new(),
        after: Vec::new(),
        cause: "asked by a person".to_owned(),
    };
    api.store().append_audit(&asked.tenant, &[entry]).await?;
    let unchanged = found.members(&conflict).saturating_sub(conflict.removals);
    Ok(Json(ops::ConflictDetail { conflict: Some(conflict), changes, unchanged }))
}

/// Cases and decisions about groups that were there before us, with the groups' rows.
struct Found {
    rows: Vec<CaseRow>,
    beside: Beside,
    /// Groups that were decided to be left alone, with the word and until when.
    left_alone: BTreeMap<(DirectoryId, GroupId), (String, Option<String>)>,
    groups: BTreeMap<(DirectoryId, GroupId), (Group, u64)>,
}

impl Found {
    async fn load(api: &Api, tenant: &TenantId) -> Result<Self, Failure> {
        let open = [CaseState::Held, CaseState::Approved, CaseState::Rejected];
        let mut rows = api.store().cases(tenant, &open).await?;
        rows.retain(|row| is_conflict(&row.case));
        let now = api.now();
        let decided = api.store().load_verdicts(tenant, now).await?.conflicts.into_iter();
        let left_alone: BTreeMap<_, _> = decided
            .filter(|row| matches!(row.decision.as_str(), "keep-apart" | "ignore"))
            .filter(|row| row.until.is_none_or(|until| until > now))
            .map(|row| ((row.target, row.group), (row.decision, row.until.map(|until| until.to_string()))))
            .collect();
        let mut wanted: BTreeMap<DirectoryId, BTreeSet<GroupId>> = BTreeMap::new();
        let of_cases = rows.iter().filter_map(|row| Some((row.target.clone(), group_of(&row.case)?.clone())));
        for (target, group) in of_cases.chain(left_alone.keys().cloned()) {
            wanted.entry(target).or_default().insert(group);
        }
        let mut groups = BTreeMap::new();
        for (target, ids) in wanted {
            let Some(key) = api.store().find_directory(tenant, &target).await? else { continue };
            let ids: Vec<GroupId> = ids.into_iter().collect();
            for (group, members) in api.store().group_rows(&key, &ids).await? {
                groups.insert((target.clone(), group.id.clone()), (group, members));
            }
        }
        Ok(Self { rows, beside: Beside::load(api, tenant).await?, left_alone, groups })
    }

    /// All of them, by target and name.
    async fn all(&self, api: &Api, tenant: &TenantId) -> Result<Vec<ops::Conflict>, Failure> {
        let policy = api.policy(tenant).await?;
        let mut all: Vec<ops::Conflict> = Vec::new();
        for row in &self.rows {
            let Some(group) = group_of(&row.case) else { continue };
            let state = match self.beside.state(row) {
                CaseState::Held => "waiting",
                other => other.as_str(),
            };
            all.push(ops::Conflict {
                state: state.to_owned(),
                digest: Some(row.case.digest.to_string()),
                additions: row.case.count(EdgeOp::Add) as u64,
                removals: row.case.count(EdgeOp::Remove) as u64,
                since: Some(row.held_at.to_string()),
                ..self.about(&row.target, group, policy.directories.get(&row.target))
            });
        }
        for ((target, group), (decision, until)) in &self.left_alone {
            if all.iter().any(|known| known.target == target.as_str() && known.group == group.as_str()) {
                continue;
            }
            let state = if decision == "ignore" { "ignored" } else { decision.as_str() };
            all.push(ops::Conflict {
                state: state.to_owned(),
                until: until.clone(),
                ..self.about(target, group, policy.directories.get(target))
            });
        }
        all.sort_by(|a, b| (&a.target, &a.name).cmp(&(&b.target, &b.name)));
        Ok(all)
    }

    /// What the group is, whatever becomes of it.
    fn about(&self, target: &DirectoryId, id: &GroupId, directory: Option<&Directory>) -> ops::Conflict {
        let row = self.groups.get(&(target.clone(), id.clone())).map(|(group, _)| group);
        ops::Conflict {
            target: target.to_string(),
            group: id.to_string(),
            name: row.map_or_else(|| id.to_string(), |group| group.name.clone()),
            gives: row.map(|group| gives(group, directory)).unwrap_or_default(),
            default_access: row.is_some_and(|group| group.default_access),
            grants_admin: row.is_some_and(|group| group.grants_admin),
            ..ops::Conflict::default()
        }
    }

    /// How many members the group has, as last read.
    fn members(&self, conflict: &ops::Conflict) -> u64 {
        let is_it = |(target, group): &(DirectoryId, GroupId)| {
            target.as_str() == conflict.target && group.as_str() == conflict.group
        };
        self.groups.iter().find(|(key, _)| is_it(key)).map_or(0, |(_, (_, members))| *members)
    }
}

const fn group_of(case: &Case) -> Option<&GroupId> {
    match &case.kind {
        CaseKind::Conflict { group, .. } => Some(group),
        _ => None,
    }
}

/// The products that a group gives. A group of one site or instance is of that site, whatever it gives there.
fn gives(group: &Group, directory: Option<&Directory>) -> Vec<ops::ProductAccess> {
    let own = directory.and_then(|directory| match &directory.settings {
        Settings::Jira { site, .. } | Settings::Confluence { site, .. } | Settings::Jsm { site, .. } => Some(site),
        Settings::DataCenter { url, .. } | Settings::Crowd { url, .. } => Some(url),
        _ => None,
    });
    let is_organization = directory.is_some_and(|directory| directory.kind == DirectoryKind::AtlassianOrg);
    let site = |told: &str| if is_organization { told.to_owned() } else { own.map_or(told, String::as_str).to_owned() };
    let mut given: Vec<ops::ProductAccess> = group
        .gives
        .iter()
        .map(|access| ops::ProductAccess { product: access.product.clone(), site: site(&access.site) })
        .collect();
    if let (true, Some(own)) = (given.is_empty(), own) {
        given.push(ops::ProductAccess { product: String::new(), site: own.clone() });
    }
    given
}

/// Who would be removed, then who would be added, with names as the target has them.
async fn changes(api: &Api, tenant: &TenantId, row: &CaseRow) -> Result<Vec<ops::MemberChange>, Failure> {
    let accounts: BTreeSet<AccountId> = row.case.edges().filter_map(|edge| edge.account.clone()).collect();
    let accounts: Vec<AccountId> = accounts.into_iter().collect();
    let mut known: BTreeMap<AccountId, User> = BTreeMap::new();
    if let Some(key) = api.store().find_directory(tenant, &row.target).await? {
        let users = api.store().user_rows(&key, &accounts).await?;
        known.extend(users.into_iter().map(|user| (user.id.clone(), user)));
    }
    let of = |op: EdgeOp| row.case.edges().filter(move |edge| edge.op == op);
    let changes = of(EdgeOp::Remove).chain(of(EdgeOp::Add)).map(|edge| {
        let user = edge.account.as_ref().and_then(|account| known.get(account));
        ops::MemberChange {
            op: if edge.op == EdgeOp::Add { "add" } else { "remove" }.to_owned(),
            account: edge.account.as_ref().map(ToString::to_string).unwrap_or_default(),
            person: edge.person.as_ref().map(ToString::to_string),
            name: user.and_then(|user| user.display_name.clone()).unwrap_or_default(),
            email: user
                .and_then(|user| user.email.as_ref())
                .map(|email| email.as_written().to_owned())
                .unwrap_or_default(),
        }
    });
    Ok(changes.collect())
}
