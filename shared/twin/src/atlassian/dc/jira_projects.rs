//! Projects and components of Jira Data Center: who leads them (atlassian-dc.md §2.1).

use serde_json::{Value, json};

use super::jira::{brief, encoded};
use super::words::{jira as message, jira_field as field};
use super::{Part, Request, nothing, part, text};
use crate::engine::Answer;
use crate::world::atlassian::Act;
use crate::world::dc::{Component, Instance, Project, Refusal};

/// Components per page of `component/page`.
const PAGE: usize = 50;

pub(super) fn handle(request: &Request<'_>, instance: &mut Instance, act: &mut Act<'_>) -> Result<Answer, Answer> {
    match request.operation {
        "project.list" => {
            let all: Vec<Value> = instance.projects.values().map(|it| shown(request, instance, it)).collect();
            Ok(Answer::json(200, all.into()))
        }
        "project.get" => Ok(Answer::json(200, shown(request, instance, project(request, instance)?))),
        "project.components" => {
            let project = project(request, instance)?;
            let all: Vec<Value> =
                project.components.iter().map(|it| component(request, instance, project, it)).collect();
            Ok(Answer::json(200, all.into()))
        }
        "project.update" => {
            let key = project(request, instance)?.key.clone();
            let body = request.body().unwrap_or_else(nothing);
            let lead = text(&body, "lead");
            if !lead.is_empty() {
                instance.set_lead(&key, None, lead, act).map_err(|it| refusal(it, "projectLead", lead))?;
            }
            Ok(Answer::json(200, shown(request, instance, project(request, instance)?)))
        }
        "component.page" => Ok(Answer::json(200, page(request, instance))),
        "component.get" => {
            let (project, found) = found(request, instance)?;
            Ok(Answer::json(200, component(request, instance, project, found)))
        }
        "component.update" => {
            let (project, before) = found(request, instance)?;
            let (key, id) = (project.key.clone(), before.id);
            let body = request.body().unwrap_or_else(nothing);
            let lead = text(&body, "leadUserName");
            if !lead.is_empty() {
                instance.set_lead(&key, Some(id), lead, act).map_err(|it| refusal(it, "leadUserName", lead))?;
            }
            let (project, after) = found(request, instance)?;
            Ok(Answer::json(200, component(request, instance, project, after)))
        }
        _ => Err(message(404, "null for uri")),
    }
}

fn refusal(refusal: Refusal, name: &str, lead: &str) -> Answer {
    match refusal {
        Refusal::UnknownUser if name == "projectLead" => {
            field(400, name, "The user you specified as project lead does not exist.")
        }
        // The document of components lists no 400.
        Refusal::UnknownUser => message(404, &format!("The user {lead} does not exist.")),
        _ => message(404, "It does not exist."),
    }
}

fn project<'i>(request: &Request<'_>, instance: &'i Instance) -> Result<&'i Project, Answer> {
    let wanted = request.name(0);
    let fits = |it: &&Project| it.key.eq_ignore_ascii_case(wanted) || it.id.to_string() == wanted;
    let unknown = || message(404, &format!("No project could be found with key '{wanted}'."));
    instance.projects.values().find(fits).ok_or_else(unknown)
}

fn found<'i>(request: &Request<'_>, instance: &'i Instance) -> Result<(&'i Project, &'i Component), Answer> {
    let wanted = request.name(0);
    let all = instance.projects.values().flat_map(|it| it.components.iter().map(move |component| (it, component)));
    let unknown = || message(404, &format!("The component with id {wanted} does not exist."));
    all.into_iter().find(|(_, it)| it.id.to_string() == wanted).ok_or_else(unknown)
}

fn shown(request: &Request<'_>, instance: &Instance, project: &Project) -> Value {
    let mut body = json!({
        "self": format!("{}/rest/api/2/project/{}", request.origin, encoded(&project.key)),
        "id": project.id.to_string(),
        "key": project.key,
        "name": project.name,
        "archived": false,
    });
    // A single project always says who leads it, a list only when it is asked.
    if (request.operation != "project.list" || request.is_expanded("lead"))
        && let (Some(fields), Some((_, lead))) = (body.as_object_mut(), instance.user(&project.lead))
    {
        fields.insert("lead".to_owned(), brief(request, lead));
    }
    body
}

fn component(request: &Request<'_>, instance: &Instance, project: &Project, component: &Component) -> Value {
    let mut body = json!({
        "self": format!("{}/rest/api/2/component/{}", request.origin, component.id),
        "id": component.id.to_string(),
        "name": component.name,
        "assigneeType": "PROJECT_DEFAULT",
        "project": project.key,
        "archived": false,
        "deleted": false,
    });
    let lead = component.lead.as_ref().and_then(|it| instance.user(it));
    if let (Some(fields), Some((_, lead))) = (body.as_object_mut(), lead) {
        fields.insert("lead".to_owned(), brief(request, lead));
    }
    body
}

fn page(request: &Request<'_>, instance: &Instance) -> Value {
    let all = instance.projects.values().flat_map(|it| it.components.iter().map(move |component| (it, component)));
    let (start, asked) = (request.number("startAt", 0), request.number("maxResults", PAGE).clamp(1, PAGE));
    let Part { rows, total, next } = part(all.collect(), start, asked);
    let base = format!("{}/rest/api/2/component/page?maxResults={asked}", request.origin);
    let mut body = json!({
        "self": format!("{base}&startAt={start}"),
        "maxResults": asked,
        "startAt": start,
        "total": total,
        "isLast": next.is_none(),
        "values": rows.into_iter().map(|(project, it)| component(request, instance, project, it)).collect::<Vec<_>>(),
    });
    if let (Some(next), Some(fields)) = (next, body.as_object_mut()) {
        fields.insert("nextPage".to_owned(), json!(format!("{base}&startAt={next}")));
    }
    body
}
