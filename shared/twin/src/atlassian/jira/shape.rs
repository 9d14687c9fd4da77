//! How people and groups look in Jira. Answers carry these fields and no others.

use serde_json::{Map, Value, json};

use super::Request;
use crate::world::atlassian::account::AccountKind;
use crate::world::atlassian::{Account, AccountStatus, AtlassianSide, BaseKey, Group, Index, Standing, UserBase, View};

/// Whether Jira counts somebody as active: the account lives and its access is not suspended. A customer has no access
/// to suspend.
pub(super) fn is_active(base: &UserBase, person: Index, account: &Account) -> bool {
    let standing = base.resident(person).map(|it| it.standing);
    account.status == AccountStatus::Active
        && (standing == Some(Standing::Active) || account.kind == AccountKind::Customer)
}

/// A user as the site shows it, with what `expand` asks for.
pub(super) fn user(
    request: &Request<'_>,
    side: &AtlassianSide,
    view: &View<'_>,
    person: Index,
    expand: &str,
) -> Option<Value> {
    let account = side.accounts().get(person)?;
    let mut body = details(request, side, view, person, account);
    let fields = body.as_object_mut()?;
    let wants = |name: &str| expand.split(',').any(|it| it.trim() == name);
    if wants("groups") {
        let items: Vec<Value> = view
            .groups_of(person)
            .into_iter()
            .filter_map(|it| view.group_at(it))
            .map(|it| group_name(request, it))
            .collect();
        fields.insert("groups".to_owned(), json!({ "size": items.len(), "items": items }));
    }
    if wants("applicationRoles") {
        let items: Vec<Value> = products(request, view)
            .filter(|it| side.seat_holders(view.base(), it).contains(&person))
            .map(|it| application_role(request, side, view, it))
            .collect();
        fields.insert("applicationRoles".to_owned(), json!({ "size": items.len(), "items": items }));
    }
    fields.insert("expand".to_owned(), json!("groups,applicationRoles"));
    Some(body)
}

/// The fields that every listing of people has.
pub(super) fn details(
    request: &Request<'_>,
    side: &AtlassianSide,
    view: &View<'_>,
    person: Index,
    account: &Account,
) -> Value {
    let mut fields = Map::new();
    let reference = format!("{}/rest/api/3/user?accountId={}", request.origin, encoded(&account.id));
    fields.insert("self".to_owned(), json!(reference));
    fields.insert("accountId".to_owned(), json!(account.id));
    fields.insert("accountType".to_owned(), json!(account.kind.word()));
    if shows_email(request, side, account) {
        fields.insert("emailAddress".to_owned(), json!(account.email));
    }
    fields.insert("avatarUrls".to_owned(), avatars(request));
    fields.insert("displayName".to_owned(), json!(account.name));
    fields.insert("active".to_owned(), json!(is_active(view.base(), person, account)));
    fields.insert("timeZone".to_owned(), json!(account.time_zone.as_deref().unwrap_or("Etc/UTC")));
    Value::Object(fields)
}

/// People see their own address; others' only where neither the person nor the site hides it.
fn shows_email(request: &Request<'_>, side: &AtlassianSide, account: &Account) -> bool {
    account.id == request.caller || !(side.switches.jira_hides_emails || account.email_hidden)
}

fn avatars(request: &Request<'_>) -> Value {
    let url = |size: u32| format!("{}/avatar?size={size}", request.origin);
    json!({ "16x16": url(16), "24x24": url(24), "32x32": url(32), "48x48": url(48) })
}

/// `name`, `groupId`, `self`.
pub(super) fn group_name(request: &Request<'_>, group: &Group) -> Value {
    let reference = format!("{}/rest/api/3/group?groupId={}", request.origin, encoded(&group.id));
    json!({ "name": group.name, "groupId": group.id, "self": reference })
}

/// A group with a first page of its members, as creating, adding and the deprecated GET answer.
pub(super) fn group(
    request: &Request<'_>,
    side: &AtlassianSide,
    view: &View<'_>,
    group: &Group,
    shown: usize,
) -> Value {
    let mut body = group_name(request, group);
    let members: Vec<(Index, &Account)> = view
        .base()
        .group(&group.id)
        .map(|(index, _)| view.members(index))
        .iter()
        .flat_map(|it| it.iter())
        .filter_map(|it| Some((*it, side.accounts().get(*it)?)))
        .filter(|(person, account)| is_active(view.base(), *person, account))
        .collect();
    let items: Vec<Value> =
        members.iter().take(shown).map(|(person, account)| details(request, side, view, *person, account)).collect();
    let users = json!({
        "size": members.len(),
        "items": items,
        "max-results": 50,
        "start-index": 0,
        "end-index": shown.min(members.len()).saturating_sub(1),
    });
    if let Some(fields) = body.as_object_mut() {
        fields.insert("users".to_owned(), users);
        fields.insert("expand".to_owned(), json!("users"));
    }
    body
}

/// Products of this site.
pub(super) fn products<'v>(
    request: &Request<'_>,
    view: &'v View<'_>,
) -> impl Iterator<Item = &'v crate::world::atlassian::Product> + use<'v> {
    let owns = matches!(request.site.base, BaseKey::Site(_));
    let site = request.site.name.clone();
    view.base().products.iter().filter(move |it| (owns || it.site == site) && it.key.starts_with("jira"))
}

/// An application role: the groups that give the product, the default ones among them, and the seats.
pub(super) fn application_role(
    request: &Request<'_>,
    side: &AtlassianSide,
    view: &View<'_>,
    product: &crate::world::atlassian::Product,
) -> Value {
    let giving: Vec<&Group> =
        view.groups_after(None).map(|(_, it)| it).filter(|it| UserBase::gives_seat(it, product)).collect();
    let default: Vec<&&Group> = giving.iter().filter(|it| it.default).collect();
    let used = side.seat_holders(view.base(), product).len();
    let seats = product.seats.map_or(-1, i64::from);
    let left =
        product.seats.map_or(-1, |it| i64::from(it).saturating_sub(i64::try_from(used).unwrap_or(i64::MAX)).max(0));
    json!({
        "key": product.key,
        "name": product.name,
        "groups": giving.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(),
        "groupDetails": giving.iter().map(|it| group_name(request, it)).collect::<Vec<_>>(),
        "defaultGroups": default.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(),
        "defaultGroupsDetails": default.iter().map(|it| group_name(request, it)).collect::<Vec<_>>(),
        "selectedByDefault": !default.is_empty(),
        "defined": true,
        "numberOfSeats": seats,
        "remainingSeats": left,
        "userCount": used,
        "userCountDescription": "users",
        "hasUnlimitedSeats": product.seats.is_none(),
        "platform": product.key == "jira-core",
    })
}

/// A page of `values`.
pub(super) fn page(request: &Request<'_>, start: usize, count: usize, total: usize, values: Vec<Value>) -> Value {
    let path = request.rest.join("/");
    let url = |at: usize| {
        let others =
            request.incoming.query.iter().filter(|(name, _)| !matches!(name.as_str(), "startAt" | "maxResults"));
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(others)
            .append_pair("startAt", &at.to_string())
            .append_pair("maxResults", &count.to_string())
            .finish();
        format!("{}/rest/api/3/{path}?{query}", request.origin)
    };
    let end = start + values.len();
    let is_last = end >= total || count == 0;
    let mut body = json!({
        "self": url(start),
        "maxResults": count,
        "startAt": start,
        "total": total,
        "isLast": is_last,
        "values": values,
    });
    if let Some(fields) = body.as_object_mut().filter(|_| !is_last) {
        fields.insert("nextPage".to_owned(), json!(url(end)));
    }
    body
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
